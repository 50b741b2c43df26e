/* The standard streams: the platform says what each is and fills a handle; the rest is a stream's affair. */
#include <proloop/console.h>

#include "loop.h"
#include "stream.h"

static int open_handle(pl_stream *stream, enum pl__standard_stream which)
{
    pl__handle handle;
    pl__handle_init(&handle);
    pl__request request = {.kind = PL__REQUEST_STANDARD_OPEN, .option = (uint8_t)which, .handle = &handle};
    int kind = pl__loop_control(stream->loop, &request);
    if (kind < 0)
        return kind;
    int opened = pl__stream_open(stream, &handle);
    return opened < 0 ? opened : kind;
}

static int open_standard(pl_stream **out, enum pl__standard_stream which)
{
    if (!out)
        return PL_EINVAL;
    *out = NULL;
    pl_loop *loop = NULL;
    int result = pl__loop_check(&loop);
    if (result < 0)
        return result;
    pl_stream *stream;
    result = pl__stream_create(&stream, loop);
    if (result < 0)
        return result;
    result = open_handle(stream, which);
    if (result < 0)
        pl_stream_close(stream);
    else
        *out = stream;
    return result;
}

int pl_stdin(pl_stream **stream)
{
    return open_standard(stream, PL__STANDARD_INPUT);
}

int pl_stdout(pl_stream **stream)
{
    return open_standard(stream, PL__STANDARD_OUTPUT);
}

int pl_stderr(pl_stream **stream)
{
    return open_standard(stream, PL__STANDARD_ERROR);
}
