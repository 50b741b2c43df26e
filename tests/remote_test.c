/* Loops seen from other threads. */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"
#include "threads.h"

enum { POSTERS = 4 };

static void stop(void *arg)
{
    fixture *f = arg;
    CHECK(pl_loop_running() == f->loop); /* on the loop's thread */
    CHECK_EQ_INT(pl_loop_stop(f->loop), PL_OK);
}

/* What a thread does in these tests. */
typedef struct poster {
    fixture *f;
    pl_remote *remote;
    int count; /* posts to make */
    int runs;    /* by the loop's thread */
    int dropped; /* by the loop's thread */
    int *left;   /* of all posts, by the loop's thread */
    struct post *posts;
} poster;

typedef struct post {
    poster *from;
    int number;
} post;

static void run_post(void *arg)
{
    post *p = arg;
    CHECK_EQ_INT(p->from->runs, p->number); /* the order of one thread is kept */
    p->from->runs++;
    if (p->from->left && --*p->from->left == 0)
        CHECK_EQ_INT(pl_loop_stop(p->from->f->loop), PL_OK);
}

static void drop_post(void *arg)
{
    post *p = arg;
    p->from->dropped++;
}

static void post_all(void *arg)
{
    poster *p = arg;
    for (int i = 0; i < p->count; i++) {
        p->posts[i] = (post){p, i};
        REQUIRE_EQ_INT(pl_call_soon_threadsafe(p->remote, run_post, &p->posts[i], drop_post), PL_OK);
    }
}

TEST_CASE(a_post_from_another_thread_wakes_a_loop_that_waits)
{
    fixture f;
    pl_remote *remote;
    poster p = {.f = &f, .count = 1};
    post one;
    int left = 1;
    test_thread thread;
    REQUIRE(fixture_open(&f, t));
    remote = pl_loop_remote(f.loop);
    REQUIRE(remote != NULL);
    p.remote = remote;
    p.posts = &one;
    p.left = &left;
    REQUIRE(test_thread_start(&thread, post_all, &p));
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    test_thread_join(&thread);
    CHECK_EQ_INT(p.runs, 1);
    pl_remote_unref(remote);
    fixture_close(&f);
}

/* One iteration is enough, however late the other thread comes: a hundred times, since now and then it is early. */
TEST_CASE(a_loop_with_nothing_to_do_waits_for_a_post)
{
    fixture f;
    pl_remote *remote;
    REQUIRE(fixture_open(&f, t));
    remote = pl_loop_remote(f.loop);
    for (int i = 0; i < 100; i++) {
        post one;
        poster p = {.f = &f, .remote = remote, .posts = &one, .count = 1};
        test_thread thread;
        REQUIRE_OR(test_thread_start(&thread, post_all, &p), break);
        CHECK_EQ_INT(pl_loop_run_once(f.loop, PL_FOREVER), PL_OK);
        CHECK_EQ_INT(p.runs, 1);
        test_thread_join(&thread);
        turn(&f, 1); /* a post that a failure left behind */
    }
    pl_remote_unref(remote);
    fixture_close(&f);
}

TEST_CASE(posts_of_many_threads_all_arrive_each_threads_in_order)
{
    const int count = scaled(20000);
    fixture f;
    poster posters[POSTERS];
    test_thread threads[POSTERS];
    pl_remote *remote;
    int left = count * POSTERS;
    REQUIRE(fixture_open(&f, t));
    remote = pl_loop_remote(f.loop);
    REQUIRE(remote != NULL);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (poster){.f = &f, .remote = remote, .count = count, .left = &left};
        posters[i].posts = malloc(sizeof(post) * (size_t)count);
        REQUIRE(posters[i].posts != NULL);
    }
    for (int i = 0; i < POSTERS; i++)
        REQUIRE(test_thread_start(&threads[i], post_all, &posters[i]));
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    for (int i = 0; i < POSTERS; i++) {
        test_thread_join(&threads[i]);
        CHECK_EQ_INT(posters[i].runs, count);
        CHECK_EQ_INT(posters[i].dropped, 0);
        free(posters[i].posts);
    }
    pl_remote_unref(remote);
    fixture_close(&f);
}

TEST_CASE(posts_run_first_in_first_out_in_the_next_iteration)
{
    fixture f;
    pl_remote *remote;
    REQUIRE(fixture_open(&f, t));
    turn(&f, 1);
    remote = pl_loop_remote(f.loop);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, &f, fixture_drop), PL_OK);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_b, &f, fixture_drop), PL_OK);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_c, &f, NULL), PL_OK);
    EXPECT_TRACE(&f, "");
    turn(&f, 1);
    EXPECT_TRACE(&f, "a b c ");
    pl_remote_unref(remote);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 0);
}

