/* Listeners: several accepts are always under way.
 *
 * A listener has a few slots. Each is one accept: under way in the system, or holding the connection it got until somebody
 * takes it, or idle while accepting pauses. Accepting operations of the user never go to the system: they wait here, first
 * in first out, so cancelling one loses no connection, and connections that nobody takes fill the slots and then wait in
 * the system's backlog.
 *
 * When the process has no handle left the system cannot say when that changes: accepting pauses for a while.
 */
#include "listener.h"

#include "allocator.h"
#include "debug.h"
#include "loop.h"
#include "stream.h"
#include "task.h"

enum {
    PL__ACCEPT_SLOTS = 8,
    PL__BACKLOG = 511,
    PL__ACCEPT_RETRIES = 64 /* failures in one go before accepting pauses */
};

typedef struct pl__accept_slot {
    uint64_t space[PL__ACCEPT_SPACE / sizeof(uint64_t)];
    pl__completion completion;
    pl__node held; /* linked: it holds a connection that nobody took */
    pl_listener *listener;
    pl__handle accepted;
    pl_address peer;
} pl__accept_slot;

struct pl_listener {
    pl__accept_slot slots[PL__ACCEPT_SLOTS];
    pl__handle handle;
    pl_loop *loop;
    pl__node node;    /* the loop's listeners, while anything of it is open or in flight */
    pl__list held;    /* pl__accept_slot with a connection, the oldest first */
    pl__list waiters; /* pl__op */
    pl__timer pause;
    pl_duration pause_length;
    uint32_t references; /* the owner's, users', and one while it is in the loop's list */
    uint32_t failures;   /* since the last connection */
    bool paused;
    bool owned; /* the owner has not closed it */
    bool closed;
};

static void close_if_idle(pl_listener *listener);
static void slot_submit(pl__accept_slot *slot);

static int control(pl_listener *listener, pl__request *request)
{
    request->handle = &listener->handle;
    return pl__loop_control(listener->loop, request);
}

pl_listener *pl_listener_ref(pl_listener *listener)
{
    if (!listener || pl__loop_refuses(listener->loop, "pl_listener_ref"))
        return NULL;
    PL__CHECK(listener->references > 0);
    listener->references++;
    return listener;
}

void pl_listener_unref(pl_listener *listener)
{
    if (!listener || pl__loop_refuses(listener->loop, "pl_listener_unref"))
        return;
    PL__CHECK(listener->references > 0);
    if (--listener->references > 0)
        return;
    pl_loop *loop = listener->loop;
    pl__release(listener, sizeof *listener);
    pl__loop_release(loop);
}

/* --- Slots -------------------------------------------------------------------------------------------------------- */

static void accepting_resumes(void *arg)
{
    pl_listener *listener = pl_listener_ref(arg);
    listener->paused = false;
    listener->failures = 0;
    for (size_t i = 0; i < PL__ACCEPT_SLOTS && !listener->paused; i++)
        slot_submit(&listener->slots[i]);
    pl_listener_unref(listener);
}

/* The report comes last: its handler may close the listener. */
static void pause_accepting(pl_listener *listener, int64_t error, int32_t system_error)
{
    if (listener->paused || listener->closed)
        return;
    int64_t deadline = pl__deadline_after(pl__loop_now(listener->loop), listener->pause_length);
    /* Without memory for the timer the next accept that somebody starts tries again. */
    listener->paused =
        pl__timer_start_at(&listener->pause, listener->loop, deadline, accepting_resumes, listener) == PL_OK;
    pl__loop_report(listener->loop, "accepting connections pauses", error, system_error, NULL, NULL);
}

static void slot_close_connection(pl__accept_slot *slot)
{
    pl__request request = {
        .kind = PL__REQUEST_SOCKET_OPTION, .handle = &slot->accepted, .option = PL__OPTION_RESET, .value = 1};
    if (slot->accepted.type == PL__SOCKET)
        (void)pl__loop_control(slot->listener->loop, &request);
    request.kind = PL__REQUEST_HANDLE_CLOSE;
    (void)pl__loop_control(slot->listener->loop, &request);
    pl__handle_init(&slot->accepted);
}

static void op_take_connection(pl__op *op, pl__accept_slot *slot);

