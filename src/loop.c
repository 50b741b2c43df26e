/* The loop: its life, its iterations, its reports. See loop.h. */
#include "loop.h"

#include <stdio.h>
#include <stdlib.h>

#include "allocator.h"
#include "closer.h"
#include "coro.h"
#include "debug.h"
#include "dump.h"
#include "embed.h"
#include "listener.h"
#include "op.h"
#include "remote.h"
#include "stream.h"
#include "task.h"
#include "thread.h"
#include "watch.h"
#include "watcher.h"

enum {
    PL__TASK_BUDGET = 256,
    PL__POLLS_SKIPPED = 64,           /* iterations that may pass without a poll while there is ready work, */
    PL__POLL_SKIP_NANOSECONDS = 50000 /* and for how long */
};

static PL__THREAD_LOCAL pl_loop *running_loop;
static pl__atomic_pointer default_loop;

PL__NOIPA static void set_running(pl_loop *loop)
{
    running_loop = loop;
}

PL__NOIPA pl_loop *pl_loop_running(void)
{
    return running_loop;
}

/* A child made by fork has the parent's memory, but neither its loop's system objects nor its place in a run.
 */
static void forget_loops(void)
{
    set_running(NULL);
    pl__atomic_pointer_store(&default_loop, NULL);
    pl__dump_forget();
}

static void watch_forks(void)
{
    static pl__atomic_u32 watching;
    if (pl__atomic_u32_exchange(&watching, 1) == 0)
        pl__process_on_fork(forget_loops);
}

/* --- Making and holding ------------------------------------------------------------------------------------------- */

static uint8_t debug_wanted(const pl_loop_options *options)
{
    if (options->debug)
        return options->debug < 0 ? 0 : (uint8_t)options->debug;
    const char *variable = getenv("PROLOOP_DEBUG");
    if (!variable || !variable[0] || variable[0] == '0')
        return 0;
    return variable[0] == '2' ? 2 : 1;
}

static int loop_init(pl_loop *loop, const pl_loop_options *options)
{
    loop->references = 1;
    loop->debug = debug_wanted(options);
    loop->task_budget = options->task_budget ? (uint32_t)options->task_budget : PL__TASK_BUDGET;
    loop->stack_size = options->stack_size;
    loop->random = options->seed;
    pl__list_init(&loop->ready);
    pl__list_init(&loop->tasks);
    pl__list_init(&loop->operations);
    pl__list_init(&loop->streams);
    pl__list_init(&loop->listeners);
    pl__list_init(&loop->watches);
    pl__list_init(&loop->watchers);
    pl__list_init(&loop->signals);
    pl__list_init(&loop->ends);
    pl__list_init(&loop->aborts);
    pl__list_init(&loop->closers);
    pl__list_init(&loop->gathering_aborts);
    pl__list_init(&loop->coros);
    pl__buffer_pool_init(&loop->buffers);
    int result = pl__fiber_pool_init(&loop->fibers);
    if (result < 0)
        return result;
    result = pl__remote_create(&loop->remote, loop);
    if (result < 0)
        return result;
    const pl__proactor_class *type = pl__proactor_find(options->backend);
    if (!type)
        return PL_EINVAL;
    const pl__proactor_options proactor_options = {.seed = options->seed};
    result = type->create(&loop->proactor, &proactor_options);
    return result == PL_OK && loop->debug ? pl__debug_create(loop, options) : result;
}

/* Frees all that the loop alone uses; nothing is in flight. */
static void loop_clear(pl_loop *loop)
{
    pl__debug_destroy(loop);
    if (loop->remote) {
        pl_remote_unref(loop->remote);
        loop->remote = NULL;
    }
    if (loop->interrupted) {
        pl__request request = {.kind = PL__REQUEST_INTERRUPT_WATCH, .value = 0};
        (void)pl__loop_control(loop, &request);
        loop->interrupted = NULL;
    }
    if (loop->proactor) {
        loop->proactor->type->destroy(loop->proactor);
        loop->proactor = NULL;
    }
    pl__timer_heap_destroy(&loop->timers);
    pl__tasks_destroy(loop);
    pl__calls_destroy(loop);
    pl__buffer_pool_destroy(&loop->buffers);
}

