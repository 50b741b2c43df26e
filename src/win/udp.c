/* udp.c: UDP sockets: how datagrams are received and sent, and what control() does to such a socket.
 *
 * A receive is lent more room than the caller has: behind it stands a dump that all of them share, so that any datagram
 * fits. That tells its full size, and keeps a datagram that is too large from becoming a warning, whose packet comes
 * although the call failed, and which loses what WSARecvMsg says beside it. Should there be one all the same, it is a
 * datagram that was cut.
 *
 * Of many, the first datagram comes by a packet, and what else is there by plain calls, which do not wait. While those
 * keep finding as many as there is room for, they come first. A send is a plain call, which copies; only when the system
 * takes no more is there a request that waits. Packets are never skipped here.
 *
 * The network's answer to a datagram sent earlier fails the next receive. On sockets without a peer that is switched off.
 */
#include "system.h"

#include <string.h>

#include "../udp.h"

#if !defined(SIO_UDP_CONNRESET)
#define SIO_UDP_CONNRESET _WSAIOW(IOC_VENDOR, 12)
#endif
#if !defined(SIO_UDP_NETRESET)
#define SIO_UDP_NETRESET _WSAIOW(IOC_VENDOR, 15)
#endif
#if !defined(MCAST_JOIN_SOURCE_GROUP)
#define MCAST_JOIN_SOURCE_GROUP  45
#define MCAST_LEAVE_SOURCE_GROUP 46
#endif

enum { DATAGRAM_LIMIT = 65536 };

/* The system's structs of multicast and of control data, which some headers lack. */
typedef struct ipv4_packet_info {
    IN_ADDR address;
    ULONG interface_index;
} ipv4_packet_info;

typedef struct ipv6_packet_info {
    IN6_ADDR address;
    ULONG interface_index;
} ipv6_packet_info;

typedef struct ipv4_membership {
    IN_ADDR group;
    IN_ADDR interface_address; /* or 0.x.x.x: an index */
} ipv4_membership;

typedef struct ipv4_source_membership {
    IN_ADDR group;
    IN_ADDR source;
    IN_ADDR interface_address;
} ipv4_source_membership;

typedef struct ipv6_membership {
    IN6_ADDR group;
    ULONG interface_index;
} ipv6_membership;

typedef struct source_membership {
    ULONG interface_index;
    SOCKADDR_STORAGE group;
    SOCKADDR_STORAGE source;
} source_membership;

/* In pl__handle.system. */
typedef struct datagram_socket {
    LPFN_WSARECVMSG receive_message; /* NULL: nobody wants to know the destination */
    DWORD failure;                   /* met among other datagrams, and told next; 0: none */
} datagram_socket;

/* In as.receive_from.space: the system writes to it until the packet has come. */
typedef struct reception {
    SOCKADDR_INET from;
    INT from_size;
    DWORD flags;
    WSAMSG message;
    WSABUF parts[PL_DATAGRAM_BUFFERS_MAX + 1];
    uint64_t control[16];
} reception;

PL__STATIC_ASSERT(sizeof(datagram_socket) <= sizeof(((pl__handle *)0)->system), "no room for the socket's own");
PL__STATIC_ASSERT(sizeof(reception) <= PL__DATAGRAM_SPACE, "no room for a reception");

static char dump[DATAGRAM_LIMIT]; /* written by the system at any time, read by nobody */

static datagram_socket *socket_of(pl__handle *handle)
{
    return (datagram_socket *)(void *)&handle->system;
}

static SOCKET object_of(const pl__handle *handle)
{
    return (SOCKET)handle->object;
}

/* The network's answer to a datagram, in the words of both systems: here it is called a reset. */
static int64_t answer_of(const pl__packet *packet, int64_t result)
{
    if (result != PL_ECONNRESET)
        return result;
    return packet->system_error == WSAENETRESET ? PL_EHOSTUNREACH : PL_ECONNREFUSED; /* the first: its hops ran out */
}

