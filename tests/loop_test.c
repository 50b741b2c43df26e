/* The loop: its iteration, running and stopping, closing, reports, and calls at the wrong time. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"
#include "loopback.h"
#include "threads.h"

static void soon(fixture *f, pl_callback_fn *fn)
{
    CHECK_EQ_INT(pl_call_soon(f->loop, fn, f, fixture_drop), PL_OK);
}

static void stop(void *arg)
{
    fixture *f = arg;
    note(f, "stop");
    CHECK_EQ_INT(pl_loop_stop(f->loop), PL_OK);
}

/* --- Making one --------------------------------------------------------------------------------------------------- */

TEST_CASE(a_loop_has_the_backend_that_was_asked_for)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_STR(pl_loop_backend(f.loop), t->backend);
    fixture_close(&f);
}

TEST_CASE(no_options_are_the_defaults)
{
    pl_loop *loop;
    (void)t;
    REQUIRE_EQ_INT(pl_loop_create(&loop, NULL), PL_OK);
    CHECK(strlen(pl_loop_backend(loop)) > 0);
    CHECK_EQ_INT(pl_loop_run_once(loop, 0), PL_OK);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
}

TEST_CASE(an_unknown_backend_is_refused)
{
    pl_loop *loop;
    pl_loop_options options = {.size = sizeof options, .backend = "steam"};
    (void)t;
    CHECK_EQ_INT(pl_loop_create(&loop, &options), PL_EINVAL);
}

TEST_CASE(headers_of_another_version_are_refused)
{
    pl_loop *loop;
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    CHECK_EQ_INT(pl_loop_create_checked(&loop, &options, PL_ABI + 1), PL_EABI);
    CHECK_EQ_INT(pl_loop_create_checked(&loop, NULL, 0), PL_EABI);
}

TEST_CASE(the_default_loop_is_made_once_and_again_after_its_close)
{
    pl_loop *first, *second;
    (void)t;
    REQUIRE_EQ_INT(pl_loop_default(&first), PL_OK);
    REQUIRE_EQ_INT(pl_loop_default(&second), PL_OK);
    CHECK(first == second);
    CHECK_EQ_INT(pl_loop_close(first), PL_OK);
    REQUIRE_EQ_INT(pl_loop_default(&second), PL_OK);
    CHECK_EQ_INT(pl_loop_run_once(second, 0), PL_OK);
    CHECK_EQ_INT(pl_loop_close(second), PL_OK);
}

static void ask_for_default(void *arg)
{
    pl_loop *loop = NULL;
    (void)arg;
    CHECK_EQ_INT(pl_loop_default(&loop), PL_ETHREAD);
    CHECK(loop == NULL);
}

TEST_CASE(the_default_loop_is_of_the_main_thread_only)
{
    (void)t;
    REQUIRE(test_in_thread(ask_for_default, NULL));
}

/* --- Iteration ---------------------------------------------------------------------------------------------------- */

TEST_CASE(call_soon_is_first_in_first_out)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    soon(&f, note_a);
    soon(&f, note_b);
    soon(&f, note_c);
    EXPECT_TRACE(&f, "");
    turn(&f, 1);
    EXPECT_TRACE(&f, "a b c ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(f.drops, 0);
    fixture_close(&f);
}

typedef struct numbered {
    int *next;
    int number;
} numbered;

static void check_number(void *arg)
{
    numbered *n = arg;
    CHECK_EQ_INT(*n->next, n->number);
    *n->next = n->number + 1;
}

TEST_CASE(the_order_survives_a_queue_that_grows_and_wraps)
{
    enum { COUNT = 20000 };
    fixture f;
    int next = 0, queued = 0;
    numbered *all = malloc(sizeof *all * COUNT);
    REQUIRE(all != NULL);
    for (int i = 0; i < COUNT; i++)
        all[i] = (numbered){&next, i};
    REQUIRE_OR(fixture_open(&f, t), goto out);
    for (int step = 1; queued < COUNT; step = step * 3 + 1) { /* 1, 4, 13, 40 ... at a time */
        for (int i = 0; i < step && queued < COUNT; i++, queued++)
            REQUIRE_EQ_INT_OR(pl_call_soon(f.loop, check_number, &all[queued], NULL), PL_OK, goto close);
        turn(&f, 1);
        CHECK_EQ_INT(next, queued);
    }
close:
    fixture_close(&f);
out:
    free(all);
}

static void note_and_queue(void *arg)
{
    fixture *f = arg;
    note(f, "first");
    soon(f, note_b);
}

TEST_CASE(what_a_callback_adds_waits_for_the_next_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    soon(&f, note_and_queue);
    soon(&f, note_a);
    turn(&f, 1);
    EXPECT_TRACE(&f, "first a ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "b ");
    fixture_close(&f);
}

static void queue_itself(void *arg)
{
    fixture *f = arg;
    f->counts[0]++;
    CHECK_EQ_INT(pl_call_soon(NULL, queue_itself, f, fixture_drop), PL_OK);
}

TEST_CASE(a_callback_that_queues_itself_runs_once_an_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    soon(&f, queue_itself);
    for (int i = 1; i <= 1000; i++) {
        turn(&f, 1);
        CHECK_EQ_INT(f.counts[0], i);
    }
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 1);
}

TEST_CASE(due_timers_run_after_what_was_ready_already)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    soon(&f, note_a);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, note_c, &f), PL_OK);
    soon(&f, note_b);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a b c ");
    fixture_close(&f);
}

/* A connection with a byte under way to a read that was started. */
typedef struct reading {
    fixture f;
    pl_stream *client, *server;
    pl_op op, write;
    char byte;
} reading;

