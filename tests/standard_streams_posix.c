#include "standard_streams.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

static int replaced = -1; /* which one */
static int own = -1;      /* the process's, meanwhile; -1: it had none */
static int other = -1;    /* the other end */

/* What is written arrives as it is. Of the other side of a terminal all does; else input is edited in lines. */
static void set_terminal(int slave, bool raw)
{
    struct termios mode;
    if (tcgetattr(slave, &mode) != 0)
        return;
    if (raw)
        cfmakeraw(&mode);
    mode.c_oflag &= ~(tcflag_t)OPOST;
    (void)tcsetattr(slave, TCSANOW, &mode);
}

static int open_ends(int which, enum standard_kind kind, const char *path, int64_t place)
{
    int ends[2] = {-1, -1};
    bool reads = which == 0;
    switch (kind) {
    case STANDARD_PIPE:
        if (pipe(ends) != 0)
            return -1;
        other = ends[reads];
        return ends[!reads];
    case STANDARD_SOCKET:
        if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
            return -1;
        other = ends[0];
        return ends[1];
    case STANDARD_TERMINAL:
    case STANDARD_MASTER:
        if (openpty(&ends[0], &ends[1], NULL, NULL, NULL) != 0)
            return -1;
        set_terminal(ends[1], kind == STANDARD_MASTER);
        other = ends[kind == STANDARD_MASTER];
        return ends[kind != STANDARD_MASTER];
    case STANDARD_FILE:
        ends[0] = open(path, reads ? O_RDONLY : O_WRONLY | O_CREAT, 0600);
        if (ends[0] >= 0)
            (void)lseek(ends[0], (off_t)place, SEEK_SET);
        return ends[0];
    default:
        return open("/dev/null", reads ? O_RDONLY : O_WRONLY);
    }
}

bool standard_begin(int which, enum standard_kind kind, const char *path, int64_t place)
{
    int opened = open_ends(which, kind, path, place);
    if (opened < 0)
        return false;
    if (other >= 0)
        (void)fcntl(other, F_SETFD, FD_CLOEXEC);
    own = fcntl(which, F_DUPFD_CLOEXEC, 3);
    replaced = which;
    (void)dup2(opened, which);
    (void)close(opened);
    if (kind == STANDARD_CLOSED)
        (void)close(which);
    return true;
}

void standard_end(void)
{
    standard_hang_up();
    standard_give_back();
}

void standard_give_back(void)
{
    if (own >= 0) {
        (void)dup2(own, replaced);
        (void)close(own);
    } else {
        (void)close(replaced);
    }
    own = replaced = -1;
}

bool standard_feed(const void *data, size_t size)
{
    return write(other, data, size) == (ssize_t)size;
}

int64_t standard_drain(void *data, size_t size)
{
    return read(other, data, size);
}

int64_t standard_drain_now(void *data, size_t size)
{
    struct pollfd asked = {.fd = other, .events = POLLIN};
    return poll(&asked, 1, 0) == 1 ? standard_drain(data, size) : 0;
}

void standard_hang_up(void)
{
    if (other >= 0)
        (void)close(other);
    other = -1;
}

bool standard_write(const void *data, size_t size)
{
    return write(replaced, data, size) == (ssize_t)size;
}

void standard_modes(uint64_t modes[2])
{
    struct termios terminal;
    modes[0] = (uint64_t)fcntl(replaced, F_GETFL);
    modes[1] = 0;
    if (tcgetattr(replaced, &terminal) == 0)
        modes[1] = (uint64_t)terminal.c_lflag << 32 ^ (uint64_t)terminal.c_iflag << 16 ^ terminal.c_oflag;
}
