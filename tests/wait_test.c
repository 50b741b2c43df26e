/* Wait: until enough are done, or for a time; it cancels nothing. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "loop.h"
#include "waits.h"

static int64_t call_wait(void *arg)
{
    waits *w = arg;
    w->rc = pl_wait(w->items, w->count, w->mode, w->limit);
    return w->rc;
}

static void finish(waits *w, int64_t rc)
{
    CHECK_EQ_INT(finish_task(&w->f, w->f.tasks[WAITS_CALLER]), rc);
    CHECK_EQ_INT(w->rc, rc);
}

/* --- Modes -------------------------------------------------------------------------------------------------------- */

/* test_wait */
TEST_CASE(all_completed_waits_for_the_last)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    start_caller(&w, call_wait);
    turn(&w.f, 1);
    set_result(&w, 1, 5);
    turn(&w.f, 3);
    CHECK_EQ_INT(w.rc, STILL_WAITING);
    set_result(&w, 0, 4);
    finish(&w, 2);
    note_items(&w);
    EXPECT_TRACE(&w.f, "4 5 ");
    pl_task_unref(w.f.tasks[WAITS_CALLER]);
    start_caller(&w, call_wait); /* again takes no time, and another path */
    turn(&w.f, 1);
    finish(&w, 2);
    waits_close(&w);
}

/* test_wait_with_exception */
TEST_CASE(all_completed_waits_for_errors_and_cancels_too)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    start_caller(&w, call_wait);
    turn(&w.f, 1);
    set_error(&w, 1, PL_EIO);
    CHECK_EQ_INT(pl_future_cancel(w.f.futures[2]), 1);
    turn(&w.f, 3);
    CHECK_EQ_INT(w.rc, STILL_WAITING);
    set_result(&w, 0, 4);
    finish(&w, 3);
    note_items(&w);
    EXPECT_TRACE(&w.f, "4 PL_EIO PL_ECANCELED ");
    waits_close(&w); /* the error was given to the caller: no report */
}

/* test_wait_duplicate_coroutines */
TEST_CASE(a_future_that_is_named_twice_is_two_items)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    w.items[2].future = w.items[0].future;
    w.count = 3;
    start_caller(&w, call_wait);
    turn(&w.f, 1);
    set_result(&w, 0, 4);
    set_result(&w, 1, 5);
    finish(&w, 3);
    note_items(&w);
    EXPECT_TRACE(&w.f, "4 5 4 ");
    waits_close(&w);
}

/* test_wait_first_completed */
TEST_CASE(first_completed_returns_when_one_is_done_in_any_way)
{
    for (int way = 0; way < 3; way++) {
        waits w;
        REQUIRE(waits_open(&w, t, 3));
        w.mode = PL_FIRST_COMPLETED;
        start_caller(&w, call_wait);
        turn(&w.f, 1);
        if (way == 0)
            set_result(&w, 1, 4);
        else if (way == 1)
            set_error(&w, 1, PL_EIO);
        else
            CHECK_EQ_INT(pl_future_cancel(w.f.futures[1]), 1);
        finish(&w, 1);
        note_items(&w);
        EXPECT_TRACE(&w.f, way == 0 ? "- 4 - " : way == 1 ? "- PL_EIO - " : "- PL_ECANCELED - ");
        waits_spoil_items(&w);
        CHECK_EQ_INT(state_of(&w, 0), PL_PENDING);
        set_result(&w, 0, 1); /* nothing of the wait is left on it */
        turn(&w.f, 2);
        waits_close(&w);
    }
}

/* test_wait_really_done: done, though its callback has not run. */
TEST_CASE(one_that_was_done_after_the_first_counts_as_done)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    w.mode = PL_FIRST_COMPLETED;
    start_caller(&w, call_wait);
    turn(&w.f, 1);
    set_result(&w, 0, 1);
    turn(&w.f, 1); /* its callback has run; the caller has not */
    set_result(&w, 2, 3);
    finish(&w, 2);
    note_items(&w);
    EXPECT_TRACE(&w.f, "1 - 3 ");
    waits_close(&w);
}

/* test_wait_first_exception, test_wait_first_exception_in_wait */
TEST_CASE(first_error_waits_for_an_error)
{
    for (int before = 0; before < 2; before++) {
        waits w;
        REQUIRE(waits_open(&w, t, 3));
        w.mode = PL_FIRST_ERROR;
        set_result(&w, 0, 1);
        if (before)
            set_error(&w, 1, PL_EIO);
        start_caller(&w, call_wait);
        turn(&w.f, 1);
        CHECK_EQ_INT(w.rc, before ? 2 : STILL_WAITING);
        if (!before)
            set_error(&w, 1, PL_EIO);
        finish(&w, 2);
        note_items(&w);
        EXPECT_TRACE(&w.f, "1 PL_EIO - ");
        waits_close(&w);
    }
}

