/* Tasks: steps, awaiting, cancelling, and the races of them. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

static int64_t note_run(void *arg)
{
    note(arg, "run");
    return 0;
}

static int64_t return_seven(void *arg)
{
    (void)arg;
    return 7;
}

static int64_t fail(void *arg)
{
    (void)arg;
    return PL_EIO;
}

static int64_t await_first(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_await(f->futures[0]);
    note_code(f, rc);
    return rc;
}

static int64_t await_task_first(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_task_await(f->tasks[0]);
    note_code(f, rc);
    return rc;
}

static int64_t sleep_for_ever(void *arg)
{
    int rc = pl_sleep(PL_FOREVER);
    note_code(arg, rc);
    return rc;
}

static int state_of(const fixture *f, int slot)
{
    return pl_future_state(pl_task_future(f->tasks[slot]));
}

static int64_t result_of(const fixture *f, int slot)
{
    return pl_future_result(pl_task_future(f->tasks[slot]));
}

/* A task with a drop function, in a slot. */
static pl_task *start_droppable(fixture *f, int slot, pl_task_fn *fn)
{
    pl_task_options options = {.size = sizeof options, .loop = f->loop, .drop = fixture_drop};
    CHECK_EQ_INT(pl_spawn(&f->tasks[slot], fn, f, &options), PL_OK);
    return f->tasks[slot];
}

/* --- Steps -------------------------------------------------------------------------------------------------------- */

TEST_CASE(the_first_step_is_in_the_next_iteration_in_order)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    start_slot(&f, 0, note_run);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_b, &f, NULL), PL_OK);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(state_of(&f, 0), PL_PENDING);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a run b ");
    CHECK_EQ_INT(state_of(&f, 0), PL_FINISHED);
    fixture_close(&f);
}

static int64_t spawn_from_task(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_spawn(NULL, note_run, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, f, NULL), PL_OK);
    note(f, "parent");
    return 0;
}

TEST_CASE(a_task_spawned_by_a_task_waits_for_the_next_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, spawn_from_task);
    turn(&f, 1);
    EXPECT_TRACE(&f, "parent ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "run a ");
    fixture_close(&f);
}

/* test_task_basics */
TEST_CASE(a_task_ends_with_what_its_function_returns)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, return_seven, &f), 7);
    CHECK_EQ_INT(run_task(&f, fail, &f), PL_EIO);
    fixture_close(&f);
}

static int64_t return_cancelled(void *arg)
{
    (void)arg;
    return PL_ECANCELED;
}

TEST_CASE(a_task_that_returns_the_code_of_cancelling_is_cancelled_whoever_made_it)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, return_cancelled);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 0);
    fixture_close(&f);
}

static int64_t yield_thrice(void *arg)
{
    fixture *f = arg;
    for (int i = 0; i < 3; i++) {
        note(f, "t");
        CHECK_EQ_INT(i == 1 ? pl_sleep(0) : i == 2 ? pl_sleep(-5) : pl_yield(), PL_OK);
    }
    note(f, "end");
    return 0;
}

/* test_sleep_zero */
TEST_CASE(giving_way_resumes_in_the_next_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, yield_thrice);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
        turn(&f, 1);
        EXPECT_TRACE(&f, i == 0 ? "t a " : "t a ");
    }
    turn(&f, 1);
    EXPECT_TRACE(&f, "end ");
    fixture_close(&f);
}

static int64_t take_turns(void *arg)
{
    fixture *f = arg;
    const char *name = pl_task_name(pl_task_current());
    for (int i = 0; i < 3; i++) {
        note(f, name);
        CHECK_EQ_INT(pl_yield(), PL_OK);
    }
    return 0;
}

TEST_CASE(tasks_that_give_way_take_turns)
{
    static const char *const names[] = {"x", "y", "z"};
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < 3; i++) {
        pl_task_options options = {.size = sizeof options, .loop = f.loop, .name = names[i]};
        CHECK_EQ_INT(pl_spawn(NULL, take_turns, &f, &options), PL_OK);
    }
    turn(&f, 4);
    EXPECT_TRACE(&f, "x y z x y z x y z ");
    fixture_close(&f);
}

static int64_t check_current(void *arg)
{
    fixture *f = arg;
    pl_task *self = pl_task_current();
    CHECK(self != NULL && pl_task_loop(self) == f->loop);
    CHECK(self == f->tasks[0] || self == f->tasks[1]);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ_INT(pl_yield(), PL_OK);
        CHECK(pl_task_current() == self);
    }
    return 0;
}

static void check_no_current(void *arg)
{
    CHECK(pl_task_current() == NULL);
    note(arg, "a");
}

/* test_current_task_with_interleaving_tasks */
TEST_CASE(the_current_task_is_known_only_while_it_steps)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK(pl_task_current() == NULL);
    start_slot(&f, 0, check_current);
    start_slot(&f, 1, check_current);
    for (int i = 0; i < 5; i++) {
        CHECK_EQ_INT(pl_call_soon(f.loop, check_no_current, &f, NULL), PL_OK);
        turn(&f, 1);
        CHECK(pl_task_current() == NULL);
    }
    EXPECT_TRACE(&f, "a a a a a ");
    CHECK_EQ_INT(state_of(&f, 0), PL_FINISHED);
    fixture_close(&f);
}

TEST_CASE(the_loop_owns_a_task_that_nobody_holds)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    pl_task_unref(start_task(&f, await_first, &f));
    turn(&f, 2);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 3), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "3 ");
    fixture_close(&f);
}

TEST_CASE(letting_go_of_no_task_is_fine)
{
    (void)t;
    pl_task_unref(NULL);
}

