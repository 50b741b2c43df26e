#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "allocation.h"
#include "harness.h"
#include "loopback.h"
#include "system.h"

static bool on_wine(void)
{
    return on_backend("iocp") && system_is_wine();
}

static pl_address address_of(const char *ip, uint16_t port)
{
    pl_address address = {0};
    CHECK_EQ_INT(pl_address_parse(&address, ip, port), PL_OK);
    return address;
}

/* A socket at a port that the system chooses, and its address; NULL: it failed. */
static pl_udp *open_with(const char *ip, const pl_udp_options *options, pl_address *where)
{
    pl_udp *udp = NULL;
    pl_address local = address_of(ip, 0);
    pl_address bound = {0};
    if (!CHECK_EQ_INT(pl_udp_open(&udp, &local, options), PL_OK))
        return NULL;
    CHECK_EQ_INT(pl_udp_address(udp, &bound), PL_OK);
    CHECK(bound.port != 0);
    if (where)
        *where = bound;
    return udp;
}

static pl_udp *open_here(pl_address *where)
{
    return open_with("127.0.0.1", NULL, where);
}

/* Two sockets of one address, and where they are. */
typedef struct pair {
    pl_udp *a;
    pl_udp *b;
    pl_address at_a;
    pl_address at_b;
} pair;

static bool open_pair(pair *p, const char *ip)
{
    p->a = open_with(ip, NULL, &p->at_a);
    p->b = open_with(ip, NULL, &p->at_b);
    return p->a && p->b;
}

static void close_pair(pair *p)
{
    pl_udp_close(p->a);
    pl_udp_close(p->b);
}

static bool same_address(const pl_address *a, const pl_address *b)
{
    return a->family == b->family && a->port == b->port && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/* An address where nobody is. */
static pl_address silence(void)
{
    pl_address where = {0};
    pl_udp *udp = open_here(&where);
    pl_udp_close(udp);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK); /* on Windows it is free when the loop has gone round */
    return where;
}

static bool has_ipv6(void)
{
    pl_address local = address_of("::1", 0);
    pl_udp *udp = NULL;
    int rc = pl_udp_open(&udp, &local, NULL);
    pl_udp_close(udp);
    if (rc < 0)
        skip_case("no IPv6 here");
    return rc == PL_OK;
}

/* --- Sending and receiving --- */

static void echo_sizes(const char *ip)
{
    static const size_t sizes[] = {0, 1, 508, 1472, 9000, 65507};
    enum { ROOM = 65536 };
    uint8_t *out = malloc(ROOM), *in = malloc(ROOM);
    pl_datagram_info info;
    pair p;
    size_t i;
    REQUIRE(out && in && open_pair(&p, ip));
    for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t size = sizes[i];
        pattern_fill(out, size, i * 100000);
        memset(in, 0xee, ROOM);
        CHECK_EQ_INT(pl_udp_send(p.a, out, size, &p.at_b), PL_OK);
        CHECK_EQ_INT(pl_udp_receive(p.b, in, ROOM, &info), size);
        CHECK(same_address(&info.peer, &p.at_a));
        CHECK(!info.truncated);
        CHECK_EQ_INT(info.full_size, size);
        CHECK_EQ_INT(in[size], 0xee);
        CHECK_EQ_INT(pl_udp_send(p.b, in, size, &info.peer), PL_OK);
        memset(in, 0xdd, ROOM);
        CHECK_EQ_INT(pl_udp_receive(p.a, in, ROOM, &info), size);
        CHECK(same_address(&info.peer, &p.at_b));
        CHECK_MEM(in, out, size);
        CHECK_EQ_INT(in[size], 0xdd);
    }
    close_pair(&p);
    free(out);
    free(in);
}

TASK_CASE(an_echo_is_exact_at_every_size_over_ipv4)
{
    echo_sizes("127.0.0.1");
}

TASK_CASE(an_echo_is_exact_at_every_size_over_ipv6)
{
    if (has_ipv6())
        echo_sizes("::1");
}

TASK_CASE(datagrams_come_in_order_and_none_is_lost)
{
    enum { MANY = 2000, BURST = 40 };
    pair p;
    uint32_t sent, got;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    for (sent = got = 0; sent < MANY;) {
        int i;
        for (i = 0; i < BURST; i++, sent++)
            CHECK_EQ_INT(pl_udp_send(p.a, &sent, sizeof sent, &p.at_b), PL_OK);
        for (i = 0; i < BURST; i++, got++) {
            uint32_t number = 0;
            CHECK_EQ_INT(pl_udp_receive(p.b, &number, sizeof number, NULL), sizeof number);
            CHECK_EQ_INT(number, got);
        }
    }
    close_pair(&p);
}

