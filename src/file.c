/* Files and folders: each call is a job for a worker (worker_pool.h).
 *
 * The job has memory of its own; what it yields is copied out when it is done. A cancelled open or stat ends at once, and
 * its job drops what it yields later. A read uses the caller's memory, and a listing the open folder, so they are waited
 * for. Closing is a job nobody waits for: the file's struct carries it, and goes when it is done.
 */
#include "file.h"

#include <string.h>

#include "allocator.h"
#include "debug.h"
#include "loop.h"
#include "task.h"
#include "worker_pool.h"

struct pl_file {
    pl_loop *loop;
    uintptr_t object;
    pl_file_info info;
    uint32_t references; /* the owner's, and one per operation that uses it */
    bool closed;
    pl__completion closing;
    pl__job job;
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

/* Takes the result of a job; after a cancel that abandoned it, *job is NULL. */
static int64_t take_job(pl__op *op, pl__job **job)
{
    *job = op->completion.as.job;
    return pl__op_translate(op, pl__completion_take(&op->completion));
}

/* --- Opening and closing ------------------------------------------------------------------------------------------ */

static const pl__op_type open_type = {.name = "open", .cancel = pl__op_cancel_completion};

/* An opened file that nobody will use; on a worker if its open was abandoned. */
static void drop_opened(pl__job *job)
{
    if (job->result >= 0 && job->as.file_open.object != PL__NO_OBJECT) {
        pl__job closing = {.kind = PL__FILE_CLOSE};
        closing.as.file_close.object = job->as.file_open.object;
        (void)pl__run_file_close(&closing);
    }
    pl__job_destroy(job);
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
    file->job = (pl__job){.kind = PL__FILE_CLOSE, .drop = close_job_kept};
    file->job.as.file_close.object = file->object;
    if (file->loop->closed) { /* there are no workers any more */
        (void)pl__run_file_close(&file->job);
        file_free(file);
        return;
    }
    file->closing = (pl__completion){.kind = PL__FILE_CLOSE, .deliver = file_closed};
    file->closing.as.job = &file->job;
    if (!pl__loop_submit(file->loop, &file->closing))
        file_closed(&file->closing);
}

static void open_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_file *file = op->owner;
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = take_job(op, &job);
    if (result >= 0) {
        file->object = job->as.file_open.object;
        file->info = job->as.file_open.info;
        pl__job_destroy(job);
        *(pl_file **)op->output = file;
    } else {
        if (job)
            job->drop(job);
        file_free(file);
    }
    pl__op_end(op, result, system_error);
}

static pl__job *open_job(const char *path, const char *beneath)
{
    pl__job *job = pl__job_create(PL__FILE_OPEN, strlen(path) + 1 + (beneath ? strlen(beneath) + 1 : 0));
    if (!job)
        return NULL;
    job->drop = drop_opened;
    job->as.file_open.path = pl__job_string(job, path);
    job->as.file_open.beneath = pl__job_string(job, beneath);
    job->as.file_open.object = PL__NO_OBJECT;
    return job;
}

