/* Dumps: what a loop and its tasks do, as text. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "loopback.h"
#include "process.h" /* fork */
#include "standard_error.h"
#include "system.h"
#include "threads.h"

/* A text that grows, in the tests' own memory. */
typedef struct dumped {
    char *text;
    size_t size;
    int writes;
} dumped;

static void take_text(const char *text, size_t size, void *arg)
{
    dumped *d = arg;
    free(d->text);
    d->text = malloc(size + 1);
    if (CHECK(d->text != NULL)) {
        memcpy(d->text, text, size);
        d->text[size] = '\0';
        CHECK(strlen(d->text) == size);
    }
    d->size = size;
    d->writes++;
}

static void forget(dumped *d)
{
    free(d->text);
    memset(d, 0, sizeof *d);
}

#define EXPECT_LINE(d, line) expect_text(__FILE__, __LINE__, d, line, true)
#define EXPECT_NO(d, piece)  expect_text(__FILE__, __LINE__, d, piece, false)

static void expect_text(const char *file, int line, const dumped *d, const char *piece, bool wanted)
{
    bool found = d->text && strstr(d->text, piece) != NULL;
    if (found != wanted)
        (void)test_check_string(file, line, d->text ? d->text : "(nothing)", piece, "the dump",
                                wanted ? "this in it" : "this not in it");
}

/* By the thread of the loop. */
static dumped dump(pl_loop *loop)
{
    dumped d = {NULL, 0, 0};
    pl_remote *remote = pl_loop_remote(loop);
    CHECK_EQ_INT(pl_dump(remote, 0, take_text, &d), PL_OK);
    CHECK_EQ_INT(d.writes, 1);
    pl_remote_unref(remote);
    return d;
}

static pl_task *start_named(fixture *f, int slot, const char *name, pl_task_fn *fn, const char *where)
{
    pl_task_options options = {.size = sizeof options, .loop = f->loop, .name = name};
    CHECK_EQ_INT(pl_spawn_here(&f->tasks[slot], fn, f, &options, where), PL_OK);
    return f->tasks[slot];
}

static int64_t sleep_for_ever(void *arg)
{
    (void)arg;
    return pl_sleep(PL_FOREVER);
}

static int64_t sleep_five_seconds(void *arg)
{
    (void)arg;
    return pl_sleep(PL_SECONDS(5));
}

static int64_t await_first(void *arg)
{
    fixture *f = arg;
    return pl_task_await(f->tasks[0]);
}

static int64_t await_second(void *arg)
{
    fixture *f = arg;
    return pl_task_await(f->tasks[1]);
}

static int64_t await_future(void *arg)
{
    fixture *f = arg;
    return pl_await(f->futures[0]);
}

static int64_t yield_for_ever(void *arg)
{
    (void)arg;
    while (pl_yield() == PL_OK)
        continue;
    return PL_ECANCELED;
}

static int64_t dump_self(void *arg)
{
    fixture *f = arg;
    dumped d = dump(f->loop);
    EXPECT_LINE(&d, "task self: running\n  spawned at s.c:1\n");
    forget(&d);
    return 0;
}

TEST_CASE(each_state_of_a_task_is_shown)
{
    fixture f;
    dumped d;
    REQUIRE(fixture_open(&f, t));
    start_named(&f, 0, "waiter", sleep_for_ever, "w.c:1");
    start_named(&f, 1, "yielder", yield_for_ever, "y.c:1");
    turn(&f, 1);
    start_named(&f, 2, "newcomer", sleep_for_ever, "n.c:1");
    d = dump(f.loop);
    EXPECT_LINE(&d, "task waiter: waiting for sleep, for ever left\n  spawned at w.c:1\n");
    EXPECT_LINE(&d, "task yielder: ready\n  spawned at y.c:1\n");
    EXPECT_LINE(&d, "task newcomer: not begun\n  spawned at n.c:1\n");
    EXPECT_LINE(&d, " bytes used\n");
    forget(&d);
    start_named(&f, 3, "self", dump_self, "s.c:1");
    CHECK_EQ_INT(finish_task(&f, f.tasks[3]), 0);
    fixture_close(&f);
}

