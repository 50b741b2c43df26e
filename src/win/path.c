/* path.c: paths and names, on workers.
 *
 * Paths are UTF-8, with either slash. Here they become full paths in UTF-16; one that is longer than MAX_PATH allows, for
 * a new folder too, gets the prefix \\?\ that lifts the limit (and switches off what GetFullPathNameW has done already). A
 * name of the file system is any sequence of 16-bit units, not always UTF-16: a surrogate without its other half is written
 * in three bytes, as a character of that number would be (WTF-8), so that every name has a form and comes back as itself.
 *
 * Renaming and removing go by an open handle, with the semantics of POSIX where the file system has them: who has the file
 * open keeps it, and the name is free at once. Systems and file systems that do not know them say so, in various
 * codes, and get the old calls.
 */
#include "path.h"

#include <string.h>
#include <winioctl.h>

#include "../allocator.h"

enum {
    PREFIX_MAX = 8,         /* the longest of those below: \\?\UNC\ */
    FOLDER_NAME_ROOM = 12,  /* of MAX_PATH: in a new folder there is to be room for a short name */
    PATH_LENGTH_MAX = 32767 /* of the system */
};

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

/* What some headers lack. */
enum {
    DISPOSITION_INFO_EX = 21,
    RENAME_INFO_EX = 22,
    DISPOSITION_DELETE = 1,
    DISPOSITION_POSIX = 2,
    DISPOSITION_IGNORE_READONLY = 0x10,
    RENAME_REPLACE = 1,
    RENAME_POSIX = 2,
    RENAME_IGNORE_READONLY = 0x40,
    LINK_UNPRIVILEGED = 2,
    LINK_FOLDER = 1,
    REPARSE_SIZE = 16 * 1024
};

#define TAG_SYMLINK     0xA000000CUL
#define TAG_MOUNT_POINT 0xA0000003UL

int64_t pl__job_failed(pl__job *job, DWORD error)
{
    int result = pl__error_from_win32(error);
    job->system_error = (int32_t)error;
    return result == PL_ECANCELED ? PL_EIO : result; /* nobody here cancels: a driver gave up */
}

bool pl__is_separator(char character)
{
    return character == '/' || character == '\\';
}

/* --- UTF-8 and UTF-16 --------------------------------------------------------------------------------------------- */

static bool is_lead(uint32_t unit)
{
    return unit >= 0xD800 && unit <= 0xDBFF;
}

static bool is_trail(uint32_t unit)
{
    return unit >= 0xDC00 && unit <= 0xDFFF;
}

/* The character at *place, which is moved behind it; UINT32_MAX: it is none. The shortest form only. */
static uint32_t next_character(const unsigned char **place)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    const unsigned char *p = *place;
    int more = *p < 0x80 ? 0 : (*p & 0xE0) == 0xC0 ? 1 : (*p & 0xF0) == 0xE0 ? 2 : (*p & 0xF8) == 0xF0 ? 3 : -1;
    if (more < 0)
        return UINT32_MAX;
    uint32_t character = more ? *p & (0x3FU >> more) : *p;
    for (int i = 1; i <= more; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return UINT32_MAX;
        character = character << 6 | (p[i] & 0x3FU);
    }
    *place = p + more + 1;
    return character < least[more] || character > 0x10FFFF ? UINT32_MAX : character;
}

/* Into room for as many units as there are bytes. */
DWORD pl__wide_path_from_utf8(pl__wide_path *path, const char *utf8)
{
    size_t size = strlen(utf8);
    *path = (pl__wide_path){0};
    if (size == 0)
        return ERROR_PATH_NOT_FOUND;
    DWORD error = size / 3 > PATH_LENGTH_MAX ? ERROR_FILENAME_EXCED_RANGE : pl__wide_path_allocate(path, size + 1);
    const unsigned char *place = (const unsigned char *)utf8;
    for (bool after_lead = false; error == ERROR_SUCCESS && *place;) {
        uint32_t character = next_character(&place);
        if (character == UINT32_MAX || (after_lead && is_trail(character))) /* a pair has a form of its own */
            return ERROR_NO_UNICODE_TRANSLATION;
        after_lead = is_lead(character);
        if (character > 0xFFFF) {
            path->text[path->length++] = (WCHAR)(0xD800 + ((character - 0x10000) >> 10));
            character = 0xDC00 + ((character - 0x10000) & 0x3FF);
        }
        path->text[path->length++] = (WCHAR)character;
    }
    if (error == ERROR_SUCCESS)
        path->text[path->length] = L'\0';
    return path->length > PATH_LENGTH_MAX ? ERROR_FILENAME_EXCED_RANGE : error;
}

