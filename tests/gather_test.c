/* Gather: all of them, or the first error; a cancel reaches each, and is answered by the last. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "task.h"
#include "waits.h"

static int64_t call_gather(void *arg)
{
    waits *w = arg;
    w->rc = pl_gather(w->items, w->count, w->flags);
    return w->rc;
}

/* The caller's error is looked at by the case: in `rc`. */
static void finish(waits *w, int64_t rc)
{
    CHECK_EQ_INT(finish_task(&w->f, w->f.tasks[WAITS_CALLER]), rc);
    CHECK_EQ_INT(w->rc, rc);
}

/* --- Results ------------------------------------------------------------------------------------------------------ */

/* test_success, test_result_exception_success */
TEST_CASE(results_stand_in_the_order_of_the_items_not_of_the_ends)
{
    for (int flags = 0; flags <= PL_GATHER_RETURN_ERRORS; flags++) {
        waits w;
        REQUIRE(waits_open(&w, t, 3));
        w.flags = flags;
        start_caller(&w, call_gather);
        turn(&w.f, 1);
        set_result(&w, 1, 1);
        set_result(&w, 0, 2);
        turn(&w.f, 3);
        CHECK_EQ_INT(w.rc, STILL_WAITING);
        set_result(&w, 2, 3);
        finish(&w, PL_OK);
        note_items(&w);
        EXPECT_TRACE(&w.f, "2 1 3 ");
        waits_close(&w);
    }
}

/* test_constructor_empty_sequence_* */
WAITS_CASE(none_are_gathered_at_once, 0)
{
    waits *w = arg;
    CHECK_EQ_INT(pl_gather(w->items, 0, 0), PL_OK);
    CHECK_EQ_INT(pl_gather(NULL, 0, PL_GATHER_RETURN_ERRORS), PL_OK);
    return 0;
}

/* test_one_exception */
TEST_CASE(the_first_error_is_returned_at_once_and_the_others_go_on)
{
    waits w;
    REQUIRE(waits_open(&w, t, 5));
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    set_result(&w, 0, 1);
    set_error(&w, 1, PL_EIO);
    finish(&w, PL_EIO);
    note_items(&w);
    EXPECT_TRACE(&w.f, "1 PL_EIO - - - ");
    waits_spoil_items(&w);
    for (int i = 2; i < 5; i++)
        CHECK_EQ_INT(state_of(&w, i), PL_PENDING);
    set_result(&w, 2, 3);
    CHECK_EQ_INT(pl_future_cancel(w.f.futures[3]), 1);
    set_error(&w, 4, PL_EPIPE); /* seen, though nobody looks */
    turn(&w.f, 3);
    waits_close(&w);
}

TEST_CASE(of_several_errors_the_first_to_come_is_returned)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    set_error(&w, 2, PL_EPIPE);
    set_error(&w, 0, PL_EIO);
    finish(&w, PL_EPIPE);
    note_items(&w);
    EXPECT_TRACE(&w.f, "PL_EIO - PL_EPIPE ");
    waits_close(&w);
}

/* test_one_cancellation */
TEST_CASE(a_future_that_somebody_cancelled_is_an_error_like_others)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    CHECK_EQ_INT(pl_future_cancel(w.f.futures[1]), 1);
    finish(&w, PL_ECANCELED);
    note_items(&w);
    EXPECT_TRACE(&w.f, "- PL_ECANCELED - ");
    CHECK_EQ_INT(state_of(&w, 0), PL_PENDING);
    CHECK_EQ_INT(state_of(&w, 2), PL_PENDING);
    set_error(&w, 2, PL_EIO);
    waits_close(&w);
}

/* test_return_exceptions, test_result_exception_one_cancellation */
TEST_CASE(with_errors_returned_all_are_waited_for)
{
    waits w;
    REQUIRE(waits_open(&w, t, 6));
    w.flags = PL_GATHER_RETURN_ERRORS;
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    set_result(&w, 0, 1);
    set_error(&w, 1, PL_EIO);
    CHECK_EQ_INT(pl_future_cancel(w.f.futures[2]), 1);
    turn(&w.f, 3);
    CHECK_EQ_INT(w.rc, STILL_WAITING);
    set_result(&w, 3, 3);
    CHECK_EQ_INT(pl_future_cancel(w.f.futures[4]), 1);
    set_error(&w, 5, PL_EPIPE);
    finish(&w, PL_OK);
    note_items(&w);
    EXPECT_TRACE(&w.f, "1 PL_EIO PL_ECANCELED 3 PL_ECANCELED PL_EPIPE ");
    waits_close(&w);
}

