/* A conversation in which somebody is cancelled at the k-th iteration of the loop, for every k until it ends by
 * itself: so at every wait there is. Whenever it comes, nothing is leaked, nothing hangs, and what was acknowledged
 * has arrived.
 *
 * The client has two connections, one after the other. On the first each record is echoed; on the second it sends
 * only, half closes, and is told how much came. A server accepts, with a task for each connection.
 */
#include <proloop/proloop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "system.h"

#define FILE_NAME "suspension_test_file"

enum {
    ECHOES = 12,
    ECHO_MAX = 3000,
    PIECES = 10,
    PIECE = 6000,
    HANDLERS_MAX = 4,
    ITERATIONS_MAX = 20000,
    LEAST_K = 20,
    FILE_SIZE = 60000,
    FILE_ROUNDS = 4
};

static const pl_duration hang_limit = PL_SECONDS(20);

enum method { BY_CLIENT, BY_SERVER, BY_HANDLERS, BY_GROUP, BY_TIMEOUT, BY_ALL, BY_CLOSE };

typedef struct conversation {
    pl_loop *loop;
    pl_listener *listener;
    uint16_t port;
    pl_task *client;
    pl_task *server;
    pl_task *handlers[HANDLERS_MAX];
    int handler_count;
    pl_group *group;     /* the client's, while it is open */
    pl_timeout *timeout; /* likewise */
    dice dice;
    bool files;

    int64_t echo_received; /* by the server, in place */
    int64_t echo_acknowledged;
    int64_t received;     /* on the second connection */
    int64_t acknowledged; /* the sum of the writes that said so */
    int64_t written;      /* as the stream says at the end */
    bool uploading;
    bool upload_ended; /* the server saw the end of it */
    int64_t file_received;
    int reports;
} conversation;

static void note_report(pl_loop *loop, const pl_report *report, void *arg)
{
    conversation *c = arg;
    (void)loop;
    (void)report;
    c->reports++;
}

static void stop_listening(conversation *c)
{
    pl_listener_close(c->listener);
    c->listener = NULL;
}

/* --- The server --- */

typedef struct handling {
    conversation *conversation;
    pl_stream *stream;
} handling;

static void drop_handling(void *arg)
{
    handling *h = arg;
    pl_stream_close(h->stream);
    free(h);
}

static int64_t echo(conversation *c, pl_stream *stream)
{
    const void *data;
    int64_t n;
    while ((n = pl_read_borrow(stream, &data)) > 0) {
        int64_t rc;
        CHECK(pattern_holds(data, (size_t)n, (uint64_t)c->echo_received));
        c->echo_received += n;
        rc = pl_write(stream, data, (size_t)n);
        CHECK_EQ_INT(pl_read_return(stream), PL_OK);
        if (rc < 0)
            return rc;
    }
    return n;
}

static int64_t take_upload(conversation *c, pl_stream *stream)
{
    uint8_t data[4096];
    int64_t n;
    while ((n = pl_read(stream, data, sizeof data)) > 0) {
        CHECK(pattern_holds(data, (size_t)n, (uint64_t)c->received));
        c->received += n;
    }
    if (n < 0)
        return n;
    c->upload_ended = true;
    return pl_write(stream, &c->received, sizeof c->received);
}

/* What a file server does: every wait of files and names there is. */
static int64_t give_file(pl_stream *stream)
{
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    pl_file *file = NULL;
    pl_file_info info;
    pl_address found[2];
    char head[64];
    int64_t rc = pl_resolve("localhost", 80, PL_IPV4, found, 2);
    if (rc >= 0)
        rc = pl_file_stat(FILE_NAME, &info);
    if (rc >= 0)
        rc = pl_file_open(&folder, ".", NULL);
    if (rc >= 0)
        rc = pl_folder_list(folder, &listing);
    pl_folder_listing_free(&listing);
    if (rc >= 0)
        rc = pl_file_open(&file, FILE_NAME, NULL);
    if (rc >= 0)
        rc = pl_file_read(file, head, sizeof head, 0);
    if (rc >= 0)
        rc = pl_stream_send_file(stream, file, 0, FILE_SIZE / 2);
    if (rc >= 0)
        rc = pl_stream_send_file(stream, file, FILE_SIZE / 2, FILE_SIZE);
    pl_file_close(file);
    pl_file_close(folder);
    return rc < 0 ? rc : 0;
}

