/* file.c: files and folders, by calls that may take long, on workers.
 *
 * Paths are UTF-8, with either slash. Here they become full paths in UTF-16; one that is longer than MAX_PATH
 * gets the prefix \\?\ that lifts the limit (and switches off what GetFullPathNameW has done already).
 *
 * Files are opened overlapped, although a worker waits for each read: on a handle that is not, the system
 * lets one request at a time through, and readers of the same file, TransmitFile among them, would queue. An
 * overlapped handle has no file position, so every read says its offset.
 *
 * A name may be a device's (CON, NUL, \\.\pipe\x). It is opened like a file and told from one by its type;
 * such a thing can keep a reader waiting for ever, so reads are for files on a disk only.
 */
#include "system.h"

#include <stdlib.h>
#include <string.h>

#include "../allocator.h"
#include "../worker_pool.h"

enum {
    READ_MAX = 1 << 30,        /* bytes per call; a call counts in a DWORD */
    PREFIX_MAX = 8,            /* the longest of those below: \\?\UNC\ */
    LISTING_BUFFER = 64 << 10, /* bytes of entries per call */
    PATH_LENGTH_MAX = 32767    /* of the system */
};

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

/* --- Errors ------------------------------------------------------------------------------------------------------- */

static int64_t failed(pl__job *job, DWORD error)
{
    int result = pl__error_from_win32(error);
    job->system_error = (int32_t)error;
    return result == PL_ECANCELED ? PL_EIO : result; /* nobody here cancels: a driver gave up */
}

/* --- Paths -------------------------------------------------------------------------------------------------------- */

/* UTF-16 in allocated memory. */
typedef struct wide_path {
    WCHAR *text;
    size_t capacity; /* code units allocated */
    size_t length;
} wide_path;

static DWORD wide_path_allocate(wide_path *path, size_t capacity)
{
    path->text = pl__allocate(capacity * sizeof(WCHAR));
    path->capacity = capacity;
    path->length = 0;
    return path->text ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

static void wide_path_free(wide_path *path)
{
    if (path->text)
        pl__release(path->text, path->capacity * sizeof(WCHAR));
    path->text = NULL;
}

static DWORD wide_path_from_utf8(wide_path *path, const char *utf8)
{
    int size = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, -1, NULL, 0);
    if (size <= 0)
        return GetLastError();
    if (size == 1)
        return ERROR_PATH_NOT_FOUND;
    if (size > PATH_LENGTH_MAX)
        return ERROR_FILENAME_EXCED_RANGE;
    DWORD error = wide_path_allocate(path, (size_t)size);
    if (error == ERROR_SUCCESS &&
        MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, -1, path->text, size) != size)
        error = GetLastError();
    return error;
}

/* Puts the prefix before a full path that is too long without. */
static void lift_limit(wide_path *path)
{
    static const WCHAR local[] = L"\\\\?\\", share[] = L"\\\\?\\UNC\\";
    const WCHAR *text = path->text;
    if (path->length < MAX_PATH)
        return;
    bool is_share = text[0] == L'\\' && text[1] == L'\\';
    if (is_share && (text[2] == L'?' || text[2] == L'.') && text[3] == L'\\') /* it has one, or is a device */
        return;
    const WCHAR *prefix = is_share ? share : local;
    size_t prefix_length = wcslen(prefix), cut = is_share ? 2 : 0;
    memmove(path->text + prefix_length, path->text + cut, (path->length - cut + 1) * sizeof(WCHAR));
    memcpy(path->text, prefix, prefix_length * sizeof(WCHAR));
    path->length += prefix_length - cut;
}

/* The full path, every "." and ".." resolved. */
static DWORD wide_path_complete(wide_path *full, const wide_path *path)
{
    DWORD size = GetFullPathNameW(path->text, 0, NULL, NULL);
    DWORD error = size > 0 ? wide_path_allocate(full, (size_t)size + PREFIX_MAX) : GetLastError();
    if (error != ERROR_SUCCESS)
        return error;
    full->length = GetFullPathNameW(path->text, size, full->text, NULL);
    if (full->length == 0)
        return GetLastError();
    if (full->length >= size) /* another thread has changed the current folder */
        return ERROR_BAD_PATHNAME;
    lift_limit(full);
    return ERROR_SUCCESS;
}

/* On failure too, the path is to be freed. */
static DWORD wide_path_make(wide_path *full, const char *utf8)
{
    wide_path path = {0};
    *full = path;
    DWORD error = wide_path_from_utf8(&path, utf8);
    if (error == ERROR_SUCCESS)
        error = wide_path_complete(full, &path);
    wide_path_free(&path);
    return error;
}

/* --- What the system says of a file ------------------------------------------------------------------------------- */

