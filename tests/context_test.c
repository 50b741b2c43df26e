/* Context variables: whose value is seen where, and that each value is dropped once. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "threads.h"

static char red[] = "red", blue[] = "blue", green[] = "green", none[] = "none";
static const pl_context_variable color = {"color", none};
static const pl_context_variable shape = {"shape", NULL};

static const char *color_here(void)
{
    return pl_context_get(&color);
}

static void set_color(char *word)
{
    CHECK_EQ_INT(pl_context_set(&color, word, NULL, NULL), PL_OK);
}

static void note_color(void *arg)
{
    note(arg, color_here());
}

static void set_green(void *arg)
{
    note(arg, color_here());
    set_color(green);
}

static int64_t note_color_as_task(void *arg)
{
    note_color(arg);
    return 0;
}

static int64_t set_green_as_task(void *arg)
{
    set_green(arg);
    return 0;
}

/* --- What is seen where ------------------------------------------------------------------------------------------- */

FIXTURE_CASE(a_variable_that_was_not_set_has_its_default)
{
    note_color(arg);
    CHECK(pl_context_get(&shape) == NULL);
    CHECK(pl_context_get(NULL) == NULL);
    EXPECT_TRACE((fixture *)arg, "none ");
    return 0;
}

FIXTURE_CASE(variables_keep_their_values_apart)
{
    fixture *f = arg;
    set_color(red);
    CHECK_EQ_INT(pl_context_set(&shape, blue, NULL, NULL), PL_OK);
    set_color(green);
    CHECK(pl_context_get(&shape) == blue);
    CHECK(pl_context_get(&color) == green);
    CHECK_EQ_INT(pl_context_set(&shape, NULL, NULL, NULL), PL_OK);
    CHECK(pl_context_get(&shape) == NULL);
    note_color(f);
    EXPECT_TRACE(f, "green ");
    return 0;
}

FIXTURE_CASE(a_task_starts_with_a_copy_of_its_spawners_context)
{
    fixture *f = arg;
    set_color(red);
    start_slot(f, 0, note_color_as_task);
    set_color(blue); /* too late for the task: the copy is made at the spawn */
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), 0);
    EXPECT_TRACE(f, "red ");
    return 0;
}

FIXTURE_CASE(what_a_task_sets_its_spawner_does_not_see)
{
    fixture *f = arg;
    set_color(red);
    start_slot(f, 0, set_green_as_task);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), 0);
    note_color(f);
    EXPECT_TRACE(f, "red red ");
    return 0;
}

FIXTURE_CASE(an_eager_task_has_a_context_of_its_own)
{
    fixture *f = arg;
    const pl_task_options eager = {.size = sizeof eager, .eager = 1};
    set_color(red);
    CHECK_EQ_INT(pl_spawn(&f->tasks[0], set_green_as_task, f, &eager), PL_OK);
    CHECK_EQ_INT(pl_future_state(pl_task_future(f->tasks[0])), PL_FINISHED);
    note_color(f);
    EXPECT_TRACE(f, "red red ");
    return 0;
}

static int64_t set_green_then_wait(void *arg)
{
    set_color(green);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note_color(arg);
    return 0;
}

FIXTURE_CASE(a_context_goes_with_its_task_over_its_waits)
{
    fixture *f = arg;
    set_color(red);
    start_slot(f, 0, set_green_then_wait);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note_color(f);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), 0);
    note_color(f);
    EXPECT_TRACE(f, "red green red ");
    return 0;
}

FIXTURE_CASE(a_child_of_a_group_has_a_copy_of_its_spawners_context)
{
    fixture *f = arg;
    pl_group group = {0};
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    set_color(red);
    CHECK_EQ_INT(pl_group_spawn(&group, note_color_as_task, f, NULL), PL_OK);
    set_color(blue);
    CHECK_EQ_INT(pl_group_end(&group, 0), 0);
    EXPECT_TRACE(f, "red ");
    return 0;
}

FIXTURE_CASE(a_callback_runs_in_a_copy_of_the_context_in_which_it_was_scheduled)
{
    fixture *f = arg;
    set_color(red);
    CHECK_EQ_INT(pl_call_soon(NULL, note_color, f, NULL), PL_OK);
    set_color(blue);
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], NULL, note_color, f), PL_OK);
    set_color(green);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    EXPECT_TRACE(f, "red blue ");
    return 0;
}

