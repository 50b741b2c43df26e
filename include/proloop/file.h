/* proloop/file.h: files and folders, without blocking the loop.
 *
 * The system's file calls can take long (a disk that sleeps, a network share), so each runs on a worker
 * thread, never on the loop's. Paths are UTF-8; on Windows they go through UTF-16 and may be long, "/" and
 * "\" both separate.
 */
#ifndef PROLOOP_FILE_H
#define PROLOOP_FILE_H

#include <proloop/base.h>
#include <proloop/op.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pl_file_kind {
    PL_FILE_REGULAR = 1,
    PL_FILE_FOLDER = 2,
    PL_FILE_LINK = 3, /* only in listings, which follow none */
    PL_FILE_OTHER = 4 /* device, pipe, socket */
};

/** What the system says of a file. */
typedef struct pl_file_info {
    int64_t size;     /* bytes */
    int64_t modified; /* nanoseconds since 1970-01-01 UTC */
    int kind;         /* enum pl_file_kind */
    int reserved;
} pl_file_info;

/** An open file. Freed by pl_file_close. */
typedef struct pl_file pl_file;

typedef struct pl_file_options {
    size_t size;         /* sizeof(pl_file_options) */
    const char *beneath; /* a folder: PL_EACCES unless the real path of what was opened, with every link followed, lies
                            in it. Safe against links that change in between: it is the open file that is asked. */
} pl_file_options;

/** Opens an existing file or folder for reading. Task call (suspends). Never waits for the other end of a pipe or
 *  for a device: such are opened as PL_FILE_OTHER or refused.
 *  @return PL_OK; PL_ENOENT, PL_EACCES, PL_EMFILE, PL_ECANCELED ...   Cancel: abandonable. */
PL_API int64_t pl_file_open(pl_file **file, const char *path, const pl_file_options *options);

/** The same, started. The file stands in *file when the operation is done with PL_OK. */
PL_API int pl_file_open_start(pl_op *op, pl_file **file, const char *path, const pl_file_options *options);

/** What was known when it was opened: kind, size and time. Never waits. */
PL_API int pl_file_info_get(const pl_file *file, pl_file_info *info);

/** Reads at an offset until `size` bytes or the end of the file. Task call (suspends).
 *  @return bytes, fewer only at the end of the file, 0 there.   Cancel: joined (the memory is the caller's). */
PL_API int64_t pl_file_read(pl_file *file, void *data, size_t size, int64_t offset);

/** The same, started. */
PL_API int pl_file_read_start(pl_op *op, pl_file *file, void *data, size_t size, int64_t offset);

/** Closes a file when its reads have ended. Never suspends, never fails. NULL is allowed. */
PL_API void pl_file_close(pl_file *file);

/** What the system says of a path, links followed. Task call (suspends).   Cancel: abandonable. */
PL_API int64_t pl_file_stat(const char *path, pl_file_info *info);

/** The same, started. */
PL_API int pl_file_stat_start(pl_op *op, const char *path, pl_file_info *info);

/** One entry of a folder. */
typedef struct pl_folder_entry {
    char *name; /* UTF-8 */
    pl_file_info info;
} pl_folder_entry;

/** The entries of a folder, sorted by name (bytewise), "." and ".." left out. */
typedef struct pl_folder_listing {
    pl_folder_entry *entries;
    size_t count;
    size_t capacity;
} pl_folder_listing;

/** Lists an open folder. Task call (suspends). pl_folder_listing_free gives the memory back.
 *  @return the number of entries; PL_ENOTDIR, PL_ECANCELED, ...   Cancel: joined. */
PL_API int64_t pl_folder_list(pl_file *folder, pl_folder_listing *listing);

/** The same, started. */
PL_API int pl_folder_list_start(pl_op *op, pl_file *folder, pl_folder_listing *listing);

/** Frees what pl_folder_list gave; the listing is empty then. */
PL_API void pl_folder_listing_free(pl_folder_listing *listing);

#ifdef __cplusplus
}
#endif

#endif
