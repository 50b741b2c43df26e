/* fiber.c: the fibers of Windows.
 *
 * The system's own are used, since they keep what else belongs to a stack there: its bounds in the thread's
 * block, exception frames, fiber-local storage, shadow stacks; and debuggers know them. A pl__fiber is a few
 * bytes beside the system's fiber.
 *
 * FIBER_FLAG_FLOAT_SWITCH is given: without it the system promises nothing about floating-point registers,
 * and the calling conventions of x64 and ARM64 let a function expect that some of them (xmm6 to xmm15, d8 to
 * d15) are kept by what it calls. It also keeps the floating-point control words apart, which costs a few
 * nanoseconds.
 */
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <windows.h>

#include <string.h>

#include <proloop/base.h>

#include "../allocator.h"
#include "../check.h"
#include "../fiber.h"

#if defined(__MINGW32__) /* gcc 12 takes its header's way to the thread's block for a read out of bounds */
#pragma GCC diagnostic ignored "-Warray-bounds"
#endif

WINBASEAPI BOOL WINAPI IsThreadAFiber(void); /* not in Wine's headers */

enum {
    /* Committed when the stack is made: the frames of most tasks and of the system calls below them. Each
     * further page costs a fault on its first touch, once in the life of a stack. Every committed byte is
     * charged to the system's limit even if it is never touched, so 100,000 fibers are 1.6 GB. */
    STACK_COMMITTED = 16 * 1024,
    STACK_GRANULARITY = 64 * 1024
};

PL__STATIC_ASSERT(STACK_COMMITTED < (int)PL__FIBER_STACK_MINIMUM,
                  "CreateFiberEx rounds the reserve up to 1 MB unless it exceeds what is committed");

struct pl__fiber {
    void *system;
    pl__fiber_host *host;
    pl__fiber_fn *fn; /* NULL: parked */
    void *arg;
    bool taken;
    size_t reserved;
    char *low; /* low and high are NULL until the fiber first runs, for only it can ask */
    char *high;
    pl__fiber *next_kept;
};

/* ---- the host ---- */

int pl__fiber_host_enter(pl__fiber_host *host)
{
    PL__CHECK(!host->entered);
    host->converted = !IsThreadAFiber();
    if (host->converted && !ConvertThreadToFiberEx(NULL, FIBER_FLAG_FLOAT_SWITCH))
        return PL_ENOMEM;
    host->context = GetCurrentFiber();
    host->entered = true;
    return PL_OK;
}

void pl__fiber_host_leave(pl__fiber_host *host)
{
    PL__CHECK(host->entered && GetCurrentFiber() == host->context);
    host->entered = false;
    host->context = NULL;
    if (host->converted)
        ConvertFiberToThread();
}

/* ---- switching ---- */

void pl__fiber_start(pl__fiber *fiber, pl__fiber_fn *fn, void *arg)
{
    PL__CHECK(fiber->taken && !fiber->fn && fn);
    fiber->fn = fn;
    fiber->arg = arg;
}

bool pl__fiber_resume(pl__fiber_host *host, pl__fiber *fiber)
{
    PL__CHECK(host->entered && fiber->fn);
    fiber->host = host;
    SwitchToFiber(fiber->system);
    return !fiber->fn;
}

void pl__fiber_suspend(pl__fiber *fiber)
{
    PL__CHECK(GetCurrentFiber() == fiber->system && fiber->fn);
    SwitchToFiber(fiber->host->context);
}

static void find_stack(pl__fiber *fiber)
{
    MEMORY_BASIC_INFORMATION region;
    fiber->high = ((NT_TIB *)NtCurrentTeb())->StackBase;
    if (VirtualQuery(fiber->high - 1, &region, sizeof region))
        fiber->low = region.AllocationBase;
}

/* The first frame of every stack: runs one function after the other, and parks in between. */
static void WINAPI run_fiber(void *arg)
{
    pl__fiber *fiber = arg;
    find_stack(fiber);
    for (;;) {
        fiber->fn(fiber->arg);
        fiber->fn = NULL;
        SwitchToFiber(fiber->host->context);
    }
}