/* Takes the result of a slot's accept. */
static void slot_take(pl__accept_slot *slot)
{
    pl_listener *listener = slot->listener;
    int64_t result = pl__completion_take(&slot->completion);
    if (result < 0) {
        bool exhausted = result == PL_EMFILE || result == PL_ENOBUFS || result == PL_ENOMEM;
        if (exhausted || ++listener->failures > PL__ACCEPT_RETRIES)
            pause_accepting(listener, result, slot->completion.system_error);
        return;
    }
    listener->failures = 0;
    if (listener->closed) {
        slot_close_connection(slot);
        return;
    }
    pl__list_push_back(&listener->held, &slot->held);
    pl__node *waiter = pl__list_pop_front(&listener->waiters);
    if (waiter)
        op_take_connection(PL__CONTAINER_OF(waiter, pl__op, as.accept.queue), slot);
}

static void slot_delivered(pl__completion *completion)
{
    pl__accept_slot *slot = PL__CONTAINER_OF(completion, pl__accept_slot, completion);
    pl_listener *listener = pl_listener_ref(slot->listener);
    slot_take(slot);
    slot_submit(slot);
    close_if_idle(listener);
    pl_listener_unref(listener);
}

/* Puts an idle slot to work. What the system has at once is taken at once, until the slot holds a connection or waits. */
static void slot_submit(pl__accept_slot *slot)
{
    pl_listener *listener = slot->listener;
    while (!listener->closed && !listener->paused && !pl__node_is_linked(&slot->held) &&
           slot->completion.state == PL__IDLE) {
        pl__handle_init(&slot->accepted);
        slot->completion.kind = PL__ACCEPT;
        slot->completion.handle = &listener->handle;
        slot->completion.deliver = slot_delivered;
        slot->completion.as.accept.accepted = &slot->accepted;
        slot->completion.as.accept.peer = &slot->peer;
        slot->completion.as.accept.space = slot->space;
        if (pl__loop_submit(listener->loop, &slot->completion))
            return;
        slot_take(slot);
    }
}

/* --- Accepting ---------------------------------------------------------------------------------------------------- */

static void accept_cancel(pl__op *op)
{
    if (pl__node_is_linked(&op->as.accept.queue))
        pl__node_unlink(&op->as.accept.queue);
    pl__op_end(op, op->cancel_code, 0);
}

static const pl__op_type accept_type = {.name = "accept", .cancel = accept_cancel};

/* A held connection becomes a stream. */
static void op_take_connection(pl__op *op, pl__accept_slot *slot)
{
    pl_stream *stream = NULL;
    pl__node_unlink(&slot->held);
    int made = pl__stream_create(&stream, slot->listener->loop);
    if (made < 0) {
        slot_close_connection(slot);
    } else {
        made = pl__stream_open(stream, &slot->accepted);
        pl__handle_init(&slot->accepted);
        if (made < 0) {
            pl_stream_close(stream);
            stream = NULL;
        } else {
            (void)pl_stream_set_nodelay(stream, 1);
        }
    }
    *(pl_stream **)op->output = stream;
    pl__op_end(op, made, 0);
}

int pl_accept_start(pl_op *op, pl_listener *listener, pl_stream **stream)
{
    if (!op || !listener || !stream)
        return PL_EINVAL;
    int checked = pl__op_check(op, listener->loop);
    if (checked == PL_OK && listener->closed)
        checked = PL_ECLOSED;
    if (checked < 0)
        return checked;
    *stream = NULL;
    pl__op *inner = pl__op_begin(op, listener->loop, &accept_type, listener, (void *)stream);
    pl__node *held = pl__list_first(&listener->held);
    if (held) {
        pl__accept_slot *slot = PL__CONTAINER_OF(held, pl__accept_slot, held);
        op_take_connection(inner, slot);
        slot_submit(slot);
        return PL_OK;
    }
    pl__list_push_back(&listener->waiters, &inner->as.accept.queue);
    (void)pl_listener_ref(listener);
    for (size_t i = 0; i < PL__ACCEPT_SLOTS; i++) /* those that failed before have another try */
        slot_submit(&listener->slots[i]);
    pl_listener_unref(listener);
    return PL_OK;
}

int64_t pl_accept(pl_listener *listener, pl_stream **stream)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_accept_start(&op, listener, stream));
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

static int listener_open(pl_listener *listener, pl__request request)
{
    if (request.backlog <= 0)
        request.backlog = PL__BACKLOG;
    int result = control(listener, &request);
    if (result < 0)
        return result;
    result = listener->loop->proactor->type->attach(listener->loop->proactor, &listener->handle);
    if (result < 0) {
        request.kind = PL__REQUEST_HANDLE_CLOSE;
        (void)control(listener, &request);
    }
    return result;
}

