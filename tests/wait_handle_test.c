/* Waiting for handles of Windows. Elsewhere there are none, and each call says so. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "foreign.h"
#include "harness.h"
#include "loopback.h"

TASK_CASE(where_there_are_no_handles_that_is_told)
{
    pl_op op = {0};
    int nothing;
    CHECK_EQ_INT(pl_wait_handle(&nothing), PL_ENOTSUP);
    CHECK_EQ_INT(end_of(pl_wait_handle_start(&op, &nothing), &op), PL_ENOTSUP);
}

TASK_CASE(a_handle_that_is_signalled_already_does_not_wait)
{
    void *event = foreign_event(true);
    pl_op op = {0};
    REQUIRE(event != NULL);
    foreign_event_set(event);
    CHECK_EQ_INT(pl_wait_handle(event), PL_OK);
    CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    foreign_event_close(event);
}

TASK_CASE(a_wait_takes_the_signal_of_an_auto_reset_event)
{
    void *event = foreign_event(false);
    pl_op op = {0};
    REQUIRE(event != NULL);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
        CHECK(pl_op_is_pending(&op));
        foreign_event_set(event);
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        CHECK(!foreign_event_is_set(event));
    }
    foreign_event_close(event);
}

TASK_CASE(a_cancelled_wait_leaves_the_signal_to_others)
{
    void *event = foreign_event(false);
    pl_op op = {0};
    REQUIRE(event != NULL);
    CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    foreign_event_set(event);
    CHECK(foreign_event_is_set(event));
    foreign_event_close(event);
}

/* Once the pool's thread has taken the signal it is the operation's, cancelled or not. */
TASK_CASE(a_wait_whose_signal_came_before_the_cancel_has_its_signal)
{
    void *event = foreign_event(false);
    pl_op op = {0};
    REQUIRE(event != NULL);
    for (int i = 0; i < 50; i++) {
        int64_t result;
        CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
        foreign_event_set(event);
        CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
        result = pl_op_await(&op);
        CHECK(result == PL_OK || result == PL_ECANCELED);
        if (result == PL_OK)
            CHECK(!foreign_event_is_set(event));
        (void)foreign_event_is_set(event);
    }
    foreign_event_close(event);
}

TASK_CASE(semaphores_timers_and_threads_are_waited_for)
{
    void *event = foreign_event(true);
    void *objects[3];
    pl_op ops[3] = {{{{0}}}};
    REQUIRE(event != NULL);
    objects[0] = foreign_semaphore(1);
    objects[1] = foreign_timer(20);
    objects[2] = foreign_thread(event);
    CHECK_EQ_INT(pl_wait_handle(objects[0]), PL_OK); /* one that it had */
    for (int i = 0; i < 3; i++) {
        CHECK_EQ_INT(pl_wait_handle_start(&ops[i], objects[i]), PL_OK);
        CHECK(pl_op_is_pending(&ops[i]));
    }
    CHECK_EQ_INT(pl_op_await(&ops[1]), PL_OK);
    foreign_event_set(event);
    CHECK_EQ_INT(pl_op_await(&ops[2]), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&ops[0]), PL_OK);
    CHECK_EQ_INT(pl_op_await(&ops[0]), PL_ECANCELED);
    for (int i = 0; i < 3; i++)
        foreign_event_close(objects[i]);
    foreign_event_close(event);
}

