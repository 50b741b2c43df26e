/* Ctrl-C in pl_run. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"
#include "process.h"
#include "threads.h"

static void prepare(test_context *t, fixture *f)
{
    memset(f, 0, sizeof *f);
    if (process_uses_console())
        t_keeps_handles(t, "those of the console");
}

static int64_t run(test_context *t, pl_task_fn *fn, void *arg)
{
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    return pl_run(fn, arg, &options);
}

/* The result of a run that was to be interrupted and could not be. */
enum { CANNOT = INT32_MIN };

static void check_run(test_context *t, fixture *f, pl_task_fn *fn, int64_t expected)
{
    int64_t result;
    prepare(t, f);
    result = run(t, fn, f);
    if (result == CANNOT)
        t_skip(t, "no way to make an interrupt");
    else
        CHECK_EQ_INT(result, expected);
}

static int64_t interrupt_and_sleep(void *arg)
{
    int64_t rc;
    if (!process_interrupt())
        return CANNOT;
    rc = pl_sleep(PL_FOREVER);
    note_code(arg, rc);
    return rc;
}

TEST_CASE(an_interrupt_cancels_the_main_task)
{
    fixture f;
    check_run(t, &f, interrupt_and_sleep, PL_EINTERRUPTED);
    if (!t->skipped)
        EXPECT_TRACE(&f, "PL_ECANCELED ");
}

static int64_t interrupt_and_yield(void *arg)
{
    fixture *f = arg;
    if (!process_interrupt())
        return CANNOT;
    while (pl_yield() == PL_OK)
        f->counts[0]++;
    return PL_ECANCELED;
}

/* test_interrupt_call_soon */
TEST_CASE(an_interrupt_reaches_a_main_task_that_never_sleeps)
{
    fixture f;
    check_run(t, &f, interrupt_and_yield, PL_EINTERRUPTED);
}

static int64_t interrupt_and_await(void *arg)
{
    fixture *f = arg;
    int64_t rc;
    CHECK_EQ_INT(pl_future_create(&f->futures[0], NULL), PL_OK);
    if (!process_interrupt())
        rc = CANNOT;
    else
        rc = pl_await(f->futures[0]);
    if (rc != CANNOT)
        CHECK_EQ_INT(pl_future_state(f->futures[0]), PL_CANCELLED);
    drop_future(f, 0);
    return rc;
}

/* test_interrupt_wait */
TEST_CASE(an_interrupt_cancels_what_the_main_task_waits_for)
{
    fixture f;
    check_run(t, &f, interrupt_and_await, PL_EINTERRUPTED);
}

static void interrupt_now(void *arg)
{
    fixture *f = arg;
    if (!process_interrupt()) {
        f->counts[7] = 1;
        (void)pl_task_cancel(f->tasks[0]);
    }
}

static int64_t be_interrupted_from_callback(void *arg)
{
    fixture *f = arg;
    int64_t rc;
    f->tasks[0] = pl_task_current();
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, PL_MS(1), interrupt_now, f), PL_OK);
    rc = pl_sleep(PL_FOREVER);
    return f->counts[7] ? CANNOT : rc;
}

TEST_CASE(an_interrupt_wakes_a_loop_that_waits)
{
    fixture f;
    check_run(t, &f, be_interrupted_from_callback, PL_EINTERRUPTED);
}

static int64_t swallow(void *arg)
{
    (void)arg;
    if (!process_interrupt())
        return CANNOT;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    return 5;
}

TEST_CASE(a_main_task_that_ends_well_all_the_same_gives_its_result)
{
    fixture f;
    check_run(t, &f, swallow, 5);
}

static int64_t fail_when_interrupted(void *arg)
{
    (void)arg;
    if (!process_interrupt())
        return CANNOT;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    return PL_EIO;
}

TEST_CASE(another_error_of_an_interrupted_main_task_passes)
{
    fixture f;
    check_run(t, &f, fail_when_interrupted, PL_EIO);
}

static int64_t wait_often_when_interrupted(void *arg)
{
    pl_shielded shielded = {0};
    (void)arg;
    if (!process_interrupt())
        return CANNOT;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
        CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    }
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK); /* cleaning up */
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_shielded_end(&shielded);
    return pl_yield();
}

TEST_CASE(an_interrupt_is_a_level_except_in_a_shielded_region)
{
    fixture f;
    check_run(t, &f, wait_often_when_interrupted, PL_EINTERRUPTED);
}

