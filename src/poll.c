/* Waiting for foreign objects, once: an operation around a POLL or a WAIT of the proactor. */
#include <proloop/poll.h>

#include "loop.h"
#include "op.h"
#include "task.h"
#include "watcher.h"

enum { POLL_EVENTS = PL_POLL_READABLE | PL_POLL_WRITABLE | PL_POLL_PRIORITY | PL_POLL_HANGUP };

static void poll_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    int32_t system_error = completion->system_error;
    int64_t result = pl__completion_take(completion);
    if (result > 0 && op->output)
        *(int *)op->output = (int)result;
    pl__op_end(op, result > 0 ? PL_OK : result, system_error);
}

static void submit(pl__op *op)
{
    op->completion.deliver = poll_finished;
    if (!pl__loop_submit(op->future.loop, &op->completion))
        poll_finished(&op->completion);
}

/* --- Sockets and descriptors -------------------------------------------------------------------------------------- */

static const pl__op_type poll_type = {.name = "poll", .cancel = pl__op_cancel_completion};

int pl_poll_fd_start(pl_op *op, pl_socket object, int events, int *happened)
{
    if (!op || (events & POLL_EVENTS) == 0 || (events & ~(POLL_EVENTS | PL_POLL_ERROR)) != 0)
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, loop, &poll_type, NULL, happened);
    inner->completion.kind = PL__POLL;
    inner->completion.as.poll.object = object;
    inner->completion.as.poll.events = (uint32_t)(events & POLL_EVENTS);
    submit(inner);
    return PL_OK;
}

int64_t pl_poll_fd(pl_socket object, int events, int *happened)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_poll_fd_start(&op, object, events, happened));
}

/* --- Handles of Windows ------------------------------------------------------------------------------------------- */

static const pl__op_type wait_type = {.name = "wait for a handle", .cancel = pl__op_cancel_completion};

int pl_wait_handle_start(pl_op *op, void *handle)
{
    if (!op || pl__is_pseudo_handle(handle))
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, loop, &wait_type, NULL, NULL);
    inner->completion.kind = PL__WAIT;
    inner->completion.as.wait.object = (uintptr_t)handle;
    submit(inner);
    return PL_OK;
}

int64_t pl_wait_handle(void *handle)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_wait_handle_start(&op, handle));
}
