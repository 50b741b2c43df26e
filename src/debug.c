/* Debug mode: see debug.h. */
#include "debug.h"

#include <stdio.h>
#include <string.h>

#include "allocator.h"
#include "clock.h"
#include "dump.h"
#include "future.h"
#include "group.h"
#include "remote.h"
#include "task.h"

PL__STATIC_ASSERT(sizeof(((pl__place *)0)->task) == PL__TASK_NAME_SIZE, "a place has room for a task's name");

#define PL__SLOW_CALLBACK PL_MS(100)
#define PL__STUCK         PL_SECONDS(1)

/* --- Life --------------------------------------------------------------------------------------------------------- */

int pl__debug_create(pl_loop *loop, const pl_loop_options *options)
{
    pl__debug *debug = pl__allocate_zeroed(sizeof *debug);
    if (!debug)
        return PL_ENOMEM;
    debug->slow_callback = options->slow_callback > 0 ? options->slow_callback : PL__SLOW_CALLBACK;
    debug->remote = pl_remote_ref(loop->remote);
    debug->process = pl__process_id();
    pl__mutex_init(&debug->mutex);
    pl__condition_init(&debug->watchdog.changed);
    loop->debugging = debug;
    int started = pl__watchdog_start(debug, options->watchdog > 0 ? options->watchdog : PL__STUCK);
    if (started == PL_OK)
        started = pl__dump_on_demand(debug);
    if (started < 0)
        pl__debug_destroy(loop);
    return started;
}

void pl__debug_destroy(pl_loop *loop)
{
    pl__debug *debug = loop->debugging;
    if (!debug)
        return;
    loop->debugging = NULL;
    if (debug->process == pl__process_id()) {
        pl__dump_not_on_demand(debug);
        pl__watchdog_stop(debug);
    }
    pl__creations_clear(&debug->creations);
    pl__condition_destroy(&debug->watchdog.changed);
    pl__mutex_destroy(&debug->mutex);
    pl_remote_unref(debug->remote);
    pl__release(debug, sizeof *debug);
}

/* --- What is executed --------------------------------------------------------------------------------------------- */

pl_task *pl__debug_awaiter(const pl_task *task)
{
    int searched = 0;
    PL__LIST_EACH (node, &task->future.callbacks) {
        pl_task *awaiter = pl__task_of_wake(PL__CONTAINER_OF(node, pl__callback, node));
        if (awaiter)
            return awaiter;
        if (++searched == PL__WAITERS_SEARCHED)
            break;
    }
    return task->group ? task->group->parent : NULL;
}

static pl__place place_of(const pl_task *task)
{
    pl__place place = {.where = task->future.where};
    memcpy(place.task, pl_task_name(task), sizeof place.task);
    return place;
}

static void write_down(pl__debug *debug, const pl_task *task)
{
    pl__execution *execution = &debug->execution;
    if (!task) {
        execution->places[0] = (pl__place){.where = debug->callback_where};
        execution->count = 1;
        return;
    }
    for (execution->count = 0; task && execution->count < PL__COUNT_OF(execution->places); execution->count++) {
        execution->places[execution->count] = place_of(task);
        task = pl__debug_awaiter(task);
    }
}

void pl__debug_callback_begins(pl_loop *loop, const pl__callback *callback)
{
    pl__debug *debug = loop->debugging;
    const pl_task *task = pl__task_of_step(callback);
    debug->callback_where = task ? NULL : callback->where;
    debug->began = pl__clock_now();
    pl__mutex_lock(&debug->mutex);
    PL__CHECK(!debug->execution.running);
    write_down(debug, task);
    debug->execution.number++;
    debug->execution.began = debug->began;
    debug->execution.running = true;
    debug->executed = debug->execution.places[0];
    pl__watchdog_wake(&debug->watchdog);
    pl__mutex_unlock(&debug->mutex);
}

void pl__debug_goes_on(pl_loop *loop, const pl_task *task)
{
    pl__debug *debug = loop->debugging;
    pl__mutex_lock(&debug->mutex);
    write_down(debug, task);
    pl__mutex_unlock(&debug->mutex);
}

static void report_slow(pl_loop *loop, const pl__place *executed, int64_t took)
{
    char name[PL__TASK_NAME_SIZE * 4], message[PL__TASK_NAME_SIZE * 4 + 64];
    pl__printable(name, sizeof name, executed->task);
    (void)snprintf(message, sizeof message, "executing %s%s took %lld.%03d s",
                   executed->task[0] ? "task " : "a callback", name, (long long)(took / 1000000000),
                   (int)(took / 1000000 % 1000));
    pl__loop_report(loop, message, 0, 0, executed->task[0] ? executed->task : NULL, executed->where);
}

void pl__debug_callback_ended(pl_loop *loop)
{
    pl__debug *debug = loop->debugging;
    int64_t took = pl__clock_now() - debug->began;
    if (took < 1)
        took = 1; /* everything takes time, however coarse the clock: a threshold of 1 ns means all */
    pl__mutex_lock(&debug->mutex);
    PL__CHECK(debug->execution.running);
    debug->execution.running = false;
    pl__watchdog_ended(&debug->watchdog, &debug->execution, took);
    pl__mutex_unlock(&debug->mutex);
    if (took > debug->longest)
        debug->longest = took;
    if (took >= debug->slow_callback) {
        pl__place executed = debug->executed;
        report_slow(loop, &executed, took);
    }
}

static void add_place(pl__text *text, const pl__place *place)
{
    if (place->task[0]) {
        pl__text_add(text, "task ");
        pl__text_add_printable(text, place->task);
        pl__text_add(text, ", spawned at ");
    } else {
        pl__text_add(text, "a callback asked for at ");
    }
    pl__text_add_printable(text, place->where);
}

void pl__text_add_execution(pl__text *text, const pl__execution *execution)
{
    for (uint32_t i = 0; i < execution->count; i++) {
        pl__text_add(text, "%s", i == 0 ? "" : "  awaited by ");
        add_place(text, &execution->places[i]);
        pl__text_add(text, "\n");
    }
}

pl__execution pl__debug_execution(pl__debug *debug)
{
    pl__mutex_lock(&debug->mutex);
    pl__execution execution = debug->execution;
    pl__mutex_unlock(&debug->mutex);
    return execution;
}

/* --- The wrong thread --------------------------------------------------------------------------------------------- */

bool pl__debug_refuse(const pl_loop *loop, const char *function)
{
    if (pl__loop_check_thread(loop) == PL_OK)
        return false;
    (void)fprintf(stderr, "proloop: %s: %s\n", function, pl_error_text(PL_ETHREAD));
    (void)fflush(stderr);
    return true;
}

/* --- Reports ------------------------------------------------------------------------------------------------------ */

void pl__debug_report(const pl_future *future, const char *message, int64_t error)
{
    pl_loop *loop = future->loop;
    pl__text stack = {.data = NULL};
    if (loop->debugging)
        pl__creations_describe(&loop->debugging->creations, future, &stack);
    const pl_task *task = pl__task_if_future(future);
    const pl_report report = {.message = message,
                              .error = error,
                              .task = task ? pl_task_name(task) : NULL,
                              .where = future->where,
                              .stack = stack.failed ? NULL : stack.data};
    pl_loop_report(loop, &report);
    pl__text_clear(&stack);
}
