/* Streams: one reader, a queue of writers, and an orderly end.
 *
 * A read is one completion, in the operation that waits for it. Writes are operations in a queue; the first
 * one has its completion submitted, again and again until its bytes are gone, and then the next has its turn.
 * What the system takes at once never suspends anybody.
 *
 * Closing is two things: the user's part ends at once (calls get PL_ECLOSED, the reader is cancelled), the
 * handle's part within `linger`: the queue goes out, the peer is told that no more will come, and what it
 * still sends is read and dropped until it ends too. (A socket that is closed with unread input resets the
 * connection, and the reset overtakes what was written.) The struct goes with the last reference: the
 * owner's, the open handle's, and one for each operation.
 */
#include "stream.h"

#include <proloop/net.h>
#include <proloop/pipe.h>

#include <string.h>

#include "allocator.h"
#include "debug.h"
#include "file.h"
#include "loop.h"
#include "task.h"

enum {
    PL__SENDS_PER_TURN = 16,  /* then others have theirs */
    PL__READS_PER_CLOSE = 64, /* in one go, of what nobody will look at */
    PL__LINGER_SECONDS = 5
};

static void close_if_idle(pl_stream *stream);

/* --- Life --------------------------------------------------------------------------------------------------------- */

int pl__stream_create(pl_stream **out, pl_loop *loop)
{
    pl_stream *stream = pl__allocate_zeroed(sizeof *stream);
    if (!stream)
        return PL_ENOMEM;
    pl__handle_init(&stream->handle);
    pl__list_init(&stream->writes);
    stream->loop = loop;
    stream->references = 1;
    stream->owned = true;
    stream->linger = PL_SECONDS(PL__LINGER_SECONDS);
    pl__loop_hold(loop);
    *out = stream;
    return PL_OK;
}

int pl__stream_open(pl_stream *stream, const pl__handle *socket)
{
    PL__CHECK(stream->handle.object == PL__NO_OBJECT && !socket->attached);
    stream->handle = *socket;
    int attached = stream->loop->proactor->type->attach(stream->loop->proactor, &stream->handle);
    if (attached < 0) {
        pl__request request = {.kind = PL__REQUEST_HANDLE_CLOSE, .handle = &stream->handle};
        (void)pl__loop_control(stream->loop, &request);
        return attached;
    }
    pl__list_push_back(&stream->loop->streams, &stream->node);
    stream->references++;
    return PL_OK;
}

pl_stream *pl_stream_ref(pl_stream *stream)
{
    if (!stream || pl__loop_refuses(stream->loop, "pl_stream_ref"))
        return NULL;
    PL__CHECK(stream->references > 0);
    stream->references++;
    return stream;
}

void pl_stream_unref(pl_stream *stream)
{
    if (!stream || pl__loop_refuses(stream->loop, "pl_stream_unref"))
        return;
    PL__CHECK(stream->references > 0);
    if (--stream->references > 0)
        return;
    PL__CHECK(stream->handle.object == PL__NO_OBJECT && !stream->reader && pl__list_is_empty(&stream->writes));
    pl_loop *loop = stream->loop;
    if (stream->lent)
        pl__buffer_give(&loop->buffers, stream->lent);
    pl__release(stream, sizeof *stream);
    pl__loop_release(loop);
}

/* What keeps a call from touching the stream: PL_OK, PL_EINVAL, PL_ECLOSED, PL_ETHREAD. */
static int check_open(const pl_stream *stream)
{
    if (!stream)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(stream->loop);
    if (checked < 0)
        return checked;
    bool open = stream->handle.object != PL__NO_OBJECT || stream->shut_done; /* a shut writing end has no handle */
    return stream->closed || !open ? PL_ECLOSED : PL_OK;
}

static bool has_trait(const pl_stream *stream, enum pl__handle_trait trait)
{
    return (stream->handle.traits & trait) != 0;
}

