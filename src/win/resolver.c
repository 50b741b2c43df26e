/* resolver.c: names to addresses, which the system looks up by itself, and addresses to names, on a worker.
 *
 * The system's own resolver decides: hosts file, DNS, and the order in which addresses are to be tried. Names
 * are UTF-8 here and UTF-16 there; the system turns those that are not ASCII into their IDNA form.
 *
 * GetAddrInfoExW with an OVERLAPPED is begun by a worker, as it loads its providers and may ask them before it
 * returns, and then holds no thread: its end comes by a routine on a thread of the system's pool. All that it reads and
 * writes lies in a `look_up` of its own, which the routine frees; the job is told its end, whether it was abandoned or
 * not. A call that ends at once calls no routine. An abandoned one is told to stop where there is
 * GetAddrInfoExCancel (Windows 8; not in Wine 8): its routine then comes soon, with WSA_E_CANCELLED.
 */
#include "system.h"

#include <stdio.h>
#include <string.h>

#include "../allocator.h"
#include "../resolver.h"

typedef void CALLBACK routine_fn(DWORD error, DWORD bytes, WSAOVERLAPPED *overlapped);
typedef INT WINAPI cancel_fn(HANDLE *handle);

enum { SERVICE_SIZE = 64 };

typedef struct look_up {
    WSAOVERLAPPED overlapped;
    pl__job *job;
    ADDRINFOEXW hints;
    ADDRINFOEXW *found;
    WCHAR host[PL_HOST_NAME_SIZE];
    WCHAR service[SERVICE_SIZE];
} look_up;

/* --- Before ------------------------------------------------------------------------------------------------------- */

static int widen(const char *text, WCHAR *wide, int capacity)
{
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, capacity) > 0)
        return PL_OK;
    return GetLastError() == ERROR_INSUFFICIENT_BUFFER ? PL_ENAME : PL_EINVAL;
}

static int family_of(uint8_t family)
{
    return family == PL_IPV4 ? AF_INET : family == PL_IPV6 ? AF_INET6 : AF_UNSPEC;
}

static void set_hints(ADDRINFOEXW *hints, const pl__job *job)
{
    bool datagram = (job->as.resolve.flags & PL_RESOLVE_DATAGRAM) != 0;
    hints->ai_family = family_of(job->as.resolve.family);
    hints->ai_socktype = datagram ? SOCK_DGRAM : SOCK_STREAM; /* else each address comes once for every type */
    hints->ai_protocol = datagram ? IPPROTO_UDP : IPPROTO_TCP;
    hints->ai_flags = job->as.resolve.host ? 0 : AI_PASSIVE;
    if (!job->as.resolve.service)
        hints->ai_flags |= AI_NUMERICSERV;
    if (job->as.resolve.flags & PL_RESOLVE_NUMERIC)
        hints->ai_flags |= AI_NUMERICHOST;
    if (job->as.resolve.flags & PL_RESOLVE_CONFIGURED)
        hints->ai_flags |= AI_ADDRCONFIG;
    if (job->as.resolve.canonical && job->as.resolve.host)
        hints->ai_flags |= AI_CANONNAME;
}

/* PL_OK, or why it is not worth asking. */
static int prepare(look_up *self, pl__job *job)
{
    const char *host = job->as.resolve.host;
    self->job = job;
    set_hints(&self->hints, job);
    int error = host ? widen(host, self->host, (int)PL__COUNT_OF(self->host)) : PL_OK;
    if (error == PL_OK && host && host[0] == '\0') /* to the system that is this machine, with all its addresses */
        return PL_ENAME;
    if (error != PL_OK)
        return error;
    if (job->as.resolve.service)
        return widen(job->as.resolve.service, self->service, SERVICE_SIZE);
    (void)swprintf(self->service, SERVICE_SIZE, L"%u", (unsigned)job->as.resolve.port);
    return PL_OK;
}

/* --- After -------------------------------------------------------------------------------------------------------- */

/* A name of PL_HOST_NAME_SIZE bytes. Its length, or an error. */
static int64_t narrow(const WCHAR *wide, char *name)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, name, PL_HOST_NAME_SIZE, NULL, NULL);
    return size > 0 ? size - 1 : PL_ENAMETOOLONG;
}

