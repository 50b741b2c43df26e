/* Shared futures, and how their completion crosses to a loop: see shared_future.h. */
#include "shared_future.h"

#include "allocator.h"
#include "future.h"
#include "loop.h"
#include "task.h"
#include "timer.h"

static bool plain_cancel(pl_shared_future *shared);

static const pl__shared_type plain_type = {
    .size = sizeof(pl_shared_future), .cancel = plain_cancel, .set_by_users = true};

void pl__shared_init(pl_shared_future *shared, const pl__shared_type *type, const char *where)
{
    *shared = (pl_shared_future){.type = type, .where = where, .state = PL_PENDING};
    pl__atomic_u32_store_relaxed(&shared->references, 1);
    pl__mutex_init(&shared->mutex);
    pl__condition_init(&shared->done);
    pl__list_init(&shared->watchers);
}

static void destroy(pl_shared_future *shared)
{
    PL__CHECK(pl__list_is_empty(&shared->watchers));
    if (!shared->retrieved && shared->state == PL_FINISHED && shared->result < 0)
        pl__loop_report(pl_loop_running(), "the error of a shared future was never looked at", shared->result, 0, NULL,
                        shared->where);
    if (shared->pointer && shared->drop)
        shared->drop(shared->pointer);
    if (shared->type->clear)
        shared->type->clear(shared);
    pl__condition_destroy(&shared->done);
    pl__mutex_destroy(&shared->mutex);
    pl__release(shared, shared->type->size);
}

/* --- Becoming done ------------------------------------------------------------------------------------------------ */

static void tell(pl__shared_watcher *watcher);

/* With a pointer or without one. */
static bool finish(pl_shared_future *shared, int64_t result, void *pointer, pl_drop_fn *drop)
{
    pl__list watchers;
    pl__list_init(&watchers);
    pl__mutex_lock(&shared->mutex);
    bool first = shared->state == PL_PENDING;
    if (first) {
        shared->state = result == PL_ECANCELED ? PL_CANCELLED : PL_FINISHED;
        shared->result = result;
        shared->pointer = pointer;
        shared->drop = drop;
        pl__list_move_all(&shared->watchers, &watchers);
        for (pl__node *node = watchers.head.next; node != &watchers.head; node = node->next)
            PL__CONTAINER_OF(node, pl__shared_watcher, node)->crossing = true;
        pl__condition_broadcast(&shared->done);
    }
    pl__mutex_unlock(&shared->mutex);
    for (pl__node *node; (node = pl__list_pop_front(&watchers));)
        tell(PL__CONTAINER_OF(node, pl__shared_watcher, node));
    return first;
}

bool pl__shared_finish(pl_shared_future *shared, int64_t result)
{
    return finish(shared, result, NULL, NULL);
}

static bool plain_cancel(pl_shared_future *shared)
{
    return pl__shared_finish(shared, PL_ECANCELED);
}

/* --- Watchers ----------------------------------------------------------------------------------------------------- */

static void watcher_told(void *arg)
{
    pl__shared_watcher *watcher = arg;
    watcher->told(watcher);
}

static void watcher_unheard(void *arg)
{
    pl__shared_watcher *watcher = arg;
    watcher->unheard(watcher);
}

/* Once the post has gone out the watcher may be gone too; its reference to the remote is ours. */
static void tell(pl__shared_watcher *watcher)
{
    pl_remote *remote = watcher->remote;
    if (pl__remote_post(remote, &watcher->call) < 0)
        watcher->unheard(watcher);
    pl_remote_unref(remote);
}

bool pl__shared_watch(pl_shared_future *shared, pl__shared_watcher *watcher, pl_loop *loop)
{
    watcher->call = (pl__call){.fn = watcher_told, .arg = watcher, .drop = watcher_unheard, .embedded = true};
    watcher->remote = pl_remote_ref(loop->remote);
    pl__mutex_lock(&shared->mutex);
    bool pending = shared->state == PL_PENDING;
    watcher->crossing = !pending;
    if (pending)
        pl__list_push_back(&shared->watchers, &watcher->node);
    pl__mutex_unlock(&shared->mutex);
    if (!pending)
        pl_remote_unref(watcher->remote);
    return pending;
}

