#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "loopback.h"

static void close_both(pl_stream *client, pl_stream *server)
{
    pl_stream_close(client);
    pl_stream_close(server);
}

TASK_CASE(an_operation_that_never_was_started_has_no_result)
{
    pl_op op = {0};
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_result(&op), PL_ESTATE);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_ESTATE);
    CHECK_EQ_INT(pl_op_finish(&op), PL_OK);
    CHECK_EQ_INT(pl_op_system_error(&op), 0);
    CHECK_EQ_INT(pl_op_result(&op), PL_ESTATE);
}

TASK_CASE(an_operation_tells_its_state)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_result(&op), PL_ESTATE);
    CHECK_EQ_INT(pl_future_state(pl_op_future(&op)), PL_PENDING);
    CHECK_EQ_INT(pl_future_result(pl_op_future(&op)), PL_ESTATE);
    CHECK_EQ_INT(pl_write(client, "a", 1), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), 1);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_result(&op), 1);
    CHECK_EQ_INT(pl_future_state(pl_op_future(&op)), PL_FINISHED);
    CHECK_EQ_INT(pl_op_await(&op), 1); /* as often as one likes */
    CHECK_EQ_INT(pl_await(pl_op_future(&op)), 1);
    CHECK_EQ_INT(pl_op_finish(&op), 1);
    close_both(client, server);
}

TASK_CASE(an_operation_in_flight_is_busy_and_unharmed)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char data[8] = {0};
    const void *lent = NULL;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_read_start(&op, client, data, sizeof data), PL_EBUSY);
    CHECK_EQ_INT(pl_write_start(&op, server, "no", 2), PL_EBUSY);
    CHECK_EQ_INT(pl_read_borrow_start(&op, client, &lent), PL_EBUSY);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_write(client, "a", 1), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), 1);
    CHECK_EQ_INT(data[0], 'a');
    CHECK(connection_works(client, server)); /* "no" was never sent */
    close_both(client, server);
}

/* --- Cancel, in each state --- */

TASK_CASE(an_operation_is_cancelled_before_the_loop_saw_it)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK_EQ_INT(pl_future_state(pl_op_future(&op)), PL_CANCELLED);
    CHECK(connection_works(client, server));
    close_both(client, server);
}

TASK_CASE(an_operation_is_cancelled_while_the_system_has_it)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK(connection_works(client, server));
    close_both(client, server);
}

TASK_CASE(a_cancel_is_answered_later_and_once)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK(pl_op_is_pending(&op)); /* a request; the answer comes through the queue */
    CHECK_EQ_INT(pl_op_result(&op), PL_ESTATE);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK); /* still pending, still asked for */
    CHECK_EQ_INT(pl_future_cancel(pl_op_future(&op)), 1);
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_EBUSY);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_ESTATE);
    CHECK_EQ_INT(pl_future_cancel(pl_op_future(&op)), 0);
    CHECK_EQ_INT(pl_op_result(&op), PL_ECANCELED);
    CHECK(connection_works(client, server));
    close_both(client, server);
}

TASK_CASE(cancelling_what_is_done_changes_nothing)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write(client, "a", 1), PL_OK);
    CHECK_EQ_INT(end_of(pl_read_start(&op, server, data, sizeof data), &op), 1);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_ESTATE);
    CHECK_EQ_INT(pl_op_result(&op), 1);
    CHECK_EQ_INT(pl_op_finish(&op), 1);
    close_both(client, server);
}

TASK_CASE(a_cancelled_task_takes_its_operation_with_it)
{
    pl_stream *client, *server;
    pl_timeout limit = {0};
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_op_await(&op)), PL_ETIMEDOUT);
    CHECK(!pl_op_is_pending(&op)); /* it has ended, not only been asked to */
    CHECK_EQ_INT(pl_op_result(&op), PL_ECANCELED);
    CHECK(connection_works(client, server));
    close_both(client, server);
}

/* --- Finish --- */

TASK_CASE(finish_cancels_and_waits)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    CHECK(connection_works(client, server));
    close_both(client, server);
}

TASK_CASE(finish_waits_even_in_a_cancelled_scope)
{
    pl_stream *client, *server;
    pl_timeout limit = {0};
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK(connection_works(client, server));
    close_both(client, server);
}

static int64_t read_and_finish(void *arg)
{
    pl_stream *stream = arg;
    pl_op op = {0};
    char data[8];
    CHECK_EQ_INT(pl_read_start(&op, stream, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    return 0;
}

TASK_CASE(finish_waits_in_a_cancelled_task)
{
    pl_stream *client, *server;
    pl_task *task = NULL;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_spawn(&task, read_and_finish, server, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(task), 1);
    CHECK_EQ_INT(pl_task_await(task), 0);
    pl_task_unref(task);
    CHECK(connection_works(client, server));
    close_both(client, server);
}

/* --- Waiters and callbacks --- */

static struct {
    pl_stream *stream;
    pl_op *op;
    pl_callback callback;
    pl_future *done;
    char data[4];
    int rounds;
} again;

static void read_again(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_op_result(again.op), 1);
    CHECK_EQ_INT(again.data[0], 'a' + again.rounds);
    again.rounds++;
    if (again.rounds == 5) {
        free(again.op); /* it and its callback are ours again */
        again.op = NULL;
        pl_future_set_result(again.done, 0);
        return;
    }
    CHECK_EQ_INT(pl_read_start(again.op, again.stream, again.data, 1), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(again.op), &again.callback, read_again, NULL), PL_OK);
}