/* Writes its bytes, if there is a place for them; how many. */
static size_t put_character(char *place, uint32_t character)
{
    int more = character < 0x80 ? 0 : character < 0x800 ? 1 : character < 0x10000 ? 2 : 3;
    static const unsigned char marks[] = {0, 0xC0, 0xE0, 0xF0};
    if (place) {
        place[0] = (char)(unsigned char)(marks[more] | character >> (6 * more));
        for (int i = 1; i <= more; i++)
            place[i] = (char)(unsigned char)(0x80 | (character >> (6 * (more - i)) & 0x3F));
    }
    return (size_t)more + 1;
}

size_t pl__utf8_put(char *place, const WCHAR *text, size_t length)
{
    size_t size = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t character = text[i];
        if (is_lead(character) && i + 1 < length && is_trail(text[i + 1]))
            character = 0x10000 + ((character - 0xD800) << 10) + (uint32_t)(text[++i] - 0xDC00);
        size += put_character(place ? place + size : NULL, character);
    }
    return size;
}

char *pl__utf8_from_wide(const WCHAR *text, size_t length, size_t *size)
{
    length = wcsnlen(text, length);
    *size = pl__utf8_put(NULL, text, length);
    char *utf8 = pl__allocate(*size + 1);
    if (utf8)
        utf8[pl__utf8_put(utf8, text, length)] = '\0';
    return utf8;
}

/* --- Full paths --------------------------------------------------------------------------------------------------- */

DWORD pl__wide_path_allocate(pl__wide_path *path, size_t capacity)
{
    path->text = pl__allocate(capacity * sizeof(WCHAR));
    path->capacity = capacity;
    path->length = 0;
    return path->text ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
}

void pl__wide_path_free(pl__wide_path *path)
{
    if (path->text)
        pl__release(path->text, path->capacity * sizeof(WCHAR));
    path->text = NULL;
}

