/* Child processes: spawned by a worker, awaited by one completion, and collected once.
 *
 * A spawn opens its pipes on the loop's thread, so that all that can fail of ours has failed before there is a child; then
 * a worker makes it. From then on one completion tells of its end, whether or not somebody waits, and the waits of tasks
 * are a list that it serves: they come and go without touching the child. Who waits later gets what was kept.
 *
 * A closed process that still runs keeps its struct and its completion until it ends, so that it is collected; the end of
 * the loop cuts that short. References: the owner's, users', one for the completion, one per wait.
 */
#include "subprocess.h"

#include <string.h>

#include <proloop/gather.h>
#include <proloop/poll.h>
#include <proloop/task.h>

#include "allocator.h"
#include "debug.h"
#include "file.h"
#include "loop.h"
#include "op.h"
#include "pipe.h"
#include "stream.h"
#include "task.h"

enum {
    RETRY_MILLISECONDS = 10, /* a debugger may get the end of a child first */
    CAPTURE_STEP = 4096,
    SIGNAL_CODE = 128
};

struct pl_process {
    pl_loop *loop;
    pl__spawn *spawn; /* while it is being spawned, with what follows */
    size_t spawn_size;
    pl__handle theirs[PL__STDIO_COUNT];
    pl_file *files[PL__STDIO_COUNT];

    pl__subprocess child;
    pl__completion exit; /* tells of its end */
    pl__timer retry;
    pl__loop_end end;
    pl__list waiters; /* pl__op */
    pl_stream *streams[PL__STDIO_COUNT];
    uint64_t id;
    uint32_t references;
    bool owned;   /* the owner has not closed it */
    bool closed;  /* its calls give PL_ECLOSED */
    bool running; /* `child` is held, though it may have ended */
    bool ended;   /* `result` and `code` are known */
    bool kill_on_close;
    bool kill_tree;
    pl_process_result result;
    int64_t code;
};

static void child_ended(pl_process *process);

/* --- Life --------------------------------------------------------------------------------------------------------- */

pl_process *pl_process_ref(pl_process *process)
{
    if (!process || pl__loop_refuses(process->loop, "pl_process_ref"))
        return NULL;
    PL__CHECK(process->references > 0);
    process->references++;
    return process;
}

static void let_go(pl_process *process)
{
    PL__CHECK(process->references > 0);
    if (--process->references > 0)
        return;
    PL__CHECK(!process->spawn && !process->running && process->exit.state == PL__IDLE);
    PL__CHECK(pl__list_is_empty(&process->waiters));
    pl_loop *loop = process->loop;
    if (pl__node_is_linked(&process->end.node))
        pl__node_unlink(&process->end.node);
    pl__release(process, sizeof *process);
    pl__loop_release(loop);
}

void pl_process_unref(pl_process *process)
{
    if (process && !pl__loop_refuses(process->loop, "pl_process_unref"))
        let_go(process);
}

static void loop_ends(pl__loop_end *end);

static pl_process *process_create(pl_loop *loop)
{
    pl_process *process = pl__allocate_zeroed(sizeof *process);
    if (!process)
        return NULL;
    process->loop = loop;
    process->references = 1;
    process->owned = true;
    process->end.loop_ends = loop_ends;
    pl__list_init(&process->waiters);
    for (int i = 0; i < PL__STDIO_COUNT; i++)
        pl__handle_init(&process->theirs[i]);
    pl__list_push_back(&loop->ends, &process->end.node);
    pl__loop_hold(loop);
    return process;
}

/* --- The parameters of a spawn, in one block ---------------------------------------------------------------------- */

static size_t array_length(const char *const *array)
{
    size_t length = 0;
    while (array && array[length])
        length++;
    return length;
}

static size_t array_size(const char *const *array)
{
    size_t size = 0;
    if (!array)
        return 0;
    for (size_t i = 0; array[i]; i++)
        size += strlen(array[i]) + 1;
    return size + (array_length(array) + 1) * sizeof *array;
}

