/* proloop/net.h: addresses, and TCP: listening, accepting, connecting.
 *
 * What a connection carries is read and written through a pl_stream (stream.h).
 */
#ifndef PROLOOP_NET_H
#define PROLOOP_NET_H

#include <proloop/base.h>
#include <proloop/op.h>
#include <proloop/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pl_family { PL_IPV4 = 4, PL_IPV6 = 6 };

/** An IP address and a port, the same on every system. Zeroed: none. */
struct pl_address {
    uint8_t family; /* PL_IPV4, PL_IPV6, 0: none */
    uint8_t reserved;
    uint16_t port;  /* in the machine's byte order */
    uint32_t scope; /* IPv6 zone; 0: none */
    uint8_t ip[16]; /* in network byte order; IPv4 uses the first four */
};

typedef struct pl_address pl_address;

enum { PL_ADDRESS_TEXT_SIZE = 64 /* enough for "[IPv6%zone]:65535" and its NUL */ };

/** Reads an address in text form, "127.0.0.1", "::1" or "fe80::1%2", without asking any name server. Any thread.
 *  @return PL_OK; PL_EINVAL: it is not an address, and *address is unchanged. */
PL_API int pl_address_parse(pl_address *address, const char *text, uint16_t port);

/** Writes "127.0.0.1:80" or "[::1]:80". Any thread.
 *  @return the length without the NUL; PL_EINVAL: no address, or `size` is too small (PL_ADDRESS_TEXT_SIZE never
 *  is). */
PL_API int pl_address_format(const pl_address *address, char *text, size_t size);

/** Resolves a name without blocking the loop. Task call (suspends).
 *  @param host  UTF-8 name or address in text form; NULL: the wildcard address
 *  @param family  PL_IPV4, PL_IPV6, or 0 for both
 *  @param addresses  room for `capacity` of them; in the order the system prefers
 *  @return how many were found and stored (>= 1); PL_ENAME, PL_ENAMEAGAIN, PL_ECANCELED, ... Cancel: abandonable;
 *  the system's call runs on unobserved. asyncio: loop.getaddrinfo. */
PL_API int64_t pl_resolve(const char *host, uint16_t port, int family, pl_address *addresses, size_t capacity);

/** The same, started: the result arrives by the operation. `addresses` must live until it is done. */
PL_API int pl_resolve_start(pl_op *op, const char *host, uint16_t port, int family, pl_address *addresses,
                            size_t capacity);

typedef struct pl_listener pl_listener;

typedef struct pl_listen_options {
    size_t size;              /* sizeof(pl_listen_options) */
    int backlog;              /* connections the system keeps for us; 0: 511 */
    int reuse_port;           /* nonzero: several listeners share the port (Linux, macOS; PL_ENOTSUP elsewhere) */
    int ipv6_only;            /* nonzero: "::" does not take IPv4 */
    pl_duration emfile_pause; /* how long to stop accepting when handles run out; 0: 1 s */
} pl_listen_options;

/** Listens for TCP connections. On Windows the port is taken exclusively; on Unix one in TIME_WAIT is reused.
 *  @param listener  gets the listener, bound to the running loop
 *  @param host  an address in text form, or a name (then this is a task call and suspends); NULL: every address
 *  @param port  0: the system chooses; pl_listener_address tells
 *  @param options  NULL: defaults
 *  @return PL_OK, PL_EADDRINUSE, PL_EADDRNOTAVAIL, PL_EACCES, PL_EINVAL, PL_ENOLOOP, ... asyncio:
 *  loop.create_server; Win32: socket, bind, listen. */
PL_API int64_t pl_tcp_listen(pl_listener **listener, const char *host, uint16_t port, const pl_listen_options *options);

/** Where it listens, the port the system chose included. */
PL_API int pl_listener_address(pl_listener *listener, pl_address *address);

/** Waits for a connection. Task call (suspends). Several accepts are always under way in the system; what they took
 *  waits here, so a cancel loses no connection. A peer that left before it was accepted is passed over. Without
 *  handles (PL_EMFILE) accepting pauses and goes on.
 *  @return PL_OK and a stream of this loop, which the caller owns; PL_ECLOSED: the listener was closed;
 *  PL_ECANCELED. */
PL_API int64_t pl_accept(pl_listener *listener, pl_stream **stream);

/** The same, started. The stream stands in *stream when the operation is done with PL_OK. */
PL_API int pl_accept_start(pl_op *op, pl_listener *listener, pl_stream **stream);

/** Stops listening and gives the owner's reference back; waiting accepts get PL_ECLOSED, connections nobody took are
 *  reset. Never suspends, never fails. On Windows the port is free again when the loop has gone round. NULL is
 *  allowed. */
PL_API void pl_listener_close(pl_listener *listener);

/** A listener that was closed stays valid (its calls give PL_ECLOSED) while references are held: a task that accepts
 *  holds one if another may close. */
PL_API pl_listener *pl_listener_ref(pl_listener *listener);
PL_API void pl_listener_unref(pl_listener *listener);

typedef struct pl_connect_options {
    size_t size;             /* sizeof(pl_connect_options) */
    const pl_address *local; /* the address to come from; NULL: the system chooses */
} pl_connect_options;

/** Connects to a TCP server. Task call (suspends). A name is resolved off the loop's thread; its addresses are tried
 *  one after another, and the last one's error is returned.
 *  @return PL_OK and a stream of the running loop, which the caller owns; PL_ECONNREFUSED, PL_ECONNTIMEDOUT,
 *  PL_ENAME, PL_ECANCELED (then nothing is left open), ... asyncio: open_connection; Win32: ConnectEx. */
PL_API int64_t pl_tcp_connect(pl_stream **stream, const char *host, uint16_t port, const pl_connect_options *options);

/** Connects to one address, started. The stream stands in *stream when the operation is done with PL_OK. */
PL_API int pl_tcp_connect_start(pl_op *op, pl_stream **stream, const pl_address *address,
                                const pl_connect_options *options);

#ifdef __cplusplus
}
#endif

#endif
