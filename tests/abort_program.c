/* What ends the program, on purpose, or leaves it damaged, or can be done but once: one case in a process of its own, by
 * its name.
 *
 * Each prints what it expects, so that aborts.cmake need not know the cases: "expect abort" or "expect interrupt" before
 * it goes wrong, and then nothing; or "passed" at its end, and "expect report 'TEXT'" if that is to be on standard error.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <proloop/proloop.h>

#include "process.h"
#include "threads.h"

static void expect(const char *what)
{
    (void)printf("expect %s\n", what);
    (void)fflush(stdout);
}

/* --- Scopes ----------------------------------------------------------------------------------------------------- */

static int64_t return_in_timeout(void *arg)
{
    pl_timeout limit = {0};
    (void)arg;
    (void)pl_timeout_begin(&limit, PL_SECONDS(3600));
    return 0;
}

static int64_t return_in_group(void *arg)
{
    pl_group group = {0};
    (void)arg;
    (void)pl_group_begin(&group, PL_GROUP_FAIL_FAST);
    return 0;
}

static int64_t sleep_for_ever(void *arg)
{
    (void)arg;
    return pl_sleep(PL_FOREVER);
}

static int64_t return_in_group_with_child(void *arg)
{
    pl_group group = {0};
    (void)arg;
    (void)pl_group_begin(&group, PL_GROUP_SUPERVISE);
    (void)pl_group_spawn(&group, sleep_for_ever, NULL, NULL);
    (void)pl_yield();
    return 0;
}

static int64_t return_in_as_completed(void *arg)
{
    pl_as_completed completed = {0};
    (void)arg;
    (void)pl_as_completed_begin(&completed, NULL, 0, PL_FOREVER);
    return 0;
}

static int64_t return_in_shielded(void *arg)
{
    pl_shielded shielded = {0};
    (void)arg;
    (void)pl_shielded_begin(&shielded);
    return 0;
}

static int64_t end_outer_first(void *arg)
{
    pl_timeout outer = {0};
    pl_group inner = {0};
    (void)arg;
    (void)pl_timeout_begin(&outer, PL_SECONDS(3600));
    (void)pl_group_begin(&inner, PL_GROUP_FAIL_FAST);
    (void)pl_timeout_end(&outer, 0);
    return 0;
}

static int64_t end_outer_region_first(void *arg)
{
    pl_shielded outer = {0}, inner = {0};
    (void)arg;
    (void)pl_shielded_begin(&outer);
    (void)pl_shielded_begin(&inner);
    pl_shielded_end(&outer);
    return 0;
}

static int64_t end_twice(void *arg)
{
    pl_timeout limit = {0};
    (void)arg;
    (void)pl_timeout_begin(&limit, PL_SECONDS(3600));
    (void)pl_timeout_end(&limit, 0);
    (void)pl_timeout_end(&limit, 0);
    return 0;
}

static int64_t end_what_was_not_begun(void *arg)
{
    pl_group group = {0};
    (void)arg;
    (void)pl_group_end(&group, 0);
    return 0;
}

static pl_timeout *foreign;

static int64_t end_foreign(void *arg)
{
    (void)arg;
    (void)pl_timeout_end(foreign, 0);
    return 0;
}

static int64_t end_in_another_task(void *arg)
{
    pl_timeout limit = {0};
    (void)arg;
    (void)pl_timeout_begin(&limit, PL_SECONDS(3600));
    foreign = &limit;
    (void)pl_spawn(NULL, end_foreign, NULL, NULL);
    (void)pl_yield();
    (void)pl_yield();
    (void)pl_timeout_end(&limit, 0);
    return 0;
}

/* In a frame of its own, which is gone when it returns. */
static int (*volatile begin_in_a_frame)(pl_timeout **left);

static int begin_and_return(pl_timeout **left)
{
    pl_timeout limit = {0};
    *left = &limit; /* so that it is in memory */
    return pl_timeout_begin(&limit, PL_SECONDS(3600));
}

static int64_t wait_in_a_frame_that_was_left(void *arg)
{
    pl_timeout *left = NULL;
    (void)arg;
    begin_in_a_frame = begin_and_return;
    (void)begin_in_a_frame(&left);
    (void)pl_yield();
    return left != NULL;
}

/* --- Operations ------------------------------------------------------------------------------------------------- */

