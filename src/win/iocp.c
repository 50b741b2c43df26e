/* iocp.c: the proactor of Windows: an I/O completion port.
 *
 * The kernel works on a request from the call that made it until its *packet* comes out of the port, and
 * until then it owns the OVERLAPPED, the buffers and the handle, whatever happens: a request is over when its
 * packet has come, and at no other time. A cancel therefore only asks (CancelIoEx), and finding nothing to
 * cancel means that the packet is on its way. The one exception is agreed upon with the kernel, handle by
 * handle: a call that succeeds at once sends no packet (FILE_SKIP_COMPLETION_PORT_ON_SUCCESS), and the
 * completion is done inside submit. A call that fails at once never sends one.
 *
 * A packet's result is the NTSTATUS in its OVERLAPPED. An abort that nobody asked for (the system cancels
 * what a thread began when that ends, a driver is reset) is answered by making the request again, once.
 *
 * Packets are told apart by their completion key: those of requests, and the wake, of which at most one is
 * under way.
 *
 * The port's wait counts in milliseconds and in ticks of the clock, 15.6 ms unless some program asked for
 * finer ones. It is rounded up, and repeated for what remains, so that a poll ends late by up to a tick but
 * never early. High-resolution timers would need the kernel's undocumented wait packets to reach the port;
 * none are used.
 */
#include "system.h"

#include "../allocator.h"
#include "../worker_pool.h"

enum {
    BATCH = 64,          /* packets per call */
    BATCHES = 16,        /* calls per poll while the port keeps filling them: more would starve what is ready */
    REQUESTS = 64,       /* made in a row for a completion before it counts as broken */
    WAKE_TRIES = 1000,   /* a millisecond apart */
    LONGEST_WAIT = 60000 /* milliseconds, then it looks around and waits again */
};

enum { KEY_REQUEST, KEY_WAKE };

/* Of the wake packet. */
enum {
    WAKE_NONE,
    WAKE_POSTED, /* it is in the port, or just being posted */
    WAKE_LOST    /* it could not be posted: the poll must look */
};

typedef struct iocp {
    pl__proactor proactor;
    HANDLE port;
    uint64_t in_flight;    /* completions whose packet is to come */
    pl__worker_pool *pool; /* NULL until the first job */
    pl__atomic_u32 wake;
} iocp;

typedef struct verb {
    bool (*begin)(pl__completion *completion, pl__packet *packet);
    int64_t (*end)(pl__completion *completion, pl__packet *packet, int64_t result);
} verb;

static const verb socket_verbs[PL__OPERATION_KINDS] = {
#define VERB_WORKER(NAME, name)
#define VERB_SYSTEM(NAME, name)       [PL__##NAME] = {pl__begin_##name, pl__end_##name},
#define VERB(NAME, name, who, cancel) VERB_##who(NAME, name)
    PL__OPERATIONS(VERB)
#undef VERB
#undef VERB_SYSTEM
#undef VERB_WORKER
};

static const verb pipe_verbs[PL__OPERATION_KINDS] = {
    [PL__RECEIVE] = {pl__pipe_begin_receive, pl__pipe_end_receive},
    [PL__SEND] = {pl__pipe_begin_send, pl__pipe_end_send},
};

static const verb *verb_of(const pl__completion *completion)
{
    return completion->handle && completion->handle->type == PL__PIPE ? &pipe_verbs[completion->kind] : &socket_verbs[completion->kind];
}

static iocp *iocp_of(pl__proactor *proactor)
{
    return PL__CONTAINER_OF(proactor, iocp, proactor);
}

static pl__packet *packet_of(pl__completion *completion)
{
    return (pl__packet *)(void *)&completion->system;
}

static pl__completion *completion_of(OVERLAPPED *overlapped)
{
    pl__packet *packet = PL__CONTAINER_OF(overlapped, pl__packet, overlapped);
    return PL__CONTAINER_OF(packet, pl__completion, system);
}

