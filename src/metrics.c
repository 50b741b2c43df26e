/* Metrics: what the loop counts as it goes (pl__loop_counts), and what can be counted when somebody asks. */
#include "metrics.h"

#include "debug.h"
#include "inquiry.h"

static uint64_t list_length(const pl__list *list)
{
    uint64_t length = 0;
    for (const pl__node *node = list->head.next; node != &list->head; node = node->next)
        length++;
    return length;
}

void pl__metrics_take(const pl_loop *loop, pl_metrics *metrics)
{
    const pl__loop_counts *counts = &loop->counts;
    *metrics = (pl_metrics){
        .size = sizeof *metrics,
        .iterations = counts->iterations,
        .polls = counts->polls,
        .poll_time = counts->poll_time,
        .callbacks = counts->callbacks,
        .posts = counts->posts,
        .wake_ups = counts->wake_ups,
        .tasks_made = loop->tasks_made,
        .tasks = list_length(&loop->tasks),
        .ready = list_length(&loop->ready) + (loop->batch ? list_length(loop->batch) : 0),
        .timers = loop->timers.count,
        .in_flight = loop->in_flight,
        .streams = list_length(&loop->streams),
        .listeners = list_length(&loop->listeners),
        .longest_callback = loop->debugging ? loop->debugging->longest : 0,
    };
}

int pl_loop_metrics(pl_loop *loop, pl_metrics *metrics)
{
    if (!metrics || metrics->size != sizeof *metrics)
        return PL_EINVAL;
    int checked = pl__loop_check(&loop);
    if (checked == PL_OK)
        pl__metrics_take(loop, metrics);
    return checked;
}

static int answer_metrics(pl__inquiry *inquiry, pl_loop *loop)
{
    pl__metrics_take(loop, &inquiry->metrics);
    return PL_OK;
}

int pl_remote_metrics(pl_remote *remote, pl_duration limit, pl_metrics *metrics)
{
    if (!remote || !metrics || metrics->size != sizeof *metrics)
        return PL_EINVAL;
    pl__inquiry *inquiry;
    int result = pl__inquire(&inquiry, remote, limit, answer_metrics);
    if (result == PL_OK)
        *metrics = inquiry->metrics;
    pl__inquiry_free(inquiry);
    return result;
}
