#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "loopback.h"

/* More than the system keeps for a connection, so that a write of it has to wait for a reader. The simulation is
 * told to keep little. */
static size_t more_than_fits(void)
{
    return on_backend("sim") ? 256 * 1024 : 24 * 1024 * 1024;
}

/* `more_than_fits` bytes of pattern; free() them. */
static uint8_t *large_pattern(size_t *size)
{
    uint8_t *data;
    *size = more_than_fits();
    data = malloc(*size);
    if (data)
        pattern_fill(data, *size, 0);
    return data;
}

/* Reads to the end and checks each byte: @return how many there were, or the error. */
static int64_t receive_all(pl_stream *stream)
{
    flow in = {.stream = stream, .size = -1};
    flow_receive(&in);
    CHECK(!in.broken);
    return in.result < 0 ? in.result : in.done;
}

/* The same, whatever ends it: @return how many there were. */
static int64_t receive_some(pl_stream *stream, int64_t *end)
{
    flow in = {.stream = stream, .size = -1};
    flow_receive(&in);
    CHECK(!in.broken);
    *end = in.result;
    return in.done;
}

static void close_both(pl_stream *client, pl_stream *server)
{
    pl_stream_close(client);
    pl_stream_close(server);
}

/* --- Reading and writing --- */

TASK_CASE(what_is_written_is_read)
{
    pl_stream *client, *server;
    char data[16] = {0};
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write(client, "hello", 5), PL_OK);
    CHECK_EQ_INT(read_whole(server, data, 5), 5);
    CHECK_MEM(data, "hello", 5);
    CHECK(connection_works(server, client));
    close_both(client, server);
}

TASK_CASE(a_read_takes_no_more_than_was_asked_for)
{
    pl_stream *client, *server;
    char data[16] = "................";
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write(client, "abcdef", 6), PL_OK);
    CHECK_EQ_INT(read_whole(server, data, 2), 2);
    CHECK_MEM(data, "ab..", 4);
    CHECK_EQ_INT(read_whole(server, data, 4), 4);
    CHECK_MEM(data, "cdef..", 6);
    close_both(client, server);
}

TASK_CASE(several_buffers_are_written_as_one)
{
    const pl_buffer buffers[] = {{"he", 2}, {"", 0}, {NULL, 0}, {"l", 1}, {"lo", 2}, {"", 0}};
    const pl_buffer nothing[] = {{"", 0}, {NULL, 0}};
    pl_stream *client, *server;
    char data[8] = {0};
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write_buffers(client, buffers, 6), PL_OK);
    CHECK_EQ_INT(pl_write_buffers(client, nothing, 2), PL_OK);
    CHECK_EQ_INT(pl_write_buffers(client, buffers, 0), PL_OK);
    CHECK_EQ_INT(pl_write_buffers(client, NULL, 0), PL_OK);
    CHECK_EQ_INT(read_whole(server, data, 5), 5);
    CHECK_MEM(data, "hello", 5);
    CHECK_EQ_INT(pl_stream_bytes_written(client), 5);
    close_both(client, server);
}

TASK_CASE(more_buffers_than_a_system_call_takes_are_written_in_order)
{
    enum { COUNT = 5000, EACH = 13 };
    static uint8_t data[COUNT * EACH];
    static pl_buffer buffers[COUNT];
    pl_stream *client, *server;
    pl_op op = {0};
    size_t i;
    pattern_fill(data, sizeof data, 0);
    for (i = 0; i < COUNT; i++)
        buffers[i] = (pl_buffer){data + i * EACH, EACH};
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write_buffers_start(&op, client, buffers, COUNT), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
    CHECK_EQ_INT(receive_all(server), COUNT * EACH);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    close_both(client, server);
}

TASK_CASE(a_write_of_nothing_succeeds_and_sends_nothing)
{
    pl_stream *client, *server;
    char byte = 0;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write(client, "", 0), PL_OK);
    CHECK_EQ_INT(pl_write(client, NULL, 0), PL_OK);
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_OK);
    CHECK_EQ_INT(pl_read(server, &byte, 1), 1);
    CHECK_EQ_INT(byte, 'x');
    close_both(client, server);
}

TASK_CASE(a_lent_buffer_holds_what_came)
{
    pl_stream *client, *server;
    char data[8] = {0};
    const void *lent = NULL;
    int64_t got = 0;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write(client, "hello", 5), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
    while (got < 5) {
        int64_t n = pl_read_borrow(server, &lent);
        if (!CHECK(n > 0 && n <= 5 - got))
            break;
        memcpy(data + got, lent, (size_t)n);
        got += n;
        CHECK_EQ_INT(pl_read_return(server), PL_OK);
    }
    CHECK_STR(data, "hello");
    CHECK_EQ_INT(pl_read_borrow(server, &lent), 0);
    CHECK_EQ_INT(pl_read_return(server), PL_ESTATE);
    close_both(client, server);
}

TASK_CASE(a_loan_is_returned_once_and_before_the_next)
{
    pl_stream *client, *server;
    const void *data = NULL;
    const void *again = NULL;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_return(server), PL_ESTATE);
    CHECK_EQ_INT(pl_write(client, "1", 1), PL_OK);
    CHECK_EQ_INT(pl_read_borrow(server, &data), 1);
    CHECK_EQ_INT(pl_read_borrow(server, &again), PL_EBUSY);
    CHECK(again == NULL);
    if (data)
        CHECK_MEM(data, "1", 1);
    CHECK_EQ_INT(pl_read_return(server), PL_OK);
    CHECK_EQ_INT(pl_read_return(server), PL_ESTATE);
    CHECK_EQ_INT(pl_write(client, "2", 1), PL_OK);
    CHECK_EQ_INT(pl_read_borrow(server, &data), 1);
    CHECK_EQ_INT(pl_read_return(server), PL_OK);
    close_both(client, server);
}

TASK_CASE(a_cancelled_loan_lends_nothing)
{
    pl_stream *client, *server;
    const void *data = NULL;
    pl_op op = {0};
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_borrow_start(&op, server, &data), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK(data == NULL);
    CHECK_EQ_INT(pl_read_return(server), PL_ESTATE);
    CHECK(connection_works(client, server));
    close_both(client, server);
}

TASK_CASE(a_loan_outlives_the_close_until_it_is_returned)
{
    pl_stream *client, *server;
    const void *data = NULL;
    int rc;
    REQUIRE(connect_pair(&client, &server));
    pl_stream_ref(server);
    CHECK_EQ_INT(pl_write(client, "h", 1), PL_OK);
    CHECK_EQ_INT(pl_read_borrow(server, &data), 1);
    pl_stream_close(server);
    if (data)
        CHECK_MEM(data, "h", 1);
    rc = pl_read_return(server);
    CHECK(rc == PL_OK || rc == PL_ECLOSED);
    pl_stream_unref(server);
    pl_stream_close(client);
}

