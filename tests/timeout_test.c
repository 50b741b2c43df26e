/* Time limits: whose cancel it was, and what the scope ends with. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

static int64_t sleep_for_ever(void *arg)
{
    int rc = pl_sleep(PL_FOREVER);
    note_code(arg, rc);
    return rc;
}

static void begin(pl_timeout *limit, pl_duration duration)
{
    CHECK_EQ_INT(pl_timeout_begin(limit, duration), PL_OK);
}

/* test_timeout_basic */
FIXTURE_CASE(a_limit_that_runs_out_ends_the_wait_and_is_the_verdict)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_duration start = pl_loop_time(f->loop);
    int rc;
    begin(&limit, PL_MS(2));
    CHECK_EQ_INT(pl_timeout_expired(&limit), 0);
    rc = pl_sleep(PL_FOREVER);
    CHECK_EQ_INT(rc, PL_ECANCELED);
    CHECK(pl_timeout_expired(&limit) != 0);
    CHECK_EQ_INT(pl_timeout_end(&limit, rc), PL_ETIMEDOUT);
    CHECK(pl_timeout_expired(&limit) != 0);
    CHECK(pl_loop_time(f->loop) >= start + PL_MS(2)); /* never early */
    CHECK_EQ_INT(pl_task_cancelling(pl_task_current()), 0);
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

/* test_timeout_at_basic */
FIXTURE_CASE(a_limit_may_be_a_point_in_time)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_duration deadline = pl_loop_time(f->loop) + PL_MS(2);
    CHECK_EQ_INT(pl_timeout_begin_at(&limit, deadline), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
    CHECK(pl_loop_time(f->loop) >= deadline);
    return 0;
}

/* test_timeout_not_called */
FIXTURE_CASE(a_limit_that_does_not_run_out_changes_nothing)
{
    pl_timeout limit = {0};
    (void)arg;
    begin(&limit, PL_SECONDS(3600));
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, 17), 17);
    CHECK_EQ_INT(pl_timeout_expired(&limit), 0);
    return 0;
}

/* test_timeout_disabled, test_timeout_at_disabled */
FIXTURE_CASE(forever_is_no_limit)
{
    pl_timeout limit = {0};
    (void)arg;
    begin(&limit, PL_FOREVER);
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK);
    CHECK_EQ_INT(pl_timeout_expired(&limit), 0);
    CHECK_EQ_INT(pl_timeout_end(&limit, 17), 17);
    CHECK_EQ_INT(pl_timeout_begin_at(&limit, PL_FOREVER), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, 18), 18);
    return 0;
}

/* test_timeout_zero, test_timeout_zero_sleep_zero, test_timeout_in_the_past_sleep_zero */
FIXTURE_CASE(a_limit_that_is_over_already_ends_the_first_wait)
{
    static const pl_duration limits[] = {0, -1, -PL_SECONDS(11), INT64_MIN};
    fixture *f = arg;
    for (int i = 0; i < 4; i++) {
        pl_timeout limit = {0};
        begin(&limit, limits[i]);
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_yield()), PL_ETIMEDOUT);
        CHECK(pl_timeout_expired(&limit) != 0);
        limit = (pl_timeout){0};
        begin(&limit, limits[i]);
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
        limit = (pl_timeout){0};
        begin(&limit, limits[i]);
        new_future(f, 0);
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_await(f->futures[0])), PL_ETIMEDOUT);
        CHECK_EQ_INT(pl_future_state(f->futures[0]), PL_CANCELLED);
        drop_future(f, 0);
        limit = (pl_timeout){0};
        CHECK_EQ_INT(pl_timeout_begin_at(&limit, i == 0 ? pl_loop_time(f->loop) : limits[i]), PL_OK);
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
    }
    return 0;
}

/* test_wait_for_timeout_less_then_0_or_0_future_done */
FIXTURE_CASE(a_limit_that_is_over_does_not_touch_what_is_done)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    CHECK_EQ_INT(pl_future_set_result(new_future(f, 0), 5), PL_OK);
    begin(&limit, 0);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_await(f->futures[0])), 5);
    limit = (pl_timeout){0};
    begin(&limit, 0);
    CHECK_EQ_INT(pl_timeout_end(&limit, 6), 6); /* nor a body without a wait */
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