static int control(pl_stream *stream, pl__request request)
{
    request.handle = &stream->handle;
    return pl__loop_control(stream->loop, &request);
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

static const pl__op_type read_type = {.name = "read", .cancel = pl__op_cancel_completion};

/* A closed stream lends nothing: it may be gone before its loan comes back. */
static int64_t lend(pl_stream *stream, pl__op *op, void *buffer, int64_t bytes)
{
    PL__CHECK(!stream->lent && buffer);
    if (stream->closed) {
        pl__buffer_give(&stream->loop->buffers, buffer);
        return PL_ECLOSED;
    }
    stream->lent = buffer;
    *(const void **)op->output = buffer;
    return bytes;
}

static void read_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_stream *stream = op->owner;
    PL__CHECK(stream->reader == op);
    stream->reader = NULL;
    int64_t result = pl__completion_take(completion);
    if (result > 0)
        stream->bytes_read += result;
    else if (result != PL_ECANCELED && result != PL_ENOMEM && result != PL_EMSGSIZE)
        stream->ended = true;
    if (result > 0 && op->output)
        result = lend(stream, op, completion->as.receive.data, result);
    pl__op_end(op, pl__op_translate(op, result), completion->system_error);
    close_if_idle(stream);
    pl_stream_unref(stream);
}

/* Reads into `data`, or, if that is NULL, lends a buffer through `lent`. */
static int read_start(pl_op *op, pl_stream *stream, void *data, size_t size, const void **lent)
{
    int checked = check_open(stream);
    if (checked == PL_OK)
        checked = pl__op_check(op, stream->loop);
    if (checked < 0)
        return checked;
    if (has_trait(stream, PL__WRITE_ONLY))
        return PL_ENOTSUP;
    if (stream->reader || stream->lent)
        return PL_EBUSY;
    pl__op *inner = pl__op_begin(op, stream->loop, &read_type, stream, (void *)(uintptr_t)lent);
    pl__completion *completion = &inner->completion;
    completion->kind = PL__RECEIVE;
    completion->handle = &stream->handle;
    completion->deliver = read_finished;
    completion->as.receive.data = data;
    completion->as.receive.size = size;
    completion->as.receive.pool = data ? NULL : &stream->loop->buffers;
    stream->reader = inner;
    stream->references++;
    if (!pl__loop_submit(stream->loop, completion))
        read_finished(completion);
    return PL_OK;
}

int pl_read_start(pl_op *op, pl_stream *stream, void *data, size_t size)
{
    return op && data && size ? read_start(op, stream, data, size, NULL) : PL_EINVAL;
}

int pl_read_borrow_start(pl_op *op, pl_stream *stream, const void **data)
{
    if (!op || !data)
        return PL_EINVAL;
    return read_start(op, stream, NULL, PL__BUFFER_SIZE, data);
}

int64_t pl_read(pl_stream *stream, void *data, size_t size)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_read_start(&op, stream, data, size));
}

int64_t pl_read_borrow(pl_stream *stream, const void **data)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_read_borrow_start(&op, stream, data));
}

int pl_read_return(pl_stream *stream)
{
    if (!stream)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(stream->loop);
    if (checked < 0)
        return checked;
    if (!stream->lent)
        return PL_ESTATE;
    pl__buffer_give(&stream->loop->buffers, stream->lent);
    stream->lent = NULL;
    return PL_OK;
}

/* --- Writing ------------------------------------------------------------------------------------------------------ */

static void write_cancel(pl__op *op);
static void write_finished(pl__completion *completion);
static void pump(void *arg);

static const pl__op_type write_type = {.name = "write", .cancel = write_cancel};
static const pl__op_type send_file_type = {.name = "send file", .cancel = write_cancel};

static pl__op *first_write(const pl_stream *stream)
{
    pl__node *node = pl__list_first(&stream->writes);
    return node ? PL__CONTAINER_OF(node, pl__op, as.write.queue) : NULL;
}

static pl__op *last_write(const pl_stream *stream)
{
    pl__node *node = pl__list_last(&stream->writes);
    return node ? PL__CONTAINER_OF(node, pl__op, as.write.queue) : NULL;
}

/* Takes a write off the queue and ends it. */
static void write_end(pl__op *op, int64_t result, int32_t system_error)
{
    pl_stream *stream = op->owner;
    pl__node_unlink(&op->as.write.queue);
    if (op->type == &send_file_type)
        pl__file_let_go(op->output);
    else if (op->output) /* the joined message */
        pl__release(op->output, (size_t)op->as.write.size);
    pl__op_end(op, result, system_error);
    pl_stream_unref(stream);
}

