/* A loop inside a foreign one, which owns the thread: who tells the host, and when.
 *
 * There is something to do when the system has something for the loop (the proactor sees to that while the loop rests, that
 * is between two iterations), when an iteration left something behind, and when the host itself calls into the loop
 * while it rests. The host is told once, and again only after its next iteration has begun.
 */
#ifndef PROLOOP_SRC_EMBED_H
#define PROLOOP_SRC_EMBED_H

#include "loop.h"

struct pl__embedding {
    pl_loop *loop;
    pl_wake_fn *wake; /* NULL: the host watches the proactor's descriptor */
    void *arg;
    pl__atomic_u32 told;
    bool again; /* a cancel in this iteration ended something, which the next poll hands over */
};

/* An iteration of an embedded loop begins, and has ended. */
void pl__embedding_begins(pl_loop *loop);
void pl__embedding_rests(pl_loop *loop);

/* No longer embedded; nothing if it was not. */
void pl__embedding_end(pl_loop *loop);

#endif
