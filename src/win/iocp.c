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
#include "../device.h"
#include "../worker_pool.h"

enum {
    BATCH = 64,          /* packets per call */
    BATCHES = 16,        /* calls per poll while the port keeps filling them: more would starve what is ready */
    REQUESTS = 64,       /* made in a row for a completion before it counts as broken */
    WAKE_TRIES = 1000,   /* a millisecond apart */
    LONGEST_WAIT = 60000 /* milliseconds, then it looks around and waits again */
};

enum { KEY_REQUEST, KEY_WAKE, KEY_RELAY /* ends its wait, and means nothing */ };

/* Of the wake packet. */
enum {
    WAKE_NONE,
    WAKE_POSTED, /* it is in the port, or just being posted */
    WAKE_LOST    /* it could not be posted: the poll must look */
};

typedef struct iocp {
    pl__proactor proactor;
    HANDLE port;
    uint64_t in_flight; /* completions whose packet is to come */
    pl__list cancelled; /* those that ended by a cancel, without a packet; the next poll tells */
    pl__foreign foreign;
    pl__relay *relay; /* of a loop inside a foreign one; else NULL */
    ULONG left_count; /* packets that the last relay had */
    OVERLAPPED_ENTRY left[PL__RELAY_PACKETS];
    pl__worker_pool *pool; /* NULL until the first job */
    pl__list devices;      /* pl__device, attached */
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
    [PL__ACCEPT] = {pl__pipe_begin_accept, pl__pipe_end_accept},
    [PL__RECEIVE] = {pl__pipe_begin_receive, pl__pipe_end_receive},
    [PL__SEND] = {pl__pipe_begin_send, pl__pipe_end_send},
};

static bool is_pipe(const pl__handle *handle)
{
    return handle && (handle->type == PL__PIPE || handle->type == PL__PIPE_LISTENER);
}

static const verb *verb_of(const pl__completion *completion)
{
    return is_pipe(completion->handle) ? &pipe_verbs[completion->kind] : &socket_verbs[completion->kind];
}

/* What CancelIoEx of the handle does not end is cancelled in a way of its own. True: it has ended, without a packet. */
typedef bool cancel_fn(pl__completion *completion, pl__packet *packet);

static cancel_fn *own_cancel_of(const pl__completion *completion)
{
    static cancel_fn *const cancels[PL__OPERATION_KINDS] = {[PL__POLL] = pl__cancel_poll, [PL__WAIT] = pl__cancel_wait};
    if (completion->kind == PL__ACCEPT && is_pipe(completion->handle))
        return pl__pipe_cancel_accept;
    return cancels[completion->kind];
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
    pl__list_init(&self->devices);
    self->proactor.type = &pl__iocp;
    pl__list_init(&self->cancelled);
    pl__list_init(&self->foreign.waits);
    self->foreign.port = self->port;
    self->foreign.key = KEY_REQUEST;
    *proactor = &self->proactor;
    return PL_OK;
}

