/* Datagrams, through a system that does less than it was asked for, tells of datagrams sent earlier, or changes its mind.
 */
#include <proloop/proloop.h>

#include <string.h>

#include "harness.h"
#include "loopback.h"
#include "shims.h"
#include "shims_udp.h"

#define SHIM_CASE(name)                                                                                                \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        shims_begin();                                                                                                 \
        shims_udp_begin();                                                                                             \
        loopback_run(t, name##_body, NULL);                                                                            \
        shims_udp_begin();                                                                                             \
        shims_end();                                                                                                   \
    }                                                                                                                  \
    static void name##_body(void)

/* From now on the next calls do this. */
#define SCRIPT(call, ...)                                                                                              \
    do {                                                                                                               \
        static const udp_step steps[] = {__VA_ARGS__};                                                                 \
        shims_udp_script(call, steps, sizeof steps / sizeof steps[0]);                                                 \
    } while (0)

typedef struct pair {
    pl_udp *a;
    pl_udp *b;
    pl_address at_a;
    pl_address at_b;
} pair;

static bool open_pair(pair *p)
{
    pl_address local = {0};
    CHECK_EQ_INT(pl_address_parse(&local, "127.0.0.1", 0), PL_OK);
    return CHECK_EQ_INT(pl_udp_open(&p->a, &local, NULL), PL_OK) &&
           CHECK_EQ_INT(pl_udp_open(&p->b, &local, NULL), PL_OK) &&
           CHECK_EQ_INT(pl_udp_address(p->a, &p->at_a), PL_OK) && CHECK_EQ_INT(pl_udp_address(p->b, &p->at_b), PL_OK);
}

static void close_pair(pair *p)
{
    pl_udp_close(p->a);
    pl_udp_close(p->b);
}

static bool on_windows(void)
{
    return on_backend("iocp");
}

/* A datagram of one byte arrives at `to`, which waits for none yet. */
static bool arrives(pl_udp *from, pl_udp *to, const pl_address *where, char byte)
{
    char got = 0;
    return CHECK_EQ_INT(pl_udp_send(from, &byte, 1, where), PL_OK) &&
           CHECK_EQ_INT(pl_udp_receive(to, &got, 1, NULL), 1) && CHECK_EQ_INT(got, byte);
}

/* --- What became of earlier datagrams --- */

static void pass_over(void)
{
    char byte = 0;
    pl_op op = {0};
    pair p;
    REQUIRE(open_pair(&p));
    CHECK_EQ_INT(pl_udp_send(p.a, "x", 1, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.b, &byte, 1, NULL), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), 1);
    CHECK_EQ_INT(byte, 'x');
    CHECK(shims_udp_script_is_over(UDP_RECEIVE));
    CHECK(arrives(p.a, p.b, &p.at_b, 'y'));
    close_pair(&p);
}

SHIM_CASE(a_receive_without_a_peer_passes_over_what_it_is_told_of_earlier_sends)
{
    SCRIPT(UDP_RECEIVE, UDP_REFUSED, UDP_REFUSED, UDP_REFUSED);
    pass_over();
    if (!on_windows())
        return;
    SCRIPT(UDP_RECEIVE, UDP_REFUSED_LATER, UDP_REFUSED, UDP_NO_HOPS, UDP_REFUSED_LATER);
    pass_over();
}

static void be_told(int64_t expected)
{
    char byte = 0;
    pl_op op = {0};
    pair p;
    REQUIRE(open_pair(&p));
    CHECK_EQ_INT(pl_udp_connect(p.b, &p.at_a), PL_OK);
    CHECK_EQ_INT(pl_udp_send(p.a, "x", 1, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK); /* so that the system knows that there is something */
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.b, &byte, 1, NULL), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), expected);
    CHECK(pl_op_system_error(&op) != 0);
    CHECK(shims_udp_script_is_over(UDP_RECEIVE));
    CHECK_EQ_INT(pl_udp_receive(p.b, &byte, 1, NULL), 1);
    CHECK_EQ_INT(byte, 'x');
    close_pair(&p);
}

