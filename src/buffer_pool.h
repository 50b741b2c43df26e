/* Buffers for reads that are lent (pl_read_borrow): one size, one pool per loop, last in first out, so that a busy
 * loop keeps using the few that are warm, and an idle connection holds none. */
#ifndef PROLOOP_SRC_BUFFER_POOL_H
#define PROLOOP_SRC_BUFFER_POOL_H

#include <stdbool.h>
#include <stddef.h>

enum { PL__BUFFER_SIZE = 16 * 1024 };

typedef struct pl__buffer_pool {
    void *first;   /* free buffers, each holding a pointer to the next */
    size_t free;   /* how many there are */
    size_t in_use; /* how many are lent */
    bool closed;
} pl__buffer_pool;

void pl__buffer_pool_init(pl__buffer_pool *pool);
void pl__buffer_pool_destroy(pl__buffer_pool *pool); /* one that is lent may still be given back */
void *pl__buffer_take(pl__buffer_pool *pool);        /* NULL: out of memory */
void pl__buffer_give(pl__buffer_pool *pool, void *buffer);

#endif
