/* Lasting watchers of foreign sockets, and a client that knows of proloop nothing but them. */
#include <proloop/proloop.h>

#include <string.h>

#include "allocation.h"
#include "fixture.h"
#include "foreign.h"
#include "harness.h"
#include "loopback.h"

enum { NO_SOCKET = 0x7ffffff0 };

typedef struct watched {
    pl_poller poller;
    pl_poller other;
    pl_socket pair[2];
    pl_future *future; /* done when `wanted` calls have come */
    int calls;
    int wanted;
    int events; /* of the last call */
    int other_calls;
    int then;      /* what the callback does, in the call with this number */
    int change_to; /* its new events; -1: it stops; -2: it stops and starts anew */
} watched;

static void poll_called(pl_poller *poller, int events, void *arg)
{
    watched *w = arg;
    CHECK(poller == &w->poller);
    w->events = events;
    w->calls++;
    if (w->calls == w->then && w->change_to >= 0) {
        CHECK_EQ_INT(pl_poller_change(poller, w->change_to), PL_OK);
    } else if (w->calls == w->then) {
        CHECK_EQ_INT(pl_poller_stop(poller), 1);
        CHECK_EQ_INT(pl_poller_stop(poller), 0);
        if (w->change_to == -2)
            CHECK_EQ_INT(pl_poller_start(poller, NULL, w->pair[0], PL_POLL_READABLE, poll_called, w), PL_OK);
    }
    if (w->calls == w->wanted)
        CHECK_EQ_INT(pl_future_set_result(w->future, 0), PL_OK);
}

static void other_called(pl_poller *poller, int events, void *arg)
{
    watched *w = arg;
    CHECK(poller == &w->other);
    CHECK(events > 0);
    w->other_calls++;
}

static bool open_watched(watched *w)
{
    memset(w, 0, sizeof *w);
    return foreign_pair(w->pair);
}

static void close_watched(watched *w)
{
    (void)pl_poller_stop(&w->poller);
    (void)pl_poller_stop(&w->other);
    foreign_close(w->pair[0]);
    foreign_close(w->pair[1]);
}

/* Until so many calls in all have come. */
static void await_calls(watched *w, int count)
{
    if (w->calls >= count)
        return;
    w->wanted = count;
    REQUIRE_EQ_INT(pl_future_create(&w->future, NULL), PL_OK);
    CHECK_EQ_INT(pl_await(w->future), 0);
    pl_future_unref(w->future);
}

static void start(watched *w, int events)
{
    CHECK_EQ_INT(pl_poller_start(&w->poller, NULL, w->pair[0], events, poll_called, w), PL_OK);
}

static void send_byte(const watched *w)
{
    CHECK_EQ_INT(foreign_send(w->pair[1], "x", 1), 1);
}

static void take_byte(const watched *w)
{
    char byte;
    CHECK_EQ_INT(foreign_receive(w->pair[0], &byte, 1), 1);
}

/* Whatever came before this has been through the loop after it. */
static void settle(void)
{
    watched w;
    REQUIRE(open_watched(&w));
    start(&w, PL_POLL_READABLE);
    for (int i = 1; i <= 2; i++) {
        send_byte(&w);
        await_calls(&w, w.calls + 1);
        take_byte(&w);
    }
    close_watched(&w);
}

TASK_CASE(what_nobody_takes_is_told_again)
{
    watched w;
    REQUIRE(open_watched(&w));
    start(&w, PL_POLL_READABLE);
    settle();
    CHECK_EQ_INT(w.calls, 0);
    send_byte(&w);
    await_calls(&w, 5);
    CHECK_EQ_INT(w.events, PL_POLL_READABLE);
    take_byte(&w);
    settle(); /* one that was on its way */
    {
        int calls = w.calls;
        settle();
        CHECK_EQ_INT(w.calls, calls);
    }
    send_byte(&w);
    await_calls(&w, w.calls + 1);
    close_watched(&w);
}

