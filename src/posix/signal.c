/* signal.c: the signals of the process, told to proactors: to those whose loops watch them, else to the one that runs the
 * main task of a run (SIGINT and SIGTERM).
 *
 * A signal gets our handler when the first loop watches it and has the one of before again when the last one no longer
 * does, unless somebody has set another over ours meanwhile. A handler of before is called after ours has done its work.
 * For a run alone, ours is set only where the program leaves the signal to the system; a second SIGINT then ends the
 * program, so that one which does not react to the first can still be stopped from the keyboard.
 *
 * The handler may run on any thread, at any time, also while another thread stops watching. So it announces itself
 * (`handlers`) before it looks at the list of proactors and at the run's, and whoever stops takes its proactor away first
 * and then waits until no handler is left. One that has not announced itself yet is not waited for and still looks at the
 * handler of before, so another one is written to another place. What it does is async-signal-safe: atomic operations, a
 * write to a descriptor, sigaction and raise. The lock is for those that watch and unwatch; no handler takes it.
 *
 * A child made by fork watches nothing: it has the handlers of before. Between the fork and that, and in a child made by
 * vfork, our handler finds that the process is another one, and tells nobody.
 */
#include "signals.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <proloop/signal.h>

#include "../thread.h"

typedef struct disposition {
    struct sigaction places[2];  /* one is in use */
    pl__atomic_pointer previous; /* what ours stands for; kept, as others may have ours in their own `previous` */
    bool installed;
    pl__atomic_u32 displaced; /* another was over ours once, and may call it */
    uint32_t watchers;        /* of all loops */
    pl__atomic_u32 by_run;    /* the run's, unless there are watchers */
} disposition;

