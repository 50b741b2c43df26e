/* UDP: two lanes of operations, one of receives and one of sends, on a socket of datagrams.
 *
 * In each lane the first operation has its completion submitted, and the others wait for their turn; so what the system
 * needs beside a completion (addresses, control data) exists once for a socket, and a cancel of one that waits is
 * immediate. An operation may need several rounds: a send of many datagrams goes on where the system stopped.
 *
 * A network that could not deliver a datagram may say so much later, to whatever call comes next. Such *news* of an
 * unconnected socket is of no use, as it does not say which datagram it is of: a receive that meets it is made again. A
 * connected socket tells it to a receive. A send that meets it cannot know whether it is its own error: it is made again,
 * and if it succeeds then it was news, which is kept for a receive (the one under way is called back for that).
 *
 * The struct goes with the last reference: the owner's, the open handle's, and one for each operation.
 */
#include <proloop/udp.h>

#include "allocator.h"
#include "debug.h"
#include "loop.h"
#include "op.h"
#include "task.h"
#include "udp.h"

enum { PL__NEWS_PASSED_OVER = 1000 /* in one receive: then something else is wrong */ };

enum shape { PL__SINGLE, PL__VECTOR, PL__MANY };

/* Those of one direction, the oldest first. */
typedef struct pl__lane {
    pl__list operations; /* pl__op */
    pl_datagram single;  /* of the first, if that is not of many */
} pl__lane;

struct pl_udp {
    uint64_t space[PL__DATAGRAM_SPACE / sizeof(uint64_t)]; /* the system's, while a receive is under way */
    pl__lane receives;
    pl__lane sends;
    pl__handle handle;
    pl_loop *loop;
    pl__loop_end loop_end;
    pl_address peer; /* none: not connected */
    uint32_t references;
    int32_t news_system_error;
    int16_t news; /* what a receive is to be told of a datagram sent earlier; 0: none */
    bool dual;    /* IPv6 that takes IPv4 too */
    bool owned;   /* the owner has not closed it */
    bool closed;
};

static void close_if_idle(pl_udp *udp);
static void begin_close(pl_udp *udp);
static void pump(pl_udp *udp, pl__lane *lane);

static int control(pl_udp *udp, pl__request *request)
{
    request->handle = &udp->handle;
    return pl__loop_control(udp->loop, request);
}

static bool is_address(const pl_address *address)
{
    return address && (address->family == PL_IPV4 || address->family == PL_IPV6);
}

pl_udp *pl_udp_ref(pl_udp *udp)
{
    if (!udp || pl__loop_refuses(udp->loop, "pl_udp_ref"))
        return NULL;
    PL__CHECK(udp->references > 0);
    udp->references++;
    return udp;
}

void pl_udp_unref(pl_udp *udp)
{
    if (!udp || pl__loop_refuses(udp->loop, "pl_udp_unref"))
        return;
    PL__CHECK(udp->references > 0);
    if (--udp->references > 0)
        return;
    PL__CHECK(udp->handle.object == PL__NO_OBJECT && pl__list_is_empty(&udp->receives.operations) &&
              pl__list_is_empty(&udp->sends.operations));
    pl_loop *loop = udp->loop;
    pl__release(udp, sizeof *udp);
    pl__loop_release(loop);
}

/* What keeps a call from touching the socket: PL_OK, PL_EINVAL, PL_ECLOSED, PL_ETHREAD. */
static int check_open(const pl_udp *udp)
{
    if (!udp)
        return PL_EINVAL;
    int checked = pl__loop_check_thread(udp->loop);
    if (checked < 0)
        return checked;
    return udp->closed ? PL_ECLOSED : PL_OK;
}

/* --- Lanes -------------------------------------------------------------------------------------------------------- */

static pl__op *first_of(const pl__lane *lane)
{
    pl__node *node = pl__list_first(&lane->operations);
    return node ? PL__CONTAINER_OF(node, pl__op, as.datagram.queue) : NULL;
}

static pl__op *last_of(const pl__lane *lane)
{
    pl__node *node = pl__list_last(&lane->operations);
    return node ? PL__CONTAINER_OF(node, pl__op, as.datagram.queue) : NULL;
}

