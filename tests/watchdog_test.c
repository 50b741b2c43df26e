/* The watchdog: it speaks while the loop is stuck. What is stuck here waits for a gate that the watchdog's handler opens,
 * so nothing depends on how fast the machine is. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"
#include "standard_error.h"
#include "threads.h"

enum { REPORTS_KEPT = 8 };

#define STUCK_CALLBACK "stuck.c:7" /* where it says that it was asked for */

typedef struct heard {
    pl_duration stuck;
    int ended;
    char task[40];
    char where[160];
    size_t awaiter_count;
    char awaiters[8][40]; /* "name@" and where they were spawned */
} heard;

typedef struct listening {
    fixture f;
    test_gate open;   /* by the handler: what is stuck goes on */
    test_gate ended;  /* by the handler: it was told of the end */
    int open_at;      /* the number of the report that opens the gate */
    const char *task; /* what will be stuck: a task of this name; NULL: STUCK_CALLBACK */
    int count;
    heard heard[REPORTS_KEPT]; /* read when the gate `ended` is open, or the loop is closed */
} listening;

/* Whether it is about what is to be stuck: other callbacks may be slow as well, on a slow machine. */
static bool is_expected(const listening *l, const pl_watchdog_report *report)
{
    const pl_watchdog_place *place = &report->place;
    if (l->task)
        return place->task && strcmp(place->task, l->task) == 0;
    return !place->task && place->where && strcmp(place->where, STUCK_CALLBACK) == 0;
}

static void hear(const pl_watchdog_report *report, void *arg)
{
    listening *l = arg;
    if (!is_expected(l, report))
        return;
    if (l->count < REPORTS_KEPT) {
        heard *h = &l->heard[l->count];
        h->stuck = report->stuck;
        h->ended = report->ended;
        (void)snprintf(h->task, sizeof h->task, "%s", report->place.task ? report->place.task : "");
        (void)snprintf(h->where, sizeof h->where, "%s", report->place.where ? report->place.where : "");
        h->awaiter_count = report->awaiter_count;
        for (size_t i = 0; i < report->awaiter_count && i < 8; i++)
            (void)snprintf(h->awaiters[i], sizeof h->awaiters[i], "%s", report->awaiters[i].task);
    }
    l->count++;
    if (l->count == l->open_at)
        test_gate_open(&l->open);
    if (report->ended)
        test_gate_open(&l->ended);
}

static bool open_listening(listening *l, const test_context *t, int open_at)
{
    pl_loop_options options = {.backend = t->backend, .debug = 1, .watchdog = PL_MS(1)};
    memset(l, 0, sizeof *l);
    test_gate_init(&l->open);
    test_gate_init(&l->ended);
    l->open_at = open_at;
    if (!fixture_open_with(&l->f, options))
        return false;
    return CHECK_EQ_INT(pl_loop_set_watchdog_handler(l->f.loop, hear, l), PL_OK);
}

static void close_listening(listening *l)
{
    fixture_close(&l->f);
    test_gate_destroy(&l->open);
    test_gate_destroy(&l->ended);
}

static void be_stuck(void *arg)
{
    listening *l = arg;
    test_gate_wait(&l->open);
}

static void schedule_stuck(listening *l)
{
    CHECK_EQ_INT(pl_call_soon_here(l->f.loop, be_stuck, l, NULL, STUCK_CALLBACK), PL_OK);
}

TEST_CASE(a_stuck_callback_is_reported_while_it_is_stuck_and_when_it_has_ended)
{
    listening l;
    REQUIRE(open_listening(&l, t, 1));
    schedule_stuck(&l);
    turn(&l.f, 1);            /* returns only if the handler opens the gate meanwhile */
    test_gate_wait(&l.ended); /* while the loop does nothing at all */
    CHECK_EQ_INT(l.heard[0].ended, 0);
    CHECK_STR(l.heard[0].task, "");
    CHECK_STR(l.heard[0].where, STUCK_CALLBACK);
    CHECK(l.heard[0].stuck >= PL_MS(1));
    CHECK_EQ_INT(l.heard[0].awaiter_count, 0);
    CHECK(l.count >= 2 && l.count < REPORTS_KEPT);
    CHECK_EQ_INT(l.heard[l.count - 1].ended, 1);
    CHECK_STR(l.heard[l.count - 1].where, STUCK_CALLBACK);
    CHECK(l.heard[l.count - 1].stuck >= l.heard[0].stuck);
    close_listening(&l);
}