static int64_t yield_and_count(void *arg)
{
    fixture *f = arg;
    while (pl_yield() == PL_OK)
        f->counts[1]++;
    return 0;
}

FIXTURE_CASE(a_limit_that_ran_out_is_a_level_each_wait_is_cancelled_and_gives_way_once)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_task *beside = start_task(f, yield_and_count, f);
    begin(&limit, 0);
    for (int i = 0; i < 100; i++) {
        int seen;
        new_future(f, 0);
        seen = f->counts[1];
        CHECK_EQ_INT(pl_sleep(i % 2 ? PL_FOREVER : 0), PL_ECANCELED);
        CHECK(i == 0 || f->counts[1] > seen); /* others ran */
        seen = f->counts[1];
        CHECK_EQ_INT(pl_await(f->futures[0]), PL_ECANCELED);
        CHECK(f->counts[1] > seen);
        seen = f->counts[1];
        CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
        CHECK(f->counts[1] > seen);
        CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED);
        drop_future(f, 0);
    }
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(beside), 1);
    CHECK_EQ_INT(pl_task_await(beside), 0);
    pl_task_unref(beside);
    return 0;
}

FIXTURE_CASE(a_thousand_waits_that_ignore_the_limit_are_reported)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    begin(&limit, 0);
    for (int i = 0; i < 1500; i++)
        CHECK_EQ_INT(pl_sleep(PL_SECONDS(1)), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK(strlen(f->reports) > 0);
    CHECK_STR(f->report_task, pl_task_name(pl_task_current()));
    f->reports[0] = '\0';
    return 0;
}

static int64_t time_out_often(void *arg)
{
    for (int i = 0; i < 1500; i++) {
        pl_timeout limit = {0};
        begin(&limit, 0);
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
    }
    return sleep_for_ever(arg);
}

/* Each of them was heeded: this is a server that serves slow clients, not a task that goes on regardless. */
TEST_CASE(a_task_may_time_out_any_number_of_times)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, time_out_often);
    turn(&f, 1600);
    EXPECT_REPORTS(&f, "");
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    fixture_close(&f);
}

FIXTURE_CASE(a_body_that_ended_well_after_the_limit_is_no_error)
{
    pl_timeout limit = {0};
    (void)arg;
    begin(&limit, 0);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED); /* and it does not care */
    CHECK_EQ_INT(pl_timeout_end(&limit, 7), 7);
    CHECK(pl_timeout_expired(&limit) != 0);
    CHECK_EQ_INT(pl_yield(), PL_OK); /* its cancel is gone */
    return 0;
}

/* test_foreign_exception_passed, test_foreign_exception_on_timeout */
FIXTURE_CASE(another_error_of_the_body_passes)
{
    pl_timeout limit = {0};
    (void)arg;
    begin(&limit, PL_SECONDS(3600));
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_EIO), PL_EIO);
    CHECK_EQ_INT(pl_timeout_expired(&limit), 0);
    limit = (pl_timeout){0};
    begin(&limit, 0);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_EIO), PL_EIO);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

/* test_foreign_cancel_doesnt_timeout_if_not_expired */
FIXTURE_CASE(a_cancel_of_the_task_is_not_the_limits)
{
    pl_timeout limit = {0};
    (void)arg;
    begin(&limit, PL_SECONDS(3600));
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_FOREVER)), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_expired(&limit), 0);
    CHECK_EQ_INT(pl_task_cancelling(pl_task_current()), 1);
    CHECK_EQ_INT(pl_task_uncancel(pl_task_current()), 0);
    return 0;
}

FIXTURE_CASE(a_result_that_says_cancelled_without_a_cause_passes)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    begin(&limit, PL_SECONDS(3600));
    CHECK_EQ_INT(pl_future_cancel(new_future(f, 0)), 1);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_await(f->futures[0])), PL_ECANCELED);
    return 0;
}

static int64_t limited_sleep(void *arg)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin_at(&limit, f->results[0]), PL_OK);
    note_code(f, rc = pl_sleep(PL_FOREVER));
    rc = pl_timeout_end(&limit, rc);
    note_code(f, rc);
    return rc;
}

static void cancel_first_task(void *arg)
{
    fixture *f = arg;
    (void)pl_task_cancel(f->tasks[0]);
}

