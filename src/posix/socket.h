/* socket.h: what TCP, UDP and local sockets have in common, and the vectors of writes. Results are >= 0 or a negated errno. */
#ifndef PROLOOP_SRC_POSIX_SOCKET_H
#define PROLOOP_SRC_POSIX_SOCKET_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <proloop/address.h>
#include <proloop/base.h>

/* Whether a socket can be born non-blocking and closed on exec; else pl__socket_prepare makes it so. */
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
enum { PL__SOCKET_BORN = SOCK_NONBLOCK | SOCK_CLOEXEC };
#else
enum { PL__SOCKET_BORN = 0 };
#endif

/* A socket of an IP family (PL_IPV4, PL_IPV6): non-blocking, not inherited, silent about SIGPIPE where it can be. */
int pl__socket_open(uint8_t family, int type, int protocol);

/* What a new descriptor lacks of that: nothing where it was born with it. The descriptor, or it is closed. */
int pl__socket_prepare(int descriptor);

int pl__socket_bind(int descriptor, const pl_address *address);
int pl__socket_set(int descriptor, int level, int option, int value);

/* Closes, and returns the error that was the reason. */
int pl__close_after(int descriptor, int error);

/* What a read or write returned: a count, or errno negated, EWOULDBLOCK as EAGAIN. */
int64_t pl__count_or_error(ssize_t count);

enum {
    PL__VECTOR_MAX = 64,       /* buffers of one call */
    PL__TRANSFER_MAX = 1 << 30 /* bytes of one call; the systems' own limits are just above */
};

/* As much of the buffers, from `offset` of the first on, as one call takes. The length of the vector; *size: its bytes. */
size_t pl__gather(struct iovec vector[PL__VECTOR_MAX], const pl_buffer *buffers, size_t count, size_t offset,
                  size_t *size);

#endif
