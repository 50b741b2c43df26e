/* Moments of the standard streams: of what is a pipe of ours, and of what a thread serves. */
#include <stdlib.h>
#include <string.h>

#include "folders.h"
#include "loopback.h"
#include "moments.h"
#include "shims.h"
#include "standard_streams.h"

#define NAME "moments_console_file"

static const char first[] = "first\n", second[] = "second\n";

enum { FIRST = 6, SECOND = 7 };

typedef struct standard {
    pl_stream *stream;
    char line[64];
    uint8_t *data; /* a pattern, to be written */
    int64_t drained;
} standard;

/* From here on the process has its own one again, and the case both ends. */
static bool open_as(standard *s, int which, enum standard_kind kind)
{
    int opened;
    if (!CHECK(standard_begin(which, kind, NAME, 0)))
        return false;
    opened = which == 0 ? pl_stdin(&s->stream) : pl_stdout(&s->stream);
    standard_give_back();
    return CHECK(opened > 0);
}

static void close_stream(void *state)
{
    standard *s = state;
    pl_stream_abort(s->stream);
    standard_hang_up();
    free(s->data);
}

/* --- pl_read of pl_stdin --- */

static bool pipe_set_up(void *state, moment at)
{
    (void)at;
    return open_as(state, 0, STANDARD_PIPE);
}

static bool socket_set_up(void *state, moment at)
{
    (void)at;
    return open_as(state, 0, STANDARD_SOCKET);
}

static bool terminal_set_up(void *state, moment at)
{
    (void)at;
    return open_as(state, 0, STANDARD_TERMINAL);
}

static int read_start(pl_op *op, void *state)
{
    standard *s = state;
    return pl_read_start(op, s->stream, s->line, FIRST);
}

static int64_t read_call(void *state)
{
    standard *s = state;
    return pl_read(s->stream, s->line, FIRST);
}

static void feed_first(void *state)
{
    (void)state;
    CHECK(standard_feed(first, FIRST));
}

static void expect_line(standard *s, const char *line, int64_t size)
{
    memset(s->line, 0, sizeof s->line);
    CHECK_EQ_INT(read_whole(s->stream, s->line, (size_t)size), size);
    CHECK_STR(s->line, line);
}

/* What a cancelled read did not take the next one takes, once. */
static void read_check(void *state, int64_t result)
{
    standard *s = state;
    if (result == PL_ECANCELED)
        expect_line(s, first, FIRST);
    CHECK_STR(s->line, first);
    CHECK(standard_feed(second, SECOND));
    expect_line(s, second, SECOND);
}

const moment_row moment_row_console_read_pipe = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(standard),
    .set_up = pipe_set_up,
    .start = read_start,
    .call = read_call,
    .complete = feed_first,
    .check = read_check,
    .tear_down = close_stream,
};

/* Served by a thread on Unix, too. */
const moment_row moment_row_console_read_socket = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(standard),
    .set_up = socket_set_up,
    .start = read_start,
    .call = read_call,
    .complete = feed_first,
    .check = read_check,
    .tear_down = close_stream,
};

const moment_row moment_row_console_read_terminal = {
    .kind = MOMENT_REQUEST,
    .size = sizeof(standard),
    .set_up = terminal_set_up,
    .start = read_start,
    .call = read_call,
    .complete = feed_first,
    .check = read_check,
    .tear_down = close_stream,
};

/* --- The same, of a file --- */

static bool file_set_up(void *state, moment at)
{
    (void)at;
    if (!CHECK(file_make(NAME, "first\nsecond\n", FIRST + SECOND)) || !open_as(state, 0, STANDARD_FILE))
        return false;
    shims_hold(SHIM_READ);
    return true;
}

static bool is_held(void *state)
{
    (void)state;
    return shims_held(SHIM_READ) >= 1;
}

static void release(void *state)
{
    (void)state;
    shims_release(SHIM_READ);
}

/* The place in the file is where the last byte was taken. */
static void file_check(void *state, int64_t result)
{
    standard *s = state;
    char byte;
    if (result == PL_ECANCELED)
        expect_line(s, first, FIRST);
    CHECK_STR(s->line, first);
    expect_line(s, second, SECOND);
    CHECK_EQ_INT(pl_read(s->stream, &byte, 1), 0);
}

static void remove_file(void)
{
    path_remove(NAME);
}

const moment_row moment_row_console_read_file = {
    .kind = MOMENT_JOINED, /* the thread writes the caller's memory, and a file's read is not interrupted */
    .size = sizeof(standard),
    .set_up = file_set_up,
    .start = read_start,
    .call = read_call,
    .is_pending = is_held,
    .complete = release,
    .check = file_check,
    .tear_down = close_stream,
    .clean_up = remove_file,
};

/* --- pl_write to pl_stdout --- */

enum { LARGE = 1024 * 1024 }; /* more than the system takes in while nobody reads */

static bool set_up_writing(standard *s, enum standard_kind kind)
{
    s->data = malloc(LARGE + 1);
    if (CHECK(s->data != NULL) && open_as(s, 1, kind)) {
        pattern_fill(s->data, LARGE + 1, 0);
        return true;
    }
    free(s->data);
    return false;
}

static bool write_pipe_set_up(void *state, moment at)
{
    (void)at;
    return set_up_writing(state, STANDARD_PIPE);
}

static bool write_socket_set_up(void *state, moment at)
{
    (void)at;
    return set_up_writing(state, STANDARD_SOCKET);
}

static int write_start(pl_op *op, void *state)
{
    standard *s = state;
    return pl_write_start(op, s->stream, s->data, LARGE);
}

static int64_t write_call(void *state)
{
    standard *s = state;
    return pl_write(s->stream, s->data, LARGE);
}

static void drain(void *state)
{
    static uint8_t data[1 << 16];
    standard *s = state;
    int64_t count;
    while ((count = standard_drain_now(data, sizeof data)) > 0) {
        CHECK(pattern_holds(data, (size_t)count, (uint64_t)s->drained));
        s->drained += count;
    }
}

static bool all_is_there(void *state)
{
    standard *s = state;
    drain(state);
    return s->drained >= pl_stream_bytes_written(s->stream);
}

/* What was written arrives, and no more than that; the stream says whether it is whole. */
static void write_check(void *state, int64_t result)
{
    standard *s = state;
    int64_t written = pl_stream_bytes_written(s->stream), after;
    moment_wait_until(all_is_there, s);
    CHECK(result >= 0 ? written == LARGE : written < LARGE);
    after = pl_write(s->stream, s->data + written, 1);
    if (after == PL_OK) {
        CHECK(result >= 0 || written == 0);
        moment_wait_until(all_is_there, s);
        CHECK_EQ_INT(s->drained, written + 1);
    } else {
        CHECK_EQ_INT(after, PL_EBROKEN);
        CHECK(result < 0);
        if (!on_backend("iocp")) /* there the system does not say how far it came */
            CHECK_EQ_INT(s->drained, written);
    }
}

const moment_row moment_row_console_write_pipe = {
    .kind = MOMENT_PIECES,
    .size = sizeof(standard),
    .set_up = write_pipe_set_up,
    .start = write_start,
    .call = write_call,
    .complete = drain,
    .check = write_check,
    .tear_down = close_stream,
    .writes = true,
    .repeats = true,
};

const moment_row moment_row_console_write_socket = {
    .kind = MOMENT_PIECES,
    .size = sizeof(standard),
    .set_up = write_socket_set_up,
    .start = write_start,
    .call = write_call,
    .complete = drain,
    .check = write_check,
    .tear_down = close_stream,
    .writes = true,
    .repeats = true,
};
