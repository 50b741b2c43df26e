/* Waiting for sockets and descriptors that are not proloop's, once. */
#include <proloop/proloop.h>

#include <string.h>

#include "fixture.h"
#include "foreign.h"
#include "harness.h"
#include "loopback.h"

enum { NO_SOCKET = 0x7ffffff0 }; /* a number that no socket has */

static void close_pair(pl_socket pair[2])
{
    foreign_close(pair[0]);
    foreign_close(pair[1]);
}

/* Whatever came before this has been through the loop after it. */
static void settle(void)
{
    pl_socket pair[2];
    pl_op op = {0};
    REQUIRE(foreign_pair(pair));
    for (int i = 0; i < 2; i++) {
        char byte;
        CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, NULL), PL_OK);
        CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        CHECK_EQ_INT(foreign_receive(pair[0], &byte, 1), 1);
    }
    close_pair(pair);
}

/* --- What happens ------------------------------------------------------------------------------------------------- */

TASK_CASE(what_is_ready_already_is_told_at_once)
{
    pl_socket pair[2];
    pl_op op = {0};
    int happened = 0;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
    CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_READABLE, &happened), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_READABLE);
    CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_READABLE | PL_POLL_WRITABLE, &happened), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_READABLE | PL_POLL_WRITABLE);
    CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_WRITABLE, NULL), PL_OK);
    CHECK_EQ_INT(end_of(pl_poll_fd_start(&op, pair[0], PL_POLL_WRITABLE, &happened), &op), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_WRITABLE);
    close_pair(pair);
}

TASK_CASE(what_becomes_readable_ends_the_wait)
{
    pl_socket pair[2];
    pl_op op = {0};
    int happened = 0;
    char byte;
    REQUIRE(foreign_pair(pair));
    for (int i = 0; i < 3; i++) {
        CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, &happened), PL_OK);
        CHECK(pl_op_is_pending(&op));
        CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        CHECK_EQ_INT(happened, PL_POLL_READABLE);
        CHECK_EQ_INT(foreign_receive(pair[0], &byte, 1), 1);
        CHECK_EQ_INT(foreign_receive(pair[0], &byte, 1), FOREIGN_BLOCKS);
    }
    close_pair(pair);
}

TASK_CASE(what_becomes_writable_ends_the_wait)
{
    static char data[65536];
    pl_socket pair[2];
    pl_op op = {0};
    int happened = 0;
    int64_t sent = 0, count;
    REQUIRE(foreign_pair(pair));
    while ((count = foreign_send(pair[0], data, sizeof data)) > 0)
        sent += count;
    CHECK_EQ_INT(count, FOREIGN_BLOCKS);
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_WRITABLE, &happened), PL_OK);
    while (sent > 0) {
        CHECK_EQ_INT(pl_poll_fd(pair[1], PL_POLL_READABLE, NULL), PL_OK);
        count = foreign_receive(pair[1], data, sizeof data);
        REQUIRE(count > 0 || count == FOREIGN_BLOCKS);
        sent -= count > 0 ? count : 0;
    }
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_WRITABLE);
    close_pair(pair);
}

TASK_CASE(the_peers_end_is_told_as_readable_and_as_a_hang_up)
{
    pl_socket pair[2];
    pl_op ops[2] = {{{{0}}}};
    int happened[2] = {0};
    char byte;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_poll_fd_start(&ops[0], pair[0], PL_POLL_READABLE, &happened[0]), PL_OK);
    CHECK_EQ_INT(pl_poll_fd_start(&ops[1], pair[0], PL_POLL_HANGUP, &happened[1]), PL_OK);
    foreign_end(pair[1]);
    CHECK_EQ_INT(pl_op_await(&ops[0]), PL_OK);
    CHECK_EQ_INT(happened[0], PL_POLL_READABLE);
    CHECK_EQ_INT(pl_op_await(&ops[1]), PL_OK);
    CHECK_EQ_INT(happened[1], PL_POLL_HANGUP);
    CHECK_EQ_INT(foreign_receive(pair[0], &byte, 1), 0);
    close_pair(pair);
}

