/* file.c: files: reads and writes through the port, the rest by calls that may take long, on workers.
 *
 * Files are opened overlapped: on a handle that is not, the system lets one request at a time through, and readers of the
 * same file, TransmitFile among them, would queue. An overlapped handle has no file position, so every request says its
 * offset. A worker that makes such a request waits for an event of its own, whose handle has its lowest bit set: then no
 * packet goes to the port that the file belongs to.
 *
 * A name may be a device's (CON, NUL, \\.\pipe\x). It is opened like a file and told from one by its type;
 * such a thing can keep a reader waiting for ever, so reads are for files on a disk only.
 */
#include "path.h"

#include <string.h>

#include "../allocator.h"

enum { TRANSFER_MAX = 1 << 30 /* bytes per call; a call counts in a DWORD */ };

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static DWORD real_path_of_folder(const pl__wide_path *path, pl__wide_path *real)
{
    HANDLE file = pl__open_existing(path, FILE_READ_ATTRIBUTES, true);
    if (file == INVALID_HANDLE_VALUE)
        return GetLastError();
    DWORD error = pl__real_path(file, VOLUME_NAME_NT, real);
    CloseHandle(file);
    return error;
}

/* The folder itself, or something in it. */
static bool lies_in(const pl__wide_path *path, const pl__wide_path *folder)
{
    size_t length = folder->length;
    if (length > 0 && folder->text[length - 1] == L'\\') /* the root of a volume */
        length--;
    return path->length >= length &&
           CompareStringOrdinal(path->text, (int)length, folder->text, (int)length, TRUE) == CSTR_EQUAL &&
           (path->text[length] == L'\\' || path->text[length] == L'\0');
}

/* Whether an open file lies in the folder of that name. */
static DWORD check_beneath(HANDLE file, const char *beneath)
{
    pl__wide_path name = {0}, path = {0}, folder = {0};
    DWORD error = GetFileType(file) == FILE_TYPE_DISK ? pl__wide_path_make(&name, beneath) : ERROR_ACCESS_DENIED;
    if (error == ERROR_SUCCESS)
        error = real_path_of_folder(&name, &folder);
    if (error == ERROR_SUCCESS)
        error = pl__real_path(file, VOLUME_NAME_NT, &path);
    if (error == ERROR_SUCCESS && !lies_in(&path, &folder))
        error = ERROR_ACCESS_DENIED;
    pl__wide_path_free(&name);
    pl__wide_path_free(&path);
    pl__wide_path_free(&folder);
    return error;
}

/* "server\share\...", of the shares that hold files. */
static bool is_on_share(const WCHAR *text)
{
    const WCHAR *slash = wcschr(text, L'\\'), *share = slash ? slash + 1 : L"";
    size_t length = wcscspn(share, L"\\");
    bool is_pipes = length == 4 && _wcsnicmp(share, L"pipe", length) == 0;
    bool is_mailslots = length == 8 && _wcsnicmp(share, L"mailslot", length) == 0;
    return length > 0 && !is_pipes && !is_mailslots && !wcschr(text, L':');
}

/* Of a full path: no device, whose opening alone can have effects, and no stream of a file
 * ("page.php::$DATA"), which would pass by whoever looks at the name. The only colon is the drive's. Behind the prefix that
 * takes a path as it is there may be anything that the system has a name for. */
static bool is_plain(const pl__wide_path *path)
{
    const WCHAR *text = path->text;
    if (wcsncmp(text, L"\\\\?\\", 4) == 0) {
        text += 4;
        if (_wcsnicmp(text, L"UNC\\", 4) == 0)
            return is_on_share(text + 4);
        if (_wcsnicmp(text, L"Volume{", 7) == 0)
            return wcsstr(text, L"}\\") && !wcschr(text, L':');
    } else if (text[0] == L'\\' && text[1] == L'\\') {
        return wcsncmp(text, L"\\\\.\\", 4) != 0 && is_on_share(text + 2);
    }
    return text[0] != L'\0' && text[1] == L':' && text[2] == L'\\' && !wcschr(text + 2, L':');
}

