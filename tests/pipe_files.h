/* The files that named pipes have on Unix. On Windows there are none, and every function says so. */
#ifndef PROLOOP_TESTS_PIPE_FILES_H
#define PROLOOP_TESTS_PIPE_FILES_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Whether named pipes have files here. */
bool pipe_files_exist(void);

/** The permission bits of a socket's file; -1: there is none. */
int pipe_file_mode(const char *path);

/** Leaves the file of a socket at which nobody listens. */
bool pipe_file_leave_stale(const char *path, bool messages);

/** Where a name without slashes is; no more than `size` bytes. */
void pipe_file_path(const char *name, char *path, size_t size);

/** As a foreign program does: connects, writes no bytes, then some, and closes. A full path. */
bool pipe_file_write_nothing(const char *path, const char *then, bool messages);

#ifdef __cplusplus
}
#endif

#endif
