/* proloop/run.h: a whole program in one call. */
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

/** Makes a loop, runs fn(arg) as its main task, and closes the loop: the tasks that are left are cancelled and
 *  waited for, their errors reported. Ctrl-C (and SIGTERM; on Windows Ctrl-Break, console close, logoff and
 *  shutdown) cancels the main task: every wait in it returns PL_ECANCELED from then on, shielded regions excepted. A
 *  second Ctrl-C ends the program. Streams that were closed with writes still queued have their linger time before
 *  the loop is gone (stream.h).
 *  @param options  NULL: defaults
 *  @return the main task's result; PL_EINTERRUPTED if it ended with PL_ECANCELED because of Ctrl-C; PL_EBUSY if a
 *  loop is running in this thread, or the error that kept the loop from being made.   asyncio: asyncio.run. */
PL_API int64_t pl_run(pl_task_fn *fn, void *arg, const pl_run_options *options);

#ifdef __cplusplus
}
#endif

#endif
