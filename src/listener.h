/* Listeners, from the inside. The model stands in listener.c. */
#ifndef PROLOOP_SRC_LISTENER_H
#define PROLOOP_SRC_LISTENER_H

#include <proloop/net.h>

#include "op.h"
#include "timer.h"

/* Listens on an address. */
int pl__listener_create(pl_listener **listener, pl_loop *loop, const pl_address *address,
                        const pl_listen_options *options);

/* Listens as a request says, SOCKET_LISTEN or PIPE_LISTEN; its handle is filled in. `pause` 0: the default. */
int pl__listener_create_by(pl_listener **listener, pl_loop *loop, const pl__request *request, pl_duration pause);

/* Closes all listeners of the loop. */
void pl__listeners_close(pl_loop *loop);

#endif
