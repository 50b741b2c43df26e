/* child.c: children by CreateProcessW, with a pipe in each direction.
 *
 * Exactly the child's handles are inherited, by a list; the pipes' own ends are told on the command line. Each child is in a
 * job object of its own, which ends it, and all it has started, when it is killed or this process ends.
 *
 * The pipes are synchronous, for each has a thread of its own that may block. A reader is freed by the end of the child,
 * the only one that has the other end: there it is made not inheritable first of all.
 */
#include "system.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../allocator.h"
#include "../child.h"

enum {
    PATH_LENGTH_MAX = 32767, /* of the system; a command line is no longer either */
    OPTION_SIZE = 64,        /* PL__CHILD_OPTION and two numbers */
    PIECE_MAX = 1 << 20      /* bytes per call; a call counts in a DWORD */
};

#if !defined(PROC_THREAD_ATTRIBUTE_HANDLE_LIST)
#define PROC_THREAD_ATTRIBUTE_HANDLE_LIST 0x00020002
#endif

typedef struct child {
    HANDLE process; /* in the child itself: NULL, and so is the job */
    HANDLE job;
    HANDLE reading;
    HANDLE writing;
} child;

PL__STATIC_ASSERT(sizeof(child) <= sizeof(pl__child), "pl__child is too small");

static child *child_of(pl__child *opaque)
{
    return (child *)(void *)opaque;
}

static void close_handle(HANDLE *handle)
{
    if (*handle && *handle != INVALID_HANDLE_VALUE)
        CloseHandle(*handle);
    *handle = NULL;
}

static void close_all(child *it)
{
    close_handle(&it->process);
    close_handle(&it->job);
    close_handle(&it->reading);
    close_handle(&it->writing);
}

void pl__child_remember_program(const char *program)
{
    PL__UNUSED(program); /* the system knows */
}

/* --- What the child inherits -------------------------------------------------------------------------------------- */

enum { STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR, READING, WRITING, INHERITED };

typedef struct inheritance {
    HANDLE handles[INHERITED]; /* ours, inheritable, all different: the list must not name one twice */
} inheritance;

static void inheritance_close(inheritance *it)
{
    for (int i = 0; i < INHERITED; i++)
        close_handle(&it->handles[i]);
}

static HANDLE open_nothing(DWORD access)
{
    SECURITY_ATTRIBUTES inheritable = {sizeof inheritable, NULL, TRUE};
    HANDLE nothing =
        CreateFileW(L"NUL", access, FILE_SHARE_READ | FILE_SHARE_WRITE, &inheritable, OPEN_EXISTING, 0, NULL);
    return nothing == INVALID_HANDLE_VALUE ? NULL : nothing;
}

/* A program without a console may have no such handle, or one that was closed. */
static HANDLE duplicate_standard(DWORD which)
{
    HANDLE self = GetCurrentProcess(), standard = GetStdHandle(which), copy = NULL;
    if (standard && standard != INVALID_HANDLE_VALUE &&
        DuplicateHandle(self, standard, self, &copy, 0, TRUE, DUPLICATE_SAME_ACCESS))
        return copy;
    return open_nothing(GENERIC_WRITE);
}

/* Our ends in `it`, the child's in the inheritance. */
static bool make_pipes(child *it, inheritance *inherited)
{
    return CreatePipe(&inherited->handles[READING], &it->writing, NULL, 0) &&
           CreatePipe(&it->reading, &inherited->handles[WRITING], NULL, 0) &&
           SetHandleInformation(inherited->handles[READING], HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) &&
           SetHandleInformation(inherited->handles[WRITING], HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
}

static bool inheritance_make(inheritance *inherited, child *it)
{
    if (!make_pipes(it, inherited))
        return false;
    inherited->handles[STANDARD_INPUT] = open_nothing(GENERIC_READ);
    inherited->handles[STANDARD_OUTPUT] = duplicate_standard(STD_OUTPUT_HANDLE);
    inherited->handles[STANDARD_ERROR] = duplicate_standard(STD_ERROR_HANDLE);
    return inherited->handles[STANDARD_INPUT] && inherited->handles[STANDARD_OUTPUT] &&
           inherited->handles[STANDARD_ERROR];
}

/* --- Starting ----------------------------------------------------------------------------------------------------- */

/* A job that ends its processes with its last handle, which is ours. */
static HANDLE make_job(void)
{
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits;
    HANDLE job = CreateJobObjectW(NULL, NULL);
    memset(&limits, 0, sizeof limits);
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    if (job && !SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits))
        close_handle(&job);
    return job;
}