TEST_CASE(a_task_has_a_name_of_its_own_or_the_one_it_was_given)
{
    fixture f;
    pl_task_options options = {.size = sizeof options};
    char name[40] = "reader";
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    options.name = name;
    CHECK_EQ_INT(pl_spawn(&f.tasks[0], return_seven, NULL, &options), PL_OK);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    CHECK_STR(pl_task_name(f.tasks[0]), "reader"); /* copied */
    CHECK_EQ_INT(pl_spawn(&f.tasks[1], return_seven, NULL, &options), PL_OK);
    CHECK_STR(pl_task_name(f.tasks[1]), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"); /* 31 of them */
    options.name = NULL;
    CHECK_EQ_INT(pl_spawn(&f.tasks[2], return_seven, NULL, &options), PL_OK);
    CHECK_EQ_INT(pl_spawn(&f.tasks[3], return_seven, NULL, &options), PL_OK);
    CHECK(strncmp(pl_task_name(f.tasks[2]), "task-", 5) == 0);
    CHECK(strcmp(pl_task_name(f.tasks[2]), pl_task_name(f.tasks[3])) != 0);
    CHECK(pl_task_loop(f.tasks[0]) == f.loop);
    turn(&f, 1);
    CHECK_STR(pl_task_name(f.tasks[0]), "reader"); /* after its end too */
    fixture_close(&f);
}

/* --- Eager -------------------------------------------------------------------------------------------------------- */

static void spawn_eager(fixture *f, int slot, pl_task_fn *fn)
{
    pl_task_options options = {.size = sizeof options, .eager = 1, .drop = fixture_drop};
    CHECK_EQ_INT(pl_spawn(&f->tasks[slot], fn, f, &options), PL_OK);
}

static int64_t eager_child(void *arg)
{
    fixture *f = arg;
    note(f, "child");
    CHECK(pl_task_current() != f->tasks[0] && pl_task_current() != NULL);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(f, "child2");
    return 5;
}

static int64_t eager_parent(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, f, NULL), PL_OK);
    note(f, "parent");
    spawn_eager(f, 1, eager_child);
    CHECK(pl_task_current() == f->tasks[0]); /* as before */
    CHECK_EQ_INT(state_of(f, 1), PL_PENDING);
    note(f, "parent2");
    CHECK_EQ_INT(pl_task_await(f->tasks[1]), 5);
    note(f, "parent3");
    return 0;
}

/* test_block_after_eager_step */
TEST_CASE(an_eager_task_runs_to_its_first_wait_at_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, eager_parent);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 0);
    EXPECT_TRACE(&f, "parent child parent2 a child2 parent3 ");
    fixture_close(&f);
}

static int64_t eager_to_its_end(void *arg)
{
    fixture *f = arg;
    spawn_eager(f, 1, return_seven);
    CHECK_EQ_INT(state_of(f, 1), PL_FINISHED);
    CHECK_EQ_INT(pl_task_await(f->tasks[1]), 7);
    spawn_eager(f, 2, fail);
    CHECK_EQ_INT(pl_task_await(f->tasks[2]), PL_EIO);
    return 0;
}

/* test_eager_completion */
TEST_CASE(an_eager_task_that_never_waits_has_ended_when_spawn_returns)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, eager_to_its_end, &f), 0);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 0);
}

static void eager_from_callback(void *arg)
{
    fixture *f = arg;
    spawn_eager(f, 1, eager_child);
    CHECK(pl_task_current() == NULL);
    note(f, "callback");
}

TEST_CASE(a_callback_may_start_an_eager_task)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, eager_from_callback, &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "child callback ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "child2 ");
    fixture_close(&f);
}

static int64_t eager_chain(void *arg)
{
    fixture *f = arg;
    if (++f->counts[0] < 50) {
        pl_task_options options = {.size = sizeof options, .eager = 1};
        pl_task *child = NULL;
        CHECK_EQ_INT(pl_spawn(&child, eager_chain, f, &options), PL_OK);
        CHECK_EQ_INT(pl_task_await(child), 1);
        pl_task_unref(child);
    } else {
        CHECK_EQ_INT(pl_yield(), PL_OK);
    }
    f->counts[1]++;
    return 1;
}

TEST_CASE(eager_tasks_start_one_another)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, eager_chain, &f), 1);
    CHECK_EQ_INT(f.counts[1], 50);
    fixture_close(&f);
}

TEST_CASE(eager_outside_of_the_loop_waits_for_the_next_iteration)
{
    fixture f;
    pl_task_options options = {.size = sizeof options, .eager = 1};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    CHECK_EQ_INT(pl_spawn(NULL, note_run, &f, &options), PL_OK);
    EXPECT_TRACE(&f, "");
    turn(&f, 1);
    EXPECT_TRACE(&f, "run ");
    fixture_close(&f);
}

static int64_t spawn_eager_elsewhere(void *arg)
{
    fixture *other = arg;
    pl_task_options options = {.size = sizeof options, .eager = 1, .loop = other->loop};
    CHECK_EQ_INT(pl_spawn(NULL, note_run, other, &options), PL_OK);
    CHECK_STR(other->trace, "");
    return 0;
}

TEST_CASE(eager_in_a_loop_that_does_not_run_waits_for_it)
{
    fixture f, other;
    REQUIRE(fixture_open(&f, t));
    REQUIRE(fixture_open(&other, t));
    CHECK_EQ_INT(run_task(&f, spawn_eager_elsewhere, &other), 0);
    turn(&f, 1);
    EXPECT_TRACE(&other, "");
    turn(&other, 1);
    EXPECT_TRACE(&other, "run ");
    fixture_close(&other);
    fixture_close(&f);
}

static int64_t cancel_the_parent(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
    return 5;
}

static int64_t be_cancelled_by_an_eager_child(void *arg)
{
    fixture *f = arg;
    spawn_eager(f, 1, cancel_the_parent);
    CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED);
    CHECK_EQ_INT(pl_task_await(f->tasks[1]), 5); /* done: no wait */
    note_code(f, pl_sleep(PL_MS(1)));
    note_code(f, pl_sleep(0));
    return 3;
}