/* From tenths of microseconds since 1601, as far as 64 bits of nanoseconds reach. */
static int64_t nanoseconds_of(int64_t ticks)
{
    const int64_t since_1970 = ticks - 116444736000000000;
    if (since_1970 > INT64_MAX / 100)
        return INT64_MAX;
    return since_1970 < INT64_MIN / 100 ? INT64_MIN : since_1970 * 100;
}

static int64_t join(DWORD high, DWORD low)
{
    return (int64_t)((uint64_t)high << 32 | low);
}

static void fill_info(pl_file_info *info, DWORD attributes, int64_t size, int64_t modified)
{
    memset(info, 0, sizeof *info);
    info->kind = attributes & FILE_ATTRIBUTE_DIRECTORY ? PL_FILE_FOLDER : PL_FILE_REGULAR;
    info->size = info->kind == PL_FILE_FOLDER ? 0 : size;
    info->modified = nanoseconds_of(modified);
}

static DWORD describe(HANDLE file, pl_file_info *info)
{
    BY_HANDLE_FILE_INFORMATION found;
    if (GetFileType(file) != FILE_TYPE_DISK) {
        memset(info, 0, sizeof *info);
        info->kind = PL_FILE_OTHER;
        return ERROR_SUCCESS;
    }
    if (!GetFileInformationByHandle(file, &found))
        return GetLastError();
    fill_info(info, found.dwFileAttributes, join(found.nFileSizeHigh, found.nFileSizeLow),
              join(found.ftLastWriteTime.dwHighDateTime, found.ftLastWriteTime.dwLowDateTime));
    return ERROR_SUCCESS;
}

/* Not to be inherited. FILE_FLAG_BACKUP_SEMANTICS: folders too. */
static HANDLE open_existing(const wide_path *path, DWORD access)
{
    return CreateFileW(path->text, access, SHARE_ALL, NULL, OPEN_EXISTING,
                       FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OVERLAPPED, NULL);
}

static DWORD stat_wide(const wide_path *path, pl_file_info *info)
{
    HANDLE file = open_existing(path, FILE_READ_ATTRIBUTES);
    if (file == INVALID_HANDLE_VALUE)
        return GetLastError();
    DWORD error = describe(file, info);
    CloseHandle(file);
    return error;
}