static int64_t handle(void *arg)
{
    handling *h = arg;
    conversation *c = h->conversation;
    int64_t rc = 0;
    int i;
    if (c->files)
        for (i = 0; rc == 0 && i < FILE_ROUNDS; i++)
            rc = give_file(h->stream);
    else if (c->uploading)
        rc = take_upload(c, h->stream);
    else
        rc = echo(c, h->stream);
    drop_handling(h);
    return rc;
}

static void start_handler(conversation *c, pl_group *group, pl_stream *stream)
{
    pl_task_options options = {.size = sizeof options, .drop = drop_handling};
    handling *h = malloc(sizeof *h);
    if (!CHECK(h != NULL) || !CHECK(c->handler_count < HANDLERS_MAX)) {
        free(h);
        pl_stream_close(stream);
        return;
    }
    *h = (handling){c, stream};
    if (pl_group_spawn_task(group, &c->handlers[c->handler_count], handle, h, &options) == PL_OK)
        c->handler_count++;
}

static int64_t serve(void *arg)
{
    conversation *c = arg;
    pl_group clients = {0};
    int64_t rc = pl_group_begin(&clients, PL_GROUP_SUPERVISE);
    while (rc == PL_OK) {
        pl_stream *stream = NULL;
        rc = c->listener ? pl_accept(c->listener, &stream) : PL_ECLOSED;
        if (rc == PL_OK)
            start_handler(c, &clients, stream);
    }
    if (rc != PL_ECLOSED)
        pl_group_cancel(&clients);
    stop_listening(c);
    return pl_group_end(&clients, rc == PL_ECLOSED ? 0 : rc);
}

/* --- The client --- */

/* As pl_read, by way of an operation. */
static int64_t read_by_operation(pl_stream *stream, void *data, size_t size)
{
    pl_op op = {0};
    int64_t rc = pl_read_start(&op, stream, data, size);
    if (rc == PL_OK)
        rc = pl_yield();
    if (rc == PL_OK)
        return pl_op_await(&op);
    (void)pl_op_finish(&op); /* what it took is lost with this conversation */
    return rc;
}

static int64_t echo_record(conversation *c, pl_stream *stream, size_t size)
{
    uint8_t record[ECHO_MAX];
    size_t back = 0;
    int64_t rc;
    pattern_fill(record, size, (uint64_t)c->echo_acknowledged);
    rc = pl_write(stream, record, size);
    memset(record, 0, size);
    while (rc >= 0 && back < size) {
        int64_t n = throw_below(&c->dice, 2) ? pl_read(stream, record + back, size - back)
                                             : read_by_operation(stream, record + back, size - back);
        if (n <= 0)
            rc = n < 0 ? n : PL_EOF;
        else
            back += (size_t)n;
    }
    if (rc < 0)
        return rc;
    CHECK(pattern_holds(record, size, (uint64_t)c->echo_acknowledged));
    c->echo_acknowledged += (int64_t)size;
    return PL_OK;
}

static int64_t echo_records(conversation *c, pl_stream *stream)
{
    int64_t rc = PL_OK;
    int i;
    for (i = 0; rc == PL_OK && i < ECHOES; i++) {
        rc = echo_record(c, stream, 1 + (size_t)throw_below(&c->dice, ECHO_MAX));
        if (rc == PL_OK && i % 4 == 0)
            rc = pl_sleep(PL_US(10));
    }
    return rc;
}

