/* Futures: see future.h. */
#include "future.h"

#include "allocator.h"
#include "debug.h"
#include "loop.h"
#include "remote.h"
#include "task.h"

static void forget_callbacks(pl_future *future);
static bool plain_cancel(pl_future *future);
static void plain_destroy(pl_future *future);

static const pl__future_type plain_type = {.name = "future", .cancel = plain_cancel, .destroy = plain_destroy};

void pl__future_init(pl_future *future, const pl__future_type *type, pl_loop *loop)
{
    *future = (pl_future){.type = type, .loop = loop, .references = 1, .state = PL_PENDING};
    pl__list_init(&future->callbacks);
}

void pl__future_finish(pl_future *future, int64_t result)
{
    PL__CHECK(future->state == PL_PENDING);
    future->state = result == PL_ECANCELED ? PL_CANCELLED : PL_FINISHED;
    future->result = result;
    if (future->loop->closed) {
        forget_callbacks(future);
        return;
    }
    pl__remote_collect(future->loop->remote);
    pl__list_move_all(&future->callbacks, &future->loop->ready);
    pl__loop_work_came(future->loop);
}

/* Nobody will run them: they are their owners' again. */
static void forget_callbacks(pl_future *future)
{
    for (pl__node *node; (node = pl__list_pop_front(&future->callbacks));)
        pl__callback_forget(PL__CONTAINER_OF(node, pl__callback, node));
}

bool pl__future_cancel(pl_future *future, const char *message)
{
    if (pl__future_is_done(future))
        return false;
    future->message = message;
    return future->type->cancel(future);
}

static bool plain_cancel(pl_future *future)
{
    pl__future_finish(future, PL_ECANCELED);
    return true;
}

void pl__future_clear(pl_future *future)
{
    if (pl__future_is_unseen(future))
        pl__debug_report(future, "the error of a future was never looked at", future->result);
    if (future->pointer && future->drop)
        future->drop(future->pointer);
    forget_callbacks(future);
}

static void plain_destroy(pl_future *future)
{
    pl__future_clear(future);
    pl_loop *loop = future->loop;
    pl__debug_destroyed(future, loop);
    pl__release(future, sizeof *future);
    pl__loop_release(loop);
}

/* The loop of an operation that is done may be gone. */
static bool has_loop(const pl_future *future)
{
    return future->type && (future->type->destroy || !pl__future_is_done(future));
}

static int check_thread(const pl_future *future)
{
    return has_loop(future) ? pl__loop_check_thread(future->loop) : PL_OK;
}

static bool refuses(const pl_future *future, const char *function)
{
    return has_loop(future) && pl__loop_refuses(future->loop, function);
}

/* --- Public ------------------------------------------------------------------------------------------------------- */

int pl_future_create_here(pl_future **future, pl_loop *loop, const char *where)
{
    if (!future)
        return PL_EINVAL;
    *future = NULL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    *future = pl__allocate(sizeof **future);
    if (!*future)
        return PL_ENOMEM;
    pl__future_init(*future, &plain_type, loop);
    (*future)->where = where;
    pl__debug_created(*future, loop);
    pl__loop_hold(loop);
    return PL_OK;
}

pl_future *pl_future_ref(pl_future *future)
{
    if (!future)
        return NULL;
    PL__CHECK(future->type && future->type->destroy && future->references > 0);
    if (pl__loop_refuses(future->loop, "pl_future_ref"))
        return NULL;
    future->references++;
    return future;
}

void pl_future_unref(pl_future *future)
{
    if (!future)
        return;
    PL__CHECK(future->type && future->type->destroy && future->references > 0);
    if (pl__loop_refuses(future->loop, "pl_future_unref"))
        return;
    if (--future->references == 0)
        future->type->destroy(future);
}

/* Only plain futures are made done by their users. */
static int settle(pl_future *future, int64_t result)
{
    if (!future->type)
        return PL_ESTATE; /* of an operation that was never started */
    int checked = pl__loop_check_thread(future->loop);
    if (checked < 0)
        return checked;
    if (future->type != &plain_type || pl__future_is_done(future))
        return PL_ESTATE;
    pl__future_finish(future, result);
    return PL_OK;
}

int pl_future_set_result(pl_future *future, int64_t result)
{
    return future && result >= 0 ? settle(future, result) : PL_EINVAL;
}

int pl_future_set_error(pl_future *future, int64_t error)
{
    return future && error < 0 ? settle(future, error) : PL_EINVAL;
}

int pl_future_set_pointer(pl_future *future, void *pointer, pl_drop_fn *drop)
{
    int settled = future ? settle(future, 0) : PL_EINVAL;
    if (settled < 0) {
        if (drop)
            drop(pointer);
        return settled;
    }
    future->pointer = pointer;
    future->drop = drop;
    return PL_OK;
}

void *pl_future_take_pointer(pl_future *future)
{
    if (!future || refuses(future, "pl_future_take_pointer"))
        return NULL;
    void *pointer = future->pointer;
    future->pointer = NULL;
    return pointer;
}

int pl_future_cancel_with(pl_future *future, const char *message)
{
    if (!future || !future->type || refuses(future, "pl_future_cancel"))
        return 0;
    return pl__future_cancel(future, message);
}

int pl_future_cancel(pl_future *future)
{
    return pl_future_cancel_with(future, NULL);
}

const char *pl_future_cancel_message(const pl_future *future)
{
    if (!future || refuses(future, "pl_future_cancel_message"))
        return NULL;
    return future->state == PL_CANCELLED ? future->message : NULL;
}

int pl_future_state(const pl_future *future)
{
    if (!future)
        return PL_EINVAL;
    int checked = check_thread(future);
    return checked < 0 ? checked : future->state;
}

int64_t pl_future_result(pl_future *future)
{
    if (!future)
        return PL_EINVAL;
    int checked = check_thread(future);
    if (checked < 0)
        return checked;
    return future->type && pl__future_is_done(future) ? pl__future_take(future) : PL_ESTATE;
}

int pl_future_add_done_callback_here(pl_future *future, pl_callback *callback, pl_callback_fn *fn, void *arg,
                                     const char *where)
{
    if (!future || !callback || !fn)
        return PL_EINVAL;
    if (!future->type)
        return PL_ESTATE; /* of an operation that was never started */
    pl__callback *inner = pl__callback_of(callback);
    int checked = pl__loop_check_thread(future->loop);
    if (checked < 0)
        return checked;
    if (future->loop->closed)
        return PL_ECLOSED;
    if (pl__node_is_linked(&inner->node) || pl__future_is_busy(future))
        return PL_EBUSY;
    pl__callback_belongs_to(callback, future->loop);
    pl__callback_fill(inner, fn, arg, where);
    pl__remote_collect(future->loop->remote);
    pl__list_push_back(pl__future_is_done(future) ? &future->loop->ready : &future->callbacks, &inner->node);
    pl__loop_work_came(future->loop);
    return PL_OK;
}