/* Puts the prefix before a full path that is too long without. */
static void lift_limit(pl__wide_path *path)
{
    static const WCHAR local[] = L"\\\\?\\", share[] = L"\\\\?\\UNC\\";
    const WCHAR *text = path->text;
    if (path->length < MAX_PATH - FOLDER_NAME_ROOM)
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
static DWORD wide_path_complete(pl__wide_path *full, const pl__wide_path *path)
{
    DWORD size = GetFullPathNameW(path->text, 0, NULL, NULL);
    DWORD error = size > 0 ? pl__wide_path_allocate(full, (size_t)size + PREFIX_MAX) : GetLastError();
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

DWORD pl__wide_path_make(pl__wide_path *full, const char *utf8)
{
    pl__wide_path path = {0};
    *full = path;
    DWORD error = pl__wide_path_from_utf8(&path, utf8);
    if (error == ERROR_SUCCESS)
        error = wide_path_complete(full, &path);
    pl__wide_path_free(&path);
    return error;
}

/* --- What the system says of a file ------------------------------------------------------------------------------- */

#define TICKS_TO_1970 116444736000000000

int64_t pl__time_from_ticks(int64_t ticks)
{
    const int64_t since_1970 = ticks - TICKS_TO_1970;
    if (since_1970 > INT64_MAX / 100)
        return INT64_MAX;
    return since_1970 < INT64_MIN / 100 ? INT64_MIN : since_1970 * 100;
}

/* Rounded down. */
bool pl__time_to_ticks(int64_t time, int64_t *ticks)
{
    *ticks = time / 100 - (time % 100 < 0) + TICKS_TO_1970;
    return *ticks > 0;
}

static int64_t join(DWORD high, DWORD low)
{
    return (int64_t)((uint64_t)high << 32 | low);
}

static int64_t time_of(FILETIME time)
{
    return pl__time_from_ticks(join(time.dwHighDateTime, time.dwLowDateTime));
}

void pl__info_fill(pl_file_info *info, DWORD attributes, int64_t size, int64_t modified)
{
    memset(info, 0, sizeof *info);
    info->kind = attributes & FILE_ATTRIBUTE_DIRECTORY ? PL_FILE_FOLDER : PL_FILE_REGULAR;
    info->size = info->kind == PL_FILE_FOLDER ? 0 : size;
    info->mode = info->kind == PL_FILE_FOLDER ? 0777 : attributes & FILE_ATTRIBUTE_READONLY ? 0444 : 0666;
    info->modified = pl__time_from_ticks(modified);
}

/* A file opened without following links: whether it is one. Files that are compressed or kept in a cloud are reparse
 * points too, and no links. */
static bool is_link(HANDLE file)
{
    FILE_ATTRIBUTE_TAG_INFO tag;
    return GetFileInformationByHandleEx(file, FileAttributeTagInfo, &tag, sizeof tag) &&
           (tag.FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 && IsReparseTagNameSurrogate(tag.ReparseTag);
}

DWORD pl__info_of_handle(HANDLE file, pl_file_info *info)
{
    BY_HANDLE_FILE_INFORMATION found;
    FILE_BASIC_INFO basic;
    if (GetFileType(file) != FILE_TYPE_DISK) {
        memset(info, 0, sizeof *info);
        info->kind = PL_FILE_OTHER;
        return ERROR_SUCCESS;
    }
    if (!GetFileInformationByHandle(file, &found))
        return GetLastError();
    pl__info_fill(info, found.dwFileAttributes, join(found.nFileSizeHigh, found.nFileSizeLow),
                  join(found.ftLastWriteTime.dwHighDateTime, found.ftLastWriteTime.dwLowDateTime));
    info->accessed = time_of(found.ftLastAccessTime);
    info->created = time_of(found.ftCreationTime);
    info->links = found.nNumberOfLinks;
    info->volume = found.dwVolumeSerialNumber;
    info->id = (uint64_t)join(found.nFileIndexHigh, found.nFileIndexLow);
    if (GetFileInformationByHandleEx(file, FileBasicInfo, &basic, sizeof basic))
        info->changed = pl__time_from_ticks(basic.ChangeTime.QuadPart);
    return ERROR_SUCCESS;
}

HANDLE pl__open_existing(const pl__wide_path *path, DWORD access, bool follow)
{
    return CreateFileW(path->text, access, SHARE_ALL, NULL, OPEN_EXISTING,
                       FILE_FLAG_BACKUP_SEMANTICS | (follow ? 0 : FILE_FLAG_OPEN_REPARSE_POINT), NULL);
}

static DWORD stat_wide(const pl__wide_path *path, bool follow, pl_file_info *info)
{
    HANDLE file = pl__open_existing(path, FILE_READ_ATTRIBUTES, follow);
    if (file == INVALID_HANDLE_VALUE)
        return GetLastError();
    DWORD error = pl__info_of_handle(file, info);
    if (error == ERROR_SUCCESS && !follow && info->kind != PL_FILE_OTHER && is_link(file))
        info->kind = PL_FILE_LINK;
    CloseHandle(file);
    return error;
}

int64_t pl__run_file_stat(pl__job *job)
{
    pl__wide_path path;
    DWORD error = pl__wide_path_make(&path, job->as.path.path);
    if (error == ERROR_SUCCESS)
        error = stat_wide(&path, job->as.path.follow, &job->as.path.info);
    pl__wide_path_free(&path);
    return error == ERROR_SUCCESS ? 0 : pl__job_failed(job, error);
}

DWORD pl__real_path(HANDLE file, DWORD volume, pl__wide_path *path)
{
    const DWORD flags = FILE_NAME_NORMALIZED | volume;
    DWORD size = GetFinalPathNameByHandleW(file, NULL, 0, flags);
    DWORD error = size > 0 ? pl__wide_path_allocate(path, (size_t)size + 1) : GetLastError();
    if (error != ERROR_SUCCESS)
        return error;
    path->length = GetFinalPathNameByHandleW(file, path->text, (DWORD)path->capacity, flags);
    if (path->length == 0)
        return GetLastError();
    return path->length < path->capacity ? ERROR_SUCCESS : ERROR_ACCESS_DENIED; /* renamed meanwhile */
}

/* --- Removing and renaming ---------------------------------------------------------------------------------------- */

/* Whether the system or the file system does not know that request, rather than refuse it. */
static bool is_unknown(DWORD error)
{
    return error == ERROR_INVALID_PARAMETER || error == ERROR_INVALID_FUNCTION || error == ERROR_NOT_SUPPORTED ||
           error == ERROR_CALL_NOT_IMPLEMENTED || error == ERROR_INVALID_LEVEL;
}

/* Until the last handle is closed the name stays, and cannot be used. */
static DWORD remove_as_before(HANDLE file)
{
    FILE_DISPOSITION_INFO disposition = {TRUE};
    FILE_BASIC_INFO basic = {0}; /* a zero leaves a time as it is */
    basic.FileAttributes = FILE_ATTRIBUTE_NORMAL;
    if (SetFileInformationByHandle(file, FileDispositionInfo, &disposition, sizeof disposition))
        return ERROR_SUCCESS;
    DWORD error = GetLastError();
    if (error != ERROR_ACCESS_DENIED || !SetFileInformationByHandle(file, FileBasicInfo, &basic, sizeof basic))
        return error;
    return SetFileInformationByHandle(file, FileDispositionInfo, &disposition, sizeof disposition) ? ERROR_SUCCESS
                                                                                                   : GetLastError();
}

static DWORD remove_opened(HANDLE file)
{
    DWORD flags = DISPOSITION_DELETE | DISPOSITION_POSIX | DISPOSITION_IGNORE_READONLY;
    if (SetFileInformationByHandle(file, (FILE_INFO_BY_HANDLE_CLASS)DISPOSITION_INFO_EX, &flags, sizeof flags))
        return ERROR_SUCCESS;
    DWORD error = GetLastError();
    return is_unknown(error) ? remove_as_before(file) : error;
}

static DWORD remove_wide(const pl__wide_path *path)
{
    pl_file_info info;
    HANDLE file = pl__open_existing(path, DELETE | FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES, false);
    if (file == INVALID_HANDLE_VALUE && GetLastError() == ERROR_ACCESS_DENIED)
        file = pl__open_existing(path, DELETE | FILE_READ_ATTRIBUTES, false);
    if (file == INVALID_HANDLE_VALUE)
        return GetLastError();
    DWORD error = pl__info_of_handle(file, &info);
    if (error == ERROR_SUCCESS && info.kind == PL_FILE_FOLDER && !is_link(file))
        error = ERROR_DIRECTORY_NOT_SUPPORTED;
    if (error == ERROR_SUCCESS)
        error = remove_opened(file);
    CloseHandle(file);
    return error;
}

int64_t pl__run_file_remove(pl__job *job)
{
    pl__wide_path path;
    DWORD error = pl__wide_path_make(&path, job->as.path.path);
    if (error == ERROR_SUCCESS)
        error = remove_wide(&path);
    pl__wide_path_free(&path);
    return error == ERROR_SUCCESS ? 0 : pl__job_failed(job, error);
}

static DWORD rename_opened(HANDLE file, const pl__wide_path *to)
{
    size_t size = sizeof(FILE_RENAME_INFO) + to->length * sizeof(WCHAR);
    FILE_RENAME_INFO *request = pl__allocate_zeroed(size);
    if (!request)
        return ERROR_NOT_ENOUGH_MEMORY;
    const DWORD flags = RENAME_REPLACE | RENAME_POSIX | RENAME_IGNORE_READONLY;
    memcpy(request, &flags, sizeof flags); /* where older headers have but ReplaceIfExists */
    request->FileNameLength = (DWORD)(to->length * sizeof(WCHAR));
    memcpy(request->FileName, to->text, to->length * sizeof(WCHAR));
    DWORD error = ERROR_SUCCESS;
    if (!SetFileInformationByHandle(file, (FILE_INFO_BY_HANDLE_CLASS)RENAME_INFO_EX, request, (DWORD)size))
        error = GetLastError();
    pl__release(request, size);
    return error;
}

static DWORD rename_wide(const pl__wide_path *from, const pl__wide_path *to)
{
    HANDLE file = pl__open_existing(from, DELETE, false);
    if (file == INVALID_HANDLE_VALUE)
        return GetLastError();
    DWORD error = rename_opened(file, to);
    CloseHandle(file);
    if (!is_unknown(error))
        return error;
    return MoveFileExW(from->text, to->text, MOVEFILE_REPLACE_EXISTING) ? ERROR_SUCCESS : GetLastError();
}

int64_t pl__run_file_rename(pl__job *job)
{
    pl__wide_path from, to = {0};
    DWORD error = pl__wide_path_make(&from, job->as.path.path);
    if (error == ERROR_SUCCESS)
        error = pl__wide_path_make(&to, job->as.path.other);
    if (error == ERROR_SUCCESS)
        error = rename_wide(&from, &to);
    pl__wide_path_free(&from);
    pl__wide_path_free(&to);
    return error == ERROR_SUCCESS ? 0 : pl__job_failed(job, error);
}

/* --- Links -------------------------------------------------------------------------------------------------------- */

/* Whether what the link is to lead to is a folder: a path that is not full starts where the link lies. */
static bool leads_to_folder(const pl__wide_path *link, const pl__wide_path *content)
{
    const WCHAR *slash = wcsrchr(link->text, L'\\');
    bool is_full = content->text[0] == L'\\' || (content->length > 1 && content->text[1] == L':');
    size_t folder = is_full || !slash ? 0 : (size_t)(slash - link->text) + 1;
    pl__wide_path path;
    if (pl__wide_path_allocate(&path, folder + content->length + 1) != ERROR_SUCCESS)
        return false;
    memcpy(path.text, link->text, folder * sizeof(WCHAR));
    memcpy(path.text + folder, content->text, (content->length + 1) * sizeof(WCHAR));
    DWORD attributes = GetFileAttributesW(path.text);
    pl__wide_path_free(&path);
    return attributes != INVALID_FILE_ATTRIBUTES && (attributes & FILE_ATTRIBUTE_DIRECTORY);
}

static DWORD make_link(const pl__wide_path *path, pl__wide_path *content)
{
    for (size_t i = 0; i < content->length; i++) {
        if (content->text[i] == L'/')
            content->text[i] = L'\\';
    }
    DWORD flags = leads_to_folder(path, content) ? LINK_FOLDER : 0;
    if (CreateSymbolicLinkW(path->text, content->text, flags | LINK_UNPRIVILEGED))
        return ERROR_SUCCESS;
    if (GetLastError() == ERROR_INVALID_PARAMETER && CreateSymbolicLinkW(path->text, content->text, flags))
        return ERROR_SUCCESS; /* older than the second flag */
    return GetLastError();
}

int64_t pl__run_link_make(pl__job *job)
{
    pl__wide_path path, content = {0};
    DWORD error = pl__wide_path_make(&path, job->as.path.path);
    if (error == ERROR_SUCCESS)
        error = pl__wide_path_from_utf8(&content, job->as.path.other);
    if (error == ERROR_SUCCESS)
        error = make_link(&path, &content);
    pl__wide_path_free(&path);
    pl__wide_path_free(&content);
    return error == ERROR_SUCCESS ? 0 : pl__job_failed(job, error);
}

/* REPARSE_DATA_BUFFER, which lies in the headers of drivers only. */
typedef struct reparse_header {
    ULONG tag;
    USHORT size;
    USHORT reserved;
    USHORT substitute_offset; /* bytes, from where the names begin */
    USHORT substitute_size;
    USHORT print_offset;
    USHORT print_size;
} reparse_header;

/* The name for people, or without one the system's. False: it is no link. */
static bool find_content(const char *buffer, DWORD size, const WCHAR **text, size_t *length)
{
    reparse_header header;
    if (size < sizeof header)
        return false;
    memcpy(&header, buffer, sizeof header);
    if (header.tag != TAG_SYMLINK && header.tag != TAG_MOUNT_POINT)
        return false;
    size_t names = sizeof header + (header.tag == TAG_SYMLINK ? sizeof(ULONG) : 0); /* a link's flags */
    bool printed = header.print_size > 0;
    size_t offset = names + (printed ? header.print_offset : header.substitute_offset);
    *length = (printed ? header.print_size : header.substitute_size) / sizeof(WCHAR);
    if (offset + *length * sizeof(WCHAR) > size)
        return false;
    *text = (const WCHAR *)(const void *)(buffer + offset);
    if (!printed && *length > 4 && wcsncmp(*text, L"\\??\\", 4) == 0) {
        *text += 4;
        *length -= 4;
    }
    return true;
}

static int64_t keep_text(pl__job *job, const WCHAR *text, size_t length)
{
    size_t size;
    job->as.text.text = pl__utf8_from_wide(text, length, &size);
    return job->as.text.text ? (int64_t)size : PL_ENOMEM;
}

static int64_t read_link(pl__job *job, HANDLE file)
{
    DWORD size;
    const WCHAR *text;
    size_t length;
    char *buffer = pl__allocate(REPARSE_SIZE);
    if (!buffer)
        return PL_ENOMEM;
    int64_t result = PL_EINVAL;
    if (!DeviceIoControl(file, FSCTL_GET_REPARSE_POINT, NULL, 0, buffer, REPARSE_SIZE, &size, NULL)) {
        DWORD error = GetLastError();
        result = pl__job_failed(job, error);
        if (error == ERROR_NOT_A_REPARSE_POINT)
            result = PL_EINVAL;
    } else if (find_content(buffer, size, &text, &length)) {
        result = keep_text(job, text, length);
    }
    pl__release(buffer, REPARSE_SIZE);
    return result;
}

/* The real path as a person would write it. */
static int64_t read_real_path(pl__job *job, HANDLE file)
{
    static const WCHAR share[] = L"\\\\?\\UNC\\";
    pl__wide_path real = {0};
    DWORD error = pl__real_path(file, VOLUME_NAME_DOS, &real);
    int64_t result = error == ERROR_SUCCESS ? PL_OK : pl__job_failed(job, error);
    if (result == PL_OK) {
        size_t start = wcsncmp(real.text, share, 8) == 0 ? 6 : wcsncmp(real.text, share, 4) == 0 ? 4 : 0;
        if (start == 6)
            real.text[6] = L'\\'; /* "\\?\UNC\server" is "\\server" */
        result = keep_text(job, real.text + start, real.length - start);
    }
    pl__wide_path_free(&real);
    return result;
}

static int64_t read_opened(pl__job *job, bool follow, int64_t (*read)(pl__job *, HANDLE))
{
    pl__wide_path path;
    DWORD error = pl__wide_path_make(&path, job->as.text.path);
    int64_t result = error == ERROR_SUCCESS ? PL_OK : pl__job_failed(job, error);
    if (result == PL_OK) {
        HANDLE file = pl__open_existing(&path, FILE_READ_ATTRIBUTES, follow);
        result = file == INVALID_HANDLE_VALUE ? pl__job_failed(job, GetLastError()) : read(job, file);
        if (file != INVALID_HANDLE_VALUE)
            CloseHandle(file);
    }
    pl__wide_path_free(&path);
    return result;
}

int64_t pl__run_link_read(pl__job *job)
{
    return read_opened(job, false, read_link);
}

int64_t pl__run_path_real(pl__job *job)
{
    return read_opened(job, true, read_real_path);
}

/* --- For temporary names ------------------------------------------------------------------------------------------ */

/* Loaded when needed, so that no program has to link it. */
int pl__system_random(void *data, size_t size)
{
    enum { PREFERRED = 2 }; /* BCRYPT_USE_SYSTEM_PREFERRED_RNG */
    typedef LONG(WINAPI * generate_fn)(void *algorithm, UCHAR *data, ULONG size, ULONG flags);
    HMODULE library = LoadLibraryExW(L"bcrypt.dll", NULL, LOAD_LIBRARY_SEARCH_SYSTEM32);
    if (!library)
        return pl__error_from_win32(GetLastError());
    FARPROC found = GetProcAddress(library, "BCryptGenRandom");
    generate_fn generate = (generate_fn)(void (*)(void))found;
    LONG status = generate ? generate(NULL, data, (ULONG)size, PREFERRED) : (LONG)0xC0000002; /* not implemented */
    FreeLibrary(library);
    return status >= 0 ? PL_OK : pl__error_from_ntstatus((int32_t)status);
}

char *pl__temporary_folder(void)
{
    WCHAR folder[MAX_PATH + 1];
    DWORD length = GetTempPathW(MAX_PATH + 1, folder);
    size_t size;
    if (length == 0 || length > MAX_PATH) {
        folder[0] = L'.';
        length = 1;
    }
    char *narrow = pl__utf8_from_wide(folder, length, &size);
    return narrow;
}
