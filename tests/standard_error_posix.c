#include "standard_error.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ends[2];
static int before;

bool standard_error_take(void)
{
    (void)fflush(stderr);
    before = dup(STDERR_FILENO);
    if (before < 0 || pipe(ends) < 0)
        return false;
    return dup2(ends[1], STDERR_FILENO) >= 0;
}

void standard_error_read(char *text, size_t size, const char *wanted)
{
    size_t length = 0;
    text[0] = '\0';
    while (!strstr(text, wanted) && length + 1 < size) {
        ssize_t got = read(ends[0], text + length, size - length - 1);
        if (got <= 0)
            return;
        length += (size_t)got;
        text[length] = '\0';
    }
}

void standard_error_give_back(void)
{
    (void)fflush(stderr);
    (void)dup2(before, STDERR_FILENO);
    (void)close(before);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* --- Demands ------------------------------------------------------------------------------------------------------ */

static volatile sig_atomic_t demands;

bool process_can_demand_dump(void)
{
    return true;
}

bool process_demand_dump(void)
{
    return raise(SIGQUIT) == 0;
}

static void count_demand(int number)
{
    (void)number;
    demands++;
}

void process_count_demands(void)
{
    struct sigaction action = {0};
    demands = 0;
    action.sa_handler = count_demand;
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGQUIT, &action, NULL);
}

int process_demands_counted(void)
{
    (void)signal(SIGQUIT, SIG_DFL);
    return demands;
}
