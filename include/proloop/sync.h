/* proloop/sync.h: how the tasks of one loop wait for one another: lock, event, condition, semaphore, barrier.
 *
 * Between two waits of a task nothing else runs, so most data needs none of these. They are for what spans a wait: a
 * connection that one task at a time may use, a state that others are to be told of.
 *
 * All are structs the caller owns, zeroed at first (`pl_lock lock = {0};`), and nothing here allocates. Such a struct
 * must stay where it is, and alive, while a task holds it or is inside a call on it. Waiters go on first in, first out,
 * in the next iteration. The first loop in which a task had to wait for one is the one it belongs to from then on:
 * another gets PL_EINVAL, until the struct is zeroed again. Other threads reach a task by pl_call_soon_threadsafe.
 *
 * What waits is a task call: a cancel ends it. PL_ECANCELED means that it did not happen: no lock was taken, no
 * semaphore counted down, no notification used up, and what was on its way to the task goes to the next one.
 */
#ifndef PROLOOP_SYNC_H
#define PROLOOP_SYNC_H

#include <proloop/base.h>
#include <proloop/loop.h>
#include <proloop/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Lock --------------------------------------------------------------------------------------------------------- */

/** Held by one task at a time. Whoever releases it hands it to the task that has waited longest: nobody can take it in
 *  between. In debug mode a task that ends while it holds one is reported. asyncio: Lock. */
typedef struct pl_lock {
    union {
        uint64_t space[12];
        void *align;
    } opaque;
} pl_lock;

/** Takes the lock, waiting while it is held. Task call.
 *  @return PL_OK; PL_ECANCELED: it was not taken; PL_EDEADLOCK: this task took it already; PL_EINVAL, PL_ENOTASK.
 *  asyncio: acquire. */
#define pl_lock_acquire(...) pl_lock_acquire_here(__VA_ARGS__, PL_HERE)
PL_API int pl_lock_acquire_here(pl_lock *lock, const char *where);

/** Takes it if it is free; never waits. From tasks and callbacks. @return PL_OK; PL_EBUSY: it is held; PL_EINVAL,
 *  PL_ETHREAD. */
#define pl_lock_try_acquire(...) pl_lock_try_acquire_here(__VA_ARGS__, PL_HERE)
PL_API int pl_lock_try_acquire_here(pl_lock *lock, const char *where);

/** Hands it to the next one. From any task or callback of the loop, not only the task that took it.
 *  @return PL_OK; PL_ESTATE: it is not held, or on its way to a task that has not gone on; PL_EINVAL, PL_ETHREAD.
 *  asyncio: release. */
PL_API int pl_lock_release(pl_lock *lock);

/** 1: held, or on its way to a task that waited for it; 0: free; PL_EINVAL.   asyncio: locked. */
PL_API int pl_lock_is_locked(const pl_lock *lock);

/* --- Event -------------------------------------------------------------------------------------------------------- */

/** A flag to wait for. asyncio: Event. */
typedef struct pl_event {
    union {
        uint64_t space[6];
        void *align;
    } opaque;
} pl_event;

/** Sets the flag and wakes all who wait now; those go on even if it is cleared before they run.
 *  @return PL_OK, PL_EINVAL, PL_ETHREAD. */
PL_API int pl_event_set(pl_event *event);

/** From now on tasks wait again. @return PL_OK, PL_EINVAL, PL_ETHREAD. */
PL_API int pl_event_clear(pl_event *event);

/** 1, 0; PL_EINVAL. */
PL_API int pl_event_is_set(const pl_event *event);

/** Waits until it is set. Task call. @return PL_OK, PL_ECANCELED, PL_EINVAL, PL_ENOTASK. */
PL_API int pl_event_wait(pl_event *event);

/* --- Condition ---------------------------------------------------------------------------------------------------- */

/** Where tasks wait for a change of what a lock guards. The waits of one time must all be with the same lock. asyncio:
 *  Condition. */
typedef struct pl_condition {
    union {
        uint64_t space[8];
        void *align;
    } opaque;
} pl_condition;

/** Looks at what the lock guards. @return nonzero: it is so; a negative code ends the wait too. Must not suspend. */
typedef int pl_predicate_fn(void *arg);

/** Releases the lock, waits for a notification, and takes the lock again. Task call. The lock is held again when it
 *  returns, also with PL_ECANCELED: a cancel ends the wait for the notification, not the one for the lock after it: who holds the lock must not wait for
 *  such a task, nor end without a release, or neither goes on, and the loop cannot be closed.
 *  What was waited for need not be so: look again, or use pl_condition_wait_until.
 *  @return PL_OK; PL_ECANCELED: no notification was used up; PL_ESTATE: the lock is not held; PL_EINVAL: others wait
 *  with another lock; PL_ENOTASK.   asyncio: wait. */
PL_API int pl_condition_wait(pl_condition *condition, pl_lock *lock);

