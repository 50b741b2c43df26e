/* child.c: children of this program's own executable, with a pipe in each direction.
 *
 * The ends of the pipes are told on the command line. Each child is in a
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
#include "../subprocess.h"

enum {
    PATH_LENGTH_MAX = 32767, /* of the system */
    OPTION_SIZE = 64,        /* PL__CHILD_OPTION and two numbers */
    PIECE_MAX = 1 << 20      /* bytes per call; a call counts in a DWORD */
};

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

/* --- Starting ----------------------------------------------------------------------------------------------------- */

enum { READING, WRITING, INHERITED };

/* Our ends in `it`, the child's, which it inherits, in `theirs`. */
static bool make_pipes(child *it, HANDLE theirs[INHERITED])
{
    return CreatePipe(&theirs[READING], &it->writing, NULL, 0) && CreatePipe(&it->reading, &theirs[WRITING], NULL, 0) &&
           SetHandleInformation(theirs[READING], HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT) &&
           SetHandleInformation(theirs[WRITING], HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
}

/* This program's executable, in UTF-8. False: the last error. */
static bool find_executable(char *path, size_t size)
{
    WCHAR *wide = pl__allocate((PATH_LENGTH_MAX + 1) * sizeof *wide);
    if (!wide) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return false;
    }
    DWORD length = GetModuleFileNameW(NULL, wide, PATH_LENGTH_MAX + 1);
    bool found = length > 0 && length <= PATH_LENGTH_MAX &&
                 WideCharToMultiByte(CP_UTF8, WC_ERR_INVALID_CHARS, wide, -1, path, (int)size, NULL, NULL) > 0;
    DWORD error = length > PATH_LENGTH_MAX ? ERROR_FILENAME_EXCED_RANGE : GetLastError();
    pl__release(wide, (PATH_LENGTH_MAX + 1) * sizeof *wide);
    SetLastError(error);
    return found;
}

/* A group of its own: Ctrl-C is not for it, even before it can say so. No console is opened for it. */
static int spawn(child *it, const char *path, HANDLE theirs[INHERITED])
{
    char option[OPTION_SIZE];
    const char *arguments[] = {path, option, NULL};
    int32_t system_error;
    pl__spawn s = {.argv = arguments,
                   .executable = path,
                   .new_group = true,
                   .hidden = GetConsoleCP() == 0,
                   .kill_tree = true,
                   .kill_on_close = true};
    int written = snprintf(option, sizeof option, PL__CHILD_OPTION "%" PRIxPTR ":%" PRIxPTR, (uintptr_t)theirs[READING],
                           (uintptr_t)theirs[WRITING]);
    PL__CHECK(written > 0 && written < OPTION_SIZE);
    s.stdio[0].kind = PL_STDIO_NULL;
    s.stdio[1].kind = PL_STDIO_INHERIT;
    s.stdio[2].kind = PL_STDIO_INHERIT;
    for (int i = 0; i < INHERITED; i++)
        s.inherited[s.inherited_count++] = (uintptr_t)theirs[i];
    int rc = pl__spawn_prepare(&s, &system_error);
    if (rc == PL_OK)
        rc = (int)pl__spawn_now(&s, &system_error);
    pl__spawn_release(&s);
    it->process = (HANDLE)s.child.object;
    it->job = (HANDLE)s.child.job;
    return rc;
}

int pl__child_start(pl__child *opaque)
{
    child made = {NULL, NULL, NULL, NULL};
    HANDLE theirs[INHERITED] = {NULL, NULL};
    char *path = pl__allocate(3 * PATH_LENGTH_MAX);
    if (!path)
        return PL_ENOMEM;
    int result = find_executable(path, 3 * PATH_LENGTH_MAX) && make_pipes(&made, theirs)
                     ? spawn(&made, path, theirs)
                     : pl__error_from_win32(GetLastError());
    pl__release(path, 3 * PATH_LENGTH_MAX);
    for (int i = 0; i < INHERITED; i++)
        close_handle(&theirs[i]);
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
