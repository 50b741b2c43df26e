/* Calls of files and names may take long: none is made on the loop's thread, and what a cancel means while one runs. */
#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "shims.h"
#include "threads.h"

#define ROOT "shim_file_test_folder"

enum { SIZE = 100000 };

static uint8_t data[SIZE];

static bool begin(void)
{
    pattern_fill(data, sizeof data, 0);
    path_remove(ROOT "/a");
    path_remove(ROOT);
    return CHECK(folder_make(ROOT)) && CHECK(file_make(ROOT "/a", data, sizeof data));
}

static void end(void)
{
    path_remove(ROOT "/a");
    path_remove(ROOT);
}

/* Lets the loop run until so many calls of this kind wait. */
static void wait_until_held(shim kind, int count)
{
    while (shims_held(kind) < count && pl_sleep(PL_MS(1)) == PL_OK)
        ;
    CHECK(shims_held(kind) >= count);
}

static void send_the_file(pl_file *file)
{
    pl_stream *client, *server;
    pl_op op = {0};
    REQUIRE(connect_pair(&client, &server));
    CHECK_EQ_INT(pl_stream_send_file_start(&op, client, file, 0, SIZE), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(client), PL_OK);
    CHECK_EQ_INT(read_to_end(server), 0);
    CHECK_EQ_INT(pl_op_await(&op), SIZE);
    pl_stream_close(client);
    pl_stream_close(server);
}

static void use_names(void)
{
    pl_address found[4];
    pl_listener *listener = NULL;
    pl_stream *stream = NULL;
    pl_address address = {0};
    CHECK(pl_resolve("localhost", 80, 0, found, 4) >= 1);
    CHECK(pl_resolve("does-not-exist.invalid", 80, 0, found, 4) < 0);
    CHECK(pl_resolve(NULL, 80, 0, found, 4) >= 1);
    CHECK_EQ_INT(pl_resolve("127.0.0.1", 80, 0, found, 4), 1);
    if (CHECK_EQ_INT(pl_tcp_listen(&listener, "localhost", 0, NULL), PL_OK)) {
        CHECK_EQ_INT(pl_listener_address(listener, &address), PL_OK);
        CHECK_EQ_INT(pl_tcp_connect(&stream, "localhost", address.port, NULL), PL_OK);
        pl_stream_close(stream);
        pl_listener_close(listener);
    }
}

/* Everything that can be done with files and names. */
static void use_all(void)
{
    const pl_file_options beneath = {.size = sizeof beneath, .beneath = ROOT};
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    pl_file *file = NULL;
    pl_file *never = NULL;
    pl_file_info info;
    pl_op op = {0};
    CHECK_EQ_INT(pl_file_stat(ROOT "/a", &info), PL_OK);
    CHECK_EQ_INT(pl_file_stat(ROOT "/none", &info), PL_ENOENT);
    CHECK_EQ_INT(pl_file_open(&never, ROOT "/none", NULL), PL_ENOENT);
    CHECK_EQ_INT(pl_file_open(&never, ".", &beneath), PL_EACCES);
    CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK);
    CHECK_EQ_INT(pl_folder_list(folder, &listing), 1);
    pl_folder_listing_free(&listing);
    pl_file_close(folder);
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", &beneath), PL_OK);
    CHECK_EQ_INT(pl_file_info_get(file, &info), PL_OK);
    CHECK_EQ_INT(pl_file_read(file, data, sizeof data, 0), SIZE);
    send_the_file(file);
    pl_file_close(file);
    CHECK_EQ_INT(pl_file_open_start(&op, &never, ROOT "/a", NULL), PL_OK);
    (void)pl_op_finish(&op);
    pl_file_close(never);
    use_names();
}

TEST_CASE(no_call_that_may_take_long_is_made_on_the_loops_thread)
{
    int kind;
    REQUIRE(begin());
    shims_begin();
    loopback_run(t, use_all, NULL);
    for (kind = 0; kind < SHIM_KINDS_THAT_TAKE_LONG; kind++) {
        bool good = CHECK_EQ_INT(shim_calls_of_loop((shim)kind), 0);
        if (shim_exists((shim)kind))
            good &= CHECK(shim_calls((shim)kind) > 0);
        if (!good)
            CHECK_STR(shim_name((shim)kind), "made by workers only");
    }
    shims_end();
    end();
}

static void cancel_an_open(void)
{
    pl_timeout limit = {0};
    pl_file_info info = {.size = -1};
    pl_file *file = NULL;
    pl_op opening = {0};
    shims_hold(SHIM_OPEN);
    CHECK_EQ_INT(pl_file_open_start(&opening, &file, ROOT "/a", NULL), PL_OK);
    wait_until_held(SHIM_OPEN, 1);
    CHECK_EQ_INT(pl_op_cancel(&opening), PL_OK);
    CHECK_EQ_INT(pl_op_await(&opening), PL_ECANCELED);
    CHECK(file == NULL);
    shims_hold(SHIM_STAT);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_file_stat(ROOT "/a", &info)), PL_ETIMEDOUT);
    CHECK_EQ_INT(info.size, -1);
    CHECK(shims_held(SHIM_OPEN) >= 1); /* the call is still at it */
    shims_release(SHIM_STAT);
    shims_release(SHIM_OPEN);
}

