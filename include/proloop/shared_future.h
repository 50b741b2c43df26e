/* proloop/shared_future.h: a result that several threads share: one makes it, others wait for it.
 *
 * A pl_future belongs to its loop's thread. A shared future belongs to nobody: every call here may come from any thread
 * unless it says otherwise, and memory goes with the last reference. It becomes done once: with a result (>= 0), a
 * pointer, an error (PL_E...), or by being cancelled. A thread without a loop blocks in pl_shared_future_wait; a task
 * awaits it (pl_shared_future_await), and a loop gets a future of its own that follows it (pl_future_from_shared). The
 * shared futures of tasks and jobs (pl_run_threadsafe, pl_thread_pool_submit_shared) are made done by these alone.
 *
 * One that goes with an error that nobody looked at is reported: to the loop that runs in the thread of the last
 * pl_shared_future_unref, else to standard error.
 */
#ifndef PROLOOP_SHARED_FUTURE_H
#define PROLOOP_SHARED_FUTURE_H

#include <proloop/base.h>
#include <proloop/future.h>
#include <proloop/loop.h>
#include <proloop/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_shared_future pl_shared_future;

/** Makes a shared future with one reference. @return PL_OK, PL_EINVAL, PL_ENOMEM.   asyncio:
 *  concurrent.futures.Future. */
#define pl_shared_future_create(...) pl_shared_future_create_here(__VA_ARGS__, PL_HERE)
PL_API int pl_shared_future_create_here(pl_shared_future **shared, const char *where);

PL_API pl_shared_future *pl_shared_future_ref(pl_shared_future *shared);
/** NULL is allowed. */
PL_API void pl_shared_future_unref(pl_shared_future *shared);

/** Makes it done. PL_ECANCELED as an error makes it cancelled. Cannot run out of memory.
 *  @return PL_OK; PL_EINVAL: the result is negative, or the error is not; PL_ESTATE: it is done already, or it belongs
 *  to a task or a job. */
PL_API int pl_shared_future_set_result(pl_shared_future *shared, int64_t result);
PL_API int pl_shared_future_set_error(pl_shared_future *shared, int64_t error);

/** Makes it done with a pointer; its result is 0. @param drop  gets the pointer if nobody takes it, on the thread of the
 *  last pl_shared_future_unref; and at once if this call fails; may be NULL */
PL_API int pl_shared_future_set_pointer(pl_shared_future *shared, void *pointer, pl_drop_fn *drop);

/** The pointer, which is the caller's from now on; NULL: there is none, or it was taken. */
PL_API void *pl_shared_future_take_pointer(pl_shared_future *shared);

/** Cancels it. A plain one: at once. One of a task or a job that has not begun: at once, and its argument is dropped; one
 *  that runs: a request, its end is the answer (a task is cancelled, once; a job runs on).
 *  @return 1: cancelled, or asked for; 0: it was done already. */
PL_API int pl_shared_future_cancel(pl_shared_future *shared);

/** enum pl_future_state. PL_EINVAL: NULL. */
PL_API int pl_shared_future_state(pl_shared_future *shared);

/** The result of one that is done: >= 0 or PL_E... (PL_ECANCELED if cancelled); PL_ESTATE: it is pending. */
PL_API int64_t pl_shared_future_result(pl_shared_future *shared);

/** Blocks the calling thread until it is done, `limit` at most (<= 0: not at all; PL_FOREVER). The running out of the
 *  limit changes nothing.
 *  @return its result; PL_ETIMEDOUT: the limit ran out; PL_ESTATE: a loop runs in this thread, and would stand still;
 *  PL_EINVAL.   asyncio: concurrent.futures.Future.result(timeout). */
PL_API int64_t pl_shared_future_wait(pl_shared_future *shared, pl_duration limit);

/** Waits for it. Task call. Cancelling the task cancels the shared future, for all who wait for it; the call returns when
 *  that is done: at once for a plain one, when it has ended for one of a task or a job.
 *  @return its result; PL_ECANCELED, PL_ENOTASK, PL_EINVAL. */
PL_API int64_t pl_shared_future_await(pl_shared_future *shared);

/** Makes a future of a loop that follows the shared one: its result, error or cancel arrives there by a post from the
 *  other thread, and a pointer goes with it unless somebody took it. Cancelling the future cancels the shared one; it is
 *  cancelled at once unless the shared one belongs to a task or a job that runs. What arrives after the loop was closed
 *  is dropped silently. Telling cannot run out of memory.
 *  @param loop  NULL: the running loop
 *  @return PL_OK, PL_EINVAL, PL_ENOMEM, PL_ENOLOOP, PL_ECLOSED, PL_ETHREAD.   asyncio: wrap_future. */
PL_API int pl_future_from_shared(pl_future **future, pl_shared_future *shared, pl_loop *loop);

/** Runs fn(arg) as a task of another thread's loop.
 *  @param shared  gets the shared future of its result, with a reference; NULL: none wanted. Cancelling it cancels the
 *  task. An error that keeps the task from being made there comes by it: PL_ENOMEM; PL_ECLOSED, the loop was closed first
 *  @param drop  gets `arg` if fn never runs, on the loop's thread; on this one if this call fails; may be NULL
 *  @return PL_OK, PL_EINVAL, PL_ENOMEM, PL_ECLOSED: the loop is gone.   asyncio: run_coroutine_threadsafe. */
#define pl_run_threadsafe(...) pl_run_threadsafe_here(__VA_ARGS__, PL_HERE)
PL_API int pl_run_threadsafe_here(pl_remote *remote, pl_shared_future **shared, pl_task_fn *fn, void *arg,
                                  pl_drop_fn *drop, const char *where);

#ifdef __cplusplus
}
#endif

#endif
