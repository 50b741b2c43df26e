/* Calls on threads of the loop's default pool, and that pool itself. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "jobs.h"
#include "threads.h"

/* What a case has. */
typedef struct calls {
    fixture *f;
    pl_thread_pool *pool; /* of one thread, the loop's default; NULL: the loop makes its own */
    job_site sites[3];
    bool left; /* an abandoned call has returned */
    pl_duration limit;
    int64_t result;
} calls;

static bool calls_open(calls *c, fixture *f, const test_context *t)
{
    memset(c, 0, sizeof *c);
    c->f = f;
    for (int i = 0; i < 3; i++)
        job_site_open(&c->sites[i], 20 + i);
    return fixture_open(f, t);
}

static bool calls_open_one_thread(calls *c, fixture *f, const test_context *t)
{
    if (!calls_open(c, f, t))
        return false;
    c->pool = new_pool(1);
    return c->pool && CHECK_EQ_INT(pl_loop_set_default_pool(f->loop, c->pool), PL_OK) != 0;
}

static void calls_close(calls *c)
{
    if (c->f->loop)
        fixture_close(c->f);
    if (c->pool) {
        CHECK_EQ_INT(pl_thread_pool_shutdown(c->pool, PL_FOREVER), PL_OK);
        pl_thread_pool_unref(c->pool);
    }
    for (int i = 0; i < 3; i++)
        job_site_close(&c->sites[i]);
}

/* --- pl_to_thread ------------------------------------------------------------------------------------------------- */

static int64_t call_gated(void *arg)
{
    calls *c = arg;
    note(c->f, "call");
    note_code(c->f, pl_to_thread(job_gated, &c->sites[0]));
    note_code(c->f, pl_yield());
    return 1;
}

static int64_t open_when_begun(void *arg)
{
    calls *c = arg;
    test_gate_wait(&c->sites[0].begun);
    note(c->f, "meanwhile");
    test_gate_open(&c->sites[0].go);
    return 0;
}

TEST_CASE(a_call_runs_on_another_thread_while_other_tasks_go_on)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    f.tasks[0] = start_task(&f, call_gated, &c);
    f.tasks[1] = start_task(&f, open_when_begun, &c);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "call meanwhile 20 PL_OK ");
    CHECK_EQ_INT(c.sites[0].runs, 1);
    calls_close(&c);
}

typedef struct sum {
    int64_t a, b, result;
} sum;

static int64_t add(void *arg)
{
    sum *s = arg;
    s->result = s->a + s->b;
    return s->result < 0 ? PL_EINVAL : 0;
}

static int64_t add_on_thread(void *arg)
{
    sum good = {2, 3, 0}, bad = {2, -3, 0};
    (void)arg;
    CHECK_EQ_INT(pl_to_thread(add, &good), 0);
    CHECK_EQ_INT(good.result, 5);
    CHECK_EQ_INT(pl_to_thread(add, &bad), PL_EINVAL);
    CHECK_EQ_INT(bad.result, -1);
    return 0;
}

TEST_CASE(a_call_may_use_memory_of_the_tasks_stack)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, add_on_thread, &f), 0);
    fixture_close(&f);
}

TEST_CASE(a_call_cancelled_while_it_runs_is_joined_and_the_cancel_comes_at_the_next_wait)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    f.tasks[0] = start_task(&f, call_gated, &c);
    turn(&f, 1);
    test_gate_wait(&c.sites[0].begun);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 3);
    EXPECT_TRACE(&f, "call ");
    test_gate_open(&c.sites[0].go);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "20 PL_ECANCELED ");
    calls_close(&c);
}

static int64_t hold_the_thread(void *arg)
{
    calls *c = arg;
    return pl_to_thread(job_gated, &c->sites[1]);
}

