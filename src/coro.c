/* Coroutine objects: see coro.h. */
#include "coro.h"

#include "allocator.h"
#include "loop.h"
#include "task.h"

enum pl__coro_state { PL__CORO_NEW, PL__CORO_USED, PL__CORO_CLOSED };

struct pl_coro {
    pl__node node; /* of its loop's, while it is new */
    pl_loop *loop; /* NULL: none; looked at while it is new only */
    pl_task_fn *fn;
    void *arg;
    pl_drop_fn *drop;
    const char *where;
    uint32_t references;
    uint8_t state;
};

static pl_coro *coro_make(pl_loop *loop)
{
    pl_coro *coro = pl__allocate_zeroed(sizeof *coro);
    if (!coro)
        return NULL;
    coro->references = 1;
    coro->loop = loop;
    if (loop)
        pl__list_push_back(&loop->coros, &coro->node);
    return coro;
}

static int coro_create(pl_coro **coro, pl_task_fn *fn, void *arg, pl_drop_fn *drop, const char *where)
{
    pl_loop *loop = pl_loop_running();
    if (!coro)
        return PL_EINVAL;
    *coro = NULL;
    if (!fn)
        return PL_EINVAL;
    int checked = loop ? pl__loop_check(&loop) : PL_OK;
    if (checked < 0)
        return checked;
    *coro = coro_make(loop);
    if (!*coro)
        return PL_ENOMEM;
    (*coro)->fn = fn;
    (*coro)->arg = arg;
    (*coro)->drop = drop;
    (*coro)->where = where;
    return PL_OK;
}

int pl_coro_create_here(pl_coro **coro, pl_task_fn *fn, void *arg, pl_drop_fn *drop, const char *where)
{
    int created = coro_create(coro, fn, arg, drop, where);
    if (created < 0 && drop)
        drop(arg);
    return created;
}

/* Takes the call out of a new one. */
static void coro_leave(pl_coro *coro, enum pl__coro_state state)
{
    PL__CHECK(coro->state == PL__CORO_NEW && pl__node_is_linked(&coro->node) == (coro->loop != NULL));
    if (coro->loop)
        pl__node_unlink(&coro->node);
    coro->state = (uint8_t)state;
}

static void drop_arg(pl_coro *coro)
{
    if (coro->drop)
        coro->drop(coro->arg);
}

/* Nobody made the call. The report's handler and the drop may do anything but free it. */
static void coro_abandon(pl_coro *coro)
{
    pl_loop *loop = coro->loop;
    coro_leave(coro, PL__CORO_CLOSED);
    pl__loop_report(loop, "a coroutine was never awaited", PL_OK, 0, NULL, coro->where);
    drop_arg(coro);
}

void pl__coros_close(pl_loop *loop)
{
    for (pl__node *node; (node = pl__list_first(&loop->coros));) {
        pl_coro *coro = pl_coro_ref(PL__CONTAINER_OF(node, pl_coro, node));
        coro_abandon(coro);
        pl_coro_unref(coro);
    }
}

pl_coro *pl_coro_ref(pl_coro *coro)
{
    if (coro) {
        PL__CHECK(coro->references > 0);
        coro->references++;
    }
    return coro;
}

void pl_coro_unref(pl_coro *coro)
{
    if (!coro)
        return;
    PL__CHECK(coro->references > 0);
    if (coro->references == 1 && coro->state == PL__CORO_NEW)
        coro_abandon(coro); /* which may hand out a reference again */
    if (--coro->references == 0)
        pl__release(coro, sizeof *coro);
}

/* Whether its call is still to be made. PL_OK, PL_ESTATE, PL_ETHREAD. */
static int coro_check(const pl_coro *coro)
{
    if (coro->state != PL__CORO_NEW)
        return PL_ESTATE;
    return coro->loop ? pl__loop_check_thread(coro->loop) : PL_OK;
}

static int coro_check_in_task(const pl_coro *coro)
{
    if (!coro)
        return PL_EINVAL;
    return pl__task_running() ? coro_check(coro) : PL_ENOTASK;
}

int64_t pl_coro_await(pl_coro *coro)
{
    int checked = coro_check_in_task(coro);
    if (checked < 0)
        return checked;
    coro_leave(coro, PL__CORO_USED);
    return coro->fn(coro->arg);
}

/* As asyncio's: no call begins that has no time to run. */
static int coro_time_out(pl_coro *coro)
{
    coro_leave(coro, PL__CORO_CLOSED);
    drop_arg(coro);
    int begun = pl__task_call_begin(); /* others may let go of the coroutine meanwhile */
    return begun < 0 ? begun : PL_ETIMEDOUT;
}

int64_t pl_coro_wait_for(pl_coro *coro, pl_duration limit)
{
    int checked = coro_check_in_task(coro);
    if (checked < 0)
        return checked;
    if (limit <= 0)
        return coro_time_out(coro);
    coro_leave(coro, PL__CORO_USED);
    pl_timeout timeout = {{{0}}};
    int begun = pl_timeout_begin(&timeout, limit);
    if (begun < 0) {
        drop_arg(coro);
        return begun;
    }
    return pl_timeout_end(&timeout, coro->fn(coro->arg));
}

int pl_coro_spawn(pl_task **task, pl_coro *coro, const pl_task_options *options)
{
    if (task)
        *task = NULL;
    int checked = coro ? coro_check(coro) : PL_EINVAL;
    if (checked < 0)
        return checked;
    coro_leave(coro, PL__CORO_USED);
    pl_task_options with_drop = {.size = sizeof with_drop};
    if (options && options->size != sizeof *options) {
        drop_arg(coro);
        return PL_EINVAL;
    }
    if (options)
        with_drop = *options;
    with_drop.drop = coro->drop;
    return pl_spawn(task, coro->fn, coro->arg, &with_drop);
}

int pl_coro_close(pl_coro *coro)
{
    if (!coro)
        return PL_EINVAL;
    if (coro->state == PL__CORO_CLOSED)
        return PL_OK;
    int checked = coro_check(coro);
    if (checked < 0)
        return checked;
    coro_leave(coro, PL__CORO_CLOSED);
    drop_arg(coro);
    return PL_OK;
}
