/* The system handles (file descriptors) that this process has open. */
#ifndef PROLOOP_TESTS_HANDLES_H
#define PROLOOP_TESTS_HANDLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { HANDLES_MAX = 16384 };

typedef struct handle_set {
    size_t count;
    uintptr_t values[HANDLES_MAX]; /* in no order */
} handle_set;

/** Uses once what the system opens handles for that it then keeps: the network, name look-up, its threads. */
void handles_warm_up(void);

/** Takes down what is open now. False: that cannot be learnt. */
bool handles_take(handle_set *set);

/** Whether as much is open as before; where the system closes handles of its own accord, no more than before.
 */
bool handles_restored(const handle_set *before, const handle_set *after);

/** What a handle is of, for a person: "socket:[4711]", "File". */
void handles_describe(uintptr_t value, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