FIXTURE_CASE(a_timer_runs_in_a_copy_of_the_context_in_which_it_was_started)
{
    fixture *f = arg;
    set_color(red);
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, PL_FOREVER, note_color, f), PL_OK);
    set_color(blue);
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, PL_NS(1), note_color, f), PL_OK);
    set_color(green);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    EXPECT_TRACE(f, "blue ");
    return 0;
}

FIXTURE_CASE(a_done_callback_runs_in_the_context_in_which_it_was_added)
{
    fixture *f = arg;
    new_future(f, 0);
    set_color(red);
    CHECK_EQ_INT(pl_future_add_done_callback(f->futures[0], &f->callbacks[0], note_color, f), PL_OK);
    set_color(blue);
    CHECK_EQ_INT(pl_future_add_done_callback(f->futures[0], &f->callbacks[1], note_color, f), PL_OK);
    set_color(green);
    CHECK_EQ_INT(pl_future_set_result(f->futures[0], 0), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(f->futures[0], &f->callbacks[2], note_color, f), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    EXPECT_TRACE(f, "red blue green ");
    return 0;
}

FIXTURE_CASE(what_a_callback_sets_the_next_one_does_not_see)
{
    fixture *f = arg;
    set_color(red);
    CHECK_EQ_INT(pl_call_soon(NULL, set_green, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(NULL, note_color, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note_color(f);
    EXPECT_TRACE(f, "red red red ");
    return 0;
}

static void set_green_and_post(void *arg)
{
    set_color(green);
    CHECK_EQ_INT(pl_call_soon(NULL, note_color, arg, NULL), PL_OK);
}

FIXTURE_CASE(what_a_callback_sets_goes_to_what_it_starts)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_call_soon(NULL, set_green_and_post, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    EXPECT_TRACE(f, "green ");
    return 0;
}

typedef struct poster {
    fixture *f;
    pl_remote *remote;
    pl_context *context;
} poster;

static void post_note_color(void *arg)
{
    poster *p = arg;
    CHECK_EQ_INT(pl_call_soon_threadsafe(p->remote, note_color, p->f, NULL), PL_OK);
}

static void post_in_context(void *arg)
{
    poster *p = arg;
    CHECK_EQ_INT(pl_context_run(p->context, post_note_color, p), PL_OK);
}

FIXTURE_CASE(a_post_from_another_thread_brings_the_context_of_that_thread)
{
    fixture *f = arg;
    poster p = {f, pl_loop_remote(f->loop), NULL};
    set_color(red);
    CHECK_EQ_INT(pl_context_copy(&p.context), PL_OK);
    set_color(blue);
    CHECK(test_in_thread(post_in_context, &p));
    CHECK(test_in_thread(post_note_color, &p)); /* a thread without a context */
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK); /* posts come behind what was ready */
    EXPECT_TRACE(f, "red none ");
    pl_context_unref(p.context);
    pl_remote_unref(p.remote);
    return 0;
}

static int64_t set_green_on_thread(void *arg)
{
    set_green(arg);
    note_color(arg);
    return 0;
}

FIXTURE_CASE(a_function_on_a_thread_pool_runs_in_a_copy_of_the_context_in_which_it_was_submitted)
{
    fixture *f = arg;
    set_color(red);
    CHECK_EQ_INT(pl_to_thread(set_green_on_thread, f), 0);
    note_color(f);
    CHECK_EQ_INT(pl_thread_pool_submit(NULL, &f->futures[0], note_color_as_task, f, NULL), PL_OK);
    set_color(blue);
    CHECK_EQ_INT(pl_await(f->futures[0]), 0);
    EXPECT_TRACE(f, "red green red red ");
    CHECK_EQ_INT(pl_loop_shutdown_default_pool(PL_FOREVER), PL_OK);
    return 0;
}

static void run_in_loop(void *arg)
{
    poster *p = arg;
    CHECK_EQ_INT(pl_run_threadsafe(p->remote, NULL, note_color_as_task, p->f, NULL), PL_OK);
}

FIXTURE_CASE(a_task_run_from_another_thread_has_the_context_of_its_caller)
{
    fixture *f = arg;
    poster p = {f, pl_loop_remote(f->loop), NULL};
    set_color(red);
    CHECK_EQ_INT(pl_context_copy(&p.context), PL_OK);
    set_color(blue);
    CHECK_EQ_INT(pl_context_run(p.context, run_in_loop, &p), PL_OK);
    for (int turns = 0; turns < 3; turns++)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    EXPECT_TRACE(f, "red ");
    pl_context_unref(p.context);
    pl_remote_unref(p.remote);
    return 0;
}

/* --- Contexts by themselves --------------------------------------------------------------------------------------- */

FIXTURE_CASE(what_runs_in_a_context_changes_it)
{
    fixture *f = arg;
    pl_context *context = NULL;
    set_color(red);
    CHECK_EQ_INT(pl_context_copy(&context), PL_OK);
    CHECK_EQ_INT(pl_context_run(context, set_green, f), PL_OK);
    note_color(f);
    CHECK_EQ_INT(pl_context_run(context, note_color, f), PL_OK);
    EXPECT_TRACE(f, "red red green ");
    pl_context_unref(context);
    return 0;
}

FIXTURE_CASE(tasks_and_callbacks_given_one_context_share_it)
{
    fixture *f = arg;
    pl_task_options options = {.size = sizeof options};
    CHECK_EQ_INT(pl_context_copy(&options.context), PL_OK);
    CHECK_EQ_INT(pl_spawn(NULL, set_green_as_task, f, &options), PL_OK);
    CHECK_EQ_INT(pl_spawn(NULL, note_color_as_task, f, &options), PL_OK);
    CHECK_EQ_INT(pl_callback_set_context(&f->callbacks[0], options.context), PL_OK);
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], NULL, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_timer_set_context(&f->timers[0], options.context), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, 0, note_color, f), PL_OK);
    pl_context_unref(options.context);
    CHECK_EQ_INT(pl_sleep(PL_NS(1)), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note_color(f);
    EXPECT_TRACE(f, "none green green green none ");
    return 0;
}

static void note_and_wait_and_note(void *arg)
{
    note_color(arg);
    set_color(green);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note_color(arg);
}

FIXTURE_CASE(a_task_may_wait_inside_a_context)
{
    fixture *f = arg;
    pl_context *context = NULL;
    CHECK_EQ_INT(pl_context_copy(&context), PL_OK);
    start_slot(f, 0, note_color_as_task);
    CHECK_EQ_INT(pl_context_run(context, note_and_wait_and_note, f), PL_OK);
    note_color(f);
    EXPECT_TRACE(f, "none none green none ");
    pl_context_unref(context);
    return 0;
}

FIXTURE_CASE(a_context_set_for_a_callback_serves_once)
{
    fixture *f = arg;
    pl_context *context = NULL;
    set_color(red);
    CHECK_EQ_INT(pl_context_copy(&context), PL_OK);
    set_color(blue);
    CHECK_EQ_INT(pl_callback_set_context(&f->callbacks[0], context), PL_OK);
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], NULL, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_callback_set_context(&f->callbacks[0], context), PL_EBUSY);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], NULL, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    EXPECT_TRACE(f, "red blue ");
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, PL_FOREVER, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_timer_set_context(&f->timers[0], context), PL_EBUSY);
    CHECK_EQ_INT(pl_timer_stop(&f->timers[0]), 1);
    CHECK_EQ_INT(pl_callback_set_context(NULL, context), PL_EINVAL);
    CHECK_EQ_INT(pl_timer_set_context(NULL, context), PL_EINVAL);
    pl_context_unref(context);
    return 0;
}