/* Takes an operation off its lane and ends it. */
static void leave(pl__op *op, int64_t result, int32_t system_error)
{
    pl_udp *udp = op->owner;
    pl__node_unlink(&op->as.datagram.queue);
    pl__op_end(op, result, result < 0 ? system_error : 0);
    pl_udp_unref(udp);
}

static void datagram_cancel(pl__op *op)
{
    if (op->completion.state == PL__IDLE)
        leave(op, op->cancel_code, 0); /* it waits behind others */
    else
        pl__op_cancel_completion(op);
}

/* Whether a result can be what became of a datagram that was sent earlier. */
static bool is_news(int64_t result)
{
    return result == PL_ECONNREFUSED || result == PL_ECONNRESET || result == PL_EHOSTUNREACH ||
           result == PL_ENETUNREACH;
}

static const pl__op_type receive_type = {.name = "receive datagram", .cancel = datagram_cancel};
static const pl__op_type send_type = {.name = "send datagram", .cancel = datagram_cancel};

/* --- Receiving ---------------------------------------------------------------------------------------------------- */

/* False: it has ended already. */
static bool receive_prepare(pl__op *op)
{
    pl_udp *udp = op->owner;
    pl__completion *completion = &op->completion;
    if (udp->news) {
        int16_t news = udp->news;
        udp->news = 0;
        leave(op, news, udp->news_system_error);
        return false;
    }
    pl_datagram *single = &udp->receives.single;
    *single = (pl_datagram){0};
    completion->kind = PL__RECEIVE_FROM;
    completion->as.receive_from.space = udp->space;
    completion->as.receive_from.rooms = NULL;
    completion->as.receive_from.datagrams = single;
    completion->as.receive_from.count = 1;
    if (op->as.datagram.shape == PL__SINGLE) {
        single->data = (void *)(uintptr_t)op->as.datagram.data;
        single->capacity = op->as.datagram.count;
    } else if (op->as.datagram.shape == PL__VECTOR) {
        completion->as.receive_from.rooms = op->as.datagram.data;
        completion->as.receive_from.count = op->as.datagram.count;
    } else {
        completion->as.receive_from.datagrams = (pl_datagram *)(uintptr_t)op->as.datagram.data;
        completion->as.receive_from.count = op->as.datagram.count;
    }
    return true;
}

/* The end of a receive that got something. */
static void receive_succeeded(pl__op *op, int64_t count)
{
    const pl_datagram *single = &((pl_udp *)op->owner)->receives.single;
    if (op->as.datagram.shape == PL__MANY) {
        leave(op, count, 0);
        return;
    }
    PL__CHECK(count == 1);
    if (op->output)
        *(pl_datagram_info *)op->output = single->info;
    leave(op, (int64_t)single->size, 0);
}

/* Takes the result of a round; the operation has ended after it, or takes one more. */
static void receive_take(pl__op *op)
{
    pl_udp *udp = op->owner;
    int64_t result = pl__completion_take(&op->completion);
    if (result > 0) {
        receive_succeeded(op, result);
    } else if (result == PL_ECANCELED && !op->cancelling) {
        return; /* called back for news */
    } else if (!is_news(result) || udp->peer.family != 0) {
        leave(op, pl__op_translate(op, result), op->completion.system_error);
    } else if (op->cancelling) {
        leave(op, op->cancel_code, 0);
    } else if (op->as.datagram.passed_over++ == PL__NEWS_PASSED_OVER) {
        leave(op, result, op->completion.system_error);
    }
}

/* --- Sending ------------------------------------------------------------------------------------------------------ */

