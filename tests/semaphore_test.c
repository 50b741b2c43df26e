/* Semaphores: the order of those who wait, and what becomes of one that went to a cancelled task. */
#include "stage.h"

typedef struct counting {
    stage s; /* the first member */
    pl_semaphore semaphore;
    int inside; /* tasks that have one */
} counting;

static void init(counting *s, int64_t value)
{
    CHECK_EQ_INT(pl_semaphore_init(&s->semaphore, value, 0), PL_OK);
}

static void give(counting *s)
{
    CHECK_EQ_INT(pl_semaphore_release(&s->semaphore), PL_OK);
}

static int64_t value_of(const counting *s)
{
    return pl_semaphore_value(&s->semaphore);
}

static int64_t take(void *arg)
{
    counting *s = arg;
    int rc = pl_semaphore_acquire(&s->semaphore);
    say_code(s, rc);
    return rc;
}

static int64_t take_and_yield(void *arg)
{
    int64_t rc = take(arg);
    say_code(arg, pl_yield());
    return rc;
}

/* test_semaphore, test_initial_value_zero, test_release_no_waiters */
STAGE_CASE(counting, a_semaphore_counts)
{
    init(s, 0);
    CHECK_EQ_INT(value_of(s), 0);
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 1);
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s->semaphore), PL_EBUSY);
    give(s);
    give(s);
    CHECK_EQ_INT(value_of(s), 2);
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 0);
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s->semaphore), PL_OK);
    enter(s, 0, take);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK "); /* without a wait */
    CHECK_EQ_INT(value_of(s), 0);
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 1);
    give(s);
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 0);
}

/* test_acquire */
STAGE_CASE(counting, as_many_as_there_are_go_on)
{
    init(s, 3);
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s->semaphore), PL_OK);
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s->semaphore), PL_OK);
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 0);
    for (int i = 0; i < 3; i++)
        enter(s, i, take);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 1);
    CHECK_EQ_INT(value_of(s), 0);
    enter(s, 3, take);
    give(s);
    give(s);
    CHECK_EQ_INT(value_of(s), 0); /* on their way */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_OK c:PL_OK ");
    CHECK_EQ_INT(value_of(s), 0);
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 1);
    give(s);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "d:PL_OK ");
}

/* --- The order ---------------------------------------------------------------------------------------------------- */

static int64_t take_release_twice(void *arg)
{
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(take(arg), PL_OK);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        give(arg);
    }
    return PL_OK;
}

/* test_acquire_fifo_order */
STAGE_CASE(counting, acquire_fifo_order_of_those_who_come_again)
{
    init(s, 1);
    for (int i = 0; i < 3; i++)
        enter(s, i, take_release_twice);
    for (int i = 0; i < 3; i++)
        finish(s, i);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_OK c:PL_OK a:PL_OK b:PL_OK c:PL_OK ");
    CHECK_EQ_INT(value_of(s), 1);
}

static int64_t take_release_take(void *arg)
{
    CHECK_EQ_INT(take(arg), PL_OK);
    give(arg);
    return take(arg);
}

/* test_acquire_fifo_order_2 (gh-90155): b gives one back while c is on its way with one: b comes after c. */
STAGE_CASE(counting, acquire_fifo_order_holds_while_a_task_is_on_its_way)
{
    init(s, 1);
    enter(s, 0, take);
    enter(s, 1, take_release_take);
    enter(s, 2, take);
    turn(&s->s.f, 1);
    give(s);
    give(s);
    finish(s, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_OK c:PL_OK b:PL_OK ");
    CHECK_EQ_INT(value_of(s), 0);
}

/* test_acquire_fifo_order_3 (gh-90155) */
STAGE_CASE_CANCEL(counting, acquire_fifo_order_passes_a_cancelled_waiter)
{
    init(s, 0);
    for (int i = 0; i < 3; i++)
        enter(s, i, take);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    give(s);
    give(s);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK c:PL_OK ");
    CHECK_EQ_INT(value_of(s), 0);
}

static int64_t end_at_once(void *arg)
{
    say(arg, "end");
    return PL_OK;
}

static int64_t take_and_start_d(void *arg)
{
    counting *s = arg;
    CHECK_EQ_INT(value_of(s), 0);
    CHECK_EQ_INT(take(arg), PL_OK);
    CHECK_EQ_INT(value_of(s), 0); /* it has woken all who wait */
    enter(s, 3, end_at_once);
    return PL_OK;
}

static int64_t give_three_and_take(void *arg)
{
    counting *s = arg;
    for (int i = 0; i < 3; i++)
        give(s);
    CHECK_EQ_INT(value_of(s), 2);
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 1); /* a has not gone on yet */
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s->semaphore), PL_EBUSY);
    return take(arg);
}

