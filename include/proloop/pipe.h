/* proloop/pipe.h: pipes, between parts of a program and between programs of one machine.
 *
 * What a pipe carries is read and written through a pl_stream (stream.h).
 */
#ifndef PROLOOP_PIPE_H
#define PROLOOP_PIPE_H

#include <proloop/base.h>
#include <proloop/op.h>
#include <proloop/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A pipe within this process: what is written to one end is read from the other. Each end is a stream of the running
 *  loop, which the caller owns and closes. It has one direction: reading from the writer or writing to the reader gives
 *  PL_ENOTSUP. pl_stream_shutdown of the writer closes its end, once what is queued is out; the reader then sees the
 *  end. Writing when the reader is closed gives PL_ECONNRESET; no signal is raised. Does not suspend.
 *  @return PL_OK; PL_EINVAL, PL_ENOLOOP, PL_EMFILE, PL_ENOMEM: nothing is open.   POSIX: pipe; Win32: CreatePipe,
 *  which cannot be waited for, so it is a named pipe of a name that nobody else has. */
PL_API int pl_pipe_pair(pl_stream **reader, pl_stream **writer);

#ifdef __cplusplus
}
#endif

#endif