static void send_prepare(pl__op *op)
{
    pl_udp *udp = op->owner;
    pl__completion *completion = &op->completion;
    pl_datagram *single = &udp->sends.single;
    size_t done = op->as.datagram.done;
    completion->kind = PL__SEND_TO;
    completion->as.send_to.connected = udp->peer.family != 0;
    completion->as.send_to.buffers = NULL;
    completion->as.send_to.datagrams = single;
    completion->as.send_to.count = 1;
    if (op->as.datagram.shape == PL__MANY) {
        completion->as.send_to.datagrams = (const pl_datagram *)op->as.datagram.data + done;
        completion->as.send_to.count = op->as.datagram.count - done;
        return;
    }
    *single = (pl_datagram){.info.peer = op->as.datagram.to};
    if (op->as.datagram.shape == PL__VECTOR) {
        completion->as.send_to.buffers = op->as.datagram.data;
        completion->as.send_to.count = op->as.datagram.count;
    } else {
        single->data = (void *)(uintptr_t)op->as.datagram.data;
        single->size = op->as.datagram.count;
    }
}

/* The next receive is told, or the one under way. */
static void keep_news(pl_udp *udp, int16_t news, int32_t system_error)
{
    if (udp->news || udp->peer.family == 0)
        return;
    udp->news = news;
    udp->news_system_error = system_error;
    pl__op *receive = first_of(&udp->receives);
    if (receive)
        pl__loop_cancel(udp->loop, &receive->completion);
}

/* As above: ended, or one more round. */
static void send_take(pl__op *op)
{
    pl_udp *udp = op->owner;
    bool many = op->as.datagram.shape == PL__MANY;
    int64_t result = pl__completion_take(&op->completion);
    if (is_news(result) && !op->as.datagram.suspect && !op->cancelling) {
        op->as.datagram.suspect = (int16_t)result;
        op->system_error = op->completion.system_error;
        return;
    }
    if (result > 0) {
        if (op->as.datagram.suspect)
            keep_news(udp, op->as.datagram.suspect, op->system_error);
        op->as.datagram.suspect = 0;
        op->as.datagram.done += (size_t)result;
        if (many && op->as.datagram.done < op->as.datagram.count && !op->cancelling)
            return;
    }
    size_t done = op->as.datagram.done;
    if (done > 0)
        result = many ? (int64_t)done : PL_OK;
    leave(op, pl__op_translate(op, result), op->completion.system_error);
}

/* --- Both --------------------------------------------------------------------------------------------------------- */

static bool prepare(pl__op *op)
{
    if (op->type == &receive_type)
        return receive_prepare(op);
    send_prepare(op);
    return true;
}

static void take(pl__op *op)
{
    if (op->type == &receive_type)
        receive_take(op);
    else
        send_take(op);
}

static void round_ended(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_udp *udp = pl_udp_ref(op->owner);
    pl__lane *lane = op->type == &receive_type ? &udp->receives : &udp->sends;
    PL__CHECK(first_of(lane) == op);
    take(op);
    pump(udp, lane);
    pl_udp_unref(udp);
}

/* Puts the first of a lane to work, and the next if that ends at once. */
static void pump(pl_udp *udp, pl__lane *lane)
{
    for (pl__op *op; (op = first_of(lane)) && op->completion.state == PL__IDLE;) {
        if (udp->closed) {
            leave(op, PL_ECLOSED, 0);
            continue;
        }
        if (!prepare(op))
            continue;
        op->completion.handle = &udp->handle;
        op->completion.deliver = round_ended;
        if (pl__loop_submit(udp->loop, &op->completion))
            break;
        take(op);
    }
    close_if_idle(udp);
}

/* Begins an operation that was checked, at the end of its lane. */
static void enqueue(pl__op *op, pl__lane *lane)
{
    pl_udp *udp = pl_udp_ref(op->owner);
    udp->references++; /* the operation's */
    pl__list_push_back(&lane->operations, &op->as.datagram.queue);
    pump(udp, lane);
    pl_udp_unref(udp);
}

static int check_start(const pl_op *op, const pl_udp *udp)
{
    int checked = op ? check_open(udp) : PL_EINVAL;
    return checked == PL_OK ? pl__op_check(op, udp->loop) : checked;
}

static int receive_start(pl_op *op, pl_udp *udp, const void *data, size_t count, enum shape shape,
                         pl_datagram_info *info)
{
    int checked = check_start(op, udp);
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, udp->loop, &receive_type, udp, info);
    inner->as.datagram.data = data;
    inner->as.datagram.count = count;
    inner->as.datagram.shape = (uint8_t)shape;
    enqueue(inner, &udp->receives);
    return PL_OK;
}

