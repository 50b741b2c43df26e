/* Channels: values in a ring, and the cases of those who wait.
 *
 * Every wait is a select; a plain send or receive is one of a single case. A select that cannot go on links its cases
 * into their channels and waits for one future. Whoever makes a case possible carries it out at once, in place of the
 * task that waits: copies the value, unlinks all cases of that select, and finishes its future with the index. So no
 * value is ever promised to somebody who might not come, and the case that happened is known before the task runs; a
 * cancel that comes in between is too late, and is left for the next wait (keeps_result).
 *
 * Hence receivers wait only at an empty ring, senders only at a full one, and nobody waits at a closed channel.
 */
#include <proloop/channel.h>

#include <limits.h>
#include <string.h>

#include "allocator.h"
#include "loop.h"
#include "task.h"

struct pl_channel {
    pl_loop *loop;
    pl_drop_fn *drop;
    size_t item_size;
    size_t capacity;
    size_t first; /* of the values in the ring */
    size_t count;
    pl__list senders; /* pl__case, first come first served */
    pl__list receivers;
    size_t references;
    bool closed;
};

/* The values lie behind the channel, aligned for whatever they are. */
enum { PL__VALUES_OFFSET = (sizeof(pl_channel) + 15) & ~(size_t)15 };

/* A select that waits, on its task's stack. */
typedef struct pl__select {
    pl_future future; /* its result is the index of the case that happened */
    pl__timer timer;
    pl_select_case *cases;
    size_t count;
} pl__select;

typedef struct pl__case {
    pl__node node; /* linked: among the channel's senders or receivers */
    pl__select *select;
} pl__case;

PL__STATIC_ASSERT(sizeof(pl__case) * 4 <= sizeof(((pl_select_case *)0)->opaque) * 3,
                  "pl_select_case keeps a quarter to spare");

static pl__case *inner_of(pl_select_case *outer)
{
    return (pl__case *)(void *)outer->opaque.space;
}

static pl_select_case *outer_of(pl__case *inner)
{
    return PL__CONTAINER_OF(inner, pl_select_case, opaque);
}

/* NULL: nobody waits there. */
static pl_select_case *first_of(const pl__list *waiting)
{
    pl__node *node = pl__list_first(waiting);
    return node ? outer_of(PL__CONTAINER_OF(node, pl__case, node)) : NULL;
}

/* PL_OK, or why a call is refused. */
static int channel_check(const pl_channel *channel)
{
    if (channel->loop->closed)
        return PL_ECLOSED;
    int checked = pl__loop_check_thread(channel->loop);
    if (checked < 0)
        return checked;
    const pl_loop *running = pl_loop_running();
    return running && running != channel->loop ? PL_EINVAL : PL_OK;
}

/* --- Values ------------------------------------------------------------------------------------------------------- */

static void *value_at(pl_channel *channel, size_t index)
{
    size_t place = channel->first + index;
    if (place >= channel->capacity)
        place -= channel->capacity;
    return (unsigned char *)channel + PL__VALUES_OFFSET + place * channel->item_size;
}

static void copy_value(const pl_channel *channel, void *to, const void *from)
{
    if (channel->item_size)
        memmove(to, from, channel->item_size); /* two tasks may name the same variable */
}

static void ring_push(pl_channel *channel, const void *value)
{
    PL__CHECK(channel->count < channel->capacity);
    copy_value(channel, value_at(channel, channel->count), value);
    channel->count++;
}

static void ring_remove_first(pl_channel *channel)
{
    PL__CHECK(channel->count > 0);
    channel->first = channel->first + 1 == channel->capacity ? 0 : channel->first + 1;
    channel->count--;
}

/* --- Selects that wait -------------------------------------------------------------------------------------------- */

static pl__list *line_of(const pl_select_case *c)
{
    return c->kind == PL_CASE_SEND ? &c->channel->senders : &c->channel->receivers;
}

static void select_link(pl__select *select)
{
    for (size_t i = 0; i < select->count; i++) {
        pl_select_case *c = &select->cases[i];
        if (!c->channel)
            continue;
        inner_of(c)->select = select;
        pl__list_push_back(line_of(c), &inner_of(c)->node);
    }
}

/* It waits no more: none of its cases can happen, nor its limit run out. */
static void select_finish(pl__select *select, int64_t result)
{
    for (size_t i = 0; i < select->count; i++) {
        pl__case *c = inner_of(&select->cases[i]);
        if (pl__node_is_linked(&c->node))
            pl__node_unlink(&c->node);
        c->select = NULL;
    }
    (void)pl__timer_stop(&select->timer);
    pl__future_finish(&select->future, result);
}

/* A case of a select that waits has happened. */
static void case_happened(pl_select_case *c, int result)
{
    pl__select *select = inner_of(c)->select;
    c->result = result;
    select_finish(select, c - select->cases);
}

static bool select_cancel(pl_future *future)
{
    select_finish(PL__CONTAINER_OF(future, pl__select, future), PL_ECANCELED);
    return true;
}

static void select_timed_out(void *arg)
{
    select_finish(arg, PL_ETIMEDOUT);
}

