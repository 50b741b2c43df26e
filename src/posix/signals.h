/* signals.h: the signals of the process, told to proactors. */
#ifndef PROLOOP_SRC_POSIX_SIGNALS_H
#define PROLOOP_SRC_POSIX_SIGNALS_H

#include "../proactor.h"

/* For a run: from now on SIGINT and SIGTERM count up proactor->interrupts and wake it, where the program leaves them to
 * the system and nobody watches them. 0, or a negated errno: -EBUSY, another one watches. */
int pl__interrupt_watch(pl__proactor *proactor);

/* None of our handlers still has to do with it. Does nothing if it does not watch. */
void pl__interrupt_unwatch(pl__proactor *proactor);

/* The SIGNAL_ requests; a negated errno, or >= 0. */
int pl__signal_watch(pl__proactor *proactor, pl__request *request);
int pl__signal_unwatch(pl__proactor *proactor, pl__request *request);

#endif
