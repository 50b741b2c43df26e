/* What is not proloop's, for tests that wait for it: plain sockets and pipes, used by the system's own calls, and on
 * Windows handles.
 */
#ifndef PROLOOP_TESTS_FOREIGN_H
#define PROLOOP_TESTS_FOREIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <proloop/poll.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { FOREIGN_BLOCKS = -2 }; /* a call that would have to wait */

/** Both non-blocking. False: the case has failed. Pass both to foreign_close. */
bool foreign_pair(pl_socket pair[2]);

/** At 127.0.0.1, non-blocking, with a port that the system chooses. */
pl_socket foreign_listen(uint16_t *port);
pl_socket foreign_accept(pl_socket listener);

/** Begins to connect to 127.0.0.1. */
pl_socket foreign_connect(uint16_t port);

/** The error that a connect ended with; 0: none. */
int foreign_error(pl_socket object);

/** Bytes; FOREIGN_BLOCKS; -1: another error; a receive of 0: the end. */
int64_t foreign_send(pl_socket object, const void *data, size_t size);
int64_t foreign_receive(pl_socket object, void *data, size_t size);
bool foreign_send_urgent(pl_socket object);

void foreign_small_send_buffer(pl_socket object);
void foreign_end(pl_socket object);   /* sends no more */
void foreign_reset(pl_socket object); /* closes it, and the connection is reset */
void foreign_close(pl_socket object);

/** A file, opened; false: this system's files are no descriptors. */
bool foreign_file(pl_socket *object);

/** An event; NULL: this system has none. */
void *foreign_event(bool manual);
void foreign_event_set(void *event);
bool foreign_event_is_set(void *event); /* takes it, if it resets itself */
void foreign_event_close(void *event);

/** A semaphore; a timer that is due after so many milliseconds; a thread that ends when the event is set. */
void *foreign_semaphore(int count);
void *foreign_timer(int milliseconds);
void *foreign_thread(void *event);

#ifdef __cplusplus
}
#endif

#endif
