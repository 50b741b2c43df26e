/* proloop/file.h: files, folders and paths, without blocking the loop.
 *
 * The system's file calls can take long (a disk that sleeps, a network share), so they run on a worker thread, never on
 * the loop's. Reads, and writes within a file, go through the completion port on Windows; on Linux a read of what the
 * system has in memory ends at once.
 *
 * Paths are UTF-8. On Windows they go through UTF-16 and may be long, "/" and "\" both separate. A name that is no
 * UTF-16 there (a lone surrogate) is written as WTF-8, the surrogate in three bytes as if it were a character; on Unix
 * a name is whatever bytes it consists of. Either way a name from a listing opens the file it is of.
 *
 * What a cancel does: *abandonable* calls end at once; *joined* ones are taken back while they wait for a worker, and
 * else end with their true result. A call that changes something is never abandoned: PL_ECANCELED means that nothing
 * was changed, unless it says more.
 *
 * Every call comes twice: the task call (suspends; PL_ENOTASK outside a task), and `_start`, which returns negative for
 * misuse only (PL_EINVAL, PL_EBUSY, PL_ECLOSED, PL_ENOLOOP, PL_ETHREAD in debug mode). Calls with an open file belong to
 * the thread of its loop.
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
    PL_FILE_LINK = 3, /* only in listings and from pl_link_stat, which follow none */
    PL_FILE_OTHER = 4 /* device, pipe, socket */
};

/** What the system says of a file. Times are nanoseconds since 1970-01-01 UTC; 0 stands for what is not known. */
typedef struct pl_file_info {
    int64_t size; /* bytes; 0 of a folder on Windows */
    int64_t modified;
    int kind;      /* enum pl_file_kind */
    uint32_t mode; /* permission bits, 0777 and above as on Unix; on Windows 0666 or 0444, 0777 of a folder */
    int64_t accessed;
    int64_t changed; /* contents or metadata */
    int64_t created; /* Windows, macOS; on Linux not known */
    uint64_t links;  /* names that the file has; not known in listings on Windows */
    uint64_t volume; /* with `id`: two are equal if they are of one file */
    uint64_t id;     /* on Windows in listings 0 where the file system gives none */
    uint32_t user;   /* Unix */
    uint32_t group;  /* Unix */
} pl_file_info;

/** An open file. Freed by pl_file_close. */
typedef struct pl_file pl_file;

/** What a file is opened for; 0: PL_FILE_READ. */
enum pl_file_flag {
    PL_FILE_READ = 1,
    PL_FILE_WRITE = 2,
    PL_FILE_APPEND = 4,     /* writes go to the end, wherever that is: pl_file_append, atomic beside other processes */
    PL_FILE_CREATE = 8,     /* if it is not there */
    PL_FILE_EXCLUSIVE = 16, /* with PL_FILE_CREATE: PL_EEXIST if it is there; a link counts as there */
    PL_FILE_TRUNCATE = 32   /* to no bytes; wants PL_FILE_WRITE or PL_FILE_APPEND */
};

/** Windows: what others may do with the file while it is open; 0: everything, as on Unix. */
enum pl_file_share {
    PL_FILE_SHARE_READ = 1,
    PL_FILE_SHARE_WRITE = 2,
    PL_FILE_SHARE_DELETE = 4, /* and rename */
    PL_FILE_SHARE_NOTHING = 8
};

typedef struct pl_file_options {
    size_t size;         /* sizeof(pl_file_options) */
    const char *beneath; /* a folder: PL_EACCES unless the real path of what was opened, with every link followed, lies
                            in it. Safe against links that change in between: it is the open file that is asked, before
                            it is truncated. A new file is made in a folder that was asked. */
    uint32_t flags;      /* enum pl_file_flag */
    uint32_t mode;       /* Unix: permissions of a file that is made, less the umask; 0: 0666. Windows: without 0200 the
                            new file is read-only, once it is closed */
    uint32_t share;      /* enum pl_file_share */
    uint32_t reserved;
} pl_file_options;

/** Opens a file, or a folder for reading. Never waits for the other end of a pipe or for a device (CON, NUL, a FIFO):
 *  such are opened as PL_FILE_OTHER or refused, and only looked at (PL_ENOTSUP from reads and writes).
 *  Not inherited by children. `open`, `CreateFileW`.
 *  @return PL_OK; PL_ENOENT, PL_EACCES, PL_EEXIST, PL_EISDIR, PL_EMFILE, PL_ELOCKED (Windows: another program shares less) ...
 *  Cancel: abandonable; with PL_FILE_CREATE or PL_FILE_TRUNCATE joined: if it is opened, you get it. */
