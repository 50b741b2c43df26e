/* fiber.c: stacks made of mapped memory, and a switch of our own.
 *
 * A slab is one mapping of many stacks, since each mapping counts against a limit of the process. A stack is,
 * from low to high addresses: a guard page, the memory it grows down through, and the pl__fiber itself, which
 * so costs no memory of its own. A stack of a slab is taken, or kept (parked, in a list of the pool), or
 * free: then nothing is in it, and the system has its memory back.
 *
 * Guards: Linux 6.13 has guards inside a mapping. Elsewhere a guard is a mapping of its own, and cuts the
 * slab in two; past a number of these on Linux, a stack has no guard but a mark at its end that is looked at
 * whenever the fiber suspends, rather than that the process runs out of mappings.
 *
 * The switch is in fiber_<architecture>.S. On other architectures, and where shadow stacks are on, it is
 * swapcontext; PL__FIBER_UCONTEXT makes it so everywhere.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* MAP_STACK, mincore */
#elif defined(__APPLE__)
#define _DARWIN_C_SOURCE
#define _XOPEN_SOURCE 600 /* ucontext.h wants it */
#endif

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <proloop/base.h>

#include "../allocator.h"
#include "../atomic.h"
#include "../check.h"
#include "../fiber.h"
#include "../sanitizer.h"

#if defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))
#define HAS_ASSEMBLY 1
#else
#define HAS_ASSEMBLY 0
#endif

/* Not every C library has swapcontext, so it is asked for only where it may be needed. */
#if !HAS_ASSEMBLY || defined(PL__FIBER_UCONTEXT) || defined(__GLIBC__)
#define HAS_UCONTEXT 1
#include <ucontext.h>
#else
#define HAS_UCONTEXT 0
#endif

#if !defined(MAP_STACK)
#define MAP_STACK 0
#endif
#if !defined(MAP_NORESERVE)
#define MAP_NORESERVE 0
#endif

enum {
    STACKS_PER_SLAB = 64, /* one bit each of a uint64_t */
    STACK_OFFSETS = 16,   /* the places in a page where a stack may begin */
    /* Of the process. With the stacks between them, half of the mappings that Linux allows unless told
       otherwise. */
    GUARD_MAPPINGS_MAX = 16384
};

#define END_MARK UINT64_C(0x70726f6c6f6f7021)

typedef enum guard_kind { GUARD_NONE, GUARD_IN_MAPPING, GUARD_MAPPING } guard_kind;

typedef struct stack_slab {
    struct stack_slab *next;
    struct stack_slab *next_free;
    char *memory;
    uint64_t free;    /* the stacks that are neither taken nor kept */
    uint64_t guarded; /* stacks whose guard is in place; guards stay when memory is handed back */
    uint64_t mapped;  /* of those, the ones whose guard is a mapping of its own */
} stack_slab;

struct pl__fiber {
    void *context; /* of a fiber that is not running: its stack pointer, or its ucontext_t */
    pl__fiber_host *host;
    pl__fiber_fn *fn; /* NULL: parked */
    void *arg;
    char *low;  /* the lowest usable address */
    char *high; /* behind the highest */
    bool taken;
    bool ucontext;
    guard_kind guard;
    unsigned valgrind_stack;
    void *sanitizer_fiber;
    void *sanitizer_stack; /* the fake stack, while the fiber is suspended */
    pl__fiber *next_kept;
    stack_slab *slab; /* NULL: the stack is a mapping of its own */
};

/* Saves the registers on this stack and the stack pointer in *save, and goes on where `load` was saved: there
 * it returns `parked`. */
bool pl__fiber_switch(void **save, void *load, bool parked);
void pl__fiber_entry(void);
uintptr_t pl__fiber_shadow_stack(void);

static size_t page_size(void)
{
    static pl__atomic_u32 known;
    uint32_t size = pl__atomic_u32_load_relaxed(&known);
    if (size == 0) {
        size = (uint32_t)sysconf(_SC_PAGESIZE);
        pl__atomic_u32_store_relaxed(&known, size);
    }
    return size;
}

static size_t round_to_pages(size_t size)
{
    return (size + page_size() - 1) & ~(page_size() - 1);
}

/* From one stack of a slab to the next. */
static size_t default_stride(void)
{
    return round_to_pages(PL__FIBER_STACK_DEFAULT) + page_size();
}

