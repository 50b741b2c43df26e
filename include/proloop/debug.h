/* proloop/debug.h: what a program does, seen from outside: dumps, metrics, and the watchdog of debug mode.
 *
 * Debug mode is a loop's own (pl_loop_options.debug, or PROLOOP_DEBUG=1 in the environment for all that do not say). In
 * it calls from the wrong thread are refused, callbacks that take long are reported (pl_loop_options.slow_callback), a
 * watchdog thread says while the loop is stuck in which task or callback that is, and Ctrl-\ (SIGQUIT; on Windows
 * Ctrl-Break) writes a dump of every running loop in debug mode to standard error, unless the program has a handler of
 * its own for that. Level 2 also notes the stack on which each future and task was made; that costs memory and time.
 *
 * Dumps and metrics are there in every mode, and cost nothing until asked for.
 */
#ifndef PROLOOP_DEBUG_H
#define PROLOOP_DEBUG_H

#include <proloop/base.h>
#include <proloop/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Takes text that the library writes: `size` bytes, without a NUL. */
typedef void pl_write_fn(const char *text, size_t size, void *arg);

/** Writes what the loop and each of its tasks are doing: for each task its name, where it was spawned, whether it runs,
 *  is ready, waits or has not begun, what it waits for, its open scopes, its stack, its cancels, and the chain of those
 *  that wait for it. The text is made on the loop's thread between two callbacks (at once, if that thread asks), and
 *  handed to `write` on the caller's. It is for people: its form may change. Any thread.
 *  @param limit  how long to wait for the loop, which answers only while it runs; PL_FOREVER
 *  @return PL_OK; PL_EINVAL; PL_ENOMEM; PL_ECLOSED: the loop is gone; PL_ETIMEDOUT: it did not answer. Then, in debug
 *  mode, what is written says in which callback or task it is.   asyncio: all_tasks, print_call_graph. */
PL_API int pl_dump(pl_remote *remote, pl_duration limit, pl_write_fn *write, void *arg);

/** Numbers of a loop. Those that only grow count from its beginning; the others are of the moment. */
typedef struct pl_metrics {
    size_t size;                  /* sizeof(pl_metrics), set before the call */
    uint64_t iterations;          /* grows */
    uint64_t polls;               /* grows: looks at the system; with ready work some iterations leave it out */
    pl_duration poll_time;        /* grows: time in them, mostly waiting */
    uint64_t callbacks;           /* grows: callbacks and steps of tasks that were run */
    uint64_t posts;               /* grows: calls that other threads posted */
    uint64_t wake_ups;            /* grows: times that such calls were found; many posts may wake a loop once */
    uint64_t tasks_made;          /* grows */
    uint64_t tasks;               /* that are not done */
    uint64_t ready;               /* callbacks that are ready to run */
    uint64_t timers;              /* that are running */
    uint64_t in_flight;           /* requests that the system has */
    uint64_t streams;             /* that are open */
    uint64_t listeners;           /* likewise */
    pl_duration longest_callback; /* debug mode: how long the longest callback or step took; else 0 */
} pl_metrics;

/** The loop's numbers now. NULL: the running loop. @return PL_OK; PL_EINVAL: `metrics` is NULL or has another size;
 *  PL_ENOLOOP, PL_ECLOSED, PL_ETHREAD (debug mode). */
PL_API int pl_loop_metrics(pl_loop *loop, pl_metrics *metrics);

/** The same from any thread, by asking the loop, which answers while it runs. @param limit  as in pl_dump
 *  @return PL_OK; PL_EINVAL, PL_ENOMEM, PL_ECLOSED, PL_ETIMEDOUT. */
PL_API int pl_remote_metrics(pl_remote *remote, pl_duration limit, pl_metrics *metrics);

/** A task or a callback, in a watchdog's report. */
typedef struct pl_watchdog_place {
    const char *task;  /* its name; NULL: a callback */
    const char *where; /* "file.c:12", where the task was spawned or the callback asked for; NULL: by the library */
} pl_watchdog_place;

/** What a watchdog says. Valid during the handler's call. */
typedef struct pl_watchdog_report {
    pl_duration stuck;                 /* for how long */
    int ended;                         /* nonzero: the loop goes on now */
    pl_watchdog_place place;           /* in what */
    const pl_watchdog_place *awaiters; /* the task that waits for it, the one that waits for that, ... */
    size_t awaiter_count;              /* at most 8 */
} pl_watchdog_report;

/** Gets a watchdog's reports, on the watchdog's thread, while the loop may be at work on its own. */
typedef void pl_watchdog_fn(const pl_watchdog_report *report, void *arg);

/** Where the reports of the loop's watchdog go: when a callback or a task's step has run for as long as
 *  pl_loop_options.watchdog says, again at twice that time and so on, and when it has ended. NULL: to standard error. On
 *  return the handler of before is not running any more.
 *  @return PL_OK; PL_EINVAL; PL_ESTATE: the loop has no watchdog; PL_ETHREAD, PL_ECLOSED. */
PL_API int pl_loop_set_watchdog_handler(pl_loop *loop, pl_watchdog_fn *handler, void *arg);

#ifdef __cplusplus
}
#endif

#endif
