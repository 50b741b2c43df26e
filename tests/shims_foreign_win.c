#include "shims_foreign.h"

#include <winsock2.h>
#include <windows.h>
#include <winternl.h>

#include <string.h>

#include "atomic.h"
#include "harness.h"
#include "thread.h"

/* As in shims_win.c. */
#define SHIM_OF(type, name, ...)                                                                                       \
    extern type(WINAPI *__real___imp_##name)(__VA_ARGS__);                                                             \
    extern type(WINAPI *__wrap___imp_##name)(__VA_ARGS__);                                                             \
    static type WINAPI shim_##name(__VA_ARGS__);                                                                       \
    type(WINAPI *__wrap___imp_##name)(__VA_ARGS__) = shim_##name;                                                      \
    static type WINAPI shim_##name(__VA_ARGS__)

static pl__atomic_u32 left[FOREIGN_CALLS];
static pl__atomic_i64 loop_thread;

bool foreign_fail(foreign_call call, int times)
{
    pl__atomic_i64_store(&loop_thread, (int64_t)pl__thread_id());
    pl__atomic_u32_store(&left[call], (uint32_t)times);
    return call != FOREIGN_DUPLICATE;
}

int foreign_failures_left(foreign_call call)
{
    return (int)pl__atomic_u32_load(&left[call]);
}

void foreign_faults_clear(void)
{
    for (int i = 0; i < FOREIGN_CALLS; i++)
        pl__atomic_u32_store(&left[i], 0);
}

static bool fails(foreign_call call)
{
    uint32_t now = pl__atomic_u32_load(&left[call]);
    while (now > 0) {
        if (pl__atomic_u32_compare_exchange(&left[call], &now, now - 1))
            return true;
    }
    return false;
}

/* --- Waits of the pool --- */

SHIM_OF(WINBOOL, RegisterWaitForSingleObject, PHANDLE wait, HANDLE object, WAITORTIMERCALLBACK callback, PVOID context,
        ULONG milliseconds, ULONG flags)
{
    if (fails(FOREIGN_REGISTER)) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return FALSE;
    }
    return __real___imp_RegisterWaitForSingleObject(wait, object, callback, context, milliseconds, flags);
}

static struct {
    pl__atomic_u32 hold;
    HANDLE held; /* set when a post waits */
    HANDLE go;
} posts;

void foreign_hold_posts(void)
{
    pl__atomic_i64_store(&loop_thread, (int64_t)pl__thread_id());
    posts.go = CreateEventW(NULL, TRUE, FALSE, NULL);
    posts.held = CreateEventW(NULL, FALSE, FALSE, NULL);
    pl__atomic_u32_store(&posts.hold, 1);
}

void foreign_await_post(void)
{
    CHECK_EQ_INT(WaitForSingleObject(posts.held, INFINITE), WAIT_OBJECT_0);
}

void foreign_release_posts(void)
{
    SetEvent(posts.go);
}

SHIM_OF(WINBOOL, PostQueuedCompletionStatus, HANDLE port, DWORD bytes, ULONG_PTR key, LPOVERLAPPED overlapped)
{
    bool elsewhere = (int64_t)pl__thread_id() != pl__atomic_i64_load(&loop_thread);
    if (overlapped && elsewhere && pl__atomic_u32_exchange(&posts.hold, 0) == 1) {
        SetEvent(posts.held);
        WaitForSingleObject(posts.go, INFINITE);
        CloseHandle(posts.go);
        CloseHandle(posts.held);
    }
    if (overlapped && elsewhere && fails(FOREIGN_POST)) {
        SetLastError(ERROR_NO_SYSTEM_RESOURCES);
        return FALSE;
    }
    return __real___imp_PostQueuedCompletionStatus(port, bytes, key, overlapped);
}

/* --- The driver of the sockets: these two are called directly --- */

NTSTATUS NTAPI __real_NtCreateFile(PHANDLE file, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
                                   PIO_STATUS_BLOCK status, PLARGE_INTEGER size, ULONG kind, ULONG share,
                                   ULONG disposition, ULONG options, PVOID extended, ULONG extended_size);
NTSTATUS NTAPI __wrap_NtCreateFile(PHANDLE file, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
                                   PIO_STATUS_BLOCK status, PLARGE_INTEGER size, ULONG kind, ULONG share,
                                   ULONG disposition, ULONG options, PVOID extended, ULONG extended_size);

NTSTATUS NTAPI __wrap_NtCreateFile(PHANDLE file, ACCESS_MASK access, POBJECT_ATTRIBUTES attributes,
                                   PIO_STATUS_BLOCK status, PLARGE_INTEGER size, ULONG kind, ULONG share,
                                   ULONG disposition, ULONG options, PVOID extended, ULONG extended_size)
{
    static const WCHAR driver[] = L"\\Device\\Afd\\";
    if (wcsncmp(attributes->ObjectName->Buffer, driver, sizeof driver / sizeof driver[0] - 1) == 0 &&
        fails(FOREIGN_DRIVER))
        return (NTSTATUS)0xC0000022; /* STATUS_ACCESS_DENIED */
    return __real_NtCreateFile(file, access, attributes, status, size, kind, share, disposition, options, extended,
                               extended_size);
}

NTSTATUS NTAPI __real_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, PVOID context,
                                            PIO_STATUS_BLOCK status, ULONG code, PVOID in, ULONG in_size, PVOID out,
                                            ULONG out_size);
NTSTATUS NTAPI __wrap_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, PVOID context,
                                            PIO_STATUS_BLOCK status, ULONG code, PVOID in, ULONG in_size, PVOID out,
                                            ULONG out_size);

