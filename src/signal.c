/* Signals: watchers, and the functions that a loop calls. See mailbox.h.
 *
 * A watcher remembers, for each of its events, how many it was told of; more in the loop's mailbox means that it has
 * something to tell. So nothing is passed on, queued or allocated when a signal comes: the loop looks at its watchers, and
 * those that are waited for, or have a function, tell.
 *
 * What was told is `owed` until the program says that it has dealt with it: until then a console's handler may be waiting.
 */
#include <proloop/signal.h>

#include "allocator.h"
#include "debug.h"
#include "loop.h"
#include "op.h"
#include "task.h"

enum { EVENTS_MAX = 128 };

typedef struct watched_event {
    int event;  /* its name, or its number */
    int number; /* the system's */
    uint32_t told;
    bool owed;
} watched_event;

struct pl_signal {
    pl_loop *loop;
    pl__node node;       /* of the loop's, until it is closed */
    uint32_t references; /* the owner's, users', one of the loop */
    bool owned;
    bool closed;
    uint8_t flags; /* enum pl__signal_flag */
    pl__op *waiter;
    pl_signal_fn *fn; /* of a watcher made by pl_signal_handle */
    void *arg;
    pl_context *context; /* that fn runs in */
    pl__callback callback;
    size_t turn; /* the event that is looked at first */
    size_t count;
    size_t capacity;
    watched_event events[]; /* `count`, of `capacity` */
};

/* --- Telling ------------------------------------------------------------------------------------------------------ */

static uint32_t arrived(const pl_signal *watcher, const watched_event *event)
{
    return pl__atomic_u32_load(&watcher->loop->proactor->mailbox.counts[event->number]);
}

/* The event whose turn it is; NULL: none has arrived. */
static watched_event *next_event(pl_signal *watcher)
{
    for (size_t i = 0; i < watcher->count; i++) {
        watched_event *event = &watcher->events[(watcher->turn + i) % watcher->count];
        if (arrived(watcher, event) != event->told)
            return event;
    }
    return NULL;
}

static void tell(pl_signal *watcher, watched_event *event, pl_signal_info *info)
{
    uint32_t now = arrived(watcher, event);
    *info = (pl_signal_info){.event = event->event, .number = event->number, .count = now - event->told};
    event->told = now;
    event->owed = true;
    watcher->turn = (size_t)(event - watcher->events) + 1;
}

static void end_wait(pl_signal *watcher, watched_event *event)
{
    pl__op *op = watcher->waiter;
    watcher->waiter = NULL;
    tell(watcher, event, op->output);
    pl__op_end(op, PL_OK, 0);
}

static void call_function(void *arg);

static void call_soon(pl_signal *watcher)
{
    if (pl__node_is_linked(&watcher->callback.node))
        return;
    watcher->callback.bindings = pl__bindings_to(watcher->context);
    pl__callback_ready(&watcher->callback, watcher->loop, call_function, watcher);
}

void pl__signals_deliver(pl_loop *loop)
{
    uint32_t seen = pl__atomic_u32_load(&loop->proactor->mailbox.arrived);
    if (seen == loop->signals_seen)
        return;
    loop->signals_seen = seen;
    PL__LIST_EACH (node, &loop->signals) {
        pl_signal *watcher = PL__CONTAINER_OF(node, pl_signal, node);
        watched_event *event = watcher->fn || watcher->waiter ? next_event(watcher) : NULL;
        if (event && watcher->fn)
            call_soon(watcher);
        else if (event)
            end_wait(watcher, event);
    }
}

/* --- Dealt with --------------------------------------------------------------------------------------------------- */

/* Whether some watcher of the loop has still to deal with a signal. */
static bool is_outstanding(const pl_loop *loop, int number, uint32_t count)
{
    PL__LIST_EACH (node, &loop->signals) {
        const pl_signal *watcher = PL__CONTAINER_OF(node, pl_signal, node);
        for (size_t i = 0; i < watcher->count; i++)
            if (watcher->events[i].number == number && (watcher->events[i].owed || watcher->events[i].told != count))
                return true;
    }
    return false;
}

static void report_done(pl_loop *loop, int number)
{
    uint32_t count = pl__atomic_u32_load(&loop->proactor->mailbox.counts[number]);
    pl__request request = {.kind = PL__REQUEST_SIGNAL_DONE, .option = (uint8_t)number, .value = count};
    if (!is_outstanding(loop, number, count))
        (void)pl__loop_control(loop, &request);
}

