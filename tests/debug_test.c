/* Debug mode: slow callbacks, calls from the wrong thread, stacks of what was made. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "loopback.h"
#include "standard_error.h"
#include "threads.h"

/* --- Slow callbacks ----------------------------------------------------------------------------------------------- */

/* Everything takes a nanosecond, so with this limit everything is slow, however fast or slow the machine. */
static bool open_slow(fixture *f, const test_context *t, int debug, pl_duration limit)
{
    pl_loop_options options = {.backend = t->backend, .debug = debug, .slow_callback = limit};
    return fixture_open_with(f, options);
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

/* test_log_slow_callbacks */
TEST_CASE(a_slow_callback_is_reported_with_where_it_was_asked_for)
{
    fixture f;
    char where[160];
    REQUIRE(open_slow(&f, t, 1, PL_NS(1)));
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    (void)snprintf(where, sizeof where, "%s:%d", __FILE__, __LINE__ - 1);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    CHECK(begins_with(f.report_message, "executing a callback took 0."));
    CHECK_STR(f.report_where, where);
    CHECK_STR(f.report_task, "");
    EXPECT_REPORTS(&f, "PL_OK ");
    fixture_close(&f);
}

TEST_CASE(a_slow_callback_of_a_timer_or_a_future_is_reported_with_where_it_was_asked_for)
{
    fixture f;
    char where[160];
    REQUIRE(open_slow(&f, t, 1, PL_NS(1)));
    CHECK_EQ_INT(pl_timer_start(&f.timers[0], f.loop, 0, note_a, &f), PL_OK);
    (void)snprintf(where, sizeof where, "%s:%d", __FILE__, __LINE__ - 1);
    turn(&f, 1);
    CHECK_STR(f.report_where, where);
    new_future(&f, 0);
    CHECK_EQ_INT(pl_future_add_done_callback(f.futures[0], &f.callbacks[0], note_b, &f), PL_OK);
    (void)snprintf(where, sizeof where, "%s:%d", __FILE__, __LINE__ - 1);
    CHECK_EQ_INT(pl_future_set_result(f.futures[0], 0), PL_OK);
    turn(&f, 1);
    CHECK_STR(f.report_where, where);
    EXPECT_TRACE(&f, "a b ");
    EXPECT_REPORTS(&f, "PL_OK PL_OK ");
    fixture_close(&f);
}

static int64_t yield_once(void *arg)
{
    (void)arg;
    return pl_yield();
}

TEST_CASE(each_slow_step_of_a_task_is_reported_with_its_name_and_where_it_was_spawned)
{
    fixture f;
    char where[160];
    pl_task_options options = {.size = sizeof options, .name = "sl\x1bow"};
    REQUIRE(open_slow(&f, t, 1, PL_NS(1)));
    options.loop = f.loop;
    CHECK_EQ_INT(pl_spawn(NULL, yield_once, &f, &options), PL_OK);
    (void)snprintf(where, sizeof where, "%s:%d", __FILE__, __LINE__ - 1);
    turn(&f, 1);
    CHECK(begins_with(f.report_message, "executing task sl\\x1bow took 0."));
    CHECK_STR(f.report_task, "sl\x1bow");
    CHECK_STR(f.report_where, where);
    EXPECT_REPORTS(&f, "PL_OK ");
    turn(&f, 1); /* the task is gone after it */
    CHECK_STR(f.report_where, where);
    EXPECT_REPORTS(&f, "PL_OK ");
    fixture_close(&f);
}

TEST_CASE(a_callback_that_takes_less_than_the_limit_is_not_reported)
{
    fixture f;
    REQUIRE(open_slow(&f, t, 1, PL_SECONDS(3600)));
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

TEST_CASE(without_debug_mode_no_callback_is_slow)
{
    fixture f;
    REQUIRE(open_slow(&f, t, -1, PL_NS(1)));
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    turn(&f, 1);
    EXPECT_TRACE(&f, "a ");
    fixture_close(&f);
}

static void stop_at_report(pl_loop *loop, const pl_report *report, void *arg)
{
    fixture *f = arg;
    f->counts[0]++;
    CHECK_STR(report->stack, NULL);
    CHECK_EQ_INT(pl_loop_stop(loop), PL_OK);
    CHECK_EQ_INT(pl_loop_run_once(loop, 0), PL_EBUSY);
    if (f->counts[0] == 1)
        CHECK_EQ_INT(pl_call_soon(NULL, note_b, f, NULL), PL_OK);
}

TEST_CASE(who_hears_of_a_slow_callback_may_stop_the_loop_and_schedule)
{
    fixture f;
    REQUIRE(open_slow(&f, t, 1, PL_NS(1)));
    CHECK_EQ_INT(pl_loop_set_exception_handler(f.loop, stop_at_report, &f), PL_OK);
    CHECK_EQ_INT(pl_call_soon(f.loop, note_a, &f, NULL), PL_OK);
    CHECK_EQ_INT(pl_loop_run_forever(f.loop), PL_OK);
    EXPECT_TRACE(&f, "a ");
    CHECK_EQ_INT(f.counts[0], 1);
    turn(&f, 1);
    EXPECT_TRACE(&f, "b ");
    CHECK_EQ_INT(f.counts[0], 2);
    fixture_close(&f);
}

TEST_CASE(there_is_no_debug_level_beyond_2)
{
    pl_loop *loop;
    pl_loop_options options = {.size = sizeof options, .backend = t->backend, .debug = 3};
    CHECK_EQ_INT(pl_loop_create(&loop, &options), PL_EINVAL);
}

/* --- The wrong thread --------------------------------------------------------------------------------------------- */

/* One of each kind, all alive. */
typedef struct subjects {
    fixture f;
    pl_listener *listener;
    pl_listener *lonely; /* at which nobody connects */
    pl_stream *stream;
    pl_stream *accepted;
    pl_op accept; /* pending */
    pl_op spare;
    pl_group group;
    pl_group_error error;
    pl_timeout timeout;
    pl_callback spare_callback;
    pl_timer spare_timer;
    char bytes[8];
    const void *lent;
    pl_address address;
    pl_metrics metrics;
    int drops;
} subjects;

static void never(void *arg)
{
    (void)arg;
    CHECK(!"this is not to run");
}

static int64_t never_task(void *arg)
{
    never(arg);
    return 0;
}

static void count_drop(void *arg)
{
    ((subjects *)arg)->drops++;
}

static void ignore_watchdog(const pl_watchdog_report *report, void *arg)
{
    (void)report;
    (void)arg;
}

/* Calls that return PL_ETHREAD. */
#define LOOP_CALLS(X)                                                                                                  \
    X(pl_loop_run_forever, s->f.loop)                                                                                  \
    X(pl_loop_run_until_complete, s->f.loop, s->f.futures[0])                                                          \
    X(pl_loop_run_once, s->f.loop, 0)                                                                                  \
    X(pl_loop_stop, s->f.loop)                                                                                         \
    X(pl_loop_close, s->f.loop)                                                                                        \
    X(pl_loop_time, s->f.loop)                                                                                         \
    X(pl_loop_set_exception_handler, s->f.loop, NULL, NULL)                                                            \
    X(pl_loop_set_watchdog_handler, s->f.loop, ignore_watchdog, NULL)                                                  \
    X(pl_loop_metrics, s->f.loop, &s->metrics)                                                                         \
    X(pl_call_soon, s->f.loop, never, s, count_drop)                                                                   \
    X(pl_callback_schedule, &s->spare_callback, s->f.loop, never, s)                                                   \
    X(pl_timer_start, &s->spare_timer, s->f.loop, 0, never, s)                                                         \
    X(pl_timer_start_at, &s->spare_timer, s->f.loop, 0, never, s)                                                      \
    X(pl_future_create, &s->f.futures[7], s->f.loop)                                                                   \
    X(pl_future_set_result, s->f.futures[0], 1)                                                                        \
    X(pl_future_set_error, s->f.futures[0], PL_EIO)                                                                    \
    X(pl_future_set_pointer, s->f.futures[0], s, count_drop)                                                           \
    X(pl_future_state, s->f.futures[0])                                                                                \
    X(pl_future_result, s->f.futures[1])                                                                               \
    X(pl_future_add_done_callback, s->f.futures[0], &s->spare_callback, never, s)                                      \
    X(pl_task_set_name, s->f.tasks[0], "stolen")                                                                       \
    X(pl_task_cancelling, s->f.tasks[0])                                                                               \
    X(pl_task_uncancel, s->f.tasks[0])                                                                                 \
    X(pl_group_spawn, &s->group, never_task, s, count_drop)                                                            \
    X(pl_group_spawn_task, &s->group, NULL, never_task, s, NULL)                                                       \
    X(pl_group_collect, &s->group, &s->error, 1)                                                                       \
    X(pl_timeout_reschedule, &s->timeout, 0)                                                                           \
    X(pl_op_cancel, &s->accept)                                                                                        \
    X(pl_op_result, &s->accept)                                                                                        \
    X(pl_read_start, &s->spare, s->stream, s->bytes, sizeof s->bytes)                                                  \
    X(pl_read_borrow_start, &s->spare, s->stream, &s->lent)                                                            \
    X(pl_read_return, s->stream)                                                                                       \
    X(pl_write_start, &s->spare, s->stream, "x", 1)                                                                    \
    X(pl_write_buffers_start, &s->spare, s->stream, NULL, 0)                                                           \
    X(pl_stream_shutdown, s->stream)                                                                                   \
    X(pl_stream_set_linger, s->stream, 0)                                                                              \
    X(pl_stream_set_nodelay, s->stream, 1)                                                                             \
    X(pl_stream_set_keepalive, s->stream, 1)                                                                           \
    X(pl_stream_set_buffers, s->stream, 4096, 4096)                                                                    \
    X(pl_stream_local_address, s->stream, &s->address)                                                                 \
    X(pl_stream_peer_address, s->stream, &s->address)                                                                  \
    X(pl_stream_bytes_written, s->stream)                                                                              \
    X(pl_stream_bytes_read, s->stream)                                                                                 \
    X(pl_accept_start, &s->spare, s->listener, &s->accepted)                                                           \
    X(pl_listener_address, s->listener, &s->address)

/* Calls that cannot say so: what they give, and NULL or 0 for those that give nothing. */
#define MUTE_CALLS(X)                                                                                                  \
    X(pl_loop_remote, pl_loop_remote(s->f.loop) == NULL)                                                               \
    X(pl_future_ref, pl_future_ref(s->f.futures[0]) == NULL)                                                           \
    X(pl_future_unref, (pl_future_unref(s->f.futures[0]), 1))                                                          \
    X(pl_future_take_pointer, pl_future_take_pointer(s->f.futures[1]) == NULL)                                         \
    X(pl_future_cancel, pl_future_cancel(s->f.futures[0]) == 0)                                                        \
    X(pl_future_cancel_message, pl_future_cancel_message(s->f.futures[2]) == NULL)                                     \
    X(pl_task_name, strcmp(pl_task_name(s->f.tasks[0]), "?") == 0)                                                     \
    X(pl_task_stack_used, pl_task_stack_used(s->f.tasks[0]) == 0)                                                      \
    X(pl_all_tasks, pl_all_tasks(s->f.loop, NULL, 0) == 0)                                                             \
    X(pl_task_cancel, pl_task_cancel(s->f.tasks[0]) == 0)                                                              \
    X(pl_group_size, pl_group_size(&s->group) == 0)                                                                    \
    X(pl_group_error_count, pl_group_error_count(&s->group) == 0)                                                      \
    X(pl_group_cancel, (pl_group_cancel(&s->group), 1))                                                                \
    X(pl_timeout_expired, pl_timeout_expired(&s->timeout) == 0)                                                        \
    X(pl_callback_cancel, pl_callback_cancel(&s->f.callbacks[0]) == 0)                                                 \
    X(pl_timer_stop, pl_timer_stop(&s->f.timers[0]) == 0)                                                              \
    X(pl_op_is_pending, pl_op_is_pending(&s->accept) == 1)                                                             \
    X(pl_stream_ref, pl_stream_ref(s->stream) == NULL)                                                                 \
    X(pl_stream_unref, (pl_stream_unref(s->stream), 1))                                                                \
    X(pl_stream_close, (pl_stream_close(s->stream), 1))                                                                \
    X(pl_stream_abort, (pl_stream_abort(s->stream), 1))                                                                \
    X(pl_listener_ref, pl_listener_ref(s->listener) == NULL)                                                           \
    X(pl_listener_unref, (pl_listener_unref(s->listener), 1))                                                          \
    X(pl_listener_close, (pl_listener_close(s->listener), 1))                                                          \
    X(pl_loop_report, (pl_loop_report(s->f.loop, &(pl_report){.message = "by another thread"}), 1))

typedef int64_t foreign_call(subjects *s);

typedef struct foreign {
    const char *name;
    foreign_call *call;
} foreign;

#define DEFINE_CALL(name, ...)                                                                                         \
    static int64_t call_##name(subjects *s)                                                                            \
    {                                                                                                                  \
        return (int64_t)name(__VA_ARGS__);                                                                             \
    }
#define DEFINE_MUTE_CALL(name, expression)                                                                             \
    static int64_t call_##name(subjects *s)                                                                            \
    {                                                                                                                  \
        return (expression) ? 1 : 0;                                                                                   \
    }
#define ROW(name, ...) {#name, call_##name},

LOOP_CALLS(DEFINE_CALL)
MUTE_CALLS(DEFINE_MUTE_CALL)

static const foreign loop_calls[] = {LOOP_CALLS(ROW)};
static const foreign mute_calls[] = {MUTE_CALLS(ROW)};

static void check_row(const char *name, int64_t result, int64_t expected)
{
    char text[120];
    (void)snprintf(text, sizeof text, "%s gives %s", name, pl_error_name(result));
    if (result != expected)
        CHECK_STR(text, "what it should");
}

static void call_from_another_thread(void *arg)
{
    subjects *s = arg;
    for (size_t i = 0; i < sizeof loop_calls / sizeof loop_calls[0]; i++)
        check_row(loop_calls[i].name, loop_calls[i].call(s), PL_ETHREAD);
    for (size_t i = 0; i < sizeof mute_calls / sizeof mute_calls[0]; i++)
        check_row(mute_calls[i].name, mute_calls[i].call(s), 1);
}

static int64_t sleep_for_ever(void *arg)
{
    (void)arg;
    return pl_sleep(PL_FOREVER);
}

static void make_subjects(subjects *s)
{
    fixture *f = &s->f;
    uint16_t port = 0;
    s->metrics.size = sizeof s->metrics;
    new_future(f, 0);
    new_future(f, 1);
    CHECK_EQ_INT(pl_future_set_pointer(f->futures[1], s, NULL), PL_OK);
    new_future(f, 2);
    CHECK_EQ_INT(pl_future_cancel_with(f->futures[2], "so"), 1);
    start_slot(f, 0, sleep_for_ever);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(f->futures[0], &f->callbacks[0], never, f), PL_OK);
    CHECK_EQ_INT(pl_timer_start(&f->timers[0], NULL, PL_SECONDS(3600), never, f), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&s->group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&s->group, sleep_for_ever, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin(&s->timeout, PL_SECONDS(3600)), PL_OK);
    CHECK(listen_here(&s->lonely, &port));
    CHECK(listen_here(&s->listener, &port));
    CHECK_EQ_INT(pl_tcp_connect(&s->stream, "127.0.0.1", port, NULL), PL_OK);
}

/* Nothing of what the other thread tried has happened. */
static void check_subjects(subjects *s)
{
    fixture *f = &s->f;
    pl_stream *accepted = NULL;
    CHECK_EQ_INT(pl_future_state(f->futures[0]), PL_PENDING);
    CHECK(pl_future_take_pointer(f->futures[1]) == s);
    CHECK_EQ_INT(pl_task_cancelling(f->tasks[0]), 0);
    CHECK_EQ_INT(pl_group_size(&s->group), 1);
    CHECK_EQ_INT(pl_check_cancelled(), PL_OK);
    CHECK_EQ_INT(pl_op_is_pending(&s->spare), 0);
    CHECK(f->futures[7] == NULL);
    CHECK_EQ_INT(pl_callback_cancel(&f->callbacks[0]), 1);
    CHECK_EQ_INT(pl_timer_stop(&f->timers[0]), 1);
    CHECK_EQ_INT(pl_callback_cancel(&s->spare_callback), 0);
    CHECK_EQ_INT(pl_timer_stop(&s->spare_timer), 0);
    CHECK_EQ_INT(pl_write(s->stream, "hello", 5), 0);
    CHECK_EQ_INT(pl_stream_bytes_written(s->stream), 5);
    CHECK_EQ_INT(pl_accept(s->listener, &accepted), PL_OK);
    pl_stream_close(accepted);
    CHECK_EQ_INT(s->drops, 3); /* by the refused calls that take a drop function */
    EXPECT_REPORTS(f, "");
}

static int64_t call_all_from_another_thread(void *arg)
{
    subjects *s = arg;
    char *text = calloc(1, 32768);
    bool taken = standard_error_take();
    make_subjects(s);
    CHECK_EQ_INT(pl_accept_start(&s->accept, s->lonely, &s->accepted), PL_OK);
    CHECK(test_in_thread(call_from_another_thread, s));
    if (taken && text) {
        standard_error_read(text, 32768, "by another thread");
        standard_error_give_back();
        for (size_t i = 0; i < sizeof mute_calls / sizeof mute_calls[0]; i++) {
            char line[120];
            (void)snprintf(line, sizeof line, "proloop: %s: called from a thread that is not the loop's\n",
                           mute_calls[i].name);
            if (!strstr(text, line))
                CHECK_STR(line, "what standard error was told");
        }
    }
    free(text);
    CHECK_EQ_INT(pl_op_finish(&s->accept), PL_ECANCELED);
    check_subjects(s);
    pl_stream_close(s->stream);
    pl_listener_close(s->listener);
    pl_listener_close(s->lonely);
    CHECK_EQ_INT(pl_timeout_end(&s->timeout, PL_OK), PL_OK);
    pl_group_cancel(&s->group);
    return pl_group_end(&s->group, PL_ECANCELED);
}

TEST_CASE(in_debug_mode_a_call_from_another_thread_is_refused_and_changes_nothing)
{
    subjects s;
    memset(&s, 0, sizeof s);
    pl_loop_options options = {.backend = t->backend, .debug = 1, .watchdog = PL_SECONDS(3600)};
    REQUIRE(fixture_open_with(&s.f, options));
    CHECK_EQ_INT(run_task(&s.f, call_all_from_another_thread, &s), PL_OK);
    fixture_close(&s.f);
}

static void let_go(void *arg)
{
    fixture *f = arg;
    drop_future(f, 0);
    fixture_release_slots(f);
}

TEST_CASE(what_a_closed_loop_leaves_behind_may_be_let_go_by_any_thread)
{
    fixture f;
    REQUIRE(fixture_open_debug(&f, t));
    new_future(&f, 0);
    start_slot(&f, 0, yield_once);
    turn(&f, 3);
    CHECK_EQ_INT(pl_loop_close(f.loop), PL_OK);
    CHECK(test_in_thread(let_go, &f));
}

/* --- Stacks ------------------------------------------------------------------------------------------------------- */

#if defined(__GLIBC__) || defined(_WIN32)
enum { HAS_STACKS = 1 };
#else
enum { HAS_STACKS = 0 };
#endif

static bool open_level(fixture *f, const test_context *t, int level)
{
    pl_loop_options options = {.backend = t->backend, .debug = level};
    return fixture_open_with(f, options);
}

static int64_t fail(void *arg)
{
    (void)arg;
    return PL_EIO;
}

TEST_CASE(level_2_reports_an_error_that_nobody_looked_at_with_the_stack_on_which_its_future_was_made)
{
    for (int level = 1; level <= 2; level++) {
        fixture f;
        REQUIRE(open_level(&f, t, level));
        new_future(&f, 0);
        CHECK_EQ_INT(pl_future_set_error(f.futures[0], PL_EIO), PL_OK);
        drop_future(&f, 0);
        CHECK(strstr(f.report_where, "fixture.h:") != NULL);
        EXPECT_REPORTS(&f, "PL_EIO ");
        CHECK_EQ_INT(strchr(f.report_stack, '\n') != NULL, level == 2 && HAS_STACKS);
        fixture_close(&f);
    }
}

TEST_CASE(level_2_reports_a_task_whose_error_nobody_looked_at_with_the_stack_on_which_it_was_made)
{
    fixture f;
    REQUIRE(open_level(&f, t, 2));
    CHECK_EQ_INT(pl_spawn(NULL, fail, NULL, &(pl_task_options){.size = sizeof(pl_task_options), .loop = f.loop}),
                 PL_OK);
    turn(&f, 1);
    CHECK(strstr(f.report_where, "debug_test.c:") != NULL);
    EXPECT_REPORTS(&f, "PL_EIO ");
    CHECK_EQ_INT(f.report_stack[0] != '\0', HAS_STACKS);
    fixture_close(&f);
}

static int64_t make_a_future(void *arg)
{
    fixture *f = arg;
    new_future(f, 0);
    return 0;
}

TEST_CASE(the_stack_of_a_task_can_be_noted)
{
    fixture f;
    REQUIRE(open_level(&f, t, 2));
    CHECK_EQ_INT(run_task(&f, make_a_future, &f), 0);
    CHECK_EQ_INT(pl_future_set_error(f.futures[0], PL_EPIPE), PL_OK);
    drop_future(&f, 0);
    EXPECT_REPORTS(&f, "PL_EPIPE ");
    CHECK_EQ_INT(f.report_stack[0] != '\0', HAS_STACKS);
    fixture_close(&f);
}

TEST_CASE(level_2_works_without_the_memory_to_note_what_is_made)
{
    failing_allocation a;
    fixture f;
    pl_loop_options options = {.backend = t->backend, .debug = 2};
    REQUIRE_EQ_INT(failing_allocation_begin(&a), PL_OK);
    if (fixture_open_with(&f, options)) {
        for (int i = 1; i <= 2; i++) {
            a.calls = 0;
            a.fail_at = 1 + i; /* the first one is the future's own */
            CHECK(new_future(&f, 0) != NULL);
            a.fail_at = 0;
            CHECK_EQ_INT(pl_future_set_error(f.futures[0], PL_EIO), PL_OK);
            drop_future(&f, 0);
            EXPECT_REPORTS(&f, "PL_EIO ");
            CHECK_STR(f.report_stack, "");
        }
        fixture_close(&f);
    }
    t_restore_allocator();
}

TEST_CASE(a_loop_in_debug_mode_is_not_made_without_the_memory_for_it)
{
    failing_allocation a;
    pl_loop_options options = {.size = sizeof options, .backend = t->backend, .debug = 2};
    int result = PL_ENOMEM;
    REQUIRE_EQ_INT(failing_allocation_begin(&a), PL_OK);
    for (int at = 1; at < 100 && result != PL_OK; at++) {
        pl_loop *loop = NULL;
        a.calls = 0;
        a.fail_at = at;
        result = pl_loop_create(&loop, &options);
        a.fail_at = 0;
        if (result == PL_OK) {
            CHECK(at > 4); /* at least: the loop, its remote, what debug mode has, a thread */
            CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
        } else {
            CHECK_EQ_INT(result, PL_ENOMEM);
            CHECK(loop == NULL);
        }
        CHECK_EQ_INT(pl_memory_in_use(), 0);
    }
    CHECK_EQ_INT(result, PL_OK);
    t_restore_allocator();
}

TEST_SUITE(debug, TEST_BACKENDS_ALL, CASE(a_slow_callback_is_reported_with_where_it_was_asked_for),
           CASE(a_slow_callback_of_a_timer_or_a_future_is_reported_with_where_it_was_asked_for),
           CASE(each_slow_step_of_a_task_is_reported_with_its_name_and_where_it_was_spawned),
           CASE(a_callback_that_takes_less_than_the_limit_is_not_reported),
           CASE(without_debug_mode_no_callback_is_slow),
           CASE(who_hears_of_a_slow_callback_may_stop_the_loop_and_schedule), CASE(there_is_no_debug_level_beyond_2),
           CASE(in_debug_mode_a_call_from_another_thread_is_refused_and_changes_nothing),
           CASE(what_a_closed_loop_leaves_behind_may_be_let_go_by_any_thread),
           CASE(level_2_reports_an_error_that_nobody_looked_at_with_the_stack_on_which_its_future_was_made),
           CASE(level_2_reports_a_task_whose_error_nobody_looked_at_with_the_stack_on_which_it_was_made),
           CASE(the_stack_of_a_task_can_be_noted), CASE(level_2_works_without_the_memory_to_note_what_is_made),
           CASE(a_loop_in_debug_mode_is_not_made_without_the_memory_for_it))
