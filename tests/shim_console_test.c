/* The console of Windows, played: what the library asks of it, and what it makes of the answers. */
#include <proloop/proloop.h>

#include <string.h>

#include "harness.h"
#include "loopback.h"
#include "shims_console.h"

#define CONSOLE_CASE(name)                                                                                             \
    static void name##_body(void);                                                                                     \
    TASK_CASE(name)                                                                                                    \
    {                                                                                                                  \
        REQUIRE(console_begin());                                                                                      \
        name##_body();                                                                                                 \
        CHECK_EQ_INT(pl_yield(), PL_OK);                                                                               \
        console_end();                                                                                                 \
    }                                                                                                                  \
    static void name##_body(void)

static pl_stream *open_input(void)
{
    pl_stream *stream = NULL;
    CHECK_EQ_INT(pl_stdin(&stream), PL_CONSOLE_TERMINAL);
    return stream;
}

static void type_line(const wchar_t *text)
{
    console_type(text);
    console_press(L'\r');
}

static void expect_text(pl_stream *stream, const char *text)
{
    char data[256] = "";
    CHECK_EQ_INT(read_whole(stream, data, strlen(text)), strlen(text));
    CHECK_STR(data, text);
}

CONSOLE_CASE(a_line_is_read_as_utf_8)
{
    pl_stream *stream = open_input();
    char data[64] = "";
    type_line(L"gr\x00fc\x00df \x20ac \xd83d\xde00");
    CHECK_EQ_INT(pl_read(stream, data, sizeof data), 17);
    CHECK_STR(data, "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\r\n");
    pl_stream_close(stream);
}

CONSOLE_CASE(a_line_may_be_read_byte_by_byte)
{
    pl_stream *stream = open_input();
    static const char expected[] = "\xe2\x82\xac\r\n";
    type_line(L"\x20ac");
    for (size_t i = 0; i < sizeof expected - 1; i++) {
        char byte = 0;
        CHECK_EQ_INT(pl_read(stream, &byte, 1), 1);
        CHECK_EQ_INT(byte, expected[i]);
    }
    CHECK_EQ_INT(console_reads(), 1);
    pl_stream_close(stream);
}

CONSOLE_CASE(a_character_that_two_reads_give_is_one)
{
    pl_stream *stream = open_input();
    console_set_lines(false);
    console_press(0xd83d);
    console_press(0xde00);
    expect_text(stream, "\xf0\x9f\x98\x80");
    CHECK_EQ_INT(console_reads(), 2);
    console_press(0xde00); /* half of one is no character */
    expect_text(stream, "\xef\xbf\xbd");
    pl_stream_close(stream);
}

static void cancel_a_read(pl_stream *stream, const wchar_t *typed)
{
    pl_op op = {{{0}}};
    char data[8];
    CHECK_EQ_INT(pl_read_start(&op, stream, data, sizeof data), PL_OK);
    console_type(typed);
    console_wait_for_reader();
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
}

CONSOLE_CASE(a_read_is_woken_by_a_key_that_is_not_seen)
{
    pl_stream *stream = open_input();
    for (int i = 1; i <= 3; i++) {
        cancel_a_read(stream, L"");
        CHECK_EQ_INT(console_keys(), i);
    }
    CHECK_EQ_INT(console_cancels(), 0);
    type_line(L"line");
    expect_text(stream, "line\r\n");
    CHECK_EQ_INT(console_initial(), 0);
    pl_stream_close(stream);
}

CONSOLE_CASE(the_user_goes_on_with_the_line_that_was_begun)
{
    pl_stream *stream = open_input();
    cancel_a_read(stream, L"ab");
    cancel_a_read(stream, L"cd");
    CHECK_EQ_INT(console_initial(), 2);
    pl_stream_close(stream);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    stream = open_input(); /* also in another stream */
    type_line(L"ef");
    expect_text(stream, "abcdef\r\n");
    CHECK_EQ_INT(console_initial(), 4);
    pl_stream_close(stream);
}

CONSOLE_CASE(a_line_that_was_there_already_is_returned_in_spite_of_a_cancel)
{
    pl_stream *stream = open_input();
    pl_op op = {{{0}}};
    char data[16];
    console_press_before_key(true);
    CHECK_EQ_INT(pl_read_start(&op, stream, data, sizeof data), PL_OK);
    console_type(L"done");
    console_wait_for_reader();
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), 6);
    CHECK_MEM(data, "done\r\n", 6);
    CHECK_EQ_INT(console_keys_taken_back(), 1); /* the key came too late */
    console_press_before_key(false);
    type_line(L"next");
    expect_text(stream, "next\r\n");
    pl_stream_close(stream);
}

