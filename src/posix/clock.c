/* clock.c: the monotonic clock: it never goes back, and nobody sets it. */
#include "../clock.h"

#include <time.h>

#include "../check.h"

int64_t pl__clock_now(void)
{
    struct timespec now;
    PL__CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}
