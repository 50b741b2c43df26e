#include <proloop/proloop.h>

#include <string.h>

#include "allocation.h"
#include "harness.h"
#include "loopback.h"

enum { CAPACITY = 16 };

static bool is_loopback(const pl_address *address)
{
    static const uint8_t six[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    return address->family == PL_IPV4 ? address->ip[0] == 127 : memcmp(address->ip, six, 16) == 0;
}

TASK_CASE(localhost_is_this_machine)
{
    static const int families[] = {0, PL_IPV4};
    size_t k;
    for (k = 0; k < 2; k++) {
        pl_address found[CAPACITY] = {{0}};
        int64_t count = pl_resolve("localhost", 4711, families[k], found, CAPACITY);
        int64_t i;
        CHECK(count >= 1 && count <= CAPACITY);
        for (i = 0; i < count; i++) {
            CHECK(is_loopback(&found[i]));
            CHECK_EQ_INT(found[i].port, 4711);
            CHECK(families[k] == 0 || found[i].family == families[k]);
        }
    }
}

TASK_CASE(text_that_is_an_address_stays_one)
{
    static const char *const texts[] = {"127.0.0.1", "192.0.2.7", "::1", "2001:db8::5"};
    size_t i;
    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pl_address found[CAPACITY] = {{0}};
        pl_address expected = {0};
        CHECK_EQ_INT(pl_address_parse(&expected, texts[i], 80), PL_OK);
        CHECK_EQ_INT(pl_resolve(texts[i], 80, 0, found, CAPACITY), 1);
        CHECK_MEM(&found[0], &expected, sizeof expected);
        CHECK_EQ_INT(pl_resolve(texts[i], 80, expected.family, found, CAPACITY), 1);
        CHECK_MEM(&found[0], &expected, sizeof expected);
    }
}

TASK_CASE(an_address_of_the_other_family_is_no_answer)
{
    pl_address found[CAPACITY] = {{0}};
    CHECK(pl_resolve("127.0.0.1", 80, PL_IPV6, found, CAPACITY) < 0);
    CHECK(pl_resolve("::1", 80, PL_IPV4, found, CAPACITY) < 0);
    CHECK_EQ_INT(found[0].family, 0);
}

TASK_CASE(no_host_is_the_wildcard)
{
    static const uint8_t zero[16] = {0};
    pl_address found[CAPACITY] = {{0}};
    CHECK_EQ_INT(pl_resolve(NULL, 80, PL_IPV4, found, CAPACITY), 1);
    CHECK_EQ_INT(found[0].family, PL_IPV4);
    CHECK_EQ_INT(found[0].port, 80);
    CHECK_MEM(found[0].ip, zero, 16);
    CHECK(pl_resolve(NULL, 80, 0, found, CAPACITY) >= 1);
    CHECK_MEM(found[0].ip, zero, 16);
}

TASK_CASE(an_unknown_name_is_told)
{
    static const char *const names[] = {"does-not-exist.invalid", "two..dots.invalid", "-.invalid"};
    pl_address found[CAPACITY] = {{0}};
    size_t i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        int64_t rc = pl_resolve(names[i], 80, 0, found, CAPACITY);
        CHECK(rc == PL_ENAME || rc == PL_ENAMEAGAIN);
        CHECK_EQ_INT(found[0].family, 0);
    }
}

TASK_CASE(a_name_that_cannot_be_one_is_refused)
{
    pl_address found[CAPACITY] = {{0}};
    char name[1000];
    int64_t rc;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    rc = pl_resolve(name, 80, 0, found, CAPACITY);
    CHECK(rc == PL_ENAME || rc == PL_EINVAL || rc == PL_ENAMEAGAIN || rc == PL_ENAMETOOLONG);
    rc = pl_resolve("", 80, 0, found, CAPACITY);
    CHECK(rc == PL_ENAME || rc == PL_EINVAL || rc == PL_ENAMEAGAIN);
    rc = pl_resolve("\xff\xfe", 80, 0, found, CAPACITY);
    CHECK(rc == PL_ENAME || rc == PL_EINVAL || rc == PL_ENAMEAGAIN);
    CHECK_EQ_INT(found[0].family, 0);
}

