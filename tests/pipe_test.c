/* Pipes: pairs within the process, and named ones. */
#include <proloop/proloop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocation.h"
#include "atomic.h"
#include "fixture.h"
#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "pipe_files.h"
#include "process.h"
#include "system.h"
#include "threads.h"

static void look_for_pipes(void)
{
    pl_stream *reader = NULL;
    pl_stream *writer = NULL;
    pl_listener *listener = NULL;
    CHECK_EQ_INT(pl_pipe_pair(&reader, &writer), PL_ENOTSUP);
    CHECK_EQ_INT(pl_pipe_listen(&listener, "proloop-test", NULL), PL_ENOTSUP);
    CHECK_EQ_INT(pl_pipe_connect(&reader, "proloop-test", NULL), PL_ENOTSUP);
    CHECK(reader == NULL && writer == NULL && listener == NULL);
}

TEST_CASE(the_simulation_has_no_pipes_and_each_call_says_so)
{
    test_context simulated = {.backend = "sim"};
    (void)t;
    loopback_run(&simulated, look_for_pipes, NULL);
}

/* --- Pairs -------------------------------------------------------------------------------------------------------- */

static bool open_pair(pl_stream **reader, pl_stream **writer)
{
    *reader = *writer = NULL;
    return CHECK_EQ_INT(pl_pipe_pair(reader, writer), PL_OK) && CHECK(*reader != NULL) && CHECK(*writer != NULL);
}

TASK_CASE(what_is_written_to_a_pair_is_read_in_order)
{
    pl_stream *reader;
    pl_stream *writer;
    REQUIRE(open_pair(&reader, &writer));
    CHECK(flow_across(writer, reader, 1));
    CHECK(flow_across(writer, reader, 65536));
    CHECK(flow_across(writer, reader, 3000000));
    pl_stream_close(reader);
    pl_stream_close(writer);
}

TASK_CASE(the_reader_sees_the_end_after_the_writers_close)
{
    pl_stream *reader;
    pl_stream *writer;
    char data[8] = "";
    REQUIRE(open_pair(&reader, &writer));
    CHECK_EQ_INT(pl_write(writer, "last", 4), PL_OK);
    pl_stream_close(writer);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), 4);
    CHECK_MEM(data, "last", 4);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), 0);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), 0);
    pl_stream_close(reader);
}

TASK_CASE(a_shut_writer_has_written_everything_and_writes_no_more)
{
    static char big[300000];
    pl_stream *reader;
    pl_stream *writer;
    pl_op op = {0};
    char data[8];
    REQUIRE(open_pair(&reader, &writer));
    pattern_fill(big, sizeof big, 0);
    CHECK_EQ_INT(pl_write_start(&op, writer, big, sizeof big), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(writer), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(writer), PL_OK);
    CHECK_EQ_INT(pl_write(writer, "x", 1), PL_EPIPE);
    {
        static char got[300001];
        CHECK_EQ_INT(read_whole(reader, got, sizeof got), sizeof big);
        CHECK(pattern_holds(got, sizeof big, 0));
    }
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), 0);
    CHECK_EQ_INT(pl_stream_flush(writer), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(writer), PL_OK);
    CHECK_EQ_INT(pl_write(writer, "x", 1), PL_EPIPE);
    CHECK_EQ_INT(pl_stream_bytes_written(writer), sizeof big);
    pl_stream_close(reader);
    pl_stream_close(writer);
}

TASK_CASE(a_pair_has_one_direction)
{
    pl_stream *reader;
    pl_stream *writer;
    const void *lent;
    char data[8];
    REQUIRE(open_pair(&reader, &writer));
    CHECK_EQ_INT(pl_read(writer, data, sizeof data), PL_ENOTSUP);
    CHECK_EQ_INT(pl_read_borrow(writer, &lent), PL_ENOTSUP);
    CHECK_EQ_INT(pl_write(reader, "x", 1), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_shutdown(reader), PL_ENOTSUP);
    CHECK(flow_across(writer, reader, 100));
    pl_stream_close(reader);
    pl_stream_close(writer);
}

TASK_CASE(what_is_of_sockets_alone_a_pair_refuses_and_goes_on)
{
    pl_stream *reader;
    pl_stream *writer;
    pl_address address = {0};
    pl_peer_identity identity;
    REQUIRE(open_pair(&reader, &writer));
    CHECK_EQ_INT(pl_stream_set_nodelay(writer, 1), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_set_keepalive(writer, 1), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_set_buffers(reader, 4096, 4096), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_local_address(reader, &address), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_peer_address(writer, &address), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_peer_identity(writer, &identity), PL_ENOTSUP);
    CHECK(flow_across(writer, reader, 100));
    pl_stream_close(reader);
    pl_stream_close(writer);
}

/* A SIGPIPE would end the program. */
TASK_CASE(writing_when_the_reader_is_closed_is_an_error_and_no_signal)
{
    pl_stream *reader;
    pl_stream *writer;
    REQUIRE(open_pair(&reader, &writer));
    pl_stream_close(reader);
    CHECK_EQ_INT(pl_write(writer, "x", 1), PL_ECONNRESET);
    CHECK_EQ_INT(pl_write(writer, "x", 1), PL_ECONNRESET);
    CHECK_EQ_INT(pl_stream_shutdown(writer), PL_ECONNRESET);
    pl_stream_close(writer);
}

TASK_CASE(a_waiting_writer_is_told_that_the_reader_has_closed)
{
    static char big[4000000];
    pl_stream *reader;
    pl_stream *writer;
    pl_op op = {0};
    char byte;
    REQUIRE(open_pair(&reader, &writer));
    CHECK_EQ_INT(pl_write_start(&op, writer, big, sizeof big), PL_OK);
    CHECK_EQ_INT(pl_read(reader, &byte, 1), 1);
    CHECK(pl_op_is_pending(&op));
    pl_stream_close(reader);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECONNRESET);
    pl_stream_close(writer);
}

TASK_CASE(several_buffers_go_out_in_order)
{
    const pl_buffer buffers[] = {{"", 0}, {"one", 3}, {NULL, 0}, {"two", 3}, {"three", 5}, {"", 0}};
    pl_stream *reader;
    pl_stream *writer;
    char data[12] = "";
    REQUIRE(open_pair(&reader, &writer));
    CHECK_EQ_INT(pl_write_buffers(writer, buffers, 6), PL_OK);
    pl_stream_close(writer);
    CHECK_EQ_INT(read_whole(reader, data, sizeof data), 11);
    CHECK_MEM(data, "onetwothree", 11);
    pl_stream_close(reader);
}

TASK_CASE(a_file_is_not_sent_into_a_pair)
{
    pl_stream *reader;
    pl_stream *writer;
    pl_file *file = NULL;
    REQUIRE(open_pair(&reader, &writer));
    path_remove("pipe_test_file");
    REQUIRE(file_make("pipe_test_file", "abc", 3));
    CHECK_EQ_INT(pl_file_open(&file, "pipe_test_file", NULL), PL_OK);
    if (file)
        CHECK_EQ_INT(pl_stream_send_file(writer, file, 0, 3), PL_ENOTSUP);
    pl_file_close(file);
    CHECK(flow_across(writer, reader, 10));
    pl_stream_close(reader);
    pl_stream_close(writer);
    pl_yield();
    path_remove("pipe_test_file");
}

TASK_CASE(what_a_closed_writer_has_queued_still_arrives)
{
    enum { SIZE = 1000000 };
    static char big[SIZE];
    pl_stream *reader;
    pl_stream *writer;
    pl_op op = {0};
    flow in = {.size = -1};
    REQUIRE(open_pair(&reader, &writer));
    pattern_fill(big, SIZE, 0);
    CHECK_EQ_INT(pl_write_start(&op, writer, big, SIZE), PL_OK);
    pl_stream_close(writer);
    in.stream = reader;
    flow_receive(&in);
    CHECK_EQ_INT(in.result, 0);
    CHECK_EQ_INT(in.done, SIZE);
    CHECK(!in.broken);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    pl_stream_close(reader);
}

