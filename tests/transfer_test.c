#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "loopback.h"

/* Natively 64 MiB; elsewhere each system call has its price. */
static int64_t large(void)
{
    if (on_backend("sim"))
        return 2 * 1024 * 1024;
    return on_backend("iocp") ? (int64_t)16 * 1024 * 1024 : (int64_t)64 * 1024 * 1024;
}

static void close_both(pl_stream *client, pl_stream *server)
{
    pl_stream_close(client);
    pl_stream_close(server);
}

typedef struct exchange {
    flow flows[4];
    int count;
} exchange;

static void add_direction(exchange *e, pl_stream *from, pl_stream *to, flow how)
{
    flow *out = &e->flows[e->count++];
    flow *in = &e->flows[e->count++];
    *out = how;
    out->stream = from;
    out->borrow = false;
    out->shut = true;
    *in = how;
    in->stream = to;
    in->size = -1;
}

static void run_exchange(exchange *e)
{
    pl_group tasks = {0};
    int i;
    CHECK_EQ_INT(pl_group_begin(&tasks, 0), PL_OK);
    for (i = 0; i < e->count; i++)
        CHECK_EQ_INT(pl_group_spawn(&tasks, i % 2 ? flow_receive : flow_send, &e->flows[i], NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&tasks, 0), 0);
    for (i = 0; i < e->count; i++) {
        CHECK_EQ_INT(e->flows[i].result, 0);
        CHECK(!e->flows[i].broken);
        CHECK_EQ_INT(e->flows[i].done, e->flows[i & ~1].size);
    }
}

TASK_CASE(a_large_transfer_is_exact)
{
    pl_stream *client, *server;
    exchange e = {.count = 0};
    REQUIRE(connect_pair(&client, &server));
    add_direction(&e, client, server, (flow){.size = large()});
    run_exchange(&e);
    close_both(client, server);
}

TASK_CASE(a_large_transfer_into_lent_buffers_is_exact)
{
    pl_stream *client, *server;
    exchange e = {.count = 0};
    REQUIRE(connect_pair(&client, &server));
    add_direction(&e, client, server, (flow){.size = large(), .borrow = true});
    run_exchange(&e);
    close_both(client, server);
}

TASK_CASE(large_transfers_both_ways_at_once_are_exact)
{
    pl_stream *client, *server;
    exchange e = {.count = 0};
    REQUIRE(connect_pair(&client, &server));
    add_direction(&e, client, server, (flow){.size = large() / 4});
    add_direction(&e, server, client, (flow){.size = large() / 4, .borrow = true});
    run_exchange(&e);
    close_both(client, server);
}

TASK_CASE(pieces_of_any_size_through_narrow_buffers_arrive_exactly)
{
    pl_stream *client, *server;
    exchange e = {.count = 0};
    REQUIRE(connect_pair(&client, &server));
    narrow_pair(client, server);
    add_direction(&e, client, server, (flow){.size = 700000, .seed = 21, .piece = 5000});
    add_direction(&e, server, client, (flow){.size = 700000, .seed = 22, .piece = 50000});
    run_exchange(&e);
    close_both(client, server);
}

TASK_CASE(byte_by_byte_arrives_exactly)
{
    pl_stream *client, *server;
    exchange e = {.count = 0};
    REQUIRE(connect_pair(&client, &server));
    add_direction(&e, client, server, (flow){.size = 3000, .piece = 1});
    run_exchange(&e);
    close_both(client, server);
}

/* The memory is never touched before it is read: it costs no more than its page tables. */
TASK_CASE(a_write_larger_than_a_system_call_takes_is_split)
{
    const char *scale = getenv("PROLOOP_TEST_SCALE");
    const uint64_t size = (UINT64_C(1) << 31) + 4099;
    pl_stream *client, *server;
    uint8_t *data;
    pl_op op = {0};
    if (!on_backend("epoll") || sizeof(size_t) < 8 || (scale && strcmp(scale, "100") != 0))
        return; /* it would take minutes */
    data = calloc(1, (size_t)size);
    REQUIRE(data != NULL);
    data[size - 1] = 'z';
    if (connect_pair(&client, &server)) {
        const void *lent;
        int64_t got = 0;
        int64_t n;
        char last = 0;
        CHECK_EQ_INT(pl_write_start(&op, client, data, (size_t)size), PL_OK);
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
        while ((n = pl_read_borrow(server, &lent)) > 0) {
            got += n;
            last = ((const char *)lent)[n - 1];
            pl_read_return(server);
        }
        CHECK_EQ_INT(n, 0);
        CHECK_EQ_INT(got, (int64_t)size);
        CHECK_EQ_INT(last, 'z');
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        CHECK_EQ_INT(pl_stream_bytes_written(client), (int64_t)size);
        close_both(client, server);
    }
    free(data);
}

