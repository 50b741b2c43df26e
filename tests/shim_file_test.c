/* Calls of files and names may take long: none is made on the loop's thread, and what a cancel means while one runs. */
#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "atomic.h"
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

static shim_fault nothing_is_cached(shim kind, size_t *limit)
{
    (void)limit;
    return kind == SHIM_BEGIN ? SHIM_NOT_READY : SHIM_AS_IS;
}

/* Without what ends inside the call, so that every read goes to a worker where there is no port. */
static void begin_shims(void)
{
    shims_begin();
    shims_set_faults(nothing_is_cached);
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

static void use_writing(void)
{
    pl_file_options options = {.size = sizeof options, .flags = PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE};
    pl_file_copy_options over = {.size = sizeof over, .overwrite = 1};
    pl_file_info info;
    pl_file *file = NULL;
    char text[1000];
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/b", &options), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "hello", 5, 0), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "J", 1, 0), PL_OK);
    CHECK_EQ_INT(pl_file_flush(file), PL_OK);
    CHECK_EQ_INT(pl_file_flush_data(file), PL_OK);
    CHECK_EQ_INT(pl_file_resize(file, 3), PL_OK);
    CHECK_EQ_INT(pl_file_look(file, &info), PL_OK);
    CHECK_EQ_INT(pl_file_set_times(file, PL_TIME_KEEP, 0), PL_OK);
    pl_file_close(file);
    CHECK_EQ_INT(pl_file_copy(ROOT "/a", ROOT "/b", &over), SIZE);
    CHECK_EQ_INT(pl_file_rename(ROOT "/b", ROOT "/c"), PL_OK);
    CHECK_EQ_INT(pl_file_remove(ROOT "/c"), PL_OK);
    CHECK_EQ_INT(pl_file_open_temporary(&file, ROOT, NULL), PL_OK);
    pl_file_close(file);
    CHECK_EQ_INT(pl_folder_make(ROOT "/b", 0), PL_OK);
    CHECK_EQ_INT(pl_folder_remove(ROOT "/b"), PL_OK);
    CHECK(pl_path_real(ROOT, text, sizeof text) > 0);
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
    use_writing();
    CHECK_EQ_INT(pl_file_open_start(&op, &never, ROOT "/a", NULL), PL_OK);
    (void)pl_op_finish(&op);
    pl_file_close(never);
    use_names();
}

TEST_CASE(no_call_that_may_take_long_is_made_on_the_loops_thread)
{
    int kind;
    REQUIRE(begin());
    begin_shims();
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
    begin_shims();
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
    begin_shims();
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

/* A transfer that a worker makes, in and out of the caller's memory: a read, or where reads go through the port, a write
 * that extends the file. */
static bool on_port(void)
{
    return on_backend("iocp");
}

static shim moves(void)
{
    return on_port() ? SHIM_WRITE : SHIM_READ;
}

static pl_file *open_to_move(void)
{
    pl_file_options options = {.size = sizeof options,
                               .flags = PL_FILE_READ | PL_FILE_WRITE | (on_port() ? PL_FILE_TRUNCATE : 0u)};
    pl_file *file = NULL;
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", &options), PL_OK);
    return file;
}

static int start_to_move(pl_op *op, pl_file *file)
{
    return on_port() ? pl_file_write_start(op, file, data, sizeof data, SIZE)
                     : pl_file_read_start(op, file, data, sizeof data, 0);
}

static int64_t moved(void)
{
    return on_port() ? PL_OK : SIZE;
}

static void cancel_a_read(void)
{
    pl_file *file = open_to_move();
    pl_timeout limit = {0};
    pl_op op = {0};
    int i;
    if (!file)
        return;
    memset(data, 0, on_port() ? 0 : sizeof data);
    shims_hold(moves());
    CHECK_EQ_INT(start_to_move(&op, file), PL_OK);
    wait_until_held(moves(), 1);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    for (i = 0; i < 100; i++)
        pl_yield();
    CHECK(pl_op_is_pending(&op)); /* the memory is the system's until it is done */
    pl_file_close(file);
    shims_release(moves());
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_SECONDS(60)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_op_await(&op)), moved());
    CHECK(pattern_holds(data, sizeof data, 0));
}

TEST_CASE(a_read_that_takes_long_is_waited_for)
{
    REQUIRE(begin());
    begin_shims();
    loopback_run(t, cancel_a_read, NULL);
    shims_end();
    end();
}

