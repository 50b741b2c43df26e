/* A callback to come: a node that stands in a loop's ready queue, or in a future's list until that is done.
 *
 * Everything a loop runs is one of these: user callbacks, due timers, tasks to go on with. Moving a future's callbacks to
 * the ready queue is relinking a list, so completing never allocates and never fails.
 */
#ifndef PROLOOP_SRC_CALLBACK_H
#define PROLOOP_SRC_CALLBACK_H

#include <proloop/loop.h>

#include "context.h"
#include "list.h"

typedef struct pl__callback {
    pl__node node; /* linked: it is to come */
    pl_callback_fn *fn;
    void *arg;
    const char *where;     /* where a user asked for it, or NULL */
    pl__bindings bindings; /* the context that it runs in; empty for the library's own */
} pl__callback;

/* What lies in a pl_callback. */
typedef struct pl__user_callback {
    pl__callback callback;
    pl_loop *loop; /* while it is to come: to check the thread */
} pl__user_callback;

static inline pl__callback *pl__callback_of(pl_callback *callback)
{
    return (pl__callback *)(void *)callback->opaque.space;
}

/* Makes an idle callback ready to be linked somewhere on behalf of a user: in a copy of the present context, unless one
 * was set for it. */
void pl__callback_fill(pl__callback *callback, pl_callback_fn *fn, void *arg, const char *where);

/* Whose it is while it is to come, for the checks of debug mode. */
void pl__callback_belongs_to(pl_callback *callback, pl_loop *loop);

/* It will not run: what it kept is let go. Not linked. */
static inline void pl__callback_forget(pl__callback *callback)
{
    pl__bindings_release(&callback->bindings);
}

/* Behind everything that is ready. The callback is idle. */
void pl__callback_ready(pl__callback *callback, pl_loop *loop, pl_callback_fn *fn, void *arg);

/* A callback in memory of the library, made by pl_call_soon and pl_call_soon_threadsafe. */
typedef struct pl__call {
    pl__callback callback; /* its fn is pl__call_run, its arg this call */
    struct pl__call *next; /* in a remote's inbox, or among the loop's free calls */
    pl_loop *loop;
    pl_callback_fn *fn;
    void *arg;
    pl_drop_fn *drop;
    bool embedded; /* part of something of its poster's, whose memory it is again when fn or drop is called */
} pl__call;

/* As pl__callback_ready, but for what has been posted and not been collected yet, which comes behind it. */
void pl__call_ready(pl_loop *loop, pl__call *call);

/* Notes the present context, and where the call was asked for. Any thread. */
void pl__call_fill(pl__call *call, const char *where);

/* A callback that was still to come when its loop was closed. */
void pl__callback_drop(pl__callback *callback);

/* Frees the calls kept for reuse. */
void pl__calls_destroy(pl_loop *loop);

#endif