static int64_t begin_reading(void *arg)
{
    reading *r = arg;
    REQUIRE_OR(connect_pair(&r->client, &r->server), return PL_EUNKNOWN);
    CHECK_EQ_INT(pl_read_start(&r->op, r->server, &r->byte, 1), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&r->op), &r->f.callbacks[0], note_a, &r->f), PL_OK);
    return 0;
}

static bool open_reading(reading *r, const test_context *t)
{
    memset(r, 0, sizeof *r);
    REQUIRE_OR(fixture_open(&r->f, t), return false);
    REQUIRE_EQ_INT_OR(run_task(&r->f, begin_reading, r), 0, return false);
    return CHECK_EQ_INT(pl_write_start(&r->write, r->client, "x", 1), PL_OK);
}

static int64_t end_reading(void *arg)
{
    reading *r = arg;
    CHECK_EQ_INT(pl_op_finish(&r->op), 1);
    CHECK_EQ_INT(pl_op_await(&r->write), PL_OK);
    pl_stream_close(r->client);
    pl_stream_close(r->server);
    return 0;
}

static void close_reading(reading *r)
{
    CHECK_EQ_INT(run_task(&r->f, end_reading, r), 0);
    fixture_close(&r->f);
}

enum { TURNS_UNTIL_READ = 10000000 }; /* many more than a byte needs */

/* A timer is due in each iteration, in that in which the byte comes too. */
TEST_CASE(what_completed_runs_before_the_timers_that_are_due)
{
    reading r;
    REQUIRE(open_reading(&r, t));
    for (int i = 0; i < TURNS_UNTIL_READ && !strchr(r.f.trace, 'a'); i++) {
        fixture_clear(&r.f);
        CHECK_EQ_INT(pl_timer_start(&r.f.timers[0], r.f.loop, 0, note_b, &r.f), PL_OK);
        turn(&r.f, 1);
    }
    EXPECT_TRACE(&r.f, "a b ");
    close_reading(&r);
}

static void start_due_timer(void *arg)
{
    fixture *f = arg;
    note(f, "start");
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, 0, note_a, f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f->timers[1], NULL, -1, note_b, f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f->timers[2], NULL, INT64_MIN, note_c, f), PL_OK);
}

TEST_CASE(a_timer_that_is_due_at_once_runs_in_the_next_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    soon(&f, start_due_timer);
    soon(&f, note_d);
    turn(&f, 1);
    EXPECT_TRACE(&f, "start d ");
    turn(&f, 1);
    CHECK_EQ_INT(strlen(f.trace), strlen("a b c "));
    fixture_close(&f);
}

TEST_CASE(run_once_does_not_wait_while_something_is_ready)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    soon(&f, note_a);
    CHECK_EQ_INT(pl_loop_run_once(f.loop, PL_FOREVER), PL_OK);
    EXPECT_TRACE(&f, "a ");
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, note_b, &f), PL_OK);
    while (!strstr(f.trace, "b"))
        CHECK_EQ_INT(pl_loop_run_once(f.loop, PL_FOREVER), PL_OK);
    fixture_close(&f);
}

TEST_CASE(run_once_with_nothing_to_do_returns_within_its_limit)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_run_once(f.loop, 0), PL_OK);
    CHECK_EQ_INT(pl_loop_run_once(f.loop, PL_MS(2)), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, PL_SECONDS(3600), note_a, &f), PL_OK);
    CHECK_EQ_INT(pl_loop_run_once(f.loop, 0), PL_OK);
    CHECK_EQ_INT(pl_loop_run_once(f.loop, PL_MS(2)), PL_OK);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
}

static void queue_until_timer(void *arg)
{
    fixture *f = arg;
    if (f->counts[0]++ < 100000000 && !strstr(f->trace, "a"))
        CHECK_EQ_INT(pl_call_soon(NULL, queue_until_timer, f, NULL), PL_OK);
    else
        CHECK_EQ_INT(pl_loop_stop(f->loop), PL_OK);
}

TEST_CASE(ready_work_does_not_keep_timers_from_running)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    soon(&f, queue_until_timer);
    /* The simulated clock need not go on while there is work. */
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, is_simulated(t) ? 0 : PL_MS(1), note_a, &f), PL_OK);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

TEST_CASE(the_clock_never_goes_back)
{
    fixture f;
    pl_duration last;
    REQUIRE(fixture_open(&f, t));
    last = pl_loop_time(f.loop);
    for (int i = 0; i < 10000; i++) {
        pl_duration now = pl_loop_time(f.loop);
        REQUIRE_OR(now >= last, break);
        last = now;
        if (i % 100 == 0)
            turn(&f, 1);
    }
    fixture_close(&f);
}

/* --- Running and stopping ----------------------------------------------------------------------------------------- */

static void stop_and_queue(void *arg)
{
    stop(arg);
    soon(arg, note_d);
}

TEST_CASE(stop_ends_the_run_after_the_present_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    soon(&f, note_a);
    soon(&f, stop_and_queue);
    soon(&f, note_b);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    EXPECT_TRACE(&f, "a stop b ");
    soon(&f, stop);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    EXPECT_TRACE(&f, "d stop ");
    fixture_close(&f);
}

TEST_CASE(stop_before_run_makes_exactly_one_iteration_that_does_not_wait)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, PL_SECONDS(3600), note_a, &f), PL_OK);
    CHECK_EQ_INT(pl_loop_stop(f.loop), PL_OK);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    EXPECT_TRACE(&f, "");
    soon(&f, note_and_queue);
    CHECK_EQ_INT(pl_loop_stop(f.loop), PL_OK);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    EXPECT_TRACE(&f, "first ");
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 1);
}

