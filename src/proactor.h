/* The seam between the portable library and the system.
 *
 * Above this line there is no system call, below it no policy. The library asks for work by a *completion*: a struct
 * that says what to do (kind and parameters), to which handle, and later how it ended. A *proactor* is one table of
 * functions that takes completions and gives them back finished:
 *
 *     submit(c)   starts c. Done: it finished at once and c->result is set; pending: a later poll gives it back.
 *                 Never calls user code, never blocks, never fails: a failure is a result.
 *     cancel(c)   asks for an early end of a pending c. It is a request: c comes back by poll in every case, with
 *                 PL_ECANCELED if nothing had happened, with its true result if something had. A send of which
 *                 the system does not tell that comes back with PL_EBROKEN.
 *     poll        waits until a deadline, a completion or a wake, and hands over what has finished.
 *     control(r)  does something that ends at once: sockets opened, named, half closed, closed; interrupts watched.
 *
 * The law: from submit until poll hands it over, the completion, its buffers and its handle belong to the proactor
 * and stay valid and unmoved. There is exactly one end per submit. A handle is closed only when none of its
 * completions is in flight. All this is checked in every build, by the functions at the end of this file, which are
 * the only ones that change a completion's state.
 *
 * Kinds marked WORKER are system calls that have no completion form here; proactors hand them to the worker pool
 * (worker_pool.h), so the simulated proactor can replace them like anything else.
 */
#ifndef PROLOOP_SRC_PROACTOR_H
#define PROLOOP_SRC_PROACTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <proloop/base.h>
#include <proloop/net.h>
#include <proloop/pipe.h>
#include <proloop/udp.h>
#include <proloop/poll.h>

#include "atomic.h"
#include "check.h"
#include "list.h"
#include "mailbox.h"

typedef struct pl__proactor pl__proactor;
typedef struct pl__completion pl__completion;
typedef struct pl__job pl__job;
typedef struct pl__buffer_pool pl__buffer_pool;

/* Every kind of work: name, who does it, and what a cancel means while it runs:
 *   CANCELLABLE  it ends soon, with PL_ECANCELED or with its true result
 *   ABANDONABLE  it ends at once; the system call runs on in memory of its own, and what it yields is dropped
 *   JOINED       it cannot be ended early, because it uses the caller's memory; one that had not begun can */
#define PL__OPERATIONS(X)                                                                                              \
    X(ACCEPT, accept, SYSTEM, CANCELLABLE)                                                                             \
    X(CONNECT, connect, SYSTEM, CANCELLABLE)                                                                           \
    X(RECEIVE, receive, SYSTEM, CANCELLABLE)                                                                           \
    X(SEND, send, SYSTEM, CANCELLABLE)                                                                                 \
    X(SEND_FILE, send_file, SYSTEM, CANCELLABLE)                                                                       \
    X(RECEIVE_FROM, receive_from, SYSTEM, CANCELLABLE)                                                                 \
    X(SEND_TO, send_to, SYSTEM, CANCELLABLE)                                                                           \
    X(POLL, poll, SYSTEM, CANCELLABLE)                                                                                 \
    X(WAIT, wait, SYSTEM, CANCELLABLE)                                                                                 \
    X(CHANGES, changes, SYSTEM, CANCELLABLE)                                                                           \
    X(RESOLVE, resolve, WORKER, ABANDONABLE)                                                                           \
    X(FILE_READ, file_read, SYSTEM, CANCELLABLE)                                                                       \
    X(FILE_WRITE, file_write, SYSTEM, CANCELLABLE)                                                                     \
    X(FILE_EXTEND, file_extend, WORKER, JOINED)                                                                        \
    X(RESOLVE_ADDRESS, resolve_address, WORKER, ABANDONABLE)                                                           \
    X(FILE_OPEN, file_open, WORKER, ABANDONABLE)                                                                       \
    X(FILE_CREATE, file_create, WORKER, JOINED)                                                                        \
    X(FILE_TEMPORARY, file_temporary, WORKER, JOINED)                                                                  \
    X(FILE_LOOK, file_look, WORKER, JOINED)                                                                            \
    X(FILE_FLUSH, file_flush, WORKER, JOINED)                                                                          \
    X(FILE_RESIZE, file_resize, WORKER, JOINED)                                                                        \
    X(FILE_TIMES, file_times, WORKER, JOINED)                                                                          \
    X(FILE_CLOSE, file_close, WORKER, JOINED)                                                                          \
    X(FILE_COPY, file_copy, WORKER, JOINED)                                                                            \
    X(FILE_STAT, file_stat, WORKER, ABANDONABLE)                                                                       \
    X(FILE_RENAME, file_rename, WORKER, JOINED)                                                                        \
    X(FILE_REMOVE, file_remove, WORKER, JOINED)                                                                        \
    X(LINK_MAKE, link_make, WORKER, JOINED)                                                                            \
    X(LINK_READ, link_read, WORKER, ABANDONABLE)                                                                       \
    X(PATH_REAL, path_real, WORKER, ABANDONABLE)                                                                       \
    X(FOLDER_LIST, folder_list, WORKER, JOINED)                                                                        \
    X(FOLDER_MAKE, folder_make, WORKER, JOINED)                                                                        \
    X(FOLDER_TEMPORARY, folder_temporary, WORKER, JOINED)                                                              \
    X(FOLDER_REMOVE, folder_remove, WORKER, JOINED)                                                                    \
    X(PROCESS_SPAWN, process_spawn, WORKER, JOINED)                                                                    \
    X(PIPE_OPEN, pipe_open, WORKER, ABANDONABLE)                                                                       \
    X(CHANGES_OPEN, changes_open, WORKER, ABANDONABLE)                                                                 \
    X(CHANGES_READ, changes_read, WORKER, JOINED)

