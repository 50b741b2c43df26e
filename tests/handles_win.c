#include "handles.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>
#include <winternl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NtQuerySystemInformation(64). GetProcessHandleCount is a stub under Wine. */
#define SYSTEM_EXTENDED_HANDLE_INFORMATION ((SYSTEM_INFORMATION_CLASS)64)
#define INFO_LENGTH_MISMATCH               ((NTSTATUS)0xC0000004L)

typedef struct system_handle {
    void *object;
    ULONG_PTR process_id;
    ULONG_PTR value;
    ULONG access;
    USHORT back_trace_index;
    USHORT type_index;
    ULONG attributes;
    ULONG reserved;
} system_handle;

typedef struct system_handles {
    ULONG_PTR count;
    ULONG_PTR reserved;
    system_handle handles[1];
} system_handles;

static void WINAPI do_nothing(PTP_CALLBACK_INSTANCE instance, void *context)
{
    (void)instance;
    SetEvent(context);
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
    ULONG size = 1 << 16;
    system_handles *all = NULL;
    NTSTATUS status;
    ULONG_PTR i;
    do {
        free(all);
        size *= 2;
        all = malloc(size);
        if (all == NULL)
            return false;
        status = NtQuerySystemInformation(SYSTEM_EXTENDED_HANDLE_INFORMATION, all, size, NULL);
    } while (status == INFO_LENGTH_MISMATCH);

    set->count = 0;
    if (status >= 0) {
        for (i = 0; i < all->count && set->count < HANDLES_MAX; i++) {
            if (all->handles[i].process_id == GetCurrentProcessId() && !is_of_a_lock(all->handles[i].value))
                set->values[set->count++] = all->handles[i].value;
        }
    }
    free(all);
    return status >= 0;
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