/* test_single_selecter_event_callback_after_stopping */
TEST_CASE(what_completed_runs_once_in_the_iteration_that_stops)
{
    reading r;
    REQUIRE(open_reading(&r, t));
    for (int i = 0; i < TURNS_UNTIL_READ && r.f.trace[0] == '\0'; i++) {
        CHECK_EQ_INT(pl_loop_stop(r.f.loop), PL_OK);
        CHECK_EQ_INT(pl_loop_run_forever(r.f.loop), PL_OK);
    }
    EXPECT_TRACE(&r.f, "a ");
    turn(&r.f, 2);
    EXPECT_TRACE(&r.f, "");
    close_reading(&r);
}

static void queue_stop(void *arg)
{
    note(arg, "again");
    soon(arg, stop);
}

TEST_CASE(a_stop_is_used_up_by_one_run)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_stop(f.loop), PL_OK);
    CHECK_EQ_INT(pl_loop_stop(f.loop), PL_OK); /* twice is once */
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    soon(&f, queue_stop);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    EXPECT_TRACE(&f, "again stop ");
    fixture_close(&f);
}

/* CPython issue 25593: callbacks of a stopped loop ran more than once. */
TEST_CASE(a_callback_of_a_stopped_run_runs_once)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < 2; i++) {
        soon(&f, stop);
        CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, note_a, &f), PL_OK);
        CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
        EXPECT_TRACE(&f, "stop a ");
    }
    turn(&f, 2);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
}

static void set_seven(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_future_set_result(f->futures[0], 7), PL_OK);
}

TEST_CASE(run_until_complete_gives_the_result)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    soon(&f, set_seven);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), 7);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), 7); /* of one that is done */
    fixture_close(&f);
}

TEST_CASE(run_until_complete_gives_the_error_and_takes_it_as_looked_at)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    CHECK_EQ_INT(pl_future_set_error(f.futures[0], PL_EIO), PL_OK);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), PL_EIO);
    CHECK_EQ_INT(pl_future_cancel(f.futures[1]), 1);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[1]), PL_ECANCELED);
    fixture_close(&f);
}

TEST_CASE(run_until_complete_ends_with_the_iteration_in_which_it_learns_of_it)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    soon(&f, set_seven);
    soon(&f, note_and_queue);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), 7);
    EXPECT_TRACE(&f, "first b ");
    fixture_close(&f);
}

static int64_t return_seven(void *arg)
{
    (void)arg;
    return 7;
}

static int64_t return_nine(void *arg)
{
    (void)arg;
    return 9;
}

/* Where the task that has just ended was, if nobody holds that. */
static void start_another(void *arg)
{
    pl_task_unref(start_task(arg, return_nine, arg));
}

static void set_seven_and_let_go(void *arg)
{
    fixture *f = arg;
    set_seven(f);
    drop_future(f, 0);
}

TEST_CASE(run_until_complete_keeps_what_it_waits_for)
{
    fixture f;
    pl_task *task;
    pl_future *future;
    REQUIRE(fixture_open(&f, t));
    task = start_task(&f, return_seven, &f);
    future = pl_task_future(task);
    soon(&f, start_another);
    pl_task_unref(task);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, future), 7);
    new_future(&f, 0);
    soon(&f, set_seven_and_let_go);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), 7);
    fixture_close(&f);
}

TEST_CASE(run_until_complete_says_that_stop_came_first)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    soon(&f, stop);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), PL_ESTOPPED);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_PENDING);
    fixture_close(&f);
}

TEST_CASE(a_future_that_an_ended_run_waited_for_does_not_end_the_next_run)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    soon(&f, stop);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[1]), PL_ESTOPPED);
    fixture_clear(&f);
    CHECK_EQ_INT(pl_future_set_result(f.futures[1], 1), PL_OK);
    soon(&f, note_and_queue); /* adds b, an iteration later */
    soon(&f, queue_stop);     /* stops, an iteration later */
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    EXPECT_TRACE(&f, "first again b stop ");
    fixture_close(&f);
}

TEST_CASE(run_until_complete_refuses_a_future_of_another_loop)
{
    fixture f, other;
    REQUIRE(fixture_open(&f, t));
    REQUIRE(fixture_open(&other, t));
    new_future(&other, 0);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, other.futures[0]), PL_EINVAL);
    fixture_close(&other);
    fixture_close(&f);
}

static int64_t stop_in_the_second_round(void *arg)
{
    fixture *f = arg;
    while (f->counts[0] < 5) {
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
        if (++f->counts[0] == 2)
            CHECK_EQ_INT(pl_loop_stop(f->loop), PL_OK);
    }
    return 5;
}

/* test_stop_while_run_in_complete */
TEST_CASE(a_task_that_stops_the_loop_goes_on_in_the_next_run)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, stop_in_the_second_round);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ESTOPPED);
    CHECK_EQ_INT(f.counts[0], 2);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), 5);
    fixture_close(&f);
}

static void run_inside(void *arg)
{
    fixture *f = arg;
    pl_loop *other;
    pl_loop_options options = {.size = sizeof options, .backend = pl_loop_backend(f->loop)};
    f->counts[0]++;
    CHECK_EQ_INT(pl_loop_run_once(f->loop, 0), PL_EBUSY);
    CHECK_EQ_INT(pl_loop_run_forever(f->loop), PL_EBUSY);
    CHECK_EQ_INT(pl_loop_run_until_complete(f->loop, f->futures[0]), PL_EBUSY);
    CHECK_EQ_INT(pl_loop_close(f->loop), PL_EBUSY);
    REQUIRE_EQ_INT(pl_loop_create(&other, &options), PL_OK);
    CHECK_EQ_INT(pl_loop_run_once(other, 0), PL_EBUSY);
    CHECK_EQ_INT(pl_loop_run_forever(other), PL_EBUSY);
    CHECK(pl_loop_running() == f->loop);
    CHECK_EQ_INT(pl_loop_close(other), PL_OK);
    CHECK(pl_loop_running() == f->loop);
}

