/* Waiting for foreign objects when the system refuses, and at the moments that time alone does not reach. */
#include <proloop/proloop.h>

#include <string.h>

#include "foreign.h"
#include "harness.h"
#include "loopback.h"
#include "shims.h"
#include "shims_foreign.h"

static void nothing_called(pl_poller *poller, int events, void *arg)
{
    int *seen = arg;
    (void)poller;
    *seen = events;
}

static void close_pair(pl_socket pair[2])
{
    foreign_close(pair[0]);
    foreign_close(pair[1]);
}

/* A wait that fails, and one that does not, of a socket that is not ready. */
static void check_failure(foreign_call call, int64_t error)
{
    pl_socket pair[2];
    pl_op op = {0};
    REQUIRE(foreign_pair(pair));
    REQUIRE(foreign_fail(call, 1));
    CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_READABLE, NULL), error);
    CHECK_EQ_INT(foreign_failures_left(call), 0);
    (void)foreign_fail(call, 1);
    CHECK_EQ_INT(end_of(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, NULL), &op), error);
    CHECK(pl_op_system_error(&op) != 0);
    CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, NULL), PL_OK);
    CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    foreign_faults_clear();
    close_pair(pair);
}

TASK_CASE(without_descriptors_a_wait_fails)
{
    check_failure(FOREIGN_DUPLICATE, PL_EMFILE);
}

TASK_CASE(a_refused_registration_fails_the_wait)
{
    check_failure(FOREIGN_REGISTER, PL_ENOSPC); /* the other selectors only note it down */
}

TASK_CASE(a_driver_that_cannot_be_opened_fails_the_wait)
{
    check_failure(FOREIGN_DRIVER, PL_EACCES);
}

TASK_CASE(a_driver_that_does_not_tell_fails_the_wait)
{
    check_failure(FOREIGN_ASK, PL_ENOBUFS);
}

TASK_CASE(a_poller_is_refused_as_a_wait_is)
{
    pl_socket pair[2];
    pl_poller poller = {0};
    int seen = 0;
    REQUIRE(foreign_pair(pair));
    if (foreign_fail(FOREIGN_DUPLICATE, 1)) {
        CHECK_EQ_INT(pl_poller_start(&poller, NULL, pair[0], PL_POLL_READABLE, nothing_called, &seen), PL_EMFILE);
        if (on_backend("epoll")) {
            (void)foreign_fail(FOREIGN_REGISTER, 1);
            CHECK_EQ_INT(pl_poller_start(&poller, NULL, pair[0], PL_POLL_READABLE, nothing_called, &seen), PL_ENOSPC);
        }
    } else {
        (void)foreign_fail(FOREIGN_ASK, 1);
        CHECK_EQ_INT(pl_poller_start(&poller, NULL, pair[0], PL_POLL_READABLE, nothing_called, &seen), PL_ENOBUFS);
        (void)foreign_fail(FOREIGN_DRIVER, 1);
    }
    foreign_faults_clear();
    CHECK_EQ_INT(pl_poller_stop(&poller), 0);
    close_pair(pair);
}

/* After it has begun, the error is told once, and the poller is idle. On Unix nothing is asked for again. */
TASK_CASE(a_poller_that_fails_later_tells_it_and_stops)
{
    pl_socket pair[2];
    pl_poller poller = {0};
    int seen = 0;
    REQUIRE(foreign_pair(pair));
    CHECK_EQ_INT(pl_poller_start(&poller, NULL, pair[0], 0, nothing_called, &seen), PL_OK);
    (void)foreign_fail(FOREIGN_ASK, 1);
    CHECK_EQ_INT(pl_poller_change(&poller, PL_POLL_READABLE), PL_OK);
    while (seen == 0)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(seen, PL_ENOBUFS);
    CHECK_EQ_INT(pl_poller_stop(&poller), 0);
    foreign_faults_clear();
    close_pair(pair);
}

/* --- Handles ------------------------------------------------------------------------------------------------------ */

TASK_CASE(a_refused_registration_fails_the_wait_for_a_handle)
{
    void *event = foreign_event(false);
    pl_op op = {0};
    REQUIRE(event != NULL);
    (void)foreign_fail(FOREIGN_REGISTER, 1);
    CHECK_EQ_INT(end_of(pl_wait_handle_start(&op, event), &op), PL_ENOMEM);
    CHECK(pl_op_system_error(&op) != 0);
    foreign_faults_clear();
    foreign_event_close(event);
}

TASK_CASE(a_packet_that_cannot_be_posted_is_tried_again)
{
    void *event = foreign_event(false);
    pl_op op = {0};
    REQUIRE(event != NULL);
    CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
    (void)foreign_fail(FOREIGN_POST, 20);
    foreign_event_set(event);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(foreign_failures_left(FOREIGN_POST), 0);
    foreign_event_close(event);
}

/* After a second of trying, the loop finds it by itself when it looks around. */
TASK_CASE(a_packet_that_could_not_be_posted_at_all_is_found)
{
    void *event = foreign_event(false);
    pl_op op = {0};
    REQUIRE(event != NULL);
    CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
    (void)foreign_fail(FOREIGN_POST, 1000);
    foreign_event_set(event);
    while (pl_op_is_pending(&op))
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(foreign_failures_left(FOREIGN_POST), 0);
    foreign_event_close(event);
}

