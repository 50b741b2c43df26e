#include "pipe_files.h"

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

bool pipe_file_send_empty_message(const char *path, const char *then)
{
    (void)path;
    (void)then;
    return false;
}