TASK_CASE(once_is_one_call_until_a_change)
{
    watched w;
    REQUIRE(open_watched(&w));
    start(&w, PL_POLL_READABLE | PL_POLL_ONCE);
    send_byte(&w);
    await_calls(&w, 1);
    settle();
    CHECK_EQ_INT(w.calls, 1);
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_READABLE | PL_POLL_ONCE), PL_OK);
    await_calls(&w, 2);
    settle();
    CHECK_EQ_INT(w.calls, 2);
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_READABLE), PL_OK);
    await_calls(&w, 6);
    close_watched(&w);
}

TASK_CASE(other_events_are_watched_after_a_change)
{
    watched w;
    REQUIRE(open_watched(&w));
    start(&w, PL_POLL_READABLE);
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_WRITABLE), PL_OK);
    await_calls(&w, 1);
    CHECK_EQ_INT(w.events, PL_POLL_WRITABLE);
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_READABLE), PL_OK);
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_WRITABLE), PL_OK);
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_READABLE), PL_OK);
    w.calls = 0;
    settle();
    CHECK_EQ_INT(w.calls, 0);
    send_byte(&w);
    await_calls(&w, 1);
    CHECK_EQ_INT(w.events, PL_POLL_READABLE);
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_READABLE | PL_POLL_WRITABLE), PL_OK);
    w.calls = 0;
    await_calls(&w, 1);
    CHECK_EQ_INT(w.events, PL_POLL_READABLE | PL_POLL_WRITABLE);
    CHECK_EQ_INT(pl_poller_change(&w.poller, 0), PL_OK);
    w.calls = 0;
    settle();
    CHECK_EQ_INT(w.calls, 0);
    close_watched(&w);
}

TASK_CASE(without_events_nothing_is_told)
{
    watched w;
    REQUIRE(open_watched(&w));
    send_byte(&w);
    start(&w, 0);
    settle();
    CHECK_EQ_INT(w.calls, 0);
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_READABLE), PL_OK);
    await_calls(&w, 1);
    close_watched(&w);
}

/* Its function's call is in the ready queue when it stops. */
TASK_CASE(after_a_stop_no_call_comes)
{
    watched w;
    REQUIRE(open_watched(&w));
    send_byte(&w);
    start(&w, PL_POLL_READABLE);
    CHECK_EQ_INT(pl_poller_stop(&w.poller), 1);
    settle();
    CHECK_EQ_INT(w.calls, 0);
    start(&w, PL_POLL_READABLE);
    await_calls(&w, 1);
    CHECK_EQ_INT(pl_poller_stop(&w.poller), 1);
    settle();
    CHECK_EQ_INT(w.calls, 1);
    CHECK_EQ_INT(pl_poller_stop(&w.poller), 0);
    close_watched(&w);
}

TASK_CASE(the_socket_may_be_closed_right_after_the_stop)
{
    for (int i = 0; i < 10; i++) {
        watched w;
        char byte;
        REQUIRE(open_watched(&w));
        start(&w, PL_POLL_READABLE);
        if (i % 2 == 0)
            settle();
        CHECK_EQ_INT(pl_poller_stop(&w.poller), 1);
        foreign_close(w.pair[0]);
        CHECK_EQ_INT(pl_poll_fd(w.pair[1], PL_POLL_READABLE, NULL), PL_OK); /* so the connection has ended */
        CHECK(foreign_receive(w.pair[1], &byte, 1) <= 0);
        foreign_close(w.pair[1]);
    }
}

TASK_CASE(it_is_changed_in_its_own_call)
{
    watched w;
    REQUIRE(open_watched(&w));
    w.then = 3;
    w.change_to = PL_POLL_READABLE;
    start(&w, PL_POLL_WRITABLE);
    await_calls(&w, 3);
    settle();
    CHECK_EQ_INT(w.calls, 3);
    send_byte(&w);
    await_calls(&w, 4);
    CHECK_EQ_INT(w.events, PL_POLL_READABLE);
    close_watched(&w);
}

TASK_CASE(it_is_stopped_in_its_own_call)
{
    watched w;
    REQUIRE(open_watched(&w));
    w.then = 2;
    w.change_to = -1;
    start(&w, PL_POLL_WRITABLE);
    await_calls(&w, 2);
    settle();
    CHECK_EQ_INT(w.calls, 2);
    close_watched(&w);
}

