/* tcp.c: TCP sockets: how each kind of request is made, what its end means, and what control() does to a
 * socket.
 *
 * All sockets are overlapped, non-blocking and not inherited. Their long-running calls are extension
 * functions of the provider, looked up once per family, together with the question whether its handles are
 * the kernel's own: only then may a request that succeeds at once do without its packet, a choice that cannot
 * be undone.
 *
 * A pooled receive waits without a buffer: a receive of no bytes completes when there is something, and only
 * then a buffer is taken and filled by a plain call. So a buffer is never lent to the kernel, and an idle
 * connection holds none. While a peer keeps filling whole buffers the plain call comes first and saves the
 * waiting.
 */
#include "system.h"

#include <limits.h>
#include <string.h>

#include "../buffer_pool.h"

enum {
    SEND_PARTS = 64,           /* WSABUFs per call */
    SEND_LIMIT = 16 << 20,     /* bytes per call: their pages stay locked until it has ended */
    SEND_FILE_LIMIT = 1 << 20, /* bytes per call: a client edition of Windows runs two at a time and queues
                                  the others, so they should take turns */
    ADDRESS_SPACE = sizeof(SOCKADDR_IN6) + 16, /* what AcceptEx wants for one address */
    KEEPALIVE_INTERVAL = 1000                  /* milliseconds between probes: what the system has unless told */
};

PL__STATIC_ASSERT(2 * ADDRESS_SPACE <= PL__ACCEPT_SPACE, "two addresses must fit");

/* What the provider of an address family offers. */
typedef struct provider {
    int family;
    bool skips; /* its handles are the kernel's own, so packets of immediate successes may be skipped */
    LPFN_ACCEPTEX accept;
    LPFN_GETACCEPTEXSOCKADDRS accept_addresses;
    LPFN_CONNECTEX connect;
    LPFN_TRANSMITFILE transmit_file;
} provider;

static provider ipv4 = {.family = AF_INET}, ipv6 = {.family = AF_INET6}; /* written once, by start_winsock */
static bool has_fast_refusal; /* the system can connect without repeating the SYN */

static provider *provider_of(uint8_t family)
{
    return family == PL_IPV6 ? &ipv6 : &ipv4;
}

static DWORD set_option(SOCKET object, int level, int option, int value)
{
    if (setsockopt(object, level, option, (const char *)&value, sizeof value) == 0)
        return ERROR_SUCCESS;
    return (DWORD)WSAGetLastError();
}