PL_API int64_t pl_file_open(pl_file **file, const char *path, const pl_file_options *options);

/** The same, started. The file stands in *file when the operation is done with PL_OK. */
PL_API int pl_file_open_start(pl_op *op, pl_file **file, const char *path, const pl_file_options *options);

/** Opens a new file without a name, for reading and writing, which is gone when it is closed, or the program ends, however
 *  that happens (on Windows it has a name while it is open). `folder` NULL: the system's place for such.
 *  `mode` and `share` of the options count; `flags` and `beneath` must be 0. `tmpfile`, tempfile.TemporaryFile.
 *  @return as pl_file_open.   Cancel: joined. */
PL_API int64_t pl_file_open_temporary(pl_file **file, const char *folder, const pl_file_options *options);

/** The same, started. */
PL_API int pl_file_open_temporary_start(pl_op *op, pl_file **file, const char *folder, const pl_file_options *options);

/** Makes and opens a new file under a name nobody can guess, for reading and writing, for its owner only. It stays: you
 *  remove it. Its path (the folder's, a slash, a name) goes to `path`, of `capacity` bytes. `mkstemp`.
 *  @return PL_OK; PL_ENAMETOOLONG: the path does not fit, nothing was made; else as pl_file_open.   Cancel: joined. */
PL_API int64_t pl_file_make_temporary(pl_file **file, const char *folder, char *path, size_t capacity);

/** The same, started. */
PL_API int pl_file_make_temporary_start(pl_op *op, pl_file **file, const char *folder, char *path, size_t capacity);

/** What was known when it was opened, or last asked by pl_file_look; the size follows this file's own writes. Never waits. */
PL_API int pl_file_info_get(const pl_file *file, pl_file_info *info);

/** What the system says of an open file now. `fstat`.   Cancel: joined. */
PL_API int64_t pl_file_look(pl_file *file, pl_file_info *info);

/** The same, started. */
PL_API int pl_file_look_start(pl_op *op, pl_file *file, pl_file_info *info);

/** How large the open file is now.
 *  @return bytes, or an error.   Cancel: joined. */
PL_API int64_t pl_file_size(pl_file *file);

/** The same, started. */
PL_API int pl_file_size_start(pl_op *op, pl_file *file);

/** Reads at an offset until `size` bytes or the end of the file. Reads of one file may go on at once. `pread`.
 *  @return bytes, fewer only at the end of the file, 0 there; PL_EISDIR, PL_ENOTSUP (PL_FILE_OTHER), PL_EIO ...
 *  Cancel: on Unix joined (the memory is the caller's); on Windows a request: it ends soon. With PL_ECANCELED what the
 *  memory holds is undefined. */
PL_API int64_t pl_file_read(pl_file *file, void *data, size_t size, int64_t offset);

/** The same, started. */
PL_API int pl_file_read_start(pl_op *op, pl_file *file, void *data, size_t size, int64_t offset);

/** Writes all of it at an offset; beyond the end the file grows, a gap reads as zeros. Writes of one file may go on at
 *  once, and in any order. The bytes are with the system then, not yet on the disk: pl_file_flush. Wants
 *  PL_FILE_WRITE without PL_FILE_APPEND (else PL_EBADF). `pwrite`.
 *  @return PL_OK: all of it; PL_ENOSPC, PL_EFBIG, PL_EIO ...: how far it came pl_file_bytes_written tells, of all writes
 *  together; the bytes go in order, in pieces.
 *  Cancel: on Unix joined; on Windows a request, joined where it extends the file. PL_ECANCELED: nothing was written, or
 *  a part, as pl_file_bytes_written tells. */
PL_API int64_t pl_file_write(pl_file *file, const void *data, size_t size, int64_t offset);

/** The same, started. */
PL_API int pl_file_write_start(pl_op *op, pl_file *file, const void *data, size_t size, int64_t offset);

/** Writes at the end of a file opened with PL_FILE_APPEND. Up to 1 GiB goes in one piece: what several append, in this
 *  process or another, does not mix (unless the disk is full, or on a network share). O_APPEND, FILE_APPEND_DATA.
 *  @return as pl_file_write; PL_EBADF: not opened so.   Cancel: joined. */
PL_API int64_t pl_file_append(pl_file *file, const void *data, size_t size);

/** The same, started. */
PL_API int pl_file_append_start(pl_op *op, pl_file *file, const void *data, size_t size);

/** How many bytes the writes of this open file have written that are done, those of failed ones included. Never waits.
 *  @return bytes; PL_EINVAL. */
PL_API int64_t pl_file_bytes_written(const pl_file *file);

