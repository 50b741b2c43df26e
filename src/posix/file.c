/* file.c: the system's calls on files, run on workers.
 *
 * Whether a file lies beneath a folder is asked of the open descriptor, whose path has every link followed: a
 * link that changes between a look at the path and the open changes nothing. A file that is made beneath a folder is made
 * in an open folder that was asked, and no link is followed to it. Only then is a file truncated.
 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "error.h"

#if !defined(PATH_MAX)
#define PATH_MAX 4096
#endif

enum {
    TRANSFER_MAX = 1 << 30, /* bytes of one call; the systems' own limits are just above */
    CREATE_TRIES = 8        /* while others make and remove the same name */
};

int64_t pl__job_failed(pl__job *job, int error)
{
    job->system_error = error;
    return pl__error_from_errno(error);
}

/* --- What the system says of a file ------------------------------------------------------------------------------- */

/* At the end of the range where 64 bits do not reach: before 1678, after 2261. */
static int64_t nanoseconds(const struct timespec *time)
{
    const int64_t second = 1000000000;
    if (time->tv_sec >= INT64_MAX / second)
        return INT64_MAX;
    if (time->tv_sec <= INT64_MIN / second)
        return INT64_MIN;
    return (int64_t)time->tv_sec * second + time->tv_nsec;
}

void pl__info_from_stat(pl_file_info *info, const struct stat *status)
{
    *info = (pl_file_info){.size = status->st_size,
                           .mode = (uint32_t)status->st_mode & 07777,
                           .links = (uint64_t)status->st_nlink,
                           .volume = (uint64_t)status->st_dev,
                           .id = (uint64_t)status->st_ino,
                           .user = (uint32_t)status->st_uid,
                           .group = (uint32_t)status->st_gid};
#if defined(__APPLE__)
    info->modified = nanoseconds(&status->st_mtimespec);
    info->accessed = nanoseconds(&status->st_atimespec);
    info->changed = nanoseconds(&status->st_ctimespec);
    info->created = nanoseconds(&status->st_birthtimespec);
#else
    info->modified = nanoseconds(&status->st_mtim);
    info->accessed = nanoseconds(&status->st_atim);
    info->changed = nanoseconds(&status->st_ctim);
#endif
    info->kind = S_ISREG(status->st_mode)   ? PL_FILE_REGULAR
                 : S_ISDIR(status->st_mode) ? PL_FILE_FOLDER
                 : S_ISLNK(status->st_mode) ? PL_FILE_LINK
                                            : PL_FILE_OTHER;
}