static void set_color_where_there_is_no_context(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_context_set(&color, red, NULL, NULL), PL_ESTATE);
    CHECK_EQ_INT(pl_context_set(&color, f, fixture_drop, NULL), PL_ESTATE);
    CHECK_EQ_INT(f->drops, 1);
    note_color(f);
}

TEST_CASE(outside_of_every_context_there_is_nothing_to_set)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    set_color_where_there_is_no_context(&f);
    f.drops = 0;
    CHECK(test_in_thread(set_color_where_there_is_no_context, &f));
    EXPECT_TRACE(&f, "none none ");
    fixture_close(&f);
}

static void spawn_note_color(void *arg)
{
    fixture *f = arg;
    set_color(red);
    start_slot(f, 0, note_color_as_task);
}

TEST_CASE(a_task_spawned_before_the_loop_runs_has_the_context_of_its_spawner)
{
    fixture f;
    pl_context *context = NULL;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_context_copy(&context), PL_OK);
    CHECK_EQ_INT(pl_context_run(context, spawn_note_color, &f), PL_OK);
    pl_context_unref(context);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 0);
    EXPECT_TRACE(&f, "red ");
    fixture_close(&f);
}

TEST_CASE(arguments_that_make_no_sense_are_refused)
{
    pl_context_token token = {{{0}}};
    (void)t;
    CHECK_EQ_INT(pl_context_set(NULL, red, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_context_reset(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_context_reset(&token), PL_ESTATE);
    pl_context_forget(NULL);
    pl_context_forget(&token);
    CHECK_EQ_INT(pl_context_copy(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_context_run(NULL, note_color, NULL), PL_EINVAL);
    CHECK(pl_context_ref(NULL) == NULL);
    pl_context_unref(NULL);
}

/* --- Tokens ------------------------------------------------------------------------------------------------------- */

FIXTURE_CASE(a_token_brings_back_what_was)
{
    fixture *f = arg;
    pl_context_token first = {{{0}}}, second = {{{0}}};
    CHECK_EQ_INT(pl_context_set(&color, red, NULL, &first), PL_OK);
    CHECK_EQ_INT(pl_context_set(&color, blue, NULL, &second), PL_OK);
    CHECK_EQ_INT(pl_context_reset(&second), PL_OK);
    note_color(f);
    CHECK_EQ_INT(pl_context_reset(&first), PL_OK);
    note_color(f);
    EXPECT_TRACE(f, "red none ");
    return 0;
}

FIXTURE_CASE(a_token_serves_once)
{
    fixture *f = arg;
    pl_context_token token = {{{0}}};
    CHECK_EQ_INT(pl_context_set(&color, red, NULL, &token), PL_OK);
    CHECK_EQ_INT(pl_context_set(&color, blue, NULL, &token), PL_ESTATE); /* it is in use */
    note_color(f);
    CHECK_EQ_INT(pl_context_reset(&token), PL_OK);
    CHECK_EQ_INT(pl_context_reset(&token), PL_ESTATE);
    EXPECT_TRACE(f, "red ");
    return 0;
}

static int64_t reset_a_strangers_token(void *arg)
{
    CHECK_EQ_INT(pl_context_reset(arg), PL_EINVAL);
    return 0;
}

FIXTURE_CASE(a_token_of_another_context_is_refused)
{
    fixture *f = arg;
    pl_context_token token = {{{0}}};
    CHECK_EQ_INT(pl_context_set(&color, red, NULL, &token), PL_OK);
    f->tasks[0] = start_task(f, reset_a_strangers_token, &token);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), 0);
    CHECK_EQ_INT(pl_context_reset(&token), PL_OK);
    return 0;
}

static pl_context_token kept_token;

static int64_t keep_token(void *arg)
{
    (void)arg;
    return pl_context_set(&color, red, NULL, &kept_token);
}

static int64_t reset_kept_token(void *arg)
{
    note_code(arg, pl_context_reset(&kept_token));
    note_color(arg);
    return 0;
}

/* The new task may lie where the other one lay. */
TEST_CASE(a_token_of_a_task_that_ended_is_of_another_context)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, keep_token, &f), 0);
    CHECK_EQ_INT(run_task(&f, reset_kept_token, &f), 0);
    EXPECT_TRACE(&f, "PL_EINVAL none ");
    pl_context_forget(&kept_token);
    fixture_close(&f);
}

