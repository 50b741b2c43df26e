/* executor.c: jobs of loops and of shared futures, and the loop's default pool. See executor.h.
 *
 * A loop's job is a future with a job of the pool in it. Its end crosses by a post of a call that is part of it too. In
 * memory of its own it is held twice: by the future's references (of which one is the job's, until the future is done), and
 * by the pool, from submit until the post was delivered or refused. On the stack of a task that waits it needs no counting:
 * that task does not go on before the delivery.
 */
#include <proloop/executor.h>

#include "allocator.h"
#include "atomic.h"
#include "future.h"
#include "loop.h"
#include "remote.h"
#include "scope.h"
#include "shared_future.h"
#include "task.h"
#include "thread_pool.h"

typedef struct loop_job {
    pl_future future;
    pl__pool_job job;
    pl__call call;
    pl_remote *remote; /* counted, until the end was posted */
    pl__loop_end loop_end;
    pl__atomic_u32 holders; /* only in memory of its own */
    bool abandonable;
} loop_job;

static bool job_cancel(pl_future *future);
static void job_destroy(pl_future *future);

static const pl__future_type job_type = {
    .name = "job of an executor", .cancel = job_cancel, .destroy = job_destroy, .keeps_result = true};
static const pl__future_type stack_job_type = {
    .name = "job of an executor", .cancel = job_cancel, .one_waiter = true, .keeps_result = true};

static bool is_counted(const loop_job *self)
{
    return self->future.type->destroy != NULL;
}

/* --- The life of a loop's job ------------------------------------------------------------------------------------- */

static void let_go(loop_job *self)
{
    if (pl__atomic_u32_add(&self->holders, UINT32_MAX) == 1)
        pl__release(self, sizeof *self);
}

static void job_destroy(pl_future *future)
{
    pl_loop *loop = future->loop;
    pl__future_clear(future);
    let_go(PL__CONTAINER_OF(future, loop_job, future));
    pl__loop_release(loop);
}

/* The pool has no more to do with it. Any thread. */
static void part(loop_job *self)
{
    pl__pool_job_release(&self->job);
    if (is_counted(self))
        let_go(self);
}

/* Makes the future done. The loop's thread. */
static void settle(loop_job *self, int64_t result)
{
    if (pl__node_is_linked(&self->loop_end.node))
        pl__node_unlink(&self->loop_end.node);
    pl__future_finish(&self->future, result);
    if (is_counted(self))
        pl_future_unref(&self->future); /* the job's reference */
}

/* By the post, on the loop's thread; the loop may have ended meanwhile. */
static void deliver(void *arg)
{
    loop_job *self = arg;
    if (!pl__future_is_done(&self->future))
        settle(self, self->job.result);
    part(self);
}

/* Once the post has gone out the job is the loop's. */
static void job_ended(pl__pool_job *job)
{
    loop_job *self = PL__CONTAINER_OF(job, loop_job, job);
    pl_remote *remote = self->remote;
    if (job->abandoned) {
        pl__pool_job_drop_arg(job);
        part(self);
    } else if (pl__remote_post(remote, &self->call) < 0) {
        part(self);
    }
    pl_remote_unref(remote);
}

static void take_back(loop_job *self)
{
    pl__pool_job_drop_arg(&self->job);
    pl_remote_unref(self->remote);
    settle(self, PL_ECANCELED);
    part(self);
}

static bool job_cancel(pl_future *future)
{
    loop_job *self = PL__CONTAINER_OF(future, loop_job, future);
    pl__pool_cancelled cancelled = pl__pool_cancel(&self->job, self->abandonable);
    if (cancelled == PL__JOB_TAKEN_BACK)
        take_back(self);
    else if (cancelled == PL__JOB_ABANDONED)
        settle(self, PL_ECANCELED);
    return true; /* else its end will answer */
}

static void job_loop_ends(pl__loop_end *end)
{
    loop_job *self = PL__CONTAINER_OF(end, loop_job, loop_end);
    pl__pool_cancelled cancelled = pl__pool_cancel(&self->job, false);
    if (cancelled == PL__JOB_TAKEN_BACK) {
        take_back(self);
    } else if (cancelled == PL__JOB_HAS_ENDED) {
        settle(self, self->job.result);
    } else {
        self->future.retrieved = true; /* no error of the job: nobody need look at it */
        settle(self, PL_ECLOSED);
    }
}

