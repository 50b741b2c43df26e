/* Files: see proloop/file.h.
 *
 * Opening and closing are jobs of the worker pool (worker_pool.h), as are all calls on an open file but two: FILE_READ and
 * FILE_WRITE are completions that the proactor carries out as well as the system allows. These may end with fewer bytes
 * than asked for and are then submitted again, from the operation's finished function, until all is done. A write that
 * extends the file is a job of its own: that may block, and on Windows would block whoever makes the call. `extent` is how
 * far the file is known to have been written, by which the two are told apart.
 *
 * A file is counted: the owner has a reference, and so does each operation. The last one closes it, on a worker.
 */
#include "file.h"

#include <string.h>

#include "allocator.h"
#include "debug.h"
#include "loop.h"
#include "task.h"

struct pl_file {
    pl_loop *loop;
    pl__handle handle;
    pl_file_info info;
    int64_t extent;
    int64_t written;
    uint32_t references; /* the owner's, and one per operation that uses it */
    uint32_t flags;      /* enum pl_file_flag */
    bool closed;
    pl__completion closing;
    pl__job job;
};

enum {
    ACCESS_FLAGS = PL_FILE_READ | PL_FILE_WRITE | PL_FILE_APPEND,
    ALL_FLAGS = ACCESS_FLAGS | PL_FILE_CREATE | PL_FILE_EXCLUSIVE | PL_FILE_TRUNCATE,
    ALL_SHARES = PL_FILE_SHARE_READ | PL_FILE_SHARE_WRITE | PL_FILE_SHARE_DELETE
};

/* --- Jobs --------------------------------------------------------------------------------------------------------- */

void pl__op_submit_job(pl__op *op, pl__job *job, void (*finished)(pl__completion *))
{
    if (!job) {
        pl__op_end(op, PL_ENOMEM, 0);
        return;
    }
    op->completion.kind = job->kind;
    op->completion.deliver = finished;
    op->completion.as.job = job;
    if (!pl__loop_submit(op->future.loop, &op->completion))
        finished(&op->completion);
}

int64_t pl__op_take_job(pl__op *op, pl__job **job)
{
    *job = op->completion.as.job;
    return pl__op_translate(op, pl__completion_take(&op->completion));
}

int64_t pl__text_give(const pl__op *op, const char *text, size_t length)
{
    if (length >= op->as.text.capacity)
        return PL_ENAMETOOLONG;
    memcpy(op->as.text.place, text, length);
    op->as.text.place[length] = '\0';
    return (int64_t)length;
}

/* --- Closing ------------------------------------------------------------------------------------------------------ */

void pl__file_close_object(uintptr_t object)
{
    if (object == PL__NO_OBJECT)
        return;
    pl__job closing = {.kind = PL__FILE_CLOSE};
    closing.as.file.object = object;
    (void)pl__run_file_close(&closing);
}

static void file_free(pl_file *file)
{
    pl_loop *loop = file->loop;
    pl__release(file, sizeof *file);
    pl__loop_release(loop);
}

static void file_closed(pl__completion *completion)
{
    (void)pl__completion_take(completion);
    file_free(PL__CONTAINER_OF(completion, pl_file, closing));
}

static void close_job_kept(pl__job *job)
{
    PL__UNUSED(job); /* it lives in its file */
}

static void file_close_object(pl_file *file)
{
    pl_loop *loop = file->loop;
    PL__CHECK(file->handle.in_flight == 0);
    if (loop->closed) { /* there are no workers any more */
        pl__file_close_object(file->handle.object);
        file_free(file);
        return;
    }
    if (file->handle.attached)
        loop->proactor->type->detach(loop->proactor, &file->handle);
    file->job = (pl__job){.kind = PL__FILE_CLOSE, .drop = close_job_kept};
    file->job.as.file.object = file->handle.object;
    file->closing = (pl__completion){.kind = PL__FILE_CLOSE, .deliver = file_closed};
    file->closing.as.job = &file->job;
    if (pl__loop_submit(loop, &file->closing))
        return;
    if (file->closing.result < 0) /* no worker could be had: better here than never */
        pl__file_close_object(file->handle.object);
    file_closed(&file->closing);
}

