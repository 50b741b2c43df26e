/* What the shims of a system use: see shims.h. */
#ifndef PROLOOP_TESTS_SHIMS_INNER_H
#define PROLOOP_TESTS_SHIMS_INNER_H

#include "shims.h"

bool shims_are_on(void);

/* Counts a call, and waits if calls of this kind are held. */
void shim_called(shim kind);

/* What the case wants of this call. `limit` is set for SHIM_SHORT. */
shim_fault shim_fault_of(shim kind, size_t *limit);

/* Windows: whether the open of a pipe fails; GetLastError says how. In shims_pipe_win.c. */
bool shim_pipe_refuses(const wchar_t *path, uint32_t flags);

/* Unix: the descriptor is reported ready anew by its selector, as if something had come. */
void shim_make_edge(int descriptor);

#endif
