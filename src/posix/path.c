/* path.c: the system's calls on paths, run on workers. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__APPLE__)
#include <sys/random.h>
#endif

#include "../allocator.h"
#include "error.h"
#include "file.h"

enum { TEXT_FIRST = 256, TEXT_MAX = 1 << 20 };

bool pl__is_separator(char character)
{
    return character == '/';
}

int64_t pl__run_file_stat(pl__job *job)
{
    struct stat status;
    const char *path = job->as.path.path;
    if ((job->as.path.follow ? stat(path, &status) : lstat(path, &status)) < 0)
        return pl__job_failed(job, errno);
    pl__info_from_stat(&job->as.path.info, &status);
    return 0;
}

int64_t pl__run_file_rename(pl__job *job)
{
    return rename(job->as.path.path, job->as.path.other) < 0 ? pl__job_failed(job, errno) : 0;
}

/* Of a folder some systems say EPERM. */
int64_t pl__run_file_remove(pl__job *job)
{
    struct stat status;
    if (unlink(job->as.path.path) == 0)
        return 0;
    int error = errno;
    if (error == EPERM && lstat(job->as.path.path, &status) == 0 && S_ISDIR(status.st_mode))
        error = EISDIR;
    return pl__job_failed(job, error);
}

int64_t pl__run_link_make(pl__job *job)
{
    return symlink(job->as.path.other, job->as.path.path) < 0 ? pl__job_failed(job, errno) : 0;
}

/* The text, in just its memory. */
static int64_t keep_text(pl__job *job, const char *text, size_t length)
{
    job->as.text.text = pl__allocate(length + 1);
    if (!job->as.text.text)
        return PL_ENOMEM;
    memcpy(job->as.text.text, text, length);
    job->as.text.text[length] = 0;
    return (int64_t)length;
}

/* A link does not say how long it is (those of /proc say 0), so it is read until there was room to spare. */
int64_t pl__run_link_read(pl__job *job)
{
    for (size_t size = TEXT_FIRST; size <= TEXT_MAX; size *= 4) {
        char *buffer = pl__allocate(size);
        if (!buffer)
            return PL_ENOMEM;
        ssize_t length = readlink(job->as.text.path, buffer, size);
        int64_t result = length < 0 ? pl__job_failed(job, errno) : PL_OK;
        bool fits = length >= 0 && (size_t)length < size;
        if (fits)
            result = keep_text(job, buffer, (size_t)length);
        pl__release(buffer, size);
        if (length < 0 || fits)
            return result;
    }
    return pl__job_failed(job, ENAMETOOLONG);
}

int64_t pl__run_path_real(pl__job *job)
{
    char *real = realpath(job->as.text.path, NULL);
    if (!real)
        return pl__job_failed(job, errno);
    int64_t result = keep_text(job, real, strlen(real));
    free(real);
    return result;
}

int pl__system_random(void *data, size_t size)
{
    return getentropy(data, size) < 0 ? pl__error_from_errno(errno) : PL_OK;
}

char *pl__temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    if (!folder || !*folder)
        folder = "/tmp";
    size_t size = strlen(folder) + 1;
    char *copy = pl__allocate(size);
    if (copy)
        memcpy(copy, folder, size);
    return copy;
}