TEST_CASE(the_loop_itself_is_shown)
{
    fixture f;
    dumped d;
    char line[80];
    REQUIRE(fixture_open_with(&f, (pl_loop_options){.backend = t->backend, .debug = -1}));
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, PL_SECONDS(1), note_a, &f), PL_OK);
    turn(&f, 1);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_b, &f, NULL), PL_OK);
    d = dump(f.loop);
    (void)snprintf(line, sizeof line, "loop: backend %s, debug level 0, 1 iterations, 0 callbacks\n", t->backend);
    EXPECT_LINE(&d, line);
    EXPECT_LINE(&d, "  0 tasks, 1 ready, 1 timers, 0 operations in flight, 0 streams, 0 listeners\n");
    EXPECT_NO(&d, "released");
    forget(&d);
    fixture_close(&f);
}

TEST_CASE(what_a_task_waits_for_is_shown)
{
    fixture f;
    dumped d;
    REQUIRE(fixture_open(&f, t));
    CHECK_EQ_INT(pl_future_create_here(&f.futures[0], f.loop, "future.c:4"), PL_OK);
    start_named(&f, 0, "asleep", sleep_five_seconds, "s.c:1");
    start_named(&f, 1, "for a task", await_first, "t.c:1");
    start_named(&f, 2, "for a future", await_future, "f.c:1");
    turn(&f, 1);
    d = dump(f.loop);
    EXPECT_LINE(&d, is_simulated(t) ? "task asleep: waiting for sleep, 5.000 s left\n"
                                    : "task asleep: waiting for sleep, ");
    EXPECT_LINE(&d, "task for a task: waiting for task asleep\n");
    EXPECT_LINE(&d, "task for a future: waiting for future made at future.c:4\n");
    forget(&d);
    fixture_close(&f);
}

static int64_t accept_one(void *arg)
{
    pl_stream *stream;
    return pl_accept(arg, &stream);
}

