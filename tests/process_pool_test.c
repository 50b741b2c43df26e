/* Process pools: jobs in real processes, for loops on every backend.
 *
 * Where a case needs a function to be under way, the function writes a file and the case looks for it: there is no other
 * sign of it here.
 */
#include <proloop/proloop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "folders.h"
#include "handles.h"
#include "harness.h"
#include "process.h"
#include "threads.h"
#include "worker_functions.h"

/* --- What the cases share ----------------------------------------------------------------------------------------- */

typedef struct crew {
    fixture f; /* the first member */
    test_context *t;
    pl_process_pool *pool;
    int64_t result;
} crew;

static pl_process_pool *new_pool(pl_process_pool_options options)
{
    pl_process_pool *pool = NULL;
    options.size = sizeof options;
    CHECK_EQ_INT(pl_process_pool_create(&pool, &options), PL_OK);
    return pool;
}

static pl_process_pool *pool_of(size_t workers)
{
    return new_pool((pl_process_pool_options){.workers = workers});
}

/* Runs a case's task with a pool. */
static void run_crew(test_context *t, pl_process_pool *pool, pl_task_fn *fn)
{
    crew c;
    REQUIRE(pool != NULL);
    REQUIRE(fixture_open(&c.f, t));
    c.t = t;
    c.pool = pool;
    CHECK_EQ_INT(run_task(&c.f, fn, &c), PL_OK);
    pl_process_pool_unref(c.pool);
    fixture_close(&c.f);
}

/* A call of a function whose answer is not looked at. */
static int64_t call(crew *c, const char *name)
{
    return pl_process_call(c->pool, name, NULL, 0, NULL);
}

/* A path for a file of this process and nobody else. */
static const char *file_name(char path[64], int number)
{
    (void)snprintf(path, 64, "process_pool_test-%llu-%d", (unsigned long long)process_id(), number);
    return path;
}

/* A job in a slot that blocks, and makes that file. */
static void submit_block(crew *c, int slot, int number)
{
    char path[64];
    path_remove(file_name(path, number));
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, &c->f.futures[slot], "block", path, strlen(path) + 1), PL_OK);
}

/* What the function wrote: its process's number; 0: nothing yet. */
static uint64_t read_file(const char *path)
{
    unsigned long long id = 0;
    char end = 0;
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    if (fscanf(file, "%llu%c", &id, &end) != 2 || end != '\n')
        id = 0;
    (void)fclose(file);
    return id;
}

/* On Windows a file that somebody has open cannot be removed. */
static void remove_file(const char *path)
{
    FILE *file;
    path_remove(path);
    while ((file = fopen(path, "rb")) != NULL) {
        (void)fclose(file);
        path_remove(path);
    }
}

/* Waits until that job is under way; without the loop. @return its process's number. */
static uint64_t wait_for_block(int number)
{
    char path[64];
    uint64_t id;
    file_name(path, number);
    while ((id = read_file(path)) == 0)
        continue;
    remove_file(path);
    return id;
}

static pl_future *submit(crew *c, int slot, const char *name)
{
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, &c->f.futures[slot], name, "abc", 3), PL_OK);
    return c->f.futures[slot];
}

static void cancel_slot(crew *c, int slot)
{
    CHECK_EQ_INT(pl_future_cancel(c->f.futures[slot]), 1);
}

/* --- Bytes in, bytes out ------------------------------------------------------------------------------------------ */

static int64_t call_echo(void *arg)
{
    crew *c = arg;
    pl_process_answer *answer = NULL;
    CHECK_EQ_INT(pl_process_call(c->pool, "echo", "hello", 5, &answer), 5);
    REQUIRE_OR(answer != NULL, return PL_EUNKNOWN);
    CHECK_EQ_INT(answer->size, 5);
    CHECK_MEM(answer->data, "hello", 5);
    pl_process_answer_free(answer);
    CHECK_EQ_INT(pl_process_call(c->pool, "echo", "", 0, &answer), 0);
    REQUIRE_OR(answer != NULL, return PL_EUNKNOWN);
    CHECK_EQ_INT(answer->size, 0);
    pl_process_answer_free(answer);
    pl_process_answer_free(NULL);
    CHECK_EQ_INT(pl_process_call(c->pool, "echo", "unwanted", 8, NULL), 8);
    CHECK_EQ_INT(call(c, "misuse"), PL_OK);
    return PL_OK;
}

TEST_CASE(a_call_gives_the_functions_result_and_its_bytes)
{
    run_crew(t, pool_of(1), call_echo);
}

static int64_t call_sum(void *arg)
{
    crew *c = arg;
    const int64_t numbers[] = {1, -20, INT64_C(1) << 40};
    pl_process_answer *answer = NULL;
    CHECK_EQ_INT(pl_process_call(c->pool, "sum", numbers, sizeof numbers, &answer), PL_OK);
    REQUIRE_OR(answer != NULL && answer->size == sizeof(int64_t), return PL_EUNKNOWN);
    CHECK_EQ_INT(*(const int64_t *)answer->data, (INT64_C(1) << 40) - 19);
    pl_process_answer_free(answer);
    return PL_OK;
}

TEST_CASE(input_and_answer_are_aligned_for_numbers)
{
    run_crew(t, pool_of(1), call_sum);
}

