/* What the process writes to standard error, for tests that look at it; and the key that makes it write a dump there. */
#ifndef PROLOOP_TESTS_STANDARD_ERROR_H
#define PROLOOP_TESTS_STANDARD_ERROR_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** From now on it is kept for standard_error_read: some ten thousand bytes of it. False: that cannot be done here. */
bool standard_error_take(void);

/** Waits until what was written has `wanted` in it, and gives all of it so far, or as much as fits. Any thread. */
void standard_error_read(char *text, size_t size, const char *wanted);

/** Back to where it went before. */
void standard_error_give_back(void);

/** Ctrl-\, as if somebody pressed it; it may take effect after the return. */
bool process_can_demand_dump(void);
bool process_demand_dump(void);

/** From now on a handler of the program counts the demands; how many there were, and takes the handler away. */
void process_count_demands(void);
int process_demands_counted(void);

#ifdef __cplusplus
}
#endif

#endif