static size_t text_size(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* Pointers first, as they want to be aligned; the strings behind them. */
typedef struct block {
    const char **pointers;
    char *text;
} block;

static const char *keep_text(block *b, const char *text)
{
    if (!text)
        return NULL;
    size_t size = text_size(text);
    char *place = b->text;
    memcpy(place, text, size);
    b->text += size;
    return place;
}

static const char **keep_array(block *b, const char *const *array)
{
    if (!array)
        return NULL;
    const char **place = b->pointers;
    size_t length = array_length(array);
    for (size_t i = 0; i < length; i++)
        place[i] = keep_text(b, array[i]);
    place[length] = NULL;
    b->pointers += length + 1;
    return place;
}

static size_t count_pointers(const char *const *array)
{
    return array ? array_length(array) + 1 : 0;
}

static size_t spawn_size_of(const char *const *argv, const pl_process_options *options)
{
    return sizeof(pl__spawn) + array_size(argv) + array_size(options->environment) + array_size(options->changes) +
           text_size(options->executable) + text_size(options->folder) + text_size(options->input.path) +
           text_size(options->output.path) + text_size(options->error.path);
}

static void spawn_kept(pl__job *job)
{
    PL__UNUSED(job); /* it lives in its spawn */
}

static void spawn_fill(pl__spawn *spawn, const char *const *argv, const pl_process_options *options)
{
    const pl_stdio *stdio[PL__STDIO_COUNT] = {&options->input, &options->output, &options->error};
    block b = {.pointers = (const char **)(void *)(spawn + 1)};
    b.text = (char *)(b.pointers + count_pointers(argv) + count_pointers(options->environment) +
                      count_pointers(options->changes));
    spawn->job = (pl__job){.kind = PL__PROCESS_SPAWN, .drop = spawn_kept};
    spawn->argv = keep_array(&b, argv);
    spawn->environment = keep_array(&b, options->environment);
    spawn->changes = keep_array(&b, options->changes);
    spawn->executable = keep_text(&b, options->executable);
    spawn->folder = keep_text(&b, options->folder);
    spawn->new_group = options->new_group != 0;
    spawn->detached = options->detached != 0;
    spawn->hidden = options->hidden != 0;
    spawn->kill_tree = options->kill_tree != 0;
    spawn->kill_on_close = options->kill_on_close != 0;
    for (int i = 0; i < PL__STDIO_COUNT; i++) {
        spawn->stdio[i].kind = (uint8_t)(stdio[i]->kind == PL_STDIO_DEFAULT ? PL_STDIO_INHERIT : stdio[i]->kind);
        spawn->stdio[i].path = keep_text(&b, stdio[i]->path);
        spawn->stdio[i].object = stdio[i]->handle;
    }
}

/* --- Spawning ----------------------------------------------------------------------------------------------------- */

static const pl__op_type spawn_type = {.name = "spawn process", .cancel = pl__op_cancel_completion};

static void close_theirs(pl_process *process)
{
    for (int i = 0; i < PL__STDIO_COUNT; i++) {
        pl__request request = {.kind = PL__REQUEST_HANDLE_CLOSE, .handle = &process->theirs[i]};
        if (process->theirs[i].object != PL__NO_OBJECT)
            (void)pl__loop_control(process->loop, &request);
        if (process->files[i])
            pl__file_let_go(process->files[i]);
        process->files[i] = NULL;
    }
}

/* The user may have closed one, which then is held by our reference alone. */
static void close_streams(pl_process *process, bool abort)
{
    for (int i = 0; i < PL__STDIO_COUNT; i++) {
        pl_stream *stream = process->streams[i];
        process->streams[i] = NULL;
        if (!stream)
            continue;
        if (stream->owned && abort)
            pl_stream_abort(stream);
        else if (stream->owned)
            pl_stream_close(stream);
        pl_stream_unref(stream);
    }
}

static void spawn_free(pl_process *process)
{
    if (process->spawn) {
        pl__spawn_release(process->spawn);
        pl__release(process->spawn, process->spawn_size);
    }
    process->spawn = NULL;
}

/* A pipe whose one end is a stream of ours, before there is a child. PL_OK or an error. */
static int open_pipe(pl_process *process, int which)
{
    pl__handle ours;
    pl_stream *stream = NULL;
    pl__handle_init(&ours);
    int rc = pl__pipe_pair(process->loop, &ours, &process->theirs[which], which == 0 ? PL__PIPE_WRITE : 0);
    if (rc < 0)
        return rc;
    process->spawn->stdio[which].object = process->theirs[which].object;
    rc = pl__stream_create(&stream, process->loop);
    if (rc < 0) {
        pl__request request = {.kind = PL__REQUEST_HANDLE_CLOSE, .handle = &ours};
        (void)pl__loop_control(process->loop, &request);
        return rc;
    }
    rc = pl__stream_open(stream, &ours);
    if (rc < 0) {
        pl_stream_close(stream);
        return rc;
    }
    process->streams[which] = pl_stream_ref(stream);
    return PL_OK;
}

static int open_stdio(pl_process *process, const pl_process_options *options)
{
    const pl_stdio *stdio[PL__STDIO_COUNT] = {&options->input, &options->output, &options->error};
    int rc = PL_OK;
    for (int i = 0; i < PL__STDIO_COUNT && rc == PL_OK; i++) {
        if (stdio[i]->kind == PL_STDIO_PIPE)
            rc = open_pipe(process, i);
        if (stdio[i]->kind == PL_STDIO_FILE) {
            process->files[i] = stdio[i]->file;
            pl__file_hold(stdio[i]->file);
            process->spawn->stdio[i].object = pl__file_object(stdio[i]->file);
            process->spawn->stdio[i].append = (pl__file_flags(stdio[i]->file) & PL_FILE_APPEND) != 0;
        }
    }
    return rc;
}

/* All that can fail of ours. */
static int spawn_make(pl_process *process, const char *const *argv, const pl_process_options *options,
                      int32_t *system_error)
{
    process->spawn_size = spawn_size_of(argv, options);
    process->spawn = pl__allocate_zeroed(process->spawn_size);
    if (!process->spawn)
        return PL_ENOMEM;
    process->kill_on_close = options->kill_on_close != 0;
    process->kill_tree = options->kill_tree != 0;
    spawn_fill(process->spawn, argv, options);
    int rc = pl__spawn_prepare(process->spawn, system_error);
    return rc < 0 ? rc : open_stdio(process, options);
}

static void watch(pl_process *process);

/* Nobody can know of a child that came while the loop ended. */
static void end_stray(pl_process *process)
{
    (void)(process->kill_tree ? pl__subprocess_kill_tree(&process->child) : pl__subprocess_kill(&process->child));
    pl__subprocess_close(&process->child);
}

static void spawn_failed(pl_process *process)
{
    close_theirs(process);
    close_streams(process, true);
    spawn_free(process);
    let_go(process);
}

static void spawn_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_process *process = op->owner;
    int64_t result = pl__completion_take(completion);
    if (result >= 0) {
        process->child = process->spawn->child;
        process->id = process->child.id;
        if (process->closed) {
            end_stray(process);
            result = PL_ECLOSED;
        }
    }
    if (result < 0) {
        spawn_failed(process);
    } else {
        close_theirs(process);
        spawn_free(process);
        process->running = true;
        *(pl_process **)op->output = process;
        watch(process);
    }
    pl__op_end(op, pl__op_translate(op, result), completion->system_error);
}

