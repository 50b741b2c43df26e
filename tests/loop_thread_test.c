/* Loops in threads of their own, beside a host that blocks. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "threads.h"

static pl_loop_thread *new_thread(const test_context *t)
{
    pl_loop_thread *thread = NULL;
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_loop_thread_options options = {.size = sizeof options, .loop = &loop, .name = "test"};
    CHECK_EQ_INT(pl_loop_thread_start(&thread, &options), PL_OK);
    return thread;
}

static void end_thread(pl_loop_thread *thread)
{
    CHECK_EQ_INT(pl_loop_thread_stop(thread), PL_OK);
    CHECK_EQ_INT(pl_loop_thread_join(thread), PL_OK);
}

static int64_t call(pl_loop_thread *thread, pl_task_fn *fn, void *arg)
{
    pl_shared_future *shared = NULL;
    int64_t result = pl_loop_thread_submit(thread, &shared, fn, arg, NULL);
    if (result == PL_OK)
        result = pl_shared_future_wait(shared, PL_FOREVER);
    pl_shared_future_unref(shared);
    return result;
}

static int64_t look_around(void *arg)
{
    const char **backend = arg;
    *backend = pl_loop_backend(pl_loop_running());
    return pl_sleep(PL_MS(1)) == PL_OK ? 17 : PL_ECANCELED;
}

TEST_CASE(a_host_that_blocks_has_tasks_run_beside_it)
{
    const char *backend = NULL;
    pl_loop_thread *thread = new_thread(t);
    REQUIRE(thread != NULL);
    CHECK(pl_loop_running() == NULL);
    CHECK_EQ_INT(call(thread, look_around, (void *)&backend), 17);
    CHECK_STR(backend, t->backend);
    CHECK_EQ_INT(call(thread, look_around, (void *)&backend), 17);
    end_thread(thread);
}

TEST_CASE(a_loop_thread_starts_and_stops_without_work)
{
    pl_loop_thread *thread = NULL;
    (void)t;
    CHECK_EQ_INT(pl_loop_thread_start(&thread, NULL), PL_OK);
    CHECK_EQ_INT(pl_loop_thread_stop(thread), PL_OK);
    CHECK_EQ_INT(pl_loop_thread_stop(thread), PL_OK); /* again: nothing more */
    CHECK_EQ_INT(pl_loop_thread_join(thread), PL_OK);
    CHECK_EQ_INT(pl_loop_thread_join(NULL), PL_OK);
}

typedef struct guest {
    test_gate begun;
    test_gate go;
    int64_t woken;
    int cleaned;
    int drops;
    pl_loop_thread *thread;
    pl_loop_thread *other;
} guest;

static int64_t sleep_and_clean(void *arg)
{
    guest *g = arg;
    pl_shielded cleaning = {0};
    test_gate_open(&g->begun);
    g->woken = pl_sleep(PL_FOREVER);
    CHECK_EQ_INT(pl_shielded_begin(&cleaning), PL_OK);
    g->cleaned = pl_yield() == PL_OK;
    pl_shielded_end(&cleaning);
    return g->woken;
}

static void drop_guest(void *arg)
{
    ((guest *)arg)->drops++;
}

