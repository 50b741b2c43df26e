/* The bare worker pool: threads for system calls that have no completion form.
 *
 * A *job* is one such call with memory of its own: parameters copied in, results copied out. Each proactor has a pool,
 * made when the first job comes. A worker runs the job's system call (`pl__run_<kind>`, in src/win and src/posix),
 * puts it on the pool's finished list and wakes the proactor, whose poll collects it.
 *
 * While a job is queued a cancel takes it back; while it runs it is either *abandoned* (its completion ends at once,
 * the worker drops the job when the call returns) or, if it uses the caller's memory, joined. A job without a
 * completion was abandoned, and its worker drops it; the completion's `as.job` is NULL then. In every other case the
 * job is the owner's again when poll hands the completion over.
 *
 * A system call that waits by itself needs no worker for that: `pl__run_<kind>` only starts it and returns
 * PL__JOB_AWAY, and whoever learns of its end, on a thread of the system's, says pl__job_end. Such a job is running
 * until then, and keeps the pool's memory; the rest is as above.
 */
#ifndef PROLOOP_SRC_WORKER_POOL_H
#define PROLOOP_SRC_WORKER_POOL_H

#include <proloop/dns.h>
#include <proloop/file.h>

#include "proactor.h"

#define PL__JOB_AWAY INT64_MIN /* a result of pl__run_<kind>: pl__job_end tells the true one, or did already */

struct pl__job {
    pl__node node;              /* the pool's queue or its finished list */
    pl__completion *completion; /* NULL: abandoned. Guarded by the pool's mutex while the pool has the job */
    void (*drop)(pl__job *);    /* releases the job and what it yielded; on a worker if it was abandoned */
    size_t size;                /* of this allocation, the strings behind it included; 0: not allocated by itself */
    size_t strings_used;        /* bytes of the strings behind it that are filled */
    int64_t result;
    int32_t system_error;
    uint8_t kind;  /* PL__RESOLVE, ... */
    uint8_t state; /* the pool's own */
    bool ended;    /* the pool's own: pl__job_end came before its worker was back */
    struct pl__worker_pool *pool;
    void (*stop)(
        void *argument); /* of one that is away: makes an abandoned call end sooner; NULL: nothing does. Called */
    void *stop_argument; /* outside of all locks, perhaps after the call's end; set by pl__run_<kind> */
    union {
        struct {                   /* result: the number of addresses, >= 1. resolver.h helps to fill it in */
            const char *host;      /* UTF-8; NULL: the wildcard */
            const char *service;   /* NULL: `port` is the port */
            char *canonical;       /* PL_HOST_NAME_SIZE bytes, zeroed; NULL: not wanted */
            pl_address *addresses; /* pl__allocate(capacity * sizeof *addresses) */
            size_t count;
            size_t capacity;
            uint16_t port;
            uint8_t family; /* PL_IPV4, PL_IPV6, or 0: both */
            uint8_t flags;  /* enum pl_resolve_flag */
        } resolve;
        struct {        /* result: the length of the name */
            char *name; /* PL_HOST_NAME_SIZE bytes */
            pl_address address;
        } resolve_address;
        struct
        { /* result: 0. Opens files and folders, never waits for the other end of a pipe. FILE_OPEN and FILE_CREATE
                    do the same; FILE_TEMPORARY makes `path`, `text` of `folder` */
            const char *path;
            const char *beneath; /* NULL, or: PL_EACCES unless the file's final, real path lies under this folder's */
            const char *folder;  /* FILE_TEMPORARY: NULL is the system's */
            char *text;          /* FILE_TEMPORARY with a capacity: the path, pl__allocate(strlen + 1) */
            size_t capacity;     /* FILE_TEMPORARY: bytes that the path may take; 0: the file is to have no name */
            uint32_t flags;      /* enum pl_file_flag */
            uint32_t mode;
            uint32_t share; /* enum pl_file_share */
            bool unnamed;   /* goes when it is closed */
            uintptr_t object;
            pl_file_info info;
        } file_open;
        struct { /* result: 0. LOOK, FLUSH, RESIZE, TIMES, CLOSE */
            uintptr_t object;
            bool data_only;
            int64_t size;
            int64_t accessed; /* or PL_TIME_KEEP */
            int64_t modified;
            pl_file_info info;
        } file;
        struct { /* result: 0. Also on failure `done` tells how far it came */
            uintptr_t object;
            const char *data;
            size_t size;
            size_t done;
            int64_t offset; /* -1: at the end */
        } file_extend;
        struct { /* result: the bytes of the step; see copy.c */
            const char *from;
            const char *to;
            char *target; /* the path that is written; NULL: none was made. pl__allocate(strlen + 1) */
            uintptr_t source_object;
            uintptr_t target_object;
            pl_file_info info; /* of the source */
            int64_t done;
            uint8_t step;
            bool overwrite;
        } file_copy;
        struct { /* result: 0. STAT, RENAME, REMOVE, LINK_MAKE, FOLDER_MAKE, FOLDER_REMOVE */
            const char *path;
            const char *other; /* the new path, or the content of a link */
            uint32_t mode;
            bool follow;
            pl_file_info info;
        } path;
        struct { /* result: the length of text, pl__allocate(length + 1). LINK_READ, PATH_REAL, FOLDER_TEMPORARY */
            const char *path;
            char *text;
            size_t capacity; /* FOLDER_TEMPORARY: bytes that the path may take */
        } text;
        struct {                      /* result: the number of entries */
            uintptr_t object;         /* of the open folder */
            pl_folder_entry *entries; /* pl__allocate(capacity * sizeof *entries); names by pl__allocate(strlen + 1) */
            size_t count;
            size_t capacity;
        } folder_list;
        struct {              /* result: 0; PL_EBUSY: the server has no room for one more now */
            const char *name; /* as pl_pipe_connect has it */
            bool messages;
            bool impersonate;
            pl__handle opened; /* not attached */
        } pipe_open;
        struct { /* result: 0 */
            const char *path;
            uint8_t wanted; /* enum pl_watch_kind */
            bool recursive;
            uintptr_t object;           /* for a handle of type PL__FOLDER; closed as a file is */
            struct pl__changes *system; /* see watch.h */
        } changes_open;
        struct { /* result: 0 */
            uintptr_t object;
            struct pl__changes *system;
            void *data;            /* PL__CHANGES_SIZE bytes, the job's unless `halves` */
            size_t size;           /* bytes that came */
            bool halves;           /* the new name of a rename did not come: its old one is told. Nothing is read */
            struct pl__news *news; /* gets what there is to tell */
        } changes_read;
    } as;
};

