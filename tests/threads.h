/* Threads for tests, the same on every system. */
#ifndef PROLOOP_TESTS_THREADS_H
#define PROLOOP_TESTS_THREADS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef void test_thread_fn(void *arg);

typedef struct test_thread {
    test_thread_fn *fn;
    void *arg;
    uint64_t space[4]; /* the system's */
} test_thread;

/** Runs fn(arg) in a new thread, which must be joined. False: the system gives none. */
bool test_thread_start(test_thread *thread, test_thread_fn *fn, void *arg);
void test_thread_join(test_thread *thread);

/** Runs fn(arg) in a thread of its own and waits for its end. */
bool test_in_thread(test_thread_fn *fn, void *arg);

/** Opens once, for all who wait. */
typedef struct test_gate {
    uint64_t space[16]; /* the system's */
} test_gate;

void test_gate_init(test_gate *gate);
void test_gate_open(test_gate *gate);
void test_gate_wait(test_gate *gate);
void test_gate_destroy(test_gate *gate);

#ifdef __cplusplus
}
#endif

#endif