/* --- Reads that are cancelled --- */

enum patience { BY_OPERATION, BY_TIMEOUT, BY_TASK, WAYS };

typedef struct impatient {
    pl_stream *stream;
    bool borrow;
    uint8_t data[3000];
    const void *lent;
    int64_t result;
} impatient;

static int64_t read_as_told(impatient *r, size_t size)
{
    r->lent = r->data;
    return r->borrow ? pl_read_borrow(r->stream, &r->lent) : pl_read(r->stream, r->data, size);
}

static int64_t read_in_a_task(void *arg)
{
    impatient *r = arg;
    r->result = read_as_told(r, sizeof r->data);
    return 0;
}

/* Starts, lets a few iterations pass, cancels, and takes what came of it. */
static int64_t read_by_operation(impatient *r, size_t size, uint64_t yields)
{
    pl_op op = {0};
    int rc;
    r->lent = r->data;
    rc = r->borrow ? pl_read_borrow_start(&op, r->stream, &r->lent) : pl_read_start(&op, r->stream, r->data, size);
    if (!CHECK_EQ_INT(rc, PL_OK))
        return rc;
    while (yields-- > 0 && pl_op_is_pending(&op))
        pl_yield();
    if (pl_op_is_pending(&op))
        CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    return pl_op_await(&op);
}

static int64_t read_by_timeout(impatient *r, size_t size, pl_duration limit)
{
    pl_timeout timeout = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin(&timeout, limit), PL_OK);
    rc = pl_timeout_end(&timeout, read_as_told(r, size));
    return rc == PL_ETIMEDOUT ? PL_ECANCELED : rc;
}

static int64_t read_by_task(impatient *r, uint64_t yields)
{
    pl_task *task = NULL;
    int64_t rc;
    r->result = PL_ECANCELED;
    CHECK_EQ_INT(pl_spawn(&task, read_in_a_task, r, NULL), PL_OK);
    while (yields-- > 0)
        pl_yield();
    pl_task_cancel(task);
    rc = pl_task_await(task);
    CHECK(rc == 0 || rc == PL_ECANCELED);
    pl_task_unref(task);
    return r->result;
}

static int64_t read_impatiently(impatient *r, enum patience way, dice *d)
{
    size_t size = 1 + (size_t)throw_below(d, sizeof r->data);
    uint64_t yields = throw_below(d, 4);
    switch (way) {
    case BY_OPERATION:
        return read_by_operation(r, size, yields);
    case BY_TIMEOUT:
        return read_by_timeout(r, size, PL_US(throw_below(d, 120)));
    default:
        return read_by_task(r, yields);
    }
}

/* Streams a pattern and half closes; pauses now and then, so that reads have something to wait for. */
static int64_t stream_with_pauses(void *arg)
{
    flow *f = arg;
    dice d = dice_of(f->seed);
    uint8_t data[2000];
    while (f->result == 0 && f->done < f->size) {
        size_t size = 1 + (size_t)throw_below(&d, sizeof data);
        uint64_t pauses = throw_below(&d, 5);
        pattern_fill(data, size, (uint64_t)f->done);
        f->result = pl_write(f->stream, data, size);
        if (f->result == 0)
            f->done += (int64_t)size;
        while (pauses-- > 0)
            pl_yield();
    }
    CHECK_EQ_INT(f->result, 0);
    CHECK_EQ_INT(pl_stream_shutdown(f->stream), PL_OK);
    return 0;
}

static void check_cancelled_reads(enum patience way, bool borrow, uint64_t seed)
{
    static impatient reader;
    flow out = {.seed = seed, .size = 300000};
    pl_stream *client, *server;
    pl_group sender = {0};
    dice d = dice_of(seed + 1);
    uint64_t got = 0;
    int cancelled = 0;
    int64_t n;
    REQUIRE(connect_pair(&client, &server));
    out.stream = client;
    reader.stream = server;
    reader.borrow = borrow;
    CHECK_EQ_INT(pl_group_begin(&sender, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&sender, stream_with_pauses, &out, NULL), PL_OK);
    while ((n = read_impatiently(&reader, way, &d)) > 0 || n == PL_ECANCELED) {
        if (n == PL_ECANCELED) {
            cancelled++;
            if (borrow)
                CHECK_EQ_INT(pl_read_return(server), PL_ESTATE);
            continue;
        }
        if (!CHECK(pattern_holds(reader.lent, (size_t)n, got)))
            break;
        got += (uint64_t)n;
        if (borrow)
            CHECK_EQ_INT(pl_read_return(server), PL_OK);
    }
    if (!CHECK_EQ_INT(n, 0))
        pl_group_cancel(&sender);
    CHECK_EQ_INT(pl_group_end(&sender, 0), 0);
    CHECK_EQ_INT(got, out.done);
    CHECK_EQ_INT(pl_stream_bytes_read(server), out.done);
    CHECK(cancelled > 0); /* or the case proves nothing */
    close_both(client, server);
}

