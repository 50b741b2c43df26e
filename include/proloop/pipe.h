/* proloop/pipe.h: pipes: between programs of one machine, by name, and within a program.
 *
 * What a pipe carries is read and written through a pl_stream (stream.h). A named pipe is a named pipe of Windows, or a
 * local socket of Unix. The same calls work on both; where the systems differ:
 *
 *     Half close: a named pipe of Windows has none, and pl_stream_shutdown gives PL_ENOTSUP. A protocol that is to run
 *     on both says itself where a message ends.
 *     Abort: a pipe of Windows knows no reset. The peer reads what was written, and then the end.
 *     pl_stream_send_file, and the options and addresses of sockets: PL_ENOTSUP on pipes of Windows and on pairs.
 *
 * A name without slashes ("proloop-demo") means the same on every system: \\.\pipe\NAME on Windows; on Unix a socket of
 * that name in $XDG_RUNTIME_DIR, or, if that is not set, or not a folder of this user that is closed to others, in
 * /tmp/proloop-UID, which is made so. There two programs meet only if one user runs them. Any other name is a full path
 * and taken as it is.
 */
#ifndef PROLOOP_PIPE_H
#define PROLOOP_PIPE_H

#include <proloop/base.h>
#include <proloop/net.h>
#include <proloop/op.h>
#include <proloop/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_pipe_listen_options {
    size_t size;       /* sizeof(pl_pipe_listen_options) */
    uint32_t mode;     /* Unix: permission bits of the socket's file; 0: 0600. Ignored on Windows */
    const char *sddl;  /* Windows: who may connect, as a security descriptor in text form; it must give this process all
                          rights. NULL: this user, administrators and the system. Ignored on Unix */
    int message;       /* nonzero: what one write sends one read gets: see pl_pipe_listen */
    int replace_stale; /* nonzero, Unix: a socket's file at which nobody answers is removed. Windows leaves none */
    int backlog;       /* Unix: connections the system keeps for us; 0: 511. Windows: eight, then others wait */
    pl_duration emfile_pause; /* how long to stop accepting when handles run out; 0: 1 s */
} pl_pipe_listen_options;

/** Listens at a name for programs of this machine; pl_accept and the other calls of a listener (net.h) work as with
 *  TCP, but it has no pl_address (PL_ENOTSUP). Does not suspend. The name is taken for this listener alone, and its
 *  socket's file is removed when the listener is closed, if it is still its own.
 *
 *  With `message` the pipe keeps messages: each write is one (pl_write_buffers joins its buffers), and each read gives
 *  one. A read whose memory is too small, or a message larger than what pl_read_borrow lends, gives PL_EMSGSIZE, and
 *  the message stays: read again with more. A message has at least one byte: writing none is PL_EINVAL, and empty ones
 *  that a foreign program sends are passed over. One that is too large for the system gives its writer PL_EMSGSIZE, and
 *  nothing of it was sent. Both sides must ask for messages. macOS has none: PL_ENOTSUP.
 *  @return PL_OK; PL_EADDRINUSE: somebody listens there, or did and left its file (replace_stale); PL_EACCES,
 *  PL_ENAMETOOLONG, PL_EINVAL (also an sddl that is none), PL_ENOTSUP, PL_ENOLOOP, ...   asyncio:
 *  loop.start_serving_pipe, create_unix_server; Win32: CreateNamedPipe. */
PL_API int pl_pipe_listen(pl_listener **listener, const char *name, const pl_pipe_listen_options *options);

typedef struct pl_pipe_connect_options {
    size_t size;     /* sizeof(pl_pipe_connect_options) */
    int message;     /* nonzero: the pipe keeps messages, else PL_ENOTSUP */
    int impersonate; /* nonzero, Windows: the server may act in this user's name, not only see it. Ignored on Unix */
} pl_pipe_connect_options;

/** Connects to a named pipe. Task call (suspends). While the server has no room for one more it is tried again, after 1
 *  to 100 ms, until a time limit or a cancel ends that.
 *  @return PL_OK and a stream of the running loop, which the caller owns; PL_ENOENT: nobody listens there; on Unix
 *  PL_ECONNREFUSED: nor does one, but a file was left; PL_EACCES, PL_ENOTSUP, PL_ENAMETOOLONG; PL_ECANCELED: nothing
 *  is left open (abandonable: a call that opens the pipe runs on unobserved).   asyncio: create_pipe_connection,
 *  open_unix_connection; Win32: CreateFile, WaitNamedPipe. */
PL_API int64_t pl_pipe_connect(pl_stream **stream, const char *name, const pl_pipe_connect_options *options);

/** The same, started. The stream stands in *stream when the operation is done with PL_OK. */
PL_API int pl_pipe_connect_start(pl_op *op, pl_stream **stream, const char *name,
                                 const pl_pipe_connect_options *options);

/** A pipe within this process: what is written to one end is read from the other. Each end is a stream of the running
 *  loop, which the caller owns and closes. It has one direction: reading from the writer or writing to the reader gives
 *  PL_ENOTSUP. pl_stream_shutdown of the writer closes its end, once what is queued is out; the reader then sees the
 *  end. Writing when the reader is closed gives PL_ECONNRESET; no signal is raised. Does not suspend.
 *  @return PL_OK; PL_EINVAL, PL_ENOLOOP, PL_EMFILE, PL_ENOMEM: nothing is open.   POSIX: pipe; Win32: CreatePipe,
 *  which cannot be waited for, so it is a named pipe of a name that nobody else has. */
PL_API int pl_pipe_pair(pl_stream **reader, pl_stream **writer);

enum { PL_USER_TEXT_SIZE = 192 /* enough for any user and its NUL */ };

/** Who is at the other end. */
typedef struct pl_peer_identity {
    int64_t process;                   /* its id when it connected, or listened; -1: unknown */
    int64_t user;                      /* Unix: its user id; -1: unknown, as always on Windows */
    int64_t group;                     /* Unix: its group id, likewise */
    int same_user;                     /* nonzero: it runs as the user of this process */
    char user_text[PL_USER_TEXT_SIZE]; /* Windows: its security identifier, "S-1-5-..."; Unix: its user id in decimal;
                                          "": unknown */
} pl_peer_identity;

/** Asks the system who is at the other end of a named pipe. Ids of processes are used again when their process has
 *  ended, so decide by the user. Does not suspend.
 *  @return PL_OK; PL_ENOTSUP: no named pipe; PL_ECLOSED, PL_ENOTCONN.   POSIX: SO_PEERCRED, getpeereid; Win32:
 *  GetNamedPipeClientProcessId, ImpersonateNamedPipeClient. */
PL_API int pl_stream_peer_identity(pl_stream *stream, pl_peer_identity *identity);

#ifdef __cplusplus
}
#endif

#endif
