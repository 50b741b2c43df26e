/* The process pool: named functions, jobs for them, and the processes that run them.
 *
 * Each worker is a thread of the program with at most one child process (child.h). The thread takes the first job of the
 * queue, starts the process if there is none, writes the request, waits for the answer, and posts the job back to its
 * loop. The process does nothing but that: it reads a request, calls the function, writes the answer, until there is
 * nothing more to read.
 *
 *     queued -> running -> answered -> (on the loop's thread) done
 *
 * The pool's mutex guards that state, and who kills whom: only the process of a running job is killed. A queued job is
 * taken back by whoever cancels it. From its submit until it is done a job is an operation of its loop, which cancels
 * those it has when it is closed, and waits for them: so an answered job always finds its loop. What posting it needs
 * was allocated with it.
 */
#include <proloop/process_pool.h>

#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "atomic.h"
#include "child.h"
#include "clock.h"
#include "loop.h"
#include "op.h"
#include "remote.h"
#include "task.h"
#include "thread.h"

enum {
    FUNCTIONS_MAX = 64,
    NAME_SIZE = 48, /* with the NUL */
    WORKERS_MAX = 1024,
    OUTPUT_CAPACITY = 256,
    ANSWER_OFFSET = 32 /* of the bytes behind an answer_block */
};

#define MESSAGE_LIMIT ((size_t)64 * 1024 * 1024)
#define EXIT_LIMIT    PL_SECONDS(2) /* for a process without a job to end by itself */

/* --- What goes through the pipes ---------------------------------------------------------------------------------- */

/* Both ends are the same program. A number that no other bytes are likely to be: whoever finds another one gives up. */
#define REQUEST_MARK UINT64_C(0x706c2d7265712d31)
#define ANSWER_MARK  UINT64_C(0x706c2d616e732d31)

typedef struct request {
    uint64_t mark;
    uint64_t input_size; /* bytes that follow */
    uint64_t limit;      /* bytes that may be answered */
    char name[NAME_SIZE];
} request;

typedef struct answer_header {
    uint64_t mark;
    int64_t result;
    uint64_t size; /* bytes that follow; none after a negative result */
} answer_header;

/* --- Functions ---------------------------------------------------------------------------------------------------- */

typedef struct function {
    char name[NAME_SIZE];
    pl_process_fn *fn;
} function;

enum role { ROLE_UNKNOWN, ROLE_PROGRAM, ROLE_WORKER };

static function functions[FUNCTIONS_MAX];
static size_t function_count;
static pl__atomic_u32 role; /* from pl_worker_main on; the functions do not change any more then */

static pl_process_fn *find_function(const char *name)
{
    for (size_t i = 0; i < function_count; i++) {
        if (strcmp(functions[i].name, name) == 0)
            return functions[i].fn;
    }
    return NULL;
}

int pl_process_register(const char *name, pl_process_fn *fn)
{
    if (!name || !fn || !name[0] || strlen(name) >= NAME_SIZE)
        return PL_EINVAL;
    if (pl__atomic_u32_load(&role) != ROLE_UNKNOWN)
        return PL_ESTATE;
    if (find_function(name))
        return PL_EEXIST;
    if (function_count == FUNCTIONS_MAX)
        return PL_ELIMIT;
    function *added = &functions[function_count++];
    memcpy(added->name, name, strlen(name) + 1);
    added->fn = fn;
    return PL_OK;
}

/* --- The worker process ------------------------------------------------------------------------------------------- */

struct pl_process_output {
    char *data;
    size_t size;
    size_t capacity;
    size_t limit;
    int error; /* of an append that failed */
};

static int output_grow(pl_process_output *output, size_t size)
{
    size_t capacity = output->capacity ? output->capacity : OUTPUT_CAPACITY;
    while (capacity < size)
        capacity = capacity <= SIZE_MAX / 2 ? capacity * 2 : size;
    if (capacity == output->capacity)
        return PL_OK;
    char *grown = pl__reallocate(output->data, output->capacity, capacity);
    if (!grown)
        return PL_ENOMEM;
    output->data = grown;
    output->capacity = capacity;
    return PL_OK;
}