/* Limit and cancel in one iteration, in both orders: the cancel from outside wins, it must not get lost. */
TEST_CASE(a_limit_and_a_cancel_in_the_same_iteration_are_a_cancel)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int order = 0; order < 2; order++) {
        f.results[0] = pl_loop_time(f.loop) + PL_MS(3);
        if (order == 0)
            CHECK_EQ_INT(pl_timer_start_at(&f.timers[0], f.loop, f.results[0], cancel_first_task, &f), PL_OK);
        start_slot(&f, 0, limited_sleep);
        turn(&f, 1);
        if (order == 1)
            CHECK_EQ_INT(pl_timer_start_at(&f.timers[0], f.loop, f.results[0], cancel_first_task, &f), PL_OK);
        CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
        EXPECT_TRACE(&f, "PL_ECANCELED PL_ECANCELED ");
        pl_task_unref(f.tasks[0]);
        f.tasks[0] = NULL;
    }
    fixture_close(&f);
}

static int64_t limited_then_cancelled(void *arg)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    begin(&limit, 0);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED); /* by the limit */
    note(f, "cleaning");
    CHECK_EQ_INT(pl_await(f->futures[0]), PL_ECANCELED); /* while a cancel comes from outside */
    note_code(f, pl_timeout_end(&limit, PL_ECANCELED));
    note_code(f, pl_yield());
    return 0;
}

/* test_timeout.py has it as "uncancel() > saved count": the code passes as a cancel, and is not delivered again. */
TEST_CASE(a_cancel_that_came_after_the_limit_passes)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, limited_then_cancelled);
    for (int i = 0; i < 10 && strcmp(f.trace, "cleaning ") != 0; i++)
        turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 0);
    CHECK(strstr(f.trace, "cleaning PL_ECANCELED ") != NULL);
    fixture_close(&f);
}

/* test_outer_task_is_not_cancelled */
TEST_CASE(a_task_whose_limit_ran_out_is_not_cancelled)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    f.results[0] = 0;
    start_slot(&f, 0, limited_sleep);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_future_state(pl_task_future(f.tasks[0])), PL_FINISHED);
    fixture_close(&f);
}

/* --- Nesting ------------------------------------------------------------------------------------------------------ */

/* test_nested_timeouts: only the outermost says that it timed out. */
FIXTURE_CASE(nested_limits_of_one_deadline_time_out_at_the_outermost)
{
    fixture *f = arg;
    pl_timeout outer = {0}, inner = {0};
    pl_duration deadline = pl_loop_time(f->loop) + PL_MS(2);
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin_at(&outer, deadline), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin_at(&inner, deadline), PL_OK);
    rc = pl_timeout_end(&inner, pl_sleep(PL_FOREVER));
    CHECK_EQ_INT(rc, PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&outer, rc), PL_ETIMEDOUT);
    CHECK(pl_timeout_expired(&outer) != 0);
    CHECK(pl_timeout_expired(&inner) != 0);
    return 0;
}

FIXTURE_CASE(an_inner_limit_that_runs_out_first_leaves_the_outer_alone)
{
    pl_timeout outer = {0}, inner = {0};
    (void)arg;
    begin(&outer, PL_SECONDS(3600));
    begin(&inner, PL_MS(1));
    CHECK_EQ_INT(pl_timeout_end(&inner, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&outer, 3), 3);
    return 0;
}

FIXTURE_CASE(an_outer_limit_that_runs_out_first_is_a_cancel_to_the_inner_one)
{
    pl_timeout outer = {0}, inner = {0};
    int64_t rc;
    (void)arg;
    begin(&outer, PL_MS(1));
    begin(&inner, PL_SECONDS(3600));
    rc = pl_timeout_end(&inner, pl_sleep(PL_FOREVER));
    CHECK_EQ_INT(rc, PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_expired(&inner), 0);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED); /* a level, still */
    CHECK_EQ_INT(pl_timeout_end(&outer, rc), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

/* test_nested_timeouts_loop_busy */
FIXTURE_CASE(an_outer_limit_that_runs_out_in_the_inner_ones_clean_up_is_a_cancel)
{
    fixture *f = arg;
    pl_timeout outer = {0}, inner = {0};
    pl_shielded shielded = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin_at(&outer, pl_loop_time(f->loop) + PL_MS(3)), PL_OK);
    begin(&inner, PL_MS(1));
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK(pl_timeout_expired(&inner) != 0);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    while (!pl_timeout_expired(&outer))
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    pl_shielded_end(&shielded);
    rc = pl_timeout_end(&inner, PL_ECANCELED);
    CHECK_EQ_INT(rc, PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&outer, rc), PL_ETIMEDOUT);
    return 0;
}