static int64_t call_with_much(void *arg)
{
    enum { SIZE = 3000000 };
    crew *c = arg;
    pl_process_answer *answer = NULL;
    char *data = malloc(SIZE);
    REQUIRE_OR(data != NULL, return PL_ENOMEM);
    for (int i = 0; i < SIZE; i++)
        data[i] = (char)(i * 7 / 3);
    CHECK_EQ_INT(pl_process_call(c->pool, "echo", data, SIZE, &answer), SIZE);
    if (CHECK(answer != NULL) && CHECK_EQ_INT(answer->size, SIZE))
        CHECK_MEM(answer->data, data, SIZE);
    pl_process_answer_free(answer);
    free(data);
    return PL_OK;
}

TEST_CASE(more_bytes_than_a_pipe_holds_go_both_ways)
{
    run_crew(t, pool_of(1), call_with_much);
}

static int64_t call_fill(crew *c, int64_t size, pl_process_answer **answer)
{
    return pl_process_call(c->pool, "fill", &size, sizeof size, answer);
}

static int64_t answer_too_much(void *arg)
{
    crew *c = arg;
    pl_process_answer *answer = NULL;
    int64_t worker = call(c, "identity");
    CHECK_EQ_INT(call_fill(c, 10000, &answer), 10000);
    CHECK(answer != NULL && answer->size == 10000);
    pl_process_answer_free(answer);
    CHECK_EQ_INT(call_fill(c, 10001, &answer), PL_EMSGSIZE);
    CHECK(answer == NULL);
    CHECK_EQ_INT(call(c, "identity"), worker); /* it goes on */
    return PL_OK;
}

TEST_CASE(an_answer_over_the_limit_fails_its_job_alone)
{
    run_crew(t, new_pool((pl_process_pool_options){.workers = 1, .message_limit = 10000}), answer_too_much);
}

static int64_t call_number(crew *c, int64_t number, pl_process_answer **answer)
{
    return pl_process_call(c->pool, "number", &number, sizeof number, answer);
}

static int64_t fail_in_function(void *arg)
{
    crew *c = arg;
    pl_process_answer *answer = NULL;
    int64_t worker = call(c, "identity");
    CHECK_EQ_INT(call_number(c, PL_EACCES, &answer), PL_EACCES);
    CHECK(answer == NULL);
    CHECK_EQ_INT(call_number(c, -5, NULL), -5);
    CHECK_EQ_INT(call_number(c, INT64_MAX, NULL), INT64_MAX);
    CHECK_EQ_INT(call_number(c, PL_ECANCELED, NULL), PL_ECANCELED);
    CHECK_EQ_INT(call(c, "only in the program"), PL_ENOENT);
    CHECK_EQ_INT(call(c, "identity"), worker);
    return PL_OK;
}

TEST_CASE(an_error_of_the_function_is_the_jobs)
{
    run_crew(t, pool_of(1), fail_in_function);
}

static int64_t call_wrongly(void *arg)
{
    crew *c = arg;
    char much[101] = {0};
    pl_process_answer *answer = (pl_process_answer *)(void *)much;
    CHECK_EQ_INT(pl_process_call(NULL, "echo", NULL, 0, &answer), PL_EINVAL);
    CHECK(answer == NULL);
    CHECK_EQ_INT(pl_process_call(c->pool, NULL, NULL, 0, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_call(c->pool, "echo", NULL, 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_call(c->pool, "nobody", NULL, 0, NULL), PL_ENOENT);
    CHECK_EQ_INT(pl_process_call(c->pool, "echo", much, sizeof much, NULL), PL_EMSGSIZE);
    CHECK_EQ_INT(pl_process_pool_submit(NULL, &c->f.futures[0], "echo", NULL, 0), PL_EINVAL);
    CHECK(c->f.futures[0] == NULL);
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, NULL, NULL, NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, NULL, "echo", NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, NULL, "nobody", NULL, 0), PL_ENOENT);
    CHECK_EQ_INT(pl_process_pool_processes(c->pool), 0); /* nothing of this started one */
    return PL_OK;
}

static void call_in_callback(void *arg)
{
    crew *c = arg;
    c->result = call(c, "echo");
}

TEST_CASE(wrong_arguments_are_refused_and_start_nothing)
{
    run_crew(t, new_pool((pl_process_pool_options){.workers = 1, .message_limit = 100}), call_wrongly);
}

TEST_CASE(a_job_is_of_the_running_loop_and_a_call_of_a_task)
{
    crew c;
    REQUIRE(fixture_open(&c.f, t));
    c.pool = pool_of(1);
    CHECK_EQ_INT(pl_process_pool_submit(c.pool, NULL, "echo", NULL, 0), PL_ENOLOOP);
    CHECK_EQ_INT(call(&c, "echo"), PL_ENOTASK);
    CHECK_EQ_INT(pl_call_soon(c.f.loop, call_in_callback, &c, NULL), PL_OK);
    turn(&c.f, 1);
    CHECK_EQ_INT(c.result, PL_ENOTASK);
    pl_process_pool_unref(c.pool);
    fixture_close(&c.f);
}