static void keep_token_in_callback(void *arg)
{
    CHECK_EQ_INT(keep_token(arg), PL_OK);
}

static void reset_kept_token_in_callback(void *arg)
{
    CHECK_EQ_INT(reset_kept_token(arg), 0);
}

TEST_CASE(a_token_of_a_callback_is_refused_by_the_next_one)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, keep_token_in_callback, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, reset_kept_token_in_callback, &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "PL_EINVAL none ");
    pl_context_forget(&kept_token);
    fixture_close(&f);
}

TEST_CASE(a_token_of_a_context_that_is_gone_is_refused_by_the_next_one)
{
    pl_context *context = NULL;
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(pl_context_copy(&context), PL_OK);
        CHECK_EQ_INT(pl_context_run(context, i == 0 ? keep_token_in_callback : reset_kept_token_in_callback, &f), PL_OK);
        pl_context_unref(context);
    }
    EXPECT_TRACE(&f, "PL_EINVAL none ");
    pl_context_forget(&kept_token);
    fixture_close(&f);
}

/* --- Values are dropped once -------------------------------------------------------------------------------------- */

FIXTURE_CASE(a_value_is_dropped_when_no_context_has_it)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_context_set(&shape, f, fixture_drop, NULL), PL_OK);
    start_slot(f, 0, note_color_as_task); /* has a copy */
    CHECK_EQ_INT(pl_call_soon(NULL, note_color, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_context_set(&shape, NULL, NULL, NULL), PL_OK);
    CHECK_EQ_INT(f->drops, 0);
    CHECK_EQ_INT(pl_task_await(f->tasks[0]), 0);
    CHECK_EQ_INT(f->drops, 1);
    fixture_clear(f);
    return 0;
}