/* As in a task that is cancelled between the two: nothing is leaked. */
TASK_CASE(a_loan_that_is_never_returned_goes_with_the_stream)
{
    pl_stream *client, *server;
    const void *data = NULL;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write(client, "h", 1), PL_OK);
    CHECK_EQ_INT(pl_read_borrow(server, &data), 1);
    close_both(client, server);
}

/* Its stream may be gone before anybody could return it. Whether the bytes or the close come first is chance. */
TASK_CASE(a_loan_that_would_come_after_the_close_is_not_lent)
{
    enum { ROUNDS = 100 };
    for (int i = 0; i < ROUNDS; i++) {
        pl_stream *client, *server;
        const void *data = NULL;
        pl_op op = {0};
        bool pending;
        int64_t rc;
        REQUIRE(connect_pair(&client, &server));
        CHECK_EQ_INT(pl_read_borrow_start(&op, server, &data), PL_OK);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        CHECK_EQ_INT(pl_write(client, "h", 1), PL_OK);
        CHECK_EQ_INT(pl_sleep(PL_US(25 * (i % 20))), PL_OK);
        pending = pl_op_is_pending(&op) != 0;
        pl_stream_close(server);
        rc = pl_op_await(&op);
        CHECK_EQ_INT(rc, pending ? PL_ECLOSED : 1);
        CHECK_EQ_INT(data == NULL, pending);
        pl_stream_close(client);
    }
}

TASK_CASE(the_end_of_a_stream_is_read_again_and_again)
{
    pl_stream *client, *server;
    char data[8];
    const void *lent;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write(client, "end", 3), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
    CHECK_EQ_INT(read_whole(server, data, sizeof data), 3);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 0);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 0);
    CHECK_EQ_INT(pl_read_borrow(server, &lent), 0);
    close_both(client, server);
}

TASK_CASE(half_close_leaves_the_other_direction_open)
{
    pl_stream *client, *server;
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 0);
    CHECK_EQ_INT(pl_write(server, "still", 5), PL_OK);
    CHECK_EQ_INT(read_whole(client, data, 5), 5);
    CHECK_EQ_INT(pl_stream_shutdown(server), PL_OK);
    CHECK_EQ_INT(pl_read(client, data, sizeof data), 0);
    close_both(client, server);
}

TASK_CASE(half_close_waits_for_the_writes_before_it)
{
    pl_stream *client, *server;
    pl_op op = {0};
    size_t size;
    uint8_t *data = large_pattern(&size);
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_write_start(&op, client, data, size), PL_OK);
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
        CHECK_EQ_INT(receive_all(server), (int64_t)size);
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        close_both(client, server);
    }
    free(data);
}

TASK_CASE(writing_after_half_close_is_refused)
{
    const pl_buffer buffer = {"x", 1};
    pl_stream *client, *server;
    pl_op op = {0};
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_EPIPE);
    CHECK_EQ_INT(pl_write_buffers(client, &buffer, 1), PL_EPIPE);
    CHECK_EQ_INT(end_of(pl_write_start(&op, client, "x", 1), &op), PL_EPIPE);
    CHECK_EQ_INT(pl_stream_bytes_written(client), 0);
    CHECK_EQ_INT(read_to_end(server), 0);
    close_both(client, server);
}

TASK_CASE(a_second_reader_is_busy_and_the_first_reads_on)
{
    pl_stream *client, *server;
    pl_op first = {0};
    pl_op second = {0};
    char data[8] = {0};
    char other[8] = {0};
    const void *lent = NULL;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&first, server, data, sizeof data), PL_OK);
    CHECK_EQ_INT(end_of(pl_read_start(&second, server, other, sizeof other), &second), PL_EBUSY);
    CHECK_EQ_INT(pl_read(server, other, sizeof other), PL_EBUSY);
    CHECK_EQ_INT(pl_read_borrow(server, &lent), PL_EBUSY);
    CHECK(lent == NULL);
    CHECK_EQ_INT(pl_write(client, "1", 1), PL_OK);
    CHECK_EQ_INT(pl_op_await(&first), 1);
    CHECK_EQ_INT(data[0], '1');
    CHECK(connection_works(client, server));
    close_both(client, server);
}

/* --- Many writers --- */

TASK_CASE(writes_go_out_whole_and_in_the_order_of_their_start)
{
    enum { WRITES = 60, LARGEST = 40000 };
    static pl_op ops[WRITES];
    static uint8_t *data;
    static pl_buffer halves[WRITES][2];
    const uint8_t *next;
    dice d = dice_of(3);
    pl_stream *client, *server;
    flow in;
    int64_t total = 0;
    int i;
    memset(ops, 0, sizeof ops);
    data = malloc((size_t)WRITES * LARGEST);
    REQUIRE(data != NULL);
    pattern_fill(data, (size_t)WRITES * LARGEST, 0);
    next = data;
    if (connect_pair(&client, &server)) {
        for (i = 0; i < WRITES; i++) {
            size_t size = 1 + (size_t)throw_below(&d, throw_below(&d, 2) ? 100 : LARGEST);
            size_t cut = (size_t)throw_below(&d, size + 1);
            halves[i][0] = (pl_buffer){next, cut};
            halves[i][1] = (pl_buffer){next + cut, size - cut};
            if (i % 3 == 0)
                CHECK_EQ_INT(pl_write_buffers_start(&ops[i], client, halves[i], 2), PL_OK);
            else
                CHECK_EQ_INT(pl_write_start(&ops[i], client, next, size), PL_OK);
            next += size;
            total += (int64_t)size;
            if (throw_below(&d, 8) == 0)
                pl_yield();
        }
        in = (flow){.stream = server, .size = total};
        flow_receive(&in);
        CHECK_EQ_INT(in.result, 0);
        CHECK_EQ_INT(in.done, total);
        CHECK(!in.broken);
        for (i = 0; i < WRITES; i++)
            CHECK_EQ_INT(pl_op_await(&ops[i]), PL_OK);
        CHECK_EQ_INT(pl_stream_bytes_written(client), total);
        close_both(client, server);
    }
    free(data);
}

static struct {
    pl_op ops[30];
    pl_callback callbacks[30];
    int order[30];
    int count;
} ends;

static void note_end(void *arg)
{
    ends.order[ends.count++] = (int)((pl_op *)arg - ends.ops);
}

