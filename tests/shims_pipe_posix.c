#include "shim_watch.h"
#include "shims_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "atomic.h"
#include "shims_inner.h"

#define SHIM_OF(type, name, ...)                                                                                       \
    type __real_##name(__VA_ARGS__);                                                                                   \
    type __wrap_##name(__VA_ARGS__);                                                                                   \
    type __wrap_##name(__VA_ARGS__)

static struct {
    pl__atomic_u32 on;
    pl__atomic_i64 fault[PIPE_CALLS];
    pl__atomic_i64 left[PIPE_CALLS]; /* a worker connects */
    pl__atomic_i64 calls[PIPE_CALLS];
    const char *wrong;
} state;

static void clear(void)
{
    int i;
    for (i = 0; i < PIPE_CALLS; i++) {
        pl__atomic_i64_store(&state.left[i], 0);
        pl__atomic_i64_store(&state.calls[i], 0);
    }
}

void pipe_shims_begin(void)
{
    clear();
    state.wrong = "";
    pl__atomic_u32_store(&state.on, 1);
}

void pipe_shims_end(void)
{
    pl__atomic_u32_store(&state.on, 0);
}

bool pipe_shim_can(pipe_call call, pipe_fault fault)
{
    switch (fault) {
    case PIPE_NO_HANDLES:
        return call == PIPE_CALL_MAKE;
    case PIPE_BUSY:
        return call == PIPE_CALL_OPEN;
    case PIPE_NOT_READY:
        return call == PIPE_CALL_READ || call == PIPE_CALL_WRITE;
    case PIPE_SHORT:
        return call == PIPE_CALL_READ || call == PIPE_CALL_WRITE;
    case PIPE_INTERRUPTED:
        return call == PIPE_CALL_READ || call == PIPE_CALL_WRITE || call == PIPE_CALL_OPEN;
    default:
        return false;
    }
}

void pipe_shims_fail(pipe_call call, pipe_fault fault, int times)
{
    pl__atomic_i64_store(&state.fault[call], fault);
    pl__atomic_i64_store(&state.left[call], times);
}

int pipe_shims_left(pipe_call call)
{
    return (int)pl__atomic_i64_load(&state.left[call]);
}

int64_t pipe_shims_calls(pipe_call call)
{
    return pl__atomic_i64_load(&state.calls[call]);
}

const char *pipe_shims_wrong(void)
{
    return state.wrong;
}

static pipe_fault next_fault(pipe_call call)
{
    if (!pl__atomic_u32_load(&state.on))
        return PIPE_AS_IS;
    pl__atomic_i64_add(&state.calls[call], 1);
    if (pl__atomic_i64_load(&state.left[call]) <= 0)
        return PIPE_AS_IS;
    pl__atomic_i64_add(&state.left[call], -1);
    return (pipe_fault)pl__atomic_i64_load(&state.fault[call]);
}

static bool is_fifo(int descriptor)
{
    struct stat status;
    return pl__atomic_u32_load(&state.on) && fstat(descriptor, &status) == 0 && S_ISFIFO(status.st_mode);
}

int __real_fstat(int descriptor, struct stat *status); /* which is a shim of its own */

static bool is_file(int descriptor)
{
    struct stat status;
    return __real_fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

SHIM_OF(int, pipe2, int ends[2], int flags)
{
    if (pl__atomic_u32_load(&state.on) && !(flags & O_CLOEXEC))
        state.wrong = "a pipe that is inherited";
    if (next_fault(PIPE_CALL_MAKE) == PIPE_NO_HANDLES || shim_makes_no_pipe()) {
        errno = EMFILE;
        return -1;
    }
    return __real_pipe2(ends, flags);
}

SHIM_OF(int, socket, int family, int type, int protocol)
{
    if (family != AF_UNIX)
        return __real_socket(family, type, protocol);
    if (pl__atomic_u32_load(&state.on) && (!(type & SOCK_CLOEXEC) || !(type & SOCK_NONBLOCK)))
        state.wrong = "a local socket that is inherited or blocks";
    if (next_fault(PIPE_CALL_MAKE) == PIPE_NO_HANDLES) {
        errno = EMFILE;
        return -1;
    }
    return __real_socket(family, type, protocol);
}

SHIM_OF(int, connect, int descriptor, const struct sockaddr *address, socklen_t length)
{
    if (address->sa_family == AF_UNSPEC)
        shim_disconnects();
    if (address->sa_family != AF_UNIX)
        return __real_connect(descriptor, address, length);
    shim_called(SHIM_OPEN); /* as on Windows */
    switch (next_fault(PIPE_CALL_OPEN)) {
    case PIPE_BUSY:
        errno = EAGAIN;
        return -1;
    case PIPE_INTERRUPTED:
        errno = EINTR;
        return -1;
    default:
        return __real_connect(descriptor, address, length);
    }
}

/* The signal that a write into nowhere raises must find itself blocked. */
static void check_signal(void)
{
    sigset_t blocked;
    if (pthread_sigmask(SIG_SETMASK, NULL, &blocked) != 0 || sigismember(&blocked, SIGPIPE) != 1)
        state.wrong = "a write that may raise SIGPIPE";
}

SHIM_OF(ssize_t, read, int descriptor, void *data, size_t size)
{
    int64_t count;
    if (replay_read(descriptor, data, size, &count))
        return (ssize_t)count;
    if (shims_are_on() && is_file(descriptor))
        shim_called(SHIM_READ);
    if (!is_fifo(descriptor))
        return __real_read(descriptor, data, size);
    switch (next_fault(PIPE_CALL_READ)) {
    case PIPE_NOT_READY:
        shim_make_edge(descriptor);
        errno = EAGAIN;
        return -1;
    case PIPE_INTERRUPTED:
        errno = EINTR;
        return -1;
    case PIPE_SHORT:
        return __real_read(descriptor, data, size ? 1 : 0);
    default:
        return __real_read(descriptor, data, size);
    }
}

SHIM_OF(ssize_t, writev, int descriptor, const struct iovec *vector, int count)
{
    struct iovec first;
    if (!is_fifo(descriptor))
        return __real_writev(descriptor, vector, count);
    check_signal();
    switch (next_fault(PIPE_CALL_WRITE)) {
    case PIPE_NOT_READY:
        shim_make_edge(descriptor);
        errno = EAGAIN;
        return -1;
    case PIPE_INTERRUPTED:
        errno = EINTR;
        return -1;
    case PIPE_SHORT:
        first = vector[0];
        first.iov_len = 1;
        return __real_writev(descriptor, &first, 1);
    default:
        return __real_writev(descriptor, vector, count);
    }
}