TASK_CASE(pseudo_handles_and_wrong_arguments_are_refused)
{
    pl_op op = {0};
    pl_waiter waiter = {0};
    void *minus_one = (void *)(intptr_t)-1;
    CHECK_EQ_INT(pl_wait_handle(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_wait_handle(minus_one), PL_EINVAL);
    CHECK_EQ_INT(pl_wait_handle_start(NULL, &op), PL_EINVAL);
    CHECK_EQ_INT(pl_waiter_start(NULL, NULL, &op, (pl_waiter_fn *)1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_waiter_start(&waiter, NULL, NULL, (pl_waiter_fn *)1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_waiter_start(&waiter, NULL, &op, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_waiter_start(&waiter, NULL, &op, (pl_waiter_fn *)1, NULL), on_backend("iocp") ? PL_EBADF : PL_ENOTSUP);
    CHECK_EQ_INT(end_of(pl_wait_handle_start(&op, &waiter), &op), on_backend("iocp") ? PL_EBADF : PL_ENOTSUP);
    CHECK_EQ_INT(pl_waiter_stop(NULL), 0);
    CHECK_EQ_INT(pl_waiter_stop(&waiter), 0);
}

TEST_CASE(outside_of_a_loop_no_handle_is_waited_for)
{
    pl_op op = {0};
    pl_waiter waiter = {0};
    (void)t;
    CHECK_EQ_INT(pl_wait_handle(&op), PL_ENOTASK);
    CHECK_EQ_INT(pl_wait_handle_start(&op, &op), PL_ENOLOOP);
    CHECK_EQ_INT(pl_waiter_start(&waiter, NULL, &op, (pl_waiter_fn *)1, NULL), PL_ENOLOOP);
}

TASK_CASE(a_time_limit_ends_the_wait_for_a_handle)
{
    void *event = foreign_event(false);
    pl_timeout timeout = {0};
    int64_t result;
    REQUIRE(event != NULL);
    CHECK_EQ_INT(pl_timeout_begin(&timeout, PL_MS(5)), PL_OK);
    result = pl_wait_handle(event);
    CHECK_EQ_INT(pl_timeout_end(&timeout, result), PL_ETIMEDOUT);
    foreign_event_set(event);
    CHECK(foreign_event_is_set(event));
    foreign_event_close(event);
}

/* --- Waiters ------------------------------------------------------------------------------------------------------ */

typedef struct counted {
    pl_waiter waiter;
    pl_future *future;
    int calls;
    int wanted;
    int stop_at;
} counted;

static void count_signal(pl_waiter *waiter, int result, void *arg)
{
    counted *c = arg;
    CHECK(waiter == &c->waiter);
    CHECK_EQ_INT(result, PL_OK);
    c->calls++;
    if (c->calls == c->stop_at)
        CHECK_EQ_INT(pl_waiter_stop(waiter), 1);
    if (c->calls == c->wanted)
        CHECK_EQ_INT(pl_future_set_result(c->future, 0), PL_OK);
}

static void await_count(counted *c, int wanted)
{
    if (c->calls >= wanted)
        return;
    c->wanted = wanted;
    REQUIRE_EQ_INT(pl_future_create(&c->future, NULL), PL_OK);
    CHECK_EQ_INT(pl_await(c->future), 0);
    pl_future_unref(c->future);
}

TASK_CASE(each_signal_of_an_auto_reset_event_is_one_call)
{
    void *event = foreign_event(false);
    counted c = {.calls = 0};
    REQUIRE(event != NULL);
    CHECK_EQ_INT(pl_waiter_start(&c.waiter, NULL, event, count_signal, &c), PL_OK);
    CHECK_EQ_INT(pl_waiter_start(&c.waiter, NULL, event, count_signal, &c), PL_EBUSY);
    for (int i = 1; i <= 100; i++) {
        foreign_event_set(event);
        await_count(&c, i);
        CHECK_EQ_INT(c.calls, i);
    }
    CHECK_EQ_INT(pl_waiter_stop(&c.waiter), 1);
    foreign_event_set(event);
    CHECK_EQ_INT(pl_wait_handle(event), PL_OK); /* nobody else takes it */
    CHECK_EQ_INT(c.calls, 100);
    foreign_event_close(event);
}

TASK_CASE(each_count_of_a_semaphore_is_one_call)
{
    void *semaphore = foreign_semaphore(5);
    counted c = {.calls = 0};
    REQUIRE(semaphore != NULL);
    CHECK_EQ_INT(pl_waiter_start(&c.waiter, NULL, semaphore, count_signal, &c), PL_OK);
    await_count(&c, 5);
    CHECK(!foreign_event_is_set(semaphore));
    CHECK_EQ_INT(pl_waiter_stop(&c.waiter), 1);
    foreign_event_close(semaphore);
}

TASK_CASE(what_stays_signalled_is_told_until_the_waiter_stops)
{
    void *event = foreign_event(true);
    counted c = {.stop_at = 4};
    REQUIRE(event != NULL);
    foreign_event_set(event);
    CHECK_EQ_INT(pl_waiter_start(&c.waiter, NULL, event, count_signal, &c), PL_OK);
    await_count(&c, 4);
    CHECK_EQ_INT(pl_wait_handle(event), PL_OK);
    CHECK_EQ_INT(c.calls, 4);
    CHECK_EQ_INT(pl_waiter_stop(&c.waiter), 0);
    foreign_event_close(event);
}

TEST_CASE(closing_the_loop_stops_a_waiter)
{
    void *event = foreign_event(false);
    counted c = {.calls = 0};
    fixture f;
    REQUIRE(event != NULL);
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_waiter_start(&c.waiter, f.loop, event, count_signal, &c), PL_OK);
    turn(&f, 2);
    fixture_close(&f);
    CHECK_EQ_INT(pl_waiter_stop(&c.waiter), 0);
    foreign_event_set(event);
    CHECK(foreign_event_is_set(event));
    foreign_event_close(event);
}

TEST_SUITE(wait_handle, TEST_BACKENDS_REAL, CASE_ON(ON_UNIX, where_there_are_no_handles_that_is_told),
           CASE_ON(ON_WINDOWS, a_handle_that_is_signalled_already_does_not_wait), CASE_ON(ON_WINDOWS, a_wait_takes_the_signal_of_an_auto_reset_event),
           CASE_ON(ON_WINDOWS, a_cancelled_wait_leaves_the_signal_to_others),
           CASE_ON(ON_WINDOWS, a_wait_whose_signal_came_before_the_cancel_has_its_signal),
           CASE_ON(ON_WINDOWS, semaphores_timers_and_threads_are_waited_for), CASE(pseudo_handles_and_wrong_arguments_are_refused),
           CASE(outside_of_a_loop_no_handle_is_waited_for), CASE_ON(ON_WINDOWS, a_time_limit_ends_the_wait_for_a_handle),
           CASE_ON(ON_WINDOWS, each_signal_of_an_auto_reset_event_is_one_call), CASE_ON(ON_WINDOWS, each_count_of_a_semaphore_is_one_call),
           CASE_ON(ON_WINDOWS, what_stays_signalled_is_told_until_the_waiter_stops), CASE_ON(ON_WINDOWS, closing_the_loop_stops_a_waiter))
