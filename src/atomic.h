/* atomic.h: atomic integers and pointers, the same for every compiler.
 *
 * The types are structs, so that a plain read or write does not compile. A name without a suffix is
 * sequentially consistent; _relaxed, _acquire and _release are the weaker orders, offered where they save
 * something. compare_exchange is the strong one: on failure it stores what it found in *expected.
 */
#ifndef PL__ATOMIC_H
#define PL__ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

typedef struct pl__atomic_u32 {
    uint32_t value;
} pl__atomic_u32;

typedef struct pl__atomic_i64 {
    _Alignas(8) int64_t value; /* 32-bit x86 would align it by 4 */
} pl__atomic_i64;

typedef struct pl__atomic_pointer {
    void *value;
} pl__atomic_pointer;

#if !defined(_MSC_VER)

#define PL__ATOMIC_OPERATIONS(name, type)                                                                              \
    static inline type name##_load(const name *atomic)                                                                 \
    {                                                                                                                  \
        return __atomic_load_n(&atomic->value, __ATOMIC_SEQ_CST);                                                      \
    }                                                                                                                  \
    static inline type name##_load_acquire(const name *atomic)                                                         \
    {                                                                                                                  \
        return __atomic_load_n(&atomic->value, __ATOMIC_ACQUIRE);                                                      \
    }                                                                                                                  \
    static inline type name##_load_relaxed(const name *atomic)                                                         \
    {                                                                                                                  \
        return __atomic_load_n(&atomic->value, __ATOMIC_RELAXED);                                                      \
    }                                                                                                                  \
    static inline void name##_store(name *atomic, type value)                                                          \
    {                                                                                                                  \
        __atomic_store_n(&atomic->value, value, __ATOMIC_SEQ_CST);                                                     \
    }                                                                                                                  \
    static inline void name##_store_release(name *atomic, type value)                                                  \
    {                                                                                                                  \
        __atomic_store_n(&atomic->value, value, __ATOMIC_RELEASE);                                                     \
    }                                                                                                                  \
    static inline void name##_store_relaxed(name *atomic, type value)                                                  \
    {                                                                                                                  \
        __atomic_store_n(&atomic->value, value, __ATOMIC_RELAXED);                                                     \
    }                                                                                                                  \
    static inline type name##_exchange(name *atomic, type value)                                                       \
    {                                                                                                                  \
        return __atomic_exchange_n(&atomic->value, value, __ATOMIC_SEQ_CST);                                           \
    }                                                                                                                  \
    static inline bool name##_compare_exchange(name *atomic, type *expected, type desired)                             \
    {                                                                                                                  \
        return __atomic_compare_exchange_n(&atomic->value, expected, desired, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
    }

/* Returns the value before. */
#define PL__ATOMIC_ADDITION(name, type)                                                                                \
    static inline type name##_add(name *atomic, type difference)                                                       \
    {                                                                                                                  \
        return __atomic_fetch_add(&atomic->value, difference, __ATOMIC_SEQ_CST);                                       \
    }                                                                                                                  \
    static inline type name##_add_relaxed(name *atomic, type difference)                                               \
    {                                                                                                                  \
        return __atomic_fetch_add(&atomic->value, difference, __ATOMIC_RELAXED);                                       \
    }

#else

#include <intrin.h>

/* Keeps the compiler, and on ARM64 the processor, from moving accesses over it. x86 and x64 need no
 * instruction: loads are acquire and stores release there, and the stores that must be more than that are
 * exchanges. */
static inline void pl__atomic_barrier(void)
{
#if defined(_M_ARM64) || defined(_M_ARM64EC)
    __dmb(_ARM64_BARRIER_ISH);
#elif defined(__clang__)
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
#else
#pragma warning(suppress : 4996) /* "deprecated", and there is nothing else in C */
    _ReadWriteBarrier();
#endif
}

static inline uint32_t pl__atomic_u32_load_relaxed(const pl__atomic_u32 *atomic)
{
    return (uint32_t)__iso_volatile_load32((const volatile int32_t *)&atomic->value);
}

static inline void pl__atomic_u32_store_relaxed(pl__atomic_u32 *atomic, uint32_t value)
{
    __iso_volatile_store32((volatile int32_t *)&atomic->value, (int32_t)value);
}

static inline uint32_t pl__atomic_u32_exchange(pl__atomic_u32 *atomic, uint32_t value)
{
    return (uint32_t)_InterlockedExchange((volatile long *)&atomic->value, (long)value);
}

static inline bool pl__atomic_u32_compare_exchange(pl__atomic_u32 *atomic, uint32_t *expected, uint32_t desired)
{
    uint32_t wanted = *expected;
    *expected = (uint32_t)_InterlockedCompareExchange((volatile long *)&atomic->value, (long)desired, (long)wanted);
    return *expected == wanted;
}

static inline uint32_t pl__atomic_u32_add(pl__atomic_u32 *atomic, uint32_t difference)
{
    return (uint32_t)_InterlockedExchangeAdd((volatile long *)&atomic->value, (long)difference);
}

static inline bool pl__atomic_i64_compare_exchange(pl__atomic_i64 *atomic, int64_t *expected, int64_t desired)
{
    int64_t wanted = *expected;
    *expected = _InterlockedCompareExchange64((volatile int64_t *)&atomic->value, desired, wanted);
    return *expected == wanted;
}

#if defined(_M_IX86)

/* There the compare-exchange is the only access to 64 bits in one piece. */
static inline int64_t pl__atomic_i64_load_relaxed(const pl__atomic_i64 *atomic)
{
    return _InterlockedCompareExchange64((volatile int64_t *)&atomic->value, 0, 0);
}

static inline int64_t pl__atomic_i64_exchange(pl__atomic_i64 *atomic, int64_t value)
{
    int64_t seen = pl__atomic_i64_load_relaxed(atomic);
    while (!pl__atomic_i64_compare_exchange(atomic, &seen, value))
        ;
    return seen;
}

static inline int64_t pl__atomic_i64_add(pl__atomic_i64 *atomic, int64_t difference)
{
    int64_t seen = pl__atomic_i64_load_relaxed(atomic);
    while (!pl__atomic_i64_compare_exchange(atomic, &seen, seen + difference))
        ;
    return seen;
}

static inline void pl__atomic_i64_store_relaxed(pl__atomic_i64 *atomic, int64_t value)
{
    (void)pl__atomic_i64_exchange(atomic, value);
}

static inline void *pl__atomic_pointer_load_relaxed(const pl__atomic_pointer *atomic)
{
    return (void *)__iso_volatile_load32((const volatile int32_t *)&atomic->value);
}

static inline void pl__atomic_pointer_store_relaxed(pl__atomic_pointer *atomic, void *value)
{
    __iso_volatile_store32((volatile int32_t *)&atomic->value, (int32_t)value);
}

#else

static inline int64_t pl__atomic_i64_load_relaxed(const pl__atomic_i64 *atomic)
{
    return __iso_volatile_load64((const volatile int64_t *)&atomic->value);
}

static inline int64_t pl__atomic_i64_exchange(pl__atomic_i64 *atomic, int64_t value)
{
    return _InterlockedExchange64((volatile int64_t *)&atomic->value, value);
}

static inline int64_t pl__atomic_i64_add(pl__atomic_i64 *atomic, int64_t difference)
{
    return _InterlockedExchangeAdd64((volatile int64_t *)&atomic->value, difference);
}

static inline void pl__atomic_i64_store_relaxed(pl__atomic_i64 *atomic, int64_t value)
{
    __iso_volatile_store64((volatile int64_t *)&atomic->value, value);
}

static inline void *pl__atomic_pointer_load_relaxed(const pl__atomic_pointer *atomic)
{
    return (void *)__iso_volatile_load64((const volatile int64_t *)&atomic->value);
}

static inline void pl__atomic_pointer_store_relaxed(pl__atomic_pointer *atomic, void *value)
{
    __iso_volatile_store64((volatile int64_t *)&atomic->value, (int64_t)value);
}

#endif

static inline void *pl__atomic_pointer_exchange(pl__atomic_pointer *atomic, void *value)
{
    return _InterlockedExchangePointer((void *volatile *)&atomic->value, value);
}

static inline bool pl__atomic_pointer_compare_exchange(pl__atomic_pointer *atomic, void **expected, void *desired)
{
    void *wanted = *expected;
    *expected = _InterlockedCompareExchangePointer((void *volatile *)&atomic->value, desired, wanted);
    return *expected == wanted;
}

/* The stronger loads and stores, of the relaxed ones and barriers. The barrier before the sequentially
 * consistent load keeps it behind an interlocked operation before it, which need not be a barrier for what
 * follows. */
#define PL__ATOMIC_OPERATIONS(name, type)                                                                              \
    static inline type name##_load_acquire(const name *atomic)                                                         \
    {                                                                                                                  \
        type value = name##_load_relaxed(atomic);                                                                      \
        pl__atomic_barrier();                                                                                          \
        return value;                                                                                                  \
    }                                                                                                                  \
    static inline type name##_load(const name *atomic)                                                                 \
    {                                                                                                                  \
        pl__atomic_barrier();                                                                                          \
        return name##_load_acquire(atomic);                                                                            \
    }                                                                                                                  \
    static inline void name##_store_release(name *atomic, type value)                                                  \
    {                                                                                                                  \
        pl__atomic_barrier();                                                                                          \
        name##_store_relaxed(atomic, value);                                                                           \
    }                                                                                                                  \
    static inline void name##_store(name *atomic, type value)                                                          \
    {                                                                                                                  \
        (void)name##_exchange(atomic, value);                                                                          \
    }

#define PL__ATOMIC_ADDITION(name, type)                                                                                \
    static inline type name##_add_relaxed(name *atomic, type difference)                                               \
    {                                                                                                                  \
        return name##_add(atomic, difference);                                                                         \
    }

#endif

PL__ATOMIC_OPERATIONS(pl__atomic_u32, uint32_t)
PL__ATOMIC_OPERATIONS(pl__atomic_i64, int64_t)
PL__ATOMIC_OPERATIONS(pl__atomic_pointer, void *)
PL__ATOMIC_ADDITION(pl__atomic_u32, uint32_t)
PL__ATOMIC_ADDITION(pl__atomic_i64, int64_t)

#undef PL__ATOMIC_OPERATIONS
#undef PL__ATOMIC_ADDITION

#endif
