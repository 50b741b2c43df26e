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

/* Unix: a socket loses its peer. In shims_udp_posix.c. */
void shim_disconnects(void);

/* A pipe is made, for a child perhaps: whether that is to fail for want of handles. */
bool shim_makes_no_pipe(void);

/* Windows: the packet of a request that ended like this, at the port that was made last. */
void shim_post(void *overlapped, uint32_t status, uint32_t bytes);

/* Windows: whether a request that is put off was to be cancelled. Its packet comes. */
bool shim_file_cancels(void *overlapped);

/* Windows: what the replay of a watched folder (shim_watch_win.c) makes of the calls whose shims stand with those of
 * UDP. True: *result is the call's. */
void replay_attached(void *file, void *port, uintptr_t key);
bool replay_cancels(void *file, void *overlapped, int *result);

#endif
