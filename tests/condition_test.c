/* Conditions: notified, cancelled, and both at once; the lock is held again whatever happens. */
#include "stage.h"

typedef struct noticing {
    stage s; /* the first member */
    pl_lock lock;
    pl_condition condition;
    pl_lock other_lock;
    int value;
    int taken;
} noticing;

static void lock(noticing *s)
{
    CHECK_EQ_INT(pl_lock_try_acquire(&s->lock), PL_OK);
}

static void unlock(noticing *s)
{
    CHECK_EQ_INT(pl_lock_release(&s->lock), PL_OK);
}

static void notify(noticing *s, int n)
{
    CHECK_EQ_INT(pl_condition_notify(&s->condition, &s->lock, n), PL_OK);
}

/* Waits for a notification, and ends with the lock. */
static int64_t wait_and_keep(void *arg)
{
    noticing *s = arg;
    int rc = pl_lock_acquire(&s->lock);
    CHECK_EQ_INT(rc, PL_OK);
    rc = pl_condition_wait(&s->condition, &s->lock);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    say_code(s, rc);
    return rc;
}

/* Waits for a notification, and gives the lock back. */
static int64_t wait_once(void *arg)
{
    int64_t rc = wait_and_keep(arg);
    unlock(arg);
    return rc;
}

/* test_wait */
STAGE_CASE(noticing, those_who_wait_go_on_one_by_one_with_the_lock)
{
    for (int i = 0; i < 3; i++)
        enter(s, i, wait_and_keep);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
    lock(s);
    notify(s, 1);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "");
    unlock(s);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    notify(s, 2);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "");
    unlock(s);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_OK ");
    unlock(s);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "c:PL_OK ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
}

/* test_notify */
STAGE_CASE(noticing, a_notification_wakes_as_many_as_it_says)
{
    for (int i = 0; i < 4; i++)
        enter(s, i, wait_once);
    turn(&s->s.f, 1);
    lock(s);
    notify(s, 0);
    unlock(s);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "");
    lock(s);
    notify(s, 1);
    unlock(s);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    lock(s);
    notify(s, 1);
    notify(s, 2048);
    unlock(s);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "b:PL_OK c:PL_OK d:PL_OK ");
    lock(s);
    notify(s, 1); /* nobody */
    unlock(s);
}