int pl__listener_create_by(pl_listener **out, pl_loop *loop, const pl__request *request, pl_duration pause)
{
    pl_listener *listener = pl__allocate_zeroed(sizeof *listener);
    if (!listener)
        return PL_ENOMEM;
    pl__handle_init(&listener->handle);
    pl__list_init(&listener->held);
    pl__list_init(&listener->waiters);
    listener->loop = loop;
    listener->references = 1;
    listener->owned = true;
    listener->pause_length = pause > 0 ? pause : PL_SECONDS(1);
    pl__loop_hold(loop);
    int opened = listener_open(listener, *request);
    if (opened < 0) {
        pl_listener_unref(listener);
        return opened;
    }
    listener->references++; /* the list's */
    pl__list_push_back(&loop->listeners, &listener->node);
    for (size_t i = 0; i < PL__ACCEPT_SLOTS; i++) {
        listener->slots[i].listener = listener;
        slot_submit(&listener->slots[i]);
    }
    *out = listener;
    return PL_OK;
}

int pl__listener_create(pl_listener **out, pl_loop *loop, const pl_address *address, const pl_listen_options *options)
{
    pl__request request = {.kind = PL__REQUEST_SOCKET_LISTEN, .address = *address, .backlog = options->backlog};
    request.flags =
        (uint8_t)((options->reuse_port ? PL__LISTEN_REUSE_PORT : 0) | (options->ipv6_only ? PL__LISTEN_IPV6_ONLY : 0));
    return pl__listener_create_by(out, loop, &request, options->emfile_pause);
}

int pl_listener_address(pl_listener *listener, pl_address *address)
{
    if (!listener || !address)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(listener->loop);
    if (checked < 0)
        return checked;
    if (listener->closed)
        return PL_ECLOSED;
    if (listener->handle.traits & PL__NAMED)
        return PL_ENOTSUP;
    pl__request request = {.kind = PL__REQUEST_SOCKET_NAME};
    int result = control(listener, &request);
    if (result >= 0)
        *address = request.address;
    return result;
}

static void close_handle(pl_listener *listener)
{
    pl__request request = {.kind = PL__REQUEST_HANDLE_CLOSE};
    listener->loop->proactor->type->detach(listener->loop->proactor, &listener->handle);
    (void)control(listener, &request);
    PL__CHECK(listener->handle.object == PL__NO_OBJECT);
}

/* Slots that were not delivered yet point into the listener, even if the proactor is done with them. */
static bool has_slots_out(const pl_listener *listener)
{
    for (size_t i = 0; i < PL__ACCEPT_SLOTS; i++) {
        if (listener->slots[i].completion.state != PL__IDLE)
            return true;
    }
    return false;
}

static void close_if_idle(pl_listener *listener)
{
    if (!listener->closed || !pl__node_is_linked(&listener->node))
        return;
    if (listener->handle.object != PL__NO_OBJECT && listener->handle.in_flight == 0)
        close_handle(listener);
    if (has_slots_out(listener))
        return;
    pl__node_unlink(&listener->node);
    pl_listener_unref(listener); /* the one of what is open or in flight */
}

static void begin_close(pl_listener *listener)
{
    if (listener->closed)
        return;
    listener->closed = true;
    (void)pl__timer_stop(&listener->pause);
    for (pl__node *node; (node = pl__list_first(&listener->waiters));)
        pl__op_cancel(PL__CONTAINER_OF(node, pl__op, as.accept.queue), PL_ECLOSED);
    for (pl__node *node; (node = pl__list_pop_front(&listener->held));)
        slot_close_connection(PL__CONTAINER_OF(node, pl__accept_slot, held));
    for (size_t i = 0; i < PL__ACCEPT_SLOTS; i++)
        pl__loop_cancel(listener->loop, &listener->slots[i].completion);
    close_if_idle(listener);
}

void pl_listener_close(pl_listener *listener)
{
    if (!listener || pl__loop_refuses(listener->loop, "pl_listener_close"))
        return;
    PL__CHECK(listener->owned);
    listener->owned = false;
    begin_close(listener);
    pl_listener_unref(listener);
}

void pl__listeners_close(pl_loop *loop)
{
    PL__LIST_EACH (node, &loop->listeners)
        begin_close(PL__CONTAINER_OF(node, pl_listener, node));
}