TASK_CASE(an_empty_datagram_is_a_datagram)
{
    char byte = 'x';
    pl_datagram_info info;
    pair p;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    CHECK_EQ_INT(pl_udp_send(p.a, NULL, 0, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_send(p.a, "y", 1, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(p.b, &byte, 1, &info), 0);
    CHECK_EQ_INT(byte, 'x');
    CHECK(!info.truncated);
    CHECK(same_address(&info.peer, &p.at_a));
    CHECK_EQ_INT(pl_udp_receive(p.b, &byte, 1, &info), 1);
    CHECK_EQ_INT(byte, 'y');
    close_pair(&p);
}

/* Both while it waits and when it is there already. */
TASK_CASE(a_datagram_larger_than_the_room_is_cut_which_is_told_and_no_error)
{
    uint8_t out[3000], in[1001];
    pl_datagram_info info;
    pl_op op = {0};
    pair p;
    int waits;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    pattern_fill(out, sizeof out, 7);
    for (waits = 0; waits < 2; waits++) {
        memset(in, 0xee, sizeof in);
        memset(&info, 0xee, sizeof info);
        if (waits) {
            CHECK_EQ_INT(pl_udp_receive_start(&op, p.b, in, 1000, &info), PL_OK);
            CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
            CHECK_EQ_INT(pl_udp_send(p.a, out, sizeof out, &p.at_b), PL_OK);
        } else {
            CHECK_EQ_INT(pl_udp_send(p.a, out, sizeof out, &p.at_b), PL_OK);
            CHECK_EQ_INT(pl_udp_receive_start(&op, p.b, in, 1000, &info), PL_OK);
        }
        CHECK_EQ_INT(pl_op_await(&op), 1000);
        CHECK_MEM(in, out, 1000);
        CHECK_EQ_INT(in[1000], 0xee);
        CHECK(info.truncated);
        CHECK_EQ_INT(info.full_size, sizeof out);
        CHECK(same_address(&info.peer, &p.at_a));
        CHECK_EQ_INT(pl_udp_send(p.a, "next", 4, &p.at_b), PL_OK);
        CHECK_EQ_INT(pl_udp_receive(p.b, in, sizeof in, &info), 4); /* the rest of the first is gone */
        CHECK(!info.truncated);
    }
    close_pair(&p);
}

TASK_CASE(several_buffers_are_one_datagram_both_ways)
{
    uint8_t data[1000], in[1200];
    pl_buffer parts[3];
    pl_room rooms[3];
    pl_datagram_info info;
    pair p;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    pattern_fill(data, sizeof data, 3);
    parts[0] = (pl_buffer){data, 1};
    parts[1] = (pl_buffer){data + 1, 0};
    parts[2] = (pl_buffer){data + 1, sizeof data - 1};
    rooms[0] = (pl_room){in, 300};
    rooms[1] = (pl_room){in + 300, 0};
    rooms[2] = (pl_room){in + 300, sizeof in - 300};
    CHECK_EQ_INT(pl_udp_send_buffers(p.a, parts, 3, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_receive_buffers(p.b, rooms, 3, &info), sizeof data);
    CHECK_MEM(in, data, sizeof data);
    CHECK(!info.truncated);
    memset(in, 0xee, sizeof in);
    CHECK_EQ_INT(pl_udp_send_buffers(p.a, parts, 3, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_receive_buffers(p.b, rooms, 2, &info), 300);
    CHECK_MEM(in, data, 300);
    CHECK_EQ_INT(in[300], 0xee);
    CHECK(info.truncated);
    CHECK_EQ_INT(info.full_size, sizeof data);
    close_pair(&p);
}

/* --- Many at once --- */

enum { BATCH_OF = 100 };

typedef struct batch {
    uint32_t bytes[BATCH_OF];
    pl_datagram datagrams[BATCH_OF];
} batch;

static void batch_make(batch *b, uint32_t first, const pl_address *to)
{
    int i;
    memset(b, 0, sizeof *b);
    for (i = 0; i < BATCH_OF; i++) {
        b->bytes[i] = first + (uint32_t)i;
        b->datagrams[i].data = &b->bytes[i];
        b->datagrams[i].capacity = b->datagrams[i].size = sizeof b->bytes[i];
        if (to)
            b->datagrams[i].info.peer = *to;
    }
}

/* Receives so many in as few calls as it takes, which are counted. */
static int receive_whole_batch(pl_udp *udp, batch *b, uint32_t first, const pl_address *from)
{
    int64_t got = 0;
    int calls = 0, i;
    batch_make(b, 0, NULL);
    while (got < BATCH_OF) {
        int64_t n = pl_udp_receive_many(udp, b->datagrams + got, (size_t)(BATCH_OF - got));
        REQUIRE_OR(n > 0, return calls);
        got += n;
        calls++;
    }
    for (i = 0; i < BATCH_OF; i++) {
        CHECK_EQ_INT(b->bytes[i], first + (uint32_t)i);
        CHECK_EQ_INT(b->datagrams[i].size, sizeof b->bytes[i]);
        CHECK(same_address(&b->datagrams[i].info.peer, from));
        CHECK(!b->datagrams[i].info.truncated);
    }
    return calls;
}

TASK_CASE(many_are_sent_and_received_by_one_call_each_and_go_back_as_they_are)
{
    batch out, in;
    pair p;
    uint32_t round;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    for (round = 0; round < 20; round++) {
        batch_make(&out, round * BATCH_OF, &p.at_b);
        CHECK_EQ_INT(pl_udp_send_many(p.a, out.datagrams, BATCH_OF), BATCH_OF);
        CHECK_EQ_INT(receive_whole_batch(p.b, &in, round * BATCH_OF, &p.at_a), 1);
        CHECK_EQ_INT(pl_udp_send_many(p.b, in.datagrams, BATCH_OF), BATCH_OF);
        CHECK_EQ_INT(receive_whole_batch(p.a, &in, round * BATCH_OF, &p.at_b), 1);
    }
    close_pair(&p);
}

TASK_CASE(a_receive_of_many_waits_for_one_only)
{
    batch in;
    pl_op op = {0};
    pair p;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    batch_make(&in, 0, NULL);
    CHECK_EQ_INT(pl_udp_receive_many_start(&op, p.b, in.datagrams, BATCH_OF), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_udp_send(p.a, "abcdefgh", 8, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), 1);
    CHECK_EQ_INT(in.datagrams[0].size, 4);
    CHECK(in.datagrams[0].info.truncated);
    CHECK_EQ_INT(in.datagrams[0].info.full_size, 8);
    CHECK_MEM(&in.bytes[0], "abcd", 4);
    close_pair(&p);
}

/* --- Connected --- */

TASK_CASE(a_connected_socket_needs_no_address_and_hears_its_peer_only)
{
    char data[16];
    pl_address peer = {0};
    pl_datagram_info info;
    pl_udp *other;
    pl_address at_other;
    pair p;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    other = open_here(&at_other);
    CHECK_EQ_INT(pl_udp_peer_address(p.a, &peer), PL_ENOTCONN);
    CHECK_EQ_INT(pl_udp_connect(p.a, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_peer_address(p.a, &peer), PL_OK);
    CHECK(same_address(&peer, &p.at_b));
    CHECK_EQ_INT(pl_udp_send(p.a, "one", 3, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(p.b, data, sizeof data, &info), 3);
    CHECK_EQ_INT(pl_udp_send(other, "stranger", 8, &p.at_a), PL_OK);
    CHECK_EQ_INT(pl_udp_send(p.b, "peer", 4, &info.peer), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(p.a, data, sizeof data, &info), 4);
    CHECK_MEM(data, "peer", 4);
    CHECK(same_address(&info.peer, &p.at_b));
    CHECK_EQ_INT(pl_udp_send(p.a, "two", 3, &p.at_b), PL_OK); /* that very one may be named */
    CHECK_EQ_INT(pl_udp_receive(p.b, data, sizeof data, NULL), 3);
    CHECK_EQ_INT(pl_udp_send(p.a, "x", 1, &at_other), PL_ESTATE);
    pl_udp_close(other);
    close_pair(&p);
}

TASK_CASE(a_socket_changes_its_peer_and_loses_it_but_keeps_its_port)
{
    char data[16];
    pl_address now = {0};
    pl_udp *other;
    pl_address at_other;
    pair p;
    int round;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    other = open_here(&at_other);
    for (round = 0; round < 3; round++) {
        CHECK_EQ_INT(pl_udp_connect(p.a, &p.at_b), PL_OK);
        CHECK_EQ_INT(pl_udp_send(p.a, "b", 1, NULL), PL_OK);
        CHECK_EQ_INT(pl_udp_receive(p.b, data, sizeof data, NULL), 1);
        CHECK_EQ_INT(pl_udp_connect(p.a, &at_other), PL_OK);
        CHECK_EQ_INT(pl_udp_send(p.a, "o", 1, NULL), PL_OK);
        CHECK_EQ_INT(pl_udp_receive(other, data, sizeof data, NULL), 1);
        CHECK_EQ_INT(pl_udp_connect(p.a, NULL), PL_OK);
        CHECK_EQ_INT(pl_udp_peer_address(p.a, &now), PL_ENOTCONN);
        CHECK_EQ_INT(pl_udp_send(p.a, "x", 1, NULL), PL_ENOTCONN);
        if (on_wine()) { /* there the port is Linux's, which goes with the peer */
            CHECK_EQ_INT(pl_udp_send(p.a, "b", 1, &p.at_b), PL_OK);
            CHECK_EQ_INT(pl_udp_receive(p.b, data, sizeof data, NULL), 1);
            continue;
        }
        CHECK_EQ_INT(pl_udp_address(p.a, &now), PL_OK);
        CHECK(same_address(&now, &p.at_a));
        CHECK_EQ_INT(pl_udp_send(p.b, "from b", 6, &p.at_a), PL_OK);
        CHECK_EQ_INT(pl_udp_receive(p.a, data, sizeof data, NULL), 6);
        CHECK_EQ_INT(pl_udp_send(other, "other", 5, &p.at_a), PL_OK);
        CHECK_EQ_INT(pl_udp_receive(p.a, data, sizeof data, NULL), 5);
    }
    pl_udp_close(other);
    close_pair(&p);
}

/* Whether it waits already, or begins only then. */
TASK_CASE(an_unconnected_socket_never_hears_that_nobody_listened)
{
    char data[16];
    pl_address nowhere = silence();
    pl_op op = {0};
    pair p;
    int round;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    for (round = 0; round < 5; round++) {
        CHECK_EQ_INT(pl_udp_receive_start(&op, p.a, data, sizeof data, NULL), PL_OK);
        CHECK_EQ_INT(pl_udp_send(p.a, "?", 1, &nowhere), PL_OK);
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
        CHECK(pl_op_is_pending(&op));
        CHECK_EQ_INT(pl_udp_send(p.b, "hello", 5, &p.at_a), PL_OK);
        CHECK_EQ_INT(pl_op_await(&op), 5);
        CHECK_EQ_INT(pl_udp_send(p.a, "?", 1, &nowhere), PL_OK);
        CHECK_EQ_INT(pl_udp_send(p.b, "again", 5, &p.at_a), PL_OK);
        CHECK_EQ_INT(pl_udp_receive(p.a, data, sizeof data, NULL), 5);
    }
    close_pair(&p);
}

/* A receive is told once, whether it waits or begins later; a send is not told, and goes out. */
TASK_CASE(a_connected_sockets_receive_is_told_that_nobody_listened_and_receiving_goes_on)
{
    char data[16];
    pl_address nowhere = silence();
    pl_udp *late = NULL;
    pl_op op = {0};
    pair p;
    if (on_wine()) {
        skip_case("Wine does not tell what became of a datagram");
        return;
    }
    REQUIRE(open_pair(&p, "127.0.0.1"));
    CHECK_EQ_INT(pl_udp_connect(p.a, &nowhere), PL_OK);
    CHECK_EQ_INT(pl_udp_send(p.a, "?", 1, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(p.a, data, sizeof data, NULL), PL_ECONNREFUSED);
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.a, data, sizeof data, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_send(p.a, "?", 1, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_send(p.a, "?", 1, NULL), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECONNREFUSED);
    CHECK(pl_op_system_error(&op) != 0);
    CHECK_EQ_INT(pl_udp_open(&late, &nowhere, NULL), PL_OK); /* somebody comes */
    if (late) {
        int64_t rc;
        CHECK_EQ_INT(pl_udp_send(p.a, "hello", 5, NULL), PL_OK);
        CHECK_EQ_INT(pl_udp_receive(late, data, sizeof data, NULL), 5);
        CHECK_EQ_INT(pl_udp_send(late, "welcome", 7, &p.at_a), PL_OK);
        rc = pl_udp_receive(p.a, data, sizeof data, NULL);
        if (rc == PL_ECONNREFUSED) /* of the second */
            rc = pl_udp_receive(p.a, data, sizeof data, NULL);
        CHECK_EQ_INT(rc, 7);
    }
    pl_udp_close(late);
    close_pair(&p);
}

/* --- Addresses --- */

TASK_CASE(a_socket_of_both_families_shows_ipv4_addresses_as_such)
{
    char data[16];
    pl_udp_options options = {.size = sizeof options, .destination = 1};
    pl_address where = {0}, peer = {0}, at_four, at_six;
    pl_datagram_info info;
    pl_udp *both = NULL, *four, *six;
    if (!has_ipv6())
        return;
    REQUIRE_EQ_INT(pl_udp_open(&both, NULL, &options), PL_OK);
    CHECK_EQ_INT(pl_udp_address(both, &where), PL_OK);
    CHECK_EQ_INT(where.family, PL_IPV6);
    CHECK(where.port != 0);
    four = open_with("127.0.0.1", NULL, &at_four);
    six = open_with("::1", NULL, &at_six);
    peer = address_of("127.0.0.1", where.port);
    CHECK_EQ_INT(pl_udp_send(four, "four", 4, &peer), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(both, data, sizeof data, &info), 4);
    CHECK(same_address(&info.peer, &at_four));
    CHECK_EQ_INT(info.local.family, PL_IPV4);
    CHECK_MEM(info.local.ip, peer.ip, 16);
    CHECK_EQ_INT(pl_udp_send(both, "back", 4, &info.peer), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(four, data, sizeof data, &info), 4);
    CHECK(same_address(&info.peer, &peer));
    peer = address_of("::1", where.port);
    CHECK_EQ_INT(pl_udp_send(six, "six", 3, &peer), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(both, data, sizeof data, &info), 3);
    CHECK(same_address(&info.peer, &at_six));
    CHECK_EQ_INT(info.local.family, PL_IPV6);
    CHECK_MEM(info.local.ip, peer.ip, 16);
    CHECK_EQ_INT(pl_udp_connect(both, &at_four), PL_OK);
    CHECK_EQ_INT(pl_udp_peer_address(both, &peer), PL_OK);
    CHECK(same_address(&peer, &at_four));
    CHECK_EQ_INT(pl_udp_send(both, "hi", 2, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(four, data, sizeof data, NULL), 2);
    CHECK_EQ_INT(pl_udp_send(four, "hello", 5, &(pl_address){.family = PL_IPV4, .port = where.port, .ip = {127, 0, 0, 1}}),
                 PL_OK);
    CHECK_EQ_INT(pl_udp_receive(both, data, sizeof data, &info), 5);
    CHECK(same_address(&info.peer, &at_four));
    pl_udp_close(both);
    pl_udp_close(four);
    pl_udp_close(six);
}

TASK_CASE(a_socket_of_ipv6_only_leaves_the_port_to_ipv4)
{
    pl_udp_options options = {.size = sizeof options, .ipv6_only = 1};
    pl_address at_six, local, four = address_of("127.0.0.1", 9);
    pl_udp *six, *other = NULL;
    if (!has_ipv6())
        return;
    six = open_with("::", &options, &at_six);
    REQUIRE(six != NULL);
    local = address_of("0.0.0.0", at_six.port);
    CHECK_EQ_INT(pl_udp_open(&other, &local, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_send(six, "x", 1, &four), PL_EAFNOSUPPORT);
    CHECK_EQ_INT(pl_udp_connect(six, &four), PL_EAFNOSUPPORT);
    pl_udp_close(other);
    pl_udp_close(six);
}

static void check_destination(const char *ip)
{
    char data[16];
    pl_udp_options options = {.size = sizeof options, .destination = 1};
    pl_address at, expected = address_of(ip, 0);
    pl_datagram_info info;
    pl_udp *udp = open_with(expected.family == PL_IPV4 ? "0.0.0.0" : "::", &options, &at);
    pl_udp *sender = open_with(ip, NULL, NULL);
    pl_op op = {0};
    pl_address to = expected;
    int waits;
    to.port = at.port;
    for (waits = 0; waits < 2; waits++) {
        memset(&info, 0xee, sizeof info);
        if (waits)
            CHECK_EQ_INT(pl_udp_receive_start(&op, udp, data, 2, &info), PL_OK);
        CHECK_EQ_INT(pl_udp_send(sender, "abc", 3, &to), PL_OK);
        if (!waits)
            CHECK_EQ_INT(pl_udp_receive_start(&op, udp, data, 2, &info), PL_OK);
        CHECK_EQ_INT(pl_op_await(&op), 2);
        CHECK(info.truncated);
        CHECK(same_address(&info.local, &expected)); /* told of one that was cut, too */
        CHECK(info.interface_index != 0);
    }
    pl_udp_close(sender);
    pl_udp_close(udp);
}

TASK_CASE(the_destination_is_told_to_who_asks_for_it)
{
    check_destination("127.0.0.1");
    check_destination("127.0.0.2");
    if (has_ipv6())
        check_destination("::1");
}

TASK_CASE(without_that_option_there_is_no_destination)
{
    char data[4];
    pl_datagram_info info;
    pair p;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    memset(&info, 0xee, sizeof info);
    CHECK_EQ_INT(pl_udp_send(p.a, "x", 1, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(p.b, data, sizeof data, &info), 1);
    CHECK_EQ_INT(info.local.family, 0);
    CHECK_EQ_INT(info.interface_index, 0);
    close_pair(&p);
}

TASK_CASE(a_port_is_ones_own_unless_both_share_it)
{
    pl_udp_options options = {.size = sizeof options, .reuse_address = 1};
    pl_udp *first, *second = NULL;
    pl_address at;
    first = open_here(&at);
    CHECK_EQ_INT(pl_udp_open(&second, &at, NULL), PL_EADDRINUSE);
    CHECK(second == NULL);
    CHECK(pl_udp_open(&second, &at, &options) < 0);
    CHECK(second == NULL);
    pl_udp_close(first);
    first = open_with("127.0.0.1", &options, &at);
    CHECK_EQ_INT(pl_udp_open(&second, &at, &options), PL_OK);
    pl_udp_close(first);
    pl_udp_close(second);
}

TASK_CASE(an_address_that_is_not_ours_is_refused)
{
    pl_udp *udp = NULL;
    pl_address local = address_of("192.0.2.1", 0);
    if (on_wine()) {
        skip_case("Wine binds to any address");
        return;
    }
    CHECK_EQ_INT(pl_udp_open(&udp, &local, NULL), PL_EADDRNOTAVAIL);
    CHECK(udp == NULL);
}

/* --- Broadcast and multicast --- */

TASK_CASE(a_broadcast_goes_out_if_it_is_allowed)
{
    char data[16];
    pl_udp_options options = {.size = sizeof options, .broadcast = 1};
    pl_address at, to;
    pl_udp *receiver = open_with("0.0.0.0", NULL, &at);
    pl_udp *sender = open_here(NULL);
    pl_udp *allowed = open_with("127.0.0.1", &options, NULL);
    REQUIRE(receiver && sender && allowed);
    to = address_of("127.255.255.255", at.port);
    CHECK_EQ_INT(pl_udp_send(sender, "no", 2, &to), PL_EACCES);
    CHECK_EQ_INT(pl_udp_send(allowed, "yes", 3, &to), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(receiver, data, sizeof data, NULL), 3);
    CHECK_EQ_INT(pl_udp_set_broadcast(sender, 1), PL_OK);
    CHECK_EQ_INT(pl_udp_send(sender, "now", 3, &to), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(receiver, data, sizeof data, NULL), 3);
    CHECK_EQ_INT(pl_udp_set_broadcast(sender, 0), PL_OK);
    CHECK_EQ_INT(pl_udp_send(sender, "no", 2, &to), PL_EACCES);
    pl_udp_close(receiver);
    pl_udp_close(sender);
    pl_udp_close(allowed);
}

/* Wine has another word for it. */
static int not_a_member(void)
{
    return on_wine() ? PL_EINVAL : PL_EADDRNOTAVAIL;
}

/* What is sent to the group comes while it is a member, and not after. A plain datagram behind it shows that. */
static void check_group(pl_udp *member, pl_udp *sender, const pl_address *group, const pl_address *plain,
                        const pl_multicast_options *options)
{
    char data[16];
    CHECK_EQ_INT(pl_udp_send(sender, "early", 5, group), PL_OK);
    CHECK_EQ_INT(pl_udp_join(member, group, options), PL_OK);
    CHECK_EQ_INT(pl_udp_send(sender, "group", 5, group), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(member, data, sizeof data, NULL), 5);
    CHECK_MEM(data, "group", 5);
    CHECK_EQ_INT(pl_udp_leave(member, group, options), PL_OK);
    CHECK_EQ_INT(pl_udp_send(sender, "late", 4, group), PL_OK);
    CHECK_EQ_INT(pl_udp_send(sender, "plain", 5, plain), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(member, data, sizeof data, NULL), 5);
    CHECK_MEM(data, "plain", 5);
}

TASK_CASE(a_member_of_an_ipv4_group_gets_what_is_sent_to_it)
{
    pl_udp_options sharing = {.size = sizeof sharing, .reuse_address = 1, .destination = 1};
    pl_address here = address_of("127.0.0.1", 0), at, group, plain;
    pl_address source = here, stranger = address_of("127.0.0.9", 0);
    pl_multicast_options options = {.size = sizeof options, .interface_address = &here};
    pl_udp *member = open_with("0.0.0.0", &sharing, &at);
    pl_udp *sender = open_with("127.0.0.1", NULL, NULL);
    REQUIRE(member && sender);
    group = address_of("239.255.43.21", at.port);
    plain = address_of("127.0.0.1", at.port);
    CHECK_EQ_INT(pl_udp_set_multicast_interface(sender, 0, &here), PL_OK);
    CHECK_EQ_INT(pl_udp_set_multicast_loopback(sender, 1), PL_OK);
    CHECK_EQ_INT(pl_udp_set_multicast_loopback(member, 1), PL_OK);
    CHECK_EQ_INT(pl_udp_set_multicast_hops(sender, 0), PL_OK);
    check_group(member, sender, &group, &plain, &options);
    options.source = &source;
    check_group(member, sender, &group, &plain, &options);
    if (on_wine()) { /* which lets the others through */
        pl_udp_close(member);
        pl_udp_close(sender);
        return;
    }
    options.source = &stranger; /* a member, but not of what this sender sends */
    CHECK_EQ_INT(pl_udp_join(member, &group, &options), PL_OK);
    CHECK_EQ_INT(pl_udp_send(sender, "group", 5, &group), PL_OK);
    CHECK_EQ_INT(pl_udp_send(sender, "plain", 5, &plain), PL_OK);
    {
        char data[16];
        CHECK_EQ_INT(pl_udp_receive(member, data, sizeof data, NULL), 5);
        CHECK_MEM(data, "plain", 5);
    }
    CHECK_EQ_INT(pl_udp_leave(member, &group, &options), PL_OK);
    CHECK(pl_udp_leave(member, &group, &options) < 0); /* it is no member any more */
    options.source = NULL;
    CHECK_EQ_INT(pl_udp_leave(member, &group, &options), not_a_member());
    CHECK_EQ_INT(pl_udp_join(member, &group, &options), PL_OK);
    CHECK_EQ_INT(pl_udp_join(member, &group, &options), PL_EADDRINUSE);
    pl_udp_close(member); /* leaves by closing */
    pl_udp_close(sender);
}

/* The index of the loopback interface, from what a datagram tells. */
static uint32_t loopback_index(const char *ip)
{
    char data[4];
    pl_udp_options options = {.size = sizeof options, .destination = 1};
    pl_datagram_info info = {.interface_index = 0};
    pl_address at;
    pl_udp *udp = open_with(ip, &options, &at);
    CHECK_EQ_INT(pl_udp_send(udp, "x", 1, &at), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(udp, data, sizeof data, &info), 1);
    pl_udp_close(udp);
    return info.interface_index;
}

TASK_CASE(an_interface_is_chosen_by_its_index_too)
{
    pl_udp_options sharing = {.size = sizeof sharing, .reuse_address = 1};
    uint32_t index = loopback_index("127.0.0.1");
    pl_address at, group, plain, source = address_of("127.0.0.1", 0);
    pl_multicast_options options = {.size = sizeof options, .interface_index = index};
    pl_udp *member, *sender;
    if (on_wine()) {
        skip_case("Wine takes no index for an IPv4 interface");
        return;
    }
    member = open_with("0.0.0.0", &sharing, &at);
    sender = open_with("127.0.0.1", NULL, NULL);
    REQUIRE(member && sender);
    group = address_of("239.255.43.22", at.port);
    plain = address_of("127.0.0.1", at.port);
    CHECK_EQ_INT(pl_udp_set_multicast_interface(sender, index, NULL), PL_OK);
    check_group(member, sender, &group, &plain, &options);
    options.source = &source;
    check_group(member, sender, &group, &plain, &options);
    options.interface_index = 123456;
    CHECK(pl_udp_join(member, &group, &options) < 0);
    CHECK(pl_udp_set_multicast_interface(sender, 123456, NULL) < 0);
    pl_udp_close(member);
    pl_udp_close(sender);
}

TASK_CASE(a_member_of_an_ipv6_group_gets_what_is_sent_to_it)
{
    pl_udp_options options = {.size = sizeof options, .reuse_address = 1, .ipv6_only = 1};
    pl_multicast_options by = {.size = sizeof by};
    pl_address at, group, plain;
    pl_udp *member, *sender;
    if (!has_ipv6())
        return;
    by.interface_index = loopback_index("::1");
    member = open_with("::", &options, &at);
    sender = open_with("::1", &options, NULL);
    REQUIRE(member && sender);
    group = address_of("ff01::4321", at.port);
    plain = address_of("::1", at.port);
    CHECK_EQ_INT(pl_udp_set_multicast_interface(sender, by.interface_index, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_set_multicast_loopback(sender, 1), PL_OK);
    CHECK_EQ_INT(pl_udp_set_multicast_loopback(member, 1), PL_OK);
    CHECK_EQ_INT(pl_udp_set_multicast_hops(sender, 1), PL_OK);
    if (pl_udp_send(sender, "x", 1, &group) == PL_ENETUNREACH) {
        CHECK_EQ_INT(pl_udp_join(member, &group, &by), PL_OK);
        CHECK_EQ_INT(pl_udp_join(member, &group, &by), PL_EADDRINUSE);
        CHECK_EQ_INT(pl_udp_leave(member, &group, &by), PL_OK);
        CHECK_EQ_INT(pl_udp_leave(member, &group, &by), not_a_member());
        pl_udp_close(member);
        pl_udp_close(sender);
        skip_case("no route for IPv6 multicast here: joined and left, nothing sent");
        return;
    }
    check_group(member, sender, &group, &plain, &by);
    by.interface_index = 0;
    group.scope = loopback_index("::1"); /* the zone of the group says it, too */
    check_group(member, sender, &group, &plain, &by);
    pl_udp_close(member);
    pl_udp_close(sender);
}

TASK_CASE(settings_are_taken_and_what_makes_no_sense_is_refused)
{
    pl_udp *udp = open_here(NULL);
    pl_udp *six = NULL;
    pl_address here = address_of("127.0.0.1", 0), group = address_of("239.1.2.3", 0), six_group = address_of("ff01::1", 0);
    pl_multicast_options options = {.size = sizeof options, .interface_index = 1, .interface_address = &here};
    pl_multicast_options unsized = {.size = 0};
    CHECK_EQ_INT(pl_udp_set_hops(udp, 1), PL_OK);
    CHECK_EQ_INT(pl_udp_set_hops(udp, 255), PL_OK);
    CHECK_EQ_INT(pl_udp_set_hops(udp, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_set_hops(udp, 256), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_set_multicast_hops(udp, 255), PL_OK);
    CHECK_EQ_INT(pl_udp_set_multicast_hops(udp, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_set_multicast_hops(udp, 256), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_set_multicast_interface(udp, 0, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_set_multicast_interface(udp, 1, &here), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_set_multicast_interface(udp, 0, &six_group), PL_EAFNOSUPPORT);
    CHECK_EQ_INT(pl_udp_set_buffers(udp, 65536, 131072), PL_OK);
    CHECK_EQ_INT(pl_udp_set_buffers(udp, 0, 0), PL_OK);
    CHECK_EQ_INT(pl_udp_set_buffers(udp, SIZE_MAX, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_join(udp, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_join(udp, &here, NULL), PL_EINVAL); /* no group */
    CHECK_EQ_INT(pl_udp_join(udp, &group, &options), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_join(udp, &group, &unsized), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_join(udp, &six_group, NULL), PL_EAFNOSUPPORT);
    options.interface_index = 0;
    CHECK_EQ_INT(pl_udp_join(udp, &six_group, &options), PL_EINVAL); /* by address: of IPv4 only */
    options.source = &six_group;
    CHECK_EQ_INT(pl_udp_join(udp, &group, &options), PL_EAFNOSUPPORT);
    options.source = NULL;
    options.interface_address = &six_group;
    CHECK_EQ_INT(pl_udp_join(udp, &group, &options), PL_EAFNOSUPPORT);
    CHECK_EQ_INT(pl_udp_leave(udp, &group, NULL), not_a_member());
    if (pl_udp_open(&six, NULL, NULL) == PL_OK) {
        pl_address where;
        CHECK_EQ_INT(pl_udp_address(six, &where), PL_OK);
        CHECK_EQ_INT(pl_udp_set_hops(six, 7), PL_OK);
        if (where.family == PL_IPV6) {
            CHECK_EQ_INT(pl_udp_join(six, &group, NULL), PL_EAFNOSUPPORT); /* wants a socket of IPv4 */
            CHECK_EQ_INT(pl_udp_set_multicast_interface(six, 0, &here), PL_EINVAL);
        }
    }
    pl_udp_close(six);
    pl_udp_close(udp);
}

/* --- Misuse --- */

TASK_CASE(bad_arguments_are_refused_and_change_nothing)
{
    static char large[PL_DATAGRAM_MAX + 1];
    const pl_udp_options unsized = {.size = 0};
    const pl_address none = {0};
    pl_address six = address_of("::1", 9), no_port = address_of("127.0.0.1", 0);
    char data[4];
    pl_room rooms[PL_DATAGRAM_BUFFERS_MAX + 1] = {{NULL, 0}};
    pl_buffer buffers[PL_DATAGRAM_BUFFERS_MAX + 1] = {{NULL, 0}};
    pl_datagram datagram = {.data = NULL};
    pl_udp *out = NULL;
    pl_op op = {0};
    pair p;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    CHECK_EQ_INT(pl_udp_open(NULL, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_open(&out, &none, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_open(&out, NULL, &unsized), PL_EINVAL);
    CHECK(out == NULL);
    CHECK_EQ_INT(pl_udp_connect(NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_connect(p.a, &none), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_connect(p.a, &no_port), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_connect(p.a, &six), PL_EAFNOSUPPORT);
    CHECK_EQ_INT(pl_udp_address(p.a, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_peer_address(p.a, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_receive_start(NULL, p.a, data, 4, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_receive_start(&op, NULL, data, 4, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.a, NULL, 4, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.a, data, 0, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_receive_buffers_start(&op, p.a, NULL, 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_receive_buffers_start(&op, p.a, rooms, 0, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_receive_buffers_start(&op, p.a, rooms, 2, NULL), PL_EINVAL); /* no room */
    CHECK_EQ_INT(pl_udp_receive_many_start(&op, p.a, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_receive_many_start(&op, p.a, &datagram, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_receive_many_start(&op, p.a, &datagram, 1), PL_EINVAL);
    datagram.data = data;
    CHECK_EQ_INT(pl_udp_receive_many_start(&op, p.a, &datagram, 1), PL_EINVAL); /* no room */
    rooms[0] = (pl_room){data, 4};
    CHECK_EQ_INT(pl_udp_receive_buffers_start(&op, p.a, rooms, PL_DATAGRAM_BUFFERS_MAX + 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_start(NULL, p.a, data, 4, &p.at_b), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_start(&op, NULL, data, 4, &p.at_b), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_start(&op, p.a, NULL, 4, &p.at_b), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_start(&op, p.a, data, 4, NULL), PL_ENOTCONN);
    CHECK_EQ_INT(pl_udp_send_start(&op, p.a, data, 4, &no_port), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_start(&op, p.a, data, 4, &six), PL_EAFNOSUPPORT);
    CHECK_EQ_INT(pl_udp_send_start(&op, p.a, large, sizeof large, &p.at_b), PL_EMSGSIZE);
    CHECK_EQ_INT(pl_udp_send_buffers_start(&op, p.a, NULL, 1, &p.at_b), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_buffers_start(&op, p.a, buffers, 0, &p.at_b), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_buffers_start(&op, p.a, buffers, PL_DATAGRAM_BUFFERS_MAX + 1, &p.at_b), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_buffers_start(&op, p.a, buffers, 1, NULL), PL_ENOTCONN);
    buffers[0] = (pl_buffer){NULL, 1};
    CHECK_EQ_INT(pl_udp_send_buffers_start(&op, p.a, buffers, 1, &p.at_b), PL_EINVAL);
    buffers[0] = (pl_buffer){large, PL_DATAGRAM_MAX};
    buffers[1] = (pl_buffer){large, 1};
    CHECK_EQ_INT(pl_udp_send_buffers_start(&op, p.a, buffers, 2, &p.at_b), PL_EMSGSIZE);
    buffers[1] = (pl_buffer){large, SIZE_MAX};
    CHECK_EQ_INT(pl_udp_send_buffers_start(&op, p.a, buffers, 2, &p.at_b), PL_EMSGSIZE);
    CHECK_EQ_INT(pl_udp_send_many_start(&op, p.a, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_many_start(&op, p.a, &datagram, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_udp_send_many_start(&op, p.a, &datagram, 1), PL_ENOTCONN);
    datagram.size = PL_DATAGRAM_MAX + 1;
    CHECK_EQ_INT(pl_udp_send_many_start(&op, p.a, &datagram, 1), PL_EMSGSIZE);
    datagram.data = NULL;
    CHECK_EQ_INT(pl_udp_send_many_start(&op, p.a, &datagram, 1), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_result(&op), PL_ESTATE);
    CHECK_EQ_INT(pl_udp_send(p.b, "x", 1, &p.at_a), PL_OK); /* both still work */
    CHECK_EQ_INT(pl_udp_receive(p.a, data, sizeof data, NULL), 1);
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.a, data, 4, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.a, data, 4, NULL), PL_EBUSY);
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    pl_udp_close(NULL);
    close_pair(&p);
}

TEST_CASE(a_socket_needs_a_loop_and_task_calls_a_task)
{
    pl_udp *udp = NULL;
    char data[4];
    (void)t;
    CHECK_EQ_INT(pl_udp_open(&udp, NULL, NULL), PL_ENOLOOP);
    CHECK(udp == NULL);
    CHECK(pl_udp_receive(udp, data, sizeof data, NULL) < 0);
    CHECK(pl_udp_send(udp, data, sizeof data, NULL) < 0);
    CHECK(pl_udp_receive_many(udp, NULL, 1) < 0);
}

static void look_for_datagrams(void)
{
    pl_udp *udp = NULL;
    CHECK_EQ_INT(pl_udp_open(&udp, NULL, NULL), PL_ENOTSUP);
    CHECK(udp == NULL);
}

TEST_CASE(the_simulation_says_that_it_has_no_datagrams)
{
    test_context simulated = {.backend = "sim"};
    (void)t;
    loopback_run(&simulated, look_for_datagrams, NULL);
}

/* --- Cancelling --- */

static int64_t receive_once(void *arg)
{
    pl_udp *udp = arg;
    uint32_t number;
    int64_t rc = pl_udp_receive(udp, &number, sizeof number, NULL);
    return rc < 0 ? rc : (int64_t)number;
}

TASK_CASE(a_receive_cancelled_before_it_starts_takes_nothing)
{
    uint32_t number = 5;
    pl_task *task = NULL;
    pl_timeout limit = {0};
    pair p;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    CHECK_EQ_INT(pl_udp_send(p.a, &number, sizeof number, &p.at_b), PL_OK);
    CHECK_EQ_INT(pl_spawn(&task, receive_once, p.b, NULL), PL_OK);
    pl_task_cancel(task);
    CHECK_EQ_INT(pl_task_await(task), PL_ECANCELED);
    pl_task_unref(task);
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, receive_once(p.b)), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_udp_send(p.a, &number, sizeof number, &p.at_b)), PL_ETIMEDOUT);
    CHECK_EQ_INT(receive_once(p.b), 5);
    CHECK_EQ_INT(pl_udp_send(p.a, "last", 4, &p.at_b), PL_OK);
    CHECK(receive_once(p.b) != 5); /* the send that was cancelled before it began sent nothing */
    close_pair(&p);
}

TASK_CASE(a_receive_cancelled_while_it_waits_takes_nothing)
{
    uint32_t number = 6;
    char data[4];
    pl_op op = {0};
    pl_timeout limit = {0};
    pair p;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.b, data, sizeof data, NULL), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(2)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, receive_once(p.b)), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_udp_send(p.a, &number, sizeof number, &p.at_b), PL_OK);
    CHECK_EQ_INT(receive_once(p.b), 6);
    close_pair(&p);
}

/* A receive as a task, which notes itself how it ended: a cancel that it did not see becomes its result. */
typedef struct late_receive {
    pl_udp *udp;
    int64_t result;
} late_receive;

static int64_t receive_late(void *arg)
{
    late_receive *late = arg;
    late->result = receive_once(late->udp);
    return 0;
}

/* The datagram is in the system's hands, or in the operation, or with its waiter, when the cancel comes: it is received
 * once, by that receive or by the next. */
TASK_CASE(a_cancel_that_comes_late_loses_no_datagram)
{
    enum { ROUNDS = 300 };
    dice d = dice_of(5);
    pair p;
    uint32_t i;
    int taken = 0, cancelled = 0;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    for (i = 0; i < ROUNDS; i++) {
        uint64_t before = throw_below(&d, 4), after = i < 10 ? 0 : throw_below(&d, 5);
        late_receive late = {p.b, PL_ECANCELED};
        pl_task *task = NULL;
        int64_t rc;
        CHECK_EQ_INT(pl_spawn(&task, receive_late, &late, NULL), PL_OK);
        while (before-- > 0)
            pl_yield();
        CHECK_EQ_INT(pl_udp_send(p.a, &i, sizeof i, &p.at_b), PL_OK);
        while (after-- > 0)
            pl_yield();
        pl_task_cancel(task);
        rc = pl_task_await(task);
        CHECK(rc == PL_OK || rc == PL_ECANCELED);
        rc = late.result;
        if (rc == PL_ECANCELED) {
            cancelled++;
            rc = receive_once(p.b);
        } else {
            taken++;
        }
        CHECK_EQ_INT(rc, i);
        pl_task_unref(task);
    }
    CHECK(taken > 0 && cancelled > 0);
    close_pair(&p);
}

TASK_CASE(a_time_limit_that_ends_at_any_moment_loses_no_datagram)
{
    enum { ROUNDS = 200 };
    dice d = dice_of(6);
    pair p;
    uint32_t i, next = 0;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    for (i = 0; i < ROUNDS; i++) {
        pl_timeout limit = {0};
        int64_t rc;
        CHECK_EQ_INT(pl_udp_send(p.a, &i, sizeof i, &p.at_b), PL_OK);
        CHECK_EQ_INT(pl_timeout_begin(&limit, PL_US(throw_below(&d, 60))), PL_OK);
        rc = pl_timeout_end(&limit, receive_once(p.b));
        CHECK(rc == PL_ETIMEDOUT || rc == next);
        next += rc != PL_ETIMEDOUT;
        if (i + 1 - next > 50)
            CHECK_EQ_INT(receive_once(p.b), next++);
    }
    for (; next < ROUNDS; next++)
        CHECK_EQ_INT(receive_once(p.b), next);
    close_pair(&p);
}

TASK_CASE(receives_are_served_first_in_first_out_and_one_leaves_at_any_place)
{
    enum { WAITING = 5 };
    pl_op ops[WAITING];
    uint32_t numbers[WAITING] = {0};
    uint32_t i, sent = 0;
    pair p;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    memset(ops, 0, sizeof ops);
    for (i = 0; i < WAITING; i++)
        CHECK_EQ_INT(pl_udp_receive_start(&ops[i], p.b, &numbers[i], sizeof numbers[i], NULL), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&ops[2]), PL_OK);
    CHECK(!pl_op_is_pending(&ops[2])); /* it only waited for its turn */
    CHECK_EQ_INT(pl_op_await(&ops[2]), PL_ECANCELED);
    CHECK_EQ_INT(pl_op_cancel(&ops[0]), PL_OK);
    CHECK_EQ_INT(pl_op_await(&ops[0]), PL_ECANCELED);
    for (i = 1; i < WAITING; i++)
        if (i != 2)
            sent++, CHECK_EQ_INT(pl_udp_send(p.a, &i, sizeof i, &p.at_b), PL_OK);
    for (i = 1; i < WAITING; i++) {
        if (i == 2)
            continue;
        CHECK_EQ_INT(pl_op_await(&ops[i]), sizeof numbers[i]);
        CHECK_EQ_INT(numbers[i], i);
    }
    CHECK_EQ_INT(sent, 3);
    close_pair(&p);
}

/* --- Closing --- */

TASK_CASE(closing_ends_all_who_wait)
{
    char data[3][4];
    pl_op ops[3];
    pl_udp *udp, *held;
    pl_address at;
    int i;
    memset(ops, 0, sizeof ops);
    udp = open_here(&at);
    REQUIRE(udp != NULL);
    held = pl_udp_ref(udp);
    for (i = 0; i < 3; i++)
        CHECK_EQ_INT(pl_udp_receive_start(&ops[i], udp, data[i], 4, NULL), PL_OK);
    pl_udp_close(udp);
    for (i = 0; i < 3; i++)
        CHECK_EQ_INT(pl_op_await(&ops[i]), PL_ECLOSED);
    CHECK_EQ_INT(pl_udp_receive(held, data[0], 4, NULL), PL_ECLOSED);
    CHECK_EQ_INT(pl_udp_send(held, data[0], 4, &at), PL_ECLOSED);
    CHECK_EQ_INT(pl_udp_send_buffers(held, &(pl_buffer){data[0], 4}, 1, &at), PL_ECLOSED);
    CHECK_EQ_INT(pl_udp_connect(held, &at), PL_ECLOSED);
    CHECK_EQ_INT(pl_udp_address(held, &at), PL_ECLOSED);
    CHECK_EQ_INT(pl_udp_peer_address(held, &at), PL_ECLOSED);
    CHECK_EQ_INT(pl_udp_set_hops(held, 3), PL_ECLOSED);
    CHECK_EQ_INT(pl_udp_set_buffers(held, 1, 1), PL_ECLOSED);
    CHECK_EQ_INT(pl_udp_set_multicast_interface(held, 1, NULL), PL_ECLOSED);
    at = address_of("239.1.2.3", 0);
    CHECK_EQ_INT(pl_udp_join(held, &at, NULL), PL_ECLOSED);
    pl_udp_unref(held);
    pl_udp_unref(NULL);
    CHECK(pl_udp_ref(NULL) == NULL);
}

TASK_CASE(a_datagram_that_came_before_the_close_is_returned_or_the_close_is_told)
{
    char data[4];
    pl_op op = {0};
    pair p;
    int64_t rc;
    REQUIRE(open_pair(&p, "127.0.0.1"));
    CHECK_EQ_INT(pl_udp_receive_start(&op, p.b, data, sizeof data, NULL), PL_OK);
    CHECK_EQ_INT(pl_udp_send(p.a, "x", 1, &p.at_b), PL_OK);
    pl_udp_close(p.b);
    rc = pl_op_await(&op);
    CHECK(rc == 1 || rc == PL_ECLOSED);
    pl_udp_close(p.a);
}

static struct {
    pl_udp *udp;
    pl_op ops[2];
    char data[2][4];
} left;

static void leave_receives(void)
{
    int i;
    memset(&left, 0, sizeof left);
    left.udp = open_here(NULL);
    for (i = 0; i < 2; i++)
        CHECK_EQ_INT(pl_udp_receive_start(&left.ops[i], left.udp, left.data[i], 4, NULL), PL_OK);
}

TEST_CASE(the_end_of_the_loop_closes_what_is_open)
{
    int i;
    loopback_run(t, leave_receives, NULL);
    for (i = 0; i < 2; i++) {
        CHECK(!pl_op_is_pending(&left.ops[i]));
        CHECK_EQ_INT(pl_op_result(&left.ops[i]), PL_ECLOSED);
    }
    CHECK_EQ_INT(pl_udp_set_hops(left.udp, 3), PL_ECLOSED);
    pl_udp_close(left.udp);
}

/* --- Memory --- */

static allocation scarce;

static void open_when_memory_is_scarce(void)
{
    pl_udp *udp = NULL;
    char data[4];
    pl_address at;
    int64_t calls;
    scarce.fail_at = scarce.calls + 1;
    CHECK_EQ_INT(pl_udp_open(&udp, NULL, NULL), PL_ENOMEM);
    CHECK(udp == NULL);
    CHECK_EQ_INT(scarce.failed, 1);
    scarce.fail_at = 0;
    udp = open_here(&at);
    REQUIRE(udp != NULL);
    calls = scarce.calls;
    CHECK_EQ_INT(pl_udp_send(udp, "x", 1, &at), PL_OK);
    CHECK_EQ_INT(pl_udp_receive(udp, data, sizeof data, NULL), 1);
    CHECK_EQ_INT(scarce.calls, calls); /* datagrams need no memory */
    pl_udp_close(udp);
}

TEST_CASE(without_memory_nothing_is_opened_and_datagrams_need_none)
{
    REQUIRE_EQ_INT(allocation_begin(&scarce), PL_OK);
    loopback_run(t, open_when_memory_is_scarce, NULL);
    allocation_end(&scarce);
}

TEST_SUITE(udp, TEST_BACKENDS_REAL,
           CASE(an_echo_is_exact_at_every_size_over_ipv4),
           CASE(an_echo_is_exact_at_every_size_over_ipv6),
           CASE(datagrams_come_in_order_and_none_is_lost),
           CASE(an_empty_datagram_is_a_datagram),
           CASE(a_datagram_larger_than_the_room_is_cut_which_is_told_and_no_error),
           CASE(several_buffers_are_one_datagram_both_ways),
           CASE(many_are_sent_and_received_by_one_call_each_and_go_back_as_they_are),
           CASE(a_receive_of_many_waits_for_one_only),
           CASE(a_connected_socket_needs_no_address_and_hears_its_peer_only),
           CASE(a_socket_changes_its_peer_and_loses_it_but_keeps_its_port),
           CASE(an_unconnected_socket_never_hears_that_nobody_listened),
           CASE(a_connected_sockets_receive_is_told_that_nobody_listened_and_receiving_goes_on),
           CASE(a_socket_of_both_families_shows_ipv4_addresses_as_such),
           CASE(a_socket_of_ipv6_only_leaves_the_port_to_ipv4),
           CASE(the_destination_is_told_to_who_asks_for_it),
           CASE(without_that_option_there_is_no_destination),
           CASE(a_port_is_ones_own_unless_both_share_it),
           CASE(an_address_that_is_not_ours_is_refused),
           CASE(a_broadcast_goes_out_if_it_is_allowed),
           CASE(a_member_of_an_ipv4_group_gets_what_is_sent_to_it),
           CASE(an_interface_is_chosen_by_its_index_too),
           CASE(a_member_of_an_ipv6_group_gets_what_is_sent_to_it),
           CASE(settings_are_taken_and_what_makes_no_sense_is_refused),
           CASE(bad_arguments_are_refused_and_change_nothing),
           CASE(a_socket_needs_a_loop_and_task_calls_a_task),
           CASE(the_simulation_says_that_it_has_no_datagrams),
           CASE(a_receive_cancelled_before_it_starts_takes_nothing),
           CASE(a_receive_cancelled_while_it_waits_takes_nothing),
           CASE(a_cancel_that_comes_late_loses_no_datagram),
           CASE(a_time_limit_that_ends_at_any_moment_loses_no_datagram),
           CASE(receives_are_served_first_in_first_out_and_one_leaves_at_any_place),
           CASE(closing_ends_all_who_wait),
           CASE(a_datagram_that_came_before_the_close_is_returned_or_the_close_is_told),
           CASE(the_end_of_the_loop_closes_what_is_open),
           CASE(without_memory_nothing_is_opened_and_datagrams_need_none))
