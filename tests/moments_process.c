/* Moments of child processes: a spawn that a shim holds, and children that stay until the case kills them. None is left. */
#include <stdlib.h>
#include <string.h>

#include "../src/proactor.h"
#include "loopback.h"
#include "moments.h"
#include "process.h"
#include "process_child.h"
#include "shims.h"

typedef struct working {
    int64_t calls;
    pl_process *process;
    pl_process_result result;
    pl_process_capture capture;
    uint64_t id; /* of the child that stays; 0: not known */
} working;

enum { CODE = 7 };

/* It says its number, and stays. */
static const char *const *staying(void)
{
    static const char *argv[] = {NULL, PROCESS_CHILD, "stay", NULL};
    argv[0] = process_child_path();
    return argv;
}

static const char *const *ending(void)
{
    static const char *argv[] = {NULL, PROCESS_CHILD, "exit", "7", NULL};
    argv[0] = process_child_path();
    return argv;
}

static int64_t killed_code(void)
{
    return on_backend("iocp") ? 1 : 128 + 9;
}

static void tear_down(void *state)
{
    working *w = state;
    pl_process_close(w->process);
    pl_process_capture_free(&w->capture);
}

static void no_child_is_left(void)
{
    CHECK(!process_has_children());
}

static void kill_it(void *state)
{
    working *w = state;
    if (w->id && !process_is_gone(w->id))
        CHECK(process_kill(w->id));
}

/* Its end was waited for. */
static bool is_killed(void *state)
{
    const working *w = state;
    return CHECK(w->id != 0);
}

/* The child that was spawned by a call that captures its output. */
static bool has_said_its_number(void *state)
{
    working *w = state;
    if (w->capture.output_size == 0 || w->capture.output[w->capture.output_size - 1] != '\n')
        return false;
    w->id = strtoull(w->capture.output, NULL, 10);
    return true;
}

/* --- pl_process_spawn --------------------------------------------------------------------------------------------- */

static bool spawn_is_held(void *state)
{
    (void)state;
    return shims_held(SHIM_SPAWN) >= 1;
}

static bool spawn_is_over(void *state)
{
    return !spawn_is_held(state);
}

static void release_spawn(void *state)
{
    (void)state;
    shims_release(SHIM_SPAWN);
}

static bool spawn_set_up(void *state, moment at)
{
    working *w = state;
    (void)at;
    w->calls = shim_calls(SHIM_SPAWN);
    shims_hold(SHIM_SPAWN);
    return true;
}

static int spawn_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_process_spawn_start(op, &w->process, ending(), NULL);
}

static int64_t spawn_call(void *state)
{
    working *w = state;
    return pl_process_spawn(&w->process, ending(), NULL);
}

/* A child that was spawned has an owner. */
static void spawn_check(void *state, int64_t result)
{
    working *w = state;
    CHECK((w->process != NULL) == (result >= 0));
    CHECK((shim_calls(SHIM_SPAWN) > w->calls) == (result >= 0));
    CHECK(result >= 0 || on_backend("iocp") || !process_has_children()); /* one that began may have ended */
    if (result == PL_ECANCELED)
        REQUIRE_EQ_INT(spawn_call(w), PL_OK);
    CHECK_EQ_INT(pl_process_wait(w->process, NULL), CODE);
}

static void spawn_tear_down(void *state)
{
    moment_wait_until(spawn_is_over, state);
    tear_down(state);
}

const moment_row moment_row_process_spawn = {
    .kind = MOMENT_JOINED,
    .size = sizeof(working),
    .set_up = spawn_set_up,
    .start = spawn_start,
    .call = spawn_call,
    .is_pending = spawn_is_held,
    .complete = release_spawn,
    .check = spawn_check,
    .tear_down = spawn_tear_down,
    .clean_up = no_child_is_left,
    .worker = true,
};

/* --- pl_process_wait ---------------------------------------------------------------------------------------------- */

static bool wait_set_up(void *state, moment at)
{
    working *w = state;
    (void)at;
    if (!CHECK_EQ_INT(pl_process_spawn(&w->process, staying(), NULL), PL_OK))
        return false;
    w->id = pl_process_id(w->process);
    return true;
}

static int wait_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_process_wait_start(op, w->process, &w->result);
}

static int64_t wait_call(void *state)
{
    working *w = state;
    return pl_process_wait(w->process, &w->result);
}