int64_t pl__run_file_look(pl__job *job)
{
    struct stat status;
    if (fstat((int)job->as.file.object, &status) < 0)
        return pl__job_failed(job, errno);
    pl__info_from_stat(&job->as.file.info, &status);
    return 0;
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

/* Without O_NONBLOCK it would wait for the other end of a pipe. */
static int system_flags(uint32_t flags)
{
    bool writes = (flags & (PL_FILE_WRITE | PL_FILE_APPEND)) != 0;
    int access = !writes ? O_RDONLY : flags & PL_FILE_READ ? O_RDWR : O_WRONLY;
    return access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | (flags & PL_FILE_APPEND ? O_APPEND : 0) |
           (flags & PL_FILE_CREATE ? O_CREAT : 0) | (flags & PL_FILE_EXCLUSIVE ? O_EXCL : 0);
}

/* A descriptor or a negated errno. */
static int open_at(int folder, const char *path, int flags, uint32_t mode)
{
    int descriptor;
    do {
        descriptor = folder == AT_FDCWD ? open(path, flags, (mode_t)mode) : openat(folder, path, flags, (mode_t)mode);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor < 0 ? -errno : descriptor;
}

/* The real path of an open file into PATH_MAX bytes. 0, or an errno. */
static int real_path(int descriptor, const char *path, char *real)
{
#if defined(__linux__)
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, real, PATH_MAX);
    if (length >= PATH_MAX)
        return ENAMETOOLONG;
    if (length >= 0) {
        real[length] = 0;
        return 0;
    }
#elif defined(F_GETPATH)
    if (fcntl(descriptor, F_GETPATH, real) == 0)
        return 0;
#endif
    (void)descriptor;
    return realpath(path, real) ? 0 : errno;
}

static bool lies_in(const char *path, const char *folder)
{
    size_t length = strlen(folder);
    if (length > 0 && folder[length - 1] == '/') /* the root */
        length--;
    return strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

/* 0, or an errno: EACCES, it is elsewhere. */
static int check_beneath(int descriptor, const char *path, const char *beneath)
{
    char real[PATH_MAX], folder[PATH_MAX];
    if (!realpath(beneath, folder))
        return errno;
    int error = real_path(descriptor, path, real);
    if (error)
        return error;
    return lies_in(real, folder) ? 0 : EACCES;
}

/* Makes a new file in a folder that lies beneath the other. */
static int create_beneath(const pl__job *job, int flags)
{
    const char *path = job->as.file_open.path, *slash = strrchr(path, '/');
    char folder[PATH_MAX] = ".";
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length >= sizeof folder)
        return -ENAMETOOLONG;
    if (length > 0) {
        memcpy(folder, path, length);
        folder[length] = 0;
    }
    int descriptor = open_at(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (descriptor < 0)
        return descriptor;
    int error = check_beneath(descriptor, folder, job->as.file_open.beneath);
    int created =
        error ? -error : open_at(descriptor, path + length, flags | O_EXCL | O_NOFOLLOW, job->as.file_open.mode);
    close(descriptor);
    return created;
}

/* What is there is opened and then asked where it is; what is not there is made where it may be. */
static int open_beneath(const pl__job *job, int flags)
{
    int descriptor = -EEXIST;
    bool creates = (flags & O_CREAT) != 0, exclusive = (flags & O_EXCL) != 0;
    for (int i = 0; i < CREATE_TRIES && descriptor == -EEXIST; i++) {
        descriptor = exclusive ? -ENOENT : open_at(AT_FDCWD, job->as.file_open.path, flags & ~O_CREAT, 0);
        if (descriptor != -ENOENT || !creates)
            break;
        descriptor = create_beneath(job, flags);
        if (exclusive)
            break;
    }
    if (descriptor < 0)
        return descriptor;
    int error = check_beneath(descriptor, job->as.file_open.path, job->as.file_open.beneath);
    if (error)
        close(descriptor);
    return error ? -error : descriptor;
}

#if defined(O_TMPFILE)
/* A file that never had a name; `path` is of the one that it would have got. Not every file system can do that. */
static int open_nameless(const pl__job *job, int flags)
{
    const char *path = job->as.file_open.path, *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    if (length == 0 || length >= sizeof folder)
        return -ENOTSUP;
    memcpy(folder, path, length);
    folder[length] = 0;
    return open_at(AT_FDCWD, folder, (flags & ~(O_CREAT | O_EXCL)) | O_TMPFILE | O_EXCL, job->as.file_open.mode);
}
#else
static int open_nameless(const pl__job *job, int flags)
{
    PL__UNUSED(job);
    PL__UNUSED(flags);
    return -ENOTSUP;
}
#endif

static int open_unnamed(const pl__job *job, int flags)
{
    int descriptor = open_nameless(job, flags);
    if (descriptor >= 0 || descriptor == -EMFILE || descriptor == -ENFILE || descriptor == -ENOSPC)
        return descriptor;
    descriptor = open_at(AT_FDCWD, job->as.file_open.path, flags, job->as.file_open.mode);
    if (descriptor >= 0 && unlink(job->as.file_open.path) < 0) {
        int error = errno;
        close(descriptor);
        return -error;
    }
    return descriptor;
}

static int open_as_asked(const pl__job *job)
{
    int flags = system_flags(job->as.file_open.flags);
    if (job->as.file_open.beneath)
        return open_beneath(job, flags);
    return job->as.file_open.unnamed ? open_unnamed(job, flags)
                                     : open_at(AT_FDCWD, job->as.file_open.path, flags, job->as.file_open.mode);
}

/* 0 or an errno. */
static int cut(int descriptor, int64_t size)
{
    int rc;
    do {
        rc = ftruncate(descriptor, (off_t)size);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? errno : 0;
}

int64_t pl__run_file_open(pl__job *job)
{
    struct stat status = {0};
    int descriptor = open_as_asked(job);
    if (descriptor < 0)
        return pl__job_failed(job, -descriptor);
    int error = fstat(descriptor, &status) < 0 ? errno : 0;
    if (error == 0 && (job->as.file_open.flags & PL_FILE_TRUNCATE) && S_ISREG(status.st_mode) && status.st_size > 0) {
        error = cut(descriptor, 0);
        if (error == 0 && fstat(descriptor, &status) < 0)
            error = errno;
    }
    if (error) {
        close(descriptor);
        return pl__job_failed(job, error);
    }
    pl__info_from_stat(&job->as.file_open.info, &status);
    job->as.file_open.object = (uintptr_t)descriptor;
    return 0;
}

int64_t pl__run_file_create(pl__job *job)
{
    return pl__run_file_open(job);
}

/* --- Reading, writing and closing --------------------------------------------------------------------------------- */

#if defined(RWF_NOWAIT)
/* Linux 5.9 and 5.10 say 0 where they would have to wait. */
static bool zero_is_the_end(void)
{
    struct utsname name;
    return uname(&name) == 0 && strncmp(name.release, "5.9.", 4) != 0 && strncmp(name.release, "5.10.", 5) != 0;
}

int64_t pl__file_read_cached(int descriptor, void *data, size_t size, int64_t offset)
{
    const struct iovec vector = {data, size};
    ssize_t count = preadv2(descriptor, &vector, 1, (off_t)offset, RWF_NOWAIT);
    return count > 0 || (count == 0 && zero_is_the_end()) ? (int64_t)count : -EAGAIN; /* a worker finds out why */
}
#else
int64_t pl__file_read_cached(int descriptor, void *data, size_t size, int64_t offset)
{
    PL__UNUSED(descriptor);
    PL__UNUSED(data);
    PL__UNUSED(size);
    PL__UNUSED(offset);
    return -EAGAIN;
}
#endif

int64_t pl__file_read_some(int descriptor, void *data, size_t size, int64_t offset)
{
    ssize_t count;
    do {
        count = pread(descriptor, data, size < TRANSFER_MAX ? size : TRANSFER_MAX, (off_t)offset);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : (int64_t)count;
}

int64_t pl__file_write_some(int descriptor, const void *data, size_t size, int64_t offset)
{
    ssize_t count;
    size_t limited = size < TRANSFER_MAX ? size : TRANSFER_MAX;
    do {
        count = offset < 0 ? write(descriptor, data, limited) : pwrite(descriptor, data, limited, (off_t)offset);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : (int64_t)count;
}

int64_t pl__run_file_extend(pl__job *job)
{
    while (job->as.file_extend.done < job->as.file_extend.size) {
        size_t done = job->as.file_extend.done;
        int64_t offset = job->as.file_extend.offset < 0 ? -1 : job->as.file_extend.offset + (int64_t)done;
        int64_t count = pl__file_write_some((int)job->as.file_extend.object, job->as.file_extend.data + done,
                                            job->as.file_extend.size - done, offset);
        if (count <= 0)
            return pl__job_failed(job, count < 0 ? (int)-count : EIO);
        job->as.file_extend.done += (size_t)count;
    }
    return 0;
}

int64_t pl__run_file_close(pl__job *job)
{
    /* After EINTR it is closed, or as good as: a second close could hit another thread's new descriptor. */
    if (close((int)job->as.file.object) < 0 && errno != EINTR && errno != EINPROGRESS)
        return pl__job_failed(job, errno);
    return 0;
}

/* --- Other calls on an open file ---------------------------------------------------------------------------------- */

static int flush_once(int descriptor, bool data_only)
{
#if defined(F_FULLFSYNC)
    PL__UNUSED(data_only);
    if (fcntl(descriptor, F_FULLFSYNC) == 0)
        return 0;
    return fsync(descriptor); /* not every file system can do it */
#else
    return data_only ? fdatasync(descriptor) : fsync(descriptor);
#endif
}

int64_t pl__run_file_flush(pl__job *job)
{
    int rc;
    do {
        rc = flush_once((int)job->as.file.object, job->as.file.data_only);
    } while (rc < 0 && errno == EINTR);
    return rc < 0 ? pl__job_failed(job, errno) : 0;
}

int64_t pl__run_file_resize(pl__job *job)
{
    int error = cut((int)job->as.file.object, job->as.file.size);
    return error ? pl__job_failed(job, error) : 0;
}

/* Rounded down, before 1970 too. */
static struct timespec time_of(int64_t nanoseconds_since_1970)
{
    const int64_t second = 1000000000;
    int64_t seconds = nanoseconds_since_1970 / second, rest = nanoseconds_since_1970 % second;
    if (rest < 0) {
        seconds--;
        rest += second;
    }
    if (nanoseconds_since_1970 == PL_TIME_KEEP)
        return (struct timespec){.tv_nsec = UTIME_OMIT};
    return (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)rest};
}

int64_t pl__run_file_times(pl__job *job)
{
    const struct timespec times[2] = {time_of(job->as.file.accessed), time_of(job->as.file.modified)};
    return futimens((int)job->as.file.object, times) < 0 ? pl__job_failed(job, errno) : 0;
}
