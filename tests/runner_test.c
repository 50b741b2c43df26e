/* pl_runner: several runs in one loop and one context, and the order in which it ends. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "jobs.h"
#include "threads.h"

static pl_runner *create_runner(test_context *t)
{
    pl_runner *runner = NULL;
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    CHECK_EQ_INT(pl_runner_create(&runner, &options), PL_OK);
    memset(&loop, 0xa5, sizeof loop); /* they were copied */
    return runner;
}

/* A runner in whose loop the fixture is told of reports. */
static pl_runner *create_reporting(test_context *t, fixture *f)
{
    pl_runner *runner = create_runner(t);
    memset(f, 0, sizeof *f);
    REQUIRE_OR(runner != NULL, return NULL);
    CHECK_EQ_INT(pl_runner_loop(runner, &f->loop), PL_OK);
    CHECK_EQ_INT(pl_loop_set_exception_handler(f->loop, fixture_report, f), PL_OK);
    return runner;
}

static int64_t return_seven(void *arg)
{
    (void)arg;
    CHECK_STR(pl_task_name(pl_task_current()), "main");
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK);
    return 7;
}

static int64_t fail(void *arg)
{
    (void)arg;
    return PL_EIO;
}

/* --- Runs --------------------------------------------------------------------------------------------------------- */

/* test_run */
TEST_CASE(each_run_gives_the_result_of_its_main_task)
{
    pl_runner *runner = create_runner(t);
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
    CHECK_EQ_INT(pl_runner_run(runner, fail, NULL), PL_EIO);
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
    CHECK(pl_loop_running() == NULL);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

static int64_t take_loop(void *arg)
{
    pl_loop **loop = arg;
    *loop = pl_loop_running();
    return 0;
}

TEST_CASE(all_runs_are_of_one_loop)
{
    pl_runner *runner = create_runner(t);
    pl_loop *loop = NULL, *first = NULL, *second = NULL;
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, take_loop, &first), 0);
    CHECK_EQ_INT(pl_runner_loop(runner, &loop), PL_OK);
    CHECK_EQ_INT(pl_runner_run(runner, take_loop, &second), 0);
    CHECK(loop != NULL && loop == first && loop == second);
    CHECK_STR(pl_loop_backend(loop), t->backend);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

/* The loop is not made before it is needed: a backend that does not exist is found out then. */
TEST_CASE(the_loop_is_made_at_the_first_use)
{
    pl_runner *runner = NULL;
    pl_loop *loop = NULL;
    pl_loop_options loop_options = {.size = sizeof loop_options, .backend = "steam"};
    pl_run_options options = {.size = sizeof options, .loop = &loop_options};
    (void)t;
    REQUIRE_EQ_INT(pl_runner_create(&runner, &options), PL_OK);
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_runner_loop(runner, &loop), PL_EINVAL);
    CHECK(loop == NULL);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

TEST_CASE(a_runner_may_be_closed_without_a_use)
{
    pl_runner *runner = create_runner(t);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    REQUIRE_EQ_INT(pl_runner_create(&runner, NULL), PL_OK); /* the defaults */
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

static void probe_thread(void *arg)
{
    pl_loop *loop = arg;
    CHECK_EQ_INT(pl_call_soon(loop, note_a, NULL, NULL), PL_ETHREAD);
}

static int64_t probe_debug(void *arg)
{
    REQUIRE_OR(test_in_thread(probe_thread, pl_loop_running()), return PL_EUNKNOWN);
    (void)arg;
    return 0;
}

/* test_debug, test_asyncio_run_debug: in debug mode threads are checked. */
TEST_CASE(the_options_of_the_loop_are_kept)
{
    pl_runner *runner = NULL;
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend, .debug = 1};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    REQUIRE_EQ_INT(pl_runner_create(&runner, &options), PL_OK);
    CHECK_EQ_INT(pl_runner_run(runner, probe_debug, NULL), 0);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    CHECK_EQ_INT(pl_run(probe_debug, NULL, &options), 0);
}

static int64_t sleep_and_note(void *arg)
{
    note(arg, "begins");
    CHECK_EQ_INT(pl_sleep(PL_MS(2)), PL_OK);
    note(arg, "ends");
    return 0;
}

static int64_t start_another(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_spawn(&f->tasks[0], sleep_and_note, f, NULL), PL_OK);
    return pl_yield();
}

