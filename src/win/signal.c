/* signal.c: the events of a console, told to proactors: to those whose loops watch them, else to the one that runs the main
 * task of a run.
 *
 * The system runs a console control handler on a thread of its own, so it neither interrupts nor wakes a
 * thread that waits on a completion port: the handler counts and wakes. Two things are particular:
 *
 *  - The second Ctrl-C of a run is not ours any more. The next handler gets it, which by default ends the process: a
 * program that does not come to its end can be stopped.
 *  - When the console is closed, a user logs off or the machine shuts down, the process is ended as soon as the handler
 * returns, or a few seconds later. So the handler stays while the program cleans up.
 *
 * A logoff is told to services only, whoever logged off, and is no reason for a run to end.
 *
 * Ctrl-Break is a demand for a dump (dump.h) while there are loops in debug mode, whoever watches it.
 *
 * The handler is installed once and stays: the system may hold its list of handlers locked while one runs, so
 * taking ours out of it could wait for a handler that in turn waits for us. While nobody watches, it passes everything on,
 * as if it were not there.
 */
#include "system.h" /* first: a compiler's own header of atomic operations, which others include, disturbs it */

#include <proloop/signal.h>

#include "../dump.h"

/* How long the handler stays after the last watch was taken back: the rest of main() runs then, and returning
 * would cut it off. The process that has ended ends the handler too. */
#define PARTING_MILLISECONDS 2000

enum { EVENTS = CTRL_SHUTDOWN_EVENT + 1 };

static SRWLOCK lock = SRWLOCK_INIT; /* guards all below */
static CONDITION_VARIABLE changed = CONDITION_VARIABLE_INIT;

static pl__proactor *runner; /* NULL: no run watches */
static uint32_t seen;        /* interrupts since its watch began */
static uint32_t runs;        /* watches begun so far: tells one from the next */

static pl__proactor *proactors;   /* those that want any event */
static uint32_t watchers[EVENTS]; /* of all loops */
static uint32_t passing[EVENTS];  /* those of them that have an event passed on */
static bool parting[EVENTS];      /* a loop that was told has closed its watchers: main() may be about to return */

static bool ends_process(DWORD event)
{
    return event == CTRL_CLOSE_EVENT || event == CTRL_LOGOFF_EVENT || event == CTRL_SHUTDOWN_EVENT;
}

static pl__proactor *after(const pl__proactor *proactor)
{
    return pl__atomic_pointer_load(&proactor->mailbox.next);
}

/* --- In the handler, with the lock -------------------------------------------------------------------------------- */

static void leave_time(void)
{
    ReleaseSRWLockExclusive(&lock);
    Sleep(PARTING_MILLISECONDS);
    AcquireSRWLockExclusive(&lock);
}

static bool is_parked(DWORD event)
{
    for (const pl__proactor *each = proactors; each; each = after(each))
        if (each->mailbox.parked & 1u << event)
            return true;
    return false;
}

/* Until the loops that were told have dealt with it. */
static void park(DWORD event)
{
    while (is_parked(event))
        SleepConditionVariableSRW(&changed, &lock, INFINITE, 0);
    if (parting[event])
        leave_time();
}

/* Returns whether that was all, and the handlers after ours have no turn. */
static bool tell_watchers(DWORD event)
{
    parting[event] = false;
    for (pl__proactor *each = proactors; each; each = after(each)) {
        if (pl__atomic_u32_load(&each->mailbox.wanted[event]) == 0)
            continue;
        pl__atomic_u32_add(&each->mailbox.counts[event], 1);
        pl__atomic_u32_add(&each->mailbox.arrived, 1);
        each->mailbox.parked |= 1u << event;
        each->type->wake(each);
    }
    bool passes = passing[event] > 0;
    if (ends_process(event))
        park(event);
    return !passes;
}

/* Returns false if it is the system's turn: no run watches, or it was told before. */
static bool tell_run(void)
{
    if (!runner)
        return false;
    seen++;
    pl__atomic_u32_add(&runner->interrupts, 1);
    runner->type->wake(runner);
    return seen == 1;
}

/* The same for the end of the process: until the program has cleaned up. */
static bool tell_run_of_end(void)
{
    uint32_t run = runs;
    if (!runner)
        return false;
    (void)tell_run();
    while (runner && run == runs)
        SleepConditionVariableSRW(&changed, &lock, INFINITE, 0);
    leave_time();
    return true;
}

static bool handle_event(DWORD event)
{
    if (event >= EVENTS)
        return false;
    if (watchers[event] > 0)
        return tell_watchers(event);
    if (event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT)
        return tell_run();
    return event != CTRL_LOGOFF_EVENT && ends_process(event) && tell_run_of_end();
}

static BOOL WINAPI on_console_event(DWORD event)
{
    bool dumped = event == CTRL_BREAK_EVENT && pl__dump_all() > 0;
    AcquireSRWLockExclusive(&lock);
    bool handled = dumped && watchers[event] == 0 ? true : handle_event(event);
    ReleaseSRWLockExclusive(&lock);
    return handled;
}

/* --- Installing it ------------------------------------------------------------------------------------------------ */

static BOOL CALLBACK install(INIT_ONCE *once, void *parameter, void **context)
{
    HMODULE module;
    PL__UNUSED(once);
    PL__UNUSED(parameter);
    PL__UNUSED(context);
    /* If proloop is in a DLL, that must stay as well. */
    return GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                              (LPCWSTR)(const void *)&runner, &module) &&
           SetConsoleCtrlHandler(on_console_event, TRUE);
}

