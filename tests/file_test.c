#include <proloop/proloop.h>

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "folders.h"
#include "harness.h"
#include "loopback.h"

#define ROOT "file_test_folder"

enum { PATH_LIMIT = 1200, MADE_MAX = 400 };

/* What the case made, to be removed in reverse. */
static struct {
    char paths[MADE_MAX][PATH_LIMIT];
    int count;
} made;

static void remember(const char *path)
{
    if (CHECK(made.count < MADE_MAX))
        snprintf(made.paths[made.count++], PATH_LIMIT, "%s", path);
}

static bool make_folder(const char *path)
{
    path_remove(path); /* what a run that was killed left */
    remember(path);
    return CHECK(folder_make(path));
}

static bool make_file(const char *path, const void *data, size_t size)
{
    path_remove(path);
    remember(path);
    return CHECK(file_make(path, data, size));
}

static bool make_link(const char *content, const char *path, bool to_folder)
{
    path_remove(path);
    remember(path);
    return link_make(content, path, to_folder);
}

static bool begin(void)
{
    made.count = 0;
    return make_folder(ROOT);
}

static void end(void)
{
    while (made.count > 0)
        path_remove(made.paths[--made.count]);
}

static int kind_of(const char *path)
{
    pl_file_info info = {0};
    int64_t rc = pl_file_stat(path, &info);
    return rc < 0 ? (int)rc : info.kind;
}

/* Reads a small file in one go: @return bytes or the error. */
static int64_t read_file(const char *path, void *data, size_t size)
{
    pl_file *file = NULL;
    int64_t rc = pl_file_open(&file, path, NULL);
    if (rc < 0) {
        CHECK(file == NULL);
        return rc;
    }
    rc = pl_file_read(file, data, size, 0);
    pl_file_close(file);
    return rc;
}

static int64_t open_beneath(const char *folder, const char *path)
{
    pl_file_options options = {.size = sizeof options, .beneath = folder};
    pl_file *file = NULL;
    int64_t rc = pl_file_open(&file, path, &options);
    CHECK((rc == PL_OK) == (file != NULL));
    pl_file_close(file);
    return rc;
}

/* --- Open and stat --- */

TASK_CASE(an_open_file_knows_what_it_is)
{
    pl_file *file = NULL;
    pl_file_info info = {0};
    pl_file_info said = {0};
    REQUIRE(begin());
    make_file(ROOT "/a", "hello", 5);
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK);
    if (file) {
        CHECK_EQ_INT(pl_file_info_get(file, &info), PL_OK);
        CHECK_EQ_INT(info.kind, PL_FILE_REGULAR);
        CHECK_EQ_INT(info.size, 5);
        CHECK(info.modified > (int64_t)1600000000 * 1000000000);
        CHECK_EQ_INT(pl_file_stat(ROOT "/a", &said), PL_OK);
        CHECK_EQ_INT(said.kind, info.kind);
        CHECK_EQ_INT(said.size, info.size);
        CHECK_EQ_INT(said.modified, info.modified);
        pl_file_close(file);
    }
    end();
}

TASK_CASE(a_folder_is_opened_and_told_apart)
{
    pl_file *folder = NULL;
    pl_file_info info = {0};
    char byte;
    REQUIRE(begin());
    CHECK_EQ_INT(kind_of(ROOT), PL_FILE_FOLDER);
    CHECK_EQ_INT(kind_of(ROOT "/"), PL_FILE_FOLDER);
    CHECK_EQ_INT(kind_of("."), PL_FILE_FOLDER);
    CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK);
    if (folder) {
        CHECK_EQ_INT(pl_file_info_get(folder, &info), PL_OK);
        CHECK_EQ_INT(info.kind, PL_FILE_FOLDER);
        CHECK_EQ_INT(pl_file_read(folder, &byte, 1, 0), PL_EISDIR);
        pl_file_close(folder);
    }
    end();
}

TASK_CASE(what_is_missing_is_told)
{
    pl_file *file = NULL;
    pl_file_info info = {.size = 77};
    REQUIRE(begin());
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/none", NULL), PL_ENOENT);
    CHECK(file == NULL);
    CHECK_EQ_INT(pl_file_stat(ROOT "/none", &info), PL_ENOENT);
    CHECK_EQ_INT(info.size, 77);
    CHECK_EQ_INT(pl_file_stat(ROOT "/none/deeper", &info), PL_ENOENT);
    CHECK(pl_file_open(&file, "", NULL) < 0);
    CHECK(file == NULL);
    end();
}