static int64_t child(void *arg)
{
    int64_t rc = pl_sleep(PL_FOREVER);
    note_code(arg, rc);
    return rc;
}

static int64_t interrupt_a_group(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_SUPERVISE), PL_OK);
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(pl_group_spawn(&group, child, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    if (!process_interrupt()) {
        pl_group_cancel(&group);
        return pl_group_end(&group, CANNOT);
    }
    return pl_group_end(&group, 0);
}

TEST_CASE(an_interrupt_ends_the_groups_of_the_main_task)
{
    fixture f;
    check_run(t, &f, interrupt_a_group, PL_EINTERRUPTED);
    if (!t->skipped)
        EXPECT_TRACE(&f, "PL_ECANCELED PL_ECANCELED PL_ECANCELED ");
}

static int64_t time_out_when_interrupted(void *arg)
{
    pl_timeout limit = {0};
    int64_t rc;
    (void)arg;
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_SECONDS(3600)), PL_OK);
    rc = process_interrupt() ? pl_sleep(PL_FOREVER) : CANNOT;
    return pl_timeout_end(&limit, rc);
}

TEST_CASE(an_interrupt_is_not_a_limits_cancel)
{
    fixture f;
    check_run(t, &f, time_out_when_interrupted, PL_EINTERRUPTED);
}

static int64_t terminate_and_sleep(void *arg)
{
    (void)arg;
    return process_terminate() ? pl_sleep(PL_FOREVER) : CANNOT;
}

TEST_CASE(being_asked_to_end_cancels_the_main_task_too)
{
    fixture f;
    check_run(t, &f, terminate_and_sleep, PL_EINTERRUPTED);
}

TEST_CASE(each_run_has_its_own_interrupts)
{
    fixture f;
    for (int i = 0; i < 5 && !t->skipped; i++) /* the second Ctrl-C of one run would end the program */
        check_run(t, &f, interrupt_and_sleep, PL_EINTERRUPTED);
}

static int64_t cancel_main_then_interrupt(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(f->tasks[0]), 1);
    if (!process_interrupt())
        f->counts[7] = 1;
    return 0;
}

static int64_t be_cancelled_and_interrupted(void *arg)
{
    fixture *f = arg;
    int64_t rc;
    f->tasks[0] = pl_task_current();
    CHECK_EQ_INT(pl_spawn(NULL, cancel_main_then_interrupt, f, NULL), PL_OK);
    rc = pl_sleep(PL_FOREVER);
    while (!f->counts[7] && pl_check_cancelled() == PL_OK) /* the interrupt may come later than the cancel */
        (void)pl_yield();
    return f->counts[7] ? CANNOT : rc;
}

/* test_interrupt_cancelled_task */
TEST_CASE(a_main_task_that_was_cancelled_too_is_just_cancelled)
{
    fixture f;
    check_run(t, &f, be_cancelled_and_interrupted, PL_ECANCELED);
}

static int64_t take_a_cancel_back(void *arg)
{
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    CHECK_EQ_INT(pl_task_uncancel(pl_task_current()), 0);
    return interrupt_and_sleep(arg);
}

TEST_CASE(a_cancel_that_was_taken_back_hides_no_interrupt)
{
    fixture f;
    check_run(t, &f, take_a_cancel_back, PL_EINTERRUPTED);
}

static int64_t interrupt_the_program(void *arg)
{
    (void)arg;
    if (!process_interrupt())
        return CANNOT;
    process_wait_interrupts(1);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK);
    return 3;
}

TEST_CASE(interrupts_that_are_left_to_the_program_reach_it)
{
    fixture f;
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop, .leave_interrupts = 1};
    int64_t result;
    prepare(t, &f);
    process_count_interrupts();
    result = pl_run(interrupt_the_program, &f, &options);
    if (result == CANNOT) {
        t_skip(t, "no way to make an interrupt");
        (void)process_interrupts_counted();
        return;
    }
    CHECK_EQ_INT(result, 3);
    CHECK_EQ_INT(process_interrupts_counted(), 1);
}

static int64_t return_seven(void *arg)
{
    (void)arg;
    return pl_yield() == PL_OK ? 7 : PL_EIO;
}

