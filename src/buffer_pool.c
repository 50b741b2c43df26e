/* buffer_pool.c: the buffers of reads that are lent, kept in a bounded list of free ones.
 *
 * A free buffer's first bytes are the link to the next. The list is a stack: the buffer given back last is
 * the one the caches still hold. More than FREE_MAX are not kept, so a burst of readers does not hold memory
 * for ever.
 */
#include "buffer_pool.h"

#include "allocator.h"
#include "check.h"

enum { FREE_MAX = 64 }; /* 1 MiB */

void pl__buffer_pool_init(pl__buffer_pool *pool)
{
    *pool = (pl__buffer_pool){0};
}

static void *pop(pl__buffer_pool *pool)
{
    void **buffer = pool->first;
    PL__CHECK(pool->free > 0);
    pool->first = *buffer;
    pool->free--;
    return buffer;
}

void pl__buffer_pool_destroy(pl__buffer_pool *pool)
{
    pool->closed = true; /* those still lent are released when they come back */
    while (pool->first)
        pl__release(pop(pool), PL__BUFFER_SIZE);
    PL__CHECK(pool->free == 0);
}

void *pl__buffer_take(pl__buffer_pool *pool)
{
    void *buffer = pool->first ? pop(pool) : pl__allocate(PL__BUFFER_SIZE);
    if (buffer)
        pool->in_use++;
    return buffer;
}

void pl__buffer_give(pl__buffer_pool *pool, void *buffer)
{
    PL__CHECK(buffer && pool->in_use > 0);
    pool->in_use--;
    if (pool->closed || pool->free == FREE_MAX) {
        pl__release(buffer, PL__BUFFER_SIZE);
        return;
    }
    *(void **)buffer = pool->first;
    pool->first = buffer;
    pool->free++;
}
