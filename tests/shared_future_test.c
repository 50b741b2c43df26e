/* Results shared by threads, how they cross to loops, and tasks started from other threads. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "threads.h"

static pl_shared_future *new_shared(void)
{
    pl_shared_future *shared = NULL;
    CHECK_EQ_INT(pl_shared_future_create(&shared), PL_OK);
    return shared;
}

static void count_drop(void *arg)
{
    ++*(int *)arg;
}

/* --- By itself ---------------------------------------------------------------------------------------------------- */

TEST_CASE(a_shared_future_is_pending_until_it_is_set)
{
    pl_shared_future *shared = new_shared();
    (void)t;
    REQUIRE(shared != NULL);
    CHECK_EQ_INT(pl_shared_future_state(shared), PL_PENDING);
    CHECK_EQ_INT(pl_shared_future_result(shared), PL_ESTATE);
    CHECK(pl_shared_future_take_pointer(shared) == NULL);
    CHECK_EQ_INT(pl_shared_future_set_result(shared, 7), PL_OK);
    CHECK_EQ_INT(pl_shared_future_state(shared), PL_FINISHED);
    CHECK_EQ_INT(pl_shared_future_result(shared), 7);
    CHECK_EQ_INT(pl_shared_future_wait(shared, 0), 7);
    pl_shared_future_unref(shared);
}

