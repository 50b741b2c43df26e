/* Names whose look-up takes long, and names with several addresses. */
#include <proloop/proloop.h>

#include <string.h>

#include "harness.h"
#include "loopback.h"
#include "shims.h"

static void wait_until_held(int count)
{
    while (shims_held(SHIM_RESOLVE) < count && pl_sleep(PL_MS(1)) == PL_OK)
        ;
    CHECK(shims_held(SHIM_RESOLVE) >= count);
}

static void release_all(void)
{
    shims_release(SHIM_RESOLVE);
    while (shims_held(SHIM_RESOLVE) > 0)
        ;
}

#define SHIM_CASE(name)                                                                                                \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        shims_begin();                                                                                                 \
        loopback_run(t, name##_body, NULL);                                                                            \
        release_all();                                                                                                 \
        shims_end();                                                                                                   \
    }                                                                                                                  \
    static void name##_body(void)

SHIM_CASE(a_cancelled_resolution_is_abandoned_while_it_runs)
{
    pl_address found[4];
    pl_address before[4];
    pl_op op = {0};
    memset(found, 0x5a, sizeof found);
    memcpy(before, found, sizeof before);
    shims_hold(SHIM_RESOLVE);
    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 0, found, 4), PL_OK);
    wait_until_held(1);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK_EQ_INT(shims_held(SHIM_RESOLVE), 1);
    release_all();
    CHECK_EQ_INT(pl_sleep(PL_MS(2)), PL_OK);
    CHECK_MEM(found, before, sizeof before);
    CHECK(pl_resolve("localhost", 80, 0, found, 4) >= 1);
}

SHIM_CASE(a_connect_by_name_is_bounded_by_a_timeout_while_the_name_is_looked_up)
{
    pl_timeout limit = {0};
    pl_stream *stream = NULL;
    shims_hold(SHIM_RESOLVE);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(3)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_tcp_connect(&stream, "localhost", 80, NULL)), PL_ETIMEDOUT);
    CHECK(stream == NULL);
    CHECK(shims_held(SHIM_RESOLVE) <= 1);
}

/* Some wait for a worker: they are taken back, and never run. */
SHIM_CASE(cancelled_resolutions_that_wait_for_a_worker_never_run)
{
    enum { MANY = 200 };
    static pl_op ops[MANY];
    static pl_address found[MANY][1];
    int i;
    memset(ops, 0, sizeof ops);
    shims_set_resolve_at_once(true); /* else no worker waits, where the system's look-ups need none */
    shims_hold(SHIM_RESOLVE);
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(pl_resolve_start(&ops[i], "localhost", 80, 0, found[i], 1), PL_OK);
    wait_until_held(1);
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(pl_op_finish(&ops[i]), PL_ECANCELED);
    release_all();
    CHECK(pl_resolve("localhost", 80, 0, found[0], 1) >= 1);
    CHECK(shim_calls(SHIM_RESOLVE) < MANY / 2); /* one for each worker, and the last */
}

static pl_op left;
static pl_address left_found[4];

static void leave_a_resolution(void)
{
    memset(&left, 0, sizeof left);
    shims_hold(SHIM_RESOLVE);
    CHECK_EQ_INT(pl_resolve_start(&left, "localhost", 80, 0, left_found, 4), PL_OK);
    wait_until_held(1);
}

TEST_CASE(closing_the_loop_does_not_wait_for_a_resolution)
{
    shims_begin();
    loopback_run(t, leave_a_resolution, NULL);
    CHECK_EQ_INT(shims_held(SHIM_RESOLVE), 1);
    CHECK_EQ_INT(pl_op_result(&left), PL_ECANCELED);
    release_all();
    shims_end();
}

/* --- Several addresses --- */

static const char *const six_first[] = {"::1", "127.0.0.1"};
static const char *const four_first[] = {"127.0.0.1", "::1"};
static const char *const two_of_four[] = {"127.0.0.3", "127.0.0.2"};

