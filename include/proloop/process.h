/* proloop/process.h: other programs, as child processes.
 *
 *     const char *const argv[] = {"sort", "-u", NULL};
 *     pl_process_capture captured = {0};
 *     int64_t code = pl_process_run(argv, NULL, "b\na\nb\n", 6, &captured);
 *     ...
 *     pl_process_capture_free(&captured);
 *
 * Arguments are an array, never a line for a shell; on Windows they are quoted so that the C runtime of the child reads
 * the same array again. All text is UTF-8. The child gets its three standard handles and nothing else of this program; on
 * Unix it begins with no signal blocked or ignored.
 *
 * A process is counted: the one who got it from a spawn owns it and closes it. Its end is awaited without a thread (on
 * Unix by a pidfd where there is one, else one thread for each child), and only the library's own children are ever
 * collected: no handler of SIGCHLD, no waiting for just any child. Should the program do such a thing itself (ignore
 * SIGCHLD, or wait for any child), it takes the exit codes away, and waits get PL_EBROKEN.
 *
 * A process that a worker of pl_process_pool runs in is none of these: see process_pool.h for functions of this program.
 */
#ifndef PROLOOP_PROCESS_H
#define PROLOOP_PROCESS_H

#include <proloop/base.h>
#include <proloop/file.h>
#include <proloop/op.h>
#include <proloop/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A child process. */
typedef struct pl_process pl_process;

/** What one of the child's standard handles is. */
enum pl_stdio_kind {
    PL_STDIO_DEFAULT =
        0, /* inherited; by pl_process_run: standard input nothing, or a pipe if there is input, the others
                             pipes */
    PL_STDIO_INHERIT = 1, /* this program's own; nothing, if it has none */
    PL_STDIO_NULL = 2,    /* nothing: /dev/null, NUL */
    PL_STDIO_PIPE = 3,    /* a pipe; this program's end is a stream: pl_process_stdin, ... */
    PL_STDIO_PATH = 4,    /* the file of that path: input reads it, output makes it, or makes it empty */
    PL_STDIO_APPEND = 5,  /* the same, but output goes behind what is there */
    PL_STDIO_FILE = 6, /* a file that this program has open for it, from its beginning, with a position of the child's
                             own; output to one with PL_FILE_APPEND goes behind what is there. PL_EBADF: it is open for
                             something else; Windows: PL_ELOCKED, it is not shared */
    PL_STDIO_HANDLE =
        7, /* a descriptor, or on Windows a HANDLE, of the program, which stays its own. It must be one that
                             the child can use: on Windows not overlapped, on Unix as a rule not non-blocking */
    PL_STDIO_OUTPUT = 8 /* of standard error: the same as standard output */
};

/** One of the three. Zeroed: the default. */
typedef struct pl_stdio {
    int kind; /* enum pl_stdio_kind */
    int reserved;
    const char *path;
    pl_file *file;
    uintptr_t handle;
} pl_stdio;

typedef struct pl_process_options {
    size_t size; /* sizeof(pl_process_options) */
    const char
        *executable;    /* the file to run; NULL: the one that argv[0] names. A name without a slash is searched in the
                               PATH of this program; others are seen from its current folder. Windows: never searched in
                               the current folder or by relative parts of PATH, in the system's folder last; .com
                               and .exe are tried too. PL_ENOTSUP: a batch file, as its arguments cannot be quoted
                               in a safe way: run cmd.exe yourself */
    const char *folder; /* where it begins; NULL: this program's current folder */
    const char *const *environment; /* "NAME=value" ..., NULL at the end: all of its environment; NULL: this program's.
                                       On Windows SystemRoot is added, without which little works */
    const char *const *changes;     /* on top of that: "NAME=value" sets, "NAME" removes; NULL at the end; NULL: none */
    pl_stdio input;
    pl_stdio output;
    pl_stdio error;
    int new_group;     /* a process group of its own: Ctrl-C is not for it. Windows: CREATE_NEW_PROCESS_GROUP */
    int detached;      /* Unix: a session of its own; Windows: no console */
    int hidden;        /* Windows: no window. Unix: nothing */
    int kill_tree;     /* what it starts belongs to it, for pl_process_kill_tree. Windows: a job object; Unix: a process
                          group of its own, which its descendants may leave */
    int kill_on_close; /* a close kills it if it still runs; with kill_tree, also all that it has started, and on Windows
                          even the end of this program does */
} pl_process_options;

/** How a process ended. */
typedef struct pl_process_result {
    uint32_t exit_code; /* Windows: all 32 bits; Unix: 0 to 255, or 0 after a signal */
    int signal;         /* Unix: the signal that ended it; else 0 */
    int core_dumped;    /* nonzero: the system wrote its memory to a file */
    int reserved;
    pl_duration user_time;   /* of the processor; -1: not known */
    pl_duration system_time; /* likewise */
} pl_process_result;

/** Starts a program. Task call (suspends; the system's call runs on a worker).
 *  @param process  gets the process, with the owner's reference
 *  @param argv     the name by which it is called, then the arguments, NULL at the end; copied
 *  @param options  NULL: defaults
 *  @return PL_OK: it runs; else nothing does: PL_ENOENT, PL_EACCES, PL_ENOTSUP (the file is no program for this system, or
 *  a batch file), PL_ENOTDIR (the folder), PL_EMFILE, PL_ENOMEM, PL_EMSGSIZE (arguments or environment are too long),
 *  PL_EINVAL (text that is not UTF-8, on Windows), PL_EBUSY (the system takes no more processes), PL_ECANCELED ...
 *  Cancel: joined.   asyncio: create_subprocess_exec; Win32: CreateProcess; POSIX: fork and exec. */
