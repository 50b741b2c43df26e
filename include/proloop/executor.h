/* proloop/executor.h: functions that block, on threads of a pool.
 *
 * A *job* is a call of fn(arg) on one of the pool's threads. It is queued, runs, and ends; its result goes to a future of
 * the loop that submitted it, or to a shared future. A job that is cancelled while it is queued never runs and drops its
 * argument at once; one that runs is never interrupted: its end answers, with its true result.
 *
 * A job must not touch what belongs to a loop: it has its argument, and the calls marked "any thread". Its result is
 * >= 0, or an error, as a task's. PL_ECANCELED as a result makes its future cancelled.
 *
 * Each loop has a default pool, made when it is first needed, and given up when the loop is closed.
 */
#ifndef PROLOOP_EXECUTOR_H
#define PROLOOP_EXECUTOR_H

#include <proloop/base.h>
#include <proloop/future.h>
#include <proloop/loop.h>
#include <proloop/shared_future.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_thread_pool pl_thread_pool;

/** What a job runs, on a thread of the pool. */
typedef int64_t pl_job_fn(void *arg);

typedef struct pl_thread_pool_options {
    size_t size;        /* sizeof(pl_thread_pool_options) */
    uint32_t threads;   /* at most; 0: the processors + 4, 32 at most. They are started as jobs come */
    pl_duration idle;   /* a thread without work for so long ends; 0: 30 s; PL_FOREVER: it stays */
    size_t queue_limit; /* jobs that may wait for a thread; 0: no limit */
    const char *name;   /* of its threads, in debuggers (15 bytes of it); NULL: "proloop pool" */
} pl_thread_pool_options;

/** Makes a pool with one reference, and no thread yet. Any thread. @param options  NULL: defaults
 *  @return PL_OK, PL_EINVAL, PL_ENOMEM.   asyncio: ThreadPoolExecutor. */
PL_API int pl_thread_pool_create(pl_thread_pool **pool, const pl_thread_pool_options *options);

/** Any thread. The last unref is a pl_thread_pool_shutdown with limit 0. NULL is allowed. */
PL_API pl_thread_pool *pl_thread_pool_ref(pl_thread_pool *pool);
PL_API void pl_thread_pool_unref(pl_thread_pool *pool);

/** Ends it: from now on it takes no jobs. What is queued still runs, until `limit` has passed (PL_FOREVER); then what is
 *  still queued is dropped, on this thread, and its futures are cancelled. What runs then goes on, and its thread ends
 *  after it. Blocks. Any thread; may be called again.
 *  @param limit  0: drops what is queued at once, and does not wait for what runs
 *  @return PL_OK: all its jobs have ended; PL_ETIMEDOUT: some still run; PL_ESTATE: a loop runs in this thread and would
 *  stand still (limit > 0 only); PL_EDEADLOCK: called by one of its own jobs (limit > 0 only); PL_EINVAL.
 *  asyncio: Executor.shutdown. */
PL_API int pl_thread_pool_shutdown(pl_thread_pool *pool, pl_duration limit);

/** How many threads it has, and how many jobs wait for one. Any thread; may be out of date when it returns. */
PL_API size_t pl_thread_pool_threads(pl_thread_pool *pool);
PL_API size_t pl_thread_pool_queued(pl_thread_pool *pool);

/** Runs fn(arg) on the pool, for the running loop. Closing the loop drops what is queued; what runs goes on, and its
 *  future ends with PL_ECLOSED.
 *  @param pool  NULL: the loop's default pool
 *  @param future  gets the future of its result, with a reference; NULL: none wanted
 *  @param drop  gets `arg` if fn never runs, on the thread that takes the job back (the loop's; that of
 *  pl_thread_pool_shutdown), and if this call fails; may be NULL
 *  @return PL_OK, PL_EINVAL, PL_ENOMEM, PL_ENOLOOP, PL_ECLOSED, PL_ELIMIT: the queue is full, or the system gives no
 *  thread; PL_ESTATE: the pool was shut down.   asyncio: loop.run_in_executor. */
#define pl_thread_pool_submit(...) pl_thread_pool_submit_here(__VA_ARGS__, PL_HERE)
PL_API int pl_thread_pool_submit_here(pl_thread_pool *pool, pl_future **future, pl_job_fn *fn, void *arg,
                                      pl_drop_fn *drop, const char *where);

/** The same from any thread, with a shared future of its result. `pool` must not be NULL; no loop is concerned. */
#define pl_thread_pool_submit_shared(...) pl_thread_pool_submit_shared_here(__VA_ARGS__, PL_HERE)
PL_API int pl_thread_pool_submit_shared_here(pl_thread_pool *pool, pl_shared_future **shared, pl_job_fn *fn, void *arg,
                                             pl_drop_fn *drop, const char *where);

/** Calls fn(arg) on a thread of the loop's default pool, and waits for its end. Task call. `arg` may be memory of the
 *  task's stack: once fn has begun this returns when it has ended, in a cancelled task too; then its result is returned,
 *  and the cancel comes at the next wait. Needs no memory of its own.
 *  @return fn's result; PL_ECANCELED: fn never ran; PL_ENOTASK; and what pl_thread_pool_submit returns.   asyncio:
 *  to_thread. */
PL_API int64_t pl_to_thread(pl_job_fn *fn, void *arg);

/** The same for a function that may be left to itself: cancelled while fn runs, it returns PL_ECANCELED at once, and fn
 *  goes on in its thread.
 *  @param drop  gets `arg` once, when fn has ended or will never run, if this returns an error, whichever; on a thread of
 *  the pool if fn was left to itself. If this returns >= 0, `arg` is the caller's again. May be NULL */
PL_API int64_t pl_to_thread_abandon(pl_job_fn *fn, void *arg, pl_drop_fn *drop);

/** The pool that is used where none is named; the loop takes a reference and gives the present one's back, which may be
 *  the last. Before the loop runs, or on its thread.
 *  @return PL_OK, PL_EINVAL, PL_ECLOSED, PL_ETHREAD; PL_ESTATE: the default pool was shut down.   asyncio:
 *  set_default_executor. */
PL_API int pl_loop_set_default_pool(pl_loop *loop, pl_thread_pool *pool);

/** Shuts the running loop's default pool down, as pl_thread_pool_shutdown does, while other tasks go on. Whatever this
 *  returns, using it gives PL_ESTATE from now on. Task call.
 *  @return PL_OK; PL_ETIMEDOUT, PL_ECANCELED: what was still queued is dropped, what runs goes on; PL_ENOTASK, PL_ENOMEM.
 *  asyncio: shutdown_default_executor(timeout). */
PL_API int pl_loop_shutdown_default_pool(pl_duration limit);

#ifdef __cplusplus
}
#endif

#endif
