/* A loop inside a foreign one. */
#include <proloop/proloop.h>

#include <string.h>

#include "allocation.h"
#include "atomic.h"
#include "fixture.h"
#include "foreign.h"
#include "harness.h"
#include "loopback.h"
#include "thread.h"

/* A host: it sleeps until it is told, or until the loop's next deadline, and runs the loop once. */
typedef struct host {
    fixture f;
    pl__mutex mutex;
    pl__condition changed;
    bool told;
    int tellings; /* in all */
    int runs;
    uint64_t thread;  /* its own */
    int other_thread; /* tellings on another one */
    int while_told;   /* tellings while it was told already */
} host;

static void wake_host(void *arg)
{
    host *h = arg;
    pl__mutex_lock(&h->mutex);
    h->while_told += h->told;
    h->other_thread += pl__thread_id() != h->thread;
    h->told = true;
    h->tellings++;
    pl__condition_signal(&h->changed);
    pl__mutex_unlock(&h->mutex);
}

static bool host_open(host *h, const test_context *t)
{
    memset(h, 0, sizeof *h);
    h->thread = pl__thread_id();
    pl__mutex_init(&h->mutex);
    pl__condition_init(&h->changed);
    return fixture_open(&h->f, t) && CHECK_EQ_INT(pl_loop_embed(h->f.loop, wake_host, h), PL_OK);
}

static bool can_be_embedded(const test_context *t)
{
    return strcmp(t->backend, "iocp") == 0 || strcmp(t->backend, "epoll") == 0;
}

static void host_close(host *h)
{
    fixture_close(&h->f);
    CHECK_EQ_INT(h->while_told, 0);
    pl__condition_destroy(&h->changed);
    pl__mutex_destroy(&h->mutex);
}

/* True: it was told; false: the deadline has come. */
static bool host_wait(host *h)
{
    pl_duration deadline = pl_loop_next_deadline(h->f.loop);
    pl__mutex_lock(&h->mutex);
    while (!h->told) {
        pl_duration now = pl_loop_time(h->f.loop);
        if (deadline <= now)
            break;
        (void)pl__condition_wait_for(&h->changed, &h->mutex, deadline == PL_FOREVER ? PL_FOREVER : deadline - now);
    }
    bool told = h->told;
    h->told = false;
    pl__mutex_unlock(&h->mutex);
    return told;
}

/* The host's own loop, until the future is done. */
static int64_t host_run(host *h, pl_future *future)
{
    while (pl_future_state(future) == PL_PENDING) {
        (void)host_wait(h);
        CHECK_EQ_INT(pl_loop_run_once(h->f.loop, 0), PL_OK);
        h->runs++;
    }
    return pl_future_result(future);
}

static int64_t host_run_task(host *h, pl_task_fn *fn)
{
    int64_t result;
    pl_task *task = start_task(&h->f, fn, h);
    if (!task)
        return PL_EUNKNOWN;
    result = host_run(h, pl_task_future(task));
    pl_task_unref(task);
    return result;
}