static disposition dispositions[PL__SIGNALS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pl__atomic_pointer proactors; /* those that want any signal */
static pl__atomic_pointer runner;    /* the proactor of the run that watches */
static pl__atomic_u32 sigints;       /* since that run's watch began */
static pl__atomic_u32 handlers;      /* that run now */
static pl__atomic_u32 owner;         /* the process that watches */
static PL__THREAD_LOCAL uint64_t
    passing_on[(PL__SIGNALS + 63) / 64]; /* bits of the signals that this thread passes on */

static const int run_signals[] = {SIGINT, SIGTERM};

/* --- In the handler ----------------------------------------------------------------------------------------------- */

static void handle_signal(int number, siginfo_t *info, void *context);

static bool is_function(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) || (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

static bool is_default(const struct sigaction *action)
{
    return !(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_DFL;
}

static bool is_ours(int number)
{
    struct sigaction present;
    return sigaction(number, NULL, &present) == 0 && (present.sa_flags & SA_SIGINFO) &&
           present.sa_sigaction == handle_signal;
}

static const struct sigaction *previous_of(int number)
{
    return pl__atomic_pointer_load(&dispositions[number].previous);
}

static pl__mailbox *mailbox_of(void *proactor)
{
    return &((pl__proactor *)proactor)->mailbox;
}

static bool tell_watchers(int number)
{
    bool told = false;
    void *next;
    for (void *each = pl__atomic_pointer_load(&proactors); each; each = next) {
        pl__mailbox *mailbox = mailbox_of(each);
        next = pl__atomic_pointer_load(&mailbox->next);
        if (pl__atomic_u32_load(&mailbox->wanted[number]) == 0)
            continue;
        pl__atomic_u32_add(&mailbox->counts[number], 1);
        pl__atomic_u32_add(&mailbox->arrived, 1);
        ((pl__proactor *)each)->type->wake(each);
        told = true;
    }
    return told;
}

/* False: it is the system's turn. */
static bool tell_run(int number)
{
    pl__proactor *proactor = pl__atomic_pointer_load(&runner);
    if (!proactor || !pl__atomic_u32_load(&dispositions[number].by_run))
        return false;
    if (number == SIGINT && pl__atomic_u32_add(&sigints, 1) > 0)
        return false;
    pl__atomic_u32_add(&proactor->interrupts, 1);
    proactor->type->wake(proactor);
    return true;
}

/* What the system does with it; unless ours is only called by another handler, which has it in hand. */
static void do_default(int number)
{
    struct sigaction action = {.sa_handler = SIG_DFL};
    if (!is_ours(number))
        return;
    sigemptyset(&action.sa_mask);
    (void)sigaction(number, &action, NULL);
    (void)raise(number); /* blocked until this handler returns */
}

/* Whether this thread is passing that signal on already: ours and another were each put over the other. */
static bool is_passing_on(int number)
{
    return pl__atomic_u32_load(&dispositions[number].displaced) &&
           (passing_on[number / 64] & UINT64_C(1) << (number % 64));
}

/* To the handler of before, which may jump away for good: what is noted here is looked at only if it may call ours. */
static void pass_on(int number, siginfo_t *info, void *context, const struct sigaction *previous)
{
    uint64_t *word = &passing_on[number / 64], bit = UINT64_C(1) << (number % 64);
    *word |= bit;
    if (previous->sa_flags & SA_SIGINFO)
        previous->sa_sigaction(number, info, context);
    else
        previous->sa_handler(number);
    *word &= ~bit;
}

static void handle_signal(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    if (is_passing_on(number))
        return;
    pl__atomic_u32_add(&handlers, 1);
    struct sigaction previous = *previous_of(number);
    bool here = pl__atomic_u32_load(&owner) == (uint32_t)getpid();
    bool told = here && (tell_watchers(number) || tell_run(number));
    pl__atomic_u32_add(&handlers, UINT32_MAX);
    if (is_function(&previous))
        pass_on(number, info, context, &previous);
    else if (!told && is_default(&previous))
        do_default(number);
    errno = saved;
}

/* --- Our handler's place; with the lock --------------------------------------------------------------------------- */

/* What is there without us: 0, or a negated errno. Equal ones are the same byte for byte. */
static int find_present(int number, struct sigaction *present)
{
    memset(present, 0, sizeof *present);
    if (sigaction(number, NULL, present) < 0)
        return -errno;
    if (is_ours(number)) /* somebody put it back when nobody watched any more */
        *present = *previous_of(number);
    return 0;
}

/* By its parts: between them is what nobody sets. */
static bool is_same(const struct sigaction *a, const struct sigaction *b)
{
    if (a->sa_flags != b->sa_flags)
        return false;
    if (a->sa_flags & SA_SIGINFO ? a->sa_sigaction != b->sa_sigaction : a->sa_handler != b->sa_handler)
        return false;
    for (int i = 1; i < PL__SIGNALS; i++)
        if (sigismember(&a->sa_mask, i) != sigismember(&b->sa_mask, i))
            return false;
    return true;
}

/* Mostly it is the one that ours stood for the last time. */
static void set_previous(disposition *each, const struct sigaction *present)
{
    const struct sigaction *used = pl__atomic_pointer_load(&each->previous);
    struct sigaction *other = &each->places[used == each->places];
    if (used && is_same(used, present))
        return;
    *other = *present;
    pl__atomic_pointer_store(&each->previous, other);
}

/* Does for the handler of before what the system would do: blocks what it wants blocked while it runs, restarts system
 * calls unless it wants them to end. */
static int install(int number, const struct sigaction *present)
{
    disposition *each = &dispositions[number];
    struct sigaction action = {.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    action.sa_sigaction = handle_signal;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < PL__COUNT_OF(run_signals); i++)
        sigaddset(&action.sa_mask, run_signals[i]);
    if (is_function(present)) {
        action.sa_flags = SA_SIGINFO | SA_ONSTACK | (present->sa_flags & (SA_RESTART | SA_NOCLDSTOP | SA_NOCLDWAIT));
        for (int i = 1; i < PL__SIGNALS; i++)
            if (sigismember(&present->sa_mask, i) == 1)
                sigaddset(&action.sa_mask, i);
    }
    set_previous(each, present);
    if (sigaction(number, &action, NULL) < 0)
        return -errno;
    each->installed = true;
    return 0;
}

/* Unless the program has put its own in place of ours meanwhile. */
static void restore(int number)
{
    disposition *each = &dispositions[number];
    if (each->installed && is_ours(number))
        PL__CHECK(sigaction(number, previous_of(number), NULL) == 0);
    else if (each->installed)
        pl__atomic_u32_store(&each->displaced, 1);
    each->installed = false;
}

static void restore_if_unused(int number)
{
    if (dispositions[number].watchers == 0 && !pl__atomic_u32_load(&dispositions[number].by_run))
        restore(number);
}

static void wait_for_handlers(void)
{
    while (pl__atomic_u32_load(&handlers) > 0) /* they never wait, so they end */
        pl__thread_yield();
}

static void forget_watches(void)
{
    static const pthread_mutex_t unlocked = PTHREAD_MUTEX_INITIALIZER;
    for (int number = 1; number < PL__SIGNALS; number++) {
        restore(number);
        dispositions[number].watchers = 0;
        pl__atomic_u32_store(&dispositions[number].by_run, 0);
    }
    pl__atomic_pointer_store(&proactors, NULL);
    pl__atomic_pointer_store(&runner, NULL);
    pl__atomic_u32_store(&handlers, 0); /* those of other threads are not here */
    memcpy(&lock, &unlocked, sizeof lock);
}

static void begin_change(void)
{
    static bool watching_forks;
    PL__CHECK(pthread_mutex_lock(&lock) == 0);
    if (!watching_forks)
        pl__process_on_fork(forget_watches);
    watching_forks = true;
    pl__atomic_u32_store(&owner, (uint32_t)getpid());
}

static void end_change(void)
{
    PL__CHECK(pthread_mutex_unlock(&lock) == 0);
}

/* --- Runs --------------------------------------------------------------------------------------------------------- */

/* A signal that the program handles itself, or ignores (nohup, a shell's background job), stays as it is. */
static void watch_for_run(int number)
{
    disposition *each = &dispositions[number];
    struct sigaction present;
    if (!each->installed) {
        PL__CHECK(find_present(number, &present) == 0);
        if (!is_default(&present) || install(number, &present) < 0)
            return;
    }
    if (is_default(previous_of(number)))
        pl__atomic_u32_store(&each->by_run, 1);
}

int pl__interrupt_watch(pl__proactor *proactor)
{
    void *none = NULL;
    begin_change();
    if (pl__atomic_pointer_compare_exchange(&runner, &none, proactor)) {
        pl__atomic_u32_store(&sigints, 0);
        for (size_t i = 0; i < PL__COUNT_OF(run_signals); i++)
            watch_for_run(run_signals[i]);
        none = proactor;
    }
    end_change();
    return none == proactor ? 0 : -EBUSY;
}

void pl__interrupt_unwatch(pl__proactor *proactor)
{
    if (pl__atomic_pointer_load(&runner) != proactor)
        return;
    begin_change();
    for (size_t i = 0; i < PL__COUNT_OF(run_signals); i++) {
        if (dispositions[run_signals[i]].watchers == 0)
            restore(run_signals[i]);
        pl__atomic_u32_store(&dispositions[run_signals[i]].by_run, 0);
    }
    pl__atomic_pointer_store(&runner, NULL);
    end_change();
    wait_for_handlers();
}

/* --- Watchers ----------------------------------------------------------------------------------------------------- */

static const struct event_name {
    int event, number;
} event_names[] = {
    {PL_SIGNAL_INTERRUPT, SIGINT},  {PL_SIGNAL_BREAK, SIGQUIT},  {PL_SIGNAL_TERMINATE, SIGTERM},
    {PL_SIGNAL_HANG_UP, SIGHUP},    {PL_SIGNAL_CHILD, SIGCHLD},  {PL_SIGNAL_WINDOW, SIGWINCH},
    {PL_SIGNAL_USER_1, SIGUSR1},    {PL_SIGNAL_USER_2, SIGUSR2}, {PL_SIGNAL_LOGOFF, -ENOTSUP},
    {PL_SIGNAL_SHUTDOWN, -ENOTSUP},
};

static int number_of(int64_t event)
{
    for (size_t i = 0; i < PL__COUNT_OF(event_names); i++)
        if (event_names[i].event == event)
            return event_names[i].number;
    return event > 0 && event < PL__SIGNALS ? (int)event : -EINVAL;
}

static int event_of(int number)
{
    for (size_t i = 0; i < PL__COUNT_OF(event_names); i++)
        if (event_names[i].number == number)
            return event_names[i].event;
    return number;
}

static void want(pl__proactor *proactor, int number)
{
    pl__mailbox *mailbox = &proactor->mailbox;
    if (mailbox->wants++ == 0) {
        pl__atomic_pointer_store(&mailbox->next, pl__atomic_pointer_load(&proactors));
        pl__atomic_pointer_store(&proactors, proactor);
    }
    pl__atomic_u32_add(&mailbox->wanted[number], 1);
    dispositions[number].watchers++;
}

static void unwant(pl__proactor *proactor, int number)
{
    pl__mailbox *mailbox = &proactor->mailbox;
    pl__atomic_pointer *link = &proactors;
    dispositions[number].watchers--;
    pl__atomic_u32_add(&mailbox->wanted[number], UINT32_MAX);
    if (--mailbox->wants > 0)
        return;
    while (pl__atomic_pointer_load(link) != proactor)
        link = &mailbox_of(pl__atomic_pointer_load(link))->next;
    pl__atomic_pointer_store(link, pl__atomic_pointer_load(&mailbox->next));
}

static int install_if_due(int number, uint8_t flags)
{
    struct sigaction present;
    if (dispositions[number].installed)
        return 0;
    int result = find_present(number, &present);
    if (result < 0)
        return result;
    bool ignored = !is_default(&present) && !is_function(&present);
    return ignored && !(flags & PL__SIGNAL_TAKE_IGNORED) ? 0 : install(number, &present);
}

int pl__signal_watch(pl__proactor *proactor, pl__request *request)
{
    int number = number_of(request->value);
    if (number < 0)
        return number;
    begin_change();
    want(proactor, number);
    int result = install_if_due(number, request->flags);
    if (result < 0)
        unwant(proactor, number);
    end_change();
    if (result < 0)
        wait_for_handlers();
    request->value = event_of(number);
    return result < 0 ? result : number;
}

int pl__signal_unwatch(pl__proactor *proactor, pl__request *request)
{
    int number = request->option;
    begin_change();
    PL__CHECK(pl__atomic_u32_load(&proactor->mailbox.wanted[number]) > 0 && dispositions[number].watchers > 0);
    dispositions[number].watchers--; /* first the handler, then what it looks at */
    restore_if_unused(number);
    dispositions[number].watchers++;
    unwant(proactor, number);
    end_change();
    wait_for_handlers();
    return 0;
}
