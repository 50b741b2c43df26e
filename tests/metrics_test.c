/* The numbers of a loop. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "loopback.h"
#include "threads.h"

static pl_metrics measure(pl_loop *loop)
{
    pl_metrics m = {.size = sizeof m};
    CHECK_EQ_INT(pl_loop_metrics(loop, &m), PL_OK);
    return m;
}

TEST_CASE(a_new_loop_has_counted_nothing)
{
    fixture f;
    pl_metrics m, none = {.size = sizeof none};
    REQUIRE(fixture_open(&f, t));
    m = measure(f.loop);
    CHECK_MEM(&m, &none, sizeof m);
    fixture_close(&f);
}

TEST_CASE(iterations_callbacks_and_polls_are_counted)
{
    fixture f;
    pl_metrics m;
    REQUIRE(fixture_open_with(&f, (pl_loop_options){.backend = t->backend, .debug = -1}));
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_b, &f, NULL), PL_OK);
    turn(&f, 3);
    m = measure(f.loop);
    CHECK_EQ_INT(m.iterations, 3);
    CHECK_EQ_INT(m.callbacks, 2);
    CHECK(m.polls >= 2 && m.polls <= 3); /* the first iteration, with ready work, may leave it out */
    CHECK(m.poll_time >= 0);
    CHECK_EQ_INT(m.longest_callback, 0);
    fixture_clear(&f);
    fixture_close(&f);
}

TEST_CASE(the_time_that_a_loop_waits_is_poll_time)
{
    fixture f;
    pl_metrics m;
    pl_duration began;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, PL_MS(2), note_a, &f), PL_OK);
    began = pl_loop_time(f.loop);
    while (!f.trace[0])
        CHECK_EQ_INT(pl_loop_run_once(f.loop, PL_FOREVER), PL_OK);
    m = measure(f.loop);
    CHECK(m.poll_time > 0);
    CHECK(m.poll_time <= pl_loop_time(f.loop) - began);
    if (is_simulated(t))
        CHECK_EQ_INT(m.poll_time, PL_MS(2));
    fixture_clear(&f);
    fixture_close(&f);
}

static void measure_inside(void *arg)
{
    fixture *f = arg;
    pl_metrics m = measure(NULL);
    CHECK_EQ_INT(m.ready, 3); /* two of this iteration are left, and one was added */
    note(f, "measured");
}

static void add_one(void *arg)
{
    CHECK_EQ_INT(pl_call_soon(NULL, note_c, arg, NULL), PL_OK);
}

TEST_CASE(what_is_ready_is_counted_in_and_behind_the_present_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, add_one, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, measure_inside, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_b, &f, NULL), PL_OK);
    CHECK_EQ_INT(measure(f.loop).ready, 4);
    turn(&f, 1);
    CHECK_EQ_INT(measure(f.loop).ready, 1);
    turn(&f, 1);
    CHECK_EQ_INT(measure(f.loop).ready, 0);
    EXPECT_TRACE(&f, "measured a b c ");
    fixture_close(&f);
}

static int64_t sleep_for_ever(void *arg)
{
    (void)arg;
    return pl_sleep(PL_FOREVER);
}

TEST_CASE(tasks_and_timers_are_counted)
{
    fixture f;
    pl_metrics m;
    REQUIRE(fixture_open(&f, t));
    start_slot(&f, 0, sleep_for_ever);
    start_slot(&f, 1, sleep_for_ever);
    turn(&f, 1);
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, PL_SECONDS(3600), note_a, &f), PL_OK);
    m = measure(f.loop);
    CHECK_EQ_INT(m.tasks, 2);
    CHECK_EQ_INT(m.tasks_made, 2);
    CHECK_EQ_INT(m.timers, 3); /* each sleep has one */
    pl_task_cancel(f.tasks[0]);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    m = measure(f.loop);
    CHECK_EQ_INT(m.tasks, 1);
    CHECK_EQ_INT(m.tasks_made, 2);
    CHECK_EQ_INT(m.timers, 2);
    CHECK_EQ_INT(pl_timer_stop(&f.timers[0]), 1);
    fixture_close(&f);
}

