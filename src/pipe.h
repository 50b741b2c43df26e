/* Pipes, from the inside: what other waits are made of. */
#ifndef PROLOOP_SRC_PIPE_H
#define PROLOOP_SRC_PIPE_H

#include <proloop/stream.h>

#include "proactor.h"
#include "worker_pool.h"

/* A pipe of two ends, neither inherited. `ours` becomes a stream of this process by pl__stream_open; `theirs` too if
 * flags say PL__PIPE_STREAMS, else it is an object that blocks, for a child. Both must be closed handles. PL_OK; an
 * error, and nothing is open. */
int pl__pipe_pair(pl_loop *loop, pl__handle *ours, pl__handle *theirs, uint8_t flags);

/* The system's close of a pipe that a PIPE_OPEN yielded and nobody took; on any thread. In src/win and src/posix. */
void pl__pipe_close_opened(pl__job *job);

#endif