TASK_CASE(writes_end_in_the_order_of_their_start)
{
    enum { WRITES = 30 };
    pl_stream *client, *server;
    size_t size;
    uint8_t *data = large_pattern(&size);
    int i;
    memset(&ends, 0, sizeof ends);
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        for (i = 0; i < WRITES; i++) {
            size_t part = i % 7 == 3 ? size / 8 : (size_t)(i % 5);
            CHECK_EQ_INT(pl_write_start(&ends.ops[i], client, data, part), PL_OK);
            CHECK_EQ_INT(
                pl_future_add_done_callback(pl_op_future(&ends.ops[i]), &ends.callbacks[i], note_end, &ends.ops[i]),
                PL_OK);
        }
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
        CHECK_EQ_INT(read_to_end(server), 0);
        while (ends.count < WRITES && pl_yield() == PL_OK)
            ;
        for (i = 0; i < ends.count; i++)
            CHECK_EQ_INT(ends.order[i], i);
        close_both(client, server);
    }
    free(data);
}

/* A record: writer, number, size (little-endian), and that many bytes of the writer's own value. */
enum { WRITERS = 6, RECORDS = 40, RECORD_MAX = 3000, RECORD_HEAD = 4 };

typedef struct writer {
    pl_stream *stream;
    int number;
} writer;

static int64_t write_records(void *arg)
{
    const writer *w = arg;
    dice d = dice_of((uint64_t)w->number + 100);
    uint8_t record[RECORD_HEAD + RECORD_MAX];
    int i;
    for (i = 0; i < RECORDS; i++) {
        size_t size = (size_t)throw_below(&d, RECORD_MAX + 1);
        record[0] = (uint8_t)w->number;
        record[1] = (uint8_t)i;
        record[2] = (uint8_t)(size & 0xff);
        record[3] = (uint8_t)(size >> 8);
        memset(record + RECORD_HEAD, w->number * 16 + 1, size);
        if (!CHECK_EQ_INT(pl_write(w->stream, record, RECORD_HEAD + size), PL_OK))
            break;
        memset(record, 0xee, sizeof record); /* it is ours again */
        if (throw_below(&d, 4) == 0)
            pl_yield();
    }
    return 0;
}

static bool read_record(pl_stream *stream, int *next)
{
    uint8_t record[RECORD_HEAD + RECORD_MAX];
    size_t size, i;
    if (!CHECK_EQ_INT(read_whole(stream, record, RECORD_HEAD), RECORD_HEAD) || !CHECK(record[0] < WRITERS) ||
        !CHECK_EQ_INT(record[1], next[record[0]]))
        return false;
    next[record[0]]++;
    size = (size_t)record[2] | (size_t)record[3] << 8;
    if (!CHECK(size <= RECORD_MAX) || !CHECK_EQ_INT(read_whole(stream, record + RECORD_HEAD, size), (int64_t)size))
        return false;
    for (i = 0; i < size && record[RECORD_HEAD + i] == record[0] * 16 + 1; i++)
        ;
    return CHECK_EQ_INT(i, size);
}

TASK_CASE(buffers_of_concurrent_writers_stay_whole)
{
    writer writers[WRITERS];
    int next[WRITERS] = {0};
    pl_stream *client, *server;
    pl_group tasks = {0};
    int i;
    REQUIRE(connect_pair(&client, &server));
    narrow_pair(client, server);
    CHECK_EQ_INT(pl_group_begin(&tasks, 0), PL_OK);
    for (i = 0; i < WRITERS; i++) {
        writers[i] = (writer){client, i};
        CHECK_EQ_INT(pl_group_spawn(&tasks, write_records, &writers[i], NULL), PL_OK);
    }
    for (i = 0; i < WRITERS * RECORDS; i++) {
        if (!read_record(server, next))
            break;
    }
    pl_stream_shutdown(client);
    CHECK_EQ_INT(read_to_end(server), 0);
    CHECK_EQ_INT(pl_group_end(&tasks, 0), 0);
    close_both(client, server);
}

/* --- Flush, counters, back pressure --- */

TASK_CASE(a_write_waits_until_the_peer_reads)
{
    pl_stream *client, *server;
    pl_op op = {0};
    size_t size;
    uint8_t *data = large_pattern(&size);
    int i;
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        narrow_pair(client, server);
        CHECK_EQ_INT(pl_write_start(&op, client, data, size), PL_OK);
        for (i = 0; i < 100; i++)
            pl_yield();
        CHECK(pl_op_is_pending(&op));
        CHECK(pl_stream_bytes_written(client) < (int64_t)size);
        CHECK_EQ_INT(pl_op_result(&op), PL_ESTATE);
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
        CHECK_EQ_INT(receive_all(server), (int64_t)size);
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        CHECK_EQ_INT(pl_stream_bytes_written(client), (int64_t)size);
        CHECK_EQ_INT(pl_stream_bytes_read(server), (int64_t)size);
        CHECK_EQ_INT(pl_stream_bytes_written(server), 0);
        CHECK_EQ_INT(pl_stream_bytes_read(client), 0);
        close_both(client, server);
    }
    free(data);
}

TASK_CASE(flush_of_a_stream_with_nothing_queued_returns)
{
    pl_stream *client, *server;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_stream_flush(client), PL_OK);
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_OK);
    CHECK_EQ_INT(pl_stream_flush(client), PL_OK);
    close_both(client, server);
}

typedef struct flusher {
    pl_stream *stream;
    const pl_op *before; /* is done when flush returns */
    int64_t result;
    bool ended;
} flusher;

static int64_t flush_stream(void *arg)
{
    flusher *f = arg;
    f->result = pl_stream_flush(f->stream);
    CHECK(!pl_op_is_pending(f->before));
    f->ended = true;
    return 0;
}

TASK_CASE(flush_waits_for_what_is_queued_then)
{
    pl_stream *client, *server;
    pl_group tasks = {0};
    pl_op first = {0};
    pl_op second = {0};
    flusher f = {0};
    size_t size;
    uint8_t *data = large_pattern(&size);
    int i;
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_write_start(&first, client, data, size / 2), PL_OK);
        CHECK_EQ_INT(pl_write_start(&second, client, data + size / 2, size - size / 2), PL_OK);
        f = (flusher){.stream = client, .before = &second};
        CHECK_EQ_INT(pl_group_begin(&tasks, 0), PL_OK);
        CHECK_EQ_INT(pl_group_spawn(&tasks, flush_stream, &f, NULL), PL_OK);
        for (i = 0; i < 20; i++)
            pl_yield();
        CHECK(!f.ended);
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
        CHECK_EQ_INT(receive_all(server), (int64_t)size);
        CHECK_EQ_INT(pl_group_end(&tasks, 0), 0);
        CHECK_EQ_INT(f.result, PL_OK);
        CHECK_EQ_INT(pl_op_await(&first), PL_OK);
        CHECK_EQ_INT(pl_op_await(&second), PL_OK);
        close_both(client, server);
    }
    free(data);
}

