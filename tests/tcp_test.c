#include <proloop/proloop.h>

#include <string.h>

#include "harness.h"
#include "loopback.h"

static pl_address here(uint16_t port)
{
    pl_address address = {0};
    CHECK_EQ_INT(pl_address_parse(&address, "127.0.0.1", port), PL_OK);
    return address;
}

TASK_CASE(connecting_where_nobody_listens_is_refused)
{
    pl_stream *stream = NULL;
    CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", silent_port(), NULL), PL_ECONNREFUSED);
    CHECK(stream == NULL);
}

TASK_CASE(the_systems_code_of_a_refusal_is_kept)
{
    pl_stream *stream = NULL;
    pl_op op = {0};
    pl_address address = here(silent_port());
    CHECK_EQ_INT(pl_op_system_error(&op), 0);
    CHECK_EQ_INT(pl_tcp_connect_start(&op, &stream, &address, NULL), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECONNREFUSED);
    CHECK_EQ_INT(pl_op_result(&op), PL_ECONNREFUSED);
    CHECK(pl_op_system_error(&op) != 0 || on_backend("sim"));
    CHECK(stream == NULL);
}

TASK_CASE(a_later_success_forgets_the_systems_code)
{
    pl_listener *listener;
    pl_stream *stream = NULL;
    pl_op op = {0};
    pl_address address = here(silent_port());
    uint16_t port;
    CHECK_EQ_INT(end_of(pl_tcp_connect_start(&op, &stream, &address, NULL), &op), PL_ECONNREFUSED);
    REQUIRE(listen_here(&listener, &port));
    address.port = port;
    CHECK_EQ_INT(end_of(pl_tcp_connect_start(&op, &stream, &address, NULL), &op), PL_OK);
    CHECK_EQ_INT(pl_op_system_error(&op), 0);
    pl_stream_close(stream);
    pl_listener_close(listener);
}

TASK_CASE(a_name_is_connected_to)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    uint16_t port;
    if (skip_without_names())
        return;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_tcp_connect(&client, "localhost", port, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

TASK_CASE(a_name_at_which_nobody_listens_is_refused)
{
    pl_stream *stream = NULL;
    if (skip_without_names())
        return;
    CHECK_EQ_INT(pl_tcp_connect(&stream, "localhost", silent_port(), NULL), PL_ECONNREFUSED);
    CHECK(stream == NULL);
}

TASK_CASE(an_unknown_name_is_told)
{
    pl_stream *stream = NULL;
    int64_t rc;
    if (skip_without_names())
        return;
    rc = pl_tcp_connect(&stream, "does-not-exist.invalid", 80, NULL);
    CHECK(rc == PL_ENAME || rc == PL_ENAMEAGAIN);
    CHECK(stream == NULL);
}

TASK_CASE(ipv6_is_connected_to)
{
    pl_listener *listener = NULL;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    pl_address address = {0};
    int64_t rc = pl_tcp_listen(&listener, "::1", 0, NULL);
    if (rc == PL_EAFNOSUPPORT || rc == PL_EADDRNOTAVAIL) {
        skip_case("no IPv6 here");
        return;
    }
    REQUIRE_EQ_INT(rc, PL_OK);
    CHECK_EQ_INT(pl_listener_address(listener, &address), PL_OK);
    CHECK_EQ_INT(address.family, PL_IPV6);
    CHECK_EQ_INT(pl_tcp_connect(&client, "::1", address.port, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server) {
        pl_address peer = {0};
        CHECK_EQ_INT(pl_stream_peer_address(server, &peer), PL_OK);
        CHECK_EQ_INT(peer.family, PL_IPV6);
        CHECK(connection_works(client, server));
    }
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

TASK_CASE(a_started_connect_gives_its_stream_when_done)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    pl_op op = {0};
    pl_address address;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    address = here(port);
    CHECK_EQ_INT(pl_tcp_connect_start(&op, &client, &address, NULL), PL_OK);
    memset(&address, 0xff, sizeof address); /* it was lent for the call only */
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

TASK_CASE(the_local_address_is_what_was_asked_for)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    pl_address local = {0};
    pl_address seen = {0};
    pl_connect_options options = {.size = sizeof options, .local = &local};
    uint16_t port;
    REQUIRE_EQ_INT(pl_address_parse(&local, "127.0.0.2", 0), PL_OK);
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_tcp_connect(&client, "127.0.0.1", port, &options), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server) {
        CHECK_EQ_INT(pl_stream_peer_address(server, &seen), PL_OK);
        CHECK_MEM(seen.ip, local.ip, 4);
        CHECK_EQ_INT(pl_stream_local_address(client, &seen), PL_OK);
        CHECK_MEM(seen.ip, local.ip, 4);
        CHECK(seen.port != 0);
    }
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

TASK_CASE(a_local_address_that_is_not_ours_is_refused)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address local = {0};
    pl_connect_options options = {.size = sizeof options, .local = &local};
    uint16_t port;
    REQUIRE_EQ_INT(pl_address_parse(&local, "192.0.2.1", 0), PL_OK);
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_tcp_connect(&client, "127.0.0.1", port, &options), PL_EADDRNOTAVAIL);
    CHECK(client == NULL);
    pl_listener_close(listener);
}

