/* Files that are made, written, cut, flushed and looked at. */
#include <proloop/proloop.h>

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "system.h"

#define ROOT "file_write_test_folder"
#define NAME ROOT "/a"

static const char *const leavings[] = {NAME, ROOT "/b", ROOT "/in/new", ROOT "/in/out", ROOT "/in", ROOT "/new", ROOT};

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

static int64_t open_with(pl_file **file, const char *path, uint32_t flags)
{
    pl_file_options options = {.size = sizeof options, .flags = flags};
    int64_t rc = pl_file_open(file, path, &options);
    CHECK((rc == PL_OK) == (*file != NULL));
    return rc;
}

/* Opens, and closes again. */
static int64_t try_open(const char *path, uint32_t flags)
{
    pl_file *file = NULL;
    int64_t rc = open_with(&file, path, flags);
    pl_file_close(file);
    return rc;
}

static bool content_is(const char *path, const char *expected)
{
    char data[256] = "";
    pl_file *file = NULL;
    int64_t size = 0;
    if (!CHECK_EQ_INT(open_with(&file, path, PL_FILE_READ), PL_OK))
        return false;
    size = pl_file_read(file, data, sizeof data - 1, 0);
    pl_file_close(file);
    return CHECK_EQ_INT(size, strlen(expected)) && CHECK_STR(data, expected);
}

/* --- Flags --- */

TASK_CASE(what_the_flags_say_is_what_happens_to_the_file)
{
    pl_file *file = NULL;
    REQUIRE(begin());
    CHECK_EQ_INT(try_open(NAME, PL_FILE_WRITE), PL_ENOENT);
    CHECK_EQ_INT(try_open(NAME, PL_FILE_WRITE | PL_FILE_TRUNCATE), PL_ENOENT);
    CHECK_EQ_INT(try_open(NAME, PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    CHECK(content_is(NAME, ""));
    CHECK_EQ_INT(try_open(NAME, PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_EXCLUSIVE), PL_EEXIST);
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "hello", 5, 0), PL_OK);
    pl_file_close(file);
    CHECK_EQ_INT(try_open(NAME, PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    CHECK(content_is(NAME, "hello"));
    CHECK_EQ_INT(try_open(NAME, PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_TRUNCATE), PL_OK);
    CHECK(content_is(NAME, ""));
    CHECK_EQ_INT(try_open(ROOT "/new", PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_EXCLUSIVE), PL_OK);
    CHECK_EQ_INT(try_open(ROOT "/b", PL_FILE_APPEND | PL_FILE_CREATE | PL_FILE_TRUNCATE), PL_OK);
    CHECK_EQ_INT(try_open(ROOT, PL_FILE_WRITE), PL_EISDIR);
    CHECK_EQ_INT(try_open(ROOT, PL_FILE_WRITE | PL_FILE_CREATE), PL_EISDIR);
    CHECK_EQ_INT(try_open(ROOT "/none/a", PL_FILE_WRITE | PL_FILE_CREATE), PL_ENOENT);
    end();
}

TASK_CASE(flags_that_make_no_sense_are_refused)
{
    static const uint32_t flags[] = {64,
                                     PL_FILE_READ | PL_FILE_TRUNCATE,
                                     PL_FILE_CREATE,
                                     PL_FILE_WRITE | PL_FILE_EXCLUSIVE,
                                     PL_FILE_TRUNCATE,
                                     PL_FILE_READ | 1u << 31};
    pl_file_options options = {.size = sizeof options, .share = 16};
    pl_file *file = NULL;
    size_t i;
    REQUIRE(begin());
    for (i = 0; i < sizeof flags / sizeof flags[0]; i++)
        CHECK_EQ_INT(try_open(NAME, flags[i]), PL_EINVAL);
    CHECK_EQ_INT(pl_file_open(&file, NAME, &options), PL_EINVAL);
    options.share = PL_FILE_SHARE_NOTHING | PL_FILE_SHARE_READ;
    CHECK_EQ_INT(pl_file_open(&file, NAME, &options), PL_EINVAL);
    options.share = 0;
    options.mode = 010000;
    CHECK_EQ_INT(pl_file_open(&file, NAME, &options), PL_EINVAL);
    end();
}

TASK_CASE(a_file_can_be_used_as_it_was_opened_and_not_otherwise)
{
    char data[8];
    pl_file *file = NULL;
    REQUIRE(begin());
    CHECK(file_make(NAME, "hello", 5));
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_READ), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "x", 1, 0), PL_EBADF);
    CHECK_EQ_INT(pl_file_append(file, "x", 1), PL_EBADF);
    CHECK(pl_file_resize(file, 1) < 0);
    pl_file_close(file);
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_WRITE), PL_OK);
    CHECK_EQ_INT(pl_file_read(file, data, 1, 0), PL_EBADF);
    CHECK_EQ_INT(pl_file_append(file, "x", 1), PL_EBADF);
    pl_file_close(file);
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_APPEND), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "x", 1, 0), PL_EBADF);
    CHECK_EQ_INT(pl_file_bytes_written(file), 0);
    pl_file_close(file);
    CHECK(content_is(NAME, "hello"));
    end();
}

