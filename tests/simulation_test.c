/* The simulated network: the same seed gives the same run, and whatever the seed, no byte is lost. */
#include <proloop/proloop.h>

#include <string.h>

#include "harness.h"
#include "loopback.h"

enum { SEEDS = 300, MESSAGES = 30, MESSAGE_MAX = 2000, TRACE_MAX = 20000, PAIRS = 3 };

/* What happened, in order, as numbers. */
typedef struct trace {
    int64_t entries[TRACE_MAX];
    int count;
} trace;

static struct {
    trace *trace;
    uint64_t seed;
    uint16_t port;
    pl_listener *listener;
    int cancelled;
} play;

static void note(int64_t what)
{
    trace *t = play.trace;
    if (t && t->count + 2 <= TRACE_MAX) {
        t->entries[t->count++] = pl_loop_time(pl_loop_running());
        t->entries[t->count++] = what;
    }
}

static int64_t echo(void *arg)
{
    pl_stream *stream = arg;
    const void *data;
    int64_t n;
    while ((n = pl_read_borrow(stream, &data)) > 0) {
        note(n);
        n = pl_write(stream, data, (size_t)n);
        CHECK_EQ_INT(pl_read_return(stream), PL_OK);
        if (n < 0)
            break;
    }
    note(n);
    CHECK_EQ_INT(n, 0);
    pl_stream_close(stream);
    return 0;
}

static int64_t serve(void *arg)
{
    pl_group clients = {0};
    pl_stream *stream = NULL;
    (void)arg;
    CHECK_EQ_INT(pl_group_begin(&clients, 0), PL_OK);
    while (pl_accept(play.listener, &stream) == PL_OK)
        CHECK_EQ_INT(pl_group_spawn(&clients, echo, stream, pl_stream_drop), PL_OK);
    return pl_group_end(&clients, 0);
}

/* Reads with a random patience until `size` bytes are there; a cancelled read must have taken none. */
static bool read_back(pl_stream *stream, uint64_t offset, size_t size, dice *d)
{
    uint8_t data[MESSAGE_MAX];
    size_t got = 0;
    while (got < size) {
        pl_timeout limit = {0};
        int64_t n;
        CHECK_EQ_INT(pl_timeout_begin(&limit, PL_US(throw_below(d, 1500))), PL_OK);
        n = pl_timeout_end(&limit, pl_read(stream, data, size - got));
        note(n);
        if (n == PL_ETIMEDOUT) {
            play.cancelled++;
            continue;
        }
        if (!CHECK(n > 0) || !CHECK(pattern_holds(data, (size_t)n, offset + got)))
            return false;
        got += (size_t)n;
    }
    return true;
}

static int64_t call(void *arg)
{
    const int number = *(const int *)arg;
    dice d = dice_of(play.seed * 100 + (uint64_t)number);
    uint8_t data[MESSAGE_MAX];
    pl_stream *stream = NULL;
    uint64_t sent = 0;
    int i;
    if (!CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", play.port, NULL), PL_OK))
        return 0;
    for (i = 0; i < MESSAGES; i++) {
        size_t size = 1 + (size_t)throw_below(&d, MESSAGE_MAX);
        pattern_fill(data, size, sent);
        if (!CHECK_EQ_INT(pl_write(stream, data, size), PL_OK) || !read_back(stream, sent, size, &d))
            break;
        sent += size;
    }
    CHECK_EQ_INT(pl_stream_shutdown(stream), PL_OK);
    CHECK_EQ_INT(read_to_end(stream), 0);
    note((int64_t)sent);
    pl_stream_close(stream);
    return 0;
}

static void converse(void)
{
    static const int numbers[PAIRS] = {0, 1, 2};
    pl_group servers = {0};
    pl_group callers = {0};
    int i;
    REQUIRE(listen_here(&play.listener, &play.port));
    CHECK_EQ_INT(pl_group_begin(&servers, 0), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&servers, serve, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&callers, 0), PL_OK);
    for (i = 0; i < PAIRS; i++)
        CHECK_EQ_INT(pl_group_spawn(&callers, call, (void *)(uintptr_t)&numbers[i], NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&callers, 0), 0);
    pl_listener_close(play.listener);
    CHECK_EQ_INT(pl_group_end(&servers, 0), 0);
    note(pl_loop_time(pl_loop_running()));
}