TASK_CASE(a_file_is_no_folder_on_the_way)
{
    REQUIRE(begin());
    make_file(ROOT "/a", "x", 1);
    int kind = kind_of(ROOT "/a/b");
    CHECK(kind == PL_ENOTDIR || (on_backend("iocp") && kind == PL_ENOENT));
    end();
}

TASK_CASE(a_name_that_is_too_long_is_refused)
{
    char path[PATH_LIMIT] = ROOT "/";
    pl_file *file = NULL;
    int64_t rc;
    REQUIRE(begin());
    memset(path + strlen(path), 'n', 300);
    rc = pl_file_open(&file, path, NULL);
    CHECK(rc == PL_ENAMETOOLONG || (on_backend("iocp") && (rc == PL_ENOENT || rc == PL_EINVAL)));
    CHECK(file == NULL);
    end();
}

TASK_CASE(names_are_utf8)
{
    static const char *const names[] = {ROOT "/\xc3\xa4\xc3\xb6 \xc3\xbc", ROOT "/\xe6\x96\x87\xe4\xbb\xb6",
                                        ROOT "/\xf0\x9f\x98\x80.txt"};
    char data[8];
    size_t i;
    REQUIRE(begin());
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        make_file(names[i], names[i] + strlen(ROOT) + 1, 3);
        CHECK_EQ_INT(read_file(names[i], data, sizeof data), 3);
        CHECK_MEM(data, names[i] + strlen(ROOT) + 1, 3);
        CHECK_EQ_INT(kind_of(names[i]), PL_FILE_REGULAR);
    }
    end();
}

TASK_CASE(text_that_is_not_utf8_is_refused)
{
    pl_file *file = NULL;
    int64_t rc = pl_file_open(&file, "file_test_\xff\xfe", NULL);
    CHECK(rc == PL_EINVAL || (!on_backend("iocp") && rc == PL_ENOENT)); /* to Unix any bytes are a name */
    CHECK(file == NULL);
}

TASK_CASE(paths_may_be_long)
{
    char path[PATH_LIMIT] = ROOT;
    char data[8];
    size_t i;
    REQUIRE(begin());
    for (i = 0; i < 8; i++) {
        strcat(path, "/a_folder_with_a_name_of_a_good_many_characters_so_that_the_path_gets_long");
        if (!make_folder(path))
            break;
    }
    strcat(path, "/file");
    CHECK(strlen(path) > 500);
    make_file(path, "deep", 4);
    CHECK_EQ_INT(kind_of(path), PL_FILE_REGULAR);
    CHECK_EQ_INT(read_file(path, data, sizeof data), 4);
    CHECK_MEM(data, "deep", 4);
    end();
}

TASK_CASE(both_slashes_separate_on_windows)
{
    char data[8];
    REQUIRE(begin());
    make_folder(ROOT "/sub");
    make_file(ROOT "/sub/a", "x", 1);
    CHECK_EQ_INT(read_file(ROOT "/sub/../sub/./a", data, 1), 1);
    CHECK_EQ_INT(read_file(ROOT "//sub//a", data, 1), 1);
    CHECK_EQ_INT(read_file(ROOT "\\sub\\a", data, 1), on_backend("iocp") ? 1 : PL_ENOENT);
    end();
}

TASK_CASE(links_are_followed)
{
    char data[8];
    REQUIRE(begin());
    make_file(ROOT "/a", "linked", 6);
    if (make_link("a", ROOT "/link", false)) {
        CHECK_EQ_INT(kind_of(ROOT "/link"), PL_FILE_REGULAR);
        CHECK_EQ_INT(read_file(ROOT "/link", data, sizeof data), 6);
        make_link("gone", ROOT "/dangling", false);
        CHECK_EQ_INT(kind_of(ROOT "/dangling"), PL_ENOENT);
        make_link("round", ROOT "/round", false);
        CHECK(kind_of(ROOT "/round") < 0);
        if (!on_backend("iocp"))
            CHECK_EQ_INT(kind_of(ROOT "/round"), PL_ELOOP);
    }
    end();
}

