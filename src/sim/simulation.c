/* simulation.c: a proactor without a system below it: a TCP network of its own, and a clock that jumps.
 *
 * A connection is two endpoints. Each holds the bytes that were sent to it: first those that have *arrived*
 * and may be received, then those still on their way, then perhaps the end of the stream; a reset overtakes
 * them all. Everything that takes time is an *event* in one list sorted by time, and an endpoint has three of
 * them: the next ARRIVAL, and the moments when the first completion that waits for INPUT (accept, receive) or
 * OUTPUT (connect, send) finishes. Events run only in poll, in the order of their times, so nothing here
 * finishes but inside submit or poll. Time stands still between polls; a poll that waits moves it to the next
 * event or to its deadline.
 *
 * Where real systems vary, a seeded generator chooses: delays, the order across handles, short reads and
 * sends, whether a submit finishes at once, whether a cancel still finds something to take. The same calls
 * with the same seed give the same run. Only wake may be called from other threads, and only its flag is
 * locked.
 *
 * The network ends at this machine, beyond which nothing can be reached, except for the hosts that a test has given, which
 * take their time. Names too are those that a test has given, and their look-ups ANSWER events of their own.
 */
#include <stddef.h>
#include <string.h>

#include <proloop/base.h>
#include <proloop/net.h>

#include "../allocator.h"
#include "../buffer_pool.h"
#include "../check.h"
#include "../list.h"
#include "../resolver.h"
#include "../thread.h"
#include "simulation.h"

#define CLOCK_START      PL_SECONDS(1)
#define CLOCK_STEP       PL_US(1) /* what each poll takes: a program that never waits sees time pass, too */
#define NETWORK_DELAY    PL_US(500)
#define COMPLETION_DELAY PL_US(50)
#define DEFAULT_SEED     UINT64_C(0x70726f6c6f6f70)

enum {
    QUEUE_SIZE = 64 * 1024, /* bytes on their way to one endpoint; more has to wait: back pressure */
    FIRST_PORT = 40000,     /* of those that are chosen for the caller */
    LAST_PORT = 65535,
    SOCKET_OPTIONS = PL__OPTION_RECEIVE_BUFFER + 1
};

enum direction { INPUT, OUTPUT, DIRECTIONS };

enum event_kind { INPUT_EVENT = INPUT, OUTPUT_EVENT = OUTPUT, ARRIVAL_EVENT, EVENT_KINDS, ANSWER_EVENT };

enum endpoint_state {
    UNCONNECTED,
    CONNECTING,
    CONNECTED, /* for ever: what became of the connection is said by peer, end_... and reset_... */
    LISTENING
};

typedef struct simulation simulation;
typedef struct endpoint endpoint;

typedef struct event {
    pl__node node; /* linked: it will happen at `time` */
    int64_t time;
    endpoint *owner; /* NULL: it is of a look-up, in the `system` of its completion */
    enum event_kind kind;
} event;

PL__STATIC_ASSERT(sizeof(event) <= sizeof(((pl__completion *)0)->system), "an event does not fit");

struct endpoint {
    pl__node node; /* simulation.endpoints */
    simulation *network;
    enum endpoint_state state;
    pl_address local;
    pl_address remote;
    int64_t answer_time; /* of a connect to a host that takes its time */
    int64_t options[SOCKET_OPTIONS];
    event events[EVENT_KINDS];
    pl__list waiting[DIRECTIONS]; /* completions; in each only the first may take something */

    endpoint *peer; /* NULL: not connected, or the other side is closed */
    bool end_sent;  /* by a half close of this side */
    bool end_queued;
    bool end_arrived;
    bool reset_queued;
    bool reset_arrived;
    size_t first;   /* of the bytes sent here, an index of the ring `bytes` */
    size_t queued;  /* how many there are */
    size_t arrived; /* how many of them may be received */

    pl__list backlog;      /* a listener's connections that nobody took, by their backlog_node */
    pl__node backlog_node; /* linked: in a backlog, no handle yet */
    int32_t backlog_size;
    int32_t backlog_limit;
    bool ipv6_only;

    uint8_t bytes[QUEUE_SIZE];
};

struct simulation {
    pl__proactor base;
    int64_t clock;
    uint64_t random;
    uint16_t last_port;
    pl__list events; /* by time */
    pl__list endpoints;
    pl__mutex mutex;
    pl__condition condition;
    bool woken; /* guarded by mutex */
};

