/* Pipes over a system that refuses, is busy, or does less than it was asked for. */
#include <proloop/proloop.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "loopback.h"
#include "process.h"
#include "shims_pipe.h"

#define SHIM_CASE(name)                                                                                                \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        pipe_shims_begin();                                                                                            \
        loopback_run(t, name##_body, NULL);                                                                            \
        CHECK_STR(pipe_shims_wrong(), "");                                                                             \
        pipe_shims_end();                                                                                              \
    }                                                                                                                  \
    static void name##_body(void)

enum { NAME_ROOM = 80 };

static pl_listener *listen_with(char name[NAME_ROOM], const pl_pipe_listen_options *options)
{
    static int last;
    pl_listener *listener = NULL;
    snprintf(name, NAME_ROOM, "proloop-shim-%llu-%d", (unsigned long long)process_id(), ++last);
    CHECK_EQ_INT(pl_pipe_listen(&listener, name, options), PL_OK);
    return listener;
}

/* One connection, made and used. */
static void use_listener(pl_listener *listener, const char *name)
{
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    CHECK_EQ_INT(pl_pipe_connect(&client, name, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
}

SHIM_CASE(without_handles_nothing_is_made_and_nothing_leaks)
{
    pl_stream *reader = NULL;
    pl_stream *writer = NULL;
    pl_listener *listener = NULL;
    char name[NAME_ROOM];
    REQUIRE(pipe_shim_can(PIPE_CALL_MAKE, PIPE_NO_HANDLES));
    pipe_shims_fail(PIPE_CALL_MAKE, PIPE_NO_HANDLES, 1);
    CHECK_EQ_INT(pl_pipe_pair(&reader, &writer), PL_EMFILE);
    CHECK(reader == NULL && writer == NULL);
    CHECK_EQ_INT(pl_pipe_pair(&reader, &writer), PL_OK);
    CHECK(flow_across(writer, reader, 1000));
    pl_stream_close(reader);
    pl_stream_close(writer);
    pipe_shims_fail(PIPE_CALL_MAKE, PIPE_NO_HANDLES, 1);
    CHECK_EQ_INT(pl_pipe_listen(&listener, "proloop-shim-none", NULL), PL_EMFILE);
    CHECK(listener == NULL);
    listener = listen_with(name, NULL);
    REQUIRE(listener != NULL);
    use_listener(listener, name);
    if (!on_backend("iocp")) { /* there a client needs no call of this kind */
        pipe_shims_fail(PIPE_CALL_MAKE, PIPE_NO_HANDLES, 1);
        CHECK_EQ_INT(pl_pipe_connect(&reader, name, NULL), PL_EMFILE);
        CHECK(reader == NULL);
        use_listener(listener, name);
    }
    pl_listener_close(listener);
}

/* On Windows an accept needs a new instance. It is reported, and goes on when there are handles again. */
SHIM_CASE(a_listener_without_handles_pauses_and_goes_on)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .emfile_pause = PL_MS(5)};
    char name[NAME_ROOM];
    pl_listener *listener;
    pl_stream *client = NULL;
    int i;
    listener = listen_with(name, &options);
    REQUIRE(listener != NULL);
    expect_reports(1, 10);
    pipe_shims_fail(PIPE_CALL_MAKE, PIPE_NO_HANDLES, 10);
    for (i = 0; i < 12; i++)
        use_listener(listener, name);
    CHECK_EQ_INT(pipe_shims_left(PIPE_CALL_MAKE), 0);
    CHECK(reports_seen() >= 1);
    CHECK(pipe_shims_calls(PIPE_CALL_MAKE) < 60); /* it does not spin */
    pl_stream_close(client);
    pl_listener_close(listener);
}

/* The system's refusal of a first instance. */
SHIM_CASE(a_name_that_somebody_has_is_in_use)
{
    char name[NAME_ROOM];
    pl_listener *listener;
    pl_listener *other = NULL;
    REQUIRE(pipe_shim_can(PIPE_CALL_MAKE, PIPE_TAKEN));
    listener = listen_with(name, NULL);
    REQUIRE(listener != NULL);
    pipe_shims_fail(PIPE_CALL_MAKE, PIPE_TAKEN, 1);
    CHECK_EQ_INT(pl_pipe_listen(&other, name, NULL), PL_EADDRINUSE);
    CHECK(other == NULL);
    pipe_shims_fail(PIPE_CALL_MAKE, PIPE_TAKEN, 1);
    CHECK_EQ_INT(pl_pipe_listen(&other, "proloop-shim-nobody", NULL), PL_EACCES); /* there is none: it is a right */
    CHECK(other == NULL);
    use_listener(listener, name);
    pl_listener_close(listener);
}

