#include "moments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../src/device.h"
#include "../src/loop.h"
#include "../src/op.h"
#include "../src/task.h"
#include "loopback.h"
#include "moments_inner.h"
#include "process.h"
#include "shims.h"

enum { SUBMITTED_MAX = 32, TURNS = 3, WORKERS = 4 /* of a loop, at most */ };

/* The case that is played. */
static struct {
    const char *name;
    const moment_row *row;
    moment at;
    moment_way way;
    void *state;

    pl_loop *loop;
    const pl__proactor_class *real;
    pl__proactor_class hooked;
    pl__completion *submitted[SUBMITTED_MAX]; /* of the row's kind, the latest */
    int submitted_count;

    pl_task *actor;
    pl_op op; /* by operation */
    pl_timeout scope;
    pl_callback look;
    bool looking;   /* it is scheduled */
    bool armed;     /* the hook waits for its completion */
    bool reached;   /* the moment was there, and the cancel was made */
    bool completed; /* complete was called */
    bool ended;     /* the call has returned */
    int64_t result;
} now;

moment moment_now(void)
{
    return now.at;
}

moment_way moment_way_now(void)
{
    return now.way;
}

void moment_wait_until(bool (*done)(void *state), void *state)
{
    while (!done(state)) {
        if (!CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK))
            break;
    }
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

static void cancel_now(void)
{
    now.reached = true;
    switch (now.way) {
    case BY_OPERATION:
        CHECK_EQ_INT(pl_op_cancel(&now.op), now.at == MOMENT_BEFORE || now.at == MOMENT_DONE ? PL_ESTATE : PL_OK);
        break;
    case BY_TASK:
        CHECK_EQ_INT(pl_task_cancel(now.actor), 1);
        break;
    case BY_TIMEOUT:
        CHECK_EQ_INT(pl_timeout_reschedule(&now.scope, 0), PL_OK);
        break;
    }
}

/* --- The hook ----------------------------------------------------------------------------------------------------- */

/* The pl_op of the call; NULL: there is none now. */
static pl__op *op_of_call(void)
{
    pl__node *node;
    if (now.way == BY_OPERATION)
        return pl__op_of(&now.op);
    node = now.ended ? NULL : pl__list_first(&now.actor->operations);
    return node ? PL__CONTAINER_OF(node, pl__op, node) : NULL;
}

static bool is_awaited(const pl__completion *completion)
{
    const pl__op *op = op_of_call();
    if (now.row->completion)
        return completion->kind == now.row->completion;
    return op && completion == &op->completion;
}

int moment_submitted(void)
{
    return now.submitted_count;
}

bool moment_op_rests(void)
{
    const pl__op *op = op_of_call();
    return op && op->state == PL__OP_PENDING && op->completion.state == PL__IDLE;
}

static void look_if_done(void *arg);

static void look(void)
{
    if (!now.looking)
        now.looking = CHECK_EQ_INT(pl_callback_schedule(&now.look, now.loop, look_if_done, NULL), PL_OK);
}

/* Runs before the waiter, if there is something to wake it: it was scheduled first. */
static void look_if_done(void *arg)
{
    (void)arg;
    now.looking = false;
    if (!now.armed || now.ended)
        return;
    if (!now.actor->waiting_for || !pl__future_is_done(now.actor->waiting_for)) {
        if (now.row->kind == MOMENT_COMPOSED)
            look(); /* whichever of its waits is over first */
        return; /* it takes more than this completion */
    }
    now.armed = false;
    cancel_now();
}

static void found_dequeued(void)
{
    if (now.at == MOMENT_DEQUEUED) {
        CHECK(now.actor->waiting_for && !pl__future_is_done(now.actor->waiting_for));
        now.armed = false;
        cancel_now();
    } else {
        look();
    }
}

static void hooked_poll(pl__proactor *proactor, int64_t deadline, pl__list *finished)
{
    now.real->poll(proactor, deadline, finished);
    if (now.row->is_polled && now.armed && now.row->is_polled(now.state))
        found_dequeued();
    PL__LIST_EACH (node, finished) {
        if (now.armed && is_awaited(PL__CONTAINER_OF(node, pl__completion, node)))
            found_dequeued();
    }
}

static int hooked_submit(pl__proactor *proactor, pl__completion *completion)
{
    int result = now.real->submit(proactor, completion);
    if (result == PL__SUBMIT_PENDING && completion->kind == now.row->completion)
        now.submitted[now.submitted_count++ % SUBMITTED_MAX] = completion;
    return result;
}

static void hook(void)
{
    now.loop = pl_loop_running();
    now.real = now.loop->proactor->type;
    now.hooked = *now.real;
    now.hooked.poll = hooked_poll;
    now.hooked.submit = hooked_submit;
    now.loop->proactor->type = &now.hooked;
}

