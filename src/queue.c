/* Queues: items of one loop's tasks, and the tasks that wait for an item or for a place.
 *
 * Items lie in a ring (first in first out, last in first out) or in a binary heap (priority). A waiter is told to go on
 * when there is an item, or a place, that none told before it will need: `woken` counts those told who have not run yet,
 * and tell_waiters keeps it at least as large as what there is, as long as somebody waits. So a waiter that was told and
 * cancelled before it ran only has to take itself off that count, and the next one is told. The item or the place is not
 * reserved: a waiter that finds it gone waits again, in the order of the tickets that were drawn at the first wait.
 */
#include <proloop/queue.h>

#include <string.h>

#include "allocator.h"
#include "loop.h"
#include "task.h"

enum { PL__QUEUE_SMALLEST = 8 };

/* An item of a priority queue. */
typedef struct pl__queue_entry {
    void *item;
    uint64_t order; /* of the put; smaller first among equals */
} pl__queue_entry;

/* Those who wait for the same. */
typedef struct pl__queue_side {
    pl__list waiting; /* pl__queue_waiter, by ticket */
    size_t woken;     /* told to go on, and not yet run */
} pl__queue_side;

typedef struct pl__queue_waiter {
    pl__node node; /* linked: not yet told */
    pl_future future;
    uint64_t ticket;
} pl__queue_waiter;

typedef struct pl__queue {
    pl_loop *loop;     /* NULL: not begun */
    const char *where; /* "file.c:12" */
    pl_compare_fn *compare;
    pl_drop_fn *drop;
    size_t maximum; /* SIZE_MAX: any number */
    void *storage;  /* `capacity` items, or entries */
    size_t capacity;
    size_t first; /* of the ring */
    size_t count;
    size_t unfinished; /* items put and not yet said to be done */
    uint64_t sequence; /* of puts and tickets */
    pl__queue_side getters;
    pl__queue_side putters;
    pl__list joiners;
    uint8_t kind;
    bool shut_down;
} pl__queue;

PL__STATIC_ASSERT(sizeof(pl__queue) * 4 <= sizeof(pl_queue) * 3, "pl_queue keeps a quarter to spare");

static pl__queue *queue_of(const pl_queue *queue)
{
    return (pl__queue *)(uintptr_t)queue->opaque.space;
}

/* PL_OK, or why a call is refused. */
static int queue_check(const pl__queue *queue)
{
    if (!queue->loop)
        return PL_ESTATE;
    if (queue->loop->closed)
        return PL_ECLOSED;
    int checked = pl__loop_check_thread(queue->loop);
    if (checked < 0)
        return checked;
    const pl_loop *running = pl_loop_running();
    return running && running != queue->loop ? PL_EINVAL : PL_OK;
}

static bool is_full(const pl__queue *queue)
{
    return queue->count >= queue->maximum;
}

/* --- Ring --------------------------------------------------------------------------------------------------------- */

static void **ring_at(const pl__queue *queue, size_t index)
{
    return (void **)queue->storage + ((queue->first + index) & (queue->capacity - 1));
}

/* A full ring got more room behind it: what had wrapped round goes there. */
static void ring_unwrap(pl__queue *queue, size_t old_capacity)
{
    void **items = queue->storage;
    memcpy(items + old_capacity, items, queue->first * sizeof *items);
}

static void ring_push(pl__queue *queue, void *item)
{
    *ring_at(queue, queue->count++) = item;
}

static void *ring_pop_front(pl__queue *queue)
{
    void *item = *ring_at(queue, 0);
    queue->first = (queue->first + 1) & (queue->capacity - 1);
    queue->count--;
    return item;
}

static void *ring_pop_back(pl__queue *queue)
{
    return *ring_at(queue, --queue->count);
}

/* --- Heap --------------------------------------------------------------------------------------------------------- */

static bool entry_before(const pl__queue *queue, const pl__queue_entry *a, const pl__queue_entry *b)
{
    int compared = queue->compare(a->item, b->item);
    return compared < 0 || (compared == 0 && a->order < b->order);
}