/* The write side is of no use any more: this write ends with `result`, later ones with `later`. */
static void break_writes(pl__op *op, int64_t result, int32_t system_error, int64_t later)
{
    pl_stream *stream = pl_stream_ref(op->owner);
    stream->write_error = later;
    write_end(op, result, system_error);
    while ((op = first_write(stream)))
        write_end(op, pl__op_translate(op, op->cancelling ? PL_ECANCELED : later), 0);
    pl_stream_unref(stream);
}

/* A write that was cancelled and has nothing in flight: it did not happen, or it broke the write side. */
static void write_end_cancelled(pl__op *op)
{
    if (op->as.write.done == 0)
        write_end(op, op->cancel_code, 0);
    else
        break_writes(op, op->cancel_code, 0, PL_EBROKEN);
}

/* Skips the bytes that went out, and empty buffers. */
static void advance(pl__completion *completion, int64_t bytes)
{
    completion->as.send.offset += (size_t)bytes;
    while (completion->as.send.count > 0 && completion->as.send.offset >= completion->as.send.buffers->size) {
        completion->as.send.offset -= completion->as.send.buffers->size;
        completion->as.send.buffers++;
        completion->as.send.count--;
    }
}

/* Takes the result of one send of the first write, which may be its end. */
static void take_sent(pl__op *op)
{
    pl_stream *stream = op->owner;
    pl__completion *completion = &op->completion;
    int64_t sent = pl__completion_take(completion);
    if (sent == PL_ECANCELED && op->cancelling) {
        write_end_cancelled(op);
        return;
    }
    if (sent == PL_EBROKEN && op->cancelling) { /* nobody knows how far it came */
        break_writes(op, op->cancel_code, completion->system_error, PL_EBROKEN);
        return;
    }
    if (sent == PL_EMSGSIZE && has_trait(stream, PL__MESSAGES)) { /* nothing of it went out */
        write_end(op, sent, completion->system_error);
        return;
    }
    if (sent < 0) {
        break_writes(op, sent, completion->system_error, sent);
        return;
    }
    op->as.write.done += sent;
    stream->bytes_written += sent;
    PL__CHECK(op->as.write.done <= op->as.write.size);
    if (op->type == &write_type) {
        advance(completion, sent);
    } else {
        completion->as.send_file.offset += sent;
        completion->as.send_file.size -= sent;
        if (sent == 0)
            op->as.write.size = op->as.write.done; /* the file ends here */
    }
}

/* The first write has all its bytes out. */
static void write_complete(pl__op *op)
{
    write_end(op, op->type == &write_type ? 0 : op->as.write.done, 0);
}

/* Sends one piece of the first write. False: it is pending. */
static bool send_piece(pl__op *op)
{
    op->completion.kind = op->type == &write_type ? PL__SEND : PL__SEND_FILE;
    op->completion.handle = &((pl_stream *)op->owner)->handle;
    op->completion.deliver = write_finished;
    if (pl__loop_submit(op->future.loop, &op->completion))
        return false;
    take_sent(op);
    return true;
}

static void close_handle(pl_stream *stream);

static void shut_down(pl_stream *stream)
{
    if (!stream->shut || stream->shut_done || stream->write_error < 0)
        return;
    stream->shut_done = true;
    if (has_trait(stream, PL__WRITE_ONLY))
        close_handle(stream);
    else
        (void)control(stream, (pl__request){.kind = PL__REQUEST_SOCKET_SHUTDOWN});
}

/* Sends as long as the system takes it, up to a fair share of the turn. */
static void pump(void *arg)
{
    pl_stream *stream = pl_stream_ref(arg);
    int sends = 0;
    for (pl__op *op; (op = first_write(stream));) {
        if (op->completion.state != PL__IDLE)
            break;
        if (op->as.write.done == op->as.write.size) {
            write_complete(op);
        } else if (op->cancelling) {
            write_end_cancelled(op);
        } else if (sends++ == PL__SENDS_PER_TURN) {
            if (!pl__node_is_linked(&stream->pump.node))
                pl__callback_ready(&stream->pump, stream->loop, pump, stream);
            break;
        } else if (!send_piece(op)) {
            break;
        }
    }
    if (pl__list_is_empty(&stream->writes)) {
        shut_down(stream);
        close_if_idle(stream);
    }
    pl_stream_unref(stream);
}

