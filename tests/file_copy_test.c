/* Files that are copied: whole or not at all. */
#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "allocation.h"
#include "folders.h"
#include "harness.h"
#include "loopback.h"

#define ROOT "file_copy_test_folder"
#define A    ROOT "/a"
#define B    ROOT "/b"

enum { SIZE = (5 << 20) + 4321 };

static uint8_t data[SIZE];

static const char *const leavings[] = {A, B, ROOT "/in", ROOT};

static void end(void)
{
    size_t i;
    for (i = 0; i < sizeof leavings / sizeof leavings[0]; i++)
        path_remove(leavings[i]);
}

static bool begin(void)
{
    end();
    pattern_fill(data, SIZE, 0);
    return CHECK(folder_make(ROOT)) && CHECK(file_make(A, data, SIZE));
}

/* How many files lie in the folder. */
static int64_t count_files(void)
{
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    int64_t count;
    CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK);
    count = pl_folder_list(folder, &listing);
    pl_folder_listing_free(&listing);
    pl_file_close(folder);
    return count;
}

static bool is_whole(const char *path)
{
    pl_file *file = NULL;
    int64_t size;
    if (!CHECK_EQ_INT(pl_file_open(&file, path, NULL), PL_OK))
        return false;
    memset(data, 0, SIZE);
    size = pl_file_read(file, data, SIZE, 0);
    pl_file_close(file);
    return CHECK_EQ_INT(size, SIZE) && CHECK(pattern_holds(data, SIZE, 0));
}

TASK_CASE(a_copy_has_the_bytes_times_and_permissions)
{
    const int64_t modified = (int64_t)1234567890 * 1000000000 + 500;
    pl_file_options writing = {.size = sizeof writing, .flags = PL_FILE_WRITE};
    pl_file *file = NULL;
    pl_file_info one = {0};
    pl_file_info other = {0};
    REQUIRE(begin());
    CHECK_EQ_INT(pl_file_open(&file, A, &writing), PL_OK);
    CHECK_EQ_INT(pl_file_set_times(file, PL_TIME_KEEP, modified), PL_OK);
    pl_file_close(file);
    CHECK_EQ_INT(pl_file_copy(A, B, NULL), SIZE);
    CHECK_EQ_INT(pl_file_stat(A, &one), PL_OK);
    CHECK_EQ_INT(pl_file_stat(B, &other), PL_OK);
    CHECK_EQ_INT(other.modified, modified);
    CHECK_EQ_INT(other.mode, one.mode);
    CHECK(other.id != one.id);
    CHECK(is_whole(B));
    CHECK_EQ_INT(count_files(), 2);
    end();
}

TASK_CASE(an_empty_file_is_copied)
{
    pl_file_info info = {.size = 77};
    REQUIRE(begin());
    CHECK(file_make(A, "", 0));
    CHECK_EQ_INT(pl_file_copy(A, B, NULL), 0);
    CHECK_EQ_INT(pl_file_stat(B, &info), PL_OK);
    CHECK_EQ_INT(info.size, 0);
    end();
}

TASK_CASE(what_is_there_is_replaced_only_if_so_asked)
{
    pl_file_copy_options over = {.size = sizeof over, .overwrite = 1};
    pl_file_info info = {0};
    REQUIRE(begin());
    CHECK(file_make(B, "hello", 5));
    CHECK_EQ_INT(pl_file_copy(A, B, NULL), PL_EEXIST);
    CHECK_EQ_INT(pl_file_stat(B, &info), PL_OK);
    CHECK_EQ_INT(info.size, 5);
    CHECK_EQ_INT(pl_file_copy(A, B, &over), SIZE);
    CHECK(is_whole(B));
    CHECK_EQ_INT(pl_file_copy(A, A, &over), SIZE); /* itself */
    CHECK(is_whole(A));
    CHECK_EQ_INT(count_files(), 2);
    end();
}

TASK_CASE(what_cannot_be_copied_leaves_nothing)
{
    pl_file_copy_options over = {.size = sizeof over, .overwrite = 1};
    REQUIRE(begin());
    CHECK(folder_make(ROOT "/in"));
    CHECK_EQ_INT(pl_file_copy(ROOT "/none", B, NULL), PL_ENOENT);
    CHECK_EQ_INT(pl_file_copy(ROOT "/in", B, NULL), PL_EISDIR);
    CHECK_EQ_INT(pl_file_copy(A, ROOT "/none/b", NULL), PL_ENOENT);
    CHECK_EQ_INT(pl_file_copy(A, ROOT "/in", NULL), PL_EEXIST);
    CHECK(pl_file_copy(A, ROOT "/in", &over) < 0); /* no file replaces a folder */
    CHECK_EQ_INT(count_files(), 2);
    end();
}

