/* Context variables: see context.h. */
#include "context.h"

#include <string.h>

#include "allocator.h"
#include "check.h"
#include "compiler.h"
#include "loop.h"
#include "task.h"

pl__atomic_u32 pl__contexts_used;
static pl__atomic_u32 contexts_made;

/* A value with a drop function, counted by all arrays and tokens that have it. */
typedef struct owned_value {
    pl__atomic_u32 references;
    void *value;
    pl_drop_fn *drop;
} owned_value;

typedef struct binding {
    const pl_context_variable *variable;
    void *value;
    owned_value *owner; /* NULL: the value has no drop function */
} binding;

struct pl__values {
    pl__atomic_u32 references;
    uint32_t count; /* > 0 */
    binding bindings[];
};

struct pl_context {
    pl__atomic_u32 references;
    uint32_t number; /* of those ever made */
    pl__values *values;
};

typedef struct token {
    binding before;    /* its variable is NULL: the token is empty */
    const void *place; /* the context in which it is to be reset, */
    uint64_t number;   /* together with this: another one may lie there by then */
    bool was_set;
} token;

PL__STATIC_ASSERT(sizeof(token) * 4 <= sizeof(pl_context_token) * 3, "pl_context_token keeps a quarter to spare");

static PL__THREAD_LOCAL pl__bindings *thread_bindings; /* of pl_context_run outside a loop, and of workers */

PL__NOIPA static pl__bindings *thread_bindings_get(void)
{
    return thread_bindings;
}

PL__NOIPA static void thread_bindings_set(pl__bindings *bindings)
{
    thread_bindings = bindings;
}

static token *token_of(pl_context_token *public_token)
{
    return (token *)(void *)public_token->opaque.space;
}

/* --- Counting ----------------------------------------------------------------------------------------------------- */

static void owner_ref(owned_value *owner)
{
    if (owner)
        (void)pl__atomic_u32_add(&owner->references, 1);
}

static void owner_unref(owned_value *owner)
{
    if (!owner || pl__atomic_u32_add(&owner->references, UINT32_MAX) > 1)
        return;
    owner->drop(owner->value);
    pl__release(owner, sizeof *owner);
}

static size_t values_size(uint32_t count)
{
    return offsetof(pl__values, bindings) + count * sizeof(binding);
}

static pl__values *values_ref(pl__values *values)
{
    if (values)
        (void)pl__atomic_u32_add(&values->references, 1);
    return values;
}

static void values_unref(pl__values *values)
{
    if (!values || pl__atomic_u32_add(&values->references, UINT32_MAX) > 1)
        return;
    for (uint32_t i = 0; i < values->count; i++)
        owner_unref(values->bindings[i].owner);
    pl__release(values, values_size(values->count));
}

/* --- Bindings ----------------------------------------------------------------------------------------------------- */

/* Of what runs now in this thread; NULL: nothing that has a context. */
static pl__bindings *present(void)
{
    pl_loop *loop = pl_loop_running();
    if (loop && loop->current)
        return &loop->current->bindings;
    if (loop && loop->bindings)
        return loop->bindings;
    return thread_bindings_get();
}

/* Where the values stand that these bindings lead to. */
static pl__values **values_of(pl__bindings *bindings)
{
    return bindings->context ? &bindings->context->values : &bindings->values;
}

pl__bindings pl__bindings_copy_present(void)
{
    pl__bindings *bindings = present();
    return (pl__bindings){.values = bindings ? values_ref(*values_of(bindings)) : NULL};
}

pl__bindings pl__bindings_to(pl_context *context)
{
    return (pl__bindings){.context = pl_context_ref(context)};
}

void pl__bindings_release_all(pl__bindings *bindings)
{
    const pl__bindings old = *bindings;
    *bindings = (pl__bindings){.values = NULL};
    values_unref(old.values); /* last: a drop function may use the bindings, or free what they are in */
    pl_context_unref(old.context);
}

void pl__bindings_run(pl__bindings *bindings, void (*fn)(void *arg), void *arg)
{
    pl__bindings *before = thread_bindings_get();
    thread_bindings_set(bindings);
    fn(arg);
    PL__CHECK(thread_bindings_get() == bindings);
    thread_bindings_set(before);
}

/* --- Values ------------------------------------------------------------------------------------------------------- */

static binding *find(pl__values *values, const pl_context_variable *variable)
{
    for (uint32_t i = 0; values && i < values->count; i++) {
        if (values->bindings[i].variable == variable)
            return &values->bindings[i];
    }
    return NULL;
}

/* The same values with `changed` added or replaced or, if its variable is not to be set, without it; NULL with *failed
 * set: out of memory. */
static pl__values *values_with(pl__values *values, const binding *changed, bool set, bool *failed)
{
    uint32_t others = values ? values->count - (find(values, changed->variable) != NULL) : 0;
    uint32_t count = others + set;
    *failed = false;
    if (count == 0)
        return NULL;
    pl__values *made = pl__allocate(values_size(count));
    if (!made) {
        *failed = true;
        return NULL;
    }
    pl__atomic_u32_store(&made->references, 1);
    made->count = 0;
    for (uint32_t i = 0; values && i < values->count; i++) {
        if (values->bindings[i].variable != changed->variable)
            made->bindings[made->count++] = values->bindings[i];
    }
    if (set)
        made->bindings[made->count++] = *changed;
    PL__CHECK(made->count == count);
    for (uint32_t i = 0; i < count; i++)
        owner_ref(made->bindings[i].owner);
    return made;
}