SHIM_CASE(a_receive_with_a_peer_is_told_and_the_next_goes_on)
{
    SCRIPT(UDP_RECEIVE, UDP_REFUSED);
    be_told(PL_ECONNREFUSED);
    if (!on_windows())
        return;
    SCRIPT(UDP_RECEIVE, UDP_REFUSED_LATER);
    be_told(PL_ECONNREFUSED);
    SCRIPT(UDP_RECEIVE, UDP_NO_HOPS);
    be_told(PL_EHOSTUNREACH);
}

SHIM_CASE(a_send_that_is_told_of_an_earlier_one_goes_out_and_a_receive_is_told_instead)
{
    char byte = 0;
    pl_op op = {0};
    pair p;
    REQUIRE(open_pair(&p));
    CHECK_EQ_INT(pl_udp_connect(p.a, &p.at_b), PL_OK);
    SCRIPT(UDP_SEND, UDP_REFUSED);
    CHECK(arrives(p.a, p.b, NULL, 'x'));
    CHECK_EQ_INT(pl_udp_receive(p.a, &byte, 1, NULL), PL_ECONNREFUSED); /* one that begins later */
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.a, &byte, 1, NULL), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    SCRIPT(UDP_SEND, UDP_REFUSED);
    CHECK(arrives(p.a, p.b, NULL, 'y'));
    CHECK_EQ_INT(pl_op_await(&op), PL_ECONNREFUSED); /* one that waited */
    CHECK_EQ_INT(pl_udp_send(p.b, "z", 1, &p.at_a), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(p.a, &byte, 1, NULL), 1);
    SCRIPT(UDP_SEND, UDP_REFUSED, UDP_REFUSED);
    CHECK_EQ_INT(pl_udp_send(p.a, "!", 1, NULL), PL_ECONNREFUSED); /* twice: its own */
    close_pair(&p);
}

SHIM_CASE(a_send_without_a_peer_goes_out_too_and_nobody_is_told)
{
    pair p;
    REQUIRE(open_pair(&p));
    SCRIPT(UDP_SEND, UDP_REFUSED);
    CHECK(arrives(p.a, p.b, &p.at_b, 'x'));
    CHECK(arrives(p.b, p.a, &p.at_a, 'y'));
    close_pair(&p);
}

/* --- Truncation on Windows --- */

