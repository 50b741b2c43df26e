/* adapter.c: a proactor over a selector: completions, made of readiness.
 *
 * Each handle has two queues of waiting completions, reads and writes, and flags of what it is ready for
 * (selector.h). Submit tries the system call at once if nobody waits before it and the flag allows; else the
 * completion waits. When the selector reports a handle its queues are served from the front until a system
 * call says EAGAIN, which clears the flag. So, between polls, who waits at the front of a queue waits for an
 * edge.
 *
 * A receive that got less than it asked for has drained the socket (not so a pipe, a terminal or a socket that
 * keeps messages): the flag is cleared without the EAGAIN, for what arrives later is a new edge. Once the peer has hung up there may be no more edges, so from then on
 * every receive is tried. A cancel takes its completion off the queue at once, but the next poll delivers it,
 * as elsewhere. While a handle connects, whatever else is asked of it ends with PL_ENOTCONN.
 *
 * A poll asks the descriptor itself (poll.c); an edge says when it is worth asking again. What it waits for is
 * somebody else's descriptor, which others may have registered too, or may close: so a duplicate of it is
 * registered, in a handle of its own, called a watch. A poll without a watch carries one, for itself alone.
 *
 * A send_file may have to read a disk. So a worker makes its calls, as an errand, while the completion stays
 * at the front of its queue. The flags are the loop's alone: PL__WRITABLE is cleared before the errand goes,
 * and an edge that comes meanwhile sets it again.
 *
 * Files are always ready, by the selector's book, and so are not given to it. A small read is tried at once, if the system
 * can do it without waiting for a disk; everything else is an errand, and they run in no order.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "../allocator.h"
#include "../buffer_pool.h"
#include "../device.h"
#include "../proactor.h"
#include "../sim/simulation.h"
#include "../worker_pool.h"
#include "../clock.h"
#include "console.h"
#include "error.h"
#include "file.h"
#include "pipe.h"
#include "poll.h"
#include "relay.h"
#include "selector.h"
#include "signals.h"
#include "tcp.h"
#include "udp.h"
#include "watch.h"

/* In pl__handle.flags, beside enum pl__readiness. */
enum {
    BROKEN = 8,     /* a send found it reset, and with that took the error from the receives to come */
    CONNECTING = 16 /* nothing else is tried: it could take the error that tells how the connect ended */
};

/* What the poller is at, so that a wake is a system call only if it has to end a wait. */
enum attention { AWAKE, WAITING, WOKEN };

enum { ERRAND_SIZE = 1 << 20 }; /* bytes of a file sent by one errand: other jobs want the worker too */

enum { CACHED_READ_MAX = 256 << 10 }; /* bytes of a file read on the loop's thread: copying takes time, too */

typedef struct adapter {
    pl__proactor base;
    pl__selector *selector;
    pl__worker_pool *workers; /* made when first needed */
    pl__list devices;         /* pl__device, attached */
    pl__list finished;        /* handed over by the next poll; between polls, those that were cancelled */
    pl__handle *changed[PL__SELECTOR_BATCH];
    pl__atomic_u32 attention;
    pl__relay *relay; /* of a loop inside a foreign one that does not watch the selector itself; else NULL */
} adapter;

/* In pl__handle.system. */
typedef struct queues {
    pl__list reads;
    pl__list writes;
} queues;

/* In pl__completion.system, of a SEND_FILE. */
typedef struct file_errand {
    pl__errand errand;
    adapter *owner;
    pl__completion *completion;
    int64_t sent; /* bytes or a negated errno */
    bool blocked; /* the socket would not take more */
    bool running;
} file_errand;

/* In pl__completion.system, of a FILE_READ or FILE_WRITE. */
typedef struct file_transfer {
    pl__errand errand;
    adapter *owner;
    pl__completion *completion;
    int64_t count; /* bytes or a negated errno */
} file_transfer;

PL__STATIC_ASSERT(sizeof(file_transfer) <= sizeof((pl__completion *)0)->system, "no room for the transfer");
PL__STATIC_ASSERT(sizeof(queues) + sizeof(pl__pipe_file) <= sizeof((pl__handle *)0)->system,
                  "no room for the queues and a pipe's file");
PL__STATIC_ASSERT(sizeof(pl__handle) <= sizeof((pl__completion *)0)->system, "no room for a watch");
PL__STATIC_ASSERT(sizeof(file_errand) <= sizeof((pl__completion *)0)->system, "no room for the errand");

/* How a completion ended. */
typedef struct outcome {
    int64_t result;
    int32_t system_error;
} outcome;

