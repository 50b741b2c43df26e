#include <proloop/proloop.h>

#include <string.h>

#include "harness.h"
#include "loopback.h"

static uint16_t local_port(pl_stream *stream)
{
    pl_address address = {0};
    CHECK_EQ_INT(pl_stream_local_address(stream, &address), PL_OK);
    return address.port;
}

static uint16_t peer_port(pl_stream *stream)
{
    pl_address address = {0};
    CHECK_EQ_INT(pl_stream_peer_address(stream, &address), PL_OK);
    return address.port;
}

static uint16_t listener_port(pl_listener *listener)
{
    pl_address address = {0};
    CHECK_EQ_INT(pl_listener_address(listener, &address), PL_OK);
    return address.port;
}

/* Listens at `host` and serves one connection to `target`. */
static void check_served(const char *host, const char *target, const pl_listen_options *options)
{
    pl_listener *listener = NULL;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    REQUIRE_EQ_INT(pl_tcp_listen(&listener, host, 0, options), PL_OK);
    if (CHECK_EQ_INT(pl_tcp_connect(&client, target, listener_port(listener), NULL), PL_OK) &&
        CHECK_EQ_INT(pl_accept(listener, &server), PL_OK))
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

static bool has_ipv6(void)
{
    pl_listener *listener = NULL;
    int64_t rc = pl_tcp_listen(&listener, "::1", 0, NULL);
    if (rc == PL_EAFNOSUPPORT || rc == PL_EADDRNOTAVAIL) {
        skip_case("no IPv6 here");
        return false;
    }
    pl_listener_close(listener);
    return CHECK_EQ_INT(rc, PL_OK);
}

TASK_CASE(the_port_that_the_system_chose_is_told)
{
    pl_listener *listener = NULL;
    pl_address address = {0};
    char text[PL_ADDRESS_TEXT_SIZE];
    REQUIRE_EQ_INT(pl_tcp_listen(&listener, "127.0.0.1", 0, NULL), PL_OK);
    CHECK_EQ_INT(pl_listener_address(listener, &address), PL_OK);
    CHECK_EQ_INT(address.family, PL_IPV4);
    CHECK(address.port != 0);
    CHECK(pl_address_format(&address, text, sizeof text) > 0);
    CHECK(strncmp(text, "127.0.0.1:", 10) == 0);
    pl_listener_close(listener);
}

TASK_CASE(a_connection_is_served)
{
    check_served("127.0.0.1", "127.0.0.1", NULL);
}

TASK_CASE(ipv6_is_served)
{
    if (has_ipv6())
        check_served("::1", "::1", NULL);
}

TASK_CASE(a_name_is_listened_at)
{
    if (!skip_without_names())
        check_served("localhost", "localhost", NULL);
}

TASK_CASE(no_host_is_every_address)
{
    check_served(NULL, "127.0.0.1", NULL);
}

TASK_CASE(the_ipv6_wildcard_takes_ipv4_unless_told_otherwise)
{
    const pl_listen_options only = {.size = sizeof only, .ipv6_only = 1};
    pl_listener *listener = NULL;
    pl_stream *client = NULL;
    if (!has_ipv6())
        return;
    check_served("::", "::1", NULL);
    check_served("::", "127.0.0.1", NULL);
    check_served("::", "::1", &only);
    REQUIRE_EQ_INT(pl_tcp_listen(&listener, "::", 0, &only), PL_OK);
    CHECK_EQ_INT(pl_tcp_connect(&client, "127.0.0.1", listener_port(listener), NULL), PL_ECONNREFUSED);
    CHECK(client == NULL);
    pl_listener_close(listener);
}

TASK_CASE(a_port_in_use_is_refused)
{
    pl_listener *first = NULL;
    pl_listener *second = NULL;
    uint16_t port;
    REQUIRE(listen_here(&first, &port));
    CHECK_EQ_INT(pl_tcp_listen(&second, "127.0.0.1", port, NULL), PL_EADDRINUSE);
    CHECK(second == NULL);
    close_listener(first);
    CHECK_EQ_INT(pl_tcp_listen(&second, "127.0.0.1", port, NULL), PL_OK);
    pl_listener_close(second);
}

TASK_CASE(a_port_with_connections_that_are_over_is_taken_again)
{
    pl_listener *listener = NULL;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    uint16_t port;
    if (on_backend("iocp")) {
        skip_case("an exclusive port is not free before its last connection has gone");
        return;
    }
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_tcp_connect(&client, "127.0.0.1", port, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    pl_stream_close(server); /* the server's end is the one in TIME_WAIT */
    CHECK_EQ_INT(read_to_end(client), 0);
    pl_stream_close(client);
    close_listener(listener);
    listener = NULL;
    CHECK_EQ_INT(pl_tcp_listen(&listener, "127.0.0.1", port, NULL), PL_OK);
    pl_listener_close(listener);
}

TASK_CASE(listeners_share_a_port_where_the_system_lets_them)
{
    const pl_listen_options share = {.size = sizeof share, .reuse_port = 1};
    pl_listener *first = NULL;
    pl_listener *second = NULL;
    int64_t rc = pl_tcp_listen(&first, "127.0.0.1", 0, &share);
    if (on_backend("iocp"))
        CHECK_EQ_INT(rc, PL_ENOTSUP);
    if (on_backend("epoll"))
        CHECK_EQ_INT(rc, PL_OK);
    if (rc == PL_OK) {
        CHECK_EQ_INT(pl_tcp_listen(&second, "127.0.0.1", listener_port(first), &share), PL_OK);
        pl_listener_close(first);
        pl_listener_close(second);
    } else {
        CHECK(first == NULL);
    }
}

TASK_CASE(an_address_that_is_not_ours_is_refused)
{
    pl_listener *listener = NULL;
    CHECK_EQ_INT(pl_tcp_listen(&listener, "192.0.2.1", 0, NULL), PL_EADDRNOTAVAIL);
    CHECK(listener == NULL);
}

TASK_CASE(a_name_that_is_unknown_is_refused)
{
    pl_listener *listener = NULL;
    int64_t rc;
    if (skip_without_names())
        return;
    rc = pl_tcp_listen(&listener, "does-not-exist.invalid", 0, NULL);
    CHECK(rc == PL_ENAME || rc == PL_ENAMEAGAIN);
    CHECK(listener == NULL);
}

TASK_CASE(bad_arguments_are_refused_and_change_nothing)
{
    const pl_listen_options unsized = {.size = 0};
    const pl_listen_options negative = {.size = sizeof negative, .backlog = -1};
    pl_listener *listener = NULL;
    pl_stream *stream = NULL;
    pl_address address = {0};
    pl_op op = {0};
    uint16_t port;
    CHECK_EQ_INT(pl_tcp_listen(NULL, "127.0.0.1", 0, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_listen(&listener, "127.0.0.1", 0, &unsized), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_listen(&listener, "127.0.0.1", 0, &negative), PL_EINVAL);
    CHECK(listener == NULL);
    CHECK_EQ_INT(pl_accept(NULL, &stream), PL_EINVAL);
    CHECK_EQ_INT(pl_accept_start(&op, NULL, &stream), PL_EINVAL);
    CHECK_EQ_INT(pl_listener_address(NULL, &address), PL_EINVAL);
    pl_listener_close(NULL);
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_listener_address(listener, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_accept(listener, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_accept_start(&op, listener, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_accept_start(NULL, listener, &stream), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
    CHECK(stream == NULL);
    pl_listener_close(listener);
}

TEST_CASE(listening_needs_a_loop_that_runs)
{
    pl_listener *listener = NULL;
    (void)t;
    CHECK_EQ_INT(pl_tcp_listen(&listener, "127.0.0.1", 0, NULL), PL_ENOLOOP);
    CHECK(listener == NULL);
}

static void listen_in_a_callback(void *arg)
{
    pl_future *done = arg;
    pl_listener *listener = NULL;
    pl_stream *stream = NULL;
    CHECK_EQ_INT(pl_tcp_listen(&listener, "localhost", 0, NULL), PL_ENOTASK);
    CHECK(listener == NULL);
    CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", 1, NULL), PL_ENOTASK);
    CHECK(stream == NULL);
    if (CHECK_EQ_INT(pl_tcp_listen(&listener, "127.0.0.1", 0, NULL), PL_OK)) {
        CHECK_EQ_INT(pl_accept(listener, &stream), PL_ENOTASK);
        pl_listener_close(listener);
    }
    pl_future_set_result(done, 0);
}

TASK_CASE(a_callback_may_listen_but_not_wait)
{
    pl_future *done = NULL;
    REQUIRE_EQ_INT(pl_future_create(&done, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(NULL, listen_in_a_callback, done, NULL), PL_OK);
    CHECK_EQ_INT(pl_await(done), 0);
    pl_future_unref(done);
}

TASK_CASE(waiting_accepts_are_served_first_come_first_served)
{
    enum { WAITERS = 5 };
    pl_op ops[WAITERS] = {{{{0}}}};
    pl_stream *servers[WAITERS] = {NULL};
    pl_stream *clients[WAITERS] = {NULL};
    pl_listener *listener;
    uint16_t port;
    int i;
    REQUIRE(listen_here(&listener, &port));
    for (i = 0; i < WAITERS; i++)
        CHECK_EQ_INT(pl_accept_start(&ops[i], listener, &servers[i]), PL_OK);
    for (i = 0; i < WAITERS; i++) {
        CHECK(pl_op_is_pending(&ops[i]));
        CHECK_EQ_INT(pl_tcp_connect(&clients[i], "127.0.0.1", port, NULL), PL_OK);
        CHECK_EQ_INT(pl_op_await(&ops[i]), PL_OK);
        if (clients[i] && servers[i])
            CHECK_EQ_INT(local_port(clients[i]), peer_port(servers[i]));
    }
    for (i = 0; i < WAITERS; i++) {
        pl_op_finish(&ops[i]);
        pl_stream_close(clients[i]);
        pl_stream_close(servers[i]);
    }
    pl_listener_close(listener);
}

TASK_CASE(what_a_cancelled_accept_leaves_goes_to_the_next)
{
    pl_op first = {0};
    pl_op second = {0};
    pl_stream *client = NULL;
    pl_stream *unused = NULL;
    pl_stream *server = NULL;
    pl_listener *listener;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_accept_start(&first, listener, &unused), PL_OK);
    CHECK_EQ_INT(pl_accept_start(&second, listener, &server), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&first), PL_OK);
    CHECK_EQ_INT(pl_tcp_connect(&client, "127.0.0.1", port, NULL), PL_OK);
    CHECK_EQ_INT(pl_op_await(&first), PL_ECANCELED);
    CHECK(unused == NULL);
    CHECK_EQ_INT(pl_op_await(&second), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

enum { BURST = 120, CALLERS = 6 };

static struct {
    uint16_t port;
    bool seen[BURST];
    int count;
} burst;

/* Connects again and again, says who it is, and waits for the end. */
static int64_t call_often(void *arg)
{
    const int *number = arg;
    int id;
    for (id = *number; id < BURST; id += CALLERS) {
        pl_stream *stream = NULL;
        const uint8_t byte = (uint8_t)id;
        REQUIRE_EQ_INT_OR(pl_tcp_connect(&stream, "127.0.0.1", burst.port, NULL), PL_OK, return 0);
        CHECK_EQ_INT(pl_write(stream, &byte, 1), PL_OK);
        CHECK_EQ_INT(read_to_end(stream), 0);
        pl_stream_close(stream);
    }
    return 0;
}

static void take_call(pl_stream *stream)
{
    uint8_t id = BURST;
    CHECK_EQ_INT(pl_read(stream, &id, 1), 1);
    if (CHECK(id < BURST) && CHECK(!burst.seen[id])) {
        burst.seen[id] = true;
        burst.count++;
    }
    pl_stream_close(stream);
}

/* Accepts one way or another, giving up at a random moment. */
static int64_t accept_impatiently(pl_listener *listener, pl_stream **stream, dice *d)
{
    pl_timeout limit = {0};
    pl_op op = {0};
    uint64_t patience = throw_below(d, 4);
    if (throw_below(d, 2)) {
        CHECK_EQ_INT(pl_timeout_begin(&limit, PL_US(throw_below(d, 300))), PL_OK);
        return pl_timeout_end(&limit, pl_accept(listener, stream));
    }
    CHECK_EQ_INT(pl_accept_start(&op, listener, stream), PL_OK);
    while (patience-- > 0)
        pl_yield();
    return pl_op_finish(&op);
}

TASK_CASE(cancelled_accepts_lose_no_connection)
{
    dice d = dice_of(7);
    int numbers[CALLERS];
    pl_listener *listener;
    pl_group callers = {0};
    int i;
    memset(&burst, 0, sizeof burst);
    REQUIRE(listen_here(&listener, &burst.port));
    CHECK_EQ_INT(pl_group_begin(&callers, 0), PL_OK);
    for (i = 0; i < CALLERS; i++) {
        numbers[i] = i;
        CHECK_EQ_INT(pl_group_spawn(&callers, call_often, &numbers[i], NULL), PL_OK);
    }
    while (burst.count < BURST && pl_group_size(&callers) > 0) {
        pl_stream *stream = NULL;
        int64_t rc = accept_impatiently(listener, &stream, &d);
        if (rc == PL_OK)
            take_call(stream);
        else if (!CHECK(rc == PL_ECANCELED || rc == PL_ETIMEDOUT) || !CHECK(stream == NULL))
            break;
    }
    CHECK_EQ_INT(burst.count, BURST);
    pl_listener_close(listener);
    CHECK_EQ_INT(pl_group_end(&callers, 0), 0);
}

TASK_CASE(connections_wait_to_be_taken)
{
    enum { WAITING = 60 };
    static pl_stream *clients[WAITING];
    pl_listener *listener;
    uint16_t port;
    int i;
    REQUIRE(listen_here(&listener, &port));
    for (i = 0; i < WAITING; i++) {
        clients[i] = NULL;
        CHECK_EQ_INT(pl_tcp_connect(&clients[i], "127.0.0.1", port, NULL), PL_OK);
    }
    for (i = 0; i < WAITING; i++) {
        pl_stream *server = NULL;
        CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
        pl_stream_close(server);
    }
    for (i = 0; i < WAITING; i++) {
        if (clients[i])
            CHECK_EQ_INT(read_to_end(clients[i]), 0);
        pl_stream_close(clients[i]);
    }
    pl_listener_close(listener);
}

TASK_CASE(closing_ends_waiting_accepts_with_closed)
{
    enum { WAITERS = 3 };
    pl_op ops[WAITERS] = {{{{0}}}};
    pl_stream *streams[WAITERS] = {NULL};
    pl_listener *listener;
    uint16_t port;
    int i;
    REQUIRE(listen_here(&listener, &port));
    for (i = 0; i < WAITERS; i++)
        CHECK_EQ_INT(pl_accept_start(&ops[i], listener, &streams[i]), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&ops[1]), PL_OK);
    pl_listener_close(listener);
    for (i = 0; i < WAITERS; i++) {
        int64_t rc = pl_op_await(&ops[i]);
        CHECK(rc == PL_ECLOSED || (i == 1 && rc == PL_ECANCELED));
        CHECK(streams[i] == NULL);
    }
}

static int64_t accept_one(void *arg)
{
    pl_listener *listener = arg;
    pl_stream *stream = NULL;
    CHECK_EQ_INT(pl_accept(listener, &stream), PL_ECLOSED);
    CHECK(stream == NULL);
    return 0;
}

TASK_CASE(a_task_that_accepts_gets_closed)
{
    pl_listener *listener;
    pl_group tasks = {0};
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_group_begin(&tasks, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&tasks, accept_one, listener, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_listener_close(listener);
    CHECK_EQ_INT(pl_group_end(&tasks, 0), 0);
}

static struct {
    pl_listener *listener;
    pl_op first;
    pl_op second;
    pl_stream *stream;
    pl_stream *other;
    int64_t result;
} closer;

static void close_the_listener(void *arg)
{
    (void)arg;
    closer.result = pl_op_result(&closer.first);
    pl_listener_close(closer.listener);
}

TASK_CASE(an_accepts_callback_may_close_the_listener)
{
    pl_callback callback = {0};
    pl_stream *client = NULL;
    uint16_t port;
    memset(&closer, 0, sizeof closer);
    REQUIRE(listen_here(&closer.listener, &port));
    CHECK_EQ_INT(pl_accept_start(&closer.first, closer.listener, &closer.stream), PL_OK);
    CHECK_EQ_INT(pl_accept_start(&closer.second, closer.listener, &closer.other), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&closer.first), &callback, close_the_listener, NULL), PL_OK);
    CHECK_EQ_INT(pl_tcp_connect(&client, "127.0.0.1", port, NULL), PL_OK);
    CHECK_EQ_INT(pl_op_await(&closer.second), PL_ECLOSED);
    CHECK_EQ_INT(closer.result, PL_OK);
    CHECK(closer.other == NULL);
    if (client && closer.stream)
        CHECK(connection_works(client, closer.stream));
    pl_stream_close(client);
    pl_stream_close(closer.stream);
}

TASK_CASE(connections_that_nobody_took_are_reset_at_close)
{
    enum { WAITING = 20 };
    pl_stream *clients[WAITING] = {NULL};
    pl_listener *listener;
    uint16_t port;
    char byte;
    int i;
    REQUIRE(listen_here(&listener, &port));
    for (i = 0; i < WAITING; i++)
        CHECK_EQ_INT(pl_tcp_connect(&clients[i], "127.0.0.1", port, NULL), PL_OK);
    pl_listener_close(listener);
    for (i = 0; i < WAITING; i++) {
        if (clients[i])
            CHECK(is_reset(pl_read(clients[i], &byte, 1)));
        pl_stream_close(clients[i]);
    }
}

TASK_CASE(a_client_that_left_early_is_survived)
{
    enum { LEAVING = 10 };
    pl_stream *stayed = NULL;
    pl_stream *server = NULL;
    pl_listener *listener;
    uint16_t port;
    int i;
    REQUIRE(listen_here(&listener, &port));
    for (i = 0; i < LEAVING; i++) {
        pl_stream *left = NULL;
        CHECK_EQ_INT(pl_tcp_connect(&left, "127.0.0.1", port, NULL), PL_OK);
        pl_stream_abort(left);
    }
    CHECK_EQ_INT(pl_tcp_connect(&stayed, "127.0.0.1", port, NULL), PL_OK);
    for (i = 0; stayed && i <= LEAVING; i++) {
        /* One that left after the system had accepted it may come too; perhaps without an address. */
        pl_address peer = {0};
        if (!CHECK_EQ_INT(pl_accept(listener, &server), PL_OK))
            break;
        if (pl_stream_peer_address(server, &peer) == PL_OK && peer.port == local_port(stayed))
            break;
        pl_stream_close(server);
        server = NULL;
    }
    CHECK(server != NULL);
    if (stayed && server)
        CHECK(connection_works(stayed, server));
    pl_stream_close(stayed);
    pl_stream_close(server);
    pl_listener_close(listener);
}

TASK_CASE(an_accept_is_bounded_by_a_timeout_and_never_early)
{
    pl_timeout limit = {0};
    pl_stream *stream = NULL;
    pl_listener *listener;
    uint16_t port;
    pl_duration begun;
    REQUIRE(listen_here(&listener, &port));
    begun = pl_loop_time(pl_loop_running());
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(20)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_accept(listener, &stream)), PL_ETIMEDOUT);
    CHECK(pl_loop_time(pl_loop_running()) - begun >= PL_MS(20));
    CHECK(stream == NULL);
    pl_listener_close(listener);
}

TASK_CASE(an_accept_whose_connection_is_there_does_not_need_the_time)
{
    pl_stream *client = NULL;
    pl_stream *other = NULL;
    pl_stream *server = NULL;
    pl_timeout limit = {0};
    pl_listener *listener;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_tcp_connect(&client, "127.0.0.1", port, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    pl_stream_close(server);
    server = NULL;
    CHECK_EQ_INT(pl_tcp_connect(&other, "127.0.0.1", port, NULL), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_SECONDS(60)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_accept(listener, &server)), PL_OK);
    CHECK(server != NULL);
    pl_stream_close(client);
    pl_stream_close(other);
    pl_stream_close(server);
    pl_listener_close(listener);
}

TASK_CASE(a_listener_outlives_its_close_by_references)
{
    pl_listener *listener;
    pl_stream *stream = NULL;
    pl_address address;
    pl_op op = {0};
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    CHECK(pl_listener_ref(listener) == listener);
    pl_listener_close(listener);
    CHECK_EQ_INT(pl_listener_address(listener, &address), PL_ECLOSED);
    CHECK_EQ_INT(pl_accept(listener, &stream), PL_ECLOSED);
    CHECK_EQ_INT(end_of(pl_accept_start(&op, listener, &stream), &op), PL_ECLOSED);
    CHECK(stream == NULL);
    pl_listener_unref(listener);
    CHECK(pl_listener_ref(NULL) == NULL);
    pl_listener_unref(NULL);
}

/* Windows ends the accepts under way first, and tells so by the loop. */
TASK_CASE(where_nothing_is_in_flight_a_closed_port_is_free_at_once)
{
    pl_listener *first, *second = NULL;
    pl_stream *stream = NULL;
    uint16_t port;
    REQUIRE(listen_here(&first, &port));
    CHECK_EQ_INT(pl_yield(), PL_OK);
    if (on_backend("iocp")) {
        close_listener(first);
    } else {
        pl_address address = {0};
        pl_op op = {0};
        CHECK_EQ_INT(pl_listener_address(first, &address), PL_OK);
        pl_listener_close(first);
        CHECK_EQ_INT(end_of(pl_tcp_connect_start(&op, &stream, &address, NULL), &op), PL_ECONNREFUSED);
        CHECK(stream == NULL);
        pl_stream_close(stream);
    }
    CHECK_EQ_INT(pl_tcp_listen(&second, "127.0.0.1", port, NULL), PL_OK);
    pl_listener_close(second);
}

TASK_CASE(a_busy_operation_is_refused)
{
    pl_op op = {0};
    pl_stream *stream = NULL;
    pl_stream *other = NULL;
    pl_listener *listener;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_accept_start(&op, listener, &stream), PL_OK);
    CHECK_EQ_INT(pl_accept_start(&op, listener, &other), PL_EBUSY);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK(stream == NULL);
    CHECK(other == NULL);
    pl_listener_close(listener);
}

static struct {
    pl_op op;
    pl_listener *listener;
    pl_stream *streams[6];
    pl_stream *waiting;
} left;

static void leave_open(void)
{
    uint16_t port;
    int i;
    memset(&left, 0, sizeof left);
    REQUIRE(listen_here(&left.listener, &port));
    for (i = 0; i < 5; i++)
        CHECK_EQ_INT(pl_tcp_connect(&left.streams[i], "127.0.0.1", port, NULL), PL_OK);
    for (i = 0; i < 3; i++) {
        CHECK_EQ_INT(pl_accept(left.listener, &left.streams[5]), PL_OK);
        if (i < 2)
            pl_stream_close(left.streams[5]);
    }
    for (i = 0; i < 2; i++) {
        pl_stream *last = NULL;
        CHECK_EQ_INT(pl_accept(left.listener, &last), PL_OK);
        pl_stream_close(last);
    }
    CHECK_EQ_INT(pl_accept_start(&left.op, left.listener, &left.waiting), PL_OK);
}

/* The loop ends what is open and under way; the owners still give back what they own. */
TEST_CASE(what_is_left_open_ends_with_its_loop)
{
    pl_address address;
    int i;
    loopback_run(t, leave_open, NULL);
    CHECK(!pl_op_is_pending(&left.op));
    CHECK_EQ_INT(pl_op_result(&left.op), PL_ECLOSED);
    CHECK(left.waiting == NULL);
    if (left.listener)
        CHECK_EQ_INT(pl_listener_address(left.listener, &address), PL_ECLOSED);
    pl_listener_close(left.listener);
    for (i = 0; i < 6; i++) {
        if (left.streams[i])
            CHECK_EQ_INT(pl_stream_peer_address(left.streams[i], &address), PL_ECLOSED);
        pl_stream_close(left.streams[i]);
    }
}

TEST_SUITE(listener, TEST_BACKENDS_ALL,
           CASE(the_port_that_the_system_chose_is_told),
           CASE(a_connection_is_served),
           CASE(ipv6_is_served),
           CASE(a_name_is_listened_at),
           CASE(no_host_is_every_address),
           CASE(the_ipv6_wildcard_takes_ipv4_unless_told_otherwise),
           CASE(a_port_in_use_is_refused),
           CASE(a_port_with_connections_that_are_over_is_taken_again),
           CASE(listeners_share_a_port_where_the_system_lets_them),
           CASE(an_address_that_is_not_ours_is_refused),
           CASE(a_name_that_is_unknown_is_refused),
           CASE(bad_arguments_are_refused_and_change_nothing),
           CASE(listening_needs_a_loop_that_runs),
           CASE(a_callback_may_listen_but_not_wait),
           CASE(waiting_accepts_are_served_first_come_first_served),
           CASE(what_a_cancelled_accept_leaves_goes_to_the_next),
           CASE(cancelled_accepts_lose_no_connection),
           CASE(connections_wait_to_be_taken),
           CASE(closing_ends_waiting_accepts_with_closed),
           CASE(a_task_that_accepts_gets_closed),
           CASE(an_accepts_callback_may_close_the_listener),
           CASE(connections_that_nobody_took_are_reset_at_close),
           CASE(a_client_that_left_early_is_survived),
           CASE(an_accept_is_bounded_by_a_timeout_and_never_early),
           CASE(an_accept_whose_connection_is_there_does_not_need_the_time),
           CASE(a_listener_outlives_its_close_by_references),
           CASE(where_nothing_is_in_flight_a_closed_port_is_free_at_once),
           CASE(a_busy_operation_is_refused),
           CASE(what_is_left_open_ends_with_its_loop))
