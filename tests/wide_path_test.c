/* Paths of Windows, from the inside: what Wine takes as it is, and Windows does not. */
#include <proloop/proloop.h>

#include "harness.h"

#if defined(_WIN32)

#include <stdio.h>
#include <string.h>

#include "allocator.h"
#include "win/path.h"

/* A full path of so many characters. */
static void make_path(char *path, size_t length)
{
    memset(path, 'a', length);
    memcpy(path, "C:\\", 3);
    path[length] = '\0';
    for (size_t i = 100; i < length - 1; i += 100)
        path[i] = '\\';
}

TEST_CASE(a_path_that_is_too_long_for_a_new_folder_has_the_limit_lifted)
{
    char path[400];
    size_t length;
    (void)t;
    for (length = 240; length < 300; length++) {
        pl__wide_path full;
        bool lifted;
        make_path(path, length);
        REQUIRE(pl__wide_path_make(&full, path) == ERROR_SUCCESS);
        lifted = wcsncmp(full.text, L"\\\\?\\C:\\", 7) == 0;
        CHECK(lifted || length < 248); /* CreateDirectoryW: MAX_PATH - 12, with the zero */
        CHECK_EQ_INT(full.length, length + (lifted ? 4 : 0));
        CHECK_EQ_INT(wcslen(full.text), full.length);
        pl__wide_path_free(&full);
    }
}

/* Of a link that somebody made by hand, or a file system of its own. */
TEST_CASE(a_name_that_holds_a_zero_ends_there)
{
    static const WCHAR name[] = {L'a', 0xe9, 0, L'b', L'c'};
    size_t size = 99;
    int64_t before = pl_memory_in_use();
    char *text = pl__utf8_from_wide(name, 5, &size);
    (void)t;
    REQUIRE(text != NULL);
    CHECK_STR(text, "a\xc3\xa9");
    CHECK_EQ_INT(size, 3);
    pl__release(text, strlen(text) + 1); /* as those do who have only the text */
    CHECK_EQ_INT(pl_memory_in_use(), before);
}

#else

TEST_CASE(a_path_that_is_too_long_for_a_new_folder_has_the_limit_lifted)
{
    t_skip(t, "paths are bytes here");
}

TEST_CASE(a_name_that_holds_a_zero_ends_there)
{
    t_skip(t, "paths are bytes here");
}

#endif

TEST_SUITE(wide_path, TEST_BACKENDS_NONE, CASE(a_path_that_is_too_long_for_a_new_folder_has_the_limit_lifted),
           CASE(a_name_that_holds_a_zero_ends_there))