static void write_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_stream *stream = pl_stream_ref(op->owner);
    PL__CHECK(first_write(stream) == op);
    take_sent(op);
    pump(stream);
    pl_stream_unref(stream);
}

static void write_cancel(pl__op *op)
{
    pl_stream *stream = op->owner;
    if (op->completion.state != PL__IDLE) {
        pl__loop_cancel(stream->loop, &op->completion);
        return;
    }
    (void)pl_stream_ref(stream);
    write_end_cancelled(op);
    if (!stream->dropping)
        pump(stream);
    pl_stream_unref(stream);
}

/* What keeps a write from being queued. */
static int check_write(const pl_op *op, const pl_stream *stream)
{
    int checked = check_open(stream);
    if (checked == PL_OK)
        checked = pl__op_check(op, stream->loop);
    if (checked == PL_OK && has_trait(stream, PL__READ_ONLY))
        checked = PL_ENOTSUP;
    if (checked == PL_OK && stream->shut)
        checked = PL_EPIPE;
    return checked;
}

static void enqueue(pl__op *op)
{
    pl_stream *stream = op->owner;
    bool first = pl__list_is_empty(&stream->writes);
    pl__list_push_back(&stream->writes, &op->as.write.queue);
    stream->references++;
    if (stream->write_error < 0)
        write_end(op, stream->write_error, 0);
    else if (first)
        pump(stream);
}

/* The sum of the buffers; PL_EINVAL: too much, or a NULL with a size. */
static int64_t total_size(const pl_buffer *buffers, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (!buffers[i].data && buffers[i].size)
            return PL_EINVAL;
        total += buffers[i].size;
        if (total > INT64_MAX || total < buffers[i].size)
            return PL_EINVAL;
    }
    return (int64_t)total;
}

/* Makes one buffer of several, as a message is sent by one call of the system. False: out of memory. */
static bool join(pl__op *op, const pl_buffer *buffers, size_t count)
{
    uint64_t size = (uint64_t)op->as.write.size;
    char *end = size <= SIZE_MAX ? pl__allocate((size_t)size) : NULL;
    if (!end)
        return false;
    op->output = end;
    op->as.write.single = (pl_buffer){end, (size_t)size};
    for (size_t i = 0; i < count; i++) {
        if (buffers[i].size)
            memcpy(end, buffers[i].data, buffers[i].size);
        end += buffers[i].size;
    }
    return true;
}

/* Queues a write of `count` buffers; `buffers` NULL: of the one given. */
static int write_start(pl_op *op, pl_stream *stream, const pl_buffer *buffers, size_t count, pl_buffer single)
{
    int64_t size = op && stream ? total_size(buffers ? buffers : &single, count) : PL_EINVAL;
    int checked = size < 0 ? (int)size : check_write(op, stream);
    if (checked < 0)
        return checked;
    if (has_trait(stream, PL__MESSAGES) && size == 0)
        return PL_EINVAL; /* it would look like the end */
    pl__op *inner = pl__op_begin(op, stream->loop, &write_type, stream, NULL);
    inner->as.write.size = size;
    inner->as.write.single = single;
    if (has_trait(stream, PL__MESSAGES) && count > 1 && !join(inner, buffers, count)) {
        pl__op_end(inner, PL_ENOMEM, 0);
        return PL_OK;
    }
    if (inner->output)
        count = 1;
    inner->completion.as.send.buffers = buffers && !inner->output ? buffers : &inner->as.write.single;
    inner->completion.as.send.count = count;
    advance(&inner->completion, 0);
    enqueue(inner);
    return PL_OK;
}

int pl_write_buffers_start(pl_op *op, pl_stream *stream, const pl_buffer *buffers, size_t count)
{
    if (!buffers && count)
        return PL_EINVAL;
    return write_start(op, stream, buffers, count, (pl_buffer){NULL, 0});
}

int pl_write_start(pl_op *op, pl_stream *stream, const void *data, size_t size)
{
    return write_start(op, stream, NULL, 1, (pl_buffer){data, size});
}

