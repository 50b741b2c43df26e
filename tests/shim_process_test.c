/* Child processes when the system gives no handles, no memory and no processes; on a system without pidfds; and what a
 * spawn asks of the system, and on which thread. */
#include <proloop/proloop.h>

#include <stdio.h>
#include <string.h>

#include "atomic.h"
#include "harness.h"
#include "loopback.h"
#include "process.h"
#include "process_child.h"
#include "shims.h"

#define SHIM_CASE(name)                                                                                                \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        shims_begin();                                                                                                 \
        loopback_run(t, name##_body, NULL);                                                                            \
        shims_end();                                                                                                   \
    }                                                                                                                  \
    static void name##_body(void)

static int64_t run_both(const pl_process_options *options)
{
    const char *const argv[] = {process_child_path(), PROCESS_CHILD, "both", NULL};
    pl_process_capture capture = {0};
    int64_t rc = pl_process_run(argv, options, NULL, 0, &capture);
    if (rc == 0)
        CHECK_STR(capture.output, "output");
    pl_process_capture_free(&capture);
    return rc;
}

/* The fault of the call of that number, of that kind. */
static struct {
    shim kind;
    shim_fault fault;
    int64_t at;
    pl__atomic_i64 calls;
} plan;

static shim_fault planned(shim kind, size_t *limit)
{
    (void)limit;
    if (kind != plan.kind)
        return SHIM_AS_IS;
    return pl__atomic_i64_add(&plan.calls, 1) + 1 == plan.at || plan.at == 0 ? plan.fault : SHIM_AS_IS;
}

static void plan_fault(shim kind, shim_fault fault, int64_t at)
{
    plan.kind = kind;
    plan.fault = fault;
    plan.at = at;
    pl__atomic_i64_store(&plan.calls, 0);
    shims_set_faults(planned);
}

/* Each call in turn fails; nothing is left (the harness counts), and the next run works. @return how many can. */
static int fail_each(shim kind, shim_fault fault, int64_t code, const pl_process_options *options)
{
    int failures = 0;
    for (int64_t at = 1; at < 50; at++) {
        plan_fault(kind, fault, at);
        int64_t rc = run_both(options);
        bool reached = pl__atomic_i64_load(&plan.calls) >= at;
        shims_set_faults(NULL);
        if (!reached) {
            CHECK_EQ_INT(rc, 0);
            break;
        }
        CHECK(rc == code || rc == 0); /* a standard handle that cannot be copied is nothing instead */
        failures += rc == code;
        CHECK_EQ_INT(run_both(options), 0);
    }
    return failures;
}

SHIM_CASE(handles_that_run_out_are_told_and_nothing_is_left)
{
    CHECK(fail_each(SHIM_START, SHIM_NO_HANDLES, PL_EMFILE, NULL) >= 2);
}

SHIM_CASE(a_system_without_memory_for_a_process_is_told_and_nothing_is_left)
{
    pl_process_options options = {.size = sizeof options, .kill_tree = 1, .kill_on_close = 1};
    const int64_t code = on_backend("iocp") ? PL_ENOMEM : PL_ENOBUFS; /* what the shim says */
    CHECK(fail_each(SHIM_SPAWN, SHIM_NO_MEMORY, code, &options) >= (on_backend("iocp") ? 5 : 1));
    CHECK(fail_each(SHIM_SPAWN, SHIM_NO_MEMORY, code, NULL) >= 1);
}

SHIM_CASE(a_spawn_is_not_made_on_the_loops_thread)
{
    CHECK_EQ_INT(run_both(NULL), 0);
    CHECK_EQ_INT(shim_calls_of_loop(SHIM_SPAWN), 0);
    CHECK(shim_calls(SHIM_SPAWN) >= 1);
}

/* Without a console of its own or a list, a child of Windows would get all that can be inherited. */
SHIM_CASE(a_child_is_given_its_three_handles_by_a_list)
{
    enum { NEW_GROUP = 0x200, NO_WINDOW = 0x8000000, SUSPENDED = 4 };
    const bool windows = on_backend("iocp");
    pl_process_options options = {.size = sizeof options};
    CHECK_EQ_INT(run_both(&options), 0);
    CHECK_EQ_INT(shims_inherited(), windows ? 3 : -1);
    CHECK_EQ_INT(shims_spawn_flags() & (NEW_GROUP | NO_WINDOW | SUSPENDED), 0);
    options.new_group = 1;
    options.hidden = 1;
    options.kill_tree = 1; /* it does nothing before it is in its job */
    CHECK_EQ_INT(run_both(&options), 0);
    CHECK_EQ_INT(shims_inherited(), windows ? 3 : -1);
    CHECK_EQ_INT(shims_spawn_flags() & (NEW_GROUP | NO_WINDOW | SUSPENDED),
                 windows ? NEW_GROUP | NO_WINDOW | SUSPENDED : 0);
}

static void end_several(void)
{
    const char *const argv[] = {process_child_path(), PROCESS_CHILD, "wait", NULL};
    pl_process_options options = {.size = sizeof options, .input = {.kind = PL_STDIO_PIPE}};
    enum { COUNT = 8 };
    pl_process *processes[COUNT] = {NULL};
    char ready[6];
    options.output.kind = PL_STDIO_PIPE;
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ_INT(pl_process_spawn(&processes[i], argv, &options), PL_OK);
    for (int i = 0; i < COUNT; i++)
        CHECK_EQ_INT(read_whole(pl_process_stdout(processes[i]), ready, sizeof ready), 6);
    CHECK_EQ_INT(pl_process_kill(processes[0]), PL_OK);
    CHECK_EQ_INT(pl_process_wait(processes[0], NULL), on_backend("iocp") ? 1 : 128 + 9);
    CHECK_EQ_INT(pl_process_kill(processes[0]), PL_ESTATE);
    for (int i = 1; i < COUNT; i++) {
        CHECK_EQ_INT(pl_stream_shutdown(pl_process_stdin(processes[i])), PL_OK);
        CHECK_EQ_INT(pl_process_wait(processes[i], NULL), 0);
    }
    for (int i = 0; i < COUNT; i++)
        pl_process_close(processes[i]);
}

