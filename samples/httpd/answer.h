/* answer.h: answers requests. */
#ifndef HTTPD_ANSWER_H
#define HTTPD_ANSWER_H

#include "connection.h"
#include "request.h"

/** Answers a request. Task call.
 *  @return >= 0: a response went out, whatever its status; PL_E...: none did, or not whole. */
int64_t answer(struct connection *c, const struct request *request);

/** Answers with nothing but a status. Task call. @return as answer(). */
int64_t answer_status(struct connection *c, int status);

#endif