TASK_CASE(a_local_address_of_another_family_is_refused)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address local = {0};
    pl_connect_options options = {.size = sizeof options, .local = &local};
    uint16_t port;
    REQUIRE_EQ_INT(pl_address_parse(&local, "::1", 0), PL_OK);
    REQUIRE(listen_here(&listener, &port));
    CHECK(pl_tcp_connect(&client, "127.0.0.1", port, &options) < 0);
    CHECK(client == NULL);
    pl_listener_close(listener);
}

TASK_CASE(bad_arguments_are_refused_and_change_nothing)
{
    const pl_connect_options unsized = {.size = 0};
    const pl_address none = {0};
    pl_address address = here(1);
    pl_stream *stream = NULL;
    pl_op op = {0};
    CHECK_EQ_INT(pl_tcp_connect(NULL, "127.0.0.1", 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect(&stream, NULL, 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", 1, &unsized), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect_start(NULL, &stream, &address, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect_start(&op, NULL, &address, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect_start(&op, &stream, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect_start(&op, &stream, &none, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect_start(&op, &stream, &address, &unsized), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_result(&op), PL_ESTATE);
    CHECK(stream == NULL);
}

TEST_CASE(connecting_needs_a_loop_that_runs)
{
    pl_address address = {0};
    pl_stream *stream = NULL;
    pl_op op = {0};
    int64_t rc;
    (void)t;
    REQUIRE_EQ_INT(pl_address_parse(&address, "127.0.0.1", 1), PL_OK);
    rc = pl_tcp_connect(&stream, "127.0.0.1", 1, NULL);
    CHECK(rc == PL_ENOTASK || rc == PL_ENOLOOP);
    CHECK_EQ_INT(pl_tcp_connect_start(&op, &stream, &address, NULL), PL_ENOLOOP);
    CHECK(!pl_op_is_pending(&op));
    CHECK(stream == NULL);
}

/* The server accepts what comes and sees the end of it. */
static int64_t drain_connections(void *arg)
{
    pl_listener *listener = arg;
    pl_stream *stream = NULL;
    while (pl_accept(listener, &stream) == PL_OK) {
        int64_t rc = read_to_end(stream);
        CHECK(rc == 0 || rc == PL_ECONNRESET || rc == PL_ECONNABORTED);
        pl_stream_close(stream);
    }
    pl_listener_unref(listener); /* the other task may have closed it between two accepts */
    return 0;
}

/* `yields` iterations after its start, `ask` cancels it. Either there is a connection, or nothing is left open: the
 * harness counts handles, and the server would wait for the end of a connection that stayed. */
static void connect_and_cancel(uint16_t port, uint64_t yields)
{
    pl_address address = here(port);
    pl_stream *stream = NULL;
    pl_op op = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_tcp_connect_start(&op, &stream, &address, NULL), PL_OK);
    while (yields-- > 0)
        pl_yield();
    rc = pl_op_finish(&op);
    CHECK(rc == PL_OK || rc == PL_ECANCELED);
    CHECK((rc == PL_OK) == (stream != NULL));
    pl_stream_close(stream);
}

static void connect_within(const char *host, uint16_t port, pl_duration limit)
{
    pl_stream *stream = NULL;
    pl_timeout timeout = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin(&timeout, limit), PL_OK);
    rc = pl_timeout_end(&timeout, pl_tcp_connect(&stream, host, port, NULL));
    CHECK(rc == PL_OK || rc == PL_ETIMEDOUT);
    CHECK((rc == PL_OK) == (stream != NULL));
    pl_stream_close(stream);
}

TASK_CASE(a_cancelled_connect_leaves_nothing_open)
{
    const char *name = on_backend("sim") ? "127.0.0.1" : "localhost";
    dice d = dice_of(11);
    pl_listener *listener;
    pl_group servers = {0};
    uint16_t port;
    int i;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_group_begin(&servers, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&servers, drain_connections, pl_listener_ref(listener), NULL), PL_OK);
    for (i = 0; i < 60; i++) {
        connect_and_cancel(port, throw_below(&d, 3));
        connect_within("127.0.0.1", port, PL_US(throw_below(&d, 200)));
        connect_within(name, port, PL_US(throw_below(&d, 1500)));
    }
    pl_listener_close(listener);
    CHECK_EQ_INT(pl_group_end(&servers, 0), 0);
}