static void heap_push(pl__queue *queue, void *item)
{
    pl__queue_entry *entries = queue->storage;
    const pl__queue_entry entry = {.item = item, .order = queue->sequence++};
    size_t index = queue->count++;
    while (index > 0 && entry_before(queue, &entry, &entries[(index - 1) / 2])) {
        entries[index] = entries[(index - 1) / 2];
        index = (index - 1) / 2;
    }
    entries[index] = entry;
}

static void *heap_pop(pl__queue *queue)
{
    pl__queue_entry *entries = queue->storage;
    void *item = entries[0].item;
    const pl__queue_entry last = entries[--queue->count];
    size_t index = 0;
    for (size_t child = 1; child < queue->count; child = 2 * index + 1) {
        if (child + 1 < queue->count && entry_before(queue, &entries[child + 1], &entries[child]))
            child++;
        if (!entry_before(queue, &entries[child], &last))
            break;
        entries[index] = entries[child];
        index = child;
    }
    entries[index] = last;
    return item;
}

/* --- Items -------------------------------------------------------------------------------------------------------- */

static size_t item_size(const pl__queue *queue)
{
    return queue->kind == PL_QUEUE_PRIORITY ? sizeof(pl__queue_entry) : sizeof(void *);
}

static int queue_grow(pl__queue *queue)
{
    size_t capacity = queue->capacity ? queue->capacity * 2 : PL__QUEUE_SMALLEST;
    if (capacity > SIZE_MAX / 2 / item_size(queue))
        return PL_ENOMEM;
    void *storage = pl__reallocate(queue->storage, queue->capacity * item_size(queue), capacity * item_size(queue));
    if (!storage)
        return PL_ENOMEM;
    size_t old_capacity = queue->capacity;
    queue->storage = storage;
    queue->capacity = capacity;
    if (queue->kind != PL_QUEUE_PRIORITY)
        ring_unwrap(queue, old_capacity);
    return PL_OK;
}

static int queue_push(pl__queue *queue, void *item)
{
    if (queue->count == queue->capacity) {
        int grown = queue_grow(queue);
        if (grown < 0)
            return grown;
    }
    if (queue->kind == PL_QUEUE_PRIORITY)
        heap_push(queue, item);
    else
        ring_push(queue, item);
    return PL_OK;
}

static void *queue_pop(pl__queue *queue)
{
    PL__CHECK(queue->count > 0);
    if (queue->kind == PL_QUEUE_PRIORITY)
        return heap_pop(queue);
    return queue->kind == PL_QUEUE_LIFO ? ring_pop_back(queue) : ring_pop_front(queue);
}

