/* Connecting to the first of several addresses that answers, as RFC 8305 has it: exactly when what happens. On the simulated
 * network hosts and name servers take the time they are given, and its clock runs only where a program waits; but for the
 * microsecond that each look at the system takes there. */
#include <proloop/proloop.h>

#include <string.h>

#include "attempts.h"
#include "harness.h"
#include "loopback.h"
#include "sim/simulation.h"

/* A moment of the simulation, in milliseconds: late by what the looks at the system take, and by no more. */
static bool is_moment(pl_duration time, int milliseconds)
{
    return CHECK(time >= PL_MS(milliseconds)) & CHECK(time < PL_MS(milliseconds) + PL_US(100));
}

static const pl__simulated_host hosts[] = {
    {"192.0.2.1", PL_SECONDS(21), PL_ECONNTIMEDOUT},
    {"192.0.2.2", PL_SECONDS(21), PL_ECONNTIMEDOUT},
    {"192.0.2.3", PL_SECONDS(21), PL_ECONNTIMEDOUT},
    {"192.0.2.4", PL_MS(100), PL_EHOSTUNREACH},
    {"2001:db8::1", PL_SECONDS(21), PL_ECONNTIMEDOUT},
    {"2001:db8::2", PL_MS(1), PL_ENETUNREACH},
    {"127.0.0.5", PL_MS(15), PL_OK},
    {"127.0.0.6", PL_MS(5), PL_OK},
    {"127.0.0.7", PL_MS(400), PL_OK},
};

/* Of a loop of the simulation, whatever the backends of this system. */
#define SIM_CASE(name)                                                                                                 \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        test_context sim = *t;                                                                                         \
        sim.backend = "sim";                                                                                           \
        pl__simulation_set_hosts(hosts, sizeof hosts / sizeof hosts[0]);                                               \
        loopback_run(&sim, name##_body, NULL);                                                                         \
        pl__simulation_set_hosts(NULL, 0);                                                                             \
        pl__simulation_set_names(NULL, 0);                                                                             \
    }                                                                                                                  \
    static void name##_body(void)

static bool listen_everywhere(pl_listener **listener, uint16_t *port)
{
    pl_address address = {0};
    if (!CHECK_EQ_INT(pl_tcp_listen(listener, "0.0.0.0", 0, NULL), PL_OK))
        return false;
    CHECK_EQ_INT(pl_listener_address(*listener, &address), PL_OK);
    *port = address.port;
    return true;
}

/* --- Exactly when ------------------------------------------------------------------------------------------------- */

SIM_CASE(an_address_that_does_not_answer_is_joined_by_the_next_after_a_quarter_of_a_second)
{
    pl_connect_options options = reporting();
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address addresses[3];
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    addresses[0] = at("192.0.2.1", port);
    addresses[1] = at("2001:db8::1", port);
    addresses[2] = at("127.0.0.1", port);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 3, &options), PL_OK);
    CHECK_EQ_INT(report.count, 3);
    is_moment(told[0].begun, 0);
    is_moment(told[1].begun, 250);
    is_moment(told[2].begun, 500);
    CHECK_EQ_INT(told[0].result, PL_ECANCELED);
    CHECK_EQ_INT(told[1].result, PL_ECANCELED);
    CHECK_EQ_INT(told[2].result, PL_OK);
    take_connection(listener, client);
}

static void check_delay(pl_duration asked, int milliseconds)
{
    pl_connect_options options = reporting();
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address addresses[2];
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    addresses[0] = at("192.0.2.1", port);
    addresses[1] = at("127.0.0.1", port);
    options.attempt_delay = asked;
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 2, &options), PL_OK);
    is_moment(told[1].begun, milliseconds);
    take_connection(listener, client);
}

SIM_CASE(the_delay_between_attempts_is_kept_between_ten_milliseconds_and_two_seconds)
{
    check_delay(PL_MS(100), 100);
    check_delay(PL_NS(1), 10);
    check_delay(PL_MS(10), 10);
    check_delay(PL_SECONDS(2), 2000);
    check_delay(PL_SECONDS(60), 2000);
    check_delay(PL_FOREVER, 21000); /* one after another: the first one has to end */
}

SIM_CASE(with_a_local_port_the_attempts_are_made_one_after_another)
{
    pl_connect_options options = reporting();
    pl_address local = at("127.0.0.1", 39999), addresses[2];
    pl_stream *client = NULL;
    pl_listener *listener;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    options.local = &local;
    addresses[0] = at("192.0.2.1", port);
    addresses[1] = at("127.0.0.1", port);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 2, &options), PL_OK);
    is_moment(told[1].begun, 21000);
    take_connection(listener, client);
}