FIXTURE_CASE(a_token_keeps_the_value_that_it_would_bring_back)
{
    fixture *f = arg;
    pl_context_token token = {{{0}}};
    CHECK_EQ_INT(pl_context_set(&shape, f, fixture_drop, NULL), PL_OK);
    CHECK_EQ_INT(pl_context_set(&shape, NULL, NULL, &token), PL_OK);
    CHECK_EQ_INT(f->drops, 0);
    CHECK_EQ_INT(pl_context_reset(&token), PL_OK);
    CHECK(pl_context_get(&shape) == f);
    CHECK_EQ_INT(f->drops, 0);
    CHECK_EQ_INT(pl_context_set(&shape, NULL, NULL, &token), PL_OK);
    pl_context_forget(&token);
    CHECK_EQ_INT(f->drops, 1);
    return 0;
}

static int64_t set_shape(void *arg)
{
    return pl_context_set(&shape, arg, fixture_drop, NULL);
}

TEST_CASE(a_tasks_values_are_dropped_when_it_ends)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, set_shape);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 0);
    CHECK_EQ_INT(f.drops, 1); /* although the task itself is still held */
    fixture_close(&f);
}

static int64_t schedule_all_and_end(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_context_set(&shape, f, fixture_drop, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(NULL, note_color, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], NULL, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, PL_FOREVER, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(f->futures[0], &f->callbacks[1], note_color, f), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(f->futures[0], &f->callbacks[2], note_color, f), PL_OK);
    CHECK_EQ_INT(pl_loop_stop(f->loop), PL_OK);
    return 0;
}

TEST_CASE(what_waits_when_the_loop_closes_lets_its_values_go)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, schedule_all_and_end);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    CHECK_EQ_INT(f.drops, 0);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[2]), 1);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 1);
    EXPECT_TRACE(&f, "");
}

FIXTURE_CASE(a_callback_or_timer_taken_back_lets_its_values_go)
{
    fixture *f = arg;
    pl_context *context = NULL;
    CHECK_EQ_INT(pl_context_set(&shape, f, fixture_drop, NULL), PL_OK);
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], NULL, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, PL_FOREVER, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_context_copy(&context), PL_OK);
    CHECK_EQ_INT(pl_callback_set_context(&f->callbacks[1], context), PL_OK);
    pl_context_unref(context);
    CHECK_EQ_INT(pl_context_set(&shape, NULL, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_callback_cancel(&f->callbacks[0]), 1);
    CHECK_EQ_INT(pl_timer_stop(&f->timers[0]), 1);
    CHECK_EQ_INT(f->drops, 0);
    CHECK_EQ_INT(pl_callback_cancel(&f->callbacks[1]), 0); /* idle, but it had a context */
    CHECK_EQ_INT(f->drops, 1);
    return 0;
}