TEST_CASE(that_a_callback_is_still_stuck_is_said_at_each_doubled_time)
{
    listening l;
    REQUIRE(open_listening(&l, t, 3));
    schedule_stuck(&l);
    turn(&l.f, 1);
    test_gate_wait(&l.ended);
    CHECK(l.count >= 4);
    for (int i = 1; i < 3; i++) {
        pl_duration due = PL_MS(1);
        while (due <= l.heard[i - 1].stuck)
            due *= 2;
        CHECK(l.heard[i].stuck >= due);
        CHECK_EQ_INT(l.heard[i].ended, 0);
    }
    close_listening(&l);
}

enum { CHAIN = 10 };

static int64_t await_next(void *arg)
{
    listening *l = arg;
    pl_task *next = NULL;
    char name[24];
    pl_task_options options = {.size = sizeof options, .name = name};
    int depth = l->f.counts[0]++;
    int64_t result;
    if (depth == CHAIN) {
        be_stuck(l);
        return 0;
    }
    (void)snprintf(name, sizeof name, "depth %d", depth + 1);
    if (depth % 2) { /* one waits for the child of its group, the next for a task */
        pl_group group = {0};
        CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
        CHECK_EQ_INT(pl_group_spawn_task(&group, NULL, await_next, l, &options), PL_OK);
        return pl_group_end(&group, 0);
    }
    CHECK_EQ_INT(pl_spawn(&next, await_next, l, &options), PL_OK);
    result = pl_task_await(next);
    pl_task_unref(next);
    return result;
}

TEST_CASE(a_stuck_task_is_reported_with_its_name_its_place_and_those_who_wait_for_it)
{
    listening l;
    REQUIRE(open_listening(&l, t, 1));
    l.task = "depth 10";
    CHECK_EQ_INT(run_task(&l.f, await_next, &l), 0);
    test_gate_wait(&l.ended);
    CHECK(strstr(l.heard[0].where, "watchdog_test.c:") != NULL);
    CHECK_EQ_INT(l.heard[0].awaiter_count, 8); /* of ten */
    CHECK_STR(l.heard[0].awaiters[0], "depth 9");
    CHECK_STR(l.heard[0].awaiters[7], "depth 2");
    close_listening(&l);
}

static int64_t be_stuck_in_a_child(void *arg)
{
    be_stuck(arg);
    return 0;
}

static int64_t begin_a_group(void *arg)
{
    pl_group group = {0};
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    pl_task_options options = {.size = sizeof options, .name = "child"};
    CHECK_EQ_INT(pl_group_spawn_task(&group, NULL, be_stuck_in_a_child, arg, &options), PL_OK);
    return pl_group_end(&group, 0);
}

TEST_CASE(the_parent_of_a_group_is_among_those_who_wait_for_a_stuck_child)
{
    listening l;
    pl_task_options options = {.size = sizeof options, .name = "parent"};
    REQUIRE(open_listening(&l, t, 1));
    l.task = "child";
    options.loop = l.f.loop;
    CHECK_EQ_INT(pl_spawn(&l.f.tasks[0], begin_a_group, &l, &options), PL_OK);
    CHECK_EQ_INT(finish_task(&l.f, l.f.tasks[0]), 0);
    test_gate_wait(&l.ended);
    CHECK_EQ_INT(l.heard[0].awaiter_count, 1);
    CHECK_STR(l.heard[0].awaiters[0], "parent");
    close_listening(&l);
}

static int64_t spawn_eagerly(void *arg)
{
    pl_task_options options = {.size = sizeof options, .name = "eager", .eager = 1};
    CHECK_EQ_INT(pl_spawn(NULL, be_stuck_in_a_child, arg, &options), PL_OK);
    return 0;
}

TEST_CASE(a_stuck_first_step_of_an_eager_task_is_reported_as_that_tasks)
{
    listening l;
    REQUIRE(open_listening(&l, t, 1));
    l.task = "eager";
    CHECK_EQ_INT(run_task(&l.f, spawn_eagerly, &l), 0);
    fixture_close(&l.f);
    CHECK_STR(l.heard[0].task, "eager");
    test_gate_destroy(&l.open);
    test_gate_destroy(&l.ended);
}

TEST_CASE(a_loop_may_be_stuck_again_and_that_is_reported_again)
{
    listening l;
    REQUIRE(open_listening(&l, t, 1));
    for (int i = 0; i < 3; i++) {
        schedule_stuck(&l);
        turn(&l.f, 1);
        test_gate_wait(&l.ended);
        CHECK(l.count >= 2);
        test_gate_destroy(&l.open);
        test_gate_destroy(&l.ended);
        test_gate_init(&l.open);
        test_gate_init(&l.ended);
        CHECK_EQ_INT(pl_loop_set_watchdog_handler(l.f.loop, hear, &l), PL_OK); /* not running any more on return */
        l.count = 0;
    }
    close_listening(&l);
}