/* test_duplicate_coroutines */
TEST_CASE(a_future_that_is_named_twice_gives_its_result_twice)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    w.items[2].future = w.items[0].future;
    w.items[3].future = w.items[0].future;
    w.count = 4;
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    set_result(&w, 1, 5);
    set_result(&w, 0, 4);
    finish(&w, PL_OK);
    note_items(&w);
    EXPECT_TRACE(&w.f, "4 5 4 4 ");
    waits_close(&w);
}

WAITS_CASE(what_is_done_already_is_given_without_a_wait, 3)
{
    waits *w = arg;
    set_result(w, 0, 1);
    set_result(w, 1, 2);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, &w->f, NULL), PL_OK);
    CHECK_EQ_INT(pl_gather(w->items, 2, 0), PL_OK);
    note_items(w);
    EXPECT_TRACE(&w->f, "1 2 - ");
    set_error(w, 2, PL_EIO);
    CHECK_EQ_INT(pl_gather(w->items, 3, 0), PL_EIO);
    CHECK_EQ_INT(pl_gather(w->items, 3, PL_GATHER_RETURN_ERRORS), PL_OK);
    note_items(w);
    EXPECT_TRACE(&w->f, "1 2 PL_EIO ");
    return 0;
}

WAITS_CASE(an_error_that_is_there_already_does_not_wait_for_the_others, 3)
{
    waits *w = arg;
    set_error(w, 2, PL_EIO);
    set_error(w, 1, PL_EPIPE);
    CHECK_EQ_INT(pl_gather(w->items, 3, 0), PL_EPIPE); /* the first of the array, as all are there */
    note_items(w);
    EXPECT_TRACE(&w->f, "- PL_EPIPE PL_EIO ");
    set_error(w, 0, PL_EIO);
    return 0;
}

/* test_exception_marking */
TEST_CASE(later_errors_of_tasks_count_as_seen)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    start_child(&w, 0, 0, 0);
    start_child(&w, 1, 0, 0);
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    set_error(&w, 0, PL_EIO);
    finish(&w, PL_EIO);
    set_error(&w, 1, PL_EPIPE);
    turn(&w.f, 3);
    EXPECT_TRACE(&w.f, "0 1 ");
    waits_close(&w);
}

WAITS_CASE(very_many_results_without_a_wait_let_others_run, 1)
{
    waits *w = arg;
    set_result(w, 0, 1);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, &w->f, NULL), PL_OK);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ_INT(pl_gather(w->items, 1, 0), PL_OK);
    EXPECT_TRACE(&w->f, "a ");
    return 0;
}

static void let_go_of_the_first(void *arg)
{
    waits *w = arg;
    set_result(w, 0, 7);
    drop_future(&w->f, 0);
}

TEST_CASE(a_future_that_is_let_go_while_it_is_gathered_lives_on)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    let_go_of_the_first(&w);
    turn(&w.f, 2);
    set_result(&w, 1, 8);
    finish(&w, PL_OK);
    note_items(&w);
    EXPECT_TRACE(&w.f, "7 8 ");
    waits_close(&w);
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

/* test_cancellation_broadcast */
TEST_CASE(a_cancel_reaches_every_one)
{
    for (int flags = 0; flags <= PL_GATHER_RETURN_ERRORS; flags++) {
        waits w;
        REQUIRE(waits_open(&w, t, 3));
        w.flags = flags;
        start_child(&w, 0, 0, PL_ECANCELED);
        start_child(&w, 1, 0, PL_ECANCELED);
        start_caller(&w, call_gather);
        turn(&w.f, 1);
        cancel_caller(&w);
        for (int i = 0; i < 3; i++)
            CHECK_EQ_INT(state_of(&w, i), PL_CANCELLED);
        finish(&w, PL_ECANCELED);
        note_items(&w);
        EXPECT_TRACE(&w.f, "0 1 PL_ECANCELED PL_ECANCELED PL_ECANCELED ");
        CHECK_EQ_INT(pl_task_cancelling(w.f.tasks[0]), 1);
        waits_close(&w);
    }
}