static int64_t note_from_task(void *arg)
{
    note(arg, "task");
    return 0;
}

static void mix_posts(void *arg)
{
    fixture *f = arg;
    pl_remote *remote = pl_loop_remote(f->loop);
    CHECK_EQ_INT(pl_call_soon(NULL, note_a, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_b, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(NULL, note_c, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_d, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_callback_schedule(&f->callbacks[0], NULL, note_a, f), PL_OK);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_b, f, NULL), PL_OK);
    start_slot(f, 0, note_from_task);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_c, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_future_set_result(f->futures[0], 1), PL_OK); /* calls d */
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(f->futures[0], &f->callbacks[2], note_b, f), PL_OK);
    pl_remote_unref(remote);
}

/* test_call_soon_threadsafe_same_thread */
TEST_CASE(posts_and_what_the_loops_thread_makes_ready_are_one_queue)
{
    fixture f;
    pl_remote *remote;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    CHECK_EQ_INT(pl_future_add_done_callback(f.futures[0], &f.callbacks[1], note_d, &f), PL_OK);
    remote = pl_loop_remote(f.loop);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_b, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_c, &f, NULL), PL_OK);
    pl_remote_unref(remote);
    CHECK_EQ_INT(pl_call_soon(f.loop, mix_posts, &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a b c ");
    turn(&f, 1);
    EXPECT_TRACE(&f, "a b c d a b task c d a b ");
    fixture_close(&f);
}

static int64_t post_and_yield(void *arg)
{
    fixture *f = arg;
    pl_remote *remote = pl_loop_remote(f->loop);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, f, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    note(f, "yielded");
    pl_remote_unref(remote);
    return 0;
}

TEST_CASE(a_task_that_gives_way_goes_on_behind_what_was_posted)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(run_task(&f, post_and_yield, &f), 0);
    EXPECT_TRACE(&f, "a yielded ");
    fixture_close(&f);
}

typedef struct early_post {
    fixture *f;
    pl_remote *remote;
} early_post;

static void post_first(void *arg)
{
    early_post *p = arg;
    CHECK_EQ_INT(pl_call_soon_threadsafe(p->remote, note_a, p->f, NULL), PL_OK);
}

/* test_call_soon_threadsafe */
TEST_CASE(a_post_of_another_thread_that_came_first_runs_first)
{
    fixture f;
    early_post p = {.f = &f};
    REQUIRE(fixture_open(&f, t));
    turn(&f, 1);
    p.remote = pl_loop_remote(f.loop);
    REQUIRE(test_in_thread(post_first, &p));
    CHECK_EQ_INT(pl_call_soon(f.loop, note_b, &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a b ");
    pl_remote_unref(p.remote);
    fixture_close(&f);
}

static void post_itself(void *arg)
{
    fixture *f = arg;
    pl_remote *remote = pl_loop_remote(f->loop);
    f->counts[0]++;
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, post_itself, f, fixture_drop), PL_OK);
    pl_remote_unref(remote);
}

TEST_CASE(a_post_that_posts_itself_runs_at_most_once_an_iteration)
{
    fixture f;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_call_soon(f.loop, post_itself, &f, NULL), PL_OK);
    for (int i = 1; i <= 1000; i++) {
        turn(&f, 1);
        CHECK(f.counts[0] <= i);
    }
    CHECK(f.counts[0] > 1);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 1);
}

TEST_CASE(posts_do_not_starve_while_there_is_ready_work)
{
    fixture f;
    pl_remote *remote;
    REQUIRE(fixture_open(&f, t));
    remote = pl_loop_remote(f.loop);
    CHECK_EQ_INT(pl_call_soon(f.loop, post_itself, &f, NULL), PL_OK);
    turn(&f, 10);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, &f, NULL), PL_OK);
    for (int i = 0; i < 100 && f.trace[0] == '\0'; i++) /* 64 iterations may go by without a look */
        turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    pl_remote_unref(remote);
    fixture_close(&f);
}

TEST_CASE(no_function_to_post_is_refused_and_the_argument_dropped)
{
    fixture f;
    pl_remote *remote;
    REQUIRE(fixture_open(&f, t));
    remote = pl_loop_remote(f.loop);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, NULL, &f, fixture_drop), PL_EINVAL);
    CHECK_EQ_INT(f.drops, 1);
    turn(&f, 1);
    pl_remote_unref(remote);
    fixture_close(&f);
    CHECK_EQ_INT(f.drops, 1);
}