TEST_CASE(an_eager_child_may_cancel_its_parent)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, be_cancelled_by_an_eager_child);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 3);
    EXPECT_TRACE(&f, "PL_ECANCELED PL_OK ");
    fixture_close(&f);
}

static int64_t await_the_parent(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_task_await(f->tasks[0]);
    note_code(f, rc);
    return rc;
}

static int64_t have_an_eager_child_that_waits(void *arg)
{
    fixture *f = arg;
    spawn_eager(f, 1, await_the_parent);
    CHECK_EQ_INT(pl_task_await(f->tasks[1]), PL_EDEADLOCK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 9;
}

TEST_CASE(an_eager_child_may_await_its_parent)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, have_an_eager_child_that_waits);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 9);
    turn(&f, 2);
    EXPECT_TRACE(&f, "9 ");
    fixture_close(&f);
}

/* --- Spawning that fails ------------------------------------------------------------------------------------------ */

static int64_t note_stack(void *arg)
{
    enum { SIZE = 700 * 1024 };
    volatile char space[SIZE];
    for (size_t i = 0; i < SIZE; i += 512)
        space[i] = 1;
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(arg, space[SIZE / 512 * 512 - 512] ? "deep" : "lost");
    return 0;
}

TEST_CASE(a_task_gets_the_stack_it_asks_for)
{
    fixture f;
    pl_task_options options = {.size = sizeof options, .stack_size = 1024 * 1024};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(pl_spawn(NULL, note_stack, &f, &options), PL_OK);
    turn(&f, 3);
    EXPECT_TRACE(&f, "deep deep deep ");
    options.stack_size = 1; /* the least there is */
    CHECK_EQ_INT(pl_spawn(NULL, note_run, &f, &options), PL_OK);
    turn(&f, 2);
    EXPECT_TRACE(&f, "run ");
    fixture_close(&f);
}

TEST_CASE(options_of_a_wrong_size_are_refused_and_the_argument_dropped)
{
    fixture f;
    pl_task_options options = {.size = 0, .drop = fixture_drop};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    CHECK_EQ_INT(pl_spawn(NULL, note_run, &f, &options), PL_EINVAL);
    CHECK_EQ_INT(f.drops, 1);
    turn(&f, 1);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
}

/* --- Awaiting ----------------------------------------------------------------------------------------------------- */

TEST_CASE(several_tasks_may_await_one)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    start_slot(&f, 1, await_task_first);
    start_slot(&f, 2, await_task_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 4), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "4 ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "4 4 ");
    fixture_close(&f);
}

static int64_t await_itself(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), PL_EDEADLOCK);
    CHECK_EQ_INT(pl_await(pl_task_future(pl_task_current())), PL_EDEADLOCK);
    return 1;
}

/* test_task_awaits_on_itself */
TEST_CASE(a_task_that_awaits_itself_is_told)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, await_itself);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    fixture_close(&f);
}

static int64_t await_the_next(void *arg)
{
    fixture *f = arg;
    int next = (f->counts[0]++ + 1) % 3;
    int64_t rc = pl_task_await(f->tasks[next]);
    note_code(f, rc);
    return rc;
}

TEST_CASE(a_circle_of_tasks_that_await_one_another_ends)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < 3; i++)
        start_slot(&f, i, await_the_next);
    turn(&f, 5);
    EXPECT_TRACE(&f, "PL_EDEADLOCK PL_EDEADLOCK PL_EDEADLOCK ");
    fixture_release_slots(&f);
    if (f.reports[0]) /* of the one whose waiter is gone, at most */
        EXPECT_REPORTS(&f, "PL_EDEADLOCK ");
    fixture_close(&f);
}

/* --- Cancelling: where the task is -------------------------------------------------------------------------------- */

TEST_CASE(a_cancel_before_the_first_step_drops_the_argument_once_and_nothing_runs)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_droppable(&f, 0, note_run);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(f.drops, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 0);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 1);
}

TEST_CASE(a_task_that_ran_does_not_drop_its_argument)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_droppable(&f, 0, note_run);
    start_droppable(&f, 1, sleep_for_ever);
    start_droppable(&f, 2, fail);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[1]), 1);
    turn(&f, 1);
    EXPECT_TRACE(&f, "run PL_ECANCELED ");
    CHECK_EQ_INT(result_of(&f, 2), PL_EIO);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 0);
}

TEST_CASE(a_cancel_taken_back_before_the_first_step_lets_it_run)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_droppable(&f, 0, note_run);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_uncancel(f.tasks[0]), 0);
    turn(&f, 1);
    EXPECT_TRACE(&f, "run ");
    CHECK_EQ_INT(f.drops, 0);
    fixture_close(&f);
}

/* test_cancel, test_task_cancel_sleeping_task */
TEST_CASE(a_cancel_wakes_a_task_that_sleeps)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, sleep_for_ever);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    EXPECT_TRACE(&f, ""); /* by the ready queue */
    CHECK_EQ_INT(state_of(&f, 0), PL_PENDING);
    turn(&f, 1);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 0);
    fixture_close(&f);
}

static int64_t yield_for_ever(void *arg)
{
    int rc;
    while ((rc = pl_yield()) == PL_OK)
        note(arg, "y");
    note_code(arg, rc);
    return rc;
}

/* test_cancel_yield */
TEST_CASE(a_cancel_reaches_a_task_that_gives_way)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, yield_for_ever);
    turn(&f, 2);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 1);
    EXPECT_TRACE(&f, "y PL_ECANCELED ");
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    fixture_close(&f);
}

/* test_task_cancel_waiter_future */
TEST_CASE(a_cancel_cancels_the_future_that_is_awaited)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_CANCELLED); /* a plain one ends at once */
    turn(&f, 1);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    fixture_close(&f);
}

/* test_cancel_inner_future */
TEST_CASE(a_task_whose_future_was_cancelled_by_another_ends_cancelled)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_cancel(f.futures[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 0);
    fixture_close(&f);
}