int pl_udp_receive_start(pl_op *op, pl_udp *udp, void *data, size_t size, pl_datagram_info *info)
{
    return data && size ? receive_start(op, udp, data, size, PL__SINGLE, info) : PL_EINVAL;
}

int pl_udp_receive_buffers_start(pl_op *op, pl_udp *udp, const pl_room *rooms, size_t count, pl_datagram_info *info)
{
    size_t total = 0;
    if (!rooms || count > PL_DATAGRAM_BUFFERS_MAX)
        return PL_EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (!rooms[i].data && rooms[i].size)
            return PL_EINVAL;
        total |= rooms[i].size;
    }
    return total ? receive_start(op, udp, rooms, count, PL__VECTOR, info) : PL_EINVAL;
}

int pl_udp_receive_many_start(pl_op *op, pl_udp *udp, pl_datagram *datagrams, size_t count)
{
    if (!datagrams || !count)
        return PL_EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (!datagrams[i].data || !datagrams[i].capacity)
            return PL_EINVAL;
    }
    return receive_start(op, udp, datagrams, count, PL__MANY, NULL);
}

int64_t pl_udp_receive(pl_udp *udp, void *data, size_t size, pl_datagram_info *info)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_udp_receive_start(&op, udp, data, size, info));
}

int64_t pl_udp_receive_buffers(pl_udp *udp, const pl_room *rooms, size_t count, pl_datagram_info *info)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_udp_receive_buffers_start(&op, udp, rooms, count, info));
}

int64_t pl_udp_receive_many(pl_udp *udp, pl_datagram *datagrams, size_t count)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_udp_receive_many_start(&op, udp, datagrams, count));
}

/* Whether the socket can send there: PL_OK or why not. */
static int check_reach(const pl_udp *udp, const pl_address *to)
{
    if (!is_address(to) || to->port == 0)
        return PL_EINVAL;
    if (to->family == udp->handle.family || (to->family == PL_IPV4 && udp->dual))
        return PL_OK;
    return PL_EAFNOSUPPORT;
}

static bool is_same_address(const pl_address *a, const pl_address *b)
{
    return a->family == b->family && a->port == b->port && (a->scope == b->scope || !a->scope || !b->scope) &&
           memcmp(a->ip, b->ip, a->family == PL_IPV4 ? 4 : 16) == 0;
}

/* Where a datagram may go; `to` NULL or without a family: to the one peer. */
static int check_target(const pl_udp *udp, const pl_address *to)
{
    if (!to || to->family == 0)
        return udp->peer.family != 0 ? PL_OK : PL_ENOTCONN;
    int checked = check_reach(udp, to);
    if (checked == PL_OK && udp->peer.family != 0 && !is_same_address(to, &udp->peer))
        checked = PL_ESTATE;
    return checked;
}

static int send_start(pl_op *op, pl_udp *udp, const void *data, size_t count, enum shape shape, const pl_address *to)
{
    pl__op *inner = pl__op_begin(op, udp->loop, &send_type, udp, NULL);
    inner->as.datagram.data = data;
    inner->as.datagram.count = count;
    inner->as.datagram.shape = (uint8_t)shape;
    if (to)
        inner->as.datagram.to = *to;
    enqueue(inner, &udp->sends);
    return PL_OK;
}

int pl_udp_send_start(pl_op *op, pl_udp *udp, const void *data, size_t size, const pl_address *to)
{
    int checked = data || !size ? check_start(op, udp) : PL_EINVAL;
    if (checked == PL_OK)
        checked = size > PL_DATAGRAM_MAX ? PL_EMSGSIZE : check_target(udp, to);
    return checked < 0 ? checked : send_start(op, udp, data, size, PL__SINGLE, to);
}

