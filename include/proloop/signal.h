/* proloop/signal.h: signals of Unix and events of a Windows console, as something that a task waits for.
 *
 * A watcher watches one event or several for its loop. Any number of watchers, in any loops and threads of the process,
 * may watch the same event, and each is told of it. While an event is watched the system's own answer to it (mostly: the
 * end of the program) does not happen, and pl_run leaves it alone: a program that watches PL_SIGNAL_INTERRUPT decides
 * itself what Ctrl-C means, a second one included. When the last watcher of an event is closed all is as it was before.
 *
 * Nothing is lost while a watcher is open: whatever arrives after a watcher was told makes it be told again. What arrives
 * before it was told is told in one go, with the number of times in pl_signal_info.count; two of one kind that come so
 * close that the system itself merges them (POSIX keeps one pending signal of each kind) count as one.
 *
 *     pl_signal *signals;
 *     pl_signal_info info;
 *     const int events[] = {PL_SIGNAL_HANG_UP, PL_SIGNAL_USER_1};
 *     pl_signal_open(&signals, events, 2, NULL);
 *     while (pl_signal_wait(signals, &info) == PL_OK)
 *         ...
 */
#ifndef PROLOOP_SIGNAL_H
#define PROLOOP_SIGNAL_H

#include <proloop/base.h>
#include <proloop/loop.h>
#include <proloop/op.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What can be watched. On Unix any other signal is watched by its number (SIGALRM, SIGRTMIN + 1 ...). */
enum pl_signal_event {
    PL_SIGNAL_INTERRUPT = 256, /* Ctrl-C: SIGINT; CTRL_C_EVENT */
    PL_SIGNAL_BREAK,           /* the terminal's other key: SIGQUIT (Ctrl-\); CTRL_BREAK_EVENT */
    PL_SIGNAL_TERMINATE,       /* please end: SIGTERM; nothing on Windows */
    PL_SIGNAL_HANG_UP,         /* the terminal or console was closed: SIGHUP; CTRL_CLOSE_EVENT */
    PL_SIGNAL_LOGOFF,          /* Windows: a user logs off (services are told, whoever it is): CTRL_LOGOFF_EVENT */
    PL_SIGNAL_SHUTDOWN,        /* Windows: the machine shuts down: CTRL_SHUTDOWN_EVENT */
    PL_SIGNAL_CHILD,           /* Unix: a child stopped or ended: SIGCHLD */
    PL_SIGNAL_WINDOW,          /* Unix: the terminal's size changed: SIGWINCH */
    PL_SIGNAL_USER_1,          /* Unix: SIGUSR1 */
    PL_SIGNAL_USER_2           /* Unix: SIGUSR2 */
};

/** What a watcher is told. */
typedef struct pl_signal_info {
    int event;      /* PL_SIGNAL_..., or the number of a signal that has no such name */
    int number;     /* the system's: SIGINT, CTRL_C_EVENT ... */
    uint32_t count; /* how often it arrived since this watcher was told of it last; at least 1 */
    uint32_t reserved;
} pl_signal_info;

/** A watcher. Freed by pl_signal_close. */
typedef struct pl_signal pl_signal;

typedef struct pl_signal_options {
    size_t size;      /* sizeof(pl_signal_options) */
    pl_loop *loop;    /* NULL: the running loop */
    int take_ignored; /* nonzero: signals that the program was started with ignored (nohup) are watched too; else those
                         stay ignored, and the watcher is never told of them */
    int pass_on; /* nonzero, on Windows: afterwards the console handlers that were added before proloop's have their
                         turn; the last of them is the system's, which ends the process. On Unix a handler that was there
                         before is always called */
} pl_signal_options;

/** Opens a watcher. Events that this system does not have are left out, so that one list serves all systems.
 *
 *  On Unix the program's handler of a watched signal is called after ours; a handler that is set over ours is left in
 *  place when the last watcher is closed. Signals reach threads that do not block them: those of this library do. On
 *  Windows the handlers of a console are a chain which the last one added begins. Ours is added at the first use in the
 *  process and stays, idle while nobody watches; it answers a watched event itself, unless `pass_on` says otherwise.
 *  In debug mode PL_SIGNAL_BREAK makes a dump as well (debug.h).
 *  @param events  `count` of them, PL_SIGNAL_... or numbers of signals; 1 to 128
 *  @param options  NULL: defaults
 *  @return PL_OK; PL_ENOTSUP: none of them exists here, or the backend has none; PL_EINVAL: there is no such event, or a
 *  signal that cannot be caught (SIGKILL); PL_ENOMEM, PL_ENOLOOP, PL_ECLOSED, PL_ETHREAD. */
PL_API int pl_signal_open(pl_signal **watcher, const int *events, size_t count, const pl_signal_options *options);

/** Waits until one of the events has arrived, or takes one that has. Task call (suspends). Of several that have, each has
 *  its turn.
 *  @return PL_OK, and *info says which; PL_EBUSY: another wait is under way; PL_ECLOSED; PL_ECANCELED: nothing was
 *  taken.   Cancel: immediate.   POSIX: sigwaitinfo; Win32: SetConsoleCtrlHandler. */
PL_API int64_t pl_signal_wait(pl_signal *watcher, pl_signal_info *info);

/** The same, started. `info` must live until it is done. */
PL_API int pl_signal_wait_start(pl_op *op, pl_signal *watcher, pl_signal_info *info);

/** Says that the program has cleaned up after what this watcher was told. On Windows the process ends as soon as the
 *  handler of a console close, a logoff or a shutdown has returned; so ours stays until every watcher that was told has
 *  said this or was closed (then two seconds more, in which main() may return), or until the system's patience ends (some
 *  five seconds). Elsewhere it does nothing.
 *  @return PL_OK; PL_EINVAL, PL_ECLOSED, PL_ETHREAD. */
PL_API int pl_signal_done(pl_signal *watcher);

/** Closes a watcher and gives the owner's reference back; a wait gets PL_ECLOSED. What arrived and was not told is
 *  dropped. Never suspends, never fails. NULL is allowed. */
PL_API void pl_signal_close(pl_signal *watcher);

/** A watcher that was closed stays valid (its calls give PL_ECLOSED) while references are held. */
PL_API pl_signal *pl_signal_ref(pl_signal *watcher);
PL_API void pl_signal_unref(pl_signal *watcher);

/** Called on the loop's thread, as a callback: must not suspend. When it returns, it counts as pl_signal_done. */
typedef void pl_signal_fn(const pl_signal_info *info, void *arg);

/** From now on the loop calls fn whenever that event has arrived, in a copy of the present context; instead of the
 *  function that it called before, if there was one. Ends with the loop.
 *  @param loop  NULL: the running loop
 *  @param fn  NULL: no longer
 *  @return 1: there was one before; 0: there was none; errors as pl_signal_open (PL_ENOTSUP: not here).
 *  asyncio: loop.add_signal_handler, loop.remove_signal_handler. */
PL_API int pl_signal_handle(pl_loop *loop, int event, pl_signal_fn *fn, void *arg);

#ifdef __cplusplus
}
#endif

#endif