/* "path" --proloop-worker=READING:WRITING. False: the path is too long. */
static bool write_command_line(WCHAR *line, const WCHAR *path, const inheritance *inherited)
{
    char option[OPTION_SIZE];
    size_t length = wcslen(path), option_length;
    int written = snprintf(option, sizeof option, PL__CHILD_OPTION "%" PRIxPTR ":%" PRIxPTR,
                           (uintptr_t)inherited->handles[READING], (uintptr_t)inherited->handles[WRITING]);
    PL__CHECK(written > 0 && written < OPTION_SIZE);
    option_length = (size_t)written;
    if (length + option_length + sizeof "\"\" " > PATH_LENGTH_MAX)
        return false;
    *line++ = L'"';
    memcpy(line, path, length * sizeof *line);
    line += length;
    *line++ = L'"';
    *line++ = L' ';
    for (size_t i = 0; i <= option_length; i++)
        line[i] = (WCHAR)option[i];
    return true;
}

typedef struct launch {
    STARTUPINFOEXW startup;
    WCHAR path[PATH_LENGTH_MAX + 1];
    WCHAR line[PATH_LENGTH_MAX + 1];
    union {
        uint64_t space[32];
        void *align;
    } attributes;
} launch;

/* Suspended, so that it does nothing before it is in its job. */
static bool create_process(launch *l, inheritance *inherited, PROCESS_INFORMATION *made)
{
    /* A group of its own: Ctrl-C is not for it, even before it can say so. No console is opened for it. */
    DWORD flags = CREATE_SUSPENDED | EXTENDED_STARTUPINFO_PRESENT | CREATE_NEW_PROCESS_GROUP;
    SIZE_T size = sizeof l->attributes;
    if (GetConsoleCP() == 0)
        flags |= CREATE_NO_WINDOW;
    l->startup.StartupInfo.cb = sizeof l->startup;
    l->startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
    l->startup.StartupInfo.hStdInput = inherited->handles[STANDARD_INPUT];
    l->startup.StartupInfo.hStdOutput = inherited->handles[STANDARD_OUTPUT];
    l->startup.StartupInfo.hStdError = inherited->handles[STANDARD_ERROR];
    l->startup.lpAttributeList = (LPPROC_THREAD_ATTRIBUTE_LIST)(void *)&l->attributes;
    if (!InitializeProcThreadAttributeList(l->startup.lpAttributeList, 1, 0, &size))
        return false;
    bool created = UpdateProcThreadAttribute(l->startup.lpAttributeList, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST,
                                             inherited->handles, sizeof inherited->handles, NULL, NULL) &&
                   CreateProcessW(l->path, l->line, NULL, NULL, TRUE, flags, NULL, NULL, &l->startup.StartupInfo, made);
    DWORD error = GetLastError();
    DeleteProcThreadAttributeList(l->startup.lpAttributeList);
    SetLastError(error);
    return created;
}

/* What it returns false for is the thread's last error. */
static bool start(child *it, launch *l, inheritance *inherited)
{
    PROCESS_INFORMATION made;
    DWORD length;
    it->job = make_job();
    if (!it->job || !inheritance_make(inherited, it))
        return false;
    length = GetModuleFileNameW(NULL, l->path, PATH_LENGTH_MAX);
    if (length == 0 || !write_command_line(l->line, l->path, inherited))
        return false;
    if (!create_process(l, inherited, &made))
        return false;
    it->process = made.hProcess;
    bool running = AssignProcessToJobObject(it->job, it->process) && ResumeThread(made.hThread) != (DWORD)-1;
    DWORD error = GetLastError();
    if (!running)
        TerminateProcess(it->process, 1);
    CloseHandle(made.hThread);
    SetLastError(error);
    return running;
}