TASK_CASE(a_cancelled_flush_leaves_the_writes_alone)
{
    pl_stream *client, *server;
    pl_timeout limit = {0};
    pl_op op = {0};
    size_t size;
    uint8_t *data = large_pattern(&size);
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_write_start(&op, client, data, size), PL_OK);
        CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_stream_flush(client)), PL_ETIMEDOUT);
        CHECK(pl_op_is_pending(&op));
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
        CHECK_EQ_INT(receive_all(server), (int64_t)size);
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        close_both(client, server);
    }
    free(data);
}

/* --- Closing --- */

TASK_CASE(close_sends_what_is_queued_and_the_peer_gets_every_byte)
{
    pl_stream *client, *server;
    pl_op first = {0};
    pl_op second = {0};
    size_t size;
    uint8_t *data = large_pattern(&size);
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_stream_set_linger(client, PL_SECONDS(100)), PL_OK);
        CHECK_EQ_INT(pl_write_start(&first, client, data, size / 3), PL_OK);
        CHECK_EQ_INT(pl_write_start(&second, client, data + size / 3, size - size / 3), PL_OK);
        pl_stream_close(client);
        CHECK_EQ_INT(receive_all(server), (int64_t)size);
        CHECK_EQ_INT(pl_op_await(&first), PL_OK);
        CHECK_EQ_INT(pl_op_await(&second), PL_OK);
        pl_stream_close(server);
    }
    free(data);
}

TASK_CASE(close_right_after_a_write_loses_nothing)
{
    pl_stream *client, *server;
    char data[8];
    int i;
    for (i = 0; i < 20; i++) {
        REQUIRE(connect_pair(&client, &server));
        CHECK_EQ_INT(pl_write(client, "bye", 3), PL_OK);
        pl_stream_close(client);
        CHECK_EQ_INT(read_whole(server, data, sizeof data), 3);
        CHECK_EQ_INT(pl_read(server, data, sizeof data), 0);
        pl_stream_close(server);
    }
}

/* A system that closes a connection with input nobody read resets it, and the reply dies with it. */
TASK_CASE(close_with_unread_input_still_delivers_the_reply)
{
    pl_stream *client, *server;
    pl_op op = {0};
    pl_op reply = {0};
    size_t size;
    uint8_t *data = large_pattern(&size);
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_stream_set_linger(server, PL_SECONDS(100)), PL_OK);
        CHECK_EQ_INT(pl_write(client, "a request that is not read", 26), PL_OK);
        CHECK_EQ_INT(pl_read_start(&op, server, data, 1), PL_OK);
        CHECK_EQ_INT(pl_op_await(&op), 1);
        pattern_fill(data, size, 0);
        CHECK_EQ_INT(pl_write_start(&reply, server, data, size), PL_OK);
        pl_stream_close(server);
        CHECK_EQ_INT(receive_all(client), (int64_t)size);
        CHECK_EQ_INT(pl_op_await(&reply), PL_OK);
        pl_stream_close(client);
    }
    free(data);
}

TASK_CASE(what_is_left_when_the_linger_ends_is_dropped_reset_and_reported)
{
    pl_stream *client, *server;
    pl_op op = {0};
    size_t size;
    uint8_t *data = large_pattern(&size);
    int64_t end = 0;
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        expect_reports(1, 1);
        CHECK_EQ_INT(pl_stream_set_linger(client, PL_MS(20)), PL_OK);
        CHECK_EQ_INT(pl_write_start(&op, client, data, size), PL_OK);
        pl_stream_close(client);
        CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
        CHECK(receive_some(server, &end) < (int64_t)size);
        CHECK(is_reset(end));
        pl_stream_close(server);
    }
    free(data);
}

TASK_CASE(without_linger_close_drops_what_is_queued)
{
    pl_stream *client, *server;
    pl_op op = {0};
    size_t size;
    uint8_t *data = large_pattern(&size);
    int64_t end = 0;
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        expect_reports(0, 1);
        CHECK_EQ_INT(pl_stream_set_linger(client, 0), PL_OK);
        CHECK_EQ_INT(pl_write_start(&op, client, data, size), PL_OK);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        CHECK(pl_op_is_pending(&op));
        pl_stream_close(client);
        CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
        CHECK(receive_some(server, &end) < (int64_t)size);
        CHECK(is_reset(end));
        pl_stream_close(server);
    }
    free(data);
}

TASK_CASE(without_linger_and_with_nothing_queued_close_is_orderly)
{
    pl_stream *client, *server;
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_stream_set_linger(client, 0), PL_OK);
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_OK);
    pl_stream_close(client);
    CHECK_EQ_INT(read_whole(server, data, sizeof data), 1);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), 0);
    pl_stream_close(server);
}

TASK_CASE(abort_resets)
{
    pl_stream *client, *server;
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    pl_stream_abort(client);
    CHECK(is_reset(pl_read(server, data, sizeof data)));
    pl_stream_close(server);
}

TASK_CASE(abort_ends_what_waits_with_closed)
{
    pl_stream *client, *server;
    pl_op writing = {0};
    pl_op behind = {0};
    pl_op reading = {0};
    char byte;
    size_t size;
    uint8_t *data = large_pattern(&size);
    int64_t end = 0;
    REQUIRE(data != NULL);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_read_start(&reading, client, &byte, 1), PL_OK);
        CHECK_EQ_INT(pl_write_start(&writing, client, data, size), PL_OK);
        CHECK_EQ_INT(pl_write_start(&behind, client, data, 1), PL_OK);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        pl_stream_abort(client);
        CHECK_EQ_INT(pl_op_await(&reading), PL_ECLOSED);
        CHECK_EQ_INT(pl_op_await(&writing), PL_ECLOSED);
        CHECK_EQ_INT(pl_op_await(&behind), PL_ECLOSED);
        CHECK(receive_some(server, &end) < (int64_t)size);
        CHECK(is_reset(end));
        pl_stream_close(server);
    }
    free(data);
}

TASK_CASE(writing_to_a_peer_that_reset_fails)
{
    pl_stream *client, *server;
    char byte;
    int64_t rc = 0;
    int i;
    REQUIRE(connect_pair(&client, &server));
    pl_stream_abort(client);
    CHECK(is_reset(pl_read(server, &byte, 1)));
    for (i = 0; i < 1000 && rc == 0; i++)
        rc = pl_write(server, "x", 1);
    CHECK(rc == PL_ECONNRESET || rc == PL_EPIPE || rc == PL_ECONNABORTED);
    pl_stream_close(server);
}

