/* Timers: a 4-ary heap of (deadline, sequence) with the keys inline, and nodes that the callers own.
 *
 * The keys stand in the array, so that sifting touches no timer but the ones that move; each timer knows its index, so
 * stopping one is a sift from there. The sequence makes timers of equal deadline first in first out. Four children share
 * one or two cache lines, which halves the depth of a binary heap.
 */
#ifndef PROLOOP_SRC_TIMER_H
#define PROLOOP_SRC_TIMER_H

#include <stdint.h>

#include <proloop/loop.h>

#include "callback.h"

typedef struct pl__timer {
    pl__callback callback; /* ready once the timer is due */
    pl_loop *loop;         /* while it stands in the heap */
    size_t index;          /* its place there */
    pl_loop *owner;        /* of a user's timer, while it is to run: to check the thread */
} pl__timer;

typedef struct pl__timer_entry {
    int64_t deadline;
    uint64_t sequence;
    pl__timer *timer;
} pl__timer_entry;

typedef struct pl__timer_heap {
    pl__timer_entry *entries;
    size_t count;
    size_t capacity;
    uint64_t sequence;
} pl__timer_heap;

static inline pl__timer *pl__timer_of(pl_timer *timer)
{
    return (pl__timer *)(void *)timer->opaque.space;
}

/* now + delay, where PL_FOREVER and what lies beyond it are PL_FOREVER, and no time lies before now. */
static inline int64_t pl__deadline_after(int64_t now, int64_t delay)
{
    if (delay <= 0)
        return now;
    return delay >= PL_FOREVER - now ? PL_FOREVER : now + delay;
}

/* Starts an idle timer. PL_OK, PL_ENOMEM. */
int pl__timer_start_at(pl__timer *timer, pl_loop *loop, int64_t deadline, pl_callback_fn *fn, void *arg);

/* Whether it is still to run. */
static inline bool pl__timer_is_running(const pl__timer *timer)
{
    return timer->loop || pl__node_is_linked(&timer->callback.node);
}

/* True: it was started and will not run. */
bool pl__timer_stop(pl__timer *timer);

/* How long until it is due; 0: it is, or was not started; PL_FOREVER: never. */
int64_t pl__timer_left(const pl__timer *timer);

/* The first deadline; PL_FOREVER: none. */
static inline int64_t pl__timer_heap_first(const pl__timer_heap *heap)
{
    return heap->count ? heap->entries[0].deadline : PL_FOREVER;
}

/* Makes the callbacks of all timers due at `now` ready. */
void pl__timer_heap_run_due(pl__timer_heap *heap, int64_t now);

/* Makes every timer idle and frees the heap. */
void pl__timer_heap_destroy(pl__timer_heap *heap);

#endif
