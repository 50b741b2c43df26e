/* Watched folders, with what the system tells replayed: what no test can make it tell, or Wine does not. */
#include <proloop/proloop.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "shim_watch.h"

#define ROOT    "shim_watch_test_folder"
#define OUTSIDE "shim_watch_test_outside"

static pl_watch *watch;
static pl_watch_options options;

static void clean(void)
{
    path_remove(ROOT "/trigger");
    path_remove(ROOT "/new/t");
    path_remove(ROOT "/new");
    path_remove(ROOT "/sub/deep");
    path_remove(ROOT "/sub");
    path_remove(ROOT);
    path_remove(OUTSIDE "/x");
    path_remove(OUTSIDE);
}

#define REPLAY_CASE(name)                                                                                              \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        clean();                                                                                                       \
        CHECK(folder_make(ROOT));                                                                                      \
        options = (pl_watch_options){.size = sizeof options};                                                          \
        loopback_run(t, name##_body, NULL);                                                                            \
        clean();                                                                                                       \
    }                                                                                                                  \
    static void name##_body(void)

static bool start(void)
{
    watch = NULL;
    replay_begin(ROOT);
    return CHECK_EQ_INT(pl_watch_open(&watch, ROOT, &options), PL_OK);
}

/* From its close on a watch has nothing under way. */
static void stop(void)
{
    pl_watch_close(watch);
    replay_end();
}

static bool expect(int kind, const char *name, const char *old_name)
{
    pl_watch_event event = {0};
    return CHECK_EQ_INT(pl_watch_next(watch, &event), kind) && CHECK_EQ_INT(event.kind, kind) &&
           CHECK_STR(event.name, name) && CHECK_STR(event.old_name, old_name);
}

static bool expect_created(const char *name)
{
    replay_record(REPLAY_CREATED, name);
    replay_send();
    return expect(PL_WATCH_CREATED, name, NULL);
}

/* --- Both systems ------------------------------------------------------------------------------------------------- */

REPLAY_CASE(several_records_of_one_request_are_told_in_order_wherever_they_lie)
{
    size_t gap;
    REQUIRE(start());
    for (gap = 0; gap < 8; gap++) {
        replay_set_gap(gap);
        replay_record(REPLAY_CREATED, "a");
        replay_record(REPLAY_CHANGED, "ab");
        replay_record(REPLAY_OLD_NAME, "abc");
        replay_record(REPLAY_NEW_NAME, "abcd");
        replay_record(REPLAY_DELETED, "abcde");
        replay_send();
        CHECK(expect(PL_WATCH_CREATED, "a", NULL));
        CHECK(expect(PL_WATCH_CHANGED, "ab", NULL));
        CHECK(expect(PL_WATCH_RENAMED, "abcd", "abc"));
        CHECK(expect(PL_WATCH_DELETED, "abcde", NULL));
    }
    stop();
}

REPLAY_CASE(long_names_arrive_whole)
{
    enum { LONGEST = 255 };
    char sent[LONGEST + 1];
    char told[LONGEST * 3 + 1];
    int letters = on_backend("iocp") ? LONGEST : LONGEST / 3;
    int i;
    REQUIRE(start());
    memset(sent, '#', (size_t)letters);
    sent[letters] = '\0';
    for (i = 0; i < letters; i++)
        memcpy(told + (ptrdiff_t)i * 3, "\xe7\x8c\xab", 3);
    told[letters * 3] = '\0';
    replay_record(REPLAY_CREATED, sent);
    replay_record(REPLAY_OLD_NAME, sent);
    replay_record(REPLAY_NEW_NAME, "a");
    replay_send();
    CHECK(expect(PL_WATCH_CREATED, told, NULL));
    CHECK(expect(PL_WATCH_RENAMED, "a", told));
    stop();
}

REPLAY_CASE(a_name_that_is_no_text_is_told_as_listings_have_it)
{
    if (!on_backend("iocp")) {
        skip_case("names are bytes here");
        return;
    }
    REQUIRE(start());
    replay_record(REPLAY_CREATED, "x%y");
    replay_send();
    CHECK(expect(PL_WATCH_CREATED, "x\xed\xa0\x80y", NULL));
    stop();
}