/* test_nested_timeout_in_finally has TimeoutError here; in proloop the outer cancel is a level. */
FIXTURE_CASE(a_limit_begun_in_a_scope_that_timed_out_is_cancelled_by_it)
{
    pl_timeout outer = {0}, inner = {0};
    int64_t rc;
    (void)arg;
    begin(&outer, 0);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    begin(&inner, PL_SECONDS(3600));
    rc = pl_timeout_end(&inner, pl_sleep(PL_FOREVER));
    CHECK_EQ_INT(rc, PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_expired(&inner), 0);
    CHECK_EQ_INT(pl_timeout_end(&outer, rc), PL_ETIMEDOUT);
    return 0;
}

FIXTURE_CASE(ten_limits_nest)
{
    pl_timeout limits[10] = {{{{0}}}};
    int64_t rc;
    (void)arg;
    for (int i = 0; i < 10; i++)
        begin(&limits[i], i == 4 ? PL_MS(1) : PL_SECONDS(3600));
    rc = pl_sleep(PL_FOREVER);
    for (int i = 9; i >= 0; i--) {
        rc = pl_timeout_end(&limits[i], rc);
        CHECK_EQ_INT(rc, i > 4 ? PL_ECANCELED : PL_ETIMEDOUT);
    }
    return 0;
}

/* test_timeout_after_cancellation */
FIXTURE_CASE(a_limit_works_after_a_cancel_that_was_caught)
{
    pl_timeout limit = {0};
    (void)arg;
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    CHECK_EQ_INT(pl_sleep(PL_SECONDS(1)), PL_ECANCELED);
    begin(&limit, 0);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_SECONDS(1))), PL_ETIMEDOUT);
    return 0;
}

/* test_cancel_in_timeout_after_cancellation */
FIXTURE_CASE(a_cancel_inside_a_limit_after_another_cancel_passes)
{
    pl_timeout limit = {0};
    (void)arg;
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    CHECK_EQ_INT(pl_sleep(PL_SECONDS(1)), PL_ECANCELED);
    begin(&limit, PL_SECONDS(3600));
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_SECONDS(2))), PL_ECANCELED);
    return 0;
}

FIXTURE_CASE(an_edge_that_is_due_when_a_limit_begins_comes_inside_and_passes)
{
    pl_timeout limit = {0};
    (void)arg;
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    begin(&limit, PL_SECONDS(3600));
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_SECONDS(2))), PL_ECANCELED);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

FIXTURE_CASE(a_cancel_that_was_taken_back_does_not_hide_the_limit)
{
    pl_timeout limit = {0};
    (void)arg;
    begin(&limit, PL_MS(1));
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_ECANCELED);
    CHECK_EQ_INT(pl_task_uncancel(pl_task_current()), 0);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
    return 0;
}

/* --- What a limit cancels ----------------------------------------------------------------------------------------- */

FIXTURE_CASE(a_limit_cancels_the_task_that_is_awaited_and_waits_for_its_end)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    f->tasks[0] = start_task(f, sleep_for_ever, f);
    begin(&limit, PL_MS(1));
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_task_await(f->tasks[0])), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_future_state(pl_task_future(f->tasks[0])), PL_CANCELLED);
    EXPECT_TRACE(f, "PL_ECANCELED ");
    return 0;
}

static int64_t finish_all_the_same(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(f, "finished");
    return 33;
}

/* wait_for: "the body ended normally" */
FIXTURE_CASE(a_task_that_finishes_all_the_same_gives_its_result)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    f->tasks[0] = start_task(f, finish_all_the_same, f);
    begin(&limit, PL_MS(1));
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_task_await(f->tasks[0])), 33);
    CHECK(pl_timeout_expired(&limit) != 0);
    EXPECT_TRACE(f, "finished ");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

static void set_future_now(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_future_set_result(f->futures[0], 9), PL_OK);
}

