/* proloop/task.h: tasks, and the scopes that bound them.
 *
 * A task is a function with a stack of its own. It runs until it waits for something (pl_await and every "task call");
 * then the loop runs others, and goes on with it when what it waits for is done. Straight-line C, no callbacks; between
 * two waits nothing else runs.
 *
 * Cancelling is a request to end. pl_task_cancel is an edge, as in asyncio: the wait in which the task is, or its next
 * one, returns PL_ECANCELED, once. The cancel of a *scope* (a timeout that ran out, a group, the end of pl_run or of the
 * loop) is a level: every wait inside it returns PL_ECANCELED until the scope ends, except in a shielded region.
 *
 * Waiting for something that is done already gives its result all the same, in a cancelled scope too.
 *
 * Scopes are structs on the task's stack, zeroed before begin (`pl_group clients = {0};`), open until end. They end last
 * in first out, in the task that began them; a task that returns with an open scope, or with an operation of its stack in
 * flight, stops the program with a message that says where that began.
 */
#ifndef PROLOOP_TASK_H
#define PROLOOP_TASK_H

#include <proloop/base.h>
#include <proloop/future.h>
#include <proloop/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A task's function: >= 0 a result, negative an error. PL_ECANCELED as a result makes the task cancelled. */
typedef int64_t pl_task_fn(void *arg);

typedef struct pl_task_options {
    size_t size;       /* sizeof(pl_task_options) */
    pl_loop *loop;     /* NULL: the running loop */
    const char *name;  /* copied (31 bytes of it); NULL: "task-7" */
    size_t stack_size; /* bytes; 0: the loop's */
    pl_drop_fn *drop;  /* gets `arg` if the function never runs: the task was cancelled first, or spawning failed */
    int eager;         /* nonzero, from inside a task or callback of the same loop: runs up to its first wait at once */
    pl_context *context; /* it runs in this one; NULL: in a copy of the present one */
} pl_task_options;

/** Makes a task of fn(arg). It first runs in the next iteration. The loop owns it: it ends by itself or with the
 *  loop.
 *  @param task  gets a reference to be given back by pl_task_unref; NULL: none wanted
 *  @return PL_OK; PL_EINVAL, PL_ENOMEM, PL_ENOLOOP, PL_ECLOSED, PL_ETHREAD.   asyncio: create_task. */
#define pl_spawn(...) pl_spawn_here(__VA_ARGS__, PL_HERE)
PL_API int pl_spawn_here(pl_task **task, pl_task_fn *fn, void *arg, const pl_task_options *options, const char *where);

PL_API pl_task *pl_task_ref(pl_task *task);
/** NULL is allowed. A task that failed and was never awaited is reported when its last reference goes. */
PL_API void pl_task_unref(pl_task *task);

/** The future of its result: to await, to add callbacks to. Lives as long as the task. */
PL_API pl_future *pl_task_future(pl_task *task);

/** The task that runs now; NULL in a callback and outside a loop. */
PL_API pl_task *pl_task_current(void);

PL_API const char *pl_task_name(const pl_task *task);
PL_API pl_loop *pl_task_loop(const pl_task *task);

/** Gives it another name (31 bytes of it). PL_EINVAL. */
PL_API int pl_task_set_name(pl_task *task, const char *name);

/** Where it was spawned, "file.c:12". */
PL_API const char *pl_task_where(const pl_task *task);

/** The most of its stack that was ever in use, in bytes, whole pages; a stack is used by one task after another, and
 *  this counts them all. 0: it has no stack, before its first step and after its last. Asks the system: for reports. */
PL_API size_t pl_task_stack_used(const pl_task *task);

/** The tasks of the loop that are not done, in the order in which they were made.
 *  @param tasks  gets a reference to each of the first `capacity` ones, to be given back by pl_task_unref; may be NULL
 *  if `capacity` is 0
 *  @return how many there are, also beyond the capacity; 0: none, or no such loop.   asyncio: all_tasks. */
PL_API size_t pl_all_tasks(pl_loop *loop, pl_task **tasks, size_t capacity);

