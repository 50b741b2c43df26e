/* The standard streams of Unix when the system refuses. That nothing is left open the harness sees. */
#include <proloop/proloop.h>

#include <errno.h>
#include <string.h>

#include "harness.h"
#include "loopback.h"
#include "shims_descriptor.h"
#include "standard_streams.h"

enum { INPUT = 0, ERROR_OUTPUT = 2 };

/* Opens standard input while a call fails. */
static int open_without(descriptor_call call, int error, enum standard_kind kind)
{
    pl_stream *stream = (pl_stream *)&stream;
    int opened;
    if (!CHECK(standard_begin(INPUT, kind, NULL, 0)))
        return PL_EUNKNOWN;
    descriptor_begin();
    descriptor_fail(call, 1, error);
    opened = pl_stdin(&stream);
    descriptor_end();
    CHECK((opened < 0) == (stream == NULL));
    pl_stream_close(stream);
    standard_end();
    return opened;
}

TASK_CASE(a_stream_that_cannot_be_made_is_an_error_and_leaves_nothing)
{
    CHECK_EQ_INT(open_without(CALL_FSTAT, EIO, STANDARD_PIPE), PL_EIO);
    CHECK_EQ_INT(open_without(CALL_PIPE2, EMFILE, STANDARD_NOTHING), PL_EMFILE);
    CHECK_EQ_INT(open_without(CALL_FCNTL, EMFILE, STANDARD_NOTHING), PL_EMFILE);
    CHECK_EQ_INT(open_without(CALL_FCNTL, EMFILE, STANDARD_SOCKET), PL_EMFILE);
}

TASK_CASE(a_stream_that_cannot_be_registered_is_an_error_and_leaves_nothing)
{
    CHECK_EQ_INT(open_without(CALL_EPOLL_CTL, ENOSPC, STANDARD_PIPE), PL_ENOSPC);
    CHECK_EQ_INT(open_without(CALL_EPOLL_CTL, ENOSPC, STANDARD_TERMINAL), PL_ENOSPC);
}

/* Of what a thread serves nothing needs an edge, nor a description of its own. */
TASK_CASE(what_cannot_be_opened_again_is_served_by_a_thread)
{
    static const enum standard_kind kinds[] = {STANDARD_PIPE, STANDARD_TERMINAL};
    for (int i = 0; i < 2; i++) {
        pl_stream *stream = NULL;
        char data[8] = "";
        REQUIRE(standard_begin(INPUT, kinds[i], NULL, 0));
        descriptor_begin();
        descriptor_fail(CALL_OPEN, 1, EACCES);
        CHECK(pl_stdin(&stream) > 0);
        CHECK(standard_feed("line\n", 5));
        CHECK_EQ_INT(read_whole(stream, data, 5), 5);
        CHECK_STR(data, "line\n");
        CHECK_EQ_INT(descriptor_calls(CALL_READ), 1); /* in another thread */
        descriptor_end();
        pl_stream_close(stream);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        standard_end();
    }
}

/* A child that another thread makes meanwhile would keep it. */
TASK_CASE(no_pipe_of_a_stream_is_inherited)
{
    pl_stream *stream = NULL;
    REQUIRE(standard_begin(INPUT, STANDARD_NOTHING, NULL, 0));
    descriptor_begin();
    CHECK_EQ_INT(pl_stdin(&stream), PL_CONSOLE_OTHER);
    CHECK_EQ_INT(descriptor_calls(CALL_PIPE), 0);
    CHECK_EQ_INT(descriptor_calls(CALL_PIPE2), 1);
    descriptor_end();
    pl_stream_close(stream);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    standard_end();
}

TEST_CASE(no_pipe_of_a_loop_is_inherited)
{
    pl_loop *loop = NULL;
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    descriptor_begin();
    CHECK_EQ_INT(pl_loop_create(&loop, &options), PL_OK);
    CHECK_EQ_INT(descriptor_calls(CALL_PIPE), 0);
    descriptor_end();
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
}

/* --- Calls of the thread ------------------------------------------------------------------------------------------ */

static pl_stream *open_master(int which)
{
    pl_stream *stream = NULL;
    if (!CHECK(standard_begin(which, STANDARD_MASTER, NULL, 0)))
        return NULL;
    CHECK_EQ_INT(which == INPUT ? pl_stdin(&stream) : pl_stderr(&stream), PL_CONSOLE_TERMINAL);
    descriptor_begin();
    return stream;
}

static void close_master(pl_stream *stream)
{
    descriptor_end();
    pl_stream_close(stream);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    standard_end();
}

