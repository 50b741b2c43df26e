/* What tests need to know of the system they run on, and set. */
#ifndef PROLOOP_TESTS_SYSTEM_H
#define PROLOOP_TESTS_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Windows programs may run under Wine, which differs in places. */
bool system_is_wine(void);

/** Valgrind runs programs on a processor of its own, and differs in places. */
bool system_is_valgrind(void);

/** Lets the process open so many handles, or as many as it may. @return how many that are. */
size_t system_allow_handles(size_t wanted);

#ifdef __cplusplus
}
#endif

#endif
