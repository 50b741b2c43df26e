/* Shared futures, from the inside.
 *
 * A mutex guards the state and the list of *watchers*: those loops that want to be told. Becoming done takes the whole
 * list and posts each watcher's call to its loop. That call is part of the watcher, so telling allocates nothing; from the
 * post to its delivery, or to its refusal by a closed loop, the watcher's memory is lent.
 *
 * What differs is the type: what a cancel means, and of which struct the shared future is the first member.
 */
#ifndef PROLOOP_SRC_SHARED_FUTURE_H
#define PROLOOP_SRC_SHARED_FUTURE_H

#include <stdbool.h>

#include <proloop/shared_future.h>

#include "atomic.h"
#include "list.h"
#include "remote.h"
#include "thread.h"

typedef struct pl__shared_type {
    size_t size;                             /* of the struct that begins with it */
    void (*clear)(pl_shared_future *shared); /* before that is freed; may be NULL */
    /* A cancel was asked for while it was pending; it may be done by now. Any thread, the mutex is not held. True: it is
     * cancelled, or its end will answer. */
    bool (*cancel)(pl_shared_future *shared);
    bool set_by_users;
} pl__shared_type;

struct pl_shared_future {
    const pl__shared_type *type;
    pl__atomic_u32 references;
    pl__mutex mutex; /* guards what follows */
    pl__condition done;
    pl__list watchers;
    int64_t result; /* PL_ECANCELED if cancelled */
    void *pointer;  /* until taken */
    pl_drop_fn *drop;
    const char *where; /* it was made, or NULL */
    uint8_t state;     /* enum pl_future_state */
    bool retrieved;
};

typedef struct pl__shared_watcher {
    pl__node node;
    pl__call call;
    pl_remote *remote; /* counted, while it watches */
    bool crossing;     /* no longer in the list: on its way to the loop, or told */
    /* The shared future is done, on the loop's thread; or, instead, and on any thread, the loop is closed and will not hear
     * of it. In both cases the watcher is its owner's again. */
    void (*told)(struct pl__shared_watcher *watcher);
    void (*unheard)(struct pl__shared_watcher *watcher);
} pl__shared_watcher;

/* Pending, with one reference. */
void pl__shared_init(pl_shared_future *shared, const pl__shared_type *type, const char *where);

/* Makes it done and tells everybody. False: it was done already. */
bool pl__shared_finish(pl_shared_future *shared, int64_t result);

/* Has the watcher told. False: it is done already, the watcher is not used. The loop's thread. */
bool pl__shared_watch(pl_shared_future *shared, pl__shared_watcher *watcher, pl_loop *loop);

/* Takes a watcher back. False: it is being told; it is lent until then. The loop's thread. */
bool pl__shared_unwatch(pl_shared_future *shared, pl__shared_watcher *watcher);

#endif
