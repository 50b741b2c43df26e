/* Closers: what runs when a loop's tasks have ended. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "threads.h"

static pl_closer closers[4];

static int64_t close_a(void *arg)
{
    note(arg, "a");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(arg, "/a");
    return 0;
}

static int64_t close_b(void *arg)
{
    note(arg, "b");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(arg, "/b");
    return 0;
}

static int64_t close_c(void *arg)
{
    note(arg, "c");
    return 5;
}

static void add(fixture *f, int number, pl_task_fn *fn)
{
    CHECK_EQ_INT(pl_loop_add_closer(f->loop, &closers[number], fn, f), PL_OK);
}

static int64_t run_closers(void *arg)
{
    int rc = pl_loop_run_closers();
    note(arg, "ran");
    return rc;
}

static bool open_fixture(fixture *f, const test_context *t)
{
    memset(closers, 0, sizeof closers);
    return fixture_open(f, t);
}

TEST_CASE(closers_run_at_the_same_time_in_the_order_in_which_they_were_added)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, close_a);
    add(&f, 1, close_b);
    add(&f, 2, close_c);
    turn(&f, 2);
    EXPECT_TRACE(&f, ""); /* not before they are asked to */
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK);
    EXPECT_TRACE(&f, "a b c /a /b ran ");
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK); /* once */
    EXPECT_TRACE(&f, "ran ");
    fixture_close(&f);
}

static int64_t close_itself(void *arg)
{
    CHECK_EQ_INT(pl_closer_remove(&closers[0]), 0); /* its own again */
    memset(&closers[0], 0xa5, sizeof closers[0]);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(arg, "closed");
    return PL_EIO;
}

TEST_CASE(a_closer_is_its_owners_again_when_its_function_begins)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, close_itself);
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK);
    EXPECT_TRACE(&f, "closed ran ");
    EXPECT_REPORTS(&f, "PL_EIO ");
    fixture_close(&f);
}

static int64_t fail(void *arg)
{
    note(arg, "fail");
    return PL_EPIPE;
}

static int64_t end_cancelled(void *arg)
{
    note(arg, "cancelled");
    return PL_ECANCELED;
}

TEST_CASE(errors_of_closers_are_reported_and_stop_no_other)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, fail);
    add(&f, 1, end_cancelled); /* nobody needs to know */
    add(&f, 2, close_a);
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK);
    EXPECT_TRACE(&f, "fail cancelled a /a ran ");
    CHECK_STR(f.report_message, "a closer failed");
    CHECK(strstr(f.report_where, "closer_test.c:") != NULL);
    EXPECT_REPORTS(&f, "PL_EPIPE ");
    fixture_close(&f);
}

TEST_CASE(a_removed_closer_does_not_run)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, close_a);
    add(&f, 1, close_b);
    CHECK_EQ_INT(pl_closer_remove(&closers[0]), 1);
    CHECK_EQ_INT(pl_closer_remove(&closers[0]), 0);
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK);
    EXPECT_TRACE(&f, "b /b ran ");
    CHECK_EQ_INT(pl_closer_remove(&closers[1]), 0);
    fixture_close(&f);
}

static int64_t remove_next(void *arg)
{
    note(arg, "first");
    CHECK_EQ_INT(pl_closer_remove(&closers[1]), 1);
    return 0;
}

TEST_CASE(a_closer_may_be_removed_by_one_before_it)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, remove_next);
    add(&f, 1, close_a);
    add(&f, 2, close_b);
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK);
    EXPECT_TRACE(&f, "first b /b ran ");
    fixture_close(&f);
}

static int64_t add_late(void *arg)
{
    fixture *f = arg;
    note(f, "adds");
    CHECK_EQ_INT(pl_loop_add_closer(NULL, &closers[1], close_a, f), PL_ESTATE);
    return 0;
}

/* CPython: "asynchronous generator was scheduled after loop.shutdown_asyncgens() call" */
TEST_CASE(a_closer_that_comes_too_late_is_reported_and_refused)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, add_late);
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK);
    EXPECT_REPORTS(&f, "PL_ESTATE ");
    CHECK(strstr(f.report_where, "closer_test.c:") != NULL);
    CHECK_EQ_INT(pl_loop_add_closer(f.loop, &closers[0], close_a, &f), PL_ESTATE);
    EXPECT_REPORTS(&f, "PL_ESTATE ");
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK);
    EXPECT_TRACE(&f, "adds ran ran ");
    fixture_close(&f);
}

TEST_CASE(a_closer_that_is_left_when_the_loop_is_closed_is_reported)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, close_a);
    add(&f, 1, close_b);
    fixture_release_slots(&f);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    EXPECT_REPORTS(&f, "PL_ECLOSED PL_ECLOSED ");
    CHECK(strstr(f.report_where, "closer_test.c:") != NULL);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_closer_remove(&closers[0]), 0); /* idle again */
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

static int64_t close_slowly(void *arg)
{
    int rc;
    note(arg, "slow");
    rc = pl_sleep(PL_FOREVER);
    note_code(arg, rc);
    return rc;
}

static int64_t cancel_runner(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
    return pl_sleep(PL_FOREVER);
}

TEST_CASE(a_cancel_reaches_the_closers_that_have_begun)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, close_slowly);
    add(&f, 1, cancel_runner);
    add(&f, 2, close_slowly);
    start_slot(&f, 0, run_closers);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(&f, "slow PL_ECANCELED ran ");
    CHECK_EQ_INT(pl_closer_remove(&closers[0]), 0);
    CHECK_EQ_INT(pl_closer_remove(&closers[2]), 1); /* it had not begun, and is still to come */
    fixture_close(&f);
}

