/* thread_pool.c: threads that are started as jobs come, and end when there is nothing to do for a while.
 *
 * One mutex guards it all. Waking is kept rare: at most one worker is on its way at a time (`waking`: it was signalled or
 * is being started, and has not looked yet); if it finds more work than it can take it calls the next one. A worker that
 * ends a job takes the next one under the same lock, and then tells the end: to a loop by a post, of which many cost one
 * wake.
 *
 * A worker that ended is joined by whoever comes next: another that ends, a shutdown, the last unref. One that runs a job
 * when the last owner goes is left behind and cleans up after itself. So the memory is counted apart from the owners: by
 * them together, by each worker, by each job.
 */
#include "thread_pool.h"

#include <stdio.h>

#include "allocator.h"
#include "atomic.h"
#include "shared_future.h"
#include "thread.h"
#include "timer.h"

enum { THREADS_DEFAULT_MAX = 32, THREADS_BESIDE_PROCESSORS = 4, NAME_SIZE = 16 };

typedef struct worker {
    pl__node node; /* alive, or ended and to be joined */
    pl_thread_pool *pool;
    pl__thread thread;
    uint64_t id;  /* of the thread, once it runs */
    bool busy;    /* in the user's code, for as long as that takes */
    bool joining; /* somebody joins it */
    bool left_behind;
} worker;

struct pl_thread_pool {
    pl__atomic_u32 owners;
    pl__atomic_u32 references; /* of the memory */
    uint32_t threads_max;
    int64_t idle_limit;
    size_t queue_limit; /* 0: none */
    char name[NAME_SIZE];

    pl__mutex mutex; /* guards what follows */
    pl__condition work;
    pl__condition drained;
    pl__list queue;
    size_t queued;
    size_t running; /* jobs */
    pl__list workers;
    pl__list ended_workers;
    uint32_t count; /* workers alive */
    uint32_t idle;  /* those that wait for work */
    uint32_t busy;  /* those that run jobs, or tell of an end */
    pl__list drains;
    bool waking;
    bool shut;
};

/* --- Memory ------------------------------------------------------------------------------------------------------- */

static void hold(pl_thread_pool *pool)
{
    PL__CHECK(pl__atomic_u32_add(&pool->references, 1) > 0);
}

static void release(pl_thread_pool *pool)
{
    if (pl__atomic_u32_add(&pool->references, UINT32_MAX) > 1)
        return;
    PL__CHECK(pool->count == 0 && pl__list_is_empty(&pool->queue) && pl__list_is_empty(&pool->drains));
    PL__CHECK(pl__list_is_empty(&pool->workers) && pl__list_is_empty(&pool->ended_workers));
    pl__condition_destroy(&pool->drained);
    pl__condition_destroy(&pool->work);
    pl__mutex_destroy(&pool->mutex);
    pl__release(pool, sizeof *pool);
}

static void worker_free(worker *self)
{
    pl_thread_pool *pool = self->pool;
    pl__release(self, sizeof *self);
    release(pool);
}

static void join_all(pl__list *workers)
{
    for (pl__node *node; (node = pl__list_pop_front(workers));) {
        worker *each = PL__CONTAINER_OF(node, worker, node);
        pl__thread_join(&each->thread);
        worker_free(each);
    }
}

/* --- Workers ------------------------------------------------------------------------------------------------------ */

static void run_worker(void *arg);

static int start_worker(pl_thread_pool *pool)
{
    worker *added = pl__allocate_zeroed(sizeof *added);
    if (!added)
        return PL_ENOMEM;
    added->pool = pool;
    int started = pl__thread_start(&added->thread, run_worker, added, pool->name);
    if (started < 0) {
        pl__release(added, sizeof *added);
        return started;
    }
    hold(pool);
    pl__list_push_back(&pool->workers, &added->node);
    pool->count++;
    return PL_OK;
}

/* Sees to it that a worker comes for what is queued. Fails only if there is none at all. */
static int summon(pl_thread_pool *pool)
{
    if (pool->waking)
        return PL_OK;
    if (pool->idle > 0) {
        pool->waking = true;
        pl__condition_signal(&pool->work);
        return PL_OK;
    }
    if (pool->count == pool->threads_max)
        return PL_OK;
    int started = start_worker(pool);
    if (started == PL_OK)
        pool->waking = true;
    return pool->count > 0 ? PL_OK : started;
}

