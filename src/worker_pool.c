/* worker_pool.c: a few threads, started as work comes, that run jobs and errands in the order they came.
 *
 * One mutex guards it all but the list of cancelled completions, which is the loop's alone. Waking is kept
 * rare: at most one worker is on its way at a time (`waking`: it was signalled or is being started, and has
 * not looked yet); if it finds more work than it can take it calls the next one. A burst of short jobs so
 * costs one wake-up.
 *
 * Workers live as long as the pool. One that runs an abandoned job when the pool is destroyed is left behind:
 * it holds a reference, and the last reference frees the pool's memory.
 *
 * A job that is away holds a reference too, from before its system call begins until pl__job_end has let go of the mutex.
 * Its end wakes the proactor under the mutex: the loop takes the mutex before it takes the job, so that the proactor
 * cannot be gone before the wake has returned.
 */
#include "worker_pool.h"

#include <string.h>

#include "allocator.h"
#include "thread.h"

enum { WORKERS_MAX = 4 };

enum job_state { JOB_IDLE, JOB_QUEUED, JOB_RUNNING, JOB_AWAY, JOB_FINISHED };

typedef struct worker {
    pl__worker_pool *pool;
    pl__thread thread;
    pl__job *job; /* the one it runs */
    bool left_behind;
} worker;

struct pl__worker_pool {
    pl__mutex mutex;
    pl__condition work;
    pl__list jobs;    /* queued */
    pl__list errands; /* queued; the two take turns */
    pl__list finished_jobs;
    pl__list finished_errands;
    void (*wake)(void *context);
    void *context;
    uint32_t idle; /* workers that wait for work */
    uint32_t count;
    bool errand_turn;
    bool waking;
    bool closing;
    worker workers[WORKERS_MAX];

    pl__list cancelled;          /* completions to end in the next collect; the loop's thread only */
    pl__atomic_u32 has_finished; /* so that a collect of nothing takes no lock */
    pl__atomic_u32 references;   /* the owner's, one of each worker left behind, one of each job that runs or is away */
};

static const struct job_kind {
    int64_t (*run)(pl__job *);
    uint8_t cancel;
} job_kinds[PL__OPERATION_KINDS] = {
#define JOB_KIND_SYSTEM(NAME, name, cancel)
#define JOB_KIND_WORKER(NAME, name, cancel) [PL__##NAME] = {pl__run_##name, PL__CANCEL_##cancel},
#define JOB_KIND(NAME, name, who, cancel)   JOB_KIND_##who(NAME, name, cancel)
    PL__OPERATIONS(JOB_KIND)
#undef JOB_KIND
#undef JOB_KIND_WORKER
#undef JOB_KIND_SYSTEM
};

/* --- Jobs --------------------------------------------------------------------------------------------------------- */

pl__job *pl__job_create(uint8_t kind, size_t strings_size)
{
    PL__CHECK(kind < PL__OPERATION_KINDS && job_kinds[kind].run);
    size_t size = sizeof(pl__job) + strings_size;
    pl__job *job = pl__allocate_zeroed(size);
    if (!job)
        return NULL;
    job->kind = kind;
    job->size = size;
    job->drop = pl__job_destroy;
    return job;
}

char *pl__job_space(pl__job *job, size_t size)
{
    PL__CHECK(size <= job->size - sizeof *job - job->strings_used);
    char *place = (char *)(job + 1) + job->strings_used;
    job->strings_used += size;
    return place;
}

const char *pl__job_string(pl__job *job, const char *text)
{
    if (!text)
        return NULL;
    size_t size = strlen(text) + 1;
    return memcpy(pl__job_space(job, size), text, size);
}

void pl__job_destroy(pl__job *job)
{
    if (!job)
        return;
    PL__CHECK(job->state == JOB_IDLE && !pl__node_is_linked(&job->node));
    if (job->size)
        pl__release(job, job->size);
}

/* --- Workers ------------------------------------------------------------------------------------------------------ */

