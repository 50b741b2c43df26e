#include "shims_foreign.h"

#include "shims_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>

static int left[FOREIGN_CALLS];

bool foreign_fail(foreign_call call, int times)
{
    left[call] = times;
    return call == FOREIGN_DUPLICATE || call == FOREIGN_REGISTER;
}

int foreign_failures_left(foreign_call call)
{
    return left[call];
}

void foreign_faults_clear(void)
{
    for (int i = 0; i < FOREIGN_CALLS; i++)
        left[i] = 0;
}

int __real_fcntl(int descriptor, int command, ...);
int __wrap_fcntl(int descriptor, int command, ...);

int __wrap_fcntl(int descriptor, int command, ...)
{
    va_list list;
    va_start(list, command);
    long argument = va_arg(list, long);
    va_end(list);
    if (command == F_DUPFD_CLOEXEC && left[FOREIGN_DUPLICATE] > 0) {
        left[FOREIGN_DUPLICATE]--;
        errno = EMFILE;
        return -1;
    }
    return __real_fcntl(descriptor, command, argument);
}

bool foreign_register_fails(void)
{
    if (left[FOREIGN_REGISTER] == 0)
        return false;
    left[FOREIGN_REGISTER]--;
    errno = ENOSPC;
    return true;
}

void foreign_hold_posts(void)
{
}

void foreign_await_post(void)
{
}

void foreign_release_posts(void)
{
}

bool packet_replay_begin(packet_replay *replay)
{
    *replay = (packet_replay){.created = 0};
    return false;
}

void packet_replay_end(void)
{
}

void packet_replay_signal(void)
{
}