static void dump_while_one_accepts(void)
{
    pl_listener *listener = NULL;
    pl_task *task = NULL;
    uint16_t port;
    dumped d;
    pl_task_options options = {.size = sizeof options, .name = "host"};
    CHECK(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_spawn(&task, accept_one, listener, &options), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    d = dump(pl_loop_running());
    EXPECT_LINE(&d, "task host: waiting for operation accept\n");
    EXPECT_LINE(&d, " 1 listeners\n");
    forget(&d);
    pl_task_cancel(task);
    CHECK_EQ_INT(pl_task_await(task), PL_ECANCELED);
    pl_task_unref(task);
    pl_listener_close(listener);
}

TEST_CASE(an_operation_is_shown_by_its_name)
{
    loopback_run(t, dump_while_one_accepts, NULL);
}

TEST_CASE(who_awaits_a_task_is_shown_and_who_awaits_them)
{
    fixture f;
    dumped d;
    REQUIRE(fixture_open(&f, t));
    start_named(&f, 0, "bottom", sleep_for_ever, "b.c:1");
    start_named(&f, 1, "second", await_first, "s.c:1");
    start_named(&f, 2, "third", await_first, "t.c:1");
    CHECK_EQ_INT(pl_future_add_done_callback_here(pl_task_future(f.tasks[0]), &f.callbacks[0], note_a, &f, "c.c:1"),
                 PL_OK);
    turn(&f, 1);
    d = dump(f.loop);
    EXPECT_LINE(&d, "  spawned at b.c:1\n"
                    "  awaited by a callback asked for at c.c:1\n"
                    "  awaited by task second, spawned at s.c:1\n"
                    "  awaited by task third, spawned at t.c:1\n");
    forget(&d);
    CHECK_EQ_INT(pl_callback_cancel(&f.callbacks[0]), 1);
    fixture_close(&f);
}

static int64_t gather_both(void *arg)
{
    fixture *f = arg;
    pl_awaited items[2] = {{0}};
    items[0].future = pl_task_future(f->tasks[0]);
    items[1].future = f->futures[0];
    return pl_gather(items, 2, 0);
}

TEST_CASE(who_gathers_is_shown_among_those_who_await)
{
    fixture f;
    dumped d;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_named(&f, 0, "one of two", sleep_for_ever, "o.c:1");
    start_named(&f, 1, "gatherer", gather_both, "g.c:1");
    start_named(&f, 2, "above", await_second, "a.c:1");
    turn(&f, 1);
    d = dump(f.loop);
    EXPECT_LINE(&d, "  spawned at o.c:1\n"
                    "  awaited by task gatherer, spawned at g.c:1\n"
                    "    awaited by task above, spawned at a.c:1\n");
    EXPECT_LINE(&d, "task gatherer: waiting for gather for 2 of 2 futures\n");
    forget(&d);
    fixture_close(&f);
}

static int64_t await_previous(void *arg)
{
    pl_task *previous = arg;
    return pl_task_await(previous);
}

TEST_CASE(a_deep_chain_is_cut)
{
    enum { DEPTH = 20 };
    fixture f;
    dumped d;
    pl_task *tasks[DEPTH];
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < DEPTH; i++) {
        char name[16];
        pl_task_options options = {.size = sizeof options, .loop = f.loop, .name = name};
        (void)snprintf(name, sizeof name, "t%d", i);
        CHECK_EQ_INT(
            pl_spawn_here(&tasks[i], i ? await_previous : sleep_for_ever, i ? tasks[i - 1] : NULL, &options, "t.c:1"),
            PL_OK);
    }
    turn(&f, 1);
    d = dump(f.loop);
    EXPECT_LINE(&d, "task t0: waiting for sleep, for ever left\n"
                    "  spawned at t.c:1\n"
                    "  awaited by task t1, spawned at t.c:1\n"
                    "    awaited by task t2, spawned at t.c:1\n"
                    "      awaited by task t3, spawned at t.c:1\n"
                    "        awaited by task t4, spawned at t.c:1\n"
                    "          awaited by task t5, spawned at t.c:1\n"
                    "            awaited by task t6, spawned at t.c:1\n"
                    "              awaited by task t7, spawned at t.c:1\n"
                    "                awaited by task t8, spawned at t.c:1\n"
                    "                  ...\n"
                    "  stack: ");
    forget(&d);
    for (int i = 0; i < DEPTH; i++)
        pl_task_unref(tasks[i]);
    fixture_close(&f);
}

TEST_CASE(of_many_who_await_a_task_some_are_shown_and_the_others_counted)
{
    fixture f;
    dumped d;
    pl_task *waiters[20];
    REQUIRE(fixture_open(&f, t));
    start_named(&f, 0, "popular", sleep_for_ever, "p.c:1");
    for (int i = 0; i < 20; i++)
        waiters[i] = start_task(&f, await_first, &f);
    turn(&f, 1);
    d = dump(f.loop);
    EXPECT_LINE(&d, "  and 12 more\n");
    forget(&d);
    for (int i = 0; i < 20; i++)
        pl_task_unref(waiters[i]);
    fixture_close(&f);
}

