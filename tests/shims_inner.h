/* What the shims of a system use: see shims.h. */
#ifndef PROLOOP_TESTS_SHIMS_INNER_H
#define PROLOOP_TESTS_SHIMS_INNER_H

#include "shims.h"

bool shims_are_on(void);

/* Counts a call, and waits if calls of this kind are held. */
void shim_called(shim kind);

/* What the case wants of this call. `limit` is set for SHIM_SHORT. */
shim_fault shim_fault_of(shim kind, size_t *limit);

/* Of Unix: whether this registration is to fail (shims_foreign.h); errno says how. */
bool foreign_register_fails(void);

/* Windows: whether the open of a pipe fails; GetLastError says how. In shims_pipe_win.c. */
bool shim_pipe_refuses(const wchar_t *path, uint32_t flags);

/* Unix: the descriptor is reported ready anew by its selector, as if something had come. */
void shim_make_edge(int descriptor);

/* Windows: WriteFile of a file on a disk, which has its shim with those of pipes. True: *result is its result; else *size
 * may have become less. */
bool shim_file_write(void *file, const void *data, unsigned long *size, void *overlapped, int *result);

/* Windows: what CreateIoCompletionPort and CancelIoEx, which have their shims with those of datagrams, are to the replay
 * of a folder's events. True: *result is the result. */
void shim_watch_attach(void *file, void *port, uintptr_t key);
bool shim_watch_cancel(void *file, void *overlapped, int *result);

/* A pipe is made, for a child perhaps: whether that is to fail for want of handles. */
bool shim_makes_no_pipe(void);

#endif