TEST_CASE(a_shared_future_is_set_once)
{
    int drops = 0;
    pl_shared_future *shared = new_shared();
    (void)t;
    REQUIRE(shared != NULL);
    CHECK_EQ_INT(pl_shared_future_set_error(shared, PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_shared_future_set_result(shared, 1), PL_ESTATE);
    CHECK_EQ_INT(pl_shared_future_set_error(shared, PL_EOF), PL_ESTATE);
    CHECK_EQ_INT(pl_shared_future_set_pointer(shared, &drops, count_drop), PL_ESTATE);
    CHECK_EQ_INT(drops, 1);
    CHECK_EQ_INT(pl_shared_future_cancel(shared), 0);
    CHECK_EQ_INT(pl_shared_future_result(shared), PL_EIO);
    pl_shared_future_unref(shared);
}

TEST_CASE(what_cannot_be_a_result_is_refused)
{
    int drops = 0;
    pl_shared_future *shared = new_shared();
    (void)t;
    REQUIRE(shared != NULL);
    CHECK_EQ_INT(pl_shared_future_set_result(shared, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_shared_future_set_error(shared, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_shared_future_state(shared), PL_PENDING);
    pl_shared_future_unref(shared);
    CHECK_EQ_INT(pl_shared_future_create(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_shared_future_set_result(NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_shared_future_set_error(NULL, PL_EIO), PL_EINVAL);
    CHECK_EQ_INT(pl_shared_future_set_pointer(NULL, &drops, count_drop), PL_EINVAL);
    CHECK_EQ_INT(drops, 1);
    CHECK_EQ_INT(pl_shared_future_result(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_shared_future_state(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_shared_future_wait(NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_shared_future_await(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_shared_future_cancel(NULL), 0);
    CHECK(pl_shared_future_take_pointer(NULL) == NULL);
    CHECK(pl_shared_future_ref(NULL) == NULL);
    pl_shared_future_unref(NULL);
}

TEST_CASE(a_plain_one_is_cancelled_at_once)
{
    pl_shared_future *shared = new_shared();
    (void)t;
    REQUIRE(shared != NULL);
    CHECK_EQ_INT(pl_shared_future_cancel(shared), 1);
    CHECK_EQ_INT(pl_shared_future_state(shared), PL_CANCELLED);
    CHECK_EQ_INT(pl_shared_future_result(shared), PL_ECANCELED);
    CHECK_EQ_INT(pl_shared_future_cancel(shared), 0);
    CHECK_EQ_INT(pl_shared_future_set_result(shared, 1), PL_ESTATE);
    pl_shared_future_unref(shared);
}

TEST_CASE(the_error_ecanceled_makes_it_cancelled)
{
    pl_shared_future *shared = new_shared();
    (void)t;
    REQUIRE(shared != NULL);
    CHECK_EQ_INT(pl_shared_future_set_error(shared, PL_ECANCELED), PL_OK);
    CHECK_EQ_INT(pl_shared_future_state(shared), PL_CANCELLED);
    pl_shared_future_unref(shared);
}

TEST_CASE(a_pointer_is_taken_once_or_dropped_once)
{
    int drops = 0;
    pl_shared_future *shared = new_shared();
    (void)t;
    REQUIRE(shared != NULL);
    CHECK_EQ_INT(pl_shared_future_set_pointer(shared, &drops, count_drop), PL_OK);
    CHECK_EQ_INT(pl_shared_future_result(shared), 0);
    CHECK(pl_shared_future_take_pointer(shared) == &drops);
    CHECK(pl_shared_future_take_pointer(shared) == NULL);
    pl_shared_future_unref(shared);
    CHECK_EQ_INT(drops, 0);
    shared = new_shared();
    REQUIRE(shared != NULL);
    CHECK_EQ_INT(pl_shared_future_set_pointer(shared, &drops, count_drop), PL_OK);
    CHECK(pl_shared_future_ref(shared) == shared);
    pl_shared_future_unref(shared);
    CHECK_EQ_INT(drops, 0);
    pl_shared_future_unref(shared);
    CHECK_EQ_INT(drops, 1);
}

/* --- Threads ------------------------------------------------------------------------------------------------------ */

typedef struct crew {
    pl_shared_future *shared;
    test_gate gate;
    int64_t result;
    int wins;
    int number;
    struct crew *first; /* whose gate is the one */
} crew;

static void set_after_gate(void *arg)
{
    crew *c = arg;
    test_gate_wait(&c->gate);
    CHECK_EQ_INT(pl_shared_future_set_result(c->shared, 5), PL_OK);
}

TEST_CASE(a_wait_ends_when_another_thread_sets_the_result)
{
    crew c = {.shared = new_shared()};
    test_thread thread;
    (void)t;
    REQUIRE(c.shared != NULL);
    test_gate_init(&c.gate);
    REQUIRE(test_thread_start(&thread, set_after_gate, &c));
    CHECK_EQ_INT(pl_shared_future_wait(c.shared, 0), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_shared_future_wait(c.shared, PL_MS(1)), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_shared_future_wait(c.shared, -1), PL_ETIMEDOUT);
    test_gate_open(&c.gate);
    CHECK_EQ_INT(pl_shared_future_wait(c.shared, PL_FOREVER), 5);
    test_thread_join(&thread);
    test_gate_destroy(&c.gate);
    pl_shared_future_unref(c.shared);
}

static void wait_for_shared(void *arg)
{
    crew *c = arg;
    c->result = pl_shared_future_wait(c->shared, PL_SECONDS(3600));
    pl_shared_future_unref(c->shared);
}

TEST_CASE(all_threads_that_wait_get_the_result)
{
    enum { WAITERS = 8 };
    crew crews[WAITERS] = {{.result = 0}};
    test_thread threads[WAITERS];
    pl_shared_future *shared = new_shared();
    (void)t;
    REQUIRE(shared != NULL);
    for (int i = 0; i < WAITERS; i++) {
        crews[i].shared = pl_shared_future_ref(shared);
        REQUIRE(test_thread_start(&threads[i], wait_for_shared, &crews[i]));
    }
    CHECK_EQ_INT(pl_shared_future_cancel(shared), 1);
    pl_shared_future_unref(shared);
    for (int i = 0; i < WAITERS; i++) {
        test_thread_join(&threads[i]);
        CHECK_EQ_INT(crews[i].result, PL_ECANCELED);
    }
}

static void set_or_cancel(void *arg)
{
    crew *c = arg;
    test_gate_wait(&c->first->gate);
    c->wins = c->number % 3 == 0 ? pl_shared_future_cancel(c->shared)
                                 : pl_shared_future_set_result(c->shared, c->number) == PL_OK;
    pl_shared_future_unref(c->shared);
}

TEST_CASE(of_threads_that_race_to_finish_it_one_wins)
{
    enum { RACERS = 6 };
    (void)t;
    for (int round = 0; round < scaled(200); round++) {
        crew crews[RACERS] = {{.result = 0}};
        test_thread threads[RACERS];
        pl_shared_future *shared = new_shared();
        int winner = -1;
        REQUIRE(shared != NULL);
        test_gate_init(&crews[0].gate);
        for (int i = 0; i < RACERS; i++) {
            crews[i].shared = pl_shared_future_ref(shared);
            crews[i].number = i;
            crews[i].first = crews;
            REQUIRE(test_thread_start(&threads[i], set_or_cancel, &crews[i]));
        }
        test_gate_open(&crews[0].gate);
        for (int i = 0; i < RACERS; i++) {
            test_thread_join(&threads[i]);
            if (crews[i].wins) {
                CHECK_EQ_INT(winner, -1);
                winner = i;
            }
        }
        CHECK(winner >= 0);
        CHECK_EQ_INT(pl_shared_future_result(shared), winner % 3 == 0 ? PL_ECANCELED : winner);
        test_gate_destroy(&crews[0].gate);
        pl_shared_future_unref(shared);
    }
}

/* --- In a loop ---------------------------------------------------------------------------------------------------- */

static void wait_in_callback(void *arg)
{
    fixture *f = arg;
    pl_shared_future *shared = new_shared();
    note_code(f, pl_shared_future_wait(shared, PL_FOREVER));
    note_code(f, pl_shared_future_wait(shared, 0));
    note_code(f, pl_shared_future_await(shared));
    pl_shared_future_unref(shared);
}

TEST_CASE(a_blocking_wait_is_refused_where_a_loop_runs)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, wait_in_callback, &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "PL_ESTATE PL_ESTATE PL_ENOTASK ");
    fixture_close(&f);
}

static void unref_shared(void *arg)
{
    pl_shared_future_unref(arg);
}

TEST_CASE(an_error_that_nobody_looked_at_is_reported_to_the_loop_that_runs)
{
    fixture f;
    pl_shared_future *shared = new_shared();
    REQUIRE(shared != NULL);
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_shared_future_set_error(shared, PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, unref_shared, shared, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_REPORTS(&f, "PL_EIO ");
    CHECK(f.report_loop == f.loop);
    CHECK(strstr(f.report_message, "never looked at") != NULL);
    fixture_close(&f);
}

static void unref_all(void *arg)
{
    pl_shared_future **all = arg;
    for (int i = 0; i < 4; i++)
        pl_shared_future_unref(all[i]);
}

TEST_CASE(errors_that_were_seen_cancels_and_results_are_not_reported)
{
    fixture f;
    pl_shared_future *all[4] = {new_shared(), new_shared(), new_shared(), new_shared()};
    REQUIRE(all[0] && all[1] && all[2] && all[3]);
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_shared_future_set_error(all[0], PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_shared_future_result(all[0]), PL_EIO);
    CHECK_EQ_INT(pl_shared_future_set_error(all[1], PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(all[1], 0), PL_EIO);
    CHECK_EQ_INT(pl_shared_future_cancel(all[2]), 1);
    CHECK_EQ_INT(pl_shared_future_set_result(all[3], 3), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, unref_all, all, NULL), PL_OK);
    turn(&f, 1);
    fixture_close(&f);
}

/* What a task and another thread share. */
typedef struct pair {
    fixture *f;
    pl_shared_future *shared;
    test_gate gate;
    int drops;
    pl_remote *remote;
    pl_shared_future *second;
} pair;

static bool pair_open(pair *p, fixture *f, const test_context *t)
{
    memset(p, 0, sizeof *p);
    p->f = f;
    if (!fixture_open(f, t))
        return false;
    p->shared = new_shared();
    p->remote = pl_loop_remote(f->loop);
    test_gate_init(&p->gate);
    return CHECK(p->shared != NULL && p->remote != NULL) != 0;
}

static void pair_close(pair *p)
{
    if (p->f->loop)
        fixture_close(p->f);
    pl_shared_future_unref(p->shared);
    pl_remote_unref(p->remote);
    test_gate_destroy(&p->gate);
}

static int64_t await_shared(void *arg)
{
    pair *p = arg;
    return pl_shared_future_await(p->shared);
}

static int64_t await_shared_and_sleep(void *arg)
{
    pair *p = arg;
    note(p->f, "await");
    note_code(p->f, pl_shared_future_await(p->shared));
    note_code(p->f, pl_yield());
    return 1;
}

static void pair_set(void *arg)
{
    pair *p = arg;
    test_gate_wait(&p->gate);
    CHECK_EQ_INT(pl_shared_future_set_result(p->shared, 11), PL_OK);
}

static void open_gate(void *arg)
{
    pair *p = arg;
    test_gate_open(&p->gate);
}

TEST_CASE(a_task_that_awaits_goes_on_when_another_thread_sets_the_result)
{
    fixture f;
    pair p;
    test_thread thread;
    pl_task *task;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(test_thread_start(&thread, pair_set, &p));
    task = start_task(&f, await_shared, &p);
    turn(&f, 1); /* it waits */
    CHECK_EQ_INT(pl_call_soon(f.loop, open_gate, &p, NULL), PL_OK);
    CHECK_EQ_INT(finish_task(&f, task), 11);
    pl_task_unref(task);
    test_thread_join(&thread);
    pair_close(&p);
}

TEST_CASE(awaiting_one_that_is_done_does_not_wait)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_shared_future_set_error(p.shared, PL_EIO), PL_OK);
    f.tasks[0] = start_task(&f, await_shared, &p);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_result(pl_task_future(f.tasks[0])), PL_EIO);
    pair_close(&p);
}

TEST_CASE(a_task_that_is_cancelled_cancels_the_shared_future_it_awaits)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    f.tasks[0] = start_task(&f, await_shared, &p);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_shared_future_state(p.shared), PL_CANCELLED);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    CHECK_EQ_INT(pl_task_cancelling(f.tasks[0]), 1);
    pair_close(&p);
}

TEST_CASE(a_result_that_crosses_while_its_waiter_is_cancelled_arrives_and_the_cancel_comes_next)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    f.tasks[0] = start_task(&f, await_shared_and_sleep, &p);
    turn(&f, 1);
    CHECK_EQ_INT(pl_shared_future_set_result(p.shared, 4), PL_OK); /* on its way to the loop */
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "await 4 PL_ECANCELED ");
    pair_close(&p);
}

TEST_CASE(a_cancelled_scope_still_gets_the_result_of_one_that_is_done)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_shared_future_set_result(p.shared, 4), PL_OK);
    f.tasks[0] = start_task(&f, await_shared_and_sleep, &p);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 1);
    EXPECT_TRACE(&f, "await 4 PL_OK ");
    pair_close(&p);
}