static void release(pl__worker_pool *pool)
{
    if (pl__atomic_u32_add(&pool->references, UINT32_MAX) > 1)
        return;
    pl__condition_destroy(&pool->work);
    pl__mutex_destroy(&pool->mutex);
    pl__release(pool, sizeof *pool);
}

static bool has_work(const pl__worker_pool *pool)
{
    return !pl__list_is_empty(&pool->jobs) || !pl__list_is_empty(&pool->errands);
}

static void run_worker(void *arg);

/* Sees to it that a worker comes for what is queued. Fails only if there is none at all. */
static int summon(pl__worker_pool *pool)
{
    if (pool->waking)
        return PL_OK;
    if (pool->idle > 0) {
        pool->waking = true;
        pl__condition_signal(&pool->work);
        return PL_OK;
    }
    if (pool->count == WORKERS_MAX)
        return PL_OK;
    worker *added = &pool->workers[pool->count];
    *added = (worker){.pool = pool};
    int rc = pl__thread_start(&added->thread, run_worker, added, "proloop worker");
    if (rc == PL_OK) {
        pool->count++;
        pool->waking = true;
    }
    return pool->count > 0 ? PL_OK : rc;
}

/* Puts a finished job or errand where collect finds it. True: the proactor is to be woken. */
static bool put(pl__worker_pool *pool, pl__list *list, pl__node *node)
{
    bool first = pl__list_is_empty(&pool->finished_jobs) && pl__list_is_empty(&pool->finished_errands);
    pl__list_push_back(list, node);
    if (first)
        pl__atomic_u32_store_release(&pool->has_finished, 1);
    return first;
}

/* On a worker, which ends before the proactor does. */
static void post(pl__worker_pool *pool, pl__list *list, pl__node *node)
{
    if (!put(pool, list, node))
        return;
    pl__mutex_unlock(&pool->mutex);
    pool->wake(pool->context);
    pl__mutex_lock(&pool->mutex);
}

/* What was abandoned goes. */
static void drop_job(pl__worker_pool *pool, pl__job *job)
{
    PL__CHECK(!job->completion);
    job->state = JOB_IDLE;
    pl__mutex_unlock(&pool->mutex);
    job->drop(job);
    pl__mutex_lock(&pool->mutex);
}

/* Its worker is back without its end. It may have been abandoned meanwhile, when there was nothing to stop yet. */
static void let_go_away(pl__worker_pool *pool, pl__job *job)
{
    void (*stop)(void *) = job->completion ? NULL : job->stop;
    void *argument = job->stop_argument;
    job->state = JOB_AWAY;
    if (!stop)
        return;
    pl__mutex_unlock(&pool->mutex);
    stop(argument);
    pl__mutex_lock(&pool->mutex);
}

void pl__job_end(pl__job *job, int64_t result, int32_t system_error)
{
    pl__worker_pool *pool = job->pool;
    PL__CHECK(result != PL__JOB_AWAY);
    pl__mutex_lock(&pool->mutex);
    PL__CHECK(job->state == JOB_AWAY || (job->state == JOB_RUNNING && !job->ended));
    job->result = result;
    job->system_error = system_error;
    job->ended = true;
    if (job->state == JOB_AWAY && !job->completion) {
        drop_job(pool, job);
    } else if (job->state == JOB_AWAY) {
        job->state = JOB_FINISHED;
        if (put(pool, &pool->finished_jobs, &job->node))
            pool->wake(pool->context);
    }
    pl__mutex_unlock(&pool->mutex);
    release(pool);
}

