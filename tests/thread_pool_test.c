/* Thread pools: jobs of loops and of shared futures, limits, shutting down. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "jobs.h"
#include "threads.h"

/* --- Jobs of a loop ----------------------------------------------------------------------------------------------- */

/* What a case has: a loop, a pool, sites for jobs. */
enum { SITES = 6 };

typedef struct works {
    fixture *f;
    pl_thread_pool *pool;
    job_site sites[SITES];
    int64_t rc;
} works;

static bool works_open(works *w, fixture *f, const test_context *t, uint32_t threads)
{
    memset(w, 0, sizeof *w);
    w->f = f;
    for (int i = 0; i < SITES; i++)
        job_site_open(&w->sites[i], 10 + i);
    w->pool = new_pool(threads);
    return fixture_open(f, t) && w->pool;
}

static void works_close(works *w)
{
    if (w->f->loop)
        fixture_close(w->f);
    if (w->pool) {
        CHECK_EQ_INT(pl_thread_pool_shutdown(w->pool, PL_FOREVER), PL_OK);
        pl_thread_pool_unref(w->pool);
    }
    for (int i = 0; i < SITES; i++)
        job_site_close(&w->sites[i]);
}

typedef struct submission {
    works *w;
    int slot;
    pl_job_fn *fn;
} submission;

static void submit_in_loop(void *arg)
{
    submission *s = arg;
    works *w = s->w;
    w->rc = pl_thread_pool_submit(w->pool, &w->f->futures[s->slot], s->fn, &w->sites[s->slot], job_drop);
}

/* From a callback of the loop, since only a running loop can. */
static int64_t submit_to(works *w, int slot, pl_job_fn *fn)
{
    submission s = {w, slot, fn};
    CHECK_EQ_INT(pl_call_soon(w->f->loop, submit_in_loop, &s, NULL), PL_OK);
    turn(w->f, 1);
    return w->rc;
}

static int64_t finish_future(works *w, int slot)
{
    return pl_loop_run_until_complete(w->f->loop, w->f->futures[slot]);
}

TEST_CASE(a_job_runs_on_another_thread_and_its_future_has_its_result)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 0));
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK);
    test_gate_wait(&w.sites[0].begun); /* it runs while this thread does something else */
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_PENDING);
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_future(&w, 0), 10);
    CHECK_EQ_INT(w.sites[0].runs, 1);
    CHECK_EQ_INT(w.sites[0].drops, 0);
    works_close(&w);
}

TEST_CASE(an_error_of_a_job_is_that_of_its_future)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 0));
    w.sites[0].result = PL_EIO;
    w.sites[1].result = PL_ECANCELED;
    CHECK_EQ_INT(submit_to(&w, 0, job_at_once), PL_OK);
    CHECK_EQ_INT(submit_to(&w, 1, job_at_once), PL_OK);
    CHECK_EQ_INT(finish_future(&w, 0), PL_EIO);
    CHECK_EQ_INT(finish_future(&w, 1), PL_ECANCELED);
    CHECK_EQ_INT(pl_future_state(f.futures[1]), PL_CANCELLED);
    works_close(&w);
}

static void submit_unwanted(void *arg)
{
    works *w = arg;
    w->rc = pl_thread_pool_submit(w->pool, NULL, job_at_once, &w->sites[0], NULL);
}

TEST_CASE(an_error_of_a_job_that_nobody_looked_at_is_reported)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 1));
    w.sites[0].result = PL_EIO;
    CHECK_EQ_INT(pl_call_soon(f.loop, submit_unwanted, &w, NULL), PL_OK);
    CHECK_EQ_INT(submit_to(&w, 1, job_at_once), PL_OK);
    CHECK_EQ_INT(finish_future(&w, 1), 11); /* one thread: the first has ended too */
    EXPECT_REPORTS(&f, "PL_EIO ");
    works_close(&w);
}

TEST_CASE(a_future_of_a_job_is_not_set_by_others)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 0));
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_ESTATE);
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_future(&w, 0), 10);
    works_close(&w);
}

typedef struct order {
    char text[32];
    int count;
} order;

typedef struct ordered_job {
    order *to;
    char letter;
} ordered_job;

static int64_t write_letter(void *arg)
{
    ordered_job *j = arg;
    j->to->text[j->to->count++] = j->letter;
    return 0;
}

TEST_CASE(jobs_begin_first_in_first_out)
{
    enum { JOBS = 10 };
    order written = {{0}, 0};
    ordered_job jobs[JOBS];
    job_site blocker;
    pl_thread_pool *pool = new_pool(1);
    (void)t;
    REQUIRE(pool != NULL);
    job_site_open(&blocker, 0);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(pool, NULL, job_gated, &blocker, NULL), PL_OK);
    for (int i = 0; i < JOBS; i++) {
        jobs[i] = (ordered_job){&written, (char)('a' + i)};
        CHECK_EQ_INT(pl_thread_pool_submit_shared(pool, NULL, write_letter, &jobs[i], NULL), PL_OK);
    }
    test_gate_open(&blocker.go);
    CHECK_EQ_INT(pl_thread_pool_shutdown(pool, PL_FOREVER), PL_OK);
    CHECK_STR(written.text, "abcdefghij");
    pl_thread_pool_unref(pool);
    job_site_close(&blocker);
}