/* Leaves INVALID_SOCKET on failure, and the reason to WSAGetLastError. */
static SOCKET open_socket(int family)
{
    u_long yes = 1;
    SOCKET object =
        WSASocketW(family, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    if (object == INVALID_SOCKET || ioctlsocket(object, (int)FIONBIO, &yes) == 0)
        return object;
    int error = WSAGetLastError();
    closesocket(object);
    WSASetLastError(error);
    return INVALID_SOCKET;
}

/* --- Once per process --------------------------------------------------------------------------------------------- */

static bool load(SOCKET object, GUID id, void *function, DWORD size)
{
    DWORD bytes;
    return WSAIoctl(object, SIO_GET_EXTENSION_FUNCTION_POINTER, &id, sizeof id, function, size, &bytes, NULL, NULL) ==
           0;
}

/* A family that this machine lacks stays without functions; opening a socket of it will say so. */
static bool load_provider(provider *p)
{
    WSAPROTOCOL_INFOW info;
    int size = sizeof info;
    SOCKET object = open_socket(p->family);
    if (object == INVALID_SOCKET)
        return false;
    p->skips = getsockopt(object, SOL_SOCKET, SO_PROTOCOL_INFOW, (char *)&info, &size) == 0 &&
               (info.dwServiceFlags1 & XP1_IFS_HANDLES) != 0;
    bool complete = load(object, (GUID)WSAID_ACCEPTEX, &p->accept, sizeof p->accept) &&
                    load(object, (GUID)WSAID_GETACCEPTEXSOCKADDRS, &p->accept_addresses, sizeof p->accept_addresses) &&
                    load(object, (GUID)WSAID_CONNECTEX, &p->connect, sizeof p->connect) &&
                    load(object, (GUID)WSAID_TRANSMITFILE, &p->transmit_file, sizeof p->transmit_file);
    closesocket(object);
    return complete;
}

/* Older systems would take the value for "do not repeat" as a number of repetitions. */
static bool is_windows_1709(void)
{
    typedef LONG WINAPI get_version_fn(OSVERSIONINFOW *);
    union {
        FARPROC address;
        get_version_fn *get;
    } version;
    OSVERSIONINFOW info = {.dwOSVersionInfoSize = sizeof info};
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    if (!ntdll)
        return false;
    version.address = GetProcAddress(ntdll, "RtlGetVersion"); /* GetVersionEx knows what the manifest names */
    return version.address && version.get(&info) == 0 && info.dwMajorVersion >= 10 && info.dwBuildNumber >= 16299;
}

/* Winsock stays started: abandoned jobs may use it for as long as the process lives. */
static BOOL CALLBACK start_winsock(INIT_ONCE *once, void *parameter, void **context)
{
    WSADATA data;
    PL__UNUSED(once);
    PL__UNUSED(parameter);
    PL__UNUSED(context);
    int error = WSAStartup(MAKEWORD(2, 2), &data);
    if (error != 0) {
        SetLastError((DWORD)error);
        return FALSE;
    }
    bool some = load_provider(&ipv4);
    some |= load_provider(&ipv6);
    has_fast_refusal = is_windows_1709();
    if (some)
        return TRUE;
    WSACleanup();
    SetLastError(WSAEPROTONOSUPPORT);
    return FALSE;
}

int pl__winsock_start(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    if (InitOnceExecuteOnce(&once, start_winsock, NULL, NULL))
        return PL_OK;
    return pl__error_from_win32(GetLastError());
}

bool pl__winsock_skips(uint8_t family)
{
    return provider_of(family)->skips;
}

/* --- Accept ------------------------------------------------------------------------------------------------------- */

bool pl__begin_accept(pl__completion *c, pl__packet *packet)
{
    const provider *p = provider_of(c->handle->family);
    DWORD bytes = 0;
    PL__CHECK(c->as.accept.accepted->object == PL__NO_OBJECT);
    PL__CHECK(((uintptr_t)c->as.accept.space & 7) == 0);
    PL__CHECK(packet->accepted == INVALID_SOCKET);
    packet->accepted = open_socket(p->family);
    if (packet->accepted == INVALID_SOCKET)
        return pl__packet_follows(c->handle, packet, false, 0);
    bool accepted = p->accept((SOCKET)c->handle->object, packet->accepted, c->as.accept.space, 0, ADDRESS_SPACE,
                              ADDRESS_SPACE, &bytes, &packet->overlapped) != 0;
    return pl__packet_follows(c->handle, packet, accepted, bytes);
}

/* Makes the socket a connected one: until then it does not know the listener whose properties it has, nor its
 * own name, and cannot be shut down. */
static int64_t finish_accepted(pl__completion *c, pl__packet *packet)
{
    const provider *p = provider_of(c->handle->family);
    SOCKET listener = (SOCKET)c->handle->object;
    SOCKADDR *local, *remote;
    int local_size, remote_size;
    if (setsockopt(packet->accepted, SOL_SOCKET, SO_UPDATE_ACCEPT_CONTEXT, (const char *)&listener, sizeof listener) !=
        0)
        return pl__packet_failed(packet, (DWORD)WSAGetLastError());
    p->accept_addresses(c->as.accept.space, 0, ADDRESS_SPACE, ADDRESS_SPACE, &local, &local_size, &remote,
                        &remote_size);
    pl__address_from_system(c->as.accept.peer, remote);
    pl__handle_init(c->as.accept.accepted);
    c->as.accept.accepted->object = packet->accepted;
    c->as.accept.accepted->family = c->handle->family;
    packet->accepted = INVALID_SOCKET;
    return 0;
}

/* A client may leave between its connect and our accept. That is no failure of the listener. */
static bool is_client_gone(int64_t result)
{
    return result == PL_ECONNRESET || result == PL_ECONNABORTED || result == PL_ECONNTIMEDOUT || result == PL_ENOTCONN;
}

int64_t pl__end_accept(pl__completion *c, pl__packet *packet, int64_t result)
{
    if (result >= 0)
        result = finish_accepted(c, packet);
    if (packet->accepted != INVALID_SOCKET)
        closesocket(packet->accepted);
    packet->accepted = INVALID_SOCKET;
    return is_client_gone(result) ? PL__AGAIN : result;
}

/* --- Connect ------------------------------------------------------------------------------------------------------ */

static bool is_wildcard(const pl_address *address)
{
    static const uint8_t zeros[sizeof address->ip];
    return memcmp(address->ip, zeros, address->family == PL_IPV4 ? 4 : 16) == 0;
}

static bool is_loopback(const pl_address *address)
{
    static const uint8_t ipv6_loopback[sizeof address->ip] = {[15] = 1};
    if (address->family == PL_IPV4)
        return address->ip[0] == 127;
    return memcmp(address->ip, ipv6_loopback, sizeof ipv6_loopback) == 0;
}

/* "Any address" of this machine as a target is the machine itself on Unix, and an error here. */
static pl_address target_of(const pl_address *address)
{
    pl_address target = *address;
    if (is_wildcard(address)) {
        if (target.family == PL_IPV4)
            target.ip[0] = 127;
        target.ip[target.family == PL_IPV4 ? 3 : 15] = 1;
    }
    return target;
}

/* ConnectEx wants a bound socket. One that is bound already says WSAEINVAL. */
static bool bind_to_any(SOCKET object, uint8_t family)
{
    pl_address any = {.family = family};
    SOCKADDR_INET name;
    int length = pl__address_to_system(&any, &name);
    return bind(object, (const SOCKADDR *)&name, length) == 0 || WSAGetLastError() == WSAEINVAL;
}

/* A closed port answers a SYN by a reset, after which the system tries twice more in two seconds: on its own
 * machine that is of no use. Where it cannot be switched off, the connect takes as long as it takes. */
static void refuse_fast(SOCKET object)
{
    TCP_INITIAL_RTO_PARAMETERS parameters = {.Rtt = TCP_INITIAL_RTO_UNSPECIFIED_RTT,
                                             .MaxSynRetransmissions = TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS};
    DWORD bytes;
    (void)WSAIoctl(object, SIO_TCP_INITIAL_RTO, &parameters, sizeof parameters, NULL, 0, &bytes, NULL, NULL);
}

bool pl__begin_connect(pl__completion *c, pl__packet *packet)
{
    SOCKET object = (SOCKET)c->handle->object;
    pl_address target = target_of(&c->as.connect.address);
    SOCKADDR_INET name;
    int length = pl__address_to_system(&target, &name);
    if (length == 0 || target.family != c->handle->family) {
        WSASetLastError(WSAEAFNOSUPPORT);
        return pl__packet_follows(c->handle, packet, false, 0);
    }
    if (!bind_to_any(object, target.family))
        return pl__packet_follows(c->handle, packet, false, 0);
    if (has_fast_refusal && is_loopback(&target))
        refuse_fast(object);
    bool accepted = provider_of(target.family)
                        ->connect(object, (const SOCKADDR *)&name, length, NULL, 0, NULL, &packet->overlapped) != 0;
    return pl__packet_follows(c->handle, packet, accepted, 0);
}

int64_t pl__end_connect(pl__completion *c, pl__packet *packet, int64_t result)
{
    if (result < 0)
        return result;
    if (setsockopt((SOCKET)c->handle->object, SOL_SOCKET, SO_UPDATE_CONNECT_CONTEXT, NULL, 0) != 0)
        return pl__packet_failed(packet, (DWORD)WSAGetLastError());
    return 0;
}

/* --- Receive ------------------------------------------------------------------------------------------------------ */

static bool is_pooled(const pl__completion *c)
{
    return c->as.receive.pool != NULL && c->as.receive.size > 0;
}

bool pl__begin_receive(pl__completion *c, pl__packet *packet)
{
    WSABUF buffer = {0, NULL};
    DWORD bytes = 0, flags = 0;
    if (is_pooled(c)) {
        PL__CHECK(c->as.receive.data == NULL);
        if (c->handle->flags & PL__LIKELY_MORE) { /* no need to wait: `end` will look */
            packet->result = 0;
            return false;
        }
    } else if (c->as.receive.size > 0) {
        buffer.buf = c->as.receive.data;
        buffer.len = c->as.receive.size < INT32_MAX ? (ULONG)c->as.receive.size : INT32_MAX;
    }
    bool accepted = WSARecv((SOCKET)c->handle->object, &buffer, 1, &bytes, &flags, &packet->overlapped, NULL) == 0;
    return pl__packet_follows(c->handle, packet, accepted, bytes);
}

/* Takes a buffer and what is there, without waiting. */
static int64_t receive_pooled(pl__completion *c, pl__packet *packet)
{
    WSABUF buffer = {PL__BUFFER_SIZE, pl__buffer_take(c->as.receive.pool)};
    DWORD bytes = 0, flags = 0;
    if (!buffer.buf)
        return PL_ENOMEM;
    int failed = WSARecv((SOCKET)c->handle->object, &buffer, 1, &bytes, &flags, NULL, NULL);
    DWORD error = failed ? (DWORD)WSAGetLastError() : ERROR_SUCCESS;
    if (bytes == PL__BUFFER_SIZE)
        c->handle->flags |= PL__LIKELY_MORE;
    else
        c->handle->flags &= (uint16_t)~PL__LIKELY_MORE;
    if (bytes > 0) {
        c->as.receive.data = buffer.buf;
        return bytes;
    }
    pl__buffer_give(c->as.receive.pool, buffer.buf);
    if (error == WSAEWOULDBLOCK)
        return PL__AGAIN;
    return error == ERROR_SUCCESS ? 0 : pl__packet_failed(packet, error);
}

int64_t pl__end_receive(pl__completion *c, pl__packet *packet, int64_t result)
{
    if (result >= 0 && is_pooled(c) && c->state != PL__CANCELLING)
        result = receive_pooled(c, packet);
    else if (result >= 0 && is_pooled(c))
        return PL_ECANCELED; /* nothing was taken yet, so nothing is lost */
    return result == PL_EOF ? 0 : result;
}

/* --- Send --------------------------------------------------------------------------------------------------------- */

/* As many of the buffers as one call takes. */
static DWORD gather(const pl__completion *c, WSABUF parts[SEND_PARTS])
{
    size_t room = SEND_LIMIT, offset = c->as.send.offset;
    DWORD count = 0;
    for (size_t i = 0; i < c->as.send.count && count < SEND_PARTS && room > 0; i++) {
        const pl_buffer *buffer = &c->as.send.buffers[i];
        PL__CHECK(offset <= buffer->size);
        size_t size = buffer->size - offset < room ? buffer->size - offset : room;
        if (size > 0) {
            parts[count].buf = (CHAR *)(uintptr_t)buffer->data + offset;
            parts[count].len = (ULONG)size;
            count++;
        }
        room -= size;
        offset = 0;
    }
    return count;
}

bool pl__begin_send(pl__completion *c, pl__packet *packet)
{
    WSABUF parts[SEND_PARTS]; /* the call copies them */
    DWORD bytes = 0, count = gather(c, parts);
    PL__CHECK(count > 0);
    bool accepted = WSASend((SOCKET)c->handle->object, parts, count, &bytes, 0, &packet->overlapped, NULL) == 0;
    return pl__packet_follows(c->handle, packet, accepted, bytes);
}

/* Winsock does not say what an aborted send leaves of a connection: that nothing was counted proves nothing, and to send
 * it once more might send it twice. */
int64_t pl__end_send(pl__completion *c, pl__packet *packet, int64_t result)
{
    PL__UNUSED(packet);
    if (result != PL_ECANCELED)
        return result;
    return c->state == PL__CANCELLING ? PL_EBROKEN : PL_ECONNABORTED;
}

/* --- Send a file -------------------------------------------------------------------------------------------------- */

bool pl__begin_send_file(pl__completion *c, pl__packet *packet)
{
    HANDLE file = (HANDLE)c->as.send_file.file;
    int64_t offset = c->as.send_file.offset, size = c->as.send_file.size;
    if (size > SEND_FILE_LIMIT)
        size = SEND_FILE_LIMIT;
    packet->overlapped.Offset = (DWORD)(offset & UINT32_MAX);
    packet->overlapped.OffsetHigh = (DWORD)(offset >> 32);
    bool accepted =
        provider_of(c->handle->family)
            ->transmit_file((SOCKET)c->handle->object, file, (DWORD)size, 0, &packet->overlapped, NULL, 0) != 0;
    return pl__packet_follows(c->handle, packet, accepted, (DWORD)size);
}

int64_t pl__end_send_file(pl__completion *c, pl__packet *packet, int64_t result)
{
    if (result == PL_EOF) /* the file has become shorter meanwhile */
        return (int64_t)packet->overlapped.InternalHigh;
    return pl__end_send(c, packet, result);
}

/* --- Control ------------------------------------------------------------------------------------------------------ */

static int request_failed(pl__request *request, DWORD error)
{
    request->system_error = (int32_t)error;
    return pl__error_from_win32(error);
}

static int outcome(pl__request *request, bool succeeded)
{
    return succeeded ? PL_OK : request_failed(request, (DWORD)WSAGetLastError());
}

static int open_handle(pl__request *request, uint8_t family)
{
    PL__CHECK(request->handle->object == PL__NO_OBJECT);
    SOCKET object = INVALID_SOCKET;
    if (family == PL_IPV4 || family == PL_IPV6)
        object = open_socket(provider_of(family)->family);
    else
        WSASetLastError(WSAEAFNOSUPPORT);
    if (object == INVALID_SOCKET)
        return outcome(request, false);
    pl__handle_init(request->handle);
    request->handle->object = object;
    request->handle->family = family;
    return PL_OK;
}

static int close_handle(pl__request *request)
{
    SOCKET object = (SOCKET)request->handle->object;
    PL__CHECK(request->handle->object != PL__NO_OBJECT);
    PL__CHECK(request->handle->in_flight == 0);
    pl__handle_init(request->handle);
    return outcome(request, closesocket(object) == 0);
}

/* A socket to connect with, bound if the caller says to what. */
static int open_client(pl__request *request)
{
    SOCKADDR_INET name;
    int length = pl__address_to_system(&request->address, &name);
    if (length > 0 && request->address.family != request->family)
        return request_failed(request, WSAEAFNOSUPPORT);
    int result = open_handle(request, request->family);
    if (result != PL_OK || length == 0)
        return result;
    if (bind((SOCKET)request->handle->object, (const SOCKADDR *)&name, length) == 0)
        return PL_OK;
    DWORD error = (DWORD)WSAGetLastError();
    (void)close_handle(request);
    return request_failed(request, error);
}

/* The bare number counts up to 200 here; a larger one must be asked for by this sign. */
static int backlog_of(int32_t wanted)
{
    if (wanted <= 0)
        return SOMAXCONN;
    return wanted <= 200 ? (int)wanted : -(int)wanted;
}

/* The port is taken for us alone: SO_REUSEADDR here means that anyone may take it from us. */
static DWORD bind_and_listen(SOCKET object, const pl__request *request)
{
    SOCKADDR_INET name;
    int length = pl__address_to_system(&request->address, &name);
    DWORD error = set_option(object, SOL_SOCKET, (int)SO_EXCLUSIVEADDRUSE, 1);
    if (error == ERROR_SUCCESS && request->address.family == PL_IPV6)
        error = set_option(object, IPPROTO_IPV6, IPV6_V6ONLY, (request->flags & PL__LISTEN_IPV6_ONLY) != 0);
    if (error != ERROR_SUCCESS)
        return error;
    if (bind(object, (const SOCKADDR *)&name, length) == 0 && listen(object, backlog_of(request->backlog)) == 0)
        return ERROR_SUCCESS;
    return (DWORD)WSAGetLastError();
}

static int open_listener(pl__request *request)
{
    if (request->flags & PL__LISTEN_REUSE_PORT)
        return PL_ENOTSUP;
    int result = open_handle(request, request->address.family);
    if (result != PL_OK)
        return result;
    DWORD error = bind_and_listen((SOCKET)request->handle->object, request);
    if (error == ERROR_SUCCESS)
        return PL_OK;
    (void)close_handle(request);
    return request_failed(request, error);
}

static DWORD set_keepalive(SOCKET object, int64_t seconds)
{
    const int64_t most = ULONG_MAX / 1000;
    struct tcp_keepalive values = {0};
    DWORD bytes;
    if (seconds > 0) {
        values.onoff = 1;
        values.keepalivetime = (ULONG)((seconds < most ? seconds : most) * 1000);
        values.keepaliveinterval = KEEPALIVE_INTERVAL;
    }
    if (WSAIoctl(object, SIO_KEEPALIVE_VALS, &values, sizeof values, NULL, 0, &bytes, NULL, NULL) == 0)
        return ERROR_SUCCESS;
    return (DWORD)WSAGetLastError();
}

static DWORD set_reset(SOCKET object, bool reset)
{
    LINGER linger = {.l_onoff = reset, .l_linger = 0};
    if (setsockopt(object, SOL_SOCKET, SO_LINGER, (const char *)&linger, sizeof linger) == 0)
        return ERROR_SUCCESS;
    return (DWORD)WSAGetLastError();
}

static int change_option(pl__request *request)
{
    SOCKET object = (SOCKET)request->handle->object;
    int value = request->value < INT32_MAX ? (int)request->value : INT32_MAX;
    DWORD error = WSAEINVAL;
    if (request->value < 0)
        return request_failed(request, error);
    switch (request->option) {
    case PL__OPTION_NODELAY:
        error = set_option(object, IPPROTO_TCP, TCP_NODELAY, value != 0);
        break;
    case PL__OPTION_KEEPALIVE:
        error = set_keepalive(object, request->value);
        break;
    case PL__OPTION_RESET:
        error = set_reset(object, value != 0);
        break;
    case PL__OPTION_SEND_BUFFER:
        error = set_option(object, SOL_SOCKET, SO_SNDBUF, value);
        break;
    case PL__OPTION_RECEIVE_BUFFER:
        error = set_option(object, SOL_SOCKET, SO_RCVBUF, value);
        break;
    default:
        break;
    }
    return error == ERROR_SUCCESS ? PL_OK : request_failed(request, error);
}

/* getsockname or getpeername. */
typedef int WINAPI ask_fn(SOCKET, SOCKADDR *, int *);

static int find_address(pl__request *request, ask_fn *ask)
{
    SOCKADDR_INET name;
    int length = sizeof name;
    if (ask((SOCKET)request->handle->object, (SOCKADDR *)&name, &length) != 0)
        return outcome(request, false);
    pl__address_from_system(&request->address, (const SOCKADDR *)&name);
    return PL_OK;
}

int pl__socket_control(pl__request *request)
{
    switch (request->kind) {
    case PL__REQUEST_SOCKET_OPEN:
        return open_client(request);
    case PL__REQUEST_SOCKET_LISTEN:
        return open_listener(request);
    case PL__REQUEST_SOCKET_SHUTDOWN:
        return outcome(request, shutdown((SOCKET)request->handle->object, SD_SEND) == 0);
    case PL__REQUEST_SOCKET_OPTION:
        return change_option(request);
    case PL__REQUEST_SOCKET_NAME:
        return find_address(request, getsockname);
    case PL__REQUEST_SOCKET_PEER:
        return find_address(request, getpeername);
    case PL__REQUEST_HANDLE_CLOSE:
        return close_handle(request);
    default:
        return pl__datagram_control(request);
    }
}
