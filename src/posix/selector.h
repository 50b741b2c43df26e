/* selector.h: what tells which sockets are ready: epoll, kqueue, poll or select, one file each.
 *
 * A selector speaks by setting flags in a handle: PL__READABLE, PL__WRITABLE, PL__HANGUP. The adapter clears
 * the first two when a system call finds them no longer true; the third stays. A flag means "try": it may be
 * wrong, and the system call decides.
 *
 *     Edge-triggered selectors (epoll, kqueue) register a handle once and say what changed.
 *     Level-triggered ones (poll, select) ask, at each wait, only for the flags a handle lacks.
 *
 * A handle is readable or writable for everybody on it, so nothing is told to a selector when operations come
 * and go. A watch (of adapter.c) is there for one of them: of it a level-triggered selector asks no more than is wanted,
 * as what is so and not wanted would end every wait.
 */
#ifndef PROLOOP_SRC_POSIX_SELECTOR_H
#define PROLOOP_SRC_POSIX_SELECTOR_H

#include "../proactor.h"

/* In pl__handle.flags. */
enum pl__readiness {
    PL__READABLE = 1,
    PL__WRITABLE = 2,
    PL__HANGUP = 4, /* the peer's end, an error, or urgent data: from now on only a receive tells what is there */
    /* Of watches, for level-triggered selectors: */
    PL__NO_PRIORITY = 32, /* urgent data is not wanted */
    PL__NO_END = 64,      /* the peer's end is not wanted */
    PL__NO_BYTES = 128,   /* readable is asked for as ends and errors show so: it may be for bytes, and often */
    PL__SEEN = 256        /* the selector's own: it was so, and is not asked for until some time has passed */
};

enum { PL__SELECTOR_BATCH = 256 };

typedef struct pl__selector pl__selector;

typedef struct pl__selector_class {
    const char *name;
    int (*create)(pl__selector **selector); /* 0 or a negated errno; so add */
    void (*destroy)(pl__selector *selector);
    int (*add)(pl__selector *selector, pl__handle *handle);
    void (*remove)(pl__selector *selector, pl__handle *handle); /* its events are never seen again */

    /* Waits until the deadline (as poll of a proactor), a wake, or a change; sets the flags of the handles
     * that changed and stores those: at most PL__SELECTOR_BATCH, perhaps one twice. Returns how many. A
     * signal does not end the wait. */
    int (*wait)(pl__selector *selector, int64_t deadline, pl__handle **changed);
    void (*wake)(pl__selector *selector);      /* any thread, and signal handlers: ends a wait, this or the next */
    bool end_is_readable;                      /* ends and errors set PL__READABLE, never PL__HANGUP */
    int (*descriptor)(pl__selector *selector); /* readable while a wait would find something; NULL: none */
} pl__selector_class;

/* Every selector starts with this. */
struct pl__selector {
    const pl__selector_class *type;
};

/* The selectors of this system, the best one first. PROLOOP_LIBKQUEUE: kqueue as a library on Linux, for tests. */
#if defined(__linux__)
#define PL__SELECTORS_OF_LINUX(X) X(epoll)
#else
#define PL__SELECTORS_OF_LINUX(X)
#endif
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__) ||                       \
    defined(__DragonFly__) || defined(PROLOOP_LIBKQUEUE)
#define PL__HAS_KQUEUE          1
#define PL__SELECTORS_OF_BSD(X) X(kqueue)
#else
#define PL__SELECTORS_OF_BSD(X)
#endif
#define PL__SELECTORS(X) PL__SELECTORS_OF_LINUX(X) PL__SELECTORS_OF_BSD(X) X(poll) X(select)

#define PL__DECLARE_SELECTOR(name) extern const pl__selector_class pl__selector_##name;
PL__SELECTORS(PL__DECLARE_SELECTOR)
#undef PL__DECLARE_SELECTOR

/* Calls `wait` until something came or the deadline is past, with the nanoseconds that are left, or PL_FOREVER. It
 * returns a count or -EINTR, and may come back early: then it is called again. */
typedef int pl__selector_wait_fn(pl__selector *selector, int64_t left);
int pl__selector_wait_until(pl__selector *selector, int64_t deadline, pl__selector_wait_fn *wait);

/* Rounded up; -1 for ever. */
int64_t pl__selector_milliseconds(int64_t left);

/* A pipe that ends a wait: selectors watch its reading end. */
typedef struct pl__wake_pipe {
    int out;
    int in;
} pl__wake_pipe;

int pl__wake_pipe_open(pl__wake_pipe *wakes); /* 0 or a negated errno; to be closed in both cases */
void pl__wake_pipe_close(pl__wake_pipe *wakes);
void pl__wake_pipe_write(const pl__wake_pipe *wakes); /* any thread, and signal handlers */
void pl__wake_pipe_drain(const pl__wake_pipe *wakes);

#endif
