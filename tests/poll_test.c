/* Waiting for sockets and descriptors that are not proloop's, once. */
#include <proloop/proloop.h>

#include <string.h>

#include "foreign.h"
#include "harness.h"
#include "loopback.h"

static void close_pair(pl_socket pair[2])
{
    foreign_close(pair[0]);
    foreign_close(pair[1]);
}

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

TEST_SUITE(poll, TEST_BACKENDS_REAL,
           CASE(what_is_ready_already_is_told_at_once),
           CASE(what_becomes_readable_ends_the_wait))
