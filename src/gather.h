/* Waits for several futures, from the inside.
 *
 * A gathering is one such wait, on the stack of its task. It has a callback on each future that is not done, in the memory
 * of the item, and a future of its own, the waiter, on which the task is suspended. The callbacks come through the ready
 * queue; they put the items in the order in which they were done, and make the waiter done when the wait is over.
 */
#ifndef PROLOOP_SRC_GATHER_H
#define PROLOOP_SRC_GATHER_H

#include <proloop/gather.h>

#include "future.h"

typedef struct pl__gathering pl__gathering;

/* What lies in an item. */
typedef struct pl__awaited {
    pl__gathering *gathering; /* NULL: not in use */
    pl__callback callback;    /* on its future */
    pl__node node;            /* of the completed ones */
} pl__awaited;

enum { PL__FIRST_FAILURE = PL_FIRST_ERROR + 1 }; /* a mode like PL_FIRST_ERROR, where being cancelled is one too */

struct pl__gathering {
    pl_future waiter;
    pl_task *task;
    pl_awaited *items;
    size_t count;
    size_t pending;      /* items with a callback to come */
    pl__list completed;  /* pl__awaited */
    pl__node abort_node; /* among the loop's gatherings whose futures are to be cancelled */
    uint8_t mode;        /* enum pl_wait_mode */
    bool limited;        /* by a time of its own */
    bool hands_cancel_on;
    bool enough;    /* the mode is satisfied before all are done */
    bool waiting;   /* the task is suspended on the waiter, which is pending */
    bool cancelled; /* the task was cancelled here, and the futures were */
};

static inline pl__awaited *pl__awaited_of(const pl_awaited *item)
{
    return (pl__awaited *)(uintptr_t)item->opaque.space;
}

/* Puts the callbacks on the futures. The mode and the flags are set. On failure nothing was changed. */
int pl__gathering_begin(pl__gathering *gathering, pl_awaited *items, size_t count);

/* Its time is over: what is done by now is among the completed ones, what is done later will not be. */
void pl__gathering_cut(pl__gathering *gathering);

/* Takes what callbacks are left back. */
void pl__gathering_end(pl__gathering *gathering);

/* Whether it need not wait, or no longer. */
static inline bool pl__gathering_is_over(const pl__gathering *gathering)
{
    return gathering->pending == 0 || gathering->enough;
}

/* Waits, and lets the futures be. PL_OK, PL_ECANCELED, PL_EDEADLOCK. */
int pl__gathering_wait(pl__gathering *gathering);

/* Makes the waiter done, if the task waits. */
void pl__gathering_wake(pl__gathering *gathering);

/* Its future is done: what the caller reads in the item. */
void pl__awaited_take(pl_awaited *item);

/* The task that waits for the future on which this callback is; NULL: it is no gathering's, or its task does not wait. */
pl_task *pl__gathering_waiter(const pl__callback *callback);

/* The same, if the task cannot go on before that future is done. */
pl_task *pl__gathering_dependent(const pl__callback *callback);

#endif