TASK_CASE(a_closed_writer_that_nobody_reads_gives_up_after_its_linger)
{
    static char big[4000000];
    pl_stream *reader;
    pl_stream *writer;
    pl_op op = {0};
    int64_t rc;
    REQUIRE(open_pair(&reader, &writer));
    expect_reports(1, 1);
    CHECK_EQ_INT(pl_stream_set_linger(writer, PL_MS(20)), PL_OK);
    CHECK_EQ_INT(pl_write_start(&op, writer, big, sizeof big), PL_OK);
    pl_stream_close(writer);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
    CHECK_EQ_INT(reports_seen(), 1);
    rc = read_to_end(reader);
    CHECK_EQ_INT(rc, 0);
    pl_stream_close(reader);
}

TEST_CASE(a_pair_needs_a_loop_that_runs)
{
    pl_stream *reader = NULL;
    pl_stream *writer = NULL;
    pl_listener *listener = NULL;
    pl_op op = {0};
    (void)t;
    CHECK_EQ_INT(pl_pipe_pair(&reader, &writer), PL_ENOLOOP);
    CHECK_EQ_INT(pl_pipe_listen(&listener, "proloop-test", NULL), PL_ENOLOOP);
    CHECK_EQ_INT(pl_pipe_connect_start(&op, &reader, "proloop-test", NULL), PL_ENOLOOP);
    CHECK(pl_pipe_connect(&reader, "proloop-test", NULL) < 0);
    CHECK(reader == NULL && writer == NULL && listener == NULL);
}

/* --- Named pipes -------------------------------------------------------------------------------------------------- */

enum { NAME_ROOM = 80, PATH_ROOM = 300 };

/* One that nobody else has. */
static void make_name(char name[NAME_ROOM])
{
    static int last;
    snprintf(name, NAME_ROOM, "proloop-test-%llu-%d", (unsigned long long)process_id(), ++last);
}

static pl_listener *listen_with(char name[NAME_ROOM], const pl_pipe_listen_options *options)
{
    pl_listener *listener = NULL;
    make_name(name);
    CHECK_EQ_INT(pl_pipe_listen(&listener, name, options), PL_OK);
    return listener;
}

/* Two ends of one connection; no listener is left. */
static bool connect_named(pl_stream **client, pl_stream **server, bool messages)
{
    const pl_pipe_listen_options listening = {.size = sizeof listening, .message = messages};
    const pl_pipe_connect_options connecting = {.size = sizeof connecting, .message = messages};
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, &listening);
    bool good;
    *client = *server = NULL;
    if (!listener)
        return false;
    good = CHECK_EQ_INT(pl_pipe_connect(client, name, &connecting), PL_OK) &&
           CHECK_EQ_INT(pl_accept(listener, server), PL_OK);
    pl_listener_close(listener);
    return good;
}

TASK_CASE(a_named_pipe_carries_bytes_both_ways)
{
    static const int64_t sizes[] = {1, 2, 4095, 4096, 65535, 65536, 65537, 1000000};
    pl_stream *client;
    pl_stream *server;
    size_t i;
    REQUIRE(connect_named(&client, &server, false));
    CHECK(connection_works(client, server));
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK(flow_across(client, server, sizes[i]));
        CHECK(flow_across(server, client, sizes[i]));
    }
    pl_stream_close(client);
    pl_stream_close(server);
}

/* Both directions at once, in pieces of random sizes, into the caller's memory or into lent buffers. */
static void cross(bool borrow, uint64_t seed)
{
    enum { SIZE = 400000 };
    pl_stream *client;
    pl_stream *server;
    pl_group all = {0};
    flow flows[4];
    int i;
    REQUIRE(connect_named(&client, &server, false));
    for (i = 0; i < 4; i++)
        flows[i] = (flow){.stream = i == 0 || i == 3 ? client : server,
                          .size = SIZE,
                          .piece = 100000,
                          .seed = seed + (uint64_t)i,
                          .borrow = borrow};
    CHECK_EQ_INT(pl_group_begin(&all, 0), PL_OK);
    for (i = 0; i < 4; i++)
        CHECK_EQ_INT(pl_group_spawn(&all, i < 2 ? flow_send : flow_receive, &flows[i], NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&all, 0), 0);
    for (i = 0; i < 4; i++) {
        CHECK_EQ_INT(flows[i].result, 0);
        CHECK_EQ_INT(flows[i].done, SIZE);
        CHECK(!flows[i].broken);
    }
    pl_stream_close(client);
    pl_stream_close(server);
}

TASK_CASE(both_directions_at_once_disturb_neither)
{
    cross(false, 1);
    cross(true, 2);
}

static int64_t echo(void *arg)
{
    pl_stream *stream = arg;
    const void *data;
    int64_t n;
    while ((n = pl_read_borrow(stream, &data)) > 0) {
        n = pl_write(stream, data, (size_t)n);
        CHECK_EQ_INT(pl_read_return(stream), PL_OK);
        if (n < 0)
            break;
    }
    CHECK_EQ_INT(n, 0);
    pl_stream_close(stream);
    return 0;
}

static int64_t serve(void *arg)
{
    pl_listener *listener = arg;
    pl_stream *stream = NULL;
    pl_group clients = {0};
    CHECK_EQ_INT(pl_group_begin(&clients, 0), PL_OK);
    while (pl_accept(listener, &stream) == PL_OK)
        CHECK_EQ_INT(pl_group_spawn(&clients, echo, stream, pl_stream_drop), PL_OK);
    pl_listener_unref(listener);
    return pl_group_end(&clients, 0);
}

typedef struct visit {
    const char *name;
    uint64_t seed;
} visit;

static int64_t visit_server(void *arg)
{
    const visit *v = arg;
    pl_stream *stream = NULL;
    dice d = dice_of(v->seed);
    int64_t size = (int64_t)throw_below(&d, 150000);
    if (!CHECK_EQ_INT(pl_pipe_connect(&stream, v->name, NULL), PL_OK))
        return 0;
    CHECK(flow_across(stream, stream, size + 1));
    pl_stream_close(stream);
    return 0;
}

/* More clients than a server of Windows has instances waiting: those come in later. */
TASK_CASE(many_clients_at_once_are_all_served)
{
    enum { CLIENTS = 50 };
    static visit visits[CLIENTS];
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_group servers = {0};
    pl_group clients = {0};
    int i;
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pl_group_begin(&servers, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&servers, serve, pl_listener_ref(listener), NULL), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&clients, 0), PL_OK);
    for (i = 0; i < CLIENTS; i++) {
        visits[i] = (visit){name, (uint64_t)i + 1};
        CHECK_EQ_INT(pl_group_spawn(&clients, visit_server, &visits[i], NULL), PL_OK);
    }
    CHECK_EQ_INT(pl_group_end(&clients, 0), 0);
    pl_listener_close(listener);
    CHECK_EQ_INT(pl_group_end(&servers, 0), 0);
}

TASK_CASE(connecting_where_nobody_listens_is_refused)
{
    char name[NAME_ROOM];
    pl_stream *stream = NULL;
    pl_op op = {0};
    make_name(name);
    CHECK_EQ_INT(pl_pipe_connect(&stream, name, NULL), PL_ENOENT);
    CHECK_EQ_INT(end_of(pl_pipe_connect_start(&op, &stream, name, NULL), &op), PL_ENOENT);
    CHECK(pl_op_system_error(&op) != 0);
    CHECK(stream == NULL);
}