/* It is opened anew, perhaps by its path, for what the program has it open for. */
static int check_file(const pl_file *file, int which, const pl_loop *loop)
{
    const uint32_t wanted = which == 0 ? PL_FILE_READ : PL_FILE_WRITE | PL_FILE_APPEND;
    int checked = file ? pl__file_check(file, loop) : PL_EINVAL;
    return checked == PL_OK && !(pl__file_flags(file) & wanted) ? PL_EBADF : checked;
}

/* Whether one of the three can be had. `which` is 0 to 2. */
static int check_stdio(const pl_stdio *stdio, int which, const pl_loop *loop)
{
    bool named = stdio->path && *stdio->path;
    switch (stdio->kind) {
    case PL_STDIO_DEFAULT:
    case PL_STDIO_INHERIT:
    case PL_STDIO_NULL:
    case PL_STDIO_PIPE:
    case PL_STDIO_HANDLE:
        return PL_OK;
    case PL_STDIO_PATH:
        return named ? PL_OK : PL_EINVAL;
    case PL_STDIO_APPEND:
        return named && which != 0 ? PL_OK : PL_EINVAL;
    case PL_STDIO_FILE:
        return check_file(stdio->file, which, loop);
    case PL_STDIO_OUTPUT:
        return which == 2 ? PL_OK : PL_EINVAL;
    default:
        return PL_EINVAL;
    }
}

