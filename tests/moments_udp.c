/* Moments of datagrams. A send waits because a shim says that the system takes no more: a socket of this machine always
 * does. */
#include <string.h>

#include "../src/proactor.h"
#include "loopback.h"
#include "moments.h"
#include "shims_udp.h"

enum { MANY = 3, ROOM = 16 };

typedef struct talking {
    pl_udp *a; /* sends */
    pl_udp *b; /* receives */
    pl_address at_a;
    pl_address at_b;
    pl_op helping;
    pl_op first;    /* another one waits before ours */
    char before[ROOM];
    char data[MANY][ROOM];
    pl_room rooms[2];
    pl_buffer buffers[2];
    pl_datagram datagrams[MANY];
    pl_datagram_info info;
} talking;

static const char *const texts[MANY] = {"first one", "second", "third, last"};

static bool set_up_sockets(void *state, moment at)
{
    talking *t = state;
    pl_address local;
    (void)at;
    shims_udp_begin();
    CHECK_EQ_INT(pl_address_parse(&local, "127.0.0.1", 0), PL_OK);
    if (CHECK_EQ_INT(pl_udp_open(&t->a, &local, NULL), PL_OK) && CHECK_EQ_INT(pl_udp_open(&t->b, &local, NULL), PL_OK) &&
        CHECK_EQ_INT(pl_udp_address(t->a, &t->at_a), PL_OK) && CHECK_EQ_INT(pl_udp_address(t->b, &t->at_b), PL_OK))
        return true;
    pl_udp_close(t->a);
    pl_udp_close(t->b);
    return false;
}

static void tear_down_sockets(void *state)
{
    talking *t = state;
    shims_udp_script(UDP_SEND, NULL, 0);
    (void)pl_op_finish(&t->first);
    (void)pl_op_finish(&t->helping);
    pl_udp_close(t->a);
    pl_udp_close(t->b);
    shims_udp_begin();
}

/* At once, without the loop. */
static void send_text(talking *t, const char *text)
{
    CHECK_EQ_INT(pl_udp_send_start(&t->helping, t->a, text, strlen(text), &t->at_b), PL_OK);
    CHECK_EQ_INT(pl_op_result(&t->helping), PL_OK);
}

/* The next datagram is this one: so nothing came before it, and nothing comes twice. */
static void next_is(talking *t, const char *text)
{
    char got[ROOM];
    pl_datagram_info info;
    if (CHECK_EQ_INT(pl_udp_receive(t->b, got, sizeof got, &info), strlen(text)))
        CHECK_MEM(got, text, strlen(text));
    CHECK_EQ_INT(info.peer.port, t->at_a.port);
}

/* --- pl_udp_receive, pl_udp_receive_buffers --- */

static int receive_start(pl_op *op, void *state)
{
    talking *t = state;
    return pl_udp_receive_start(op, t->b, t->data[0], ROOM, &t->info);
}

static int64_t receive_call(void *state)
{
    talking *t = state;
    return pl_udp_receive(t->b, t->data[0], ROOM, &t->info);
}

static void send_first(void *state)
{
    send_text(state, texts[0]);
}

static void receive_check(void *state, int64_t result)
{
    talking *t = state;
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(t->info.peer.port, 0);
        result = receive_call(t);
    }
    CHECK_EQ_INT(result, strlen(texts[0]));
    CHECK_STR(t->data[0], texts[0]);
    CHECK_EQ_INT(t->info.peer.port, t->at_a.port);
    send_text(t, "after");
    next_is(t, "after");
}

const moment_row moment_row_udp_receive = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(talking),
    .set_up = set_up_sockets,
    .start = receive_start,
    .call = receive_call,
    .complete = send_first,
    .check = receive_check,
    .tear_down = tear_down_sockets,
};

static const pl_room *rooms_of(talking *t)
{
    t->rooms[0] = (pl_room){t->data[0], 4};
    t->rooms[1] = (pl_room){t->data[0] + 4, ROOM - 4};
    return t->rooms;
}

static int receive_buffers_start(pl_op *op, void *state)
{
    talking *t = state;
    return pl_udp_receive_buffers_start(op, t->b, rooms_of(t), 2, &t->info);
}

static int64_t receive_buffers_call(void *state)
{
    talking *t = state;
    return pl_udp_receive_buffers(t->b, rooms_of(t), 2, &t->info);
}

