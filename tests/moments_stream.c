/* Moments of streams and listeners. */
#include <stdlib.h>
#include <string.h>

#include "../src/proactor.h"
#include "folders.h"
#include "loopback.h"
#include "moments.h"
#include "peers.h"
#include "shims.h"

/* --- Pairs of a stream and a peer --- */

typedef struct pair {
    pl_stream *stream;
    peer peer;
} pair;

static bool make_pair(pair *p)
{
    pl_listener *listener;
    uint16_t port;
    bool made;
    if (!listen_here(&listener, &port))
        return false;
    made = CHECK(peer_connect(&p->peer, port)) && CHECK_EQ_INT(pl_accept(listener, &p->stream), PL_OK);
    close_listener(listener);
    if (!made)
        peer_close(&p->peer);
    return made;
}

static void close_pair(pair *p)
{
    pl_stream_close(p->stream);
    peer_close(&p->peer);
}

/* --- pl_read, pl_read_borrow --- */

static const char text[] = "abcdefgh";

typedef struct reading {
    pair pair; /* the first member */
    char data[64];
    const void *lent;
} reading;

static bool set_up_pair(void *state, moment at)
{
    (void)at;
    return make_pair(state);
}

static void tear_down_pair(void *state)
{
    close_pair(state);
}

static int read_start(pl_op *op, void *state)
{
    reading *r = state;
    return pl_read_start(op, r->pair.stream, r->data, sizeof r->data);
}

static int64_t read_call(void *state)
{
    reading *r = state;
    return pl_read(r->pair.stream, r->data, sizeof r->data);
}

static void send_text(void *state)
{
    reading *r = state;
    CHECK(peer_send(&r->pair.peer, text, sizeof text));
}

/* What a cancelled read did not take the next one takes, and the bytes are in place. */
static void read_check(void *state, int64_t result)
{
    reading *r = state;
    if (result == PL_ECANCELED)
        result = read_whole(r->pair.stream, r->data, sizeof text);
    CHECK_EQ_INT(result, sizeof text);
    CHECK_MEM(r->data, text, sizeof text);
    send_text(r);
    CHECK_EQ_INT(read_whole(r->pair.stream, r->data, sizeof text), sizeof text);
    CHECK_MEM(r->data, text, sizeof text);
}

const moment_row moment_row_read = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(reading),
    .set_up = set_up_pair,
    .start = read_start,
    .call = read_call,
    .complete = send_text,
    .check = read_check,
    .tear_down = tear_down_pair,
};

static int borrow_start(pl_op *op, void *state)
{
    reading *r = state;
    return pl_read_borrow_start(op, r->pair.stream, &r->lent);
}

static int64_t borrow_call(void *state)
{
    reading *r = state;
    return pl_read_borrow(r->pair.stream, &r->lent);
}

static void borrow_check(void *state, int64_t result)
{
    reading *r = state;
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(pl_read_return(r->pair.stream), PL_ESTATE); /* nothing is lent */
        result = borrow_call(r);
    }
    REQUIRE_EQ_INT(result, sizeof text);
    CHECK_MEM(r->lent, text, sizeof text);
    CHECK_EQ_INT(pl_read_return(r->pair.stream), PL_OK);
}

const moment_row moment_row_read_borrow = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(reading),
    .set_up = set_up_pair,
    .start = borrow_start,
    .call = borrow_call,
    .complete = send_text,
    .check = borrow_check,
    .tear_down = tear_down_pair,
};

/* --- pl_write, pl_stream_send_file --- */

#define NAME "moments_stream_file"

enum { LARGE = 16 * 1024 * 1024 }; /* more than the system takes in while nobody reads */

typedef struct writing {
    pair pair;     /* the first member */
    uint8_t *data; /* a pattern */
    pl_file *file;
    pl_op first; /* what the call waits behind */
    int64_t received;
} writing;

static bool set_up_writing(void *state, moment at)
{
    writing *w = state;
    if (!set_up_pair(state, at))
        return false;
    w->data = malloc(LARGE + 1);
    if (CHECK(w->data != NULL)) {
        pattern_fill(w->data, LARGE + 1, 0);
        return true;
    }
    close_pair(&w->pair);
    return false;
}

static void tear_down_writing(void *state)
{
    writing *w = state;
    pl_stream_abort(w->pair.stream);
    peer_close(&w->pair.peer);
    free(w->data);
}

/* The peer takes what is there. */
static void drain(void *state)
{
    static uint8_t data[1 << 18];
    writing *w = state;
    int64_t count;
    while ((count = peer_receive(&w->pair.peer, data, sizeof data)) > 0) {
        CHECK(pattern_holds(data, (size_t)count, (uint64_t)w->received));
        w->received += count;
    }
    CHECK_EQ_INT(count, 0);
}

