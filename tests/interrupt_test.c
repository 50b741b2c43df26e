/* Ctrl-C in pl_run. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"
#include "process.h"

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

/* test_interrupt_cancelled_task: asyncio says CancelledError; here either code is the truth. */
TEST_CASE(a_main_task_that_is_cancelled_and_interrupted_ends)
{
    fixture f;
    int64_t result;
    prepare(t, &f);
    result = run(t, be_cancelled_and_interrupted, &f);
    if (result == CANNOT)
        t_skip(t, "no way to make an interrupt");
    else
        CHECK(result == PL_ECANCELED || result == PL_EINTERRUPTED);
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
    process_count_interrupts();
    CHECK_EQ_INT(run(t, return_seven, &f), 7);
    if (process_interrupt())
        process_wait_interrupts(1);
    else
        t_skip(t, "no way to make an interrupt");
    CHECK_EQ_INT(process_interrupts_counted(), t->skipped ? 0 : 1);
}

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

TEST_SUITE(interrupt, TEST_BACKENDS_REAL,
           CASE(an_interrupt_cancels_the_main_task),
           CASE(an_interrupt_reaches_a_main_task_that_never_sleeps),
           CASE(an_interrupt_cancels_what_the_main_task_waits_for),
           CASE(an_interrupt_wakes_a_loop_that_waits),
           CASE(a_main_task_that_ends_well_all_the_same_gives_its_result),
           CASE(another_error_of_an_interrupted_main_task_passes),
           CASE(an_interrupt_is_a_level_except_in_a_shielded_region),
           CASE(an_interrupt_ends_the_groups_of_the_main_task),
           CASE(an_interrupt_is_not_a_limits_cancel),
           CASE(being_asked_to_end_cancels_the_main_task_too),
           CASE(each_run_has_its_own_interrupts),
           CASE(a_main_task_that_is_cancelled_and_interrupted_ends),
           CASE(interrupts_that_are_left_to_the_program_reach_it),
           CASE(after_a_run_interrupts_are_the_programs_again),
           CASE(a_child_made_by_fork_has_no_running_loop))
