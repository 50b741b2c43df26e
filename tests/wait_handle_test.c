/* Waiting for handles of Windows. Elsewhere there are none, and each call says so. */
#include <proloop/proloop.h>

#include "foreign.h"
#include "harness.h"
#include "loopback.h"

/* What an event would be; NULL here means that this is not Windows. */
static bool has_handles(void)
{
    void *event = foreign_event(false);
    if (!event)
        return false;
    foreign_event_close(event);
    return true;
}

TASK_CASE(where_there_are_no_handles_that_is_told)
{
    pl_op op = {0};
    int nothing;
    if (has_handles())
        return;
    CHECK_EQ_INT(pl_wait_handle(&nothing), PL_ENOTSUP);
    CHECK_EQ_INT(end_of(pl_wait_handle_start(&op, &nothing), &op), PL_ENOTSUP);
}

TASK_CASE(a_handle_that_is_signalled_already_does_not_wait)
{
    void *event = foreign_event(true);
    pl_op op = {0};
    if (!event)
        return;
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
    if (!event)
        return;
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
    if (!event)
        return;
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
    if (!event)
        return;
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
    if (!event)
        return;
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

TEST_SUITE(wait_handle, TEST_BACKENDS_REAL,
           CASE(where_there_are_no_handles_that_is_told),
           CASE(a_handle_that_is_signalled_already_does_not_wait),
           CASE(a_wait_takes_the_signal_of_an_auto_reset_event),
           CASE(a_cancelled_wait_leaves_the_signal_to_others),
           CASE(a_wait_whose_signal_came_before_the_cancel_has_its_signal),
           CASE(semaphores_timers_and_threads_are_waited_for))