enum pl__operation_kind {
    PL__NO_OPERATION = 0,
#define PL__OPERATION_ENUM(NAME, name, who, cancel) PL__##NAME,
    PL__OPERATIONS(PL__OPERATION_ENUM)
#undef PL__OPERATION_ENUM
        PL__OPERATION_KINDS
};

enum { PL__WHO_SYSTEM, PL__WHO_WORKER };
enum { PL__CANCEL_CANCELLABLE, PL__CANCEL_ABANDONABLE, PL__CANCEL_JOINED };

static inline bool pl__kind_is_worker(uint8_t kind)
{
    static const uint8_t who[PL__OPERATION_KINDS] = {
#define PL__OPERATION_WHO(NAME, name, who, cancel) [PL__##NAME] = PL__WHO_##who,
        PL__OPERATIONS(PL__OPERATION_WHO)
#undef PL__OPERATION_WHO
    };
    return who[kind] == PL__WHO_WORKER;
}

#define PL__NO_OBJECT UINTPTR_MAX

/* What kind of system object a handle is, and so which calls work on it. */
enum pl__handle_type {
    PL__SOCKET,        /* a stream socket; on Unix a local one too */
    PL__PIPE,          /* Windows: an end of a named pipe; Unix: a pipe or a terminal, which know read and write */
    PL__PIPE_LISTENER, /* Windows: a name at which pipes are made; Unix: a local socket that listens is a PL__SOCKET */
    PL__DATAGRAM_SOCKET, /* a UDP socket */
    PL__FILE,            /* a file on a disk: FILE_READ and FILE_WRITE, any number at a time, in no order */
    PL__DEVICE,          /* what only blocking calls serve (device.h): `object` is a pl__device */
    PL__FOLDER           /* Windows: a folder; Unix: a descriptor of inotify */
};

/* What sets a handle apart from a stream socket, for the library above. */
enum pl__handle_trait {
    PL__READ_ONLY = 1,
    PL__WRITE_ONLY = 2,    /* its half close is its close */
    PL__NO_HALF_CLOSE = 4, /* the peer learns of the end only by the close */
    PL__MESSAGES = 8,      /* what is sent arrives in the same pieces */
    PL__NAMED = 16         /* a named pipe: it can be asked who the peer is */
};

/* A system object completions work on: a SOCKET, a HANDLE or a descriptor. Zeroed plus pl__handle_init: closed. */
typedef struct pl__handle {
    uintptr_t object;   /* PL__NO_OBJECT: closed */
    uint32_t in_flight; /* completions submitted and not yet finished */
    uint8_t type;       /* enum pl__handle_type */
    uint8_t traits;     /* enum pl__handle_trait */
    uint8_t family;     /* PL_IPV4, PL_IPV6; 0: neither */
    bool attached;  /* to a proactor: set by attach, cleared by detach; on Windows a handle never gets another one */
    uint16_t flags; /* the proactor's own */
    union {         /* the proactor's own: queues of an adapter, for instance */
        uint64_t space[8];
        void *align;
    } system;
} pl__handle;

