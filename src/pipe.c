/* Pipes. */
#include "pipe.h"

#include <proloop/pipe.h>

#include "loop.h"
#include "stream.h"

int pl__pipe_pair(pl_loop *loop, pl__handle *ours, pl__handle *theirs, uint8_t flags)
{
    pl__request request = {.kind = PL__REQUEST_PIPE_PAIR, .handle = ours, .other = theirs, .flags = flags};
    return pl__loop_control(loop, &request);
}

/* Gives both ends to their streams: each is taken over, whether or not that succeeds. */
static int open_pair(pl_stream *reader, pl_stream *writer)
{
    pl__handle ends[2];
    pl__handle_init(&ends[0]);
    pl__handle_init(&ends[1]);
    int result = pl__pipe_pair(reader->loop, &ends[0], &ends[1], PL__PIPE_STREAMS);
    if (result < 0)
        return result;
    int opened = pl__stream_open(reader, &ends[0]);
    result = pl__stream_open(writer, &ends[1]);
    return opened < 0 ? opened : result;
}

int pl_pipe_pair(pl_stream **reader, pl_stream **writer)
{
    if (!reader || !writer)
        return PL_EINVAL;
    *reader = *writer = NULL;
    pl_loop *loop = NULL;
    int result = pl__loop_check(&loop);
    if (result < 0)
        return result;
    pl_stream *in = NULL, *out = NULL;
    result = pl__stream_create(&in, loop);
    if (result == PL_OK)
        result = pl__stream_create(&out, loop);
    if (result == PL_OK)
        result = open_pair(in, out);
    if (result < 0) {
        pl_stream_close(in);
        pl_stream_close(out);
        return result;
    }
    *reader = in;
    *writer = out;
    return PL_OK;
}