static int64_t run_inside_task(void *arg)
{
    run_inside(arg);
    return 0;
}

TEST_CASE(a_loop_that_runs_can_neither_be_run_nor_closed_and_no_other_beside_it)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    soon(&f, run_inside);
    turn(&f, 1);
    CHECK_EQ_INT(run_task(&f, run_inside_task, &f), 0);
    CHECK_EQ_INT(f.counts[0], 2);
    soon(&f, note_a);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

TEST_CASE(two_loops_can_take_turns_in_a_thread)
{
    fixture f, g;
    REQUIRE(fixture_open(&f, t));
    REQUIRE(fixture_open(&g, t));
    for (int i = 0; i < 3; i++) {
        soon(&f, note_a);
        soon(&g, note_b);
        turn(&f, 1);
        turn(&g, 1);
    }
    EXPECT_TRACE(&f, "a a a ");
    EXPECT_TRACE(&g, "b b b ");
    fixture_close(&f);
    fixture_close(&g);
}

static void check_running(void *arg)
{
    fixture *f = arg;
    f->counts[0]++;
    CHECK(pl_loop_running() == f->loop);
}

static int64_t check_running_task(void *arg)
{
    check_running(arg);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    check_running(arg);
    return 0;
}

static void check_not_running(void *arg)
{
    fixture *f = arg;
    f->counts[1]++;
    CHECK(pl_loop_running() == NULL);
}

static void look_from_elsewhere(void *arg)
{
    REQUIRE(test_in_thread(check_not_running, arg));
}

TEST_CASE(the_running_loop_is_known_inside_it_and_in_its_thread_only)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK(pl_loop_running() == NULL);
    soon(&f, check_running);
    soon(&f, look_from_elsewhere);
    turn(&f, 1);
    CHECK(pl_loop_running() == NULL);
    CHECK_EQ_INT(run_task(&f, check_running_task, &f), 0);
    CHECK(pl_loop_running() == NULL);
    CHECK_EQ_INT(f.counts[0], 3);
    CHECK_EQ_INT(f.counts[1], 1);
    fixture_close(&f);
    CHECK(pl_loop_running() == NULL);
}

/* --- Threads ------------------------------------------------------------------------------------------------------ */

static void run_elsewhere(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_loop_run_once(f->loop, 0), PL_ETHREAD);
    CHECK_EQ_INT(pl_loop_run_forever(f->loop), PL_ETHREAD);
    CHECK_EQ_INT(pl_loop_run_until_complete(f->loop, f->futures[0]), PL_ETHREAD);
    CHECK_EQ_INT(pl_loop_close(f->loop), PL_ETHREAD);
}

TEST_CASE(a_loop_is_bound_to_the_thread_that_first_ran_it)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    turn(&f, 1);
    REQUIRE(test_in_thread(run_elsewhere, &f));
    turn(&f, 1);
    fixture_close(&f);
}

static void run_and_close_elsewhere(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(run_task(f, check_running_task, f), 0);
    fixture_close(f);
}

TEST_CASE(a_loop_can_be_made_in_one_thread_and_run_in_another)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    REQUIRE(test_in_thread(run_and_close_elsewhere, &f));
    CHECK(f.loop == NULL);
}

static int64_t never(void *arg)
{
    note(arg, "never");
    return 0;
}

static void note_never(void *arg)
{
    note(arg, "never");
}

static void misuse_from_elsewhere(void *arg)
{
    fixture *f = arg;
    pl_task_options options = {.size = sizeof options, .loop = f->loop, .drop = fixture_drop};
    CHECK_EQ_INT(pl_call_soon(f->loop, note_never, f, fixture_drop), PL_ETHREAD);
    CHECK_EQ_INT(f->drops, 1);
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], f->loop, 0, note_never, f), PL_ETHREAD);
    CHECK_EQ_INT(pl_timer_start_at(&f->timers[0], f->loop, 0, note_never, f), PL_ETHREAD);
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], f->loop, note_never, f), PL_ETHREAD);
    CHECK_EQ_INT(pl_spawn(NULL, never, f, &options), PL_ETHREAD);
    CHECK_EQ_INT(f->drops, 2);
}

TEST_CASE(debug_mode_refuses_calls_from_another_thread_and_nothing_has_changed)
{
    fixture f;
    REQUIRE(fixture_open_debug(&f, t));
    turn(&f, 1);
    REQUIRE(test_in_thread(misuse_from_elsewhere, &f));
    CHECK_EQ_INT(pl_timer_stop(&f.timers[0]), 0);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[0]), 0);
    turn(&f, 3);
    EXPECT_TRACE(&f, "");
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 2);
}

TEST_CASE(debug_mode_lets_the_loops_own_thread_do_everything)
{
    fixture f;
    REQUIRE(fixture_open_debug(&f, t));
    soon(&f, note_a); /* before it is bound */
    turn(&f, 1);
    soon(&f, note_b);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, note_c, &f), PL_OK);
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], f.loop, note_d, &f), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a b d c ");
    CHECK_EQ_INT(run_task(&f, check_running_task, &f), 0);
    fixture_close(&f);
}

/* --- Closing ------------------------------------------------------------------------------------------------------ */

TEST_CASE(closing_no_loop_is_fine)
{
    (void)t;
    CHECK_EQ_INT(pl_loop_close(NULL), PL_OK);
}

TEST_CASE(closing_a_loop_that_never_ran_is_fine)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    fixture_close(&f);
}

TEST_CASE(close_drops_each_queued_callback_once_and_runs_none)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    turn(&f, 1);
    for (int i = 0; i < 100; i++)
        soon(&f, note_a);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK); /* nothing to drop it with */
    fixture_close(&f);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(f.drops, 100);
}