TEST_CASE(closing_the_loop_cancels_what_its_tasks_await)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    f.tasks[0] = start_task(&f, await_shared, &p);
    turn(&f, 1);
    fixture_close(&f);
    CHECK_EQ_INT(pl_shared_future_state(p.shared), PL_CANCELLED);
    pair_close(&p);
}

TEST_CASE(waiting_and_telling_need_no_memory)
{
    fixture f;
    pair p;
    allocation a;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_future_from_shared(&f.futures[0], p.shared, f.loop), PL_OK);
    f.tasks[0] = start_task(&f, await_shared, &p);
    turn(&f, 1);
    a.fail_at = a.calls + 1;
    a.fail_forever = true;
    CHECK_EQ_INT(pl_shared_future_set_result(p.shared, 6), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 6);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), 6);
    CHECK_EQ_INT(a.failed, 0);
    a.fail_at = 0;
    pair_close(&p);
    allocation_end(&a);
}

/* --- A loop's future that follows --------------------------------------------------------------------------------- */

static bool follow(pair *p, int slot)
{
    return CHECK_EQ_INT(pl_future_from_shared(&p->f->futures[slot], p->shared, p->f->loop), PL_OK) != 0;
}

TEST_CASE(a_following_future_gets_the_result_of_another_thread)
{
    fixture f;
    pair p;
    test_thread thread;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    REQUIRE(test_thread_start(&thread, pair_set, &p));
    test_gate_open(&p.gate);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), 11);
    test_thread_join(&thread);
    pair_close(&p);
}