/* ---- the host ---- */

int pl__fiber_host_enter(pl__fiber_host *host)
{
    PL__CHECK(!host->entered);
    host->entered = true;
    host->sanitizer_fiber = pl__sanitizer_fiber_current();
    return PL_OK;
}

void pl__fiber_host_leave(pl__fiber_host *host)
{
    PL__CHECK(host->entered);
    host->entered = false;
}

/* ---- switching ---- */

#if HAS_UCONTEXT

/* The context of a stack that is not running lies in the frame of this function. */
PL__NOINLINE static void switch_ucontext(void **save, void *load)
{
    ucontext_t here;
    *save = &here;
    if (swapcontext(&here, load) != 0)
        PL__PANIC("swapcontext failed");
}

#endif

/* True where a fiber parked on the other side. A function should end in this, so that the compiler makes it a
 * jump: the processor's prediction of where a "ret" goes is wrong for the first one after every switch. */
static inline bool switch_stack(const pl__fiber *fiber, void **save, void *load, bool parked)
{
#if HAS_UCONTEXT && HAS_ASSEMBLY
    if (PL__LIKELY(!fiber->ucontext))
        return pl__fiber_switch(save, load, parked);
#elif !HAS_UCONTEXT
    return pl__fiber_switch(save, load, parked);
#endif
#if HAS_UCONTEXT
    PL__UNUSED(parked);
    switch_ucontext(save, load);
    return !fiber->fn;
#endif
}

void pl__fiber_start(pl__fiber *fiber, pl__fiber_fn *fn, void *arg)
{
    PL__CHECK(fiber->taken && !fiber->fn && fn);
    fiber->fn = fn;
    fiber->arg = arg;
}

PL__NO_SANITIZE_ADDRESS bool pl__fiber_resume(pl__fiber_host *host, pl__fiber *fiber)
{
    PL__CHECK(host->entered && fiber->fn);
    fiber->host = host;
    pl__sanitizer_switch_begin(&host->sanitizer_stack, fiber->low, (size_t)(fiber->high - fiber->low));
    pl__sanitizer_fiber_switch(fiber->sanitizer_fiber);
    bool parked = switch_stack(fiber, &host->context, fiber->context, false);
    pl__sanitizer_switch_end(host->sanitizer_stack, NULL, NULL);
    return parked;
}

PL__NO_SANITIZE_ADDRESS static inline bool is_on(const pl__fiber *fiber)
{
    char here = 0;
    return (uintptr_t)&here >= (uintptr_t)fiber->low && (uintptr_t)&here < (uintptr_t)fiber->high;
}

PL__NO_SANITIZE_ADDRESS static inline void switch_to_host(pl__fiber *fiber, bool parked)
{
    pl__fiber_host *host = fiber->host;
    void **fake_stack = parked ? NULL : &fiber->sanitizer_stack;
    if (PL__UNLIKELY(fiber->guard == GUARD_NONE) && *(uint64_t *)(void *)fiber->low != END_MARK)
        PL__PANIC("stack overflow of a fiber with %zu bytes", (size_t)(fiber->high - fiber->low));
    pl__sanitizer_switch_begin(fake_stack, host->stack_bottom, host->stack_size);
    pl__sanitizer_fiber_switch(host->sanitizer_fiber);
    switch_stack(fiber, &fiber->context, host->context, parked);
    pl__sanitizer_switch_end(fake_stack ? *fake_stack : NULL, &fiber->host->stack_bottom, &fiber->host->stack_size);
}

PL__NO_SANITIZE_ADDRESS void pl__fiber_suspend(pl__fiber *fiber)
{
    PL__CHECK(is_on(fiber) && fiber->fn);
    switch_to_host(fiber, false);
}

/* The first frame of every stack: runs one function after the other, and parks in between. */
PL__NO_SANITIZE_ADDRESS static void run_fiber(pl__fiber *fiber)
{
    pl__sanitizer_switch_end(NULL, &fiber->host->stack_bottom, &fiber->host->stack_size);
    for (;;) {
        fiber->fn(fiber->arg);
        fiber->fn = NULL;
        fiber->sanitizer_stack = NULL;
        switch_to_host(fiber, true);
    }
}

/* ---- the first frame ---- */

#if HAS_UCONTEXT

