/* proloop/coro.h: coroutine objects: a call not yet made.
 *
 * A function and its argument that can be handed on: awaited in the task that has it, or made a task. Either happens at
 * most once. One that is let go unused is a mistake of the program as a rule: its argument is dropped, and it is reported
 * as never awaited.
 *
 * The object is counted and remains until its last reference is given back; its call is gone with the first use, and each
 * further one gets PL_ESTATE. It belongs to the loop that runs when it is made, and to its thread: what that loop has when
 * it is closed is reported and dropped then. One made while no loop runs belongs to none; its report goes to standard
 * error.
 */
#ifndef PROLOOP_CORO_H
#define PROLOOP_CORO_H

#include <proloop/base.h>
#include <proloop/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_coro pl_coro;

/** Makes one, with one reference.
 *  @param drop  gets `arg` if the call is never made, and if this call fails; may be NULL
 *  @return PL_OK, PL_EINVAL, PL_ENOMEM; PL_ECLOSED: the running loop is at its end.   asyncio: calling an async def. */
#define pl_coro_create(...) pl_coro_create_here(__VA_ARGS__, PL_HERE)
PL_API int pl_coro_create_here(pl_coro **coro, pl_task_fn *fn, void *arg, pl_drop_fn *drop, const char *where);

PL_API pl_coro *pl_coro_ref(pl_coro *coro);
/** NULL is allowed. The last reference to one that was not used: it is reported, then its argument dropped. */
PL_API void pl_coro_unref(pl_coro *coro);

/** Makes the call, in this task.
 *  @return what the function returns; PL_ENOTASK outside a task, PL_ETHREAD: nothing changed; PL_ESTATE: it was used or
 *  closed before.   asyncio: await coro. */
PL_API int64_t pl_coro_await(pl_coro *coro);

/** Makes the call in this task and within a time limit. <= 0: it is not made, but dropped.
 *  @return what the function returns; PL_ETIMEDOUT: it ended with PL_ECANCELED because of the limit, or was dropped;
 *  PL_ECANCELED; PL_ENOMEM: dropped; else as pl_coro_await.   asyncio: wait_for. */
PL_API int64_t pl_coro_wait_for(pl_coro *coro, pl_duration limit);

/** Makes a task of it, as pl_spawn. If that fails the argument is dropped.
 *  @param options  as for pl_spawn; its `drop` is not looked at, the coroutine has its own
 *  @return as pl_spawn; PL_ESTATE: it was used or closed before.   asyncio: create_task. */
PL_API int pl_coro_spawn(pl_task **task, pl_coro *coro, const pl_task_options *options);

/** Drops the call without a report. @return PL_OK, also if it was closed before; PL_ESTATE: the call was made;
 *  PL_ETHREAD.   asyncio: coro.close(). */
PL_API int pl_coro_close(pl_coro *coro);

#ifdef __cplusplus
}
#endif

#endif
