/* Callbacks: what a loop runs, and the calls made for those who bring no memory of their own.
 *
 * A call is allocated once and then recycled by its loop, so that pl_call_soon is a few pointer moves.
 */
#include "callback.h"

#include "allocator.h"
#include "debug.h"
#include "loop.h"
#include "remote.h"

enum { PL__CALLS_KEPT = 1024 };

PL__STATIC_ASSERT(sizeof(pl__user_callback) * 4 <= sizeof(pl_callback) * 3, "pl_callback keeps a quarter to spare");

static void call_run(void *arg);

static void append(pl__callback *callback, pl_loop *loop, pl_callback_fn *fn, void *arg)
{
    callback->fn = fn;
    callback->arg = arg;
    pl__list_push_back(&loop->ready, &callback->node);
    pl__loop_work_came(loop);
}

void pl__callback_fill(pl__callback *callback, pl_callback_fn *fn, void *arg, const char *where)
{
    PL__CHECK(!pl__node_is_linked(&callback->node));
    callback->fn = fn;
    callback->arg = arg;
    callback->where = where;
    if (!callback->bindings.context)
        callback->bindings = pl__bindings_copy();
}

void pl__callback_ready(pl__callback *callback, pl_loop *loop, pl_callback_fn *fn, void *arg)
{
    pl__remote_collect(loop->remote);
    append(callback, loop, fn, arg);
}

static pl__user_callback *user_callback_of(pl_callback *callback)
{
    return (pl__user_callback *)(void *)callback->opaque.space;
}

void pl__callback_belongs_to(pl_callback *callback, pl_loop *loop)
{
    user_callback_of(callback)->loop = loop;
}

int pl_callback_schedule_here(pl_callback *callback, pl_loop *loop, pl_callback_fn *fn, void *arg, const char *where)
{
    if (!callback || !fn)
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    if (pl__node_is_linked(&pl__callback_of(callback)->node))
        return PL_EBUSY;
    pl__callback_belongs_to(callback, loop);
    pl__callback_fill(pl__callback_of(callback), fn, arg, where);
    pl__remote_collect(loop->remote);
    pl__list_push_back(&loop->ready, &pl__callback_of(callback)->node);
    pl__loop_work_came(loop);
    return PL_OK;
}

int pl_callback_set_context(pl_callback *callback, pl_context *context)
{
    if (!callback)
        return PL_EINVAL;
    pl__callback *inner = pl__callback_of(callback);
    if (pl__node_is_linked(&inner->node))
        return PL_EBUSY;
    pl__callback_forget(inner);
    inner->bindings = pl__bindings_to(context);
    return PL_OK;
}

int pl_callback_cancel(pl_callback *callback)
{
    if (!callback)
        return 0;
    pl__callback *inner = pl__callback_of(callback);
    bool linked = pl__node_is_linked(&inner->node);
    const pl_loop *loop = user_callback_of(callback)->loop;
    if (linked && loop && pl__loop_refuses(loop, "pl_callback_cancel"))
        return 0;
    if (linked)
        pl__node_unlink(&inner->node);
    pl__callback_forget(inner);
    return linked;
}

/* --- Calls -------------------------------------------------------------------------------------------------------- */

static pl__call *call_take(pl_loop *loop)
{
    pl__call *call = loop->free_calls;
    if (call) {
        loop->free_calls = call->next;
        loop->free_call_count--;
        return call;
    }
    return pl__allocate_zeroed(sizeof *call);
}

static void call_give(pl_loop *loop, pl__call *call)
{
    if (call->embedded)
        return;
    if (loop->free_call_count >= PL__CALLS_KEPT) {
        pl__release(call, sizeof *call);
        return;
    }
    call->next = loop->free_calls;
    loop->free_calls = call;
    loop->free_call_count++;
}

static int call_soon(pl_loop *loop, pl_callback_fn *fn, void *arg, pl_drop_fn *drop, const char *where)
{
    if (!fn)
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    pl__call *call = call_take(loop);
    if (!call)
        return PL_ENOMEM;
    call->fn = fn;
    call->arg = arg;
    call->drop = drop;
    pl__call_fill(call, where);
    call->embedded = false;
    pl__remote_collect(loop->remote);
    pl__call_ready(loop, call);
    return PL_OK;
}

int pl_call_soon_here(pl_loop *loop, pl_callback_fn *fn, void *arg, pl_drop_fn *drop, const char *where)
{
    int result = call_soon(loop, fn, arg, drop, where);
    if (result < 0 && drop)
        drop(arg);
    return result;
}

void pl__call_fill(pl__call *call, const char *where)
{
    call->callback.where = where;
    call->callback.bindings = pl__bindings_copy();
}

void pl__call_ready(pl_loop *loop, pl__call *call)
{
    call->loop = loop;
    append(&call->callback, loop, call_run, call);
}

static void call_run(void *arg)
{
    pl__call *call = arg;
    pl_callback_fn *fn = call->fn;
    void *fn_arg = call->arg;
    call_give(call->loop, call); /* first: fn may post the next one */
    fn(fn_arg);
}

void pl__callback_drop(pl__callback *callback)
{
    pl__call *call = callback->fn == call_run ? callback->arg : NULL;
    pl__callback_forget(callback); /* which may free it, if it is a user's */
    if (!call)
        return;
    pl_drop_fn *drop = call->drop;
    void *arg = call->arg;
    call_give(call->loop, call);
    if (drop)
        drop(arg);
}

void pl__calls_destroy(pl_loop *loop)
{
    while (loop->free_calls) {
        pl__call *call = loop->free_calls;
        loop->free_calls = call->next;
        pl__release(call, sizeof *call);
    }
    loop->free_call_count = 0;
}