TASK_CASE(a_new_file_has_the_mode_that_was_asked_for)
{
    pl_file_options options = {
        .size = sizeof options, .flags = PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_EXCLUSIVE, .mode = 0400};
    pl_file *file = NULL;
    pl_file_info info = {0};
    REQUIRE(begin());
    CHECK_EQ_INT(pl_file_open(&file, NAME, &options), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "x", 1, 0), PL_OK); /* it is the next one who may only read */
    pl_file_close(file);
    CHECK_EQ_INT(pl_file_stat(NAME, &info), PL_OK);
    CHECK_EQ_INT(info.mode, on_backend("iocp") ? 0444 : 0400);
    CHECK_EQ_INT(pl_file_remove(NAME), PL_OK); /* for all that */
    end();
}

TASK_CASE(others_may_do_with_an_open_file_what_its_opener_shares)
{
    pl_file_options alone = {.size = sizeof alone, .flags = PL_FILE_WRITE, .share = PL_FILE_SHARE_NOTHING};
    pl_file_options readers = {.size = sizeof readers, .flags = PL_FILE_WRITE, .share = PL_FILE_SHARE_READ};
    pl_file *file = NULL;
    int refused = on_backend("iocp") ? PL_ELOCKED : PL_OK;
    REQUIRE(begin());
    CHECK(file_make(NAME, "hello", 5));
    CHECK_EQ_INT(pl_file_open(&file, NAME, &alone), PL_OK);
    CHECK_EQ_INT(try_open(NAME, PL_FILE_READ), refused);
    pl_file_close(file);
    while (try_open(NAME, PL_FILE_READ) == PL_ELOCKED && pl_sleep(PL_MS(1)) == PL_OK)
        ; /* until the worker has closed it */
    CHECK_EQ_INT(pl_file_open(&file, NAME, &readers), PL_OK);
    CHECK_EQ_INT(try_open(NAME, PL_FILE_WRITE), refused);
    pl_file_close(file);
    end();
}

TASK_CASE(a_file_is_made_beneath_a_folder_and_nowhere_else)
{
    pl_file_options options = {
        .size = sizeof options, .beneath = ROOT "/in", .flags = PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_TRUNCATE};
    pl_file *file = NULL;
    pl_file_info info;
    REQUIRE(begin());
    CHECK(folder_make(ROOT "/in"));
    CHECK(file_make(NAME, "hello", 5));
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/in/new", &options), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "x", 1, 0), PL_OK);
    pl_file_close(file);
    CHECK(content_is(ROOT "/in/new", "x"));
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/in/new", &options), PL_OK);
    pl_file_close(file);
    CHECK(content_is(ROOT "/in/new", ""));
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/b", &options), PL_EACCES);
    CHECK_EQ_INT(pl_file_stat(ROOT "/b", &info), PL_ENOENT);
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/in/../a", &options), PL_EACCES);
    CHECK(content_is(NAME, "hello")); /* not even cut */
    options.flags |= PL_FILE_EXCLUSIVE;
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/in/new", &options), PL_EEXIST);
    CHECK_EQ_INT(pl_file_open(&file, ROOT "/in/../b", &options), PL_EACCES);
    options.flags &= ~(uint32_t)PL_FILE_EXCLUSIVE;
    if (link_make("../b", ROOT "/in/out", false)) { /* it leads to what is not there, and would be made */
        CHECK(pl_file_open(&file, ROOT "/in/out", &options) < 0);
        CHECK_EQ_INT(pl_file_stat(ROOT "/b", &info), PL_ENOENT);
    }
    end();
}