TASK_CASE(neither_a_pipe_nor_a_device_makes_opening_wait)
{
    const char *path = on_backend("iocp") ? "CON" : ROOT "/pipe";
    pl_file *file = NULL;
    pl_file_info info = {0};
    int64_t rc;
    REQUIRE(begin());
    if (!on_backend("iocp")) {
        remember(path);
        path_remove(path);
        CHECK(pipe_make(path));
    }
    rc = pl_file_open(&file, path, NULL);
    if (rc == PL_OK) {
        CHECK_EQ_INT(pl_file_info_get(file, &info), PL_OK);
        CHECK_EQ_INT(info.kind, PL_FILE_OTHER);
    }
    pl_file_close(file);
    end();
}

/* --- Reading --- */

TASK_CASE(a_file_is_read_at_offsets)
{
    pl_file *file = NULL;
    char data[16] = "................";
    REQUIRE(begin());
    make_file(ROOT "/a", "0123456789", 10);
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK);
    if (file) {
        CHECK_EQ_INT(pl_file_read(file, data, 4, 3), 4);
        CHECK_MEM(data, "3456....", 8);
        CHECK_EQ_INT(pl_file_read(file, data, 4, 0), 4);
        CHECK_MEM(data, "0123....", 8);
        CHECK_EQ_INT(pl_file_read(file, data, 8, 7), 3); /* short: the file ends */
        CHECK_MEM(data, "7893....", 8);
        CHECK_EQ_INT(pl_file_read(file, data, 8, 10), 0);
        CHECK_EQ_INT(pl_file_read(file, data, 8, 1000000), 0);
        CHECK_EQ_INT(pl_file_read(file, data, 8, (int64_t)1 << 40), 0);
        CHECK_EQ_INT(pl_file_read(file, data, 10, 0), 10);
        CHECK_EQ_INT(pl_file_read(file, NULL, 0, 3), 0);
        CHECK_MEM(data, "0123456789", 10);
        pl_file_close(file);
    }
    end();
}

TASK_CASE(an_empty_file_is_at_its_end)
{
    char byte;
    REQUIRE(begin());
    make_file(ROOT "/empty", "", 0);
    CHECK_EQ_INT(read_file(ROOT "/empty", &byte, 1), 0);
    end();
}

TASK_CASE(many_reads_of_one_file_at_once_do_not_mix)
{
    enum { READS = 16, EACH = 50000 };
    static pl_op ops[READS];
    uint8_t *data = malloc((size_t)READS * EACH);
    pl_file *file = NULL;
    int i;
    REQUIRE(data != NULL);
    memset(ops, 0, sizeof ops);
    pattern_fill(data, (size_t)READS * EACH, 0);
    if (begin()) {
        make_file(ROOT "/a", data, (size_t)READS * EACH);
        memset(data, 0, (size_t)READS * EACH);
        CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK);
        for (i = READS; file && i-- > 0;)
            CHECK_EQ_INT(pl_file_read_start(&ops[i], file, data + i * EACH, EACH, (int64_t)i * EACH), PL_OK);
        for (i = 0; file && i < READS; i++)
            CHECK_EQ_INT(pl_op_await(&ops[i]), EACH);
        CHECK(pattern_holds(data, (size_t)READS * EACH, 0));
        pl_file_close(file);
    }
    free(data);
    end();
}

TASK_CASE(a_file_closed_while_it_is_read_is_closed_later)
{
    enum { SIZE = 500000 };
    uint8_t *data = calloc(1, SIZE);
    pl_file *file = NULL;
    pl_op op = {0};
    REQUIRE(data != NULL);
    pattern_fill(data, SIZE, 0);
    if (begin()) {
        make_file(ROOT "/a", data, SIZE);
        memset(data, 0, SIZE);
        if (CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK)) {
            CHECK_EQ_INT(pl_file_read_start(&op, file, data, SIZE, 0), PL_OK);
            pl_file_close(file);
            CHECK_EQ_INT(pl_op_await(&op), SIZE);
            CHECK(pattern_holds(data, SIZE, 0));
        }
    }
    free(data);
    end();
}

