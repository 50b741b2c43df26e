/* Pipes: named ones to listen at and to connect to, and pairs.
 *
 * A named pipe is opened by a job for a worker, as the call may block; the job owns its memory, so a cancel abandons it.
 * A server without room for one more is no failure: the attempt is made again after a delay, which doubles. So a connect
 * is an operation that has either a job under way or a timer running, with what both need in memory of its own.
 */
#include "pipe.h"

#include <proloop/pipe.h>

#include <string.h>

#include "allocator.h"
#include "file.h"
#include "listener.h"
#include "loop.h"
#include "stream.h"
#include "task.h"
#include "worker_pool.h"

#define PL__BUSY_DELAY     PL_MS(1)
#define PL__BUSY_DELAY_MAX PL_MS(100)

/* --- Listening ---------------------------------------------------------------------------------------------------- */

int pl_pipe_listen(pl_listener **listener, const char *name, const pl_pipe_listen_options *options)
{
    static const pl_pipe_listen_options defaults = {.size = sizeof(pl_pipe_listen_options)};
    if (!options)
        options = &defaults;
    if (!listener || !name || !*name || options->size != sizeof *options || options->backlog < 0 ||
        options->mode > 0777 || options->emfile_pause < 0)
        return PL_EINVAL;
    *listener = NULL;
    pl_loop *loop = NULL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    pl__request request = {.kind = PL__REQUEST_PIPE_LISTEN,
                           .name = name,
                           .access = options->sddl,
                           .value = options->mode ? options->mode : 0600,
                           .backlog = options->backlog};
    request.flags =
        (uint8_t)((options->message ? PL__PIPE_MESSAGES : 0) | (options->replace_stale ? PL__PIPE_REPLACE : 0));
    return pl__listener_create_by(listener, loop, &request, options->emfile_pause);
}

/* --- Connecting --------------------------------------------------------------------------------------------------- */

/* The owner of a connect's operation. */
typedef struct connecting {
    pl__op *op;
    pl_stream *stream; /* nobody has seen it yet */
    pl__timer retry;
    pl_duration delay;
    pl_pipe_connect_options options;
    size_t name_size; /* of the name that stands behind this struct */
} connecting;

static void connect_cancel(pl__op *op);
static void connect_finished(pl__completion *completion);

static const pl__op_type connect_type = {.name = "pipe connect", .cancel = connect_cancel};

static const char *name_of(const connecting *self)
{
    return (const char *)(self + 1);
}

static void connect_end(connecting *self, int64_t result, int32_t system_error)
{
    pl__op *op = self->op;
    if (result >= 0)
        *(pl_stream **)op->output = self->stream;
    else
        pl_stream_abort(self->stream);
    pl__release(self, sizeof *self + self->name_size);
    pl__op_end(op, result, system_error);
}

/* A pipe that was opened for nobody; on a worker if its open was abandoned. */
static void drop_opened(pl__job *job)
{
    if (job->as.pipe_open.opened.object != PL__NO_OBJECT)
        pl__pipe_close_opened(job);
    pl__job_destroy(job);
}

static pl__job *open_job(const connecting *self)
{
    pl__job *job = pl__job_create(PL__PIPE_OPEN, self->name_size);
    if (!job)
        return NULL;
    job->drop = drop_opened;
    job->as.pipe_open.name = pl__job_string(job, name_of(self));
    job->as.pipe_open.messages = self->options.message != 0;
    job->as.pipe_open.impersonate = self->options.impersonate != 0;
    pl__handle_init(&job->as.pipe_open.opened);
    return job;
}

static void attempt(void *arg)
{
    connecting *self = arg;
    pl__op *op = self->op;
    pl__job *job = open_job(self);
    if (!job) {
        connect_end(self, PL_ENOMEM, 0);
        return;
    }
    pl__op_submit_job(op, job, connect_finished);
}

/* The server is busy: again, a little later. */
static void attempt_later(connecting *self)
{
    pl_loop *loop = self->op->future.loop;
    int64_t deadline = pl__deadline_after(pl__loop_now(loop), self->delay);
    self->delay = self->delay < PL__BUSY_DELAY_MAX / 2 ? self->delay * 2 : PL__BUSY_DELAY_MAX;
    int started = pl__timer_start_at(&self->retry, loop, deadline, attempt, self);
    if (started < 0)
        connect_end(self, started, 0);
}

static void connect_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    connecting *self = op->owner;
    pl__job *job = completion->as.job; /* NULL: abandoned */
    int32_t system_error = completion->system_error;
    int64_t result = pl__completion_take(completion);
    if (result >= 0 && op->future.loop->ending)
        result = PL_ECLOSED;
    if (result >= 0) {
        result = pl__stream_open(self->stream, &job->as.pipe_open.opened);
        pl__handle_init(&job->as.pipe_open.opened);
    }
    if (job)
        job->drop(job);
    if (result == PL_EBUSY && !op->cancelling)
        attempt_later(self);
    else
        connect_end(self, pl__op_translate(op, result == PL_EBUSY ? PL_ECANCELED : result), system_error);
}

static void connect_cancel(pl__op *op)
{
    connecting *self = op->owner;
    if (pl__timer_stop(&self->retry))
        connect_end(self, op->cancel_code, 0);
    else
        pl__op_cancel_completion(op);
}

static connecting *connecting_create(pl_loop *loop, const char *name, const pl_pipe_connect_options *options)
{
    size_t name_size = strlen(name) + 1;
    connecting *self = pl__allocate_zeroed(sizeof *self + name_size);
    if (!self)
        return NULL;
    if (pl__stream_create(&self->stream, loop) < 0) {
        pl__release(self, sizeof *self + name_size);
        return NULL;
    }
    if (options)
        self->options = *options;
    self->delay = PL__BUSY_DELAY;
    self->name_size = name_size;
    memcpy(self + 1, name, name_size);
    return self;
}

int pl_pipe_connect_start(pl_op *op, pl_stream **out, const char *name, const pl_pipe_connect_options *options)
{
    if (!op || !out || !name || !*name || (options && options->size != sizeof *options))
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    *out = NULL;
    connecting *self = connecting_create(loop, name, options);
    pl__op *inner = pl__op_begin(op, loop, &connect_type, self, (void *)out);
    if (!self) {
        pl__op_end(inner, PL_ENOMEM, 0);
        return PL_OK;
    }
    self->op = inner;
    attempt(self);
    return PL_OK;
}

int64_t pl_pipe_connect(pl_stream **stream, const char *name, const pl_pipe_connect_options *options)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_pipe_connect_start(&op, stream, name, options));
}

/* --- Pairs -------------------------------------------------------------------------------------------------------- */

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
