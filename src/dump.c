/* Dumps: see debug.h (the public one) and dump.h.
 *
 * The text is made on the loop's thread, between two callbacks, so nothing in it is in motion: every task is suspended or
 * is the one that asks. Chains are followed to a fixed depth, so circles of waits do no harm.
 */
#include "dump.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "future.h"
#include "group.h"
#include "inquiry.h"
#include "metrics.h"
#include "remote.h"
#include "scope.h"
#include "task.h"

enum {
    PL__CHAIN_DEPTH = 8,
    PL__AWAITERS_SHOWN = 8, /* of one task; the others are counted */
    PL__SCOPES_SHOWN = 16,
    PL__LOOPS_DUMPED = 64
};

static void add_where(pl__text *text, const char *what, const char *where)
{
    pl__text_add(text, "%s", what);
    pl__text_add_printable(text, where);
}

/* --- A task ------------------------------------------------------------------------------------------------------- */

static bool is_waiting(const pl_task *task)
{
    return task->waiting_for && !pl__future_is_done(task->waiting_for);
}

static const char *state_of(const pl_task *task)
{
    if (task->future.loop->current == task)
        return "running";
    if (task->running)
        return "running, and in it another task that it made";
    if (!task->fiber)
        return "not begun";
    return is_waiting(task) ? "waiting for " : "ready";
}

static void add_awaited(pl__text *text, const pl_future *future)
{
    pl__text_add(text, "%s", future->type->name);
    if (future->type->describe)
        future->type->describe(future, text);
    else if (future->where)
        add_where(text, " made at ", future->where);
}

static void add_awaiter(pl__text *text, const pl_task *awaiter, int depth)
{
    pl__text_add(text, "%*sawaited by task ", depth * 2, "");
    pl__text_add_printable(text, pl_task_name(awaiter));
    add_where(text, ", spawned at ", awaiter->future.where);
    pl__text_add(text, "\n");
}

/* An awaiter, and the chain of those that await it in turn. */
static void add_chain(pl__text *text, const pl_task *awaiter)
{
    int depth = 1;
    for (; awaiter && depth <= PL__CHAIN_DEPTH; depth++) {
        add_awaiter(text, awaiter, depth);
        awaiter = pl__debug_awaiter(awaiter);
    }
    if (awaiter)
        pl__text_add(text, "%*s...\n", depth * 2, "");
}

static void add_callback(pl__text *text, const pl__callback *callback)
{
    add_where(text, "  awaited by a callback asked for at ", callback->where);
    pl__text_add(text, "\n");
}

static void add_awaiters(pl__text *text, const pl_task *task)
{
    size_t count = 0;
    PL__LIST_EACH (node, &task->future.callbacks) {
        const pl__callback *callback = PL__CONTAINER_OF(node, pl__callback, node);
        const pl_task *awaiter = pl__task_of_wake(callback);
        if (++count > PL__AWAITERS_SHOWN)
            continue;
        if (awaiter)
            add_chain(text, awaiter);
        else
            add_callback(text, callback);
    }
    if (count > PL__AWAITERS_SHOWN)
        pl__text_add(text, "  and %zu more\n", count - PL__AWAITERS_SHOWN);
    if (!task->group)
        return;
    add_where(text, "  in the group begun at ", task->group->scope.where);
    pl__text_add(text, "\n");
    add_chain(text, task->group->parent);
}

static void add_timeout(pl__text *text, const pl__timeout *timeout)
{
    if (timeout->expired) {
        pl__text_add(text, "timeout that ran out");
    } else if (!pl__timer_is_running(&timeout->timer)) {
        pl__text_add(text, "timeout without a limit");
    } else {
        pl__text_add(text, "timeout, ");
        pl__text_add_duration(text, pl__timer_left(&timeout->timer));
        pl__text_add(text, " left");
    }
}