/* The children may use the caller's stack. */
TEST_CASE(a_cancelled_gather_returns_after_the_last_has_ended)
{
    for (int flags = 0; flags <= PL_GATHER_RETURN_ERRORS; flags++) {
        waits w;
        REQUIRE(waits_open(&w, t, 3));
        w.flags = flags;
        start_child(&w, 0, 0, PL_ECANCELED);
        start_child(&w, 1, 7, PL_ECANCELED);
        start_child(&w, 2, 3, PL_ECANCELED);
        start_caller(&w, call_gather);
        turn(&w.f, 1);
        cancel_caller(&w);
        turn(&w.f, 6);
        CHECK_EQ_INT(w.rc, STILL_WAITING);
        EXPECT_TRACE(&w.f, "0 2 ");
        finish(&w, PL_ECANCELED);
        EXPECT_TRACE(&w.f, "1 ");
        waits_close(&w);
    }
}

/* test_cancel_gather_2 (bpo-32684) */
TEST_CASE(a_cancel_is_not_lost_when_all_end_well_after_it)
{
    for (int flags = 0; flags <= PL_GATHER_RETURN_ERRORS; flags++) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        w.flags = flags;
        start_child(&w, 0, 1, 4);
        start_child(&w, 1, 2, 5);
        start_caller(&w, call_gather);
        turn(&w.f, 1);
        cancel_caller(&w);
        finish(&w, PL_ECANCELED);
        note_items(&w);
        EXPECT_TRACE(&w.f, "0 1 4 5 ");
        waits_close(&w);
    }
}

TEST_CASE(an_error_that_a_cancelled_one_ends_with_is_in_its_item)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    start_child(&w, 0, 0, PL_EIO);
    start_child(&w, 1, 2, PL_EPIPE);
    start_child(&w, 2, 4, PL_ECANCELED);
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    cancel_caller(&w);
    finish(&w, PL_ECANCELED);
    note_items(&w);
    EXPECT_TRACE(&w.f, "0 1 2 PL_EIO PL_EPIPE PL_ECANCELED ");
    waits_close(&w); /* and counts as seen: there is no report */
}

static int64_t gather_then_yield(void *arg)
{
    waits *w = arg;
    w->rc = pl_gather(w->items, w->count, w->flags);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return w->rc;
}

/* test_cancel_gather_1: nothing is left to cancel, but the task itself. */
TEST_CASE(a_cancel_after_all_are_done_and_before_the_task_goes_on_changes_none)
{
    for (int turns = 0; turns < 2; turns++) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        start_caller(&w, gather_then_yield);
        turn(&w.f, 1);
        set_result(&w, 0, 1);
        set_result(&w, 1, 2);
        turn(&w.f, turns); /* the callbacks did not run; they did, the task did not */
        cancel_caller(&w);
        finish(&w, PL_ECANCELED);
        note_items(&w);
        EXPECT_TRACE(&w.f, "1 2 ");
        waits_close(&w);
    }
}

TEST_CASE(a_cancel_between_the_first_error_and_the_return_ends_the_others_too)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    start_child(&w, 1, 4, PL_ECANCELED);
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    set_error(&w, 0, PL_EIO);
    turn(&w.f, 1); /* the wait is over, the task has not run */
    cancel_caller(&w);
    CHECK_EQ_INT(state_of(&w, 1), PL_PENDING);
    finish(&w, PL_ECANCELED);
    note_items(&w);
    EXPECT_TRACE(&w.f, "1 PL_EIO PL_ECANCELED PL_ECANCELED ");
    waits_close(&w);
}

static int64_t wait_twice_for_a_cancel(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_await(f->futures[0]), PL_ECANCELED);
    note(f, "first");
    CHECK_EQ_INT(pl_await(f->futures[1]), PL_ECANCELED);
    note(f, "second");
    return 3;
}

TEST_CASE(a_second_cancel_reaches_those_that_are_left)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    w.count = 1;
    w.f.tasks[0] = start_task(&w.f, wait_twice_for_a_cancel, &w.f);
    w.items[0].future = pl_task_future(w.f.tasks[0]);
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    cancel_caller(&w);
    turn(&w.f, 4);
    EXPECT_TRACE(&w.f, "first ");
    CHECK_EQ_INT(w.rc, STILL_WAITING);
    cancel_caller(&w);
    finish(&w, PL_ECANCELED);
    EXPECT_TRACE(&w.f, "second ");
    CHECK_EQ_INT(pl_task_cancelling(w.f.tasks[0]), 2);
    waits_close(&w);
}

