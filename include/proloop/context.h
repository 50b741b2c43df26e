/* proloop/context.h: context variables: what a task, and all that it starts, knows without being told by argument.
 *
 * A variable is a static object; its value belongs to the context in which code runs. A task starts with a copy of its
 * spawner's context, a callback runs in a copy of the one in which it was scheduled (pl_call_soon, timers, done callbacks,
 * posts from other threads), a function on a thread pool likewise; what each of them sets, it sets for itself and for
 * what it starts from then on. A copy costs one count, and nothing at all where no variable was ever set.
 *
 *     static const pl_context_variable request = {"request", NULL};
 *     pl_context_set(&request, this_request, NULL, NULL);
 *     ...
 *     log_line(pl_context_get(&request));
 *
 * There is a context in tasks, in callbacks, in functions on a thread pool, and inside pl_context_run; elsewhere
 * setting gets PL_ESTATE, and a variable has its default value.
 */
#ifndef PROLOOP_CONTEXT_H
#define PROLOOP_CONTEXT_H

#include <proloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A variable: its address is what it is known by, so it must outlive every context. asyncio: contextvars.ContextVar. */
typedef struct pl_context_variable {
    const char *name;    /* for reports and debuggers */
    void *default_value; /* where it was not set */
} pl_context_variable;

/** A context held by itself: shared by what runs in it, which sees what others set. Counted. asyncio: Context. */
typedef struct pl_context pl_context;

/** What a variable was before it was set. Caller-owned, zeroed; to be given to pl_context_reset or
 *  pl_context_forget once it was filled. */
typedef struct pl_context_token {
    union {
        uint64_t space[8];
        void *align;
    } opaque;
} pl_context_token;

/** The variable's value here; its default if it was not set. Any thread. NULL gives NULL. */
PL_API void *pl_context_get(const pl_context_variable *variable);

/** Sets it, in the present context.
 *  @param drop   called with `value` when no context and no token has it any more, in whatever thread that
 *  happens, and if this call fails; may be NULL
 *  @param token  filled with what it was before; NULL: not wanted
 *  @return PL_OK; PL_EINVAL, PL_ENOMEM, PL_ESTATE: there is no context here, or the token is in use. */
PL_API int pl_context_set(const pl_context_variable *variable, void *value, pl_drop_fn *drop, pl_context_token *token);

/** Makes the variable what it was before the pl_context_set that filled the token, which is zeroed then.
 *  @return PL_OK; PL_ESTATE: the token is empty, used already; PL_EINVAL: it is of another context; PL_ENOMEM. */
PL_API int pl_context_reset(pl_context_token *token);

/** Lets go what the token keeps, without a change; harmless for an empty one. */
PL_API void pl_context_forget(pl_context_token *token);

/** Makes a context that is a copy of the present one (empty where there is none). @return PL_OK, PL_EINVAL, PL_ENOMEM. */
PL_API int pl_context_copy(pl_context **context);

/** Any thread. */
PL_API pl_context *pl_context_ref(pl_context *context);
PL_API void pl_context_unref(pl_context *context);

/** Calls fn(arg) in that context: what it sets stays there. A task may wait inside; from any thread, one at a time.
 *  @return PL_OK, PL_EINVAL. */
PL_API int pl_context_run(pl_context *context, void (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