static int64_t with_scopes(void *arg)
{
    fixture *f = arg;
    pl_timeout limited = {0}, unlimited = {0};
    pl_shielded shielded = {0};
    pl_group group = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin_here(&limited, PL_SECONDS(7), "limited.c:1"), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin_here(&unlimited, PL_FOREVER, "unlimited.c:1"), PL_OK);
    CHECK_EQ_INT(pl_group_begin_here(&group, PL_GROUP_FAIL_FAST, "group.c:1"), PL_OK);
    CHECK_EQ_INT(pl_group_spawn_here(&group, sleep_for_ever, NULL, NULL, "child.c:1"), PL_OK);
    CHECK_EQ_INT(pl_shielded_begin_here(&shielded, "shielded.c:1"), PL_OK);
    rc = pl_await(f->futures[0]);
    pl_shielded_end(&shielded);
    rc = pl_group_end(&group, rc);
    rc = pl_timeout_end(&unlimited, rc);
    return pl_timeout_end(&limited, rc);
}

TEST_CASE(the_open_scopes_of_a_task_are_shown_the_innermost_first)
{
    fixture f;
    dumped d;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_named(&f, 0, "scoped", with_scopes, "s.c:1");
    turn(&f, 2);
    d = dump(f.loop);
    EXPECT_LINE(&d, "  scope: shielded region, begun at shielded.c:1\n"
                    "  scope: group of 1, begun at group.c:1\n"
                    "  scope: timeout without a limit, begun at unlimited.c:1\n"
                    "  scope: timeout, ");
    EXPECT_LINE(&d, " s left, begun at limited.c:1\n");
    if (is_simulated(t))
        EXPECT_LINE(&d, "  scope: timeout, 7.000 s left, begun at limited.c:1\n");
    EXPECT_LINE(&d, "  spawned at child.c:1\n"
                    "  in the group begun at group.c:1\n"
                    "  awaited by task scoped, spawned at s.c:1\n");
    forget(&d);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 3), PL_OK);
    turn(&f, 2); /* it waits for the end of its group now */
    d = dump(f.loop);
    EXPECT_LINE(&d, "task scoped: waiting for group of 1 begun at group.c:1\n");
    EXPECT_NO(&d, "shielded");
    forget(&d);
    fixture_close(&f);
}

static int64_t ignore_a_cancelled_scope(void *arg)
{
    fixture *f = arg;
    pl_timeout timeout = {0};
    pl_shielded shielded = {0};
    int64_t rc;
    CHECK_EQ_INT(pl_timeout_begin_here(&timeout, 0, "late.c:1"), PL_OK);
    CHECK_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    rc = pl_await(f->futures[0]);
    pl_shielded_end(&shielded);
    return pl_timeout_end(&timeout, rc);
}

TEST_CASE(the_cancels_of_a_task_are_shown)
{
    fixture f;
    dumped d;
    REQUIRE(fixture_open(&f, t));
    new_future(&f, 0);
    start_named(&f, 0, "late", ignore_a_cancelled_scope, "l.c:1");
    turn(&f, 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_cancel(f.tasks[0]), 1);
    d = dump(f.loop);
    EXPECT_LINE(&d, "  scope: timeout that ran out, begun at late.c:1, cancelled\n");
    EXPECT_LINE(&d, "  cancel: asked for 2 times\n  cancel: to be delivered after the shielded region\n");
    forget(&d);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 3), PL_OK);
    CHECK_EQ_INT(finish_task(&f, f.tasks[0]), PL_ECANCELED);
    fixture_close(&f);
}