TEST_CASE(a_cancel_is_delivered_once)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    start_child(&w, 0, 2, PL_ECANCELED);
    start_caller(&w, gather_then_yield);
    turn(&w.f, 1);
    cancel_caller(&w);
    finish(&w, PL_ECANCELED);
    waits_close(&w);
}

static int64_t gather_within_a_limit(void *arg)
{
    waits *w = arg;
    pl_timeout timeout = {0};
    CHECK_EQ_INT(pl_timeout_begin(&timeout, w->limit), PL_OK);
    w->rc = pl_timeout_end(&timeout, pl_gather(w->items, w->count, w->flags));
    return w->rc;
}

TEST_CASE(a_limit_around_it_ends_all)
{
    for (int i = 0; i < 2; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        w.limit = i == 0 ? 0 : PL_MS(1); /* run out before the call, and during it */
        start_child(&w, 0, 3, PL_ECANCELED);
        start_child(&w, 1, 0, 6);
        start_caller(&w, gather_within_a_limit);
        finish(&w, PL_ETIMEDOUT);
        note_items(&w);
        EXPECT_TRACE(&w.f, "1 0 PL_ECANCELED 6 ");
        waits_close(&w);
    }
}

WAITS_CASE(in_a_cancelled_scope_what_is_done_is_given, 1)
{
    waits *w = arg;
    pl_timeout timeout = {0};
    set_result(w, 0, 9);
    CHECK_EQ_INT(pl_timeout_begin(&timeout, 0), PL_OK);
    CHECK_EQ_INT(pl_gather(w->items, 1, 0), PL_OK);
    CHECK_EQ_INT(w->items[0].result, 9);
    CHECK_EQ_INT(pl_timeout_end(&timeout, PL_OK), PL_OK);
    return 0;
}

static int64_t gather_shielded_from_cancels(void *arg)
{
    waits *w = arg;
    pl_shielded shielded = {0};
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    w->rc = pl_gather(w->items, w->count, w->flags);
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    return w->rc;
}

TEST_CASE(in_a_shielded_region_a_cancel_waits)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    start_caller(&w, gather_shielded_from_cancels);
    turn(&w.f, 1);
    cancel_caller(&w);
    turn(&w.f, 2);
    CHECK_EQ_INT(state_of(&w, 0), PL_PENDING);
    set_result(&w, 0, 4);
    finish(&w, PL_OK);
    waits_close(&w);
}

typedef struct nest {
    fixture *f;
    int left;
    int ended;
} nest;

static int64_t gather_one_more(void *arg)
{
    nest *n = arg;
    pl_awaited item = {0};
    pl_task *task = NULL;
    int64_t rc;
    if (n->left-- == 0) {
        item.future = n->f->futures[0];
        rc = pl_gather(&item, 1, 0);
        n->ended++;
        return rc;
    }
    CHECK_EQ_INT(pl_spawn(&task, gather_one_more, n, NULL), PL_OK);
    item.future = pl_task_future(task);
    rc = pl_gather(&item, 1, PL_GATHER_RETURN_ERRORS);
    pl_task_unref(task);
    n->ended++;
    return rc;
}

static int64_t cancel_the_nest(void *arg)
{
    CHECK_EQ_INT(pl_task_cancel(arg), 1);
    return 0;
}

/* From inside a task: its stack is no deep one. */
TEST_CASE(a_cancel_runs_down_a_long_chain_of_gathers)
{
    fixture f;
    const int count = scaled(5000);
    nest n = {.f = &f, .left = count};
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    f.tasks[0] = start_task(&f, gather_one_more, &n);
    turn(&f, count + 2);
    CHECK_EQ_INT(n.left, -1);
    CHECK_EQ_INT(run_task(&f, cancel_the_nest, f.tasks[0]), 0);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(n.ended, count + 1);
    fixture_close(&f);
}

/* --- Waiting for one another -------------------------------------------------------------------------------------- */

static int64_t gather_oneself(void *arg)
{
    waits *w = arg;
    w->items[1].future = pl_task_future(pl_task_current());
    CHECK_EQ_INT(pl_gather(w->items, 2, 0), PL_EDEADLOCK);
    CHECK_EQ_INT(w->items[0].done + w->items[1].done, 0);
    return 3;
}