static bool all_is_there(void *state)
{
    writing *w = state;
    drain(state);
    return w->received >= pl_stream_bytes_written(w->pair.stream);
}

/* What was written arrives, and no more than that; the write side tells whether it is whole. */
static void write_check(void *state, int64_t result)
{
    writing *w = state;
    int64_t written = pl_stream_bytes_written(w->pair.stream);
    int64_t after = pl_write(w->pair.stream, w->data + written, 1);
    if (result >= 0)
        CHECK_EQ_INT(written, LARGE);
    else
        CHECK(written < LARGE);
    if (after == PL_OK) {
        CHECK(result >= 0 || written == 0);
        written++;
    } else {
        CHECK_EQ_INT(after, PL_EBROKEN);
        CHECK(result < 0);
    }
    if (on_backend("iocp") && after == PL_EBROKEN)
        drain(w); /* the system does not say how far it came */
    else
        moment_wait_until(all_is_there, w);
    if (!on_backend("iocp") || after == PL_OK)
        CHECK_EQ_INT(w->received, written);
}

static int write_start(pl_op *op, void *state)
{
    writing *w = state;
    return pl_write_start(op, w->pair.stream, w->data, LARGE);
}

static int64_t write_call(void *state)
{
    writing *w = state;
    return pl_write(w->pair.stream, w->data, LARGE);
}

const moment_row moment_row_write = {
    .kind = MOMENT_PIECES,
    .size = sizeof(writing),
    .set_up = set_up_writing,
    .start = write_start,
    .call = write_call,
    .complete = drain,
    .check = write_check,
    .tear_down = tear_down_writing,
    .writes = true,
    .repeats = true,
};

static bool set_up_file(void *state, moment at)
{
    writing *w = state;
    path_remove(NAME);
    if (!set_up_writing(state, at))
        return false;
    if (CHECK(file_make(NAME, w->data, LARGE)) && CHECK_EQ_INT(pl_file_open(&w->file, NAME, NULL), PL_OK))
        return true;
    tear_down_writing(state);
    return false;
}

static void tear_down_file(void *state)
{
    writing *w = state;
    tear_down_writing(state);
    pl_file_close(w->file);
    path_remove(NAME);
}

static int send_file_start(pl_op *op, void *state)
{
    writing *w = state;
    return pl_stream_send_file_start(op, w->pair.stream, w->file, 0, LARGE);
}

static int64_t send_file_call(void *state)
{
    writing *w = state;
    return pl_stream_send_file(w->pair.stream, w->file, 0, LARGE);
}

/* Of a file's piece that a worker sends nobody sees the end before it is polled. */
static bool no_matter(void *state)
{
    (void)state;
    return true;
}

const moment_row moment_row_stream_send_file = {
    .kind = MOMENT_PIECES,
    .size = sizeof(writing),
    .set_up = set_up_file,
    .start = send_file_start,
    .call = send_file_call,
    .complete = drain,
    .is_complete = no_matter,
    .check = write_check,
    .tear_down = tear_down_file,
    .repeats = true,
};

/* --- pl_stream_flush, and a write, behind another write --- */

static bool set_up_behind(void *state, moment at)
{
    writing *w = state;
    if (!set_up_writing(state, at))
        return false;
    CHECK_EQ_INT(pl_write_start(&w->first, w->pair.stream, w->data, LARGE), PL_OK);
    return CHECK(pl_op_is_pending(&w->first));
}

static int64_t flush_call(void *state)
{
    writing *w = state;
    return pl_stream_flush(w->pair.stream);
}

static int behind_start(pl_op *op, void *state)
{
    writing *w = state;
    return pl_write_start(op, w->pair.stream, w->data + LARGE, 1);
}

static int64_t behind_call(void *state)
{
    writing *w = state;
    return pl_write(w->pair.stream, w->data + LARGE, 1);
}

static bool first_is_out(void *state)
{
    writing *w = state;
    drain(state);
    return !pl_op_is_pending(&w->first);
}

/* The write before goes out whole, and writing goes on. */
static void flush_check(void *state, int64_t result)
{
    writing *w = state;
    if (result >= 0)
        CHECK(!pl_op_is_pending(&w->first)); /* all was out when it returned */
    moment_wait_until(first_is_out, w);
    CHECK_EQ_INT(pl_op_result(&w->first), PL_OK);
    CHECK_EQ_INT(pl_stream_bytes_written(w->pair.stream), LARGE);
    CHECK_EQ_INT(flush_call(w), PL_OK);
    CHECK_EQ_INT(behind_call(w), PL_OK);
    moment_wait_until(all_is_there, w);
    CHECK_EQ_INT(w->received, LARGE + 1);
}

