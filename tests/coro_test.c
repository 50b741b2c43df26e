/* Coroutine objects: made once or dropped once, and reported if nobody cared. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "threads.h"
#include "waits.h"

static const char never_awaited[] = "a coroutine was never awaited";

static int64_t return_seven(void *arg)
{
    note(arg, "seven");
    return 7;
}

static int64_t await_first(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_await(f->futures[0]);
    note_code(f, rc);
    return rc;
}

static pl_coro *make(fixture *f, pl_task_fn *fn)
{
    pl_coro *coro = NULL;
    CHECK_EQ_INT(pl_coro_create(&coro, fn, f, fixture_drop), PL_OK);
    return coro;
}

/* --- Used --------------------------------------------------------------------------------------------------------- */

WAITS_CASE(awaiting_makes_the_call_in_this_task, 1)
{
    waits *w = arg;
    fixture *f = &w->f;
    pl_coro *coro = make(f, return_seven);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, f, NULL), PL_OK);
    EXPECT_TRACE(f, "");
    CHECK_EQ_INT(pl_coro_await(coro), 7);
    EXPECT_TRACE(f, "seven "); /* with no turn of others */
    pl_coro_unref(coro);
    coro = make(f, await_first);
    set_error(w, 0, PL_EIO);
    CHECK_EQ_INT(pl_coro_await(coro), PL_EIO);
    pl_coro_unref(coro);
    CHECK_EQ_INT(f->drops, 0);
    return 0;
}

WAITS_CASE(a_second_use_is_refused_whatever_the_first_was, 0)
{
    waits *w = arg;
    fixture *f = &w->f;
    for (int first = 0; first < 5; first++) {
        pl_coro *coro = make(f, return_seven);
        pl_task *task = NULL;
        f->drops = 0;
        if (first == 0)
            CHECK_EQ_INT(pl_coro_await(coro), 7);
        else if (first == 1)
            CHECK_EQ_INT(pl_coro_spawn(NULL, coro, NULL), PL_OK);
        else if (first == 2)
            CHECK_EQ_INT(pl_coro_close(coro), PL_OK);
        else if (first == 3)
            CHECK_EQ_INT(pl_coro_wait_for(coro, PL_SECONDS(1)), 7);
        else
            CHECK_EQ_INT(pl_coro_wait_for(coro, 0), PL_ETIMEDOUT);
        CHECK_EQ_INT(pl_coro_await(coro), PL_ESTATE);
        CHECK_EQ_INT(pl_coro_wait_for(coro, PL_SECONDS(1)), PL_ESTATE);
        CHECK_EQ_INT(pl_coro_wait_for(coro, 0), PL_ESTATE);
        CHECK_EQ_INT(pl_coro_spawn(&task, coro, NULL), PL_ESTATE);
        CHECK(task == NULL);
        CHECK_EQ_INT(pl_coro_close(coro), first == 2 || first == 4 ? PL_OK : PL_ESTATE);
        pl_coro_unref(coro);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        CHECK_EQ_INT(f->drops, first == 2 || first == 4 ? 1 : 0);
        EXPECT_TRACE(f, first == 2 || first == 4 ? "" : "seven ");
    }
    return 0;
}

static int64_t await_the_outer_one(void *arg)
{
    return pl_coro_await(*(pl_coro **)arg);
}

WAITS_CASE(one_that_awaits_itself_is_told, 0)
{
    pl_coro *coro = NULL;
    (void)arg;
    CHECK_EQ_INT(pl_coro_create(&coro, await_the_outer_one, &coro, NULL), PL_OK);
    CHECK_EQ_INT(pl_coro_await(coro), PL_ESTATE);
    pl_coro_unref(coro);
    return 0;
}

TEST_CASE(a_task_is_made_of_it_with_the_options_given)
{
    waits w;
    pl_coro *coro = NULL;
    pl_task_options options = {.size = sizeof options, .name = "made of a coroutine"};
    REQUIRE(waits_open(&w, t, 0));
    options.loop = w.f.loop;
    CHECK_EQ_INT(pl_coro_create(&coro, return_seven, &w.f, fixture_drop), PL_OK); /* no loop runs */
    CHECK_EQ_INT(pl_coro_spawn(&w.f.tasks[0], coro, &options), PL_OK);
    pl_coro_unref(coro);
    CHECK_STR(pl_task_name(w.f.tasks[0]), "made of a coroutine");
    EXPECT_TRACE(&w.f, "");
    CHECK_EQ_INT(finish_task(&w.f, w.f.tasks[0]), 7);
    CHECK_EQ_INT(w.f.drops, 0);
    waits_close(&w);
}