int pl_process_output_append(pl_process_output *output, const void *data, size_t size)
{
    if (!output || (size > 0 && !data))
        return PL_EINVAL;
    if (output->error == PL_OK && size > output->limit - output->size)
        output->error = PL_EMSGSIZE;
    if (output->error == PL_OK)
        output->error = output_grow(output, output->size + size);
    if (output->error < 0)
        return output->error;
    if (size > 0)
        memcpy(output->data + output->size, data, size);
    output->size += size;
    return PL_OK;
}

static bool write_answer(pl__child *parent, int64_t result, const pl_process_output *output)
{
    if (output->error < 0)
        result = output->error;
    const answer_header header = {.mark = ANSWER_MARK, .result = result, .size = result < 0 ? 0 : output->size};
    return pl__child_write(parent, &header, sizeof header) &&
           (header.size == 0 || pl__child_write(parent, output->data, output->size));
}

/* Calls the function that was asked for. False: the parent has gone, or there is no memory for what it sends. */
static bool serve_request(pl__child *parent, request *asked)
{
    if (asked->mark != REQUEST_MARK)
        return false;
    asked->name[NAME_SIZE - 1] = '\0';
    size_t input_size = (size_t)asked->input_size;
    void *input = input_size > 0 ? pl__allocate(input_size) : NULL;
    if (input_size > 0 && (!input || !pl__child_read(parent, input, input_size)))
        return false;
    pl_process_output output = {.limit = (size_t)asked->limit};
    pl_process_fn *fn = find_function(asked->name);
    int64_t result = fn ? fn(input, input_size, &output) : PL_ENOENT;
    bool written = write_answer(parent, result, &output);
    pl__release(output.data, output.capacity);
    pl__release(input, input_size);
    return written;
}

static PL__NORETURN void serve(const char *option)
{
    pl__child parent;
    request asked;
    if (!pl__child_attach(&parent, option))
        exit(EXIT_FAILURE);
    while (pl__child_read(&parent, &asked, sizeof asked)) {
        if (!serve_request(&parent, &asked))
            exit(EXIT_FAILURE);
    }
    exit(EXIT_SUCCESS);
}

int pl_worker_main(int argc, char **argv)
{
    if (argc < 0 || (argc > 0 && !argv))
        return PL_EINVAL;
    if (argc == 2 && strncmp(argv[1], PL__CHILD_OPTION, strlen(PL__CHILD_OPTION)) == 0) {
        pl__atomic_u32_store(&role, ROLE_WORKER);
        serve(argv[1]);
    }
    if (argc > 0)
        pl__child_remember_program(argv[0]);
    pl__atomic_u32_store(&role, ROLE_PROGRAM);
    return PL_OK;
}

/* --- The pool ----------------------------------------------------------------------------------------------------- */

typedef struct job job;

typedef struct worker {
    pl_process_pool *pool;
    pl__thread thread;
    pl__child child;
    size_t served;  /* jobs by this process */
    bool had_child; /* a process was started before */
    /* Guarded by the pool's mutex: */
    bool has_child; /* there is a process */
    bool killed;    /* and it was killed */
    job *job;       /* running */
} worker;

enum pool_state { POOL_OPEN, POOL_CLOSING, POOL_CLOSED };

