/* check.h: assertions that hold in every build.
 *
 * A broken invariant of an event loop surfaces far from its cause, as a lost wake-up or as memory the kernel
 * wrote into after it was freed. So the checks stay in release builds, and a failed one ends the process at
 * once.
 */
#ifndef PL__CHECK_H
#define PL__CHECK_H

#include "compiler.h"

/* Writes "proloop: file:line: message" to stderr and aborts. */
PL__NORETURN PL__PRINTF(3, 4) void pl__panic(const char *file, int line, const char *format, ...);

#define PL__PANIC(...) pl__panic(__FILE__, __LINE__, __VA_ARGS__)
#define PL__CHECK(condition)                                                                                           \
    (PL__LIKELY(condition) ? (void)0 : pl__panic(__FILE__, __LINE__, "check failed: %s", #condition))

#endif
