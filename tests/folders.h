/* Files and folders for tests. Paths are UTF-8, "/" separates. */
#ifndef PROLOOP_TESTS_FOLDERS_H
#define PROLOOP_TESTS_FOLDERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

bool folder_make(const char *path);
bool file_make(const char *path, const void *data, size_t size);

/** A symbolic link at `path` with this content. False: not possible here. */
bool link_make(const char *content, const char *path, bool to_folder);

/** A named pipe in the file system. False: there is no such thing here. */
bool pipe_make(const char *path);

/** Renames or moves a file or folder; what is at `to` already is replaced, if it is a file. */
bool path_rename(const char *from, const char *to);

/** Sets when it was changed, in seconds since 1970. False: its file system has no such time. */
bool file_set_changed(const char *path, int64_t seconds);

/** Removes a file, link, pipe or empty folder, and waits until it is gone. What is not there is fine. */
void path_remove(const char *path);

#ifdef __cplusplus
}
#endif

#endif
