/* Signals and console events. Ctrl-C is the one that every system can make; the others are made where that is possible. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "process.h"
#include "threads.h"

/* The thread sanitizer calls no handler in a child made by fork. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILDREN_HAVE_HANDLERS 0
#endif
#endif
#if !defined(CHILDREN_HAVE_HANDLERS)
#define CHILDREN_HAVE_HANDLERS 1
#endif

static const int interrupt[] = {PL_SIGNAL_INTERRUPT};
static const int asked_to_end[] = {PL_SIGNAL_INTERRUPT, PL_SIGNAL_TERMINATE, PL_SIGNAL_HANG_UP, PL_SIGNAL_SHUTDOWN};

/* Whether interrupts can be made here; else the case is skipped. */
static bool begin(test_context *t, fixture *f)
{
    if (process_uses_console())
        t_keeps_handles(t, "those of the console");
    if (!fixture_open(f, t))
        return false;
    return true;
}

#define SIGNAL_CASE(name)                                                                                              \
    static int64_t name##_task(void *arg);                                                                             \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        fixture f;                                                                                                     \
        REQUIRE(begin(t, &f));                                                                                         \
        if (run_task(&f, name##_task, &f) == CANNOT)                                                                   \
            t_skip(t, "no way to make that signal");                                                                   \
        fixture_close(&f);                                                                                             \
    }                                                                                                                  \
    static int64_t name##_task(void *arg)

/* The result of a case whose signal cannot be made. */
enum { CANNOT = INT32_MIN };

static pl_signal *open_watcher(const int *events, size_t count)
{
    pl_signal *watcher = NULL;
    CHECK_EQ_INT(pl_signal_open(&watcher, events, count, NULL), PL_OK);
    return watcher;
}

static void expect_interrupt(pl_signal *watcher, uint32_t count)
{
    pl_signal_info info = {0};
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
    CHECK_EQ_INT(info.event, PL_SIGNAL_INTERRUPT);
    CHECK_EQ_INT(info.count, count);
}

/* Nothing has arrived that was not told. */
static void expect_nothing(pl_signal *watcher)
{
    pl_op op = {{{0}}};
    pl_signal_info info;
    CHECK_EQ_INT(pl_signal_wait_start(&op, watcher, &info), PL_OK);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
}

/* --- Being told --------------------------------------------------------------------------------------------------- */

typedef struct told {
    pl_signal *watcher;
    pl_signal_info info;
    int64_t result;
} told;

static int64_t wait_once(void *arg)
{
    told *t = arg;
    t->result = pl_signal_wait(t->watcher, &t->info);
    return 0;
}

SIGNAL_CASE(a_waiting_task_is_told)
{
    told t = {0};
    pl_task *task;
    (void)arg;
    t.watcher = open_watcher(interrupt, 1);
    CHECK_EQ_INT(pl_spawn(&task, wait_once, &t, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    if (process_interrupt()) {
        CHECK_EQ_INT(pl_await(pl_task_future(task)), 0);
        CHECK_EQ_INT(t.result, PL_OK);
        CHECK_EQ_INT(t.info.event, PL_SIGNAL_INTERRUPT);
        CHECK_EQ_INT(t.info.count, 1);
        CHECK_EQ_INT(t.info.number, process_interrupt_number());
    } else {
        t.result = CANNOT;
    }
    pl_signal_close(t.watcher);
    (void)pl_await(pl_task_future(task));
    pl_task_unref(task);
    return t.result;
}

SIGNAL_CASE(what_arrived_before_the_wait_is_told)
{
    pl_signal *watcher = open_watcher(interrupt, 1);
    bool made = process_interrupt();
    (void)arg;
    if (made) {
        expect_interrupt(watcher, 1);
        expect_nothing(watcher);
    }
    pl_signal_close(watcher);
    return made ? 0 : CANNOT;
}

SIGNAL_CASE(each_arrival_after_a_telling_is_told_again)
{
    pl_signal *watcher = open_watcher(interrupt, 1);
    bool made = true;
    (void)arg;
    for (int i = 0; i < 10 && made; i++) {
        made = process_interrupt();
        if (made)
            expect_interrupt(watcher, 1);
    }
    pl_signal_close(watcher);
    return made ? 0 : CANNOT;
}

SIGNAL_CASE(arrivals_of_one_kind_are_told_in_one_go_with_their_number)
{
    pl_signal *watcher = open_watcher(interrupt, 1);
    pl_signal_info info;
    uint32_t count = 0;
    (void)arg;
    for (int i = 0; i < 3; i++)
        if (!process_interrupt()) {
            pl_signal_close(watcher);
            return CANNOT;
        }
    while (count < 3) { /* at once where a signal is handled before raise returns */
        CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
        if (process_interrupt_is_handled() >= 0)
            CHECK_EQ_INT(info.count, 3);
        count += info.count;
    }
    CHECK_EQ_INT(count, 3);
    expect_nothing(watcher);
    pl_signal_close(watcher);
    return 0;
}

SIGNAL_CASE(several_kinds_are_told_in_turn)
{
    static const int both[] = {PL_SIGNAL_USER_1, PL_SIGNAL_USER_2, PL_SIGNAL_CHILD};
    pl_signal *watcher;
    pl_signal_info info;
    (void)arg;
    watcher = open_watcher(both, 3);
    for (int i = 0; i < 3; i++) {
        CHECK(process_raise(PL_SIGNAL_USER_2));
        CHECK(process_raise(PL_SIGNAL_USER_1));
    }
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
    CHECK_EQ_INT(info.event, PL_SIGNAL_USER_1);
    CHECK(process_raise(PL_SIGNAL_USER_1)); /* the other kind has its turn all the same */
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
    CHECK_EQ_INT(info.event, PL_SIGNAL_USER_2);
    CHECK_EQ_INT(info.count, 3);
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
    CHECK_EQ_INT(info.event, PL_SIGNAL_USER_1);
    CHECK_EQ_INT(info.count, 1);
    expect_nothing(watcher);
    pl_signal_close(watcher);
    return 0;
}

SIGNAL_CASE(every_event_that_can_be_made_is_told_by_its_name)
{
    static const int all[] = {PL_SIGNAL_INTERRUPT, PL_SIGNAL_BREAK,  PL_SIGNAL_TERMINATE, PL_SIGNAL_HANG_UP,
                              PL_SIGNAL_CHILD,     PL_SIGNAL_WINDOW, PL_SIGNAL_USER_1,    PL_SIGNAL_USER_2};
    (void)arg;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        pl_signal *watcher = NULL;
        pl_signal_info info;
        if (!process_has(all[i]))
            continue;
        watcher = open_watcher(&all[i], 1);
        CHECK(process_raise(all[i]));
        CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
        CHECK_EQ_INT(info.event, all[i]);
        pl_signal_close(watcher);
    }
    return process_has(PL_SIGNAL_INTERRUPT) ? 0 : CANNOT;
}

SIGNAL_CASE(an_event_that_is_named_twice_is_told_once)
{
    const int twice[] = {PL_SIGNAL_INTERRUPT, process_interrupt_number(), PL_SIGNAL_INTERRUPT};
    pl_signal *watcher;
    (void)arg;
    watcher = open_watcher(twice, 3);
    CHECK(process_interrupt());
    expect_interrupt(watcher, 1);
    expect_nothing(watcher);
    pl_signal_close(watcher);
    return 0;
}

SIGNAL_CASE(any_signal_is_watched_by_its_number)
{
    int number = process_unnamed_signal();
    pl_signal *watcher = NULL;
    pl_signal_info info;
    (void)arg;
    watcher = open_watcher(&number, 1);
    CHECK(process_raise(number));
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
    CHECK_EQ_INT(info.event, number);
    CHECK_EQ_INT(info.number, number);
    pl_signal_close(watcher);
    return 0;
}

SIGNAL_CASE(what_only_unix_has_is_not_supported_and_watched_beside_what_there_is)
{
    static const int of_unix[] = {PL_SIGNAL_USER_1, PL_SIGNAL_USER_2, PL_SIGNAL_CHILD, PL_SIGNAL_WINDOW, 14};
    static const int mixed[] = {PL_SIGNAL_USER_1, PL_SIGNAL_INTERRUPT, 14};
    pl_signal *watcher = (pl_signal *)arg;
    CHECK_EQ_INT(pl_signal_open(&watcher, of_unix, 5, NULL), PL_ENOTSUP);
    CHECK(watcher == NULL);
    watcher = open_watcher(mixed, 3);
    if (!process_interrupt()) {
        pl_signal_close(watcher);
        return CANNOT;
    }
    expect_interrupt(watcher, 1);
    pl_signal_close(watcher);
    return 0;
}

SIGNAL_CASE(every_watcher_of_a_loop_is_told)
{
    pl_signal *watchers[3];
    bool made;
    (void)arg;
    for (int i = 0; i < 3; i++)
        watchers[i] = open_watcher(asked_to_end, 4);
    made = process_interrupt();
    for (int i = 0; i < 3 && made; i++)
        expect_interrupt(watchers[i], 1);
    pl_signal_close(watchers[1]);
    made = made && process_interrupt();
    for (int i = 0; i < 3 && made; i += 2)
        expect_interrupt(watchers[i], 1);
    pl_signal_close(watchers[0]);
    pl_signal_close(watchers[2]);
    return made ? 0 : CANNOT;
}

typedef struct other_loop {
    const char *backend;
    test_gate ready;
    int64_t result;
    int rounds;
} other_loop;

static int64_t watch_elsewhere(void *arg)
{
    other_loop *other = arg;
    pl_signal *watcher = open_watcher(interrupt, 1);
    test_gate_open(&other->ready);
    for (uint32_t sum = 0; sum < 2;) {
        pl_signal_info info = {0};
        int64_t rc = pl_signal_wait(watcher, &info);
        if (rc < 0)
            return rc;
        sum += info.count;
        other->rounds++;
    }
    pl_signal_close(watcher);
    return 0;
}

static void run_other_loop(void *arg)
{
    other_loop *other = arg;
    pl_loop_options loop = {.size = sizeof loop, .backend = other->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    other->result = pl_run(watch_elsewhere, other, &options);
}

enum { OTHER_LOOPS = 3 };

TEST_CASE(loops_in_several_threads_are_each_told_of_each_arrival)
{
    fixture f;
    other_loop others[OTHER_LOOPS];
    test_thread threads[OTHER_LOOPS];
    pl_signal *watcher = NULL;
    pl_signal_options options = {.size = sizeof options};
    bool made;
    memset(others, 0, sizeof others);
    if (!process_has(PL_SIGNAL_INTERRUPT)) {
        t_skip(t, "no way to make that signal");
        return;
    }
    REQUIRE(begin(t, &f));
    options.loop = f.loop;
    CHECK_EQ_INT(pl_signal_open(&watcher, interrupt, 1, &options), PL_OK);
    for (int i = 0; i < OTHER_LOOPS; i++) {
        others[i].backend = t->backend;
        test_gate_init(&others[i].ready);
        CHECK(test_thread_start(&threads[i], run_other_loop, &others[i]));
        test_gate_wait(&others[i].ready);
    }
    made = process_interrupt() && process_interrupt();
    CHECK(made);
    for (int i = 0; i < OTHER_LOOPS; i++) {
        test_thread_join(&threads[i]);
        CHECK_EQ_INT(others[i].result, 0);
        CHECK(others[i].rounds >= 1 && others[i].rounds <= 2);
        test_gate_destroy(&others[i].ready);
    }
    pl_signal_close(watcher);
    fixture_close(&f);
}

typedef struct sender {
    int rounds;
    bool made;
} sender;

static void send_many(void *arg)
{
    sender *s = arg;
    for (int i = 0; i < s->rounds; i++)
        s->made = process_interrupt() && s->made;
}

/* Watchers of another loop come and go meanwhile. */
SIGNAL_CASE(nothing_is_lost_while_signals_rain)
{
    sender s = {.rounds = scaled(2000), .made = true};
    test_thread thread;
    pl_signal *watcher, *passing;
    uint32_t count = 0;
    (void)arg;
    watcher = open_watcher(interrupt, 1);
    CHECK(test_thread_start(&thread, send_many, &s));
    while (count < (uint32_t)s.rounds) {
        pl_signal_info info;
        passing = open_watcher(asked_to_end, 4);
        CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
        count += info.count;
        pl_signal_close(passing);
    }
    test_thread_join(&thread);
    CHECK_EQ_INT(count, s.rounds);
    CHECK(s.made);
    pl_signal_close(watcher);
    return 0;
}

/* --- Cancels and limits ------------------------------------------------------------------------------------------- */

SIGNAL_CASE(a_wait_that_was_cancelled_takes_nothing)
{
    pl_signal *watcher = open_watcher(interrupt, 1);
    pl_timeout limit = {0};
    pl_signal_info info;
    bool made;
    (void)arg;
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_US(1)), PL_OK); /* while it waits */
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_signal_wait(watcher, &info)), PL_ETIMEDOUT);
    made = process_interrupt();
    if (made) {
        CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1); /* before it began */
        CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_ECANCELED);
        expect_interrupt(watcher, 1);
    }
    pl_signal_close(watcher);
    return made ? 0 : CANNOT;
}