TEST_CASE(a_remote_outlives_its_loop_and_says_that_it_is_closed)
{
    fixture f;
    pl_remote *remote, *second;
    REQUIRE(fixture_open(&f, t));
    remote = pl_loop_remote(f.loop);
    second = pl_remote_ref(remote);
    CHECK(second == remote);
    fixture_close(&f);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, &f, fixture_drop), PL_ECLOSED);
    CHECK_EQ_INT(f.drops, 1); /* by this thread, in this call */
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, &f, NULL), PL_ECLOSED);
    pl_remote_unref(second);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, &f, fixture_drop), PL_ECLOSED);
    CHECK_EQ_INT(f.drops, 2);
    pl_remote_unref(remote);
    EXPECT_TRACE(&f, "");
}

TEST_CASE(a_remote_may_be_given_back_before_its_posts_ran)
{
    fixture f;
    pl_remote *remote;
    REQUIRE(fixture_open(&f, t));
    remote = pl_loop_remote(f.loop);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, &f, NULL), PL_OK);
    pl_remote_unref(remote);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

TEST_CASE(posts_that_have_not_run_are_dropped_once_by_close)
{
    fixture f;
    pl_remote *remote;
    REQUIRE(fixture_open(&f, t));
    turn(&f, 1);
    remote = pl_loop_remote(f.loop);
    for (int i = 0; i < 100; i++)
        CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, &f, fixture_drop), PL_OK);
    CHECK_EQ_INT(pl_call_soon_threadsafe(remote, note_a, &f, NULL), PL_OK);
    fixture_close(&f);
    EXPECT_TRACE(&f, "");
    CHECK_EQ_INT(f.drops, 100);
    pl_remote_unref(remote);
}

typedef struct single {
    int runs;
    int drops;
} single;

static void run_single(void *arg)
{
    single *s = arg;
    s->runs++;
}

static void drop_single(void *arg)
{
    single *s = arg;
    s->drops++;
}

typedef struct many_singles {
    pl_remote *remote;
    test_gate *ready;
    single *singles;
    int count;
    int posted;
} many_singles;

static void post_singles(void *arg)
{
    many_singles *m = arg;
    test_gate_open(m->ready);
    for (m->posted = 0; m->posted < m->count;) {
        int rc = pl_call_soon_threadsafe(m->remote, run_single, &m->singles[m->posted], drop_single);
        m->posted++;
        if (rc == PL_ECLOSED)
            return;
        REQUIRE_EQ_INT(rc, PL_OK);
    }
}

TEST_CASE(each_post_runs_once_or_is_dropped_once_while_the_loop_closes)
{
    enum { COUNT = 20000 };
    single *singles = malloc(sizeof *singles * COUNT * POSTERS);
    REQUIRE(singles != NULL);
    for (int round = 0; round < 10; round++) {
        fixture f;
        test_gate ready[POSTERS];
        test_thread threads[POSTERS];
        many_singles posts[POSTERS];
        pl_remote *remote;
        memset(singles, 0, sizeof *singles * COUNT * POSTERS);
        REQUIRE_OR(fixture_open(&f, t), break);
        remote = pl_loop_remote(f.loop);
        for (int i = 0; i < POSTERS; i++) {
            test_gate_init(&ready[i]);
            posts[i] = (many_singles){remote, &ready[i], singles + COUNT * i, COUNT, 0};
            REQUIRE(test_thread_start(&threads[i], post_singles, &posts[i]));
        }
        for (int i = 0; i < POSTERS; i++)
            test_gate_wait(&ready[i]);
        turn(&f, round * 3);
        fixture_close(&f);
        for (int i = 0; i < POSTERS; i++) {
            test_thread_join(&threads[i]);
            test_gate_destroy(&ready[i]);
            for (int k = 0; k < COUNT; k++) {
                const single *s = &posts[i].singles[k];
                REQUIRE_EQ_INT_OR(s->runs + s->drops, k < posts[i].posted, break);
            }
        }
        pl_remote_unref(remote);
    }
    free(singles);
}

static void ref_and_unref(void *arg)
{
    pl_remote *remote = arg;
    for (int i = 0; i < 10000; i++)
        pl_remote_unref(pl_remote_ref(remote));
    pl_remote_unref(remote); /* the thread's own */
}

TEST_CASE(a_remote_is_counted_from_many_threads)
{
    fixture f;
    test_thread threads[POSTERS];
    pl_remote *remote;
    REQUIRE(fixture_open(&f, t));
    remote = pl_loop_remote(f.loop);
    for (int i = 0; i < POSTERS; i++)
        REQUIRE(test_thread_start(&threads[i], ref_and_unref, pl_remote_ref(remote)));
    pl_remote_unref(remote);
    fixture_close(&f); /* perhaps before the threads have ended */
    for (int i = 0; i < POSTERS; i++)
        test_thread_join(&threads[i]);
}

static void stop_from_elsewhere(void *arg)
{
    poster *p = arg;
    CHECK_EQ_INT(pl_call_soon_threadsafe(p->remote, stop, p->f, NULL), PL_OK);
}