static void behind_check(void *state, int64_t result)
{
    writing *w = state;
    moment_wait_until(first_is_out, w);
    CHECK_EQ_INT(pl_op_result(&w->first), PL_OK);
    CHECK_EQ_INT(pl_stream_bytes_written(w->pair.stream), LARGE + (result >= 0));
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(behind_call(w), PL_OK);
    moment_wait_until(all_is_there, w);
    CHECK_EQ_INT(w->received, LARGE + 1);
}

static void tear_down_behind(void *state)
{
    writing *w = state;
    (void)pl_op_finish(&w->first);
    tear_down_writing(state);
}

const moment_row moment_row_stream_flush = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(writing),
    .set_up = set_up_behind,
    .call = flush_call,
    .complete = drain,
    .check = flush_check,
    .tear_down = tear_down_behind,
    .completion = PL__SEND,
    .writes = true,
    .repeats = true,
};

const moment_row moment_row_write_behind = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(writing),
    .set_up = set_up_behind,
    .start = behind_start,
    .call = behind_call,
    .complete = drain,
    .check = behind_check,
    .tear_down = tear_down_behind,
    .completion = PL__SEND,
    .writes = true,
    .repeats = true,
};

/* --- pl_accept --- */

typedef struct accepting {
    pl_listener *listener;
    uint16_t port;
    pair pair;
} accepting;

static bool accept_set_up(void *state, moment at)
{
    accepting *a = state;
    (void)at;
    return listen_here(&a->listener, &a->port);
}

static int accept_start(pl_op *op, void *state)
{
    accepting *a = state;
    return pl_accept_start(op, a->listener, &a->pair.stream);
}

static int64_t accept_call(void *state)
{
    accepting *a = state;
    return pl_accept(a->listener, &a->pair.stream);
}

static void accept_complete(void *state)
{
    accepting *a = state;
    CHECK(peer_connect(&a->pair.peer, a->port));
}

/* The connection that the cancelled call did not take is given to the next. */
static void accept_check(void *state, int64_t result)
{
    accepting *a = state;
    char byte = 0;
    if (result == PL_ECANCELED) {
        CHECK(a->pair.stream == NULL);
        result = accept_call(a);
    }
    REQUIRE_EQ_INT(result, PL_OK);
    CHECK(peer_send(&a->pair.peer, "x", 1));
    CHECK_EQ_INT(pl_read(a->pair.stream, &byte, 1), 1);
    CHECK_EQ_INT(byte, 'x');
}

static void accept_tear_down(void *state)
{
    accepting *a = state;
    close_listener(a->listener);
    close_pair(&a->pair);
}

const moment_row moment_row_accept = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(accepting),
    .set_up = accept_set_up,
    .start = accept_start,
    .call = accept_call,
    .complete = accept_complete,
    .check = accept_check,
    .tear_down = accept_tear_down,
    .completion = PL__ACCEPT,
};

/* --- pl_tcp_connect --- */

typedef struct connecting {
    peer listener;
    uint16_t port;
    peer filling; /* takes the one place of a listener that is not to answer */
    peer second;  /* another listener */
    uint16_t second_port;
    peer second_filling;
    pl_connect_attempt attempts[2];
    pl_connect_report report;
    pl_stream *stream;
} connecting;

static bool connect_set_up(void *state, moment at)
{
    connecting *c = state;
    if (!CHECK(peer_listen(&c->listener, &c->port))) {
        peer_close(&c->listener);
        return false;
    }
    if (at == MOMENT_PENDING)
        CHECK(peer_connect(&c->filling, c->port));
    return true;
}

static int connect_start(pl_op *op, void *state)
{
    connecting *c = state;
    pl_address address;
    CHECK_EQ_INT(pl_address_parse(&address, "127.0.0.1", c->port), PL_OK);
    return pl_tcp_connect_start(op, &c->stream, &address, NULL);
}

static int64_t connect_call(void *state)
{
    connecting *c = state;
    return pl_tcp_connect(&c->stream, "127.0.0.1", c->port, NULL);
}

static void answer(void *state)
{
    (void)state; /* the system does it */
}

static void connect_check(void *state, int64_t result)
{
    connecting *c = state;
    CHECK((c->stream != NULL) == (result >= 0));
    if (result >= 0)
        CHECK_EQ_INT(pl_write(c->stream, "x", 1), PL_OK);
}

static void connect_tear_down(void *state)
{
    connecting *c = state;
    pl_stream_abort(c->stream);
    peer_close(&c->listener);
    peer_close(&c->filling);
    peer_close(&c->second);
    peer_close(&c->second_filling);
}

