/* error.h: the system's error codes, as PL_E... codes. Any thread; no allocation, no lock. */
#ifndef PROLOOP_SRC_POSIX_ERROR_H
#define PROLOOP_SRC_POSIX_ERROR_H

/* Of an errno value; PL_EUNKNOWN for one that is not in the table, PL_OK for 0. */
int pl__error_from_errno(int code);

/* Of what getaddrinfo returned; `code` is errno, which EAI_SYSTEM refers to. */
int pl__error_from_resolver(int resolver_code, int code);

#endif
