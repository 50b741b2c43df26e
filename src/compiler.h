/* compiler.h: what the language leaves to the compiler, under one name for gcc, clang, clang-cl and MSVC.
 *
 * This header, atomic.h and sanitizer.h are the only portable files that name a compiler. The three are C
 * only.
 */
#ifndef PL__COMPILER_H
#define PL__COMPILER_H

#include <stddef.h>

#if defined(_MSC_VER) && !defined(__clang__)
#define PL__NOINLINE    __declspec(noinline)
#define PL__NORETURN    __declspec(noreturn)
#define PL__LIKELY(x)   (!!(x))
#define PL__UNLIKELY(x) (!!(x))
#define PL__PRINTF(a, b)
#define PL__FALLTHROUGH ((void)0)
#else
#define PL__NOINLINE    __attribute__((noinline))
#define PL__NORETURN    __attribute__((noreturn, cold))
#define PL__LIKELY(x)   __builtin_expect(!!(x), 1)
#define PL__UNLIKELY(x) __builtin_expect(!!(x), 0)
#if defined(__MINGW32__) && !defined(__clang__) /* whose printf is the one of C, unlike what its compiler thinks */
#define PL__PRINTF(a, b) __attribute__((format(gnu_printf, a, b)))
#else
#define PL__PRINTF(a, b) __attribute__((format(printf, a, b)))
#endif
#define PL__FALLTHROUGH __attribute__((fallthrough))
#endif

/* For a function that reads a thread-local variable: each call must really be made and really look, because
 * the caller may be on another stack than before. "noinline" alone is not enough: a compiler also keeps the
 * result of a function of the same file in which it sees no side effect. */
#if defined(__clang__)
#define PL__NOIPA __attribute__((noinline, optnone))
#elif defined(__GNUC__)
#define PL__NOIPA __attribute__((noinline, noipa))
#else
#define PL__NOIPA __declspec(noinline)
#endif

#if defined(_MSC_VER)
#define PL__THREAD_LOCAL __declspec(thread)
#else
#define PL__THREAD_LOCAL _Thread_local
#endif

#define PL__STATIC_ASSERT(condition, message) _Static_assert(condition, message)

/* The struct that `pointer` points into, at its member. */
#define PL__CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define PL__COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PL__UNUSED(x)       ((void)(x))

#endif