/* A job with room for the strings it will refer to: pl__job_string copies one in. NULL: out of memory. */
pl__job *pl__job_create(uint8_t kind, size_t strings_size);
char *pl__job_space(pl__job *job, size_t size);             /* zeroed */
const char *pl__job_string(pl__job *job, const char *text); /* NULL gives NULL */
void pl__job_destroy(pl__job *job); /* `drop` of a job that yields nothing but itself; NULL is allowed */

/* The system calls, one per WORKER kind, in src/win and src/posix: run on a worker, return the result, set
 * job->system_error. */
#define PL__DECLARE_RUN_SYSTEM(name)
#define PL__DECLARE_RUN_WORKER(name)        int64_t pl__run_##name(pl__job *job);
#define PL__DECLARE_RUN(NAME, name, who, c) PL__DECLARE_RUN_##who(name)
PL__OPERATIONS(PL__DECLARE_RUN)
#undef PL__DECLARE_RUN
#undef PL__DECLARE_RUN_WORKER
#undef PL__DECLARE_RUN_SYSTEM

typedef struct pl__worker_pool pl__worker_pool;

/* The end of a job that is away, or whose pl__run_<kind> is about to say so. Any thread, once; the job may be gone when it
 * returns. */
void pl__job_end(pl__job *job, int64_t result, int32_t system_error);

/* A function run on a worker outside the table of kinds: for a proactor's own needs (a sendfile that reads a disk). */
typedef struct pl__errand {
    pl__node node;
    void (*run)(struct pl__errand *);      /* on a worker */
    void (*finished)(struct pl__errand *); /* on the loop's thread, by pl__worker_pool_collect */
    bool queued;                           /* the pool's own */
} pl__errand;

/* `wake(context)` is called on a worker after the finished list became non-empty. */
pl__worker_pool *pl__worker_pool_create(void (*wake)(void *context), void *context);

/* No completion is in flight. Abandoned jobs may still run: their threads keep what they need of the pool alive. */
void pl__worker_pool_destroy(pl__worker_pool *pool);

/* As submit and cancel of a proactor, for completions of WORKER kinds: these functions are the whole of it. */
int pl__worker_pool_submit(pl__worker_pool *pool, pl__completion *completion);
void pl__worker_pool_cancel(pl__worker_pool *pool, pl__completion *completion);

/* Runs a function of the proactor itself. PL_OK, or an error: no worker could be started, and it will not run. */
int pl__worker_pool_errand(pl__worker_pool *pool, pl__errand *errand);

/* Takes one back that no worker has begun. True: it will neither run nor finish. */
bool pl__worker_pool_take_back(pl__worker_pool *pool, pl__errand *errand);

/* Moves what has finished (or was cancelled) to the list; runs the errands' finished functions. Loop's thread. */
void pl__worker_pool_collect(pl__worker_pool *pool, pl__list *finished);

#endif
