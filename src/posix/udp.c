/* udp.c: the system's datagram calls.
 *
 * Linux moves many datagrams by one call; elsewhere there is a call for each, and the loops around it stand in for that.
 * Systems differ in what they tell beside a datagram (by which control message its destination, and whether its full
 * size), in what shares a port, and in what is lost when a socket is disconnected.
 */
#include "udp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../check.h"
#include "../udp.h"
#include "address.h"
#include "socket.h"

#if defined(MSG_NOSIGNAL)
enum { SEND_FLAGS = MSG_NOSIGNAL };
#else
enum { SEND_FLAGS = 0 };
#endif

#if defined(__linux__)
enum { RECEIVE_FLAGS = MSG_TRUNC }; /* the result is the datagram's full size */
#else
enum { RECEIVE_FLAGS = 0 };
#endif

enum { BATCH = 32 /* datagrams of one call */ };

/* One datagram of a call. */
typedef struct pl__message {
    struct msghdr header;
    unsigned size; /* what the call says of it */
} pl__message;

/* What one datagram's message points to. */
typedef struct pl__parcel {
    struct iovec vector;
    pl__sockaddr address;
    union {
        char space[CMSG_SPACE(sizeof(struct in6_pktinfo)) + CMSG_SPACE(sizeof(struct in_addr)) + 64];
        size_t align;
    } control;
} pl__parcel;

/* --- Opening ------------------------------------------------------------------------------------------------------ */

/* Linux lets two sockets share a port by SO_REUSEADDR; others want the port to be reusable, too. */
static int set_reuse_address(int descriptor)
{
    int rc = pl__socket_set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
#if defined(SO_REUSEPORT) && !defined(__linux__)
    if (rc == 0)
        rc = pl__socket_set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
#endif
    return rc;
}

static int ask_for_destination(int descriptor, uint8_t family)
{
    if (family == PL_IPV6)
        return pl__socket_set(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO,
                              1); /* IPv4 datagrams tell it in the same form */
#if defined(IP_RECVPKTINFO)
    return pl__socket_set(descriptor, IPPROTO_IP, IP_RECVPKTINFO, 1);
#elif defined(IP_PKTINFO)
    return pl__socket_set(descriptor, IPPROTO_IP, IP_PKTINFO, 1);
#elif defined(IP_RECVDSTADDR)
    return pl__socket_set(descriptor, IPPROTO_IP, IP_RECVDSTADDR, 1);
#else
    return -ENOTSUP;
#endif
}

/* Linux would give a socket what came for any group that any program joined. Older kernels lack it for IPv6. */
static void want_own_groups_only(int descriptor, uint8_t family)
{
#if defined(IP_MULTICAST_ALL)
    if (family == PL_IPV4)
        (void)pl__socket_set(descriptor, IPPROTO_IP, IP_MULTICAST_ALL, 0);
#endif
#if defined(IPV6_MULTICAST_ALL)
    if (family == PL_IPV6)
        (void)pl__socket_set(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0);
#endif
    PL__UNUSED(descriptor);
    PL__UNUSED(family);
}

static int set_open_options(int descriptor, uint8_t family, uint8_t flags)
{
    int rc = 0;
    if (flags & PL__DATAGRAM_REUSE_ADDRESS)
        rc = set_reuse_address(descriptor);
    if (rc == 0 && family == PL_IPV6)
        rc = pl__socket_set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, (flags & PL__DATAGRAM_IPV6_ONLY) != 0);
    if (rc == 0 && (flags & PL__DATAGRAM_BROADCAST))
        rc = pl__socket_set(descriptor, SOL_SOCKET, SO_BROADCAST, 1);
    if (rc == 0 && (flags & PL__DATAGRAM_DESTINATION))
        rc = ask_for_destination(descriptor, family);
    want_own_groups_only(descriptor, family);
    return rc;
}