WAITS_CASE(a_task_of_it_that_is_cancelled_before_it_ran_drops_the_argument_once, 0)
{
    waits *w = arg;
    fixture *f = &w->f;
    pl_coro *coro = make(f, return_seven);
    CHECK_EQ_INT(pl_coro_spawn(&f->tasks[0], coro, NULL), PL_OK);
    pl_coro_unref(coro);
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(f->drops, 1);
    EXPECT_TRACE(f, "");
    return 0;
}

/* test_create_task_error_closes_coro */
TEST_CASE(a_spawn_that_fails_drops_it_without_a_report)
{
    fixture f;
    pl_coro *coro = NULL;
    pl_task *task = NULL;
    pl_task_options options = {.size = 1};
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_coro_create(&coro, return_seven, &f, fixture_drop), PL_OK);
    CHECK_EQ_INT(pl_coro_spawn(&task, coro, NULL), PL_ENOLOOP);
    CHECK_EQ_INT(f.drops, 1);
    CHECK_EQ_INT(pl_coro_spawn(&task, coro, NULL), PL_ESTATE);
    pl_coro_unref(coro);
    CHECK_EQ_INT(pl_coro_create(&coro, return_seven, &f, fixture_drop), PL_OK);
    CHECK_EQ_INT(pl_coro_spawn(&task, coro, &options), PL_EINVAL);
    CHECK_EQ_INT(f.drops, 2);
    pl_coro_unref(coro);
    CHECK(task == NULL);
    EXPECT_REPORTS(&f, "");
    fixture_close(&f);
}

/* --- Never awaited ------------------------------------------------------------------------------------------------ */

WAITS_CASE(one_that_is_let_go_unused_is_reported_and_dropped, 0)
{
    waits *w = arg;
    fixture *f = &w->f;
    pl_coro *coro = NULL;
    CHECK_EQ_INT(pl_coro_create_here(&coro, return_seven, f, fixture_drop, "here.c:12"), PL_OK);
    CHECK(pl_coro_ref(coro) == coro);
    pl_coro_unref(coro);
    EXPECT_REPORTS(f, "");
    CHECK_EQ_INT(f->drops, 0);
    pl_coro_unref(coro);
    EXPECT_REPORTS(f, "PL_OK ");
    CHECK_STR(f->report_message, never_awaited);
    CHECK_STR(f->report_where, "here.c:12");
    CHECK(f->report_loop == f->loop);
    CHECK_EQ_INT(f->drops, 1);
    EXPECT_TRACE(f, "");
    pl_coro_unref(NULL);
    CHECK(pl_coro_ref(NULL) == NULL);
    return 0;
}

WAITS_CASE(one_that_is_closed_is_dropped_without_a_report, 0)
{
    waits *w = arg;
    fixture *f = &w->f;
    pl_coro *coro = make(f, return_seven);
    CHECK_EQ_INT(pl_coro_close(coro), PL_OK);
    CHECK_EQ_INT(f->drops, 1);
    CHECK_EQ_INT(pl_coro_close(coro), PL_OK);
    pl_coro_unref(coro);
    CHECK_EQ_INT(f->drops, 1);
    CHECK_EQ_INT(pl_coro_create(&coro, return_seven, f, NULL), PL_OK); /* nothing to drop it with */
    CHECK_EQ_INT(pl_coro_close(coro), PL_OK);
    pl_coro_unref(coro);
    return 0;
}

typedef struct kept {
    fixture f;
    pl_coro *coros[3];
} kept;

static int64_t make_and_keep(void *arg)
{
    kept *k = arg;
    for (int i = 0; i < 3; i++)
        k->coros[i] = make(&k->f, return_seven);
    CHECK_EQ_INT(pl_coro_close(k->coros[1]), PL_OK);
    return 0;
}

TEST_CASE(those_that_are_left_at_the_loops_close_are_reported_and_dropped)
{
    kept k = {.coros = {NULL}};
    REQUIRE(fixture_open(&k.f, t));
    CHECK_EQ_INT(run_task(&k.f, make_and_keep, &k), 0);
    CHECK_EQ_INT(k.f.drops, 1);
    CHECK_EQ_INT(pl_loop_close(k.f.loop), PL_OK);
    CHECK_STR(k.f.report_message, never_awaited);
    CHECK_EQ_INT(k.f.drops, 3);
    for (int i = 0; i < 3; i++) { /* they are there, and of no use */
        CHECK_EQ_INT(pl_coro_spawn(NULL, k.coros[i], NULL), PL_ESTATE);
        CHECK_EQ_INT(pl_coro_close(k.coros[i]), PL_OK);
        pl_coro_unref(k.coros[i]);
    }
    CHECK_EQ_INT(k.f.drops, 3);
    EXPECT_REPORTS(&k.f, "PL_OK PL_OK "); /* once each */
}

