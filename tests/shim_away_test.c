/* Jobs that go on without their worker: a look-up that a thread of the case's own ends, as the system's threads do on
 * Windows, before its worker is back, later, or after its loop has closed. */
#include <proloop/proloop.h>

#include <string.h>

#include "atomic.h"
#include "harness.h"
#include "loopback.h"
#include "resolver.h"
#include "thread.h"
#include "worker_pool.h"

int64_t __real_pl__run_resolve(pl__job *job);
int64_t __wrap_pl__run_resolve(pl__job *job);

enum mode { AS_IS, AT_ONCE, BY_A_THREAD, HELD };

static struct {
    pl__atomic_u32 mode;
    pl__atomic_u32 held;  /* jobs that wait to be released */
    pl__atomic_u32 ended; /* threads that have said so */
    pl__atomic_u32 stops; /* calls of `stop` */
    pl__atomic_u32 begun;
} away;

/* Closed, jobs that are held wait for it. */
static struct {
    pl__mutex mutex;
    pl__condition opened;
    bool is_open;
} gate;

static void open_gate(void)
{
    pl__mutex_lock(&gate.mutex);
    gate.is_open = true;
    pl__condition_broadcast(&gate.opened);
    pl__mutex_unlock(&gate.mutex);
}

static void wait_at_gate(void)
{
    pl__mutex_lock(&gate.mutex);
    while (!gate.is_open)
        pl__condition_wait(&gate.opened, &gate.mutex);
    pl__mutex_unlock(&gate.mutex);
}

static void end_job(pl__job *job)
{
    pl_address address = {.family = PL_IPV4, .port = 80, .ip = {192, 0, 2, 9}};
    int added = pl__resolve_add(job, &address);
    pl__job_end(job, added < 0 ? added : 1, 0);
}

static void run_away(void *arg)
{
    if (pl__atomic_u32_load(&away.mode) == HELD) {
        pl__atomic_u32_add(&away.held, 1);
        wait_at_gate();
    }
    end_job(arg);
    pl__atomic_u32_add(&away.ended, 1);
}

static void stop(void *argument)
{
    (void)argument;
    pl__atomic_u32_add(&away.stops, 1);
}

int64_t __wrap_pl__run_resolve(pl__job *job)
{
    pl__thread thread;
    switch (pl__atomic_u32_load(&away.mode)) {
    case AS_IS:
        return __real_pl__run_resolve(job);
    case AT_ONCE:
        pl__atomic_u32_add(&away.begun, 1);
        end_job(job);
        pl__atomic_u32_add(&away.ended, 1);
        return PL__JOB_AWAY;
    default:
        pl__atomic_u32_add(&away.begun, 1);
        job->stop = stop; /* the job stays the worker's until it returns, though it may have ended then */
        if (pl__thread_start(&thread, run_away, job, "away") != PL_OK)
            return PL_ELIMIT;
        pl__thread_detach(&thread);
        return PL__JOB_AWAY;
    }
}

static void begin(enum mode mode)
{
    memset(&away, 0, sizeof away);
    pl__atomic_u32_store(&away.mode, mode);
    pl__mutex_init(&gate.mutex);
    pl__condition_init(&gate.opened);
    gate.is_open = false;
}

/* Every job has ended; the threads may still be on their last steps. */
static void end(void)
{
    open_gate();
    while (pl__atomic_u32_load(&away.ended) < pl__atomic_u32_load(&away.begun))
        ;
    pl__condition_destroy(&gate.opened);
    pl__mutex_destroy(&gate.mutex);
    pl__atomic_u32_store(&away.mode, AS_IS);
}

#define AWAY_CASE(name, mode)                                                                                          \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        begin(mode);                                                                                                   \
        loopback_run(t, name##_body, NULL);                                                                            \
        end();                                                                                                         \
    }                                                                                                                  \
    static void name##_body(void)