TEST_CASE(close_forgets_callbacks_and_timers_of_the_caller)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], f.loop, note_a, &f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, note_b, &f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f.timers[1], f.loop, PL_SECONDS(3600), note_c, &f), PL_OK);
    fixture_close(&f);
    EXPECT_TRACE(&f, "");
}

TEST_CASE(close_drops_each_task_that_has_not_begun_once)
{
    fixture f;
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    for (int i = 0; i < 10; i++)
        CHECK_EQ_INT(pl_spawn(i < 2 ? &f.tasks[i] : NULL, never, &f, &options), PL_OK);
    fixture_close(&f);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(f.drops, 10);
}

TEST_CASE(a_reference_to_a_task_outlives_its_loop)
{
    fixture f;
    pl_task *task;
    REQUIRE(fixture_open(&f, t));
    task = start_task(&f, never, &f);
    fixture_close(&f);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_future_state(pl_task_future(task)), PL_CANCELLED);
    CHECK_EQ_INT(pl_future_result(pl_task_future(task)), PL_ECANCELED);
    CHECK_EQ_INT(pl_task_cancel(task), 0);
    pl_task_unref(task);
}

static int64_t wait_in_sleep(void *arg)
{
    int rc = pl_sleep(PL_SECONDS(3600));
    note(arg, "sleep");
    return rc;
}

static int64_t wait_in_sleep_for_ever(void *arg)
{
    int rc = pl_sleep(PL_FOREVER);
    note(arg, "forever");
    return rc;
}

static int64_t wait_in_yields(void *arg)
{
    int rc;
    while ((rc = pl_yield()) == PL_OK)
        ;
    note(arg, "yield");
    return rc;
}

static int64_t wait_for_future(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_await(f->futures[0]);
    note(f, "future");
    return rc;
}

static int64_t wait_for_task(void *arg)
{
    fixture *f = arg;
    int64_t rc = pl_task_await(f->tasks[0]);
    note(f, "task");
    return rc;
}

static int64_t wait_in_timeout(void *arg)
{
    pl_timeout limit = {0};
    int64_t rc = pl_timeout_begin(&limit, PL_SECONDS(3600));
    if (rc < 0)
        return rc;
    rc = pl_timeout_end(&limit, pl_sleep(PL_FOREVER));
    note(arg, "timeout");
    return rc;
}

static int64_t wait_in_group(void *arg)
{
    pl_group group = {0};
    int64_t rc = pl_group_begin(&group, PL_GROUP_FAIL_FAST);
    if (rc < 0)
        return rc;
    CHECK_EQ_INT(pl_group_spawn(&group, wait_in_sleep_for_ever, arg, NULL), PL_OK);
    rc = pl_group_end(&group, 0);
    note(arg, "group");
    return rc;
}

static int64_t wait_in_shielded(void *arg)
{
    pl_shielded shielded = {0};
    int64_t rc;
    fixture *f = arg;
    (void)pl_sleep(PL_FOREVER);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    rc = pl_await(f->futures[1]);
    pl_shielded_end(&shielded);
    CHECK_EQ_INT(rc, 11);
    CHECK_EQ_INT(pl_sleep(0), PL_ECANCELED);
    note(arg, "shielded");
    return PL_ECANCELED;
}

static int64_t end_the_shielded(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK_EQ_INT(pl_future_set_result(f->futures[1], 11), PL_OK);
    return PL_ECANCELED;
}

TEST_CASE(close_cancels_tasks_wherever_they_wait_and_lets_them_end)
{
    static pl_task_fn *const waits[] = {wait_in_sleep,   wait_in_sleep_for_ever, wait_in_yields,
                                        wait_for_future, wait_for_task,          wait_in_timeout,
                                        wait_in_group,   wait_in_shielded,       end_the_shielded};
    static const char *const words[] = {"sleep ", "forever ", "yield ", "future ",
                                        "task ",  "timeout ", "group ", "shielded "};
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    start_slot(&f, 0, wait_in_sleep);
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
        pl_task_unref(start_task(&f, waits[i], &f));
    turn(&f, 3);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        CHECK(strstr(f.trace, words[i]) != NULL);
    CHECK_EQ_INT(pl_future_state(f.futures[0]), PL_CANCELLED);
    fixture_release_slots(&f);
    EXPECT_REPORTS(&f, "");
}

TEST_CASE(a_future_outlives_its_loop)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    new_future(&f, 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[1], 7), PL_OK);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    CHECK_EQ_INT(pl_future_result(f.futures[1]), 7);
    fixture_release_slots(&f);
}

static int64_t ignore_a_few_cancels(void *arg)
{
    fixture *f = arg;
    for (int i = 0; i < 100; i++)
        if (pl_sleep(PL_FOREVER) == PL_ECANCELED)
            f->counts[0]++;
    return 0;
}

TEST_CASE(the_cancel_of_close_is_a_level)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, ignore_a_few_cancels);
    turn(&f, 1);
    fixture_close(&f);
    CHECK_EQ_INT(f.counts[0], 100);
}

static int64_t heed_many_limits(void *arg)
{
    fixture *f = arg;
    int rc;
    for (int i = 0; i < 1500; i++) {
        pl_timeout limit = {0};
        CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_yield()), PL_ETIMEDOUT);
    }
    f->reports[0] = '\0'; /* a matter of another case */
    rc = pl_sleep(PL_FOREVER);
    note_code(f, rc);
    return rc;
}

TEST_CASE(close_does_not_give_up_a_task_that_heeded_a_thousand_cancels_before)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, heed_many_limits);
    turn(&f, 1600);
    fixture_close(&f);
    EXPECT_TRACE(&f, "PL_ECANCELED ");
}

