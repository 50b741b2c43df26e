/* Moments of pipes: named ones, those that keep messages, and pairs. The other end is a stream of the same loop: what
 * it writes goes to the system at once. */
#include <stdio.h>
#include <string.h>
#include <stdlib.h>

#include "../src/proactor.h"
#include "../src/stream.h"
#include "loopback.h"
#include "moments.h"
#include "peers.h"
#include "process.h"
#include "shims.h"
#include "shims_pipe.h"

enum {
    NAME_ROOM = 80,
    PIECE = 64 * 1024,
    LARGE = 4 * 1024 * 1024, /* more than the system takes in while nobody reads */
    MESSAGE = 40 * 1024,     /* two of them are more than a pipe of Windows holds */
    MESSAGES_MOST = 1000     /* more than any pipe holds */
};

typedef struct linked {
    pl_stream *stream; /* the call's */
    pl_stream *other;
    pl_listener *listener;
    char name[NAME_ROOM];
    pl_op helping;   /* of the other end */
    bool messages;
    char data[64];
    const void *lent;
    uint8_t *sent;   /* a pattern */
    uint8_t *taken;  /* PIECE bytes */
    int64_t filling; /* bytes that lie in the pipe before the call */
    int64_t received;
} linked;

static bool listen_at_name(linked *l, bool messages)
{
    static int last;
    const pl_pipe_listen_options options = {.size = sizeof options, .message = messages};
    l->messages = messages;
    (void)snprintf(l->name, sizeof l->name, "proloop-moments-%llu-%d", (unsigned long long)process_id(), ++last);
    return CHECK_EQ_INT(pl_pipe_listen(&l->listener, l->name, &options), PL_OK);
}

static int64_t connect_to_name(linked *l, pl_stream **stream)
{
    const pl_pipe_connect_options options = {.size = sizeof options, .message = l->messages};
    return pl_pipe_connect(stream, l->name, &options);
}

static void tear_down(void *state)
{
    linked *l = state;
    (void)pl_op_finish(&l->helping);
    pl_listener_close(l->listener);
    pl_stream_abort(l->stream);
    pl_stream_abort(l->other);
    free(l->sent);
    free(l->taken);
}

static bool link_by_name(linked *l, bool messages)
{
    if (listen_at_name(l, messages) && CHECK_EQ_INT(connect_to_name(l, &l->other), PL_OK) &&
        CHECK_EQ_INT(pl_accept(l->listener, &l->stream), PL_OK))
        return true;
    tear_down(l);
    return false;
}

static bool set_up_named(void *state, moment at)
{
    (void)at;
    return link_by_name(state, false);
}

static bool set_up_messages(void *state, moment at)
{
    (void)at;
    return link_by_name(state, true);
}

static bool set_up_reader(void *state, moment at)
{
    linked *l = state;
    (void)at;
    return CHECK_EQ_INT(pl_pipe_pair(&l->stream, &l->other), PL_OK);
}

/* --- pl_read, pl_read_borrow -------------------------------------------------------------------------------------- */

static const char text[] = "abcdefgh";
static const char next_text[] = "what comes then";

static int read_start(pl_op *op, void *state)
{
    linked *l = state;
    return pl_read_start(op, l->stream, l->data, sizeof l->data);
}

static int64_t read_call(void *state)
{
    linked *l = state;
    return pl_read(l->stream, l->data, sizeof l->data);
}

static void write_text(void *state)
{
    linked *l = state;
    CHECK_EQ_INT(pl_write_start(&l->helping, l->other, text, sizeof text), PL_OK);
}

/* What a cancelled read did not take the next one takes; then comes what was written then. */
static void read_check(void *state, int64_t result)
{
    linked *l = state;
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(pl_stream_bytes_read(l->stream), 0);
        result = read_call(l);
    }
    CHECK_EQ_INT(pl_op_await(&l->helping), PL_OK);
    CHECK_EQ_INT(result, sizeof text);
    CHECK_MEM(l->data, text, sizeof text);
    CHECK_EQ_INT(pl_write(l->other, next_text, sizeof next_text), PL_OK);
    CHECK_EQ_INT(read_call(l), sizeof next_text);
    CHECK_MEM(l->data, next_text, sizeof next_text);
}

