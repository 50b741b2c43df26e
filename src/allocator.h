/* allocator.h: the library's memory, from the allocator of the process (pl_set_allocator).
 *
 * Whoever releases says the size it asked for, so blocks carry no header of ours, and the bytes in use are
 * counted. All of it may be called from any thread. NULL means that none is left.
 */
#ifndef PL__ALLOCATOR_H
#define PL__ALLOCATOR_H

#include <stddef.h>

/* A size of 0 is a mistake of the caller, and checked. */
void *pl__allocate(size_t size);
void *pl__allocate_zeroed(size_t size);

/* `memory` may be NULL, then `old_size` is 0. On failure the old block stays as it was. */
void *pl__reallocate(void *memory, size_t old_size, size_t new_size);

/* `memory` may be NULL. */
void pl__release(void *memory, size_t size);

#endif
