/* The other end of a TCP connection, by the system's own calls: nothing here suspends, or lets a loop go on. */
#ifndef PROLOOP_TESTS_PEERS_H
#define PROLOOP_TESTS_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A socket; zeroed: none. */
typedef struct peer {
    uintptr_t object; /* the system's, plus one */
} peer;

/** Connects to 127.0.0.1: the listener's backlog takes it in. */
bool peer_connect(peer *end, uint16_t port);

/** Sends a little, all of it. */
bool peer_send(peer *end, const void *data, size_t size);

/** What has arrived: bytes; 0: nothing now; -1: the end, or an error. */
int64_t peer_receive(peer *end, void *data, size_t size);

/** Makes a socket that listens at 127.0.0.1 with room for very few. */
bool peer_listen(peer *listener, uint16_t *port);

/** NULL and none are allowed. */
void peer_close(peer *end);

/** What lies in a pipe, at the end that is the system's `object` (non-blocking; on Windows overlapped): bytes; 0: nothing
 *  now; -1: the end, or an error. Of a pipe that keeps messages: one of them. */
int64_t pipe_take(uintptr_t object, void *data, size_t size);

#ifdef __cplusplus
}
#endif

#endif
