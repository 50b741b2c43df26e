#include "peers.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static int socket_of(const peer *end)
{
    return (int)end->object - 1;
}

static bool make_socket(peer *end, struct sockaddr_in *address, uint16_t port)
{
    int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    end->object = (uintptr_t)(made + 1);
    *address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    address->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return made >= 0;
}

bool peer_connect(peer *end, uint16_t port)
{
    struct sockaddr_in address;
    return make_socket(end, &address, port) &&
           connect(socket_of(end), (const struct sockaddr *)&address, sizeof address) == 0;
}

bool peer_send(peer *end, const void *data, size_t size)
{
    return send(socket_of(end), data, size, MSG_NOSIGNAL) == (ssize_t)size;
}

int64_t peer_receive(peer *end, void *data, size_t size)
{
    ssize_t count = recv(socket_of(end), data, size, MSG_DONTWAIT);
    if (count < 0)
        return errno == EAGAIN ? 0 : -1;
    return count == 0 ? -1 : (int64_t)count;
}

bool peer_listen(peer *listener, uint16_t *port)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
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
        (void)close(socket_of(end));
    if (end)
        end->object = 0;
}

int64_t pipe_take(uintptr_t object, void *data, size_t size)
{
    ssize_t count = read((int)object, data, size);
    if (count < 0)
        return errno == EAGAIN ? 0 : -1;
    return count == 0 ? -1 : (int64_t)count;
}