/* --- Writing --- */

TASK_CASE(bytes_are_written_where_they_belong)
{
    pl_file *file = NULL;
    char data[16] = "";
    REQUIRE(begin());
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "hello", 5, 0), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "J", 1, 0), PL_OK); /* within the file */
    CHECK_EQ_INT(pl_file_write(file, "world", 5, 3), PL_OK); /* partly beyond it */
    CHECK_EQ_INT(pl_file_write(file, "", 0, 100), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, NULL, 0, 0), PL_OK);
    CHECK_EQ_INT(pl_file_size(file), 8);
    CHECK_EQ_INT(pl_file_bytes_written(file), 11);
    CHECK_EQ_INT(pl_file_write(file, "!", 1, 10), PL_OK); /* with a gap */
    CHECK_EQ_INT(pl_file_read(file, data, sizeof data, 0), 11);
    CHECK_MEM(data, "Jelworld\0\0!", 11);
    pl_file_close(file);
    end();
}

TASK_CASE(many_writes_of_one_file_at_once_do_not_mix)
{
    enum { WRITES = 16, EACH = 70000 };
    static pl_op ops[WRITES];
    static uint8_t data[WRITES * EACH];
    pl_file *file = NULL;
    int i, round;
    memset(ops, 0, sizeof ops);
    REQUIRE(begin());
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    for (round = 0; round < 2; round++) { /* that extend it, and that do not */
        pattern_fill(data, sizeof data, (uint64_t)round);
        for (i = WRITES; i-- > 0;)
            CHECK_EQ_INT(pl_file_write_start(&ops[i], file, data + i * EACH, EACH, (int64_t)i * EACH), PL_OK);
        for (i = 0; i < WRITES; i++)
            CHECK_EQ_INT(pl_op_await(&ops[i]), PL_OK);
        memset(data, 0, sizeof data);
        CHECK_EQ_INT(pl_file_read(file, data, sizeof data, 0), sizeof data);
        CHECK(pattern_holds(data, sizeof data, (uint64_t)round));
    }
    CHECK_EQ_INT(pl_file_bytes_written(file), 2 * sizeof data);
    pl_file_close(file);
    end();
}

TASK_CASE(what_several_append_is_all_there_and_does_not_mix)
{
    enum { FILES = 3, APPENDS = 40, EACH = 1000 };
    static pl_op ops[FILES * APPENDS];
    static char pieces[FILES][EACH];
    static char data[FILES * APPENDS * EACH];
    pl_file *files[FILES] = {NULL};
    int counts[FILES] = {0};
    int i, k;
    memset(ops, 0, sizeof ops);
    REQUIRE(begin());
    for (i = 0; i < FILES; i++) {
        memset(pieces[i], 'a' + i, EACH);
        CHECK_EQ_INT(open_with(&files[i], NAME, PL_FILE_APPEND | PL_FILE_CREATE | PL_FILE_READ), PL_OK);
    }
    for (i = 0; i < FILES * APPENDS; i++) {
        CHECK_EQ_INT(pl_file_append_start(&ops[i], files[i % FILES], pieces[i % FILES], EACH), PL_OK);
        if (system_is_wine()) /* looks for the end and writes there, in two steps */
            CHECK_EQ_INT(pl_op_await(&ops[i]), PL_OK);
    }
    for (i = 0; i < FILES * APPENDS; i++)
        CHECK_EQ_INT(pl_op_result(&ops[i]) == PL_ESTATE ? pl_op_await(&ops[i]) : pl_op_result(&ops[i]), PL_OK);
    CHECK_EQ_INT(pl_file_size(files[0]), sizeof data);
    CHECK_EQ_INT(pl_file_read(files[1], data, sizeof data, 0), sizeof data);
    for (i = 0; i < FILES * APPENDS; i++) {
        int which = data[i * EACH] - 'a';
        if (!CHECK(which >= 0 && which < FILES))
            break;
        counts[which]++;
        CHECK_MEM(data + i * EACH, pieces[which], EACH);
    }
    for (k = 0; k < FILES; k++) {
        CHECK_EQ_INT(counts[k], APPENDS);
        CHECK_EQ_INT(pl_file_bytes_written(files[k]), APPENDS * EACH);
        pl_file_close(files[k]);
    }
    end();
}

