/* Streams, from the inside. The model stands in stream.c. */
#ifndef PROLOOP_SRC_STREAM_H
#define PROLOOP_SRC_STREAM_H

#include <proloop/stream.h>

#include "op.h"
#include "timer.h"

struct pl_stream {
    pl__handle handle;
    pl_loop *loop;
    pl__node node;       /* the loop's streams, while the handle is open */
    uint32_t references; /* the owner's, users', one for the open handle, one per operation in flight */
    pl__op *reader;
    void *lent;      /* the buffer lent by pl_read_borrow */
    pl__list writes; /* pl__op, the first one being sent */
    pl__callback pump;
    pl__completion drain; /* after close: reads and drops what the peer still sends */
    pl__timer linger_timer;
    pl_duration linger;
    int64_t bytes_written;
    int64_t bytes_read;
    int64_t write_error; /* what later writes get; 0: none */
    bool owned;          /* the owner has not closed it */
    bool closed;
    bool dropping; /* what is queued is being dropped */
    bool shut;     /* nothing may be written any more */
    bool shut_done;
    bool ended;   /* the peer sends no more, or the connection is lost */
    bool drained; /* nothing is left to wait for */
};

/* A stream without a handle, with the owner's reference. PL_OK, PL_ENOMEM. */
int pl__stream_create(pl_stream **stream, pl_loop *loop);

/* Takes over a fresh socket and attaches it to the loop. On failure the socket is closed. */
int pl__stream_open(pl_stream *stream, const pl__handle *socket);

/* Closes all streams of the loop; queued writes of those closed before go on. */
void pl__streams_close(pl_loop *loop);

#endif
