/* Race: the first that is done wins; the others are cancelled and waited for. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"
#include "waits.h"

static int64_t call_race(void *arg)
{
    waits *w = arg;
    w->rc = pl_race(w->items, w->count, &w->winner);
    return w->rc;
}

static void finish(waits *w, int64_t rc, size_t winner)
{
    CHECK_EQ_INT(finish_task(&w->f, w->f.tasks[WAITS_CALLER]), rc);
    CHECK_EQ_INT(w->rc, rc);
    CHECK_EQ_INT(w->winner, winner);
}

TEST_CASE(the_first_wins_and_the_others_are_cancelled)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    start_caller(&w, call_race);
    turn(&w.f, 1);
    set_result(&w, 1, 7);
    set_result(&w, 0, 6); /* done too, but later */
    finish(&w, 7, 1);
    note_items(&w);
    EXPECT_TRACE(&w.f, "6 7 PL_ECANCELED ");
    CHECK_EQ_INT(state_of(&w, 2), PL_CANCELLED);
    waits_close(&w);
}

TEST_CASE(an_error_and_a_cancel_win_too)
{
    for (int i = 0; i < 2; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        start_caller(&w, call_race);
        turn(&w.f, 1);
        if (i == 0)
            set_error(&w, 1, PL_EIO);
        else
            CHECK_EQ_INT(pl_future_cancel(w.f.futures[1]), 1);
        finish(&w, i == 0 ? PL_EIO : PL_ECANCELED, 1);
        CHECK_EQ_INT(state_of(&w, 0), PL_CANCELLED);
        waits_close(&w);
    }
}

WAITS_CASE(of_those_that_are_done_already_the_first_in_the_array_wins, 3)
{
    waits *w = arg;
    size_t winner;
    set_result(w, 2, 9);
    set_result(w, 1, 8);
    CHECK_EQ_INT(pl_race(w->items, 3, &winner), 8);
    CHECK_EQ_INT(winner, 1);
    note_items(w);
    EXPECT_TRACE(&w->f, "PL_ECANCELED 8 9 ");
    CHECK_EQ_INT(pl_race(w->items, 3, NULL), PL_ECANCELED); /* of the first, by now */
    return 0;
}

TEST_CASE(it_returns_after_the_losers_have_ended)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    start_child(&w, 0, 5, PL_ECANCELED);
    start_child(&w, 2, 3, PL_EIO);
    start_caller(&w, call_race);
    turn(&w.f, 1);
    set_result(&w, 1, 7);
    turn(&w.f, 6);
    CHECK_EQ_INT(w.rc, STILL_WAITING);
    finish(&w, 7, 1);
    note_items(&w);
    EXPECT_TRACE(&w.f, "2 0 PL_ECANCELED 7 PL_EIO ");
    waits_close(&w); /* a loser's error counts as seen */
}

TEST_CASE(a_loser_that_ends_well_all_the_same_gives_its_result)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    start_child(&w, 0, 2, 42);
    start_caller(&w, call_race);
    turn(&w.f, 1);
    set_result(&w, 1, 7);
    finish(&w, 7, 1);
    CHECK_EQ_INT(w.items[0].result, 42);
    waits_close(&w);
}

TEST_CASE(a_cancel_before_there_is_a_winner_ends_all)
{
    waits w;
    REQUIRE(waits_open(&w, t, 3));
    start_child(&w, 0, 4, PL_ECANCELED);
    start_child(&w, 1, 2, 42);
    start_caller(&w, call_race);
    turn(&w.f, 1);
    cancel_caller(&w);
    turn(&w.f, 4);
    CHECK_EQ_INT(w.rc, STILL_WAITING);
    finish(&w, PL_ECANCELED, 3);
    note_items(&w);
    EXPECT_TRACE(&w.f, "1 0 PL_ECANCELED 42 PL_ECANCELED ");
    waits_close(&w);
}

static int64_t race_then_yield(void *arg)
{
    waits *w = arg;
    w->rc = pl_race(w->items, w->count, &w->winner);
    note_code(&w->f, pl_yield());
    note_code(&w->f, pl_yield());
    return w->rc;
}

/* Done; its callback has run; the losers are being waited for. */
TEST_CASE(a_cancel_after_the_winner_comes_at_the_next_wait)
{
    for (int turns = 0; turns < 4; turns++) {
        waits w;
        REQUIRE(waits_open(&w, t, 3));
        start_child(&w, 0, 5, PL_ECANCELED);
        start_caller(&w, race_then_yield);
        turn(&w.f, 1);
        set_result(&w, 1, 7);
        turn(&w.f, turns);
        cancel_caller(&w);
        finish(&w, 7, 1);
        EXPECT_TRACE(&w.f, "0 PL_ECANCELED PL_OK ");
        note_items(&w);
        EXPECT_TRACE(&w.f, "PL_ECANCELED 7 PL_ECANCELED ");
        waits_close(&w);
    }
}

