/* What happens when there is no memory: each allocation of a scenario fails once, and alone, and all after it. Calls
 * then say PL_ENOMEM, or do without; nothing leaks, and each argument is used once or dropped once.
 */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"

enum { ARGS = 64 };

/* One argument that the library accepts: used once or dropped once. */
typedef struct counted {
    struct scenario *scenario;
    int uses;
    int drops;
} counted;

typedef struct scenario {
    pl_loop *loop;
    pl_remote *remote;
    counted args[ARGS];
    int used;     /* arguments handed to the library */
    bool failed;  /* a call said PL_ENOMEM */
    bool strange; /* a call said something else that it should not */
} scenario;

static counted *next_arg(scenario *s)
{
    counted *c = &s->args[s->used < ARGS ? s->used : 0];
    CHECK(s->used < ARGS);
    s->used++;
    c->scenario = s;
    return c;
}

static void drop(void *arg)
{
    counted *c = arg;
    c->drops++;
}

static void use(void *arg)
{
    counted *c = arg;
    c->uses++;
}

/* Notes what a call said. Whether it went well. */
static bool went_well(scenario *s, int64_t rc)
{
    if (rc >= 0)
        return true;
    if (rc == PL_ENOMEM)
        s->failed = true;
    else if (rc != PL_ECANCELED && rc != PL_ETIMEDOUT)
        s->strange = !CHECK_EQ_INT(rc, PL_ENOMEM);
    return false;
}

static int64_t use_and_sleep(void *arg)
{
    counted *c = arg;
    c->uses++;
    (void)went_well(c->scenario, pl_sleep(PL_US(20)));
    return went_well(c->scenario, pl_yield()) ? 7 : PL_ECANCELED;
}

static int64_t use_and_wait(void *arg)
{
    counted *c = arg;
    c->uses++;
    (void)went_well(c->scenario, pl_sleep(PL_FOREVER));
    return PL_ECANCELED;
}

static void spawn_some(scenario *s)
{
    pl_task *task = NULL;
    pl_task_options options = {.size = sizeof options, .drop = drop};
    if (went_well(s, pl_spawn(&task, use_and_sleep, next_arg(s), &options))) {
        int64_t rc = pl_task_await(task);
        CHECK(rc == 7 || rc == PL_ECANCELED || rc == PL_ENOMEM);
        (void)went_well(s, rc);
    }
    pl_task_unref(task);
    task = NULL;
    options.stack_size = 512 * 1024; /* not one of the pool */
    if (went_well(s, pl_spawn(&task, use_and_wait, next_arg(s), &options))) {
        (void)went_well(s, pl_yield());
        CHECK_EQ_INT(pl_task_cancel(task) == 1 || pl_future_state(pl_task_future(task)) != PL_PENDING, true);
        (void)went_well(s, pl_task_await(task));
    }
    pl_task_unref(task);
    options.eager = 1;
    (void)went_well(s, pl_spawn(NULL, use_and_sleep, next_arg(s), &options)); /* ends with the loop, perhaps */
}

static void group_some(scenario *s)
{
    pl_group group = {0};
    int64_t rc;
    if (!went_well(s, pl_group_begin(&group, PL_GROUP_FAIL_FAST)))
        return;
    for (int i = 0; i < 3; i++)
        (void)went_well(s, pl_group_spawn(&group, use_and_sleep, next_arg(s), drop));
    (void)went_well(s, pl_group_spawn(&group, use_and_wait, next_arg(s), drop));
    rc = pl_sleep(PL_US(50));
    (void)went_well(s, rc);
    pl_group_cancel(&group);
    (void)went_well(s, pl_group_end(&group, rc));
    CHECK_EQ_INT(pl_group_size(&group), 0);
}

static void limit_some(scenario *s)
{
    pl_timeout limit = {0};
    pl_shielded shielded = {0};
    int64_t rc;
    if (!went_well(s, pl_timeout_begin(&limit, PL_US(30))))
        return;
    if (went_well(s, pl_shielded_begin(&shielded))) {
        (void)went_well(s, pl_yield());
        pl_shielded_end(&shielded);
    }
    rc = pl_sleep(PL_SECONDS(3600));
    CHECK(rc == PL_ECANCELED || rc == PL_ENOMEM);
    (void)went_well(s, rc);
    rc = pl_timeout_end(&limit, rc);
    CHECK(rc == PL_ETIMEDOUT || rc == PL_ENOMEM);
    (void)went_well(s, rc);
}

static void set_one(void *arg)
{
    (void)pl_future_set_result(arg, 1);
}

static void wait_some(scenario *s)
{
    pl_future *future = NULL;
    pl_timer timer = {0};
    pl_callback callback = {{{0}}};
    counted *called;
    if (!went_well(s, pl_future_create(&future, NULL)))
        return;
    called = next_arg(s);
    CHECK_EQ_INT(pl_future_add_done_callback(future, &callback, use, called), PL_OK);
    if (went_well(s, pl_timer_start(&timer, NULL, PL_US(30), set_one, future)))
        CHECK(pl_await(future) == 1);
    (void)pl_timer_stop(&timer);
    if (pl_callback_cancel(&callback))
        called->drops++;
    pl_future_unref(future);
    if (called->uses + called->drops == 0) { /* on its way */
        (void)pl_yield();
        if (pl_callback_cancel(&callback))
            called->drops++;
    }
}

