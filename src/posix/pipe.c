/* pipe.c: the system's calls for pipes and terminals, and for local sockets that keep messages.
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
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../check.h"

enum {
    VECTOR_MAX = 64,        /* buffers of one write */
    TRANSFER_MAX = 1 << 30, /* bytes of one call; the systems' own limits are just above */
    EMPTY_MESSAGES_MAX = 64 /* passed over in one call */
};

static int64_t or_error(ssize_t count)
{
    if (count >= 0)
        return count;
    return errno == EWOULDBLOCK ? -EAGAIN : -errno;
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
        count = read(descriptor, data, size < TRANSFER_MAX ? size : TRANSFER_MAX);
    } while (count < 0 && errno == EINTR);
    return or_error(count);
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
    struct iovec vector[VECTOR_MAX];
    size_t used = 0, asked = 0;
    PL__CHECK(count > 0 && offset <= buffers[0].size);
    for (; used < count && used < VECTOR_MAX && asked < TRANSFER_MAX; used++) {
        size_t size = buffers[used].size - offset, room = TRANSFER_MAX - asked;
        vector[used].iov_base = (char *)(uintptr_t)buffers[used].data + offset;
        vector[used].iov_len = size < room ? size : room;
        asked += vector[used].iov_len;
        offset = 0;
    }
    quiet q;
    ssize_t written;
    quiet_begin(&q);
    do {
        written = writev(descriptor, vector, (int)used);
    } while (written < 0 && errno == EINTR);
    quiet_end(&q, written < 0 && errno == EPIPE);
    return or_error(written);
}

/* --- Messages ----------------------------------------------------------------------------------------------------- */

/* A message of no bytes and the end look alike: the end stays. */
static bool is_end(int descriptor)
{
    struct pollfd asked = {.fd = descriptor, .events = POLLIN};
    return poll(&asked, 1, 0) != 0 && (asked.revents & (POLLHUP | POLLERR)) != 0;
}

/* The size of the next message, of which as much as fits is shown. */
static int64_t peek_message(int descriptor, void *data, size_t size)
{
    ssize_t count;
    do {
        count = recv(descriptor, data, size, MSG_PEEK | MSG_TRUNC);
    } while (count < 0 && errno == EINTR);
    return or_error(count);
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
            return or_error(taken);
        if (count > 0 || is_end(descriptor))
            return count;
    }
    return -ECONNABORTED;
}

/* --- Pairs -------------------------------------------------------------------------------------------------------- */

#if defined(__linux__)

static int make_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC) < 0 ? -errno : 0;
}

#else

static int make_pipe(int ends[2])
{
    if (pipe(ends) < 0)
        return -errno;
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
    return 0;
}

#endif

static int set_non_blocking(int descriptor)
{
    int flags = fcntl(descriptor, F_GETFL);
    return flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

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
    int rc = make_pipe(ends);
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
