/* proloop/console.h: standard input, output and error as streams, whatever they are: a terminal or console, a pipe, a
 * socket, a file, nothing.
 *
 * The process's own descriptors and handles stay as they are: no mode of a terminal is changed, none is made non-blocking
 * (which other programs that share it would feel), none is closed. Text is UTF-8, on a console of Windows too.
 */
#ifndef PROLOOP_CONSOLE_H
#define PROLOOP_CONSOLE_H

#include <proloop/base.h>
#include <proloop/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What a standard stream is. */
enum pl_console_kind {
    PL_CONSOLE_TERMINAL = 1, /* a terminal; a console of Windows */
    PL_CONSOLE_PIPE = 2,
    PL_CONSOLE_SOCKET = 3,
    PL_CONSOLE_FILE = 4,
    PL_CONSOLE_OTHER = 5 /* /dev/null, NUL, another device */
};

/** Opens standard input as a stream of the running loop, which the caller owns and closes; standard input itself stays
 *  open. It only reads. A terminal gives what its mode says: mostly whole lines, and Ctrl-D (Ctrl-Z and Enter on Windows)
 *  at the start of one is an end, after which a further read may get more. Files are read from the place where the process
 *  is in them.
 *
 *  A read that is cancelled takes nothing: what the user has typed of a line, and what a line has more than the read took,
 *  is there for the next read, of a stream opened later too. A waiting read does not keep the loop from closing, nor the
 *  process from ending. Bytes that C's stdin or another reader has taken before are not seen here.
 *  @return what it is (enum pl_console_kind, > 0); PL_EBADF: the process has none; PL_EBUSY: a console of Windows has one
 *  reader at a time; PL_ENOTSUP: the backend has none; PL_EINVAL, PL_ENOLOOP, PL_ENOMEM, PL_EMFILE.
 *  asyncio: loop.connect_read_pipe; POSIX: STDIN_FILENO; Win32: GetStdHandle, ReadConsoleW. */
PL_API int pl_stdin(pl_stream **stream);

/** The same for standard output and standard error, which only write, each in the order of its writes. What C's stdout has
 *  buffered goes out when that is flushed: call fflush before. A shared file is written where the process is in it.
 *  pl_stream_shutdown ends only the stream. A write that is cancelled has not happened, or the stream is broken, as
 *  pl_write says; one to a console of Windows that the user holds (by marking text, Ctrl-S) ends when he lets go.
 *  asyncio: loop.connect_write_pipe. */
PL_API int pl_stdout(pl_stream **stream);
PL_API int pl_stderr(pl_stream **stream);

#ifdef __cplusplus
}
#endif

#endif
