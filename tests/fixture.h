/* What the tests of the scheduler share: a loop, a trace of what happened, and the reports that were made.
 *
 * A case opens a fixture, passes it to its tasks and callbacks, which write words into the trace, and compares the
 * trace in the end. A report that no case expects fails it: fixture_close compares them with none.
 */
#ifndef PROLOOP_TESTS_FIXTURE_H
#define PROLOOP_TESTS_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <proloop/proloop.h>

#include "harness.h"

enum { FIXTURE_TEXT = 1024, FIXTURE_SLOTS = 8 };

typedef struct fixture {
    pl_loop *loop;
    char trace[FIXTURE_TEXT];   /* words, each followed by a blank */
    char reports[FIXTURE_TEXT]; /* the names of the errors that were reported, likewise */
    char report_message[160];   /* of the last report */
    char report_task[40];
    char report_where[160];
    char report_stack[FIXTURE_TEXT];
    pl_loop *report_loop;
    int drops; /* by fixture_drop */
    /* What a case needs. */
    pl_task *tasks[FIXTURE_SLOTS];
    pl_future *futures[FIXTURE_SLOTS];
    pl_callback callbacks[FIXTURE_SLOTS];
    pl_timer timers[FIXTURE_SLOTS];
    pl_group *group;
    pl_timeout *timeout;
    int64_t results[FIXTURE_SLOTS];
    int counts[FIXTURE_SLOTS];
} fixture;

static inline void fixture_append(char *text, const char *word)
{
    size_t size = strlen(text);
    (void)snprintf(text + size, FIXTURE_TEXT - size, "%s ", word);
}

/* Writes a word into the trace. */
static inline void note(fixture *f, const char *word)
{
    fixture_append(f->trace, word);
}

/* Writes the name of a code, or the number itself, into the trace. */
static inline void note_code(fixture *f, int64_t code)
{
    char number[24];
    if (code <= 0) {
        note(f, pl_error_name(code));
        return;
    }
    (void)snprintf(number, sizeof number, "%lld", (long long)code);
    note(f, number);
}

static inline void fixture_clear(fixture *f)
{
    f->trace[0] = '\0';
}

static inline void fixture_report(pl_loop *loop, const pl_report *report, void *arg)
{
    fixture *f = arg;
    f->report_loop = loop;
    fixture_append(f->reports, pl_error_name(report->error));
    (void)snprintf(f->report_message, sizeof f->report_message, "%s", report->message ? report->message : "");
    (void)snprintf(f->report_task, sizeof f->report_task, "%s", report->task ? report->task : "");
    (void)snprintf(f->report_where, sizeof f->report_where, "%s", report->where ? report->where : "");
    (void)snprintf(f->report_stack, sizeof f->report_stack, "%s", report->stack ? report->stack : "");
}

/* False: the case cannot go on, and has failed. How long callbacks take is nobody's affair unless the case says so. */
static inline bool fixture_open_with(fixture *f, pl_loop_options options)
{
    memset(f, 0, sizeof *f);
    options.size = sizeof options;
    options.slow_callback = options.slow_callback ? options.slow_callback : PL_FOREVER;
    options.watchdog = options.watchdog ? options.watchdog : PL_FOREVER;
    REQUIRE_EQ_INT_OR(pl_loop_create(&f->loop, &options), PL_OK, return false);
    if (options.backend)
        CHECK_STR(pl_loop_backend(f->loop), options.backend);
    REQUIRE_EQ_INT_OR(pl_loop_set_exception_handler(f->loop, fixture_report, f), PL_OK, return false);
    return true;
}

static inline bool fixture_open(fixture *f, const test_context *t)
{
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    return fixture_open_with(f, options);
}

static inline bool fixture_open_debug(fixture *f, const test_context *t)
{
    pl_loop_options options = {.size = sizeof options, .backend = t->backend, .debug = 1};
    return fixture_open_with(f, options);
}

/* The reports so far are these, and are forgotten. */
#define EXPECT_REPORTS(f, expected)                                                                          \
    do {                                                                                                     \
        CHECK_STR((f)->reports, expected);                                                                   \
        (f)->reports[0] = '\0';                                                                              \
    } while (0)

#define EXPECT_TRACE(f, expected)                                                                            \
    do {                                                                                                     \
        CHECK_STR((f)->trace, expected);                                                                     \
        fixture_clear(f);                                                                                    \
    } while (0)

/* Gives back what is in the slots, closes the loop. */
#define fixture_close(f) fixture_close_at((f), __FILE__, __LINE__)

