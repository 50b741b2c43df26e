/* selector_epoll.c: Linux's selector.
 *
 * A descriptor is registered once, edge-triggered, for all events, so a change of what is waited for costs no
 * system call. A wake is a write to an eventfd that is registered edge-triggered too: each write is an edge,
 * so nobody ever needs to read it (its counter would overflow after 2^64 wakes).
 */
#include "selector.h"

#if defined(__linux__)

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../allocator.h"
#include "../check.h"

typedef struct epoll_selector {
    pl__selector base;
    int epoll;
    int event;
    bool has_pwait2; /* until the kernel says otherwise */
    struct epoll_event events[PL__SELECTOR_BATCH];
} epoll_selector;

static epoll_selector *of(pl__selector *selector)
{
    return (epoll_selector *)selector;
}

static void destroy(pl__selector *selector)
{
    epoll_selector *self = of(selector);
    if (self->event >= 0)
        close(self->event);
    if (self->epoll >= 0)
        close(self->epoll);
    pl__release(self, sizeof *self);
}

static int open_descriptors(epoll_selector *self)
{
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (self->epoll < 0)
        return -errno;
    self->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->event < 0)
        return -errno;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.ptr = NULL};
    return epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->event, &event) < 0 ? -errno : 0;
}

static int create(pl__selector **selector)
{
    epoll_selector *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->base.type = &pl__selector_epoll;
    self->epoll = -1;
    self->event = -1;
    self->has_pwait2 = true;
    int rc = open_descriptors(self);
    if (rc < 0)
        destroy(&self->base);
    else
        *selector = &self->base;
    return rc;
}

static int add(pl__selector *selector, pl__handle *handle)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLPRI | EPOLLET, .data.ptr = handle};
    return epoll_ctl(of(selector)->epoll, EPOLL_CTL_ADD, (int)handle->object, &event) < 0 ? -errno : 0;
}

static void drop_handle(pl__selector *selector, pl__handle *handle)
{
    struct epoll_event unused = {0};
    PL__CHECK(epoll_ctl(of(selector)->epoll, EPOLL_CTL_DEL, (int)handle->object, &unused) == 0);
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

#if defined(SYS_epoll_pwait2)

/* False: the kernel (or a filter of system calls) does not have it. */
static bool wait_precisely(epoll_selector *self, int64_t nanoseconds, int *count)
{
    struct {
        int64_t seconds, nanoseconds; /* the kernel's 64-bit timespec, whatever the C library's is */
    } span = {nanoseconds / 1000000000, nanoseconds % 1000000000};
    *count = (int)syscall(SYS_epoll_pwait2, self->epoll, self->events, PL__SELECTOR_BATCH, &span, NULL, (size_t)0);
    return *count >= 0 || (errno != ENOSYS && errno != EPERM);
}

#else

static bool wait_precisely(epoll_selector *self, int64_t nanoseconds, int *count)
{
    PL__UNUSED(self);
    PL__UNUSED(nanoseconds);
    PL__UNUSED(count);
    return false;
}

#endif

static int wait_milliseconds(epoll_selector *self, int milliseconds)
{
    return epoll_wait(self->epoll, self->events, PL__SELECTOR_BATCH, milliseconds);
}

static int wait_once(pl__selector *selector, int64_t left)
{
    epoll_selector *self = of(selector);
    int count;
    if (left > 0 && left != PL_FOREVER && self->has_pwait2) {
        if (wait_precisely(self, left, &count))
            return count < 0 ? -errno : count;
        self->has_pwait2 = false;
    }
    int64_t milliseconds = pl__selector_milliseconds(left);
    count = wait_milliseconds(self, milliseconds < INT_MAX ? (int)milliseconds : INT_MAX);
    return count < 0 ? -errno : count;
}

static uint16_t readiness_of(uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP)) /* every system call ends at once now, with an error or the end */
        return PL__READABLE | PL__WRITABLE | PL__HANGUP;
    return (uint16_t)((events & EPOLLIN ? PL__READABLE : 0) | (events & EPOLLOUT ? PL__WRITABLE : 0) |
                      (events & (EPOLLRDHUP | EPOLLPRI) ? PL__HANGUP : 0));
}

static int wait_for_change(pl__selector *selector, int64_t deadline, pl__handle **changed)
{
    epoll_selector *self = of(selector);
    int count = pl__selector_wait_until(selector, deadline, wait_once), stored = 0;
    for (int i = 0; i < count; i++) {
        pl__handle *handle = self->events[i].data.ptr;
        if (!handle) /* a wake */
            continue;
        handle->flags |= readiness_of(self->events[i].events);
        changed[stored++] = handle;
    }
    return stored;
}

static void wake(pl__selector *selector)
{
    const uint64_t one = 1;
    int saved = errno; /* it may be a signal's handler that calls */
    ssize_t written;
    do {
        written = write(of(selector)->event, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
    PL__CHECK(written == (ssize_t)sizeof one);
    errno = saved;
}

static int descriptor(pl__selector *selector)
{
    return of(selector)->epoll;
}

const pl__selector_class pl__selector_epoll = {
    .name = "epoll",
    .create = create,
    .destroy = destroy,
    .add = add,
    .remove = drop_handle,
    .wait = wait_for_change,
    .wake = wake,
    .descriptor = descriptor,
};

#endif