TASK_CASE(a_file_is_cut_and_extended)
{
    pl_file *file = NULL;
    pl_file_info info = {0};
    char data[16];
    REQUIRE(begin());
    CHECK(file_make(NAME, "0123456789", 10));
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_READ | PL_FILE_WRITE), PL_OK);
    CHECK_EQ_INT(pl_file_resize(file, 4), PL_OK);
    CHECK_EQ_INT(pl_file_size(file), 4);
    CHECK_EQ_INT(pl_file_read(file, data, sizeof data, 0), 4);
    CHECK_EQ_INT(pl_file_resize(file, 8), PL_OK);
    CHECK_EQ_INT(pl_file_read(file, data, sizeof data, 0), 8);
    CHECK_MEM(data, "0123\0\0\0\0", 8);
    CHECK_EQ_INT(pl_file_write(file, "ab", 2, 7), PL_OK);
    CHECK_EQ_INT(pl_file_info_get(file, &info), PL_OK);
    CHECK_EQ_INT(info.size, 9);
    CHECK_EQ_INT(pl_file_resize(file, 0), PL_OK);
    CHECK_EQ_INT(pl_file_size(file), 0);
    CHECK_EQ_INT(pl_file_resize(file, -1), PL_EINVAL);
    pl_file_close(file);
    end();
}

TASK_CASE(what_was_written_is_flushed)
{
    pl_file *file = NULL;
    REQUIRE(begin());
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "hello", 5, 0), PL_OK);
    CHECK_EQ_INT(pl_file_flush_data(file), PL_OK);
    CHECK_EQ_INT(pl_file_flush(file), PL_OK);
    pl_file_close(file);
    CHECK(content_is(NAME, "hello"));
    end();
}

TASK_CASE(what_was_written_can_be_sent)
{
    pl_stream *client, *server;
    pl_file *file = NULL;
    pl_op op = {0};
    char data[8] = "";
    int64_t rc, got = 0;
    REQUIRE(begin());
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "hello", 5, 0), PL_OK);
    if (connect_pair(&client, &server)) {
        CHECK_EQ_INT(pl_stream_send_file_start(&op, client, file, 0, 5), PL_OK);
        while (got < 5 && (rc = pl_read(server, data + got, (size_t)(5 - got))) > 0)
            got += rc;
        CHECK_EQ_INT(pl_op_await(&op), 5);
        CHECK_STR(data, "hello");
        CHECK_EQ_INT(pl_file_read(file, data, 4, 1), 4); /* and goes on being read */
        pl_stream_close(client);
        pl_stream_close(server);
    }
    pl_file_close(file);
    end();
}

/* --- Looking --- */

TASK_CASE(an_open_file_is_looked_at_as_it_is_now)
{
    pl_file *writer = NULL;
    pl_file *file = NULL;
    pl_file_info before = {0};
    pl_file_info now = {0};
    REQUIRE(begin());
    CHECK_EQ_INT(open_with(&writer, NAME, PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_READ), PL_OK);
    CHECK_EQ_INT(pl_file_write(writer, "hello", 5, 0), PL_OK);
    CHECK_EQ_INT(pl_file_info_get(file, &before), PL_OK);
    CHECK_EQ_INT(before.size, 0);
    CHECK_EQ_INT(pl_file_look(file, &now), PL_OK);
    CHECK_EQ_INT(now.size, 5);
    CHECK_EQ_INT(now.kind, PL_FILE_REGULAR);
    CHECK_EQ_INT(now.links, 1);
    CHECK(now.id == before.id && now.volume == before.volume && now.id != 0);
    CHECK_EQ_INT(pl_file_info_get(file, &before), PL_OK);
    CHECK_EQ_INT(before.size, 5);
    pl_file_close(writer);
    pl_file_close(file);
    end();
}

