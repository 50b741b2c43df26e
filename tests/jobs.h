/* Jobs for tests of pools: they tell that they have begun, and go on when they are let. */
#ifndef PROLOOP_TESTS_JOBS_H
#define PROLOOP_TESTS_JOBS_H

#include <proloop/proloop.h>

#include "harness.h"
#include "threads.h"

typedef struct job_site {
    test_gate begun;
    test_gate go;
    test_gate ended;
    test_gate dropped;
    int64_t result;
    int runs; /* written by the job, read after its end */
    int drops;
} job_site;

static inline void job_site_open(job_site *site, int64_t result)
{
    test_gate_init(&site->begun);
    test_gate_init(&site->go);
    test_gate_init(&site->ended);
    test_gate_init(&site->dropped);
    site->result = result;
    site->runs = 0;
    site->drops = 0;
}

static inline void job_site_close(job_site *site)
{
    test_gate_destroy(&site->begun);
    test_gate_destroy(&site->go);
    test_gate_destroy(&site->ended);
    test_gate_destroy(&site->dropped);
}

/* Until the test lets it go. */
static inline int64_t job_gated(void *arg)
{
    job_site *site = arg;
    CHECK(pl_loop_running() == NULL);
    test_gate_open(&site->begun);
    test_gate_wait(&site->go);
    int64_t result = site->result;
    site->runs++;
    test_gate_open(&site->ended); /* the site may be gone after this */
    return result;
}

static inline int64_t job_at_once(void *arg)
{
    job_site *site = arg;
    site->runs++;
    return site->result;
}

static inline void job_drop(void *arg)
{
    job_site *site = arg;
    site->drops++;
    test_gate_open(&site->dropped);
}

/* NULL: it failed. threads 0: the default. */
static inline pl_thread_pool *new_pool(uint32_t threads)
{
    pl_thread_pool *pool = NULL;
    pl_thread_pool_options options = {.size = sizeof options, .threads = threads};
    CHECK_EQ_INT(pl_thread_pool_create(&pool, &options), PL_OK);
    return pool;
}

#endif
