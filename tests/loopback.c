#include "loopback.h"

#include <stdlib.h>
#include <string.h>

/* A case that hangs is cancelled again and again from here on, so that it ends and says where. */
static const pl_duration hang_limit = PL_SECONDS(120);
static const pl_duration hang_again = PL_MS(50);

static struct {
    test_context *context;
    pl_task *task;
    pl_timer guard;
    int reports;
    int least;
    int most;
} now;

bool on_backend(const char *name)
{
    return strcmp(now.context->backend, name) == 0;
}

void skip_case(const char *reason)
{
    t_skip(now.context, reason);
}

bool skip_without_names(void)
{
    if (on_backend("sim"))
        skip_case("the simulation has no name look-up");
    return on_backend("sim");
}

void expect_reports(int least, int most)
{
    now.least = least;
    now.most = most;
}

int reports_seen(void)
{
    return now.reports;
}

void loopback_report(pl_loop *loop, const pl_report *report, void *arg)
{
    (void)loop;
    (void)arg;
    if (++now.reports > now.most)
        test_check(__FILE__, __LINE__, false, report->message);
}

static void end_hang(void *arg)
{
    (void)arg;
    CHECK(!"the case hangs");
    pl_task_cancel(now.task);
    pl_timer_start(&now.guard, NULL, hang_again, end_hang, NULL);
}

static int64_t run_body(void *arg)
{
    loopback_body *const *body = arg;
    (*body)();
    return 0;
}

void loopback_run(test_context *t, loopback_body *body, const pl_loop_options *options)
{
    pl_loop_options loop_options = {.size = sizeof loop_options};
    pl_task_options task_options = {.size = sizeof task_options, .name = "case"};
    pl_loop *loop = NULL;
    if (options)
        loop_options = *options;
    loop_options.slow_callback = PL_FOREVER; /* cases are slow at will */
    loop_options.watchdog = PL_FOREVER;
    loop_options.backend = t->backend;
    memset(&now, 0, sizeof now);
    now.context = t;

    REQUIRE_EQ_INT(pl_loop_create(&loop, &loop_options), PL_OK);
    CHECK_STR(pl_loop_backend(loop), t->backend);
    pl_loop_set_exception_handler(loop, loopback_report, NULL);
    task_options.loop = loop;
    if (CHECK_EQ_INT(pl_spawn(&now.task, run_body, &body, &task_options), PL_OK)) {
        pl_timer_start(&now.guard, loop, hang_limit, end_hang, NULL);
        CHECK_EQ_INT(pl_loop_run_until_complete(loop, pl_task_future(now.task)), 0);
        pl_timer_stop(&now.guard);
        pl_task_unref(now.task);
    }
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    CHECK(now.reports >= now.least);
}

/* --- Dice --- */

dice dice_of(uint64_t seed)
{
    dice d = {seed * 0x9E3779B97F4A7C15u + 0x632BE59BD9B4E019u};
    if (d.state == 0)
        d.state = 1;
    return d;
}

uint64_t throw_dice(dice *d)
{
    uint64_t x = d->state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    d->state = x;
    return x * 0x2545F4914F6CDD1Du;
}

uint64_t throw_below(dice *d, uint64_t limit)
{
    return (throw_dice(d) >> 16) % limit;
}

/* --- Streams --- */

bool listen_here(pl_listener **listener, uint16_t *port)
{
    pl_address address = {0};
    *listener = NULL;
    if (!CHECK_EQ_INT(pl_tcp_listen(listener, "127.0.0.1", 0, NULL), PL_OK))
        return false;
    if (!CHECK_EQ_INT(pl_listener_address(*listener, &address), PL_OK)) {
        pl_listener_close(*listener);
        return false;
    }
    *port = address.port;
    return true;
}

void close_listener(pl_listener *listener)
{
    pl_address address = {0};
    int64_t rc;
    int i;
    CHECK_EQ_INT(pl_listener_address(listener, &address), PL_OK);
    pl_listener_close(listener);
    for (i = 0; i < 1000; i++) {
        pl_stream *stream = NULL;
        pl_op op = {0};
        rc = end_of(pl_tcp_connect_start(&op, &stream, &address, NULL), &op);
        pl_stream_close(stream);
        if (rc != PL_OK)
            break;
    }
    CHECK_EQ_INT(rc, PL_ECONNREFUSED);
}

uint16_t silent_port(void)
{
    pl_listener *listener;
    uint16_t port = 1;
    if (listen_here(&listener, &port))
        close_listener(listener);
    return port;
}

bool connect_pair(pl_stream **client, pl_stream **server)
{
    pl_listener *listener;
    uint16_t port;
    bool good = false;
    *client = *server = NULL;
    if (!listen_here(&listener, &port))
        return false;
    if (CHECK_EQ_INT(pl_tcp_connect(client, "127.0.0.1", port, NULL), PL_OK)) {
        good = CHECK_EQ_INT(pl_accept(listener, server), PL_OK);
        if (!good) {
            pl_stream_close(*client);
            *client = NULL;
        }
    }
    pl_listener_close(listener);
    return good;
}

