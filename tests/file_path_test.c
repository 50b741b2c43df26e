/* Names that change: renamed, removed, linked; folders made and removed. */
#include <proloop/proloop.h>

#include <stdio.h>
#include <string.h>

#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "system.h"

#define ROOT "file_path_test_folder"
#define A    ROOT "/a"
#define B    ROOT "/b"

static const char *const leavings[] = {A, B, ROOT "/in/c", ROOT "/in/d", ROOT "/in", ROOT "/link", ROOT "/dangling", ROOT};

static void end(void)
{
    size_t i;
    for (i = 0; i < sizeof leavings / sizeof leavings[0]; i++)
        path_remove(leavings[i]);
}

static bool begin(void)
{
    end();
    return CHECK(folder_make(ROOT));
}

static int64_t size_of(const char *path)
{
    pl_file_info info = {0};
    int64_t rc = pl_file_stat(path, &info);
    return rc < 0 ? rc : info.size;
}

static bool links_work(void)
{
    if (link_make("a", ROOT "/link", false)) {
        path_remove(ROOT "/link");
        return true;
    }
    skip_case("no symbolic links here");
    return false;
}

TASK_CASE(a_file_is_renamed_and_replaces_what_was_there)
{
    pl_file_info before = {0};
    pl_file_info after = {0};
    REQUIRE(begin());
    CHECK(file_make(A, "hello", 5));
    CHECK(file_make(B, "xxx", 3));
    CHECK_EQ_INT(pl_file_stat(A, &before), PL_OK);
    CHECK_EQ_INT(pl_file_rename(A, B), PL_OK);
    CHECK_EQ_INT(size_of(A), PL_ENOENT);
    CHECK_EQ_INT(pl_file_stat(B, &after), PL_OK);
    CHECK_EQ_INT(after.size, 5);
    CHECK(before.id == after.id && before.volume == after.volume);
    CHECK_EQ_INT(pl_file_rename(A, B), PL_ENOENT);
    CHECK(pl_file_rename(B, ROOT "/none/b") == PL_ENOENT);
    CHECK_EQ_INT(size_of(B), 5);
    end();
}

TASK_CASE(a_folder_is_renamed)
{
    REQUIRE(begin());
    CHECK_EQ_INT(pl_folder_make(A, 0), PL_OK);
    CHECK(file_make(A "/c", "x", 1));
    CHECK_EQ_INT(pl_file_rename(A, ROOT "/in"), PL_OK);
    CHECK_EQ_INT(size_of(ROOT "/in/c"), 1);
    end();
}

TASK_CASE(a_file_is_renamed_while_it_is_open)
{
    pl_file *file = NULL;
    char data[8] = "";
    REQUIRE(begin());
    CHECK(file_make(A, "hello", 5));
    CHECK_EQ_INT(pl_file_open(&file, A, NULL), PL_OK);
    CHECK_EQ_INT(pl_file_rename(A, B), PL_OK);
    CHECK_EQ_INT(pl_file_read(file, data, sizeof data, 0), 5);
    CHECK_STR(data, "hello");
    pl_file_close(file);
    end();
}

TASK_CASE(a_file_is_removed_and_those_who_have_it_open_keep_it)
{
    pl_file *file = NULL;
    char data[8] = "";
    REQUIRE(begin());
    CHECK(file_make(A, "hello", 5));
    CHECK_EQ_INT(pl_file_open(&file, A, NULL), PL_OK);
    CHECK_EQ_INT(pl_file_remove(A), PL_OK);
    CHECK(pl_file_remove(A) < 0 || system_is_wine()); /* which lets it be removed as long as it is open */
    CHECK_EQ_INT(pl_file_read(file, data, sizeof data, 0), 5);
    CHECK_STR(data, "hello");
    pl_file_close(file);
    while (size_of(A) != PL_ENOENT && pl_sleep(PL_MS(1)) == PL_OK)
        ; /* where the name stays until it is closed, that is soon */
    CHECK_EQ_INT(pl_file_remove(A), PL_ENOENT);
    CHECK_EQ_INT(pl_folder_make(ROOT "/in", 0), PL_OK);
    CHECK_EQ_INT(pl_file_remove(ROOT "/in"), PL_EISDIR);
    end();
}

