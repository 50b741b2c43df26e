#include "shim_watch.h"

#include <string.h>

#include <windows.h>
#include <winternl.h>

#include "harness.h"
#include "shims_inner.h"

enum { SPACE = 65536, SENDINGS = 8 };

#define STATUS_OF_PENDING 0x103UL
#define STATUS_OF_CANCEL  0xC0000120UL

typedef struct sending {
    ULONG status;
    DWORD size;
    char data[SPACE];
} sending;

static struct {
    bool on;
    HANDLE folder;
    HANDLE port;
    ULONG_PTR key;
    LPOVERLAPPED pending;
    void *buffer;
    DWORD buffer_size;
    BOOL recursive;
    DWORD filter;
    DWORD error;
    int requests;
    sending queue[SENDINGS];
    int queued;
    sending next; /* being written */
    size_t last;  /* where its last record begins */
    size_t gap;
} replay;

/* The system's call, reached by a pointer; the linker gives calls to the pointer of ours. */
#define REPLAY_OF(type, name, ...)                                                                                     \
    extern type(WINAPI *__real___imp_##name)(__VA_ARGS__);                                                             \
    static type WINAPI replay_##name(__VA_ARGS__);                                                                     \
    type(WINAPI *__wrap___imp_##name)(__VA_ARGS__) = replay_##name;                                                    \
    static type WINAPI replay_##name(__VA_ARGS__)

/* The request under way ends with what was sent first. */
static void deliver(void)
{
    sending *first = &replay.queue[0];
    LPOVERLAPPED overlapped = replay.pending;
    if (!overlapped || replay.queued == 0)
        return;
    REQUIRE(first->size <= replay.buffer_size);
    memcpy(replay.buffer, first->data, first->size);
    overlapped->Internal = first->status;
    overlapped->InternalHigh = first->size;
    replay.pending = NULL;
    memmove(first, first + 1, (size_t)--replay.queued * sizeof *first);
    CHECK(PostQueuedCompletionStatus(replay.port, (DWORD)overlapped->InternalHigh, replay.key, overlapped));
}

static void put_out(ULONG status, DWORD size)
{
    REQUIRE(replay.queued < SENDINGS);
    replay.next.status = status;
    replay.next.size = size;
    replay.queue[replay.queued++] = replay.next;
    memset(&replay.next, 0, sizeof replay.next);
    replay.last = 0;
    deliver();
}

void replay_attached(void *file, void *port, uintptr_t key)
{
    if (replay.on && port && file != INVALID_HANDLE_VALUE && GetFileType(file) == FILE_TYPE_DISK) {
        replay.folder = file;
        replay.port = port;
        replay.key = key;
    }
}

/* Wine tells changes to any handle of a folder, Windows to those that may list it: to others it says ERROR_ACCESS_DENIED. */
static bool may_list(HANDLE folder)
{
    ULONG words[14] = {0}; /* PUBLIC_OBJECT_BASIC_INFORMATION: attributes, access, ... */
    ULONG size = 0;
    return CHECK_EQ_INT(NtQueryObject(folder, ObjectBasicInformation, words, sizeof words, &size), 0) &&
           CHECK(words[1] & FILE_LIST_DIRECTORY);
}

REPLAY_OF(BOOL, ReadDirectoryChangesW, HANDLE folder, LPVOID buffer, DWORD size, BOOL recursive, DWORD filter,
          LPDWORD returned, LPOVERLAPPED overlapped, LPOVERLAPPED_COMPLETION_ROUTINE routine)
{
    if (!may_list(folder)) {
        SetLastError(ERROR_ACCESS_DENIED);
        return FALSE;
    }
    if (!replay.on || folder != replay.folder)
        return __real___imp_ReadDirectoryChangesW(folder, buffer, size, recursive, filter, returned, overlapped,
                                                  routine);
    replay.requests++;
    CHECK(replay.pending == NULL); /* one at a time */
    CHECK(((ULONG_PTR)buffer & 3) == 0);
    CHECK(size >= 4096 && size <= SPACE); /* more is refused by folders of other computers */
    CHECK(overlapped != NULL && overlapped->hEvent == NULL && overlapped->Offset == 0);
    CHECK(routine == NULL && filter != 0);
    if (replay.error) {
        SetLastError(replay.error);
        return FALSE;
    }
    replay.recursive = recursive;
    replay.filter = filter;
    replay.buffer = buffer;
    replay.buffer_size = size;
    replay.pending = overlapped;
    overlapped->Internal = STATUS_OF_PENDING;
    memset(buffer, 0xa5, size);
    deliver();
    return TRUE; /* which says only that it was taken */
}

bool replay_cancels(void *file, void *overlapped, int *result)
{
    if (!replay.on || file != replay.folder)
        return false;
    *result = replay.pending && (!overlapped || overlapped == replay.pending);
    if (*result) {
        replay.queued = 0;
        put_out(STATUS_OF_CANCEL, 0);
    } else {
        SetLastError(ERROR_NOT_FOUND);
    }
    return true;
}

void replay_begin(const char *folder)
{
    (void)folder;
    memset(&replay, 0, sizeof replay);
    replay.on = true;
}

void replay_end(void)
{
    CHECK(replay.pending == NULL);
    CHECK_EQ_INT(replay.queued, 0);
    replay.on = false;
}

void replay_set_gap(size_t gap)
{
    replay.gap = gap;
}

void replay_record(replay_action action, const char *name)
{
    static const DWORD actions[] = {FILE_ACTION_ADDED, FILE_ACTION_REMOVED, FILE_ACTION_MODIFIED,
                                    FILE_ACTION_RENAMED_OLD_NAME, FILE_ACTION_RENAMED_NEW_NAME};
    const size_t head = offsetof(FILE_NOTIFY_INFORMATION, FileName);
    size_t length = strlen(name), at = replay.next.size;
    DWORD words[3] = {0, actions[action], (DWORD)(length * sizeof(WCHAR))};
    REQUIRE(at + head + length * sizeof(WCHAR) + replay.gap + 8 <= SPACE);
    if (at > 0) { /* the one before learns where this one is */
        DWORD distance;
        at = replay.gap ? at + replay.gap : (at + 3) & ~(size_t)3;
        distance = (DWORD)(at - replay.last);
        memcpy(replay.next.data + replay.last, &distance, sizeof distance);
    }
    memcpy(replay.next.data + at, words, sizeof words);
    for (size_t i = 0; i < length; i++) {
        WCHAR unit = name[i] == '#' ? 0x732B : name[i] == '%' ? 0xD800 : name[i] == '/' ? L'\\' : (WCHAR)name[i];
        memcpy(replay.next.data + at + head + i * sizeof unit, &unit, sizeof unit);
    }
    replay.last = at;
    replay.next.size = (DWORD)(at + head + length * sizeof(WCHAR));
}

void replay_send(void)
{
    put_out(0, replay.next.size);
}

void replay_send_cut(size_t bytes)
{
    put_out(0, replay.next.size - (DWORD)bytes);
}

void replay_send_status(unsigned long status)
{
    put_out(status, 0);
}

bool replay_send_loss(int way)
{
    static const ULONG statuses[] = {0 /* STATUS_SUCCESS */, 0x10C /* STATUS_NOTIFY_ENUM_DIR */};
    if (way >= (int)(sizeof statuses / sizeof statuses[0]))
        return false;
    put_out(statuses[way], 0);
    return true;
}

bool replay_send_end(int way)
{
    static const ULONG statuses[] = {
        0xC0000056, /* STATUS_DELETE_PENDING */ 0x10B,         /* STATUS_NOTIFY_CLEANUP */
        0xC0000022, /* STATUS_ACCESS_DENIED */ 0xC0000034,     /* STATUS_OBJECT_NAME_NOT_FOUND */
        0xC000026E, /* STATUS_VOLUME_DISMOUNTED */ 0xC000009D, /* STATUS_DEVICE_NOT_CONNECTED */
    };
    if (way >= (int)(sizeof statuses / sizeof statuses[0]))
        return false;
    put_out(statuses[way], 0);
    return true;
}

void replay_set_error(unsigned long error)
{
    replay.error = error;
}

bool replay_was_recursive(void)
{
    return replay.recursive != 0;
}

unsigned long replay_filter(void)
{
    return replay.filter;
}

int replay_requests(void)
{
    return replay.requests;
}

void watches_fail(int number, int error)
{
    (void)number;
    (void)error;
}

void watches_swap(int number, const char *folder, const char *content)
{
    (void)number;
    (void)folder;
    (void)content;
}

int watches_asked_for(void)
{
    return 0;
}
