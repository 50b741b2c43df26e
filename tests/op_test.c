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

static void count_drop(void *arg)
{
    ++*(int *)arg;
}

static void never_called(void *arg)
{
    (void)arg;
    CHECK(!"called");
}

TASK_CASE(the_future_of_an_operation_that_never_was_started_is_of_no_use)
{
    pl_op op = {0};
    pl_future *future = pl_op_future(&op);
    pl_callback callback = {0};
    int drops = 0;
    CHECK_EQ_INT(pl_future_state(future), PL_PENDING);
    CHECK_EQ_INT(pl_future_result(future), PL_ESTATE);
    CHECK_EQ_INT(pl_future_set_result(future, 1), PL_ESTATE);
    CHECK_EQ_INT(pl_future_set_error(future, PL_EIO), PL_ESTATE);
    CHECK_EQ_INT(pl_future_set_pointer(future, &drops, count_drop), PL_ESTATE);
    CHECK_EQ_INT(drops, 1);
    CHECK_EQ_INT(pl_future_cancel(future), 0);
    CHECK_EQ_INT(pl_future_add_done_callback(future, &callback, never_called, NULL), PL_ESTATE);
    CHECK_EQ_INT(pl_await(future), PL_ESTATE);
    CHECK_EQ_INT(pl_op_await(&op), PL_ESTATE);
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

static int64_t accept_and_go_on(void *arg)
{
    pl_stream *stream = NULL;
    CHECK_EQ_INT(pl_accept(arg, &stream), PL_ECANCELED);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_US(1)), PL_OK);
    return 7;
}

/* The first ends the operation, the second comes before its task goes on. */
TASK_CASE(two_cancels_around_the_end_of_an_operation_are_answered_once)
{
    pl_listener *listener;
    pl_task *task = NULL;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_spawn(&task, accept_and_go_on, listener, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(task), 1);
    CHECK_EQ_INT(pl_task_cancel(task), 1);
    CHECK_EQ_INT(pl_task_await(task), 7);
    CHECK_EQ_INT(pl_task_cancelling(task), 2);
    pl_task_unref(task);
    pl_listener_close(listener);
}

static struct {
    pl_listener *listener;
    pl_group group;
} around;

static int64_t accept_in_group(void *arg)
{
    pl_stream *stream = NULL;
    (void)arg;
    CHECK_EQ_INT(pl_group_begin(&around.group, 0), PL_OK);
    CHECK_EQ_INT(pl_group_end(&around.group, pl_accept(around.listener, &stream)), PL_ECANCELED); /* the task's */
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_US(1)), PL_OK);
    return 7;
}