#define HOST_CASE(name)                                                                                                \
    static int64_t name##_task(void *arg);                                                                             \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        host h;                                                                                                        \
        if (!can_be_embedded(t))                                                                                       \
            return;                                                                                                    \
        REQUIRE(host_open(&h, t));                                                                                     \
        CHECK_EQ_INT(host_run_task(&h, name##_task), 0);                                                               \
        host_close(&h);                                                                                                \
    }                                                                                                                  \
    static int64_t name##_task(void *arg)

/* --- What is told ------------------------------------------------------------------------------------------------- */

HOST_CASE(streams_flow_in_a_foreign_loop)
{
    pl_stream *client, *server;
    (void)arg;
    REQUIRE_OR(connect_pair(&client, &server), return -1);
    CHECK(flow_across(client, server, 2000000));
    CHECK(flow_across(server, client, 300000));
    pl_stream_close(client);
    pl_stream_close(server);
    return 0;
}

HOST_CASE(timers_are_back_in_time)
{
    pl_duration began = pl_loop_time(pl_loop_running());
    (void)arg;
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(pl_sleep(PL_MS(3)), PL_OK);
    CHECK(pl_loop_time(pl_loop_running()) - began >= PL_MS(15));
    return 0;
}

HOST_CASE(ready_work_goes_on_without_the_system)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

HOST_CASE(a_cancel_in_an_iteration_is_followed_by_another_one)
{
    pl_socket pair[2];
    pl_op op = {0};
    (void)arg;
    REQUIRE_OR(foreign_pair(pair), return -1);
    for (int i = 0; i < 20; i++) {
        CHECK_EQ_INT(pl_poll_fd_start(&op, pair[0], PL_POLL_READABLE, NULL), PL_OK);
        CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
        CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    }
    foreign_close(pair[0]);
    foreign_close(pair[1]);
    return 0;
}

static int64_t on_a_worker(void *arg)
{
    return (int64_t)(intptr_t)arg;
}

HOST_CASE(workers_and_files_reach_it)
{
    pl_file_info info;
    (void)arg;
    for (int i = 0; i < 20; i++) {
        CHECK_EQ_INT(pl_to_thread(on_a_worker, (void *)(intptr_t)i), i);
        CHECK_EQ_INT(pl_file_stat(".", &info), PL_OK);
    }
    return 0;
}

/* --- Calls from outside --------------------------------------------------------------------------------------------- */

static void finish_first(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_future_set_result(f->futures[0], 7), PL_OK);
}

TEST_CASE(what_the_host_begins_itself_is_told)
{
    host h;
    pl_timer timer = {0};
    pl_callback callback = {0};
    if (!can_be_embedded(t))
        return;
    REQUIRE(host_open(&h, t));
    new_future(&h.f, 0);
    (void)host_wait(&h); /* at first it is told in any case */
    CHECK_EQ_INT(pl_loop_run_once(h.f.loop, 0), PL_OK);
    CHECK(!h.told);
    CHECK_EQ_INT(pl_call_soon(h.f.loop, finish_first, &h.f, NULL), PL_OK);
    CHECK(h.told);
    CHECK(pl_loop_next_deadline(h.f.loop) <= pl_loop_time(h.f.loop));
    CHECK_EQ_INT(host_run(&h, h.f.futures[0]), 7);
    drop_future(&h.f, 0);

    new_future(&h.f, 0);
    while (h.told)
        CHECK_EQ_INT(host_wait(&h) && pl_loop_run_once(h.f.loop, 0) != PL_OK, 0);
    CHECK_EQ_INT(pl_loop_next_deadline(h.f.loop), PL_FOREVER);
    CHECK_EQ_INT(pl_timer_start(&timer, h.f.loop, PL_MS(2), finish_first, &h.f), PL_OK);
    CHECK(h.told); /* its deadline is the first */
    CHECK(pl_loop_next_deadline(h.f.loop) < PL_FOREVER);
    CHECK_EQ_INT(host_run(&h, h.f.futures[0]), 7);
    drop_future(&h.f, 0);

    new_future(&h.f, 0);
    while (h.told)
        CHECK_EQ_INT(host_wait(&h) && pl_loop_run_once(h.f.loop, 0) != PL_OK, 0);
    CHECK_EQ_INT(pl_future_add_done_callback(h.f.futures[0], &callback, note_a, &h.f), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(h.f.futures[0], 0), PL_OK);
    CHECK(h.told);
    CHECK_EQ_INT(pl_loop_run_once(h.f.loop, 0), PL_OK);
    EXPECT_TRACE(&h.f, "a ");
    host_close(&h);
}

typedef struct poster {
    pl__thread thread;
    pl_remote *remote;
    pl__atomic_u32 *received;
    int count;
} poster;

static void receive_post(void *arg)
{
    CHECK(pl_loop_running() != NULL);
    pl__atomic_u32_add(arg, 1);
}

static void post_many(void *arg)
{
    poster *p = arg;
    for (int i = 0; i < p->count; i++)
        CHECK_EQ_INT(pl_call_soon_threadsafe(p->remote, receive_post, p->received, NULL), PL_OK);
    pl_remote_unref(p->remote);
}

