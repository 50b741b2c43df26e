/* Shield: waits for a future, and keeps cancels from it. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"
#include "waits.h"

static int64_t call_shield(void *arg)
{
    waits *w = arg;
    w->rc = pl_shield(w->items[0].future);
    return w->rc;
}

static void finish(waits *w, int64_t rc)
{
    CHECK_EQ_INT(finish_task(&w->f, w->f.tasks[WAITS_CALLER]), rc);
    CHECK_EQ_INT(w->rc, rc);
}

/* test_shield_result, test_shield_exception, test_shield_cancel_inner */
TEST_CASE(the_result_is_that_of_the_future_whatever_it_is)
{
    for (int way = 0; way < 3; way++) {
        waits w;
        REQUIRE(waits_open(&w, t, 1));
        start_caller(&w, call_shield);
        turn(&w.f, 1);
        CHECK_EQ_INT(w.rc, STILL_WAITING);
        if (way == 0)
            set_result(&w, 0, 42);
        else if (way == 1)
            set_error(&w, 0, PL_EIO);
        else
            CHECK_EQ_INT(pl_future_cancel(w.f.futures[0]), 1);
        finish(&w, way == 0 ? 42 : way == 1 ? PL_EIO : PL_ECANCELED);
        waits_close(&w);
    }
}

/* test_shield_shortcut */
WAITS_CASE(what_is_done_already_is_given_at_once_in_a_cancelled_scope_too, 1)
{
    waits *w = arg;
    pl_timeout timeout = {0};
    set_result(w, 0, 42);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, &w->f, NULL), PL_OK);
    CHECK_EQ_INT(pl_shield(w->f.futures[0]), 42);
    CHECK_EQ_INT(pl_timeout_begin(&timeout, 0), PL_OK);
    CHECK_EQ_INT(pl_shield(w->f.futures[0]), 42);
    CHECK_EQ_INT(pl_timeout_end(&timeout, PL_OK), PL_OK);
    EXPECT_TRACE(&w->f, "");
    for (int i = 0; i < 1000; i++)
        CHECK_EQ_INT(pl_shield(w->f.futures[0]), 42);
    EXPECT_TRACE(&w->f, "a "); /* very many give way */
    return 0;
}

/* test_shield_effect, test_shield_cancel_outer (bpo-35125, #79306) */
TEST_CASE(a_cancel_ends_the_wait_and_leaves_the_future_alone)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    start_child(&w, 0, 0, PL_ECANCELED);
    start_caller(&w, call_shield);
    turn(&w.f, 1);
    cancel_caller(&w);
    finish(&w, PL_ECANCELED);
    EXPECT_TRACE(&w.f, "");
    CHECK_EQ_INT(pl_task_cancelling(w.f.tasks[0]), 0);
    set_result(&w, 0, 4); /* the callback lay on a stack that is gone */
    CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[0]), 4);
    EXPECT_TRACE(&w.f, "0 ");
    waits_close(&w);
}

/* #86802: an error that nobody looked at is reported, once. */
TEST_CASE(an_error_after_the_cancel_is_reported_unless_somebody_looks)
{
    for (int looks = 0; looks < 2; looks++) {
        waits w;
        REQUIRE(waits_open(&w, t, 1));
        start_child(&w, 0, 0, PL_ECANCELED);
        start_caller(&w, call_shield);
        turn(&w.f, 1);
        cancel_caller(&w);
        finish(&w, PL_ECANCELED);
        set_error(&w, 0, PL_EIO);
        turn(&w.f, 2);
        if (looks)
            CHECK_EQ_INT(child_result(&w, 0), PL_EIO);
        pl_task_unref(w.f.tasks[0]);
        w.f.tasks[0] = NULL;
        EXPECT_REPORTS(&w.f, looks ? "" : "PL_EIO ");
        waits_close(&w);
    }
}

/* The future is done; the task, which has not gone on, is cancelled. */
TEST_CASE(an_error_that_a_cancel_kept_from_the_caller_is_reported)
{
    for (int turns = 0; turns < 2; turns++) {
        waits w;
        REQUIRE(waits_open(&w, t, 1));
        start_caller(&w, call_shield);
        turn(&w.f, 1);
        set_error(&w, 0, PL_EIO);
        turn(&w.f, turns);
        cancel_caller(&w);
        finish(&w, PL_ECANCELED);
        drop_future(&w.f, 0);
        EXPECT_REPORTS(&w.f, "PL_EIO ");
        waits_close(&w);
    }
}

TEST_CASE(a_future_that_is_let_go_while_it_is_shielded_lives_on)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    start_caller(&w, call_shield);
    turn(&w.f, 1);
    set_result(&w, 0, 5);
    drop_future(&w.f, 0);
    finish(&w, 5);
    waits_close(&w);
}

static int64_t gather_two(void *arg)
{
    waits *w = arg;
    int64_t rc = pl_gather(w->items, 2, 0);
    note_items(w);
    return rc;
}

static int64_t shield_the_gatherer(void *arg)
{
    waits *w = arg;
    w->rc = pl_shield(pl_task_future(w->f.tasks[2]));
    return w->rc;
}

