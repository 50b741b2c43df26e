/* proloop/op.h: an operation: one request in flight, and the future of its answer.
 *
 * Every call that waits for the system exists as a task call (pl_read) and as `_start` with a pl_op that the caller
 * owns (pl_read_start): zeroed it is idle, and from start until it is done it must neither move nor be freed, nor may
 * the memory that was lent to it. `_start` returns negative only for misuse (a bad argument, a busy reader, what was
 * closed or shut down already), and then nothing has changed; every
 * failure at run time, an immediate one too, arrives by the operation's future. An operation may be started again, or
 * freed, in its own callback.
 *
 *     pl_op op = {0};
 *     pl_read_start(&op, stream, data, sizeof data);
 *     ...
 *     n = pl_await(pl_op_future(&op));
 */
#ifndef PROLOOP_OP_H
#define PROLOOP_OP_H

#include <proloop/base.h>
#include <proloop/future.h>

#ifdef __cplusplus
extern "C" {
#endif

/** One operation. Caller-owned; zeroed: idle. */
typedef struct pl_op {
    union {
        uint64_t space[72];
        void *align;
    } opaque;
} pl_op;

/** The future of a started operation: await it, or add callbacks. It lives in the operation: it takes one waiter or
 *  callback and has no references. */
PL_API pl_future *pl_op_future(pl_op *op);

/** Nonzero from start until the result is there. */
PL_API int pl_op_is_pending(const pl_op *op);

/** Waits for the result. Task call. The same as pl_await(pl_op_future(op)). A cancel of the task cancels the
 *  operation; the call returns when it has ended. */
PL_API int64_t pl_op_await(pl_op *op);

/** Asks for an early end. A request: the operation still ends once, by its future, with PL_ECANCELED if nothing had
 *  happened and with its true result if something had. @return PL_OK; PL_ESTATE: it is not pending. */
PL_API int pl_op_cancel(pl_op *op);

/** For error paths: cancels the operation if it is pending and waits until it has ended, even in a cancelled scope.
 *  Task call. @return its result; PL_OK if it never was started. */
PL_API int64_t pl_op_finish(pl_op *op);

/** The result of an operation that is done: >= 0 or PL_E...; PL_ESTATE: it is not done. */
PL_API int64_t pl_op_result(pl_op *op);

/** The system's own code behind a failure (errno, Win32, Winsock or NTSTATUS), 0 if there is none. */
PL_API int32_t pl_op_system_error(const pl_op *op);

#ifdef __cplusplus
}
#endif

#endif