TEST_CASE(wrong_options_make_no_pool)
{
    pl_process_pool_options options = {.size = sizeof options};
    pl_process_pool *pool = NULL;
    (void)t;
    CHECK_EQ_INT(pl_process_pool_create(NULL, &options), PL_EINVAL);
    options.size--;
    CHECK_EQ_INT(pl_process_pool_create(&pool, &options), PL_EINVAL);
    options.size++;
    options.workers = 1025;
    CHECK_EQ_INT(pl_process_pool_create(&pool, &options), PL_EINVAL);
    options.workers = 1024;
    options.message_limit = SIZE_MAX / 2;
    CHECK_EQ_INT(pl_process_pool_create(&pool, &options), PL_EINVAL);
    CHECK(pool == NULL);
    options.message_limit = 0;
    CHECK_EQ_INT(pl_process_pool_create(&pool, &options), PL_OK);
    pl_process_pool_unref(pool);
    CHECK_EQ_INT(pl_process_pool_create(&pool, NULL), PL_OK);
    CHECK(pl_process_pool_ref(pool) == pool);
    pl_process_pool_unref(pool);
    CHECK_EQ_INT(pl_process_pool_processes(pool), 0);
    CHECK_EQ_INT(pl_process_pool_restarts(pool), 0);
    CHECK_EQ_INT(pl_process_pool_shutdown(pool, PL_FOREVER), PL_OK); /* nothing to wait for */
    pl_process_pool_unref(pool);
    CHECK(pl_process_pool_ref(NULL) == NULL);
    pl_process_pool_unref(NULL);
    CHECK_EQ_INT(pl_process_pool_shutdown(NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_process_pool_processes(NULL), 0);
    CHECK_EQ_INT(pl_process_pool_restarts(NULL), 0);
}

/* --- Processes ---------------------------------------------------------------------------------------------------- */

static int64_t crash_and_go_on(void *arg)
{
    crew *c = arg;
    pl_process_answer *answer = (pl_process_answer *)arg;
    int64_t first = call(c, "identity"), second, third;
    CHECK(first > 0 && (uint64_t)first != process_id());
    CHECK_EQ_INT(call(c, "identity"), first); /* it stays for the next job */
    CHECK_EQ_INT(pl_process_call(c->pool, "crash", NULL, 0, &answer), PL_EBROKEN);
    CHECK(answer == NULL);
    CHECK_EQ_INT(pl_process_pool_processes(c->pool), 0);
    second = call(c, "identity");
    CHECK(second > 0 && second != first);
    CHECK_EQ_INT(pl_process_pool_restarts(c->pool), 1);
    CHECK_EQ_INT(call(c, "exit"), PL_EBROKEN);
    third = call(c, "identity");
    CHECK(third > 0 && third != second);
    CHECK_EQ_INT(pl_process_pool_restarts(c->pool), 2);
    CHECK_EQ_INT(pl_process_pool_processes(c->pool), 1);
    return PL_OK;
}

TEST_CASE(a_crash_fails_its_job_and_the_next_gets_a_fresh_process)
{
    run_crew(t, pool_of(1), crash_and_go_on);
}

static int64_t kill_idle(void *arg)
{
    crew *c = arg;
    int64_t first = call(c, "identity"), second;
    REQUIRE_OR(first > 0 && CHECK(process_kill((uint64_t)first)), return PL_EUNKNOWN);
    second = call(c, "identity");
    CHECK(second > 0 && second != first);
    CHECK_EQ_INT(pl_process_pool_restarts(c->pool), 1);
    return PL_OK;
}

TEST_CASE(a_process_that_ends_while_it_has_no_job_costs_none)
{
    run_crew(t, pool_of(1), kill_idle);
}

static int64_t wear_out(void *arg)
{
    crew *c = arg;
    int64_t workers[5];
    for (int i = 0; i < 5; i++)
        workers[i] = call(c, "identity");
    CHECK_EQ_INT(workers[1], workers[0]);
    CHECK(workers[2] != workers[1]);
    CHECK_EQ_INT(workers[3], workers[2]);
    CHECK(workers[4] != workers[3]);
    CHECK_EQ_INT(pl_process_pool_restarts(c->pool), 2);
    return PL_OK;
}

TEST_CASE(a_process_is_replaced_after_the_jobs_it_may_have)
{
    run_crew(t, new_pool((pl_process_pool_options){.workers = 1, .jobs_per_process = 2}), wear_out);
}

typedef struct head {
    uint64_t mark;
    int64_t result;
    uint64_t size;
} head;

static int64_t send_head(crew *c, uint64_t mark, int64_t result, uint64_t size)
{
    const head sent = {mark, result, size};
    pl_process_answer *answer = NULL;
    int64_t rc = pl_process_call(c->pool, "babble", &sent, sizeof sent, &answer);
    CHECK(answer == NULL);
    return rc;
}

static int64_t believe_nothing(void *arg)
{
    const uint64_t mark = UINT64_C(0x706c2d616e732d31);
    crew *c = arg;
    CHECK_EQ_INT(send_head(c, mark + 1, 12, 0), PL_EBROKEN);
    CHECK_EQ_INT(send_head(c, mark, 12, 1001), PL_EBROKEN);
    CHECK_EQ_INT(send_head(c, mark, 12, UINT64_C(1) << 62), PL_EBROKEN);
    CHECK_EQ_INT(send_head(c, mark, 12, UINT64_MAX), PL_EBROKEN);
    CHECK_EQ_INT(send_head(c, mark, PL_EACCES, 1), PL_EBROKEN);
    CHECK_EQ_INT(pl_process_pool_restarts(c->pool), 4);
    return PL_OK;
}

TEST_CASE(an_answer_that_no_worker_gives_is_not_believed)
{
    run_crew(t, new_pool((pl_process_pool_options){.workers = 1, .message_limit = 1000}), believe_nothing);
}

/* A right answer, from a process that does not listen any more. */
static void answer_and_block(crew *c, size_t too_many)
{
    const head right = {UINT64_C(0x706c2d616e732d31), 12, 0};
    char data[sizeof(head) + 1] = {0};
    memcpy(data, &right, sizeof right);
    CHECK_EQ_INT(pl_process_call(c->pool, "babble", data, sizeof right + too_many, NULL), 12);
}

static int64_t say_too_much(void *arg)
{
    crew *c = arg;
    answer_and_block(c, 1);
    CHECK(call(c, "identity") > 0);
    CHECK_EQ_INT(pl_process_pool_restarts(c->pool), 1);
    return PL_OK;
}

TEST_CASE(a_process_that_says_more_than_it_was_asked_is_replaced)
{
    run_crew(t, pool_of(1), say_too_much);
}

static int64_t stay_for_ever(void *arg)
{
    crew *c = arg;
    int64_t worker = call(c, "identity");
    answer_and_block(c, 0);
    CHECK(process_is_alive((uint64_t)worker));
    CHECK_EQ_INT(pl_process_pool_shutdown(c->pool, PL_FOREVER), PL_OK); /* no job runs, as far as the pool knows */
    CHECK(!process_is_alive((uint64_t)worker));
    return PL_OK;
}

TEST_CASE(a_process_that_does_not_exit_by_itself_is_killed_in_the_end)
{
    run_crew(t, pool_of(1), stay_for_ever);
}

static int64_t nest(void *arg)
{
    crew *c = arg;
    CHECK_EQ_INT(call(c, "make pool"), PL_ESTATE);
    CHECK_EQ_INT(call(c, "late registration"), PL_ESTATE);
    CHECK_EQ_INT(call(c, "run loop"), 11);
    return PL_OK;
}

TEST_CASE(a_worker_may_run_a_loop_but_make_no_pool)
{
    run_crew(t, pool_of(1), nest);
}

static int64_t inherit(void *arg)
{
    crew *c = arg;
    const uint64_t secret = process_open_inheritable();
    pl_process_answer *answer = NULL;
    int64_t with, without;
    with = pl_process_call(c->pool, "count handles", &secret, sizeof secret, &answer);
    if (CHECK(answer != NULL) && CHECK_EQ_INT(answer->size, sizeof(uint64_t)))
        CHECK_EQ_INT(*(const uint64_t *)answer->data, 0);
    pl_process_answer_free(answer);
    process_close_inheritable((uintptr_t)secret);
    CHECK_EQ_INT(call(c, "exit"), PL_EBROKEN);
    without = pl_process_call(c->pool, "count handles", &secret, sizeof secret, NULL);
    CHECK_EQ_INT(with, without);
    CHECK_EQ_INT(call(c, "read standard input"), PL_OK);
    return PL_OK;
}

TEST_CASE(a_worker_inherits_no_handle_and_no_input)
{
    run_crew(t, pool_of(1), inherit);
}

static int64_t interrupt_worker(void *arg)
{
    crew *c = arg;
    int64_t worker = call(c, "identity");
    int64_t sent = call(c, "interrupt");
    if (sent == PL_ENOTSUP) {
        t_skip(c->t, "no interrupt can be made here");
        return PL_OK;
    }
    CHECK_EQ_INT(sent, PL_OK);
    for (int i = 0; i < 10; i++) /* on Windows it comes by a thread of its own, some time */
        CHECK_EQ_INT(call(c, "identity"), worker);
    return PL_OK;
}

TEST_CASE(ctrl_c_does_not_end_a_worker)
{
    run_crew(t, pool_of(1), interrupt_worker);
}

/* --- Futures and order -------------------------------------------------------------------------------------------- */

static int64_t submit_in_order(void *arg)
{
    crew *c = arg;
    pl_callback_fn *notes[] = {note_a, note_b, note_c, note_d};
    for (int i = 0; i < 4; i++) {
        (void)submit(c, i, "echo");
        CHECK_EQ_INT(pl_future_state(c->f.futures[i]), PL_PENDING); /* never at once */
        CHECK_EQ_INT(pl_future_add_done_callback(c->f.futures[i], &c->f.callbacks[i], notes[i], c), PL_OK);
    }
    CHECK_EQ_INT(pl_await(c->f.futures[3]), 3);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    EXPECT_TRACE(&c->f, "a b c d ");
    for (int i = 0; i < 4; i++) {
        pl_process_answer *answer = pl_future_take_pointer(c->f.futures[i]);
        CHECK_EQ_INT(pl_future_result(c->f.futures[i]), 3);
        if (CHECK(answer != NULL) && CHECK_EQ_INT(answer->size, 3))
            CHECK_MEM(answer->data, "abc", 3);
        pl_process_answer_free(answer);
    }
    CHECK_EQ_INT(pl_future_set_result(c->f.futures[0], 1), PL_ESTATE);
    return PL_OK;
}

TEST_CASE(jobs_of_one_worker_end_in_the_order_they_were_submitted)
{
    run_crew(t, pool_of(1), submit_in_order);
}

static int64_t leave_alone(void *arg)
{
    crew *c = arg;
    (void)submit(c, 0, "echo"); /* the answer of this is not taken, */
    (void)submit(c, 1, "echo"); /* the future of this is let go while it is under way, */
    drop_future(&c->f, 1);
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, NULL, "echo", "abc", 3), PL_OK); /* that of this was never wanted, */
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, NULL, "crash", NULL, 0), PL_OK);
    CHECK_EQ_INT(call(c, "echo"), 0); /* and all of them have ended before this */
    EXPECT_REPORTS(&c->f, "PL_EBROKEN ");
    CHECK_STR(c->f.report_message, "the error of a process job was never looked at");
    return PL_OK;
}

