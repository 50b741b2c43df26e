/* The loop, from the inside: what an iteration needs, and the lists of all that must end before the loop does. */
#ifndef PROLOOP_SRC_LOOP_H
#define PROLOOP_SRC_LOOP_H

#include <proloop/executor.h>
#include <proloop/loop.h>
#include <proloop/task.h>

#include "atomic.h"
#include "buffer_pool.h"
#include "callback.h"
#include "fiber.h"
#include "proactor.h"
#include "timer.h"

typedef struct pl__debug pl__debug;
typedef struct pl__embedding pl__embedding;

/* What is counted as it happens, for pl_loop_metrics. */
typedef struct pl__loop_counts {
    uint64_t iterations;
    uint64_t polls;
    int64_t poll_time;
    uint64_t callbacks; /* the one that runs now included */
    uint64_t posts;
    uint64_t wake_ups;
} pl__loop_counts;

/* Told once that its loop ends, after the tasks have: for what other threads wait for. */
typedef struct pl__loop_end {
    pl__node node;
    void (*loop_ends)(struct pl__loop_end *end);
} pl__loop_end;

struct pl_loop {
    pl__proactor *proactor;
    pl__list ready;  /* pl__callback, first in first out */
    pl__list *batch; /* those that this iteration has still to run; NULL: none runs */
    pl__timer_heap timers;
    pl_task *current;       /* the task that runs now */
    pl__bindings *bindings; /* the context of the callback that runs now; NULL: none runs */
    size_t in_flight;       /* completions that the proactor has */
    uint32_t skipped;       /* iterations since the last poll */
    int64_t polled;         /* when that was */
    uint32_t task_budget;
    size_t stack_size;

    bool running;
    bool stopping;
    bool closing; /* pl_loop_close is at work: new tasks are cancelled ones */
    bool ending;  /* its tasks have ended: nothing new may begin */
    bool closed;  /* only the memory is left, for those who hold it */
    uint32_t references;
    uint8_t debug;            /* its level; 0: off */
    pl__embedding *embedding; /* NULL: not inside a foreign loop */
    pl__debug *debugging;     /* debug mode, until the loop is closed */
    pl__loop_counts counts;
    bool reporting;        /* inside the exception handler */
    pl_loop *outer;        /* the loop that runs in this thread and closes this one */
    pl__atomic_i64 thread; /* the thread it is bound to; 0: none yet. Any thread may ask */

    pl__list tasks;      /* pl_task, not done, in the order they were made */
    pl__list operations; /* pl__op, pending, not in memory of a task's stack */
    pl__list streams;    /* pl_stream with an open handle */
    pl__list listeners;  /* pl_listener, likewise */
    pl__list watches;    /* pl_watch, likewise */
    pl__list watchers;   /* of pollers and waiters that are started */
    pl__list signals;    /* pl_signal, not closed */
    pl__list ends;       /* pl__loop_end */
    pl__list aborts;     /* pl__group, while group_abort is at work */
    bool aborting;
    pl__list closers;          /* pl__closer, in the order in which they are to begin */
    bool closers_ended;        /* they have run, or never will */
    uint64_t shutdown;         /* the tasks up to this number are being ended by a runner; 0: none */
    pl__list gathering_aborts; /* pl__gathering, while gathering_abort is at work */
    bool gathering_aborting;
    pl__list coros;               /* pl_coro, not used */
    pl_thread_pool *default_pool; /* NULL: not made yet, or shut down */
    bool default_pool_shut;
    pl_remote *remote;
    uint64_t tasks_made;
    uint64_t random; /* what pl_select draws its choices from */

    pl__fiber_host host;
    pl__fiber_pool fibers;
    pl__buffer_pool buffers;
    pl__call *free_calls;
    size_t free_call_count;
    pl_task *free_tasks;
    size_t free_task_count;

    pl_switch_fn *switch_hook;
    void *switch_arg;
    bool switching; /* inside that hook */
    pl_exception_handler_fn *handler;
    void *handler_arg;
    uint32_t interrupts_seen;
    uint32_t signals_seen;          /* of mailbox.arrived */
    void (*interrupted)(void *arg); /* Ctrl-C, while a runner watches */
    void *interrupted_arg;
};

/* The thread that it is bound to; 0: none yet. Any thread. */
static inline uint64_t pl__loop_thread(const pl_loop *loop)
{
    return (uint64_t)pl__atomic_i64_load_relaxed(&loop->thread);
}

/* embed.c: an embedded loop has got something to do, or has asked for the end of something. */
void pl__embedding_work_came(pl_loop *loop);
void pl__embedding_cancelled(pl_loop *loop);

/* To be called when something was made ready, or the first deadline has changed. */
static inline void pl__loop_work_came(pl_loop *loop)
{
    if (PL__UNLIKELY(loop->embedding != NULL))
        pl__embedding_work_came(loop);
}

/* PL_OK, or why a call on this loop is refused: PL_ENOLOOP, PL_ECLOSED, PL_ETHREAD (debug mode only). NULL is
 * replaced by the running loop. */
int pl__loop_check(pl_loop **loop);

/* PL_OK or PL_ETHREAD (debug mode only). */
int pl__loop_check_thread(const pl_loop *loop);

/* Objects that may outlive the loop keep its memory; all else of it is gone when it is closed. */
void pl__loop_hold(pl_loop *loop);
void pl__loop_release(pl_loop *loop);

/* Gives a completion to the proactor. True: pending, `deliver` will be called; false: its result is there. */
bool pl__loop_submit(pl_loop *loop, pl__completion *completion);

/* Asks for the end of a pending completion; harmless if that was asked before. */
void pl__loop_cancel(pl_loop *loop, pl__completion *completion);

/* A request of the proactor; its result. */
int pl__loop_control(pl_loop *loop, pl__request *request);

int64_t pl__loop_now(pl_loop *loop);

/* Whether there was an interrupt since this was last asked. */
bool pl__loop_take_interrupts(pl_loop *loop);

/* pl_loop_create, or the process's factory, for a loop that the library makes on somebody's behalf. */
int pl__loop_make(pl_loop **loop, const pl_loop_options *options);

/* Runs iterations while more(arg) says so; pl_loop_stop does not end that. Also while another loop runs in this thread.
 * PL_OK; PL_ECLOSED, PL_EBUSY: it is running, PL_ETHREAD. */
int pl__loop_run_while(pl_loop *loop, bool (*more)(void *arg), void *arg);

/* A report with these parts. */
void pl__loop_report(pl_loop *loop, const char *message, int64_t error, int32_t system_error, const char *task,
                     const char *where);

#endif