TEST_CASE(after_a_run_interrupts_are_the_programs_again)
{
    fixture f;
    prepare(t, &f);
    CHECK_EQ_INT(run(t, return_seven, &f), 7);
    CHECK(process_interrupt_is_handled() <= 0);
    process_count_interrupts();
    if (process_interrupt())
        process_wait_interrupts(1);
    else
        t_skip(t, "no way to make an interrupt");
    CHECK_EQ_INT(process_interrupts_counted(), t->skipped ? 0 : 1);
}

/* --- Whose they are ----------------------------------------------------------------------------------------------- */

TEST_CASE(a_handler_of_the_program_is_respected)
{
    fixture f;
    int64_t result;
    prepare(t, &f);
    CHECK_EQ_INT(run(t, return_seven, &f), 7); /* on Windows handlers that were added later go first */
    process_count_interrupts();
    result = run(t, interrupt_the_program, &f);
    CHECK_EQ_INT(process_interrupts_counted(), result == CANNOT ? 0 : 1);
    if (result == CANNOT)
        t_skip(t, "no way to make an interrupt");
    else
        CHECK_EQ_INT(result, 3);
}

static int64_t ask_whether_handled(void *arg)
{
    int *handled = arg;
    *handled = process_interrupt_is_handled();
    return 0;
}

typedef struct elsewhere {
    test_context *t;
    int handled;
} elsewhere;

static void run_in_thread(void *arg)
{
    elsewhere *e = arg;
    CHECK_EQ_INT(run(e->t, ask_whether_handled, &e->handled), 0);
}

/* test_signal_install_not_supported_ok */
TEST_CASE(in_a_thread_that_is_not_the_main_one_interrupts_are_left_alone)
{
    elsewhere e = {.t = t, .handled = 1};
    int handled = 0;
    if (process_interrupt_is_handled() < 0) {
        t_skip(t, "handlers cannot be asked for");
        return;
    }
    CHECK_EQ_INT(run(t, ask_whether_handled, &handled), 0);
    CHECK_EQ_INT(handled, 1);
    REQUIRE(test_in_thread(run_in_thread, &e));
    CHECK_EQ_INT(e.handled, 0);
}

/* --- Runners ------------------------------------------------------------------------------------------------------ */

static pl_runner *create_runner(test_context *t, fixture *f)
{
    pl_runner *runner = NULL;
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    prepare(t, f);
    CHECK_EQ_INT(pl_runner_create(&runner, &options), PL_OK);
    return runner;
}

/* Whether that went as it should; false, too, if there are no interrupts here. */
static bool check_runner_run(test_context *t, pl_runner *runner, pl_task_fn *fn, void *arg, int64_t expected)
{
    int64_t result = pl_runner_run(runner, fn, arg);
    if (result == CANNOT)
        t_skip(t, "no way to make an interrupt");
    return result != CANNOT && CHECK_EQ_INT(result, expected);
}