static int64_t datagram_failed(pl__packet *packet, DWORD error)
{
    return answer_of(packet, pl__packet_failed(packet, error));
}

/* The result of a completion that needs no packet. */
static bool at_once(pl__packet *packet, int64_t result)
{
    packet->at_once = true;
    packet->result = result;
    return false;
}

/* --- Receiving ---------------------------------------------------------------------------------------------------- */

/* The room for one datagram, and its size in bytes. */
static size_t room_of(const pl__completion *c, size_t index, WSABUF *parts, DWORD *count)
{
    size_t total = 0;
    const pl_room *rooms = c->as.receive_from.rooms;
    pl_room own = {c->as.receive_from.datagrams[index].data, c->as.receive_from.datagrams[index].capacity};
    size_t room_count = rooms ? c->as.receive_from.count : 1;
    if (!rooms)
        rooms = &own;
    PL__CHECK(room_count <= PL_DATAGRAM_BUFFERS_MAX);
    *count = 0;
    for (size_t i = 0; i < room_count && total < DATAGRAM_LIMIT; i++) {
        size_t left = DATAGRAM_LIMIT - total;
        parts[*count].buf = rooms[i].data;
        parts[*count].len = (ULONG)(rooms[i].size < left ? rooms[i].size : left);
        total += parts[(*count)++].len;
    }
    return total;
}

static bool receive(pl__completion *c, size_t index, OVERLAPPED *overlapped, DWORD *bytes)
{
    reception *r = c->as.receive_from.space;
    DWORD count;
    LPFN_WSARECVMSG receive_message = socket_of(c->handle)->receive_message;
    size_t total = room_of(c, index, r->parts, &count);
    if (total < DATAGRAM_LIMIT) {
        r->parts[count].buf = dump;
        r->parts[count++].len = (ULONG)(DATAGRAM_LIMIT - total);
    }
    memset(&r->from, 0, sizeof r->from);
    r->flags = 0;
    r->from_size = sizeof r->from;
    if (!receive_message)
        return WSARecvFrom(object_of(c->handle), r->parts, count, bytes, &r->flags, (SOCKADDR *)&r->from, &r->from_size,
                           overlapped, NULL) == 0;
    memset(&r->message, 0, sizeof r->message);
    r->message.name = (SOCKADDR *)&r->from;
    r->message.namelen = sizeof r->from;
    r->message.lpBuffers = r->parts;
    r->message.dwBufferCount = count;
    r->message.Control.buf = (CHAR *)r->control;
    r->message.Control.len = sizeof r->control;
    return receive_message(object_of(c->handle), &r->message, bytes, overlapped, NULL) == 0;
}

static void set_local(pl_datagram_info *info, uint8_t family, const void *ip, size_t size, ULONG interface_index)
{
    memset(&info->local, 0, sizeof info->local);
    info->local.family = family;
    memcpy(info->local.ip, ip, size);
    info->interface_index = interface_index;
    pl__address_unmap(&info->local);
}

static void note_control(pl_datagram_info *info, int level, int type, const char *data)
{
    if (level == IPPROTO_IP && type == IP_PKTINFO) {
        ipv4_packet_info details;
        memcpy(&details, data, sizeof details);
        set_local(info, PL_IPV4, &details.address, 4, details.interface_index);
    } else if (level == IPPROTO_IPV6 && type == IPV6_PKTINFO) {
        ipv6_packet_info details;
        memcpy(&details, data, sizeof details);
        set_local(info, PL_IPV6, &details.address, 16, details.interface_index);
    }
}

/* Each piece of control data is a header and what belongs to it, and ends where the next can be aligned. */
static void note_controls(pl_datagram_info *info, const WSABUF *control)
{
    WSACMSGHDR header;
    size_t place = 0, size = control->len;
    while (place < size && size - place >= sizeof header) {
        memcpy(&header, control->buf + place, sizeof header);
        if (header.cmsg_len < sizeof header || header.cmsg_len > size - place)
            break;
        note_control(info, header.cmsg_level, header.cmsg_type, control->buf + place + sizeof header);
        place += (header.cmsg_len + sizeof(SIZE_T) - 1) / sizeof(SIZE_T) * sizeof(SIZE_T);
    }
}

