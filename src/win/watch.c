/* watch.c: watched folders, by ReadDirectoryChangesW.
 *
 * The system collects changes from the first request on, between two requests too, in memory of its own that is as large as
 * the first request's. When that was too small it gives none of them, but says so: a request ends with no bytes, or with
 * ERROR_NOTIFY_ENUM_DIR. A request that was taken always sends a packet, if it ended at once too: the call does not say
 * which it was, and so packets are never skipped here.
 *
 * What it gives are FILE_NOTIFY_INFORMATIONs: actions with a name in UTF-16, relative to the folder. A rename is two of
 * them, of which the second may come with the next request.
 */
#include "path.h"

#include <string.h>

#include "../allocator.h"
#include "../watch.h"
#include "../worker_pool.h"

enum {
    NAME_UNITS = PL__CHANGES_SIZE / sizeof(WCHAR), /* a name is no longer than what it came in */
    NAME_BYTES = NAME_UNITS * 3 + 1                /* in UTF-8 */
};

/* Of NTSTATUS */
#define STATUS_FOLDER_CLEANUP  0x0000010B            /* STATUS_NOTIFY_CLEANUP: its last handle was closed */
#define STATUS_FOLDER_LOST     0x0000010C            /* STATUS_NOTIFY_ENUM_DIR */
#define STATUS_FOLDER_DELETED  ((int32_t)0xC0000056) /* STATUS_DELETE_PENDING */
#define STATUS_FOLDER_REFUSED  ((int32_t)0xC0000022) /* STATUS_ACCESS_DENIED */
#define STATUS_FOLDER_GONE     ((int32_t)0xC0000034) /* STATUS_OBJECT_NAME_NOT_FOUND */
#define STATUS_VOLUME_GONE     ((int32_t)0xC000026E) /* STATUS_VOLUME_DISMOUNTED */
#define STATUS_DEVICE_GONE     ((int32_t)0xC000009D) /* STATUS_DEVICE_NOT_CONNECTED */
#define STATUS_FILE_WAS_CLOSED ((int32_t)0xC0000128) /* STATUS_FILE_CLOSED */

struct pl__changes {
    bool has_old;            /* the old name of a rename, whose new one is to come */
    WCHAR units[NAME_UNITS]; /* the name at hand, aligned */
    char name[NAME_BYTES];
    char old_name[NAME_BYTES];
};

/* --- Requests ----------------------------------------------------------------------------------------------------- */

static DWORD filter_of(uint8_t wanted)
{
    const uint8_t moves = PL_WATCH_CREATED | PL_WATCH_DELETED | PL_WATCH_RENAMED;
    DWORD filter = 0;
    if (wanted & moves)
        filter |= FILE_NOTIFY_CHANGE_FILE_NAME | FILE_NOTIFY_CHANGE_DIR_NAME;
    if (wanted & PL_WATCH_CHANGED)
        filter |= FILE_NOTIFY_CHANGE_LAST_WRITE | FILE_NOTIFY_CHANGE_SIZE;
    return filter ? filter : FILE_NOTIFY_CHANGE_DIR_NAME; /* it must be something */
}

bool pl__begin_changes(pl__completion *c, pl__packet *packet)
{
    PL__CHECK(!(c->handle->flags & PL__SKIPS_PACKETS));
    if (ReadDirectoryChangesW((HANDLE)c->handle->object, c->as.changes.data, c->as.changes.size,
                              c->as.changes.recursive, filter_of(c->as.changes.wanted), NULL, &packet->overlapped,
                              NULL))
        return true;
    DWORD error = GetLastError();
    if (error == ERROR_IO_PENDING)
        return true;
    packet->result = pl__packet_failed(packet, error);
    return false;
}

/* Whether it is the end of the folder, or of what it was on. It was open for us, so access is not refused for another
 * reason. */
static bool is_gone(int32_t system_error)
{
    static const int32_t gone[] = {ERROR_ACCESS_DENIED,   ERROR_DELETE_PENDING,  ERROR_FILE_NOT_FOUND,
                                   ERROR_PATH_NOT_FOUND,  STATUS_FOLDER_DELETED, STATUS_FOLDER_REFUSED,
                                   STATUS_FOLDER_GONE,    STATUS_VOLUME_GONE,    STATUS_DEVICE_GONE,
                                   STATUS_FILE_WAS_CLOSED};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++) {
        if (system_error == gone[i])
            return true;
    }
    return false;
}

