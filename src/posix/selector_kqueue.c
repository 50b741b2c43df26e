/* selector_kqueue.c: the selector of the BSDs and macOS.
 *
 * A descriptor is registered once, edge-triggered (EV_CLEAR), for reading and for writing. EV_EOF on either means that the
 * peer will not take part any more. Wakes come through a pipe, as a kevent is nothing that a signal's handler may post
 * everywhere.
 */
#include "selector.h"

#if defined(PL__HAS_KQUEUE)

#include <errno.h>
#include <sys/types.h>

#include <sys/event.h>
#include <sys/time.h>
#include <unistd.h>

#include "../allocator.h"
#include "../check.h"

typedef struct kqueue_selector {
    pl__selector base;
    int queue;
    pl__wake_pipe wakes;
    struct kevent events[PL__SELECTOR_BATCH];
} kqueue_selector;

static kqueue_selector *of(pl__selector *selector)
{
    return (kqueue_selector *)selector;
}

static void destroy(pl__selector *selector)
{
    kqueue_selector *self = of(selector);
    if (self->queue >= 0)
        close(self->queue);
    pl__wake_pipe_close(&self->wakes);
    pl__release(self, sizeof *self);
}

/* Makes a change of what is watched: 0 or a negated errno. */
static int change(kqueue_selector *self, int descriptor, int filter, int flags, pl__handle *handle)
{
    struct kevent event;
    EV_SET(&event, descriptor, filter, flags, 0, 0, handle);
    int rc;
    do {
        rc = kevent(self->queue, &event, 1, NULL, 0, NULL);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static int create(pl__selector **selector)
{
    kqueue_selector *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->base.type = &pl__selector_kqueue;
    self->queue = -1;
    int rc = pl__wake_pipe_open(&self->wakes);
    if (rc == 0) {
        self->queue = kqueue();
        rc = self->queue < 0 ? -errno : change(self, self->wakes.out, EVFILT_READ, EV_ADD | EV_CLEAR, NULL);
    }
    if (rc < 0)
        destroy(&self->base);
    else
        *selector = &self->base;
    return rc;
}

static int add(pl__selector *selector, pl__handle *handle)
{
    kqueue_selector *self = of(selector);
    int descriptor = (int)handle->object;
    int rc = change(self, descriptor, EVFILT_READ, EV_ADD | EV_CLEAR, handle);
    if (rc < 0)
        return rc;
    rc = change(self, descriptor, EVFILT_WRITE, EV_ADD | EV_CLEAR, handle);
    if (rc < 0)
        (void)change(self, descriptor, EVFILT_READ, EV_DELETE, handle);
    return rc;
}

static void drop_handle(pl__selector *selector, pl__handle *handle)
{
    kqueue_selector *self = of(selector);
    PL__CHECK(change(self, (int)handle->object, EVFILT_READ, EV_DELETE, handle) == 0);
    PL__CHECK(change(self, (int)handle->object, EVFILT_WRITE, EV_DELETE, handle) == 0);
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

static int wait_once(pl__selector *selector, int64_t left)
{
    kqueue_selector *self = of(selector);
    struct timespec span = {0};
    if (left != PL_FOREVER) {
        span.tv_sec = (time_t)(left / 1000000000);
        span.tv_nsec = (int32_t)(left % 1000000000);
    }
    int count = kevent(self->queue, NULL, 0, self->events, PL__SELECTOR_BATCH, left == PL_FOREVER ? NULL : &span);
    return count < 0 ? -errno : count;
}

static uint16_t readiness_of(const struct kevent *event)
{
    uint16_t flags = event->filter == EVFILT_READ ? PL__READABLE : PL__WRITABLE;
    if (event->flags & EV_EOF)
        flags |= PL__HANGUP;
    return flags;
}

static int wait_for_change(pl__selector *selector, int64_t deadline, pl__handle **changed)
{
    kqueue_selector *self = of(selector);
    int count = pl__selector_wait_until(selector, deadline, wait_once), stored = 0;
    for (int i = 0; i < count; i++) {
        pl__handle *handle = self->events[i].udata;
        if (!handle) {
            pl__wake_pipe_drain(&self->wakes);
            continue;
        }
        handle->flags |= readiness_of(&self->events[i]);
        changed[stored++] = handle;
    }
    return stored;
}

static void wake(pl__selector *selector)
{
    pl__wake_pipe_write(&of(selector)->wakes);
}

static int descriptor(pl__selector *selector)
{
    return of(selector)->queue;
}

const pl__selector_class pl__selector_kqueue = {
    .name = "kqueue",
    .create = create,
    .destroy = destroy,
    .add = add,
    .remove = drop_handle,
    .wait = wait_for_change,
    .wake = wake,
    .descriptor = descriptor,
};

#endif