SIM_CASE(an_attempt_that_fails_is_followed_at_once_and_the_delay_begins_anew)
{
    pl_connect_options options = reporting();
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address addresses[4];
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    addresses[0] = at("2001:db8::2", port); /* fails after 1 ms */
    addresses[1] = at("192.0.2.4", port);   /* after 100 ms */
    addresses[2] = at("192.0.2.1", port);   /* says nothing */
    addresses[3] = at("127.0.0.1", port);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 4, &options), PL_OK);
    is_moment(told[1].begun, 1);
    is_moment(told[2].begun, 101);
    is_moment(told[3].begun, 351);
    CHECK_EQ_INT(told[0].result, PL_ENETUNREACH);
    CHECK_EQ_INT(told[1].result, PL_EHOSTUNREACH);
    take_connection(listener, client);
}

/* An older attempt's failure, too, is a reason to try one more. */
SIM_CASE(any_attempt_that_fails_brings_the_next_forward)
{
    pl_connect_options options = reporting();
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address addresses[3];
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    options.attempt_delay = PL_MS(80);
    addresses[0] = at("192.0.2.4", port); /* fails after 100 ms */
    addresses[1] = at("192.0.2.1", port);
    addresses[2] = at("127.0.0.1", port);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 3, &options), PL_OK);
    is_moment(told[1].begun, 80);
    is_moment(told[2].begun, 100);
    take_connection(listener, client);
}

/* Two connections stand in the same look at the system. The one that was begun first is taken; the server sees the end of
 * the other, which was never given to anybody. */
SIM_CASE(of_two_that_connect_at_the_same_time_one_is_taken_and_the_other_closed)
{
    pl_connect_options options = reporting();
    pl_listener *listener;
    pl_stream *client = NULL, *first = NULL, *second = NULL;
    pl_address addresses[2], mine = {0}, peer = {0};
    pl_stream *server, *orphan;
    uint16_t port;
    REQUIRE(listen_everywhere(&listener, &port));
    options.attempt_delay = PL_MS(10);
    addresses[0] = at("127.0.0.5", port); /* stands 15 ms after the call */
    addresses[1] = at("127.0.0.6", port); /* so does this */
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 2, &options), PL_OK);
    CHECK_EQ_INT(report.count, 2);
    CHECK_EQ_INT(pl_accept(listener, &first), PL_OK);
    if (pl_accept(listener, &second) != PL_OK) {
        pl_stream_close(client);
        pl_stream_close(first);
        pl_listener_close(listener);
        return;
    }
    CHECK_EQ_INT(pl_stream_local_address(client, &mine), PL_OK);
    CHECK_EQ_INT(pl_stream_peer_address(first, &peer), PL_OK);
    server = mine.port == peer.port ? first : second;
    orphan = server == first ? second : first;
    CHECK(is_reset(read_to_end(orphan)));
    CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(first);
    pl_stream_close(second);
    pl_listener_close(listener);
}

SIM_CASE(an_earlier_address_that_answers_after_all_is_taken)
{
    pl_connect_options options = reporting();
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address addresses[2];
    uint16_t port;
    REQUIRE(listen_everywhere(&listener, &port));
    addresses[0] = at("127.0.0.7", port); /* after 400 ms */
    addresses[1] = at("192.0.2.1", port);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 2, &options), PL_OK);
    CHECK_EQ_INT(report.count, 2);
    CHECK_EQ_INT(told[0].result, PL_OK);
    CHECK_EQ_INT(told[1].result, PL_ECANCELED);
    take_connection(listener, client);
}

SIM_CASE(when_all_fail_the_error_is_the_first_that_says_more_than_no_way)
{
    pl_connect_options options = reporting();
    pl_stream *client = NULL;
    pl_address addresses[3];
    uint16_t port = silent_port();
    addresses[0] = at("2001:db8::2", port); /* unreachable network */
    addresses[1] = at("192.0.2.4", port);   /* unreachable host */
    addresses[2] = at("127.0.0.1", port);   /* refused */
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 3, &options), PL_EHOSTUNREACH);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 1, &options), PL_ENETUNREACH);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses + 2, 1, &options), PL_ECONNREFUSED);
    addresses[1] = at("192.0.2.1", port);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses + 1, 2, &options), PL_ECONNTIMEDOUT);
    CHECK(client == NULL);
}