static DWORD access_of(const pl__job *job)
{
    uint32_t flags = job->as.file_open.flags;
    DWORD access = flags & PL_FILE_READ ? GENERIC_READ : 0;
    if ((flags & PL_FILE_WRITE) || ((flags & PL_FILE_APPEND) && (flags & PL_FILE_TRUNCATE)))
        access |= GENERIC_WRITE;
    else if (flags & PL_FILE_APPEND)
        access |= FILE_GENERIC_WRITE & ~(DWORD)FILE_WRITE_DATA; /* then every write goes to the end */
    return access | (job->as.file_open.unnamed ? DELETE : 0);
}

static DWORD share_of(uint32_t share)
{
    if (share == 0)
        return SHARE_ALL;
    return (share & PL_FILE_SHARE_READ ? FILE_SHARE_READ : 0) | (share & PL_FILE_SHARE_WRITE ? FILE_SHARE_WRITE : 0) |
           (share & PL_FILE_SHARE_DELETE ? FILE_SHARE_DELETE : 0);
}

/* FILE_FLAG_BACKUP_SEMANTICS: folders too. What is made anew follows no link. */
static DWORD attributes_of(const pl__job *job, DWORD disposition)
{
    DWORD flags = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED;
    if (disposition == CREATE_NEW)
        flags |= FILE_FLAG_OPEN_REPARSE_POINT;
    if (job->as.file_open.unnamed)
        return flags | FILE_FLAG_DELETE_ON_CLOSE | FILE_ATTRIBUTE_TEMPORARY;
    return flags | (disposition != OPEN_EXISTING && !(job->as.file_open.mode & 0200) ? FILE_ATTRIBUTE_READONLY
                                                                                     : FILE_ATTRIBUTE_NORMAL);
}

static DWORD create(const pl__wide_path *path, const pl__job *job, DWORD disposition, HANDLE *file)
{
    *file = CreateFileW(path->text, access_of(job), share_of(job->as.file_open.share), NULL, disposition,
                        attributes_of(job, disposition), NULL);
    return *file == INVALID_HANDLE_VALUE ? GetLastError() : ERROR_SUCCESS;
}

/* Makes a new file in a folder that lies beneath the other, and that nobody can rename meanwhile. */
static DWORD create_beneath(const pl__wide_path *path, const pl__job *job, HANDLE *file)
{
    const WCHAR *slash = wcsrchr(path->text, L'\\');
    size_t length = slash ? (size_t)(slash - path->text) + 1 : 0;
    pl__wide_path parent = {0};
    DWORD error = length > 0 ? pl__wide_path_allocate(&parent, length + 1) : ERROR_ACCESS_DENIED;
    if (error == ERROR_SUCCESS) {
        memcpy(parent.text, path->text, length * sizeof(WCHAR));
        parent.text[length] = L'\0';
        HANDLE folder =
            CreateFileW(parent.text, FILE_READ_ATTRIBUTES | FILE_LIST_DIRECTORY, FILE_SHARE_READ | FILE_SHARE_WRITE,
                        NULL, OPEN_EXISTING, FILE_FLAG_BACKUP_SEMANTICS, NULL);
        error = folder == INVALID_HANDLE_VALUE ? GetLastError() : check_beneath(folder, job->as.file_open.beneath);
        if (error == ERROR_SUCCESS)
            error = create(path, job, CREATE_NEW, file);
        if (folder != INVALID_HANDLE_VALUE)
            CloseHandle(folder);
    }
    pl__wide_path_free(&parent);
    return error;
}

/* What is there is opened and then asked where it is; what is not there is made where it may be. */
static DWORD open_beneath(const pl__wide_path *path, const pl__job *job, HANDLE *file)
{
    uint32_t flags = job->as.file_open.flags;
    if (!is_plain(path))
        return ERROR_ACCESS_DENIED;
    DWORD error = flags & PL_FILE_EXCLUSIVE ? ERROR_FILE_NOT_FOUND : create(path, job, OPEN_EXISTING, file);
    if (error == ERROR_FILE_NOT_FOUND && (flags & PL_FILE_CREATE))
        error = create_beneath(path, job, file);
    if (error != ERROR_SUCCESS)
        return error;
    error = check_beneath(*file, job->as.file_open.beneath);
    if (error != ERROR_SUCCESS)
        CloseHandle(*file);
    return error;
}

static DWORD open_as_asked(const pl__wide_path *path, const pl__job *job, HANDLE *file)
{
    uint32_t flags = job->as.file_open.flags;
    if (job->as.file_open.beneath)
        return open_beneath(path, job, file);
    return create(path, job,
                  flags & PL_FILE_EXCLUSIVE ? CREATE_NEW
                  : flags & PL_FILE_CREATE  ? OPEN_ALWAYS
                                            : OPEN_EXISTING,
                  file);
}