TASK_CASE(a_reset_ends_every_wait)
{
    pl_socket pair[2];
    pl_op op = {0};
    int happened = 0;
    char byte;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, &happened), PL_OK);
    foreign_reset(pair[1]);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK(happened & PL_POLL_READABLE);
    CHECK(happened & (PL_POLL_HANGUP | PL_POLL_ERROR));
    CHECK(foreign_receive(pair[0], &byte, 1) <= 0);
    foreign_close(pair[0]);
}

TASK_CASE(a_connect_has_ended_when_it_is_writable)
{
    uint16_t port;
    pl_socket listener = foreign_listen(&port);
    pl_op op = {0};
    int happened = 0;
    pl_socket client, server;
    CHECK_EQ_INT(pl_poll_fd_start(&op, listener, PL_POLL_READABLE, &happened), PL_OK);
    client = foreign_connect(port);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_READABLE);
    server = foreign_accept(listener);
    CHECK_EQ_INT(pl_poll_fd(client, PL_POLL_WRITABLE, &happened), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_WRITABLE);
    CHECK_EQ_INT(foreign_error(client), 0);
    foreign_close(server);
    foreign_close(client);
    foreign_close(listener);
}

TASK_CASE(a_connect_that_is_refused_is_told_as_writable_with_an_error)
{
    pl_socket client = foreign_connect(silent_port());
    int happened = 0;
    CHECK_EQ_INT(pl_poll_fd(client, PL_POLL_WRITABLE, &happened), PL_OK);
    CHECK(happened & PL_POLL_WRITABLE);
    CHECK(happened & PL_POLL_ERROR);
    CHECK(foreign_error(client) != 0);
    foreign_close(client);
}

TASK_CASE(urgent_data_is_a_priority_event)
{
    pl_socket pair[2];
    pl_op op = {0};
    int happened = 0;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_PRIORITY, &happened), PL_OK);
    CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
    settle();
    CHECK(pl_op_is_pending(&op));
    CHECK(foreign_send_urgent(pair[1]));
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_PRIORITY);
    close_pair(pair);
}

TASK_CASE(many_wait_for_the_same_socket)
{
    enum { COUNT = 20 };
    pl_socket pair[2];
    pl_op ops[COUNT] = {{{{0}}}};
    int happened[COUNT] = {0};
    int writable = 0;
    REQUIRE(foreign_pair(pair));
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ_INT(pl_poll_fd_start(&ops[i], pair[0], PL_POLL_READABLE, &happened[i]), PL_OK);
    CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_WRITABLE, &writable), PL_OK);
    CHECK_EQ_INT(writable, PL_POLL_WRITABLE);
    CHECK_EQ_INT(pl_op_cancel(&ops[7]), PL_OK);
    CHECK_EQ_INT(pl_op_await(&ops[7]), PL_ECANCELED);
    CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
    for (int i = 0; i < COUNT; i++) {
        if (i == 7)
            continue;
        CHECK_EQ_INT(pl_op_await(&ops[i]), PL_OK);
        CHECK_EQ_INT(happened[i], PL_POLL_READABLE);
    }
    close_pair(pair);
}

/* --- What is wrong ------------------------------------------------------------------------------------------------ */

TASK_CASE(files_are_always_ready_and_not_waited_for)
{
    pl_socket file;
    pl_op op = {0};
    pl_poller poller = {0};
    REQUIRE(foreign_file(&file));
    CHECK_EQ_INT(pl_poll_fd(file, PL_POLL_READABLE, NULL), PL_ENOTSUP);
    CHECK_EQ_INT(end_of(pl_poll_fd_start(&op, file, PL_POLL_READABLE, NULL), &op), PL_ENOTSUP);
    CHECK_EQ_INT(pl_poller_start(&poller, NULL, file, PL_POLL_READABLE, (pl_poller_fn *)1, NULL), PL_ENOTSUP);
    foreign_close(file);
}