static int64_t move_the_file(void *arg)
{
    pl_op op = {0};
    memset(data, 0, on_port() ? 0 : sizeof data);
    CHECK_EQ_INT(end_of(start_to_move(&op, arg), &op), moved());
    CHECK(pattern_holds(data, sizeof data, 0));
    CHECK_EQ_INT(pl_yield(), PL_ECANCELED);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    return 7;
}

static void cancel_a_reader(void)
{
    pl_file *file = open_to_move();
    pl_task *reader = NULL;
    if (!file)
        return;
    shims_hold(moves());
    CHECK_EQ_INT(pl_spawn(&reader, move_the_file, file, NULL), PL_OK);
    wait_until_held(moves(), 1);
    CHECK_EQ_INT(pl_task_cancel(reader), 1);
    shims_release(moves());
    CHECK_EQ_INT(pl_task_await(reader), 7);
    pl_task_unref(reader);
    pl_file_close(file);
}

TEST_CASE(who_is_cancelled_while_a_read_moves_data_gets_that_and_the_cancel_at_the_next_wait)
{
    REQUIRE(begin());
    begin_shims();
    loopback_run(t, cancel_a_reader, NULL);
    shims_end();
    end();
}

static shim left_kind;
static int64_t left_result;

static void leave_a_read(void)
{
    pl_file *file = open_to_move();
    memset(&left, 0, sizeof left);
    if (!file)
        return;
    memset(data, 0, on_port() ? 0 : sizeof data);
    left_result = moved();
    shims_hold(left_kind);
    CHECK_EQ_INT(start_to_move(&left.op, file), PL_OK);
    while (shim_calls(left_kind) == 0 && pl_sleep(PL_MS(1)) == PL_OK)
        ;
    pl_file_close(file);
}

/* Once it is at it, and a moment later, counted in looks. */
static void release_reads(void *arg)
{
    int looks = *(const int *)arg;
    while (shims_held(left_kind) == 0)
        ;
    while (looks-- > 0)
        (void)shims_held(left_kind);
    shims_release(left_kind);
}

/* The loop's end is on its way when the call goes on, or will be soon: both must be right. */
TEST_CASE(closing_the_loop_waits_for_a_read)
{
    test_thread releaser;
    int round;
    left_kind = strcmp(t->backend, "iocp") == 0 ? SHIM_WRITE : SHIM_READ;
    REQUIRE(begin());
    for (round = 0; round < 10; round++) {
        int looks = round * 3000;
        begin_shims();
        REQUIRE(test_thread_start(&releaser, release_reads, &looks));
        loopback_run(t, leave_a_read, NULL);
        test_thread_join(&releaser);
        CHECK(!pl_op_is_pending(&left.op));
        CHECK_EQ_INT(pl_op_result(&left.op), left_result);
        CHECK(pattern_holds(data, sizeof data, 0));
        shims_end();
    }
    end();
}

/* --- Faults ------------------------------------------------------------------------------------------------------- */

enum { PIECES = 20000 };

static pl__atomic_i64 number;
static shim fault_kind;
static shim_fault fault_wanted;
static int64_t fault_at; /* from this call of that kind on; those before fall short */
static int64_t fault_count;

static shim_fault fault_then(shim kind, size_t *limit)
{
    int64_t n;
    *limit = 7000;
    if (kind != fault_kind)
        return kind == SHIM_BEGIN && fault_kind == SHIM_READ ? SHIM_NOT_READY : SHIM_AS_IS;
    n = pl__atomic_i64_add(&number, 1);
    return n < fault_at ? SHIM_SHORT : n < fault_at + fault_count ? fault_wanted : SHIM_SHORT;
}

static void begin_faults(shim kind, shim_fault fault, int64_t at, int64_t count)
{
    fault_kind = kind;
    fault_wanted = fault;
    fault_at = at;
    fault_count = count;
    pl__atomic_i64_store(&number, 0);
    shims_begin();
    shims_set_faults(fault_then);
}

static pl_file *open_to_write(const char *path)
{
    pl_file_options options = {.size = sizeof options,
                               .flags = PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_TRUNCATE};
    pl_file *file = NULL;
    CHECK_EQ_INT(pl_file_open(&file, path, &options), PL_OK);
    return file;
}