/* The next job, which runs now. NULL: there is none. */
static pl__pool_job *take_job(pl_thread_pool *pool)
{
    pl__node *node = pl__list_pop_front(&pool->queue);
    if (!node)
        return NULL;
    pl__pool_job *job = PL__CONTAINER_OF(node, pl__pool_job, node);
    PL__CHECK(job->state == PL__JOB_QUEUED && pool->queued > 0);
    job->state = PL__JOB_RUNNING;
    pool->queued--;
    pool->running++;
    if (pool->queued > 0)
        (void)summon(pool);
    return job;
}

typedef struct job_call {
    const pl__pool_job *job;
    int64_t result;
} job_call;

static void call_fn(void *arg)
{
    job_call *call = arg;
    call->result = call->job->fn(call->job->arg);
}

/* In a copy of the submitter's context. */
static int64_t call_in_context(pl__pool_job *job)
{
    job_call call = {.job = job};
    pl__bindings_run(&job->bindings, call_fn, &call);
    return call.result;
}

/* Runs a job, without the mutex, and returns the next. */
static pl__pool_job *run_job(worker *self, pl__pool_job *job)
{
    pl_thread_pool *pool = self->pool;
    int64_t result = call_in_context(job);
    pl__mutex_lock(&pool->mutex);
    PL__CHECK(job->state == PL__JOB_RUNNING && pool->running > 0);
    job->state = PL__JOB_ENDED;
    job->result = result;
    job->ran = true;
    pool->running--;
    pl__pool_job *next = take_job(pool);
    self->busy = next || job->abandoned; /* then its argument is dropped */
    pl__mutex_unlock(&pool->mutex);
    job->ended(job);
    return next;
}

static bool has_drained(const pl_thread_pool *pool)
{
    return pool->shut && pool->busy == 0 && pl__list_is_empty(&pool->queue);
}

static void tell_drained(pl_thread_pool *pool)
{
    if (!has_drained(pool))
        return;
    pl__condition_broadcast(&pool->drained);
    for (pl__node *node; (node = pl__list_pop_front(&pool->drains));)
        (void)pl__shared_finish(PL__CONTAINER_OF(node, pl__pool_drain, node)->drained, PL_OK);
}

/* With the mutex held, before and after. */
static void run_jobs(worker *self)
{
    pl_thread_pool *pool = self->pool;
    pl__pool_job *job = take_job(pool);
    self->busy = true;
    pool->busy++;
    pl__mutex_unlock(&pool->mutex);
    while (job)
        job = run_job(self, job);
    pl__mutex_lock(&pool->mutex);
    pool->busy--;
    self->busy = false;
    tell_drained(pool);
}

/* False: the worker is to end. */
static bool wait_for_work(pl_thread_pool *pool)
{
    bool in_time = true;
    while (pl__list_is_empty(&pool->queue) && !pool->shut && in_time) {
        pool->idle++;
        in_time = pl__condition_wait_for(&pool->work, &pool->mutex, pool->idle_limit);
        pool->idle--;
        pool->waking = false;
    }
    return !pl__list_is_empty(&pool->queue);
}

/* With the mutex held; gives it back. */
static void end_worker(worker *self)
{
    pl_thread_pool *pool = self->pool;
    pl__list others;
    pl__list_init(&others);
    bool left_behind = self->left_behind;
    pool->count--;
    if (!self->joining && !left_behind) {
        pl__list_move_all(&pool->ended_workers, &others);
        pl__node_unlink(&self->node);
        pl__list_push_back(&pool->ended_workers, &self->node);
    }
    pl__mutex_unlock(&pool->mutex); /* from now on `self` may be joined, and gone after this thread */
    join_all(&others);
    if (left_behind)
        worker_free(self);
}

static void run_worker(void *arg)
{
    worker *self = arg;
    pl_thread_pool *pool = self->pool;
    pl__mutex_lock(&pool->mutex);
    self->id = pl__thread_id();
    pool->waking = false;
    while (wait_for_work(pool))
        run_jobs(self);
    end_worker(self);
}

/* --- Jobs --------------------------------------------------------------------------------------------------------- */

/* A job that a thread is free for does not count as waiting, even if that thread has not come yet. */
static bool is_full(const pl_thread_pool *pool)
{
    size_t jobs = pool->queued + pool->running;
    return pool->queue_limit && jobs >= pool->threads_max && jobs - pool->threads_max >= pool->queue_limit;
}

static int enqueue(pl_thread_pool *pool, pl__pool_job *job)
{
    if (pool->shut)
        return PL_ESTATE;
    if (is_full(pool))
        return PL_ELIMIT;
    pl__list_push_back(&pool->queue, &job->node);
    pool->queued++;
    int summoned = summon(pool);
    if (summoned < 0) {
        pl__node_unlink(&job->node);
        pool->queued--;
    }
    return summoned;
}

