#include "shims_inner.h"

#include <winsock2.h>
#include <ws2tcpip.h>
#include <windows.h>

#include <string.h>

/* A call into a DLL goes by a pointer: the system's one, and the one that stands in for it. */
#define SHIM_OF(type, name, ...)                                                                                       \
    extern type(WINAPI *__real___imp_##name)(__VA_ARGS__);                                                             \
    extern type(WINAPI *__wrap___imp_##name)(__VA_ARGS__);                                                             \
    static type WINAPI shim_##name(__VA_ARGS__);                                                                       \
    type(WINAPI *__wrap___imp_##name)(__VA_ARGS__) = shim_##name;                                                      \
    static type WINAPI shim_##name(__VA_ARGS__)

bool shim_exists(shim kind)
{
    return kind != SHIM_SEND_FILE && kind != SHIM_PIDFD && kind != SHIM_COLLECT; /* TransmitFile does not wait */
}

bool shim_can(shim kind, shim_fault fault)
{
    switch (fault) {
    case SHIM_AS_IS:
        return true;
    case SHIM_NO_SPACE:
        return kind == SHIM_WRITE || kind == SHIM_BEGIN || kind == SHIM_CHANGE;
    case SHIM_DISK_ERROR:
        return kind == SHIM_READ || kind == SHIM_WRITE || kind == SHIM_BEGIN;
    case SHIM_AT_ONCE:
    case SHIM_ABORTED:
        return kind == SHIM_BEGIN;
    case SHIM_SHORT:
        if (kind == SHIM_READ || kind == SHIM_WRITE || kind == SHIM_BEGIN)
            return true;
        return kind == SHIM_RECEIVE || kind == SHIM_SEND;
    case SHIM_NO_HANDLES:
        return kind == SHIM_ACCEPT || kind == SHIM_START || kind == SHIM_SPAWN;
    case SHIM_NO_MEMORY:
        return kind == SHIM_ACCEPT || kind == SHIM_SPAWN;
    default:
        return false;
    }
}

/* --- Files --- */

SHIM_OF(HANDLE, CreateFileW, LPCWSTR path, DWORD access, DWORD share, LPSECURITY_ATTRIBUTES security, DWORD disposition,
        DWORD flags, HANDLE model)
{
    shim_called(SHIM_OPEN);
    if (shim_pipe_refuses(path, flags))
        return INVALID_HANDLE_VALUE;
    return __real___imp_CreateFileW(path, access, share, security, disposition, flags, model);
}

SHIM_OF(HANDLE, ReOpenFile, HANDLE file, DWORD access, DWORD share, DWORD flags)
{
    shim_called(SHIM_OPEN);
    return __real___imp_ReOpenFile(file, access, share, flags);
}

SHIM_OF(WINBOOL, GetFileInformationByHandle, HANDLE file, LPBY_HANDLE_FILE_INFORMATION information)
{
    shim_called(SHIM_STAT);
    return __real___imp_GetFileInformationByHandle(file, information);
}

SHIM_OF(WINBOOL, GetFileSizeEx, HANDLE file, PLARGE_INTEGER size)
{
    shim_called(SHIM_STAT);
    return __real___imp_GetFileSizeEx(file, size);
}

SHIM_OF(WINBOOL, GetFileInformationByHandleEx, HANDLE file, FILE_INFO_BY_HANDLE_CLASS kind, LPVOID data, DWORD size)
{
    shim_called(SHIM_LIST);
    return __real___imp_GetFileInformationByHandleEx(file, kind, data, size);
}

SHIM_OF(DWORD, GetFinalPathNameByHandleW, HANDLE file, LPWSTR path, DWORD size, DWORD flags)
{
    shim_called(SHIM_PATH);
    return __real___imp_GetFinalPathNameByHandleW(file, path, size, flags);
}

extern WINBOOL(WINAPI *__real___imp_ReadFile)(HANDLE, LPVOID, DWORD, LPDWORD, LPOVERLAPPED);
extern WINBOOL(WINAPI *__real___imp_WriteFile)(HANDLE, LPCVOID, DWORD, LPDWORD, LPOVERLAPPED);

/* A request for the port that ends inside the call: Windows does so with what is cached, Wine never. */
static WINBOOL at_once(bool reads, HANDLE file, void *data, DWORD size, LPOVERLAPPED overlapped)
{
    OVERLAPPED own = {.Offset = overlapped->Offset, .OffsetHigh = overlapped->OffsetHigh};
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    DWORD bytes = 0;
    WINBOOL good;
    own.hEvent = (HANDLE)((uintptr_t)event | 1);
    good = reads ? __real___imp_ReadFile(file, data, size, NULL, &own)
                 : __real___imp_WriteFile(file, data, size, NULL, &own);
    if (good || GetLastError() == ERROR_IO_PENDING)
        good = GetOverlappedResult(file, &own, &bytes, TRUE);
    DWORD error = good ? ERROR_SUCCESS : GetLastError();
    CloseHandle(event);
    overlapped->Internal = good ? 0 : 0xC0000011; /* end of file */
    overlapped->InternalHigh = bytes;
    SetLastError(error);
    return good;
}

/* A request for the port that the system has not got yet. One at a time; all on the loop's thread. */
static struct {
    bool on;
    bool reads;
    HANDLE file;
    void *data;
    DWORD size;
    LPOVERLAPPED overlapped; /* NULL: none */
} put_off;

void shims_hold_transfers(void)
{
    put_off.on = true;
}

int shims_held_transfers(void)
{
    return put_off.overlapped != NULL;
}

void shims_release_transfers(void)
{
    LPOVERLAPPED overlapped = put_off.overlapped;
    WINBOOL accepted;
    put_off.on = false;
    put_off.overlapped = NULL;
    if (!overlapped)
        return;
    accepted = put_off.reads
                   ? __real___imp_ReadFile(put_off.file, put_off.data, put_off.size, NULL, overlapped)
                   : __real___imp_WriteFile(put_off.file, put_off.data, put_off.size, NULL, overlapped);
    if (accepted) /* it is over, and no packet follows */
        shim_post(overlapped, 0, (uint32_t)overlapped->InternalHigh);
    else if (GetLastError() != ERROR_IO_PENDING)
        shim_post(overlapped, 0xC0000185, 0); /* an error of the device */
}

bool shim_file_cancels(void *overlapped)
{
    if (!put_off.overlapped || overlapped != put_off.overlapped)
        return false;
    put_off.overlapped = NULL;
    shim_post(overlapped, 0xC0000120, 0);
    return true;
}

static bool puts_off(bool reads, HANDLE file, void *data, DWORD size, LPOVERLAPPED overlapped)
{
    if (!put_off.on || put_off.overlapped)
        return false;
    put_off.reads = reads;
    put_off.file = file;
    put_off.data = data;
    put_off.size = size;
    put_off.overlapped = overlapped;
    overlapped->Internal = 0x103; /* under way */
    SetLastError(ERROR_IO_PENDING);
    return true;
}

/* What a request is to have: true, *result is. */
static bool request_fails(bool reads, HANDLE file, void *data, DWORD *size, LPOVERLAPPED overlapped, WINBOOL *result)
{
    bool waits = !overlapped || ((uintptr_t)overlapped->hEvent & 1);
    shim kind = !waits ? SHIM_BEGIN : reads ? SHIM_READ : SHIM_WRITE;
    size_t limit = 1;
    shim_called(kind);
    *result = FALSE;
    if (!waits && puts_off(reads, file, data, *size, overlapped))
        return true;
    switch (shim_fault_of(kind, &limit)) {
    case SHIM_SHORT:
        *size = *size > limit ? (DWORD)limit : *size;
        return false;
    case SHIM_NO_SPACE:
        SetLastError(ERROR_DISK_FULL);
        return true;
    case SHIM_DISK_ERROR:
        SetLastError(ERROR_CRC);
        return true;
    case SHIM_ABORTED:
        SetLastError(ERROR_OPERATION_ABORTED);
        return true;
    case SHIM_AT_ONCE:
        *result = at_once(reads, file, data, *size, overlapped);
        return true;
    default:
        return false;
    }
}

SHIM_OF(WINBOOL, ReadFile, HANDLE file, LPVOID data, DWORD size, LPDWORD done, LPOVERLAPPED overlapped)
{
    WINBOOL result;
    if (shims_are_on() && GetFileType(file) == FILE_TYPE_DISK &&
        request_fails(true, file, data, &size, overlapped, &result))
        return result;
    return __real___imp_ReadFile(file, data, size, done, overlapped);
}

bool shim_file_write(void *file, const void *data, unsigned long *size, void *overlapped, int *result)
{
    return shims_are_on() && GetFileType(file) == FILE_TYPE_DISK &&
           request_fails(false, file, (void *)(uintptr_t)data, size, overlapped, result);
}

SHIM_OF(WINBOOL, FlushFileBuffers, HANDLE file)
{
    size_t limit;
    shim_called(SHIM_CHANGE);
    if (shim_fault_of(SHIM_CHANGE, &limit) == SHIM_NO_SPACE) {
        SetLastError(ERROR_DISK_FULL);
        return FALSE;
    }
    return __real___imp_FlushFileBuffers(file);
}

SHIM_OF(WINBOOL, SetFileInformationByHandle, HANDLE file, FILE_INFO_BY_HANDLE_CLASS kind, LPVOID data, DWORD size)
{
    shim_called(SHIM_CHANGE);
    return __real___imp_SetFileInformationByHandle(file, kind, data, size);
}

SHIM_OF(WINBOOL, SetFileTime, HANDLE file, const FILETIME *created, const FILETIME *accessed, const FILETIME *modified)
{
    shim_called(SHIM_CHANGE);
    return __real___imp_SetFileTime(file, created, accessed, modified);
}

SHIM_OF(WINBOOL, MoveFileExW, LPCWSTR from, LPCWSTR to, DWORD flags)
{
    shim_called(SHIM_CHANGE);
    return __real___imp_MoveFileExW(from, to, flags);
}

SHIM_OF(BOOLEAN, CreateSymbolicLinkW, LPCWSTR path, LPCWSTR content, DWORD flags)
{
    shim_called(SHIM_CHANGE);
    return __real___imp_CreateSymbolicLinkW(path, content, flags);
}

SHIM_OF(WINBOOL, CreateDirectoryW, LPCWSTR path, LPSECURITY_ATTRIBUTES security)
{
    shim_called(SHIM_CHANGE);
    return __real___imp_CreateDirectoryW(path, security);
}

SHIM_OF(WINBOOL, RemoveDirectoryW, LPCWSTR path)
{
    shim_called(SHIM_CHANGE);
    return __real___imp_RemoveDirectoryW(path);
}

SHIM_OF(WINBOOL, CloseHandle, HANDLE handle)
{
    if (shims_are_on() && GetFileType(handle) == FILE_TYPE_DISK)
        shim_called(SHIM_CLOSE);
    return __real___imp_CloseHandle(handle);
}

/* --- Children --- */

SHIM_OF(WINBOOL, CreatePipe, PHANDLE reading, PHANDLE writing, LPSECURITY_ATTRIBUTES security, DWORD size)
{
    size_t limit;
    shim_called(SHIM_START);
    if (shim_fault_of(SHIM_START, &limit) == SHIM_NO_HANDLES) {
        SetLastError(ERROR_TOO_MANY_OPEN_FILES);
        return FALSE;
    }
    return __real___imp_CreatePipe(reading, writing, security, size);
}

/* True: it fails. */
static bool spawn_fails(void)
{
    size_t limit;
    shim_called(SHIM_SPAWN);
    switch (shim_fault_of(SHIM_SPAWN, &limit)) {
    case SHIM_NO_HANDLES:
        SetLastError(ERROR_TOO_MANY_OPEN_FILES);
        return true;
    case SHIM_NO_MEMORY:
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return true;
    default:
        return false;
    }
}

static int inherited_handles;
static DWORD spawn_flags;

int shims_inherited(void)
{
    return inherited_handles;
}

uint32_t shims_spawn_flags(void)
{
    return spawn_flags;
}

SHIM_OF(WINBOOL, UpdateProcThreadAttribute, LPPROC_THREAD_ATTRIBUTE_LIST list, DWORD flags, DWORD_PTR attribute,
        PVOID value, SIZE_T size, PVOID previous, PSIZE_T returned)
{
    inherited_handles = attribute == 0x00020002 ? (int)(size / sizeof(HANDLE)) : -1; /* the list of handles */
    return __real___imp_UpdateProcThreadAttribute(list, flags, attribute, value, size, previous, returned);
}

SHIM_OF(WINBOOL, CreateProcessW, LPCWSTR path, LPWSTR line, LPSECURITY_ATTRIBUTES process, LPSECURITY_ATTRIBUTES thread,
        WINBOOL inherits, DWORD flags, LPVOID environment, LPCWSTR folder, LPSTARTUPINFOW startup,
        LPPROCESS_INFORMATION made)
{
    if (spawn_fails())
        return FALSE;
    spawn_flags = flags;
    if (!inherits || !(flags & EXTENDED_STARTUPINFO_PRESENT))
        inherited_handles = inherits ? -1 : 0;
    return __real___imp_CreateProcessW(path, line, process, thread, inherits, flags, environment, folder, startup, made);
}

SHIM_OF(HANDLE, CreateJobObjectW, LPSECURITY_ATTRIBUTES security, LPCWSTR name)
{
    return spawn_fails() ? NULL : __real___imp_CreateJobObjectW(security, name);
}

SHIM_OF(WINBOOL, SetInformationJobObject, HANDLE job, JOBOBJECTINFOCLASS kind, LPVOID data, DWORD size)
{
    return spawn_fails() ? FALSE : __real___imp_SetInformationJobObject(job, kind, data, size);
}

SHIM_OF(WINBOOL, AssignProcessToJobObject, HANDLE job, HANDLE process)
{
    return spawn_fails() ? FALSE : __real___imp_AssignProcessToJobObject(job, process);
}

SHIM_OF(DWORD, ResumeThread, HANDLE thread)
{
    return spawn_fails() ? (DWORD)-1 : __real___imp_ResumeThread(thread);
}

SHIM_OF(WINBOOL, DuplicateHandle, HANDLE from, HANDLE handle, HANDLE to, LPHANDLE copy, DWORD access, WINBOOL inherits,
        DWORD options)
{
    if (inherits && spawn_fails()) /* for a child */
        return FALSE;
    return __real___imp_DuplicateHandle(from, handle, to, copy, access, inherits, options);
}

/* --- Sockets --- */

SHIM_OF(int, WSARecv, SOCKET socket, LPWSABUF buffers, DWORD count, LPDWORD received, LPDWORD flags,
        LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    size_t limit = 1;
    WSABUF cut;
    shim_called(SHIM_RECEIVE);
    if (count == 1 && shim_fault_of(SHIM_RECEIVE, &limit) == SHIM_SHORT && buffers->len > limit) {
        cut = *buffers;
        cut.len = (ULONG)limit;
        buffers = &cut;
    }
    return __real___imp_WSARecv(socket, buffers, count, received, flags, overlapped, routine);
}

SHIM_OF(int, WSASend, SOCKET socket, LPWSABUF buffers, DWORD count, LPDWORD sent, DWORD flags,
        LPWSAOVERLAPPED overlapped, LPWSAOVERLAPPED_COMPLETION_ROUTINE routine)
{
    size_t limit = 1;
    WSABUF cut;
    shim_called(SHIM_SEND);
    if (shim_fault_of(SHIM_SEND, &limit) == SHIM_SHORT && buffers->len > 0) {
        cut = *buffers;
        if (cut.len > limit)
            cut.len = (ULONG)limit;
        buffers = &cut;
        count = 1;
    }
    return __real___imp_WSASend(socket, buffers, count, sent, flags, overlapped, routine);
}

SHIM_OF(SOCKET, WSASocketW, int family, int type, int protocol, LPWSAPROTOCOL_INFOW information, GROUP group,
        DWORD flags)
{
    size_t limit;
    shim_called(SHIM_ACCEPT);
    switch (shim_fault_of(SHIM_ACCEPT, &limit)) {
    case SHIM_NO_HANDLES:
        WSASetLastError(WSAEMFILE);
        return INVALID_SOCKET;
    case SHIM_NO_MEMORY:
        WSASetLastError(WSAENOBUFS);
        return INVALID_SOCKET;
    default:
        return __real___imp_WSASocketW(family, type, protocol, information, group, flags);
    }
}

SHIM_OF(WINBOOL, GetQueuedCompletionStatusEx, HANDLE port, LPOVERLAPPED_ENTRY entries, ULONG size, PULONG count,
        DWORD milliseconds, WINBOOL alertable)
{
    shim_called(SHIM_WAIT);
    return __real___imp_GetQueuedCompletionStatusEx(port, entries, size, count, milliseconds, alertable);
}

/* --- Names --- */

enum { NAME_MAX_SIZE = 64 };

static struct {
    const char *name;
    const char *const *addresses;
    size_t count;
    int error;
    const char *reverse;
} known;
static SRWLOCK known_lock = SRWLOCK_INIT; /* an abandoned look-up may outlive its case */

void shims_set_name(const char *name, const char *const *addresses, size_t count)
{
    AcquireSRWLockExclusive(&known_lock);
    known.name = name;
    known.addresses = addresses;
    known.count = count;
    ReleaseSRWLockExclusive(&known_lock);
}

/* The system's codes for it. */
static int error_of(shim_name_error error)
{
    switch (error) {
    case SHIM_NAME_AGAIN:
        return WSATRY_AGAIN;
    case SHIM_NAME_FAIL:
        return WSANO_RECOVERY;
    case SHIM_NAME_NO_DATA:
        return WSANO_DATA;
    case SHIM_NAME_NO_MEMORY:
        return WSA_NOT_ENOUGH_MEMORY;
    case SHIM_NAME_CANCELLED:
        return WSA_E_CANCELLED;
    default:
        return 0;
    }
}

bool shims_set_name_error(shim_name_error error)
{
    AcquireSRWLockExclusive(&known_lock);
    known.error = error_of(error);
    ReleaseSRWLockExclusive(&known_lock);
    return true;
}

void shims_set_reverse(const char *name)
{
    AcquireSRWLockExclusive(&known_lock);
    known.reverse = name;
    ReleaseSRWLockExclusive(&known_lock);
}

static void widen(const char *text, WCHAR *wide)
{
    size_t i;
    for (i = 0; i + 1 < NAME_MAX_SIZE && text[i]; i++)
        wide[i] = (WCHAR)text[i];
    wide[i] = 0;
}

/* The library's look-ups tell their end by a routine. Here a thread of each waits while they are held, asks the system, and
 * calls the routine; or, when it was told to stop, does so with that. */
typedef void CALLBACK routine_fn(DWORD error, DWORD bytes, WSAOVERLAPPED *overlapped);

typedef union routine_pointer {
    LPLOOKUPSERVICE_COMPLETION_ROUTINE routine;
    routine_fn *fn;
} routine_pointer;

enum { LOOK_UPS = 256 };

typedef struct look_up {
    bool used;
    bool told; /* its routine was called, or is about to be */
    WCHAR host[NAME_MAX_SIZE];
    WCHAR service[NAME_MAX_SIZE];
    bool has_host;
    ADDRINFOEXW hints;
    ADDRINFOEXW **found;
    WSAOVERLAPPED *overlapped;
    routine_fn *routine;
} look_up;

static look_up look_ups[LOOK_UPS]; /* each used once between two begins */
static LONG look_up_count;
static LONG stop_count;

extern INT(WINAPI *__real___imp_GetAddrInfoExW)(PCWSTR host, PCWSTR service, DWORD space, LPGUID provider,
                                                const ADDRINFOEXW *hints, ADDRINFOEXW **found, struct timeval *timeout,
                                                LPOVERLAPPED overlapped, LPLOOKUPSERVICE_COMPLETION_ROUTINE routine,
                                                LPHANDLE handle);

static INT ask_system(PCWSTR host, PCWSTR service, const ADDRINFOEXW *hints, ADDRINFOEXW **found)
{
    return __real___imp_GetAddrInfoExW(host, service, NS_DNS, NULL, hints, found, NULL, NULL, NULL, NULL);
}

/* One after the other, from the system's own reading of each; those of another family left out. */
static INT known_addresses(PCWSTR service, const ADDRINFOEXW *hints, ADDRINFOEXW **found)
{
    ADDRINFOEXW **end = found;
    size_t i;
    *found = NULL;
    for (i = 0; i < known.count; i++) {
        WCHAR text[NAME_MAX_SIZE];
        widen(known.addresses[i], text);
        if (ask_system(text, service, hints, end) == 0)
            end = (ADDRINFOEXW **)(void *)&(*end)->ai_next;
        else
            *end = NULL;
    }
    return *found ? 0 : known.error ? known.error : WSAHOST_NOT_FOUND;
}

static bool is_known(PCWSTR host)
{
    WCHAR name[NAME_MAX_SIZE];
    if (known.name == NULL || host == NULL)
        return false;
    widen(known.name, name);
    return wcscmp(host, name) == 0;
}

static void called(const ADDRINFOEXW *hints)
{
    shim_called(SHIM_RESOLVE);
    shim_called(hints->ai_family == AF_INET    ? SHIM_RESOLVE_IPV4
                : hints->ai_family == AF_INET6 ? SHIM_RESOLVE_IPV6
                                               : SHIM_RESOLVE_BOTH);
}

static INT ask(PCWSTR host, PCWSTR service, const ADDRINFOEXW *hints, ADDRINFOEXW **found)
{
    bool here;
    INT result = 0;
    AcquireSRWLockExclusive(&known_lock);
    here = is_known(host);
    if (here)
        result = known_addresses(service, hints, found);
    ReleaseSRWLockExclusive(&known_lock);
    return here ? result : ask_system(host, service, hints, found);
}

/* Whether the caller is the one to call the routine. */
static bool claim(look_up *l)
{
    bool mine;
    AcquireSRWLockExclusive(&known_lock);
    mine = l->used && !l->told;
    l->told = true;
    ReleaseSRWLockExclusive(&known_lock);
    return mine;
}

static DWORD WINAPI run_look_up(void *arg)
{
    look_up *l = arg;
    ADDRINFOEXW *found = NULL;
    INT error;
    called(&l->hints);
    error = ask(l->has_host ? l->host : NULL, l->service, &l->hints, &found);
    if (claim(l)) {
        *l->found = found;
        l->routine((DWORD)error, 0, l->overlapped);
    } else if (found != NULL) {
        FreeAddrInfoExW(found);
    }
    return 0;
}

/* The system's call that ends a look-up sooner, which Wine lacks. */
static INT WSAAPI cancel_look_up(LPHANDLE handle)
{
    look_up *l = *handle;
    InterlockedIncrement(&stop_count);
    if (!claim(l))
        return WSA_INVALID_HANDLE;
    l->routine(WSA_E_CANCELLED, 0, l->overlapped);
    return 0;
}

SHIM_OF(INT, GetAddrInfoExW, PCWSTR host, PCWSTR service, DWORD space, LPGUID provider, const ADDRINFOEXW *hints,
        ADDRINFOEXW **found, struct timeval *timeout, LPOVERLAPPED overlapped,
        LPLOOKUPSERVICE_COMPLETION_ROUTINE routine, LPHANDLE handle)
{
    look_up *l;
    HANDLE thread;
    routine_pointer pointer;
    pointer.routine = routine;
    if (!shims_are_on() || overlapped == NULL)
        return __real___imp_GetAddrInfoExW(host, service, space, provider, hints, found, timeout, overlapped, routine,
                                           handle);
    if (space != NS_ALL || provider != NULL || timeout != NULL || overlapped->hEvent != NULL || routine == NULL ||
        handle == NULL || *found != NULL)
        return WSAEINVAL; /* as the system's own wants it */
    l = &look_ups[(size_t)InterlockedIncrement(&look_up_count) % LOOK_UPS];
    memset(l, 0, sizeof *l);
    l->has_host = host != NULL;
    lstrcpynW(l->host, host ? host : L"", NAME_MAX_SIZE);
    lstrcpynW(l->service, service ? service : L"", NAME_MAX_SIZE);
    l->hints = *hints;
    l->found = found;
    l->overlapped = overlapped;
    l->routine = pointer.fn;
    l->used = true;
    if (shims_resolve_at_once()) { /* some providers answer within the call, and no routine is called then */
        called(hints);
        return ask(host, service, hints, found);
    }
    *handle = l;
    thread = CreateThread(NULL, 0, run_look_up, l, 0, NULL);
    if (thread == NULL)
        return WSA_NOT_ENOUGH_MEMORY;
    __real___imp_CloseHandle(thread);
    return WSA_IO_PENDING;
}

FARPROC foreign_find(LPCSTR name); /* shims_foreign_win.c */

SHIM_OF(FARPROC, GetProcAddress, HMODULE module, LPCSTR name)
{
    union {
        FARPROC address;
        INT(WSAAPI *cancel)(LPHANDLE);
    } pointer;
    pointer.cancel = cancel_look_up;
    if (((uintptr_t)name >> 16) != 0 && strcmp(name, "GetAddrInfoExCancel") == 0)
        return pointer.address;
    FARPROC found = foreign_find(name);
    return found ? found : __real___imp_GetProcAddress(module, name);
}

int shims_stopped(void)
{
    return (int)InterlockedExchangeAdd(&stop_count, 0);
}

bool shims_can_stop(void)
{
    return true;
}

/* --- Names of addresses --- */

SHIM_OF(INT, GetNameInfoW, const SOCKADDR *address, socklen_t size, PWCHAR host, DWORD host_size, PWCHAR service,
        DWORD service_size, INT flags)
{
    static WCHAR name[NAME_MAX_SIZE];
    bool here;
    shim_called(SHIM_RESOLVE);
    if (!(flags & NI_NAMEREQD))
        return __real___imp_GetNameInfoW(address, size, host, host_size, service, service_size, flags);
    AcquireSRWLockExclusive(&known_lock);
    here = known.reverse != NULL;
    if (here) {
        MultiByteToWideChar(CP_UTF8, 0, known.reverse, -1, name, NAME_MAX_SIZE);
        lstrcpynW(host, name, (int)host_size);
    }
    ReleaseSRWLockExclusive(&known_lock);
    if (here)
        return 0;
    return shims_are_on() ? known.error ? known.error : WSAHOST_NOT_FOUND
                          : __real___imp_GetNameInfoW(address, size, host, host_size, service, service_size, flags);
}