static const pl__future_type select_type = {
    .name = "channels", .cancel = select_cancel, .one_waiter = true, .keeps_result = true};

static int select_wait(pl_task *task, pl_select_case *cases, size_t count, pl_duration limit)
{
    pl_loop *loop = task->future.loop;
    pl__select select = {.cases = cases, .count = count};
    pl__future_init(&select.future, &select_type, loop);
    if (limit != PL_FOREVER) {
        int64_t deadline = pl__deadline_after(pl__loop_now(loop), limit);
        int started = pl__timer_start_at(&select.timer, loop, deadline, select_timed_out, &select);
        if (started < 0)
            return started;
    }
    select_link(&select);
    return (int)pl__task_wait_for(task, &select.future);
}

/* --- Sending and receiving ---------------------------------------------------------------------------------------- */

static int send_now(pl_channel *channel, const void *value)
{
    if (channel->closed)
        return PL_ECLOSED;
    pl_select_case *receiver = first_of(&channel->receivers);
    if (receiver) {
        PL__CHECK(channel->count == 0);
        copy_value(channel, receiver->value, value);
        case_happened(receiver, PL_OK);
        return PL_OK;
    }
    if (channel->count == channel->capacity)
        return PL_EFULL;
    ring_push(channel, value);
    return PL_OK;
}

/* The first sender that waits puts its value where there is room now. */
static void let_sender_in(pl_channel *channel)
{
    pl_select_case *sender = first_of(&channel->senders);
    if (!sender)
        return;
    ring_push(channel, sender->value);
    case_happened(sender, PL_OK);
}

static int receive_now(pl_channel *channel, void *value)
{
    if (channel->count > 0) {
        copy_value(channel, value, value_at(channel, 0));
        ring_remove_first(channel);
        let_sender_in(channel);
        return PL_OK;
    }
    pl_select_case *sender = first_of(&channel->senders);
    if (sender) {
        copy_value(channel, value, sender->value);
        case_happened(sender, PL_OK);
        return PL_OK;
    }
    return channel->closed ? PL_ECLOSED : PL_EEMPTY;
}

static bool case_is_ready(const pl_select_case *c)
{
    const pl_channel *channel = c->channel;
    if (!channel)
        return false;
    if (c->kind == PL_CASE_SEND)
        return channel->closed || channel->count < channel->capacity || !pl__list_is_empty(&channel->receivers);
    return channel->closed || channel->count > 0 || !pl__list_is_empty(&channel->senders);
}

static int case_now(const pl_select_case *c)
{
    return c->kind == PL_CASE_SEND ? send_now(c->channel, c->value) : receive_now(c->channel, c->value);
}

/* A value is there to be read or written, unless there are none. */
static bool value_is_given(const pl_channel *channel, const void *value)
{
    return value || channel->item_size == 0;
}

static int try_checked(pl_channel *channel, const void *value)
{
    return channel && value_is_given(channel, value) ? channel_check(channel) : PL_EINVAL;
}

int pl_channel_try_send(pl_channel *channel, const void *value)
{
    int checked = try_checked(channel, value);
    return checked < 0 ? checked : send_now(channel, value);
}

int pl_channel_try_receive(pl_channel *channel, void *value)
{
    int checked = try_checked(channel, value);
    return checked < 0 ? checked : receive_now(channel, value);
}

/* A select of this one case. */
static int wait_for_case(pl_select_case c)
{
    int waited = select_wait(pl__task_running(), &c, 1, PL_FOREVER);
    return waited < 0 ? waited : c.result;
}

/* What a select of one case does, but that the channel is looked at without drawing a number. */
static int transfer(pl_select_case c)
{
    if (!c.channel || !value_is_given(c.channel, c.value))
        return PL_EINVAL;
    int result = pl__task_running() ? channel_check(c.channel) : PL_ENOTASK;
    if (result < 0)
        return result;
    (void)pl_channel_ref(c.channel); /* others may let go of it whenever this call lets them run */
    result = pl__task_call_begin();
    if (result == PL_OK)
        result = case_now(&c);
    if (result == PL_EFULL || result == PL_EEMPTY)
        result = wait_for_case(c);
    pl_channel_unref(c.channel);
    return result;
}

int pl_channel_send(pl_channel *channel, const void *value)
{
    return transfer(pl_case_send(channel, value));
}

int pl_channel_receive(pl_channel *channel, void *value)
{
    return transfer(pl_case_receive(channel, value));
}

/* --- Select ------------------------------------------------------------------------------------------------------- */

pl_select_case pl_case_send(pl_channel *channel, const void *value)
{
    return (pl_select_case){.channel = channel, .value = (void *)(uintptr_t)value, .kind = PL_CASE_SEND};
}

pl_select_case pl_case_receive(pl_channel *channel, void *value)
{
    return (pl_select_case){.channel = channel, .value = value, .kind = PL_CASE_RECEIVE};
}