TASK_CASE(a_call_that_was_interrupted_or_had_nothing_to_do_is_made_again)
{
    static const struct {
        descriptor_call call;
        int error;
    } faults[] = {{CALL_POLL, EINTR}, {CALL_READ, EINTR}, {CALL_READ, EAGAIN}};
    for (int i = 0; i < 3; i++) {
        pl_stream *stream = open_master(INPUT);
        char data[8] = "";
        REQUIRE(stream != NULL);
        descriptor_fail(faults[i].call, 1, faults[i].error);
        CHECK(standard_feed("x", 1));
        CHECK_EQ_INT(pl_read(stream, data, sizeof data), 1);
        CHECK_STR(data, "x");
        CHECK_EQ_INT(descriptor_calls(faults[i].call), 2);
        close_master(stream);
    }
}

TASK_CASE(an_error_of_a_read_is_told_and_takes_nothing)
{
    static const struct {
        descriptor_call call;
        int error, told;
    } faults[] = {{CALL_POLL, ENOMEM, PL_ENOMEM}, {CALL_READ, EIO, PL_EIO}};
    for (int i = 0; i < 2; i++) {
        pl_stream *stream = open_master(INPUT);
        pl_op op = {{{0}}};
        char data[8] = "";
        REQUIRE(stream != NULL);
        descriptor_fail(faults[i].call, 1, faults[i].error);
        CHECK(standard_feed("x", 1));
        CHECK_EQ_INT(end_of(pl_read_start(&op, stream, data, sizeof data), &op), faults[i].told);
        CHECK_EQ_INT(pl_op_system_error(&op), faults[i].error);
        CHECK_EQ_INT(pl_read(stream, data, sizeof data), 1);
        CHECK_STR(data, "x");
        close_master(stream);
    }
}

TASK_CASE(a_write_that_was_interrupted_is_made_again)
{
    static const int errors[] = {EINTR, EAGAIN};
    for (int i = 0; i < 2; i++) {
        pl_stream *stream = open_master(ERROR_OUTPUT);
        char data[8] = "";
        REQUIRE(stream != NULL);
        descriptor_fail(CALL_WRITE, 1, errors[i]);
        CHECK_EQ_INT(pl_write(stream, "xyz", 3), PL_OK);
        CHECK_EQ_INT(standard_drain(data, 3), 3);
        CHECK_STR(data, "xyz");
        close_master(stream);
    }
}

TASK_CASE(an_error_of_a_write_is_told)
{
    static const int faults[][2] = {{ENOSPC, PL_ENOSPC}, {EIO, PL_EIO}, {EPIPE, PL_ECONNRESET}};
    for (int i = 0; i < 3; i++) {
        pl_stream *stream = open_master(ERROR_OUTPUT);
        pl_op op = {{{0}}};
        REQUIRE(stream != NULL);
        descriptor_fail(CALL_WRITE, 1, faults[i][0]);
        CHECK_EQ_INT(end_of(pl_write_start(&op, stream, "xyz", 3), &op), faults[i][1]);
        CHECK_EQ_INT(pl_op_system_error(&op), faults[i][0]);
        CHECK_EQ_INT(pl_stream_bytes_written(stream), 0);
        close_master(stream);
    }
}

/* The thread waits in the system. */
TASK_CASE(a_cancel_that_was_interrupted_is_made_again)
{
    pl_stream *stream = open_master(INPUT);
    pl_op op = {{{0}}};
    char byte;
    REQUIRE(stream != NULL);
    CHECK_EQ_INT(pl_read_start(&op, stream, &byte, 1), PL_OK);
    while (descriptor_calls(CALL_POLL) == 0)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    descriptor_fail(CALL_WAKE, 1, EINTR);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK_EQ_INT(descriptor_calls(CALL_WAKE), 2);
    close_master(stream);
}

TEST_SUITE(shim_descriptor, TEST_BACKENDS_REAL, CASE(a_stream_that_cannot_be_made_is_an_error_and_leaves_nothing),
           CASE_ON("epoll", a_stream_that_cannot_be_registered_is_an_error_and_leaves_nothing),
           CASE(what_cannot_be_opened_again_is_served_by_a_thread), CASE(no_pipe_of_a_stream_is_inherited),
           CASE(no_pipe_of_a_loop_is_inherited),
           CASE(a_call_that_was_interrupted_or_had_nothing_to_do_is_made_again),
           CASE(an_error_of_a_read_is_told_and_takes_nothing), CASE(a_write_that_was_interrupted_is_made_again),
           CASE(an_error_of_a_write_is_told), CASE(a_cancel_that_was_interrupted_is_made_again))
