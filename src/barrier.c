/* Barriers: see sync.h.
 *
 * A barrier fills, until as many tasks are inside as it has parties; then it drains, until the last of them has gone on.
 * A reset while tasks are inside drains it too, and those get PL_EBROKEN, also if all had been there: what counts is the
 * state when the task goes on. Who comes while it drains waits outside and then looks again.
 */
#include "sync.h"

enum barrier_state { NOT_READY, FILLING, DRAINING, RESETTING, BROKEN };

typedef struct pl__barrier {
    pl__waiters inside_waiters;  /* while it fills: all who are inside */
    pl__waiters outside_waiters; /* while it drains */
    int parties;
    int inside; /* tasks that came in and have not gone on */
    uint8_t state;
} pl__barrier;

typedef struct barrier_waiter {
    pl__waiter waiter; /* the first member */
    pl__barrier *barrier;
} barrier_waiter;

PL__STATIC_ASSERT(sizeof(pl__barrier) * 4 <= sizeof(pl_barrier) * 3, "pl_barrier keeps a quarter to spare");

static bool inside_cancel(pl_future *future);

/* When all were there, the others have gone on because of this task: that cannot be taken back. */
static const pl__future_type inside_type = {
    .name = "barrier", .cancel = inside_cancel, .one_waiter = true, .keeps_result = true};
static const pl__future_type outside_type = {
    .name = "barrier that others leave", .cancel = pl__waiter_cancel, .one_waiter = true};

static pl__barrier *barrier_of(const pl_barrier *barrier)
{
    return (pl__barrier *)(uintptr_t)barrier->opaque.space;
}

static int check(const pl_barrier *barrier)
{
    if (!barrier)
        return PL_EINVAL;
    if (barrier_of(barrier)->state == NOT_READY)
        return PL_ESTATE;
    int checked = pl__waiters_check(&barrier_of(barrier)->inside_waiters);
    return checked == PL_OK ? pl__waiters_check(&barrier_of(barrier)->outside_waiters) : checked;
}

static void set_state(pl__barrier *barrier, enum barrier_state state)
{
    barrier->state = (uint8_t)state;
    if (state == FILLING || state == BROKEN)
        pl__waiters_wake_all(&barrier->outside_waiters, PL_OK);
}

static bool inside_cancel(pl_future *future)
{
    pl__barrier *barrier = PL__CONTAINER_OF(future, barrier_waiter, waiter.future)->barrier;
    PL__CHECK(barrier->state == FILLING && barrier->inside > 0);
    barrier->inside--;
    return pl__waiter_cancel(future);
}

int pl_barrier_init(pl_barrier *barrier, int parties)
{
    if (!barrier || parties < 1)
        return PL_EINVAL;
    pl__barrier *inner = barrier_of(barrier);
    if (inner->inside > 0 || pl__waiters_first(&inner->outside_waiters))
        return PL_EBUSY;
    inner->parties = parties;
    inner->state = FILLING;
    return PL_OK;
}

static int wait_outside(pl__barrier *barrier)
{
    while (barrier->state == DRAINING || barrier->state == RESETTING) {
        pl__waiter waiter;
        int waited = pl__waiters_wait(&barrier->outside_waiters, &waiter, &outside_type);
        if (waited < 0)
            return waited;
    }
    return barrier->state == BROKEN ? PL_EBROKEN : PL_OK;
}

static void leave(pl__barrier *barrier)
{
    PL__CHECK(barrier->inside > 0);
    if (--barrier->inside == 0 && barrier->state != BROKEN)
        set_state(barrier, FILLING);
}

/* All are there. The index of the last one. */
static int open_up(pl__barrier *barrier)
{
    int index = 0;
    set_state(barrier, DRAINING);
    while (pl__waiters_wake(&barrier->inside_waiters, index))
        index++;
    PL__CHECK(index == barrier->parties - 1);
    leave(barrier);
    return index;
}

int pl_barrier_wait(pl_barrier *barrier)
{
    int result = barrier ? pl__task_call_begin() : PL_EINVAL;
    if (result == PL_OK)
        result = check(barrier);
    if (result < 0)
        return result;
    pl__barrier *inner = barrier_of(barrier);
    result = wait_outside(inner);
    if (result < 0)
        return result;
    if (++inner->inside == inner->parties)
        return open_up(inner);
    barrier_waiter waiter = {.barrier = inner};
    result = pl__waiters_wait(&inner->inside_waiters, &waiter.waiter, &inside_type);
    if (result == PL_ECANCELED)
        return result; /* it left when it was cancelled */
    if (inner->state != DRAINING)
        result = PL_EBROKEN;
    leave(inner);
    return result;
}

int pl_barrier_reset(pl_barrier *barrier)
{
    int checked = check(barrier);
    if (checked < 0)
        return checked;
    pl__barrier *inner = barrier_of(barrier);
    pl__waiters_wake_all(&inner->inside_waiters, PL_EBROKEN);
    set_state(inner, inner->inside > 0 ? RESETTING : FILLING);
    return PL_OK;
}

int pl_barrier_abort(pl_barrier *barrier)
{
    int checked = check(barrier);
    if (checked < 0)
        return checked;
    pl__waiters_wake_all(&barrier_of(barrier)->inside_waiters, PL_EBROKEN);
    set_state(barrier_of(barrier), BROKEN);
    return PL_OK;
}

int pl_barrier_parties(const pl_barrier *barrier)
{
    if (!barrier)
        return PL_EINVAL;
    return barrier_of(barrier)->state == NOT_READY ? PL_ESTATE : barrier_of(barrier)->parties;
}

int pl_barrier_waiting(const pl_barrier *barrier)
{
    if (!barrier)
        return PL_EINVAL;
    if (barrier_of(barrier)->state == NOT_READY)
        return PL_ESTATE;
    return barrier_of(barrier)->state == FILLING ? barrier_of(barrier)->inside : 0;
}

int pl_barrier_is_broken(const pl_barrier *barrier)
{
    if (!barrier)
        return PL_EINVAL;
    return barrier_of(barrier)->state == NOT_READY ? PL_ESTATE : barrier_of(barrier)->state == BROKEN;
}