int pl_loop_create_checked(pl_loop **loop, const pl_loop_options *options, uint32_t abi)
{
    static const pl_loop_options defaults = {.size = sizeof(pl_loop_options)};
    if (abi != PL_ABI)
        return PL_EABI;
    if (!options)
        options = &defaults;
    if (!loop || options->size != sizeof *options || options->task_budget > UINT32_MAX || options->debug > 2)
        return PL_EINVAL;
    *loop = NULL;
    watch_forks();
    pl_loop *made = pl__allocate_zeroed(sizeof *made);
    if (!made)
        return PL_ENOMEM;
    int result = loop_init(made, options);
    if (result < 0) {
        loop_clear(made);
        pl__fiber_pool_destroy(&made->fibers);
        pl__release(made, sizeof *made);
        return result;
    }
    *loop = made;
    return PL_OK;
}

void pl__loop_hold(pl_loop *loop)
{
    loop->references++;
}

void pl__loop_release(pl_loop *loop)
{
    PL__CHECK(loop->references > 0);
    if (--loop->references == 0) {
        PL__CHECK(loop->closed);
        pl__release(loop, sizeof *loop);
    }
}

/* --- The factory -------------------------------------------------------------------------------------------------- */

/* A function and its argument, to be read as a pair: `version` is odd while somebody changes them. */
static struct {
    pl__atomic_u32 version;
    pl__atomic_i64 fn;
    pl__atomic_pointer arg;
} factory;

int pl_set_loop_factory(pl_loop_factory_fn *fn, void *arg)
{
    uint32_t version = pl__atomic_u32_load(&factory.version) & ~UINT32_C(1);
    while (!pl__atomic_u32_compare_exchange(&factory.version, &version, version + 1)) {
        version &= ~UINT32_C(1);
        pl__thread_yield();
    }
    pl__atomic_i64_store(&factory.fn, (int64_t)(intptr_t)fn);
    pl__atomic_pointer_store(&factory.arg, arg);
    pl__atomic_u32_store(&factory.version, version + 2);
    return PL_OK;
}

static pl_loop_factory_fn *factory_get(void **arg)
{
    pl_loop_factory_fn *fn;
    uint32_t version;
    for (;;) {
        version = pl__atomic_u32_load(&factory.version);
        fn = (pl_loop_factory_fn *)(intptr_t)pl__atomic_i64_load(&factory.fn);
        *arg = pl__atomic_pointer_load(&factory.arg);
        if (!(version & 1) && version == pl__atomic_u32_load(&factory.version))
            return fn;
        pl__thread_yield();
    }
}

int pl__loop_make(pl_loop **loop, const pl_loop_options *options)
{
    void *arg;
    pl_loop_factory_fn *fn = factory_get(&arg);
    *loop = NULL;
    int result = fn ? fn(loop, options, arg) : pl_loop_create(loop, options);
    if (result < 0)
        *loop = NULL;
    else
        result = *loop ? PL_OK : PL_EINVAL;
    return result;
}

int pl_loop_default(pl_loop **loop)
{
    if (!loop)
        return PL_EINVAL;
    *loop = NULL;
    if (!pl__thread_is_main())
        return PL_ETHREAD;
    *loop = pl__atomic_pointer_load(&default_loop);
    if (*loop)
        return PL_OK;
    int result = pl__loop_make(loop, NULL);
    if (result == PL_OK) {
        pl__atomic_i64_store_relaxed(&(*loop)->thread, (int64_t)pl__thread_id());
        pl__atomic_pointer_store(&default_loop, *loop);
    }
    return result;
}

const char *pl_loop_backend(const pl_loop *loop)
{
    return loop && !loop->closed ? loop->proactor->type->name : NULL;
}