static void deal_with(pl_signal *watcher)
{
    for (size_t i = 0; i < watcher->count; i++) {
        bool owed = watcher->events[i].owed;
        watcher->events[i].owed = false;
        if (owed)
            report_done(watcher->loop, watcher->events[i].number);
    }
}

static int check_open(const pl_signal *watcher)
{
    if (!watcher)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(watcher->loop);
    if (checked < 0)
        return checked;
    return watcher->closed ? PL_ECLOSED : PL_OK;
}

int pl_signal_done(pl_signal *watcher)
{
    int checked = check_open(watcher);
    if (checked == PL_OK)
        deal_with(watcher);
    return checked;
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

static void wait_cancel(pl__op *op)
{
    pl_signal *watcher = op->owner;
    watcher->waiter = NULL;
    pl__op_end(op, op->cancel_code, 0);
}

static const pl__op_type wait_type = {.name = "signal", .cancel = wait_cancel};

int pl_signal_wait_start(pl_op *op, pl_signal *watcher, pl_signal_info *info)
{
    if (!op || !info)
        return PL_EINVAL;
    int checked = check_open(watcher);
    if (checked == PL_OK)
        checked = pl__op_check(op, watcher->loop);
    if (checked == PL_OK && watcher->waiter)
        checked = PL_EBUSY;
    if (checked < 0)
        return checked;
    watcher->waiter = pl__op_begin(op, watcher->loop, &wait_type, watcher, info);
    watched_event *event = next_event(watcher);
    if (event)
        end_wait(watcher, event);
    return PL_OK;
}

int64_t pl_signal_wait(pl_signal *watcher, pl_signal_info *info)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_signal_wait_start(&op, watcher, info));
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static int unwatch(const pl_signal *watcher, const watched_event *event)
{
    pl__request request = {.kind = PL__REQUEST_SIGNAL_UNWATCH, .option = (uint8_t)event->number};
    request.flags = watcher->flags;
    return pl__loop_control(watcher->loop, &request);
}

static bool has(const pl_signal *watcher, int number)
{
    for (size_t i = 0; i < watcher->count; i++)
        if (watcher->events[i].number == number)
            return true;
    return false;
}

/* PL_OK also for what does not exist here. */
static int watch(pl_signal *watcher, int event)
{
    pl__request request = {.kind = PL__REQUEST_SIGNAL_WATCH, .value = event, .flags = watcher->flags};
    int number = pl__loop_control(watcher->loop, &request);
    if (number < 0)
        return number == PL_ENOTSUP ? PL_OK : number;
    watched_event watched = {.event = (int)request.value, .number = number};
    if (has(watcher, number)) {
        (void)unwatch(watcher, &watched);
        return PL_OK;
    }
    watched.told = arrived(watcher, &watched);
    watcher->events[watcher->count++] = watched;
    return PL_OK;
}

static int watch_all(pl_signal *watcher, const int *events, size_t count)
{
    int result = PL_OK;
    for (size_t i = 0; i < count && result == PL_OK; i++)
        result = watch(watcher, events[i]);
    return result == PL_OK && watcher->count == 0 ? PL_ENOTSUP : result;
}

static void unwatch_all(pl_signal *watcher)
{
    for (size_t i = 0; i < watcher->count; i++) {
        watched_event *event = &watcher->events[i];
        event->owed = false;
        (void)unwatch(watcher, event);
        report_done(watcher->loop, event->number); /* what was not told is dropped */
    }
}

static int create(pl_signal **out, pl_loop *loop, const int *events, size_t count, uint8_t flags)
{
    pl_signal *watcher = pl__allocate_zeroed(sizeof *watcher + count * sizeof *watcher->events);
    if (!watcher)
        return PL_ENOMEM;
    watcher->loop = loop;
    watcher->references = 1;
    watcher->owned = true;
    watcher->flags = flags;
    watcher->capacity = count;
    pl__loop_hold(loop);
    int result = watch_all(watcher, events, count);
    if (result < 0) {
        unwatch_all(watcher);
        pl_signal_unref(watcher);
        return result;
    }
    watcher->references++;
    pl__list_push_back(&loop->signals, &watcher->node);
    *out = watcher;
    return PL_OK;
}

