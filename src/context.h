/* Context variables, from the inside.
 *
 * The values of a context are one immutable, counted array, which all copies share: to set a variable is to make a new
 * array, unless this is the only holder. Whatever runs has *bindings*: values of its own, or a context that it shares with
 * others. A task has them in itself, a callback brings them and the loop has them while it runs.
 *
 * Values may go to other threads (a worker, another loop), so they are counted atomically; the bindings stay in one.
 */
#ifndef PROLOOP_SRC_CONTEXT_H
#define PROLOOP_SRC_CONTEXT_H

#include <stdbool.h>

#include <proloop/context.h>

#include "atomic.h"

typedef struct pl__values pl__values;

typedef struct pl__bindings {
    pl__values *values;  /* NULL: no variable is set */
    pl_context *context; /* not NULL: instead of `values` */
} pl__bindings;

extern pl__atomic_u32 pl__contexts_used; /* a variable was set once in this process */

pl__bindings pl__bindings_copy_present(void);
void pl__bindings_release_all(pl__bindings *bindings);

/* A copy of the present context, for what starts now. */
static inline pl__bindings pl__bindings_copy(void)
{
    static const pl__bindings none = {0};
    return pl__atomic_u32_load_relaxed(&pl__contexts_used) ? pl__bindings_copy_present() : none;
}

/* Bindings to a context. */
pl__bindings pl__bindings_to(pl_context *context);

static inline void pl__bindings_release(pl__bindings *bindings)
{
    if (bindings->values || bindings->context)
        pl__bindings_release_all(bindings);
}

/* Runs fn(arg) on a thread without a loop, with bindings that it may change and that stay the caller's. */
void pl__bindings_run(pl__bindings *bindings, void (*fn)(void *arg), void *arg);

#endif