TEST_CASE(a_job_goes_on_without_a_future_and_its_error_is_reported)
{
    run_crew(t, pool_of(1), leave_alone);
}

enum { MANY = 200, MANY_WORKERS = 3 };

static int64_t run_many(void *arg)
{
    static pl_future *futures[MANY];
    crew *c = arg;
    int crashes = 0;
    for (int i = 0; i < MANY; i++) {
        const char *name = i % 20 == 7 ? "crash" : i % 20 == 13 ? "exit" : "number";
        int64_t number = i;
        CHECK_EQ_INT(pl_process_pool_submit(c->pool, &futures[i], name, &number, sizeof number), PL_OK);
        crashes += i % 20 == 7 || i % 20 == 13;
    }
    for (int i = 0; i < MANY; i++) {
        CHECK_EQ_INT(pl_await(futures[i]), i % 20 == 7 || i % 20 == 13 ? PL_EBROKEN : i);
        pl_future_unref(futures[i]);
    }
    CHECK(pl_process_pool_processes(c->pool) <= MANY_WORKERS);
    CHECK(pl_process_pool_restarts(c->pool) <= (uint64_t)crashes);
    CHECK(pl_process_pool_restarts(c->pool) >= (uint64_t)crashes - MANY_WORKERS);
    return PL_OK;
}