/* The result and the limit in one iteration, the result first: nothing is lost, whatever the verdict. */
FIXTURE_CASE(a_result_and_a_limit_in_the_same_iteration_lose_nothing)
{
    fixture *f = arg;
    for (int i = 0; i < 20; i++) {
        pl_timeout limit = {0};
        pl_duration deadline = pl_loop_time(f->loop) + PL_MS(1);
        int64_t rc, verdict;
        new_future(f, 0);
        CHECK_EQ_INT(pl_timer_start_at(&f->timers[0], f->loop, deadline, set_future_now, f), PL_OK);
        CHECK_EQ_INT(pl_timeout_begin_at(&limit, deadline), PL_OK);
        rc = pl_await(f->futures[0]);
        CHECK(rc == 9 || rc == PL_ECANCELED);
        verdict = pl_timeout_end(&limit, rc);
        CHECK_EQ_INT(verdict, rc == 9 ? 9 : PL_ETIMEDOUT);
        CHECK_EQ_INT(pl_future_result(f->futures[0]), 9);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        drop_future(f, 0);
    }
    return 0;
}

/* --- Rescheduling ------------------------------------------------------------------------------------------------- */

/* test_reschedule */
FIXTURE_CASE(a_limit_can_be_moved)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_duration start;
    begin(&limit, PL_MS(1));
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, PL_SECONDS(3600)), PL_OK); /* later */
    CHECK_EQ_INT(pl_sleep(PL_MS(3)), PL_OK);
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, PL_FOREVER), PL_OK); /* never */
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    start = pl_loop_time(f->loop);
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, PL_MS(2)), PL_OK); /* counted from now */
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
    CHECK(pl_loop_time(f->loop) >= start + PL_MS(2));
    limit = (pl_timeout){0};
    begin(&limit, PL_FOREVER);
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, 0), PL_OK); /* at once */
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_yield()), PL_ETIMEDOUT);
    return 0;
}

/* test_timeout_expired, test_timeout_expiring, test_timeout_finished, test_timeout_not_entered */
FIXTURE_CASE(a_limit_that_ran_out_or_was_not_begun_cannot_be_moved)
{
    pl_timeout limit = {0};
    (void)arg;
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, PL_SECONDS(1)), PL_ESTATE); /* not begun */
    begin(&limit, 0);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, PL_SECONDS(1)), PL_ESTATE); /* run out, open */
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, PL_SECONDS(1)), PL_ESTATE); /* run out, ended */
    limit = (pl_timeout){0};
    begin(&limit, PL_SECONDS(3600));
    CHECK_EQ_INT(pl_timeout_end(&limit, 0), 0);
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, PL_SECONDS(1)), PL_ESTATE); /* ended in time */
    return 0;
}

static void reschedule_from_callback(void *arg)
{
    fixture *f = arg;
    note(f, "moved");
    CHECK_EQ_INT(pl_timeout_reschedule(f->timeout, 0), PL_OK);
}

FIXTURE_CASE(a_callback_may_move_the_limit_of_a_task_that_waits)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    begin(&limit, PL_FOREVER);
    f->timeout = &limit;
    CHECK_EQ_INT(pl_call_soon(NULL, reschedule_from_callback, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_sleep(PL_FOREVER)), PL_ETIMEDOUT);
    EXPECT_TRACE(f, "moved ");
    return 0;
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

/* test_timeout_already_entered */
FIXTURE_CASE(a_limit_that_is_begun_is_busy)
{
    pl_timeout limit = {0};
    (void)arg;
    begin(&limit, PL_SECONDS(3600));
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_EBUSY);
    CHECK_EQ_INT(pl_timeout_begin_at(&limit, 0), PL_EBUSY);
    CHECK_EQ_INT(pl_yield(), PL_OK); /* as it was */
    CHECK_EQ_INT(pl_timeout_end(&limit, 4), 4);
    return 0;
}

FIXTURE_CASE(a_limit_can_be_used_again_after_its_end)
{
    pl_timeout limit = {0};
    (void)arg;
    for (int i = 0; i < 3; i++) {
        begin(&limit, i == 1 ? 0 : PL_SECONDS(3600));
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_yield()), i == 1 ? PL_ETIMEDOUT : PL_OK);
        CHECK_EQ_INT(pl_timeout_expired(&limit), i == 1);
    }
    return 0;
}