static DWORD resize(HANDLE file, int64_t size)
{
    FILE_END_OF_FILE_INFO end;
    end.EndOfFile.QuadPart = size;
    return SetFileInformationByHandle(file, FileEndOfFileInfo, &end, sizeof end) ? ERROR_SUCCESS : GetLastError();
}

/* Of a file just opened: what it is, and that it may be so. */
static DWORD look_and_cut(HANDLE file, pl__job *job)
{
    pl_file_info *info = &job->as.file_open.info;
    DWORD error = pl__info_of_handle(file, info);
    bool writes = (job->as.file_open.flags & (PL_FILE_WRITE | PL_FILE_APPEND)) != 0;
    if (error == ERROR_SUCCESS && writes && info->kind == PL_FILE_FOLDER)
        return ERROR_DIRECTORY_NOT_SUPPORTED;
    if (error != ERROR_SUCCESS || !(job->as.file_open.flags & PL_FILE_TRUNCATE) || info->kind != PL_FILE_REGULAR ||
        info->size == 0)
        return error;
    error = resize(file, 0);
    return error == ERROR_SUCCESS ? pl__info_of_handle(file, info) : error;
}

static DWORD open_file(const pl__wide_path *path, pl__job *job)
{
    HANDLE file;
    DWORD error = open_as_asked(path, job, &file);
    if (error != ERROR_SUCCESS)
        return error;
    error = look_and_cut(file, job);
    if (error == ERROR_SUCCESS)
        job->as.file_open.object = (uintptr_t)file;
    else
        CloseHandle(file);
    return error;
}

int64_t pl__run_file_open(pl__job *job)
{
    pl__wide_path path;
    DWORD error = pl__wide_path_make(&path, job->as.file_open.path);
    if (error == ERROR_SUCCESS)
        error = open_file(&path, job);
    pl__wide_path_free(&path);
    return error == ERROR_SUCCESS ? 0 : pl__job_failed(job, error);
}

int64_t pl__run_file_create(pl__job *job)
{
    return pl__run_file_open(job);
}

int64_t pl__run_file_close(pl__job *job)
{
    return CloseHandle((HANDLE)job->as.file.object) ? 0 : pl__job_failed(job, GetLastError());
}

/* --- Reading and writing through the port ------------------------------------------------------------------------- */

static void set_offset(OVERLAPPED *overlapped, int64_t offset)
{
    overlapped->Offset = (DWORD)(offset & UINT32_MAX);
    overlapped->OffsetHigh = (DWORD)((uint64_t)offset >> 32);
}

static DWORD limited(size_t size)
{
    return (DWORD)(size < TRANSFER_MAX ? size : TRANSFER_MAX);
}

bool pl__begin_file_read(pl__completion *c, pl__packet *packet)
{
    set_offset(&packet->overlapped, c->as.file_read.offset);
    bool accepted = ReadFile((HANDLE)c->handle->object, c->as.file_read.data, limited(c->as.file_read.size), NULL,
                             &packet->overlapped) != 0;
    return pl__packet_follows(c->handle, packet, accepted, (DWORD)packet->overlapped.InternalHigh);
}

/* An abort that came twice, and that nobody asked for, is a disk's trouble. */
static int64_t name_abort(const pl__completion *c, const pl__packet *packet, int64_t result)
{
    return result == PL_ECANCELED && c->state != PL__CANCELLING && packet->repeated ? PL_EIO : result;
}

int64_t pl__end_file_read(pl__completion *c, pl__packet *packet, int64_t result)
{
    if (result != PL_EOF)
        return name_abort(c, packet, result);
    packet->system_error = 0;
    return 0;
}

bool pl__begin_file_write(pl__completion *c, pl__packet *packet)
{
    set_offset(&packet->overlapped, c->as.file_write.offset);
    bool accepted = WriteFile((HANDLE)c->handle->object, c->as.file_write.data, limited(c->as.file_write.size), NULL,
                              &packet->overlapped) != 0;
    return pl__packet_follows(c->handle, packet, accepted, (DWORD)packet->overlapped.InternalHigh);
}

int64_t pl__end_file_write(pl__completion *c, pl__packet *packet, int64_t result)
{
    return name_abort(c, packet, result);
}

