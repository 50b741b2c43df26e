/* Timers: never early, in order, taken back at any moment. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

/* Runs the loop until the trace holds so many words. */
static void run_until(fixture *f, size_t words)
{
    for (;;) {
        size_t count = 0;
        for (const char *p = f->trace; *p; p++)
            count += *p == ' ';
        if (count >= words)
            return;
        REQUIRE_EQ_INT(pl_loop_run_once(f->loop, PL_FOREVER), PL_OK);
    }
}

static void start(fixture *f, int slot, pl_duration delay, pl_callback_fn *fn)
{
    CHECK_EQ_INT(pl_timer_start(&f->timers[slot], f->loop, delay, fn, f), PL_OK);
}

static void start_at(fixture *f, int slot, pl_duration deadline, pl_callback_fn *fn)
{
    CHECK_EQ_INT(pl_timer_start_at(&f->timers[slot], f->loop, deadline, fn, f), PL_OK);
}

typedef struct never_early {
    pl_loop *loop;
    pl_duration deadline;
    int runs;
} never_early;

static void check_deadline(void *arg)
{
    never_early *n = arg;
    n->runs++;
    CHECK(pl_loop_time(n->loop) >= n->deadline);
}

TEST_CASE(a_timer_is_never_early)
{
    enum { COUNT = 200 };
    static pl_timer timers[COUNT];
    static never_early checks[COUNT];
    uint64_t random = 7;
    fixture f;
    REQUIRE(fixture_open(&f, t));
    memset(timers, 0, sizeof timers);
    for (int i = 0; i < COUNT; i++) {
        pl_duration delay = PL_US(random_below(&random, 20000)) + random_below(&random, 1000);
        checks[i] = (never_early){f.loop, pl_loop_time(f.loop) + delay, 0};
        CHECK_EQ_INT(pl_timer_start(&timers[i], f.loop, delay, check_deadline, &checks[i]), PL_OK);
    }
    start_at(&f, 0, pl_loop_time(f.loop) + PL_MS(25), note_a);
    run_until(&f, 1);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ_INT(checks[i].runs, 1);
    fixture_close(&f);
}

TEST_CASE(a_timer_counts_from_its_start_and_not_from_the_last_iteration)
{
    fixture f;
    never_early check;
    pl_timer timer = {0};
    REQUIRE(fixture_open(&f, t));
    turn(&f, 1);
    if (!is_simulated(t)) { /* time that passes outside of the loop */
        pl_duration until = pl_loop_time(f.loop) + PL_MS(3);
        while (pl_loop_time(f.loop) < until)
            ;
    }
    check = (never_early){f.loop, pl_loop_time(f.loop) + PL_MS(2), 0};
    CHECK_EQ_INT(pl_timer_start(&timer, f.loop, PL_MS(2), check_deadline, &check), PL_OK);
    while (check.runs == 0)
        REQUIRE_EQ_INT(pl_loop_run_once(f.loop, PL_FOREVER), PL_OK);
    fixture_close(&f);
}

TEST_CASE(timers_run_in_the_order_of_their_deadlines)
{
    fixture f;
    pl_duration now;
    REQUIRE(fixture_open(&f, t));
    now = pl_loop_time(f.loop);
    start_at(&f, 0, now + PL_MS(4), note_d);
    start_at(&f, 1, now + PL_MS(1), note_a);
    start_at(&f, 2, now + PL_MS(3), note_c);
    start_at(&f, 3, now + PL_MS(2), note_b);
    run_until(&f, 4);
    EXPECT_TRACE(&f, "a b c d ");
    fixture_close(&f);
}

TEST_CASE(timers_of_equal_deadline_run_first_in_first_out)
{
    fixture f;
    pl_duration deadline;
    REQUIRE(fixture_open(&f, t));
    deadline = pl_loop_time(f.loop) + PL_MS(2);
    start_at(&f, 0, deadline, note_a);
    start_at(&f, 1, deadline, note_b);
    start_at(&f, 2, deadline, note_c);
    start_at(&f, 3, deadline, note_d);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[1]), 1);
    start_at(&f, 1, deadline, note_b); /* the last one now */
    run_until(&f, 4);
    EXPECT_TRACE(&f, "a c d b ");
    fixture_close(&f);
}

typedef struct ordered {
    int *next;
    int number;
} ordered;

static void check_order(void *arg)
{
    ordered *o = arg;
    CHECK_EQ_INT(*o->next, o->number);
    *o->next = o->number + 1;
}