enum { CROWD = 4 };

typedef struct member {
    job_site *all;
    int number;
} member;

/* Each waits until all have begun: with a thread less they never end. */
static int64_t run_member(void *arg)
{
    member *m = arg;
    test_gate_open(&m->all[m->number].begun);
    for (int i = 0; i < CROWD; i++)
        test_gate_wait(&m->all[i].begun);
    return 0;
}

TEST_CASE(as_many_jobs_as_threads_run_at_the_same_time)
{
    job_site sites[CROWD];
    member members[CROWD];
    pl_thread_pool *pool = new_pool(CROWD);
    (void)t;
    REQUIRE(pool != NULL);
    for (int i = 0; i < CROWD; i++) {
        job_site_open(&sites[i], 0);
        members[i] = (member){sites, i};
    }
    for (int i = 0; i < CROWD; i++)
        CHECK_EQ_INT(pl_thread_pool_submit_shared(pool, NULL, run_member, &members[i], NULL), PL_OK);
    CHECK_EQ_INT(pl_thread_pool_shutdown(pool, PL_FOREVER), PL_OK);
    pl_thread_pool_unref(pool);
    for (int i = 0; i < CROWD; i++)
        job_site_close(&sites[i]);
}

TEST_CASE(no_more_threads_than_allowed)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 2));
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(submit_to(&w, i, job_gated), PL_OK);
    test_gate_wait(&w.sites[0].begun);
    test_gate_wait(&w.sites[1].begun);
    CHECK_EQ_INT(pl_thread_pool_threads(w.pool), 2);
    CHECK_EQ_INT(pl_thread_pool_queued(w.pool), 3);
    for (int i = 0; i < 5; i++)
        test_gate_open(&w.sites[i].go);
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(finish_future(&w, i), 10 + i);
    CHECK_EQ_INT(pl_thread_pool_queued(w.pool), 0);
    CHECK_EQ_INT(pl_thread_pool_threads(w.pool), 2);
    works_close(&w);
}

/* min(32, processors + 4), whatever there are. */
TEST_CASE(a_pool_of_the_default_size_has_5_to_32_threads)
{
    enum { JOBS = 40 };
    job_site sites[JOBS];
    pl_thread_pool *pool = NULL;
    (void)t;
    CHECK_EQ_INT(pl_thread_pool_create(&pool, NULL), PL_OK);
    for (int i = 0; i < JOBS; i++) {
        job_site_open(&sites[i], 0);
        CHECK_EQ_INT(pl_thread_pool_submit_shared(pool, NULL, job_gated, &sites[i], NULL), PL_OK);
    }
    for (int i = 0; i < 5; i++)
        test_gate_wait(&sites[i].begun);
    CHECK(pl_thread_pool_threads(pool) >= 5);
    CHECK(pl_thread_pool_threads(pool) <= 32);
    CHECK(pl_thread_pool_queued(pool) >= JOBS - 32);
    for (int i = 0; i < JOBS; i++)
        test_gate_open(&sites[i].go);
    CHECK_EQ_INT(pl_thread_pool_shutdown(pool, PL_FOREVER), PL_OK);
    pl_thread_pool_unref(pool);
    for (int i = 0; i < JOBS; i++) {
        CHECK_EQ_INT(sites[i].runs, 1);
        job_site_close(&sites[i]);
    }
}

TEST_CASE(an_idle_thread_ends_and_another_comes_when_there_is_work)
{
    pl_thread_pool *pool = NULL;
    pl_thread_pool_options options = {.size = sizeof options, .threads = 3, .idle = PL_NS(1), .name = "short"};
    job_site site;
    (void)t;
    job_site_open(&site, 4);
    REQUIRE_EQ_INT(pl_thread_pool_create(&pool, &options), PL_OK);
    for (int i = 1; i <= 20; i++) {
        pl_shared_future *shared = NULL;
        CHECK_EQ_INT(pl_thread_pool_submit_shared(pool, &shared, job_at_once, &site, NULL), PL_OK);
        CHECK_EQ_INT(pl_shared_future_wait(shared, PL_FOREVER), 4);
        CHECK_EQ_INT(site.runs, i);
        pl_shared_future_unref(shared);
        while (pl_thread_pool_threads(pool) > 0)
            continue;
    }
    pl_thread_pool_unref(pool);
    job_site_close(&site);
}