/** Waits until what was written has reached the disk, and the file's metadata with it (fsync, F_FULLFSYNC,
 *  FlushFileBuffers; on Windows the file is open for writing). PL_ENOSPC or PL_EIO: a write that seemed to be done has failed.   Cancel: joined. */
PL_API int64_t pl_file_flush(pl_file *file);

/** The same, started. */
PL_API int pl_file_flush_start(pl_op *op, pl_file *file);

/** As pl_file_flush, but of the metadata only what reading the data needs: times may be lost. fdatasync; on Windows and
 *  macOS the same as pl_file_flush.   Cancel: joined. */
PL_API int64_t pl_file_flush_data(pl_file *file);

/** The same, started. */
PL_API int pl_file_flush_data_start(pl_op *op, pl_file *file);

/** Cuts the file to `size` bytes, or extends it by zeros. ftruncate, SetEndOfFile.   Cancel: joined. */
PL_API int64_t pl_file_resize(pl_file *file, int64_t size);

/** The same, started. */
PL_API int pl_file_resize_start(pl_op *op, pl_file *file, int64_t size);

/** As a time: leave it as it is. */
#define PL_TIME_KEEP INT64_MIN

/** Sets when the file was read and changed last, in nanoseconds since 1970-01-01 UTC; PL_TIME_KEEP leaves one. The file
 *  is open for writing. What the file system does not keep is cut off (Windows: below 100 ns).
 *  futimens, SetFileTime.   Cancel: joined. */
PL_API int64_t pl_file_set_times(pl_file *file, int64_t accessed, int64_t modified);

/** The same, started. */
PL_API int pl_file_set_times_start(pl_op *op, pl_file *file, int64_t accessed, int64_t modified);

/** Closes a file when its reads, writes and the rest have ended. Never suspends, never fails; who must know whether all
 *  is on the disk flushes before. NULL is allowed. */
PL_API void pl_file_close(pl_file *file);

/* --- Paths -------------------------------------------------------------------------------------------------------- */

/** What the system says of a path, links followed. `stat`.   Cancel: abandonable. */
PL_API int64_t pl_file_stat(const char *path, pl_file_info *info);

/** The same, started. */
PL_API int pl_file_stat_start(pl_op *op, const char *path, pl_file_info *info);

/** What the system says of a path itself: of a link, not of what it leads to. `lstat`.   Cancel: abandonable. */
PL_API int64_t pl_link_stat(const char *path, pl_file_info *info);

/** The same, started. */
PL_API int pl_link_stat_start(pl_op *op, const char *path, pl_file_info *info);

/** Gives a file, link or folder another path on the same volume. A file that has that path already is replaced, in one
 *  step, even while it is open (Windows: from 10 on, and if those that have it open share that).
 *  `rename`, FileRenameInfoEx with POSIX semantics, else MoveFileExW.
 *  @return PL_OK; PL_ENOENT, PL_EACCES, PL_ENOTSUP (another volume), PL_ENOTEMPTY or PL_EEXIST (a folder is there),
 *  PL_EISDIR, PL_ENOTDIR, PL_ELOCKED (Windows) ...   Cancel: joined. */
PL_API int64_t pl_file_rename(const char *from, const char *to);

/** The same, started. */
PL_API int pl_file_rename_start(pl_op *op, const char *from, const char *to);

/** Removes a file or a link. Who has it open keeps it until it is closed; the name is free at once (Windows: from 10 on,
 *  on NTFS; before that, when the last one has closed it). A read-only file is removed too.
 *  `unlink`, FileDispositionInfoEx.
 *  @return PL_OK; PL_ENOENT, PL_EACCES, PL_EISDIR, PL_ELOCKED (Windows) ...   Cancel: joined. */
PL_API int64_t pl_file_remove(const char *path);

/** The same, started. */
PL_API int pl_file_remove_start(pl_op *op, const char *path);

/** Makes a symbolic link at `path` with this content. On Windows "/" in it becomes "\", what it leads to decides
 *  whether it is a link to a folder, and it needs a privilege or developer mode (else PL_EACCES).   Cancel: joined. */
PL_API int64_t pl_link_make(const char *path, const char *content);

/** The same, started. */
PL_API int pl_link_make_start(pl_op *op, const char *path, const char *content);

/** The content of a symbolic link (on Windows of a junction too), ended by a zero byte.
 *  @return its length; PL_ENAMETOOLONG: it does not fit into `capacity` bytes; PL_EINVAL: no link.   Cancel: abandonable. */
PL_API int64_t pl_link_read(const char *path, char *content, size_t capacity);

