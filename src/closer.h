/* Closers, from the inside: a list in the loop, in the order in which they were added. */
#ifndef PROLOOP_SRC_CLOSER_H
#define PROLOOP_SRC_CLOSER_H

#include <proloop/closer.h>

/* The loop ends. Closers that are left will not run: they are reported, and idle. */
void pl__closers_end(pl_loop *loop);

#endif