/* --- Progress and cancel --- */

static struct {
    pl_op op;
    int64_t done;
    int64_t total;
    int calls;
    int cancel_at;
    bool wrong;
} seen;

static void note_progress(void *arg, int64_t done, int64_t total)
{
    seen.wrong |= arg != &seen || done <= seen.done || done > total || pl_loop_running() == NULL;
    seen.done = done;
    seen.total = total;
    if (++seen.calls == seen.cancel_at)
        CHECK_EQ_INT(pl_op_cancel(&seen.op), PL_OK);
}

TASK_CASE(progress_is_told_until_all_is_done)
{
    pl_file_copy_options options = {.size = sizeof options, .progress = note_progress, .arg = &seen};
    REQUIRE(begin());
    memset(&seen, 0, sizeof seen);
    CHECK_EQ_INT(pl_file_copy(A, B, &options), SIZE);
    CHECK_EQ_INT(seen.done, SIZE);
    CHECK_EQ_INT(seen.total, SIZE);
    CHECK(seen.calls >= 6);
    CHECK(!seen.wrong);
    end();
}

TASK_CASE(a_copy_cancelled_after_any_piece_is_removed)
{
    pl_file_copy_options options = {.size = sizeof options, .progress = note_progress, .arg = &seen};
    int at, over;
    REQUIRE(begin());
    for (over = 0; over < 2; over++) {
        for (at = 1; at <= 6; at++) {
            memset(&seen, 0, sizeof seen);
            seen.cancel_at = at;
            options.overwrite = over;
            CHECK_EQ_INT(pl_file_copy_start(&seen.op, A, B, &options), PL_OK);
            CHECK_EQ_INT(pl_op_await(&seen.op), PL_ECANCELED);
            CHECK_EQ_INT(seen.calls, at);
            CHECK_EQ_INT(count_files(), 1);
        }
    }
    end();
}

TASK_CASE(a_copy_cancelled_at_any_moment_is_whole_or_was_not)
{
    dice d = dice_of(73);
    int i;
    REQUIRE(begin());
    for (i = 0; i < 30; i++) {
        uint64_t yields = throw_below(&d, 1 + (uint64_t)i * 4);
        pl_file_copy_options options = {.size = sizeof options, .overwrite = i % 2};
        pl_op op = {0};
        int64_t rc;
        CHECK_EQ_INT(pl_file_copy_start(&op, A, B, &options), PL_OK);
        while (yields-- > 0)
            pl_yield();
        rc = pl_op_finish(&op);
        CHECK(rc == SIZE || rc == PL_ECANCELED);
        CHECK_EQ_INT(count_files(), rc == SIZE ? 2 : 1);
        if (rc == SIZE) {
            CHECK(is_whole(B));
            CHECK_EQ_INT(pl_file_remove(B), PL_OK);
        }
    }
    end();
}

TASK_CASE(a_copy_bounded_by_a_timeout_leaves_nothing)
{
    pl_timeout limit = {0};
    int64_t rc;
    REQUIRE(begin());
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_US(300)), PL_OK);
    rc = pl_file_copy(A, B, NULL);
    rc = pl_timeout_end(&limit, rc);
    CHECK(rc == SIZE || rc == PL_ETIMEDOUT);
    CHECK_EQ_INT(count_files(), rc == SIZE ? 2 : 1);
    end();
}

static void leave_a_copy(void)
{
    memset(&seen, 0, sizeof seen);
    REQUIRE(begin());
    CHECK_EQ_INT(pl_file_copy_start(&seen.op, A, B, NULL), PL_OK);
}

static void count_one(void)
{
    CHECK_EQ_INT(count_files(), pl_op_result(&seen.op) == SIZE ? 2 : 1);
    end();
}

TEST_CASE(a_copy_in_flight_ends_before_its_loop)
{
    loopback_run(t, leave_a_copy, NULL);
    CHECK(!pl_op_is_pending(&seen.op));
    loopback_run(t, count_one, NULL);
}

/* --- Arguments and shortage --- */

