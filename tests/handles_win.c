#include "handles.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <winternl.h>

#include <stdio.h>
#include <string.h>

/* The system gives out the lowest free values. NtQuerySystemInformation(64) would list the handles of every process, but
 * Wine 8's server crashes in it while another process begins or ends. */
enum { HANDLE_STEP = 4, FREE_VALUES_AT_THE_END = 256 };

static void WINAPI do_nothing(PTP_CALLBACK_INSTANCE instance, void *context)
{
    (void)instance;
    SetEvent(context);
}

static void CALLBACK set_event(void *event, BOOLEAN timed_out)
{
    (void)timed_out;
    SetEvent(event);
}

/* The pool's thread that waits for handles. */
static void warm_up_waits(HANDLE done)
{
    HANDLE wait, object = CreateEventW(NULL, FALSE, FALSE, NULL);
    if (RegisterWaitForSingleObject(&wait, object, set_event, done, INFINITE,
                                    WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD)) {
        SetEvent(object);
        WaitForSingleObject(done, INFINITE);
        UnregisterWaitEx(wait, INVALID_HANDLE_VALUE);
    }
    CloseHandle(object);
}

static void warm_up_network(void)
{
    struct sockaddr_in address = {0};
    int length = sizeof address;
    struct addrinfo *found;
    SOCKET listener = socket(AF_INET, SOCK_STREAM, 0);
    SOCKET client = socket(AF_INET, SOCK_STREAM, 0);
    SOCKET server;

    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    bind(listener, (struct sockaddr *)&address, length);
    listen(listener, 1);
    getsockname(listener, (struct sockaddr *)&address, &length);
    connect(client, (struct sockaddr *)&address, length);
    server = accept(listener, NULL, NULL);
    closesocket(server);
    closesocket(client);
    closesocket(listener);

    if (getaddrinfo("localhost", NULL, NULL, &found) == 0)
        freeaddrinfo(found);
}

static void warm_up_name_look_up(HANDLE done)
{
    OVERLAPPED overlapped = {0};
    ADDRINFOEXW *found = NULL;
    overlapped.hEvent = done;
    if (GetAddrInfoExW(L"localhost", NULL, NS_DNS, NULL, NULL, &found, NULL, &overlapped, NULL, NULL) == WSA_IO_PENDING)
        WaitForSingleObject(done, INFINITE);
    if (found != NULL)
        FreeAddrInfoExW(found);
}

void handles_warm_up(void)
{
    WSADATA data;
    HANDLE done = CreateEventW(NULL, FALSE, FALSE, NULL);
    WSAStartup(MAKEWORD(2, 2), &data); /* for as long as the process lives */
    warm_up_network();
    warm_up_name_look_up(done);
    if (TrySubmitThreadpoolCallback(do_nothing, done, NULL))
        WaitForSingleObject(done, INFINITE);
    warm_up_waits(done);
    CloseHandle(done);
    OutputDebugStringA(""); /* as GoogleTest does with what fails and what is skipped */
}

/* The system's own locks make a semaphore when two threads first meet at one, and keep it. */
static bool is_of_a_lock(uintptr_t value)
{
    char type[32];
    handles_describe(value, type, sizeof type);
    return strcmp(type, "Semaphore") == 0;
}

bool handles_take(handle_set *set)
{
    uintptr_t value;
    int unused = 0;
    set->count = 0;
    for (value = HANDLE_STEP; unused < FREE_VALUES_AT_THE_END && set->count < HANDLES_MAX; value += HANDLE_STEP) {
        DWORD flags;
        if (!GetHandleInformation((HANDLE)value, &flags)) {
            unused++;
        } else {
            unused = 0;
            if (!is_of_a_lock(value))
                set->values[set->count++] = value;
        }
    }
    return true;
}

bool handles_restored(const handle_set *before, const handle_set *after)
{
    return after->count <= before->count; /* idle threads of the system's pool end when they like */
}

void handles_describe(uintptr_t value, char *text, size_t size)
{
    union {
        PUBLIC_OBJECT_TYPE_INFORMATION type;
        char space[1024];
    } information;
    if (NtQueryObject((HANDLE)value, ObjectTypeInformation, &information, sizeof information, NULL) >= 0)
        snprintf(text, size, "%.*ls", (int)(information.type.TypeName.Length / sizeof(WCHAR)),
                 information.type.TypeName.Buffer);
    else
        text[0] = '\0';
}