int pl__loop_check_thread(const pl_loop *loop)
{
    if (PL__LIKELY(!loop->debug))
        return PL_OK;
    uint64_t thread = pl__loop_thread(loop);
    bool other = thread && thread != pl__thread_id();
    return other && !loop->closed ? PL_ETHREAD : PL_OK; /* what a closed loop leaves behind is anybody's */
}

int pl__loop_check(pl_loop **loop)
{
    if (!*loop)
        *loop = pl_loop_running();
    if (!*loop)
        return PL_ENOLOOP;
    if ((*loop)->closed || (*loop)->ending)
        return PL_ECLOSED;
    return pl__loop_check_thread(*loop);
}

int64_t pl__loop_now(pl_loop *loop)
{
    return loop->proactor->type->now(loop->proactor);
}

pl_duration pl_loop_time(pl_loop *loop)
{
    if (!loop || loop->closed)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(loop);
    return checked < 0 ? checked : pl__loop_now(loop);
}

/* --- The seam ----------------------------------------------------------------------------------------------------- */

bool pl__loop_submit(pl_loop *loop, pl__completion *completion)
{
    PL__CHECK(completion->state == PL__IDLE);
    if (loop->proactor->type->submit(loop->proactor, completion) == PL__SUBMIT_DONE) {
        PL__CHECK(completion->state == PL__DONE);
        return false;
    }
    PL__CHECK(completion->state == PL__SUBMITTED);
    loop->in_flight++;
    return true;
}

void pl__loop_cancel(pl_loop *loop, pl__completion *completion)
{
    if (completion->state == PL__SUBMITTED)
        loop->proactor->type->cancel(loop->proactor, completion);
    if (PL__UNLIKELY(loop->embedding != NULL))
        pl__embedding_cancelled(loop);
}

int pl__loop_control(pl_loop *loop, pl__request *request)
{
    return loop->proactor->type->control(loop->proactor, request);
}

/* --- Iterating ---------------------------------------------------------------------------------------------------- */

static bool has_ready_work(const pl_loop *loop)
{
    return !pl__list_is_empty(&loop->ready) || pl__remote_has_calls(loop->remote);
}

bool pl__loop_take_interrupts(pl_loop *loop)
{
    uint32_t interrupts = pl__atomic_u32_load(&loop->proactor->interrupts);
    bool some = interrupts != loop->interrupts_seen;
    loop->interrupts_seen = interrupts;
    return some;
}

static void poll_and_deliver(pl_loop *loop, int64_t deadline)
{
    pl__list finished;
    pl__list_init(&finished);
    const pl__proactor_class *type = loop->proactor->type;
    type->flush(loop->proactor);
    int64_t began = type->now(loop->proactor);
    type->poll(loop->proactor, deadline, &finished);
    loop->polled = type->now(loop->proactor);
    loop->counts.polls++;
    loop->counts.poll_time += loop->polled - began;
    for (pl__node *node; (node = pl__list_pop_front(&finished));) {
        pl__completion *completion = PL__CONTAINER_OF(node, pl__completion, node);
        PL__CHECK(completion->state == PL__DONE && loop->in_flight > 0);
        loop->in_flight--;
        completion->deliver(completion);
    }
    if (pl__loop_take_interrupts(loop) && loop->interrupted)
        loop->interrupted(loop->interrupted_arg);
    pl__signals_deliver(loop);
}

static bool may_skip_poll(pl_loop *loop)
{
    return !loop->stopping && !loop->embedding && loop->skipped < PL__POLLS_SKIPPED &&
           pl__loop_now(loop) - loop->polled < PL__POLL_SKIP_NANOSECONDS;
}

/* With ready work the system is asked only now and then: a poll costs more than most callbacks. */
static void look_at_system(pl_loop *loop, int64_t limit)
{
    bool busy = has_ready_work(loop);
    if (busy && may_skip_poll(loop)) {
        loop->skipped++;
        return;
    }
    int64_t deadline = pl__timer_heap_first(&loop->timers);
    if (deadline > limit)
        deadline = limit;
    poll_and_deliver(loop, busy || loop->stopping ? 0 : deadline);
    loop->skipped = 0;
}