TEST_CASE(a_call_cancelled_in_the_queue_never_runs)
{
    fixture f;
    calls c;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    f.tasks[1] = start_task(&f, hold_the_thread, &c);
    turn(&f, 1);
    test_gate_wait(&c.sites[1].begun);
    f.tasks[0] = start_task(&f, call_gated, &c);
    turn(&f, 1);
    CHECK_EQ_INT(pl_thread_pool_queued(c.pool), 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_thread_pool_queued(c.pool), 0);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "call PL_ECANCELED PL_OK ");
    test_gate_open(&c.sites[1].go);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), 21);
    calls_close(&c);
    CHECK_EQ_INT(c.sites[0].runs, 0);
}

static int64_t call_when_cancelled(void *arg)
{
    calls *c = arg;
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    note_code(c->f, pl_to_thread(job_at_once, &c->sites[0]));
    note_code(c->f, pl_to_thread(job_at_once, &c->sites[1]));
    return 1;
}

TEST_CASE(a_call_of_a_cancelled_task_does_not_begin)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    CHECK_EQ_INT(run_task(&f, call_when_cancelled, &c), 1);
    EXPECT_TRACE(&f, "PL_ECANCELED 21 ");
    CHECK_EQ_INT(c.sites[0].runs, 0);
    calls_close(&c);
}

static int64_t call_within_limit(void *arg)
{
    calls *c = arg;
    pl_timeout limit = {0};
    int64_t result;
    c->f->timeout = &limit;
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_FOREVER), PL_OK);
    result = pl_timeout_end(&limit, pl_to_thread(job_gated, &c->sites[0]));
    c->f->timeout = NULL;
    note_code(c->f, pl_yield());
    return result;
}

TEST_CASE(a_call_that_outlasts_a_time_limit_is_joined_and_its_result_stands)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    f.tasks[0] = start_task(&f, call_within_limit, &c);
    turn(&f, 1);
    test_gate_wait(&c.sites[0].begun);
    CHECK_EQ_INT(pl_timeout_reschedule(f.timeout, 0), PL_OK);
    turn(&f, 2);
    CHECK_EQ_INT(pl_future_state(pl_task_future(f.tasks[0])), PL_PENDING);
    test_gate_open(&c.sites[0].go);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 20);
    EXPECT_TRACE(&f, "PL_OK ");
    calls_close(&c);
}

static int64_t call_twice(void *arg)
{
    calls *c = arg;
    CHECK_EQ_INT(pl_to_thread(job_at_once, &c->sites[0]), 20); /* the thread has begun */
    allocation *a = (allocation *)(void *)c->f->futures[7];
    c->f->futures[7] = NULL;
    a->fail_at = a->calls + 1;
    a->fail_forever = true;
    CHECK_EQ_INT(pl_to_thread(job_at_once, &c->sites[1]), 21);
    CHECK_EQ_INT(a->failed, 0);
    CHECK_EQ_INT(pl_to_thread_abandon(job_at_once, &c->sites[2], job_drop), PL_ENOMEM);
    CHECK_EQ_INT(c->sites[2].drops, 1);
    CHECK_EQ_INT(pl_loop_shutdown_default_pool(PL_FOREVER), PL_ENOMEM);
    a->fail_at = 0;
    return 0;
}

TEST_CASE(a_call_needs_no_memory_and_one_to_abandon_says_when_there_is_none)
{
    fixture f;
    calls c;
    allocation a;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE(calls_open_one_thread(&c, &f, t));
    f.futures[7] = (pl_future *)(void *)&a;
    CHECK_EQ_INT(run_task(&f, call_twice, &c), 0);
    calls_close(&c);
    allocation_end(&a);
}

static int64_t call_without_memory(void *arg)
{
    calls *c = arg;
    return pl_to_thread(job_at_once, &c->sites[0]);
}