int pl_udp_send_buffers_start(pl_op *op, pl_udp *udp, const pl_buffer *buffers, size_t count, const pl_address *to)
{
    size_t total = 0;
    if (!buffers || !count || count > PL_DATAGRAM_BUFFERS_MAX)
        return PL_EINVAL;
    int checked = check_start(op, udp);
    if (checked == PL_OK)
        checked = check_target(udp, to);
    for (size_t i = 0; i < count && checked == PL_OK; i++) {
        if (!buffers[i].data && buffers[i].size)
            checked = PL_EINVAL;
        else if (buffers[i].size > PL_DATAGRAM_MAX - total)
            checked = PL_EMSGSIZE;
        else
            total += buffers[i].size;
    }
    return checked < 0 ? checked : send_start(op, udp, buffers, count, PL__VECTOR, to);
}

int pl_udp_send_many_start(pl_op *op, pl_udp *udp, const pl_datagram *datagrams, size_t count)
{
    if (!datagrams || !count)
        return PL_EINVAL;
    int checked = check_start(op, udp);
    for (size_t i = 0; i < count && checked == PL_OK; i++) {
        if (!datagrams[i].data && datagrams[i].size)
            checked = PL_EINVAL;
        else if (datagrams[i].size > PL_DATAGRAM_MAX)
            checked = PL_EMSGSIZE;
        else
            checked = check_target(udp, &datagrams[i].info.peer);
    }
    return checked < 0 ? checked : send_start(op, udp, datagrams, count, PL__MANY, NULL);
}

int64_t pl_udp_send(pl_udp *udp, const void *data, size_t size, const pl_address *to)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_udp_send_start(&op, udp, data, size, to));
}

int64_t pl_udp_send_buffers(pl_udp *udp, const pl_buffer *buffers, size_t count, const pl_address *to)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_udp_send_buffers_start(&op, udp, buffers, count, to));
}

int64_t pl_udp_send_many(pl_udp *udp, const pl_datagram *datagrams, size_t count)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_udp_send_many_start(&op, udp, datagrams, count));
}

/* --- Life --------------------------------------------------------------------------------------------------------- */

static void udp_loop_ends(pl__loop_end *end)
{
    begin_close(PL__CONTAINER_OF(end, pl_udp, loop_end));
}

static void close_handle(pl_udp *udp)
{
    pl__request request = {.kind = PL__REQUEST_HANDLE_CLOSE};
    (void)control(udp, &request);
    PL__CHECK(udp->handle.object == PL__NO_OBJECT);
}

/* Opens the handle and attaches it. */
static int udp_attach(pl_udp *udp, const pl_address *local, uint8_t flags)
{
    pl__request request = {.kind = PL__REQUEST_DATAGRAM_OPEN, .address = *local, .flags = flags};
    int result = control(udp, &request);
    if (result < 0)
        return result;
    udp->dual = local->family == PL_IPV6 && !(flags & PL__DATAGRAM_IPV6_ONLY);
    result = udp->loop->proactor->type->attach(udp->loop->proactor, &udp->handle);
    if (result < 0)
        close_handle(udp);
    return result;
}

static int udp_open(pl_udp *udp, const pl_address *local, const pl_udp_options *options)
{
    uint8_t flags = (uint8_t)((options->reuse_address ? PL__DATAGRAM_REUSE_ADDRESS : 0) |
                              (options->ipv6_only ? PL__DATAGRAM_IPV6_ONLY : 0) |
                              (options->broadcast ? PL__DATAGRAM_BROADCAST : 0) |
                              (options->destination ? PL__DATAGRAM_DESTINATION : 0));
    pl_address any = {.family = PL_IPV6};
    int result = udp_attach(udp, local ? local : &any, flags);
    if (!local && !options->ipv6_only && (result == PL_EAFNOSUPPORT || result == PL_EADDRNOTAVAIL)) {
        any.family = PL_IPV4; /* a system without IPv6 */
        result = udp_attach(udp, &any, flags);
    }
    if (result < 0)
        return result;
    udp->references++; /* the open handle's */
    udp->loop_end.loop_ends = udp_loop_ends;
    pl__list_push_back(&udp->loop->ends, &udp->loop_end.node);
    return pl_udp_set_buffers(udp, options->send_buffer, options->receive_buffer);
}

