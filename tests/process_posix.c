#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

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

static void count(int number)
{
    (void)number;
    counted++;
}

void process_count_interrupts(void)
{
    struct sigaction action;
    counted = 0;
    action.sa_handler = count;
    action.sa_flags = 0;
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