static int borrow_start(pl_op *op, void *state)
{
    linked *l = state;
    return pl_read_borrow_start(op, l->stream, &l->lent);
}

static int64_t borrow_call(void *state)
{
    linked *l = state;
    return pl_read_borrow(l->stream, &l->lent);
}

static void borrow_check(void *state, int64_t result)
{
    linked *l = state;
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(pl_read_return(l->stream), PL_ESTATE); /* nothing is lent */
        result = borrow_call(l);
    }
    REQUIRE_EQ_INT(result, sizeof text);
    CHECK_MEM(l->lent, text, sizeof text);
    CHECK_EQ_INT(pl_read_return(l->stream), PL_OK);
    CHECK_EQ_INT(pl_write(l->other, next_text, sizeof next_text), PL_OK);
    REQUIRE_EQ_INT(borrow_call(l), sizeof next_text);
    CHECK_MEM(l->lent, next_text, sizeof next_text);
    CHECK_EQ_INT(pl_read_return(l->stream), PL_OK);
}

#define ROW_READ(name, set_up_it, prefix)                                                                              \
    const moment_row moment_row_##name = {                                                                             \
        .kind = MOMENT_REQUEST,                                                                                        \
        .size = sizeof(linked),                                                                                        \
        .set_up = set_up_it,                                                                                           \
        .start = prefix##_start,                                                                                       \
        .call = prefix##_call,                                                                                         \
        .complete = write_text,                                                                                        \
        .check = prefix##_check,                                                                                       \
        .tear_down = tear_down,                                                                                        \
    }

ROW_READ(pipe_read, set_up_named, read);
ROW_READ(pipe_read_borrow, set_up_named, borrow);
ROW_READ(pair_read, set_up_reader, read);
ROW_READ(pair_read_borrow, set_up_reader, borrow);
ROW_READ(message_read, set_up_messages, read);
ROW_READ(message_read_borrow, set_up_messages, borrow);

/* --- pl_write ----------------------------------------------------------------------------------------------------- */

static bool set_up_memory(linked *l, size_t size)
{
    l->sent = malloc(size);
    l->taken = malloc(PIECE);
    if (!CHECK(l->sent && l->taken)) {
        tear_down(l);
        return false;
    }
    pattern_fill(l->sent, size, 0);
    return true;
}

static bool set_up_named_writer(void *state, moment at)
{
    return set_up_named(state, at) && set_up_memory(state, LARGE + 1);
}

static bool set_up_writer(void *state, moment at)
{
    linked *l = state;
    (void)at;
    return CHECK_EQ_INT(pl_pipe_pair(&l->other, &l->stream), PL_OK) && set_up_memory(l, LARGE + 1);
}

static int write_start(pl_op *op, void *state)
{
    linked *l = state;
    return pl_write_start(op, l->stream, l->sent, LARGE);
}

static int64_t write_call(void *state)
{
    linked *l = state;
    return pl_write(l->stream, l->sent, LARGE);
}

static void take(linked *l, size_t count)
{
    if (l->messages)
        CHECK(count == MESSAGE && pattern_holds(l->taken, count, 0));
    else
        CHECK(pattern_holds(l->taken, count, (uint64_t)l->received));
    l->received += (int64_t)count;
}

/* The other end takes what is there, not by its stream, which waits for the loop to tell that there is something. */
static void drain(void *state)
{
    linked *l = state;
    int64_t count;
    while ((count = pipe_take(l->other->handle.object, l->taken, PIECE)) > 0)
        take(l, (size_t)count);
    CHECK_EQ_INT(count, 0);
}

static bool all_is_there(void *state)
{
    linked *l = state;
    drain(l);
    return l->received >= pl_stream_bytes_written(l->stream);
}

/* What was written arrives, and no more than that; the write side tells whether it is whole. On Windows the system does not
 * say how much of a piece that was cancelled has gone out. */