struct pl_process_pool {
    pl__atomic_u32 references; /* of its users */
    pl__atomic_u32 holds;      /* on its memory: one for all users, one for each job that is not done */
    size_t message_limit;
    size_t queue_limit;
    size_t jobs_per_process;
    size_t worker_count;
    worker *workers;
    pl__mutex mutex;        /* guards what follows */
    pl__condition work;     /* there is a job, or the pool closes */
    pl__condition progress; /* while closing: no job runs any more; closed */
    pl__list queue;         /* of jobs */
    size_t queued;          /* jobs in it */
    size_t running;         /* jobs that a worker has */
    size_t started;         /* workers whose thread runs */
    size_t waiting;         /* of those, without a job */
    size_t processes;       /* workers with a process */
    uint64_t restarts;
    uint8_t state;
};

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_ANSWERED };

struct job {
    pl_future future;
    pl_op op; /* pending until the job is done: what the loop cancels and waits for when it is closed */
    pl_process_pool *pool;
    pl__call *call; /* posts it to its loop, whose it is then */
    pl_process_answer *answer;
    int64_t result;
    size_t message_size; /* of the request and its input, behind the job */
    /* Guarded by the pool's mutex: */
    pl__node node;  /* in the pool's queue */
    worker *worker; /* while it runs */
    uint8_t state;
    int16_t stop_code; /* PL_OK, or what it ends with if its process has not answered by then */
};

static request *job_message(job *j)
{
    return (request *)(void *)(j + 1);
}

static void pool_hold(pl_process_pool *pool)
{
    PL__CHECK(pl__atomic_u32_add(&pool->holds, 1) > 0);
}

static void pool_release(pl_process_pool *pool)
{
    uint32_t before = pl__atomic_u32_add(&pool->holds, UINT32_MAX);
    PL__CHECK(before > 0);
    if (before > 1)
        return;
    PL__CHECK(pl__list_is_empty(&pool->queue) && pool->running == 0 && pool->processes == 0);
    pl__condition_destroy(&pool->work);
    pl__condition_destroy(&pool->progress);
    pl__mutex_destroy(&pool->mutex);
    pl__release(pool->workers, pool->worker_count * sizeof *pool->workers);
    pl__release(pool, sizeof *pool);
}

/* --- Answers ------------------------------------------------------------------------------------------------------ */

typedef struct answer_block {
    pl_process_answer shown;
    size_t size; /* of the bytes behind it */
} answer_block;

PL__STATIC_ASSERT(sizeof(answer_block) <= ANSWER_OFFSET, "the bytes of an answer lie over its head");

static pl_process_answer *answer_create(size_t size)
{
    answer_block *made = pl__allocate(ANSWER_OFFSET + size);
    if (!made)
        return NULL;
    made->shown.data = (char *)made + ANSWER_OFFSET;
    made->shown.size = size;
    made->size = size;
    return &made->shown;
}

void pl_process_answer_free(pl_process_answer *shown)
{
    if (shown) {
        answer_block *made = PL__CONTAINER_OF(shown, answer_block, shown);
        pl__release(made, ANSWER_OFFSET + made->size);
    }
}

static void drop_answer(void *shown)
{
    pl_process_answer_free(shown);
}

/* --- A job, on its loop's thread ---------------------------------------------------------------------------------- */

static bool job_cancel(pl_future *future);
static void job_destroy(pl_future *future);
static void job_op_cancel(pl__op *op);

static const pl__future_type job_future_type = {
    .name = "process job", .cancel = job_cancel, .destroy = job_destroy, .keeps_result = true};
static const pl__op_type job_op_type = {.name = "process job", .cancel = job_op_cancel};

static job *job_of(pl_future *future)
{
    return PL__CONTAINER_OF(future, job, future);
}

static void job_free(job *j)
{
    pl__release(j->call, sizeof *j->call);
    pl__release(j, sizeof *j + j->message_size);
}

static void job_destroy(pl_future *future)
{
    pl_loop *loop = future->loop;
    PL__CHECK(pl__future_is_done(future) && pl__list_is_empty(&future->callbacks));
    if (pl__future_is_unseen(future))
        pl__loop_report(loop, "the error of a process job was never looked at", future->result, 0, NULL, NULL);
    if (future->pointer)
        future->drop(future->pointer);
    job_free(job_of(future));
    pl__loop_release(loop);
}

