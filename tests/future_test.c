/* Futures: done once, callbacks through the ready queue, errors that nobody looked at. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

static void add(fixture *f, int future, int slot, pl_callback_fn *fn)
{
    CHECK_EQ_INT(pl_future_add_done_callback(f->futures[future], &f->callbacks[slot], fn, f), PL_OK);
}

/* --- States ------------------------------------------------------------------------------------------------------- */

TEST_CASE(a_new_future_is_pending_and_has_no_result)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_PENDING);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), PL_ESTATE);
    CHECK(pl_future_take_pointer(f.futures[0]) == NULL);
    fixture_close(&f);
}

TEST_CASE(a_future_is_finished_by_a_result)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_set_result(new_future(&f, 0), INT64_MAX), PL_OK);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_FINISHED);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), INT64_MAX);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), INT64_MAX);
    CHECK_EQ_INT(pl_future_set_result(new_future(&f, 1), 0), PL_OK);
    CHECK_EQ_INT(pl_future_result(f.futures[1]), 0);
    fixture_close(&f);
}

TEST_CASE(a_future_is_finished_by_an_error)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_set_error(new_future(&f, 0), PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_FINISHED);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), PL_EIO);
    fixture_close(&f);
}

TEST_CASE(a_cancelled_future_is_cancelled_at_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_cancel(new_future(&f, 0)), 1);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_CANCELLED);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), PL_ECANCELED);
    fixture_close(&f);
}

TEST_CASE(the_error_of_cancelling_cancels)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_set_error(new_future(&f, 0), PL_ECANCELED), PL_OK);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_CANCELLED);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), PL_ECANCELED);
    fixture_close(&f);
}

/* Every second step on a future that is done, in each of the ways it became so. */
TEST_CASE(a_future_becomes_done_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int way = 0; way < 4; way++) {
        pl_future *future = new_future(&f, 0);
        int64_t result = way == 0 ? 7 : way == 1 ? PL_EIO : way == 2 ? PL_ECANCELED : 0;
        int state = way == 2 ? PL_CANCELLED : PL_FINISHED;
        if (way == 0)
            CHECK_EQ_INT(pl_future_set_result(future, 7), PL_OK);
        else if (way == 1)
            CHECK_EQ_INT(pl_future_set_error(future, PL_EIO), PL_OK);
        else if (way == 2)
            CHECK_EQ_INT(pl_future_cancel(future), 1);
        else
            CHECK_EQ_INT(pl_future_set_pointer(future, &f, NULL), PL_OK);
        CHECK_EQ_INT(pl_future_set_result(future, 8), PL_ESTATE);
        CHECK_EQ_INT(pl_future_set_error(future, PL_EPIPE), PL_ESTATE);
        CHECK_EQ_INT(pl_future_set_error(future, PL_ECANCELED), PL_ESTATE);
        CHECK_EQ_INT(pl_future_cancel(future), 0);
        f.drops = 0;
        CHECK_EQ_INT(pl_future_set_pointer(future, &f, fixture_drop), PL_ESTATE);
        CHECK_EQ_INT(f.drops, 1); /* at once, as the call failed */
        CHECK_EQ_INT(pl_future_state(future), state);
        CHECK_EQ_INT(pl_future_result(future), result);
        CHECK(pl_future_take_pointer(future) == (way == 3 ? &f : NULL));
        drop_future(&f, 0);
        CHECK_EQ_INT(f.drops, 1);
    }
    fixture_close(&f);
}

TEST_CASE(results_are_not_negative_and_errors_are)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], -1), PL_EINVAL);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], PL_EIO), PL_EINVAL);
    CHECK_EQ_INT(pl_future_set_error(f.futures[0], 0), PL_EINVAL);
    CHECK_EQ_INT(pl_future_set_error(f.futures[0], 7), PL_EINVAL);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_PENDING);
    fixture_close(&f);
}

/* --- Callbacks ---------------------------------------------------------------------------------------------------- */