TASK_CASE(times_are_set_and_kept)
{
    const int64_t second = 1000000000;
    const int64_t modified = 1234567890 * second + 123456700;
    const int64_t accessed = 1000000000 * second;
    pl_file *file = NULL;
    pl_file_info info = {0};
    REQUIRE(begin());
    CHECK(file_make(NAME, "hello", 5));
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_WRITE), PL_OK);
    CHECK_EQ_INT(pl_file_set_times(file, accessed, modified), PL_OK);
    CHECK_EQ_INT(pl_file_look(file, &info), PL_OK);
    CHECK_EQ_INT(info.modified, modified);
    CHECK(info.accessed == accessed || system_is_wine());
    CHECK_EQ_INT(pl_file_set_times(file, PL_TIME_KEEP, modified + second), PL_OK);
    CHECK_EQ_INT(pl_file_look(file, &info), PL_OK);
    CHECK_EQ_INT(info.modified, modified + second);
    CHECK(info.accessed == accessed || system_is_wine());
    CHECK_EQ_INT(pl_file_set_times(file, accessed + second, PL_TIME_KEEP), PL_OK);
    pl_file_close(file);
    CHECK_EQ_INT(pl_file_stat(NAME, &info), PL_OK);
    CHECK_EQ_INT(info.modified, modified + second);
    CHECK(info.accessed == accessed + second || system_is_wine()); /* which tells the time of the look */
    end();
}

TASK_CASE(times_at_the_end_of_the_range_do_not_wrap)
{
    const int64_t second = 1000000000;
    pl_file *file = NULL;
    pl_file_info info = {0};
    int64_t rc;
    REQUIRE(begin());
    CHECK(file_make(NAME, "hello", 5));
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_WRITE), PL_OK);
    CHECK_EQ_INT(pl_file_set_times(file, PL_TIME_KEEP, 1234567890 * second), PL_OK);
    rc = pl_file_set_times(file, PL_TIME_KEEP, INT64_MIN + 1);
    CHECK_EQ_INT(pl_file_look(file, &info), PL_OK);
    CHECK(rc == PL_OK ? info.modified < 0 : rc == PL_EINVAL && info.modified == 1234567890 * second);
    rc = pl_file_set_times(file, PL_TIME_KEEP, INT64_MAX);
    CHECK_EQ_INT(pl_file_look(file, &info), PL_OK);
    CHECK(rc < 0 || info.modified > 1234567890 * second);
    pl_file_close(file);
    if (file_set_changed(NAME, INT64_C(13569465600))) { /* the year 2400, which 64 bits of nanoseconds do not reach */
        CHECK_EQ_INT(pl_file_stat(NAME, &info), PL_OK);
        CHECK_EQ_INT(info.modified, INT64_MAX);
    } else {
        skip_case("this file system has no such times");
    }
    end();
}

/* --- Temporary files --- */

TASK_CASE(a_temporary_file_is_there_while_it_is_open)
{
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    pl_file *file = NULL;
    char data[8] = "";
    int64_t count = -1;
    REQUIRE(begin());
    CHECK_EQ_INT(pl_file_open_temporary(&file, ROOT, NULL), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "hello", 5, 0), PL_OK);
    CHECK_EQ_INT(pl_file_read(file, data, sizeof data, 0), 5);
    CHECK_STR(data, "hello");
    pl_file_close(file);
    CHECK_EQ_INT(pl_file_open(&folder, ROOT, NULL), PL_OK);
    do { /* until the worker has closed it */
        count = pl_folder_list(folder, &listing);
        pl_folder_listing_free(&listing);
    } while (count > 0 && pl_sleep(PL_MS(1)) == PL_OK);
    CHECK_EQ_INT(count, 0);
    pl_file_close(folder);
    CHECK_EQ_INT(pl_file_open_temporary(&file, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_file_write(file, "x", 1, 0), PL_OK);
    pl_file_close(file);
    CHECK_EQ_INT(pl_file_open_temporary(&file, ROOT "/none", NULL), PL_ENOENT);
    end();
}

