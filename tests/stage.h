/* What the tests of lock, event, condition, semaphore and barrier share: a fixture whose tasks are named after their
 * slot, a to h, and run in a scope each, so that a case can cancel any of them, as an edge or as a level.
 *
 * A case has a struct of its own that begins with a stage; its tasks get that struct.
 */
#ifndef PROLOOP_TESTS_STAGE_H
#define PROLOOP_TESTS_STAGE_H

#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "threads.h"

enum { EDGE, LEVEL };

typedef struct stage {
    fixture f; /* the first member */
    pl_task_fn *bodies[FIXTURE_SLOTS];
    pl_timeout *scopes[FIXTURE_SLOTS];
    int64_t results[FIXTURE_SLOTS]; /* of the bodies; the tasks themselves do not fail, so nothing is reported */
} stage;

/* The slot of the task that runs. */
static inline int stage_slot(void)
{
    return pl_task_name(pl_task_current())[0] - 'a';
}

static inline int64_t stage_task(void *arg)
{
    stage *s = arg;
    int slot = stage_slot();
    pl_timeout scope = {0};
    int64_t result;
    CHECK_EQ_INT(pl_timeout_begin(&scope, PL_FOREVER), PL_OK);
    s->scopes[slot] = &scope;
    result = s->bodies[slot](arg);
    s->scopes[slot] = NULL;
    s->results[slot] = pl_timeout_end(&scope, result);
    return PL_OK;
}

/* A task of body(s) in a slot whose task, if any, has ended. */
static inline void enter(void *arg, int slot, pl_task_fn *body)
{
    stage *s = arg;
    char name[2] = {(char)('a' + slot), '\0'};
    pl_task_options options = {.size = sizeof options, .loop = s->f.loop, .name = name};
    pl_task_unref(s->f.tasks[slot]);
    s->bodies[slot] = body;
    CHECK_EQ_INT(pl_spawn(&s->f.tasks[slot], stage_task, s, &options), PL_OK);
}

/* Cancels the task of a slot, which has begun. */
static inline void cancel(void *arg, int slot, int kind)
{
    stage *s = arg;
    if (kind == EDGE)
        CHECK_EQ_INT(pl_task_cancel(s->f.tasks[slot]), 1);
    else
        CHECK_EQ_INT(pl_timeout_reschedule(s->scopes[slot], 0), PL_OK);
}

/* A scope for one round of a task that is cancelled at random: a level lasts as long as the round. */
static inline void begin_round(void *arg, pl_timeout *scope)
{
    stage *s = arg;
    CHECK_EQ_INT(pl_timeout_begin(scope, PL_FOREVER), PL_OK);
    s->scopes[stage_slot()] = scope;
}

static inline void end_round(void *arg, pl_timeout *scope)
{
    stage *s = arg;
    s->scopes[stage_slot()] = NULL;
    (void)pl_timeout_end(scope, PL_OK);
}

/* Cancels some tasks, as edges and as levels. Those that have not begun a round get an edge. */
static inline void cancel_at_random(void *arg, uint64_t *seed)
{
    stage *s = arg;
    for (int k = random_below(seed, 4); k > 0; k--) {
        int slot = random_below(seed, FIXTURE_SLOTS);
        if (random_below(seed, 2) == EDGE || !s->scopes[slot])
            (void)pl_task_cancel(s->f.tasks[slot]);
        else
            (void)pl_timeout_reschedule(s->scopes[slot], 0);
    }
}

static inline bool has_ended(void *arg, int slot)
{
    stage *s = arg;
    return pl_future_state(pl_task_future(s->f.tasks[slot])) != PL_PENDING;
}

/* What a body that was cancelled so ends with if it passes the code on. */
static inline int64_t cancelled_with(int kind)
{
    return kind == EDGE ? PL_ECANCELED : PL_ETIMEDOUT;
}

static inline int64_t result_of(void *arg, int slot)
{
    stage *s = arg;
    return has_ended(arg, slot) ? s->results[slot] : PL_ESTATE;
}

/* Writes "a:word" into the trace, a being the task that runs. */
static inline void say(void *arg, const char *word)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s:%s", pl_task_name(pl_task_current()), word);
    note(arg, text);
}

/* Writes "a:PL_OK" or "a:3". */
static inline void say_code(void *arg, int64_t code)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%lld", (long long)code);
    say(arg, code <= 0 ? pl_error_name(code) : number);
}

/* Turns the loop until the task of a slot has ended. */
static inline void finish(void *arg, int slot)
{
    stage *s = arg;
    (void)finish_task(&s->f, s->f.tasks[slot]);
}

/* `type` is a struct that begins with a stage; `s` is one. */
#define STAGE_CASE(type, name)                                                                                         \
    static void name##_on_stage(type *s);                                                                              \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        type s = {0};                                                                                                  \
        REQUIRE(fixture_open((fixture *)(void *)&s, t));                                                               \
        name##_on_stage(&s);                                                                                           \
        fixture_close((fixture *)(void *)&s);                                                                          \
    }                                                                                                                  \
    static void name##_on_stage(type *s)

/* The same in debug mode. */
#define STAGE_CASE_DEBUG(type, name)                                                                                   \
    static void name##_on_stage(type *s);                                                                              \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        type s = {0};                                                                                                  \
        REQUIRE(fixture_open_debug((fixture *)(void *)&s, t));                                                         \
        name##_on_stage(&s);                                                                                           \
        fixture_close((fixture *)(void *)&s);                                                                          \
    }                                                                                                                  \
    static void name##_on_stage(type *s)

/* The same, once with each kind of cancel; `kind` says which. */
#define STAGE_CASE_CANCEL(type, name)                                                                                  \
    static void name##_on_stage(type *s, int kind);                                                                    \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        for (int kind = EDGE; kind <= LEVEL; kind++) {                                                                 \
            type s = {0};                                                                                              \
            REQUIRE(fixture_open((fixture *)(void *)&s, t));                                                           \
            name##_on_stage(&s, kind);                                                                                 \
            fixture_close((fixture *)(void *)&s);                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    static void name##_on_stage(type *s, int kind)

/* The same; the library's memory is counted in `a`. */
#define STAGE_CASE_ALLOCATION(type, name)                                                                              \
    static void name##_on_stage(type *s, const allocation *a);                                                         \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        type s = {0};                                                                                                  \
        allocation a;                                                                                                  \
        REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);                                                                   \
        if (fixture_open((fixture *)(void *)&s, t)) {                                                                  \
            name##_on_stage(&s, &a);                                                                                   \
            fixture_close((fixture *)(void *)&s);                                                                      \
        }                                                                                                              \
        allocation_end(&a);                                                                                            \
    }                                                                                                                  \
    static void name##_on_stage(type *s, const allocation *a)

#endif