/* test_callbacks_invoked_on_set_result */
TEST_CASE(callbacks_go_through_the_ready_queue_in_the_order_they_were_added)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    add(&f, 0, 0, note_a);
    add(&f, 0, 1, note_b);
    turn(&f, 2);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_c, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_d, &f, NULL), PL_OK);
    EXPECT_TRACE(&f, ""); /* never inline */
    turn(&f, 1);
    EXPECT_TRACE(&f, "c a b d ");
    fixture_close(&f);
}

TEST_CASE(callbacks_run_whatever_the_end_was)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < 4; i++)
        new_future(&f, i);
    add(&f, 0, 0, note_a);
    add(&f, 1, 1, note_b);
    add(&f, 2, 2, note_c);
    add(&f, 3, 3, note_d);
    CHECK_EQ_INT(pl_future_cancel(f.futures[3]), 1);
    CHECK_EQ_INT(pl_future_set_error(f.futures[2], PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(f.futures[1], 1), PL_OK);
    CHECK_EQ_INT(pl_future_set_pointer(f.futures[0], &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "d c b a ");
    CHECK_EQ_INT(pl_future_result(f.futures[2]), PL_EIO);
    fixture_close(&f);
}

TEST_CASE(a_callback_added_to_a_future_that_is_done_runs_in_the_next_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    add(&f, 0, 0, note_a);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
    add(&f, 0, 1, note_b); /* done, though no callback ran yet */
    EXPECT_TRACE(&f, "");
    turn(&f, 1);
    EXPECT_TRACE(&f, "a b ");
    add(&f, 0, 2, note_c);
    EXPECT_TRACE(&f, "");
    turn(&f, 1);
    EXPECT_TRACE(&f, "c ");
    fixture_close(&f);
}

static void set_second_and_note(void *arg)
{
    fixture *f = arg;
    note(f, "set");
    CHECK_EQ_INT(pl_future_set_result(f->futures[1], 1), PL_OK);
}

TEST_CASE(a_future_that_a_callback_makes_done_calls_back_an_iteration_later)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    add(&f, 0, 0, set_second_and_note);
    add(&f, 0, 1, note_a);
    add(&f, 1, 2, note_b);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "set a ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "b ");
    fixture_close(&f);
}

/* test_callbacks_remove_first_callback and the like */
TEST_CASE(any_callback_can_be_taken_back_before_the_future_is_done)
{
    static const char *const expected[] = {"b c ", "a c ", "a b "};
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < 3; i++) {
        new_future(&f, 0);
        add(&f, 0, 0, note_a);
        add(&f, 0, 1, note_b);
        add(&f, 0, 2, note_c);
        CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[i]), 1);
        CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[i]), 0);
        memset(&f.callbacks[i], 0xa5, sizeof f.callbacks[i]);
        CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
        turn(&f, 1);
        EXPECT_TRACE(&f, expected[i]);
        memset(&f.callbacks[i], 0, sizeof f.callbacks[i]);
        drop_future(&f, 0);
    }
    fixture_close(&f);
}

TEST_CASE(all_callbacks_can_be_taken_back_and_others_added)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    add(&f, 0, 0, note_a);
    add(&f, 0, 1, note_b);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[1]), 1);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[0]), 1);
    add(&f, 0, 2, note_c);
    add(&f, 0, 0, note_d);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "c d ");
    fixture_close(&f);
}

TEST_CASE(a_callback_can_be_taken_back_after_the_future_is_done_and_before_it_runs)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    add(&f, 0, 0, note_a);
    add(&f, 0, 1, note_b);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[0]), 1);
    memset(&f.callbacks[0], 0xa5, sizeof f.callbacks[0]);
    turn(&f, 1);
    EXPECT_TRACE(&f, "b ");
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[1]), 0);
    fixture_close(&f);
}

static void cancel_next_and_add(void *arg)
{
    fixture *f = arg;
    note(f, "first");
    CHECK_EQ_INT(pl_callback_cancel(&f->callbacks[1]), 1);
    add(f, 0, 1, note_d);
}