TASK_CASE(a_name_is_free_again_when_its_listener_is_closed)
{
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_stream *stream = NULL;
    int i;
    REQUIRE(listener != NULL);
    for (i = 0; i < 5; i++) {
        pl_listener_close(listener);
        listener = NULL;
        while (pl_pipe_listen(&listener, name, NULL) == PL_EADDRINUSE)
            CHECK_EQ_INT(pl_yield(), PL_OK); /* on Windows what waits in the system ends first */
        REQUIRE(listener != NULL);
    }
    pl_listener_close(listener);
    while (pl_pipe_connect(&stream, name, NULL) == PL_OK) {
        pl_stream_close(stream);
        stream = NULL;
    }
    CHECK(stream == NULL);
}

TASK_CASE(a_name_belongs_to_one_listener)
{
    char name[NAME_ROOM];
    pl_listener *listener = NULL;
    pl_listener *other = NULL;
    const pl_pipe_listen_options replacing = {.size = sizeof replacing, .replace_stale = 1};
    if (system_is_wine()) {
        skip_case("Wine gives a pipe's first instance twice");
        return;
    }
    listener = listen_with(name, NULL);
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pl_pipe_listen(&other, name, NULL), PL_EADDRINUSE);
    CHECK_EQ_INT(pl_pipe_listen(&other, name, &replacing), PL_EADDRINUSE);
    CHECK(other == NULL);
    pl_listener_close(listener);
}