int pl_file_open_start(pl_op *op, pl_file **out, const char *path, const pl_file_options *options)
{
    if (!op || !out || !path || !*path || (options && options->size != sizeof *options))
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    *out = NULL;
    pl_file *file = pl__allocate_zeroed(sizeof *file);
    pl__op *inner = pl__op_begin(op, loop, &open_type, file, (void *)out);
    if (!file) {
        pl__op_end(inner, PL_ENOMEM, 0);
        return PL_OK;
    }
    file->loop = loop;
    file->object = PL__NO_OBJECT;
    file->references = 1;
    pl__loop_hold(loop);
    pl__job *job = open_job(path, options ? options->beneath : NULL);
    if (!job)
        file_free(file);
    pl__op_submit_job(inner, job, open_finished);
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

int pl__file_check(const pl_file *file, const pl_loop *loop)
{
    if (file->closed)
        return PL_ECLOSED;
    if (file->info.kind == PL_FILE_FOLDER)
        return PL_EISDIR;
    return file->loop == loop ? PL_OK : PL_EINVAL;
}

uintptr_t pl__file_object(const pl_file *file)
{
    return file->object;
}

int64_t pl__file_reach(const pl_file *file, int64_t offset, int64_t size)
{
    if (file->info.kind != PL_FILE_REGULAR || size <= file->info.size - offset)
        return size;
    return offset < file->info.size ? file->info.size - offset : 0;
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

int pl_file_info_get(const pl_file *file, pl_file_info *info)
{
    if (!file || !info)
        return PL_EINVAL;
    *info = file->info;
    return PL_OK;
}

/* --- Reading ------------------------------------------------------------------------------------------------------ */

static const pl__op_type file_read_type = {.name = "file read", .cancel = pl__op_cancel_completion};

static void file_read_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_file *file = op->owner;
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = take_job(op, &job);
    pl__job_destroy(job);
    pl__op_end(op, result, system_error);
    pl__file_let_go(file);
}

/* The checks of an operation on an open file. */
static int check_file_op(const pl_op *op, const pl_file *file)
{
    if (!op || !file)
        return PL_EINVAL;
    int checked = pl__op_check(op, file->loop);
    return checked == PL_OK && file->closed ? PL_ECLOSED : checked;
}

int pl_file_read_start(pl_op *op, pl_file *file, void *data, size_t size, int64_t offset)
{
    if ((!data && size) || offset < 0)
        return PL_EINVAL;
    int checked = check_file_op(op, file);
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, file->loop, &file_read_type, file, NULL);
    if (!size) {
        pl__op_end(inner, 0, 0);
        return PL_OK;
    }
    pl__job *job = pl__job_create(PL__FILE_READ, 0);
    if (job) {
        pl__file_hold(file);
        job->as.file_read.object = file->object;
        job->as.file_read.data = data;
        job->as.file_read.size = size;
        job->as.file_read.offset = offset;
    }
    pl__op_submit_job(inner, job, file_read_finished);
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

/* --- Facts about a path ------------------------------------------------------------------------------------------- */

static const pl__op_type stat_type = {.name = "stat", .cancel = pl__op_cancel_completion};

static void stat_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = take_job(op, &job);
    if (result >= 0)
        *(pl_file_info *)op->output = job->as.file_stat.info;
    pl__job_destroy(job);
    pl__op_end(op, result, system_error);
}

int pl_file_stat_start(pl_op *op, const char *path, pl_file_info *info)
{
    if (!op || !path || !*path || !info)
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, loop, &stat_type, NULL, info);
    pl__job *job = pl__job_create(PL__FILE_STAT, strlen(path) + 1);
    if (job)
        job->as.file_stat.path = pl__job_string(job, path);
    pl__op_submit_job(inner, job, stat_finished);
    return PL_OK;
}

int64_t pl_file_stat(const char *path, pl_file_info *info)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_stat_start(&op, path, info));
}

/* --- Listing ------------------------------------------------------------------------------------------------------ */

static const pl__op_type list_type = {.name = "list folder", .cancel = pl__op_cancel_completion};

void pl_folder_listing_free(pl_folder_listing *listing)
{
    if (!listing)
        return;
    for (size_t i = 0; i < listing->count; i++)
        pl__release(listing->entries[i].name, strlen(listing->entries[i].name) + 1);
    if (listing->entries)
        pl__release(listing->entries, listing->capacity * sizeof *listing->entries);
    *listing = (pl_folder_listing){.entries = NULL};
}

static void list_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_file *folder = op->owner;
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = take_job(op, &job);
    pl_folder_listing listing = {job->as.folder_list.entries, job->as.folder_list.count, job->as.folder_list.capacity};
    if (result >= 0)
        *(pl_folder_listing *)op->output = listing;
    else
        pl_folder_listing_free(&listing);
    pl__job_destroy(job);
    pl__op_end(op, result, system_error);
    pl__file_let_go(folder);
}

int pl_folder_list_start(pl_op *op, pl_file *folder, pl_folder_listing *listing)
{
    int checked = listing ? check_file_op(op, folder) : PL_EINVAL;
    if (checked < 0)
        return checked;
    *listing = (pl_folder_listing){.entries = NULL};
    pl__op *inner = pl__op_begin(op, folder->loop, &list_type, folder, listing);
    pl__job *job = pl__job_create(PL__FOLDER_LIST, 0);
    if (job) {
        pl__file_hold(folder);
        job->as.folder_list.object = folder->object;
    }
    pl__op_submit_job(inner, job, list_finished);
    return PL_OK;
}

int64_t pl_folder_list(pl_file *folder, pl_folder_listing *listing)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_folder_list_start(&op, folder, listing));
}