TEST_CASE(the_end_is_said_even_if_the_loop_is_closed_at_once)
{
    listening l;
    REQUIRE(open_listening(&l, t, 1));
    schedule_stuck(&l);
    turn(&l.f, 1);
    fixture_close(&l.f);
    CHECK(l.count >= 2);
    CHECK_EQ_INT(l.heard[l.count - 1].ended, 1);
    test_gate_destroy(&l.open);
    test_gate_destroy(&l.ended);
}

/* The gate is opened by who reads standard error. */
static void read_and_open(void *arg)
{
    listening *l = arg;
    standard_error_read(l->f.trace, sizeof l->f.trace, "\n");
    test_gate_open(&l->open);
}

TEST_CASE(without_a_handler_the_watchdog_writes_to_standard_error)
{
    listening l;
    test_thread reader;
    REQUIRE(open_listening(&l, t, 0));
    CHECK_EQ_INT(pl_loop_set_watchdog_handler(l.f.loop, NULL, NULL), PL_OK);
    if (!standard_error_take()) {
        t_skip(t, "standard error cannot be redirected");
        close_listening(&l);
        return;
    }
    CHECK(test_thread_start(&reader, read_and_open, &l));
    schedule_stuck(&l);
    turn(&l.f, 1);
    test_thread_join(&reader);
    fixture_close(&l.f);
    {
        char rest[FIXTURE_TEXT];
        standard_error_read(rest, sizeof rest, "the loop goes on; it was stuck for ");
        standard_error_give_back();
        CHECK(strstr(rest, "the loop goes on; it was stuck for ") != NULL);
    }
    CHECK(strstr(l.f.trace, "proloop: the loop is stuck for ") != NULL);
    CHECK(strstr(l.f.trace, " in a callback asked for at ") != NULL);
    CHECK(strstr(l.f.trace, STUCK_CALLBACK) != NULL);
    test_gate_destroy(&l.open);
    test_gate_destroy(&l.ended);
}

TEST_CASE(a_loop_without_a_watchdog_takes_no_handler_for_it)
{
    fixture f;
    REQUIRE(fixture_open_with(&f, (pl_loop_options){.backend = t->backend, .debug = -1}));
    CHECK_EQ_INT(pl_loop_set_watchdog_handler(f.loop, hear, NULL), PL_ESTATE);
    fixture_close(&f);
    REQUIRE(fixture_open_with(&f, (pl_loop_options){.backend = t->backend, .debug = 1, .watchdog = PL_FOREVER}));
    CHECK_EQ_INT(pl_loop_set_watchdog_handler(f.loop, hear, NULL), PL_ESTATE);
    CHECK_EQ_INT(pl_loop_set_watchdog_handler(NULL, hear, NULL), PL_EINVAL);
    fixture_close(&f);
}

static void close_there(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_loop_close(f->loop), PL_OK);
}

TEST_CASE(a_loop_with_a_watchdog_may_be_closed_by_a_thread_that_did_not_make_it)
{
    fixture f;
    REQUIRE(fixture_open_with(&f, (pl_loop_options){.backend = t->backend, .debug = 1, .watchdog = PL_MS(1)}));
    CHECK(test_in_thread(close_there, &f));
}

TEST_SUITE(watchdog, TEST_BACKENDS_ALL, CASE(a_stuck_callback_is_reported_while_it_is_stuck_and_when_it_has_ended),
           CASE(that_a_callback_is_still_stuck_is_said_at_each_doubled_time),
           CASE(a_stuck_task_is_reported_with_its_name_its_place_and_those_who_wait_for_it),
           CASE(the_parent_of_a_group_is_among_those_who_wait_for_a_stuck_child),
           CASE(a_stuck_first_step_of_an_eager_task_is_reported_as_that_tasks),
           CASE(a_loop_may_be_stuck_again_and_that_is_reported_again),
           CASE(the_end_is_said_even_if_the_loop_is_closed_at_once),
           CASE(without_a_handler_the_watchdog_writes_to_standard_error),
           CASE(a_loop_without_a_watchdog_takes_no_handler_for_it),
           CASE(a_loop_with_a_watchdog_may_be_closed_by_a_thread_that_did_not_make_it))