TEST_CASE(a_task_that_gathers_itself_is_told)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    start_caller(&w, gather_oneself);
    CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[WAITS_CALLER]), 3);
    CHECK_EQ_INT(state_of(&w, 0), PL_PENDING);
    waits_close(&w);
}

static int64_t call_wait(void *arg)
{
    waits *w = arg;
    return pl_wait(w->items, w->count, PL_FIRST_COMPLETED, PL_SECONDS(3600));
}

static int64_t call_race(void *arg)
{
    waits *w = arg;
    return pl_race(w->items, w->count, NULL);
}

static int64_t call_shield(void *arg)
{
    waits *w = arg;
    return pl_shield(w->items[0].future);
}

static int64_t call_wait_for(void *arg)
{
    waits *w = arg;
    return pl_wait_for(w->items[0].future, PL_SECONDS(3600));
}

static int64_t call_next(void *arg)
{
    waits *w = arg;
    pl_as_completed completed = {0};
    pl_awaited *item;
    int rc;
    CHECK_EQ_INT(pl_as_completed_begin(&completed, w->items, w->count, PL_FOREVER), PL_OK);
    rc = pl_as_completed_next(&completed, &item);
    CHECK_EQ_INT(pl_sleep(PL_US(1)), PL_OK); /* open, but not waiting for the futures */
    pl_as_completed_end(&completed);
    return rc;
}

static const pl_task *waiter_of(const waits *w, int slot)
{
    const pl__node *node = pl__list_first(&w->f.futures[slot]->callbacks);
    return node ? pl__task_of_wake(PL__CONTAINER_OF(node, pl__callback, node)) : NULL;
}

/* #156523: as_completed had been forgotten. */
TEST_CASE(every_wait_records_who_waits_for_whom)
{
    static pl_task_fn *const calls[] = {call_gather, call_wait, call_race, call_shield, call_wait_for, call_next};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        if (calls[i] == call_shield || calls[i] == call_wait_for)
            w.count = 1;
        start_caller(&w, calls[i]);
        turn(&w.f, 1);
        for (size_t slot = 0; slot < w.count; slot++)
            CHECK(waiter_of(&w, (int)slot) == w.f.tasks[WAITS_CALLER]);
        set_result(&w, 0, 1);
        turn(&w.f, 2);
        if (calls[i] == call_next || calls[i] == call_wait)
            CHECK(waiter_of(&w, 1) == NULL);
        if (state_of(&w, 1) == PL_PENDING)
            set_result(&w, 1, 1);
        CHECK(finish_task(&w.f, w.f.tasks[WAITS_CALLER]) >= 0);
        waits_close(&w);
    }
}

static int64_t await_the_caller(void *arg)
{
    waits *w = arg;
    note_code(&w->f, pl_task_await(w->f.tasks[WAITS_CALLER]));
    return 0;
}

static int64_t gather_the_caller(void *arg)
{
    waits *w = arg;
    pl_awaited item = {.future = pl_task_future(w->f.tasks[WAITS_CALLER])};
    note_code(&w->f, pl_gather(&item, 1, 0));
    return 0;
}

/* The one that closes the circle is told; then the others go on. */
TEST_CASE(a_circle_of_waits_through_a_gather_ends)
{
    static pl_task_fn *const closers[] = {await_the_caller, gather_the_caller};
    for (size_t i = 0; i < sizeof closers / sizeof closers[0]; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        start_caller(&w, call_gather);
        w.f.tasks[1] = start_task(&w.f, closers[i], &w);
        w.items[1].future = pl_task_future(w.f.tasks[1]);
        turn(&w.f, 3);
        EXPECT_TRACE(&w.f, "PL_EDEADLOCK ");
        set_result(&w, 0, 1);
        finish(&w, PL_OK);
        waits_close(&w);
    }
}

/* --- Misuse, and no memory ---------------------------------------------------------------------------------------- */

/* Sees that the first future has failed, after the gather was told so and before its task goes on. */
static int64_t cancel_and_await_the_gatherer(void *arg)
{
    waits *w = arg;
    int64_t rc;
    while (state_of(w, 0) == PL_PENDING)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(w->rc, STILL_WAITING);
    cancel_caller(w);
    rc = pl_task_await(w->f.tasks[WAITS_CALLER]);
    note_code(&w->f, rc);
    if (rc == PL_EDEADLOCK)
        rc = pl_sleep(PL_FOREVER);
    return rc;
}