/* --- Choices and events ------------------------------------------------------------------------------------------- */

/* splitmix64. */
static uint64_t random_next(simulation *s)
{
    uint64_t z = s->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool one_in(simulation *s, uint64_t n)
{
    return random_next(s) % n == 0;
}

/* How much of n > 0 is done: mostly all of it, at least 1. */
static size_t portion(simulation *s, size_t n)
{
    PL__CHECK(n > 0);
    return one_in(s, 4) ? 1 + (size_t)(random_next(s) % n) : n;
}

/* After a delay that is not 0, so the events of one moment come to an end. */
static void schedule_after(simulation *s, event *new_event, pl_duration delay)
{
    PL__CHECK(delay > 0);
    new_event->time = s->clock + delay;
    pl__node *place = &s->events.head;
    while (place->prev != &s->events.head && ((event *)place->prev)->time > new_event->time)
        place = place->prev;
    pl__node_link_before(&new_event->node, place);
}

/* An event already in the list keeps its time. */
static void schedule(endpoint *e, enum event_kind kind, pl_duration longest_delay)
{
    event *new_event = &e->events[kind];
    if (!pl__node_is_linked(&new_event->node))
        schedule_after(e->network, new_event, 1 + (int64_t)(random_next(e->network) % (uint64_t)longest_delay));
}

/* --- Addresses ---------------------------------------------------------------------------------------------------- */

static bool is_wildcard(const pl_address *address)
{
    static const uint8_t zeros[16];
    return memcmp(address->ip, zeros, address->family == PL_IPV4 ? 4 : 16) == 0;
}

static bool is_loopback(const pl_address *address)
{
    static const uint8_t loopback[16] = {[15] = 1};
    return address->family == PL_IPV4 ? address->ip[0] == 127 : memcmp(address->ip, loopback, 16) == 0;
}

static struct {
    const pl__simulated_host *table;
    size_t count;
} hosts;

void pl__simulation_set_hosts(const pl__simulated_host *table, size_t count)
{
    hosts.table = table;
    hosts.count = count;
}

/* NULL: it is none of them. */
static const pl__simulated_host *host_of(const pl_address *address)
{
    for (size_t i = 0; i < hosts.count; i++) {
        pl_address each;
        PL__CHECK(pl_address_parse(&each, hosts.table[i].address, address->port) == PL_OK);
        if (memcmp(&each, address, sizeof each) == 0)
            return &hosts.table[i];
    }
    return NULL;
}

static bool family_is_known(uint8_t family)
{
    return family == PL_IPV4 || family == PL_IPV6;
}

/* Whether connections to the address are the listener's. */
static bool covers(const endpoint *listener, const pl_address *address)
{
    const pl_address *own = &listener->local;
    if (own->port != address->port)
        return false;
    if (own->family != address->family)
        return own->family == PL_IPV6 && is_wildcard(own) && !listener->ipv6_only;
    return is_wildcard(own) || memcmp(own->ip, address->ip, own->family == PL_IPV4 ? 4 : 16) == 0;
}

/* The address as a socket of the family sees it: IPv4 on an IPv6 socket is ::ffff:a.b.c.d. */
static pl_address seen_by(uint8_t family, const pl_address *address)
{
    if (family == address->family)
        return *address;
    PL__CHECK(family == PL_IPV6);
    pl_address mapped = {.family = PL_IPV6, .port = address->port};
    mapped.ip[10] = 0xff;
    mapped.ip[11] = 0xff;
    memcpy(mapped.ip + 12, address->ip, 4);
    return mapped;
}

static endpoint *listener_at(simulation *s, const pl_address *address)
{
    PL__LIST_EACH (node, &s->endpoints) {
        endpoint *e = (endpoint *)node;
        if (e->state == LISTENING && covers(e, address))
            return e;
    }
    return NULL;
}

static bool port_is_used(simulation *s, uint16_t port)
{
    PL__LIST_EACH (node, &s->endpoints) {
        if (((endpoint *)node)->local.port == port)
            return true;
    }
    return false;
}

/* 0: there is none left. */
static uint16_t choose_port(simulation *s)
{
    for (int tries = 0; tries <= LAST_PORT - FIRST_PORT; tries++) {
        s->last_port = (uint16_t)(s->last_port < LAST_PORT ? s->last_port + 1 : FIRST_PORT);
        if (!port_is_used(s, s->last_port))
            return s->last_port;
    }
    return 0;
}

/* --- Endpoints ---------------------------------------------------------------------------------------------------- */

static void nudge(endpoint *e, enum direction direction);

static endpoint *endpoint_of(const pl__handle *handle)
{
    PL__CHECK(handle && handle->object != PL__NO_OBJECT);
    return (endpoint *)handle->object;
}

static void handle_open(pl__handle *handle, endpoint *e)
{
    pl__handle_init(handle);
    handle->object = (uintptr_t)e;
    handle->family = e->local.family;
}

/* NULL: out of memory. */
static endpoint *endpoint_create(simulation *s, enum endpoint_state state, const pl_address *local)
{
    endpoint *e = pl__allocate_zeroed(sizeof *e);
    if (!e)
        return NULL;
    e->network = s;
    e->state = state;
    e->local = *local;
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        e->events[kind].owner = e;
        e->events[kind].kind = (enum event_kind)kind;
    }
    for (int direction = 0; direction < DIRECTIONS; direction++)
        pl__list_init(&e->waiting[direction]);
    pl__list_init(&e->backlog);
    pl__list_push_back(&s->endpoints, &e->node);
    return e;
}