/* test_cancel_both_task_and_inner_future */
TEST_CASE(a_cancel_of_both_the_future_and_its_waiter_comes_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_cancel(f.futures[0]), 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    fixture_close(&f);
}

static int64_t await_then_yield_twice(void *arg)
{
    fixture *f = arg;
    note_code(f, pl_await(f->futures[0]));
    note_code(f, pl_yield());
    note_code(f, pl_yield());
    return 7;
}

TEST_CASE(a_cancel_of_a_task_whose_future_just_became_done_ends_that_wait)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_then_yield_twice);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 5), PL_OK); /* ready to go on, with 5 */
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 7);
    EXPECT_TRACE(&f, "PL_ECANCELED PL_OK PL_OK "); /* as asyncio; the result is still in the future */
    CHECK_EQ_INT(pl_future_result(f.futures[0]), 5);
    fixture_close(&f);
}

/* test_uncancel_resets_must_cancel */
TEST_CASE(a_cancel_taken_back_before_the_step_leaves_the_result)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_then_yield_twice);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 5), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_uncancel(f.tasks[0]), 0);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 7);
    EXPECT_TRACE(&f, "5 PL_OK PL_OK ");
    fixture_close(&f);
}

static void cancel_first_task(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
}

static int64_t sleep_then_yield(void *arg)
{
    fixture *f = arg;
    note_code(f, pl_sleep(PL_MS(1)));
    note_code(f, pl_yield());
    return 7;
}

TEST_CASE(a_cancel_of_a_task_whose_sleep_just_ended_comes_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, sleep_then_yield);
    turn(&f, 1);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, PL_MS(1), cancel_first_task, &f), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 7);
    /* Whichever came first, one of the two waits was cancelled. */
    CHECK(strcmp(f.trace, "PL_ECANCELED PL_OK ") == 0 || strcmp(f.trace, "PL_OK PL_ECANCELED ") == 0);
    fixture_close(&f);
}

/* --- Cancelling: what the task does about it ---------------------------------------------------------------------- */

static int64_t catch_and_return(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_await(f->futures[0]), 1);
    if (pl_await(f->futures[1]) == PL_ECANCELED)
        return 42;
    return 0;
}

/* test_cancel_task_catching */
TEST_CASE(a_task_may_catch_its_cancel_and_return_something_else)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    start_slot(&f, 0, catch_and_return);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_future_state(f.futures[1]), PL_CANCELLED);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 42);
    CHECK_EQ_INT(state_of(&f, 0), PL_FINISHED);
    fixture_close(&f);
}

static int64_t ignore_and_wait_on(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_await(f->futures[0]), PL_ECANCELED);
    return pl_await(f->futures[1]);
}

/* test_cancel_task_ignoring */
TEST_CASE(a_cancel_is_an_edge_the_next_wait_is_not_cancelled)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    start_slot(&f, 0, ignore_and_wait_on);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 2);
    CHECK_EQ_INT(state_of(&f, 0), PL_PENDING);
    CHECK_EQ_INT(pl_future_state(f.futures[1]), PL_PENDING);
    CHECK_EQ_INT(pl_future_set_result(f.futures[1], 42), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 42);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 1);
    fixture_close(&f);
}

TEST_CASE(each_cancel_ends_one_wait)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    start_slot(&f, 0, ignore_and_wait_on);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 2);
    fixture_close(&f);
}

TEST_CASE(two_cancels_before_the_step_end_one_wait)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_then_yield_twice);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 5), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 7);
    EXPECT_TRACE(&f, "PL_ECANCELED PL_OK PL_OK ");
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 2);
    fixture_close(&f);
}

static int64_t cancel_itself(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED);
    CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED); /* a look does not take it */
    note_code(f, pl_sleep(PL_SECONDS(3600)));
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
    note_code(f, pl_yield());
    return PL_ECANCELED;
}

/* test_cancel_current_task */
TEST_CASE(a_task_that_cancels_itself_is_cancelled_at_its_next_wait)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, cancel_itself);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(&f, "PL_ECANCELED PL_OK ");
    fixture_close(&f);
}

static int64_t cancel_itself_and_return(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    return 12;
}

/* test_cancel_at_end: asyncio ends such a task as cancelled. */
TEST_CASE(a_task_that_returns_before_its_cancel_came_ends_cancelled)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, cancel_itself_and_return);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    fixture_close(&f);
}

static int64_t cancel_itself_and_await_done(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    note_code(f, pl_await(f->futures[0])); /* no wait */
    note_code(f, pl_yield());
    note_code(f, pl_yield());
    return 0;
}

TEST_CASE(a_cancel_that_is_due_passes_over_a_future_that_is_done)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_set_result(new_future(&f, 0), 5), PL_OK);
    CHECK_EQ_INT(run_task(&f, cancel_itself_and_await_done, &f), 0);
    EXPECT_TRACE(&f, "5 PL_ECANCELED PL_OK ");
    fixture_close(&f);
}

static int64_t cancel_itself_and_await_pending(void *arg)
{
    fixture *f = arg;
    f->tasks[1] = start_task(f, await_first, f);
    CHECK_EQ_INT(pl_yield(), PL_OK); /* the nested one waits */
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    return pl_task_await(f->tasks[1]);
}

/* test_cancel_awaited_task, bpo-34872 */
TEST_CASE(a_cancel_that_is_due_cancels_what_the_task_waits_for_next)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, cancel_itself_and_await_pending);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    CHECK_EQ_INT(state_of(&f, 1), PL_CANCELLED);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_CANCELLED);
    fixture_close(&f);
}

/* --- Cancelling: chains ------------------------------------------------------------------------------------------- */