void pl__file_hold(pl_file *file)
{
    PL__CHECK(file->references > 0);
    file->references++;
}

void pl__file_let_go(pl_file *file)
{
    PL__CHECK(file->references > 0);
    if (--file->references == 0)
        file_close_object(file);
}

void pl_file_close(pl_file *file)
{
    if (!file || pl__loop_refuses(file->loop, "pl_file_close"))
        return;
    PL__CHECK(!file->closed);
    file->closed = true;
    pl__file_let_go(file);
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static const pl__op_type open_type = {.name = "open", .cancel = pl__op_cancel_completion};

/* Of a job that has opened a file, and perhaps made its path. */
static void free_open_job(pl__job *job)
{
    if (job->as.file_open.text)
        pl__release(job->as.file_open.text, strlen(job->as.file_open.text) + 1);
    pl__job_destroy(job);
}

/* An opened file that nobody will use; on a worker if its open was abandoned. */
static void drop_opened(pl__job *job)
{
    if (job->result >= 0)
        pl__file_close_object(job->as.file_open.object);
    free_open_job(job);
}

/* Gives the file what was opened. An error: it stays the job's. */
static int take_opened(pl_file *file, const pl__job *job)
{
    pl_loop *loop = file->loop;
    file->info = job->as.file_open.info;
    file->flags = job->as.file_open.flags;
    file->extent = file->info.size;
    file->handle.object = job->as.file_open.object;
    file->handle.type = PL__FILE;
    int attached =
        file->info.kind == PL_FILE_REGULAR ? loop->proactor->type->attach(loop->proactor, &file->handle) : PL_OK;
    if (attached < 0)
        file->handle.object = PL__NO_OBJECT;
    return attached;
}

static void open_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_file *file = op->owner;
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_take_job(op, &job);
    if (result >= 0)
        result = take_opened(file, job);
    if (result >= 0) {
        if (job->as.file_open.text)
            PL__CHECK(pl__text_give(op, job->as.file_open.text, strlen(job->as.file_open.text)) > 0); /* made to fit */
        free_open_job(job);
        *(pl_file **)op->output = file;
    } else {
        if (job)
            job->drop(job);
        file_free(file);
    }
    pl__op_end(op, result, system_error);
}

/* The file that is being opened. NULL: the operation has ended. */
static pl_file *begin_open(pl__op *op, pl_loop *loop)
{
    pl_file *file = pl__allocate_zeroed(sizeof *file);
    op->owner = file;
    if (!file) {
        pl__op_end(op, PL_ENOMEM, 0);
        return NULL;
    }
    file->loop = loop;
    pl__handle_init(&file->handle);
    file->references = 1;
    pl__loop_hold(loop);
    return file;
}

static void submit_open(pl__op *op, pl_file *file, pl__job *job)
{
    if (job) {
        job->drop = drop_opened;
        job->as.file_open.object = PL__NO_OBJECT;
    } else {
        file_free(file);
    }
    pl__op_submit_job(op, job, open_finished);
}

/* Flags that make sense, with what 0 stands for; 0: they make none. */
static uint32_t flags_of(const pl_file_options *options)
{
    uint32_t flags = options ? options->flags : 0;
    if (!(flags & ACCESS_FLAGS))
        flags |= PL_FILE_READ;
    bool writes = (flags & (PL_FILE_WRITE | PL_FILE_APPEND)) != 0;
    if ((flags & ~(uint32_t)ALL_FLAGS) || ((flags & (PL_FILE_TRUNCATE | PL_FILE_CREATE)) && !writes) ||
        ((flags & PL_FILE_EXCLUSIVE) && !(flags & PL_FILE_CREATE)))
        return 0;
    return flags;
}

static bool share_is_valid(uint32_t share)
{
    return share == PL_FILE_SHARE_NOTHING || !(share & ~(uint32_t)ALL_SHARES);
}

static bool options_are_valid(const pl_file_options *options)
{
    return !options || (options->size == sizeof *options && options->mode <= 07777 && share_is_valid(options->share));
}