/* Without pidfds each has a thread that waits for it. A child that cannot be waited for at all is ended, so that a spawn
 * that fails leaves none. */
SHIM_CASE(the_end_is_told_with_pidfds_and_without)
{
    end_several();
    if (!shim_exists(SHIM_PIDFD))
        return;
    CHECK(shim_calls(SHIM_PIDFD) >= 8);
    plan_fault(SHIM_PIDFD, SHIM_NOT_THERE, 0);
    end_several();
    CHECK_EQ_INT(run_both(NULL), 0);
    plan_fault(SHIM_PIDFD, SHIM_NO_HANDLES, 0);
    CHECK_EQ_INT(run_both(NULL), PL_EMFILE);
    shims_set_faults(NULL);
    CHECK_EQ_INT(run_both(NULL), 0);
}

static int64_t spawn_short(void *arg)
{
    const char *const argv[] = {process_child_path(), PROCESS_CHILD, "exit", "0", NULL};
    return pl_process_spawn(arg, argv, NULL);
}

/* The system's call is under way: it is waited for, and the process is the caller's. */
SHIM_CASE(a_spawn_cancelled_in_the_system_gives_the_process)
{
    pl_process *process = NULL;
    pl_task *task = NULL;
    shims_hold(SHIM_SPAWN);
    CHECK_EQ_INT(pl_spawn(&task, spawn_short, (void *)&process, NULL), PL_OK);
    while (shims_held(SHIM_SPAWN) == 0 && pl_sleep(PL_MS(1)) == PL_OK)
        continue;
    CHECK_EQ_INT(pl_task_cancel(task), 1);
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_future_state(pl_task_future(task)), PL_PENDING);
    shims_release(SHIM_SPAWN);
    (void)pl_task_await(task);
    pl_task_unref(task);
    if (CHECK(process != NULL))
        CHECK_EQ_INT(pl_process_wait(process, NULL), 0);
    pl_process_close(process);
}

/* A debugger of the child gets its end first: the loop asks again, whatever becomes of the process meanwhile. */
SHIM_CASE(a_process_may_be_closed_while_its_end_is_asked_for_again)
{
    const char *const argv[] = {process_child_path(), PROCESS_CHILD, "exit", "5", NULL};
    pl_process *process = NULL;
    pl_op waiting = {0};
    if (!shim_exists(SHIM_COLLECT)) {
        skip_case("the end of a process is known there when it is told");
        return;
    }
    plan_fault(SHIM_COLLECT, SHIM_NOT_READY, 0);
    CHECK_EQ_INT(pl_process_spawn(&process, argv, NULL), PL_OK);
    while (shim_calls(SHIM_COLLECT) == 0)
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    pl_process_close(process);
    CHECK_EQ_INT(pl_process_spawn(&process, argv, NULL), PL_OK);
    CHECK_EQ_INT(pl_process_wait_start(&waiting, process, NULL), PL_OK);
    for (int64_t before = shim_calls(SHIM_COLLECT); shim_calls(SHIM_COLLECT) < before + 3;)
        CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    shims_set_faults(NULL);
    CHECK_EQ_INT(pl_op_await(&waiting), 5);
    pl_process_close(process);
}

static shim_fault gone_before(shim kind, size_t *limit)
{
    (void)limit;
    if (kind == SHIM_PIDFD)
        CHECK(process_wait_all_taken());
    return SHIM_AS_IS;
}

/* Its end is taken away before anybody could ask for it: that is lost, but it has run. */
SHIM_CASE(a_child_that_somebody_took_at_once_was_spawned_all_the_same)
{
    const char *const argv[] = {process_child_path(), PROCESS_CHILD, "exit", "0", NULL};
    pl_process_options options = {.size = sizeof options, .kill_tree = 1, .kill_on_close = 1};
    pl_process *process = NULL;
    if (!process_ignore_ends_of_children(true)) {
        skip_case("nobody takes exit codes there");
        return;
    }
    shims_set_faults(gone_before);
    if (CHECK_EQ_INT(pl_process_spawn(&process, argv, NULL), PL_OK)) {
        CHECK_EQ_INT(pl_process_wait(process, NULL), PL_EBROKEN);
        CHECK_EQ_INT(pl_process_kill(process), PL_ESTATE);
        pl_process_close(process);
    }
    if (CHECK_EQ_INT(pl_process_spawn(&process, argv, &options), PL_OK)) {
        CHECK_EQ_INT(pl_process_kill_tree(process), PL_ESTATE); /* its number may be another's */
        CHECK_EQ_INT(pl_process_kill(process), PL_ESTATE);
        pl_process_close(process);
    }
    shims_set_faults(NULL);
    process_ignore_ends_of_children(false);
}

TEST_SUITE(shim_process, TEST_BACKENDS_REAL, CASE(handles_that_run_out_are_told_and_nothing_is_left),
           CASE(a_system_without_memory_for_a_process_is_told_and_nothing_is_left),
           CASE(a_spawn_is_not_made_on_the_loops_thread), CASE(a_child_is_given_its_three_handles_by_a_list),
           CASE(the_end_is_told_with_pidfds_and_without),
           CASE(a_spawn_cancelled_in_the_system_gives_the_process),
           CASE(a_process_may_be_closed_while_its_end_is_asked_for_again),
           CASE(a_child_that_somebody_took_at_once_was_spawned_all_the_same))
