#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "system.h"

#define NAME "send_file_test_file"

/* Each body gets an open file of `size` bytes of pattern, and a connection. */
static struct {
    int64_t size;
    pl_file *file;
    pl_stream *client;
    pl_stream *server;
    void (*body)(void);
} work;

static bool make_pattern_file(size_t size)
{
    uint8_t *data = malloc(size ? size : 1);
    bool good = false;
    if (CHECK(data != NULL)) {
        pattern_fill(data, size, 0);
        path_remove(NAME);
        good = CHECK(file_make(NAME, data, size));
        free(data);
    }
    return good;
}

static void run_work(void)
{
    work.file = NULL;
    if (!make_pattern_file((size_t)work.size))
        return;
    if (CHECK_EQ_INT(pl_file_open(&work.file, NAME, NULL), PL_OK) && connect_pair(&work.client, &work.server)) {
        work.body();
        pl_stream_close(work.client);
        pl_stream_close(work.server);
    }
    pl_file_close(work.file);
}

#define FILE_CASE(name, bytes)                                                                                         \
    static void name##_work(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        work.size = (bytes);                                                                                           \
        work.body = name##_work;                                                                                       \
        loopback_run(t, run_work, NULL);                                                                               \
        path_remove(NAME);                                                                                             \
    }                                                                                                                  \
    static void name##_work(void)

/* Reads to the end: what comes must be the file from `offset` on. @return how much that was. */
static int64_t receive_file(pl_stream *stream, uint64_t offset, int64_t *end)
{
    uint8_t data[8192];
    int64_t got = 0;
    int64_t n;
    while ((n = pl_read(stream, data, sizeof data)) > 0) {
        if (!CHECK(pattern_holds(data, (size_t)n, offset + (uint64_t)got)))
            break;
        got += n;
    }
    *end = n;
    return got;
}

/* Exactly so many bytes of the file from `offset` on. */
static void receive_part(pl_stream *stream, uint64_t offset, int64_t size)
{
    uint8_t data[8192];
    int64_t got = 0;
    while (got < size) {
        int64_t left = size - got;
        int64_t n = pl_read(stream, data, left < (int64_t)sizeof data ? (size_t)left : sizeof data);
        if (!CHECK(n > 0) || !CHECK(pattern_holds(data, (size_t)n, offset + (uint64_t)got)))
            break;
        got += n;
    }
    CHECK_EQ_INT(got, size);
}

typedef struct sending {
    int64_t offset;
    int64_t size;
    int64_t result;
} sending;

static int64_t send_and_shut(void *arg)
{
    sending *s = arg;
    s->result = pl_stream_send_file(work.client, work.file, s->offset, s->size);
    CHECK_EQ_INT(pl_stream_shutdown(work.client), PL_OK);
    return 0;
}

static void check_part(int64_t offset, int64_t size, int64_t expected)
{
    sending s = {offset, size, 0};
    pl_group tasks = {0};
    int64_t end = 0;
    CHECK_EQ_INT(pl_group_begin(&tasks, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&tasks, send_and_shut, &s, NULL), PL_OK);
    CHECK_EQ_INT(receive_file(work.server, (uint64_t)offset, &end), expected);
    CHECK_EQ_INT(end, 0);
    CHECK_EQ_INT(pl_group_end(&tasks, 0), 0);
    CHECK_EQ_INT(s.result, expected);
    CHECK_EQ_INT(pl_stream_bytes_written(work.client), expected);
}

FILE_CASE(a_whole_file_is_sent, 3000000)
{
    check_part(0, work.size, work.size);
}

FILE_CASE(a_part_of_a_file_is_sent, 300000)
{
    check_part(12345, 100001, 100001);
}

FILE_CASE(a_part_at_the_end_is_sent, 300000)
{
    check_part(299990, 10, 10);
}

FILE_CASE(a_part_past_the_end_is_cut_short, 300000)
{
    check_part(299000, 5000, 1000);
}

FILE_CASE(an_endless_size_sends_to_the_end, 300000)
{
    check_part(0, INT64_MAX, 300000);
}

FILE_CASE(nothing_is_sent_from_beyond_the_end, 1000)
{
    check_part(1000, 10, 0);
}

FILE_CASE(nothing_is_sent_of_an_empty_file, 0)
{
    check_part(0, 100, 0);
}

FILE_CASE(a_size_of_nothing_sends_nothing, 1000)
{
    check_part(5, 0, 0);
}