static int64_t upload_pieces(conversation *c, pl_stream *stream)
{
    uint8_t piece[PIECE];
    int64_t rc = PL_OK;
    int64_t told = -1;
    int i;
    for (i = 0; rc == PL_OK && i < PIECES; i++) {
        pattern_fill(piece, sizeof piece, (uint64_t)c->acknowledged);
        rc = pl_write(stream, piece, sizeof piece);
        if (rc == PL_OK)
            c->acknowledged += (int64_t)sizeof piece;
        if (rc == PL_OK)
            rc = pl_yield();
    }
    if (rc == PL_OK)
        rc = pl_stream_shutdown(stream);
    if (rc == PL_OK)
        rc = read_whole(stream, &told, sizeof told);
    if (rc == (int64_t)sizeof told)
        CHECK_EQ_INT(told, c->acknowledged);
    return rc < 0 ? rc : PL_OK;
}

/* The file comes again and again. */
static void take_file_bytes(conversation *c, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t place = (size_t)(c->file_received % FILE_SIZE);
        size_t run = FILE_SIZE - place < size ? FILE_SIZE - place : size;
        CHECK(pattern_holds(data, run, place));
        c->file_received += (int64_t)run;
        data += run;
        size -= run;
    }
}

static int64_t fetch_file(conversation *c, pl_stream *stream)
{
    const void *data;
    int64_t n;
    while ((n = pl_read_borrow(stream, &data)) > 0) {
        take_file_bytes(c, data, (size_t)n);
        CHECK_EQ_INT(pl_read_return(stream), PL_OK);
    }
    return n;
}

/* Clean-up that waits, and that no cancel reaches. */
static void leave(pl_stream *stream)
{
    pl_shielded region = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_shielded_begin(&region), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    rc = pl_stream_flush(stream);
    CHECK(rc != PL_ECANCELED);
    pl_shielded_end(&region);
    pl_stream_close(stream);
}

static int64_t converse(conversation *c, int64_t (*part)(conversation *, pl_stream *))
{
    pl_stream *stream = NULL;
    int64_t rc = pl_tcp_connect(&stream, "127.0.0.1", c->port, NULL);
    CHECK((rc == PL_OK) == (stream != NULL));
    if (rc < 0)
        return rc;
    rc = part(c, stream);
    if (part == upload_pieces)
        c->written = pl_stream_bytes_written(stream);
    leave(stream);
    return rc;
}

static int64_t converse_all(conversation *c)
{
    int64_t rc = converse(c, c->files ? fetch_file : echo_records);
    if (rc < 0 || c->files)
        return rc;
    c->uploading = true;
    return converse(c, upload_pieces);
}

static void close_listener_of(void *arg)
{
    stop_listening(arg);
}

static int64_t be_client(void *arg)
{
    conversation *c = arg;
    pl_timeout timeout = {0};
    pl_group group = {0};
    int64_t rc = PL_OK;
    CHECK_EQ_INT(pl_timeout_begin(&timeout, PL_FOREVER), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&group, 0), PL_OK);
    c->timeout = &timeout;
    c->group = &group;
    rc = converse_all(c);
    stop_listening(c);
    c->group = NULL;
    rc = pl_group_end(&group, rc);
    c->timeout = NULL;
    rc = pl_timeout_end(&timeout, rc);
    return rc;
}

/* --- The driver --- */

static int64_t open_listener(void *arg)
{
    conversation *c = arg;
    CHECK(listen_here(&c->listener, &c->port));
    return 0;
}

static bool is_done(pl_task *task)
{
    return pl_future_state(pl_task_future(task)) != PL_PENDING;
}

