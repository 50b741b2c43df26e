/* Tasks: see task.h.
 *
 * One step of a task is one resume of its fiber from the loop's stack: task_step sets loop->current, switches, and looks
 * afterwards whether the function has returned. The fiber is taken at the first step, so a task that is cancelled before
 * it ran never had a stack, and it is given back parked, so the next task starts on it without making one.
 */
#include "task.h"

#include <stdio.h>
#include <string.h>

#include "allocator.h"
#include "debug.h"
#include "gather.h"
#include "group.h"
#include "loop.h"
#include "op.h"
#include "sync.h"

enum { PL__TASKS_KEPT = 1024 };

static bool task_future_cancel(pl_future *future);
static void task_destroy(pl_future *future);
static void task_describe(const pl_future *future, pl__text *text);

static const pl__future_type task_type = {
    .name = "task", .cancel = task_future_cancel, .destroy = task_destroy, .describe = task_describe};

/* --- From spawn to the end ---------------------------------------------------------------------------------------- */

static void task_step(void *arg);
static void task_main(void *arg);

static pl_task *task_take(pl_loop *loop)
{
    pl_task *task = loop->free_tasks;
    if (!task)
        return pl__allocate(sizeof *task);
    loop->free_tasks = task->outer;
    loop->free_task_count--;
    return task;
}

static void task_give(pl_loop *loop, pl_task *task)
{
    if (loop->closed || loop->free_task_count >= PL__TASKS_KEPT) {
        pl__release(task, sizeof *task);
        return;
    }
    task->outer = loop->free_tasks;
    loop->free_tasks = task;
    loop->free_task_count++;
}

void pl__tasks_destroy(pl_loop *loop)
{
    while (loop->free_tasks) {
        pl_task *task = loop->free_tasks;
        loop->free_tasks = task->outer;
        pl__release(task, sizeof *task);
    }
    loop->free_task_count = 0;
}

static void task_set_name(pl_task *task, const char *name)
{
    if (name)
        (void)snprintf(task->name, sizeof task->name, "%s", name);
}

static void task_run(pl_task *task, pl__fiber_host *host);
static void task_run_step(pl_task *task, pl__fiber_host *host);
static bool task_take_fiber(pl_task *task);

/* Runs the first step inside the present one, on a stack of its own. False: there is no memory for that. */
static bool task_begin_eagerly(pl_task *task)
{
    pl__fiber_host here = {0};
    if (pl__fiber_host_enter(&here) < 0)
        return false;
    pl_loop *loop = task->future.loop;
    if (PL__UNLIKELY(loop->debug))
        pl__debug_goes_on(loop, task);
    if (task_take_fiber(task))
        task_run(task, &here);
    pl__fiber_host_leave(&here);
    if (PL__UNLIKELY(loop->debug))
        pl__debug_goes_on(loop, loop->current);
    return true;
}

int pl__task_spawn(pl_task **out, pl_task_fn *fn, void *arg, const pl_task_options *options, pl__group *group,
                   const char *where)
{
    static const pl_task_options defaults = {.size = sizeof(pl_task_options)};
    if (!options)
        options = &defaults;
    if (!fn || options->size != sizeof *options)
        return PL_EINVAL;
    pl_loop *loop = options->loop;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    if (loop->closing && !loop->current)
        return PL_ECLOSED; /* or a callback that replaces its task would keep the loop for ever */
    pl_task *task = task_take(loop);
    if (!task)
        return PL_ENOMEM;
    *task = (pl_task){.fn = fn, .arg = arg, .drop = options->drop, .stack_size = options->stack_size, .group = group};
    pl__future_init(&task->future, &task_type, loop);
    pl__loop_hold(loop);
    task->future.where = where;
    pl__debug_created(&task->future, loop);
    task->bindings = options->context ? pl__bindings_to(options->context) : pl__bindings_copy();
    pl__list_init(&task->operations);
    pl__list_init(&task->locks);
    task->number = ++loop->tasks_made;
    task_set_name(task, options->name);
    task->cancelled = loop->closing;
    pl__list_push_back(&loop->tasks, &task->node);
    if (group) {
        pl__list_push_back(&group->children, &task->group_node);
        group->count++;
    }
    if (out) {
        *out = task;
        task->future.references++;
    }
    bool eager = options->eager && pl_loop_running() == loop && !loop->switching;
    if (!(eager && task_begin_eagerly(task)))
        pl__callback_ready(&task->wake, loop, task_step, task);
    return PL_OK;
}

