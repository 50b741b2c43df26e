/* proloop/loop_thread.h: a loop in a thread of its own, beside a program that blocks.
 *
 * For hosts whose main thread is not theirs to give to a loop: a GUI, an interpreter, a program that reads its input line
 * by line. The host starts the thread, hands tasks to it and waits for their results, or does something else meanwhile.
 * There may be several, and their tasks may hand work to one another by their remotes.
 *
 * Ctrl-C stays the host's affair.
 */
#ifndef PROLOOP_LOOP_THREAD_H
#define PROLOOP_LOOP_THREAD_H

#include <proloop/base.h>
#include <proloop/loop.h>
#include <proloop/shared_future.h>
#include <proloop/task.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_loop_thread pl_loop_thread;

typedef struct pl_loop_thread_options {
    size_t size;                 /* sizeof(pl_loop_thread_options) */
    const pl_loop_options *loop; /* NULL: defaults */
    const char *name;            /* of the thread, in debuggers (15 bytes of it); NULL: "proloop loop" */
} pl_loop_thread_options;

/** Makes a loop and a thread that runs it. Any thread. @param options  NULL: defaults
 *  @return PL_OK, PL_EINVAL, PL_ENOMEM, PL_ELIMIT: the system gives no thread; what pl_loop_create returns. */
PL_API int pl_loop_thread_start(pl_loop_thread **thread, const pl_loop_thread_options *options);

/** The loop's remote, with a reference for the caller: for pl_call_soon_threadsafe and pl_run_threadsafe. Any thread. */
PL_API pl_remote *pl_loop_thread_remote(pl_loop_thread *thread);

/** pl_run_threadsafe on its loop: runs fn(arg) there as a task. Any thread. */
#define pl_loop_thread_submit(...) pl_loop_thread_submit_here(__VA_ARGS__, PL_HERE)
PL_API int pl_loop_thread_submit_here(pl_loop_thread *thread, pl_shared_future **shared, pl_task_fn *fn, void *arg,
                                      pl_drop_fn *drop, const char *where);

/** Asks it to end: its tasks are cancelled and may clean up, then its loop is closed. Does not wait. Any thread, tasks of
 *  the loop itself included; may be called again. @return PL_OK, PL_EINVAL. */
PL_API int pl_loop_thread_stop(pl_loop_thread *thread);

/** Waits for its end and frees it: once, by the last who uses it. Asks for nothing: without pl_loop_thread_stop, or
 *  pl_loop_stop in one of its tasks, it waits for ever. NULL: PL_OK.
 *  @return PL_OK; PL_ESTATE, a loop runs in this thread and would stand still: then nothing happened; else what
 *  pl_loop_run_forever or pl_loop_close returned: PL_EBROKEN stands for close's PL_ESTATE, a task would not end. */
PL_API int pl_loop_thread_join(pl_loop_thread *thread);

#ifdef __cplusplus
}
#endif

#endif
