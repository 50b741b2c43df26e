/* Callbacks that can be taken back, in memory of the caller. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

static void schedule(fixture *f, int slot, pl_callback_fn *fn)
{
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[slot], f->loop, fn, f), PL_OK);
}

TEST_CASE(a_scheduled_callback_keeps_its_place_among_call_soon)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    schedule(&f, 0, note_b);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_c, &f, NULL), PL_OK);
    EXPECT_TRACE(&f, "");
    turn(&f, 1);
    EXPECT_TRACE(&f, "a b c ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
}

TEST_CASE(a_callback_taken_back_does_not_run)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    schedule(&f, 0, note_a);
    schedule(&f, 1, note_b);
    schedule(&f, 2, note_c);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[1]), 1);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[1]), 0); /* idle by now */
    turn(&f, 2);
    EXPECT_TRACE(&f, "a c ");
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[0]), 0); /* it ran */
    fixture_close(&f);
}

TEST_CASE(the_struct_is_the_callers_at_once_when_it_was_taken_back)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    schedule(&f, 0, note_a);
    schedule(&f, 1, note_b);
    schedule(&f, 2, note_c);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[1]), 1);
    memset(&f.callbacks[1], 0xa5, sizeof f.callbacks[1]);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[0]), 1);
    memset(&f.callbacks[0], 0xa5, sizeof f.callbacks[0]);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[2]), 1);
    memset(&f.callbacks[2], 0xa5, sizeof f.callbacks[2]);
    turn(&f, 2);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
}

TEST_CASE(cancelling_an_idle_callback_finds_nothing)
{
    pl_callback callback = {0};
    (void)t;
    CHECK_EQ_INT(pl_callback_cancel(&callback), 0);
    CHECK_EQ_INT(pl_callback_cancel(&callback), 0);
}

static void cancel_the_next(void *arg)
{
    fixture *f = arg;
    note(f, "cancel");
    CHECK_EQ_INT(pl_callback_cancel(&f->callbacks[1]), 1);
    memset(&f->callbacks[1], 0xa5, sizeof f->callbacks[1]);
}

TEST_CASE(a_callback_can_be_taken_back_by_one_that_runs_before_it_in_the_same_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    schedule(&f, 0, cancel_the_next);
    schedule(&f, 1, note_b);
    schedule(&f, 2, note_c);
    turn(&f, 2);
    EXPECT_TRACE(&f, "cancel c ");
    fixture_close(&f);
}

static void cancel_all_that_follow(void *arg)
{
    fixture *f = arg;
    note(f, "cancel");
    for (int i = 1; i < FIXTURE_SLOTS; i++) {
        CHECK_EQ_INT(pl_callback_cancel(&f->callbacks[i]), 1);
        memset(&f->callbacks[i], 0xa5, sizeof f->callbacks[i]);
    }
}

TEST_CASE(the_whole_rest_of_an_iteration_can_be_taken_back)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    schedule(&f, 0, cancel_all_that_follow);
    for (int i = 1; i < FIXTURE_SLOTS; i++)
        schedule(&f, i, note_b);
    turn(&f, 1);
    EXPECT_TRACE(&f, "cancel ");
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

static void cancel_one_of_the_next_iteration(void *arg)
{
    fixture *f = arg;
    schedule(f, 1, note_b);
    schedule(f, 2, note_c);
    CHECK_EQ_INT(pl_callback_cancel(&f->callbacks[1]), 1);
    schedule(f, 1, note_a); /* behind c now */
}

TEST_CASE(one_taken_back_and_scheduled_anew_goes_to_the_end)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    schedule(&f, 0, cancel_one_of_the_next_iteration);
    turn(&f, 2);
    EXPECT_TRACE(&f, "c a ");
    fixture_close(&f);
}

TEST_CASE(a_callback_that_is_scheduled_is_busy)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    schedule(&f, 0, note_a);
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], f.loop, note_b, &f), PL_EBUSY);
    turn(&f, 2);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

TEST_CASE(a_callback_that_waits_for_a_future_is_busy)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    CHECK_EQ_INT(pl_future_add_done_callback(f.futures[0], &f.callbacks[0], note_a, &f), PL_OK);
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], f.loop, note_b, &f), PL_EBUSY);
    CHECK_EQ_INT(pl_future_add_done_callback(f.futures[1], &f.callbacks[0], note_b, &f), PL_EBUSY);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[0]), 1);
    schedule(&f, 0, note_c);
    CHECK_EQ_INT(pl_future_add_done_callback(f.futures[1], &f.callbacks[0], note_b, &f), PL_EBUSY);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 0), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(f.futures[1], 0), PL_OK);
    turn(&f, 2);
    EXPECT_TRACE(&f, "c ");
    fixture_close(&f);
}