/* In the context that it brings, which it may change. It is its owner's again from the start. */
static inline void run_callback(pl_loop *loop, pl__callback *callback, pl__bindings *bindings)
{
    *bindings = callback->bindings;
    if (bindings->values || bindings->context)
        callback->bindings = (pl__bindings){.values = NULL};
    loop->counts.callbacks++;
    callback->fn(callback->arg);
    pl__bindings_release(bindings);
    PL__CHECK(!loop->current);
}

/* The same, in debug mode. */
static void run_callback_observed(pl_loop *loop, pl__callback *callback, pl__bindings *bindings)
{
    pl__debug_callback_begins(loop, callback);
    run_callback(loop, callback, bindings);
    pl__debug_callback_ended(loop);
}

static void run_ready(pl_loop *loop)
{
    pl__list batch;
    pl__bindings bindings = {.values = NULL};
    pl__list_init(&batch);
    pl__list_move_all(&loop->ready, &batch); /* what they add waits for the next iteration */
    PL__CHECK(!loop->batch && !loop->bindings);
    loop->batch = &batch;
    loop->bindings = &bindings;
    for (pl__node *node; (node = pl__list_pop_front(&batch));) {
        pl__callback *callback = PL__CONTAINER_OF(node, pl__callback, node);
        if (PL__LIKELY(!loop->debugging))
            run_callback(loop, callback, &bindings);
        else
            run_callback_observed(loop, callback, &bindings);
    }
    loop->bindings = NULL;
    loop->batch = NULL;
}

static void iterate(pl_loop *loop, int64_t limit)
{
    loop->counts.iterations++;
    look_at_system(loop, limit);
    pl__remote_collect(loop->remote);
    if (loop->timers.count)
        pl__timer_heap_run_due(&loop->timers, pl__loop_now(loop));
    run_ready(loop);
}

/* Closing may happen while another loop of this thread runs; running may not. */
static int loop_enter(pl_loop *loop, bool inside_another)
{
    if (!loop)
        return PL_EINVAL;
    if (loop->closed)
        return PL_ECLOSED;
    if (pl__loop_thread(loop) && pl__loop_thread(loop) != pl__thread_id())
        return PL_ETHREAD;
    if (loop->running || (pl_loop_running() && !inside_another))
        return PL_EBUSY;
    int entered = pl__fiber_host_enter(&loop->host);
    if (entered < 0)
        return entered;
    pl__atomic_i64_store_relaxed(&loop->thread, (int64_t)pl__thread_id());
    loop->running = true;
    loop->outer = pl_loop_running();
    set_running(loop);
    return PL_OK;
}

static void loop_leave(pl_loop *loop)
{
    PL__CHECK(loop->running && pl_loop_running() == loop && !loop->current);
    set_running(loop->outer);
    loop->running = false;
    loop->stopping = false;
    pl__fiber_host_leave(&loop->host);
}

/* For more than an iteration that does not wait: not inside a foreign loop, which has the thread. */
static int loop_enter_to_wait(pl_loop *loop, bool inside_another)
{
    int entered = loop && loop->embedding ? PL_ESTATE : PL_OK;
    return entered < 0 ? entered : loop_enter(loop, inside_another);
}

int pl_loop_run_forever(pl_loop *loop)
{
    int entered = loop_enter_to_wait(loop, false);
    if (entered < 0)
        return entered;
    do {
        iterate(loop, PL_FOREVER);
    } while (!loop->stopping);
    loop_leave(loop);
    return PL_OK;
}

int pl_loop_run_once(pl_loop *loop, pl_duration limit)
{
    int entered = limit > 0 ? loop_enter_to_wait(loop, false) : loop_enter(loop, false);
    if (entered < 0)
        return entered;
    if (loop->embedding)
        pl__embedding_begins(loop);
    iterate(loop, pl__deadline_after(pl__loop_now(loop), limit));
    loop_leave(loop);
    if (loop->embedding)
        pl__embedding_rests(loop);
    return PL_OK;
}