static int64_t race_within_a_limit(void *arg)
{
    waits *w = arg;
    pl_timeout timeout = {0};
    CHECK_EQ_INT(pl_timeout_begin(&timeout, w->limit), PL_OK);
    w->rc = pl_timeout_end(&timeout, pl_race(w->items, w->count, &w->winner));
    return w->rc;
}

TEST_CASE(a_limit_around_it_ends_all)
{
    for (int i = 0; i < 2; i++) {
        waits w;
        REQUIRE(waits_open(&w, t, 2));
        w.limit = i == 0 ? 0 : PL_MS(1);
        start_child(&w, 0, 3, PL_ECANCELED);
        start_caller(&w, race_within_a_limit);
        finish(&w, PL_ETIMEDOUT, 2);
        EXPECT_TRACE(&w.f, "0 ");
        waits_close(&w);
    }
}

TEST_CASE(in_a_cancelled_scope_there_is_a_winner_if_one_is_done)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    w.limit = 0;
    start_child(&w, 0, 3, PL_ECANCELED);
    set_result(&w, 1, 7);
    start_caller(&w, race_within_a_limit);
    finish(&w, 7, 1);
    CHECK_EQ_INT(pl_future_state(pl_task_future(w.f.tasks[0])), PL_CANCELLED);
    waits_close(&w);
}

WAITS_CASE(very_many_results_without_a_wait_let_others_run, 1)
{
    waits *w = arg;
    set_result(w, 0, 1);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, &w->f, NULL), PL_OK);
    for (int i = 0; i < 1000; i++)
        CHECK_EQ_INT(pl_race(w->items, 1, NULL), 1);
    EXPECT_TRACE(&w->f, "a ");
    return 0;
}

static int64_t race_oneself(void *arg)
{
    waits *w = arg;
    size_t winner = 0;
    w->items[1].future = pl_task_future(pl_task_current());
    CHECK_EQ_INT(pl_race(w->items, 2, &winner), PL_EDEADLOCK);
    CHECK_EQ_INT(winner, 2);
    return 3;
}

TEST_CASE(a_task_that_races_itself_is_told)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    start_caller(&w, race_oneself);
    CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[WAITS_CALLER]), 3);
    CHECK_EQ_INT(state_of(&w, 0), PL_PENDING);
    waits_close(&w);
}

static int64_t await_the_caller(void *arg)
{
    waits *w = arg;
    note_code(&w->f, pl_task_await(w->f.tasks[WAITS_CALLER]));
    return 0;
}

/* The race may end by another; but it would wait for the loser, which waits for it. */
TEST_CASE(a_circle_of_waits_through_a_race_ends)
{
    waits w;
    REQUIRE(waits_open(&w, t, 2));
    start_caller(&w, call_race);
    w.f.tasks[1] = start_task(&w.f, await_the_caller, &w);
    w.items[1].future = pl_task_future(w.f.tasks[1]);
    turn(&w.f, 4);
    EXPECT_TRACE(&w.f, "PL_EDEADLOCK ");
    finish(&w, 0, 1);
    waits_close(&w);
}

WAITS_CASE(what_cannot_race_is_refused, 2)
{
    waits *w = arg;
    size_t winner = 0;
    CHECK_EQ_INT(pl_race(w->items, 0, &winner), PL_EINVAL);
    CHECK_EQ_INT(winner, 0);
    CHECK_EQ_INT(pl_race(NULL, 2, &winner), PL_EINVAL);
    CHECK_EQ_INT(winner, 2);
    w->items[2].future = NULL;
    CHECK_EQ_INT(pl_race(w->items, 3, &winner), PL_EINVAL);
    CHECK_EQ_INT(state_of(w, 0), PL_PENDING);
    return 0;
}

TEST_CASE(outside_of_a_task_there_is_no_race)
{
    waits w;
    REQUIRE(waits_open(&w, t, 1));
    CHECK_EQ_INT(pl_race(w.items, 1, NULL), PL_ENOTASK);
    waits_close(&w);
}

TEST_SUITE(race, TEST_BACKENDS_ALL,
           CASE(the_first_wins_and_the_others_are_cancelled),
           CASE(an_error_and_a_cancel_win_too),
           CASE(of_those_that_are_done_already_the_first_in_the_array_wins),
           CASE(it_returns_after_the_losers_have_ended),
           CASE(a_loser_that_ends_well_all_the_same_gives_its_result),
           CASE(a_cancel_before_there_is_a_winner_ends_all),
           CASE(a_cancel_after_the_winner_comes_at_the_next_wait),
           CASE(a_limit_around_it_ends_all),
           CASE(in_a_cancelled_scope_there_is_a_winner_if_one_is_done),
           CASE(very_many_results_without_a_wait_let_others_run),
           CASE(a_task_that_races_itself_is_told),
           CASE(a_circle_of_waits_through_a_race_ends),
           CASE(what_cannot_race_is_refused),
           CASE(outside_of_a_task_there_is_no_race))
