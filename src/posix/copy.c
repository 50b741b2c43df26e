/* copy.c: the pieces of a copied file, on workers: in the kernel where that can be done, else through our memory. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "../allocator.h"
#include "file.h"

enum { BUFFER_SIZE = 64 << 10 };

/* Bytes or a negated errno; -ENOSYS: not between these two. */
static int64_t copy_in_kernel(int source, int target, int64_t offset, size_t size)
{
#if defined(__linux__)
    off_t from = (off_t)offset, to = (off_t)offset;
    ssize_t count;
    do {
        count = copy_file_range(source, &from, target, &to, size, 0);
    } while (count < 0 && errno == EINTR);
    if (count > 0)
        return (int64_t)count;
    /* 0 is said of files that have no size, too, such as those of /proc */
    return count == 0 || errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM
               ? -ENOSYS
               : -errno;
#else
    PL__UNUSED(source);
    PL__UNUSED(target);
    PL__UNUSED(offset);
    PL__UNUSED(size);
    return -ENOSYS;
#endif
}

static int64_t write_whole(int target, const char *data, int64_t size, int64_t offset)
{
    for (int64_t done = 0; done < size;) {
        int64_t count = pl__file_write_some(target, data + done, (size_t)(size - done), offset + done);
        if (count <= 0)
            return count < 0 ? count : -EIO;
        done += count;
    }
    return size;
}

static int64_t copy_through_memory(int source, int target, int64_t offset, size_t size)
{
    char *buffer = pl__allocate(BUFFER_SIZE);
    int64_t done = 0, count = buffer ? 1 : -ENOMEM;
    while (count > 0 && done < (int64_t)size) {
        count = pl__file_read_some(source, buffer, BUFFER_SIZE, offset + done);
        if (count > 0)
            count = write_whole(target, buffer, count, offset + done);
        if (count > 0)
            done += count;
    }
    if (buffer)
        pl__release(buffer, BUFFER_SIZE);
    return count < 0 ? count : done;
}

int64_t pl__file_copy_piece(pl__job *job, size_t size)
{
    int source = (int)job->as.file_copy.source_object, target = (int)job->as.file_copy.target_object;
    int64_t offset = job->as.file_copy.done;
    int64_t count = copy_in_kernel(source, target, offset, size);
    if (count == -ENOSYS)
        count = copy_through_memory(source, target, offset, size);
    return count < 0 ? pl__job_failed(job, (int)-count) : count;
}

/* Only the permission bits: who may use the file as its owner is no longer the same. */
int64_t pl__file_copy_marks(pl__job *job)
{
    pl__job times = {.kind = PL__FILE_TIMES,
                     .as.file = {.object = job->as.file_copy.target_object,
                                 .accessed = job->as.file_copy.info.accessed,
                                 .modified = job->as.file_copy.info.modified}};
    if (fchmod((int)job->as.file_copy.target_object, (mode_t)(job->as.file_copy.info.mode & 0777)) < 0)
        return pl__job_failed(job, errno);
    int64_t result = pl__run_file_times(&times);
    job->system_error = times.system_error;
    return result;
}