TASK_CASE(bad_arguments_are_refused_and_change_nothing)
{
    const pl_pipe_listen_options no_size = {.size = 0};
    const pl_pipe_connect_options no_size_either = {.size = 0};
    const pl_pipe_listen_options bad_backlog = {.size = sizeof bad_backlog, .backlog = -1};
    const pl_pipe_listen_options bad_mode = {.size = sizeof bad_mode, .mode = 01000};
    const pl_pipe_listen_options bad_pause = {.size = sizeof bad_pause, .emfile_pause = -1};
    char name[NAME_ROOM];
    static char long_name[2000];
    pl_listener *listener = NULL;
    pl_stream *stream = NULL;
    pl_op op = {0};
    make_name(name);
    CHECK_EQ_INT(pl_pipe_listen(NULL, name, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_listen(&listener, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_listen(&listener, "", NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_listen(&listener, name, &no_size), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_listen(&listener, name, &bad_backlog), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_listen(&listener, name, &bad_mode), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_listen(&listener, name, &bad_pause), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_connect(NULL, name, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_connect(&stream, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_connect(&stream, "", NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_connect(&stream, name, &no_size_either), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_connect_start(NULL, &stream, name, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_pair(NULL, &stream), PL_EINVAL);
    CHECK_EQ_INT(pl_pipe_pair(&stream, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_peer_identity(NULL, NULL), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
    memset(long_name, 'n', sizeof long_name - 1);
    CHECK_EQ_INT(pl_pipe_listen(&listener, long_name, NULL), PL_ENAMETOOLONG);
    CHECK_EQ_INT(pl_pipe_connect(&stream, long_name, NULL), PL_ENAMETOOLONG);
    CHECK(listener == NULL && stream == NULL);
}

TASK_CASE(a_listener_of_pipes_has_no_address)
{
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_address address = {0};
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pl_listener_address(listener, &address), PL_ENOTSUP);
    pl_listener_close(listener);
}

TASK_CASE(a_text_that_describes_no_access_is_refused)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .sddl = "nonsense"};
    pl_listener *listener = NULL;
    char name[NAME_ROOM];
    make_name(name);
    CHECK_EQ_INT(pl_pipe_listen(&listener, name, &options), pipe_files_exist() ? PL_OK : PL_EINVAL);
    pl_listener_close(listener);
}

TASK_CASE(access_in_text_form_lets_its_own_process_in)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .sddl = "D:P(A;;GA;;;WD)"};
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, &options);
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pl_pipe_connect(&client, name, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

/* --- Ends --------------------------------------------------------------------------------------------------------- */

/* One end writes and closes at once; the other one reads all of it, and the end. */
static void check_last_bytes(bool server_closes, size_t size)
{
    static char big[200000];
    pl_stream *ends[2];
    flow in = {.size = -1};
    pl_op op = {0};
    REQUIRE(connect_named(&ends[0], &ends[1], false));
    pattern_fill(big, size, 0);
    CHECK_EQ_INT(pl_write_start(&op, ends[server_closes], big, size), PL_OK);
    pl_stream_close(ends[server_closes]);
    in.stream = ends[!server_closes];
    flow_receive(&in);
    CHECK_EQ_INT(in.result, 0);
    CHECK_EQ_INT(in.done, size);
    CHECK(!in.broken);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    pl_stream_close(ends[!server_closes]);
}

TASK_CASE(what_was_written_before_a_close_is_read_after_it)
{
    check_last_bytes(false, 5);
    check_last_bytes(true, 5);
    check_last_bytes(false, 200000);
    check_last_bytes(true, 200000);
}

TASK_CASE(bytes_stay_readable_though_the_writer_is_long_closed)
{
    pl_stream *client;
    pl_stream *server;
    char data[8] = "";
    REQUIRE(connect_named(&client, &server, false));
    CHECK_EQ_INT(pl_write(server, "bye", 3), PL_OK);
    pl_stream_close(server);
    CHECK_EQ_INT(pl_sleep(PL_MS(5)), PL_OK);
    CHECK_EQ_INT(read_whole(client, data, sizeof data), 3);
    CHECK_MEM(data, "bye", 3);
    pl_stream_close(client);
}

TASK_CASE(half_close_is_there_or_says_that_it_is_not)
{
    pl_stream *client;
    pl_stream *server;
    char data[8] = "";
    REQUIRE(connect_named(&client, &server, false));
    if (pipe_files_exist()) {
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
        CHECK_EQ_INT(pl_write(client, "x", 1), PL_EPIPE);
        CHECK_EQ_INT(pl_read(server, data, sizeof data), 0);
    } else {
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_ENOTSUP);
        CHECK_EQ_INT(pl_write(client, "x", 1), PL_OK); /* nothing has changed */
        CHECK_EQ_INT(pl_read(server, data, sizeof data), 1);
    }
    CHECK_EQ_INT(pl_write(server, "yz", 2), PL_OK);
    CHECK_EQ_INT(pl_read(client, data, sizeof data), 2);
    pl_stream_close(client);
    pl_stream_close(server);
}

TASK_CASE(after_the_peers_close_reads_end_and_writes_fail)
{
    pl_stream *client;
    pl_stream *server;
    char data[8];
    int64_t rc;
    REQUIRE(connect_named(&client, &server, false));
    pl_stream_close(server);
    CHECK_EQ_INT(pl_read(client, data, sizeof data), 0);
    while ((rc = pl_write(client, "x", 1)) == PL_OK)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(rc, PL_ECONNRESET);
    CHECK_EQ_INT(pl_read(client, data, sizeof data), 0);
    pl_stream_close(client);
}

TASK_CASE(an_abort_ends_a_waiting_peer)
{
    static char big[3000000];
    pl_stream *client;
    pl_stream *server;
    pl_op writing = {0};
    pl_op reading = {0};
    char data[8];
    int64_t rc;
    REQUIRE(connect_named(&client, &server, false));
    CHECK_EQ_INT(pl_write_start(&writing, client, big, sizeof big), PL_OK);
    CHECK_EQ_INT(pl_read_start(&reading, client, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    pl_stream_abort(server);
    rc = pl_op_await(&reading);
    CHECK(rc == 0 || rc == PL_ECONNRESET);
    CHECK_EQ_INT(pl_op_await(&writing), PL_ECONNRESET);
    pl_stream_close(client);
}

TASK_CASE(closing_gives_the_reader_of_this_end_closed)
{
    pl_stream *client;
    pl_stream *server;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_named(&client, &server, false));
    CHECK_EQ_INT(pl_read_start(&op, client, data, sizeof data), PL_OK);
    pl_stream_close(client);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 0);
    pl_stream_close(server);
}

/* --- Who is there ------------------------------------------------------------------------------------------------- */

static void check_identity(pl_stream *stream)
{
    pl_peer_identity identity;
    memset(&identity, 0xff, sizeof identity);
    CHECK_EQ_INT(pl_stream_peer_identity(stream, NULL), PL_EINVAL);
    REQUIRE_EQ_INT(pl_stream_peer_identity(stream, &identity), PL_OK);
    CHECK_EQ_INT(identity.process, process_id());
    CHECK_EQ_INT(identity.same_user, 1);
    CHECK(identity.user_text[0] != 0);
    CHECK((identity.user >= 0) == pipe_files_exist());
    CHECK((identity.group >= 0) == pipe_files_exist());
    CHECK(pipe_files_exist() || strncmp(identity.user_text, "S-1-", 4) == 0);
}

TASK_CASE(both_ends_know_who_the_other_is)
{
    pl_stream *client;
    pl_stream *server;
    pl_peer_identity identity;
    REQUIRE(connect_named(&client, &server, false));
    check_identity(client);
    check_identity(server);
    CHECK(connection_works(client, server));
    check_identity(client);
    check_identity(server);
    (void)pl_stream_ref(client);
    pl_stream_close(client);
    CHECK_EQ_INT(pl_stream_peer_identity(client, &identity), PL_ECLOSED);
    pl_stream_unref(client);
    pl_stream_close(server);
}

TASK_CASE(a_client_may_let_the_server_act_in_its_name)
{
    const pl_pipe_connect_options options = {.size = sizeof options, .impersonate = 1};
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pl_pipe_connect(&client, name, &options), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    if (server)
        check_identity(server);
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

TASK_CASE(a_connection_over_the_network_has_no_identity)
{
    pl_stream *client;
    pl_stream *server;
    pl_peer_identity identity;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_stream_peer_identity(client, &identity), PL_ENOTSUP);
    pl_stream_close(client);
    pl_stream_close(server);
}

/* --- Files of names ----------------------------------------------------------------------------------------------- */

/* True: the case is skipped. */
static bool skip_without_files(void)
{
    if (!pipe_files_exist())
        skip_case("named pipes have no files here");
    return !pipe_files_exist();
}

TASK_CASE(a_names_file_is_for_its_user_unless_said_otherwise)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .mode = 0666};
    char name[NAME_ROOM];
    char path[PATH_ROOM];
    pl_listener *listener;
    if (skip_without_files())
        return;
    listener = listen_with(name, NULL);
    pipe_file_path(name, path, sizeof path);
    CHECK_EQ_INT(pipe_file_mode(path), 0600);
    pl_listener_close(listener);
    listener = listen_with(name, &options);
    pipe_file_path(name, path, sizeof path);
    CHECK_EQ_INT(pipe_file_mode(path), 0666);
    pl_listener_close(listener);
    CHECK_EQ_INT(pipe_file_mode(path), -1);
}

TASK_CASE(a_path_is_taken_as_it_is)
{
    pl_listener *listener = NULL;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    char path[PATH_ROOM];
    char name[NAME_ROOM];
    make_name(name);
    snprintf(path, sizeof path, pipe_files_exist() ? "./%s" : "\\\\.\\pipe\\%s", name);
    REQUIRE_EQ_INT(pl_pipe_listen(&listener, path, NULL), PL_OK);
    CHECK((pipe_file_mode(path) >= 0) == pipe_files_exist());
    CHECK_EQ_INT(pl_pipe_connect(&client, path, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    client = NULL;
    pl_stream_close(server);
    if (!pipe_files_exist()) { /* the same, by its name alone */
        CHECK_EQ_INT(pl_pipe_connect(&client, name, NULL), PL_OK);
        pl_stream_close(client);
    }
    pl_listener_close(listener);
    CHECK_EQ_INT(pipe_file_mode(path), -1);
}

TASK_CASE(a_file_that_is_no_pipe_is_not_connected_to)
{
    pl_stream *stream = NULL;
    int64_t rc;
    path_remove("pipe_test_file");
    REQUIRE(file_make("pipe_test_file", "abc", 3));
    rc = pl_pipe_connect(&stream, "./pipe_test_file", NULL);
    CHECK(rc == PL_ECONNREFUSED || rc == PL_EINVAL);
    CHECK(stream == NULL);
    path_remove("pipe_test_file");
}

TASK_CASE(a_stale_file_is_removed_only_if_asked_for)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .replace_stale = 1};
    char name[NAME_ROOM];
    char path[PATH_ROOM];
    pl_listener *listener = NULL;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    if (skip_without_files())
        return;
    make_name(name);
    snprintf(path, sizeof path, "./%s", name);
    REQUIRE(pipe_file_leave_stale(path, false));
    CHECK_EQ_INT(pl_pipe_connect(&client, path, NULL), PL_ECONNREFUSED);
    CHECK_EQ_INT(pl_pipe_listen(&listener, path, NULL), PL_EADDRINUSE);
    CHECK(pipe_file_mode(path) >= 0);
    REQUIRE_EQ_INT(pl_pipe_listen(&listener, path, &options), PL_OK);
    CHECK_EQ_INT(pl_pipe_connect(&client, path, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
    CHECK_EQ_INT(pipe_file_mode(path), -1);
}

/* Loops in several threads that all want the name of a stale file. */
enum { RIVALS = 3 };

static struct {
    const char *path;
    test_gate start;
    pl__atomic_i64 tried;
    pl__atomic_i64 listening;
} rivalry;

static int64_t listen_as_rival(void *arg)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .replace_stale = 1};
    pl_listener *listener = NULL;
    int64_t rc = pl_pipe_listen(&listener, rivalry.path, &options);
    (void)arg;
    (void)pl__atomic_i64_add(&rivalry.listening, rc == PL_OK);
    (void)pl__atomic_i64_add(&rivalry.tried, 1);
    while (pl__atomic_i64_load(&rivalry.tried) < RIVALS) /* nobody leaves before all have come */
        (void)pl_sleep(PL_US(100));
    pl_listener_close(listener);
    return rc;
}

static void be_rival(void *result)
{
    test_gate_wait(&rivalry.start);
    *(int64_t *)result = pl_run(listen_as_rival, NULL, NULL);
}

TASK_CASE(a_stale_file_gives_its_name_to_one_of_several)
{
    char name[NAME_ROOM];
    char path[PATH_ROOM];
    if (skip_without_files())
        return;
    make_name(name);
    snprintf(path, sizeof path, "./%s", name);
    rivalry.path = path;
    for (int round = scaled(200); round > 0; round--) {
        test_thread threads[RIVALS];
        int64_t results[RIVALS] = {0};
        REQUIRE(pipe_file_leave_stale(path, false));
        pl__atomic_i64_store(&rivalry.tried, 0);
        pl__atomic_i64_store(&rivalry.listening, 0);
        test_gate_init(&rivalry.start);
        for (int i = 0; i < RIVALS; i++)
            REQUIRE(test_thread_start(&threads[i], be_rival, &results[i]));
        test_gate_open(&rivalry.start);
        for (int i = 0; i < RIVALS; i++)
            test_thread_join(&threads[i]);
        test_gate_destroy(&rivalry.start);
        for (int i = 0; i < RIVALS; i++)
            CHECK(results[i] == PL_OK || results[i] == PL_EADDRINUSE);
        if (!CHECK_EQ_INT(pl__atomic_i64_load(&rivalry.listening), 1) || !CHECK_EQ_INT(pipe_file_mode(path), -1))
            return;
    }
}

TASK_CASE(a_file_that_is_no_socket_is_never_removed)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .replace_stale = 1};
    pl_listener *listener = NULL;
    pl_file_info info;
    if (skip_without_files())
        return;
    path_remove("pipe_test_file");
    REQUIRE(file_make("pipe_test_file", "abc", 3));
    CHECK_EQ_INT(pl_pipe_listen(&listener, "./pipe_test_file", &options), PL_EADDRINUSE);
    CHECK_EQ_INT(pl_file_stat("pipe_test_file", &info), PL_OK);
    CHECK_EQ_INT(info.size, 3);
    path_remove("pipe_test_file");
}