bool pl__shared_unwatch(pl_shared_future *shared, pl__shared_watcher *watcher)
{
    pl__mutex_lock(&shared->mutex);
    bool crossing = watcher->crossing;
    if (!crossing)
        pl__node_unlink(&watcher->node);
    pl__mutex_unlock(&shared->mutex);
    if (!crossing)
        pl_remote_unref(watcher->remote);
    return !crossing;
}

/* --- Public ------------------------------------------------------------------------------------------------------- */

int pl_shared_future_create_here(pl_shared_future **shared, const char *where)
{
    if (!shared)
        return PL_EINVAL;
    *shared = pl__allocate(sizeof **shared);
    if (!*shared)
        return PL_ENOMEM;
    pl__shared_init(*shared, &plain_type, where);
    return PL_OK;
}

pl_shared_future *pl_shared_future_ref(pl_shared_future *shared)
{
    if (shared)
        PL__CHECK(pl__atomic_u32_add(&shared->references, 1) > 0);
    return shared;
}

void pl_shared_future_unref(pl_shared_future *shared)
{
    if (!shared)
        return;
    uint32_t before = pl__atomic_u32_add(&shared->references, UINT32_MAX);
    PL__CHECK(before > 0);
    if (before == 1)
        destroy(shared);
}

/* Only plain ones are made done by their users. */
static int settle(pl_shared_future *shared, int64_t result, void *pointer, pl_drop_fn *drop)
{
    return shared->type->set_by_users && finish(shared, result, pointer, drop) ? PL_OK : PL_ESTATE;
}

int pl_shared_future_set_result(pl_shared_future *shared, int64_t result)
{
    return shared && result >= 0 ? settle(shared, result, NULL, NULL) : PL_EINVAL;
}

int pl_shared_future_set_error(pl_shared_future *shared, int64_t error)
{
    return shared && error < 0 ? settle(shared, error, NULL, NULL) : PL_EINVAL;
}

int pl_shared_future_set_pointer(pl_shared_future *shared, void *pointer, pl_drop_fn *drop)
{
    int settled = shared ? settle(shared, 0, pointer, drop) : PL_EINVAL;
    if (settled < 0 && drop)
        drop(pointer);
    return settled;
}

static void *take_pointer(pl_shared_future *shared, pl_drop_fn **drop)
{
    pl__mutex_lock(&shared->mutex);
    void *pointer = shared->pointer;
    *drop = shared->drop;
    shared->pointer = NULL;
    pl__mutex_unlock(&shared->mutex);
    return pointer;
}

void *pl_shared_future_take_pointer(pl_shared_future *shared)
{
    pl_drop_fn *drop;
    return shared ? take_pointer(shared, &drop) : NULL;
}

int pl_shared_future_state(pl_shared_future *shared)
{
    if (!shared)
        return PL_EINVAL;
    pl__mutex_lock(&shared->mutex);
    int state = shared->state;
    pl__mutex_unlock(&shared->mutex);
    return state;
}

int pl_shared_future_cancel(pl_shared_future *shared)
{
    return shared && pl_shared_future_state(shared) == PL_PENDING && shared->type->cancel(shared);
}

/* With the mutex held. PL_ESTATE: pending. */
static int64_t look_at_result(pl_shared_future *shared)
{
    if (shared->state == PL_PENDING)
        return PL_ESTATE;
    shared->retrieved = true;
    return shared->result;
}

int64_t pl_shared_future_result(pl_shared_future *shared)
{
    if (!shared)
        return PL_EINVAL;
    pl__mutex_lock(&shared->mutex);
    int64_t result = look_at_result(shared);
    pl__mutex_unlock(&shared->mutex);
    return result;
}

