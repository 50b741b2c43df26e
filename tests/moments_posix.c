#include "moments_inner.h"

#include <poll.h>

enum { LIMIT = 10000, HANDLES = 32 }; /* ms, a case that hangs */

static int descriptor_of(const pl__completion *completion)
{
    if (completion->kind == PL__POLL && !completion->handle)
        return (int)completion->as.poll.object;
    return completion->handle ? (int)completion->handle->object : -1;
}

bool moment_system_is_through(pl__completion *const *completions, int count, bool writes)
{
    struct pollfd polled[HANDLES];
    int i;
    for (i = 0; i < count && i < HANDLES; i++) {
        polled[i].fd = descriptor_of(completions[i]);
        polled[i].events = writes ? POLLOUT : POLLIN;
        polled[i].revents = 0;
    }
    return poll(polled, (nfds_t)i, LIMIT) > 0;
}