TEST_CASE(the_completion_crosses_by_a_post_and_never_inline)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    CHECK_EQ_INT(pl_shared_future_set_result(p.shared, 1), PL_OK);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_PENDING);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), 1);
    pair_close(&p);
}

TEST_CASE(following_one_that_is_done_makes_a_future_that_is_done)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_shared_future_set_error(p.shared, PL_EOF), PL_OK);
    REQUIRE(follow(&p, 0));
    CHECK_EQ_INT(pl_future_result(f.futures[0]), PL_EOF);
    pair_close(&p);
}

/* test_wrap_future_cancel */
TEST_CASE(cancelling_the_following_future_cancels_the_shared_one)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    CHECK_EQ_INT(pl_future_cancel(f.futures[0]), 1);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_CANCELLED);
    CHECK_EQ_INT(pl_shared_future_state(p.shared), PL_CANCELLED);
    turn(&f, 2);
    pair_close(&p);
}

/* test_wrap_future_cancel2 */
TEST_CASE(cancelling_the_following_future_while_the_result_crosses_leaves_that_to_the_shared_one)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    CHECK_EQ_INT(pl_shared_future_set_result(p.shared, 42), PL_OK);
    CHECK_EQ_INT(pl_future_cancel(f.futures[0]), 1);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), PL_ECANCELED);
    CHECK_EQ_INT(pl_shared_future_result(p.shared), 42);
    turn(&f, 2);
    CHECK_EQ_INT(pl_future_result(f.futures[0]), PL_ECANCELED);
    pair_close(&p);
}

TEST_CASE(cancelling_the_shared_future_cancels_those_that_follow)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    REQUIRE(follow(&p, 1));
    CHECK_EQ_INT(pl_shared_future_cancel(p.shared), 1);
    turn(&f, 1);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_CANCELLED);
    CHECK_EQ_INT(pl_future_state(f.futures[1]), PL_CANCELLED);
    pair_close(&p);
}

TEST_CASE(a_pointer_crosses_to_the_first_that_follows)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    REQUIRE(follow(&p, 1));
    CHECK_EQ_INT(pl_shared_future_set_pointer(p.shared, &p.drops, count_drop), PL_OK);
    turn(&f, 1);
    CHECK(pl_future_take_pointer(f.futures[0]) == &p.drops);
    CHECK(pl_future_take_pointer(f.futures[1]) == NULL);
    CHECK(pl_shared_future_take_pointer(p.shared) == NULL);
    CHECK_EQ_INT(p.drops, 0);
    pair_close(&p);
}

TEST_CASE(a_pointer_that_crossed_and_was_not_taken_is_dropped_with_the_future)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    CHECK_EQ_INT(pl_shared_future_set_pointer(p.shared, &p.drops, count_drop), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(p.drops, 0);
    drop_future(&f, 0);
    CHECK_EQ_INT(p.drops, 1);
    pair_close(&p);
    CHECK_EQ_INT(p.drops, 1);
}

TEST_CASE(the_error_that_crossed_is_reported_by_the_future_if_nobody_sees_it)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    CHECK_EQ_INT(pl_shared_future_set_error(p.shared, PL_EIO), PL_OK);
    turn(&f, 1);
    EXPECT_REPORTS(&f, "");
    drop_future(&f, 0);
    EXPECT_REPORTS(&f, "PL_EIO ");
    pair_close(&p);
}

TEST_CASE(a_following_future_may_be_let_go_before_the_result)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    drop_future(&f, 0);
    CHECK_EQ_INT(pl_shared_future_state(p.shared), PL_PENDING);
    CHECK_EQ_INT(pl_shared_future_set_result(p.shared, 1), PL_OK);
    turn(&f, 1);
    pair_close(&p);
}

TEST_CASE(a_following_future_may_be_let_go_while_the_result_crosses)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    CHECK_EQ_INT(pl_shared_future_set_result(p.shared, 1), PL_OK);
    drop_future(&f, 0);
    turn(&f, 1);
    pair_close(&p);
}