static void add_scope(pl__text *text, const pl__scope *scope)
{
    pl__text_add(text, "  scope: ");
    if (scope->kind == PL__SCOPE_TIMEOUT)
        add_timeout(text, PL__CONTAINER_OF(scope, pl__timeout, scope));
    else if (scope->kind == PL__SCOPE_GROUP)
        pl__text_add(text, "group of %zu", PL__CONTAINER_OF(scope, struct pl__group, scope)->count);
    else
        pl__text_add(text, "shielded region");
    add_where(text, ", begun at ", scope->where);
    pl__text_add(text, "%s\n", scope->cancelled ? ", cancelled" : "");
}

/* One that is not the task's own any more lay in a frame that was left. */
static void add_scopes(pl__text *text, const pl_task *task)
{
    int shown = 0;
    const pl__scope *scope = task->scope;
    for (; scope && scope->task == task && shown < PL__SCOPES_SHOWN; scope = scope->outer, shown++)
        add_scope(text, scope);
    if (scope)
        pl__text_add(text, "  scope: ...\n");
}

static void add_cancel(pl__text *text, const pl_task *task)
{
    if (task->cancelling)
        pl__text_add(text, "  cancel: asked for %u times\n", (unsigned)task->cancelling);
    if (task->must_cancel)
        pl__text_add(text, "  cancel: to be delivered%s\n",
                     pl__task_is_shielded(task) ? " after the shielded region" : "");
    if (task->cancelled)
        pl__text_add(text, "  cancel: of the whole task, which has gone on %u times\n",
                     (unsigned)task->cancels_ignored);
}

static void add_task(pl__text *text, const pl_task *task)
{
    pl__text_add(text, "task ");
    pl__text_add_printable(text, pl_task_name(task));
    pl__text_add(text, ": %s", state_of(task));
    if (task->fiber && !task->running && is_waiting(task))
        add_awaited(text, task->waiting_for);
    add_where(text, "\n  spawned at ", task->future.where);
    pl__text_add(text, "\n");
    add_awaiters(text, task);
    add_scopes(text, task);
    if (task->fiber)
        pl__text_add(text, "  stack: %zu of %zu bytes used\n", pl_task_stack_used(task),
                     pl__fiber_stack_size(task->fiber));
    add_cancel(text, task);
}

/* --- A loop ------------------------------------------------------------------------------------------------------- */

static int answer_dump(pl__inquiry *inquiry, pl_loop *loop)
{
    pl__text *text = &inquiry->text;
    pl_metrics m;
    pl__metrics_take(loop, &m);
    pl__text_add(text, "loop: backend %s, debug level %u, %llu iterations, %llu callbacks\n",
                 loop->proactor->type->name, (unsigned)loop->debug, (unsigned long long)m.iterations,
                 (unsigned long long)m.callbacks);
    pl__text_add(text,
                 "  %llu tasks, %llu ready, %llu timers, %llu operations in flight, %llu streams, %llu listeners\n",
                 (unsigned long long)m.tasks, (unsigned long long)m.ready, (unsigned long long)m.timers,
                 (unsigned long long)m.in_flight, (unsigned long long)m.streams, (unsigned long long)m.listeners);
    PL__LIST_EACH (node, &loop->tasks) {
        if (!text->failed)
            add_task(text, PL__CONTAINER_OF(node, pl_task, node));
    }
    if (loop->debug > 1 && loop->debugging)
        pl__creations_dump(&loop->debugging->creations, text);
    return text->failed ? PL_ENOMEM : PL_OK;
}

/* What can be said of a loop that does not answer. */
static int describe_stuck(pl_remote *remote, pl__text *text)
{
    pl_loop *loop = pl__remote_enter(remote);
    bool known = loop && loop->debugging;
    pl__execution execution = {.running = false};
    if (known)
        execution = pl__debug_execution(loop->debugging);
    if (loop)
        pl__remote_leave(remote);
    if (!known)
        return PL_OK;
    if (execution.running) {
        pl__text_add(text, "the loop does not answer; for ");
        pl__text_add_duration(text, pl__clock_now() - execution.began);
        pl__text_add(text, " it has been in ");
        pl__text_add_execution(text, &execution);
    } else {
        pl__text_add(text, "the loop does not answer, and is in no callback: it may not be running\n");
    }
    return text->failed ? PL_ENOMEM : PL_OK;
}

