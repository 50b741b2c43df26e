/* Questions to a loop: see inquiry.h. */
#include "inquiry.h"

#include "allocator.h"
#include "clock.h"
#include "loop.h"
#include "remote.h"
#include "timer.h"

static pl__inquiry *inquiry_make(pl__answer_fn *answer)
{
    pl__inquiry *inquiry = pl__allocate_zeroed(sizeof *inquiry);
    if (!inquiry)
        return NULL;
    inquiry->answer = answer;
    inquiry->references = 1;
    pl__mutex_init(&inquiry->mutex);
    pl__condition_init(&inquiry->answered);
    return inquiry;
}

static void inquiry_unref(pl__inquiry *inquiry)
{
    pl__mutex_lock(&inquiry->mutex);
    bool last = --inquiry->references == 0;
    pl__mutex_unlock(&inquiry->mutex);
    if (!last)
        return;
    pl__condition_destroy(&inquiry->answered);
    pl__mutex_destroy(&inquiry->mutex);
    pl__text_clear(&inquiry->text);
    pl__release(inquiry, sizeof *inquiry);
}

void pl__inquiry_free(pl__inquiry *inquiry)
{
    if (inquiry)
        inquiry_unref(inquiry);
}

static void settle(pl__inquiry *inquiry, int result)
{
    pl__mutex_lock(&inquiry->mutex);
    PL__CHECK(!inquiry->done);
    inquiry->done = true;
    inquiry->result = result;
    pl__condition_signal(&inquiry->answered);
    pl__mutex_unlock(&inquiry->mutex);
    inquiry_unref(inquiry);
}

/* On the loop's thread, as a callback. */
static void answer_posted(void *arg)
{
    pl__inquiry *inquiry = arg;
    pl__mutex_lock(&inquiry->mutex);
    bool wanted = !inquiry->abandoned;
    pl__mutex_unlock(&inquiry->mutex);
    settle(inquiry, wanted ? inquiry->answer(inquiry, pl_loop_running()) : PL_ECANCELED);
}

static void refuse_posted(void *arg)
{
    settle(arg, PL_ECLOSED);
}

/* A caller that gives up leaves the answer to the loop: from then on it must not look at it. */
static int wait_for_answer(pl__inquiry *inquiry, pl_duration limit)
{
    int64_t deadline = pl__deadline_after(pl__clock_now(), limit);
    pl__mutex_lock(&inquiry->mutex);
    for (;;) {
        int64_t left = deadline == PL_FOREVER ? PL_FOREVER : deadline - pl__clock_now();
        if (inquiry->done || left <= 0)
            break;
        (void)pl__condition_wait_for(&inquiry->answered, &inquiry->mutex, left);
    }
    inquiry->abandoned = !inquiry->done;
    int result = inquiry->done ? inquiry->result : PL_ETIMEDOUT;
    pl__mutex_unlock(&inquiry->mutex);
    return result;
}

static int post_and_wait(pl__inquiry *inquiry, pl_remote *remote, pl_duration limit)
{
    inquiry->references++; /* given back by answer_posted or refuse_posted, which a failure calls too */
    int posted = pl_call_soon_threadsafe_here(remote, answer_posted, inquiry, refuse_posted, NULL);
    return posted < 0 ? posted : wait_for_answer(inquiry, limit);
}

int pl__inquire(pl__inquiry **out, pl_remote *remote, pl_duration limit, pl__answer_fn *answer)
{
    *out = NULL;
    pl_loop *loop = pl__remote_enter(remote);
    if (!loop)
        return PL_ECLOSED;
    bool own = pl__loop_thread(loop) == pl__thread_id();
    pl__remote_leave(remote);
    pl__inquiry *inquiry = inquiry_make(answer);
    if (!inquiry)
        return PL_ENOMEM;
    *out = inquiry;
    return own ? answer(inquiry, loop) : post_and_wait(inquiry, remote, limit);
}
