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

SHIM_CASE(the_error_of_the_last_address_is_returned)
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

TEST_SUITE(shim_resolver, TEST_BACKENDS_REAL,
           CASE(a_cancelled_resolution_is_abandoned_while_it_runs),
           CASE(a_connect_by_name_is_bounded_by_a_timeout_while_the_name_is_looked_up),
           CASE(cancelled_resolutions_that_wait_for_a_worker_never_run),
           CASE(closing_the_loop_does_not_wait_for_a_resolution),
           CASE(the_order_of_the_system_is_kept),
           CASE(the_addresses_of_a_name_are_tried_one_after_another),
           CASE(the_error_of_the_last_address_is_returned),
           CASE(a_local_address_picks_the_addresses_of_its_family))