typedef struct reader {
    pl_stream *stream;
    bool borrow;
    int64_t result;
} reader;

static int64_t read_once(void *arg)
{
    reader *r = arg;
    const void *lent;
    char byte;
    r->result = r->borrow ? pl_read_borrow(r->stream, &lent) : pl_read(r->stream, &byte, 1);
    return 0;
}

TASK_CASE(a_read_that_waits_at_close_gets_closed)
{
    int borrow;
    for (borrow = 0; borrow < 2; borrow++) {
        pl_stream *client, *server;
        reader r = {.borrow = borrow != 0, .result = 1};
        pl_group tasks = {0};
        REQUIRE(connect_pair(&client, &server));
        r.stream = server;
        CHECK_EQ_INT(pl_group_begin(&tasks, 0), PL_OK);
        CHECK_EQ_INT(pl_group_spawn(&tasks, read_once, &r, NULL), PL_OK);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        pl_stream_close(server);
        CHECK_EQ_INT(pl_group_end(&tasks, 0), 0);
        CHECK_EQ_INT(r.result, PL_ECLOSED);
        CHECK_EQ_INT(read_to_end(client), 0);
        pl_stream_close(client);
    }
}

TASK_CASE(a_started_read_that_waits_at_close_gets_closed)
{
    pl_stream *client, *server;
    pl_op op = {0};
    char byte;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read_start(&op, server, &byte, 1), PL_OK);
    pl_stream_close(server); /* at once, before the loop has seen it */
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
    CHECK_EQ_INT(read_to_end(client), 0);
    pl_stream_close(client);
}

TASK_CASE(every_call_on_a_closed_stream_says_so)
{
    const pl_buffer buffer = {"x", 1};
    pl_stream *client, *server;
    pl_address address;
    const void *lent = NULL;
    pl_op op = {0};
    char data[8];
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_write(client, "hello", 5), PL_OK);
    CHECK_EQ_INT(pl_read(server, data, 1), 1);
    CHECK(pl_stream_ref(server) == server);
    pl_stream_close(server);
    CHECK_EQ_INT(pl_read(server, data, sizeof data), PL_ECLOSED);
    CHECK_EQ_INT(end_of(pl_read_start(&op, server, data, sizeof data), &op), PL_ECLOSED);
    CHECK_EQ_INT(pl_read_borrow(server, &lent), PL_ECLOSED);
    CHECK_EQ_INT(end_of(pl_read_borrow_start(&op, server, &lent), &op), PL_ECLOSED);
    CHECK(lent == NULL);
    CHECK_EQ_INT(pl_write(server, "x", 1), PL_ECLOSED);
    CHECK_EQ_INT(pl_write_buffers(server, &buffer, 1), PL_ECLOSED);
    CHECK_EQ_INT(end_of(pl_write_start(&op, server, "x", 1), &op), PL_ECLOSED);
    CHECK_EQ_INT(end_of(pl_write_buffers_start(&op, server, &buffer, 1), &op), PL_ECLOSED);
    CHECK_EQ_INT(pl_stream_shutdown(server), PL_ECLOSED);
    CHECK_EQ_INT(pl_stream_flush(server), PL_ECLOSED);
    CHECK_EQ_INT(pl_stream_set_linger(server, PL_SECONDS(1)), PL_ECLOSED);
    CHECK_EQ_INT(pl_stream_set_nodelay(server, 1), PL_ECLOSED);
    CHECK_EQ_INT(pl_stream_set_keepalive(server, 1), PL_ECLOSED);
    CHECK_EQ_INT(pl_stream_set_buffers(server, 4096, 4096), PL_ECLOSED);
    CHECK_EQ_INT(pl_stream_local_address(server, &address), PL_ECLOSED);
    CHECK_EQ_INT(pl_stream_peer_address(server, &address), PL_ECLOSED);
    CHECK(pl_stream_bytes_read(server) >= 1);
    CHECK_EQ_INT(pl_stream_bytes_written(server), 0);
    pl_stream_unref(server);
    pl_stream_close(client);
}

TASK_CASE(a_reference_outlives_everything_but_the_loop)
{
    pl_stream *client, *server;
    REQUIRE(connect_pair(&client, &server));
    pl_stream_ref(server);
    pl_stream_ref(server);
    pl_stream_drop(server);
    CHECK_EQ_INT(read_to_end(client), 0);
    pl_stream_unref(server);
    CHECK_EQ_INT(pl_stream_flush(server), PL_ECLOSED);
    pl_stream_unref(server);
    pl_stream_close(client);
}

TASK_CASE(nothing_is_closed_by_null)
{
    pl_stream_close(NULL);
    pl_stream_abort(NULL);
    pl_stream_drop(NULL);
}

static struct {
    pl_stream *stream;
    int64_t result;
} closer;

static void close_stream(void *arg)
{
    closer.result = pl_op_result(arg);
    pl_stream_close(closer.stream);
}

TASK_CASE(a_reads_callback_may_close_its_stream)
{
    pl_stream *client;
    pl_callback callback = {0};
    pl_op op = {0};
    char byte;
    memset(&closer, 0, sizeof closer);
    REQUIRE(connect_pair(&client, &closer.stream));
    CHECK_EQ_INT(pl_read_start(&op, closer.stream, &byte, 1), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&op), &callback, close_stream, &op), PL_OK);
    CHECK_EQ_INT(pl_write(client, "x", 1), PL_OK);
    CHECK_EQ_INT(read_to_end(client), 0);
    CHECK_EQ_INT(closer.result, 1);
    pl_stream_close(client);
}

enum { NEIGHBOURS = 24 };

static struct {
    pl_stream *clients[NEIGHBOURS];
    pl_stream *servers[NEIGHBOURS];
    pl_op ops[NEIGHBOURS];
    pl_op writes[NEIGHBOURS];
    pl_callback callbacks[NEIGHBOURS];
    char bytes[NEIGHBOURS];
    pl_stream *new_clients[NEIGHBOURS];
    pl_stream *new_servers[NEIGHBOURS];
    pl_op new_ops[NEIGHBOURS];
    bool closed;
} crowd;

/* The first to be told of its byte closes all, while the others' have come, too. */
static void close_the_crowd(void *arg)
{
    int i;
    (void)arg;
    if (crowd.closed)
        return;
    crowd.closed = true;
    for (i = 0; i < NEIGHBOURS; i++) {
        pl_stream_close(crowd.servers[i]);
        pl_stream_close(crowd.clients[i]);
    }
}