int pl_signal_open(pl_signal **watcher, const int *events, size_t count, const pl_signal_options *options)
{
    static const pl_signal_options defaults = {.size = sizeof(pl_signal_options)};
    if (!options)
        options = &defaults;
    if (!watcher || !events || count == 0 || count > EVENTS_MAX || options->size != sizeof *options)
        return PL_EINVAL;
    *watcher = NULL;
    pl_loop *loop = options->loop;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    uint8_t flags =
        (uint8_t)((options->take_ignored ? PL__SIGNAL_TAKE_IGNORED : 0) | (options->pass_on ? PL__SIGNAL_PASS_ON : 0));
    return create(watcher, loop, events, count, flags);
}

/* --- Closing ------------------------------------------------------------------------------------------------------ */

pl_signal *pl_signal_ref(pl_signal *watcher)
{
    if (!watcher || pl__loop_refuses(watcher->loop, "pl_signal_ref"))
        return NULL;
    PL__CHECK(watcher->references > 0);
    watcher->references++;
    return watcher;
}

void pl_signal_unref(pl_signal *watcher)
{
    if (!watcher || pl__loop_refuses(watcher->loop, "pl_signal_unref"))
        return;
    PL__CHECK(watcher->references > 0);
    if (--watcher->references > 0)
        return;
    PL__CHECK(!watcher->waiter && !pl__node_is_linked(&watcher->node));
    pl_loop *loop = watcher->loop;
    pl_context_unref(watcher->context);
    pl__release(watcher, sizeof *watcher + watcher->capacity * sizeof *watcher->events);
    pl__loop_release(loop);
}

static void end_watch(pl_signal *watcher)
{
    if (watcher->closed)
        return;
    watcher->closed = true;
    if (watcher->waiter)
        pl__op_cancel(watcher->waiter, PL_ECLOSED);
    if (pl__node_is_linked(&watcher->callback.node)) {
        pl__node_unlink(&watcher->callback.node);
        pl__callback_forget(&watcher->callback);
    }
    pl__node_unlink(&watcher->node);
    unwatch_all(watcher);
    pl_signal_unref(watcher); /* the loop's */
}

void pl_signal_close(pl_signal *watcher)
{
    if (!watcher || pl__loop_refuses(watcher->loop, "pl_signal_close"))
        return;
    PL__CHECK(watcher->owned);
    end_watch(watcher);
    watcher->owned = false;
    pl_signal_unref(watcher);
}

void pl__signals_close(pl_loop *loop)
{
    for (pl__node *node; (node = pl__list_first(&loop->signals));) {
        pl_signal *watcher = PL__CONTAINER_OF(node, pl_signal, node);
        if (watcher->fn)
            pl_signal_close(watcher); /* the loop owns it */
        else
            end_watch(watcher);
    }
}

/* --- Functions that the loop calls -------------------------------------------------------------------------------- */

static void call_function(void *arg)
{
    pl_signal *watcher = pl_signal_ref(arg);
    pl_signal_info info;
    watched_event *event = next_event(watcher);
    if (event) {
        tell(watcher, event, &info);
        watcher->fn(&info, watcher->arg);
    }
    if (!watcher->closed) {
        deal_with(watcher);
        if (next_event(watcher))
            call_soon(watcher);
    }
    pl_signal_unref(watcher);
}

static pl_signal *find_function(const pl_loop *loop, const watched_event *event)
{
    PL__LIST_EACH (node, &loop->signals) {
        pl_signal *watcher = PL__CONTAINER_OF(node, pl_signal, node);
        if (watcher->fn && watcher->events[0].number == event->number)
            return watcher;
    }
    return NULL;
}

static int handle(pl_loop *loop, int event, pl_signal_fn *fn, void *arg)
{
    pl_signal *watcher;
    int result = create(&watcher, loop, &event, 1, 0);
    if (result < 0)
        return result;
    pl_signal *before = find_function(loop, &watcher->events[0]);
    result = fn ? pl_context_copy(&watcher->context) : PL_OK;
    if (result < 0 || !fn) {
        pl_signal_close(watcher);
    } else {
        watcher->fn = fn;
        watcher->arg = arg;
        if (before) /* what it was not told of */
            watcher->events[0].told = before->events[0].told;
        if (next_event(watcher))
            call_soon(watcher);
    }
    if (result < 0 || !before)
        return result;
    pl_signal_close(before);
    return 1;
}

int pl_signal_handle(pl_loop *loop, int event, pl_signal_fn *fn, void *arg)
{
    int checked = pl__loop_check(&loop);
    return checked < 0 ? checked : handle(loop, event, fn, arg);
}
