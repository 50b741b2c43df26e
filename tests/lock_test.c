/* Locks: first in first out, from hand to hand, and cancelled at every moment. */
#include "stage.h"

typedef struct locking {
    stage s; /* the first member */
    pl_lock lock;
    pl_lock other;
    int inside; /* tasks that hold the lock */
} locking;

/* Takes the lock and ends with it. */
static int64_t take(void *arg)
{
    locking *s = arg;
    int rc = pl_lock_acquire(&s->lock);
    say_code(s, rc);
    return rc;
}

/* Takes it, waits for the first future, gives it back. */
static int64_t hold(void *arg)
{
    locking *s = arg;
    int64_t rc = pl_lock_acquire(&s->lock);
    say_code(s, rc);
    if (rc < 0)
        return rc;
    rc = pl_await(s->s.f.futures[0]);
    say(s, "release");
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    return rc;
}

/* Takes it and gives it back at once. */
static int64_t pass(void *arg)
{
    locking *s = arg;
    int64_t rc = take(arg);
    if (rc == PL_OK)
        CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    return rc;
}

/* Takes it, and says what the next wait gives. */
static int64_t take_and_yield(void *arg)
{
    int64_t rc = take(arg);
    say_code(arg, pl_yield());
    return rc;
}

/* test_release_no_waiters, test_release_not_acquired */
STAGE_CASE(locking, a_lock_is_free_until_taken_and_after_release)
{
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_ESTATE);
    enter(s, 0, take);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK "); /* without a wait */
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_ESTATE);
}

/* test_acquire */
STAGE_CASE(locking, tasks_get_a_lock_in_the_order_they_asked)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, take);
    enter(s, 1, take);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "");
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "");
    enter(s, 2, take);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_OK ");
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "c:PL_OK ");
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

/* Between the release and the step of the task it went to. */
STAGE_CASE(locking, nobody_takes_a_lock_that_is_on_its_way)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, pass);
    turn(&s->s.f, 1);
    enter(s, 1, pass); /* will run before a does */
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_EBUSY);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_OK ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

static int64_t release_and_take_again(void *arg)
{
    locking *s = arg;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    say(s, "release");
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    return take(arg);
}

STAGE_CASE(locking, who_releases_a_lock_and_takes_it_again_comes_last)
{
    enter(s, 0, release_and_take_again);
    enter(s, 1, pass);
    enter(s, 2, pass);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:release b:PL_OK c:PL_OK a:PL_OK ");
}

/* test_acquire_cancel */
STAGE_CASE_CANCEL(locking, a_cancelled_acquire_takes_nothing)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, take);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(result_of(s, 0), cancelled_with(kind));
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

/* test_cancel_race: B is cancelled and A releases; C gets it. */
STAGE_CASE_CANCEL(locking, cancel_race_the_lock_passes_a_cancelled_waiter)
{
    new_future(&s->s.f, 0);
    enter(s, 0, hold);
    enter(s, 1, pass);
    enter(s, 2, pass);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    CHECK_EQ_INT(pl_future_set_result(s->s.f.futures[0], 0), PL_OK);
    cancel(s, 1, kind); /* b has not run when a releases */
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:release b:PL_ECANCELED c:PL_OK ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

/* test_cancel_release_race (bpo-32734): the first of three is cancelled while the lock is released: one more has it, not
 * two. */
STAGE_CASE_CANCEL(locking, cancel_release_race_gives_the_lock_to_one_task)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    for (int i = 0; i < 3; i++)
        enter(s, i, take);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    turn(&s->s.f, 3);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK ");
    cancel(s, 2, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "c:PL_ECANCELED ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
}

/* test_finished_waiter_cancelled: handed the lock, cancelled before it went on. */
STAGE_CASE(locking, finished_waiter_cancelled_hands_the_lock_on)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, take);
    enter(s, 1, pass);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    cancel(s, 0, EDGE);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_OK ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

STAGE_CASE(locking, finished_waiter_cancelled_frees_the_lock_if_nobody_else_waits)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, take);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    cancel(s, 0, EDGE);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

/* The same moment, as a level: what the task has it keeps, and the next wait says it. */
STAGE_CASE(locking, a_level_that_comes_after_the_lock_leaves_it)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, take_and_yield);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    cancel(s, 0, LEVEL);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK a:PL_ECANCELED ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
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