int pl_spawn_here(pl_task **task, pl_task_fn *fn, void *arg, const pl_task_options *options, const char *where)
{
    if (task)
        *task = NULL;
    int spawned = pl__task_spawn(task, fn, arg, options, NULL, where);
    if (spawned < 0 && options && options->drop)
        options->drop(arg);
    return spawned;
}

/* The wake callback: the task's next step. */
static void task_step(void *arg)
{
    pl_task *task = arg;
    if (task->fiber || task_take_fiber(task))
        task_run(task, &task->future.loop->host);
}

static void task_end(pl_task *task, int64_t result);

/* Before the first step. False: it will have none, and has ended. */
static bool task_take_fiber(pl_task *task)
{
    pl_loop *loop = task->future.loop;
    bool cancelled = task->must_cancel || task->cancelled;
    if (!cancelled)
        task->fiber = pl__fiber_take(&loop->fibers, task->stack_size ? task->stack_size : loop->stack_size);
    if (task->fiber) {
        pl__fiber_start(task->fiber, task_main, task);
        return true;
    }
    if (task->drop)
        task->drop(task->arg);
    task->message = task->cancel_message;
    task_end(task, cancelled ? PL_ECANCELED : PL_ENOMEM);
    return false;
}

/* Outside of any task. */
static void tell_switch(pl_loop *loop, pl_task *task, int entering)
{
    pl_task *current = loop->current;
    loop->current = NULL;
    loop->switching = true;
    loop->switch_hook(task, entering, loop->switch_arg);
    loop->switching = false;
    loop->current = current;
}

/* The hook lies around a step. The task in whose step an eager one begins is left meanwhile. */
static void task_run_told(pl_task *task, pl__fiber_host *host)
{
    pl_loop *loop = task->future.loop;
    pl_task *outer = loop->current;
    (void)pl_future_ref(&task->future); /* for the hook, after the last step */
    if (outer)
        tell_switch(loop, outer, 0);
    tell_switch(loop, task, 1);
    task_run_step(task, host);
    tell_switch(loop, task, 0);
    if (outer)
        tell_switch(loop, outer, 1);
    pl_future_unref(&task->future);
}

static void task_run(pl_task *task, pl__fiber_host *host)
{
    if (PL__UNLIKELY(task->future.loop->switch_hook))
        task_run_told(task, host);
    else
        task_run_step(task, host);
}

static void task_run_step(pl_task *task, pl__fiber_host *host)
{
    pl_loop *loop = task->future.loop;
    PL__CHECK(!task->running);
    task->running = true;
    task->budget = loop->task_budget;
    task->outer = loop->current;
    loop->current = task;
    bool returned = pl__fiber_resume(host, task->fiber);
    PL__CHECK(loop->current == task && task->running);
    loop->current = task->outer;
    task->outer = NULL;
    task->running = false;
    if (!returned)
        return;
    pl__locks_report_held(task); /* one may lie in its stack */
    pl__fiber_give(&loop->fibers, task->fiber);
    task->fiber = NULL;
    /* As in asyncio: a cancel that no wait was left to deliver makes the task a cancelled one, unless it failed. */
    bool cancelled = task->must_cancel && task->future.result >= 0;
    if (cancelled)
        task->message = task->cancel_message;
    task_end(task, cancelled ? PL_ECANCELED : task->future.result);
}

