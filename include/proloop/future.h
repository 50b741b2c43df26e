/* proloop/future.h: a result that is not there yet.
 *
 * Every wait of the library is on a future: a task, an operation, a sleep are waited for by theirs. A future becomes
 * done once: with a result (>= 0), a pointer, an error (PL_E...), or by being cancelled. Its callbacks and waiters
 * then go through the loop's ready queue, in the order they came, never inline.
 *
 * A future is of its loop's thread alone. The ones made here are counted; one that is let go with an error that nobody
 * looked at is reported to the loop's exception handler.
 */
#ifndef PROLOOP_FUTURE_H
#define PROLOOP_FUTURE_H

#include <proloop/base.h>
#include <proloop/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pl_future_state {
    PL_PENDING = 0,
    PL_FINISHED = 1, /* a result, a pointer or an error */
    PL_CANCELLED = 2
};

/** Makes a future with one reference. @param loop  NULL: the running loop. @return PL_OK, PL_ENOMEM, PL_ENOLOOP,
 *  PL_EINVAL, PL_ECLOSED, PL_ETHREAD. */
#define pl_future_create(...) pl_future_create_here(__VA_ARGS__, PL_HERE)
PL_API int pl_future_create_here(pl_future **future, pl_loop *loop, const char *where);

/** Counted futures and futures of tasks only; the future of an operation lives in it. */
PL_API pl_future *pl_future_ref(pl_future *future);
PL_API void pl_future_unref(pl_future *future);

/** Makes it done. PL_ECANCELED as an error makes it cancelled, so that the result of a wait can be passed on as it
 *  is.
 *  @return PL_OK; PL_EINVAL: the result is negative, or the error is not; PL_ESTATE: it is done already, or it
 *  belongs to a task or an operation. */
PL_API int pl_future_set_result(pl_future *future, int64_t result);
PL_API int pl_future_set_error(pl_future *future, int64_t error);

/** Makes it done with a pointer; pl_await and pl_future_result give 0. @param drop  gets the pointer if nobody takes
 *  it (and at once if this call fails); may be NULL. */
PL_API int pl_future_set_pointer(pl_future *future, void *pointer, pl_drop_fn *drop);

/** The pointer, which is the caller's from now on; NULL: there is none, or it was taken. */
PL_API void *pl_future_take_pointer(pl_future *future);

/** Cancels it. A plain future: at once, its waiters get PL_ECANCELED. One of a task or an operation: a request, its
 *  end is the answer. @return 1: cancelled, or asked for; 0: it was done already. */
PL_API int pl_future_cancel(pl_future *future);

/** The same with a message that says why, which goes with the cancel to whoever it reaches. A string constant: it is
 *  kept as a pointer. */
PL_API int pl_future_cancel_with(pl_future *future, const char *message);

/** The message with which the future was cancelled; NULL: none, or it was not. */
PL_API const char *pl_future_cancel_message(const pl_future *future);

/** enum pl_future_state. */
PL_API int pl_future_state(const pl_future *future);

/** The result of a future that is done: >= 0 or PL_E... (PL_ECANCELED if cancelled); PL_ESTATE: it is pending. */
PL_API int64_t pl_future_result(pl_future *future);

/** Calls fn(arg) through the ready queue when the future is done (if it is already: in the next iteration).
 *  `callback` is the caller's memory, zeroed; pl_callback_cancel takes it back. It runs in a copy of the present
 *  context, or the one set for it (pl_callback_set_context).
 *  @return PL_OK; PL_EBUSY: the callback is in use, or the future is an operation's and has a waiter; PL_ESTATE: the
 *  future of an operation that was never started; PL_EINVAL, PL_ECLOSED: its loop is closed, PL_ETHREAD. A future that is
 *  let go while pending, or at its loop's close, forgets its callbacks: they are not called, and their owners' again. */
#define pl_future_add_done_callback(...) pl_future_add_done_callback_here(__VA_ARGS__, PL_HERE)
PL_API int pl_future_add_done_callback_here(pl_future *future, pl_callback *callback, pl_callback_fn *fn, void *arg,
                                            const char *where);

#ifdef __cplusplus
}
#endif

#endif
