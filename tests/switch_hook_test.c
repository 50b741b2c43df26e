/* The hook at task switches: state of a thread that follows the tasks. */
#include <proloop/proloop.h>

#include <errno.h>

#include "fixture.h"
#include "harness.h"
#include "threads.h"

/* --- What is told ------------------------------------------------------------------------------------------------- */

static void note_switch(pl_task *task, int entering, void *arg)
{
    fixture *f = arg;
    char word[48];
    bool done = pl_future_state(pl_task_future(task)) != PL_PENDING;
    (void)snprintf(word, sizeof word, "%s%s%s", entering ? "+" : "-", pl_task_name(task), done ? "!" : "");
    note(f, word);
    CHECK(pl_task_current() == NULL);
    CHECK(pl_loop_running() == f->loop);
}

static pl_task *spawn_named(fixture *f, const char *name, pl_task_fn *fn, int eager)
{
    pl_task *task = NULL;
    pl_task_options options = {.size = sizeof options, .loop = f->loop, .name = name, .eager = eager};
    CHECK_EQ_INT(pl_spawn(&task, fn, f, &options), PL_OK);
    return task;
}

static int64_t yield_once(void *arg)
{
    note(arg, pl_task_name(pl_task_current()));
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(arg, pl_task_name(pl_task_current()));
    return 0;
}

TEST_CASE(each_step_of_a_task_is_entered_and_left)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, note_switch, &f), PL_OK);
    f.tasks[0] = spawn_named(&f, "A", yield_once, 0);
    f.tasks[1] = spawn_named(&f, "B", yield_once, 0);
    EXPECT_TRACE(&f, "");
    turn(&f, 1);
    EXPECT_TRACE(&f, "+A A -A +B B -B ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "+A A -A! +B B -B! "); /* the last step: its future is done */
    turn(&f, 1);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
}

static int64_t start_eagerly(void *arg)
{
    fixture *f = arg;
    note(f, "before");
    f->tasks[1] = spawn_named(f, "eager", yield_once, 1);
    CHECK(pl_task_current() == f->tasks[0]);
    note(f, "after");
    return 0;
}

TEST_CASE(a_task_is_left_while_one_that_it_starts_eagerly_runs)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, note_switch, &f), PL_OK);
    f.tasks[0] = spawn_named(&f, "A", start_eagerly, 0);
    turn(&f, 1);
    EXPECT_TRACE(&f, "+A before -A +eager eager -eager +A after -A! ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "+eager eager -eager! ");
    fixture_close(&f);
}

static void start_eagerly_in_callback(void *arg)
{
    fixture *f = arg;
    f->tasks[0] = spawn_named(f, "eager", yield_once, 1);
    note(f, "after");
}

TEST_CASE(an_eager_task_of_a_callback_is_entered_and_left)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, note_switch, &f), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, start_eagerly_in_callback, &f, NULL), PL_OK);
    turn(&f, 2);
    EXPECT_TRACE(&f, "+eager eager -eager after +eager eager -eager! ");
    fixture_close(&f);
}

TEST_CASE(a_task_that_never_runs_is_not_told_of)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, note_switch, &f), PL_OK);
    f.tasks[0] = spawn_named(&f, "A", yield_once, 0);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
}

TEST_CASE(callbacks_are_not_told_of)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, note_switch, &f), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, note_b, &f), PL_OK);
    while (strlen(f.trace) < 4)
        turn(&f, 1);
    EXPECT_TRACE(&f, "a b ");
    fixture_close(&f);
}

static int64_t sleep_for_ever(void *arg)
{
    int rc = pl_sleep(PL_FOREVER);
    note_code(arg, rc);
    return rc;
}

TEST_CASE(the_steps_while_the_loop_closes_are_told_of_too)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, note_switch, &f), PL_OK);
    f.tasks[0] = spawn_named(&f, "A", sleep_for_ever, 0);
    turn(&f, 1);
    fixture_close(&f);
    EXPECT_TRACE(&f, "+A -A +A PL_ECANCELED -A! ");
}

TEST_CASE(a_hook_taken_away_is_not_called_any_more)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, note_switch, &f), PL_OK);
    f.tasks[0] = spawn_named(&f, "A", yield_once, 0);
    turn(&f, 1);
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, NULL, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "+A A -A A ");
    fixture_close(&f);
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

static int64_t set_in_task(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_loop_set_switch_hook(f->loop, NULL, NULL), PL_EBUSY);
    return 0;
}

static void misbehave(pl_task *task, int entering, void *arg)
{
    fixture *f = arg;
    pl_task_options options = {.size = sizeof options, .eager = 1};
    (void)task;
    if (!entering || f->counts[0]++ > 0)
        return;
    CHECK_EQ_INT(pl_loop_set_switch_hook(f->loop, NULL, NULL), PL_EBUSY);
    CHECK_EQ_INT(pl_yield(), PL_ENOTASK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_ENOTASK);
    CHECK_EQ_INT(pl_spawn(&f->tasks[1], yield_once, f, &options), PL_OK); /* is not begun here */
    CHECK_EQ_INT(pl_task_set_name(f->tasks[1], "B"), PL_OK);
    EXPECT_TRACE(f, "");
}

