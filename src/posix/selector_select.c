/* selector_select.c: the oldest selector, for systems whose others are broken, and for comparison.
 *
 * Level-triggered, as selector_poll.c, with three sets of bits instead of a list; a descriptor beyond FD_SETSIZE has no
 * bit and is refused with EMFILE. A connection that is lost counts as readable and writable; and so does a peer's end as
 * readable, which a watch may want while bytes that nobody reads are just that for as long as they are there. What was
 * readable and ended no wait is asked about again after a while only.
 */
#include "selector.h"

#include <errno.h>
#include <sys/select.h>
#include <sys/time.h>

#include "../allocator.h"
#include "../check.h"
#include "../clock.h"

enum { LONGEST_WAIT = 24 * 60 * 60 }; /* seconds: some systems refuse more than a hundred million */

enum { BETWEEN_LOOKS = 20000000 }; /* nanoseconds, at what was seen to be readable */

enum { READ_SET, WRITE_SET, EXCEPTION_SET, SETS };

static const uint16_t flag_of_set[SETS] = {PL__READABLE, PL__WRITABLE, PL__HANGUP};

typedef struct select_selector {
    pl__selector base;
    pl__wake_pipe wakes;
    pl__handle *handles[FD_SETSIZE]; /* by descriptor */
    int limit;                       /* above every descriptor */
    int next;                        /* where the next look begins */
    int64_t look_again;              /* when: at those that were seen; PL_FOREVER: there are none */
    fd_set questions[SETS];
    fd_set answers[SETS];
} select_selector;

static select_selector *of(pl__selector *selector)
{
    return (select_selector *)selector;
}

static void destroy(pl__selector *selector)
{
    select_selector *self = of(selector);
    pl__wake_pipe_close(&self->wakes);
    pl__release(self, sizeof *self);
}

static int create(pl__selector **selector)
{
    select_selector *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return -ENOMEM;
    self->base.type = &pl__selector_select;
    self->look_again = PL_FOREVER;
    int rc = pl__wake_pipe_open(&self->wakes);
    if (rc == 0 && self->wakes.out >= FD_SETSIZE)
        rc = -EMFILE;
    if (rc < 0) {
        destroy(&self->base);
        return rc;
    }
    self->limit = self->wakes.out + 1;
    *selector = &self->base;
    return 0;
}

static int add(pl__selector *selector, pl__handle *handle)
{
    select_selector *self = of(selector);
    if (handle->object >= FD_SETSIZE)
        return -EMFILE;
    int descriptor = (int)handle->object;
    PL__CHECK(!self->handles[descriptor]);
    self->handles[descriptor] = handle;
    if (self->limit <= descriptor)
        self->limit = descriptor + 1;
    return 0;
}

static void drop_handle(pl__selector *selector, pl__handle *handle)
{
    select_selector *self = of(selector);
    int descriptor = (int)handle->object;
    PL__CHECK(descriptor < FD_SETSIZE && self->handles[descriptor] == handle);
    self->handles[descriptor] = NULL;
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

/* Those that were seen are looked at again if it is time. */
static void forget_seen(select_selector *self)
{
    if (self->look_again == PL_FOREVER || pl__clock_now() < self->look_again)
        return;
    self->look_again = PL_FOREVER;
    for (int descriptor = 0; descriptor < self->limit; descriptor++)
        if (self->handles[descriptor])
            self->handles[descriptor]->flags &= (uint16_t)~PL__SEEN;
}

static uint16_t not_to_ask(const pl__handle *handle)
{
    return (uint16_t)(handle->flags | (handle->flags & PL__SEEN ? PL__READABLE : 0) |
                      (handle->flags & PL__NO_PRIORITY ? PL__HANGUP : 0));
}

static void ask(select_selector *self)
{
    forget_seen(self);
    for (int set = 0; set < SETS; set++)
        FD_ZERO(&self->questions[set]);
    FD_SET(self->wakes.out, &self->questions[READ_SET]);
    for (int descriptor = 0; descriptor < self->limit; descriptor++) {
        const pl__handle *handle = self->handles[descriptor];
        for (int set = 0; handle && set < SETS; set++) {
            if (!(not_to_ask(handle) & flag_of_set[set]))
                FD_SET(descriptor, &self->questions[set]);
        }
    }
}

static int wait_once(pl__selector *selector, int64_t left)
{
    select_selector *self = of(selector);
    struct timeval span = {.tv_sec = LONGEST_WAIT};
    int64_t microseconds = left / 1000 + (left % 1000 != 0);
    if (left != PL_FOREVER && microseconds / 1000000 < LONGEST_WAIT) {
        span.tv_sec = (time_t)(microseconds / 1000000);
        span.tv_usec = (suseconds_t)(microseconds % 1000000);
    }
    for (int set = 0; set < SETS; set++)
        self->answers[set] = self->questions[set];
    int count = select(self->limit, &self->answers[READ_SET], &self->answers[WRITE_SET], &self->answers[EXCEPTION_SET],
                       left == PL_FOREVER ? NULL : &span);
    return count < 0 ? -errno : count;
}

static uint16_t answer_about(const select_selector *self, int descriptor)
{
    uint16_t flags = 0;
    for (int set = 0; set < SETS; set++) {
        if (FD_ISSET(descriptor, &self->answers[set]))
            flags |= flag_of_set[set];
    }
    return flags;
}

static bool ask_and_wait(select_selector *self, int64_t deadline)
{
    for (;;) {
        ask(self);
        int64_t until = self->look_again < deadline ? self->look_again : deadline;
        if (pl__selector_wait_until(&self->base, until, wait_once) > 0)
            return true;
        if (until == deadline)
            return false;
    }
}

static void note_seen(select_selector *self, pl__handle *handle)
{
    handle->flags |= PL__SEEN;
    if (self->look_again == PL_FOREVER)
        self->look_again = pl__clock_now() + BETWEEN_LOOKS;
}

static int wait_for_change(pl__selector *selector, int64_t deadline, pl__handle **changed)
{
    select_selector *self = of(selector);
    int stored = 0;
    if (!ask_and_wait(self, deadline))
        return 0;
    if (FD_ISSET(self->wakes.out, &self->answers[READ_SET]))
        pl__wake_pipe_drain(&self->wakes);
    for (int looked = 0; looked < self->limit && stored < PL__SELECTOR_BATCH; looked++) {
        int descriptor = self->next = (self->next + 1) % self->limit;
        pl__handle *handle = self->handles[descriptor];
        uint16_t flags = handle ? answer_about(self, descriptor) : 0;
        if (flags) {
            handle->flags |= flags;
            if ((flags & PL__READABLE) && (handle->flags & PL__NO_BYTES))
                note_seen(self, handle);
            changed[stored++] = handle;
        }
    }
    return stored;
}

static void wake(pl__selector *selector)
{
    pl__wake_pipe_write(&of(selector)->wakes);
}

const pl__selector_class pl__selector_select = {
    .name = "select",
    .end_is_readable = true,
    .create = create,
    .destroy = destroy,
    .add = add,
    .remove = drop_handle,
    .wait = wait_for_change,
    .wake = wake,
};