TASK_CASE(a_cancelled_read_has_left_our_memory_when_it_ends)
{
    enum { SIZE = 300000, ROUNDS = 40 };
    uint8_t *data = malloc(SIZE);
    pl_file *file = NULL;
    dice d = dice_of(51);
    int i;
    REQUIRE(data != NULL);
    pattern_fill(data, SIZE, 0);
    if (begin()) {
        make_file(ROOT "/a", data, SIZE);
        CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK);
        for (i = 0; file && i < ROUNDS; i++) {
            uint64_t yields = throw_below(&d, 3);
            pl_op op = {0};
            int64_t rc;
            memset(data, 0, SIZE);
            CHECK_EQ_INT(pl_file_read_start(&op, file, data, SIZE, 0), PL_OK);
            while (yields-- > 0)
                pl_yield();
            rc = pl_op_finish(&op);
            if (rc == PL_ECANCELED) /* it had not begun */
                CHECK(data[0] == 0 && data[1] == 0 && data[SIZE - 1] == 0);
            else if (CHECK_EQ_INT(rc, SIZE))
                CHECK(pattern_holds(data, SIZE, 0));
        }
        pl_file_close(file);
    }
    free(data);
    end();
}

TASK_CASE(cancelled_opens_and_looks_end_at_once_and_leave_nothing_open)
{
    dice d = dice_of(53);
    int i;
    REQUIRE(begin());
    make_file(ROOT "/a", "hello", 5);
    for (i = 0; i < 60; i++) {
        uint64_t yields = throw_below(&d, 4);
        pl_op opening = {0};
        pl_op looking = {0};
        pl_file *file = NULL;
        pl_file_info info = {.size = -1};
        int64_t opened, looked;
        CHECK_EQ_INT(pl_file_open_start(&opening, &file, ROOT "/a", NULL), PL_OK);
        CHECK_EQ_INT(pl_file_stat_start(&looking, ROOT "/a", &info), PL_OK);
        while (yields-- > 0)
            pl_yield();
        opened = pl_op_finish(&opening);
        looked = pl_op_finish(&looking);
        CHECK(opened == PL_OK || opened == PL_ECANCELED);
        CHECK(looked == PL_OK || looked == PL_ECANCELED);
        CHECK((opened == PL_OK) == (file != NULL));
        CHECK_EQ_INT(info.size, looked == PL_OK ? 5 : -1);
        pl_file_close(file);
    }
    end();
}

TASK_CASE(started_calls_give_the_same)
{
    pl_op op = {0};
    pl_file *file = NULL;
    pl_file *none = NULL;
    pl_file_info info = {0};
    char path[] = ROOT "/a";
    char data[8];
    REQUIRE(begin());
    make_file(ROOT "/a", "hello", 5);
    CHECK_EQ_INT(pl_file_stat_start(&op, path, &info), PL_OK);
    memset(path, 'x', sizeof path - 1); /* it was lent for the call only */
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(info.size, 5);
    memcpy(path, ROOT "/a", sizeof path);
    CHECK_EQ_INT(pl_file_open_start(&op, &file, path, NULL), PL_OK);
    memset(path, 'x', sizeof path - 1);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(end_of(pl_file_read_start(&op, file, data, sizeof data, 1), &op), 4);
    CHECK_EQ_INT(end_of(pl_file_open_start(&op, &none, ROOT "/none", NULL), &op), PL_ENOENT);
    CHECK(pl_op_system_error(&op) != 0);
    CHECK(none == NULL);
    pl_file_close(file);
    end();
}

/* --- Beneath --- */

TASK_CASE(what_lies_beneath_the_folder_is_opened)
{
    REQUIRE(begin());
    make_folder(ROOT "/in");
    make_folder(ROOT "/in/deep");
    make_file(ROOT "/in/a", "x", 1);
    make_file(ROOT "/in/deep/b", "x", 1);
    CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/a"), PL_OK);
    CHECK_EQ_INT(open_beneath(ROOT "/in/", ROOT "/in/deep/b"), PL_OK);
    CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/deep"), PL_OK);
    CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/deep/../a"), PL_OK);
    CHECK_EQ_INT(open_beneath(ROOT "/in/deep/..", ROOT "/in/a"), PL_OK);
    CHECK_EQ_INT(open_beneath(".", ROOT "/in/a"), PL_OK);
    CHECK_EQ_INT(open_beneath("/", ROOT "/in/a"), PL_OK);
    CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/none"), PL_ENOENT);
    end();
}

TASK_CASE(what_lies_elsewhere_is_refused)
{
    REQUIRE(begin());
    make_folder(ROOT "/in");
    make_folder(ROOT "/inside"); /* begins like the other, and is another */
    make_file(ROOT "/in/a", "x", 1);
    make_file(ROOT "/inside/b", "x", 1);
    make_file(ROOT "/c", "x", 1);
    CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/c"), PL_EACCES);
    CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/../c"), PL_EACCES);
    CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/inside/b"), PL_EACCES);
    CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/../inside/b"), PL_EACCES);
    CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT), PL_EACCES);
    CHECK(open_beneath(ROOT "/none", ROOT "/in/a") < 0);
    end();
}