static void unhook(void)
{
    now.loop->proactor->type = now.real;
}

/* --- The actor ---------------------------------------------------------------------------------------------------- */

/* After the call a cancel of the task is either spent or still to come; nothing of an operation's cancel is left. */
static void look_what_is_left(void)
{
    if (now.way == BY_TASK && now.result != PL_ECANCELED)
        CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    if (now.way == BY_TIMEOUT)
        CHECK_EQ_INT(pl_check_cancelled(), PL_ECANCELED);
    else
        CHECK_EQ_INT(pl_yield(), PL_OK);
    if (now.way == BY_OPERATION) {
        CHECK_EQ_INT(pl_op_cancel(&now.op), PL_ESTATE);
        CHECK_EQ_INT(pl_op_result(&now.op), now.result);
    }
}

static int64_t act(void *arg)
{
    int64_t end;
    (void)arg;
    now.actor = pl_task_current();
    CHECK_EQ_INT(pl_timeout_begin(&now.scope, PL_FOREVER), PL_OK);
    if (now.at == MOMENT_BEFORE)
        cancel_now();
    if (now.way == BY_OPERATION)
        now.result = end_of(now.row->start(&now.op, now.state), &now.op);
    else
        now.result = now.row->call(now.state);
    now.ended = true;
    if (CHECK(now.reached))
        look_what_is_left();
    end = pl_timeout_end(&now.scope, now.result);
    CHECK_EQ_INT(end, now.way == BY_TIMEOUT && now.result == PL_ECANCELED ? PL_ETIMEDOUT : now.result);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

/* --- The workers -------------------------------------------------------------------------------------------------- */

/* Calls that a shim holds: no worker is free. */
static struct {
    pl_op ops[WORKERS];
    char paths[WORKERS][4096];
    int64_t opens;
} occupants;

int64_t moment_foreign_calls(shim kind)
{
    return now.at == MOMENT_QUEUED && kind == SHIM_OPEN ? occupants.opens : 0;
}

/* Where a path has to be opened for that, the row may hold that. */
static bool are_occupied(void *state)
{
    (void)state;
    return shims_held(SHIM_PATH) + shims_held(SHIM_OPEN) == WORKERS;
}

static void occupy_workers(void)
{
    int i;
    int64_t opens = shim_calls(SHIM_OPEN);
    memset(&occupants, 0, sizeof occupants);
    shims_hold(SHIM_PATH);
    for (i = 0; i < WORKERS; i++)
        CHECK_EQ_INT(pl_path_real_start(&occupants.ops[i], ".", occupants.paths[i], sizeof occupants.paths[i]), PL_OK);
    moment_wait_until(are_occupied, NULL);
    occupants.opens = shim_calls(SHIM_OPEN) - opens;
}

static void free_workers(void)
{
    int i;
    shims_release(SHIM_PATH);
    for (i = 0; i < WORKERS; i++)
        CHECK(pl_op_await(&occupants.ops[i]) > 0);
}

/* --- The director ------------------------------------------------------------------------------------------------- */

static bool is_pending_or_ended(void *state)
{
    const pl__op *op;
    if (now.ended)
        return true;
    if (!now.actor->waiting_for)
        return false;
    if (now.row->is_pending && now.at != MOMENT_QUEUED)
        return now.row->is_pending(state);
    op = op_of_call();
    if (now.row->completion)
        return !op || op->state == PL__OP_PENDING;
    return op && op->state == PL__OP_PENDING && op->completion.state == PL__SUBMITTED;
}

static void complete(void)
{
    now.completed = true;
    now.row->complete(now.state);
}

/* Its thread; what needs more than one push gets it. */
static bool device_is_through(pl__device *device)
{
    while (!pl__atomic_u32_load(&device->finished)) {
        if (now.row->repeats)
            complete();
        pl__thread_yield();
    }
    return true;
}

static void wait_until_completed(void)
{
    pl__op *op = op_of_call();
    pl__completion *own = op ? &op->completion : NULL;
    if (now.row->is_complete)
        CHECK(now.row->is_complete(now.state));
    else if (now.row->completion)
        CHECK(moment_system_is_through(
            now.submitted, now.submitted_count < SUBMITTED_MAX ? now.submitted_count : SUBMITTED_MAX, now.row->writes));
    else if (CHECK(own != NULL) && own->handle && own->handle->type == PL__DEVICE)
        CHECK(device_is_through(pl__device_of(own->handle)));
    else if (own && !pl__kind_is_worker(own->kind))
        CHECK(moment_system_is_through(&own, 1, now.row->writes));
}

/* A worker is in the middle of it: the cancel changes nothing. */
static void look_that_it_goes_on(void)
{
    int i;
    for (i = 0; i < TURNS; i++)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK(!now.ended);
    complete();
}

static void come_to_the_moment(void)
{
    if (now.at == MOMENT_BEFORE && now.way != BY_OPERATION)
        return;
    moment_wait_until(is_pending_or_ended, now.state);
    if (!CHECK(!now.ended))
        return;
    switch (now.at) {
    case MOMENT_QUEUED:
        cancel_now();
        break;
    case MOMENT_PENDING:
        cancel_now();
        if (now.row->kind == MOMENT_JOINED || now.row->joins)
            look_that_it_goes_on();
        break;
    case MOMENT_COMPLETED:
        complete();
        wait_until_completed();
        cancel_now();
        break;
    default:
        now.armed = now.at != MOMENT_BEFORE;
        complete();
        break;
    }
}

static void wait_for_the_end(void)
{
    while (now.row->repeats && now.completed && !now.ended && pl_sleep(PL_MS(1)) == PL_OK)
        now.row->complete(now.state);
    (void)pl_await(pl_task_future(now.actor));
    CHECK(now.ended);
}

static bool may_be(bool canceled, bool truth)
{
    return now.result == PL_ECANCELED ? canceled : now.result >= 0 && truth;
}

static bool result_is_allowed(void)
{
    static const struct {
        bool canceled, truth;
    } allowed[][MOMENT_COUNT] = {
        [MOMENT_IMMEDIATE] = {{1, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}, {0, 1}},
        [MOMENT_REQUEST] = {{1, 0}, {1, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 1}},
        [MOMENT_PIECES] = {{1, 0}, {1, 0}, {1, 0}, {1, 1}, {1, 1}, {0, 1}},
        [MOMENT_BEGUN] = {{1, 0}, {1, 0}, {0, 1}, {0, 1}, {0, 1}, {0, 1}},
        [MOMENT_ABANDONABLE] = {{1, 0}, {1, 0}, {1, 0}, {1, 1}, {0, 1}, {0, 1}},
        [MOMENT_JOINED] = {{1, 0}, {1, 0}, {0, 1}, {0, 1}, {0, 1}, {0, 1}},
        [MOMENT_COMPOSED] = {{1, 0}, {1, 0}, {1, 0}, {1, 1}, {1, 1}, {1, 1}},
    };
    if (now.at == MOMENT_BEFORE && now.way == BY_OPERATION)
        return may_be(false, true);
    return may_be(allowed[now.row->kind][now.at].canceled, allowed[now.row->kind][now.at].truth);
}

static void play(void)
{
    pl_task_options options = {.size = sizeof options, .name = "actor", .eager = 1}; /* nobody polls before it waits */
    if (now.at == MOMENT_QUEUED)
        occupy_workers();
    if (!CHECK_EQ_INT(pl_spawn(&now.actor, act, NULL, &options), PL_OK))
        return;
    come_to_the_moment();
    wait_for_the_end();
    now.armed = false;
    pl_callback_cancel(&now.look);
    CHECK(now.reached);
    if (!CHECK(result_is_allowed()))
        CHECK_STR(pl_error_name(now.result), "a result that this kind allows at this moment");
    if (!now.completed)
        complete();
    if (now.at == MOMENT_QUEUED)
        free_workers();
    if (now.row->check)
        now.row->check(now.state, now.result);
    pl_task_unref(now.actor);
}

static void run_body(void)
{
    hook();
    if (!now.row->set_up || now.row->set_up(now.state, now.at)) {
        play();
        if (now.row->tear_down)
            now.row->tear_down(now.state);
    }
    unhook();
}

/* Why this case is not played; NULL: it is. */
static const char *reason_against(const moment_row *row, moment at, moment_way way)
{
    if (way == BY_OPERATION && !row->start)
        return "it has no _start";
    if (at == MOMENT_QUEUED && !row->worker)
        return "no worker does it";
    return row->never[at];
}

void moment_run(test_context *t, const char *name, const moment_row *row, moment at, moment_way way)
{
    const char *reason = reason_against(row, at, way);
    if (reason) {
        printf("not played: %s: %s\n", name, reason);
        return;
    }
    memset(&now, 0, sizeof now);
    now.name = name;
    now.row = row;
    now.at = at;
    now.way = way;
    now.state = calloc(1, row->size ? row->size : 1);
    REQUIRE(now.state != NULL);
    if (row->uses_console && process_uses_console())
        t_keeps_handles(t, "those of the console");
    shims_begin();
    loopback_run(t, run_body, NULL);
    shims_end();
    if (row->clean_up)
        row->clean_up();
    free(now.state);
}