/* On the task's own stack. */
static void task_main(void *arg)
{
    pl_task *task = arg;
    int64_t result = task->fn(task->arg);
    if (task->scope)
        pl__scope_panic(task, "is still open when its task returns");
    pl__node *left = pl__list_first(&task->operations);
    if (left)
        PL__PANIC("task %s returns while its operation '%s' is in flight", pl_task_name(task),
                  PL__CONTAINER_OF(left, pl__op, node)->type->name);
    task->future.result = result;
}

/* The error of a task at which nobody looked. */
static void report_unseen(pl_task *task)
{
    pl_loop *loop = task->future.loop;
    if (!pl__future_is_unseen(&task->future))
        return;
    task->future.retrieved = true;
    pl__debug_report(&task->future,
                     task->number <= loop->shutdown ? "a task failed during shutdown"
                                                    : "a task failed, and nobody looked at its error",
                     task->future.result);
}

static void task_end(pl_task *task, int64_t result)
{
    PL__CHECK(!task->fiber && !task->scope && pl__list_is_empty(&task->operations) && pl__list_is_empty(&task->locks));
    pl__node_unlink(&task->node);
    pl__bindings_release(&task->bindings);
    task->future.message = task->message;
    bool awaited = !pl__list_is_empty(&task->future.callbacks);
    pl__future_finish(&task->future, result);
    if (task->group)
        pl__group_child_ended(task->group, task);
    if (PL__UNLIKELY(task->number <= task->future.loop->shutdown) && !awaited)
        report_unseen(task);        /* also if somebody holds it: nobody will look any more */
    pl_future_unref(&task->future); /* the loop's reference */
}