TEST_CASE(a_call_that_gets_no_pool_or_no_thread_says_so)
{
    int64_t n, result = PL_ENOMEM;
    for (n = 1; n < 10 && result == PL_ENOMEM; n++) {
        fixture f;
        calls c;
        allocation a;
        REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
        REQUIRE(calls_open(&c, &f, t));
        f.tasks[0] = start_task(&f, call_without_memory, &c);
        a.fail_at = a.calls + n; /* the task's stack, the pool, a worker, what its thread is told */
        a.fail_forever = true;
        result = finish_task(&f, f.tasks[0]);
        a.fail_at = 0;
        CHECK(result == 20 || result == PL_ENOMEM);
        calls_close(&c);
        allocation_end(&a);
    }
    CHECK_EQ_INT(result, 20);
    CHECK(n > 3);
}

TEST_CASE(what_cannot_be_called_is_refused)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    CHECK_EQ_INT(pl_to_thread(NULL, &c), PL_EINVAL);
    CHECK_EQ_INT(pl_to_thread(job_at_once, &c.sites[0]), PL_ENOTASK);
    CHECK_EQ_INT(pl_to_thread_abandon(NULL, &c.sites[0], job_drop), PL_EINVAL);
    CHECK_EQ_INT(pl_to_thread_abandon(job_at_once, &c.sites[0], job_drop), PL_ENOTASK);
    CHECK_EQ_INT(c.sites[0].drops, 2);
    CHECK_EQ_INT(c.sites[0].runs, 0);
    CHECK_EQ_INT(pl_loop_shutdown_default_pool(0), PL_ENOTASK);
    calls_close(&c);
}

static int64_t open_when_cancelled(void *arg)
{
    calls *c = arg;
    note_code(c->f, pl_sleep(PL_FOREVER));
    test_gate_open(&c->sites[0].go);
    return 0;
}

TEST_CASE(closing_the_loop_waits_for_a_call_that_runs)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    f.tasks[0] = start_task(&f, call_gated, &c);
    f.tasks[1] = start_task(&f, open_when_cancelled, &c);
    turn(&f, 1);
    test_gate_wait(&c.sites[0].begun);
    fixture_close(&f);
    CHECK_EQ_INT(c.sites[0].runs, 1);
    EXPECT_TRACE(&f, "call PL_ECANCELED 20 PL_ECANCELED ");
    calls_close(&c);
}

/* --- pl_to_thread_abandon ----------------------------------------------------------------------------------------- */

static int64_t abandon_gated(void *arg)
{
    calls *c = arg;
    note(c->f, "call");
    note_code(c->f, pl_to_thread_abandon(job_gated, &c->sites[0], job_drop));
    note_code(c->f, pl_yield());
    return 1;
}

TEST_CASE(a_call_that_ends_well_gives_the_argument_back)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    f.tasks[0] = start_task(&f, abandon_gated, &c);
    f.tasks[1] = start_task(&f, open_when_begun, &c);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "call meanwhile 20 PL_OK ");
    calls_close(&c);
    CHECK_EQ_INT(c.sites[0].drops, 0);
}

TEST_CASE(a_call_that_ends_with_an_error_of_its_own_drops_the_argument)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    c.sites[0].result = PL_EIO;
    test_gate_open(&c.sites[0].go);
    f.tasks[0] = start_task(&f, abandon_gated, &c);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "call PL_EIO PL_OK ");
    CHECK_EQ_INT(c.sites[0].drops, 1);
    calls_close(&c);
    CHECK_EQ_INT(c.sites[0].drops, 1);
}

TEST_CASE(an_abandoned_call_returns_at_once_and_its_argument_is_dropped_when_it_has_ended)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    f.tasks[0] = start_task(&f, abandon_gated, &c);
    turn(&f, 1);
    test_gate_wait(&c.sites[0].begun);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "call PL_ECANCELED PL_OK ");
    CHECK_EQ_INT(c.sites[0].drops, 0); /* it still runs */
    test_gate_open(&c.sites[0].go);
    test_gate_wait(&c.sites[0].dropped);
    CHECK_EQ_INT(c.sites[0].runs, 1);
    CHECK_EQ_INT(c.sites[0].drops, 1);
    calls_close(&c);
}