/* makecontext passes nothing but ints. */
static void enter_ucontext(unsigned high, unsigned low)
{
    run_fiber((pl__fiber *)(uintptr_t)((uint64_t)high << 32 | low));
}

static void prepare_ucontext(pl__fiber *fiber)
{
    uint64_t address = (uintptr_t)fiber;
    char *place = fiber->high - ((sizeof(ucontext_t) + 63) & ~(size_t)63);
    ucontext_t *context = (ucontext_t *)(void *)place;
    if (getcontext(context) != 0)
        PL__PANIC("getcontext failed");
    context->uc_link = NULL;
    context->uc_stack.ss_sp = fiber->low;
    context->uc_stack.ss_size = (size_t)(place - fiber->low);
    makecontext(context, (void (*)(void))enter_ucontext, 2, (unsigned)(address >> 32), (unsigned)address);
    fiber->context = context;
}

#endif

#if HAS_ASSEMBLY

/* What pl__fiber_switch finds on a stack, and takes off it. */
typedef struct saved_registers {
#if defined(__x86_64__)
    void *r15, *r14, *r13, *function /* r12 */, *argument /* rbx */, *rbp, *address;
#else
    void *x29, *address /* x30 */, *argument /* x19 */, *function /* x20 */;
    void *others[16];
#endif
} saved_registers;

static void prepare_registers(pl__fiber *fiber)
{
    saved_registers *saved = (saved_registers *)(void *)(fiber->high - sizeof *saved);
    memset(saved, 0, sizeof *saved);
    saved->address = (void *)(uintptr_t)pl__fiber_entry;
    saved->function = (void *)(uintptr_t)run_fiber;
    saved->argument = fiber;
    fiber->context = saved;
}

#endif

static void prepare_first_frame(pl__fiber *fiber)
{
#if HAS_UCONTEXT && HAS_ASSEMBLY
    if (fiber->ucontext)
        prepare_ucontext(fiber);
    else
        prepare_registers(fiber);
#elif HAS_UCONTEXT
    prepare_ucontext(fiber);
#else
    prepare_registers(fiber);
#endif
}

/* ---- guards ---- */

#if defined(__linux__)

#if !defined(PL__FIBER_GUARD_ADVICE)
#define PL__FIBER_GUARD_ADVICE 102 /* MADV_GUARD_INSTALL: not in the headers of older systems; tests set another */
#endif

static bool install_in_mapping(void *page)
{
    static pl__atomic_u32 unknown_to_kernel;
    if (pl__atomic_u32_load_relaxed(&unknown_to_kernel))
        return false;
    if (madvise(page, page_size(), PL__FIBER_GUARD_ADVICE) == 0)
        return true;
    pl__atomic_u32_store_relaxed(&unknown_to_kernel, 1);
    return false;
}

#else

static bool install_in_mapping(void *page)
{
    PL__UNUSED(page);
    return false;
}

#endif

static pl__atomic_u32 guard_mappings;

static void forget_guard_mappings(uint32_t count)
{
    (void)pl__atomic_u32_add_relaxed(&guard_mappings, 0 - count);
}

static guard_kind install_guard(void *page)
{
    if (install_in_mapping(page))
        return GUARD_IN_MAPPING;
    uint32_t present = pl__atomic_u32_add_relaxed(&guard_mappings, 1);
#if defined(__linux__)
    if (present < GUARD_MAPPINGS_MAX && mprotect(page, page_size(), PROT_NONE) == 0)
        return GUARD_MAPPING;
#else
    PL__UNUSED(present);
    if (mprotect(page, page_size(), PROT_NONE) == 0)
        return GUARD_MAPPING;
#endif
    forget_guard_mappings(1);
    return GUARD_NONE;
}

/* ---- memory ---- */

static char *map_stacks(size_t size)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
#if defined(MADV_NOHUGEPAGE)
    (void)madvise(memory, size, MADV_NOHUGEPAGE); /* one touched byte would commit several whole stacks */
#endif
    return memory;
}

static void unmap_stacks(char *memory, size_t size)
{
    pl__sanitizer_unpoison(memory, size);
    PL__CHECK(munmap(memory, size) == 0);
}