static int64_t cancel_it(void *arg)
{
    return pl_task_cancel(arg) == 1 ? 0 : PL_ESTATE;
}

/* The order of that iteration: the loop looks at the signals, then the canceller runs, then the waiter. */
SIGNAL_CASE(a_wait_that_was_told_is_not_undone_by_a_cancel)
{
    pl_signal *watcher = open_watcher(interrupt, 1);
    pl_signal_info info = {0};
    pl_op op = {{{0}}};
    (void)arg;
    CHECK(process_interrupt()); /* which is handled before it returns */
    CHECK_EQ_INT(pl_signal_wait_start(&op, watcher, &info), PL_OK);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_spawn(NULL, cancel_it, pl_task_current(), NULL), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(info.event, PL_SIGNAL_INTERRUPT);
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    pl_signal_close(watcher);
    return 0;
}

static void cancel_the_waiter(void *arg)
{
    CHECK_EQ_INT(pl_task_cancel(arg), 1);
}

/* In one iteration the loop looks at the signals, which makes the waiter ready behind the callback, and runs both. */
SIGNAL_CASE(a_wait_whose_waiter_is_cancelled_before_it_runs_was_told)
{
    told t = {0};
    pl_task *task;
    pl_callback callback = {{{0}}};
    int64_t rc;
    (void)arg;
    t.watcher = open_watcher(interrupt, 1);
    CHECK_EQ_INT(pl_spawn(&task, wait_once, &t, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK(process_interrupt());
    CHECK_EQ_INT(pl_callback_schedule(&callback, NULL, cancel_the_waiter, task), PL_OK);
    rc = pl_await(pl_task_future(task));
    CHECK(t.result == PL_OK || t.result == PL_ECANCELED);       /* told, or not: never both */
    CHECK_EQ_INT(rc, t.result == PL_OK ? PL_ECANCELED : PL_OK); /* a cancel that came too late for it is the task's */
    if (t.result == PL_ECANCELED)
        expect_interrupt(t.watcher, 1);
    else
        expect_nothing(t.watcher);
    pl_signal_close(t.watcher);
    pl_task_unref(task);
    return 0;
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

SIGNAL_CASE(a_watcher_has_one_wait_at_a_time)
{
    pl_signal *watcher = open_watcher(interrupt, 1);
    pl_op first = {{{0}}}, second = {{{0}}};
    pl_signal_info info;
    (void)arg;
    CHECK_EQ_INT(pl_signal_wait_start(&first, watcher, &info), PL_OK);
    CHECK_EQ_INT(pl_signal_wait_start(&second, watcher, &info), PL_EBUSY);
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_EBUSY);
    CHECK_EQ_INT(pl_op_finish(&first), PL_ECANCELED);
    CHECK_EQ_INT(pl_signal_wait_start(&second, watcher, &info), PL_OK);
    CHECK_EQ_INT(pl_op_finish(&second), PL_ECANCELED);
    pl_signal_close(watcher);
    return 0;
}

SIGNAL_CASE(a_closed_watcher_says_so_while_it_is_held)
{
    pl_signal *watcher = pl_signal_ref(open_watcher(interrupt, 1));
    pl_op op = {{{0}}};
    pl_signal_info info;
    (void)arg;
    CHECK_EQ_INT(pl_signal_wait_start(&op, watcher, &info), PL_OK);
    pl_signal_close(watcher);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_ECLOSED);
    CHECK_EQ_INT(pl_signal_wait_start(&op, watcher, &info), PL_ECLOSED);
    CHECK_EQ_INT(pl_signal_done(watcher), PL_ECLOSED);
    pl_signal_unref(watcher);
    pl_signal_close(NULL);
    pl_signal_unref(NULL);
    CHECK(pl_signal_ref(NULL) == NULL);
    return 0;
}

static void ignore(const pl_signal_info *info, void *arg)
{
    (void)info;
    (void)arg;
}

SIGNAL_CASE(wrong_arguments_are_refused_and_change_nothing)
{
    static const int nowhere[] = {PL_SIGNAL_LOGOFF, PL_SIGNAL_SHUTDOWN};
    static const int none = 0, unnamed = 255, negative = -2, beyond = PL_SIGNAL_USER_2 + 1;
    static const int *const no_events[] = {&none, &unnamed, &negative, &beyond};
    fixture *f = arg;
    pl_signal_options wrong = {0};
    pl_signal *watcher = (pl_signal *)f;
    pl_signal_info info;
    pl_op op = {{{0}}};
    CHECK_EQ_INT(pl_signal_open(NULL, interrupt, 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_open(&watcher, NULL, 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_open(&watcher, interrupt, 0, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_open(&watcher, interrupt, 129, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_open(&watcher, interrupt, 1, &wrong), PL_EINVAL);
    CHECK(watcher == (pl_signal *)f);
    for (size_t i = 0; i < sizeof no_events / sizeof no_events[0]; i++) {
        const int events[2] = {PL_SIGNAL_INTERRUPT, *no_events[i]};
        CHECK_EQ_INT(pl_signal_open(&watcher, events, 2, NULL), PL_EINVAL);
        CHECK(watcher == NULL);
        CHECK(process_interrupt_is_handled() <= 0);
    }
    if (process_has(PL_SIGNAL_USER_1)) {
        const int kill_signal = 9;
        CHECK_EQ_INT(pl_signal_open(&watcher, &kill_signal, 1, NULL), PL_EINVAL);
        CHECK_EQ_INT(pl_signal_open(&watcher, nowhere, 2, NULL), PL_ENOTSUP);
        CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_LOGOFF, ignore, NULL), PL_ENOTSUP);
    }
    CHECK_EQ_INT(pl_signal_handle(NULL, 0, ignore, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_wait(NULL, &info), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_done(NULL), PL_EINVAL);
    watcher = open_watcher(interrupt, 1);
    CHECK_EQ_INT(pl_signal_wait(watcher, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_wait_start(NULL, watcher, &info), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_wait_start(&op, watcher, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_wait_start(&op, NULL, &info), PL_EINVAL);
    CHECK_EQ_INT(pl_signal_done(watcher), PL_OK);
    pl_signal_close(watcher);
    return 0;
}

TEST_CASE(the_simulation_has_no_signals)
{
    const test_context simulated = {.backend = "sim"};
    fixture f;
    pl_signal *watcher = (pl_signal *)&f;
    pl_signal_options options = {.size = sizeof options};
    (void)t;
    REQUIRE(fixture_open(&f, &simulated));
    options.loop = f.loop;
    CHECK_EQ_INT(pl_signal_open(&watcher, asked_to_end, 4, &options), PL_ENOTSUP);
    CHECK(watcher == NULL);
    CHECK_EQ_INT(pl_signal_handle(f.loop, PL_SIGNAL_INTERRUPT, ignore, NULL), PL_ENOTSUP);
    CHECK(process_interrupt_is_handled() <= 0);
    fixture_close(&f);
}

TEST_CASE(without_a_loop_or_a_task_there_is_no_watching)
{
    fixture f;
    pl_signal *watcher = NULL;
    pl_signal_options options = {.size = sizeof options};
    pl_signal_info info;
    REQUIRE(begin(t, &f));
    CHECK_EQ_INT(pl_signal_open(&watcher, interrupt, 1, NULL), PL_ENOLOOP);
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_INTERRUPT, ignore, NULL), PL_ENOLOOP);
    options.loop = f.loop;
    CHECK_EQ_INT(pl_signal_open(&watcher, interrupt, 1, &options), PL_OK);
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_ENOTASK);
    pl_signal_close(watcher);
    fixture_close(&f);
}

typedef struct from_elsewhere {
    pl_loop *loop;
    pl_signal *watcher;
} from_elsewhere;

static void use_from_elsewhere(void *arg)
{
    from_elsewhere *e = arg;
    pl_signal *another = NULL;
    pl_signal_options options = {.size = sizeof options, .loop = e->loop};
    pl_op op = {{{0}}};
    pl_signal_info info;
    CHECK_EQ_INT(pl_signal_open(&another, interrupt, 1, &options), PL_ETHREAD);
    CHECK_EQ_INT(pl_signal_handle(e->loop, PL_SIGNAL_INTERRUPT, ignore, NULL), PL_ETHREAD);
    CHECK_EQ_INT(pl_signal_wait_start(&op, e->watcher, &info), PL_ETHREAD);
    CHECK_EQ_INT(pl_signal_done(e->watcher), PL_ETHREAD);
}

TEST_CASE(in_debug_mode_another_thread_is_refused)
{
    fixture f;
    from_elsewhere e;
    pl_signal_options options = {.size = sizeof options};
    REQUIRE(fixture_open_debug(&f, t));
    turn(&f, 1);
    options.loop = e.loop = f.loop;
    CHECK_EQ_INT(pl_signal_open(&e.watcher, interrupt, 1, &options), PL_OK);
    CHECK(test_in_thread(use_from_elsewhere, &e));
    pl_signal_close(e.watcher);
    fixture_close(&f);
}

TEST_CASE(a_loop_that_is_closed_closes_its_watchers)
{
    fixture f;
    pl_signal *watcher = NULL;
    pl_signal_options options = {.size = sizeof options};
    pl_op op = {{{0}}};
    pl_signal_info info;
    REQUIRE(begin(t, &f));
    options.loop = f.loop;
    CHECK_EQ_INT(pl_signal_open(&watcher, interrupt, 1, &options), PL_OK);
    CHECK_EQ_INT(pl_signal_wait_start(&op, watcher, &info), PL_OK);
    CHECK_EQ_INT(pl_signal_handle(f.loop, PL_SIGNAL_INTERRUPT, ignore, NULL), 0);
    fixture_close(&f);
    CHECK_EQ_INT(pl_op_result(&op), PL_ECLOSED);
    CHECK(process_interrupt_is_handled() <= 0);
    CHECK_EQ_INT(pl_signal_wait_start(&op, watcher, &info), PL_ECLOSED);
    pl_signal_close(watcher);
}

TEST_CASE(without_memory_nothing_is_watched)
{
    for (int64_t fail_at = 1;; fail_at++) {
        allocation a;
        pl_loop *loop = NULL;
        pl_loop_options loop_options = {.size = sizeof loop_options, .backend = t->backend};
        pl_signal_options options = {.size = sizeof options};
        pl_signal *watcher = NULL;
        int opened, handled;
        REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
        REQUIRE_EQ_INT(pl_loop_create(&loop, &loop_options), PL_OK);
        options.loop = loop;
        a.fail_at = a.calls + fail_at;
        opened = pl_signal_open(&watcher, interrupt, 1, &options);
        CHECK(opened == PL_OK || (opened == PL_ENOMEM && watcher == NULL));
        pl_signal_close(watcher);
        handled = pl_signal_handle(loop, PL_SIGNAL_INTERRUPT, ignore, NULL);
        CHECK(handled == 0 || handled == PL_ENOMEM);
        if (opened < 0 || handled < 0)
            CHECK_EQ_INT(a.failed, 1);
        if (handled < 0)
            CHECK(process_interrupt_is_handled() <= 0);
        a.fail_at = 0;
        CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
        allocation_end(&a);
        if (a.failed == 0)
            break;
    }
}

/* --- Functions ---------------------------------------------------------------------------------------------------- */

typedef struct calls {
    pl_future *enough;
    uint32_t count;
    uint32_t wanted;
    int event;
} calls;

static void count_call(const pl_signal_info *info, void *arg)
{
    calls *c = arg;
    c->event = info->event;
    c->count += info->count;
    if (c->count >= c->wanted && pl_future_state(c->enough) == PL_PENDING)
        CHECK_EQ_INT(pl_future_set_result(c->enough, 0), PL_OK);
}

SIGNAL_CASE(a_function_is_called_for_each_arrival)
{
    calls c = {.wanted = 2};
    (void)arg;
    if (!process_has(PL_SIGNAL_INTERRUPT))
        return CANNOT;
    CHECK_EQ_INT(pl_future_create(&c.enough, NULL), PL_OK);
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_INTERRUPT, count_call, &c), 0);
    CHECK(process_interrupt());
    CHECK(process_interrupt());
    CHECK_EQ_INT(pl_await(c.enough), 0);
    CHECK_EQ_INT(c.count, 2);
    CHECK_EQ_INT(c.event, PL_SIGNAL_INTERRUPT);
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_INTERRUPT, NULL, NULL), 1);
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_INTERRUPT, NULL, NULL), 0);
    CHECK(process_interrupt_is_handled() <= 0);
    pl_future_unref(c.enough);
    return 0;
}

