/* Groups: structured concurrency.
 *
 * A group is a scope of its body and the level of its children: cancelling it makes every wait in both return
 * PL_ECANCELED. Its end is a wait for a future, `idle`, that becomes done with the last child. While the parent waits
 * there its scope is closed, so what cancels that wait comes from outside: it cancels the children, and the wait goes on.
 */
#include "group.h"

#include <stdio.h>
#include <string.h>

#include "debug.h"
#include "loop.h"
#include "task.h"

PL__STATIC_ASSERT(sizeof(struct pl__group) * 4 <= sizeof(pl_group) * 3, "pl_group keeps a quarter to spare");

static bool idle_cancel(pl_future *future);
static void idle_describe(const pl_future *future, pl__text *text);
static const pl__future_type idle_type = {
    .name = "group", .cancel = idle_cancel, .describe = idle_describe, .one_waiter = true, .keeps_result = true};

static void cancel_members(struct pl__group *group)
{
    /* A child that is interrupted does not end before this loop does: it goes through the ready queue. */
    PL__LIST_EACH (node, &group->children)
        pl__task_cancel_whole(PL__CONTAINER_OF(node, pl_task, group_node));
    pl__scope_cancel(&group->scope);
}

/* Cancels children and body. Children may be ending groups of their own, to any depth: those come by a list, not by
 * recursion, which a stack might be too small for. */
static void group_abort(struct pl__group *group)
{
    pl_loop *loop = group->loop;
    if (group->aborting)
        return;
    group->aborting = true;
    pl__list_push_back(&loop->aborts, &group->abort_node);
    if (loop->aborting)
        return; /* a call further up goes on with it */
    loop->aborting = true;
    for (pl__node *node; (node = pl__list_pop_front(&loop->aborts));)
        cancel_members(PL__CONTAINER_OF(node, struct pl__group, abort_node));
    loop->aborting = false;
}

int pl_group_begin_here(pl_group *group, int flags, const char *where)
{
    if (!group || (flags != PL_GROUP_FAIL_FAST && flags != PL_GROUP_SUPERVISE))
        return PL_EINVAL;
    struct pl__group *inner = pl__group_of(group);
    if (inner->state == PL__GROUP_OPEN || inner->state == PL__GROUP_ENDING)
        return PL_EBUSY;
    bool cancel_early = inner->state == PL__GROUP_NONE && inner->cancel_early;
    int opened = pl__scope_open(&inner->scope, PL__SCOPE_GROUP, where);
    if (opened < 0)
        return opened;
    *inner = (struct pl__group){.scope = inner->scope, .flags = flags, .state = PL__GROUP_OPEN};
    inner->parent = inner->scope.task;
    inner->loop = inner->parent->future.loop;
    pl__list_init(&inner->children);
    if (cancel_early)
        group_abort(inner);
    return PL_OK;
}

/* --- Children ----------------------------------------------------------------------------------------------------- */

static int group_spawn(struct pl__group *group, pl_task **task, pl_task_fn *fn, void *arg,
                       const pl_task_options *options, const char *where)
{
    if (group->state != PL__GROUP_OPEN && group->state != PL__GROUP_ENDING)
        return PL_ESTATE;
    int checked = pl__loop_check_thread(group->loop);
    if (checked < 0)
        return checked;
    if (group->state == PL__GROUP_ENDING && group->count == 0)
        return PL_ESTATE; /* it has ended, its parent has just not gone on yet */
    if (group->aborting)
        return PL_ECANCELED;
    pl_task_options with_loop = *options;
    if (with_loop.loop && with_loop.loop != group->loop)
        return PL_EINVAL;
    with_loop.loop = group->loop;
    return pl__task_spawn(task, fn, arg, &with_loop, group, where);
}

int pl_group_spawn_task_here(pl_group *group, pl_task **task, pl_task_fn *fn, void *arg, const pl_task_options *options,
                             const char *where)
{
    static const pl_task_options defaults = {.size = sizeof(pl_task_options)};
    if (task)
        *task = NULL;
    if (!options)
        options = &defaults;
    int spawned = PL_EINVAL;
    if (group && fn && options->size == sizeof *options)
        spawned = group_spawn(pl__group_of(group), task, fn, arg, options, where);
    if (spawned < 0 && options->drop)
        options->drop(arg);
    return spawned;
}

int pl_group_spawn_here(pl_group *group, pl_task_fn *fn, void *arg, pl_drop_fn *drop, const char *where)
{
    const pl_task_options options = {.size = sizeof options, .drop = drop};
    return pl_group_spawn_task_here(group, NULL, fn, arg, &options, where);
}

static void report_uncollected(const struct pl__group *group, const pl_group_error *error)
{
    pl__loop_report(group->loop, "a further task of a group failed", error->error, 0, error->task, error->where);
}

/* Kept to be collected, unless it is what the group's end returns. */
static void child_failed(struct pl__group *group, pl_task *child, int64_t error)
{
    if (group->error_count < group->error_capacity) {
        pl_group_error *place = &group->errors[group->error_count];
        *place = (pl_group_error){.error = error, .where = child->future.where};
        (void)snprintf(place->task, sizeof place->task, "%s", pl_task_name(child));
    } else if (group->first_error < 0 || group->body_error < 0) {
        pl__loop_report(group->loop, "a further task of a group failed", error, 0, pl_task_name(child),
                        child->future.where);
    }
    group->error_count++;
    if (group->first_error == 0)
        group->first_error = error;
    group_abort(group);
}

