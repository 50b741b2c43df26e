#include "shims_descriptor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "atomic.h"
#include "thread.h"

static struct {
    pl__atomic_u32 on;
    pl__atomic_i64 loop_thread;
    pl__atomic_u32 calls[DESCRIPTOR_CALLS];
    pl__atomic_u32 fails_at[DESCRIPTOR_CALLS]; /* 0: none does */
    pl__atomic_u32 error[DESCRIPTOR_CALLS];
} state;

void descriptor_begin(void)
{
    for (int call = 0; call < DESCRIPTOR_CALLS; call++) {
        pl__atomic_u32_store(&state.calls[call], 0);
        pl__atomic_u32_store(&state.fails_at[call], 0);
    }
    pl__atomic_i64_store(&state.loop_thread, (int64_t)pl__thread_id());
    pl__atomic_u32_store(&state.on, 1);
}

void descriptor_end(void)
{
    pl__atomic_u32_store(&state.on, 0);
}

void descriptor_fail(descriptor_call call, int at, int error)
{
    pl__atomic_u32_store(&state.error[call], (uint32_t)error);
    pl__atomic_u32_store(&state.fails_at[call], pl__atomic_u32_load(&state.calls[call]) + (uint32_t)at);
}

int descriptor_calls(descriptor_call call)
{
    return (int)pl__atomic_u32_load(&state.calls[call]);
}

/* Called by signals' handlers, too. */
static bool fails(descriptor_call call)
{
    if (!pl__atomic_u32_load(&state.on))
        return false;
    uint32_t number = pl__atomic_u32_add(&state.calls[call], 1) + 1;
    if (number != pl__atomic_u32_load(&state.fails_at[call]))
        return false;
    errno = (int)pl__atomic_u32_load(&state.error[call]);
    return true;
}

static bool of_loop(void)
{
    return (int64_t)pl__thread_id() == pl__atomic_i64_load(&state.loop_thread);
}

#define SHIM_OF(result, name, ...)                                                                                     \
    result __real_##name(__VA_ARGS__);                                                                                 \
    result __wrap_##name(__VA_ARGS__);                                                                                 \
    result __wrap_##name(__VA_ARGS__)

SHIM_OF(int, epoll_ctl, int epoll, int action, int descriptor, struct epoll_event *event)
{
    return fails(CALL_EPOLL_CTL) ? -1 : __real_epoll_ctl(epoll, action, descriptor, event);
}

int __real_fcntl(int descriptor, int command, ...);
int __wrap_fcntl(int descriptor, int command, ...);

int __wrap_fcntl(int descriptor, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    return fails(CALL_FCNTL) ? -1 : __real_fcntl(descriptor, command, argument);
}

SHIM_OF(int, fstat, int descriptor, struct stat *status)
{
    return fails(CALL_FSTAT) ? -1 : __real_fstat(descriptor, status);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode = 0;
    va_start(list, flags);
    if (flags & O_CREAT)
        mode = (mode_t)va_arg(list, unsigned);
    va_end(list);
    return fails(CALL_OPEN) ? -1 : __real_open(path, flags, mode);
}

SHIM_OF(int, pipe, int ends[2])
{
    return fails(CALL_PIPE) ? -1 : __real_pipe(ends);
}

SHIM_OF(int, pipe2, int ends[2], int flags)
{
    return fails(CALL_PIPE2) ? -1 : __real_pipe2(ends, flags);
}

SHIM_OF(int, sigaction, int number, const struct sigaction *action, struct sigaction *before)
{
    return fails(CALL_SIGACTION) ? -1 : __real_sigaction(number, action, before);
}

SHIM_OF(int, poll, struct pollfd *entries, nfds_t count, int milliseconds)
{
    return !of_loop() && fails(CALL_POLL) ? -1 : __real_poll(entries, count, milliseconds);
}

SHIM_OF(ssize_t, read, int descriptor, void *data, size_t size)
{
    return !of_loop() && fails(CALL_READ) ? -1 : __real_read(descriptor, data, size);
}

SHIM_OF(ssize_t, write, int descriptor, const void *data, size_t size)
{
    return fails(of_loop() ? CALL_WAKE : CALL_WRITE) ? -1 : __real_write(descriptor, data, size);
}