static endpoint *backlog_take(endpoint *listener)
{
    pl__node *node = pl__list_pop_front(&listener->backlog);
    PL__CHECK(node && listener->backlog_size > 0);
    listener->backlog_size--;
    return (endpoint *)((char *)node - offsetof(endpoint, backlog_node));
}

/* Takes it out of the network without a word to its peer. */
static void endpoint_destroy(endpoint *e)
{
    PL__CHECK(pl__list_is_empty(&e->waiting[INPUT]) && pl__list_is_empty(&e->waiting[OUTPUT]));
    for (int kind = 0; kind < EVENT_KINDS; kind++) {
        if (pl__node_is_linked(&e->events[kind].node))
            pl__node_unlink(&e->events[kind].node);
    }
    while (!pl__list_is_empty(&e->backlog))
        (void)backlog_take(e);
    PL__CHECK(!pl__node_is_linked(&e->backlog_node));
    pl__node_unlink(&e->node);
    pl__release(e, sizeof *e);
}

/* The peer sees the end of the stream after the data; or a reset, if this side wants one or left something
 * unread. */
static void endpoint_close(endpoint *e, bool reset)
{
    endpoint *peer = e->peer;
    if (peer) {
        peer->peer = NULL;
        if (reset || e->queued > 0)
            peer->reset_queued = true;
        else
            peer->end_queued = true;
        schedule(peer, ARRIVAL_EVENT, NETWORK_DELAY);
        nudge(peer, OUTPUT);
    }
    endpoint_destroy(e);
}

static size_t space_left(const endpoint *e)
{
    int64_t wanted = e->options[PL__OPTION_RECEIVE_BUFFER];
    size_t size = wanted > 0 && wanted < QUEUE_SIZE ? (size_t)wanted : QUEUE_SIZE;
    return e->queued < size ? size - e->queued : 0;
}

static void queue_put(endpoint *e, const uint8_t *data, size_t size)
{
    while (size > 0) {
        size_t place = (e->first + e->queued) % QUEUE_SIZE;
        size_t run = size < QUEUE_SIZE - place ? size : QUEUE_SIZE - place;
        memcpy(e->bytes + place, data, run);
        e->queued += run;
        data += run;
        size -= run;
    }
    PL__CHECK(e->queued <= QUEUE_SIZE);
}

static void queue_take(endpoint *e, uint8_t *data, size_t size)
{
    PL__CHECK(size <= e->arrived && e->arrived <= e->queued);
    e->queued -= size;
    e->arrived -= size;
    while (size > 0) {
        size_t run = size < QUEUE_SIZE - e->first ? size : QUEUE_SIZE - e->first;
        memcpy(data, e->bytes + e->first, run);
        e->first = (e->first + run) % QUEUE_SIZE;
        data += run;
        size -= run;
    }
}

/* --- What the operations do --------------------------------------------------------------------------------------- */

