/* folder.c: the system's calls on folders, run on workers. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../allocator.h"
#include "file.h"

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
    pl__info_from_stat(&entry->info, status);
    return 0;
}

/* What the listing itself says, where the system says no more: somebody else's file system may be gone or closed to us. */
static struct stat status_of(const struct dirent *entry)
{
    struct stat status = {0};
#if defined(DTTOIF)
    status.st_mode = (mode_t)DTTOIF(entry->d_type);
#else
    PL__UNUSED(entry);
#endif
    return status;
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
        if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT)
                continue; /* gone meanwhile */
            status = status_of(entry);
        }
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
        return pl__job_failed(job, errno);
    int error = read_entries(folder, &list);
    closedir(folder);
    if (error) {
        free_listing(&list);
        return pl__job_failed(job, error);
    }
    if (list.count > 1)
        qsort(list.entries, list.count, sizeof *list.entries, by_name);
    job->as.folder_list.entries = list.entries;
    job->as.folder_list.count = list.count;
    job->as.folder_list.capacity = list.capacity;
    return (int64_t)list.count;
}

int64_t pl__run_folder_make(pl__job *job)
{
    return mkdir(job->as.path.path, (mode_t)job->as.path.mode) < 0 ? pl__job_failed(job, errno) : 0;
}

int64_t pl__run_folder_remove(pl__job *job)
{
    return rmdir(job->as.path.path) < 0 ? pl__job_failed(job, errno) : 0;
}