static pl__job *open_job(const char *path, const pl_file_options *options, uint32_t flags)
{
    const char *beneath = options ? options->beneath : NULL;
    bool changes = (flags & (PL_FILE_CREATE | PL_FILE_TRUNCATE)) != 0;
    pl__job *job = pl__job_create(changes ? PL__FILE_CREATE : PL__FILE_OPEN,
                                  strlen(path) + 1 + (beneath ? strlen(beneath) + 1 : 0));
    if (!job)
        return NULL;
    job->as.file_open.path = pl__job_string(job, path);
    job->as.file_open.beneath = pl__job_string(job, beneath);
    job->as.file_open.flags = flags;
    job->as.file_open.mode = options && options->mode ? options->mode : 0666;
    job->as.file_open.share = options ? options->share : 0;
    return job;
}

int pl_file_open_start(pl_op *op, pl_file **out, const char *path, const pl_file_options *options)
{
    if (!out || !options_are_valid(options) || !flags_of(options))
        return PL_EINVAL;
    pl_loop *loop;
    int checked = pl__path_check_op(op, path, &loop);
    if (checked < 0)
        return checked;
    *out = NULL;
    pl__op *inner = pl__op_begin(op, loop, &open_type, NULL, (void *)out);
    pl_file *file = begin_open(inner, loop);
    if (file)
        submit_open(inner, file, open_job(path, options, flags_of(options)));
    return PL_OK;
}

int64_t pl_file_open(pl_file **file, const char *path, const pl_file_options *options)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_open_start(&op, file, path, options));
}

/* --- Temporary files ---------------------------------------------------------------------------------------------- */

static const pl__op_type temporary_type = {.name = "open temporary", .cancel = pl__op_cancel_completion};

static int start_temporary(pl_op *op, pl_file **out, const char *folder, const pl_file_options *options, char *path,
                           size_t capacity)
{
    pl_loop *loop;
    int checked = pl__path_check_op(op, folder ? folder : ".", &loop);
    if (checked < 0)
        return checked;
    *out = NULL;
    pl__op *inner = pl__op_begin(op, loop, &temporary_type, NULL, (void *)out);
    inner->as.text.place = path;
    inner->as.text.capacity = capacity;
    pl_file *file = begin_open(inner, loop);
    if (!file)
        return PL_OK;
    pl__job *job = pl__job_create(PL__FILE_TEMPORARY, folder ? strlen(folder) + 1 : 0);
    if (job) {
        job->as.file_open.folder = pl__job_string(job, folder);
        job->as.file_open.flags = PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_EXCLUSIVE;
        job->as.file_open.mode = options && options->mode ? options->mode : 0600;
        job->as.file_open.share = options ? options->share : 0;
        job->as.file_open.capacity = capacity;
        job->as.file_open.unnamed = capacity == 0;
    }
    submit_open(inner, file, job);
    return PL_OK;
}

int pl_file_open_temporary_start(pl_op *op, pl_file **file, const char *folder, const pl_file_options *options)
{
    if (!file || !options_are_valid(options) || (options && (options->flags || options->beneath)))
        return PL_EINVAL;
    return start_temporary(op, file, folder, options, NULL, 0);
}

int64_t pl_file_open_temporary(pl_file **file, const char *folder, const pl_file_options *options)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_open_temporary_start(&op, file, folder, options));
}

int pl_file_make_temporary_start(pl_op *op, pl_file **file, const char *folder, char *path, size_t capacity)
{
    if (!file || !path || !capacity)
        return PL_EINVAL;
    return start_temporary(op, file, folder, NULL, path, capacity);
}

int64_t pl_file_make_temporary(pl_file **file, const char *folder, char *path, size_t capacity)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_make_temporary_start(&op, file, folder, path, capacity));
}

/* --- What is known of it ------------------------------------------------------------------------------------------ */

