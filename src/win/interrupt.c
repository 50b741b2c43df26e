/* interrupt.c: Ctrl-C and its kin.
 *
 * The system runs a console control handler on a thread of its own, so it neither interrupts nor wakes a
 * thread that waits on a completion port: the handler counts and wakes. Two things are particular:
 *
 *  - The second Ctrl-C is not ours any more. The next handler gets it, which by default ends the process: a
 * program that does not come to its end can be stopped.
 *  - When the console is closed or the machine shuts down, the process is ended as soon as the handler
 * returns, or a few seconds later. So the handler stays while the program cleans up.
 *
 * A logoff is told to services only, whoever logged off, and is no reason for one to end.
 *
 * Ctrl-Break is a demand for a dump (dump.h) while there are loops in debug mode.
 *
 * The handler is installed once and stays: the system may hold its list of handlers locked while one runs, so
 * taking ours out of it could wait for a handler that in turn waits for us.
 */
#include "system.h" /* first: a compiler's own header of atomic operations, which others include, disturbs it */

#include "../dump.h"

/* How long the handler stays after the watch was taken back: the rest of main() runs then, and returning
 * would cut it off. The process that has ended ends the handler too. */
#define PARTING_MILLISECONDS 2000

static SRWLOCK lock = SRWLOCK_INIT; /* guards all below */
static CONDITION_VARIABLE unwatched = CONDITION_VARIABLE_INIT;
static pl__proactor *watcher; /* NULL: nobody watches */
static uint32_t seen;         /* interrupts since the watch began */
static uint32_t watches;      /* watches begun so far: tells a watch from the next one */

/* Returns false if it is the system's turn: nobody watches, or the watcher was told before. */
static bool report(void)
{
    if (!watcher)
        return false;
    seen++;
    pl__atomic_u32_add(&watcher->interrupts, 1);
    watcher->type->wake(watcher);
    return seen == 1;
}

/* Waits until the program has cleaned up. */
static void stay(void)
{
    uint32_t watch = watches;
    while (watcher && watch == watches)
        SleepConditionVariableSRW(&unwatched, &lock, INFINITE, 0);
    ReleaseSRWLockExclusive(&lock);
    Sleep(PARTING_MILLISECONDS);
    AcquireSRWLockExclusive(&lock);
}

static BOOL WINAPI on_console_event(DWORD event)
{
    bool handled = false;
    if (event == CTRL_BREAK_EVENT && pl__dump_all() > 0)
        return TRUE;
    AcquireSRWLockExclusive(&lock);
    switch (event) {
    case CTRL_C_EVENT:
    case CTRL_BREAK_EVENT:
        handled = report();
        break;
    case CTRL_CLOSE_EVENT:
    case CTRL_SHUTDOWN_EVENT:
        handled = watcher != NULL;
        if (handled) {
            (void)report();
            stay();
        }
        break;
    default:
        break;
    }
    ReleaseSRWLockExclusive(&lock);
    return handled;
}

static BOOL CALLBACK install(INIT_ONCE *once, void *parameter, void **context)
{
    HMODULE module;
    PL__UNUSED(once);
    PL__UNUSED(parameter);
    PL__UNUSED(context);
    /* If proloop is in a DLL, that must stay as well. */
    return GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                              (LPCWSTR)(const void *)&watcher, &module) &&
           SetConsoleCtrlHandler(on_console_event, TRUE);
}

int pl__interrupt_install(void)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    return InitOnceExecuteOnce(&once, install, NULL, NULL) ? PL_OK : pl__error_from_win32(GetLastError());
}

int pl__interrupt_watch(pl__proactor *proactor)
{
    int result = pl__interrupt_install();
    if (result < 0)
        return result;
    AcquireSRWLockExclusive(&lock);
    if (!watcher) {
        watcher = proactor;
        seen = 0;
        watches++;
    } else if (watcher != proactor) {
        result = PL_EBUSY;
    }
    ReleaseSRWLockExclusive(&lock);
    return result;
}

void pl__interrupt_unwatch(pl__proactor *proactor)
{
    AcquireSRWLockExclusive(&lock);
    if (watcher == proactor) {
        watcher = NULL;
        WakeAllConditionVariable(&unwatched);
    }
    ReleaseSRWLockExclusive(&lock);
}
