/* Barriers: filling, draining, reset, aborted, and left by those who were cancelled. */
#include "stage.h"

typedef struct meeting {
    stage s; /* the first member */
    pl_barrier barrier;
    pl_barrier second;
    int parties;
    int passed;  /* waits that ended with an index */
    int broken;  /* with PL_EBROKEN */
    int blocked; /* of those, by tasks that had passed before */
} meeting;

static void init(meeting *s, int parties)
{
    s->parties = parties;
    CHECK_EQ_INT(pl_barrier_init(&s->barrier, parties), PL_OK);
}

static int64_t come(void *arg)
{
    meeting *s = arg;
    int rc = pl_barrier_wait(&s->barrier);
    char number[16];
    (void)snprintf(number, sizeof number, "%d", rc);
    say(s, rc < 0 ? pl_error_name(rc) : number);
    return rc;
}

static int64_t come_and_yield(void *arg)
{
    int64_t rc = come(arg);
    say_code(arg, pl_yield());
    return rc;
}

static void enter_all(meeting *s, int count, pl_task_fn *body)
{
    for (int i = 0; i < count; i++)
        enter(s, i, body);
}

static void finish_all(meeting *s, int count)
{
    for (int i = 0; i < count; i++)
        finish(s, i);
}

/* Nobody is inside, it is not broken, and works. */
static void check_as_new(meeting *s)
{
    int parties = s->parties;
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 0);
    CHECK_EQ_INT(pl_barrier_is_broken(&s->barrier), 0);
    fixture_clear(&s->s.f);
    enter_all(s, parties, come);
    turn(&s->s.f, 2);
    for (int i = 0; i < parties; i++)
        CHECK_EQ_INT(result_of(s, i), i);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 0);
    fixture_clear(&s->s.f);
}

/* --- Filling and draining ----------------------------------------------------------------------------------------- */

/* test_context_manager, test_filling_task_by_task */
STAGE_CASE(meeting, a_barrier_opens_when_all_are_there)
{
    init(s, 3);
    CHECK_EQ_INT(pl_barrier_parties(&s->barrier), 3);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 0);
    enter(s, 0, come);
    turn(&s->s.f, 2);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 1);
    enter(s, 1, come);
    turn(&s->s.f, 2);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 2);
    EXPECT_TRACE(&s->s.f, "");
    enter(s, 2, come);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "c:2 a:0 b:1 ");
    check_as_new(s);
}

/* test_filling_one_task, test_filling_one_task_twice */
STAGE_CASE(meeting, a_barrier_for_one_is_passed_at_once)
{
    init(s, 1);
    enter(s, 0, come);
    enter(s, 1, come);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:0 b:0 ");
    check_as_new(s);
}

static int64_t come_twice(void *arg)
{
    meeting *s = arg;
    int index;
    CHECK(pl_barrier_wait(&s->barrier) >= 0);
    s->passed++;
    index = pl_barrier_wait(&s->barrier);
    s->s.f.counts[index]++;
    s->passed++;
    return index;
}

/* test_filling_tasks_wait_twice, test_filling_tasks_check_return_value */
STAGE_CASE(meeting, tasks_pass_a_barrier_twice_with_an_index_each)
{
    init(s, 5);
    enter_all(s, 5, come_twice);
    finish_all(s, 5);
    CHECK_EQ_INT(s->passed, 10);
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(s->s.f.counts[i], 1);
    check_as_new(s);
}

/* Comes to a second wait of its own while the others have not left the first. */
static int64_t come_again_at_once(void *arg)
{
    (void)come(arg);
    return come(arg);
}

/* test_draining_state */
STAGE_CASE(meeting, who_comes_while_it_drains_waits_until_all_have_left)
{
    init(s, 3);
    enter(s, 0, come);
    enter(s, 1, come);
    turn(&s->s.f, 1);
    enter(s, 2, come_again_at_once); /* the last one, and again before a and b have gone on */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "c:2 ");
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 0); /* c waits outside */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:0 b:1 ");
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 1); /* now inside */
    enter(s, 3, come);
    enter(s, 4, come);
    finish(s, 2);
    EXPECT_TRACE(&s->s.f, "e:2 c:0 d:1 ");
    check_as_new(s);
}

