/* Waits for several futures: see gather.h. */
#include "gather.h"

#include "loop.h"
#include "task.h"

PL__STATIC_ASSERT(sizeof(pl__awaited) * 4 <= sizeof(((pl_awaited *)0)->opaque) * 3,
                  "pl_awaited keeps a quarter to spare");

/* --- Callbacks on the futures ------------------------------------------------------------------------------------- */

static void item_done(void *arg);

static bool suffices(const pl__gathering *gathering, const pl_future *done)
{
    switch (gathering->mode) {
    case PL_FIRST_COMPLETED:
        return true;
    case PL_FIRST_ERROR:
        return done->state == PL_FINISHED && done->result < 0;
    case PL__FIRST_FAILURE:
        return done->result < 0;
    default:
        return false;
    }
}

static void item_complete(pl__gathering *gathering, const pl_awaited *item)
{
    pl__list_push_back(&gathering->completed, &pl__awaited_of(item)->node);
    gathering->enough = gathering->enough || suffices(gathering, item->future);
}

static void item_done(void *arg)
{
    const pl_awaited *item = arg;
    pl__gathering *gathering = pl__awaited_of(item)->gathering;
    PL__CHECK(gathering && gathering->pending > 0 && pl__future_is_done(item->future));
    gathering->pending--;
    item_complete(gathering, item);
    if (pl__gathering_is_over(gathering))
        pl__gathering_wake(gathering);
}

static int items_check(const pl_task *task, const pl_awaited *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const pl_future *future = items[i].future;
        if (!future)
            return PL_EINVAL;
        if (!future->type)
            return PL_ESTATE; /* of an operation that was never started */
        if (future->loop != task->future.loop)
            return PL_EINVAL;
        if (pl__awaited_of(&items[i])->gathering)
            return PL_EBUSY;
    }
    return PL_OK;
}

static bool item_link(pl__gathering *gathering, pl_awaited *item)
{
    pl__awaited *inner = pl__awaited_of(item);
    bool done = pl__future_is_done(item->future);
    if (!done && pl__future_is_busy(item->future))
        return false;
    *inner = (pl__awaited){.gathering = gathering, .callback = {.fn = item_done, .arg = item}};
    pl__future_hold(item->future);
    if (done) {
        item_complete(gathering, item);
        return true;
    }
    pl__list_push_back(&item->future->callbacks, &inner->callback.node);
    gathering->pending++;
    return true;
}

int pl__gathering_begin(pl__gathering *gathering, pl_awaited *items, size_t count)
{
    pl_task *task = pl__task_running();
    if (!items && count > 0)
        return PL_EINVAL;
    if (!task)
        return PL_ENOTASK;
    int checked = items_check(task, items, count);
    if (checked < 0)
        return checked;
    gathering->task = task;
    gathering->items = items;
    pl__list_init(&gathering->completed);
    for (; gathering->count < count; gathering->count++) {
        if (!item_link(gathering, &items[gathering->count])) {
            pl__gathering_end(gathering);
            return PL_EBUSY;
        }
    }
    return PL_OK;
}

void pl__gathering_cut(pl__gathering *gathering)
{
    for (size_t i = 0; i < gathering->count; i++) {
        pl_awaited *item = &gathering->items[i];
        pl__node *node = &pl__awaited_of(item)->callback.node;
        if (!pl__node_is_linked(node))
            continue;
        pl__node_unlink(node);
        if (pl__future_is_done(item->future)) { /* its callback was on its way */
            gathering->pending--;
            item_complete(gathering, item);
        }
    }
}

void pl__gathering_end(pl__gathering *gathering)
{
    PL__CHECK(!gathering->waiting);
    for (size_t i = 0; i < gathering->count; i++) {
        pl__awaited *inner = pl__awaited_of(&gathering->items[i]);
        PL__CHECK(inner->gathering == gathering);
        if (pl__node_is_linked(&inner->callback.node))
            pl__node_unlink(&inner->callback.node);
        inner->gathering = NULL;
    }
    /* Letting go may report an error, and a handler may do anything: the items are out of use by now. */
    for (size_t i = 0; i < gathering->count; i++)
        pl__future_let_go(gathering->items[i].future);
}