static void hand_back(char *memory, size_t size)
{
#if defined(__linux__)
    (void)madvise(memory, size, MADV_DONTNEED);
#elif defined(MADV_FREE)
    (void)madvise(memory, size, MADV_FREE);
#else
    (void)posix_madvise(memory, size, POSIX_MADV_DONTNEED);
#endif
}

/* Stacks lie at equal distances, so their first frames would all compete for the same lines of the cache:
 * each begins a little elsewhere in its page. With 100 fibers alive this halves the cost of a switch. */
static size_t offset_in_page(const char *memory)
{
    return (uintptr_t)memory / default_stride() % STACK_OFFSETS * 128;
}

/* Makes a fiber in `size` bytes of memory, the lowest page of which is for the guard. */
static pl__fiber *make_fiber(const pl__fiber_pool *pool, char *memory, size_t size, guard_kind guard)
{
    size_t from_top = offset_in_page(memory) + ((sizeof(pl__fiber) + 63) & ~(size_t)63);
    pl__fiber *fiber = (pl__fiber *)(void *)(memory + size - from_top);
    memset(fiber, 0, sizeof *fiber);
    fiber->low = memory + page_size();
    fiber->high = (char *)fiber;
    fiber->guard = guard;
    fiber->ucontext = pool->ucontext;
    fiber->valgrind_stack = pl__sanitizer_stack_register(fiber->low, fiber->high - 1);
    fiber->sanitizer_fiber = pl__sanitizer_fiber_create();
    if (guard == GUARD_NONE)
        *(uint64_t *)(void *)fiber->low = END_MARK;
    prepare_first_frame(fiber);
    return fiber;
}

static void unmake_fiber(pl__fiber *fiber)
{
    pl__sanitizer_fiber_destroy(fiber->sanitizer_fiber);
    pl__sanitizer_stack_deregister(fiber->valgrind_stack);
    pl__sanitizer_unpoison(fiber->low, (size_t)(fiber->high - fiber->low));
}

/* ---- stacks of the default size ---- */

static stack_slab *make_slab(pl__fiber_pool *pool)
{
    stack_slab *made = pl__allocate_zeroed(sizeof *made);
    if (!made)
        return NULL;
    made->memory = map_stacks(STACKS_PER_SLAB * default_stride());
    if (!made->memory) {
        pl__release(made, sizeof *made);
        return NULL;
    }
    made->free = UINT64_MAX;
    made->next = pool->slabs;
    pool->slabs = made;
    made->next_free = pool->slabs_free;
    pool->slabs_free = made;
    return made;
}

static guard_kind guard_of_stack(stack_slab *slab, unsigned index)
{
    uint64_t bit = UINT64_C(1) << index;
    if (slab->guarded & bit)
        return slab->mapped & bit ? GUARD_MAPPING : GUARD_IN_MAPPING;
    guard_kind installed = install_guard(slab->memory + index * default_stride());
    if (installed != GUARD_NONE)
        slab->guarded |= bit;
    if (installed == GUARD_MAPPING)
        slab->mapped |= bit;
    return installed;
}

static pl__fiber *take_free(pl__fiber_pool *pool)
{
    stack_slab *slab = pool->slabs_free ? pool->slabs_free : make_slab(pool);
    if (!slab)
        return NULL;
    unsigned index = (unsigned)__builtin_ctzll(slab->free);
    slab->free &= slab->free - 1;
    if (!slab->free) {
        pool->slabs_free = slab->next_free;
        slab->next_free = NULL;
    }
    char *memory = slab->memory + index * default_stride();
    pl__fiber *fiber = make_fiber(pool, memory, default_stride(), guard_of_stack(slab, index));
    fiber->slab = slab;
    return fiber;
}

static void give_free(pl__fiber_pool *pool, pl__fiber *fiber)
{
    stack_slab *slab = fiber->slab;
    char *low = fiber->low;
    unmake_fiber(fiber);
    hand_back(low, default_stride() - page_size());
    if (!slab->free) {
        slab->next_free = pool->slabs_free;
        pool->slabs_free = slab;
    }
    slab->free |= UINT64_C(1) << (size_t)(low - slab->memory) / default_stride();
}

/* ---- stacks of other sizes ---- */

