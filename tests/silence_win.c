#include "silence.h"

#include <winsock2.h>
#include <windows.h>

#include "system.h"

enum { CLIENTS = 16, PATIENCE = 200 /* milliseconds: an answer of this machine's own takes none */ };

static SOCKET sockets[CLIENTS + 1];
static int count;

static SOCKET open_socket(void)
{
    SOCKET object = socket(AF_INET, SOCK_STREAM, 0);
    if (object != INVALID_SOCKET)
        sockets[count++] = object;
    return object;
}

/* True: it was let in. */
static bool gets_in(const struct sockaddr_in *address)
{
    u_long yes = 1;
    WSAPOLLFD entry = {0};
    entry.fd = open_socket();
    entry.events = POLLOUT;
    if (entry.fd == INVALID_SOCKET || ioctlsocket(entry.fd, (int)FIONBIO, &yes) != 0)
        return false;
    if (connect(entry.fd, (const struct sockaddr *)address, sizeof *address) == 0)
        return true;
    return WSAPoll(&entry, 1, PATIENCE) == 1;
}

/* Windows refuses what is too much; Wine does as the system below it. */
bool silence_begin(uint16_t *port)
{
    struct sockaddr_in address = {0};
    int size = sizeof address;
    SOCKET listener;
    if (!system_is_wine())
        return false;
    listener = open_socket();
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (listener == INVALID_SOCKET || bind(listener, (struct sockaddr *)&address, size) != 0 ||
        listen(listener, 0) != 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return false;
    *port = ntohs(address.sin_port);
    while (count <= CLIENTS) {
        if (!gets_in(&address))
            return true;
    }
    return false;
}

void silence_end(void)
{
    while (count > 0)
        closesocket(sockets[--count]);
}