STAGE_CASE_CANCEL(locking, a_shielded_acquire_is_not_cancelled)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, take_shielded);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "");
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK a:PL_ECANCELED ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
}

static int64_t try_when_cancelled(void *arg)
{
    locking *s = arg;
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    say_code(s, pl_lock_acquire(&s->lock));
    say_code(s, pl_lock_try_acquire(&s->lock));
    return PL_OK;
}

STAGE_CASE(locking, in_a_cancelled_scope_a_free_lock_is_taken_only_by_trying)
{
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

STAGE_CASE(locking, a_time_limit_ends_the_wait_for_a_lock)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, take_within_a_millisecond);
    finish(s, 0);
    CHECK_EQ_INT(result_of(s, 0), PL_ETIMEDOUT);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
}

static int64_t take_twice(void *arg)
{
    locking *s = arg;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_EDEADLOCK);
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_EBUSY);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK); /* it was released: no deadlock */
    say(s, "end");
    return PL_OK;
}

STAGE_CASE(locking, a_task_that_waits_for_its_own_lock_is_told)
{
    enter(s, 0, take_twice);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:end ");
}

static int64_t take_then_take_again_later(void *arg)
{
    locking *s = arg;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_await(s->s.f.futures[0]), 0);
    return take(arg);
}

/* The lock is another task's now, so waiting for it is no deadlock. */
STAGE_CASE(locking, another_task_may_release_a_lock)
{
    new_future(&s->s.f, 0);
    enter(s, 0, take_then_take_again_later);
    enter(s, 1, take);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(s->s.f.futures[0], 0), PL_OK);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "b:PL_OK ");
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

/* The memory of the task that took the lock is used again for another. */
STAGE_CASE(locking, a_task_where_an_ended_holder_was_is_not_the_holder)
{
    enter(s, 0, take);
    finish(s, 0);
    pl_task_unref(s->s.f.tasks[0]);
    s->s.f.tasks[0] = NULL;
    enter(s, 1, take);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    finish(s, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_OK ");
}

static int64_t take_often(void *arg)
{
    locking *s = arg;
    for (int i = 0; i < 10; i++) {
        CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
        CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    }
    say(s, "end");
    return PL_OK;
}

static int64_t end_at_once(void *arg)
{
    say(arg, "end");
    return PL_OK;
}

TEST_CASE(a_task_that_takes_free_locks_only_gives_way)
{
    locking s = {0};
    pl_loop_options options = {.backend = t->backend, .task_budget = 8};
    REQUIRE(fixture_open_with(&s.s.f, options));
    enter(&s, 0, take_often);
    enter(&s, 1, end_at_once);
    finish(&s, 0);
    EXPECT_TRACE(&s.s.f, "b:end a:end ");
    fixture_close(&s.s.f);
}

/* --- The holder ends ---------------------------------------------------------------------------------------------- */

STAGE_CASE_DEBUG(locking, a_task_that_ends_with_a_lock_is_reported_in_debug_mode)
{
    enter(s, 0, take);
    turn(&s->s.f, 1);
    EXPECT_REPORTS(&s->s.f, "PL_ESTATE ");
    CHECK_STR(s->s.f.report_message, "a task ended while it held a lock");
    CHECK_STR(s->s.f.report_task, "a");
    CHECK(strstr(s->s.f.report_where, "lock_test.c:") != NULL);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1); /* it stays so */
    enter(s, 1, pass);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK); /* after its holder is gone */
    finish(s, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_OK ");
}

static int64_t take_two(void *arg)
{
    locking *s = arg;
    CHECK_EQ_INT(pl_lock_acquire(&s->other), PL_OK);
    return take(arg);
}

/* One lock is handed over, one was taken when free. */
STAGE_CASE_DEBUG(locking, each_lock_that_is_held_at_the_end_is_reported)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, take_two);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    turn(&s->s.f, 1);
    EXPECT_REPORTS(&s->s.f, "PL_ESTATE PL_ESTATE ");
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

static int64_t take_and_wait(void *arg)
{
    locking *s = arg;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
    return pl_await(s->s.f.futures[0]);
}

