#include "moments_inner.h"

#include <poll.h>

enum { LIMIT = 10000, HANDLES = 32 }; /* ms, a case that hangs */

bool moment_system_is_through(pl__completion *const *completions, int count, bool writes)
{
    struct pollfd polled[HANDLES];
    int i;
    for (i = 0; i < count && i < HANDLES; i++) {
        polled[i].fd = completions[i]->handle ? (int)completions[i]->handle->object : -1;
        polled[i].events = writes ? POLLOUT : POLLIN;
        polled[i].revents = 0;
    }
    return poll(polled, (nfds_t)i, LIMIT) > 0;
}
