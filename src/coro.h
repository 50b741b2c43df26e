/* Coroutine objects, from the inside: what a loop does at its end with those that were made in it. */
#ifndef PROLOOP_SRC_CORO_H
#define PROLOOP_SRC_CORO_H

#include <proloop/coro.h>

/* Reports and drops the ones that were not used. Those who have references find them closed. */
void pl__coros_close(pl_loop *loop);

#endif