static int64_t return_with_operation(void *arg)
{
    pl_listener *listener = NULL;
    pl_stream *stream = NULL;
    pl_op op = {0};
    (void)arg;
    if (pl_tcp_listen(&listener, "127.0.0.1", 0, NULL) < 0)
        return -1;
    (void)pl_accept_start(&op, listener, &stream);
    (void)pl_yield();
    return pl_op_is_pending(&op);
}

/* --- Closing ---------------------------------------------------------------------------------------------------- */

static int reports;
static int left_behind; /* of them, those of a task with its name and the place where it was spawned */

static void count_report(pl_loop *loop, const pl_report *report, void *arg)
{
    (void)loop;
    (void)arg;
    reports++;
    if (strstr(report->message, "left behind") && report->task && report->where &&
        strstr(report->where, "abort_program.c:"))
        left_behind++;
    (void)printf("report: %s, %s, task %s\n", report->message, pl_error_name(report->error),
                 report->task ? report->task : "none");
}

static int drops;

static void drop_one(void *arg)
{
    (void)arg;
    drops++;
}

static void run_one(void *arg)
{
    (void)arg;
}

static int64_t never_end(void *arg)
{
    (void)arg;
    while (pl_sleep(PL_MS(1)) != PL_ENOTASK)
        continue;
    return 0;
}

static int64_t never_end_by_yields(void *arg)
{
    (void)arg;
    while (pl_yield() != PL_ENOTASK)
        continue;
    return 0;
}

/* Each limit is heeded, the cancel around them is not. */
static int64_t never_end_by_limits(void *arg)
{
    int rc = 0;
    (void)arg;
    while (rc != PL_ENOTASK) {
        pl_timeout limit = {0};
        (void)pl_timeout_begin(&limit, 0);
        rc = pl_sleep(PL_MS(1));
        (void)pl_timeout_end(&limit, 0);
    }
    return 0;
}

enum { PIECES = 60000 }; /* more than a stream sends in one turn */

/* When it is given up its first write is between two turns, partly out: cancelling that ends the others, too. */
static int64_t never_end_with_writes(void *arg)
{
    static pl_buffer pieces[PIECES];
    static pl_listener *listener;
    static pl_stream *client, *server;
    pl_address address = {0};
    pl_shielded beginning = {0};
    pl_op first = {0}, second = {0}, third = {0};
    (void)arg;
    for (int i = 0; i < PIECES; i++)
        pieces[i] = (pl_buffer){"x", 1};
    (void)pl_shielded_begin(&beginning);
    if (pl_tcp_listen(&listener, "127.0.0.1", 0, NULL) < 0 || pl_listener_address(listener, &address) < 0 ||
        pl_tcp_connect(&client, "127.0.0.1", address.port, NULL) < 0 || pl_accept(listener, &server) < 0)
        (void)printf("no connection\n");
    pl_shielded_end(&beginning);
    while (reports == 0) /* of this task's going on */
        (void)pl_yield();
    if (client) {
        (void)pl_write_buffers_start(&first, client, pieces, PIECES);
        (void)pl_write_start(&second, client, "2", 1);
        (void)pl_write_start(&third, client, "3", 1);
    }
    while (pl_yield() != PL_ENOTASK)
        continue;
    return 0;
}

/* These heed their cancel, but wait for one that does not. */
static int64_t await_a_stubborn_task(void *arg)
{
    pl_task *task = NULL;
    int64_t rc;
    (void)arg;
    (void)pl_spawn(&task, never_end, NULL, NULL);
    rc = pl_task_await(task);
    pl_task_unref(task);
    return rc;
}

static int64_t gather_a_stubborn_task(void *arg)
{
    pl_task *task = NULL;
    pl_awaited item = {0};
    int64_t rc;
    (void)arg;
    (void)pl_spawn(&task, never_end, NULL, NULL);
    item.future = pl_task_future(task);
    rc = pl_gather(&item, 1, 0);
    pl_task_unref(task);
    return rc;
}

static int64_t end_group_of_a_stubborn_task(void *arg)
{
    pl_group group = {0};
    (void)arg;
    (void)pl_group_begin(&group, PL_GROUP_FAIL_FAST);
    (void)pl_group_spawn(&group, await_a_stubborn_task, NULL, NULL);
    return pl_group_end(&group, pl_sleep(PL_FOREVER));
}

