#include "shims_inner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* The system's call, and the shim that stands in for it. */
#define SHIM_OF(type, name, ...)                                                                                       \
    type __real_##name(__VA_ARGS__);                                                                                   \
    type __wrap_##name(__VA_ARGS__);                                                                                   \
    type __wrap_##name(__VA_ARGS__)

bool shim_exists(shim kind)
{
    (void)kind;
    return true;
}

bool shim_can(shim kind, shim_fault fault)
{
    switch (fault) {
    case SHIM_AS_IS:
        return true;
    case SHIM_NO_SPACE:
        return kind == SHIM_WRITE || kind == SHIM_CHANGE || kind == SHIM_READ;
    case SHIM_DISK_ERROR:
        return kind == SHIM_STAT || kind == SHIM_WRITE || kind == SHIM_CHANGE || kind == SHIM_READ;
    case SHIM_AT_ONCE:
    case SHIM_ABORTED:
        return false;
    case SHIM_INTERRUPTED:
        return kind != SHIM_SPAWN && kind != SHIM_PIDFD && kind != SHIM_COLLECT;
    case SHIM_SHORT:
        if (kind == SHIM_WRITE || kind == SHIM_READ || kind == SHIM_BEGIN)
            return true;
        return kind == SHIM_RECEIVE || kind == SHIM_SEND || kind == SHIM_SEND_FILE;
    case SHIM_NOT_READY:
        return kind == SHIM_BEGIN || kind == SHIM_RECEIVE || kind == SHIM_SEND || kind == SHIM_SEND_FILE ||
               kind == SHIM_COLLECT;
    case SHIM_NO_HANDLES:
        return kind == SHIM_ACCEPT || kind == SHIM_START || kind == SHIM_PIDFD;
    case SHIM_NO_MEMORY:
        return kind == SHIM_ACCEPT || kind == SHIM_SPAWN;
    case SHIM_NOT_THERE:
        return kind == SHIM_PIDFD;
    default:
        return kind == SHIM_ACCEPT;
    }
}

/* --- Files --- */

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
    va_list list;
    mode_t mode = 0;
    va_start(list, flags);
    if (flags & (O_CREAT | O_TMPFILE))
        mode = (mode_t)va_arg(list, unsigned);
    va_end(list);
    shim_called(SHIM_OPEN);
    return __real_open(path, flags, mode);
}

int __real_openat(int folder, const char *path, int flags, ...);
int __wrap_openat(int folder, const char *path, int flags, ...);

int __wrap_openat(int folder, const char *path, int flags, ...)
{
    va_list list;
    mode_t mode = 0;
    va_start(list, flags);
    if (flags & O_CREAT)
        mode = (mode_t)va_arg(list, unsigned);
    va_end(list);
    shim_called(SHIM_OPEN);
    return __real_openat(folder, path, flags, mode);
}

SHIM_OF(int, stat, const char *path, struct stat *status)
{
    shim_called(SHIM_STAT);
    return __real_stat(path, status);
}

SHIM_OF(int, lstat, const char *path, struct stat *status)
{
    shim_called(SHIM_STAT);
    return __real_lstat(path, status);
}

SHIM_OF(int, fstat, int descriptor, struct stat *status)
{
    shim_called(SHIM_STAT);
    return __real_fstat(descriptor, status);
}

SHIM_OF(int, fstatat, int folder, const char *path, struct stat *status, int flags)
{
    size_t limit = 1;
    shim_called(SHIM_STAT);
    if (shim_fault_of(SHIM_STAT, &limit) == SHIM_DISK_ERROR) {
        errno = EIO;
        return -1;
    }
    return __real_fstatat(folder, path, status, flags);
}

SHIM_OF(char *, realpath, const char *path, char *real)
{
    shim_called(SHIM_PATH);
    return __real_realpath(path, real);
}

SHIM_OF(ssize_t, readlink, const char *path, char *text, size_t size)
{
    shim_called(SHIM_PATH);
    return __real_readlink(path, text, size);
}

/* What a call on a file is to have: true, errno is set. */
static bool file_fails(shim kind, size_t *size)
{
    size_t limit = 1;
    shim_called(kind);
    switch (shim_fault_of(kind, &limit)) {
    case SHIM_SHORT:
        if (size && *size > limit)
            *size = limit;
        return false;
    case SHIM_INTERRUPTED:
        errno = EINTR;
        return true;
    case SHIM_NOT_READY:
        errno = EAGAIN;
        return true;
    case SHIM_NO_SPACE:
        errno = ENOSPC;
        return true;
    case SHIM_DISK_ERROR:
        errno = EIO;
        return true;
    default:
        return false;
    }
}