void pl__awaited_take(pl_awaited *item)
{
    item->done = 1;
    item->result = pl__future_take(item->future);
}

/* What every item says when the call returns. How many are done. */
static int64_t items_take(const pl__gathering *gathering)
{
    int64_t done = 0;
    for (size_t i = 0; i < gathering->count; i++) {
        pl_awaited *item = &gathering->items[i];
        item->done = 0;
        item->result = 0;
        if (pl__future_is_done(item->future)) {
            pl__awaited_take(item);
            done++;
        }
    }
    return done;
}

/* --- Who waits for whom ------------------------------------------------------------------------------------------- */

static pl__gathering *gathering_of(const pl__callback *callback)
{
    return callback->fn == item_done ? pl__awaited_of(callback->arg)->gathering : NULL;
}

pl_task *pl__gathering_waiter(const pl__callback *callback)
{
    const pl__gathering *gathering = gathering_of(callback);
    return gathering && gathering->waiting ? gathering->task : NULL;
}

/* A wait that one of several futures ends, or a time, is no part of a circle; unless it hands a cancel on, which would go
 * round and round. */
static bool needs_each(const pl__gathering *gathering)
{
    return gathering->hands_cancel_on ||
           (!gathering->limited && (gathering->mode == PL_ALL_COMPLETED || gathering->pending == 1));
}

pl_task *pl__gathering_dependent(const pl__callback *callback)
{
    const pl__gathering *gathering = gathering_of(callback);
    if (!gathering || !needs_each(gathering))
        return NULL;
    /* A cancel that comes when it is over, before its task goes on, is handed on all the same. */
    return gathering->waiting || gathering->hands_cancel_on ? gathering->task : NULL;
}

