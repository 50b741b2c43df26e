/* interrupt.h: Ctrl-C and its kin (SIGINT, SIGTERM), told to one proactor of the process. */
#ifndef PROLOOP_SRC_POSIX_INTERRUPT_H
#define PROLOOP_SRC_POSIX_INTERRUPT_H

#include "../proactor.h"

/* From now on they count up proactor->interrupts and wake it. 0, or a negated errno: -EBUSY, another one
 * watches. */
int pl__interrupt_watch(pl__proactor *proactor);

/* The handlers of before are in place again, and none of ours still runs. Does nothing if it does not watch.
 */
void pl__interrupt_unwatch(pl__proactor *proactor);

#endif