TASK_CASE(a_closed_listener_leaves_a_file_that_is_not_its_own)
{
    char name[NAME_ROOM];
    char path[PATH_ROOM];
    pl_listener *listener = NULL;
    if (skip_without_files())
        return;
    make_name(name);
    snprintf(path, sizeof path, "./%s", name);
    REQUIRE_EQ_INT(pl_pipe_listen(&listener, path, NULL), PL_OK);
    path_remove(path);
    REQUIRE(file_make("pipe_test_other", "x", 1)); /* so that the file's number is not used again */
    REQUIRE(pipe_file_leave_stale(path, false));
    pl_listener_close(listener);
    CHECK(pipe_file_mode(path) >= 0);
    path_remove(path);
    path_remove("pipe_test_other");
}

/* --- Messages ----------------------------------------------------------------------------------------------------- */

TASK_CASE(messages_keep_their_bounds)
{
    pl_stream *client;
    pl_stream *server;
    char data[64];
    const void *lent = NULL;
    REQUIRE(connect_named(&client, &server, true));
    CHECK_EQ_INT(pl_write(client, "one", 3), PL_OK);
    CHECK_EQ_INT(pl_write(client, "fifteen", 7), PL_OK);
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_OK);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 3);
    CHECK_MEM(data, "one", 3);
    CHECK_EQ_INT(pl_read_borrow(server, &lent), 7);
    if (lent)
        CHECK_MEM(lent, "fifteen", 7);
    CHECK_EQ_INT(pl_read_return(server), PL_OK);
    CHECK_EQ_INT(pl_read(server, data, 1), 1);
    pl_stream_close(client);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 0);
    pl_stream_close(server);
}

TASK_CASE(a_message_that_does_not_fit_stays)
{
    pl_stream *client;
    pl_stream *server;
    char data[64] = "";
    REQUIRE(connect_named(&client, &server, true));
    CHECK_EQ_INT(pl_write(client, "0123456789", 10), PL_OK);
    CHECK_EQ_INT(pl_write(client, "next", 4), PL_OK);
    CHECK_EQ_INT(pl_read(server, data, 9), PL_EMSGSIZE);
    CHECK_EQ_INT(pl_read(server, data, 1), PL_EMSGSIZE);
    CHECK_EQ_INT(pl_read(server, data, 10), 10);
    CHECK_MEM(data, "0123456789", 10);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 4);
    pl_stream_close(client);
    pl_stream_close(server);
}

TASK_CASE(a_message_that_does_not_fit_when_it_comes_stays_too)
{
    pl_stream *client;
    pl_stream *server;
    pl_op op = {0};
    char data[64] = "";
    REQUIRE(connect_named(&client, &server, true));
    CHECK_EQ_INT(pl_read_start(&op, server, data, 9), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_write(client, "0123456789", 10), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_EMSGSIZE);
    CHECK_EQ_INT(pl_read(server, data, 10), 10);
    CHECK_MEM(data, "0123456789", 10);
    pl_stream_close(client);
    pl_stream_close(server);
}

TASK_CASE(several_buffers_are_one_message)
{
    const pl_buffer buffers[] = {{"ab", 2}, {NULL, 0}, {"cde", 3}};
    const pl_buffer none[] = {{"", 0}, {NULL, 0}};
    pl_stream *client;
    pl_stream *server;
    char data[64] = "";
    REQUIRE(connect_named(&client, &server, true));
    CHECK_EQ_INT(pl_write_buffers(client, buffers, 3), PL_OK);
    CHECK_EQ_INT(pl_write_buffers(client, buffers, 1), PL_OK);
    CHECK_EQ_INT(pl_write_buffers(client, none, 2), PL_EINVAL);
    CHECK_EQ_INT(pl_write(client, "", 0), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_flush(client), PL_OK);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 5);
    CHECK_MEM(data, "abcde", 5);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 2);
    pl_stream_close(client);
    pl_stream_close(server);
}

TASK_CASE(large_messages_are_whole)
{
    enum { SIZE = 100000 };
    static char out[SIZE], in[SIZE];
    pl_stream *client;
    pl_stream *server;
    pl_op op = {0};
    const void *lent;
    REQUIRE(connect_named(&client, &server, true));
    pattern_fill(out, SIZE, 0);
    CHECK_EQ_INT(pl_write_start(&op, client, out, SIZE), PL_OK);
    CHECK_EQ_INT(pl_read_borrow(server, &lent), PL_EMSGSIZE);
    CHECK_EQ_INT(pl_read(server, in, SIZE - 1), PL_EMSGSIZE);
    CHECK_EQ_INT(pl_read(server, in, SIZE), SIZE);
    CHECK_MEM(in, out, SIZE);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    pl_stream_close(client);
    pl_stream_close(server);
}

TASK_CASE(a_message_too_large_for_the_system_was_not_sent_and_breaks_nothing)
{
    enum { SIZE = 64 << 20 };
    pl_stream *client;
    pl_stream *server;
    char data[8];
    char *huge;
    if (!pipe_files_exist()) {
        skip_case("Windows has no limit that is within reach");
        return;
    }
    huge = calloc(1, SIZE);
    REQUIRE(huge != NULL);
    REQUIRE_OR(connect_named(&client, &server, true), free(huge); return);
    CHECK_EQ_INT(pl_write(client, huge, SIZE), PL_EMSGSIZE);
    CHECK_EQ_INT(pl_write(client, "ok", 2), PL_OK);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 2);
    free(huge);
    pl_stream_close(client);
    pl_stream_close(server);
}

/* A foreign client writes no bytes first. In a stream of bytes that is nothing, and not the end. */
static void check_nothing_written(bool messages, bool borrow, bool waits)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .message = messages};
    pl_listener *listener = NULL;
    pl_stream *server = NULL;
    const void *lent = NULL;
    pl_op accepting = {0};
    char path[PATH_ROOM];
    char name[NAME_ROOM];
    char data[8] = "";
    make_name(name);
    snprintf(path, sizeof path, pipe_files_exist() ? "./%s" : "\\\\.\\pipe\\%s", name);
    REQUIRE_EQ_INT(pl_pipe_listen(&listener, path, &options), PL_OK);
    CHECK_EQ_INT(pl_accept_start(&accepting, listener, &server), PL_OK);
    if (waits)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK(pipe_file_write_nothing(path, "full", messages));
    REQUIRE_EQ_INT(pl_op_await(&accepting), PL_OK);
    if (borrow) {
        CHECK_EQ_INT(pl_read_borrow(server, &lent), 4);
        CHECK_EQ_INT(pl_read_return(server), PL_OK);
    } else {
        CHECK_EQ_INT(pl_read(server, data, sizeof data), 4);
        CHECK_MEM(data, "full", 4);
    }
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 0);
    pl_stream_close(server);
    pl_listener_close(listener);
}

TASK_CASE(what_others_write_of_no_bytes_is_passed_over)
{
    int i;
    for (i = 0; i < 8; i++)
        check_nothing_written((i & 1) != 0, (i & 2) != 0, (i & 4) != 0);
}

TASK_CASE(one_that_wants_messages_is_not_connected_to_one_that_has_none)
{
    const pl_pipe_connect_options options = {.size = sizeof options, .message = 1};
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_stream *stream = NULL;
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pl_pipe_connect(&stream, name, &options), PL_ENOTSUP);
    CHECK(stream == NULL);
    pl_listener_close(listener);
}

