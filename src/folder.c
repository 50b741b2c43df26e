/* Listings of folders: see proloop/file.h. An open folder is a pl_file; its listing is a job that makes the entries. */
#include <string.h>

#include "allocator.h"
#include "file.h"
#include "loop.h"
#include "task.h"

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
    int64_t result = pl__op_take_job(op, &job);
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
    int checked = listing ? pl__file_check_op(op, folder) : PL_EINVAL;
    if (checked < 0)
        return checked;
    *listing = (pl_folder_listing){.entries = NULL};
    pl__op *inner = pl__op_begin(op, pl__file_loop(folder), &list_type, folder, listing);
    pl__job *job = pl__job_create(PL__FOLDER_LIST, 0);
    if (job) {
        pl__file_hold(folder);
        job->as.folder_list.object = pl__file_object(folder);
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
