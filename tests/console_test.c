/* The standard streams, of every kind that the system has. */
#include <proloop/proloop.h>

#include <stdlib.h>
#include <string.h>

#include "allocation.h"
#include "fixture.h"
#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "standard_streams.h"
#include "threads.h"

#define FILE_NAME "console_test_file"

enum { INPUT, OUTPUT, ERROR_OUTPUT };

static const enum standard_kind kinds_with_other_end[] = {STANDARD_PIPE, STANDARD_TERMINAL, STANDARD_MASTER,
                                                          STANDARD_SOCKET};

enum { KINDS_WITH_OTHER_END = 4 };

static pl_stream *open_input(int kind)
{
    pl_stream *stream = NULL;
    int opened = pl_stdin(&stream);
    if (kind)
        CHECK_EQ_INT(opened, kind);
    else
        CHECK(opened > 0);
    return stream;
}

static pl_stream *open_error(int kind)
{
    pl_stream *stream = NULL;
    int opened = pl_stderr(&stream);
    if (kind)
        CHECK_EQ_INT(opened, kind);
    else
        CHECK(opened > 0);
    return stream;
}

static void expect_text(pl_stream *stream, const char *text)
{
    char data[64] = "";
    size_t size = strlen(text);
    CHECK_EQ_INT(read_whole(stream, data, size), size);
    CHECK_MEM(data, text, size);
}

/* A read that waits, for at most no time at all: it is in the system by then. */
static void expect_nothing(pl_stream *stream)
{
    char data[8];
    pl_timeout limit = {0};
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_read(stream, data, sizeof data)), PL_ETIMEDOUT);
}

/* Runs the body with standard input of each kind that there is. */
typedef void kind_body(enum standard_kind kind);

static void with_each_kind(kind_body *body)
{
    for (int i = 0; i < KINDS_WITH_OTHER_END; i++) {
        uint64_t before[2], after[2];
        if (!standard_begin(INPUT, kinds_with_other_end[i], NULL, 0))
            continue;
        standard_modes(before);
        body(kinds_with_other_end[i]);
        standard_modes(after);
        CHECK_MEM(before, after, sizeof before); /* nothing of the user's was changed */
        standard_end();
    }
}

/* --- Input -------------------------------------------------------------------------------------------------------- */

static int kind_of(enum standard_kind kind)
{
    return kind == STANDARD_PIPE ? PL_CONSOLE_PIPE : kind == STANDARD_SOCKET ? PL_CONSOLE_SOCKET : PL_CONSOLE_TERMINAL;
}

static void read_what_was_there(enum standard_kind kind)
{
    pl_stream *stream = open_input(kind_of(kind));
    CHECK(standard_feed("hello\n", 6));
    expect_text(stream, "hello\n");
    CHECK_EQ_INT(pl_stream_bytes_read(stream), 6);
    pl_stream_close(stream);
}

TASK_CASE(what_there_is_is_read)
{
    with_each_kind(read_what_was_there);
}

static int64_t feed_later(void *arg)
{
    (void)arg;
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    CHECK(standard_feed("later\n", 6));
    return 0;
}

static void read_what_comes(enum standard_kind kind)
{
    pl_stream *stream = open_input(kind_of(kind));
    CHECK_EQ_INT(pl_spawn(NULL, feed_later, NULL, NULL), PL_OK);
    expect_text(stream, "later\n");
    pl_stream_close(stream);
}

TASK_CASE(a_read_waits_for_what_comes)
{
    with_each_kind(read_what_comes);
}

static void borrow_what_comes(enum standard_kind kind)
{
    pl_stream *stream = open_input(kind_of(kind));
    const void *data = NULL;
    pl_timeout limit = {0};
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(1)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, pl_read_borrow(stream, &data)), PL_ETIMEDOUT);
    CHECK(standard_feed("lent\n", 5));
    CHECK_EQ_INT(pl_read_borrow(stream, &data), 5);
    CHECK_MEM(data, "lent\n", 5);
    CHECK_EQ_INT(pl_read_return(stream), PL_OK);
    pl_stream_close(stream);
}

TASK_CASE(input_is_lent_too)
{
    with_each_kind(borrow_what_comes);
}

