/* proloop/udp.h: datagrams: UDP sockets, connected or not, single datagrams and many at once, multicast.
 *
 * A datagram arrives whole, or cut to the room there is (which is told), or not at all. An empty one is a datagram like
 * any other: a receive of 0 bytes is no end. Receives that wait are served first in first out, and so are sends.
 *
 *     pl_udp *udp;
 *     pl_datagram_info info;
 *     pl_udp_open(&udp, &local, NULL);
 *     while ((n = pl_udp_receive(udp, data, sizeof data, &info)) >= 0)
 *         pl_udp_send(udp, data, (size_t)n, &info.peer);
 *     pl_udp_close(udp);
 *
 * IPv4 addresses are always shown as such: a socket that takes both IPv6 and IPv4 tells 127.0.0.1, not ::ffff:127.0.0.1,
 * and sends to either.
 *
 * What a network reports of datagrams sent earlier ("nobody listens at that port") never stops an unconnected socket: it
 * is passed over. A connected one is told once, by its next receive; its sends are not told, and go out.
 *
 * Either it happened or it did not: a receive that returns PL_ECANCELED took no datagram, and one that was taken in
 * spite of the cancel is returned.
 */
#ifndef PROLOOP_UDP_H
#define PROLOOP_UDP_H

#include <proloop/address.h>
#include <proloop/base.h>
#include <proloop/op.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_udp pl_udp;

enum {
    PL_DATAGRAM_MAX = 65507,     /* bytes of the largest datagram that is sent */
    PL_DATAGRAM_BUFFERS_MAX = 64 /* buffers of one vectored send or receive */
};

typedef struct pl_udp_options {
    size_t size;        /* sizeof(pl_udp_options) */
    int reuse_address;  /* nonzero: several sockets of this machine share the port, if each asks for it: each gets what
                              is multicast or broadcast; which one gets the rest is the system's choice */
    int ipv6_only;      /* nonzero: an IPv6 socket takes and reaches no IPv4 */
    int broadcast;      /* nonzero: may send to broadcast addresses */
    int destination;    /* nonzero: receives tell to which address and on which interface a datagram came */
    size_t send_buffer; /* bytes in the system; 0: its default */
    size_t receive_buffer; /* likewise; datagrams that find it full are lost */
} pl_udp_options;

/** Opens a UDP socket and binds it. Does not suspend. On Windows the port is taken exclusively unless `reuse_address`.
 *  @param udp  gets the socket, of the running loop; the caller owns it
 *  @param local  the address to be bound to; port 0: the system chooses, and pl_udp_address tells. NULL: every address,
 *  IPv6 and IPv4 (IPv4 alone where there is no IPv6), a port that the system chooses
 *  @param options  NULL: defaults
 *  @return PL_OK, PL_EADDRINUSE, PL_EADDRNOTAVAIL, PL_EACCES, PL_EAFNOSUPPORT, PL_EMFILE, PL_ENOMEM, PL_EINVAL,
 *  PL_ENOLOOP, PL_ENOTSUP (the simulated backend).   asyncio: loop.create_datagram_endpoint; Win32: WSASocket, bind. */
PL_API int pl_udp_open(pl_udp **udp, const pl_address *local, const pl_udp_options *options);

/** Chooses the one peer of the socket: datagrams of others are no longer received (those that lie in the system already
 *  are), and sends need no address. NULL: it has none any more, and keeps its port. A failure leaves it without a peer.
 *  Does not suspend.
 *  @return PL_OK; PL_EAFNOSUPPORT: not an address that this socket reaches; PL_EINVAL: no address, or port 0; PL_EBUSY:
 *  sends are under way; PL_ENETUNREACH, PL_ECLOSED, ...   POSIX, Win32: connect. */
PL_API int pl_udp_connect(pl_udp *udp, const pl_address *peer);

/** Where it is bound, the port that the system chose included. */
PL_API int pl_udp_address(pl_udp *udp, pl_address *address);

/** Its one peer. PL_ENOTCONN: it has none. */
PL_API int pl_udp_peer_address(pl_udp *udp, pl_address *address);

/** Closes, and gives the owner's reference back: whoever waits gets PL_ECLOSED, sends that wait are dropped. Never
 *  suspends, never fails. On Windows the port is free again when the loop has gone round. NULL is allowed. */
PL_API void pl_udp_close(pl_udp *udp);