TEST_CASE(the_ends_of_many_jobs_arrive_in_one_iteration)
{
    fixture f;
    works w;
    pl_shared_future *last = NULL;
    REQUIRE(works_open(&w, &f, t, 1));
    for (int i = 0; i < SITES; i++)
        CHECK_EQ_INT(submit_to(&w, i, job_gated), PL_OK);
    for (int i = 0; i < SITES; i++)
        test_gate_open(&w.sites[i].go);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(w.pool, &last, job_at_once, &w.sites[0], NULL), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(last, PL_FOREVER), 10);
    pl_shared_future_unref(last);
    for (int i = 0; i < SITES; i++)
        CHECK_EQ_INT(pl_future_state(f.futures[i]), PL_PENDING); /* never inline */
    turn(&f, 1);
    for (int i = 0; i < SITES; i++)
        CHECK_EQ_INT(pl_future_result(f.futures[i]), 10 + i);
    works_close(&w);
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

TEST_CASE(a_job_cancelled_in_the_queue_never_runs_and_drops_its_argument_at_once)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK);
    test_gate_wait(&w.sites[0].begun);
    CHECK_EQ_INT(submit_to(&w, 1, job_at_once), PL_OK);
    CHECK_EQ_INT(pl_future_cancel(f.futures[1]), 1);
    CHECK_EQ_INT(w.sites[1].drops, 1);
    CHECK_EQ_INT(pl_future_result(f.futures[1]), PL_ECANCELED);
    CHECK_EQ_INT(pl_thread_pool_queued(w.pool), 0);
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_future(&w, 0), 10);
    works_close(&w);
    CHECK_EQ_INT(w.sites[1].runs, 0);
    CHECK_EQ_INT(w.sites[1].drops, 1);
}

TEST_CASE(a_job_that_runs_is_not_interrupted_and_its_end_answers)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK);
    test_gate_wait(&w.sites[0].begun);
    CHECK_EQ_INT(pl_future_cancel(f.futures[0]), 1);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_PENDING);
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_future(&w, 0), 10);
    CHECK_EQ_INT(w.sites[0].drops, 0);
    CHECK_EQ_INT(pl_future_cancel(f.futures[0]), 0);
    works_close(&w);
}

static int64_t await_job(void *arg)
{
    works *w = arg;
    note_code(w->f, pl_await(w->f->futures[0]));
    note_code(w->f, pl_yield());
    return 1;
}

TEST_CASE(a_task_cancelled_while_its_job_runs_gets_the_result_and_the_cancel_next)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK);
    test_gate_wait(&w.sites[0].begun);
    f.tasks[0] = start_task(&f, await_job, &w);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 2);
    EXPECT_TRACE(&f, "");
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "10 PL_ECANCELED ");
    works_close(&w);
}

TEST_CASE(an_end_on_its_way_is_not_undone_by_a_cancel)
{
    fixture f;
    works w;
    pl_shared_future *last = NULL;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(submit_to(&w, 0, job_at_once), PL_OK);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(w.pool, &last, job_at_once, &w.sites[1], NULL), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(last, PL_FOREVER), 11);
    pl_shared_future_unref(last);
    CHECK_EQ_INT(pl_future_cancel(f.futures[0]), 1); /* asked for, in vain */
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), 10);
    works_close(&w);
}

TEST_CASE(a_jobs_future_may_be_let_go_at_any_time)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK);
    test_gate_wait(&w.sites[0].begun);
    CHECK_EQ_INT(submit_to(&w, 1, job_at_once), PL_OK);
    CHECK_EQ_INT(submit_to(&w, 2, job_at_once), PL_OK);
    drop_future(&f, 0);
    drop_future(&f, 1);
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_future(&w, 2), 12);
    CHECK_EQ_INT(w.sites[0].runs, 1);
    CHECK_EQ_INT(w.sites[1].runs, 1);
    works_close(&w);
}

/* --- What is refused ---------------------------------------------------------------------------------------------- */

TEST_CASE(a_full_queue_refuses_a_job_and_drops_its_argument)
{
    fixture f;
    works w;
    pl_thread_pool_options options = {.size = sizeof options, .threads = 1, .queue_limit = 2};
    REQUIRE(works_open(&w, &f, t, 1));
    pl_thread_pool_unref(w.pool);
    REQUIRE_EQ_INT(pl_thread_pool_create(&w.pool, &options), PL_OK);
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK); /* for the thread, though it may not have come yet */
    CHECK_EQ_INT(submit_to(&w, 1, job_at_once), PL_OK);
    CHECK_EQ_INT(submit_to(&w, 2, job_at_once), PL_OK);
    CHECK_EQ_INT(submit_to(&w, 3, job_at_once), PL_ELIMIT);
    CHECK(f.futures[3] == NULL);
    CHECK_EQ_INT(w.sites[3].drops, 1);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(w.pool, NULL, job_at_once, &w.sites[3], job_drop), PL_ELIMIT);
    CHECK_EQ_INT(w.sites[3].drops, 2);
    CHECK_EQ_INT(pl_future_cancel(f.futures[1]), 1);
    CHECK_EQ_INT(submit_to(&w, 4, job_at_once), PL_OK);
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_future(&w, 4), 14);
    works_close(&w);
}

