/* An event of the keyboard reaches every process of a console. So the tests get a console of their own, which also is
 * the only kind that Wine without a terminal has events for. A console that shows the tests' output is left alone.
 */
#include "process.h"

#include <stddef.h>
#include <windows.h>

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