/* Puts the values of these bindings in place of the old ones, with one variable changed. */
static int change(pl__bindings *bindings, const binding *changed, bool set)
{
    pl__values **place = values_of(bindings);
    bool failed;
    pl__values *made = values_with(*place, changed, set, &failed);
    if (failed)
        return PL_ENOMEM;
    pl__values *old = *place;
    *place = made;
    values_unref(old); /* last: a drop function may look at the context */
    return PL_OK;
}

static const void *identity(const pl__bindings *bindings)
{
    return bindings->context ? (const void *)bindings->context : bindings;
}

/* Of those that lie in the same place, one after another. */
static uint64_t number_of(const pl__bindings *bindings)
{
    const pl_loop *loop = pl_loop_running();
    if (bindings->context)
        return bindings->context->number;
    if (loop && loop->current)
        return loop->current->number;
    return loop && loop->bindings ? loop->counts.callbacks : 0;
}

/* --- Public ------------------------------------------------------------------------------------------------------- */

void *pl_context_get(const pl_context_variable *variable)
{
    if (!variable)
        return NULL;
    pl__bindings *bindings = pl__atomic_u32_load_relaxed(&pl__contexts_used) ? present() : NULL;
    const binding *found = bindings ? find(*values_of(bindings), variable) : NULL;
    return found ? found->value : variable->default_value;
}

static int context_set(pl__bindings *bindings, const pl_context_variable *variable, void *value, owned_value *owner,
                       token *token_to_fill)
{
    const binding *found = find(*values_of(bindings), variable);
    token before = {.before = {.variable = variable}, .was_set = found != NULL};
    before.place = identity(bindings);
    before.number = number_of(bindings);
    if (found)
        before.before = *found;
    owner_ref(before.before.owner); /* the token's */
    const binding changed = {.variable = variable, .value = value, .owner = owner};
    int result = change(bindings, &changed, true);
    if (result == PL_OK && token_to_fill)
        *token_to_fill = before;
    else
        owner_unref(before.before.owner);
    return result;
}

int pl_context_set(const pl_context_variable *variable, void *value, pl_drop_fn *drop, pl_context_token *public_token)
{
    token *token_to_fill = public_token ? token_of(public_token) : NULL;
    pl__bindings *bindings = present();
    int result = PL_OK;
    owned_value *owner = NULL;
    if (!variable)
        result = PL_EINVAL;
    else if (!bindings || (token_to_fill && token_to_fill->before.variable))
        result = PL_ESTATE;
    else if (drop && !(owner = pl__allocate(sizeof *owner)))
        result = PL_ENOMEM;
    if (result < 0) {
        if (drop)
            drop(value);
        return result;
    }
    if (owner) {
        *owner = (owned_value){.value = value, .drop = drop};
        pl__atomic_u32_store(&owner->references, 1);
    }
    pl__atomic_u32_store_relaxed(&pl__contexts_used, 1);
    result = context_set(bindings, variable, value, owner, token_to_fill);
    owner_unref(owner);
    return result;
}

int pl_context_reset(pl_context_token *public_token)
{
    if (!public_token)
        return PL_EINVAL;
    token *used = token_of(public_token);
    pl__bindings *bindings = present();
    if (!used->before.variable || !bindings)
        return PL_ESTATE;
    if (used->place != identity(bindings) || used->number != number_of(bindings))
        return PL_EINVAL;
    int result = change(bindings, &used->before, used->was_set);
    if (result == PL_OK)
        pl_context_forget(public_token);
    return result;
}

void pl_context_forget(pl_context_token *public_token)
{
    if (!public_token)
        return;
    owned_value *owner = token_of(public_token)->before.owner;
    memset(public_token, 0, sizeof *public_token);
    owner_unref(owner);
}

int pl_context_copy(pl_context **context)
{
    if (!context)
        return PL_EINVAL;
    *context = pl__allocate_zeroed(sizeof **context);
    if (!*context)
        return PL_ENOMEM;
    pl__atomic_u32_store(&(*context)->references, 1);
    (*context)->number = pl__atomic_u32_add(&contexts_made, 1);
    (*context)->values = pl__bindings_copy_present().values;
    return PL_OK;
}

pl_context *pl_context_ref(pl_context *context)
{
    if (context)
        (void)pl__atomic_u32_add(&context->references, 1);
    return context;
}

void pl_context_unref(pl_context *context)
{
    if (!context || pl__atomic_u32_add(&context->references, UINT32_MAX) > 1)
        return;
    values_unref(context->values);
    pl__release(context, sizeof *context);
}

int pl_context_run(pl_context *context, void (*fn)(void *arg), void *arg)
{
    if (!context || !fn)
        return PL_EINVAL;
    pl__bindings inside = pl__bindings_to(context);
    pl__bindings *bindings = present();
    if (!bindings || bindings == thread_bindings_get()) {
        pl__bindings_run(&inside, fn, arg);
    } else {
        pl__bindings before = *bindings;
        *bindings = inside;
        fn(arg); /* a task may wait here: its bindings go with it */
        PL__CHECK(bindings->context == context && !bindings->values);
        *bindings = before;
    }
    pl__bindings_release(&inside);
    return PL_OK;
}
