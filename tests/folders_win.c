#include "folders.h"

#include <windows.h>

#include <wchar.h>

enum {
    PATH_SPACE = 4096,
    REMOVE_TRIES = 5000 /* a millisecond apart */
};

/* The path in full and with the prefix that allows it to be long; only the last part may be a name that is wrong. */
static bool widen(const char *path, wchar_t *wide)
{
    wchar_t plain[PATH_SPACE];
    wchar_t *place;
    DWORD length;
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, plain, PATH_SPACE) == 0)
        return false;
    for (place = plain; *place; place++) {
        if (*place == L'/')
            *place = L'\\';
    }
    wcscpy(wide, L"\\\\?\\");
    length = GetFullPathNameW(plain, PATH_SPACE - 4, wide + 4, NULL);
    return length > 0 && length < PATH_SPACE - 4;
}

bool folder_make(const char *path)
{
    wchar_t wide[PATH_SPACE];
    return widen(path, wide) && CreateDirectoryW(wide, NULL);
}

bool file_make(const char *path, const void *data, size_t size)
{
    wchar_t wide[PATH_SPACE];
    HANDLE file;
    DWORD written = 0;
    bool good;
    if (!widen(path, wide))
        return false;
    file = CreateFileW(wide, GENERIC_WRITE, 0, NULL, CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return false;
    good = WriteFile(file, data, (DWORD)size, &written, NULL) && written == size;
    return CloseHandle(file) && good;
}

bool link_make(const char *content, const char *path, bool to_folder)
{
    wchar_t wide[PATH_SPACE];
    wchar_t target[PATH_SPACE];
    DWORD flags = SYMBOLIC_LINK_FLAG_ALLOW_UNPRIVILEGED_CREATE;
    wchar_t *place;
    if (to_folder)
        flags |= SYMBOLIC_LINK_FLAG_DIRECTORY;
    if (!widen(path, wide) || MultiByteToWideChar(CP_UTF8, 0, content, -1, target, PATH_SPACE) == 0)
        return false;
    for (place = target; *place; place++) {
        if (*place == L'/')
            *place = L'\\';
    }
    return CreateSymbolicLinkW(wide, target, flags) && GetFileAttributesW(wide) != INVALID_FILE_ATTRIBUTES;
}

bool pipe_make(const char *path)
{
    (void)path;
    return false;
}

bool path_rename(const char *from, const char *to)
{
    wchar_t wide_from[PATH_SPACE];
    wchar_t wide_to[PATH_SPACE];
    return widen(from, wide_from) && widen(to, wide_to) && MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING);
}

bool file_set_changed(const char *path, int64_t seconds)
{
    wchar_t wide[PATH_SPACE];
    uint64_t ticks = (uint64_t)(seconds + 11644473600) * 10000000;
    FILETIME time = {(DWORD)ticks, (DWORD)(ticks >> 32)};
    HANDLE file;
    bool good;
    if (!widen(path, wide))
        return false;
    file = CreateFileW(wide, FILE_WRITE_ATTRIBUTES, 0, NULL, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE)
        return false;
    good = SetFileTime(file, NULL, NULL, &time);
    return CloseHandle(file) && good;
}

/* A file that is removed while something has it open, a worker that is about to close it or a scanner, stays until that
 * closes it, and so does the folder it is in: its end is waited for. */
void path_remove(const char *path)
{
    wchar_t wide[PATH_SPACE];
    if (!widen(path, wide))
        return;
    for (int i = 0; i < REMOVE_TRIES; i++) {
        DWORD error;
        if (!DeleteFileW(wide))
            (void)RemoveDirectoryW(wide);
        if (GetFileAttributesW(wide) == INVALID_FILE_ATTRIBUTES) {
            error = GetLastError();
            if (error == ERROR_FILE_NOT_FOUND || error == ERROR_PATH_NOT_FOUND || error == ERROR_INVALID_NAME)
                return;
        }
        Sleep(1);
    }
}
