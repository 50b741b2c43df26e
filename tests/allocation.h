/* An allocator for tests: it checks the sizes it is told, counts, and fails where it is asked to. */
#ifndef PROLOOP_TESTS_ALLOCATION_H
#define PROLOOP_TESTS_ALLOCATION_H

#include <stdlib.h>
#include <string.h>

#include <proloop/base.h>

#include "harness.h"

/* Every call is from one thread in the tests that use it. */
typedef struct allocation {
    pl_allocator allocator;
    int64_t calls;     /* of allocate and reallocate */
    int64_t fail_at;   /* the number of the call that fails, from 1; 0: none */
    bool fail_forever; /* those after it fail too */
    int64_t failed;    /* calls that did */
    int64_t blocks;    /* alive */
    int64_t bytes;
    int64_t wrong; /* sizes that were not those of the block */
} allocation;

enum { ALLOCATION_HEADER = 32, ALLOCATION_MARK = 0x5ca1ab1e };

typedef struct allocation_header {
    size_t size;
    size_t mark;
} allocation_header;

static inline bool allocation_fails(allocation *a)
{
    a->calls++;
    if (a->fail_at == 0 || a->calls < a->fail_at || (a->calls > a->fail_at && !a->fail_forever))
        return false;
    a->failed++;
    return true;
}

static inline void *allocation_allocate(void *context, size_t size)
{
    allocation *a = context;
    allocation_header *header;
    if (allocation_fails(a))
        return NULL;
    header = malloc(ALLOCATION_HEADER + size);
    if (!header)
        return NULL;
    header->size = size;
    header->mark = ALLOCATION_MARK;
    memset((char *)header + ALLOCATION_HEADER, 0xa5, size);
    a->blocks++;
    a->bytes += (int64_t)size;
    return (char *)header + ALLOCATION_HEADER;
}

static inline void allocation_release(void *context, void *memory, size_t size)
{
    allocation *a = context;
    allocation_header *header = (allocation_header *)(void *)((char *)memory - ALLOCATION_HEADER);
    if (header->mark != ALLOCATION_MARK || header->size != size)
        a->wrong++;
    a->blocks--;
    a->bytes -= (int64_t)header->size;
    memset(memory, 0x5a, header->size);
    header->mark = 0;
    free(header);
}

static inline void *allocation_reallocate(void *context, void *memory, size_t old_size, size_t new_size)
{
    void *copy = allocation_allocate(context, new_size);
    if (!copy)
        return NULL;
    memcpy(copy, memory, old_size < new_size ? old_size : new_size);
    allocation_release(context, memory, old_size);
    return copy;
}

/* From now on the library's memory comes from here. */
static inline int allocation_begin(allocation *a)
{
    memset(a, 0, sizeof *a);
    a->allocator.allocate = allocation_allocate;
    a->allocator.reallocate = allocation_reallocate;
    a->allocator.release = allocation_release;
    a->allocator.context = a;
    return pl_set_allocator(&a->allocator);
}

/* Back to the default one. Everything must have been given back, with the right size. */
static inline void allocation_end(allocation *a)
{
    t_restore_allocator();
    CHECK_EQ_INT(a->blocks, 0);
    CHECK_EQ_INT(a->bytes, 0);
    CHECK_EQ_INT(a->wrong, 0);
}

/* --- With threads ------------------------------------------------------------------------------------------------- */

/* Fails where it is asked to, and counts no more than that: threads of the library give memory back at any time, though
 * in these tests only one asks for it. */
typedef struct failing_allocation {
    pl_allocator allocator;
    int calls;
    int fail_at;
} failing_allocation;

static inline void *failing_allocate(void *context, size_t size)
{
    failing_allocation *a = context;
    return ++a->calls == a->fail_at ? NULL : malloc(size);
}

static inline void *failing_reallocate(void *context, void *memory, size_t old_size, size_t new_size)
{
    failing_allocation *a = context;
    (void)old_size;
    return ++a->calls == a->fail_at ? NULL : realloc(memory, new_size);
}

static inline void failing_release(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

/* t_restore_allocator() ends it. */
static inline int failing_allocation_begin(failing_allocation *a)
{
    memset(a, 0, sizeof *a);
    a->allocator = (pl_allocator){failing_allocate, failing_reallocate, failing_release, a};
    return pl_set_allocator(&a->allocator);
}

#endif
