/* Moments: each operation is cancelled at each state it can be in, in each way there is.
 *
 *     before    not started: the task was cancelled, or the scope had run out, before the call
 *     queued    a worker is to do it, and none is free
 *     pending   the system has it and is not through
 *     completed the system is through, and nobody has polled yet
 *     dequeued  the proactor has its end, and the loop has not delivered it to the operation yet
 *     done      the operation has its result, and its waiter has not run yet
 *
 * and the ways: by pl_op_cancel, by pl_task_cancel (an edge), by a timeout that runs out (a level). A state is reached
 * by hooks, never by time: the class of the loop's proactor is replaced by a copy whose poll() stops between the end of
 * a completion and its delivery. A case that did not come to its state fails.
 *
 * An operation is a *row*. For each row and each state and way there is a case, "moments/epoll.read_dequeued_by_task".
 * Two tasks play it. The *director* sets up, completes, cancels and checks; the *actor* makes the call:
 *
 *     director                                     actor
 *     set_up(state, moment)
 *     spawns the actor, waits for is_pending       start(op, state) and an await, or call(state)
 *     complete(state), cancel: in the order that makes the moment
 *     waits for the actor's end                    returns `result`; looks that the cancel reaches it once
 *     complete(state) if it was not called yet
 *     check(state, result): nothing is lost
 *     tear_down(state)
 *
 * What `result` may be follows from the row's kind; that nothing is held or open afterwards the harness sees.
 *
 * How to add a row:  a file tests/moments_<noun>.c with
 *
 *     const moment_row moment_row_read = {
 *         .kind = MOMENT_REQUEST, .size = sizeof(struct reading), .set_up = ..., .start = ..., .call = ...,
 *         .complete = ..., .check = ..., .tear_down = ...,
 *     };
 *
 * X(read) in moments_rows.h, or X_ON(ON_LINUX, read) if there is none elsewhere, and the file in tests/CMakeLists.txt
 * beside its sisters. The suite is in proloop_shim_tests, so that rows can hold a worker's system call by shims_hold: see
 * moments_file.c. One case runs at a time, each in a loop of its own; shims are on while it runs.
 */
#ifndef PROLOOP_TESTS_MOMENTS_H
#define PROLOOP_TESTS_MOMENTS_H

#include <proloop/proloop.h>

#include "harness.h"
#include "shims.h"

/* X(NAME, name) */
#define MOMENTS(X)                                                                                                     \
    X(BEFORE, before)                                                                                                  \
    X(QUEUED, queued)                                                                                                  \
    X(PENDING, pending)                                                                                                \
    X(COMPLETED, completed)                                                                                            \
    X(DEQUEUED, dequeued)                                                                                              \
    X(DONE, done)

typedef enum moment {
#define MOMENT_ENUM(NAME, name) MOMENT_##NAME,
    MOMENTS(MOMENT_ENUM)
#undef MOMENT_ENUM
        MOMENT_COUNT
} moment;

typedef enum moment_way { BY_OPERATION, BY_TASK, BY_TIMEOUT } moment_way;

/* What a cancel means, as in docs/cancellation.md. "Canceled" is PL_ECANCELED, "true" any result >= 0.
 *
 *                          before (task, scope)  queued    pending    completed  dequeued   done
 *     IMMEDIATE            canceled              -         canceled   canceled   canceled   true
 *     REQUEST              canceled              -         canceled   either     true       true
 *     PIECES               canceled              canceled  canceled   either     either     true
 *     BEGUN                canceled              -         true       true       true       true
 *     ABANDONABLE          canceled              canceled  canceled   either     true       true
 *     JOINED               canceled              canceled  true       true       true       true
 *     COMPOSED             canceled              canceled  canceled   either     either     either
 *
 * PIECES: of many completions, the first of which is not the last; BEGUN: a request of which something is done before it
 * waits, and that then ends with how much; COMPOSED: a call that is more than one operation, and
 * undoes what it did. JOINED: pending means that a worker has begun on it; the case looks that the cancel does not end it
 * before complete does. Before, by operation: pl_op_cancel refuses an idle operation, and what is then started goes its
 * way: true. */
