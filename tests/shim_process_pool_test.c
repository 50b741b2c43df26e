/* Worker processes when the system gives no handles, and when it takes and gives bytes in pieces. */
#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "atomic.h"
#include "harness.h"
#include "loopback.h"
#include "shims.h"

#define SHIM_CASE(name)                                                                                                \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        shims_begin();                                                                                                 \
        loopback_run(t, name##_body, NULL);                                                                            \
        shims_end();                                                                                                   \
    }                                                                                                                  \
    static void name##_body(void)

static pl_process_pool *pool_of_one(void)
{
    pl_process_pool_options options = {.size = sizeof options, .workers = 1};
    pl_process_pool *pool = NULL;
    CHECK_EQ_INT(pl_process_pool_create(&pool, &options), PL_OK);
    return pool;
}

static int64_t call_echo(pl_process_pool *pool)
{
    return pl_process_call(pool, "echo", "abc", 3, NULL);
}

static shim_fault no_handles(shim kind, size_t *limit)
{
    (void)limit;
    return kind == SHIM_START ? SHIM_NO_HANDLES : SHIM_AS_IS;
}

SHIM_CASE(a_process_that_cannot_be_started_fails_its_job_and_the_next_tries_again)
{
    pl_process_pool *pool = pool_of_one();
    int64_t of_loop = shim_calls_of_loop(SHIM_START); /* its own pipe, where it has one */
    shims_set_faults(no_handles);
    CHECK_EQ_INT(call_echo(pool), PL_EMFILE);
    CHECK_EQ_INT(call_echo(pool), PL_EMFILE);
    CHECK_EQ_INT(pl_process_pool_processes(pool), 0);
    shims_set_faults(NULL);
    CHECK_EQ_INT(call_echo(pool), 3);
    CHECK_EQ_INT(pl_process_pool_processes(pool), 1);
    CHECK_EQ_INT(pl_process_pool_restarts(pool), 0);
    CHECK_EQ_INT(shim_calls_of_loop(SHIM_START), of_loop);
    CHECK(shim_calls(SHIM_START) >= 3);
    pl_process_pool_unref(pool);
}

static shim_fault in_pieces(shim kind, size_t *limit)
{
    static pl__atomic_i64 calls;
    if (kind != SHIM_SEND && kind != SHIM_RECEIVE)
        return SHIM_AS_IS;
    *limit = 7;
    return pl__atomic_i64_add(&calls, 1) % 3 == 0 ? SHIM_INTERRUPTED : SHIM_SHORT;
}

SHIM_CASE(requests_and_answers_that_go_in_pieces_arrive_whole)
{
    char data[1000];
    pl_process_pool *pool = pool_of_one();
    pl_process_answer *answer = NULL;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)i;
    shims_set_faults(in_pieces); /* of this end; on Windows the pipes have no such calls */
    CHECK_EQ_INT(pl_process_call(pool, "echo", data, sizeof data, &answer), sizeof data);
    shims_set_faults(NULL);
    if (CHECK(answer != NULL) && CHECK_EQ_INT(answer->size, sizeof data))
        CHECK_MEM(answer->data, data, sizeof data);
    pl_process_answer_free(answer);
    pl_process_pool_unref(pool);
}

TEST_SUITE(shim_process_pool, TEST_BACKENDS_REAL,
           CASE(a_process_that_cannot_be_started_fails_its_job_and_the_next_tries_again),
           CASE(requests_and_answers_that_go_in_pieces_arrive_whole))
