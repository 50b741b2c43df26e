/* Events: see sync.h. */
#include "sync.h"

typedef struct pl__event {
    pl__waiters waiters; /* while it is not set */
    bool set;
} pl__event;

PL__STATIC_ASSERT(sizeof(pl__event) * 4 <= sizeof(pl_event) * 3, "pl_event keeps a quarter to spare");

static const pl__future_type event_type = {.name = "event", .cancel = pl__waiter_cancel, .one_waiter = true};

static pl__event *event_of(const pl_event *event)
{
    return (pl__event *)(uintptr_t)event->opaque.space;
}

int pl_event_set(pl_event *event)
{
    int checked = event ? pl__waiters_check(&event_of(event)->waiters) : PL_EINVAL;
    if (checked < 0)
        return checked;
    event_of(event)->set = true;
    pl__waiters_wake_all(&event_of(event)->waiters, PL_OK);
    return PL_OK;
}

int pl_event_clear(pl_event *event)
{
    int checked = event ? pl__waiters_check(&event_of(event)->waiters) : PL_EINVAL;
    if (checked == PL_OK)
        event_of(event)->set = false;
    return checked;
}

int pl_event_is_set(const pl_event *event)
{
    return event ? event_of(event)->set : PL_EINVAL;
}

int pl_event_wait(pl_event *event)
{
    if (!event)
        return PL_EINVAL;
    pl__event *inner = event_of(event);
    int begun = pl__task_call_begin();
    if (begun == PL_OK)
        begun = pl__waiters_check(&inner->waiters);
    if (begun < 0 || inner->set)
        return begun;
    pl__waiter waiter;
    return pl__waiters_wait(&inner->waiters, &waiter, &event_type);
}
