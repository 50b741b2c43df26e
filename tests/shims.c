/* What the shims of all systems share. */
#include "shims_inner.h"

#include <string.h>

#include "atomic.h"
#include "thread.h"

static struct {
    pl__atomic_u32 on;
    pl__atomic_i64 loop_thread; /* atomic, as an abandoned call may outlive its case */
    pl__atomic_i64 calls[SHIM_KINDS];
    pl__atomic_i64 calls_of_loop[SHIM_KINDS];
    pl__atomic_i64 faults; /* a shim_fault_fn, or 0 */
    pl__atomic_u32 resolve_at_once;
    bool ready; /* the mutex and the condition */
    pl__mutex mutex;
    pl__condition condition;
    bool hold[SHIM_KINDS];
    int held[SHIM_KINDS];
} state;

const char *shim_name(shim kind)
{
    static const char *const names[SHIM_KINDS] = {
        "open",    "stat", "path",   "read", "list",  "write", "change", "close", "send file",    "resolve",
        "receive", "send", "accept", "wait", "start", "begin", "spawn",  "pidfd", "collect",      "resolve both",
        "resolve IPv4", "resolve IPv6"};
    return names[kind];
}

void shims_begin(void)
{
    int kind;
    if (!state.ready) {
        pl__mutex_init(&state.mutex);
        pl__condition_init(&state.condition);
        state.ready = true;
    }
    pl__atomic_i64_store(&state.loop_thread, (int64_t)pl__thread_id());
    for (kind = 0; kind < SHIM_KINDS; kind++) {
        pl__atomic_i64_store(&state.calls[kind], 0);
        pl__atomic_i64_store(&state.calls_of_loop[kind], 0);
    }
    shims_set_faults(NULL);
    pl__atomic_u32_store(&state.on, 1);
}

void shims_end(void)
{
    pl__atomic_u32_store(&state.on, 0);
    shims_set_faults(NULL);
    shims_set_name(NULL, NULL, 0);
    shims_set_name_error(SHIM_NAME_UNKNOWN);
    shims_set_reverse(NULL);
    shims_set_resolve_at_once(false);
}

void shims_set_resolve_at_once(bool at_once)
{
    pl__atomic_u32_store(&state.resolve_at_once, at_once);
}

bool shims_resolve_at_once(void)
{
    return pl__atomic_u32_load(&state.resolve_at_once) != 0;
}

bool shims_are_on(void)
{
    return pl__atomic_u32_load(&state.on) != 0;
}

int64_t shim_calls(shim kind)
{
    return pl__atomic_i64_load(&state.calls[kind]);
}

int64_t shim_calls_of_loop(shim kind)
{
    return pl__atomic_i64_load(&state.calls_of_loop[kind]);
}

void shims_set_faults(shim_fault_fn *fn)
{
    pl__atomic_i64_store(&state.faults, (int64_t)(intptr_t)fn);
}

shim_fault shim_fault_of(shim kind, size_t *limit)
{
    shim_fault_fn *fn = (shim_fault_fn *)(intptr_t)pl__atomic_i64_load(&state.faults);
    shim_fault fault = shims_are_on() && fn ? fn(kind, limit) : SHIM_AS_IS;
    return shim_can(kind, fault) ? fault : SHIM_AS_IS;
}

void shims_hold(shim kind)
{
    pl__mutex_lock(&state.mutex);
    state.hold[kind] = true;
    pl__mutex_unlock(&state.mutex);
}

void shims_release(shim kind)
{
    pl__mutex_lock(&state.mutex);
    state.hold[kind] = false;
    pl__condition_broadcast(&state.condition);
    pl__mutex_unlock(&state.mutex);
}

int shims_held(shim kind)
{
    int held;
    pl__mutex_lock(&state.mutex);
    held = state.held[kind];
    pl__mutex_unlock(&state.mutex);
    return held;
}

static void wait_while_held(shim kind)
{
    pl__mutex_lock(&state.mutex);
    state.held[kind]++;
    while (state.hold[kind])
        pl__condition_wait(&state.condition, &state.mutex);
    state.held[kind]--;
    pl__mutex_unlock(&state.mutex);
}

void shim_called(shim kind)
{
    if (!shims_are_on())
        return;
    pl__atomic_i64_add(&state.calls[kind], 1);
    if ((int64_t)pl__thread_id() == pl__atomic_i64_load(&state.loop_thread))
        pl__atomic_i64_add(&state.calls_of_loop[kind], 1);
    else
        wait_while_held(kind);
}

bool shim_makes_no_pipe(void)
{
    size_t limit;
    shim_called(SHIM_START);
    return shim_fault_of(SHIM_START, &limit) == SHIM_NO_HANDLES;
}