static bool are_assignments(const char *const *array, bool may_remove)
{
    for (size_t i = 0; array && array[i]; i++) {
        const char *equals = array[i][0] ? strchr(array[i] + 1, '=') : NULL; /* Windows has names that begin with it */
        if (!array[i][0] || (!equals && (!may_remove || array[i][0] == '=')))
            return false;
    }
    return true;
}

static int check_options(const char *const *argv, const pl_process_options *options, const pl_loop *loop)
{
    if (!argv || !argv[0] || options->size != sizeof *options)
        return PL_EINVAL;
    if (!(options->executable ? options->executable : argv[0])[0] || (options->folder && !options->folder[0]))
        return PL_EINVAL;
    if (!are_assignments(options->environment, false) || !are_assignments(options->changes, true))
        return PL_EINVAL;
    int checked = check_stdio(&options->input, 0, loop);
    if (checked == PL_OK)
        checked = check_stdio(&options->output, 1, loop);
    return checked == PL_OK ? check_stdio(&options->error, 2, loop) : checked;
}

int pl_process_spawn_start(pl_op *op, pl_process **out, const char *const *argv, const pl_process_options *options)
{
    static const pl_process_options defaults = {.size = sizeof(pl_process_options)};
    if (!options)
        options = &defaults;
    if (!op || !out)
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked == PL_OK)
        checked = check_options(argv, options, loop);
    if (checked < 0)
        return checked;
    *out = NULL;
    int32_t system_error = 0;
    pl_process *process = process_create(loop);
    int made = process ? spawn_make(process, argv, options, &system_error) : PL_ENOMEM;
    pl__op *inner = pl__op_begin(op, loop, &spawn_type, process, (void *)out);
    if (made < 0) {
        if (process)
            spawn_failed(process);
        pl__op_end(inner, made, system_error);
        return PL_OK;
    }
    pl__op_submit_job(inner, &process->spawn->job, spawn_finished);
    return PL_OK;
}

int64_t pl_process_spawn(pl_process **process, const char *const *argv, const pl_process_options *options)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_process_spawn_start(&op, process, argv, options));
}

int64_t pl__run_process_spawn(pl__job *job)
{
    return pl__spawn_now(PL__CONTAINER_OF(job, pl__spawn, job), &job->system_error);
}

/* --- Its end ------------------------------------------------------------------------------------------------------ */

/* Gives up what is held of the child. */
static void give_up_child(pl_process *process)
{
    PL__CHECK(process->running && process->exit.state == PL__IDLE);
    process->running = false;
    (void)pl__timer_stop(&process->retry);
    pl__subprocess_close(&process->child);
    if (pl__node_is_linked(&process->end.node))
        pl__node_unlink(&process->end.node);
}

