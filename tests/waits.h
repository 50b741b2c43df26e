/* What the tests of waits for several futures share: items, futures for them, and tasks that call and are waited for.
 *
 * A case opens `waits` with so many futures, each in an item; starts a task that makes the call, for which the loop then
 * runs by turns; and looks at `rc`, what the call returned, and at the items.
 */
#ifndef PROLOOP_TESTS_WAITS_H
#define PROLOOP_TESTS_WAITS_H

#include "fixture.h"

enum { WAITS_CALLER = FIXTURE_SLOTS - 1, STILL_WAITING = 12345 };

typedef struct child {
    fixture *f;
    int slot;
    int yields;           /* when it is cancelled, before it ends */
    int64_t after_cancel; /* what it ends with then */
} child;

typedef struct waits {
    fixture f;
    pl_awaited items[FIXTURE_SLOTS];
    child children[FIXTURE_SLOTS];
    size_t count;
    int flags; /* of pl_gather */
    int mode;  /* of pl_wait */
    pl_duration limit;
    int64_t rc; /* what the call returned */
    size_t winner;
} waits;

static inline bool waits_open(waits *w, const test_context *t, int count)
{
    memset(w, 0, sizeof *w);
    if (!fixture_open(&w->f, t))
        return false;
    w->count = (size_t)count;
    w->limit = PL_FOREVER;
    w->rc = STILL_WAITING;
    for (int i = 0; i < count; i++)
        w->items[i].future = new_future(&w->f, i);
    return true;
}

/* The items are out of use: a callback that was left in them would be seen now. */
static inline void waits_spoil_items(waits *w)
{
    memset(w->items, 0xa5, sizeof w->items);
}

#define waits_close(w)                                                                                                 \
    do {                                                                                                               \
        waits_spoil_items(w);                                                                                          \
        fixture_close(&(w)->f);                                                                                        \
    } while (0)

static inline void set_result(waits *w, int slot, int64_t result)
{
    CHECK_EQ_INT(pl_future_set_result(w->f.futures[slot], result), PL_OK);
}

static inline void set_error(waits *w, int slot, int64_t error)
{
    CHECK_EQ_INT(pl_future_set_error(w->f.futures[slot], error), PL_OK);
}

static inline void start_caller(waits *w, pl_task_fn *fn)
{
    w->f.tasks[WAITS_CALLER] = start_task(&w->f, fn, w);
}

static inline void cancel_caller(waits *w)
{
    CHECK_EQ_INT(pl_task_cancel(w->f.tasks[WAITS_CALLER]), 1);
}

static inline void cancel_caller_soon(void *arg)
{
    cancel_caller(arg);
}

static inline int state_of(const waits *w, int slot)
{
    return pl_future_state(w->f.futures[slot]);
}

static const char *const child_names[FIXTURE_SLOTS] = {"0", "1", "2", "3", "4", "5", "6", "7"};

/* Awaits the future of its slot, notes its number when it ends. */
static inline int64_t child_run(void *arg)
{
    child *c = arg;
    int64_t rc = pl_await(c->f->futures[c->slot]);
    if (rc == PL_ECANCELED) {
        for (int i = 0; i < c->yields; i++)
            (void)pl_yield();
        rc = c->after_cancel;
    }
    note(c->f, child_names[c->slot]);
    return rc;
}

/* The item of that slot is a task which awaits the future of the slot. */
static inline void start_child(waits *w, int slot, int yields, int64_t after_cancel)
{
    w->children[slot] = (child){.f = &w->f, .slot = slot, .yields = yields, .after_cancel = after_cancel};
    w->f.tasks[slot] = start_task(&w->f, child_run, &w->children[slot]);
    w->items[slot].future = pl_task_future(w->f.tasks[slot]);
}

static inline int64_t child_result(const waits *w, int slot)
{
    return pl_future_result(pl_task_future(w->f.tasks[slot]));
}

/* The items' results, for those that are done, in the trace. */
static inline void note_items(waits *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->items[i].done)
            note_code(&w->f, w->items[i].result);
        else
            note(&w->f, "-");
    }
}

/* A case whose body is a task; `w` has that many futures. */
#define WAITS_CASE(name, count)                                                                                        \
    static int64_t name##_task(void *arg);                                                                             \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        waits w;                                                                                                       \
        REQUIRE(waits_open(&w, t, (count)));                                                                           \
        CHECK_EQ_INT(run_task(&w.f, name##_task, &w), 0);                                                              \
        waits_close(&w);                                                                                               \
    }                                                                                                                  \
    static int64_t name##_task(void *arg)

#endif
