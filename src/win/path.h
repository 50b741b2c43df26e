/* Paths of Windows, from the inside: UTF-16 in allocated memory, and what path.c, file.c, folder.c and copy.c share. */
#ifndef PL__WIN_PATH_H
#define PL__WIN_PATH_H

#include "system.h"

#include "../file.h"

typedef struct pl__wide_path {
    WCHAR *text;
    size_t capacity; /* code units allocated */
    size_t length;
} pl__wide_path;

/* Each returns a Win32 code. On failure too, the path is to be freed. */
DWORD pl__wide_path_allocate(pl__wide_path *path, size_t capacity);
DWORD pl__wide_path_from_utf8(pl__wide_path *path, const char *utf8); /* as it is */
DWORD pl__wide_path_make(pl__wide_path *full, const char *utf8);      /* complete, and as long as it likes */
void pl__wide_path_free(pl__wide_path *path);

/* Writes UTF-8, a lone surrogate in three bytes, if there is a place for it: at most three bytes for a unit, and no zero
 * behind. How many bytes. */
size_t pl__utf8_put(char *place, const WCHAR *text, size_t length);

/* The same: pl__allocate(*size + 1), ended by a zero; so is a text that holds one. NULL: out of memory. */
char *pl__utf8_from_wide(const WCHAR *text, size_t length, size_t *size);

/* Notes a Win32 code and returns ours. */
int64_t pl__job_failed(pl__job *job, DWORD error);

/* Without following a link, if so asked. Not to be inherited; folders too. */
HANDLE pl__open_existing(const pl__wide_path *path, DWORD access, bool follow);

/* The path by which the system knows an open file, every link followed. `volume`: VOLUME_NAME_NT, ... */
DWORD pl__real_path(HANDLE file, DWORD volume, pl__wide_path *path);

/* What the system says of an open file. */
DWORD pl__info_of_handle(HANDLE file, pl_file_info *info);
void pl__info_fill(pl_file_info *info, DWORD attributes, int64_t size, int64_t modified); /* clears the rest */
int64_t pl__time_from_ticks(int64_t ticks); /* from tenths of microseconds since 1601, as far as 64 bits reach */
bool pl__time_to_ticks(int64_t time, int64_t *ticks); /* false: before 1601 */

/* A request and the wait for it, on workers: on a handle that belongs to a port, too. `event` is a manual-reset one. */
DWORD pl__read_once(HANDLE file, HANDLE event, void *data, DWORD size, int64_t offset, DWORD *bytes);
DWORD pl__write_once(HANDLE file, HANDLE event, const void *data, DWORD size, int64_t offset, DWORD *bytes);

#endif