int64_t pl__run_file_stat(pl__job *job)
{
    wide_path path;
    DWORD error = wide_path_make(&path, job->as.file_stat.path);
    if (error == ERROR_SUCCESS)
        error = stat_wide(&path, &job->as.file_stat.info);
    wide_path_free(&path);
    return error == ERROR_SUCCESS ? 0 : failed(job, error);
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

/* The path by which the system knows an open file, every link followed, in the kernel's own names: those of
 * volumes without a letter included. */
static DWORD real_path(HANDLE file, wide_path *path)
{
    const DWORD flags = FILE_NAME_NORMALIZED | VOLUME_NAME_NT;
    DWORD size = GetFinalPathNameByHandleW(file, NULL, 0, flags);
    DWORD error = size > 0 ? wide_path_allocate(path, (size_t)size + 1) : GetLastError();
    if (error != ERROR_SUCCESS)
        return error;
    path->length = GetFinalPathNameByHandleW(file, path->text, (DWORD)path->capacity, flags);
    if (path->length == 0)
        return GetLastError();
    return path->length < path->capacity ? ERROR_SUCCESS : ERROR_ACCESS_DENIED; /* renamed meanwhile */
}

static DWORD real_path_of_folder(const char *folder, wide_path *real)
{
    wide_path path;
    DWORD error = wide_path_make(&path, folder);
    if (error == ERROR_SUCCESS) {
        HANDLE file = open_existing(&path, FILE_READ_ATTRIBUTES);
        error = file == INVALID_HANDLE_VALUE ? GetLastError() : real_path(file, real);
        if (file != INVALID_HANDLE_VALUE)
            CloseHandle(file);
    }
    wide_path_free(&path);
    return error;
}

/* The folder itself, or something in it. */
static bool lies_in(const wide_path *path, const wide_path *folder)
{
    size_t length = folder->length;
    if (length > 0 && folder->text[length - 1] == L'\\') /* the root of a volume */
        length--;
    return path->length >= length &&
           CompareStringOrdinal(path->text, (int)length, folder->text, (int)length, TRUE) == CSTR_EQUAL &&
           (path->text[length] == L'\\' || path->text[length] == L'\0');
}

static DWORD check_beneath(HANDLE file, const char *beneath)
{
    wide_path path = {0}, folder = {0};
    DWORD error = GetFileType(file) == FILE_TYPE_DISK ? ERROR_SUCCESS : ERROR_ACCESS_DENIED;
    if (error == ERROR_SUCCESS)
        error = real_path_of_folder(beneath, &folder);
    if (error == ERROR_SUCCESS)
        error = real_path(file, &path);
    if (error == ERROR_SUCCESS && !lies_in(&path, &folder))
        error = ERROR_ACCESS_DENIED;
    wide_path_free(&path);
    wide_path_free(&folder);
    return error;
}

/* Of a full path: no device, whose opening alone can have effects, and no stream of a file
 * ("page.php::$DATA"), which would pass by whoever looks at the name. The only colon is the drive's. */
static bool is_plain(const wide_path *path)
{
    const WCHAR *text = path->text;
    if (wcsncmp(text, L"\\\\.\\", 4) == 0)
        return false;
    if (wcsncmp(text, L"\\\\?\\", 4) == 0)
        text += 4;
    const WCHAR *colon = wcschr(text, L':');
    return !colon || (colon == text + 1 && !wcschr(colon + 1, L':'));
}

static DWORD open_file(const wide_path *path, pl__job *job)
{
    const char *beneath = job->as.file_open.beneath;
    if (beneath && !is_plain(path))
        return ERROR_ACCESS_DENIED;
    HANDLE file = open_existing(path, GENERIC_READ);
    if (file == INVALID_HANDLE_VALUE)
        return GetLastError();
    DWORD error = beneath ? check_beneath(file, beneath) : ERROR_SUCCESS;
    if (error == ERROR_SUCCESS)
        error = describe(file, &job->as.file_open.info);
    if (error == ERROR_SUCCESS)
        job->as.file_open.object = (uintptr_t)file;
    else
        CloseHandle(file);
    return error;
}

int64_t pl__run_file_open(pl__job *job)
{
    wide_path path;
    DWORD error = wide_path_make(&path, job->as.file_open.path);
    if (error == ERROR_SUCCESS)
        error = open_file(&path, job);
    wide_path_free(&path);
    return error == ERROR_SUCCESS ? 0 : failed(job, error);
}

/* --- Reading and closing ------------------------------------------------------------------------------------------ */

/* One call, and the wait for it. */
static DWORD read_once(HANDLE file, HANDLE event, char *data, DWORD size, int64_t offset, DWORD *bytes)
{
    OVERLAPPED overlapped = {0};
    overlapped.Offset = (DWORD)(offset & UINT32_MAX);
    overlapped.OffsetHigh = (DWORD)(offset >> 32);
    overlapped.hEvent = event;
    *bytes = 0;
    if (!ReadFile(file, data, size, NULL, &overlapped) && GetLastError() != ERROR_IO_PENDING)
        return GetLastError();
    return GetOverlappedResult(file, &overlapped, bytes, TRUE) ? ERROR_SUCCESS : GetLastError();
}

/* Reads until the end; *done tells how far it came, also on failure. */
static DWORD read_all(HANDLE file, HANDLE event, pl__job *job, size_t *done)
{
    char *data = job->as.file_read.data;
    size_t size = job->as.file_read.size;
    while (*done < size) {
        size_t left = size - *done;
        DWORD bytes, error = read_once(file, event, data + *done, (DWORD)(left < READ_MAX ? left : READ_MAX),
                                       job->as.file_read.offset + (int64_t)*done, &bytes);
        if (error != ERROR_SUCCESS)
            return error == ERROR_HANDLE_EOF ? ERROR_SUCCESS : error;
        if (bytes == 0)
            break;
        *done += bytes;
    }
    return ERROR_SUCCESS;
}

static bool is_folder(HANDLE file)
{
    pl_file_info info;
    return describe(file, &info) == ERROR_SUCCESS && info.kind == PL_FILE_FOLDER;
}

int64_t pl__run_file_read(pl__job *job)
{
    HANDLE file = (HANDLE)job->as.file_read.object;
    size_t done = 0;
    if (job->as.file_read.offset < 0)
        return PL_EINVAL;
    if (GetFileType(file) != FILE_TYPE_DISK)
        return PL_ENOTSUP;
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!event)
        return failed(job, GetLastError());
    DWORD error = read_all(file, event, job, &done);
    CloseHandle(event);
    if (error == ERROR_SUCCESS)
        return (int64_t)done;
    int64_t result = failed(job, error);
    return is_folder(file) ? PL_EISDIR : result;
}

int64_t pl__run_file_close(pl__job *job)
{
    return CloseHandle((HANDLE)job->as.file_close.object) ? 0 : failed(job, GetLastError());
}

/* --- Folders ------------------------------------------------------------------------------------------------------ */

typedef struct listing {
    pl_folder_entry *entries;
    size_t count;
    size_t capacity;
} listing;

static void listing_free(listing *list)
{
    for (size_t i = 0; i < list->count; i++)
        pl__release(list->entries[i].name, strlen(list->entries[i].name) + 1);
    pl__release(list->entries, list->capacity * sizeof *list->entries);
}

