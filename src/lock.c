/* Locks: see sync.h.
 *
 * A lock goes from hand to hand: it is never free while somebody waits, so nobody can come before those. A task that was
 * handed it and is cancelled before it goes on hands it to the next one.
 */
#include "sync.h"

PL__STATIC_ASSERT(sizeof(pl__lock) * 4 <= sizeof(pl_lock) * 3, "pl_lock keeps a quarter to spare");

typedef struct lock_waiter {
    pl__waiter waiter; /* the first member */
    const char *where;
} lock_waiter;

/* Of a task that must have the lock: its cancel comes when it has. */
static bool never_cancel(pl_future *future)
{
    PL__UNUSED(future);
    return false;
}

static const pl__future_type acquire_type = {.name = "lock", .cancel = pl__waiter_cancel, .one_waiter = true};
static const pl__future_type reacquire_type = {
    .name = "lock of a condition", .cancel = never_cancel, .one_waiter = true};

int pl__lock_check(const pl__lock *lock)
{
    int checked = pl__waiters_check(&lock->waiters);
    if (checked == PL_OK && pl__node_is_linked(&lock->held_node))
        checked = pl__loop_check_thread(lock->holder->future.loop);
    return checked;
}

/* `task` is NULL in a callback. */
static void take(pl__lock *lock, pl_task *task, const char *where)
{
    PL__CHECK(!lock->locked && !pl__node_is_linked(&lock->held_node));
    lock->locked = true;
    lock->holder = task;
    lock->holder_number = task ? task->number : 0;
    lock->where = where;
    if (task && task->future.loop->debug)
        pl__list_push_back(&task->locks, &lock->held_node);
}

void pl__lock_hand_over(pl__lock *lock)
{
    PL__CHECK(pl__lock_is_held(lock));
    if (pl__node_is_linked(&lock->held_node))
        pl__node_unlink(&lock->held_node);
    lock->locked = false;
    const pl__waiter *next = pl__waiters_wake(&lock->waiters, PL_OK);
    if (!next)
        return;
    take(lock, next->task, ((const lock_waiter *)next)->where);
    lock->on_its_way = true;
}

/* Waits for a lock that is locked, as pl__waiters_wait. PL_ECANCELED, and it may have come all the same. */
static int wait_for_lock(pl__lock *lock, lock_waiter *waiter, const pl__future_type *type)
{
    int waited = pl__waiters_wait(&lock->waiters, &waiter->waiter, type);
    if (pl__waiter_was_woken(&waiter->waiter)) {
        PL__CHECK(lock->on_its_way);
        lock->on_its_way = false;
    }
    return waited;
}

int pl_lock_acquire_here(pl_lock *lock, const char *where)
{
    if (!lock)
        return PL_EINVAL;
    pl__lock *inner = pl__lock_of(lock);
    int begun = pl__task_call_begin();
    if (begun == PL_OK)
        begun = pl__lock_check(inner);
    if (begun < 0)
        return begun;
    pl_task *task = pl__task_running();
    if (!inner->locked) {
        take(inner, task, where);
        return PL_OK;
    }
    if (inner->holder == task && inner->holder_number == task->number)
        return PL_EDEADLOCK;
    lock_waiter waiter = {.where = where};
    int waited = wait_for_lock(inner, &waiter, &acquire_type);
    if (waited < 0 && pl__waiter_was_woken(&waiter.waiter))
        pl__lock_hand_over(inner);
    return waited;
}

int pl__lock_reacquire(pl__lock *lock, const char *where)
{
    pl_task *task = pl__task_running();
    if (!lock->locked) {
        take(lock, task, where);
        return PL_OK;
    }
    lock_waiter waiter = {.where = where};
    int waited = wait_for_lock(lock, &waiter, &reacquire_type);
    return waited == PL_OK && pl__task_is_cancelled_by_level(task) ? PL_ECANCELED : waited;
}

int pl_lock_try_acquire_here(pl_lock *lock, const char *where)
{
    if (!lock)
        return PL_EINVAL;
    pl__lock *inner = pl__lock_of(lock);
    int checked = pl__lock_check(inner);
    if (checked < 0)
        return checked;
    if (inner->locked)
        return PL_EBUSY;
    take(inner, pl__task_running(), where);
    return PL_OK;
}

int pl_lock_release(pl_lock *lock)
{
    if (!lock)
        return PL_EINVAL;
    pl__lock *inner = pl__lock_of(lock);
    int checked = pl__lock_check(inner);
    if (checked < 0)
        return checked;
    if (!pl__lock_is_held(inner))
        return PL_ESTATE;
    pl__lock_hand_over(inner);
    return PL_OK;
}

int pl_lock_is_locked(const pl_lock *lock)
{
    return lock ? pl__lock_of(lock)->locked : PL_EINVAL;
}

void pl__locks_report_held(pl_task *task)
{
    for (pl__node *node; (node = pl__list_pop_front(&task->locks));)
        pl__loop_report(task->future.loop, "a task ended while it held a lock", PL_ESTATE, 0, pl_task_name(task),
                        PL__CONTAINER_OF(node, pl__lock, held_node)->where);
}