/* The thread of the pool has taken the signal, and has not posted its packet. */
TASK_CASE(a_cancel_between_the_signal_and_its_packet_loses_neither)
{
    void *event = foreign_event(false);
    pl_op op = {0};
    REQUIRE(event != NULL);
    foreign_hold_posts();
    CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
    foreign_event_set(event);
    foreign_await_post();
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK(pl_op_is_pending(&op));
    foreign_release_posts();
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK(!foreign_event_is_set(event)); /* it was taken once */
    foreign_event_close(event);
}

static void count_signals(pl_waiter *waiter, int result, void *arg)
{
    int *signals = arg;
    (void)waiter;
    CHECK_EQ_INT(result, PL_OK);
    ++*signals;
}

TASK_CASE(a_waiter_stopped_between_the_signal_and_its_packet_is_not_told)
{
    void *event = foreign_event(false);
    pl_waiter waiter = {0};
    int signals = 0;
    REQUIRE(event != NULL);
    foreign_hold_posts();
    CHECK_EQ_INT(pl_waiter_start(&waiter, NULL, event, count_signals, &signals), PL_OK);
    foreign_event_set(event);
    foreign_await_post();
    CHECK_EQ_INT(pl_waiter_stop(&waiter), 1);
    foreign_event_close(event);
    foreign_release_posts();
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK_EQ_INT(signals, 0); /* the loop's close waits for the packet */
}

/* --- Wait completion packets -------------------------------------------------------------------------------------- */

TASK_CASE(the_kernels_packet_ends_a_wait)
{
    void *event = foreign_event(false);
    packet_replay replay;
    pl_op op = {0};
    REQUIRE(packet_replay_begin(&replay));
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
        CHECK(pl_op_is_pending(&op));
        packet_replay_signal();
        CHECK_EQ_INT(pl_op_await(&op), PL_OK);
        CHECK_EQ_INT(replay.created, i);
        CHECK_EQ_INT(replay.associated, i);
    }
    CHECK_EQ_INT(replay.cancelled + replay.wrong, 0);
    packet_replay_end();
    foreign_event_close(event);
}

TASK_CASE(a_cancelled_packet_never_comes)
{
    void *event = foreign_event(false);
    packet_replay replay;
    pl_op op = {0};
    REQUIRE(packet_replay_begin(&replay));
    CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
    replay.cancel_answer = PACKET_CANCELLED;
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK_EQ_INT(replay.cancelled, 1);
    CHECK_EQ_INT(replay.wrong, 0);
    packet_replay_end();
    foreign_event_close(event);
}

static void check_late_cancel(int answer)
{
    void *event = foreign_event(false);
    packet_replay replay;
    pl_op op = {0};
    REQUIRE(packet_replay_begin(&replay));
    CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
    replay.cancel_answer = answer;
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK(pl_op_is_pending(&op));
    packet_replay_signal();
    CHECK_EQ_INT(pl_op_await(&op), PL_OK); /* the signal was taken */
    CHECK_EQ_INT(replay.wrong, 0);
    packet_replay_end();
    foreign_event_close(event);
}

TASK_CASE(a_packet_under_way_comes_though_it_was_cancelled)
{
    check_late_cancel(PACKET_PENDING);
}

TASK_CASE(a_packet_that_was_taken_out_comes_though_it_was_cancelled)
{
    check_late_cancel(PACKET_GONE);
}

TASK_CASE(what_the_kernel_has_no_packet_for_is_waited_for_by_the_pool)
{
    void *event = foreign_event(false);
    packet_replay replay;
    pl_op op = {0};
    REQUIRE(packet_replay_begin(&replay));
    replay.associate_refused = 1;
    CHECK_EQ_INT(pl_wait_handle_start(&op, event), PL_OK);
    CHECK(pl_op_is_pending(&op));
    foreign_event_set(event);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(replay.created, 1);
    CHECK_EQ_INT(replay.associated, 0);
    packet_replay_end();
    foreign_event_close(event);
}

TEST_SUITE(shim_poll, TEST_BACKENDS_REAL, CASE_ON(ON_UNIX, without_descriptors_a_wait_fails),
           CASE_ON("epoll", a_refused_registration_fails_the_wait), CASE_ON(ON_WINDOWS, a_driver_that_cannot_be_opened_fails_the_wait),
           CASE_ON(ON_WINDOWS, a_driver_that_does_not_tell_fails_the_wait), CASE(a_poller_is_refused_as_a_wait_is),
           CASE_ON(ON_WINDOWS, a_poller_that_fails_later_tells_it_and_stops), CASE_ON(ON_WINDOWS, a_refused_registration_fails_the_wait_for_a_handle),
           CASE_ON(ON_WINDOWS, a_packet_that_cannot_be_posted_is_tried_again), CASE_ON(ON_WINDOWS, a_packet_that_could_not_be_posted_at_all_is_found),
           CASE_ON(ON_WINDOWS, a_cancel_between_the_signal_and_its_packet_loses_neither),
           CASE_ON(ON_WINDOWS, a_waiter_stopped_between_the_signal_and_its_packet_is_not_told), CASE_ON(ON_WINDOWS, the_kernels_packet_ends_a_wait),
           CASE_ON(ON_WINDOWS, a_cancelled_packet_never_comes), CASE_ON(ON_WINDOWS, a_packet_under_way_comes_though_it_was_cancelled),
           CASE_ON(ON_WINDOWS, a_packet_that_was_taken_out_comes_though_it_was_cancelled),
           CASE_ON(ON_WINDOWS, what_the_kernel_has_no_packet_for_is_waited_for_by_the_pool))
