/* Accepting, when the process has no handle left, and when peers leave. */
#include <proloop/proloop.h>

#include <string.h>

#include "atomic.h"
#include "harness.h"
#include "loopback.h"
#include "shims.h"

static struct {
    shim_fault fault;
    bool failing;
    int left;     /* how many more times it fails */
    int64_t seen; /* the error of the last report */
    int reports;
} trouble;

static shim_fault fail_accepts(shim kind, size_t *limit)
{
    (void)limit;
    if (kind != SHIM_ACCEPT || !trouble.failing || trouble.left == 0)
        return SHIM_AS_IS;
    trouble.left--;
    return trouble.fault;
}

static void note_report(pl_loop *loop, const pl_report *report, void *arg)
{
    (void)loop;
    (void)arg;
    trouble.reports++;
    trouble.seen = report->error;
}

#define SHIM_CASE(name)                                                                                                \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        memset(&trouble, 0, sizeof trouble);                                                                           \
        shims_begin();                                                                                                 \
        shims_set_faults(fail_accepts);                                                                                \
        loopback_run(t, name##_body, NULL);                                                                            \
        shims_end();                                                                                                   \
    }                                                                                                                  \
    static void name##_body(void)

static pl_listener *listen_with(pl_duration pause, uint16_t *port)
{
    const pl_listen_options options = {.size = sizeof options, .emfile_pause = pause};
    pl_listener *listener = NULL;
    pl_address address = {0};
    pl_loop_set_exception_handler(pl_loop_running(), note_report, NULL);
    CHECK_EQ_INT(pl_tcp_listen(&listener, "127.0.0.1", 0, &options), PL_OK);
    if (listener)
        CHECK_EQ_INT(pl_listener_address(listener, &address), PL_OK);
    *port = address.port;
    return listener;
}

/* A client needs a handle, too: it is let through. */
static pl_stream *connect_to(uint16_t port)
{
    pl_address address = {0};
    pl_stream *stream = NULL;
    pl_op op = {0};
    bool failing = trouble.failing;
    int started;
    CHECK_EQ_INT(pl_address_parse(&address, "127.0.0.1", port), PL_OK);
    trouble.failing = false;
    started = pl_tcp_connect_start(&op, &stream, &address, NULL);
    trouble.failing = failing;
    CHECK_EQ_INT(end_of(started, &op), PL_OK);
    return stream;
}

/* So many connections, each accepted and used. */
static void serve_some(pl_listener *listener, uint16_t port, int count)
{
    while (count-- > 0) {
        pl_stream *client = connect_to(port);
        pl_stream *server = NULL;
        CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
        if (client && server)
            CHECK(connection_works(client, server));
        pl_stream_close(client);
        pl_stream_close(server);
    }
}

static void check_pause(shim_fault fault, int64_t error)
{
    const pl_duration pause = PL_MS(30);
    pl_stream *clients[12] = {NULL};
    pl_stream *server = NULL;
    pl_duration begun;
    pl_listener *listener;
    uint16_t port;
    int64_t calls;
    int i;
    listener = listen_with(pause, &port);
    REQUIRE(listener != NULL);
    serve_some(listener, port, 2);
    trouble.fault = fault;
    trouble.failing = true;
    trouble.left = 1;
    begun = pl_loop_time(pl_loop_running());
    /* On Windows the accepts under way have their handles: it takes as many connections to need a new one. */
    for (i = 0; i < 12; i++)
        clients[i] = connect_to(port);
    for (i = 0; i < 12; i++) {
        CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
        pl_stream_close(server);
        server = NULL;
    }
    CHECK_EQ_INT(trouble.left, 0);
    CHECK_EQ_INT(trouble.reports, 1);
    CHECK_EQ_INT(trouble.seen, error);
    CHECK(on_backend("iocp") || pl_loop_time(pl_loop_running()) - begun >= pause);
    for (i = 0; i < 12; i++)
        pl_stream_close(clients[i]);
    serve_some(listener, port, 3);
    CHECK_EQ_INT(trouble.reports, 1);
    calls = shim_calls(SHIM_ACCEPT);
    CHECK(calls < 200); /* it did not spin */
    pl_listener_close(listener);
}