SIGNAL_CASE(another_function_takes_the_place_of_the_first_and_what_was_not_told)
{
    calls first = {.wanted = 1}, second = {.wanted = 1};
    (void)arg;
    CHECK_EQ_INT(pl_future_create(&first.enough, NULL), PL_OK);
    CHECK_EQ_INT(pl_future_create(&second.enough, NULL), PL_OK);
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_INTERRUPT, count_call, &first), 0);
    CHECK(process_interrupt());
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_INTERRUPT, count_call, &second), 1);
    CHECK_EQ_INT(pl_await(second.enough), 0);
    CHECK_EQ_INT(first.count, 0);
    CHECK_EQ_INT(second.count, 1);
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_INTERRUPT, NULL, NULL), 1);
    pl_future_unref(first.enough);
    pl_future_unref(second.enough);
    return 0;
}

static void remove_itself(const pl_signal_info *info, void *arg)
{
    CHECK_EQ_INT(pl_signal_handle(NULL, info->event, NULL, NULL), 1);
    count_call(info, arg);
}

SIGNAL_CASE(a_function_may_remove_itself)
{
    calls c = {.wanted = 1};
    (void)arg;
    if (!process_has(PL_SIGNAL_INTERRUPT))
        return CANNOT;
    CHECK_EQ_INT(pl_future_create(&c.enough, NULL), PL_OK);
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_INTERRUPT, remove_itself, &c), 0);
    CHECK(process_interrupt());
    CHECK_EQ_INT(pl_await(c.enough), 0);
    CHECK_EQ_INT(c.count, 1);
    pl_future_unref(c.enough);
    return 0;
}

