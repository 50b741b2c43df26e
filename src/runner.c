/* Runners: a loop, main tasks one after another, and an orderly end. pl_run is a runner on the stack with one run.
 *
 * `task` is what an interrupt cancels: the main task while one runs, later the task that shuts down. Between two runs
 * nothing watches for interrupts; pl_run, which has one run only, watches until its loop is gone.
 */
#include <proloop/closer.h>
#include <proloop/executor.h>
#include <proloop/run.h>

#include "allocator.h"
#include "closer.h"
#include "loop.h"
#include "task.h"
#include "thread.h"

enum { POOL_LIMIT_SECONDS = 300 };

struct pl_runner {
    pl_loop_options loop_options;
    bool has_loop_options;
    bool leave_interrupts;
    bool several;        /* runs, which share a context */
    bool interrupted;    /* in the present run */
    bool late;           /* an interrupt came when its run had ended: it is for the next one */
    pl_loop *loop;       /* its memory is held; NULL: not made yet */
    pl_context *context; /* of the main tasks */
    pl_task *task;       /* which an interrupt cancels; NULL: none */
};

static int runner_init(pl_runner *runner, const pl_run_options *options)
{
    static const pl_run_options defaults = {.size = sizeof(pl_run_options)};
    if (!options)
        options = &defaults;
    if (options->size != sizeof *options || (options->loop && options->loop->size != sizeof *options->loop))
        return PL_EINVAL;
    *runner = (pl_runner){.leave_interrupts = options->leave_interrupts != 0};
    if (options->loop) {
        runner->loop_options = *options->loop;
        runner->has_loop_options = true;
    }
    return PL_OK;
}

/* Makes at the first use what the runs share. */
static int runner_prepare(pl_runner *runner)
{
    if (runner->loop)
        return runner->loop->closed ? PL_ECLOSED : PL_OK;
    if (runner->several && !runner->context) {
        int copied = pl_context_copy(&runner->context);
        if (copied < 0)
            return copied;
    }
    pl_loop *loop;
    int made = pl__loop_make(&loop, runner->has_loop_options ? &runner->loop_options : NULL);
    if (made < 0)
        return made;
    pl__loop_hold(loop);
    runner->loop = loop;
    return PL_OK;
}

static void runner_clear(pl_runner *runner)
{
    pl_context_unref(runner->context);
    if (runner->loop)
        pl__loop_release(runner->loop);
}

/* --- Interrupts --------------------------------------------------------------------------------------------------- */

static void cancel_present_task(void *arg)
{
    pl_runner *runner = arg;
    if (!runner->task || pl__future_is_done(&runner->task->future)) {
        runner->late = true;
        return;
    }
    runner->interrupted = true;
    pl__task_cancel_whole(runner->task);
}

/* Outside the main thread, or if another loop watches already, Ctrl-C stays the system's affair. */
static void watch_interrupts(pl_runner *runner)
{
    pl__request request = {.kind = PL__REQUEST_INTERRUPT_WATCH, .value = 1};
    if (runner->leave_interrupts || !pl__thread_is_main() || pl__loop_control(runner->loop, &request) < 0)
        return;
    runner->loop->interrupted = cancel_present_task;
    runner->loop->interrupted_arg = runner;
    if (runner->late)
        cancel_present_task(runner);
    runner->late = false;
}

static void unwatch_interrupts(pl_runner *runner)
{
    pl__request request = {.kind = PL__REQUEST_INTERRUPT_WATCH, .value = 0};
    if (!runner->loop->interrupted)
        return;
    runner->loop->interrupted = NULL;
    (void)pl__loop_control(runner->loop, &request);
    runner->late = pl__loop_take_interrupts(runner->loop) || runner->late;
}

/* --- Running ------------------------------------------------------------------------------------------------------ */

/* Whether the loop can be run here and now: that must be known before anything is done. */
static int runner_check(const pl_runner *runner)
{
    if (pl__loop_thread(runner->loop) && pl__loop_thread(runner->loop) != pl__thread_id())
        return PL_ETHREAD;
    return runner->loop->running ? PL_EBUSY : PL_OK;
}

/* As in asyncio: who was cancelled by others too is just cancelled. */
static int64_t run_verdict(const pl_runner *runner, int64_t result)
{
    bool interrupted = result == PL_ECANCELED && runner->interrupted && pl_task_cancelling(runner->task) == 0;
    return interrupted ? PL_EINTERRUPTED : result;
}

static int64_t run_main(pl_runner *runner, pl_task_fn *fn, void *arg, const char *where)
{
    int checked = runner_check(runner);
    if (checked < 0)
        return checked;
    pl_task *main;
    const pl_task_options options = {
        .size = sizeof options, .loop = runner->loop, .name = "main", .context = runner->context};
    int64_t result = pl_spawn_here(&main, fn, arg, &options, where);
    if (result < 0)
        return result;
    runner->interrupted = false;
    runner->task = main;
    watch_interrupts(runner);
    result = run_verdict(runner, pl_loop_run_until_complete(runner->loop, pl_task_future(main)));
    runner->task = NULL;
    if (!pl__future_is_done(&main->future) && result != PL_ESTOPPED)
        pl__task_cancel_whole(main); /* the loop could not run: it never will begin */
    if (runner->several)
        unwatch_interrupts(runner);
    pl_task_unref(main);
    return result;
}