SHIM_CASE(the_order_of_the_system_is_kept)
{
    pl_address found[4] = {{0}};
    shims_set_name("several.test", six_first, 2);
    CHECK_EQ_INT(pl_resolve("several.test", 80, 0, found, 4), 2);
    CHECK_EQ_INT(found[0].family, PL_IPV6);
    CHECK_EQ_INT(found[1].family, PL_IPV4);
    shims_set_name("several.test", two_of_four, 2);
    CHECK_EQ_INT(pl_resolve("several.test", 80, 0, found, 4), 2);
    CHECK_EQ_INT(found[0].ip[3], 3);
    CHECK_EQ_INT(found[1].ip[3], 2);
    CHECK_EQ_INT(pl_resolve("several.test", 80, 0, found, 1), 1);
    CHECK_EQ_INT(found[0].ip[3], 3);
}

static void check_found(const char *const *addresses)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    shims_set_name("several.test", addresses, 2);
    CHECK_EQ_INT(pl_tcp_connect(&client, "several.test", port, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

SHIM_CASE(the_addresses_of_a_name_are_tried_one_after_another)
{
    check_found(six_first);
    check_found(four_first);
}

SHIM_CASE(when_every_address_of_a_name_refuses_that_is_the_error)
{
    pl_stream *stream = NULL;
    shims_set_name("several.test", two_of_four, 2);
    CHECK_EQ_INT(pl_tcp_connect(&stream, "several.test", silent_port(), NULL), PL_ECONNREFUSED);
    CHECK(stream == NULL);
}

/* Those of the other family are no reason to give up. */
SHIM_CASE(a_local_address_picks_the_addresses_of_its_family)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    pl_address local = {0};
    pl_connect_options options = {.size = sizeof options, .local = &local};
    uint16_t port;
    CHECK_EQ_INT(pl_address_parse(&local, "127.0.0.1", 0), PL_OK);
    REQUIRE(listen_here(&listener, &port));
    shims_set_name("several.test", six_first, 2);
    if (CHECK_EQ_INT(pl_tcp_connect(&client, "several.test", port, &options), PL_OK))
        CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

static const char *const twenty[] = {"192.0.2.1",  "192.0.2.2",  "192.0.2.3",  "192.0.2.4",  "192.0.2.5",  "192.0.2.6",
                                     "192.0.2.7",  "192.0.2.8",  "192.0.2.9",  "192.0.2.10", "192.0.2.11", "192.0.2.12",
                                     "192.0.2.13", "192.0.2.14", "192.0.2.15", "192.0.2.16", "192.0.2.17", "192.0.2.18",
                                     "192.0.2.19", "192.0.2.20", "192.0.2.1"};

SHIM_CASE(all_addresses_are_counted_each_once_and_stored_as_far_as_there_is_room)
{
    pl_address found[32] = {{0}};
    size_t total = 0;
    pl_resolve_options options = {.size = sizeof options, .total = &total};
    int i;
    shims_set_name("several.test", twenty, 21);
    CHECK_EQ_INT(pl_resolve_with("several.test", 80, &options, found, 4), 4);
    CHECK_EQ_INT(total, 20);
    CHECK_EQ_INT(found[3].ip[3], 4);
    CHECK_EQ_INT(found[4].family, 0);
    CHECK_EQ_INT(pl_resolve_with("several.test", 80, &options, found, 32), 20);
    for (i = 0; i < 20; i++)
        CHECK_EQ_INT(found[i].ip[3], i + 1);
    CHECK_EQ_INT(found[20].family, 0);
}

/* --- What goes wrong --- */

SHIM_CASE(each_failure_of_the_name_server_has_its_code)
{
    static const struct {
        shim_name_error error;
        int code;
    } failures[] = {{SHIM_NAME_UNKNOWN, PL_ENAME},    {SHIM_NAME_AGAIN, PL_ENAMEAGAIN},
                    {SHIM_NAME_FAIL, PL_ENAMEFAIL},   {SHIM_NAME_NO_DATA, PL_ENODATA},
                    {SHIM_NAME_NO_MEMORY, PL_ENOMEM}, {SHIM_NAME_CANCELLED, PL_ENAMEAGAIN}};
    size_t i;
    shims_set_name("nothing.test", NULL, 0);
    for (i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        pl_address found[4] = {{0}};
        pl_op op = {0};
        if (!shims_set_name_error(failures[i].error))
            continue;
        CHECK_EQ_INT(end_of(pl_resolve_start(&op, "nothing.test", 80, 0, found, 4), &op), failures[i].code);
        CHECK(pl_op_system_error(&op) != 0);
        CHECK_EQ_INT(found[0].family, 0);
    }
}

SHIM_CASE(a_connect_tells_what_became_of_its_name)
{
    pl_stream *stream = NULL;
    shims_set_name("nothing.test", NULL, 0);
    CHECK_EQ_INT(pl_tcp_connect(&stream, "nothing.test", 80, NULL), PL_ENAME);
    shims_set_name_error(SHIM_NAME_FAIL);
    CHECK_EQ_INT(pl_tcp_connect(&stream, "nothing.test", 80, NULL), PL_ENAMEFAIL);
    CHECK(stream == NULL);
}

/* --- Cancelled at each state --- */

/* True: the answer lies there, but the loop has not looked. */
static bool answer_is_there(void)
{
    while (shims_held(SHIM_RESOLVE) > 0)
        ;
    return true;
}

SHIM_CASE(a_look_up_is_cancelled_once_at_each_of_its_states)
{
    pl_address found[4] = {{0}};
    pl_op op = {0};
    int64_t rc;
    shims_hold(SHIM_RESOLVE);
    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 0, found, 4), PL_OK);
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED); /* nobody had looked at it */

    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 0, found, 4), PL_OK);
    wait_until_held(1);
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED); /* the system was at it */
    release_all();

    shims_hold(SHIM_RESOLVE);
    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 0, found, 4), PL_OK);
    wait_until_held(1);
    shims_release(SHIM_RESOLVE);
    CHECK(answer_is_there());
    rc = pl_op_finish(&op); /* it was answered, or just being answered */
    CHECK(rc >= 1 || rc == PL_ECANCELED);
    CHECK((rc >= 1) == (found[0].family != 0));

    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 0, found, 4), PL_OK);
    while (pl_op_is_pending(&op))
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_ESTATE); /* done */
    CHECK(pl_op_await(&op) >= 1);
}