static int64_t await_the_other(void *arg)
{
    fixture *f = arg;
    note(f, "next run");
    return pl_task_await(f->tasks[0]);
}

TEST_CASE(tasks_that_a_run_leaves_go_on_in_the_next)
{
    fixture f;
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, start_another, &f), 0);
    EXPECT_TRACE(&f, "begins ");
    CHECK_EQ_INT(pl_runner_run(runner, await_the_other, &f), 0);
    EXPECT_TRACE(&f, "next run ends ");
    fixture_release_slots(&f);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    EXPECT_REPORTS(&f, "");
}

static int64_t stop_the_loop(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_loop_stop(f->loop), PL_OK);
    note_code(f, pl_sleep(PL_MS(1)));
    return 3;
}

TEST_CASE(the_main_task_of_a_stopped_run_goes_on_in_the_next)
{
    fixture f;
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, stop_the_loop, &f), PL_ESTOPPED);
    EXPECT_TRACE(&f, "");
    while (f.trace[0] == '\0')
        CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
    EXPECT_TRACE(&f, "PL_OK ");
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    EXPECT_REPORTS(&f, "");
}

/* --- Context ------------------------------------------------------------------------------------------------------ */

static const pl_context_variable variable = {"variable", "default"};

static int64_t swap_value(void *arg)
{
    const char **value = arg;
    const char *before = pl_context_get(&variable);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_context_set(&variable, (void *)(uintptr_t)*value, NULL, NULL), PL_OK);
    *value = before;
    return 0;
}

/* test_run_keeps_context */
TEST_CASE(one_run_after_another_keeps_the_context)
{
    pl_runner *runner = create_runner(t), *other = create_runner(t);
    const char *value = "one";
    REQUIRE(runner != NULL && other != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, swap_value, &value), 0);
    CHECK_STR(value, "default");
    value = "two";
    CHECK_EQ_INT(pl_runner_run(runner, swap_value, &value), 0);
    CHECK_STR(value, "one");
    value = "three";
    CHECK_EQ_INT(pl_runner_run(other, swap_value, &value), 0); /* each runner has its own */
    CHECK_STR(value, "default");
    CHECK_EQ_INT(pl_runner_run(runner, swap_value, &value), 0);
    CHECK_STR(value, "two");
    CHECK_STR(pl_context_get(&variable), "default"); /* outside nothing was set */
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    CHECK_EQ_INT(pl_runner_close(other), PL_OK);
}

typedef struct run_inside {
    pl_runner *runner;
    const char *value;
} run_inside;

static void run_in_context(void *arg)
{
    run_inside *r = arg;
    CHECK_EQ_INT(pl_context_set(&variable, (void *)(uintptr_t) "outer", NULL, NULL), PL_OK);
    r->value = "inner";
    CHECK_EQ_INT(pl_runner_run(r->runner, swap_value, &r->value), 0);
    CHECK_STR(r->value, "outer");                  /* the runner's began as a copy */
    CHECK_STR(pl_context_get(&variable), "outer"); /* and is its own */
}

TEST_CASE(a_runners_context_is_a_copy_of_the_one_of_its_first_use)
{
    run_inside r = {.runner = create_runner(t)};
    pl_context *context = NULL;
    REQUIRE(r.runner != NULL);
    REQUIRE_EQ_INT(pl_context_copy(&context), PL_OK);
    CHECK_EQ_INT(pl_context_run(context, run_in_context, &r), PL_OK);
    r.value = "later";
    CHECK_EQ_INT(pl_runner_run(r.runner, swap_value, &r.value), 0);
    CHECK_STR(r.value, "inner");
    pl_context_unref(context);
    CHECK_EQ_INT(pl_runner_close(r.runner), PL_OK);
}

static void count_drop(void *arg)
{
    ++*(int *)arg;
}

static int64_t set_counted(void *arg)
{
    CHECK_EQ_INT(pl_context_set(&variable, arg, count_drop, NULL), PL_OK);
    return 0;
}

TEST_CASE(closing_lets_go_what_the_context_holds)
{
    pl_runner *runner = create_runner(t);
    int drops = 0;
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, set_counted, &drops), 0);
    CHECK_EQ_INT(drops, 0);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    CHECK_EQ_INT(drops, 1);
}

/* --- Refusals ----------------------------------------------------------------------------------------------------- */

