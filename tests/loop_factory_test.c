/* The loop factory: who asks it, and what becomes of what it says. */
#include <proloop/proloop.h>

#include "atomic.h"
#include "fixture.h"
#include "harness.h"
#include "threads.h"

typedef struct maker {
    const char *backend;
    int asked;
    int with_options; /* of them */
    int error;        /* to be returned instead of a loop */
    bool empty;       /* says PL_OK and makes nothing */
    pl_loop *made;
} maker;

static int make(pl_loop **loop, const pl_loop_options *asked_for, void *arg)
{
    maker *m = arg;
    pl_loop_options options = {.size = sizeof options};
    m->asked++;
    if (asked_for) {
        m->with_options++;
        options = *asked_for;
    }
    options.backend = m->backend;
    if (m->empty)
        return PL_OK;
    if (m->error < 0) {
        *loop = (pl_loop *)(void *)m; /* is not looked at */
        return m->error;
    }
    int result = pl_loop_create(loop, &options);
    m->made = *loop;
    return result;
}

static int64_t compare_loop(void *arg)
{
    maker *m = arg;
    CHECK(pl_loop_running() == m->made);
    CHECK_STR(pl_loop_backend(m->made), m->backend);
    return 7;
}

/* test_custom_factory */
TEST_CASE(pl_run_asks_the_factory)
{
    maker m = {.backend = t->backend};
    pl_loop_options loop = {.size = sizeof loop, .backend = "steam"};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    CHECK_EQ_INT(pl_set_loop_factory(make, &m), PL_OK);
    CHECK_EQ_INT(pl_run(compare_loop, &m, NULL), 7);
    CHECK_EQ_INT(m.asked, 1);
    CHECK_EQ_INT(m.with_options, 0);
    CHECK_EQ_INT(pl_run(compare_loop, &m, &options), 7); /* it is told what was asked for */
    CHECK_EQ_INT(m.asked, 2);
    CHECK_EQ_INT(m.with_options, 1);
    CHECK_EQ_INT(pl_set_loop_factory(NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_run(compare_loop, &m, &options), PL_EINVAL); /* no such backend */
    CHECK_EQ_INT(m.asked, 2);
}

TEST_CASE(a_runner_asks_the_factory_at_its_first_use)
{
    maker m = {.backend = t->backend};
    pl_runner *runner;
    pl_loop *loop;
    CHECK_EQ_INT(pl_set_loop_factory(make, &m), PL_OK);
    REQUIRE_EQ_INT(pl_runner_create(&runner, NULL), PL_OK);
    CHECK_EQ_INT(m.asked, 0);
    CHECK_EQ_INT(pl_runner_loop(runner, &loop), PL_OK);
    CHECK(loop == m.made);
    CHECK_EQ_INT(pl_runner_run(runner, compare_loop, &m), 7);
    CHECK_EQ_INT(m.asked, 1);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    CHECK_EQ_INT(pl_set_loop_factory(NULL, NULL), PL_OK);
}

TEST_CASE(the_default_loop_is_the_factorys)
{
    maker m = {.backend = t->backend};
    pl_loop *loop, *again;
    CHECK_EQ_INT(pl_set_loop_factory(make, &m), PL_OK);
    REQUIRE_EQ_INT(pl_loop_default(&loop), PL_OK);
    CHECK(loop == m.made);
    CHECK_EQ_INT(pl_loop_default(&again), PL_OK);
    CHECK(again == loop);
    CHECK_EQ_INT(m.asked, 1);
    CHECK_EQ_INT(m.with_options, 0);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    CHECK_EQ_INT(pl_set_loop_factory(NULL, NULL), PL_OK);
}

TEST_CASE(pl_loop_create_is_never_asked_of_the_factory)
{
    maker m = {.backend = "steam"};
    fixture f;
    CHECK_EQ_INT(pl_set_loop_factory(make, &m), PL_OK);
    if (CHECK(fixture_open(&f, t)))
        fixture_close(&f);
    CHECK_EQ_INT(m.asked, 0);
    CHECK_EQ_INT(pl_set_loop_factory(NULL, NULL), PL_OK);
}

static int64_t never(void *arg)
{
    (void)arg;
    CHECK(!"this runs");
    return 0;
}

TEST_CASE(the_error_of_the_factory_is_returned)
{
    maker m = {.backend = t->backend, .error = PL_ENOTSUP};
    pl_runner *runner;
    pl_loop *loop = (pl_loop *)(void *)&m;
    CHECK_EQ_INT(pl_set_loop_factory(make, &m), PL_OK);
    CHECK_EQ_INT(pl_run(never, NULL, NULL), PL_ENOTSUP);
    CHECK_EQ_INT(pl_loop_default(&loop), PL_ENOTSUP);
    CHECK(loop == NULL);
    REQUIRE_EQ_INT(pl_runner_create(&runner, NULL), PL_OK);
    CHECK_EQ_INT(pl_runner_run(runner, never, NULL), PL_ENOTSUP);
    loop = (pl_loop *)(void *)&m;
    CHECK_EQ_INT(pl_runner_loop(runner, &loop), PL_ENOTSUP);
    CHECK(loop == NULL);
    m.error = 0; /* a failed use is no use: the next one asks again */
    CHECK_EQ_INT(pl_runner_run(runner, compare_loop, &m), 7);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    CHECK_EQ_INT(pl_set_loop_factory(NULL, NULL), PL_OK);
}

TEST_CASE(a_factory_that_makes_nothing_is_an_error)
{
    maker m = {.backend = t->backend, .empty = true};
    CHECK_EQ_INT(pl_set_loop_factory(make, &m), PL_OK);
    CHECK_EQ_INT(pl_run(never, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_set_loop_factory(NULL, NULL), PL_OK);
}

/* --- Threads ------------------------------------------------------------------------------------------------------ */

/* Each factory has an argument of its own, which it knows. */
typedef struct pairing {
    int number;
    const char *backend;
} pairing;

static pairing pairings[2] = {{0, NULL}, {1, NULL}};

static int make_zero(pl_loop **loop, const pl_loop_options *options, void *arg)
{
    pl_loop_options with = {.size = sizeof with, .backend = pairings[0].backend};
    (void)options;
    CHECK(arg == &pairings[0]);
    return pl_loop_create(loop, &with);
}

static int make_one(pl_loop **loop, const pl_loop_options *options, void *arg)
{
    pl_loop_options with = {.size = sizeof with, .backend = pairings[1].backend};
    (void)options;
    CHECK(arg == &pairings[1]);
    return pl_loop_create(loop, &with);
}

static int64_t seven(void *arg)
{
    (void)arg;
    return 7;
}

static pl__atomic_u32 stopped;

static void set_often(void *arg)
{
    (void)arg;
    while (!pl__atomic_u32_load(&stopped)) {
        CHECK_EQ_INT(pl_set_loop_factory(make_zero, &pairings[0]), PL_OK);
        CHECK_EQ_INT(pl_set_loop_factory(make_one, &pairings[1]), PL_OK);
    }
}

static void run_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < scaled(500); i++)
        CHECK_EQ_INT(pl_run(seven, NULL, NULL), 7);
}