/* --- Create, destroy ---------------------------------------------------------------------------------------------- */

static int iocp_create(pl__proactor **proactor, const pl__proactor_options *options)
{
    PL__UNUSED(options);
    int result = pl__winsock_start();
    if (result != PL_OK)
        return result;
    iocp *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return PL_ENOMEM;
    self->port = CreateIoCompletionPort(INVALID_HANDLE_VALUE, NULL, 0, 1);
    if (!self->port) {
        result = pl__error_from_win32(GetLastError());
        pl__release(self, sizeof *self);
        return result;
    }
    self->proactor.type = &pl__iocp;
    *proactor = &self->proactor;
    return PL_OK;
}

static void iocp_destroy(pl__proactor *proactor)
{
    iocp *self = iocp_of(proactor);
    PL__CHECK(self->in_flight == 0);
    pl__interrupt_unwatch(proactor);
    if (self->pool)
        pl__worker_pool_destroy(self->pool);
    CloseHandle(self->port);
    pl__release(self, sizeof *self);
}

static int64_t iocp_now(pl__proactor *proactor)
{
    PL__UNUSED(proactor);
    return pl__clock_now();
}

/* --- Handles ------------------------------------------------------------------------------------------------------ */

/* Whether a request that succeeds at once may do without its packet. A read of a message may succeed by half
 * (ERROR_MORE_DATA), and then nobody says whether a packet comes. */
static bool may_skip(const pl__handle *handle)
{
    if (handle->type == PL__FOLDER)
        return false; /* its requests do not tell whether they succeeded at once */
    if (handle->type == PL__PIPE)
        return !(handle->traits & PL__MESSAGES);
    return pl__winsock_skips(handle->family);
}

static int iocp_attach(pl__proactor *proactor, pl__handle *handle)
{
    HANDLE object = (HANDLE)handle->object;
    PL__CHECK(handle->object != PL__NO_OBJECT && !handle->attached);
    if (!CreateIoCompletionPort(object, iocp_of(proactor)->port, KEY_REQUEST, 0)) {
        DWORD error = GetLastError(); /* a handle has one port for ever, and says only that */
        return error == ERROR_INVALID_PARAMETER ? PL_EBUSY : pl__error_from_win32(error);
    }
    handle->attached = true;
    handle->flags = 0;
    if (may_skip(handle) && SetFileCompletionNotificationModes(object, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS |
                                                                           FILE_SKIP_SET_EVENT_ON_HANDLE))
        handle->flags |= PL__SKIPS_PACKETS;
    return PL_OK;
}

static void iocp_detach(pl__proactor *proactor, pl__handle *handle)
{
    PL__UNUSED(proactor);
    PL__CHECK(handle->attached && handle->in_flight == 0);
    handle->attached = false;
}

/* --- Submit ------------------------------------------------------------------------------------------------------- */

bool pl__packet_follows(const pl__handle *handle, pl__packet *packet, bool accepted, DWORD bytes)
{
    DWORD error = accepted ? ERROR_SUCCESS : (DWORD)WSAGetLastError();
    if (error == WSA_IO_PENDING || (accepted && !(handle->flags & PL__SKIPS_PACKETS)))
        return true;
    packet->result = accepted ? (int64_t)bytes : pl__packet_failed(packet, error);
    return false;
}

int64_t pl__packet_failed(pl__packet *packet, DWORD error)
{
    packet->system_error = (int32_t)error;
    return pl__error_from_win32(error);
}

/* What a request's end means for its completion. */
static int64_t settle(pl__completion *completion, pl__packet *packet, int64_t result)
{
    bool cancelling = completion->state == PL__CANCELLING;
    result = verb_of(completion)->end(completion, packet, result);
    if (result == PL_ECANCELED && !cancelling) {
        result = packet->repeated ? PL_ECONNABORTED : PL__AGAIN;
        packet->repeated = true;
    }
    return result == PL__AGAIN && cancelling ? PL_ECANCELED : result;
}