TEST_CASE(stopping_cancels_its_tasks_which_may_clean_up)
{
    guest g = {.woken = 0};
    pl_shared_future *shared = NULL;
    pl_loop_thread *thread = new_thread(t);
    REQUIRE(thread != NULL);
    test_gate_init(&g.begun);
    CHECK_EQ_INT(pl_loop_thread_submit(thread, &shared, sleep_and_clean, &g, drop_guest), PL_OK);
    test_gate_wait(&g.begun);
    CHECK_EQ_INT(pl_loop_thread_stop(thread), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(shared, PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_loop_thread_join(thread), PL_OK);
    CHECK_EQ_INT(g.woken, PL_ECANCELED);
    CHECK_EQ_INT(g.cleaned, 1);
    CHECK_EQ_INT(g.drops, 0);
    pl_shared_future_unref(shared);
    test_gate_destroy(&g.begun);
}

TEST_CASE(what_is_handed_to_a_stopped_one_is_dropped)
{
    guest g = {.woken = 0};
    pl_shared_future *shared = NULL;
    pl_remote *remote;
    pl_loop_thread *thread = new_thread(t);
    REQUIRE(thread != NULL);
    remote = pl_loop_thread_remote(thread);
    REQUIRE(remote != NULL);
    end_thread(thread);
    CHECK_EQ_INT(pl_run_threadsafe(remote, &shared, sleep_and_clean, &g, drop_guest), PL_ECLOSED);
    CHECK(shared == NULL);
    CHECK_EQ_INT(g.drops, 1);
    pl_remote_unref(remote);
}

static int64_t stop_own_thread(void *arg)
{
    guest *g = arg;
    test_gate_wait(&g->go);                                  /* until the host has stored the thread */
    CHECK_EQ_INT(pl_loop_thread_join(g->thread), PL_ESTATE); /* it would wait for itself */
    CHECK_EQ_INT(pl_loop_thread_stop(g->thread), PL_OK);
    return pl_sleep(PL_FOREVER);
}

TEST_CASE(a_task_may_stop_its_own_loop_thread_but_not_join_it)
{
    guest g = {.woken = 0};
    pl_shared_future *shared = NULL;
    test_gate_init(&g.go);
    g.thread = new_thread(t);
    REQUIRE(g.thread != NULL);
    CHECK_EQ_INT(pl_loop_thread_submit(g.thread, &shared, stop_own_thread, &g, NULL), PL_OK);
    test_gate_open(&g.go);
    CHECK_EQ_INT(pl_loop_thread_join(g.thread), PL_OK);
    CHECK_EQ_INT(pl_shared_future_wait(shared, 0), PL_ECANCELED);
    pl_shared_future_unref(shared);
    test_gate_destroy(&g.go);
}

static int64_t stop_loop_itself(void *arg)
{
    (void)arg;
    return pl_loop_stop(pl_loop_running());
}

TEST_CASE(a_task_may_end_it_by_stopping_the_loop)
{
    pl_loop_thread *thread = new_thread(t);
    REQUIRE(thread != NULL);
    CHECK_EQ_INT(pl_loop_thread_submit(thread, NULL, stop_loop_itself, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_loop_thread_join(thread), PL_OK);
}

static int64_t double_it(void *arg)
{
    int64_t *number = arg;
    int64_t twice = *number * 2;
    return pl_yield() == PL_OK ? twice : PL_ECANCELED;
}

/* Hands a part of the work to another loop's thread and awaits it there. */
static int64_t double_elsewhere(void *arg)
{
    guest *g = arg;
    int64_t sum = 0;
    for (int64_t i = 0; i < 50 && sum >= 0; i++) {
        pl_shared_future *shared = NULL;
        int64_t result = pl_loop_thread_submit(g->other, &shared, double_it, &i, NULL);
        if (result == PL_OK)
            result = pl_shared_future_await(shared);
        pl_shared_future_unref(shared);
        sum = result < 0 ? result : sum + result;
    }
    return sum;
}

TEST_CASE(several_hand_work_to_one_another)
{
    enum { THREADS = 3 };
    pl_loop_thread *threads[THREADS];
    pl_shared_future *shared[THREADS];
    guest guests[THREADS] = {{.woken = 0}};
    for (int i = 0; i < THREADS; i++) {
        threads[i] = new_thread(t);
        REQUIRE(threads[i] != NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        guests[i].other = threads[(i + 1) % THREADS];
        CHECK_EQ_INT(pl_loop_thread_submit(threads[i], &shared[i], double_elsewhere, &guests[i], NULL), PL_OK);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK_EQ_INT(pl_shared_future_wait(shared[i], PL_FOREVER), 49 * 50);
        pl_shared_future_unref(shared[i]);
    }
    for (int i = 0; i < THREADS; i++)
        end_thread(threads[i]);
}

static int64_t sleep_elsewhere(void *arg)
{
    guest *g = arg;
    pl_shared_future *shared = NULL;
    int64_t result = pl_loop_thread_submit(g->other, &shared, sleep_and_clean, g, drop_guest);
    if (result == PL_OK)
        result = pl_shared_future_await(shared);
    pl_shared_future_unref(shared);
    return result;
}

TEST_CASE(a_cancel_goes_through_a_task_that_awaits_one_of_another_thread)
{
    guest g = {.woken = 0};
    pl_shared_future *shared = NULL;
    pl_loop_thread *thread = new_thread(t);
    g.other = new_thread(t);
    REQUIRE(thread != NULL && g.other != NULL);
    test_gate_init(&g.begun);
    CHECK_EQ_INT(pl_loop_thread_submit(thread, &shared, sleep_elsewhere, &g, NULL), PL_OK);
    test_gate_wait(&g.begun);
    CHECK_EQ_INT(pl_shared_future_cancel(shared), 1);
    CHECK_EQ_INT(pl_shared_future_wait(shared, PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(g.cleaned, 1); /* its end was waited for */
    pl_shared_future_unref(shared);
    end_thread(thread);
    end_thread(g.other);
    test_gate_destroy(&g.begun);
}

TEST_CASE(the_end_of_the_other_loop_ends_the_wait_for_its_task)
{
    guest g = {.woken = 0};
    pl_shared_future *shared = NULL;
    pl_loop_thread *thread = new_thread(t);
    g.other = new_thread(t);
    REQUIRE(thread != NULL && g.other != NULL);
    test_gate_init(&g.begun);
    CHECK_EQ_INT(pl_loop_thread_submit(thread, &shared, sleep_elsewhere, &g, NULL), PL_OK);
    test_gate_wait(&g.begun);
    end_thread(g.other);
    CHECK_EQ_INT(pl_shared_future_wait(shared, PL_FOREVER), PL_ECANCELED);
    pl_shared_future_unref(shared);
    end_thread(thread);
    test_gate_destroy(&g.begun);
}

static int64_t count_one(void *arg)
{
    (void)arg;
    return pl_yield() == PL_OK ? 1 : PL_ECANCELED;
}

TEST_CASE(a_stop_that_races_with_submits_answers_each)
{
    for (int round = 0; round < scaled(50); round++) {
        enum { TASKS = 20 };
        pl_shared_future *shared[TASKS] = {NULL};
        int drops = 0, refused = 0;
        guest guests[TASKS] = {{.woken = 0}};
        pl_loop_thread *thread = new_thread(t);
        REQUIRE(thread != NULL);
        for (int i = 0; i < TASKS; i++) {
            int rc;
            if (i == round % TASKS)
                CHECK_EQ_INT(pl_loop_thread_stop(thread), PL_OK);
            rc = pl_loop_thread_submit(thread, &shared[i], count_one, &guests[i], drop_guest);
            CHECK(rc == PL_OK || rc == PL_ECLOSED);
            refused += rc != PL_OK;
        }
        for (int i = 0; i < TASKS; i++) {
            int64_t result = shared[i] ? pl_shared_future_wait(shared[i], PL_FOREVER) : PL_ECLOSED;
            CHECK(result == 1 || result == PL_ECANCELED || result == PL_ECLOSED);
            pl_shared_future_unref(shared[i]);
        }
        CHECK_EQ_INT(pl_loop_thread_join(thread), PL_OK);
        for (int i = 0; i < TASKS; i++) {
            CHECK(guests[i].drops <= 1);
            drops += guests[i].drops;
        }
        CHECK(drops >= refused);
    }
}

TEST_CASE(what_cannot_be_started_is_refused)
{
    pl_loop_thread *thread = NULL;
    pl_loop_options loop = {.size = sizeof loop, .backend = "none"};
    pl_loop_thread_options options = {.size = 1};
    guest g = {.woken = 0};
    (void)t;
    CHECK_EQ_INT(pl_loop_thread_start(NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_loop_thread_start(&thread, &options), PL_EINVAL);
    options = (pl_loop_thread_options){.size = sizeof options, .loop = &loop};
    CHECK_EQ_INT(pl_loop_thread_start(&thread, &options), PL_EINVAL); /* no such backend */
    CHECK(thread == NULL);
    CHECK(pl_loop_thread_remote(NULL) == NULL);
    CHECK_EQ_INT(pl_loop_thread_submit(NULL, NULL, count_one, &g, drop_guest), PL_EINVAL);
    CHECK_EQ_INT(g.drops, 1);
    CHECK_EQ_INT(pl_loop_thread_stop(NULL), PL_EINVAL);
}

TEST_CASE(each_allocation_of_a_start_may_fail)
{
    int64_t n;
    int rc = PL_ENOMEM;
    for (n = 1; n < 100 && rc == PL_ENOMEM; n++) {
        allocation a;
        pl_loop_thread *thread = NULL;
        pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
        pl_loop_thread_options options = {.size = sizeof options, .loop = &loop};
        REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
        a.fail_at = n;
        rc = pl_loop_thread_start(&thread, &options);
        CHECK(rc == PL_OK || rc == PL_ENOMEM);
        CHECK((thread != NULL) == (rc == PL_OK));
        if (thread)
            end_thread(thread);
        allocation_end(&a);
    }
    CHECK_EQ_INT(rc, PL_OK);
    CHECK(n > 4);
}

TEST_SUITE(loop_thread, TEST_BACKENDS_ALL, CASE(a_host_that_blocks_has_tasks_run_beside_it),
           CASE(a_loop_thread_starts_and_stops_without_work), CASE(stopping_cancels_its_tasks_which_may_clean_up),
           CASE(what_is_handed_to_a_stopped_one_is_dropped), CASE(a_task_may_stop_its_own_loop_thread_but_not_join_it),
           CASE(a_task_may_end_it_by_stopping_the_loop), CASE(several_hand_work_to_one_another),
           CASE(a_cancel_goes_through_a_task_that_awaits_one_of_another_thread),
           CASE(the_end_of_the_other_loop_ends_the_wait_for_its_task),
           CASE(a_stop_that_races_with_submits_answers_each), CASE(what_cannot_be_started_is_refused),
           CASE(each_allocation_of_a_start_may_fail))