/* test_yield_future_passes_cancel */
TEST_CASE(a_cancel_runs_down_from_task_to_task_to_future_and_its_answer_back)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, await_first);
    start_slot(&f, 1, await_task_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[1]), 1);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_CANCELLED);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 1);
    turn(&f, 1);
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    CHECK_EQ_INT(state_of(&f, 1), PL_PENDING);
    turn(&f, 1);
    CHECK_EQ_INT(state_of(&f, 1), PL_CANCELLED);
    EXPECT_TRACE(&f, "PL_ECANCELED PL_ECANCELED ");
    fixture_close(&f);
}

static int64_t swallow(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_await(f->futures[0]), PL_ECANCELED);
    return 42;
}

TEST_CASE(a_task_that_swallows_a_cancel_meant_for_its_waiter_gives_it_its_result)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, swallow);
    start_slot(&f, 1, await_task_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[1]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), 42);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[1]), 1);
    fixture_close(&f);
}

static int64_t clean_up_for_two_steps(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    note(f, "1");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(f, "2");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(f, "3");
    return PL_ECANCELED;
}

/* test_wait_for_waits_for_task_cancellation */
TEST_CASE(a_cancelled_waiter_goes_on_only_when_the_task_it_awaits_has_ended)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, clean_up_for_two_steps);
    start_slot(&f, 1, await_task_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[1]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), PL_ECANCELED);
    EXPECT_TRACE(&f, "1 2 3 PL_ECANCELED ");
    fixture_close(&f);
}

TEST_CASE(a_second_cancel_interrupts_the_cleaning_up_of_the_awaited_task)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    start_slot(&f, 0, ignore_and_wait_on);
    start_slot(&f, 1, await_task_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[1]), 1);
    turn(&f, 2);
    CHECK_EQ_INT(state_of(&f, 0), PL_PENDING);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[1]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), PL_ECANCELED);
    CHECK_EQ_INT(pl_future_state(f.futures[1]), PL_CANCELLED);
    fixture_close(&f);
}

TEST_CASE(a_cancelled_task_cancels_each_of_its_waiters_waits)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, sleep_for_ever);
    start_slot(&f, 1, await_task_first);
    start_slot(&f, 2, await_task_first);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 2);
    EXPECT_TRACE(&f, "PL_ECANCELED PL_ECANCELED PL_ECANCELED ");
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[1]), 0);
    fixture_close(&f);
}

TEST_CASE(awaiting_a_task_that_was_cancelled_before_its_first_step_ends)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_droppable(&f, 0, note_run);
    start_slot(&f, 1, await_task_first);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 2);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    CHECK_EQ_INT(f.drops, 1);
    fixture_close(&f);
}

enum { CHAIN = 10000 };

typedef struct chain {
    pl_task **tasks;
    pl_future *last;
    int ended;
} chain;

typedef struct link_arg {
    chain *chain;
    int number;
} link_arg;

static int64_t await_the_link_before(void *arg)
{
    link_arg *l = arg;
    int64_t rc = l->number == 0 ? pl_await(l->chain->last) : pl_task_await(l->chain->tasks[l->number - 1]);
    CHECK_EQ_INT(rc, PL_ECANCELED);
    l->chain->ended++;
    return rc;
}

static int64_t cancel_the_chain(void *arg)
{
    pl_task *task = arg;
    CHECK_EQ_INT(pl_task_cancel(task), 1);
    return 0;
}

/* From inside a task: its stack is no deep one. */
TEST_CASE(a_cancel_runs_down_a_long_chain_of_tasks)
{
    fixture f;
    chain c = {0};
    const int count = scaled(CHAIN);
    link_arg *links = malloc(sizeof *links * (size_t)count);
    c.tasks = calloc((size_t)count, sizeof *c.tasks);
    REQUIRE(links != NULL && c.tasks != NULL);
    REQUIRE(fixture_open(&f, t));
    c.last = new_future(&f, 0);
    for (int i = 0; i < count; i++) {
        links[i] = (link_arg){&c, i};
        c.tasks[i] = start_task(&f, await_the_link_before, &links[i]);
        REQUIRE(c.tasks[i] != NULL);
    }
    turn(&f, 2);
    CHECK_EQ_INT(run_task(&f, cancel_the_chain, c.tasks[count - 1]), 0);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_CANCELLED);
    CHECK_EQ_INT(finish_task(&f, c.tasks[count - 1]), PL_ECANCELED);
    CHECK_EQ_INT(c.ended, count);
    for (int i = 0; i < count; i++)
        pl_task_unref(c.tasks[i]);
    fixture_close(&f);
    free(c.tasks);
    free(links);
}

/* --- Counting cancels --------------------------------------------------------------------------------------------- */

static int64_t uncancel_and_sleep_on(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_task_uncancel(pl_task_current()), 0);
    note(f, "on");
    return pl_sleep(PL_FOREVER);
}

/* test_uncancel_basic, test_cancelling */
TEST_CASE(cancels_are_counted_and_taken_back)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, uncancel_and_sleep_on);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 0);
    CHECK_EQ_INT(pl_task_uncancel(f.tasks[0]), 0); /* never below */
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 1);
    turn(&f, 1);
    EXPECT_TRACE(&f, "on ");
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 0);
    CHECK_EQ_INT(state_of(&f, 0), PL_PENDING);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(pl_task_uncancel(f.tasks[0]), 0); /* no longer of effect */
    CHECK_EQ_INT(state_of(&f, 0), PL_CANCELLED);
    fixture_close(&f);
}

TEST_CASE(one_of_two_cancels_taken_back_leaves_the_other)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, note_run);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 2);
    CHECK_EQ_INT(pl_task_uncancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
}

static int64_t stop_and_return(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_loop_stop(f->loop), PL_OK);
    return 5;
}

TEST_CASE(a_task_that_stops_the_loop_and_ends_has_ended)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, stop_and_return, &f), 5);
    CHECK_EQ_INT(run_task(&f, return_seven, &f), 7); /* no stop is left over */
    fixture_close(&f);
}

/* --- Sleeping ----------------------------------------------------------------------------------------------------- */