TEST_CASE(each_of_many_jobs_ends_once_with_its_own_result_while_some_crash)
{
    run_crew(t, pool_of(MANY_WORKERS), run_many);
}

static int64_t run_side_by_side(void *arg)
{
    crew *c = arg;
    uint64_t first, second;
    submit_block(c, 0, 0);
    submit_block(c, 1, 1);
    first = wait_for_block(0);
    second = wait_for_block(1); /* while the first is under way */
    CHECK(first != second);
    CHECK_EQ_INT(pl_process_pool_processes(c->pool), 2);
    (void)submit(c, 2, "echo"); /* the third has to wait, */
    CHECK_EQ_INT(pl_process_pool_processes(c->pool), 2);
    cancel_slot(c, 0);
    CHECK_EQ_INT(pl_await(c->f.futures[2]), 3); /* until one is through */
    CHECK_EQ_INT(pl_future_state(c->f.futures[1]), PL_PENDING);
    cancel_slot(c, 1);
    CHECK_EQ_INT(pl_await(c->f.futures[1]), PL_ECANCELED);
    return PL_OK;
}

TEST_CASE(as_many_jobs_run_at_a_time_as_there_are_workers)
{
    run_crew(t, pool_of(2), run_side_by_side);
}

static int64_t fill_queue(void *arg)
{
    crew *c = arg;
    submit_block(c, 0, 0);
    submit_block(c, 1, 1);
    (void)submit(c, 2, "echo");
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, &c->f.futures[3], "echo", "abc", 3), PL_ELIMIT);
    CHECK(c->f.futures[3] == NULL);
    CHECK_EQ_INT(call(c, "echo"), PL_ELIMIT);
    cancel_slot(c, 2); /* makes room */
    (void)submit(c, 3, "echo");
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, NULL, "echo", "abc", 3), PL_ELIMIT);
    (void)wait_for_block(0);
    (void)wait_for_block(1);
    cancel_slot(c, 0);
    CHECK_EQ_INT(pl_await(c->f.futures[3]), 3);
    CHECK_EQ_INT(call(c, "echo"), 0);
    cancel_slot(c, 1);
    return PL_OK;
}

TEST_CASE(a_full_queue_refuses_jobs_until_there_is_room)
{
    run_crew(t, new_pool((pl_process_pool_options){.workers = 2, .queue_limit = 1}), fill_queue);
}

/* --- Cancelling --------------------------------------------------------------------------------------------------- */

static int64_t cancel_queued(void *arg)
{
    crew *c = arg;
    submit_block(c, 0, 0);
    (void)submit(c, 1, "crash");
    (void)submit(c, 2, "echo");
    cancel_slot(c, 1);
    CHECK_EQ_INT(pl_future_state(c->f.futures[1]), PL_CANCELLED); /* at once */
    CHECK_EQ_INT(pl_future_cancel(c->f.futures[1]), 0);
    (void)wait_for_block(0);
    cancel_slot(c, 0);
    CHECK_EQ_INT(pl_future_state(c->f.futures[0]), PL_PENDING); /* a request */
    CHECK_EQ_INT(pl_await(c->f.futures[2]), 3);
    CHECK_EQ_INT(pl_future_result(c->f.futures[0]), PL_ECANCELED);
    CHECK_EQ_INT(pl_process_pool_restarts(c->pool), 1); /* for the blocked one: the crash never began */
    return PL_OK;
}

TEST_CASE(a_queued_job_is_taken_back_at_once)
{
    run_crew(t, pool_of(1), cancel_queued);
}

static int64_t call_block(void *arg)
{
    crew *c = arg;
    char path[64];
    int64_t rc;
    path_remove(file_name(path, 0));
    rc = pl_process_call(c->pool, "block", path, strlen(path) + 1, NULL);
    note_code(&c->f, rc);
    note_code(&c->f, pl_yield());
    return rc;
}

