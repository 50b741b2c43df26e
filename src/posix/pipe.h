/* pipe.h: the system's calls for pipes and terminals, and for local sockets that keep messages, as the selector adapter
 * needs them.
 *
 * As those of tcp.h: the negated errno on failure, -EAGAIN where it would have to wait; no call blocks on a
 * non-blocking descriptor, and none raises SIGPIPE. */
#ifndef PROLOOP_SRC_POSIX_PIPE_H
#define PROLOOP_SRC_POSIX_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../proactor.h"

/* With size 0: 0 if there is something to read, the end included. */
int64_t pl__pipe_read(int descriptor, void *data, size_t size);

/* From `offset` in the first buffer. */
int64_t pl__pipe_write(int descriptor, const pl_buffer *buffers, size_t count, size_t offset);

/* One whole message; 0 is the end; -EMSGSIZE: it is larger and stays. */
int64_t pl__pipe_receive_message(int descriptor, void *data, size_t size);

/* Fills request->handle and request->other. */
int pl__pipe_make_pair(pl__request *request);

#endif