static void submit_wrongly(void *arg)
{
    works *w = arg;
    CHECK_EQ_INT(pl_thread_pool_submit(w->pool, &w->f->futures[0], NULL, &w->sites[0], job_drop), PL_EINVAL);
    CHECK_EQ_INT(pl_thread_pool_shutdown(w->pool, 1), PL_ESTATE);
    CHECK_EQ_INT(pl_thread_pool_shutdown(w->pool, PL_FOREVER), PL_ESTATE);
    CHECK_EQ_INT(pl_thread_pool_shutdown(w->pool, 0), PL_OK);
    CHECK_EQ_INT(pl_thread_pool_submit(w->pool, NULL, job_at_once, &w->sites[0], job_drop), PL_ESTATE);
}

TEST_CASE(what_cannot_be_a_job_is_refused_and_the_argument_dropped)
{
    fixture f;
    works w;
    pl_shared_future *shared = NULL;
    pl_thread_pool *pool = NULL;
    pl_thread_pool_options options = {.size = 1};
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(pl_thread_pool_create(NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_thread_pool_create(&pool, &options), PL_EINVAL);
    options = (pl_thread_pool_options){.size = sizeof options, .idle = -1};
    CHECK_EQ_INT(pl_thread_pool_create(&pool, &options), PL_EINVAL);
    CHECK(pool == NULL);
    CHECK_EQ_INT(pl_thread_pool_submit(w.pool, &f.futures[0], job_at_once, &w.sites[0], job_drop), PL_ENOLOOP);
    CHECK_EQ_INT(w.sites[0].drops, 1);
    CHECK_EQ_INT(pl_thread_pool_submit(w.pool, NULL, job_at_once, &w.sites[0], NULL), PL_ENOLOOP);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(NULL, &shared, job_at_once, &w.sites[0], job_drop), PL_EINVAL);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(w.pool, &shared, NULL, &w.sites[0], job_drop), PL_EINVAL);
    CHECK(shared == NULL);
    CHECK_EQ_INT(w.sites[0].drops, 3);
    CHECK_EQ_INT(pl_call_soon(f.loop, submit_wrongly, &w, NULL), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(w.sites[0].drops, 5);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(w.pool, &shared, job_at_once, &w.sites[0], job_drop), PL_ESTATE);
    CHECK(shared == NULL);
    CHECK_EQ_INT(w.sites[0].drops, 6);
    CHECK_EQ_INT(pl_thread_pool_shutdown(NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_thread_pool_threads(NULL), 0);
    CHECK_EQ_INT(pl_thread_pool_queued(NULL), 0);
    CHECK(pl_thread_pool_ref(NULL) == NULL);
    pl_thread_pool_unref(NULL);
    works_close(&w);
}

/* A thread starts with memory of its own, so what fails is tried before and after there is one. */
TEST_CASE(each_allocation_of_a_submit_may_fail)
{
    for (int busy = 0; busy < 2; busy++) {
        int64_t n, rc = PL_ENOMEM;
        for (n = 1; n < 10 && rc == PL_ENOMEM; n++) {
            fixture f;
            works w;
            allocation a;
            REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
            REQUIRE(works_open(&w, &f, t, 1));
            if (busy) {
                CHECK_EQ_INT(submit_to(&w, 1, job_at_once), PL_OK);
                CHECK_EQ_INT(finish_future(&w, 1), 11);
            }
            submission s = {&w, 0, job_at_once};
            CHECK_EQ_INT(pl_call_soon(f.loop, submit_in_loop, &s, NULL), PL_OK);
            a.fail_at = a.calls + n;
            a.fail_forever = true;
            turn(&f, 1);
            rc = w.rc;
            if (rc == PL_OK)
                CHECK_EQ_INT(finish_future(&w, 0), 10); /* telling the end asks for none */
            a.fail_at = 0;
            CHECK(rc == PL_OK || rc == PL_ENOMEM);
            CHECK_EQ_INT(w.sites[0].drops, rc == PL_OK ? 0 : 1);
            CHECK((f.futures[0] != NULL) == (rc == PL_OK));
            works_close(&w);
            allocation_end(&a);
        }
        CHECK_EQ_INT(n - 2, busy ? 1 : 3); /* the job; and a worker and what its thread is told */
    }
}

