/* Pipes: pairs within the process, and named ones. */
#include <proloop/proloop.h>

#include <string.h>

#include "harness.h"
#include "loopback.h"

/* True: the case is skipped. */
static bool skip_without_pipes(void)
{
    if (on_backend("sim"))
        skip_case("the simulation has no pipes");
    return on_backend("sim");
}

#define PIPE_CASE(name)                                                                                                \
    static void name##_body(void);                                                                                     \
    TASK_CASE(name)                                                                                                    \
    {                                                                                                                  \
        if (!skip_without_pipes())                                                                                     \
            name##_body();                                                                                             \
    }                                                                                                                  \
    static void name##_body(void)

/* --- Pairs -------------------------------------------------------------------------------------------------------- */

static bool open_pair(pl_stream **reader, pl_stream **writer)
{
    *reader = *writer = NULL;
    return CHECK_EQ_INT(pl_pipe_pair(reader, writer), PL_OK) && CHECK(*reader != NULL) && CHECK(*writer != NULL);
}

PIPE_CASE(what_is_written_to_a_pair_is_read_in_order)
{
    pl_stream *reader;
    pl_stream *writer;
    REQUIRE(open_pair(&reader, &writer));
    CHECK(flow_across(writer, reader, 1));
    CHECK(flow_across(writer, reader, 65536));
    CHECK(flow_across(writer, reader, 3000000));
    pl_stream_close(reader);
    pl_stream_close(writer);
}

PIPE_CASE(the_reader_sees_the_end_after_the_writers_close)
{
    pl_stream *reader;
    pl_stream *writer;
    char data[8] = "";
    REQUIRE(open_pair(&reader, &writer));
    CHECK_EQ_INT(pl_write(writer, "last", 4), PL_OK);
    pl_stream_close(writer);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), 4);
    CHECK_MEM(data, "last", 4);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), 0);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), 0);
    pl_stream_close(reader);
}

PIPE_CASE(a_shut_writer_has_written_everything_and_writes_no_more)
{
    static char big[300000];
    pl_stream *reader;
    pl_stream *writer;
    pl_op op = {0};
    char data[8];
    REQUIRE(open_pair(&reader, &writer));
    pattern_fill(big, sizeof big, 0);
    CHECK_EQ_INT(pl_write_start(&op, writer, big, sizeof big), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(writer), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(writer), PL_OK);
    CHECK_EQ_INT(pl_write(writer, "x", 1), PL_EPIPE);
    {
        static char got[300001];
        CHECK_EQ_INT(read_whole(reader, got, sizeof got), sizeof big);
        CHECK(pattern_holds(got, sizeof big, 0));
    }
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(pl_read(reader, data, sizeof data), 0);
    CHECK_EQ_INT(pl_stream_flush(writer), PL_OK);
    CHECK_EQ_INT(pl_stream_shutdown(writer), PL_OK);
    CHECK_EQ_INT(pl_write(writer, "x", 1), PL_EPIPE);
    CHECK_EQ_INT(pl_stream_bytes_written(writer), sizeof big);
    pl_stream_close(reader);
    pl_stream_close(writer);
}

TEST_SUITE(pipe, TEST_BACKENDS_ALL,
           CASE(what_is_written_to_a_pair_is_read_in_order),
           CASE(the_reader_sees_the_end_after_the_writers_close),
           CASE(a_shut_writer_has_written_everything_and_writes_no_more))