static void end_waits(pl_process *process, int64_t code, int32_t system_error)
{
    for (pl__node *node; (node = pl__list_pop_front(&process->waiters));) {
        pl__op *op = PL__CONTAINER_OF(node, pl__op, as.process.queue);
        if (op->output && process->ended)
            *(pl_process_result *)op->output = process->result;
        pl__op_end(op, code, system_error);
        let_go(process);
    }
}

static void retry(void *arg)
{
    pl_process *process = arg;
    process->references++;
    child_ended(process);
    let_go(process);
}

/* The system says that it has ended. */
static void child_ended(pl_process *process)
{
    int collected = pl__subprocess_collect(&process->child, &process->result);
    if (collected == 0) {
        int64_t deadline = pl__deadline_after(pl__loop_now(process->loop), PL_MS(RETRY_MILLISECONDS));
        if (pl__timer_start_at(&process->retry, process->loop, deadline, retry, process) != PL_OK)
            end_waits(process, PL_ENOMEM, 0);
        return;
    }
    process->ended = true;
    process->code = process->result.signal ? SIGNAL_CODE + process->result.signal : (int64_t)process->result.exit_code;
    if (collected < 0)
        process->code = collected;
    end_waits(process, process->code, 0);
    if (process->closed)
        give_up_child(process);
}

static void exit_delivered(pl__completion *completion)
{
    pl_process *process = PL__CONTAINER_OF(completion, pl_process, exit);
    int64_t result = pl__completion_take(completion);
    if (result >= 0)
        child_ended(process);
    else
        end_waits(process, result, completion->system_error); /* who waits next tries again */
    if (result < 0 && process->closed)
        give_up_child(process);
    let_go(process);
}

/* Has the system tell of its end, unless it does already. */
static void watch(pl_process *process)
{
    if (process->ended || process->exit.state != PL__IDLE || pl__timer_is_running(&process->retry))
        return;
    process->exit = (pl__completion){.kind = process->child.wait, .deliver = exit_delivered};
    if (process->child.wait == PL__POLL) {
        process->exit.as.poll.object = process->child.object;
        process->exit.as.poll.events = PL_POLL_READABLE;
    } else {
        process->exit.as.wait.object = process->child.object;
    }
    process->references++;
    if (!pl__loop_submit(process->loop, &process->exit))
        exit_delivered(&process->exit);
}

/* PL_OK, PL_EINVAL, PL_ETHREAD, PL_ECLOSED. */
static int check_open(const pl_process *process)
{
    if (!process)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(process->loop);
    return checked == PL_OK && process->closed ? PL_ECLOSED : checked;
}

static void wait_cancel(pl__op *op)
{
    pl_process *process = op->owner;
    pl__node_unlink(&op->as.process.queue);
    pl__op_end(op, op->cancel_code, 0);
    let_go(process);
}

static const pl__op_type wait_type = {.name = "wait for process", .cancel = wait_cancel};

int pl_process_wait_start(pl_op *op, pl_process *process, pl_process_result *result)
{
    int checked = op ? check_open(process) : PL_EINVAL;
    if (checked == PL_OK)
        checked = pl__op_check(op, process->loop);
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, process->loop, &wait_type, process, result);
    process->references++;
    pl__list_push_back(&process->waiters, &inner->as.process.queue);
    if (process->ended)
        end_waits(process, process->code, 0);
    else
        watch(process);
    return PL_OK;
}

int64_t pl_process_wait(pl_process *process, pl_process_result *result)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_process_wait_start(&op, process, result));
}

/* --- Closing ------------------------------------------------------------------------------------------------------ */