static void check_order(int first_family_count, const char *expected)
{
    static const char *const texts[] = {"::1", "::1", "::1", "127.0.0.1", "127.0.0.2", "127.0.0.3"};
    pl_connect_options options = reporting();
    pl_stream *client = NULL;
    pl_address addresses[6];
    char order[ATTEMPTS + 1] = "";
    uint16_t port = silent_port();
    size_t i;
    for (i = 0; i < 6; i++) {
        addresses[i] = at(texts[i], port);
        if (i < 3)
            addresses[i].scope = (uint32_t)i; /* to tell them apart */
    }
    options.first_family_count = first_family_count;
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 6, &options), PL_ECONNREFUSED);
    CHECK_EQ_INT(report.count, 6);
    for (i = 0; i < report.count; i++)
        order[i] = told[i].address.family == PL_IPV6 ? '6' : '4';
    CHECK_STR(order, expected);
}

SIM_CASE(the_families_take_turns_after_so_many_of_the_first)
{
    check_order(0, "666444");
    check_order(1, "646464");
    check_order(2, "664644");
    check_order(9, "666444");
}

/* --- Ended early -------------------------------------------------------------------------------------------------- */

SIM_CASE(a_limit_ends_all_attempts)
{
    pl_connect_options options = reporting();
    pl_timeout limit = {0};
    pl_stream *client = NULL;
    pl_address addresses[4];
    int64_t began;
    addresses[0] = at("192.0.2.1", 80);
    addresses[1] = at("192.0.2.2", 80);
    addresses[2] = at("2001:db8::1", 80);
    addresses[3] = at("192.0.2.3", 80);
    began = pl_loop_time(pl_loop_running());
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(600)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_tcp_connect_any(&client, addresses, 4, &options)), PL_ETIMEDOUT);
    CHECK(pl_loop_time(pl_loop_running()) - began < PL_MS(601));
    CHECK_EQ_INT(report.count, 3);
    CHECK_EQ_INT(told[0].result, PL_ECANCELED);
    CHECK_EQ_INT(told[1].result, PL_ECANCELED);
    CHECK_EQ_INT(told[2].result, PL_ECANCELED);
    CHECK(client == NULL);
}

static struct {
    pl_listener *listener;
    uint16_t port;
    int64_t result;
    pl_stream *stream;
    int accepted;
} scene;

static int64_t connect_in_task(void *arg)
{
    pl_connect_options options = {.size = sizeof options, .attempt_delay = PL_MS(10)};
    pl_address addresses[3];
    (void)arg;
    addresses[0] = at("192.0.2.1", scene.port);
    addresses[1] = at("127.0.0.5", scene.port);
    addresses[2] = at("127.0.0.6", scene.port);
    scene.stream = NULL;
    scene.result = pl_tcp_connect_any(&scene.stream, addresses, 3, &options);
    CHECK((scene.result == PL_OK) == (scene.stream != NULL));
    pl_stream_abort(scene.stream);
    scene.stream = NULL;
    return scene.result;
}

static int64_t accept_all(void *arg)
{
    pl_stream *stream = NULL;
    (void)arg;
    while (pl_accept(scene.listener, &stream) == PL_OK) {
        scene.accepted++;
        CHECK(is_reset(read_to_end(stream)));
        pl_stream_close(stream);
    }
    pl_listener_unref(scene.listener);
    return 0;
}

/* Attempts begin at 0, 10 and 20 ms, and two stand at 25 ms. At whatever moment the cancel comes, the call ends once,
 * and whatever had connected is closed: the server would wait for ever for the end of one that was not. */
SIM_CASE(cancelled_at_any_moment_it_leaves_nothing_open)
{
    pl_group servers = {0};
    int won = 0, cancelled = 0;
    int64_t step;
    REQUIRE(listen_everywhere(&scene.listener, &scene.port));
    scene.accepted = 0;
    CHECK_EQ_INT(pl_group_begin(&servers, 0), PL_OK);
    (void)pl_listener_ref(scene.listener);
    CHECK_EQ_INT(pl_group_spawn(&servers, accept_all, NULL, NULL), PL_OK);
    for (step = 0; step < 140; step++) {
        pl_task *task = NULL;
        int64_t rc;
        CHECK_EQ_INT(pl_spawn(&task, connect_in_task, NULL, NULL), PL_OK);
        if (step < 100)
            (void)pl_sleep(PL_US(260 * step));
        else
            (void)pl_sleep(PL_MS(25) + PL_US(step - 110));
        pl_task_cancel(task);
        rc = pl_task_await(task);
        CHECK(rc == PL_OK || rc == PL_ECANCELED);
        won += rc == PL_OK;
        cancelled += rc == PL_ECANCELED;
        pl_task_unref(task);
    }
    CHECK(won > 0 && cancelled > 0 && scene.accepted >= won);
    pl_listener_close(scene.listener);
    CHECK_EQ_INT(pl_group_end(&servers, 0), 0);
}

