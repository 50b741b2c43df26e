/* Devices: handles that the system serves by blocking calls only: a console, a file at its own place, an inherited pipe.
 *
 * Each has one direction, and a thread of its own for it that is started at the first request. A request is handed over
 * under the device's mutex, carried out there, and given back through its proactor's poll:
 *
 *     idle -> queued -> running -> finished -> idle
 *
 * A cancel of a queued one takes it back; a running one is interrupted by the platform, whose call then returns, with
 * PL_ECANCELED or with what it has done.
 */
#ifndef PROLOOP_SRC_DEVICE_H
#define PROLOOP_SRC_DEVICE_H

#include "proactor.h"
#include "thread.h"

typedef struct pl__device {
    pl__node node; /* of its proactor's, while attached */
    pl__mutex mutex;
    pl__condition work;
    pl__thread thread;
    void (*wake)(void *context);
    void *context;
    pl__completion *completion; /* of the request that is not idle */
    int64_t result;
    int32_t system_error;
    uint8_t state;
    bool started; /* the thread */
    bool interrupted;
    bool closing;
    pl__atomic_u32 finished; /* so that a look that finds nothing takes no lock */
    union {                  /* the platform's own */
        uint64_t space[16];
        void *align;
    } system;
} pl__device;

/* A zeroed one, for the platform to fill. NULL: out of memory. */
pl__device *pl__device_create(void);

/* Nothing is queued. Ends the thread, and gives back what the platform holds. */
void pl__device_destroy(pl__device *device);

static inline pl__device *pl__device_of(const pl__handle *handle)
{
    return (pl__device *)handle->object;
}

/* As those of a proactor, for handles of type PL__DEVICE. `wake(context)` is called on the device's thread. */
void pl__device_attach(pl__list *devices, pl__handle *handle, void (*wake)(void *context), void *context);
void pl__device_detach(pl__handle *handle);
int pl__device_submit(pl__completion *completion);
void pl__device_cancel(pl__completion *completion);
void pl__devices_collect(pl__list *devices, pl__list *finished);

/* --- The platform's, in console.c --------------------------------------------------------------------------------- */

/* On the device's thread. The result as a RECEIVE's or a SEND's; PL_ECANCELED: interrupted, and nothing was moved. */
int64_t pl__device_read(pl__device *device, void *data, size_t size, int32_t *system_error);
int64_t pl__device_write(pl__device *device, const pl_buffer *buffer, size_t offset, int32_t *system_error);

/* With the mutex, while the thread is in, or about to enter, one of those: it is to return. */
void pl__device_interrupt(pl__device *device);

/* With the mutex, on the thread, when it has returned after that: takes back what is left of it. */
void pl__device_end_interrupt(pl__device *device);

void pl__device_release(pl__device *device);

#endif
