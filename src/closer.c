/* Closers: see closer.h.
 *
 * To run them, their list is moved to the stack of the task that does, and a group gets a child for each. A child takes the
 * first closer that is left, and goes on until none is: so fewer children than closers will do, and those that were taken
 * back meanwhile are just not there.
 */
#include "closer.h"

#include "loop.h"
#include "task.h"

typedef struct pl__closer {
    pl__node node; /* linked: it is to come */
    pl_loop *loop;
    pl_task_fn *fn;
    void *arg;
    const char *where;
} pl__closer;

PL__STATIC_ASSERT(sizeof(pl__closer) * 4 <= sizeof(pl_closer) * 3, "pl_closer keeps a quarter to spare");

static pl__closer *closer_of(pl_closer *closer)
{
    return (pl__closer *)(void *)closer->opaque.space;
}

int pl_loop_add_closer_here(pl_loop *loop, pl_closer *closer, pl_task_fn *fn, void *arg, const char *where)
{
    if (!closer || !fn)
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    pl__closer *inner = closer_of(closer);
    if (pl__node_is_linked(&inner->node))
        return PL_EBUSY;
    if (loop->closers_ended) {
        pl__loop_report(loop, "a closer was added after the closers had run: it will not run", PL_ESTATE, 0, NULL,
                        where);
        return PL_ESTATE;
    }
    *inner = (pl__closer){.loop = loop, .fn = fn, .arg = arg, .where = where};
    pl__list_push_back(&loop->closers, &inner->node);
    return PL_OK;
}

int pl_closer_remove(pl_closer *closer)
{
    if (!closer)
        return 0;
    pl__closer *inner = closer_of(closer);
    if (!pl__node_is_linked(&inner->node))
        return 0;
    int checked = pl__loop_check_thread(inner->loop);
    if (checked < 0)
        return checked;
    pl__node_unlink(&inner->node);
    return 1;
}

/* --- Running them ------------------------------------------------------------------------------------------------- */

static void run_first(pl__list *closers)
{
    pl__node *node = pl__list_pop_front(closers);
    const pl__closer closer = *PL__CONTAINER_OF(node, pl__closer, node); /* its owner may free it from now on */
    int64_t result = closer.fn(closer.arg);
    if (result < 0 && result != PL_ECANCELED)
        pl__loop_report(closer.loop, "a closer failed", result, 0, pl_task_name(pl_task_current()), closer.where);
}

/* A child, or the parent itself if there is no memory for children. */
static int64_t run_those_left(void *arg)
{
    pl__list *closers = arg;
    while (!pl__list_is_empty(closers) && pl_check_cancelled() == PL_OK)
        run_first(closers);
    return PL_OK;
}

static void spawn_one_for_each(pl_group *group, pl__list *closers)
{
    PL__LIST_EACH (node, closers) {
        const char *where = PL__CONTAINER_OF(node, pl__closer, node)->where;
        if (pl_group_spawn_here(group, run_those_left, closers, NULL, where) < 0)
            return;
    }
}

int pl_loop_run_closers(void)
{
    int result = pl__task_checkpoint();
    if (result < 0)
        return result;
    pl_loop *loop = pl_loop_running();
    loop->closers_ended = true;
    pl__list closers;
    pl__list_init(&closers);
    pl__list_move_all(&loop->closers, &closers);
    pl_group group = {{{0}}};
    int begun = pl_group_begin(&group, PL_GROUP_SUPERVISE);
    PL__CHECK(begun == PL_OK);
    spawn_one_for_each(&group, &closers);
    result = (int)pl_group_end(&group, PL_OK);
    if (result == PL_OK)
        (void)run_those_left(&closers);
    if (!pl__list_is_empty(&closers))
        result = PL_ECANCELED;
    pl__list_move_all(&closers, &loop->closers);
    return result;
}

void pl__closers_end(pl_loop *loop)
{
    loop->closers_ended = true;
    for (pl__node *node; (node = pl__list_pop_front(&loop->closers));)
        pl__loop_report(loop, "a closer did not run: its loop was closed first", PL_ECLOSED, 0, NULL,
                        PL__CONTAINER_OF(node, pl__closer, node)->where);
}