static int64_t stay_connecting(void *arg)
{
    pl_address addresses[2];
    pl_stream *stream = NULL;
    (void)arg;
    addresses[0] = at("192.0.2.1", 80);
    addresses[1] = at("192.0.2.2", 80);
    CHECK_EQ_INT(pl_tcp_connect_any(&stream, addresses, 2, NULL), PL_ECANCELED);
    CHECK(stream == NULL);
    return 0;
}

/* The main task ends, and the loop closes while the other has two attempts under way. */
SIM_CASE(the_loops_close_ends_all_attempts)
{
    CHECK_EQ_INT(pl_spawn(NULL, stay_connecting, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(300)), PL_OK);
}

/* --- By name ------------------------------------------------------------------------------------------------------ */

static const char *const both_texts[] = {"2001:db8::1", "127.0.0.1"};
static const char *const four_text[] = {"127.0.0.1"};
static const char *const six_text[] = {"2001:db8::1"};
static const char *const four_then_six[] = {"192.0.2.1", "192.0.2.2", "2001:db8::1"};

#define SET_NAMES(...)                                                                                                 \
    static const pl__simulated_name names[] = {__VA_ARGS__};                                                           \
    pl__simulation_set_names(names, sizeof names / sizeof names[0])

static void connect_by_name(pl_connect_options *options)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_tcp_connect(&client, "host.test", port, options), PL_OK);
    take_connection(listener, client);
}

SIM_CASE(the_order_of_the_system_is_kept_and_the_families_take_turns)
{
    pl_connect_options options = reporting();
    pl_stream *client = NULL;
    SET_NAMES({"host.test", 0, PL_MS(20), PL_OK, four_then_six, 3});
    CHECK_EQ_INT(pl_tcp_connect(&client, "host.test", 80, &options), PL_ECONNTIMEDOUT);
    CHECK_EQ_INT(report.count, 3);
    is_moment(told[0].begun, 20);
    is_moment(told[1].begun, 270);
    is_moment(told[2].begun, 520);
    CHECK_EQ_INT(told[0].address.ip[3], 1);
    CHECK_EQ_INT(told[1].address.family, PL_IPV6);
    CHECK_EQ_INT(told[2].address.ip[3], 2);
    CHECK_EQ_INT(told[0].address.port, 80);
}

/* A look-up that is answered soon is the only one: the others would find nothing here, and fail. */
SIM_CASE(an_answer_within_the_resolution_delay_is_the_only_one_asked_for)
{
    pl_connect_options options = reporting();
    SET_NAMES({"host.test", 0, PL_MS(49), PL_OK, both_texts, 2}, {"host.test", PL_IPV6, PL_MS(1), PL_OK, six_text, 1});
    connect_by_name(&options);
    is_moment(told[0].begun, 49);
    is_moment(told[1].begun, 299);
}

/* The name server is silent about IPv6, so that the look-up of both takes long. */
SIM_CASE(ipv4_waits_a_while_for_ipv6_and_goes_ahead)
{
    pl_connect_options options = reporting();
    SET_NAMES({"host.test", 0, PL_SECONDS(10), PL_OK, both_texts, 2},
              {"host.test", PL_IPV6, PL_SECONDS(10), PL_ENAMEAGAIN, NULL, 0},
              {"host.test", PL_IPV4, PL_MS(30), PL_OK, four_text, 1});
    connect_by_name(&options);
    CHECK_EQ_INT(report.count, 1);
    CHECK_EQ_INT(told[0].address.family, PL_IPV4);
    is_moment(told[0].begun, 50 + 30 + 50); /* asked for, answered, IPv6 not waited for any longer */
}