static void task_destroy(pl_future *future)
{
    pl_task *task = pl__task_of_future(future);
    pl_loop *loop = future->loop;
    PL__CHECK(pl__future_is_done(future));
    report_unseen(task);
    pl__debug_destroyed(future, loop);
    task_give(loop, task);
    pl__loop_release(loop);
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

pl_task *pl__task_running(void)
{
    pl_loop *loop = pl_loop_running();
    return loop ? loop->current : NULL;
}

/* A scope in a frame that was left: its function returned without ending it. */
static void check_scope_is_live(const pl_task *task)
{
    const pl__scope *scope = task->scope;
    if (scope && pl__fiber_contains(task->fiber, scope) && pl__fiber_stack_address(scope) < pl__fiber_stack_pointer())
        pl__scope_panic(task, "is still open when its function has returned");
}

static void suspend(pl_task *task)
{
    check_scope_is_live(task);
    pl__fiber_suspend(task->fiber);
}

/* Lets everything that is ready now run first. */
static void take_turns(pl_task *task)
{
    pl__callback_ready(&task->wake, task->future.loop, task_step, task);
    suspend(task);
}

bool pl__task_is_shielded(const pl_task *task)
{
    for (const pl__scope *scope = task->scope; scope; scope = scope->outer) {
        if (scope->kind == PL__SCOPE_SHIELDED)
            return true;
    }
    return false;
}

bool pl__task_is_cancelled_by_level(const pl_task *task)
{
    for (const pl__scope *scope = task->scope; scope; scope = scope->outer) {
        if (scope->cancelled)
            return true;
        if (scope->kind == PL__SCOPE_SHIELDED)
            return false;
    }
    return task->cancelled;
}

bool pl__task_is_cancelled(const pl_task *task)
{
    return (task->must_cancel && !pl__task_is_shielded(task)) || pl__task_is_cancelled_by_level(task);
}

/* A level ended a wait. Who does not heed that for long is reported. */
static void count_ignored(pl_task *task)
{
    if (++task->cancels_ignored == PL__CANCELS_IGNORED)
        pl__loop_report(task->future.loop, "a task goes on although its scope was cancelled", PL_ECANCELED, 0,
                        pl_task_name(task), task->scope_where);
}

/* The edge is delivered. */
static void take_edge(pl_task *task)
{
    PL__CHECK(task->must_cancel);
    task->must_cancel = false;
    task->message = task->cancel_message;
    task->cancel_message = NULL;
}

/* Takes the edge, or counts a level. False: nothing is to be delivered here. */
static bool take_cancel(pl_task *task)
{
    if (task->must_cancel && !pl__task_is_shielded(task)) {
        take_edge(task);
        return true;
    }
    if (!pl__task_is_cancelled_by_level(task))
        return false;
    count_ignored(task);
    task->message = NULL;
    return true;
}

/* Asks the future that the task waits for to end. */
static void pass_on_cancel(pl_task *task)
{
    bool edge = task->must_cancel && !pl__task_is_shielded(task);
    if (!edge)
        count_ignored(task);
    if (pl__future_cancel(task->waiting_for, edge ? task->cancel_message : NULL) && edge) {
        task->must_cancel = false;
        task->edge_passed_on = true;
    }
}

void pl__task_wait(pl_task *task, pl_future *future)
{
    pl_loop *loop = task->future.loop;
    PL__CHECK(loop->current == task && !task->waiting_for && future->loop == loop);
    PL__CHECK(!pl__future_is_done(future) && !pl__future_is_busy(future));
    task->wake.fn = task_step;
    task->wake.arg = task;
    task->waiting_for = future;
    pl__list_push_back(&future->callbacks, &task->wake.node);
    if (pl__task_is_cancelled(task))
        pass_on_cancel(task);
    suspend(task);
    PL__CHECK(pl__future_is_done(future) && task->waiting_for == future);
    task->waiting_for = NULL;
}

static int64_t take_and_let_go(pl_future *future)
{
    int64_t result = pl__future_take(future);
    pl__future_let_go(future);
    return result;
}

int64_t pl__task_wait_for(pl_task *task, pl_future *future)
{
    bool keeps_result = future->type->keeps_result;
    pl__future_hold(future);
    pl__task_wait(task, future);
    bool passed_on = task->edge_passed_on;
    task->edge_passed_on = false;
    if (future->state == PL_CANCELLED)
        task->message = future->message;
    if (!keeps_result && task->must_cancel && !pl__task_is_shielded(task)) {
        take_edge(task);           /* cancelled after the future was done, before the task went on: */
        pl__future_let_go(future); /* an error that it has is not seen */
        return PL_ECANCELED;
    }
    int64_t result = take_and_let_go(future);
    if (keeps_result) {
        if (passed_on && result != PL_ECANCELED)
            task->must_cancel = true; /* it came too late for this wait: the next one returns it */
        else if (result == PL_ECANCELED && !pl__task_is_shielded(task))
            task->must_cancel = false; /* this answers all that were asked for so far */
    }
    return result;
}

pl_task *pl__task_of_step(const pl__callback *callback)
{
    return callback->fn == task_step ? callback->arg : NULL;
}

pl_task *pl__task_of_wake(const pl__callback *callback)
{
    return callback->fn == task_step ? callback->arg : pl__gathering_waiter(callback);
}

static void add_parent(const pl_task *task, pl__list *found)
{
    if (!pl__node_is_linked(&task->group->parent->search_node))
        pl__list_push_back(found, &task->group->parent->search_node);
}

/* The tasks that wait for this one. */
static void add_waiters(const pl_task *task, pl__list *found)
{
    PL__LIST_EACH (node, &task->future.callbacks) {
        const pl__callback *callback = PL__CONTAINER_OF(node, pl__callback, node);
        pl_task *waiter = callback->fn == task_step ? callback->arg : pl__gathering_dependent(callback);
        if (waiter && !pl__node_is_linked(&waiter->search_node))
            pl__list_push_back(found, &waiter->search_node);
    }
}

/* The tasks that cannot end before `task` does: those that wait for it, and the one whose group it is in. */
static void add_dependents(const pl_task *task, pl__list *found)
{
    add_waiters(task, found);
    if (task->group)
        add_parent(task, found);
}

/* Most tasks have no dependents when they wait. All are searched: a cancel goes round an unseen circle for ever. */
void pl__task_find_dependents(pl_task *task, pl__list *found)
{
    pl__list_init(found);
    pl__list_push_back(found, &task->search_node);
    for (pl__node *node = found->head.next; node != &found->head; node = node->next)
        add_dependents(PL__CONTAINER_OF(node, pl_task, search_node), found);
}

bool pl__task_may_be_dependent(const pl_future *future)
{
    if (future->type != &task_type)
        return false;
    const pl_task *task = PL__CONTAINER_OF(future, pl_task, future);
    return task->running || task->waiting_for || task->scope;
}

bool pl__task_is_dependent(const pl_future *future)
{
    return future->type == &task_type && pl__node_is_linked(&PL__CONTAINER_OF(future, pl_task, future)->search_node);
}

void pl__task_forget_dependents(pl__list *found)
{
    while (pl__list_pop_front(found))
        continue;
}

static bool ignores_its_cancel(const pl_task *task)
{
    return task->cancels_ignored > PL__CANCELS_IGNORED;
}

bool pl__tasks_are_hopeless(const pl_loop *loop, uint64_t number)
{
    bool hopeless = true;
    pl__list found;
    pl__list_init(&found);
    PL__LIST_EACH (node, &loop->tasks) {
        pl_task *task = PL__CONTAINER_OF(node, pl_task, node);
        if (ignores_its_cancel(task))
            pl__list_push_back(&found, &task->search_node);
    }
    for (pl__node *node = found.head.next; node != &found.head; node = node->next) {
        const pl_task *task = PL__CONTAINER_OF(node, pl_task, search_node);
        add_waiters(task, &found);
        /* The parent's body may have something to do before it waits for its children. */
        if (task->group && task->group->parent->waiting_for == &task->group->idle)
            add_parent(task, &found);
    }
    PL__LIST_EACH (node, &loop->tasks) {
        const pl_task *task = PL__CONTAINER_OF(node, pl_task, node);
        hopeless = hopeless && (task->number > number || pl__node_is_linked(&task->search_node));
    }
    pl__task_forget_dependents(&found);
    return hopeless;
}

/* Whether the future's task cannot end before this one does, directly or through others. */
static bool waits_for(const pl_future *future, pl_task *task)
{
    if (!pl__task_may_be_dependent(future))
        return false;
    pl__list found;
    pl__task_find_dependents(task, &found);
    bool circle = pl__task_is_dependent(future);
    pl__task_forget_dependents(&found);
    return circle;
}

/* The task has had many results without waiting. A level does not end such a wait, but that it goes on is counted. */
static void give_way(pl_task *task)
{
    if (pl__task_is_cancelled_by_level(task))
        count_ignored(task);
    take_turns(task);
}

void pl__task_count_result(pl_task *task)
{
    if (--task->budget == 0)
        give_way(task);
}

int64_t pl_await(pl_future *future)
{
    pl_task *task = pl__task_running();
    if (!future)
        return PL_EINVAL;
    if (!task)
        return PL_ENOTASK;
    if (!future->type)
        return PL_ESTATE; /* of an operation that was never started */
    if (future->loop != task->future.loop)
        return PL_EINVAL;
    if (pl__future_is_done(future)) {
        pl__future_hold(future);
        pl__task_count_result(task);
        if (future->state == PL_CANCELLED)
            task->message = future->message;
        return take_and_let_go(future);
    }
    if (pl__future_is_busy(future))
        return PL_EBUSY;
    if (waits_for(future, task))
        return PL_EDEADLOCK;
    return pl__task_wait_for(task, future);
}

int64_t pl_task_await(pl_task *task)
{
    return task ? pl_await(&task->future) : PL_EINVAL;
}

int pl__task_checkpoint(void)
{
    pl_task *task = pl__task_running();
    if (!task)
        return PL_ENOTASK;
    if (!pl__task_is_cancelled(task))
        return PL_OK;
    take_turns(task);
    return take_cancel(task) ? PL_ECANCELED : PL_OK;
}

int pl__task_call_begin(void)
{
    pl_task *task = pl__task_running();
    if (!task)
        return PL_ENOTASK;
    if (--task->budget > 0 && !pl__task_is_cancelled(task))
        return PL_OK;
    take_turns(task);
    return take_cancel(task) ? PL_ECANCELED : PL_OK;
}

int pl_yield(void)
{
    pl_task *task = pl__task_running();
    if (!task)
        return PL_ENOTASK;
    take_turns(task);
    return take_cancel(task) ? PL_ECANCELED : PL_OK;
}

int pl_check_cancelled(void)
{
    pl_task *task = pl__task_running();
    if (!task)
        return PL_ENOTASK;
    return pl__task_is_cancelled(task) ? PL_ECANCELED : PL_OK;
}

static void task_describe(const pl_future *future, pl__text *text)
{
    pl__text_add(text, " ");
    pl__text_add_printable(text, pl_task_name(pl__task_if_future(future)));
}

const pl_task *pl__task_if_future(const pl_future *future)
{
    return future->type == &task_type ? PL__CONTAINER_OF(future, pl_task, future) : NULL;
}

/* --- Sleep -------------------------------------------------------------------------------------------------------- */

typedef struct pl__sleep {
    pl_future future;
    pl__timer timer;
} pl__sleep;

static void sleep_over(void *arg)
{
    pl__future_finish(&((pl__sleep *)arg)->future, PL_OK);
}

static bool sleep_cancel(pl_future *future)
{
    PL__CHECK(pl__timer_stop(&PL__CONTAINER_OF(future, pl__sleep, future)->timer));
    pl__future_finish(future, PL_ECANCELED);
    return true;
}

static void sleep_describe(const pl_future *future, pl__text *text)
{
    pl__text_add(text, ", ");
    pl__text_add_duration(text, pl__timer_left(&PL__CONTAINER_OF(future, pl__sleep, future)->timer));
    pl__text_add(text, " left");
}

static const pl__future_type sleep_type = {
    .name = "sleep", .cancel = sleep_cancel, .describe = sleep_describe, .one_waiter = true};

int pl_sleep_until(pl_duration deadline)
{
    pl_task *task = pl__task_running();
    if (!task)
        return PL_ENOTASK;
    pl_loop *loop = task->future.loop;
    if (deadline <= pl__loop_now(loop))
        return pl_yield();
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl__sleep sleep = {.timer = {.loop = NULL}};
    pl__future_init(&sleep.future, &sleep_type, loop);
    int started = pl__timer_start_at(&sleep.timer, loop, deadline, sleep_over, &sleep);
    return started < 0 ? started : (int)pl__task_wait_for(task, &sleep.future);
}

int pl_sleep(pl_duration delay)
{
    pl_task *task = pl__task_running();
    if (!task)
        return PL_ENOTASK;
    if (delay <= 0)
        return pl_yield();
    return pl_sleep_until(pl__deadline_after(pl__loop_now(task->future.loop), delay));
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

static bool task_future_cancel(pl_future *future)
{
    return pl_task_cancel_with(pl__task_of_future(future), future->message) != 0;
}

/* The task that this one waits for and would pass a cancel on to. */
static pl_task *next_in_chain(const pl_task *task)
{
    pl_future *future = task->waiting_for;
    if (!future || future->type != &task_type || pl__future_is_done(future) || pl__task_is_shielded(task))
        return NULL;
    return pl__task_of_future(future);
}

int pl_task_cancel(pl_task *task)
{
    return pl_task_cancel_with(task, NULL);
}

int pl_task_cancel_with(pl_task *task, const char *message)
{
    if (!task || pl__loop_refuses(task->future.loop, "pl_task_cancel") || pl__future_is_done(&task->future))
        return 0;
    /* Down a chain of tasks that wait for one another, in a loop: it may be longer than a stack is deep. */
    for (pl_task *next; (next = next_in_chain(task)); task = next) {
        task->cancelling++;
        task->edge_passed_on = true;
    }
    task->cancelling++;
    task->cancel_message = message;
    if (task->waiting_for && !pl__task_is_shielded(task) && pl__future_cancel(task->waiting_for, message))
        task->edge_passed_on = true;
    else
        task->must_cancel = true;
    return 1;
}

const char *pl_cancel_message(void)
{
    pl_task *task = pl__task_running();
    return task ? task->message : NULL;
}

int pl_task_cancelling(const pl_task *task)
{
    if (!task)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(task->future.loop);
    return checked < 0 ? checked : (int)task->cancelling;
}

int pl_task_uncancel(pl_task *task)
{
    if (!task)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(task->future.loop);
    if (checked < 0)
        return checked;
    if (task->cancelling > 0 && --task->cancelling == 0) {
        task->must_cancel = false;
        task->edge_passed_on = false; /* nor does it come after a wait that it does not end */
    }
    return (int)task->cancelling;
}

void pl__task_interrupt(pl_task *task, const pl__scope *cancelled)
{
    if (!task->waiting_for || pl__future_is_done(task->waiting_for))
        return;
    for (const pl__scope *scope = task->scope; scope != cancelled; scope = scope->outer) {
        if (scope->kind == PL__SCOPE_SHIELDED)
            return;
    }
    pass_on_cancel(task);
}

void pl__task_cancel_whole(pl_task *task)
{
    if (task->cancelled)
        return;
    task->cancelled = true;
    task->cancels_ignored = 0;
    pl__task_interrupt(task, NULL);
}

/* --- What a task is ----------------------------------------------------------------------------------------------- */

pl_task *pl_task_ref(pl_task *task)
{
    return task && pl_future_ref(&task->future) ? task : NULL;
}

void pl_task_unref(pl_task *task)
{
    if (task)
        pl_future_unref(&task->future);
}

pl_future *pl_task_future(pl_task *task)
{
    return task ? &task->future : NULL;
}

pl_task *pl_task_current(void)
{
    return pl__task_running();
}

const char *pl_task_name(const pl_task *task)
{
    if (!task)
        return NULL;
    if (pl__loop_refuses(task->future.loop, "pl_task_name"))
        return "?";
    if (!task->name[0]) { /* made when first asked for, since most never are */
        pl_task *named = (pl_task *)(uintptr_t)task;
        (void)snprintf(named->name, sizeof named->name, "task-%llu", (unsigned long long)task->number);
    }
    return task->name;
}

int pl_task_set_name(pl_task *task, const char *name)
{
    if (!task || !name)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(task->future.loop);
    if (checked < 0)
        return checked;
    task_set_name(task, name);
    return PL_OK;
}

const char *pl_task_where(const pl_task *task)
{
    return task ? task->future.where : NULL;
}

size_t pl_task_stack_used(const pl_task *task)
{
    if (!task || pl__loop_refuses(task->future.loop, "pl_task_stack_used"))
        return 0;
    return task->fiber ? pl__fiber_stack_used(task->fiber) : 0;
}

size_t pl_all_tasks(pl_loop *loop, pl_task **tasks, size_t capacity)
{
    size_t count = 0;
    if (!loop)
        loop = pl_loop_running();
    if (!loop || loop->closed || pl__loop_refuses(loop, "pl_all_tasks") || (capacity && !tasks))
        return 0;
    PL__LIST_EACH (node, &loop->tasks) {
        if (count < capacity)
            tasks[count] = pl_task_ref(PL__CONTAINER_OF(node, pl_task, node));
        count++;
    }
    return count;
}

pl_loop *pl_task_loop(const pl_task *task)
{
    return task ? task->future.loop : NULL;
}