static int64_t sleep_and_check(void *arg)
{
    fixture *f = arg;
    uint64_t random = 5;
    for (int i = 0; i < 30; i++) {
        pl_duration delay = PL_US(random_below(&random, 2000)) + random_below(&random, 1000);
        pl_duration start = pl_loop_time(f->loop);
        CHECK_EQ_INT(i % 2 ? pl_sleep(delay) : pl_sleep_until(start + delay), PL_OK);
        CHECK(pl_loop_time(f->loop) >= start + delay);
    }
    return 0;
}

TEST_CASE(a_sleep_is_never_short)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, sleep_and_check, &f), 0);
    fixture_close(&f);
}

static int64_t sleep_until_slot(void *arg)
{
    fixture *f = arg;
    int number = f->counts[0]++;
    CHECK_EQ_INT(pl_sleep_until(f->results[0]), PL_OK);
    CHECK_EQ_INT(f->counts[1]++, number);
    return 0;
}

TEST_CASE(sleepers_of_one_deadline_wake_in_the_order_they_came)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    f.results[0] = pl_loop_time(f.loop) + PL_MS(5);
    for (int i = 0; i < FIXTURE_SLOTS; i++)
        start_slot(&f, i, sleep_until_slot);
    for (int i = 0; i < FIXTURE_SLOTS; i++)
        CHECK_EQ_INT(finish_task(&f, f.tasks[i]), 0);
    CHECK_EQ_INT(f.counts[1], FIXTURE_SLOTS);
    fixture_close(&f);
}

static int64_t sleep_in_the_past(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_sleep_until(0), PL_OK);
    note(f, "b");
    CHECK_EQ_INT(pl_sleep_until(INT64_MIN), PL_OK);
    CHECK_EQ_INT(pl_sleep(INT64_MIN), PL_OK);
    return 0;
}

TEST_CASE(a_sleep_until_the_past_gives_way_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, sleep_in_the_past, &f), 0);
    EXPECT_TRACE(&f, "a b ");
    fixture_close(&f);
}

/* test_sleep_cancel */
TEST_CASE(a_cancelled_sleep_takes_its_timer_with_it)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < 1000; i++) {
        start_slot(&f, 0, sleep_for_ever);
        turn(&f, 1);
        CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
        CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
        fixture_clear(&f);
        pl_task_unref(f.tasks[0]);
        f.tasks[0] = NULL;
    }
    fixture_close(&f);
}

/* --- Errors nobody looked at -------------------------------------------------------------------------------------- */

TEST_CASE(a_task_that_failed_and_was_never_awaited_is_reported_when_it_is_let_go)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, fail);
    turn(&f, 2);
    CHECK_STR(f.reports, "");
    pl_task_unref(pl_task_ref(f.tasks[0]));
    CHECK_STR(f.reports, "");
    CHECK_STR(pl_task_name(f.tasks[0]), pl_task_name(f.tasks[0]));
    pl_task_unref(f.tasks[0]);
    f.tasks[0] = NULL;
    CHECK(strncmp(f.report_task, "task-", 5) == 0);
    EXPECT_REPORTS(&f, "PL_EIO ");
    fixture_close(&f);
}

TEST_CASE(a_task_that_failed_and_was_awaited_is_not_reported)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, fail);
    CHECK_EQ_INT(run_task(&f, await_task_first, &f), PL_EIO);
    start_slot(&f, 1, fail);
    turn(&f, 1);
    CHECK_EQ_INT(result_of(&f, 1), PL_EIO);
    fixture_close(&f);
}

TEST_CASE(a_cancelled_task_is_never_reported)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, sleep_for_ever);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 1);
    pl_task_unref(start_task(&f, return_cancelled, &f));
    turn(&f, 1);
    fixture_close(&f);
}

/* --- What a task tells of itself ---------------------------------------------------------------------------------- */

TEST_CASE(a_task_takes_another_name)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, note_run);
    CHECK_EQ_INT(pl_task_set_name(f.tasks[0], "writer"), PL_OK);
    CHECK_STR(pl_task_name(f.tasks[0]), "writer");
    CHECK_EQ_INT(pl_task_set_name(f.tasks[0], NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_task_set_name(NULL, "writer"), PL_EINVAL);
    CHECK_STR(pl_task_name(f.tasks[0]), "writer");
    fixture_close(&f);
}

TEST_CASE(a_task_and_the_report_of_its_error_tell_where_it_was_spawned)
{
    fixture f;
    char here[160];
    pl_task_options options = {.size = sizeof options};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    (void)snprintf(here, sizeof here, "%s:%d", __FILE__, __LINE__ + 1);
    CHECK_EQ_INT(pl_spawn(&f.tasks[0], fail, &f, &options), PL_OK);
    CHECK_STR(pl_task_where(f.tasks[0]), here);
    CHECK(pl_task_where(NULL) == NULL);
    turn(&f, 1);
    pl_task_unref(f.tasks[0]);
    f.tasks[0] = NULL;
    CHECK_STR(f.report_where, here);
    EXPECT_REPORTS(&f, "PL_EIO ");
    fixture_close(&f);
}

/* test_all_tasks_deprecated, test_current_task: those that are not done, of this loop, in the order they were made. */
TEST_CASE(all_tasks_are_those_of_the_loop_that_are_not_done)
{
    fixture f, other;
    pl_task *all[4] = {NULL};
    REQUIRE(fixture_open(&f, t));
    REQUIRE(fixture_open(&other, t));
    start_slot(&other, 0, sleep_for_ever);
    CHECK_EQ_INT(pl_all_tasks(f.loop, all, 4), 0);
    start_slot(&f, 0, sleep_for_ever);
    start_slot(&f, 1, note_run);
    start_slot(&f, 2, sleep_for_ever);
    CHECK_EQ_INT(pl_all_tasks(f.loop, all, 2), 3); /* those that have not begun too */
    CHECK(all[0] == f.tasks[0] && all[1] == f.tasks[1] && !all[2]);
    pl_task_unref(all[0]);
    pl_task_unref(all[1]);
    turn(&f, 1);
    CHECK_EQ_INT(pl_all_tasks(f.loop, all, 4), 2);
    CHECK(all[0] == f.tasks[0] && all[1] == f.tasks[2]);
    pl_task_unref(all[0]);
    pl_task_unref(all[1]);
    CHECK_EQ_INT(pl_all_tasks(NULL, NULL, 0), 0); /* no loop runs */
    CHECK_EQ_INT(pl_all_tasks(f.loop, NULL, 4), 0);
    fixture_close(&other);
    fixture_close(&f);
}

