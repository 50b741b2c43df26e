/* relay.c: see relay.h. */
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>

#include <proloop/base.h>

#include "../allocator.h"
#include "../check.h"
#include "../thread.h"

struct pl__relay {
    pl__mutex mutex;
    pl__condition changed;
    pl__thread thread;
    int descriptor;
    void (*ready)(void *context);
    void *context;
    bool armed;
    bool stopping;
};

static void wait_until_readable(int descriptor)
{
    struct pollfd asked = {.fd = descriptor, .events = POLLIN};
    while (poll(&asked, 1, -1) < 0)
        PL__CHECK(errno == EINTR || errno == ENOMEM);
}

static void run(void *arg)
{
    pl__relay *relay = arg;
    pl__mutex_lock(&relay->mutex);
    while (!relay->stopping) {
        if (!relay->armed) {
            pl__condition_wait(&relay->changed, &relay->mutex);
            continue;
        }
        pl__mutex_unlock(&relay->mutex);
        wait_until_readable(relay->descriptor);
        pl__mutex_lock(&relay->mutex);
        if (relay->stopping)
            break;
        relay->armed = false;
        pl__mutex_unlock(&relay->mutex);
        relay->ready(relay->context);
        pl__mutex_lock(&relay->mutex);
    }
    pl__mutex_unlock(&relay->mutex);
}

static void destroy(pl__relay *relay)
{
    pl__condition_destroy(&relay->changed);
    pl__mutex_destroy(&relay->mutex);
    pl__release(relay, sizeof *relay);
}

int pl__relay_start(pl__relay **relay, int descriptor, void (*ready)(void *context), void *context)
{
    pl__relay *made = pl__allocate_zeroed(sizeof *made);
    if (!made)
        return PL_ENOMEM;
    made->descriptor = descriptor;
    made->ready = ready;
    made->context = context;
    pl__mutex_init(&made->mutex);
    pl__condition_init(&made->changed);
    int rc = pl__thread_start(&made->thread, run, made, "proloop relay");
    if (rc == PL_OK)
        *relay = made;
    else
        destroy(made);
    return rc;
}

void pl__relay_arm(pl__relay *relay)
{
    pl__mutex_lock(&relay->mutex);
    relay->armed = true;
    pl__condition_signal(&relay->changed);
    pl__mutex_unlock(&relay->mutex);
}

void pl__relay_stop(pl__relay *relay, void (*interrupt)(void *arg), void *arg)
{
    pl__mutex_lock(&relay->mutex);
    relay->stopping = true;
    pl__condition_signal(&relay->changed);
    pl__mutex_unlock(&relay->mutex);
    interrupt(arg);
    pl__thread_join(&relay->thread);
    destroy(relay);
}
