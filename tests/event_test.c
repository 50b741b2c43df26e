/* Events: who is woken by a set, and who waits after a clear. */
#include "stage.h"

typedef struct waiting {
    stage s; /* the first member */
    pl_event event;
} waiting;

static int64_t wait_for_it(void *arg)
{
    waiting *s = arg;
    int rc = pl_event_wait(&s->event);
    say_code(s, rc);
    return rc;
}

static int64_t wait_and_yield(void *arg)
{
    int64_t rc = wait_for_it(arg);
    say_code(arg, pl_yield());
    return rc;
}

/* test_wait */
STAGE_CASE(waiting, a_set_wakes_all_who_wait_in_the_order_they_came)
{
    CHECK_EQ_INT(pl_event_is_set(&s->event), 0);
    enter(s, 0, wait_for_it);
    enter(s, 1, wait_for_it);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "");
    enter(s, 2, wait_for_it); /* runs first, and finds it set */
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    CHECK_EQ_INT(pl_event_is_set(&s->event), 1);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "c:PL_OK a:PL_OK b:PL_OK ");
    CHECK(has_ended(s, 0) && has_ended(s, 1) && has_ended(s, 2));
}

/* test_wait_on_set */
STAGE_CASE(waiting, an_event_that_is_set_is_not_waited_for)
{
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    enter(s, 0, wait_for_it);
    enter(s, 1, wait_for_it);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_OK ");
    CHECK_EQ_INT(pl_event_is_set(&s->event), 1); /* waiting does not clear it */
}

/* test_clear */
STAGE_CASE(waiting, after_a_clear_tasks_wait_again)
{
    CHECK_EQ_INT(pl_event_clear(&s->event), PL_OK);
    CHECK_EQ_INT(pl_event_is_set(&s->event), 0);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    CHECK_EQ_INT(pl_event_clear(&s->event), PL_OK);
    CHECK_EQ_INT(pl_event_is_set(&s->event), 0);
    enter(s, 0, wait_for_it);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "");
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

/* test_clear_with_waiters */
STAGE_CASE(waiting, those_who_were_woken_go_on_although_it_was_cleared)
{
    enter(s, 0, wait_for_it);
    enter(s, 1, wait_for_it);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    CHECK_EQ_INT(pl_event_clear(&s->event), PL_OK);
    CHECK_EQ_INT(pl_event_is_set(&s->event), 0);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_OK ");
}

STAGE_CASE(waiting, who_comes_after_set_and_clear_waits_for_the_next_set)
{
    enter(s, 0, wait_for_it);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    CHECK_EQ_INT(pl_event_clear(&s->event), PL_OK);
    enter(s, 1, wait_for_it);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_OK ");
}

/* test_wait_cancel */
STAGE_CASE_CANCEL(waiting, a_cancelled_wait_leaves_the_others)
{
    for (int i = 0; i < 3; i++)
        enter(s, i, wait_for_it);
    turn(&s->s.f, 1);
    cancel(s, 1, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_ECANCELED ");
    CHECK_EQ_INT(result_of(s, 1), cancelled_with(kind));
    cancel(s, 2, kind);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK); /* with one that is cancelled and has not gone */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "c:PL_ECANCELED a:PL_OK ");
}

/* In one iteration: the set, then the cancel. An edge wins, a level comes at the next wait. */
STAGE_CASE(waiting, cancelled_between_the_set_and_its_step_a_task_is_cancelled)
{
    enter(s, 0, wait_and_yield);
    enter(s, 1, wait_and_yield);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    cancel(s, 0, EDGE);
    cancel(s, 1, LEVEL);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK a:PL_OK b:PL_ECANCELED ");
}

static int64_t wait_when_cancelled(void *arg)
{
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    return wait_for_it(arg);
}

STAGE_CASE(waiting, in_a_cancelled_scope_an_event_is_not_waited_for)
{
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    enter(s, 0, wait_when_cancelled);
    turn(&s->s.f, 1);
    cancel(s, 0, LEVEL);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
}

static int64_t wait_a_millisecond(void *arg)
{
    pl_timeout limit = {0};
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    return pl_timeout_end(&limit, wait_for_it(arg));
}

STAGE_CASE(waiting, a_time_limit_ends_the_wait_for_an_event)
{
    enter(s, 0, wait_a_millisecond);
    finish(s, 0);
    CHECK_EQ_INT(result_of(s, 0), PL_ETIMEDOUT);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
}

static int64_t wait_shielded(void *arg)
{
    pl_shielded shielded = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    rc = wait_for_it(arg);
    pl_shielded_end(&shielded);
    say_code(arg, pl_yield());
    return rc;
}

STAGE_CASE_CANCEL(waiting, a_shielded_wait_is_not_cancelled)
{
    enter(s, 0, wait_shielded);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "");
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK a:PL_ECANCELED ");
}

static int64_t wait_often(void *arg)
{
    waiting *s = arg;
    for (int i = 0; i < 10; i++)
        CHECK_EQ_INT(pl_event_wait(&s->event), PL_OK);
    say(s, "end");
    return PL_OK;
}

static int64_t end_at_once(void *arg)
{
    say(arg, "end");
    return PL_OK;
}