/* Something that its own context keeps: the value of `shape` in what it has scheduled, and freed when that is let go. */
typedef struct session {
    fixture *f;
    pl_timer timer, other_timer;
    pl_callback callback;
} session;

static void session_drop(void *arg)
{
    session *s = arg;
    s->f->drops++;
    CHECK_EQ_INT(pl_timer_stop(&s->timer), 0);
    (void)pl_timer_stop(&s->other_timer);
    CHECK_EQ_INT(pl_callback_cancel(&s->callback), 0);
    free(s);
}

enum { WITH_TIMER = 1, WITH_CALLBACK = 2, WITH_OTHER_TIMER = 4, WITH_FUTURE = 8 };

static session *session_start(fixture *f, int with)
{
    session *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    s->f = f;
    CHECK_EQ_INT(pl_context_set(&shape, s, session_drop, NULL), PL_OK);
    if (with & WITH_TIMER)
        CHECK_EQ_INT(pl_timer_start(&s->timer, NULL, PL_SECONDS(3600), note_color, f), PL_OK);
    if (with & WITH_CALLBACK)
        CHECK_EQ_INT(pl_callback_schedule(&s->callback, NULL, note_color, f), PL_OK);
    if (with & WITH_FUTURE)
        CHECK_EQ_INT(pl_future_add_done_callback(f->futures[0], &s->callback, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_context_set(&shape, NULL, NULL, NULL), PL_OK);
    if (with & WITH_OTHER_TIMER) /* which the drop function stops */
        CHECK_EQ_INT(pl_timer_start(&s->other_timer, NULL, PL_SECONDS(7200), note_color, f), PL_OK);
    return s;
}

FIXTURE_CASE(a_value_may_own_the_callback_or_timer_that_keeps_it)
{
    fixture *f = arg;
    session *s = session_start(f, WITH_TIMER);
    REQUIRE_OR(s, return PL_ENOMEM);
    CHECK_EQ_INT(pl_timer_stop(&s->timer), 1);
    CHECK_EQ_INT(f->drops, 1);
    s = session_start(f, WITH_CALLBACK);
    REQUIRE_OR(s, return PL_ENOMEM);
    CHECK_EQ_INT(pl_callback_cancel(&s->callback), 1);
    CHECK_EQ_INT(f->drops, 2);
    new_future(f, 0);
    REQUIRE_OR(session_start(f, WITH_FUTURE), return PL_ENOMEM);
    drop_future(f, 0);
    CHECK_EQ_INT(f->drops, 3);
    return 0;
}

static int64_t start_sessions_and_end(void *arg)
{
    fixture *f = arg;
    for (int i = 0; i < 3; i++)
        (void)session_start(f, WITH_TIMER | WITH_OTHER_TIMER);
    (void)session_start(f, WITH_CALLBACK);
    CHECK_EQ_INT(pl_loop_stop(f->loop), PL_OK);
    return 0;
}

TEST_CASE(a_closing_loop_lets_go_of_values_that_own_what_keeps_them)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, start_sessions_and_end);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 4);
    EXPECT_TRACE(&f, "");
}

/* A callback that is cancelled and, by the drop function, scheduled again. */
static void schedule_again(void *arg)
{
    fixture *f = arg;
    f->drops++;
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], NULL, note_color, f), PL_OK);
}

FIXTURE_CASE(a_drop_function_may_schedule_the_callback_that_let_the_value_go)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_context_set(&shape, f, schedule_again, NULL), PL_OK);
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], NULL, note_color, f), PL_OK);
    CHECK_EQ_INT(pl_context_set(&shape, NULL, NULL, NULL), PL_OK);
    set_color(red);
    CHECK_EQ_INT(pl_callback_cancel(&f->callbacks[0]), 1);
    CHECK_EQ_INT(f->drops, 1);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    EXPECT_TRACE(f, "red ");
    return 0;
}

/* --- Without memory ----------------------------------------------------------------------------------------------- */

typedef struct shortage {
    allocation memory;
    pl_context *context;
    int drops;
    int failures;
} shortage;

static void count_drop(void *arg)
{
    ((shortage *)arg)->drops++;
}