int pl__interrupt_install(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    return InitOnceExecuteOnce(&once, install, NULL, NULL) ? PL_OK : pl__error_from_win32(GetLastError());
}

/* --- Runs --------------------------------------------------------------------------------------------------------- */

static int interrupt_watch(pl__proactor *proactor)
{
    int result = pl__interrupt_install();
    if (result < 0)
        return result;
    AcquireSRWLockExclusive(&lock);
    if (!runner) {
        runner = proactor;
        seen = 0;
        runs++;
    } else if (runner != proactor) {
        result = PL_EBUSY;
    }
    ReleaseSRWLockExclusive(&lock);
    return result;
}

void pl__interrupt_unwatch(pl__proactor *proactor)
{
    AcquireSRWLockExclusive(&lock);
    if (runner == proactor) {
        runner = NULL;
        WakeAllConditionVariable(&changed);
    }
    ReleaseSRWLockExclusive(&lock);
}

/* --- Watchers ----------------------------------------------------------------------------------------------------- */

enum { NOT_HERE = -1 };

static const struct event_name {
    int event, number;
} event_names[] = {
    {PL_SIGNAL_INTERRUPT, CTRL_C_EVENT},
    {PL_SIGNAL_BREAK, CTRL_BREAK_EVENT},
    {PL_SIGNAL_HANG_UP, CTRL_CLOSE_EVENT},
    {PL_SIGNAL_LOGOFF, CTRL_LOGOFF_EVENT},
    {PL_SIGNAL_SHUTDOWN, CTRL_SHUTDOWN_EVENT},
    {PL_SIGNAL_TERMINATE, NOT_HERE},
    {PL_SIGNAL_CHILD, NOT_HERE},
    {PL_SIGNAL_WINDOW, NOT_HERE},
    {PL_SIGNAL_USER_1, NOT_HERE},
    {PL_SIGNAL_USER_2, NOT_HERE},
};

/* Signals of Unix have numbers, too, and are not here. */
static int number_of(int64_t event)
{
    for (size_t i = 0; i < PL__COUNT_OF(event_names); i++)
        if (event_names[i].event == event)
            return event_names[i].number == NOT_HERE ? PL_ENOTSUP : event_names[i].number;
    return event > 0 && event < PL__SIGNALS ? PL_ENOTSUP : PL_EINVAL;
}

static void want(pl__proactor *proactor, int number, uint8_t flags)
{
    pl__mailbox *mailbox = &proactor->mailbox;
    if (mailbox->wants++ == 0) {
        pl__atomic_pointer_store(&mailbox->next, proactors);
        proactors = proactor;
    }
    pl__atomic_u32_add(&mailbox->wanted[number], 1);
    watchers[number]++;
    passing[number] += (flags & PL__SIGNAL_PASS_ON) != 0;
}

static void leave_list(pl__proactor *proactor)
{
    pl__proactor *before = NULL;
    for (pl__proactor *each = proactors; each != proactor; each = after(each))
        before = each;
    if (before)
        pl__atomic_pointer_store(&before->mailbox.next, after(proactor));
    else
        proactors = after(proactor);
}

static void release_parked(pl__mailbox *mailbox, int number)
{
    mailbox->parked &= ~(1u << number);
    WakeAllConditionVariable(&changed);
}

static void unwant(pl__proactor *proactor, int number, uint8_t flags)
{
    pl__mailbox *mailbox = &proactor->mailbox;
    PL__CHECK(watchers[number] > 0 && pl__atomic_u32_load(&mailbox->wanted[number]) > 0);
    watchers[number]--;
    passing[number] -= (flags & PL__SIGNAL_PASS_ON) != 0;
    if (pl__atomic_u32_add(&mailbox->wanted[number], UINT32_MAX) == 1 && (mailbox->parked & 1u << number)) {
        parting[number] = true;
        release_parked(mailbox, number);
    }
    if (--mailbox->wants == 0)
        leave_list(proactor);
}

static int signal_watch(pl__proactor *proactor, pl__request *request)
{
    int number = number_of(request->value);
    int result = number < 0 ? number : pl__interrupt_install();
    if (result < 0)
        return result;
    AcquireSRWLockExclusive(&lock);
    want(proactor, number, request->flags);
    ReleaseSRWLockExclusive(&lock);
    return number;
}

static int signal_unwatch(pl__proactor *proactor, const pl__request *request)
{
    AcquireSRWLockExclusive(&lock);
    unwant(proactor, request->option, request->flags);
    ReleaseSRWLockExclusive(&lock);
    return PL_OK;
}

/* Unless another one has come since. */
static int signal_done(pl__proactor *proactor, const pl__request *request)
{
    AcquireSRWLockExclusive(&lock);
    if (pl__atomic_u32_load(&proactor->mailbox.counts[request->option]) == (uint32_t)request->value)
        release_parked(&proactor->mailbox, request->option);
    ReleaseSRWLockExclusive(&lock);
    return PL_OK;
}

int pl__signal_control(pl__proactor *proactor, pl__request *request)
{
    switch (request->kind) {
    case PL__REQUEST_SIGNAL_WATCH:
        return signal_watch(proactor, request);
    case PL__REQUEST_SIGNAL_UNWATCH:
        return signal_unwatch(proactor, request);
    case PL__REQUEST_SIGNAL_DONE:
        return signal_done(proactor, request);
    default:
        PL__CHECK(request->kind == PL__REQUEST_INTERRUPT_WATCH);
        break;
    }
    if (request->value)
        return interrupt_watch(proactor);
    pl__interrupt_unwatch(proactor);
    return PL_OK;
}