static int64_t spawn_while_closing(void *arg)
{
    fixture *f = arg;
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    int rc;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    rc = pl_spawn(NULL, never, f, &options);
    CHECK(rc == PL_OK || rc == PL_ECLOSED);
    rc = pl_call_soon(NULL, note_a, f, fixture_drop); /* runs or is dropped */
    CHECK(rc == PL_OK || rc == PL_ECLOSED);
    return 0;
}

TEST_CASE(what_a_task_starts_while_the_loop_closes_is_dropped_once)
{
    fixture f;
    int runs;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, spawn_while_closing);
    turn(&f, 1);
    fixture_close(&f);
    runs = strcmp(f.trace, "a ") == 0;
    CHECK(runs || f.trace[0] == '\0');
    CHECK_EQ_INT(f.drops + runs, 2);
}

/* A supervisor: it replaces its task. */
static void replace_task(void *arg)
{
    fixture *f = arg;
    pl_task_options options = {.size = sizeof options, .loop = f->loop};
    int rc;
    if (++f->counts[1] > 50) /* or a failure would not end */
        return;
    pl_task_unref(f->tasks[0]);
    f->tasks[0] = NULL;
    rc = pl_spawn(&f->tasks[0], wait_in_sleep_for_ever, f, &options);
    note_code(f, rc);
    if (rc == PL_OK)
        CHECK_EQ_INT(
            pl_future_add_done_callback(pl_task_future(f->tasks[0]), &f->callbacks[0], replace_task, f), PL_OK);
}

TEST_CASE(a_callback_that_replaces_its_task_does_not_keep_the_loop_that_closes)
{
    fixture f;
    pl_task *task;
    REQUIRE(fixture_open(&f, t));
    task = start_slot(&f, 0, wait_in_sleep_for_ever);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_task_future(task), &f.callbacks[0], replace_task, &f), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(task), 1);
    turn(&f, 2);
    EXPECT_TRACE(&f, "forever PL_OK "); /* as long as the loop does not close */
    start_slot(&f, 1, ignore_a_few_cancels); /* so that the loop goes on when the other has ended */
    turn(&f, 1);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    EXPECT_TRACE(&f, "forever PL_ECLOSED ");
    CHECK_EQ_INT(f.counts[1], 2);
    fixture_release_slots(&f);
    EXPECT_REPORTS(&f, "");
}

static int64_t fail_while_closing(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    return PL_EIO;
}

TEST_CASE(an_error_of_a_task_that_close_cancelled_is_reported)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, fail_while_closing);
    turn(&f, 1);
    fixture_release_slots(&f);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    EXPECT_REPORTS(&f, "PL_EIO ");
}

static void queue_from_drop(void *arg)
{
    fixture *f = arg;
    int rc;
    f->drops++;
    rc = pl_call_soon(f->loop, note_never, f, fixture_drop);
    CHECK(rc == PL_OK || rc == PL_ECLOSED || rc == PL_ENOLOOP);
}

TEST_CASE(a_drop_function_may_call_the_loop_that_closes)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, note_never, &f, queue_from_drop), PL_OK);
    fixture_close(&f);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(f.drops, 2);
}

static void stop_and_close(void *arg)
{
    fixture *f = arg;
    note_code(f, pl_loop_stop(f->loop));
    note_code(f, pl_loop_close(f->loop));
    note_code(f, pl_loop_run_once(f->loop, 0));
}

static int64_t end_slowly(void *arg)
{
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    note(arg, "end");
    return PL_ECANCELED;
}

/* The first is dropped while the tasks end, the second when they have. */
TEST_CASE(a_drop_function_may_stop_and_close_the_loop_that_closes)
{
    fixture f;
    pl_task_options options = {.size = sizeof options, .drop = stop_and_close};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    pl_loop_set_exception_handler(f.loop, NULL, NULL);
    start_slot(&f, 0, end_slowly);
    turn(&f, 1);
    CHECK_EQ_INT(pl_spawn(NULL, never, &f, &options), PL_OK);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    EXPECT_TRACE(&f, "PL_OK PL_EBUSY PL_EBUSY end ");
    fixture_release_slots(&f);

    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, note_never, &f, stop_and_close), PL_OK);
    fixture_close(&f);
    EXPECT_TRACE(&f, "PL_ECLOSED PL_OK PL_ECLOSED ");
}

TEST_CASE(what_a_closed_loop_has_forgotten_is_idle)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], f.loop, note_never, &f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, note_never, &f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f.timers[1], f.loop, PL_SECONDS(3600), note_never, &f), PL_OK);
    new_future(&f, 0);
    new_future(&f, 1);
    for (int i = 0; i < 2; i++)
        CHECK_EQ_INT(
            pl_future_add_done_callback(f.futures[i], &f.callbacks[i + 1], note_never, &f), PL_OK);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[0]), 0);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[1]), 0);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[0]), 0);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[1]), 1); /* its future was still pending */
    CHECK_EQ_INT(pl_future_set_result(f.futures[1], 1), PL_OK);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[2]), 0);
    fixture_release_slots(&f);
    EXPECT_TRACE(&f, "");
}