static void run_job(worker *self, pl__job *job)
{
    pl__worker_pool *pool = self->pool;
    PL__CHECK(job->state == JOB_QUEUED && job->completion);
    job->state = JOB_RUNNING;
    job->ended = false;
    job->stop = NULL;
    self->job = job;
    pl__atomic_u32_add(&pool->references, 1);
    pl__mutex_unlock(&pool->mutex);
    int64_t result = job_kinds[job->kind].run(job);
    pl__mutex_lock(&pool->mutex);

    self->job = NULL;
    if (result == PL__JOB_AWAY && !job->ended) {
        let_go_away(pool, job);
        return;
    }
    if (result != PL__JOB_AWAY) {
        job->result = result;
        pl__atomic_u32_add(&pool->references, UINT32_MAX); /* never the last one: there is this worker's pool */
    }
    if (job->completion) {
        job->state = JOB_FINISHED;
        post(pool, &pool->finished_jobs, &job->node);
        return;
    }
    drop_job(pool, job);
}

static void run_errand(worker *self, pl__errand *errand)
{
    pl__worker_pool *pool = self->pool;
    pl__mutex_unlock(&pool->mutex);
    errand->run(errand);
    pl__mutex_lock(&pool->mutex);
    post(pool, &pool->finished_errands, &errand->node);
}

static void run_next(worker *self)
{
    pl__worker_pool *pool = self->pool;
    bool errand = pl__list_is_empty(&pool->jobs) || (pool->errand_turn && !pl__list_is_empty(&pool->errands));
    pl__node *node = pl__list_pop_front(errand ? &pool->errands : &pool->jobs);
    pool->errand_turn = !errand;
    if (has_work(pool))
        (void)summon(pool);
    if (errand)
        run_errand(self, PL__CONTAINER_OF(node, pl__errand, node));
    else
        run_job(self, PL__CONTAINER_OF(node, pl__job, node));
}

static void run_worker(void *arg)
{
    worker *self = arg;
    pl__worker_pool *pool = self->pool;
    pl__mutex_lock(&pool->mutex);
    pool->waking = false;
    while (!pool->closing) {
        if (has_work(pool)) {
            run_next(self);
            continue;
        }
        pool->idle++;
        pl__condition_wait(&pool->work, &pool->mutex);
        pool->idle--;
        pool->waking = false;
    }
    bool left_behind = self->left_behind;
    pl__mutex_unlock(&pool->mutex);
    if (left_behind)
        release(pool);
}

/* --- The pool ----------------------------------------------------------------------------------------------------- */

pl__worker_pool *pl__worker_pool_create(void (*wake)(void *context), void *context)
{
    pl__worker_pool *pool = pl__allocate_zeroed(sizeof *pool);
    if (!pool)
        return NULL;
    pl__mutex_init(&pool->mutex);
    pl__condition_init(&pool->work);
    pl__list_init(&pool->jobs);
    pl__list_init(&pool->errands);
    pl__list_init(&pool->finished_jobs);
    pl__list_init(&pool->finished_errands);
    pl__list_init(&pool->cancelled);
    pool->wake = wake;
    pool->context = context;
    pl__atomic_u32_store_relaxed(&pool->references, 1);
    return pool;
}

static void close_pool(pl__worker_pool *pool)
{
    pl__mutex_lock(&pool->mutex);
    PL__CHECK(!has_work(pool) && pl__list_is_empty(&pool->cancelled));
    PL__CHECK(pl__list_is_empty(&pool->finished_jobs) && pl__list_is_empty(&pool->finished_errands));
    pool->closing = true;
    for (uint32_t i = 0; i < pool->count; i++) {
        worker *each = &pool->workers[i];
        PL__CHECK(!each->job || !each->job->completion);
        each->left_behind = each->job != NULL;
        if (each->left_behind)
            pl__atomic_u32_add(&pool->references, 1);
    }
    pl__condition_broadcast(&pool->work);
    pl__mutex_unlock(&pool->mutex);
}

void pl__worker_pool_destroy(pl__worker_pool *pool)
{
    close_pool(pool);
    for (uint32_t i = 0; i < pool->count; i++) {
        worker *each = &pool->workers[i];
        if (each->left_behind)
            pl__thread_detach(&each->thread);
        else
            pl__thread_join(&each->thread);
    }
    release(pool);
}

