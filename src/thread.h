/* thread.h: threads, mutexes and conditions of the system.
 *
 * The objects are opaque, so that portable code sees neither <windows.h> nor <pthread.h>; the platform's file
 * asserts that its own types fit. They are not movable, and need their init and destroy.
 */
#ifndef PL__THREAD_H
#define PL__THREAD_H

#include <stdbool.h>
#include <stdint.h>

typedef union pl__mutex {
    uint64_t space[8];
    void *align;
} pl__mutex;

typedef union pl__condition {
    uint64_t space[8];
    void *align;
} pl__condition;

typedef union pl__thread {
    uint64_t space[1];
    void *align;
} pl__thread;

typedef void pl__thread_fn(void *arg);

/* Not recursive. */
void pl__mutex_init(pl__mutex *mutex);
void pl__mutex_destroy(pl__mutex *mutex);
void pl__mutex_lock(pl__mutex *mutex);
bool pl__mutex_try_lock(pl__mutex *mutex);
void pl__mutex_unlock(pl__mutex *mutex);

/* A wait may end without a signal: the caller looks again at what it waits for, and at the clock. */
void pl__condition_init(pl__condition *condition);
void pl__condition_destroy(pl__condition *condition);
void pl__condition_signal(pl__condition *condition);
void pl__condition_broadcast(pl__condition *condition);
void pl__condition_wait(pl__condition *condition, pl__mutex *mutex);

/* Waits `nanoseconds` at most, never shorter than that, on a clock that nobody sets; PL_FOREVER is no limit.
 * False: the time ran out. */
bool pl__condition_wait_for(pl__condition *condition, pl__mutex *mutex, int64_t nanoseconds);

/* That clock, in nanoseconds. */
int64_t pl__clock_now(void);

/* Runs fn(arg) in a new thread, which ends up joined or detached, once. `name` shows in debuggers and is cut
 * to what the system takes; NULL is none. Returns PL_OK, PL_ENOMEM, or PL_ELIMIT when the system gives no
 * more threads. */
int pl__thread_start(pl__thread *thread, pl__thread_fn *fn, void *arg, const char *name);
void pl__thread_join(pl__thread *thread);
void pl__thread_detach(pl__thread *thread);

/* Never 0, and of no other thread that is alive. */
uint64_t pl__thread_id(void);

/* Whether this is the thread that the process began with. */
bool pl__thread_is_main(void);

void pl__thread_yield(void);
uint64_t pl__process_id(void);

/* How many processors this process may use; at least 1. */
uint32_t pl__processor_count(void);

/* Calls `child` in every child that the process forks from now on. Windows has no fork. */
void pl__process_on_fork(void (*child)(void));

#endif
