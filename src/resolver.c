/* Names to addresses: a job for a worker, abandoned when it is cancelled. */
#include <string.h>

#include <proloop/net.h>

#include "file.h"
#include "loop.h"
#include "task.h"
#include "worker_pool.h"

static const pl__op_type resolve_type = {.name = "resolve", .cancel = pl__op_cancel_completion};

static void resolve_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl__job *job = completion->as.job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_translate(op, pl__completion_take(completion));
    if (result >= 0) {
        if ((uint64_t)result > op->as.resolve.capacity)
            result = (int64_t)op->as.resolve.capacity;
        memcpy(op->output, job->as.resolve.addresses, (size_t)result * sizeof(pl_address));
    }
    pl__job_destroy(job);
    pl__op_end(op, result, system_error);
}

int pl_resolve_start(pl_op *op, const char *host, uint16_t port, int family, pl_address *addresses, size_t capacity)
{
    if (!op || !addresses || !capacity || (family != 0 && family != PL_IPV4 && family != PL_IPV6))
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, loop, &resolve_type, NULL, addresses);
    inner->as.resolve.capacity = capacity;
    pl__job *job = pl__job_create(PL__RESOLVE, host ? strlen(host) + 1 : 0);
    if (job) {
        job->as.resolve.host = pl__job_string(job, host);
        job->as.resolve.port = port;
        job->as.resolve.family = (uint8_t)family;
    }
    pl__op_submit_job(inner, job, resolve_finished);
    return PL_OK;
}

int64_t pl_resolve(const char *host, uint16_t port, int family, pl_address *addresses, size_t capacity)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_resolve_start(&op, host, port, family, addresses, capacity));
}
