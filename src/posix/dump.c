/* dump.c: SIGQUIT (Ctrl-\) asks for a dump.
 *
 * The signal's handler writes a byte into a pipe; a thread reads it there and makes the dump. Whoever stops the watch first
 * puts the handler of before back, then waits until none of ours still runs, and only then closes the pipe.
 *
 * A program that handles or ignores SIGQUIT itself keeps it: then there are no dumps on demand.
 */
#include "../dump.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include "error.h"
#include "pipe.h"

enum { PL__DUMP = 'd', PL__END = 'e' };

static int pipe_ends[2] = {-1, -1};
static pl__atomic_u32 watching; /* the pipe may be written to */
static pl__atomic_u32 handlers; /* that run now */
static pl__thread thread;
static bool installed; /* the handler */

static void set_handler(void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    PL__CHECK(sigaction(SIGQUIT, &action, NULL) == 0);
}

static bool present_handler_is(void (*handler)(int))
{
    struct sigaction present;
    PL__CHECK(sigaction(SIGQUIT, NULL, &present) == 0);
    return !(present.sa_flags & SA_SIGINFO) && present.sa_handler == handler;
}

static void tell(char what)
{
    while (write(pipe_ends[1], &what, 1) < 0 && errno == EINTR)
        continue;
}

/* In a child made by fork nobody watches: there the signal does what it does without us. If another handler was put over
 * this one (signal.c does) and still calls it, the signal is that one's affair. */
static void handle_signal(int number)
{
    int saved = errno;
    pl__atomic_u32_add(&handlers, 1);
    if (pl__atomic_u32_load(&watching)) {
        tell(PL__DUMP);
    } else if (present_handler_is(handle_signal)) {
        set_handler(SIG_DFL);
        (void)raise(number); /* blocked until this handler returns */
    }
    pl__atomic_u32_add(&handlers, UINT32_MAX);
    errno = saved;
}

static void dump_when_told(void *arg)
{
    PL__UNUSED(arg);
    for (;;) {
        char what;
        ssize_t got = read(pipe_ends[0], &what, 1);
        if (got == 1 && what == PL__END)
            return;
        if (got == 1)
            (void)pl__dump_all();
        else
            PL__CHECK(got < 0 && errno == EINTR);
    }
}

static void close_pipe(void)
{
    for (int i = 0; i < 2; i++) {
        if (pipe_ends[i] >= 0)
            (void)close(pipe_ends[i]);
        pipe_ends[i] = -1;
    }
}

static int open_pipe(void)
{
    int result = pl__pipe_ends(pipe_ends);
    return result < 0 ? pl__error_from_errno(-result) : PL_OK;
}

int pl__dump_key_watch(void)
{
    installed = present_handler_is(SIG_DFL);
    if (!installed)
        return PL_OK;
    int result = open_pipe();
    if (result == PL_OK)
        result = pl__thread_start(&thread, dump_when_told, NULL, "proloop dump");
    if (result < 0) {
        close_pipe();
        installed = false;
        return result;
    }
    pl__atomic_u32_store(&watching, 1);
    set_handler(handle_signal);
    return PL_OK;
}

void pl__dump_key_unwatch(void)
{
    if (!installed)
        return;
    installed = false;
    if (present_handler_is(handle_signal))
        set_handler(SIG_DFL);
    pl__atomic_u32_store(&watching, 0);
    while (pl__atomic_u32_load(&handlers) > 0) /* a write at most */
        pl__thread_yield();
    tell(PL__END);
    pl__thread_join(&thread);
    close_pipe();
}

void pl__dump_key_forget(void)
{
    pl__atomic_u32_store(&watching, 0);
    pl__atomic_u32_store(&handlers, 0);
    if (installed && present_handler_is(handle_signal))
        set_handler(SIG_DFL);
    installed = false;
    close_pipe();
}