/* Makes requests until one is under way (true) or the completion has its end, packet->result. */
static bool begin(pl__completion *completion, pl__packet *packet)
{
    for (int i = 0; i < REQUESTS; i++) {
        packet->overlapped = (OVERLAPPED){0};
        packet->system_error = 0;
        if (verb_of(completion)->begin(completion, packet))
            return true;
        packet->result = settle(completion, packet, packet->result);
        if (packet->result != PL__AGAIN)
            return false;
    }
    packet->result = PL_ECONNABORTED;
    return false;
}

static int submit_job(iocp *self, pl__completion *completion);

static int iocp_submit(pl__proactor *proactor, pl__completion *completion)
{
    iocp *self = iocp_of(proactor);
    pl__packet *packet = packet_of(completion);
    PL__CHECK(completion->state == PL__IDLE);
    if (pl__kind_is_worker(completion->kind))
        return submit_job(self, completion);
    PL__CHECK(completion->handle->attached && completion->handle->object != PL__NO_OBJECT);
    *packet = (pl__packet){.accepted = INVALID_SOCKET};
    if (!begin(completion, packet))
        return pl__completion_finish_now(completion, packet->result, packet->result < 0 ? packet->system_error : 0);
    pl__completion_submitted(completion);
    self->in_flight++;
    return PL__SUBMIT_PENDING;
}

static void iocp_cancel(pl__proactor *proactor, pl__completion *completion)
{
    if (pl__kind_is_worker(completion->kind)) {
        pl__worker_pool_cancel(iocp_of(proactor)->pool, completion);
        return;
    }
    pl__completion_cancelling(completion);
    (void)CancelIoEx((HANDLE)completion->handle->object, &packet_of(completion)->overlapped);
}

/* Every request went to the system when it was made. */
static void iocp_flush(pl__proactor *proactor)
{
    PL__UNUSED(proactor);
}

static int iocp_control(pl__proactor *proactor, pl__request *request)
{
    request->system_error = 0;
    if (request->kind == PL__REQUEST_PIPE_PAIR || (request->handle && request->handle->type == PL__PIPE))
        return pl__pipe_control(request);
    if (request->kind != PL__REQUEST_INTERRUPT_WATCH)
        return pl__socket_control(request);
    if (request->value)
        return pl__interrupt_watch(proactor);
    pl__interrupt_unwatch(proactor);
    return PL_OK;
}

/* --- Jobs of the worker pool -------------------------------------------------------------------------------------- */

static void iocp_wake(pl__proactor *proactor);

static void wake_for_jobs(void *context)
{
    iocp_wake(context);
}

static int submit_job(iocp *self, pl__completion *completion)
{
    if (!self->pool)
        self->pool = pl__worker_pool_create(wake_for_jobs, &self->proactor);
    if (!self->pool)
        return pl__completion_finish_now(completion, PL_ENOMEM, 0);
    return pl__worker_pool_submit(self->pool, completion);
}

/* --- Poll --------------------------------------------------------------------------------------------------------- */

/* The bytes that were moved, or the error. A request that was aborted halfway is a short one. */
static int64_t outcome_of(pl__packet *packet)
{
    int32_t status = (int32_t)packet->overlapped.Internal;
    int64_t bytes = (int64_t)packet->overlapped.InternalHigh;
    if (status >= 0)
        return bytes;
    packet->system_error = status;
    int result = pl__error_from_ntstatus(status);
    return result == PL_ECANCELED && bytes > 0 ? bytes : result;
}

/* A packet has come: the request is over, and mostly its completion too. */
static void take_packet(iocp *self, OVERLAPPED *overlapped, pl__list *finished)
{
    pl__completion *completion = completion_of(overlapped);
    pl__packet *packet = packet_of(completion);
    PL__CHECK(pl__completion_is_pending(completion) && self->in_flight > 0);
    packet->result = settle(completion, packet, outcome_of(packet));
    if (packet->result == PL__AGAIN && begin(completion, packet))
        return;
    self->in_flight--;
    pl__completion_finish(completion, packet->result, packet->result < 0 ? packet->system_error : 0);
    pl__list_push_back(finished, &completion->node);
}

