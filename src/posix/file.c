/* file.c: the system's calls for files and folders, run on workers.
 *
 * Whether a file lies beneath a folder is asked of the open descriptor, whose path has every link followed: a
 * link that changes between a look at the path and the open changes nothing.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../allocator.h"
#include "../worker_pool.h"
#include "error.h"

#if !defined(PATH_MAX)
#define PATH_MAX 4096
#endif

enum { READ_MAX = 1 << 30 /* bytes of one call; the systems' own limits are just above */ };

static int64_t fail(pl__job *job, int error)
{
    job->system_error = error;
    return pl__error_from_errno(error);
}

/* --- What the system says of a file ------------------------------------------------------------------------------- */

static int64_t modified(const struct stat *status)
{
#if defined(__APPLE__)
    const struct timespec *time = &status->st_mtimespec;
#else
    const struct timespec *time = &status->st_mtim;
#endif
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

static void fill_info(pl_file_info *info, const struct stat *status)
{
    *info = (pl_file_info){.size = status->st_size, .modified = modified(status)};
    info->kind = S_ISREG(status->st_mode)   ? PL_FILE_REGULAR
                 : S_ISDIR(status->st_mode) ? PL_FILE_FOLDER
                 : S_ISLNK(status->st_mode) ? PL_FILE_LINK
                                            : PL_FILE_OTHER;
}

int64_t pl__run_file_stat(pl__job *job)
{
    struct stat status;
    if (stat(job->as.file_stat.path, &status) < 0)
        return fail(job, errno);
    fill_info(&job->as.file_stat.info, &status);
    return 0;
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static int open_again(const char *path)
{
    int descriptor;
    do { /* without O_NONBLOCK it would wait for the other end of a pipe */
        descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
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

int64_t pl__run_file_open(pl__job *job)
{
    const char *path = job->as.file_open.path, *beneath = job->as.file_open.beneath;
    struct stat status;
    int descriptor = open_again(path);
    if (descriptor < 0)
        return fail(job, errno);
    int error = beneath ? check_beneath(descriptor, path, beneath) : 0;
    if (error == 0 && fstat(descriptor, &status) < 0)
        error = errno;
    if (error) {
        close(descriptor);
        return fail(job, error);
    }
    fill_info(&job->as.file_open.info, &status);
    job->as.file_open.object = (uintptr_t)descriptor;
    return 0;
}

/* --- Reading and closing ------------------------------------------------------------------------------------------ */

int64_t pl__run_file_read(pl__job *job)
{
    char *data = job->as.file_read.data;
    size_t size = job->as.file_read.size, done = 0;
    while (done < size) {
        size_t left = size - done;
        ssize_t count = pread((int)job->as.file_read.object, data + done, left < READ_MAX ? left : READ_MAX,
                              (off_t)(job->as.file_read.offset + (int64_t)done));
        if (count < 0 && errno != EINTR)
            return fail(job, errno);
        if (count == 0)
            break;
        if (count > 0)
            done += (size_t)count;
    }
    return (int64_t)done;
}

int64_t pl__run_file_close(pl__job *job)
{
    /* After EINTR it is closed, or as good as: a second close could hit another thread's new descriptor. */
    if (close((int)job->as.file_close.object) < 0 && errno != EINTR && errno != EINPROGRESS)
        return fail(job, errno);
    return 0;
}

/* --- Folders ------------------------------------------------------------------------------------------------------ */

typedef struct listing {
    pl_folder_entry *entries;
    size_t count;
    size_t capacity;
} listing;

static void free_listing(listing *list)
{
    for (size_t i = 0; i < list->count; i++)
        pl__release(list->entries[i].name, strlen(list->entries[i].name) + 1);
    pl__release(list->entries, list->capacity * sizeof *list->entries);
}

static int grow(listing *list)
{
    size_t capacity = list->capacity ? list->capacity * 2 : 32;
    size_t old_size = list->capacity * sizeof *list->entries;
    pl_folder_entry *entries = pl__reallocate(list->entries, old_size, capacity * sizeof *entries);
    if (!entries)
        return ENOMEM;
    list->entries = entries;
    list->capacity = capacity;
    return 0;
}

static int append(listing *list, const char *name, const struct stat *status)
{
    size_t size = strlen(name) + 1;
    if (list->count == list->capacity && grow(list) != 0)
        return ENOMEM;
    char *copy = pl__allocate(size);
    if (!copy)
        return ENOMEM;
    memcpy(copy, name, size);
    pl_folder_entry *entry = &list->entries[list->count++];
    entry->name = copy;
    fill_info(&entry->info, status);
    return 0;
}

/* 0, or an errno. */
static int read_entries(DIR *folder, listing *list)
{
    struct dirent *entry;
    for (;;) {
        struct stat status;
        errno = 0;
        entry = readdir(folder);
        if (!entry)
            return errno;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0)
            continue; /* gone meanwhile */
        if (append(list, entry->d_name, &status) != 0)
            return ENOMEM;
    }
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const pl_folder_entry *)left)->name, ((const pl_folder_entry *)right)->name);
}

/* Of an open folder: a descriptor of its own, so that several may list it, each from the start. */
static DIR *open_entries(int folder)
{
    int descriptor = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *entries = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (descriptor >= 0 && !entries) {
        int error = errno;
        close(descriptor);
        errno = error;
    }
    return entries;
}

int64_t pl__run_folder_list(pl__job *job)
{
    listing list = {0};
    DIR *folder = open_entries((int)job->as.folder_list.object);
    if (!folder)
        return fail(job, errno);
    int error = read_entries(folder, &list);
    closedir(folder);
    if (error) {
        free_listing(&list);
        return fail(job, error);
    }
    if (list.count > 1)
        qsort(list.entries, list.count, sizeof *list.entries, by_name);
    job->as.folder_list.entries = list.entries;
    job->as.folder_list.count = list.count;
    job->as.folder_list.capacity = list.capacity;
    return (int64_t)list.count;
}