static void begin_close(pl_process *process)
{
    if (process->closed)
        return;
    process->closed = true;
    process->references++;
    end_waits(process, PL_ECLOSED, 0);
    if (process->running && process->kill_on_close)
        (void)(process->kill_tree ? pl__subprocess_kill_tree(&process->child) : pl__subprocess_kill(&process->child));
    if (process->running)
        close_streams(process, false);
    if (process->running && process->exit.state == PL__IDLE)
        give_up_child(process); /* it has ended, or nobody would tell; nobody asks again either */
    let_go(process);
}

static void loop_ends(pl__loop_end *end)
{
    pl_process *process = PL__CONTAINER_OF(end, pl_process, end);
    process->references++;
    begin_close(process);
    if (process->running && process->exit.state == PL__IDLE)
        give_up_child(process);
    else
        pl__loop_cancel(process->loop, &process->exit);
    let_go(process);
}

void pl_process_close(pl_process *process)
{
    if (!process || pl__loop_refuses(process->loop, "pl_process_close"))
        return;
    PL__CHECK(process->owned);
    process->owned = false;
    begin_close(process);
    let_go(process);
}

void pl_process_drop(void *process)
{
    pl_process_close(process);
}

/* --- Facts and signals -------------------------------------------------------------------------------------------- */

uint64_t pl_process_id(const pl_process *process)
{
    return process ? process->id : 0;
}

static pl_stream *stream_of(pl_process *process, int which)
{
    return check_open(process) == PL_OK ? process->streams[which] : NULL;
}

pl_stream *pl_process_stdin(pl_process *process)
{
    return stream_of(process, 0);
}

pl_stream *pl_process_stdout(pl_process *process)
{
    return stream_of(process, 1);
}

pl_stream *pl_process_stderr(pl_process *process)
{
    return stream_of(process, 2);
}

static int check_running(const pl_process *process)
{
    int checked = check_open(process);
    return checked == PL_OK && process->ended ? PL_ESTATE : checked;
}

int pl_process_terminate(pl_process *process)
{
    int checked = check_running(process);
    return checked < 0 ? checked : pl__subprocess_terminate(&process->child);
}

int pl_process_kill(pl_process *process)
{
    int checked = check_running(process);
    return checked < 0 ? checked : pl__subprocess_kill(&process->child);
}

int pl_process_kill_tree(pl_process *process)
{
    int checked = check_open(process);
    if (checked == PL_OK && !process->kill_tree)
        checked = PL_ESTATE;
    return checked < 0 ? checked : pl__subprocess_kill_tree(&process->child);
}

int pl_process_signal(pl_process *process, int number)
{
    int checked = number <= 0 ? PL_EINVAL : check_running(process);
    return checked < 0 ? checked : pl__subprocess_signal(&process->child, number);
}

/* --- Communicate -------------------------------------------------------------------------------------------------- */

/* One output being read. */
typedef struct intake {
    pl_op op;
    pl_stream *stream;
    char **data; /* NULL: what comes is dropped */
    size_t *size;
    size_t *capacity;
    size_t limit;
    size_t asked;
    char dropped[256];
} intake;

typedef struct exchange {
    pl_process *process;
    pl_stream *input;
    pl_op write;
    intake output;
    intake error;
} exchange;

void pl_process_capture_free(pl_process_capture *capture)
{
    if (!capture)
        return;
    pl__release(capture->output, capture->output_capacity);
    pl__release(capture->error, capture->error_capacity);
    *capture = (pl_process_capture){.limit = capture->limit};
}

/* Room for one byte more at least, and the zero behind it. */
static int intake_grow(intake *in)
{
    if (*in->size + 2 <= *in->capacity)
        return PL_OK;
    size_t capacity = *in->capacity ? *in->capacity * 2 : CAPTURE_STEP;
    char *data = capacity > *in->capacity ? pl__reallocate(*in->data, *in->capacity, capacity) : NULL;
    if (!data)
        return PL_ENOMEM;
    *in->data = data;
    *in->capacity = capacity;
    data[*in->size] = '\0';
    return PL_OK;
}