static inline void pl__handle_init(pl__handle *handle)
{
    *handle = (pl__handle){.object = PL__NO_OBJECT};
}

enum { PL__ACCEPT_SPACE = 128 };    /* bytes that AcceptEx wants for two addresses, and a bit */
enum { PL__DATAGRAM_SPACE = 1536 }; /* bytes that WSARecvMsg wants for addresses, control data and a vector */

enum pl__completion_state {
    PL__IDLE,       /* the owner's: may be filled, submitted, freed */
    PL__SUBMITTED,  /* the proactor's */
    PL__CANCELLING, /* the proactor's, and an early end was asked for */
    PL__DONE        /* finished: result and system_error are set; not yet taken by the owner */
};

struct pl__completion {
    pl__node node; /* the proactor's until it is done; then the list of finished ones */
    pl__handle *handle;
    void (*deliver)(pl__completion *); /* the loop calls it for each one that poll hands over */
    int64_t result;                    /* >= 0 or PL_E...; what it counts is said at each kind below */
    int32_t system_error;              /* errno, Win32, Winsock code or NTSTATUS behind a negative result; else 0 */
    uint8_t kind;
    uint8_t state;
    union {
        struct {                  /* result: 0 */
            pl__handle *accepted; /* gets the new socket, not attached, non-blocking, not inherited */
            pl_address *peer;
            void *space; /* PL__ACCEPT_SPACE bytes, aligned to 8 */
        } accept;
        struct { /* result: 0. The handle is open, attached and not bound. */
            pl_address address;
        } connect;
        struct {         /* result: bytes, 0 at end of stream; with size 0: 0 when there is something to receive */
            void *data;  /* NULL: a buffer of PL__BUFFER_SIZE bytes is taken from the pool, as late as the */
            size_t size; /* system allows; it stays here only if bytes came, else it went back */
            pl__buffer_pool *pool; /* NULL unless data is; then size is PL__BUFFER_SIZE */
        } receive; /* of MESSAGES: one whole message; PL_EMSGSIZE: the next one is larger than size, and stays */
        struct {   /* result: bytes, perhaps fewer than asked for (not of MESSAGES, which have one buffer), never 0; so
                    nothing empty is asked for */
            const pl_buffer *buffers;
            size_t count;  /* any number; a system call takes as many as it can */
            size_t offset; /* bytes of the first buffer that are already gone */
        } send;
        struct { /* result: bytes, perhaps fewer than asked for; 0: the file ends at offset, or before, which it did not
                    when it was opened */
            uintptr_t file;
            int64_t offset;
            int64_t size;
        } send_file;
        struct { /* result: bytes, perhaps fewer than asked for; 0: the file ends at offset, or before */
            void *data;
            size_t size;
            int64_t offset;
        } file_read;
        struct
        { /* result: bytes, perhaps fewer than asked for. Within the file: what extends it may block, FILE_EXTEND */
            const void *data;
            size_t size;
            int64_t offset;
        } file_write;
        struct { /* result: how many datagrams, at least 1. One at a time for a handle */
            pl_datagram *datagrams;
            const pl_room *rooms; /* NULL: `count` datagrams; else one, into `count` rooms */
            size_t count;
            void *space; /* PL__DATAGRAM_SPACE bytes, aligned to 8 */
        } receive_from;
        struct { /* result: how many datagrams, perhaps fewer than asked for, never 0. One at a time for a handle */
            const pl_datagram *datagrams; /* to info.peer */
            const pl_buffer *buffers;     /* NULL: `count` datagrams; else one, of `count` buffers */
            size_t count;
            bool connected; /* the socket knows where to; addresses are not looked at */
        } send_to;
        struct {               /* result: those of the events that are so, and PL_POLL_ERROR if it is; never 0 */
            uintptr_t object;  /* somebody else's socket or descriptor, with `handle` NULL; else `handle` is a watch */
            uint32_t events;   /* enum pl_poll_event */
            uint64_t space[4]; /* the proactor's own */
        } poll;
        struct {                    /* result: 0. Of Windows: anything that can be waited for. `handle` is NULL */
            uintptr_t object;       /* somebody else's HANDLE; open until the end */
            uintptr_t registration; /* the proactor's own, as is what follows */
            pl__atomic_u32 state;
            bool by_packet;
        } wait;
        struct { /* result: bytes, in the system's own format; 0: it had too little room, and some are lost; PL_ENOENT:
                    the folder is not there any more */
            void *data; /* aligned to 8 */
            uint32_t size;
            uint8_t wanted; /* enum pl_watch_kind */
            bool recursive;
        } changes;
        pl__job *job; /* the WORKER kinds: see worker_pool.h */
    } as;
    union { /* the proactor's own: an OVERLAPPED, for instance */
        uint64_t space[12];
        void *align;
    } system;
};

