#include "threads.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

typedef struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t opened;
    bool is_open;
} gate;

static_assert(sizeof(gate) <= sizeof(test_gate), "test_gate is too small");
static_assert(sizeof(pthread_t) <= sizeof(uint64_t[4]), "test_thread is too small");

static gate *gate_of(test_gate *space)
{
    return (gate *)(void *)space;
}

static void *run(void *arg)
{
    test_thread *thread = arg;
    thread->fn(thread->arg);
    return NULL;
}

bool test_thread_start(test_thread *thread, test_thread_fn *fn, void *arg)
{
    pthread_t id;
    thread->fn = fn;
    thread->arg = arg;
    if (pthread_create(&id, NULL, run, thread) != 0)
        return false;
    memcpy(thread->space, &id, sizeof id);
    return true;
}

void test_thread_join(test_thread *thread)
{
    pthread_t id;
    memcpy(&id, thread->space, sizeof id);
    (void)pthread_join(id, NULL);
}

bool test_in_thread(test_thread_fn *fn, void *arg)
{
    test_thread thread;
    if (!test_thread_start(&thread, fn, arg))
        return false;
    test_thread_join(&thread);
    return true;
}

void test_gate_init(test_gate *space)
{
    gate *g = gate_of(space);
    (void)pthread_mutex_init(&g->mutex, NULL);
    (void)pthread_cond_init(&g->opened, NULL);
    g->is_open = false;
}

void test_gate_open(test_gate *space)
{
    gate *g = gate_of(space);
    (void)pthread_mutex_lock(&g->mutex);
    g->is_open = true;
    (void)pthread_cond_broadcast(&g->opened);
    (void)pthread_mutex_unlock(&g->mutex);
}

void test_gate_wait(test_gate *space)
{
    gate *g = gate_of(space);
    (void)pthread_mutex_lock(&g->mutex);
    while (!g->is_open)
        (void)pthread_cond_wait(&g->opened, &g->mutex);
    (void)pthread_mutex_unlock(&g->mutex);
}

void test_gate_destroy(test_gate *space)
{
    gate *g = gate_of(space);
    (void)pthread_cond_destroy(&g->opened);
    (void)pthread_mutex_destroy(&g->mutex);
}