static int close_with(pl_task_fn *fn)
{
    pl_loop *loop = NULL;
    pl_task_options options = {.size = sizeof options, .name = "stubborn"};
    pl_remote *remote;
    int rc;
    if (pl_loop_create(&loop, NULL) < 0)
        return 2;
    (void)pl_loop_set_exception_handler(loop, count_report, NULL);
    options.loop = loop;
    (void)pl_spawn(NULL, fn, NULL, &options);
    for (int i = 0; i < 5; i++) /* so that those it spawns have begun */
        (void)pl_loop_run_once(loop, 0);
    remote = pl_loop_remote(loop);
    (void)pl_call_soon_threadsafe(remote, run_one, NULL, drop_one);
    rc = pl_loop_close(loop);
    if (rc != PL_ESTATE || reports < 1 || left_behind < 1) {
        (void)printf("close: %s, %d reports, %d left behind\n", pl_error_name(rc), reports, left_behind);
        return 1;
    }
    /* The loop is gone all the same: its remote says so, and another one works. */
    if (pl_call_soon_threadsafe(remote, run_one, NULL, drop_one) != PL_ECLOSED || drops < 1)
        return 3;
    pl_remote_unref(remote);
    if (pl_loop_create(&loop, NULL) < 0 || pl_loop_run_once(loop, 0) < 0 || pl_loop_close(loop) < 0)
        return 4;
    (void)printf("passed\n");
    return 0;
}

static int close_with_a_stubborn_task(void)
{
    return close_with(never_end);
}

static int close_with_a_task_that_awaits_a_stubborn_one(void)
{
    return close_with(await_a_stubborn_task);
}

static int close_with_a_task_that_gathers_a_stubborn_one(void)
{
    return close_with(gather_a_stubborn_task);
}

static int close_with_a_group_of_a_stubborn_task(void)
{
    return close_with(end_group_of_a_stubborn_task);
}

static int close_with_a_task_that_only_yields(void)
{
    return close_with(never_end_by_yields);
}

static int close_with_a_task_that_only_heeds_its_limits(void)
{
    return close_with(never_end_by_limits);
}

static int close_with_a_task_that_has_writes(void)
{
    return close_with(never_end_with_writes);
}

static int64_t return_at_once(void *arg)
{
    (void)arg;
    return 0;
}

/* Who waits in another thread for a task that is left behind learns that its loop is closed. */
static int stop_a_thread_with_a_stubborn_task(void)
{
    pl_loop_thread *thread = NULL;
    pl_shared_future *shared = NULL, *second = NULL;
    if (pl_loop_thread_start(&thread, NULL) < 0 || pl_loop_thread_submit(thread, &shared, never_end, NULL, NULL) < 0 ||
        pl_loop_thread_submit(thread, &second, return_at_once, NULL, NULL) < 0)
        return 2;
    if (pl_shared_future_wait(second, PL_FOREVER) != 0) /* the first has begun too */
        return 3;
    (void)pl_loop_thread_stop(thread);
    if (pl_loop_thread_join(thread) != PL_EBROKEN)
        return 4;
    if (pl_shared_future_result(shared) != PL_ECLOSED)
        return 5;
    pl_shared_future_unref(shared);
    pl_shared_future_unref(second);
    (void)printf("passed\n");
    return 0;
}

static int closers_run;

static int64_t count_closer(void *arg)
{
    (void)arg;
    closers_run++;
    return 0;
}

static int64_t leave_stubborn(void *arg)
{
    static pl_closer closer;
    (void)pl_loop_set_exception_handler(pl_loop_running(), count_report, NULL);
    (void)pl_spawn(NULL, await_a_stubborn_task, arg, NULL);
    (void)pl_loop_add_closer(NULL, &closer, count_closer, NULL);
    for (int i = 0; i < 5; i++)
        (void)pl_yield();
    return 7;
}

/* The closers run, the loop is closed, the runner freed. */
static int close_a_runner_with_a_stubborn_task(void)
{
    pl_runner *runner;
    int rc;
    if (pl_runner_create(&runner, NULL) < 0 || pl_runner_run(runner, leave_stubborn, NULL) != 7)
        return 1;
    rc = pl_runner_close(runner);
    if (rc != PL_ESTATE || closers_run != 1 || reports < 1) {
        (void)printf("close: %s, %d closers, %d reports\n", pl_error_name(rc), closers_run, reports);
        return 2;
    }
    (void)printf("passed\n");
    return 0;
}