TEST_CASE(no_memory_for_a_pool_or_a_shared_job)
{
    allocation a;
    job_site site;
    pl_thread_pool *pool = NULL;
    pl_shared_future *shared = NULL;
    (void)t;
    job_site_open(&site, 3);
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    a.fail_at = 1;
    CHECK_EQ_INT(pl_thread_pool_create(&pool, NULL), PL_ENOMEM);
    CHECK(pool == NULL);
    CHECK_EQ_INT(pl_shared_future_create(&shared), PL_OK);
    pl_shared_future_unref(shared);
    shared = NULL;
    CHECK_EQ_INT(pl_thread_pool_create(&pool, NULL), PL_OK);
    for (int i = 1; i <= 3; i++) {
        a.fail_at = a.calls + i;
        CHECK_EQ_INT(pl_thread_pool_submit_shared(pool, &shared, job_at_once, &site, job_drop), PL_ENOMEM);
        CHECK(shared == NULL);
        CHECK_EQ_INT(site.drops, i);
    }
    a.fail_at = 0;
    pl_thread_pool_unref(pool);
    allocation_end(&a);
    job_site_close(&site);
}

/* --- Jobs of shared futures --------------------------------------------------------------------------------------- */

TEST_CASE(a_shared_job_is_waited_for_by_any_thread)
{
    job_site site;
    pl_shared_future *shared = NULL;
    pl_thread_pool *pool = new_pool(0);
    (void)t;
    REQUIRE(pool != NULL);
    job_site_open(&site, 21);
    REQUIRE_EQ_INT(pl_thread_pool_submit_shared(pool, &shared, job_gated, &site, job_drop), PL_OK);
    test_gate_wait(&site.begun);
    CHECK_EQ_INT(pl_shared_future_wait(shared, 0), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_shared_future_set_result(shared, 1), PL_ESTATE);
    CHECK_EQ_INT(pl_shared_future_cancel(shared), 1); /* asked for: its end answers */
    CHECK_EQ_INT(pl_shared_future_state(shared), PL_PENDING);
    test_gate_open(&site.go);
    CHECK_EQ_INT(pl_shared_future_wait(shared, PL_FOREVER), 21);
    CHECK_EQ_INT(pl_shared_future_cancel(shared), 0);
    CHECK_EQ_INT(site.drops, 0);
    pl_shared_future_unref(shared);
    pl_thread_pool_unref(pool);
    job_site_close(&site);
}

TEST_CASE(a_shared_job_cancelled_in_the_queue_never_runs_and_drops_its_argument_at_once)
{
    job_site sites[2];
    pl_shared_future *shared = NULL;
    pl_thread_pool *pool = new_pool(1);
    (void)t;
    REQUIRE(pool != NULL);
    job_site_open(&sites[0], 1);
    job_site_open(&sites[1], 2);
    REQUIRE_EQ_INT(pl_thread_pool_submit_shared(pool, NULL, job_gated, &sites[0], NULL), PL_OK);
    test_gate_wait(&sites[0].begun);
    REQUIRE_EQ_INT(pl_thread_pool_submit_shared(pool, &shared, job_at_once, &sites[1], job_drop), PL_OK);
    CHECK_EQ_INT(pl_shared_future_cancel(shared), 1);
    CHECK_EQ_INT(sites[1].drops, 1);
    CHECK_EQ_INT(pl_shared_future_wait(shared, PL_FOREVER), PL_ECANCELED);
    test_gate_open(&sites[0].go);
    CHECK_EQ_INT(pl_thread_pool_shutdown(pool, PL_FOREVER), PL_OK);
    CHECK_EQ_INT(sites[1].runs, 0);
    CHECK_EQ_INT(sites[1].drops, 1);
    pl_shared_future_unref(shared);
    pl_thread_pool_unref(pool);
    job_site_close(&sites[0]);
    job_site_close(&sites[1]);
}

static int64_t await_shared_job(void *arg)
{
    works *w = arg;
    pl_shared_future *shared = NULL;
    int64_t result = pl_thread_pool_submit_shared(w->pool, &shared, job_gated, &w->sites[0], job_drop);
    if (result == PL_OK)
        result = pl_shared_future_await(shared);
    pl_shared_future_unref(shared);
    note_code(w->f, result);
    note_code(w->f, pl_yield());
    return 1;
}

TEST_CASE(a_task_cancelled_while_it_awaits_a_shared_job_that_runs_joins_it)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 1));
    f.tasks[0] = start_task(&f, await_shared_job, &w);
    turn(&f, 1);
    test_gate_wait(&w.sites[0].begun);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    turn(&f, 2);
    EXPECT_TRACE(&f, "");
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "10 PL_ECANCELED ");
    works_close(&w);
}

/* --- Shutting down ------------------------------------------------------------------------------------------------ */

TEST_CASE(a_shutdown_without_limit_runs_what_is_queued)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 1));
    for (int i = 0; i < 4; i++)
        CHECK_EQ_INT(submit_to(&w, i, job_at_once), PL_OK);
    CHECK_EQ_INT(pl_thread_pool_shutdown(w.pool, PL_FOREVER), PL_OK);
    CHECK_EQ_INT(pl_thread_pool_threads(w.pool), 0);
    turn(&f, 1);
    for (int i = 0; i < 4; i++)
        CHECK_EQ_INT(pl_future_result(f.futures[i]), 10 + i);
    CHECK_EQ_INT(pl_thread_pool_shutdown(w.pool, PL_FOREVER), PL_OK);
    works_close(&w);
}

