/* What the adapter needs to watch folders. */
#ifndef PL__POSIX_WATCH_H
#define PL__POSIX_WATCH_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of events, or a negated errno. */
int64_t pl__changes_receive(int descriptor, void *data, size_t size);

#endif