SHIM_CASE(a_pair_whose_name_is_taken_gets_another)
{
    pl_stream *reader = NULL;
    pl_stream *writer = NULL;
    REQUIRE(pipe_shim_can(PIPE_CALL_MAKE, PIPE_TAKEN));
    pipe_shims_fail(PIPE_CALL_MAKE, PIPE_TAKEN, 3);
    CHECK_EQ_INT(pl_pipe_pair(&reader, &writer), PL_OK);
    CHECK_EQ_INT(pipe_shims_left(PIPE_CALL_MAKE), 0);
    CHECK(flow_across(writer, reader, 10));
    pl_stream_close(reader);
    pl_stream_close(writer);
    pipe_shims_fail(PIPE_CALL_MAKE, PIPE_TAKEN, 1000);
    CHECK_EQ_INT(pl_pipe_pair(&reader, &writer), PL_EACCES);
    CHECK(reader == NULL && writer == NULL);
    CHECK(pipe_shims_left(PIPE_CALL_MAKE) > 900);
}

SHIM_CASE(clients_that_came_and_left_are_passed_over)
{
    char name[NAME_ROOM];
    pl_listener *listener;
    REQUIRE(pipe_shim_can(PIPE_CALL_ACCEPT, PIPE_CLIENT_LEFT));
    pipe_shims_fail(PIPE_CALL_ACCEPT, PIPE_CLIENT_LEFT, 20);
    listener = listen_with(name, NULL);
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pipe_shims_left(PIPE_CALL_ACCEPT), 0);
    use_listener(listener, name);
    pipe_shims_fail(PIPE_CALL_ACCEPT, PIPE_CLIENT_LEFT, 3);
    use_listener(listener, name);
    use_listener(listener, name);
    CHECK_EQ_INT(pipe_shims_left(PIPE_CALL_ACCEPT), 0);
    pl_listener_close(listener);
}

/* On Windows a listener connects to its first instance, to guard the name. Somebody else may be faster. */
SHIM_CASE(a_guard_that_somebody_else_took_is_made_anew)
{
    char name[NAME_ROOM];
    pl_listener *listener;
    pl_listener *other = NULL;
    pipe_shims_fail(PIPE_CALL_OPEN, PIPE_BUSY, 3);
    listener = listen_with(name, NULL);
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pipe_shims_left(PIPE_CALL_OPEN), 0);
    use_listener(listener, name);
    pl_listener_close(listener);
    pipe_shims_fail(PIPE_CALL_OPEN, PIPE_BUSY, 1000);
    CHECK_EQ_INT(pl_pipe_listen(&other, "proloop-shim-guard", NULL), PL_EBUSY);
    CHECK(other == NULL && pipe_shims_left(PIPE_CALL_OPEN) > 900);
}

/* The delays are 1, 2, 4 ... ms, and never more than 100. */
SHIM_CASE(a_busy_server_is_tried_again_with_growing_delays)
{
    char name[NAME_ROOM];
    pl_listener *listener;
    pl_duration begun;
    REQUIRE(pipe_shim_can(PIPE_CALL_OPEN, PIPE_BUSY));
    listener = listen_with(name, NULL);
    REQUIRE(listener != NULL);
    begun = pl_loop_time(pl_loop_running());
    pipe_shims_fail(PIPE_CALL_OPEN, PIPE_BUSY, 5);
    use_listener(listener, name);
    CHECK_EQ_INT(pipe_shims_left(PIPE_CALL_OPEN), 0);
    CHECK(pl_loop_time(pl_loop_running()) - begun >= PL_MS(1 + 2 + 4 + 8 + 16));
    pl_listener_close(listener);
}

SHIM_CASE(a_connect_that_tries_again_and_again_is_cancelled_at_any_time)
{
    char name[NAME_ROOM];
    pl_listener *listener;
    int i;
    REQUIRE(pipe_shim_can(PIPE_CALL_OPEN, PIPE_BUSY));
    listener = listen_with(name, NULL);
    REQUIRE(listener != NULL);
    pipe_shims_fail(PIPE_CALL_OPEN, PIPE_BUSY, 1000000);
    for (i = 0; i < 40; i++) {
        pl_stream *stream = NULL;
        pl_op op = {0};
        pl_timeout timeout = {0};
        int yields = i;
        CHECK_EQ_INT(pl_pipe_connect_start(&op, &stream, name, NULL), PL_OK);
        while (yields-- > 0)
            CHECK_EQ_INT(pl_yield(), PL_OK);
        CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
        CHECK_EQ_INT(pl_timeout_begin(&timeout, PL_US(i * 100)), PL_OK);
        CHECK_EQ_INT(pl_timeout_end(&timeout, pl_pipe_connect(&stream, name, NULL)), PL_ETIMEDOUT);
        CHECK(stream == NULL);
    }
    pipe_shims_fail(PIPE_CALL_OPEN, PIPE_AS_IS, 0);
    use_listener(listener, name);
    pl_listener_close(listener);
}