/* In pieces, with an interruption; a write that extends the file, one that does not, and a read. */
static void transfer_in_pieces(void)
{
    pl_file *file = open_to_write(ROOT "/b");
    if (!file)
        return;
    begin_faults(SHIM_WRITE, SHIM_INTERRUPTED, 1, 2);
    CHECK_EQ_INT(pl_file_write(file, data, PIECES, 0), PL_OK);
    CHECK(pl__atomic_i64_load(&number) >= (on_port() ? 2 : 3)); /* where nothing interrupts */
    begin_faults(on_port() ? SHIM_BEGIN : SHIM_WRITE, SHIM_INTERRUPTED, 1, 2);
    CHECK_EQ_INT(pl_file_write(file, data, PIECES, 0), PL_OK);
    CHECK(pl__atomic_i64_load(&number) >= (on_port() ? 2 : 3));
    memset(data, 0, PIECES);
    begin_faults(on_port() ? SHIM_BEGIN : SHIM_READ, SHIM_INTERRUPTED, 1, 2);
    CHECK_EQ_INT(pl_file_read(file, data, PIECES, 0), PIECES);
    CHECK(pl__atomic_i64_load(&number) >= (on_port() ? 2 : 3));
    CHECK(pattern_holds(data, PIECES, 0));
    memset(data, 0, PIECES);
    begin_faults(SHIM_BEGIN, SHIM_NOT_READY, 2, 1); /* a part of it is cached */
    CHECK_EQ_INT(pl_file_read(file, data, PIECES, 0), PIECES);
    CHECK(pattern_holds(data, PIECES, 0));
    CHECK_EQ_INT(pl_file_bytes_written(file), 2 * PIECES);
    shims_end();
    pl_file_close(file);
}

TEST_CASE(what_the_system_does_in_pieces_is_done_whole)
{
    REQUIRE(begin());
    loopback_run(t, transfer_in_pieces, NULL);
    path_remove(ROOT "/b");
    end();
}

static void fill_the_disk(void)
{
    pl_file *file = open_to_write(ROOT "/b");
    pl_op op = {0};
    if (!file)
        return;
    begin_faults(SHIM_WRITE, SHIM_NO_SPACE, 2, 100);
    CHECK_EQ_INT(end_of(pl_file_write_start(&op, file, data, PIECES, 0), &op), PL_ENOSPC);
    CHECK(pl_op_system_error(&op) != 0);
    CHECK_EQ_INT(pl_file_bytes_written(file), 14000);
    shims_end();
    CHECK_EQ_INT(pl_file_size(file), 14000);
    begin_faults(on_port() ? SHIM_BEGIN : SHIM_WRITE, SHIM_NO_SPACE, 1, 100);
    CHECK_EQ_INT(pl_file_write(file, data, 14000, 0), PL_ENOSPC);
    CHECK_EQ_INT(pl_file_bytes_written(file), 21000);
    begin_faults(on_port() ? SHIM_BEGIN : SHIM_WRITE, SHIM_DISK_ERROR, 0, 100);
    CHECK_EQ_INT(pl_file_write(file, data, 14000, 0), PL_EIO);
    CHECK_EQ_INT(pl_file_bytes_written(file), 21000);
    begin_faults(on_port() ? SHIM_BEGIN : SHIM_READ, SHIM_DISK_ERROR, 0, 100);
    CHECK_EQ_INT(pl_file_read(file, data, 14000, 0), PL_EIO);
    begin_faults(SHIM_CHANGE, SHIM_NO_SPACE, 0, 1);
    CHECK_EQ_INT(pl_file_flush(file), PL_ENOSPC);
    CHECK_EQ_INT(pl_file_flush(file), PL_OK);
    shims_end();
    pl_file_close(file);
}

TEST_CASE(a_full_or_broken_disk_is_told_and_how_far_a_write_came)
{
    REQUIRE(begin());
    loopback_run(t, fill_the_disk, NULL);
    path_remove(ROOT "/b");
    end();
}

static void list_what_cannot_be_asked(void)
{
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    CHECK(folder_make(ROOT "/b"));
    CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK);
    begin_faults(SHIM_STAT, SHIM_DISK_ERROR, 0, 100);
    if (CHECK_EQ_INT(pl_folder_list(folder, &listing), 2)) {
        CHECK_STR(listing.entries[0].name, "a");
        CHECK_EQ_INT(listing.entries[0].info.kind, PL_FILE_REGULAR);
        CHECK_STR(listing.entries[1].name, "b");
        CHECK_EQ_INT(listing.entries[1].info.kind, PL_FILE_FOLDER);
    }
    shims_end();
    pl_folder_listing_free(&listing);
    pl_file_close(folder);
}