/* --- Whose they are ----------------------------------------------------------------------------------------------- */

static int64_t watch_in_a_run(void *arg)
{
    pl_signal *watcher;
    bool made;
    (void)arg;
    watcher = open_watcher(interrupt, 1);
    made = process_interrupt();
    if (made)
        expect_interrupt(watcher, 1);
    made = made && process_interrupt(); /* the second one does not end the program */
    if (made)
        expect_interrupt(watcher, 1);
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
    pl_signal_close(watcher);
    if (!made || !process_interrupt())
        return CANNOT;
    return pl_sleep(PL_FOREVER); /* now it is the run's again */
}

TEST_CASE(a_watched_interrupt_does_not_cancel_the_main_task)
{
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    int64_t result;
    if (process_uses_console())
        t_keeps_handles(t, "those of the console");
    result = pl_run(watch_in_a_run, NULL, &options);
    if (result == CANNOT)
        t_skip(t, "no way to make that signal");
    else
        CHECK_EQ_INT(result, PL_EINTERRUPTED);
}

SIGNAL_CASE(the_handler_of_before_is_called_too_and_put_back)
{
    pl_signal *watcher;
    (void)arg;
    process_count_interrupts();
    watcher = open_watcher(interrupt, 1);
    CHECK(process_interrupt());
    process_wait_interrupts(1);
    expect_interrupt(watcher, 1);
    pl_signal_close(watcher);
    CHECK(process_interrupt());
    process_wait_interrupts(2);
    CHECK_EQ_INT(process_interrupts_counted(), 2);
    CHECK_EQ_INT(process_interrupt_is_handled(), 0);
    return 0;
}