TASK_CASE(folders_are_made_and_removed)
{
    pl_file_info info = {0};
    REQUIRE(begin());
    CHECK_EQ_INT(pl_folder_make(ROOT "/in", 0700), PL_OK);
    CHECK_EQ_INT(pl_file_stat(ROOT "/in", &info), PL_OK);
    CHECK_EQ_INT(info.kind, PL_FILE_FOLDER);
    CHECK_EQ_INT(info.mode, on_backend("iocp") ? 0777 : 0700);
    CHECK_EQ_INT(pl_folder_make(ROOT "/in", 0), PL_EEXIST);
    CHECK_EQ_INT(pl_folder_make(ROOT "/none/in", 0), PL_ENOENT);
    CHECK(file_make(ROOT "/in/c", "x", 1));
    CHECK_EQ_INT(pl_folder_remove(ROOT "/in"), PL_ENOTEMPTY);
    CHECK_EQ_INT(pl_folder_remove(ROOT "/in/c"), PL_ENOTDIR);
    CHECK_EQ_INT(pl_file_remove(ROOT "/in/c"), PL_OK);
    CHECK_EQ_INT(pl_folder_remove(ROOT "/in"), PL_OK);
    CHECK_EQ_INT(pl_folder_remove(ROOT "/in"), PL_ENOENT);
    end();
}

TASK_CASE(a_temporary_folder_is_new_each_time)
{
    char first[200] = "", second[200] = "", small[8];
    pl_file_info info = {0};
    REQUIRE(begin());
    CHECK_EQ_INT(pl_folder_make_temporary(ROOT, first, sizeof first), PL_OK);
    CHECK_EQ_INT(pl_folder_make_temporary(ROOT, second, sizeof second), PL_OK);
    CHECK(strcmp(first, second) != 0);
    CHECK_EQ_INT(pl_file_stat(first, &info), PL_OK);
    CHECK_EQ_INT(info.kind, PL_FILE_FOLDER);
    CHECK(on_backend("iocp") || info.mode == 0700);
    CHECK_EQ_INT(pl_folder_remove(first), PL_OK);
    CHECK_EQ_INT(pl_folder_remove(second), PL_OK);
    CHECK_EQ_INT(pl_folder_make_temporary(ROOT, small, sizeof small), PL_ENAMETOOLONG);
    CHECK_EQ_INT(pl_folder_make_temporary(ROOT "/none", first, sizeof first), PL_ENOENT);
    CHECK_EQ_INT(pl_folder_make_temporary(NULL, first, sizeof first), PL_OK);
    CHECK_EQ_INT(pl_folder_remove(first), PL_OK);
    CHECK_EQ_INT(pl_folder_remove(ROOT), PL_OK); /* nothing is left in it */
    end();
}

TASK_CASE(a_link_is_made_read_looked_at_and_removed)
{
    char content[100] = "", small[3];
    pl_file_info info = {0};
    REQUIRE(begin());
    if (!links_work()) {
        end();
        return;
    }
    CHECK(file_make(A, "hello", 5));
    CHECK_EQ_INT(pl_link_make(ROOT "/link", "a"), PL_OK);
    CHECK_EQ_INT(pl_link_make(ROOT "/link", "a"), PL_EEXIST);
    CHECK_EQ_INT(size_of(ROOT "/link"), 5);
    CHECK_EQ_INT(pl_link_stat(ROOT "/link", &info), PL_OK);
    CHECK_EQ_INT(info.kind, PL_FILE_LINK);
    CHECK_EQ_INT(pl_link_stat(A, &info), PL_OK);
    CHECK_EQ_INT(info.kind, PL_FILE_REGULAR);
    CHECK_EQ_INT(pl_link_read(ROOT "/link", content, sizeof content), 1);
    CHECK_STR(content, "a");
    CHECK_EQ_INT(pl_link_make(ROOT "/dangling", "no-such-file"), PL_OK);
    CHECK_EQ_INT(pl_link_read(ROOT "/dangling", content, sizeof content), 12);
    CHECK_EQ_INT(pl_link_read(ROOT "/dangling", small, sizeof small), PL_ENAMETOOLONG);
    CHECK_EQ_INT(pl_link_stat(ROOT "/dangling", &info), PL_OK);
    CHECK_EQ_INT(pl_file_remove(ROOT "/dangling"), PL_OK);
    CHECK_EQ_INT(pl_file_remove(ROOT "/link"), PL_OK);
    CHECK_EQ_INT(size_of(A), 5);
    end();
}

TASK_CASE(what_is_no_link_has_no_content)
{
    char content[100];
    REQUIRE(begin());
    CHECK(file_make(A, "hello", 5));
    CHECK_EQ_INT(pl_link_read(A, content, sizeof content), PL_EINVAL);
    CHECK_EQ_INT(pl_link_read(B, content, sizeof content), PL_ENOENT);
    end();
}