TASK_CASE(many_messages_arrive_in_order_and_whole)
{
    enum { COUNT = 300 };
    pl_stream *client;
    pl_stream *server;
    dice d = dice_of(5);
    dice e = dice_of(5);
    static char out[3000], in[3000];
    int sent = 0;
    int i;
    REQUIRE(connect_named(&client, &server, true));
    for (i = 0; i < COUNT; i++) {
        size_t size = 1 + throw_below(&e, sizeof in);
        while (sent < COUNT && sent < i + 10) { /* a few are on their way */
            size_t piece = 1 + throw_below(&d, sizeof out);
            pattern_fill(out, piece, (uint64_t)sent++);
            CHECK_EQ_INT(pl_write(client, out, piece), PL_OK);
        }
        if (!CHECK_EQ_INT(pl_read(server, in, sizeof in), size))
            break;
        CHECK(pattern_holds(in, size, (uint64_t)i));
    }
    pl_stream_close(client);
    pl_stream_close(server);
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

/* The fourfold: the waiter's cancel comes before the call, while it waits, when the byte has come and nobody has looked,
 * and when the operation is done and its waiter has not run. Each byte is read once, whatever happens. */
static int64_t finish_read(pl_op *op, pl_stream *stream, bool borrow, const void **lent, char *byte)
{
    int64_t rc = pl_op_finish(op);
    if (rc == 1 && borrow) {
        *byte = *(const char *)*lent;
        CHECK_EQ_INT(pl_read_return(stream), PL_OK);
    }
    return rc;
}

static void check_cancelled_reads(pl_stream *from, pl_stream *to, bool borrow)
{
    dice d = dice_of(77);
    char next_out = 0, next_in = 0;
    int cancelled = 0, read = 0;
    int i;
    for (i = 0; i < 400; i++) {
        const void *lent = NULL;
        char byte = 0;
        char value = next_out;
        uint64_t before = throw_below(&d, 3);
        uint64_t after = throw_below(&d, 3);
        bool writes = throw_below(&d, 2) == 0;
        pl_op op = {0};
        int64_t rc;
        CHECK_EQ_INT(borrow ? pl_read_borrow_start(&op, to, &lent) : pl_read_start(&op, to, &byte, 1), PL_OK);
        while (before-- > 0)
            CHECK_EQ_INT(pl_yield(), PL_OK);
        if (writes && next_out - next_in < 1) {
            CHECK_EQ_INT(pl_write(from, &value, 1), PL_OK);
            next_out++;
        }
        while (after-- > 0)
            CHECK_EQ_INT(pl_yield(), PL_OK);
        rc = finish_read(&op, to, borrow, &lent, &byte);
        if (rc == PL_ECANCELED) {
            cancelled++;
        } else if (CHECK_EQ_INT(rc, 1)) {
            read++;
            CHECK_EQ_INT(byte, next_in);
            next_in++;
        }
        if (next_in == 100 && next_out == 100)
            next_in = next_out = 0;
    }
    if (next_out != next_in) {
        char byte = 0;
        CHECK_EQ_INT(pl_read(to, &byte, 1), 1);
        CHECK_EQ_INT(byte, next_in);
    }
    CHECK(cancelled > 0 && read > 0);
}

TASK_CASE(a_cancelled_read_loses_nothing)
{
    pl_stream *client;
    pl_stream *server;
    pl_stream *reader;
    pl_stream *writer;
    int messages;
    for (messages = 0; messages < 2; messages++) {
        REQUIRE(connect_named(&client, &server, messages != 0));
        check_cancelled_reads(client, server, false);
        check_cancelled_reads(server, client, true);
        pl_stream_close(client);
        pl_stream_close(server);
    }
    REQUIRE(open_pair(&reader, &writer));
    check_cancelled_reads(writer, reader, false);
    check_cancelled_reads(writer, reader, true);
    pl_stream_close(reader);
    pl_stream_close(writer);
}

TASK_CASE(calls_in_a_scope_that_ran_out_do_nothing)
{
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_stream *stream = NULL;
    pl_stream *reader;
    pl_stream *writer;
    pl_timeout timeout = {0};
    char data[8];
    REQUIRE(listener != NULL && open_pair(&reader, &writer));
    CHECK_EQ_INT(pl_write(writer, "x", 1), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin(&timeout, 0), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_SECONDS(100)), PL_ECANCELED);
    CHECK_EQ_INT(pl_pipe_connect(&stream, name, NULL), PL_ECANCELED);
    CHECK_EQ_INT(pl_accept(listener, &stream), PL_ECANCELED);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), PL_ECANCELED);
    CHECK_EQ_INT(pl_write(writer, "y", 1), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&timeout, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), 1);
    CHECK_EQ_INT(pl_stream_bytes_written(writer), 1);
    CHECK(stream == NULL);
    pl_stream_close(reader);
    pl_stream_close(writer);
    pl_listener_close(listener);
}

TASK_CASE(a_read_that_waits_ends_with_its_time_limit)
{
    pl_stream *client;
    pl_stream *server;
    pl_timeout timeout = {0};
    char data[8];
    REQUIRE(connect_named(&client, &server, false));
    CHECK_EQ_INT(pl_timeout_begin(&timeout, PL_MS(5)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&timeout, pl_read(client, data, sizeof data)), PL_ETIMEDOUT);
    CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
}

TASK_CASE(a_write_that_waits_is_cancelled_and_says_what_that_means)
{
    static char big[4000000];
    pl_stream *client;
    pl_stream *server;
    pl_op op = {0};
    pl_op second = {0};
    char byte;
    REQUIRE(connect_named(&client, &server, false));
    pattern_fill(big, sizeof big, 0);
    CHECK_EQ_INT(pl_write_start(&op, client, big, sizeof big), PL_OK);
    CHECK_EQ_INT(pl_write_start(&second, client, "second", 6), PL_OK);
    CHECK_EQ_INT(pl_read(server, &byte, 1), 1);
    CHECK_EQ_INT(pl_op_finish(&second), PL_ECANCELED); /* it had not begun: nothing happened */
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_EBROKEN);
    CHECK(pl_stream_bytes_written(client) < (int64_t)sizeof big);
    pl_stream_close(client);
    pl_stream_close(server);
}

/* The server accepts what comes and sees the end of it. */
static int64_t drain_connections(void *arg)
{
    pl_listener *listener = arg;
    pl_stream *stream = NULL;
    while (pl_accept(listener, &stream) == PL_OK) {
        int64_t rc = read_to_end(stream);
        CHECK(rc == 0 || rc == PL_ECONNRESET);
        pl_stream_close(stream);
    }
    pl_listener_unref(listener);
    return 0;
}

/* Either there is a connection, or nothing is left open: the harness counts handles, and the server would wait for the
 * end of a connection that stayed. */
static void connect_and_cancel(const char *name, uint64_t yields)
{
    pl_stream *stream = NULL;
    pl_op op = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_pipe_connect_start(&op, &stream, name, NULL), PL_OK);
    while (yields-- > 0)
        pl_yield();
    rc = pl_op_finish(&op);
    CHECK(rc == PL_OK || rc == PL_ECANCELED);
    CHECK((rc == PL_OK) == (stream != NULL));
    pl_stream_close(stream);
}

static void connect_within(const char *name, pl_duration limit)
{
    pl_stream *stream = NULL;
    pl_timeout timeout = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin(&timeout, limit), PL_OK);
    rc = pl_timeout_end(&timeout, pl_pipe_connect(&stream, name, NULL));
    CHECK(rc == PL_OK || rc == PL_ETIMEDOUT);
    CHECK((rc == PL_OK) == (stream != NULL));
    pl_stream_close(stream);
}

TASK_CASE(a_cancelled_connect_leaves_nothing_open)
{
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_group servers = {0};
    dice d = dice_of(11);
    int i;
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pl_group_begin(&servers, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&servers, drain_connections, pl_listener_ref(listener), NULL), PL_OK);
    for (i = 0; i < 60; i++) {
        connect_and_cancel(name, throw_below(&d, 40));
        connect_within(name, PL_US(throw_below(&d, 1000)));
    }
    pl_listener_close(listener);
    CHECK_EQ_INT(pl_group_end(&servers, 0), 0);
}