TEST_CASE(to_first_error_a_cancelled_one_is_none)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    w.mode = PL_FIRST_ERROR;
    CHECK_EQ_INT(pl_future_cancel(w.f.futures[0]), 1);
    start_caller(&w, call_wait);
    turn(&w.f, 1);
    CHECK_EQ_INT(pl_future_cancel(w.f.futures[1]), 1);
    turn(&w.f, 3);
    CHECK_EQ_INT(w.rc, STILL_WAITING);
    set_result(&w, 2, 1);
    finish(&w, 3);
    waits_close(&w);
}

/* --- Limits ------------------------------------------------------------------------------------------------------- */

/* test_wait_with_timeout */
TEST_CASE(a_limit_returns_what_is_done_and_cancels_nothing)
{
    for (int mode = PL_ALL_COMPLETED; mode <= PL_FIRST_ERROR; mode += PL_FIRST_ERROR) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        w.mode = mode;
        w.limit = PL_MS(2);
        set_result(&w, 0, 1);
        start_child(&w, 1, 0, PL_ECANCELED);
        start_caller(&w, call_wait);
        finish(&w, 1);
        note_items(&w);
        EXPECT_TRACE(&w.f, "1 - ");
        CHECK_EQ_INT(pl_future_state(pl_task_future(w.f.tasks[1])), PL_PENDING);
        waits_spoil_items(&w);
        set_result(&w, 1, 7);
        CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[1]), 7);
        waits_close(&w);
    }
}

TEST_CASE(a_limit_may_find_none_done)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    w.limit = PL_MS(1);
    w.mode = PL_FIRST_COMPLETED;
    start_caller(&w, call_wait);
    finish(&w, 0);
    waits_close(&w);
}

static void finish_first(void *arg)
{
    set_result(arg, 0, 1);
}

static void finish_all(void *arg)
{
    waits *w = arg;
    set_result(w, 0, 1);
    set_result(w, 1, 2);
}

/* test_wait_concurrent_complete: the limit and the end fall together. */
TEST_CASE(one_that_is_done_when_the_limit_runs_out_counts)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    w.limit = PL_MS(1);
    CHECK_EQ_INT(pl_timer_start(&w.f.timers[0], w.f.loop, PL_MS(1), finish_all, &w), PL_OK);
    start_caller(&w, call_wait); /* its limit is due in the same moment, or a little later */
    finish(&w, 2);
    waits_close(&w);
}

/* Its timer would be due later, on a stack that is another's by then. */
WAITS_CASE(a_limit_that_is_not_needed_is_stopped, 1)
{
    waits *w = arg;
    CHECK_EQ_INT(pl_call_soon(NULL, finish_first, w, NULL), PL_OK);
    CHECK_EQ_INT(pl_wait(w->items, 1, PL_ALL_COMPLETED, PL_SECONDS(3600)), 1);
    CHECK_EQ_INT(w->f.loop->timers.count, 0);
    return 0;
}

WAITS_CASE(without_time_it_gives_way_once, 2)
{
    waits *w = arg;
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(pl_call_soon(NULL, note_a, &w->f, NULL), PL_OK);
        CHECK_EQ_INT(pl_wait(w->items, 2, PL_ALL_COMPLETED, i == 0 ? 0 : PL_SECONDS(-1)), 0);
        EXPECT_TRACE(&w->f, "a ");
    }
    set_result(w, 0, 1);
    CHECK_EQ_INT(pl_wait(w->items, 2, PL_ALL_COMPLETED, 0), 1);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, &w->f, NULL), PL_OK);
    CHECK_EQ_INT(pl_wait(w->items, 2, PL_FIRST_COMPLETED, 0), 1); /* enough are done */
    EXPECT_TRACE(&w->f, "");
    return 0;
}

WAITS_CASE(very_many_results_without_a_wait_let_others_run, 1)
{
    waits *w = arg;
    set_result(w, 0, 1);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, &w->f, NULL), PL_OK);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ_INT(pl_wait(w->items, 1, PL_ALL_COMPLETED, PL_FOREVER), 1);
    EXPECT_TRACE(&w->f, "a ");
    return 0;
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