/* Its child goes on for ever, and it waits for that. */
static int64_t wait_for_stubborn_child(void *arg)
{
    pl_group group = {0};
    const pl_task_options options = {.size = sizeof options, .eager = 1};
    (void)arg;
    (void)pl_group_begin(&group, PL_GROUP_FAIL_FAST);
    (void)pl_group_spawn_task(&group, NULL, never_end_by_yields, NULL, &options);
    return pl_group_end(&group, 0);
}

static int64_t gather_those_that_wait_for_a_stubborn_child(void *arg)
{
    pl_awaited items[2] = {{0}};
    pl_task *first = NULL, *second = NULL;
    const pl_task_options options = {.size = sizeof options, .eager = 1};
    (void)arg;
    (void)pl_spawn(&first, wait_for_stubborn_child, NULL, &options);
    (void)pl_spawn(&second, wait_for_stubborn_child, NULL, &options);
    items[0].future = pl_task_future(first);
    items[1].future = pl_task_future(second);
    return pl_gather(items, 2, 0);
}

static int close_with_a_task_that_waits_for_a_stubborn_one(void)
{
    return close_with(wait_for_stubborn_child);
}

static int close_with_a_task_that_gathers_such_tasks(void)
{
    return close_with(gather_those_that_wait_for_a_stubborn_child);
}

/* --- Interrupts ------------------------------------------------------------------------------------------------- */

static int64_t ignore_interrupts(void *arg)
{
    (void)arg;
    if (!process_interrupt()) {
        (void)printf("passed\n"); /* there are none here */
        return 0;
    }
    (void)pl_sleep(PL_FOREVER);
    expect("interrupt");
    (void)process_interrupt();
    for (int i = 0; i < 10000000; i++) /* it comes in a moment */
        (void)pl_yield();
    (void)printf("went on\n");
    return 0;
}

static int64_t be_interrupted(void *arg)
{
    (void)arg;
    expect("interrupt");
    (void)process_interrupt();
    for (int i = 0; i < 10000000; i++) /* it comes in a moment */
        (void)pl_yield();
    (void)printf("went on\n");
    return 0;
}

/* --- Queues ----------------------------------------------------------------------------------------------------- */

static int64_t get_one(void *arg)
{
    void *item;
    return pl_queue_get(arg, &item);
}

static int64_t end_queue(bool told)
{
    pl_queue queue = {0};
    (void)pl_queue_begin(&queue, NULL);
    (void)pl_spawn(NULL, get_one, &queue, NULL);
    (void)pl_yield();
    if (told)
        (void)pl_queue_shutdown(&queue, 1);
    pl_queue_end(&queue);
    return 0;
}

static int64_t end_queue_while_a_task_waits(void *arg)
{
    (void)arg;
    return end_queue(false);
}

static int64_t end_queue_before_who_was_told_has_run(void *arg)
{
    (void)arg;
    return end_queue(true);
}

/* --- Reports ---------------------------------------------------------------------------------------------------- */

static void report_again(pl_loop *loop, const pl_report *report, void *arg)
{
    const pl_report inner = {.message = "made inside the handler", .error = PL_EBUSY};
    (void)report;
    ++*(int *)arg;
    pl_loop_report(loop, &inner);
}

/* calls: how often the handler, if there is one, is called by a report. */
static int report_with(pl_exception_handler_fn *handler, int calls)
{
    const pl_report report = {"made outside", PL_EIO, 5, "plumber", "house.c:7", NULL};
    pl_loop *loop = NULL;
    int called = 0;
    if (pl_loop_create(&loop, NULL) < 0 || pl_loop_set_exception_handler(loop, handler, &called) < 0)
        return 2;
    pl_loop_report(loop, &report);
    if (called != calls || pl_loop_close(loop) < 0)
        return 3;
    (void)printf("passed\n");
    return 0;
}

static int report_inside_the_handler(void)
{
    expect("report 'made inside the handler: .*PL_EBUSY'");
    return report_with(report_again, 1);
}