TASK_CASE(bad_arguments_are_refused)
{
    pl_file_copy_options unsized = {.size = 0};
    pl_op op = {0};
    CHECK_EQ_INT(pl_file_copy(NULL, B, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_copy("", B, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_copy(A, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_copy(A, "", NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_copy(A, B, &unsized), PL_EINVAL);
    CHECK_EQ_INT(pl_file_copy_start(NULL, A, B, NULL), PL_EINVAL);
    CHECK(!pl_op_is_pending(&op));
}

static int64_t use_everything(void *arg)
{
    pl_file_options options = {
        .size = sizeof options, .beneath = ROOT, .flags = PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE};
    pl_file_copy_options over = {.size = sizeof over, .overwrite = 1};
    pl_folder_listing listing = {0};
    pl_file *file = NULL;
    pl_file_info info;
    char text[1000] = "";
    int64_t rc, worst = 0;
    (void)arg;
#define USE(call)                                                                                                      \
    do {                                                                                                               \
        rc = (call);                                                                                                   \
        CHECK(rc >= 0 || rc == PL_ENOMEM);                                                                             \
        worst = rc < worst ? rc : worst;                                                                               \
    } while (0)
    USE(pl_file_open(&file, B, &options));
    if (file) {
        USE(pl_file_write(file, "hello", 5, 0));
        USE(pl_file_look(file, &info));
        USE(pl_file_read(file, text, 5, 0));
        USE(pl_file_flush(file));
        pl_file_close(file);
    }
    USE(pl_file_open_temporary(&file, ROOT, NULL));
    pl_file_close(file);
    USE(pl_file_make_temporary(&file, ROOT, text, sizeof text));
    pl_file_close(file);
    if (rc == PL_OK)
        path_remove(text);
    USE(pl_folder_make_temporary(NULL, text, sizeof text));
    if (rc == PL_OK)
        path_remove(text);
    USE(pl_path_real(ROOT, text, sizeof text));
    USE(pl_file_copy(A, B, &over));
    USE(pl_file_rename(A, A));
    USE(pl_file_open(&file, ROOT, NULL));
    if (file) {
        USE(pl_folder_list(file, &listing));
        CHECK(rc < 0 || listing.count == 2);
        pl_folder_listing_free(&listing);
        pl_file_close(file);
    }
    return worst;
#undef USE
}

/* Each allocation fails once, be it the loop's thread's or a worker's: while a task waits only one of them runs. */
TEST_CASE(without_memory_every_call_says_so_and_nothing_is_left)
{
    failing_allocation a;
    int at, failed = 0;
    bool reached = true;
    end();
    REQUIRE(folder_make(ROOT) && file_make(A, "hello", 5) && file_make(B, "x", 1));
    for (at = 1; at < 300 && reached; at++) {
        pl_loop_options options = {.size = sizeof options, .backend = t->backend};
        pl_loop *loop = NULL;
        pl_task *task = NULL;
        pl_task_options task_options = {.size = sizeof task_options};
        if (!CHECK_EQ_INT(failing_allocation_begin(&a), PL_OK))
            break;
        CHECK_EQ_INT(pl_loop_create(&loop, &options), PL_OK);
        task_options.loop = loop;
        CHECK_EQ_INT(pl_spawn(&task, use_everything, NULL, &task_options), PL_OK);
        a.calls = 0;
        a.fail_at = at;
        failed += pl_loop_run_until_complete(loop, pl_task_future(task)) < 0;
        reached = a.calls >= at;
        a.fail_at = 0;
        pl_task_unref(task);
        CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
        t_restore_allocator();
    }
    CHECK(!reached && failed > 15); /* a second worker that could not be had is not missed */
    end();
}

TEST_SUITE(file_copy, TEST_BACKENDS_REAL,
           CASE(a_copy_has_the_bytes_times_and_permissions),
           CASE(an_empty_file_is_copied),
           CASE(what_is_there_is_replaced_only_if_so_asked),
           CASE(what_cannot_be_copied_leaves_nothing),
           CASE(progress_is_told_until_all_is_done),
           CASE(a_copy_cancelled_after_any_piece_is_removed),
           CASE(a_copy_cancelled_at_any_moment_is_whole_or_was_not),
           CASE(a_copy_bounded_by_a_timeout_leaves_nothing),
           CASE(a_copy_in_flight_ends_before_its_loop),
           CASE(bad_arguments_are_refused),
           CASE(without_memory_every_call_says_so_and_nothing_is_left))