typedef enum moment_kind {
    MOMENT_IMMEDIATE,
    MOMENT_REQUEST,
    MOMENT_PIECES,
    MOMENT_BEGUN,
    MOMENT_ABANDONABLE,
    MOMENT_JOINED,
    MOMENT_COMPOSED
} moment_kind;

typedef struct moment_row {
    moment_kind kind;
    size_t size; /* of the state, which is zeroed before set_up */

    /* In the director, which may suspend. False: it failed, by a CHECK, and cleaned up. NULL: nothing to do. */
    bool (*set_up)(void *state, moment at);

    /* Starts it: PL_OK. NULL: it has no `_start`; the cases by_operation are left out. */
    int (*start)(pl_op *op, void *state);

    /* The task call, for the cases by_task and by_timeout. In the actor. */
    int64_t (*call)(void *state);

    /* Whether the system has it. NULL: as soon as its pl_op has a completion in flight (or, with `completion`, waits).
     * For a worker's job: shims_held(...) >= 1. Asked again and again. */
    bool (*is_pending)(void *state);

    /* Makes the system complete it, by the test's own hand: a raw system call, the peer of a pair, a gate that opens. Must
     * not suspend, nor let the loop poll. Called exactly once, unless `repeats`: whatever happened before, it has been
     * called when check is. */
    void (*complete)(void *state);

    /* Waits, without suspending, until the system is through with it; false: it never was. NULL: the framework looks
     * itself: at the OVERLAPPED of its completion; on Unix by poll(2) of its handle, for POLLOUT if `writes`, else for
     * POLLIN; at what the thread of a device has done. Of a worker's job nobody can tell that from outside, so that its case `completed` is played right after
     * complete. */
    bool (*is_complete)(void *state);

    /* Of what ends by no completion: whether the poll that has just returned brought what will end it. */
    bool (*is_polled)(void *state);

    /* In the director, which may suspend. `result`: what the call gave, one of those that its kind allows. Must prove by
     * CHECKs that nothing was lost: after a PL_ECANCELED what was completed can still be taken (or was never begun), after
     * a true result all of it was taken, once; and that its object still works. NULL: nothing to look at. */
    void (*check)(void *state, int64_t result);

    /* In the director, always after a set_up that succeeded. NULL: nothing to do. */
    void (*tear_down)(void *state);

    /* When the loop is closed, and with it all that the case had open: the place to remove folders. NULL: nothing to do. */
    void (*clean_up)(void);

    /* PL__ACCEPT...: the kind of completion whose end ends it, if that is not the completion of its own pl_op. */
    uint8_t completion;
    bool worker; /* does it, so that it can be queued */
    bool writes;
    bool uses_console; /* on Windows the system keeps handles of it */
    bool joins; /* of another kind than JOINED: what a worker has begun is waited for all the same */
    bool repeats; /* complete may be called again and again, and is needed that often until the operation ends */

    /* Why there is no such state of this operation: printed, and the case passes without being played. */
    const char *never[MOMENT_COUNT];
} moment_row;

/* Plays one case. */
void moment_run(test_context *t, const char *name, const moment_row *row, moment at, moment_way way);

/* --- For rows ----------------------------------------------------------------------------------------------------- */

/* The moment and the way of the case that is played. */
moment moment_now(void);
moment_way moment_way_now(void);

/* How many calls of that kind occupied the workers: none of the row's. */
int64_t moment_foreign_calls(shim kind);

/* Lets the loop run until done(state) says so. Director. */
void moment_wait_until(bool (*done)(void *state), void *state);

/* How many completions of the row's own kind were submitted and did not end at once, so far. */
int moment_submitted(void);

/* Whether the operation of the call waits, and has no completion under way. */
bool moment_op_rests(void);

/* The rows. */
#define X(name) extern const moment_row moment_row_##name;
#include "moments_rows.h"
#undef X

#endif