/* What control() does. All of them end at once and return >= 0 or PL_E..., with the system's code beside it.
 *
 *     SOCKET_OPEN      a stream socket of `family` into the closed `handle`: non-blocking, not inherited; bound to
 *                      `address` if that has a family
 *     SOCKET_LISTEN    a listening socket on `address` into the closed `handle`; `backlog`, `flags`
 *     SOCKET_SHUTDOWN  half close: nothing more will be sent
 *     SOCKET_OPTION    sets `option` to `value`
 *     SOCKET_NAME      the local address into `address`
 *     SOCKET_PEER      the peer's address into `address`
 *     HANDLE_CLOSE     closes the handle; nothing of it is in flight, and it is detached
 *     PIPE_LISTEN      listens at `name` into the closed `handle`; `backlog`, `flags`, `access`, `value`: permission bits
 *     PIPE_PEER        who is at the other end of a named pipe, into `identity`
 *     DATAGRAM_OPEN    a UDP socket bound to `address`, with `flags`, into the closed `handle`
 *     DATAGRAM_CONNECT `address` is its peer, or, if that has no family, it has none any more
 *     DATAGRAM_GROUP   joins (`value` 1) or leaves (0) `membership`
 *     DATAGRAM_OPTION  sets `option`, a pl__datagram_option, to `value`; MULTICAST_INTERFACE: or to `address`
 *     PIPE_PAIR        a pipe: bytes go one way. An end for a stream of this process into the closed `handle`, the other
 *                      end into the closed `other`; neither inherited; `flags`
 *     WATCH_OPEN       a watch of somebody else's socket or descriptor `value` into the closed `handle`, for POLL
 *                      again and again; `handle` stays where it is until WATCH_CLOSE
 *     WATCH_CLOSE      closes it, with nothing of it in flight; what it watched stays open
 *     STANDARD_OPEN    the standard stream `option` (enum pl__standard_stream) into the closed `handle`. Result: enum
 *                      pl_console_kind
 *     INTERRUPT_WATCH  `value` 1: Ctrl-C and its kin, unless watched by SIGNAL_WATCH, count up `interrupts` and wake; 0:
 *                      no longer. PL_EBUSY: another proactor of the process watches
 *     SIGNAL_WATCH     one more watcher of the event in `value` (enum pl_signal_event, or a signal's number); `flags`: enum
 *                      pl__signal_flag. It counts up in `mailbox` and wakes. Result: the system's number; `value` becomes
 *                      the event's name
 *     SIGNAL_UNWATCH   one watcher less of the signal numbered `option`, with the same flags
 *     SIGNAL_DONE      the loop has dealt with what arrived of the signal numbered `option`, `value` of them in all
 */