static int64_t finish_accept(endpoint *listener, pl__completion *c)
{
    endpoint *e = backlog_take(listener);
    if (e->reset_arrived && one_in(e->network, 2)) { /* some systems report it here, some at the first read */
        endpoint_destroy(e);
        return PL_ECONNABORTED;
    }
    handle_open(c->as.accept.accepted, e);
    if (c->as.accept.peer)
        *c->as.accept.peer = e->remote;
    return 0;
}

static int64_t finish_connect(endpoint *e, const pl_address *address)
{
    simulation *s = e->network;
    PL__CHECK(e->state == CONNECTING);
    e->state = UNCONNECTED;
    const pl__simulated_host *host = host_of(address);
    if (host && host->error < 0)
        return host->error;
    if (!is_loopback(address))
        return PL_ENETUNREACH;
    endpoint *listener = listener_at(s, address);
    if (!listener || listener->backlog_size >= listener->backlog_limit)
        return PL_ECONNREFUSED;
    pl_address local = e->local; /* what it was bound to when it was opened */
    if (local.port == 0 && (local.port = choose_port(s)) == 0)
        return PL_EADDRNOTAVAIL;
    if (is_wildcard(&local))
        memcpy(local.ip, address->ip, sizeof local.ip);

    pl_address far_end = seen_by(listener->local.family, address);
    endpoint *accepted = endpoint_create(s, CONNECTED, &far_end);
    if (!accepted)
        return PL_ENOBUFS;
    accepted->remote = seen_by(listener->local.family, &local);
    accepted->peer = e;
    memcpy(accepted->options, listener->options, sizeof accepted->options);
    e->state = CONNECTED;
    e->local = local;
    e->remote = *address;
    e->peer = accepted;
    pl__list_push_back(&listener->backlog, &accepted->backlog_node);
    listener->backlog_size++;
    nudge(listener, INPUT);
    return 0;
}

static int64_t finish_receive(endpoint *e, pl__completion *c)
{
    size_t size = c->as.receive.size;
    bool is_pooled = c->as.receive.pool != NULL;
    if (e->reset_arrived)
        return PL_ECONNRESET;
    if (e->arrived == 0 || (size == 0 && !is_pooled))
        return 0;
    if (is_pooled) {
        PL__CHECK(!c->as.receive.data);
        c->as.receive.data = pl__buffer_take(c->as.receive.pool);
        if (!c->as.receive.data)
            return PL_ENOMEM;
        size = PL__BUFFER_SIZE;
    }
    size = portion(e->network, size < e->arrived ? size : e->arrived);
    queue_take(e, c->as.receive.data, size);
    if (e->peer)
        nudge(e->peer, OUTPUT);
    return (int64_t)size;
}

/* Counted only as far as it matters. */
static size_t bytes_to_send(const pl__completion *c)
{
    size_t total = 0;
    for (size_t i = 0; i < c->as.send.count && total < QUEUE_SIZE; i++) {
        size_t size = c->as.send.buffers[i].size;
        if (i == 0) {
            PL__CHECK(c->as.send.offset <= size);
            size -= c->as.send.offset;
        }
        total = size < QUEUE_SIZE - total ? total + size : QUEUE_SIZE;
    }
    return total;
}

static int64_t finish_send(endpoint *e, const pl__completion *c)
{
    size_t size = bytes_to_send(c);
    PL__CHECK(size > 0); /* or the promise never to end with 0 could not be kept */
    if (e->reset_arrived)
        return PL_ECONNRESET;
    if (e->end_sent)
        return PL_EPIPE;
    if (!e->peer) { /* it goes out, and the answer will be a reset */
        e->reset_queued = true;
        schedule(e, ARRIVAL_EVENT, NETWORK_DELAY);
        return (int64_t)size;
    }
    size_t space = space_left(e->peer);
    size = portion(e->network, size < space ? size : space);
    size_t offset = c->as.send.offset;
    size_t left = size;
    for (size_t i = 0; left > 0; i++) {
        size_t run = c->as.send.buffers[i].size - offset;
        run = run < left ? run : left;
        if (run > 0)
            queue_put(e->peer, (const uint8_t *)c->as.send.buffers[i].data + offset, run);
        left -= run;
        offset = 0;
    }
    schedule(e->peer, ARRIVAL_EVENT, NETWORK_DELAY);
    return (int64_t)size;
}