static void run_again(void *arg)
{
    CHECK_EQ_INT(pl_runner_run(arg, return_seven, NULL), PL_EBUSY);
    CHECK_EQ_INT(pl_runner_close(arg), PL_EBUSY);
}

static int64_t run_recursively(void *arg)
{
    pl_loop *loop = NULL;
    run_again(arg);
    CHECK_EQ_INT(pl_runner_loop(arg, &loop), PL_OK);
    CHECK(loop == pl_loop_running());
    CHECK_EQ_INT(pl_call_soon(NULL, run_again, arg, NULL), PL_OK);
    return pl_yield();
}

/* test_recursive_run */
TEST_CASE(a_run_inside_a_loop_is_refused)
{
    pl_runner *runner = create_runner(t), *other = create_runner(t);
    REQUIRE(runner != NULL && other != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, run_recursively, runner), 0);
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7); /* it was not closed */
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    CHECK_EQ_INT(pl_runner_close(other), PL_OK);
}

static int64_t use_another_runner(void *arg)
{
    CHECK_EQ_INT(pl_runner_run(arg, return_seven, NULL), PL_EBUSY);
    CHECK_EQ_INT(pl_runner_close(arg), PL_OK); /* as pl_loop_close */
    return 0;
}

TEST_CASE(another_runner_may_be_closed_inside_a_run)
{
    pl_runner *runner = create_runner(t), *other = create_runner(t);
    REQUIRE(runner != NULL && other != NULL);
    CHECK_EQ_INT(pl_runner_run(other, return_seven, NULL), 7);
    CHECK_EQ_INT(pl_runner_run(runner, use_another_runner, other), 0);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

static void use_elsewhere(void *arg)
{
    CHECK_EQ_INT(pl_runner_run(arg, return_seven, NULL), PL_ETHREAD);
    CHECK_EQ_INT(pl_runner_close(arg), PL_ETHREAD);
}

TEST_CASE(a_runner_is_of_the_thread_that_ran_it)
{
    pl_runner *runner = create_runner(t);
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
    REQUIRE(test_in_thread(use_elsewhere, runner));
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

static void use_there(void *arg)
{
    CHECK_EQ_INT(pl_runner_run(arg, return_seven, NULL), 7);
    CHECK_EQ_INT(pl_runner_run(arg, return_seven, NULL), 7);
    CHECK_EQ_INT(pl_runner_close(arg), PL_OK);
}

TEST_CASE(a_runner_made_here_may_be_used_in_another_thread)
{
    pl_runner *runner = create_runner(t);
    REQUIRE(runner != NULL);
    REQUIRE(test_in_thread(use_there, runner));
}

/* test_explicit_close, test_second_with_block_raises: the loop is gone, the runner says so. */
TEST_CASE(a_runner_whose_loop_was_closed_runs_no_more)
{
    pl_runner *runner = create_runner(t);
    pl_loop *loop = NULL;
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), 7);
    CHECK_EQ_INT(pl_runner_loop(runner, &loop), PL_OK);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    CHECK_EQ_INT(pl_runner_run(runner, return_seven, NULL), PL_ECLOSED);
    CHECK_EQ_INT(pl_runner_loop(runner, &loop), PL_ECLOSED);
    CHECK(loop == NULL);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

/* test_double_close, test_run_non_coro */
TEST_CASE(misuse_of_runners_is_refused)
{
    pl_runner *runner = NULL;
    pl_loop *loop = NULL;
    pl_run_options options = {.size = 1};
    pl_loop_options loop_options = {.size = 1};
    (void)t;
    CHECK_EQ_INT(pl_runner_close(NULL), PL_OK);
    CHECK_EQ_INT(pl_runner_create(NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_runner_create(&runner, &options), PL_EINVAL);
    CHECK(runner == NULL);
    options.size = sizeof options;
    options.loop = &loop_options;
    CHECK_EQ_INT(pl_runner_create(&runner, &options), PL_EINVAL);
    CHECK_EQ_INT(pl_runner_run(NULL, return_seven, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_runner_loop(NULL, &loop), PL_EINVAL);
    REQUIRE_EQ_INT(pl_runner_create(&runner, NULL), PL_OK);
    CHECK_EQ_INT(pl_runner_run(runner, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_runner_loop(runner, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
}

/* --- The end ------------------------------------------------------------------------------------------------------ */

static int64_t leftover(void *arg)
{
    int rc = pl_sleep(PL_FOREVER);
    note_code(arg, rc);
    rc = pl_sleep(PL_FOREVER); /* a level */
    note_code(arg, rc);
    return rc;
}

static int64_t leave_one(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_spawn(&f->tasks[0], leftover, f, NULL), PL_OK);
    return pl_yield();
}

/* test_asyncio_run_cancels_hanging_tasks */
TEST_CASE(the_tasks_that_are_left_are_cancelled_and_waited_for)
{
    fixture f;
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, leave_one, &f), 0);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    EXPECT_TRACE(&f, "PL_ECANCELED PL_ECANCELED ");
    CHECK_EQ_INT(pl_future_state(pl_task_future(f.tasks[0])), PL_CANCELLED);
    fixture_release_slots(&f);
    EXPECT_REPORTS(&f, "");
}

static int64_t fail_when_cancelled(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    return PL_EPIPE;
}

static int64_t leave_failing(void *arg)
{
    fixture *f = arg;
    pl_task_options options = {.size = sizeof options, .name = "spoiler"};
    CHECK_EQ_INT(pl_spawn(&f->tasks[0], fail_when_cancelled, f, &options), PL_OK);
    return pl_yield();
}

/* test_asyncio_run_reports_hanging_tasks_errors: somebody holds the task, but the loop ends. */
TEST_CASE(their_errors_are_reported_as_those_of_the_shutdown)
{
    fixture f;
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, leave_failing, &f), 0);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    CHECK_STR(f.report_message, "a task failed during shutdown");
    CHECK_STR(f.report_task, "spoiler");
    CHECK(strstr(f.report_where, "runner_test.c:") != NULL);
    EXPECT_REPORTS(&f, "PL_EPIPE ");
    fixture_release_slots(&f); /* once */
    EXPECT_REPORTS(&f, "");
}

static int64_t await_failing(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_task_await(f->tasks[0]);
    note_code(f, rc);
    return 0;
}

static int64_t leave_failing_and_awaited(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(leave_failing(f), PL_OK);
    CHECK_EQ_INT(pl_spawn(NULL, await_failing, f, NULL), PL_OK);
    return pl_yield();
}

TEST_CASE(an_error_that_another_task_waits_for_is_not_reported)
{
    fixture f;
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, leave_failing_and_awaited, &f), 0);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    EXPECT_TRACE(&f, "PL_EPIPE ");
    fixture_release_slots(&f);
    EXPECT_REPORTS(&f, "");
}

