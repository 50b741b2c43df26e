/* request.h: reads the head of an HTTP/1 request. Pure text, no input or output.
 *
 * It is strict where leniency has been used to smuggle one request inside another: line ends are CR LF,
 * nothing stands between a field's name and its colon, lines are not folded, and the length of the body is
 * beyond doubt.
 */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

enum { REQUEST_LINE_SIZE = 8192, REQUEST_HEAD_SIZE = 16384, REQUEST_FIELDS = 100 }; /* at most */

enum request_method {
    METHOD_GET,
    METHOD_HEAD,
    METHOD_OTHER /* HTTP knows it, this server has no use for it */
};

/** A request. All pieces point into the head it was read from. */
struct request {
    enum request_method method;
    struct piece path;  /* of the target, still encoded; without the query */
    struct piece query; /* with its "?"; empty if there is none */
    int minor_version;  /* 0, or 1 and above */
    bool keep_alive;    /* the client lets the connection stay open */
    bool closes;        /* the client says that it will not */
    bool has_host;
    bool chunked;          /* a body without a length */
    bool expects_continue; /* the body comes only when it is asked for */
    int64_t body_size;     /* -1: no length was given */
    struct piece range;
    struct piece if_range;
    struct piece if_none_match;
    struct piece if_modified_since;
};

/** Looks for the end of the head, the blank line.
 *  @param searched  bytes that earlier calls found to hold no end; 0 at first
 *  @return the size of the head with the blank line; 0: it is not all here. */
size_t request_head_size(const char *data, size_t size, size_t *searched);

/** The status that says why so many bytes without an end are too many, 414 or 431; 0: they are not. */
int request_refuse_size(const char *data, size_t size);

/** Reads a head. @return 0, or the HTTP status of the refusal: 400, 414, 431, 501, 505. */
int request_read(struct request *request, const char *head, size_t size);

enum request_range {
    RANGE_WHOLE,  /* the field is to be ignored: another unit, several ranges, not a range */
    RANGE_PART,   /* *first and *size say which */
    RANGE_OUTSIDE /* it begins behind the end */
};

/** Reads the value of Range for a file of so many bytes. */
enum request_range request_read_range(struct piece range, int64_t file_size, int64_t *first, int64_t *size);

/** Whether a list of entity tags ("*", or some in quotes) names this one. */
bool request_names_tag(struct piece tags, const char *tag);

#endif
