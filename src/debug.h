/* debug.h: what a loop in debug mode has beside it.
 *
 * Before each callback the loop writes down what it is about to execute, in a copy of its own (pl__execution) under a
 * mutex; the watchdog, and whoever asks while the loop does not answer, read only that copy. Afterwards the loop looks at
 * the clock, and reports what took long. The clock is the system's, for the simulated backend too.
 *
 * In level 2 there is also a table of creations: where and on which stack each future and task was made, by address, so
 * that the objects need no room for it.
 */
#ifndef PROLOOP_SRC_DEBUG_H
#define PROLOOP_SRC_DEBUG_H

#include <proloop/debug.h>

#include "list.h"
#include "loop.h"
#include "text.h"
#include "thread.h"

enum {
    PL__AWAITERS = 8, /* of a chain, shown at most */
    PL__WHERE_SIZE = 128,
    PL__STACK_FRAMES = 24,
    PL__WAITERS_SEARCHED = 64 /* callbacks of a future that are looked at for a task */
};

/* --- What is executed --------------------------------------------------------------------------------------------- */

typedef struct pl__place {
    char task[32]; /* its name; "": a callback */
    const char *where;
} pl__place;

typedef struct pl__execution {
    uint64_t number; /* counts callbacks */
    int64_t began;
    bool running;
    uint32_t count; /* of the places: what is executed, and who awaits that, innermost first */
    pl__place places[1 + PL__AWAITERS];
} pl__execution;

/* --- Creations ---------------------------------------------------------------------------------------------------- */

typedef struct pl__creation {
    struct pl__creation *next; /* in its bucket */
    const pl_future *object;
    const char *where;
    uint32_t frame_count;
    void *frames[PL__STACK_FRAMES];
} pl__creation;

/* A hash table by address. */
typedef struct pl__creations {
    pl__creation **buckets;
    size_t bucket_count; /* a power of 2, or 0 */
    size_t count;
    size_t missed; /* there was no memory to note them */
} pl__creations;

void pl__creations_add(pl__creations *creations, const pl_future *object);
void pl__creations_remove(pl__creations *creations, const pl_future *object);
void pl__creations_clear(pl__creations *creations);

/* The stack on which it was made, a line per frame; nothing if it is not known. */
void pl__creations_describe(const pl__creations *creations, const pl_future *object, pl__text *text);

/* A line for each place: objects, bytes. */
void pl__creations_dump(const pl__creations *creations, pl__text *text);

/* The return addresses of the present stack, innermost first, without `skip` of them. How many; 0: this system has no
 * way. The platform's. */
size_t pl__stack_capture(void **frames, size_t capacity, size_t skip);

/* "program+0x1234 (function+0x12)", or what the system can tell. The platform's. */
void pl__stack_describe(void *frame, char *text, size_t size);

/* --- Watchdog ----------------------------------------------------------------------------------------------------- */

typedef struct pl__watchdog {
    pl__thread thread;
    bool running;          /* there is a thread */
    int64_t threshold;     /* PL_FOREVER: no watchdog */
    pl__condition changed; /* with the mutex of pl__debug, as all below */
    bool ending;           /* the thread is to end */
    bool dozing;           /* it waits until something is executed */
    bool calling;          /* it is in the handler */
    uint64_t reported;     /* the number of the last execution that was */
    int64_t next;          /* when that is to be reported again, in nanoseconds since it began */
    bool went_on;          /* it has ended, and that is still to be said */
    int64_t went_on_after; /* nanoseconds */
    pl__execution said;    /* what was reported: the thread's own */
    pl_watchdog_fn *handler;
    void *handler_arg;
} pl__watchdog;

struct pl__debug {
    pl__node node; /* of all loops in debug mode */
    pl_remote *remote;
    uint64_t process; /* that has the thread, and the list; a child made by fork has neither */
    pl_duration slow_callback;
    pl_duration longest;        /* of all callbacks so far */
    const char *callback_where; /* of the present callback; NULL: of the library, or a task */
    pl__place executed;         /* the loop's own copy, for the report */
    int64_t began;
    pl__creations creations; /* level 2 */
    pl__mutex mutex;
    pl__execution execution; /* with the mutex */
    pl__watchdog watchdog;
};

/* Starts and ends the thread. PL_OK, PL_ENOMEM, PL_ELIMIT. */
int pl__watchdog_start(pl__debug *debug, pl_duration threshold);
void pl__watchdog_stop(pl__debug *debug);

/* Something begins, with the mutex locked, or has ended after so many nanoseconds. */
void pl__watchdog_wake(pl__watchdog *watchdog);
void pl__watchdog_ended(pl__watchdog *watchdog, const pl__execution *execution, int64_t took);

/* What is executed, and a line for each who awaits it. */
void pl__text_add_execution(pl__text *text, const pl__execution *execution);

/* The loop's copy of what it executes. Any thread, while the loop lives. */
pl__execution pl__debug_execution(pl__debug *debug);

/* --- For the loop ------------------------------------------------------------------------------------------------- */

/* Debug mode of a loop that has its remote: PL_OK, PL_ENOMEM, PL_ELIMIT; on failure there is nothing to destroy. */
int pl__debug_create(pl_loop *loop, const pl_loop_options *options);

/* NULL is allowed. No other thread can reach the loop any more. */
void pl__debug_destroy(pl_loop *loop);

/* Around each callback. */
void pl__debug_callback_begins(pl_loop *loop, const pl__callback *callback);
void pl__debug_callback_ended(pl_loop *loop);

/* Inside a callback this task goes on: an eager one, or after it the one that made it; NULL: the callback itself. */
void pl__debug_goes_on(pl_loop *loop, const pl_task *task);

/* The first task that waits for this one: for its future, or as the parent of its group; NULL: none. */
pl_task *pl__debug_awaiter(const pl_task *task);

/* --- For all that must come from the loop's thread ---------------------------------------------------------------- */

/* For functions that cannot return PL_ETHREAD. True: this is another thread, which was said on standard error; the
 * function is to do nothing. Debug mode only. */
bool pl__debug_refuse(const pl_loop *loop, const char *function);

static inline bool pl__loop_refuses(const pl_loop *loop, const char *function)
{
    return PL__UNLIKELY(loop->debug) && pl__debug_refuse(loop, function);
}

/* --- For futures and tasks ---------------------------------------------------------------------------------------- */

static inline void pl__debug_created(const pl_future *future, pl_loop *loop)
{
    if (PL__UNLIKELY(loop->debug > 1) && loop->debugging)
        pl__creations_add(&loop->debugging->creations, future);
}

static inline void pl__debug_destroyed(const pl_future *future, pl_loop *loop)
{
    if (PL__UNLIKELY(loop->debug > 1) && loop->debugging)
        pl__creations_remove(&loop->debugging->creations, future);
}

/* A report about a future, or about the task that it belongs to, with where and on which stack it was made. */
void pl__debug_report(const pl_future *future, const char *message, int64_t error);

#endif
