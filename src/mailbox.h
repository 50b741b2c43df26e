/* Signals, from the inside: where the system's handlers leave word, and what the loop does with it.
 *
 * Every proactor has a mailbox: for each signal how many watchers its loop has, and how many have arrived so far. A
 * handler finds the proactors in a list of the platform's, counts up in those that want its signal, and wakes them. It is
 * all atomic, so that it may happen inside a handler of Unix. Counts only grow: each watcher knows how far it has come.
 *
 * Signals have the system's own numbers here: SIGINT, CTRL_C_EVENT.
 */
#ifndef PROLOOP_SRC_MAILBOX_H
#define PROLOOP_SRC_MAILBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "atomic.h"

struct pl_loop;

enum { PL__SIGNALS = 128 }; /* numbers below that */

typedef struct pl__mailbox {
    pl__atomic_pointer next; /* pl__proactor; the platform's list of those that want any */
    pl__atomic_u32 arrived;  /* of all signals */
    pl__atomic_u32 wanted[PL__SIGNALS];
    pl__atomic_u32 counts[PL__SIGNALS];
    uint32_t wants;  /* the sum of `wanted`; the loop's thread only */
    uint32_t parked; /* Windows: bits of the events whose handler waits for this loop; guarded by the platform's lock */
} pl__mailbox;

/* In pl__request.flags, for SIGNAL_WATCH and SIGNAL_UNWATCH. */
enum pl__signal_flag { PL__SIGNAL_TAKE_IGNORED = 1, PL__SIGNAL_PASS_ON = 2 };

/* Tells the watchers what has arrived since they were told last. */
void pl__signals_deliver(struct pl_loop *loop);

/* Closes all watchers of the loop. */
void pl__signals_close(struct pl_loop *loop);

#endif