/* The new ones get the descriptors of the old ones. */
TASK_CASE(what_came_for_closed_streams_does_not_reach_those_that_follow)
{
    char byte;
    int i;
    memset(&crowd, 0, sizeof crowd);
    for (i = 0; i < NEIGHBOURS; i++)
        REQUIRE(connect_pair(&crowd.clients[i], &crowd.servers[i]));
    for (i = 0; i < NEIGHBOURS; i++) {
        CHECK_EQ_INT(pl_read_start(&crowd.ops[i], crowd.servers[i], &crowd.bytes[i], 1), PL_OK);
        CHECK_EQ_INT(
            pl_future_add_done_callback(pl_op_future(&crowd.ops[i]), &crowd.callbacks[i], close_the_crowd, NULL),
            PL_OK);
    }
    for (i = 0; i < NEIGHBOURS; i++)
        CHECK_EQ_INT(pl_write_start(&crowd.writes[i], crowd.clients[i], "o", 1), PL_OK);
    while (!crowd.closed && pl_yield() == PL_OK)
        ;
    for (i = 0; i < NEIGHBOURS; i++) {
        if (!connect_pair(&crowd.new_clients[i], &crowd.new_servers[i]))
            break;
        CHECK_EQ_INT(pl_read_start(&crowd.new_ops[i], crowd.new_servers[i], &byte, 1), PL_OK);
    }
    CHECK_EQ_INT(pl_sleep(PL_MS(2)), PL_OK);
    for (i = 0; i < NEIGHBOURS; i++) {
        int64_t rc = pl_op_result(&crowd.ops[i]);
        CHECK(rc == 1 || rc == PL_ECLOSED);
        CHECK_EQ_INT(pl_op_await(&crowd.writes[i]), PL_OK); /* it was queued before the close */
        CHECK(pl_op_is_pending(&crowd.new_ops[i]));
        CHECK_EQ_INT(pl_op_finish(&crowd.new_ops[i]), PL_ECANCELED);
        CHECK(connection_works(crowd.new_clients[i], crowd.new_servers[i]));
        close_both(crowd.new_clients[i], crowd.new_servers[i]);
    }
}

/* --- Options and arguments --- */

TASK_CASE(both_ends_know_both_addresses)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    pl_address listening, client_local, client_peer, server_local, server_peer;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_listener_address(listener, &listening), PL_OK);
    CHECK_EQ_INT(pl_tcp_connect(&client, "127.0.0.1", port, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server) {
        CHECK_EQ_INT(pl_stream_local_address(client, &client_local), PL_OK);
        CHECK_EQ_INT(pl_stream_peer_address(client, &client_peer), PL_OK);
        CHECK_EQ_INT(pl_stream_local_address(server, &server_local), PL_OK);
        CHECK_EQ_INT(pl_stream_peer_address(server, &server_peer), PL_OK);
        CHECK_MEM(&client_peer, &listening, sizeof listening);
        CHECK_MEM(&server_local, &listening, sizeof listening);
        CHECK_MEM(&client_local, &server_peer, sizeof listening);
        CHECK(client_local.port != 0 && client_local.port != port);
    }
    close_both(client, server);
    pl_listener_close(listener);
}

TASK_CASE(options_are_taken_and_the_connection_works)
{
    pl_stream *client, *server;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_stream_set_nodelay(client, 0), PL_OK);
    CHECK_EQ_INT(pl_stream_set_nodelay(client, 1), PL_OK);
    CHECK_EQ_INT(pl_stream_set_keepalive(client, 30), PL_OK);
    CHECK_EQ_INT(pl_stream_set_keepalive(client, 0), PL_OK);
    CHECK_EQ_INT(pl_stream_set_buffers(client, 65536, 65536), PL_OK);
    CHECK_EQ_INT(pl_stream_set_buffers(client, 0, 0), PL_OK);
    CHECK_EQ_INT(pl_stream_set_linger(client, PL_FOREVER), PL_OK);
    CHECK_EQ_INT(pl_stream_set_linger(client, PL_SECONDS(5)), PL_OK);
    CHECK(connection_works(client, server));
    close_both(client, server);
}