/* test_shield_gather */
TEST_CASE(a_gather_behind_a_shield_goes_on)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    w.f.tasks[2] = start_task(&w.f, gather_two, &w);
    start_caller(&w, shield_the_gatherer);
    turn(&w.f, 1);
    cancel_caller(&w);
    finish(&w, PL_ECANCELED);
    set_result(&w, 0, 1);
    set_result(&w, 1, 2);
    CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[2]), PL_OK);
    EXPECT_TRACE(&w.f, "1 2 ");
    waits_close(&w);
}

static int64_t shield_child(void *arg)
{
    child *c = arg;
    return pl_shield(c->f->futures[c->slot]);
}

static int64_t call_gather(void *arg)
{
    waits *w = arg;
    w->rc = pl_gather(w->items, w->count, 0);
    return w->rc;
}

/* test_gather_shield */
TEST_CASE(a_cancelled_gather_of_shields_leaves_what_they_wait_for)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    for (int i = 0; i < 2; i++) {
        w.children[i] = (child){.f = &w.f, .slot = i};
        w.f.tasks[i] = start_task(&w.f, shield_child, &w.children[i]);
        w.items[i].future = pl_task_future(w.f.tasks[i]);
    }
    start_caller(&w, call_gather);
    turn(&w.f, 1);
    cancel_caller(&w);
    finish(&w, PL_ECANCELED);
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(child_result(&w, i), PL_ECANCELED);
        CHECK_EQ_INT(state_of(&w, i), PL_PENDING);
        set_result(&w, i, 1);
    }
    turn(&w.f, 2);
    waits_close(&w);
}

static int64_t shield_within_a_limit(void *arg)
{
    waits *w = arg;
    pl_timeout timeout = {0};
    CHECK_EQ_INT(pl_timeout_begin(&timeout, w->limit), PL_OK);
    w->rc = pl_timeout_end(&timeout, pl_shield(w->items[0].future));
    return w->rc;
}

/* WaitForShieldTests: test_zero_timeout, test_shielded_timeout, test_none_timeout */
TEST_CASE(a_limit_around_it_ends_the_wait_only)
{
    static const pl_duration limits[] = {0, PL_MS(1), PL_FOREVER};
    for (int i = 0; i < 3; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 1));
        w.limit = limits[i];
        start_child(&w, 0, 0, PL_ECANCELED);
        start_caller(&w, shield_within_a_limit);
        if (i < 2)
            finish(&w, PL_ETIMEDOUT);
        CHECK_EQ_INT(pl_future_state(pl_task_future(w.f.tasks[0])), PL_PENDING);
        turn(&w.f, 1);
        set_result(&w, 0, 8);
        CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[0]), 8);
        if (i == 2)
            finish(&w, 8);
        EXPECT_TRACE(&w.f, "0 ");
        waits_close(&w);
    }
}

static int64_t shield_oneself(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_shield(pl_task_future(pl_task_current())), PL_EDEADLOCK);
    return 3;
}

TEST_CASE(a_task_that_shields_itself_is_told)
{
    waits w;
    REQUIRE(waits_open(&w, t, 0));
    start_caller(&w, shield_oneself);
    CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[WAITS_CALLER]), 3);
    waits_close(&w);
}

static int64_t await_the_caller(void *arg)
{
    waits *w = arg;
    note_code(&w->f, pl_task_await(w->f.tasks[WAITS_CALLER]));
    return 6;
}

TEST_CASE(a_circle_of_waits_through_a_shield_ends)
{
    waits w;
    REQUIRE(waits_open(&w, t, 0));
    start_caller(&w, call_shield);
    w.f.tasks[1] = start_task(&w.f, await_the_caller, &w);
    w.items[0].future = pl_task_future(w.f.tasks[1]);
    finish(&w, 6);
    EXPECT_TRACE(&w.f, "PL_EDEADLOCK ");
    waits_close(&w);
}

WAITS_CASE(what_cannot_be_shielded_is_refused, 0)
{
    pl_op op = {0};
    (void)arg;
    CHECK_EQ_INT(pl_shield(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_shield(pl_op_future(&op)), PL_ESTATE);
    return 0;
}

TEST_CASE(outside_of_a_task_there_is_no_shield)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    CHECK_EQ_INT(pl_shield(w.f.futures[0]), PL_ENOTASK);
    waits_close(&w);
}

TEST_SUITE(shield, TEST_BACKENDS_ALL,
           CASE(the_result_is_that_of_the_future_whatever_it_is),
           CASE(what_is_done_already_is_given_at_once_in_a_cancelled_scope_too),
           CASE(a_cancel_ends_the_wait_and_leaves_the_future_alone),
           CASE(an_error_after_the_cancel_is_reported_unless_somebody_looks),
           CASE(an_error_that_a_cancel_kept_from_the_caller_is_reported),
           CASE(a_future_that_is_let_go_while_it_is_shielded_lives_on),
           CASE(a_gather_behind_a_shield_goes_on),
           CASE(a_cancelled_gather_of_shields_leaves_what_they_wait_for),
           CASE(a_limit_around_it_ends_the_wait_only),
           CASE(a_task_that_shields_itself_is_told),
           CASE(a_circle_of_waits_through_a_shield_ends),
           CASE(what_cannot_be_shielded_is_refused),
           CASE(outside_of_a_task_there_is_no_shield))
