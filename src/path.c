/* Paths: what a path leads to, and how names change: see proloop/file.h. All of them are jobs of the worker pool with
 * copies of the paths; they differ in the job's kind and in what is done with its result. */
#include <string.h>

#include "allocator.h"
#include "file.h"
#include "loop.h"
#include "task.h"

int pl__path_check_op(const pl_op *op, const char *path, pl_loop **loop)
{
    if (!op || !path || !*path)
        return PL_EINVAL;
    *loop = pl_loop_running();
    return *loop ? pl__op_check(op, *loop) : PL_ENOLOOP;
}

/* --- Calls that give nothing but their result, or information ----------------------------------------------------- */

static const pl__op_type stat_type = {.name = "stat", .cancel = pl__op_cancel_completion};
static const pl__op_type rename_type = {.name = "rename", .cancel = pl__op_cancel_completion};
static const pl__op_type remove_type = {.name = "remove file", .cancel = pl__op_cancel_completion};
static const pl__op_type link_make_type = {.name = "make link", .cancel = pl__op_cancel_completion};
static const pl__op_type folder_make_type = {.name = "make folder", .cancel = pl__op_cancel_completion};
static const pl__op_type folder_remove_type = {.name = "remove folder", .cancel = pl__op_cancel_completion};

static void path_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_take_job(op, &job);
    if (result >= 0 && op->output)
        *(pl_file_info *)op->output = job->as.path.info;
    pl__job_destroy(job);
    pl__op_end(op, result, system_error);
}

/* `wanted` holds the parameters; its strings are copied. */
static int start_path(pl_op *op, const pl__op_type *type, const pl__job *wanted, pl_file_info *info)
{
    const char *path = wanted->as.path.path, *other = wanted->as.path.other;
    pl_loop *loop;
    int checked = pl__path_check_op(op, path, &loop);
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, loop, type, NULL, info);
    pl__job *job = pl__job_create(wanted->kind, strlen(path) + 1 + (other ? strlen(other) + 1 : 0));
    if (job) {
        job->as.path = wanted->as.path;
        job->as.path.path = pl__job_string(job, path);
        job->as.path.other = pl__job_string(job, other);
    }
    pl__op_submit_job(inner, job, path_finished);
    return PL_OK;
}

int pl_file_stat_start(pl_op *op, const char *path, pl_file_info *info)
{
    const pl__job wanted = {.kind = PL__FILE_STAT, .as.path = {.path = path, .follow = true}};
    return info ? start_path(op, &stat_type, &wanted, info) : PL_EINVAL;
}

int64_t pl_file_stat(const char *path, pl_file_info *info)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_stat_start(&op, path, info));
}

int pl_link_stat_start(pl_op *op, const char *path, pl_file_info *info)
{
    const pl__job wanted = {.kind = PL__FILE_STAT, .as.path = {.path = path}};
    return info ? start_path(op, &stat_type, &wanted, info) : PL_EINVAL;
}

int64_t pl_link_stat(const char *path, pl_file_info *info)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_link_stat_start(&op, path, info));
}

int pl_file_rename_start(pl_op *op, const char *from, const char *to)
{
    const pl__job wanted = {.kind = PL__FILE_RENAME, .as.path = {.path = from, .other = to}};
    return to && *to ? start_path(op, &rename_type, &wanted, NULL) : PL_EINVAL;
}

int64_t pl_file_rename(const char *from, const char *to)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_rename_start(&op, from, to));
}

int pl_file_remove_start(pl_op *op, const char *path)
{
    const pl__job wanted = {.kind = PL__FILE_REMOVE, .as.path = {.path = path}};
    return start_path(op, &remove_type, &wanted, NULL);
}

int64_t pl_file_remove(const char *path)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_file_remove_start(&op, path));
}

int pl_link_make_start(pl_op *op, const char *path, const char *content)
{
    const pl__job wanted = {.kind = PL__LINK_MAKE, .as.path = {.path = path, .other = content}};
    return content && *content ? start_path(op, &link_make_type, &wanted, NULL) : PL_EINVAL;
}

int64_t pl_link_make(const char *path, const char *content)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_link_make_start(&op, path, content));
}

int pl_folder_make_start(pl_op *op, const char *path, uint32_t mode)
{
    const pl__job wanted = {.kind = PL__FOLDER_MAKE, .as.path = {.path = path, .mode = mode ? mode : 0777}};
    return mode <= 07777 ? start_path(op, &folder_make_type, &wanted, NULL) : PL_EINVAL;
}

int64_t pl_folder_make(const char *path, uint32_t mode)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_folder_make_start(&op, path, mode));
}

int pl_folder_remove_start(pl_op *op, const char *path)
{
    const pl__job wanted = {.kind = PL__FOLDER_REMOVE, .as.path = {.path = path}};
    return start_path(op, &folder_remove_type, &wanted, NULL);
}

int64_t pl_folder_remove(const char *path)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_folder_remove_start(&op, path));
}

/* --- Calls that give text ----------------------------------------------------------------------------------------- */

static const pl__op_type link_read_type = {.name = "read link", .cancel = pl__op_cancel_completion};
static const pl__op_type path_real_type = {.name = "real path", .cancel = pl__op_cancel_completion};
static const pl__op_type temporary_type = {.name = "make temporary folder", .cancel = pl__op_cancel_completion};

/* On a worker if it was abandoned. */
static void drop_text(pl__job *job)
{
    if (job->as.text.text)
        pl__release(job->as.text.text, strlen(job->as.text.text) + 1);
    pl__job_destroy(job);
}

static void text_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl__job *job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_take_job(op, &job);
    if (result >= 0)
        result = pl__text_give(op, job->as.text.text, (size_t)result);
    if (job)
        job->drop(job);
    pl__op_end(op, op->type == &temporary_type && result > 0 ? PL_OK : result, system_error);
}

static int start_text(pl_op *op, const pl__op_type *type, uint8_t kind, const char *path, char *place, size_t capacity)
{
    pl_loop *loop;
    int checked = place && capacity ? pl__path_check_op(op, path ? path : ".", &loop) : PL_EINVAL;
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, loop, type, NULL, NULL);
    inner->as.text.place = place;
    inner->as.text.capacity = capacity;
    pl__job *job = pl__job_create(kind, path ? strlen(path) + 1 : 0);
    if (job) {
        job->drop = drop_text;
        job->as.text.path = pl__job_string(job, path);
        job->as.text.capacity = capacity;
    }
    pl__op_submit_job(inner, job, text_finished);
    return PL_OK;
}

int pl_link_read_start(pl_op *op, const char *path, char *content, size_t capacity)
{
    return path ? start_text(op, &link_read_type, PL__LINK_READ, path, content, capacity) : PL_EINVAL;
}

int64_t pl_link_read(const char *path, char *content, size_t capacity)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_link_read_start(&op, path, content, capacity));
}

int pl_path_real_start(pl_op *op, const char *path, char *real, size_t capacity)
{
    return path ? start_text(op, &path_real_type, PL__PATH_REAL, path, real, capacity) : PL_EINVAL;
}

int64_t pl_path_real(const char *path, char *real, size_t capacity)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_path_real_start(&op, path, real, capacity));
}

int pl_folder_make_temporary_start(pl_op *op, const char *folder, char *path, size_t capacity)
{
    return start_text(op, &temporary_type, PL__FOLDER_TEMPORARY, folder, path, capacity);
}

int64_t pl_folder_make_temporary(const char *folder, char *path, size_t capacity)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_folder_make_temporary_start(&op, folder, path, capacity));
}
