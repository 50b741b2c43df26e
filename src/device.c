/* Devices: see device.h. */
#include "device.h"

#include "allocator.h"
#include "buffer_pool.h"

enum { IDLE, QUEUED, RUNNING, FINISHED };

/* --- The thread --------------------------------------------------------------------------------------------------- */

static void carry_out(pl__device *device)
{
    const pl__completion *c = device->completion;
    if (c->kind == PL__RECEIVE)
        device->result = pl__device_read(device, c->as.receive.data, c->as.receive.size, &device->system_error);
    else
        device->result = pl__device_write(device, c->as.send.buffers, c->as.send.offset, &device->system_error);
}

static void finish(pl__device *device)
{
    device->state = FINISHED;
    pl__atomic_u32_store(&device->finished, 1);
}

static void run_next(pl__device *device)
{
    device->state = RUNNING;
    device->system_error = 0;
    pl__mutex_unlock(&device->mutex);
    carry_out(device);
    pl__mutex_lock(&device->mutex);
    if (device->interrupted)
        pl__device_end_interrupt(device);
    device->interrupted = false;
    finish(device);
    device->wake(device->context); /* with the mutex: the proactor is there as long as this request is */
}

static void run_thread(void *arg)
{
    pl__device *device = arg;
    pl__mutex_lock(&device->mutex);
    while (!device->closing) {
        if (device->state == QUEUED)
            run_next(device);
        else
            pl__condition_wait(&device->work, &device->mutex);
    }
    pl__mutex_unlock(&device->mutex);
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

pl__device *pl__device_create(void)
{
    pl__device *device = pl__allocate_zeroed(sizeof *device);
    if (!device)
        return NULL;
    pl__mutex_init(&device->mutex);
    pl__condition_init(&device->work);
    return device;
}

void pl__device_destroy(pl__device *device)
{
    PL__CHECK(device->state == IDLE && !pl__node_is_linked(&device->node));
    if (device->started) {
        pl__mutex_lock(&device->mutex);
        device->closing = true;
        pl__condition_signal(&device->work);
        pl__mutex_unlock(&device->mutex);
        pl__thread_join(&device->thread);
    }
    pl__device_release(device);
    pl__condition_destroy(&device->work);
    pl__mutex_destroy(&device->mutex);
    pl__release(device, sizeof *device);
}

void pl__device_attach(pl__list *devices, pl__handle *handle, void (*wake)(void *context), void *context)
{
    pl__device *device = pl__device_of(handle);
    PL__CHECK(!handle->attached && handle->type == PL__DEVICE);
    device->wake = wake;
    device->context = context;
    pl__list_push_back(devices, &device->node);
    handle->attached = true;
}

void pl__device_detach(pl__handle *handle)
{
    PL__CHECK(handle->attached && handle->in_flight == 0);
    pl__node_unlink(&pl__device_of(handle)->node);
    handle->attached = false;
}

/* --- Requests ----------------------------------------------------------------------------------------------------- */

static int prepare(pl__device *device, pl__completion *c)
{
    if (c->kind != PL__RECEIVE && c->kind != PL__SEND)
        return PL_ENOTSUP;
    if (!device->started) {
        int result = pl__thread_start(&device->thread, run_thread, device, "proloop device");
        if (result < 0)
            return result;
        device->started = true;
    }
    if (c->kind == PL__RECEIVE && c->as.receive.pool) {
        c->as.receive.data = pl__buffer_take(c->as.receive.pool);
        return c->as.receive.data ? PL_OK : PL_ENOMEM;
    }
    return PL_OK;
}

int pl__device_submit(pl__completion *c)
{
    pl__device *device = pl__device_of(c->handle);
    PL__CHECK(c->handle->attached && !device->completion);
    int result = prepare(device, c);
    if (result < 0)
        return pl__completion_finish_now(c, result, 0);
    pl__completion_submitted(c);
    pl__mutex_lock(&device->mutex);
    PL__CHECK(device->state == IDLE);
    device->completion = c;
    device->state = QUEUED;
    pl__condition_signal(&device->work);
    pl__mutex_unlock(&device->mutex);
    return PL__SUBMIT_PENDING;
}

void pl__device_cancel(pl__completion *c)
{
    pl__device *device = pl__device_of(c->handle);
    pl__completion_cancelling(c);
    pl__mutex_lock(&device->mutex);
    PL__CHECK(device->completion == c);
    if (device->state == QUEUED) {
        device->result = PL_ECANCELED; /* the next poll tells */
        device->system_error = 0;
        finish(device);
    } else if (device->state == RUNNING) {
        device->interrupted = true;
        pl__device_interrupt(device);
    }
    pl__mutex_unlock(&device->mutex);
}

/* A buffer that got no bytes goes back where it came from. */
static void give_buffer_back(pl__completion *c)
{
    if (c->kind != PL__RECEIVE || !c->as.receive.pool)
        return;
    pl__buffer_give(c->as.receive.pool, c->as.receive.data);
    c->as.receive.data = NULL;
}

static void collect(pl__device *device, pl__list *finished)
{
    pl__mutex_lock(&device->mutex);
    PL__CHECK(device->state == FINISHED);
    pl__completion *c = device->completion;
    device->completion = NULL;
    device->state = IDLE;
    pl__atomic_u32_store(&device->finished, 0);
    pl__mutex_unlock(&device->mutex);
    if (device->result <= 0)
        give_buffer_back(c);
    pl__completion_finish(c, device->result, device->result < 0 ? device->system_error : 0);
    pl__list_push_back(finished, &c->node);
}

void pl__devices_collect(pl__list *devices, pl__list *finished)
{
    PL__LIST_EACH (node, devices) {
        pl__device *device = PL__CONTAINER_OF(node, pl__device, node);
        if (pl__atomic_u32_load(&device->finished))
            collect(device, finished);
    }
}