TASK_CASE(no_more_is_stored_than_there_is_room_for)
{
    pl_address found[2];
    memset(found, 0x5a, sizeof found);
    CHECK_EQ_INT(pl_resolve("localhost", 80, 0, found, 1), 1);
    CHECK(is_loopback(&found[0]));
    CHECK_EQ_INT(found[1].family, 0x5a);
}

TASK_CASE(many_names_are_resolved_at_once)
{
    enum { NAMES = 40 };
    static pl_op ops[NAMES];
    static pl_address found[NAMES][4];
    int i;
    memset(ops, 0, sizeof ops);
    for (i = 0; i < NAMES; i++) {
        char name[16] = "localhost";
        CHECK_EQ_INT(pl_resolve_start(&ops[i], name, (uint16_t)(i + 1), PL_IPV4, found[i], 4), PL_OK);
        memset(name, 'x', sizeof name); /* it was lent for the call only */
    }
    for (i = 0; i < NAMES; i++) {
        CHECK(pl_op_await(&ops[i]) >= 1);
        CHECK(is_loopback(&found[i][0]));
        CHECK_EQ_INT(found[i][0].port, i + 1);
    }
}

/* The system's call runs on; our memory is ours at once. */
TASK_CASE(a_cancelled_resolution_is_abandoned_at_once)
{
    dice d = dice_of(61);
    int i;
    for (i = 0; i < 40; i++) {
        uint64_t yields = throw_below(&d, 3);
        pl_address found[4];
        pl_address before[4];
        pl_op op = {0};
        int64_t rc;
        memset(found, 0x5a, sizeof found);
        memcpy(before, found, sizeof before);
        CHECK_EQ_INT(pl_resolve_start(&op, i % 2 ? "localhost" : "does-not-exist.invalid", 80, 0, found, 4), PL_OK);
        while (yields-- > 0)
            pl_yield();
        rc = pl_op_finish(&op);
        if (rc < 0) {
            CHECK(rc == PL_ECANCELED || rc == PL_ENAME || rc == PL_ENAMEAGAIN);
            CHECK_MEM(found, before, sizeof before);
        }
    }
}

TASK_CASE(a_resolution_in_a_scope_that_ran_out_is_abandoned)
{
    pl_timeout limit = {0};
    pl_address found[4] = {{0}};
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_resolve("does-not-exist.invalid", 80, 0, found, 4)), PL_ETIMEDOUT);
}

TASK_CASE(bad_arguments_are_refused_and_change_nothing)
{
    pl_address found[4] = {{0}};
    pl_op op = {0};
    CHECK_EQ_INT(pl_resolve("localhost", 80, 0, NULL, 4), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve("localhost", 80, 0, found, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve("localhost", 80, 5, found, 4), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve_start(NULL, "localhost", 80, 0, found, 4), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 0, NULL, 4), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 7, found, 4), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
}

TEST_CASE(resolving_needs_a_loop_that_runs)
{
    pl_address found[4] = {{0}};
    pl_op op = {0};
    char name[8];
    int64_t rc = pl_resolve("localhost", 80, 0, found, 4);
    (void)t;
    CHECK(rc == PL_ENOTASK || rc == PL_ENOLOOP);
    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 0, found, 4), PL_ENOLOOP);
    found[0].family = PL_IPV4;
    rc = pl_resolve_address(&found[0], name, sizeof name, 0);
    CHECK(rc == PL_ENOTASK || rc == PL_ENOLOOP);
    CHECK_EQ_INT(pl_resolve_address_start(&op, &found[0], name, sizeof name, 0), PL_ENOLOOP);
    CHECK(!pl_op_is_pending(&op));
}

/* --- With options --- */

