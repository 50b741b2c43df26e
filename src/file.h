/* Files, from the inside: what sending one needs, and how calls that are jobs begin and end. The models stand in file.c
 * and path.c. */
#ifndef PROLOOP_SRC_FILE_H
#define PROLOOP_SRC_FILE_H

#include <proloop/file.h>

#include "op.h"
#include "worker_pool.h"

/* Whether its bytes can be read, written or sent: PL_OK; PL_ECLOSED: it was closed; PL_EISDIR; PL_ENOTSUP: it is on no
 * disk; PL_EINVAL: it is of another loop. */
int pl__file_check(const pl_file *file, const pl_loop *loop);
uintptr_t pl__file_object(const pl_file *file);
uint32_t pl__file_flags(const pl_file *file); /* enum pl_file_flag */
pl_loop *pl__file_loop(const pl_file *file);

/* How much of `size` bytes from `offset` on the file had when it was opened, or has got by our writes. */
int64_t pl__file_reach(const pl_file *file, int64_t offset, int64_t size);

/* An operation uses it: it stays open until the last one lets go. */
void pl__file_hold(pl_file *file);
void pl__file_let_go(pl_file *file);

/* The checks of an operation on an open file. */
int pl__file_check_op(const pl_op *op, const pl_file *file);

/* The checks of an operation on a path: *loop is the running one. */
int pl__path_check_op(const pl_op *op, const char *path, pl_loop **loop);

/* Starts an operation whose completion carries a job: `job` NULL ends it with PL_ENOMEM. */
void pl__op_submit_job(pl__op *op, pl__job *job, void (*finished)(pl__completion *));

/* Takes the result of a job; after a cancel that abandoned it, *job is NULL. */
int64_t pl__op_take_job(pl__op *op, pl__job **job);

/* Closes what a job has opened and nobody will use. Worker, or loop's thread at the end. */
void pl__file_close_object(uintptr_t object);

/* Puts text that a job made into the caller's memory: its length, or PL_ENAMETOOLONG. */
int64_t pl__text_give(const pl__op *op, const char *text, size_t length);

/* temporary.c: a name that nobody can guess, of PL__NAME_SIZE bytes with the zero. PL_OK or an error. Any thread. */
enum { PL__NAME_SIZE = 20 };
int pl__name_make(char *name);

/* In src/win and src/posix, on workers: */
bool pl__is_separator(char character);                  /* of the parts of a path */
int pl__system_random(void *data, size_t size);         /* PL_OK, or why not */
char *pl__temporary_folder(void);                       /* pl__allocate(strlen + 1); NULL: out of memory */
int64_t pl__file_copy_piece(pl__job *job, size_t size); /* bytes, 0 at the end; errors as a job's */
int64_t pl__file_copy_marks(pl__job *job);              /* times and permissions; as a job's */

#endif