/* test_blocking_tasks_while_draining: the first two come again at once, the others meet elsewhere first. */
static int64_t come_and_meet_elsewhere(void *arg)
{
    meeting *s = arg;
    CHECK(pl_barrier_wait(&s->barrier) >= 0);
    if (s->s.f.counts[0]-- <= 0)
        CHECK(pl_barrier_wait(&s->second) >= 0);
    CHECK(pl_barrier_wait(&s->barrier) >= 0);
    s->passed++;
    return PL_OK;
}

STAGE_CASE(meeting, blocking_tasks_while_draining_count_for_the_next_time)
{
    init(s, 5);
    CHECK_EQ_INT(pl_barrier_init(&s->second, 3), PL_OK);
    s->s.f.counts[0] = 2;
    enter_all(s, 5, come_and_meet_elsewhere);
    finish_all(s, 5);
    CHECK_EQ_INT(s->passed, 5);
    check_as_new(s);
}

/* --- Reset -------------------------------------------------------------------------------------------------------- */

static void reset(meeting *s)
{
    CHECK_EQ_INT(pl_barrier_reset(&s->barrier), PL_OK);
}

/* test_reset_barrier */
STAGE_CASE(meeting, a_reset_of_an_empty_barrier_changes_nothing)
{
    init(s, 1);
    reset(s);
    check_as_new(s);
}

/* test_reset_barrier_while_tasks_waiting */
STAGE_CASE(meeting, a_reset_breaks_the_wait_of_those_inside)
{
    init(s, 5);
    enter_all(s, 4, come);
    turn(&s->s.f, 1);
    reset(s);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 0);
    CHECK_EQ_INT(pl_barrier_is_broken(&s->barrier), 0);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_EBROKEN b:PL_EBROKEN c:PL_EBROKEN d:PL_EBROKEN ");
    check_as_new(s);
}

static int64_t come_and_reset_when_two_are_left(void *arg)
{
    meeting *s = arg;
    int rc = pl_barrier_wait(&s->barrier);
    if (rc == PL_EBROKEN)
        s->broken++;
    else if (++s->passed == 3)
        reset(s);
    return PL_OK;
}

/* test_reset_barrier_when_tasks_half_draining */
STAGE_CASE(meeting, a_reset_while_it_drains_breaks_the_wait_of_those_who_have_not_left)
{
    init(s, 5);
    enter_all(s, 5, come_and_reset_when_two_are_left);
    finish_all(s, 5);
    CHECK_EQ_INT(s->passed, 3);
    CHECK_EQ_INT(s->broken, 2);
    check_as_new(s);
}

static int64_t come_reset_and_come_again(void *arg)
{
    meeting *s = arg;
    if (pl_barrier_wait(&s->barrier) == PL_EBROKEN) {
        s->broken++;
    } else if (++s->passed > 2) {
        reset(s);
    } else {
        s->blocked += pl_barrier_wait(&s->barrier) == PL_EBROKEN;
        return PL_OK;
    }
    CHECK(pl_barrier_wait(&s->barrier) >= 0);
    return PL_OK;
}

/* test_reset_barrier_when_tasks_half_draining_half_blocking */
STAGE_CASE(meeting, a_reset_while_it_drains_leaves_those_who_wait_outside)
{
    init(s, 5);
    enter_all(s, 5, come_reset_and_come_again);
    finish_all(s, 5);
    CHECK_EQ_INT(s->broken, 2);
    CHECK_EQ_INT(s->blocked, 0);
    check_as_new(s);
}