TASK_CASE(a_cancelled_accept_loses_no_connection)
{
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    dice d = dice_of(13);
    int accepted = 0;
    int i;
    REQUIRE(listener != NULL);
    for (i = 0; i < 60; i++) {
        pl_stream *client = NULL;
        pl_stream *server = NULL;
        pl_op accepting = {0};
        pl_op connecting = {0};
        uint64_t yields = throw_below(&d, 40);
        int64_t rc;
        CHECK_EQ_INT(pl_accept_start(&accepting, listener, &server), PL_OK);
        CHECK_EQ_INT(pl_pipe_connect_start(&connecting, &client, name, NULL), PL_OK);
        while (yields-- > 0)
            pl_yield();
        rc = pl_op_finish(&accepting);
        accepted += rc == PL_OK;
        CHECK_EQ_INT(pl_op_await(&connecting), PL_OK);
        if (rc == PL_ECANCELED)
            CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
        if (client && server)
            CHECK(connection_works(client, server));
        pl_stream_close(client);
        pl_stream_close(server);
    }
    CHECK(accepted < 60);
    pl_listener_close(listener);
}

TASK_CASE(waiting_accepts_of_a_closed_listener_are_told)
{
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_stream *stream = NULL;
    pl_op op = {0};
    REQUIRE(listener != NULL);
    CHECK_EQ_INT(pl_accept_start(&op, listener, &stream), PL_OK);
    (void)pl_listener_ref(listener);
    pl_listener_close(listener);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
    CHECK_EQ_INT(pl_accept(listener, &stream), PL_ECLOSED);
    pl_listener_unref(listener);
}

TASK_CASE(clients_that_nobody_accepted_see_the_listener_go)
{
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_stream *clients[5] = {NULL};
    char data[8];
    int i;
    REQUIRE(listener != NULL);
    for (i = 0; i < 5; i++)
        CHECK_EQ_INT(pl_pipe_connect(&clients[i], name, NULL), PL_OK);
    pl_listener_close(listener);
    for (i = 0; i < 5; i++) {
        int64_t rc = pl_read(clients[i], data, sizeof data);
        CHECK(rc == 0 || rc == PL_ECONNRESET);
        pl_stream_close(clients[i]);
    }
}

TASK_CASE(a_client_that_left_before_it_was_accepted_disturbs_nobody)
{
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, NULL);
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    char data[8];
    int64_t rc = 0;
    int i;
    REQUIRE(listener != NULL);
    for (i = 0; i < 6; i++) { /* a listener holds eight */
        CHECK_EQ_INT(pl_pipe_connect(&client, name, NULL), PL_OK);
        pl_stream_close(client);
    }
    CHECK_EQ_INT(pl_pipe_connect(&client, name, NULL), PL_OK);
    CHECK_EQ_INT(pl_write(client, "here", 4), PL_OK);
    while (rc == 0 && pl_accept(listener, &server) == PL_OK) { /* the others may still be there: each at its end */
        rc = pl_read(server, data, sizeof data);
        pl_stream_close(server);
    }
    CHECK_EQ_INT(rc, 4);
    pl_stream_close(client);
    pl_listener_close(listener);
}

/* --- A busy server ------------------------------------------------------------------------------------------------ */

enum { CROWD = 24, ROOM_LEAST = 8, ROOM_MOST = 12 };

/* How many connects of the crowd have ended. */
static int count_connected(const pl_op *ops)
{
    int count = 0;
    int i;
    for (i = 0; i < CROWD; i++)
        count += !pl_op_is_pending(&ops[i]);
    return count;
}

static int64_t connect_late(const char *name, pl_stream **late)
{
    pl_timeout timeout = {0};
    CHECK_EQ_INT(pl_timeout_begin(&timeout, PL_MS(20)), PL_OK);
    return pl_timeout_end(&timeout, pl_pipe_connect(late, name, NULL));
}

/* Nobody accepts: eight are held by the listener; on Unix one or two wait in the system. The others try again and again. */
TASK_CASE(clients_of_a_busy_server_try_again_until_there_is_room)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .backlog = 1};
    char name[NAME_ROOM];
    pl_listener *listener = listen_with(name, &options);
    pl_stream *clients[CROWD] = {NULL};
    pl_stream *late[ROOM_MOST + 1] = {NULL};
    static pl_op ops[CROWD];
    int came_late = 0;
    int64_t rc = PL_OK;
    int i;
    REQUIRE(listener != NULL);
    memset(ops, 0, sizeof ops);
    for (i = 0; i < CROWD; i++)
        CHECK_EQ_INT(pl_pipe_connect_start(&ops[i], &clients[i], name, NULL), PL_OK);
    while (count_connected(ops) < ROOM_LEAST)
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    while (came_late < ROOM_MOST && (rc = connect_late(name, &late[came_late])) == PL_OK)
        came_late++; /* there was room for one more */
    CHECK_EQ_INT(rc, PL_ETIMEDOUT);
    CHECK(late[came_late] == NULL);
    CHECK(count_connected(ops) + came_late <= ROOM_MOST);
    for (i = 0; i < CROWD + came_late; i++) {
        pl_stream *server = NULL;
        CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
        pl_stream_close(server);
    }
    for (i = 0; i < CROWD; i++) {
        CHECK_EQ_INT(pl_op_await(&ops[i]), PL_OK);
        pl_stream_close(clients[i]);
    }
    while (came_late > 0)
        pl_stream_close(late[--came_late]);
    pl_listener_close(listener);
}

/* --- Without memory ----------------------------------------------------------------------------------------------- */

static failing_allocation memory;

static void use_messages(pl_stream *client, pl_stream *server)
{
    const pl_buffer buffers[] = {{"ab", 2}, {"cde", 3}};
    char data[8];
    const void *lent;
    if (pl_write_buffers(client, buffers, 2) == PL_OK)
        CHECK_EQ_INT(pl_read(server, data, sizeof data), 5);
    CHECK_EQ_INT(pl_write(server, "xyz", 3), PL_OK);
    if (pl_read_borrow(client, &lent) == PL_ENOMEM)
        CHECK_EQ_INT(pl_read(client, data, sizeof data), 3); /* it took nothing */
    else
        CHECK_EQ_INT(pl_read_return(client), PL_OK);
}

static void use_all_kinds(const char *name)
{
    const pl_pipe_listen_options listening = {.size = sizeof listening, .message = 1};
    const pl_pipe_connect_options connecting = {.size = sizeof connecting, .message = 1};
    pl_listener *listener = NULL;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    int64_t rc = pl_pipe_listen(&listener, name, &listening);
    CHECK(rc == PL_OK || rc == PL_ENOMEM);
    if (rc == PL_OK) {
        rc = pl_pipe_connect(&client, name, &connecting);
        CHECK(rc == PL_OK || rc == PL_ENOMEM);
    }
    if (rc == PL_OK) {
        rc = pl_accept(listener, &server);
        CHECK(rc == PL_OK || rc == PL_ENOMEM);
    }
    if (client && server)
        use_messages(client, server);
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
    rc = pl_pipe_pair(&client, &server);
    CHECK(rc == PL_OK || rc == PL_ENOMEM);
    CHECK((rc == PL_OK) == (client != NULL) && (rc == PL_OK) == (server != NULL));
    pl_stream_close(client);
    pl_stream_close(server);
}

static int64_t use_without_memory(void *arg)
{
    char name[NAME_ROOM];
    make_name(name);
    memory.fail_at = memory.calls + *(int *)arg;
    use_all_kinds(name);
    memory.fail_at = 0;
    return 0;
}