static void cancel_and_go_on(enum standard_kind kind)
{
    pl_stream *stream = open_input(kind_of(kind));
    char byte;
    for (int i = 0; i < 3; i++) {
        expect_nothing(stream);
        CHECK(standard_feed("once\n", 5));
        CHECK_EQ_INT(pl_task_cancel(pl_task_current()), 1); /* before it began */
        CHECK_EQ_INT(pl_read(stream, &byte, 1), PL_ECANCELED);
        expect_text(stream, "once\n");
    }
    pl_stream_close(stream);
}

TASK_CASE(a_read_that_was_cancelled_takes_nothing)
{
    with_each_kind(cancel_and_go_on);
}

/* The cancel meets the byte in every possible way: none may be lost or told twice. */
static void cancel_at_any_time(enum standard_kind kind)
{
    pl_stream *stream = open_input(kind_of(kind));
    for (int i = 0; i < 200; i++) {
        pl_op op = {{{0}}};
        char data[8] = "";
        char line[2] = {(char)('a' + i % 26), '\n'};
        int64_t rc;
        CHECK_EQ_INT(pl_read_start(&op, stream, data, 2), PL_OK);
        if (i % 3 == 1)
            CHECK_EQ_INT(pl_yield(), PL_OK);
        if (i % 3 == 2)
            CHECK_EQ_INT(pl_sleep(PL_US(i)), PL_OK);
        CHECK(standard_feed(line, 2));
        if (i % 2)
            CHECK_EQ_INT(pl_yield(), PL_OK);
        rc = pl_op_finish(&op);
        CHECK(rc == PL_ECANCELED || (rc > 0 && rc <= 2));
        if (rc < 0)
            rc = 0;
        if (rc < 2)
            CHECK_EQ_INT(read_whole(stream, data + rc, (size_t)(2 - rc)), 2 - rc);
        CHECK_MEM(data, line, 2);
    }
    pl_stream_close(stream);
}

TASK_CASE(a_cancel_and_a_byte_that_meet_lose_nothing)
{
    with_each_kind(cancel_at_any_time);
}

static void leave_some(enum standard_kind kind)
{
    pl_stream *stream = open_input(kind_of(kind));
    CHECK(standard_feed("first second\n", 13));
    expect_text(stream, "first ");
    pl_stream_close(stream);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    stream = open_input(kind_of(kind));
    expect_text(stream, "second\n");
    expect_nothing(stream);
    pl_stream_close(stream);
}

TASK_CASE(what_one_stream_left_is_there_for_the_next)
{
    with_each_kind(leave_some);
}

