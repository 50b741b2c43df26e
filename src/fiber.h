/* fiber.h: stacks that a thread can run on besides its own, and the switch between them.
 *
 * A fiber is a stack with a function running on it. A host is the thread's own stack while a loop runs there:
 * it resumes a fiber, which runs until it suspends back to the host or its function returns. Fibers never
 * switch between one another and never change threads. A pool belongs to one loop, and recycles stacks.
 *
 *     taken --start--> ready --resume--> running --suspend--> ready ...
 *                                        running --fn returns--> parked: start it again, or give it back
 *
 * A switch keeps what the calling convention makes a function keep, and no more. The signal mask, the locale
 * and all else that belongs to the thread is shared by its fibers; on Unix the floating-point control words
 * (rounding, traps) are too. A fiber that changes one of these must undo it before it suspends.
 */
#ifndef PL__FIBER_H
#define PL__FIBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pl__fiber pl__fiber;
typedef void pl__fiber_fn(void *arg);

enum {
    PL__FIBER_STACK_DEFAULT = 256 * 1024, /* address space; memory is committed as it is touched */
    PL__FIBER_STACK_MINIMUM = 32 * 1024,
    PL__FIBER_KEPT = 256 /* fibers given back that a pool keeps with the memory of their stacks */
};

/* Zeroed before the first enter. */
typedef struct pl__fiber_host {
    void *context; /* how to switch to the host: what the platform needs */
    bool entered;
    bool converted; /* Windows: enter made the thread a fiber */
    void *sanitizer_fiber;
    void *sanitizer_stack;
    const void *stack_bottom; /* only sanitizers need these two, and learn them by themselves */
    size_t stack_size;
} pl__fiber_host;

typedef struct pl__fiber_pool {
    pl__fiber *kept; /* parked, of the default size; the last one given is the first */
    size_t kept_count;
    size_t taken_count;
    void *slabs;      /* Unix: all slabs of stacks */
    void *slabs_free; /* Unix: those with a stack that is neither taken nor kept */
    bool ucontext;    /* Unix: switch by swapcontext */
} pl__fiber_pool;

/* Make the thread's own stack a host, around every run of a loop. What is suspended at a leave is resumed
 * after a later enter in the same thread. PL_ENOMEM: Windows has no memory to make the thread a fiber. */
int pl__fiber_host_enter(pl__fiber_host *host);
void pl__fiber_host_leave(pl__fiber_host *host);

int pl__fiber_pool_init(pl__fiber_pool *pool);

/* Every fiber has been given back by then. */
void pl__fiber_pool_destroy(pl__fiber_pool *pool);

/* `stack_size` is rounded up to what the system deals in; 0 is PL__FIBER_STACK_DEFAULT. Only stacks of the
 * default size are recycled. NULL: out of memory. */
pl__fiber *pl__fiber_take(pl__fiber_pool *pool, size_t stack_size);

/* The fiber is parked, or was never started. */
void pl__fiber_give(pl__fiber_pool *pool, pl__fiber *fiber);

/* The next resume runs fn(arg) from the start. Only for a fiber that is parked or was never started. */
void pl__fiber_start(pl__fiber *fiber, pl__fiber_fn *fn, void *arg);

/* From the host into the fiber. True: fn has returned, the fiber is parked. False: it suspended. */
bool pl__fiber_resume(pl__fiber_host *host, pl__fiber *fiber);

/* On the fiber: back to the host that resumed it; returns when it is resumed again. */
void pl__fiber_suspend(pl__fiber *fiber);

/* Whether the address lies on the fiber's stack. */
bool pl__fiber_contains(const pl__fiber *fiber, const void *address);

size_t pl__fiber_stack_size(const pl__fiber *fiber);

/* The most of the stack that was ever in use, in whole pages; of a recycled stack, in any of its lives. Asks
 * the system, so it is for reports only. */
size_t pl__fiber_stack_used(const pl__fiber *fiber);

/* The present stack pointer, roughly: below every object of the caller's frame, and of the frames that called
 * it. */
uintptr_t pl__fiber_stack_pointer(void);

/* Where an object of a frame lies on the stack, to compare with pl__fiber_stack_pointer: at its address,
 * unless a sanitizer has moved them elsewhere. For a frame of the stack that runs now. */
uintptr_t pl__fiber_stack_address(const void *object);

#endif
