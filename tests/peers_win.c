#include "peers.h"

#include <winsock2.h>
#include <ws2tcpip.h>

static SOCKET socket_of(const peer *end)
{
    return (SOCKET)(end->object - 1);
}

static bool make_socket(peer *end, struct sockaddr_in *address, uint16_t port)
{
    SOCKET made =
        WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_OVERLAPPED | WSA_FLAG_NO_HANDLE_INHERIT);
    end->object = made == INVALID_SOCKET ? 0 : (uintptr_t)made + 1;
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return end->object != 0;
}

bool peer_connect(peer *end, uint16_t port)
{
    struct sockaddr_in address;
    return make_socket(end, &address, port) &&
           connect(socket_of(end), (const struct sockaddr *)&address, sizeof address) == 0;
}

bool peer_send(peer *end, const void *data, size_t size)
{
    return send(socket_of(end), data, (int)size, 0) == (int)size;
}

/* Non-blocking from here on. */
int64_t peer_receive(peer *end, void *data, size_t size)
{
    u_long on = 1;
    int count;
    if (ioctlsocket(socket_of(end), (long)FIONBIO, &on) != 0)
        return -1;
    count = recv(socket_of(end), data, (int)size, 0);
    if (count < 0)
        return WSAGetLastError() == WSAEWOULDBLOCK ? 0 : -1;
    return count == 0 ? -1 : count;
}

bool peer_listen(peer *listener, uint16_t *port)
{
    struct sockaddr_in address;
    int size = sizeof address;
    if (!make_socket(listener, &address, 0) ||
        bind(socket_of(listener), (const struct sockaddr *)&address, sizeof address) != 0 ||
        listen(socket_of(listener), 0) != 0 ||
        getsockname(socket_of(listener), (struct sockaddr *)&address, &size) != 0)
        return false;
    *port = ntohs(address.sin_port);
    return true;
}

void peer_close(peer *end)
{
    if (end && end->object)
        (void)closesocket(socket_of(end));
    if (end)
        end->object = 0;
}

/* An event whose lowest bit is set keeps the packet away from the port. */
int64_t pipe_take(uintptr_t object, void *data, size_t size)
{
    HANDLE pipe = (HANDLE)object;
    DWORD there = 0, count = 0;
    OVERLAPPED overlapped = {0};
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    bool taken = event && PeekNamedPipe(pipe, NULL, 0, NULL, &there, NULL);
    overlapped.hEvent = (HANDLE)((ULONG_PTR)event | 1);
    if (taken && there > 0) {
        taken = ReadFile(pipe, data, (DWORD)size, NULL, &overlapped) || GetLastError() == ERROR_IO_PENDING;
        taken = taken && GetOverlappedResult(pipe, &overlapped, &count, TRUE);
    }
    if (event)
        CloseHandle(event);
    return taken ? (int64_t)count : -1;
}
