/* Lasting watchers: what is behind a pl_poller and a pl_waiter.
 *
 * The user's struct holds a pointer to the watcher, which has the completion: so stopping parts the two at once, and what
 * the system still has of the watcher ends behind it. A watcher asks anew after each call of its function, so that what is
 * still so is told again, once in an iteration.
 */
#ifndef PROLOOP_SRC_WATCHER_H
#define PROLOOP_SRC_WATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include <proloop/poll.h>

/* NULL, and the small negative numbers that stand for the process and the thread that ask. */
static inline bool pl__is_pseudo_handle(const void *handle)
{
    intptr_t value = (intptr_t)handle;
    return value <= 0 && value > -16;
}

/* Stops them all: the loop ends. */
void pl__watchers_close(pl_loop *loop);

#endif