const moment_row moment_row_udp_receive_buffers = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(talking),
    .set_up = set_up_sockets,
    .start = receive_buffers_start,
    .call = receive_buffers_call,
    .complete = send_first,
    .check = receive_check,
    .tear_down = tear_down_sockets,
};

/* --- A receive that waits behind another --- */

static bool set_up_behind(void *state, moment at)
{
    talking *t = state;
    if (!set_up_sockets(state, at))
        return false;
    CHECK_EQ_INT(pl_udp_receive_start(&t->first, t->b, t->before, ROOM, NULL), PL_OK);
    return true;
}

static void send_two(void *state)
{
    send_text(state, "before");
    send_text(state, texts[0]);
}

static void behind_check(void *state, int64_t result)
{
    talking *t = state;
    CHECK_EQ_INT(pl_op_await(&t->first), 6);
    CHECK_STR(t->before, "before");
    receive_check(state, result);
}

const moment_row moment_row_udp_receive_behind = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(talking),
    .set_up = set_up_behind,
    .start = receive_start,
    .call = receive_call,
    .complete = send_two,
    .check = behind_check,
    .tear_down = tear_down_sockets,
    .completion = PL__RECEIVE_FROM,
};

/* --- pl_udp_receive_many --- */

static pl_datagram *room_for_many(talking *t)
{
    int i;
    for (i = 0; i < MANY; i++)
        t->datagrams[i] = (pl_datagram){.data = t->data[i], .capacity = ROOM};
    return t->datagrams;
}

static int receive_many_start(pl_op *op, void *state)
{
    talking *t = state;
    return pl_udp_receive_many_start(op, t->b, room_for_many(t), MANY);
}

static int64_t receive_many_call(void *state)
{
    talking *t = state;
    return pl_udp_receive_many(t->b, room_for_many(t), MANY);
}

static void send_all(void *state)
{
    int i;
    for (i = 0; i < MANY; i++)
        send_text(state, texts[i]);
}

/* All come, in their order, by this call and the next ones. */
static void receive_many_check(void *state, int64_t result)
{
    talking *t = state;
    int64_t i;
    CHECK(result == PL_ECANCELED || (result >= 1 && result <= MANY));
    for (i = 0; i < result; i++) {
        CHECK_EQ_INT(t->datagrams[i].size, strlen(texts[i]));
        CHECK_STR(t->data[i], texts[i]);
        CHECK_EQ_INT(t->datagrams[i].info.peer.port, t->at_a.port);
    }
    for (; i < MANY; i++)
        next_is(t, texts[i]);
    send_text(t, "after");
    next_is(t, "after");
}

const moment_row moment_row_udp_receive_many = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(talking),
    .set_up = set_up_sockets,
    .start = receive_many_start,
    .call = receive_many_call,
    .complete = send_all,
    .check = receive_many_check,
    .tear_down = tear_down_sockets,
};

/* --- Sends -------------------------------------------------------------------------------------------------------- */

#define SCRIPT(...)                                                                                                    \
    do {                                                                                                               \
        static const udp_step steps[] = {__VA_ARGS__};                                                                 \
        shims_udp_script(UDP_SEND, steps, sizeof steps / sizeof steps[0]);                                             \
    } while (0)

/* The next send of anybody has to wait. */
static bool set_up_full(void *state, moment at)
{
    if (!set_up_sockets(state, at))
        return false;
    if (on_backend("iocp"))
        SCRIPT(UDP_NOT_READY, UDP_HELD);
    else
        SCRIPT(UDP_FULL);
    return true;
}

/* The system takes more. On Unix it says so when a datagram comes, too. */
static void make_room(void *state)
{
    talking *t = state;
    shims_udp_script(UDP_SEND, NULL, 0);
    if (shims_udp_let_go() || on_backend("iocp"))
        return;
    CHECK_EQ_INT(pl_udp_send_start(&t->helping, t->b, "?", 1, &t->at_a), PL_OK);
    CHECK_EQ_INT(pl_op_result(&t->helping), PL_OK);
}

/* What was sent arrives, once; what was not never does; and sending goes on. */
static void send_check(void *state, int64_t result)
{
    talking *t = state;
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(pl_udp_send(t->a, "after", 5, &t->at_b), PL_OK);
    else
        CHECK_EQ_INT(result, PL_OK);
    if (result >= 0) {
        next_is(t, texts[0]);
        send_text(t, "after");
    }
    next_is(t, "after");
}

