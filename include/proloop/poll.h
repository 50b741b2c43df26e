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
    PL_POLL_ERROR = 16    /* always told, asked for or not */
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

#ifdef __cplusplus
}
#endif

#endif