static int report_without_a_handler(void)
{
    expect("report 'made outside: .*PL_EIO.*5.*plumber.*house.c:7'");
    return report_with(NULL, 0);
}

/* --- What is set once per process ------------------------------------------------------------------------------- */

static int64_t answer_nothing(const void *input, size_t size, pl_process_output *output)
{
    (void)input;
    (void)size;
    (void)output;
    return 0;
}

static int make_pool(void)
{
    pl_process_pool *pool = NULL;
    int result = pl_process_pool_create(&pool, NULL);
    pl_process_pool_unref(pool);
    return result;
}

static int fill_the_functions(void)
{
    char name[] = "aa";
    for (int i = 1; i < 64; i++) { /* there is one */
        name[0] = (char)('a' + i / 8);
        name[1] = (char)('a' + i % 8);
        if (pl_process_register(name, answer_nothing) != PL_OK)
            return PL_EUNKNOWN;
    }
    return pl_process_register("one more", answer_nothing);
}

static int mistakes;

static void expect_code(int result, int expected, const char *what)
{
    if (result != expected) {
        (void)printf("%s: %s\n", what, pl_error_name(result));
        mistakes++;
    }
}

#define EXPECT_CODE(call, expected) expect_code((call), (expected), #call)

static int register_functions(void)
{
    char *no_arguments[] = {NULL};
    const char *longest = "47 characters are the most that a name may have";
    const char *too_long = "48 characters are more than what a name may have";
    EXPECT_CODE(make_pool(), PL_EINVAL); /* pl_worker_main was not called */
    EXPECT_CODE(pl_process_register(NULL, answer_nothing), PL_EINVAL);
    EXPECT_CODE(pl_process_register("name", NULL), PL_EINVAL);
    EXPECT_CODE(pl_process_register("", answer_nothing), PL_EINVAL);
    EXPECT_CODE(pl_process_register(too_long, answer_nothing), PL_EINVAL);
    EXPECT_CODE(pl_process_register(longest, answer_nothing), PL_OK);
    EXPECT_CODE(pl_process_register(longest, answer_nothing), PL_EEXIST);
    EXPECT_CODE(fill_the_functions(), PL_ELIMIT);
    EXPECT_CODE(pl_worker_main(1, NULL), PL_EINVAL);
    EXPECT_CODE(pl_worker_main(-1, no_arguments), PL_EINVAL);
    EXPECT_CODE(make_pool(), PL_EINVAL);
    EXPECT_CODE(pl_worker_main(0, no_arguments), PL_OK);
    EXPECT_CODE(pl_worker_main(0, no_arguments), PL_OK);
    EXPECT_CODE(pl_process_register("late", answer_nothing), PL_ESTATE);
    EXPECT_CODE(make_pool(), PL_OK);
    if (mistakes == 0)
        (void)printf("passed\n");
    return mistakes;
}

/* --- The cases -------------------------------------------------------------------------------------------------- */

typedef struct abort_case {
    const char *name;
    pl_task_fn *task; /* expected to abort */
    int (*run)(void); /* or this is called */
} abort_case;

static int interrupt_twice(void)
{
    (void)pl_run(ignore_interrupts, NULL, NULL);
    return 0;
}

static int interrupt_a_runner_twice(void)
{
    pl_runner *runner;
    if (pl_runner_create(&runner, NULL) < 0)
        return 1;
    (void)pl_runner_run(runner, return_at_once, NULL);
    (void)pl_runner_run(runner, ignore_interrupts, NULL);
    return pl_runner_close(runner) < 0;
}

/* Nothing watches there. */
static int interrupt_between_runs(void)
{
    pl_runner *runner;
    if (pl_runner_create(&runner, NULL) < 0)
        return 1;
    (void)pl_runner_run(runner, return_at_once, NULL);
    if (process_uses_console() || process_interrupt_is_handled() >= 0) {
        test_gate never;
        test_gate_init(&never);
        expect("interrupt");
        (void)process_interrupt();
        test_gate_wait(&never); /* it comes in a moment */
    } else {
        (void)printf("passed\n"); /* there are none here */
    }
    return pl_runner_close(runner) < 0;
}

static void run_in_thread(void *arg)
{
    (void)arg;
    (void)pl_run(be_interrupted, NULL, NULL);
}

