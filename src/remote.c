/* Remotes: see remote.h. */
#include "remote.h"

#include "allocator.h"
#include "debug.h"
#include "loop.h"
#include "thread.h"

static char closed_mark; /* its address stands in the inbox of a closed remote */

int pl__remote_create(pl_remote **remote, pl_loop *loop)
{
    *remote = pl__allocate_zeroed(sizeof **remote);
    if (!*remote)
        return PL_ENOMEM;
    (*remote)->loop = loop;
    pl__atomic_u32_store(&(*remote)->references, 1);
    return PL_OK;
}

pl_remote *pl_loop_remote(pl_loop *loop)
{
    if (!loop || loop->closed || pl__loop_refuses(loop, "pl_loop_remote"))
        return NULL;
    return pl_remote_ref(loop->remote);
}

pl_remote *pl_remote_ref(pl_remote *remote)
{
    if (remote)
        PL__CHECK(pl__atomic_u32_add(&remote->references, 1) > 0);
    return remote;
}

void pl_remote_unref(pl_remote *remote)
{
    if (!remote)
        return;
    uint32_t before = pl__atomic_u32_add(&remote->references, UINT32_MAX);
    PL__CHECK(before > 0);
    if (before == 1)
        pl__release(remote, sizeof *remote);
}

/* Pushes the call, and wakes the loop if none was waiting. The loop cannot be freed while `posting` counts us. */
int pl__remote_post(pl_remote *remote, pl__call *call)
{
    int result = PL_OK;
    (void)pl__atomic_u32_add(&remote->posting, 1);
    void *first = pl__atomic_pointer_load(&remote->inbox);
    do {
        if (first == &closed_mark) {
            result = PL_ECLOSED;
            break;
        }
        call->next = first;
    } while (!pl__atomic_pointer_compare_exchange(&remote->inbox, &first, call));
    if (result == PL_OK && !first)
        remote->loop->proactor->type->wake(remote->loop->proactor);
    (void)pl__atomic_u32_add(&remote->posting, UINT32_MAX);
    return result;
}

pl_loop *pl__remote_enter(pl_remote *remote)
{
    (void)pl__atomic_u32_add(&remote->posting, 1);
    if (pl__atomic_pointer_load(&remote->inbox) != &closed_mark)
        return remote->loop;
    pl__remote_leave(remote);
    return NULL;
}

void pl__remote_leave(pl_remote *remote)
{
    (void)pl__atomic_u32_add(&remote->posting, UINT32_MAX);
}

static int call_soon_threadsafe(pl_remote *remote, pl_callback_fn *fn, void *arg, pl_drop_fn *drop, const char *where)
{
    if (!remote || !fn)
        return PL_EINVAL;
    pl__call *call = pl__allocate_zeroed(sizeof *call);
    if (!call)
        return PL_ENOMEM;
    call->fn = fn;
    call->arg = arg;
    call->drop = drop;
    pl__call_fill(call, where);
    int result = pl__remote_post(remote, call);
    if (result < 0) {
        pl__callback_forget(&call->callback);
        pl__release(call, sizeof *call);
    }
    return result;
}

int pl_call_soon_threadsafe_here(pl_remote *remote, pl_callback_fn *fn, void *arg, pl_drop_fn *drop, const char *where)
{
    int result = call_soon_threadsafe(remote, fn, arg, drop, where);
    if (result < 0 && drop)
        drop(arg);
    return result;
}

/* The inbox is a stack: turned round it is in order. */
static void calls_ready(pl_loop *loop, pl__call *last)
{
    pl__call *first = NULL;
    while (last) {
        pl__call *before = last->next;
        last->next = first;
        first = last;
        last = before;
    }
    while (first) {
        pl__call *next = first->next;
        pl__call_ready(loop, first);
        loop->counts.posts++;
        first = next;
    }
    loop->counts.wake_ups++;
}

void pl__remote_collect_calls(pl_remote *remote)
{
    calls_ready(remote->loop, pl__atomic_pointer_exchange(&remote->inbox, NULL));
}

void pl__remote_close(pl_remote *remote)
{
    calls_ready(remote->loop, pl__atomic_pointer_exchange(&remote->inbox, &closed_mark));
    while (pl__atomic_u32_load(&remote->posting) > 0) /* a few instructions and a wake */
        pl__thread_yield();
    remote->loop = NULL;
}
