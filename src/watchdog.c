/* The watchdog: a thread that looks at what its loop executes, and says when that takes long. See debug.h.
 *
 * While the loop executes nothing, or nothing new, the thread sleeps: the loop wakes it when it executes something again,
 * and the thread then looks once per threshold.
 */
#include <stdio.h>

#include "clock.h"
#include "debug.h"

static void print_report(const pl__execution *execution, int64_t stuck, bool ended)
{
    pl__text text = {.data = NULL};
    pl__text_add(&text, "proloop: the loop %s", ended ? "goes on; it was stuck for " : "is stuck for ");
    pl__text_add_duration(&text, stuck);
    pl__text_add(&text, " in ");
    pl__text_add_execution(&text, execution);
    (void)fputs(text.failed ? "proloop: the loop is stuck, and there is no memory to say where\n" : text.data, stderr);
    (void)fflush(stderr);
    pl__text_clear(&text);
}

static pl_watchdog_place public_place(const pl__place *place)
{
    return (pl_watchdog_place){.task = place->task[0] ? place->task : NULL, .where = place->where};
}

static void call_handler(const pl__watchdog *watchdog, int64_t stuck, bool ended)
{
    const pl__execution *said = &watchdog->said;
    pl_watchdog_place awaiters[PL__AWAITERS];
    PL__CHECK(said->count >= 1);
    for (uint32_t i = 1; i < said->count; i++)
        awaiters[i - 1] = public_place(&said->places[i]);
    const pl_watchdog_report report = {.stuck = stuck,
                                       .ended = ended,
                                       .place = public_place(&said->places[0]),
                                       .awaiters = awaiters,
                                       .awaiter_count = said->count - 1};
    watchdog->handler(&report, watchdog->handler_arg);
}

/* With the mutex locked, which is free meanwhile: the handler may be what lets the loop go on. */
static void say(pl__debug *debug, int64_t stuck, bool ended)
{
    pl__watchdog *watchdog = &debug->watchdog;
    watchdog->calling = true;
    pl__mutex_unlock(&debug->mutex);
    if (watchdog->handler) /* which does not change while this is calling */
        call_handler(watchdog, stuck, ended);
    else
        print_report(&watchdog->said, stuck, ended);
    pl__mutex_lock(&debug->mutex);
    watchdog->calling = false;
    pl__condition_broadcast(&watchdog->changed);
}

/* Says what is to be said. How long there will be nothing more, if nothing changes; 0: look again. */
static int64_t look(pl__debug *debug)
{
    pl__watchdog *watchdog = &debug->watchdog;
    const pl__execution *execution = &debug->execution;
    if (watchdog->went_on) {
        watchdog->went_on = false;
        say(debug, watchdog->went_on_after, true);
        return 0;
    }
    if (!execution->running) {
        watchdog->dozing = true;
        return PL_FOREVER;
    }
    int64_t took = pl__clock_now() - execution->began;
    if (watchdog->reported != execution->number)
        watchdog->next = watchdog->threshold;
    if (took < watchdog->next)
        return watchdog->next - took;
    while (watchdog->next <= took)
        watchdog->next = watchdog->next > PL_FOREVER / 2 ? PL_FOREVER : watchdog->next * 2;
    watchdog->reported = execution->number;
    watchdog->said = *execution;
    say(debug, took, false);
    return 0;
}

static void watch(void *arg)
{
    pl__debug *debug = arg;
    pl__mutex_lock(&debug->mutex);
    while (!debug->watchdog.ending || debug->watchdog.went_on) {
        int64_t wait = look(debug);
        if (wait > 0 && !debug->watchdog.ending)
            (void)pl__condition_wait_for(&debug->watchdog.changed, &debug->mutex, wait);
    }
    pl__mutex_unlock(&debug->mutex);
}

int pl__watchdog_start(pl__debug *debug, pl_duration threshold)
{
    pl__watchdog *watchdog = &debug->watchdog;
    watchdog->threshold = threshold;
    if (threshold == PL_FOREVER)
        return PL_OK;
    int started = pl__thread_start(&watchdog->thread, watch, debug, "proloop watchdog");
    watchdog->running = started == PL_OK;
    return started;
}

void pl__watchdog_stop(pl__debug *debug)
{
    pl__watchdog *watchdog = &debug->watchdog;
    if (!watchdog->running)
        return;
    pl__mutex_lock(&debug->mutex);
    watchdog->ending = true;
    pl__condition_broadcast(&watchdog->changed);
    pl__mutex_unlock(&debug->mutex);
    pl__thread_join(&watchdog->thread);
}

void pl__watchdog_wake(pl__watchdog *watchdog)
{
    if (!watchdog->dozing)
        return;
    watchdog->dozing = false;
    pl__condition_broadcast(&watchdog->changed);
}

void pl__watchdog_ended(pl__watchdog *watchdog, const pl__execution *execution, int64_t took)
{
    if (!watchdog->running || watchdog->reported != execution->number)
        return;
    watchdog->went_on = true;
    watchdog->went_on_after = took;
    pl__condition_broadcast(&watchdog->changed);
}

int pl_loop_set_watchdog_handler(pl_loop *loop, pl_watchdog_fn *handler, void *arg)
{
    int checked = loop ? pl__loop_check(&loop) : PL_EINVAL;
    if (checked < 0)
        return checked;
    if (!loop->debugging || !loop->debugging->watchdog.running)
        return PL_ESTATE;
    pl__debug *debug = loop->debugging;
    pl__mutex_lock(&debug->mutex);
    while (debug->watchdog.calling)
        pl__condition_wait(&debug->watchdog.changed, &debug->mutex);
    debug->watchdog.handler = handler;
    debug->watchdog.handler_arg = arg;
    pl__mutex_unlock(&debug->mutex);
    return PL_OK;
}
