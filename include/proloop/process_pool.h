/* proloop/process_pool.h: functions that run in worker processes.
 *
 * For work that would keep the loop's thread busy, or that may crash: a job runs in a process of its own, started from
 * the program's own executable, and if that process ends the job fails and nothing else. What a function gets and gives
 * are bytes; it shares no memory with the program.
 *
 *     int main(int argc, char **argv)
 *     {
 *         pl_process_register("sum", sum);
 *         pl_worker_main(argc, argv);        // in a worker: serves jobs and never returns
 *         return pl_run(run, NULL, NULL) < 0;
 *     }
 *
 * A pool has some workers. A worker's process is started when its first job comes, stays for the next, and is replaced
 * when it has ended. Jobs begin first in first out, one at a time in each process.
 *
 * A worker process inherits standard output, standard error, the environment and the current folder, and nothing else:
 * its standard input is empty. Ctrl-C does not end it; the end of the program does.
 */
#ifndef PROLOOP_PROCESS_POOL_H
#define PROLOOP_PROCESS_POOL_H

#include <proloop/base.h>
#include <proloop/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- In the worker ------------------------------------------------------------------------------------------------ */

/** What a function answers, while it writes it. */
typedef struct pl_process_output pl_process_output;

/** A function of a worker process. Runs on that process's main thread; may run a loop of its own, but make no pool.
 *  @param input  `size` bytes, aligned for any type; NULL if there are none
 *  @return >= 0: the job's result, and the answer is what was appended; negative: its error, and the answer is
 *  dropped. */
typedef int64_t pl_process_fn(const void *input, size_t size, pl_process_output *output);

/** Appends to the answer. After an error the job fails with it, whatever the function returns.
 *  @return PL_OK; PL_ENOMEM; PL_EMSGSIZE: more than the pool's message_limit; PL_EINVAL. */
PL_API int pl_process_output_append(pl_process_output *output, const void *data, size_t size);

/* --- In main() ---------------------------------------------------------------------------------------------------- */

/** Gives a function a name for jobs, before pl_worker_main; the program and its workers, which are the same program,
 *  come to know it alike. At most 64 functions.
 *  @param name  copied; up to 47 bytes
 *  @return PL_OK; PL_EINVAL: empty or too long; PL_EEXIST: the name is taken; PL_ELIMIT: too many; PL_ESTATE: too
 *  late. */
PL_API int pl_process_register(const char *name, pl_process_fn *fn);

/** To be called early in main(). In a worker it serves jobs until the pool ends, and then exits the process. Elsewhere
 *  it returns, and pools may be made from now on: they start the same executable again.
 *  @return PL_OK, also if called again; PL_EINVAL. */
PL_API int pl_worker_main(int argc, char **argv);

/* --- Pools -------------------------------------------------------------------------------------------------------- */

typedef struct pl_process_pool pl_process_pool;

typedef struct pl_process_pool_options {
    size_t size;             /* sizeof(pl_process_pool_options) */
    size_t workers;          /* processes at most, up to 1024; 0: as many as there are processors */
    size_t queue_limit;      /* jobs that may wait for a worker; 0: any number */
    size_t message_limit;    /* bytes of an input, and of an answer; 0: 64 MiB */
    size_t jobs_per_process; /* after so many a process is replaced, for functions that leak; 0: never */
} pl_process_pool_options;

/** Makes a pool with one reference, for jobs of any loop. Starts nothing yet. Any thread.
 *  @param options  NULL: defaults
 *  @return PL_OK; PL_ENOMEM; PL_EINVAL: an option, or pl_worker_main was not called; PL_ESTATE: this process is a
 *  worker.   asyncio: ProcessPoolExecutor. */
PL_API int pl_process_pool_create(pl_process_pool **pool, const pl_process_pool_options *options);

/** Any thread. */
PL_API pl_process_pool *pl_process_pool_ref(pl_process_pool *pool);
/** NULL is allowed. Giving back the last reference is pl_process_pool_shutdown(pool, 0). */
PL_API void pl_process_pool_unref(pl_process_pool *pool);

/** Ends a pool: new jobs get PL_ECLOSED, and so do the futures of those that have not begun. Waits for those that run,
 *  `limit` at most (0: not at all; PL_FOREVER); what runs then is killed, and its futures get PL_ECLOSED. Blocks the
 *  thread meanwhile, and until the worker processes have ended: those without a job have two seconds to exit by
 *  themselves. Any thread.
 *  @return PL_OK, also if it was ended before; PL_ETIMEDOUT: jobs were killed; PL_EINVAL.
 *  asyncio: Executor.shutdown. */
PL_API int pl_process_pool_shutdown(pl_process_pool *pool, pl_duration limit);

/** What a function answered. Its owner gives it to pl_process_answer_free. */
typedef struct pl_process_answer {
    void *data; /* aligned for any type */
    size_t size;
} pl_process_answer;

/** NULL is allowed. Any thread. */
PL_API void pl_process_answer_free(pl_process_answer *answer);

/** Gives the pool a job, for the running loop: the named function, with a copy of the input.
 *
 *  The future's result is the function's. After a result >= 0 pl_future_take_pointer gives the answer, a
 *  pl_process_answer. PL_EBROKEN: the process ended before it had answered, or answered what no worker does; an error of
 *  starting a process; PL_ECLOSED: the pool was ended.
 *
 *  A cancel of the future takes a job back that has not begun. If it runs, its process is killed, and the future is
 *  done with PL_ECANCELED when that process is gone; with the true result, if that had come before. Closing the loop
 *  cancels its jobs.
 *  @param future  gets a reference; NULL: none wanted. The job goes on without one
 *  @return PL_OK; PL_ENOENT: no function of that name; PL_EMSGSIZE: the input is larger than message_limit;
 *  PL_ELIMIT: queue_limit jobs are waiting, or the system has no thread; PL_ECLOSED: the pool or the loop is;
 *  PL_ENOMEM, PL_EINVAL, PL_ENOLOOP, PL_ETHREAD.   asyncio: loop.run_in_executor. */
PL_API int pl_process_pool_submit(pl_process_pool *pool, pl_future **future, const char *name, const void *input,
                                  size_t size);

/** Runs a function in a worker and waits for its answer. Task call. PL_ECANCELED: it did not begin, or its process was
 *  killed.
 *  @param answer  gets the answer if the result is >= 0, else NULL; NULL: not wanted
 *  @return the function's result, or as pl_process_pool_submit and its future; PL_ENOTASK. */
PL_API int64_t pl_process_call(pl_process_pool *pool, const char *name, const void *input, size_t size,
                               pl_process_answer **answer);

/** How many processes the pool has now; and how many it started in place of others that had ended, crashed, or been
 *  killed or used up. For metrics. Any thread. */
PL_API size_t pl_process_pool_processes(pl_process_pool *pool);
PL_API uint64_t pl_process_pool_restarts(pl_process_pool *pool);

#ifdef __cplusplus
}
#endif

#endif
