/* Copying files: see proloop/file.h.
 *
 * One job goes through its steps, from the loop's thread to a worker and back each time:
 *
 *     BEGIN  opens the source and makes the target -> PIECE, again and again -> END: times, permissions, the final name
 *     UNDO   after a failure or a cancel: closes, and removes what was made; left out if BEGIN opened nothing
 *
 * Between two steps nothing of it runs, so that is where a cancel is noticed and progress is told. A step that has not
 * begun is taken back by the pool; the step after that is UNDO in any case.
 */
#include <string.h>

#include "allocator.h"
#include "file.h"
#include "loop.h"
#include "task.h"

enum { PIECE_SIZE = 1 << 20 };

enum copy_step { COPY_BEGIN, COPY_PIECE, COPY_END, COPY_UNDO };

typedef struct copying {
    pl_file_copy_progress_fn *progress;
    void *arg;
    pl__job *job;
    int64_t result; /* why it is undone */
    int32_t system_error;
} copying;

/* --- On workers --------------------------------------------------------------------------------------------------- */

/* Opens by another job; what went wrong is noted in ours. */
static int64_t open_by(pl__job *job, pl__job *opening, const char *path, uint32_t flags, uintptr_t *object)
{
    opening->as.file_open.path = path;
    opening->as.file_open.flags = flags;
    opening->as.file_open.object = PL__NO_OBJECT;
    int64_t result = flags & PL_FILE_CREATE ? pl__run_file_create(opening) : pl__run_file_open(opening);
    job->system_error = opening->system_error;
    if (result >= 0)
        *object = opening->as.file_open.object;
    return result;
}

static void close_both(pl__job *job)
{
    pl__file_close_object(job->as.file_copy.source_object);
    pl__file_close_object(job->as.file_copy.target_object);
    job->as.file_copy.source_object = job->as.file_copy.target_object = PL__NO_OBJECT;
}

static void forget_target(pl__job *job)
{
    if (job->as.file_copy.target)
        pl__release(job->as.file_copy.target, strlen(job->as.file_copy.target) + 1);
    job->as.file_copy.target = NULL;
}

/* The path to write: the final one, or another one beside it. NULL: out of memory, or *error. */
static char *target_path(const pl__job *job, int *error)
{
    const char *to = job->as.file_copy.to;
    char name[PL__NAME_SIZE] = "";
    *error = job->as.file_copy.overwrite ? pl__name_make(name) : PL_OK;
    if (*error < 0)
        return NULL;
    size_t length = strlen(to), more = strlen(name);
    char *path = pl__allocate(length + more + 1);
    *error = path ? PL_OK : PL_ENOMEM;
    if (!path)
        return NULL;
    size_t folder = length; /* of the name beside it, up to the last slash */
    while (more && folder > 0 && !pl__is_separator(to[folder - 1]))
        folder--;
    if (more) {
        memcpy(path, to, folder);
        memcpy(path + folder, name, more + 1);
        char *fitting = pl__reallocate(path, length + more + 1, folder + more + 1);
        if (!fitting) {
            pl__release(path, length + more + 1);
            *error = PL_ENOMEM;
        }
        return fitting;
    }
    memcpy(path, to, length + 1);
    return path;
}

static int64_t begin_copy(pl__job *job)
{
    pl__job source = {.kind = PL__FILE_OPEN}, target = {.kind = PL__FILE_CREATE};
    int64_t result = open_by(job, &source, job->as.file_copy.from, PL_FILE_READ, &job->as.file_copy.source_object);
    if (result < 0)
        return result;
    job->as.file_copy.info = source.as.file_open.info;
    if (source.as.file_open.info.kind != PL_FILE_REGULAR)
        return source.as.file_open.info.kind == PL_FILE_FOLDER ? PL_EISDIR : PL_ENOTSUP;
    int error;
    char *path = target_path(job, &error);
    if (!path)
        return error;
    target.as.file_open.mode = 0600; /* until it is complete */
    result = open_by(job, &target, path, PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_EXCLUSIVE,
                     &job->as.file_copy.target_object);
    if (result < 0)
        pl__release(path, strlen(path) + 1);
    else
        job->as.file_copy.target = path;
    return result;
}

static int64_t end_copy(pl__job *job)
{
    int64_t result = pl__file_copy_marks(job);
    close_both(job);
    if (result >= 0 && job->as.file_copy.overwrite) {
        pl__job renaming = {.kind = PL__FILE_RENAME,
                            .as.path = {.path = job->as.file_copy.target, .other = job->as.file_copy.to}};
        result = pl__run_file_rename(&renaming);
        job->system_error = renaming.system_error;
    }
    if (result >= 0)
        forget_target(job);
    return result;
}

static int64_t undo_copy(pl__job *job)
{
    close_both(job);
    if (job->as.file_copy.target) {
        pl__job removing = {.kind = PL__FILE_REMOVE, .as.path.path = job->as.file_copy.target};
        (void)pl__run_file_remove(&removing);
        forget_target(job);
    }
    return PL_OK;
}

