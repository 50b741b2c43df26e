/* Scopes: the parts of a task that can be cancelled as a whole.
 *
 * A task's open scopes form a stack, innermost first, linked through structs on the task's own stack. A scope that is
 * cancelled stays so until it ends: it is a level that every wait looks at. A shielded scope hides what lies around it,
 * and the task's own edge too.
 */
#ifndef PROLOOP_SRC_SCOPE_H
#define PROLOOP_SRC_SCOPE_H

#include <stdbool.h>

#include <proloop/task.h>

#include "timer.h"

typedef enum pl__scope_kind {
    PL__SCOPE_NONE,
    PL__SCOPE_TIMEOUT,
    PL__SCOPE_GROUP,
    PL__SCOPE_SHIELDED,
    PL__SCOPE_AS_COMPLETED
} pl__scope_kind;

typedef struct pl__scope {
    pl_task *task; /* NULL: not open */
    struct pl__scope *outer;
    const char *where;   /* "file.c:12" */
    uint32_t cancelling; /* the task's count of cancels when it began */
    uint8_t kind;
    bool cancelled;
} pl__scope;

typedef struct pl__timeout {
    pl__scope scope;
    pl__timer timer;
    bool expired;
} pl__timeout;

static inline pl__timeout *pl__timeout_of(const pl_timeout *timeout)
{
    return (pl__timeout *)(uintptr_t)timeout->opaque.space;
}

/* Opens a scope of the running task. PL_OK, PL_ENOTASK, PL_EBUSY. */
int pl__scope_open(pl__scope *scope, pl__scope_kind kind, const char *where);

/* Closes it; stops the program unless it is the innermost one of the running task. */
void pl__scope_close(pl__scope *scope);

/* Cancels it as a level, and interrupts the wait in which its task is. */
void pl__scope_cancel(pl__scope *scope);

/* Of a scope just closed whose body ended with PL_ECANCELED: whether its own cancel explains that. */
bool pl__scope_explains_cancel(const pl__scope *scope);

/* Stops the program, saying which the task's innermost scope is. */
PL__NORETURN void pl__scope_panic(const pl_task *task, const char *message);

#endif