SHIM_CASE(an_interrupted_connect_is_made_again)
{
    char name[NAME_ROOM];
    pl_listener *listener;
    REQUIRE(pipe_shim_can(PIPE_CALL_OPEN, PIPE_INTERRUPTED));
    listener = listen_with(name, NULL);
    REQUIRE(listener != NULL);
    pipe_shims_fail(PIPE_CALL_OPEN, PIPE_INTERRUPTED, 3);
    use_listener(listener, name);
    CHECK_EQ_INT(pipe_shims_left(PIPE_CALL_OPEN), 0);
    pl_listener_close(listener);
}

static void check_transfer(pipe_call call, pipe_fault fault, int times, bool borrow)
{
    enum { SIZE = 200000 };
    pl_stream *reader = NULL;
    pl_stream *writer = NULL;
    flow flows[2];
    pl_group tasks = {0};
    if (!pipe_shim_can(call, fault))
        return;
    REQUIRE_EQ_INT(pl_pipe_pair(&reader, &writer), PL_OK);
    flows[0] = (flow){.stream = writer, .size = SIZE, .shut = true};
    flows[1] = (flow){.stream = reader, .size = -1, .borrow = borrow};
    pipe_shims_fail(call, fault, times);
    CHECK_EQ_INT(pl_group_begin(&tasks, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&tasks, flow_send, &flows[0], NULL), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&tasks, flow_receive, &flows[1], NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&tasks, 0), 0);
    CHECK_EQ_INT(flows[0].result, 0);
    CHECK_EQ_INT(flows[1].result, 0);
    CHECK_EQ_INT(flows[1].done, SIZE);
    CHECK(!flows[1].broken);
    CHECK_EQ_INT(pipe_shims_left(call), 0);
    pl_stream_close(reader);
    pl_stream_close(writer);
}

SHIM_CASE(a_transfer_with_faults_is_exact)
{
    static const pipe_fault faults[] = {PIPE_SHORT, PIPE_INTERRUPTED, PIPE_NOT_READY};
    int i;
    for (i = 0; i < 3; i++) {
        check_transfer(PIPE_CALL_READ, faults[i], 3, false);
        check_transfer(PIPE_CALL_READ, faults[i], 3, true);
        check_transfer(PIPE_CALL_WRITE, faults[i], 3, false);
    }
}

/* A foreign server says good-bye by DisconnectNamedPipe: for a reader that is the end, for a writer nobody is there. */
SHIM_CASE(a_server_that_disconnects_has_ended)
{
    pl_stream *reader = NULL;
    pl_stream *writer = NULL;
    const void *lent;
    REQUIRE(pipe_shim_can(PIPE_CALL_LOOK, PIPE_DISCONNECTED));
    REQUIRE_EQ_INT(pl_pipe_pair(&reader, &writer), PL_OK);
    pipe_shims_fail(PIPE_CALL_LOOK, PIPE_DISCONNECTED, 1);
    CHECK_EQ_INT(pl_read_borrow(reader, &lent), 0);
    pipe_shims_fail(PIPE_CALL_WRITE, PIPE_DISCONNECTED, 1);
    CHECK_EQ_INT(pl_write(writer, "x", 1), PL_ECONNRESET);
    pl_stream_close(reader);
    pl_stream_close(writer);
}

TEST_SUITE(shim_pipe, TEST_BACKENDS_REAL,
           CASE(without_handles_nothing_is_made_and_nothing_leaks),
           CASE_ON(ON_WINDOWS, a_listener_without_handles_pauses_and_goes_on),
           CASE_ON(ON_WINDOWS, a_name_that_somebody_has_is_in_use),
           CASE_ON(ON_WINDOWS, a_pair_whose_name_is_taken_gets_another),
           CASE_ON(ON_WINDOWS, clients_that_came_and_left_are_passed_over),
           CASE_ON(ON_WINDOWS, a_guard_that_somebody_else_took_is_made_anew),
           CASE(a_busy_server_is_tried_again_with_growing_delays),
           CASE(a_connect_that_tries_again_and_again_is_cancelled_at_any_time),
           CASE_ON(ON_UNIX, an_interrupted_connect_is_made_again),
           CASE(a_transfer_with_faults_is_exact),
           CASE_ON(ON_WINDOWS, a_server_that_disconnects_has_ended))