static int64_t cancel_running(void *arg)
{
    crew *c = arg;
    uint64_t worker;
    (void)start_slot(&c->f, 0, call_block);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    worker = wait_for_block(0);
    CHECK(process_is_alive(worker));
    CHECK_EQ_INT(pl_task_cancel(c->f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_await(c->f.tasks[0]), PL_ECANCELED);
    CHECK(!process_is_alive(worker));
    EXPECT_TRACE(&c->f, "PL_ECANCELED PL_OK "); /* an edge, spent by the call */
    CHECK_EQ_INT(pl_process_pool_processes(c->pool), 0);
    CHECK_EQ_INT(call(c, "echo"), 0);
    CHECK_EQ_INT(pl_process_pool_restarts(c->pool), 1);
    return PL_OK;
}

TEST_CASE(a_cancelled_call_ends_when_its_process_is_gone)
{
    run_crew(t, pool_of(1), cancel_running);
}

static int64_t call_three_bytes(void *arg)
{
    crew *c = arg;
    note_code(&c->f, pl_process_call(c->pool, "echo", "abc", 3, NULL));
    note_code(&c->f, pl_yield());
    return PL_OK;
}

static int64_t cancel_answered(void *arg)
{
    crew *c = arg;
    (void)start_slot(&c->f, 0, call_three_bytes);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    (void)submit(c, 0, "echo");
    submit_block(c, 1, 1);
    (void)wait_for_block(1); /* so the others have their answers, and the loop has not run since */
    CHECK_EQ_INT(pl_future_state(c->f.futures[0]), PL_PENDING);
    CHECK_EQ_INT(pl_future_cancel(c->f.futures[0]), 0);
    CHECK_EQ_INT(pl_task_cancel(c->f.tasks[0]), 1);
    CHECK_EQ_INT(pl_task_await(c->f.tasks[0]), PL_OK);
    EXPECT_TRACE(&c->f, "3 PL_ECANCELED "); /* it happened; the cancel comes at the next wait */
    CHECK_EQ_INT(pl_await(c->f.futures[0]), 3);
    cancel_slot(c, 1);
    CHECK_EQ_INT(pl_await(c->f.futures[1]), PL_ECANCELED);
    return PL_OK;
}

TEST_CASE(a_cancel_that_comes_after_the_answer_loses_nothing)
{
    run_crew(t, pool_of(1), cancel_answered);
}

static int64_t cancel_while_starting(void *arg)
{
    crew *c = arg;
    for (int i = 0; i < 20; i++) {
        int64_t rc;
        (void)submit(c, 0, "crash");
        for (int k = 0; k < i; k++)
            CHECK_EQ_INT(pl_yield(), PL_OK);
        (void)pl_future_cancel(c->f.futures[0]);
        rc = pl_await(c->f.futures[0]);
        CHECK(rc == PL_ECANCELED || rc == PL_EBROKEN);
        drop_future(&c->f, 0);
    }
    CHECK_EQ_INT(call(c, "echo"), 0);
    return PL_OK;
}

TEST_CASE(a_cancel_while_the_process_starts_ends_the_job_once)
{
    run_crew(t, pool_of(1), cancel_while_starting);
}

static int64_t call_in_cancelled_scope(void *arg)
{
    crew *c = arg;
    pl_group group = {0};
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    pl_group_cancel(&group);
    CHECK_EQ_INT(call(c, "crash"), PL_ECANCELED);
    CHECK_EQ_INT(call(c, "nobody"), PL_ECANCELED); /* it was not even looked for */
    CHECK_EQ_INT(pl_group_end(&group, PL_OK), PL_OK);
    CHECK_EQ_INT(pl_process_pool_processes(c->pool), 0);
    CHECK_EQ_INT(call(c, "echo"), 0);
    return PL_OK;
}

TEST_CASE(a_call_in_a_cancelled_scope_starts_nothing)
{
    run_crew(t, pool_of(1), call_in_cancelled_scope);
}

/* --- Ending ------------------------------------------------------------------------------------------------------- */

static int64_t shut_down_idle(void *arg)
{
    crew *c = arg;
    int64_t worker = call(c, "identity");
    CHECK(process_is_alive((uint64_t)worker));
    CHECK_EQ_INT(pl_process_pool_shutdown(c->pool, 0), PL_OK); /* no job runs: nothing is killed */
    CHECK(!process_is_alive((uint64_t)worker));
    CHECK_EQ_INT(pl_process_pool_processes(c->pool), 0);
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, &c->f.futures[0], "echo", NULL, 0), PL_ECLOSED);
    CHECK(c->f.futures[0] == NULL);
    CHECK_EQ_INT(call(c, "echo"), PL_ECLOSED);
    CHECK_EQ_INT(pl_process_pool_shutdown(c->pool, 0), PL_OK);
    return PL_OK;
}

TEST_CASE(a_pool_that_was_ended_takes_no_jobs_and_has_no_processes)
{
    run_crew(t, pool_of(2), shut_down_idle);
}

static int64_t shut_down_under_way(void *arg)
{
    crew *c = arg;
    uint64_t worker;
    submit_block(c, 0, 0);
    (void)submit(c, 1, "crash");
    worker = wait_for_block(0);
    CHECK_EQ_INT(pl_process_pool_shutdown(c->pool, PL_MS(1)), PL_ETIMEDOUT);
    CHECK(!process_is_alive(worker));
    CHECK_EQ_INT(pl_future_cancel(c->f.futures[0]), 0); /* too late */
    CHECK_EQ_INT(pl_await(c->f.futures[0]), PL_ECLOSED);
    CHECK_EQ_INT(pl_await(c->f.futures[1]), PL_ECLOSED);
    CHECK_EQ_INT(pl_process_pool_restarts(c->pool), 0); /* the crash never began */
    return PL_OK;
}

