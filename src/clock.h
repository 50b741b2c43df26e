/* clock.h: the time of the monotonic clock, in nanoseconds. */
#ifndef PROLOOP_SRC_CLOCK_H
#define PROLOOP_SRC_CLOCK_H

#include <stdint.h>

int64_t pl__clock_now(void);

#endif