static int intake_start(intake *in)
{
    if (!in->data)
        return pl_read_start(&in->op, in->stream, in->dropped, sizeof in->dropped);
    int grown = intake_grow(in);
    if (grown < 0)
        return grown;
    in->asked = *in->capacity - *in->size - 1;
    if (in->limit && in->asked - 1 > in->limit - *in->size)
        in->asked = in->limit - *in->size + 1; /* one byte too many tells that there is more */
    return pl_read_start(&in->op, in->stream, *in->data + *in->size, in->asked);
}

/* Takes what a read gave. > 0: it goes on; 0: the end; or an error. */
static int64_t intake_take(intake *in, int64_t result)
{
    if (result <= 0 || !in->data)
        return result;
    *in->size += (size_t)result;
    (*in->data)[*in->size] = '\0';
    return in->limit && *in->size > in->limit ? PL_EMSGSIZE : result;
}

/* The child has all of its input, or wants no more. */
static int64_t input_take(exchange *x, int64_t result)
{
    if (result == PL_EPIPE || result == PL_ECONNRESET)
        result = PL_OK;
    if (result == PL_OK)
        (void)pl_stream_shutdown(x->input);
    return result;
}

static int exchange_start(exchange *x, const void *data, size_t size)
{
    int rc = PL_OK;
    if (x->input && size > 0)
        rc = pl_write_start(&x->write, x->input, data, size);
    else if (x->input)
        (void)pl_stream_shutdown(x->input);
    if (rc == PL_OK && x->output.stream)
        rc = intake_start(&x->output);
    if (rc == PL_OK && x->error.stream)
        rc = intake_start(&x->error);
    return rc;
}

/* It was started, and its result has not been taken. */
static bool is_under_way(pl_op *op)
{
    return pl_op_is_pending(op) || pl_op_result(op) != PL_ESTATE;
}

static size_t add_awaited(pl_awaited *items, size_t count, pl_op *op)
{
    if (is_under_way(op))
        items[count++] = (pl_awaited){.future = pl_op_future(op)};
    return count;
}

/* If it is done its result is taken, and what is to follow it started. A zeroed operation has no result. */
static int64_t step(exchange *x, pl_op *op, intake *in)
{
    int64_t result = pl_op_result(op);
    if (result == PL_ESTATE) /* pending, or never begun */
        return PL_OK;
    *op = (pl_op){{{0}}};
    if (!in)
        return input_take(x, result);
    result = intake_take(in, result);
    return result > 0 ? intake_start(in) : result;
}

static int64_t exchange_step(exchange *x)
{
    int64_t results[3] = {step(x, &x->write, NULL), step(x, &x->output.op, &x->output),
                          step(x, &x->error.op, &x->error)};
    for (int i = 0; i < 3; i++) {
        if (results[i] < 0)
            return results[i];
    }
    return PL_OK;
}

/* Until all three have ended, or one fails, or the task is cancelled. */
static int64_t exchange_run(exchange *x)
{
    int64_t result = PL_OK;
    while ((result = exchange_step(x)) == PL_OK) {
        pl_awaited items[3];
        size_t count = add_awaited(items, 0, &x->write);
        count = add_awaited(items, count, &x->output.op);
        count = add_awaited(items, count, &x->error.op);
        if (count == 0)
            return PL_OK;
        result = pl_wait(items, count, PL_FIRST_COMPLETED, PL_FOREVER);
        if (result < 0)
            return result;
    }
    return result;
}

/* Ends what is under way. What came in spite of that is kept. */
static void exchange_finish(exchange *x)
{
    if (is_under_way(&x->write))
        (void)input_take(x, pl_op_finish(&x->write));
    if (is_under_way(&x->output.op))
        (void)intake_take(&x->output, pl_op_finish(&x->output.op));
    if (is_under_way(&x->error.op))
        (void)intake_take(&x->error, pl_op_finish(&x->error.op));
}

