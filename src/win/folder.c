/* folder.c: folders, on workers. */
#include "path.h"

#include <stdlib.h>
#include <string.h>

#include "../allocator.h"

enum { LISTING_BUFFER = 64 << 10 /* bytes of entries per call */ };

#define SHARE_ALL (FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE)

typedef struct listing {
    pl_folder_entry *entries;
    size_t count;
    size_t capacity;
} listing;

static void listing_free(listing *list)
{
    for (size_t i = 0; i < list->count; i++)
        pl__release(list->entries[i].name, strlen(list->entries[i].name) + 1);
    pl__release(list->entries, list->capacity * sizeof *list->entries);
}

static DWORD listing_grow(listing *list)
{
    size_t capacity = list->capacity ? list->capacity * 2 : 32;
    pl_folder_entry *entries =
        pl__reallocate(list->entries, list->capacity * sizeof *entries, capacity * sizeof *entries);
    if (!entries)
        return ERROR_NOT_ENOUGH_MEMORY;
    list->entries = entries;
    list->capacity = capacity;
    return ERROR_SUCCESS;
}

static bool is_dots(const FILE_ID_BOTH_DIR_INFO *found)
{
    size_t length = found->FileNameLength / sizeof(WCHAR);
    return length <= 2 && found->FileName[0] == L'.' && found->FileName[length - 1] == L'.';
}

/* Symbolic links, junctions and whatever else stands for another name; the tag lies where others have the
 * size of their extended attributes. Files that are compressed or kept in a cloud are reparse points too, and
 * no links. */
static bool is_link(const FILE_ID_BOTH_DIR_INFO *found)
{
    return (found->FileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0 && IsReparseTagNameSurrogate(found->EaSize);
}

static DWORD listing_add(listing *list, const FILE_ID_BOTH_DIR_INFO *found)
{
    if (is_dots(found))
        return ERROR_SUCCESS;
    if (list->count == list->capacity && listing_grow(list) != ERROR_SUCCESS)
        return ERROR_NOT_ENOUGH_MEMORY;
    pl_folder_entry *entry = &list->entries[list->count];
    size_t size;
    entry->name = pl__utf8_from_wide(found->FileName, found->FileNameLength / sizeof(WCHAR), &size);
    if (!entry->name)
        return ERROR_NOT_ENOUGH_MEMORY;
    list->count++;
    pl__info_fill(&entry->info, found->FileAttributes, found->EndOfFile.QuadPart, found->LastWriteTime.QuadPart);
    entry->info.accessed = pl__time_from_ticks(found->LastAccessTime.QuadPart);
    entry->info.changed = pl__time_from_ticks(found->ChangeTime.QuadPart);
    entry->info.created = pl__time_from_ticks(found->CreationTime.QuadPart);
    entry->info.id = (uint64_t)found->FileId.QuadPart;
    if (is_link(found))
        entry->info.kind = PL_FILE_LINK;
    return ERROR_SUCCESS;
}

/* One buffer full of entries, each at some distance from the one before. */
static DWORD listing_add_all(listing *list, const char *buffer)
{
    for (size_t offset = 0;;) {
        const FILE_ID_BOTH_DIR_INFO *found = (const FILE_ID_BOTH_DIR_INFO *)(const void *)(buffer + offset);
        DWORD error = listing_add(list, found);
        if (error != ERROR_SUCCESS || found->NextEntryOffset == 0)
            return error;
        offset += found->NextEntryOffset;
        PL__CHECK(offset < LISTING_BUFFER);
    }
}

static DWORD list_folder(HANDLE folder, listing *list)
{
    char *buffer = pl__allocate(LISTING_BUFFER);
    DWORD error = buffer ? ERROR_SUCCESS : ERROR_NOT_ENOUGH_MEMORY;
    while (error == ERROR_SUCCESS) {
        if (GetFileInformationByHandleEx(folder, FileIdBothDirectoryInfo, buffer, LISTING_BUFFER))
            error = listing_add_all(list, buffer);
        else
            error = GetLastError();
    }
    if (buffer)
        pl__release(buffer, LISTING_BUFFER);
    /* FILE_NOT_FOUND: the root of a volume, which has no dots, and nothing else in it */
    return error == ERROR_NO_MORE_FILES || error == ERROR_FILE_NOT_FOUND ? ERROR_SUCCESS : error;
}

/* Opens the folder once more: how far it was listed is a property of the open folder, and two may list it at
 * a time. */
static DWORD list_reopened(HANDLE folder, listing *list)
{
    pl_file_info info;
    DWORD error = pl__info_of_handle(folder, &info);
    if (error != ERROR_SUCCESS || info.kind != PL_FILE_FOLDER)
        return error != ERROR_SUCCESS ? error : ERROR_DIRECTORY;
    HANDLE again = ReOpenFile(folder, FILE_LIST_DIRECTORY, SHARE_ALL, FILE_FLAG_BACKUP_SEMANTICS);
    if (again == INVALID_HANDLE_VALUE)
        return GetLastError();
    error = list_folder(again, list);
    CloseHandle(again);
    return error;
}

static int by_name(const void *left, const void *right)
{
    return strcmp(((const pl_folder_entry *)left)->name, ((const pl_folder_entry *)right)->name);
}

int64_t pl__run_folder_list(pl__job *job)
{
    listing list = {0};
    DWORD error = list_reopened((HANDLE)job->as.folder_list.object, &list);
    if (error != ERROR_SUCCESS) {
        listing_free(&list);
        return pl__job_failed(job, error);
    }
    if (list.count > 1)
        qsort(list.entries, list.count, sizeof *list.entries, by_name);
    job->as.folder_list.entries = list.entries;
    job->as.folder_list.count = list.count;
    job->as.folder_list.capacity = list.capacity;
    return (int64_t)list.count;
}

static int64_t on_path(pl__job *job, BOOL (*act)(const WCHAR *))
{
    pl__wide_path path;
    DWORD error = pl__wide_path_make(&path, job->as.path.path);
    if (error == ERROR_SUCCESS && !act(path.text))
        error = GetLastError();
    pl__wide_path_free(&path);
    return error == ERROR_SUCCESS ? 0 : pl__job_failed(job, error);
}

static BOOL make(const WCHAR *path)
{
    return CreateDirectoryW(path, NULL);
}

static BOOL remove_empty(const WCHAR *path)
{
    return RemoveDirectoryW(path);
}

int64_t pl__run_folder_make(pl__job *job)
{
    return on_path(job, make);
}

int64_t pl__run_folder_remove(pl__job *job)
{
    return on_path(job, remove_empty);
}