/* The future keeps the loop's memory. */
TEST_CASE(a_closed_loop_refuses_everything_and_drops_its_arguments)
{
    fixture f;
    pl_future *future = NULL;
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    new_future(&f, 0);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_never, &f, fixture_drop), PL_ECLOSED);
    CHECK_EQ_INT(f.drops, 1);
    CHECK_EQ_INT(pl_spawn(NULL, never, &f, &options), PL_ECLOSED);
    CHECK_EQ_INT(f.drops, 2);
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], f.loop, note_never, &f), PL_ECLOSED);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, note_never, &f), PL_ECLOSED);
    CHECK_EQ_INT(pl_timer_start_at(&f.timers[0], f.loop, 0, note_never, &f), PL_ECLOSED);
    CHECK_EQ_INT(pl_future_create(&future, f.loop), PL_ECLOSED);
    CHECK(future == NULL);
    CHECK_EQ_INT(pl_future_add_done_callback(f.futures[0], &f.callbacks[0], note_never, &f), PL_ECLOSED);
    CHECK_EQ_INT(pl_loop_run_once(f.loop, 0), PL_ECLOSED);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_ECLOSED);
    CHECK_EQ_INT(pl_loop_run_until_complete(f.loop, f.futures[0]), PL_ECLOSED);
    CHECK_EQ_INT(pl_loop_stop(f.loop), PL_ECLOSED);
    CHECK_EQ_INT(pl_loop_set_exception_handler(f.loop, NULL, NULL), PL_ECLOSED);
    CHECK_EQ_INT(pl_loop_time(f.loop), PL_EINVAL);
    CHECK(pl_loop_remote(f.loop) == NULL);
    CHECK(pl_loop_backend(f.loop) == NULL);
    fixture_release_slots(&f);
    EXPECT_TRACE(&f, "");
}

/* --- Reports ------------------------------------------------------------------------------------------------------ */

TEST_CASE(a_report_reaches_the_handler_as_it_was_given)
{
    fixture f;
    pl_report report = {"the roof leaks", PL_EIO, 42, "plumber", "house.c:7", "builder\n"};
    REQUIRE(fixture_open(&f, t));
    pl_loop_report(f.loop, &report);
    CHECK(f.report_loop == f.loop);
    CHECK_STR(f.report_message, "the roof leaks");
    CHECK_STR(f.report_task, "plumber");
    CHECK_STR(f.report_where, "house.c:7");
    CHECK_STR(f.report_stack, "builder\n");
    EXPECT_REPORTS(&f, "PL_EIO ");
    fixture_close(&f);
}

static void report_again(pl_loop *loop, const pl_report *report, void *arg)
{
    fixture *f = arg;
    (void)report;
    if (f->counts[0]++ < 5)
        pl_loop_report(loop, &(pl_report){"made inside the handler, as the test wants it", PL_EBUSY, 0, NULL, NULL, NULL});
}

TEST_CASE(a_report_made_inside_the_handler_does_not_come_to_the_handler)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_exception_handler(f.loop, report_again, &f), PL_OK);
    pl_loop_report(f.loop, &(pl_report){"outside", PL_EIO, 0, NULL, NULL, NULL});
    CHECK_EQ_INT(f.counts[0], 1);
    pl_loop_report(f.loop, &(pl_report){"outside again", PL_EIO, 0, NULL, NULL, NULL});
    CHECK_EQ_INT(f.counts[0], 2);
    fixture_close(&f);
}

TEST_CASE(without_a_handler_reports_go_to_standard_error)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_set_exception_handler(f.loop, NULL, NULL), PL_OK);
    pl_loop_report(f.loop, &(pl_report){"nobody listens, as the test wants it", PL_EIO, 5, "task", "file.c:1", NULL});
    pl_loop_report(f.loop, &(pl_report){NULL, 0, 0, NULL, NULL, NULL});
    EXPECT_REPORTS(&f, "");
    fixture_close(&f);
}

static int64_t fail(void *arg)
{
    (void)arg;
    return PL_EIO;
}

TEST_CASE(a_failure_is_reported_and_the_loop_goes_on)
{
    fixture f;
    pl_task_options options = {.size = sizeof options, .name = "careless"};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    CHECK_EQ_INT(pl_spawn(NULL, fail, &f, &options), PL_OK);
    turn(&f, 2);
    CHECK_STR(f.report_task, "careless");
    CHECK(f.report_loop == f.loop);
    EXPECT_REPORTS(&f, "PL_EIO ");
    soon(&f, note_a);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

static void suspend_in_callback(void *arg)
{
    fixture *f = arg;
    pl_timeout limit = {0};
    pl_group group = {0};
    pl_shielded shielded = {0};
    f->counts[0]++;
    CHECK(pl_task_current() == NULL);
    CHECK_EQ_INT(pl_sleep(0), PL_ENOTASK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_ENOTASK);
    CHECK_EQ_INT(pl_sleep_until(0), PL_ENOTASK);
    CHECK_EQ_INT(pl_yield(), PL_ENOTASK);
    CHECK_EQ_INT(pl_await(f->futures[0]), PL_ENOTASK);
    CHECK_EQ_INT(pl_await(f->futures[1]), PL_ENOTASK);
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_ENOTASK);
    CHECK_EQ_INT(pl_timeout_begin_at(&limit, 0), PL_ENOTASK);
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_ENOTASK);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_ENOTASK);
}

TEST_CASE(a_callback_that_wants_to_wait_is_told_that_it_is_no_task)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    CHECK_EQ_INT(pl_future_set_result(new_future(&f, 1), 1), PL_OK);
    soon(&f, suspend_in_callback);
    turn(&f, 1);
    suspend_in_callback(&f); /* outside of a loop */
    CHECK_EQ_INT(f.counts[0], 2);
    fixture_close(&f);
}

TEST_CASE(without_a_running_loop_null_means_none)
{
    fixture f;
    pl_future *future = NULL;
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, &f, fixture_drop), PL_ENOLOOP);
    CHECK_EQ_INT(f.drops, 1);
    CHECK_EQ_INT(pl_spawn(NULL, never, &f, &options), PL_ENOLOOP);
    CHECK_EQ_INT(f.drops, 2);
    CHECK_EQ_INT(pl_spawn(NULL, never, &f, NULL), PL_ENOLOOP);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], NULL, 0, note_a, &f), PL_ENOLOOP);
    CHECK_EQ_INT(pl_timer_start_at(&f.timers[0], NULL, 0, note_a, &f), PL_ENOLOOP);
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], NULL, note_a, &f), PL_ENOLOOP);
    CHECK_EQ_INT(pl_future_create(&future, NULL), PL_ENOLOOP);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[0]), 0);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[0]), 0);
    fixture_close(&f);
}

