/* Moments of watched folders. */
#include "../src/proactor.h"
#include "folders.h"
#include "loopback.h"
#include "moments.h"
#include "shims.h"

#define ROOT "moments_watch_folder"

typedef struct watching {
    pl_watch *watch;
    pl_watch_event event;
    shim held;
} watching;

static void remove_folder(void)
{
    path_remove(ROOT "/a");
    path_remove(ROOT "/b");
    path_remove(ROOT);
}

/* --- pl_watch_next ------------------------------------------------------------------------------------------------ */

static int64_t open_call(void *state)
{
    static const pl_watch_options options = {.size = sizeof options, .events = PL_WATCH_CREATED};
    watching *w = state;
    return pl_watch_open(&w->watch, ROOT, &options);
}

static bool next_set_up(void *state, moment at)
{
    (void)at;
    remove_folder();
    return CHECK(folder_make(ROOT)) && CHECK_EQ_INT(open_call(state), PL_OK);
}

static int next_start(pl_op *op, void *state)
{
    watching *w = state;
    return pl_watch_next_start(op, w->watch, &w->event);
}

static int64_t next_call(void *state)
{
    watching *w = state;
    return pl_watch_next(w->watch, &w->event);
}

static void make_a(void *state)
{
    (void)state;
    CHECK(file_make(ROOT "/a", "", 0));
}

/* The event that a cancelled call did not get the next one gets, and each comes once. */
static void next_check(void *state, int64_t result)
{
    watching *w = state;
    if (result == PL_ECANCELED)
        result = next_call(w);
    CHECK_EQ_INT(result, PL_WATCH_CREATED);
    CHECK_STR(w->event.name, "a");
    CHECK(file_make(ROOT "/b", "", 0));
    CHECK_EQ_INT(next_call(w), PL_WATCH_CREATED);
    CHECK_STR(w->event.name, "b");
}

static void next_tear_down(void *state)
{
    watching *w = state;
    pl_watch_close(w->watch);
}

/* Told: by the job that makes events. */
const moment_row moment_row_watch_next = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(watching),
    .set_up = next_set_up,
    .start = next_start,
    .call = next_call,
    .complete = make_a,
    .check = next_check,
    .tear_down = next_tear_down,
    .clean_up = remove_folder,
    .completion = PL__CHANGES_READ,
    .never = {[MOMENT_COMPLETED] = "what the system has collected is watch_collect's matter"},
};

/* The same, as the system collects. */
const moment_row moment_row_watch_collect = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(watching),
    .set_up = next_set_up,
    .start = next_start,
    .call = next_call,
    .complete = make_a,
    .check = next_check,
    .tear_down = next_tear_down,
    .clean_up = remove_folder,
    .completion = PL__CHANGES,
    .never = {[MOMENT_DONE] = "a worker makes the event: see watch_next"},
};

/* --- pl_watch_open ------------------------------------------------------------------------------------------------ */

static bool open_set_up(void *state, moment at)
{
    watching *w = state;
    (void)at;
    remove_folder();
    w->held = on_backend("iocp") ? SHIM_OPEN : SHIM_PATH;
    shims_hold(w->held);
    return CHECK(folder_make(ROOT));
}

static int open_start(pl_op *op, void *state)
{
    static const pl_watch_options options = {.size = sizeof options, .events = PL_WATCH_CREATED};
    watching *w = state;
    return pl_watch_open_start(op, &w->watch, ROOT, &options);
}

static bool is_held(void *state)
{
    const watching *w = state;
    return shims_held(w->held) >= 1;
}

static bool none_is_held(void *state)
{
    return !is_held(state);
}

static void release(void *state)
{
    const watching *w = state;
    shims_release(w->held);
}

static void open_check(void *state, int64_t result)
{
    watching *w = state;
    CHECK((w->watch != NULL) == (result >= 0));
    if (result == PL_ECANCELED)
        REQUIRE_EQ_INT(open_call(w), PL_OK);
    make_a(w);
    next_check(w, PL_ECANCELED);
}

static void open_tear_down(void *state)
{
    moment_wait_until(none_is_held, state);
    next_tear_down(state);
}

const moment_row moment_row_watch_open = {
    .kind = MOMENT_ABANDONABLE,
    .size = sizeof(watching),
    .set_up = open_set_up,
    .start = open_start,
    .call = open_call,
    .is_pending = is_held,
    .complete = release,
    .check = open_check,
    .tear_down = open_tear_down,
    .clean_up = remove_folder,
};