static int64_t keep(pl__job *job, const ADDRINFOEXW *found)
{
    const WCHAR *canonical = found ? found->ai_canonname : NULL;
    for (; found; found = (const void *)found->ai_next) { /* whose type one header misspells */
        pl_address address;
        pl__address_from_system(&address, found->ai_addr);
        if (address.family != 0 && pl__resolve_add(job, &address) < 0)
            return PL_ENOMEM;
    }
    if (job->as.resolve.count == 0)
        return PL_ENODATA;
    if (job->as.resolve.canonical) {
        const char *host = job->as.resolve.host ? job->as.resolve.host : "";
        int64_t length = canonical ? narrow(canonical, job->as.resolve.canonical)
                                   : pl__resolve_name(job->as.resolve.canonical, host);
        if (length < 0)
            return length;
    }
    return (int64_t)job->as.resolve.count;
}

/* The end, on whatever thread it comes. The job may be gone when it has been told. */
static void end(look_up *self, DWORD error)
{
    pl__job *job = self->job;
    int64_t result = error == ERROR_SUCCESS ? keep(job, self->found) : pl__error_from_win32(error);
    if (result == PL_ECANCELED)
        result = PL_ENAMEAGAIN; /* nobody asked for that, or nobody sees it */
    if (self->found)
        FreeAddrInfoExW(self->found);
    pl__release(self, sizeof *self);
    pl__job_end(job, result, (int32_t)error);
}

static void CALLBACK look_up_ended(DWORD error, DWORD bytes, WSAOVERLAPPED *overlapped)
{
    PL__UNUSED(bytes);
    end(PL__CONTAINER_OF(overlapped, look_up, overlapped), error);
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

static cancel_fn *cancel_look_up; /* NULL: the system has none */

static BOOL CALLBACK find_cancel(INIT_ONCE *once, void *parameter, void **context)
{
    union {
        FARPROC address;
        cancel_fn *cancel;
    } found;
    HMODULE winsock = GetModuleHandleW(L"ws2_32.dll");
    PL__UNUSED(once);
    PL__UNUSED(parameter);
    PL__UNUSED(context);
    found.address = winsock ? GetProcAddress(winsock, "GetAddrInfoExCancel") : NULL;
    cancel_look_up = found.cancel;
    return TRUE;
}

/* The system tells handles of what has ended from others: it refuses them. */
static void stop(void *handle)
{
    HANDLE which = handle;
    (void)cancel_look_up(&which);
}

static void allow_stop(pl__job *job, HANDLE handle)
{
    static INIT_ONCE once = INIT_ONCE_STATIC_INIT;
    (void)InitOnceExecuteOnce(&once, find_cancel, NULL, NULL);
    if (!cancel_look_up || !handle)
        return;
    job->stop = stop;
    job->stop_argument = handle;
}

/* --- The jobs ----------------------------------------------------------------------------------------------------- */

/* The job stays the worker's until it returns, so the handle can be noted after the call; `self` does not. */
int64_t pl__run_resolve(pl__job *job)
{
    union { /* some compilers' headers know the routine as a plain pointer */
        routine_fn *fn;
        LPLOOKUPSERVICE_COMPLETION_ROUTINE routine;
    } ended = {look_up_ended};
    HANDLE handle = NULL;
    look_up *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return PL_ENOMEM;
    int prepared = prepare(self, job);
    if (prepared < 0) {
        pl__release(self, sizeof *self);
        return prepared;
    }
    int error = GetAddrInfoExW(job->as.resolve.host ? self->host : NULL, self->service, NS_ALL, NULL, &self->hints,
                               &self->found, NULL, &self->overlapped, ended.routine, &handle);
    if (error == WSA_IO_PENDING)
        allow_stop(job, handle);
    else
        end(self, (DWORD)error);
    return PL__JOB_AWAY;
}

int64_t pl__run_resolve_address(pl__job *job)
{
    SOCKADDR_INET system;
    WCHAR name[NI_MAXHOST];
    int size = pl__address_to_system(&job->as.resolve_address.address, &system);
    int error = GetNameInfoW((const SOCKADDR *)&system, size, name, NI_MAXHOST, NULL, 0, NI_NAMEREQD);
    if (error != 0) {
        job->system_error = error;
        return pl__error_from_win32((DWORD)error);
    }
    return narrow(name, job->as.resolve_address.name);
}
