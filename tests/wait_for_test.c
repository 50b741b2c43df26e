/* pl_wait_for: one future within a limit, and its end when the limit has run out. Named behind each: the case of CPython's
 * test_waitfor.py. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "waits.h"

static int64_t call_wait_for(void *arg)
{
    waits *w = arg;
    w->rc = pl_wait_for(w->items[0].future, w->limit);
    return w->rc;
}

static void finish(waits *w, int64_t rc)
{
    CHECK_EQ_INT(finish_task(&w->f, w->f.tasks[WAITS_CALLER]), rc);
    CHECK_EQ_INT(w->rc, rc);
}

/* test_wait_for_blocking, test_wait_for_with_exception */
TEST_CASE(in_time_the_result_is_that_of_the_future)
{
    for (int i = 0; i < 4; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 1));
        w.limit = i < 2 ? PL_FOREVER : PL_SECONDS(3600);
        start_caller(&w, call_wait_for);
        turn(&w.f, 1);
        if (i % 2)
            set_error(&w, 0, PL_EIO);
        else
            set_result(&w, 0, 42);
        finish(&w, i % 2 ? PL_EIO : 42);
        waits_close(&w);
    }
}

/* test_wait_for_timeout_less_then_0_or_0_future_done */
WAITS_CASE(a_future_that_is_done_gives_its_result_whatever_the_limit, 1)
{
    waits *w = arg;
    set_result(w, 0, 42);
    CHECK_EQ_INT(pl_wait_for(w->f.futures[0], 0), 42);
    CHECK_EQ_INT(pl_wait_for(w->f.futures[0], PL_SECONDS(-1)), 42);
    CHECK_EQ_INT(pl_wait_for(w->f.futures[0], PL_FOREVER), 42);
    return 0;
}

/* test_wait_for_timeout_less_then_0_or_0, test_wait_for */
TEST_CASE(out_of_time_the_future_is_cancelled)
{
    static const pl_duration limits[] = {0, PL_SECONDS(-1), PL_MS(1)};
    for (int i = 0; i < 3; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 1));
        w.limit = limits[i];
        start_child(&w, 0, 0, PL_ECANCELED);
        turn(&w.f, 1);
        start_caller(&w, call_wait_for);
        finish(&w, PL_ETIMEDOUT);
        EXPECT_TRACE(&w.f, "0 ");
        CHECK_EQ_INT(child_result(&w, 0), PL_ECANCELED);
        waits_close(&w);
    }
}

/* test_wait_for_waits_for_task_cancellation, ..._w_timeout_0, test_asyncio_wait_for_timeout */
TEST_CASE(out_of_time_it_returns_after_the_future_has_ended)
{
    for (int i = 0; i < 2; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 1));
        w.limit = i == 0 ? 0 : PL_MS(1);
        start_child(&w, 0, 6, PL_ECANCELED);
        turn(&w.f, 1);
        start_caller(&w, call_wait_for);
        while (state_of(&w, 0) == PL_PENDING)
            CHECK_EQ_INT(pl_loop_run_once(w.f.loop, PL_FOREVER), PL_OK);
        turn(&w.f, 4);
        CHECK_EQ_INT(w.rc, STILL_WAITING);
        EXPECT_TRACE(&w.f, "");
        finish(&w, PL_ETIMEDOUT);
        EXPECT_TRACE(&w.f, "0 ");
        waits_close(&w);
    }
}

/* test_wait_for_cancel_suppressed (GH-86296), test_wait_for_cancellation_race_condition */
TEST_CASE(a_result_that_comes_all_the_same_is_returned)
{
    for (int i = 0; i < 2; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 1));
        w.limit = i == 0 ? 0 : PL_MS(1);
        start_child(&w, 0, 2, 42);
        turn(&w.f, 1);
        start_caller(&w, call_wait_for);
        finish(&w, 42);
        waits_close(&w);
    }
}

/* test_wait_for_reraises_exception_during_cancellation */
TEST_CASE(an_error_that_comes_instead_is_returned)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    w.limit = PL_MS(1);
    start_child(&w, 0, 0, PL_EIO);
    start_caller(&w, call_wait_for);
    finish(&w, PL_EIO);
    waits_close(&w);
}

static void finish_first(void *arg)
{
    set_result(arg, 0, 42);
}

/* test_wait_for_race_condition */
TEST_CASE(a_future_that_is_done_before_the_limit_is_in_time)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    w.limit = PL_MS(1);
    CHECK_EQ_INT(pl_timer_start(&w.f.timers[0], w.f.loop, PL_MS(1), finish_first, &w), PL_OK);
    start_caller(&w, call_wait_for); /* its limit is due in the same moment, or a little later */
    finish(&w, 42);
    waits_close(&w);
}

/* test_cancel_blocking_wait_for, test_cancel_wait_for (bpo-23219), test_asyncio_wait_for_cancelled */
TEST_CASE(a_cancel_reaches_the_future_and_waits_for_its_end)
{
    static const pl_duration limits[] = {PL_FOREVER, PL_SECONDS(3600)};
    for (int i = 0; i < 2; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 1));
        w.limit = limits[i];
        start_child(&w, 0, 4, PL_ECANCELED);
        start_caller(&w, call_wait_for);
        turn(&w.f, 1);
        cancel_caller(&w);
        turn(&w.f, 3);
        CHECK_EQ_INT(w.rc, STILL_WAITING);
        finish(&w, PL_ECANCELED);
        EXPECT_TRACE(&w.f, "0 ");
        CHECK_EQ_INT(child_result(&w, 0), PL_ECANCELED);
        waits_close(&w);
    }
}

static int64_t end_at_once(void *arg)
{
    (void)arg;
    return 9;
}