STAGE_CASE_DEBUG(locking, a_lock_that_another_task_released_is_not_reported)
{
    new_future(&s->s.f, 0);
    enter(s, 0, take_and_wait);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(s->s.f.futures[0], 0), PL_OK);
    finish(s, 0);
    EXPECT_REPORTS(&s->s.f, "");
}

STAGE_CASE_DEBUG(locking, a_task_that_gave_its_lock_back_is_not_reported)
{
    enter(s, 0, pass);
    enter(s, 1, pass);
    finish(s, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_OK ");
}

TEST_CASE(a_task_that_ends_with_a_lock_is_not_reported_without_debug_mode)
{
    locking s = {0};
    pl_loop_options options = {.backend = t->backend, .debug = -1};
    REQUIRE(fixture_open_with(&s.s.f, options));
    enter(&s, 0, take);
    finish(&s, 0);
    EXPECT_REPORTS(&s.s.f, "");
    EXPECT_TRACE(&s.s.f, "a:PL_OK ");
    fixture_close(&s.s.f);
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

static int64_t acquire_nothing(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_lock_acquire(NULL), PL_EINVAL);
    return PL_OK;
}

STAGE_CASE(locking, a_call_that_makes_no_sense_is_refused)
{
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_ENOTASK);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
    CHECK_EQ_INT(pl_lock_try_acquire(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_lock_release(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_lock_is_locked(NULL), PL_EINVAL);
    CHECK_EQ_INT(run_task(&s->s.f, acquire_nothing, s), PL_OK);
}

static int64_t use_a_lock_of_another_loop(void *arg)
{
    locking *s = arg;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_EINVAL);
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_EINVAL);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_EINVAL);
    return PL_OK;
}

static int64_t take_and_release(void *arg)
{
    locking *s = arg;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    return PL_OK;
}

/* test_ambiguous_loops */
TEST_CASE(a_lock_belongs_to_the_first_loop_in_which_a_task_waited_for_it)
{
    locking s = {0};
    fixture other;
    REQUIRE(fixture_open(&s.s.f, t));
    REQUIRE(fixture_open(&other, t));
    CHECK_EQ_INT(run_task(&other, take_and_release, &s), PL_OK); /* nobody waited yet */
    CHECK_EQ_INT(pl_lock_try_acquire(&s.lock), PL_OK);
    enter(&s, 0, take);
    turn(&s.s.f, 1);
    CHECK_EQ_INT(run_task(&other, use_a_lock_of_another_loop, &s), PL_OK);
    CHECK_EQ_INT(pl_lock_release(&s.lock), PL_OK);
    finish(&s, 0);
    CHECK_EQ_INT(run_task(&other, use_a_lock_of_another_loop, &s), PL_OK); /* it stays so */
    EXPECT_TRACE(&s.s.f, "a:PL_OK ");
    memset(&s.lock, 0, sizeof s.lock);
    CHECK_EQ_INT(run_task(&other, take_and_release, &s), PL_OK);
    fixture_close(&other);
    fixture_close(&s.s.f);
}

static void release_from_here(void *arg)
{
    locking *s = arg;
    s->s.f.results[0] = pl_lock_release(&s->lock);
    s->s.f.results[1] = pl_lock_try_acquire(&s->lock);
}

STAGE_CASE_DEBUG(locking, another_thread_may_not_use_a_lock_that_is_waited_for)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, pass);
    turn(&s->s.f, 1);
    CHECK(test_in_thread(release_from_here, s));
    CHECK_EQ_INT(s->s.f.results[0], PL_ETHREAD);
    CHECK_EQ_INT(s->s.f.results[1], PL_ETHREAD);
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

STAGE_CASE_DEBUG(locking, another_thread_may_not_release_the_lock_of_a_task)
{
    new_future(&s->s.f, 0);
    enter(s, 0, hold);
    turn(&s->s.f, 1);
    CHECK(test_in_thread(release_from_here, s));
    CHECK_EQ_INT(s->s.f.results[0], PL_ETHREAD);
    CHECK_EQ_INT(s->s.f.results[1], PL_ETHREAD);
    CHECK_EQ_INT(pl_future_set_result(s->s.f.futures[0], 0), PL_OK);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_OK a:release ");
}

/* --- As a whole --------------------------------------------------------------------------------------------------- */