TASK_CASE(an_operation_may_be_started_again_and_freed_in_its_callback)
{
    pl_stream *client;
    memset(&again, 0, sizeof again);
    REQUIRE(connect_pair(&client, &again.stream));
    REQUIRE_EQ_INT(pl_future_create(&again.done, NULL), PL_OK);
    again.op = calloc(1, sizeof *again.op);
    if (CHECK(again.op != NULL)) {
        CHECK_EQ_INT(pl_read_start(again.op, again.stream, again.data, 1), PL_OK);
        CHECK_EQ_INT(
            pl_future_add_done_callback(pl_op_future(again.op), &again.callback, read_again, NULL), PL_OK);
        CHECK_EQ_INT(pl_write(client, "abc", 3), PL_OK); /* some finish at once, some later */
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
        CHECK_EQ_INT(pl_write(client, "de", 2), PL_OK);
        CHECK_EQ_INT(pl_await(again.done), 0);
    }
    pl_future_unref(again.done);
    close_both(client, again.stream);
}

static void count_up(void *arg)
{
    ++*(int *)arg;
}

TASK_CASE(an_operation_has_one_waiter)
{
    pl_stream *client, *server;
    pl_callback callback = {0};
    pl_callback second = {0};
    pl_op op = {0};
    char data[8];
    int calls = 0;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&op), &callback, count_up, &calls), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&op), &second, count_up, &calls), PL_EBUSY);
    CHECK_EQ_INT(pl_op_await(&op), PL_EBUSY);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(calls, 0);
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_OK);
    while (calls == 0 && pl_sleep(0) == PL_OK)
        ;
    CHECK_EQ_INT(pl_op_result(&op), 1);
    CHECK_EQ_INT(calls, 1);
    close_both(client, server);
}

TASK_CASE(a_callback_that_was_taken_back_is_not_called)
{
    pl_stream *client, *server;
    pl_callback callback = {0};
    pl_op op = {0};
    char data[8];
    int calls = 0;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&op), &callback, count_up, &calls), PL_OK);
    CHECK_EQ_INT(pl_callback_cancel(&callback), 1);
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), 1); /* the place is free again */
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(calls, 0);
    close_both(client, server);
}

TASK_CASE(a_callback_added_to_a_done_operation_is_called_in_the_next_iteration)
{
    pl_stream *client, *server;
    pl_callback callback = {0};
    pl_op op = {0};
    char data[8];
    int calls = 0;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_OK);
    CHECK_EQ_INT(end_of(pl_read_start(&op, server, data, sizeof data), &op), 1);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&op), &callback, count_up, &calls), PL_OK);
    CHECK_EQ_INT(calls, 0);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(calls, 1);
    close_both(client, server);
}

TASK_CASE(the_future_of_an_operation_cannot_be_made_done_by_others)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(pl_op_future(&op), 1), PL_ESTATE);
    CHECK_EQ_INT(pl_future_set_error(pl_op_future(&op), PL_EIO), PL_ESTATE);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    close_both(client, server);
}

static int64_t await_op(void *arg)
{
    return pl_op_await(arg);
}

TASK_CASE(another_task_may_wait_for_an_operation)
{
    pl_stream *client, *server;
    pl_task *task = NULL;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_spawn(&task, await_op, &op, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_write(client, "a", 1), PL_OK);
    CHECK_EQ_INT(pl_task_await(task), 1);
    pl_task_unref(task);
    CHECK(!pl_op_is_pending(&op));
    close_both(client, server);
}

/* An error that nobody looked at: an operation is its owner's, and is not reported. */
TASK_CASE(an_operation_that_failed_unseen_is_silent)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, data, sizeof data), PL_OK);
    pl_stream_close(server);
    while (pl_op_is_pending(&op) && pl_yield() == PL_OK)
        ;
    pl_stream_close(client);
}

static void null_calls(void *arg)
{
    pl_op idle = {0};
    (void)arg;
    CHECK(!pl_op_is_pending(NULL));
    CHECK_EQ_INT(pl_op_cancel(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_op_result(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_op_system_error(NULL), 0);
    CHECK_EQ_INT(pl_op_await(&idle), PL_ENOTASK);
}

TASK_CASE(null_is_no_operation)
{
    pl_future *done = NULL;
    CHECK_EQ_INT(pl_call_soon(NULL, null_calls, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK(done == NULL);
}

TEST_SUITE(op, TEST_BACKENDS_ALL,
           CASE(an_operation_that_never_was_started_has_no_result),
           CASE(an_operation_tells_its_state),
           CASE(an_operation_in_flight_is_busy_and_unharmed),
           CASE(an_operation_is_cancelled_before_the_loop_saw_it),
           CASE(an_operation_is_cancelled_while_the_system_has_it),
           CASE(a_cancel_is_answered_later_and_once),
           CASE(cancelling_what_is_done_changes_nothing),
           CASE(a_cancelled_task_takes_its_operation_with_it),
           CASE(finish_cancels_and_waits),
           CASE(finish_waits_even_in_a_cancelled_scope),
           CASE(finish_waits_in_a_cancelled_task),
           CASE(an_operation_may_be_started_again_and_freed_in_its_callback),
           CASE(an_operation_has_one_waiter),
           CASE(a_callback_that_was_taken_back_is_not_called),
           CASE(a_callback_added_to_a_done_operation_is_called_in_the_next_iteration),
           CASE(the_future_of_an_operation_cannot_be_made_done_by_others),
           CASE(another_task_may_wait_for_an_operation),
           CASE(an_operation_that_failed_unseen_is_silent),
           CASE(null_is_no_operation))