int pl_udp_open(pl_udp **out, const pl_address *local, const pl_udp_options *options)
{
    static const pl_udp_options defaults = {.size = sizeof(pl_udp_options)};
    if (!options)
        options = &defaults;
    if (!out || options->size != sizeof *options || (local && !is_address(local)))
        return PL_EINVAL;
    *out = NULL;
    pl_loop *loop = NULL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    pl_udp *udp = pl__allocate_zeroed(sizeof *udp);
    if (!udp)
        return PL_ENOMEM;
    pl__handle_init(&udp->handle);
    pl__list_init(&udp->receives.operations);
    pl__list_init(&udp->sends.operations);
    udp->loop = loop;
    udp->references = 1;
    udp->owned = true;
    pl__loop_hold(loop);
    int opened = udp_open(udp, local, options);
    if (opened < 0)
        pl_udp_close(udp);
    else
        *out = udp;
    return opened;
}

/* A completion that was not delivered yet points here, even if the proactor is done with it. */
static bool is_under_way(const pl__lane *lane)
{
    return !pl__list_is_empty(&lane->operations);
}

static void close_if_idle(pl_udp *udp)
{
    if (!udp->closed || udp->handle.object == PL__NO_OBJECT || is_under_way(&udp->receives) ||
        is_under_way(&udp->sends))
        return;
    udp->loop->proactor->type->detach(udp->loop->proactor, &udp->handle);
    close_handle(udp);
    pl_udp_unref(udp); /* the open handle's */
}

/* From the back: those behind the first have not begun, and end here and now. */
static void cancel_lane(pl__lane *lane)
{
    for (pl__op *op; (op = last_of(lane));) {
        bool first = op == first_of(lane);
        pl__op_cancel(op, PL_ECLOSED);
        if (first)
            break;
    }
}

static void begin_close(pl_udp *udp)
{
    if (udp->closed)
        return;
    udp->closed = true;
    if (pl__node_is_linked(&udp->loop_end.node))
        pl__node_unlink(&udp->loop_end.node);
    (void)pl_udp_ref(udp);
    cancel_lane(&udp->receives);
    cancel_lane(&udp->sends);
    close_if_idle(udp);
    pl_udp_unref(udp);
}

void pl_udp_close(pl_udp *udp)
{
    if (!udp || pl__loop_refuses(udp->loop, "pl_udp_close"))
        return;
    PL__CHECK(udp->owned);
    begin_close(udp);
    udp->owned = false;
    pl_udp_unref(udp);
}

void pl_udp_drop(void *udp)
{
    pl_udp_close(udp);
}

/* --- Addresses and settings --------------------------------------------------------------------------------------- */

int pl_udp_connect(pl_udp *udp, const pl_address *peer)
{
    int checked = check_open(udp);
    if (checked == PL_OK && peer)
        checked = check_reach(udp, peer);
    if (checked == PL_OK && is_under_way(&udp->sends))
        checked = PL_EBUSY; /* they have their addresses, or none */
    if (checked < 0)
        return checked;
    pl__request request = {.kind = PL__REQUEST_DATAGRAM_CONNECT};
    if (peer)
        request.address = *peer;
    int result = control(udp, &request);
    udp->peer = result < 0 ? (pl_address){0} : request.address;
    udp->news = 0;
    return result;
}

int pl_udp_address(pl_udp *udp, pl_address *address)
{
    int checked = address ? check_open(udp) : PL_EINVAL;
    if (checked < 0)
        return checked;
    pl__request request = {.kind = PL__REQUEST_SOCKET_NAME};
    int result = control(udp, &request);
    if (result < 0)
        return result;
    pl__address_unmap(&request.address);
    *address = request.address;
    return result;
}

int pl_udp_peer_address(pl_udp *udp, pl_address *address)
{
    int checked = address ? check_open(udp) : PL_EINVAL;
    if (checked < 0)
        return checked;
    if (udp->peer.family == 0)
        return PL_ENOTCONN;
    *address = udp->peer;
    return PL_OK;
}

