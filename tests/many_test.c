#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "loopback.h"
#include "system.h"

enum {
    MOST = 5000,
    BATCH = 100, /* connections under way at a time: a listener's queue is finite */
    ROUNDS = 3,
    BLOCK_MAX = 1500,
    HEAD = 8, /* size and checksum */
    RESETS_EVERY = 9,
    SPARE_HANDLES = 300
};

static struct {
    pl_listener *listener;
    uint16_t port;
    int count;
    int connected;
    int accepted;
    int open; /* handlers that have a connection */
    int most_open;
    int answered; /* blocks */
    int resets;
    int broken; /* connections that the server saw broken */
    pl_future *next_batch;
    pl_future *all_there;
} crowd;

static int how_many(void)
{
    const char *text = getenv("PROLOOP_TEST_SCALE"); /* percent */
    long percent = text ? strtol(text, NULL, 10) : 100;
    size_t handles;
    long count = MOST;
    if (on_backend("sim") || on_backend("select")) /* select knows descriptors below 1024 only */
        count = 200;
    if (on_backend("iocp"))
        count = 500;
    if (percent > 0 && percent < 100)
        count = count * percent / 100;
    handles = system_allow_handles((size_t)count * 2 + SPARE_HANDLES);
    if (handles < (size_t)count * 2 + SPARE_HANDLES)
        count = ((long)handles - SPARE_HANDLES) / 2;
    return count > BATCH ? (int)(count / BATCH * BATCH) : BATCH;
}

static uint32_t checksum(const uint8_t *data, size_t size)
{
    uint32_t sum = 2166136261u;
    size_t i;
    for (i = 0; i < size; i++)
        sum = (sum ^ data[i]) * 16777619u;
    return sum;
}

/* Nobody says a word before all are connected. */
static void open_the_gate(void)
{
    if (crowd.connected == crowd.count && crowd.open == crowd.count)
        pl_future_set_result(crowd.all_there, 0);
}

/* --- The server --- */

/* Answers a block with its checksum. @return 1; 0: there is none; an error. */
static int64_t answer_block(pl_stream *stream)
{
    uint8_t block[HEAD + BLOCK_MAX];
    uint32_t head[2];
    int64_t n = read_whole(stream, block, HEAD);
    if (n <= 0)
        return n;
    memcpy(head, block, HEAD);
    if (!CHECK_EQ_INT(n, HEAD) || !CHECK(head[0] <= BLOCK_MAX))
        return PL_EIO;
    n = read_whole(stream, block + HEAD, head[0]);
    if (n < 0)
        return n;
    if (!CHECK_EQ_INT(n, head[0]) || !CHECK_EQ_INT(checksum(block + HEAD, head[0]), head[1]))
        return PL_EIO;
    crowd.answered++;
    n = pl_write(stream, &head[1], sizeof head[1]);
    return n < 0 ? n : 1;
}

static int64_t handle(void *arg)
{
    pl_stream *stream = arg;
    int64_t rc;
    if (++crowd.open > crowd.most_open)
        crowd.most_open = crowd.open;
    open_the_gate();
    while ((rc = answer_block(stream)) > 0)
        ;
    if (rc < 0)
        crowd.broken++;
    crowd.open--;
    pl_stream_close(stream);
    return 0;
}

static int64_t serve(void *arg)
{
    pl_group clients = {0};
    int64_t rc;
    (void)arg;
    CHECK_EQ_INT(pl_group_begin(&clients, 0), PL_OK);
    for (;;) {
        pl_stream *stream = NULL;
        rc = pl_accept(crowd.listener, &stream);
        if (rc < 0)
            break;
        CHECK_EQ_INT(pl_group_spawn(&clients, handle, stream, pl_stream_drop), PL_OK);
        if (++crowd.accepted % BATCH == 0 && crowd.next_batch)
            pl_future_set_result(crowd.next_batch, 0);
    }
    CHECK_EQ_INT(rc, PL_ECLOSED);
    return pl_group_end(&clients, 0);
}