int pl__file_check(const pl_file *file, const pl_loop *loop)
{
    if (file->closed)
        return PL_ECLOSED;
    if (file->loop != loop)
        return PL_EINVAL;
    if (file->info.kind == PL_FILE_FOLDER)
        return PL_EISDIR;
    return file->info.kind == PL_FILE_REGULAR ? PL_OK : PL_ENOTSUP;
}

int pl__file_check_op(const pl_op *op, const pl_file *file)
{
    if (!op || !file)
        return PL_EINVAL;
    int checked = pl__op_check(op, file->loop);
    return checked == PL_OK && file->closed ? PL_ECLOSED : checked;
}

uintptr_t pl__file_object(const pl_file *file)
{
    return file->handle.object;
}

uint32_t pl__file_flags(const pl_file *file)
{
    return file->flags;
}

pl_loop *pl__file_loop(const pl_file *file)
{
    return file->loop;
}

int64_t pl__file_reach(const pl_file *file, int64_t offset, int64_t size)
{
    if (file->info.kind != PL_FILE_REGULAR || size <= file->info.size - offset)
        return size;
    return offset < file->info.size ? file->info.size - offset : 0;
}

int pl_file_info_get(const pl_file *file, pl_file_info *info)
{
    if (!file || !info)
        return PL_EINVAL;
    *info = file->info;
    return PL_OK;
}

int64_t pl_file_bytes_written(const pl_file *file)
{
    return file ? file->written : PL_EINVAL;
}

/* --- Reading and writing ------------------------------------------------------------------------------------------ */

static const pl__op_type file_read_type = {.name = "file read", .cancel = pl__op_cancel_completion};
static const pl__op_type file_write_type = {.name = "file write", .cancel = pl__op_cancel_completion};

static void transfer_end(pl__op *op, int64_t result, int32_t system_error)
{
    pl_file *file = op->owner;
    pl__op_end(op, result, system_error);
    pl__file_let_go(file);
}

/* The file has got bytes up to there. */
static void note_written(pl_file *file, int64_t end, size_t count)
{
    file->written += (int64_t)count;
    if (end > file->extent)
        file->extent = end;
    if (end > file->info.size)
        file->info.size = end;
}

/* What a finished piece means. True: there is more to do. */
static bool transfer_step(pl__op *op)
{
    bool reads = op->type == &file_read_type;
    int32_t system_error = op->completion.system_error;
    int64_t result = pl__op_translate(op, pl__completion_take(&op->completion));
    if (result > 0) {
        PL__CHECK((uint64_t)result <= op->as.transfer.size - op->as.transfer.done);
        op->as.transfer.done += (size_t)result;
        if (!reads)
            note_written(op->owner, op->as.transfer.offset + (int64_t)op->as.transfer.done, (size_t)result);
    }
    if (result < 0)
        transfer_end(op, result, system_error);
    else if (op->as.transfer.done == op->as.transfer.size || (result == 0 && reads))
        transfer_end(op, reads ? (int64_t)op->as.transfer.done : PL_OK, 0);
    else if (result == 0)
        transfer_end(op, PL_EIO, 0); /* a disk that takes nothing and does not say why */
    else if (op->cancelling)
        transfer_end(op, op->cancel_code, 0);
    else
        return true;
    return false;
}

static void transfer_finished(pl__completion *completion);

static void transfer_go_on(pl__op *op)
{
    pl__completion *completion = &op->completion;
    size_t done = op->as.transfer.done;
    do {
        done = op->as.transfer.done;
        completion->deliver = transfer_finished;
        completion->handle = &((pl_file *)op->owner)->handle;
        if (op->type == &file_read_type) {
            completion->kind = PL__FILE_READ;
            completion->as.file_read.data = op->as.transfer.data + done;
            completion->as.file_read.size = op->as.transfer.size - done;
            completion->as.file_read.offset = op->as.transfer.offset + (int64_t)done;
        } else {
            completion->kind = PL__FILE_WRITE;
            completion->as.file_write.data = op->as.transfer.data + done;
            completion->as.file_write.size = op->as.transfer.size - done;
            completion->as.file_write.offset = op->as.transfer.offset + (int64_t)done;
        }
        if (pl__loop_submit(op->future.loop, completion))
            return;
    } while (transfer_step(op));
}