SHIM_CASE(without_handles_accepting_pauses_is_reported_once_and_goes_on)
{
    check_pause(SHIM_NO_HANDLES, PL_EMFILE);
}

SHIM_CASE(without_buffers_accepting_pauses_is_reported_once_and_goes_on)
{
    check_pause(SHIM_NO_MEMORY, PL_ENOBUFS);
}

/* One report for each pause, and no call in between. Each of the accepts under way fails once before a pause. */
SHIM_CASE(as_long_as_there_are_no_handles_it_pauses_again)
{
    pl_stream *client;
    pl_stream *server = NULL;
    pl_listener *listener;
    uint16_t port;
    int64_t calls;
    if (on_backend("iocp"))
        return; /* there the failing calls are those of the next connections */
    listener = listen_with(PL_MS(5), &port);
    REQUIRE(listener != NULL);
    trouble.fault = SHIM_NO_HANDLES;
    trouble.failing = true;
    trouble.left = 20;
    calls = shim_calls(SHIM_ACCEPT);
    client = connect_to(port);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    CHECK_EQ_INT(trouble.left, 0);
    CHECK(trouble.reports >= 2);
    CHECK(shim_calls(SHIM_ACCEPT) - calls < 20 + 20);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

SHIM_CASE(a_listener_is_closed_while_it_pauses)
{
    pl_stream *clients[12];
    pl_stream *server = NULL;
    pl_listener *listener;
    uint16_t port;
    pl_op op = {0};
    int i;
    listener = listen_with(PL_SECONDS(3600), &port);
    REQUIRE(listener != NULL);
    trouble.fault = SHIM_NO_HANDLES;
    trouble.failing = true;
    trouble.left = 100;
    for (i = 0; i < 12; i++)
        clients[i] = connect_to(port);
    while (trouble.reports == 0 && pl_sleep(PL_MS(1)) == PL_OK) {
        CHECK_EQ_INT(pl_accept_start(&op, listener, &server), PL_OK);
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
        if (pl_op_finish(&op) == PL_OK)
            pl_stream_close(server);
    }
    CHECK(trouble.reports > 0);
    memset(&op, 0, sizeof op);
    for (i = 0; i < 12; i++) { /* what it held already */
        CHECK_EQ_INT(pl_accept_start(&op, listener, &server), PL_OK);
        if (pl_op_is_pending(&op))
            break;
        pl_stream_close(server);
    }
    pl_listener_close(listener);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
    for (i = 0; i < 12; i++)
        pl_stream_close(clients[i]);
}

SHIM_CASE(peers_that_left_are_passed_over_in_silence)
{
    pl_listener *listener;
    uint16_t port;
    if (on_backend("iocp"))
        return; /* AcceptEx tells by its packet: listener.a_client_that_left_early_is_survived */
    listener = listen_with(0, &port);
    REQUIRE(listener != NULL);
    trouble.fault = SHIM_PEER_LEFT;
    trouble.failing = true;
    trouble.left = 5;
    serve_some(listener, port, 3);
    CHECK_EQ_INT(trouble.left, 0);
    trouble.left = 500; /* many at once */
    serve_some(listener, port, 3);
    CHECK(trouble.left == 0);
    CHECK_EQ_INT(trouble.reports, 0);
    pl_listener_close(listener);
}

TEST_SUITE(shim_listener, TEST_BACKENDS_REAL,
           CASE(without_handles_accepting_pauses_is_reported_once_and_goes_on),
           CASE(without_buffers_accepting_pauses_is_reported_once_and_goes_on),
           CASE(as_long_as_there_are_no_handles_it_pauses_again),
           CASE(a_listener_is_closed_while_it_pauses),
           CASE(peers_that_left_are_passed_over_in_silence))