static void write_check(void *state, int64_t result)
{
    linked *l = state;
    int64_t written = pl_stream_bytes_written(l->stream);
    int64_t after = pl_write(l->stream, l->sent + written, 1);
    CHECK(result >= 0 ? written == LARGE : written < LARGE);
    CHECK(after == PL_OK || after == PL_EBROKEN);
    if (after == PL_OK) {
        CHECK(result >= 0 || written == 0);
        written++;
    } else {
        CHECK(result < 0);
    }
    moment_wait_until(all_is_there, l);
    if (on_backend("iocp") && after == PL_EBROKEN)
        CHECK(l->received <= written + PIECE);
    else
        CHECK_EQ_INT(l->received, written);
}

#define ROW_WRITE(name, set_up_it)                                                                                     \
    const moment_row moment_row_##name = {                                                                             \
        .kind = MOMENT_PIECES,                                                                                         \
        .size = sizeof(linked),                                                                                        \
        .set_up = set_up_it,                                                                                           \
        .start = write_start,                                                                                          \
        .call = write_call,                                                                                            \
        .complete = drain,                                                                                             \
        .check = write_check,                                                                                          \
        .tear_down = tear_down,                                                                                        \
        .writes = true,                                                                                                \
        .repeats = true,                                                                                               \
    }

ROW_WRITE(pipe_write, set_up_named_writer);
ROW_WRITE(pair_write, set_up_writer);

/* --- pl_write of a message ---------------------------------------------------------------------------------------- */

/* Until there is no room for one more. On Windows that is so after the first, and a write that waits cannot be taken back. */
static bool set_up_full_of_messages(void *state, moment at)
{
    linked *l = state;
    pl_op filling = {0};
    int i;
    if (!set_up_messages(state, at) || !set_up_memory(l, MESSAGE))
        return false;
    for (i = 0; i < (on_backend("iocp") ? 1 : MESSAGES_MOST); i++) {
        if (!CHECK_EQ_INT(pl_write_start(&filling, l->stream, l->sent, MESSAGE), PL_OK) ||
            pl_op_finish(&filling) == PL_ECANCELED)
            break;
        l->filling += MESSAGE;
    }
    CHECK(l->filling > 0);
    return true;
}

static int message_start(pl_op *op, void *state)
{
    linked *l = state;
    return pl_write_start(op, l->stream, l->sent, MESSAGE);
}

static int64_t message_call(void *state)
{
    linked *l = state;
    return pl_write(l->stream, l->sent, MESSAGE);
}

/* A message arrives once and whole, or not at all. */
static void message_check(void *state, int64_t result)
{
    linked *l = state;
    int64_t after;
    drain(l);
    after = pl_write(l->stream, l->sent, MESSAGE);
    if (after == PL_EBROKEN)
        CHECK(result == PL_ECANCELED && on_backend("iocp"));
    else
        CHECK_EQ_INT(after, PL_OK);
    moment_wait_until(all_is_there, l);
    if (after == PL_OK)
        CHECK_EQ_INT(l->received, l->filling + (result >= 0 ? 2 : 1) * MESSAGE);
    else
        CHECK(l->received <= l->filling + MESSAGE);
}

const moment_row moment_row_message_write = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(linked),
    .set_up = set_up_full_of_messages,
    .start = message_start,
    .call = message_call,
    .complete = drain,
    .check = message_check,
    .tear_down = tear_down,
    .writes = true,
    .repeats = true,
};

/* --- pl_accept ---------------------------------------------------------------------------------------------------- */

static bool set_up_listener(void *state, moment at)
{
    (void)at;
    return listen_at_name(state, false);
}

static int accept_start(pl_op *op, void *state)
{
    linked *l = state;
    return pl_accept_start(op, l->listener, &l->stream);
}

static int64_t accept_call(void *state)
{
    linked *l = state;
    return pl_accept(l->listener, &l->stream);
}

/* By a worker. */
static void accept_complete(void *state)
{
    linked *l = state;
    CHECK_EQ_INT(pl_pipe_connect_start(&l->helping, &l->other, l->name, NULL), PL_OK);
}

/* The connection that the cancelled call did not take is given to the next. */
static void accept_check(void *state, int64_t result)
{
    linked *l = state;
    CHECK_EQ_INT(pl_op_await(&l->helping), PL_OK);
    if (result == PL_ECANCELED) {
        CHECK(l->stream == NULL);
        result = accept_call(l);
    }
    REQUIRE_EQ_INT(result, PL_OK);
    CHECK(connection_works(l->stream, l->other));
}

