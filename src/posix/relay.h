/* relay.h: a thread that tells a host when a descriptor becomes readable, for hosts that cannot watch it themselves. */
#ifndef PROLOOP_SRC_POSIX_RELAY_H
#define PROLOOP_SRC_POSIX_RELAY_H

typedef struct pl__relay pl__relay;

/* PL_OK, PL_ENOMEM, PL_ELIMIT. It does not look before it is armed. */
int pl__relay_start(pl__relay **relay, int descriptor, void (*ready)(void *context), void *context);

/* The next time that it is readable, or at once if it is, ready(context) is called, once, on the thread. */
void pl__relay_arm(pl__relay *relay);

/* `interrupt(arg)` makes the descriptor readable. After this no call comes. */
void pl__relay_stop(pl__relay *relay, void (*interrupt)(void *arg), void *arg);

#endif
