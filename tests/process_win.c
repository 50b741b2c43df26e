/* An event of the keyboard reaches every process of a console. So the tests get a console of their own, which also is
 * the only kind that Wine without a terminal has events for. A console that shows the tests' output is left alone.
 */
#include "process.h"

#include <stddef.h>
#include <windows.h>

#include <proloop/signal.h>

static HANDLE counted; /* a semaphore: one for each */

static bool own_console(void)
{
    static bool tried, owned;
    DWORD mode;
    if (tried)
        return owned;
    tried = true;
    if (GetConsoleMode(GetStdHandle(STD_OUTPUT_HANDLE), &mode) || GetConsoleMode(GetStdHandle(STD_ERROR_HANDLE), &mode))
        return false;
    (void)FreeConsole();
    owned = AllocConsole() && SetConsoleCtrlHandler(NULL, FALSE);
    return owned;
}

bool process_uses_console(void)
{
    return own_console();
}

bool process_interrupt(void)
{
    return own_console() && GenerateConsoleCtrlEvent(CTRL_C_EVENT, 0);
}

int process_interrupt_is_handled(void)
{
    return -1;
}

bool process_terminate(void)
{
    return false; /* Wine 8 knows no Ctrl-Break */
}

int process_interrupt_number(void)
{
    return CTRL_C_EVENT;
}

bool process_has(int event)
{
    return event == PL_SIGNAL_INTERRUPT && own_console();
}

bool process_raise(int event)
{
    return process_has(event) && process_interrupt();
}

int process_unnamed_signal(void)
{
    return 0;
}

bool process_ignore_interrupts(bool ignore)
{
    (void)ignore;
    return false; /* the system keeps that from every handler */
}

void process_forget_interrupt_handlers(void)
{
}

static BOOL WINAPI count(DWORD event)
{
    (void)event;
    ReleaseSemaphore(counted, 1, NULL);
    return TRUE;
}

void process_count_interrupts(void)
{
    counted = CreateSemaphoreW(NULL, 0, 1000, NULL);
    SetConsoleCtrlHandler(count, TRUE);
}

void process_wait_interrupts(int count_wanted)
{
    for (int i = 0; i < count_wanted; i++)
        WaitForSingleObject(counted, INFINITE);
    ReleaseSemaphore(counted, count_wanted, NULL);
}

int process_interrupts_counted(void)
{
    int result = 0;
    SetConsoleCtrlHandler(count, FALSE);
    while (WaitForSingleObject(counted, 0) == WAIT_OBJECT_0)
        result++;
    CloseHandle(counted);
    return result;
}

int process_fork(int (*fn)(void *arg), void *arg)
{
    (void)fn;
    (void)arg;
    return -1;
}

int process_return_seven(void *arg)
{
    (void)arg;
    return 7;
}

int process_die_of_interrupt(void *arg)
{
    (void)arg;
    return 33;
}

uint64_t process_id(void)
{
    return GetCurrentProcessId();
}

bool process_is_alive(uint64_t id)
{
    HANDLE process = OpenProcess(SYNCHRONIZE, FALSE, (DWORD)id);
    bool alive = process != NULL && WaitForSingleObject(process, 0) == WAIT_TIMEOUT;
    if (process != NULL)
        CloseHandle(process);
    return alive;
}

bool process_kill(uint64_t id)
{
    HANDLE process = OpenProcess(PROCESS_TERMINATE | SYNCHRONIZE, FALSE, (DWORD)id);
    bool killed = process != NULL && TerminateProcess(process, 1);
    if (killed)
        WaitForSingleObject(process, INFINITE);
    if (process != NULL)
        CloseHandle(process);
    return killed;
}

bool process_write(uintptr_t handle, const void *data, size_t size)
{
    DWORD written;
    return WriteFile((HANDLE)handle, data, (DWORD)size, &written, NULL) && written == size;
}

/* The system gives out the lowest free values: of many the last is high. */
uintptr_t process_open_inheritable(void)
{
    enum { MANY = 500 };
    HANDLE events[MANY];
    SECURITY_ATTRIBUTES inheritable = {sizeof inheritable, NULL, TRUE};
    for (int i = 0; i < MANY; i++)
        events[i] = CreateEventW(i == MANY - 1 ? &inheritable : NULL, FALSE, FALSE, NULL);
    for (int i = 0; i < MANY - 1; i++)
        CloseHandle(events[i]);
    return (uintptr_t)events[MANY - 1];
}

void process_close_inheritable(uintptr_t value)
{
    CloseHandle((HANDLE)value);
}