/* None of these is there, so who had tried to open it would say that. */
TASK_CASE(devices_and_pipes_are_refused_before_they_are_opened)
{
    static const char *const names[] = {"\\\\.\\pipe\\proloop-none",
                                        "\\\\?\\pipe\\proloop-none",
                                        "//?/pipe/proloop-none",
                                        "\\\\?\\GLOBALROOT\\Device\\NamedPipe\\proloop-none",
                                        "\\\\?\\proloop-none",
                                        "\\\\localhost\\pipe\\proloop-none",
                                        "\\\\?\\UNC\\localhost\\PIPE\\proloop-none"};
    size_t i;
    if (!on_backend("iocp")) {
        skip_case("names that are devices everywhere are Windows' own");
        return;
    }
    REQUIRE(begin());
    make_folder(ROOT "/in");
    for (i = 0; i < sizeof names / sizeof names[0]; i++)
        CHECK_EQ_INT(open_beneath(ROOT "/in", names[i]), PL_EACCES);
    end();
}

TASK_CASE(a_link_out_of_the_folder_is_refused)
{
    bool linked;
    REQUIRE(begin());
    make_folder(ROOT "/in");
    make_folder(ROOT "/out");
    make_file(ROOT "/in/a", "x", 1);
    make_file(ROOT "/out/b", "x", 1);
    linked = make_link("../out/b", ROOT "/in/to_file", false);
    if (linked && make_link("../out", ROOT "/in/to_folder", true) && make_link("a", ROOT "/in/to_a", false) &&
        make_link("in", ROOT "/to_in", true)) {
        CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/to_file"), PL_EACCES);
        CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/to_folder"), PL_EACCES);
        CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/to_folder/b"), PL_EACCES);
        CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/in/to_a"), PL_OK);
        CHECK_EQ_INT(open_beneath(ROOT "/to_in", ROOT "/in/a"), PL_OK); /* the folder may be a link, too */
        CHECK_EQ_INT(open_beneath(ROOT "/in", ROOT "/to_in/a"), PL_OK);
    } else {
        skip_case("no symbolic links here");
    }
    end();
}

/* --- Folders --- */

TASK_CASE(a_listing_is_sorted_by_the_bytes_of_the_names)
{
    /* In UTF-16 the last two would stand the other way round. */
    static const char *const names[] = {
        "Z", "a", "b c", "\xc3\xa4", "\xe6\x96\x87", "\xef\xbc\xa1", "\xf0\x9f\x98\x80"};
    enum { NAMES = sizeof names / sizeof names[0] };
    static const int order[NAMES] = {4, 1, 6, 0, 5, 3, 2};
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    char path[PATH_LIMIT];
    size_t i;
    REQUIRE(begin());
    for (i = 0; i < NAMES; i++) {
        snprintf(path, sizeof path, ROOT "/%s", names[order[i]]);
        if (order[i] == 1)
            make_folder(path);
        else
            make_file(path, "xxxxxxxxxx", (size_t)order[i]);
    }
    if (CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK)) {
        CHECK_EQ_INT(pl_folder_list(folder, &listing), NAMES);
        CHECK_EQ_INT(listing.count, NAMES);
        for (i = 0; i < listing.count && i < NAMES; i++) {
            CHECK_STR(listing.entries[i].name, names[i]);
            CHECK_EQ_INT(listing.entries[i].info.kind, i == 1 ? PL_FILE_FOLDER : PL_FILE_REGULAR);
            if (i != 1)
                CHECK_EQ_INT(listing.entries[i].info.size, i);
            CHECK(listing.entries[i].info.modified > (int64_t)1600000000 * 1000000000);
        }
        pl_folder_listing_free(&listing);
        CHECK_EQ_INT(listing.count, 0);
        CHECK(listing.entries == NULL);
        pl_folder_listing_free(&listing);
        pl_file_close(folder);
    }
    end();
}

TASK_CASE(an_empty_folder_has_no_entries)
{
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    REQUIRE(begin());
    if (CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK)) {
        CHECK_EQ_INT(pl_folder_list(folder, &listing), 0);
        CHECK_EQ_INT(listing.count, 0);
        pl_folder_listing_free(&listing);
        pl_file_close(folder);
    }
    end();
}

