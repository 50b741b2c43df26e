/* proloop/gather.h: waits for several futures, and for one without handing a cancel on to it.
 *
 * The futures are named in an array of items that the caller owns, as a rule on the task's stack; the waits allocate
 * nothing, and the items are the caller's again when the call returns. A future may stand in the array more than once,
 * unless it is an operation's, which takes one waiter (PL_EBUSY). Counted futures are held while the wait lasts; those
 * of operations must stay where they are.
 *
 * What a cancel of the waiting task does is the difference between these calls: pl_gather, pl_race and pl_wait_for hand
 * it on and return when everything they waited for has ended, as the futures' tasks may use the caller's stack; pl_wait,
 * pl_as_completed_next and pl_shield return at once, and what they waited for goes on.
 *
 * Like pl_await, each gives what is there already without waiting, in a cancelled scope too. All are task calls and
 * return, beside what is said at each:
 *   PL_EINVAL     an item without a future, a future of another loop, no array, or an argument out of its range
 *   PL_ENOTASK    outside a task
 *   PL_ESTATE     the future of an operation that was never started
 *   PL_EBUSY      an operation's future that has a waiter, or an item that is in use (or was not zeroed)
 *   PL_EDEADLOCK  the wait could never end, as one of the futures is the task's own, or that of a task which cannot go
 *                 on before this one
 * and then nothing was changed.
 */
#ifndef PROLOOP_GATHER_H
#define PROLOOP_GATHER_H

#include <proloop/base.h>
#include <proloop/future.h>
#include <proloop/task.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One of the futures to wait for. Zero it and set `future`; it may be used again for the next wait. */
typedef struct pl_awaited {
    pl_future *future;
    int64_t result; /* if it is done: its result or error, PL_ECANCELED included; an error counts as seen */
    int done;       /* nonzero: it was done when the call returned */
    union {
        uint64_t space[16];
        void *align;
    } opaque;
} pl_awaited;

enum pl_gather_flag {
    PL_GATHER_RETURN_ERRORS = 1 /* errors are results like others: wait for all */
};

/** Waits for all. The results are in the items, in their order.
 *  @param flags  0: the first error (that of a future which somebody cancelled included) is returned at once; the others
 *  go on, and their later errors count as seen. PL_GATHER_RETURN_ERRORS: see there.
 *  @return PL_OK, also for none; without the flag, the first error; PL_ECANCELED: this task was cancelled, so all of them
 *  were, and all have ended: some perhaps with a result or an error of their own, which is in the item.
 *  asyncio: gather, which when it is cancelled does not wait for the last. */
PL_API int64_t pl_gather(pl_awaited *items, size_t count, int flags);

enum pl_wait_mode {
    PL_ALL_COMPLETED = 0,
    PL_FIRST_COMPLETED = 1, /* until one is done */
    PL_FIRST_ERROR = 2      /* until all are done, or one with an error; being cancelled is none */
};

/** Waits until enough of them are done. Cancels nothing, neither when the limit runs out nor when the task is cancelled.
 *  @param limit  PL_FOREVER: none; <= 0: gives way once, unless enough are done
 *  @return how many items are done, fewer than the mode asks for if the limit ran out; PL_ECANCELED: then the items are
 *  as they were; PL_EINVAL also for none; PL_ENOMEM.   asyncio: wait. */
PL_API int64_t pl_wait(pl_awaited *items, size_t count, int mode, pl_duration limit);

/** Waits for the first to be done, then cancels the others and waits for them to end. Should several be done already, the
 *  first of them in the array wins.
 *  @param winner  gets its index; `count` if there is none; may be NULL
 *  @return the winner's result or error. A loser may have a result all the same: look at its item. PL_ECANCELED: this
 *  task was cancelled before one was done; all were cancelled, and have ended. A cancel that comes later reaches the
 *  losers, and this task at its next wait. PL_EINVAL also for none. */
PL_API int64_t pl_race(pl_awaited *items, size_t count, size_t *winner);

/** Waits for a future without handing a cancel on to it: if the task is cancelled the future goes on, and an error that
 *  it ends with is reported unless somebody looks at it. Keep a reference to it.
 *  @return its result, PL_ECANCELED if it was cancelled; PL_ECANCELED: this task was cancelled.   asyncio: shield. */
PL_API int64_t pl_shield(pl_future *future);

/** pl_await within a time limit: when it has run out the future is cancelled and waited for. PL_FOREVER: none; <= 0: a
 *  future that is not done is cancelled at once.
 *  @return PL_ETIMEDOUT; the result or error of the future, if it ends with one all the same; else as pl_await;
 *  PL_ENOMEM.   asyncio: wait_for. */
PL_API int64_t pl_wait_for(pl_future *future, pl_duration limit);

/* --- As completed ------------------------------------------------------------------------------------------------- */

/** Gives the futures one by one, as they are done. A scope like a timeout: caller-owned, zeroed, on the task's stack,
 *  ended last in first out; the items are in use from begin to end. */
typedef struct pl_as_completed {
    union {
        uint64_t space[56];
        void *align;
    } opaque;
} pl_as_completed;

/** Begins. @param limit  for all of them together, counted from now; PL_FOREVER: none
 *  @return PL_OK; PL_EBUSY: begun already; PL_ENOMEM: then nothing was begun.   asyncio: as_completed. */
#define pl_as_completed_begin(...) pl_as_completed_begin_here(__VA_ARGS__, PL_HERE)
PL_API int pl_as_completed_begin_here(pl_as_completed *completed, pl_awaited *items, size_t count, pl_duration limit,
                                      const char *where);

/** Waits for the next one to be done. Only the task that began calls this.
 *  @param item  gets it; NULL unless 1 is returned
 *  @return 1; 0: there was one for each item; PL_ETIMEDOUT: the limit ran out, the others go on; PL_ECANCELED: this task
 *  was cancelled; none is lost, the next call gives it; PL_ESTATE: not begun, or by another task. */
PL_API int pl_as_completed_next(pl_as_completed *completed, pl_awaited **item);

/** Ends it; may be called before the last was given. The futures go on. */
PL_API void pl_as_completed_end(pl_as_completed *completed);

#ifdef __cplusplus
}
#endif

#endif