int pl__udp_open(const pl_address *local, uint8_t flags)
{
    int descriptor = pl__socket_open(local->family, SOCK_DGRAM, IPPROTO_UDP);
    if (descriptor < 0)
        return descriptor;
    int rc = set_open_options(descriptor, local->family, flags);
    if (rc == 0)
        rc = pl__socket_bind(descriptor, local);
    return rc < 0 ? pl__close_after(descriptor, rc) : descriptor;
}

/* --- Connecting --------------------------------------------------------------------------------------------------- */

static int name_of(int descriptor, pl_address *address)
{
    pl__sockaddr system = {.any.sa_family = AF_UNSPEC};
    socklen_t length = (socklen_t)sizeof system;
    if (getsockname(descriptor, &system.any, &length) < 0)
        return -errno;
    pl__address_from_system(address, &system);
    return 0;
}

/* Linux takes a port away with the peer if it was the system that chose it: it is bound anew. BSDs say that they do not
 * know the family, and do it. */
static int disconnect(int descriptor)
{
    struct sockaddr none = {.sa_family = AF_UNSPEC};
    pl_address before, after;
    int rc = name_of(descriptor, &before);
    if (rc == 0 && connect(descriptor, &none, (socklen_t)sizeof none) < 0 && errno != EAFNOSUPPORT)
        rc = -errno;
    if (rc == 0)
        rc = name_of(descriptor, &after);
    if (rc < 0 || after.port != 0)
        return rc;
    after.port = before.port;
    return pl__socket_bind(descriptor, &after);
}

/* The socket's form of an address. */
static socklen_t address_for(uint8_t family, const pl_address *address, pl__sockaddr *system)
{
    pl_address mapped = family == PL_IPV6 ? pl__address_mapped(address) : *address;
    return pl__address_to_system(&mapped, system);
}

static bool has_peer(int descriptor)
{
    pl__sockaddr system;
    socklen_t length = (socklen_t)sizeof system;
    return getpeername(descriptor, &system.any, &length) == 0;
}

/* Disconnected first: a socket that was connected would keep the local address that it had for the old peer. Only then, as
 * it may have no port meanwhile. */
int pl__udp_connect(int descriptor, uint8_t family, const pl_address *peer)
{
    pl__sockaddr system;
    int rc = has_peer(descriptor) ? disconnect(descriptor) : 0;
    if (rc < 0 || peer->family == 0)
        return rc;
    socklen_t length = address_for(family, peer, &system);
    return connect(descriptor, &system.any, length) < 0 ? -errno : 0;
}

/* --- Receiving ---------------------------------------------------------------------------------------------------- */

static int64_t or_error(int64_t count)
{
    if (count >= 0)
        return count;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

#if defined(__linux__)

PL__STATIC_ASSERT(sizeof(pl__message) == sizeof(struct mmsghdr), "one call takes many messages");

static int64_t receive_messages(int descriptor, pl__message *messages, unsigned count)
{
    int received;
    do {
        received = recvmmsg(descriptor, (struct mmsghdr *)(void *)messages, count, RECEIVE_FLAGS, NULL);
    } while (received < 0 && errno == EINTR);
    return or_error(received);
}

static int64_t send_messages(int descriptor, pl__message *messages, unsigned count)
{
    int sent;
    do {
        sent = sendmmsg(descriptor, (struct mmsghdr *)(void *)messages, count, SEND_FLAGS);
    } while (sent < 0 && errno == EINTR);
    return or_error(sent);
}

#else

static int64_t receive_messages(int descriptor, pl__message *messages, unsigned count)
{
    unsigned received = 0;
    while (received < count) {
        ssize_t size = recvmsg(descriptor, &messages[received].header, RECEIVE_FLAGS);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return received > 0 ? (int64_t)received : or_error(-1);
        messages[received++].size = (unsigned)size;
    }
    return received;
}

static int64_t send_messages(int descriptor, pl__message *messages, unsigned count)
{
    unsigned sent = 0;
    while (sent < count) {
        ssize_t size = sendmsg(descriptor, &messages[sent].header, SEND_FLAGS);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return sent > 0 ? (int64_t)sent : or_error(-1);
        sent++;
    }
    return sent;
}

#endif

static void set_local(pl_datagram_info *info, uint8_t family, const void *ip, size_t size, uint32_t interface_index)
{
    info->local = (pl_address){.family = family};
    memcpy(info->local.ip, ip, size);
    info->interface_index = interface_index;
    pl__address_unmap(&info->local);
}

static void note_control(pl_datagram_info *info, const struct cmsghdr *control)
{
    if (control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_PKTINFO) {
        struct in6_pktinfo details;
        memcpy(&details, CMSG_DATA(control), sizeof details);
        set_local(info, PL_IPV6, &details.ipi6_addr, 16, details.ipi6_ifindex);
        return;
    }
#if defined(IP_PKTINFO)
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo details;
        memcpy(&details, CMSG_DATA(control), sizeof details);
        set_local(info, PL_IPV4, &details.ipi_addr, 4, (uint32_t)details.ipi_ifindex);
    }
#elif defined(IP_RECVDSTADDR)
    if (control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_RECVDSTADDR)
        set_local(info, PL_IPV4, CMSG_DATA(control), 4, 0);
#endif
}

