/* selector_poll.c: the selector that every Unix has.
 *
 * Level-triggered: each wait asks of each handle only for the flags it lacks, so what is ready and of no interest to
 * anybody ends one wait and no more. A handle that lacks none is left out (a negative descriptor): what has hung up would
 * be reported whether asked for or not. The first entry is the pipe of wakes. Each wait costs time in proportion to the
 * number of handles; so looks begin where the last one ended, for when more are ready than are handed over at once.
 */
#include "selector.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>

#include "../allocator.h"
#include "../check.h"

enum { FIRST_CAPACITY = 16 };

#if !defined(POLLRDHUP)
#define POLLRDHUP 0
#endif

enum { ANY = PL__READABLE | PL__WRITABLE | PL__HANGUP };

typedef struct poll_selector {
    pl__selector base;
    pl__wake_pipe wakes;
    struct pollfd *entries; /* entries[0]: the pipe */
    pl__handle **handles;   /* handles[0]: NULL */
    size_t count;
    size_t capacity;
    size_t next; /* where the next look begins */
} poll_selector;

static poll_selector *of(pl__selector *selector)
{
    return (poll_selector *)selector;
}

static void destroy(pl__selector *selector)
{
    poll_selector *self = of(selector);
    PL__CHECK(self->count <= 1);
    pl__wake_pipe_close(&self->wakes);
    if (self->capacity > 0) {
        pl__release(self->entries, self->capacity * sizeof *self->entries);
        pl__release(self->handles, self->capacity * sizeof *self->handles);
    }
    pl__release(self, sizeof *self);
}

static bool grow(poll_selector *self)
{
    size_t capacity = self->capacity > 0 ? self->capacity * 2 : FIRST_CAPACITY;
    struct pollfd *entries = pl__allocate_zeroed(capacity * sizeof *entries);
    if (!entries)
        return false;
    pl__handle **handles = pl__allocate_zeroed(capacity * sizeof *handles);
    if (!handles) {
        pl__release(entries, capacity * sizeof *entries);
        return false;
    }
    for (size_t i = 0; i < self->count; i++) {
        entries[i] = self->entries[i];
        handles[i] = self->handles[i];
    }
    if (self->capacity > 0) {
        pl__release(self->entries, self->capacity * sizeof *self->entries);
        pl__release(self->handles, self->capacity * sizeof *self->handles);
    }
    self->entries = entries;
    self->handles = handles;
    self->capacity = capacity;
    return true;
}

static int create(pl__selector **selector)
{
    poll_selector *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->base.type = &pl__selector_poll;
    int rc = pl__wake_pipe_open(&self->wakes);
    if (rc == 0 && !grow(self))
        rc = -ENOMEM;
    if (rc < 0) {
        destroy(&self->base);
        return rc;
    }
    self->entries[0] = (struct pollfd){.fd = self->wakes.out, .events = POLLIN};
    self->count = 1;
    self->next = 1;
    *selector = &self->base;
    return 0;
}

static int add(pl__selector *selector, pl__handle *handle)
{
    poll_selector *self = of(selector);
    if (self->count == self->capacity && !grow(self))
        return -ENOMEM;
    self->handles[self->count++] = handle;
    return 0;
}

static void drop_handle(pl__selector *selector, pl__handle *handle)
{
    poll_selector *self = of(selector);
    size_t place = self->count - 1;
    while (place > 0 && self->handles[place] != handle)
        place--;
    PL__CHECK(place > 0);
    self->handles[place] = self->handles[--self->count];
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

static struct pollfd question_about(const pl__handle *handle)
{
    struct pollfd entry = {.fd = (int)handle->object};
    int events = (handle->flags & PL__READABLE ? 0 : POLLIN) | (handle->flags & PL__WRITABLE ? 0 : POLLOUT) |
                 (handle->flags & (PL__HANGUP | PL__NO_PRIORITY) ? 0 : POLLPRI) |
                 (handle->flags & (PL__HANGUP | PL__NO_END) ? 0 : POLLRDHUP);
    entry.events = (short)events;
    if ((handle->flags & ANY) == ANY)
        entry.fd = -1;
    return entry;
}

static int wait_once(pl__selector *selector, int64_t left)
{
    poll_selector *self = of(selector);
    int64_t milliseconds = pl__selector_milliseconds(left);
    int count = poll(self->entries, (nfds_t)self->count, milliseconds < INT_MAX ? (int)milliseconds : INT_MAX);
    return count < 0 ? -errno : count;
}

static uint16_t readiness_of(int events)
{
    if (events & (POLLERR | POLLHUP | POLLNVAL)) /* every system call ends at once now, with an error or the end */
        return PL__READABLE | PL__WRITABLE | PL__HANGUP;
    return (uint16_t)((events & POLLIN ? PL__READABLE : 0) | (events & POLLOUT ? PL__WRITABLE : 0) |
                      (events & (POLLPRI | POLLRDHUP) ? PL__HANGUP : 0));
}

static int wait_for_change(pl__selector *selector, int64_t deadline, pl__handle **changed)
{
    poll_selector *self = of(selector);
    int stored = 0;
    for (size_t i = 1; i < self->count; i++)
        self->entries[i] = question_about(self->handles[i]);
    if (pl__selector_wait_until(selector, deadline, wait_once) == 0)
        return 0;
    if (self->entries[0].revents)
        pl__wake_pipe_drain(&self->wakes);
    size_t place = self->next < self->count ? self->next : 1;
    for (size_t looked = 1; looked < self->count && stored < PL__SELECTOR_BATCH; looked++) {
        if (self->entries[place].fd >= 0 && self->entries[place].revents) {
            self->handles[place]->flags |= readiness_of(self->entries[place].revents);
            changed[stored++] = self->handles[place];
        }
        place = place + 1 < self->count ? place + 1 : 1;
    }
    self->next = place;
    return stored;
}

static void wake(pl__selector *selector)
{
    pl__wake_pipe_write(&of(selector)->wakes);
}

const pl__selector_class pl__selector_poll = {
    .name = "poll",
    .create = create,
    .destroy = destroy,
    .add = add,
    .remove = drop_handle,
    .wait = wait_for_change,
    .wake = wake,
};