TASK_CASE(a_temporary_file_with_a_name_stays)
{
    char paths[2][200] = {"", ""};
    pl_file *files[2] = {NULL, NULL};
    pl_file_info info = {0};
    char small[20] = "";
    int i;
    REQUIRE(begin());
    for (i = 0; i < 2; i++) {
        CHECK_EQ_INT(pl_file_make_temporary(&files[i], i ? ROOT "/" : ROOT, paths[i], sizeof paths[i]), PL_OK);
        CHECK(strncmp(paths[i], ROOT "/pl-", strlen(ROOT) + 4) == 0);
        CHECK_EQ_INT(pl_file_append(files[i], "x", 1), PL_EBADF);
        CHECK_EQ_INT(pl_file_write(files[i], "x", 1, 0), PL_OK);
        pl_file_close(files[i]);
        CHECK(content_is(paths[i], "x"));
        CHECK_EQ_INT(pl_file_stat(paths[i], &info), PL_OK);
        CHECK(on_backend("iocp") || info.mode == 0600);
    }
    CHECK(strcmp(paths[0], paths[1]) != 0);
    for (i = 0; i < 2; i++)
        CHECK_EQ_INT(pl_file_remove(paths[i]), PL_OK);
    CHECK_EQ_INT(pl_file_make_temporary(&files[0], ROOT, small, sizeof small), PL_ENAMETOOLONG);
    CHECK(files[0] == NULL);
    CHECK_EQ_INT(pl_file_make_temporary(&files[0], NULL, paths[0], sizeof paths[0]), PL_OK);
    pl_file_close(files[0]);
    path_remove(paths[0]);
    end(); /* nothing is left in the folder, or it would stay */
    CHECK_EQ_INT(pl_file_stat(ROOT, &info), PL_ENOENT);
}

/* --- Cancelling --- */

TASK_CASE(a_write_cancelled_at_any_moment_tells_how_far_it_came)
{
    enum { SIZE = 300000, ROUNDS = 40 };
    static uint8_t data[SIZE], found[SIZE];
    pl_file *file = NULL;
    dice d = dice_of(61);
    int i;
    REQUIRE(begin());
    pattern_fill(data, SIZE, 0);
    for (i = 0; i < ROUNDS; i++) {
        uint64_t yields = throw_below(&d, 4);
        bool extends = i % 2 == 0;
        int64_t rc, size;
        pl_op op = {0};
        CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_TRUNCATE), PL_OK);
        if (!extends) {
            memset(found, 0, SIZE);
            CHECK_EQ_INT(pl_file_write(file, found, SIZE, 0), PL_OK);
        }
        size = pl_file_bytes_written(file);
        CHECK_EQ_INT(pl_file_write_start(&op, file, data, SIZE, 0), PL_OK);
        while (yields-- > 0)
            pl_yield();
        rc = pl_op_finish(&op);
        size = pl_file_bytes_written(file) - size;
        CHECK(rc == PL_OK || rc == PL_ECANCELED);
        CHECK((rc == PL_OK) == (size == SIZE));
        memset(found, 0, SIZE);
        CHECK_EQ_INT(pl_file_read(file, found, SIZE, 0), extends ? size : SIZE);
        CHECK(pattern_holds(found, (size_t)size, 0));
        pl_file_close(file);
    }
    end();
}

TASK_CASE(a_file_closed_while_it_is_written_gets_all_of_it)
{
    enum { SIZE = 500000 };
    static uint8_t data[SIZE];
    pl_file *file = NULL;
    pl_op op = {0};
    REQUIRE(begin());
    pattern_fill(data, SIZE, 0);
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    CHECK_EQ_INT(pl_file_write_start(&op, file, data, SIZE, 0), PL_OK);
    pl_file_close(file);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    memset(data, 0, SIZE);
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_READ), PL_OK);
    CHECK_EQ_INT(pl_file_read(file, data, SIZE, 0), SIZE);
    CHECK(pattern_holds(data, SIZE, 0));
    pl_file_close(file);
    end();
}

static void use_all(pl_file *file, int expected)
{
    pl_file_info info;
    pl_file *other = NULL;
    char path[200];
    CHECK_EQ_INT(pl_file_write(file, "x", 1, 0), expected);
    CHECK_EQ_INT(pl_file_look(file, &info), expected);
    CHECK_EQ_INT(pl_file_size(file), expected);
    CHECK_EQ_INT(pl_file_flush(file), expected);
    CHECK_EQ_INT(pl_file_flush_data(file), expected);
    CHECK_EQ_INT(pl_file_resize(file, 1), expected);
    CHECK_EQ_INT(pl_file_set_times(file, 0, 0), expected);
    CHECK_EQ_INT(pl_file_append(file, "x", 1), expected);
    CHECK_EQ_INT(pl_file_open_temporary(&other, ROOT, NULL), expected);
    CHECK_EQ_INT(pl_file_make_temporary(&other, ROOT, path, sizeof path), expected);
    CHECK(other == NULL);
}