static void set_twice_and_reset(void *arg)
{
    shortage *s = arg;
    pl_context_token token = {{{0}}};
    int rc = pl_context_set(&shape, s, count_drop, NULL);
    CHECK(rc == PL_OK || rc == PL_ENOMEM);
    s->failures += rc < 0;
    rc = pl_context_set(&color, s, count_drop, &token);
    CHECK(rc == PL_OK || rc == PL_ENOMEM);
    s->failures += rc < 0;
    if (rc == PL_OK) {
        rc = pl_context_reset(&token);
        s->failures += rc < 0;
        CHECK(rc == PL_OK || rc == PL_ENOMEM);
        CHECK(rc == PL_OK || pl_context_get(&color) == s);
        pl_context_forget(&token);
    }
}

TEST_CASE(each_allocation_of_a_context_fails_once)
{
    shortage s;
    (void)t;
    for (int64_t fail_at = 1;; fail_at++) {
        memset(&s, 0, sizeof s);
        REQUIRE(allocation_begin(&s.memory) == PL_OK);
        s.memory.fail_at = fail_at;
        if (pl_context_copy(&s.context) == PL_OK) {
            CHECK_EQ_INT(pl_context_run(s.context, set_twice_and_reset, &s), PL_OK);
            pl_context_unref(s.context);
            CHECK_EQ_INT(s.drops, 2);
            CHECK_EQ_INT(s.failures, s.memory.failed);
        } else {
            CHECK_EQ_INT(s.memory.failed, 1);
        }
        allocation_end(&s.memory);
        if (s.memory.failed == 0)
            break;
    }
}

TEST_SUITE(context, TEST_BACKENDS_ALL,
           CASE(a_variable_that_was_not_set_has_its_default),
           CASE(variables_keep_their_values_apart),
           CASE(a_task_starts_with_a_copy_of_its_spawners_context),
           CASE(what_a_task_sets_its_spawner_does_not_see),
           CASE(an_eager_task_has_a_context_of_its_own),
           CASE(a_context_goes_with_its_task_over_its_waits),
           CASE(a_child_of_a_group_has_a_copy_of_its_spawners_context),
           CASE(a_callback_runs_in_a_copy_of_the_context_in_which_it_was_scheduled),
           CASE(a_timer_runs_in_a_copy_of_the_context_in_which_it_was_started),
           CASE(a_done_callback_runs_in_the_context_in_which_it_was_added),
           CASE(what_a_callback_sets_the_next_one_does_not_see),
           CASE(what_a_callback_sets_goes_to_what_it_starts),
           CASE(a_post_from_another_thread_brings_the_context_of_that_thread),
           CASE(a_function_on_a_thread_pool_runs_in_a_copy_of_the_context_in_which_it_was_submitted),
           CASE(a_task_run_from_another_thread_has_the_context_of_its_caller),
           CASE(what_runs_in_a_context_changes_it),
           CASE(tasks_and_callbacks_given_one_context_share_it),
           CASE(a_task_may_wait_inside_a_context),
           CASE(a_context_set_for_a_callback_serves_once),
           CASE(outside_of_every_context_there_is_nothing_to_set),
           CASE(a_task_spawned_before_the_loop_runs_has_the_context_of_its_spawner),
           CASE(arguments_that_make_no_sense_are_refused),
           CASE(a_token_brings_back_what_was),
           CASE(a_token_serves_once),
           CASE(a_token_of_another_context_is_refused),
           CASE(a_token_of_a_task_that_ended_is_of_another_context),
           CASE(a_token_of_a_callback_is_refused_by_the_next_one),
           CASE(a_token_of_a_context_that_is_gone_is_refused_by_the_next_one),
           CASE(a_value_is_dropped_when_no_context_has_it),
           CASE(a_token_keeps_the_value_that_it_would_bring_back),
           CASE(a_tasks_values_are_dropped_when_it_ends),
           CASE(what_waits_when_the_loop_closes_lets_its_values_go),
           CASE(a_callback_or_timer_taken_back_lets_its_values_go),
           CASE(a_value_may_own_the_callback_or_timer_that_keeps_it),
           CASE(a_closing_loop_lets_go_of_values_that_own_what_keeps_them),
           CASE(a_drop_function_may_schedule_the_callback_that_let_the_value_go),
           CASE(each_allocation_of_a_context_fails_once))