int pl__loop_run_while(pl_loop *loop, bool (*more)(void *arg), void *arg)
{
    int entered = loop_enter_to_wait(loop, true);
    if (entered < 0)
        return entered;
    while (more(arg)) {
        iterate(loop, PL_FOREVER);
        loop->stopping = false;
    }
    loop_leave(loop);
    return PL_OK;
}

int pl_loop_stop(pl_loop *loop)
{
    if (!loop)
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked == PL_OK && !loop->closing) /* which stops by itself */
        loop->stopping = true;
    return checked;
}

static void stop_loop(void *arg)
{
    ((pl_loop *)arg)->stopping = true;
}

int64_t pl_loop_run_until_complete(pl_loop *loop, pl_future *future)
{
    if (!loop || !future || future->loop != loop)
        return PL_EINVAL;
    pl_callback stop = {{{0}}};
    int added = pl_future_add_done_callback(future, &stop, stop_loop, loop);
    if (added < 0)
        return added;
    pl__future_hold(future);
    int64_t result = pl_loop_run_forever(loop);
    (void)pl_callback_cancel(&stop);
    if (result == PL_OK)
        result = pl__future_is_done(future) ? pl__future_take(future) : PL_ESTOPPED;
    pl__future_let_go(future);
    return result;
}

/* --- Closing ------------------------------------------------------------------------------------------------------ */

/* Runs until the tasks have ended. False: those that are left ignore their cancel, or wait for those. */
static bool end_tasks(pl_loop *loop)
{
    PL__LIST_EACH (node, &loop->tasks)
        pl__task_cancel_whole(PL__CONTAINER_OF(node, pl_task, node));
    while (!pl__list_is_empty(&loop->tasks)) {
        if (pl__tasks_are_hopeless(loop, UINT64_MAX))
            return false;
        iterate(loop, PL_FOREVER);
    }
    return true;
}

/* Cancelling one may end others of the list, so each is looked for anew. What a closed stream still has to write goes
 * on. */
static void cancel_operations(pl__list *operations)
{
    pl__list left;
    pl__list_init(&left);
    pl__list_move_all(operations, &left);
    for (pl__node *node; (node = pl__list_pop_front(&left));) {
        pl__op *op = PL__CONTAINER_OF(node, pl__op, node);
        pl__list_push_back(operations, node);
        if (!pl__op_lingers(op))
            pl__op_cancel(op, PL_ECANCELED);
    }
}

/* The wake callback of a task that is left behind. */
static void leave_suspended(void *arg)
{
    PL__UNUSED(arg);
}

static void leave_tasks_behind(pl_loop *loop)
{
    for (pl__node *node; (node = pl__list_pop_front(&loop->tasks));) {
        pl_task *task = PL__CONTAINER_OF(node, pl_task, node);
        pl__debug_report(&task->future, "a task would not end and is left behind", PL_ECANCELED);
        task->wake.fn = leave_suspended;
        cancel_operations(&task->operations);
    }
}

static void tell_ends(pl_loop *loop)
{
    for (pl__node *node; (node = pl__list_pop_front(&loop->ends));) {
        pl__loop_end *end = PL__CONTAINER_OF(node, pl__loop_end, node);
        end->loop_ends(end);
    }
}

/* Closes what is open, cancels what is in flight, and waits for that. */
static void end_operations(pl_loop *loop)
{
    loop->ending = true;
    tell_ends(loop);
    pl_thread_pool_unref(loop->default_pool);
    loop->default_pool = NULL;
    pl__listeners_close(loop);
    pl__streams_close(loop);
    pl__watches_close(loop);
    pl__watchers_close(loop);
    pl__signals_close(loop);
    cancel_operations(&loop->operations);
    while (loop->in_flight > 0 || !pl__list_is_empty(&loop->streams) || !pl__list_is_empty(&loop->listeners) ||
           !pl__list_is_empty(&loop->watches) || !pl__list_is_empty(&loop->operations))
        iterate(loop, PL_FOREVER);
}

