/* Futures one by one, as they are done: a gathering that stays open between the calls. The list of its completed ones is
 * the queue from which they are given.
 */
#include "gather.h"
#include "loop.h"
#include "scope.h"
#include "task.h"

typedef struct pl__as_completed {
    pl__scope scope;
    pl__gathering gathering;
    pl__timer timer;
    bool expired; /* the limit ran out before all were done */
} pl__as_completed;

PL__STATIC_ASSERT(sizeof(pl__as_completed) * 4 <= sizeof(pl_as_completed) * 3,
                  "pl_as_completed keeps a quarter to spare");

static pl__as_completed *as_completed_of(pl_as_completed *completed)
{
    return (pl__as_completed *)(void *)completed->opaque.space;
}

static void expire(void *arg)
{
    pl__as_completed *completed = arg;
    pl__gathering_cut(&completed->gathering);
    completed->expired = completed->gathering.pending > 0;
    pl__gathering_wake(&completed->gathering);
}

static int start_limit(pl__as_completed *completed, pl_duration limit)
{
    if (limit == PL_FOREVER)
        return PL_OK;
    completed->gathering.limited = true;
    if (limit <= 0) {
        expire(completed);
        return PL_OK;
    }
    pl_loop *loop = completed->gathering.task->future.loop;
    return pl__timer_start_at(&completed->timer, loop, pl__deadline_after(pl__loop_now(loop), limit), expire,
                              completed);
}

int pl_as_completed_begin_here(pl_as_completed *completed, pl_awaited *items, size_t count, pl_duration limit,
                               const char *where)
{
    if (!completed)
        return PL_EINVAL;
    pl__as_completed *inner = as_completed_of(completed);
    int opened = pl__scope_open(&inner->scope, PL__SCOPE_AS_COMPLETED, where);
    if (opened < 0)
        return opened;
    inner->gathering = (pl__gathering){.mode = PL_FIRST_COMPLETED};
    inner->timer = (pl__timer){.loop = NULL};
    inner->expired = false;
    int begun = pl__gathering_begin(&inner->gathering, items, count);
    if (begun == PL_OK) {
        begun = start_limit(inner, limit);
        if (begun < 0)
            pl__gathering_end(&inner->gathering);
    }
    if (begun < 0)
        pl__scope_close(&inner->scope);
    return begun;
}

/* PL_OK: there is one to give, or there will be none. */
static int wait_for_next(pl__as_completed *completed)
{
    pl__gathering *gathering = &completed->gathering;
    gathering->enough = !pl__list_is_empty(&gathering->completed);
    if (completed->expired || pl__gathering_is_over(gathering)) {
        pl__task_count_result(gathering->task);
        return PL_OK;
    }
    return pl__gathering_wait(gathering);
}

int pl_as_completed_next(pl_as_completed *completed, pl_awaited **item)
{
    if (!completed || !item)
        return PL_EINVAL;
    *item = NULL;
    pl_task *task = pl__task_running();
    if (!task)
        return PL_ENOTASK;
    pl__as_completed *inner = as_completed_of(completed);
    if (inner->scope.task != task)
        return PL_ESTATE;
    int waited = wait_for_next(inner);
    if (waited < 0)
        return waited;
    pl__node *first = pl__list_pop_front(&inner->gathering.completed);
    if (!first)
        return inner->expired ? PL_ETIMEDOUT : 0;
    *item = PL__CONTAINER_OF(first, pl__awaited, node)->callback.arg;
    pl__awaited_take(*item);
    return 1;
}

void pl_as_completed_end(pl_as_completed *completed)
{
    if (!completed)
        return;
    pl__as_completed *inner = as_completed_of(completed);
    pl__scope_close(&inner->scope);
    (void)pl__timer_stop(&inner->timer);
    pl__gathering_end(&inner->gathering);
}
