/* tcp.h: the system's socket calls, as the selector adapter needs them.
 *
 * Each returns what the system call returns, or the negated errno: -EAGAIN where it would have to wait. No
 * call blocks, and no call raises SIGPIPE. */
#ifndef PROLOOP_SRC_POSIX_TCP_H
#define PROLOOP_SRC_POSIX_TCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <proloop/net.h>

/* The descriptor of a new socket: non-blocking, not inherited; bound to `local` if that has a family. */
int pl__tcp_open(uint8_t family, const pl_address *local);
int pl__tcp_listen(const pl_address *address, int backlog, uint8_t flags); /* flags: enum pl__listen_flag */

/* The descriptor of the next connection; those that broke before they were taken are passed over. */
int pl__tcp_accept(int listener, pl_address *peer);

/* 0: connected; -EINPROGRESS: the socket becomes writable, and then the second one tells how it ended. */
int pl__tcp_connect(int descriptor, const pl_address *address);
int pl__tcp_connect_result(int descriptor);

/* With size 0: 0 if there is something to receive. */
int64_t pl__tcp_receive(int descriptor, void *data, size_t size);

/* From `offset` in the first buffer. *complete: all that was asked of the system went out. */
int64_t pl__tcp_send(int descriptor, const pl_buffer *buffers, size_t count, size_t offset, bool *complete);

/* Reads the file's disk, so never on the loop's thread. 0: the file ends at `offset`. */
int64_t pl__tcp_send_file(int descriptor, int file, int64_t offset, size_t size);

int pl__tcp_shut_down(int descriptor);
int pl__tcp_set_option(int descriptor, uint8_t option, int64_t value); /* enum pl__socket_option */
int pl__tcp_name(int descriptor, pl_address *address);
int pl__tcp_peer(int descriptor, pl_address *address);

#endif