const moment_row moment_row_tcp_connect = {
    .kind = MOMENT_COMPOSED, /* the call may try several addresses */
    .size = sizeof(connecting),
    .set_up = connect_set_up,
    .start = connect_start,
    .call = connect_call,
    .complete = answer,
    .check = connect_check,
    .tear_down = connect_tear_down,
    .completion = PL__CONNECT,
    .writes = true,
};

/* --- pl_tcp_connect_start --- */

/* As a task call that looks first whether it is cancelled. */
static int64_t connect_and_await(void *state)
{
    pl_op op = {0};
    int checked = moment_now() == MOMENT_BEFORE ? pl_yield() : PL_OK;
    return checked < 0 ? checked : end_of(connect_start(&op, state), &op);
}

const moment_row moment_row_tcp_connect_start = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(connecting),
    .set_up = connect_set_up,
    .start = connect_start,
    .call = connect_and_await,
    .complete = answer,
    .check = connect_check,
    .tear_down = connect_tear_down,
    .writes = true,
};

/* --- pl_tcp_connect, while it resolves a name --- */

static const char *const known[] = {"127.0.0.1"};

/* Both families are asked for, and then each by itself: no question is answered. */
static bool name_set_up(void *state, moment at)
{
    (void)at;
    if (!connect_set_up(state, MOMENT_BEFORE))
        return false;
    shims_set_name("moments.test", known, 1);
    shims_hold(SHIM_RESOLVE);
    return true;
}

static int64_t name_call(void *state)
{
    connecting *c = state;
    const pl_connect_options options = {.size = sizeof options, .resolution_delay = PL_MS(1)};
    return pl_tcp_connect(&c->stream, "moments.test", c->port, &options);
}

static bool all_are_asked(void *state)
{
    (void)state;
    return shims_held(SHIM_RESOLVE) == 3;
}

static bool nothing_is_asked(void *state)
{
    (void)state;
    return shims_held(SHIM_RESOLVE) == 0;
}

static void answer_names(void *state)
{
    (void)state;
    shims_release(SHIM_RESOLVE);
}

static void name_tear_down(void *state)
{
    answer_names(state);
    moment_wait_until(nothing_is_asked, state);
    connect_tear_down(state);
}

const moment_row moment_row_tcp_connect_name = {
    .kind = MOMENT_COMPOSED,
    .size = sizeof(connecting),
    .set_up = name_set_up,
    .call = name_call,
    .is_pending = all_are_asked,
    .complete = answer_names,
    .is_complete = no_matter, /* the job is a worker's */
    .check = connect_check,
    .tear_down = name_tear_down,
    .completion = PL__RESOLVE,
};

/* --- pl_tcp_connect_any --- */

static bool any_set_up(void *state, moment at)
{
    connecting *c = state;
    if (!connect_set_up(state, at == MOMENT_COMPLETED ? MOMENT_BEFORE : MOMENT_PENDING))
        return false;
    CHECK(peer_listen(&c->second, &c->second_port));
    if (at == MOMENT_PENDING)
        CHECK(peer_connect(&c->second_filling, c->second_port));
    c->report = (pl_connect_report){.attempts = c->attempts, .capacity = 2};
    return true;
}

/* The first listener does not answer, unless the first attempt is to be complete before there is a second one. The second
 * one does not if both attempts are to be under way. */
static int64_t any_call(void *state)
{
    connecting *c = state;
    pl_address addresses[2];
    const pl_connect_options options = {
        .size = sizeof options, .attempt_delay = PL_MS(10), .report = &c->report};
    CHECK_EQ_INT(pl_address_parse(&addresses[0], "127.0.0.1", c->port), PL_OK);
    CHECK_EQ_INT(pl_address_parse(&addresses[1], "127.0.0.1", c->second_port), PL_OK);
    return pl_tcp_connect_any(&c->stream, addresses, 2, &options);
}

static bool are_under_way(void *state)
{
    (void)state;
    return moment_submitted() >= (moment_now() == MOMENT_PENDING ? 2 : 1);
}

static void any_check(void *state, int64_t result)
{
    connecting *c = state;
    size_t i, taken = 0;
    connect_check(state, result);
    for (i = 0; i < c->report.count; i++) {
        if (c->attempts[i].result == PL_OK)
            taken++;
        else
            CHECK_EQ_INT(c->attempts[i].result, PL_ECANCELED);
    }
    CHECK_EQ_INT(taken, result >= 0);
}

const moment_row moment_row_tcp_connect_any = {
    .kind = MOMENT_COMPOSED,
    .size = sizeof(connecting),
    .set_up = any_set_up,
    .call = any_call,
    .is_pending = are_under_way,
    .complete = answer,
    .check = any_check,
    .tear_down = connect_tear_down,
    .completion = PL__CONNECT,
    .writes = true,
};