static void iocp_destroy(pl__proactor *proactor)
{
    iocp *self = iocp_of(proactor);
    PL__CHECK(self->in_flight == 0 && pl__list_is_empty(&self->cancelled));
    pl__poll_end(&self->foreign);
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

static void iocp_wake(pl__proactor *proactor);

static void wake_from_thread(void *context)
{
    iocp_wake(context);
}

/* --- Handles ------------------------------------------------------------------------------------------------------ */

/* Whether a request that succeeds at once may do without its packet. A read of a message may succeed by half
 * (ERROR_MORE_DATA), and then nobody says whether a packet comes. */
static bool may_skip(const pl__handle *handle)
{
    if (handle->type == PL__FILE)
        return true;
    if (handle->type == PL__PIPE)
        return !(handle->traits & PL__MESSAGES);
    return handle->type == PL__SOCKET && pl__winsock_skips(handle->family); /* never of datagrams or folders */
}

static int iocp_attach(pl__proactor *proactor, pl__handle *handle)
{
    HANDLE object = (HANDLE)handle->object;
    PL__CHECK(handle->object != PL__NO_OBJECT && !handle->attached);
    if (handle->type == PL__PIPE_LISTENER) {
        pl__pipe_listener_attach(handle, iocp_of(proactor)->port, KEY_REQUEST);
        return PL_OK;
    }
    if (handle->type == PL__DEVICE) {
        pl__device_attach(&iocp_of(proactor)->devices, handle, wake_from_thread, proactor);
        return PL_OK;
    }
    if (!(handle->flags & PL__ASSOCIATED) && !CreateIoCompletionPort(object, iocp_of(proactor)->port, KEY_REQUEST, 0)) {
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
    if (handle->type == PL__DEVICE)
        pl__device_detach(handle);
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
    PL__CHECK(!completion->handle || (completion->handle->attached && completion->handle->object != PL__NO_OBJECT));
    if (completion->handle && completion->handle->type == PL__DEVICE)
        return pl__device_submit(completion);
    *packet = (pl__packet){.accepted = INVALID_SOCKET, .foreign = &self->foreign};
    if (!begin(completion, packet))
        return pl__completion_finish_now(completion, packet->result, packet->result < 0 ? packet->system_error : 0);
    pl__completion_submitted(completion);
    self->in_flight++;
    return PL__SUBMIT_PENDING;
}

static void end_cancelled(iocp *self, pl__completion *completion)
{
    PL__CHECK(self->in_flight > 0);
    self->in_flight--;
    pl__completion_finish(completion, PL_ECANCELED, 0);
    pl__list_push_back(&self->cancelled, &completion->node);
}

static void iocp_cancel(pl__proactor *proactor, pl__completion *completion)
{
    if (pl__kind_is_worker(completion->kind)) {
        pl__worker_pool_cancel(iocp_of(proactor)->pool, completion);
        return;
    }
    if (completion->handle && completion->handle->type == PL__DEVICE) {
        pl__device_cancel(completion);
        return;
    }
    pl__completion_cancelling(completion);
    cancel_fn *own = own_cancel_of(completion);
    if (!own)
        (void)CancelIoEx((HANDLE)completion->handle->object, &packet_of(completion)->overlapped);
    else if (own(completion, packet_of(completion)))
        end_cancelled(iocp_of(proactor), completion);
}

/* Every request went to the system when it was made. */
static void iocp_flush(pl__proactor *proactor)
{
    PL__UNUSED(proactor);
}

static int iocp_control(pl__proactor *proactor, pl__request *request)
{
    request->system_error = 0;
    if (request->kind == PL__REQUEST_PIPE_PAIR || request->kind == PL__REQUEST_PIPE_LISTEN || is_pipe(request->handle))
        return pl__pipe_control(request);
    if (request->kind == PL__REQUEST_HANDLE_CLOSE && request->handle->type == PL__DEVICE) {
        pl__device_destroy(pl__device_of(request->handle));
        request->handle->object = PL__NO_OBJECT;
        return PL_OK;
    }
    switch (request->kind) {
    case PL__REQUEST_WATCH_OPEN:
    case PL__REQUEST_WATCH_CLOSE:
        return pl__watch_control(request);
    case PL__REQUEST_STANDARD_OPEN:
        return pl__standard_open(request);
    case PL__REQUEST_INTERRUPT_WATCH:
    case PL__REQUEST_SIGNAL_WATCH:
    case PL__REQUEST_SIGNAL_UNWATCH:
    case PL__REQUEST_SIGNAL_DONE:
        return pl__signal_control(proactor, request);
    default:
        return pl__socket_control(request);
    }
}

/* --- Jobs of the worker pool -------------------------------------------------------------------------------------- */

static int submit_job(iocp *self, pl__completion *completion)
{
    if (!self->pool)
        self->pool = pl__worker_pool_create(wake_from_thread, &self->proactor);
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

/* Returns whether one of them was the wake. */
static bool take_batch(iocp *self, const OVERLAPPED_ENTRY *entries, ULONG count, pl__list *finished)
{
    bool woken = false;
    for (ULONG i = 0; i < count; i++) {
        if (entries[i].lpCompletionKey == KEY_REQUEST) {
            take_packet(self, entries[i].lpOverlapped, finished);
        } else if (entries[i].lpCompletionKey == KEY_WAKE) {
            pl__atomic_u32_store(&self->wake, WAKE_NONE); /* before what it was for is looked at */
            woken = true;
        }
    }
    return woken;
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
        woken |= take_batch(self, entries, count, finished);
    }
    return woken;
}

/* Those that came while the loop rested. */
static bool take_relayed(iocp *self, pl__list *finished)
{
    OVERLAPPED_ENTRY entries[PL__RELAY_PACKETS];
    ULONG count = self->left_count;
    self->left_count = 0;
    bool woken = take_batch(self, self->left, count, finished);
    if (self->relay) {
        count = pl__relay_take(self->relay, entries);
        woken |= take_batch(self, entries, count, finished);
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

static void take_lost_waits(iocp *self, pl__list *finished)
{
    for (OVERLAPPED *lost; (lost = pl__wait_take_lost(&self->foreign));)
        take_packet(self, lost, finished);
}

static void iocp_poll(pl__proactor *proactor, int64_t deadline, pl__list *finished)
{
    iocp *self = iocp_of(proactor);
    DWORD milliseconds;
    bool woken;
    pl__list_move_all(&self->cancelled, finished);
    if (self->pool)
        pl__worker_pool_collect(self->pool, finished); /* jobs that were cancelled end without a wake */
    pl__devices_collect(&self->devices, finished);     /* and so do requests of devices */
    do {
        woken = take_lost_wake(self);
        take_lost_waits(self, finished);
        woken |= take_relayed(self, finished);
        milliseconds = woken || !pl__list_is_empty(finished) ? 0 : milliseconds_until(deadline);
        woken |= take_packets(self, milliseconds, finished);
        if (self->pool)
            pl__worker_pool_collect(self->pool, finished);
        pl__devices_collect(&self->devices, finished);
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

/* --- Inside a foreign loop: between embed and unembed no poll waits ------------------------------------------------ */

static int iocp_embed(pl__proactor *proactor, void (*ready)(void *context), void *context)
{
    iocp *self = iocp_of(proactor);
    PL__CHECK(!self->relay);
    return pl__relay_start(&self->relay, self->port, KEY_RELAY, ready, context);
}

/* Embedded anew, with packets of the last time: the next poll takes them first. The host is told of that in any case. */
static void iocp_rest(pl__proactor *proactor)
{
    iocp *self = iocp_of(proactor);
    if (self->left_count == 0)
        pl__relay_arm(self->relay);
}

static void iocp_unembed(pl__proactor *proactor)
{
    iocp *self = iocp_of(proactor);
    OVERLAPPED_ENTRY entries[PL__RELAY_PACKETS];
    ULONG count = pl__relay_stop(self->relay, entries);
    self->relay = NULL;
    PL__CHECK(count == 0 || self->left_count == 0);
    for (ULONG i = 0; i < count; i++)
        self->left[self->left_count++] = entries[i];
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
    .embed = iocp_embed,
    .rest = iocp_rest,
    .unembed = iocp_unembed,
};

extern const pl__proactor_class pl__simulation;

const pl__proactor_class *const pl__proactors[] = {&pl__iocp, &pl__simulation, NULL};
