/* host_posix.c: a host that lives by poll(). The embedded loop is one more descriptor to it, and a deadline. */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include "host.h"

static bool quitting;

void host_quit(void)
{
    quitting = true;
}

int64_t host_run(pl_loop *loop)
{
    int64_t ticks = 0;
    int rc = pl_loop_embed(loop, NULL, NULL); /* no wake: its descriptor is watched */
    if (rc < 0)
        return rc;
    pl_duration next = pl_loop_time(loop) + PL_MS(HOST_TICK);
    while (!quitting) {
        struct pollfd watched = {.fd = pl_loop_backend_fd(loop), .events = POLLIN};
        if (poll(&watched, 1, host_patience(loop, HOST_TICK)) < 0 && errno != EINTR)
            return PL_EUNKNOWN;
        if (watched.revents || pl_loop_next_deadline(loop) <= pl_loop_time(loop))
            rc = pl_loop_run_once(loop, 0);
        if (rc < 0)
            return rc;
        for (; pl_loop_time(loop) >= next; next += PL_MS(HOST_TICK))
            ticks++; /* the host's own work */
    }
    return ticks;
}