int pl__worker_pool_submit(pl__worker_pool *pool, pl__completion *completion)
{
    pl__job *job = completion->as.job;
    PL__CHECK(job->kind == completion->kind && job_kinds[job->kind].run);
    PL__CHECK(job->state == JOB_IDLE);
    pl__mutex_lock(&pool->mutex);
    pl__list_push_back(&pool->jobs, &job->node);
    int rc = summon(pool);
    if (rc == PL_OK) {
        job->completion = completion;
        job->pool = pool;
        job->state = JOB_QUEUED;
        pl__completion_submitted(completion);
    } else {
        pl__node_unlink(&job->node);
    }
    pl__mutex_unlock(&pool->mutex);
    return rc == PL_OK ? PL__SUBMIT_PENDING : pl__completion_finish_now(completion, rc, 0);
}

/* Parts a completion from its job, if that can be done at once. */
static bool part(pl__completion *completion)
{
    pl__job *job = completion->as.job;
    PL__CHECK(job->completion == completion && job->state != JOB_IDLE);
    if (job->state == JOB_QUEUED) {
        pl__node_unlink(&job->node);
        job->state = JOB_IDLE;
        job->completion = NULL;
        return true;
    }
    if (job->state != JOB_FINISHED && job_kinds[job->kind].cancel == PL__CANCEL_ABANDONABLE) {
        job->completion = NULL;
        completion->as.job = NULL;
        return true;
    }
    return false;
}

void pl__worker_pool_cancel(pl__worker_pool *pool, pl__completion *completion)
{
    pl__completion_cancelling(completion);
    pl__mutex_lock(&pool->mutex);
    const pl__job *job = completion->as.job;
    void (*stop)(void *) = job->state == JOB_AWAY ? job->stop : NULL;
    void *argument = job->stop_argument;
    bool parted = part(completion);
    pl__mutex_unlock(&pool->mutex);
    if (!parted)
        return;
    pl__list_push_back(&pool->cancelled, &completion->node);
    if (stop)
        stop(argument);
}

int pl__worker_pool_errand(pl__worker_pool *pool, pl__errand *errand)
{
    pl__mutex_lock(&pool->mutex);
    pl__list_push_back(&pool->errands, &errand->node);
    int rc = summon(pool);
    if (rc != PL_OK)
        pl__node_unlink(&errand->node);
    pl__mutex_unlock(&pool->mutex);
    return rc;
}

static void finish(pl__list *finished, pl__completion *completion, int64_t result, int32_t system_error)
{
    pl__completion_finish(completion, result, system_error);
    pl__list_push_back(finished, &completion->node);
}

void pl__worker_pool_collect(pl__worker_pool *pool, pl__list *finished)
{
    pl__node *node;
    while ((node = pl__list_pop_front(&pool->cancelled)))
        finish(finished, PL__CONTAINER_OF(node, pl__completion, node), PL_ECANCELED, 0);
    if (!pl__atomic_u32_load_acquire(&pool->has_finished))
        return;

    pl__list jobs, errands;
    pl__list_init(&jobs);
    pl__list_init(&errands);
    pl__mutex_lock(&pool->mutex);
    pl__list_move_all(&pool->finished_jobs, &jobs);
    pl__list_move_all(&pool->finished_errands, &errands);
    pl__atomic_u32_store_relaxed(&pool->has_finished, 0);
    pl__mutex_unlock(&pool->mutex);

    while ((node = pl__list_pop_front(&jobs))) {
        pl__job *job = PL__CONTAINER_OF(node, pl__job, node);
        pl__completion *completion = job->completion;
        PL__CHECK(job->state == JOB_FINISHED && completion);
        job->state = JOB_IDLE;
        job->completion = NULL;
        finish(finished, completion, job->result, job->system_error);
    }
    while ((node = pl__list_pop_front(&errands))) {
        pl__errand *errand = PL__CONTAINER_OF(node, pl__errand, node);
        errand->finished(errand);
    }
}