static adapter *adapter_of(pl__proactor *proactor)
{
    return (adapter *)proactor;
}

static queues *queues_of(pl__handle *handle)
{
    return (queues *)(void *)&handle->system;
}

static file_errand *errand_of(pl__completion *c)
{
    return (file_errand *)(void *)&c->system;
}

/* The watch of a POLL that brought none. */
static pl__handle *own_watch_of(pl__completion *c)
{
    return (pl__handle *)(void *)&c->system;
}

static int descriptor_of(const pl__handle *handle)
{
    return (int)handle->object;
}

/* `value` is a result, or a negated errno. Always true: it has ended. */
static bool ended(outcome *out, int64_t value)
{
    out->result = value >= 0 ? value : pl__error_from_errno((int)-value);
    out->system_error = value >= 0 ? 0 : (int32_t)-value;
    return true;
}

/* --- Creating ----------------------------------------------------------------------------------------------------- */

static int create(pl__proactor **proactor, const pl__proactor_class *type, const pl__selector_class *selector)
{
    adapter *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return PL_ENOMEM;
    int rc = selector->create(&self->selector);
    if (rc < 0) {
        pl__release(self, sizeof *self);
        return pl__error_from_errno(-rc);
    }
    self->base.type = type;
    pl__list_init(&self->devices);
    pl__list_init(&self->finished);
    *proactor = &self->base;
    return PL_OK;
}

static void destroy(pl__proactor *proactor)
{
    adapter *self = adapter_of(proactor);
    PL__CHECK(pl__list_is_empty(&self->finished));
    pl__interrupt_unwatch(proactor);
    if (self->workers) /* first: a worker may be about to wake us */
        pl__worker_pool_destroy(self->workers);
    self->selector->type->destroy(self->selector);
    pl__release(self, sizeof *self);
}

static int64_t now(pl__proactor *proactor)
{
    PL__UNUSED(proactor);
    return pl__clock_now();
}

static void wake(pl__proactor *proactor)
{
    adapter *self = adapter_of(proactor);
    if (pl__atomic_u32_exchange(&self->attention, WOKEN) == WAITING)
        self->selector->type->wake(self->selector);
}

static void wake_from_worker(void *context)
{
    wake(context);
}

/* NULL: out of memory. */
static pl__worker_pool *workers_of(adapter *self)
{
    if (!self->workers)
        self->workers = pl__worker_pool_create(wake_from_worker, &self->base);
    return self->workers;
}

static int attach(pl__proactor *proactor, pl__handle *handle)
{
    adapter *self = adapter_of(proactor);
    if (handle->type == PL__DEVICE) {
        pl__device_attach(&self->devices, handle, wake_from_worker, &self->base);
        return PL_OK;
    }
    PL__CHECK(!handle->attached && handle->object != PL__NO_OBJECT && handle->in_flight == 0);
    if (handle->type == PL__FILE) {
        handle->attached = true;
        return PL_OK;
    }
    int rc = self->selector->type->add(self->selector, handle);
    if (rc < 0)
        return pl__error_from_errno(-rc);
    pl__list_init(&queues_of(handle)->reads);
    pl__list_init(&queues_of(handle)->writes);
    handle->flags = PL__WRITABLE; /* whether it is readable the selector tells at the next wait */
    handle->attached = true;
    return PL_OK;
}

static void detach(pl__proactor *proactor, pl__handle *handle)
{
    adapter *self = adapter_of(proactor);
    queues *queue = queues_of(handle);
    if (handle->type == PL__DEVICE) {
        pl__device_detach(handle);
        return;
    }
    PL__CHECK(handle->attached && handle->in_flight == 0);
    if (handle->type == PL__FILE) {
        handle->attached = false;
        return;
    }
    PL__CHECK(pl__list_is_empty(&queue->reads) && pl__list_is_empty(&queue->writes));
    self->selector->type->remove(self->selector, handle);
    handle->attached = false;
}

/* --- Watches: 0 or a negated errno -------------------------------------------------------------------------------- */

static int handle_close(adapter *self, pl__request *request);

static int watch_open(adapter *self, pl__request *request)
{
    pl__handle *watch = request->handle;
    int descriptor = pl__poll_duplicate((uintptr_t)request->value);
    if (descriptor < 0)
        return descriptor;
    pl__handle_init(watch);
    watch->object = (uintptr_t)descriptor;
    pl__list_init(&queues_of(watch)->reads);
    pl__list_init(&queues_of(watch)->writes);
    watch->flags = PL__READABLE | PL__WRITABLE; /* perhaps */
    int rc = self->selector->type->add(self->selector, watch);
    watch->attached = rc == 0;
    if (rc < 0)
        (void)handle_close(self, request);
    return rc == -EPERM ? -ENOTSUP : rc; /* so the selector says that there is nothing to wait for */
}