TEST_CASE(a_call_to_abandon_that_is_cancelled_in_the_queue_is_dropped_at_once)
{
    fixture f;
    calls c;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    f.tasks[1] = start_task(&f, hold_the_thread, &c);
    turn(&f, 1);
    test_gate_wait(&c.sites[1].begun);
    f.tasks[0] = start_task(&f, abandon_gated, &c);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(c.sites[0].drops, 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "call PL_ECANCELED PL_OK ");
    test_gate_open(&c.sites[1].go);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), 21);
    calls_close(&c);
    CHECK_EQ_INT(c.sites[0].runs, 0);
    CHECK_EQ_INT(c.sites[0].drops, 1);
}

TEST_CASE(a_call_to_abandon_whose_pool_is_shut_over_it_is_dropped_once)
{
    fixture f;
    calls c;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    f.tasks[1] = start_task(&f, hold_the_thread, &c);
    turn(&f, 1);
    test_gate_wait(&c.sites[1].begun);
    f.tasks[0] = start_task(&f, abandon_gated, &c);
    turn(&f, 1);
    CHECK_EQ_INT(pl_thread_pool_shutdown(c.pool, 0), PL_ETIMEDOUT);
    CHECK_EQ_INT(c.sites[0].drops, 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "call PL_ECANCELED PL_OK ");
    test_gate_open(&c.sites[1].go);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), 21);
    calls_close(&c);
    CHECK_EQ_INT(c.sites[0].drops, 1);
}

static int64_t abandon_at_once(void *arg)
{
    calls *c = arg;
    note_code(c->f, pl_to_thread_abandon(job_at_once, &c->sites[0], job_drop));
    note_code(c->f, pl_yield());
    return 1;
}

TEST_CASE(a_call_to_abandon_that_ended_before_the_cancel_returns_its_result)
{
    fixture f;
    calls c;
    pl_shared_future *last = NULL;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    f.tasks[0] = start_task(&f, abandon_at_once, &c);
    turn(&f, 1);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(c.pool, &last, job_at_once, &c.sites[1], NULL), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(last, PL_FOREVER), 21); /* one thread: the call has ended too */
    pl_shared_future_unref(last);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "20 PL_ECANCELED ");
    CHECK_EQ_INT(c.sites[0].drops, 0);
    calls_close(&c);
}

TEST_CASE(closing_the_loop_does_not_wait_for_a_call_to_abandon)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    f.tasks[0] = start_task(&f, abandon_gated, &c);
    turn(&f, 1);
    test_gate_wait(&c.sites[0].begun);
    fixture_close(&f);
    CHECK_EQ_INT(c.sites[0].drops, 0);
    test_gate_open(&c.sites[0].go);
    test_gate_wait(&c.sites[0].dropped);
    CHECK_EQ_INT(c.sites[0].runs, 1);
    EXPECT_TRACE(&f, "call PL_ECANCELED PL_ECANCELED ");
    calls_close(&c);
}

/* --- The default pool --------------------------------------------------------------------------------------------- */

static void submit_queued(void *arg)
{
    calls *c = arg;
    CHECK_EQ_INT(pl_thread_pool_submit(NULL, &c->f->futures[0], job_gated, &c->sites[0], job_drop), PL_OK);
}

TEST_CASE(closing_the_loop_leaves_the_jobs_of_its_own_pool_that_run)
{
    fixture f;
    calls c;
    REQUIRE(calls_open(&c, &f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, submit_queued, &c, NULL), PL_OK);
    turn(&f, 1);
    test_gate_wait(&c.sites[0].begun);
    fixture_close(&f); /* does not wait */
    test_gate_open(&c.sites[0].go);
    test_gate_wait(&c.sites[0].ended);
    CHECK_EQ_INT(c.sites[0].runs, 1);
    calls_close(&c);
    CHECK_EQ_INT(c.sites[0].drops, 0);
}

