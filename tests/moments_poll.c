/* Moments of waits for foreign sockets and handles. */
#include "foreign.h"
#include "loopback.h"
#include "moments.h"

typedef struct polling {
    pl_socket pair[2]; /* the first one is waited for */
    int events;
    int happened;
    int64_t sent;
    int64_t received;
} polling;

static bool readable_set_up(void *state, moment at)
{
    polling *p = state;
    (void)at;
    p->events = PL_POLL_READABLE;
    return foreign_pair(p->pair);
}

static int poll_start(pl_op *op, void *state)
{
    polling *p = state;
    return pl_poll_fd_start(op, p->pair[0], p->events, &p->happened);
}

static int64_t poll_call(void *state)
{
    polling *p = state;
    return pl_poll_fd(p->pair[0], p->events, &p->happened);
}

static void poll_tear_down(void *state)
{
    polling *p = state;
    foreign_close(p->pair[0]);
    foreign_close(p->pair[1]);
}

/* A wait changes nothing: it is ready still, for whoever asks next. */
static void look_that_it_is_ready(polling *p, int64_t result)
{
    pl_op op = {{{0}}};
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(p->happened, 0);
    else
        CHECK_EQ_INT(p->happened, p->events);
    p->happened = 0;
    CHECK_EQ_INT(end_of(poll_start(&op, p), &op), PL_OK);
    CHECK_EQ_INT(p->happened, p->events);
}

/* --- pl_poll_fd, readable --- */

static void send_byte(void *state)
{
    polling *p = state;
    CHECK_EQ_INT(foreign_send(p->pair[1], "x", 1), 1);
}

static void readable_check(void *state, int64_t result)
{
    polling *p = state;
    pl_op op = {{{0}}};
    char data[8] = "";
    look_that_it_is_ready(p, result);
    CHECK_EQ_INT(foreign_receive(p->pair[0], data, sizeof data), 1);
    CHECK_EQ_INT(data[0], 'x');
    CHECK_EQ_INT(poll_start(&op, p), PL_OK);
    CHECK(pl_op_is_pending(&op)); /* nothing more is there */
    send_byte(p);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
}

const moment_row moment_row_poll_readable = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(polling),
    .set_up = readable_set_up,
    .start = poll_start,
    .call = poll_call,
    .complete = send_byte,
    .check = readable_check,
    .tear_down = poll_tear_down,
};

/* --- pl_poll_fd, writable --- */

enum { PIECE = 16 * 1024 };

/* Until a send would wait. */
static bool writable_set_up(void *state, moment at)
{
    static uint8_t data[PIECE];
    polling *p = state;
    int64_t count;
    (void)at;
    p->events = PL_POLL_WRITABLE;
    if (!foreign_pair(p->pair))
        return false;
    foreign_small_send_buffer(p->pair[0]);
    for (;;) {
        pattern_fill(data, PIECE, (uint64_t)p->sent);
        count = foreign_send(p->pair[0], data, PIECE);
        if (count < 0)
            break;
        p->sent += count;
    }
    return CHECK_EQ_INT(count, FOREIGN_BLOCKS);
}

static void take_all(void *state)
{
    static uint8_t data[PIECE];
    polling *p = state;
    int64_t count;
    while ((count = foreign_receive(p->pair[1], data, PIECE)) > 0) {
        CHECK(pattern_holds(data, (size_t)count, (uint64_t)p->received));
        p->received += count;
    }
    CHECK_EQ_INT(count, FOREIGN_BLOCKS);
}

static bool all_is_taken(void *state)
{
    polling *p = state;
    take_all(p);
    return p->received == p->sent;
}

static void writable_check(void *state, int64_t result)
{
    polling *p = state;
    look_that_it_is_ready(p, result);
    moment_wait_until(all_is_taken, p);
}

const moment_row moment_row_poll_writable = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(polling),
    .set_up = writable_set_up,
    .start = poll_start,
    .call = poll_call,
    .complete = take_all,
    .check = writable_check,
    .tear_down = poll_tear_down,
    .writes = true,
    .repeats = true,
};

/* --- pl_wait_handle --- */

typedef struct waiting {
    void *event; /* resets itself: each signal is there once */
} waiting;

static bool handle_set_up(void *state, moment at)
{
    waiting *w = state;
    (void)at;
    w->event = foreign_event(false);
    return w->event != NULL;
}

static int handle_start(pl_op *op, void *state)
{
    waiting *w = state;
    return pl_wait_handle_start(op, w->event);
}

static int64_t handle_call(void *state)
{
    waiting *w = state;
    return pl_wait_handle(w->event);
}

static void signal_it(void *state)
{
    waiting *w = state;
    foreign_event_set(w->event);
}

/* The signal is the call's, or still there. */
static void handle_check(void *state, int64_t result)
{
    waiting *w = state;
    pl_op op = {{{0}}};
    CHECK_EQ_INT(foreign_event_is_set(w->event), result == PL_ECANCELED);
    CHECK_EQ_INT(handle_start(&op, w), PL_OK);
    CHECK(pl_op_is_pending(&op));
    signal_it(w);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK(!foreign_event_is_set(w->event));
}

static void handle_tear_down(void *state)
{
    waiting *w = state;
    foreign_event_close(w->event);
}

const moment_row moment_row_wait_handle = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(waiting),
    .set_up = handle_set_up,
    .start = handle_start,
    .call = handle_call,
    .complete = signal_it,
    .check = handle_check,
    .tear_down = handle_tear_down,
};