int pl_stream_send_file_start(pl_op *op, pl_stream *stream, pl_file *file, int64_t offset, int64_t size)
{
    if (!op || !stream || !file || offset < 0 || size < 0)
        return PL_EINVAL;
    if (size > INT64_MAX - offset)
        size = INT64_MAX - offset; /* as far as the file goes */
    int checked = check_write(op, stream);
    if (checked == PL_OK && (stream->handle.type != PL__SOCKET || has_trait(stream, PL__MESSAGES)))
        checked = PL_ENOTSUP;
    if (checked == PL_OK)
        checked = pl__file_check(file, stream->loop);
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, stream->loop, &send_file_type, stream, file);
    pl__file_hold(file);
    size = pl__file_reach(file, offset, size);
    inner->as.write.size = size;
    inner->completion.as.send_file.file = pl__file_object(file);
    inner->completion.as.send_file.offset = offset;
    inner->completion.as.send_file.size = size;
    enqueue(inner);
    return PL_OK;
}

int64_t pl_write(pl_stream *stream, const void *data, size_t size)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_write_start(&op, stream, data, size));
}

int64_t pl_write_buffers(pl_stream *stream, const pl_buffer *buffers, size_t count)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_write_buffers_start(&op, stream, buffers, count));
}

int64_t pl_stream_send_file(pl_stream *stream, pl_file *file, int64_t offset, int64_t size)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_stream_send_file_start(&op, stream, file, offset, size));
}

/* Queues an empty write, which has its turn after all that are queued, after a half close too. */
static int flush_start(pl_op *op, pl_stream *stream)
{
    int checked = check_open(stream);
    if (checked == PL_OK)
        checked = pl__op_check(op, stream->loop);
    if (checked == PL_OK)
        enqueue(pl__op_begin(op, stream->loop, &write_type, stream, NULL));
    return checked;
}

int64_t pl_stream_flush(pl_stream *stream)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, flush_start(&op, stream));
}

int pl_stream_shutdown(pl_stream *stream)
{
    int checked = check_open(stream);
    if (checked < 0)
        return checked;
    if (has_trait(stream, PL__READ_ONLY) || has_trait(stream, PL__NO_HALF_CLOSE))
        return PL_ENOTSUP;
    if (stream->write_error < 0)
        return (int)stream->write_error;
    stream->shut = true;
    if (pl__list_is_empty(&stream->writes))
        shut_down(stream);
    return PL_OK;
}

/* --- Closing ------------------------------------------------------------------------------------------------------ */

/* Whether bytes of ours may still be on their way to a peer that a reset would reach first. Pipes know no reset, and a
 * peer that cannot be told of the end does not end either. */
static bool wants_drain(const pl_stream *stream)
{
    return stream->handle.type == PL__SOCKET && !stream->drained && !stream->dropping && !stream->ended &&
           stream->bytes_written > 0 && stream->write_error == 0 && stream->linger > 0;
}

/* Takes the result of one read of the drain. */
static void drain_take(pl_stream *stream)
{
    if (pl__completion_take(&stream->drain) > 0)
        pl__buffer_give(&stream->loop->buffers, stream->drain.as.receive.data);
    else
        stream->drained = true;
}

static void drain_finished(pl__completion *completion)
{
    pl_stream *stream = PL__CONTAINER_OF(completion, pl_stream, drain);
    drain_take(stream);
    close_if_idle(stream);
}

static bool arm_linger(pl_stream *stream);

/* Reads and drops what the peer sends. False: that is over. */
static bool drain(pl_stream *stream)
{
    stream->shut = true;
    shut_down(stream);
    if (!arm_linger(stream))
        return false;
    for (int reads = 0; !stream->drained; reads++) {
        if (reads == PL__READS_PER_CLOSE) /* it sends without end: that is answered by a reset */
            return false;
        stream->drain = (pl__completion){.kind = PL__RECEIVE, .handle = &stream->handle, .deliver = drain_finished};
        stream->drain.as.receive.size = PL__BUFFER_SIZE;
        stream->drain.as.receive.pool = &stream->loop->buffers;
        if (pl__loop_submit(stream->loop, &stream->drain)) {
            if (stream->loop->closing) /* all that was there is read; the loop does not wait for more */
                pl__loop_cancel(stream->loop, &stream->drain);
            return true;
        }
        drain_take(stream);
    }
    return false;
}