static void job_done(job *j)
{
    pl_process_pool *pool = j->pool;
    j->future.pointer = j->answer;
    j->future.drop = drop_answer;
    pl__op_end(pl__op_of(&j->op), j->result, 0);
    pl__future_finish(&j->future, j->result);
    pl_future_unref(&j->future);
    pool_release(pool);
}

static void job_delivered(void *arg)
{
    job_done(arg);
}

/* With the mutex: kills the process that a running job has. */
static void stop_running(job *j, int code)
{
    worker *w = j->worker;
    if (j->stop_code == PL_OK)
        j->stop_code = (int16_t)code;
    if (w->has_child && !w->killed) {
        pl__child_kill(&w->child);
        w->killed = true;
    }
}

/* Ends it, or asks its process to end. False: it is over, and will be told. */
static bool job_stop(job *j, int code)
{
    pl_process_pool *pool = j->pool;
    pl__mutex_lock(&pool->mutex);
    uint8_t state = j->state;
    if (state == JOB_QUEUED) {
        pl__node_unlink(&j->node);
        pool->queued--;
    } else if (state == JOB_RUNNING) {
        stop_running(j, code);
    }
    pl__mutex_unlock(&pool->mutex);
    if (state == JOB_QUEUED) {
        j->result = code;
        job_done(j);
    }
    return state != JOB_ANSWERED;
}

static bool job_cancel(pl_future *future)
{
    return job_stop(job_of(future), PL_ECANCELED);
}

/* The loop is being closed. */
static void job_op_cancel(pl__op *op)
{
    (void)job_stop(op->owner, op->cancel_code);
}

static job *job_create(pl_process_pool *pool, pl_loop *loop, const char *name, const void *input, size_t size)
{
    size_t message_size = sizeof(request) + size;
    job *j = pl__allocate(sizeof *j + message_size);
    if (!j)
        return NULL;
    *j = (job){.pool = pool, .message_size = message_size, .call = pl__allocate_zeroed(sizeof(pl__call))};
    if (!j->call) {
        job_free(j);
        return NULL;
    }
    j->call->fn = job_delivered;
    j->call->arg = j;
    request *message = job_message(j);
    *message = (request){.mark = REQUEST_MARK, .input_size = size, .limit = pool->message_limit};
    memcpy(message->name, name, strlen(name));
    if (size > 0)
        memcpy(message + 1, input, size);
    pl__future_init(&j->future, &job_future_type, loop);
    return j;
}

/* --- A job, on its worker's thread -------------------------------------------------------------------------------- */

/* The job may be gone when this returns. */
static void job_post(job *j)
{
    pl__call *call = j->call;
    j->call = NULL;
    PL__CHECK(pl__remote_post(j->future.loop->remote, call) == PL_OK); /* the loop waits for its operations */
}

/* The process has ended, was killed, or is of no use any more. */
static void lose_process(worker *w, int64_t limit)
{
    pl__mutex_lock(&w->pool->mutex);
    PL__CHECK(w->has_child);
    w->has_child = false;
    w->killed = false;
    w->pool->processes--;
    pl__mutex_unlock(&w->pool->mutex);
    pl__child_end(&w->child, limit);
}

/* A process for the job that waits for it. PL_OK; why there is none; or what the job was stopped with meanwhile. */
static int get_process(worker *w, const job *j)
{
    pl_process_pool *pool = w->pool;
    if (w->has_child && pl__child_has_gone(&w->child)) /* while it had nothing to do: that costs no job */
        lose_process(w, 0);
    bool had = w->has_child; /* no other thread writes it */
    if (!had) {
        int started = pl__child_start(&w->child);
        if (started < 0)
            return started;
        w->served = 0;
    }
    pl__mutex_lock(&pool->mutex);
    if (!had) {
        w->has_child = true;
        pool->processes++;
        pool->restarts += w->had_child;
        w->had_child = true;
    }
    int stop_code = j->stop_code;
    pl__mutex_unlock(&pool->mutex);
    return stop_code;
}