int pl__pool_submit(pl_thread_pool *pool, pl__pool_job *job)
{
    job->pool = pool;
    job->state = PL__JOB_QUEUED;
    job->bindings = pl__bindings_copy();
    hold(pool);
    pl__mutex_lock(&pool->mutex);
    int result = enqueue(pool, job);
    pl__mutex_unlock(&pool->mutex);
    if (result < 0) {
        job->pool = NULL;
        pl__bindings_release(&job->bindings);
        release(pool);
    }
    return result;
}

void pl__pool_job_release(pl__pool_job *job)
{
    if (!job->pool)
        return;
    pl__bindings_release(&job->bindings);
    release(job->pool);
}

static pl__pool_cancelled cancel(pl_thread_pool *pool, pl__pool_job *job, bool abandon)
{
    if (job->state == PL__JOB_ENDED)
        return PL__JOB_HAS_ENDED;
    if (job->state == PL__JOB_RUNNING) {
        job->abandoned = abandon;
        return abandon ? PL__JOB_ABANDONED : PL__JOB_RUNS;
    }
    pl__node_unlink(&job->node);
    job->state = PL__JOB_ENDED;
    pool->queued--;
    tell_drained(pool);
    return PL__JOB_TAKEN_BACK;
}

pl__pool_cancelled pl__pool_cancel(pl__pool_job *job, bool abandon)
{
    pl_thread_pool *pool = job->pool;
    pl__mutex_lock(&pool->mutex);
    pl__pool_cancelled cancelled = cancel(pool, job, abandon);
    pl__mutex_unlock(&pool->mutex);
    return cancelled;
}

/* --- Making and ending -------------------------------------------------------------------------------------------- */

static uint32_t default_threads(void)
{
    uint32_t threads = pl__processor_count() + THREADS_BESIDE_PROCESSORS;
    return threads < THREADS_DEFAULT_MAX ? threads : THREADS_DEFAULT_MAX;
}

int pl_thread_pool_create(pl_thread_pool **pool, const pl_thread_pool_options *options)
{
    static const pl_thread_pool_options defaults = {.size = sizeof(pl_thread_pool_options)};
    if (!options)
        options = &defaults;
    if (pool)
        *pool = NULL;
    if (!pool || options->size != sizeof *options || options->idle < 0)
        return PL_EINVAL;
    pl_thread_pool *made = pl__allocate_zeroed(sizeof *made);
    if (!made)
        return PL_ENOMEM;
    pl__atomic_u32_store_relaxed(&made->owners, 1);
    pl__atomic_u32_store_relaxed(&made->references, 1);
    made->threads_max = options->threads ? options->threads : default_threads();
    made->idle_limit = options->idle ? options->idle : PL_SECONDS(30);
    made->queue_limit = options->queue_limit;
    (void)snprintf(made->name, sizeof made->name, "%s", options->name ? options->name : "proloop pool");
    pl__mutex_init(&made->mutex);
    pl__condition_init(&made->work);
    pl__condition_init(&made->drained);
    pl__list_init(&made->queue);
    pl__list_init(&made->workers);
    pl__list_init(&made->ended_workers);
    pl__list_init(&made->drains);
    *pool = made;
    return PL_OK;
}

/* Makes it take no more jobs; its idle workers end. */
static void shut(pl_thread_pool *pool)
{
    pool->shut = true;
    pl__condition_broadcast(&pool->work);
}

/* Whether this is one of its threads. */
static bool is_own_thread(pl_thread_pool *pool)
{
    bool found = false;
    uint64_t id = pl__thread_id();
    pl__mutex_lock(&pool->mutex);
    PL__LIST_EACH (node, &pool->workers)
        found = found || PL__CONTAINER_OF(node, worker, node)->id == id;
    pl__mutex_unlock(&pool->mutex);
    return found;
}

static void wait_until_drained(pl_thread_pool *pool, int64_t deadline)
{
    while (!has_drained(pool)) {
        int64_t left = deadline == PL_FOREVER ? PL_FOREVER : deadline - pl__clock_now();
        if (left <= 0)
            return;
        (void)pl__condition_wait_for(&pool->drained, &pool->mutex, left);
    }
}

/* What the queue holds is dropped outside the mutex. */
static void take_queue(pl_thread_pool *pool, pl__list *jobs)
{
    pl__list_move_all(&pool->queue, jobs);
    pool->queued = 0;
    for (pl__node *node = jobs->head.next; node != &jobs->head; node = node->next) {
        pl__pool_job *job = PL__CONTAINER_OF(node, pl__pool_job, node);
        job->state = PL__JOB_ENDED;
        job->result = PL_ECANCELED;
    }
    tell_drained(pool);
}

