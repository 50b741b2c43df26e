/* copy.c: the pieces of a copied file, on workers. CopyFile2 would do it in one call, which ends only when its callback says
 * so, and follows rules of its own; pieces are the same on all systems. */
#include "path.h"

#include "../allocator.h"

enum { BUFFER_SIZE = 256 << 10 };

static DWORD write_whole(HANDLE target, HANDLE event, const char *data, DWORD size, int64_t offset)
{
    DWORD bytes, error;
    for (DWORD done = 0; done < size; done += bytes) {
        error = pl__write_once(target, event, data + done, size - done, offset + done, &bytes);
        if (error != ERROR_SUCCESS || bytes == 0)
            return error != ERROR_SUCCESS ? error : ERROR_WRITE_FAULT;
    }
    return ERROR_SUCCESS;
}

static DWORD copy_some(pl__job *job, HANDLE event, char *buffer, size_t size, int64_t *done)
{
    HANDLE source = (HANDLE)job->as.file_copy.source_object, target = (HANDLE)job->as.file_copy.target_object;
    DWORD bytes = 1, error = ERROR_SUCCESS;
    while (error == ERROR_SUCCESS && bytes > 0 && *done < (int64_t)size) {
        int64_t offset = job->as.file_copy.done + *done;
        error = pl__read_once(source, event, buffer, BUFFER_SIZE, offset, &bytes);
        if (error == ERROR_SUCCESS)
            error = write_whole(target, event, buffer, bytes, offset);
        if (error == ERROR_SUCCESS)
            *done += bytes;
    }
    return error;
}

int64_t pl__file_copy_piece(pl__job *job, size_t size)
{
    int64_t done = 0;
    HANDLE event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!event)
        return pl__job_failed(job, GetLastError());
    char *buffer = pl__allocate(BUFFER_SIZE);
    DWORD error = buffer ? copy_some(job, event, buffer, size, &done) : ERROR_NOT_ENOUGH_MEMORY;
    if (buffer)
        pl__release(buffer, BUFFER_SIZE);
    CloseHandle(event);
    return error == ERROR_SUCCESS ? done : pl__job_failed(job, error);
}

int64_t pl__file_copy_marks(pl__job *job)
{
    const DWORD kept = FILE_ATTRIBUTE_READONLY | FILE_ATTRIBUTE_HIDDEN | FILE_ATTRIBUTE_SYSTEM | FILE_ATTRIBUTE_ARCHIVE;
    FILE_BASIC_INFO source, marks = {0}; /* a zero leaves a time as it is */
    if (!GetFileInformationByHandleEx((HANDLE)job->as.file_copy.source_object, FileBasicInfo, &source, sizeof source))
        return pl__job_failed(job, GetLastError());
    marks.LastAccessTime = source.LastAccessTime;
    marks.LastWriteTime = source.LastWriteTime;
    marks.FileAttributes = source.FileAttributes & kept;
    if (marks.FileAttributes == 0)
        marks.FileAttributes = FILE_ATTRIBUTE_NORMAL;
    return SetFileInformationByHandle((HANDLE)job->as.file_copy.target_object, FileBasicInfo, &marks, sizeof marks)
               ? 0
               : pl__job_failed(job, GetLastError());
}
