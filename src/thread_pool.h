/* Thread pools, from the inside.
 *
 * A *job* is part of something of its owner's: a loop's future, a shared future, a wait on a task's stack. While the pool
 * has it, its state is guarded by the pool's mutex: queued, then running, then ended. Queued, it can be taken back; once it
 * has begun its end is told, exactly once, by `ended`, which allocates nothing.
 */
#ifndef PROLOOP_SRC_THREAD_POOL_H
#define PROLOOP_SRC_THREAD_POOL_H

#include <stdbool.h>

#include <proloop/executor.h>

#include "context.h"
#include "list.h"

enum pl__pool_job_state { PL__JOB_QUEUED, PL__JOB_RUNNING, PL__JOB_ENDED };

typedef struct pl__pool_job {
    pl__node node; /* queued */
    pl_thread_pool *pool;
    pl_job_fn *fn;
    void *arg;
    pl_drop_fn *drop;
    pl__bindings bindings; /* a copy of the submitter's context */
    int64_t result;
    /* It has run, or the pool was shut down over it: `arg` was dropped, and the result is PL_ECANCELED. On the thread where
     * that happened; the pool is done with the job. */
    void (*ended)(struct pl__pool_job *job);
    uint8_t state;
    bool ran;
    bool abandoned; /* while it ran */
} pl__pool_job;

/* Queues a job. PL_OK, PL_ESTATE, PL_ELIMIT, PL_ENOMEM: it is still the caller's, the argument not dropped. */
int pl__pool_submit(pl_thread_pool *pool, pl__pool_job *job);

/* Gives back what the job has held of its pool since it was submitted; if it was. */
void pl__pool_job_release(pl__pool_job *job);

typedef enum pl__pool_cancelled {
    PL__JOB_TAKEN_BACK, /* it will not run, and its end is not told */
    PL__JOB_ABANDONED,  /* it runs, and when it is told its end finds `abandoned` set */
    PL__JOB_RUNS,       /* its end is to come */
    PL__JOB_HAS_ENDED   /* its result is there; its end was told, or is about to be */
} pl__pool_cancelled;

/* @param abandon  marks it if it runs */
pl__pool_cancelled pl__pool_cancel(pl__pool_job *job, bool abandon);

static inline void pl__pool_job_drop_arg(const pl__pool_job *job)
{
    if (job->drop)
        job->drop(job->arg);
}

/* Has it told when the pool, which takes no more jobs from now on, has no job left. `drain` is linked until then, and
 * finished with PL_OK. False: there is none now, nothing was linked. */
typedef struct pl__pool_drain {
    pl__node node;
    pl_shared_future *drained;
} pl__pool_drain;

bool pl__pool_drain_begin(pl_thread_pool *pool, pl__pool_drain *drain);
void pl__pool_drain_end(pl_thread_pool *pool, pl__pool_drain *drain);

#endif