TEST_CASE(no_function_to_call_is_refused_and_the_argument_dropped)
{
    fixture f;
    pl_task_options options = {.size = sizeof options, .drop = fixture_drop};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    CHECK_EQ_INT(pl_call_soon(f.loop, NULL, &f, fixture_drop), PL_EINVAL);
    CHECK_EQ_INT(f.drops, 1);
    CHECK_EQ_INT(pl_spawn(NULL, NULL, &f, &options), PL_EINVAL);
    CHECK_EQ_INT(f.drops, 2);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, NULL, &f), PL_EINVAL);
    CHECK_EQ_INT(pl_timer_start_at(&f.timers[0], f.loop, 0, NULL, &f), PL_EINVAL);
    CHECK_EQ_INT(pl_callback_schedule(&f.callbacks[0], f.loop, NULL, &f), PL_EINVAL);
    turn(&f, 2);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 2);
}

TEST_SUITE(loop, TEST_BACKENDS_ALL,
           CASE(a_loop_has_the_backend_that_was_asked_for),
           CASE(no_options_are_the_defaults),
           CASE(an_unknown_backend_is_refused),
           CASE(headers_of_another_version_are_refused),
           CASE(the_default_loop_is_made_once_and_again_after_its_close),
           CASE(the_default_loop_is_of_the_main_thread_only),
           CASE(call_soon_is_first_in_first_out),
           CASE(the_order_survives_a_queue_that_grows_and_wraps),
           CASE(what_a_callback_adds_waits_for_the_next_iteration),
           CASE(a_callback_that_queues_itself_runs_once_an_iteration),
           CASE(due_timers_run_after_what_was_ready_already),
           CASE(what_completed_runs_before_the_timers_that_are_due),
           CASE(a_timer_that_is_due_at_once_runs_in_the_next_iteration),
           CASE(run_once_does_not_wait_while_something_is_ready),
           CASE(run_once_with_nothing_to_do_returns_within_its_limit),
           CASE(ready_work_does_not_keep_timers_from_running),
           CASE(the_clock_never_goes_back),
           CASE(stop_ends_the_run_after_the_present_iteration),
           CASE(stop_before_run_makes_exactly_one_iteration_that_does_not_wait),
           CASE(what_completed_runs_once_in_the_iteration_that_stops),
           CASE(a_stop_is_used_up_by_one_run),
           CASE(a_callback_of_a_stopped_run_runs_once),
           CASE(run_until_complete_gives_the_result),
           CASE(run_until_complete_gives_the_error_and_takes_it_as_looked_at),
           CASE(run_until_complete_ends_with_the_iteration_in_which_it_learns_of_it),
           CASE(run_until_complete_keeps_what_it_waits_for),
           CASE(run_until_complete_says_that_stop_came_first),
           CASE(a_future_that_an_ended_run_waited_for_does_not_end_the_next_run),
           CASE(run_until_complete_refuses_a_future_of_another_loop),
           CASE(a_task_that_stops_the_loop_goes_on_in_the_next_run),
           CASE(a_loop_that_runs_can_neither_be_run_nor_closed_and_no_other_beside_it),
           CASE(two_loops_can_take_turns_in_a_thread),
           CASE(the_running_loop_is_known_inside_it_and_in_its_thread_only),
           CASE(a_loop_is_bound_to_the_thread_that_first_ran_it),
           CASE(a_loop_can_be_made_in_one_thread_and_run_in_another),
           CASE(debug_mode_refuses_calls_from_another_thread_and_nothing_has_changed),
           CASE(debug_mode_lets_the_loops_own_thread_do_everything),
           CASE(closing_no_loop_is_fine),
           CASE(closing_a_loop_that_never_ran_is_fine),
           CASE(close_drops_each_queued_callback_once_and_runs_none),
           CASE(close_forgets_callbacks_and_timers_of_the_caller),
           CASE(close_drops_each_task_that_has_not_begun_once),
           CASE(a_reference_to_a_task_outlives_its_loop),
           CASE(close_cancels_tasks_wherever_they_wait_and_lets_them_end),
           CASE(a_future_outlives_its_loop),
           CASE(the_cancel_of_close_is_a_level),
           CASE(close_does_not_give_up_a_task_that_heeded_a_thousand_cancels_before),
           CASE(what_a_task_starts_while_the_loop_closes_is_dropped_once),
           CASE(a_callback_that_replaces_its_task_does_not_keep_the_loop_that_closes),
           CASE(an_error_of_a_task_that_close_cancelled_is_reported),
           CASE(a_drop_function_may_call_the_loop_that_closes),
           CASE(a_drop_function_may_stop_and_close_the_loop_that_closes),
           CASE(what_a_closed_loop_has_forgotten_is_idle),
           CASE(a_closed_loop_refuses_everything_and_drops_its_arguments),
           CASE(a_report_reaches_the_handler_as_it_was_given),
           CASE(a_report_made_inside_the_handler_does_not_come_to_the_handler),
           CASE(without_a_handler_reports_go_to_standard_error),
           CASE(a_failure_is_reported_and_the_loop_goes_on),
           CASE(a_callback_that_wants_to_wait_is_told_that_it_is_no_task),
           CASE(without_a_running_loop_null_means_none),
           CASE(no_function_to_call_is_refused_and_the_argument_dropped))
