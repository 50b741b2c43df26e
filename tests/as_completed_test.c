/* As completed: the futures one by one, as they are done. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "loop.h"
#include "waits.h"

/* Notes the results as they come, then what ended it. */
static int64_t take_all(void *arg)
{
    waits *w = arg;
    pl_as_completed completed = {0};
    pl_awaited *item;
    int rc = pl_as_completed_begin(&completed, w->items, w->count, w->limit);
    CHECK_EQ_INT(rc, PL_OK);
    while ((rc = pl_as_completed_next(&completed, &item)) > 0) {
        CHECK(item->done);
        note_code(&w->f, item->result);
    }
    CHECK(item == NULL);
    note(&w->f, pl_error_name(rc));
    pl_as_completed_end(&completed);
    waits_spoil_items(w);
    w->rc = rc;
    return rc;
}

static void finish(waits *w, int64_t rc)
{
    CHECK_EQ_INT(finish_task(&w->f, w->f.tasks[WAITS_CALLER]), rc);
    CHECK_EQ_INT(w->rc, rc);
}

/* --- Order -------------------------------------------------------------------------------------------------------- */

/* test_as_completed */
TEST_CASE(they_come_in_the_order_in_which_they_are_done)
{
    waits w;
    REQUIRE(waits_open(&w, t, 4));
    start_caller(&w, take_all);
    turn(&w.f, 1);
    set_result(&w, 2, 3);
    set_result(&w, 0, 1);
    turn(&w.f, 3);
    EXPECT_TRACE(&w.f, "3 1 ");
    set_error(&w, 3, PL_EIO);
    turn(&w.f, 3);
    EXPECT_TRACE(&w.f, "PL_EIO ");
    CHECK_EQ_INT(pl_future_cancel(w.f.futures[1]), 1);
    finish(&w, 0);
    EXPECT_TRACE(&w.f, "PL_ECANCELED PL_OK ");
    waits_close(&w); /* the error was given: no report */
}

TEST_CASE(those_that_are_done_already_come_first_in_the_order_of_the_items)
{
    waits w;
    REQUIRE(waits_open(&w, t, 4));
    set_result(&w, 3, 4);
    set_result(&w, 1, 2);
    start_caller(&w, take_all);
    turn(&w.f, 1);
    EXPECT_TRACE(&w.f, "2 4 ");
    set_result(&w, 2, 3);
    set_result(&w, 0, 1);
    finish(&w, 0);
    EXPECT_TRACE(&w.f, "3 1 PL_OK ");
    waits_close(&w);
}

/* test_as_completed_duplicate_coroutines: here each item is given. */
TEST_CASE(a_future_that_is_named_twice_comes_twice)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    w.items[2].future = w.items[0].future;
    w.count = 3;
    start_caller(&w, take_all);
    turn(&w.f, 1);
    set_result(&w, 0, 1);
    set_result(&w, 1, 2);
    finish(&w, 0);
    EXPECT_TRACE(&w.f, "1 1 2 PL_OK ");
    waits_close(&w);
}

WAITS_CASE(of_none_there_is_none, 0)
{
    waits *w = arg;
    CHECK_EQ_INT(take_all(w), 0);
    EXPECT_TRACE(&w->f, "PL_OK ");
    return 0;
}

WAITS_CASE(they_are_collected_while_the_task_does_something_else, 3)
{
    waits *w = arg;
    pl_as_completed completed = {0};
    pl_awaited *item;
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, 3, PL_FOREVER), PL_OK);
    set_result(w, 1, 2);
    set_result(w, 0, 1);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, &w->f, NULL), PL_OK);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), 1);
    CHECK(item == &w->items[1]);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), 1);
    CHECK(item == &w->items[0]);
    EXPECT_TRACE(&w->f, "");
    CHECK_EQ_INT(w->items[2].done, 0);
    pl_as_completed_end(&completed); /* before the last */
    waits_spoil_items(w);
    CHECK_EQ_INT(state_of(w, 2), PL_PENDING);
    set_result(w, 2, 3);
    return 0;
}

WAITS_CASE(very_many_without_a_wait_let_others_run, 0)
{
    enum { COUNT = 1000 };
    waits *w = arg;
    pl_awaited *items = calloc(COUNT, sizeof *items);
    pl_as_completed completed = {0};
    pl_awaited *item;
    REQUIRE_OR(items != NULL, return 1);
    CHECK_EQ_INT(pl_future_set_result(new_future(&w->f, 0), 1), PL_OK);
    for (int i = 0; i < COUNT; i++)
        items[i].future = w->f.futures[0];
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, &w->f, NULL), PL_OK);
    CHECK_EQ_INT(pl_as_completed_begin(&completed, items, COUNT, PL_FOREVER), PL_OK);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ_INT(pl_as_completed_next(&completed, &item), 1);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), 0);
    pl_as_completed_end(&completed);
    EXPECT_TRACE(&w->f, "a ");
    free(items);
    return 0;
}

/* --- Limits ------------------------------------------------------------------------------------------------------- */

