/* Scopes, timeouts and shielded regions. */
#include "scope.h"

#include "debug.h"
#include "loop.h"
#include "task.h"

PL__STATIC_ASSERT(sizeof(pl__timeout) * 4 <= sizeof(pl_timeout) * 3, "pl_timeout keeps a quarter to spare");
PL__STATIC_ASSERT(sizeof(pl__scope) * 4 <= sizeof(pl_shielded) * 3, "pl_shielded keeps a quarter to spare");

static const char *const kind_names[] = {
    [PL__SCOPE_NONE] = "scope",
    [PL__SCOPE_TIMEOUT] = "timeout",
    [PL__SCOPE_GROUP] = "group",
    [PL__SCOPE_SHIELDED] = "shielded region",
    [PL__SCOPE_AS_COMPLETED] = "pl_as_completed",
};

static void set_innermost(pl_task *task, pl__scope *scope)
{
    task->scope = scope;
    task->scope_where = scope ? scope->where : NULL;
    task->scope_kind = scope ? scope->kind : (uint8_t)PL__SCOPE_NONE;
}

void pl__scope_panic(const pl_task *task, const char *message)
{
    PL__PANIC("task %s: the %s begun at %s %s", pl_task_name(task), kind_names[task->scope_kind],
              task->scope_where ? task->scope_where : "?", message);
}

int pl__scope_open(pl__scope *scope, pl__scope_kind kind, const char *where)
{
    pl_task *task = pl__task_running();
    if (!task)
        return PL_ENOTASK;
    if (scope->task)
        return PL_EBUSY;
    *scope = (pl__scope){
        .task = task, .outer = task->scope, .where = where, .cancelling = task->cancelling, .kind = (uint8_t)kind};
    set_innermost(task, scope);
    return PL_OK;
}

void pl__scope_close(pl__scope *scope)
{
    pl_task *task = pl__task_running();
    if (!scope->task)
        PL__PANIC("a %s is ended that is not open", kind_names[scope->kind]);
    if (scope->task != task)
        PL__PANIC("the %s begun at %s is ended outside its task", kind_names[scope->kind], scope->where);
    if (task->scope != scope)
        pl__scope_panic(task, "is still open when one around it ends");
    set_innermost(task, scope->outer);
    scope->task = NULL;
    if (scope->cancelled && !pl__task_is_cancelled_by_level(task))
        task->cancels_ignored = 0; /* it was heeded in the end */
}

void pl__scope_cancel(pl__scope *scope)
{
    if (scope->cancelled)
        return;
    scope->cancelled = true;
    if (scope->task)
        pl__task_interrupt(scope->task, scope);
}

bool pl__scope_explains_cancel(const pl__scope *scope)
{
    const pl_task *task = pl__task_running();
    PL__CHECK(task && !scope->task);
    bool cancelled_from_outside = task->cancelling > scope->cancelling && !pl__task_is_shielded(task);
    return scope->cancelled && !cancelled_from_outside && !pl__task_is_cancelled_by_level(task);
}

/* --- Timeout ------------------------------------------------------------------------------------------------------ */

static void timeout_due(void *arg)
{
    pl__timeout *timeout = arg;
    PL__CHECK(timeout->scope.task && !timeout->expired);
    timeout->expired = true;
    pl__scope_cancel(&timeout->scope);
}

static int timeout_arm(pl__timeout *timeout, pl_loop *loop, int64_t deadline)
{
    if (deadline == PL_FOREVER)
        return PL_OK;
    if (deadline > pl__loop_now(loop))
        return pl__timer_start_at(&timeout->timer, loop, deadline, timeout_due, timeout);
    timeout_due(timeout);
    return PL_OK;
}

int pl_timeout_begin_at_here(pl_timeout *timeout, pl_duration deadline, const char *where)
{
    if (!timeout)
        return PL_EINVAL;
    pl__timeout *inner = pl__timeout_of(timeout);
    int opened = pl__scope_open(&inner->scope, PL__SCOPE_TIMEOUT, where);
    if (opened < 0)
        return opened;
    inner->expired = false;
    int armed = timeout_arm(inner, inner->scope.task->future.loop, deadline);
    if (armed < 0)
        pl__scope_close(&inner->scope);
    return armed;
}

int pl_timeout_begin_here(pl_timeout *timeout, pl_duration limit, const char *where)
{
    pl_task *task = pl__task_running();
    if (!task)
        return PL_ENOTASK;
    return pl_timeout_begin_at_here(timeout, pl__deadline_after(pl__loop_now(task->future.loop), limit), where);
}

int pl_timeout_reschedule(pl_timeout *timeout, pl_duration limit)
{
    if (!timeout)
        return PL_EINVAL;
    pl__timeout *inner = pl__timeout_of(timeout);
    if (!inner->scope.task)
        return PL_ESTATE;
    pl_loop *loop = inner->scope.task->future.loop;
    int checked = pl__loop_check_thread(loop);
    if (checked < 0)
        return checked;
    if (inner->expired)
        return PL_ESTATE;
    (void)pl__timer_stop(&inner->timer);
    return timeout_arm(inner, loop, pl__deadline_after(pl__loop_now(loop), limit));
}

int pl_timeout_expired(const pl_timeout *timeout)
{
    if (!timeout)
        return 0;
    const pl__timeout *inner = pl__timeout_of(timeout);
    if (inner->scope.task && pl__loop_refuses(inner->scope.task->future.loop, "pl_timeout_expired"))
        return 0;
    return inner->expired;
}

int64_t pl_timeout_end(pl_timeout *timeout, int64_t result)
{
    if (!timeout)
        return PL_EINVAL;
    pl__timeout *inner = pl__timeout_of(timeout);
    pl__scope_close(&inner->scope);
    (void)pl__timer_stop(&inner->timer);
    if (result == PL_ECANCELED && inner->expired && pl__scope_explains_cancel(&inner->scope))
        return PL_ETIMEDOUT;
    return result;
}

/* --- Shielded region ---------------------------------------------------------------------------------------------- */

static pl__scope *scope_of(pl_shielded *shielded)
{
    return (pl__scope *)(void *)shielded->opaque.space;
}

int pl_shielded_begin_here(pl_shielded *shielded, const char *where)
{
    return shielded ? pl__scope_open(scope_of(shielded), PL__SCOPE_SHIELDED, where) : PL_EINVAL;
}

void pl_shielded_end(pl_shielded *shielded)
{
    if (shielded)
        pl__scope_close(scope_of(shielded));
}
