/* proloop/loop.h: the event loop: callbacks, timers, and how other threads reach it.
 *
 * A loop belongs to one thread: the first that runs it. It calls callbacks one by one, first in first out. One
 * iteration, as in asyncio: wait for completions or the first timer (not at all if anything is ready), make the
 * callbacks of what completed ready, then those of the timers that are due, then run exactly what is ready now; what
 * that adds waits for the next iteration.
 *
 * A callback runs on the loop's own stack and must not suspend: a call that would gets PL_ENOTASK. Programs that wait
 * are written as tasks (task.h).
 *
 * Unless said otherwise a call must come from the loop's thread; in debug mode it gets PL_ETHREAD if it does not. One
 * that cannot return that does nothing, and standard error is told.
 */
#ifndef PROLOOP_LOOP_H
#define PROLOOP_LOOP_H

#include <proloop/base.h>
#include <proloop/context.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_loop pl_loop;
typedef struct pl_future pl_future;
typedef struct pl_task pl_task;

/** What a loop calls. */
typedef void pl_callback_fn(void *arg);

/** Something nobody was there to be told: an error no one looked at, an accept that failed, a task that would not
 *  end. Valid during the handler's call. */
typedef struct pl_report {
    const char *message;  /* one line of English */
    int64_t error;        /* PL_E... or 0 */
    int32_t system_error; /* the system's own code or 0 */
    const char *task;     /* the name of the task concerned, or NULL */
    const char *where;    /* "file.c:12", where it was made or began, or NULL */
    const char *stack;    /* the stack on which it was made, a line per frame, in debug mode 2; or NULL */
} pl_report;

/** Gets the loop's reports. Runs on the loop's thread, must not suspend. */
typedef void pl_exception_handler_fn(pl_loop *loop, const pl_report *report, void *arg);

typedef struct pl_loop_options {
    size_t size;               /* sizeof(pl_loop_options) */
    const char *backend;       /* "iocp", "epoll", "sim"; NULL: what PROLOOP_BACKEND says, or the best of the system */
    uint64_t seed;             /* of the simulated backend, and of pl_select's choices; 0: a fixed one */
    int debug;                 /* 1: on, 2: and notes stacks, 0: what PROLOOP_DEBUG says, -1: off. See debug.h */
    size_t stack_size;         /* bytes of a task's stack unless said at spawn; 0: 256 KiB */
    size_t task_budget;        /* awaits that need not wait before a task must give way once; 0: 256 */
    pl_duration slow_callback; /* debug mode: callbacks and steps of tasks that take this long are reported, by the
                                  system's clock; 0: PL_MS(100); PL_FOREVER: never */
    pl_duration watchdog;      /* debug mode: the loop is stuck when one takes this long (pl_loop_set_watchdog_handler);
                                  0: PL_SECONDS(1); PL_FOREVER: there is no watchdog */
} pl_loop_options;

/* A number that changes when the layout of the structs in these headers does: the library checks it. */
#define PL_ABI 3

/** Makes a loop. Any thread; it is bound to the thread that first runs it.
 *  @param options  NULL: defaults
 *  @return PL_OK; PL_ENOMEM, PL_EINVAL (no backend of that name), PL_EABI, PL_EMFILE ... */
#define pl_loop_create(loop, options) pl_loop_create_checked((loop), (options), PL_ABI)
PL_API int pl_loop_create_checked(pl_loop **loop, const pl_loop_options *options, uint32_t abi);

/** Makes a loop for those who bring none of their own: pl_run, pl_runner, pl_loop_default, loop threads. Runs in the
 *  thread that wants one, perhaps in several at a time; makes it by pl_loop_create, which itself is never redirected.
 *  @param options  what the caller asked for; NULL: nothing special
 *  @return PL_OK, with a loop that has not run yet in *loop; else the error that the caller then returns. */
typedef int pl_loop_factory_fn(pl_loop **loop, const pl_loop_options *options, void *arg);

/** Sets it for the process; NULL: pl_loop_create again. Any thread, at any time; a thread that has just asked the one of
 *  before may still be inside it.   asyncio: set_event_loop_policy, loop_factory. */
PL_API int pl_set_loop_factory(pl_loop_factory_fn *factory, void *arg);

/** Ends a loop: cancels its tasks and lets them end, closes its listeners and streams, cancels what is in flight and
 *  waits for that, drops the callbacks that are still to come, and frees it. Its remotes say PL_ECLOSED from now on.
 *  A task that ignores its cancel a thousand times is reported and left behind with its stack.
 *  @return PL_OK, also for NULL; PL_EBUSY: the loop is running; PL_ETHREAD: it is bound to another thread;
 *  PL_ESTATE: a task would not end. */
PL_API int pl_loop_close(pl_loop *loop);

