/* Conditions: see sync.h.
 *
 * A wait has two parts: for a notification, which a cancel ends, and for the lock, which it does not. A task that was
 * notified and ends with PL_ECANCELED all the same notifies the next one in its place.
 */
#include <limits.h>

#include "sync.h"

typedef struct pl__condition {
    pl__waiters waiters;
    const pl__lock *lock; /* of all who are inside a wait; NULL: nobody is */
    size_t inside;
} pl__condition;

PL__STATIC_ASSERT(sizeof(pl__condition) * 4 <= sizeof(pl_condition) * 3, "pl_condition keeps a quarter to spare");

static const pl__future_type condition_type = {.name = "condition", .cancel = pl__waiter_cancel, .one_waiter = true};

static pl__condition *condition_of(const pl_condition *condition)
{
    return (pl__condition *)(uintptr_t)condition->opaque.space;
}

static int check(const pl_condition *condition, const pl_lock *lock)
{
    if (!condition || !lock)
        return PL_EINVAL;
    const pl__condition *inner = condition_of(condition);
    if (inner->lock && inner->lock != pl__lock_of(lock))
        return PL_EINVAL;
    int checked = pl__waiters_check(&inner->waiters);
    return checked == PL_OK ? pl__lock_check(pl__lock_of(lock)) : checked;
}

static int wait_for_notification(pl_condition *condition, pl_lock *lock)
{
    int checked = check(condition, lock);
    if (checked < 0)
        return checked;
    pl__condition *inner = condition_of(condition);
    pl__lock *held = pl__lock_of(lock);
    if (!pl__lock_is_held(held))
        return PL_ESTATE;
    const char *where = held->where;
    inner->lock = held;
    inner->inside++;
    held->waiters.loop = pl_loop_running(); /* so that the lock can be waited for in the end */
    pl__lock_hand_over(held);
    pl__waiter waiter;
    int waited = pl__waiters_wait(&inner->waiters, &waiter, &condition_type);
    int reacquired = pl__lock_reacquire(held, where);
    if (waited == PL_OK)
        waited = reacquired;
    if (waited < 0 && pl__waiter_was_woken(&waiter))
        (void)pl__waiters_wake(&inner->waiters, PL_OK);
    if (--inner->inside == 0)
        inner->lock = NULL;
    return waited;
}

int pl_condition_wait(pl_condition *condition, pl_lock *lock)
{
    int begun = condition && lock ? pl__task_call_begin() : PL_EINVAL;
    return begun < 0 ? begun : wait_for_notification(condition, lock);
}

int pl_condition_wait_until(pl_condition *condition, pl_lock *lock, pl_predicate_fn *predicate, void *arg)
{
    int waited = condition && lock && predicate ? pl__task_call_begin() : PL_EINVAL;
    while (waited == PL_OK) {
        int found = predicate(arg);
        if (found != 0)
            return found;
        waited = wait_for_notification(condition, lock);
    }
    return waited;
}

int pl_condition_notify(pl_condition *condition, pl_lock *lock, int n)
{
    int checked = n < 0 ? PL_EINVAL : check(condition, lock);
    if (checked < 0)
        return checked;
    if (!pl__lock_is_held(pl__lock_of(lock)))
        return PL_ESTATE;
    while (n-- > 0 && pl__waiters_wake(&condition_of(condition)->waiters, PL_OK))
        continue;
    return PL_OK;
}

int pl_condition_notify_all(pl_condition *condition, pl_lock *lock)
{
    return pl_condition_notify(condition, lock, INT_MAX);
}
