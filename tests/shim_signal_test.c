/* The console events that only Windows itself can make: the library's handler is called as the system would. */
#include <proloop/proloop.h>

#include <string.h>
#include <windows.h>

#include "fixture.h"
#include "harness.h"
#include "shims_console.h"
#include "threads.h"

/* First of all cases: the handler is added once in a process. */
TEST_CASE(a_handler_that_cannot_be_added_is_an_error)
{
    static const int events[] = {PL_SIGNAL_INTERRUPT};
    fixture f;
    pl_signal *watcher = NULL;
    pl_signal_options options = {.size = sizeof options};
    REQUIRE(fixture_open(&f, t));
    options.loop = f.loop;
    if (!console_has_handler()) {
        console_refuse_handlers(true);
        CHECK_EQ_INT(pl_signal_open(&watcher, events, 1, &options), PL_ENOMEM);
        CHECK(watcher == NULL);
        console_refuse_handlers(false);
    }
    CHECK_EQ_INT(pl_signal_open(&watcher, events, 1, &options), PL_OK);
    CHECK(console_has_handler());
    pl_signal_close(watcher);
    fixture_close(&f);
}

static pl_signal *open_watcher(int event, bool pass_on)
{
    pl_signal *watcher = NULL;
    pl_signal_options options = {.size = sizeof options, .pass_on = pass_on};
    CHECK_EQ_INT(pl_signal_open(&watcher, &event, 1, &options), PL_OK);
    return watcher;
}

static void expect_event(pl_signal *watcher, int event, int number)
{
    pl_signal_info info;
    CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
    CHECK_EQ_INT(info.event, event);
    CHECK_EQ_INT(info.number, number);
}

FIXTURE_CASE(breaks_are_told_and_answered)
{
    pl_signal *watcher = open_watcher(PL_SIGNAL_BREAK, false);
    pl_signal *interrupts = open_watcher(PL_SIGNAL_INTERRUPT, false);
    (void)arg;
    CHECK(console_send(CTRL_BREAK_EVENT));
    expect_event(watcher, PL_SIGNAL_BREAK, CTRL_BREAK_EVENT);
    CHECK(console_send(CTRL_C_EVENT));
    expect_event(interrupts, PL_SIGNAL_INTERRUPT, CTRL_C_EVENT);
    pl_signal_close(watcher);
    pl_signal_close(interrupts);
    return 0;
}

FIXTURE_CASE(what_nobody_watches_is_passed_on)
{
    pl_signal *watcher = open_watcher(PL_SIGNAL_BREAK, false);
    (void)arg;
    CHECK(!console_send(CTRL_C_EVENT));
    CHECK(!console_send(CTRL_CLOSE_EVENT));
    CHECK(!console_send(CTRL_LOGOFF_EVENT));
    CHECK(!console_send(CTRL_SHUTDOWN_EVENT));
    CHECK(!console_send(3));  /* numbers that the system does not use, */
    CHECK(!console_send(99)); /* or not yet */
    pl_signal_close(watcher);
    CHECK(!console_send(CTRL_BREAK_EVENT));
    return 0;
}

FIXTURE_CASE(a_watcher_may_have_it_passed_on)
{
    pl_signal *watcher = open_watcher(PL_SIGNAL_BREAK, true);
    pl_signal *second = open_watcher(PL_SIGNAL_BREAK, false);
    (void)arg;
    CHECK(!console_send(CTRL_BREAK_EVENT));
    expect_event(watcher, PL_SIGNAL_BREAK, CTRL_BREAK_EVENT);
    expect_event(second, PL_SIGNAL_BREAK, CTRL_BREAK_EVENT);
    pl_signal_close(watcher);
    CHECK(console_send(CTRL_BREAK_EVENT));
    pl_signal_close(second);
    return 0;
}

/* --- Events that end the process when the handler returns --------------------------------------------------------- */

static const struct ending {
    int event;
    unsigned number;
} endings[] = {{PL_SIGNAL_HANG_UP, CTRL_CLOSE_EVENT},
               {PL_SIGNAL_LOGOFF, CTRL_LOGOFF_EVENT},
               {PL_SIGNAL_SHUTDOWN, CTRL_SHUTDOWN_EVENT}};

typedef struct system_thread {
    unsigned number;
    test_thread thread;
    LONG volatile returned;
    bool handled;
} system_thread;

static void send_event(void *arg)
{
    system_thread *s = arg;
    s->handled = console_send(s->number);
    InterlockedExchange(&s->returned, 1);
}