TASK_CASE(what_is_no_socket_is_told)
{
    int happened = 4711;
    pl_op op = {0};
    CHECK_EQ_INT(pl_poll_fd(NO_SOCKET, PL_POLL_READABLE, &happened), PL_EBADF);
    CHECK_EQ_INT(pl_poll_fd(UINTPTR_MAX, PL_POLL_READABLE, &happened), PL_EBADF);
    CHECK_EQ_INT(end_of(pl_poll_fd_start(&op, NO_SOCKET, PL_POLL_READABLE, &happened), &op), PL_EBADF);
    CHECK(pl_op_system_error(&op) != 0);
    CHECK_EQ_INT(happened, 4711);
}

TASK_CASE(wrong_arguments_are_refused)
{
    pl_socket pair[2];
    pl_op op = {0};
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_poll_fd_start(NULL, pair[0], PL_POLL_READABLE, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], 0, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_ERROR, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE | 1024, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE | PL_POLL_ONCE, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_poll_fd(pair[0], 0, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, NULL), PL_OK);
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, NULL), PL_EBUSY);
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    close_pair(pair);
}

TEST_CASE(outside_of_a_loop_there_is_no_waiting)
{
    pl_op op = {0};
    (void)t;
    CHECK_EQ_INT(pl_poll_fd(0, PL_POLL_READABLE, NULL), PL_ENOTASK);
    CHECK_EQ_INT(pl_poll_fd_start(&op, 0, PL_POLL_READABLE, NULL), PL_ENOLOOP);
}

static int64_t poll_on_the_simulation(void *arg)
{
    pl_poller poller = {0};
    pl_socket *object = arg;
    CHECK_EQ_INT(pl_poll_fd(*object, PL_POLL_READABLE, NULL), PL_ENOTSUP);
    CHECK_EQ_INT(pl_wait_handle(&poller), PL_ENOTSUP);
    CHECK_EQ_INT(pl_poller_start(&poller, NULL, *object, PL_POLL_READABLE, (pl_poller_fn *)1, NULL), PL_ENOTSUP);
    return 0;
}

TEST_CASE(the_simulation_has_no_foreign_sockets)
{
    const test_context simulated = {.backend = "sim"};
    pl_socket pair[2];
    fixture f;
    (void)t;
    REQUIRE(fixture_open(&f, &simulated));
    if (foreign_pair(pair)) {
        CHECK_EQ_INT(run_task(&f, poll_on_the_simulation, &pair[0]), 0);
        close_pair(pair);
    }
    fixture_close(&f);
}

/* The number may be another one's by then, so nobody should; but the loop stays whole. */
TASK_CASE(a_socket_closed_behind_the_wait_does_no_harm)
{
    pl_socket pair[2], other[2];
    pl_op op = {0};
    int64_t result;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, NULL), PL_OK);
    foreign_close(pair[0]);
    REQUIRE(foreign_pair(other)); /* perhaps of the same number */
    settle();
    result = pl_op_finish(&op);
    CHECK(result == PL_ECANCELED || result == PL_EBADF || result == PL_OK);
    CHECK_EQ_INT(pl_poll_fd(other[0], PL_POLL_WRITABLE, NULL), PL_OK);
    close_pair(other);
    foreign_close(pair[1]);
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

TASK_CASE(a_cancel_of_a_wait_in_the_kernel_loses_nothing)
{
    pl_socket pair[2];
    pl_op op = {0};
    int happened = 0;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, &happened), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK_EQ_INT(happened, 0);
    CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
    CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_READABLE, &happened), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_READABLE);
    close_pair(pair);
}

