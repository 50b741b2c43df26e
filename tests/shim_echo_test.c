/* What an echo costs: system calls of a server's thread, counted. */
#include <proloop/proloop.h>

#include <stdio.h>
#include <string.h>

#include "harness.h"
#include "loopback.h"
#include "shims.h"
#include "threads.h"

enum { WARM_UP = 50, ROUNDS = 500, SIZE = 64 };

static struct {
    const char *backend;
    bool borrow;
    uint16_t port;
    test_gate listening;
    int64_t before[SHIM_KINDS];
    int64_t after[SHIM_KINDS];
} server;

static void take_counts(int64_t *counts)
{
    int kind;
    for (kind = 0; kind < SHIM_KINDS; kind++)
        counts[kind] = shim_calls_of_loop((shim)kind);
}

static bool echo_once(pl_stream *stream)
{
    char data[SIZE * 2];
    const void *lent = data;
    int64_t n = server.borrow ? pl_read_borrow(stream, &lent) : pl_read(stream, data, sizeof data);
    bool good = CHECK_EQ_INT(n, SIZE) && CHECK_EQ_INT(pl_write(stream, lent, SIZE), PL_OK);
    if (server.borrow && n > 0)
        CHECK_EQ_INT(pl_read_return(stream), PL_OK);
    return good;
}

static int64_t serve(void *arg)
{
    pl_listener *listener = NULL;
    pl_stream *stream = NULL;
    int i;
    (void)arg;
    CHECK(listen_here(&listener, &server.port));
    test_gate_open(&server.listening);
    CHECK_EQ_INT(pl_accept(listener, &stream), PL_OK);
    for (i = 0; stream && i < WARM_UP + ROUNDS; i++) {
        if (i == WARM_UP)
            take_counts(server.before);
        if (!echo_once(stream))
            break;
    }
    take_counts(server.after);
    pl_stream_close(stream);
    pl_listener_close(listener);
    return 0;
}

static void run_server(void *arg)
{
    pl_loop_options loop_options = {.size = sizeof loop_options, .backend = server.backend};
    pl_task_options task_options = {.size = sizeof task_options};
    pl_loop *loop = NULL;
    pl_task *task = NULL;
    (void)arg;
    CHECK_EQ_INT(pl_loop_create(&loop, &loop_options), PL_OK);
    task_options.loop = loop;
    shims_begin();
    if (CHECK_EQ_INT(pl_spawn(&task, serve, NULL, &task_options), PL_OK))
        CHECK_EQ_INT(pl_loop_run_until_complete(loop, pl_task_future(task)), 0);
    pl_task_unref(task);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    shims_end();
}

static void be_client(void)
{
    char data[SIZE] = {0};
    char back[SIZE];
    pl_stream *stream = NULL;
    int i;
    REQUIRE_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", server.port, NULL), PL_OK);
    for (i = 0; i < WARM_UP + ROUNDS; i++) {
        data[0] = (char)(i & 0x7f);
        if (!CHECK_EQ_INT(pl_write(stream, data, SIZE), PL_OK) || !CHECK_EQ_INT(read_whole(stream, back, SIZE), SIZE) ||
            !CHECK_EQ_INT(back[0], data[0]))
            break;
    }
    CHECK_EQ_INT(read_to_end(stream), 0);
    pl_stream_close(stream);
}

static void measure(test_context *t, bool borrow)
{
    const bool on_iocp = strcmp(t->backend, "iocp") == 0;
    test_thread thread;
    int64_t cost[SHIM_KINDS];
    int kind;
    memset(&server, 0, sizeof server);
    server.backend = t->backend;
    server.borrow = borrow;
    test_gate_init(&server.listening);
    REQUIRE(test_thread_start(&thread, run_server, NULL));
    test_gate_wait(&server.listening);
    loopback_run(t, be_client, NULL);
    test_thread_join(&thread);
    test_gate_destroy(&server.listening);
    for (kind = 0; kind < SHIM_KINDS; kind++) {
        cost[kind] = server.after[kind] - server.before[kind];
        if (cost[kind] != 0)
            printf("  %s: %d for %d round trips\n", shim_name((shim)kind), (int)cost[kind], (int)ROUNDS);
    }
    /* On Windows a read that borrows asks for nothing first, so that a connection that waits holds no memory. */
    CHECK_EQ_INT(cost[SHIM_RECEIVE], borrow && on_iocp ? 2 * ROUNDS : ROUNDS);
    CHECK_EQ_INT(cost[SHIM_SEND], ROUNDS);
    if (on_iocp) /* what is there at once is had without a wait */
        CHECK(cost[SHIM_WAIT] <= ROUNDS);
    else
        CHECK_EQ_INT(cost[SHIM_WAIT], ROUNDS);
    CHECK_EQ_INT(cost[SHIM_ACCEPT], 0);
}

TEST_CASE(an_echo_costs_one_receive_one_send_and_one_wait)
{
    measure(t, false);
}

TEST_CASE(an_echo_of_lent_buffers_costs_one_receive_one_send_and_one_wait)
{
    measure(t, true);
}

TEST_SUITE(shim_echo, TEST_BACKENDS_REAL,
           CASE(an_echo_costs_one_receive_one_send_and_one_wait),
           CASE(an_echo_of_lent_buffers_costs_one_receive_one_send_and_one_wait))