static int watch_close(adapter *self, pl__request *request)
{
    detach(&self->base, request->handle);
    return handle_close(self, request);
}

/* --- Attempts: true when the completion has ended ----------------------------------------------------------------- */

static void clear(pl__handle *handle, uint16_t flags)
{
    handle->flags = (uint16_t)(handle->flags & ~flags);
}

static bool attempt_accept(adapter *self, pl__completion *c, outcome *out)
{
    PL__UNUSED(self);
    pl__handle *accepted = c->as.accept.accepted;
    PL__CHECK(accepted->object == PL__NO_OBJECT);
    int descriptor = pl__tcp_accept(descriptor_of(c->handle), c->as.accept.peer);
    if (descriptor == -EAGAIN) {
        clear(c->handle, PL__READABLE);
        return false;
    }
    if (descriptor >= 0) {
        pl__handle_init(accepted);
        accepted->object = (uintptr_t)descriptor;
        accepted->family = c->handle->family;
        accepted->traits = c->handle->traits;
    }
    return ended(out, descriptor >= 0 ? 0 : descriptor);
}

/* Flags from before the connect say nothing: a socket not connected counts as hung up and writable. */
static bool begin_connect(adapter *self, pl__completion *c, outcome *out)
{
    PL__UNUSED(self);
    PL__CHECK(c->handle->in_flight == 0);
    int rc = pl__tcp_connect(descriptor_of(c->handle), &c->as.connect.address);
    c->handle->flags = rc == -EINPROGRESS ? CONNECTING : PL__WRITABLE;
    return rc != -EINPROGRESS && ended(out, rc);
}

static bool attempt_connect(adapter *self, pl__completion *c, outcome *out)
{
    PL__UNUSED(self);
    clear(c->handle, CONNECTING);
    return ended(out, pl__tcp_connect_result(descriptor_of(c->handle)));
}

static bool is_plain_socket(const pl__handle *handle)
{
    return handle->type == PL__SOCKET && !(handle->traits & PL__MESSAGES);
}

static int64_t receive_from(const pl__handle *handle, void *data, size_t size)
{
    if (handle->traits & PL__MESSAGES)
        return pl__pipe_receive_message(descriptor_of(handle), data, size);
    if (handle->type == PL__PIPE)
        return pl__pipe_read(descriptor_of(handle), data, size);
    return pl__tcp_receive(descriptor_of(handle), data, size);
}

/* Notes what a receive tells of its handle. */
static bool received(pl__completion *c, int64_t count, size_t size, outcome *out)
{
    bool drained = count >= 0 && (uint64_t)count < size && is_plain_socket(c->handle);
    if (count == -EAGAIN || drained)
        clear(c->handle, PL__READABLE);
    if (count == -EAGAIN)
        return false;
    if (count == 0 && size > 0 && (c->handle->flags & BROKEN))
        count = -ECONNRESET; /* not an orderly end */
    return ended(out, count);
}

static bool attempt_pooled_receive(pl__completion *c, outcome *out)
{
    PL__CHECK(!c->as.receive.data && c->as.receive.size == PL__BUFFER_SIZE);
    void *data = pl__buffer_take(c->as.receive.pool);
    if (!data)
        return ended(out, -ENOMEM);
    int64_t count = receive_from(c->handle, data, PL__BUFFER_SIZE);
    if (count > 0)
        c->as.receive.data = data;
    else
        pl__buffer_give(c->as.receive.pool, data);
    return received(c, count, PL__BUFFER_SIZE, out);
}

static bool attempt_receive(adapter *self, pl__completion *c, outcome *out)
{
    PL__UNUSED(self);
    size_t size = c->as.receive.size;
    if (c->as.receive.pool)
        return attempt_pooled_receive(c, out);
    return received(c, receive_from(c->handle, c->as.receive.data, size), size, out);
}

/* Notes what a failed send tells of its handle. Nothing is sent after a half close of our own, so a broken pipe is a
 * reset whose news another call got: it is told as such. Of what is no IP socket it says only that nobody reads any
 * more; what was sent to us before is still there, and its end too. */
static int64_t note_failure(pl__handle *handle, int64_t error)
{
    if (error == -EPIPE && handle->family == 0)
        return -ECONNRESET;
    if (error == -EPIPE)
        error = -ECONNRESET;
    if (error == -ECONNRESET || error == -ETIMEDOUT)
        handle->flags |= BROKEN;
    return error;
}