/* test_notify_all */
STAGE_CASE(noticing, all_are_notified_at_once)
{
    for (int i = 0; i < 3; i++)
        enter(s, i, wait_once);
    turn(&s->s.f, 1);
    lock(s);
    CHECK_EQ_INT(pl_condition_notify_all(&s->condition, &s->lock), PL_OK);
    unlock(s);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK b:PL_OK c:PL_OK ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

/* Who waits again is notified by the next notification. */
static int64_t wait_twice(void *arg)
{
    noticing *s = arg;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
    say_code(s, pl_condition_wait(&s->condition, &s->lock));
    say_code(s, pl_condition_wait(&s->condition, &s->lock));
    unlock(s);
    return PL_OK;
}

STAGE_CASE(noticing, a_notification_is_for_those_who_wait_now)
{
    lock(s);
    notify(s, 5); /* for nobody, and forgotten */
    unlock(s);
    enter(s, 0, wait_twice);
    turn(&s->s.f, 1);
    lock(s);
    CHECK_EQ_INT(pl_condition_notify_all(&s->condition, &s->lock), PL_OK);
    unlock(s);
    turn(&s->s.f, 3);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    lock(s);
    CHECK_EQ_INT(pl_condition_notify_all(&s->condition, &s->lock), PL_OK);
    unlock(s);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

static int64_t take_again_after_the_wait(void *arg)
{
    noticing *s = arg;
    CHECK_EQ_INT(wait_and_keep(arg), PL_OK);
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_EDEADLOCK);
    unlock(s);
    return PL_OK;
}

STAGE_CASE(noticing, after_the_wait_the_lock_is_the_task_s_own)
{
    enter(s, 0, take_again_after_the_wait);
    turn(&s->s.f, 1);
    lock(s);
    notify(s, 1);
    unlock(s);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

/* --- Predicates --------------------------------------------------------------------------------------------------- */

static int value_of(void *arg)
{
    noticing *s = arg;
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    s->s.f.counts[0]++;
    return s->value;
}

static int64_t wait_for_a_value(void *arg)
{
    noticing *s = arg;
    int rc;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
    rc = pl_condition_wait_until(&s->condition, &s->lock, value_of, s);
    say_code(s, rc);
    unlock(s);
    return rc;
}

static void set_value(noticing *s, int value)
{
    lock(s);
    s->value = value;
    notify(s, 1);
    unlock(s);
    turn(&s->s.f, 2);
}

/* test_wait_for */
STAGE_CASE(noticing, a_wait_until_goes_on_until_its_predicate_holds)
{
    enter(s, 0, wait_for_a_value);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "");
    set_value(s, 0);
    EXPECT_TRACE(&s->s.f, "");
    CHECK_EQ_INT(s->s.f.counts[0], 2);
    set_value(s, 7);
    EXPECT_TRACE(&s->s.f, "a:7 ");
    CHECK_EQ_INT(s->s.f.counts[0], 3);
    enter(s, 1, wait_for_a_value); /* it holds already: no wait */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:7 ");
}

STAGE_CASE(noticing, a_predicate_that_fails_ends_the_wait)
{
    enter(s, 0, wait_for_a_value);
    turn(&s->s.f, 1);
    set_value(s, PL_ECLOSED);
    EXPECT_TRACE(&s->s.f, "a:PL_ECLOSED ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

static int plain_value_of(void *arg)
{
    return ((noticing *)arg)->value;
}

/* test_wait_for_unacquired */
static int64_t wait_until_without_the_lock(void *arg)
{
    noticing *s = arg;
    s->value = 3;
    CHECK_EQ_INT(pl_condition_wait_until(&s->condition, &s->lock, plain_value_of, s), 3);
    s->value = 0;
    CHECK_EQ_INT(pl_condition_wait_until(&s->condition, &s->lock, plain_value_of, s), PL_ESTATE);
    return PL_OK;
}

STAGE_CASE(noticing, a_predicate_that_holds_needs_no_lock)
{
    enter(s, 0, wait_until_without_the_lock);
    finish(s, 0);
    CHECK_EQ_INT(result_of(s, 0), PL_OK);
}

STAGE_CASE_CANCEL(noticing, a_cancel_ends_a_wait_until)
{
    enter(s, 0, wait_for_a_value);
    turn(&s->s.f, 1);
    set_value(s, 0); /* it waits for the second time */
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

/* A level that came with the notification: the predicate does not hold, and the wait is not begun again. */
STAGE_CASE(noticing, a_wait_until_in_a_cancelled_scope_ends_at_its_next_wait)
{
    enter(s, 0, wait_for_a_value);
    turn(&s->s.f, 1);
    lock(s);
    notify(s, 1);
    unlock(s);
    cancel(s, 0, LEVEL);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(s->s.f.counts[0], 2);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

static int64_t look_often(void *arg)
{
    noticing *s = arg;
    for (int i = 0; i < 10; i++)
        CHECK_EQ_INT(pl_condition_wait_until(&s->condition, &s->lock, plain_value_of, s), 1);
    say(s, "end");
    return PL_OK;
}

static int64_t end_at_once(void *arg)
{
    say(arg, "end");
    return PL_OK;
}

TEST_CASE(a_task_whose_predicates_always_hold_gives_way)
{
    noticing s = {0};
    pl_loop_options options = {.backend = t->backend, .task_budget = 8};
    REQUIRE(fixture_open_with(&s.s.f, options));
    s.value = 1;
    enter(&s, 0, look_often);
    enter(&s, 1, end_at_once);
    finish(&s, 0);
    EXPECT_TRACE(&s.s.f, "b:end a:end ");
    fixture_close(&s.s.f);
}

/* --- Cancelled ---------------------------------------------------------------------------------------------------- */

/* test_wait_cancel */
STAGE_CASE_CANCEL(noticing, a_cancelled_wait_holds_the_lock_again)
{
    enter(s, 0, wait_and_keep);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(result_of(s, 0), cancelled_with(kind));
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    notify(s, 1); /* nobody waits */
}

/* Further cancels do not end the wait for the lock, and do not keep the loop busy. */
STAGE_CASE_CANCEL(noticing, a_cancelled_wait_waits_for_the_lock_all_the_same)
{
    enter(s, 0, wait_and_keep);
    turn(&s->s.f, 1);
    lock(s);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    cancel(s, 0, EDGE);
    turn(&s->s.f, 1);
    cancel(s, 0, EDGE);
    turn(&s->s.f, 3);
    EXPECT_TRACE(&s->s.f, "");
    unlock(s);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
}

/* test_wait_cancel_contested */
STAGE_CASE_CANCEL(noticing, wait_cancel_contested_the_lock_is_held)
{
    enter(s, 0, wait_and_keep);
    turn(&s->s.f, 1);
    lock(s);
    notify(s, 1);
    cancel(s, 0, kind); /* before it goes on, */
    unlock(s);          /* and nobody has the lock then */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, kind == EDGE ? "a:PL_ECANCELED " : "a:PL_OK ");
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
}

/* test_wait_cancel_after_notify (bpo-32841): cancelled while it waits for the lock. */
STAGE_CASE_CANCEL(noticing, wait_cancel_after_notify_comes_with_the_lock)
{
    enter(s, 0, wait_once);
    turn(&s->s.f, 1);
    lock(s);
    notify(s, 1);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "");
    unlock(s);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(result_of(s, 0), cancelled_with(kind));
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

STAGE_CASE(noticing, a_cancel_taken_back_while_it_waits_for_the_lock_does_not_come)
{
    enter(s, 0, wait_once);
    turn(&s->s.f, 1);
    lock(s);
    notify(s, 1);
    turn(&s->s.f, 1);
    cancel(s, 0, EDGE);
    CHECK_EQ_INT(pl_task_uncancel(s->s.f.tasks[0]), 0);
    unlock(s);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

/* test_cancelled_wakeup (gh-112202): notified, and cancelled before it goes on: the next one is notified. */
STAGE_CASE(noticing, cancelled_wakeup_goes_to_the_next)
{
    enter(s, 0, wait_once);
    enter(s, 1, wait_once);
    enter(s, 2, wait_once);
    turn(&s->s.f, 1);
    lock(s);
    notify(s, 1);
    cancel(s, 0, EDGE);
    unlock(s);
    turn(&s->s.f, 3);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK ");
    CHECK(!has_ended(s, 2)); /* one notification, one task */
    cancel(s, 2, EDGE);
    finish(s, 2);
    EXPECT_TRACE(&s->s.f, "c:PL_ECANCELED ");
}

/* test_cancelled_wakeup_relock (gh-112202): the same while it waits for the lock. */
STAGE_CASE_CANCEL(noticing, cancelled_wakeup_relock_goes_to_the_next)
{
    enter(s, 0, wait_once);
    enter(s, 1, wait_once);
    enter(s, 2, wait_once);
    turn(&s->s.f, 1);
    lock(s);
    notify(s, 1);
    turn(&s->s.f, 1); /* a waits for the lock */
    cancel(s, 0, kind);
    unlock(s);
    turn(&s->s.f, 3);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK ");
    CHECK(!has_ended(s, 2));
    cancel(s, 2, kind);
    finish(s, 2);
    EXPECT_TRACE(&s->s.f, "c:PL_ECANCELED ");
}

/* One that was cancelled and then notified was not notified: others are. */
STAGE_CASE_CANCEL(noticing, a_notification_passes_a_cancelled_waiter)
{
    enter(s, 0, wait_once);
    enter(s, 1, wait_once);
    turn(&s->s.f, 1);
    lock(s);
    cancel(s, 0, kind);
    notify(s, 1);
    unlock(s);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED b:PL_OK ");
}

/* A wait that was cancelled without a notification makes none. */
STAGE_CASE_CANCEL(noticing, a_cancelled_wait_notifies_nobody)
{
    enter(s, 0, wait_once);
    enter(s, 1, wait_once);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 3);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK(!has_ended(s, 1));
    cancel(s, 1, kind);
    finish(s, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_ECANCELED ");
}

static int64_t wait_when_cancelled(void *arg)
{
    noticing *s = arg;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    say_code(s, pl_condition_wait(&s->condition, &s->lock));
    s->value = 1;
    say_code(s, pl_condition_wait_until(&s->condition, &s->lock, value_of, s));
    unlock(s);
    return PL_OK;
}

static int64_t try_all_the_time(void *arg)
{
    noticing *s = arg;
    while (pl_lock_try_acquire(&s->lock) == PL_EBUSY)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    say(s, "free");
    return PL_OK;
}

STAGE_CASE(noticing, in_a_cancelled_scope_the_lock_is_not_let_go)
{
    enter(s, 0, wait_when_cancelled);
    turn(&s->s.f, 1);
    enter(s, 1, try_all_the_time);
    cancel(s, 0, LEVEL);
    finish(s, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED a:PL_ECANCELED b:free ");
}

static int64_t wait_a_millisecond(void *arg)
{
    noticing *s = arg;
    pl_timeout limit = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_lock_acquire(&s->lock), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    rc = pl_timeout_end(&limit, pl_condition_wait(&s->condition, &s->lock));
    unlock(s); /* PL_ESTATE if it did not hold it */
    return rc;
}

/* test_timeout_in_block */
STAGE_CASE(noticing, a_time_limit_ends_the_wait_for_a_notification)
{
    enter(s, 0, wait_a_millisecond);
    finish(s, 0);
    CHECK_EQ_INT(result_of(s, 0), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

static int64_t wait_shielded(void *arg)
{
    pl_shielded shielded = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    rc = wait_once(arg);
    pl_shielded_end(&shielded);
    say_code(arg, pl_yield());
    return rc;
}

STAGE_CASE_CANCEL(noticing, a_shielded_wait_is_not_cancelled)
{
    enter(s, 0, wait_shielded);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "");
    lock(s);
    notify(s, 1);
    turn(&s->s.f, 1); /* it waits for the lock, shielded too */
    unlock(s);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_OK a:PL_ECANCELED ");
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

/* test_wait_unacquired */
static int64_t call_what_makes_no_sense(void *arg)
{
    noticing *s = arg;
    CHECK_EQ_INT(pl_condition_wait(NULL, &s->lock), PL_EINVAL);
    CHECK_EQ_INT(pl_condition_wait(&s->condition, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_condition_wait(&s->condition, &s->lock), PL_ESTATE);
    CHECK_EQ_INT(pl_condition_wait_until(NULL, &s->lock, plain_value_of, s), PL_EINVAL);
    CHECK_EQ_INT(pl_condition_wait_until(&s->condition, NULL, plain_value_of, s), PL_EINVAL);
    CHECK_EQ_INT(pl_condition_wait_until(&s->condition, &s->lock, NULL, s), PL_EINVAL);
    return PL_OK;
}

/* test_notify_unacquired, test_notify_all_unacquired */
STAGE_CASE(noticing, a_call_that_makes_no_sense_is_refused)
{
    CHECK_EQ_INT(pl_condition_notify(&s->condition, &s->lock, 1), PL_ESTATE);
    CHECK_EQ_INT(pl_condition_notify_all(&s->condition, &s->lock), PL_ESTATE);
    CHECK_EQ_INT(run_task(&s->s.f, call_what_makes_no_sense, s), PL_OK);
    lock(s);
    CHECK_EQ_INT(pl_condition_wait(&s->condition, &s->lock), PL_ENOTASK);
    CHECK_EQ_INT(pl_condition_wait_until(&s->condition, &s->lock, plain_value_of, s), PL_ENOTASK);
    CHECK_EQ_INT(pl_condition_notify(NULL, &s->lock, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_condition_notify(&s->condition, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_condition_notify(&s->condition, &s->lock, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_condition_notify_all(NULL, &s->lock), PL_EINVAL);
    CHECK_EQ_INT(pl_condition_notify_all(&s->condition, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 1);
}

static int64_t wait_with_another_lock(void *arg)
{
    noticing *s = arg;
    int64_t rc;
    CHECK_EQ_INT(pl_lock_acquire(&s->other_lock), PL_OK);
    rc = pl_condition_wait(&s->condition, &s->other_lock);
    say_code(s, rc);
    CHECK_EQ_INT(pl_lock_release(&s->other_lock), PL_OK);
    return rc;
}

STAGE_CASE(noticing, those_who_wait_at_one_time_share_the_lock)
{
    enter(s, 0, wait_once);
    enter(s, 1, wait_with_another_lock);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_EINVAL ");
    CHECK_EQ_INT(pl_lock_try_acquire(&s->other_lock), PL_OK);
    CHECK_EQ_INT(pl_condition_notify(&s->condition, &s->other_lock, 1), PL_EINVAL);
    lock(s);
    notify(s, 1);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_condition_notify(&s->condition, &s->other_lock, 1), PL_EINVAL); /* a is not back yet */
    unlock(s);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
    enter(s, 2, wait_with_another_lock); /* now nobody waits */
    CHECK_EQ_INT(pl_lock_release(&s->other_lock), PL_OK);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_lock_try_acquire(&s->other_lock), PL_OK);
    CHECK_EQ_INT(pl_condition_notify(&s->condition, &s->other_lock, 1), PL_OK);
    CHECK_EQ_INT(pl_lock_release(&s->other_lock), PL_OK);
    finish(s, 2);
    EXPECT_TRACE(&s->s.f, "c:PL_OK ");
}

static int64_t use_a_condition_of_another_loop(void *arg)
{
    noticing *s = arg;
    pl_lock mine = {0};
    pl_condition my_condition = {0};
    CHECK_EQ_INT(pl_lock_acquire(&mine), PL_OK);
    CHECK_EQ_INT(pl_condition_wait(&s->condition, &mine), PL_EINVAL); /* wrong_loop_in_cond */
    CHECK_EQ_INT(pl_condition_notify(&s->condition, &mine, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_condition_wait(&my_condition, &s->lock), PL_EINVAL); /* wrong_loop_in_lock */
    CHECK_EQ_INT(pl_condition_notify(&my_condition, &s->lock, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_lock_release(&mine), PL_OK);
    return PL_OK;
}

/* test_ambiguous_loops */
TEST_CASE(a_condition_belongs_to_the_first_loop_in_which_a_task_waited_for_it)
{
    noticing s = {0};
    fixture other;
    REQUIRE(fixture_open(&s.s.f, t));
    REQUIRE(fixture_open(&other, t));
    enter(&s, 0, wait_once);
    turn(&s.s.f, 1);
    lock(&s);
    CHECK_EQ_INT(run_task(&other, use_a_condition_of_another_loop, &s), PL_OK);
    notify(&s, 1);
    unlock(&s);
    finish(&s, 0);
    EXPECT_TRACE(&s.s.f, "a:PL_OK ");
    lock(&s);
    CHECK_EQ_INT(run_task(&other, use_a_condition_of_another_loop, &s), PL_OK);
    fixture_close(&other);
    fixture_close(&s.s.f);
}

static void notify_from_here(void *arg)
{
    noticing *s = arg;
    s->s.f.results[0] = pl_condition_notify(&s->condition, &s->lock, 1);
}

STAGE_CASE_DEBUG(noticing, another_thread_may_not_notify)
{
    enter(s, 0, wait_once);
    turn(&s->s.f, 1);
    lock(s);
    CHECK(test_in_thread(notify_from_here, s));
    CHECK_EQ_INT(s->s.f.results[0], PL_ETHREAD);
    notify(s, 1);
    unlock(s);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

/* --- As a whole --------------------------------------------------------------------------------------------------- */

STAGE_CASE_DEBUG(noticing, after_a_wait_the_lock_was_taken_where_it_was_taken_before)
{
    enter(s, 0, wait_and_keep);
    turn(&s->s.f, 1);
    EXPECT_REPORTS(&s->s.f, "");
    lock(s);
    notify(s, 1);
    turn(&s->s.f, 1);
    unlock(s);
    finish(s, 0);
    EXPECT_REPORTS(&s->s.f, "PL_ESTATE ");
    CHECK_STR(s->s.f.report_task, "a");
    CHECK(strstr(s->s.f.report_where, "condition_test.c:") != NULL);
    EXPECT_TRACE(&s->s.f, "a:PL_OK ");
}

STAGE_CASE_ALLOCATION(noticing, a_condition_allocates_nothing)
{
    int64_t calls;
    enter(s, 0, wait_once);
    enter(s, 1, wait_once);
    enter(s, 2, end_at_once);
    turn(&s->s.f, 1);
    calls = a->calls;
    lock(s);
    notify(s, 1);
    cancel(s, 0, EDGE);
    unlock(s);
    turn(&s->s.f, 3);
    CHECK_EQ_INT(a->calls, calls);
    EXPECT_TRACE(&s->s.f, "c:end a:PL_ECANCELED b:PL_OK ");
}

TEST_CASE(the_end_of_the_loop_cancels_those_who_wait)
{
    noticing s = {0};
    REQUIRE(fixture_open(&s.s.f, t));
    enter(&s, 0, wait_once);
    enter(&s, 1, wait_once);
    turn(&s.s.f, 1);
    fixture_close(&s.s.f);
    CHECK_STR(s.s.f.trace, "a:PL_ECANCELED b:PL_ECANCELED ");
    CHECK_EQ_INT(pl_lock_is_locked(&s.lock), 0);
}

static void take_one_if_not_cancelled(noticing *s)
{
    if (pl_lock_acquire(&s->lock) < 0)
        return;
    if (pl_condition_wait_until(&s->condition, &s->lock, value_of, s) > 0 && s->s.f.counts[1] == 0) {
        s->value--;
        s->taken++;
    }
    unlock(s);
}

/* Takes what there is, whatever cancels it, until it is told to end. */
static int64_t take_again_and_again(void *arg)
{
    noticing *s = arg;
    while (s->s.f.counts[1] == 0) {
        pl_timeout scope = {0};
        begin_round(s, &scope);
        take_one_if_not_cancelled(s);
        end_round(s, &scope);
    }
    return PL_OK;
}

/* Each thing is told of once: were a notification lost, it would be left. */
STAGE_CASE(noticing, cancelled_at_random_no_notification_is_lost)
{
    uint64_t seed = 0xc0d1;
    int made = 0;
    for (int i = 0; i < FIXTURE_SLOTS; i++)
        enter(s, i, take_again_and_again);
    for (int i = 0, n = scaled(2000); i < n; i++) {
        turn(&s->s.f, 1 + random_below(&seed, 2));
        if (pl_lock_try_acquire(&s->lock) == PL_OK) {
            for (int k = random_below(&seed, 3); k > 0; k--) {
                s->value++;
                made++;
                notify(s, 1);
            }
            unlock(s);
        }
        cancel_at_random(s, &seed);
        if (random_below(&seed, 8) == 0) {
            turn(&s->s.f, 40);
            CHECK_EQ_INT(s->value, 0);
            CHECK_EQ_INT(s->taken, made);
        }
    }
    CHECK(made > 0);
    s->s.f.counts[1] = 1;
    lock(s);
    s->value = 1;
    CHECK_EQ_INT(pl_condition_notify_all(&s->condition, &s->lock), PL_OK);
    unlock(s);
    for (int i = 0; i < FIXTURE_SLOTS; i++)
        finish(s, i);
    CHECK_EQ_INT(pl_lock_is_locked(&s->lock), 0);
}

TEST_SUITE(condition, TEST_BACKENDS_ALL,
           CASE(those_who_wait_go_on_one_by_one_with_the_lock),
           CASE(a_notification_wakes_as_many_as_it_says),
           CASE(all_are_notified_at_once),
           CASE(a_notification_is_for_those_who_wait_now),
           CASE(after_the_wait_the_lock_is_the_task_s_own),
           CASE(a_wait_until_goes_on_until_its_predicate_holds),
           CASE(a_predicate_that_fails_ends_the_wait),
           CASE(a_predicate_that_holds_needs_no_lock),
           CASE(a_cancel_ends_a_wait_until),
           CASE(a_wait_until_in_a_cancelled_scope_ends_at_its_next_wait),
           CASE(a_task_whose_predicates_always_hold_gives_way),
           CASE(a_cancelled_wait_holds_the_lock_again),
           CASE(a_cancelled_wait_waits_for_the_lock_all_the_same),
           CASE(wait_cancel_contested_the_lock_is_held),
           CASE(wait_cancel_after_notify_comes_with_the_lock),
           CASE(a_cancel_taken_back_while_it_waits_for_the_lock_does_not_come),
           CASE(cancelled_wakeup_goes_to_the_next),
           CASE(cancelled_wakeup_relock_goes_to_the_next),
           CASE(a_notification_passes_a_cancelled_waiter),
           CASE(a_cancelled_wait_notifies_nobody),
           CASE(in_a_cancelled_scope_the_lock_is_not_let_go),
           CASE(a_time_limit_ends_the_wait_for_a_notification),
           CASE(a_shielded_wait_is_not_cancelled),
           CASE(a_call_that_makes_no_sense_is_refused),
           CASE(those_who_wait_at_one_time_share_the_lock),
           CASE(a_condition_belongs_to_the_first_loop_in_which_a_task_waited_for_it),
           CASE(another_thread_may_not_notify),
           CASE(after_a_wait_the_lock_was_taken_where_it_was_taken_before),
           CASE(a_condition_allocates_nothing),
           CASE(the_end_of_the_loop_cancels_those_who_wait),
           CASE(cancelled_at_random_no_notification_is_lost))