REPLAY_CASE(a_rename_whose_names_come_with_different_requests_is_one_event)
{
    REQUIRE(start());
    replay_record(REPLAY_CREATED, "x");
    replay_record(REPLAY_OLD_NAME, "a");
    replay_send();
    replay_record(REPLAY_NEW_NAME, "b");
    replay_record(REPLAY_CREATED, "y");
    replay_send();
    CHECK(expect(PL_WATCH_CREATED, "x", NULL));
    CHECK(expect(PL_WATCH_RENAMED, "b", "a"));
    CHECK(expect(PL_WATCH_CREATED, "y", NULL));
    stop();
}

REPLAY_CASE(half_a_rename_is_a_deletion_or_a_creation)
{
    REQUIRE(start());
    replay_record(REPLAY_OLD_NAME, "a");
    replay_send(); /* and nothing else */
    CHECK(expect(PL_WATCH_DELETED, "a", NULL));
    replay_record(REPLAY_NEW_NAME, "b");
    replay_send();
    CHECK(expect(PL_WATCH_CREATED, "b", NULL));
    replay_record(REPLAY_OLD_NAME, "c");
    replay_record(REPLAY_OLD_NAME, "d");
    replay_record(REPLAY_CREATED, "e");
    replay_record(REPLAY_NEW_NAME, "d");
    replay_send();
    CHECK(expect(PL_WATCH_DELETED, "c", NULL));
    CHECK(expect(PL_WATCH_DELETED, "d", NULL));
    CHECK(expect(PL_WATCH_CREATED, "e", NULL));
    CHECK(expect(PL_WATCH_CREATED, "d", NULL));
    stop();
}

REPLAY_CASE(a_loss_is_told_before_what_is_kept_and_the_watch_goes_on)
{
    int way;
    REQUIRE(start());
    for (way = 0; replay_send_loss(way); way++) {
        CHECK(expect(PL_WATCH_OVERFLOW, "", NULL));
        CHECK(expect_created("a"));
    }
    CHECK(way > 0);
    stop();
}

REPLAY_CASE(when_the_folder_is_gone_the_watch_has_ended)
{
    pl_watch_event event;
    int way;
    for (way = 0;; way++) {
        REQUIRE(start());
        CHECK(expect_created("a"));
        replay_record(REPLAY_OLD_NAME, "b");
        replay_send();
        if (!replay_send_end(way))
            break;
        CHECK(expect(PL_WATCH_DELETED, "b", NULL));
        CHECK_EQ_INT(pl_watch_next(watch, &event), 0);
        CHECK_EQ_INT(pl_watch_next(watch, &event), 0);
        stop();
    }
    CHECK(way > 3);
    CHECK(expect(PL_WATCH_DELETED, "b", NULL));
    stop();
}

REPLAY_CASE(pieces_of_one_change_are_one_event)
{
    pl_op op = {0};
    pl_watch_event event;
    int i;
    REQUIRE(start());
    CHECK(expect_created("a"));
    for (i = 0; i < 5; i++)
        replay_record(REPLAY_CHANGED, "b");
    replay_record(REPLAY_CHANGED, "c");
    replay_record(REPLAY_CHANGED, "b");
    replay_send();
    CHECK(expect(PL_WATCH_CHANGED, "b", NULL));
    CHECK(expect(PL_WATCH_CHANGED, "c", NULL));
    CHECK(expect(PL_WATCH_CHANGED, "b", NULL));
    CHECK_EQ_INT(pl_watch_next_start(&op, watch, &event), PL_OK);
    CHECK(pl_op_is_pending(&op));
    CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
    stop();
}

/* --- Windows ------------------------------------------------------------------------------------------------------ */

enum { FILTER_NAMES = 3, FILTER_CONTENT = 0x18 }; /* FILE_NOTIFY_CHANGE_FILE_NAME | DIR_NAME, SIZE | LAST_WRITE */

REPLAY_CASE(the_system_is_asked_for_what_is_wanted)
{
    REQUIRE(start());
    CHECK(!replay_was_recursive());
    CHECK_EQ_INT(replay_filter(), FILTER_NAMES | FILTER_CONTENT);
    stop();
    options.events = PL_WATCH_CHANGED;
    options.recursive = 1;
    REQUIRE(start());
    CHECK(replay_was_recursive());
    CHECK_EQ_INT(replay_filter(), FILTER_CONTENT);
    stop();
    options.events = PL_WATCH_RENAMED;
    REQUIRE(start());
    CHECK_EQ_INT(replay_filter(), FILTER_NAMES);
    stop();
}