SIM_CASE(ipv6_that_comes_within_the_resolution_delay_goes_first)
{
    pl_connect_options options = reporting();
    SET_NAMES({"host.test", 0, PL_SECONDS(10), PL_OK, both_texts, 2},
              {"host.test", PL_IPV6, PL_MS(70), PL_OK, six_text, 1},
              {"host.test", PL_IPV4, PL_MS(30), PL_OK, four_text, 1});
    connect_by_name(&options);
    CHECK_EQ_INT(report.count, 2);
    CHECK_EQ_INT(told[0].address.family, PL_IPV6);
    is_moment(told[0].begun, 50 + 70);
    is_moment(told[1].begun, 50 + 70 + 250);
}

SIM_CASE(ipv6_that_comes_first_does_not_wait)
{
    pl_connect_options options = reporting();
    SET_NAMES({"host.test", 0, PL_SECONDS(10), PL_OK, both_texts, 2},
              {"host.test", PL_IPV6, PL_MS(30), PL_OK, six_text, 1},
              {"host.test", PL_IPV4, PL_MS(100), PL_OK, four_text, 1});
    connect_by_name(&options);
    CHECK_EQ_INT(told[0].address.family, PL_IPV6);
    is_moment(told[0].begun, 50 + 30);
    is_moment(told[1].begun, 50 + 30 + 250);
}

SIM_CASE(ipv6_that_fails_is_not_waited_for)
{
    pl_connect_options options = reporting();
    SET_NAMES({"host.test", 0, PL_SECONDS(10), PL_OK, both_texts, 2},
              {"host.test", PL_IPV6, PL_MS(40), PL_ENODATA, NULL, 0},
              {"host.test", PL_IPV4, PL_MS(30), PL_OK, four_text, 1});
    connect_by_name(&options);
    CHECK_EQ_INT(told[0].address.family, PL_IPV4);
    is_moment(told[0].begun, 50 + 40);
}

/* IPv4 is tried, and does not answer; then IPv6 is heard of, and tried in its turn. */
SIM_CASE(addresses_that_come_late_are_tried_in_their_turn)
{
    static const char *const silent_four[] = {"192.0.2.1", "192.0.2.2"};
    static const char *const late_six[] = {"::1"};
    pl_connect_options options = reporting();
    pl_listener *listener = NULL;
    pl_stream *client = NULL;
    pl_address address = {0};
    SET_NAMES({"host.test", 0, PL_SECONDS(10), PL_OK, both_texts, 2},
              {"host.test", PL_IPV6, PL_MS(200), PL_OK, late_six, 1},
              {"host.test", PL_IPV4, PL_MS(10), PL_OK, silent_four, 2});
    REQUIRE_EQ_INT(pl_tcp_listen(&listener, "::1", 0, NULL), PL_OK);
    CHECK_EQ_INT(pl_listener_address(listener, &address), PL_OK);
    CHECK_EQ_INT(pl_tcp_connect(&client, "host.test", address.port, &options), PL_OK);
    CHECK_EQ_INT(report.count, 2);
    is_moment(told[0].begun, 50 + 10 + 50);
    CHECK_EQ_INT(told[1].address.family, PL_IPV6);
    is_moment(told[1].begun, 50 + 10 + 50 + 250);
    take_connection(listener, client);
}

SIM_CASE(late_ipv4_takes_its_turn_before_more_of_ipv6)
{
    static const char *const silent_six[] = {"2001:db8::1", "2001:db8::3"};
    pl_connect_options options = reporting();
    SET_NAMES({"host.test", 0, PL_SECONDS(10), PL_OK, both_texts, 2},
              {"host.test", PL_IPV6, PL_MS(10), PL_OK, silent_six, 2},
              {"host.test", PL_IPV4, PL_MS(200), PL_OK, four_text, 1});
    connect_by_name(&options);
    CHECK_EQ_INT(report.count, 2);
    is_moment(told[0].begun, 50 + 10);
    CHECK_EQ_INT(told[1].address.family, PL_IPV4);
    is_moment(told[1].begun, 50 + 10 + 250);
}

SIM_CASE(the_answer_for_both_counts_before_the_others)
{
    static const char *const in_hosts_file[] = {"127.0.0.1"};
    static const char *const elsewhere[] = {"192.0.2.1"};
    pl_connect_options options = reporting();
    SET_NAMES({"host.test", 0, PL_MS(100), PL_OK, in_hosts_file, 1},
              {"host.test", PL_IPV6, PL_SECONDS(10), PL_OK, six_text, 1},
              {"host.test", PL_IPV4, PL_MS(30), PL_OK, elsewhere, 1});
    connect_by_name(&options);
    CHECK_EQ_INT(report.count, 1);
    CHECK_EQ_INT(told[0].address.ip[0], 127);
    is_moment(told[0].begun, 100);
}

