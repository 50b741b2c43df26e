/* proloop/net.h: TCP: listening, accepting, connecting.
 *
 * What a connection carries is read and written through a pl_stream (stream.h).
 */
#ifndef PROLOOP_NET_H
#define PROLOOP_NET_H

#include <proloop/address.h>
#include <proloop/base.h>
#include <proloop/dns.h>
#include <proloop/op.h>
#include <proloop/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

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

/** One attempt to connect, as told by a report. */
typedef struct pl_connect_attempt {
    pl_address address;
    pl_duration begun; /* when it was begun, after the call was made */
    int64_t result; /* PL_OK of the one that was taken; why it failed; PL_ECANCELED: given up, as another one was taken
                          or the call was cancelled */
    int32_t system_error;
} pl_connect_attempt;

/** What became of each attempt. The caller's, filled in when the call returns. */
typedef struct pl_connect_report {
    pl_connect_attempt *attempts; /* room for `capacity` of them; in the order in which they were begun */
    size_t capacity;
    size_t count; /* how many were begun, those beyond the capacity included */
} pl_connect_report;

typedef struct pl_connect_options {
    size_t size;             /* sizeof(pl_connect_options) */
    const pl_address *local; /* the address to come from; NULL: the system chooses. Addresses of the other family are
                                passed over; with a port the attempts are made one after another */
    int family;              /* PL_IPV4, PL_IPV6: only that one; 0: both */
    int first_family_count; /* so many of the family that comes first, then the families take turns. 0: one by name, and
                                for pl_tcp_connect_any the order that was given */
    pl_duration attempt_delay; /* how long until the next address is tried beside one that does not answer; 0: 250 ms;
                                  at least 10 ms, at most 2 s; PL_FOREVER: one after another */
    pl_duration
        resolution_delay;      /* by name: how long a look-up may take until both families are asked for by themselves,
                                     and how long a first answer for IPv4 waits for that for IPv6; 0: 50 ms */
    pl_connect_report *report; /* NULL: not wanted. Not for pl_tcp_connect_start */
} pl_connect_options;

/** Connects to a TCP server by name, as RFC 8305 has it ("happy eyeballs"). Task call (suspends). The name's addresses are
 *  tried in the order the system prefers, with the families taking turns; an address that does not answer soon is not
 *  given up, but the next one tried beside it, and one that fails is followed by the next at once. The first connection
 *  that stands is taken. Before the call returns all other attempts have ended and are closed.
 *  @return PL_OK and a stream of the running loop, which the caller owns; PL_ENAME and others of pl_resolve;
 *  PL_EADDRNOTAVAIL: no address is of the family of `local`; PL_ECANCELED (then nothing is left open); PL_ECONNREFUSED,
 *  PL_ECONNTIMEDOUT, ...: all failed. Of their errors it is the one of the address that was tried first; but those that
 *  only say that there is no way from this machine (PL_ENETUNREACH, PL_ENETDOWN, PL_EADDRNOTAVAIL, PL_EAFNOSUPPORT) yield to
 *  others. The report has them all. asyncio: open_connection; Win32: ConnectEx. */
PL_API int64_t pl_tcp_connect(pl_stream **stream, const char *host, uint16_t port, const pl_connect_options *options);

/** The same for addresses that are known, in the order in which they are to be tried. Task call (suspends).
 *  @param addresses  `count` of them, >= 1, each with its port
 *  @return as pl_tcp_connect; PL_EINVAL. */
PL_API int64_t pl_tcp_connect_any(pl_stream **stream, const pl_address *addresses, size_t count,
                                  const pl_connect_options *options);

/** Connects to one address, started. The stream stands in *stream when the operation is done with PL_OK.
 *  @param options  only `local` counts */
PL_API int pl_tcp_connect_start(pl_op *op, pl_stream **stream, const pl_address *address,
                                const pl_connect_options *options);

#ifdef __cplusplus
}
#endif

#endif
