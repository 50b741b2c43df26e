/* resolver.h: what the platforms' resolvers share. */
#ifndef PROLOOP_SRC_RESOLVER_H
#define PROLOOP_SRC_RESOLVER_H

#include "worker_pool.h"

/* Adds an address to what a look-up found, unless it stands there: a name may stand in the hosts file twice.
 * PL_OK, PL_ENOMEM. */
int pl__resolve_add(pl__job *job, const pl_address *address);

/* Text that the system gave as UTF-8 into a buffer of PL_HOST_NAME_SIZE bytes; its length, or PL_ENAMETOOLONG. */
int64_t pl__resolve_name(char *name, const char *text);

#endif