/* test_yield_wait_does_not_shield_cancel */
TEST_CASE(a_cancelled_wait_cancels_nothing_and_takes_its_callbacks_back)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    start_child(&w, 0, 0, PL_ECANCELED);
    start_caller(&w, call_wait);
    turn(&w.f, 1);
    cancel_caller(&w);
    finish(&w, PL_ECANCELED);
    waits_spoil_items(&w);
    EXPECT_TRACE(&w.f, "");
    set_result(&w, 0, 4);
    set_result(&w, 1, 5);
    CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[0]), 4);
    EXPECT_TRACE(&w.f, "0 ");
    waits_close(&w);
}

TEST_CASE(an_error_that_a_cancelled_wait_did_not_give_is_reported)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    start_caller(&w, call_wait);
    turn(&w.f, 1);
    set_error(&w, 0, PL_EIO);
    turn(&w.f, 1); /* the wait is over, the task has not run */
    cancel_caller(&w);
    finish(&w, PL_ECANCELED);
    CHECK_EQ_INT(w.items[0].done, 0);
    drop_future(&w.f, 0);
    EXPECT_REPORTS(&w.f, "PL_EIO ");
    waits_close(&w);
}

WAITS_CASE(in_a_cancelled_scope_what_is_done_is_given, 2)
{
    waits *w = arg;
    pl_timeout timeout = {0};
    set_result(w, 0, 9);
    CHECK_EQ_INT(pl_timeout_begin(&timeout, 0), PL_OK);
    CHECK_EQ_INT(pl_wait(w->items, 2, PL_FIRST_COMPLETED, PL_FOREVER), 1);
    CHECK_EQ_INT(w->items[0].result, 9);
    CHECK_EQ_INT(pl_wait(w->items, 2, PL_ALL_COMPLETED, PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_wait(w->items, 2, PL_ALL_COMPLETED, 0), PL_ECANCELED);
    CHECK_EQ_INT(state_of(w, 1), PL_PENDING);
    CHECK_EQ_INT(pl_timeout_end(&timeout, PL_OK), PL_OK);
    return 0;
}

/* --- Waiting for one another -------------------------------------------------------------------------------------- */

static int64_t wait_for_oneself(void *arg)
{
    waits *w = arg;
    w->items[1].future = pl_task_future(pl_task_current());
    CHECK_EQ_INT(pl_wait(w->items, 2, PL_ALL_COMPLETED, PL_FOREVER), PL_EDEADLOCK);
    CHECK_EQ_INT(pl_wait(&w->items[1], 1, PL_FIRST_COMPLETED, PL_FOREVER), PL_EDEADLOCK);
    CHECK_EQ_INT(pl_wait(w->items, 2, PL_ALL_COMPLETED, PL_US(10)), 0); /* that ends */
    note(&w->f, "told");
    w->rc = pl_wait(w->items, 2, PL_FIRST_COMPLETED, PL_FOREVER); /* and that may */
    return w->rc;
}

TEST_CASE(a_task_that_waits_for_itself_without_end_is_told)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    start_caller(&w, wait_for_oneself);
    while (w.f.trace[0] == '\0')
        CHECK_EQ_INT(pl_loop_run_once(w.f.loop, PL_FOREVER), PL_OK);
    turn(&w.f, 2);
    set_result(&w, 0, 1);
    finish(&w, 1);
    EXPECT_TRACE(&w.f, "told ");
    waits_close(&w);
}

static int64_t await_the_caller(void *arg)
{
    waits *w = arg;
    note_code(&w->f, pl_task_await(w->f.tasks[WAITS_CALLER]));
    return 0;
}

TEST_CASE(a_circle_through_a_wait_for_all_ends)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    w.f.tasks[1] = start_task(&w.f, await_the_caller, &w);
    w.items[1].future = pl_task_future(w.f.tasks[1]);
    start_caller(&w, call_wait);
    turn(&w.f, 3); /* the wait, begun second, is told */
    CHECK_EQ_INT(w.rc, PL_EDEADLOCK);
    EXPECT_TRACE(&w.f, "PL_EDEADLOCK "); /* the caller's error */
    waits_close(&w);
}

TEST_CASE(the_one_that_closes_a_circle_with_a_wait_for_all_is_told)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    start_caller(&w, call_wait);
    w.f.tasks[1] = start_task(&w.f, await_the_caller, &w);
    w.items[1].future = pl_task_future(w.f.tasks[1]);
    turn(&w.f, 3);
    EXPECT_TRACE(&w.f, "PL_EDEADLOCK ");
    set_result(&w, 0, 1);
    finish(&w, 2);
    waits_close(&w);
}