static int send_start(pl_op *op, void *state)
{
    talking *t = state;
    return pl_udp_send_start(op, t->a, texts[0], strlen(texts[0]), &t->at_b);
}

static int64_t send_call(void *state)
{
    talking *t = state;
    return pl_udp_send(t->a, texts[0], strlen(texts[0]), &t->at_b);
}

const moment_row moment_row_udp_send = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(talking),
    .set_up = set_up_full,
    .start = send_start,
    .call = send_call,
    .complete = make_room,
    .check = send_check,
    .tear_down = tear_down_sockets,
    .writes = true,
};

static const pl_buffer *buffers_of(talking *t)
{
    t->buffers[0] = (pl_buffer){texts[0], 4};
    t->buffers[1] = (pl_buffer){texts[0] + 4, strlen(texts[0]) - 4};
    return t->buffers;
}

static int send_buffers_start(pl_op *op, void *state)
{
    talking *t = state;
    return pl_udp_send_buffers_start(op, t->a, buffers_of(t), 2, &t->at_b);
}

static int64_t send_buffers_call(void *state)
{
    talking *t = state;
    return pl_udp_send_buffers(t->a, buffers_of(t), 2, &t->at_b);
}

const moment_row moment_row_udp_send_buffers = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(talking),
    .set_up = set_up_full,
    .start = send_buffers_start,
    .call = send_buffers_call,
    .complete = make_room,
    .check = send_check,
    .tear_down = tear_down_sockets,
    .writes = true,
};

/* --- A send that waits behind another --- */

static bool set_up_behind_send(void *state, moment at)
{
    talking *t = state;
    if (!set_up_full(state, at))
        return false;
    CHECK_EQ_INT(pl_udp_send_start(&t->first, t->a, "before", 6, &t->at_b), PL_OK);
    return CHECK(pl_op_is_pending(&t->first));
}

static void behind_send_check(void *state, int64_t result)
{
    talking *t = state;
    CHECK_EQ_INT(pl_op_await(&t->first), PL_OK);
    next_is(t, "before");
    send_check(state, result);
}

const moment_row moment_row_udp_send_behind = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(talking),
    .set_up = set_up_behind_send,
    .start = send_start,
    .call = send_call,
    .complete = make_room,
    .check = behind_send_check,
    .tear_down = tear_down_sockets,
    .completion = PL__SEND_TO,
    .writes = true,
};

/* --- pl_udp_send_many --- */

static const pl_datagram *many_of(talking *t)
{
    int i;
    for (i = 0; i < MANY; i++) {
        t->datagrams[i] = (pl_datagram){.data = (void *)(uintptr_t)texts[i], .size = strlen(texts[i])};
        t->datagrams[i].info.peer = t->at_b;
    }
    return t->datagrams;
}

static int send_many_start(pl_op *op, void *state)
{
    talking *t = state;
    return pl_udp_send_many_start(op, t->a, many_of(t), MANY);
}

static int64_t send_many_call(void *state)
{
    talking *t = state;
    return pl_udp_send_many(t->a, many_of(t), MANY);
}

/* As many arrive as it says, the first ones. */
static void send_many_check(void *state, int64_t result)
{
    talking *t = state;
    int64_t i;
    CHECK(result == PL_ECANCELED || (result >= 1 && result <= MANY));
    CHECK_EQ_INT(pl_udp_send(t->a, "after", 5, &t->at_b), PL_OK);
    for (i = 0; i < result; i++)
        next_is(t, texts[i]);
    next_is(t, "after");
}

const moment_row moment_row_udp_send_many = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(talking),
    .set_up = set_up_full,
    .start = send_many_start,
    .call = send_many_call,
    .complete = make_room,
    .check = send_many_check,
    .tear_down = tear_down_sockets,
    .writes = true,
};

/* The first goes out, and the second has to wait. */
static bool set_up_part(void *state, moment at)
{
    if (!set_up_sockets(state, at))
        return false;
    if (on_backend("iocp"))
        SCRIPT(UDP_AS_IS, UDP_NOT_READY, UDP_NOT_READY, UDP_HELD);
    else
        SCRIPT(UDP_ONE, UDP_FULL);
    return true;
}

const moment_row moment_row_udp_send_many_rest = {
    .kind = MOMENT_BEGUN,
    .size = sizeof(talking),
    .set_up = set_up_part,
    .start = send_many_start,
    .call = send_many_call,
    .complete = make_room,
    .check = send_many_check,
    .tear_down = tear_down_sockets,
    .writes = true,
};
