/* Transfers through a system that does less than it was asked for, is interrupted, or changes its mind. */
#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "atomic.h"
#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "shims.h"

#define NAME "shim_transfer_test_file"

/* The n-th call of all has always the same fault. */
static pl__atomic_i64 number;
static uint64_t seed;

static shim_fault fault_at_random(shim kind, size_t *limit)
{
    dice d = dice_of(seed * 1000003 + (uint64_t)pl__atomic_i64_add(&number, 1));
    static const shim_fault faults[] = {SHIM_AS_IS, SHIM_SHORT, SHIM_SHORT, SHIM_INTERRUPTED, SHIM_NOT_READY};
    if (kind == SHIM_ACCEPT)
        return SHIM_AS_IS;
    *limit = 1 + (size_t)throw_below(&d, throw_below(&d, 3) ? 3000 : 3);
    return faults[throw_below(&d, sizeof faults / sizeof faults[0])];
}

static void begin_faults(uint64_t with_seed)
{
    seed = with_seed;
    pl__atomic_i64_store(&number, 0);
    shims_set_faults(fault_at_random);
}

#define SHIM_CASE(name)                                                                                                \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        shims_begin();                                                                                                 \
        loopback_run(t, name##_body, NULL);                                                                            \
        shims_end();                                                                                                   \
    }                                                                                                                  \
    static void name##_body(void)

static void transfer_both_ways(uint64_t with_seed, bool borrow)
{
    enum { SIZE = 400000, FLOWS = 4 };
    flow flows[FLOWS];
    pl_stream *client, *server;
    pl_group tasks = {0};
    int i;
    begin_faults(with_seed);
    REQUIRE(connect_pair(&client, &server));
    for (i = 0; i < FLOWS; i++)
        flows[i] = (flow){.stream = i == 0 || i == 3 ? client : server,
                          .size = i % 2 ? -1 : SIZE,
                          .seed = with_seed + (uint64_t)i,
                          .piece = 20000,
                          .shut = true,
                          .borrow = borrow};
    CHECK_EQ_INT(pl_group_begin(&tasks, 0), PL_OK);
    for (i = 0; i < FLOWS; i++)
        CHECK_EQ_INT(pl_group_spawn(&tasks, i % 2 ? flow_receive : flow_send, &flows[i], NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&tasks, 0), 0);
    for (i = 0; i < FLOWS; i++) {
        CHECK_EQ_INT(flows[i].result, 0);
        CHECK_EQ_INT(flows[i].done, SIZE);
        CHECK(!flows[i].broken);
    }
    pl_stream_close(client);
    pl_stream_close(server);
}

SHIM_CASE(a_transfer_with_faults_at_every_call_is_exact)
{
    uint64_t s;
    for (s = 1; s <= 10; s++)
        transfer_both_ways(s, s % 2 == 0);
    CHECK(pl__atomic_i64_load(&number) > 100);
}

SHIM_CASE(vectors_cut_anywhere_arrive_exactly)
{
    enum { COUNT = 300, EACH = 700 };
    static uint8_t data[COUNT * EACH];
    static pl_buffer buffers[COUNT];
    uint64_t s;
    size_t i;
    pattern_fill(data, sizeof data, 0);
    for (s = 1; s <= 10; s++) {
        pl_stream *client, *server;
        flow in = {.size = -1};
        dice d = dice_of(s);
        pl_op op = {0};
        size_t place = 0;
        for (i = 0; i < COUNT; i++) {
            size_t size = i + 1 < COUNT ? (size_t)throw_below(&d, EACH) : sizeof data - place;
            buffers[i] = (pl_buffer){data + place, size};
            place += size;
        }
        begin_faults(s);
        REQUIRE(connect_pair(&client, &server));
        in.stream = server;
        CHECK_EQ_INT(pl_write_buffers_start(&op, client, buffers, COUNT), PL_OK);
        CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
        flow_receive(&in);
        CHECK_EQ_INT(in.result, 0);
        CHECK_EQ_INT(in.done, sizeof data);
        CHECK(!in.broken);
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        pl_stream_close(client);
        pl_stream_close(server);
    }
}

SHIM_CASE(a_file_sent_with_faults_at_every_call_is_exact)
{
    enum { SIZE = 300000 };
    uint8_t *data = malloc(SIZE);
    pl_file *file = NULL;
    uint64_t s;
    REQUIRE(data != NULL);
    pattern_fill(data, SIZE, 0);
    path_remove(NAME);
    CHECK(file_make(NAME, data, SIZE));
    if (CHECK_EQ_INT(pl_file_open(&file, NAME, NULL), PL_OK)) {
        for (s = 1; s <= 10; s++) {
            pl_stream *client, *server;
            flow in = {.size = -1};
            pl_op op = {0};
            begin_faults(s);
            if (!connect_pair(&client, &server))
                break;
            in.stream = server;
            CHECK_EQ_INT(pl_stream_send_file_start(&op, client, file, 0, SIZE), PL_OK);
            CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
            flow_receive(&in);
            CHECK_EQ_INT(in.result, 0);
            CHECK_EQ_INT(in.done, SIZE);
            CHECK(!in.broken);
            CHECK_EQ_INT(pl_op_await(&op), SIZE);
            pl_stream_close(client);
            pl_stream_close(server);
        }
        pl_file_close(file);
    }
    path_remove(NAME);
    free(data);
}

SHIM_CASE(writes_cancelled_among_faults_tell_how_far_they_came)
{
    enum { SIZE = 300000, ROUNDS = 30 };
    uint8_t *data = malloc(SIZE);
    dice d = dice_of(71);
    int i;
    REQUIRE(data != NULL);
    for (i = 0; i < ROUNDS; i++) {
        pl_stream *client, *server;
        flow in = {.size = 0};
        pl_op op = {0};
        uint64_t yields = throw_below(&d, 6);
        int64_t rc;
        begin_faults((uint64_t)i);
        if (!connect_pair(&client, &server))
            break;
        pattern_fill(data, SIZE, 0);
        CHECK_EQ_INT(pl_write_start(&op, client, data, SIZE), PL_OK);
        while (yields-- > 0)
            pl_yield();
        rc = pl_op_finish(&op);
        CHECK(rc == PL_OK || rc == PL_ECANCELED);
        memset(data, 0, SIZE);
        in.stream = server;
        in.size = pl_stream_bytes_written(client);
        CHECK((rc == PL_OK) == (in.size == SIZE));
        flow_receive(&in);
        CHECK_EQ_INT(in.result, 0);
        CHECK_EQ_INT(in.done, in.size);
        CHECK(!in.broken);
        pl_stream_close(client);
        pl_stream_close(server);
    }
    free(data);
}

TEST_SUITE(shim_transfer, TEST_BACKENDS_REAL,
           CASE(a_transfer_with_faults_at_every_call_is_exact),
           CASE(vectors_cut_anywhere_arrive_exactly),
           CASE(a_file_sent_with_faults_at_every_call_is_exact),
           CASE(writes_cancelled_among_faults_tell_how_far_they_came))