/* test_acquire_fifo_order_4: one that goes on wakes all who had to queue up behind it. */
STAGE_CASE(counting, acquire_fifo_order_who_goes_on_wakes_those_behind)
{
    init(s, 0);
    enter(s, 0, take_and_start_d);
    enter(s, 1, give_three_and_take);
    enter(s, 2, take);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(value_of(s), 2);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_OK c:PL_OK d:end ");
    CHECK_EQ_INT(value_of(s), 0);
}

/* --- Cancelled ---------------------------------------------------------------------------------------------------- */

/* test_acquire_cancel */
STAGE_CASE_CANCEL(counting, a_cancelled_acquire_takes_nothing)
{
    init(s, 1);
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s->semaphore), PL_OK);
    enter(s, 0, take);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(result_of(s, 0), cancelled_with(kind));
    give(s);
    CHECK_EQ_INT(value_of(s), 1);
}

/* test_acquire_cancel_before_awoken */
STAGE_CASE_CANCEL(counting, acquire_cancel_before_awoken_the_next_gets_it)
{
    init(s, 0);
    for (int i = 0; i < 4; i++)
        enter(s, i, take);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    cancel(s, 1, kind);
    give(s);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_ECANCELED c:PL_OK ");
    CHECK(!has_ended(s, 3));
    cancel(s, 3, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "d:PL_ECANCELED ");
    CHECK_EQ_INT(value_of(s), 0);
}

/* test_acquire_hang */
STAGE_CASE_CANCEL(counting, acquire_hang_the_next_goes_on)
{
    init(s, 0);
    enter(s, 0, take);
    enter(s, 1, take);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    give(s);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK ");
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 1);
}