/* The routine comes, though later, with the system's word for it; what it yields is dropped. */
SHIM_CASE(the_system_is_told_to_stop_what_was_cancelled)
{
    enum { MANY = 20 };
    static pl_op ops[MANY];
    static pl_address found[MANY][2];
    int i, before;
    REQUIRE(shims_can_stop());
    memset(ops, 0, sizeof ops);
    before = shims_stopped();
    shims_hold(SHIM_RESOLVE);
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(pl_resolve_start(&ops[i], "localhost", 80, 0, found[i], 2), PL_OK);
    wait_until_held(MANY); /* at the same time, and with few workers */
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(pl_op_finish(&ops[i]), PL_ECANCELED);
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(found[i][0].family, 0);
    while (shims_stopped() < before + MANY && pl_sleep(PL_MS(1)) == PL_OK)
        ; /* a worker tells it of those that it was just beginning */
    CHECK_EQ_INT(shims_stopped(), before + MANY);
    CHECK_EQ_INT(pl_resolve_start(&ops[0], "localhost", 80, 0, found[0], 2), PL_OK);
    release_all();
    CHECK(pl_op_await(&ops[0]) >= 1);
    CHECK_EQ_INT(shims_stopped(), before + MANY); /* what ends by itself is not stopped */
}

/* Some providers answer, or wait, within the call. */
SHIM_CASE(a_look_up_that_ends_within_its_call_needs_no_more)
{
    pl_address found[4] = {{0}};
    pl_op op = {0};
    shims_set_resolve_at_once(true);
    shims_set_name("several.test", six_first, 2);
    CHECK_EQ_INT(pl_resolve("several.test", 80, 0, found, 4), 2);
    shims_set_name("nothing.test", NULL, 0);
    CHECK_EQ_INT(pl_resolve("nothing.test", 80, 0, found, 4), PL_ENAME);
    shims_hold(SHIM_RESOLVE);
    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 0, found, 4), PL_OK);
    wait_until_held(1);
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    release_all();
}

static pl_op left_address;
static char left_name[PL_HOST_NAME_SIZE];