static void receive_cut(void)
{
    char data[9] = {0};
    pl_datagram_info info;
    pl_room rooms[2];
    pair p;
    REQUIRE(open_pair(&p));
    rooms[0] = (pl_room){data, 3};
    rooms[1] = (pl_room){data + 3, 5};
    CHECK_EQ_INT(pl_udp_send(p.a, "too large by far", 16, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_send(p.a, "next", 4, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_receive_buffers(p.b, rooms, 2, &info), 8);
    CHECK(shims_udp_script_is_over(UDP_RECEIVE));
    CHECK_STR(data, "too larg");
    CHECK(info.truncated);
    CHECK(info.full_size >= 8);
    CHECK_EQ_INT(info.peer.port, p.at_a.port);
    CHECK_EQ_INT(pl_udp_receive(p.b, data, sizeof data, &info), 4);
    CHECK_MEM(data, "next", 4);
    CHECK(!info.truncated);
    close_pair(&p);
}

SHIM_CASE(a_warning_that_a_datagram_is_too_large_is_a_datagram_that_was_cut)
{
    SCRIPT(UDP_RECEIVE, UDP_CUT_LATER);
    receive_cut();
    SCRIPT(UDP_RECEIVE, UDP_CUT); /* the call fails, and its packet comes all the same */
    receive_cut();
}

/* --- Sends that wait --- */

/* The next send of `from` has to wait. */
static void script_full(void)
{
    if (on_windows())
        SCRIPT(UDP_SEND, UDP_NOT_READY, UDP_HELD);
    else
        SCRIPT(UDP_SEND, UDP_FULL);
}

/* The system takes more: on Unix the arrival of a datagram tells it, too. */
static void make_room(pl_udp *other, const pl_address *where)
{
    shims_udp_script(UDP_SEND, NULL, 0);
    if (!shims_udp_let_go())
        CHECK_EQ_INT(pl_udp_send(other, "?", 1, where), PL_OK);
}

SHIM_CASE(a_send_waits_until_the_system_takes_more)
{
    char byte = 0;
    pl_op ops[2];
    pair p;
    memset(ops, 0, sizeof ops);
    REQUIRE(open_pair(&p));
    script_full();
    CHECK_EQ_INT(pl_udp_send_start(&ops[0], p.a, "x", 1, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_send_start(&ops[1], p.a, "y", 1, &p.at_b), PL_OK);
    CHECK(pl_op_is_pending(&ops[0]) && pl_op_is_pending(&ops[1]));
    CHECK_EQ_INT(pl_udp_connect(p.a, &p.at_b), PL_EBUSY);
    make_room(p.b, &p.at_a);
    CHECK_EQ_INT(pl_op_await(&ops[0]), PL_OK);
    CHECK_EQ_INT(pl_op_await(&ops[1]), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(p.b, &byte, 1, NULL), 1);
    CHECK_EQ_INT(byte, 'x');
    CHECK_EQ_INT(pl_udp_receive(p.b, &byte, 1, NULL), 1);
    CHECK_EQ_INT(byte, 'y');
    close_pair(&p);
}

static int64_t send_x(void *arg)
{
    pair *p = arg;
    return pl_udp_send(p->a, "x", 1, &p->at_b);
}

/* In the system, behind another, and by a time limit. */
SHIM_CASE(a_send_cancelled_while_it_waits_sends_nothing)
{
    pl_op ops[2];
    pl_timeout limit = {0};
    pair p;
    memset(ops, 0, sizeof ops);
    REQUIRE(open_pair(&p));
    script_full();
    CHECK_EQ_INT(pl_udp_send_start(&ops[0], p.a, "x", 1, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_send_start(&ops[1], p.a, "x", 1, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&ops[1]), PL_OK);
    CHECK(!pl_op_is_pending(&ops[1]));
    CHECK_EQ_INT(pl_op_await(&ops[1]), PL_ECANCELED);
    CHECK_EQ_INT(pl_op_cancel(&ops[0]), PL_OK);
    CHECK_EQ_INT(pl_op_await(&ops[0]), PL_ECANCELED);
    make_room(p.b, &p.at_a);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    script_full();
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(2)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, send_x(&p)), PL_ETIMEDOUT);
    make_room(p.b, &p.at_a);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK(arrives(p.a, p.b, &p.at_b, 'z')); /* the first that does */
    close_pair(&p);
}

typedef struct late_send {
    pair *sockets;
    int64_t result; /* the call's; the task's own is that of the cancel which comes after it */
} late_send;

static int64_t send_late(void *arg)
{
    late_send *late = arg;
    late->result = send_x(late->sockets);
    return 0;
}

/* Done in the system when the cancel comes, and done but its waiter has not run. */
SHIM_CASE(a_send_that_is_done_when_its_cancel_comes_is_told_as_done)
{
    uint64_t yields;
    for (yields = 0; yields < 4; yields++) {
        char byte = 0;
        pl_task *task = NULL;
        uint64_t i;
        int64_t calls = shims_udp_calls(UDP_SEND);
        pair p;
        late_send late = {&p, PL_ESTATE};
        REQUIRE(open_pair(&p));
        script_full();
        CHECK_EQ_INT(pl_spawn(&task, send_late, &late, NULL), PL_OK);
        while (shims_udp_calls(UDP_SEND) == calls)
            CHECK_EQ_INT(pl_yield(), PL_OK);
        make_room(p.b, &p.at_a);
        for (i = 0; i < yields; i++)
            CHECK_EQ_INT(pl_yield(), PL_OK);
        pl_task_cancel(task);
        (void)pl_task_await(task);
        CHECK(late.result == PL_OK || late.result == PL_ECANCELED);
        CHECK(late.result == PL_OK || !on_windows()); /* there it was done by then */
        pl_task_unref(task);
        if (late.result == PL_OK) {
            CHECK_EQ_INT(pl_udp_receive(p.b, &byte, 1, NULL), 1);
            CHECK_EQ_INT(byte, 'x');
        }
        CHECK(arrives(p.a, p.b, &p.at_b, 'z'));
        close_pair(&p);
    }
}

SHIM_CASE(closing_drops_sends_that_wait)
{
    pl_op ops[2];
    pair p;
    memset(ops, 0, sizeof ops);
    REQUIRE(open_pair(&p));
    script_full();
    CHECK_EQ_INT(pl_udp_send_start(&ops[0], p.a, "x", 1, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_send_start(&ops[1], p.a, "x", 1, &p.at_b), PL_OK);
    pl_udp_close(p.a);
    CHECK_EQ_INT(pl_op_await(&ops[0]), PL_ECLOSED);
    CHECK_EQ_INT(pl_op_await(&ops[1]), PL_ECLOSED);
    pl_udp_close(p.b);
}

SHIM_CASE(a_send_for_which_the_system_has_no_room_is_told_so_and_the_next_goes_out)
{
    pair p;
    REQUIRE(open_pair(&p));
    SCRIPT(UDP_SEND, UDP_NO_ROOM);
    CHECK_EQ_INT(pl_udp_send(p.a, "x", 1, &p.at_b), PL_ENOBUFS);
    CHECK(arrives(p.a, p.b, &p.at_b, 'y'));
    close_pair(&p);
}

/* --- Many --- */

enum { BATCH_OF = 10 };

static void batch_make(pl_datagram *datagrams, char *bytes, const pl_address *to)
{
    int i;
    memset(datagrams, 0, BATCH_OF * sizeof *datagrams);
    for (i = 0; i < BATCH_OF; i++) {
        bytes[i] = (char)('a' + i);
        datagrams[i].data = &bytes[i];
        datagrams[i].capacity = datagrams[i].size = 1;
        if (to)
            datagrams[i].info.peer = *to;
    }
}

/* The first `count` of a batch are there, and nothing else. */
static void check_arrived(pair *p, int count)
{
    char byte;
    int i;
    for (i = 0; i < count; i++) {
        CHECK_EQ_INT(pl_udp_receive(p->b, &byte, 1, NULL), 1);
        CHECK_EQ_INT(byte, 'a' + i);
    }
    CHECK(arrives(p->a, p->b, &p->at_b, '.'));
}

SHIM_CASE(many_that_go_in_parts_all_go)
{
    pl_datagram out[BATCH_OF];
    char bytes[BATCH_OF];
    pair p;
    REQUIRE(open_pair(&p));
    batch_make(out, bytes, &p.at_b);
    SCRIPT(UDP_SEND, UDP_THREE, UDP_INTERRUPTED, UDP_ONE, UDP_THREE, UDP_REFUSED);
    CHECK_EQ_INT(pl_udp_send_many(p.a, out, BATCH_OF), BATCH_OF);
    CHECK(shims_udp_script_is_over(UDP_SEND));
    check_arrived(&p, BATCH_OF);
    close_pair(&p);
}

SHIM_CASE(an_error_among_many_tells_how_many_went_before_it)
{
    pl_datagram out[BATCH_OF];
    char bytes[BATCH_OF];
    pair p;
    REQUIRE(open_pair(&p));
    batch_make(out, bytes, &p.at_b);
    if (on_windows())
        SCRIPT(UDP_SEND, UDP_AS_IS, UDP_AS_IS, UDP_AS_IS, UDP_NO_ROOM, UDP_NO_ROOM);
    else
        SCRIPT(UDP_SEND, UDP_THREE, UDP_NO_ROOM);
    CHECK_EQ_INT(pl_udp_send_many(p.a, out, BATCH_OF), 3);
    check_arrived(&p, 3);
    SCRIPT(UDP_SEND, UDP_NO_ROOM);
    CHECK_EQ_INT(pl_udp_send_many(p.a, out, BATCH_OF), PL_ENOBUFS);
    check_arrived(&p, 0);
    close_pair(&p);
}

SHIM_CASE(many_cancelled_on_their_way_tell_how_many_went)
{
    pl_datagram out[BATCH_OF];
    char bytes[BATCH_OF];
    pl_op op = {0};
    pair p;
    REQUIRE(open_pair(&p));
    batch_make(out, bytes, &p.at_b);
    if (on_windows())
        SCRIPT(UDP_SEND, UDP_AS_IS, UDP_AS_IS, UDP_AS_IS, UDP_NOT_READY, UDP_NOT_READY, UDP_HELD);
    else
        SCRIPT(UDP_SEND, UDP_THREE, UDP_FULL);
    CHECK_EQ_INT(pl_udp_send_many_start(&op, p.a, out, BATCH_OF), PL_OK);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), 3);
    make_room(p.b, &p.at_a);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    check_arrived(&p, 3);
    close_pair(&p);
}

SHIM_CASE(a_receive_of_many_gets_what_there_is_and_the_next_the_rest)
{
    pl_datagram out[BATCH_OF], in[BATCH_OF];
    char bytes[BATCH_OF], got[BATCH_OF];
    pl_op op = {0};
    int64_t n;
    pair p;
    REQUIRE(open_pair(&p));
    batch_make(out, bytes, &p.at_b);
    batch_make(in, got, NULL);
    CHECK_EQ_INT(pl_udp_send_many(p.a, out, BATCH_OF), BATCH_OF);
    if (on_windows())
        SCRIPT(UDP_RECEIVE, UDP_AS_IS, UDP_AS_IS, UDP_AS_IS, UDP_NOT_READY);
    else
        SCRIPT(UDP_RECEIVE, UDP_INTERRUPTED, UDP_THREE);
    CHECK_EQ_INT(pl_udp_receive_many_start(&op, p.b, in, BATCH_OF), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), 3);
    n = pl_udp_receive_many(p.b, in + 3, BATCH_OF - 3);
    CHECK_EQ_INT(n, BATCH_OF - 3);
    CHECK_MEM(got, bytes, BATCH_OF);
    SCRIPT(UDP_RECEIVE, UDP_NOT_READY); /* awake for nothing */
    CHECK(arrives(p.a, p.b, &p.at_b, 'x') || on_windows());
    close_pair(&p);
}

