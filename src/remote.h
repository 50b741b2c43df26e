/* A loop seen from other threads: a lock-free inbox of calls, and one wake at most in flight.
 *
 * Posting pushes onto a stack whose head is one atomic pointer; whoever finds it empty wakes the loop. The loop takes the
 * whole stack at once and turns it round, so calls run in the order in which they were posted. A closed remote's head is a
 * mark that no push gets past.
 */
#ifndef PROLOOP_SRC_REMOTE_H
#define PROLOOP_SRC_REMOTE_H

#include <stdbool.h>

#include <proloop/loop.h>

#include "atomic.h"
#include "callback.h"

struct pl_remote {
    pl__atomic_pointer inbox; /* pl__call, the last one first */
    pl__atomic_u32 references;
    pl__atomic_u32 posting; /* posters that may still touch the loop */
    pl_loop *loop;
};

int pl__remote_create(pl_remote **remote, pl_loop *loop);

/* Posts a call that the caller has filled but for its `loop`. Any thread. PL_OK: it is run or dropped once, and is the
 * loop's, which frees it as pl__allocate made it, unless it is embedded. PL_ECLOSED: it is the caller's still. */
int pl__remote_post(pl_remote *remote, pl__call *call);

/* The loop, which stays until the leave, a moment later: closing it waits for that. NULL: it is closed. Any thread. */
pl_loop *pl__remote_enter(pl_remote *remote);
void pl__remote_leave(pl_remote *remote);

static inline bool pl__remote_has_calls(const pl_remote *remote)
{
    return pl__atomic_pointer_load_acquire(&remote->inbox) != NULL;
}

void pl__remote_collect_calls(pl_remote *remote);

/* Makes all that was posted ready. The loop's thread, before each iteration's run, and before anything else becomes
 * ready: then posts and what this thread makes ready are one queue, as in asyncio. */
static inline void pl__remote_collect(pl_remote *remote)
{
    if (pl__remote_has_calls(remote))
        pl__remote_collect_calls(remote);
}

/* From now on posting gets PL_ECLOSED. What was posted is made ready, to be dropped with the rest. */
void pl__remote_close(pl_remote *remote);

#endif