static void leave_a_search(void)
{
    static const pl_address address = {.family = PL_IPV4, .ip = {127, 0, 0, 1}};
    memset(&left_address, 0, sizeof left_address);
    shims_hold(SHIM_RESOLVE);
    CHECK_EQ_INT(pl_resolve_address_start(&left_address, &address, left_name, sizeof left_name, 0), PL_OK);
    wait_until_held(1);
}

TEST_CASE(closing_the_loop_does_not_wait_for_the_name_of_an_address)
{
    shims_begin();
    loopback_run(t, leave_a_search, NULL);
    CHECK_EQ_INT(pl_op_result(&left_address), PL_ECANCELED);
    release_all();
    shims_end();
}

static void leave_a_call_within(void)
{
    shims_set_resolve_at_once(true);
    leave_a_resolution();
}

TEST_CASE(closing_the_loop_does_not_wait_for_a_look_up_that_blocks_its_call)
{
    shims_begin();
    loopback_run(t, leave_a_call_within, NULL);
    CHECK_EQ_INT(pl_op_result(&left), PL_ECANCELED);
    release_all();
    shims_end();
}

/* --- Addresses to names --- */

SHIM_CASE(the_name_of_an_address_is_found)
{
    static const pl_address address = {.family = PL_IPV4, .ip = {192, 0, 2, 1}};
    char name[16] = "before";
    shims_set_reverse("host.test");
    CHECK_EQ_INT(pl_resolve_address(&address, name, 9, 0), PL_ENAMETOOLONG);
    CHECK_STR(name, "before");
    CHECK_EQ_INT(pl_resolve_address(&address, name, 10, 0), 9);
    CHECK_STR(name, "host.test");
    shims_set_reverse("b\xc3\xbc"
                      "cher.test");
    CHECK_EQ_INT(pl_resolve_address(&address, name, sizeof name, 0), 12);
    CHECK_STR(name, "b\xc3\xbc"
                    "cher.test");
}

SHIM_CASE(an_address_without_a_name_is_given_as_text_if_that_was_asked_for)
{
    static const pl_address four = {.family = PL_IPV4, .port = 80, .ip = {192, 0, 2, 1}};
    static const pl_address six = {.family = PL_IPV6, .port = 80, .scope = 3, .ip = {0xfe, 0x80, [15] = 1}};
    char name[16] = "before";
    pl_op op = {0};
    CHECK_EQ_INT(end_of(pl_resolve_address_start(&op, &four, name, sizeof name, 0), &op), PL_ENAME);
    CHECK(pl_op_system_error(&op) != 0);
    CHECK_STR(name, "before");
    CHECK_EQ_INT(end_of(pl_resolve_address_start(&op, &four, name, 9, PL_RESOLVE_OR_NUMERIC), &op), PL_ENAMETOOLONG);
    CHECK_EQ_INT(end_of(pl_resolve_address_start(&op, &four, name, 10, PL_RESOLVE_OR_NUMERIC), &op), 9);
    CHECK_EQ_INT(pl_op_system_error(&op), 0);
    CHECK_STR(name, "192.0.2.1");
    CHECK_EQ_INT(pl_resolve_address(&six, name, sizeof name, PL_RESOLVE_OR_NUMERIC), 9);
    CHECK_STR(name, "fe80::1%3");
    shims_set_name_error(SHIM_NAME_AGAIN); /* it may have one */
    CHECK_EQ_INT(pl_resolve_address(&four, name, sizeof name, PL_RESOLVE_OR_NUMERIC), PL_ENAMEAGAIN);
}

/* --- Connecting by name --- */

static void check_reached(pl_listener *listener, pl_stream *client)
{
    pl_stream *server = NULL;
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

/* The look-up of both families is never answered while the call lasts: those of one are asked for, and suffice. */
SHIM_CASE(a_slow_look_up_is_joined_by_one_for_each_family)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    shims_hold(SHIM_RESOLVE_BOTH);
    shims_set_name("several.test", four_first, 2);
    CHECK_EQ_INT(pl_tcp_connect(&client, "several.test", port, NULL), PL_OK);
    CHECK_EQ_INT(shim_calls(SHIM_RESOLVE_IPV4), 1);
    CHECK_EQ_INT(shim_calls(SHIM_RESOLVE_IPV6), 1);
    CHECK_EQ_INT(shim_calls(SHIM_RESOLVE_BOTH), 1);
    check_reached(listener, client);
    shims_release(SHIM_RESOLVE_BOTH);
    while (shims_held(SHIM_RESOLVE_BOTH) > 0)
        ;
}