/** Runs until pl_loop_stop. @return PL_OK; PL_EBUSY: a loop is running in this thread already; PL_ETHREAD. */
PL_API int pl_loop_run_forever(pl_loop *loop);

/** Runs until the future is done, and takes its result. @return the result; PL_ESTOPPED: pl_loop_stop came first;
 *  PL_EINVAL: a future of another loop; PL_EBUSY, PL_ETHREAD. */
PL_API int64_t pl_loop_run_until_complete(pl_loop *loop, pl_future *future);

/** Runs one iteration, waiting at most `limit` (0: not at all; PL_FOREVER). For a loop inside another.
 *  @return PL_OK; PL_EBUSY: called from one of its callbacks or tasks, or while another loop runs; PL_ETHREAD. */
PL_API int pl_loop_run_once(pl_loop *loop, pl_duration limit);

/** Tells a host that its embedded loop has something to do. On the loop's thread, or on one of the library's: it may only
 *  leave word for the host (post a message, set a flag and wake it), and must not call the loop. */
typedef void pl_wake_fn(void *arg);

/** Puts a loop inside a foreign one: of a GUI, of another library. That one, the host, owns the thread, which is the
 *  calling one. From now on wake(arg) is called when there is something to do, once until the host's next
 *  pl_loop_run_once(loop, 0); the host has to make that call, and after each one to be back at pl_loop_next_deadline.
 *  Runs that wait get PL_ESTATE. The library waits for the system on a thread of its own.
 *  @param wake  NULL, where there is pl_loop_backend_fd: the host watches that instead, and there is no thread
 *  @return PL_OK; PL_EBUSY: it is embedded already, or running; PL_ENOTSUP: the backends sim, poll, select; PL_ETHREAD, PL_ENOMEM,
 *  PL_ELIMIT (threads), PL_EINVAL, PL_ECLOSED.   Win32: a message loop.   asyncio: none; libuv: uv_backend_fd. */
PL_API int pl_loop_embed(pl_loop *loop, pl_wake_fn *wake, void *arg);

/** It is a loop of its own again; once this has returned wake is not called any more. Closing the loop does the same.
 *  @return PL_OK; PL_ESTATE: it is not embedded; PL_EBUSY: it is running; PL_ETHREAD, PL_EINVAL, PL_ECLOSED. */
PL_API int pl_loop_unembed(pl_loop *loop);

/** When an embedded loop has to run again if nothing else happens: a point on its clock (pl_loop_time), not after now if
 *  something is ready; PL_FOREVER: never. Negative: PL_EINVAL, PL_ECLOSED, PL_ETHREAD. */
PL_API pl_duration pl_loop_next_deadline(pl_loop *loop);

/** Of Unix: a descriptor that is readable when the loop has something to do, for poll, epoll and the like; it belongs to
 *  the loop, and is only ever waited for. PL_ENOTSUP: there is none (Windows; sim, poll, select). Any thread. */
PL_API int pl_loop_backend_fd(const pl_loop *loop);

/** Makes run_forever return after the present iteration; before a run: after one iteration that does not wait. */
PL_API int pl_loop_stop(pl_loop *loop);

/** The time on the loop's clock, which never goes back; deadlines are points on it. PL_EINVAL: NULL, or a closed
 *  loop; PL_ETHREAD. */
PL_API pl_duration pl_loop_time(pl_loop *loop);

/** The loop that runs in this thread; NULL: none. Any thread. Never inherited by a child made by fork. */
PL_API pl_loop *pl_loop_running(void);

/** The loop of the main thread, made at the first call; PL_ETHREAD in any other thread, which makes its own. Close
 *  it like any other; the next call makes a new one. Made by the loop factory if there is one, whose error it returns. */
PL_API int pl_loop_default(pl_loop **loop);

/** The name of the backend that serves this loop: "iocp", "epoll", "sim". */
PL_API const char *pl_loop_backend(const pl_loop *loop);

/** Calls fn(arg) in the next iteration, after what is ready already.
 *  @param loop  NULL: the running loop
 *  @param drop  called with `arg` instead of fn if the loop is closed before, and if this call fails; may be NULL
 *  @return PL_OK, PL_ENOMEM, PL_EINVAL, PL_ENOLOOP, PL_ETHREAD (debug mode).   asyncio: loop.call_soon. */
#define pl_call_soon(...) pl_call_soon_here(__VA_ARGS__, PL_HERE)
PL_API int pl_call_soon_here(pl_loop *loop, pl_callback_fn *fn, void *arg, pl_drop_fn *drop, const char *where);

/** A callback to come that can be taken back. Caller-owned; zeroed: idle; its own again when it runs. */
typedef struct pl_callback {
    union {
        uint64_t space[12];
        void *align;
    } opaque;
} pl_callback;