static int64_t count_all_tasks(void *arg)
{
    fixture *f = arg;
    f->counts[0] = (int)pl_all_tasks(NULL, NULL, 0);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

static int64_t spawn_eager_counter(void *arg)
{
    fixture *f = arg;
    const pl_task_options options = {.size = sizeof options, .eager = 1};
    CHECK_EQ_INT(pl_spawn(&f->tasks[0], count_all_tasks, f, &options), PL_OK);
    CHECK_EQ_INT(f->counts[0], 2); /* this one, and itself */
    CHECK_EQ_INT(pl_all_tasks(NULL, NULL, 0), 2);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), 0);
    CHECK_EQ_INT(pl_all_tasks(NULL, NULL, 0), 1);
    return 0;
}

/* test_all_tasks of eager ones: those that have ended were never among them for others, those that wait are. */
TEST_CASE(an_eager_task_is_among_all_tasks_while_it_runs_and_when_it_waits)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, spawn_eager_counter, &f), 0);
    fixture_close(&f);
}

enum { SOME_STACK = 64 * 1024 };

/* Writes to much of its stack. */
static int64_t use_stack(void *arg)
{
    volatile char space[SOME_STACK];
    for (size_t i = 0; i < sizeof space; i += 512)
        space[i] = 1;
    ((fixture *)arg)->counts[0] = space[0];
    return pl_yield();
}

TEST_CASE(a_task_tells_how_much_of_its_stack_was_in_use)
{
    fixture f;
    pl_task_options options = {.size = sizeof options, .stack_size = 1024 * 1024};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    CHECK_EQ_INT(pl_spawn(&f.tasks[0], use_stack, &f, &options), PL_OK);
    CHECK_EQ_INT(pl_task_stack_used(f.tasks[0]), 0); /* it has none yet */
    turn(&f, 1);
    CHECK(pl_task_stack_used(f.tasks[0]) >= SOME_STACK);
    CHECK(pl_task_stack_used(f.tasks[0]) <= 2 * 1024 * 1024);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_stack_used(f.tasks[0]), 0);
    CHECK_EQ_INT(pl_task_stack_used(NULL), 0);
    fixture_close(&f);
}

/* --- Budget ------------------------------------------------------------------------------------------------------- */

typedef struct budget {
    fixture *f;
    int awaits;   /* by the one that never waits */
    int most;     /* of them without a change of `others` */
    int others;   /* steps of the other task */
    bool timer;   /* ran */
    bool over;
} budget;

static int64_t await_done_for_ever(void *arg)
{
    budget *b = arg;
    int seen = b->others, run = 0;
    while (b->awaits < 1000 || !b->timer) {
        CHECK_EQ_INT(pl_await(b->f->futures[0]), 1);
        b->awaits++;
        run = seen == b->others ? run + 1 : 0;
        seen = b->others;
        b->most = run > b->most ? run : b->most;
    }
    b->over = true;
    return 0;
}

static int64_t step_beside(void *arg)
{
    budget *b = arg;
    while (!b->over) {
        b->others++;
        CHECK_EQ_INT(pl_yield(), PL_OK);
    }
    return 0;
}

static void set_timer_ran(void *arg)
{
    budget *b = arg;
    b->timer = true;
}

static void check_budget(test_context *t, size_t budget_option, int least, int most)
{
    fixture f;
    budget b = {.f = &f};
    pl_timer timer = {0};
    pl_loop_options options = {.backend = t->backend, .task_budget = budget_option};
    REQUIRE(fixture_open_with(&f, options));
    CHECK_EQ_INT(pl_future_set_result(new_future(&f, 0), 1), PL_OK);
    f.tasks[0] = start_task(&f, await_done_for_ever, &b);
    f.tasks[1] = start_task(&f, step_beside, &b);
    CHECK_EQ_INT(pl_timer_start(&timer, f.loop, is_simulated(t) ? 0 : PL_MS(1), set_timer_ran, &b), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 0);
    CHECK(b.timer);
    CHECK(b.most >= least);
    CHECK(b.most <= most);
    turn(&f, 2);
    fixture_close(&f);
}

TEST_CASE(a_task_that_never_has_to_wait_gives_way_after_its_budget)
{
    check_budget(t, 8, 6, 8);
    check_budget(t, 1, 0, 1);
    check_budget(t, 0, 254, 256); /* the default */
}

/* --- Many --------------------------------------------------------------------------------------------------------- */

static int64_t await_first_quietly(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_await(f->futures[0]);
    f->counts[0]++;
    return rc;
}

TEST_CASE(a_hundred_thousand_tasks_are_alive)
{
#if defined(_WIN32)
    const int count = scaled(10000); /* Wine has room for 34,000 fibers */
#else
    const int count = scaled(100000);
#endif
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    for (int i = 0; i < count; i++) {
        pl_task_options options = {.size = sizeof options, .loop = f.loop};
        REQUIRE_EQ_INT(pl_spawn(NULL, await_first_quietly, &f, &options), PL_OK);
    }
    turn(&f, 2);
    CHECK_EQ_INT(f.counts[0], 0);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(f.counts[0], count);
    fixture_close(&f);
}