TEST_CASE(an_entry_of_a_folder_that_the_system_says_no_more_of_is_listed_all_the_same)
{
    if (!begin())
        return;
    loopback_run(t, list_what_cannot_be_asked, NULL);
    path_remove(ROOT "/b");
    end();
}

static void copy_to_a_full_disk(void)
{
    pl_file_copy_options over = {.size = sizeof over, .overwrite = 1};
    pl_file_info info = {0};
    CHECK(file_make(ROOT "/b", "old", 3));
    begin_faults(SHIM_WRITE, SHIM_NO_SPACE, 1, 100);
    CHECK_EQ_INT(pl_file_copy(ROOT "/a", ROOT "/b", &over), PL_ENOSPC);
    begin_faults(SHIM_WRITE, SHIM_NO_SPACE, 1, 100);
    CHECK_EQ_INT(pl_file_copy(ROOT "/a", ROOT "/c", NULL), PL_ENOSPC);
    shims_end();
    CHECK_EQ_INT(pl_file_stat(ROOT "/b", &info), PL_OK);
    CHECK_EQ_INT(info.size, 3);
    CHECK_EQ_INT(pl_file_stat(ROOT "/c", &info), PL_ENOENT);
}

TEST_CASE(a_copy_that_fails_half_way_leaves_the_old_file)
{
    REQUIRE(begin());
    loopback_run(t, copy_to_a_full_disk, NULL);
    path_remove(ROOT "/b");
    end(); /* removes the folder only if nothing is left in it */
}

static void cancel_a_copy(void)
{
    pl_op op = {0};
    pl_file_info info;
    shims_begin();
    shims_hold(SHIM_WRITE);
    CHECK_EQ_INT(pl_file_copy_start(&op, ROOT "/a", ROOT "/b", NULL), PL_OK);
    wait_until_held(SHIM_WRITE, 1);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK(pl_op_is_pending(&op)); /* what was made is still to be removed */
    shims_release(SHIM_WRITE);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    CHECK_EQ_INT(pl_file_stat(ROOT "/b", &info), PL_ENOENT);
    shims_end();
}

TEST_CASE(a_copy_cancelled_while_a_piece_is_written_is_removed)
{
    REQUIRE(begin());
    loopback_run(t, cancel_a_copy, NULL);
    end();
}

static void cancel_a_write(void)
{
    pl_file *file = open_to_write(ROOT "/b");
    pl_op ops[6] = {{{{0}}}};
    int i;
    if (!file)
        return;
    shims_begin();
    shims_hold(SHIM_WRITE);
    for (i = 0; i < 6; i++) /* more than there are workers */
        CHECK_EQ_INT(pl_file_write_start(&ops[i], file, "x", 1, i), PL_OK);
    wait_until_held(SHIM_WRITE, 4);
    for (i = 0; i < 6; i++)
        CHECK_EQ_INT(pl_op_cancel(&ops[i]), PL_OK);
    CHECK_EQ_INT(pl_op_await(&ops[4]), PL_ECANCELED); /* they had not begun */
    CHECK_EQ_INT(pl_op_await(&ops[5]), PL_ECANCELED);
    for (i = 0; i < 4; i++)
        CHECK(pl_op_is_pending(&ops[i]));
    shims_release(SHIM_WRITE);
    for (i = 0; i < 4; i++)
        CHECK_EQ_INT(pl_op_await(&ops[i]), PL_OK);
    CHECK_EQ_INT(pl_file_bytes_written(file), 4);
    CHECK_EQ_INT(pl_file_size(file), 4);
    shims_end();
    pl_file_close(file);
}

TEST_CASE(writes_that_have_begun_are_waited_for_and_the_others_taken_back)
{
    REQUIRE(begin());
    loopback_run(t, cancel_a_write, NULL);
    path_remove(ROOT "/b");
    end();
}

static void cancel_a_create(void)
{
    pl_file_options options = {.size = sizeof options, .flags = PL_FILE_WRITE | PL_FILE_CREATE};
    pl_file *file = NULL;
    pl_op op = {0};
    shims_begin();
    shims_hold(SHIM_OPEN);
    CHECK_EQ_INT(pl_file_open_start(&op, &file, ROOT "/b", &options), PL_OK);
    wait_until_held(SHIM_OPEN, 1);
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    shims_release(SHIM_OPEN);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK); /* it was made, so it is given */
    CHECK(file != NULL);
    pl_file_close(file);
    shims_end();
}