/* test_schedule_callbacks_list_mutation_1 */
TEST_CASE(a_callback_may_take_back_the_next_and_add_another)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    add(&f, 0, 0, cancel_next_and_add);
    add(&f, 0, 1, note_b);
    add(&f, 0, 2, note_c);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "first c ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "d ");
    fixture_close(&f);
}

TEST_CASE(thousands_of_callbacks_keep_their_order)
{
    enum { COUNT = 5000 };
    pl_callback *callbacks = calloc(COUNT, sizeof *callbacks);
    fixture f;
    REQUIRE(callbacks != NULL);
    REQUIRE_OR(fixture_open(&f, t), goto out);
    new_future(&f, 0);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ_INT(pl_future_add_done_callback(f.futures[0], &callbacks[i], note_a, &f), PL_OK);
    for (int i = 0; i < COUNT; i++) {
        if (i % 1000 != 7)
            CHECK_EQ_INT(pl_callback_cancel(&callbacks[(i * 2711) % COUNT]), 1);
    }
    CHECK_EQ_INT(pl_future_cancel(f.futures[0]), 1);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a a a a a ");
    fixture_close(&f);
out:
    free(callbacks);
}

static void schedule_itself_on_the_second(void *arg)
{
    fixture *f = arg;
    note(f, "a");
    if (++f->counts[0] == 1)
        add(f, 1, 0, schedule_itself_on_the_second); /* idle by now */
}

TEST_CASE(a_callback_is_idle_when_it_runs)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    add(&f, 0, 0, schedule_itself_on_the_second);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 0), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[1], 0), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a a ");
    fixture_close(&f);
}

/* --- References --------------------------------------------------------------------------------------------------- */

TEST_CASE(a_reference_keeps_a_future)
{
    fixture f;
    pl_future *second;
    REQUIRE(fixture_open(&f, t));
    second = pl_future_ref(new_future(&f, 0));
    CHECK(second == f.futures[0]);
    CHECK_EQ_INT(pl_future_set_result(second, 7), PL_OK);
    drop_future(&f, 0);
    CHECK_EQ_INT(pl_future_result(second), 7);
    pl_future_unref(second);
    fixture_close(&f);
}

TEST_CASE(callbacks_of_a_future_that_is_let_go_when_it_is_done_still_run)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    add(&f, 0, 0, note_a);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 7), PL_OK);
    drop_future(&f, 0);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

TEST_CASE(callbacks_of_a_future_that_is_let_go_pending_never_run_and_are_idle)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    add(&f, 0, 0, note_a);
    add(&f, 0, 1, note_b);
    drop_future(&f, 0);
    turn(&f, 2);
    EXPECT_TRACE(&f, "");
    (void)pl_callback_cancel(&f.callbacks[0]);
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], f.loop, note_c, &f), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "c ");
    fixture_close(&f);
}

static int64_t await_first(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_await(f->futures[0]);
    note_code(f, rc);
    return rc;
}

TEST_CASE(a_waiter_gets_the_result_of_a_future_that_was_let_go_before_its_step)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 7), PL_OK);
    drop_future(&f, 0);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 7);
    fixture_close(&f);
}

TEST_CASE(a_waiter_keeps_a_future_that_was_let_go_pending)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    turn(&f, 1);
    drop_future(&f, 0);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    fixture_close(&f);
}

/* --- Pointers ----------------------------------------------------------------------------------------------------- */

TEST_CASE(a_pointer_is_taken_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_set_pointer(new_future(&f, 0), &f, fixture_drop), PL_OK);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), 0);
    CHECK(pl_future_take_pointer(f.futures[0]) == &f);
    CHECK(pl_future_take_pointer(f.futures[0]) == NULL);
    drop_future(&f, 0);
    CHECK_EQ_INT(f.drops, 0); /* it was the caller's */
    fixture_close(&f);
}