static void run(uint64_t seed, uint64_t dice_seed, trace *into)
{
    static test_context context = {.backend = "sim"};
    const pl_loop_options options = {.size = sizeof options, .seed = seed};
    play.trace = into;
    play.seed = dice_seed;
    if (into)
        into->count = 0;
    loopback_run(&context, converse, &options);
}

static trace first, second;

static bool same(const trace *a, const trace *b)
{
    return a->count == b->count && memcmp(a->entries, b->entries, (size_t)a->count * sizeof a->entries[0]) == 0;
}

TEST_CASE(the_same_seed_gives_the_same_run)
{
    uint64_t seed;
    (void)t;
    for (seed = 1; seed <= 10; seed++) {
        run(seed, 1, &first);
        run(seed, 1, &second);
        CHECK(first.count > 100 && first.count < TRACE_MAX);
        CHECK(same(&first, &second));
    }
}

TEST_CASE(no_seed_is_a_fixed_one)
{
    (void)t;
    run(0, 1, &first);
    run(0, 1, &second);
    CHECK(same(&first, &second));
}

TEST_CASE(another_seed_gives_another_run)
{
    (void)t;
    run(1, 1, &first);
    run(2, 1, &second);
    CHECK(!same(&first, &second));
}

TEST_CASE(no_seed_loses_a_byte)
{
    uint64_t seed;
    (void)t;
    play.cancelled = 0;
    for (seed = 1; seed <= SEEDS; seed++)
        run(seed, seed, NULL);
    CHECK(play.cancelled > SEEDS);
}

static pl_duration waited;

static void sleep_long(void)
{
    pl_loop *loop = pl_loop_running();
    pl_duration begun = pl_loop_time(loop);
    CHECK_EQ_INT(pl_sleep(PL_SECONDS(100)), PL_OK);
    waited = pl_loop_time(loop) - begun;
}

TEST_CASE(its_clock_jumps)
{
    static test_context context = {.backend = "sim"};
    (void)t;
    loopback_run(&context, sleep_long, NULL);
    CHECK(waited >= PL_SECONDS(100) && waited < PL_SECONDS(101));
}

static struct {
    pl_stream *streams[2];
    pl_op ops[2];
    uint8_t data[1024 * 1024];
} stuck;

/* Each wants to write more than fits, and neither reads. */
static void leave_stuck_streams(void)
{
    int i;
    REQUIRE(connect_pair(&stuck.streams[0], &stuck.streams[1]));
    expect_reports(1, 2);
    for (i = 0; i < 2; i++) {
        CHECK_EQ_INT(pl_write_start(&stuck.ops[i], stuck.streams[i], stuck.data, sizeof stuck.data), PL_OK);
        CHECK_EQ_INT(pl_stream_set_linger(stuck.streams[i], PL_FOREVER), PL_OK);
        pl_stream_close(stuck.streams[i]);
    }
    CHECK_EQ_INT(pl_sleep(PL_SECONDS(60)), PL_OK);
    for (i = 0; i < 2; i++)
        CHECK(pl_op_is_pending(&stuck.ops[i]));
}

/* On a real clock this takes some seconds. */
TEST_CASE(a_linger_without_end_ends_with_the_loop)
{
    static test_context context = {.backend = "sim"};
    int i;
    (void)t;
    loopback_run(&context, leave_stuck_streams, NULL);
    for (i = 0; i < 2; i++)
        CHECK(pl_op_result(&stuck.ops[i]) == PL_ECLOSED || pl_op_result(&stuck.ops[i]) == PL_ECONNRESET);
}

TEST_SUITE(simulation, TEST_BACKENDS_NONE,
           CASE(the_same_seed_gives_the_same_run),
           CASE(no_seed_is_a_fixed_one),
           CASE(another_seed_gives_another_run),
           CASE(no_seed_loses_a_byte),
           CASE(its_clock_jumps),
           CASE(a_linger_without_end_ends_with_the_loop))
