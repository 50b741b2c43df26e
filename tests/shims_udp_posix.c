#include "shims_udp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "shims_inner.h"

static struct {
    const udp_step *steps;
    size_t left;
    int64_t calls;
} scripts[UDP_CALLS];

static int64_t disconnects;

void shim_disconnects(void)
{
    disconnects++;
}

int64_t shims_udp_disconnects(void)
{
    return disconnects;
}

void shims_udp_begin(void)
{
    disconnects = 0;
    memset(scripts, 0, sizeof scripts);
}

void shims_udp_script(udp_call call, const udp_step *steps, size_t count)
{
    scripts[call].steps = steps;
    scripts[call].left = count;
}

int64_t shims_udp_calls(udp_call call)
{
    return scripts[call].calls;
}

bool shims_udp_script_is_over(udp_call call)
{
    return scripts[call].left == 0;
}

void shims_udp_watch_settings(void) {}

const udp_setting *shims_udp_last_setting(void)
{
    return NULL;
}

int shims_udp_tells_refusals(void)
{
    return -1;
}

int shims_udp_tells_hops(void)
{
    return -1;
}

bool shims_udp_let_go(void)
{
    return false;
}

/* True: the call fails, and errno says how. */
static bool fails(udp_call call, unsigned *count)
{
    scripts[call].calls++;
    if (scripts[call].left == 0)
        return false;
    if (*scripts[call].steps == UDP_FULL) {
        errno = EAGAIN;
        return true;
    }
    scripts[call].left--;
    switch (*scripts[call].steps++) {
    case UDP_ONE:
        *count = 1;
        return false;
    case UDP_THREE:
        *count = *count < 3 ? *count : 3;
        return false;
    case UDP_INTERRUPTED:
        errno = EINTR;
        return true;
    case UDP_NOT_READY:
        errno = EAGAIN;
        return true;
    case UDP_NO_ROOM:
        errno = ENOBUFS;
        return true;
    case UDP_REFUSED:
        errno = ECONNREFUSED;
        return true;
    default:
        return false;
    }
}

int __real_recvmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit);
int __wrap_recvmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit);

int __wrap_recvmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags, struct timespec *limit)
{
    return fails(UDP_RECEIVE, &count) ? -1 : __real_recvmmsg(descriptor, messages, count, flags, limit);
}

int __real_sendmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags);
int __wrap_sendmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags);

int __wrap_sendmmsg(int descriptor, struct mmsghdr *messages, unsigned count, int flags)
{
    return fails(UDP_SEND, &count) ? -1 : __real_sendmmsg(descriptor, messages, count, flags);
}