const moment_row moment_row_pipe_accept = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(linked),
    .set_up = set_up_listener,
    .start = accept_start,
    .call = accept_call,
    .complete = accept_complete,
    .check = accept_check,
    .tear_down = tear_down,
    .completion = PL__ACCEPT,
};

/* --- pl_pipe_connect ---------------------------------------------------------------------------------------------- */

static bool connect_set_up(void *state, moment at)
{
    if (!set_up_listener(state, at))
        return false;
    shims_hold(SHIM_OPEN);
    return true;
}

static int connect_start(pl_op *op, void *state)
{
    linked *l = state;
    return pl_pipe_connect_start(op, &l->stream, l->name, NULL);
}

static int64_t connect_call(void *state)
{
    linked *l = state;
    return connect_to_name(l, &l->stream);
}

static bool is_held(void *state)
{
    (void)state;
    return shims_held(SHIM_OPEN) >= 1;
}

static bool none_is_held(void *state)
{
    return !is_held(state);
}

static void release(void *state)
{
    (void)state;
    shims_release(SHIM_OPEN);
}

/* The connection that an abandoned call made and closed comes first; ours says so. */
static void accept_ours(linked *l)
{
    char byte = 0;
    CHECK_EQ_INT(pl_write(l->stream, "x", 1), PL_OK);
    while (byte == 0 && CHECK_EQ_INT(pl_accept(l->listener, &l->other), PL_OK)) {
        if (pl_read(l->other, &byte, 1) == 1)
            break;
        pl_stream_close(l->other);
        l->other = NULL;
    }
    CHECK_EQ_INT(byte, 'x');
}

static void connect_check(void *state, int64_t result)
{
    linked *l = state;
    CHECK((l->stream != NULL) == (result >= 0));
    moment_wait_until(none_is_held, l);
    if (result == PL_ECANCELED)
        REQUIRE_EQ_INT(connect_call(l), PL_OK);
    accept_ours(l);
    CHECK(connection_works(l->stream, l->other));
}

static void connect_tear_down(void *state)
{
    shims_release(SHIM_OPEN);
    moment_wait_until(none_is_held, state);
    tear_down(state);
}

const moment_row moment_row_pipe_connect = {
    .kind = MOMENT_ABANDONABLE,
    .size = sizeof(linked),
    .set_up = connect_set_up,
    .start = connect_start,
    .call = connect_call,
    .is_pending = is_held,
    .complete = release,
    .check = connect_check,
    .tear_down = connect_tear_down,
    .worker = true,
};

/* --- pl_pipe_connect, while the server is busy -------------------------------------------------------------------- */

static bool busy_set_up(void *state, moment at)
{
    pipe_shims_begin();
    if (set_up_listener(state, at)) {
        pipe_shims_fail(PIPE_CALL_OPEN, PIPE_BUSY, 1000000);
        return true;
    }
    pipe_shims_end();
    return false;
}

/* It was refused, and waits to try again. */
static bool waits_to_try(void *state)
{
    (void)state;
    return pipe_shims_left(PIPE_CALL_OPEN) < 1000000 && moment_op_rests();
}

/* The server has room, in the cases in which the call is to succeed; in that of `dequeued` what ends is an attempt in vain. */
static void make_room(void *state)
{
    (void)state;
    if (moment_now() != MOMENT_DEQUEUED)
        pipe_shims_fail(PIPE_CALL_OPEN, PIPE_AS_IS, 0);
}

static void busy_check(void *state, int64_t result)
{
    pipe_shims_fail(PIPE_CALL_OPEN, PIPE_AS_IS, 0);
    connect_check(state, result);
}

static void busy_tear_down(void *state)
{
    CHECK_STR(pipe_shims_wrong(), "");
    tear_down(state);
    pipe_shims_end();
}

const moment_row moment_row_pipe_connect_busy = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(linked),
    .set_up = busy_set_up,
    .start = connect_start,
    .call = connect_call,
    .is_pending = waits_to_try,
    .complete = make_room,
    .check = busy_check,
    .tear_down = busy_tear_down,
    .never = {[MOMENT_COMPLETED] = "between two attempts the system has nothing of it that could be complete"},
};
