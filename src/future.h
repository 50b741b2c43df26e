/* Futures, from the inside.
 *
 * One struct serves all: counted ones made by users, the one at the head of a task, the one inside an operation or a wait
 * on a stack. What differs is the type: what a cancel means, and whether a reference count keeps it.
 */
#ifndef PROLOOP_SRC_FUTURE_H
#define PROLOOP_SRC_FUTURE_H

#include <stdbool.h>
#include <stdint.h>

#include <proloop/future.h>

#include "callback.h"
#include "text.h"

typedef struct pl__future_type {
    const char *name; /* what its waiter is said to wait for: "sleep" */
    /* A cancel was asked for while pending. True: the future is cancelled, or its end will answer. */
    bool (*cancel)(pl_future *future);
    void (*destroy)(pl_future *future); /* the last reference went; NULL: not counted */
    bool one_waiter;
    /* Adds to the name what is particular: " of 3"; NULL: where it was made. For dumps. */
    void (*describe)(const pl_future *future, pl__text *text);
    bool keeps_result; /* its result cannot be had again: a waiter that was cancelled meanwhile gets it all the same */
} pl__future_type;

struct pl_future {
    const pl__future_type *type;
    pl_loop *loop;      /* counted futures keep its memory */
    pl__list callbacks; /* while pending; then they are in the ready queue */
    int64_t result;     /* PL_ECANCELED if cancelled */
    void *pointer;      /* of pl_future_set_pointer, until taken */
    pl_drop_fn *drop;
    const char *where;   /* where it was made, or NULL */
    const char *message; /* of the cancel that was asked for, or NULL */
    uint32_t references;
    uint8_t state;  /* enum pl_future_state */
    bool retrieved; /* somebody looked at the result, or nobody needs to */
};

/* Pending, with no callbacks. */
void pl__future_init(pl_future *future, const pl__future_type *type, pl_loop *loop);

/* Makes it done: PL_ECANCELED makes it cancelled. Its callbacks become ready. */
void pl__future_finish(pl_future *future, int64_t result);

/* pl_future_cancel_with without its checks. */
bool pl__future_cancel(pl_future *future, const char *message);

/* Before its memory goes: reports an error that nobody saw, drops a pointer that nobody took. */
void pl__future_clear(pl_future *future);

static inline bool pl__future_is_done(const pl_future *future)
{
    return future->state != PL_PENDING;
}

/* A counted future may lose its last other reference while somebody waits for it. */
static inline void pl__future_hold(pl_future *future)
{
    if (future->type->destroy)
        (void)pl_future_ref(future);
}

static inline void pl__future_let_go(pl_future *future)
{
    if (future->type->destroy)
        pl_future_unref(future);
}

/* The result of one that is done; its error counts as seen. */
static inline int64_t pl__future_take(pl_future *future)
{
    PL__CHECK(pl__future_is_done(future));
    future->retrieved = true;
    return future->result;
}

/* Room for one more waiter or callback? */
static inline bool pl__future_is_busy(const pl_future *future)
{
    return future->type->one_waiter && !pl__list_is_empty(&future->callbacks);
}

/* Whether it has an error that nobody looked at. */
static inline bool pl__future_is_unseen(const pl_future *future)
{
    return !future->retrieved && future->state == PL_FINISHED && future->result < 0;
}

#endif