/* The first comes by a packet; the error behind it is told by the next receive. */
SHIM_CASE(an_error_among_received_ones_is_told_by_the_next_receive)
{
    pl_datagram out[BATCH_OF], in[BATCH_OF];
    char bytes[BATCH_OF], got[BATCH_OF];
    pair p;
    REQUIRE(open_pair(&p));
    CHECK_EQ_INT(pl_udp_connect(p.b, &p.at_a), PL_OK);
    batch_make(out, bytes, &p.at_b);
    batch_make(in, got, NULL);
    CHECK_EQ_INT(pl_udp_send_many(p.a, out, BATCH_OF), BATCH_OF);
    SCRIPT(UDP_RECEIVE, UDP_AS_IS, UDP_AS_IS, UDP_REFUSED);
    CHECK_EQ_INT(pl_udp_receive_many(p.b, in, BATCH_OF), 2);
    CHECK_EQ_INT(pl_udp_receive_many(p.b, in, BATCH_OF), PL_ECONNREFUSED);
    CHECK_EQ_INT(pl_udp_receive_many(p.b, in + 2, BATCH_OF - 2), BATCH_OF - 2);
    CHECK_MEM(got, bytes, BATCH_OF);
    close_pair(&p);
}

SHIM_CASE(two_thousand_datagrams_need_few_calls)
{
    enum { ROUNDS = 25, EACH = 80 };
    static pl_datagram out[EACH], in[EACH];
    static uint32_t bytes[EACH], got[EACH];
    pair p;
    uint32_t round, i, next = 0;
    REQUIRE(open_pair(&p));
    memset(out, 0, sizeof out);
    memset(in, 0, sizeof in);
    for (i = 0; i < EACH; i++) {
        out[i] = (pl_datagram){.data = &bytes[i], .size = sizeof bytes[i], .info = {.peer = p.at_b}};
        in[i] = (pl_datagram){.data = &got[i], .capacity = sizeof got[i]};
    }
    for (round = 0; round < ROUNDS; round++) {
        for (i = 0; i < EACH; i++)
            bytes[i] = round * EACH + i;
        CHECK_EQ_INT(pl_udp_send_many(p.a, out, EACH), EACH);
        CHECK_EQ_INT(pl_udp_receive_many(p.b, in, EACH), EACH);
        for (i = 0; i < EACH; i++)
            CHECK_EQ_INT(got[i], next++);
    }
    CHECK_EQ_INT(next, ROUNDS * EACH);
    CHECK_EQ_INT(shims_udp_calls(UDP_SEND), ROUNDS * 3);    /* of 32, 32 and 16 */
    CHECK(shims_udp_calls(UDP_RECEIVE) <= ROUNDS * 3 + 1); /* and perhaps one that found nothing */
    close_pair(&p);
}