TASK_CASE(it_is_started_anew_in_its_own_call)
{
    watched w;
    REQUIRE(open_watched(&w));
    w.then = 2;
    w.change_to = -2;
    start(&w, PL_POLL_WRITABLE);
    await_calls(&w, 2);
    settle();
    CHECK_EQ_INT(w.calls, 2);
    send_byte(&w);
    await_calls(&w, 3);
    CHECK_EQ_INT(w.events, PL_POLL_READABLE);
    close_watched(&w);
}

TASK_CASE(two_watch_the_same_socket)
{
    watched w;
    REQUIRE(open_watched(&w));
    start(&w, PL_POLL_READABLE);
    CHECK_EQ_INT(pl_poller_start(&w.other, NULL, w.pair[0], PL_POLL_WRITABLE, other_called, &w), PL_OK);
    settle();
    CHECK_EQ_INT(w.calls, 0);
    CHECK(w.other_calls > 0);
    send_byte(&w);
    await_calls(&w, 1);
    CHECK_EQ_INT(pl_poller_stop(&w.other), 1);
    w.other_calls = 0;
    await_calls(&w, 4);
    CHECK_EQ_INT(w.other_calls, 0);
    close_watched(&w);
}

TASK_CASE(the_peers_end_is_told)
{
    watched w;
    char byte;
    REQUIRE(open_watched(&w));
    start(&w, PL_POLL_READABLE | PL_POLL_HANGUP);
    foreign_end(w.pair[1]);
    await_calls(&w, 1);
    CHECK_EQ_INT(w.events, PL_POLL_READABLE | PL_POLL_HANGUP);
    CHECK_EQ_INT(foreign_receive(w.pair[0], &byte, 1), 0);
    close_watched(&w);
}

TASK_CASE(a_socket_closed_behind_it_does_no_harm)
{
    watched w, other;
    REQUIRE(open_watched(&w));
    start(&w, PL_POLL_READABLE);
    settle();
    foreign_close(w.pair[0]);
    REQUIRE(open_watched(&other));
    settle();
    CHECK(w.calls == 0 || w.events < 0 || (w.events & PL_POLL_READABLE));
    (void)pl_poller_stop(&w.poller);
    start(&other, PL_POLL_WRITABLE);
    await_calls(&other, 2);
    close_watched(&other);
    foreign_close(w.pair[1]);
}