static int64_t finish(endpoint *e, pl__completion *c)
{
    switch (c->kind) {
    case PL__ACCEPT:
        return finish_accept(e, c);
    case PL__CONNECT:
        return finish_connect(e, &c->as.connect.address);
    case PL__RECEIVE:
        return finish_receive(e, c);
    case PL__SEND:
        return finish_send(e, c);
    default:
        PL__PANIC("the simulation has no operation of kind %d", c->kind);
    }
}

/* Whether the first completion of its direction would end now, well or not. */
static bool can_finish(const endpoint *e, const pl__completion *c)
{
    switch (c->kind) {
    case PL__ACCEPT:
        return !pl__list_is_empty(&e->backlog);
    case PL__RECEIVE:
        return e->arrived > 0 || e->end_arrived || e->reset_arrived;
    case PL__SEND:
        return !e->peer || e->end_sent || space_left(e->peer) > 0;
    case PL__CONNECT:
        return e->network->clock >= e->answer_time;
    default:
        return true;
    }
}

/* PL_OK, or why such a completion cannot even begin. */
static int refusal(const endpoint *e, const pl__completion *c)
{
    const pl_address *target = &c->as.connect.address;
    switch (c->kind) {
    case PL__ACCEPT:
        return e->state == LISTENING ? PL_OK : PL_EINVAL;
    case PL__CONNECT:
        if (e->state != UNCONNECTED)
            return PL_ESTATE;
        if (e->local.family != target->family)
            return PL_EAFNOSUPPORT;
        return is_wildcard(target) || target->port == 0 ? PL_EADDRNOTAVAIL : PL_OK;
    default:
        return e->state == CONNECTED ? PL_OK : PL_ENOTCONN;
    }
}

static enum direction direction_of(const pl__completion *c)
{
    return c->kind == PL__ACCEPT || c->kind == PL__RECEIVE ? INPUT : OUTPUT;
}

/* Something changed: if the first in the queue can finish now, it soon will. */
static void nudge(endpoint *e, enum direction direction)
{
    pl__node *first = pl__list_first(&e->waiting[direction]);
    if (first && can_finish(e, (pl__completion *)first))
        schedule(e, (enum event_kind)direction, COMPLETION_DELAY);
}

static void begin_connect(endpoint *e, const pl__completion *c)
{
    const pl__simulated_host *host = host_of(&c->as.connect.address);
    e->answer_time = e->network->clock + (host ? host->delay : 0);
    if (host)
        schedule_after(e->network, &e->events[OUTPUT_EVENT], host->delay);
    else
        schedule(e, OUTPUT_EVENT, NETWORK_DELAY);
}

/* --- Names -------------------------------------------------------------------------------------------------------- */

static struct {
    const pl__simulated_name *table; /* NULL: there is no look-up */
    size_t count;
} names;

void pl__simulation_set_names(const pl__simulated_name *table, size_t count)
{
    names.table = table;
    names.count = count;
}

/* NULL: not known. */
static const pl__simulated_name *name_of(const pl__job *job)
{
    for (size_t i = 0; i < names.count; i++) {
        const pl__simulated_name *each = &names.table[i];
        if (job->as.resolve.host && strcmp(each->name, job->as.resolve.host) == 0 &&
            each->family == job->as.resolve.family)
            return each;
    }
    return NULL;
}

static event *answer_of(pl__completion *c)
{
    return (event *)(void *)&c->system;
}

static int submit_look_up(simulation *s, pl__completion *c)
{
    const pl__simulated_name *known = name_of(c->as.job);
    *answer_of(c) = (event){.kind = ANSWER_EVENT};
    schedule_after(s, answer_of(c), known && known->delay > 0 ? known->delay : NETWORK_DELAY);
    pl__completion_submitted(c);
    return PL__SUBMIT_PENDING;
}

static int64_t answer(pl__job *job)
{
    const pl__simulated_name *known = name_of(job);
    if (!known)
        return PL_ENAME;
    for (size_t i = 0; i < known->count; i++) {
        pl_address address;
        PL__CHECK(pl_address_parse(&address, known->addresses[i], job->as.resolve.port) == PL_OK);
        if (pl__resolve_add(job, &address) < 0)
            return PL_ENOMEM;
    }
    return known->error < 0 ? known->error : (int64_t)job->as.resolve.count;
}