TEST_CASE(no_post_of_another_thread_is_lost)
{
    enum { POSTERS = 3 };
    poster posters[POSTERS];
    pl__atomic_u32 received;
    uint32_t wanted = 0;
    host h;
    if (!can_be_embedded(t))
        return;
    REQUIRE(host_open(&h, t));
    pl__atomic_u32_store(&received, 0);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (poster){.remote = pl_loop_remote(h.f.loop), .received = &received, .count = scaled(3000)};
        wanted += (uint32_t)posters[i].count;
        CHECK_EQ_INT(pl__thread_start(&posters[i].thread, post_many, &posters[i], "poster"), PL_OK);
    }
    while (pl__atomic_u32_load(&received) < wanted) {
        (void)host_wait(&h);
        CHECK_EQ_INT(pl_loop_run_once(h.f.loop, 0), PL_OK);
    }
    for (int i = 0; i < POSTERS; i++)
        pl__thread_join(&posters[i].thread);
    CHECK_EQ_INT(pl__atomic_u32_load(&received), wanted);
    host_close(&h);
}

/* --- Its life --------------------------------------------------------------------------------------------------------- */

static void run_inside(void *arg)
{
    fixture *f = arg;
    f->results[0] = pl_loop_run_once(f->loop, 0);
    f->results[1] = pl_loop_embed(f->loop, wake_host, NULL);
    f->results[2] = pl_loop_unembed(f->loop);
}

TEST_CASE(an_embedded_loop_does_not_wait)
{
    host h;
    if (!can_be_embedded(t))
        return;
    REQUIRE(host_open(&h, t));
    new_future(&h.f, 0);
    CHECK_EQ_INT(pl_loop_run_forever(h.f.loop), PL_ESTATE);
    CHECK_EQ_INT(pl_loop_run_once(h.f.loop, PL_MS(1)), PL_ESTATE);
    CHECK_EQ_INT(pl_loop_run_once(h.f.loop, PL_FOREVER), PL_ESTATE);
    CHECK_EQ_INT(pl_loop_run_until_complete(h.f.loop, h.f.futures[0]), PL_ESTATE);
    CHECK_EQ_INT(pl_call_soon(h.f.loop, run_inside, &h.f, NULL), PL_OK);
    CHECK_EQ_INT(pl_loop_run_once(h.f.loop, 0), PL_OK);
    CHECK_EQ_INT(h.f.results[0], PL_EBUSY);
    CHECK_EQ_INT(h.f.results[1], PL_EBUSY);
    CHECK_EQ_INT(h.f.results[2], PL_EBUSY);
    host_close(&h);
}

static int64_t sleep_a_little(void *arg)
{
    (void)arg;
    return pl_sleep(PL_MS(1));
}

static int64_t send_and_receive(void *arg)
{
    pl_stream *client, *server;
    (void)arg;
    REQUIRE_OR(connect_pair(&client, &server), return -1);
    CHECK(flow_across(client, server, 100000));
    pl_stream_close(client);
    pl_stream_close(server);
    return 0;
}

TEST_CASE(it_is_its_own_again_and_embedded_again)
{
    host h;
    if (!can_be_embedded(t))
        return;
    REQUIRE(host_open(&h, t));
    for (int i = 0; i < 5; i++) {
        int tellings;
        CHECK_EQ_INT(pl_loop_embed(h.f.loop, wake_host, &h), PL_EBUSY);
        CHECK_EQ_INT(host_run_task(&h, send_and_receive), 0);
        CHECK_EQ_INT(pl_loop_unembed(h.f.loop), PL_OK);
        CHECK_EQ_INT(pl_loop_unembed(h.f.loop), PL_ESTATE);
        tellings = h.tellings;
        CHECK_EQ_INT(run_task(&h.f, sleep_a_little, NULL), PL_OK);
        CHECK_EQ_INT(run_task(&h.f, send_and_receive, NULL), 0);
        CHECK_EQ_INT(h.tellings, tellings);
        h.told = false;
        CHECK_EQ_INT(pl_loop_embed(h.f.loop, wake_host, &h), PL_OK);
    }
    host_close(&h);
}

