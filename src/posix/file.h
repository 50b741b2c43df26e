/* Files of Unix, from the inside: what file.c, folder.c, path.c and copy.c share, and what the adapter calls. */
#ifndef PROLOOP_SRC_POSIX_FILE_H
#define PROLOOP_SRC_POSIX_FILE_H

#include <sys/stat.h>

#include "../file.h"

/* Notes an errno and returns our code. */
int64_t pl__job_failed(pl__job *job, int error);

void pl__info_from_stat(pl_file_info *info, const struct stat *status);

/* Bytes or a negated errno; 0 at the end of the file. The first one never waits for a disk: -EAGAIN. */
int64_t pl__file_read_cached(int descriptor, void *data, size_t size, int64_t offset);
int64_t pl__file_read_some(int descriptor, void *data, size_t size, int64_t offset);
int64_t pl__file_write_some(int descriptor, const void *data, size_t size, int64_t offset); /* offset -1: at the end */

#endif