CONSOLE_CASE(the_same_key_of_the_user_means_nothing)
{
    pl_stream *stream = open_input();
    console_type(L"a");
    console_press(0x1e);
    type_line(L"b");
    expect_text(stream, "ab\r\n");
    pl_stream_close(stream);
}

CONSOLE_CASE(without_lines_what_was_typed_is_returned_in_spite_of_a_cancel)
{
    pl_stream *stream = open_input();
    console_set_lines(false);
    cancel_a_read(stream, L"");
    console_type(L"x");
    expect_text(stream, "x");
    CHECK_EQ_INT(console_initial(), 0);
    pl_stream_close(stream);
}

CONSOLE_CASE(a_console_that_takes_no_keys_is_cancelled_otherwise)
{
    pl_stream *stream = open_input();
    console_refuse_keys(true);
    cancel_a_read(stream, L"");
    CHECK(console_cancels() >= 1);
    CHECK_EQ_INT(console_keys(), 0);
    type_line(L"on");
    expect_text(stream, "on\r\n");
    pl_stream_close(stream);
}

/* The call waits for another one on the same file object, say: the system does not see it yet. */
CONSOLE_CASE(a_cancel_that_finds_nothing_is_repeated_and_does_not_hold_the_loop)
{
    pl_stream *stream = open_input();
    pl_op op = {{{0}}};
    char data[8];
    console_refuse_keys(true);
    console_lose_cancels(true);
    CHECK_EQ_INT(pl_read_start(&op, stream, data, sizeof data), PL_OK);
    console_wait_for_reader();
    CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK); /* the loop goes on */
    CHECK(pl_op_is_pending(&op));
    console_lose_cancels(false);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECANCELED);
    type_line(L"on");
    expect_text(stream, "on\r\n");
    pl_stream_close(stream);
}

CONSOLE_CASE(a_read_that_nobody_could_cancel_is_not_begun)
{
    pl_stream *stream = open_input();
    char data[8];
    console_refuse_threads(true);
    CHECK_EQ_INT(pl_read(stream, data, sizeof data), PL_ENOMEM);
    CHECK_EQ_INT(console_reads(), 0);
    console_refuse_threads(false);
    type_line(L"on");
    expect_text(stream, "on\r\n");
    pl_stream_close(stream);
}

CONSOLE_CASE(ctrl_z_at_the_start_of_a_line_is_an_end_and_not_for_ever)
{
    pl_stream *stream = open_input();
    char byte;
    console_press(0x1a);
    console_press(L'\r');
    CHECK_EQ_INT(pl_read(stream, &byte, 1), 0);
    type_line(L"a\x1a");
    expect_text(stream, "a\x1a\r\n");
    pl_stream_close(stream);
}

CONSOLE_CASE(ctrl_c_is_no_end)
{
    pl_stream *stream = open_input();
    console_type(L"forgotten");
    console_interrupt();
    type_line(L"read");
    expect_text(stream, "read\r\n");
    pl_stream_close(stream);
}

CONSOLE_CASE(an_error_of_the_console_is_told)
{
    pl_stream *stream = open_input();
    pl_op op = {{{0}}};
    char byte;
    console_fail_reads(6); /* ERROR_INVALID_HANDLE */
    CHECK_EQ_INT(pl_read_start(&op, stream, &byte, 1), PL_OK);
    CHECK_EQ_INT(pl_op_await(&op), PL_EBADF);
    CHECK_EQ_INT(pl_op_system_error(&op), 6);
    pl_stream_close(stream);
}

CONSOLE_CASE(a_console_has_one_reader)
{
    pl_stream *stream = open_input(), *second = NULL;
    CHECK_EQ_INT(pl_stdin(&second), PL_EBUSY);
    CHECK(second == NULL);
    CHECK_EQ_INT(pl_stdin(&second), PL_EBUSY); /* the refused one has not freed it */
    pl_stream_close(stream);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    stream = open_input();
    pl_stream_close(stream);
}

CONSOLE_CASE(an_open_that_fails_does_not_take_the_console_from_its_reader)
{
    pl_stream *first = open_input(), *second = NULL;
    console_refuse_handles(true);
    CHECK_EQ_INT(pl_stdin(&second), PL_ENOMEM);
    console_refuse_handles(false);
    CHECK_EQ_INT(pl_stdin(&second), PL_EBUSY);
    CHECK(second == NULL);
    type_line(L"on");
    expect_text(first, "on\r\n");
    pl_stream_close(first);
}

CONSOLE_CASE(what_a_line_has_more_is_for_the_next_stream)
{
    pl_stream *stream = open_input();
    type_line(L"first second");
    expect_text(stream, "first ");
    pl_stream_close(stream);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    stream = open_input();
    expect_text(stream, "second\r\n");
    CHECK_EQ_INT(console_reads(), 1);
    pl_stream_close(stream);
}