static bool attempt_send(adapter *self, pl__completion *c, outcome *out)
{
    PL__UNUSED(self);
    const pl_buffer *buffers = c->as.send.buffers;
    int descriptor = descriptor_of(c->handle);
    bool complete = true; /* a pipe that is full now says so the next time */
    int64_t count = c->handle->type == PL__PIPE
                        ? pl__pipe_write(descriptor, buffers, c->as.send.count, c->as.send.offset)
                        : pl__tcp_send(descriptor, buffers, c->as.send.count, c->as.send.offset, &complete);
    if (count == -EAGAIN || (count >= 0 && !complete))
        clear(c->handle, PL__WRITABLE);
    if (count == -EAGAIN)
        return false;
    return ended(out, note_failure(c->handle, count));
}

static void run_file_errand(pl__errand *errand);
static void file_errand_finished(pl__errand *errand);

static bool begin_send_file(adapter *self, pl__completion *c, outcome *out)
{
    PL__UNUSED(out);
    *errand_of(c) = (file_errand){
        .errand = {.run = run_file_errand, .finished = file_errand_finished},
        .owner = self,
        .completion = c,
    };
    return false;
}

static bool attempt_send_file(adapter *self, pl__completion *c, outcome *out)
{
    file_errand *task = errand_of(c);
    if (task->running)
        return false;
    pl__worker_pool *workers = workers_of(self);
    if (!workers)
        return ended(out, -ENOMEM);
    int rc = pl__worker_pool_errand(workers, &task->errand);
    if (rc < 0) {
        *out = (outcome){.result = rc};
        return true;
    }
    clear(c->handle, PL__WRITABLE);
    task->running = true;
    return false;
}

/* Each datagram is an edge of its own, and so is each error: that the socket once had one says nothing of the next call. */
static bool attempt_receive_from(adapter *self, pl__completion *c, outcome *out)
{
    PL__UNUSED(self);
    int64_t count = pl__udp_receive(c);
    if (count == -EAGAIN)
        clear(c->handle, PL__READABLE | PL__HANGUP);
    return count != -EAGAIN && ended(out, count);
}

static bool attempt_send_to(adapter *self, pl__completion *c, outcome *out)
{
    PL__UNUSED(self);
    int64_t count = pl__udp_send(c);
    if (count == -EAGAIN)
        clear(c->handle, PL__WRITABLE);
    return count != -EAGAIN && ended(out, count);
}

/* What a watch should be told: the flags it lacks. The others are set, and mean nothing: a selector that is
 * level-triggered would tell them at each wait. */
static uint16_t flags_but(const adapter *self, uint32_t events, uint16_t before)
{
    bool needs_end = (events & (PL_POLL_PRIORITY | PL_POLL_HANGUP)) && self->selector->type->end_is_readable;
    bool no_bytes = needs_end && !(events & PL_POLL_READABLE);
    return (uint16_t)((events & PL_POLL_READABLE || needs_end ? 0 : PL__READABLE) |
                      (events & PL_POLL_WRITABLE ? 0 : PL__WRITABLE) |
                      (events & (PL_POLL_PRIORITY | PL_POLL_HANGUP) ? 0 : PL__HANGUP) |
                      (events & PL_POLL_PRIORITY ? 0 : PL__NO_PRIORITY) | (events & PL_POLL_HANGUP ? 0 : PL__NO_END) |
                      (no_bytes ? PL__NO_BYTES | (before & PL__SEEN) : 0));
}

static bool attempt_poll(adapter *self, pl__completion *c, outcome *out)
{
    int happened = pl__poll_now(descriptor_of(c->handle), c->as.poll.events);
    if (happened == 0)
        c->handle->flags = flags_but(self, c->as.poll.events, c->handle->flags);
    return happened != 0 && ended(out, happened);
}

/* Most ask for what is so already: then no watch is needed. Else it has one from here on. */
static bool begin_poll(adapter *self, pl__completion *c, outcome *out)
{
    if (c->handle)
        return false;
    int happened = pl__poll_first((uintptr_t)c->as.poll.object, c->as.poll.events);
    if (happened != 0)
        return ended(out, happened);
    pl__request request = {.handle = own_watch_of(c), .value = (int64_t)c->as.poll.object};
    int rc = watch_open(self, &request);
    if (rc < 0)
        return ended(out, rc);
    c->handle = own_watch_of(c);
    return false; /* and is tried once more: it may have become ready before the selector knew of it */
}

