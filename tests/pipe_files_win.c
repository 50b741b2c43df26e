#include "pipe_files.h"

#include <string.h>
#include <windows.h>

bool pipe_files_exist(void)
{
    return false;
}

int pipe_file_mode(const char *path)
{
    (void)path;
    return -1;
}

bool pipe_file_leave_stale(const char *path, bool messages)
{
    (void)path;
    (void)messages;
    return false;
}

void pipe_file_path(const char *name, char *path, size_t size)
{
    (void)name;
    if (size)
        path[0] = 0;
}

bool pipe_file_write_nothing(const char *path, const char *then, bool messages)
{
    DWORD done = 0;
    HANDLE pipe = CreateFileA(path, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING, 0, NULL);
    bool written = pipe != INVALID_HANDLE_VALUE && WriteFile(pipe, then, 0, &done, NULL) &&
                   WriteFile(pipe, then, (DWORD)strlen(then), &done, NULL) && done == (DWORD)strlen(then);
    (void)messages; /* the server decides */
    if (pipe != INVALID_HANDLE_VALUE)
        CloseHandle(pipe);
    return written;
}
