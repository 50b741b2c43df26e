/* Child processes, from the inside: how process.c and the systems divide the work. (A process.h of ours would hide the one
 * of Windows.)
 *
 * A spawn is a job (worker_pool.h) with all its parameters in one block of memory. What must be read of the program at the
 * time of the call, or may be refused, is prepared on the caller's thread; the system's calls are made by whoever runs it:
 * a worker, or a thread of the process pool. What it yields is a pl__subprocess, which the functions below work on. They do
 * not wait, and are for one thread at a time: nobody else collects the child, so its number stays its own until
 * pl__subprocess_collect or pl__subprocess_close.
 */
#ifndef PROLOOP_SRC_SUBPROCESS_H
#define PROLOOP_SRC_SUBPROCESS_H

#include <proloop/process.h>

#include "proactor.h"
#include "worker_pool.h"

/* A running child, or one that has ended. */
typedef struct pl__subprocess {
    uintptr_t object; /* Windows: the process's HANDLE; Unix: a descriptor that becomes readable when it has ended, or
                         PL__NO_OBJECT */
    uintptr_t job;    /* Windows: the job object's HANDLE; 0: none */
    uint64_t id;
    uint8_t wait; /* the kind of completion that tells its end: of `object` */
    bool group;   /* it leads a group that can be killed */
    bool by_pidfd;
    bool collected; /* Unix: its number may be somebody else's by now */
} pl__subprocess;

enum { PL__STDIO_COUNT = 3, PL__INHERITED_MAX = 2 };

/* One of the child's standard handles, as the system's part has to make it. */
typedef struct pl__spawn_stdio {
    uint8_t kind; /* enum pl_stdio_kind; a pipe's end or a file stands in `object` */
    bool append;  /* of a file: output goes behind what is there */
    uintptr_t object;
    const char *path;
} pl__spawn_stdio;

typedef struct pl__spawn {
    pl__job job; /* PROCESS_SPAWN */
    const char **argv;
    const char *executable; /* NULL: argv[0] */
    const char *folder;
    const char **environment; /* NULL: this program's own */
    const char **changes;
    pl__spawn_stdio stdio[PL__STDIO_COUNT];
    uintptr_t inherited[PL__INHERITED_MAX]; /* further handles for the child: on Unix its descriptors from 3 on; on
                                               Windows with the same values */
    uint8_t inherited_count;
    bool new_group;
    bool detached;
    bool hidden;
    bool kill_tree;
    bool kill_on_close;
    bool blocks_interrupts; /* Unix: SIGINT stays blocked until the child is ready for it */
    bool unwatched;         /* Unix: nothing tells its end, who made it asks for it */
    void *prepared;         /* the system's own */
    size_t prepared_size;
    const char *search_path; /* Unix: the PATH of the time of the call, in what was prepared */
    pl__subprocess child;    /* the result */
} pl__spawn;

/* Reads what the spawn needs of this process: PL_OK or an error. */
int pl__spawn_prepare(pl__spawn *spawn, int32_t *system_error);

/* Makes the child: 0, with `child`; or an error. Blocks. */
int64_t pl__spawn_now(pl__spawn *spawn, int32_t *system_error);

/* Frees what was prepared. */
void pl__spawn_release(pl__spawn *spawn);

/* 1: it has ended, and `result` says how; 0: it runs; PL_EBROKEN: somebody else collected it. One that leads a group stays
 * uncollected until it is closed, so that the group stays its own. */
int pl__subprocess_collect(pl__subprocess *child, pl_process_result *result);

/* PL_OK, PL_ESTATE: it has ended, PL_ENOTSUP ... */
int pl__subprocess_signal(pl__subprocess *child, int number);
int pl__subprocess_terminate(pl__subprocess *child);
int pl__subprocess_kill(pl__subprocess *child);
int pl__subprocess_kill_tree(pl__subprocess *child);

/* Gives up what is held of it. If it still runs somebody else collects it when it ends. */
void pl__subprocess_close(pl__subprocess *child);

#endif