TEST_CASE(another_thread_stops_the_loop_by_a_post)
{
    fixture f;
    poster p = {.f = &f};
    test_thread thread;
    REQUIRE(fixture_open(&f, t));
    p.remote = pl_loop_remote(f.loop);
    REQUIRE(test_thread_start(&thread, stop_from_elsewhere, &p));
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    test_thread_join(&thread);
    pl_remote_unref(p.remote);
    fixture_close(&f);
}

static void set_future(void *arg)
{
    fixture *f = arg;
    CHECK_EQ_INT(pl_future_set_result(f->futures[0], 42), PL_OK);
}

static void set_from_elsewhere(void *arg)
{
    poster *p = arg;
    CHECK_EQ_INT(pl_call_soon_threadsafe(p->remote, set_future, p->f, NULL), PL_OK);
}

static int64_t await_first(void *arg)
{
    fixture *f = arg;
    return pl_await(f->futures[0]);
}

TEST_CASE(a_task_waits_for_what_another_thread_brings)
{
    fixture f;
    poster p = {.f = &f};
    test_thread thread;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    p.remote = pl_loop_remote(f.loop);
    REQUIRE(test_thread_start(&thread, set_from_elsewhere, &p));
    CHECK_EQ_INT(run_task(&f, await_first, &f), 42);
    test_thread_join(&thread);
    pl_remote_unref(p.remote);
    fixture_close(&f);
}

/* Two loops, each in its thread, send a ball to one another. */
typedef struct court {
    pl_loop *loop[2];
    pl_remote *remote[2];
    int hits;  /* of whoever has the ball */
    int limit;
} court;

typedef struct player {
    court *court;
    int side;
} player;

static player players[2];

static void hit(void *arg)
{
    player *p = arg;
    court *c = p->court;
    CHECK(pl_loop_running() == c->loop[p->side]);
    if (++c->hits > c->limit)
        CHECK_EQ_INT(pl_loop_stop(c->loop[p->side]), PL_OK);
    if (c->hits <= c->limit + 1) /* the last hit is for the other player to stop too */
        CHECK_EQ_INT(pl_call_soon_threadsafe(c->remote[1 - p->side], hit, &players[1 - p->side], NULL), PL_OK);
}

static void play(void *arg)
{
    player *p = arg;
    CHECK_EQ_INT(pl_loop_run_forever(p->court->loop[p->side]), PL_OK);
    CHECK_EQ_INT(pl_loop_close(p->court->loop[p->side]), PL_OK);
}

TEST_CASE(two_loops_in_two_threads_wake_each_other)
{
    court c = {.limit = scaled(10000)};
    pl_loop_options options = {.size = sizeof options, .backend = t->backend};
    test_thread thread;
    for (int i = 0; i < 2; i++) {
        REQUIRE_EQ_INT(pl_loop_create(&c.loop[i], &options), PL_OK);
        c.remote[i] = pl_loop_remote(c.loop[i]);
        players[i] = (player){&c, i};
    }
    CHECK_EQ_INT(pl_call_soon_threadsafe(c.remote[0], hit, &players[0], NULL), PL_OK);
    REQUIRE(test_thread_start(&thread, play, &players[1]));
    play(&players[0]);
    test_thread_join(&thread);
    CHECK_EQ_INT(c.hits, c.limit + 2);
    pl_remote_unref(c.remote[0]);
    pl_remote_unref(c.remote[1]);
}

TEST_SUITE(remote, TEST_BACKENDS_ALL,
           CASE(a_post_from_another_thread_wakes_a_loop_that_waits),
           CASE(a_loop_with_nothing_to_do_waits_for_a_post),
           CASE(posts_of_many_threads_all_arrive_each_threads_in_order),
           CASE(posts_run_first_in_first_out_in_the_next_iteration),
           CASE(posts_and_what_the_loops_thread_makes_ready_are_one_queue),
           CASE(a_task_that_gives_way_goes_on_behind_what_was_posted),
           CASE(a_post_of_another_thread_that_came_first_runs_first),
           CASE(a_post_that_posts_itself_runs_at_most_once_an_iteration),
           CASE(posts_do_not_starve_while_there_is_ready_work),
           CASE(no_function_to_post_is_refused_and_the_argument_dropped),
           CASE(a_remote_outlives_its_loop_and_says_that_it_is_closed),
           CASE(a_remote_may_be_given_back_before_its_posts_ran),
           CASE(posts_that_have_not_run_are_dropped_once_by_close),
           CASE(each_post_runs_once_or_is_dropped_once_while_the_loop_closes),
           CASE(a_remote_is_counted_from_many_threads),
           CASE(another_thread_stops_the_loop_by_a_post),
           CASE(a_task_waits_for_what_another_thread_brings),
           CASE(two_loops_in_two_threads_wake_each_other))