FILE_CASE(a_file_goes_out_in_order_with_the_writes, 200000)
{
    pl_op ops[4] = {{{{0}}}};
    char data[8];
    CHECK_EQ_INT(pl_write_start(&ops[0], work.client, "head", 4), PL_OK);
    CHECK_EQ_INT(pl_stream_send_file_start(&ops[1], work.client, work.file, 0, work.size), PL_OK);
    CHECK_EQ_INT(pl_write_start(&ops[2], work.client, "mid", 3), PL_OK);
    CHECK_EQ_INT(pl_stream_send_file_start(&ops[3], work.client, work.file, 100, 50), PL_OK);
    CHECK_EQ_INT(read_whole(work.server, data, 4), 4);
    CHECK_MEM(data, "head", 4);
    receive_part(work.server, 0, work.size);
    CHECK_EQ_INT(read_whole(work.server, data, 3), 3);
    CHECK_MEM(data, "mid", 3);
    receive_part(work.server, 100, 50);
    CHECK_EQ_INT(pl_op_await(&ops[0]), PL_OK);
    CHECK_EQ_INT(pl_op_await(&ops[1]), work.size);
    CHECK_EQ_INT(pl_op_await(&ops[2]), PL_OK);
    CHECK_EQ_INT(pl_op_await(&ops[3]), 50);
}

FILE_CASE(a_slow_reader_gets_every_byte, 24 * 1024 * 1024)
{
    pl_op op = {0};
    int i;
    narrow_pair(work.client, work.server);
    CHECK_EQ_INT(pl_stream_send_file_start(&op, work.client, work.file, 0, work.size), PL_OK);
    for (i = 0; i < 50; i++)
        pl_yield();
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_stream_shutdown(work.client), PL_OK);
    receive_part(work.server, 0, work.size);
    CHECK_EQ_INT(pl_op_await(&op), work.size);
    CHECK_EQ_INT(read_to_end(work.server), 0);
}

FILE_CASE(a_file_closed_while_it_is_sent_is_sent_to_its_end, 24 * 1024 * 1024)
{
    pl_op op = {0};
    CHECK_EQ_INT(pl_stream_send_file_start(&op, work.client, work.file, 0, work.size), PL_OK);
    pl_file_close(work.file);
    work.file = NULL;
    pl_yield();
    receive_part(work.server, 0, work.size);
    CHECK_EQ_INT(pl_op_await(&op), work.size);
}

FILE_CASE(a_stream_closed_while_a_file_is_sent_sends_it_all, 24 * 1024 * 1024)
{
    pl_op op = {0};
    int64_t end = 0;
    CHECK_EQ_INT(pl_stream_set_linger(work.client, PL_SECONDS(100)), PL_OK);
    CHECK_EQ_INT(pl_stream_send_file_start(&op, work.client, work.file, 0, work.size), PL_OK);
    pl_stream_close(work.client);
    work.client = NULL;
    CHECK_EQ_INT(receive_file(work.server, 0, &end), work.size);
    CHECK_EQ_INT(end, 0);
    CHECK_EQ_INT(pl_op_await(&op), work.size);
}

FILE_CASE(a_cancelled_file_breaks_the_write_side_and_tells_how_far_it_came, 24 * 1024 * 1024)
{
    pl_op op = {0};
    int64_t sent;
    CHECK_EQ_INT(pl_stream_send_file_start(&op, work.client, work.file, 0, work.size), PL_OK);
    /* Windows tells only at the end how far it came: wait for the bytes, not for the number. */
    receive_part(work.server, 0, 1000);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    sent = pl_stream_bytes_written(work.client);
    CHECK(sent >= 1000 && sent < work.size);
    CHECK_EQ_INT(pl_write(work.client, "x", 1), PL_EBROKEN);
    receive_part(work.server, 1000, sent - 1000);
}

FILE_CASE(a_file_cancelled_behind_a_write_did_not_happen, 1000)
{
    enum { SIZE = 24 * 1024 * 1024 };
    uint8_t *data = malloc(SIZE);
    pl_op writing = {0};
    pl_op sending_op = {0};
    REQUIRE(data != NULL);
    pattern_fill(data, SIZE, 0);
    CHECK_EQ_INT(pl_write_start(&writing, work.client, data, SIZE), PL_OK);
    CHECK_EQ_INT(pl_stream_send_file_start(&sending_op, work.client, work.file, 0, 1000), PL_OK);
    pl_yield();
    CHECK_EQ_INT(pl_op_cancel(&sending_op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&sending_op), PL_ECANCELED);
    receive_part(work.server, 0, SIZE);
    CHECK_EQ_INT(pl_op_await(&writing), PL_OK);
    CHECK(connection_works(work.client, work.server));
    free(data);
}