NTSTATUS NTAPI __wrap_NtDeviceIoControlFile(HANDLE file, HANDLE event, PIO_APC_ROUTINE routine, PVOID context,
                                            PIO_STATUS_BLOCK status, ULONG code, PVOID in, ULONG in_size, PVOID out,
                                            ULONG out_size)
{
    if (code == 0x00012024 && fails(FOREIGN_ASK))
        return (NTSTATUS)0xC000009A; /* STATUS_INSUFFICIENT_RESOURCES */
    return __real_NtDeviceIoControlFile(file, event, routine, context, status, code, in, in_size, out, out_size);
}

/* --- Wait completion packets --- */

static struct {
    packet_replay *replay; /* NULL: the system's own, if it has any */
    HANDLE made;
    HANDLE port;
    void *key;
    void *context;
} packets;

static void expect_argument(bool right)
{
    if (!CHECK(right))
        packets.replay->wrong++;
}

static LONG NTAPI create_packet(HANDLE *packet, ACCESS_MASK access, void *attributes)
{
    expect_argument(access == (GENERIC_READ | GENERIC_WRITE) && !attributes);
    packets.replay->created++;
    packets.made = CreateEventW(NULL, TRUE, FALSE, NULL); /* some handle, that has to be closed */
    *packet = packets.made;
    return 0;
}

static LONG NTAPI associate_packet(HANDLE packet, HANDLE port, HANDLE object, void *key, void *context, LONG status,
                                   ULONG_PTR information, BOOLEAN *signalled_already)
{
    DWORD flags;
    if (packets.replay->associate_refused > 0) {
        packets.replay->associate_refused--;
        return (LONG)0xC0000024; /* STATUS_OBJECT_TYPE_MISMATCH */
    }
    expect_argument(packet == packets.made && GetHandleInformation(port, &flags) &&
                    GetHandleInformation(object, &flags));
    expect_argument(context != NULL && status == 0 && information == 0 && signalled_already != NULL);
    packets.port = port;
    packets.key = key;
    packets.context = context;
    packets.replay->associated++;
    *signalled_already = FALSE;
    return 0;
}

static LONG NTAPI cancel_packet(HANDLE packet, BOOLEAN remove_signalled)
{
    expect_argument(packet == packets.made && !remove_signalled); /* or a signal that was taken would be lost */
    packets.replay->cancelled++;
    return (LONG)packets.replay->cancel_answer;
}

/* For the shim of GetProcAddress. NULL: the system is to be asked. */
FARPROC foreign_find(LPCSTR name);

FARPROC foreign_find(LPCSTR name)
{
    union {
        LONG(NTAPI *create)(HANDLE *, ACCESS_MASK, void *);
        LONG(NTAPI *associate)(HANDLE, HANDLE, HANDLE, void *, void *, LONG, ULONG_PTR, BOOLEAN *);
        LONG(NTAPI *cancel)(HANDLE, BOOLEAN);
        FARPROC address;
    } found;
    found.address = NULL;
    if (!packets.replay || (uintptr_t)name < 0x10000)
        return NULL;
    if (strcmp(name, "NtCreateWaitCompletionPacket") == 0)
        found.create = create_packet;
    else if (strcmp(name, "NtAssociateWaitCompletionPacket") == 0)
        found.associate = associate_packet;
    else if (strcmp(name, "NtCancelWaitCompletionPacket") == 0)
        found.cancel = cancel_packet;
    return found.address;
}

bool packet_replay_begin(packet_replay *replay)
{
    memset(replay, 0, sizeof *replay);
    packets.replay = replay;
    return true;
}

void packet_replay_end(void)
{
    packets.replay = NULL;
}

void packet_replay_signal(void)
{
    CHECK(__real___imp_PostQueuedCompletionStatus(packets.port, 0, (ULONG_PTR)packets.key, packets.context));
}