/* One of our handlers may have been entered when the last watcher goes, and look at what it stands for when the next one
 * comes. */
SIGNAL_CASE(the_handler_of_before_is_called_for_each_arrival_while_watchers_come_and_go)
{
    sender s = {.rounds = scaled(2000), .made = true};
    test_thread thread;
    (void)arg;
    if (process_interrupt_is_handled() < 0)
        return CANNOT;
    process_count_interrupts();
    CHECK(test_thread_start(&thread, send_many, &s));
    for (int i = 0; i < s.rounds; i++)
        pl_signal_close(open_watcher(interrupt, 1));
    test_thread_join(&thread);
    CHECK(s.made);
    process_wait_interrupts(s.rounds);
    CHECK_EQ_INT(process_interrupts_counted(), s.rounds);
    return 0;
}

SIGNAL_CASE(a_handler_that_is_set_over_ours_is_left_in_place)
{
    pl_signal *watcher;
    (void)arg;
    watcher = open_watcher(interrupt, 1);
    process_count_interrupts(); /* and remembers ours as the one of before */
    pl_signal_close(watcher);
    CHECK(process_interrupt());
    process_wait_interrupts(1);
    CHECK_EQ_INT(process_interrupts_counted(), 1); /* puts ours back, which now stands for the system's */
    if (CHILDREN_HAVE_HANDLERS)
        CHECK_EQ_INT(process_fork(process_die_of_interrupt, NULL), 101);
    watcher = open_watcher(interrupt, 1);
    CHECK(process_interrupt());
    expect_interrupt(watcher, 1);
    pl_signal_close(watcher);
    process_forget_interrupt_handlers();
    return 0;
}