static void measure_streams(void)
{
    pl_listener *listener = NULL;
    pl_stream *near = NULL, *far = NULL;
    uint16_t port = 0;
    uint64_t before;
    char byte;
    pl_op read = {0};
    CHECK(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_tcp_connect(&near, "127.0.0.1", port, NULL), PL_OK);
    CHECK_EQ_INT(pl_accept(listener, &far), PL_OK);
    CHECK_EQ_INT(measure(NULL).listeners, 1);
    CHECK_EQ_INT(measure(NULL).streams, 2);
    before = measure(NULL).in_flight;
    CHECK_EQ_INT(pl_read_start(&read, near, &byte, 1), PL_OK);
    CHECK_EQ_INT(measure(NULL).in_flight, before + 1);
    CHECK_EQ_INT(pl_op_finish(&read), PL_ECANCELED);
    CHECK_EQ_INT(measure(NULL).in_flight, before);
    pl_stream_abort(near);
    pl_stream_abort(far);
    pl_listener_close(listener);
}

TEST_CASE(streams_listeners_and_requests_in_flight_are_counted)
{
    loopback_run(t, measure_streams, NULL);
}

typedef struct posting {
    fixture f;
    pl_remote *remote;
} posting;

static void post_two(void *arg)
{
    posting *p = arg;
    CHECK_EQ_INT(pl_call_soon_threadsafe(p->remote, note_a, &p->f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon_threadsafe(p->remote, note_b, &p->f, NULL), PL_OK);
}

TEST_CASE(posts_of_other_threads_are_counted_and_how_often_they_were_found)
{
    posting p;
    pl_metrics m;
    REQUIRE(fixture_open(&p.f, t));
    p.remote = pl_loop_remote(p.f.loop);
    CHECK(test_in_thread(post_two, &p));
    CHECK_EQ_INT(measure(p.f.loop).posts, 0);
    turn(&p.f, 2);
    EXPECT_TRACE(&p.f, "a b ");
    m = measure(p.f.loop);
    CHECK_EQ_INT(m.posts, 2);
    CHECK_EQ_INT(m.wake_ups, 1);
    pl_remote_unref(p.remote);
    fixture_close(&p.f);
}

TEST_CASE(in_debug_mode_the_longest_callback_is_known)
{
    fixture f;
    pl_duration longest;
    REQUIRE(fixture_open_debug(&f, t));
    CHECK_EQ_INT(measure(f.loop).longest_callback, 0);
    for (int i = 0; i < 3; i++) {
        longest = measure(f.loop).longest_callback;
        CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
        turn(&f, 1);
        CHECK(measure(f.loop).longest_callback >= 1);
        CHECK(measure(f.loop).longest_callback >= longest);
    }
    fixture_clear(&f);
    fixture_close(&f);
}

TEST_CASE(metrics_of_another_size_or_of_no_loop_are_refused)
{
    fixture f;
    pl_metrics m = {.size = sizeof m - 8};
    REQUIRE(fixture_open(&f, t));
    pl_remote *remote = pl_loop_remote(f.loop);
    CHECK_EQ_INT(pl_loop_metrics(f.loop, &m), PL_EINVAL);
    CHECK_EQ_INT(pl_loop_metrics(f.loop, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_remote_metrics(remote, 0, &m), PL_EINVAL);
    CHECK_EQ_INT(pl_remote_metrics(remote, 0, NULL), PL_EINVAL);
    m.size = sizeof m;
    CHECK_EQ_INT(pl_loop_metrics(NULL, &m), PL_ENOLOOP);
    CHECK_EQ_INT(pl_remote_metrics(NULL, 0, &m), PL_EINVAL);
    CHECK_EQ_INT(pl_remote_metrics(remote, 0, &m), PL_ETIMEDOUT); /* it was never run: no thread is its own */
    turn(&f, 1);
    CHECK_EQ_INT(pl_remote_metrics(remote, 0, &m), PL_OK); /* this thread is */
    CHECK_EQ_INT(m.iterations, 1);
    fixture_close(&f);
    CHECK_EQ_INT(pl_remote_metrics(remote, 0, &m), PL_ECLOSED);
    pl_remote_unref(remote);
}

/* --- From other threads ------------------------------------------------------------------------------------------- */

typedef struct asking {
    pl_remote *remote;
    pl_loop *loop;
    pl_metrics metrics;
    int result;
} asking;

static void stop_loop(void *arg)
{
    CHECK_EQ_INT(pl_loop_stop(arg), PL_OK);
}

static void ask(void *arg)
{
    asking *a = arg;
    a->metrics.size = sizeof a->metrics;
    a->result = pl_remote_metrics(a->remote, PL_FOREVER, &a->metrics);
    CHECK_EQ_INT(pl_call_soon_threadsafe(a->remote, stop_loop, a->loop, NULL), PL_OK);
}

TEST_CASE(a_running_loop_tells_its_metrics_to_another_thread)
{
    fixture f;
    asking a = {NULL, NULL, {0}, 0};
    test_thread thread;
    REQUIRE(fixture_open(&f, t));
    a.loop = f.loop;
    a.remote = pl_loop_remote(f.loop);
    start_slot(&f, 0, sleep_for_ever);
    turn(&f, 1);
    REQUIRE(test_thread_start(&thread, ask, &a));
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    test_thread_join(&thread);
    CHECK_EQ_INT(a.result, PL_OK);
    CHECK_EQ_INT(a.metrics.tasks, 1);
    CHECK_EQ_INT(a.metrics.posts, 1); /* the question itself */
    pl_remote_unref(a.remote);
    fixture_close(&f);
}

TEST_CASE(a_question_that_nobody_waits_for_any_more_is_dropped)
{
    fixture f;
    pl_metrics m = {.size = sizeof m};
    REQUIRE(fixture_open(&f, t));
    pl_remote *remote = pl_loop_remote(f.loop);
    CHECK_EQ_INT(pl_remote_metrics(remote, 0, &m), PL_ETIMEDOUT);
    turn(&f, 1); /* the loop comes to it: nothing happens */
    CHECK_EQ_INT(m.iterations, 0);
    fixture_close(&f);
    REQUIRE(fixture_open(&f, t));
    pl_remote_unref(remote);
    remote = pl_loop_remote(f.loop);
    CHECK_EQ_INT(pl_remote_metrics(remote, PL_MS(1), &m), PL_ETIMEDOUT);
    fixture_close(&f); /* before the loop comes to it */
    pl_remote_unref(remote);
}

TEST_CASE(a_question_without_memory_is_not_asked)
{
    allocation a;
    fixture f;
    pl_metrics m = {.size = sizeof m};
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    if (fixture_open(&f, t)) {
        pl_remote *remote = pl_loop_remote(f.loop);
        for (int i = 1; i <= 2; i++) {
            a.calls = 0;
            a.fail_at = i;
            CHECK_EQ_INT(pl_remote_metrics(remote, 0, &m), PL_ENOMEM);
        }
        a.fail_at = 0;
        pl_remote_unref(remote);
        fixture_close(&f);
    }
    allocation_end(&a);
}

TEST_SUITE(metrics, TEST_BACKENDS_ALL, CASE(a_new_loop_has_counted_nothing),
           CASE(iterations_callbacks_and_polls_are_counted), CASE(the_time_that_a_loop_waits_is_poll_time),
           CASE(what_is_ready_is_counted_in_and_behind_the_present_iteration), CASE(tasks_and_timers_are_counted),
           CASE(streams_listeners_and_requests_in_flight_are_counted),
           CASE(posts_of_other_threads_are_counted_and_how_often_they_were_found),
           CASE(in_debug_mode_the_longest_callback_is_known), CASE(metrics_of_another_size_or_of_no_loop_are_refused),
           CASE(a_running_loop_tells_its_metrics_to_another_thread),
           CASE(a_question_that_nobody_waits_for_any_more_is_dropped), CASE(a_question_without_memory_is_not_asked))
