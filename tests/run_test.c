/* pl_run: a main task, its loop, and the end of both. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"
#include "threads.h"

/* The fixture has no loop here: pl_run makes it. */
static void prepare(fixture *f)
{
    memset(f, 0, sizeof *f);
}

static int64_t run(test_context *t, pl_task_fn *fn, void *arg)
{
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    return pl_run(fn, arg, &options);
}

static void handle_reports(fixture *f)
{
    f->loop = pl_loop_running();
    CHECK_EQ_INT(pl_loop_set_exception_handler(f->loop, fixture_report, f), PL_OK);
}

static int64_t return_seven(void *arg)
{
    fixture *f = arg;
    CHECK(pl_loop_running() != NULL);
    CHECK(pl_task_current() != NULL);
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK);
    f->counts[0]++;
    return 7;
}

static int64_t fail(void *arg)
{
    (void)arg;
    return PL_EIO;
}

TEST_CASE(run_gives_the_result_of_the_main_task)
{
    fixture f;
    prepare(&f);
    CHECK_EQ_INT(run(t, return_seven, &f), 7);
    CHECK_EQ_INT(run(t, fail, &f), PL_EIO); /* an error that is returned is not reported */
    CHECK_EQ_INT(run(t, return_seven, &f), 7);
    CHECK_EQ_INT(f.counts[0], 2);
    CHECK(pl_loop_running() == NULL);
}

TEST_CASE(no_options_are_the_defaults)
{
    fixture f;
    pl_run_options options = {.size = sizeof options};
    (void)t;
    prepare(&f);
    CHECK_EQ_INT(pl_run(return_seven, &f, NULL), 7);
    CHECK_EQ_INT(pl_run(return_seven, &f, &options), 7);
}

TEST_CASE(run_gives_the_error_that_kept_the_loop_from_being_made)
{
    fixture f;
    pl_loop_options loop = {.size = sizeof loop, .backend = "steam"};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    (void)t;
    prepare(&f);
    CHECK_EQ_INT(pl_run(return_seven, &f, &options), PL_EINVAL);
    CHECK_EQ_INT(f.counts[0], 0);
}

static void run_in_callback(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_run(return_seven, f, NULL), PL_EBUSY);
}

static int64_t run_in_task(void *arg)
{
    run_in_callback(arg);
    CHECK_EQ_INT(pl_call_soon(NULL, run_in_callback, arg, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 1;
}

/* test_asyncio_run_from_running_loop */
TEST_CASE(run_inside_a_loop_is_refused)
{
    fixture f;
    prepare(&f);
    CHECK_EQ_INT(run(t, run_in_task, &f), 1);
    CHECK_EQ_INT(f.counts[0], 0);
}

static int64_t leftover(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_sleep(PL_FOREVER);
    note_code(f, rc);
    rc = pl_sleep(PL_FOREVER); /* a level */
    note_code(f, rc);
    return rc;
}

static int64_t leave_tasks(void *arg)
{
    fixture *f = arg;
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    handle_reports(f);
    CHECK_EQ_INT(pl_spawn(&f->tasks[0], leftover, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_spawn(NULL, leftover, f, &options), PL_OK); /* does not begin any more */
    return 123;
}

/* test_asyncio_run_cancels_hanging_tasks */
TEST_CASE(tasks_that_are_left_are_cancelled_and_waited_for)
{
    fixture f;
    prepare(&f);
    CHECK_EQ_INT(run(t, leave_tasks, &f), 123);
    CHECK_EQ_INT(pl_future_state(pl_task_future(f.tasks[0])), PL_CANCELLED);
    fixture_release_slots(&f);
    CHECK(strstr(f.trace, "PL_ECANCELED PL_ECANCELED ") != NULL);
    CHECK(f.drops <= 1);
    if (f.drops == 0)
        EXPECT_TRACE(&f, "PL_ECANCELED PL_ECANCELED PL_ECANCELED PL_ECANCELED ");
    EXPECT_REPORTS(&f, "");
}

static int64_t fail_when_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    return PL_EPIPE;
}

static int64_t leave_a_failing_task(void *arg)
{
    fixture *f = arg;
    handle_reports(f);
    CHECK_EQ_INT(pl_spawn(NULL, fail_when_cancelled, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 123;
}

/* test_asyncio_run_reports_hanging_tasks_errors */
TEST_CASE(errors_of_the_tasks_that_are_left_are_reported)
{
    fixture f;
    prepare(&f);
    CHECK_EQ_INT(run(t, leave_a_failing_task, &f), 123);
    EXPECT_REPORTS(&f, "PL_EPIPE ");
}

static int64_t take_remote(void *arg)
{
    pl_remote **remote = arg;
    *remote = pl_loop_remote(pl_loop_running());
    return 0;
}

static void never(void *arg)
{
    note(arg, "never");
}

TEST_CASE(the_loop_of_a_run_is_closed_behind_it)
{
    fixture f;
    pl_remote *remote = NULL;
    prepare(&f);
    CHECK_EQ_INT(run(t, take_remote, &remote), 0);
    REQUIRE(remote != NULL);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, never, &f, fixture_drop), PL_ECLOSED);
    CHECK_EQ_INT(f.drops, 1);
    pl_remote_unref(remote);
}

static int64_t queue_and_return(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, PL_SECONDS(3600), never, f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f->timers[1], NULL, PL_FOREVER, never, f), PL_OK);
    return 5;
}