SIGNAL_CASE(handlers_that_were_put_over_each_other_are_called_once_each)
{
    pl_signal *watcher;
    (void)arg;
    watcher = open_watcher(interrupt, 1);
    process_count_interrupts(); /* calls ours, as the one of before */
    CHECK(process_interrupt());
    process_wait_interrupts(1);
    expect_interrupt(watcher, 1);
    pl_signal_close(watcher);
    watcher = open_watcher(interrupt, 1); /* ours once more, over the one that calls ours */
    CHECK(process_interrupt());
    process_wait_interrupts(2);
    expect_interrupt(watcher, 1);
    expect_nothing(watcher);
    pl_signal_close(watcher);
    CHECK_EQ_INT(process_interrupts_counted(), 2);
    process_forget_interrupt_handlers();
    return 0;
}

SIGNAL_CASE(an_ignored_signal_stays_ignored_unless_it_is_asked_for)
{
    pl_signal_options take = {.size = sizeof take, .take_ignored = 1};
    pl_signal *watcher, *taker = NULL;
    (void)arg;
    CHECK(process_ignore_interrupts(true));
    watcher = open_watcher(interrupt, 1);
    CHECK(process_interrupt());
    expect_nothing(watcher);
    CHECK_EQ_INT(pl_signal_open(&taker, interrupt, 1, &take), PL_OK);
    CHECK(process_interrupt());
    expect_interrupt(taker, 1);
    pl_signal_close(taker);
    pl_signal_close(watcher);
    CHECK(process_interrupt()); /* ignored again */
    CHECK(process_ignore_interrupts(false));
    return 0;
}

