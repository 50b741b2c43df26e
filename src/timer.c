/* Timers: see timer.h for the heap. */
#include "timer.h"

#include <string.h>

#include "allocator.h"
#include "debug.h"
#include "loop.h"

enum { PL__HEAP_WIDTH = 4, PL__HEAP_SMALLEST = 64 };

PL__STATIC_ASSERT(sizeof(pl__timer) * 4 <= sizeof(pl_timer) * 3, "pl_timer keeps a quarter to spare");

static bool entry_before(const pl__timer_entry *a, const pl__timer_entry *b)
{
    if (a->deadline != b->deadline)
        return a->deadline < b->deadline;
    return a->sequence < b->sequence;
}

static void heap_place(pl__timer_heap *heap, size_t index, pl__timer_entry entry)
{
    heap->entries[index] = entry;
    entry.timer->index = index;
}

static void heap_sift_up(pl__timer_heap *heap, size_t index, pl__timer_entry entry)
{
    while (index > 0) {
        size_t parent = (index - 1) / PL__HEAP_WIDTH;
        if (!entry_before(&entry, &heap->entries[parent]))
            break;
        heap_place(heap, index, heap->entries[parent]);
        index = parent;
    }
    heap_place(heap, index, entry);
}

static size_t heap_first_child(const pl__timer_heap *heap, size_t index)
{
    size_t first = index * PL__HEAP_WIDTH + 1;
    size_t end = first + PL__HEAP_WIDTH < heap->count ? first + PL__HEAP_WIDTH : heap->count;
    size_t best = first;
    for (size_t child = first + 1; child < end; child++) {
        if (entry_before(&heap->entries[child], &heap->entries[best]))
            best = child;
    }
    return best;
}

static void heap_sift_down(pl__timer_heap *heap, size_t index, pl__timer_entry entry)
{
    while (index * PL__HEAP_WIDTH + 1 < heap->count) {
        size_t child = heap_first_child(heap, index);
        if (!entry_before(&heap->entries[child], &entry))
            break;
        heap_place(heap, index, heap->entries[child]);
        index = child;
    }
    heap_place(heap, index, entry);
}

static int heap_resize(pl__timer_heap *heap, size_t capacity)
{
    if (capacity > SIZE_MAX / sizeof(pl__timer_entry))
        return PL_ENOMEM;
    pl__timer_entry *entries =
        pl__reallocate(heap->entries, heap->capacity * sizeof *entries, capacity * sizeof *entries);
    if (!entries)
        return PL_ENOMEM;
    heap->entries = entries;
    heap->capacity = capacity;
    return PL_OK;
}

static void heap_remove(pl__timer_heap *heap, size_t index)
{
    PL__CHECK(index < heap->count);
    heap->entries[index].timer->loop = NULL;
    pl__timer_entry last = heap->entries[--heap->count];
    if (index < heap->count) {
        if (index > 0 && entry_before(&last, &heap->entries[(index - 1) / PL__HEAP_WIDTH]))
            heap_sift_up(heap, index, last);
        else
            heap_sift_down(heap, index, last);
    }
    if (heap->capacity > PL__HEAP_SMALLEST && heap->count < heap->capacity / 8)
        (void)heap_resize(heap, heap->capacity / 2); /* without memory it stays large */
}

int pl__timer_start_at(pl__timer *timer, pl_loop *loop, int64_t deadline, pl_callback_fn *fn, void *arg)
{
    pl__timer_heap *heap = &loop->timers;
    PL__CHECK(!pl__timer_is_running(timer));
    if (heap->count == heap->capacity) {
        int resized = heap_resize(heap, heap->capacity ? heap->capacity * 2 : PL__HEAP_SMALLEST);
        if (resized < 0)
            return resized;
    }
    timer->loop = loop;
    timer->callback.fn = fn;
    timer->callback.arg = arg;
    pl__timer_entry entry = {.deadline = deadline, .sequence = heap->sequence++, .timer = timer};
    heap_sift_up(heap, heap->count++, entry);
    if (timer->index == 0)
        pl__loop_work_came(loop);
    return PL_OK;
}

bool pl__timer_stop(pl__timer *timer)
{
    if (timer->loop) {
        heap_remove(&timer->loop->timers, timer->index);
        return true;
    }
    if (pl__node_is_linked(&timer->callback.node)) {
        pl__node_unlink(&timer->callback.node);
        return true;
    }
    return false;
}

int64_t pl__timer_left(const pl__timer *timer)
{
    if (!timer->loop)
        return 0;
    int64_t deadline = timer->loop->timers.entries[timer->index].deadline;
    int64_t now = pl__loop_now(timer->loop);
    if (deadline == PL_FOREVER)
        return PL_FOREVER;
    return deadline > now ? deadline - now : 0;
}

void pl__timer_heap_run_due(pl__timer_heap *heap, int64_t now)
{
    while (heap->count && heap->entries[0].deadline <= now) {
        pl__timer *timer = heap->entries[0].timer;
        pl_loop *loop = timer->loop;
        heap_remove(heap, 0);
        pl__list_push_back(&loop->ready, &timer->callback.node);
    }
}

void pl__timer_heap_destroy(pl__timer_heap *heap)
{
    while (heap->count) { /* from the end, as a drop function may stop others */
        pl__timer *timer = heap->entries[--heap->count].timer;
        timer->loop = NULL;
        pl__callback_forget(&timer->callback);
    }
    if (heap->entries)
        pl__release(heap->entries, heap->capacity * sizeof *heap->entries);
    memset(heap, 0, sizeof *heap);
}

/* --- Public ------------------------------------------------------------------------------------------------------- */

static int timer_start(pl__timer *timer, pl_loop *loop, pl_duration deadline, pl_callback_fn *fn, void *arg,
                       const char *where)
{
    if (pl__timer_stop(timer))
        pl__callback_forget(&timer->callback);
    pl__callback_fill(&timer->callback, fn, arg, where);
    timer->owner = loop;
    int started = pl__timer_start_at(timer, loop, deadline, fn, arg);
    if (started < 0)
        pl__callback_forget(&timer->callback);
    return started;
}

int pl_timer_start_at_here(pl_timer *timer, pl_loop *loop, pl_duration deadline, pl_callback_fn *fn, void *arg,
                           const char *where)
{
    if (!timer || !fn)
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    return timer_start(pl__timer_of(timer), loop, deadline, fn, arg, where);
}

int pl_timer_start_here(pl_timer *timer, pl_loop *loop, pl_duration delay, pl_callback_fn *fn, void *arg,
                        const char *where)
{
    if (!timer || !fn)
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    return timer_start(pl__timer_of(timer), loop, pl__deadline_after(pl__loop_now(loop), delay), fn, arg, where);
}

int pl_timer_stop(pl_timer *timer)
{
    if (!timer ||
        (pl__timer_is_running(pl__timer_of(timer)) && pl__loop_refuses(pl__timer_of(timer)->owner, "pl_timer_stop")))
        return 0;
    bool stopped = pl__timer_stop(pl__timer_of(timer));
    pl__callback_forget(&pl__timer_of(timer)->callback);
    return stopped;
}

int pl_timer_set_context(pl_timer *timer, pl_context *context)
{
    if (!timer)
        return PL_EINVAL;
    if (pl__timer_is_running(pl__timer_of(timer)))
        return PL_EBUSY;
    pl__callback_forget(&pl__timer_of(timer)->callback);
    pl__timer_of(timer)->callback.bindings = pl__bindings_to(context);
    return PL_OK;
}