/* Sends the request and takes the answer. False: the process is of no use any more. */
static bool exchange(worker *w, job *j)
{
    answer_header header;
    j->result = PL_EBROKEN;
    if (!pl__child_write(&w->child, job_message(j), j->message_size) ||
        !pl__child_read(&w->child, &header, sizeof header))
        return false;
    if (header.mark != ANSWER_MARK || header.size > w->pool->message_limit || (header.result < 0 && header.size > 0))
        return false;
    if (header.result >= 0) {
        j->answer = answer_create((size_t)header.size);
        if (!j->answer)
            j->result = PL_ENOMEM;
        if (!j->answer || !pl__child_read(&w->child, j->answer->data, j->answer->size))
            return false;
    }
    j->result = header.result;
    return true;
}

/* The job leaves the worker. @return whether its process was killed. */
static bool leave_worker(worker *w, job *j)
{
    pl_process_pool *pool = w->pool;
    pl__mutex_lock(&pool->mutex);
    PL__CHECK(w->job == j && j->worker == w && j->state == JOB_RUNNING);
    j->state = JOB_ANSWERED;
    j->worker = NULL;
    w->job = NULL;
    bool killed = w->killed;
    if (--pool->running == 0 && pool->state == POOL_CLOSING)
        pl__condition_broadcast(&pool->progress);
    pl__mutex_unlock(&pool->mutex);
    return killed;
}

static void run_job(worker *w, job *j)
{
    j->result = get_process(w, j);
    bool intact = j->result < 0 || exchange(w, j);
    bool killed = leave_worker(w, j);
    if (!intact) {
        pl_process_answer_free(j->answer);
        j->answer = NULL;
        if (j->stop_code != PL_OK)
            j->result = j->stop_code;
    }
    if (!intact || killed)
        lose_process(w, 0); /* before anybody is told */
    job_post(j);
    if (w->has_child && ++w->served == w->pool->jobs_per_process)
        lose_process(w, EXIT_LIMIT);
}

/* With the mutex. NULL: the pool closes. */
static job *wait_for_job(worker *w)
{
    pl_process_pool *pool = w->pool;
    pool->waiting++;
    while (pool->state == POOL_OPEN && pl__list_is_empty(&pool->queue))
        pl__condition_wait(&pool->work, &pool->mutex);
    pool->waiting--;
    if (pool->state != POOL_OPEN)
        return NULL;
    job *j = PL__CONTAINER_OF(pl__list_pop_front(&pool->queue), job, node);
    PL__CHECK(j->state == JOB_QUEUED && pool->queued > 0);
    pool->queued--;
    pool->running++;
    j->state = JOB_RUNNING;
    j->worker = w;
    w->job = j;
    return j;
}

static void run_worker(void *arg)
{
    worker *w = arg;
    pl_process_pool *pool = w->pool;
    pl__mutex_lock(&pool->mutex);
    for (job *j; (j = wait_for_job(w));) {
        pl__mutex_unlock(&pool->mutex);
        run_job(w, j);
        pl__mutex_lock(&pool->mutex);
    }
    pl__mutex_unlock(&pool->mutex);
    if (w->has_child)
        lose_process(w, EXIT_LIMIT);
}

/* --- Public ------------------------------------------------------------------------------------------------------- */

static int check_options(const pl_process_pool_options *options)
{
    uint32_t known = pl__atomic_u32_load(&role);
    if (known == ROLE_WORKER)
        return PL_ESTATE;
    bool good = known == ROLE_PROGRAM && options->size == sizeof *options && options->workers <= WORKERS_MAX &&
                options->message_limit <= SIZE_MAX / 4;
    return good ? PL_OK : PL_EINVAL;
}

