/* selector.c: what the selectors share: the wait until a deadline, and the pipe that ends a wait. */
#include "selector.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "../check.h"
#include "../clock.h"
#include "pipe.h"

int pl__selector_wait_until(pl__selector *selector, int64_t deadline, pl__selector_wait_fn *wait)
{
    int64_t left = deadline > 0 ? deadline - pl__clock_now() : 0;
    if (left < 0)
        left = 0;
    for (;;) {
        int count = wait(selector, deadline == PL_FOREVER ? PL_FOREVER : left);
        PL__CHECK(count >= 0 || count == -EINTR);
        if (count > 0 || (count == 0 && left == 0))
            return count;
        if (deadline == PL_FOREVER)
            continue;
        left = deadline > 0 ? deadline - pl__clock_now() : 0;
        if (count == 0 && left <= 0)
            return 0;
        if (left < 0)
            left = 0; /* a signal came last: look once more */
    }
}

int64_t pl__selector_milliseconds(int64_t left)
{
    return left == PL_FOREVER ? -1 : left / 1000000 + (left % 1000000 != 0);
}

/* --- The pipe of wakes -------------------------------------------------------------------------------------------- */

static int prepare(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int pl__wake_pipe_open(pl__wake_pipe *wakes)
{
    int ends[2];
    *wakes = (pl__wake_pipe){.out = -1, .in = -1};
    int rc = pl__pipe_ends(ends);
    if (rc < 0)
        return rc;
    *wakes = (pl__wake_pipe){.out = ends[0], .in = ends[1]};
    rc = prepare(wakes->out);
    return rc < 0 ? rc : prepare(wakes->in);
}

void pl__wake_pipe_close(pl__wake_pipe *wakes)
{
    if (wakes->out >= 0)
        close(wakes->out);
    if (wakes->in >= 0)
        close(wakes->in);
}

void pl__wake_pipe_write(const pl__wake_pipe *wakes)
{
    const char byte = 0;
    int saved = errno; /* it may be a signal's handler that calls */
    ssize_t written;
    do {
        written = write(wakes->in, &byte, 1);
    } while (written < 0 && errno == EINTR);
    PL__CHECK(written == 1 || errno == EAGAIN); /* full: there are wakes enough in it */
    errno = saved;
}

void pl__wake_pipe_drain(const pl__wake_pipe *wakes)
{
    char bytes[64];
    while (read(wakes->out, bytes, sizeof bytes) == (ssize_t)sizeof bytes)
        continue;
}