static void drop_own_watch(adapter *self, pl__completion *c)
{
    pl__request request = {.handle = c->handle};
    if (c->kind != PL__POLL || c->handle != own_watch_of(c))
        return;
    (void)watch_close(self, &request);
    c->handle = NULL;
}

static bool attempt_changes(adapter *self, pl__completion *c, outcome *out)
{
    PL__UNUSED(self);
    int64_t count = pl__changes_receive(descriptor_of(c->handle), c->as.changes.data, c->as.changes.size);
    if (count == -EAGAIN)
        clear(c->handle, PL__READABLE);
    return count != -EAGAIN && ended(out, count);
}

/* What there is to know of each kind the system has no completion for. */
static const struct work {
    bool (*begin)(adapter *, pl__completion *, outcome *); /* in submit, before all else; may be NULL */
    bool (*attempt)(adapter *, pl__completion *, outcome *);
    uint16_t readiness; /* one of these flags makes an attempt worth while */
} works[PL__OPERATION_KINDS] = {
    [PL__ACCEPT] = {NULL, attempt_accept, PL__READABLE | PL__HANGUP},
    [PL__CONNECT] = {begin_connect, attempt_connect, PL__WRITABLE},
    [PL__RECEIVE] = {NULL, attempt_receive, PL__READABLE | PL__HANGUP},
    [PL__SEND] = {NULL, attempt_send, PL__WRITABLE},
    [PL__SEND_FILE] = {begin_send_file, attempt_send_file, PL__WRITABLE},
    [PL__RECEIVE_FROM] = {NULL, attempt_receive_from, PL__READABLE | PL__HANGUP},
    [PL__SEND_TO] = {NULL, attempt_send_to, PL__WRITABLE},
    [PL__POLL] = {begin_poll, attempt_poll, PL__READABLE | PL__WRITABLE | PL__HANGUP},
    [PL__CHANGES] = {NULL, attempt_changes, PL__READABLE | PL__HANGUP},
};

/* --- The life of a completion ------------------------------------------------------------------------------------- */

static pl__list *queue_of(pl__completion *c)
{
    queues *both = queues_of(c->handle);
    return works[c->kind].readiness & PL__READABLE ? &both->reads : &both->writes;
}

static int submit_job(adapter *self, pl__completion *c)
{
    pl__worker_pool *workers = workers_of(self);
    return workers ? pl__worker_pool_submit(workers, c) : pl__completion_finish_now(c, PL_ENOMEM, 0);
}

static int submit_transfer(adapter *self, pl__completion *c);
static void cancel_transfer(adapter *self, pl__completion *c);

static int submit(pl__proactor *proactor, pl__completion *c)
{
    adapter *self = adapter_of(proactor);
    outcome out;
    PL__CHECK(c->kind > PL__NO_OPERATION && c->kind < PL__OPERATION_KINDS && c->state == PL__IDLE);
    if (pl__kind_is_worker(c->kind))
        return submit_job(self, c);
    if (c->handle && c->handle->type == PL__FILE)
        return submit_transfer(self, c);
    if (c->handle && c->handle->type == PL__DEVICE)
        return pl__device_submit(c);
    const struct work *work = &works[c->kind];
    if (!work->attempt)
        return pl__completion_finish_now(c, PL_ENOTSUP, 0);
    PL__CHECK(c->handle ? c->handle->attached : c->kind == PL__POLL);
    if (c->handle && (c->handle->flags & CONNECTING))
        return pl__completion_finish_now(c, PL_ENOTCONN, ENOTCONN);
    if (work->begin && work->begin(self, c, &out))
        return pl__completion_finish_now(c, out.result, out.system_error);
    pl__list *queue = queue_of(c);
    if (pl__list_is_empty(queue) && (c->handle->flags & work->readiness) && work->attempt(self, c, &out)) {
        drop_own_watch(self, c);
        return pl__completion_finish_now(c, out.result, out.system_error);
    }
    pl__completion_submitted(c);
    pl__list_push_back(queue, &c->node);
    return PL__SUBMIT_PENDING;
}

static void finish(adapter *self, pl__completion *c, int64_t result, int32_t system_error)
{
    pl__completion_finish(c, result, system_error);
    drop_own_watch(self, c);
    pl__list_push_back(&self->finished, &c->node);
}

/* Serves a queue from its front while the handle is ready. Each round ends a completion or the loop. */
static void serve(adapter *self, pl__list *queue)
{
    pl__node *node;
    while ((node = pl__list_first(queue))) {
        pl__completion *c = PL__CONTAINER_OF(node, pl__completion, node);
        outcome out;
        if (!(c->handle->flags & works[c->kind].readiness) || !works[c->kind].attempt(self, c, &out))
            return;
        pl__node_unlink(node);
        finish(self, c, out.result, out.system_error);
    }
}