static void close_handle(pl_stream *stream)
{
    (void)pl__timer_stop(&stream->linger_timer);
    if (pl__node_is_linked(&stream->pump.node))
        pl__node_unlink(&stream->pump.node);
    stream->loop->proactor->type->detach(stream->loop->proactor, &stream->handle);
    (void)control(stream, (pl__request){.kind = PL__REQUEST_HANDLE_CLOSE});
    PL__CHECK(stream->handle.object == PL__NO_OBJECT);
    pl__node_unlink(&stream->node);
    pl_stream_unref(stream); /* the open handle's */
}

static void close_if_idle(pl_stream *stream)
{
    if (!stream->closed || stream->handle.object == PL__NO_OBJECT || stream->reader ||
        !pl__list_is_empty(&stream->writes) || stream->drain.state != PL__IDLE || stream->handle.in_flight > 0)
        return;
    if (wants_drain(stream) && drain(stream))
        return;
    close_handle(stream);
}

/* Everything queued ends with PL_ECLOSED, and the peer sees a reset. */
static void drop_writes(pl_stream *stream)
{
    if (stream->dropping)
        return;
    stream->dropping = true;
    if (stream->handle.type == PL__SOCKET)
        (void)control(stream, (pl__request){.kind = PL__REQUEST_SOCKET_OPTION, .option = PL__OPTION_RESET, .value = 1});
    /* From the back: those behind the first have not begun, and end here and now. */
    for (pl__op *op; (op = last_write(stream));) {
        bool first = op == first_write(stream);
        pl__op_cancel(op, PL_ECLOSED);
        if (first)
            break;
    }
}

static void linger_over(void *arg)
{
    pl_stream *stream = pl_stream_ref(arg);
    if (!pl__list_is_empty(&stream->writes)) {
        pl__loop_report(stream->loop, "a closed stream could not write everything in time, and is reset", PL_ETIMEDOUT,
                        0, NULL, NULL);
        drop_writes(stream);
    }
    stream->drained = true;
    pl__loop_cancel(stream->loop, &stream->drain);
    close_if_idle(stream);
    pl_stream_unref(stream);
}

/* The limit of the whole close. False: there is no memory for it. */
static bool arm_linger(pl_stream *stream)
{
    if (pl__timer_is_running(&stream->linger_timer))
        return true;
    int64_t deadline = pl__deadline_after(pl__loop_now(stream->loop), stream->linger);
    return pl__timer_start_at(&stream->linger_timer, stream->loop, deadline, linger_over, stream) == PL_OK;
}

static void begin_close(pl_stream *stream, bool reset)
{
    bool was_closed = stream->closed;
    stream->closed = true;
    if (stream->handle.object == PL__NO_OBJECT)
        return;
    (void)pl_stream_ref(stream);
    if (stream->reader)
        pl__op_cancel(stream->reader, PL_ECLOSED);
    if (reset) {
        drop_writes(stream);
    } else if (!was_closed && !pl__list_is_empty(&stream->writes)) {
        if (stream->linger <= 0 || !arm_linger(stream))
            drop_writes(stream);
    }
    close_if_idle(stream);
    pl_stream_unref(stream);
}

static void give_up(pl_stream *stream, bool reset, const char *function)
{
    if (!stream || pl__loop_refuses(stream->loop, function))
        return;
    PL__CHECK(stream->owned);
    begin_close(stream, reset);
    stream->owned = false;
    pl_stream_unref(stream);
}

void pl_stream_close(pl_stream *stream)
{
    give_up(stream, false, "pl_stream_close");
}

void pl_stream_abort(pl_stream *stream)
{
    give_up(stream, true, "pl_stream_abort");
}

void pl_stream_drop(void *stream)
{
    pl_stream_close(stream);
}

bool pl__op_lingers(const pl__op *op)
{
    if (op->type != &write_type && op->type != &send_file_type)
        return false;
    const pl_stream *stream = op->owner;
    return stream->closed && !stream->dropping;
}