static bool is_group(const pl_address *address)
{
    return is_address(address) &&
           (address->family == PL_IPV4 ? (address->ip[0] & 0xf0) == 0xe0 : address->ip[0] == 0xff);
}

static int change_membership(pl_udp *udp, const pl_address *group, const pl_multicast_options *options, bool join)
{
    static const pl_multicast_options defaults = {.size = sizeof(pl_multicast_options)};
    if (!options)
        options = &defaults;
    if (!is_group(group) || options->size != sizeof *options)
        return PL_EINVAL;
    if (options->interface_address &&
        (group->family != PL_IPV4 || options->interface_index || !is_address(options->interface_address)))
        return PL_EINVAL;
    int checked = check_open(udp);
    if (checked < 0)
        return checked;
    if (group->family != udp->handle.family ||
        (options->interface_address && options->interface_address->family != group->family) ||
        (options->source && options->source->family != group->family))
        return PL_EAFNOSUPPORT;
    pl__membership membership = {.group = *group, .interface_index = options->interface_index};
    if (options->interface_address)
        membership.interface_address = *options->interface_address;
    if (options->source)
        membership.source = *options->source;
    if (membership.interface_index == 0)
        membership.interface_index = group->scope;
    pl__request request = {.kind = PL__REQUEST_DATAGRAM_GROUP, .value = join, .membership = &membership};
    return control(udp, &request);
}

int pl_udp_join(pl_udp *udp, const pl_address *group, const pl_multicast_options *options)
{
    return change_membership(udp, group, options, true);
}

int pl_udp_leave(pl_udp *udp, const pl_address *group, const pl_multicast_options *options)
{
    return change_membership(udp, group, options, false);
}

static int set_option(pl_udp *udp, uint8_t option, int64_t value, const pl_address *address)
{
    int checked = check_open(udp);
    if (checked < 0)
        return checked;
    pl__request request = {.kind = PL__REQUEST_DATAGRAM_OPTION, .option = option, .value = value};
    if (address)
        request.address = *address;
    return control(udp, &request);
}

int pl_udp_set_multicast_interface(pl_udp *udp, uint32_t index, const pl_address *address)
{
    int checked = check_open(udp);
    if (checked == PL_OK && address && (index || !is_address(address) || udp->handle.family == PL_IPV6))
        checked = PL_EINVAL;
    if (checked == PL_OK && address && address->family != PL_IPV4)
        checked = PL_EAFNOSUPPORT;
    return checked < 0 ? checked : set_option(udp, PL__DATAGRAM_MULTICAST_INTERFACE, index, address);
}

int pl_udp_set_multicast_hops(pl_udp *udp, int hops)
{
    return hops < 0 || hops > 255 ? PL_EINVAL : set_option(udp, PL__DATAGRAM_MULTICAST_HOPS, hops, NULL);
}

int pl_udp_set_multicast_loopback(pl_udp *udp, int on)
{
    return set_option(udp, PL__DATAGRAM_MULTICAST_LOOPBACK, on != 0, NULL);
}

int pl_udp_set_hops(pl_udp *udp, int hops)
{
    return hops < 1 || hops > 255 ? PL_EINVAL : set_option(udp, PL__DATAGRAM_HOPS, hops, NULL);
}

int pl_udp_set_broadcast(pl_udp *udp, int on)
{
    return set_option(udp, PL__DATAGRAM_MAY_BROADCAST, on != 0, NULL);
}

static int set_buffer(pl_udp *udp, uint8_t option, size_t size)
{
    pl__request request = {.kind = PL__REQUEST_SOCKET_OPTION, .option = option, .value = (int64_t)size};
    return size ? control(udp, &request) : PL_OK;
}

int pl_udp_set_buffers(pl_udp *udp, size_t send, size_t receive)
{
    if (send > INT32_MAX || receive > INT32_MAX)
        return PL_EINVAL;
    int result = check_open(udp);
    if (result == PL_OK)
        result = set_buffer(udp, PL__OPTION_SEND_BUFFER, send);
    if (result == PL_OK)
        result = set_buffer(udp, PL__OPTION_RECEIVE_BUFFER, receive);
    return result;
}