static void queue_drop_all(pl__queue *queue)
{
    while (queue->count > 0) {
        void *item = queue_pop(queue);
        if (queue->unfinished > 0)
            queue->unfinished--;
        if (queue->drop)
            queue->drop(item);
    }
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

static bool waiter_cancel(pl_future *future)
{
    pl__node_unlink(&PL__CONTAINER_OF(future, pl__queue_waiter, future)->node);
    pl__future_finish(future, PL_ECANCELED);
    return true;
}

static const pl__future_type waiter_type = {.name = "queue", .cancel = waiter_cancel, .one_waiter = true};

static bool tell_first(pl__list *waiting)
{
    pl__node *node = pl__list_pop_front(waiting);
    if (node)
        pl__future_finish(&PL__CONTAINER_OF(node, pl__queue_waiter, node)->future, PL_OK);
    return node != NULL;
}

static void tell_side(pl__queue_side *side, size_t available)
{
    while (side->woken < available && tell_first(&side->waiting))
        side->woken++;
}

/* After every change: as many of each side go on as can. Those of a queue that was shut down all look for themselves. */
static void tell_waiters(pl__queue *queue)
{
    tell_side(&queue->getters, queue->shut_down ? SIZE_MAX : queue->count);
    tell_side(&queue->putters, queue->shut_down ? SIZE_MAX : queue->maximum - queue->count);
}

static void tell_joiners(pl__queue *queue)
{
    if (queue->unfinished > 0)
        return;
    while (tell_first(&queue->joiners))
        continue;
}

static uint64_t ticket_of(const pl__node *node)
{
    return PL__CONTAINER_OF(node, pl__queue_waiter, node)->ticket;
}

/* Behind those who drew a smaller ticket: a new one at the end; one that was told in vain near the front. */
static void join_line(pl__queue_side *side, pl__queue_waiter *waiter)
{
    const pl__node *last = pl__list_last(&side->waiting);
    pl__node *place = &side->waiting.head;
    if (last && ticket_of(last) > waiter->ticket) {
        place = pl__list_first(&side->waiting);
        while (ticket_of(place) < waiter->ticket)
            place = place->next;
    }
    pl__node_link_before(&waiter->node, place);
}

static bool getter_may_go(const pl__queue *queue)
{
    return queue->count > 0 || queue->shut_down;
}

static bool putter_may_go(const pl__queue *queue)
{
    return !is_full(queue) || queue->shut_down;
}

/* PL_OK: it may go on now. PL_ECANCELED: its turn is free for the next one, who is to be told. */
static int wait_for_turn(pl__queue *queue, pl__queue_side *side, bool (*may_go)(const pl__queue *queue))
{
    pl_task *task = pl__task_running();
    pl__queue_waiter waiter = {.ticket = queue->sequence++};
    while (!may_go(queue)) {
        pl__future_init(&waiter.future, &waiter_type, queue->loop);
        join_line(side, &waiter);
        int waited = (int)pl__task_wait_for(task, &waiter.future);
        PL__CHECK(!pl__node_is_linked(&waiter.node));
        if (waiter.future.state == PL_FINISHED) { /* also if the task was cancelled afterwards */
            PL__CHECK(side->woken > 0);
            side->woken--;
        }
        if (waited < 0)
            return waited;
    }
    return PL_OK;
}

/* --- Putting and getting ------------------------------------------------------------------------------------------ */

static int queue_put(pl__queue *queue, void *item)
{
    if (queue->shut_down)
        return PL_ECLOSED;
    if (is_full(queue))
        return PL_EFULL;
    int pushed = queue_push(queue, item);
    if (pushed == PL_OK)
        queue->unfinished++;
    return pushed;
}

static int queue_get(pl__queue *queue, void **item)
{
    if (queue->count == 0)
        return queue->shut_down ? PL_ECLOSED : PL_EEMPTY;
    *item = queue_pop(queue);
    return PL_OK;
}

/* As the first thing of a task call, which may let others run: the queue is looked at afterwards. */
static int task_call_begin(const pl__queue *queue)
{
    int begun = pl__task_call_begin();
    return begun < 0 ? begun : queue_check(queue);
}

int pl_queue_put(pl_queue *queue, void *item)
{
    if (!queue)
        return PL_EINVAL;
    pl__queue *inner = queue_of(queue);
    int result = task_call_begin(inner);
    if (result < 0)
        return result;
    result = wait_for_turn(inner, &inner->putters, putter_may_go);
    if (result == PL_OK)
        result = queue_put(inner, item);
    tell_waiters(inner);
    return result;
}

int pl_queue_put_nowait(pl_queue *queue, void *item)
{
    if (!queue)
        return PL_EINVAL;
    int result = queue_check(queue_of(queue));
    if (result < 0)
        return result;
    result = queue_put(queue_of(queue), item);
    tell_waiters(queue_of(queue));
    return result;
}

int pl_queue_get(pl_queue *queue, void **item)
{
    if (item)
        *item = NULL;
    if (!queue || !item)
        return PL_EINVAL;
    pl__queue *inner = queue_of(queue);
    int result = task_call_begin(inner);
    if (result < 0)
        return result;
    result = wait_for_turn(inner, &inner->getters, getter_may_go);
    if (result == PL_OK)
        result = queue_get(inner, item);
    tell_waiters(inner);
    return result;
}

int pl_queue_get_nowait(pl_queue *queue, void **item)
{
    if (item)
        *item = NULL;
    if (!queue || !item)
        return PL_EINVAL;
    int result = queue_check(queue_of(queue));
    if (result < 0)
        return result;
    result = queue_get(queue_of(queue), item);
    tell_waiters(queue_of(queue));
    return result;
}

int pl_queue_task_done(pl_queue *queue)
{
    if (!queue)
        return PL_EINVAL;
    pl__queue *inner = queue_of(queue);
    int checked = queue_check(inner);
    if (checked < 0)
        return checked;
    if (inner->unfinished == 0)
        return PL_ESTATE;
    inner->unfinished--;
    tell_joiners(inner);
    return PL_OK;
}

int pl_queue_join(pl_queue *queue)
{
    if (!queue)
        return PL_EINVAL;
    pl__queue *inner = queue_of(queue);
    int begun = task_call_begin(inner);
    if (begun < 0 || inner->unfinished == 0)
        return begun;
    pl__queue_waiter waiter = {.ticket = 0};
    pl__future_init(&waiter.future, &waiter_type, inner->loop);
    pl__list_push_back(&inner->joiners, &waiter.node);
    return (int)pl__task_wait_for(pl__task_running(), &waiter.future); /* the queue may have ended meanwhile */
}

/* --- From begin to end -------------------------------------------------------------------------------------------- */

int pl_queue_begin_here(pl_queue *queue, const pl_queue_options *options, const char *where)
{
    static const pl_queue_options defaults = {.size = sizeof(pl_queue_options)};
    if (!options)
        options = &defaults;
    if (!queue || options->size != sizeof *options)
        return PL_EINVAL;
    if (options->kind < PL_QUEUE_FIFO || options->kind > PL_QUEUE_PRIORITY)
        return PL_EINVAL;
    if (options->kind == PL_QUEUE_PRIORITY && !options->compare)
        return PL_EINVAL;
    pl__queue *inner = queue_of(queue);
    if (inner->loop)
        return PL_EBUSY;
    pl_loop *loop = options->loop;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    *inner = (pl__queue){.loop = loop, .where = where, .compare = options->compare, .drop = options->drop};
    inner->maximum = options->maximum ? options->maximum : SIZE_MAX;
    inner->kind = (uint8_t)options->kind;
    pl__list_init(&inner->getters.waiting);
    pl__list_init(&inner->putters.waiting);
    pl__list_init(&inner->joiners);
    pl__loop_hold(loop);
    return PL_OK;
}

int pl_queue_shutdown(pl_queue *queue, int immediate)
{
    if (!queue)
        return PL_EINVAL;
    pl__queue *inner = queue_of(queue);
    int checked = queue_check(inner);
    if (checked < 0)
        return checked;
    inner->shut_down = true;
    if (immediate) {
        queue_drop_all(inner);
        tell_joiners(inner);
    }
    tell_waiters(inner);
    return PL_OK;
}

static bool has_waiters(const pl__queue *queue)
{
    return queue->getters.woken > 0 || !pl__list_is_empty(&queue->getters.waiting) || queue->putters.woken > 0 ||
           !pl__list_is_empty(&queue->putters.waiting) || !pl__list_is_empty(&queue->joiners);
}

void pl_queue_end(pl_queue *queue)
{
    if (!queue || !queue_of(queue)->loop)
        return;
    pl__queue *inner = queue_of(queue);
    if (has_waiters(inner) && !inner->loop->closed) /* a closed loop may have left tasks behind */
        PL__PANIC("the queue begun at %s ends while a task still waits in it", inner->where);
    inner->shut_down = true;
    queue_drop_all(inner);
    if (inner->storage)
        pl__release(inner->storage, inner->capacity * item_size(inner));
    pl__loop_release(inner->loop);
    memset(inner, 0, sizeof *inner);
}

/* --- What a queue is ---------------------------------------------------------------------------------------------- */

size_t pl_queue_size(const pl_queue *queue)
{
    return queue ? queue_of(queue)->count : 0;
}

int pl_queue_is_empty(const pl_queue *queue)
{
    return pl_queue_size(queue) == 0;
}

int pl_queue_is_full(const pl_queue *queue)
{
    return queue && queue_of(queue)->loop && is_full(queue_of(queue));
}

int pl_queue_is_shut_down(const pl_queue *queue)
{
    return queue && queue_of(queue)->shut_down;
}