/* The cancel that comes between the error and the return reaches the others: if one of them waits for the gatherer it
 * hands the cancel back, and so on. */
static void gather_what_awaits_the_gatherer(test_context *t, pl_task_fn *call, int64_t result)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    start_caller(&w, call);
    w.f.tasks[1] = start_task(&w.f, cancel_and_await_the_gatherer, &w);
    w.items[1].future = pl_task_future(w.f.tasks[1]);
    turn(&w.f, 2);
    set_error(&w, 0, PL_EIO);
    finish(&w, result);
    EXPECT_TRACE(&w.f, "PL_EDEADLOCK ");
    CHECK_EQ_INT(child_result(&w, 1), PL_ECANCELED);
    waits_close(&w);
}

TEST_CASE(who_is_gathered_cannot_await_the_gatherer_even_when_that_is_about_to_go_on)
{
    gather_what_awaits_the_gatherer(t, call_gather, PL_ECANCELED);
}

static int64_t race_and_say(void *arg)
{
    waits *w = arg;
    w->rc = call_race(w);
    return w->rc;
}

TEST_CASE(who_races_cannot_await_the_racer_even_when_that_is_about_to_go_on)
{
    gather_what_awaits_the_gatherer(t, race_and_say, PL_EIO);
}

WAITS_CASE(what_cannot_be_gathered_is_refused, 2)
{
    waits *w = arg;
    pl_op op = {0};
    CHECK_EQ_INT(pl_gather(NULL, 1, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_gather(w->items, 2, 2), PL_EINVAL);
    CHECK_EQ_INT(pl_gather(w->items, 2, -1), PL_EINVAL);
    w->items[2].future = NULL;
    CHECK_EQ_INT(pl_gather(w->items, 3, 0), PL_EINVAL);
    w->items[2].future = pl_op_future(&op);
    CHECK_EQ_INT(pl_gather(w->items, 3, 0), PL_ESTATE);
    w->items[2].future = w->f.futures[0];
    memset(&w->items[2].opaque, 0xa5, sizeof w->items[2].opaque);
    CHECK_EQ_INT(pl_gather(w->items, 3, 0), PL_EBUSY);
    set_result(w, 0, 1);
    set_result(w, 1, 1);
    CHECK_EQ_INT(pl_gather(w->items, 2, 0), PL_OK); /* nothing had changed */
    return 0;
}

TEST_CASE(outside_of_a_task_nothing_is_gathered)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    CHECK_EQ_INT(pl_gather(w.items, 1, 0), PL_ENOTASK);
    CHECK_EQ_INT(pl_gather(w.items, 0, 0), PL_ENOTASK);
    waits_close(&w);
}

/* test_constructor_heterogenous_futures */
WAITS_CASE(a_future_of_another_loop_is_refused, 2)
{
    waits *w = arg;
    pl_loop *other = NULL;
    REQUIRE_EQ_INT_OR(pl_loop_create(&other, NULL), PL_OK, return 1);
    CHECK_EQ_INT(pl_future_create(&w->f.futures[2], other), PL_OK);
    w->items[2].future = w->f.futures[2];
    CHECK_EQ_INT(pl_gather(w->items, 3, 0), PL_EINVAL);
    drop_future(&w->f, 2);
    CHECK_EQ_INT(pl_loop_close(other), PL_OK);
    return 0;
}

/* An operation's future takes one waiter. */
WAITS_CASE(a_busy_future_is_refused_and_nothing_changed, 2)
{
    waits *w = arg;
    pl_listener *listener = NULL;
    pl_op op = {0};
    pl_stream *peer = NULL;
    REQUIRE_EQ_INT_OR(pl_tcp_listen(&listener, "127.0.0.1", 0, NULL), PL_OK, return 1);
    CHECK_EQ_INT(pl_accept_start(&op, listener, &peer), PL_OK);
    w->items[2].future = pl_op_future(&op);
    w->items[3].future = pl_op_future(&op);
    CHECK_EQ_INT(pl_gather(w->items, 4, 0), PL_EBUSY); /* named twice */
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&op), &w->f.callbacks[0], note_a, &w->f), PL_OK);
    CHECK_EQ_INT(pl_gather(w->items, 3, 0), PL_EBUSY);
    waits_spoil_items(w);
    CHECK_EQ_INT(pl_callback_cancel(&w->f.callbacks[0]), 1);
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    set_result(w, 0, 1);
    pl_listener_close(listener);
    return 0;
}

