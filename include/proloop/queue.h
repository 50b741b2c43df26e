/* proloop/queue.h: queues of pointers between the tasks of one loop.
 *
 * Producers put, consumers get; whoever finds the queue full or empty waits, first come first served. A consumer says
 * pl_queue_task_done after the work on an item, and pl_queue_join waits until all that was put has been worked on.
 * pl_queue_shutdown ends it: nothing more is put, what is there may still be got.
 *
 * Waiting is for a place or an item to come free, not for a certain one: who is told to go on may find that a callback
 * was quicker. Then it goes on waiting, and keeps its turn.
 *
 * A queue is of its loop's thread alone. The head is the caller's; room for the items is allocated as the queue grows,
 * and kept until it ends.
 */
#ifndef PROLOOP_QUEUE_H
#define PROLOOP_QUEUE_H

#include <proloop/base.h>
#include <proloop/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A queue. Caller-owned; zeroed: not begun. It may not move between begin and end. */
typedef struct pl_queue {
    union {
        uint64_t space[40];
        void *align;
    } opaque;
} pl_queue;

enum pl_queue_kind {
    PL_QUEUE_FIFO = 0,    /* the item that is longest in it comes next */
    PL_QUEUE_LIFO = 1,    /* the item that came last */
    PL_QUEUE_PRIORITY = 2 /* the item that `compare` puts first; of equal ones the one that is longest in it */
};

/** Which item comes first: negative: a, positive: b, 0: they are equal. Must not use the queue. */
typedef int pl_compare_fn(const void *a, const void *b);

typedef struct pl_queue_options {
    size_t size;            /* sizeof(pl_queue_options) */
    pl_loop *loop;          /* NULL: the running loop */
    int kind;               /* enum pl_queue_kind */
    size_t maximum;         /* items in it before a put has to wait; 0: any number */
    pl_compare_fn *compare; /* of a priority queue */
    pl_drop_fn *drop; /* gets the items that nobody takes; NULL: they are forgotten. Must not wait, or end the queue */
} pl_queue_options;

/** Begins a queue. @param options  NULL: first in first out, any number of items, of the running loop
 *  @return PL_OK; PL_EINVAL (a kind there is not, a priority queue without `compare`), PL_EBUSY (begun already),
 *  PL_ENOLOOP, PL_ECLOSED, PL_ETHREAD.   asyncio: Queue, LifoQueue, PriorityQueue. */
#define pl_queue_begin(...) pl_queue_begin_here(__VA_ARGS__, PL_HERE)
PL_API int pl_queue_begin_here(pl_queue *queue, const pl_queue_options *options, const char *where);

/** Ends it: drops what is in it, and frees the memory. It may begin again. Harmless on one that was not begun, and
 *  allowed when its loop is closed. Stops the program if a task is still waiting for an item or a place: shut it down
 *  and let those tasks go on first. */
PL_API void pl_queue_end(pl_queue *queue);

/** Puts an item in; waits while the queue is full. Task call. On failure the item stays the caller's.
 *  @return PL_OK; PL_ECLOSED: it was shut down, or the loop is closed; PL_ECANCELED, PL_ENOMEM, PL_ENOTASK; PL_ESTATE:
 *  not begun; PL_EINVAL: NULL, or a task of another loop; PL_ETHREAD (debug mode).   asyncio: Queue.put. */
PL_API int pl_queue_put(pl_queue *queue, void *item);

/** The same without waiting, also from callbacks, and before the loop runs. @return as pl_queue_put; PL_EFULL.
 *  asyncio: put_nowait, QueueFull. */
PL_API int pl_queue_put_nowait(pl_queue *queue, void *item);

/** Takes the next item out; waits while the queue is empty. Task call. @param item  gets it, or NULL on failure
 *  @return PL_OK; PL_ECLOSED: it was shut down and is empty, or the loop is closed; else as pl_queue_put.
 *  asyncio: Queue.get, QueueShutDown. */
PL_API int pl_queue_get(pl_queue *queue, void **item);

/** The same without waiting, also from callbacks, and before the loop runs. @return as pl_queue_get; PL_EEMPTY.
 *  asyncio: get_nowait, QueueEmpty. */
PL_API int pl_queue_get_nowait(pl_queue *queue, void **item);

/** Says that the work on an item that was got is done. When that was said of all items that were put, those in
 *  pl_queue_join go on. @return PL_OK; PL_ESTATE: more often than items were put.   asyncio: task_done. */
PL_API int pl_queue_task_done(pl_queue *queue);

/** Waits until the work on all items is done. Those who wait go on even if another is put before they run. Task call.
 *  @return PL_OK, also when nothing was put; PL_ECANCELED ... as pl_queue_put.   asyncio: Queue.join. */
PL_API int pl_queue_join(pl_queue *queue);

/** Puts fail with PL_ECLOSED from now on, gets once the queue is empty; those who wait are told. May be called again.
 *  @param immediate  nonzero: drops what is in it now; dropped items count as done
 *  @return PL_OK; PL_ESTATE, PL_EINVAL, PL_ECLOSED, PL_ETHREAD.   asyncio 3.13: Queue.shutdown. */
PL_API int pl_queue_shutdown(pl_queue *queue, int immediate);

/** How many items are in it; 0 for one that was not begun.   asyncio: qsize. */
PL_API size_t pl_queue_size(const pl_queue *queue);

/** Nonzero: no item is in it; as many as it may hold; it was shut down.   asyncio: empty, full. */
PL_API int pl_queue_is_empty(const pl_queue *queue);
PL_API int pl_queue_is_full(const pl_queue *queue);
PL_API int pl_queue_is_shut_down(const pl_queue *queue);

#ifdef __cplusplus
}
#endif

#endif
