/* What lock, event, condition, semaphore and barrier share: the tasks that wait for one of them.
 *
 * A waiter is a future in the frame of the waiting call, linked into the list of what it waits for. It leaves the list
 * when it is woken or cancelled, so every waiter of a list is pending. A task that was woken may still be cancelled before
 * it goes on: pl__waiters_wait then returns PL_ECANCELED although pl__waiter_was_woken, and what it was woken for is to be
 * passed on.
 */
#ifndef PROLOOP_SRC_SYNC_H
#define PROLOOP_SRC_SYNC_H

#include <proloop/sync.h>

#include "future.h"
#include "loop.h"
#include "task.h"

typedef struct pl__waiter {
    pl_future future;
    pl__node node;
    pl_task *task;
} pl__waiter;

/* Zeroed: none, of no loop. */
typedef struct pl__waiters {
    pl__list list;       /* pl__waiter, pending, first in first out */
    const pl_loop *loop; /* in which a task waited first; it may be gone: for comparing only */
} pl__waiters;

typedef struct pl__lock {
    pl__waiters waiters;    /* while it is held */
    const pl_task *holder;  /* who took it; NULL: a callback. It may have ended: for comparing only, */
    uint64_t holder_number; /* together with this */
    const char *where;      /* it was taken, "file.c:12" */
    pl__node held_node;     /* in debug mode: among the locks of the holder, which has not ended */
    bool locked;
} pl__lock;

/* NULL: nobody waits. */
static inline pl__waiter *pl__waiters_first(const pl__waiters *waiters)
{
    pl__node *first = pl__node_is_linked(&waiters->list.head) ? pl__list_first(&waiters->list) : NULL;
    return first ? PL__CONTAINER_OF(first, pl__waiter, node) : NULL;
}

/* PL_OK; PL_EINVAL: it belongs to another loop than the one that runs; PL_ETHREAD (debug mode only). */
static inline int pl__waiters_check(const pl__waiters *waiters)
{
    const pl_loop *running = pl_loop_running();
    if (running && waiters->loop && waiters->loop != running)
        return PL_EINVAL;
    const pl__waiter *first = pl__waiters_first(waiters);
    return first ? pl__loop_check_thread(first->future.loop) : PL_OK;
}

/* Wakes the first one with this result. It goes on in the next iteration. NULL: nobody waits. */
static inline pl__waiter *pl__waiters_wake(pl__waiters *waiters, int64_t result)
{
    pl__waiter *first = pl__waiters_first(waiters);
    if (first) {
        pl__node_unlink(&first->node);
        pl__future_finish(&first->future, result);
    }
    return first;
}

static inline void pl__waiters_wake_all(pl__waiters *waiters, int64_t result)
{
    while (pl__waiters_wake(waiters, result))
        continue;
}

/* The cancel of a future type whose waiters leave nothing behind. */
static inline bool pl__waiter_cancel(pl_future *future)
{
    pl__node_unlink(&PL__CONTAINER_OF(future, pl__waiter, future)->node);
    pl__future_finish(future, PL_ECANCELED);
    return true;
}

static inline bool pl__waiter_was_woken(const pl__waiter *waiter)
{
    return waiter->future.state == PL_FINISHED;
}

/* Suspends the running task, as the last of them, until it is woken. Its result, or PL_ECANCELED. */
static inline int pl__waiters_wait(pl__waiters *waiters, pl__waiter *waiter, const pl__future_type *type)
{
    pl_task *task = pl__task_running();
    pl_loop *loop = task->future.loop;
    PL__CHECK(!waiters->loop || waiters->loop == loop);
    if (!pl__node_is_linked(&waiters->list.head))
        pl__list_init(&waiters->list);
    waiters->loop = loop;
    pl__future_init(&waiter->future, type, loop);
    pl__node_init(&waiter->node);
    waiter->task = task;
    pl__list_push_back(&waiters->list, &waiter->node);
    int result = (int)pl__task_wait_for(task, &waiter->future);
    PL__CHECK(!pl__node_is_linked(&waiter->node));
    return result;
}

static inline pl__lock *pl__lock_of(const pl_lock *lock)
{
    return (pl__lock *)(uintptr_t)lock->opaque.space;
}

/* PL_OK; PL_EINVAL, PL_ETHREAD as pl__waiters_check. */
int pl__lock_check(const pl__lock *lock);

/* Hands a lock that is held to its first waiter. */
void pl__lock_hand_over(pl__lock *lock);

/* Takes it for the running task, whatever cancels that. PL_OK; PL_ECANCELED: it is taken all the same, and the task was
 * cancelled while it waited. */
int pl__lock_reacquire(pl__lock *lock, const char *where);

/* Reports the locks that a task holds whose function has returned, and forgets them. */
void pl__locks_report_held(pl_task *task);

#endif