static size_t count_or(size_t count, size_t otherwise)
{
    return count > 0 ? count : otherwise;
}

int pl_process_pool_create(pl_process_pool **pool, const pl_process_pool_options *options)
{
    static const pl_process_pool_options defaults = {.size = sizeof(pl_process_pool_options)};
    if (!options)
        options = &defaults;
    if (!pool)
        return PL_EINVAL;
    *pool = NULL;
    int checked = check_options(options);
    if (checked < 0)
        return checked;
    pl_process_pool *made = pl__allocate_zeroed(sizeof *made);
    if (!made)
        return PL_ENOMEM;
    made->worker_count = count_or(options->workers, pl__processor_count());
    made->message_limit = count_or(options->message_limit, MESSAGE_LIMIT);
    made->queue_limit = options->queue_limit;
    made->jobs_per_process = options->jobs_per_process;
    made->workers = pl__allocate_zeroed(made->worker_count * sizeof *made->workers);
    if (!made->workers) {
        pl__release(made, sizeof *made);
        return PL_ENOMEM;
    }
    for (size_t i = 0; i < made->worker_count; i++)
        made->workers[i].pool = made;
    pl__atomic_u32_store(&made->references, 1);
    pl__atomic_u32_store(&made->holds, 1);
    pl__mutex_init(&made->mutex);
    pl__condition_init(&made->work);
    pl__condition_init(&made->progress);
    pl__list_init(&made->queue);
    *pool = made;
    return PL_OK;
}

pl_process_pool *pl_process_pool_ref(pl_process_pool *pool)
{
    if (pool)
        PL__CHECK(pl__atomic_u32_add(&pool->references, 1) > 0);
    return pool;
}

void pl_process_pool_unref(pl_process_pool *pool)
{
    if (!pool)
        return;
    uint32_t before = pl__atomic_u32_add(&pool->references, UINT32_MAX);
    PL__CHECK(before > 0);
    if (before > 1)
        return;
    (void)pl_process_pool_shutdown(pool, 0);
    pool_release(pool);
}

/* With the mutex. */
static int start_worker(pl_process_pool *pool)
{
    worker *w = &pool->workers[pool->started];
    int result = pl__thread_start(&w->thread, run_worker, w, "process worker");
    if (result == PL_OK)
        pool->started++;
    return result;
}

/* With the mutex. More threads are started only while there are fewer that wait than jobs; without a single one the job
 * cannot be taken. */
static int enqueue(pl_process_pool *pool, job *j)
{
    if (pool->state != POOL_OPEN)
        return PL_ECLOSED;
    if (pool->queue_limit > 0 && pool->queued + pool->running >= pool->worker_count + pool->queue_limit)
        return PL_ELIMIT;
    int result = PL_OK;
    if (pool->queued >= pool->waiting && pool->started < pool->worker_count)
        result = start_worker(pool);
    if (pool->started == 0)
        return result;
    pl__list_push_back(&pool->queue, &j->node);
    pool->queued++;
    pl__condition_signal(&pool->work);
    return PL_OK;
}

int pl_process_pool_submit(pl_process_pool *pool, pl_future **future, const char *name, const void *input, size_t size)
{
    pl_loop *loop = NULL;
    if (future)
        *future = NULL;
    if (!pool || !name || (size > 0 && !input))
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    if (!find_function(name))
        return PL_ENOENT;
    if (size > pool->message_limit)
        return PL_EMSGSIZE;
    job *j = job_create(pool, loop, name, input, size);
    if (!j)
        return PL_ENOMEM;
    pl__mutex_lock(&pool->mutex);
    int result = enqueue(pool, j);
    pl__mutex_unlock(&pool->mutex);
    if (result < 0) {
        job_free(j);
        return result;
    }
    /* Whatever became of it, its end comes by the loop. */
    pool_hold(pool);
    pl__loop_hold(loop);
    (void)pl__op_begin(&j->op, loop, &job_op_type, j, NULL);
    if (future)
        *future = pl_future_ref(&j->future);
    return PL_OK;
}