WAITS_CASE(an_operation_is_gathered_and_cancelled_like_others, 1)
{
    waits *w = arg;
    pl_listener *listener = NULL;
    pl_op op = {0};
    pl_stream *peer = NULL;
    pl_timeout timeout = {0};
    REQUIRE_EQ_INT_OR(pl_tcp_listen(&listener, "127.0.0.1", 0, NULL), PL_OK, return 1);
    CHECK_EQ_INT(pl_accept_start(&op, listener, &peer), PL_OK);
    w->items[1].future = pl_op_future(&op);
    CHECK_EQ_INT(pl_timeout_begin(&timeout, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&timeout, pl_shield(pl_op_future(&op))), PL_ETIMEDOUT);
    CHECK(pl_op_is_pending(&op)); /* the shield has freed its one place, */
    CHECK_EQ_INT(pl_timeout_begin(&timeout, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&timeout, pl_gather(w->items, 2, 0)), PL_ETIMEDOUT); /* which is taken again */
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(w->items[1].result, PL_ECANCELED);
    pl_listener_close(listener);
    return 0;
}

static int64_t yield_then_gather(void *arg)
{
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return call_gather(arg);
}

TEST_CASE(gathering_needs_no_memory)
{
    waits w;
    allocation a;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE_OR(waits_open(&w, t, 3), goto out);
    start_caller(&w, yield_then_gather);
    turn(&w.f, 1); /* it has its stack */
    a.fail_at = a.calls + 1;
    a.fail_forever = true;
    turn(&w.f, 1);
    for (int i = 0; i < 3; i++)
        set_result(&w, i, i);
    finish(&w, PL_OK);
    CHECK_EQ_INT(a.failed, 0);
    a.fail_at = 0;
    waits_close(&w);
out:
    allocation_end(&a);
}

TEST_SUITE(gather, TEST_BACKENDS_ALL,
           CASE(results_stand_in_the_order_of_the_items_not_of_the_ends),
           CASE(none_are_gathered_at_once),
           CASE(the_first_error_is_returned_at_once_and_the_others_go_on),
           CASE(of_several_errors_the_first_to_come_is_returned),
           CASE(a_future_that_somebody_cancelled_is_an_error_like_others),
           CASE(with_errors_returned_all_are_waited_for),
           CASE(a_future_that_is_named_twice_gives_its_result_twice),
           CASE(what_is_done_already_is_given_without_a_wait),
           CASE(an_error_that_is_there_already_does_not_wait_for_the_others),
           CASE(later_errors_of_tasks_count_as_seen),
           CASE(very_many_results_without_a_wait_let_others_run),
           CASE(a_future_that_is_let_go_while_it_is_gathered_lives_on),
           CASE(a_cancel_reaches_every_one),
           CASE(a_cancelled_gather_returns_after_the_last_has_ended),
           CASE(a_cancel_is_not_lost_when_all_end_well_after_it),
           CASE(an_error_that_a_cancelled_one_ends_with_is_in_its_item),
           CASE(a_cancel_after_all_are_done_and_before_the_task_goes_on_changes_none),
           CASE(a_cancel_between_the_first_error_and_the_return_ends_the_others_too),
           CASE(a_second_cancel_reaches_those_that_are_left),
           CASE(a_cancel_is_delivered_once),
           CASE(a_limit_around_it_ends_all),
           CASE(in_a_cancelled_scope_what_is_done_is_given),
           CASE(in_a_shielded_region_a_cancel_waits),
           CASE(a_cancel_runs_down_a_long_chain_of_gathers),
           CASE(a_task_that_gathers_itself_is_told),
           CASE(every_wait_records_who_waits_for_whom),
           CASE(a_circle_of_waits_through_a_gather_ends),
           CASE(who_is_gathered_cannot_await_the_gatherer_even_when_that_is_about_to_go_on),
           CASE(who_races_cannot_await_the_racer_even_when_that_is_about_to_go_on),
           CASE(what_cannot_be_gathered_is_refused),
           CASE(outside_of_a_task_nothing_is_gathered),
           CASE(a_future_of_another_loop_is_refused),
           CASE(a_busy_future_is_refused_and_nothing_changed),
           CASE(an_operation_is_gathered_and_cancelled_like_others),
           CASE(gathering_needs_no_memory))
