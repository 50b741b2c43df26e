/* A loop inside one of libuv: its descriptor is polled, its deadline is a timer. */
#include <proloop/proloop.h>

#include <string.h>
#include <uv.h>

#include "fixture.h"
#include "harness.h"
#include "loopback.h"

typedef struct uv_host {
    fixture f;
    uv_loop_t uv;
    uv_poll_t poll;
    uv_timer_t deadline;
    uv_prepare_t prepare; /* before libuv waits */
    uv_timer_t ticker;
    int ticks;
} uv_host;

static void run_loop(uv_host *h)
{
    CHECK_EQ_INT(pl_loop_run_once(h->f.loop, 0), PL_OK);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    (void)events;
    CHECK_EQ_INT(status, 0);
    run_loop(poll->data);
}

static void on_deadline(uv_timer_t *timer)
{
    run_loop(timer->data);
}

static void on_tick(uv_timer_t *timer)
{
    ((uv_host *)timer->data)->ticks++;
}

/* libuv's clock is of milliseconds, and a timer set here is early by less than one: then it is set once more. */
static void on_prepare(uv_prepare_t *prepare)
{
    uv_host *h = prepare->data;
    pl_duration deadline = pl_loop_next_deadline(h->f.loop);
    pl_duration left = deadline - pl_loop_time(h->f.loop);
    if (deadline == PL_FOREVER)
        CHECK_EQ_INT(uv_timer_stop(&h->deadline), 0);
    else
        CHECK_EQ_INT(uv_timer_start(&h->deadline, on_deadline, left <= 0 ? 0 : (uint64_t)(left / PL_MS(1)) + 1, 0), 0);
}

static bool uv_host_open(uv_host *h, const test_context *t)
{
    memset(h, 0, sizeof *h);
    if (!fixture_open(&h->f, t) || !CHECK_EQ_INT(pl_loop_embed(h->f.loop, NULL, NULL), PL_OK))
        return false;
    CHECK_EQ_INT(uv_loop_init(&h->uv), 0);
    CHECK_EQ_INT(uv_poll_init(&h->uv, &h->poll, pl_loop_backend_fd(h->f.loop)), 0);
    CHECK_EQ_INT(uv_timer_init(&h->uv, &h->deadline), 0);
    CHECK_EQ_INT(uv_timer_init(&h->uv, &h->ticker), 0);
    CHECK_EQ_INT(uv_prepare_init(&h->uv, &h->prepare), 0);
    h->poll.data = h->deadline.data = h->ticker.data = h->prepare.data = h;
    CHECK_EQ_INT(uv_poll_start(&h->poll, UV_READABLE, on_readable), 0);
    CHECK_EQ_INT(uv_prepare_start(&h->prepare, on_prepare), 0);
    CHECK_EQ_INT(uv_timer_start(&h->ticker, on_tick, 1, 1), 0);
    return true;
}

static void uv_host_close(uv_host *h)
{
    uv_close((uv_handle_t *)&h->poll, NULL);
    uv_close((uv_handle_t *)&h->deadline, NULL);
    uv_close((uv_handle_t *)&h->ticker, NULL);
    uv_close((uv_handle_t *)&h->prepare, NULL);
    CHECK_EQ_INT(uv_run(&h->uv, UV_RUN_DEFAULT), 0);
    CHECK_EQ_INT(uv_loop_close(&h->uv), 0);
    fixture_close(&h->f);
}

static int64_t run_under_uv(uv_host *h, pl_task_fn *fn)
{
    int64_t result;
    pl_task *task = start_task(&h->f, fn, h);
    if (!task)
        return PL_EUNKNOWN;
    while (pl_future_state(pl_task_future(task)) == PL_PENDING)
        (void)uv_run(&h->uv, UV_RUN_ONCE);
    result = pl_future_result(pl_task_future(task));
    pl_task_unref(task);
    return result;
}

static int64_t talk(void *arg)
{
    pl_stream *client, *server;
    (void)arg;
    REQUIRE_OR(connect_pair(&client, &server), return -1);
    CHECK(flow_across(client, server, 3000000));
    pl_stream_close(client);
    pl_stream_close(server);
    return 0;
}

TEST_CASE(streams_flow_under_libuv)
{
    uv_host h;
    REQUIRE(uv_host_open(&h, t));
    CHECK_EQ_INT(run_under_uv(&h, talk), 0);
    uv_host_close(&h);
}

static int64_t sleep_often(void *arg)
{
    uv_host *h = arg;
    pl_duration began = pl_loop_time(h->f.loop);
    for (int i = 0; i < 10; i++)
        CHECK_EQ_INT(pl_sleep(PL_MS(3)), PL_OK);
    CHECK(pl_loop_time(h->f.loop) - began >= PL_MS(30));
    return 0;
}

TEST_CASE(both_have_their_timers)
{
    uv_host h;
    REQUIRE(uv_host_open(&h, t));
    CHECK_EQ_INT(run_under_uv(&h, sleep_often), 0);
    CHECK(h.ticks > 0);
    uv_host_close(&h);
}

static int64_t on_worker(void *arg)
{
    return (int64_t)(intptr_t)arg;
}

static int64_t use_workers(void *arg)
{
    (void)arg;
    for (int i = 0; i < 50; i++)
        CHECK_EQ_INT(pl_to_thread(on_worker, (void *)(intptr_t)i), i);
    return 0;
}

TEST_CASE(other_threads_wake_it_under_libuv)
{
    uv_host h;
    REQUIRE(uv_host_open(&h, t));
    CHECK_EQ_INT(run_under_uv(&h, use_workers), 0);
    uv_host_close(&h);
}

TEST_SUITE(libuv, TEST_BACKENDS_REAL, CASE(streams_flow_under_libuv), CASE(both_have_their_timers),
           CASE(other_threads_wake_it_under_libuv))