TEST_CASE(a_shutdown_with_limit_0_drops_what_is_queued_and_leaves_what_runs)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK);
    test_gate_wait(&w.sites[0].begun);
    CHECK_EQ_INT(submit_to(&w, 1, job_at_once), PL_OK);
    CHECK_EQ_INT(pl_thread_pool_shutdown(w.pool, 0), PL_ETIMEDOUT);
    CHECK_EQ_INT(w.sites[1].drops, 1); /* on this thread */
    CHECK_EQ_INT(pl_future_state(f.futures[1]), PL_PENDING);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_result(f.futures[1]), PL_ECANCELED);
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_future(&w, 0), 10);
    works_close(&w);
    CHECK_EQ_INT(w.sites[1].runs, 0);
    CHECK_EQ_INT(w.sites[1].drops, 1);
}

TEST_CASE(a_shutdown_whose_limit_runs_out_drops_what_is_queued_then)
{
    fixture f;
    works w;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK);
    test_gate_wait(&w.sites[0].begun);
    CHECK_EQ_INT(submit_to(&w, 1, job_at_once), PL_OK);
    CHECK_EQ_INT(pl_thread_pool_shutdown(w.pool, PL_MS(1)), PL_ETIMEDOUT);
    CHECK_EQ_INT(w.sites[1].drops, 1);
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(finish_future(&w, 0), 10);
    CHECK_EQ_INT(finish_future(&w, 1), PL_ECANCELED);
    works_close(&w);
}

static int64_t shut_own_pool(void *arg)
{
    works *w = arg;
    CHECK_EQ_INT(pl_thread_pool_shutdown(w->pool, PL_FOREVER), PL_EDEADLOCK);
    CHECK_EQ_INT(pl_thread_pool_shutdown(w->pool, 0), PL_ETIMEDOUT); /* this job runs */
    return 5;
}

TEST_CASE(a_job_cannot_wait_for_its_own_pool)
{
    fixture f;
    works w;
    pl_shared_future *shared = NULL;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(pl_thread_pool_submit_shared(w.pool, &shared, shut_own_pool, &w, NULL), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(shared, PL_FOREVER), 5);
    pl_shared_future_unref(shared);
    works_close(&w);
}

TEST_CASE(the_last_unref_drops_what_is_queued_and_leaves_what_runs_behind)
{
    job_site sites[2];
    pl_shared_future *first = NULL, *second = NULL;
    pl_thread_pool *pool = new_pool(1);
    (void)t;
    REQUIRE(pool != NULL);
    job_site_open(&sites[0], 1);
    job_site_open(&sites[1], 2);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(pool, &first, job_gated, &sites[0], NULL), PL_OK);
    test_gate_wait(&sites[0].begun);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(pool, &second, job_at_once, &sites[1], job_drop), PL_OK);
    CHECK(pl_thread_pool_ref(pool) == pool);
    pl_thread_pool_unref(pool);
    CHECK_EQ_INT(sites[1].drops, 0);
    pl_thread_pool_unref(pool);
    CHECK_EQ_INT(sites[1].drops, 1);
    CHECK_EQ_INT(pl_shared_future_wait(second, 0), PL_ECANCELED);
    CHECK_EQ_INT(pl_shared_future_wait(first, 0), PL_ETIMEDOUT);
    test_gate_open(&sites[0].go);
    CHECK_EQ_INT(pl_shared_future_wait(first, PL_FOREVER), 1);
    pl_shared_future_unref(first);
    pl_shared_future_unref(second);
    job_site_close(&sites[0]);
    job_site_close(&sites[1]);
}

static int64_t unref_own_pool(void *arg)
{
    pl_thread_pool_unref(arg);
    return 6;
}

TEST_CASE(a_job_may_let_the_last_reference_to_its_pool_go)
{
    pl_shared_future *shared = NULL;
    pl_thread_pool *pool = new_pool(2);
    (void)t;
    REQUIRE(pool != NULL);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(pool, &shared, unref_own_pool, pool, NULL), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(shared, PL_FOREVER), 6);
    pl_shared_future_unref(shared);
}

/* --- The loop's close --------------------------------------------------------------------------------------------- */