TEST_CASE(a_run_does_not_wait_for_timers)
{
    fixture f;
    prepare(&f);
    CHECK_EQ_INT(run(t, queue_and_return, &f), 5);
    EXPECT_TRACE(&f, "");
}

static int64_t end_cancelled(void *arg)
{
    (void)arg;
    return PL_ECANCELED;
}

static int64_t cancel_itself(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    return pl_sleep(PL_SECONDS(1));
}

TEST_CASE(a_cancelled_main_task_without_an_interrupt_is_just_cancelled)
{
    fixture f;
    prepare(&f);
    CHECK_EQ_INT(run(t, end_cancelled, &f), PL_ECANCELED);
    CHECK_EQ_INT(run(t, cancel_itself, &f), PL_ECANCELED);
}

typedef struct run_elsewhere {
    test_context *t;
    fixture f;
    int64_t result;
} run_elsewhere;

static void run_in_thread(void *arg)
{
    run_elsewhere *r = arg;
    prepare(&r->f);
    for (int i = 0; i < 20; i++)
        r->result = run(r->t, return_seven, &r->f);
}

/* test_signal_install_not_supported_ok: only one of them can watch for interrupts. */
TEST_CASE(programs_run_in_several_threads_at_a_time)
{
    run_elsewhere runs[4];
    test_thread threads[4];
    for (int i = 0; i < 4; i++) {
        runs[i].t = t;
        REQUIRE(test_thread_start(&threads[i], run_in_thread, &runs[i]));
    }
    for (int i = 0; i < 4; i++) {
        test_thread_join(&threads[i]);
        CHECK_EQ_INT(runs[i].result, 7);
        CHECK_EQ_INT(runs[i].f.counts[0], 20);
    }
}

static int64_t run_loop_in_another_thread(void *arg)
{
    run_elsewhere *r = arg;
    REQUIRE_OR(test_in_thread(run_in_thread, r), return PL_EUNKNOWN);
    return r->result;
}

TEST_CASE(a_run_may_be_made_in_another_thread_while_one_is_under_way)
{
    run_elsewhere r = {.t = t};
    CHECK_EQ_INT(run(t, run_loop_in_another_thread, &r), 7);
}

TEST_CASE(misuse_of_run_is_refused)
{
    pl_run_options options = {.size = 1};
    (void)t;
    CHECK_EQ_INT(pl_run(NULL, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_run(return_seven, NULL, &options), PL_EINVAL);
}

TEST_SUITE(run, TEST_BACKENDS_ALL,
           CASE(run_gives_the_result_of_the_main_task),
           CASE(no_options_are_the_defaults),
           CASE(run_gives_the_error_that_kept_the_loop_from_being_made),
           CASE(run_inside_a_loop_is_refused),
           CASE(tasks_that_are_left_are_cancelled_and_waited_for),
           CASE(errors_of_the_tasks_that_are_left_are_reported),
           CASE(the_loop_of_a_run_is_closed_behind_it),
           CASE(a_run_does_not_wait_for_timers),
           CASE(a_cancelled_main_task_without_an_interrupt_is_just_cancelled),
           CASE(programs_run_in_several_threads_at_a_time),
           CASE(a_run_may_be_made_in_another_thread_while_one_is_under_way),
           CASE(misuse_of_run_is_refused))