/* test_as_completed_with_timeout */
TEST_CASE(a_limit_ends_it_and_cancels_nothing)
{
    for (int i = 0; i < 2; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 3));
        w.limit = i == 0 ? 0 : PL_MS(1);
        set_result(&w, 1, 2);
        start_child(&w, 0, 0, PL_ECANCELED);
        turn(&w.f, 1);
        start_caller(&w, take_all);
        finish(&w, PL_ETIMEDOUT);
        EXPECT_TRACE(&w.f, "2 PL_ETIMEDOUT ");
        CHECK_EQ_INT(pl_future_state(pl_task_future(w.f.tasks[0])), PL_PENDING);
        set_result(&w, 0, 7);
        CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[0]), 7);
        CHECK_EQ_INT(state_of(&w, 2), PL_PENDING);
        waits_close(&w);
    }
}

static void finish_first(void *arg)
{
    set_result(arg, 0, 1);
}

/* test_as_completed_with_unused_timeout */
WAITS_CASE(a_limit_that_is_not_needed_is_stopped, 1)
{
    waits *w = arg;
    w->limit = PL_SECONDS(3600);
    CHECK_EQ_INT(pl_call_soon(NULL, finish_first, w, NULL), PL_OK);
    CHECK_EQ_INT(take_all(w), 0);
    EXPECT_TRACE(&w->f, "1 PL_OK ");
    CHECK_EQ_INT(w->f.loop->timers.count, 0);
    return 0;
}

WAITS_CASE(the_limit_is_one_for_all_and_what_was_done_before_it_is_given, 3)
{
    waits *w = arg;
    pl_as_completed completed = {0};
    pl_awaited *item;
    CHECK_EQ_INT(pl_timer_start(&w->f.timers[0], NULL, PL_MS(1), finish_first, w), PL_OK);
    /* Due in the same moment, or a little later: the future is done by then, its callback may not have run. */
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, 3, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(2)), PL_OK); /* the limit runs out meanwhile */
    set_result(w, 1, 2);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), 1);
    CHECK(item == &w->items[0]);
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(pl_as_completed_next(&completed, &item), PL_ETIMEDOUT); /* the second came too late */
    pl_as_completed_end(&completed);
    return 0;
}

WAITS_CASE(a_limit_that_runs_out_after_the_last_is_done_says_nothing, 1)
{
    waits *w = arg;
    pl_as_completed completed = {0};
    pl_awaited *item;
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, 1, PL_MS(1)), PL_OK);
    set_result(w, 0, 1);
    CHECK_EQ_INT(pl_sleep(PL_MS(2)), PL_OK);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), 1);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), 0);
    pl_as_completed_end(&completed);
    return 0;
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

static int64_t take_after_a_cancel(void *arg)
{
    waits *w = arg;
    pl_as_completed completed = {0};
    pl_awaited *item;
    int rc;
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, w->count, w->limit), PL_OK);
    while ((rc = pl_as_completed_next(&completed, &item)) != 0)
        note_code(&w->f, rc > 0 ? item->result : rc);
    pl_as_completed_end(&completed);
    waits_spoil_items(w);
    return 0;
}

TEST_CASE(a_cancel_cancels_no_future_and_loses_none)
{
    for (int turns = 0; turns < 2; turns++) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        start_caller(&w, take_after_a_cancel);
        turn(&w.f, 1);
        if (turns > 0)
            set_result(&w, 1, 2); /* done, and the cancel comes before the task goes on */
        turn(&w.f, turns);
        cancel_caller(&w);
        turn(&w.f, 2);
        EXPECT_TRACE(&w.f, turns ? "PL_ECANCELED 2 " : "PL_ECANCELED ");
        CHECK_EQ_INT(state_of(&w, 0), PL_PENDING);
        set_result(&w, 0, 1);
        if (turns == 0)
            set_result(&w, 1, 2);
        CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[WAITS_CALLER]), 0);
        EXPECT_TRACE(&w.f, turns ? "1 " : "1 2 ");
        waits_close(&w);
    }
}

WAITS_CASE(in_a_cancelled_scope_what_is_done_is_given, 2)
{
    waits *w = arg;
    pl_timeout timeout = {0};
    pl_as_completed completed = {0};
    pl_awaited *item;
    set_result(w, 1, 2);
    CHECK_EQ_INT(pl_timeout_begin(&timeout, 0), PL_OK);
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, 2, PL_FOREVER), PL_OK);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), 1);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), PL_ECANCELED);
    pl_as_completed_end(&completed);
    CHECK_EQ_INT(pl_timeout_end(&timeout, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK_EQ_INT(state_of(w, 0), PL_PENDING);
    return 0;
}

/* --- Waiting for one another -------------------------------------------------------------------------------------- */

static int64_t take_oneself(void *arg)
{
    waits *w = arg;
    w->items[1].future = pl_task_future(pl_task_current());
    w->count = 2;
    return take_all(w);
}

TEST_CASE(a_task_that_comes_to_wait_for_itself_only_is_told)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    start_caller(&w, take_oneself);
    turn(&w.f, 2);
    EXPECT_TRACE(&w.f, "");
    set_result(&w, 0, 1);
    finish(&w, PL_EDEADLOCK);
    EXPECT_TRACE(&w.f, "1 PL_EDEADLOCK ");
    waits_close(&w);
}