TASK_CASE(a_real_path_leads_to_the_same)
{
    char real[1000] = "", again[1000] = "", small[4];
    pl_file_info one = {0};
    pl_file_info other = {0};
    int64_t length;
    REQUIRE(begin());
    CHECK(file_make(A, "hello", 5));
    length = pl_path_real(ROOT "/../" A, real, sizeof real);
    CHECK_EQ_INT(length, strlen(real));
    CHECK(real[0] == '/' || real[1] == ':');
    CHECK(strstr(real, "..") == NULL);
    CHECK_EQ_INT(pl_path_real(real, again, sizeof again), length);
    CHECK_STR(again, real);
    CHECK_EQ_INT(pl_file_stat(A, &one), PL_OK);
    CHECK_EQ_INT(pl_file_stat(real, &other), PL_OK);
    CHECK(one.id == other.id && one.volume == other.volume);
    CHECK_EQ_INT(pl_path_real(A, small, sizeof small), PL_ENAMETOOLONG);
    CHECK_EQ_INT(pl_path_real(B, real, sizeof real), PL_ENOENT);
    end();
}

/* A lone surrogate, as WTF-8, on Windows; bytes that are no UTF-8, on Unix. */
TASK_CASE(a_name_that_is_no_text_comes_back_from_a_listing_as_it_was_given)
{
    const char *name = on_backend("iocp") ? "x\xed\xa0\x80y" : "x\xff\xfey";
    const char *paired = ROOT "/\xed\xa0\xbd\xed\xb8\x80"; /* a pair in six bytes: there is one form, in four */
    pl_file_options options = {.size = sizeof options, .flags = PL_FILE_WRITE | PL_FILE_CREATE};
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    pl_file *file = NULL;
    char path[100];
    int64_t rc;
    REQUIRE(begin());
    snprintf(path, sizeof path, ROOT "/%s", name);
    rc = pl_file_open(&file, path, &options);
    pl_file_close(file);
    if (rc == PL_OK) {
        CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK);
        CHECK_EQ_INT(pl_folder_list(folder, &listing), 1);
        if (listing.count == 1)
            CHECK_STR(listing.entries[0].name, name);
        pl_folder_listing_free(&listing);
        pl_file_close(folder);
        CHECK_EQ_INT(pl_file_remove(path), PL_OK);
    } else {
        skip_case("this file system takes no such name");
    }
    if (on_backend("iocp"))
        CHECK_EQ_INT(size_of(paired), PL_EINVAL);
    end();
}

TASK_CASE(a_large_folder_is_listed_whole)
{
    enum { FILES = 3000 };
    pl_file_options options = {.size = sizeof options, .flags = PL_FILE_WRITE | PL_FILE_CREATE};
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    char path[100], last[32] = "";
    size_t i;
    REQUIRE(begin());
    for (i = 0; i < FILES; i++) {
        pl_file *file = NULL;
        snprintf(path, sizeof path, ROOT "/some-longer-name-%04d", (int)i);
        if (!CHECK_EQ_INT(pl_file_open(&file, path, &options), PL_OK))
            break;
        pl_file_close(file);
    }
    CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK);
    CHECK_EQ_INT(pl_folder_list(folder, &listing), FILES);
    for (i = 0; i < listing.count; i++) {
        CHECK(strcmp(last, listing.entries[i].name) < 0);
        snprintf(last, sizeof last, "%s", listing.entries[i].name);
        snprintf(path, sizeof path, ROOT "/%s", last);
        CHECK_EQ_INT(pl_file_remove(path), PL_OK);
    }
    pl_folder_listing_free(&listing);
    pl_file_close(folder);
    end();
}

/* --- Cancelling --- */

/* Renamed to and fro: wherever the cancel comes, it happened or it did not. */
TASK_CASE(a_rename_cancelled_at_any_moment_happened_or_did_not)
{
    dice d = dice_of(67);
    int i;
    REQUIRE(begin());
    CHECK(file_make(A, "hello", 5));
    for (i = 0; i < 60; i++) {
        uint64_t yields = throw_below(&d, 4);
        pl_op op = {0};
        int64_t rc;
        CHECK_EQ_INT(pl_file_rename_start(&op, A, B), PL_OK);
        while (yields-- > 0)
            pl_yield();
        rc = pl_op_finish(&op);
        CHECK(rc == PL_OK || rc == PL_ECANCELED);
        CHECK_EQ_INT(size_of(A), rc == PL_OK ? PL_ENOENT : 5);
        CHECK_EQ_INT(size_of(B), rc == PL_OK ? 5 : PL_ENOENT);
        if (rc == PL_OK)
            CHECK_EQ_INT(pl_file_rename(B, A), PL_OK);
    }
    end();
}

