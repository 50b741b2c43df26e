/* Shims between the library and the system's calls for pipes: so many calls of a kind fail as a case wants, and what they
 * are given is looked at. As shims.h, which has the other calls.
 */
#ifndef PROLOOP_TESTS_SHIMS_PIPE_H
#define PROLOOP_TESTS_SHIMS_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum pipe_call {
    PIPE_CALL_MAKE,   /* CreateNamedPipe; pipe2, and socket of a local one */
    PIPE_CALL_ACCEPT,  /* ConnectNamedPipe, which waits for a client */
    PIPE_CALL_OPEN,    /* CreateFile of a pipe's name; connect */
    PIPE_CALL_LOOK,    /* PeekNamedPipe; none */
    PIPE_CALL_READ,    /* ReadFile; read */
    PIPE_CALL_WRITE,   /* WriteFile; writev */
    PIPE_CALLS
} pipe_call;

typedef enum pipe_fault {
    PIPE_AS_IS,
    PIPE_NO_HANDLES,
    PIPE_TAKEN,        /* MAKE: somebody has that name */
    PIPE_BUSY,         /* OPEN */
    PIPE_CLIENT_LEFT,  /* ACCEPT: one came and has gone */
    PIPE_DISCONNECTED, /* LOOK, READ, WRITE: the server took its leave */
    PIPE_NOTHING,      /* READ: it ends with no bytes, and that is not the end */
    PIPE_NOT_READY,    /* READ, WRITE: and it becomes so */
    PIPE_INTERRUPTED,
    PIPE_SHORT /* READ, WRITE: one byte */
} pipe_fault;

/* No faults, counters to zero. */
void pipe_shims_begin(void);
void pipe_shims_end(void);

/* Whether this system's call can fail so. */
bool pipe_shim_can(pipe_call call, pipe_fault fault);

/* From now on so many calls of the kind have the fault; 0: none any more. */
void pipe_shims_fail(pipe_call call, pipe_fault fault, int times);

/* How many of them are still to come. */
int pipe_shims_left(pipe_call call);

int64_t pipe_shims_calls(pipe_call call);

/* What a call was given that it should not have been; "": nothing. */
const char *pipe_shims_wrong(void);

#endif
