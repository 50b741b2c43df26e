#include <proloop/proloop.h>

#include <string.h>

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
    int64_t rc = pl_resolve("localhost", 80, 0, found, 4);
    (void)t;
    CHECK(rc == PL_ENOTASK || rc == PL_ENOLOOP);
    CHECK_EQ_INT(pl_resolve_start(&op, "localhost", 80, 0, found, 4), PL_ENOLOOP);
    CHECK(!pl_op_is_pending(&op));
}

static pl_op left;
static pl_address left_found[4];

TASK_CASE(a_resolution_under_way_ends_with_its_loop)
{
    memset(&left, 0, sizeof left);
    CHECK_EQ_INT(pl_resolve_start(&left, "does-not-exist.invalid", 80, 0, left_found, 4), PL_OK);
}

TEST_SUITE(resolver, TEST_BACKENDS_REAL,
           CASE(localhost_is_this_machine),
           CASE(text_that_is_an_address_stays_one),
           CASE(an_address_of_the_other_family_is_no_answer),
           CASE(no_host_is_the_wildcard),
           CASE(an_unknown_name_is_told),
           CASE(a_name_that_cannot_be_one_is_refused),
           CASE(no_more_is_stored_than_there_is_room_for),
           CASE(many_names_are_resolved_at_once),
           CASE(a_cancelled_resolution_is_abandoned_at_once),
           CASE(a_resolution_in_a_scope_that_ran_out_is_abandoned),
           CASE(bad_arguments_are_refused_and_change_nothing),
           CASE(resolving_needs_a_loop_that_runs),
           CASE(a_resolution_under_way_ends_with_its_loop))