REPLAY_CASE(what_is_in_sub_folders_is_told_with_slashes)
{
    options.recursive = 1;
    REQUIRE(start());
    replay_record(REPLAY_CREATED, "sub/deep/a");
    replay_record(REPLAY_OLD_NAME, "sub/deep/a");
    replay_record(REPLAY_NEW_NAME, "sub/b");
    replay_send();
    CHECK(expect(PL_WATCH_CREATED, "sub/deep/a", NULL));
    CHECK(expect(PL_WATCH_RENAMED, "sub/b", "sub/deep/a"));
    stop();
}

/* The packets of a request that ended at once come too: one request after the other, as they were made. */
REPLAY_CASE(a_request_is_always_under_way)
{
    int i;
    REQUIRE(start());
    CHECK_EQ_INT(replay_requests(), 1);
    for (i = 0; i < 5; i++)
        CHECK(expect_created("a"));
    for (i = 0; i < 5; i++) {
        replay_record(REPLAY_CREATED, "b");
        replay_send();
    }
    for (i = 0; i < 5; i++)
        CHECK(expect(PL_WATCH_CREATED, "b", NULL));
    CHECK(replay_requests() >= 10);
    stop();
}

REPLAY_CASE(records_that_are_not_whole_are_a_loss)
{
    REQUIRE(start());
    replay_record(REPLAY_CREATED, "a");
    replay_record(REPLAY_CREATED, "bcdef");
    replay_send_cut(3);
    CHECK(expect(PL_WATCH_OVERFLOW, "", NULL));
    CHECK(expect(PL_WATCH_CREATED, "a", NULL));
    replay_record(REPLAY_CREATED, "a");
    replay_send_cut(8);
    CHECK(expect(PL_WATCH_OVERFLOW, "", NULL));
    CHECK(expect_created("c"));
    stop();
}

#define ERROR_OF_NO_FUNCTION 1UL    /* ERROR_INVALID_FUNCTION */
#define ERROR_OF_LOSS        1022UL /* ERROR_NOTIFY_ENUM_DIR */
#define STATUS_OF_ABORT      0xC0000120UL
#define STATUS_OF_NETWORK    0xC00000C9UL /* STATUS_NETWORK_NAME_DELETED */

REPLAY_CASE(a_file_system_that_tells_nothing_is_an_error_of_open)
{
    watch = NULL;
    replay_begin(ROOT);
    replay_set_error(ERROR_OF_NO_FUNCTION);
    CHECK_EQ_INT(pl_watch_open(&watch, ROOT, &options), PL_ENOTSUP);
    CHECK(watch == NULL);
    replay_end();
}

REPLAY_CASE(a_failure_of_the_system_ends_the_watch_with_it)
{
    pl_watch_event event;
    int64_t result;
    REQUIRE(start());
    CHECK(expect_created("a"));
    replay_send_status(STATUS_OF_NETWORK);
    result = pl_watch_next(watch, &event);
    CHECK(result < 0 && result != PL_ECANCELED);
    CHECK_EQ_INT(pl_watch_next(watch, &event), result);
    stop();
}

REPLAY_CASE(an_abort_that_nobody_asked_for_is_answered_by_asking_again)
{
    pl_watch_event event;
    REQUIRE(start());
    replay_send_status(STATUS_OF_ABORT);
    CHECK(expect_created("a"));
    replay_send_status(STATUS_OF_ABORT);
    replay_send_status(STATUS_OF_ABORT);
    CHECK_EQ_INT(pl_watch_next(watch, &event), PL_ECONNABORTED);
    stop();
}

/* --- Linux -------------------------------------------------------------------------------------------------------- */

static void make_tree(void)
{
    CHECK(folder_make(ROOT "/sub"));
    CHECK(folder_make(ROOT "/sub/deep"));
    options.recursive = 1;
}

REPLAY_CASE(without_watches_left_nothing_is_watched)
{
    int number;
    make_tree();
    for (number = 1; number <= 3; number++) {
        watch = NULL;
        watches_fail(number, ENOSPC);
        CHECK_EQ_INT(pl_watch_open(&watch, ROOT, &options), PL_ENOSPC);
        CHECK(watch == NULL);
    }
    watches_fail(4, ENOSPC);
    CHECK_EQ_INT(pl_watch_open(&watch, ROOT, &options), PL_OK);
    pl_watch_close(watch);
    watches_fail(0, 0);
}

