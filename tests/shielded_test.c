/* Shielded regions: what no cancel from outside interrupts. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

static int64_t return_seven(void *arg)
{
    (void)arg;
    return 7;
}

static int64_t sleep_for_ever(void *arg)
{
    int rc = pl_sleep(PL_FOREVER);
    note_code(arg, rc);
    return rc;
}

static void begin(pl_shielded *shielded)
{
    CHECK_EQ_INT(pl_shielded_begin(shielded), PL_OK);
}

/* Waits for the first future inside a shielded region, then gives way twice. */
static int64_t wait_shielded(void *arg)
{
    fixture *f = arg;
    pl_shielded shielded = {0};
    begin(&shielded);
    note_code(f, pl_await(f->futures[0]));
    note_code(f, pl_check_cancelled());
    note_code(f, pl_yield());
    pl_shielded_end(&shielded);
    note(f, "|");
    note_code(f, pl_yield());
    note_code(f, pl_yield());
    return 1;
}

TEST_CASE(a_cancel_does_not_interrupt_a_shielded_wait_and_comes_after_it)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, wait_shielded);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 1);
    turn(&f, 3);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_PENDING); /* it was not cancelled */
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 5), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "5 PL_OK PL_OK | PL_ECANCELED PL_OK ");
    fixture_close(&f);
}

TEST_CASE(a_cancel_in_the_iteration_of_the_result_comes_after_the_region)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, wait_shielded);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 5), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "5 PL_OK PL_OK | PL_ECANCELED PL_OK ");
    fixture_close(&f);
}

TEST_CASE(a_cancel_taken_back_while_shielded_does_not_come)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, wait_shielded);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_uncancel(f.tasks[0]), 0);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 5), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "5 PL_OK PL_OK | PL_OK PL_OK ");
    fixture_close(&f);
}

static int64_t due_before(void *arg)
{
    fixture *f = arg;
    pl_shielded shielded = {0};
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    begin(&shielded);
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK);
    f->tasks[0] = start_task(f, return_seven, NULL);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), 7);
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_ECANCELED);
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK);
    return 0;
}

TEST_CASE(a_cancel_that_is_due_when_the_region_begins_waits_for_its_end)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, due_before, &f), 0);
    fixture_close(&f);
}

static int64_t limit_outside(void *arg)
{
    pl_timeout limit = {0};
    pl_shielded shielded = {0};
    (void)arg;
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    begin(&shielded);
    for (int i = 0; i < 10; i++) {
        CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
        CHECK_EQ_INT(pl_sleep(PL_US(50)), PL_OK);
        CHECK_EQ_INT(pl_yield(), PL_OK);
    }
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED); /* the level is still there */
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_ECANCELED), PL_ETIMEDOUT);
    return 0;
}

TEST_CASE(a_limit_that_ran_out_outside_is_not_seen_inside)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, limit_outside, &f), 0);
    fixture_close(&f);
}

static int64_t limit_runs_out_meanwhile(void *arg)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_shielded shielded = {0};
    pl_duration start = pl_loop_time(f->loop);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    begin(&shielded);
    CHECK_EQ_INT(pl_sleep(PL_MS(3)), PL_OK);
    CHECK(pl_loop_time(f->loop) >= start + PL_MS(3));
    CHECK(pl_timeout_expired(&limit) != 0);
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_yield()), PL_ETIMEDOUT);
    return 0;
}

TEST_CASE(a_limit_that_runs_out_while_shielded_comes_after)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, limit_runs_out_meanwhile, &f), 0);
    fixture_close(&f);
}

static int64_t limit_inside(void *arg)
{
    pl_timeout inner = {0};
    pl_shielded shielded = {0};
    (void)arg;
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    begin(&shielded);
    CHECK_EQ_INT(pl_timeout_begin(&inner, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&inner, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT); /* its own, though a cancel is due */
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    return 0;
}

TEST_CASE(a_limit_inside_bounds_the_region)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, limit_inside, &f), 0);
    fixture_close(&f);
}

static int64_t limits_around_and_inside(void *arg)
{
    pl_timeout outer = {0}, inner = {0};
    pl_shielded shielded = {0};
    (void)arg;
    CHECK_EQ_INT(pl_timeout_begin(&outer, 0), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    begin(&shielded);
    CHECK_EQ_INT(pl_timeout_begin(&inner, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&inner, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(pl_timeout_end(&outer, pl_yield()), PL_ETIMEDOUT);
    return 0;
}

/* test_nested_timeout_in_finally, the way proloop has it */
TEST_CASE(cleaning_up_after_a_limit_can_have_a_limit_of_its_own)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, limits_around_and_inside, &f), 0);
    fixture_close(&f);
}

