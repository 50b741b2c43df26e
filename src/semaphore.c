/* Semaphores: see sync.h.
 *
 * What is released goes to the first waiter at once and does not show in the value. While a task is on its way with one,
 * those who come later queue up behind it even if there are more to be had, so that tasks go on in the order they came;
 * when it goes on, it wakes as many as there are.
 */
#include "sync.h"

typedef struct pl__semaphore {
    pl__waiters waiters;
    int64_t value;
    int64_t limit;
    size_t woken; /* tasks that were given one and have not gone on yet */
    bool ready;   /* pl_semaphore_init was called */
} pl__semaphore;

PL__STATIC_ASSERT(sizeof(pl__semaphore) * 4 <= sizeof(pl_semaphore) * 3, "pl_semaphore keeps a quarter to spare");

static const pl__future_type semaphore_type = {.name = "semaphore", .cancel = pl__waiter_cancel, .one_waiter = true};

static pl__semaphore *semaphore_of(const pl_semaphore *semaphore)
{
    return (pl__semaphore *)(uintptr_t)semaphore->opaque.space;
}

static int check(const pl_semaphore *semaphore)
{
    if (!semaphore)
        return PL_EINVAL;
    return semaphore_of(semaphore)->ready ? pl__waiters_check(&semaphore_of(semaphore)->waiters) : PL_ESTATE;
}

static bool must_wait(const pl__semaphore *semaphore)
{
    return semaphore->value == 0 || semaphore->woken > 0 || pl__waiters_first(&semaphore->waiters);
}

/* Gives one to the first waiter. False: nobody waits, or there is none. */
static bool wake_next(pl__semaphore *semaphore)
{
    if (semaphore->value == 0 || !pl__waiters_wake(&semaphore->waiters, PL_OK))
        return false;
    semaphore->value--;
    semaphore->woken++;
    return true;
}

int pl_semaphore_init(pl_semaphore *semaphore, int64_t value, int64_t limit)
{
    if (!semaphore || value < 0 || limit < 0 || (limit > 0 && value > limit))
        return PL_EINVAL;
    pl__semaphore *inner = semaphore_of(semaphore);
    if (inner->woken > 0 || pl__waiters_first(&inner->waiters))
        return PL_EBUSY;
    *inner = (pl__semaphore){
        .waiters.loop = inner->waiters.loop, .value = value, .limit = limit > 0 ? limit : INT64_MAX, .ready = true};
    return PL_OK;
}

int pl_semaphore_acquire(pl_semaphore *semaphore)
{
    int begun = semaphore ? pl__task_call_begin() : PL_EINVAL;
    if (begun == PL_OK)
        begun = check(semaphore);
    if (begun < 0)
        return begun;
    pl__semaphore *inner = semaphore_of(semaphore);
    if (!must_wait(inner)) {
        inner->value--;
        return PL_OK;
    }
    pl__waiter waiter;
    int waited = pl__waiters_wait(&inner->waiters, &waiter, &semaphore_type);
    if (pl__waiter_was_woken(&waiter)) {
        PL__CHECK(inner->woken > 0);
        inner->woken--;
        if (waited < 0)
            inner->value++;
    }
    while (wake_next(inner))
        continue;
    return waited;
}

int pl_semaphore_try_acquire(pl_semaphore *semaphore)
{
    int checked = check(semaphore);
    if (checked < 0)
        return checked;
    if (must_wait(semaphore_of(semaphore)))
        return PL_EBUSY;
    semaphore_of(semaphore)->value--;
    return PL_OK;
}

int pl_semaphore_release(pl_semaphore *semaphore)
{
    int checked = check(semaphore);
    if (checked < 0)
        return checked;
    pl__semaphore *inner = semaphore_of(semaphore);
    if (inner->value >= inner->limit)
        return PL_ESTATE;
    inner->value++;
    (void)wake_next(inner);
    return PL_OK;
}

int64_t pl_semaphore_value(const pl_semaphore *semaphore)
{
    if (!semaphore)
        return PL_EINVAL;
    return semaphore_of(semaphore)->ready ? semaphore_of(semaphore)->value : PL_ESTATE;
}

int pl_semaphore_is_locked(const pl_semaphore *semaphore)
{
    if (!semaphore)
        return PL_EINVAL;
    return semaphore_of(semaphore)->ready ? must_wait(semaphore_of(semaphore)) : PL_ESTATE;
}