TEST_CASE(a_default_pool_of_the_users_outlives_the_loop)
{
    fixture f;
    calls c;
    pl_shared_future *shared = NULL;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, submit_queued, &c, NULL), PL_OK);
    turn(&f, 1);
    test_gate_open(&c.sites[0].go);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), 20);
    CHECK_EQ_INT(pl_thread_pool_threads(c.pool), 1);
    fixture_close(&f);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(c.pool, &shared, job_at_once, &c.sites[1], NULL), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(shared, PL_FOREVER), 21);
    pl_shared_future_unref(shared);
    calls_close(&c);
}

/* test_set_default_executor_error */
TEST_CASE(setting_the_default_pool_wants_a_loop_and_a_pool)
{
    fixture f;
    calls c;
    pl_thread_pool *second;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    CHECK_EQ_INT(pl_loop_set_default_pool(NULL, c.pool), PL_EINVAL);
    CHECK_EQ_INT(pl_loop_set_default_pool(f.loop, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_loop_set_default_pool(f.loop, c.pool), PL_OK); /* the same again */
    second = new_pool(1);
    CHECK_EQ_INT(pl_loop_set_default_pool(f.loop, second), PL_OK);
    pl_thread_pool_unref(second); /* the loop's is the last one */
    CHECK_EQ_INT(run_task(&f, call_without_memory, &c), 20);
    CHECK_EQ_INT(pl_thread_pool_threads(c.pool), 0);
    calls_close(&c);
}

static void set_pool_from_elsewhere(void *arg)
{
    calls *c = arg;
    CHECK_EQ_INT(pl_loop_set_default_pool(c->f->loop, c->pool), PL_ETHREAD);
}

TEST_CASE(in_debug_mode_the_default_pool_is_set_on_the_loops_thread)
{
    fixture f;
    calls c = {.f = &f, .pool = new_pool(1)};
    REQUIRE(fixture_open_debug(&f, t));
    turn(&f, 1);
    REQUIRE(test_in_thread(set_pool_from_elsewhere, &c));
    fixture_close(&f);
    pl_thread_pool_unref(c.pool);
}

TEST_CASE(a_closed_loop_takes_no_default_pool)
{
    fixture f;
    calls c;
    pl_future *held;
    pl_loop *loop;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    loop = f.loop;
    CHECK_EQ_INT(pl_future_create(&held, loop), PL_OK); /* keeps the loop's memory */
    fixture_close(&f);
    CHECK_EQ_INT(pl_loop_set_default_pool(loop, c.pool), PL_ECLOSED);
    pl_future_unref(held);
    calls_close(&c);
}

static int64_t shut_default_pool(void *arg)
{
    calls *c = arg;
    int rc = pl_loop_shutdown_default_pool(c->limit);
    note_code(c->f, rc);
    CHECK_EQ_INT(pl_to_thread(job_at_once, &c->sites[2]), PL_ESTATE);
    CHECK_EQ_INT(pl_to_thread_abandon(job_at_once, &c->sites[2], job_drop), PL_ESTATE);
    CHECK_EQ_INT(pl_thread_pool_submit(NULL, NULL, job_at_once, &c->sites[2], job_drop), PL_ESTATE);
    CHECK_EQ_INT(c->sites[2].drops, 2);
    CHECK_EQ_INT(c->sites[2].runs, 0);
    CHECK_EQ_INT(pl_loop_shutdown_default_pool(PL_FOREVER), PL_OK);
    return rc;
}

TEST_CASE(a_default_pool_that_was_shut_down_is_not_made_again)
{
    fixture f;
    calls c;
    pl_thread_pool *pool = new_pool(1);
    REQUIRE(calls_open(&c, &f, t));
    c.limit = PL_FOREVER;
    CHECK_EQ_INT(run_task(&f, shut_default_pool, &c), PL_OK); /* there was none */
    CHECK_EQ_INT(pl_loop_set_default_pool(f.loop, pool), PL_ESTATE);
    pl_thread_pool_unref(pool);
    calls_close(&c);
}

/* Two jobs, the second of which waits for the one thread of the pool; then the shutdown. */
static bool begin_shutdown(calls *c, pl_duration limit)
{
    c->limit = limit;
    CHECK_EQ_INT(pl_call_soon(c->f->loop, submit_queued, c, NULL), PL_OK);
    turn(c->f, 1);
    test_gate_wait(&c->sites[0].begun);
    c->f->tasks[1] = start_task(c->f, hold_the_thread, c);
    turn(c->f, 1);
    if (!CHECK_EQ_INT(pl_thread_pool_queued(c->pool), 1))
        return false;
    c->f->tasks[0] = start_task(c->f, shut_default_pool, c);
    turn(c->f, 2);
    return true;
}

TEST_CASE(shutting_the_default_pool_down_waits_for_its_jobs_while_other_tasks_go_on)
{
    fixture f;
    calls c;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    REQUIRE(begin_shutdown(&c, PL_FOREVER));
    EXPECT_TRACE(&f, "");
    test_gate_open(&c.sites[0].go);
    test_gate_open(&c.sites[1].go);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_OK);
    EXPECT_TRACE(&f, "PL_OK ");
    CHECK_EQ_INT(c.sites[0].runs, 1);
    CHECK_EQ_INT(c.sites[1].runs, 1); /* it was queued, and ran */
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), 21);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), 20);
    calls_close(&c);
}