static void resolve_some(void)
{
    int i;
    for (i = 0; i < 100; i++) {
        pl_address found[2] = {{0}};
        CHECK_EQ_INT(pl_resolve("host.test", 80, 0, found, 2), 1);
        CHECK_EQ_INT(found[0].ip[3], 9);
    }
    CHECK_EQ_INT(pl__atomic_u32_load(&away.stops), 0);
}

AWAY_CASE(a_job_may_end_before_its_worker_is_back, AT_ONCE)
{
    resolve_some();
}

AWAY_CASE(a_job_is_ended_by_another_thread, BY_A_THREAD)
{
    resolve_some();
}

enum { MANY = 24 };

static pl_op ops[MANY];
static pl_address found[MANY][1];

static void start_many(void)
{
    int i;
    memset(ops, 0, sizeof ops);
    memset(found, 0, sizeof found);
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(pl_resolve_start(&ops[i], "host.test", 80, 0, found[i], 1), PL_OK);
}

AWAY_CASE(jobs_that_are_away_hold_no_worker, HELD)
{
    int i;
    start_many();
    while (pl__atomic_u32_load(&away.held) < MANY)
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    open_gate();
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(pl_op_await(&ops[i]), 1);
}

AWAY_CASE(a_job_that_is_away_is_abandoned_at_once_and_told_to_stop, HELD)
{
    int i;
    start_many();
    while (pl__atomic_u32_load(&away.held) < MANY)
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(pl_op_finish(&ops[i]), PL_ECANCELED);
    while (pl__atomic_u32_load(&away.stops) < MANY)
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(found[i][0].family, 0);
}

/* Whatever comes first, each ends once: with its result, or cancelled and without a trace. */
AWAY_CASE(a_cancel_and_an_end_may_meet, BY_A_THREAD)
{
    dice d = dice_of(71);
    int round, i;
    for (round = 0; round < 40; round++) {
        start_many();
        for (i = 0; i < MANY; i++) {
            int64_t rc;
            if (throw_below(&d, 3) == 0)
                pl_yield();
            rc = pl_op_finish(&ops[i]);
            CHECK(rc == 1 || rc == PL_ECANCELED);
            CHECK((rc == 1) == (found[i][0].family != 0));
        }
    }
}

static void leave_many(void)
{
    start_many();
    while (pl__atomic_u32_load(&away.held) < MANY / 2)
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
}

/* Their threads find neither loop nor proactor. */
TEST_CASE(jobs_may_end_after_their_loop)
{
    int i;
    begin(HELD);
    loopback_run(t, leave_many, NULL);
    for (i = 0; i < MANY; i++)
        CHECK_EQ_INT(pl_op_result(&ops[i]), PL_ECANCELED);
    CHECK_EQ_INT(pl__atomic_u32_load(&away.ended), 0);
    end();
}

/* The loop goes as soon as it has its last result, while the thread that told it is still on its way out. */
TEST_CASE(a_loop_may_close_right_after_an_end)
{
    int i;
    begin(BY_A_THREAD);
    for (i = 0; i < 100; i++)
        loopback_run(t, start_many, NULL);
    end();
}

static void resolve_once(void)
{
    pl_address one[1] = {{0}};
    CHECK_EQ_INT(pl_resolve("host.test", 80, 0, one, 1), 1);
}

TEST_CASE(a_loop_may_close_right_after_its_last_result)
{
    int i;
    begin(BY_A_THREAD);
    for (i = 0; i < 200; i++)
        loopback_run(t, resolve_once, NULL);
    end();
}

TEST_SUITE(shim_away, TEST_BACKENDS_REAL, CASE(a_job_may_end_before_its_worker_is_back),
           CASE(a_job_is_ended_by_another_thread), CASE(jobs_that_are_away_hold_no_worker),
           CASE(a_job_that_is_away_is_abandoned_at_once_and_told_to_stop), CASE(a_cancel_and_an_end_may_meet),
           CASE(jobs_may_end_after_their_loop), CASE(a_loop_may_close_right_after_an_end),
           CASE(a_loop_may_close_right_after_its_last_result))