/* On Linux a socket without its peer is without its port too, until it is bound anew: what comes then is lost. */
SHIM_CASE(a_socket_that_had_no_peer_keeps_its_port_all_the_time_while_it_is_connected)
{
    pair p;
    REQUIRE(open_pair(&p));
    CHECK_EQ_INT(pl_udp_connect(p.a, &p.at_b), PL_OK);
    CHECK_EQ_INT(shims_udp_disconnects(), 0);
    CHECK_EQ_INT(pl_udp_connect(p.a, &p.at_a), PL_OK);
    CHECK_EQ_INT(shims_udp_disconnects(), 1);
    CHECK_EQ_INT(pl_udp_connect(p.a, NULL), PL_OK);
    CHECK_EQ_INT(shims_udp_disconnects(), 2);
    CHECK_EQ_INT(pl_udp_connect(p.a, NULL), PL_OK);
    CHECK_EQ_INT(shims_udp_disconnects(), 2);
    close_pair(&p);
}

/* --- What Windows is asked for ------------------------------------------------------------------------------------ */

SHIM_CASE(only_a_socket_with_a_peer_is_told_what_became_of_its_datagrams)
{
    pl_address nobody = {.family = PL_IPV4, .port = 9, .ip = {255, 255, 255, 255}};
    pair p;
    REQUIRE(open_pair(&p));
    CHECK_EQ_INT(shims_udp_tells_refusals(), 0);
    CHECK_EQ_INT(shims_udp_tells_hops(), 0);
    CHECK_EQ_INT(pl_udp_connect(p.a, &p.at_b), PL_OK);
    CHECK_EQ_INT(shims_udp_tells_refusals(), 1);
    CHECK_EQ_INT(shims_udp_tells_hops(), 1);
    CHECK_EQ_INT(pl_udp_connect(p.a, NULL), PL_OK);
    CHECK_EQ_INT(shims_udp_tells_refusals(), 0);
    CHECK_EQ_INT(shims_udp_tells_hops(), 0);
    CHECK(pl_udp_connect(p.a, &nobody) < 0); /* broadcasts are not allowed */
    CHECK_EQ_INT(shims_udp_tells_refusals(), 0);
    CHECK_EQ_INT(pl_udp_peer_address(p.a, &nobody), PL_ENOTCONN);
    close_pair(&p);
}