/* What a request says of the datagram it got; `cut` if the system called it too large. */
static void note_received(pl__completion *c, size_t index, size_t bytes, bool cut)
{
    reception *r = c->as.receive_from.space;
    pl_datagram *datagram = &c->as.receive_from.datagrams[index];
    DWORD count;
    size_t room = room_of(c, index, r->parts, &count);
    memset(&datagram->info, 0, sizeof datagram->info);
    if (cut && bytes < room)
        bytes = room; /* what was cut filled it, whatever the call says */
    datagram->size = bytes < room ? bytes : room;
    datagram->info.full_size = bytes;
    datagram->info.truncated = cut || bytes > room;
    pl__address_from_system(&datagram->info.peer, (const SOCKADDR *)&r->from);
    pl__address_unmap(&datagram->info.peer);
    if (socket_of(c->handle)->receive_message)
        note_controls(&datagram->info, &r->message.Control);
}

/* Takes what is there behind the first `done` datagrams, without waiting. Returns how many there are then. */
static size_t take_more(pl__completion *c, size_t done)
{
    size_t most = c->as.receive_from.rooms ? 1 : c->as.receive_from.count;
    for (; done < most; done++) {
        DWORD bytes = 0;
        bool received = receive(c, done, NULL, &bytes);
        DWORD error = received ? ERROR_SUCCESS : (DWORD)WSAGetLastError();
        if (!received && error != WSAEMSGSIZE) {
            c->handle->flags &= (uint16_t)~PL__LIKELY_MORE;
            socket_of(c->handle)->failure = error == WSAEWOULDBLOCK ? 0 : error;
            return done;
        }
        note_received(c, done, bytes, !received);
        if (done > 0)
            c->handle->flags |= PL__LIKELY_MORE;
    }
    return done;
}

bool pl__begin_receive_from(pl__completion *c, pl__packet *packet)
{
    datagram_socket *own = socket_of(c->handle);
    DWORD bytes = 0;
    packet->at_once = false;
    if (!own->failure && (c->handle->flags & PL__LIKELY_MORE)) {
        size_t taken = take_more(c, 0);
        if (taken > 0)
            return at_once(packet, (int64_t)taken);
    }
    if (own->failure) {
        DWORD failure = own->failure;
        own->failure = 0;
        return at_once(packet, datagram_failed(packet, failure));
    }
    bool accepted = receive(c, 0, &packet->overlapped, &bytes);
    if (!accepted && WSAGetLastError() == WSAEMSGSIZE)
        return true; /* it ran, and ended with a warning: the packet of that follows */
    return pl__packet_follows(c->handle, packet, accepted, bytes);
}

int64_t pl__end_receive_from(pl__completion *c, pl__packet *packet, int64_t result)
{
    bool cut = result == PL_EMSGSIZE;
    if (packet->at_once)
        return result;
    if (result < 0 && !cut)
        return answer_of(packet, result);
    note_received(c, 0, cut ? (size_t)packet->overlapped.InternalHigh : (size_t)result, cut);
    return c->state == PL__CANCELLING ? 1 : (int64_t)take_more(c, 1);
}

/* --- Sending ------------------------------------------------------------------------------------------------------ */

static bool is_wildcard(const pl_address *address)
{
    static const uint8_t zeros[sizeof address->ip];
    return memcmp(address->ip, zeros, address->family == PL_IPV4 ? 4 : 16) == 0;
}

/* The socket's form of a target. "Any address" of this machine is the machine itself on Unix, and an error here. */
static int target_of(const pl__handle *handle, const pl_address *address, SOCKADDR_INET *name)
{
    pl_address target = *address;
    if (is_wildcard(address)) {
        if (target.family == PL_IPV4)
            target.ip[0] = 127;
        target.ip[target.family == PL_IPV4 ? 3 : 15] = 1;
    }
    if (handle->family == PL_IPV6)
        target = pl__address_mapped(&target);
    return pl__address_to_system(&target, name);
}

