/* clock.c: the time that never goes back, in nanoseconds.
 *
 * The performance counter has a frequency of its own, mostly 10 MHz since Windows 10. It is split before it
 * is multiplied: a counter times a billion would overflow within minutes.
 */
#include "system.h"

int64_t pl__clock_now(void)
{
    const int64_t usual = 10 * 1000 * 1000, second = 1000 * 1000 * 1000;
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency); /* read from memory shared with the kernel: no call into it */
    if (frequency.QuadPart == usual)
        return count.QuadPart * (second / usual);
    int64_t seconds = count.QuadPart / frequency.QuadPart, rest = count.QuadPart % frequency.QuadPart;
    return seconds * second + rest * second / frequency.QuadPart;
}
