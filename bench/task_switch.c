/* task_switch: what the loop's own work costs, beside an empty call.
 *
 * Each row is measured several times in turn with the others; the median counts. The ratio is to the first row, the
 * call of an empty function by a pointer that the compiler cannot see through. Nothing here passes or fails: the
 * numbers depend on the machine, on what else runs on it, and under Wine on Wine.
 *
 * A row's number is of one of what it names, with everything that one brings about:
 *
 *     pl_yield      the task gives way: into the ready queue, to the loop's stack, and back: two switches. Alone it
 *                   pays for a whole iteration of the loop each time; others share that.
 *     pl_spawn ...  a task is made, awaited by its maker, runs, ends, and is given back
 *     pl_call_soon  the call, and the callback's run
 *     ..threadsafe  the same, posted by the loop's own thread: nobody contends, and of a batch the first one wakes
 */
#include <proloop/proloop.h>

#include <stdio.h>
#include <stdlib.h>

enum { REPETITIONS = 15, COUNT = 200000, BATCH = 1000, CROWD = 100 };

static void nothing(void *arg)
{
    (void)arg;
}

static void (*volatile empty_call)(void *) = nothing;

static void fail(const char *what, int64_t code)
{
    fprintf(stderr, "task_switch: %s: %s (%s)\n", what, pl_error_text(code), pl_error_name(code));
    exit(1);
}

static void need(const char *what, int64_t code)
{
    if (code < 0)
        fail(what, code);
}

/* --- What is measured: each does `count` of it -------------------------------------------------------------------- */

static void call_empty(int count)
{
    for (int i = 0; i < count; i++)
        empty_call(NULL);
}

static void yield_alone(int count)
{
    for (int i = 0; i < count; i++)
        need("pl_yield", pl_yield());
}

static int64_t yield_task(void *arg)
{
    yield_alone(*(int *)arg);
    return 0;
}

static void yield_among(int tasks, int count)
{
    pl_group group = {0};
    int each = count / tasks;
    need("pl_group_begin", pl_group_begin(&group, PL_GROUP_FAIL_FAST));
    for (int i = 0; i < tasks; i++)
        need("pl_group_spawn", pl_group_spawn(&group, yield_task, &each, NULL));
    need("pl_group_end", pl_group_end(&group, 0));
}

static void yield_two(int count)
{
    yield_among(2, count);
}

static void yield_crowd(int count)
{
    yield_among(CROWD, count);
}

static int64_t do_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void spawn_and_join(int count)
{
    for (int i = 0; i < count; i++) {
        pl_task *task;
        need("pl_spawn", pl_spawn(&task, do_nothing, NULL, NULL));
        need("pl_task_await", pl_task_await(task));
        pl_task_unref(task);
    }
}

static void call_soon(int count)
{
    for (int i = 0; i < count; i += BATCH) {
        for (int j = 0; j < BATCH; j++)
            need("pl_call_soon", pl_call_soon(NULL, nothing, NULL, NULL));
        need("pl_yield", pl_yield());
    }
}

static void start_and_stop_timer(int count)
{
    static pl_timer timer;
    for (int i = 0; i < count; i++) {
        need("pl_timer_start", pl_timer_start(&timer, NULL, PL_SECONDS(60), nothing, NULL));
        (void)pl_timer_stop(&timer);
    }
}

static void count_call(void *arg)
{
    (*(int *)arg)++;
}

static void post(int count)
{
    pl_remote *remote = pl_loop_remote(pl_loop_running());
    int run = 0;
    for (int i = 0; i < count; i += BATCH) {
        for (int j = 0; j < BATCH; j++)
            need("pl_call_soon_threadsafe", pl_call_soon_threadsafe(remote, count_call, &run, NULL));
        while (run < i + BATCH)
            need("pl_yield", pl_yield());
    }
    pl_remote_unref(remote);
}

/* --- Measuring ---------------------------------------------------------------------------------------------------- */

static const struct row {
    const char *name;
    void (*run)(int count);
} rows[] = {
    {"empty function call", call_empty},
    {"pl_yield, one task", yield_alone},
    {"pl_yield, two tasks", yield_two},
    {"pl_yield, 100 tasks", yield_crowd},
    {"pl_spawn + pl_task_await", spawn_and_join},
    {"pl_call_soon", call_soon},
    {"pl_timer_start + pl_timer_stop", start_and_stop_timer},
    {"pl_call_soon_threadsafe", post},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

static int compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double measure(const struct row *row)
{
    pl_loop *loop = pl_loop_running();
    pl_duration began = pl_loop_time(loop);
    row->run(COUNT);
    return (double)(pl_loop_time(loop) - began) / COUNT;
}

static int64_t run(void *arg)
{
    static double times[ROWS][REPETITIONS];
    (void)arg;
    for (int i = 0; i < ROWS; i++)
        (void)measure(&rows[i]); /* warms up */
    for (int j = 0; j < REPETITIONS; j++) {
        for (int i = 0; i < ROWS; i++)
            times[i][j] = measure(&rows[i]);
    }

    printf("%s backend, median of %d repetitions of %d\n\n", pl_loop_backend(pl_loop_running()), REPETITIONS, COUNT);
    printf("%-32s %10s %10s\n", "", "ns", "ratio");
    for (int i = 0; i < ROWS; i++)
        qsort(times[i], REPETITIONS, sizeof times[i][0], compare);
    for (int i = 0; i < ROWS; i++) {
        double median = times[i][REPETITIONS / 2], empty = times[0][REPETITIONS / 2];
        printf("%-32s %10.1f %10.1f\n", rows[i].name, median, empty > 0 ? median / empty : 0.0);
    }
    return 0;
}

int main(void)
{
    need("pl_run", pl_run(run, NULL, NULL));
    return 0;
}