TEST_CASE(a_loop_closes_with_many_tasks_alive)
{
    const int count = scaled(10000);
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    for (int i = 0; i < count; i++)
        pl_task_unref(start_task(&f, await_first_quietly, &f));
    turn(&f, 1);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    CHECK_EQ_INT(f.counts[0], count);
    fixture_release_slots(&f);
}

static int64_t spawn_and_join(void *arg)
{
    fixture *f = arg;
    for (int i = 0; i < 20000; i++) {
        pl_task *task = start_task(f, return_seven, NULL);
        REQUIRE_OR(task != NULL, return PL_ENOMEM);
        REQUIRE_EQ_INT_OR(pl_task_await(task), 7, return PL_EUNKNOWN);
        pl_task_unref(task);
    }
    return 0;
}

TEST_CASE(stacks_of_ended_tasks_are_used_again)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, spawn_and_join, &f), 0);
    fixture_close(&f);
}

TEST_SUITE(task, TEST_BACKENDS_ALL,
           CASE(the_first_step_is_in_the_next_iteration_in_order),
           CASE(a_task_spawned_by_a_task_waits_for_the_next_iteration),
           CASE(a_task_ends_with_what_its_function_returns),
           CASE(a_task_that_returns_the_code_of_cancelling_is_cancelled_whoever_made_it),
           CASE(giving_way_resumes_in_the_next_iteration),
           CASE(tasks_that_give_way_take_turns),
           CASE(the_current_task_is_known_only_while_it_steps),
           CASE(the_loop_owns_a_task_that_nobody_holds),
           CASE(letting_go_of_no_task_is_fine),
           CASE(a_task_has_a_name_of_its_own_or_the_one_it_was_given),
           CASE(an_eager_task_runs_to_its_first_wait_at_once),
           CASE(an_eager_task_that_never_waits_has_ended_when_spawn_returns),
           CASE(a_callback_may_start_an_eager_task),
           CASE(eager_tasks_start_one_another),
           CASE(eager_outside_of_the_loop_waits_for_the_next_iteration),
           CASE(eager_in_a_loop_that_does_not_run_waits_for_it),
           CASE(an_eager_child_may_cancel_its_parent),
           CASE(an_eager_child_may_await_its_parent),
           CASE(a_task_gets_the_stack_it_asks_for),
           CASE(options_of_a_wrong_size_are_refused_and_the_argument_dropped),
           CASE(several_tasks_may_await_one),
           CASE(a_task_that_awaits_itself_is_told),
           CASE(a_circle_of_tasks_that_await_one_another_ends),
           CASE(a_cancel_before_the_first_step_drops_the_argument_once_and_nothing_runs),
           CASE(a_task_that_ran_does_not_drop_its_argument),
           CASE(a_cancel_taken_back_before_the_first_step_lets_it_run),
           CASE(a_cancel_wakes_a_task_that_sleeps),
           CASE(a_cancel_reaches_a_task_that_gives_way),
           CASE(a_cancel_cancels_the_future_that_is_awaited),
           CASE(a_task_whose_future_was_cancelled_by_another_ends_cancelled),
           CASE(a_cancel_of_both_the_future_and_its_waiter_comes_once),
           CASE(a_cancel_of_a_task_whose_future_just_became_done_ends_that_wait),
           CASE(a_cancel_taken_back_before_the_step_leaves_the_result),
           CASE(a_cancel_of_a_task_whose_sleep_just_ended_comes_once),
           CASE(a_task_may_catch_its_cancel_and_return_something_else),
           CASE(a_cancel_is_an_edge_the_next_wait_is_not_cancelled),
           CASE(each_cancel_ends_one_wait),
           CASE(two_cancels_before_the_step_end_one_wait),
           CASE(a_task_that_cancels_itself_is_cancelled_at_its_next_wait),
           CASE(a_task_that_returns_before_its_cancel_came_ends_cancelled),
           CASE(a_cancel_that_is_due_passes_over_a_future_that_is_done),
           CASE(a_cancel_that_is_due_cancels_what_the_task_waits_for_next),
           CASE(a_cancel_runs_down_from_task_to_task_to_future_and_its_answer_back),
           CASE(a_task_that_swallows_a_cancel_meant_for_its_waiter_gives_it_its_result),
           CASE(a_cancelled_waiter_goes_on_only_when_the_task_it_awaits_has_ended),
           CASE(a_second_cancel_interrupts_the_cleaning_up_of_the_awaited_task),
           CASE(a_cancelled_task_cancels_each_of_its_waiters_waits),
           CASE(awaiting_a_task_that_was_cancelled_before_its_first_step_ends),
           CASE(a_cancel_runs_down_a_long_chain_of_tasks),
           CASE(cancels_are_counted_and_taken_back),
           CASE(one_of_two_cancels_taken_back_leaves_the_other),
           CASE(a_task_that_stops_the_loop_and_ends_has_ended),
           CASE(a_sleep_is_never_short),
           CASE(sleepers_of_one_deadline_wake_in_the_order_they_came),
           CASE(a_sleep_until_the_past_gives_way_once),
           CASE(a_cancelled_sleep_takes_its_timer_with_it),
           CASE(a_task_that_failed_and_was_never_awaited_is_reported_when_it_is_let_go),
           CASE(a_task_that_failed_and_was_awaited_is_not_reported),
           CASE(a_cancelled_task_is_never_reported),
           CASE(a_task_takes_another_name),
           CASE(a_task_and_the_report_of_its_error_tell_where_it_was_spawned),
           CASE(all_tasks_are_those_of_the_loop_that_are_not_done),
           CASE(an_eager_task_is_among_all_tasks_while_it_runs_and_when_it_waits),
           CASE(a_task_tells_how_much_of_its_stack_was_in_use),
           CASE(a_task_that_never_has_to_wait_gives_way_after_its_budget),
           CASE(a_hundred_thousand_tasks_are_alive),
           CASE(a_loop_closes_with_many_tasks_alive),
           CASE(stacks_of_ended_tasks_are_used_again))
