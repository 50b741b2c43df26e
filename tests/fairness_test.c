/* Fairness: beside what never waits, a timer, an accept and another task get their turn.
 *
 * Each case starts something greedy and three others who each need the loop; the greedy one goes on until all three had
 * their turn. If they never get it the greedy one gives up after a number of steps that no fair loop needs.
 */
#include <proloop/proloop.h>

#include "harness.h"
#include "loopback.h"

enum { STEPS_ENOUGH = 50 * 1000 * 1000, TURNS_WANTED = 3, GREEDY_CALLBACKS = 3 };

typedef struct contest {
    pl_listener *listener;
    uint16_t port;
    pl_future *done; /* a result that is there already */
    int turns;       /* of the three who need the loop */
    int64_t steps;   /* of the greedy one */
} contest;

static bool goes_on(contest *c)
{
    return c->turns < TURNS_WANTED && ++c->steps < STEPS_ENOUGH;
}

static void had_turn(void *arg)
{
    ((contest *)arg)->turns++;
}

static void make_done(void *arg)
{
    CHECK_EQ_INT(pl_future_set_result(arg, 0), PL_OK);
}

static int64_t accept_one(void *arg)
{
    contest *c = arg;
    pl_stream *peer;
    int64_t rc = pl_accept(c->listener, &peer);
    if (!CHECK_EQ_INT(rc, PL_OK))
        return rc;
    had_turn(c);
    pl_stream_close(peer);
    return 0;
}

static int64_t connect_one(void *arg)
{
    contest *c = arg;
    pl_stream *stream;
    int64_t rc = pl_tcp_connect(&stream, "127.0.0.1", c->port, NULL);
    if (!CHECK_EQ_INT(rc, PL_OK))
        return rc;
    (void)read_to_end(stream);
    pl_stream_close(stream);
    return 0;
}

static int64_t yield_often(void *arg)
{
    for (int i = 0; i < 1000; i++)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    had_turn(arg);
    return 0;
}

/* The clock of the simulation stands still while anything is ready: there the timer is due at once. */
static int64_t wait_for_timer(void *arg)
{
    pl_future *due;
    pl_timer timer = {{{0}}};
    CHECK_EQ_INT(pl_future_create(&due, NULL), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&timer, NULL, on_backend("sim") ? 0 : PL_MS(5), make_done, due), PL_OK);
    CHECK_EQ_INT(pl_await(due), 0);
    had_turn(arg);
    pl_future_unref(due);
    return 0;
}

static void compete(pl_task_fn *greedy)
{
    contest c = {0};
    pl_group all = {0};
    REQUIRE(listen_here(&c.listener, &c.port));
    CHECK_EQ_INT(pl_future_create(&c.done, NULL), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(c.done, 0), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&all, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&all, greedy, &c, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&all, accept_one, &c, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&all, connect_one, &c, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&all, yield_often, &c, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&all, wait_for_timer, &c, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&all, 0), 0);
    CHECK_EQ_INT(c.turns, TURNS_WANTED);
    CHECK(c.steps < STEPS_ENOUGH); /* else they had their turn because the greedy one gave up */
    pl_future_unref(c.done);
    close_listener(c.listener);
}

/* --- The greedy --------------------------------------------------------------------------------------------------- */

static int64_t await_what_is_done(void *arg)
{
    contest *c = arg;
    while (goes_on(c))
        CHECK_EQ_INT(pl_await(c->done), 0);
    return 0;
}

static int64_t yield_all_the_time(void *arg)
{
    contest *c = arg;
    while (goes_on(c))
        CHECK_EQ_INT(pl_yield(), PL_OK);
    return 0;
}

static void schedule_again(void *arg)
{
    contest *c = arg;
    if (goes_on(c))
        CHECK_EQ_INT(pl_call_soon(NULL, schedule_again, c, NULL), PL_OK);
}

static int64_t start_callbacks(void *arg)
{
    for (int i = 0; i < GREEDY_CALLBACKS; i++)
        schedule_again(arg);
    return 0;
}

static int64_t post_again(contest *c, pl_callback_fn *again)
{
    pl_remote *remote = pl_loop_remote(pl_loop_running());
    int posted = pl_call_soon_threadsafe(remote, again, c, NULL);
    pl_remote_unref(remote);
    CHECK_EQ_INT(posted, PL_OK);
    return posted;
}

static void post_myself(void *arg)
{
    if (goes_on(arg))
        post_again(arg, post_myself);
}

static int64_t start_posts(void *arg)
{
    return post_again(arg, post_myself);
}

typedef struct restarted {
    contest *contest;
    pl_timer timer;
} restarted;

static void start_timer_again(void *arg)
{
    restarted *r = arg;
    if (goes_on(r->contest))
        CHECK_EQ_INT(pl_timer_start(&r->timer, NULL, 0, start_timer_again, r), PL_OK);
}

static int64_t start_timers(void *arg)
{
    contest *c = arg;
    restarted r = {.contest = c};
    start_timer_again(&r);
    while (c->turns < TURNS_WANTED && c->steps < STEPS_ENOUGH)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    (void)pl_timer_stop(&r.timer);
    return 0;
}

static int64_t end_at_once(void *arg)
{
    (void)arg;
    return 0;
}

static int64_t spawn_all_the_time(void *arg)
{
    contest *c = arg;
    while (goes_on(c)) {
        pl_task *task;
        if (!CHECK_EQ_INT(pl_spawn(&task, end_at_once, NULL, NULL), PL_OK))
            break;
        CHECK_EQ_INT(pl_task_await(task), 0);
        pl_task_unref(task);
    }
    return 0;
}

TASK_CASE(beside_a_task_that_awaits_only_what_is_done)
{
    compete(await_what_is_done);
}

TASK_CASE(beside_a_task_that_yields_all_the_time)
{
    compete(yield_all_the_time);
}

TASK_CASE(beside_a_task_that_spawns_all_the_time)
{
    compete(spawn_all_the_time);
}

TASK_CASE(beside_callbacks_that_schedule_themselves_for_ever)
{
    compete(start_callbacks);
}

TASK_CASE(beside_a_callback_that_posts_itself_for_ever)
{
    compete(start_posts);
}

TASK_CASE(beside_a_timer_that_is_always_due)
{
    compete(start_timers);
}

TEST_SUITE(fairness, TEST_BACKENDS_ALL,
           CASE(beside_a_task_that_awaits_only_what_is_done),
           CASE(beside_a_task_that_yields_all_the_time),
           CASE(beside_a_task_that_spawns_all_the_time),
           CASE(beside_callbacks_that_schedule_themselves_for_ever),
           CASE(beside_a_callback_that_posts_itself_for_ever),
           CASE(beside_a_timer_that_is_always_due))