TASK_CASE(a_cancel_of_what_has_happened_already_ends_it_once)
{
    pl_socket pair[2];
    pl_op op = {0};
    REQUIRE(foreign_pair(pair));
    for (int i = 0; i < 20; i++) {
        int happened = 0;
        char byte;
        int64_t result;
        CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, &happened), PL_OK);
        CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
        CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
        result = pl_op_await(&op);
        CHECK(result == PL_OK || result == PL_ECANCELED);
        CHECK_EQ_INT(happened, result == PL_OK ? PL_POLL_READABLE : 0);
        CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_READABLE, NULL), PL_OK);
        CHECK_EQ_INT(foreign_receive(pair[0], &byte, 1), 1);
    }
    close_pair(pair);
}

TASK_CASE(a_cancel_after_the_end_comes_too_late)
{
    pl_socket pair[2];
    pl_op op = {0};
    int happened = 0;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_WRITABLE, &happened), PL_OK);
    while (pl_op_is_pending(&op))
        CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_ESTATE);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_WRITABLE);
    close_pair(pair);
}

TASK_CASE(a_cancelled_task_does_not_begin_to_wait)
{
    pl_socket pair[2];
    int happened = 0;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_WRITABLE, &happened), PL_ECANCELED);
    CHECK_EQ_INT(happened, 0);
    CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_WRITABLE, &happened), PL_OK);
    close_pair(pair);
}

TASK_CASE(a_time_limit_ends_the_wait)
{
    pl_socket pair[2];
    pl_timeout timeout = {0};
    int happened = 0;
    int64_t result;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_timeout_begin(&timeout, PL_MS(5)), PL_OK);
    result = pl_poll_fd(pair[0], PL_POLL_READABLE, &happened);
    CHECK_EQ_INT(pl_timeout_end(&timeout, result), PL_ETIMEDOUT);
    CHECK_EQ_INT(happened, 0);
    close_pair(pair);
}

static pl_op closing_op;

static void start_poll(void *arg)
{
    fixture *f = arg;
    f->results[0] = pl_poll_fd_start(&closing_op, (pl_socket)f->results[1], PL_POLL_READABLE, NULL);
}

TEST_CASE(closing_the_loop_ends_the_wait)
{
    pl_socket pair[2];
    fixture f;
    REQUIRE(fixture_open(&f, t));
    REQUIRE(foreign_pair(pair));
    f.results[1] = (int64_t)pair[0];
    CHECK_EQ_INT(pl_call_soon(f.loop, start_poll, &f, NULL), PL_OK);
    turn(&f, 2);
    CHECK_EQ_INT(f.results[0], PL_OK);
    CHECK(pl_op_is_pending(&closing_op));
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    CHECK_EQ_INT(pl_op_result(&closing_op), PL_ECANCELED);
    close_pair(pair);
}

TEST_SUITE(poll, TEST_BACKENDS_REAL, CASE(what_is_ready_already_is_told_at_once),
           CASE(what_becomes_readable_ends_the_wait), CASE(what_becomes_writable_ends_the_wait),
           CASE(the_peers_end_is_told_as_readable_and_as_a_hang_up), CASE(a_reset_ends_every_wait),
           CASE(a_connect_has_ended_when_it_is_writable),
           CASE(a_connect_that_is_refused_is_told_as_writable_with_an_error), CASE(urgent_data_is_a_priority_event),
           CASE(many_wait_for_the_same_socket), CASE_ON(ON_UNIX, files_are_always_ready_and_not_waited_for),
           CASE(what_is_no_socket_is_told), CASE(wrong_arguments_are_refused),
           CASE(outside_of_a_loop_there_is_no_waiting), CASE(the_simulation_has_no_foreign_sockets),
           CASE(a_socket_closed_behind_the_wait_does_no_harm), CASE(a_cancel_of_a_wait_in_the_kernel_loses_nothing),
           CASE(a_cancel_of_what_has_happened_already_ends_it_once), CASE(a_cancel_after_the_end_comes_too_late),
           CASE(a_cancelled_task_does_not_begin_to_wait), CASE(a_time_limit_ends_the_wait),
           CASE(closing_the_loop_ends_the_wait))