static int64_t last_words(void *arg)
{
    note(arg, "last words");
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(arg, "said");
    return 0;
}

static int64_t clean_up_by_a_task(void *arg)
{
    pl_task *task = NULL;
    pl_shielded shielded = {0};
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    CHECK_EQ_INT(pl_spawn(&task, last_words, arg, NULL), PL_OK);
    CHECK_EQ_INT(pl_task_await(task), 0);
    pl_task_unref(task);
    pl_shielded_end(&shielded);
    return PL_ECANCELED;
}

static int64_t leave_cleaning(void *arg)
{
    CHECK_EQ_INT(pl_spawn(NULL, clean_up_by_a_task, arg, NULL), PL_OK);
    return pl_yield();
}

TEST_CASE(tasks_that_are_started_to_clean_up_may_run)
{
    fixture f;
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    CHECK_EQ_INT(pl_runner_run(runner, leave_cleaning, &f), 0);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    EXPECT_TRACE(&f, "last words said ");
    EXPECT_REPORTS(&f, "");
}

static pl_closer closers[3];

static int64_t close_one(void *arg)
{
    note(arg, "closer");
    CHECK_EQ_INT(pl_sleep(PL_US(10)), PL_OK); /* nobody has cancelled it */
    note(arg, "closed");
    return 0;
}

static int64_t fail_to_close(void *arg)
{
    note(arg, "fails");
    return PL_EROFS;
}

static int64_t add_closer_when_cancelled(void *arg)
{
    fixture *f = arg;
    note_code(f, pl_sleep(PL_FOREVER));
    CHECK_EQ_INT(pl_loop_add_closer(NULL, &closers[1], fail_to_close, f), PL_OK); /* still in time */
    return PL_EPIPE;
}

static int64_t leave_closers(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_loop_add_closer(NULL, &closers[0], close_one, f), PL_OK);
    CHECK_EQ_INT(pl_spawn(NULL, add_closer_when_cancelled, f, NULL), PL_OK);
    return pl_yield();
}