static pl_resolve_options sized(void)
{
    const pl_resolve_options options = {.size = sizeof options};
    return options;
}

TASK_CASE(a_service_gives_the_port)
{
    pl_resolve_options options = sized();
    pl_address found[CAPACITY] = {{0}};
    options.service = "443";
    CHECK_EQ_INT(pl_resolve_with("127.0.0.1", 80, &options, found, CAPACITY), 1);
    CHECK_EQ_INT(found[0].port, 443);
    options.service = "no-service-has-this-name";
    CHECK_EQ_INT(pl_resolve_with("127.0.0.1", 80, &options, found, CAPACITY), PL_ENAME);
    CHECK_EQ_INT(pl_resolve_with("127.0.0.1", 80, NULL, found, CAPACITY), 1);
    CHECK_EQ_INT(found[0].port, 80);
}

TASK_CASE(a_service_of_udp_gives_the_port)
{
    pl_resolve_options options = sized();
    pl_address found[CAPACITY] = {{0}};
    options.service = "53";
    options.flags = PL_RESOLVE_DATAGRAM;
    CHECK_EQ_INT(pl_resolve_with("127.0.0.1", 80, &options, found, CAPACITY), 1);
    CHECK_EQ_INT(found[0].port, 53);
}

TASK_CASE(numeric_asks_no_name_server)
{
    pl_resolve_options options = sized();
    pl_address found[CAPACITY] = {{0}};
    options.flags = PL_RESOLVE_NUMERIC;
    CHECK_EQ_INT(pl_resolve_with("localhost", 80, &options, found, CAPACITY), PL_ENAME);
    CHECK_EQ_INT(found[0].family, 0);
    CHECK_EQ_INT(pl_resolve_with("127.0.0.1", 80, &options, found, CAPACITY), 1);
    CHECK_EQ_INT(pl_resolve_with("fe80::1%1", 80, &options, found, CAPACITY), 1);
    CHECK_EQ_INT(found[0].scope, 1);
}

TASK_CASE(the_canonical_name_is_told)
{
    pl_resolve_options options = sized();
    pl_address found[CAPACITY] = {{0}};
    char name[PL_HOST_NAME_SIZE] = "before";
    options.canonical = name;
    options.canonical_size = sizeof name;
    CHECK(pl_resolve_with("localhost", 80, &options, found, CAPACITY) >= 1);
    CHECK(strlen(name) > 0 && strcmp(name, "before") != 0);
    CHECK_EQ_INT(pl_resolve_with("127.0.0.1", 80, &options, found, CAPACITY), 1);
    CHECK_STR(name, "127.0.0.1");
    CHECK(pl_resolve_with("does-not-exist.invalid", 80, &options, found, CAPACITY) < 0);
    CHECK_STR(name, "127.0.0.1");
}

TASK_CASE(a_canonical_name_without_room_is_an_error_that_changes_nothing)
{
    pl_resolve_options options = sized();
    pl_address found[CAPACITY] = {{0}};
    char name[10] = "before"; /* that of 127.0.0.1 takes one more */
    size_t total = 7;
    options.canonical = name;
    options.canonical_size = 9;
    options.total = &total;
    CHECK_EQ_INT(pl_resolve_with("127.0.0.1", 80, &options, found, CAPACITY), PL_ENAMETOOLONG);
    CHECK_STR(name, "before");
    CHECK_EQ_INT(total, 7);
    CHECK_EQ_INT(found[0].family, 0);
    options.canonical_size = 10;
    CHECK_EQ_INT(pl_resolve_with("127.0.0.1", 80, &options, found, CAPACITY), 1);
    CHECK_STR(name, "127.0.0.1");
    CHECK_EQ_INT(total, 1);
}

TASK_CASE(only_families_of_this_machine_may_be_asked_for)
{
    pl_resolve_options options = sized();
    pl_address found[CAPACITY] = {{0}};
    options.flags = PL_RESOLVE_CONFIGURED;
    options.family = PL_IPV4;
    CHECK(pl_resolve_with("localhost", 80, &options, found, CAPACITY) != PL_EINVAL);
}