/** Waits for a future. Suspends the task, unless the future is done. Cancelling the task cancels the future; a plain
 *  one ends at once, a task or an operation when it has ended.
 *  @return its result; PL_ECANCELED; PL_ENOTASK outside a task; PL_EINVAL: a future of another loop; PL_EDEADLOCK:
 *  its own task, or one that waits for it, as for the children of a group; PL_EBUSY: an operation's future that has
 *  a waiter; PL_ESTATE: that of one that was never started. An error that a cancel came before is not seen by this
 *  task. asyncio: await. */
PL_API int64_t pl_await(pl_future *future);

/** pl_await(pl_task_future(task)). */
PL_API int64_t pl_task_await(pl_task *task);

/** Waits. <= 0: gives way once. Task call. @return PL_OK, PL_ECANCELED, PL_ENOTASK, PL_ENOMEM.   asyncio: sleep. */
PL_API int pl_sleep(pl_duration delay);
PL_API int pl_sleep_until(pl_duration deadline);

/** Gives way: what is ready now runs first. Task call. @return PL_OK, PL_ECANCELED, PL_ENOTASK. */
PL_API int pl_yield(void);

/** Asks a task to end: its wait, or its next one, returns PL_ECANCELED, once. A task that has not run yet never
 *  runs, and drops its argument. A task may go on after it. @return 1: asked; 0: it is done.   asyncio: Task.cancel. */
PL_API int pl_task_cancel(pl_task *task);

/** The same with a message that says why: a string constant, kept as a pointer. It goes on to what the task waits for,
 *  and to those who wait for the task if it ends cancelled.   asyncio: Task.cancel(msg). */
PL_API int pl_task_cancel_with(pl_task *task, const char *message);

/** The message of the cancel that the present task last got as PL_ECANCELED; NULL: it had none.
 *  asyncio: CancelledError.args. */
PL_API const char *pl_cancel_message(void);

/** How many cancels were asked for and not taken back; and takes one back (@return how many remain). asyncio:
 *  Task.cancelling, Task.uncancel. */
PL_API int pl_task_cancelling(const pl_task *task);
PL_API int pl_task_uncancel(pl_task *task);

/** PL_ECANCELED if a wait here would return it now; else PL_OK. Does not suspend. For long computations. */
PL_API int pl_check_cancelled(void);

/* --- Timeout ------------------------------------------------------------------------------------------------------ */

/** A time limit for a part of a task. Caller-owned, on the task's stack. */
typedef struct pl_timeout {
    union {
        uint64_t space[40];
        void *align;
    } opaque;
} pl_timeout;

/** Begins a scope that is cancelled after `limit` (PL_FOREVER: never; <= 0: at its first wait). Scopes nest.
 *  @return PL_OK; PL_ENOTASK, PL_EBUSY (begun already), PL_ENOMEM: then nothing was begun.   asyncio: timeout(). */
#define pl_timeout_begin(...) pl_timeout_begin_here(__VA_ARGS__, PL_HERE)
PL_API int pl_timeout_begin_here(pl_timeout *timeout, pl_duration limit, const char *where);

/** The same for a point on the loop's clock.   asyncio: timeout_at(). */
#define pl_timeout_begin_at(...) pl_timeout_begin_at_here(__VA_ARGS__, PL_HERE)
PL_API int pl_timeout_begin_at_here(pl_timeout *timeout, pl_duration deadline, const char *where);

/** Moves the limit, counted from now; also from other tasks and callbacks of the loop. PL_ESTATE: it has run out, or
 *  was not begun. */
PL_API int pl_timeout_reschedule(pl_timeout *timeout, pl_duration limit);

/** Nonzero: the limit has run out. */
PL_API int pl_timeout_expired(const pl_timeout *timeout);

/** Ends the scope. @param result  what its body ended with.
 *  @return PL_ETIMEDOUT if the result is PL_ECANCELED because of this limit; else the result itself. */
PL_API int64_t pl_timeout_end(pl_timeout *timeout, int64_t result);

/* --- Shielded region ---------------------------------------------------------------------------------------------- */

/** A part of a task that no cancel from outside interrupts: for cleaning up. What was asked for meanwhile comes at
 *  the first wait after it. Bound it by a timeout inside. Caller-owned, on the task's stack. */
