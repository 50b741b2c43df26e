#include "foreign.h"

#include "harness.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

#include <string.h>

static struct sockaddr_in here(uint16_t port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void set_non_blocking(SOCKET object)
{
    u_long yes = 1;
    CHECK_EQ_INT(ioctlsocket(object, (int)FIONBIO, &yes), 0);
}

static SOCKET open_socket(void)
{
    SOCKET object = WSASocketW(AF_INET, SOCK_STREAM, IPPROTO_TCP, NULL, 0, WSA_FLAG_NO_HANDLE_INHERIT);
    CHECK(object != INVALID_SOCKET);
    set_non_blocking(object);
    return object;
}

static void wait_readable(SOCKET object)
{
    fd_set set;
    FD_ZERO(&set);
    FD_SET(object, &set);
    CHECK_EQ_INT(select(0, &set, NULL, NULL, NULL), 1);
}

bool foreign_pair(pl_socket pair[2])
{
    uint16_t port;
    pl_socket listener = foreign_listen(&port);
    pair[0] = foreign_connect(port);
    wait_readable((SOCKET)listener);
    pair[1] = foreign_accept(listener);
    foreign_close(listener);
    return CHECK(pair[1] != INVALID_SOCKET);
}

pl_socket foreign_listen(uint16_t *port)
{
    SOCKET object = open_socket();
    struct sockaddr_in address = here(0);
    int size = sizeof address;
    CHECK_EQ_INT(bind(object, (struct sockaddr *)&address, size), 0);
    CHECK_EQ_INT(listen(object, 16), 0);
    CHECK_EQ_INT(getsockname(object, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return object;
}

pl_socket foreign_accept(pl_socket listener)
{
    SOCKET object = accept((SOCKET)listener, NULL, NULL);
    CHECK(object != INVALID_SOCKET);
    set_non_blocking(object);
    return object;
}

pl_socket foreign_connect(uint16_t port)
{
    SOCKET object = open_socket();
    struct sockaddr_in address = here(port);
    int rc = connect(object, (struct sockaddr *)&address, sizeof address);
    CHECK(rc == 0 || WSAGetLastError() == WSAEWOULDBLOCK);
    return object;
}

int foreign_error(pl_socket object)
{
    int error = 0, size = sizeof error;
    CHECK_EQ_INT(getsockopt((SOCKET)object, SOL_SOCKET, SO_ERROR, (char *)&error, &size), 0);
    return error;
}

static int64_t moved(int count)
{
    if (count >= 0)
        return count;
    return WSAGetLastError() == WSAEWOULDBLOCK ? FOREIGN_BLOCKS : -1;
}

int64_t foreign_send(pl_socket object, const void *data, size_t size)
{
    return moved(send((SOCKET)object, data, (int)size, 0));
}

int64_t foreign_receive(pl_socket object, void *data, size_t size)
{
    return moved(recv((SOCKET)object, data, (int)size, 0));
}

bool foreign_send_urgent(pl_socket object)
{
    return send((SOCKET)object, "!", 1, MSG_OOB) == 1;
}

void foreign_small_send_buffer(pl_socket object)
{
    int size = 4096;
    CHECK_EQ_INT(setsockopt((SOCKET)object, SOL_SOCKET, SO_SNDBUF, (char *)&size, sizeof size), 0);
}

void foreign_end(pl_socket object)
{
    CHECK_EQ_INT(shutdown((SOCKET)object, SD_SEND), 0);
}

void foreign_reset(pl_socket object)
{
    struct linger linger = {1, 0};
    CHECK_EQ_INT(setsockopt((SOCKET)object, SOL_SOCKET, SO_LINGER, (char *)&linger, sizeof linger), 0);
    foreign_close(object);
}

void foreign_close(pl_socket object)
{
    CHECK_EQ_INT(closesocket((SOCKET)object), 0);
}

bool foreign_file(pl_socket *object)
{
    (void)object;
    return false;
}

void *foreign_event(bool manual)
{
    HANDLE event = CreateEventW(NULL, manual, FALSE, NULL);
    CHECK(event != NULL);
    return event;
}

void foreign_event_set(void *event)
{
    CHECK(SetEvent(event));
}

bool foreign_event_is_set(void *event)
{
    return WaitForSingleObject(event, 0) == WAIT_OBJECT_0;
}

void foreign_event_close(void *event)
{
    CHECK(CloseHandle(event));
}

void *foreign_semaphore(int count)
{
    return CreateSemaphoreW(NULL, count, 1000, NULL);
}

void *foreign_timer(int milliseconds)
{
    HANDLE timer = CreateWaitableTimerW(NULL, TRUE, NULL);
    LARGE_INTEGER due;
    due.QuadPart = -(int64_t)milliseconds * 10000;
    CHECK(SetWaitableTimer(timer, &due, 0, NULL, NULL, FALSE));
    return timer;
}

static DWORD WINAPI wait_for_event(void *event)
{
    return WaitForSingleObject(event, INFINITE);
}

void *foreign_thread(void *event)
{
    return CreateThread(NULL, 0, wait_for_event, event, 0, NULL);
}