TASK_CASE(bad_options_are_refused_and_change_nothing)
{
    pl_resolve_options options = sized();
    pl_address found[CAPACITY] = {{0}}, address = {.family = 5};
    char name[8];
    pl_op op = {0};
    options.size--;
    CHECK_EQ_INT(pl_resolve_with("localhost", 80, &options, found, CAPACITY), PL_EINVAL);
    options = sized();
    options.flags = 1024;
    CHECK_EQ_INT(pl_resolve_with("localhost", 80, &options, found, CAPACITY), PL_EINVAL);
    options = sized();
    options.family = 5;
    CHECK_EQ_INT(pl_resolve_with_start(&op, "localhost", 80, &options, found, CAPACITY), PL_EINVAL);
    options = sized();
    options.canonical = name;
    CHECK_EQ_INT(pl_resolve_with_start(&op, "localhost", 80, &options, found, CAPACITY), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve_address(&address, name, sizeof name, 0), PL_EINVAL);
    address.family = 0;
    CHECK_EQ_INT(pl_resolve_address(&address, name, sizeof name, 0), PL_EINVAL);
    address.family = PL_IPV4;
    CHECK_EQ_INT(pl_resolve_address(NULL, name, sizeof name, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve_address(&address, NULL, sizeof name, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve_address(&address, name, 0, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve_address(&address, name, sizeof name, 2), PL_EINVAL);
    CHECK_EQ_INT(pl_resolve_address_start(NULL, &address, name, sizeof name, 0), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
}

/* A name that is not ASCII and is no mistake: nobody is there, and the system says so of the name itself. */
TASK_CASE(a_name_in_utf8_is_looked_up)
{
    pl_address found[CAPACITY] = {{0}};
    int64_t rc = pl_resolve("b\xc3\xbc"
                            "cher.invalid",
                            80, 0, found, CAPACITY);
    CHECK(rc == PL_ENAME || rc == PL_ENAMEAGAIN);
}

/* --- Addresses to names --- */

TASK_CASE(an_address_without_a_name_is_told_or_given_as_text)
{
    pl_address address = {0};
    char name[PL_HOST_NAME_SIZE] = "before";
    int64_t rc;
    CHECK_EQ_INT(pl_address_parse(&address, "192.0.2.55", 80), PL_OK);
    rc = pl_resolve_address(&address, name, sizeof name, 0);
    if (rc >= 0) {
        skip_case("this network has names for addresses that nobody has");
        return;
    }
    CHECK(rc == PL_ENAME || rc == PL_ENAMEAGAIN || rc == PL_ENAMEFAIL);
    CHECK_STR(name, "before");
    if (rc != PL_ENAME)
        return; /* nobody knows whether it has one */
    CHECK_EQ_INT(pl_resolve_address(&address, name, sizeof name, PL_RESOLVE_OR_NUMERIC), 10);
    CHECK_STR(name, "192.0.2.55");
}

TASK_CASE(this_machines_address_has_a_name)
{
    pl_address address = {0};
    char name[PL_HOST_NAME_SIZE] = "";
    int64_t rc;
    CHECK_EQ_INT(pl_address_parse(&address, "127.0.0.1", 80), PL_OK);
    rc = pl_resolve_address(&address, name, sizeof name, 0);
    CHECK(rc > 0);
    CHECK_EQ_INT(strlen(name), rc);
}

TASK_CASE(a_cancelled_search_for_a_name_is_abandoned_at_once)
{
    dice d = dice_of(62);
    int i;
    for (i = 0; i < 40; i++) {
        uint64_t yields = throw_below(&d, 3);
        pl_address address = {0};
        char name[PL_HOST_NAME_SIZE] = "before";
        pl_op op = {0};
        int64_t rc;
        CHECK_EQ_INT(pl_address_parse(&address, "127.0.0.1", 80), PL_OK);
        CHECK_EQ_INT(pl_resolve_address_start(&op, &address, name, sizeof name, 0), PL_OK);
        memset(&address, 0xff, sizeof address); /* it was lent for the call only */
        while (yields-- > 0)
            pl_yield();
        rc = pl_op_finish(&op);
        CHECK(rc > 0 || rc == PL_ECANCELED);
        if (rc < 0)
            CHECK_STR(name, "before");
    }
}

TASK_CASE(a_search_for_a_name_in_a_scope_that_ran_out_is_abandoned)
{
    pl_timeout limit = {0};
    pl_address address = {.family = PL_IPV4, .ip = {127, 0, 0, 1}};
    char name[PL_HOST_NAME_SIZE];
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_resolve_address(&address, name, sizeof name, 0)), PL_ETIMEDOUT);
}

/* --- Memory --- */

/* Some of it is given back by other threads, so all that is counted is what the library has in use. */
static failing_allocation memory;

static void resolve_with_failing_memory(void)
{
    pl_resolve_options options = sized();
    char name[PL_HOST_NAME_SIZE];
    int fail_at;
    options.canonical = name;
    options.canonical_size = sizeof name;
    options.service = "80";
    for (fail_at = 1; fail_at < 20; fail_at++) {
        pl_address found[CAPACITY] = {{0}};
        int64_t rc;
        memory.calls = 0;
        memory.fail_at = fail_at;
        rc = pl_resolve_with("127.0.0.1", 80, &options, found, CAPACITY);
        memory.fail_at = 0;
        CHECK(rc == PL_ENOMEM || rc == 1);
        if (rc == 1)
            break;
    }
    CHECK(fail_at > 1 && fail_at < 20);
}

TEST_CASE(each_allocation_of_a_look_up_may_fail)
{
    REQUIRE_EQ_INT(failing_allocation_begin(&memory), PL_OK);
    loopback_run(t, resolve_with_failing_memory, NULL);
    t_restore_allocator();
}

static pl_op left;
static pl_address left_found[4];

TASK_CASE(a_resolution_under_way_ends_with_its_loop)
{
    memset(&left, 0, sizeof left);
    CHECK_EQ_INT(pl_resolve_start(&left, "does-not-exist.invalid", 80, 0, left_found, 4), PL_OK);
}

TEST_SUITE(resolver, TEST_BACKENDS_REAL, CASE(localhost_is_this_machine), CASE(text_that_is_an_address_stays_one),
           CASE(an_address_of_the_other_family_is_no_answer), CASE(no_host_is_the_wildcard),
           CASE(an_unknown_name_is_told), CASE(a_name_that_cannot_be_one_is_refused),
           CASE(no_more_is_stored_than_there_is_room_for), CASE(many_names_are_resolved_at_once),
           CASE(a_cancelled_resolution_is_abandoned_at_once), CASE(a_resolution_in_a_scope_that_ran_out_is_abandoned),
           CASE(bad_arguments_are_refused_and_change_nothing), CASE(resolving_needs_a_loop_that_runs),
           CASE(a_service_gives_the_port), CASE(a_service_of_udp_gives_the_port), CASE(numeric_asks_no_name_server),
           CASE(the_canonical_name_is_told), CASE(a_canonical_name_without_room_is_an_error_that_changes_nothing),
           CASE(only_families_of_this_machine_may_be_asked_for), CASE(bad_options_are_refused_and_change_nothing),
           CASE(a_name_in_utf8_is_looked_up), CASE(an_address_without_a_name_is_told_or_given_as_text),
           CASE(this_machines_address_has_a_name), CASE(a_cancelled_search_for_a_name_is_abandoned_at_once),
           CASE(a_search_for_a_name_in_a_scope_that_ran_out_is_abandoned), CASE(each_allocation_of_a_look_up_may_fail),
           CASE(a_resolution_under_way_ends_with_its_loop))