/* Waits for packets and takes those that are there. Returns whether one of them was the wake. */
static bool take_packets(iocp *self, DWORD milliseconds, pl__list *finished)
{
    OVERLAPPED_ENTRY entries[BATCH];
    ULONG count = BATCH;
    bool woken = false;
    for (int i = 0; i < BATCHES && count == BATCH; i++, milliseconds = 0) {
        if (!GetQueuedCompletionStatusEx(self->port, entries, BATCH, &count, milliseconds, FALSE)) {
            DWORD error = GetLastError();
            if (error != WAIT_TIMEOUT)
                PL__PANIC("GetQueuedCompletionStatusEx: %lu", (unsigned long)error);
            break;
        }
        for (ULONG j = 0; j < count; j++) {
            if (entries[j].lpCompletionKey == KEY_REQUEST) {
                take_packet(self, entries[j].lpOverlapped, finished);
            } else {
                pl__atomic_u32_store(&self->wake, WAKE_NONE); /* before what it was for is looked at */
                woken = true;
            }
        }
    }
    return woken;
}

static bool take_lost_wake(iocp *self)
{
    uint32_t lost = WAKE_LOST;
    return pl__atomic_u32_load_relaxed(&self->wake) == WAKE_LOST &&
           pl__atomic_u32_compare_exchange(&self->wake, &lost, WAKE_NONE);
}

/* Rounded up. */
static DWORD milliseconds_until(int64_t deadline)
{
    const int64_t millisecond = 1000000;
    int64_t now = pl__clock_now();
    if (deadline <= now)
        return 0;
    if (deadline - now > LONGEST_WAIT * millisecond)
        return LONGEST_WAIT;
    return (DWORD)((deadline - now + millisecond - 1) / millisecond);
}

static void iocp_poll(pl__proactor *proactor, int64_t deadline, pl__list *finished)
{
    iocp *self = iocp_of(proactor);
    DWORD milliseconds;
    bool woken;
    if (self->pool)
        pl__worker_pool_collect(self->pool, finished); /* jobs that were cancelled end without a wake */
    do {
        woken = take_lost_wake(self);
        milliseconds = woken || !pl__list_is_empty(finished) ? 0 : milliseconds_until(deadline);
        woken |= take_packets(self, milliseconds, finished);
        if (self->pool)
            pl__worker_pool_collect(self->pool, finished);
    } while (!woken && pl__list_is_empty(finished) && milliseconds > 0 && deadline > pl__clock_now());
}

/* --- Wake --------------------------------------------------------------------------------------------------------- */

/* A post takes memory of the kernel and may fail for want of it, which passes; so it is tried for a second.
 */
static void iocp_wake(pl__proactor *proactor)
{
    iocp *self = iocp_of(proactor);
    if (pl__atomic_u32_exchange(&self->wake, WAKE_POSTED) == WAKE_POSTED)
        return;
    for (int i = 0; i < WAKE_TRIES; i++) {
        if (PostQueuedCompletionStatus(self->port, 0, KEY_WAKE, NULL))
            return;
        Sleep(1);
    }
    pl__atomic_u32_store(&self->wake, WAKE_LOST);
}

/* --- The table ---------------------------------------------------------------------------------------------------- */

const pl__proactor_class pl__iocp = {
    .name = "iocp",
    .create = iocp_create,
    .destroy = iocp_destroy,
    .now = iocp_now,
    .attach = iocp_attach,
    .detach = iocp_detach,
    .submit = iocp_submit,
    .cancel = iocp_cancel,
    .flush = iocp_flush,
    .poll = iocp_poll,
    .wake = iocp_wake,
    .control = iocp_control,
};

extern const pl__proactor_class pl__simulation;

const pl__proactor_class *const pl__proactors[] = {&pl__iocp, &pl__simulation, NULL};
