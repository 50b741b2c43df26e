/* Creations: where and on which stack futures and tasks were made. See debug.h. */
#include <string.h>

#include "allocator.h"
#include "debug.h"
#include "future.h"
#include "task.h"

enum { PL__BUCKETS_SMALLEST = 256, PL__FRAMES_OF_OURS = 1 /* pl__creations_add */ };

static size_t bucket_of(const pl__creations *creations, const pl_future *object)
{
    uint64_t mixed = (uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> 32) & (creations->bucket_count - 1);
}

static void link_creation(pl__creations *creations, pl__creation *creation)
{
    pl__creation **bucket = &creations->buckets[bucket_of(creations, creation->object)];
    creation->next = *bucket;
    *bucket = creation;
}

/* Without memory the buckets just get longer; false: there are none. */
static bool grow(pl__creations *creations)
{
    if (creations->count < creations->bucket_count)
        return true;
    pl__creations grown = *creations;
    grown.bucket_count = creations->bucket_count ? creations->bucket_count * 2 : PL__BUCKETS_SMALLEST;
    grown.buckets = pl__allocate_zeroed(grown.bucket_count * sizeof(pl__creation *));
    if (!grown.buckets)
        return creations->bucket_count > 0;
    for (size_t i = 0; i < creations->bucket_count; i++) {
        for (pl__creation *next, *each = creations->buckets[i]; each; each = next) {
            next = each->next;
            link_creation(&grown, each);
        }
    }
    pl__release(creations->buckets, creations->bucket_count * sizeof(pl__creation *));
    *creations = grown;
    return true;
}

PL__NOINLINE void pl__creations_add(pl__creations *creations, const pl_future *object)
{
    pl__creation *creation = grow(creations) ? pl__allocate_zeroed(sizeof *creation) : NULL;
    if (!creation) {
        creations->missed++;
        return;
    }
    creation->object = object;
    creation->where = object->where;
    creation->frame_count = (uint32_t)pl__stack_capture(creation->frames, PL__STACK_FRAMES, PL__FRAMES_OF_OURS);
    link_creation(creations, creation);
    creations->count++;
}

/* The link that leads to it, or to NULL. */
static pl__creation **find(const pl__creations *creations, const pl_future *object)
{
    pl__creation **link = &creations->buckets[bucket_of(creations, object)];
    while (*link && (*link)->object != object)
        link = &(*link)->next;
    return link;
}

void pl__creations_remove(pl__creations *creations, const pl_future *object)
{
    pl__creation **link = creations->bucket_count ? find(creations, object) : NULL;
    if (!link || !*link)
        return;
    pl__creation *creation = *link;
    *link = creation->next;
    pl__release(creation, sizeof *creation);
    creations->count--;
}

void pl__creations_clear(pl__creations *creations)
{
    for (size_t i = 0; i < creations->bucket_count; i++) {
        for (pl__creation *next, *each = creations->buckets[i]; each; each = next) {
            next = each->next;
            pl__release(each, sizeof *each);
        }
    }
    pl__release(creations->buckets, creations->bucket_count * sizeof(pl__creation *));
    *creations = (pl__creations){.buckets = NULL};
}

void pl__creations_describe(const pl__creations *creations, const pl_future *object, pl__text *text)
{
    const pl__creation *creation = creations->bucket_count ? *find(creations, object) : NULL;
    for (uint32_t i = 0; creation && i < creation->frame_count; i++) {
        char line[256];
        pl__stack_describe(creation->frames[i], line, sizeof line);
        pl__text_add(text, "    ");
        pl__text_add_printable(text, line);
        pl__text_add(text, "\n");
    }
}

/* --- By place ----------------------------------------------------------------------------------------------------- */

typedef struct pl__total {
    const char *where;
    size_t objects;
    size_t bytes;
} pl__total;

static bool same_place(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static size_t bytes_of(const pl_future *object)
{
    const pl_task *task = pl__task_if_future(object);
    return task ? sizeof *task + pl_task_stack_used(task) : sizeof *object;
}

/* The total of a place: of those there are at most as many as creations, so the array is never full. */
static pl__total *total_of(pl__total *totals, size_t *count, const char *where)
{
    for (size_t i = 0; i < *count; i++) {
        if (same_place(totals[i].where, where))
            return &totals[i];
    }
    pl__total *added = &totals[(*count)++];
    added->where = where;
    return added;
}

void pl__creations_dump(const pl__creations *creations, pl__text *text)
{
    pl__text_add(text, "made and not yet released: %zu futures and tasks\n", creations->count);
    if (creations->missed)
        pl__text_add(text, "  and some of %zu that there was no memory to note\n", creations->missed);
    size_t size = creations->count * sizeof(pl__total), count = 0;
    pl__total *totals = size ? pl__allocate_zeroed(size) : NULL;
    text->failed = text->failed || (size && !totals);
    for (size_t i = 0; totals && i < creations->bucket_count; i++) {
        for (const pl__creation *each = creations->buckets[i]; each; each = each->next) {
            pl__total *total = total_of(totals, &count, each->where);
            total->objects++;
            total->bytes += bytes_of(each->object);
        }
    }
    for (size_t i = 0; i < count; i++) {
        pl__text_add(text, "  %zu objects, %zu bytes, made at ", totals[i].objects, totals[i].bytes);
        pl__text_add_printable(text, totals[i].where);
        pl__text_add(text, "\n");
    }
    pl__release(totals, size);
}