TEST_CASE(a_thousand_timers_of_equal_deadline_run_first_in_first_out)
{
    enum { COUNT = 1000 };
    static pl_timer timers[COUNT];
    static ordered orders[COUNT];
    fixture f;
    pl_duration deadline;
    int next = 0;
    REQUIRE(fixture_open(&f, t));
    memset(timers, 0, sizeof timers);
    deadline = pl_loop_time(f.loop) + PL_MS(1);
    for (int i = 0; i < COUNT; i++) {
        orders[i] = (ordered){&next, i};
        CHECK_EQ_INT(pl_timer_start_at(&timers[i], f.loop, deadline, check_order, &orders[i]), PL_OK);
    }
    while (next < COUNT)
        REQUIRE_EQ_INT(pl_loop_run_once(f.loop, PL_FOREVER), PL_OK);
    fixture_close(&f);
}

TEST_CASE(a_deadline_in_the_past_is_due_in_the_next_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_at(&f, 0, 0, note_a);
    start_at(&f, 1, INT64_MIN, note_b);
    start_at(&f, 2, pl_loop_time(f.loop), note_c);
    turn(&f, 1);
    CHECK_EQ_INT(strlen(f.trace), strlen("a b c "));
    fixture_close(&f);
}

/* test_call_later_negative_delays */
TEST_CASE(negative_delays_are_due_now)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start(&f, 0, -1, note_a);
    start(&f, 1, -1000, note_b);
    start(&f, 2, INT64_MIN, note_c);
    turn(&f, 1);
    CHECK_EQ_INT(strlen(f.trace), strlen("a b c "));
    fixture_close(&f);
}

TEST_CASE(a_delay_without_end_never_runs)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start(&f, 0, PL_FOREVER, note_d);
    start(&f, 1, INT64_MAX - 1, note_d);
    start_at(&f, 2, INT64_MAX, note_d);
    start(&f, 3, PL_MS(1), note_a);
    run_until(&f, 1);
    turn(&f, 3);
    EXPECT_TRACE(&f, "a ");
    CHECK_EQ_INT(pl_timer_stop(&f.timers[0]), 1);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[1]), 1);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[2]), 1);
    fixture_close(&f);
}

TEST_CASE(a_stopped_timer_does_not_run_and_is_the_callers_at_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start(&f, 0, PL_MS(1), note_a);
    start(&f, 1, PL_MS(1), note_b);
    start(&f, 2, PL_MS(2), note_c);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[0]), 1);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[0]), 0);
    memset(&f.timers[0], 0xa5, sizeof f.timers[0]);
    run_until(&f, 2);
    EXPECT_TRACE(&f, "b c ");
    CHECK_EQ_INT(pl_timer_stop(&f.timers[1]), 0); /* it ran */
    fixture_close(&f);
}

TEST_CASE(stopping_an_idle_timer_finds_nothing)
{
    pl_timer timer = {0};
    (void)t;
    CHECK_EQ_INT(pl_timer_stop(&timer), 0);
    CHECK_EQ_INT(pl_timer_stop(&timer), 0);
}

static void stop_the_next(void *arg)
{
    fixture *f = arg;
    note(f, "stop");
    CHECK_EQ_INT(pl_timer_stop(&f->timers[1]), 1);
    memset(&f->timers[1], 0xa5, sizeof f->timers[1]);
}

TEST_CASE(a_due_timer_can_be_stopped_by_one_that_runs_before_it_in_the_same_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_at(&f, 0, 0, stop_the_next);
    start_at(&f, 1, 0, note_b);
    start_at(&f, 2, 0, note_c);
    turn(&f, 1);
    EXPECT_TRACE(&f, "stop c ");
    fixture_close(&f);
}

static void start_the_next_anew(void *arg)
{
    fixture *f = arg;
    note(f, "anew");
    start(f, 1, 0, note_d);
}

TEST_CASE(a_due_timer_can_be_started_anew_by_one_that_runs_before_it_in_the_same_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_at(&f, 0, 0, start_the_next_anew);
    start_at(&f, 1, 0, note_b);
    start_at(&f, 2, 0, note_c);
    turn(&f, 1);
    EXPECT_TRACE(&f, "anew c ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "d ");
    fixture_close(&f);
}

TEST_CASE(starting_a_running_timer_starts_it_anew)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start(&f, 0, PL_MS(1), note_a);
    start(&f, 1, PL_MS(2), note_b);
    start(&f, 0, PL_MS(3), note_c); /* later, and another function */
    run_until(&f, 2);
    EXPECT_TRACE(&f, "b c ");
    start(&f, 0, PL_SECONDS(3600), note_a);
    start(&f, 0, 0, note_d); /* sooner */
    turn(&f, 1);
    EXPECT_TRACE(&f, "d ");
    fixture_close(&f);
}

