#include "folders.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

bool folder_make(const char *path)
{
    return mkdir(path, 0777) == 0;
}

bool file_make(const char *path, const void *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    bool good;
    if (file == NULL)
        return false;
    good = fwrite(data, 1, size, file) == size;
    return fclose(file) == 0 && good;
}

bool link_make(const char *content, const char *path, bool to_folder)
{
    (void)to_folder;
    return symlink(content, path) == 0;
}

bool pipe_make(const char *path)
{
    return mkfifo(path, 0666) == 0;
}

bool path_rename(const char *from, const char *to)
{
    return rename(from, to) == 0;
}

bool file_set_changed(const char *path, int64_t seconds)
{
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = (time_t)seconds}};
    struct stat status;
    return utimensat(AT_FDCWD, path, times, 0) == 0 && stat(path, &status) == 0 && status.st_mtime == (time_t)seconds;
}

void path_remove(const char *path)
{
    if (unlink(path) != 0)
        (void)rmdir(path);
}
