/* Connecting to the first of several addresses that answers, on every network. Exactly when what happens is told by
 * happy_eyeballs_test.c. */
#include <proloop/proloop.h>

#include <string.h>

#include "allocation.h"
#include "attempts.h"
#include "harness.h"
#include "loopback.h"
#include "silence.h"

TASK_CASE(an_address_that_refuses_is_followed_by_the_next)
{
    pl_connect_options options = reporting();
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address addresses[2];
    uint16_t port, silent = silent_port();
    REQUIRE(listen_here(&listener, &port));
    addresses[0] = at("127.0.0.1", silent);
    addresses[1] = at("127.0.0.1", port);
    options.attempt_delay = PL_FOREVER;
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 2, &options), PL_OK);
    CHECK_EQ_INT(report.count, 2);
    CHECK_MEM(&told[0].address, &addresses[0], sizeof addresses[0]);
    CHECK_EQ_INT(told[0].result, PL_ECONNREFUSED);
    CHECK(told[0].system_error != 0 || on_backend("sim"));
    CHECK_MEM(&told[1].address, &addresses[1], sizeof addresses[1]);
    CHECK_EQ_INT(told[1].result, PL_OK);
    CHECK_EQ_INT(told[1].system_error, 0);
    CHECK(told[0].begun >= 0 && told[1].begun >= told[0].begun);
    take_connection(listener, client);
}

TASK_CASE(the_first_address_that_answers_is_the_last_that_is_tried)
{
    pl_connect_options options = reporting();
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address addresses[2];
    uint16_t port, silent = silent_port();
    REQUIRE(listen_here(&listener, &port));
    addresses[0] = at("127.0.0.1", port);
    addresses[1] = at("127.0.0.1", silent);
    options.attempt_delay = PL_FOREVER;
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 2, &options), PL_OK);
    CHECK_EQ_INT(report.count, 1);
    take_connection(listener, client);
}

TASK_CASE(an_address_given_twice_is_tried_once)
{
    pl_connect_options options = reporting();
    pl_address addresses[3];
    pl_stream *client = NULL;
    addresses[0] = addresses[1] = addresses[2] = at("127.0.0.1", silent_port());
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 3, &options), PL_ECONNREFUSED);
    CHECK_EQ_INT(report.count, 1);
    CHECK(client == NULL);
}

TASK_CASE(a_report_without_room_counts_all)
{
    pl_connect_options options = reporting();
    pl_address addresses[3];
    pl_stream *client = NULL;
    uint16_t port = silent_port();
    addresses[0] = at("127.0.0.1", port);
    addresses[1] = at("127.0.0.2", port);
    addresses[2] = at("127.0.0.3", port);
    report.capacity = 1;
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 3, &options), PL_ECONNREFUSED);
    CHECK_EQ_INT(report.count, 3);
    CHECK_EQ_INT(told[0].result, PL_ECONNREFUSED);
    CHECK_EQ_INT(told[1].address.family, 0);
}

TASK_CASE(a_family_that_is_not_wanted_is_passed_over)
{
    pl_connect_options options = reporting();
    pl_stream *client = NULL;
    pl_address addresses[2];
    uint16_t port = silent_port();
    addresses[0] = at("::1", port);
    addresses[1] = at("127.0.0.1", port);
    options.family = PL_IPV4;
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 2, &options), PL_ECONNREFUSED);
    CHECK_EQ_INT(report.count, 1);
    CHECK_EQ_INT(told[0].address.family, PL_IPV4);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 1, &options), PL_EADDRNOTAVAIL);
    CHECK_EQ_INT(report.count, 0);
    CHECK_EQ_INT(pl_tcp_connect(&client, "::1", port, &options), PL_EADDRNOTAVAIL);
    CHECK(client == NULL);
}

TASK_CASE(a_local_address_passes_over_the_other_family)
{
    pl_connect_options options = reporting();
    pl_address local = at("127.0.0.1", 0), seen = {0}, addresses[2];
    pl_listener *listener;
    pl_stream *client = NULL;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    options.local = &local;
    addresses[0] = at("::1", port);
    addresses[1] = at("127.0.0.1", port);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 2, &options), PL_OK);
    CHECK_EQ_INT(report.count, 1);
    if (client) {
        CHECK_EQ_INT(pl_stream_local_address(client, &seen), PL_OK);
        CHECK_MEM(seen.ip, local.ip, 4);
    }
    take_connection(listener, client);
}