TEST_CASE(an_interrupt_is_of_one_run_of_a_runner)
{
    fixture f;
    pl_runner *runner = create_runner(t, &f);
    for (int i = 0; i < 3; i++) {
        if (!check_runner_run(t, runner, interrupt_and_sleep, &f, PL_EINTERRUPTED))
            break;
        CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
        CHECK(process_interrupt_is_handled() <= 0);
    }
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

TEST_CASE(interrupts_between_two_runs_are_the_programs)
{
    fixture f;
    pl_runner *runner = create_runner(t, &f);
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
    process_count_interrupts();
    if (process_interrupt())
        process_wait_interrupts(1);
    else
        t_skip(t, "no way to make an interrupt");
    CHECK_EQ_INT(process_interrupts_counted(), t->skipped ? 0 : 1);
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
    if (!t->skipped)
        (void)check_runner_run(t, runner, interrupt_and_sleep, &f, PL_EINTERRUPTED);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

static int64_t interrupt_and_return(void *arg)
{
    (void)arg;
    return process_interrupt() ? 5 : CANNOT;
}

static int64_t must_not_run(void *arg)
{
    (void)arg;
    CHECK(!"this runs");
    return 0;
}

TEST_CASE(an_interrupt_that_comes_too_late_for_a_run_cancels_the_next)
{
    fixture f;
    pl_runner *runner = create_runner(t, &f);
    if (process_interrupt_is_handled() < 0) {
        t_skip(t, "interrupts come from another thread, at some time");
    } else {
        for (int i = 0; i < 50; i++) { /* the loop may look at the system once more, or not */
            CHECK_EQ_INT(pl_runner_run(runner, interrupt_and_return, NULL), 5);
            CHECK_EQ_INT(pl_runner_run(runner, must_not_run, NULL), PL_EINTERRUPTED);
            CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
        }
    }
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

static int64_t interrupt_the_closing(void *arg)
{
    fixture *f = arg;
    int64_t rc;
    if (!process_interrupt()) {
        f->counts[7] = 1;
        return 0;
    }
    rc = pl_sleep(PL_FOREVER);
    note_code(f, rc);
    return rc;
}

static int64_t add_a_closer(void *arg)
{
    static pl_closer closer;
    memset(&closer, 0, sizeof closer);
    CHECK_EQ_INT(pl_loop_add_closer(NULL, &closer, interrupt_the_closing, arg), PL_OK);
    return 7;
}

TEST_CASE(an_interrupt_while_closers_run_cancels_them)
{
    fixture f;
    prepare(t, &f);
    CHECK_EQ_INT(run(t, add_a_closer, &f), 7);
    if (f.counts[7])
        t_skip(t, "no way to make an interrupt");
    else
        EXPECT_TRACE(&f, "PL_ECANCELED ");
}

/* --- Fork --------------------------------------------------------------------------------------------------------- */

static int no_loop_runs(void *arg)
{
    return pl_loop_running() == NULL && pl_task_current() == NULL ? 0 : *(int *)arg;
}

static int64_t fork_in_task(void *arg)
{
    int wrong = 33;
    (void)arg;
    CHECK(pl_loop_running() != NULL);
    return process_fork(no_loop_runs, &wrong);
}

TEST_CASE(a_child_made_by_fork_has_no_running_loop)
{
    fixture f;
    int64_t result;
    prepare(t, &f);
    result = run(t, fork_in_task, &f);
    if (result == -1)
        t_skip(t, "no fork here");
    else
        CHECK_EQ_INT(result, 0);
}

static int die_of_an_interrupt(void *arg)
{
    (void)process_interrupt();
    return *(int *)arg;
}

static int64_t fork_and_interrupt(void *arg)
{
    int survived = 33;
    (void)arg;
    return process_fork(die_of_an_interrupt, &survived);
}

TEST_CASE(an_interrupt_ends_a_child_made_by_fork_and_not_its_parents_run)
{
    fixture f;
    int64_t result;
    prepare(t, &f);
    result = run(t, fork_and_interrupt, &f);
    if (result == -1)
        t_skip(t, "no fork here");
    else
        CHECK_EQ_INT(result, 101); /* by the signal */
    CHECK_EQ_INT(run(t, return_seven, &f), 7);
}

TEST_SUITE(
    interrupt, TEST_BACKENDS_REAL, CASE(an_interrupt_cancels_the_main_task),
    CASE(an_interrupt_reaches_a_main_task_that_never_sleeps), CASE(an_interrupt_cancels_what_the_main_task_waits_for),
    CASE(an_interrupt_wakes_a_loop_that_waits), CASE(a_main_task_that_ends_well_all_the_same_gives_its_result),
    CASE(another_error_of_an_interrupted_main_task_passes), CASE(an_interrupt_is_a_level_except_in_a_shielded_region),
    CASE(an_interrupt_ends_the_groups_of_the_main_task), CASE(an_interrupt_is_not_a_limits_cancel),
    CASE(being_asked_to_end_cancels_the_main_task_too), CASE(each_run_has_its_own_interrupts),
    CASE(a_main_task_that_was_cancelled_too_is_just_cancelled), CASE(a_cancel_that_was_taken_back_hides_no_interrupt),
    CASE(interrupts_that_are_left_to_the_program_reach_it), CASE(after_a_run_interrupts_are_the_programs_again),
    CASE(a_handler_of_the_program_is_respected), CASE(in_a_thread_that_is_not_the_main_one_interrupts_are_left_alone),
    CASE(an_interrupt_is_of_one_run_of_a_runner), CASE(interrupts_between_two_runs_are_the_programs),
    CASE(an_interrupt_that_comes_too_late_for_a_run_cancels_the_next),
    CASE(an_interrupt_while_closers_run_cancels_them), CASE(a_child_made_by_fork_has_no_running_loop),
    CASE(an_interrupt_ends_a_child_made_by_fork_and_not_its_parents_run))