/* The loop does not wait for more input, nor for ever for what a closed stream still has to write. */
static void hurry(pl_stream *stream)
{
    pl__loop_cancel(stream->loop, &stream->drain);
    if (stream->linger <= PL_SECONDS(PL__LINGER_SECONDS))
        return;
    stream->linger = PL_SECONDS(PL__LINGER_SECONDS);
    (void)pl__timer_stop(&stream->linger_timer);
    if (!arm_linger(stream))
        drop_writes(stream);
}

void pl__streams_close(pl_loop *loop)
{
    PL__LIST_EACH (node, &loop->streams) {
        pl_stream *stream = PL__CONTAINER_OF(node, pl_stream, node);
        if (!stream->closed)
            begin_close(stream, true);
        else
            hurry(stream);
    }
}

/* --- Settings and facts ------------------------------------------------------------------------------------------- */

int pl_stream_set_linger(pl_stream *stream, pl_duration linger)
{
    int checked = linger < 0 ? PL_EINVAL : check_open(stream);
    if (checked == PL_OK)
        stream->linger = linger;
    return checked;
}

static int set_option(pl_stream *stream, uint8_t option, int64_t value)
{
    int checked = check_open(stream);
    if (checked < 0)
        return checked;
    bool of_tcp = option == PL__OPTION_NODELAY || option == PL__OPTION_KEEPALIVE;
    if (stream->handle.type != PL__SOCKET || (of_tcp && has_trait(stream, PL__NAMED)))
        return PL_ENOTSUP;
    return control(stream, (pl__request){.kind = PL__REQUEST_SOCKET_OPTION, .option = option, .value = value});
}

int pl_stream_set_nodelay(pl_stream *stream, int on)
{
    return set_option(stream, PL__OPTION_NODELAY, on != 0);
}

int pl_stream_set_keepalive(pl_stream *stream, int seconds)
{
    return seconds < 0 ? PL_EINVAL : set_option(stream, PL__OPTION_KEEPALIVE, seconds);
}

int pl_stream_set_buffers(pl_stream *stream, size_t send, size_t receive)
{
    if (send > INT32_MAX || receive > INT32_MAX)
        return PL_EINVAL;
    int result = check_open(stream);
    if (result == PL_OK && send)
        result = set_option(stream, PL__OPTION_SEND_BUFFER, (int64_t)send);
    if (result == PL_OK && receive)
        result = set_option(stream, PL__OPTION_RECEIVE_BUFFER, (int64_t)receive);
    return result;
}

static int get_address(pl_stream *stream, uint8_t kind, pl_address *address)
{
    int checked = address ? check_open(stream) : PL_EINVAL;
    if (checked < 0)
        return checked;
    if (stream->handle.type != PL__SOCKET || has_trait(stream, PL__NAMED))
        return PL_ENOTSUP;
    pl__request request = {.kind = kind, .handle = &stream->handle};
    int result = pl__loop_control(stream->loop, &request);
    if (result >= 0)
        *address = request.address;
    return result;
}

int pl_stream_local_address(pl_stream *stream, pl_address *address)
{
    return get_address(stream, PL__REQUEST_SOCKET_NAME, address);
}

int pl_stream_peer_address(pl_stream *stream, pl_address *address)
{
    return get_address(stream, PL__REQUEST_SOCKET_PEER, address);
}

int pl_stream_peer_identity(pl_stream *stream, pl_peer_identity *identity)
{
    int checked = identity ? check_open(stream) : PL_EINVAL;
    if (checked < 0)
        return checked;
    if (!has_trait(stream, PL__NAMED))
        return PL_ENOTSUP;
    *identity = (pl_peer_identity){.process = -1, .user = -1, .group = -1};
    return control(stream, (pl__request){.kind = PL__REQUEST_PIPE_PEER, .identity = identity});
}

int64_t pl_stream_bytes_written(const pl_stream *stream)
{
    int checked = stream ? pl__loop_check_thread(stream->loop) : PL_EINVAL;
    return checked < 0 ? checked : stream->bytes_written;
}

int64_t pl_stream_bytes_read(const pl_stream *stream)
{
    int checked = stream ? pl__loop_check_thread(stream->loop) : PL_EINVAL;
    return checked < 0 ? checked : stream->bytes_read;
}