/* @param self  zeroed */
static void job_init(loop_job *self, const pl__future_type *type, pl_loop *loop, pl_job_fn *fn, void *arg,
                     pl_drop_fn *drop)
{
    pl__future_init(&self->future, type, loop);
    self->job.fn = fn;
    self->job.arg = arg;
    self->job.drop = drop;
    self->job.ended = job_ended;
    self->call = (pl__call){.fn = deliver, .arg = self, .drop = deliver, .embedded = true};
    self->remote = pl_remote_ref(loop->remote);
}

/* The job is the pool's, or was never: then only the remote is to be given back. */
static int job_submit(loop_job *self, pl_thread_pool *pool)
{
    int submitted = pl__pool_submit(pool, &self->job);
    if (submitted < 0)
        pl_remote_unref(self->remote);
    return submitted;
}

/* One with a counted future, for the caller and for the job. */
static int job_begin(loop_job **job, pl_thread_pool *pool, pl_loop *loop, pl_job_fn *fn, void *arg, pl_drop_fn *drop,
                     bool abandonable)
{
    loop_job *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return PL_ENOMEM;
    job_init(self, &job_type, loop, fn, arg, drop);
    self->future.references = 2;
    self->abandonable = abandonable;
    self->loop_end.loop_ends = job_loop_ends;
    pl__atomic_u32_store_relaxed(&self->holders, 2);
    int submitted = job_submit(self, pool);
    if (submitted < 0) {
        pl__release(self, sizeof *self);
        return submitted;
    }
    pl__loop_hold(loop);
    pl__list_push_back(&loop->ends, &self->loop_end.node);
    *job = self;
    return PL_OK;
}

/* --- The default pool --------------------------------------------------------------------------------------------- */

/* NULL becomes the default pool of the loop. */
static int find_pool(pl_thread_pool **pool, pl_loop *loop)
{
    if (*pool)
        return PL_OK;
    if (loop->default_pool_shut)
        return PL_ESTATE;
    int made = loop->default_pool ? PL_OK : pl_thread_pool_create(&loop->default_pool, NULL);
    *pool = loop->default_pool;
    return made;
}

int pl_loop_set_default_pool(pl_loop *loop, pl_thread_pool *pool)
{
    if (!loop || !pool)
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    if (loop->default_pool_shut)
        return PL_ESTATE;
    pl_thread_pool *before = loop->default_pool;
    loop->default_pool = pl_thread_pool_ref(pool);
    pl_thread_pool_unref(before);
    return PL_OK;
}

static int64_t wait_for_drain(pl_shared_future *drained, pl_duration limit)
{
    pl_timeout timeout = {{{0}}};
    int64_t result = pl_timeout_begin(&timeout, limit);
    return result < 0 ? result : pl_timeout_end(&timeout, pl_shared_future_await(drained));
}

/* Until its jobs have ended, or the limit has passed. */
static int64_t drain_pool(pl_thread_pool *pool, pl_duration limit)
{
    pl__pool_drain drain = {.drained = NULL};
    int created = pl_shared_future_create(&drain.drained);
    if (created < 0)
        return created;
    int64_t result = PL_OK;
    if (pl__pool_drain_begin(pool, &drain)) {
        result = wait_for_drain(drain.drained, limit);
        pl__pool_drain_end(pool, &drain);
    }
    pl_shared_future_unref(drain.drained);
    return result;
}

int pl_loop_shutdown_default_pool(pl_duration limit)
{
    int64_t result = pl__task_checkpoint();
    if (result == PL_ENOTASK)
        return PL_ENOTASK;
    pl_loop *loop = pl_loop_running();
    pl_thread_pool *pool = loop->default_pool;
    loop->default_pool = NULL;
    loop->default_pool_shut = true;
    if (pool && result == PL_OK)
        result = drain_pool(pool, limit);
    if (pool)
        (void)pl_thread_pool_shutdown(pool, 0);
    pl_thread_pool_unref(pool);
    return (int)result;
}

/* --- Submitting --------------------------------------------------------------------------------------------------- */

static int submit(pl_thread_pool *pool, pl_future **future, pl_job_fn *fn, void *arg, pl_drop_fn *drop,
                  const char *where)
{
    pl_loop *loop = NULL;
    loop_job *self;
    if (!fn)
        return PL_EINVAL;
    int result = pl__loop_check(&loop);
    if (result == PL_OK)
        result = find_pool(&pool, loop);
    if (result == PL_OK)
        result = job_begin(&self, pool, loop, fn, arg, drop, false);
    if (result < 0)
        return result;
    self->future.where = where;
    if (future)
        *future = &self->future;
    else
        pl_future_unref(&self->future);
    return PL_OK;
}