TEST_CASE(a_completion_toward_a_closed_loop_is_dropped_silently)
{
    fixture f;
    pair p;
    pl_future *late, *crossing;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_future_from_shared(&late, p.shared, f.loop), PL_OK);
    p.second = new_shared();
    CHECK_EQ_INT(pl_future_from_shared(&crossing, p.second, f.loop), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(pl_shared_future_set_error(p.second, PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_shared_future_result(p.second), PL_EIO);
    fixture_close(&f);
    CHECK_EQ_INT(pl_shared_future_set_error(p.shared, PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_shared_future_result(p.shared), PL_EIO);
    CHECK_EQ_INT(pl_future_state(late), PL_PENDING);
    CHECK_EQ_INT(pl_future_state(crossing), PL_PENDING);
    pl_future_unref(late);
    pl_future_unref(crossing);
    pl_shared_future_unref(p.second);
    pair_close(&p);
}

TEST_CASE(what_cannot_be_followed_is_refused)
{
    fixture f;
    pair p;
    pl_future *future = NULL;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_future_from_shared(NULL, p.shared, f.loop), PL_EINVAL);
    CHECK_EQ_INT(pl_future_from_shared(&future, NULL, f.loop), PL_EINVAL);
    CHECK_EQ_INT(pl_future_from_shared(&future, p.shared, NULL), PL_ENOLOOP);
    CHECK(future == NULL);
    pair_close(&p);
}

static void follow_from_elsewhere(void *arg)
{
    pair *p = arg;
    pl_future *future = NULL;
    CHECK_EQ_INT(pl_future_from_shared(&future, p->shared, p->f->loop), PL_ETHREAD);
    CHECK(future == NULL);
}

TEST_CASE(in_debug_mode_a_following_future_is_made_on_the_loops_thread)
{
    fixture f;
    pair p = {.f = &f};
    REQUIRE(fixture_open_debug(&f, t));
    p.shared = new_shared();
    turn(&f, 1); /* the loop is bound to this thread */
    REQUIRE(test_in_thread(follow_from_elsewhere, &p));
    pl_shared_future_unref(p.shared);
    fixture_close(&f);
}

TEST_CASE(a_closed_loop_follows_nothing)
{
    fixture f;
    pair p;
    pl_future *held, *future = NULL;
    pl_loop *loop;
    REQUIRE(pair_open(&p, &f, t));
    loop = f.loop;
    CHECK_EQ_INT(pl_future_create(&held, loop), PL_OK); /* keeps the loop's memory */
    fixture_close(&f);
    CHECK_EQ_INT(pl_future_from_shared(&future, p.shared, loop), PL_ECLOSED);
    CHECK(future == NULL);
    pl_future_unref(held);
    pair_close(&p);
}

TEST_CASE(no_memory_for_a_shared_future_or_one_that_follows)
{
    fixture f;
    pair p;
    allocation a;
    pl_shared_future *shared = NULL;
    pl_future *future = NULL;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE(pair_open(&p, &f, t));
    a.fail_at = a.calls + 1;
    CHECK_EQ_INT(pl_shared_future_create(&shared), PL_ENOMEM);
    CHECK(shared == NULL);
    a.fail_at = a.calls + 1;
    CHECK_EQ_INT(pl_future_from_shared(&future, p.shared, f.loop), PL_ENOMEM);
    CHECK(future == NULL);
    a.fail_at = 0;
    pair_close(&p);
    allocation_end(&a);
}

static int64_t await_follower(void *arg)
{
    pair *p = arg;
    return pl_await(p->f->futures[0]);
}

static void cancel_shared(void *arg)
{
    pair *p = arg;
    test_gate_wait(&p->gate);
    (void)pl_shared_future_cancel(p->shared);
}

TEST_CASE(a_cancel_from_another_thread_reaches_the_task_that_awaits_the_following_future)
{
    fixture f;
    pair p;
    test_thread thread;
    REQUIRE(pair_open(&p, &f, t));
    REQUIRE(follow(&p, 0));
    REQUIRE(test_thread_start(&thread, cancel_shared, &p));
    f.tasks[0] = start_task(&f, await_follower, &p);
    turn(&f, 1);
    test_gate_open(&p.gate);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    test_thread_join(&thread);
    pair_close(&p);
}

static void race_set(void *arg)
{
    pair *p = arg;
    test_gate_wait(&p->gate);
    (void)pl_shared_future_set_result(p->shared, 9);
}

TEST_CASE(a_set_that_races_with_the_cancel_of_the_waiter_has_one_answer)
{
    for (int i = 0; i < scaled(200); i++) {
        fixture f;
        pair p;
        test_thread thread;
        int64_t result;
        REQUIRE(pair_open(&p, &f, t));
        REQUIRE(follow(&p, 0));
        f.tasks[0] = start_task(&f, await_shared, &p);
        turn(&f, 1);
        REQUIRE(test_thread_start(&thread, race_set, &p));
        test_gate_open(&p.gate);
        CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
        result = finish_task(&f, f.tasks[0]);
        test_thread_join(&thread);
        /* A result that came first is returned, and the task ends with the cancel that no wait delivered. */
        CHECK_EQ_INT(result, PL_ECANCELED);
        CHECK(pl_shared_future_result(p.shared) == 9 || pl_shared_future_result(p.shared) == PL_ECANCELED);
        turn(&f, 1);
        CHECK_EQ_INT(pl_future_result(f.futures[0]), pl_shared_future_result(p.shared));
        pair_close(&p);
    }
}

/* --- Tasks from other threads ------------------------------------------------------------------------------------- */

typedef struct caller {
    pair *p;
    pl_task_fn *fn;
    int64_t submitted;
    int64_t result;
    bool cancel; /* once its task has opened the gate */
    test_gate begun;
} caller;

static void stop_loop_soon(void *arg)
{
    CHECK_EQ_INT(pl_loop_stop(arg), PL_OK);
}

/* Calls, waits, stops the loop. */
static void call_task(void *arg)
{
    caller *c = arg;
    pl_shared_future *shared = NULL;
    c->submitted = pl_run_threadsafe(c->p->remote, &shared, c->fn, c, count_drop);
    if (c->cancel) {
        test_gate_wait(&c->begun);
        CHECK_EQ_INT(pl_shared_future_cancel(shared), 1);
        (void)pl_shared_future_cancel(shared);
    }
    c->result = pl_shared_future_wait(shared, PL_FOREVER);
    CHECK_EQ_INT(pl_shared_future_set_result(shared, 1), PL_ESTATE);
    pl_shared_future_unref(shared);
    CHECK_EQ_INT(pl_call_soon_threadsafe(c->p->remote, stop_loop_soon, c->p->f->loop, NULL), PL_OK);
}

static void run_caller(caller *c, const test_context *t)
{
    fixture f;
    pair p;
    test_thread thread;
    REQUIRE(pair_open(&p, &f, t));
    c->p = &p;
    test_gate_init(&c->begun);
    REQUIRE(test_thread_start(&thread, call_task, c));
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    test_thread_join(&thread);
    CHECK_EQ_INT(c->submitted, PL_OK);
    test_gate_destroy(&c->begun);
    pair_close(&p);
}

static int64_t add_in_loop(void *arg)
{
    caller *c = arg;
    CHECK(pl_loop_running() == c->p->f->loop);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 1 + 2;
}

/* test_run_coroutine_threadsafe */
TEST_CASE(a_task_run_for_another_thread_gives_it_its_result)
{
    caller c = {.fn = add_in_loop};
    run_caller(&c, t);
    CHECK_EQ_INT(c.result, 3);
}

static int64_t fail_in_loop(void *arg)
{
    (void)arg;
    return pl_yield() == PL_OK ? PL_EBROKEN : PL_ECANCELED;
}

/* test_run_coroutine_threadsafe_with_exception */
TEST_CASE(its_error_crosses_and_is_not_reported_in_the_loop)
{
    caller c = {.fn = fail_in_loop};
    run_caller(&c, t);
    CHECK_EQ_INT(c.result, PL_EBROKEN);
}

static int64_t wait_to_be_cancelled(void *arg)
{
    caller *c = arg;
    test_gate_open(&c->begun);
    note_code(c->p->f, pl_sleep(PL_FOREVER));
    return PL_ECANCELED;
}

/* test_run_coroutine_threadsafe_with_timeout, from the side that gives up */
TEST_CASE(cancelling_it_from_the_other_thread_cancels_the_task)
{
    caller c = {.fn = wait_to_be_cancelled, .cancel = true};
    run_caller(&c, t);
    CHECK_EQ_INT(c.result, PL_ECANCELED);
}

static int64_t swallow_cancel(void *arg)
{
    caller *c = arg;
    test_gate_open(&c->begun);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 8;
}

TEST_CASE(a_task_that_goes_on_after_the_cancel_answers_with_its_result)
{
    caller c = {.fn = swallow_cancel, .cancel = true};
    run_caller(&c, t);
    CHECK_EQ_INT(c.result, 8);
}

static void drop_pair(void *arg)
{
    ((pair *)arg)->drops++;
}

static int64_t sleep_twice(void *arg)
{
    pair *p = arg;
    note_code(p->f, pl_sleep(PL_FOREVER));
    note_code(p->f, pl_sleep(PL_FOREVER));
    return PL_ECANCELED;
}

TEST_CASE(a_cancel_crosses_once_however_often_it_is_asked_for)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, &p.second, sleep_twice, &p, drop_pair), PL_OK);
    turn(&f, 2);
    CHECK_EQ_INT(pl_shared_future_cancel(p.second), 1);
    turn(&f, 3);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    CHECK_EQ_INT(pl_shared_future_cancel(p.second), 1);
    turn(&f, 3);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_shared_future_state(p.second), PL_PENDING);
    pl_shared_future_unref(p.second);
    pair_close(&p);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
}