/** pl_udp_close, as a drop function. */
PL_API void pl_udp_drop(void *udp);

/** A socket that was closed stays valid (its calls give PL_ECLOSED) while references are held. */
PL_API pl_udp *pl_udp_ref(pl_udp *udp);
PL_API void pl_udp_unref(pl_udp *udp);

/* --- Receiving ---------------------------------------------------------------------------------------------------- */

/** What is known of a datagram. */
typedef struct pl_datagram_info {
    pl_address peer;  /* who sent it; in pl_udp_send_many: to whom it goes (zeroed: the socket's one peer) */
    pl_address local; /* received, with the option `destination`: the address it was sent to; else none. Port 0 */
    uint32_t interface_index; /* likewise: the interface it came by; 0: not known */
    int truncated;            /* received: it was larger than the room, and the rest is lost */
    size_t full_size;         /* received: its size when it was sent, in bytes; where the system does not tell (neither
                            Windows nor Linux) it is at least that */
} pl_datagram_info;

/** Receives a datagram. Task call (suspends). One that is larger than the room is cut, which is no error.
 *  @param size  bytes of room; at least 1
 *  @param info  gets who sent it, and whether it was cut; NULL: not wanted
 *  @return the bytes stored, 0 for an empty datagram; on a connected socket also PL_ECONNREFUSED, PL_EHOSTUNREACH and
 *  the like, of an earlier send (receiving goes on with the next call); PL_ECLOSED, PL_ECANCELED (no datagram was taken),
 *  PL_EINVAL. Several may wait at a time.   asyncio: DatagramProtocol.datagram_received; Win32: WSARecvFrom,
 *  WSARecvMsg; POSIX: recvmsg. */
PL_API int64_t pl_udp_receive(pl_udp *udp, void *data, size_t size, pl_datagram_info *info);

/** The same, started. `data` and `info` must live until it is done. */
PL_API int pl_udp_receive_start(pl_op *op, pl_udp *udp, void *data, size_t size, pl_datagram_info *info);

/** Some room for bytes that are to be received. */
typedef struct pl_room {
    void *data;
    size_t size;
} pl_room;

/** Receives one datagram into several pieces of room, one filled after the other; at most PL_DATAGRAM_BUFFERS_MAX. Task
 *  call (suspends). `rooms` itself must live until it is done, too. */
PL_API int64_t pl_udp_receive_buffers(pl_udp *udp, const pl_room *rooms, size_t count, pl_datagram_info *info);
PL_API int pl_udp_receive_buffers_start(pl_op *op, pl_udp *udp, const pl_room *rooms, size_t count,
                                        pl_datagram_info *info);

/** One datagram of many. */
typedef struct pl_datagram {
    void *data;            /* received into, or sent from: then it is not written to */
    size_t capacity;       /* for receiving: bytes of room at `data`, at least 1 */
    size_t size;           /* bytes received; for sending: bytes to send */
    pl_datagram_info info; /* who sent it, ...; for sending: to whom it goes */
} pl_datagram;

/** Receives several datagrams with one wait: waits for the first, and takes with it those that are there. Task call
 *  (suspends). What was received may be given to pl_udp_send_many as it is: it goes back to its senders.
 *  @param datagrams  `data` and `capacity` are read; the first ones get `size` and `info`
 *  @return how many were received, 1 to `count`; errors as pl_udp_receive.   Linux: recvmmsg. */
PL_API int64_t pl_udp_receive_many(pl_udp *udp, pl_datagram *datagrams, size_t count);
PL_API int pl_udp_receive_many_start(pl_op *op, pl_udp *udp, pl_datagram *datagrams, size_t count);

/* --- Sending ------------------------------------------------------------------------------------------------------ */

/** Sends a datagram. Task call (suspends only while the system takes no more).
 *  @param to  where to; NULL: to the socket's one peer. On a connected socket it must be that one
 *  @return PL_OK: the system has it (which says nothing of its arrival); PL_EMSGSIZE: more than PL_DATAGRAM_MAX, or more
 *  than the network takes; PL_EACCES: a broadcast, and not allowed; PL_ENOTCONN: no address; PL_ESTATE: connected to
 *  another; PL_EAFNOSUPPORT: not an address that this socket reaches; PL_EHOSTUNREACH, PL_ENETUNREACH; PL_ENOBUFS: the
 *  system has no room, not sent; PL_ECLOSED; PL_ECANCELED: not sent.   asyncio: DatagramTransport.sendto; Win32:
 *  WSASendTo; POSIX: sendmsg. */