TASK_CASE(a_poller_refuses_wrong_arguments)
{
    watched w;
    REQUIRE(open_watched(&w));
    CHECK_EQ_INT(pl_poller_start(NULL, NULL, w.pair[0], PL_POLL_READABLE, poll_called, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_poller_start(&w.poller, NULL, w.pair[0], PL_POLL_READABLE, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_poller_start(&w.poller, NULL, w.pair[0], 1024, poll_called, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_poller_start(&w.poller, NULL, NO_SOCKET, PL_POLL_READABLE, poll_called, NULL), PL_EBADF);
    CHECK_EQ_INT(pl_poller_change(NULL, PL_POLL_READABLE), PL_EINVAL);
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_READABLE), PL_ESTATE);
    CHECK_EQ_INT(pl_poller_stop(NULL), 0);
    CHECK_EQ_INT(pl_poller_stop(&w.poller), 0);
    start(&w, PL_POLL_READABLE);
    CHECK_EQ_INT(pl_poller_change(&w.poller, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_poller_start(&w.poller, NULL, w.pair[0], PL_POLL_READABLE, poll_called, NULL), PL_EBUSY);
    close_watched(&w);
}

TEST_CASE(without_a_loop_nothing_is_watched)
{
    pl_poller poller = {0};
    (void)t;
    CHECK_EQ_INT(pl_poller_start(&poller, NULL, 0, PL_POLL_READABLE, poll_called, NULL), PL_ENOLOOP);
}

TEST_CASE(closing_the_loop_stops_it)
{
    watched w;
    fixture f;
    REQUIRE(fixture_open(&f, t));
    REQUIRE(open_watched(&w));
    CHECK_EQ_INT(pl_poller_start(&w.poller, f.loop, w.pair[0], PL_POLL_READABLE, poll_called, &w), PL_OK);
    CHECK_EQ_INT(pl_poller_start(&w.other, f.loop, w.pair[0], PL_POLL_WRITABLE, other_called, &w), PL_OK);
    turn(&f, 3);
    fixture_close(&f);
    CHECK_EQ_INT(w.calls, 0);
    CHECK_EQ_INT(pl_poller_stop(&w.poller), 0);
    CHECK_EQ_INT(pl_poller_change(&w.other, 0), PL_ESTATE);
    close_watched(&w);
}

static const pl_context_variable colour = {"colour", NULL};

static void note_colour(pl_poller *poller, int events, void *arg)
{
    const char **seen = arg;
    (void)poller;
    (void)events;
    *seen = pl_context_get(&colour);
    CHECK_EQ_INT(pl_context_set(&colour, (void *)(uintptr_t) "changed", NULL, NULL), PL_OK);
}

TASK_CASE(all_calls_run_in_one_copy_of_the_context)
{
    watched w;
    const char *seen = NULL;
    REQUIRE(open_watched(&w));
    CHECK_EQ_INT(pl_context_set(&colour, (void *)(uintptr_t) "red", NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_poller_start(&w.poller, NULL, w.pair[0], PL_POLL_WRITABLE | PL_POLL_ONCE, note_colour, &seen),
                 PL_OK);
    CHECK_EQ_INT(pl_context_set(&colour, (void *)(uintptr_t) "blue", NULL, NULL), PL_OK);
    settle();
    CHECK_STR(seen, "red");
    CHECK_EQ_INT(pl_poller_change(&w.poller, PL_POLL_WRITABLE | PL_POLL_ONCE), PL_OK);
    settle();
    CHECK_STR(seen, "changed");
    CHECK_STR(pl_context_get(&colour), "blue");
    close_watched(&w);
}

TEST_CASE(without_memory_a_start_says_so)
{
    failing_allocation a;
    watched w;
    fixture f;
    int failures = 0, result;
    REQUIRE_EQ_INT(failing_allocation_begin(&a), PL_OK);
    REQUIRE(fixture_open(&f, t));
    REQUIRE(open_watched(&w));
    do {
        a.fail_at = a.calls + failures + 1;
        result = pl_poller_start(&w.poller, f.loop, w.pair[0], PL_POLL_READABLE, poll_called, &w);
        CHECK(result == PL_OK || result == PL_ENOMEM);
        failures += result == PL_ENOMEM;
    } while (result == PL_ENOMEM);
    a.fail_at = 0;
    CHECK(failures > 0);
    close_watched(&w);
    fixture_close(&f);
    t_restore_allocator();
}

/* --- A client that is not proloop's --------------------------------------------------------------------------------- */

/* Connects, sends its bytes, ends, and receives as many back: a state machine over non-blocking calls. */
enum { CLIENTS = 8, CLIENT_BYTES = 300000, PIECE = 8192 };

typedef struct client {
    pl_poller poller;
    pl_socket object;
    uint64_t place; /* where its bytes are in the pattern */
    int64_t sent;
    int64_t received;
    bool connected;
    bool ended;
    bool wrong;
    int *left;
    pl_future *all;
} client;

static void client_finish(client *c)
{
    CHECK_EQ_INT(pl_poller_stop(&c->poller), 1);
    foreign_close(c->object);
    if (--*c->left == 0)
        CHECK_EQ_INT(pl_future_set_result(c->all, 0), PL_OK);
}

static void client_send(client *c)
{
    static char piece[PIECE];
    while (c->sent < CLIENT_BYTES) {
        int64_t left = CLIENT_BYTES - c->sent;
        size_t size = left < PIECE ? (size_t)left : PIECE;
        pattern_fill(piece, size, c->place + (uint64_t)c->sent);
        int64_t count = foreign_send(c->object, piece, size);
        if (count < 0) {
            c->wrong |= count != FOREIGN_BLOCKS;
            return;
        }
        c->sent += count;
    }
    if (!c->ended)
        foreign_end(c->object);
    c->ended = true;
    CHECK_EQ_INT(pl_poller_change(&c->poller, PL_POLL_READABLE), PL_OK);
}

/* True: that was the end. */
static bool client_receive(client *c)
{
    static char piece[PIECE];
    int64_t count;
    while ((count = foreign_receive(c->object, piece, PIECE)) > 0) {
        c->wrong |= !pattern_holds(piece, (size_t)count, c->place + (uint64_t)c->received);
        c->received += count;
    }
    c->wrong |= count == -1;
    return count != FOREIGN_BLOCKS;
}

static void client_called(pl_poller *poller, int events, void *arg)
{
    client *c = arg;
    CHECK(events > 0);
    if (!c->connected) {
        c->wrong |= foreign_error(c->object) != 0;
        c->connected = true;
        CHECK_EQ_INT(pl_poller_change(poller, PL_POLL_READABLE | PL_POLL_WRITABLE), PL_OK);
        return;
    }
    if (!c->ended && (events & PL_POLL_WRITABLE))
        client_send(c);
    if ((events & PL_POLL_READABLE) && client_receive(c))
        client_finish(c);
}

static int64_t echo(void *arg)
{
    pl_stream *stream = arg;
    static char data[CLIENTS][PIECE];
    static int next;
    char *mine = data[next++ % CLIENTS];
    int64_t count;
    while ((count = pl_read(stream, mine, PIECE)) > 0)
        CHECK_EQ_INT(pl_write(stream, mine, (size_t)count), PL_OK);
    CHECK_EQ_INT(count, 0);
    pl_stream_close(stream);
    return 0;
}

TASK_CASE(foreign_clients_driven_by_pollers_move_every_byte)
{
    static client clients[CLIENTS];
    pl_listener *listener;
    uint16_t port;
    int left = CLIENTS;
    pl_future *all = NULL;
    memset(clients, 0, sizeof clients);
    REQUIRE(listen_here(&listener, &port));
    REQUIRE_EQ_INT(pl_future_create(&all, NULL), PL_OK);
    for (int i = 0; i < CLIENTS; i++) {
        client *c = &clients[i];
        pl_stream *stream = NULL;
        *c = (client){.object = foreign_connect(port), .place = (uint64_t)i * 1000, .left = &left, .all = all};
        if (i % 2 == 0)
            foreign_small_send_buffer(c->object);
        CHECK_EQ_INT(pl_poller_start(&c->poller, NULL, c->object, PL_POLL_WRITABLE, client_called, c), PL_OK);
        CHECK_EQ_INT(pl_accept(listener, &stream), PL_OK);
        CHECK_EQ_INT(pl_spawn(NULL, echo, stream, NULL), PL_OK);
    }
    CHECK_EQ_INT(pl_await(all), 0);
    for (int i = 0; i < CLIENTS; i++) {
        CHECK_EQ_INT(clients[i].sent, CLIENT_BYTES);
        CHECK_EQ_INT(clients[i].received, CLIENT_BYTES);
        CHECK(!clients[i].wrong);
    }
    pl_future_unref(all);
    pl_listener_close(listener);
}

TEST_SUITE(poller, TEST_BACKENDS_REAL, CASE(what_nobody_takes_is_told_again), CASE(once_is_one_call_until_a_change),
           CASE(other_events_are_watched_after_a_change), CASE(without_events_nothing_is_told),
           CASE(after_a_stop_no_call_comes), CASE(the_socket_may_be_closed_right_after_the_stop),
           CASE(it_is_changed_in_its_own_call), CASE(it_is_stopped_in_its_own_call),
           CASE(it_is_started_anew_in_its_own_call), CASE(two_watch_the_same_socket), CASE(the_peers_end_is_told),
           CASE(a_socket_closed_behind_it_does_no_harm), CASE(a_poller_refuses_wrong_arguments),
           CASE(without_a_loop_nothing_is_watched), CASE(closing_the_loop_stops_it),
           CASE(all_calls_run_in_one_copy_of_the_context), CASE(without_memory_a_start_says_so),
           CASE(foreign_clients_driven_by_pollers_move_every_byte))