TASK_CASE(a_folder_is_listed_again_and_again_and_at_once)
{
    enum { FILES = 300, LISTINGS = 4 };
    static pl_op ops[LISTINGS];
    pl_folder_listing listings[LISTINGS] = {{0}};
    pl_file *folder = NULL;
    char path[PATH_LIMIT];
    int i, k;
    memset(ops, 0, sizeof ops);
    REQUIRE(begin());
    for (i = 0; i < FILES; i++) {
        snprintf(path, sizeof path, ROOT "/%03d", (i * 7) % FILES);
        if (!make_file(path, "", 0))
            break;
    }
    if (CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK)) {
        for (k = 0; k < LISTINGS; k++)
            CHECK_EQ_INT(pl_folder_list_start(&ops[k], folder, &listings[k]), PL_OK);
        for (k = 0; k < LISTINGS; k++) {
            CHECK_EQ_INT(pl_op_await(&ops[k]), FILES);
            for (i = 0; i < FILES && (size_t)i < listings[k].count; i++) {
                snprintf(path, sizeof path, "%03d", i);
                if (!CHECK_STR(listings[k].entries[i].name, path))
                    break;
            }
            pl_folder_listing_free(&listings[k]);
        }
        CHECK_EQ_INT(pl_folder_list(folder, &listings[0]), FILES);
        pl_folder_listing_free(&listings[0]);
        pl_file_close(folder);
    }
    end();
}

TASK_CASE(a_listing_follows_no_link)
{
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    REQUIRE(begin());
    if (!make_link("gone", ROOT "/dangling", false) || !make_link(".", ROOT "/here", true)) {
        skip_case("no symbolic links here");
    } else if (CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK)) {
        CHECK_EQ_INT(pl_folder_list(folder, &listing), 2);
        for (size_t i = 0; i < listing.count; i++)
            CHECK_EQ_INT(listing.entries[i].info.kind, PL_FILE_LINK);
        pl_folder_listing_free(&listing);
        pl_file_close(folder);
    }
    end();
}

TASK_CASE(a_file_has_no_entries_to_list)
{
    pl_folder_listing listing = {0};
    pl_file *file = NULL;
    REQUIRE(begin());
    make_file(ROOT "/a", "x", 1);
    if (CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK)) {
        CHECK_EQ_INT(pl_folder_list(file, &listing), PL_ENOTDIR);
        CHECK(listing.entries == NULL && listing.count == 0);
        pl_folder_listing_free(&listing);
        pl_file_close(file);
    }
    end();
}

TASK_CASE(a_cancelled_listing_leaves_nothing)
{
    dice d = dice_of(57);
    pl_file *folder = NULL;
    int i;
    REQUIRE(begin());
    make_file(ROOT "/a", "x", 1);
    if (CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK)) {
        for (i = 0; i < 40; i++) {
            uint64_t yields = throw_below(&d, 4);
            pl_folder_listing listing = {0};
            pl_op op = {0};
            int64_t rc;
            CHECK_EQ_INT(pl_folder_list_start(&op, folder, &listing), PL_OK);
            while (yields-- > 0)
                pl_yield();
            rc = pl_op_finish(&op);
            CHECK(rc == 1 || rc == PL_ECANCELED);
            CHECK_EQ_INT(listing.count, rc == 1 ? 1 : 0);
            pl_folder_listing_free(&listing);
        }
        pl_file_close(folder);
    }
    end();
}

/* --- Arguments --- */