int64_t pl_process_call(pl_process_pool *pool, const char *name, const void *input, size_t size,
                        pl_process_answer **answer)
{
    pl_future *future;
    if (answer)
        *answer = NULL;
    if (!pool || !name || (size > 0 && !input))
        return PL_EINVAL;
    int begun = pl__task_checkpoint();
    if (begun < 0)
        return begun;
    int submitted = pl_process_pool_submit(pool, &future, name, input, size);
    if (submitted < 0)
        return submitted;
    int64_t result = pl__task_wait_for(pl__task_running(), future);
    pl_process_answer *taken = pl_future_take_pointer(future);
    pl_future_unref(future);
    if (answer)
        *answer = taken;
    else
        pl_process_answer_free(taken);
    return result;
}

/* With the mutex: takes all jobs that have not begun. */
static void take_queue(pl_process_pool *pool, pl__list *taken)
{
    pl__list_init(taken);
    pl__list_move_all(&pool->queue, taken);
    pool->queued = 0;
    PL__LIST_EACH (node, taken) {
        job *j = PL__CONTAINER_OF(node, job, node);
        j->state = JOB_ANSWERED;
        j->result = PL_ECLOSED;
    }
}

/* With the mutex. */
static void wait_for_running(pl_process_pool *pool, pl_duration limit)
{
    int64_t now = pl__clock_now();
    int64_t deadline = pl__deadline_after(now, limit);
    while (pool->running > 0 && now < deadline) {
        (void)pl__condition_wait_for(&pool->progress, &pool->mutex, deadline - now);
        now = pl__clock_now();
    }
}

/* With the mutex. */
static void kill_running(pl_process_pool *pool)
{
    for (size_t i = 0; i < pool->started; i++) {
        if (pool->workers[i].job)
            stop_running(pool->workers[i].job, PL_ECLOSED);
    }
}

int pl_process_pool_shutdown(pl_process_pool *pool, pl_duration limit)
{
    pl__list taken;
    if (!pool)
        return PL_EINVAL;
    pl__mutex_lock(&pool->mutex);
    if (pool->state != POOL_OPEN) {
        while (pool->state != POOL_CLOSED)
            pl__condition_wait(&pool->progress, &pool->mutex);
        pl__mutex_unlock(&pool->mutex);
        return PL_OK;
    }
    pool->state = POOL_CLOSING;
    take_queue(pool, &taken);
    pl__condition_broadcast(&pool->work);
    pl__mutex_unlock(&pool->mutex);
    for (pl__node *node; (node = pl__list_pop_front(&taken));)
        job_post(PL__CONTAINER_OF(node, job, node));

    pl__mutex_lock(&pool->mutex);
    wait_for_running(pool, limit);
    bool in_time = pool->running == 0;
    kill_running(pool);
    pl__mutex_unlock(&pool->mutex);
    for (size_t i = 0; i < pool->started; i++)
        pl__thread_join(&pool->workers[i].thread);

    pl__mutex_lock(&pool->mutex);
    pool->state = POOL_CLOSED;
    pl__condition_broadcast(&pool->progress);
    pl__mutex_unlock(&pool->mutex);
    return in_time ? PL_OK : PL_ETIMEDOUT;
}

size_t pl_process_pool_processes(pl_process_pool *pool)
{
    if (!pool)
        return 0;
    pl__mutex_lock(&pool->mutex);
    size_t processes = pool->processes;
    pl__mutex_unlock(&pool->mutex);
    return processes;
}

uint64_t pl_process_pool_restarts(pl_process_pool *pool)
{
    if (!pool)
        return 0;
    pl__mutex_lock(&pool->mutex);
    uint64_t restarts = pool->restarts;
    pl__mutex_unlock(&pool->mutex);
    return restarts;
}