TASK_CASE(reads_cancelled_by_operation_lose_no_byte)
{
    check_cancelled_reads(BY_OPERATION, false, 31);
    check_cancelled_reads(BY_OPERATION, false, 32);
}

TASK_CASE(reads_cancelled_by_timeout_lose_no_byte)
{
    check_cancelled_reads(BY_TIMEOUT, false, 33);
    check_cancelled_reads(BY_TIMEOUT, false, 34);
}

TASK_CASE(reads_cancelled_with_their_task_lose_no_byte)
{
    check_cancelled_reads(BY_TASK, false, 35);
    check_cancelled_reads(BY_TASK, false, 36);
}

TASK_CASE(cancelled_loans_lose_no_byte)
{
    check_cancelled_reads(BY_OPERATION, true, 37);
    check_cancelled_reads(BY_TIMEOUT, true, 38);
    check_cancelled_reads(BY_TASK, true, 39);
}

/* --- Writes that are cancelled --- */

/* Reads and checks the bytes from `first` to what the other end says it has sent. */
static void receive_part(pl_stream *to, int64_t first, int64_t sent)
{
    flow in = {.stream = to, .size = sent, .done = first};
    flow_receive(&in);
    CHECK_EQ_INT(in.result, 0);
    CHECK_EQ_INT(in.done, sent);
    CHECK(!in.broken);
}

static void receive_what_was_sent(pl_stream *to, int64_t sent)
{
    receive_part(to, 0, sent);
}

TASK_CASE(a_write_cancelled_behind_another_did_not_happen)
{
    pl_stream *client, *server;
    pl_op first = {0};
    pl_op second = {0};
    pl_op third = {0};
    size_t size = on_backend("sim") ? 200000 : 24 * 1024 * 1024;
    uint8_t *data = malloc(size + 100);
    REQUIRE(data != NULL);
    pattern_fill(data, size + 100, 0);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_write_start(&first, client, data, size), PL_OK);
        CHECK_EQ_INT(pl_write_start(&second, client, "never", 5), PL_OK);
        CHECK_EQ_INT(pl_write_start(&third, client, data + size, 100), PL_OK);
        pl_yield();
        CHECK(pl_op_is_pending(&first));
        CHECK_EQ_INT(pl_op_cancel(&second), PL_OK);
        CHECK_EQ_INT(pl_op_await(&second), PL_ECANCELED);
        CHECK(pl_op_is_pending(&first));
        receive_what_was_sent(server, (int64_t)size + 100);
        CHECK_EQ_INT(pl_op_await(&first), PL_OK);
        CHECK_EQ_INT(pl_op_await(&third), PL_OK);
        CHECK_EQ_INT(pl_stream_bytes_written(client), (int64_t)size + 100);
        CHECK(connection_works(client, server));
        close_both(client, server);
    }
    free(data);
}

TASK_CASE(a_write_cancelled_under_way_breaks_the_write_side_and_tells_how_far_it_came)
{
    pl_stream *client, *server;
    pl_op op = {0};
    pl_op behind = {0};
    size_t size = on_backend("sim") ? 200000 : 24 * 1024 * 1024;
    uint8_t *data = malloc(size);
    int64_t sent;
    REQUIRE(data != NULL);
    pattern_fill(data, size, 0);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_write_start(&op, client, data, size), PL_OK);
        CHECK_EQ_INT(pl_write_start(&behind, client, data, 1), PL_OK);
        /* Windows counts what is written only when the write ends: what arrives tells that it has begun. */
        receive_part(server, 0, 100);
        CHECK(pl_op_is_pending(&op));
        CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
        CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
        CHECK_EQ_INT(pl_op_await(&behind), PL_EBROKEN);
        memset(data, 0, size); /* it is ours again */
        sent = pl_stream_bytes_written(client);
        CHECK(sent >= 100 && sent < (int64_t)size);
        CHECK_EQ_INT(pl_write(client, "x", 1), PL_EBROKEN);
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_EBROKEN);
        CHECK(pl_stream_flush(client) < 0);
        receive_part(server, 100, sent);
        CHECK_EQ_INT(pl_write(server, "yes", 3), PL_OK); /* the other direction is whole */
        CHECK_EQ_INT(read_whole(client, data, 3), 3);
        CHECK_MEM(data, "yes", 3);
        CHECK_EQ_INT(pl_stream_bytes_written(client), sent);
        close_both(client, server);
    }
    free(data);
}