TASK_CASE(in_a_cancelled_scope_nothing_is_begun)
{
    pl_file *file = NULL;
    pl_timeout scope = {0};
    REQUIRE(begin());
    CHECK(file_make(NAME, "hello", 5));
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_READ | PL_FILE_WRITE), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin(&scope, 0), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_SECONDS(60)), PL_ECANCELED);
    use_all(file, PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&scope, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_file_size(file), 5);
    pl_file_close(file);
    CHECK(content_is(NAME, "hello"));
    end();
}

TEST_CASE(outside_a_task_there_are_no_task_calls)
{
    pl_file *file = NULL;
    pl_op op = {0};
    (void)t;
    CHECK_EQ_INT(pl_file_open_temporary(&file, NULL, NULL), PL_ENOTASK);
    CHECK_EQ_INT(pl_file_open_start(&op, &file, NAME, NULL), PL_ENOLOOP);
    CHECK_EQ_INT(pl_file_open_temporary_start(&op, &file, NULL, NULL), PL_ENOLOOP);
}

/* --- Arguments and shortage --- */

TASK_CASE(bad_arguments_are_refused)
{
    pl_file_options flagged = {.size = sizeof flagged, .flags = PL_FILE_WRITE};
    pl_file *file = NULL;
    pl_op op = {0};
    char path[200];
    REQUIRE(begin());
    CHECK_EQ_INT(open_with(&file, NAME, PL_FILE_WRITE | PL_FILE_CREATE), PL_OK);
    CHECK_EQ_INT(pl_file_write(NULL, "x", 1, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_file_write(file, NULL, 1, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_file_write(file, "x", 1, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_file_write(file, "x", 1, INT64_MAX), PL_EINVAL);
    CHECK_EQ_INT(pl_file_write_start(NULL, file, "x", 1, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_file_append(NULL, "x", 1), PL_EINVAL);
    CHECK_EQ_INT(pl_file_append(file, NULL, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_file_look(file, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_size(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_flush(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_flush_data_start(NULL, file), PL_EINVAL);
    CHECK_EQ_INT(pl_file_resize(NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_file_set_times(NULL, 0, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_file_bytes_written(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_open_temporary(NULL, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_open_temporary(&file, NULL, &flagged), PL_EINVAL);
    CHECK_EQ_INT(pl_file_open_temporary(&file, "", NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_file_make_temporary(NULL, NULL, path, sizeof path), PL_EINVAL);
    CHECK_EQ_INT(pl_file_make_temporary(&file, NULL, NULL, sizeof path), PL_EINVAL);
    CHECK_EQ_INT(pl_file_make_temporary(&file, NULL, path, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_file_write_start(&op, file, "xy", 2, 0), PL_OK);
    CHECK_EQ_INT(pl_file_write_start(&op, file, "x", 1, 0), PL_EBUSY);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    pl_file_close(file);
    CHECK(content_is(NAME, "xy"));
    end();
}

TEST_SUITE(file_write, TEST_BACKENDS_REAL,
           CASE(what_the_flags_say_is_what_happens_to_the_file),
           CASE(flags_that_make_no_sense_are_refused),
           CASE(a_file_can_be_used_as_it_was_opened_and_not_otherwise),
           CASE(a_new_file_has_the_mode_that_was_asked_for),
           CASE(others_may_do_with_an_open_file_what_its_opener_shares),
           CASE(a_file_is_made_beneath_a_folder_and_nowhere_else),
           CASE(bytes_are_written_where_they_belong),
           CASE(many_writes_of_one_file_at_once_do_not_mix),
           CASE(what_several_append_is_all_there_and_does_not_mix),
           CASE(a_file_is_cut_and_extended),
           CASE(what_was_written_is_flushed),
           CASE(what_was_written_can_be_sent),
           CASE(an_open_file_is_looked_at_as_it_is_now),
           CASE(times_are_set_and_kept),
           CASE(times_at_the_end_of_the_range_do_not_wrap),
           CASE(a_temporary_file_is_there_while_it_is_open),
           CASE(a_temporary_file_with_a_name_stays),
           CASE(a_write_cancelled_at_any_moment_tells_how_far_it_came),
           CASE(a_file_closed_while_it_is_written_gets_all_of_it),
           CASE(in_a_cancelled_scope_nothing_is_begun),
           CASE(outside_a_task_there_are_no_task_calls),
           CASE(bad_arguments_are_refused))