static void use_all(int expected)
{
    pl_file_info info;
    char text[100];
    CHECK_EQ_INT(pl_file_stat(A, &info), expected);
    CHECK_EQ_INT(pl_link_stat(A, &info), expected);
    CHECK_EQ_INT(pl_file_rename(A, B), expected);
    CHECK_EQ_INT(pl_file_remove(A), expected);
    CHECK_EQ_INT(pl_link_make(B, "a"), expected);
    CHECK_EQ_INT(pl_link_read(A, text, sizeof text), expected);
    CHECK_EQ_INT(pl_path_real(A, text, sizeof text), expected);
    CHECK_EQ_INT(pl_folder_make(ROOT "/in", 0), expected);
    CHECK_EQ_INT(pl_folder_make_temporary(ROOT, text, sizeof text), expected);
    CHECK_EQ_INT(pl_folder_remove(ROOT), expected);
    CHECK_EQ_INT(pl_file_copy(A, B, NULL), expected);
}

TASK_CASE(in_a_cancelled_scope_nothing_is_begun)
{
    pl_timeout scope = {0};
    REQUIRE(begin());
    CHECK(file_make(A, "hello", 5));
    CHECK_EQ_INT(pl_timeout_begin(&scope, 0), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_SECONDS(60)), PL_ECANCELED);
    use_all(PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&scope, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK_EQ_INT(size_of(A), 5);
    CHECK_EQ_INT(size_of(B), PL_ENOENT);
    end();
}

TEST_CASE(outside_a_task_there_are_no_task_calls)
{
    pl_op op = {0};
    char text[10];
    (void)t;
    use_all(PL_ENOTASK);
    CHECK_EQ_INT(pl_file_rename_start(&op, A, B), PL_ENOLOOP);
    CHECK_EQ_INT(pl_path_real_start(&op, A, text, sizeof text), PL_ENOLOOP);
    CHECK_EQ_INT(pl_file_copy_start(&op, A, B, NULL), PL_ENOLOOP);
}

TASK_CASE(started_calls_copy_their_paths)
{
    char from[] = A, to[] = B, text[1000] = "";
    pl_op op = {0};
    REQUIRE(begin());
    CHECK(file_make(A, "hello", 5));
    CHECK_EQ_INT(pl_file_rename_start(&op, from, to), PL_OK);
    memset(from, 'x', sizeof from - 1);
    memset(to, 'x', sizeof to - 1);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(size_of(B), 5);
    memcpy(to, B, sizeof to);
    CHECK_EQ_INT(pl_path_real_start(&op, to, text, sizeof text), PL_OK);
    memset(to, 'x', sizeof to - 1);
    CHECK(pl_op_await(&op) > 0);
    CHECK_EQ_INT(end_of(pl_file_remove_start(&op, A), &op), PL_ENOENT);
    CHECK(pl_op_system_error(&op) != 0);
    end();
}

TASK_CASE(bad_arguments_are_refused)
{
    pl_file_info info;
    char text[10];
    CHECK_EQ_INT(pl_link_stat(NULL, &info), PL_EINVAL);
    CHECK_EQ_INT(pl_link_stat(A, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_rename(NULL, B), PL_EINVAL);
    CHECK_EQ_INT(pl_file_rename(A, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_rename(A, ""), PL_EINVAL);
    CHECK_EQ_INT(pl_file_remove(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_remove(""), PL_EINVAL);
    CHECK_EQ_INT(pl_file_remove_start(NULL, A), PL_EINVAL);
    CHECK_EQ_INT(pl_link_make(NULL, "a"), PL_EINVAL);
    CHECK_EQ_INT(pl_link_make(A, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_link_read(NULL, text, sizeof text), PL_EINVAL);
    CHECK_EQ_INT(pl_link_read(A, NULL, sizeof text), PL_EINVAL);
    CHECK_EQ_INT(pl_link_read(A, text, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_path_real(NULL, text, sizeof text), PL_EINVAL);
    CHECK_EQ_INT(pl_folder_make(NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_folder_make(A, 010000), PL_EINVAL);
    CHECK_EQ_INT(pl_folder_remove(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_folder_make_temporary(ROOT, NULL, 10), PL_EINVAL);
}

TEST_SUITE(file_path, TEST_BACKENDS_REAL,
           CASE(a_file_is_renamed_and_replaces_what_was_there),
           CASE(a_folder_is_renamed),
           CASE(a_file_is_renamed_while_it_is_open),
           CASE(a_file_is_removed_and_those_who_have_it_open_keep_it),
           CASE(folders_are_made_and_removed),
           CASE(a_temporary_folder_is_new_each_time),
           CASE(a_link_is_made_read_looked_at_and_removed),
           CASE(what_is_no_link_has_no_content),
           CASE(a_real_path_leads_to_the_same),
           CASE(a_name_that_is_no_text_comes_back_from_a_listing_as_it_was_given),
           CASE(a_large_folder_is_listed_whole),
           CASE(a_rename_cancelled_at_any_moment_happened_or_did_not),
           CASE(in_a_cancelled_scope_nothing_is_begun),
           CASE(outside_a_task_there_are_no_task_calls),
           CASE(started_calls_copy_their_paths),
           CASE(bad_arguments_are_refused))