SHIM_OF(ssize_t, pread, int descriptor, void *data, size_t size, off_t offset)
{
    return file_fails(SHIM_READ, &size) ? -1 : __real_pread(descriptor, data, size, offset);
}

SHIM_OF(ssize_t, pwrite, int descriptor, const void *data, size_t size, off_t offset)
{
    return file_fails(SHIM_WRITE, &size) ? -1 : __real_pwrite(descriptor, data, size, offset);
}

SHIM_OF(ssize_t, write, int descriptor, const void *data, size_t size)
{
    struct stat status;
    bool is_file = shims_are_on() && __real_fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
    return is_file && file_fails(SHIM_WRITE, &size) ? -1 : __real_write(descriptor, data, size);
}

static bool transfers_are_held; /* of the loop's thread */

void shims_hold_transfers(void)
{
    transfers_are_held = true;
    shims_hold(SHIM_READ);
    shims_hold(SHIM_WRITE);
}

void shims_release_transfers(void)
{
    transfers_are_held = false;
    shims_release(SHIM_READ);
    shims_release(SHIM_WRITE);
}

int shims_held_transfers(void)
{
    return shims_held(SHIM_READ) + shims_held(SHIM_WRITE);
}

SHIM_OF(ssize_t, preadv2, int descriptor, const struct iovec *vector, int count, off_t offset, int flags)
{
    struct iovec cut = *vector;
    if (transfers_are_held) { /* nothing is cached */
        errno = EAGAIN;
        return -1;
    }
    return file_fails(SHIM_BEGIN, &cut.iov_len) ? -1 : __real_preadv2(descriptor, &cut, count, offset, flags);
}

SHIM_OF(ssize_t, copy_file_range, int from, off_t *from_offset, int to, off_t *to_offset, size_t size, unsigned flags)
{
    return file_fails(SHIM_WRITE, &size) ? -1 : __real_copy_file_range(from, from_offset, to, to_offset, size, flags);
}

SHIM_OF(int, fsync, int descriptor)
{
    return file_fails(SHIM_CHANGE, NULL) ? -1 : __real_fsync(descriptor);
}

SHIM_OF(int, fdatasync, int descriptor)
{
    return file_fails(SHIM_CHANGE, NULL) ? -1 : __real_fdatasync(descriptor);
}

SHIM_OF(int, ftruncate, int descriptor, off_t size)
{
    return file_fails(SHIM_CHANGE, NULL) ? -1 : __real_ftruncate(descriptor, size);
}

SHIM_OF(int, futimens, int descriptor, const struct timespec times[2])
{
    shim_called(SHIM_CHANGE);
    return __real_futimens(descriptor, times);
}

SHIM_OF(int, rename, const char *from, const char *to)
{
    shim_called(SHIM_CHANGE);
    return __real_rename(from, to);
}

SHIM_OF(int, unlink, const char *path)
{
    shim_called(SHIM_CHANGE);
    return __real_unlink(path);
}

SHIM_OF(int, symlink, const char *content, const char *path)
{
    shim_called(SHIM_CHANGE);
    return __real_symlink(content, path);
}

SHIM_OF(int, mkdir, const char *path, mode_t mode)
{
    shim_called(SHIM_CHANGE);
    return __real_mkdir(path, mode);
}

SHIM_OF(int, rmdir, const char *path)
{
    shim_called(SHIM_CHANGE);
    return __real_rmdir(path);
}

SHIM_OF(DIR *, fdopendir, int descriptor)
{
    shim_called(SHIM_LIST);
    return __real_fdopendir(descriptor);
}

SHIM_OF(struct dirent *, readdir, DIR *folder)
{
    shim_called(SHIM_LIST);
    return __real_readdir(folder);
}

SHIM_OF(int, closedir, DIR *folder)
{
    shim_called(SHIM_CLOSE);
    return __real_closedir(folder);
}

SHIM_OF(int, close, int descriptor)
{
    struct stat status;
    if (shims_are_on() && __real_fstat(descriptor, &status) == 0 &&
        (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode)))
        shim_called(SHIM_CLOSE);
    return __real_close(descriptor);
}

/* --- Sockets --- */

int __real_epoll_ctl(int epoll, int operation, int descriptor, struct epoll_event *event);

enum { DESCRIPTORS = 65536 };

/* How each descriptor was registered: to make an edge. */
static struct {
    int epoll;
    struct epoll_event event;
} registered[DESCRIPTORS];

SHIM_OF(int, epoll_ctl, int epoll, int operation, int descriptor, struct epoll_event *event)
{
    if (operation == EPOLL_CTL_ADD && foreign_register_fails())
        return -1;
    if (operation == EPOLL_CTL_ADD && descriptor >= 0 && descriptor < DESCRIPTORS) {
        registered[descriptor].epoll = epoll;
        registered[descriptor].event = *event;
    }
    return __real_epoll_ctl(epoll, operation, descriptor, event);
}