static void cancel(pl__proactor *proactor, pl__completion *c)
{
    adapter *self = adapter_of(proactor);
    if (pl__kind_is_worker(c->kind)) {
        pl__worker_pool_cancel(self->workers, c);
        return;
    }
    if (c->handle && c->handle->type == PL__DEVICE) {
        pl__device_cancel(c);
        return;
    }
    pl__completion_cancelling(c);
    if (c->handle->type == PL__FILE) {
        cancel_transfer(self, c);
        return;
    }
    if (c->kind == PL__SEND_FILE && errand_of(c)->running)
        return;
    if (c->kind == PL__CONNECT)
        clear(c->handle, CONNECTING);
    pl__node_unlink(&c->node);
    finish(self, c, PL_ECANCELED, 0); /* the next poll tells, so that a cancel feels as it does on Windows */
}

static void flush(pl__proactor *proactor)
{
    PL__UNUSED(proactor); /* submit puts nothing off */
}

/* --- Sending files ------------------------------------------------------------------------------------------------ */

/* On a worker. Of the completion it reads the parameters only, which do not change while it is pending. */
static void run_file_errand(pl__errand *errand)
{
    file_errand *task = PL__CONTAINER_OF(errand, file_errand, errand);
    const pl__completion *c = task->completion;
    int64_t limit = c->as.send_file.size < ERRAND_SIZE ? c->as.send_file.size : ERRAND_SIZE;
    int64_t sent = 0, count = 0;
    while (sent < limit) {
        count = pl__tcp_send_file(descriptor_of(c->handle), (int)c->as.send_file.file, c->as.send_file.offset + sent,
                                  (size_t)(limit - sent));
        if (count <= 0 && count != -EINTR)
            break;
        if (count > 0)
            sent += count;
    }
    task->blocked = count == -EAGAIN;
    task->sent = sent > 0 || count >= 0 ? sent : count;
}

/* On the loop's thread. */
static void file_errand_finished(pl__errand *errand)
{
    file_errand *task = PL__CONTAINER_OF(errand, file_errand, errand);
    adapter *self = task->owner;
    pl__completion *c = task->completion;
    pl__list *queue = queue_of(c);
    PL__CHECK(task->running && pl__list_first(queue) == &c->node);
    task->running = false;
    if (!task->blocked)
        c->handle->flags |= PL__WRITABLE;

    bool nothing = task->sent <= 0;
    if (nothing && c->state == PL__CANCELLING) {
        pl__node_unlink(&c->node);
        finish(self, c, PL_ECANCELED, 0);
    } else if (task->sent != -EAGAIN) {
        outcome out;
        ended(&out, note_failure(c->handle, task->sent));
        pl__node_unlink(&c->node);
        finish(self, c, out.result, out.system_error);
    }
    serve(self, queue); /* the next one; or this one again, if the socket became writable meanwhile */
}

/* --- Reading and writing files ------------------------------------------------------------------------------------ */

static file_transfer *transfer_of(pl__completion *c)
{
    return (file_transfer *)(void *)&c->system;
}

/* On a worker. */
static void run_transfer(pl__errand *errand)
{
    file_transfer *transfer = PL__CONTAINER_OF(errand, file_transfer, errand);
    const pl__completion *c = transfer->completion;
    int descriptor = descriptor_of(c->handle);
    if (c->kind == PL__FILE_READ)
        transfer->count =
            pl__file_read_some(descriptor, c->as.file_read.data, c->as.file_read.size, c->as.file_read.offset);
    else
        transfer->count =
            pl__file_write_some(descriptor, c->as.file_write.data, c->as.file_write.size, c->as.file_write.offset);
}

static void transfer_finished(pl__errand *errand)
{
    file_transfer *transfer = PL__CONTAINER_OF(errand, file_transfer, errand);
    outcome out;
    ended(&out, transfer->count);
    finish(transfer->owner, transfer->completion, out.result, out.system_error);
}