static void run_answer(event *due, pl__list *finished)
{
    pl__completion *c = PL__CONTAINER_OF(due, pl__completion, system);
    pl__completion_finish(c, c->state == PL__CANCELLING ? PL_ECANCELED : answer(c->as.job), 0);
    pl__list_push_back(finished, &c->node);
}

static int simulation_submit(pl__proactor *proactor, pl__completion *c)
{
    simulation *s = (simulation *)proactor;
    if (c->kind == PL__RESOLVE && names.table)
        return submit_look_up(s, c);
    if (c->kind > PL__SEND) /* the four kinds of connections are known here */
        return pl__completion_finish_now(c, PL_ENOTSUP, 0);
    endpoint *e = endpoint_of(c->handle);
    PL__CHECK(c->handle->attached && e->network == s);
    int refused = refusal(e, c);
    if (refused < 0)
        return pl__completion_finish_now(c, refused, 0);

    enum direction direction = direction_of(c);
    bool can = pl__list_is_empty(&e->waiting[direction]) && can_finish(e, c);
    if (can && c->kind != PL__CONNECT && !one_in(s, 3))
        return pl__completion_finish_now(c, finish(e, c), 0);
    pl__completion_submitted(c);
    pl__list_push_back(&e->waiting[direction], &c->node);
    if (c->kind == PL__CONNECT) {
        e->state = CONNECTING;
        begin_connect(e, c);
    } else if (can) {
        schedule(e, (enum event_kind)direction, COMPLETION_DELAY);
    }
    return PL__SUBMIT_PENDING;
}

static void simulation_cancel(pl__proactor *proactor, pl__completion *c)
{
    pl__completion_cancelling(c);
    if (c->kind == PL__RESOLVE) {
        pl__node_unlink(&answer_of(c)->node);
        schedule_after((simulation *)proactor, answer_of(c), 1); /* it is abandoned */
        return;
    }
    endpoint *e = endpoint_of(c->handle);
    if (c->kind == PL__CONNECT && pl__node_is_linked(&e->events[OUTPUT_EVENT].node))
        pl__node_unlink(&e->events[OUTPUT_EVENT].node);
    schedule(e, (enum event_kind)direction_of(c), COMPLETION_DELAY);
}

static void simulation_flush(pl__proactor *proactor)
{
    (void)proactor; /* submit puts nothing off */
}

/* --- Time --------------------------------------------------------------------------------------------------------- */

static int64_t simulation_now(pl__proactor *proactor)
{
    return ((simulation *)proactor)->clock;
}

static void run_arrival(endpoint *e)
{
    if (e->reset_queued) {
        e->reset_arrived = true;
        e->queued = 0;
        e->arrived = 0;
    } else {
        if (e->arrived < e->queued)
            e->arrived += portion(e->network, e->queued - e->arrived);
        if (e->arrived < e->queued)
            schedule(e, ARRIVAL_EVENT, NETWORK_DELAY);
        else
            e->end_arrived = e->end_queued;
    }
    nudge(e, INPUT);
    nudge(e, OUTPUT);
}

static void run_cancelled(endpoint *e, pl__completion *c)
{
    if (c->kind == PL__CONNECT)
        e->state = UNCONNECTED;
    pl__completion_finish(c, PL_ECANCELED, 0);
}

/* Ends what was cancelled, and at most one completion with its result: others may come in between. */
static void run_completions(endpoint *e, enum direction direction, pl__list *finished)
{
    bool one_is_done = false;
    PL__LIST_EACH (node, &e->waiting[direction]) {
        pl__completion *c = (pl__completion *)node;
        bool is_first = node == pl__list_first(&e->waiting[direction]);
        bool can = is_first && !one_is_done && can_finish(e, c);
        bool is_cancelled = c->state == PL__CANCELLING;
        if (!can && !is_cancelled)
            continue;
        pl__node_unlink(node);
        if (can && !(is_cancelled && one_in(e->network, 2))) {
            one_is_done = true;
            pl__completion_finish(c, finish(e, c), 0);
        } else {
            run_cancelled(e, c);
        }
        pl__list_push_back(finished, node);
    }
    nudge(e, direction);
}

