/* console.c: the standard streams of a process.
 *
 * O_NONBLOCK is a property of the open file description, which a terminal or a pipe shares with other programs: setting it
 * would break them. So the terminal or pipe is opened once more, by its name in /proc, which gives a description of our
 * own; it is then a PL__PIPE like any other. Where that cannot be (a file, a socket, another system, a terminal of another
 * user), it is a device (device.h): its thread waits by poll, for the descriptor and for a pipe that interrupts it, and
 * then makes a call that has something to do. Only another program that takes the bytes in between can make it wait.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE
#endif

#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <proloop/console.h>

#include "../device.h"
#include "error.h"
#include "pipe.h"

#if !defined(PIPE_BUF)
#define PIPE_BUF 512
#endif

enum {
    FILE_PIECE = 1 << 20, /* bytes of one call: between two a cancel has its chance */
    PIPE_PIECE = PIPE_BUF /* what a pipe that is writable takes without waiting */
};

typedef struct descriptors {
    int descriptor;
    int interrupt[2]; /* a pipe: a byte in it interrupts */
    uint8_t kind;     /* enum pl_console_kind */
} descriptors;

PL__STATIC_ASSERT(sizeof(descriptors) <= sizeof((pl__device *)0)->system, "no room for the descriptors");

static descriptors *descriptors_of(pl__device *device)
{
    return (descriptors *)(void *)&device->system;
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

/* enum pl_console_kind, or a negated errno. */
static int kind_of(int descriptor)
{
    struct stat status;
    if (fstat(descriptor, &status) < 0)
        return -errno;
    if (S_ISFIFO(status.st_mode))
        return PL_CONSOLE_PIPE;
    if (S_ISSOCK(status.st_mode))
        return PL_CONSOLE_SOCKET;
    if (S_ISREG(status.st_mode))
        return PL_CONSOLE_FILE;
    return S_ISCHR(status.st_mode) && isatty(descriptor) ? PL_CONSOLE_TERMINAL : PL_CONSOLE_OTHER;
}

#if defined(__linux__)

/* The master of a pseudo-terminal would be a new one. */
static bool is_master(int descriptor)
{
    unsigned number;
    return ioctl(descriptor, TIOCGPTN, &number) == 0;
}

/* A description of our own, non-blocking; negative: that cannot be had. */
static int open_again(int descriptor, int kind, bool reads)
{
    char name[32];
    if ((kind != PL_CONSOLE_TERMINAL && kind != PL_CONSOLE_PIPE) || is_master(descriptor))
        return -1;
    (void)snprintf(name, sizeof name, "/proc/self/fd/%d", descriptor);
    return open(name, (reads ? O_RDONLY : O_WRONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
}

#else

static int open_again(int descriptor, int kind, bool reads)
{
    PL__UNUSED(descriptor);
    PL__UNUSED(kind);
    PL__UNUSED(reads);
    return -1;
}

#endif

static void close_descriptor(int descriptor)
{
    if (descriptor >= 0)
        (void)close(descriptor);
}

/* 0, or a negated errno. */
static int fill_device(pl__device *device, int descriptor, int kind)
{
    descriptors *own = descriptors_of(device);
    *own = (descriptors){.descriptor = -1, .interrupt = {-1, -1}, .kind = (uint8_t)kind};
    int result = pl__pipe_ends(own->interrupt);
    if (result < 0)
        return result;
    own->descriptor = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
    return own->descriptor < 0 ? -errno : 0;
}

static int open_device(pl__handle *handle, int descriptor, int kind)
{
    pl__device *device = pl__device_create();
    if (!device)
        return -ENOMEM;
    int result = fill_device(device, descriptor, kind);
    if (result < 0) {
        pl__device_destroy(device);
        return result;
    }
    handle->type = PL__DEVICE;
    handle->object = (uintptr_t)device;
    return 0;
}

int pl__standard_open(pl__request *request)
{
    static const int descriptors_by_stream[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    int descriptor = descriptors_by_stream[request->option];
    bool reads = request->option == PL__STANDARD_INPUT;
    int kind = kind_of(descriptor);
    if (kind < 0)
        return kind;
    pl__handle_init(request->handle);
    request->handle->traits = reads ? PL__READ_ONLY : PL__WRITE_ONLY;
    int again = open_again(descriptor, kind, reads);
    if (again >= 0) {
        request->handle->type = PL__PIPE;
        request->handle->object = (uintptr_t)again;
        return kind;
    }
    int result = open_device(request->handle, descriptor, kind);
    return result < 0 ? result : kind;
}

/* --- Calls on the device's thread --------------------------------------------------------------------------------- */

/* Until the descriptor is ready: 0; -ECANCELED: interrupted; another negated errno. A file always is. */
static int wait_until_ready(const descriptors *own, int16_t events)
{
    struct pollfd asked[2] = {{.fd = own->descriptor, .events = events}, {.fd = own->interrupt[0], .events = POLLIN}};
    while (poll(asked, 2, -1) < 0)
        if (errno != EINTR)
            return -errno;
    return asked[1].revents ? -ECANCELED : 0;
}

static int64_t result_of(int64_t count, int32_t *system_error)
{
    if (count >= 0)
        return count;
    if (count == -ECANCELED)
        return PL_ECANCELED;
    *system_error = (int32_t)-count;
    return count == -EPIPE ? PL_ECONNRESET : pl__error_from_errno((int)-count);
}

static bool is_to_be_repeated(ssize_t count)
{
    return count < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK);
}

int64_t pl__device_read(pl__device *device, void *data, size_t size, int32_t *system_error)
{
    const descriptors *own = descriptors_of(device);
    ssize_t count;
    size = size < FILE_PIECE ? size : FILE_PIECE;
    do {
        int ready = wait_until_ready(own, POLLIN);
        if (ready < 0)
            return result_of(ready, system_error);
        count = own->kind == PL_CONSOLE_SOCKET ? recv(own->descriptor, data, size, MSG_DONTWAIT)
                                               : read(own->descriptor, data, size);
    } while (is_to_be_repeated(count));
    return result_of(count < 0 ? -errno : count, system_error);
}

/* SIGPIPE is blocked in this thread, as all signals are. */
int64_t pl__device_write(pl__device *device, const pl_buffer *buffer, size_t offset, int32_t *system_error)
{
    const descriptors *own = descriptors_of(device);
    const char *data = (const char *)buffer->data + offset;
    bool any_size = own->kind == PL_CONSOLE_FILE || own->kind == PL_CONSOLE_SOCKET;
    size_t size = buffer->size - offset, piece = any_size ? FILE_PIECE : PIPE_PIECE;
    ssize_t count;
    size = size < piece ? size : piece;
    do {
        int ready = wait_until_ready(own, POLLOUT);
        if (ready < 0)
            return result_of(ready, system_error);
        count = own->kind == PL_CONSOLE_SOCKET ? send(own->descriptor, data, size, MSG_DONTWAIT)
                                               : write(own->descriptor, data, size);
    } while (is_to_be_repeated(count));
    return result_of(count < 0 ? -errno : count, system_error);
}

void pl__device_interrupt(pl__device *device)
{
    while (write(descriptors_of(device)->interrupt[1], "", 1) < 0 && errno == EINTR)
        continue;
}

void pl__device_end_interrupt(pl__device *device)
{
    char taken;
    while (read(descriptors_of(device)->interrupt[0], &taken, 1) < 0 && errno == EINTR)
        continue;
}

void pl__device_release(pl__device *device)
{
    descriptors *own = descriptors_of(device);
    close_descriptor(own->descriptor);
    close_descriptor(own->interrupt[0]);
    close_descriptor(own->interrupt[1]);
}