static inline void fixture_release_slots(fixture *f)
{
    for (int i = 0; i < FIXTURE_SLOTS; i++) {
        pl_task_unref(f->tasks[i]);
        f->tasks[i] = NULL;
        if (f->futures[i])
            pl_future_unref(f->futures[i]);
        f->futures[i] = NULL;
    }
}

static inline void fixture_close_at(fixture *f, const char *file, int line)
{
    fixture_release_slots(f);
    test_check_int(file, line, pl_loop_close(f->loop), PL_OK, "pl_loop_close(f->loop)", "PL_OK");
    test_check_string(file, line, f->reports, "", "f->reports", "\"\"");
    f->loop = NULL;
}

static inline bool is_simulated(const test_context *t)
{
    return strcmp(t->backend, "sim") == 0;
}

/* Counts, as a drop function for the fixture itself as the argument. */
static inline void fixture_drop(void *arg)
{
    fixture *f = arg;
    f->drops++;
}

/* Runs so many iterations that do not wait. */
static inline void turn(fixture *f, int iterations)
{
    while (iterations-- > 0)
        CHECK_EQ_INT(pl_loop_run_once(f->loop, 0), PL_OK);
}

/* A task of fn(arg), with a reference to be given back; NULL: it failed. */
static inline pl_task *start_task(fixture *f, pl_task_fn *fn, void *arg)
{
    pl_task *task = NULL;
    pl_task_options options = {.size = sizeof options, .loop = f->loop};
    CHECK_EQ_INT(pl_spawn(&task, fn, arg, &options), PL_OK);
    return task;
}

/* The same, in a slot: fixture_close gives it back. */
static inline pl_task *start_slot(fixture *f, int slot, pl_task_fn *fn)
{
    f->tasks[slot] = start_task(f, fn, f);
    return f->tasks[slot];
}

static inline pl_future *new_future(fixture *f, int slot)
{
    CHECK_EQ_INT(pl_future_create(&f->futures[slot], f->loop), PL_OK);
    return f->futures[slot];
}

/* Lets go of a future in a slot. */
static inline void drop_future(fixture *f, int slot)
{
    pl_future_unref(f->futures[slot]);
    f->futures[slot] = NULL;
}

/* Runs the loop until fn(arg), as a task, has ended. */
static inline int64_t run_task(fixture *f, pl_task_fn *fn, void *arg)
{
    int64_t result;
    pl_task *task = start_task(f, fn, arg);
    if (!task)
        return PL_EUNKNOWN;
    result = pl_loop_run_until_complete(f->loop, pl_task_future(task));
    pl_task_unref(task);
    return result;
}

/* Runs the loop until that task has ended. */
static inline int64_t finish_task(fixture *f, pl_task *task)
{
    return pl_loop_run_until_complete(f->loop, pl_task_future(task));
}

/* A case whose body is a task, with the fixture as its argument. */
#define FIXTURE_CASE(name)                                                                                             \
    static int64_t name##_task(void *arg);                                                                             \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        fixture f;                                                                                                     \
        REQUIRE(fixture_open(&f, t));                                                                                  \
        CHECK_EQ_INT(run_task(&f, name##_task, &f), 0);                                                                \
        fixture_close(&f);                                                                                             \
    }                                                                                                                  \
    static int64_t name##_task(void *arg)

/* How much of what needs much memory or time a case does: PROLOOP_TEST_SCALE is percent, 100 unless set. Sanitizers
 * and Valgrind want less. */
static inline int scaled(int count)
{
    const char *text = getenv("PROLOOP_TEST_SCALE");
    long percent = text ? strtol(text, NULL, 10) : 100;
    long scaled_count = percent >= 1 && percent <= 100 ? (long)count / 100 * percent : count;
    return scaled_count < 10 ? 10 : (int)scaled_count;
}

/* Callbacks that note a word each; their argument is the fixture. */
#define NOTE_CALLBACK(word)                                                                                            \
    static inline void note_##word(void *arg)                                                                          \
    {                                                                                                                  \
        note(arg, #word);                                                                                              \
    }

NOTE_CALLBACK(a)
NOTE_CALLBACK(b)
NOTE_CALLBACK(c)
NOTE_CALLBACK(d)

/* Numbers from a seed. */
static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x * UINT64_C(2685821657736338717);
}

static inline int random_below(uint64_t *state, int limit)
{
    return (int)((next_random(state) >> 33) % (uint64_t)limit);
}

#endif
