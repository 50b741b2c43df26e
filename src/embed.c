/* Embedding: see embed.h. */
#include "embed.h"

#include "allocator.h"
#include "remote.h"
#include "thread.h"

/* On the proactor's thread, or on the loop's. */
static void tell(void *context)
{
    pl__embedding *embedding = context;
    pl__proactor *proactor = embedding->loop->proactor;
    if (!embedding->wake)
        proactor->type->wake(proactor);
    else if (pl__atomic_u32_exchange(&embedding->told, 1) == 0)
        embedding->wake(embedding->arg);
}

void pl__embedding_work_came(pl_loop *loop)
{
    if (!loop->running)
        tell(loop->embedding);
}

void pl__embedding_cancelled(pl_loop *loop)
{
    loop->embedding->again = true;
    pl__embedding_work_came(loop);
}

void pl__embedding_begins(pl_loop *loop)
{
    loop->embedding->again = false;
    pl__atomic_u32_store(&loop->embedding->told, 0); /* before anything is looked at */
}

void pl__embedding_rests(pl_loop *loop)
{
    loop->proactor->type->rest(loop->proactor);
    if (loop->embedding->again || !pl__list_is_empty(&loop->ready) || pl__remote_has_calls(loop->remote))
        tell(loop->embedding);
}

void pl__embedding_end(pl_loop *loop)
{
    pl__embedding *embedding = loop->embedding;
    if (!embedding)
        return;
    loop->proactor->type->unembed(loop->proactor);
    loop->embedding = NULL;
    pl__release(embedding, sizeof *embedding);
}

/* --- Public ------------------------------------------------------------------------------------------------------- */

/* PL_OK, or why the thread cannot do this to the loop. */
static int check(const pl_loop *loop)
{
    if (!loop)
        return PL_EINVAL;
    if (loop->closed)
        return PL_ECLOSED;
    if (pl__loop_thread(loop) && pl__loop_thread(loop) != pl__thread_id())
        return PL_ETHREAD;
    return loop->running ? PL_EBUSY : PL_OK;
}

int pl_loop_embed(pl_loop *loop, pl_wake_fn *wake, void *arg)
{
    int checked = check(loop);
    if (checked < 0)
        return checked;
    const pl__proactor_class *type = loop->proactor->type;
    if (loop->embedding)
        return PL_EBUSY;
    if (!type->embed || (!wake && !type->descriptor))
        return PL_ENOTSUP;
    pl__embedding *embedding = pl__allocate_zeroed(sizeof *embedding);
    if (!embedding)
        return PL_ENOMEM;
    *embedding = (pl__embedding){.loop = loop, .wake = wake, .arg = arg};
    int result = type->embed(loop->proactor, wake ? tell : NULL, embedding);
    if (result < 0) {
        pl__release(embedding, sizeof *embedding);
        return result;
    }
    pl__atomic_i64_store_relaxed(&loop->thread, (int64_t)pl__thread_id());
    embedding->again = true; /* whatever was begun before */
    loop->embedding = embedding;
    pl__embedding_rests(loop);
    return PL_OK;
}

int pl_loop_unembed(pl_loop *loop)
{
    int checked = check(loop);
    if (checked < 0)
        return checked;
    if (!loop->embedding)
        return PL_ESTATE;
    pl__embedding_end(loop);
    return PL_OK;
}

int64_t pl_loop_next_deadline(pl_loop *loop)
{
    if (!loop || loop->closed)
        return loop ? PL_ECLOSED : PL_EINVAL;
    int checked = pl__loop_check_thread(loop);
    if (checked < 0)
        return checked;
    if (!pl__list_is_empty(&loop->ready) || pl__remote_has_calls(loop->remote))
        return pl__loop_now(loop);
    return pl__timer_heap_first(&loop->timers);
}

int pl_loop_backend_fd(const pl_loop *loop)
{
    if (!loop || loop->closed)
        return loop ? PL_ECLOSED : PL_EINVAL;
    const pl__proactor_class *type = loop->proactor->type;
    return type->descriptor ? type->descriptor(loop->proactor) : PL_ENOTSUP;
}
