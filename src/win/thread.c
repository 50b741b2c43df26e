/* thread.c: threads, mutexes and conditions of Windows.
 *
 * Mutexes are SRW locks and conditions are condition variables: one pointer each, nothing to destroy, no
 * failures. Threads begin in the C runtime's way, since they run code that uses it.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <errno.h>
#include <process.h>
#include <stdlib.h>
#include <string.h>
#include <tlhelp32.h>

#include <proloop/base.h>

#include "../allocator.h"
#include "../atomic.h"
#include "../check.h"
#include "../thread.h"

PL__STATIC_ASSERT(sizeof(SRWLOCK) <= sizeof(pl__mutex), "pl__mutex is too small");
PL__STATIC_ASSERT(sizeof(CONDITION_VARIABLE) <= sizeof(pl__condition), "pl__condition is too small");
PL__STATIC_ASSERT(sizeof(HANDLE) <= sizeof(pl__thread), "pl__thread is too small");

/* What a new thread is told; it releases it before anything else. */
typedef struct start {
    pl__thread_fn *fn;
    void *arg;
    char name[32];
} start;

static SRWLOCK *lock_of(pl__mutex *mutex)
{
    return (SRWLOCK *)(void *)mutex;
}

static CONDITION_VARIABLE *condition_of(pl__condition *condition)
{
    return (CONDITION_VARIABLE *)(void *)condition;
}

static HANDLE *handle_of(pl__thread *thread)
{
    return (HANDLE *)(void *)thread;
}

void pl__mutex_init(pl__mutex *mutex)
{
    InitializeSRWLock(lock_of(mutex));
}

void pl__mutex_destroy(pl__mutex *mutex)
{
    PL__UNUSED(mutex);
}

void pl__mutex_lock(pl__mutex *mutex)
{
    AcquireSRWLockExclusive(lock_of(mutex));
}

bool pl__mutex_try_lock(pl__mutex *mutex)
{
    return TryAcquireSRWLockExclusive(lock_of(mutex)) != 0;
}

void pl__mutex_unlock(pl__mutex *mutex)
{
    ReleaseSRWLockExclusive(lock_of(mutex));
}

void pl__condition_init(pl__condition *condition)
{
    InitializeConditionVariable(condition_of(condition));
}

void pl__condition_destroy(pl__condition *condition)
{
    PL__UNUSED(condition);
}

void pl__condition_signal(pl__condition *condition)
{
    WakeConditionVariable(condition_of(condition));
}

void pl__condition_broadcast(pl__condition *condition)
{
    WakeAllConditionVariable(condition_of(condition));
}

static bool wait_milliseconds(pl__condition *condition, pl__mutex *mutex, DWORD milliseconds)
{
    if (SleepConditionVariableSRW(condition_of(condition), lock_of(mutex), milliseconds, 0))
        return true;
    DWORD error = GetLastError();
    if (error != ERROR_TIMEOUT)
        PL__PANIC("SleepConditionVariableSRW: %lu", (unsigned long)error);
    return false;
}

void pl__condition_wait(pl__condition *condition, pl__mutex *mutex)
{
    wait_milliseconds(condition, mutex, INFINITE);
}

static int64_t performance_counter(void)
{
    LARGE_INTEGER count;
    QueryPerformanceCounter(&count);
    return count.QuadPart;
}

static bool has_passed(int64_t begin, int64_t nanoseconds)
{
    LARGE_INTEGER frequency;
    QueryPerformanceFrequency(&frequency);
    double counts = (double)nanoseconds / 1e9 * (double)frequency.QuadPart;
    return (double)(performance_counter() - begin) >= counts;
}

/* The system waits for whole milliseconds and counts from its last clock tick, so it may end up to a tick
 * early. Then this is one of the waits that end without a signal. */
bool pl__condition_wait_for(pl__condition *condition, pl__mutex *mutex, int64_t nanoseconds)
{
    int64_t begin = performance_counter();
    if (nanoseconds < 0)
        nanoseconds = 0;
    if (nanoseconds / 1000000 >= INFINITE - 1) {
        pl__condition_wait(condition, mutex);
        return true;
    }
    return wait_milliseconds(condition, mutex, (DWORD)((nanoseconds + 999999) / 1000000)) ||
           !has_passed(begin, nanoseconds);
}

/* Windows 10 1607; older systems show no names. */
typedef HRESULT WINAPI set_description_fn(HANDLE thread, PCWSTR description);