TEST_CASE(a_hook_is_not_replaced_while_a_task_is_entered)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, set_in_task, &f), 0);
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, misbehave, &f), PL_OK);
    CHECK_EQ_INT(run_task(&f, yield_once, &f), 0);
    CHECK_EQ_INT(finish_task(&f, f.tasks[1]), 0);
    CHECK(f.counts[0] >= 2);
    CHECK_EQ_INT(pl_loop_set_switch_hook(NULL, NULL, NULL), PL_EINVAL);
    fixture_clear(&f);
    fixture_close(&f);
}

static void set_hook_here(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_loop_set_switch_hook(f->loop, note_switch, f), PL_ETHREAD);
}

TEST_CASE(a_hook_set_from_another_thread_is_refused_in_debug_mode)
{
    fixture f;
    REQUIRE(fixture_open_debug(&f, t));
    turn(&f, 1);
    REQUIRE(test_in_thread(set_hook_here, &f));
    fixture_close(&f);
}

/* --- Old code that keeps things per thread ------------------------------------------------------------------------ */

/* A library of before threads were thought of: its present locale, say, is one variable. */
static int present_locale;

/* What a program has for each task: that locale, and errno. */
typedef struct kept {
    const pl_task *task;
    int locale;
    int error;
} kept;

typedef struct keeper {
    kept all[8];
    kept outside; /* of the loop and its callbacks */
} keeper;

static kept *find_kept(keeper *k, const pl_task *task)
{
    for (size_t i = 0; i < sizeof k->all / sizeof k->all[0]; i++) {
        if (k->all[i].task == task)
            return &k->all[i];
    }
    return NULL;
}

static void keep(kept *k)
{
    k->locale = present_locale;
    k->error = errno;
}

static void put_back(const kept *k)
{
    present_locale = k->locale;
    errno = k->error;
}

static void follow_tasks(pl_task *task, int entering, void *arg)
{
    keeper *k = arg;
    kept *own = find_kept(k, task);
    if (entering) {
        keep(&k->outside);
        if (!own) { /* its first step: as it is outside */
            own = find_kept(k, NULL);
            REQUIRE(own != NULL);
            *own = k->outside;
            own->task = task;
        }
        put_back(own);
        return;
    }
    REQUIRE(own != NULL);
    keep(own);
    put_back(&k->outside);
    if (pl_future_state(pl_task_future(task)) != PL_PENDING)
        own->task = NULL;
}

static int64_t use_state(int number)
{
    for (int i = 0; i < 20; i++) {
        present_locale = number + i;
        errno = 1000 + number + i;
        CHECK_EQ_INT(i % 3 ? pl_yield() : pl_sleep(PL_US(number % 7)), PL_OK);
        if (!CHECK_EQ_INT(errno, 1000 + number + i) || !CHECK_EQ_INT(present_locale, number + i))
            return PL_ESTATE;
    }
    return 0;
}

static int64_t use_state_eagerly(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(present_locale, 77); /* that of the loop, not of the task that starts it */
    return use_state(500);
}

static int64_t use_state_and_start(void *arg)
{
    int number = *(int *)arg;
    pl_task *child = NULL;
    pl_task_options options = {.size = sizeof options, .eager = 1};
    int64_t rc;
    CHECK_EQ_INT(present_locale, 77);
    present_locale = number;
    errno = number;
    CHECK_EQ_INT(pl_spawn(&child, use_state_eagerly, NULL, &options), PL_OK);
    CHECK_EQ_INT(present_locale, number);
    CHECK_EQ_INT(errno, number);
    rc = use_state(number);
    if (rc == 0)
        rc = pl_task_await(child);
    pl_task_unref(child);
    return rc;
}

static void see_outside(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(present_locale, 77);
    if (f->counts[0]++ < 20)
        CHECK_EQ_INT(pl_call_soon(NULL, see_outside, f, NULL), PL_OK);
}

TEST_CASE(what_a_thread_keeps_follows_the_tasks)
{
    enum { TASKS = 4 };
    fixture f;
    keeper k;
    int numbers[TASKS];
    memset(&k, 0, sizeof k);
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_switch_hook(f.loop, follow_tasks, &k), PL_OK);
    present_locale = 77;
    CHECK_EQ_INT(pl_call_soon(f.loop, see_outside, &f, NULL), PL_OK);
    for (int i = 0; i < TASKS; i++) {
        numbers[i] = 100 * (i + 1);
        f.tasks[i] = start_task(&f, use_state_and_start, &numbers[i]);
    }
    for (int i = 0; i < TASKS; i++)
        CHECK_EQ_INT(finish_task(&f, f.tasks[i]), 0);
    CHECK_EQ_INT(present_locale, 77);
    for (size_t i = 0; i < sizeof k.all / sizeof k.all[0]; i++)
        CHECK(k.all[i].task == NULL);
    fixture_close(&f);
}

TEST_SUITE(switch_hook, TEST_BACKENDS_ALL, CASE(each_step_of_a_task_is_entered_and_left),
           CASE(a_task_is_left_while_one_that_it_starts_eagerly_runs),
           CASE(an_eager_task_of_a_callback_is_entered_and_left), CASE(a_task_that_never_runs_is_not_told_of),
           CASE(callbacks_are_not_told_of), CASE(the_steps_while_the_loop_closes_are_told_of_too),
           CASE(a_hook_taken_away_is_not_called_any_more), CASE(a_hook_is_not_replaced_while_a_task_is_entered),
           CASE(a_hook_set_from_another_thread_is_refused_in_debug_mode), CASE(what_a_thread_keeps_follows_the_tasks))
