/* pipe.c: the system's calls for pipes and terminals, and for local sockets.
 *
 * A local socket that carries bytes is read and written like any stream socket, by tcp.c. Here is what else it needs: a
 * name in a folder that no other user can write to, a file that goes when its listener does, and who the peer is.
 *
 * A write to a pipe that nobody reads any more raises SIGPIPE, and no flag of the call prevents it. So the signal is
 * blocked in this thread around the write, and one that the write raised, which then pends, is taken back; one that
 * pended before stays. Nothing of the process is changed.
 */
#include "pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "../check.h"
#include "../pipe.h"
#include "error.h"
#include "socket.h"

enum {
    EMPTY_MESSAGES_MAX = 64, /* passed over in one call */
    LOCK_TRIES = 1000,       /* a millisecond apart */
    FOLDER_MAX = sizeof((struct sockaddr_un *)0)->sun_path
};

static int set_non_blocking(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

/* Reading nothing tells nothing of a pipe. */
static int64_t wait_for_input(int descriptor)
{
    struct pollfd asked = {.fd = descriptor, .events = POLLIN};
    int count;
    do {
        count = poll(&asked, 1, 0);
    } while (count < 0 && errno == EINTR);
    if (count < 0)
        return -errno;
    return count == 0 ? -EAGAIN : 0;
}

int64_t pl__pipe_read(int descriptor, void *data, size_t size)
{
    ssize_t count;
    if (size == 0)
        return wait_for_input(descriptor);
    do {
        count = read(descriptor, data, size < PL__TRANSFER_MAX ? size : PL__TRANSFER_MAX);
    } while (count < 0 && errno == EINTR);
    return pl__count_or_error(count);
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */

/* What to restore after a write. */
typedef struct quiet {
    sigset_t signal; /* SIGPIPE alone */
    sigset_t before; /* what this thread had blocked */
    bool pended;     /* one pends already, which is not ours */
} quiet;

static void quiet_begin(quiet *q)
{
    sigset_t pending;
    sigemptyset(&q->signal);
    sigaddset(&q->signal, SIGPIPE);
    PL__CHECK(sigpending(&pending) == 0);
    q->pended = sigismember(&pending, SIGPIPE) == 1;
    PL__CHECK(pthread_sigmask(SIG_BLOCK, &q->signal, &q->before) == 0);
}

/* Takes the signal that the write has raised. It is in this thread, so nobody else can have taken it. */
static void take_signal(const quiet *q)
{
    sigset_t pending;
    int taken;
    if (sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1)
        (void)sigwait(&q->signal, &taken);
}

static void quiet_end(const quiet *q, bool raised)
{
    int saved = errno;
    if (raised && !q->pended)
        take_signal(q);
    PL__CHECK(pthread_sigmask(SIG_SETMASK, &q->before, NULL) == 0);
    errno = saved;
}

int64_t pl__pipe_write(int descriptor, const pl_buffer *buffers, size_t count, size_t offset)
{
    struct iovec vector[PL__VECTOR_MAX];
    size_t asked, used = pl__gather(vector, buffers, count, offset, &asked);
    quiet q;
    ssize_t written;
    quiet_begin(&q);
    do {
        written = writev(descriptor, vector, (int)used);
    } while (written < 0 && errno == EINTR);
    quiet_end(&q, written < 0 && errno == EPIPE);
    return pl__count_or_error(written);
}

/* --- Messages ----------------------------------------------------------------------------------------------------- */

/* A message of no bytes and the end look alike; but after the end there is nothing more. Where no half close is told it is
 * taken for the end. */
static bool is_end(int descriptor)
{
#if defined(POLLRDHUP)
    struct pollfd asked = {.fd = descriptor, .events = POLLRDHUP};
    int left = 0;
    if (ioctl(descriptor, FIONREAD, &left) < 0 || left > 0)
        return false;
    return poll(&asked, 1, 0) != 0;
#else
    PL__UNUSED(descriptor);
    return true;
#endif
}

/* The size of the next message, of which as much as fits is shown. */
static int64_t peek_message(int descriptor, void *data, size_t size)
{
    ssize_t count;
    do {
        count = recv(descriptor, data, size, MSG_PEEK | MSG_TRUNC);
    } while (count < 0 && errno == EINTR);
    return pl__count_or_error(count);
}

int64_t pl__pipe_receive_message(int descriptor, void *data, size_t size)
{
    char none;
    for (int i = 0; i < EMPTY_MESSAGES_MAX; i++) {
        int64_t count = peek_message(descriptor, size ? data : &none, size);
        if (count < 0 || (count > 0 && size == 0))
            return count < 0 ? count : 0;
        if ((uint64_t)count > size)
            return -EMSGSIZE;
        ssize_t taken = recv(descriptor, &none, 0, 0); /* all of it goes */
        if (taken < 0)
            return pl__count_or_error(taken);
        if (count > 0 || is_end(descriptor)) /* asked after the empty one was taken */
            return count;
    }
    return -ECONNABORTED;
}

/* --- Pairs -------------------------------------------------------------------------------------------------------- */

#if defined(__linux__)

int pl__pipe_ends(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
}

#else

int pl__pipe_ends(int ends[2])
{
    if (pipe(ends) < 0)
        return -errno;
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return 0;
}

#endif

static void fill(pl__handle *handle, int descriptor, uint8_t traits)
{
    PL__CHECK(handle->object == PL__NO_OBJECT);
    pl__handle_init(handle);
    handle->object = (uintptr_t)descriptor;
    handle->type = PL__PIPE;
    handle->traits = traits;
}

int pl__pipe_make_pair(pl__request *request)
{
    bool writes = (request->flags & PL__PIPE_WRITE) != 0;
    int ends[2];
    int rc = pl__pipe_ends(ends);
    if (rc < 0)
        return rc;
    rc = set_non_blocking(ends[writes]);
    if (rc == 0 && (request->flags & PL__PIPE_STREAMS))
        rc = set_non_blocking(ends[!writes]);
    if (rc < 0) {
        close(ends[0]);
        close(ends[1]);
        return rc;
    }
    fill(request->handle, ends[writes], writes ? PL__WRITE_ONLY : PL__READ_ONLY);
    fill(request->other, ends[!writes], writes ? PL__READ_ONLY : PL__WRITE_ONLY);
    return 0;
}

/* --- Names -------------------------------------------------------------------------------------------------------- */

/* Whether nobody but this user can put anything there. */
static bool is_private(const char *folder)
{
    struct stat status;
    return lstat(folder, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid() &&
           (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* The folder of names that are not paths. 0, or a negated errno. */
static int find_folder(char folder[FOLDER_MAX])
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (runtime && runtime[0] == '/' && strlen(runtime) < FOLDER_MAX && is_private(runtime)) {
        strcpy(folder, runtime);
        return 0;
    }
    (void)snprintf(folder, FOLDER_MAX, "/tmp/proloop-%llu", (unsigned long long)geteuid());
    if (mkdir(folder, S_IRWXU) < 0 && errno != EEXIST)
        return -errno;
    return is_private(folder) ? 0 : -EACCES;
}

/* 0, or a negated errno. */
static int address_of(const char *name, struct sockaddr_un *address)
{
    char folder[FOLDER_MAX] = "";
    bool bare = strchr(name, '/') == NULL;
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (bare && (strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
        return -EINVAL;
    int rc = bare ? find_folder(folder) : 0;
    if (rc < 0)
        return rc;
    int length = snprintf(address->sun_path, sizeof address->sun_path, "%s%s%s", folder, bare ? "/" : "", name);
    return length > 0 && (size_t)length < sizeof address->sun_path ? 0 : -ENAMETOOLONG;
}

/* --- Local sockets ------------------------------------------------------------------------------------------------ */

/* A non-blocking descriptor that is not inherited, or a negated errno. */
static int open_local(bool messages)
{
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
    int descriptor = socket(AF_UNIX, (messages ? SOCK_SEQPACKET : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return descriptor < 0 ? -errno : descriptor;
#else
    int descriptor = socket(AF_UNIX, messages ? SOCK_SEQPACKET : SOCK_STREAM, 0);
    int rc = descriptor < 0 ? -errno : set_non_blocking(descriptor);
    if (rc == 0 && fcntl(descriptor, F_SETFD, FD_CLOEXEC) < 0)
        rc = -errno;
#if defined(SO_NOSIGPIPE)
    int yes = 1;
    if (rc == 0 && setsockopt(descriptor, SOL_SOCKET, SO_NOSIGPIPE, &yes, (socklen_t)sizeof yes) < 0)
        rc = -errno;
#endif
    if (rc < 0 && descriptor >= 0)
        close(descriptor);
    return rc < 0 ? rc : descriptor;
#endif
}

static int connect_to(int descriptor, const struct sockaddr_un *address)
{
    int rc;
    do {
        rc = connect(descriptor, (const struct sockaddr *)address, (socklen_t)sizeof *address);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? -errno : 0;
}

static uint8_t traits_of(bool messages)
{
    return (uint8_t)(PL__NAMED | (messages ? PL__MESSAGES : 0));
}

/* EAGAIN, the server's queue is full, is PL_EBUSY. */
int64_t pl__run_pipe_open(pl__job *job)
{
    pl__handle *opened = &job->as.pipe_open.opened;
    struct sockaddr_un address;
    int rc = address_of(job->as.pipe_open.name, &address);
    int descriptor = rc < 0 ? rc : open_local(job->as.pipe_open.messages);
    if (descriptor >= 0) {
        rc = connect_to(descriptor, &address);
        if (rc < 0)
            close(descriptor);
    } else {
        rc = descriptor;
    }
    if (rc < 0) {
        job->system_error = -rc;
        return pl__error_from_errno(-rc);
    }
    opened->object = (uintptr_t)descriptor;
    opened->traits = traits_of(job->as.pipe_open.messages);
    return 0;
}

void pl__pipe_close_opened(pl__job *job)
{
    close((int)job->as.pipe_open.opened.object);
    pl__handle_init(&job->as.pipe_open.opened);
}

/* --- Listening ---------------------------------------------------------------------------------------------------- */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* A socket that is bound and does not listen yet looks like a stale one, and between a look at one and its removal another
 * may take its place. So whoever listens at a name has the lock of its folder meanwhile: a descriptor to close. A lock that
 * somebody keeps, or a folder that has none (-1), keeps nobody from listening. */
static int lock_folder(const struct sockaddr_un *address)
{
    const struct timespec moment = {.tv_nsec = 1000000};
    char folder[FOLDER_MAX];
    memcpy(folder, address->sun_path, sizeof folder);
    char *slash = strrchr(folder, '/');
    PL__CHECK(slash != NULL);
    slash[slash == folder] = '\0';
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; descriptor >= 0 && i < LOCK_TRIES; i++) {
        if (flock(descriptor, LOCK_EX | LOCK_NB) == 0 || (errno != EWOULDBLOCK && errno != EINTR))
            break;
        (void)nanosleep(&moment, NULL);
    }
    return descriptor;
}

/* Said, too: a child that is just being made may still have a copy of the descriptor. */
static void unlock_folder(int descriptor)
{
    if (descriptor < 0)
        return;
    (void)flock(descriptor, LOCK_UN);
    (void)close(descriptor);
}

/* Removes the socket's file at a name that is taken, if nobody answers there. 0, or a negated errno. */
static int remove_stale(const struct sockaddr_un *address, bool messages)
{
    struct stat before, after;
    if (lstat(address->sun_path, &before) < 0)
        return errno == ENOENT ? 0 : -errno;
    int probe = S_ISSOCK(before.st_mode) ? open_local(messages) : -EADDRINUSE;
    if (probe < 0)
        return probe;
    int rc = connect_to(probe, address);
    close(probe);
    if (rc != -ECONNREFUSED || lstat(address->sun_path, &after) < 0 || !is_same_file(&before, &after))
        return -EADDRINUSE;
    return unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : 0;
}

static int bind_once(int descriptor, const struct sockaddr_un *address)
{
    return bind(descriptor, (const struct sockaddr *)address, (socklen_t)sizeof *address) < 0 ? -errno : 0;
}

/* Nobody can connect before the permissions are what they should be: it does not listen yet. */
static int set_mode_and_listen(int descriptor, const struct sockaddr_un *address, const pl__request *request)
{
    struct stat status;
    if (chmod(address->sun_path, (mode_t)request->value) < 0 || lstat(address->sun_path, &status) < 0)
        return -errno;
    if (listen(descriptor, request->backlog) < 0)
        return -errno;
    *pl__pipe_file_of(request->handle) =
        (pl__pipe_file){.device = (uint64_t)status.st_dev, .inode = (uint64_t)status.st_ino};
    return 0;
}

static int listen_alone(int descriptor, const struct sockaddr_un *address, const pl__request *request)
{
    int rc = bind_once(descriptor, address);
    if (rc == -EADDRINUSE && (request->flags & PL__PIPE_REPLACE)) {
        rc = remove_stale(address, (request->flags & PL__PIPE_MESSAGES) != 0);
        if (rc == 0)
            rc = bind_once(descriptor, address);
    }
    if (rc < 0)
        return rc;
    rc = set_mode_and_listen(descriptor, address, request);
    if (rc < 0)
        (void)unlink(address->sun_path);
    return rc;
}

static int listen_at(int descriptor, const struct sockaddr_un *address, const pl__request *request)
{
    int lock = lock_folder(address);
    int rc = listen_alone(descriptor, address, request);
    unlock_folder(lock);
    return rc;
}

int pl__pipe_listen(pl__request *request)
{
    bool messages = (request->flags & PL__PIPE_MESSAGES) != 0;
    struct sockaddr_un address;
    PL__CHECK(request->handle->object == PL__NO_OBJECT);
    pl__handle_init(request->handle);
    int rc = address_of(request->name, &address);
    int descriptor = rc < 0 ? rc : open_local(messages);
    if (descriptor < 0)
        return descriptor;
    rc = listen_at(descriptor, &address, request);
    if (rc < 0) {
        close(descriptor);
        return rc;
    }
    request->handle->object = (uintptr_t)descriptor;
    request->handle->traits = traits_of(messages);
    return 0;
}

void pl__pipe_unlink(const pl__handle *handle)
{
    const pl__pipe_file *file = pl__pipe_file_of(handle);
    struct sockaddr_un address;
    socklen_t length = (socklen_t)sizeof address;
    struct stat status;
    if (file->inode == 0 || getsockname((int)handle->object, (struct sockaddr *)&address, &length) < 0)
        return;
    if (lstat(address.sun_path, &status) == 0 && (uint64_t)status.st_dev == file->device &&
        (uint64_t)status.st_ino == file->inode)
        (void)unlink(address.sun_path);
}

/* --- Peers -------------------------------------------------------------------------------------------------------- */

int pl__pipe_peer(pl__request *request)
{
    int descriptor = (int)request->handle->object;
    pl_peer_identity *identity = request->identity;
#if defined(SO_PEERCRED) && defined(__linux__)
    struct ucred credentials;
    socklen_t length = (socklen_t)sizeof credentials;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &credentials, &length) < 0)
        return -errno;
    identity->process = credentials.pid > 0 ? credentials.pid : -1;
    uid_t user = credentials.uid;
    gid_t group = credentials.gid;
#else
    uid_t user;
    gid_t group;
    if (getpeereid(descriptor, &user, &group) < 0)
        return -errno;
#if defined(LOCAL_PEERPID)
    pid_t process;
    socklen_t length = (socklen_t)sizeof process;
    if (getsockopt(descriptor, SOL_LOCAL, LOCAL_PEERPID, &process, &length) == 0)
        identity->process = process;
#endif
#endif
    identity->user = user;
    identity->group = group;
    identity->same_user = user == geteuid();
    (void)snprintf(identity->user_text, sizeof identity->user_text, "%llu", (unsigned long long)user);
    return 0;
}
