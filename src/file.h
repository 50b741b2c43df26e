/* Files, from the inside: what sending one needs. The model stands in file.c. */
#ifndef PROLOOP_SRC_FILE_H
#define PROLOOP_SRC_FILE_H

#include <proloop/file.h>

#include "op.h"

/* Whether its bytes can be sent: PL_OK; PL_ECLOSED: it was closed; PL_EISDIR; PL_EINVAL: it is of another loop. */
int pl__file_check(const pl_file *file, const pl_loop *loop);
uintptr_t pl__file_object(const pl_file *file);

/* How much of `size` bytes from `offset` on the file had when it was opened. */
int64_t pl__file_reach(const pl_file *file, int64_t offset, int64_t size);

/* An operation uses it: it stays open until the last one lets go. */
void pl__file_hold(pl_file *file);
void pl__file_let_go(pl_file *file);

/* Starts an operation whose completion carries a job: `job` NULL ends it with PL_ENOMEM. */
void pl__op_submit_job(pl__op *op, struct pl__job *job, void (*finished)(pl__completion *));

#endif