static int64_t cancel_itself(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1);
    return 5;
}

/* test_run_coroutine_threadsafe_task_cancelled; and a cancel that no wait delivered makes the task a cancelled one. */
TEST_CASE(a_task_that_was_cancelled_in_its_loop_is_cancelled_for_the_other_thread)
{
    caller c = {.fn = cancel_itself};
    run_caller(&c, t);
    CHECK_EQ_INT(c.result, PL_ECANCELED);
}

static int64_t note_and_return(void *arg)
{
    note(((pair *)arg)->f, "ran");
    return 2;
}

TEST_CASE(a_task_cancelled_before_it_began_never_runs_and_drops_its_argument_in_the_loop)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, &p.second, note_and_return, &p, drop_pair), PL_OK);
    CHECK_EQ_INT(pl_shared_future_cancel(p.second), 1);
    CHECK_EQ_INT(pl_shared_future_result(p.second), PL_ECANCELED);
    CHECK_EQ_INT(pl_shared_future_cancel(p.second), 0);
    CHECK_EQ_INT(p.drops, 0);
    turn(&f, 2);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(p.drops, 1);
    pl_shared_future_unref(p.second);
    pair_close(&p);
}

TEST_CASE(a_task_that_the_close_finds_before_its_first_step_drops_its_argument)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, &p.second, note_and_return, &p, drop_pair), PL_OK);
    turn(&f, 1); /* spawned */
    CHECK_EQ_INT(p.drops, 0);
    fixture_close(&f);
    CHECK_EQ_INT(p.drops, 1);
    CHECK_EQ_INT(pl_shared_future_result(p.second), PL_ECANCELED);
    EXPECT_TRACE(&f, "");
    pl_shared_future_unref(p.second);
    pair_close(&p);
}