static void repeat(void *arg)
{
    fixture *f = arg;
    note(f, "a");
    CHECK_EQ_INT(pl_timer_stop(&f->timers[0]), 0); /* idle when it runs */
    if (++f->counts[0] < 3)
        start(f, 0, PL_US(100), repeat);
}

TEST_CASE(a_timer_is_idle_when_it_runs_and_may_be_started_again)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start(&f, 0, PL_US(100), repeat);
    run_until(&f, 3);
    turn(&f, 2);
    EXPECT_TRACE(&f, "a a a ");
    fixture_close(&f);
}

static void free_timer(void *arg)
{
    pl_timer *timer = arg;
    memset(timer, 0xa5, sizeof *timer);
    free(timer);
}

TEST_CASE(a_timer_may_free_itself_when_it_runs)
{
    fixture f;
    pl_timer *timer = calloc(1, sizeof *timer);
    REQUIRE(timer != NULL);
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_timer_start(timer, f.loop, 0, free_timer, timer), PL_OK);
    turn(&f, 1);
    fixture_close(&f);
}

static void repeat_at_once(void *arg)
{
    fixture *f = arg;
    f->counts[0]++;
    start(f, 0, 0, repeat_at_once);
}

TEST_CASE(a_timer_that_restarts_itself_at_once_runs_once_an_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start(&f, 0, 0, repeat_at_once);
    for (int i = 1; i <= 1000; i++) {
        turn(&f, 1);
        CHECK_EQ_INT(f.counts[0], i);
    }
    fixture_close(&f);
}

TEST_CASE(run_once_wakes_for_a_timer_within_its_limit)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start(&f, 0, PL_MS(2), note_a);
    while (f.trace[0] == '\0')
        REQUIRE_EQ_INT(pl_loop_run_once(f.loop, PL_SECONDS(3600)), PL_OK);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

/* The simulated clock stands at the deadline when the wait for it ends; a real one may be past it. */
TEST_CASE(a_timer_is_due_when_its_deadline_is_reached)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_at(&f, 0, pl_loop_time(f.loop) + PL_MS(1), note_a);
    CHECK_EQ_INT(pl_loop_run_once(f.loop, PL_FOREVER), PL_OK);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

/* test__run_once */
TEST_CASE(a_stopped_timer_does_not_end_the_wait_for_the_next)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start(&f, 0, PL_MS(1), note_a);
    start(&f, 1, PL_MS(5), note_b);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[0]), 1);
    CHECK_EQ_INT(pl_loop_run_once(f.loop, PL_FOREVER), PL_OK);
    EXPECT_TRACE(&f, "b ");
    fixture_close(&f);
}

static void note_and_call_soon(void *arg)
{
    note(arg, "timer");
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, arg, NULL), PL_OK);
}