TEST_CASE(a_wait_that_another_future_or_a_limit_ends_is_no_circle)
{
    for (int i = 0; i < 2; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        w.mode = i == 0 ? PL_FIRST_COMPLETED : PL_ALL_COMPLETED;
        w.limit = i == 0 ? PL_FOREVER : PL_MS(1);
        start_caller(&w, call_wait);
        w.f.tasks[1] = start_task(&w.f, await_the_caller, &w);
        w.items[1].future = pl_task_future(w.f.tasks[1]);
        turn(&w.f, 1);
        set_result(&w, 0, 1);
        finish(&w, 1);
        turn(&w.f, 2);
        EXPECT_TRACE(&w.f, "1 ");
        waits_close(&w);
    }
}

/* --- Misuse, and no memory ---------------------------------------------------------------------------------------- */

/* test_wait_errors, test_wait_invalid_args */
WAITS_CASE(what_cannot_be_waited_for_is_refused, 2)
{
    waits *w = arg;
    pl_op op = {0};
    CHECK_EQ_INT(pl_wait(w->items, 0, PL_ALL_COMPLETED, PL_FOREVER), PL_EINVAL);
    CHECK_EQ_INT(pl_wait(NULL, 1, PL_ALL_COMPLETED, PL_FOREVER), PL_EINVAL);
    CHECK_EQ_INT(pl_wait(w->items, 2, -1, PL_FOREVER), PL_EINVAL);
    CHECK_EQ_INT(pl_wait(w->items, 2, PL_FIRST_ERROR + 1, PL_FOREVER), PL_EINVAL);
    w->items[2].future = NULL;
    CHECK_EQ_INT(pl_wait(w->items, 3, PL_ALL_COMPLETED, PL_FOREVER), PL_EINVAL);
    w->items[2].future = pl_op_future(&op);
    CHECK_EQ_INT(pl_wait(w->items, 3, PL_ALL_COMPLETED, PL_FOREVER), PL_ESTATE);
    return 0;
}

TEST_CASE(outside_of_a_task_there_is_no_wait)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    CHECK_EQ_INT(pl_wait(w.items, 1, PL_ALL_COMPLETED, 0), PL_ENOTASK);
    waits_close(&w);
}

static int64_t yield_then_wait(void *arg)
{
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return call_wait(arg);
}

TEST_CASE(a_limit_that_finds_no_memory_is_told_and_nothing_changed)
{
    waits w;
    allocation a;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE_OR(waits_open(&w, t, 2), goto out);
    w.limit = PL_MS(1);
    start_caller(&w, yield_then_wait);
    turn(&w.f, 1); /* it has its stack, the loop has no timers yet */
    a.fail_at = a.calls + 1;
    turn(&w.f, 1);
    CHECK_EQ_INT(a.failed, 1);
    CHECK_EQ_INT(w.rc, PL_ENOMEM);
    waits_spoil_items(&w);
    set_result(&w, 0, 1);
    turn(&w.f, 1);
    finish(&w, PL_ENOMEM);
    waits_close(&w);
out:
    allocation_end(&a);
}

TEST_SUITE(wait, TEST_BACKENDS_ALL,
           CASE(all_completed_waits_for_the_last),
           CASE(all_completed_waits_for_errors_and_cancels_too),
           CASE(a_future_that_is_named_twice_is_two_items),
           CASE(first_completed_returns_when_one_is_done_in_any_way),
           CASE(one_that_was_done_after_the_first_counts_as_done),
           CASE(first_error_waits_for_an_error),
           CASE(to_first_error_a_cancelled_one_is_none),
           CASE(a_limit_returns_what_is_done_and_cancels_nothing),
           CASE(a_limit_may_find_none_done),
           CASE(one_that_is_done_when_the_limit_runs_out_counts),
           CASE(a_limit_that_is_not_needed_is_stopped),
           CASE(without_time_it_gives_way_once),
           CASE(very_many_results_without_a_wait_let_others_run),
           CASE(a_cancelled_wait_cancels_nothing_and_takes_its_callbacks_back),
           CASE(an_error_that_a_cancelled_wait_did_not_give_is_reported),
           CASE(in_a_cancelled_scope_what_is_done_is_given),
           CASE(a_task_that_waits_for_itself_without_end_is_told),
           CASE(a_circle_through_a_wait_for_all_ends),
           CASE(the_one_that_closes_a_circle_with_a_wait_for_all_is_told),
           CASE(a_wait_that_another_future_or_a_limit_ends_is_no_circle),
           CASE(what_cannot_be_waited_for_is_refused),
           CASE(outside_of_a_task_there_is_no_wait),
           CASE(a_limit_that_finds_no_memory_is_told_and_nothing_changed))