/* Registering anew reports anew what the descriptor is ready for. */
void shim_make_edge(int descriptor)
{
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        (void)__real_epoll_ctl(registered[descriptor].epoll, EPOLL_CTL_MOD, descriptor, &registered[descriptor].event);
}

/* True: the call fails, and errno says how. `size` may be cut. */
static bool fails(shim kind, int descriptor, size_t *size)
{
    size_t limit = 1;
    switch (shim_fault_of(kind, &limit)) {
    case SHIM_SHORT:
        if (size && *size > limit) {
            *size = limit;
            shim_make_edge(descriptor); /* less than was asked for means: no more now, and an edge when there is */
        }
        return false;
    case SHIM_INTERRUPTED:
        errno = EINTR;
        return true;
    case SHIM_NOT_READY:
        shim_make_edge(descriptor);
        errno = EAGAIN;
        return true;
    case SHIM_NO_HANDLES:
        errno = EMFILE;
        return true;
    case SHIM_NO_MEMORY:
        errno = ENOBUFS;
        return true;
    case SHIM_PEER_LEFT:
        errno = ECONNABORTED;
        return true;
    case SHIM_NOT_THERE:
        errno = ENOSYS;
        return true;
    default:
        return false;
    }
}

SHIM_OF(ssize_t, recv, int descriptor, void *data, size_t size, int flags)
{
    shim_called(SHIM_RECEIVE);
    return fails(SHIM_RECEIVE, descriptor, &size) ? -1 : __real_recv(descriptor, data, size, flags);
}

SHIM_OF(ssize_t, send, int descriptor, const void *data, size_t size, int flags)
{
    shim_called(SHIM_SEND);
    return fails(SHIM_SEND, descriptor, &size) ? -1 : __real_send(descriptor, data, size, flags);
}

ssize_t __real_sendmsg(int descriptor, const struct msghdr *message, int flags);
ssize_t __wrap_sendmsg(int descriptor, const struct msghdr *message, int flags);

/* Cut short: some of the buffers, and a part of the last. */
ssize_t __wrap_sendmsg(int descriptor, const struct msghdr *message, int flags)
{
    struct iovec vector[64];
    struct msghdr cut = *message;
    size_t limit = SIZE_MAX;
    size_t i;
    shim_called(SHIM_SEND);
    if (fails(SHIM_SEND, descriptor, &limit))
        return -1;
    for (i = 0; i < message->msg_iovlen && i < 64 && limit > 0; i++) {
        vector[i] = message->msg_iov[i];
        if (vector[i].iov_len > limit)
            vector[i].iov_len = limit;
        limit -= vector[i].iov_len;
    }
    cut.msg_iov = vector;
    cut.msg_iovlen = i;
    return __real_sendmsg(descriptor, &cut, flags);
}

SHIM_OF(ssize_t, sendfile, int descriptor, int file, off_t *offset, size_t size)
{
    shim_called(SHIM_SEND_FILE);
    return fails(SHIM_SEND_FILE, descriptor, &size) ? -1 : __real_sendfile(descriptor, file, offset, size);
}

SHIM_OF(int, accept4, int listener, struct sockaddr *peer, socklen_t *length, int flags)
{
    shim_called(SHIM_ACCEPT);
    return fails(SHIM_ACCEPT, listener, NULL) ? -1 : __real_accept4(listener, peer, length, flags);
}

SHIM_OF(int, socketpair, int family, int type, int protocol, int pair[2])
{
    shim_called(SHIM_START);
    return fails(SHIM_START, -1, NULL) ? -1 : __real_socketpair(family, type, protocol, pair);
}

/* The process itself is as good as a place for it: a vfork cannot be passed on by a function that returns. */
pid_t __real_vfork(void);
pid_t __wrap_vfork(void);

pid_t __wrap_vfork(void)
{
    shim_called(SHIM_SPAWN);
    return fails(SHIM_SPAWN, -1, NULL) ? -1 : fork();
}

SHIM_OF(int, epoll_wait, int epoll, struct epoll_event *events, int size, int milliseconds)
{
    shim_called(SHIM_WAIT);
    return fails(SHIM_WAIT, -1, NULL) ? -1 : __real_epoll_wait(epoll, events, size, milliseconds);
}

SHIM_OF(int, poll, struct pollfd *entries, nfds_t count, int milliseconds)
{
    shim_called(SHIM_WAIT);
    return fails(SHIM_WAIT, -1, NULL) ? -1 : __real_poll(entries, count, milliseconds);
}

