#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <proloop/signal.h>

static volatile sig_atomic_t counted;
static struct sigaction previous;

bool process_uses_console(void)
{
    return false;
}

bool process_interrupt(void)
{
    return raise(SIGINT) == 0;
}

int process_interrupt_is_handled(void)
{
    struct sigaction present;
    (void)sigaction(SIGINT, NULL, &present);
    return present.sa_handler != SIG_DFL;
}

bool process_terminate(void)
{
    return raise(SIGTERM) == 0;
}

int process_interrupt_number(void)
{
    return SIGINT;
}

static int number_of(int event)
{
    static const struct {
        int event, number;
    } names[] = {{PL_SIGNAL_INTERRUPT, SIGINT}, {PL_SIGNAL_BREAK, SIGQUIT},   {PL_SIGNAL_TERMINATE, SIGTERM},
                 {PL_SIGNAL_HANG_UP, SIGHUP},   {PL_SIGNAL_CHILD, SIGCHLD},   {PL_SIGNAL_WINDOW, SIGWINCH},
                 {PL_SIGNAL_USER_1, SIGUSR1},   {PL_SIGNAL_USER_2, SIGUSR2},  {PL_SIGNAL_LOGOFF, 0},
                 {PL_SIGNAL_SHUTDOWN, 0}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].event == event)
            return names[i].number;
    return event;
}

bool process_has(int event)
{
    return number_of(event) != 0;
}

bool process_raise(int event)
{
    return raise(number_of(event)) == 0;
}

int process_unnamed_signal(void)
{
#if defined(SIGRTMAX)
    return SIGRTMAX - 1;
#else
    return SIGALRM;
#endif
}

bool process_ignore_interrupts(bool ignore)
{
    return signal(SIGINT, ignore ? SIG_IGN : SIG_DFL) != SIG_ERR;
}

void process_forget_interrupt_handlers(void)
{
    (void)signal(SIGINT, SIG_DFL);
}

static void count(int number, siginfo_t *info, void *context)
{
    counted++;
    if (previous.sa_flags & SA_SIGINFO)
        previous.sa_sigaction(number, info, context);
}

void process_count_interrupts(void)
{
    struct sigaction action;
    counted = 0;
    action.sa_sigaction = count;
    action.sa_flags = SA_SIGINFO;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, &previous);
}

void process_wait_interrupts(int count_wanted)
{
    sigset_t none;
    (void)sigemptyset(&none);
    while (counted < count_wanted)
        (void)sigsuspend(&none);
}

int process_interrupts_counted(void)
{
    (void)sigaction(SIGINT, &previous, NULL);
    return counted;
}

int process_fork(int (*fn)(void *arg), void *arg)
{
    int status = 0;
    pid_t child = fork();
    if (child < 0)
        return -1;
    if (child == 0)
        _exit(fn(arg));
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

int process_return_seven(void *arg)
{
    (void)arg;
    return 7;
}

int process_die_of_interrupt(void *arg)
{
    (void)arg;
    (void)raise(SIGINT);
    (void)poll(NULL, 0, 0); /* a sanitizer may put a handler off until the next call that can wait */
    return 33;
}

uint64_t process_id(void)
{
    return (uint64_t)getpid();
}

bool process_is_alive(uint64_t id)
{
    return kill((pid_t)id, 0) == 0 || errno != ESRCH;
}

bool process_kill(uint64_t id)
{
    siginfo_t end;
    if (kill((pid_t)id, SIGKILL) != 0)
        return false;
    while (waitid(P_PID, (id_t)id, &end, WEXITED | WNOWAIT) < 0 && errno == EINTR)
        continue;
    return true;
}

bool process_write(uintptr_t handle, const void *data, size_t size)
{
    return write((int)handle, data, size) == (ssize_t)size;
}

uintptr_t process_open_inheritable(void)
{
    enum { BEYOND_THE_USUAL = 200 };
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int high = fcntl(low, F_DUPFD, BEYOND_THE_USUAL);
    (void)close(low);
    return (uintptr_t)high;
}

void process_close_inheritable(uintptr_t value)
{
    (void)close((int)value);
}