REPLAY_CASE(a_new_folder_for_which_no_watch_is_left_ends_the_watch_after_what_was_told)
{
    pl_watch_event event;
    options.recursive = 1;
    REQUIRE_EQ_INT(pl_watch_open(&watch, ROOT, &options), PL_OK);
    watches_fail(2, ENOSPC);
    CHECK(folder_make(ROOT "/new"));
    CHECK(folder_make(ROOT "/new/t"));
    CHECK(expect(PL_WATCH_CREATED, "new", NULL));
    CHECK(expect(PL_WATCH_CREATED, "new/t", NULL));
    CHECK_EQ_INT(pl_watch_next(watch, &event), PL_ENOSPC);
    CHECK_EQ_INT(pl_watch_next(watch, &event), PL_ENOSPC);
    watches_fail(0, 0);
    pl_watch_close(watch);
}

REPLAY_CASE(folders_that_may_not_be_read_or_are_gone_are_left_out)
{
    static const int errors[] = {EACCES, ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG};
    size_t i;
    make_tree();
    for (i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        watches_fail(2, errors[i]);
        REQUIRE_EQ_INT(pl_watch_open(&watch, ROOT, &options), PL_OK);
        path_remove(ROOT "/sub/deep"); /* nobody tells */
        CHECK(folder_make(ROOT "/new"));
        CHECK(expect(PL_WATCH_CREATED, "new", NULL));
        path_remove(ROOT "/new");
        CHECK(folder_make(ROOT "/sub/deep"));
        pl_watch_close(watch);
    }
    watches_fail(0, 0);
}

/* Who may write to what is watched does not lead the watch to where he likes. */
REPLAY_CASE(a_link_that_takes_the_place_of_a_folder_is_not_followed)
{
    make_tree();
    CHECK(folder_make(OUTSIDE));
    CHECK(folder_make(OUTSIDE "/x"));
    watches_fail(0, 0);
    watches_swap(3, ROOT "/sub/deep", "../../" OUTSIDE);
    CHECK_EQ_INT(pl_watch_open(&watch, ROOT, &options), PL_OK);
    CHECK_EQ_INT(watches_asked_for(), 3); /* none of "x" */
    watches_swap(0, NULL, NULL);
    pl_watch_close(watch);
}

TEST_SUITE(shim_watch, TEST_BACKENDS_REAL, CASE(several_records_of_one_request_are_told_in_order_wherever_they_lie),
           CASE(long_names_arrive_whole), CASE(a_name_that_is_no_text_is_told_as_listings_have_it),
           CASE(a_rename_whose_names_come_with_different_requests_is_one_event),
           CASE(half_a_rename_is_a_deletion_or_a_creation),
           CASE(a_loss_is_told_before_what_is_kept_and_the_watch_goes_on),
           CASE(when_the_folder_is_gone_the_watch_has_ended), CASE(pieces_of_one_change_are_one_event),
           CASE_ON(ON_WINDOWS, the_system_is_asked_for_what_is_wanted), CASE_ON(ON_WINDOWS, what_is_in_sub_folders_is_told_with_slashes),
           CASE_ON(ON_WINDOWS, a_request_is_always_under_way), CASE_ON(ON_WINDOWS, records_that_are_not_whole_are_a_loss),
           CASE_ON(ON_WINDOWS, a_file_system_that_tells_nothing_is_an_error_of_open),
           CASE_ON(ON_WINDOWS, a_failure_of_the_system_ends_the_watch_with_it),
           CASE_ON(ON_WINDOWS, an_abort_that_nobody_asked_for_is_answered_by_asking_again),
           CASE_ON(ON_LINUX, without_watches_left_nothing_is_watched),
           CASE_ON(ON_LINUX, a_new_folder_for_which_no_watch_is_left_ends_the_watch_after_what_was_told),
           CASE_ON(ON_LINUX, folders_that_may_not_be_read_or_are_gone_are_left_out),
           CASE_ON(ON_LINUX, a_link_that_takes_the_place_of_a_folder_is_not_followed))
