/* proloop/run.h: a whole program in one call, or in several that share a loop. */
#ifndef PROLOOP_RUN_H
#define PROLOOP_RUN_H

#include <proloop/base.h>
#include <proloop/loop.h>
#include <proloop/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_run_options {
    size_t size;                 /* sizeof(pl_run_options) */
    const pl_loop_options *loop; /* NULL: defaults */
    int leave_interrupts;        /* nonzero: Ctrl-C stays the program's own affair */
} pl_run_options;

/** Makes a loop, runs fn(arg) as its main task, and closes the loop, in the order that pl_runner_close says. Ctrl-C (and
 *  SIGTERM; on Windows Ctrl-Break, console close and shutdown) cancels the main task: every wait in it returns
 *  PL_ECANCELED from then on, shielded regions excepted. A second Ctrl-C ends the program. Streams that were closed with
 *  writes still queued have their linger time before the loop is gone (stream.h).
 *
 *  An event that the program watches (signal.h) is left to the watchers, the second Ctrl-C too.
 *
 *  Interrupts stay with the system, or with the program's own handler, in a thread that is not the main one, where
 *  another run watches for them already, and on Unix for each of the two signals that has a handler or is ignored. (On
 *  Windows handlers cannot be asked for: the program's own goes first if it was added after the first run began.)
 *  @param options  NULL: defaults
 *  @return the main task's result; PL_EINTERRUPTED if it ended with PL_ECANCELED because of Ctrl-C and had no cancel of
 *  its own (pl_task_cancelling); PL_EBUSY if a loop is running in this thread, or the error that kept the loop or the task
 *  from being made.   asyncio: asyncio.run. */
#define pl_run(...) pl_run_here(__VA_ARGS__, PL_HERE)
PL_API int64_t pl_run_here(pl_task_fn *fn, void *arg, const pl_run_options *options, const char *where);

/** A loop for several runs, one after another, which share it and its context: a test's steps, the lines of a console, a
 *  blocking program that calls tasks now and then. asyncio: asyncio.Runner. */
typedef struct pl_runner pl_runner;

/** Makes one. Its loop is made at the first use, by the loop factory if there is one (pl_set_loop_factory), and belongs
 *  to the thread that runs it. Any thread; one thread at a time.
 *  @param options  NULL: defaults; copied, but for the name of the backend, which is kept as a pointer until the loop is
 *  made
 *  @return PL_OK, PL_EINVAL, PL_ENOMEM. */
PL_API int pl_runner_create(pl_runner **runner, const pl_run_options *options);

/** Runs fn(arg) as a main task until it has ended; other tasks go on in the next run. Main tasks run in one context: what
 *  one sets, the next one sees (context.h). Interrupts are as in pl_run while this call lasts, and the system's between two
 *  calls. One that came too late for a run to see it cancels the next one: fn then does not run.
 *  @return as pl_run; PL_ESTOPPED: pl_loop_stop came first, the main task goes on in the next run; PL_ECLOSED: the loop
 *  was closed; PL_ETHREAD: it belongs to another thread.   asyncio: Runner.run. */
#define pl_runner_run(...) pl_runner_run_here(__VA_ARGS__, PL_HERE)
PL_API int64_t pl_runner_run_here(pl_runner *runner, pl_task_fn *fn, void *arg, const char *where);

/** The runner's loop, made now if this is the first use.
 *  @return PL_OK; PL_EINVAL, PL_ECLOSED, or the error that kept it from being made.   asyncio: Runner.get_loop. */
PL_API int pl_runner_loop(pl_runner *runner, pl_loop **loop);

/** Ends the loop, and frees the runner: the tasks that are left are cancelled, as a level, and waited for; their errors that
 *  nobody looked at are reported. Then the closers run (closer.h), then the loop's thread pool is waited for, then the
 *  loop is closed (pl_loop_close). Everything of that may still run callbacks.
 *  @return PL_OK, also for NULL; PL_EBUSY: inside its own run, PL_ETHREAD: nothing was done; PL_ESTATE: freed, but a task
 *  would not end.   asyncio: Runner.close. */
PL_API int pl_runner_close(pl_runner *runner);

#ifdef __cplusplus
}
#endif

#endif