static bool send_one(pl__completion *c, size_t index, OVERLAPPED *overlapped, DWORD *bytes)
{
    WSABUF parts[PL_DATAGRAM_BUFFERS_MAX]; /* the call copies them */
    const pl_datagram *datagram = &c->as.send_to.datagrams[index];
    const pl_buffer *buffers = c->as.send_to.buffers;
    pl_buffer own = {datagram->data, datagram->size};
    size_t count = buffers ? c->as.send_to.count : 1;
    SOCKADDR_INET name;
    bool connected = c->as.send_to.connected;
    int length = connected ? 0 : target_of(c->handle, &datagram->info.peer, &name);
    PL__CHECK(count <= PL_DATAGRAM_BUFFERS_MAX);
    for (size_t i = 0; i < count; i++) {
        const pl_buffer *buffer = buffers ? &buffers[i] : &own;
        parts[i].buf = (CHAR *)(uintptr_t)buffer->data;
        parts[i].len = (ULONG)buffer->size;
    }
    return WSASendTo(object_of(c->handle), parts, (DWORD)count, bytes, 0, connected ? NULL : (SOCKADDR *)&name, length,
                     overlapped, NULL) == 0;
}

bool pl__begin_send_to(pl__completion *c, pl__packet *packet)
{
    size_t done = 0, most = c->as.send_to.buffers ? 1 : c->as.send_to.count;
    DWORD bytes = 0, error = ERROR_SUCCESS;
    packet->at_once = false;
    while (done < most && error == ERROR_SUCCESS) {
        if (send_one(c, done, NULL, &bytes))
            done++;
        else
            error = (DWORD)WSAGetLastError();
    }
    if (done > 0)
        return at_once(packet, (int64_t)done); /* what is wrong with the next one comes again */
    if (error != WSAEWOULDBLOCK)
        return at_once(packet, datagram_failed(packet, error));
    bool accepted = send_one(c, 0, &packet->overlapped, &bytes);
    return pl__packet_follows(c->handle, packet, accepted, bytes);
}