static void set_name(const char *name)
{
    union {
        FARPROC address;
        set_description_fn *set;
    } description;
    WCHAR wide[32];
    HMODULE kernel = GetModuleHandleW(L"kernel32.dll");
    if (!kernel)
        return;
    description.address = GetProcAddress(kernel, "SetThreadDescription");
    if (description.address && MultiByteToWideChar(CP_UTF8, 0, name, -1, wide, (int)PL__COUNT_OF(wide)) > 0)
        (void)description.set(GetCurrentThread(), wide);
}

static unsigned __stdcall run_thread(void *arg)
{
    start begun = *(start *)arg;
    pl__release(arg, sizeof begun);
    if (begun.name[0])
        set_name(begun.name);
    begun.fn(begun.arg);
    return 0;
}

int pl__thread_start(pl__thread *thread, pl__thread_fn *fn, void *arg, const char *name)
{
    start *begin = pl__allocate_zeroed(sizeof *begin);
    if (!begin)
        return PL_ENOMEM;
    begin->fn = fn;
    begin->arg = arg;
    for (size_t i = 0; name && name[i] && i < sizeof begin->name - 1; i++)
        begin->name[i] = name[i];

    uintptr_t handle = _beginthreadex(NULL, 0, run_thread, begin, 0, NULL);
    if (handle == 0) {
        int error = errno;
        pl__release(begin, sizeof *begin);
        return error == ENOMEM ? PL_ENOMEM : PL_ELIMIT;
    }
    *handle_of(thread) = (HANDLE)handle;
    return PL_OK;
}

void pl__thread_join(pl__thread *thread)
{
    PL__CHECK(WaitForSingleObject(*handle_of(thread), INFINITE) == WAIT_OBJECT_0);
    CloseHandle(*handle_of(thread));
}

void pl__thread_detach(pl__thread *thread)
{
    CloseHandle(*handle_of(thread));
}

uint64_t pl__thread_id(void)
{
    return GetCurrentThreadId();
}

/* When the thread was made, in the system's time; UINT64_MAX if that cannot be told. */
static uint64_t thread_creation_time(DWORD id)
{
    FILETIME created, exited, kernel, user;
    uint64_t time = UINT64_MAX;
    HANDLE thread = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, FALSE, id);
    if (!thread)
        return time;
    if (GetThreadTimes(thread, &created, &exited, &kernel, &user))
        time = (uint64_t)created.dwHighDateTime << 32 | created.dwLowDateTime;
    CloseHandle(thread);
    return time;
}

/* The oldest thread of the process: the system keeps no other mark of it. 0 if that cannot be told. */
static DWORD find_main_thread(void)
{
    DWORD process = GetCurrentProcessId(), oldest = 0;
    uint64_t oldest_time = UINT64_MAX;
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    HANDLE snapshot = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    if (snapshot == INVALID_HANDLE_VALUE)
        return 0;
    for (BOOL more = Thread32First(snapshot, &entry); more; more = Thread32Next(snapshot, &entry)) {
        uint64_t time = entry.th32OwnerProcessID == process ? thread_creation_time(entry.th32ThreadID) : UINT64_MAX;
        if (time < oldest_time) {
            oldest_time = time;
            oldest = entry.th32ThreadID;
        }
    }
    CloseHandle(snapshot);
    return oldest;
}

bool pl__thread_is_main(void)
{
    static pl__atomic_u32 main_thread; /* found once: the search walks all threads of the system */
    uint32_t id = pl__atomic_u32_load_relaxed(&main_thread);
    if (id == 0) {
        id = find_main_thread();
        pl__atomic_u32_store_relaxed(&main_thread, id);
    }
    return id == GetCurrentThreadId();
}

void pl__thread_yield(void)
{
    SwitchToThread();
}

uint64_t pl__process_id(void)
{
    return GetCurrentProcessId();
}

/* The process's affinity is of one group of at most 64; a process that was not bound may use those of all groups. */
uint32_t pl__processor_count(void)
{
    DWORD_PTR allowed, system;
    uint32_t count = 0;
    if (!GetProcessAffinityMask(GetCurrentProcess(), &allowed, &system) || allowed == system)
        count = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    else
        for (; allowed; allowed &= allowed - 1)
            count++;
    return count > 0 ? count : 1;
}

void pl__process_on_fork(void (*child)(void))
{
    PL__UNUSED(child);
}