static int submit_transfer(adapter *self, pl__completion *c)
{
    PL__CHECK(c->kind == PL__FILE_READ || c->kind == PL__FILE_WRITE);
    if (c->kind == PL__FILE_READ && c->as.file_read.size <= CACHED_READ_MAX) {
        int64_t count = pl__file_read_cached(descriptor_of(c->handle), c->as.file_read.data, c->as.file_read.size,
                                             c->as.file_read.offset);
        if (count >= 0)
            return pl__completion_finish_now(c, count, 0);
    }
    pl__worker_pool *workers = workers_of(self);
    *transfer_of(c) =
        (file_transfer){.errand = {.run = run_transfer, .finished = transfer_finished}, .owner = self, .completion = c};
    int rc = workers ? pl__worker_pool_errand(workers, &transfer_of(c)->errand) : PL_ENOMEM;
    if (rc < 0)
        return pl__completion_finish_now(c, rc, 0);
    pl__completion_submitted(c);
    return PL__SUBMIT_PENDING;
}

/* The memory is the worker's as soon as it has begun. */
static void cancel_transfer(adapter *self, pl__completion *c)
{
    if (pl__worker_pool_take_back(self->workers, &transfer_of(c)->errand))
        finish(self, c, PL_ECANCELED, 0);
}

/* --- Polling ------------------------------------------------------------------------------------------------------ */

static void collect(adapter *self)
{
    if (self->workers)
        pl__worker_pool_collect(self->workers, &self->finished);
    pl__devices_collect(&self->devices, &self->finished);
}

/* Waits for the selector, unless something has finished already or a wake came since the last poll. */
static int wait_for_change(adapter *self, int64_t deadline)
{
    uint32_t found = AWAKE;
    bool waits = deadline > 0 && pl__list_is_empty(&self->finished) &&
                 pl__atomic_u32_compare_exchange(&self->attention, &found, WAITING);
    int count = self->selector->type->wait(self->selector, waits ? deadline : 0, self->changed);
    if (pl__atomic_u32_load(&self->attention) != AWAKE)
        (void)pl__atomic_u32_exchange(&self->attention, AWAKE);
    return count;
}

/* All receives go before the first send: what is sent wakes a peer that would take our processor. */
static void poll(pl__proactor *proactor, int64_t deadline, pl__list *finished)
{
    adapter *self = adapter_of(proactor);
    collect(self);
    int count = wait_for_change(self, deadline);
    for (int i = 0; i < count; i++)
        serve(self, &queues_of(self->changed[i])->reads);
    for (int i = 0; i < count; i++)
        serve(self, &queues_of(self->changed[i])->writes);
    collect(self);
    pl__list_move_all(&self->finished, finished);
}

/* --- Inside a foreign loop ------------------------------------------------------------------------------------------ */

static int descriptor(pl__proactor *proactor)
{
    adapter *self = adapter_of(proactor);
    return self->selector->type->descriptor ? self->selector->type->descriptor(self->selector) : PL_ENOTSUP;
}

static int embed(pl__proactor *proactor, void (*ready)(void *context), void *context)
{
    adapter *self = adapter_of(proactor);
    PL__CHECK(!self->relay);
    if (!self->selector->type->descriptor)
        return PL_ENOTSUP;
    return ready ? pl__relay_start(&self->relay, descriptor(proactor), ready, context) : PL_OK;
}

/* Somebody waits for the selector from now on: a wake has to show there. */
static void rest(pl__proactor *proactor)
{
    adapter *self = adapter_of(proactor);
    uint32_t found = AWAKE;
    if (!pl__atomic_u32_compare_exchange(&self->attention, &found, WAITING) && found == WOKEN)
        self->selector->type->wake(self->selector);
    if (self->relay)
        pl__relay_arm(self->relay);
}

static void interrupt_relay(void *arg)
{
    adapter *self = arg;
    self->selector->type->wake(self->selector);
}

static void unembed(pl__proactor *proactor)
{
    adapter *self = adapter_of(proactor);
    if (self->relay)
        pl__relay_stop(self->relay, interrupt_relay, self);
    self->relay = NULL;
    wake(proactor); /* what came since the last poll is looked at by the next one, which so does not wait */
}

/* --- Requests: 0 or a negated errno ------------------------------------------------------------------------------- */

static int fill(pl__request *request, int descriptor)
{
    if (descriptor < 0)
        return descriptor;
    request->handle->object = (uintptr_t)descriptor;
    return 0;
}

static int socket_open(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    PL__CHECK(request->handle->object == PL__NO_OBJECT);
    request->handle->family = request->family;
    return fill(request, pl__tcp_open(request->family, &request->address));
}

static int socket_listen(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    PL__CHECK(request->handle->object == PL__NO_OBJECT);
    request->handle->family = request->address.family;
    return fill(request, pl__tcp_listen(&request->address, request->backlog, request->flags));
}

static int socket_shutdown(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__tcp_shut_down(descriptor_of(request->handle));
}

static int socket_option(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__tcp_set_option(descriptor_of(request->handle), request->option, request->value);
}