void narrow_pair(pl_stream *client, pl_stream *server)
{
    /* Below the largest segment of the loopback device a real sender waits for timers of TCP's own. */
    size_t size = on_backend("sim") ? 16 * 1024 : 128 * 1024;
    CHECK_EQ_INT(pl_stream_set_buffers(client, size, size), PL_OK);
    CHECK_EQ_INT(pl_stream_set_buffers(server, size, size), PL_OK);
}

int64_t read_whole(pl_stream *stream, void *data, size_t size)
{
    size_t got = 0;
    while (got < size) {
        int64_t n = pl_read(stream, (char *)data + got, size - got);
        if (n < 0)
            return n;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (int64_t)got;
}

int64_t read_to_end(pl_stream *stream)
{
    const void *data;
    int64_t n;
    while ((n = pl_read_borrow(stream, &data)) > 0)
        pl_read_return(stream);
    return n;
}

bool is_reset(int64_t result)
{
    if (on_backend("iocp") && (result == 0 || result == PL_ECONNABORTED))
        return true;
    return result == PL_ECONNRESET;
}

int64_t end_of(int started, pl_op *op)
{
    return started < 0 ? started : pl_op_await(op);
}

/* --- Patterns --- */

static uint8_t pattern_byte(uint64_t place)
{
    return (uint8_t)((place * 0x9E3779B97F4A7C15u) >> 56);
}

void pattern_fill(void *data, size_t size, uint64_t offset)
{
    uint8_t *bytes = data;
    size_t i;
    for (i = 0; i < size; i++)
        bytes[i] = pattern_byte(offset + i);
}

bool pattern_holds(const void *data, size_t size, uint64_t offset)
{
    const uint8_t *bytes = data;
    size_t i;
    for (i = 0; i < size; i++) {
        if (bytes[i] != pattern_byte(offset + i))
            return false;
    }
    return true;
}

enum { WHOLE_PIECE = 64 * 1024 };

/* The size of the next piece, when `left` bytes are to go (-1: nobody knows). */
static size_t next_piece(const flow *f, dice *d, int64_t left)
{
    size_t piece = f->piece ? f->piece : WHOLE_PIECE;
    if (f->seed)
        piece = 1 + (size_t)throw_below(d, piece);
    if (left >= 0 && (uint64_t)left < piece)
        piece = (size_t)left;
    return piece;
}

int64_t flow_send(void *arg)
{
    flow *f = arg;
    dice d = dice_of(f->seed);
    uint8_t *data = malloc(f->piece ? f->piece : WHOLE_PIECE);
    f->result = data ? 0 : PL_ENOMEM;
    while (f->result == 0 && f->done < f->size) {
        size_t piece = next_piece(f, &d, f->size - f->done);
        pattern_fill(data, piece, (uint64_t)f->done);
        f->result = pl_write(f->stream, data, piece);
        if (f->result == 0)
            f->done += (int64_t)piece;
    }
    if (f->result == 0 && f->shut)
        f->result = pl_stream_shutdown(f->stream);
    free(data);
    f->ended = true;
    return 0;
}

/* One read, checked: > 0, 0 at the end, or an error. */
static int64_t receive_piece(flow *f, uint8_t *data, size_t piece)
{
    const void *lent = data;
    int64_t n = f->borrow ? pl_read_borrow(f->stream, &lent) : pl_read(f->stream, data, piece);
    if (n <= 0)
        return n;
    if (!pattern_holds(lent, (size_t)n, (uint64_t)f->done))
        f->broken = true;
    f->done += n;
    if (f->borrow)
        CHECK_EQ_INT(pl_read_return(f->stream), PL_OK);
    return n;
}

int64_t flow_receive(void *arg)
{
    flow *f = arg;
    dice d = dice_of(f->seed + 1);
    uint8_t *data = malloc(f->piece ? f->piece : WHOLE_PIECE);
    f->result = data ? 0 : PL_ENOMEM;
    while (f->result == 0 && !f->broken && f->done != f->size) {
        int64_t left = f->size < 0 ? -1 : f->size - f->done;
        int64_t n = receive_piece(f, data, next_piece(f, &d, left));
        if (n == 0)
            break;
        if (n < 0)
            f->result = n;
    }
    free(data);
    f->ended = true;
    return 0;
}

bool flow_across(pl_stream *from, pl_stream *to, int64_t size)
{
    flow out = {.stream = from, .size = size};
    flow in = {.stream = to, .size = size};
    pl_group both = {0};
    if (!CHECK_EQ_INT(pl_group_begin(&both, 0), PL_OK))
        return false;
    CHECK_EQ_INT(pl_group_spawn(&both, flow_send, &out, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&both, flow_receive, &in, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&both, 0), 0);
    return CHECK_EQ_INT(out.result, 0) & CHECK_EQ_INT(in.result, 0) & CHECK_EQ_INT(in.done, size) & CHECK(!in.broken);
}

static bool one_byte(pl_stream *from, pl_stream *to, char byte)
{
    char got = 0;
    return CHECK_EQ_INT(pl_write(from, &byte, 1), PL_OK) && CHECK_EQ_INT(pl_read(to, &got, 1), 1) &&
           CHECK_EQ_INT(got, byte);
}

bool connection_works(pl_stream *a, pl_stream *b)
{
    return one_byte(a, b, 'x') && one_byte(b, a, 'y');
}