int64_t pl_shared_future_wait(pl_shared_future *shared, pl_duration limit)
{
    if (!shared)
        return PL_EINVAL;
    if (pl_loop_running())
        return PL_ESTATE;
    int64_t deadline = pl__deadline_after(pl__clock_now(), limit);
    pl__mutex_lock(&shared->mutex);
    while (shared->state == PL_PENDING) {
        int64_t left = deadline == PL_FOREVER ? PL_FOREVER : deadline - pl__clock_now();
        if (left <= 0)
            break;
        (void)pl__condition_wait_for(&shared->done, &shared->mutex, left);
    }
    int64_t result = shared->state == PL_PENDING ? PL_ETIMEDOUT : look_at_result(shared);
    pl__mutex_unlock(&shared->mutex);
    return result;
}

/* --- Awaiting ----------------------------------------------------------------------------------------------------- */

/* On the stack of the task. */
typedef struct await {
    pl_future future;
    pl__shared_watcher watcher;
    pl_shared_future *shared;
} await;

static bool await_cancel(pl_future *future)
{
    (void)pl_shared_future_cancel(PL__CONTAINER_OF(future, await, future)->shared);
    return true; /* it was told, or will be */
}

/* The end cannot be undone, so a task that was cancelled meanwhile gets it all the same. */
static const pl__future_type await_type = {
    .name = "shared future", .cancel = await_cancel, .one_waiter = true, .keeps_result = true};

static void await_told(pl__shared_watcher *watcher)
{
    await *self = PL__CONTAINER_OF(watcher, await, watcher);
    pl__future_finish(&self->future, pl_shared_future_result(self->shared));
}

/* Its task was left behind with its stack. */
static void await_unheard(pl__shared_watcher *watcher)
{
    PL__UNUSED(watcher);
}

int64_t pl_shared_future_await(pl_shared_future *shared)
{
    pl_task *task = pl__task_running();
    if (!shared)
        return PL_EINVAL;
    if (!task)
        return PL_ENOTASK;
    await self = {.shared = pl_shared_future_ref(shared), .watcher = {.told = await_told, .unheard = await_unheard}};
    pl__future_init(&self.future, &await_type, task->future.loop);
    if (!pl__shared_watch(shared, &self.watcher, task->future.loop))
        await_told(&self.watcher);
    int64_t result = pl_await(&self.future);
    pl_shared_future_unref(shared);
    return result;
}

/* --- A loop's future that follows a shared one -------------------------------------------------------------------- */

/* Held twice: by the future's references, and by the watcher until it was told. */
typedef struct follower {
    pl_future future;
    pl__shared_watcher watcher;
    pl_shared_future *shared;
    pl__atomic_u32 holders;
} follower;

static bool follower_cancel(pl_future *future);
static void follower_destroy(pl_future *future);

static const pl__future_type follower_type = {
    .cancel = follower_cancel, .destroy = follower_destroy, .keeps_result = true};

static void follower_release(follower *self)
{
    if (pl__atomic_u32_add(&self->holders, UINT32_MAX) > 1)
        return;
    pl_shared_future_unref(self->shared);
    pl__release(self, sizeof *self);
}

static bool follower_cancel(pl_future *future)
{
    follower *self = PL__CONTAINER_OF(future, follower, future);
    (void)pl_shared_future_cancel(self->shared);
    if (pl_shared_future_state(self->shared) != PL_PENDING)
        pl__future_finish(future, PL_ECANCELED);
    return true; /* else its end will answer */
}

static void follower_finish(follower *self)
{
    pl_future *future = &self->future;
    future->pointer = take_pointer(self->shared, &future->drop);
    pl__future_finish(future, pl_shared_future_result(self->shared));
}

static void follower_told(pl__shared_watcher *watcher)
{
    follower *self = PL__CONTAINER_OF(watcher, follower, watcher);
    if (self->future.references > 0 && !pl__future_is_done(&self->future))
        follower_finish(self);
    follower_release(self);
}

static void follower_unheard(pl__shared_watcher *watcher)
{
    follower_release(PL__CONTAINER_OF(watcher, follower, watcher));
}