static int64_t await_the_caller(void *arg)
{
    waits *w = arg;
    note_code(&w->f, pl_task_await(w->f.tasks[WAITS_CALLER]));
    return 6;
}

TEST_CASE(a_circle_of_waits_through_it_ends)
{
    waits w;
    REQUIRE(waits_open(&w, t, 0));
    start_caller(&w, take_all);
    w.f.tasks[1] = start_task(&w.f, await_the_caller, &w);
    w.items[0].future = pl_task_future(w.f.tasks[1]);
    w.count = 1;
    finish(&w, 0);
    EXPECT_TRACE(&w.f, "PL_EDEADLOCK 6 PL_OK ");
    waits_close(&w);
}

/* --- Misuse, and no memory ---------------------------------------------------------------------------------------- */

static int64_t next_of_another(void *arg)
{
    pl_awaited *item;
    CHECK_EQ_INT(pl_as_completed_next(arg, &item), PL_ESTATE);
    CHECK(item == NULL);
    return 0;
}

/* test_as_completed_invalid_args */
WAITS_CASE(what_makes_no_sense_is_refused, 2)
{
    waits *w = arg;
    pl_as_completed completed = {0};
    pl_awaited *item;
    CHECK_EQ_INT(pl_as_completed_begin(NULL, w->items, 2, PL_FOREVER), PL_EINVAL);
    CHECK_EQ_INT(pl_as_completed_begin(&completed, NULL, 2, PL_FOREVER), PL_EINVAL);
    w->items[2].future = NULL;
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, 3, PL_FOREVER), PL_EINVAL);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), PL_ESTATE); /* not begun */
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, 2, PL_FOREVER), PL_OK);
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, 2, PL_FOREVER), PL_EBUSY);
    CHECK_EQ_INT(pl_gather(w->items, 2, 0), PL_EBUSY); /* the items are in use */
    CHECK_EQ_INT(pl_as_completed_next(NULL, &item), PL_EINVAL);
    CHECK_EQ_INT(pl_as_completed_next(&completed, NULL), PL_EINVAL);
    w->f.tasks[0] = start_task(&w->f, next_of_another, &completed);
    CHECK_EQ_INT(pl_task_await(w->f.tasks[0]), 0);
    pl_as_completed_end(&completed);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), PL_ESTATE);
    return 0;
}

TEST_CASE(outside_of_a_task_there_is_none)
{
    waits w;
    pl_as_completed completed = {0};
    pl_awaited *item;
    REQUIRE(waits_open(&w, t, 1));
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w.items, 1, PL_FOREVER), PL_ENOTASK);
    CHECK_EQ_INT(pl_as_completed_next(&completed, &item), PL_ENOTASK);
    pl_as_completed_end(NULL);
    waits_close(&w);
}

static int64_t begin_without_memory(void *arg)
{
    waits *w = arg;
    pl_as_completed completed = {0};
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, w->count, w->limit), PL_ENOMEM);
    memset(&completed, 0xa5, sizeof completed);
    waits_spoil_items(w);
    return 5;
}

TEST_CASE(a_limit_that_finds_no_memory_is_told_and_nothing_was_begun)
{
    waits w;
    allocation a;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE_OR(waits_open(&w, t, 1), goto out);
    w.limit = PL_MS(1);
    start_caller(&w, begin_without_memory);
    turn(&w.f, 1); /* it has its stack, the loop has no timers yet */
    a.fail_at = a.calls + 1;
    turn(&w.f, 1);
    CHECK_EQ_INT(a.failed, 1);
    set_result(&w, 0, 1);
    CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[WAITS_CALLER]), 5);
    waits_close(&w);
out:
    allocation_end(&a);
}

TEST_SUITE(as_completed, TEST_BACKENDS_ALL,
           CASE(they_come_in_the_order_in_which_they_are_done),
           CASE(those_that_are_done_already_come_first_in_the_order_of_the_items),
           CASE(a_future_that_is_named_twice_comes_twice),
           CASE(of_none_there_is_none),
           CASE(they_are_collected_while_the_task_does_something_else),
           CASE(very_many_without_a_wait_let_others_run),
           CASE(a_limit_ends_it_and_cancels_nothing),
           CASE(a_limit_that_is_not_needed_is_stopped),
           CASE(the_limit_is_one_for_all_and_what_was_done_before_it_is_given),
           CASE(a_limit_that_runs_out_after_the_last_is_done_says_nothing),
           CASE(a_cancel_cancels_no_future_and_loses_none),
           CASE(in_a_cancelled_scope_what_is_done_is_given),
           CASE(a_task_that_comes_to_wait_for_itself_only_is_told),
           CASE(a_circle_of_waits_through_it_ends),
           CASE(what_makes_no_sense_is_refused),
           CASE(outside_of_a_task_there_is_none),
           CASE(a_limit_that_finds_no_memory_is_told_and_nothing_was_begun))
