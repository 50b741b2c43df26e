/* interrupt.c: SIGINT and SIGTERM as interrupts of one proactor.
 *
 * The handler may run on any thread, at any time, also while another thread stops watching. So it announces
 * itself
 * (`handlers`) before it looks at `watcher`, and whoever stops clears `watcher` first and then waits until no
 * handler is left. What it does is async-signal-safe: atomic operations, and a write to a descriptor.
 *
 * A signal that the host handles itself, or ignores (nohup, a shell's background job), stays as it is. A second
 * SIGINT ends the program, so that one which does not react to the first can still be stopped from the keyboard.
 * A child made by fork does not watch: it has the handlers of before.
 */
#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>

#include "../thread.h"

typedef struct watched_signal {
    int number;
    bool installed;
    struct sigaction previous;
} watched_signal;

static watched_signal signals[] = {{.number = SIGINT}, {.number = SIGTERM}};

static pl__atomic_pointer watcher;
static pl__atomic_u32 handlers; /* that run now */
static pl__atomic_u32 sigints;  /* since the watch began */

static void set_handler(int number, void (*handler)(int), struct sigaction *previous)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < PL__COUNT_OF(signals); i++)
        sigaddset(&action.sa_mask, signals[i].number);
    PL__CHECK(sigaction(number, &action, previous) == 0);
}

static void handle_signal(int number)
{
    int saved = errno;
    pl__atomic_u32_add(&handlers, 1);
    pl__proactor *proactor = pl__atomic_pointer_load(&watcher);
    if (proactor && number == SIGINT && pl__atomic_u32_add(&sigints, 1) > 0) {
        set_handler(SIGINT, SIG_DFL, NULL);
        (void)raise(SIGINT); /* blocked until this handler returns */
    } else if (proactor) {
        pl__atomic_u32_add(&proactor->interrupts, 1);
        proactor->type->wake(proactor);
    }
    pl__atomic_u32_add(&handlers, UINT32_MAX);
    errno = saved;
}

static bool is_ours(int number)
{
    struct sigaction present;
    PL__CHECK(sigaction(number, NULL, &present) == 0);
    return !(present.sa_flags & SA_SIGINFO) && present.sa_handler == handle_signal;
}

static void install(watched_signal *each)
{
    struct sigaction present;
    PL__CHECK(sigaction(each->number, NULL, &present) == 0);
    each->installed = !(present.sa_flags & SA_SIGINFO) && present.sa_handler == SIG_DFL;
    if (each->installed)
        set_handler(each->number, handle_signal, &each->previous);
}

/* Unless the host has put its own in place of ours meanwhile. */
static void restore(watched_signal *each)
{
    if (each->installed && is_ours(each->number))
        PL__CHECK(sigaction(each->number, &each->previous, NULL) == 0);
    each->installed = false;
}

static void forget_watch(void)
{
    for (size_t i = 0; i < PL__COUNT_OF(signals); i++)
        restore(&signals[i]);
    pl__atomic_pointer_store(&watcher, NULL);
    pl__atomic_u32_store(&handlers, 0); /* those of other threads are not here */
}

static void watch_forks(void)
{
    static pl__atomic_u32 watching;
    if (pl__atomic_u32_exchange(&watching, 1) == 0)
        pl__process_on_fork(forget_watch);
}

int pl__interrupt_watch(pl__proactor *proactor)
{
    void *none = NULL;
    watch_forks();
    if (!pl__atomic_pointer_compare_exchange(&watcher, &none, proactor))
        return none == proactor ? 0 : -EBUSY;
    pl__atomic_u32_store(&sigints, 0);
    for (size_t i = 0; i < PL__COUNT_OF(signals); i++)
        install(&signals[i]);
    return 0;
}

void pl__interrupt_unwatch(pl__proactor *proactor)
{
    if (pl__atomic_pointer_load(&watcher) != proactor)
        return;
    for (size_t i = 0; i < PL__COUNT_OF(signals); i++)
        restore(&signals[i]);
    pl__atomic_pointer_store(&watcher, NULL);
    while (pl__atomic_u32_load(&handlers) > 0) /* they never wait, so they end */
        pl__thread_yield();
}