SIM_CASE(one_family_is_asked_for_alone)
{
    pl_connect_options options = reporting();
    SET_NAMES({"host.test", PL_IPV4, PL_MS(500), PL_OK, four_text, 1});
    options.family = PL_IPV4;
    connect_by_name(&options);
    is_moment(told[0].begun, 500);
}

SIM_CASE(one_after_another_asks_once)
{
    pl_connect_options options = reporting();
    SET_NAMES({"host.test", 0, PL_MS(500), PL_OK, both_texts, 2});
    options.attempt_delay = PL_FOREVER;
    connect_by_name(&options);
    is_moment(told[0].begun, 500);
    is_moment(told[1].begun, 21500);
}

SIM_CASE(a_name_that_is_not_known_is_told)
{
    pl_connect_options options = reporting();
    pl_stream *client = NULL;
    SET_NAMES({"again.test", 0, PL_MS(100), PL_ENAMEAGAIN, NULL, 0});
    CHECK_EQ_INT(pl_tcp_connect(&client, "other.test", 80, &options), PL_ENAME);
    CHECK_EQ_INT(pl_tcp_connect(&client, "again.test", 80, &options), PL_ENAMEAGAIN);
    CHECK_EQ_INT(report.count, 0);
    CHECK(client == NULL);
}

/* First one question is open, then three, then the attempts are under way beside two. */
SIM_CASE(a_limit_ends_the_questions_too)
{
    int limit;
    SET_NAMES({"host.test", 0, PL_SECONDS(10), PL_OK, both_texts, 2},
              {"host.test", PL_IPV6, PL_SECONDS(10), PL_OK, six_text, 1},
              {"host.test", PL_IPV4, PL_MS(30), PL_OK, four_then_six, 2});
    for (limit = 1; limit < 700; limit += 31) {
        pl_connect_options options = reporting();
        pl_timeout timeout = {0};
        pl_stream *client = NULL;
        CHECK_EQ_INT(pl_timeout_begin(&timeout, PL_MS(limit)), PL_OK);
        CHECK_EQ_INT(pl_timeout_end(&timeout, pl_tcp_connect(&client, "host.test", 80, &options)), PL_ETIMEDOUT);
        CHECK(client == NULL);
        CHECK_EQ_INT(report.count, limit < 130 ? 0 : limit < 380 ? 1 : 2);
    }
}

TEST_SUITE(happy_eyeballs, TEST_BACKENDS_NONE,
           CASE(an_address_that_does_not_answer_is_joined_by_the_next_after_a_quarter_of_a_second),
           CASE(the_delay_between_attempts_is_kept_between_ten_milliseconds_and_two_seconds),
           CASE(with_a_local_port_the_attempts_are_made_one_after_another),
           CASE(an_attempt_that_fails_is_followed_at_once_and_the_delay_begins_anew),
           CASE(any_attempt_that_fails_brings_the_next_forward),
           CASE(of_two_that_connect_at_the_same_time_one_is_taken_and_the_other_closed),
           CASE(an_earlier_address_that_answers_after_all_is_taken),
           CASE(when_all_fail_the_error_is_the_first_that_says_more_than_no_way),
           CASE(the_families_take_turns_after_so_many_of_the_first), CASE(a_limit_ends_all_attempts),
           CASE(cancelled_at_any_moment_it_leaves_nothing_open), CASE(the_loops_close_ends_all_attempts),
           CASE(the_order_of_the_system_is_kept_and_the_families_take_turns),
           CASE(an_answer_within_the_resolution_delay_is_the_only_one_asked_for),
           CASE(ipv4_waits_a_while_for_ipv6_and_goes_ahead),
           CASE(ipv6_that_comes_within_the_resolution_delay_goes_first), CASE(ipv6_that_comes_first_does_not_wait),
           CASE(ipv6_that_fails_is_not_waited_for), CASE(addresses_that_come_late_are_tried_in_their_turn),
           CASE(late_ipv4_takes_its_turn_before_more_of_ipv6), CASE(the_answer_for_both_counts_before_the_others),
           CASE(one_family_is_asked_for_alone), CASE(one_after_another_asks_once),
           CASE(a_name_that_is_not_known_is_told), CASE(a_limit_ends_the_questions_too))
