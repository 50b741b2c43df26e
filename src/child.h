/* A child: a process started from this program's own executable, and the pipes to it.
 *
 * The child finds in its arguments one that begins with PL__CHILD_OPTION, and attaches itself to the other ends by it. The
 * same struct serves both sides. All calls block; only `kill` may be called by another thread than the one that reads
 * and writes, and not once `end` has begun.
 *
 * A child inherits standard output and error and its end of the pipes. Its standard input is empty.
 */
#ifndef PROLOOP_SRC_CHILD_H
#define PROLOOP_SRC_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PL__CHILD_OPTION "--proloop-worker="

typedef union pl__child {
    uint64_t space[8];
    void *align;
} pl__child;

/* Notes how this program was called, for systems that cannot tell its executable. */
void pl__child_remember_program(const char *program);

/* PL_OK or why there is none. */
int pl__child_start(pl__child *child);

/* In the child: `option` is that argument. False: it is none of ours. From now on interrupts of the keyboard are
 * ignored, nothing of the pipes is inherited further, and the end of the parent ends this process where the system can
 * do that; if not, reading comes to its end. */
bool pl__child_attach(pl__child *parent, const char *option);

/* All of it, or false: the other side has gone. */
bool pl__child_write(pl__child *child, const void *data, size_t size);
bool pl__child_read(pl__child *child, void *data, size_t size);

/* Whether it has gone, or sends what it was not asked for, as far as one can see without waiting. */
bool pl__child_has_gone(pl__child *child);

/* Ends it at once; who reads from it or writes to it gets false. */
void pl__child_kill(pl__child *child);

/* Closes the pipe to it, which asks it to end, waits `limit` nanoseconds at most, kills it if it is still there, waits for
 * its end and closes all that is left. */
void pl__child_end(pl__child *child, int64_t limit);

#endif
