/* host_win.c: a host that lives by window messages, as every program with a window does. The embedded loop posts a message
 * when it has something to do. That reaches it in the loops of menus and dialogs, too, which are not ours. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <stdbool.h>

#include "host.h"

enum { MESSAGE_WAKE = WM_APP };

static bool quitting;
static pl_loop *embedded;
static int64_t ticks;

void host_quit(void)
{
    quitting = true;
}

static LRESULT CALLBACK handle_message(HWND window, UINT message, WPARAM first, LPARAM second)
{
    switch (message) {
    case MESSAGE_WAKE:
        if (pl_loop_run_once(embedded, 0) < 0)
            host_quit();
        return 0;
    case WM_TIMER:
        ticks++; /* the host's own work */
        return 0;
    default:
        return DefWindowProcW(window, message, first, second);
    }
}

/* On any thread. The queue of messages may be full, but not for long. */
static void wake(void *arg)
{
    while (!PostMessageW(arg, MESSAGE_WAKE, 0, 0))
        Sleep(1);
}

/* It is never seen: only there to get messages. */
static HWND open_window(void)
{
    WNDCLASSW type = {.lpfnWndProc = handle_message, .lpszClassName = L"proloop host"};
    type.hInstance = GetModuleHandleW(NULL);
    (void)RegisterClassW(&type);
    return CreateWindowExW(0, type.lpszClassName, L"", 0, 0, 0, 0, 0, HWND_MESSAGE, NULL, type.hInstance, NULL);
}

static int run_messages(void)
{
    int rc = PL_OK;
    while (!quitting && rc >= 0) {
        MSG message;
        (void)MsgWaitForMultipleObjects(0, NULL, FALSE, (DWORD)host_patience(embedded, 1000), QS_ALLINPUT);
        while (PeekMessageW(&message, NULL, 0, 0, PM_REMOVE))
            (void)DispatchMessageW(&message);
        if (pl_loop_next_deadline(embedded) <= pl_loop_time(embedded))
            rc = pl_loop_run_once(embedded, 0);
    }
    return rc;
}

int64_t host_run(pl_loop *loop)
{
    HWND window = open_window();
    if (!window)
        return PL_ENOTSUP;
    embedded = loop;
    int rc = pl_loop_embed(loop, wake, window);
    if (rc >= 0 && SetTimer(window, 1, HOST_TICK, NULL) != 0)
        rc = run_messages();
    (void)pl_loop_unembed(loop); /* before the window goes, which wake knows */
    (void)DestroyWindow(window);
    return rc < 0 ? rc : ticks;
}
