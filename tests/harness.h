/* Tests are written in C and run by GoogleTest.
 *
 *     TEST_CASE(a_timer_is_never_early)
 *     {
 *         pl_loop *loop = ... t->backend ...;
 *         REQUIRE(loop != NULL);
 *         CHECK_EQ_INT(pl_loop_run_once(loop), 0);
 *     }
 *
 *     TEST_SUITE(timer, TEST_BACKENDS_ALL, CASE(a_timer_is_never_early))
 *
 * in timer_test.c, and X(timer) in suites.h. A case runs once per backend of its suite, named like
 * "timer/epoll.a_timer_is_never_early". What concerns some backends only is CASE_ON("epoll", a_timer_...): elsewhere there is
 * no such case, rather than one that is left out.
 *
 * CHECK... records a failure and goes on; its value is 1 if it held, else 0. REQUIRE... returns from the function
 * it stands in, which must be void; REQUIRE..._OR does what you say instead (`return -1`, `goto out`). All of
 * them may be used in tasks and on any thread that ends before the case does.
 *
 * After each case the library must hold no memory and the process no more system handles than before.
 */
#ifndef PROLOOP_TESTS_HARNESS_H
#define PROLOOP_TESTS_HARNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct test_context {
    const char *backend; /* "epoll", "iocp", "sim"; NULL in a suite of TEST_BACKENDS_NONE */
    const char *skipped; /* why, by t_skip */
    const char *keeps;   /* why, by t_keeps_handles */
} test_context;

typedef struct test_case {
    const char *name;
    void (*run)(test_context *t);
    int line;
    const char *backends; /* of its suite's only these, separated by spaces; NULL: all */
} test_case;

typedef enum test_backends {
    TEST_BACKENDS_NONE, /* once, without a backend */
    TEST_BACKENDS_BEST, /* once, with the system's best one */
    TEST_BACKENDS_REAL, /* the system's own */
    TEST_BACKENDS_ALL   /* the system's own, and the simulated one */
} test_backends;

typedef struct test_suite {
    const char *name;
    const char *file;
    test_backends backends;
    const test_case *cases;
    size_t count;
} test_suite;

#define TEST_CASE(name)                                                                                                \
    enum { name##_line = __LINE__ };                                                                                   \
    static void name(test_context *t)

/* clang-format off */
#define CASE(name) {#name, name, name##_line, NULL}
#define CASE_ON(backends, name) {#name, name, name##_line, backends}
/* clang-format on */

/* Backends of a kind of system, for CASE_ON. */
#define ON_WINDOWS "iocp"
#define ON_UNIX    "epoll kqueue poll select"
#define ON_LINUX   "epoll poll select"

#define TEST_SUITE(noun, backends, ...)                                                                                \
    static const test_case noun##_cases[] = {__VA_ARGS__};                                                             \
    extern const test_suite noun##_suite;                                                                              \
    const test_suite noun##_suite = {#noun, __FILE__, backends, noun##_cases,                                          \
                                     sizeof noun##_cases / sizeof noun##_cases[0]};

/** Back to the default allocator. Waits until the library has given everything back: what was abandoned, and threads that
 *  end, let go of memory a moment after what they did was seen. Fails the case if that never comes. */
void t_restore_allocator(void);

/** This case cannot be tested here. Counted and reported; return from the case after it. */
void t_skip(test_context *t, const char *reason);

/** The system keeps handles of this case for good reason: they are not compared. Counted and reported. */
void t_keeps_handles(test_context *t, const char *reason);

#define CHECK(cond)        test_check(__FILE__, __LINE__, (cond) ? true : false, #cond)
#define CHECK_EQ_INT(a, b) test_check_int(__FILE__, __LINE__, (int64_t)(a), (int64_t)(b), #a, #b)
#define CHECK_STR(a, b)    test_check_string(__FILE__, __LINE__, a, b, #a, #b)
#define CHECK_MEM(a, b, n) test_check_memory(__FILE__, __LINE__, a, b, n, #a, #b)

#define REQUIRE_OR(cond, ...)        TEST_REQUIRE_(CHECK(cond), __VA_ARGS__)
#define REQUIRE_EQ_INT_OR(a, b, ...) TEST_REQUIRE_(CHECK_EQ_INT(a, b), __VA_ARGS__)
#define REQUIRE_STR_OR(a, b, ...)    TEST_REQUIRE_(CHECK_STR(a, b), __VA_ARGS__)
#define REQUIRE_MEM_OR(a, b, n, ...) TEST_REQUIRE_(CHECK_MEM(a, b, n), __VA_ARGS__)

/* clang-format off */
#define REQUIRE(cond)        REQUIRE_OR(cond, return)
#define REQUIRE_EQ_INT(a, b) REQUIRE_EQ_INT_OR(a, b, return)
#define REQUIRE_STR(a, b)    REQUIRE_STR_OR(a, b, return)
#define REQUIRE_MEM(a, b, n) REQUIRE_MEM_OR(a, b, n, return)
/* clang-format on */

#define TEST_REQUIRE_(check, ...)                                                                                      \
    do {                                                                                                               \
        if (!(check)) {                                                                                                \
            __VA_ARGS__;                                                                                               \
        }                                                                                                              \
    } while (0)

int test_check(const char *file, int line, bool held, const char *text);
int test_check_int(const char *file, int line, int64_t a, int64_t b, const char *a_text, const char *b_text);
int test_check_string(const char *file, int line, const char *a, const char *b, const char *a_text, const char *b_text);
int test_check_memory(const char *file, int line, const void *a, const void *b, size_t size, const char *a_text,
                      const char *b_text);

#ifdef __cplusplus
}
#endif

#endif