/* test_wait_for_issue86296 (GH-86296): done in the moment of the cancel, which must not be lost. */
TEST_CASE(a_cancel_when_the_future_is_done_and_before_the_task_goes_on_is_not_lost)
{
    waits w;
    REQUIRE(waits_open(&w, t, 0));
    w.limit = PL_SECONDS(3600);
    start_caller(&w, call_wait_for);
    w.f.tasks[0] = start_task(&w.f, end_at_once, &w);
    w.items[0].future = pl_task_future(w.f.tasks[0]);
    turn(&w.f, 1);
    CHECK_EQ_INT(pl_future_state(w.items[0].future), PL_FINISHED);
    cancel_caller(&w);
    finish(&w, PL_ECANCELED);
    CHECK_EQ_INT(child_result(&w, 0), 9);
    waits_close(&w);
}

/* A future that somebody else cancels is no time limit. */
TEST_CASE(a_cancel_of_the_future_is_not_taken_for_the_limit)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    w.limit = PL_SECONDS(3600);
    start_caller(&w, call_wait_for);
    turn(&w.f, 1);
    CHECK_EQ_INT(pl_future_cancel(w.f.futures[0]), 1);
    finish(&w, PL_ECANCELED);
    waits_close(&w);
}

static int64_t wait_within_a_longer_limit(void *arg)
{
    waits *w = arg;
    pl_timeout outer = {0};
    CHECK_EQ_INT(pl_timeout_begin(&outer, PL_SECONDS(3600)), PL_OK);
    w->rc = pl_wait_for(w->items[0].future, w->limit);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&outer, PL_OK), PL_OK);
    CHECK_EQ_INT(pl_task_cancelling(pl_task_current()), 0);
    return w->rc;
}

TEST_CASE(the_limit_cancels_nothing_outside_of_it)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    w.limit = PL_MS(1);
    start_caller(&w, wait_within_a_longer_limit);
    finish(&w, PL_ETIMEDOUT);
    waits_close(&w);
}

WAITS_CASE(in_a_scope_that_is_cancelled_the_cancel_is_not_the_limits, 1)
{
    waits *w = arg;
    pl_timeout outer = {0};
    CHECK_EQ_INT(pl_timeout_begin(&outer, 0), PL_OK);
    CHECK_EQ_INT(pl_wait_for(w->f.futures[0], PL_SECONDS(3600)), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&outer, PL_ECANCELED), PL_ETIMEDOUT);
    return 0;
}

static int64_t wait_for_oneself(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_wait_for(pl_task_future(pl_task_current()), PL_FOREVER), PL_EDEADLOCK);
    CHECK_EQ_INT(pl_wait_for(pl_task_future(pl_task_current()), PL_SECONDS(3600)), PL_EDEADLOCK);
    return 3;
}

TEST_CASE(a_task_that_waits_for_itself_is_told)
{
    waits w;
    REQUIRE(waits_open(&w, t, 0));
    start_caller(&w, wait_for_oneself);
    CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[WAITS_CALLER]), 3);
    waits_close(&w);
}

WAITS_CASE(what_cannot_be_waited_for_is_refused, 0)
{
    pl_op op = {0};
    (void)arg;
    CHECK_EQ_INT(pl_wait_for(NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_wait_for(pl_op_future(&op), PL_SECONDS(1)), PL_ESTATE);
    return 0;
}

TEST_CASE(outside_of_a_task_there_is_no_wait)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    CHECK_EQ_INT(pl_wait_for(w.f.futures[0], PL_SECONDS(1)), PL_ENOTASK);
    CHECK_EQ_INT(pl_wait_for(w.f.futures[0], PL_FOREVER), PL_ENOTASK);
    waits_close(&w);
}

static int64_t yield_then_wait_for(void *arg)
{
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return call_wait_for(arg);
}

TEST_CASE(a_limit_that_finds_no_memory_is_told_and_cancels_nothing)
{
    waits w;
    allocation a;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE_OR(waits_open(&w, t, 1), goto out);
    w.limit = PL_MS(1);
    start_caller(&w, yield_then_wait_for);
    turn(&w.f, 1); /* it has its stack, the loop has no timers yet */
    a.fail_at = a.calls + 1;
    turn(&w.f, 1);
    CHECK_EQ_INT(a.failed, 1);
    CHECK_EQ_INT(state_of(&w, 0), PL_PENDING);
    finish(&w, PL_ENOMEM);
    waits_close(&w);
out:
    allocation_end(&a);
}

TEST_SUITE(wait_for, TEST_BACKENDS_ALL,
           CASE(in_time_the_result_is_that_of_the_future),
           CASE(a_future_that_is_done_gives_its_result_whatever_the_limit),
           CASE(out_of_time_the_future_is_cancelled),
           CASE(out_of_time_it_returns_after_the_future_has_ended),
           CASE(a_result_that_comes_all_the_same_is_returned),
           CASE(an_error_that_comes_instead_is_returned),
           CASE(a_future_that_is_done_before_the_limit_is_in_time),
           CASE(a_cancel_reaches_the_future_and_waits_for_its_end),
           CASE(a_cancel_when_the_future_is_done_and_before_the_task_goes_on_is_not_lost),
           CASE(a_cancel_of_the_future_is_not_taken_for_the_limit),
           CASE(the_limit_cancels_nothing_outside_of_it),
           CASE(in_a_scope_that_is_cancelled_the_cancel_is_not_the_limits),
           CASE(a_task_that_waits_for_itself_is_told),
           CASE(what_cannot_be_waited_for_is_refused),
           CASE(outside_of_a_task_there_is_no_wait),
           CASE(a_limit_that_finds_no_memory_is_told_and_cancels_nothing))
