/* Lasting watchers: see watcher.h.
 *
 *     asking   its completion is in flight
 *     ready    its callback is in the ready queue, with the result
 *     calling  its function runs
 *     resting  nothing is wanted: no events, or the one call that was asked for has been made
 *
 * Stopped, it has no owner, and lives until its completion has come back and its function has returned.
 */
#include "watcher.h"

#include "allocator.h"
#include "debug.h"
#include "loop.h"

enum { POLL_EVENTS = PL_POLL_READABLE | PL_POLL_WRITABLE | PL_POLL_PRIORITY | PL_POLL_HANGUP };

typedef struct watcher watcher;

/* In a pl_poller and a pl_waiter. */
typedef struct owner {
    watcher *watcher; /* NULL: idle */
} owner;

struct watcher {
    pl__node node; /* of its loop's, while it has an owner */
    pl_loop *loop;
    owner *owner;
    pl__completion completion;
    pl__handle watch; /* of a POLL */
    pl__callback callback;
    pl_context *context; /* of all calls; NULL: none is used in this process */
    union {
        pl_poller_fn *poll;
        pl_waiter_fn *wait;
    } fn;
    void *arg;
    uintptr_t object;
    int64_t result;  /* while it is ready */
    uint32_t events; /* PL_POLL_ONCE included */
    uint8_t kind;
    bool called; /* since the events were set */
    bool calling;
};

PL__STATIC_ASSERT(sizeof(owner) * 4 <= sizeof(pl_poller) * 3, "pl_poller keeps a quarter to spare");
PL__STATIC_ASSERT(sizeof(owner) * 4 <= sizeof(pl_waiter) * 3, "pl_waiter keeps a quarter to spare");

static void run(void *arg);

static bool is_ready(const watcher *w)
{
    return pl__node_is_linked(&w->callback.node);
}

static bool rests(const watcher *w)
{
    if (w->kind == PL__WAIT)
        return false;
    return (w->events & POLL_EVENTS) == 0 || (w->called && (w->events & PL_POLL_ONCE));
}

/* --- Making and freeing ------------------------------------------------------------------------------------------- */

static void close_watch(watcher *w)
{
    pl__request request = {.kind = PL__REQUEST_WATCH_CLOSE, .handle = &w->watch};
    if (w->watch.object != PL__NO_OBJECT && w->watch.in_flight == 0)
        (void)pl__loop_control(w->loop, &request);
}

/* Without an owner, once nothing of it is in use. */
static void free_unused(watcher *w)
{
    PL__CHECK(!w->owner && !is_ready(w));
    if (w->calling || w->completion.state != PL__IDLE)
        return;
    close_watch(w);
    PL__CHECK(w->watch.object == PL__NO_OBJECT);
    pl_context_unref(w->context);
    pl__release(w, sizeof *w);
}

static int open_watch(watcher *w)
{
    if (w->kind != PL__POLL)
        return PL_OK;
    pl__request request = {.kind = PL__REQUEST_WATCH_OPEN, .handle = &w->watch, .value = (int64_t)w->object};
    return pl__loop_control(w->loop, &request);
}

static int keep_context(watcher *w)
{
    return pl__atomic_u32_load_relaxed(&pl__contexts_used) ? pl_context_copy(&w->context) : PL_OK;
}

/* A watcher with what is in `model`, that is not asking yet. */
static int create(watcher **made, const watcher *model)
{
    watcher *w = pl__allocate_zeroed(sizeof *w);
    if (!w)
        return PL_ENOMEM;
    *w = *model;
    pl__handle_init(&w->watch);
    int result = keep_context(w);
    if (result == PL_OK)
        result = open_watch(w);
    if (result < 0) {
        free_unused(w);
        return result;
    }
    *made = w;
    return PL_OK;
}

/* Its end for its owner; what is in flight comes back to a watcher without one. */
static void part(watcher *w)
{
    w->owner->watcher = NULL;
    w->owner = NULL;
    pl__node_unlink(&w->node);
    if (is_ready(w)) {
        pl__node_unlink(&w->callback.node);
        pl__callback_forget(&w->callback);
    }
    pl__loop_cancel(w->loop, &w->completion);
    close_watch(w); /* at once, if the system lets go of it at once */
}

/* --- Asking and telling ------------------------------------------------------------------------------------------- */

static void make_ready(watcher *w, int64_t result)
{
    w->result = result;
    if (w->context)
        w->callback.bindings = pl__bindings_to(w->context);
    pl__callback_ready(&w->callback, w->loop, run, w);
}

static void returned(pl__completion *completion);

/* True: it is in flight; else the answer is in *result. */
static bool ask(watcher *w, int64_t *result)
{
    pl__completion *c = &w->completion;
    PL__CHECK(c->state == PL__IDLE && !is_ready(w) && !w->calling);
    *c = (pl__completion){.kind = w->kind, .deliver = returned};
    if (w->kind == PL__POLL) {
        c->handle = &w->watch;
        c->as.poll.events = w->events & POLL_EVENTS;
    } else {
        c->as.wait.object = w->object;
    }
    if (pl__loop_submit(w->loop, c))
        return true;
    *result = pl__completion_take(c);
    return false;
}