static pl__fiber *take_custom(const pl__fiber_pool *pool, size_t stack_size)
{
    if (stack_size < PL__FIBER_STACK_MINIMUM)
        stack_size = PL__FIBER_STACK_MINIMUM;
    size_t size = round_to_pages(stack_size) + page_size();
    char *memory = map_stacks(size);
    return memory ? make_fiber(pool, memory, size, install_guard(memory)) : NULL;
}

static void give_custom(pl__fiber *fiber)
{
    char *memory = fiber->low - page_size();
    if (fiber->guard == GUARD_MAPPING)
        forget_guard_mappings(1);
    unmake_fiber(fiber);
    unmap_stacks(memory, round_to_pages((size_t)((char *)(fiber + 1) - memory)));
}

/* ---- the pool ---- */

int pl__fiber_pool_init(pl__fiber_pool *pool)
{
    memset(pool, 0, sizeof *pool);
#if defined(PL__FIBER_UCONTEXT) || !HAS_ASSEMBLY
    pool->ucontext = true;
#elif HAS_UCONTEXT
    pool->ucontext = pl__fiber_shadow_stack() != 0;
#endif
    return PL_OK;
}

void pl__fiber_pool_destroy(pl__fiber_pool *pool)
{
    PL__CHECK(pool->taken_count == 0);
    for (pl__fiber *fiber = pool->kept; fiber; fiber = fiber->next_kept)
        unmake_fiber(fiber);
    for (stack_slab *slab = pool->slabs, *next; slab; slab = next) {
        next = slab->next;
        forget_guard_mappings((uint32_t)__builtin_popcountll(slab->mapped));
        unmap_stacks(slab->memory, STACKS_PER_SLAB * default_stride());
        pl__release(slab, sizeof *slab);
    }
    memset(pool, 0, sizeof *pool);
}

static pl__fiber *take_kept(pl__fiber_pool *pool)
{
    pl__fiber *fiber = pool->kept;
    pool->kept = fiber->next_kept;
    pool->kept_count--;
    return fiber;
}

/* A size that makes no other stack than the default gets one of those. */
static bool is_default(size_t stack_size)
{
    return stack_size == 0 || round_to_pages(stack_size) == round_to_pages(PL__FIBER_STACK_DEFAULT);
}

pl__fiber *pl__fiber_take(pl__fiber_pool *pool, size_t stack_size)
{
    pl__fiber *fiber;
    if (stack_size > SIZE_MAX / 4)
        return NULL;
    if (!is_default(stack_size))
        fiber = take_custom(pool, stack_size);
    else if (pool->kept)
        fiber = take_kept(pool);
    else
        fiber = take_free(pool);
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
    if (!fiber->slab) {
        give_custom(fiber);
    } else if (pool->kept_count >= PL__FIBER_KEPT) {
        give_free(pool, fiber);
    } else {
        pl__sanitizer_unpoison(fiber->low, (size_t)(fiber->high - fiber->low));
        fiber->next_kept = pool->kept;
        pool->kept = fiber;
        pool->kept_count++;
    }
}

/* ---- looking at stacks ---- */

bool pl__fiber_contains(const pl__fiber *fiber, const void *address)
{
    uintptr_t real = pl__sanitizer_stack_address(fiber->sanitizer_stack, address);
    return real >= (uintptr_t)fiber->low && real < (uintptr_t)fiber->high;
}

size_t pl__fiber_stack_size(const pl__fiber *fiber)
{
    return (size_t)(fiber->high - fiber->low);
}

size_t pl__fiber_stack_used(const pl__fiber *fiber)
{
    unsigned char resident[64];
    size_t page = page_size();
    char *low = fiber->low + (fiber->guard == GUARD_NONE ? page : 0); /* the mark at the end is no use of it */
    while (low < fiber->high) {
        size_t pages = round_to_pages((size_t)(fiber->high - low)) / page;
        if (pages > sizeof resident)
            pages = sizeof resident;
        if (mincore(low, pages * page, (void *)resident) != 0)
            return 0;
        for (size_t i = 0; i < pages; i++) {
            if (resident[i] & 1)
                return (size_t)(fiber->high - (low + i * page));
        }
        low += pages * page;
    }
    return 0;
}

PL__NOINLINE uintptr_t pl__fiber_stack_pointer(void)
{
    return (uintptr_t)__builtin_frame_address(0);
}

uintptr_t pl__fiber_stack_address(const void *object)
{
    return pl__sanitizer_stack_address(NULL, object);
}
