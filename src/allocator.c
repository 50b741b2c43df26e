/* allocator.c: the allocator of the process, and the count of bytes that are out.
 *
 * The allocator may change only while nothing is out, and before the library is used by a second thread: so
 * it is read without synchronisation.
 */
#include <proloop/base.h>

#include <stdlib.h>
#include <string.h>

#include "allocator.h"
#include "atomic.h"
#include "check.h"

static void *allocate_default(void *context, size_t size)
{
    PL__UNUSED(context);
    return malloc(size);
}

static void *reallocate_default(void *context, void *memory, size_t old_size, size_t new_size)
{
    PL__UNUSED(context);
    PL__UNUSED(old_size);
    return realloc(memory, new_size);
}

static void release_default(void *context, void *memory, size_t size)
{
    PL__UNUSED(context);
    PL__UNUSED(size);
    free(memory);
}

static const pl_allocator default_allocator = {allocate_default, reallocate_default, release_default, NULL};
static pl_allocator current = {allocate_default, reallocate_default, release_default, NULL};
static pl__atomic_i64 in_use;

int pl_set_allocator(const pl_allocator *allocator)
{
    if (!allocator)
        allocator = &default_allocator;
    if (!allocator->allocate || !allocator->reallocate || !allocator->release)
        return PL_EINVAL;
    if (pl__atomic_i64_load(&in_use) != 0)
        return PL_ESTATE;
    current = *allocator;
    return PL_OK;
}

int64_t pl_memory_in_use(void)
{
    return pl__atomic_i64_load_relaxed(&in_use);
}

void *pl__allocate(size_t size)
{
    PL__CHECK(size > 0);
    void *memory = current.allocate(current.context, size);
    if (memory)
        pl__atomic_i64_add_relaxed(&in_use, (int64_t)size);
    return memory;
}

void *pl__allocate_zeroed(size_t size)
{
    void *memory = pl__allocate(size);
    if (memory)
        memset(memory, 0, size);
    return memory;
}

void *pl__reallocate(void *memory, size_t old_size, size_t new_size)
{
    if (!memory)
        return pl__allocate(new_size);
    PL__CHECK(old_size > 0 && new_size > 0);
    memory = current.reallocate(current.context, memory, old_size, new_size);
    if (memory)
        pl__atomic_i64_add_relaxed(&in_use, (int64_t)new_size - (int64_t)old_size);
    return memory;
}

void pl__release(void *memory, size_t size)
{
    if (!memory)
        return;
    PL__CHECK(size > 0);
    current.release(current.context, memory, size);
    (void)pl__atomic_i64_add(&in_use, -(int64_t)size); /* then pl_set_allocator may go on, in another thread */
}