int64_t pl__end_changes(pl__completion *c, pl__packet *packet, int64_t result)
{
    PL__UNUSED(c);
    if (result >= 0)
        return packet->overlapped.Internal == STATUS_FOLDER_CLEANUP ? PL_ENOENT : result;
    if (packet->system_error == ERROR_NOTIFY_ENUM_DIR || packet->system_error == STATUS_FOLDER_LOST)
        return 0;
    return is_gone(packet->system_error) ? PL_ENOENT : result;
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

/* As listings have it, so that it is the name of the file. */
static void narrow(pl__changes *self, DWORD units)
{
    self->name[pl__utf8_put(self->name, self->units, units)] = '\0';
    for (char *place = self->name; *place; place++) {
        if (*place == '\\')
            *place = '/';
    }
}

/* The new name of what was renamed did not come: it has left. */
static void tell_half(pl__changes *self, pl__news *news)
{
    if (self->has_old)
        pl__news_tell(news, PL_WATCH_DELETED, self->old_name, NULL);
    self->has_old = false;
}

static void take_change(pl__changes *self, pl__news *news, DWORD action)
{
    bool is_renamed = self->has_old && action == FILE_ACTION_RENAMED_NEW_NAME;
    if (!is_renamed)
        tell_half(self, news);
    self->has_old = false;
    switch (action) {
    case FILE_ACTION_ADDED:
        pl__news_tell(news, PL_WATCH_CREATED, self->name, NULL);
        break;
    case FILE_ACTION_REMOVED:
        pl__news_tell(news, PL_WATCH_DELETED, self->name, NULL);
        break;
    case FILE_ACTION_MODIFIED:
        pl__news_tell(news, PL_WATCH_CHANGED, self->name, NULL);
        break;
    case FILE_ACTION_RENAMED_OLD_NAME:
        strcpy(self->old_name, self->name);
        self->has_old = true;
        break;
    case FILE_ACTION_RENAMED_NEW_NAME:
        if (is_renamed)
            pl__news_tell(news, PL_WATCH_RENAMED, self->name, self->old_name);
        else
            pl__news_tell(news, PL_WATCH_CREATED, self->name, NULL);
        break;
    default: /* streams of files, and what is yet to come */
        break;
    }
}

/* The records, wherever they lie: not every file system aligns them. One that is not whole ends it. */
static void take_changes(pl__changes *self, pl__news *news, const char *data, size_t size)
{
    const size_t head = offsetof(FILE_NOTIFY_INFORMATION, FileName);
    for (size_t at = 0;;) {
        FILE_NOTIFY_INFORMATION record;
        size_t room = size - at;
        if (room < head)
            break;
        memcpy(&record, data + at, head);
        if (record.FileNameLength > room - head)
            break;
        memcpy(self->units, data + at + head, record.FileNameLength);
        narrow(self, record.FileNameLength / (DWORD)sizeof(WCHAR));
        take_change(self, news, record.Action);
        if (record.NextEntryOffset == 0)
            return;
        if (record.NextEntryOffset < head || record.NextEntryOffset > room)
            break;
        at += record.NextEntryOffset;
    }
    news->lost = true;
}

int64_t pl__run_changes_read(pl__job *job)
{
    pl__changes *self = job->as.changes_read.system;
    pl__news *news = job->as.changes_read.news;
    if (job->as.changes_read.halves)
        tell_half(self, news);
    else
        take_changes(self, news, job->as.changes_read.data, job->as.changes_read.size);
    news->half = self->has_old;
    return 0;
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

int64_t pl__run_changes_open(pl__job *job)
{
    pl__job opening = {.kind = PL__FILE_OPEN};
    opening.as.file_open.path = job->as.changes_open.path;
    opening.as.file_open.flags = PL_FILE_READ; /* only who may list a folder is told what changes in it */
    int64_t result = pl__run_file_open(&opening);
    job->system_error = opening.system_error;
    if (result < 0)
        return result;
    pl__changes *self = NULL;
    if (opening.as.file_open.info.kind != PL_FILE_FOLDER)
        result = PL_ENOTDIR;
    else if (!(self = pl__allocate_zeroed(sizeof *self)))
        result = PL_ENOMEM;
    if (result < 0) {
        CloseHandle((HANDLE)opening.as.file_open.object);
        return result;
    }
    job->as.changes_open.object = opening.as.file_open.object;
    job->as.changes_open.system = self;
    return 0;
}

void pl__changes_destroy(pl__changes *changes)
{
    if (changes)
        pl__release(changes, sizeof *changes);
}