SHIM_OF(int, select, int limit, fd_set *reads, fd_set *writes, fd_set *exceptions, struct timeval *span)
{
    shim_called(SHIM_WAIT);
    return fails(SHIM_WAIT, -1, NULL) ? -1 : __real_select(limit, reads, writes, exceptions, span);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* epoll_pwait2 has no function of its own in older C libraries. */
long __wrap_syscall(long number, ...)
{
    long arguments[6];
    va_list list;
    size_t i;
    va_start(list, number);
    for (i = 0; i < 6; i++)
        arguments[i] = va_arg(list, long);
    va_end(list);
#if defined(SYS_pidfd_open)
    if (number == SYS_pidfd_open) {
        shim_called(SHIM_PIDFD);
        if (fails(SHIM_PIDFD, -1, NULL))
            return -1;
    }
#endif
    if (number == SYS_waitid) {
        size_t limit = SIZE_MAX;
        shim_called(SHIM_COLLECT);
        if (shim_fault_of(SHIM_COLLECT, &limit) == SHIM_NOT_READY)
            return 0; /* a debugger has it first: nothing is told yet */
    }
#if defined(SYS_epoll_pwait2)
    if (number == SYS_epoll_pwait2) {
        shim_called(SHIM_WAIT);
        if (fails(SHIM_WAIT, -1, NULL))
            return -1;
    }
#endif
    return __real_syscall(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]);
}

int shims_inherited(void)
{
    return -1;
}

uint32_t shims_spawn_flags(void)
{
    return 0;
}

/* --- Names --- */

static struct {
    const char *name;
    const char *const *addresses;
    size_t count;
    int error;
    const char *reverse;
} known;
static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER; /* an abandoned look-up may outlive its case */

void shims_set_name(const char *name, const char *const *addresses, size_t count)
{
    pthread_mutex_lock(&known_lock);
    known.name = name;
    known.addresses = addresses;
    known.count = count;
    pthread_mutex_unlock(&known_lock);
}

/* The system's codes for it. */
static int error_of(shim_name_error error)
{
    switch (error) {
    case SHIM_NAME_AGAIN:
        return EAI_AGAIN;
    case SHIM_NAME_FAIL:
        return EAI_FAIL;
    case SHIM_NAME_NO_DATA:
        return EAI_NODATA;
    case SHIM_NAME_NO_MEMORY:
        return EAI_MEMORY;
    default:
        return 0;
    }
}

bool shims_set_name_error(shim_name_error error)
{
    pthread_mutex_lock(&known_lock);
    known.error = error_of(error);
    pthread_mutex_unlock(&known_lock);
    return error != SHIM_NAME_CANCELLED; /* nothing of that kind here */
}

void shims_set_reverse(const char *name)
{
    pthread_mutex_lock(&known_lock);
    known.reverse = name;
    pthread_mutex_unlock(&known_lock);
}

int shims_stopped(void)
{
    return 0;
}

bool shims_can_stop(void)
{
    return false;
}

int __real_getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found);

/* One after the other, from the system's own reading of each; those of another family left out. */
static int known_addresses(const struct addrinfo *hints, struct addrinfo **found)
{
    struct addrinfo **end = found;
    size_t i;
    *found = NULL;
    for (i = 0; i < known.count; i++) {
        if (__real_getaddrinfo(known.addresses[i], NULL, hints, end) == 0)
            end = &(*end)->ai_next;
        else
            *end = NULL;
    }
    return *found ? 0 : known.error ? known.error : EAI_NONAME;
}

static shim shim_of_family(int family)
{
    return family == AF_INET ? SHIM_RESOLVE_IPV4 : family == AF_INET6 ? SHIM_RESOLVE_IPV6 : SHIM_RESOLVE_BOTH;
}

SHIM_OF(int, getaddrinfo, const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    bool is_known;
    int result = 0;
    shim_called(SHIM_RESOLVE);
    shim_called(shim_of_family(hints ? hints->ai_family : AF_UNSPEC));
    pthread_mutex_lock(&known_lock);
    is_known = known.name && host && strcmp(host, known.name) == 0;
    if (is_known)
        result = known_addresses(hints, found);
    pthread_mutex_unlock(&known_lock);
    return is_known ? result : __real_getaddrinfo(host, service, hints, found);
}

SHIM_OF(int, getnameinfo, const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size,
        char *service, socklen_t service_size, int flags)
{
    int error = 0;
    shim_called(SHIM_RESOLVE);
    if (!shims_are_on())
        return __real_getnameinfo(address, length, host, host_size, service, service_size, flags);
    pthread_mutex_lock(&known_lock);
    if (known.reverse)
        snprintf(host, host_size, "%s", known.reverse);
    else
        error = known.error ? known.error : EAI_NONAME;
    pthread_mutex_unlock(&known_lock);
    return error;
}
