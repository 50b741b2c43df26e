/* poll.c: what somebody else's descriptor is ready for: see poll.h.
 *
 * Files and folders are always ready, and epoll refuses them. They are found out before anything is opened: a
 * duplicate that is closed would take away the locks that the process holds on such a file.
 */
#include "poll.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include <proloop/poll.h>

#include "../compiler.h"

#if !defined(POLLRDHUP)
#define POLLRDHUP 0 /* the peer's end shows as readable only */
#endif

static const struct {
    uint32_t event;
    short bit;
} events_of_poll[] = {
    {PL_POLL_READABLE, POLLIN}, {PL_POLL_WRITABLE, POLLOUT}, {PL_POLL_PRIORITY, POLLPRI}, {PL_POLL_HANGUP, POLLRDHUP}};

/* After a hang-up or an error no call waits any more: all that was asked for is so. */
static uint32_t happened(uint32_t events, short bits)
{
    uint32_t result = bits & POLLERR ? PL_POLL_ERROR : 0;
    for (size_t i = 0; i < PL__COUNT_OF(events_of_poll); i++) {
        if (bits & (events_of_poll[i].bit | POLLERR | POLLHUP))
            result |= events_of_poll[i].event & events;
    }
    return bits & POLLHUP ? result | PL_POLL_HANGUP : result;
}

int pl__poll_now(int descriptor, uint32_t events)
{
    struct pollfd asked = {.fd = descriptor};
    for (size_t i = 0; i < PL__COUNT_OF(events_of_poll); i++) {
        if (events & events_of_poll[i].event)
            asked.events = (short)(asked.events | events_of_poll[i].bit);
    }
    int count;
    do {
        count = poll(&asked, 1, 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0)
        return -errno;
    return asked.revents & POLLNVAL ? -EBADF : (int)happened(events, asked.revents);
}

/* 0 or a negated errno. */
static int check(uintptr_t object)
{
    struct stat status;
    if (object > INT_MAX)
        return -EBADF;
    if (fstat((int)object, &status) < 0)
        return -errno;
    return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? -ENOTSUP : 0;
}

int pl__poll_first(uintptr_t object, uint32_t events)
{
    int rc = check(object);
    return rc < 0 ? rc : pl__poll_now((int)object, events);
}

int pl__poll_duplicate(uintptr_t object)
{
    int rc = check(object);
    if (rc < 0)
        return rc;
    int duplicate = fcntl((int)object, F_DUPFD_CLOEXEC, 0);
    return duplicate < 0 ? -errno : duplicate;
}