/* One write of 100000 bytes, cancelled at a random moment. */
static void write_impatiently(pl_stream *client, pl_stream *server, uint8_t *data, size_t size, dice *d)
{
    uint64_t yields = throw_below(d, 3);
    pl_op op = {0};
    int64_t rc, sent;
    CHECK_EQ_INT(pl_write_start(&op, client, data, size), PL_OK);
    while (yields-- > 0)
        pl_yield();
    rc = pl_op_finish(&op);
    memset(data, 0, size);
    sent = pl_stream_bytes_written(client);
    CHECK(rc == PL_OK || rc == PL_ECANCELED);
    if (rc == PL_OK)
        CHECK_EQ_INT(sent, size);
    else
        CHECK(sent < (int64_t)size);
    receive_what_was_sent(server, sent);
    if (rc == PL_ECANCELED && sent > 0)
        CHECK_EQ_INT(pl_write(client, "x", 1), PL_EBROKEN);
    else
        CHECK(connection_works(client, server));
}

TASK_CASE(a_write_cancelled_at_any_moment_tells_the_truth)
{
    enum { ROUNDS = 60, SIZE = 400000 };
    uint8_t *data = malloc(SIZE);
    dice d = dice_of(41);
    int i;
    REQUIRE(data != NULL);
    for (i = 0; i < ROUNDS; i++) {
        pl_stream *client, *server;
        if (!connect_pair(&client, &server))
            break;
        if (throw_below(&d, 2))
            narrow_pair(client, server);
        pattern_fill(data, SIZE, 0);
        write_impatiently(client, server, data, SIZE, &d);
        close_both(client, server);
    }
    free(data);
}

TASK_CASE(a_write_bounded_by_a_timeout_tells_how_far_it_came)
{
    pl_stream *client, *server;
    pl_timeout limit = {0};
    size_t size = on_backend("sim") ? 200000 : 24 * 1024 * 1024;
    uint8_t *data = malloc(size);
    REQUIRE(data != NULL);
    pattern_fill(data, size, 0);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(30)), PL_OK);
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_write(client, data, size)), PL_ETIMEDOUT);
        receive_what_was_sent(server, pl_stream_bytes_written(client));
        CHECK_EQ_INT(pl_write(client, "x", 1), PL_EBROKEN);
        close_both(client, server);
    }
    free(data);
}

static int64_t write_for_ever(void *arg)
{
    flow *f = arg;
    uint8_t data[1000];
    for (;;) {
        pattern_fill(data, sizeof data, (uint64_t)f->done);
        f->result = pl_write(f->stream, data, sizeof data);
        if (f->result < 0)
            return 0;
        f->done += (int64_t)sizeof data;
    }
}

/* The task's writes are small: most wait behind nothing, and one is half out when the system is full. */
TASK_CASE(what_a_cancelled_writer_was_told_is_what_arrives)
{
    int i;
    for (i = 0; i < 10; i++) {
        pl_stream *client, *server;
        pl_task *task = NULL;
        flow out = {0};
        int yields = i * 3;
        int64_t sent;
        REQUIRE(connect_pair(&client, &server));
        narrow_pair(client, server);
        out.stream = client;
        CHECK_EQ_INT(pl_spawn(&task, write_for_ever, &out, NULL), PL_OK);
        do {
            pl_yield();
        } while (yields-- > 0);
        pl_task_cancel(task);
        CHECK(pl_task_await(task) == 0 || i == 0);
        pl_task_unref(task);
        sent = pl_stream_bytes_written(client);
        CHECK(sent >= out.done && sent < out.done + 1000);
        receive_what_was_sent(server, sent);
        close_both(client, server);
    }
}

TEST_SUITE(transfer, TEST_BACKENDS_ALL,
           CASE(a_large_transfer_is_exact),
           CASE(a_large_transfer_into_lent_buffers_is_exact),
           CASE(large_transfers_both_ways_at_once_are_exact),
           CASE(pieces_of_any_size_through_narrow_buffers_arrive_exactly),
           CASE(byte_by_byte_arrives_exactly),
           CASE(a_write_larger_than_a_system_call_takes_is_split),
           CASE(reads_cancelled_by_operation_lose_no_byte),
           CASE(reads_cancelled_by_timeout_lose_no_byte),
           CASE(reads_cancelled_with_their_task_lose_no_byte),
           CASE(cancelled_loans_lose_no_byte),
           CASE(a_write_cancelled_behind_another_did_not_happen),
           CASE(a_write_cancelled_under_way_breaks_the_write_side_and_tells_how_far_it_came),
           CASE(a_write_cancelled_at_any_moment_tells_the_truth),
           CASE(a_write_bounded_by_a_timeout_tells_how_far_it_came),
           CASE(what_a_cancelled_writer_was_told_is_what_arrives))
