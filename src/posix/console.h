/* console.h: the process's standard streams. */
#ifndef PROLOOP_SRC_POSIX_CONSOLE_H
#define PROLOOP_SRC_POSIX_CONSOLE_H

#include "../proactor.h"

/* STANDARD_OPEN: enum pl_console_kind, or a negated errno. */
int pl__standard_open(pl__request *request);

#endif