int64_t pl__run_file_copy(pl__job *job)
{
    static int64_t (*const steps[])(pl__job *) = {
        [COPY_BEGIN] = begin_copy, [COPY_END] = end_copy, [COPY_UNDO] = undo_copy};
    job->system_error = 0;
    return job->as.file_copy.step == COPY_PIECE ? pl__file_copy_piece(job, PIECE_SIZE)
                                                : steps[job->as.file_copy.step](job);
}

/* --- On the loop's thread ----------------------------------------------------------------------------------------- */

static void copy_cancel(pl__op *op)
{
    const copying *copy = op->owner;
    if (copy->job->as.file_copy.step != COPY_UNDO && pl__completion_is_pending(&op->completion))
        pl__op_cancel_completion(op);
}

static const pl__op_type copy_type = {.name = "copy file", .cancel = copy_cancel};

static void copy_step_finished(pl__completion *completion);

/* Starts the job's next step. */
static void copy_go(pl__op *op, uint8_t step)
{
    copying *copy = op->owner;
    copy->job->as.file_copy.step = step;
    pl__op_submit_job(op, copy->job, copy_step_finished);
}

static void copy_end(pl__op *op, int64_t result, int32_t system_error)
{
    copying *copy = op->owner;
    forget_target(copy->job);
    pl__job_destroy(copy->job);
    pl__release(copy, sizeof *copy);
    pl__op_end(op, result, system_error);
}

/* After a failure or a cancel. What did nothing yet needs no worker, and so waits for none. A step that could not be run at
 * all, for want of a worker, is run here: the least evil. */
static void copy_undo(pl__op *op, int64_t result, int32_t system_error)
{
    copying *copy = op->owner;
    const pl__job *job = copy->job;
    if (job->as.file_copy.source_object == PL__NO_OBJECT && !job->as.file_copy.target) {
        copy_end(op, result, system_error);
        return;
    }
    copy->result = result;
    copy->system_error = system_error;
    copy_go(op, COPY_UNDO);
}

static void copy_tell(pl__op *op)
{
    const copying *copy = op->owner;
    if (copy->progress)
        copy->progress(copy->arg, copy->job->as.file_copy.done, copy->job->as.file_copy.info.size);
}

static void copy_step_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    copying *copy = op->owner;
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_take_job(op, &job);
    PL__CHECK(job == copy->job);
    uint8_t step = job->as.file_copy.step;
    if (step == COPY_UNDO) {
        if (result < 0)
            (void)undo_copy(job);
        copy_end(op, copy->result, copy->system_error);
        return;
    }
    if (step == COPY_END && result >= 0) {
        copy_end(op, job->as.file_copy.done, 0);
        return;
    }
    if (step == COPY_PIECE && result > 0) {
        job->as.file_copy.done += result;
        copy_tell(op);
    }
    if (result < 0)
        copy_undo(op, result, system_error);
    else if (op->cancelling)
        copy_undo(op, op->cancel_code, 0);
    else
        copy_go(op, step == COPY_PIECE && result == 0 ? COPY_END : COPY_PIECE);
}

/* NULL: out of memory. */
static copying *copy_make(const char *from, const char *to, const pl_file_copy_options *options)
{
    copying *copy = pl__allocate_zeroed(sizeof *copy);
    if (!copy)
        return NULL;
    copy->job = pl__job_create(PL__FILE_COPY, strlen(from) + 1 + strlen(to) + 1);
    if (!copy->job) {
        pl__release(copy, sizeof *copy);
        return NULL;
    }
    copy->job->as.file_copy.from = pl__job_string(copy->job, from);
    copy->job->as.file_copy.to = pl__job_string(copy->job, to);
    copy->job->as.file_copy.source_object = copy->job->as.file_copy.target_object = PL__NO_OBJECT;
    copy->job->as.file_copy.overwrite = options && options->overwrite;
    copy->progress = options ? options->progress : NULL;
    copy->arg = options ? options->arg : NULL;
    return copy;
}

int pl_file_copy_start(pl_op *op, const char *from, const char *to, const pl_file_copy_options *options)
{
    if (!to || !*to || (options && options->size != sizeof *options))
        return PL_EINVAL;
    pl_loop *loop;
    int checked = pl__path_check_op(op, from, &loop);
    if (checked < 0)
        return checked;
    copying *copy = copy_make(from, to, options);
    pl__op *inner = pl__op_begin(op, loop, &copy_type, copy, NULL);
    if (copy)
        copy_go(inner, COPY_BEGIN);
    else
        pl__op_end(inner, PL_ENOMEM, 0);
    return PL_OK;
}

int64_t pl_file_copy(const char *from, const char *to, const pl_file_copy_options *options)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_copy_start(&op, from, to, options));
}