TEST_CASE(names_are_printable_whatever_is_in_them)
{
    fixture f;
    dumped d;
    REQUIRE(fixture_open(&f, t));
    turn(&f, 1); /* only a loop that ran has a thread */
    start_named(&f, 0, "a\nb\x1b[31m\x7f", sleep_for_ever, "dir\r/file.c:1");
    start_named(&f, 1, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8d", sleep_for_ever, "u.c:1");
    start_named(&f, 2, "\xc3|\xc2\x9b|\xe0\x80\x80|\xed\xa0\x80|\xf5", sleep_for_ever, NULL);
    d = dump(f.loop);
    EXPECT_LINE(&d, "task a\\x0ab\\x1b[31m\\x7f: not begun\n  spawned at dir\\x0d/file.c:1\n");
    EXPECT_LINE(&d, "task gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x90\x8d: not begun\n");
    EXPECT_LINE(&d, "task \\xc3|\\xc2\\x9b|\\xe0\\x80\\x80|\\xed\\xa0\\x80|\\xf5: not begun\n  spawned at ?\n");
    forget(&d);
    fixture_close(&f);
}

TEST_CASE(ten_thousand_tasks_are_shown)
{
    const int count = scaled(10000);
    fixture f;
    dumped d;
    char line[80];
    REQUIRE(fixture_open(&f, t));
    for (int i = 0; i < count; i++) {
        pl_task_options options = {.size = sizeof options, .loop = f.loop};
        CHECK_EQ_INT(pl_spawn(i ? NULL : &f.tasks[0], i ? await_first : sleep_for_ever, &f, &options), PL_OK);
    }
    turn(&f, 1);
    d = dump(f.loop);
    (void)snprintf(line, sizeof line, "  %d tasks, 0 ready, 1 timers,", count);
    EXPECT_LINE(&d, line);
    (void)snprintf(line, sizeof line, "task task-%d: waiting for task task-1\n", count);
    EXPECT_LINE(&d, line);
    forget(&d);
    fixture_close(&f);
}

TEST_CASE(level_2_shows_what_was_made_at_each_place_and_not_yet_released)
{
    fixture f;
    dumped d;
    REQUIRE(fixture_open_with(&f, (pl_loop_options){.backend = t->backend, .debug = 2}));
    turn(&f, 1); /* only a loop that ran has a thread */
    d = dump(f.loop);
    EXPECT_LINE(&d, "made and not yet released: 0 futures and tasks\n");
    forget(&d);
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(pl_future_create_here(&f.futures[i], f.loop, i < 2 ? "a.c:1" : "b.c:1"), PL_OK);
    start_named(&f, 0, "one", sleep_for_ever, "c.c:1");
    d = dump(f.loop);
    EXPECT_LINE(&d, "made and not yet released: 4 futures and tasks\n");
    EXPECT_LINE(&d, "  2 objects, ");
    EXPECT_LINE(&d, " bytes, made at a.c:1\n");
    EXPECT_LINE(&d, " bytes, made at b.c:1\n");
    EXPECT_LINE(&d, " bytes, made at c.c:1\n");
    forget(&d);
    drop_future(&f, 2);
    d = dump(f.loop);
    EXPECT_LINE(&d, "made and not yet released: 3 futures and tasks\n");
    EXPECT_NO(&d, "b.c:1");
    forget(&d);
    fixture_close(&f);
}

/* --- Asking ------------------------------------------------------------------------------------------------------- */

TEST_CASE(a_dump_of_nothing_or_to_nowhere_is_refused)
{
    fixture f;
    dumped d = {NULL, 0, 0};
    REQUIRE(fixture_open(&f, t));
    pl_remote *remote = pl_loop_remote(f.loop);
    CHECK_EQ_INT(pl_dump(NULL, 0, take_text, &d), PL_EINVAL);
    CHECK_EQ_INT(pl_dump(remote, 0, NULL, &d), PL_EINVAL);
    fixture_close(&f);
    CHECK_EQ_INT(pl_dump(remote, PL_FOREVER, take_text, &d), PL_ECLOSED);
    CHECK_EQ_INT(d.writes, 0);
    pl_remote_unref(remote);
}

TEST_CASE(a_dump_without_the_memory_for_it_writes_nothing)
{
    failing_allocation a;
    fixture f;
    dumped d = {NULL, 0, 0};
    int result = PL_ENOMEM, at;
    REQUIRE_EQ_INT(failing_allocation_begin(&a), PL_OK);
    if (fixture_open_with(&f, (pl_loop_options){.backend = t->backend, .debug = 2})) {
        pl_remote *remote = pl_loop_remote(f.loop);
        for (int i = 0; i < 8; i++)
            start_named(&f, i, "a task among others", sleep_for_ever,
                        "a rather long path/of a file/that is hard to fit.c:1");
        turn(&f, 1);
        for (at = 1; at < 100 && result != PL_OK; at++) {
            CHECK_EQ_INT(d.writes, 0);
            a.calls = 0;
            a.fail_at = at;
            result = pl_dump(remote, 0, take_text, &d);
            a.fail_at = 0;
            CHECK(result == PL_OK || result == PL_ENOMEM);
        }
        CHECK(at > 4); /* the question, the text, again as it grew, the totals */
        CHECK_EQ_INT(result, PL_OK);
        CHECK_EQ_INT(d.writes, 1);
        pl_remote_unref(remote);
        fixture_close(&f);
    }
    forget(&d);
    t_restore_allocator();
}

/* A thread that asks for a dump while the loop's thread does something. */
typedef struct asking {
    fixture f;
    pl_remote *remote;
    pl_duration limit;
    dumped d;
    int result;
    test_gate stuck; /* the loop is at the place where it is to be asked */
    test_gate asked;
} asking;

static bool open_asking(asking *a, const test_context *t, int debug)
{
    memset(a, 0, sizeof *a);
    test_gate_init(&a->stuck);
    test_gate_init(&a->asked);
    if (!fixture_open_with(&a->f, (pl_loop_options){.backend = t->backend, .debug = debug}))
        return false;
    a->remote = pl_loop_remote(a->f.loop);
    return true;
}

static void close_asking(asking *a)
{
    pl_remote_unref(a->remote);
    fixture_close(&a->f);
    forget(&a->d);
    test_gate_destroy(&a->stuck);
    test_gate_destroy(&a->asked);
}

static void stop_loop(void *arg)
{
    CHECK_EQ_INT(pl_loop_stop(arg), PL_OK);
}

static void ask_and_stop(void *arg)
{
    asking *a = arg;
    a->result = pl_dump(a->remote, PL_FOREVER, take_text, &a->d);
    CHECK_EQ_INT(pl_call_soon_threadsafe(a->remote, stop_loop, a->f.loop, NULL), PL_OK);
}

TEST_CASE(another_thread_gets_a_dump_of_a_loop_that_runs)
{
    asking a;
    test_thread thread;
    REQUIRE(open_asking(&a, t, -1));
    start_named(&a.f, 0, "sleeper", sleep_for_ever, "s.c:1");
    turn(&a.f, 1);
    REQUIRE(test_thread_start(&thread, ask_and_stop, &a));
    CHECK_EQ_INT(pl_loop_run_forever(a.f.loop), PL_OK);
    test_thread_join(&thread);
    CHECK_EQ_INT(a.result, PL_OK);
    EXPECT_LINE(&a.d, "task sleeper: waiting for sleep, for ever left\n  spawned at s.c:1\n");
    close_asking(&a);
}

static void ask_when_stuck(void *arg)
{
    asking *a = arg;
    test_gate_wait(&a->stuck);
    a->result = pl_dump(a->remote, PL_MS(1), take_text, &a->d);
    test_gate_open(&a->asked);
}

static int64_t be_stuck(void *arg)
{
    asking *a = arg;
    test_gate_open(&a->stuck);
    test_gate_wait(&a->asked);
    return 0;
}

static int64_t await_the_stuck_one(void *arg)
{
    asking *a = arg;
    return pl_task_await(a->f.tasks[1]);
}

TEST_CASE(a_loop_that_does_not_answer_in_time_is_shown_by_what_it_executes_if_it_is_in_debug_mode)
{
    for (int debug = -1; debug <= 1; debug += 2) {
        asking a;
        test_thread thread;
        pl_task_options options = {.size = sizeof options, .name = "stuck"};
        REQUIRE(open_asking(&a, t, debug));
        options.loop = a.f.loop;
        CHECK_EQ_INT(pl_spawn_here(&a.f.tasks[1], be_stuck, &a, &options, "stuck.c:1"), PL_OK);
        options.name = "patient";
        options.eager = 0;
        CHECK_EQ_INT(pl_spawn_here(&a.f.tasks[0], await_the_stuck_one, &a, &options, "patient.c:1"), PL_OK);
        REQUIRE(test_thread_start(&thread, ask_when_stuck, &a));
        turn(&a.f, 1);
        test_thread_join(&thread);
        CHECK_EQ_INT(a.result, PL_ETIMEDOUT);
        CHECK_EQ_INT(a.d.writes, debug > 0);
        if (debug > 0) {
            EXPECT_LINE(&a.d, "the loop does not answer; for ");
            EXPECT_LINE(&a.d, " it has been in task stuck, spawned at stuck.c:1\n");
        }
        CHECK_EQ_INT(finish_task(&a.f, a.f.tasks[0]), 0); /* and comes to the question, which is dropped */
        close_asking(&a);
    }
}

TEST_CASE(a_loop_that_is_not_running_does_not_answer)
{
    asking a;
    REQUIRE(open_asking(&a, t, 1));
    turn(&a.f, 1);
    test_gate_open(&a.stuck);
    CHECK(test_in_thread(ask_when_stuck, &a));
    CHECK_EQ_INT(a.result, PL_ETIMEDOUT);
    EXPECT_LINE(&a.d, "the loop does not answer, and is in no callback: it may not be running\n");
    close_asking(&a); /* drops the question */
}

static void ask_for_ever(void *arg)
{
    asking *a = arg;
    a->result = pl_dump(a->remote, PL_FOREVER, take_text, &a->d);
}

TEST_CASE(a_loop_closed_meanwhile_answers_that_it_is_closed)
{
    asking a;
    test_thread thread;
    REQUIRE(open_asking(&a, t, 1));
    REQUIRE(test_thread_start(&thread, ask_for_ever, &a));
    CHECK_EQ_INT(pl_loop_close(a.f.loop), PL_OK); /* before the question, or with it in the inbox */
    a.f.loop = NULL;
    test_thread_join(&thread);
    CHECK_EQ_INT(a.result, PL_ECLOSED);
    CHECK_EQ_INT(a.d.writes, 0);
    close_asking(&a);
}

/* --- On demand ---------------------------------------------------------------------------------------------------- */

typedef struct demand {
    fixture f;
    pl_remote *remote;
    char text[8192];
} demand;

static void demand_dump(void *arg)
{
    demand *d = arg;
    CHECK(process_demand_dump());
    standard_error_read(d->text, sizeof d->text, "spawned at s.c:1\n");
    CHECK_EQ_INT(pl_call_soon_threadsafe(d->remote, stop_loop, d->f.loop, NULL), PL_OK);
}

TEST_CASE(a_demand_from_the_keyboard_dumps_the_running_loops_that_are_in_debug_mode)
{
    demand d;
    test_thread thread;
    memset(&d, 0, sizeof d);
    REQUIRE(fixture_open_debug(&d.f, t));
    d.remote = pl_loop_remote(d.f.loop);
    start_named(&d.f, 0, "sleeper", sleep_for_ever, "s.c:1");
    turn(&d.f, 1);
    if (!process_can_demand_dump() || !standard_error_take()) {
        t_skip(t, "no way to make the demand");
    } else {
        REQUIRE(test_thread_start(&thread, demand_dump, &d));
        CHECK_EQ_INT(pl_loop_run_forever(d.f.loop), PL_OK);
        test_thread_join(&thread);
        standard_error_give_back();
        CHECK(strstr(d.text, "loop: backend ") != NULL);
        CHECK(strstr(d.text, "task sleeper: waiting for sleep, for ever left\n") != NULL);
    }
    pl_remote_unref(d.remote);
    fixture_close(&d.f);
}

TEST_CASE(a_handler_of_the_program_for_that_demand_stays)
{
    fixture f, g;
    if (!process_can_demand_dump()) {
        t_skip(t, "no way to make the demand");
        return;
    }
    process_count_demands();
    REQUIRE(fixture_open_debug(&f, t));
    CHECK(process_demand_dump());
    CHECK_EQ_INT(process_demands_counted(), 1); /* the default is back */
    REQUIRE(fixture_open_debug(&g, t));         /* the first one found it taken: this one does not take it */
    fixture_close(&g);
    fixture_close(&f);
    REQUIRE(fixture_open_debug(&f, t));
    process_count_demands(); /* in place of ours */
    fixture_close(&f);
    CHECK(process_demand_dump());
    CHECK_EQ_INT(process_demands_counted(), 1);
}

#if defined(__has_feature)
#define HAS_FEATURE(x) __has_feature(x)
#else
#define HAS_FEATURE(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || HAS_FEATURE(thread_sanitizer)
enum { CHILDREN_MAY_HAVE_THREADS = 0 }; /* the sanitizer ends them */
#else
enum { CHILDREN_MAY_HAVE_THREADS = 1 };
#endif

static int make_a_debug_loop(void *arg)
{
    const test_context *t = arg;
    pl_loop *loop = NULL;
    pl_loop_options options = {.size = sizeof options, .backend = t->backend, .debug = 1};
    return pl_loop_create(&loop, &options) == PL_OK && pl_loop_close(loop) == PL_OK ? 7 : 8;
}

TEST_CASE(a_child_made_by_fork_may_have_loops_in_debug_mode_of_its_own)
{
    fixture f;
    int result;
    if (!CHILDREN_MAY_HAVE_THREADS) {
        t_skip(t, "a child made by fork may have no threads here");
        return;
    }
    /* It looks for leaks in the child too, and finds what a thread was to free that had not begun when the child was made. */
    if (system_is_valgrind()) {
        t_skip(t, "Valgrind holds against the child what its parent's threads were to free");
        return;
    }
    REQUIRE(fixture_open_debug(&f, t));
    result = process_fork(make_a_debug_loop, t);
    fixture_close(&f);
    if (result < 0)
        t_skip(t, "there is no fork here");
    else
        CHECK_EQ_INT(result, 7);
}

TEST_SUITE(dump, TEST_BACKENDS_ALL, CASE(each_state_of_a_task_is_shown), CASE(the_loop_itself_is_shown),
           CASE(what_a_task_waits_for_is_shown), CASE(an_operation_is_shown_by_its_name),
           CASE(who_awaits_a_task_is_shown_and_who_awaits_them), CASE(who_gathers_is_shown_among_those_who_await),
           CASE(a_deep_chain_is_cut), CASE(of_many_who_await_a_task_some_are_shown_and_the_others_counted),
           CASE(the_open_scopes_of_a_task_are_shown_the_innermost_first), CASE(the_cancels_of_a_task_are_shown),
           CASE(names_are_printable_whatever_is_in_them), CASE(ten_thousand_tasks_are_shown),
           CASE(level_2_shows_what_was_made_at_each_place_and_not_yet_released),
           CASE(a_dump_of_nothing_or_to_nowhere_is_refused), CASE(a_dump_without_the_memory_for_it_writes_nothing),
           CASE(another_thread_gets_a_dump_of_a_loop_that_runs),
           CASE(a_loop_that_does_not_answer_in_time_is_shown_by_what_it_executes_if_it_is_in_debug_mode),
           CASE(a_loop_that_is_not_running_does_not_answer), CASE(a_loop_closed_meanwhile_answers_that_it_is_closed),
           CASE(a_demand_from_the_keyboard_dumps_the_running_loops_that_are_in_debug_mode),
           CASE(a_handler_of_the_program_for_that_demand_stays),
           CASE(a_child_made_by_fork_may_have_loops_in_debug_mode_of_its_own))