/* splitmix64, of the loop: the same seed and the same calls give the same choices. */
static uint64_t random_next(pl_loop *loop)
{
    uint64_t z = loop->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int cases_check(pl_select_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        pl_select_case *c = &cases[i];
        if (c->kind != PL_CASE_SEND && c->kind != PL_CASE_RECEIVE)
            return PL_EINVAL;
        if (pl__node_is_linked(&inner_of(c)->node))
            return PL_EBUSY;
        if (!c->channel)
            continue;
        int checked = try_checked(c->channel, c->value);
        if (checked < 0)
            return checked;
    }
    return PL_OK;
}

/* One of those that are ready, each as likely; NULL: none is. */
static pl_select_case *choose(pl_loop *loop, pl_select_case *cases, size_t count)
{
    size_t ready = 0;
    for (size_t i = 0; i < count; i++)
        ready += case_is_ready(&cases[i]);
    if (ready == 0)
        return NULL;
    size_t skipped = ready == 1 ? 0 : (size_t)(random_next(loop) % ready);
    pl_select_case *c = cases;
    while (!case_is_ready(c) || skipped-- > 0)
        c++;
    return c;
}

/* The channels are held. */
static int select_held(pl_select_case *cases, size_t count, pl_duration limit)
{
    int result = pl__task_call_begin();
    if (result == PL_OK)
        result = cases_check(cases, count); /* again: others may have begun with them meanwhile */
    if (result < 0)
        return result;
    pl_task *task = pl__task_running();
    pl_select_case *chosen = choose(task->future.loop, cases, count);
    if (chosen) {
        chosen->result = case_now(chosen);
        PL__CHECK(chosen->result == PL_OK || chosen->result == PL_ECLOSED);
        return (int)(chosen - cases);
    }
    return limit <= 0 ? PL_ETIMEDOUT : select_wait(task, cases, count, limit);
}

int pl_select(pl_select_case *cases, size_t count, pl_duration limit)
{
    if ((!cases && count > 0) || count > INT_MAX)
        return PL_EINVAL;
    int result = pl__task_running() ? cases_check(cases, count) : PL_ENOTASK;
    if (result < 0)
        return result;
    for (size_t i = 0; i < count; i++)
        (void)pl_channel_ref(cases[i].channel); /* others may let go of them whenever this call lets them run */
    result = select_held(cases, count, limit);
    for (size_t i = 0; i < count; i++)
        pl_channel_unref(cases[i].channel);
    return result;
}

/* --- From creation to the last reference -------------------------------------------------------------------------- */

/* 0: more than there can be. */
static size_t size_of_channel(size_t item_size, size_t capacity)
{
    if (item_size > 0 && capacity > (SIZE_MAX - PL__VALUES_OFFSET) / item_size)
        return 0;
    return PL__VALUES_OFFSET + item_size * capacity;
}

int pl_channel_create(pl_channel **channel, size_t item_size, size_t capacity, const pl_channel_options *options)
{
    static const pl_channel_options defaults = {.size = sizeof(pl_channel_options)};
    if (!options)
        options = &defaults;
    if (channel)
        *channel = NULL;
    if (!channel || options->size != sizeof *options)
        return PL_EINVAL;
    pl_loop *loop = options->loop;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    size_t size = size_of_channel(item_size, capacity);
    pl_channel *made = size ? pl__allocate(size) : NULL;
    if (!made)
        return PL_ENOMEM;
    *made = (pl_channel){.loop = loop, .drop = options->drop, .item_size = item_size, .capacity = capacity};
    made->references = 1;
    pl__list_init(&made->senders);
    pl__list_init(&made->receivers);
    pl__loop_hold(loop);
    *channel = made;
    return PL_OK;
}

int pl_channel_close(pl_channel *channel)
{
    if (!channel)
        return PL_EINVAL;
    int checked = channel_check(channel);
    if (checked < 0)
        return checked;
    channel->closed = true;
    for (pl_select_case *c; (c = first_of(&channel->receivers));)
        case_happened(c, PL_ECLOSED);
    for (pl_select_case *c; (c = first_of(&channel->senders));)
        case_happened(c, PL_ECLOSED);
    return PL_OK;
}

static void channel_destroy(pl_channel *channel)
{
    PL__CHECK(pl__list_is_empty(&channel->senders) && pl__list_is_empty(&channel->receivers));
    for (; channel->count > 0; ring_remove_first(channel)) {
        if (channel->drop)
            channel->drop(value_at(channel, 0));
    }
    pl_loop *loop = channel->loop;
    pl__release(channel, size_of_channel(channel->item_size, channel->capacity));
    pl__loop_release(loop);
}

pl_channel *pl_channel_ref(pl_channel *channel)
{
    if (channel) {
        PL__CHECK(channel->references > 0);
        channel->references++;
    }
    return channel;
}

void pl_channel_unref(pl_channel *channel)
{
    if (!channel)
        return;
    PL__CHECK(channel->references > 0);
    if (--channel->references == 0)
        channel_destroy(channel);
}

size_t pl_channel_size(const pl_channel *channel)
{
    return channel ? channel->count : 0;
}

size_t pl_channel_capacity(const pl_channel *channel)
{
    return channel ? channel->capacity : 0;
}

int pl_channel_is_closed(const pl_channel *channel)
{
    return channel && channel->closed;
}