static bool begin(conversation *c, const char *backend, bool files, int k)
{
    pl_loop_options options = {.size = sizeof options, .backend = backend, .seed = (uint64_t)k + 1};
    pl_task_options as_client = {.size = sizeof as_client, .drop = close_listener_of};
    pl_task_options as_server = {.size = sizeof as_server, .drop = close_listener_of};
    pl_task *task = NULL;
    memset(c, 0, sizeof *c);
    c->dice = dice_of(5);
    c->files = files;
    if (!CHECK_EQ_INT(pl_loop_create(&c->loop, &options), PL_OK))
        return false;
    pl_loop_set_exception_handler(c->loop, note_report, c);
    as_client.loop = as_server.loop = c->loop;
    CHECK_EQ_INT(pl_spawn(&task, open_listener, c, &(pl_task_options){.size = sizeof as_client, .loop = c->loop}),
                 PL_OK);
    CHECK_EQ_INT(pl_loop_run_until_complete(c->loop, pl_task_future(task)), 0);
    pl_task_unref(task);
    return CHECK_EQ_INT(pl_spawn(&c->server, serve, c, &as_server), PL_OK) &
           CHECK_EQ_INT(pl_spawn(&c->client, be_client, c, &as_client), PL_OK);
}

/* Whether there was somebody to be cancelled. */
static bool strike(conversation *c, enum method how)
{
    bool struck = false;
    int i;
    switch (how) {
    case BY_CLIENT:
        return pl_task_cancel(c->client) == 1;
    case BY_SERVER:
        return pl_task_cancel(c->server) == 1;
    case BY_GROUP:
        if (c->group)
            pl_group_cancel(c->group);
        return c->group || !is_done(c->client);
    case BY_TIMEOUT:
        if (c->timeout)
            CHECK_EQ_INT(pl_timeout_reschedule(c->timeout, 0), PL_OK);
        return c->timeout || !is_done(c->client);
    default:
        for (i = 0; i < c->handler_count; i++)
            struck |= pl_task_cancel(c->handlers[i]) == 1;
        if (how == BY_HANDLERS)
            return struck || !is_done(c->server);
        struck |= pl_task_cancel(c->client) == 1;
        return (pl_task_cancel(c->server) == 1) | struck;
    }
}

/* What must be true whenever who was cancelled. */
static void check_truth(const conversation *c, enum method how, bool struck)
{
    bool server_whole = !struck || how == BY_CLIENT || how == BY_GROUP || how == BY_TIMEOUT;
    CHECK(c->echo_acknowledged <= c->echo_received);
    if (server_whole && c->uploading) {
        CHECK(c->acknowledged <= c->written);
        if (c->upload_ended)
            CHECK_EQ_INT(c->received, c->written);
        else
            CHECK(c->handler_count < 2 || c->written == 0); /* nobody took it, or it was a connect that was cancelled */
    }
    if (!struck && !c->files) {
        CHECK_EQ_INT(c->acknowledged, PIECES * PIECE);
        CHECK_EQ_INT(c->received, PIECES * PIECE);
        CHECK_EQ_INT(c->reports, 0);
    }
    if (!struck && c->files)
        CHECK_EQ_INT(c->file_received, FILE_SIZE * FILE_ROUNDS);
}

static bool is_over(const conversation *c)
{
    return is_done(c->client) && is_done(c->server);
}

/* One iteration. False: nothing happened in it for so long that nothing ever will. */
static bool turn(conversation *c)
{
    const pl_duration begun = pl_loop_time(c->loop);
    CHECK_EQ_INT(pl_loop_run_once(c->loop, hang_limit), PL_OK);
    return pl_loop_time(c->loop) - begun < hang_limit;
}

/* Runs it to its end, or to the moment at which it is to be closed. */
static bool run_and_strike(conversation *c, enum method how, int k)
{
    bool struck = false;
    int i;
    for (i = 0; i < ITERATIONS_MAX && !is_over(c); i++) {
        if (i == k && how == BY_CLOSE)
            return true;
        if (i == k)
            struck = strike(c, how);
        if (!turn(c))
            break;
    }
    if (!CHECK(is_over(c)))
        printf("  it hangs, cancelled at %d\n", k);
    check_truth(c, how, struck);
    return struck;
}