TEST_CASE(an_ended_pool_kills_what_runs_after_the_limit_and_begins_nothing)
{
    run_crew(t, pool_of(1), shut_down_under_way);
}

/* A thread with a loop of its own that lets go what blocks once the pool is closing. */
typedef struct releaser {
    pl_process_pool *pool;
    const char *backend;
    const char *path;
} releaser;

static int64_t release_when_closing(void *arg)
{
    const releaser *r = arg;
    while (pl_process_pool_submit(r->pool, NULL, "echo", NULL, 0) == PL_ELIMIT)
        continue;
    return pl_process_pool_submit(r->pool, NULL, "echo", NULL, 0) == PL_ECLOSED ? PL_OK : PL_EUNKNOWN;
}

static void run_releaser(void *arg)
{
    const releaser *r = arg;
    pl_loop_options loop_options = {.size = sizeof loop_options, .backend = r->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop_options, .leave_interrupts = 1};
    CHECK_EQ_INT(pl_run(release_when_closing, arg, &options), PL_OK);
    remove_file(r->path);
}

static int64_t shut_down_in_time(void *arg)
{
    crew *c = arg;
    char path[64];
    releaser r = {c->pool, c->t->backend, path};
    test_thread thread;
    path_remove(file_name(path, 0));
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, &c->f.futures[0], "wait for removal", path, strlen(path) + 1), PL_OK);
    (void)submit(c, 1, "echo");
    while (read_file(path) == 0)
        continue;
    REQUIRE_OR(test_thread_start(&thread, run_releaser, &r), return PL_EUNKNOWN);
    CHECK_EQ_INT(pl_process_pool_shutdown(c->pool, PL_FOREVER), PL_OK);
    test_thread_join(&thread);
    CHECK_EQ_INT(pl_await(c->f.futures[0]), 21);
    CHECK_EQ_INT(pl_await(c->f.futures[1]), PL_ECLOSED);
    return PL_OK;
}

TEST_CASE(an_ended_pool_waits_for_what_runs)
{
    run_crew(t, new_pool((pl_process_pool_options){.workers = 1, .queue_limit = 1}), shut_down_in_time);
}

static int64_t let_go_under_way(void *arg)
{
    crew *c = arg;
    uint64_t worker;
    submit_block(c, 0, 0);
    (void)submit(c, 1, "echo");
    worker = wait_for_block(0);
    pl_process_pool_unref(c->pool);
    c->pool = NULL;
    CHECK(!process_is_alive(worker));
    CHECK_EQ_INT(pl_future_state(c->f.futures[0]), PL_PENDING);
    CHECK_EQ_INT(pl_future_cancel(c->f.futures[0]), 0); /* the pool is gone, its jobs are not */
    CHECK_EQ_INT(pl_await(c->f.futures[0]), PL_ECLOSED);
    CHECK_EQ_INT(pl_await(c->f.futures[1]), PL_ECLOSED);
    return PL_OK;
}

TEST_CASE(the_last_reference_ends_the_pool_and_its_jobs)
{
    run_crew(t, pool_of(1), let_go_under_way);
}

static int64_t begin_and_leave(void *arg)
{
    crew *c = arg;
    submit_block(c, 0, 0);
    (void)submit(c, 1, "echo");
    CHECK_EQ_INT(pl_process_pool_submit(c->pool, NULL, "echo", "abc", 3), PL_OK);
    c->result = (int64_t)wait_for_block(0);
    return PL_OK;
}

TEST_CASE(a_loop_that_is_closed_cancels_its_jobs)
{
    crew c;
    REQUIRE(fixture_open(&c.f, t));
    c.pool = pool_of(1);
    CHECK_EQ_INT(run_task(&c.f, begin_and_leave, &c), PL_OK);
    CHECK(process_is_alive((uint64_t)c.result));
    CHECK_EQ_INT(pl_loop_close(c.f.loop), PL_OK);
    CHECK(!process_is_alive((uint64_t)c.result));
    CHECK_EQ_INT(pl_future_state(c.f.futures[0]), PL_CANCELLED);
    /* The second may have begun when the first was ended, and have its answer before its own cancel came. */
    CHECK(pl_future_state(c.f.futures[1]) == PL_CANCELLED || pl_future_result(c.f.futures[1]) >= 0);
    CHECK_STR(c.f.reports, "");
    fixture_release_slots(&c.f);
    REQUIRE(fixture_open(&c.f, t)); /* the pool serves other loops */
    CHECK_EQ_INT(run_task(&c.f, call_three_bytes, &c), PL_OK);
    EXPECT_TRACE(&c.f, "3 PL_OK ");
    pl_process_pool_unref(c.pool);
    fixture_close(&c.f);
}

static int64_t start_blocked_task(void *arg)
{
    crew *c = arg;
    (void)start_slot(&c->f, 0, call_block);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    c->result = (int64_t)wait_for_block(0);
    return PL_OK;
}

TEST_CASE(a_loop_that_is_closed_cancels_the_tasks_that_wait_for_jobs)
{
    crew c;
    REQUIRE(fixture_open(&c.f, t));
    c.pool = pool_of(1);
    CHECK_EQ_INT(run_task(&c.f, start_blocked_task, &c), PL_OK);
    CHECK_EQ_INT(pl_loop_close(c.f.loop), PL_OK);
    CHECK(!process_is_alive((uint64_t)c.result));
    CHECK_EQ_INT(pl_future_result(pl_task_future(c.f.tasks[0])), PL_ECANCELED);
    EXPECT_TRACE(&c.f, "PL_ECANCELED PL_ECANCELED "); /* a level */
    fixture_release_slots(&c.f);
    pl_process_pool_unref(c.pool);
}

