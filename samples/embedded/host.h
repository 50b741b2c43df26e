/* host.h: a program with a loop of its own, in which a loop of proloop is to live: of poll() on Unix, of window messages
 * on Windows. It has work of its own, too: it ticks.
 */
#ifndef SAMPLES_EMBEDDED_HOST_H
#define SAMPLES_EMBEDDED_HOST_H

#include <stdint.h>

#include <proloop/proloop.h>

enum { HOST_TICK = 10 }; /* milliseconds */

/** Runs the host's loop, with `loop` embedded in it, until host_quit. @return ticks, or PL_E... */
int64_t host_run(pl_loop *loop);

/** Ends it soon. The host's thread, for instance in a task of the embedded loop. */
void host_quit(void);

/** Milliseconds until the embedded loop has to run again, rounded up; at most `limit`. */
int host_patience(pl_loop *loop, int limit);

#endif
