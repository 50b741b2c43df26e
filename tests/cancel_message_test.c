/* The message of a cancel: whom it reaches. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

static void note_message(fixture *f)
{
    note(f, pl_cancel_message() ? pl_cancel_message() : "none");
}

static int64_t sleep_and_note(void *arg)
{
    int rc = pl_sleep(PL_FOREVER);
    note_message(arg);
    return rc;
}

static int64_t await_slot_and_note(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_await(f->futures[0]);
    note_message(f);
    return rc;
}

static int64_t await_task_and_note(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_task_await(f->tasks[0]);
    note_message(f);
    return rc;
}

static int64_t yield_and_note(void *arg)
{
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    note_message(arg);
    return PL_ECANCELED;
}

static const char *message_of(const fixture *f, int slot)
{
    return pl_future_cancel_message(pl_task_future(f->tasks[slot]));
}

/* test_future_cancel_message_getter. */
FIXTURE_CASE(a_future_keeps_the_message_it_was_cancelled_with)
{
    fixture *f = arg;
    new_future(f, 0);
    CHECK(pl_future_cancel_message(f->futures[0]) == NULL);
    CHECK_EQ_INT(pl_future_cancel_with(f->futures[0], "enough"), 1);
    CHECK_STR(pl_future_cancel_message(f->futures[0]), "enough");
    CHECK_EQ_INT(pl_future_cancel_with(f->futures[0], "late"), 0);
    CHECK_STR(pl_future_cancel_message(f->futures[0]), "enough");
    CHECK(pl_future_cancel_message(NULL) == NULL);
    CHECK_EQ_INT(pl_future_cancel_with(NULL, "none"), 0);
    return 0;
}

FIXTURE_CASE(a_future_cancelled_without_a_message_has_none)
{
    fixture *f = arg;
    new_future(f, 0);
    CHECK_EQ_INT(pl_future_cancel(f->futures[0]), 1);
    CHECK(pl_future_cancel_message(f->futures[0]) == NULL);
    return 0;
}

/* test_cancel_with_message_then_future_result. */
FIXTURE_CASE(who_awaits_a_cancelled_future_gets_its_message)
{
    fixture *f = arg;
    new_future(f, 0);
    start_slot(f, 0, await_slot_and_note);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_future_cancel_with(f->futures[0], "enough"), 1);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(f, "enough ");
    CHECK_STR(message_of(f, 0), "enough");
    CHECK_STR(pl_cancel_message(), "enough"); /* and so did who awaited the task */
    return 0;
}

/* test_cancel_with_message_before_starting_task. */
FIXTURE_CASE(a_task_cancelled_before_its_first_step_has_the_message)
{
    fixture *f = arg;
    start_slot(f, 0, sleep_and_note);
    CHECK_EQ_INT(pl_task_cancel_with(f->tasks[0], "too soon"), 1);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), PL_ECANCELED);
    CHECK_STR(message_of(f, 0), "too soon");
    EXPECT_TRACE(f, "");
    return 0;
}

/* test_cancel_with_message_then_future_exception: the task waits when it is cancelled. */
FIXTURE_CASE(the_message_goes_to_the_wait_that_is_cancelled)
{
    fixture *f = arg;
    start_slot(f, 0, sleep_and_note);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel_with(f->tasks[0], "enough"), 1);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(f, "enough ");
    return 0;
}

FIXTURE_CASE(the_message_waits_with_the_edge_for_the_next_wait)
{
    fixture *f = arg;
    start_slot(f, 0, yield_and_note);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel_with(f->tasks[0], "enough"), 1);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(f, "enough ");
    return 0;
}

/* test_cancelling_nested: down a chain of tasks, and up again. */
FIXTURE_CASE(the_message_goes_down_a_chain_of_tasks_and_up_again)
{
    fixture *f = arg;
    start_slot(f, 0, sleep_and_note);
    start_slot(f, 1, await_task_and_note);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel_with(f->tasks[1], "enough"), 1);
    CHECK_EQ_INT(pl_task_await(f->tasks[1]), PL_ECANCELED);
    EXPECT_TRACE(f, "enough enough ");
    CHECK_STR(message_of(f, 0), "enough");
    CHECK_STR(message_of(f, 1), "enough");
    return 0;
}

/* test_cancel_with_message_and_a_second_cancel: the last one counts. */
FIXTURE_CASE(of_several_messages_for_one_edge_the_last_one_counts)
{
    fixture *f = arg;
    start_slot(f, 0, yield_and_note);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel_with(f->tasks[0], "first"), 1);
    CHECK_EQ_INT(pl_task_cancel_with(f->tasks[0], "second"), 1);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(f, "second ");
    return 0;
}

static int64_t swallow_then_wait_again(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    note_message(f);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    note_message(f);
    return 5;
}

FIXTURE_CASE(a_cancel_without_a_message_does_not_show_an_earlier_one)
{
    fixture *f = arg;
    start_slot(f, 0, swallow_then_wait_again);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel_with(f->tasks[0], "first"), 1);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), 5);
    EXPECT_TRACE(f, "first none ");
    CHECK(message_of(f, 0) == NULL);
    return 0;
}

FIXTURE_CASE(the_cancel_of_a_scope_has_no_message)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    new_future(f, 0);
    CHECK_EQ_INT(pl_future_cancel_with(f->futures[0], "earlier"), 1);
    CHECK_EQ_INT(pl_await(f->futures[0]), PL_ECANCELED);
    note_message(f);
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    note_message(f);
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_ECANCELED), PL_ETIMEDOUT);
    EXPECT_TRACE(f, "earlier none ");
    return 0;
}

TEST_CASE(outside_a_task_there_is_no_message)
{
    (void)t;
    CHECK(pl_cancel_message() == NULL);
    CHECK_EQ_INT(pl_task_cancel_with(NULL, "nobody"), 0);
}

TEST_SUITE(cancel_message, TEST_BACKENDS_ALL,
           CASE(a_future_keeps_the_message_it_was_cancelled_with),
           CASE(a_future_cancelled_without_a_message_has_none),
           CASE(who_awaits_a_cancelled_future_gets_its_message),
           CASE(a_task_cancelled_before_its_first_step_has_the_message),
           CASE(the_message_goes_to_the_wait_that_is_cancelled),
           CASE(the_message_waits_with_the_edge_for_the_next_wait),
           CASE(the_message_goes_down_a_chain_of_tasks_and_up_again),
           CASE(of_several_messages_for_one_edge_the_last_one_counts),
           CASE(a_cancel_without_a_message_does_not_show_an_earlier_one),
           CASE(the_cancel_of_a_scope_has_no_message),
           CASE(outside_a_task_there_is_no_message))