/* test_shutdown_default_executor_timeout */
TEST_CASE(a_shutdown_whose_limit_runs_out_drops_what_is_queued)
{
    fixture f;
    calls c;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    REQUIRE(begin_shutdown(&c, PL_MS(1)));
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ETIMEDOUT);
    EXPECT_TRACE(&f, "PL_ETIMEDOUT ");
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), PL_ECANCELED);
    test_gate_open(&c.sites[0].go);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), 20);
    calls_close(&c);
    CHECK_EQ_INT(c.sites[1].runs, 0);
}

TEST_CASE(a_shutdown_that_is_cancelled_drops_what_is_queued)
{
    fixture f;
    calls c;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    REQUIRE(begin_shutdown(&c, PL_FOREVER));
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), PL_ECANCELED);
    test_gate_open(&c.sites[0].go);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), 20);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    calls_close(&c);
    CHECK_EQ_INT(c.sites[1].runs, 0);
}

TEST_CASE(a_shutdown_with_limit_0_does_not_wait)
{
    fixture f;
    calls c;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    REQUIRE(begin_shutdown(&c, 0));
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ETIMEDOUT);
    EXPECT_TRACE(&f, "PL_ETIMEDOUT ");
    test_gate_open(&c.sites[0].go);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), PL_ECANCELED);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), 20);
    calls_close(&c);
}

static void use_closing_loop(void *arg)
{
    calls *c = arg;
    c->result = pl_thread_pool_submit(NULL, NULL, job_at_once, &c->sites[0], job_drop);
}

static void submit_when_dropped(void *arg)
{
    use_closing_loop(arg);
}

static int64_t never(void *arg)
{
    (void)arg;
    return 0;
}

static void queue_with_drop(void *arg)
{
    calls *c = arg;
    CHECK_EQ_INT(pl_thread_pool_submit(NULL, NULL, job_gated, &c->sites[1], NULL), PL_OK);
    test_gate_wait(&c->sites[1].begun);
    CHECK_EQ_INT(pl_thread_pool_submit(NULL, NULL, never, c, submit_when_dropped), PL_OK);
}

TEST_CASE(a_loop_that_is_being_closed_takes_no_jobs)
{
    fixture f;
    calls c;
    REQUIRE(calls_open_one_thread(&c, &f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, queue_with_drop, &c, NULL), PL_OK);
    turn(&f, 1);
    fixture_close(&f);
    CHECK_EQ_INT(c.result, PL_ECLOSED);
    CHECK_EQ_INT(c.sites[0].drops, 1);
    test_gate_open(&c.sites[1].go);
    calls_close(&c);
}