static void follower_destroy(pl_future *future)
{
    follower *self = PL__CONTAINER_OF(future, follower, future);
    pl_loop *loop = future->loop;
    pl__future_clear(future);
    if (pl__shared_unwatch(self->shared, &self->watcher))
        follower_release(self);
    follower_release(self);
    pl__loop_release(loop);
}

int pl_future_from_shared(pl_future **future, pl_shared_future *shared, pl_loop *loop)
{
    if (future)
        *future = NULL;
    if (!future || !shared)
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    follower *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return PL_ENOMEM;
    self->shared = pl_shared_future_ref(shared);
    self->watcher.told = follower_told;
    self->watcher.unheard = follower_unheard;
    pl__atomic_u32_store_relaxed(&self->holders, 2);
    pl__future_init(&self->future, &follower_type, loop);
    pl__loop_hold(loop);
    *future = &self->future;
    if (!pl__shared_watch(shared, &self->watcher, loop))
        follower_told(&self->watcher);
    return PL_OK;
}

/* --- A task of another thread's loop ------------------------------------------------------------------------------ */

/* Its shared future is referenced by its user, by the task until that has ended, and by a cancel under way. */
typedef struct remote_task {
    pl_shared_future shared;
    pl_remote *remote;
    pl_task_fn *fn;
    void *arg;
    pl_drop_fn *drop;
    pl__call start;
    pl__call cancel;
    bool begun;     /* guarded by the shared future's mutex, as are the next two */
    bool withdrawn; /* cancelled before that */
    bool cancel_posted;
    pl_task *task; /* of the loop's thread, as is the next; NULL: not spawned, or ended */
    pl__loop_end loop_end;
} remote_task;

static bool remote_task_cancel(pl_shared_future *shared);
static int64_t remote_task_main(void *arg);
static void remote_task_never_ran(void *arg);
static void remote_task_left_behind(pl__loop_end *end);

static void remote_task_clear(pl_shared_future *shared);

static const pl__shared_type remote_task_type = {
    .size = sizeof(remote_task), .cancel = remote_task_cancel, .clear = remote_task_clear};

static void remote_task_drop_arg(const remote_task *self)
{
    if (self->drop)
        self->drop(self->arg);
}

/* The task's part is over. */
static void remote_task_end(remote_task *self, int64_t result)
{
    (void)pl__shared_finish(&self->shared, result);
    pl_shared_future_unref(&self->shared);
}

static bool remote_task_begin(remote_task *self)
{
    pl__mutex_lock(&self->shared.mutex);
    self->begun = !self->withdrawn;
    pl__mutex_unlock(&self->shared.mutex);
    return self->begun;
}

/* By the post, on the loop's thread. */
static void remote_task_start(void *arg)
{
    remote_task *self = arg;
    pl_loop *loop = self->remote->loop;
    const pl_task_options options = {.size = sizeof options, .loop = loop, .drop = remote_task_never_ran};
    int result = PL_ECANCELED;
    if (remote_task_begin(self))
        result = pl__task_spawn(&self->task, remote_task_main, self, &options, NULL, self->shared.where);
    if (result < 0) {
        remote_task_drop_arg(self);
        remote_task_end(self, result);
        return;
    }
    self->loop_end.loop_ends = remote_task_left_behind;
    pl__list_push_back(&loop->ends, &self->loop_end.node);
}

/* Instead of that. */
static void remote_task_not_started(void *arg)
{
    remote_task *self = arg;
    remote_task_drop_arg(self);
    remote_task_end(self, PL_ECLOSED);
}

static void remote_task_ended(remote_task *self, int64_t result)
{
    pl_task *task = self->task;
    self->task = NULL;
    task->future.retrieved = true; /* its error is told by the shared future */
    pl__node_unlink(&self->loop_end.node);
    remote_task_end(self, result);
    pl_task_unref(task);
}