static void begin_event(system_thread *s, unsigned number)
{
    memset(s, 0, sizeof *s);
    s->number = number;
    CHECK(test_thread_start(&s->thread, send_event, s));
}

static bool has_returned(system_thread *s)
{
    return InterlockedCompareExchange(&s->returned, 0, 0) != 0;
}

FIXTURE_CASE(the_handler_stays_until_the_program_says_that_it_is_done)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        pl_signal *watcher = open_watcher(endings[i].event, false);
        system_thread s;
        int before = console_partings();
        CHECK_EQ_INT(pl_signal_done(watcher), PL_OK); /* with nothing: says nothing of what is to come */
        begin_event(&s, endings[i].number);
        expect_event(watcher, endings[i].event, (int)endings[i].number);
        CHECK(!has_returned(&s));
        CHECK_EQ_INT(pl_signal_done(watcher), PL_OK);
        test_thread_join(&s.thread);
        CHECK(s.handled);
        CHECK_EQ_INT(console_partings(), before);
        pl_signal_close(watcher);
    }
    return 0;
}

FIXTURE_CASE(closing_the_watcher_lets_the_handler_go_and_main_return)
{
    (void)arg;
    for (int i = 0; i < 3; i++) {
        pl_signal *watcher = open_watcher(endings[i].event, false);
        system_thread s;
        int before = console_partings();
        begin_event(&s, endings[i].number);
        expect_event(watcher, endings[i].event, (int)endings[i].number);
        CHECK(!has_returned(&s));
        pl_signal_close(watcher);
        test_thread_join(&s.thread);
        CHECK(s.handled);
        CHECK_EQ_INT(console_partings(), before + 1);
    }
    return 0;
}

FIXTURE_CASE(the_handler_waits_for_every_watcher)
{
    pl_signal *first = open_watcher(PL_SIGNAL_HANG_UP, false), *second = open_watcher(PL_SIGNAL_HANG_UP, false);
    system_thread s;
    (void)arg;
    begin_event(&s, CTRL_CLOSE_EVENT);
    expect_event(first, PL_SIGNAL_HANG_UP, CTRL_CLOSE_EVENT);
    CHECK_EQ_INT(pl_signal_done(first), PL_OK);
    CHECK(!has_returned(&s)); /* the second was not told even */
    expect_event(second, PL_SIGNAL_HANG_UP, CTRL_CLOSE_EVENT);
    pl_signal_close(first);
    CHECK(!has_returned(&s));
    CHECK_EQ_INT(pl_signal_done(second), PL_OK);
    test_thread_join(&s.thread);
    CHECK(s.handled);
    pl_signal_close(second);
    return 0;
}

FIXTURE_CASE(one_that_comes_later_is_dealt_with_by_itself)
{
    pl_signal *watcher = open_watcher(PL_SIGNAL_SHUTDOWN, false);
    system_thread first, second;
    (void)arg;
    begin_event(&first, CTRL_SHUTDOWN_EVENT);
    expect_event(watcher, PL_SIGNAL_SHUTDOWN, CTRL_SHUTDOWN_EVENT);
    begin_event(&second, CTRL_SHUTDOWN_EVENT);
    expect_event(watcher, PL_SIGNAL_SHUTDOWN, CTRL_SHUTDOWN_EVENT);
    CHECK(!has_returned(&second));
    CHECK_EQ_INT(pl_signal_done(watcher), PL_OK);
    test_thread_join(&first.thread);
    test_thread_join(&second.thread);
    CHECK(first.handled && second.handled);
    pl_signal_close(watcher);
    return 0;
}

typedef struct cleaning {
    system_thread *system;
    pl_future *cleaned;
} cleaning;

static void clean_up(const pl_signal_info *info, void *arg)
{
    cleaning *c = arg;
    CHECK_EQ_INT(info->event, PL_SIGNAL_HANG_UP);
    CHECK(!has_returned(c->system));
    CHECK_EQ_INT(pl_future_set_result(c->cleaned, 0), PL_OK);
}

FIXTURE_CASE(a_function_that_returns_has_cleaned_up)
{
    system_thread s;
    cleaning c = {.system = &s};
    (void)arg;
    memset(&s, 0, sizeof s);
    CHECK_EQ_INT(pl_future_create(&c.cleaned, NULL), PL_OK);
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_HANG_UP, clean_up, &c), 0);
    begin_event(&s, CTRL_CLOSE_EVENT);
    CHECK_EQ_INT(pl_await(c.cleaned), 0);
    test_thread_join(&s.thread);
    CHECK(s.handled);
    CHECK_EQ_INT(pl_signal_handle(NULL, PL_SIGNAL_HANG_UP, NULL, NULL), 1);
    pl_future_unref(c.cleaned);
    return 0;
}