TASK_CASE(bad_arguments_are_refused_and_change_nothing)
{
    const pl_buffer hollow = {NULL, 1};
    pl_stream *client, *server;
    pl_address address;
    const void *lent = NULL;
    pl_op op = {0};
    char data[8] = {0};
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_read(NULL, data, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_read(server, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_read(server, data, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_read_start(NULL, server, data, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_read_start(&op, NULL, data, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_read_start(&op, server, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_read_borrow(NULL, &lent), PL_EINVAL);
    CHECK_EQ_INT(pl_read_borrow(server, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_read_borrow_start(NULL, server, &lent), PL_EINVAL);
    CHECK_EQ_INT(pl_read_borrow_start(&op, NULL, &lent), PL_EINVAL);
    CHECK_EQ_INT(pl_read_borrow_start(&op, server, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_read_return(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_write(NULL, data, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_write(client, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_write_start(NULL, client, data, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_write_start(&op, NULL, data, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_write_start(&op, client, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_write_buffers(NULL, &hollow, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_write_buffers(client, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_write_buffers(client, &hollow, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_write_buffers_start(&op, client, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_write_buffers_start(NULL, client, &hollow, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_shutdown(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_flush(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_set_linger(NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_set_linger(client, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_set_nodelay(NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_set_keepalive(NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_set_keepalive(client, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_set_buffers(NULL, 1, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_local_address(NULL, &address), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_local_address(client, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_peer_address(NULL, &address), PL_EINVAL);
    CHECK_EQ_INT(pl_stream_peer_address(client, NULL), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_result(&op), PL_ESTATE);
    CHECK(lent == NULL);
    CHECK(connection_works(client, server));
    CHECK_EQ_INT(pl_stream_bytes_written(client), 1);
    close_both(client, server);
}

static void use_in_a_callback(void *arg)
{
    pl_stream *stream = arg;
    const void *lent;
    char byte;
    CHECK_EQ_INT(pl_read(stream, &byte, 1), PL_ENOTASK);
    CHECK_EQ_INT(pl_read_borrow(stream, &lent), PL_ENOTASK);
    CHECK_EQ_INT(pl_write(stream, "x", 1), PL_ENOTASK);
    CHECK_EQ_INT(pl_stream_flush(stream), PL_ENOTASK);
    CHECK_EQ_INT(pl_stream_shutdown(stream), PL_OK);
}

TASK_CASE(a_callback_cannot_wait)
{
    pl_stream *client, *server;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_call_soon(NULL, use_in_a_callback, client, NULL), PL_OK);
    CHECK_EQ_INT(read_to_end(server), 0);
    CHECK_EQ_INT(pl_stream_bytes_read(server), 0);
    close_both(client, server);
}

/* --- The end of the loop --- */

static struct {
    pl_stream *client;
    pl_stream *server;
    pl_op reading;
    pl_op writing;
    pl_op behind;
    uint8_t *data;
    char byte;
    bool close;
} left;

static void leave_open(void)
{
    size_t size;
    bool close = left.close;
    memset(&left, 0, sizeof left);
    left.close = close;
    left.data = large_pattern(&size);
    REQUIRE(left.data != NULL);
    REQUIRE(connect_pair(&left.client, &left.server));
    CHECK_EQ_INT(pl_stream_set_linger(left.client, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_read_start(&left.reading, left.client, &left.byte, 1), PL_OK);
    CHECK_EQ_INT(pl_write_start(&left.writing, left.client, left.data, size), PL_OK);
    CHECK_EQ_INT(pl_write_start(&left.behind, left.client, left.data, 1), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    expect_reports(0, 1);
    if (close) {
        pl_stream_close(left.client);
        left.client = NULL;
    }
}

/* What a stream that was closed has to write goes on within its linger time, so it may have come to its end. */
static void check_ended_by_the_loop(pl_op *op, bool may_be_written)
{
    int64_t rc = pl_op_result(op);
    CHECK((may_be_written && rc == PL_OK) || rc == PL_ECLOSED || rc == PL_ECANCELED ||
          rc == PL_ECONNRESET); /* the other end is in the same loop */
}

static void check_what_is_left(void)
{
    char byte;
    CHECK(!pl_op_is_pending(&left.reading));
    CHECK(!pl_op_is_pending(&left.writing));
    CHECK(!pl_op_is_pending(&left.behind));
    check_ended_by_the_loop(&left.reading, false);
    check_ended_by_the_loop(&left.writing, left.close);
    check_ended_by_the_loop(&left.behind, left.close);
    if (left.server)
        CHECK(pl_read_start(&left.reading, left.server, &byte, 1) < 0);
    pl_stream_close(left.client);
    pl_stream_close(left.server);
    free(left.data);
}

/* The loop ends what is open and under way; the owners still give back what they own. */
TEST_CASE(streams_left_open_end_with_their_loop)
{
    left.close = false;
    loopback_run(t, leave_open, NULL);
    check_what_is_left();
}

TEST_CASE(streams_that_linger_end_with_their_loop)
{
    left.close = true;
    loopback_run(t, leave_open, NULL);
    check_what_is_left();
}

static const void *lent_before_the_end;

static void leave_a_loan(void)
{
    memset(&left, 0, sizeof left);
    lent_before_the_end = NULL;
    REQUIRE(connect_pair(&left.client, &left.server));
    CHECK_EQ_INT(pl_write(left.client, "h", 1), PL_OK);
    CHECK_EQ_INT(pl_read_borrow(left.server, &lent_before_the_end), 1);
}

TEST_CASE(a_loan_outlives_the_loop_until_it_is_returned)
{
    loopback_run(t, leave_a_loan, NULL);
    REQUIRE(lent_before_the_end != NULL);
    CHECK_MEM(lent_before_the_end, "h", 1);
    CHECK_EQ_INT(pl_read_return(left.server), PL_OK);
    CHECK_EQ_INT(pl_read_return(left.server), PL_ESTATE);
    close_both(left.client, left.server);
}

TEST_CASE(a_loan_that_outlives_the_loop_goes_with_the_stream)
{
    loopback_run(t, leave_a_loan, NULL);
    close_both(left.client, left.server);
}

/* More pieces than a stream sends in one turn, so that it is between two of them with some bytes out and others not:
 * the write in front then ends all behind it. */
static const size_t pieces_of_several_turns[] = {1030, 17000, 60000};

enum { WRITES_BEHIND = 60, PIECES_MAX = 60000 };

static struct {
    pl_stream *client;
    pl_stream *server;
    pl_buffer *pieces;
    size_t count;
    pl_op first;
    pl_op behind[WRITES_BEHIND];
    bool close;
} turns;

static void write_many_pieces(int behind)
{
    REQUIRE(connect_pair(&turns.client, &turns.server));
    CHECK_EQ_INT(pl_write_buffers_start(&turns.first, turns.client, turns.pieces, turns.count), PL_OK);
    for (int i = 0; i < behind; i++)
        CHECK_EQ_INT(pl_write_start(&turns.behind[i], turns.client, "x", 1), PL_OK);
}

static void leave_many_writes(void)
{
    write_many_pieces(WRITES_BEHIND);
    if (turns.close) {
        pl_stream_close(turns.client);
        turns.client = NULL;
    }
}

static bool fill_turns(void)
{
    memset(&turns, 0, sizeof turns);
    turns.pieces = malloc(PIECES_MAX * sizeof *turns.pieces);
    for (size_t i = 0; turns.pieces && i < PIECES_MAX; i++)
        turns.pieces[i] = (pl_buffer){"x", 1};
    return CHECK(turns.pieces != NULL);
}

static void check_many_writes(test_context *t, bool close)
{
    REQUIRE(fill_turns());
    turns.close = close;
    for (size_t k = 0; k < sizeof pieces_of_several_turns / sizeof pieces_of_several_turns[0]; k++) {
        turns.count = pieces_of_several_turns[k];
        loopback_run(t, leave_many_writes, NULL);
        check_ended_by_the_loop(&turns.first, true);
        for (int i = 0; i < WRITES_BEHIND; i++)
            check_ended_by_the_loop(&turns.behind[i], true);
        close_both(turns.client, turns.server);
    }
    free(turns.pieces);
}

TEST_CASE(writes_that_end_one_another_end_with_their_loop)
{
    check_many_writes(t, false);
}

TEST_CASE(writes_of_a_closed_stream_that_end_one_another_end_with_their_loop)
{
    check_many_writes(t, true);
}

/* The queue is out, or the time is up, or both in one iteration: then the one that is late finds nothing to do. */
TASK_CASE(the_linger_ends_as_the_queue_does)
{
    REQUIRE(fill_turns());
    expect_reports(0, 1000);
    for (size_t k = 0; k < sizeof pieces_of_several_turns / sizeof pieces_of_several_turns[0]; k++) {
        int64_t end, got, rc, behind;
        turns.count = pieces_of_several_turns[k];
        write_many_pieces(1);
        CHECK_EQ_INT(pl_stream_set_linger(turns.client, 1), PL_OK);
        pl_stream_close(turns.client);
        end = read_to_end(turns.server);
        got = pl_stream_bytes_read(turns.server);
        rc = pl_op_await(&turns.first);
        CHECK(rc == PL_OK || rc == PL_ECLOSED);
        behind = pl_op_await(&turns.behind[0]);
        CHECK(behind == PL_OK || behind == PL_ECLOSED);
        if (rc == PL_OK && behind == PL_OK)
            CHECK_EQ_INT(got, (int64_t)turns.count + 1);
        CHECK(behind == PL_OK ? end == 0 : is_reset(end));
        pl_stream_close(turns.server);
    }
    free(turns.pieces);
}

static struct {
    pl_listener *listener;
    uint16_t port;
} patient;

static int64_t listen_and_leave(void *arg)
{
    (void)arg;
    (void)listen_here(&patient.listener, &patient.port);
    return 0;
}

static int64_t write_and_leave(void *arg)
{
    pl_stream *stream = NULL;
    (void)arg;
    if (!CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", patient.port, NULL), PL_OK))
        return 0;
    CHECK_EQ_INT(pl_write(stream, "x", 1), PL_OK);
    CHECK_EQ_INT(pl_stream_set_linger(stream, PL_SECONDS(3600)), PL_OK);
    pl_stream_close(stream);
    return 0;
}

static void run_in(pl_loop *loop, pl_task_fn *fn)
{
    pl_task_options options = {.size = sizeof options, .loop = loop};
    pl_task *task = NULL;
    REQUIRE_EQ_INT(pl_spawn(&task, fn, NULL, &options), PL_OK);
    CHECK_EQ_INT(pl_loop_run_until_complete(loop, pl_task_future(task)), 0);
    pl_task_unref(task);
}

/* The peer is a loop that does not run, so it never closes its side. Even a stream that has something to write has five
 * seconds at most when its loop closes; this one only waits. */
TEST_CASE(a_stream_that_waits_for_its_peer_does_not_keep_its_loop)
{
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    pl_loop *peer = NULL;
    pl_loop *loop = NULL;
    pl_duration begun;
    if (strcmp(t->backend, "sim") == 0) {
        t_skip(t, "each simulated loop has a network of its own");
        return;
    }
    memset(&patient, 0, sizeof patient);
    REQUIRE_EQ_INT(pl_loop_create(&peer, &options), PL_OK);
    run_in(peer, listen_and_leave);
    if (patient.listener && CHECK_EQ_INT(pl_loop_create(&loop, &options), PL_OK)) {
        begun = pl_loop_time(peer);
        run_in(loop, write_and_leave);
        CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
        CHECK(pl_loop_time(peer) - begun < PL_SECONDS(5));
    }
    pl_listener_close(patient.listener);
    CHECK_EQ_INT(pl_loop_close(peer), PL_OK);
}

static int64_t read_for_ever(void *arg)
{
    pl_stream *stream = arg;
    int64_t rc = read_to_end(stream);
    CHECK_EQ_INT(rc, PL_ECANCELED);
    pl_stream_close(stream);
    return rc;
}

TASK_CASE(tasks_that_read_are_cancelled_by_the_end_of_their_loop)
{
    pl_stream *client, *server;
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_spawn(NULL, read_for_ever, client, NULL), PL_OK);
    CHECK_EQ_INT(pl_spawn(NULL, read_for_ever, server, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
}

TEST_SUITE(stream, TEST_BACKENDS_ALL,
           CASE(what_is_written_is_read),
           CASE(a_read_takes_no_more_than_was_asked_for),
           CASE(several_buffers_are_written_as_one),
           CASE(more_buffers_than_a_system_call_takes_are_written_in_order),
           CASE(a_write_of_nothing_succeeds_and_sends_nothing),
           CASE(a_lent_buffer_holds_what_came),
           CASE(a_loan_is_returned_once_and_before_the_next),
           CASE(a_cancelled_loan_lends_nothing),
           CASE(a_loan_outlives_the_close_until_it_is_returned),
           CASE(a_loan_that_is_never_returned_goes_with_the_stream),
           CASE(a_loan_that_would_come_after_the_close_is_not_lent),
           CASE(the_end_of_a_stream_is_read_again_and_again),
           CASE(half_close_leaves_the_other_direction_open),
           CASE(half_close_waits_for_the_writes_before_it),
           CASE(writing_after_half_close_is_refused),
           CASE(a_second_reader_is_busy_and_the_first_reads_on),
           CASE(writes_go_out_whole_and_in_the_order_of_their_start),
           CASE(writes_end_in_the_order_of_their_start),
           CASE(buffers_of_concurrent_writers_stay_whole),
           CASE(a_write_waits_until_the_peer_reads),
           CASE(flush_of_a_stream_with_nothing_queued_returns),
           CASE(flush_waits_for_what_is_queued_then),
           CASE(a_cancelled_flush_leaves_the_writes_alone),
           CASE(close_sends_what_is_queued_and_the_peer_gets_every_byte),
           CASE(close_right_after_a_write_loses_nothing),
           CASE(close_with_unread_input_still_delivers_the_reply),
           CASE(what_is_left_when_the_linger_ends_is_dropped_reset_and_reported),
           CASE(the_linger_ends_as_the_queue_does),
           CASE(without_linger_close_drops_what_is_queued),
           CASE(without_linger_and_with_nothing_queued_close_is_orderly),
           CASE(abort_resets),
           CASE(abort_ends_what_waits_with_closed),
           CASE(writing_to_a_peer_that_reset_fails),
           CASE(a_read_that_waits_at_close_gets_closed),
           CASE(a_started_read_that_waits_at_close_gets_closed),
           CASE(every_call_on_a_closed_stream_says_so),
           CASE(a_reference_outlives_everything_but_the_loop),
           CASE(nothing_is_closed_by_null),
           CASE(a_reads_callback_may_close_its_stream),
           CASE(what_came_for_closed_streams_does_not_reach_those_that_follow),
           CASE(both_ends_know_both_addresses),
           CASE(options_are_taken_and_the_connection_works),
           CASE(bad_arguments_are_refused_and_change_nothing),
           CASE(a_callback_cannot_wait),
           CASE(streams_left_open_end_with_their_loop),
           CASE(streams_that_linger_end_with_their_loop),
           CASE(a_loan_outlives_the_loop_until_it_is_returned),
           CASE(a_loan_that_outlives_the_loop_goes_with_the_stream),
           CASE(writes_that_end_one_another_end_with_their_loop),
           CASE(writes_of_a_closed_stream_that_end_one_another_end_with_their_loop),
           CASE(a_stream_that_waits_for_its_peer_does_not_keep_its_loop),
           CASE(tasks_that_read_are_cancelled_by_the_end_of_their_loop))