TEST_CASE(closing_the_loop_drops_its_queued_jobs_once_and_leaves_those_that_run)
{
    fixture f;
    works w;
    pl_future *running, *queued;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(submit_to(&w, 0, job_gated), PL_OK);
    test_gate_wait(&w.sites[0].begun);
    CHECK_EQ_INT(submit_to(&w, 1, job_at_once), PL_OK);
    running = pl_future_ref(f.futures[0]);
    queued = pl_future_ref(f.futures[1]);
    fixture_close(&f);
    CHECK_EQ_INT(w.sites[1].drops, 1);
    CHECK_EQ_INT(pl_future_result(queued), PL_ECANCELED);
    CHECK_EQ_INT(pl_future_result(running), PL_ECLOSED); /* it did happen, but nobody will hear of it */
    test_gate_open(&w.sites[0].go);
    CHECK_EQ_INT(pl_thread_pool_shutdown(w.pool, PL_FOREVER), PL_OK);
    CHECK_EQ_INT(w.sites[0].runs, 1);
    CHECK_EQ_INT(w.sites[1].runs, 0);
    pl_future_unref(running);
    pl_future_unref(queued);
    works_close(&w);
    CHECK_EQ_INT(w.sites[0].drops, 0);
    CHECK_EQ_INT(w.sites[1].drops, 1);
}

TEST_CASE(a_job_whose_end_was_on_its_way_at_the_loops_close_has_its_result)
{
    fixture f;
    works w;
    pl_shared_future *last = NULL;
    pl_future *future;
    REQUIRE(works_open(&w, &f, t, 1));
    CHECK_EQ_INT(submit_to(&w, 0, job_at_once), PL_OK);
    CHECK_EQ_INT(pl_thread_pool_submit_shared(w.pool, &last, job_at_once, &w.sites[1], NULL), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(last, PL_FOREVER), 11);
    pl_shared_future_unref(last);
    future = pl_future_ref(f.futures[0]);
    fixture_close(&f);
    CHECK_EQ_INT(pl_future_result(future), 10);
    pl_future_unref(future);
    works_close(&w);
}

/* --- Many --------------------------------------------------------------------------------------------------------- */

typedef struct counted_job {
    pl_future *future;
    pl_shared_future *shared;
    int runs;
    int drops;
} counted_job;

static int64_t run_counted(void *arg)
{
    ((counted_job *)arg)->runs++;
    return 1;
}

static void drop_counted(void *arg)
{
    ((counted_job *)arg)->drops++;
}

typedef struct flood {
    fixture *f;
    pl_thread_pool *pool;
    counted_job *jobs;
    int count;
    test_gate *gate;
} flood;

static int64_t submit_and_cancel(void *arg)
{
    flood *l = arg;
    uint64_t random = 7;
    for (int i = 0; i < l->count; i++) {
        counted_job *job = &l->jobs[i];
        CHECK_EQ_INT(pl_thread_pool_submit(l->pool, &job->future, run_counted, job, drop_counted), PL_OK);
        if (random_below(&random, 3) == 0)
            (void)pl_future_cancel(l->jobs[random_below(&random, i + 1)].future);
        if (random_below(&random, 50) == 0)
            CHECK_EQ_INT(pl_yield(), PL_OK);
    }
    for (int i = 0; i < l->count; i++) {
        int64_t result = pl_await(l->jobs[i].future);
        CHECK_EQ_INT(l->jobs[i].runs, result == 1 ? 1 : 0);
        CHECK_EQ_INT(l->jobs[i].drops, result == PL_ECANCELED ? 1 : 0);
        pl_future_unref(l->jobs[i].future);
    }
    return 0;
}

TEST_CASE(each_of_many_jobs_some_cancelled_runs_once_or_is_dropped_once)
{
    fixture f;
    flood l = {.f = &f, .count = scaled(5000)};
    REQUIRE(fixture_open(&f, t));
    l.pool = new_pool(3);
    l.jobs = calloc((size_t)l.count, sizeof *l.jobs);
    REQUIRE(l.pool && l.jobs);
    CHECK_EQ_INT(run_task(&f, submit_and_cancel, &l), 0);
    pl_thread_pool_unref(l.pool);
    fixture_close(&f);
    free(l.jobs);
}

static void submit_shared_flood(void *arg)
{
    flood *l = arg;
    test_gate_wait(l->gate);
    for (int i = 0; i < l->count; i++) {
        counted_job *job = &l->jobs[i];
        int rc = pl_thread_pool_submit_shared(l->pool, &job->shared, run_counted, job, drop_counted);
        CHECK(rc == PL_OK || rc == PL_ESTATE);
        CHECK((rc == PL_OK) == (job->shared != NULL));
        if (i % 5 == 0)
            (void)pl_shared_future_cancel(job->shared);
    }
}