/* The body's error goes before those of children, also of those that ended earlier. */
static void body_failed(struct pl__group *group, int64_t error)
{
    group->body_error = error;
    size_t kept = group->error_count < group->error_capacity ? group->error_count : group->error_capacity;
    if (group->error_capacity > 0) {
        size_t moved = kept == group->error_capacity ? kept - 1 : kept;
        if (moved < kept)
            report_uncollected(group, &group->errors[moved]);
        memmove(group->errors + 1, group->errors, moved * sizeof *group->errors);
        group->errors[0] = (pl_group_error){.error = error, .where = group->scope.where};
    } else if (group->first_error < 0) {
        pl__loop_report(group->loop, "a task of a group failed, and so did its body", group->first_error, 0, NULL,
                        group->scope.where);
    }
    group->error_count++;
}

void pl__group_child_ended(struct pl__group *group, pl_task *child)
{
    int64_t result = child->future.result;
    PL__CHECK(group->count > 0 && child->group == group);
    pl__node_unlink(&child->group_node);
    group->count--;
    child->group = NULL;
    child->future.retrieved = true;
    if (result < 0 && result != PL_ECANCELED) {
        if (group->flags == PL_GROUP_SUPERVISE) {
            pl__loop_report(group->loop, "a task of a supervising group failed", result, 0, pl_task_name(child),
                            group->scope.where);
        } else {
            child_failed(group, child, result);
        }
    }
    if (group->count == 0 && group->state == PL__GROUP_ENDING)
        pl__future_finish(&group->idle, PL_OK);
}

/* The loop of a group that has ended may be gone. */
static bool refuses(const pl_group *group, const char *function)
{
    const struct pl__group *inner = pl__group_of(group);
    return (inner->state == PL__GROUP_OPEN || inner->state == PL__GROUP_ENDING) &&
           pl__loop_refuses(inner->loop, function);
}

int pl_group_collect(pl_group *group, pl_group_error *errors, size_t capacity)
{
    if (!group || (capacity && !errors))
        return PL_EINVAL;
    struct pl__group *inner = pl__group_of(group);
    int checked = inner->state == PL__GROUP_OPEN ? pl__loop_check_thread(inner->loop) : PL_ESTATE;
    if (checked < 0)
        return checked;
    if (inner->error_count > 0)
        return PL_ESTATE;
    inner->errors = errors;
    inner->error_capacity = capacity;
    return PL_OK;
}

size_t pl_group_error_count(const pl_group *group)
{
    return group && !refuses(group, "pl_group_error_count") ? pl__group_of(group)->error_count : 0;
}

size_t pl_group_size(const pl_group *group)
{
    return group && !refuses(group, "pl_group_size") ? pl__group_of(group)->count : 0;
}

/* --- Ending ------------------------------------------------------------------------------------------------------- */

void pl_group_cancel(pl_group *group)
{
    if (!group)
        return;
    struct pl__group *inner = pl__group_of(group);
    if (inner->state == PL__GROUP_NONE)
        inner->cancel_early = true;
    else if (inner->state != PL__GROUP_ENDED && !pl__loop_refuses(inner->loop, "pl_group_cancel"))
        group_abort(inner);
}

/* The parent is cancelled while it waits for the children. */
static bool idle_cancel(pl_future *future)
{
    struct pl__group *group = PL__CONTAINER_OF(future, struct pl__group, idle);
    group->outer_cancel = true;
    group_abort(group);
    return true;
}

static void idle_describe(const pl_future *future, pl__text *text)
{
    const struct pl__group *group = PL__CONTAINER_OF(future, struct pl__group, idle);
    pl__text_add(text, " of %zu begun at ", group->count);
    pl__text_add_printable(text, group->scope.where);
}

/* `own_cancel`: the group had been cancelled when the body ended. */
static int64_t group_verdict(const struct pl__group *group, int64_t result, bool own_cancel)
{
    if (group->body_error < 0)
        return group->body_error;
    if (group->first_error < 0)
        return group->first_error;
    if (group->outer_cancel)
        return PL_ECANCELED;
    if (result == PL_ECANCELED && own_cancel && pl__scope_explains_cancel(&group->scope))
        return PL_OK;
    return result;
}

int64_t pl_group_end(pl_group *group, int64_t result)
{
    if (!group)
        return PL_EINVAL;
    struct pl__group *inner = pl__group_of(group);
    pl__scope_close(&inner->scope);
    PL__CHECK(inner->state == PL__GROUP_OPEN);
    inner->state = PL__GROUP_ENDING;
    bool own_cancel = inner->scope.cancelled;
    pl_task *task = pl__task_running();
    if (result < 0 && result != PL_ECANCELED)
        body_failed(inner, result);
    if (result < 0)
        group_abort(inner);
    if (inner->count > 0) {
        pl__future_init(&inner->idle, &idle_type, inner->loop);
        pl__task_wait(task, &inner->idle);
        task->edge_passed_on = false;
    }
    /* As in asyncio: a cancel from outside that an error hides comes again at the next wait. */
    if ((inner->body_error < 0 || inner->first_error < 0) && task->cancelling > inner->scope.cancelling)
        task->must_cancel = true;
    PL__CHECK(inner->count == 0);
    if (pl__node_is_linked(&inner->abort_node))
        pl__node_unlink(&inner->abort_node); /* the call further up has nothing to cancel here any more */
    inner->state = PL__GROUP_ENDED;
    return group_verdict(inner, result, own_cancel);
}