FILE_CASE(a_peer_that_resets_midway_ends_it_with_an_error, 24 * 1024 * 1024)
{
    pl_op op = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_stream_send_file_start(&op, work.client, work.file, 0, work.size), PL_OK);
    receive_part(work.server, 0, 5000);
    pl_stream_abort(work.server);
    work.server = NULL;
    rc = pl_op_await(&op);
    CHECK(rc == PL_ECONNRESET || rc == PL_ECONNABORTED || rc == PL_EPIPE || (rc == PL_ENOTCONN && system_is_wine()));
    CHECK(pl_write(work.client, "x", 1) < 0);
}

FILE_CASE(to_a_peer_that_closed_it_ends, 60000)
{
    int64_t rc = 0;
    int i;
    if (system_is_wine()) {
        skip_case("under Wine TransmitFile to a peer that has closed does not end");
        return;
    }
    pl_stream_close(work.server);
    work.server = NULL;
    CHECK_EQ_INT(read_to_end(work.client), 0);
    for (i = 0; i < 1000 && rc >= 0; i++)
        rc = pl_stream_send_file(work.client, work.file, 0, work.size);
    CHECK(rc == PL_ECONNRESET || rc == PL_ECONNABORTED || rc == PL_EPIPE);
}

FILE_CASE(a_stream_aborted_midway_ends_it_with_closed, 24 * 1024 * 1024)
{
    pl_op op = {0};
    CHECK_EQ_INT(pl_stream_send_file_start(&op, work.client, work.file, 0, work.size), PL_OK);
    receive_part(work.server, 0, 5000);
    pl_stream_abort(work.client);
    work.client = NULL;
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
}

FILE_CASE(after_half_close_and_close_it_is_refused, 1000)
{
    CHECK_EQ_INT(pl_stream_shutdown(work.client), PL_OK);
    CHECK_EQ_INT(pl_stream_send_file(work.client, work.file, 0, 10), PL_EPIPE);
    pl_stream_ref(work.server);
    pl_stream_close(work.server);
    CHECK_EQ_INT(pl_stream_send_file(work.server, work.file, 0, 10), PL_ECLOSED);
    pl_stream_unref(work.server);
    work.server = NULL;
}

FILE_CASE(bad_arguments_are_refused_and_change_nothing, 1000)
{
    pl_op op = {0};
    CHECK_EQ_INT(pl_stream_send_file(NULL, work.file, 0, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_send_file(work.client, NULL, 0, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_send_file(work.client, work.file, -1, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_send_file(work.client, work.file, 0, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_send_file_start(NULL, work.client, work.file, 0, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_send_file_start(&op, work.client, NULL, 0, 1), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
    CHECK(connection_works(work.client, work.server));
    CHECK_EQ_INT(pl_stream_bytes_written(work.client), 1);
}

static void send_a_folder(void)
{
    pl_file *folder = NULL;
    pl_stream *client, *server;
    if (CHECK_EQ_INT(pl_file_open(&folder, ".", NULL), PL_OK) && connect_pair(&client, &server)) {
        CHECK(pl_stream_send_file(client, folder, 0, 10) < 0);
        pl_stream_close(client);
        pl_stream_close(server);
    }
    pl_file_close(folder);
}

TEST_CASE(a_folder_is_not_sent)
{
    loopback_run(t, send_a_folder, NULL);
}

TEST_SUITE(send_file, TEST_BACKENDS_REAL,
           CASE(a_whole_file_is_sent),
           CASE(a_part_of_a_file_is_sent),
           CASE(a_part_at_the_end_is_sent),
           CASE(a_part_past_the_end_is_cut_short),
           CASE(an_endless_size_sends_to_the_end),
           CASE(nothing_is_sent_from_beyond_the_end),
           CASE(nothing_is_sent_of_an_empty_file),
           CASE(a_size_of_nothing_sends_nothing),
           CASE(a_file_goes_out_in_order_with_the_writes),
           CASE(a_slow_reader_gets_every_byte),
           CASE(a_file_closed_while_it_is_sent_is_sent_to_its_end),
           CASE(a_stream_closed_while_a_file_is_sent_sends_it_all),
           CASE(a_cancelled_file_breaks_the_write_side_and_tells_how_far_it_came),
           CASE(a_file_cancelled_behind_a_write_did_not_happen),
           CASE(a_peer_that_resets_midway_ends_it_with_an_error),
           CASE(to_a_peer_that_closed_it_ends),
           CASE(a_stream_aborted_midway_ends_it_with_closed),
           CASE(after_half_close_and_close_it_is_refused),
           CASE(bad_arguments_are_refused_and_change_nothing),
           CASE(a_folder_is_not_sent))