/** Waits until predicate(arg) is nonzero; it is called with the lock held, first at once. Task call.
 *  @return what the predicate gave; else as pl_condition_wait.   asyncio: wait_for. */
PL_API int pl_condition_wait_until(pl_condition *condition, pl_lock *lock, pl_predicate_fn *predicate, void *arg);

/** Wakes up to `n` of those who wait. They go on when the lock, which the caller holds, comes to them. Never waits;
 *  from tasks and callbacks. @return PL_OK; PL_ESTATE: the lock is not held; PL_EINVAL: n < 0, or they wait with
 *  another lock; PL_ETHREAD.   asyncio: notify, notify_all. */
PL_API int pl_condition_notify(pl_condition *condition, pl_lock *lock, int n);
PL_API int pl_condition_notify_all(pl_condition *condition, pl_lock *lock);

/* --- Semaphore ---------------------------------------------------------------------------------------------------- */

/** A count that is taken from by one and waited for at zero. asyncio: Semaphore, BoundedSemaphore. */
typedef struct pl_semaphore {
    union {
        uint64_t space[10];
        void *align;
    } opaque;
} pl_semaphore;

/** Before anything else: until then every call says PL_ESTATE.
 *  @param limit  the most that the value may become; 0: none. Equal to `value`: asyncio's BoundedSemaphore
 *  @return PL_OK; PL_EINVAL: value < 0 or limit < 0, or a value above the limit; PL_EBUSY: tasks are waiting. */
PL_API int pl_semaphore_init(pl_semaphore *semaphore, int64_t value, int64_t limit);

/** Takes one, waiting while there is none and while others are before it. Task call.
 *  @return PL_OK; PL_ECANCELED: none was taken; PL_ESTATE, PL_EINVAL, PL_ENOTASK. */
PL_API int pl_semaphore_acquire(pl_semaphore *semaphore);

/** Takes one if that needs no waiting. From tasks and callbacks. @return PL_OK; PL_EBUSY: it would have to wait;
 *  PL_ESTATE, PL_EINVAL, PL_ETHREAD. */
PL_API int pl_semaphore_try_acquire(pl_semaphore *semaphore);

/** Gives one back, to the task that has waited longest if there is one. From tasks and callbacks.
 *  @return PL_OK; PL_ESTATE: that would be above the limit; PL_EINVAL, PL_ETHREAD. */
PL_API int pl_semaphore_release(pl_semaphore *semaphore);

/** How many are there to be taken; those on their way to a task that waited do not count. PL_ESTATE, PL_EINVAL. */
PL_API int64_t pl_semaphore_value(const pl_semaphore *semaphore);

/** 1: pl_semaphore_acquire would wait now; 0; PL_ESTATE, PL_EINVAL.   asyncio: locked. */
PL_API int pl_semaphore_is_locked(const pl_semaphore *semaphore);

/* --- Barrier ------------------------------------------------------------------------------------------------------ */

/** Where a number of tasks wait until all of them are there. It can be used again and again: who comes while the last
 *  ones leave waits until they have. asyncio: Barrier. */
typedef struct pl_barrier {
    union {
        uint64_t space[12];
        void *align;
    } opaque;
} pl_barrier;

/** Before anything else: until then every call says PL_ESTATE.
 *  @return PL_OK; PL_EINVAL: parties < 1; PL_EBUSY: tasks are inside. */
PL_API int pl_barrier_init(pl_barrier *barrier, int parties);

/** Waits until as many tasks as it has parties are there. Task call. A task that was cancelled does not count as
 *  there; a cancel that comes when all are there is too late for this wait, and the next one returns it.
 *  @return 0 to parties - 1, in the order they came, each to one task; PL_EBROKEN: it was aborted, or reset while this
 *  task was inside; PL_ECANCELED, PL_ESTATE, PL_EINVAL, PL_ENOTASK. */
PL_API int pl_barrier_wait(pl_barrier *barrier);

/** Makes it as new. Those inside, also those who have not left yet, get PL_EBROKEN. From tasks and callbacks.
 *  @return PL_OK, PL_ESTATE, PL_EINVAL, PL_ETHREAD. */
PL_API int pl_barrier_reset(pl_barrier *barrier);

/** Breaks it: those inside, and all who come until it is reset, get PL_EBROKEN. From tasks and callbacks.
 *  @return PL_OK, PL_ESTATE, PL_EINVAL, PL_ETHREAD. */
PL_API int pl_barrier_abort(pl_barrier *barrier);

/** For how many it was made; how many wait there now; whether it is broken: 1, 0. PL_ESTATE, PL_EINVAL.   asyncio:
 *  parties, n_waiting, broken. */
PL_API int pl_barrier_parties(const pl_barrier *barrier);
PL_API int pl_barrier_waiting(const pl_barrier *barrier);
PL_API int pl_barrier_is_broken(const pl_barrier *barrier);

#ifdef __cplusplus
}
#endif

#endif