int pl__child_start(pl__child *opaque)
{
    child made = {NULL, NULL, NULL, NULL};
    inheritance inherited = {{NULL}};
    launch *l = pl__allocate_zeroed(sizeof *l);
    if (!l)
        return PL_ENOMEM;
    SetLastError(ERROR_FILENAME_EXCED_RANGE);
    int result = start(&made, l, &inherited) ? PL_OK : pl__error_from_win32(GetLastError());
    inheritance_close(&inherited);
    pl__release(l, sizeof *l);
    if (result < 0)
        close_all(&made);
    else
        *child_of(opaque) = made;
    return result;
}

/* --- In the child ------------------------------------------------------------------------------------------------- */

static BOOL WINAPI ignore_interrupts(DWORD event)
{
    return event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT;
}

bool pl__child_attach(pl__child *opaque, const char *option)
{
    child *parent = child_of(opaque);
    char *end;
    uintptr_t reading = (uintptr_t)strtoull(option + strlen(PL__CHILD_OPTION), &end, 16);
    if (*end != ':')
        return false;
    uintptr_t writing = (uintptr_t)strtoull(end + 1, &end, 16);
    if (*end)
        return false;
    *parent = (child){NULL, NULL, (HANDLE)reading, (HANDLE)writing};
    (void)SetConsoleCtrlHandler(ignore_interrupts, TRUE);
    /* A crash ends it at once: nobody sits there to answer a dialog. */
    (void)SetErrorMode(GetErrorMode() | SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX);
    return SetHandleInformation(parent->reading, HANDLE_FLAG_INHERIT, 0) &&
           SetHandleInformation(parent->writing, HANDLE_FLAG_INHERIT, 0);
}

/* --- Talking ------------------------------------------------------------------------------------------------------ */

bool pl__child_write(pl__child *opaque, const void *data, size_t size)
{
    const char *next = data;
    while (size > 0) {
        DWORD written = 0;
        if (!WriteFile(child_of(opaque)->writing, next, size < PIECE_MAX ? (DWORD)size : PIECE_MAX, &written, NULL))
            return false;
        next += written;
        size -= written;
    }
    return true;
}

bool pl__child_read(pl__child *opaque, void *data, size_t size)
{
    char *next = data;
    while (size > 0) {
        DWORD got = 0;
        if (!ReadFile(child_of(opaque)->reading, next, size < PIECE_MAX ? (DWORD)size : PIECE_MAX, &got, NULL))
            return false;
        next += got; /* a write of no bytes at the other end would be read as such */
        size -= got;
    }
    return true;
}

bool pl__child_has_gone(pl__child *opaque)
{
    const child *it = child_of(opaque);
    DWORD unasked = 0; /* bytes that nobody should have sent */
    return WaitForSingleObject(it->process, 0) == WAIT_OBJECT_0 ||
           !PeekNamedPipe(it->reading, NULL, 0, NULL, &unasked, NULL) || unasked > 0;
}

/* --- Ending ------------------------------------------------------------------------------------------------------- */

void pl__child_kill(pl__child *opaque)
{
    (void)TerminateJobObject(child_of(opaque)->job, 1);
}

static DWORD milliseconds_of(int64_t limit)
{
    int64_t milliseconds = limit > 0 ? (limit - 1) / 1000000 + 1 : 0;
    return milliseconds < INFINITE - 1 ? (DWORD)milliseconds : INFINITE - 1;
}

void pl__child_end(pl__child *opaque, int64_t limit)
{
    child *it = child_of(opaque);
    close_handle(&it->writing);
    if (WaitForSingleObject(it->process, milliseconds_of(limit)) != WAIT_OBJECT_0)
        pl__child_kill(opaque);
    (void)WaitForSingleObject(it->process, INFINITE);
    close_all(it);
}