typedef struct other_loop {
    const char *backend;
    test_gate watching, clean;
    bool told;
} other_loop;

static int64_t watch_elsewhere(void *arg)
{
    other_loop *other = arg;
    pl_signal *watcher = open_watcher(PL_SIGNAL_HANG_UP, false);
    test_gate_open(&other->watching);
    expect_event(watcher, PL_SIGNAL_HANG_UP, CTRL_CLOSE_EVENT);
    other->told = true;
    test_gate_wait(&other->clean);
    pl_signal_close(watcher);
    return 0;
}

static void run_other_loop(void *arg)
{
    other_loop *other = arg;
    pl_loop_options loop = {.size = sizeof loop, .backend = other->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    CHECK_EQ_INT(pl_run(watch_elsewhere, other, &options), 0);
}

FIXTURE_CASE(the_handler_waits_for_the_loops_of_all_threads)
{
    other_loop other = {.backend = NULL};
    test_thread thread;
    system_thread s;
    pl_signal *watcher = open_watcher(PL_SIGNAL_HANG_UP, false);
    (void)arg;
    test_gate_init(&other.watching);
    test_gate_init(&other.clean);
    CHECK(test_thread_start(&thread, run_other_loop, &other));
    test_gate_wait(&other.watching);
    begin_event(&s, CTRL_CLOSE_EVENT);
    expect_event(watcher, PL_SIGNAL_HANG_UP, CTRL_CLOSE_EVENT);
    CHECK_EQ_INT(pl_signal_done(watcher), PL_OK);
    CHECK(!has_returned(&s));
    test_gate_open(&other.clean);
    test_thread_join(&thread);
    test_thread_join(&s.thread);
    CHECK(s.handled && other.told);
    pl_signal_close(watcher);
    test_gate_destroy(&other.watching);
    test_gate_destroy(&other.clean);
    return 0;
}

/* --- Runs --------------------------------------------------------------------------------------------------------- */

static int64_t be_closed(void *arg)
{
    system_thread *s = arg;
    begin_event(s, CTRL_CLOSE_EVENT);
    CHECK_EQ_INT(pl_sleep(PL_FOREVER), PL_ECANCELED);
    CHECK(!has_returned(s));
    return PL_ECANCELED;
}

TEST_CASE(a_run_that_nobody_watches_for_is_cancelled_and_waited_for)
{
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    system_thread s;
    int before = console_partings();
    CHECK_EQ_INT(pl_run(be_closed, &s, &options), PL_EINTERRUPTED);
    test_thread_join(&s.thread);
    CHECK(s.handled);
    CHECK_EQ_INT(console_partings(), before + 1);
}

static int64_t watch_what_a_run_has(void *arg)
{
    pl_signal *watcher = open_watcher(PL_SIGNAL_BREAK, false);
    (void)arg;
    for (int i = 0; i < 3; i++) {
        CHECK(console_send(CTRL_BREAK_EVENT));
        expect_event(watcher, PL_SIGNAL_BREAK, CTRL_BREAK_EVENT);
    }
    pl_signal_close(watcher);
    CHECK(console_send(CTRL_BREAK_EVENT));
    CHECK(!console_send(CTRL_BREAK_EVENT)); /* the second one of the run's is the system's */
    return pl_sleep(PL_FOREVER);
}

TEST_CASE(a_watcher_takes_an_event_over_from_the_run)
{
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend, .debug = -1};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    CHECK_EQ_INT(pl_run(watch_what_a_run_has, NULL, &options), PL_EINTERRUPTED);
}

TEST_SUITE(shim_signal, TEST_BACKENDS_REAL, CASE(a_handler_that_cannot_be_added_is_an_error),
           CASE(breaks_are_told_and_answered), CASE(what_nobody_watches_is_passed_on),
           CASE(a_watcher_may_have_it_passed_on), CASE(the_handler_stays_until_the_program_says_that_it_is_done),
           CASE(closing_the_watcher_lets_the_handler_go_and_main_return), CASE(the_handler_waits_for_every_watcher),
           CASE(one_that_comes_later_is_dealt_with_by_itself), CASE(a_function_that_returns_has_cleaned_up),
           CASE(the_handler_waits_for_the_loops_of_all_threads),
           CASE(a_run_that_nobody_watches_for_is_cancelled_and_waited_for),
           CASE(a_watcher_takes_an_event_over_from_the_run))
