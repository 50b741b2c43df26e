/* poll.h: what somebody else's descriptor is ready for. */
#ifndef PROLOOP_SRC_POSIX_POLL_H
#define PROLOOP_SRC_POSIX_POLL_H

#include <stdint.h>

/* Which of the events (enum pl_poll_event) are so now, with PL_POLL_ERROR if it is; 0: none; or a negated errno. */
int pl__poll_now(int descriptor, uint32_t events);

/* The same of what the caller says to be a descriptor: -ENOTSUP if it is of a kind that is always ready. */
int pl__poll_first(uintptr_t object, uint32_t events);

/* One more descriptor of the same, not inherited, or a negated errno as above. */
int pl__poll_duplicate(uintptr_t object);

#endif