static int64_t wait_for_bytes(void *arg)
{
    pl_socket *pair = arg;
    char byte;
    while (foreign_receive(pair[0], &byte, 1) == FOREIGN_BLOCKS)
        CHECK_EQ_INT(pl_poll_fd(pair[0], PL_POLL_READABLE, NULL), PL_OK);
    return byte;
}

/* What has come is kept from one time to the next. */
TEST_CASE(it_is_embedded_again_and_again_without_an_iteration)
{
    host h;
    pl_socket pair[2];
    pl_task *task;
    if (!can_be_embedded(t))
        return;
    REQUIRE(host_open(&h, t));
    REQUIRE(foreign_pair(pair));
    task = start_task(&h.f, wait_for_bytes, pair);
    REQUIRE(task != NULL);
    CHECK(host_wait(&h));
    CHECK_EQ_INT(pl_loop_run_once(h.f.loop, 0), PL_OK);
    for (int i = 0; i < 30; i++) {
        for (int j = 0; j < i * 100; j++)
            pl__thread_yield(); /* each time the relay has come a bit further */
        CHECK_EQ_INT(pl_loop_unembed(h.f.loop), PL_OK);
        if (i == 20)
            CHECK_EQ_INT(foreign_send(pair[1], "x", 1), 1);
        h.told = false;
        CHECK_EQ_INT(pl_loop_embed(h.f.loop, wake_host, &h), PL_OK);
    }
    CHECK_EQ_INT(host_run(&h, pl_task_future(task)), 'x');
    pl_task_unref(task);
    foreign_close(pair[0]);
    foreign_close(pair[1]);
    host_close(&h);
}

/* What the relay had taken by then is the loop's own again. */
TEST_CASE(nothing_is_lost_by_an_unembed_at_any_moment)
{
    if (!can_be_embedded(t))
        return;
    for (int i = 0; i < 30; i++) {
        host h;
        pl_task *task;
        REQUIRE(host_open(&h, t));
        task = start_task(&h.f, send_and_receive, NULL);
        REQUIRE(task != NULL);
        for (int j = 0; j < i && pl_future_state(pl_task_future(task)) == PL_PENDING; j++) {
            (void)host_wait(&h);
            CHECK_EQ_INT(pl_loop_run_once(h.f.loop, 0), PL_OK);
        }
        if (i % 3 == 0 && pl_future_state(pl_task_future(task)) == PL_PENDING)
            (void)host_wait(&h); /* it was told, and does not look */
        CHECK_EQ_INT(pl_loop_unembed(h.f.loop), PL_OK);
        CHECK_EQ_INT(finish_task(&h.f, task), 0);
        pl_task_unref(task);
        host_close(&h);
    }
}

static int64_t wait_for_ever(void *arg)
{
    pl_stream *client, *server;
    char byte;
    fixture *f = arg;
    REQUIRE_OR(connect_pair(&client, &server), return -1);
    f->counts[0] = 1;
    CHECK_EQ_INT(pl_read(client, &byte, 1), PL_ECANCELED);
    pl_stream_close(client);
    pl_stream_close(server);
    return 0;
}

TEST_CASE(closing_it_ends_what_is_under_way)
{
    host h;
    if (!can_be_embedded(t))
        return;
    REQUIRE(host_open(&h, t));
    REQUIRE(start_slot(&h.f, 0, wait_for_ever) != NULL);
    while (h.f.counts[0] == 0 && CHECK(host_wait(&h)))
        CHECK_EQ_INT(pl_loop_run_once(h.f.loop, 0), PL_OK);
    host_close(&h);
}

