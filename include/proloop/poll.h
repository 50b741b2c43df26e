/* proloop/poll.h: waiting for what is not proloop's: sockets and descriptors of other libraries, and on Windows whatever
 * can be waited for by its HANDLE.
 */
#ifndef PROLOOP_POLL_H
#define PROLOOP_POLL_H

#include <proloop/loop.h>
#include <proloop/op.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A SOCKET of Windows, or a descriptor of Unix. */
typedef uintptr_t pl_socket;

/** What to wait for, and what happened. */
enum pl_poll_event {
    PL_POLL_READABLE = 1, /* a read, receive or accept would not wait: there is something, an end, or an error */
    PL_POLL_WRITABLE = 2, /* a write would not wait; of a connect under way: it has ended, well or not */
    PL_POLL_PRIORITY = 4, /* out-of-band data, and the like */
    PL_POLL_HANGUP = 8,   /* the peer sends no more; and always told, asked for or not: the connection is gone */
    PL_POLL_ERROR = 16,   /* always told, asked for or not */
    PL_POLL_ONCE = 32     /* of a poller: one call, and then none until its events are changed */
};

/** Waits until a foreign socket or descriptor is ready for one of the events. Nothing is done to it, whoever it belongs to
 *  and whoever else waits for it; it stays open until the operation has ended. One that is ready is told at once.
 *  @param object    a SOCKET or a descriptor: socket, pipe, terminal, eventfd, pidfd...
 *  @param events    enum pl_poll_event, at least one
 *  @param happened  gets those of them that are so, and PL_POLL_HANGUP and PL_POLL_ERROR; may be NULL
 *  @return PL_OK; PL_EBADF: no such socket or descriptor, or its owner closed it meanwhile (where the system tells);
 *  PL_ENOTSUP: a file or a folder, which are always ready; PL_EMFILE, PL_ENOMEM; PL_EINVAL, PL_ENOTASK, PL_ENOLOOP.
 *  A cancel loses nothing: it is ready still.
 *  asyncio: add_reader, add_writer and a future.   POSIX: poll, epoll.   Win32: WSAPoll, WSAEventSelect. */
PL_API int64_t pl_poll_fd(pl_socket object, int events, int *happened);
PL_API int pl_poll_fd_start(pl_op *op, pl_socket object, int events, int *happened);

/** Waits until a HANDLE of Windows is signalled: a process, thread, event, semaphore, waitable timer, job, change
 *  notification, console input; not a mutex, which would belong to a thread that nobody knows. The wait takes the signal
 *  as any other does: of an auto-reset event, of a semaphore by one. It stays open until the operation has ended.
 *  @return PL_OK: it was signalled; PL_EBADF, PL_EACCES: it is no such handle, or does not allow SYNCHRONIZE;
 *  PL_ENOTSUP: not Windows, where pl_poll_fd is what there is; PL_EINVAL: NULL or a pseudo handle; PL_ENOMEM,
 *  PL_ENOTASK, PL_ENOLOOP. PL_ECANCELED: the signal was not taken.
 *  Win32: WaitForSingleObject, RegisterWaitForSingleObject. */
PL_API int64_t pl_wait_handle(void *handle);
PL_API int pl_wait_handle_start(pl_op *op, void *handle);

/** A lasting watcher of a foreign socket or descriptor. Caller-owned, and not moved while it is started; zeroed: idle. */
typedef struct pl_poller {
    union {
        uint64_t space[4];
        void *align;
    } opaque;
} pl_poller;

/** Called on the loop's stack: it must not suspend; it may change, stop and start pollers, this one too.
 *  @param events  what happened, as of pl_poll_fd; or PL_E...: there is nothing to watch any more (PL_EBADF: its owner
 *                 closed it), and the poller is idle */
typedef void pl_poller_fn(pl_poller *poller, int events, void *arg);

/** Calls fn(poller, events, arg) once in each iteration in which one of the events is so: who does not read what is
 *  there is called again. With PL_POLL_ONCE one call, until pl_poller_change. All calls run in one copy of the context
 *  in which it was started. The socket must stay open until the poller is stopped; who closes it before harms only himself:
 *  on Unix it stays open as long as it is watched. Several pollers may watch the same socket.
 *  @param loop    NULL: the running loop. The loop's thread
 *  @param events  enum pl_poll_event; none: nothing is told for now
 *  @return PL_OK; PL_EBUSY: it is started; PL_EBADF, PL_ENOTSUP (a file or folder), PL_EMFILE, PL_ENOMEM, PL_EINVAL,
 *  PL_ENOLOOP, PL_ECLOSED, PL_ETHREAD.   asyncio: add_reader, add_writer.   libuv: uv_poll_start. */
#define pl_poller_start(...) pl_poller_start_here(__VA_ARGS__, PL_HERE)
PL_API int pl_poller_start_here(pl_poller *poller, pl_loop *loop, pl_socket object, int events, pl_poller_fn *fn,
                                void *arg, const char *where);

/** Other events from now on; what was about to be told of the former ones is not. PL_ESTATE: it is idle. */
PL_API int pl_poller_change(pl_poller *poller, int events);

/** No call comes any more; the struct is yours and the socket may be closed at once. Closing the loop stops it, too.
 *  @return 1: it was started; 0: it was idle. */
PL_API int pl_poller_stop(pl_poller *poller);

/** A lasting watcher of a HANDLE. Caller-owned, and not moved while it is started; zeroed: idle. */
typedef struct pl_waiter {
    union {
        uint64_t space[4];
        void *align;
    } opaque;
} pl_waiter;

/** As pl_poller_fn. @param result  PL_OK: it was signalled; or PL_E..., and the waiter is idle */
typedef void pl_waiter_fn(pl_waiter *waiter, int result, void *arg);

/** Calls fn(waiter, PL_OK, arg) each time that the HANDLE is signalled: each signal of an auto-reset event is one call,
 *  each count of a semaphore. What stays signalled (a process that has ended, a manual-reset event) is told in each
 *  iteration until it is reset, or the waiter stopped. For handles as pl_wait_handle.
 *  @return PL_OK; PL_ENOTSUP: not Windows; PL_EBUSY: it is started; PL_EBADF, PL_EACCES, PL_ENOMEM, PL_EINVAL, PL_ENOLOOP,
 *  PL_ECLOSED, PL_ETHREAD.   Win32: RegisterWaitForSingleObject. */
#define pl_waiter_start(...) pl_waiter_start_here(__VA_ARGS__, PL_HERE)
PL_API int pl_waiter_start_here(pl_waiter *waiter, pl_loop *loop, void *handle, pl_waiter_fn *fn, void *arg,
                                const char *where);

/** As pl_poller_stop. A signal that was taken, but not told yet, is gone. */
PL_API int pl_waiter_stop(pl_waiter *waiter);

#ifdef __cplusplus
}
#endif

#endif