static int64_t remote_task_main(void *arg)
{
    remote_task *self = arg;
    const pl_task *task = self->task;
    int64_t result = self->fn(self->arg);
    bool cancelled = task->must_cancel && result >= 0; /* no wait was left to deliver it */
    remote_task_ended(self, cancelled ? PL_ECANCELED : result);
    return result;
}

static void remote_task_never_ran(void *arg)
{
    remote_task *self = arg;
    bool cancelled = self->task->must_cancel || self->task->cancelled;
    remote_task_drop_arg(self);
    remote_task_ended(self, cancelled ? PL_ECANCELED : PL_ENOMEM);
}

/* The task would not end: what it points to stays with it. */
static void remote_task_left_behind(pl__loop_end *end)
{
    (void)pl__shared_finish(&PL__CONTAINER_OF(end, remote_task, loop_end)->shared, PL_ECLOSED);
}

/* By the post, on the loop's thread. */
static void remote_task_cancel_task(void *arg)
{
    remote_task *self = arg;
    (void)pl_task_cancel(self->task);
    pl_shared_future_unref(&self->shared);
}

static void remote_task_cancel_dropped(void *arg)
{
    pl_shared_future_unref(arg);
}

static void remote_task_post_cancel(remote_task *self)
{
    (void)pl_shared_future_ref(&self->shared);
    self->cancel =
        (pl__call){.fn = remote_task_cancel_task, .arg = self, .drop = remote_task_cancel_dropped, .embedded = true};
    if (pl__remote_post(self->remote, &self->cancel) < 0)
        remote_task_cancel_dropped(self);
}

static bool remote_task_cancel(pl_shared_future *shared)
{
    remote_task *self = PL__CONTAINER_OF(shared, remote_task, shared);
    pl__mutex_lock(&shared->mutex);
    bool pending = shared->state == PL_PENDING;
    bool withdrawn = !self->begun;
    bool post = pending && !withdrawn && !self->cancel_posted;
    self->withdrawn = withdrawn;
    self->cancel_posted = self->cancel_posted || post;
    pl__mutex_unlock(&shared->mutex);
    if (withdrawn)
        return pl__shared_finish(shared, PL_ECANCELED);
    if (post)
        remote_task_post_cancel(self);
    return pending;
}

static void remote_task_clear(pl_shared_future *shared)
{
    pl_remote_unref(PL__CONTAINER_OF(shared, remote_task, shared)->remote);
}

static remote_task *remote_task_create(pl_remote *remote, pl_task_fn *fn, void *arg, pl_drop_fn *drop,
                                       const char *where)
{
    remote_task *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return NULL;
    pl__shared_init(&self->shared, &remote_task_type, where);
    self->remote = pl_remote_ref(remote);
    self->fn = fn;
    self->arg = arg;
    self->drop = drop;
    self->start = (pl__call){.fn = remote_task_start, .arg = self, .drop = remote_task_not_started, .embedded = true};
    pl__call_fill(&self->start, where);
    return self;
}

static int run_threadsafe(pl_remote *remote, pl_shared_future **shared, pl_task_fn *fn, void *arg, pl_drop_fn *drop,
                          const char *where)
{
    if (!remote || !fn)
        return PL_EINVAL;
    remote_task *self = remote_task_create(remote, fn, arg, drop, where);
    if (!self)
        return PL_ENOMEM;
    if (shared)
        *shared = pl_shared_future_ref(&self->shared); /* before the post: the task may have ended when it returns */
    int posted = pl__remote_post(remote, &self->start);
    if (posted == PL_OK)
        return PL_OK;
    pl__callback_forget(&self->start.callback);
    if (shared) {
        *shared = NULL;
        pl_shared_future_unref(&self->shared);
    }
    pl_shared_future_unref(&self->shared);
    return posted;
}

int pl_run_threadsafe_here(pl_remote *remote, pl_shared_future **shared, pl_task_fn *fn, void *arg, pl_drop_fn *drop,
                           const char *where)
{
    if (shared)
        *shared = NULL;
    int result = run_threadsafe(remote, shared, fn, arg, drop, where);
    if (result < 0 && drop)
        drop(arg);
    return result;
}