SHIM_CASE(a_name_server_silent_about_ipv6_does_not_keep_ipv4_waiting)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    shims_set_name("several.test", four_first, 1);
    shims_hold(SHIM_RESOLVE_BOTH);
    shims_hold(SHIM_RESOLVE_IPV6);
    CHECK_EQ_INT(pl_tcp_connect(&client, "several.test", port, NULL), PL_OK);
    check_reached(listener, client);
    shims_release(SHIM_RESOLVE_BOTH);
    shims_release(SHIM_RESOLVE_IPV6);
    while (shims_held(SHIM_RESOLVE_BOTH) + shims_held(SHIM_RESOLVE_IPV6) > 0)
        ;
}

SHIM_CASE(a_quick_look_up_is_the_only_one)
{
    pl_listener *listener;
    pl_stream *client = NULL;
    pl_connect_options options = {.size = sizeof options, .resolution_delay = PL_SECONDS(60)};
    uint16_t port;
    REQUIRE(listen_here(&listener, &port));
    shims_set_name("several.test", four_first, 2);
    CHECK_EQ_INT(pl_tcp_connect(&client, "several.test", port, &options), PL_OK);
    CHECK_EQ_INT(shim_calls(SHIM_RESOLVE), 1);
    CHECK_EQ_INT(shim_calls(SHIM_RESOLVE_BOTH), 1);
    check_reached(listener, client);
}

static int64_t connect_for_ever(void *arg)
{
    pl_stream *stream = NULL;
    (void)arg;
    CHECK_EQ_INT(pl_tcp_connect(&stream, "several.test", 80, NULL), PL_ECANCELED);
    CHECK(stream == NULL);
    return 0;
}

static void leave_a_connect(void)
{
    shims_set_name("several.test", four_first, 2);
    shims_hold(SHIM_RESOLVE);
    CHECK_EQ_INT(pl_spawn(NULL, connect_for_ever, NULL, NULL), PL_OK);
    wait_until_held(3);
}

TEST_CASE(closing_the_loop_ends_a_connect_with_all_its_look_ups)
{
    shims_begin();
    loopback_run(t, leave_a_connect, NULL);
    CHECK_EQ_INT(shims_held(SHIM_RESOLVE), 3);
    release_all();
    shims_end();
}

TEST_SUITE(shim_resolver, TEST_BACKENDS_REAL, CASE(a_cancelled_resolution_is_abandoned_while_it_runs),
           CASE(a_connect_by_name_is_bounded_by_a_timeout_while_the_name_is_looked_up),
           CASE(cancelled_resolutions_that_wait_for_a_worker_never_run),
           CASE(closing_the_loop_does_not_wait_for_a_resolution), CASE(the_order_of_the_system_is_kept),
           CASE(the_addresses_of_a_name_are_tried_one_after_another),
           CASE(when_every_address_of_a_name_refuses_that_is_the_error),
           CASE(a_local_address_picks_the_addresses_of_its_family),
           CASE(all_addresses_are_counted_each_once_and_stored_as_far_as_there_is_room),
           CASE(each_failure_of_the_name_server_has_its_code), CASE(a_connect_tells_what_became_of_its_name),
           CASE(a_look_up_is_cancelled_once_at_each_of_its_states), CASE_ON(ON_WINDOWS, the_system_is_told_to_stop_what_was_cancelled),
           CASE(a_look_up_that_ends_within_its_call_needs_no_more),
           CASE(closing_the_loop_does_not_wait_for_the_name_of_an_address),
           CASE(closing_the_loop_does_not_wait_for_a_look_up_that_blocks_its_call),
           CASE(the_name_of_an_address_is_found),
           CASE(an_address_without_a_name_is_given_as_text_if_that_was_asked_for),
           CASE(a_slow_look_up_is_joined_by_one_for_each_family),
           CASE(a_name_server_silent_about_ipv6_does_not_keep_ipv4_waiting), CASE(a_quick_look_up_is_the_only_one),
           CASE(closing_the_loop_ends_a_connect_with_all_its_look_ups))