static void go_on(watcher *w)
{
    int64_t result;
    if (!rests(w) && !ask(w, &result))
        make_ready(w, result);
}

/* Whether an answer was to another question than would be asked now. */
static bool is_outdated(const watcher *w)
{
    return w->kind == PL__POLL && (rests(w) || w->completion.as.poll.events != (w->events & POLL_EVENTS));
}

static void returned(pl__completion *completion)
{
    watcher *w = PL__CONTAINER_OF(completion, watcher, completion);
    int64_t result = pl__completion_take(completion);
    if (!w->owner)
        free_unused(w);
    else if (result == PL_ECANCELED || is_outdated(w))
        go_on(w);
    else
        make_ready(w, result);
}

static void call(watcher *w, owner *told)
{
    if (w->kind == PL__POLL)
        w->fn.poll((pl_poller *)told, (int)w->result, w->arg);
    else
        w->fn.wait((pl_waiter *)told, (int)w->result, w->arg);
}

static void run(void *arg)
{
    watcher *w = arg;
    owner *told = w->owner;
    w->called = true;
    w->calling = true;
    if (w->result < 0)
        part(w);
    call(w, told);
    w->calling = false;
    if (w->owner)
        go_on(w);
    else
        free_unused(w);
}

/* --- Starting and stopping ---------------------------------------------------------------------------------------- */

static owner *owner_of_poller(pl_poller *poller)
{
    return (owner *)(void *)poller->opaque.space;
}

static owner *owner_of_waiter(pl_waiter *waiter)
{
    return (owner *)(void *)waiter->opaque.space;
}

static bool are_events(int events)
{
    return (events & ~(POLL_EVENTS | PL_POLL_ERROR | PL_POLL_ONCE)) == 0;
}

static int start(owner *o, const watcher *model)
{
    watcher *w = NULL;
    int64_t result = PL_OK;
    int created = o->watcher ? PL_EBUSY : create(&w, model);
    if (created < 0)
        return created;
    bool answered = !rests(w) && !ask(w, &result);
    if (answered && result < 0) { /* at once: so it is the call that is wrong */
        free_unused(w);
        return (int)result;
    }
    w->owner = o;
    o->watcher = w;
    pl__list_push_back(&w->loop->watchers, &w->node);
    if (answered)
        make_ready(w, result);
    return PL_OK;
}

static int stop(owner *o, const char *function)
{
    watcher *w = o->watcher;
    if (!w || pl__loop_refuses(w->loop, function))
        return 0;
    part(w);
    if (!w->calling && w->completion.state == PL__IDLE)
        free_unused(w);
    return 1;
}

void pl__watchers_close(pl_loop *loop)
{
    for (pl__node *node; (node = pl__list_first(&loop->watchers));)
        (void)stop(PL__CONTAINER_OF(node, watcher, node)->owner, "pl_loop_close");
}

/* --- Public ------------------------------------------------------------------------------------------------------- */

int pl_poller_start_here(pl_poller *poller, pl_loop *loop, pl_socket object, int events, pl_poller_fn *fn, void *arg,
                         const char *where)
{
    if (!poller || !fn || !are_events(events))
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    const watcher model = {.loop = loop,
                           .kind = PL__POLL,
                           .object = object,
                           .events = (uint32_t)events,
                           .fn = {.poll = fn},
                           .arg = arg,
                           .callback = {.where = where}};
    return start(owner_of_poller(poller), &model);
}

int pl_poller_change(pl_poller *poller, int events)
{
    if (!poller || !are_events(events))
        return PL_EINVAL;
    watcher *w = owner_of_poller(poller)->watcher;
    if (!w)
        return PL_ESTATE;
    int checked = pl__loop_check_thread(w->loop);
    if (checked < 0)
        return checked;
    w->events = (uint32_t)events;
    w->called = false;
    if (is_ready(w)) {
        pl__node_unlink(&w->callback.node);
        pl__callback_forget(&w->callback);
    }
    if (w->completion.state != PL__IDLE && is_outdated(w))
        pl__loop_cancel(w->loop, &w->completion); /* when it comes back it goes on */
    else if (w->completion.state == PL__IDLE && !w->calling)
        go_on(w);
    return PL_OK;
}

int pl_poller_stop(pl_poller *poller)
{
    return poller ? stop(owner_of_poller(poller), "pl_poller_stop") : 0;
}

int pl_waiter_start_here(pl_waiter *waiter, pl_loop *loop, void *handle, pl_waiter_fn *fn, void *arg, const char *where)
{
    if (!waiter || !fn || pl__is_pseudo_handle(handle))
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    const watcher model = {.loop = loop,
                           .kind = PL__WAIT,
                           .object = (uintptr_t)handle,
                           .fn = {.wait = fn},
                           .arg = arg,
                           .callback = {.where = where}};
    return start(owner_of_waiter(waiter), &model);
}

int pl_waiter_stop(pl_waiter *waiter)
{
    return waiter ? stop(owner_of_waiter(waiter), "pl_waiter_stop") : 0;
}
