/* pl_run: a loop, a main task, and an orderly end. See run.h. */
#include <proloop/run.h>

#include "loop.h"
#include "task.h"

typedef struct pl__run {
    pl_task *main;
    bool interrupted;
} pl__run;

static void cancel_main(void *arg)
{
    pl__run *run = arg;
    run->interrupted = true;
    pl__task_cancel_whole(run->main);
}

/* Outside the main thread, or if another loop watches already, Ctrl-C stays the system's affair. */
static void watch_interrupts(pl_loop *loop, pl__run *run)
{
    pl__request request = {.kind = PL__REQUEST_INTERRUPT_WATCH, .value = 1};
    if (pl__loop_control(loop, &request) < 0)
        return;
    loop->interrupted = cancel_main;
    loop->interrupted_arg = run;
}

static int64_t run_main(pl_loop *loop, pl_task_fn *fn, void *arg, bool leave_interrupts)
{
    pl__run run = {.main = NULL};
    const pl_task_options options = {.size = sizeof options, .loop = loop, .name = "main"};
    int64_t result = pl_spawn(&run.main, fn, arg, &options);
    if (result == PL_OK && !leave_interrupts)
        watch_interrupts(loop, &run);
    if (result == PL_OK)
        result = pl_loop_run_until_complete(loop, pl_task_future(run.main));
    if (run.interrupted && result == PL_ECANCELED)
        result = PL_EINTERRUPTED;
    (void)pl_loop_close(loop); /* a second Ctrl-C still ends the program meanwhile */
    pl_task_unref(run.main);
    return result;
}

int64_t pl_run(pl_task_fn *fn, void *arg, const pl_run_options *options)
{
    static const pl_run_options defaults = {.size = sizeof(pl_run_options)};
    if (!options)
        options = &defaults;
    if (!fn || options->size != sizeof *options)
        return PL_EINVAL;
    if (pl_loop_running())
        return PL_EBUSY;
    pl_loop *loop = NULL;
    int created = pl_loop_create(&loop, options->loop);
    if (created < 0)
        return created;
    return run_main(loop, fn, arg, options->leave_interrupts != 0);
}
