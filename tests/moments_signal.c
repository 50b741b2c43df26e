/* Moments of signals. */
#include "../src/loop.h"
#include "../src/thread.h"
#include "moments.h"
#include "process.h"

typedef struct listening {
    pl_signal *watcher;
    pl_signal_info info;
    pl_loop *loop;
    uint32_t before; /* of all that had arrived */
} listening;

static uint32_t arrived(const listening *s)
{
    return pl__atomic_u32_load(&s->loop->proactor->mailbox.arrived);
}

static bool wait_set_up(void *state, moment at)
{
    static const int event = PL_SIGNAL_INTERRUPT;
    listening *s = state;
    (void)at;
    s->loop = pl_loop_running();
    if (!CHECK_EQ_INT(pl_signal_open(&s->watcher, &event, 1, NULL), PL_OK))
        return false;
    s->before = arrived(s);
    return true;
}

static int wait_start(pl_op *op, void *state)
{
    listening *s = state;
    return pl_signal_wait_start(op, s->watcher, &s->info);
}

static int64_t wait_call(void *state)
{
    listening *s = state;
    return pl_signal_wait(s->watcher, &s->info);
}

static bool it_waits(void *state)
{
    (void)state;
    return true;
}

/* The system's thread may bring it later; the loop has looked at nothing yet. */
static void interrupt(void *state)
{
    listening *s = state;
    if (!CHECK(process_interrupt()))
        return;
    while (arrived(s) == s->before)
        pl__thread_yield();
}

static bool has_arrived(void *state)
{
    const listening *s = state;
    return arrived(s) != s->before;
}

/* What a cancelled wait was not told the next one is, and it is told once. */
static void wait_check(void *state, int64_t result)
{
    listening *s = state;
    pl_op op = {{{0}}};
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(s->info.count, 0);
        CHECK_EQ_INT(wait_call(s), PL_OK);
    }
    CHECK_EQ_INT(s->info.event, PL_SIGNAL_INTERRUPT);
    CHECK_EQ_INT(s->info.count, 1);
    CHECK_EQ_INT(wait_start(&op, s), PL_OK);
    CHECK(pl_op_is_pending(&op));
    s->before = arrived(s);
    interrupt(s);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(s->info.count, 1);
}

static void wait_tear_down(void *state)
{
    listening *s = state;
    pl_signal_close(s->watcher);
}

const moment_row moment_row_signal_wait = {
    .kind = MOMENT_IMMEDIATE,
    .size = sizeof(listening),
    .set_up = wait_set_up,
    .start = wait_start,
    .call = wait_call,
    .is_pending = it_waits,
    .complete = interrupt,
    .is_complete = has_arrived,
    .is_polled = has_arrived,
    .check = wait_check,
    .tear_down = wait_tear_down,
    .uses_console = true,
};