int64_t pl__end_send_to(pl__completion *c, pl__packet *packet, int64_t result)
{
    PL__UNUSED(c);
    if (packet->at_once)
        return result;
    return result < 0 ? answer_of(packet, result) : 1;
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static DWORD outcome(int failed)
{
    return failed ? (DWORD)WSAGetLastError() : ERROR_SUCCESS;
}

static DWORD set(SOCKET object, int level, int option, const void *value, size_t size)
{
    return outcome(setsockopt(object, level, option, value, (int)size));
}

static DWORD set_int(SOCKET object, int level, int option, int value)
{
    return set(object, level, option, &value, sizeof value);
}

static int finished(pl__request *request, DWORD error)
{
    request->system_error = (int32_t)error;
    return error == ERROR_SUCCESS ? PL_OK : pl__error_from_win32(error);
}

/* Whether receives are told what became of datagrams sent earlier. What a system does not know it does not do. */
static void tell_failures(SOCKET object, bool tell)
{
    BOOL on = tell;
    DWORD bytes;
    (void)WSAIoctl(object, SIO_UDP_CONNRESET, &on, sizeof on, NULL, 0, &bytes, NULL, NULL);
    (void)WSAIoctl(object, SIO_UDP_NETRESET, &on, sizeof on, NULL, 0, &bytes, NULL, NULL);
}

/* A socket of both families has the control data of both. */
static DWORD ask_for_destination(SOCKET object, uint8_t family, LPFN_WSARECVMSG *receive_message)
{
    GUID id = WSAID_WSARECVMSG;
    DWORD bytes;
    DWORD error = set_int(object, IPPROTO_IP, IP_PKTINFO, 1);
    if (family == PL_IPV6)
        error = set_int(object, IPPROTO_IPV6, IPV6_PKTINFO, 1);
    if (error != ERROR_SUCCESS)
        return error;
    return outcome(WSAIoctl(object, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, receive_message,
                            sizeof *receive_message, &bytes, NULL, NULL));
}

/* The port is taken for us alone unless it is to be shared, by a name that means something else on Unix. */
static DWORD set_open_options(SOCKET object, const pl__request *request)
{
    u_long yes = 1;
    bool reuse = (request->flags & PL__DATAGRAM_REUSE_ADDRESS) != 0;
    DWORD error = outcome(ioctlsocket(object, (int)FIONBIO, &yes));
    if (error == ERROR_SUCCESS)
        error = set_int(object, SOL_SOCKET, reuse ? SO_REUSEADDR : (int)SO_EXCLUSIVEADDRUSE, 1);
    if (error == ERROR_SUCCESS && request->address.family == PL_IPV6)
        error = set_int(object, IPPROTO_IPV6, IPV6_V6ONLY, (request->flags & PL__DATAGRAM_IPV6_ONLY) != 0);
    if (error == ERROR_SUCCESS && (request->flags & PL__DATAGRAM_BROADCAST))
        error = set_int(object, SOL_SOCKET, SO_BROADCAST, 1);
    return error;
}

static int open_handle(pl__request *request)
{
    SOCKADDR_INET name;
    datagram_socket own = {0};
    uint8_t family = request->address.family;
    int length = pl__address_to_system(&request->address, &name);
    PL__CHECK(request->handle->object == PL__NO_OBJECT);
    SOCKET object = WSASocketW(family == PL_IPV6 ? AF_INET6 : AF_INET, SOCK_DGRAM, IPPROTO_UDP, NULL, 0,
                               WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (object == INVALID_SOCKET)
        return finished(request, (DWORD)WSAGetLastError());
    tell_failures(object, false);
    DWORD error = set_open_options(object, request);
    if (error == ERROR_SUCCESS)
        error = outcome(bind(object, (const SOCKADDR *)&name, length));
    if (error == ERROR_SUCCESS && (request->flags & PL__DATAGRAM_DESTINATION))
        error = ask_for_destination(object, family, &own.receive_message);
    if (error != ERROR_SUCCESS) {
        closesocket(object);
        return finished(request, error);
    }
    pl__handle_init(request->handle);
    request->handle->object = object;
    request->handle->family = family;
    request->handle->type = PL__DATAGRAM_SOCKET;
    *socket_of(request->handle) = own;
    return PL_OK;
}

/* --- Control ------------------------------------------------------------------------------------------------------ */

static int change_peer(pl__request *request)
{
    SOCKET object = object_of(request->handle);
    SOCKADDR_INET name;
    SOCKADDR_STORAGE none; /* without a family: the socket has no peer any more */
    bool connects = request->address.family != 0;
    memset(&none, 0, sizeof none);
    socket_of(request->handle)->failure = 0;
    tell_failures(object, connects);
    if (!connects)
        return finished(request, outcome(connect(object, (const SOCKADDR *)&none, sizeof none)));
    int length = target_of(request->handle, &request->address, &name);
    DWORD error = outcome(connect(object, (const SOCKADDR *)&name, length));
    if (error != ERROR_SUCCESS) {
        tell_failures(object, false);
        (void)connect(object, (const SOCKADDR *)&none, sizeof none);
    }
    return finished(request, error);
}

static IN_ADDR ipv4_of(const pl_address *address)
{
    IN_ADDR ip = {0};
    if (address->family == PL_IPV4)
        memcpy(&ip, address->ip, sizeof ip);
    return ip;
}

/* Where an IPv4 interface is meant, an address 0.x.x.x is an index. */
static IN_ADDR interface_of(const pl_address *address, uint32_t index)
{
    IN_ADDR ip = ipv4_of(address);
    if (address->family == 0)
        ip.s_addr = htonl(index & 0xffffff);
    return ip;
}

static DWORD change_ipv4_group(SOCKET object, const pl__membership *m, bool join)
{
    IN_ADDR by = interface_of(&m->interface_address, m->interface_index);
    if (m->source.family != 0) {
        ipv4_source_membership request = {ipv4_of(&m->group), ipv4_of(&m->source), by};
        return set(object, IPPROTO_IP, join ? IP_ADD_SOURCE_MEMBERSHIP : IP_DROP_SOURCE_MEMBERSHIP, &request,
                   sizeof request);
    }
    ipv4_membership request = {ipv4_of(&m->group), by};
    return set(object, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP, &request, sizeof request);
}

static DWORD change_ipv6_group(SOCKET object, const pl__membership *m, bool join)
{
    SOCKADDR_INET name;
    if (m->source.family != 0) {
        source_membership request;
        memset(&request, 0, sizeof request);
        request.interface_index = m->interface_index;
        (void)pl__address_to_system(&m->group, &name);
        memcpy(&request.group, &name, sizeof name);
        (void)pl__address_to_system(&m->source, &name);
        memcpy(&request.source, &name, sizeof name);
        return set(object, IPPROTO_IPV6, join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP, &request,
                   sizeof request);
    }
    ipv6_membership request;
    memcpy(&request.group, m->group.ip, sizeof request.group);
    request.interface_index = m->interface_index;
    return set(object, IPPROTO_IPV6, join ? IPV6_ADD_MEMBERSHIP : IPV6_DROP_MEMBERSHIP, &request, sizeof request);
}

static int change_group(pl__request *request)
{
    const pl__membership *m = request->membership;
    SOCKET object = object_of(request->handle);
    bool join = request->value != 0;
    return finished(request, m->group.family == PL_IPV6 ? change_ipv6_group(object, m, join)
                                                        : change_ipv4_group(object, m, join));
}

static DWORD set_multicast_interface(SOCKET object, uint8_t family, DWORD index, const pl_address *address)
{
    if (family == PL_IPV6)
        return set(object, IPPROTO_IPV6, IPV6_MULTICAST_IF, &index, sizeof index);
    IN_ADDR by = interface_of(address, index);
    return set(object, IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by);
}

/* Of a socket of both families the IPv4 part is set, too, where the system lets it. */
static DWORD set_hops(SOCKET object, uint8_t family, int hops)
{
    DWORD error = set_int(object, IPPROTO_IP, IP_TTL, hops);
    return family == PL_IPV6 ? set_int(object, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops) : error;
}

static int change_option(pl__request *request)
{
    SOCKET object = object_of(request->handle);
    uint8_t family = request->handle->family;
    bool ipv6 = family == PL_IPV6;
    int level = ipv6 ? IPPROTO_IPV6 : IPPROTO_IP, value = (int)request->value;
    switch (request->option) {
    case PL__DATAGRAM_HOPS:
        return finished(request, set_hops(object, family, value));
    case PL__DATAGRAM_MULTICAST_HOPS:
        return finished(request, set_int(object, level, ipv6 ? IPV6_MULTICAST_HOPS : IP_MULTICAST_TTL, value));
    case PL__DATAGRAM_MULTICAST_LOOPBACK:
        return finished(request, set_int(object, level, ipv6 ? IPV6_MULTICAST_LOOP : IP_MULTICAST_LOOP, value));
    case PL__DATAGRAM_MULTICAST_INTERFACE:
        return finished(request, set_multicast_interface(object, family, (DWORD)request->value, &request->address));
    case PL__DATAGRAM_MAY_BROADCAST:
        return finished(request, set_int(object, SOL_SOCKET, SO_BROADCAST, value));
    default:
        return finished(request, WSAEINVAL);
    }
}

int pl__datagram_control(pl__request *request)
{
    switch (request->kind) {
    case PL__REQUEST_DATAGRAM_OPEN:
        return open_handle(request);
    case PL__REQUEST_DATAGRAM_CONNECT:
        return change_peer(request);
    case PL__REQUEST_DATAGRAM_GROUP:
        return change_group(request);
    case PL__REQUEST_DATAGRAM_OPTION:
        return change_option(request);
    default:
        return PL_EINVAL;
    }
}