/* One conversation. @return whether it was struck. */
static bool run(const char *backend, bool files, enum method how, int k)
{
    const int64_t before = pl_memory_in_use();
    static conversation c;
    bool struck;
    int i;
    if (!begin(&c, backend, files, k))
        return false;
    struck = run_and_strike(&c, how, k);
    pl_task_unref(c.client);
    pl_task_unref(c.server);
    for (i = 0; i < c.handler_count; i++)
        pl_task_unref(c.handlers[i]);
    CHECK_EQ_INT(pl_loop_close(c.loop), PL_OK);
    stop_listening(&c);
    CHECK(c.echo_acknowledged <= c.echo_received);
    if (!files)
        CHECK_EQ_INT(pl_memory_in_use(), before);
    return struck;
}

static void run_all(const char *backend, bool files, enum method how)
{
    int k = 0;
    while (run(backend, files, how, k) && k < ITERATIONS_MAX)
        k++;
    printf("  cancelled at each of %d iterations\n", k);
    CHECK(k > LEAST_K);
}

TEST_CASE(a_client_is_cancelled_at_each_wait)
{
    run_all(t->backend, false, BY_CLIENT);
}

TEST_CASE(a_client_is_cancelled_by_its_group_at_each_wait)
{
    run_all(t->backend, false, BY_GROUP);
}

TEST_CASE(a_client_is_cancelled_by_a_timeout_at_each_wait)
{
    run_all(t->backend, false, BY_TIMEOUT);
}

TEST_CASE(a_server_is_cancelled_at_each_wait)
{
    run_all(t->backend, false, BY_SERVER);
}

TEST_CASE(its_handlers_are_cancelled_at_each_wait)
{
    run_all(t->backend, false, BY_HANDLERS);
}

TEST_CASE(all_tasks_are_cancelled_at_each_wait)
{
    run_all(t->backend, false, BY_ALL);
}

TEST_CASE(the_loop_is_closed_at_each_wait)
{
    run_all(t->backend, false, BY_CLOSE);
}

static void run_files(test_context *t, enum method how)
{
    static uint8_t data[FILE_SIZE];
    if (strcmp(t->backend, "sim") == 0) {
        t_skip(t, "the simulation has no files");
        return;
    }
    pattern_fill(data, sizeof data, 0);
    path_remove(FILE_NAME);
    REQUIRE(file_make(FILE_NAME, data, sizeof data));
    run_all(t->backend, true, how);
    path_remove(FILE_NAME);
}

TEST_CASE(who_serves_files_is_cancelled_at_each_wait)
{
    run_files(t, BY_HANDLERS);
}

TEST_CASE(who_fetches_files_is_cancelled_at_each_wait)
{
    if (system_is_wine() && strcmp(t->backend, "sim") != 0) {
        t_skip(t, "under Wine TransmitFile to a peer that has closed does not end");
        return;
    }
    run_files(t, BY_CLIENT);
}

TEST_CASE(a_loop_that_serves_files_is_closed_at_each_wait)
{
    run_files(t, BY_CLOSE);
}

TEST_SUITE(suspension, TEST_BACKENDS_ALL,
           CASE(a_client_is_cancelled_at_each_wait),
           CASE(a_client_is_cancelled_by_its_group_at_each_wait),
           CASE(a_client_is_cancelled_by_a_timeout_at_each_wait),
           CASE(a_server_is_cancelled_at_each_wait),
           CASE(its_handlers_are_cancelled_at_each_wait),
           CASE(all_tasks_are_cancelled_at_each_wait),
           CASE(the_loop_is_closed_at_each_wait),
           CASE(who_serves_files_is_cancelled_at_each_wait),
           CASE(who_fetches_files_is_cancelled_at_each_wait),
           CASE(a_loop_that_serves_files_is_closed_at_each_wait))