static void post_some(scenario *s)
{
    for (int i = 0; i < 3; i++)
        (void)went_well(s, pl_call_soon(NULL, use, next_arg(s), drop));
    for (int i = 0; i < 3; i++)
        (void)went_well(s, pl_call_soon_threadsafe(s->remote, use, next_arg(s), drop));
    (void)went_well(s, pl_yield());
    (void)went_well(s, pl_call_soon(NULL, use, next_arg(s), drop)); /* dropped by close, perhaps */
    (void)went_well(s, pl_call_soon_threadsafe(s->remote, use, next_arg(s), drop));
}

static int64_t main_task(void *arg)
{
    counted *c = arg;
    scenario *s = c->scenario;
    c->uses++;
    spawn_some(s);
    group_some(s);
    limit_some(s);
    wait_some(s);
    post_some(s);
    return 1;
}

static void ignore_report(pl_loop *loop, const pl_report *report, void *arg)
{
    (void)loop;
    (void)report;
    (void)arg;
}

static void play(const test_context *t, scenario *s)
{
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    pl_task_options spawn = {.size = sizeof spawn, .drop = drop};
    pl_task *task = NULL;
    if (!went_well(s, pl_loop_create(&s->loop, &options)))
        return;
    CHECK_EQ_INT(pl_loop_set_exception_handler(s->loop, ignore_report, NULL), PL_OK);
    s->remote = pl_loop_remote(s->loop);
    if (!s->remote)
        s->failed = true;
    spawn.loop = s->loop;
    if (s->remote && went_well(s, pl_spawn(&task, main_task, next_arg(s), &spawn))) {
        int64_t rc = pl_loop_run_until_complete(s->loop, pl_task_future(task));
        CHECK(rc == 1 || rc == PL_ENOMEM);
        (void)went_well(s, rc);
    }
    pl_task_unref(task);
    CHECK_EQ_INT(pl_loop_close(s->loop), PL_OK);
    if (s->remote)
        pl_remote_unref(s->remote);
}

static void fail_each(test_context *t, bool fail_forever)
{
    int64_t n;
    for (n = 1; n < 5000; n++) {
        scenario s = {0};
        allocation a;
        REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
        a.fail_at = n;
        a.fail_forever = fail_forever;
        play(t, &s);
        CHECK_EQ_INT(pl_memory_in_use(), 0);
        allocation_end(&a);
        for (int i = 0; i < s.used; i++)
            if (!CHECK_EQ_INT(s.args[i].uses + s.args[i].drops, 1))
                CHECK_EQ_INT(n, -i); /* says which */
        REQUIRE(!s.strange);
        if (a.failed == 0)
            break;
    }
    CHECK(n > 5); /* something was tried */
    CHECK(n < 5000);
}

TEST_CASE(each_allocation_may_fail)
{
    fail_each(t, false);
}

TEST_CASE(memory_may_run_out_at_any_moment)
{
    fail_each(t, true);
}

static int64_t spawn_in_a_row(void *arg)
{
    fixture *f = arg;
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    for (int i = 0; i < 100; i++) {
        int rc = pl_spawn(NULL, spawn_in_a_row, f, &options);
        CHECK(rc == PL_OK || rc == PL_ENOMEM);
        f->counts[0]++;
        if (rc == PL_ENOMEM)
            break;
    }
    return 0;
}

static int64_t return_seven(void *arg)
{
    (void)arg;
    return pl_yield() == PL_OK ? 7 : PL_ECANCELED;
}

TEST_CASE(a_loop_that_ran_out_of_memory_works_again_when_there_is_some)
{
    fixture f;
    allocation a;
    pl_task *task = NULL;
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    a.fail_at = a.calls + 1;
    a.fail_forever = true;
    CHECK_EQ_INT(pl_spawn(&task, spawn_in_a_row, &f, &options), PL_ENOMEM);
    CHECK(task == NULL);
    CHECK_EQ_INT(f.drops, 1);
    CHECK_EQ_INT(pl_future_create(&f.futures[0], f.loop), PL_ENOMEM);
    CHECK(f.futures[0] == NULL);
    CHECK_EQ_INT(pl_call_soon(f.loop, fixture_drop, &f, fixture_drop), PL_ENOMEM);
    CHECK_EQ_INT(f.drops, 2);
    turn(&f, 2);
    a.fail_at = 0;
    CHECK_EQ_INT(run_task(&f, return_seven, &f), 7);
    fixture_close(&f);
    allocation_end(&a);
}

static int64_t wait_without_memory(void *arg)
{
    fixture *f = arg;
    pl_group group = {0};
    pl_shielded shielded = {0};
    CHECK_EQ_INT(pl_await(f->futures[0]), 1);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(pl_group_end(&group, 3), 3);
    return 3;
}

/* "In memory of the caller: cannot run out of it." */
TEST_CASE(callbacks_of_the_caller_futures_and_waits_need_no_memory)
{
    fixture f;
    allocation a;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, wait_without_memory);
    turn(&f, 1);
    a.fail_at = a.calls + 1;
    a.fail_forever = true;
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], f.loop, note_a, &f), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(f.futures[0], &f.callbacks[1], note_a, &f), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 1), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 3);
    EXPECT_TRACE(&f, "a a ");
    CHECK_EQ_INT(a.failed, 0); /* nothing even asked */
    a.fail_at = 0;
    fixture_close(&f);
    allocation_end(&a);
}

TEST_SUITE(memory, TEST_BACKENDS_ALL,
           CASE(each_allocation_may_fail),
           CASE(memory_may_run_out_at_any_moment),
           CASE(a_loop_that_ran_out_of_memory_works_again_when_there_is_some),
           CASE(callbacks_of_the_caller_futures_and_waits_need_no_memory))
