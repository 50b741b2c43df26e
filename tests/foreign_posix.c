#include "foreign.h"

#include "harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct sockaddr_in here(uint16_t port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static int open_socket(void)
{
    int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    CHECK(descriptor >= 0);
    return descriptor;
}

bool foreign_pair(pl_socket pair[2])
{
    uint16_t port;
    pl_socket listener = foreign_listen(&port);
    struct pollfd asked = {.fd = (int)listener, .events = POLLIN};
    pair[0] = foreign_connect(port);
    CHECK_EQ_INT(poll(&asked, 1, -1), 1);
    pair[1] = foreign_accept(listener);
    foreign_close(listener);
    return CHECK((int)pair[1] >= 0);
}

pl_socket foreign_listen(uint16_t *port)
{
    int descriptor = open_socket();
    struct sockaddr_in address = here(0);
    socklen_t size = sizeof address;
    CHECK_EQ_INT(bind(descriptor, (struct sockaddr *)&address, size), 0);
    CHECK_EQ_INT(listen(descriptor, 16), 0);
    CHECK_EQ_INT(getsockname(descriptor, (struct sockaddr *)&address, &size), 0);
    *port = ntohs(address.sin_port);
    return (pl_socket)descriptor;
}

pl_socket foreign_accept(pl_socket listener)
{
    int descriptor = accept4((int)listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    CHECK(descriptor >= 0);
    return (pl_socket)descriptor;
}

pl_socket foreign_connect(uint16_t port)
{
    int descriptor = open_socket();
    struct sockaddr_in address = here(port);
    int rc = connect(descriptor, (struct sockaddr *)&address, sizeof address);
    CHECK(rc == 0 || errno == EINPROGRESS);
    return (pl_socket)descriptor;
}

int foreign_error(pl_socket object)
{
    int error = 0;
    socklen_t size = sizeof error;
    CHECK_EQ_INT(getsockopt((int)object, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    return error;
}

static int64_t moved(int64_t count)
{
    if (count >= 0)
        return count;
    return errno == EAGAIN ? FOREIGN_BLOCKS : -1;
}

int64_t foreign_send(pl_socket object, const void *data, size_t size)
{
    return moved(send((int)object, data, size, MSG_NOSIGNAL));
}

int64_t foreign_receive(pl_socket object, void *data, size_t size)
{
    return moved(recv((int)object, data, size, 0));
}

bool foreign_send_urgent(pl_socket object)
{
    return send((int)object, "!", 1, MSG_OOB | MSG_NOSIGNAL) == 1;
}

void foreign_small_send_buffer(pl_socket object)
{
    int size = 4096;
    CHECK_EQ_INT(setsockopt((int)object, SOL_SOCKET, SO_SNDBUF, &size, sizeof size), 0);
}

void foreign_end(pl_socket object)
{
    CHECK_EQ_INT(shutdown((int)object, SHUT_WR), 0);
}

void foreign_reset(pl_socket object)
{
    struct linger linger = {1, 0};
    CHECK_EQ_INT(setsockopt((int)object, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    foreign_close(object);
}

void foreign_close(pl_socket object)
{
    CHECK_EQ_INT(close((int)object), 0);
}

bool foreign_file(pl_socket *object)
{
    int descriptor = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    CHECK(descriptor >= 0);
    *object = (pl_socket)descriptor;
    return true;
}

void *foreign_event(bool manual)
{
    (void)manual;
    return NULL;
}

void foreign_event_set(void *event)
{
    (void)event;
}

bool foreign_event_is_set(void *event)
{
    (void)event;
    return false;
}

void foreign_event_close(void *event)
{
    (void)event;
}

void *foreign_semaphore(int count)
{
    (void)count;
    return NULL;
}

void *foreign_timer(int milliseconds)
{
    (void)milliseconds;
    return NULL;
}

void *foreign_thread(void *event)
{
    (void)event;
    return NULL;
}