/* Runs what is due. What that schedules lies in the future, so it ends. */
static void run_events(simulation *s, pl__list *finished)
{
    pl__node *node;
    while ((node = pl__list_first(&s->events)) != NULL && ((event *)node)->time <= s->clock) {
        event *due = (event *)node;
        pl__node_unlink(node);
        if (due->kind == ANSWER_EVENT)
            run_answer(due, finished);
        else if (due->kind == ARRIVAL_EVENT)
            run_arrival(due->owner);
        else
            run_completions(due->owner, (enum direction)due->kind, finished);
    }
}

/* True: there was a wake since the last time. */
static bool take_wake(simulation *s, bool waits)
{
    pl__mutex_lock(&s->mutex);
    while (waits && !s->woken)
        pl__condition_wait(&s->condition, &s->mutex);
    bool woken = s->woken;
    s->woken = false;
    pl__mutex_unlock(&s->mutex);
    return woken;
}

static void simulation_poll(pl__proactor *proactor, int64_t deadline, pl__list *finished)
{
    simulation *s = (simulation *)proactor;
    bool waits = !take_wake(s, false) && pl__list_is_empty(finished);
    s->clock += CLOCK_STEP;
    run_events(s, finished);
    while (waits && pl__list_is_empty(finished) && s->clock < deadline) {
        pl__node *first = pl__list_first(&s->events);
        if (!first && deadline == PL_FOREVER) {
            (void)take_wake(s, true);
            return;
        }
        int64_t next = first ? ((event *)first)->time : deadline;
        s->clock = next < deadline ? next : deadline;
        run_events(s, finished);
    }
}

static void simulation_wake(pl__proactor *proactor)
{
    simulation *s = (simulation *)proactor;
    pl__mutex_lock(&s->mutex);
    s->woken = true;
    pl__condition_signal(&s->condition);
    pl__mutex_unlock(&s->mutex);
}

/* --- Requests ----------------------------------------------------------------------------------------------------- */

static int socket_open(simulation *s, pl__request *request)
{
    pl_address local = {.family = request->family};
    PL__CHECK(request->handle->object == PL__NO_OBJECT);
    if (!family_is_known(request->family))
        return PL_EAFNOSUPPORT;
    if (request->address.family != 0) {
        local = request->address;
        if (local.family != request->family)
            return PL_EAFNOSUPPORT;
        if (!is_wildcard(&local) && !is_loopback(&local))
            return PL_EADDRNOTAVAIL;
        if (local.port != 0 && port_is_used(s, local.port))
            return PL_EADDRINUSE;
    }
    endpoint *e = endpoint_create(s, UNCONNECTED, &local);
    if (!e)
        return PL_ENOBUFS;
    handle_open(request->handle, e);
    return PL_OK;
}

static bool overlaps_a_listener(simulation *s, const endpoint *e)
{
    PL__LIST_EACH (node, &s->endpoints) {
        const endpoint *other = (const endpoint *)node;
        if (other != e && other->state == LISTENING && (covers(other, &e->local) || covers(e, &other->local)))
            return true;
    }
    return false;
}

static int socket_listen(simulation *s, pl__request *request)
{
    pl_address address = request->address;
    PL__CHECK(request->handle->object == PL__NO_OBJECT);
    if (!family_is_known(address.family))
        return PL_EAFNOSUPPORT;
    if (request->flags & PL__LISTEN_REUSE_PORT)
        return PL_ENOTSUP;
    if (!is_wildcard(&address) && !is_loopback(&address))
        return PL_EADDRNOTAVAIL;
    if (address.port == 0 && (address.port = choose_port(s)) == 0)
        return PL_EADDRINUSE;
    endpoint *e = endpoint_create(s, LISTENING, &address);
    if (!e)
        return PL_ENOBUFS;
    e->ipv6_only = (request->flags & PL__LISTEN_IPV6_ONLY) != 0;
    e->backlog_limit = request->backlog > 0 ? request->backlog : 1;
    if (overlaps_a_listener(s, e)) {
        endpoint_destroy(e);
        return PL_EADDRINUSE;
    }
    handle_open(request->handle, e);
    return PL_OK;
}

static int socket_shutdown(endpoint *e)
{
    if (e->state != CONNECTED)
        return PL_ENOTCONN;
    if (e->end_sent)
        return PL_OK;
    e->end_sent = true;
    if (e->peer) {
        e->peer->end_queued = true;
        schedule(e->peer, ARRIVAL_EVENT, NETWORK_DELAY);
    }
    nudge(e, OUTPUT); /* a send that waits ends with PL_EPIPE */
    return PL_OK;
}