TEST_CASE(nobody_need_want_the_result)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, NULL, note_and_return, &p, drop_pair), PL_OK);
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, NULL, fail_in_loop, &p, drop_pair), PL_OK);
    turn(&f, 3);
    EXPECT_TRACE(&f, "ran ");
    CHECK_EQ_INT(p.drops, 0);
    EXPECT_REPORTS(&f, "PL_EBROKEN "); /* an error that nobody could look at */
    pair_close(&p);
}

TEST_CASE(calls_that_cannot_be_made_drop_the_argument_and_give_no_shared_future)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    p.second = p.shared;
    CHECK_EQ_INT(pl_run_threadsafe(NULL, &p.second, note_and_return, &p, drop_pair), PL_EINVAL);
    CHECK(p.second == NULL);
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, &p.second, NULL, &p, drop_pair), PL_EINVAL);
    CHECK_EQ_INT(p.drops, 2);
    fixture_close(&f);
    p.second = p.shared;
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, &p.second, note_and_return, &p, drop_pair), PL_ECLOSED);
    CHECK(p.second == NULL);
    CHECK_EQ_INT(p.drops, 3);
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, NULL, note_and_return, &p, NULL), PL_ECLOSED);
    pair_close(&p);
}

TEST_CASE(a_task_that_the_loops_close_overtakes_is_dropped_and_says_closed)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    turn(&f, 1);
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, &p.second, note_and_return, &p, drop_pair), PL_OK);
    fixture_close(&f);
    CHECK_EQ_INT(p.drops, 1);
    CHECK_EQ_INT(pl_shared_future_wait(p.second, PL_FOREVER), PL_ECLOSED);
    EXPECT_TRACE(&f, "");
    pl_shared_future_unref(p.second);
    pair_close(&p);
}

static int64_t sleep_forever(void *arg)
{
    pair *p = arg;
    note_code(p->f, pl_sleep(PL_FOREVER));
    return PL_ECANCELED;
}