PL_API int64_t pl_udp_send(pl_udp *udp, const void *data, size_t size, const pl_address *to);

/** The same, started. `data` must live until it is done, `to` need not. */
PL_API int pl_udp_send_start(pl_op *op, pl_udp *udp, const void *data, size_t size, const pl_address *to);

/** Sends several buffers as one datagram; at most PL_DATAGRAM_BUFFERS_MAX. `buffers` itself must live until it is done. */
PL_API int64_t pl_udp_send_buffers(pl_udp *udp, const pl_buffer *buffers, size_t count, const pl_address *to);
PL_API int pl_udp_send_buffers_start(pl_op *op, pl_udp *udp, const pl_buffer *buffers, size_t count,
                                     const pl_address *to);

/** Sends many datagrams, in their order, with as few system calls as it takes. Task call (suspends while the system takes
 *  no more). All are checked before the first is sent.
 *  @param datagrams  `data`, `size` and `info.peer` are read
 *  @return how many were sent: fewer than `count` if one failed or a cancel came; the error if it was the first. What is
 *  wrong with the next one its own send tells.   Linux: sendmmsg. */
PL_API int64_t pl_udp_send_many(pl_udp *udp, const pl_datagram *datagrams, size_t count);
PL_API int pl_udp_send_many_start(pl_op *op, pl_udp *udp, const pl_datagram *datagrams, size_t count);

/* --- Multicast and settings. None of these suspends. -------------------------------------------------------------- */

typedef struct pl_multicast_options {
    size_t size;                         /* sizeof(pl_multicast_options) */
    uint32_t interface_index;            /* 0: as the address says, or the system chooses */
    const pl_address *interface_address; /* IPv4 only: an address of the interface; NULL: none */
    const pl_address *source;            /* only what this host sends; NULL: what anybody sends */
} pl_multicast_options;

/** Becomes a member of a group, from now on until it leaves or is closed. A socket gets only what was sent to groups that
 *  it joined itself. The port counts, too: bind to the group's port, with `reuse_address` if others listen to it.
 *  @param group  its port is not looked at. An IPv4 group wants an IPv4 socket, an IPv6 group one of IPv6
 *  @param options  NULL: an interface of the system's choice, any source
 *  @return PL_OK; PL_EINVAL: not a group; PL_EAFNOSUPPORT; PL_EADDRINUSE: it is a member; PL_ENOENT,
 *  PL_EADDRNOTAVAIL: no such interface; PL_ENOBUFS, PL_ECLOSED.   POSIX, Win32: IP_ADD_MEMBERSHIP,
 *  MCAST_JOIN_SOURCE_GROUP. */
PL_API int pl_udp_join(pl_udp *udp, const pl_address *group, const pl_multicast_options *options);

/** Leaves a group, with the options it was joined with. PL_EADDRNOTAVAIL: it is no member. */
PL_API int pl_udp_leave(pl_udp *udp, const pl_address *group, const pl_multicast_options *options);

/** By which interface multicast datagrams leave: an index, or for IPv4 an address of it. 0 and NULL: the system
 *  chooses. */
PL_API int pl_udp_set_multicast_interface(pl_udp *udp, uint32_t index, const pl_address *address);

/** How many hops a multicast datagram goes (1 unless set): 0 (this machine) to 255. */
PL_API int pl_udp_set_multicast_hops(pl_udp *udp, int hops);

/** Whether what it sends to a group comes to this machine, too (unless set, it does). Unix asks the sending socket, Windows
 *  the receiving one: set it on both. */
PL_API int pl_udp_set_multicast_loopback(pl_udp *udp, int on);

/** How many hops other datagrams go (TTL, hop limit): 1 to 255. */
PL_API int pl_udp_set_hops(pl_udp *udp, int hops);

/** Whether it may send to broadcast addresses. */
PL_API int pl_udp_set_broadcast(pl_udp *udp, int on);

/** The sizes of the system's buffers, in bytes; 0 leaves one as it is. */
PL_API int pl_udp_set_buffers(pl_udp *udp, size_t send, size_t receive);

#ifdef __cplusplus
}
#endif

#endif