static int raise_in_child(void *arg)
{
    (void)arg;
    (void)process_interrupt();
    return 33;
}

SIGNAL_CASE(a_child_made_by_fork_does_not_tell_its_parents_watchers)
{
    pl_signal *watcher = open_watcher(interrupt, 1);
    (void)arg;
    CHECK_EQ_INT(process_fork(raise_in_child, NULL), 101); /* by the signal, as it was before the watch */
    CHECK_EQ_INT(pl_sleep(PL_US(1)), PL_OK);               /* the loop looks once more */
    expect_nothing(watcher);
    pl_signal_close(watcher);
    return 0;
}

SIGNAL_CASE(the_end_of_a_child_is_an_event)
{
    static const int child[] = {PL_SIGNAL_CHILD};
    pl_signal *watcher = NULL;
    pl_signal_info info;
    (void)arg;
    watcher = open_watcher(child, 1);
    CHECK_EQ_INT(process_fork(process_return_seven, NULL), 7);
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
    CHECK_EQ_INT(info.event, PL_SIGNAL_CHILD);
    pl_signal_close(watcher);
    return 0;
}

TEST_SUITE(signal, TEST_BACKENDS_REAL, CASE(a_waiting_task_is_told), CASE(what_arrived_before_the_wait_is_told),
           CASE(each_arrival_after_a_telling_is_told_again),
           CASE(arrivals_of_one_kind_are_told_in_one_go_with_their_number), CASE_ON(ON_UNIX, several_kinds_are_told_in_turn),
           CASE(every_event_that_can_be_made_is_told_by_its_name), CASE_ON(ON_UNIX, an_event_that_is_named_twice_is_told_once),
           CASE_ON(ON_UNIX, any_signal_is_watched_by_its_number), CASE_ON(ON_WINDOWS, what_only_unix_has_is_not_supported_and_watched_beside_what_there_is),
           CASE(every_watcher_of_a_loop_is_told),
           CASE(loops_in_several_threads_are_each_told_of_each_arrival), CASE_ON(ON_UNIX, nothing_is_lost_while_signals_rain),
           CASE(a_wait_that_was_cancelled_takes_nothing), CASE_ON(ON_UNIX, a_wait_that_was_told_is_not_undone_by_a_cancel),
           CASE_ON(ON_UNIX, a_wait_whose_waiter_is_cancelled_before_it_runs_was_told), CASE(a_watcher_has_one_wait_at_a_time),
           CASE(a_closed_watcher_says_so_while_it_is_held), CASE(wrong_arguments_are_refused_and_change_nothing),
           CASE(the_simulation_has_no_signals), CASE(without_a_loop_or_a_task_there_is_no_watching),
           CASE(in_debug_mode_another_thread_is_refused),
           CASE(a_loop_that_is_closed_closes_its_watchers), CASE(without_memory_nothing_is_watched),
           CASE(a_function_is_called_for_each_arrival),
           CASE_ON(ON_UNIX, another_function_takes_the_place_of_the_first_and_what_was_not_told),
           CASE(a_function_may_remove_itself), CASE(a_watched_interrupt_does_not_cancel_the_main_task),
           CASE_ON(ON_UNIX, the_handler_of_before_is_called_too_and_put_back),
           CASE_ON(ON_UNIX, the_handler_of_before_is_called_for_each_arrival_while_watchers_come_and_go),
           CASE_ON(ON_UNIX, a_handler_that_is_set_over_ours_is_left_in_place),
           CASE_ON(ON_UNIX, handlers_that_were_put_over_each_other_are_called_once_each),
           CASE_ON(ON_UNIX, an_ignored_signal_stays_ignored_unless_it_is_asked_for),
           CASE_ON(ON_UNIX, a_child_made_by_fork_does_not_tell_its_parents_watchers), CASE_ON(ON_UNIX, the_end_of_a_child_is_an_event))