/* What a message says of a datagram that found so much room. */
static void note_received(pl_datagram *datagram, pl__message *from, const pl__parcel *parcel, size_t room)
{
    pl_datagram_info *info = &datagram->info;
    *info = (pl_datagram_info){.full_size = from->size};
    info->truncated = from->size > room || (from->header.msg_flags & MSG_TRUNC);
    datagram->size = from->size < room ? from->size : room;
    pl__address_from_system(&info->peer, &parcel->address);
    pl__address_unmap(&info->peer);
    for (struct cmsghdr *control = CMSG_FIRSTHDR(&from->header); control; control = CMSG_NXTHDR(&from->header, control))
        note_control(info, control);
}

static void prepare_receive(pl__message *into, pl__parcel *parcel)
{
    *into = (pl__message){0};
    parcel->address.any.sa_family = AF_UNSPEC;
    into->header.msg_name = &parcel->address;
    into->header.msg_namelen = (socklen_t)sizeof parcel->address;
    into->header.msg_iov = &parcel->vector;
    into->header.msg_iovlen = 1;
    into->header.msg_control = parcel->control.space;
    into->header.msg_controllen = sizeof parcel->control.space;
}

static int64_t receive_batch(int descriptor, pl_datagram *datagrams, unsigned count)
{
    pl__message messages[BATCH];
    pl__parcel parcels[BATCH];
    for (unsigned i = 0; i < count; i++) {
        prepare_receive(&messages[i], &parcels[i]);
        parcels[i].vector.iov_base = datagrams[i].data;
        parcels[i].vector.iov_len = datagrams[i].capacity;
    }
    int64_t received = receive_messages(descriptor, messages, count);
    for (int64_t i = 0; i < received; i++)
        note_received(&datagrams[i], &messages[i], &parcels[i], datagrams[i].capacity);
    return received;
}

static int64_t receive_into_rooms(int descriptor, pl_datagram *datagram, const pl_room *rooms, size_t count)
{
    struct iovec vector[PL_DATAGRAM_BUFFERS_MAX];
    pl__message message;
    pl__parcel parcel;
    size_t total = 0;
    PL__CHECK(count <= PL_DATAGRAM_BUFFERS_MAX);
    for (size_t i = 0; i < count; i++) {
        vector[i] = (struct iovec){rooms[i].data, rooms[i].size};
        total += rooms[i].size;
    }
    prepare_receive(&message, &parcel);
    message.header.msg_iov = vector;
    message.header.msg_iovlen = (__typeof__(message.header.msg_iovlen))count; /* its type differs between systems */
    int64_t received = receive_messages(descriptor, &message, 1);
    if (received == 1)
        note_received(datagram, &message, &parcel, total);
    return received;
}

