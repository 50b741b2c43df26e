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

/* A pipe that no child inherits, whoever makes one meanwhile (where the system can): 0 or a negated errno. */
int pl__pipe_ends(int ends[2]);

/* PIPE_PAIR, PIPE_LISTEN, PIPE_PEER: 0 or a negated errno. */
int pl__pipe_make_pair(pl__request *request);
int pl__pipe_listen(pl__request *request);
int pl__pipe_peer(pl__request *request);

/* Before the close of a handle: takes the name of a listener away, if it is still its own. */
void pl__pipe_unlink(const pl__handle *handle);

/* What a listener keeps in pl__handle.system, at its end: the adapter's queues lie in front. */
typedef struct pl__pipe_file {
    uint64_t device;
    uint64_t inode; /* 0: it is no listener of ours */
} pl__pipe_file;

static inline pl__pipe_file *pl__pipe_file_of(const pl__handle *handle)
{
    return (pl__pipe_file *)((uintptr_t)(&handle->system + 1) - sizeof(pl__pipe_file));
}

#endif