static void transfer_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    if (transfer_step(op))
        transfer_go_on(op);
}

/* The checks of a read or write beyond its arguments; *refused is a failure at run time. */
static int check_transfer(const pl_op *op, const pl_file *file, uint32_t flag, int *refused)
{
    int checked = pl__file_check_op(op, file);
    if (checked < 0)
        return checked;
    *refused = pl__file_check(file, file->loop);
    if (*refused == PL_OK && (!(file->flags & flag) || (flag == PL_FILE_WRITE && (file->flags & PL_FILE_APPEND))))
        *refused = PL_EBADF;
    return PL_OK;
}

int pl_file_read_start(pl_op *op, pl_file *file, void *data, size_t size, int64_t offset)
{
    int refused;
    if ((!data && size) || offset < 0 || size > INT64_MAX || (int64_t)size > INT64_MAX - offset)
        return PL_EINVAL;
    int checked = check_transfer(op, file, PL_FILE_READ, &refused);
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, file->loop, &file_read_type, file, NULL);
    pl__file_hold(file);
    inner->as.transfer.data = data;
    inner->as.transfer.size = size;
    inner->as.transfer.offset = offset;
    if (refused < 0 || !size)
        transfer_end(inner, refused, 0);
    else
        transfer_go_on(inner);
    return PL_OK;
}

int64_t pl_file_read(pl_file *file, void *data, size_t size, int64_t offset)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_read_start(&op, file, data, size, offset));
}

static void extend_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_take_job(op, &job);
    size_t done = job->as.file_extend.done;
    pl_file *file = op->owner;
    int64_t start = op->as.transfer.offset < 0 ? file->info.size : op->as.transfer.offset;
    if (done > 0)
        note_written(file, start + (int64_t)done, done);
    pl__job_destroy(job);
    transfer_end(op, result, system_error);
}

/* offset -1: at the end. */
static void extend(pl__op *op, pl_file *file)
{
    pl__job *job = pl__job_create(PL__FILE_EXTEND, 0);
    if (!job) {
        transfer_end(op, PL_ENOMEM, 0);
        return;
    }
    job->as.file_extend.object = file->handle.object;
    job->as.file_extend.data = op->as.transfer.data;
    job->as.file_extend.size = op->as.transfer.size;
    job->as.file_extend.offset = op->as.transfer.offset;
    pl__op_submit_job(op, job, extend_finished);
}

static int start_write(pl_op *op, pl_file *file, const void *data, size_t size, int64_t offset)
{
    int refused;
    if ((!data && size) || size > INT64_MAX || (offset >= 0 && (int64_t)size > INT64_MAX - offset))
        return PL_EINVAL;
    int checked = check_transfer(op, file, offset < 0 ? PL_FILE_APPEND : PL_FILE_WRITE, &refused);
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, file->loop, &file_write_type, file, NULL);
    pl__file_hold(file);
    inner->as.transfer.data = (char *)(uintptr_t)data;
    inner->as.transfer.size = size;
    inner->as.transfer.offset = offset;
    if (refused < 0 || !size)
        transfer_end(inner, refused, 0);
    else if (offset < 0 || offset + (int64_t)size > file->extent)
        extend(inner, file);
    else
        transfer_go_on(inner);
    return PL_OK;
}

int pl_file_write_start(pl_op *op, pl_file *file, const void *data, size_t size, int64_t offset)
{
    return offset < 0 ? PL_EINVAL : start_write(op, file, data, size, offset);
}

int64_t pl_file_write(pl_file *file, const void *data, size_t size, int64_t offset)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_write_start(&op, file, data, size, offset));
}

int pl_file_append_start(pl_op *op, pl_file *file, const void *data, size_t size)
{
    return start_write(op, file, data, size, -1);
}

int64_t pl_file_append(pl_file *file, const void *data, size_t size)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_append_start(&op, file, data, size));
}

/* --- Other calls on an open file ---------------------------------------------------------------------------------- */