int64_t pl__udp_receive(pl__completion *c)
{
    int descriptor = (int)c->handle->object;
    size_t done = 0, count = c->as.receive_from.count;
    pl_datagram *datagrams = c->as.receive_from.datagrams;
    if (c->as.receive_from.rooms)
        return receive_into_rooms(descriptor, datagrams, c->as.receive_from.rooms, count);
    while (done < count) {
        unsigned asked = count - done < BATCH ? (unsigned)(count - done) : BATCH;
        int64_t received = receive_batch(descriptor, datagrams + done, asked);
        if (received < 0)
            return done > 0 ? (int64_t)done : received; /* an error of the socket comes again */
        done += (size_t)received;
        if ((uint64_t)received < asked)
            break;
    }
    return (int64_t)done;
}

/* --- Sending ------------------------------------------------------------------------------------------------------ */

static void prepare_send(pl__message *out, pl__parcel *parcel, const pl__completion *c, const pl_datagram *datagram)
{
    *out = (pl__message){0};
    out->header.msg_iov = &parcel->vector;
    out->header.msg_iovlen = 1;
    if (c->as.send_to.connected)
        return;
    out->header.msg_namelen = address_for(c->handle->family, &datagram->info.peer, &parcel->address);
    out->header.msg_name = &parcel->address;
}

static int64_t send_batch(const pl__completion *c, const pl_datagram *datagrams, unsigned count)
{
    pl__message messages[BATCH];
    pl__parcel parcels[BATCH];
    for (unsigned i = 0; i < count; i++) {
        prepare_send(&messages[i], &parcels[i], c, &datagrams[i]);
        parcels[i].vector = (struct iovec){datagrams[i].data, datagrams[i].size};
    }
    return send_messages((int)c->handle->object, messages, count);
}

static int64_t send_buffers(const pl__completion *c)
{
    struct iovec vector[PL_DATAGRAM_BUFFERS_MAX];
    pl__message message;
    pl__parcel parcel;
    size_t count = c->as.send_to.count;
    PL__CHECK(count <= PL_DATAGRAM_BUFFERS_MAX);
    prepare_send(&message, &parcel, c, c->as.send_to.datagrams);
    for (size_t i = 0; i < count; i++)
        vector[i] = (struct iovec){(void *)(uintptr_t)c->as.send_to.buffers[i].data, c->as.send_to.buffers[i].size};
    message.header.msg_iov = vector;
    message.header.msg_iovlen = (__typeof__(message.header.msg_iovlen))count;
    return send_messages((int)c->handle->object, &message, 1);
}

int64_t pl__udp_send(pl__completion *c)
{
    size_t done = 0, count = c->as.send_to.count;
    if (c->as.send_to.buffers)
        return send_buffers(c);
    while (done < count) {
        unsigned asked = count - done < BATCH ? (unsigned)(count - done) : BATCH;
        int64_t sent = send_batch(c, c->as.send_to.datagrams + done, asked);
        if (sent < 0)
            return done > 0 ? (int64_t)done : sent; /* what is wrong with the next one comes again */
        done += (size_t)sent;
        if ((uint64_t)sent < asked)
            break;
    }
    return (int64_t)done;
}

/* --- Multicast ---------------------------------------------------------------------------------------------------- */

static struct in_addr ipv4_of(const pl_address *address)
{
    struct in_addr ip = {0};
    if (address->family == PL_IPV4)
        memcpy(&ip, address->ip, sizeof ip);
    return ip;
}

static int set(int descriptor, int level, int option, const void *value, size_t size)
{
    return setsockopt(descriptor, level, option, value, (socklen_t)size) < 0 ? -errno : 0;
}

static int change_source_by_index(int descriptor, const pl__membership *m, bool join)
{
    struct group_source_req request = {.gsr_interface = m->interface_index};
    pl__sockaddr group, source;
    memcpy(&request.gsr_group, &group, pl__address_to_system(&m->group, &group));
    memcpy(&request.gsr_source, &source, pl__address_to_system(&m->source, &source));
    return set(descriptor, m->group.family == PL_IPV6 ? IPPROTO_IPV6 : IPPROTO_IP,
               join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP, &request, sizeof request);
}