TASK_CASE(bad_arguments_are_refused_and_change_nothing)
{
    pl_connect_options options = reporting();
    pl_address address = at("127.0.0.1", 1), none = {0};
    pl_stream *stream = NULL;
    CHECK_EQ_INT(pl_tcp_connect_any(NULL, &address, 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect_any(&stream, NULL, 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect_any(&stream, &address, 0, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_tcp_connect_any(&stream, &none, 1, NULL), PL_EINVAL);
    options.attempt_delay = -1;
    CHECK_EQ_INT(pl_tcp_connect_any(&stream, &address, 1, &options), PL_EINVAL);
    options = reporting();
    options.resolution_delay = -1;
    CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", 1, &options), PL_EINVAL);
    options = reporting();
    options.first_family_count = -1;
    CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", 1, &options), PL_EINVAL);
    options = reporting();
    options.family = 5;
    CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", 1, &options), PL_EINVAL);
    options = reporting();
    options.local = &none;
    CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", 1, &options), PL_EINVAL);
    options = reporting();
    report.attempts = NULL;
    CHECK_EQ_INT(pl_tcp_connect(&stream, "127.0.0.1", 1, &options), PL_EINVAL);
    options = reporting();
    options.size--;
    CHECK_EQ_INT(pl_tcp_connect_any(&stream, &address, 1, &options), PL_EINVAL);
    CHECK_EQ_INT(report.count, 77);
    CHECK(stream == NULL);
}

TEST_CASE(connecting_to_several_needs_a_task)
{
    pl_address address = {.family = PL_IPV4};
    pl_stream *stream = NULL;
    int64_t rc = pl_tcp_connect_any(&stream, &address, 1, NULL);
    (void)t;
    CHECK(rc == PL_ENOTASK || rc == PL_ENOLOOP);
    CHECK(stream == NULL);
}

static allocation connect_memory;

static void connect_with_failing_memory(void)
{
    pl_connect_options options = reporting();
    pl_address addresses[2];
    uint16_t port = silent_port();
    int fail_at;
    addresses[0] = at("127.0.0.1", port);
    addresses[1] = at("127.0.0.2", port);
    for (fail_at = 1; fail_at < 20; fail_at++) {
        pl_stream *stream = NULL;
        int64_t rc;
        connect_memory.calls = 0;
        connect_memory.fail_at = fail_at;
        rc = pl_tcp_connect_any(&stream, addresses, 2, &options);
        connect_memory.fail_at = 0;
        CHECK(stream == NULL);
        CHECK(rc == PL_ENOMEM || rc == PL_ENOBUFS || rc == PL_ECONNREFUSED);
        if (connect_memory.calls < fail_at)
            break;
        CHECK(report.count < 2 || told[0].result < 0);
    }
    CHECK(fail_at > 2 && fail_at < 20);
}

TEST_CASE(each_allocation_may_fail_and_nothing_stays_open)
{
    REQUIRE_EQ_INT(allocation_begin(&connect_memory), PL_OK);
    loopback_run(t, connect_with_failing_memory, NULL);
    allocation_end(&connect_memory);
}

/* --- Beside a listener that does not answer ------------------------------------------------------------------------ */

static bool skip_without_silence(uint16_t *port)
{
    bool there = !on_backend("sim") && silence_begin(port);
    if (!there) {
        skip_case(on_backend("sim") ? "happy_eyeballs has silent hosts of the simulation"
                                    : "a listener with too many connections answers here");
        silence_end();
    }
    return !there;
}

TASK_CASE(one_that_does_not_answer_is_left_for_one_that_does)
{
    pl_connect_options options = reporting();
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_address addresses[2];
    uint16_t port, silent = 0;
    if (skip_without_silence(&silent))
        return;
    REQUIRE(listen_here(&listener, &port));
    options.attempt_delay = PL_MS(10);
    addresses[0] = at("127.0.0.1", silent);
    addresses[1] = at("127.0.0.1", port);
    CHECK_EQ_INT(pl_tcp_connect_any(&client, addresses, 2, &options), PL_OK);
    CHECK_EQ_INT(report.count, 2);
    CHECK_EQ_INT(told[0].result, PL_ECANCELED);
    CHECK_EQ_INT(told[1].result, PL_OK);
    CHECK(told[1].begun - told[0].begun >= PL_MS(10));
    take_connection(listener, client);
    silence_end();
}

/* Nothing is open afterwards: the harness counts. */
TASK_CASE(a_limit_ends_attempts_that_are_not_answered)
{
    pl_connect_options options = reporting();
    pl_timeout limit = {0};
    pl_stream *client = NULL;
    pl_address addresses[2];
    uint16_t silent = 0;
    if (skip_without_silence(&silent))
        return;
    options.attempt_delay = PL_MS(10);
    addresses[0] = at("127.0.0.1", silent);
    addresses[1] = at("0.0.0.0", silent); /* the same one */
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(60)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_tcp_connect_any(&client, addresses, 2, &options)), PL_ETIMEDOUT);
    CHECK(report.count >= 1);
    CHECK_EQ_INT(told[0].result, PL_ECANCELED);
    CHECK(client == NULL);
    silence_end();
}

static int64_t connect_to_silence(void *arg)
{
    pl_stream *stream = NULL;
    CHECK_EQ_INT(pl_tcp_connect_any(&stream, arg, 1, NULL), PL_ECANCELED);
    CHECK(stream == NULL);
    return 0;
}

static pl_address silent_address;

static void leave_a_connect(void)
{
    uint16_t silent = 0;
    if (skip_without_silence(&silent))
        return;
    silent_address = at("127.0.0.1", silent);
    CHECK_EQ_INT(pl_spawn(NULL, connect_to_silence, &silent_address, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
}

TEST_CASE(the_loops_close_ends_an_attempt_that_is_not_answered)
{
    loopback_run(t, leave_a_connect, NULL);
    silence_end();
}

TEST_SUITE(connect, TEST_BACKENDS_ALL, CASE(an_address_that_refuses_is_followed_by_the_next),
           CASE(the_first_address_that_answers_is_the_last_that_is_tried), CASE(an_address_given_twice_is_tried_once),
           CASE(a_report_without_room_counts_all), CASE(a_family_that_is_not_wanted_is_passed_over),
           CASE(a_local_address_passes_over_the_other_family), CASE(bad_arguments_are_refused_and_change_nothing),
           CASE(connecting_to_several_needs_a_task), CASE(each_allocation_may_fail_and_nothing_stays_open),
           CASE(one_that_does_not_answer_is_left_for_one_that_does), CASE(a_limit_ends_attempts_that_are_not_answered),
           CASE(the_loops_close_ends_an_attempt_that_is_not_answered))