static int64_t take_yield_give_and_cancel_b(void *arg)
{
    counting *s = arg;
    CHECK_EQ_INT(take(arg), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    give(s);
    cancel(s, 1, EDGE);
    return PL_OK;
}

/* test_acquire_no_hang (gh-93997): b was given one, and is cancelled before it goes on: it is there again. */
STAGE_CASE(counting, acquire_no_hang_what_a_cancelled_task_was_given_is_there_again)
{
    init(s, 1);
    enter(s, 0, take_yield_give_and_cancel_b);
    enter(s, 1, take);
    finish(s, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_ECANCELED ");
    CHECK_EQ_INT(value_of(s), 1);
    enter(s, 2, take);
    finish(s, 2);
    EXPECT_TRACE(&s->s.f, "c:PL_OK ");
}

/* The same, and another one waits (gh-93997). */
STAGE_CASE(counting, what_a_cancelled_task_was_given_goes_to_the_next)
{
    init(s, 0);
    enter(s, 0, take);
    enter(s, 1, take);
    turn(&s->s.f, 1);
    give(s);
    cancel(s, 0, EDGE);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK ");
    CHECK_EQ_INT(value_of(s), 0);
}

/* Those who queued up behind a task that was on its way go on when it is cancelled. */
STAGE_CASE(counting, who_waits_behind_a_task_that_is_cancelled_on_its_way_goes_on)
{
    init(s, 0);
    enter(s, 0, take);
    turn(&s->s.f, 1);
    enter(s, 1, take); /* runs before a, and queues up */
    enter(s, 2, take);
    for (int i = 0; i < 3; i++)
        give(s);
    cancel(s, 0, EDGE);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK c:PL_OK ");
    CHECK_EQ_INT(value_of(s), 1);
}

STAGE_CASE(counting, a_level_that_comes_after_the_release_leaves_what_was_given)
{
    init(s, 0);
    enter(s, 0, take_and_yield);
    turn(&s->s.f, 1);
    give(s);
    cancel(s, 0, LEVEL);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK a:PL_ECANCELED ");
    CHECK_EQ_INT(value_of(s), 0);
}

static int64_t try_when_cancelled(void *arg)
{
    counting *s = arg;
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    say_code(s, pl_semaphore_acquire(&s->semaphore));
    say_code(s, pl_semaphore_try_acquire(&s->semaphore));
    return PL_OK;
}

STAGE_CASE(counting, in_a_cancelled_scope_one_is_taken_only_by_trying)
{
    init(s, 1);
    enter(s, 0, try_when_cancelled);
    turn(&s->s.f, 1);
    cancel(s, 0, LEVEL);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED a:PL_OK ");
}

static int64_t take_within_a_millisecond(void *arg)
{
    pl_timeout limit = {0};
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    return pl_timeout_end(&limit, take(arg));
}

STAGE_CASE(counting, a_time_limit_ends_the_wait_for_a_semaphore)
{
    init(s, 0);
    enter(s, 0, take_within_a_millisecond);
    finish(s, 0);
    CHECK_EQ_INT(result_of(s, 0), PL_ETIMEDOUT);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    give(s);
    CHECK_EQ_INT(value_of(s), 1);
}

static int64_t take_shielded(void *arg)
{
    pl_shielded shielded = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    rc = take(arg);
    pl_shielded_end(&shielded);
    say_code(arg, pl_yield());
    return rc;
}

STAGE_CASE_CANCEL(counting, a_shielded_acquire_is_not_cancelled)
{
    init(s, 0);
    enter(s, 0, take_shielded);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "");
    give(s);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK a:PL_ECANCELED ");
}

static int64_t take_often(void *arg)
{
    for (int i = 0; i < 10; i++)
        CHECK_EQ_INT(pl_semaphore_acquire(&((counting *)arg)->semaphore), PL_OK);
    say(arg, "end");
    return PL_OK;
}

TEST_CASE(a_task_that_takes_without_waiting_gives_way)
{
    counting s = {0};
    pl_loop_options options = {.backend = t->backend, .task_budget = 8};
    REQUIRE(fixture_open_with(&s.s.f, options));
    init(&s, 10);
    enter(&s, 0, take_often);
    enter(&s, 1, end_at_once);
    finish(&s, 0);
    EXPECT_TRACE(&s.s.f, "b:end a:end ");
    fixture_close(&s.s.f);
}

/* --- Limits and misuse -------------------------------------------------------------------------------------------- */

/* test_release_not_acquired */
STAGE_CASE(counting, a_bounded_semaphore_is_not_released_too_often)
{
    CHECK_EQ_INT(pl_semaphore_init(&s->semaphore, 1, 1), PL_OK);
    CHECK_EQ_INT(pl_semaphore_release(&s->semaphore), PL_ESTATE);
    CHECK_EQ_INT(value_of(s), 1);
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s->semaphore), PL_OK);
    enter(s, 0, take);
    turn(&s->s.f, 1);
    give(s); /* to a */
    give(s);
    CHECK_EQ_INT(pl_semaphore_release(&s->semaphore), PL_ESTATE);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    CHECK_EQ_INT(value_of(s), 1);
    CHECK_EQ_INT(pl_semaphore_init(&s->semaphore, 1, 3), PL_OK);
    give(s);
    give(s);
    CHECK_EQ_INT(pl_semaphore_release(&s->semaphore), PL_ESTATE);
    CHECK_EQ_INT(value_of(s), 3);
}