/* test__run_once_schedule_handle */
TEST_CASE(what_a_timer_adds_waits_for_the_next_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start(&f, 0, -1, note_and_call_soon);
    turn(&f, 1);
    EXPECT_TRACE(&f, "timer ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

TEST_CASE(a_million_timers_can_be_alive)
{
    const int count = scaled(1000000);
    pl_timer *timers = calloc((size_t)count, sizeof *timers);
    fixture f;
    uint64_t random = 99;
    int alive = 0;
    REQUIRE(timers != NULL);
    REQUIRE_OR(fixture_open(&f, t), goto out);
    for (int i = 0; i < count; i++) {
        pl_duration delay = PL_SECONDS(3600) + (pl_duration)(next_random(&random) >> 20);
        alive += pl_timer_start(&timers[i], f.loop, delay, note_a, &f) == PL_OK;
    }
    CHECK_EQ_INT(alive, count);
    turn(&f, 1);
    for (int i = 0; i < count; i += 3)
        alive += pl_timer_start(&timers[i], f.loop, PL_SECONDS(7200) - i, note_a, &f) == PL_OK;
    CHECK_EQ_INT(alive, count + (count + 2) / 3);
    for (int i = 0; i < count; i++) /* in another order than they were started */
        alive -= pl_timer_stop(&timers[(int)(((int64_t)i * 611953) % count)]);
    for (int i = 0; i < count; i++) /* those the stride missed */
        alive -= pl_timer_stop(&timers[i]);
    CHECK_EQ_INT(alive, (count + 2) / 3);
    turn(&f, 1);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
out:
    free(timers);
}

TEST_CASE(a_loop_can_be_closed_with_many_timers_alive)
{
    enum { COUNT = 10000 };
    pl_timer *timers = calloc(COUNT, sizeof *timers);
    fixture f;
    REQUIRE(timers != NULL);
    REQUIRE_OR(fixture_open(&f, t), goto out);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ_INT(pl_timer_start(&timers[i], f.loop, PL_SECONDS(i), note_a, &f), PL_OK);
    fixture_close(&f);
out:
    free(timers);
}

/* The model: deadline and number of each timer that is alive. What runs must be the least of them. */
enum { MODEL_TIMERS = 300, MODEL_STEPS = 3000 };

typedef struct model {
    pl_loop *loop;
    pl_timer timers[MODEL_TIMERS];
    struct model_arg {
        struct model *model;
        int number;
    } args[MODEL_TIMERS];
    pl_duration deadlines[MODEL_TIMERS];
    int64_t sequence[MODEL_TIMERS]; /* 0: idle */
    int64_t last_sequence;
    uint64_t random;
    int64_t runs;
} model;

static void model_run(void *arg)
{
    struct model_arg *a = arg;
    model *m = a->model;
    int n = a->number;
    m->runs++;
    CHECK(m->sequence[n] != 0);
    CHECK(pl_loop_time(m->loop) >= m->deadlines[n]);
    for (int i = 0; i < MODEL_TIMERS; i++) { /* none was passed over */
        if (m->sequence[i] != 0 && i != n)
            CHECK(m->deadlines[i] > m->deadlines[n] ||
                  (m->deadlines[i] == m->deadlines[n] && m->sequence[i] > m->sequence[n]));
    }
    m->sequence[n] = 0;
}

static void model_change(model *m)
{
    int n = random_below(&m->random, MODEL_TIMERS);
    if (random_below(&m->random, 3) != 0) {
        /* Few distinct deadlines, so that many are equal. */
        pl_duration now = pl_loop_time(m->loop);
        pl_duration deadline = now - now % PL_US(50) + PL_US(50 * (1 + random_below(&m->random, 20)));
        CHECK_EQ_INT(pl_timer_start_at(&m->timers[n], m->loop, deadline, model_run, &m->args[n]), PL_OK);
        m->deadlines[n] = deadline;
        m->sequence[n] = ++m->last_sequence;
    } else {
        CHECK_EQ_INT(pl_timer_stop(&m->timers[n]), m->sequence[n] != 0);
        m->sequence[n] = 0;
    }
}

TEST_CASE(random_starts_and_stops_run_in_the_order_of_deadline_and_start)
{
    fixture f;
    model *m = calloc(1, sizeof *m);
    REQUIRE(m != NULL);
    REQUIRE_OR(fixture_open(&f, t), goto out);
    m->loop = f.loop;
    m->random = 362436069u;
    for (int i = 0; i < MODEL_TIMERS; i++)
        m->args[i] = (struct model_arg){m, i};
    for (int step = 0; step < MODEL_STEPS; step++) {
        for (int i = random_below(&m->random, 20); i > 0; i--)
            model_change(m);
        REQUIRE_EQ_INT_OR(pl_loop_run_once(f.loop, PL_US(random_below(&m->random, 100))), PL_OK, break);
    }
    CHECK(m->runs > 100);
    fixture_close(&f);
out:
    free(m);
}

TEST_SUITE(timer, TEST_BACKENDS_ALL,
           CASE(a_timer_is_never_early),
           CASE(a_timer_counts_from_its_start_and_not_from_the_last_iteration),
           CASE(timers_run_in_the_order_of_their_deadlines),
           CASE(timers_of_equal_deadline_run_first_in_first_out),
           CASE(a_thousand_timers_of_equal_deadline_run_first_in_first_out),
           CASE(a_deadline_in_the_past_is_due_in_the_next_iteration),
           CASE(negative_delays_are_due_now),
           CASE(a_delay_without_end_never_runs),
           CASE(a_stopped_timer_does_not_run_and_is_the_callers_at_once),
           CASE(stopping_an_idle_timer_finds_nothing),
           CASE(a_due_timer_can_be_stopped_by_one_that_runs_before_it_in_the_same_iteration),
           CASE(a_due_timer_can_be_started_anew_by_one_that_runs_before_it_in_the_same_iteration),
           CASE(starting_a_running_timer_starts_it_anew),
           CASE(a_timer_is_idle_when_it_runs_and_may_be_started_again),
           CASE(a_timer_may_free_itself_when_it_runs),
           CASE(a_timer_that_restarts_itself_at_once_runs_once_an_iteration),
           CASE(run_once_wakes_for_a_timer_within_its_limit),
           CASE(a_timer_is_due_when_its_deadline_is_reached),
           CASE(a_stopped_timer_does_not_end_the_wait_for_the_next),
           CASE(what_a_timer_adds_waits_for_the_next_iteration),
           CASE(a_million_timers_can_be_alive),
           CASE(a_loop_can_be_closed_with_many_timers_alive),
           CASE(random_starts_and_stops_run_in_the_order_of_deadline_and_start))