TEST_CASE(a_pointer_nobody_took_is_dropped_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_set_pointer(new_future(&f, 0), &f, fixture_drop), PL_OK);
    CHECK_EQ_INT(f.drops, 0);
    drop_future(&f, 0);
    CHECK_EQ_INT(f.drops, 1);
    CHECK_EQ_INT(pl_future_set_pointer(new_future(&f, 0), &f, NULL), PL_OK); /* nothing to drop it with */
    drop_future(&f, 0);
    CHECK_EQ_INT(pl_future_set_pointer(new_future(&f, 0), NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_FINISHED);
    CHECK(pl_future_take_pointer(f.futures[0]) == NULL);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 1);
}

TEST_CASE(a_pointer_for_a_waiter_that_was_cancelled_meanwhile_is_dropped_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_pointer(f.futures[0], &f, fixture_drop), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(f.drops, 0);
    drop_future(&f, 0);
    CHECK_EQ_INT(f.drops, 1);
    fixture_close(&f);
}

/* --- Errors that nobody looked at --------------------------------------------------------------------------------- */

/* test_tb_logger_exception_unretrieved, test_future_exception_never_retrieved */
TEST_CASE(an_error_nobody_looked_at_is_reported_once_when_the_future_is_let_go)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_set_error(new_future(&f, 0), PL_EIO), PL_OK);
    turn(&f, 1);
    (void)pl_future_ref(f.futures[0]);
    pl_future_unref(f.futures[0]);
    CHECK_STR(f.reports, "");
    drop_future(&f, 0);
    turn(&f, 1);
    EXPECT_REPORTS(&f, "PL_EIO ");
    fixture_close(&f);
}

/* test_tb_logger_exception_result_retrieved */
TEST_CASE(an_error_that_was_looked_at_is_not_reported)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_set_error(new_future(&f, 0), PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), PL_EIO);
    drop_future(&f, 0);
    CHECK_EQ_INT(pl_future_set_error(new_future(&f, 0), PL_EIO), PL_OK);
    CHECK_EQ_INT(run_task(&f, await_first, &f), PL_EIO);
    drop_future(&f, 0);
    fixture_close(&f);
}

/* test_tb_logger_abandoned, _result_unretrieved, _not_called_after_cancel */
TEST_CASE(what_is_pending_or_well_or_cancelled_is_never_reported)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    CHECK_EQ_INT(pl_future_set_result(new_future(&f, 1), 1), PL_OK);
    CHECK_EQ_INT(pl_future_cancel(new_future(&f, 2)), 1);
    for (int i = 0; i < 3; i++)
        drop_future(&f, i);
    turn(&f, 1);
    fixture_close(&f);
}

TEST_CASE(a_callback_does_not_look_at_the_error_by_itself)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    add(&f, 0, 0, note_a);
    CHECK_EQ_INT(pl_future_set_error(f.futures[0], PL_EIO), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    drop_future(&f, 0);
    EXPECT_REPORTS(&f, "PL_EIO ");
    fixture_close(&f);
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

TEST_CASE(waiters_and_callbacks_wake_in_the_order_they_came)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    turn(&f, 1);
    add(&f, 0, 0, note_b);
    start_slot(&f, 1, await_first);
    turn(&f, 1);
    add(&f, 0, 1, note_c);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 5), PL_OK);
    EXPECT_TRACE(&f, "");
    turn(&f, 1);
    EXPECT_TRACE(&f, "5 b 5 c ");
    fixture_close(&f);
}

TEST_CASE(a_cancelled_future_cancels_its_waiters)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    start_slot(&f, 1, await_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_cancel(f.futures[0]), 1);
    turn(&f, 1);
    EXPECT_TRACE(&f, "PL_ECANCELED PL_ECANCELED ");
    CHECK_EQ_INT(pl_future_state(pl_task_future(f.tasks[0])), PL_CANCELLED);
    fixture_close(&f);
}

static int64_t await_of_other_loop(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_await(f->futures[0]), PL_EINVAL);
    CHECK_EQ_INT(pl_await(f->futures[1]), PL_EINVAL);
    return 0;
}