STAGE_CASE_ALLOCATION(locking, a_lock_allocates_nothing)
{
    int64_t calls;
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
    enter(s, 0, pass);
    enter(s, 1, pass);
    turn(&s->s.f, 1);
    calls = a->calls;
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
    cancel(s, 0, EDGE);
    turn(&s->s.f, 3);
    CHECK_EQ_INT(a->calls, calls);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK ");
}

static int64_t take_for_ever(void *arg)
{
    locking *s = arg;
    int64_t rc = take(arg);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    return rc;
}

TEST_CASE(the_end_of_the_loop_cancels_those_who_wait)
{
    locking s = {0};
    REQUIRE(fixture_open(&s.s.f, t));
    CHECK_EQ_INT(pl_lock_try_acquire(&s.lock), PL_OK);
    enter(&s, 0, take_for_ever);
    enter(&s, 1, take_for_ever);
    turn(&s.s.f, 1);
    fixture_close(&s.s.f);
    CHECK_STR(s.s.f.trace, "a:PL_ECANCELED b:PL_ECANCELED ");
    CHECK_EQ_INT(pl_lock_release(&s.lock), PL_OK); /* it is nobody's */
    CHECK_EQ_INT(pl_lock_is_locked(&s.lock), 0);
}

static void take_if_not_cancelled(locking *s)
{
    if (pl_lock_acquire(&s->lock) < 0)
        return;
    CHECK_EQ_INT(s->inside++, 0);
    s->s.f.counts[1]++;
    (void)pl_yield();
    s->inside--;
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
}

/* Takes and gives back, whatever cancels it, until it is told to end. */
static int64_t take_again_and_again(void *arg)
{
    locking *s = arg;
    while (s->s.f.counts[0] == 0) {
        pl_timeout scope = {0};
        begin_round(s, &scope);
        take_if_not_cancelled(s);
        end_round(s, &scope);
    }
    return PL_OK;
}

STAGE_CASE(locking, cancelled_at_random_the_lock_is_never_lost_nor_held_twice)
{
    uint64_t seed = 0x10c4;
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
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

TEST_SUITE(lock, TEST_BACKENDS_ALL,
           CASE(a_lock_is_free_until_taken_and_after_release),
           CASE(tasks_get_a_lock_in_the_order_they_asked),
           CASE(nobody_takes_a_lock_that_is_on_its_way),
           CASE(who_releases_a_lock_and_takes_it_again_comes_last),
           CASE(a_cancelled_acquire_takes_nothing),
           CASE(cancel_race_the_lock_passes_a_cancelled_waiter),
           CASE(cancel_release_race_gives_the_lock_to_one_task),
           CASE(finished_waiter_cancelled_hands_the_lock_on),
           CASE(finished_waiter_cancelled_frees_the_lock_if_nobody_else_waits),
           CASE(a_level_that_comes_after_the_lock_leaves_it),
           CASE(a_shielded_acquire_is_not_cancelled),
           CASE(in_a_cancelled_scope_a_free_lock_is_taken_only_by_trying),
           CASE(a_time_limit_ends_the_wait_for_a_lock),
           CASE(a_task_that_waits_for_its_own_lock_is_told),
           CASE(another_task_may_release_a_lock),
           CASE(a_task_where_an_ended_holder_was_is_not_the_holder),
           CASE(a_task_that_takes_free_locks_only_gives_way),
           CASE(a_task_that_ends_with_a_lock_is_reported_in_debug_mode),
           CASE(each_lock_that_is_held_at_the_end_is_reported),
           CASE(a_lock_that_another_task_released_is_not_reported),
           CASE(a_task_that_gave_its_lock_back_is_not_reported),
           CASE(a_task_that_ends_with_a_lock_is_not_reported_without_debug_mode),
           CASE(a_call_that_makes_no_sense_is_refused),
           CASE(a_lock_belongs_to_the_first_loop_in_which_a_task_waited_for_it),
           CASE(another_thread_may_not_use_a_lock_that_is_waited_for),
           CASE(another_thread_may_not_release_the_lock_of_a_task),
           CASE(a_lock_allocates_nothing),
           CASE(the_end_of_the_loop_cancels_those_who_wait),
           CASE(cancelled_at_random_the_lock_is_never_lost_nor_held_twice))