/** The same, started. */
PL_API int pl_link_read_start(pl_op *op, const char *path, char *content, size_t capacity);

/** The full path of what is there, every link followed, ended by a zero byte. `realpath`.
 *  @return its length; PL_ENAMETOOLONG: it does not fit into `capacity` bytes; PL_ENOENT ...   Cancel: abandonable. */
PL_API int64_t pl_path_real(const char *path, char *real, size_t capacity);

/** The same, started. */
PL_API int pl_path_real_start(pl_op *op, const char *path, char *real, size_t capacity);

/* --- Copying ------------------------------------------------------------------------------------------------------ */

/** How far a copy has come. */
typedef void pl_file_copy_progress_fn(void *arg, int64_t done, int64_t total);

typedef struct pl_file_copy_options {
    size_t size;   /* sizeof(pl_file_copy_options) */
    int overwrite; /* a file at `to` is replaced when the copy is complete; else PL_EEXIST */
    int reserved;
    pl_file_copy_progress_fn *progress; /* called on the loop's thread, outside tasks, after each piece; not after the
                                           end. `total` is the file's size when the copy began. May cancel */
    void *arg;
} pl_file_copy_options;

/** Copies a file, in pieces of 1 MiB on a worker, by the system's own means where there are such (copy_file_range: on
 *  some file systems the two share their blocks). Kept: the bytes, the times of reading and changing, the permission bits
 *  (Windows: read-only, hidden, system, archive). Not kept: owner, access lists, extended attributes, other streams, holes
 *  (they may be filled), hard links. A link at `from` is followed. To replace, the copy is made under another name in the
 *  same folder and renamed, so that `to` is the old file or the new one at any time; a link at `to` is replaced itself.
 *  @return the bytes copied; PL_EISDIR: a folder; PL_EEXIST, PL_ENOSPC ...: what was made is removed.
 *  Cancel: a request: it ends after the present piece with PL_ECANCELED, and what was made is removed. */
PL_API int64_t pl_file_copy(const char *from, const char *to, const pl_file_copy_options *options);

/** The same, started. */
PL_API int pl_file_copy_start(pl_op *op, const char *from, const char *to, const pl_file_copy_options *options);

/* --- Folders ------------------------------------------------------------------------------------------------------ */

/** Makes a folder. `mode`: Unix, permissions, less the umask; 0: 0777. `mkdir`.
 *  @return PL_OK; PL_EEXIST, PL_ENOENT (the folder it should be in), PL_EACCES ...   Cancel: joined. */
PL_API int64_t pl_folder_make(const char *path, uint32_t mode);

/** The same, started. */
PL_API int pl_folder_make_start(pl_op *op, const char *path, uint32_t mode);

/** Makes a folder under a name nobody can guess, for its owner only, in `folder`, or NULL: the system's place for such.
 *  Its path goes to `path`, of `capacity` bytes. You remove it. `mkdtemp`.
 *  @return as pl_folder_make; PL_ENAMETOOLONG: the path does not fit, nothing was made.   Cancel: joined. */
PL_API int64_t pl_folder_make_temporary(const char *folder, char *path, size_t capacity);

/** The same, started. */
PL_API int pl_folder_make_temporary_start(pl_op *op, const char *folder, char *path, size_t capacity);

/** Removes an empty folder. `rmdir`.
 *  @return PL_OK; PL_ENOTEMPTY, PL_ENOENT, PL_ENOTDIR ...   Cancel: joined. */
PL_API int64_t pl_folder_remove(const char *path);

/** The same, started. */
PL_API int pl_folder_remove_start(pl_op *op, const char *path);

/** One entry of a folder. */
typedef struct pl_folder_entry {
    char *name; /* UTF-8; see the top for what is not */
    pl_file_info info;
} pl_folder_entry;

/** The entries of a folder, sorted by name (bytewise), "." and ".." left out. */
typedef struct pl_folder_listing {
    pl_folder_entry *entries;
    size_t count;
    size_t capacity;
} pl_folder_listing;

/** Lists an open folder. Task call (suspends). pl_folder_listing_free gives the memory back.
 *  @return the number of entries; PL_ENOTDIR, PL_ECANCELED, ...   Cancel: joined. What appears or goes meanwhile may be in
 *  it or not. */
PL_API int64_t pl_folder_list(pl_file *folder, pl_folder_listing *listing);

/** The same, started. */
PL_API int pl_folder_list_start(pl_op *op, pl_file *folder, pl_folder_listing *listing);

/** Frees what pl_folder_list gave; the listing is empty then. */
PL_API void pl_folder_listing_free(pl_folder_listing *listing);

#ifdef __cplusplus
}
#endif

#endif