TEST_CASE(a_task_that_waits_for_set_events_only_gives_way)
{
    waiting s = {0};
    pl_loop_options options = {.backend = t->backend, .task_budget = 8};
    REQUIRE(fixture_open_with(&s.s.f, options));
    CHECK_EQ_INT(pl_event_set(&s.event), PL_OK);
    enter(&s, 0, wait_often);
    enter(&s, 1, end_at_once);
    finish(&s, 0);
    EXPECT_TRACE(&s.s.f, "b:end a:end ");
    fixture_close(&s.s.f);
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

static int64_t wait_for_nothing(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_event_wait(NULL), PL_EINVAL);
    return PL_OK;
}

STAGE_CASE(waiting, a_call_that_makes_no_sense_is_refused)
{
    CHECK_EQ_INT(pl_event_wait(&s->event), PL_ENOTASK);
    CHECK_EQ_INT(pl_event_set(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_event_clear(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_event_is_set(NULL), PL_EINVAL);
    CHECK_EQ_INT(run_task(&s->s.f, wait_for_nothing, s), PL_OK);
}

static int64_t use_an_event_of_another_loop(void *arg)
{
    waiting *s = arg;
    CHECK_EQ_INT(pl_event_wait(&s->event), PL_EINVAL);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_EINVAL);
    CHECK_EQ_INT(pl_event_clear(&s->event), PL_EINVAL);
    return PL_OK;
}

/* test_ambiguous_loops */
TEST_CASE(an_event_belongs_to_the_first_loop_in_which_a_task_waited_for_it)
{
    waiting s = {0};
    fixture other;
    REQUIRE(fixture_open(&s.s.f, t));
    REQUIRE(fixture_open(&other, t));
    enter(&s, 0, wait_for_it);
    turn(&s.s.f, 1);
    CHECK_EQ_INT(run_task(&other, use_an_event_of_another_loop, &s), PL_OK);
    CHECK_EQ_INT(pl_event_is_set(&s.event), 0);
    CHECK_EQ_INT(pl_event_set(&s.event), PL_OK);
    finish(&s, 0);
    EXPECT_TRACE(&s.s.f, "a:PL_OK ");
    CHECK_EQ_INT(run_task(&other, use_an_event_of_another_loop, &s), PL_OK);
    fixture_close(&other);
    fixture_close(&s.s.f);
}

static void set_from_here(void *arg)
{
    waiting *s = arg;
    s->s.f.results[0] = pl_event_set(&s->event);
    s->s.f.results[1] = pl_event_clear(&s->event);
}

STAGE_CASE_DEBUG(waiting, another_thread_may_not_set_an_event_that_is_waited_for)
{
    enter(s, 0, wait_for_it);
    turn(&s->s.f, 1);
    CHECK(test_in_thread(set_from_here, s));
    CHECK_EQ_INT(s->s.f.results[0], PL_ETHREAD);
    CHECK_EQ_INT(s->s.f.results[1], PL_ETHREAD);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

/* --- As a whole --------------------------------------------------------------------------------------------------- */

STAGE_CASE_ALLOCATION(waiting, an_event_allocates_nothing)
{
    int64_t calls;
    enter(s, 0, wait_for_it);
    enter(s, 1, wait_for_it);
    enter(s, 2, end_at_once);
    turn(&s->s.f, 1);
    calls = a->calls;
    cancel(s, 0, EDGE);
    CHECK_EQ_INT(pl_event_set(&s->event), PL_OK);
    turn(&s->s.f, 2);
    CHECK_EQ_INT(a->calls, calls);
    EXPECT_TRACE(&s->s.f, "c:end a:PL_ECANCELED b:PL_OK ");
}

TEST_CASE(the_end_of_the_loop_cancels_those_who_wait)
{
    waiting s = {0};
    REQUIRE(fixture_open(&s.s.f, t));
    enter(&s, 0, wait_for_it);
    enter(&s, 1, wait_for_it);
    turn(&s.s.f, 1);
    fixture_close(&s.s.f);
    CHECK_STR(s.s.f.trace, "a:PL_ECANCELED b:PL_ECANCELED ");
    CHECK_EQ_INT(pl_event_set(&s.event), PL_OK); /* nobody is left to be woken */
}

TEST_SUITE(event, TEST_BACKENDS_ALL,
           CASE(a_set_wakes_all_who_wait_in_the_order_they_came),
           CASE(an_event_that_is_set_is_not_waited_for),
           CASE(after_a_clear_tasks_wait_again),
           CASE(those_who_were_woken_go_on_although_it_was_cleared),
           CASE(who_comes_after_set_and_clear_waits_for_the_next_set),
           CASE(a_cancelled_wait_leaves_the_others),
           CASE(cancelled_between_the_set_and_its_step_a_task_is_cancelled),
           CASE(in_a_cancelled_scope_an_event_is_not_waited_for),
           CASE(a_time_limit_ends_the_wait_for_an_event),
           CASE(a_shielded_wait_is_not_cancelled),
           CASE(a_task_that_waits_for_set_events_only_gives_way),
           CASE(a_call_that_makes_no_sense_is_refused),
           CASE(an_event_belongs_to_the_first_loop_in_which_a_task_waited_for_it),
           CASE(another_thread_may_not_set_an_event_that_is_waited_for),
           CASE(an_event_allocates_nothing),
           CASE(the_end_of_the_loop_cancels_those_who_wait))
