/* socket.c: see socket.h. */
#include "socket.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "../check.h"
#include "address.h"

int pl__close_after(int descriptor, int error)
{
    close(descriptor);
    return error;
}

int pl__socket_set(int descriptor, int level, int option, int value)
{
    return setsockopt(descriptor, level, option, &value, (socklen_t)sizeof value) < 0 ? -errno : 0;
}

int pl__socket_prepare(int descriptor)
{
    if (!PL__SOCKET_BORN) {
        int flags = fcntl(descriptor, F_GETFL);
        if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0 ||
            fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0)
            return pl__close_after(descriptor, -errno);
    }
#if defined(SO_NOSIGPIPE)
    (void)pl__socket_set(descriptor, SOL_SOCKET, SO_NOSIGPIPE,
                         1); /* fails if the peer is gone: then so will the rest */
#endif
    return descriptor;
}

int pl__socket_open(uint8_t family, int type, int protocol)
{
    int descriptor = socket(pl__address_family(family), type | PL__SOCKET_BORN, protocol);
    return descriptor < 0 ? -errno : pl__socket_prepare(descriptor);
}

int pl__socket_bind(int descriptor, const pl_address *address)
{
    pl__sockaddr system;
    socklen_t length = pl__address_to_system(address, &system);
    if (length == 0)
        return -EAFNOSUPPORT;
    return bind(descriptor, &system.any, length) < 0 ? -errno : 0;
}

int64_t pl__count_or_error(ssize_t count)
{
    if (count >= 0)
        return count;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

size_t pl__gather(struct iovec vector[PL__VECTOR_MAX], const pl_buffer *buffers, size_t count, size_t offset,
                  size_t *size)
{
    size_t used = 0, asked = 0;
    PL__CHECK(count > 0 && offset <= buffers[0].size);
    for (; used < count && used < PL__VECTOR_MAX && asked < PL__TRANSFER_MAX; used++) {
        size_t left = buffers[used].size - offset, room = PL__TRANSFER_MAX - asked;
        vector[used].iov_base = (char *)(uintptr_t)buffers[used].data + offset;
        vector[used].iov_len = left < room ? left : room;
        asked += vector[used].iov_len;
        offset = 0;
    }
    *size = asked;
    return used;
}
