/* proloop/stream.h: a connection that carries bytes both ways.
 *
 * A stream has one reader and any number of writers at a time: a second read gets PL_EBUSY, writes go out
 * whole, first in first out. It is counted: the one who got it from accept or connect owns it and closes it.
 * Closing never suspends and never fails: waiting reads get PL_ECLOSED, writes that were queued still go out
 * within the linger time, and what is left when that ends is dropped, the connection reset, and a report
 * made. Input that nobody will read is taken from the system meanwhile, so that it does not turn the close
 * into a reset that overtakes what was written.
 *
 * Either it happened or it did not: a read that returns PL_ECANCELED took no bytes. Bytes that came in spite
 * of the cancel are returned, and the cancel comes at the next wait.
 */
#ifndef PROLOOP_STREAM_H
#define PROLOOP_STREAM_H

#include <proloop/base.h>
#include <proloop/file.h>
#include <proloop/op.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_stream pl_stream;
struct pl_address;

/** Reads what is there, at least one byte. Task call (suspends).
 *  @return bytes; 0: the peer sends no more; PL_ECONNRESET, PL_ECLOSED, PL_EBUSY (another read is under way),
 *  PL_EMSGSIZE (of a pipe that keeps messages: the next one is larger than that, and stays), PL_ECANCELED.   asyncio: StreamReader.read. */
PL_API int64_t pl_read(pl_stream *stream, void *data, size_t size);

/** The same, started. */
PL_API int pl_read_start(pl_op *op, pl_stream *stream, void *data, size_t size);

/** Reads into a pooled buffer that is lent until pl_read_return: a connection that waits holds no memory. Task call
 *  (suspends). @return bytes, and *data shows them; 0 or an error: nothing was lent. PL_EBUSY: the last loan was not
 *  returned. */
PL_API int64_t pl_read_borrow(pl_stream *stream, const void **data);

/** The same, started. */
PL_API int pl_read_borrow_start(pl_op *op, pl_stream *stream, const void **data);

/** Ends the loan; before pl_stream_close, unless a reference keeps the stream. @return PL_OK; PL_ESTATE: nothing is
 *  lent. */
PL_API int pl_read_return(pl_stream *stream);

/** Writes all of it. Task call (suspends while the system takes no more).
 *  @return PL_OK: all of it went out; PL_ECANCELED: either nothing happened, or the write side is broken (later
 *  writes: PL_EBROKEN) and pl_stream_bytes_written tells how far it came (on Windows: at least, as the system does not
 *  say it of a send it was in); PL_ECONNRESET, PL_EPIPE (after shutdown), PL_ECLOSED. */
PL_API int64_t pl_write(pl_stream *stream, const void *data, size_t size);

/** Writes several buffers as one. `buffers` itself must live until it is done. */
PL_API int64_t pl_write_buffers(pl_stream *stream, const pl_buffer *buffers, size_t count);

/** The same, started. */
PL_API int pl_write_start(pl_op *op, pl_stream *stream, const void *data, size_t size);
PL_API int pl_write_buffers_start(pl_op *op, pl_stream *stream, const pl_buffer *buffers, size_t count);

/** Sends a part of a file without copying it through the program; in order with the writes. Task call (suspends).
 *  @return bytes, fewer than `size` only if the file, as it was when opened, ends before; errors as pl_write; PL_ENOTSUP: see pipe.h.   Win32:
 *  TransmitFile; asyncio: loop.sendfile. */
PL_API int64_t pl_stream_send_file(pl_stream *stream, pl_file *file, int64_t offset, int64_t size);

/** The same, started. The file is kept open until it is done. */
PL_API int pl_stream_send_file_start(pl_op *op, pl_stream *stream, pl_file *file, int64_t offset, int64_t size);

/** Half close: after the writes that are queued, tells the peer that no more will come. Reading goes on. Does not
 *  suspend. @return PL_OK; PL_ENOTSUP: a named pipe of Windows has no half close; PL_ECLOSED, PL_EBROKEN, PL_ENOTCONN.
 *  asyncio: write_eof. */
PL_API int pl_stream_shutdown(pl_stream *stream);

/** Waits until the writes that are queued now have gone out. Task call. @return PL_OK, or what became of the last. */
PL_API int64_t pl_stream_flush(pl_stream *stream);

/** Closes and gives the owner's reference back. Never suspends, never fails. NULL is allowed. */
PL_API void pl_stream_close(pl_stream *stream);

/** The same at once: what is queued is dropped, the connection reset. */
PL_API void pl_stream_abort(pl_stream *stream);

/** pl_stream_close, as a drop function. */
PL_API void pl_stream_drop(void *stream);

/** A stream that was closed stays valid (its calls give PL_ECLOSED) while references are held. */
PL_API pl_stream *pl_stream_ref(pl_stream *stream);
PL_API void pl_stream_unref(pl_stream *stream);

/** How long a close may take until queued writes are out and the peer has closed too: 5 s unless set; 0: what is
 *  queued is dropped, and nothing waited for. When the loop itself is closed it is 5 s at the most. */
PL_API int pl_stream_set_linger(pl_stream *stream, pl_duration linger);

/** TCP_NODELAY (on unless switched off), and keep-alive probes after so many seconds without traffic (0: off). */
PL_API int pl_stream_set_nodelay(pl_stream *stream, int on);
PL_API int pl_stream_set_keepalive(pl_stream *stream, int seconds);

/** The sizes of the system's buffers, in bytes; 0 leaves one as it is. */
PL_API int pl_stream_set_buffers(pl_stream *stream, size_t send, size_t receive);

PL_API int pl_stream_local_address(pl_stream *stream, struct pl_address *address);
PL_API int pl_stream_peer_address(pl_stream *stream, struct pl_address *address);

/** Bytes handed to the system, and received from it, so far. */
PL_API int64_t pl_stream_bytes_written(const pl_stream *stream);
PL_API int64_t pl_stream_bytes_read(const pl_stream *stream);

#ifdef __cplusplus
}
#endif

#endif