/* test_timeout_without_task */
TEST_CASE(outside_of_a_task_there_is_no_limit)
{
    fixture f;
    pl_timeout limit = {0};
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_ENOTASK);
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, 0), PL_ESTATE); /* nothing was begun */
    CHECK_EQ_INT(pl_timeout_expired(&limit), 0);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

static int64_t many_limits(void *arg)
{
    fixture *f = arg;
    int timed_out = 0;
    for (int i = 0; i < 2000; i++) {
        pl_timeout limit = {0};
        int64_t rc;
        begin(&limit, i % 10 == 0 ? PL_US(i % 7) : PL_SECONDS(3600 + i));
        rc = pl_timeout_end(&limit, i % 10 == 0 ? pl_sleep(PL_FOREVER) : pl_yield());
        timed_out += rc == PL_ETIMEDOUT;
        CHECK(rc == PL_ETIMEDOUT || rc == PL_OK);
    }
    CHECK_EQ_INT(timed_out, 200);
    f->counts[0]++;
    return 0;
}

TEST_CASE(many_tasks_with_many_limits)
{
    enum { TASKS = 20 };
    fixture f;
    pl_task *tasks[TASKS];
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < TASKS; i++)
        tasks[i] = start_task(&f, many_limits, &f);
    for (int i = 0; i < TASKS; i++) {
        CHECK_EQ_INT(finish_task(&f, tasks[i]), 0);
        pl_task_unref(tasks[i]);
    }
    CHECK_EQ_INT(f.counts[0], TASKS);
    fixture_close(&f);
}

TEST_SUITE(timeout, TEST_BACKENDS_ALL,
           CASE(a_limit_that_runs_out_ends_the_wait_and_is_the_verdict),
           CASE(a_limit_may_be_a_point_in_time),
           CASE(a_limit_that_does_not_run_out_changes_nothing),
           CASE(forever_is_no_limit),
           CASE(a_limit_that_is_over_already_ends_the_first_wait),
           CASE(a_limit_that_is_over_does_not_touch_what_is_done),
           CASE(a_limit_that_ran_out_is_a_level_each_wait_is_cancelled_and_gives_way_once),
           CASE(a_thousand_waits_that_ignore_the_limit_are_reported),
           CASE(a_task_may_time_out_any_number_of_times),
           CASE(a_body_that_ended_well_after_the_limit_is_no_error),
           CASE(another_error_of_the_body_passes),
           CASE(a_cancel_of_the_task_is_not_the_limits),
           CASE(a_result_that_says_cancelled_without_a_cause_passes),
           CASE(a_limit_and_a_cancel_in_the_same_iteration_are_a_cancel),
           CASE(a_cancel_that_came_after_the_limit_passes),
           CASE(a_task_whose_limit_ran_out_is_not_cancelled),
           CASE(nested_limits_of_one_deadline_time_out_at_the_outermost),
           CASE(an_inner_limit_that_runs_out_first_leaves_the_outer_alone),
           CASE(an_outer_limit_that_runs_out_first_is_a_cancel_to_the_inner_one),
           CASE(an_outer_limit_that_runs_out_in_the_inner_ones_clean_up_is_a_cancel),
           CASE(a_limit_begun_in_a_scope_that_timed_out_is_cancelled_by_it),
           CASE(ten_limits_nest),
           CASE(a_limit_works_after_a_cancel_that_was_caught),
           CASE(a_cancel_inside_a_limit_after_another_cancel_passes),
           CASE(an_edge_that_is_due_when_a_limit_begins_comes_inside_and_passes),
           CASE(a_cancel_that_was_taken_back_does_not_hide_the_limit),
           CASE(a_limit_cancels_the_task_that_is_awaited_and_waits_for_its_end),
           CASE(a_task_that_finishes_all_the_same_gives_its_result),
           CASE(a_result_and_a_limit_in_the_same_iteration_lose_nothing),
           CASE(a_limit_can_be_moved),
           CASE(a_limit_that_ran_out_or_was_not_begun_cannot_be_moved),
           CASE(a_callback_may_move_the_limit_of_a_task_that_waits),
           CASE(a_limit_that_is_begun_is_busy),
           CASE(a_limit_can_be_used_again_after_its_end),
           CASE(outside_of_a_task_there_is_no_limit),
           CASE(many_tasks_with_many_limits))
