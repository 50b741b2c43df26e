/* sanitizer.h: tells AddressSanitizer, ThreadSanitizer and Valgrind about stacks that they did not see being
 * made.
 *
 * Every function here is empty where its tool is not compiled in. Valgrind's requests are a few harmless
 * instructions when it does not run; they are there whenever its header is, and a build can leave them out
 * with PL__NO_VALGRIND.
 */
#ifndef PL__SANITIZER_H
#define PL__SANITIZER_H

#include <stddef.h>
#include <stdint.h>

#if defined(__has_feature)
#define PL__HAS_FEATURE(name) __has_feature(name)
#else
#define PL__HAS_FEATURE(name) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || PL__HAS_FEATURE(address_sanitizer)
#define PL__ADDRESS_SANITIZER 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#else
#define PL__ADDRESS_SANITIZER 0
#endif

#if defined(__SANITIZE_THREAD__) || PL__HAS_FEATURE(thread_sanitizer)
#define PL__THREAD_SANITIZER 1
#include <sanitizer/tsan_interface.h>
#else
#define PL__THREAD_SANITIZER 0
#endif

#if defined(__has_include) && !defined(PL__NO_VALGRIND) && !defined(_MSC_VER)
#if __has_include(<valgrind/valgrind.h>)
#define PL__VALGRIND 1
#include <valgrind/valgrind.h>
#endif
#endif
#ifndef PL__VALGRIND
#define PL__VALGRIND 0
#endif

/* For functions that are on a stack while its fake stack comes or goes: they must not keep variables there.
 */
#if PL__ADDRESS_SANITIZER && (defined(__GNUC__) || defined(__clang__))
#define PL__NO_SANITIZE_ADDRESS __attribute__((no_sanitize_address))
#else
#define PL__NO_SANITIZE_ADDRESS
#endif

/* AddressSanitizer can keep the variables of a stack's frames on a "fake stack" in the heap. The one of the
 * stack that is being left is stored in *fake_stack, or destroyed where `fake_stack` is NULL because nothing
 * is left on it. `bottom` is the lowest address of the stack to be entered. */
static inline void pl__sanitizer_switch_begin(void **fake_stack, const void *bottom, size_t size)
{
#if PL__ADDRESS_SANITIZER
    __sanitizer_start_switch_fiber(fake_stack, bottom, size);
#else
    (void)fake_stack;
    (void)bottom;
    (void)size;
#endif
}

/* The first call after the switch, on the stack that was entered; NULL for one that has no fake stack yet.
 * Tells the bounds of the stack that was left, where those are wanted. */
static inline void pl__sanitizer_switch_end(void *fake_stack, const void **bottom, size_t *size)
{
#if PL__ADDRESS_SANITIZER
    __sanitizer_finish_switch_fiber(fake_stack, bottom, size);
#else
    (void)fake_stack;
    (void)bottom;
    (void)size;
#endif
}

/* Memory that was a stack may still be marked with the frames that were on it. */
static inline void pl__sanitizer_unpoison(const void *bottom, size_t size)
{
#if PL__ADDRESS_SANITIZER
    __asan_unpoison_memory_region(bottom, size);
#else
    (void)bottom;
    (void)size;
#endif
}

/* Where the frame of an object is that lies on a fake stack; the address itself if it does not. The running
 * stack's fake stack is asked where `fake_stack` is NULL. */
static inline uintptr_t pl__sanitizer_stack_address(void *fake_stack, const void *object)
{
#if PL__ADDRESS_SANITIZER
    if (!fake_stack)
        fake_stack = __asan_get_current_fake_stack();
    void *frame = fake_stack ? __asan_addr_is_in_fake_stack(fake_stack, (void *)object, NULL, NULL) : NULL;
    if (frame)
        return (uintptr_t)frame + 256; /* it told where the frame ends; within the frame is somewhat above */
#else
    (void)fake_stack;
#endif
    return (uintptr_t)object;
}

/* ThreadSanitizer's record of what runs on a stack. */
static inline void *pl__sanitizer_fiber_create(void)
{
#if PL__THREAD_SANITIZER
    return __tsan_create_fiber(0);
#else
    return NULL;
#endif
}

static inline void pl__sanitizer_fiber_destroy(void *fiber)
{
#if PL__THREAD_SANITIZER
    __tsan_destroy_fiber(fiber);
#else
    (void)fiber;
#endif
}

static inline void *pl__sanitizer_fiber_current(void)
{
#if PL__THREAD_SANITIZER
    return __tsan_get_current_fiber();
#else
    return NULL;
#endif
}

static inline void pl__sanitizer_fiber_switch(void *fiber)
{
#if PL__THREAD_SANITIZER
    __tsan_switch_to_fiber(fiber, 0);
#else
    (void)fiber;
#endif
}

/* Valgrind's number for a stack. */
static inline unsigned pl__sanitizer_stack_register(const void *low, const void *high)
{
#if PL__VALGRIND
    return VALGRIND_STACK_REGISTER(low, high);
#else
    (void)low;
    (void)high;
    return 0;
#endif
}

static inline void pl__sanitizer_stack_deregister(unsigned number)
{
#if PL__VALGRIND
    VALGRIND_STACK_DEREGISTER(number);
#else
    (void)number;
#endif
}

#endif