/* test_other_loop_future */
TEST_CASE(waiting_for_a_future_of_another_loop_is_refused)
{
    fixture f, other;
    REQUIRE(fixture_open(&f, t));
    REQUIRE(fixture_open(&other, t));
    new_future(&other, 0);
    CHECK_EQ_INT(pl_future_set_result(new_future(&other, 1), 1), PL_OK); /* done or not */
    CHECK_EQ_INT(run_task(&f, await_of_other_loop, &other), 0);
    CHECK_EQ_INT(pl_future_set_result(other.futures[0], 1), PL_OK); /* nobody waits for it */
    turn(&other, 1);
    fixture_close(&other);
    fixture_close(&f);
}

static int64_t await_all(void *arg)
{
    fixture *f = arg;
    for (int i = 0; i < 3; i++)
        f->results[i] = pl_await(f->futures[i]);
    return 0;
}

TEST_CASE(a_waiter_gets_results_errors_and_pointers)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < 3; i++)
        new_future(&f, i);
    start_slot(&f, 0, await_all);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], INT64_C(1) << 40), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_error(f.futures[1], -5), PL_OK); /* a code of the program's own */
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_pointer(f.futures[2], &f, fixture_drop), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_state(pl_task_future(f.tasks[0])), PL_FINISHED);
    CHECK_EQ_INT(f.results[0], INT64_C(1) << 40);
    CHECK_EQ_INT(f.results[1], -5);
    CHECK_EQ_INT(f.results[2], 0);
    CHECK(pl_future_take_pointer(f.futures[2]) == &f);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 0);
}

static int64_t await_done(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_await(f->futures[0]), 3);
    note(f, "through");
    return 0;
}

TEST_CASE(awaiting_a_future_that_is_done_does_not_suspend)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_set_result(new_future(&f, 0), 3), PL_OK);
    CHECK_EQ_INT(run_task(&f, await_done, &f), 0);
    EXPECT_TRACE(&f, "through a ");
    fixture_close(&f);
}

static int64_t set_first(void *arg)
{
    fixture *other = arg;
    CHECK_EQ_INT(pl_future_set_result(other->futures[0], 6), PL_OK);
    return 0;
}

TEST_CASE(a_future_made_done_from_another_loop_of_the_thread_wakes_its_own)
{
    fixture f, other;
    REQUIRE(fixture_open(&f, t));
    REQUIRE(fixture_open(&other, t));
    new_future(&other, 0);
    start_slot(&other, 0, await_first);
    turn(&other, 1);
    CHECK_EQ_INT(run_task(&f, set_first, &other), 0);
    turn(&f, 2);
    EXPECT_TRACE(&other, "");
    CHECK_EQ_INT(finish_task(&other, other.tasks[0]), 6);
    fixture_close(&other);
    fixture_close(&f);
}

/* --- The future of a task ----------------------------------------------------------------------------------------- */

static int64_t sleep_for_ever(void *arg)
{
    (void)arg;
    return pl_sleep(PL_FOREVER);
}

/* test_task_set_methods, test_set_result_causes_invalid_state */
TEST_CASE(the_future_of_a_task_is_set_by_the_task_alone)
{
    fixture f;
    pl_future *future;
    REQUIRE(fixture_open(&f, t));
    future = pl_task_future(start_slot(&f, 0, sleep_for_ever));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(pl_future_set_result(future, 1), PL_ESTATE);
        CHECK_EQ_INT(pl_future_set_error(future, PL_EIO), PL_ESTATE);
        CHECK_EQ_INT(pl_future_set_error(future, PL_ECANCELED), PL_ESTATE);
        CHECK_EQ_INT(pl_future_set_pointer(future, &f, fixture_drop), PL_ESTATE);
        CHECK_EQ_INT(f.drops, i + 1);
        CHECK_EQ_INT(pl_future_state(future), PL_PENDING);
        turn(&f, 1);
    }
    CHECK_EQ_INT(pl_future_result(future), PL_ESTATE);
    fixture_close(&f);
}

static int64_t clean_up_slowly(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(f, "clean");
    return 9;
}