static void note_dropped(void *arg)
{
    note(arg, "dropped");
}

/* test_asyncio_run_closes_gens_after_hanging_tasks_errors */
TEST_CASE(closers_run_after_the_tasks_and_before_the_loop_is_closed)
{
    fixture f;
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    memset(closers, 0, sizeof closers);
    CHECK_EQ_INT(pl_runner_run(runner, leave_closers, &f), 0);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, PL_FOREVER, note_a, &f), PL_OK);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    EXPECT_TRACE(&f, "PL_ECANCELED closer fails closed ");
    EXPECT_REPORTS(&f, "PL_EPIPE PL_EROFS ");
}

static int64_t add_during_close(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_loop_add_closer(NULL, &closers[1], close_one, f), PL_ESTATE);
    CHECK_EQ_INT(pl_spawn(NULL, leftover, f, NULL), PL_OK); /* ends with the loop */
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, f, note_dropped), PL_OK);
    return 0;
}

static int64_t add_a_closer(void *arg)
{
    return pl_loop_add_closer(NULL, &closers[0], add_during_close, arg);
}

TEST_CASE(what_closers_start_ends_with_the_loop)
{
    fixture f;
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    memset(closers, 0, sizeof closers);
    CHECK_EQ_INT(pl_runner_run(runner, add_a_closer, &f), 0);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    EXPECT_TRACE(&f, "a PL_ECANCELED PL_ECANCELED ");
    EXPECT_REPORTS(&f, "PL_ESTATE ");
}

static int64_t run_with_closer(void *arg)
{
    return add_a_closer(arg) == PL_OK ? pl_loop_set_exception_handler(pl_loop_running(), fixture_report, arg) : PL_EIO;
}

TEST_CASE(pl_run_runs_closers_too)
{
    fixture f;
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    memset(&f, 0, sizeof f);
    memset(closers, 0, sizeof closers);
    CHECK_EQ_INT(pl_run(run_with_closer, &f, &options), PL_OK);
    EXPECT_TRACE(&f, "a PL_ECANCELED PL_ECANCELED ");
    EXPECT_REPORTS(&f, "PL_ESTATE ");
}

typedef struct last_job {
    job_site site;
    pl_future *future;
    int turns; /* of the loop until the job may end */
} last_job;

static void let_go_after_turns(void *arg)
{
    last_job *last = arg;
    if (last->turns-- > 0)
        CHECK_EQ_INT(pl_call_soon(NULL, let_go_after_turns, last, NULL), PL_OK);
    else
        test_gate_open(&last->site.go);
}

static int64_t leave_a_job(void *arg)
{
    last_job *last = arg;
    CHECK_EQ_INT(pl_thread_pool_submit(NULL, &last->future, job_gated, &last->site, NULL), PL_OK);
    return pl_call_soon(NULL, let_go_after_turns, last, NULL);
}

/* The job ends only if the loop goes on meanwhile. */
TEST_CASE(jobs_of_the_default_pool_end_before_the_loop_is_closed)
{
    fixture f;
    last_job last = {.turns = 50};
    if (strcmp(t->backend, "sim") == 0) {
        t_skip(t, "the clock of the simulation does not wait for threads");
        return;
    }
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    job_site_open(&last.site, 7);
    CHECK_EQ_INT(pl_runner_run(runner, leave_a_job, &last), PL_OK);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    CHECK_EQ_INT(pl_future_result(last.future), 7);
    EXPECT_REPORTS(&f, "");
    pl_future_unref(last.future);
    test_gate_open(&last.site.go);
    test_gate_wait(&last.site.ended);
    job_site_close(&last.site);
}

static int64_t stop_when_cancelled(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_loop_stop(f->loop), PL_OK);
    note(f, "stopped");
    return PL_ECANCELED;
}