static void drop_and_make_another(void *arg)
{
    fixture *f = arg;
    pl_coro *coro = NULL;
    f->drops++;
    f->counts[0] = pl_coro_create(&coro, return_seven, f, fixture_drop);
    pl_coro_unref(coro);
}

static int64_t make_one_that_makes_another(void *arg)
{
    kept *k = arg;
    CHECK_EQ_INT(pl_coro_create(&k->coros[0], return_seven, &k->f, drop_and_make_another), PL_OK);
    return 0;
}

TEST_CASE(a_drop_at_the_loops_close_may_make_another)
{
    kept k = {.coros = {NULL}};
    REQUIRE(fixture_open(&k.f, t));
    CHECK_EQ_INT(run_task(&k.f, make_one_that_makes_another, &k), 0);
    CHECK_EQ_INT(pl_loop_close(k.f.loop), PL_OK);
    pl_coro_unref(k.coros[0]);
    CHECK_EQ_INT(k.f.counts[0], PL_OK);
    CHECK_EQ_INT(k.f.drops, 2);
    EXPECT_REPORTS(&k.f, "PL_OK PL_OK ");
}

TEST_CASE(one_made_without_a_loop_is_dropped_when_it_is_let_go)
{
    fixture f;
    pl_coro *coro = NULL;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_coro_create(&coro, return_seven, &f, fixture_drop), PL_OK);
    CHECK_EQ_INT(pl_coro_await(coro), PL_ENOTASK); /* which changes nothing */
    CHECK_EQ_INT(pl_coro_wait_for(coro, 0), PL_ENOTASK);
    CHECK_EQ_INT(f.drops, 0);
    pl_coro_unref(coro); /* its report goes to standard error */
    EXPECT_REPORTS(&f, "");
    CHECK_EQ_INT(f.drops, 1);
    fixture_close(&f);
}

/* --- Within a limit ----------------------------------------------------------------------------------------------- */

/* test_wait_for_timeout_less_then_0_or_0_coroutine_do_not_started */
WAITS_CASE(without_time_the_call_is_not_made, 0)
{
    waits *w = arg;
    fixture *f = &w->f;
    for (int i = 0; i < 2; i++) {
        pl_coro *coro = make(f, return_seven);
        CHECK_EQ_INT(pl_coro_wait_for(coro, i == 0 ? 0 : PL_SECONDS(-1)), PL_ETIMEDOUT);
        CHECK_EQ_INT(f->drops, i + 1);
        pl_coro_unref(coro);
    }
    EXPECT_TRACE(f, "");
    return 0;
}

WAITS_CASE(within_the_limit_it_returns_what_the_call_does, 1)
{
    waits *w = arg;
    fixture *f = &w->f;
    pl_coro *coro = make(f, return_seven);
    CHECK_EQ_INT(pl_coro_wait_for(coro, PL_FOREVER), 7);
    pl_coro_unref(coro);
    coro = make(f, await_first);
    CHECK_EQ_INT(pl_coro_wait_for(coro, PL_MS(1)), PL_ETIMEDOUT);
    pl_coro_unref(coro);
    EXPECT_TRACE(f, "seven PL_ECANCELED ");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(f->drops, 0);
    return 0;
}

WAITS_CASE(in_a_cancelled_scope_one_without_time_is_dropped, 0)
{
    waits *w = arg;
    fixture *f = &w->f;
    pl_timeout timeout = {0};
    pl_coro *coro = make(f, return_seven);
    CHECK_EQ_INT(pl_timeout_begin(&timeout, 0), PL_OK);
    CHECK_EQ_INT(pl_coro_wait_for(coro, 0), PL_ECANCELED);
    CHECK_EQ_INT(f->drops, 1);
    pl_coro_unref(coro);
    CHECK_EQ_INT(pl_timeout_end(&timeout, PL_ECANCELED), PL_ETIMEDOUT);
    return 0;
}

/* --- Misuse, and no memory ---------------------------------------------------------------------------------------- */