static void schedule_itself(void *arg)
{
    fixture *f = arg;
    note(f, "a");
    if (++f->counts[0] < 3)
        schedule(f, 0, schedule_itself);
}

TEST_CASE(a_callback_is_idle_when_it_runs_and_may_be_scheduled_again)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    schedule(&f, 0, schedule_itself);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    turn(&f, 4);
    EXPECT_TRACE(&f, "a a ");
    fixture_close(&f);
}

static void free_itself(void *arg)
{
    pl_callback *callback = arg;
    CHECK_EQ_INT(pl_callback_cancel(callback), 0);
    memset(callback, 0xa5, sizeof *callback);
    free(callback);
}

TEST_CASE(a_callback_may_free_itself_when_it_runs)
{
    fixture f;
    pl_callback *callback = calloc(1, sizeof *callback);
    REQUIRE(callback != NULL);
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_callback_schedule(callback, f.loop, free_itself, callback), PL_OK);
    turn(&f, 2);
    fixture_close(&f);
}

/* The model: a list of the numbers that must run, in order. */
enum { MODEL_CALLBACKS = 50, MODEL_STEPS = 20000 };

typedef struct model {
    pl_loop *loop;
    pl_callback callbacks[MODEL_CALLBACKS];
    struct model_arg {
        struct model *model;
        int number;
    } args[MODEL_CALLBACKS];
    int expected[MODEL_CALLBACKS]; /* numbers, in the order of scheduling */
    int count;
    uint64_t random;
    int64_t runs;
} model;

static int model_find(const model *m, int number)
{
    for (int i = 0; i < m->count; i++)
        if (m->expected[i] == number)
            return i;
    return -1;
}

static void model_remove(model *m, int place)
{
    m->count--;
    memmove(&m->expected[place], &m->expected[place + 1], sizeof m->expected[0] * (size_t)(m->count - place));
}

static void model_run(void *arg);

static void model_change(model *m)
{
    int number = random_below(&m->random, MODEL_CALLBACKS);
    int place = model_find(m, number);
    if (random_below(&m->random, 3) != 0) {
        int rc = pl_callback_schedule(&m->callbacks[number], m->loop, model_run, &m->args[number]);
        CHECK_EQ_INT(rc, place >= 0 ? PL_EBUSY : PL_OK);
        if (place < 0)
            m->expected[m->count++] = number;
    } else {
        CHECK_EQ_INT(pl_callback_cancel(&m->callbacks[number]), place >= 0);
        if (place >= 0)
            model_remove(m, place);
    }
}

static void model_run(void *arg)
{
    struct model_arg *a = arg;
    model *m = a->model;
    m->runs++;
    if (CHECK(m->count > 0) && CHECK_EQ_INT(m->expected[0], a->number))
        model_remove(m, 0);
    for (int i = random_below(&m->random, 4); i > 0; i--)
        model_change(m);
}

TEST_CASE(random_schedules_and_cancels_run_in_order)
{
    fixture f;
    model *m = calloc(1, sizeof *m);
    REQUIRE(m != NULL);
    REQUIRE(fixture_open(&f, t));
    m->loop = f.loop;
    m->random = 88172645463325252u;
    for (int i = 0; i < MODEL_CALLBACKS; i++)
        m->args[i] = (struct model_arg){m, i};
    for (int step = 0; step < MODEL_STEPS; step++) {
        for (int i = random_below(&m->random, 8); i > 0; i--)
            model_change(m);
        turn(&f, 1);
    }
    CHECK(m->runs > MODEL_STEPS);
    fixture_close(&f);
    free(m);
}

TEST_SUITE(callback, TEST_BACKENDS_ALL,
           CASE(a_scheduled_callback_keeps_its_place_among_call_soon),
           CASE(a_callback_taken_back_does_not_run),
           CASE(the_struct_is_the_callers_at_once_when_it_was_taken_back),
           CASE(cancelling_an_idle_callback_finds_nothing),
           CASE(a_callback_can_be_taken_back_by_one_that_runs_before_it_in_the_same_iteration),
           CASE(the_whole_rest_of_an_iteration_can_be_taken_back),
           CASE(one_taken_back_and_scheduled_anew_goes_to_the_end),
           CASE(a_callback_that_is_scheduled_is_busy),
           CASE(a_callback_that_waits_for_a_future_is_busy),
           CASE(a_callback_is_idle_when_it_runs_and_may_be_scheduled_again),
           CASE(a_callback_may_free_itself_when_it_runs),
           CASE(random_schedules_and_cancels_run_in_order))
