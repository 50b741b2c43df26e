/* tcp.c: the system's calls for connections.
 *
 * Systems differ in two places: whether a send can be told not to raise SIGPIPE (else the socket is), and whether there is
 * a sendfile of Linux's form. */
#include "tcp.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/sendfile.h>
#endif

#include "../check.h"
#include "../proactor.h"
#include "address.h"
#include "socket.h"

#if defined(MSG_NOSIGNAL)
enum { NO_SIGNAL = MSG_NOSIGNAL };
#else
enum { NO_SIGNAL = 0 };
#endif

enum {
    ACCEPT_ATTEMPTS = 64,  /* broken connections passed over in one call */
    FILE_CHUNK = 16 * 1024 /* bytes of a file that go through our memory at a time */
};

/* --- Opening ------------------------------------------------------------------------------------------------------ */

int pl__tcp_open(uint8_t family, const pl_address *local)
{
    int descriptor = pl__socket_open(family, SOCK_STREAM, IPPROTO_TCP);
    if (descriptor < 0 || local->family == 0)
        return descriptor;
#if defined(IP_BIND_ADDRESS_NO_PORT)
    if (local->port == 0) /* the port is chosen by the connect, which may share it with other destinations */
        (void)pl__socket_set(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
#endif
    int rc = pl__socket_bind(descriptor, local);
    return rc < 0 ? pl__close_after(descriptor, rc) : descriptor;
}

static int set_listen_options(int descriptor, uint8_t family, uint8_t flags)
{
    int rc = pl__socket_set(descriptor, SOL_SOCKET, SO_REUSEADDR, 1);
    if (rc == 0 && family == PL_IPV6)
        rc = pl__socket_set(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, (flags & PL__LISTEN_IPV6_ONLY) != 0);
    if (rc == 0 && (flags & PL__LISTEN_REUSE_PORT)) {
#if defined(SO_REUSEPORT_LB)
        rc = pl__socket_set(descriptor, SOL_SOCKET, SO_REUSEPORT_LB, 1);
#elif defined(SO_REUSEPORT)
        rc = pl__socket_set(descriptor, SOL_SOCKET, SO_REUSEPORT, 1);
#else
        rc = -ENOTSUP;
#endif
    }
    return rc;
}

int pl__tcp_listen(const pl_address *address, int backlog, uint8_t flags)
{
    int descriptor = pl__socket_open(address->family, SOCK_STREAM, IPPROTO_TCP);
    if (descriptor < 0)
        return descriptor;
    int rc = set_listen_options(descriptor, address->family, flags);
    if (rc == 0)
        rc = pl__socket_bind(descriptor, address);
    if (rc == 0 && listen(descriptor, backlog) < 0)
        rc = -errno;
    return rc < 0 ? pl__close_after(descriptor, rc) : descriptor;
}

/* --- Accepting and connecting ------------------------------------------------------------------------------------- */

/* Errors of a connection that waited in the queue, not of the listener: see accept(2). */
static bool is_of_the_peer(int error)
{
    switch (error) {
    case EINTR:
    case ECONNABORTED:
    case EPERM: /* a firewall's rule */
    case EPROTO:
    case ENOPROTOOPT:
    case EOPNOTSUPP:
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTUNREACH:
#if defined(EHOSTDOWN)
    case EHOSTDOWN:
#endif
#if defined(ENONET)
    case ENONET:
#endif
        return true;
    default:
        return false;
    }
}

static int accept_once(int listener, pl__sockaddr *peer)
{
    socklen_t length = (socklen_t)sizeof *peer;
    peer->any.sa_family = AF_UNSPEC;
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
    return accept4(listener, &peer->any, &length, PL__SOCKET_BORN);
#else
    return accept(listener, &peer->any, &length);
#endif
}

int pl__tcp_accept(int listener, pl_address *peer)
{
    pl__sockaddr system;
    int descriptor = -1;
    for (int i = 0; i < ACCEPT_ATTEMPTS; i++) {
        descriptor = accept_once(listener, &system);
        if (descriptor >= 0 || !is_of_the_peer(errno))
            break;
    }
    if (descriptor < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    pl__address_from_system(peer, &system);
    return pl__socket_prepare(descriptor);
}

int pl__tcp_connect(int descriptor, const pl_address *address)
{
    pl__sockaddr system;
    socklen_t length = pl__address_to_system(address, &system);
    if (length == 0)
        return -EAFNOSUPPORT;
    if (connect(descriptor, &system.any, length) == 0)
        return 0;
    return errno == EINTR ? -EINPROGRESS : -errno; /* interrupted, it goes on by itself */
}

int pl__tcp_connect_result(int descriptor)
{
    int error = 0;
    socklen_t length = (socklen_t)sizeof error;
    if (getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
        return -errno;
    return -error;
}

/* --- Receiving and sending ---------------------------------------------------------------------------------------- */

static int64_t receive(int descriptor, void *data, size_t size, int flags)
{
    ssize_t count;
    do {
        count = recv(descriptor, data, size, flags);
    } while (count < 0 && errno == EINTR);
    return pl__count_or_error(count);
}

int64_t pl__tcp_receive(int descriptor, void *data, size_t size)
{
    if (size == 0) {
        char byte;
        int64_t count = receive(descriptor, &byte, 1, MSG_PEEK);
        return count < 0 ? count : 0;
    }
    return receive(descriptor, data, size < PL__TRANSFER_MAX ? size : PL__TRANSFER_MAX, 0);
}

static ssize_t send_vector(int descriptor, struct iovec *vector, size_t count)
{
    if (count == 1)
        return send(descriptor, vector->iov_base, vector->iov_len, NO_SIGNAL);
    struct msghdr message = {.msg_iov = vector};
    message.msg_iovlen = (__typeof__(message.msg_iovlen))count; /* its type differs between systems */
    return sendmsg(descriptor, &message, NO_SIGNAL);
}

int64_t pl__tcp_send(int descriptor, const pl_buffer *buffers, size_t count, size_t offset, bool *complete)
{
    struct iovec vector[PL__VECTOR_MAX];
    size_t asked, used = pl__gather(vector, buffers, count, offset, &asked);
    ssize_t sent;
    do {
        sent = send_vector(descriptor, vector, used);
    } while (sent < 0 && errno == EINTR);
    *complete = sent >= 0 && (size_t)sent == asked;
    return pl__count_or_error(sent);
}

/* --- Sending files ------------------------------------------------------------------------------------------------ */

static int64_t send_file_through_memory(int descriptor, int file, int64_t offset, size_t size)
{
    char data[FILE_CHUNK];
    bool complete;
    ssize_t count = pread(file, data, size < sizeof data ? size : sizeof data, (off_t)offset);
    if (count <= 0)
        return count < 0 ? -errno : 0;
    pl_buffer buffer = {data, (size_t)count};
    return pl__tcp_send(descriptor, &buffer, 1, 0, &complete);
}

#if defined(__linux__)

/* sendfile has no flag against SIGPIPE. So the signal is blocked in this thread, which is a worker's and the
 * library's own; one that it is sent pends there for ever. */
static void block_sigpipe(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    PL__CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
}

int64_t pl__tcp_send_file(int descriptor, int file, int64_t offset, size_t size)
{
    off_t position = (off_t)offset;
    block_sigpipe();
    ssize_t count = sendfile(descriptor, file, &position, size < PL__TRANSFER_MAX ? size : PL__TRANSFER_MAX);
    if (count < 0 && (errno == EINVAL || errno == ENOSYS)) /* not every file system can do it */
        return send_file_through_memory(descriptor, file, offset, size);
    return pl__count_or_error(count);
}

#else

int64_t pl__tcp_send_file(int descriptor, int file, int64_t offset, size_t size)
{
    return send_file_through_memory(descriptor, file, offset, size);
}

#endif

/* --- Options and names -------------------------------------------------------------------------------------------- */

int pl__tcp_shut_down(int descriptor)
{
    return shutdown(descriptor, SHUT_WR) < 0 ? -errno : 0;
}

static int set_keepalive(int descriptor, int seconds)
{
#if defined(TCP_KEEPIDLE)
    int rc = seconds > 0 ? pl__socket_set(descriptor, IPPROTO_TCP, TCP_KEEPIDLE, seconds) : 0;
#elif defined(TCP_KEEPALIVE)
    int rc = seconds > 0 ? pl__socket_set(descriptor, IPPROTO_TCP, TCP_KEEPALIVE, seconds) : 0;
#else
    int rc = 0;
#endif
    return rc < 0 ? rc : pl__socket_set(descriptor, SOL_SOCKET, SO_KEEPALIVE, seconds > 0);
}

static int set_reset(int descriptor, int on)
{
    struct linger linger = {.l_onoff = on, .l_linger = 0};
    return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, (socklen_t)sizeof linger) < 0 ? -errno : 0;
}

int pl__tcp_set_option(int descriptor, uint8_t option, int64_t value)
{
    if (value < 0 || value > INT_MAX)
        return -EINVAL;
    int number = (int)value;
    switch (option) {
    case PL__OPTION_NODELAY:
        return pl__socket_set(descriptor, IPPROTO_TCP, TCP_NODELAY, number);
    case PL__OPTION_KEEPALIVE:
        return set_keepalive(descriptor, number);
    case PL__OPTION_RESET:
        return set_reset(descriptor, number);
    case PL__OPTION_SEND_BUFFER:
        return pl__socket_set(descriptor, SOL_SOCKET, SO_SNDBUF, number);
    case PL__OPTION_RECEIVE_BUFFER:
        return pl__socket_set(descriptor, SOL_SOCKET, SO_RCVBUF, number);
    default:
        return -EINVAL;
    }
}

int pl__tcp_name(int descriptor, pl_address *address)
{
    pl__sockaddr system = {.any.sa_family = AF_UNSPEC};
    socklen_t length = (socklen_t)sizeof system;
    if (getsockname(descriptor, &system.any, &length) < 0)
        return -errno;
    pl__address_from_system(address, &system);
    return 0;
}

int pl__tcp_peer(int descriptor, pl_address *address)
{
    pl__sockaddr system = {.any.sa_family = AF_UNSPEC};
    socklen_t length = (socklen_t)sizeof system;
    if (getpeername(descriptor, &system.any, &length) < 0)
        return -errno;
    pl__address_from_system(address, &system);
    return 0;
}