TEST_CASE(cancelling_the_future_of_a_task_is_a_request_and_its_end_the_answer)
{
    fixture f;
    pl_future *future;
    REQUIRE(fixture_open(&f, t));
    future = pl_task_future(start_slot(&f, 0, clean_up_slowly));
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_cancel(future), 1);
    CHECK_EQ_INT(pl_future_state(future), PL_PENDING);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_state(future), PL_PENDING);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, future), 9);
    CHECK_EQ_INT(pl_future_cancel(future), 0);
    EXPECT_TRACE(&f, "clean ");
    fixture_close(&f);
}

TEST_CASE(references_to_the_future_of_a_task_are_references_to_the_task)
{
    fixture f;
    pl_future *future;
    REQUIRE(fixture_open(&f, t));
    future = pl_future_ref(pl_task_future(start_slot(&f, 0, sleep_for_ever)));
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 2);
    pl_task_unref(f.tasks[0]);
    f.tasks[0] = NULL;
    CHECK_EQ_INT(pl_future_state(future), PL_CANCELLED);
    pl_future_unref(future);
    fixture_close(&f);
}

TEST_CASE(callbacks_of_a_task_run_after_its_end)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_task_future(f.tasks[0]), &f.callbacks[0], note_a, &f), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 4), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "4 ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

TEST_SUITE(future, TEST_BACKENDS_ALL,
           CASE(a_new_future_is_pending_and_has_no_result),
           CASE(a_future_is_finished_by_a_result),
           CASE(a_future_is_finished_by_an_error),
           CASE(a_cancelled_future_is_cancelled_at_once),
           CASE(the_error_of_cancelling_cancels),
           CASE(a_future_becomes_done_once),
           CASE(results_are_not_negative_and_errors_are),
           CASE(callbacks_go_through_the_ready_queue_in_the_order_they_were_added),
           CASE(callbacks_run_whatever_the_end_was),
           CASE(a_callback_added_to_a_future_that_is_done_runs_in_the_next_iteration),
           CASE(a_future_that_a_callback_makes_done_calls_back_an_iteration_later),
           CASE(any_callback_can_be_taken_back_before_the_future_is_done),
           CASE(all_callbacks_can_be_taken_back_and_others_added),
           CASE(a_callback_can_be_taken_back_after_the_future_is_done_and_before_it_runs),
           CASE(a_callback_may_take_back_the_next_and_add_another),
           CASE(thousands_of_callbacks_keep_their_order),
           CASE(a_callback_is_idle_when_it_runs),
           CASE(a_reference_keeps_a_future),
           CASE(callbacks_of_a_future_that_is_let_go_when_it_is_done_still_run),
           CASE(callbacks_of_a_future_that_is_let_go_pending_never_run_and_are_idle),
           CASE(a_waiter_gets_the_result_of_a_future_that_was_let_go_before_its_step),
           CASE(a_waiter_keeps_a_future_that_was_let_go_pending),
           CASE(a_pointer_is_taken_once),
           CASE(a_pointer_nobody_took_is_dropped_once),
           CASE(a_pointer_for_a_waiter_that_was_cancelled_meanwhile_is_dropped_once),
           CASE(an_error_nobody_looked_at_is_reported_once_when_the_future_is_let_go),
           CASE(an_error_that_was_looked_at_is_not_reported),
           CASE(what_is_pending_or_well_or_cancelled_is_never_reported),
           CASE(a_callback_does_not_look_at_the_error_by_itself),
           CASE(waiters_and_callbacks_wake_in_the_order_they_came),
           CASE(a_cancelled_future_cancels_its_waiters),
           CASE(waiting_for_a_future_of_another_loop_is_refused),
           CASE(a_waiter_gets_results_errors_and_pointers),
           CASE(awaiting_a_future_that_is_done_does_not_suspend),
           CASE(a_future_made_done_from_another_loop_of_the_thread_wakes_its_own),
           CASE(the_future_of_a_task_is_set_by_the_task_alone),
           CASE(cancelling_the_future_of_a_task_is_a_request_and_its_end_the_answer),
           CASE(references_to_the_future_of_a_task_are_references_to_the_task),
           CASE(callbacks_of_a_task_run_after_its_end))