/* The last setting was this one, with these bytes. */
static void check_setting(int level, int option, const void *value, size_t size)
{
    const udp_setting *last = shims_udp_last_setting();
    CHECK_EQ_INT(last->level, level);
    CHECK_EQ_INT(last->option, option);
    if (CHECK_EQ_INT(last->size, size))
        CHECK_MEM(last->value, value, size);
}

/* By the numbers that Windows has for all this: 0.x.x.x is an index where IPv4 wants an interface. */
SHIM_CASE(windows_gets_memberships_and_interfaces_in_its_own_form)
{
    static const uint8_t by_index[] = {239, 1, 2, 3, 0, 1, 2, 3};
    static const uint8_t by_address[] = {239, 1, 2, 3, 127, 0, 0, 1};
    static const uint8_t of_source[] = {239, 1, 2, 3, 10, 0, 0, 9, 0, 1, 2, 3};
    uint8_t six[20] = {0xff, 2, [15] = 7, [16] = 3, 2, 1, 0};
    uint8_t six_of_source[264] = {3, 2, 1, 0, [8] = 23, 0, [16] = 0xff, 2, [31] = 7, [136] = 23, 0, [144] = 0xfe, 0x80};
    pl_address group, here, source, local = {.family = PL_IPV6};
    pl_multicast_options options = {.size = sizeof options, .interface_index = 0x010203};
    pl_udp *udp = NULL;
    pair p;
    REQUIRE(open_pair(&p));
    CHECK_EQ_INT(pl_address_parse(&group, "239.1.2.3", 0), PL_OK);
    CHECK_EQ_INT(pl_address_parse(&here, "127.0.0.1", 0), PL_OK);
    CHECK_EQ_INT(pl_address_parse(&source, "10.0.0.9", 0), PL_OK);
    REQUIRE_EQ_INT(pl_udp_open(&udp, &local, NULL), PL_OK);
    shims_udp_watch_settings();
    CHECK_EQ_INT(pl_udp_join(p.a, &group, &options), PL_OK);
    check_setting(0, 12, by_index, sizeof by_index);
    CHECK_EQ_INT(pl_udp_leave(p.a, &group, &options), PL_OK);
    check_setting(0, 13, by_index, sizeof by_index);
    options.source = &source;
    CHECK_EQ_INT(pl_udp_join(p.a, &group, &options), PL_OK);
    check_setting(0, 15, of_source, sizeof of_source);
    CHECK_EQ_INT(pl_udp_leave(p.a, &group, &options), PL_OK);
    check_setting(0, 16, of_source, sizeof of_source);
    CHECK_EQ_INT(pl_udp_set_multicast_interface(p.a, 0x010203, NULL), PL_OK);
    check_setting(0, 9, by_index + 4, 4);
    CHECK_EQ_INT(pl_udp_set_multicast_interface(p.a, 0, &here), PL_OK);
    check_setting(0, 9, by_address + 4, 4);
    options = (pl_multicast_options){.size = sizeof options, .interface_address = &here};
    CHECK_EQ_INT(pl_udp_join(p.a, &group, &options), PL_OK);
    check_setting(0, 12, by_address, sizeof by_address);
    CHECK_EQ_INT(pl_address_parse(&group, "ff02::7", 0), PL_OK);
    CHECK_EQ_INT(pl_address_parse(&source, "fe80::", 0), PL_OK);
    options = (pl_multicast_options){.size = sizeof options, .interface_index = 0x010203};
    CHECK_EQ_INT(pl_udp_join(udp, &group, &options), PL_OK);
    check_setting(41, 12, six, sizeof six);
    CHECK_EQ_INT(pl_udp_leave(udp, &group, &options), PL_OK);
    check_setting(41, 13, six, sizeof six);
    options.source = &source;
    CHECK_EQ_INT(pl_udp_join(udp, &group, &options), PL_OK);
    check_setting(41, 45, six_of_source, sizeof six_of_source);
    CHECK_EQ_INT(pl_udp_leave(udp, &group, &options), PL_OK);
    check_setting(41, 46, six_of_source, sizeof six_of_source);
    pl_udp_close(udp);
    close_pair(&p);
}

