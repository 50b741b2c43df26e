/* Temporary files and folders: names that nobody can guess, made on a worker by trying until one is new. */
#include <string.h>

#include "allocator.h"
#include "file.h"

enum { NAME_TRIES = 100, RANDOM_SIZE = PL__NAME_SIZE - 4 };

int pl__name_make(char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567"; /* whatever the file system makes of case */
    uint8_t bytes[RANDOM_SIZE];
    int rc = pl__system_random(bytes, sizeof bytes);
    if (rc < 0)
        return rc;
    memcpy(name, "pl-", 3);
    for (size_t i = 0; i < RANDOM_SIZE; i++)
        name[3 + i] = letters[bytes[i] & 31];
    name[3 + RANDOM_SIZE] = '\0';
    return PL_OK;
}

/* "folder/" and room for a name. NULL: out of memory; else to be released with *size. */
static char *make_room(const char *folder, size_t *size)
{
    char *found = folder ? NULL : pl__temporary_folder();
    if (!folder && !found)
        return NULL;
    size_t length = strlen(folder ? folder : found);
    *size = length + 1 + PL__NAME_SIZE;
    char *path = pl__allocate(*size);
    if (path) {
        memcpy(path, folder ? folder : found, length);
        bool ended = length > 0 && pl__is_separator(path[length - 1]);
        if (!ended)
            path[length] = '/';
        path[length + !ended] = '\0';
    }
    if (found)
        pl__release(found, length + 1);
    return path;
}

/* Makes something at `path`, an error of which PL_EEXIST stands for one more try. */
typedef int64_t make_fn(pl__job *job, const char *path);

/* *text is what was made, in its own allocation, unless capacity is 0. */
static int64_t make_new(pl__job *job, const char *folder, size_t capacity, char **text, make_fn *make)
{
    size_t size;
    char *path = make_room(folder, &size);
    if (!path)
        return PL_ENOMEM;
    size_t length = strlen(path), whole = length + PL__NAME_SIZE; /* with the zero */
    char *copy = capacity >= whole ? pl__allocate(whole) : NULL;
    int64_t result = copy || !capacity ? PL_EEXIST : capacity >= whole ? PL_ENOMEM : PL_ENAMETOOLONG;
    for (int i = 0; i < NAME_TRIES && result == PL_EEXIST; i++) {
        result = pl__name_make(path + length);
        if (result >= 0)
            result = make(job, path);
    }
    if (result >= 0 && copy) {
        memcpy(copy, path, whole);
        *text = copy;
        result = (int64_t)whole - 1;
    } else if (copy) {
        pl__release(copy, whole);
    }
    pl__release(path, size);
    return result;
}

static int64_t make_file(pl__job *job, const char *path)
{
    job->as.file_open.path = path;
    int64_t result = pl__run_file_create(job);
    job->as.file_open.path = NULL;
    return result;
}

int64_t pl__run_file_temporary(pl__job *job)
{
    int64_t result =
        make_new(job, job->as.file_open.folder, job->as.file_open.capacity, &job->as.file_open.text, make_file);
    return result < 0 ? result : PL_OK;
}

static int64_t make_folder(pl__job *job, const char *path)
{
    pl__job making = {.kind = PL__FOLDER_MAKE, .as.path = {.path = path, .mode = 0700}};
    int64_t result = pl__run_folder_make(&making);
    job->system_error = making.system_error;
    return result;
}

int64_t pl__run_folder_temporary(pl__job *job)
{
    return make_new(job, job->as.text.path, job->as.text.capacity, &job->as.text.text, make_folder);
}