typedef struct pl_shielded {
    union {
        uint64_t space[16];
        void *align;
    } opaque;
} pl_shielded;

#define pl_shielded_begin(...) pl_shielded_begin_here(__VA_ARGS__, PL_HERE)
PL_API int pl_shielded_begin_here(pl_shielded *shielded, const char *where);
PL_API void pl_shielded_end(pl_shielded *shielded);

/* --- Group -------------------------------------------------------------------------------------------------------- */

/** A scope for child tasks: it does not end before they have. A cancel of the task that began it reaches the
 *  children when it waits in pl_group_end, not before: the body decides what becomes of them. Caller-owned, on the
 *  task's stack. asyncio: TaskGroup; Trio: nursery. */
typedef struct pl_group {
    union {
        uint64_t space[40];
        void *align;
    } opaque;
} pl_group;

enum pl_group_flag {
    PL_GROUP_FAIL_FAST = 0, /* a child's error cancels the others and the body */
    PL_GROUP_SUPERVISE = 1  /* a child's error is reported to the exception handler and cancels nobody */
};

/** Begins a group. @return PL_OK; PL_ENOTASK, PL_EBUSY (begun already), PL_EINVAL. */
#define pl_group_begin(...) pl_group_begin_here(__VA_ARGS__, PL_HERE)
PL_API int pl_group_begin_here(pl_group *group, int flags, const char *where);

/** Starts a child. From the body, from its children, and from callbacks of the loop.
 *  @param drop  gets `arg` if the function never runs, and if this call fails; may be NULL
 *  @return PL_OK; PL_ECANCELED: the group is being cancelled; PL_ESTATE: it was not begun or has ended; PL_ENOMEM. */
#define pl_group_spawn(...) pl_group_spawn_here(__VA_ARGS__, PL_HERE)
PL_API int pl_group_spawn_here(pl_group *group, pl_task_fn *fn, void *arg, pl_drop_fn *drop, const char *where);

/** The same with options and a reference to the child; `options->drop` is its drop function. */
#define pl_group_spawn_task(...) pl_group_spawn_task_here(__VA_ARGS__, PL_HERE)
PL_API int pl_group_spawn_task_here(pl_group *group, pl_task **task, pl_task_fn *fn, void *arg,
                                    const pl_task_options *options, const char *where);

/** An error that a group came to its end with. */
typedef struct pl_group_error {
    int64_t error;     /* PL_E... */
    char task[32];     /* the child's name; "" for the error of the body */
    const char *where; /* where the child was spawned, or the group begun */
} pl_group_error;

/** Where the errors of the body and of the children are to be written: the body's first, then the children's in the
 *  order in which they ended. Without it, and beyond `capacity`, those that pl_group_end does not return are reported to
 *  the exception handler. Of an open group. The memory is the caller's and is written to until pl_group_end returns.
 *  @return PL_OK; PL_EINVAL; PL_ESTATE: it was not begun or has ended, or has an error already.
 *  asyncio: BaseExceptionGroup. */
PL_API int pl_group_collect(pl_group *group, pl_group_error *errors, size_t capacity);

/** How many errors there were, those beyond the capacity included. Also after the end. */
PL_API size_t pl_group_error_count(const pl_group *group);

/** How many children have not ended. */
PL_API size_t pl_group_size(const pl_group *group);

/** Cancels the children and the body, as a level. May be called again, and before or while the group ends; harmless
 *  once it has. The group then ends without PL_ECANCELED on its account. */
PL_API void pl_group_cancel(pl_group *group);

/** Waits for every child, those included that are added meanwhile; then ends the scope. Task call.
 *  @param result  what the body ended with; an error of the body cancels the children, of a supervising group too
 *  @return the error of the body; else the first one of a child; else PL_ECANCELED if the task was cancelled from outside; else, if
 *  the body's PL_ECANCELED was this group's own cancel, PL_OK; else `result`. */
PL_API int64_t pl_group_end(pl_group *group, int64_t result);

#ifdef __cplusplus
}
#endif

#endif
