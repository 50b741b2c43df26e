/* Shims between the library and the system: calls are counted, by thread, and fail, fall short or wait as a case wants.
 * The linker gives every call of the program to them; between shims_begin and shims_end they do something.
 */
#ifndef PROLOOP_TESTS_SHIMS_H
#define PROLOOP_TESTS_SHIMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum shim {
    /* Of files and names: they may take long. */
    SHIM_OPEN,
    SHIM_STAT,
    SHIM_PATH, /* the real path of something */
    SHIM_READ,
    SHIM_LIST,
    SHIM_WRITE,
    SHIM_CHANGE, /* a file's size, times or name; flushes */
    SHIM_CLOSE,     /* of files and folders */
    SHIM_SEND_FILE, /* where it is a call that can wait for a disk */
    SHIM_RESOLVE,
    SHIM_KINDS_THAT_TAKE_LONG,
    /* Of sockets and of waiting. */
    SHIM_RECEIVE = SHIM_KINDS_THAT_TAKE_LONG,
    SHIM_SEND,
    SHIM_ACCEPT, /* the call that needs a new handle for a connection */
    SHIM_WAIT,
    SHIM_START, /* the call that makes the pipes to a child */
    SHIM_BEGIN, /* a file's read or write that does not wait: of what is cached, or through the port */
    SHIM_SPAWN, /* those that make a child: fork; CreateProcess, and what puts it into its job */
    SHIM_PIDFD, /* the system's way to wait for a child, where it has one */
    SHIM_COLLECT, /* the call that tells how a child ended, where that may not be known yet */
    /* Of the look-ups of names, which are SHIM_RESOLVE too, those for one kind of address. */
    SHIM_RESOLVE_BOTH,
    SHIM_RESOLVE_IPV4,
    SHIM_RESOLVE_IPV6,
    SHIM_KINDS
} shim;

const char *shim_name(shim kind);

/* Whether this system has calls of this kind. */
bool shim_exists(shim kind);

/* Counters to zero, no faults; the calling thread is the loop's. */
void shims_begin(void);
void shims_end(void);

/* Calls since begin: of all threads, and of the loop's. */
int64_t shim_calls(shim kind);
int64_t shim_calls_of_loop(shim kind);

/* --- Faults --- */

typedef enum shim_fault {
    SHIM_AS_IS,
    SHIM_SHORT,       /* no more than `limit` bytes; an edge will come */
    SHIM_INTERRUPTED, /* by a signal, where there are such */
    SHIM_NOT_READY,   /* and an edge will come */
    SHIM_NO_HANDLES,
    SHIM_NO_MEMORY,
    SHIM_PEER_LEFT, /* before it was accepted */
    SHIM_NO_SPACE,
    SHIM_DISK_ERROR,
    SHIM_AT_ONCE, /* done inside the call, and no packet follows */
    SHIM_ABORTED, /* nobody asked for it */
    SHIM_NOT_THERE  /* the system has no such call */
} shim_fault;

/* Asked before each call that has faults; on workers, too. */
typedef shim_fault shim_fault_fn(shim kind, size_t *limit);
void shims_set_faults(shim_fault_fn *fn);

/* Which of them this system's call can have. */
bool shim_can(shim kind, shim_fault fault);

/* --- Calls that take long --- */

/* From now on calls of this kind wait, on all threads but the loop's, until they are released. */
void shims_hold(shim kind);
void shims_release(shim kind);

/* How many wait now. */
int shims_held(shim kind);

/* The same of a file's reads and writes within it, in whatever way the system does them: on workers, or through its port,
 * where a request can be cancelled and one waits at a time. */
void shims_hold_transfers(void);
void shims_release_transfers(void);
int shims_held_transfers(void);

/* --- What the last child was made with, on Windows --- */

/* How many handles it was given; -1: any. */
int shims_inherited(void);

/* The flags of CreateProcess. */
uint32_t shims_spawn_flags(void);

/* --- Names --- */

/* The name's addresses, in text form and in this order; NULL: no such name any more. */
void shims_set_name(const char *name, const char *const *addresses, size_t count);

typedef enum shim_name_error {
    SHIM_NAME_UNKNOWN,
    SHIM_NAME_AGAIN,
    SHIM_NAME_FAIL,
    SHIM_NAME_NO_DATA,
    SHIM_NAME_NO_MEMORY,
    SHIM_NAME_CANCELLED /* which nobody asked for */
} shim_name_error;

/* What a look-up of that name ends with that finds none of its addresses; and one of an address that has no name. False: it
 * cannot happen on this system. */
bool shims_set_name_error(shim_name_error error);

/* The name of every address; NULL: they have none. */
void shims_set_reverse(const char *name);

/* From now on a look-up ends within the call that begins it. */
void shims_set_resolve_at_once(bool at_once);
bool shims_resolve_at_once(void);

/* Whether the system can be told to stop a look-up, and how often it was, ever. */
bool shims_can_stop(void);
int shims_stopped(void);

#endif