static bool closes_circle(const pl__gathering *gathering)
{
    bool possible = false;
    for (size_t i = 0; i < gathering->count; i++)
        possible = possible || pl__task_may_be_dependent(gathering->items[i].future);
    if (!possible || !needs_each(gathering))
        return false;
    pl__list dependents;
    pl__task_find_dependents(gathering->task, &dependents);
    bool circle = false;
    for (size_t i = 0; i < gathering->count; i++)
        circle = circle || pl__task_is_dependent(gathering->items[i].future);
    pl__task_forget_dependents(&dependents);
    return circle;
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

void pl__gathering_wake(pl__gathering *gathering)
{
    if (!gathering->waiting)
        return;
    gathering->waiting = false;
    pl__future_finish(&gathering->waiter, PL_OK);
}

static bool let_them_be(pl_future *waiter)
{
    pl__gathering *gathering = PL__CONTAINER_OF(waiter, pl__gathering, waiter);
    gathering->waiting = false;
    pl__future_finish(waiter, PL_ECANCELED);
    return true;
}

static void waiter_describe(const pl_future *waiter, pl__text *text)
{
    const pl__gathering *gathering = PL__CONTAINER_OF(waiter, pl__gathering, waiter);
    pl__text_add(text, " for %zu of %zu futures", gathering->pending, gathering->count);
}

static const pl__future_type wait_type = {
    .name = "wait", .cancel = let_them_be, .describe = waiter_describe, .one_waiter = true};

int pl__gathering_wait(pl__gathering *gathering)
{
    if (closes_circle(gathering))
        return PL_EDEADLOCK;
    pl__future_init(&gathering->waiter, &wait_type, gathering->task->future.loop);
    gathering->waiting = true;
    return (int)pl__task_wait_for(gathering->task, &gathering->waiter);
}

static bool any_is_done(const pl__gathering *gathering, bool done)
{
    for (size_t i = 0; i < gathering->count; i++) {
        if (pl__future_is_done(gathering->items[i].future) == done)
            return true;
    }
    return false;
}

static void cancel_items(const pl__gathering *gathering)
{
    for (size_t i = 0; i < gathering->count; i++)
        (void)pl__future_cancel(gathering->items[i].future, gathering->waiter.message);
}

/* Cancels all that are pending. They may be tasks that gather others, to any depth: those come by a list, not by
 * recursion, which a stack might be too small for. */
static void gathering_abort(pl__gathering *gathering)
{
    pl_loop *loop = gathering->task->future.loop;
    if (!pl__node_is_linked(&gathering->abort_node))
        pl__list_push_back(&loop->gathering_aborts, &gathering->abort_node);
    if (loop->gathering_aborting)
        return; /* a call further up goes on with it */
    loop->gathering_aborting = true;
    for (pl__node *node; (node = pl__list_pop_front(&loop->gathering_aborts));)
        cancel_items(PL__CONTAINER_OF(node, pl__gathering, abort_node));
    loop->gathering_aborting = false;
}

/* The waiting task is cancelled. A race that has a winner goes on to its end: it did happen. */
static bool hand_cancel_on(pl_future *waiter)
{
    pl__gathering *gathering = PL__CONTAINER_OF(waiter, pl__gathering, waiter);
    if (gathering->mode == PL_FIRST_COMPLETED && any_is_done(gathering, true))
        return false;
    if (!any_is_done(gathering, false))
        return false;
    gathering->cancelled = true;
    gathering->mode = PL_ALL_COMPLETED;
    gathering->enough = false;
    gathering_abort(gathering);
    return true;
}

static const pl__future_type join_type = {
    .name = "gather", .cancel = hand_cancel_on, .describe = waiter_describe, .one_waiter = true};

/* Suspends until it is over. True: an edge was handed on. */
static bool suspend(pl__gathering *gathering)
{
    pl_task *task = gathering->task;
    pl__future_init(&gathering->waiter, &join_type, task->future.loop);
    gathering->waiting = true;
    pl__task_wait(task, &gathering->waiter);
    bool handed_on = task->edge_passed_on;
    task->edge_passed_on = false;
    return handed_on;
}

/* Cancels those that are left and waits for them. True: an edge was handed on. */
static bool end_items(pl__gathering *gathering)
{
    gathering->mode = PL_ALL_COMPLETED;
    gathering->enough = false;
    if (gathering->pending == 0)
        return false;
    if (!pl__task_is_cancelled(gathering->task)) /* else the wait hands that on to them */
        gathering_abort(gathering);
    return suspend(gathering);
}

static bool take_edge(pl_task *task)
{
    bool edge = task->must_cancel && !pl__task_is_shielded(task);
    if (edge)
        task->must_cancel = false;
    return edge;
}

/* --- Gather ------------------------------------------------------------------------------------------------------- */

/* PL_OK; PL_ECANCELED: the task was cancelled, and all have ended; PL_EDEADLOCK. */
static int gather_wait(pl__gathering *gathering)
{
    pl_task *task = gathering->task;
    if (pl__gathering_is_over(gathering)) {
        pl__task_count_result(task);
        return PL_OK;
    }
    if (closes_circle(gathering))
        return PL_EDEADLOCK;
    (void)suspend(gathering);
    bool edge = task->must_cancel && !pl__task_is_shielded(task); /* it came when the wait was over */
    if (!gathering->cancelled && !edge)
        return PL_OK;
    (void)end_items(gathering);
    (void)take_edge(task);
    return PL_ECANCELED;
}

static int64_t first_failure(const pl__gathering *gathering)
{
    PL__LIST_EACH (node, &gathering->completed) {
        const pl__awaited *inner = PL__CONTAINER_OF(node, pl__awaited, node);
        int64_t result = ((const pl_awaited *)inner->callback.arg)->future->result;
        if (result < 0)
            return result;
    }
    return PL_OK;
}

static void ignore_later_errors(const pl__gathering *gathering)
{
    for (size_t i = 0; i < gathering->count; i++)
        gathering->items[i].future->retrieved = true;
}

int64_t pl_gather(pl_awaited *items, size_t count, int flags)
{
    if (flags != 0 && flags != PL_GATHER_RETURN_ERRORS)
        return PL_EINVAL;
    pl__gathering gathering = {.mode = flags ? PL_ALL_COMPLETED : PL__FIRST_FAILURE, .hands_cancel_on = true};
    int begun = pl__gathering_begin(&gathering, items, count);
    if (begun < 0)
        return begun;
    int64_t result = gather_wait(&gathering);
    if (result != PL_EDEADLOCK) {
        if (result == PL_OK && !flags)
            result = first_failure(&gathering);
        (void)items_take(&gathering);
        ignore_later_errors(&gathering);
    }
    pl__gathering_end(&gathering);
    return result;
}

/* --- Wait --------------------------------------------------------------------------------------------------------- */

static void wait_over(void *arg)
{
    pl__gathering_wake(arg);
}

static int wait_within(pl__gathering *gathering, pl_duration limit)
{
    if (pl__gathering_is_over(gathering)) {
        pl__task_count_result(gathering->task);
        return PL_OK;
    }
    if (limit <= 0)
        return pl_yield();
    pl_loop *loop = gathering->task->future.loop;
    pl__timer timer = {.loop = NULL};
    gathering->limited = limit != PL_FOREVER;
    if (gathering->limited) {
        int64_t deadline = pl__deadline_after(pl__loop_now(loop), limit);
        int started = pl__timer_start_at(&timer, loop, deadline, wait_over, gathering);
        if (started < 0)
            return started;
    }
    int result = pl__gathering_wait(gathering);
    (void)pl__timer_stop(&timer);
    return result;
}

int64_t pl_wait(pl_awaited *items, size_t count, int mode, pl_duration limit)
{
    if (count == 0 || mode < PL_ALL_COMPLETED || mode > PL_FIRST_ERROR)
        return PL_EINVAL;
    pl__gathering gathering = {.mode = (uint8_t)mode};
    int begun = pl__gathering_begin(&gathering, items, count);
    if (begun < 0)
        return begun;
    int64_t result = wait_within(&gathering, limit);
    if (result == PL_OK)
        result = items_take(&gathering);
    pl__gathering_end(&gathering);
    return result;
}

/* --- Race --------------------------------------------------------------------------------------------------------- */

/* PL_OK: there is a winner. PL_ECANCELED: none, and all have ended; PL_EDEADLOCK. */
static int race_wait(pl__gathering *gathering)
{
    if (gathering->pending > 0 && closes_circle(gathering))
        return PL_EDEADLOCK; /* also if there is a winner: the losers are waited for */
    if (pl__gathering_is_over(gathering)) {
        pl__task_count_result(gathering->task);
        return PL_OK;
    }
    (void)suspend(gathering);
    if (!gathering->cancelled)
        return PL_OK;
    (void)take_edge(gathering->task);
    return PL_ECANCELED;
}

int64_t pl_race(pl_awaited *items, size_t count, size_t *winner)
{
    if (winner)
        *winner = count;
    if (count == 0)
        return PL_EINVAL;
    pl__gathering gathering = {.mode = PL_FIRST_COMPLETED, .hands_cancel_on = true};
    int begun = pl__gathering_begin(&gathering, items, count);
    if (begun < 0)
        return begun;
    int64_t result = race_wait(&gathering);
    if (result == PL_OK) {
        const pl__awaited *first = PL__CONTAINER_OF(pl__list_first(&gathering.completed), pl__awaited, node);
        const pl_awaited *item = first->callback.arg;
        result = item->future->result;
        if (winner)
            *winner = (size_t)(item - items);
        if (end_items(&gathering))
            gathering.task->must_cancel = true; /* it came too late for this wait: the next one returns it */
    }
    if (result != PL_EDEADLOCK)
        (void)items_take(&gathering);
    pl__gathering_end(&gathering);
    return result;
}

/* --- One future --------------------------------------------------------------------------------------------------- */

int64_t pl_shield(pl_future *future)
{
    pl_awaited item = {.future = future};
    pl__gathering gathering = {.mode = PL_ALL_COMPLETED};
    int begun = pl__gathering_begin(&gathering, &item, 1);
    if (begun < 0)
        return begun;
    int64_t result = PL_OK;
    if (pl__gathering_is_over(&gathering))
        pl__task_count_result(gathering.task);
    else
        result = pl__gathering_wait(&gathering);
    if (result == PL_OK)
        result = pl__future_take(future);
    pl__gathering_end(&gathering);
    return result;
}

int64_t pl_wait_for(pl_future *future, pl_duration limit)
{
    if (!future)
        return PL_EINVAL;
    if (pl__future_is_done(future) || limit == PL_FOREVER)
        return pl_await(future);
    pl_timeout timeout = {{{0}}};
    int begun = pl_timeout_begin(&timeout, limit);
    return begun < 0 ? begun : pl_timeout_end(&timeout, pl_await(future));
}