#define PL__REQUESTS(X)                                                                                                \
    X(SOCKET_OPEN, socket_open)                                                                                        \
    X(SOCKET_LISTEN, socket_listen)                                                                                    \
    X(SOCKET_SHUTDOWN, socket_shutdown)                                                                                \
    X(SOCKET_OPTION, socket_option)                                                                                    \
    X(SOCKET_NAME, socket_name)                                                                                        \
    X(SOCKET_PEER, socket_peer)                                                                                        \
    X(HANDLE_CLOSE, handle_close)                                                                                      \
    X(DATAGRAM_OPEN, datagram_open)                                                                                    \
    X(DATAGRAM_CONNECT, datagram_connect)                                                                              \
    X(DATAGRAM_GROUP, datagram_group)                                                                                  \
    X(DATAGRAM_OPTION, datagram_option)                                                                                \
    X(PIPE_PAIR, pipe_pair)                                                                                            \
    X(PIPE_LISTEN, pipe_listen)                                                                                        \
    X(PIPE_PEER, pipe_peer)                                                                                            \
    X(WATCH_OPEN, watch_open)                                                                                          \
    X(WATCH_CLOSE, watch_close)                                                                                        \
    X(STANDARD_OPEN, standard_open)                                                                                    \
    X(INTERRUPT_WATCH, interrupt_watch)                                                                                \
    X(SIGNAL_WATCH, signal_watch)                                                                                      \
    X(SIGNAL_UNWATCH, signal_unwatch)                                                                                  \
    X(SIGNAL_DONE, signal_done)

enum pl__request_kind {
#define PL__REQUEST_ENUM(NAME, name) PL__REQUEST_##NAME,
    PL__REQUESTS(PL__REQUEST_ENUM)
#undef PL__REQUEST_ENUM
};

enum pl__socket_option {
    PL__OPTION_NODELAY,       /* 0, 1 */
    PL__OPTION_KEEPALIVE,     /* seconds until the first probe; 0: off */
    PL__OPTION_RESET,         /* 1: closing resets the connection, dropping what was not sent */
    PL__OPTION_SEND_BUFFER,   /* bytes */
    PL__OPTION_RECEIVE_BUFFER /* bytes */
};

enum pl__listen_flag {
    PL__LISTEN_REUSE_PORT = 1, /* several listeners share the port, where the system spreads connections over them */
    PL__LISTEN_IPV6_ONLY = 2   /* else an IPv6 wildcard takes IPv4 too */
};

enum pl__datagram_flag {
    PL__DATAGRAM_REUSE_ADDRESS = 1, /* several sockets share the port */
    PL__DATAGRAM_IPV6_ONLY = 2,     /* else an IPv6 socket takes IPv4 too, whose addresses are shown as such */
    PL__DATAGRAM_BROADCAST = 4,     /* may send to broadcast addresses */
    PL__DATAGRAM_DESTINATION = 8    /* receives tell the local address and the interface */
};

enum pl__datagram_option {
    PL__DATAGRAM_HOPS,               /* 1 ... 255 */
    PL__DATAGRAM_MULTICAST_HOPS,     /* 0 ... 255 */
    PL__DATAGRAM_MULTICAST_LOOPBACK, /* 0, 1 */
    PL__DATAGRAM_MULTICAST_INTERFACE,
    PL__DATAGRAM_MAY_BROADCAST /* 0, 1 */
};

/* Of a socket in a multicast group; all addresses are of the socket's family, or of none. */
typedef struct pl__membership {
    pl_address group;
    pl_address source;            /* none: any */
    pl_address interface_address; /* IPv4 only; none: by index */
    uint32_t interface_index;     /* 0: the system chooses */
} pl__membership;

enum pl__pipe_flag {
    PL__PIPE_WRITE = 1,    /* `handle` is the writing end; else the reading one */
    PL__PIPE_STREAMS = 2,  /* `other` is for a stream, too; else for a child, which expects an end that blocks */
    PL__PIPE_MESSAGES = 4, /* PIPE_LISTEN: the pipes keep messages */
    PL__PIPE_REPLACE = 8   /* PIPE_LISTEN: a file at which nobody answers is removed */
};

enum pl__standard_stream { PL__STANDARD_INPUT, PL__STANDARD_OUTPUT, PL__STANDARD_ERROR };

typedef struct pl__request {
    uint8_t kind;
    uint8_t family;
    uint8_t option;
    uint8_t flags;
    int32_t system_error;
    int32_t backlog;
    int64_t value;
    pl__handle *handle;
    const pl__membership *membership;
    pl__handle *other;
    const char *name;
    const char *access; /* a security descriptor in text form; NULL: the default */
    pl_peer_identity *identity;
    pl_address address;
} pl__request;

enum { PL__SUBMIT_PENDING, PL__SUBMIT_DONE };