PL_API int64_t pl_process_spawn(pl_process **process, const char *const *argv, const pl_process_options *options);

/** The same, started. The process stands in *process when the operation is done with PL_OK. */
PL_API int pl_process_spawn_start(pl_op *op, pl_process **process, const char *const *argv,
                                  const pl_process_options *options);

/** A process that was closed stays valid (its calls give PL_ECLOSED) while references are held. */
PL_API pl_process *pl_process_ref(pl_process *process);
PL_API void pl_process_unref(pl_process *process);

/** Closes its streams and gives the owner's reference back. Who waits for it gets PL_ECLOSED. A process that still runs is
 *  killed if it was spawned with kill_on_close; else it runs on, and is collected when it ends. Closing the loop closes
 *  its processes in the same way. Never suspends, never fails. NULL is allowed. */
PL_API void pl_process_close(pl_process *process);

/** pl_process_close, as a drop function. */
PL_API void pl_process_drop(void *process);

/** Its number; 0: NULL. */
PL_API uint64_t pl_process_id(const pl_process *process);

/** This program's end of a pipe to or from it; NULL: that handle is no pipe, or the process is closed. The process owns
 *  the stream and closes it, unless the caller has; pl_stream_shutdown(pl_process_stdin(p)) tells the child that no more
 *  input comes. */
PL_API pl_stream *pl_process_stdin(pl_process *process);
PL_API pl_stream *pl_process_stdout(pl_process *process);
PL_API pl_stream *pl_process_stderr(pl_process *process);

/** Waits for its end; several may, and after its end, too. It does not wait for what still lies in its pipes, nor for what
 *  it has started. Task call (suspends).
 *  @param result  gets the details; may be NULL
 *  @return the exit code; on Unix after a signal 128 and its number, as shells say it; PL_ECANCELED, PL_ECLOSED; PL_EBROKEN:
 *  somebody else collected it.   Cancel: immediate; the process goes on.   asyncio: Process.wait. */
PL_API int64_t pl_process_wait(pl_process *process, pl_process_result *result);

/** The same, started. `result` is the operation's until it is done. */
PL_API int pl_process_wait_start(pl_op *op, pl_process *process, pl_process_result *result);

/** What a process wrote. Zeroed: nothing yet. The caller gives it to pl_process_capture_free. */
typedef struct pl_process_capture {
    char *output; /* standard output, with a '\0' behind it; NULL: nothing */
    size_t output_size;
    char *error; /* standard error, likewise */
    size_t error_size;
    size_t limit;             /* set by the caller: bytes of each at most; 0: no limit */
    pl_process_result result; /* when it has ended */
    size_t output_capacity;   /* the library's own */
    size_t error_capacity;
} pl_process_capture;

/** Writes the input to a process and closes its standard input, reads both outputs to their ends, all at once, and then
 *  waits for its end. Those that are no pipes are left out. A child that does not want the input is no error. What it has
 *  started and what still holds its pipes is waited for. Task call (suspends).
 *  @param input    `size` bytes; NULL if there are none
 *  @param capture  what is read is appended to what it has
 *  @return as pl_process_wait; PL_EMSGSIZE: more than `limit` came, of which one byte is captured; PL_ECANCELED: the process
 *  runs on, and what was read stands in the capture: calling again with it goes on reading. The input may have been
 *  written in part (pl_stream_bytes_written); then no more can be, and going on is without input. PL_EBUSY: one of the
 *  streams is being read.   asyncio: Process.communicate. */
PL_API int64_t pl_process_communicate(pl_process *process, const void *input, size_t size, pl_process_capture *capture);

/** Frees what was captured; it is empty then, with the same limit. NULL is allowed. */
PL_API void pl_process_capture_free(pl_process_capture *capture);

/** Runs a program to its end: spawn, communicate, close. When it fails (PL_ECANCELED, also by a time limit; PL_EMSGSIZE) the
 *  process is killed, with kill_tree all that it has started too, and has ended when this returns. Task call (suspends).
 *  @param options  NULL: defaults; see PL_STDIO_DEFAULT
 *  @param capture  may be NULL: what it writes is read and dropped
 *  @return as pl_process_spawn and pl_process_communicate.   Python: subprocess.run. */
PL_API int64_t pl_process_run(const char *const *argv, const pl_process_options *options, const void *input,
                              size_t size, pl_process_capture *capture);

/** Asks it to end: SIGTERM; on Windows the same as pl_process_kill, with exit code 1. Never signals another process that
 *  has come to the same number. @return PL_OK; PL_ESTATE: it has ended; PL_EACCES, PL_ECLOSED, PL_EINVAL. */
PL_API int pl_process_terminate(pl_process *process);

/** Ends it at once: SIGKILL, TerminateProcess. @return likewise. */
PL_API int pl_process_kill(pl_process *process);

/** Ends it and all that it has started, also after its own end. @return likewise; PL_ESTATE: it was spawned without
 *  kill_tree. */
PL_API int pl_process_kill_tree(pl_process *process);

/** Sends a signal by its number. Windows: 9 is pl_process_kill, 15 pl_process_terminate, 21 is Ctrl-Break for a process
 *  with new_group in the same console; others PL_ENOTSUP. @return likewise. */
PL_API int pl_process_signal(pl_process *process, int number);

#ifdef __cplusplus
}
#endif

#endif
