/* child.c: children of this program's own executable, each at the other end of a socket pair.
 *
 * A socket rather than pipes: it can be written to without a SIGPIPE, and a kill can shut it, so that no reader waits for
 * another process that has come to hold the child's end. The child's end has a number of its own there, OURS.
 *
 * Its end is told by the socket: whoever has exited has closed it. So there is no wait for an exit with a limit, only for
 * the end of the socket with one; then the child is killed, which means nothing to one that has exited, and collected by
 * its own number: other children of the program are not ours to wait for.
 */
#include "../child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/prctl.h>
#endif

#include <proloop/base.h>

#include "../check.h"
#include "../clock.h"
#include "../subprocess.h"
#include "../timer.h"
#include "error.h"

enum { OURS = 3 };

#define OURS_TEXT "3"

#if !defined(MSG_NOSIGNAL)
#define MSG_NOSIGNAL 0 /* there SO_NOSIGPIPE does it */
#endif

typedef struct child {
    pl__subprocess process; /* in the child itself: zeroed */
    int socket;
} child;

PL__STATIC_ASSERT(sizeof(child) <= sizeof(pl__child), "pl__child is too small");

static char program[PATH_MAX];

static child *child_of(pl__child *opaque)
{
    return (child *)(void *)opaque;
}

void pl__child_remember_program(const char *name)
{
    if (!name || !strchr(name, '/') || !realpath(name, program)) /* found in PATH, it is looked for there again */
        (void)snprintf(program, sizeof program, "%s", name ? name : "");
}

/* The file to run. If it lies no longer where it did (its text then ends with " (deleted)") the link itself still leads to
 * it. Else its path is better: a tool that runs programs on a processor of its own, such as Valgrind, gives the program's
 * path as the link's text, but the link leads to the tool. */
static const char *executable(char path[PATH_MAX])
{
#if defined(__linux__)
    ssize_t size = readlink("/proc/self/exe", path, PATH_MAX - 1);
    if (size > 0) {
        path[size] = '\0';
        return access(path, X_OK) == 0 ? path : "/proc/self/exe";
    }
#else
    PL__UNUSED(path);
#endif
    return program;
}

/* --- Starting ----------------------------------------------------------------------------------------------------- */

/* Two connected sockets. 0, or errno. */
static int make_pair(int pair[2])
{
#if defined(SOCK_CLOEXEC)
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return errno;
#else
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return errno;
    (void)fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(pair[1], F_SETFD, FD_CLOEXEC);
#endif
#if defined(SO_NOSIGPIPE)
    (void)setsockopt(pair[0], SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
    return 0;
}

/* Interrupts are let through when it is ready to ignore them. */
static int spawn(pl__subprocess *process, int socket)
{
    char path[PATH_MAX];
    const char *arguments[] = {program, PL__CHILD_OPTION OURS_TEXT, NULL};
    int32_t system_error;
    pl__spawn s = {.argv = arguments, .executable = executable(path), .blocks_interrupts = true, .unwatched = true};
    s.stdio[STDIN_FILENO].kind = PL_STDIO_NULL;
    s.stdio[STDOUT_FILENO].kind = PL_STDIO_INHERIT;
    s.stdio[STDERR_FILENO].kind = PL_STDIO_INHERIT;
    s.inherited[s.inherited_count++] = (uintptr_t)socket;
    int rc = pl__spawn_prepare(&s, &system_error);
    if (rc == PL_OK)
        rc = (int)pl__spawn_now(&s, &system_error);
    pl__spawn_release(&s);
    *process = s.child;
    return rc;
}

int pl__child_start(pl__child *opaque)
{
    child *made = child_of(opaque);
    int pair[2];
    int error = make_pair(pair);
    if (error)
        return pl__error_from_errno(error);
    int rc = spawn(&made->process, pair[1]);
    (void)close(pair[1]);
    if (rc < 0) {
        (void)close(pair[0]);
        return rc;
    }
    made->socket = pair[0];
    return PL_OK;
}

/* --- In the child ------------------------------------------------------------------------------------------------- */

bool pl__child_attach(pl__child *opaque, const char *option)
{
    child *parent = child_of(opaque);
    sigset_t blocked;
    *parent = (child){.socket = OURS};
    if (strcmp(option, PL__CHILD_OPTION OURS_TEXT) != 0 || fcntl(OURS, F_SETFD, FD_CLOEXEC) < 0)
        return false;
#if defined(SO_NOSIGPIPE)
    (void)setsockopt(OURS, SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
#if defined(__linux__)
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* of the thread that started us: it ends after us */
#endif
    (void)signal(SIGINT, SIG_IGN); /* before it is let through */
    (void)sigemptyset(&blocked);
    (void)sigaddset(&blocked, SIGINT);
    (void)sigprocmask(SIG_UNBLOCK, &blocked, NULL);
    return true;
}

/* --- Talking ------------------------------------------------------------------------------------------------------ */

bool pl__child_write(pl__child *opaque, const void *data, size_t size)
{
    const char *next = data;
    while (size > 0) {
        ssize_t written = send(child_of(opaque)->socket, next, size < INT_MAX ? size : INT_MAX, MSG_NOSIGNAL);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        next += written;
        size -= (size_t)written;
    }
    return true;
}

bool pl__child_read(pl__child *opaque, void *data, size_t size)
{
    char *next = data;
    while (size > 0) {
        ssize_t got = recv(child_of(opaque)->socket, next, size < INT_MAX ? size : INT_MAX, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        next += got;
        size -= (size_t)got;
    }
    return true;
}

bool pl__child_has_gone(pl__child *opaque)
{
    char byte; /* that nobody should have sent */
    ssize_t got = recv(child_of(opaque)->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

/* --- Ending ------------------------------------------------------------------------------------------------------- */

void pl__child_kill(pl__child *opaque)
{
    child *it = child_of(opaque);
    (void)pl__subprocess_kill(&it->process);
    (void)shutdown(it->socket, SHUT_RDWR);
}

/* Until the other end is closed; what still comes is dropped. */
static void wait_for_end(int socket, int64_t limit)
{
    int64_t now = pl__clock_now();
    const int64_t deadline = pl__deadline_after(now, limit);
    for (; now < deadline; now = pl__clock_now()) {
        struct pollfd polled = {.fd = socket, .events = POLLIN};
        char dropped[256];
        int64_t milliseconds = (deadline - now + 999999) / 1000000;
        int ready = poll(&polled, 1, milliseconds < INT_MAX ? (int)milliseconds : INT_MAX);
        if (ready > 0 && recv(socket, dropped, sizeof dropped, MSG_DONTWAIT) <= 0)
            return;
    }
}

void pl__child_end(pl__child *opaque, int64_t limit)
{
    child *it = child_of(opaque);
    (void)shutdown(it->socket, SHUT_WR);
    wait_for_end(it->socket, limit);
    (void)pl__subprocess_kill(&it->process);
    while (waitpid((pid_t)it->process.id, NULL, 0) < 0 && errno == EINTR)
        continue;
    it->process.collected = true;
    pl__subprocess_close(&it->process);
    (void)close(it->socket);
    it->socket = -1;
}