TASK_CASE(a_scopes_cancel_and_the_tasks_around_the_end_of_an_operation_are_answered_once)
{
    pl_task *task = NULL;
    uint16_t port;
    memset(&around, 0, sizeof around);
    REQUIRE(listen_here(&around.listener, &port));
    CHECK_EQ_INT(pl_spawn(&task, accept_in_group, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_group_cancel(&around.group);
    CHECK_EQ_INT(pl_task_cancel(task), 1);
    CHECK_EQ_INT(pl_task_await(task), 7);
    pl_task_unref(task);
    pl_listener_close(around.listener);
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
        CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(again.op), &again.callback, read_again, NULL), PL_OK);
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

/* --- Other loops, and the end of one --- */

static struct {
    pl_listener *listener;
    pl_stream *client;
    pl_stream *server;
    int64_t good;
} elsewhere;

static int64_t open_elsewhere(void *arg)
{
    uint16_t port;
    (void)arg;
    elsewhere.good = connect_pair(&elsewhere.client, &elsewhere.server) && listen_here(&elsewhere.listener, &port);
    return 0;
}

static int64_t use_what_is_elsewhere(void *arg)
{
    pl_op op = {0};
    pl_stream *stream = NULL;
    const void *lent = NULL;
    char data[4];
    (void)arg;
    CHECK_EQ_INT(pl_read_start(&op, elsewhere.server, data, sizeof data), PL_EINVAL);
    CHECK_EQ_INT(pl_write_start(&op, elsewhere.client, "no", 2), PL_EINVAL);
    CHECK_EQ_INT(pl_accept_start(&op, elsewhere.listener, &stream), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_await(&op), PL_ESTATE); /* none of them began */
    CHECK_EQ_INT(pl_read(elsewhere.server, data, sizeof data), PL_EINVAL);
    CHECK_EQ_INT(pl_read_borrow(elsewhere.server, &lent), PL_EINVAL);
    CHECK_EQ_INT(pl_write(elsewhere.client, "no", 2), PL_EINVAL);
    CHECK_EQ_INT(pl_accept(elsewhere.listener, &stream), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_flush(elsewhere.client), PL_EINVAL);
    return 0;
}

static int64_t work_elsewhere(void *arg)
{
    (void)arg;
    elsewhere.good = connection_works(elsewhere.client, elsewhere.server); /* "no" was never sent */
    pl_stream_close(elsewhere.client);
    pl_stream_close(elsewhere.server);
    pl_listener_close(elsewhere.listener);
    return 0;
}

static void run_in(pl_loop *loop, pl_task_fn *fn)
{
    pl_task_options options = {.size = sizeof options, .loop = loop};
    pl_task *task = NULL;
    REQUIRE_EQ_INT(pl_spawn(&task, fn, NULL, &options), PL_OK);
    CHECK_EQ_INT(pl_loop_run_until_complete(loop, pl_task_future(task)), 0);
    pl_task_unref(task);
}

TEST_CASE(an_operation_on_what_another_loop_has_is_refused_before_it_begins)
{
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    pl_loop *loop = NULL;
    pl_loop *other = NULL;
    memset(&elsewhere, 0, sizeof elsewhere);
    REQUIRE_EQ_INT(pl_loop_create(&loop, &options), PL_OK);
    if (CHECK_EQ_INT(pl_loop_create(&other, &options), PL_OK)) {
        run_in(other, open_elsewhere);
        if (CHECK(elsewhere.good)) {
            run_in(loop, use_what_is_elsewhere);
            run_in(other, work_elsewhere);
            CHECK(elsewhere.good);
        }
        CHECK_EQ_INT(pl_loop_close(other), PL_OK);
    }
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
}

static struct {
    pl_stream *client;
    pl_stream *server;
    pl_stream *stream;
    pl_listener *listener;
    pl_future *future;
    pl_op reading;
    pl_op connecting;
    pl_callback callback;
    pl_callback more;
    pl_timer timer;
    pl_address nowhere;
    char data[4];
    int calls;
} ending;

static int64_t do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void begin_more(void *arg)
{
    pl_task *task = NULL;
    int drops = 0;
    int64_t rc = pl_op_result(&ending.reading);
    (void)arg;
    ending.calls++;
    CHECK(rc == PL_ECLOSED || rc == PL_ECONNRESET); /* the other end is in the same loop */
    CHECK_EQ_INT(pl_tcp_connect_start(&ending.connecting, &ending.stream, &ending.nowhere, NULL), PL_ECLOSED);
    CHECK_EQ_INT(pl_tcp_listen(&ending.listener, "127.0.0.1", 0, NULL), PL_ECLOSED);
    pl_listener_close(ending.listener); /* NULL */
    CHECK_EQ_INT(pl_spawn(&task, do_nothing, NULL, NULL), PL_ECLOSED);
    pl_task_unref(task);
    CHECK_EQ_INT(pl_call_soon(NULL, never_called, &drops, count_drop), PL_ECLOSED);
    CHECK_EQ_INT(drops, 1);
    CHECK_EQ_INT(pl_callback_schedule(&ending.more, NULL, never_called, NULL), PL_ECLOSED);
    CHECK_EQ_INT(pl_timer_start(&ending.timer, NULL, 0, never_called, NULL), PL_ECLOSED);
    CHECK_EQ_INT(pl_future_create(&ending.future, NULL), PL_ECLOSED);
}

static void leave_a_read(void)
{
    memset(&ending, 0, sizeof ending);
    CHECK_EQ_INT(pl_address_parse(&ending.nowhere, "127.0.0.1", silent_port()), PL_OK);
    REQUIRE(connect_pair(&ending.client, &ending.server));
    CHECK_EQ_INT(pl_read_start(&ending.reading, ending.server, ending.data, sizeof ending.data), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&ending.reading), &ending.callback, begin_more, NULL), PL_OK);
}

/* Else a callback that connects again when its read ends would keep the loop. */
TEST_CASE(nothing_new_begins_once_the_loop_ends_what_is_under_way)
{
    loopback_run(t, leave_a_read, NULL);
    CHECK_EQ_INT(ending.calls, 1);
    CHECK(!pl_op_is_pending(&ending.connecting));
    close_both(ending.client, ending.server);
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
           CASE(the_future_of_an_operation_that_never_was_started_is_of_no_use),
           CASE(an_operation_tells_its_state),
           CASE(an_operation_in_flight_is_busy_and_unharmed),
           CASE(an_operation_is_cancelled_before_the_loop_saw_it),
           CASE(an_operation_is_cancelled_while_the_system_has_it),
           CASE(a_cancel_is_answered_later_and_once),
           CASE(cancelling_what_is_done_changes_nothing),
           CASE(a_cancelled_task_takes_its_operation_with_it),
           CASE(two_cancels_around_the_end_of_an_operation_are_answered_once),
           CASE(a_scopes_cancel_and_the_tasks_around_the_end_of_an_operation_are_answered_once),
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
           CASE(an_operation_on_what_another_loop_has_is_refused_before_it_begins),
           CASE(nothing_new_begins_once_the_loop_ends_what_is_under_way),
           CASE(null_is_no_operation))