TASK_CASE(bad_arguments_are_refused_and_change_nothing)
{
    const pl_file_options unsized = {.size = 0};
    pl_folder_listing listing = {0};
    pl_file_info info = {0};
    pl_file *file = NULL;
    pl_op op = {0};
    char data[8];
    REQUIRE(begin());
    make_file(ROOT "/a", "x", 1);
    CHECK_EQ_INT(pl_file_open(NULL, ROOT "/a", NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_open(&file, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", &unsized), PL_EINVAL);
    CHECK_EQ_INT(pl_file_open_start(NULL, &file, ROOT "/a", NULL), PL_EINVAL);
    CHECK(file == NULL);
    CHECK_EQ_INT(pl_file_stat(NULL, &info), PL_EINVAL);
    CHECK_EQ_INT(pl_file_stat(ROOT "/a", NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_info_get(NULL, &info), PL_EINVAL);
    CHECK_EQ_INT(pl_folder_list(NULL, &listing), PL_EINVAL);
    pl_file_close(NULL);
    pl_folder_listing_free(NULL);
    if (CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK)) {
        CHECK_EQ_INT(pl_file_info_get(file, NULL), PL_EINVAL);
        CHECK_EQ_INT(pl_file_read(NULL, data, 1, 0), PL_EINVAL);
        CHECK_EQ_INT(pl_file_read(file, NULL, 1, 0), PL_EINVAL);
        CHECK_EQ_INT(pl_file_read(file, data, 1, -1), PL_EINVAL);
        CHECK_EQ_INT(pl_file_read_start(&op, file, NULL, 1, 0), PL_EINVAL);
        CHECK_EQ_INT(pl_file_read_start(NULL, file, data, 1, 0), PL_EINVAL);
        CHECK_EQ_INT(pl_folder_list(file, NULL), PL_EINVAL);
        CHECK(!pl_op_is_pending(&op));
        CHECK_EQ_INT(pl_file_read(file, data, 1, 0), 1);
        pl_file_close(file);
    }
    end();
}

static struct {
    uint8_t data[400000];
    pl_op reading;
    pl_op opening;
    pl_file *opened;
    pl_file *open;
} left;

static void leave_in_flight(void)
{
    pl_file *file = NULL;
    memset(&left, 0, sizeof left);
    REQUIRE(begin());
    make_file(ROOT "/a", left.data, sizeof left.data);
    CHECK_EQ_INT(pl_file_open(&left.open, ROOT "/a", NULL), PL_OK);
    if (CHECK_EQ_INT(pl_file_open(&file, ROOT "/a", NULL), PL_OK)) {
        CHECK_EQ_INT(pl_file_read_start(&left.reading, file, left.data, sizeof left.data, 0), PL_OK);
        CHECK_EQ_INT(pl_file_open_start(&left.opening, &left.opened, ROOT "/a", NULL), PL_OK);
        pl_file_close(file);
    }
}

/* The loop waits for what uses its caller's memory; the owners still give back what they own. */
TEST_CASE(what_is_in_flight_ends_before_its_loop)
{
    int64_t rc;
    loopback_run(t, leave_in_flight, NULL);
    CHECK(!pl_op_is_pending(&left.reading));
    CHECK(!pl_op_is_pending(&left.opening));
    rc = pl_op_result(&left.reading);
    CHECK(rc == (int64_t)sizeof left.data || rc == PL_ECANCELED);
    CHECK((pl_op_result(&left.opening) == PL_OK) == (left.opened != NULL));
    pl_file_close(left.opened);
    pl_file_close(left.open);
    end();
}

TEST_SUITE(file, TEST_BACKENDS_REAL,
           CASE(an_open_file_knows_what_it_is),
           CASE(a_folder_is_opened_and_told_apart),
           CASE(what_is_missing_is_told),
           CASE(a_file_is_no_folder_on_the_way),
           CASE(a_name_that_is_too_long_is_refused),
           CASE(names_are_utf8),
           CASE(text_that_is_not_utf8_is_refused),
           CASE(paths_may_be_long),
           CASE(both_slashes_separate_on_windows),
           CASE(links_are_followed),
           CASE(neither_a_pipe_nor_a_device_makes_opening_wait),
           CASE(a_file_is_read_at_offsets),
           CASE(an_empty_file_is_at_its_end),
           CASE(many_reads_of_one_file_at_once_do_not_mix),
           CASE(a_file_closed_while_it_is_read_is_closed_later),
           CASE(a_cancelled_read_has_left_our_memory_when_it_ends),
           CASE(cancelled_opens_and_looks_end_at_once_and_leave_nothing_open),
           CASE(started_calls_give_the_same),
           CASE(what_lies_beneath_the_folder_is_opened),
           CASE(what_lies_elsewhere_is_refused),
           CASE(devices_and_pipes_are_refused_before_they_are_opened),
           CASE(a_link_out_of_the_folder_is_refused),
           CASE(a_listing_is_sorted_by_the_bytes_of_the_names),
           CASE(an_empty_folder_has_no_entries),
           CASE(a_folder_is_listed_again_and_again_and_at_once),
           CASE(a_listing_follows_no_link),
           CASE(a_file_has_no_entries_to_list),
           CASE(a_cancelled_listing_leaves_nothing),
           CASE(bad_arguments_are_refused_and_change_nothing),
           CASE(what_is_in_flight_ends_before_its_loop))