static void drop_jobs(pl__list *jobs)
{
    for (pl__node *node; (node = pl__list_pop_front(jobs));) {
        pl__pool_job *job = PL__CONTAINER_OF(node, pl__pool_job, node);
        pl__pool_job_drop_arg(job);
        job->ended(job);
    }
}

/* Those that have ended, or are about to: of a pool that is shut and has an empty queue, all that run no job. */
static void take_ended_workers(pl_thread_pool *pool, pl__list *workers)
{
    pl__list_move_all(&pool->ended_workers, workers);
    PL__LIST_EACH (node, &pool->workers) {
        worker *each = PL__CONTAINER_OF(node, worker, node);
        if (each->busy)
            continue;
        each->joining = true;
        pl__node_unlink(node);
        pl__list_push_back(workers, node);
    }
}

/* Returns whether all its jobs have ended. */
static bool shut_down(pl_thread_pool *pool, pl_duration limit)
{
    pl__list jobs, workers;
    pl__list_init(&jobs);
    pl__list_init(&workers);
    int64_t deadline = pl__deadline_after(pl__clock_now(), limit);
    pl__mutex_lock(&pool->mutex);
    shut(pool);
    wait_until_drained(pool, deadline);
    take_queue(pool, &jobs);
    take_ended_workers(pool, &workers);
    bool ended = pl__list_is_empty(&pool->workers);
    pl__mutex_unlock(&pool->mutex);
    drop_jobs(&jobs);
    join_all(&workers);
    return ended;
}

int pl_thread_pool_shutdown(pl_thread_pool *pool, pl_duration limit)
{
    if (!pool)
        return PL_EINVAL;
    if (limit > 0 && pl_loop_running())
        return PL_ESTATE;
    if (limit > 0 && is_own_thread(pool))
        return PL_EDEADLOCK;
    return shut_down(pool, limit) ? PL_OK : PL_ETIMEDOUT;
}

pl_thread_pool *pl_thread_pool_ref(pl_thread_pool *pool)
{
    if (pool)
        PL__CHECK(pl__atomic_u32_add(&pool->owners, 1) > 0);
    return pool;
}

/* Of a pool that was shut down: joins the workers that run no job, and leaves the others. */
static void leave_workers_behind(pl_thread_pool *pool)
{
    pl__list ended;
    pl__list_init(&ended);
    pl__mutex_lock(&pool->mutex);
    take_ended_workers(pool, &ended);
    for (pl__node *node; (node = pl__list_pop_front(&pool->workers));) {
        worker *each = PL__CONTAINER_OF(node, worker, node);
        each->left_behind = true;
        pl__thread_detach(&each->thread);
    }
    pl__mutex_unlock(&pool->mutex);
    join_all(&ended);
}

void pl_thread_pool_unref(pl_thread_pool *pool)
{
    if (!pool)
        return;
    uint32_t before = pl__atomic_u32_add(&pool->owners, UINT32_MAX);
    PL__CHECK(before > 0);
    if (before > 1)
        return;
    (void)shut_down(pool, 0);
    leave_workers_behind(pool);
    release(pool);
}

size_t pl_thread_pool_threads(pl_thread_pool *pool)
{
    if (!pool)
        return 0;
    pl__mutex_lock(&pool->mutex);
    size_t count = pool->count;
    pl__mutex_unlock(&pool->mutex);
    return count;
}

size_t pl_thread_pool_queued(pl_thread_pool *pool)
{
    if (!pool)
        return 0;
    pl__mutex_lock(&pool->mutex);
    size_t queued = pool->queued;
    pl__mutex_unlock(&pool->mutex);
    return queued;
}

bool pl__pool_drain_begin(pl_thread_pool *pool, pl__pool_drain *drain)
{
    pl__mutex_lock(&pool->mutex);
    shut(pool);
    bool pending = !has_drained(pool);
    if (pending)
        pl__list_push_back(&pool->drains, &drain->node);
    pl__mutex_unlock(&pool->mutex);
    return pending;
}

void pl__pool_drain_end(pl_thread_pool *pool, pl__pool_drain *drain)
{
    pl__mutex_lock(&pool->mutex);
    if (pl__node_is_linked(&drain->node))
        pl__node_unlink(&drain->node);
    pl__mutex_unlock(&pool->mutex);
}