/* Its end is not lost, and was not told to who gave up. */
static void wait_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        CHECK(w->result.exit_code == 0 && w->result.signal == 0);
        result = wait_call(w);
    }
    CHECK_EQ_INT(result, killed_code());
    CHECK(on_backend("iocp") ? w->result.exit_code == 1 : w->result.signal == 9);
    CHECK_EQ_INT(wait_call(w), killed_code());
}

const moment_row moment_row_process_wait = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(working),
    .set_up = wait_set_up,
    .start = wait_start,
    .call = wait_call,
    .complete = kill_it,
    .is_complete = is_killed,
    .check = wait_check,
    .tear_down = tear_down,
    .clean_up = no_child_is_left,
#if defined(_WIN32)
    .completion = PL__WAIT,
#else
    .completion = PL__POLL,
#endif
};

/* --- pl_process_communicate --------------------------------------------------------------------------------------- */

static bool communicate_set_up(void *state, moment at)
{
    working *w = state;
    pl_process_options options = {.size = sizeof options};
    (void)at;
    options.input.kind = PL_STDIO_PIPE;
    options.output.kind = PL_STDIO_PIPE;
    options.error.kind = PL_STDIO_PIPE;
    if (!CHECK_EQ_INT(pl_process_spawn(&w->process, staying(), &options), PL_OK))
        return false;
    w->id = pl_process_id(w->process);
    return true;
}

static int64_t communicate_call(void *state)
{
    working *w = state;
    return pl_process_communicate(w->process, NULL, 0, &w->capture);
}

/* What was read stands in the capture, once, and going on reads the rest. */
static void communicate_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED)
        result = communicate_call(w);
    CHECK_EQ_INT(result, killed_code());
    CHECK_EQ_INT(w->capture.error_size, 0);
    if (w->capture.output_size == 0) {
        CHECK_EQ_INT(moment_now(), MOMENT_BEFORE); /* it was killed before it could say anything */
        return;
    }
    CHECK_EQ_INT(strtoull(w->capture.output, NULL, 10), w->id);
    CHECK(strchr(w->capture.output, '\n') == w->capture.output + w->capture.output_size - 1);
}

const moment_row moment_row_process_communicate = {
    .kind = MOMENT_COMPOSED,
    .size = sizeof(working),
    .set_up = communicate_set_up,
    .call = communicate_call,
    .is_pending = has_said_its_number,
    .complete = kill_it,
    .is_complete = is_killed,
    .check = communicate_check,
    .tear_down = tear_down,
    .clean_up = no_child_is_left,
};

/* --- pl_process_run ----------------------------------------------------------------------------------------------- */

static int64_t run_call(void *state)
{
    working *w = state;
    return pl_process_run(staying(), NULL, NULL, 0, &w->capture);
}

/* Nobody but the call knew of the child: it has ended, and was collected. */
static void run_check(void *state, int64_t result)
{
    working *w = state;
    CHECK(result == PL_ECANCELED || result == killed_code());
    CHECK(w->id == 0 || process_is_gone(w->id));
    CHECK((w->id == 0) == (moment_now() < MOMENT_PENDING));
    CHECK(!process_has_children());
}

const moment_row moment_row_process_run = {
    .kind = MOMENT_COMPOSED,
    .size = sizeof(working),
    .call = run_call,
    .is_pending = has_said_its_number,
    .complete = kill_it,
    .is_complete = is_killed,
    .check = run_check,
    .tear_down = tear_down,
    .clean_up = no_child_is_left,
    .worker = true,
};

/* While it spawns. */
static int64_t run_ending_call(void *state)
{
    working *w = state;
    return pl_process_run(ending(), NULL, NULL, 0, &w->capture);
}

static void run_spawn_check(void *state, int64_t result)
{
    working *w = state;
    CHECK(result == PL_ECANCELED || result == CODE);
    CHECK((shim_calls(SHIM_SPAWN) > w->calls) == (moment_now() > MOMENT_QUEUED));
    CHECK(!process_has_children());
}

const moment_row moment_row_process_run_spawn = {
    .kind = MOMENT_COMPOSED,
    .size = sizeof(working),
    .set_up = spawn_set_up,
    .call = run_ending_call,
    .is_pending = spawn_is_held,
    .complete = release_spawn,
    .check = run_spawn_check,
    .tear_down = spawn_tear_down,
    .clean_up = no_child_is_left,
    .worker = true,
    .joins = true,
};