static void drop_ready(pl_loop *loop)
{
    for (pl__node *node; (node = pl__list_pop_front(&loop->ready));)
        pl__callback_drop(PL__CONTAINER_OF(node, pl__callback, node));
}

int pl_loop_close(pl_loop *loop)
{
    if (!loop || loop->closed)
        return PL_OK;
    int entered = loop_enter(loop, true);
    if (entered < 0)
        return entered;
    pl__embedding_end(loop);
    loop->closing = true;
    loop->stopping = false;
    bool ended = end_tasks(loop);
    if (!ended)
        leave_tasks_behind(loop);
    pl__coros_close(loop);
    pl__closers_end(loop);
    end_operations(loop);
    loop_leave(loop);
    loop->closed = true;
    pl__remote_close(loop->remote);
    drop_ready(loop);
    loop_clear(loop);
    if (ended)
        pl__fiber_pool_destroy(&loop->fibers);
    void *expected = loop;
    (void)pl__atomic_pointer_compare_exchange(&default_loop, &expected, NULL);
    pl__loop_release(loop);
    return ended ? PL_OK : PL_ESTATE;
}

/* --- Reports ------------------------------------------------------------------------------------------------------ */

/* In one piece: other threads may write there too. Without a part its text is empty. */
static void print_report(const pl_report *report)
{
    char error[160] = "", system_error[32] = "", task[PL__TASK_NAME_SIZE * 4 + 8] = "", name[PL__TASK_NAME_SIZE * 4];
    if (report->error)
        (void)snprintf(error, sizeof error, ": %s (%s)", pl_error_text(report->error), pl_error_name(report->error));
    if (report->system_error)
        (void)snprintf(system_error, sizeof system_error, ", system error %ld", (long)report->system_error);
    if (report->task) {
        pl__printable(name, sizeof name, report->task);
        (void)snprintf(task, sizeof task, ", task %s", name);
    }
    (void)fprintf(stderr, "proloop: %s%s%s%s%s%s\n%s%s", report->message ? report->message : "(no message)", error,
                  system_error, task, report->where ? ", begun at " : "", report->where ? report->where : "",
                  report->stack ? "  made at\n" : "", report->stack ? report->stack : "");
    (void)fflush(stderr);
}

int pl_loop_set_switch_hook(pl_loop *loop, pl_switch_fn *hook, void *arg)
{
    int checked = loop ? pl__loop_check(&loop) : PL_EINVAL;
    if (checked < 0)
        return checked;
    if (loop->current || loop->switching)
        return PL_EBUSY; /* a task was entered, and is still to be left */
    loop->switch_hook = hook;
    loop->switch_arg = arg;
    return PL_OK;
}

int pl_loop_set_exception_handler(pl_loop *loop, pl_exception_handler_fn *handler, void *arg)
{
    int checked = loop ? pl__loop_check(&loop) : PL_EINVAL;
    if (checked < 0)
        return checked;
    loop->handler = handler;
    loop->handler_arg = arg;
    return PL_OK;
}

void pl_loop_report(pl_loop *loop, const pl_report *report)
{
    if (!report)
        return;
    bool refused = loop && pl__loop_refuses(loop, "pl_loop_report");
    if (refused || !loop || loop->closed || !loop->handler || loop->reporting) {
        print_report(report);
        return;
    }
    loop->reporting = true;
    loop->handler(loop, report, loop->handler_arg);
    loop->reporting = false;
}

void pl__loop_report(pl_loop *loop, const char *message, int64_t error, int32_t system_error, const char *task,
                     const char *where)
{
    const pl_report report = {
        .message = message, .error = error, .system_error = system_error, .task = task, .where = where};
    pl_loop_report(loop, &report);
}