int pl_dump(pl_remote *remote, pl_duration limit, pl_write_fn *write, void *arg)
{
    if (!remote || !write)
        return PL_EINVAL;
    pl__inquiry *inquiry;
    int result = pl__inquire(&inquiry, remote, limit, answer_dump);
    pl__text stuck = {.data = NULL};
    if (result == PL_OK)
        write(inquiry->text.data, inquiry->text.size, arg);
    else if (result == PL_ETIMEDOUT && describe_stuck(remote, &stuck) == PL_OK && stuck.size > 0)
        write(stuck.data, stuck.size, arg);
    pl__text_clear(&stuck);
    pl__inquiry_free(inquiry);
    return result;
}

/* --- On demand ---------------------------------------------------------------------------------------------------- */

static pl__list loops = {{&loops.head, &loops.head}}; /* pl__debug */
static size_t watchers;                               /* loops for which the key is watched */
static pl__mutex list_mutex, watch_mutex;             /* of the one and of the other, */
static pl__atomic_u32 mutexes_made;                   /* 0: not yet, 1: somebody is at it, 2: they are */

static void make_mutexes(void)
{
    uint32_t none = 0;
    if (pl__atomic_u32_compare_exchange(&mutexes_made, &none, 1)) {
        pl__mutex_init(&list_mutex);
        pl__mutex_init(&watch_mutex);
        pl__atomic_u32_store(&mutexes_made, 2);
    }
    while (pl__atomic_u32_load(&mutexes_made) != 2)
        pl__thread_yield();
}

int pl__dump_on_demand(pl__debug *debug)
{
    make_mutexes();
    pl__mutex_lock(&watch_mutex);
    int watched = watchers == 0 ? pl__dump_key_watch() : PL_OK;
    if (watched == PL_OK)
        watchers++;
    pl__mutex_unlock(&watch_mutex);
    if (watched < 0)
        return watched;
    pl__mutex_lock(&list_mutex);
    pl__list_push_back(&loops, &debug->node);
    pl__mutex_unlock(&list_mutex);
    return PL_OK;
}

void pl__dump_not_on_demand(pl__debug *debug)
{
    if (!pl__node_is_linked(&debug->node))
        return;
    pl__mutex_lock(&list_mutex);
    pl__node_unlink(&debug->node);
    pl__mutex_unlock(&list_mutex);
    pl__mutex_lock(&watch_mutex);
    if (--watchers == 0)
        pl__dump_key_unwatch(); /* may wait for a dump, which needs the other mutex */
    pl__mutex_unlock(&watch_mutex);
}

void pl__dump_forget(void)
{
    pl__list_init(&loops);
    watchers = 0;
    pl__atomic_u32_store(&mutexes_made, 0);
    pl__dump_key_forget();
}

static void write_to_stderr(const char *text, size_t size, void *arg)
{
    PL__UNUSED(arg);
    (void)fwrite(text, 1, size, stderr);
    (void)fflush(stderr);
}

size_t pl__dump_all(void)
{
    pl_remote *remotes[PL__LOOPS_DUMPED];
    size_t count = 0;
    make_mutexes();
    pl__mutex_lock(&list_mutex);
    PL__LIST_EACH (node, &loops) {
        if (count < PL__LOOPS_DUMPED)
            remotes[count++] = pl_remote_ref(PL__CONTAINER_OF(node, pl__debug, node)->remote);
    }
    pl__mutex_unlock(&list_mutex);
    for (size_t i = 0; i < count; i++) {
        (void)pl_dump(remotes[i], PL_SECONDS(1), write_to_stderr, NULL); /* one that has gone has nothing to say */
        pl_remote_unref(remotes[i]);
    }
    return count;
}