TEST_CASE(closing_the_loop_cancels_the_tasks_of_other_threads_and_tells_them)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(pl_run_threadsafe(p.remote, &p.second, sleep_forever, &p, drop_pair), PL_OK);
    turn(&f, 2); /* it sleeps */
    fixture_close(&f);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
    CHECK_EQ_INT(pl_shared_future_wait(p.second, PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(p.drops, 0);
    pl_shared_future_unref(p.second);
    pair_close(&p);
}

TEST_CASE(a_failing_spawn_reaches_the_caller_by_the_shared_future)
{
    fixture f;
    pair p;
    allocation a;
    int64_t seen = 0;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    for (int n = 1; n < 20 && seen != 2; n++) {
        REQUIRE(pair_open(&p, &f, t));
        a.fail_at = a.calls + n;
        a.fail_forever = true;
        int rc = pl_run_threadsafe(p.remote, &p.second, note_and_return, &p, drop_pair);
        if (rc == PL_OK) {
            turn(&f, 3);
            seen = pl_shared_future_result(p.second);
            CHECK(seen == PL_ENOMEM || seen == 2);
        } else {
            CHECK_EQ_INT(rc, PL_ENOMEM);
            CHECK(p.second == NULL);
        }
        a.fail_at = 0;
        CHECK_EQ_INT(p.drops, seen == 2 ? 0 : 1);
        pl_shared_future_unref(p.second);
        pair_close(&p);
    }
    CHECK_EQ_INT(seen, 2); /* and before that every allocation has failed */
    allocation_end(&a);
}

static int64_t submit_and_await(void *arg)
{
    pair *p = arg;
    int64_t result;
    CHECK_EQ_INT(pl_run_threadsafe(p->remote, &p->second, note_and_return, p, drop_pair), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(p->second, PL_FOREVER), PL_ESTATE); /* it would wait for itself */
    result = pl_shared_future_await(p->second);
    pl_shared_future_unref(p->second);
    return result;
}

TEST_CASE(a_loops_own_task_may_run_and_await_one)
{
    fixture f;
    pair p;
    REQUIRE(pair_open(&p, &f, t));
    CHECK_EQ_INT(run_task(&f, submit_and_await, &p), 2);
    pair_close(&p);
}

typedef struct swarm {
    pair *p;
    int *left;
    int count;
    test_gate *gate;
    int64_t sum;
} swarm;

static int64_t one_more(void *arg)
{
    (void)arg;
    return pl_yield() == PL_OK ? 1 : PL_ECANCELED;
}

/* Cancels every third of its tasks: whatever that meets, each call has one end. */
static void swarm_thread(void *arg)
{
    swarm *s = arg;
    test_gate_wait(s->gate);
    for (int i = 0; i < s->count; i++) {
        pl_shared_future *shared = NULL;
        int64_t result;
        REQUIRE_EQ_INT(pl_run_threadsafe(s->p->remote, &shared, one_more, s, NULL), PL_OK);
        if (i % 3 == 0)
            (void)pl_shared_future_cancel(shared);
        result = pl_shared_future_wait(shared, PL_FOREVER);
        CHECK(result == 1 || (i % 3 == 0 && result == PL_ECANCELED));
        s->sum++;
        pl_shared_future_unref(shared);
    }
}

static void stop_after_swarm(void *arg)
{
    swarm *s = arg;
    if (--*s->left == 0)
        CHECK_EQ_INT(pl_loop_stop(s->p->f->loop), PL_OK);
}

static void swarm_and_stop(void *arg)
{
    swarm *s = arg;
    swarm_thread(s);
    CHECK_EQ_INT(pl_call_soon_threadsafe(s->p->remote, stop_after_swarm, s, NULL), PL_OK);
}

TEST_CASE(tasks_of_many_threads_some_cancelled_on_their_way_all_end_once)
{
    enum { THREADS = 4 };
    fixture f;
    pair p;
    test_thread threads[THREADS];
    swarm swarms[THREADS];
    int left = THREADS;
    const int count = scaled(500);
    REQUIRE(pair_open(&p, &f, t));
    for (int i = 0; i < THREADS; i++) {
        swarms[i] = (swarm){&p, &left, count, &p.gate, 0};
        REQUIRE(test_thread_start(&threads[i], swarm_and_stop, &swarms[i]));
    }
    test_gate_open(&p.gate);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    for (int i = 0; i < THREADS; i++) {
        test_thread_join(&threads[i]);
        CHECK_EQ_INT(swarms[i].sum, count);
    }
    pair_close(&p);
}

TEST_SUITE(
    shared_future, TEST_BACKENDS_ALL, CASE(a_shared_future_is_pending_until_it_is_set),
    CASE(a_shared_future_is_set_once), CASE(what_cannot_be_a_result_is_refused), CASE(a_plain_one_is_cancelled_at_once),
    CASE(the_error_ecanceled_makes_it_cancelled), CASE(a_pointer_is_taken_once_or_dropped_once),
    CASE(a_wait_ends_when_another_thread_sets_the_result), CASE(all_threads_that_wait_get_the_result),
    CASE(of_threads_that_race_to_finish_it_one_wins), CASE(a_blocking_wait_is_refused_where_a_loop_runs),
    CASE(an_error_that_nobody_looked_at_is_reported_to_the_loop_that_runs),
    CASE(errors_that_were_seen_cancels_and_results_are_not_reported),
    CASE(a_task_that_awaits_goes_on_when_another_thread_sets_the_result), CASE(awaiting_one_that_is_done_does_not_wait),
    CASE(a_task_that_is_cancelled_cancels_the_shared_future_it_awaits),
    CASE(a_result_that_crosses_while_its_waiter_is_cancelled_arrives_and_the_cancel_comes_next),
    CASE(a_cancelled_scope_still_gets_the_result_of_one_that_is_done),
    CASE(closing_the_loop_cancels_what_its_tasks_await), CASE(waiting_and_telling_need_no_memory),
    CASE(a_following_future_gets_the_result_of_another_thread), CASE(the_completion_crosses_by_a_post_and_never_inline),
    CASE(following_one_that_is_done_makes_a_future_that_is_done),
    CASE(cancelling_the_following_future_cancels_the_shared_one),
    CASE(cancelling_the_following_future_while_the_result_crosses_leaves_that_to_the_shared_one),
    CASE(cancelling_the_shared_future_cancels_those_that_follow), CASE(a_pointer_crosses_to_the_first_that_follows),
    CASE(a_pointer_that_crossed_and_was_not_taken_is_dropped_with_the_future),
    CASE(the_error_that_crossed_is_reported_by_the_future_if_nobody_sees_it),
    CASE(a_following_future_may_be_let_go_before_the_result),
    CASE(a_following_future_may_be_let_go_while_the_result_crosses),
    CASE(a_completion_toward_a_closed_loop_is_dropped_silently), CASE(what_cannot_be_followed_is_refused),
    CASE(in_debug_mode_a_following_future_is_made_on_the_loops_thread), CASE(a_closed_loop_follows_nothing),
    CASE(no_memory_for_a_shared_future_or_one_that_follows),
    CASE(a_cancel_from_another_thread_reaches_the_task_that_awaits_the_following_future),
    CASE(a_set_that_races_with_the_cancel_of_the_waiter_has_one_answer),
    CASE(a_task_run_for_another_thread_gives_it_its_result), CASE(its_error_crosses_and_is_not_reported_in_the_loop),
    CASE(cancelling_it_from_the_other_thread_cancels_the_task),
    CASE(a_task_that_goes_on_after_the_cancel_answers_with_its_result),
    CASE(a_cancel_crosses_once_however_often_it_is_asked_for),
    CASE(a_task_that_was_cancelled_in_its_loop_is_cancelled_for_the_other_thread),
    CASE(a_task_cancelled_before_it_began_never_runs_and_drops_its_argument_in_the_loop),
    CASE(a_task_that_the_close_finds_before_its_first_step_drops_its_argument), CASE(nobody_need_want_the_result),
    CASE(calls_that_cannot_be_made_drop_the_argument_and_give_no_shared_future),
    CASE(a_task_that_the_loops_close_overtakes_is_dropped_and_says_closed),
    CASE(closing_the_loop_cancels_the_tasks_of_other_threads_and_tells_them),
    CASE(a_failing_spawn_reaches_the_caller_by_the_shared_future), CASE(a_loops_own_task_may_run_and_await_one),
    CASE(tasks_of_many_threads_some_cancelled_on_their_way_all_end_once))