TEST_CASE(an_open_that_takes_long_is_abandoned_and_closed_later)
{
    REQUIRE(begin());
    shims_begin();
    loopback_run(t, cancel_an_open, NULL);
    while (shims_held(SHIM_OPEN) > 0 || shims_held(SHIM_STAT) > 0)
        ;
    shims_end();
    end();
}

static struct {
    pl_op op;
    pl_file *file;
} left;

static void leave_an_open(void)
{
    memset(&left, 0, sizeof left);
    shims_hold(SHIM_OPEN);
    CHECK_EQ_INT(pl_file_open_start(&left.op, &left.file, ROOT "/a", NULL), PL_OK);
    wait_until_held(SHIM_OPEN, 1);
}

TEST_CASE(closing_the_loop_does_not_wait_for_an_open)
{
    REQUIRE(begin());
    shims_begin();
    loopback_run(t, leave_an_open, NULL);
    CHECK(shims_held(SHIM_OPEN) >= 1);
    CHECK(!pl_op_is_pending(&left.op));
    CHECK_EQ_INT(pl_op_result(&left.op), PL_ECANCELED);
    CHECK(left.file == NULL);
    shims_release(SHIM_OPEN);
    while (shims_held(SHIM_OPEN) > 0)
        ;
    shims_end();
    end();
}

static void cancel_a_read(void)
{
    pl_file *file = NULL;
    pl_timeout limit = {0};
    pl_op op = {0};
    int i;
    if (!CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK))
        return;
    memset(data, 0, sizeof data);
    shims_hold(SHIM_READ);
    CHECK_EQ_INT(pl_file_read_start(&op, file, data, sizeof data, 0), PL_OK);
    wait_until_held(SHIM_READ, 1);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    for (i = 0; i < 100; i++)
        pl_yield();
    CHECK(pl_op_is_pending(&op)); /* the memory is the system's until it is done */
    pl_file_close(file);
    shims_release(SHIM_READ);
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_SECONDS(60)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_op_await(&op)), SIZE);
    CHECK(pattern_holds(data, sizeof data, 0));
}

TEST_CASE(a_read_that_takes_long_is_waited_for)
{
    REQUIRE(begin());
    shims_begin();
    loopback_run(t, cancel_a_read, NULL);
    shims_end();
    end();
}

static int64_t read_the_file(void *arg)
{
    memset(data, 0, sizeof data);
    CHECK_EQ_INT(pl_file_read(arg, data, sizeof data, 0), SIZE);
    CHECK(pattern_holds(data, sizeof data, 0));
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 7;
}

static void cancel_a_reader(void)
{
    pl_file *file = NULL;
    pl_task *reader = NULL;
    if (!CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK))
        return;
    shims_hold(SHIM_READ);
    CHECK_EQ_INT(pl_spawn(&reader, read_the_file, file, NULL), PL_OK);
    wait_until_held(SHIM_READ, 1);
    CHECK_EQ_INT(pl_task_cancel(reader), 1);
    shims_release(SHIM_READ);
    CHECK_EQ_INT(pl_task_await(reader), 7);
    pl_task_unref(reader);
    pl_file_close(file);
}

TEST_CASE(who_is_cancelled_while_a_read_moves_data_gets_that_and_the_cancel_at_the_next_wait)
{
    REQUIRE(begin());
    shims_begin();
    loopback_run(t, cancel_a_reader, NULL);
    shims_end();
    end();
}

static void leave_a_read(void)
{
    pl_file *file = NULL;
    memset(&left, 0, sizeof left);
    if (!CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK))
        return;
    memset(data, 0, sizeof data);
    shims_hold(SHIM_READ);
    CHECK_EQ_INT(pl_file_read_start(&left.op, file, data, sizeof data, 0), PL_OK);
    while (shim_calls(SHIM_READ) == 0 && pl_sleep(PL_MS(1)) == PL_OK)
        ;
    pl_file_close(file);
}

/* Once the read is at it, and a moment later, counted in looks. */
static void release_reads(void *arg)
{
    int looks = *(const int *)arg;
    while (shims_held(SHIM_READ) == 0)
        ;
    while (looks-- > 0)
        (void)shims_held(SHIM_READ);
    shims_release(SHIM_READ);
}

/* The loop's end is on its way when the call goes on, or will be soon: both must be right. */
TEST_CASE(closing_the_loop_waits_for_a_read)
{
    test_thread releaser;
    int round;
    REQUIRE(begin());
    for (round = 0; round < 10; round++) {
        int looks = round * 3000;
        shims_begin();
        REQUIRE(test_thread_start(&releaser, release_reads, &looks));
        loopback_run(t, leave_a_read, NULL);
        test_thread_join(&releaser);
        CHECK(!pl_op_is_pending(&left.op));
        CHECK_EQ_INT(pl_op_result(&left.op), SIZE);
        CHECK(pattern_holds(data, sizeof data, 0));
        shims_end();
    }
    end();
}

TEST_SUITE(shim_file, TEST_BACKENDS_REAL,
           CASE(no_call_that_may_take_long_is_made_on_the_loops_thread),
           CASE(an_open_that_takes_long_is_abandoned_and_closed_later),
           CASE(closing_the_loop_does_not_wait_for_an_open),
           CASE(a_read_that_takes_long_is_waited_for),
           CASE(who_is_cancelled_while_a_read_moves_data_gets_that_and_the_cancel_at_the_next_wait),
           CASE(closing_the_loop_waits_for_a_read))