TEST_CASE(without_memory_each_call_says_so_and_leaves_nothing)
{
    int nth;
    bool failed = true;
    REQUIRE_EQ_INT(failing_allocation_begin(&memory), PL_OK);
    for (nth = 1; failed && nth < 200; nth++) {
        fixture f;
        int before;
        memory.fail_at = 0;
        REQUIRE_OR(fixture_open(&f, t), break);
        before = memory.calls;
        CHECK_EQ_INT(run_task(&f, use_without_memory, &nth), 0);
        failed = memory.calls - before >= nth;
        f.reports[0] = 0; /* a listener without memory may report that it pauses */
        fixture_close(&f);
    }
    CHECK(nth > 5 && !failed);
    t_restore_allocator();
}

/* --- The loop's end ----------------------------------------------------------------------------------------------- */

static struct {
    char name[NAME_ROOM];
    char busy[NAME_ROOM];
    pl_stream *clients[ROOM_MOST + 4];
    pl_op connecting[ROOM_MOST + 4];
    pl_stream *reader;
    pl_stream *writer;
    pl_stream *accepted;
    pl_stream *wanted;
    pl_op reading;
    pl_op writing;
    pl_op accepting;
    pl_op opening;
    pl_listener *listener;
    pl_listener *busy_listener;
    char data[8];
    char big[4000000];
} left;

static void leave_all(void *arg)
{
    const pl_pipe_listen_options options = {.size = sizeof options, .backlog = 1};
    size_t i;
    pl_loop_stop(arg);
    make_name(left.name);
    make_name(left.busy);
    CHECK_EQ_INT(pl_pipe_listen(&left.listener, left.name, NULL), PL_OK);
    CHECK_EQ_INT(pl_pipe_listen(&left.busy_listener, left.busy, &options), PL_OK);
    CHECK_EQ_INT(pl_accept_start(&left.accepting, left.listener, &left.accepted), PL_OK);
    CHECK_EQ_INT(pl_pipe_pair(&left.reader, &left.writer), PL_OK);
    CHECK_EQ_INT(pl_read_start(&left.reading, left.reader, left.data, sizeof left.data), PL_OK);
    CHECK_EQ_INT(pl_write_start(&left.writing, left.writer, left.big, sizeof left.big), PL_OK);
    for (i = 0; i < sizeof left.connecting / sizeof left.connecting[0]; i++)
        CHECK_EQ_INT(pl_pipe_connect_start(&left.connecting[i], &left.clients[i], left.busy, NULL), PL_OK);
    CHECK_EQ_INT(pl_pipe_connect_start(&left.opening, &left.wanted, left.name, NULL), PL_OK);
}

TEST_CASE(what_is_under_way_ends_with_its_loop)
{
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    pl_loop *loop = NULL;
    size_t i;
    memset(&left, 0, sizeof left);
    REQUIRE_EQ_INT(pl_loop_create(&loop, &options), PL_OK);
    CHECK_EQ_INT(pl_call_soon(loop, leave_all, loop, NULL), PL_OK);
    CHECK_EQ_INT(pl_loop_run_forever(loop), PL_OK);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    CHECK(!pl_op_is_pending(&left.reading) && !pl_op_is_pending(&left.writing));
    CHECK(!pl_op_is_pending(&left.accepting) && !pl_op_is_pending(&left.opening));
    CHECK_EQ_INT(pl_op_result(&left.accepting), PL_ECLOSED);
    CHECK_EQ_INT(pl_op_result(&left.writing), PL_ECLOSED);
    CHECK(pl_op_result(&left.opening) < 0);
    CHECK(left.accepted == NULL && left.wanted == NULL);
    for (i = 0; i < sizeof left.connecting / sizeof left.connecting[0]; i++) {
        CHECK(!pl_op_is_pending(&left.connecting[i]));
        CHECK((pl_op_result(&left.connecting[i]) == PL_OK) == (left.clients[i] != NULL));
        pl_stream_close(left.clients[i]);
    }
    pl_stream_close(left.reader);
    pl_stream_close(left.writer);
    pl_listener_close(left.listener);
    pl_listener_close(left.busy_listener);
}

TEST_SUITE(pipe, TEST_BACKENDS_REAL,
           CASE(the_simulation_has_no_pipes_and_each_call_says_so),
           CASE(what_is_written_to_a_pair_is_read_in_order),
           CASE(the_reader_sees_the_end_after_the_writers_close),
           CASE(a_shut_writer_has_written_everything_and_writes_no_more),
           CASE(a_pair_has_one_direction),
           CASE(what_is_of_sockets_alone_a_pair_refuses_and_goes_on),
           CASE(writing_when_the_reader_is_closed_is_an_error_and_no_signal),
           CASE(a_waiting_writer_is_told_that_the_reader_has_closed),
           CASE(several_buffers_go_out_in_order),
           CASE(a_file_is_not_sent_into_a_pair),
           CASE(what_a_closed_writer_has_queued_still_arrives),
           CASE(a_closed_writer_that_nobody_reads_gives_up_after_its_linger),
           CASE(a_pair_needs_a_loop_that_runs),
           CASE(a_named_pipe_carries_bytes_both_ways),
           CASE(both_directions_at_once_disturb_neither),
           CASE(many_clients_at_once_are_all_served),
           CASE(connecting_where_nobody_listens_is_refused),
           CASE(a_name_is_free_again_when_its_listener_is_closed),
           CASE(a_name_belongs_to_one_listener),
           CASE(bad_arguments_are_refused_and_change_nothing),
           CASE(a_listener_of_pipes_has_no_address),
           CASE(a_text_that_describes_no_access_is_refused),
           CASE(access_in_text_form_lets_its_own_process_in),
           CASE(what_was_written_before_a_close_is_read_after_it),
           CASE(bytes_stay_readable_though_the_writer_is_long_closed),
           CASE(half_close_is_there_or_says_that_it_is_not),
           CASE(after_the_peers_close_reads_end_and_writes_fail),
           CASE(an_abort_ends_a_waiting_peer),
           CASE(closing_gives_the_reader_of_this_end_closed),
           CASE(both_ends_know_who_the_other_is),
           CASE(a_client_may_let_the_server_act_in_its_name),
           CASE(a_connection_over_the_network_has_no_identity),
           CASE(a_names_file_is_for_its_user_unless_said_otherwise),
           CASE(a_path_is_taken_as_it_is),
           CASE(a_file_that_is_no_pipe_is_not_connected_to),
           CASE(a_stale_file_is_removed_only_if_asked_for),
           CASE(a_stale_file_gives_its_name_to_one_of_several),
           CASE(a_file_that_is_no_socket_is_never_removed),
           CASE(a_closed_listener_leaves_a_file_that_is_not_its_own),
           CASE(messages_keep_their_bounds),
           CASE(a_message_that_does_not_fit_stays),
           CASE(a_message_that_does_not_fit_when_it_comes_stays_too),
           CASE(several_buffers_are_one_message),
           CASE(large_messages_are_whole),
           CASE(a_message_too_large_for_the_system_was_not_sent_and_breaks_nothing),
           CASE(what_others_write_of_no_bytes_is_passed_over),
           CASE(one_that_wants_messages_is_not_connected_to_one_that_has_none),
           CASE(many_messages_arrive_in_order_and_whole),
           CASE(a_cancelled_read_loses_nothing),
           CASE(calls_in_a_scope_that_ran_out_do_nothing),
           CASE(a_read_that_waits_ends_with_its_time_limit),
           CASE(a_write_that_waits_is_cancelled_and_says_what_that_means),
           CASE(a_cancelled_connect_leaves_nothing_open),
           CASE(a_cancelled_accept_loses_no_connection),
           CASE(waiting_accepts_of_a_closed_listener_are_told),
           CASE(clients_that_nobody_accepted_see_the_listener_go),
           CASE(a_client_that_left_before_it_was_accepted_disturbs_nobody),
           CASE(clients_of_a_busy_server_try_again_until_there_is_room),
           CASE(without_memory_each_call_says_so_and_leaves_nothing),
           CASE(what_is_under_way_ends_with_its_loop))
