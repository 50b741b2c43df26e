#include "shims_udp.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

#include <string.h>

#include "harness.h"
#include "shims_inner.h"

/* A call into a DLL goes by a pointer: the system's one, and the one that stands in for it. */
#define SHIM_OF(type, name, ...)                                                                                       \
    extern type(WINAPI *__real___imp_##name)(__VA_ARGS__);                                                             \
    extern type(WINAPI *__wrap___imp_##name)(__VA_ARGS__);                                                             \
    static type WINAPI shim_##name(__VA_ARGS__);                                                                       \
    type(WINAPI *__wrap___imp_##name)(__VA_ARGS__) = shim_##name;                                                      \
    static type WINAPI shim_##name(__VA_ARGS__)

enum { HELD_BUFFERS = 4 };

#define CANCELLED        0xC0000120u
#define PORT_UNREACHABLE 0xC000023Fu
#define BUFFER_OVERFLOW  0x80000005u

static struct {
    const udp_step *steps;
    size_t left;
    int64_t calls;
} scripts[UDP_CALLS];

static HANDLE port; /* the last that was made */

/* A send that is under way. */
static struct {
    OVERLAPPED *overlapped; /* NULL: none */
    SOCKET socket;
    WSABUF buffers[HELD_BUFFERS]; /* the datagram's; the system has copied the array */
    DWORD count;
    SOCKADDR_STORAGE to;
    int to_size;
} held;

static struct {
    bool watched;
    udp_setting last;
    int tells_refusals;
    int tells_hops;
} settings;

int64_t shims_udp_disconnects(void)
{
    return 0;
}

void shims_udp_begin(void)
{
    memset(scripts, 0, sizeof scripts);
    memset(&settings, 0, sizeof settings);
    settings.tells_refusals = settings.tells_hops = -1;
    CHECK(held.overlapped == NULL);
}

void shims_udp_script(udp_call call, const udp_step *steps, size_t count)
{
    scripts[call].steps = steps;
    scripts[call].left = count;
}

int64_t shims_udp_calls(udp_call call)
{
    return scripts[call].calls;
}

bool shims_udp_script_is_over(udp_call call)
{
    return scripts[call].left == 0;
}

void shims_udp_watch_settings(void)
{
    settings.watched = true;
}

const udp_setting *shims_udp_last_setting(void)
{
    return &settings.last;
}

int shims_udp_tells_refusals(void)
{
    return settings.tells_refusals;
}

int shims_udp_tells_hops(void)
{
    return settings.tells_hops;
}

SHIM_OF(int, setsockopt, SOCKET socket, int level, int option, const char *value, int size)
{
    if (!settings.watched)
        return __real___imp_setsockopt(socket, level, option, value, size);
    settings.last.level = level;
    settings.last.option = option;
    settings.last.size = (size_t)size;
    if (CHECK((size_t)size <= sizeof settings.last.value))
        memcpy(settings.last.value, value, (size_t)size);
    return 0;
}

SHIM_OF(int, WSAIoctl, SOCKET socket, DWORD code, LPVOID in, DWORD in_size, LPVOID out, DWORD out_size, LPDWORD size,
        LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    const DWORD connection_reset = 0x9800000C, network_reset = 0x9800000F; /* SIO_UDP_CONNRESET, SIO_UDP_NETRESET */
    if (code == connection_reset || code == network_reset) {
        CHECK_EQ_INT(in_size, sizeof(BOOL));
        *(code == connection_reset ? &settings.tells_refusals : &settings.tells_hops) = *(const BOOL *)in;
    }
    return __real___imp_WSAIoctl(socket, code, in, in_size, out, out_size, size, overlapped, routine);
}

SHIM_OF(HANDLE, CreateIoCompletionPort, HANDLE file, HANDLE existing, ULONG_PTR key, DWORD threads)
{
    HANDLE result = __real___imp_CreateIoCompletionPort(file, existing, key, threads);
    replay_attached(file, existing, key);
    if (!existing)
        port = result;
    return result;
}

static udp_step next_step(udp_call call)
{
    scripts[call].calls++;
    if (scripts[call].left == 0)
        return UDP_AS_IS;
    scripts[call].left--;
    return *scripts[call].steps++;
}

static int failed(DWORD error)
{
    WSASetLastError((int)error);
    return SOCKET_ERROR;
}

void shim_post(void *overlapped, uint32_t status, uint32_t bytes)
{
    OVERLAPPED *ended = overlapped;
    ended->Internal = status;
    ended->InternalHigh = bytes;
    CHECK(PostQueuedCompletionStatus(port, bytes, 0, ended));
}

extern int(WINAPI *__real___imp_WSARecvFrom)(SOCKET, LPWSABUF, DWORD, LPDWORD, LPDWORD, SOCKADDR *, LPINT,
                                            LPWSAOVERLAPPED, LPWSAOVERLAPPED_COMPLETION_ROUTINE);

/* Takes the datagram into what is the caller's own room, as if there were no more. */
static int receive_cut(SOCKET socket, LPWSABUF buffers, DWORD count, SOCKADDR *from, LPINT from_size,
                       OVERLAPPED *overlapped, bool later)
{
    DWORD bytes = 0, flags = 0, room = 0, i;
    CHECK(count > 1);
    for (i = 0; i + 1 < count; i++)
        room += buffers[i].len;
    CHECK_EQ_INT(__real___imp_WSARecvFrom(socket, buffers, count - 1, &bytes, &flags, from, from_size, NULL, NULL),
                 SOCKET_ERROR);
    CHECK_EQ_INT(WSAGetLastError(), WSAEMSGSIZE);
    if (overlapped)
        shim_post(overlapped, BUFFER_OVERFLOW, room);
    return failed(later ? WSA_IO_PENDING : WSAEMSGSIZE);
}

SHIM_OF(int, WSARecvFrom, SOCKET socket, LPWSABUF buffers, DWORD count, LPDWORD received, LPDWORD flags,
        SOCKADDR *from, LPINT from_size, LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    udp_step step = next_step(UDP_RECEIVE);
    CHECK(count > 0 && buffers[0].len > 0); /* one without room would take the datagram with it */
    switch (step) {
    case UDP_REFUSED:
        return failed(WSAECONNRESET);
    case UDP_NO_HOPS:
        return failed(WSAENETRESET);
    case UDP_NOT_READY:
        return overlapped ? __real___imp_WSARecvFrom(socket, buffers, count, received, flags, from, from_size,
                                                     overlapped, routine)
                          : failed(WSAEWOULDBLOCK);
    case UDP_REFUSED_LATER:
        CHECK(overlapped != NULL);
        shim_post(overlapped, PORT_UNREACHABLE, 0);
        return failed(WSA_IO_PENDING);
    case UDP_CUT:
    case UDP_CUT_LATER:
        return receive_cut(socket, buffers, count, from, from_size, overlapped, step == UDP_CUT_LATER);
    default:
        return __real___imp_WSARecvFrom(socket, buffers, count, received, flags, from, from_size, overlapped, routine);
    }
}

static int hold(SOCKET socket, LPWSABUF buffers, DWORD count, const SOCKADDR *to, int to_size, OVERLAPPED *overlapped)
{
    CHECK(overlapped != NULL && held.overlapped == NULL);
    if (!CHECK(count <= HELD_BUFFERS))
        count = HELD_BUFFERS;
    held.overlapped = overlapped;
    held.socket = socket;
    memcpy(held.buffers, buffers, count * sizeof *buffers);
    held.count = count;
    held.to_size = to ? to_size : 0;
    if (to)
        memcpy(&held.to, to, (size_t)to_size);
    return failed(WSA_IO_PENDING);
}

SHIM_OF(int, WSASendTo, SOCKET socket, LPWSABUF buffers, DWORD count, LPDWORD sent, DWORD flags, const SOCKADDR *to,
        int to_size, LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    switch (next_step(UDP_SEND)) {
    case UDP_NOT_READY:
        CHECK(overlapped == NULL);
        return failed(WSAEWOULDBLOCK);
    case UDP_NO_ROOM:
        return failed(WSAENOBUFS);
    case UDP_REFUSED:
        return failed(WSAECONNRESET);
    case UDP_HELD:
        return hold(socket, buffers, count, to, to_size, overlapped);
    default:
        return __real___imp_WSASendTo(socket, buffers, count, sent, flags, to, to_size, overlapped, routine);
    }
}

SHIM_OF(WINBOOL, CancelIoEx, HANDLE handle, LPOVERLAPPED overlapped)
{
    int result;
    if (replay_cancels(handle, overlapped, &result))
        return result;
    if (shim_file_cancels(overlapped))
        return TRUE;
    if (!held.overlapped || overlapped != held.overlapped)
        return __real___imp_CancelIoEx(handle, overlapped);
    held.overlapped = NULL;
    shim_post(overlapped, CANCELLED, 0);
    return TRUE;
}

bool shims_udp_let_go(void)
{
    DWORD sent = 0;
    OVERLAPPED *overlapped = held.overlapped;
    if (!overlapped)
        return false;
    held.overlapped = NULL;
    CHECK_EQ_INT(__real___imp_WSASendTo(held.socket, held.buffers, held.count, &sent, 0,
                                        held.to_size ? (SOCKADDR *)&held.to : NULL, held.to_size, NULL, NULL),
                 0);
    shim_post(overlapped, 0, sent);
    return true;
}