static int64_t leave_a_stopper(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_spawn(NULL, stop_when_cancelled, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_spawn(NULL, leftover, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_loop_add_closer(NULL, &closers[0], close_one, f), PL_OK);
    return pl_yield();
}

TEST_CASE(a_shutdown_is_not_stopped)
{
    fixture f;
    pl_runner *runner = create_reporting(t, &f);
    REQUIRE(runner != NULL);
    memset(closers, 0, sizeof closers);
    CHECK_EQ_INT(pl_runner_run(runner, leave_a_stopper, &f), 0);
    CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    EXPECT_TRACE(&f, "stopped PL_ECANCELED PL_ECANCELED closer closed ");
    EXPECT_REPORTS(&f, "");
}

/* --- Memory ------------------------------------------------------------------------------------------------------- */

static void ignore_report(pl_loop *loop, const pl_report *report, void *arg)
{
    (void)loop;
    (void)report;
    (void)arg;
}

typedef struct shortage {
    allocation memory;
    int begun;  /* main tasks and closers */
    int closed; /* closers */
    bool added;
} shortage;

static int64_t close_quietly(void *arg)
{
    shortage *s = arg;
    s->closed++;
    return 0;
}

static int64_t sleep_until_cancelled(void *arg)
{
    (void)arg;
    return pl_sleep(PL_FOREVER);
}

static int64_t be_short(void *arg)
{
    shortage *s = arg;
    s->begun++;
    (void)pl_loop_set_exception_handler(pl_loop_running(), ignore_report, NULL);
    (void)pl_spawn(NULL, sleep_until_cancelled, NULL, NULL);
    if (!s->added)
        s->added = pl_loop_add_closer(NULL, &closers[0], close_quietly, s) == PL_OK;
    return pl_yield() == PL_OK ? 7 : PL_EUNKNOWN;
}

/* Without memory for its task the closers are reported instead. @return whether an allocation failed */
static bool play_short(test_context *t, int64_t fail_at, bool forever)
{
    shortage s = {.begun = 0};
    pl_runner *runner = NULL;
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    int succeeded = 0;
    bool failed;
    memset(closers, 0, sizeof closers);
    REQUIRE_EQ_INT_OR(allocation_begin(&s.memory), PL_OK, return false);
    s.memory.fail_at = fail_at;
    s.memory.fail_forever = forever;
    if (pl_runner_create(&runner, &options) == PL_OK) {
        for (int i = 0; i < 2; i++) {
            int64_t rc = pl_runner_run(runner, be_short, &s);
            CHECK(rc == 7 || rc == PL_ENOMEM);
            succeeded += rc == 7;
        }
        CHECK_EQ_INT(pl_runner_close(runner), PL_OK);
    } else {
        CHECK(runner == NULL);
        CHECK(s.memory.failed > 0);
    }
    failed = s.memory.failed > 0;
    CHECK_EQ_INT(s.begun, succeeded);
    CHECK(s.closed == (s.added ? 1 : 0) || failed);
    allocation_end(&s.memory);
    return failed;
}

TEST_CASE(each_allocation_of_a_runner_may_fail)
{
    int64_t fail_at = 1;
    while (play_short(t, fail_at, false))
        fail_at++;
    CHECK(fail_at > 5);
    for (int64_t i = 1; i < fail_at; i++)
        CHECK(play_short(t, i, true));
}

TEST_SUITE(runner, TEST_BACKENDS_ALL, CASE(each_run_gives_the_result_of_its_main_task), CASE(all_runs_are_of_one_loop),
           CASE(the_loop_is_made_at_the_first_use), CASE(a_runner_may_be_closed_without_a_use),
           CASE(the_options_of_the_loop_are_kept), CASE(tasks_that_a_run_leaves_go_on_in_the_next),
           CASE(the_main_task_of_a_stopped_run_goes_on_in_the_next), CASE(one_run_after_another_keeps_the_context),
           CASE(a_runners_context_is_a_copy_of_the_one_of_its_first_use), CASE(closing_lets_go_what_the_context_holds),
           CASE(a_run_inside_a_loop_is_refused), CASE(another_runner_may_be_closed_inside_a_run),
           CASE(a_runner_is_of_the_thread_that_ran_it), CASE(a_runner_made_here_may_be_used_in_another_thread),
           CASE(a_runner_whose_loop_was_closed_runs_no_more), CASE(misuse_of_runners_is_refused),
           CASE(the_tasks_that_are_left_are_cancelled_and_waited_for),
           CASE(their_errors_are_reported_as_those_of_the_shutdown),
           CASE(an_error_that_another_task_waits_for_is_not_reported), CASE(tasks_that_are_started_to_clean_up_may_run),
           CASE(closers_run_after_the_tasks_and_before_the_loop_is_closed), CASE(what_closers_start_ends_with_the_loop),
           CASE(pl_run_runs_closers_too), CASE(jobs_of_the_default_pool_end_before_the_loop_is_closed),
           CASE(a_shutdown_is_not_stopped), CASE(each_allocation_of_a_runner_may_fail))
