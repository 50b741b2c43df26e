/* proloop/closer.h: what is to be done at the end of a loop, when its tasks have ended: say goodbye to a server, flush a
 * log. A closer is a task function, so it may wait.
 *
 *     static pl_closer goodbye;
 *     pl_loop_add_closer(NULL, &goodbye, say_goodbye, connection);
 *
 * pl_run and pl_runner_close run them. Who closes a loop without those two awaits pl_loop_run_closers first; a closer that
 * is left when pl_loop_close comes is reported and does not run.
 *
 * All calls are for the loop's thread.
 */
#ifndef PROLOOP_CLOSER_H
#define PROLOOP_CLOSER_H

#include <proloop/base.h>
#include <proloop/loop.h>
#include <proloop/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A closer to come. Caller-owned; zeroed: idle; its own again when its function begins. */
typedef struct pl_closer {
    union {
        uint64_t space[10];
        void *align;
    } opaque;
} pl_closer;

/** Has fn(arg) run as a task when the loop's closers run: all at the same time, begun in the order in which they were
 *  added. An error of it other than PL_ECANCELED is reported.
 *  @param loop  NULL: the running loop
 *  @return PL_OK; PL_EINVAL, PL_ENOLOOP, PL_ECLOSED, PL_ETHREAD; PL_EBUSY: it is added already; PL_ESTATE: the closers of
 *  this loop have been run, or are running: it will not run, which is reported too.
 *  asyncio: what an asynchronous generator does for itself when it is first iterated. */
#define pl_loop_add_closer(...) pl_loop_add_closer_here(__VA_ARGS__, PL_HERE)
PL_API int pl_loop_add_closer_here(pl_loop *loop, pl_closer *closer, pl_task_fn *fn, void *arg, const char *where);

/** Takes it back; the struct is yours at once. @return 1: it will not run; 0: it was idle, or its function has begun;
 *  PL_ETHREAD. */
PL_API int pl_closer_remove(pl_closer *closer);

/** Runs the closers of the running loop, and waits until all have ended. No more can be added from now on. Without memory
 *  for so many tasks they run one after another. Task call.
 *  @return PL_OK; PL_ENOTASK; PL_ECANCELED: those that had begun were cancelled and have ended, the others are still
 *  added.   asyncio: loop.shutdown_asyncgens. */
PL_API int pl_loop_run_closers(void);

#ifdef __cplusplus
}
#endif

#endif