static int interrupt_a_run_in_another_thread(void)
{
    if (process_uses_console() || process_interrupt_is_handled() >= 0)
        (void)test_in_thread(run_in_thread, NULL);
    else
        (void)printf("passed\n"); /* there are none here */
    return 0;
}

static const abort_case cases[] = {
    {"a_task_that_returns_in_a_timeout", return_in_timeout, NULL},
    {"a_task_that_returns_in_a_group", return_in_group, NULL},
    {"a_task_that_returns_in_a_group_with_a_child", return_in_group_with_child, NULL},
    {"a_task_that_returns_in_a_shielded_region", return_in_shielded, NULL},
    {"a_task_that_returns_in_an_as_completed", return_in_as_completed, NULL},
    {"a_timeout_that_ends_before_a_group_inside", end_outer_first, NULL},
    {"a_region_that_ends_before_one_inside", end_outer_region_first, NULL},
    {"a_timeout_that_ends_twice", end_twice, NULL},
    {"a_group_that_ends_and_was_not_begun", end_what_was_not_begun, NULL},
    {"a_timeout_that_another_task_ends", end_in_another_task, NULL},
    {"a_wait_in_a_scope_whose_frame_was_left", wait_in_a_frame_that_was_left, NULL},
    {"a_task_that_returns_with_an_operation_in_flight", return_with_operation, NULL},
    {"a_queue_that_ends_while_a_task_waits_in_it", end_queue_while_a_task_waits, NULL},
    {"a_queue_that_ends_before_a_task_that_was_told_has_run", end_queue_before_who_was_told_has_run, NULL},
    {"a_task_that_will_not_end_is_left_behind", NULL, close_with_a_stubborn_task},
    {"who_awaits_a_task_that_will_not_end_is_left_behind", NULL, close_with_a_task_that_awaits_a_stubborn_one},
    {"who_gathers_a_task_that_will_not_end_is_left_behind", NULL, close_with_a_task_that_gathers_a_stubborn_one},
    {"a_group_of_a_task_that_will_not_end_is_left_behind", NULL, close_with_a_group_of_a_stubborn_task},
    {"a_task_that_only_yields_is_left_behind", NULL, close_with_a_task_that_only_yields},
    {"a_task_that_only_heeds_its_limits_is_left_behind", NULL, close_with_a_task_that_only_heeds_its_limits},
    {"a_task_with_writes_under_way_is_left_behind", NULL, close_with_a_task_that_has_writes},
    {"a_loop_thread_whose_task_will_not_end_says_so", NULL, stop_a_thread_with_a_stubborn_task},
    {"a_task_that_will_not_end_is_left_behind_by_a_runner", NULL, close_a_runner_with_a_stubborn_task},
    {"a_task_that_waits_for_one_that_will_not_end_is_left_behind", NULL,
     close_with_a_task_that_waits_for_a_stubborn_one},
    {"a_task_that_gathers_such_tasks_is_left_behind", NULL, close_with_a_task_that_gathers_such_tasks},
    {"a_second_interrupt_ends_the_program", NULL, interrupt_twice},
    {"a_second_interrupt_in_one_run_of_a_runner_ends_the_program", NULL, interrupt_a_runner_twice},
    {"an_interrupt_between_two_runs_ends_the_program", NULL, interrupt_between_runs},
    {"an_interrupt_of_a_run_in_another_thread_ends_the_program", NULL, interrupt_a_run_in_another_thread},
    {"a_report_inside_the_handler_goes_to_standard_error", NULL, report_inside_the_handler},
    {"a_report_without_a_handler_goes_to_standard_error", NULL, report_without_a_handler},
    {"functions_of_workers_are_registered_before_they_are_needed", NULL, register_functions},
};

int main(int argc, char **argv)
{
    const size_t count = sizeof cases / sizeof cases[0];
    pl_run_options options = {.size = sizeof options, .leave_interrupts = 1};
    for (size_t i = 0; i < count; i++) {
        if (argc < 2) {
            (void)printf("%s\n", cases[i].name);
            continue;
        }
        if (strcmp(argv[1], cases[i].name) != 0)
            continue;
        if (!cases[i].task)
            return cases[i].run();
        expect("abort");
        (void)printf("result %lld\n", (long long)pl_run(cases[i].task, NULL, &options));
        return 0;
    }
    return argc < 2 ? 0 : 5;
}