/* --- Many --------------------------------------------------------------------------------------------------------- */

static int64_t call_often(void *arg)
{
    fixture *f = arg;
    for (int i = 0; i < 20; i++) {
        sum s = {i, 1, 0};
        int64_t result = pl_to_thread(add, &s);
        if (result == PL_ECANCELED)
            CHECK_EQ_INT(s.result, 0); /* nothing happened */
        else
            CHECK_EQ_INT(s.result, i + 1);
        if (result < 0)
            return result;
        f->counts[0]++;
    }
    return 0;
}

TEST_CASE(calls_of_many_tasks_some_cancelled_each_happen_or_do_not)
{
    enum { TASKS = 50 };
    for (int round = 0; round < scaled(20); round++) {
        fixture f;
        pl_task *tasks[TASKS];
        uint64_t random = (uint64_t)round + 1;
        REQUIRE(fixture_open(&f, t));
        for (int i = 0; i < TASKS; i++)
            tasks[i] = start_task(&f, call_often, &f);
        for (int i = 0; i < 20; i++) {
            turn(&f, 1);
            (void)pl_task_cancel(tasks[random_below(&random, TASKS)]);
        }
        for (int i = 0; i < TASKS; i++) {
            int64_t result = finish_task(&f, tasks[i]);
            CHECK(result == 0 || result == PL_ECANCELED);
            pl_task_unref(tasks[i]);
        }
        CHECK(f.counts[0] > 0);
        fixture_close(&f);
    }
}

TEST_SUITE(to_thread, TEST_BACKENDS_ALL, CASE(a_call_runs_on_another_thread_while_other_tasks_go_on),
           CASE(a_call_may_use_memory_of_the_tasks_stack),
           CASE(a_call_cancelled_while_it_runs_is_joined_and_the_cancel_comes_at_the_next_wait),
           CASE(a_call_cancelled_in_the_queue_never_runs), CASE(a_call_of_a_cancelled_task_does_not_begin),
           CASE(a_call_that_outlasts_a_time_limit_is_joined_and_its_result_stands),
           CASE(a_call_needs_no_memory_and_one_to_abandon_says_when_there_is_none),
           CASE(a_call_that_gets_no_pool_or_no_thread_says_so), CASE(what_cannot_be_called_is_refused),
           CASE(closing_the_loop_waits_for_a_call_that_runs), CASE(a_call_that_ends_well_gives_the_argument_back),
           CASE(a_call_that_ends_with_an_error_of_its_own_drops_the_argument),
           CASE(an_abandoned_call_returns_at_once_and_its_argument_is_dropped_when_it_has_ended),
           CASE(a_call_to_abandon_that_is_cancelled_in_the_queue_is_dropped_at_once),
           CASE(a_call_to_abandon_whose_pool_is_shut_over_it_is_dropped_once),
           CASE(a_call_to_abandon_that_ended_before_the_cancel_returns_its_result),
           CASE(closing_the_loop_does_not_wait_for_a_call_to_abandon),
           CASE(closing_the_loop_leaves_the_jobs_of_its_own_pool_that_run),
           CASE(a_default_pool_of_the_users_outlives_the_loop), CASE(setting_the_default_pool_wants_a_loop_and_a_pool),
           CASE(in_debug_mode_the_default_pool_is_set_on_the_loops_thread), CASE(a_closed_loop_takes_no_default_pool),
           CASE(a_default_pool_that_was_shut_down_is_not_made_again),
           CASE(shutting_the_default_pool_down_waits_for_its_jobs_while_other_tasks_go_on),
           CASE(a_shutdown_whose_limit_runs_out_drops_what_is_queued),
           CASE(a_shutdown_that_is_cancelled_drops_what_is_queued), CASE(a_shutdown_with_limit_0_does_not_wait),
           CASE(a_loop_that_is_being_closed_takes_no_jobs),
           CASE(calls_of_many_tasks_some_cancelled_each_happen_or_do_not))