TEST_CASE(closers_that_a_cancel_kept_from_beginning_run_the_next_time)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, cancel_runner);
    add(&f, 1, close_a);
    add(&f, 2, close_b);
    start_slot(&f, 0, run_closers);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(&f, "ran ");
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK);
    EXPECT_TRACE(&f, "a b /a /b ran ");
    fixture_close(&f);
}

static int64_t run_closers_cancelled(void *arg)
{
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    return run_closers(arg);
}

TEST_CASE(a_cancelled_task_begins_no_closer)
{
    fixture f;
    REQUIRE(open_fixture(&f, t));
    add(&f, 0, close_a);
    CHECK_EQ_INT(run_task(&f, run_closers_cancelled, &f), PL_ECANCELED);
    EXPECT_TRACE(&f, "ran ");
    add(&f, 1, close_c); /* they have not been run */
    CHECK_EQ_INT(run_task(&f, run_closers, &f), PL_OK);
    EXPECT_TRACE(&f, "a c /a ran ");
    fixture_close(&f);
}

/* --- Misuse, memory ----------------------------------------------------------------------------------------------- */

static void add_from_elsewhere(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_loop_add_closer(f->loop, &closers[1], close_a, f), PL_ETHREAD);
    CHECK_EQ_INT(pl_closer_remove(&closers[0]), PL_ETHREAD);
}

TEST_CASE(misuse_of_closers_is_refused)
{
    fixture f;
    memset(closers, 0, sizeof closers);
    REQUIRE(fixture_open_debug(&f, t));
    CHECK_EQ_INT(pl_loop_add_closer(f.loop, NULL, close_a, &f), PL_EINVAL);
    CHECK_EQ_INT(pl_loop_add_closer(f.loop, &closers[0], NULL, &f), PL_EINVAL);
    CHECK_EQ_INT(pl_loop_add_closer(NULL, &closers[0], close_a, &f), PL_ENOLOOP);
    CHECK_EQ_INT(pl_closer_remove(NULL), 0);
    CHECK_EQ_INT(pl_loop_run_closers(), PL_ENOTASK);
    add(&f, 0, close_c);
    CHECK_EQ_INT(pl_loop_add_closer(f.loop, &closers[0], close_a, &f), PL_EBUSY);
    turn(&f, 1);
    REQUIRE(test_in_thread(add_from_elsewhere, &f));
    CHECK_EQ_INT(pl_closer_remove(&closers[0]), 1);
    fixture_close(&f);
}

static int64_t count_one(void *arg)
{
    int *count = arg;
    ++*count;
    (void)pl_yield();
    return 0;
}

static void ignore_report(pl_loop *loop, const pl_report *report, void *arg)
{
    (void)loop;
    (void)arg;
    CHECK_EQ_INT(report->error, PL_ENOMEM);
}

typedef struct shortage {
    allocation memory;
    int64_t fail_after; /* allocations that succeed */
} shortage;

/* It has its stack: what fails is what the closers need. */
static int64_t run_all(void *arg)
{
    shortage *s = arg;
    s->memory.fail_at = s->memory.calls + s->fail_after + 1;
    return pl_loop_run_closers();
}

/* @return whether an allocation failed */
static bool run_with_shortage(test_context *t, int64_t fail_after, bool forever)
{
    shortage s = {.fail_after = fail_after};
    pl_loop *loop = NULL;
    pl_task *task = NULL;
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    pl_task_options spawn = {.size = sizeof spawn};
    int count = 0;
    bool failed;
    memset(closers, 0, sizeof closers);
    REQUIRE_EQ_INT_OR(allocation_begin(&s.memory), PL_OK, return false);
    s.memory.fail_forever = forever;
    REQUIRE_EQ_INT_OR(pl_loop_create(&loop, &options), PL_OK, return false);
    CHECK_EQ_INT(pl_loop_set_exception_handler(loop, ignore_report, NULL), PL_OK);
    for (int i = 0; i < 4; i++)
        CHECK_EQ_INT(pl_loop_add_closer(loop, &closers[i], count_one, &count), PL_OK);
    spawn.loop = loop;
    CHECK_EQ_INT(pl_spawn(&task, run_all, &s, &spawn), PL_OK);
    CHECK_EQ_INT(pl_loop_run_until_complete(loop, pl_task_future(task)), PL_OK);
    s.memory.fail_at = 0;
    CHECK_EQ_INT(count, 4);
    failed = s.memory.failed > 0;
    pl_task_unref(task);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    allocation_end(&s.memory);
    return failed;
}

TEST_CASE(closers_run_without_memory_too)
{
    int failures = 0;
    for (int after = 0; after < 20; after++) {
        failures += run_with_shortage(t, after, false);
        failures += run_with_shortage(t, after, true);
    }
    CHECK(failures >= 8);
}

TEST_SUITE(closer, TEST_BACKENDS_ALL, CASE(closers_run_at_the_same_time_in_the_order_in_which_they_were_added),
           CASE(a_closer_is_its_owners_again_when_its_function_begins),
           CASE(errors_of_closers_are_reported_and_stop_no_other), CASE(a_removed_closer_does_not_run),
           CASE(a_closer_may_be_removed_by_one_before_it), CASE(a_closer_that_comes_too_late_is_reported_and_refused),
           CASE(a_closer_that_is_left_when_the_loop_is_closed_is_reported),
           CASE(a_cancel_reaches_the_closers_that_have_begun),
           CASE(closers_that_a_cancel_kept_from_beginning_run_the_next_time), CASE(a_cancelled_task_begins_no_closer),
           CASE(misuse_of_closers_is_refused), CASE(closers_run_without_memory_too))
