/* A loop with nothing to do waits in the system, whatever its sockets are ready for: its waits are counted. */
#include <proloop/proloop.h>

#include "foreign.h"
#include "harness.h"
#include "loopback.h"
#include "shims.h"

#define IDLE PL_MS(5)

enum {
    ALL_EVENTS = PL_POLL_READABLE | PL_POLL_WRITABLE | PL_POLL_PRIORITY | PL_POLL_HANGUP,
    FEW = 20 /* waits; a loop that spins makes thousands */
};

/* What has come to a socket, and is left there. */
enum state { BYTES = 1, URGENT = 2, END = 4, FULL = 8, STATES = 16 };

static bool pair_in(pl_socket pair[2], int state)
{
    static const char filling[1 << 16];
    if (!foreign_pair(pair))
        return false;
    if (state & BYTES)
        CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
    if (state & URGENT)
        CHECK(foreign_send_urgent(pair[1]));
    if (state & END)
        foreign_end(pair[1]);
    while ((state & FULL) && foreign_send(pair[0], filling, sizeof filling) > 0)
        continue;
    return true;
}

static void close_pair(pl_socket pair[2])
{
    foreign_close(pair[0]);
    foreign_close(pair[1]);
}

static int64_t waits_of_idle_loop(void)
{
    shims_begin();
    CHECK_EQ_INT(pl_sleep(IDLE), PL_OK);
    int64_t waits = shim_calls_of_loop(SHIM_WAIT);
    shims_end();
    return waits;
}

static void end_wait(pl_op *op)
{
    (void)pl_op_cancel(op);
    int64_t result = pl_op_await(op);
    CHECK(result == PL_ECANCELED || result == PL_OK);
}

/* --- Foreign sockets ---------------------------------------------------------------------------------------------- */

static void check_wait(int state, int events)
{
    pl_socket pair[2];
    pl_op op = {0};
    REQUIRE(pair_in(pair, state));
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], events, NULL), PL_OK);
    CHECK_EQ_INT(pl_sleep(IDLE), PL_OK);
    int64_t waits = pl_op_is_pending(&op) ? waits_of_idle_loop() : 0;
    if (!CHECK(waits <= FEW))
        CHECK_EQ_INT(state * 1000 + events, 0); /* which one */
    end_wait(&op);
    close_pair(pair);
}

TASK_CASE(a_wait_that_nothing_ends_does_not_keep_the_loop_busy)
{
    for (int state = 0; state < STATES; state++)
        for (int events = 1; events <= ALL_EVENTS; events++)
            check_wait(state, events);
}

static void nothing_called(pl_poller *poller, int events, void *arg)
{
    int *calls = arg;
    (void)poller;
    (void)events;
    ++*calls;
}

/* It has been told once, and rests; its socket stays as it is. */
TASK_CASE(a_poller_that_rests_does_not_keep_the_loop_busy)
{
    for (int state = 0; state < STATES; state++) {
        pl_socket pair[2];
        pl_poller poller = {0};
        int calls = 0;
        REQUIRE(pair_in(pair, state));
        CHECK_EQ_INT(pl_poller_start(&poller, NULL, pair[0], ALL_EVENTS | PL_POLL_ONCE, nothing_called, &calls), PL_OK);
        CHECK_EQ_INT(pl_sleep(IDLE), PL_OK);
        CHECK(waits_of_idle_loop() <= FEW);
        CHECK_EQ_INT(pl_poller_change(&poller, 0), PL_OK);
        CHECK(waits_of_idle_loop() <= FEW);
        CHECK(calls <= 1);
        CHECK_EQ_INT(pl_poller_stop(&poller), 1);
        close_pair(pair);
    }
}

/* What does not end a wait may not hide what does. */
TASK_CASE(the_end_behind_unread_bytes_is_a_hang_up)
{
    pl_socket pair[2];
    pl_op op = {0};
    int happened = 0;
    if (on_backend("iocp")) {
        skip_case("Wine looks for the end only where there are no bytes");
        return;
    }
    REQUIRE(pair_in(pair, BYTES));
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_HANGUP, &happened), PL_OK);
    CHECK_EQ_INT(pl_sleep(IDLE), PL_OK);
    CHECK(pl_op_is_pending(&op));
    foreign_end(pair[1]);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(happened, PL_POLL_HANGUP);
    close_pair(pair);
}

TASK_CASE(urgent_data_behind_the_peers_bytes_is_a_priority_event)
{
    pl_socket pair[2];
    pl_op op = {0};
    int happened = 0;
    REQUIRE(pair_in(pair, BYTES));
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_PRIORITY, &happened), PL_OK);
    CHECK_EQ_INT(pl_sleep(IDLE), PL_OK);
    CHECK(pl_op_is_pending(&op));
    CHECK(foreign_send_urgent(pair[1]));
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK(happened & PL_POLL_PRIORITY);
    close_pair(pair);
}

TASK_CASE(a_reset_ends_the_wait_for_each_event)
{
    for (int events = 1; events <= ALL_EVENTS; events++) {
        pl_socket pair[2];
        pl_op op = {0};
        int happened = 0;
        REQUIRE(pair_in(pair, FULL));
        CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], events, &happened), PL_OK);
        CHECK_EQ_INT(pl_sleep(0), PL_OK);
        foreign_reset(pair[1]);
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        CHECK(happened & (PL_POLL_HANGUP | PL_POLL_ERROR));
        foreign_close(pair[0]);
    }
}

/* --- Our own ------------------------------------------------------------------------------------------------------ */

TASK_CASE(a_stream_that_nobody_reads_does_not_keep_the_loop_busy)
{
    for (int ending = 0; ending < 3; ending++) {
        pl_stream *client, *server;
        char data[8];
        REQUIRE(connect_pair(&client, &server));
        CHECK_EQ_INT(pl_write(client, "data", 4), PL_OK);
        CHECK_EQ_INT(pl_read(server, data, 2), 2);
        if (ending > 0)
            CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
        if (ending > 1)
            pl_stream_abort(client);
        CHECK_EQ_INT(pl_sleep(IDLE), PL_OK);
        CHECK(waits_of_idle_loop() <= FEW);
        if (ending < 2)
            pl_stream_close(client);
        pl_stream_close(server);
    }
}

TASK_CASE(a_stream_that_has_ended_does_not_keep_the_loop_busy)
{
    pl_stream *client, *server;
    REQUIRE(connect_pair(&client, &server));
    pl_stream_close(client);
    CHECK_EQ_INT(read_to_end(server), 0);
    CHECK(waits_of_idle_loop() <= FEW);
    CHECK_EQ_INT(read_to_end(server), 0);
    CHECK(waits_of_idle_loop() <= FEW);
    pl_stream_close(server);
}

TEST_SUITE(shim_idle, TEST_BACKENDS_REAL, CASE(a_wait_that_nothing_ends_does_not_keep_the_loop_busy),
           CASE(a_poller_that_rests_does_not_keep_the_loop_busy), CASE(the_end_behind_unread_bytes_is_a_hang_up),
           CASE(urgent_data_behind_the_peers_bytes_is_a_priority_event), CASE(a_reset_ends_the_wait_for_each_event),
           CASE(a_stream_that_nobody_reads_does_not_keep_the_loop_busy),
           CASE(a_stream_that_has_ended_does_not_keep_the_loop_busy))