int pl_thread_pool_submit_here(pl_thread_pool *pool, pl_future **future, pl_job_fn *fn, void *arg, pl_drop_fn *drop,
                               const char *where)
{
    if (future)
        *future = NULL;
    int result = submit(pool, future, fn, arg, drop, where);
    if (result < 0 && drop)
        drop(arg);
    return result;
}

int64_t pl_to_thread(pl_job_fn *fn, void *arg)
{
    if (!fn)
        return PL_EINVAL;
    int result = pl__task_checkpoint();
    if (result < 0)
        return result;
    pl_task *task = pl__task_running();
    pl_thread_pool *pool = NULL;
    result = find_pool(&pool, task->future.loop);
    if (result < 0)
        return result;
    loop_job self = {.abandonable = false};
    job_init(&self, &stack_job_type, task->future.loop, fn, arg, NULL);
    result = job_submit(&self, pool);
    return result < 0 ? result : pl__task_wait_for(task, &self.future);
}

static int abandonable_begin(loop_job **self, pl_job_fn *fn, void *arg, pl_drop_fn *drop)
{
    pl_thread_pool *pool = NULL;
    if (!fn)
        return PL_EINVAL;
    int result = pl__task_checkpoint();
    if (result < 0)
        return result;
    pl_loop *loop = pl_loop_running();
    result = find_pool(&pool, loop);
    return result < 0 ? result : job_begin(self, pool, loop, fn, arg, drop, true);
}

int64_t pl_to_thread_abandon(pl_job_fn *fn, void *arg, pl_drop_fn *drop)
{
    loop_job *self = NULL;
    int64_t result = abandonable_begin(&self, fn, arg, drop);
    bool dropped = false; /* or about to be */
    if (result == PL_OK) {
        result = pl__task_wait_for(pl__task_running(), &self->future);
        dropped = self->job.abandoned || !self->job.ran;
        pl_future_unref(&self->future);
    }
    if (result < 0 && !dropped && drop)
        drop(arg);
    return result;
}

/* --- Jobs of shared futures --------------------------------------------------------------------------------------- */

/* Its shared future is referenced by its user, and by the job until that has ended. */
typedef struct shared_job {
    pl_shared_future shared;
    pl__pool_job job;
} shared_job;

static void shared_job_ended(pl__pool_job *job)
{
    pl_shared_future *shared = &PL__CONTAINER_OF(job, shared_job, job)->shared;
    (void)pl__shared_finish(shared, job->result);
    pl_shared_future_unref(shared);
}

static bool shared_job_cancel(pl_shared_future *shared)
{
    pl__pool_job *job = &PL__CONTAINER_OF(shared, shared_job, shared)->job;
    pl__pool_cancelled cancelled = pl__pool_cancel(job, false);
    if (cancelled == PL__JOB_TAKEN_BACK) {
        job->result = PL_ECANCELED;
        pl__pool_job_drop_arg(job);
        shared_job_ended(job);
    }
    return cancelled != PL__JOB_HAS_ENDED; /* if it runs its end will answer */
}

static void shared_job_clear(pl_shared_future *shared)
{
    pl__pool_job_release(&PL__CONTAINER_OF(shared, shared_job, shared)->job);
}

static const pl__shared_type shared_job_type = {
    .size = sizeof(shared_job), .cancel = shared_job_cancel, .clear = shared_job_clear};

static int submit_shared(pl_thread_pool *pool, pl_shared_future **shared, pl_job_fn *fn, void *arg, pl_drop_fn *drop,
                         const char *where)
{
    if (!pool || !fn)
        return PL_EINVAL;
    shared_job *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return PL_ENOMEM;
    pl__shared_init(&self->shared, &shared_job_type, where);
    self->job = (pl__pool_job){.fn = fn, .arg = arg, .drop = drop, .ended = shared_job_ended};
    (void)pl_shared_future_ref(&self->shared); /* before the submit: the job may have ended when it returns */
    int submitted = pl__pool_submit(pool, &self->job);
    if (submitted < 0)
        pl_shared_future_unref(&self->shared); /* the job's */
    if (submitted == PL_OK && shared)
        *shared = &self->shared;
    else
        pl_shared_future_unref(&self->shared);
    return submitted;
}

int pl_thread_pool_submit_shared_here(pl_thread_pool *pool, pl_shared_future **shared, pl_job_fn *fn, void *arg,
                                      pl_drop_fn *drop, const char *where)
{
    if (shared)
        *shared = NULL;
    int result = submit_shared(pool, shared, fn, arg, drop, where);
    if (result < 0 && drop)
        drop(arg);
    return result;
}
