/* What the framework of moments asks the system. */
#ifndef PROLOOP_TESTS_MOMENTS_INNER_H
#define PROLOOP_TESTS_MOMENTS_INNER_H

#include <stdbool.h>

#include "../src/proactor.h"

/* Waits until the system is through with one of these completions, which nobody polls for. False: it took too long. */
bool moment_system_is_through(pl__completion *const *completions, int count, bool writes);

#endif
