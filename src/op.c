/* Operations: see op.h. */
#include "op.h"

#include "debug.h"
#include "loop.h"
#include "task.h"

PL__STATIC_ASSERT(sizeof(pl__op) * 4 <= sizeof(pl_op) * 3, "pl_op keeps a quarter to spare");

static bool op_future_cancel(pl_future *future);
static void op_future_describe(const pl_future *future, pl__text *text);

static const pl__future_type op_future_type = {.name = "operation",
                                               .cancel = op_future_cancel,
                                               .describe = op_future_describe,
                                               .one_waiter = true,
                                               .keeps_result = true};

int pl__op_check(const pl_op *op, pl_loop *loop)
{
    pl_loop *running = pl_loop_running();
    if (!op || (running && running != loop))
        return PL_EINVAL; /* a task of one loop cannot wait for another's */
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    const pl__op *inner = pl__op_of(op);
    if (inner->state == PL__OP_PENDING || pl__completion_is_pending(&inner->completion))
        return PL_EBUSY;
    return PL_OK;
}

pl__op *pl__op_begin(pl_op *op, pl_loop *loop, const pl__op_type *type, void *owner, void *output)
{
    pl__op *inner = pl__op_of(op);
    *inner =
        (pl__op){.type = type, .owner = owner, .output = output, .state = PL__OP_PENDING, .cancel_code = PL_ECANCELED};
    pl__future_init(&inner->future, &op_future_type, loop);
    pl_task *task = loop->current;
    bool on_stack = task && pl__fiber_contains(task->fiber, inner);
    pl__list_push_back(on_stack ? &task->operations : &loop->operations, &inner->node);
    return inner;
}

void pl__op_end(pl__op *op, int64_t result, int32_t system_error)
{
    PL__CHECK(op->state == PL__OP_PENDING && op->completion.state == PL__IDLE);
    op->state = PL__OP_DONE;
    op->system_error = system_error;
    pl__node_unlink(&op->node);
    pl__future_finish(&op->future, result);
}

void pl__op_cancel(pl__op *op, int code)
{
    PL__CHECK(op->state == PL__OP_PENDING);
    if (op->cancelling)
        return;
    op->cancelling = true;
    op->cancel_code = (int16_t)code;
    op->type->cancel(op);
}

void pl__op_cancel_completion(pl__op *op)
{
    pl__loop_cancel(op->future.loop, &op->completion);
}

int64_t pl__op_translate(const pl__op *op, int64_t result)
{
    return result == PL_ECANCELED && op->cancelling ? op->cancel_code : result;
}

static bool op_future_cancel(pl_future *future)
{
    pl__op_cancel(PL__CONTAINER_OF(future, pl__op, future), PL_ECANCELED);
    return true;
}

static void op_future_describe(const pl_future *future, pl__text *text)
{
    pl__text_add(text, " %s", PL__CONTAINER_OF(future, pl__op, future)->type->name);
}

int64_t pl__op_wait(pl_op *op, int started)
{
    if (started < 0)
        return started;
    int64_t result = pl_op_await(op);
    PL__CHECK(pl__op_of(op)->state == PL__OP_DONE); /* it lies on the stack of the caller, who goes on now */
    return result;
}

/* --- Public ------------------------------------------------------------------------------------------------------- */

pl_future *pl_op_future(pl_op *op)
{
    return op ? &pl__op_of(op)->future : NULL;
}

int pl_op_is_pending(const pl_op *op)
{
    if (!op || pl__op_of(op)->state != PL__OP_PENDING)
        return 0;
    (void)pl__loop_refuses(pl__op_of(op)->future.loop, "pl_op_is_pending"); /* still, better not to free it */
    return 1;
}

int64_t pl_op_await(pl_op *op)
{
    return op ? pl_await(&pl__op_of(op)->future) : PL_EINVAL;
}

int pl_op_cancel(pl_op *op)
{
    if (!op)
        return PL_EINVAL;
    pl__op *inner = pl__op_of(op);
    if (inner->state != PL__OP_PENDING)
        return PL_ESTATE;
    int checked = pl__loop_check_thread(inner->future.loop);
    if (checked < 0)
        return checked;
    pl__op_cancel(inner, PL_ECANCELED);
    return PL_OK;
}

int64_t pl_op_finish(pl_op *op)
{
    if (!op)
        return PL_EINVAL;
    pl__op *inner = pl__op_of(op);
    if (inner->state == PL__OP_IDLE)
        return PL_OK;
    if (inner->state == PL__OP_PENDING) {
        pl_task *task = pl__task_running();
        if (!task)
            return PL_ENOTASK;
        if (pl__future_is_busy(&inner->future))
            return PL_EBUSY;
        pl_shielded cleaning = {0};
        PL__CHECK(pl_shielded_begin(&cleaning) == PL_OK);
        pl__op_cancel(inner, PL_ECANCELED);
        if (inner->state == PL__OP_PENDING)
            pl__task_wait(task, &inner->future);
        pl_shielded_end(&cleaning);
    }
    return pl__future_take(&inner->future);
}

int64_t pl_op_result(pl_op *op)
{
    if (!op)
        return PL_EINVAL;
    pl__op *inner = pl__op_of(op);
    if (inner->state == PL__OP_DONE)
        return pl__future_take(&inner->future);
    int checked = inner->state == PL__OP_PENDING ? pl__loop_check_thread(inner->future.loop) : PL_OK;
    return checked < 0 ? checked : PL_ESTATE;
}

int32_t pl_op_system_error(const pl_op *op)
{
    return op && pl__op_of(op)->state == PL__OP_DONE ? pl__op_of(op)->system_error : 0;
}