int64_t pl_runner_run_here(pl_runner *runner, pl_task_fn *fn, void *arg, const char *where)
{
    if (!runner || !fn)
        return PL_EINVAL;
    if (pl_loop_running())
        return PL_EBUSY;
    int prepared = runner_prepare(runner);
    if (prepared < 0)
        return prepared;
    return run_main(runner, fn, arg, where);
}

int pl_runner_loop(pl_runner *runner, pl_loop **loop)
{
    if (loop)
        *loop = NULL;
    if (!runner || !loop)
        return PL_EINVAL;
    int prepared = runner_prepare(runner);
    if (prepared == PL_OK)
        *loop = runner->loop;
    return prepared;
}

/* --- Shutting down ------------------------------------------------------------------------------------------------ */

static bool tasks_of_shutdown_are_left(void *arg)
{
    const pl_loop *loop = arg;
    const pl__node *first = pl__list_first(&loop->tasks);
    if (!first || PL__CONTAINER_OF(first, pl_task, node)->number > loop->shutdown)
        return false;
    return !pl__tasks_are_hopeless(loop, loop->shutdown); /* pl_loop_close leaves those behind */
}

/* Those that there are now; what they start meanwhile, to clean up, may run on. */
static int end_present_tasks(pl_loop *loop)
{
    loop->shutdown = loop->tasks_made;
    PL__LIST_EACH (node, &loop->tasks)
        pl__task_cancel_whole(PL__CONTAINER_OF(node, pl_task, node));
    return pl__loop_run_while(loop, tasks_of_shutdown_are_left, loop);
}

/* What tasks leave behind them, and only a task can end. */
static bool has_services(const pl_loop *loop)
{
    return !pl__list_is_empty(&loop->closers) || loop->default_pool;
}

/* As asyncio: the jobs that are left have some minutes. */
static void end_default_pool(pl_loop *loop)
{
    if (pl_loop_shutdown_default_pool(PL_SECONDS(POOL_LIMIT_SECONDS)) == PL_ETIMEDOUT)
        pl__loop_report(loop, "jobs of a loop's default pool did not end in time", PL_ETIMEDOUT, 0, NULL, NULL);
}

static int64_t end_services(void *arg)
{
    int closed = pl_loop_run_closers();
    end_default_pool(arg);
    return closed;
}

static bool services_are_ending(void *arg)
{
    const pl_runner *runner = arg;
    return !pl__future_is_done(&runner->task->future) && !pl__tasks_are_hopeless(runner->loop, UINT64_MAX);
}

static int run_end_of_services(pl_runner *runner)
{
    pl_loop *loop = runner->loop;
    const pl_task_options options = {.size = sizeof options, .loop = loop, .name = "shutdown"};
    int result = pl_spawn(&runner->task, end_services, loop, &options);
    if (result < 0)
        return result;
    result = pl__loop_run_while(loop, services_are_ending, runner);
    if (result == PL_OK && pl__future_is_done(&runner->task->future))
        result = (int)pl__future_take(&runner->task->future);
    pl_task_unref(runner->task);
    runner->task = NULL;
    return result;
}

/* PL_OK or PL_ESTATE: the loop is closed. */
static int runner_shut_down(pl_runner *runner)
{
    pl_loop *loop = runner->loop;
    int result = end_present_tasks(loop);
    if (result < 0)
        return result;
    if (has_services(loop))
        result = run_end_of_services(runner);
    loop->closers_ended = true;
    if (result < 0 && result != PL_ECANCELED)
        pl__loop_report(loop, "the closers of a loop could not run", result, 0, NULL, NULL);
    return pl_loop_close(loop);
}

int pl_runner_close(pl_runner *runner)
{
    int result = PL_OK;
    if (!runner)
        return PL_OK;
    if (runner->loop && !runner->loop->closed) {
        result = runner_check(runner);
        if (result == PL_OK)
            result = runner_shut_down(runner);
        if (!runner->loop->closed)
            return result;
    }
    runner_clear(runner);
    pl__release(runner, sizeof *runner);
    return result;
}

/* --- Making ------------------------------------------------------------------------------------------------------- */

int pl_runner_create(pl_runner **runner, const pl_run_options *options)
{
    pl_runner made;
    if (!runner)
        return PL_EINVAL;
    *runner = NULL;
    int result = runner_init(&made, options);
    if (result < 0)
        return result;
    *runner = pl__allocate(sizeof **runner);
    if (!*runner)
        return PL_ENOMEM;
    **runner = made;
    (*runner)->several = true;
    return PL_OK;
}

int64_t pl_run_here(pl_task_fn *fn, void *arg, const pl_run_options *options, const char *where)
{
    pl_runner runner;
    int64_t result = fn ? runner_init(&runner, options) : PL_EINVAL;
    if (result < 0)
        return result;
    if (pl_loop_running())
        return PL_EBUSY;
    result = runner_prepare(&runner);
    if (result < 0)
        return result;
    result = run_main(&runner, fn, arg, where);
    (void)runner_shut_down(&runner); /* a second Ctrl-C still ends the program meanwhile */
    runner_clear(&runner);
    return result;
}