typedef struct pl__proactor_options {
    uint64_t seed; /* of the simulation's faults and choices */
} pl__proactor_options;

/* One backend. A new one is one file that fills this table and a line in PL__PROACTORS. */
typedef struct pl__proactor_class {
    const char *name;
    int (*create)(pl__proactor **proactor, const pl__proactor_options *options);
    void (*destroy)(pl__proactor *proactor); /* nothing is in flight; abandoned jobs may still run */
    int64_t (*now)(pl__proactor *proactor);  /* ns on a clock that never goes back */
    int (*attach)(pl__proactor *proactor, pl__handle *handle);
    void (*detach)(pl__proactor *proactor, pl__handle *handle); /* before HANDLE_CLOSE, if attached */
    int (*submit)(pl__proactor *proactor, pl__completion *completion);
    void (*cancel)(pl__proactor *proactor, pl__completion *completion); /* only while SUBMITTED */
    void (*flush)(pl__proactor *proactor); /* end of an iteration: what submit put off goes to the system now */
    /* A deadline that is past: does not wait; PL_FOREVER: no limit. May return with nothing, but not because a clock was
     * too coarse. */
    void (*poll)(pl__proactor *proactor, int64_t deadline, pl__list *finished);
    void (*wake)(pl__proactor *proactor); /* any thread, and signal handlers: ends a poll, this or the next */
    int (*control)(pl__proactor *proactor, pl__request *request);
    /* Inside a foreign loop, where no poll waits; NULL: it cannot be. From each `rest` on, which comes after every poll,
     * ready(context) is called on any thread when there is something to poll for, once until the next one. `ready` NULL: the
     * host watches the descriptor, which is readable then; `descriptor` NULL: there is none. */
    int (*embed)(pl__proactor *proactor, void (*ready)(void *context), void *context);
    void (*rest)(pl__proactor *proactor);
    void (*unembed)(pl__proactor *proactor); /* waits until `ready` has returned; never called again */
    int (*descriptor)(pl__proactor *proactor);
} pl__proactor_class;

/* Every proactor starts with this. */
struct pl__proactor {
    const pl__proactor_class *type;
    pl__atomic_u32 interrupts; /* Ctrl-C and its kin so far, while watched */
    pl__mailbox mailbox;       /* for other signals, see mailbox.h */
};

/* The proactors of this platform, the best one first, the simulation last; NULL ends. Defined by src/win and src/posix. */
extern const pl__proactor_class *const pl__proactors[];

/* By name; NULL or "": the one named by PROLOOP_BACKEND, or the best one. NULL: there is none of that name. */
const pl__proactor_class *pl__proactor_find(const char *name);

/* --- The life of a completion. Proactors call the first four, the library above takes. ---------------------------- */

static inline void pl__completion_submitted(pl__completion *c)
{
    PL__CHECK(c->state == PL__IDLE);
    c->state = PL__SUBMITTED;
    if (c->handle)
        c->handle->in_flight++;
}

static inline void pl__completion_cancelling(pl__completion *c)
{
    PL__CHECK(c->state == PL__SUBMITTED);
    c->state = PL__CANCELLING;
}

/* The end of a completion that was pending. */
static inline void pl__completion_finish(pl__completion *c, int64_t result, int32_t system_error)
{
    PL__CHECK(c->state == PL__SUBMITTED || c->state == PL__CANCELLING);
    c->state = PL__DONE;
    c->result = result;
    c->system_error = system_error;
    if (c->handle) {
        PL__CHECK(c->handle->in_flight > 0);
        c->handle->in_flight--;
    }
}

/* The end of a completion inside submit: it was never pending. */
static inline int pl__completion_finish_now(pl__completion *c, int64_t result, int32_t system_error)
{
    PL__CHECK(c->state == PL__IDLE);
    c->state = PL__DONE;
    c->result = result;
    c->system_error = system_error;
    return PL__SUBMIT_DONE;
}

/* The owner takes the result; the completion is its own again. */
static inline int64_t pl__completion_take(pl__completion *c)
{
    PL__CHECK(c->state == PL__DONE);
    c->state = PL__IDLE;
    return c->result;
}

static inline bool pl__completion_is_pending(const pl__completion *c)
{
    return c->state == PL__SUBMITTED || c->state == PL__CANCELLING;
}

#endif