TEST_CASE(a_shutdown_that_races_with_submits_runs_or_drops_each_job_once)
{
    enum { THREADS = 3 };
    (void)t;
    for (int round = 0; round < scaled(100); round++) {
        flood floods[THREADS];
        test_thread threads[THREADS];
        test_gate gate;
        pl_thread_pool *pool = new_pool(2);
        REQUIRE(pool != NULL);
        test_gate_init(&gate);
        for (int i = 0; i < THREADS; i++) {
            floods[i] = (flood){.pool = pool, .count = 30, .gate = &gate};
            floods[i].jobs = calloc(30, sizeof(counted_job));
            REQUIRE(floods[i].jobs != NULL);
            REQUIRE(test_thread_start(&threads[i], submit_shared_flood, &floods[i]));
        }
        test_gate_open(&gate);
        (void)pl_thread_pool_shutdown(pool, round % 2 ? 0 : PL_FOREVER);
        for (int i = 0; i < THREADS; i++)
            test_thread_join(&threads[i]);
        CHECK_EQ_INT(pl_thread_pool_shutdown(pool, PL_FOREVER), PL_OK);
        for (int i = 0; i < THREADS; i++) {
            for (int j = 0; j < 30; j++) {
                counted_job *job = &floods[i].jobs[j];
                CHECK_EQ_INT(job->runs + job->drops, 1);
                if (job->shared)
                    CHECK_EQ_INT(pl_shared_future_result(job->shared), job->runs ? 1 : PL_ECANCELED);
                pl_shared_future_unref(job->shared);
            }
            free(floods[i].jobs);
        }
        pl_thread_pool_unref(pool);
        test_gate_destroy(&gate);
    }
}

static int64_t submit_and_leave(void *arg)
{
    flood *l = arg;
    for (int i = 0; i < l->count; i++)
        CHECK_EQ_INT(pl_thread_pool_submit(l->pool, NULL, run_counted, &l->jobs[i], drop_counted), PL_OK);
    return 0;
}

TEST_CASE(a_loop_that_closes_while_its_jobs_end_loses_none)
{
    for (int round = 0; round < scaled(100); round++) {
        fixture f;
        flood l = {.f = &f, .count = 40};
        REQUIRE(fixture_open(&f, t));
        l.pool = new_pool(2);
        l.jobs = calloc((size_t)l.count, sizeof *l.jobs);
        REQUIRE(l.pool && l.jobs);
        CHECK_EQ_INT(run_task(&f, submit_and_leave, &l), 0);
        fixture_close(&f); /* and reports none that still runs */
        CHECK_EQ_INT(pl_thread_pool_shutdown(l.pool, PL_FOREVER), PL_OK);
        for (int i = 0; i < l.count; i++)
            CHECK_EQ_INT(l.jobs[i].runs + l.jobs[i].drops, 1);
        pl_thread_pool_unref(l.pool);
        free(l.jobs);
    }
}

TEST_SUITE(thread_pool, TEST_BACKENDS_ALL, CASE(a_job_runs_on_another_thread_and_its_future_has_its_result),
           CASE(an_error_of_a_job_is_that_of_its_future), CASE(an_error_of_a_job_that_nobody_looked_at_is_reported),
           CASE(a_future_of_a_job_is_not_set_by_others), CASE(jobs_begin_first_in_first_out),
           CASE(as_many_jobs_as_threads_run_at_the_same_time), CASE(no_more_threads_than_allowed),
           CASE(a_pool_of_the_default_size_has_5_to_32_threads),
           CASE(an_idle_thread_ends_and_another_comes_when_there_is_work),
           CASE(the_ends_of_many_jobs_arrive_in_one_iteration),
           CASE(a_job_cancelled_in_the_queue_never_runs_and_drops_its_argument_at_once),
           CASE(a_job_that_runs_is_not_interrupted_and_its_end_answers),
           CASE(a_task_cancelled_while_its_job_runs_gets_the_result_and_the_cancel_next),
           CASE(an_end_on_its_way_is_not_undone_by_a_cancel), CASE(a_jobs_future_may_be_let_go_at_any_time),
           CASE(a_full_queue_refuses_a_job_and_drops_its_argument),
           CASE(what_cannot_be_a_job_is_refused_and_the_argument_dropped), CASE(each_allocation_of_a_submit_may_fail),
           CASE(no_memory_for_a_pool_or_a_shared_job), CASE(a_shared_job_is_waited_for_by_any_thread),
           CASE(a_shared_job_cancelled_in_the_queue_never_runs_and_drops_its_argument_at_once),
           CASE(a_task_cancelled_while_it_awaits_a_shared_job_that_runs_joins_it),
           CASE(a_shutdown_without_limit_runs_what_is_queued),
           CASE(a_shutdown_with_limit_0_drops_what_is_queued_and_leaves_what_runs),
           CASE(a_shutdown_whose_limit_runs_out_drops_what_is_queued_then), CASE(a_job_cannot_wait_for_its_own_pool),
           CASE(the_last_unref_drops_what_is_queued_and_leaves_what_runs_behind),
           CASE(a_job_may_let_the_last_reference_to_its_pool_go),
           CASE(closing_the_loop_drops_its_queued_jobs_once_and_leaves_those_that_run),
           CASE(a_job_whose_end_was_on_its_way_at_the_loops_close_has_its_result),
           CASE(each_of_many_jobs_some_cancelled_runs_once_or_is_dropped_once),
           CASE(a_shutdown_that_races_with_submits_runs_or_drops_each_job_once),
           CASE(a_loop_that_closes_while_its_jobs_end_loses_none))