static int change_by_index(int descriptor, const pl__membership *m, bool join)
{
    struct group_req request = {.gr_interface = m->interface_index};
    pl__sockaddr group;
    memcpy(&request.gr_group, &group, pl__address_to_system(&m->group, &group));
    return set(descriptor, m->group.family == PL_IPV6 ? IPPROTO_IPV6 : IPPROTO_IP,
               join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &request, sizeof request);
}

static int change_by_address(int descriptor, const pl__membership *m, bool join)
{
    if (m->source.family != 0) {
        struct ip_mreq_source request = {.imr_multiaddr = ipv4_of(&m->group),
                                         .imr_interface = ipv4_of(&m->interface_address),
                                         .imr_sourceaddr = ipv4_of(&m->source)};
        return set(descriptor, IPPROTO_IP, join ? IP_ADD_SOURCE_MEMBERSHIP : IP_DROP_SOURCE_MEMBERSHIP, &request,
                   sizeof request);
    }
    struct ip_mreq request = {.imr_multiaddr = ipv4_of(&m->group), .imr_interface = ipv4_of(&m->interface_address)};
    return set(descriptor, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request, sizeof request);
}

int pl__udp_change_membership(int descriptor, const pl__membership *membership, bool join)
{
    if (membership->interface_address.family != 0)
        return change_by_address(descriptor, membership, join);
    if (membership->source.family != 0)
        return change_source_by_index(descriptor, membership, join);
    return change_by_index(descriptor, membership, join);
}

/* --- Settings ----------------------------------------------------------------------------------------------------- */

static int set_multicast_interface(int descriptor, uint8_t family, int index, const pl_address *address)
{
    if (family == PL_IPV6)
        return pl__socket_set(descriptor, IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
    if (index == 0) {
        struct in_addr ip = ipv4_of(address);
        return set(descriptor, IPPROTO_IP, IP_MULTICAST_IF, &ip, sizeof ip);
    }
    struct ip_mreqn request = {.imr_ifindex = index};
    return set(descriptor, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request);
}

/* A byte is what all systems take. */
static int set_multicast_byte(int descriptor, uint8_t family, int ipv4_option, int ipv6_option, int value)
{
    unsigned char byte = (unsigned char)value;
    if (family == PL_IPV6)
        return pl__socket_set(descriptor, IPPROTO_IPV6, ipv6_option, value);
    return set(descriptor, IPPROTO_IP, ipv4_option, &byte, sizeof byte);
}

/* Of a socket of both families the IPv4 part is set, too, where the system lets it. */
static int set_hops(int descriptor, uint8_t family, int hops)
{
    int rc = pl__socket_set(descriptor, IPPROTO_IP, IP_TTL, hops);
    return family == PL_IPV6 ? pl__socket_set(descriptor, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops) : rc;
}

int pl__udp_set_option(int descriptor, uint8_t family, uint8_t option, int64_t value, const pl_address *address)
{
    if (value < 0 || value > INT_MAX)
        return -EINVAL;
    int number = (int)value;
    switch (option) {
    case PL__DATAGRAM_HOPS:
        return set_hops(descriptor, family, number);
    case PL__DATAGRAM_MULTICAST_HOPS:
        return set_multicast_byte(descriptor, family, IP_MULTICAST_TTL, IPV6_MULTICAST_HOPS, number);
    case PL__DATAGRAM_MULTICAST_LOOPBACK:
        return set_multicast_byte(descriptor, family, IP_MULTICAST_LOOP, IPV6_MULTICAST_LOOP, number);
    case PL__DATAGRAM_MULTICAST_INTERFACE:
        return set_multicast_interface(descriptor, family, number, address);
    case PL__DATAGRAM_MAY_BROADCAST:
        return pl__socket_set(descriptor, SOL_SOCKET, SO_BROADCAST, number);
    default:
        return -EINVAL;
    }
}