TEST_CASE(a_factory_set_while_other_threads_make_loops_comes_with_its_own_argument)
{
    test_thread setters[2], runners[2];
    pairings[0].backend = pairings[1].backend = t->backend;
    CHECK_EQ_INT(pl_set_loop_factory(make_zero, &pairings[0]), PL_OK);
    pl__atomic_u32_store(&stopped, 0);
    for (int i = 0; i < 2; i++) {
        REQUIRE(test_thread_start(&setters[i], set_often, NULL));
        REQUIRE(test_thread_start(&runners[i], run_often, NULL));
    }
    for (int i = 0; i < 2; i++)
        test_thread_join(&runners[i]);
    pl__atomic_u32_store(&stopped, 1);
    for (int i = 0; i < 2; i++)
        test_thread_join(&setters[i]);
    CHECK_EQ_INT(pl_set_loop_factory(NULL, NULL), PL_OK);
}

TEST_SUITE(loop_factory, TEST_BACKENDS_ALL, CASE(pl_run_asks_the_factory),
           CASE(a_runner_asks_the_factory_at_its_first_use), CASE(the_default_loop_is_the_factorys),
           CASE(pl_loop_create_is_never_asked_of_the_factory), CASE(the_error_of_the_factory_is_returned),
           CASE(a_factory_that_makes_nothing_is_an_error),
           CASE(a_factory_set_while_other_threads_make_loops_comes_with_its_own_argument))