/* --- The clients --- */

static bool send_block(pl_stream *stream, dice *d)
{
    uint8_t block[HEAD + BLOCK_MAX];
    uint32_t head[2];
    uint32_t answer = 0;
    size_t size = (size_t)throw_below(d, BLOCK_MAX + 1);
    size_t i;
    for (i = 0; i < size; i++)
        block[HEAD + i] = (uint8_t)throw_dice(d);
    head[0] = (uint32_t)size;
    head[1] = checksum(block + HEAD, size);
    memcpy(block, head, HEAD);
    return CHECK_EQ_INT(pl_write(stream, block, HEAD + size), PL_OK) &&
           CHECK_EQ_INT(read_whole(stream, &answer, sizeof answer), (int64_t)sizeof answer) &&
           CHECK_EQ_INT(answer, head[1]);
}

static int64_t call(void *arg)
{
    const int number = (int)(intptr_t)arg;
    const bool resets = number % RESETS_EVERY == RESETS_EVERY - 1;
    dice d = dice_of((uint64_t)number + 1);
    pl_stream *stream = NULL;
    int round;
    if (!CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", crowd.port, NULL), PL_OK))
        return 0;
    crowd.connected++;
    open_the_gate();
    CHECK_EQ_INT(pl_await(crowd.all_there), 0);
    for (round = 0; round < (resets ? 1 : ROUNDS); round++) {
        if (!send_block(stream, &d))
            break;
    }
    if (resets) {
        crowd.resets++;
        pl_stream_abort(stream);
    } else {
        pl_stream_close(stream);
    }
    return 0;
}

/* Starts so many, and waits until they are accepted. */
static void start_batch(pl_group *clients, int first)
{
    int i;
    CHECK_EQ_INT(pl_future_create(&crowd.next_batch, NULL), PL_OK);
    for (i = first; i < first + BATCH; i++)
        CHECK_EQ_INT(pl_group_spawn(clients, call, (void *)(intptr_t)i, NULL), PL_OK);
    CHECK_EQ_INT(pl_await(crowd.next_batch), 0);
    pl_future_unref(crowd.next_batch);
    crowd.next_batch = NULL;
}

TASK_CASE(a_crowd_of_connections_is_served_at_once_by_one_thread)
{
    const pl_listen_options options = {.size = sizeof options, .backlog = BATCH * 2};
    pl_group servers = {0};
    pl_group clients = {0};
    pl_address address = {0};
    int i;
    memset(&crowd, 0, sizeof crowd);
    crowd.count = how_many();
    REQUIRE_EQ_INT(pl_tcp_listen(&crowd.listener, "127.0.0.1", 0, &options), PL_OK);
    CHECK_EQ_INT(pl_listener_address(crowd.listener, &address), PL_OK);
    crowd.port = address.port;
    CHECK_EQ_INT(pl_future_create(&crowd.all_there, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&servers, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&servers, serve, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&clients, 0), PL_OK);
    for (i = 0; i < crowd.count; i += BATCH)
        start_batch(&clients, i);
    CHECK_EQ_INT(pl_group_end(&clients, 0), 0);
    pl_listener_close(crowd.listener);
    CHECK_EQ_INT(pl_group_end(&servers, 0), 0);
    pl_future_unref(crowd.all_there);

    CHECK_EQ_INT(crowd.connected, crowd.count);
    CHECK_EQ_INT(crowd.accepted, crowd.count);
    CHECK_EQ_INT(crowd.most_open, crowd.count);
    CHECK_EQ_INT(crowd.resets, crowd.count / RESETS_EVERY);
    CHECK_EQ_INT(crowd.answered, (crowd.count - crowd.resets) * ROUNDS + crowd.resets);
    CHECK(crowd.broken <= crowd.resets);
    CHECK(on_backend("iocp") || crowd.broken == crowd.resets); /* Wine reads a reset as an end */
}

TEST_SUITE(many, TEST_BACKENDS_ALL, CASE(a_crowd_of_connections_is_served_at_once_by_one_thread))