/* --- Reading and writing on a worker ------------------------------------------------------------------------------ */

/* The event, marked: no packet for the port. */
static HANDLE marked(HANDLE event)
{
    return (HANDLE)((uintptr_t)event | 1);
}

static DWORD wait_for(HANDLE file, OVERLAPPED *overlapped, bool accepted, DWORD *bytes)
{
    *bytes = 0;
    if (!accepted && GetLastError() != ERROR_IO_PENDING)
        return GetLastError();
    return GetOverlappedResult(file, overlapped, bytes, TRUE) ? ERROR_SUCCESS : GetLastError();
}

DWORD pl__read_once(HANDLE file, HANDLE event, void *data, DWORD size, int64_t offset, DWORD *bytes)
{
    OVERLAPPED overlapped = {.hEvent = marked(event)};
    set_offset(&overlapped, offset);
    bool accepted = ReadFile(file, data, size, NULL, &overlapped) != 0;
    DWORD error = wait_for(file, &overlapped, accepted, bytes);
    return error == ERROR_HANDLE_EOF ? ERROR_SUCCESS : error; /* no bytes */
}

DWORD pl__write_once(HANDLE file, HANDLE event, const void *data, DWORD size, int64_t offset, DWORD *bytes)
{
    OVERLAPPED overlapped = {.hEvent = marked(event)};
    set_offset(&overlapped, offset); /* -1: at the end */
    bool accepted = WriteFile(file, data, size, NULL, &overlapped) != 0;
    return wait_for(file, &overlapped, accepted, bytes);
}

static DWORD extend(pl__job *job, HANDLE event)
{
    while (job->as.file_extend.done < job->as.file_extend.size) {
        size_t done = job->as.file_extend.done;
        int64_t offset = job->as.file_extend.offset < 0 ? -1 : job->as.file_extend.offset + (int64_t)done;
        DWORD bytes, error = pl__write_once((HANDLE)job->as.file_extend.object, event, job->as.file_extend.data + done,
                                            limited(job->as.file_extend.size - done), offset, &bytes);
        job->as.file_extend.done += bytes;
        if (error != ERROR_SUCCESS || bytes == 0)
            return error != ERROR_SUCCESS ? error : ERROR_WRITE_FAULT;
    }
    return ERROR_SUCCESS;
}

int64_t pl__run_file_extend(pl__job *job)
{
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!event)
        return pl__job_failed(job, GetLastError());
    DWORD error = extend(job, event);
    CloseHandle(event);
    return error == ERROR_SUCCESS ? 0 : pl__job_failed(job, error);
}

/* --- Other calls on an open file ---------------------------------------------------------------------------------- */

int64_t pl__run_file_look(pl__job *job)
{
    DWORD error = pl__info_of_handle((HANDLE)job->as.file.object, &job->as.file.info);
    return error == ERROR_SUCCESS ? 0 : pl__job_failed(job, error);
}

int64_t pl__run_file_flush(pl__job *job)
{
    return FlushFileBuffers((HANDLE)job->as.file.object) ? 0 : pl__job_failed(job, GetLastError());
}

int64_t pl__run_file_resize(pl__job *job)
{
    DWORD error = resize((HANDLE)job->as.file.object, job->as.file.size);
    return error == ERROR_SUCCESS ? 0 : pl__job_failed(job, error);
}

/* NULL: it stays as it is. False: the system has no such time. */
static bool time_for(int64_t time, FILETIME *space, const FILETIME **used)
{
    int64_t ticks;
    *used = NULL;
    if (time == PL_TIME_KEEP)
        return true;
    if (!pl__time_to_ticks(time, &ticks))
        return false;
    space->dwLowDateTime = (DWORD)(ticks & UINT32_MAX);
    space->dwHighDateTime = (DWORD)(ticks >> 32);
    *used = space;
    return true;
}

int64_t pl__run_file_times(pl__job *job)
{
    FILETIME accessed_space, modified_space;
    const FILETIME *accessed, *modified;
    if (!time_for(job->as.file.accessed, &accessed_space, &accessed) ||
        !time_for(job->as.file.modified, &modified_space, &modified))
        return pl__job_failed(job, ERROR_INVALID_PARAMETER);
    return SetFileTime((HANDLE)job->as.file.object, NULL, accessed, modified) ? 0 : pl__job_failed(job, GetLastError());
}