/* --- Threads ------------------------------------------------------------------------------------------------------ */

enum { LOOPS = 3, CALLS = 30 };

typedef struct caller {
    pl_process_pool *pool;
    const char *backend;
    int number;
} caller;

static int64_t call_often(void *arg)
{
    const caller *me = arg;
    for (int64_t i = 0; i < CALLS; i++) {
        int64_t wanted = me->number * 1000 + i;
        if (i % 10 == 9)
            CHECK_EQ_INT(pl_process_call(me->pool, "crash", NULL, 0, NULL), PL_EBROKEN);
        else
            CHECK_EQ_INT(pl_process_call(me->pool, "number", &wanted, sizeof wanted, NULL), wanted);
    }
    return PL_OK;
}

static void run_caller(void *arg)
{
    const caller *me = arg;
    pl_loop_options loop_options = {.size = sizeof loop_options, .backend = me->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop_options, .leave_interrupts = 1};
    CHECK_EQ_INT(pl_run(call_often, arg, &options), PL_OK);
    pl_process_pool_unref(me->pool); /* the last of them ends it */
}

TEST_CASE(loops_of_several_threads_share_a_pool)
{
    pl_process_pool *pool = pool_of(2);
    caller callers[LOOPS];
    test_thread threads[LOOPS];
    for (int i = 0; i < LOOPS; i++) {
        callers[i] = (caller){pl_process_pool_ref(pool), t->backend, i};
        REQUIRE(test_thread_start(&threads[i], run_caller, &callers[i]));
    }
    pl_process_pool_unref(pool);
    for (int i = 0; i < LOOPS; i++)
        test_thread_join(&threads[i]);
}

static void end_pool(void *arg)
{
    CHECK(pl_process_pool_shutdown(arg, 0) <= PL_OK);
    CHECK_EQ_INT(pl_process_pool_processes(arg), 0); /* whoever ends it, it has ended now */
}

static int64_t end_from_threads(void *arg)
{
    crew *c = arg;
    test_thread threads[2];
    for (int i = 0; i < 6; i++)
        (void)submit(c, i, "echo");
    for (int i = 0; i < 2; i++)
        REQUIRE_OR(test_thread_start(&threads[i], end_pool, c->pool), return PL_EUNKNOWN);
    for (int i = 0; i < 6; i++) {
        int64_t rc = pl_await(c->f.futures[i]);
        CHECK(rc == 3 || rc == PL_ECLOSED);
    }
    for (int i = 0; i < 2; i++)
        test_thread_join(&threads[i]);
    return PL_OK;
}

TEST_CASE(a_pool_that_two_threads_end_while_jobs_run_ends_each_job_once)
{
    run_crew(t, pool_of(2), end_from_threads);
}

TEST_SUITE(
    process_pool, TEST_BACKENDS_ALL, CASE(a_call_gives_the_functions_result_and_its_bytes),
    CASE(input_and_answer_are_aligned_for_numbers), CASE(more_bytes_than_a_pipe_holds_go_both_ways),
    CASE(an_answer_over_the_limit_fails_its_job_alone), CASE(an_error_of_the_function_is_the_jobs),
    CASE(wrong_arguments_are_refused_and_start_nothing), CASE(a_job_is_of_the_running_loop_and_a_call_of_a_task),
    CASE(wrong_options_make_no_pool), CASE(a_crash_fails_its_job_and_the_next_gets_a_fresh_process),
    CASE(a_process_that_ends_while_it_has_no_job_costs_none), CASE(a_process_is_replaced_after_the_jobs_it_may_have),
    CASE(an_answer_that_no_worker_gives_is_not_believed), CASE(a_process_that_says_more_than_it_was_asked_is_replaced),
    CASE(a_process_that_does_not_exit_by_itself_is_killed_in_the_end), CASE(a_worker_may_run_a_loop_but_make_no_pool),
    CASE(a_worker_inherits_no_handle_and_no_input), CASE(ctrl_c_does_not_end_a_worker),
    CASE(jobs_of_one_worker_end_in_the_order_they_were_submitted),
    CASE(a_job_goes_on_without_a_future_and_its_error_is_reported),
    CASE(each_of_many_jobs_ends_once_with_its_own_result_while_some_crash),
    CASE(as_many_jobs_run_at_a_time_as_there_are_workers), CASE(a_full_queue_refuses_jobs_until_there_is_room),
    CASE(a_queued_job_is_taken_back_at_once), CASE(a_cancelled_call_ends_when_its_process_is_gone),
    CASE(a_cancel_that_comes_after_the_answer_loses_nothing), CASE(a_cancel_while_the_process_starts_ends_the_job_once),
    CASE(a_call_in_a_cancelled_scope_starts_nothing), CASE(a_pool_that_was_ended_takes_no_jobs_and_has_no_processes),
    CASE(an_ended_pool_kills_what_runs_after_the_limit_and_begins_nothing), CASE(an_ended_pool_waits_for_what_runs),
    CASE(the_last_reference_ends_the_pool_and_its_jobs), CASE(a_loop_that_is_closed_cancels_its_jobs),
    CASE(a_loop_that_is_closed_cancels_the_tasks_that_wait_for_jobs), CASE(loops_of_several_threads_share_a_pool),
    CASE(a_pool_that_two_threads_end_while_jobs_run_ends_each_job_once))