static int64_t nested_regions(void *arg)
{
    pl_shielded outer = {0}, inner = {0};
    (void)arg;
    begin(&outer);
    begin(&inner);
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_shielded_end(&inner);
    CHECK_EQ_INT(pl_yield(), PL_OK); /* still in the outer one */
    pl_shielded_end(&outer);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

TEST_CASE(regions_nest)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, nested_regions, &f), 0);
    fixture_close(&f);
}

static int64_t await_first(void *arg)
{
    fixture *f = arg;
    return pl_await(f->futures[0]);
}

/* The first cancel comes from another task while the limit is open, the second from this one. */
static int64_t cancelled_in_the_region(void *arg)
{
    fixture *f = arg;
    pl_shielded shielded = {0};
    pl_timeout limit = {0};
    pl_group group = {0};
    begin(&shielded);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    note_code(f, pl_timeout_end(&limit, pl_sleep(PL_FOREVER)));
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    pl_group_cancel(&group);
    note_code(f, pl_group_end(&group, pl_yield()));
    note_code(f, pl_yield());
    pl_shielded_end(&shielded);
    note(f, "|");
    note_code(f, pl_yield());
    note_code(f, pl_yield());
    return 0;
}

TEST_CASE(a_cancel_that_the_region_hides_is_not_in_the_verdicts_inside)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, cancelled_in_the_region);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 0);
    EXPECT_TRACE(&f, "PL_ETIMEDOUT PL_OK PL_OK | PL_ECANCELED PL_OK ");
    fixture_close(&f);
}

static int64_t group_inside(void *arg)
{
    fixture *f = arg;
    pl_shielded shielded = {0};
    pl_group group = {0};
    begin(&shielded);
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, await_first, f, NULL), PL_OK);
    note_code(f, pl_group_end(&group, 0));
    pl_shielded_end(&shielded);
    note_code(f, pl_yield());
    return 0;
}

TEST_CASE(a_group_inside_is_not_cancelled_and_its_children_neither)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, group_inside);
    turn(&f, 2);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 3);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_PENDING);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 0), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 0);
    EXPECT_TRACE(&f, "PL_OK PL_ECANCELED ");
    fixture_close(&f);
}

static int64_t own_cancel_inside(void *arg)
{
    fixture *f = arg;
    pl_shielded shielded = {0};
    pl_group group = {0};
    begin(&shielded);
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, sleep_for_ever, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED); /* from inside the region */
    CHECK_EQ_INT(pl_group_end(&group, PL_ECANCELED), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_shielded_end(&shielded);
    EXPECT_TRACE(f, "PL_ECANCELED ");
    return 0;
}

TEST_CASE(a_scope_inside_the_region_may_be_cancelled)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, own_cancel_inside, &f), 0);
    fixture_close(&f);
}

static int64_t shielded_child(void *arg)
{
    fixture *f = arg;
    pl_shielded shielded = {0};
    begin(&shielded);
    note_code(f, pl_await(f->futures[0]));
    pl_shielded_end(&shielded);
    note_code(f, pl_sleep(PL_FOREVER));
    note_code(f, pl_sleep(PL_FOREVER));
    return PL_ECANCELED;
}

static int64_t fail_at_once(void *arg)
{
    (void)arg;
    return PL_EIO;
}

static int64_t group_with_shielded_child(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, shielded_child, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, fail_at_once, f, NULL), PL_OK);
    return pl_group_end(&group, 0);
}

TEST_CASE(a_cancelled_group_waits_for_a_shielded_child)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, group_with_shielded_child);
    turn(&f, 4);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_future_state(pl_task_future(f.tasks[0])), PL_PENDING);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 3), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_EIO);
    EXPECT_TRACE(&f, "3 PL_ECANCELED PL_ECANCELED ");
    fixture_close(&f);
}

static int64_t fail_in_region(void *arg)
{
    fixture *f = arg;
    pl_shielded shielded = {0};
    begin(&shielded);
    CHECK_EQ_INT(pl_await(f->futures[0]), PL_EIO); /* errors come as ever */
    CHECK_EQ_INT(pl_await(f->futures[1]), PL_ECANCELED); /* and a future that another has cancelled */
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

TEST_CASE(a_region_hides_cancels_of_the_task_and_nothing_else)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    start_slot(&f, 0, fail_in_region);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_error(f.futures[0], PL_EIO), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_cancel(f.futures[1]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 0);
    fixture_close(&f);
}