static DWORD listing_grow(listing *list)
{
    size_t capacity = list->capacity ? list->capacity * 2 : 32;
    pl_folder_entry *entries =
        pl__reallocate(list->entries, list->capacity * sizeof *entries, capacity * sizeof *entries);
    if (!entries)
        return ERROR_NOT_ENOUGH_MEMORY;
    list->entries = entries;
    list->capacity = capacity;
    return ERROR_SUCCESS;
}

/* The entry's name as UTF-8; what no UTF-16 may hold becomes U+FFFD. NULL: out of memory. */
static char *narrow(const WCHAR *name, int length)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, name, length, NULL, 0, NULL, NULL);
    char *text = size > 0 ? pl__allocate((size_t)size + 1) : NULL;
    if (text)
        text[WideCharToMultiByte(CP_UTF8, 0, name, length, text, size, NULL, NULL)] = '\0';
    return text;
}

static bool is_dots(const FILE_ID_BOTH_DIR_INFO *found)
{
    size_t length = found->FileNameLength / sizeof(WCHAR);
    return length <= 2 && found->FileName[0] == L'.' && found->FileName[length - 1] == L'.';
}

/* Symbolic links, junctions and whatever else stands for another name; the tag lies where others have the
 * size of their extended attributes. Files that are compressed or kept in a cloud are reparse points too, and
 * no links. */
static bool is_link(const FILE_ID_BOTH_DIR_INFO *found)
{
    return (found->FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 && IsReparseTagNameSurrogate(found->EaSize);
}

static DWORD listing_add(listing *list, const FILE_ID_BOTH_DIR_INFO *found)
{
    if (is_dots(found))
        return ERROR_SUCCESS;
    if (list->count == list->capacity && listing_grow(list) != ERROR_SUCCESS)
        return ERROR_NOT_ENOUGH_MEMORY;
    pl_folder_entry *entry = &list->entries[list->count];
    entry->name = narrow(found->FileName, (int)(found->FileNameLength / sizeof(WCHAR)));
    if (!entry->name)
        return ERROR_NOT_ENOUGH_MEMORY;
    list->count++;
    fill_info(&entry->info, found->FileAttributes, found->EndOfFile.QuadPart, found->LastWriteTime.QuadPart);
    if (is_link(found))
        entry->info.kind = PL_FILE_LINK;
    return ERROR_SUCCESS;
}

/* One buffer full of entries, each at some distance from the one before. */
static DWORD listing_add_all(listing *list, const char *buffer)
{
    for (size_t offset = 0;;) {
        const FILE_ID_BOTH_DIR_INFO *found = (const FILE_ID_BOTH_DIR_INFO *)(const void *)(buffer + offset);
        DWORD error = listing_add(list, found);
        if (error != ERROR_SUCCESS || found->NextEntryOffset == 0)
            return error;
        offset += found->NextEntryOffset;
        PL__CHECK(offset < LISTING_BUFFER);
    }
}

static DWORD list_folder(HANDLE folder, listing *list)
{
    char *buffer = pl__allocate(LISTING_BUFFER);
    DWORD error = buffer ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
    while (error == ERROR_SUCCESS) {
        if (GetFileInformationByHandleEx(folder, FileIdBothDirectoryInfo, buffer, LISTING_BUFFER))
            error = listing_add_all(list, buffer);
        else
            error = GetLastError();
    }
    if (buffer)
        pl__release(buffer, LISTING_BUFFER);
    /* FILE_NOT_FOUND: the root of a volume, which has no dots, and nothing else in it */
    return error == ERROR_NO_MORE_FILES || error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
}

/* Opens the folder once more: how far it was listed is a property of the open folder, and two may list it at
 * a time. */
static DWORD list_reopened(HANDLE folder, listing *list)
{
    if (!is_folder(folder))
        return ERROR_DIRECTORY;
    HANDLE again = ReOpenFile(folder, FILE_LIST_DIRECTORY, SHARE_ALL, FILE_FLAG_BACKUP_SEMANTICS);
    if (again == INVALID_HANDLE_VALUE)
        return GetLastError();
    DWORD error = list_folder(again, list);
    CloseHandle(again);
    return error;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const pl_folder_entry *)left)->name, ((const pl_folder_entry *)right)->name);
}

int64_t pl__run_folder_list(pl__job *job)
{
    listing list = {0};
    DWORD error = list_reopened((HANDLE)job->as.folder_list.object, &list);
    if (error != ERROR_SUCCESS) {
        listing_free(&list);
        return failed(job, error);
    }
    if (list.count > 1)
        qsort(list.entries, list.count, sizeof *list.entries, by_name);
    job->as.folder_list.entries = list.entries;
    job->as.folder_list.count = list.count;
    job->as.folder_list.capacity = list.capacity;
    return (int64_t)list.count;
}
