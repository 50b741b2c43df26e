/* dump.h: dumps on demand, of all loops in debug mode at once.
 *
 * The demand is a key of the terminal: Ctrl-\ (SIGQUIT) on Unix, Ctrl-Break on Windows. It is watched while there is a
 * loop in debug mode.
 */
#ifndef PROLOOP_SRC_DUMP_H
#define PROLOOP_SRC_DUMP_H

#include "debug.h"

/* From now on a demand dumps this loop too, and no longer. PL_OK, PL_ENOMEM, PL_ELIMIT, PL_EMFILE ... */
int pl__dump_on_demand(pl__debug *debug);
void pl__dump_not_on_demand(pl__debug *debug);

/* Dumps them to standard error, one after another, each within a second. How many there are. Any thread but those that
 * start or end the watch. */
size_t pl__dump_all(void);

/* In a child made by fork: it has none of the loops. */
void pl__dump_forget(void);

/* The platform's: from now on the key calls pl__dump_all, on a thread that is not a loop's; and no longer. */
int pl__dump_key_watch(void);
void pl__dump_key_unwatch(void);

/* The platform's: in a child made by fork, what watched is gone. */
void pl__dump_key_forget(void);

#endif