static int64_t come_until_it_opens(void *arg)
{
    meeting *s = arg;
    int rc = pl_barrier_wait(&s->barrier);
    if (rc == PL_EBROKEN) {
        s->broken++;
        rc = pl_barrier_wait(&s->barrier);
    }
    s->passed += rc >= 0;
    return PL_OK;
}

/* test_reset_barrier_while_tasks_waiting_and_waiting_again */
STAGE_CASE(meeting, after_a_reset_the_same_tasks_fill_it_again)
{
    init(s, 5);
    enter_all(s, 4, come_until_it_opens);
    turn(&s->s.f, 1);
    reset(s);
    turn(&s->s.f, 1);
    enter(s, 4, come_until_it_opens);
    finish_all(s, 5);
    CHECK_EQ_INT(s->broken, 4);
    CHECK_EQ_INT(s->passed, 5);
    check_as_new(s);
}

static int64_t come_and_the_last_resets(void *arg)
{
    meeting *s = arg;
    CHECK(pl_barrier_wait(&s->barrier) >= 0);
    if (++s->passed == s->parties)
        reset(s);
    CHECK(pl_barrier_wait(&s->barrier) >= 0);
    CHECK(pl_barrier_wait(&s->barrier) >= 0);
    s->s.f.counts[0]++;
    return PL_OK;
}

/* test_reset_barrier_while_tasks_draining: the last one to leave resets it, while the others wait outside. */
STAGE_CASE(meeting, a_reset_after_the_last_has_left_breaks_nobody_s_wait)
{
    init(s, 5);
    enter_all(s, 5, come_and_the_last_resets);
    finish_all(s, 5);
    CHECK_EQ_INT(s->s.f.counts[0], 5);
    check_as_new(s);
}

/* --- Abort -------------------------------------------------------------------------------------------------------- */

static void abort_it(meeting *s)
{
    CHECK_EQ_INT(pl_barrier_abort(&s->barrier), PL_OK);
}

/* test_abort_barrier */
STAGE_CASE(meeting, an_aborted_barrier_is_broken_until_it_is_reset)
{
    init(s, 2);
    enter(s, 0, come);
    turn(&s->s.f, 1);
    abort_it(s);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 0);
    CHECK_EQ_INT(pl_barrier_is_broken(&s->barrier), 1);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_EBROKEN ");
    enter(s, 1, come);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_EBROKEN ");
    reset(s);
    check_as_new(s);
}

static int64_t come_and_abort_after_two(void *arg)
{
    meeting *s = arg;
    if (pl_barrier_wait(&s->barrier) == PL_EBROKEN)
        s->broken++;
    else if (++s->passed > 2)
        abort_it(s);
    else
        s->blocked += pl_barrier_wait(&s->barrier) == PL_EBROKEN;
    return PL_OK;
}

/* test_abort_barrier_when_tasks_half_draining_half_blocking */
STAGE_CASE(meeting, an_abort_while_it_drains_breaks_all_waits_inside_and_outside)
{
    init(s, 5);
    enter_all(s, 5, come_and_abort_after_two);
    finish_all(s, 5);
    CHECK_EQ_INT(s->broken, 2);
    CHECK_EQ_INT(s->blocked, 2);
    CHECK_EQ_INT(pl_barrier_is_broken(&s->barrier), 1);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 0);
    reset(s);
    check_as_new(s);
}

/* The one in the middle fails after the first time and aborts; the others come again. */
static void come_and_fail_in_the_middle(meeting *s)
{
    int index = pl_barrier_wait(&s->barrier);
    if (index == s->parties / 2) {
        abort_it(s);
        return;
    }
    if (index >= 0)
        index = pl_barrier_wait(&s->barrier);
    s->passed += index >= 0;
    s->broken += index == PL_EBROKEN;
}

static int64_t fail_in_the_middle(void *arg)
{
    come_and_fail_in_the_middle(arg);
    return PL_OK;
}

