/* Tasks, from the inside.
 *
 * A task is a future with a function, and a fiber once it has begun. It goes on when its `wake` callback comes to run: at
 * the start, when the future it waits for is done, or in turn after a yield. While it runs, loop->current is it.
 *
 * What cancels it: `must_cancel`, the edge, consumed by the wait that returns PL_ECANCELED; and the levels, its own
 * (`cancelled`: its group, its runner or its loop is ending) and those of its scopes, which stay. A wait that is under
 * way when a cancel comes has the cancel passed on to its future, and ends when that does.
 */
#ifndef PROLOOP_SRC_TASK_H
#define PROLOOP_SRC_TASK_H

#include <proloop/task.h>

#include "fiber.h"
#include "future.h"
#include "scope.h"

typedef struct pl__group pl__group;

enum { PL__TASK_NAME_SIZE = 32 };

/* After so many waits that a level ended, a task is reported as one that does not end. */
enum { PL__CANCELS_IGNORED = 1000 };

struct pl_task {
    pl_future future; /* the first member */
    pl__node node;    /* the loop's tasks, until it is done */
    pl__callback wake;
    pl__fiber *fiber; /* NULL: not begun, or ended */
    pl_task_fn *fn;
    void *arg;
    pl_drop_fn *drop;
    size_t stack_size;
    pl_future *waiting_for;  /* while suspended in a wait for a future */
    pl__scope *scope;        /* the innermost open one, */
    const char *scope_where; /* where it began: a scope in a frame that was left cannot be asked any more, */
    uint8_t scope_kind;      /* nor for this */
    pl__list operations;     /* in flight, in memory of its stack */
    pl__list locks;          /* pl__lock, that it took and nobody released; in debug mode only */
    pl__group *group;        /* NULL: none */
    pl__node group_node;
    pl__node search_node; /* in a search for a circle of waits */
    pl_task *outer;       /* the task that runs an eager one's first step */
    uint32_t cancelling;
    uint32_t budget;          /* waits without a suspension that are left in this step */
    uint32_t cancels_ignored; /* waits that the present level ended */
    bool must_cancel;         /* an edge is to be delivered */
    bool edge_passed_on;      /* an edge went to the future it waits for */
    bool cancelled;           /* the level of the task as a whole */
    bool running;
    const char *cancel_message; /* of the edge to be delivered */
    const char *message;        /* of the cancel that was delivered last */
    pl__bindings bindings;      /* the context it runs in */
    uint64_t number;
    char name[PL__TASK_NAME_SIZE]; /* empty until somebody asks, unless given */
};

static inline pl_task *pl__task_of_future(pl_future *future)
{
    return PL__CONTAINER_OF(future, pl_task, future);
}

/* The task that this is the future of; NULL: none. */
const pl_task *pl__task_if_future(const pl_future *future);

/* pl_spawn for a group's child; the argument is not dropped if it fails. */
int pl__task_spawn(pl_task **task, pl_task_fn *fn, void *arg, const pl_task_options *options, pl__group *group,
                   const char *where);

/* Cancels the whole of it, as a level. */
void pl__task_cancel_whole(pl_task *task);

/* A scope of it was cancelled (NULL: the whole of it): passes that on to the future it waits for, unless a shielded scope
 * lies between. */
void pl__task_interrupt(pl_task *task, const pl__scope *cancelled);

/* Whether a wait here would be cancelled: by the edge or by a level that no shielded scope hides. */
bool pl__task_is_cancelled(const pl_task *task);
bool pl__task_is_cancelled_by_level(const pl_task *task);

/* Whether it is in a shielded region: what cancels it from outside waits. */
bool pl__task_is_shielded(const pl_task *task);

/* Suspends the running task until the future is done. The future is pending and not busy. */
void pl__task_wait(pl_task *task, pl_future *future);

/* As the first thing of a task call: PL_OK; PL_ENOTASK; PL_ECANCELED (delivered, after a turn of the ready queue). */
int pl__task_checkpoint(void);

/* As the first thing of a task call that may have no need to wait: a checkpoint that also makes a task give way that has
 * had very many such calls in one step. */
int pl__task_call_begin(void);

/* Waits for a future of the running task's loop, which is pending and not busy, and takes its result. PL_ECANCELED, and
 * the future may be done all the same, if the task was cancelled: what the future stood for is to be undone then. */
int64_t pl__task_wait_for(pl_task *task, pl_future *future);

/* In a call that has its result without waiting: makes a task give way that has had very many of those in one step. */
void pl__task_count_result(pl_task *task);

/* Finds the tasks that cannot go on before `task` ends, itself included; they are dependents until they are forgotten,
 * which is to happen before anything else does. */
void pl__task_find_dependents(pl_task *task, pl__list *found);
void pl__task_forget_dependents(pl__list *found);

/* Whether each task of the loop, up to this number, ignores its cancel, or waits for one that does. */
bool pl__tasks_are_hopeless(const pl_loop *loop, uint64_t number);

/* Whether a search is worth it: no task depends on others that neither waits nor has a group. */
bool pl__task_may_be_dependent(const pl_future *future);

/* Whether it is the future of a dependent. */
bool pl__task_is_dependent(const pl_future *future);

/* The task whose next step this callback is; NULL: it is no task's. */
pl_task *pl__task_of_step(const pl__callback *callback);

/* The task that waits by this callback, directly or for several futures; NULL: none. */
pl_task *pl__task_of_wake(const pl__callback *callback);

/* The task that runs in this thread's running loop; NULL: none. */
pl_task *pl__task_running(void);

/* Frees those kept for reuse. */
void pl__tasks_destroy(pl_loop *loop);

#endif