TEST_CASE(an_open_that_makes_a_file_is_waited_for)
{
    REQUIRE(begin());
    loopback_run(t, cancel_a_create, NULL);
    path_remove(ROOT "/b");
    end();
}

/* What Windows does with cached files, and Wine never: requests end inside the call, without a packet. */
static void transfer_at_once(void)
{
    pl_file *file = open_to_write(ROOT "/b");
    pl_op op = {0};
    if (!file)
        return;
    CHECK_EQ_INT(pl_file_write(file, data, PIECES, 0), PL_OK);
    begin_faults(SHIM_BEGIN, SHIM_AT_ONCE, 0, 1000);
    CHECK_EQ_INT(pl_file_write_start(&op, file, data, PIECES, 0), PL_OK);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    memset(data, 0, PIECES);
    CHECK_EQ_INT(pl_file_read_start(&op, file, data, PIECES, 0), PL_OK);
    CHECK(!pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_await(&op), PIECES);
    CHECK(pattern_holds(data, PIECES, 0));
    CHECK_EQ_INT(pl_file_read(file, data, PIECES, PIECES - 10), 10);
    CHECK_EQ_INT(pl_file_read(file, data, PIECES, PIECES), 0); /* the end, inside the call too */
    begin_faults(SHIM_BEGIN, SHIM_ABORTED, 0, 1);
    CHECK_EQ_INT(pl_file_read(file, data, 10, 0), 10); /* once more */
    begin_faults(SHIM_BEGIN, SHIM_ABORTED, 0, 2);
    CHECK_EQ_INT(pl_file_read(file, data, 10, 0), PL_EIO);
    shims_end();
    pl_file_close(file);
}

TEST_CASE(requests_that_end_inside_the_call_have_no_packet)
{
    REQUIRE(begin());
    loopback_run(t, transfer_at_once, NULL);
    path_remove(ROOT "/b");
    end();
}

static void read_what_is_cached(void)
{
    pl_file *file = NULL;
    pl_op op = {0};
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK);
    CHECK_EQ_INT(pl_file_read(file, data, SIZE, 0), SIZE); /* now it is */
    shims_begin();
    CHECK_EQ_INT(pl_file_read_start(&op, file, data, SIZE, 0), PL_OK);
    CHECK(!pl_op_is_pending(&op) || shim_calls(SHIM_READ) > 0); /* unless the file system cannot tell */
    CHECK_EQ_INT(pl_op_await(&op), SIZE);
    CHECK(pattern_holds(data, SIZE, 0));
    CHECK_EQ_INT(pl_file_read(file, data, SIZE, SIZE - 5), 5);
    CHECK_EQ_INT(shim_calls_of_loop(SHIM_READ), 0);
    shims_end();
    pl_file_close(file);
}

TEST_CASE(a_read_of_what_is_cached_needs_no_worker)
{
    REQUIRE(begin());
    loopback_run(t, read_what_is_cached, NULL);
    end();
}

TEST_SUITE(shim_file, TEST_BACKENDS_REAL,
           CASE(no_call_that_may_take_long_is_made_on_the_loops_thread),
           CASE(an_open_that_takes_long_is_abandoned_and_closed_later),
           CASE(closing_the_loop_does_not_wait_for_an_open),
           CASE(a_read_that_takes_long_is_waited_for),
           CASE(who_is_cancelled_while_a_read_moves_data_gets_that_and_the_cancel_at_the_next_wait),
           CASE(closing_the_loop_waits_for_a_read),
           CASE(what_the_system_does_in_pieces_is_done_whole),
           CASE(a_full_or_broken_disk_is_told_and_how_far_a_write_came),
           CASE(an_entry_of_a_folder_that_the_system_says_no_more_of_is_listed_all_the_same),
           CASE(a_copy_that_fails_half_way_leaves_the_old_file),
           CASE(a_copy_cancelled_while_a_piece_is_written_is_removed),
           CASE(writes_that_have_begun_are_waited_for_and_the_others_taken_back),
           CASE(an_open_that_makes_a_file_is_waited_for),
           CASE_ON(ON_WINDOWS, requests_that_end_inside_the_call_have_no_packet),
           CASE_ON(ON_LINUX, a_read_of_what_is_cached_needs_no_worker))