static int64_t acquire_nothing(void *arg)
{
    counting *s = arg;
    CHECK_EQ_INT(pl_semaphore_acquire(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_acquire(&s->semaphore), PL_ESTATE);
    return PL_OK;
}

/* test_semaphore_value */
STAGE_CASE(counting, a_call_that_makes_no_sense_is_refused)
{
    CHECK_EQ_INT(pl_semaphore_init(NULL, 1, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_init(&s->semaphore, -1, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_init(&s->semaphore, 0, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_init(&s->semaphore, 3, 2), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_try_acquire(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_release(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_value(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_is_locked(NULL), PL_EINVAL);
    /* Nothing before init. */
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s->semaphore), PL_ESTATE);
    CHECK_EQ_INT(pl_semaphore_release(&s->semaphore), PL_ESTATE);
    CHECK_EQ_INT(pl_semaphore_value(&s->semaphore), PL_ESTATE);
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), PL_ESTATE);
    CHECK_EQ_INT(run_task(&s->s.f, acquire_nothing, s), PL_OK);
    init(s, INT64_MAX);
    CHECK_EQ_INT(pl_semaphore_acquire(&s->semaphore), PL_ENOTASK);
    CHECK_EQ_INT(pl_semaphore_release(&s->semaphore), PL_ESTATE); /* it cannot count further */
    CHECK_EQ_INT(value_of(s), INT64_MAX);
}

STAGE_CASE(counting, a_semaphore_that_is_waited_for_is_not_made_anew)
{
    init(s, 0);
    enter(s, 0, take);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_semaphore_init(&s->semaphore, 5, 0), PL_EBUSY);
    give(s);
    CHECK_EQ_INT(pl_semaphore_init(&s->semaphore, 5, 0), PL_EBUSY); /* a is on its way */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    init(s, 5);
    CHECK_EQ_INT(value_of(s), 5);
}

static int64_t use_a_semaphore_of_another_loop(void *arg)
{
    counting *s = arg;
    CHECK_EQ_INT(pl_semaphore_acquire(&s->semaphore), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s->semaphore), PL_EINVAL);
    CHECK_EQ_INT(pl_semaphore_release(&s->semaphore), PL_EINVAL);
    return PL_OK;
}

static int64_t take_and_give(void *arg)
{
    CHECK_EQ_INT(pl_semaphore_acquire(&((counting *)arg)->semaphore), PL_OK);
    give(arg);
    return PL_OK;
}

/* test_ambiguous_loops */
TEST_CASE(a_semaphore_belongs_to_the_first_loop_in_which_a_task_waited_for_it)
{
    counting s = {0};
    fixture other;
    REQUIRE(fixture_open(&s.s.f, t));
    REQUIRE(fixture_open(&other, t));
    init(&s, 1);
    CHECK_EQ_INT(run_task(&other, take_and_give, &s), PL_OK); /* nobody waited yet */
    CHECK_EQ_INT(pl_semaphore_try_acquire(&s.semaphore), PL_OK);
    enter(&s, 0, take);
    turn(&s.s.f, 1);
    CHECK_EQ_INT(run_task(&other, use_a_semaphore_of_another_loop, &s), PL_OK);
    give(&s);
    finish(&s, 0);
    EXPECT_TRACE(&s.s.f, "a:PL_OK ");
    CHECK_EQ_INT(run_task(&other, use_a_semaphore_of_another_loop, &s), PL_OK);
    fixture_close(&other);
    fixture_close(&s.s.f);
}

static void release_from_here(void *arg)
{
    counting *s = arg;
    s->s.f.results[0] = pl_semaphore_release(&s->semaphore);
    s->s.f.results[1] = pl_semaphore_try_acquire(&s->semaphore);
}

STAGE_CASE_DEBUG(counting, another_thread_may_not_release_a_semaphore_that_is_waited_for)
{
    init(s, 0);
    enter(s, 0, take);
    turn(&s->s.f, 1);
    CHECK(test_in_thread(release_from_here, s));
    CHECK_EQ_INT(s->s.f.results[0], PL_ETHREAD);
    CHECK_EQ_INT(s->s.f.results[1], PL_ETHREAD);
    give(s);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

/* --- As a whole --------------------------------------------------------------------------------------------------- */

STAGE_CASE_ALLOCATION(counting, a_semaphore_allocates_nothing)
{
    int64_t calls;
    init(s, 0);
    enter(s, 0, take);
    enter(s, 1, take);
    enter(s, 2, end_at_once);
    turn(&s->s.f, 1);
    calls = a->calls;
    give(s);
    cancel(s, 0, EDGE);
    turn(&s->s.f, 3);
    CHECK_EQ_INT(a->calls, calls);
    EXPECT_TRACE(&s->s.f, "c:end a:PL_ECANCELED b:PL_OK ");
}

TEST_CASE(the_end_of_the_loop_cancels_those_who_wait)
{
    counting s = {0};
    REQUIRE(fixture_open(&s.s.f, t));
    init(&s, 0);
    enter(&s, 0, take);
    enter(&s, 1, take);
    turn(&s.s.f, 1);
    fixture_close(&s.s.f);
    CHECK_STR(s.s.f.trace, "a:PL_ECANCELED b:PL_ECANCELED ");
    give(&s);
    CHECK_EQ_INT(value_of(&s), 1);
}

static void take_if_not_cancelled(counting *s)
{
    if (pl_semaphore_acquire(&s->semaphore) < 0)
        return;
    CHECK(++s->inside <= 3);
    s->s.f.counts[1]++;
    (void)pl_yield();
    s->inside--;
    give(s);
}

/* Takes and gives back, whatever cancels it, until it is told to end. */
static int64_t take_again_and_again(void *arg)
{
    counting *s = arg;
    while (s->s.f.counts[0] == 0) {
        pl_timeout scope = {0};
        begin_round(s, &scope);
        take_if_not_cancelled(s);
        end_round(s, &scope);
    }
    return PL_OK;
}

STAGE_CASE(counting, cancelled_at_random_nothing_is_lost_nor_made)
{
    uint64_t seed = 0x5e3a;
    CHECK_EQ_INT(pl_semaphore_init(&s->semaphore, 3, 3), PL_OK);
    for (int i = 0; i < FIXTURE_SLOTS; i++)
        enter(s, i, take_again_and_again);
    for (int i = 0, n = scaled(2000); i < n; i++) {
        turn(&s->s.f, 1 + random_below(&seed, 2));
        cancel_at_random(s, &seed);
    }
    CHECK(s->s.f.counts[1] > 0);
    s->s.f.counts[0] = 1;
    for (int i = 0; i < FIXTURE_SLOTS; i++)
        finish(s, i);
    CHECK_EQ_INT(value_of(s), 3);
    CHECK_EQ_INT(pl_semaphore_is_locked(&s->semaphore), 0);
}

TEST_SUITE(semaphore, TEST_BACKENDS_ALL,
           CASE(a_semaphore_counts),
           CASE(as_many_as_there_are_go_on),
           CASE(acquire_fifo_order_of_those_who_come_again),
           CASE(acquire_fifo_order_holds_while_a_task_is_on_its_way),
           CASE(acquire_fifo_order_passes_a_cancelled_waiter),
           CASE(acquire_fifo_order_who_goes_on_wakes_those_behind),
           CASE(a_cancelled_acquire_takes_nothing),
           CASE(acquire_cancel_before_awoken_the_next_gets_it),
           CASE(acquire_hang_the_next_goes_on),
           CASE(acquire_no_hang_what_a_cancelled_task_was_given_is_there_again),
           CASE(what_a_cancelled_task_was_given_goes_to_the_next),
           CASE(who_waits_behind_a_task_that_is_cancelled_on_its_way_goes_on),
           CASE(a_level_that_comes_after_the_release_leaves_what_was_given),
           CASE(in_a_cancelled_scope_one_is_taken_only_by_trying),
           CASE(a_time_limit_ends_the_wait_for_a_semaphore),
           CASE(a_shielded_acquire_is_not_cancelled),
           CASE(a_task_that_takes_without_waiting_gives_way),
           CASE(a_bounded_semaphore_is_not_released_too_often),
           CASE(a_call_that_makes_no_sense_is_refused),
           CASE(a_semaphore_that_is_waited_for_is_not_made_anew),
           CASE(a_semaphore_belongs_to_the_first_loop_in_which_a_task_waited_for_it),
           CASE(another_thread_may_not_release_a_semaphore_that_is_waited_for),
           CASE(a_semaphore_allocates_nothing),
           CASE(the_end_of_the_loop_cancels_those_who_wait),
           CASE(cancelled_at_random_nothing_is_lost_nor_made))