/* test_abort_barrier_when_exception */
STAGE_CASE(meeting, a_task_that_fails_aborts_the_barrier_for_the_others)
{
    init(s, 5);
    enter_all(s, 5, fail_in_the_middle);
    finish_all(s, 5);
    CHECK_EQ_INT(s->passed, 0);
    CHECK_EQ_INT(s->broken, 4);
    CHECK_EQ_INT(pl_barrier_is_broken(&s->barrier), 1);
}

static int64_t fail_in_the_middle_then_reset(void *arg)
{
    meeting *s = arg;
    come_and_fail_in_the_middle(s);
    if (pl_barrier_wait(&s->second) == s->parties / 2)
        reset(s);
    CHECK(pl_barrier_wait(&s->second) >= 0);
    CHECK(pl_barrier_wait(&s->barrier) >= 0);
    s->s.f.counts[0]++;
    return PL_OK;
}

/* test_abort_barrier_when_exception_then_resetting */
STAGE_CASE(meeting, after_an_abort_a_reset_lets_all_meet_again)
{
    init(s, 5);
    CHECK_EQ_INT(pl_barrier_init(&s->second, 5), PL_OK);
    enter_all(s, 5, fail_in_the_middle_then_reset);
    finish_all(s, 5);
    CHECK_EQ_INT(s->passed, 0);
    CHECK_EQ_INT(s->broken, 4);
    CHECK_EQ_INT(s->s.f.counts[0], 5);
    check_as_new(s);
}

/* While those who were aborted have not left, a reset drains it first. */
STAGE_CASE(meeting, a_reset_after_an_abort_waits_for_those_inside)
{
    init(s, 3);
    enter_all(s, 2, come);
    turn(&s->s.f, 1);
    enter(s, 2, come); /* runs before a and b, who were aborted */
    abort_it(s);
    reset(s);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_EBROKEN b:PL_EBROKEN ");
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 1);
    enter_all(s, 2, come);
    finish(s, 2);
    EXPECT_TRACE(&s->s.f, "b:2 c:0 a:1 ");
    check_as_new(s);
}

/* --- Cancelled ---------------------------------------------------------------------------------------------------- */

/* test_filling_tasks_cancel_one */
STAGE_CASE_CANCEL(meeting, a_cancelled_task_does_not_count)
{
    init(s, 3);
    enter_all(s, 2, come);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 2);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(result_of(s, 0), cancelled_with(kind));
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 1);
    CHECK_EQ_INT(pl_barrier_is_broken(&s->barrier), 0);
    enter(s, 2, come);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 2);
    enter(s, 3, come);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "d:2 b:0 c:1 "); /* an index each, although the first had left */
    check_as_new(s);
}

/* The last one comes before the cancelled one has gone on. */
STAGE_CASE_CANCEL(meeting, a_task_that_comes_while_another_is_cancelled_does_not_open_it)
{
    init(s, 2);
    enter(s, 0, come);
    turn(&s->s.f, 1);
    enter(s, 1, come);
    cancel(s, 0, kind);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:PL_ECANCELED ");
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 1);
    enter(s, 2, come);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "c:1 b:0 ");
    check_as_new(s);
}

/* The others go on because of it: it cannot be taken back. */
STAGE_CASE_CANCEL(meeting, a_cancel_after_the_last_has_come_comes_at_the_next_wait)
{
    init(s, 2);
    enter(s, 0, come_and_yield);
    turn(&s->s.f, 1);
    enter(s, 1, come);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:1 ");
    cancel(s, 0, kind);
    turn(&s->s.f, 2);
    EXPECT_TRACE(&s->s.f, "a:0 a:PL_ECANCELED ");
    check_as_new(s);
}

/* While it waits outside; and after it was let in. */
STAGE_CASE_CANCEL(meeting, a_task_that_waits_outside_is_cancelled)
{
    init(s, 2);
    enter(s, 0, come);
    turn(&s->s.f, 1);
    enter(s, 1, come_again_at_once);
    enter(s, 2, come);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:1 ");
    cancel(s, 2, kind); /* a has not left */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:0 c:PL_ECANCELED ");
    cancel(s, 1, EDGE); /* a has left, b has not come in */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_ECANCELED ");
    check_as_new(s);
}

