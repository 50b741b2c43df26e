/* Loops in threads of their own: see loop_thread.h.
 *
 * The thread runs the loop until it is stopped and then closes it, which cancels its tasks. Stopping is a post in memory of
 * the struct itself, sent once, so it cannot fail; whoever joins frees that memory after the thread is gone.
 */
#include <proloop/loop_thread.h>

#include "allocator.h"
#include "atomic.h"
#include "loop.h"
#include "remote.h"
#include "thread.h"

struct pl_loop_thread {
    pl__thread thread;
    pl_loop *loop; /* the thread's own */
    pl_remote *remote;
    pl__call stop;
    pl__atomic_u32 stopped; /* the call was posted */
    int result;             /* once the thread has ended */
};

static void stop_loop(void *arg)
{
    (void)pl_loop_stop(arg);
}

/* A close that left a task behind has freed the loop all the same. */
static int close_loop(pl_loop *loop)
{
    int closed = pl_loop_close(loop);
    return closed == PL_ESTATE ? PL_EBROKEN : closed;
}

static void run_thread(void *arg)
{
    pl_loop_thread *self = arg;
    int ran = pl_loop_run_forever(self->loop);
    int closed = close_loop(self->loop);
    self->result = ran < 0 ? ran : closed;
}

static int loop_thread_init(pl_loop_thread *self, const pl_loop_thread_options *options)
{
    int result = pl__loop_make(&self->loop, options->loop);
    if (result < 0)
        return result;
    self->remote = pl_loop_remote(self->loop);
    self->stop = (pl__call){.fn = stop_loop, .arg = self->loop, .embedded = true};
    result = pl__thread_start(&self->thread, run_thread, self, options->name ? options->name : "proloop loop");
    if (result < 0) {
        pl_remote_unref(self->remote);
        (void)pl_loop_close(self->loop);
    }
    return result;
}

int pl_loop_thread_start(pl_loop_thread **thread, const pl_loop_thread_options *options)
{
    static const pl_loop_thread_options defaults = {.size = sizeof(pl_loop_thread_options)};
    if (!options)
        options = &defaults;
    if (thread)
        *thread = NULL;
    if (!thread || options->size != sizeof *options)
        return PL_EINVAL;
    pl_loop_thread *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return PL_ENOMEM;
    int result = loop_thread_init(self, options);
    if (result < 0) {
        pl__release(self, sizeof *self);
        return result;
    }
    *thread = self;
    return PL_OK;
}

pl_remote *pl_loop_thread_remote(pl_loop_thread *thread)
{
    return thread ? pl_remote_ref(thread->remote) : NULL;
}

int pl_loop_thread_submit_here(pl_loop_thread *thread, pl_shared_future **shared, pl_task_fn *fn, void *arg,
                               pl_drop_fn *drop, const char *where)
{
    return pl_run_threadsafe_here(thread ? thread->remote : NULL, shared, fn, arg, drop, where);
}

int pl_loop_thread_stop(pl_loop_thread *thread)
{
    if (!thread)
        return PL_EINVAL;
    if (pl__atomic_u32_exchange(&thread->stopped, 1) == 0)
        (void)pl__remote_post(thread->remote, &thread->stop); /* refused: it has ended already */
    return PL_OK;
}

int pl_loop_thread_join(pl_loop_thread *thread)
{
    if (!thread)
        return PL_OK;
    if (pl_loop_running())
        return PL_ESTATE;
    pl__thread_join(&thread->thread);
    int result = thread->result;
    pl_remote_unref(thread->remote);
    pl__release(thread, sizeof *thread);
    return result;
}