static void close_while_reading(enum standard_kind kind)
{
    pl_stream *stream = open_input(kind_of(kind));
    pl_op op = {{{0}}};
    char data[8];
    CHECK_EQ_INT(pl_read_start(&op, stream, data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    pl_stream_close(stream);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
    CHECK(standard_feed("after\n", 6));
    stream = open_input(kind_of(kind));
    expect_text(stream, "after\n");
    pl_stream_close(stream);
}

TASK_CASE(closing_ends_a_read_and_takes_nothing)
{
    with_each_kind(close_while_reading);
}

static int64_t read_for_ever(void *arg)
{
    pl_stream *stream = NULL;
    char data[8];
    (void)arg;
    CHECK(pl_stdin(&stream) > 0);
    CHECK_EQ_INT(pl_read(stream, data, sizeof data), PL_ECANCELED);
    pl_stream_close(stream);
    return 0;
}

static int64_t leave_a_reader(void *arg)
{
    CHECK_EQ_INT(pl_spawn(NULL, read_for_ever, NULL, NULL), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK);
    (void)arg;
    return 0;
}

TEST_CASE(a_read_that_waits_does_not_keep_the_loop_from_closing)
{
    for (int i = 0; i < KINDS_WITH_OTHER_END; i++) {
        pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
        pl_run_options options = {.size = sizeof options, .loop = &loop};
        if (!standard_begin(INPUT, kinds_with_other_end[i], NULL, 0))
            continue;
        CHECK_EQ_INT(pl_run(leave_a_reader, NULL, &options), 0);
        standard_end();
    }
}

TASK_CASE(a_pipe_that_is_closed_at_the_other_end_ends)
{
    static const enum standard_kind kinds[] = {STANDARD_PIPE, STANDARD_SOCKET};
    for (int i = 0; i < 2; i++) {
        pl_stream *stream;
        char byte;
        if (!standard_begin(INPUT, kinds[i], NULL, 0))
            continue;
        stream = open_input(0);
        CHECK(standard_feed("end", 3));
        standard_hang_up();
        expect_text(stream, "end");
        CHECK_EQ_INT(pl_read(stream, &byte, 1), 0);
        CHECK_EQ_INT(pl_read(stream, &byte, 1), 0);
        pl_stream_close(stream);
        standard_end();
    }
}

TASK_CASE(a_terminals_end_is_not_for_ever)
{
    pl_stream *stream;
    char byte;
    if (!standard_begin(INPUT, STANDARD_TERMINAL, NULL, 0)) {
        skip_case("no terminal here");
        return;
    }
    stream = open_input(PL_CONSOLE_TERMINAL);
    CHECK(standard_feed("\004", 1)); /* Ctrl-D */
    CHECK_EQ_INT(pl_read(stream, &byte, 1), 0);
    CHECK(standard_feed("half", 4)); /* of a line: the user is not ready */
    expect_nothing(stream);
    CHECK(standard_feed("\177\177lf\n", 5)); /* and may still change it */
    expect_text(stream, "half\n");
    pl_stream_close(stream);
    standard_end();
}

static void make_file(void)
{
    CHECK(file_make(FILE_NAME, "0123456789", 10));
}

TASK_CASE(a_file_is_read_from_where_the_process_is_in_it)
{
    pl_stream *stream;
    char byte;
    make_file();
    REQUIRE(standard_begin(INPUT, STANDARD_FILE, FILE_NAME, 4));
    stream = open_input(PL_CONSOLE_FILE);
    expect_text(stream, "45");
    pl_stream_close(stream);
    stream = open_input(PL_CONSOLE_FILE); /* the place is the process's */
    expect_text(stream, "6789");
    CHECK_EQ_INT(pl_read(stream, &byte, 1), 0);
    pl_stream_close(stream);
    standard_end();
    path_remove(FILE_NAME);
}

TASK_CASE(a_large_file_is_read_whole_while_reads_are_cancelled)
{
    enum { SIZE = 300000 };
    uint8_t *data = malloc(SIZE), *got = malloc(SIZE + 1);
    pl_stream *stream;
    int64_t done = 0;
    REQUIRE(data && got);
    pattern_fill(data, SIZE, 0);
    CHECK(file_make(FILE_NAME, data, SIZE));
    REQUIRE(standard_begin(INPUT, STANDARD_FILE, FILE_NAME, 0));
    stream = open_input(PL_CONSOLE_FILE);
    for (int i = 0; done < SIZE; i++) {
        pl_op op = {{{0}}};
        int64_t rc;
        CHECK_EQ_INT(pl_read_start(&op, stream, got + done, 5000), PL_OK);
        if (i % 2)
            CHECK_EQ_INT(pl_op_cancel(&op), PL_OK);
        rc = pl_op_await(&op);
        CHECK(rc > 0 || rc == PL_ECANCELED);
        done += rc > 0 ? rc : 0;
    }
    CHECK_MEM(data, got, SIZE);
    pl_stream_close(stream);
    standard_end();
    path_remove(FILE_NAME);
    free(data);
    free(got);
}

TASK_CASE(nothing_ends_at_once)
{
    pl_stream *stream;
    char byte;
    REQUIRE(standard_begin(INPUT, STANDARD_NOTHING, NULL, 0));
    stream = open_input(PL_CONSOLE_OTHER);
    CHECK_EQ_INT(pl_read(stream, &byte, 1), 0);
    pl_stream_close(stream);
    standard_end();
}

/* --- Output ------------------------------------------------------------------------------------------------------- */

static void expect_drained(const char *text)
{
    char data[64];
    size_t size = strlen(text), done = 0;
    while (done < size) {
        int64_t got = standard_drain(data + done, size - done);
        REQUIRE(got > 0);
        done += (size_t)got;
    }
    CHECK_MEM(data, text, size);
}

TASK_CASE(what_is_written_arrives_in_order)
{
    for (int i = 0; i < KINDS_WITH_OTHER_END; i++) {
        pl_stream *stream;
        const pl_buffer buffers[] = {{"tw", 2}, {"", 0}, {"o ", 2}};
        uint64_t before[2], after[2];
        if (!standard_begin(ERROR_OUTPUT, kinds_with_other_end[i], NULL, 0))
            continue;
        standard_modes(before);
        stream = open_error(kind_of(kinds_with_other_end[i]));
        CHECK_EQ_INT(pl_write(stream, "one ", 4), PL_OK);
        CHECK_EQ_INT(pl_write_buffers(stream, buffers, 3), PL_OK);
        CHECK_EQ_INT(pl_write(stream, "", 0), PL_OK);
        CHECK(standard_write("own ", 4)); /* the process's own is as good as before */
        CHECK_EQ_INT(pl_write(stream, "three", 5), PL_OK);
        expect_drained("one two own three");
        CHECK_EQ_INT(pl_stream_bytes_written(stream), 13);
        pl_stream_close(stream);
        CHECK_EQ_INT(pl_yield(), PL_OK);
        CHECK(standard_write(" after", 6));
        expect_drained(" after");
        standard_modes(after);
        CHECK_MEM(before, after, sizeof before);
        standard_end();
    }
}

typedef struct large {
    uint8_t *data;
    int64_t size;
    bool broken;
} large;

static void drain_all(void *arg)
{
    large *l = arg;
    uint8_t data[3000];
    int64_t done = 0, got;
    while (done < l->size && (got = standard_drain(data, sizeof data)) > 0) {
        l->broken = l->broken || !pattern_holds(data, (size_t)got, (uint64_t)done);
        done += got;
    }
    l->broken = l->broken || done != l->size;
}

static void write_large(enum standard_kind kind)
{
    large l = {.size = 500000};
    test_thread reader;
    pl_stream *stream;
    if (!standard_begin(ERROR_OUTPUT, kind, NULL, 0))
        return;
    l.data = malloc((size_t)l.size);
    REQUIRE(l.data != NULL);
    pattern_fill(l.data, (size_t)l.size, 0);
    stream = open_error(0);
    CHECK(test_thread_start(&reader, drain_all, &l));
    CHECK_EQ_INT(pl_write(stream, l.data, (size_t)l.size), PL_OK);
    pl_stream_close(stream);
    test_thread_join(&reader);
    CHECK(!l.broken);
    free(l.data);
    standard_end();
}

TASK_CASE(more_than_fits_is_written_as_it_is_read)
{
    write_large(STANDARD_PIPE);
    write_large(STANDARD_SOCKET);
}

TASK_CASE(a_write_that_waits_is_cancelled_and_breaks_the_stream)
{
    static uint8_t data[1 << 20];
    static const enum standard_kind kinds[] = {STANDARD_PIPE, STANDARD_SOCKET};
    for (int i = 0; i < 2; i++) {
        pl_stream *stream;
        pl_op op = {{{0}}};
        char byte;
        if (!standard_begin(ERROR_OUTPUT, kinds[i], NULL, 0))
            continue;
        stream = open_error(0);
        CHECK_EQ_INT(pl_write_start(&op, stream, data, sizeof data), PL_OK);
        CHECK_EQ_INT(standard_drain(&byte, 1), 1); /* it has begun */
        CHECK_EQ_INT(pl_op_finish(&op), PL_ECANCELED);
        CHECK_EQ_INT(pl_write(stream, data, 1), PL_EBROKEN);
        pl_stream_close(stream);
        standard_end();
    }
}

TASK_CASE(a_reader_that_left_is_told_by_an_error_and_no_signal)
{
    static const enum standard_kind kinds[] = {STANDARD_PIPE, STANDARD_SOCKET};
    for (int i = 0; i < 2; i++) {
        pl_stream *stream;
        if (!standard_begin(ERROR_OUTPUT, kinds[i], NULL, 0))
            continue;
        stream = open_error(0);
        standard_hang_up();
        CHECK_EQ_INT(pl_write(stream, "x", 1), PL_ECONNRESET);
        pl_stream_close(stream);
        CHECK_EQ_INT(pl_stderr(&stream), kind_of(kinds[i])); /* there is no reader, but there is a stream */
        CHECK_EQ_INT(pl_write(stream, "x", 1), PL_ECONNRESET);
        pl_stream_close(stream);
        standard_end();
    }
}

TASK_CASE(a_file_is_written_where_the_process_is_in_it)
{
    pl_stream *stream;
    char byte;
    make_file();
    REQUIRE(standard_begin(ERROR_OUTPUT, STANDARD_FILE, FILE_NAME, 2));
    stream = open_error(PL_CONSOLE_FILE);
    CHECK_EQ_INT(pl_write(stream, "ab", 2), PL_OK);
    CHECK(standard_write("cd", 2));
    CHECK_EQ_INT(pl_write(stream, "ef", 2), PL_OK);
    pl_stream_close(stream);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    standard_end();
    REQUIRE(standard_begin(INPUT, STANDARD_FILE, FILE_NAME, 0));
    stream = open_input(PL_CONSOLE_FILE);
    expect_text(stream, "01abcdef89");
    CHECK_EQ_INT(pl_read(stream, &byte, 1), 0);
    pl_stream_close(stream);
    standard_end();
    path_remove(FILE_NAME);
}

TASK_CASE(what_is_written_to_nothing_is_gone)
{
    pl_stream *stream;
    REQUIRE(standard_begin(ERROR_OUTPUT, STANDARD_NOTHING, NULL, 0));
    stream = open_error(PL_CONSOLE_OTHER);
    CHECK_EQ_INT(pl_write(stream, "gone", 4), PL_OK);
    pl_stream_close(stream);
    standard_end();
}

TASK_CASE(what_was_queued_goes_out_after_the_close)
{
    pl_stream *stream;
    pl_op ops[3];
    memset(ops, 0, sizeof ops);
    REQUIRE(standard_begin(ERROR_OUTPUT, STANDARD_PIPE, NULL, 0));
    stream = open_error(PL_CONSOLE_PIPE);
    CHECK_EQ_INT(pl_write_start(&ops[0], stream, "a", 1), PL_OK);
    CHECK_EQ_INT(pl_write_start(&ops[1], stream, "b", 1), PL_OK);
    CHECK_EQ_INT(pl_write_start(&ops[2], stream, "c", 1), PL_OK);
    pl_stream_close(stream);
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(pl_op_await(&ops[i]), PL_OK);
    expect_drained("abc");
    standard_end();
}

TASK_CASE(standard_output_is_one_too)
{
    pl_stream *stream = NULL;
    int kind, rc = PL_EUNKNOWN;
    REQUIRE(standard_begin(OUTPUT, STANDARD_PIPE, NULL, 0));
    kind = pl_stdout(&stream); /* no check here: a failure would be told to standard output */
    if (kind > 0)
        rc = (int)pl_write(stream, "out", 3);
    if (rc == PL_OK)
        expect_drained("out");
    pl_stream_close(stream);
    CHECK(pl_yield() == PL_OK);
    standard_end();
    CHECK_EQ_INT(kind, PL_CONSOLE_PIPE);
    CHECK_EQ_INT(rc, PL_OK);
}

/* --- Misuse ------------------------------------------------------------------------------------------------------- */

TASK_CASE(each_has_one_direction)
{
    pl_stream *in, *out;
    pl_address address;
    char byte;
    REQUIRE(standard_begin(INPUT, STANDARD_PIPE, NULL, 0));
    in = open_input(PL_CONSOLE_PIPE);
    CHECK_EQ_INT(pl_write(in, "x", 1), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_shutdown(in), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_local_address(in, &address), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_set_nodelay(in, 1), PL_ENOTSUP);
    pl_stream_close(in);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    standard_end();
    REQUIRE(standard_begin(ERROR_OUTPUT, STANDARD_NOTHING, NULL, 0));
    out = open_error(0);
    CHECK_EQ_INT(pl_read(out, &byte, 1), PL_ENOTSUP);
    CHECK_EQ_INT(pl_stream_shutdown(out), PL_OK);
    CHECK_EQ_INT(pl_write(out, "x", 1), PL_EPIPE);
    CHECK(standard_write("x", 1));
    pl_stream_close(out);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    standard_end();
}

TASK_CASE(a_process_without_one_is_told)
{
    pl_stream *stream = (pl_stream *)&stream;
    REQUIRE(standard_begin(INPUT, STANDARD_CLOSED, NULL, 0));
    CHECK_EQ_INT(pl_stdin(&stream), PL_EBADF);
    CHECK(stream == NULL);
    standard_end();
    CHECK_EQ_INT(pl_stdin(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_stdout(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_stderr(NULL), PL_EINVAL);
}

TEST_CASE(without_a_loop_there_is_no_stream)
{
    pl_stream *stream = NULL;
    (void)t;
    CHECK_EQ_INT(pl_stdin(&stream), PL_ENOLOOP);
    CHECK_EQ_INT(pl_stdout(&stream), PL_ENOLOOP);
    CHECK_EQ_INT(pl_stderr(&stream), PL_ENOLOOP);
}

static void try_to_open(void *arg)
{
    int *result = arg;
    pl_stream *stream = NULL;
    *result = pl_stdin(&stream);
    CHECK((*result > 0) == (stream != NULL));
    pl_stream_close(stream);
}

static int64_t open_on_the_simulation(void *arg)
{
    static int (*const opens[])(pl_stream **) = {pl_stdin, pl_stdout, pl_stderr};
    for (int i = 0; i < 3; i++) {
        pl_stream *stream = arg;
        CHECK_EQ_INT(opens[i](&stream), PL_ENOTSUP);
        CHECK(stream == NULL);
    }
    return 0;
}

TEST_CASE(the_simulation_has_no_standard_streams)
{
    const test_context simulated = {.backend = "sim"};
    fixture f;
    (void)t;
    REQUIRE(fixture_open(&f, &simulated));
    CHECK_EQ_INT(run_task(&f, open_on_the_simulation, &f), 0);
    fixture_close(&f);
}

TEST_CASE(without_memory_nothing_is_open)
{
    for (int i = 0; i < 2; i++) {
        REQUIRE(standard_begin(INPUT, i == 0 ? STANDARD_PIPE : STANDARD_NOTHING, NULL, 0));
        for (int64_t fail_at = 1, result = PL_ENOMEM; result == PL_ENOMEM; fail_at++) {
            allocation a;
            pl_loop *loop = NULL;
            pl_loop_options options = {.size = sizeof options, .backend = t->backend};
            pl_callback callback = {{{0}}};
            int opened = 0;
            REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
            REQUIRE_EQ_INT(pl_loop_create(&loop, &options), PL_OK);
            CHECK_EQ_INT(pl_callback_schedule(&callback, loop, try_to_open, &opened), PL_OK);
            a.fail_at = a.calls + fail_at;
            CHECK_EQ_INT(pl_loop_run_once(loop, 0), PL_OK);
            CHECK(opened > 0 || opened == PL_ENOMEM);
            CHECK_EQ_INT(a.failed, opened < 0);
            result = opened;
            a.fail_at = 0;
            CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
            allocation_end(&a);
        }
        standard_end();
    }
}

TEST_SUITE(console, TEST_BACKENDS_REAL, CASE(what_there_is_is_read), CASE(a_read_waits_for_what_comes),
           CASE(input_is_lent_too), CASE(a_read_that_was_cancelled_takes_nothing),
           CASE(a_cancel_and_a_byte_that_meet_lose_nothing), CASE(what_one_stream_left_is_there_for_the_next),
           CASE(closing_ends_a_read_and_takes_nothing), CASE(a_read_that_waits_does_not_keep_the_loop_from_closing),
           CASE(a_pipe_that_is_closed_at_the_other_end_ends), CASE(a_terminals_end_is_not_for_ever),
           CASE(a_file_is_read_from_where_the_process_is_in_it),
           CASE(a_large_file_is_read_whole_while_reads_are_cancelled), CASE(nothing_ends_at_once),
           CASE(what_is_written_arrives_in_order), CASE(more_than_fits_is_written_as_it_is_read),
           CASE(a_write_that_waits_is_cancelled_and_breaks_the_stream),
           CASE(a_reader_that_left_is_told_by_an_error_and_no_signal),
           CASE(a_file_is_written_where_the_process_is_in_it), CASE(what_is_written_to_nothing_is_gone),
           CASE(what_was_queued_goes_out_after_the_close), CASE(standard_output_is_one_too),
           CASE(each_has_one_direction), CASE(a_process_without_one_is_told), CASE(without_a_loop_there_is_no_stream),
           CASE(the_simulation_has_no_standard_streams),
           CASE(without_memory_nothing_is_open))