static int64_t come_when_cancelled(void *arg)
{
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    return come(arg);
}

STAGE_CASE(meeting, in_a_cancelled_scope_nobody_comes)
{
    init(s, 2);
    enter(s, 0, come);
    enter(s, 1, come_when_cancelled);
    turn(&s->s.f, 1);
    cancel(s, 1, LEVEL);
    finish(s, 1);
    EXPECT_TRACE(&s->s.f, "b:PL_ECANCELED ");
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 1);
    reset(s);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "a:PL_EBROKEN ");
}

static int64_t come_for_a_millisecond(void *arg)
{
    pl_timeout limit = {0};
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    return pl_timeout_end(&limit, come(arg));
}

STAGE_CASE(meeting, a_time_limit_ends_the_wait_for_the_others)
{
    init(s, 2);
    enter(s, 0, come_for_a_millisecond);
    finish(s, 0);
    CHECK_EQ_INT(result_of(s, 0), PL_ETIMEDOUT);
    check_as_new(s);
}

static int64_t come_shielded(void *arg)
{
    pl_shielded shielded = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    rc = come(arg);
    pl_shielded_end(&shielded);
    say_code(arg, pl_yield());
    return rc;
}

STAGE_CASE_CANCEL(meeting, a_shielded_wait_is_not_cancelled)
{
    init(s, 2);
    enter(s, 0, come_shielded);
    turn(&s->s.f, 1);
    cancel(s, 0, kind);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), 1);
    enter(s, 1, come);
    turn(&s->s.f, 3);
    EXPECT_TRACE(&s->s.f, "b:1 a:0 a:PL_ECANCELED ");
    check_as_new(s);
}

static int64_t come_often(void *arg)
{
    meeting *s = arg;
    for (int i = 0; i < 10; i++)
        CHECK_EQ_INT(pl_barrier_wait(&s->barrier), 0);
    say(s, "end");
    return PL_OK;
}

static int64_t end_at_once(void *arg)
{
    say(arg, "end");
    return PL_OK;
}