/* All are remembered; those that act are RESET and RECEIVE_BUFFER. */
static int socket_option(endpoint *e, const pl__request *request)
{
    if (request->option >= SOCKET_OPTIONS)
        return PL_EINVAL;
    e->options[request->option] = request->value;
    return PL_OK;
}

static int handle_close(pl__handle *handle)
{
    endpoint *e = endpoint_of(handle);
    PL__CHECK(handle->in_flight == 0 && !handle->attached);
    pl__handle_init(handle);
    while (!pl__list_is_empty(&e->backlog))
        endpoint_close(backlog_take(e), true);
    endpoint_close(e, e->options[PL__OPTION_RESET] != 0);
    return PL_OK;
}

static int simulation_control(pl__proactor *proactor, pl__request *request)
{
    simulation *s = (simulation *)proactor;
    request->system_error = 0;
    switch (request->kind) {
    case PL__REQUEST_SOCKET_OPEN:
        return socket_open(s, request);
    case PL__REQUEST_SOCKET_LISTEN:
        return socket_listen(s, request);
    case PL__REQUEST_SOCKET_SHUTDOWN:
        return socket_shutdown(endpoint_of(request->handle));
    case PL__REQUEST_SOCKET_OPTION:
        return socket_option(endpoint_of(request->handle), request);
    case PL__REQUEST_SOCKET_NAME:
        request->address = endpoint_of(request->handle)->local;
        return PL_OK;
    case PL__REQUEST_SOCKET_PEER:
        request->address = endpoint_of(request->handle)->remote;
        return request->address.family != 0 ? PL_OK : PL_ENOTCONN;
    case PL__REQUEST_HANDLE_CLOSE:
        return handle_close(request->handle);
    case PL__REQUEST_INTERRUPT_WATCH:
        return PL_OK; /* nothing interrupts a simulation but a test: it counts up `interrupts` and wakes */
    default:
        return PL_ENOTSUP;
    }
}

/* A handle belongs to the network it was made in. */
static int simulation_attach(pl__proactor *proactor, pl__handle *handle)
{
    PL__CHECK(!handle->attached);
    if (endpoint_of(handle)->network != (simulation *)proactor)
        return PL_ENOTSUP;
    handle->attached = true;
    return PL_OK;
}

static void simulation_detach(pl__proactor *proactor, pl__handle *handle)
{
    PL__CHECK(handle->attached && handle->in_flight == 0);
    PL__CHECK(endpoint_of(handle)->network == (simulation *)proactor);
    handle->attached = false;
}

/* --- Its own life ------------------------------------------------------------------------------------------------- */

static int simulation_create(pl__proactor **proactor, const pl__proactor_options *options)
{
    simulation *s = pl__allocate_zeroed(sizeof *s);
    if (!s)
        return PL_ENOMEM;
    s->base.type = &pl__simulation;
    s->clock = CLOCK_START;
    s->random = options && options->seed != 0 ? options->seed : DEFAULT_SEED;
    s->last_port = FIRST_PORT - 1;
    pl__list_init(&s->events);
    pl__list_init(&s->endpoints);
    pl__mutex_init(&s->mutex);
    pl__condition_init(&s->condition);
    *proactor = &s->base;
    return PL_OK;
}

/* Sockets that were never closed go, too. */
static void simulation_destroy(pl__proactor *proactor)
{
    simulation *s = (simulation *)proactor;
    pl__node *node;
    while ((node = pl__list_first(&s->endpoints)) != NULL)
        endpoint_destroy((endpoint *)node);
    PL__CHECK(pl__list_is_empty(&s->events));
    pl__condition_destroy(&s->condition);
    pl__mutex_destroy(&s->mutex);
    pl__release(s, sizeof *s);
}

const pl__proactor_class pl__simulation = {
    .name = "sim",
    .create = simulation_create,
    .destroy = simulation_destroy,
    .now = simulation_now,
    .attach = simulation_attach,
    .detach = simulation_detach,
    .submit = simulation_submit,
    .cancel = simulation_cancel,
    .flush = simulation_flush,
    .poll = simulation_poll,
    .wake = simulation_wake,
    .control = simulation_control,
};