/* ---- the pool ---- */

int pl__fiber_pool_init(pl__fiber_pool *pool)
{
    memset(pool, 0, sizeof *pool);
    return PL_OK;
}

static pl__fiber *make_fiber(size_t reserved)
{
    pl__fiber *fiber = pl__allocate_zeroed(sizeof *fiber);
    if (!fiber)
        return NULL;
    fiber->reserved = reserved;
    fiber->system = CreateFiberEx(STACK_COMMITTED, reserved, FIBER_FLAG_FLOAT_SWITCH, run_fiber, fiber);
    if (!fiber->system) {
        pl__release(fiber, sizeof *fiber);
        return NULL;
    }
    return fiber;
}

static void unmake_fiber(pl__fiber *fiber)
{
    DeleteFiber(fiber->system);
    pl__release(fiber, sizeof *fiber);
}

void pl__fiber_pool_destroy(pl__fiber_pool *pool)
{
    PL__CHECK(pool->taken_count == 0);
    for (pl__fiber *fiber = pool->kept, *next; fiber; fiber = next) {
        next = fiber->next_kept;
        unmake_fiber(fiber);
    }
    memset(pool, 0, sizeof *pool);
}

pl__fiber *pl__fiber_take(pl__fiber_pool *pool, size_t stack_size)
{
    pl__fiber *fiber = pool->kept;
    if (stack_size == 0)
        stack_size = PL__FIBER_STACK_DEFAULT;
    if (stack_size > SIZE_MAX / 4)
        return NULL;
    stack_size = (stack_size + STACK_GRANULARITY - 1) & ~(size_t)(STACK_GRANULARITY - 1);

    if (fiber && stack_size == PL__FIBER_STACK_DEFAULT) {
        pool->kept = fiber->next_kept;
        pool->kept_count--;
    } else {
        fiber = make_fiber(stack_size);
    }
    if (!fiber)
        return NULL;
    fiber->taken = true;
    pool->taken_count++;
    return fiber;
}

void pl__fiber_give(pl__fiber_pool *pool, pl__fiber *fiber)
{
    PL__CHECK(fiber->taken && !fiber->fn);
    fiber->taken = false;
    pool->taken_count--;
    if (fiber->reserved != PL__FIBER_STACK_DEFAULT || pool->kept_count >= PL__FIBER_KEPT) {
        unmake_fiber(fiber);
        return;
    }
    fiber->next_kept = pool->kept;
    pool->kept = fiber;
    pool->kept_count++;
}

/* ---- looking at stacks ---- */

bool pl__fiber_contains(const pl__fiber *fiber, const void *address)
{
    return (uintptr_t)address >= (uintptr_t)fiber->low && (uintptr_t)address < (uintptr_t)fiber->high;
}

size_t pl__fiber_stack_size(const pl__fiber *fiber)
{
    return fiber->high ? (size_t)(fiber->high - fiber->low) : fiber->reserved;
}

/* From low to high a stack is reserved, a guard page, and committed: what was in use is the last of these. */
size_t pl__fiber_stack_used(const pl__fiber *fiber)
{
    MEMORY_BASIC_INFORMATION region;
    for (char *address = fiber->low; address < fiber->high; address = (char *)region.BaseAddress + region.RegionSize) {
        if (!VirtualQuery(address, &region, sizeof region))
            return 0;
        if (region.State == MEM_COMMIT && !(region.Protect & (PAGE_GUARD | PAGE_NOACCESS)))
            return (size_t)(fiber->high - (char *)region.BaseAddress);
    }
    return 0;
}

PL__NOINLINE uintptr_t pl__fiber_stack_pointer(void)
{
    volatile uintptr_t here;
    here = (uintptr_t)&here; /* stored first: compilers object to returning it */
    return here;
}

uintptr_t pl__fiber_stack_address(const void *object)
{
    return (uintptr_t)object;
}