TEST_CASE(a_task_that_passes_without_waiting_gives_way)
{
    meeting s = {0};
    pl_loop_options options = {.backend = t->backend, .task_budget = 8};
    REQUIRE(fixture_open_with(&s.s.f, options));
    init(&s, 1);
    enter(&s, 0, come_often);
    enter(&s, 1, end_at_once);
    finish(&s, 0);
    EXPECT_TRACE(&s.s.f, "b:end a:end ");
    fixture_close(&s.s.f);
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

static int64_t wait_at_nothing(void *arg)
{
    meeting *s = arg;
    CHECK_EQ_INT(pl_barrier_wait(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_wait(&s->barrier), PL_ESTATE);
    return PL_OK;
}

/* test_barrier_parties */
STAGE_CASE(meeting, a_call_that_makes_no_sense_is_refused)
{
    CHECK_EQ_INT(pl_barrier_init(NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_init(&s->barrier, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_init(&s->barrier, -4), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_reset(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_abort(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_parties(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_waiting(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_is_broken(NULL), PL_EINVAL);
    /* Nothing before init. */
    CHECK_EQ_INT(pl_barrier_reset(&s->barrier), PL_ESTATE);
    CHECK_EQ_INT(pl_barrier_abort(&s->barrier), PL_ESTATE);
    CHECK_EQ_INT(pl_barrier_parties(&s->barrier), PL_ESTATE);
    CHECK_EQ_INT(pl_barrier_waiting(&s->barrier), PL_ESTATE);
    CHECK_EQ_INT(pl_barrier_is_broken(&s->barrier), PL_ESTATE);
    CHECK_EQ_INT(run_task(&s->s.f, wait_at_nothing, s), PL_OK);
    init(s, 1);
    CHECK_EQ_INT(pl_barrier_wait(&s->barrier), PL_ENOTASK);
    check_as_new(s);
}

STAGE_CASE(meeting, a_barrier_with_tasks_inside_is_not_made_anew)
{
    init(s, 2);
    enter(s, 0, come);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(pl_barrier_init(&s->barrier, 3), PL_EBUSY);
    reset(s);
    CHECK_EQ_INT(pl_barrier_init(&s->barrier, 3), PL_EBUSY); /* a has not left */
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "a:PL_EBROKEN ");
    init(s, 3);
    CHECK_EQ_INT(pl_barrier_parties(&s->barrier), 3);
    check_as_new(s);
}

static int64_t use_a_barrier_of_another_loop(void *arg)
{
    meeting *s = arg;
    CHECK_EQ_INT(pl_barrier_wait(&s->barrier), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_reset(&s->barrier), PL_EINVAL);
    CHECK_EQ_INT(pl_barrier_abort(&s->barrier), PL_EINVAL);
    return PL_OK;
}

/* test_ambiguous_loops */
TEST_CASE(a_barrier_belongs_to_the_first_loop_in_which_a_task_waited_for_it)
{
    meeting s = {0};
    fixture other;
    REQUIRE(fixture_open(&s.s.f, t));
    REQUIRE(fixture_open(&other, t));
    init(&s, 2);
    enter(&s, 0, come);
    turn(&s.s.f, 1);
    CHECK_EQ_INT(run_task(&other, use_a_barrier_of_another_loop, &s), PL_OK);
    CHECK_EQ_INT(pl_barrier_waiting(&s.barrier), 1);
    enter(&s, 1, come);
    finish(&s, 0);
    EXPECT_TRACE(&s.s.f, "b:1 a:0 ");
    CHECK_EQ_INT(run_task(&other, use_a_barrier_of_another_loop, &s), PL_OK);
    fixture_close(&other);
    fixture_close(&s.s.f);
}

static void reset_from_here(void *arg)
{
    meeting *s = arg;
    s->s.f.results[0] = pl_barrier_reset(&s->barrier);
    s->s.f.results[1] = pl_barrier_abort(&s->barrier);
}

STAGE_CASE_DEBUG(meeting, another_thread_may_not_reset_a_barrier_with_tasks_inside)
{
    init(s, 2);
    enter(s, 0, come);
    turn(&s->s.f, 1);
    CHECK(test_in_thread(reset_from_here, s));
    CHECK_EQ_INT(s->s.f.results[0], PL_ETHREAD);
    CHECK_EQ_INT(s->s.f.results[1], PL_ETHREAD);
    enter(s, 1, come);
    finish(s, 0);
    EXPECT_TRACE(&s->s.f, "b:1 a:0 ");
}

/* --- As a whole --------------------------------------------------------------------------------------------------- */

STAGE_CASE_ALLOCATION(meeting, a_barrier_allocates_nothing)
{
    int64_t calls;
    init(s, 2);
    enter(s, 0, come);
    enter(s, 1, end_at_once);
    turn(&s->s.f, 1);
    EXPECT_TRACE(&s->s.f, "b:end ");
    enter(s, 1, come_again_at_once);
    calls = a->calls;
    turn(&s->s.f, 3);
    cancel(s, 1, EDGE);
    turn(&s->s.f, 1);
    CHECK_EQ_INT(a->calls, calls);
    EXPECT_TRACE(&s->s.f, "b:1 a:0 b:PL_ECANCELED ");
}

TEST_CASE(the_end_of_the_loop_cancels_those_who_wait)
{
    meeting s = {0};
    REQUIRE(fixture_open(&s.s.f, t));
    init(&s, 3);
    enter_all(&s, 2, come);
    turn(&s.s.f, 1);
    fixture_close(&s.s.f);
    CHECK_STR(s.s.f.trace, "a:PL_ECANCELED b:PL_ECANCELED ");
    CHECK_EQ_INT(pl_barrier_waiting(&s.barrier), 0);
}

/* Comes and comes again, whatever cancels it, until it is told to end. */
static int64_t come_again_and_again(void *arg)
{
    meeting *s = arg;
    while (s->s.f.counts[7] == 0) {
        pl_timeout scope = {0};
        int rc;
        begin_round(s, &scope);
        rc = pl_barrier_wait(&s->barrier);
        end_round(s, &scope);
        if (rc >= 0) {
            CHECK(rc < 3);
            s->s.f.counts[rc]++;
        }
        CHECK(rc != PL_EBROKEN);
    }
    return PL_OK;
}

/* Whoever got one index, somebody got the others. */
STAGE_CASE(meeting, cancelled_at_random_as_many_pass_with_each_index)
{
    uint64_t seed = 0xba41;
    init(s, 3);
    enter_all(s, FIXTURE_SLOTS, come_again_and_again);
    for (int i = 0, n = scaled(2000); i < n; i++) {
        turn(&s->s.f, 1 + random_below(&seed, 2));
        cancel_at_random(s, &seed);
    }
    s->s.f.counts[7] = 1;
    for (int i = 0; i < FIXTURE_SLOTS; i++) {
        (void)pl_task_cancel(s->s.f.tasks[i]);
        finish(s, i);
    }
    CHECK(s->s.f.counts[0] > 0);
    CHECK_EQ_INT(s->s.f.counts[0], s->s.f.counts[1]);
    CHECK_EQ_INT(s->s.f.counts[0], s->s.f.counts[2]);
    check_as_new(s);
}

TEST_SUITE(barrier, TEST_BACKENDS_ALL,
           CASE(a_barrier_opens_when_all_are_there),
           CASE(a_barrier_for_one_is_passed_at_once),
           CASE(tasks_pass_a_barrier_twice_with_an_index_each),
           CASE(who_comes_while_it_drains_waits_until_all_have_left),
           CASE(blocking_tasks_while_draining_count_for_the_next_time),
           CASE(a_reset_of_an_empty_barrier_changes_nothing),
           CASE(a_reset_breaks_the_wait_of_those_inside),
           CASE(a_reset_while_it_drains_breaks_the_wait_of_those_who_have_not_left),
           CASE(a_reset_while_it_drains_leaves_those_who_wait_outside),
           CASE(after_a_reset_the_same_tasks_fill_it_again),
           CASE(a_reset_after_the_last_has_left_breaks_nobody_s_wait),
           CASE(an_aborted_barrier_is_broken_until_it_is_reset),
           CASE(an_abort_while_it_drains_breaks_all_waits_inside_and_outside),
           CASE(a_task_that_fails_aborts_the_barrier_for_the_others),
           CASE(after_an_abort_a_reset_lets_all_meet_again),
           CASE(a_reset_after_an_abort_waits_for_those_inside),
           CASE(a_cancelled_task_does_not_count),
           CASE(a_task_that_comes_while_another_is_cancelled_does_not_open_it),
           CASE(a_cancel_after_the_last_has_come_comes_at_the_next_wait),
           CASE(a_task_that_waits_outside_is_cancelled),
           CASE(in_a_cancelled_scope_nobody_comes),
           CASE(a_time_limit_ends_the_wait_for_the_others),
           CASE(a_shielded_wait_is_not_cancelled),
           CASE(a_task_that_passes_without_waiting_gives_way),
           CASE(a_call_that_makes_no_sense_is_refused),
           CASE(a_barrier_with_tasks_inside_is_not_made_anew),
           CASE(a_barrier_belongs_to_the_first_loop_in_which_a_task_waited_for_it),
           CASE(another_thread_may_not_reset_a_barrier_with_tasks_inside),
           CASE(a_barrier_allocates_nothing),
           CASE(the_end_of_the_loop_cancels_those_who_wait),
           CASE(cancelled_at_random_as_many_pass_with_each_index))