static const pl__op_type look_type = {.name = "file look", .cancel = pl__op_cancel_completion};
static const pl__op_type size_type = {.name = "file size", .cancel = pl__op_cancel_completion};
static const pl__op_type flush_type = {.name = "file flush", .cancel = pl__op_cancel_completion};
static const pl__op_type resize_type = {.name = "file resize", .cancel = pl__op_cancel_completion};
static const pl__op_type times_type = {.name = "file times", .cancel = pl__op_cancel_completion};

static void look_done(pl_file *file, const pl__op *op, const pl_file_info *info)
{
    file->info = *info;
    if (info->size < file->extent)
        file->extent = info->size;
    if (op->output)
        *(pl_file_info *)op->output = *info;
}

static void resize_done(pl_file *file, int64_t size)
{
    file->info.size = size;
    if (size < file->extent)
        file->extent = size;
}

static void act_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_file *file = op->owner;
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_take_job(op, &job);
    if (result >= 0 && job->kind == PL__FILE_LOOK)
        look_done(file, op, &job->as.file.info);
    if (result >= 0 && job->kind == PL__FILE_RESIZE)
        resize_done(file, job->as.file.size);
    if (result >= 0 && op->type == &size_type)
        result = job->as.file.info.size;
    pl__job_destroy(job);
    transfer_end(op, result, system_error);
}

/* `wanted` holds the parameters. */
static int start_act(pl_op *op, pl_file *file, const pl__op_type *type, const pl__job *wanted, void *output)
{
    int checked = pl__file_check_op(op, file);
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, file->loop, type, file, output);
    pl__file_hold(file);
    pl__job *job = pl__job_create(wanted->kind, 0);
    if (!job) {
        transfer_end(inner, PL_ENOMEM, 0);
        return PL_OK;
    }
    job->as.file = wanted->as.file;
    job->as.file.object = file->handle.object;
    pl__op_submit_job(inner, job, act_finished);
    return PL_OK;
}

int pl_file_look_start(pl_op *op, pl_file *file, pl_file_info *info)
{
    const pl__job wanted = {.kind = PL__FILE_LOOK};
    return info ? start_act(op, file, &look_type, &wanted, info) : PL_EINVAL;
}

int64_t pl_file_look(pl_file *file, pl_file_info *info)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_look_start(&op, file, info));
}

int pl_file_size_start(pl_op *op, pl_file *file)
{
    const pl__job wanted = {.kind = PL__FILE_LOOK};
    return start_act(op, file, &size_type, &wanted, NULL);
}

int64_t pl_file_size(pl_file *file)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_size_start(&op, file));
}

int pl_file_flush_start(pl_op *op, pl_file *file)
{
    const pl__job wanted = {.kind = PL__FILE_FLUSH};
    return start_act(op, file, &flush_type, &wanted, NULL);
}

int64_t pl_file_flush(pl_file *file)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_flush_start(&op, file));
}

int pl_file_flush_data_start(pl_op *op, pl_file *file)
{
    const pl__job wanted = {.kind = PL__FILE_FLUSH, .as.file.data_only = true};
    return start_act(op, file, &flush_type, &wanted, NULL);
}

int64_t pl_file_flush_data(pl_file *file)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_flush_data_start(&op, file));
}

int pl_file_resize_start(pl_op *op, pl_file *file, int64_t size)
{
    const pl__job wanted = {.kind = PL__FILE_RESIZE, .as.file.size = size};
    return size >= 0 ? start_act(op, file, &resize_type, &wanted, NULL) : PL_EINVAL;
}

int64_t pl_file_resize(pl_file *file, int64_t size)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_resize_start(&op, file, size));
}

int pl_file_set_times_start(pl_op *op, pl_file *file, int64_t accessed, int64_t modified)
{
    const pl__job wanted = {.kind = PL__FILE_TIMES, .as.file = {.accessed = accessed, .modified = modified}};
    return start_act(op, file, &times_type, &wanted, NULL);
}

int64_t pl_file_set_times(pl_file *file, int64_t accessed, int64_t modified)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_set_times_start(&op, file, accessed, modified));
}