CONSOLE_CASE(closing_wakes_a_read)
{
    pl_stream *stream = open_input();
    pl_op op = {{{0}}};
    char byte;
    CHECK_EQ_INT(pl_read_start(&op, stream, &byte, 1), PL_OK);
    console_wait_for_reader();
    pl_stream_close(stream);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
    CHECK_EQ_INT(console_keys(), 1);
}

/* --- Output ------------------------------------------------------------------------------------------------------- */

static pl_stream *open_output(void)
{
    pl_stream *stream = NULL;
    CHECK_EQ_INT(pl_stderr(&stream), PL_CONSOLE_TERMINAL);
    return stream;
}

static void expect_written(const wchar_t *text)
{
    CHECK_EQ_INT(wcslen(console_written()), wcslen(text));
    CHECK(wcscmp(console_written(), text) == 0);
}

CONSOLE_CASE(what_is_written_is_shown_as_characters)
{
    pl_stream *stream = open_output();
    CHECK_EQ_INT(pl_write(stream, "gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", 11), PL_OK);
    expect_written(L"gr\x00fc\x00df \xd83d\xde00");
    pl_stream_close(stream);
}

CONSOLE_CASE(a_character_that_two_writes_bring_is_one)
{
    pl_stream *stream = open_output();
    static const char text[] = "\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80.";
    for (size_t i = 0; i < sizeof text - 1; i++)
        CHECK_EQ_INT(pl_write(stream, text + i, 1), PL_OK);
    expect_written(L"\x00fc\x20ac\xd83d\xde00.");
    CHECK_EQ_INT(pl_stream_bytes_written(stream), sizeof text - 1);
    pl_stream_close(stream);
}

CONSOLE_CASE(what_is_no_text_is_shown_as_such)
{
    pl_stream *stream = open_output();
    CHECK_EQ_INT(pl_write(stream, "a\x80\x80\x80\x80z\xff.", 8), PL_OK);
    CHECK(wcschr(console_written(), 0xfffd) != NULL);
    CHECK(wcschr(console_written(), L'z') != NULL);
    CHECK(wcschr(console_written(), L'.') != NULL);
    pl_stream_close(stream);
}

CONSOLE_CASE(a_console_that_takes_little_gets_the_rest_too)
{
    static char text[10001];
    pl_stream *stream = open_output();
    bool whole = true;
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (char)('a' + i % 26);
    console_take(7);
    CHECK_EQ_INT(pl_write(stream, text, sizeof text - 1), PL_OK);
    CHECK_EQ_INT(wcslen(console_written()), sizeof text - 1);
    for (size_t i = 0; i < sizeof text - 1; i++)
        whole = whole && console_written()[i] == (wchar_t)text[i];
    CHECK(whole);
    pl_stream_close(stream);
}

CONSOLE_CASE(a_console_that_takes_nothing_is_an_error)
{
    pl_stream *stream = open_output();
    console_take(0);
    CHECK_EQ_INT(pl_write(stream, "x", 1), PL_EBADF);
    CHECK_EQ_INT(pl_write(stream, "x", 1), PL_EBADF);
    pl_stream_close(stream);
}

TEST_SUITE(shim_console, TEST_BACKENDS_REAL, CASE(a_line_is_read_as_utf_8), CASE(a_line_may_be_read_byte_by_byte),
           CASE(a_character_that_two_reads_give_is_one), CASE(a_read_is_woken_by_a_key_that_is_not_seen),
           CASE(the_user_goes_on_with_the_line_that_was_begun),
           CASE(a_line_that_was_there_already_is_returned_in_spite_of_a_cancel),
           CASE(the_same_key_of_the_user_means_nothing),
           CASE(without_lines_what_was_typed_is_returned_in_spite_of_a_cancel),
           CASE(a_console_that_takes_no_keys_is_cancelled_otherwise),
           CASE(a_cancel_that_finds_nothing_is_repeated_and_does_not_hold_the_loop),
           CASE(a_read_that_nobody_could_cancel_is_not_begun),
           CASE(ctrl_z_at_the_start_of_a_line_is_an_end_and_not_for_ever), CASE(ctrl_c_is_no_end),
           CASE(an_error_of_the_console_is_told), CASE(a_console_has_one_reader),
           CASE(an_open_that_fails_does_not_take_the_console_from_its_reader),
           CASE(what_a_line_has_more_is_for_the_next_stream), CASE(closing_wakes_a_read),
           CASE(what_is_written_is_shown_as_characters), CASE(a_character_that_two_writes_bring_is_one),
           CASE(what_is_no_text_is_shown_as_such), CASE(a_console_that_takes_little_gets_the_rest_too),
           CASE(a_console_that_takes_nothing_is_an_error))
