#include "shims_pipe.h"

#include <winsock2.h>
#include <windows.h>

#include <string.h>

#include "atomic.h"
#include "shims_inner.h"

#define SHIM_OF(type, name, ...)                                                                                       \
    extern type(WINAPI *__real___imp_##name)(__VA_ARGS__);                                                             \
    extern type(WINAPI *__wrap___imp_##name)(__VA_ARGS__);                                                             \
    static type WINAPI shim_##name(__VA_ARGS__);                                                                       \
    type(WINAPI *__wrap___imp_##name)(__VA_ARGS__) = shim_##name;                                                      \
    static type WINAPI shim_##name(__VA_ARGS__)

static struct {
    pl__atomic_u32 on;
    pl__atomic_i64 fault[PIPE_CALLS];
    pl__atomic_i64 left[PIPE_CALLS];
    pl__atomic_i64 calls[PIPE_CALLS];
    const char *wrong;
} state;

void pipe_shims_begin(void)
{
    int i;
    for (i = 0; i < PIPE_CALLS; i++) {
        pl__atomic_i64_store(&state.left[i], 0);
        pl__atomic_i64_store(&state.calls[i], 0);
    }
    state.wrong = "";
    pl__atomic_u32_store(&state.on, 1);
}

void pipe_shims_end(void)
{
    pl__atomic_u32_store(&state.on, 0);
}

bool pipe_shim_can(pipe_call call, pipe_fault fault)
{
    switch (fault) {
    case PIPE_NO_HANDLES:
    case PIPE_TAKEN:
        return call == PIPE_CALL_MAKE;
    case PIPE_CLIENT_LEFT:
        return call == PIPE_CALL_ACCEPT;
    case PIPE_BUSY:
        return call == PIPE_CALL_OPEN;
    case PIPE_DISCONNECTED:
        return call == PIPE_CALL_LOOK || call == PIPE_CALL_WRITE;
    case PIPE_SHORT:
        return call == PIPE_CALL_WRITE;
    default:
        return false;
    }
}

void pipe_shims_fail(pipe_call call, pipe_fault fault, int times)
{
    pl__atomic_i64_store(&state.fault[call], fault);
    pl__atomic_i64_store(&state.left[call], times);
}

int pipe_shims_left(pipe_call call)
{
    return (int)pl__atomic_i64_load(&state.left[call]);
}

int64_t pipe_shims_calls(pipe_call call)
{
    return pl__atomic_i64_load(&state.calls[call]);
}

const char *pipe_shims_wrong(void)
{
    return state.wrong;
}

static pipe_fault next_fault(pipe_call call)
{
    if (!pl__atomic_u32_load(&state.on))
        return PIPE_AS_IS;
    pl__atomic_i64_add(&state.calls[call], 1);
    if (pl__atomic_i64_load(&state.left[call]) <= 0)
        return PIPE_AS_IS;
    pl__atomic_i64_add(&state.left[call], -1);
    return (pipe_fault)pl__atomic_i64_load(&state.fault[call]);
}

/* Nobody inherits it, nobody comes over the network, and nobody else can have been there first. */
static void check_making(DWORD open, DWORD mode, const SECURITY_ATTRIBUTES *attributes, DWORD most)
{
    if (!(mode & 8)) /* PIPE_REJECT_REMOTE_CLIENTS, which not every header has */
        state.wrong = "a pipe for other machines";
    if (!(open & FILE_FLAG_OVERLAPPED))
        state.wrong = "a pipe that blocks";
    if (attributes && (attributes->bInheritHandle || !attributes->lpSecurityDescriptor))
        state.wrong = "a pipe that is inherited, or for everybody";
    if (!attributes && (most != 1 || !(open & FILE_FLAG_FIRST_PIPE_INSTANCE)))
        state.wrong = "a pipe of a pair that others may share";
}

SHIM_OF(HANDLE, CreateNamedPipeW, LPCWSTR name, DWORD open, DWORD mode, DWORD most, DWORD out, DWORD in, DWORD timeout,
        LPSECURITY_ATTRIBUTES attributes)
{
    if (pl__atomic_u32_load(&state.on))
        check_making(open, mode, attributes, most);
    switch (next_fault(PIPE_CALL_MAKE)) {
    case PIPE_NO_HANDLES:
        SetLastError(ERROR_TOO_MANY_OPEN_FILES);
        return INVALID_HANDLE_VALUE;
    case PIPE_TAKEN:
        SetLastError(ERROR_ACCESS_DENIED);
        return INVALID_HANDLE_VALUE;
    default:
        return __real___imp_CreateNamedPipeW(name, open, mode, most, out, in, timeout, attributes);
    }
}

SHIM_OF(WINBOOL, ConnectNamedPipe, HANDLE pipe, LPOVERLAPPED overlapped)
{
    if (next_fault(PIPE_CALL_ACCEPT) == PIPE_CLIENT_LEFT) {
        SetLastError(ERROR_NO_DATA);
        return FALSE;
    }
    return __real___imp_ConnectNamedPipe(pipe, overlapped);
}

SHIM_OF(WINBOOL, PeekNamedPipe, HANDLE pipe, LPVOID data, DWORD size, LPDWORD got, LPDWORD available, LPDWORD left)
{
    if (next_fault(PIPE_CALL_LOOK) == PIPE_DISCONNECTED) {
        SetLastError(ERROR_PIPE_NOT_CONNECTED);
        return FALSE;
    }
    return __real___imp_PeekNamedPipe(pipe, data, size, got, available, left);
}

SHIM_OF(WINBOOL, WriteFile, HANDLE file, LPCVOID data, DWORD size, LPDWORD done, LPOVERLAPPED overlapped)
{
    if (!pl__atomic_u32_load(&state.on) || !overlapped)
        return __real___imp_WriteFile(file, data, size, done, overlapped);
    switch (next_fault(PIPE_CALL_WRITE)) {
    case PIPE_DISCONNECTED:
        SetLastError(ERROR_PIPE_NOT_CONNECTED);
        return FALSE;
    case PIPE_SHORT:
        return __real___imp_WriteFile(file, data, size ? 1 : 0, done, overlapped);
    default:
        return __real___imp_WriteFile(file, data, size, done, overlapped);
    }
}

/* A server may see who its client is, and no more. */
bool shim_pipe_refuses(const wchar_t *path, uint32_t flags)
{
    if (!pl__atomic_u32_load(&state.on) || wcsncmp(path, L"\\\\.\\pipe\\", 9) != 0)
        return false;
    if (!(flags & SECURITY_SQOS_PRESENT) || (flags & (SECURITY_IMPERSONATION | SECURITY_DELEGATION)) > SECURITY_IDENTIFICATION)
        state.wrong = "a client in whose name a server could act";
    if (next_fault(PIPE_CALL_OPEN) != PIPE_BUSY)
        return false;
    SetLastError(ERROR_PIPE_BUSY);
    return true;
}