TEST_SUITE(shim_udp, TEST_BACKENDS_REAL,
           CASE(a_receive_without_a_peer_passes_over_what_it_is_told_of_earlier_sends),
           CASE(a_receive_with_a_peer_is_told_and_the_next_goes_on),
           CASE(a_send_that_is_told_of_an_earlier_one_goes_out_and_a_receive_is_told_instead),
           CASE(a_send_without_a_peer_goes_out_too_and_nobody_is_told),
           CASE_ON(ON_WINDOWS, a_warning_that_a_datagram_is_too_large_is_a_datagram_that_was_cut),
           CASE(a_send_waits_until_the_system_takes_more),
           CASE(a_send_cancelled_while_it_waits_sends_nothing),
           CASE(a_send_that_is_done_when_its_cancel_comes_is_told_as_done),
           CASE(closing_drops_sends_that_wait),
           CASE(a_send_for_which_the_system_has_no_room_is_told_so_and_the_next_goes_out),
           CASE(many_that_go_in_parts_all_go),
           CASE(an_error_among_many_tells_how_many_went_before_it),
           CASE(many_cancelled_on_their_way_tell_how_many_went),
           CASE(a_receive_of_many_gets_what_there_is_and_the_next_the_rest),
           CASE_ON(ON_WINDOWS, an_error_among_received_ones_is_told_by_the_next_receive),
           CASE_ON(ON_LINUX, two_thousand_datagrams_need_few_calls),
           CASE_ON(ON_WINDOWS, only_a_socket_with_a_peer_is_told_what_became_of_its_datagrams),
           CASE_ON(ON_WINDOWS, windows_gets_memberships_and_interfaces_in_its_own_form),
           CASE_ON(ON_LINUX, a_socket_that_had_no_peer_keeps_its_port_all_the_time_while_it_is_connected))