TASK_CASE(a_connect_in_a_scope_that_ran_out_does_not_wait)
{
    pl_stream *stream = NULL;
    pl_timeout timeout = {0};
    pl_listener *listener;
    uint16_t port;
    int64_t rc;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_timeout_begin(&timeout, 0), PL_OK);
    rc = pl_tcp_connect(&stream, "127.0.0.1", port, NULL);
    CHECK(rc == PL_OK || rc == PL_ECANCELED);
    CHECK((rc == PL_OK) == (stream != NULL));
    CHECK_EQ_INT(pl_sleep(PL_SECONDS(100)), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&timeout, rc < 0 ? rc : 0), rc < 0 ? PL_ETIMEDOUT : 0);
    pl_stream_close(stream);
    pl_listener_close(listener);
}

static int64_t connect_once(void *arg)
{
    const uint16_t *port = arg;
    pl_stream *stream = NULL;
    int64_t rc = pl_tcp_connect(&stream, on_backend("sim") ? "127.0.0.1" : "localhost", *port, NULL);
    CHECK((rc == PL_OK) == (stream != NULL));
    pl_stream_close(stream);
    return rc;
}

TASK_CASE(a_task_cancelled_while_it_connects_ends_cancelled_or_connected)
{
    dice d = dice_of(13);
    pl_listener *listener;
    pl_group servers = {0};
    uint16_t port;
    int i;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_group_begin(&servers, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&servers, drain_connections, pl_listener_ref(listener), NULL), PL_OK);
    for (i = 0; i < 60; i++) {
        uint64_t yields = throw_below(&d, 8);
        pl_task *task = NULL;
        int64_t rc;
        CHECK_EQ_INT(pl_spawn(&task, connect_once, &port, NULL), PL_OK);
        while (yields-- > 0)
            pl_yield();
        pl_task_cancel(task);
        rc = pl_task_await(task);
        CHECK(rc == PL_OK || rc == PL_ECANCELED);
        pl_task_unref(task);
    }
    pl_listener_close(listener);
    CHECK_EQ_INT(pl_group_end(&servers, 0), 0);
}

static struct {
    pl_stream *stream;
    pl_op op;
    pl_address address;
} left;

static void connect_last(void *arg)
{
    pl_loop_stop(arg);
    CHECK_EQ_INT(pl_tcp_connect_start(&left.op, &left.stream, &left.address, NULL), PL_OK);
}

static void find_silence(void)
{
    left.address = here(silent_port());
}

/* Begun in the last iteration: nobody looks at the system again before the loop closes. */
TEST_CASE(a_connect_under_way_ends_with_its_loop)
{
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    pl_loop *loop = NULL;
    int64_t rc;
    memset(&left, 0, sizeof left);
    loopback_run(t, find_silence, NULL);
    REQUIRE_EQ_INT(pl_loop_create(&loop, &options), PL_OK);
    CHECK_EQ_INT(pl_call_soon(loop, connect_last, loop, NULL), PL_OK);
    CHECK_EQ_INT(pl_loop_run_forever(loop), PL_OK);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    CHECK(!pl_op_is_pending(&left.op));
    rc = pl_op_result(&left.op);
    CHECK(rc == PL_ECLOSED || rc == PL_ECANCELED || rc == PL_ECONNREFUSED);
    CHECK(left.stream == NULL);
}

TEST_SUITE(tcp, TEST_BACKENDS_ALL,
           CASE(connecting_where_nobody_listens_is_refused),
           CASE(the_systems_code_of_a_refusal_is_kept),
           CASE(a_later_success_forgets_the_systems_code),
           CASE(a_name_is_connected_to),
           CASE(a_name_at_which_nobody_listens_is_refused),
           CASE(an_unknown_name_is_told),
           CASE(ipv6_is_connected_to),
           CASE(a_started_connect_gives_its_stream_when_done),
           CASE(the_local_address_is_what_was_asked_for),
           CASE(a_local_address_that_is_not_ours_is_refused),
           CASE(a_local_address_of_another_family_is_refused),
           CASE(bad_arguments_are_refused_and_change_nothing),
           CASE(connecting_needs_a_loop_that_runs),
           CASE(a_cancelled_connect_leaves_nothing_open),
           CASE(a_connect_in_a_scope_that_ran_out_does_not_wait),
           CASE(a_task_cancelled_while_it_connects_ends_cancelled_or_connected),
           CASE(a_connect_under_way_ends_with_its_loop))
