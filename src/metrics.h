/* metrics.h: the numbers of a loop. */
#ifndef PROLOOP_SRC_METRICS_H
#define PROLOOP_SRC_METRICS_H

#include <proloop/debug.h>

/* All but `size`. The loop's thread. */
void pl__metrics_take(const pl_loop *loop, pl_metrics *metrics);

#endif