/** As pl_call_soon, in memory of the caller: cannot run out of it. PL_EBUSY: it is scheduled already. */
#define pl_callback_schedule(...) pl_callback_schedule_here(__VA_ARGS__, PL_HERE)
PL_API int pl_callback_schedule_here(pl_callback *callback, pl_loop *loop, pl_callback_fn *fn, void *arg,
                                     const char *where);

/** Takes it back, wherever it waits; the struct is yours at once. @return 1: it will not run; 0: it was idle. */
PL_API int pl_callback_cancel(pl_callback *callback);

/** The context in which an idle callback will run, the next time that it is scheduled or added to a future, instead of
 *  a copy of the one in which that is done. The callback holds it until it runs or is cancelled; NULL: none.
 *  @return PL_OK; PL_EINVAL; PL_EBUSY: it is scheduled. */
PL_API int pl_callback_set_context(pl_callback *callback, pl_context *context);

/** A timer. Caller-owned; zeroed: idle; its own again when it runs. */
typedef struct pl_timer {
    union {
        uint64_t space[16];
        void *align;
    } opaque;
} pl_timer;

/** Calls fn(arg) once, when `delay` has passed and never before; <= 0: in the next iteration. Timers of equal
 *  deadline run in the order in which they were started. A running timer is started anew.
 *  @param loop  NULL: the running loop
 *  @return PL_OK, PL_ENOMEM, PL_EINVAL, PL_ENOLOOP, PL_ETHREAD.   asyncio: loop.call_later. */
#define pl_timer_start(...) pl_timer_start_here(__VA_ARGS__, PL_HERE)
PL_API int pl_timer_start_here(pl_timer *timer, pl_loop *loop, pl_duration delay, pl_callback_fn *fn, void *arg,
                               const char *where);

/** The same for a point on the loop's clock (pl_loop_time).   asyncio: loop.call_at. */
#define pl_timer_start_at(...) pl_timer_start_at_here(__VA_ARGS__, PL_HERE)
PL_API int pl_timer_start_at_here(pl_timer *timer, pl_loop *loop, pl_duration deadline, pl_callback_fn *fn, void *arg,
                                  const char *where);

/** Stops it; the struct is yours at once. @return 1: it will not run; 0: it was idle. */
PL_API int pl_timer_stop(pl_timer *timer);

/** As pl_callback_set_context. */
PL_API int pl_timer_set_context(pl_timer *timer, pl_context *context);

/** A loop, seen from other threads: counted, outlives its loop. */
typedef struct pl_remote pl_remote;

/** The loop's remote, with a reference for the caller. The loop's thread, or before the loop first runs. */
PL_API pl_remote *pl_loop_remote(pl_loop *loop);

/** Any thread. */
PL_API pl_remote *pl_remote_ref(pl_remote *remote);
PL_API void pl_remote_unref(pl_remote *remote);

/** As pl_call_soon, from any thread. Wakes the loop; many calls wake it once.
 *  @param drop  called with `arg`, on the loop's thread, if the loop is closed before; on this thread, if this call
 *  fails; may be NULL
 *  @return PL_OK, PL_ENOMEM, PL_EINVAL, PL_ECLOSED: the loop is gone.   asyncio: loop.call_soon_threadsafe. */
#define pl_call_soon_threadsafe(...) pl_call_soon_threadsafe_here(__VA_ARGS__, PL_HERE)
PL_API int pl_call_soon_threadsafe_here(pl_remote *remote, pl_callback_fn *fn, void *arg, pl_drop_fn *drop,
                                        const char *where);

/** Told of each task's steps. `entering` is 1 before a step and 0 after it. Runs on the loop's thread, outside the task. */
typedef void pl_switch_fn(pl_task *task, int entering, void *arg);

/** For what is kept per thread and should be per task: a library's "current" object, errno of old code, a locale. The
 *  hook is called before each step of a task and after it, in pairs that never nest: where a task starts an eager one, it
 *  is left first and entered again afterwards. After a task's last step its future is done (pl_future_state). In the hook
 *  there is no current task: it must not wait, and what it spawns is not eager. A task that never runs is never told of,
 *  nor is one that is left behind when the loop is closed.
 *  @param hook  NULL: none, as at first
 *  @return PL_OK; PL_EBUSY: from a task or from the hook; PL_EINVAL, PL_ECLOSED, PL_ETHREAD. */
PL_API int pl_loop_set_switch_hook(pl_loop *loop, pl_switch_fn *hook, void *arg);

/** Where reports go. NULL: to standard error, one line each. */
PL_API int pl_loop_set_exception_handler(pl_loop *loop, pl_exception_handler_fn *handler, void *arg);

/** Gives a report to the handler. A report made inside the handler goes to standard error. */
PL_API void pl_loop_report(pl_loop *loop, const pl_report *report);

#ifdef __cplusplus
}
#endif

#endif