static int socket_name(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__tcp_name(descriptor_of(request->handle), &request->address);
}

static int socket_peer(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__tcp_peer(descriptor_of(request->handle), &request->address);
}

/* The handle is closed whatever the system says: a second close could hit another thread's new descriptor. */
static int handle_close(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    pl__handle *handle = request->handle;
    PL__CHECK(handle->object != PL__NO_OBJECT && handle->in_flight == 0 && !handle->attached);
    if (handle->type == PL__DEVICE) {
        pl__device_destroy(pl__device_of(handle));
        handle->object = PL__NO_OBJECT;
        return 0;
    }
    if (handle->traits & PL__NAMED)
        pl__pipe_unlink(handle);
    int rc = close(descriptor_of(handle));
    handle->object = PL__NO_OBJECT;
    PL__CHECK(rc == 0 || errno != EBADF); /* somebody else closed it, and perhaps it was not ours by then */
    return 0;
}

static int datagram_open(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    PL__CHECK(request->handle->object == PL__NO_OBJECT);
    request->handle->family = request->address.family;
    request->handle->type = PL__DATAGRAM_SOCKET;
    return fill(request, pl__udp_open(&request->address, request->flags));
}

static int datagram_connect(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__udp_connect(descriptor_of(request->handle), request->handle->family, &request->address);
}

static int datagram_group(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__udp_change_membership(descriptor_of(request->handle), request->membership, request->value != 0);
}

static int datagram_option(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__udp_set_option(descriptor_of(request->handle), request->handle->family, request->option, request->value,
                              &request->address);
}

static int pipe_pair(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__pipe_make_pair(request);
}

static int standard_open(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__standard_open(request);
}

static int pipe_listen(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__pipe_listen(request);
}

static int pipe_peer(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    return pl__pipe_peer(request);
}

static int interrupt_watch(adapter *self, pl__request *request)
{
    if (request->value)
        return pl__interrupt_watch(&self->base);
    pl__interrupt_unwatch(&self->base);
    return 0;
}

static int signal_watch(adapter *self, pl__request *request)
{
    return pl__signal_watch(&self->base, request);
}

static int signal_unwatch(adapter *self, pl__request *request)
{
    return pl__signal_unwatch(&self->base, request);
}

/* Handlers wait for nobody here. */
static int signal_done(adapter *self, pl__request *request)
{
    PL__UNUSED(self);
    PL__UNUSED(request);
    return 0;
}

static int (*const requests[])(adapter *, pl__request *) = {
#define REQUEST(NAME, name) [PL__REQUEST_##NAME] = name,
    PL__REQUESTS(REQUEST)
#undef REQUEST
};

static int control(pl__proactor *proactor, pl__request *request)
{
    outcome out;
    PL__CHECK(request->kind < PL__COUNT_OF(requests));
    ended(&out, requests[request->kind](adapter_of(proactor), request));
    request->system_error = out.system_error;
    return (int)out.result;
}

/* --- The proactors of this platform ------------------------------------------------------------------------------- */

/* One per selector. */
#define DEFINE_PROACTOR(selector)                                                                                      \
    static const pl__proactor_class selector##_proactor;                                                               \
    static int create_with_##selector(pl__proactor **proactor, const pl__proactor_options *options)                    \
    {                                                                                                                  \
        PL__UNUSED(options);                                                                                           \
        return create(proactor, &selector##_proactor, &pl__selector_##selector);                                       \
    }                                                                                                                  \
    static const pl__proactor_class selector##_proactor = {                                                            \
        .name = #selector,                                                                                             \
        .create = create_with_##selector,                                                                              \
        .destroy = destroy,                                                                                            \
        .now = now,                                                                                                    \
        .attach = attach,                                                                                              \
        .detach = detach,                                                                                              \
        .submit = submit,                                                                                              \
        .cancel = cancel,                                                                                              \
        .flush = flush,                                                                                                \
        .poll = poll,                                                                                                  \
        .wake = wake,                                                                                                  \
        .control = control,                                                                                            \
        .embed = embed,                                                                                                \
        .rest = rest,                                                                                                  \
        .unembed = unembed,                                                                                            \
        .descriptor = descriptor,                                                                                      \
    };

PL__SELECTORS(DEFINE_PROACTOR)

#define LIST_PROACTOR(selector) &selector##_proactor,

const pl__proactor_class *const pl__proactors[] = {
    /* clang-format off */
    PL__SELECTORS(LIST_PROACTOR)
    &pl__simulation,
    NULL,
    /* clang-format on */
};