TEST_CASE(what_makes_no_sense_is_refused)
{
    fixture f;
    pl_coro *coro = NULL;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_coro_create(NULL, return_seven, &f, fixture_drop), PL_EINVAL);
    CHECK_EQ_INT(pl_coro_create(&coro, NULL, &f, fixture_drop), PL_EINVAL);
    CHECK(coro == NULL);
    CHECK_EQ_INT(f.drops, 2);
    CHECK_EQ_INT(pl_coro_await(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_coro_wait_for(NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_coro_spawn(NULL, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_coro_close(NULL), PL_EINVAL);
    fixture_close(&f);
}

static void use_in_another_thread(void *arg)
{
    pl_coro *coro = arg;
    CHECK_EQ_INT(pl_coro_spawn(NULL, coro, NULL), PL_ETHREAD);
    CHECK_EQ_INT(pl_coro_close(coro), PL_ETHREAD);
}

static int64_t make_one(void *arg)
{
    kept *k = arg;
    k->coros[0] = make(&k->f, return_seven);
    return 0;
}

TEST_CASE(in_debug_mode_another_thread_is_refused)
{
    kept k = {.coros = {NULL}};
    REQUIRE(fixture_open_debug(&k.f, t));
    CHECK_EQ_INT(run_task(&k.f, make_one, &k), 0);
    CHECK(test_in_thread(use_in_another_thread, k.coros[0]));
    CHECK_EQ_INT(k.f.drops, 0);
    CHECK_EQ_INT(pl_coro_close(k.coros[0]), PL_OK);
    CHECK_EQ_INT(k.f.drops, 1);
    pl_coro_unref(k.coros[0]);
    fixture_close(&k.f);
}

/* The object, the task that is made of it, and the limit's timer. */
TEST_CASE(without_memory_the_argument_is_dropped)
{
    fixture f;
    allocation a;
    pl_coro *coro = NULL;
    pl_task_options options = {.size = sizeof options};
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE_OR(fixture_open(&f, t), goto out);
    options.loop = f.loop;
    a.fail_at = a.calls + 1;
    CHECK_EQ_INT(pl_coro_create(&coro, return_seven, &f, fixture_drop), PL_ENOMEM);
    CHECK(coro == NULL);
    CHECK_EQ_INT(f.drops, 1);
    CHECK_EQ_INT(pl_coro_create(&coro, return_seven, &f, fixture_drop), PL_OK);
    a.fail_at = a.calls + 1;
    CHECK_EQ_INT(pl_coro_spawn(NULL, coro, &options), PL_ENOMEM);
    CHECK_EQ_INT(f.drops, 2);
    pl_coro_unref(coro);
    fixture_close(&f);
out:
    allocation_end(&a);
}

typedef struct shortage {
    fixture *f;
    allocation *a;
} shortage;

static int64_t wait_without_memory(void *arg)
{
    shortage *s = arg;
    pl_coro *coro = make(s->f, return_seven);
    s->a->fail_at = s->a->calls + 1;
    CHECK_EQ_INT(pl_coro_wait_for(coro, PL_SECONDS(1)), PL_ENOMEM);
    CHECK_EQ_INT(s->f->drops, 1);
    pl_coro_unref(coro);
    return 0;
}

TEST_CASE(a_limit_that_finds_no_memory_drops_the_argument)
{
    fixture f;
    allocation a;
    shortage s = {.f = &f, .a = &a};
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE_OR(fixture_open(&f, t), goto out);
    CHECK_EQ_INT(run_task(&f, wait_without_memory, &s), 0);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
out:
    allocation_end(&a);
}

TEST_SUITE(coro, TEST_BACKENDS_ALL,
           CASE(awaiting_makes_the_call_in_this_task),
           CASE(a_second_use_is_refused_whatever_the_first_was),
           CASE(one_that_awaits_itself_is_told),
           CASE(a_task_is_made_of_it_with_the_options_given),
           CASE(a_task_of_it_that_is_cancelled_before_it_ran_drops_the_argument_once),
           CASE(a_spawn_that_fails_drops_it_without_a_report),
           CASE(one_that_is_let_go_unused_is_reported_and_dropped),
           CASE(one_that_is_closed_is_dropped_without_a_report),
           CASE(those_that_are_left_at_the_loops_close_are_reported_and_dropped),
           CASE(a_drop_at_the_loops_close_may_make_another),
           CASE(one_made_without_a_loop_is_dropped_when_it_is_let_go),
           CASE(without_time_the_call_is_not_made),
           CASE(within_the_limit_it_returns_what_the_call_does),
           CASE(in_a_cancelled_scope_one_without_time_is_dropped),
           CASE(what_makes_no_sense_is_refused),
           CASE(in_debug_mode_another_thread_is_refused),
           CASE(without_memory_the_argument_is_dropped),
           CASE(a_limit_that_finds_no_memory_drops_the_argument))