static void intake_open(intake *in, pl_stream *stream, char **data, size_t *size, size_t *capacity, size_t limit)
{
    in->stream = stream ? pl_stream_ref(stream) : NULL;
    in->data = data;
    in->size = size;
    in->capacity = capacity;
    in->limit = limit;
}

static int64_t exchange_all(exchange *x, const void *input, size_t size, pl_process_capture *capture)
{
    pl_process *process = x->process;
    x->input = process->streams[0] ? pl_stream_ref(process->streams[0]) : NULL;
    if (capture) {
        intake_open(&x->output, process->streams[1], &capture->output, &capture->output_size, &capture->output_capacity,
                    capture->limit);
        intake_open(&x->error, process->streams[2], &capture->error, &capture->error_size, &capture->error_capacity,
                    capture->limit);
    } else {
        intake_open(&x->output, process->streams[1], NULL, NULL, NULL, 0);
        intake_open(&x->error, process->streams[2], NULL, NULL, NULL, 0);
    }
    int64_t result = exchange_start(x, input, size);
    if (result == PL_OK)
        result = exchange_run(x);
    exchange_finish(x);
    pl_stream_unref(x->input);
    pl_stream_unref(x->output.stream);
    pl_stream_unref(x->error.stream);
    return result;
}

/* What keeps a capture from going on: it is full already. */
static bool is_full(const pl_process_capture *capture)
{
    return capture && capture->limit && (capture->output_size > capture->limit || capture->error_size > capture->limit);
}

int64_t pl_process_communicate(pl_process *process, const void *input, size_t size, pl_process_capture *capture)
{
    int checked = pl__task_checkpoint();
    if (checked == PL_OK && (!input && size))
        checked = PL_EINVAL;
    if (checked == PL_OK)
        checked = check_open(process);
    if (checked == PL_OK && is_full(capture))
        checked = PL_EMSGSIZE;
    if (checked < 0)
        return checked;
    exchange x = {.process = pl_process_ref(process)};
    int64_t result = exchange_all(&x, input, size, capture);
    if (result == PL_OK)
        result = pl_process_wait(process, capture ? &capture->result : NULL);
    pl_process_unref(process);
    return result;
}

/* --- Run ---------------------------------------------------------------------------------------------------------- */

static void default_to(pl_stdio *stdio, int kind)
{
    if (stdio->kind == PL_STDIO_DEFAULT)
        stdio->kind = kind;
}

/* It has ended, and has been collected, when this returns; unless the system does not let us. */
static void kill_and_join(pl_process *process)
{
    pl_shielded cleaning = {{{0}}};
    if (pl_shielded_begin(&cleaning) != PL_OK)
        return;
    int killed = process->kill_tree ? pl_process_kill_tree(process) : pl_process_kill(process);
    if (killed == PL_OK || killed == PL_ESTATE)
        (void)pl_process_wait(process, NULL);
    pl_shielded_end(&cleaning);
}

int64_t pl_process_run(const char *const *argv, const pl_process_options *options, const void *input, size_t size,
                       pl_process_capture *capture)
{
    pl_process_options mine = {.size = sizeof mine};
    pl_process *process = NULL;
    if (options && options->size == sizeof *options)
        mine = *options;
    if ((options && options->size != sizeof *options) || (!input && size))
        return PL_EINVAL;
    default_to(&mine.input, size > 0 ? PL_STDIO_PIPE : PL_STDIO_NULL);
    default_to(&mine.output, PL_STDIO_PIPE);
    default_to(&mine.error, PL_STDIO_PIPE);
    int64_t result = pl_process_spawn(&process, argv, &mine);
    if (result < 0)
        return result;
    result = pl_process_communicate(process, input, size, capture);
    if (result < 0)
        kill_and_join(process);
    pl_process_close(process);
    return result;
}