/* False: there is no such backend here. */
static bool refuses_to_be_embedded(const char *backend)
{
    const pl_loop_options options = {.size = sizeof options, .backend = backend};
    pl_loop *loop;
    fixture f;
    if (pl_loop_create(&loop, &options) == PL_EINVAL)
        return false;
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    if (!fixture_open_with(&f, options))
        return false;
    CHECK_EQ_INT(pl_loop_embed(f.loop, wake_host, NULL), PL_ENOTSUP);
    CHECK_EQ_INT(pl_loop_embed(f.loop, NULL, NULL), PL_ENOTSUP);
    CHECK_EQ_INT(pl_loop_backend_fd(f.loop), PL_ENOTSUP);
    CHECK_EQ_INT(pl_loop_unembed(f.loop), PL_ESTATE);
    CHECK_EQ_INT(pl_loop_next_deadline(f.loop), PL_FOREVER);
    fixture_close(&f);
    return true;
}

TEST_CASE(embedding_refuses_what_it_cannot_do)
{
    fixture f;
    CHECK(refuses_to_be_embedded("sim"));
    CHECK(refuses_to_be_embedded("poll") == refuses_to_be_embedded("select"));
    CHECK_EQ_INT(pl_loop_embed(NULL, wake_host, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_loop_unembed(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_loop_next_deadline(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_loop_backend_fd(NULL), PL_EINVAL);
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_loop_embed(f.loop, NULL, NULL), pl_loop_backend_fd(f.loop) < 0 ? PL_ENOTSUP : PL_OK);
    if (!can_be_embedded(t))
        CHECK_EQ_INT(pl_loop_embed(f.loop, wake_host, NULL), PL_ENOTSUP);
    fixture_close(&f);
}

static void embed_elsewhere(void *arg)
{
    fixture *f = arg;
    f->results[0] = pl_loop_embed(f->loop, wake_host, NULL);
    f->results[1] = pl_loop_unembed(f->loop);
}

TEST_CASE(it_is_embedded_by_its_own_thread_only)
{
    pl__thread thread;
    fixture f;
    REQUIRE(fixture_open(&f, t));
    turn(&f, 1);
    CHECK_EQ_INT(pl__thread_start(&thread, embed_elsewhere, &f, "other"), PL_OK);
    pl__thread_join(&thread);
    CHECK_EQ_INT(f.results[0], PL_ETHREAD);
    CHECK_EQ_INT(f.results[1], PL_ETHREAD);
    fixture_close(&f);
}

TEST_CASE(without_memory_it_is_not_embedded)
{
    failing_allocation a;
    fixture f;
    int failures = 0, result;
    host h;
    if (!can_be_embedded(t))
        return;
    memset(&h, 0, sizeof h);
    pl__mutex_init(&h.mutex);
    pl__condition_init(&h.changed);
    REQUIRE_EQ_INT(failing_allocation_begin(&a), PL_OK);
    REQUIRE(fixture_open(&f, t));
    do {
        a.fail_at = a.calls + failures + 1;
        result = pl_loop_embed(f.loop, wake_host, &h);
        CHECK(result == PL_OK || result == PL_ENOMEM);
        failures += result == PL_ENOMEM;
    } while (result == PL_ENOMEM);
    a.fail_at = 0;
    CHECK(failures >= 2);
    fixture_close(&f);
    pl__condition_destroy(&h.changed);
    pl__mutex_destroy(&h.mutex);
    t_restore_allocator();
}

TEST_SUITE(embed, TEST_BACKENDS_BEST, CASE(streams_flow_in_a_foreign_loop), CASE(timers_are_back_in_time),
           CASE(ready_work_goes_on_without_the_system), CASE(a_cancel_in_an_iteration_is_followed_by_another_one),
           CASE(workers_and_files_reach_it), CASE(what_the_host_begins_itself_is_told),
           CASE(no_post_of_another_thread_is_lost), CASE(an_embedded_loop_does_not_wait),
           CASE(it_is_its_own_again_and_embedded_again), CASE(it_is_embedded_again_and_again_without_an_iteration),
           CASE(nothing_is_lost_by_an_unembed_at_any_moment),
           CASE(closing_it_ends_what_is_under_way), CASE(embedding_refuses_what_it_cannot_do),
           CASE(it_is_embedded_by_its_own_thread_only), CASE(without_memory_it_is_not_embedded))