static int64_t begin_twice(void *arg)
{
    pl_shielded shielded = {0};
    (void)arg;
    begin(&shielded);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_EBUSY);
    pl_shielded_end(&shielded);
    begin(&shielded); /* again, after its end */
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

TEST_CASE(a_region_that_is_begun_is_busy)
{
    fixture f;
    pl_shielded shielded = {0};
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, begin_twice, &f), 0);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_ENOTASK);
    fixture_close(&f);
}

/* Cleans up after a cancel, and says if that was interrupted. */
static int64_t clean_up_when_cancelled(void *arg)
{
    fixture *f = arg;
    note_code(f, pl_sleep(PL_FOREVER));
    note_code(f, pl_await(f->futures[0]));
    return PL_ECANCELED;
}

static int64_t await_shielded_within_limit(void *arg)
{
    fixture *f = arg;
    pl_shielded shielded = {0};
    pl_timeout limit = {0};
    begin(&shielded);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_FOREVER), PL_OK);
    f->timeout = &limit;
    note_code(f, pl_timeout_end(&limit, pl_task_await(f->tasks[1])));
    pl_shielded_end(&shielded);
    note_code(f, pl_check_cancelled());
    return 0;
}

static int64_t cancel_group_around_region(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, await_shielded_within_limit, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_timeout_reschedule(f->timeout, 0), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_group_cancel(&group);
    CHECK_EQ_INT(pl_await(f->futures[1]), PL_ECANCELED);
    return pl_group_end(&group, PL_ECANCELED);
}

/* The limit inside has reached the task that is awaited, which cleans up: the cancel outside must not, too. */
TEST_CASE(a_level_outside_does_not_reach_what_a_limit_inside_has_cancelled)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    start_slot(&f, 1, clean_up_when_cancelled);
    start_slot(&f, 0, cancel_group_around_region);
    turn(&f, 6);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_PENDING);
    (void)pl_future_set_result(f.futures[0], 5);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_OK);
    EXPECT_TRACE(&f, "5 PL_ETIMEDOUT PL_ECANCELED ");
    fixture_close(&f);
}

static pl_timeout *outer_limit;

static int64_t await_in_region_in_limit(void *arg)
{
    pl_timeout limit = {0};
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_FOREVER), PL_OK);
    outer_limit = &limit;
    return pl_timeout_end(&limit, await_shielded_within_limit(arg));
}

TEST_CASE(a_limit_outside_does_not_reach_what_a_limit_inside_has_cancelled)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 1, clean_up_when_cancelled);
    start_slot(&f, 0, await_in_region_in_limit);
    turn(&f, 1);
    CHECK_EQ_INT(pl_timeout_reschedule(f.timeout, 0), PL_OK);
    turn(&f, 2);
    CHECK_EQ_INT(pl_timeout_reschedule(outer_limit, 0), PL_OK);
    turn(&f, 2);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    (void)pl_future_set_result(f.futures[0], 5);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_OK);
    EXPECT_TRACE(&f, "5 PL_ETIMEDOUT PL_ECANCELED ");
    fixture_close(&f);
}

TEST_SUITE(shielded, TEST_BACKENDS_ALL,
           CASE(a_cancel_does_not_interrupt_a_shielded_wait_and_comes_after_it),
           CASE(a_cancel_in_the_iteration_of_the_result_comes_after_the_region),
           CASE(a_cancel_taken_back_while_shielded_does_not_come),
           CASE(a_cancel_that_is_due_when_the_region_begins_waits_for_its_end),
           CASE(a_limit_that_ran_out_outside_is_not_seen_inside),
           CASE(a_limit_that_runs_out_while_shielded_comes_after),
           CASE(a_limit_inside_bounds_the_region),
           CASE(cleaning_up_after_a_limit_can_have_a_limit_of_its_own),
           CASE(a_cancel_that_the_region_hides_is_not_in_the_verdicts_inside),
           CASE(regions_nest),
           CASE(a_group_inside_is_not_cancelled_and_its_children_neither),
           CASE(a_scope_inside_the_region_may_be_cancelled),
           CASE(a_level_outside_does_not_reach_what_a_limit_inside_has_cancelled),
           CASE(a_limit_outside_does_not_reach_what_a_limit_inside_has_cancelled),
           CASE(a_cancelled_group_waits_for_a_shielded_child),
           CASE(a_region_hides_cancels_of_the_task_and_nothing_else),
           CASE(a_region_that_is_begun_is_busy))
