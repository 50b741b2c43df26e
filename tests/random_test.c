/* The scheduler under random use: tasks that spawn, await, cancel, time out, and use locks, conditions, queues,
 * channels, semaphores, barriers, events, futures and groups, in an order that a seed decides.
 *
 * Up to ACTORS tasks act at the same time; one step is one call. The world keeps a plain model beside the library's
 * objects (who holds a lock, what is in a queue), which every step compares. It counts which call met which state of its
 * target, goes on until each pair has come up, and fails if one never does: the states are real ones, and each can be met.
 * Whatever waits for ever is cancelled in the end by the main task, when nothing has happened for a while.
 */
#include <inttypes.h>

#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

/* The library's inside: to see in which state a task is. */
#include "group.h"
#include "task.h"

enum {
    STEPS = 100000,
    STEPS_LIMIT = 4 * STEPS, /* until then each pair must have come up */
    ACTORS = 24,
    LOCKS = 3,
    QUEUES = 2,
    QUEUE_MAXIMUM = 2,
    SEMAPHORES = 2,
    EVENTS = 2,
    CHANNELS = 2, /* of as many values as its number, twice */
    CASES_MOST = 3,
    PARTIES = 3, /* of the barrier */
    FUTURES = 4,
    SEMAPHORE_VALUE = 2,
    ITEMS = (STEPS_LIMIT + 1000) * CASES_MOST,
    STEPS_MOST = 14, /* of an actor */
    DEPTH_MOST = 3,  /* of scopes in one another */
    IDLE_TURNS = 6   /* without a step, before somebody is cancelled */
};

/* --- Calls, and the states in which they can find their target ---------------------------------------------------- */

#define TASK_STATES(X)                                                                                                 \
    X(itself)                                                                                                          \
    X(not_begun)                                                                                                       \
    X(ready)                                                                                                           \
    X(sleeping)                                                                                                        \
    X(awaiting_future)                                                                                                 \
    X(awaiting_task)                                                                                                   \
    X(in_gather)                                                                                                       \
    X(in_wait)                                                                                                         \
    X(in_lock)                                                                                                         \
    X(in_put)                                                                                                          \
    X(in_get)                                                                                                          \
    X(in_semaphore)                                                                                                    \
    X(in_event)                                                                                                        \
    X(in_race)                                                                                                         \
    X(in_as_completed)                                                                                                 \
    X(in_condition)                                                                                                    \
    X(in_barrier)                                                                                                      \
    X(in_send)                                                                                                         \
    X(in_receive)                                                                                                      \
    X(in_select)                                                                                                       \
    X(ending_group)                                                                                                    \
    X(shielded)                                                                                                        \
    X(woken)                                                                                                           \
    X(finished)                                                                                                        \
    X(failed)                                                                                                          \
    X(cancelled)
#define TASK_CALLS(X) X(cancel) X(await) X(shield) X(wait_for) X(gather) X(wait) X(race) X(as_completed) X(uncancel)

#define FUTURE_STATES(X) X(pending) X(pending_awaited) X(with_result) X(with_error) X(cancelled)
#define FUTURE_CALLS(X)  X(await) X(shield) X(wait_for) X(set_result) X(set_error) X(cancel)

#define LOCK_STATES(X) X(free) X(mine) X(mine_wanted) X(others) X(others_wanted)
#define LOCK_CALLS(X)  X(acquire) X(try_acquire) X(release)

#define QUEUE_STATES(X) X(empty) X(empty_wanted) X(between) X(full) X(full_wanted) X(shut_down)
#define QUEUE_CALLS(X)  X(put) X(get) X(put_nowait) X(get_nowait) X(shutdown)

#define SEMAPHORE_STATES(X) X(zero) X(zero_wanted) X(positive)
#define SEMAPHORE_CALLS(X)  X(acquire) X(try_acquire) X(release)

#define EVENT_STATES(X) X(set) X(clear) X(clear_wanted)
#define EVENT_CALLS(X)  X(wait) X(set) X(clear)

#define CONDITION_STATES(X) X(alone) X(waited_for)
#define CONDITION_CALLS(X)  X(wait) X(wait_until) X(notify) X(notify_all)

#define BARRIER_STATES(X) X(empty) X(filling) X(broken)
#define BARRIER_CALLS(X)  X(wait) X(reset) X(abort)

#define CHANNEL_STATES(X) X(empty) X(empty_wanted) X(between) X(full) X(full_wanted) X(closed)
#define CHANNEL_CALLS(X)  X(send) X(receive) X(try_send) X(try_receive) X(select) X(close)

#define GROUP_STATES(X) X(open_empty) X(open) X(aborting) X(ending) X(ending_aborted)
#define GROUP_CALLS(X)  X(spawn) X(cancel)

#define TIMEOUT_STATES(X) X(running) X(expired)
#define TIMEOUT_CALLS(X)  X(reschedule) X(end)

/* For each kind: enum KIND_state, enum KIND_call, their names, and the count of each pair. */
#define STATE_NAME(name) #name,
#define KINDS(X)                                                                                                       \
    X(task, TASK)                                                                                                      \
    X(future, FUTURE)                                                                                                  \
    X(lock, LOCK)                                                                                                      \
    X(queue, QUEUE)                                                                                                    \
    X(semaphore, SEMAPHORE)                                                                                            \
    X(event, EVENT)                                                                                                    \
    X(condition, CONDITION)                                                                                            \
    X(barrier, BARRIER)                                                                                                \
    X(channel, CHANNEL)                                                                                                \
    X(group, GROUP)                                                                                                    \
    X(timeout, TIMEOUT)

#define TASK_STATE(name)      task_##name,
#define TASK_CALL(name)       task_call_##name,
#define FUTURE_STATE(name)    future_##name,
#define FUTURE_CALL(name)     future_call_##name,
#define LOCK_STATE(name)      lock_##name,
#define LOCK_CALL(name)       lock_call_##name,
#define QUEUE_STATE(name)     queue_##name,
#define QUEUE_CALL(name)      queue_call_##name,
#define SEMAPHORE_STATE(name) semaphore_##name,
#define SEMAPHORE_CALL(name)  semaphore_call_##name,
#define EVENT_STATE(name)     event_##name,
#define EVENT_CALL(name)      event_call_##name,
#define CONDITION_STATE(name) condition_##name,
#define CONDITION_CALL(name)  condition_call_##name,
#define BARRIER_STATE(name)   barrier_##name,
#define BARRIER_CALL(name)    barrier_call_##name,
#define CHANNEL_STATE(name)   channel_##name,
#define CHANNEL_CALL(name)    channel_call_##name,
#define GROUP_STATE(name)     group_##name,
#define GROUP_CALL(name)      group_call_##name,
#define TIMEOUT_STATE(name)   timeout_##name,
#define TIMEOUT_CALL(name)    timeout_call_##name,

#define DECLARE_KIND(kind, KIND)                                                                                       \
    enum kind##_state{KIND##_STATES(KIND##_STATE) kind##_states};                                                      \
    enum kind##_call{KIND##_CALLS(KIND##_CALL) kind##_calls};                                                          \
    static const char *const kind##_state_names[] = {KIND##_STATES(STATE_NAME)};                                       \
    static const char *const kind##_call_names[] = {KIND##_CALLS(STATE_NAME)};                                         \
    static int kind##_pairs[kind##_calls][kind##_states];
KINDS(DECLARE_KIND)

#define COUNT_PAIRS(kind, KIND) +kind##_calls *kind##_states
enum { PAIRS = 0 KINDS(COUNT_PAIRS) };

/* --- The world ---------------------------------------------------------------------------------------------------- */

enum item_fate { item_none, item_offered, item_put, item_gone };

typedef struct actor {
    bool alive; /* its slot is taken: from the spawn to the end of the task */
    pl_task *task;
    enum task_state in; /* the wait in which it is */
    int shields;
    unsigned locks;         /* bits of those it holds */
    pl_group *group;        /* the innermost one that it has open or ends */
    int *children;          /* of that group, alive */
    int *children_of_group; /* of the one that it is in itself */
    int runs, drops;
    int depth;
} actor;

static struct world {
    pl_loop *loop;
    uint64_t seed, dice;
    int steps, steps_seen, idle;
    int pairs; /* that came up */
    int alive;
    actor actors[ACTORS];
    pl_lock locks[LOCKS];
    actor *holders[LOCKS];
    pl_queue queues[QUEUES];
    int inside[QUEUES];         /* actors that are in a call of it */
    unsigned char items[ITEMS]; /* enum item_fate */
    int item;                   /* the last one */
    pl_semaphore semaphores[SEMAPHORES];
    int64_t taken[SEMAPHORES];
    pl_event events[EVENTS];
    pl_condition condition;
    pl_lock guard;         /* with which it is waited for */
    const actor *guardian; /* who holds that */
    int notifications;     /* given and not used */
    pl_barrier barrier;
    pl_channel *channels[CHANNELS];
    pl_future *futures[FUTURES];
    bool stopping;
    bool broken;
} world;

static int below(int limit)
{
    return random_below(&world.dice, limit);
}

/* A broken rule: said once, with the seed, and the world stops. */
static void check(bool holds, const char *rule, int64_t value)
{
    if (holds || world.broken)
        return;
    world.broken = true;
    (void)fprintf(stderr, "seed %" PRIu64 ", step %d: %s (%" PRId64 ")\n", world.seed, world.steps, rule, value);
    CHECK(!"a rule of the scheduler was broken");
}

static void step(int *pair)
{
    world.pairs += ++*pair == 1;
    world.steps++;
}

static bool is_over(void)
{
    bool enough = world.steps >= (world.pairs == PAIRS ? STEPS : STEPS_LIMIT);
    return world.stopping || world.broken || enough;
}

static actor *any_actor(void)
{
    for (int tries = 0; tries < 4 * ACTORS; tries++) {
        actor *chosen = &world.actors[below(ACTORS)];
        if (chosen->task)
            return chosen;
    }
    return NULL;
}

static enum task_state state_of(const actor *self, const actor *other)
{
    const pl_task *task = other->task;
    if (other == self)
        return task_itself;
    switch (pl_future_state(&task->future)) {
    case PL_CANCELLED:
        return task_cancelled;
    case PL_FINISHED:
        return task->future.result < 0 ? task_failed : task_finished;
    default:
        break;
    }
    if (!task->fiber)
        return task_not_begun;
    if (task->waiting_for && pl__future_is_done(task->waiting_for))
        return task_woken;
    if (!task->waiting_for)
        return task_ready;
    return other->shields ? task_shielded : other->in;
}

/* --- Rules that hold at every moment ------------------------------------------------------------------------------ */

static void check_world(const actor *self)
{
    check(pl_task_current() == self->task, "the current task is the one that acts", 0);
    check(pl_all_tasks(world.loop, NULL, 0) == (size_t)world.alive + 1, "all_tasks is those that are alive",
          (int64_t)pl_all_tasks(world.loop, NULL, 0));
    for (int i = 0; i < LOCKS; i++)
        check(!world.holders[i] || pl_lock_is_locked(&world.locks[i]), "a lock that somebody holds is locked", i);
    for (int i = 0; i < QUEUES; i++)
        check(pl_queue_size(&world.queues[i]) <= QUEUE_MAXIMUM, "a queue holds no more than its maximum", i);
}

/* What a call that waits may say. */
static int64_t check_result(int64_t rc, int64_t allowed, const char *call)
{
    bool fine = rc >= 0 || rc == PL_ECANCELED || rc == allowed;
    check(fine, call, rc);
    return rc;
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

/* Around a call that may wait. */
#define WAITING(self, state, call)                                                                                     \
    ((self)->in = (state), waited = (call), (self)->in = task_ready, check_world(self), waited)

static pl_duration some_time(void)
{
    static const pl_duration times[] = {0, PL_NS(1), PL_US(1), PL_US(20)};
    return times[below((int)(sizeof times / sizeof times[0]))];
}

/* Waits that would never end without somebody else are bounded half of the time. */
static pl_duration some_limit(void)
{
    return below(2) ? PL_FOREVER : some_time();
}

static int64_t take_as_completed(actor *self, pl_awaited *items)
{
    int64_t waited;
    pl_as_completed completed = {0};
    pl_awaited *item = NULL;
    int64_t rc = pl_as_completed_begin(&completed, items, 2, some_limit());
    check(rc == PL_OK, "as_completed begins", rc);
    for (int taken = 0; (rc = WAITING(self, task_in_as_completed, pl_as_completed_next(&completed, &item))) == 1;
         taken++) {
        bool is_one = (item == &items[0] || item == &items[1]) && taken < 2;
        check(is_one && item->done && pl_future_state(item->future) != PL_PENDING, "each is given once, when done",
              taken);
    }
    pl_as_completed_end(&completed);
    return rc;
}

static int64_t act_on_task(actor *self)
{
    int64_t waited;
    actor *other = any_actor();
    actor *second = any_actor();
    enum task_call call = (enum task_call)below(task_calls);
    if (!other || !second)
        return 0;
    step(&task_pairs[call][state_of(self, other)]);
    pl_task *task = pl_task_ref(other->task);
    pl_future *future = pl_task_future(task);
    pl_awaited items[2] = {{.future = future}, {.future = pl_task_future(second->task)}};
    int64_t rc = 0;
    switch (call) {
    case task_call_cancel:
        rc = pl_task_cancel(task);
        check(rc == !pl__future_is_done(future), "a task that is not done can be cancelled", rc);
        break;
    case task_call_uncancel:
        (void)pl_task_uncancel(task);
        break;
    case task_call_await:
        rc = WAITING(self, task_awaiting_task, pl_task_await(task));
        break;
    case task_call_shield:
        rc = WAITING(self, task_awaiting_task, pl_shield(future));
        break;
    case task_call_wait_for:
        rc = WAITING(self, task_awaiting_task, pl_wait_for(future, some_limit()));
        break;
    case task_call_gather:
        rc = WAITING(self, task_in_gather, pl_gather(items, 2, below(2)));
        break;
    case task_call_race:
        rc = WAITING(self, task_in_race, pl_race(items, 2, NULL));
        break;
    case task_call_as_completed:
        rc = take_as_completed(self, items);
        break;
    default:
        rc = WAITING(self, task_in_wait, pl_wait(items, 2, below(3), some_limit()));
        break;
    }
    bool error = rc == PL_ECANCELED || rc == PL_EDEADLOCK || rc == PL_ETIMEDOUT || rc == PL_EIO;
    check(rc >= 0 || error, "a wait for a task gives its result, or says why not", rc);
    pl_task_unref(task);
    return rc == PL_ECANCELED ? rc : 0;
}

static enum future_state state_of_future(const pl_future *future)
{
    if (future->state == PL_CANCELLED)
        return future_cancelled;
    if (future->state == PL_FINISHED)
        return future->result < 0 ? future_with_error : future_with_result;
    return pl__list_is_empty(&future->callbacks) ? future_pending : future_pending_awaited;
}

static int64_t act_on_future(actor *self)
{
    int64_t waited;
    int i = below(FUTURES);
    if (below(4) == 0) { /* a new one */
        pl_future_unref(world.futures[i]);
        check(pl_future_create(&world.futures[i], NULL) == PL_OK, "a future can be made", i);
    }
    pl_future *future = pl_future_ref(world.futures[i]);
    enum future_state state = state_of_future(future);
    enum future_call call = (enum future_call)below(future_calls);
    bool pending = state == future_pending || state == future_pending_awaited;
    int64_t rc = 0;
    step(&future_pairs[call][state]);
    switch (call) {
    case future_call_await:
        rc = WAITING(self, task_awaiting_future, pl_await(future));
        break;
    case future_call_shield:
        rc = WAITING(self, task_awaiting_future, pl_shield(future));
        break;
    case future_call_wait_for:
        rc = WAITING(self, task_awaiting_future, pl_wait_for(future, some_limit()));
        break;
    case future_call_set_result:
        check(pl_future_set_result(future, 7) == (pending ? PL_OK : PL_ESTATE), "a future is set once", state);
        break;
    case future_call_set_error:
        check(pl_future_set_error(future, PL_EIO) == (pending ? PL_OK : PL_ESTATE), "a future is set once", state);
        break;
    default:
        check(pl_future_cancel(future) == pending, "a pending future can be cancelled", state);
        break;
    }
    check(rc == 0 || rc == 7 || rc == PL_EIO || rc == PL_ECANCELED || rc == PL_ETIMEDOUT, "a future's results", rc);
    pl_future_unref(future);
    return rc == PL_ECANCELED ? rc : 0;
}

static int64_t act_on_time(actor *self)
{
    int64_t waited;
    world.steps++;
    if (below(2))
        return check_result(WAITING(self, task_ready, pl_yield()), PL_OK, "yield");
    return check_result(WAITING(self, task_sleeping, pl_sleep(below(3) ? some_time() : PL_FOREVER)), PL_OK, "sleep");
}

/* --- Locks, queues, semaphores, events ---------------------------------------------------------------------------- */

static const void *wanted[ACTORS]; /* what each waits for */

static void want(const actor *self, const void *object)
{
    wanted[self - world.actors] = object;
}

static bool is_wanted(enum task_state in, const void *object)
{
    for (int i = 0; i < ACTORS; i++) {
        const actor *each = &world.actors[i];
        if (each->alive && each->in == in && wanted[i] == object && each->task->waiting_for)
            return true;
    }
    return false;
}

static enum lock_state state_of_lock(const actor *self, int i)
{
    bool is_wanted_lock = is_wanted(task_in_lock, &world.locks[i]);
    if (!pl_lock_is_locked(&world.locks[i]))
        return lock_free;
    if (world.holders[i] == self)
        return is_wanted_lock ? lock_mine_wanted : lock_mine;
    return is_wanted_lock ? lock_others_wanted : lock_others;
}

static void took_lock(actor *self, int i, int64_t rc)
{
    if (rc != PL_OK)
        return;
    check(!world.holders[i], "a lock has one holder", i);
    world.holders[i] = self;
    self->locks |= 1u << i;
}

static void release_lock(actor *self, int i)
{
    check(world.holders[i] == self, "who releases a lock holds it", i);
    world.holders[i] = NULL;
    self->locks &= ~(1u << i);
    check(pl_lock_release(&world.locks[i]) == PL_OK, "a lock that is held can be released", i);
}

static int64_t act_on_lock(actor *self)
{
    int64_t waited, rc = 0;
    int i = below(LOCKS);
    enum lock_state state = state_of_lock(self, i);
    enum lock_call call = (enum lock_call)below(lock_calls);
    bool mine = state == lock_mine || state == lock_mine_wanted;
    step(&lock_pairs[call][state]);
    switch (call) {
    case lock_call_acquire:
        want(self, &world.locks[i]);
        rc = WAITING(self, task_in_lock, pl_lock_acquire(&world.locks[i]));
        check(rc == PL_OK || rc == PL_ECANCELED || (mine && rc == PL_EDEADLOCK), "acquire", rc);
        took_lock(self, i, rc);
        break;
    case lock_call_try_acquire:
        rc = pl_lock_try_acquire(&world.locks[i]);
        check(rc == (state == lock_free ? PL_OK : PL_EBUSY), "a free lock can be taken at once", rc);
        took_lock(self, i, rc);
        break;
    default:
        if (mine)
            release_lock(self, i);
        else if (state == lock_free)
            check(pl_lock_release(&world.locks[i]) == PL_ESTATE, "a free lock cannot be released", i);
        break;
    }
    return rc == PL_ECANCELED ? rc : 0;
}

static enum queue_state state_of_queue(int i)
{
    const pl_queue *queue = &world.queues[i];
    if (pl_queue_is_shut_down(queue))
        return queue_shut_down;
    if (pl_queue_is_empty(queue))
        return is_wanted(task_in_get, queue) ? queue_empty_wanted : queue_empty;
    if (pl_queue_is_full(queue))
        return is_wanted(task_in_put, queue) ? queue_full_wanted : queue_full;
    return queue_between;
}

/* An item is a number of its own; what became of it is known at every moment. */
static void item_becomes(uintptr_t item, enum item_fate fate)
{
    check(item > 0 && item < ITEMS, "an item is one of those that were put", (int64_t)item);
    enum item_fate before = world.items[item];
    bool fine = before == item_offered || before == item_put;
    check(fine, "an item is got once or dropped once", (int64_t)item);
    world.items[item] = (unsigned char)fate;
}

static void drop_item(void *item)
{
    item_becomes((uintptr_t)item, item_gone);
}

static void begin_queue(int i)
{
    const pl_queue_options options = {
        .size = sizeof options, .loop = world.loop, .maximum = QUEUE_MAXIMUM, .drop = drop_item};
    check(pl_queue_begin(&world.queues[i], &options) == PL_OK, "a queue can begin", i);
}

static int64_t put_item(actor *self, pl_queue *queue, bool wait)
{
    int64_t waited;
    uintptr_t item = (uintptr_t)++world.item;
    world.items[item] = item_offered;
    int64_t rc =
        wait ? WAITING(self, task_in_put, pl_queue_put(queue, (void *)item)) : pl_queue_put_nowait(queue, (void *)item);
    if (rc < 0)
        item_becomes(item, item_gone); /* nobody can have got it */
    else if (world.items[item] == item_offered)
        world.items[item] = item_put;
    return rc;
}

static int64_t get_item(actor *self, pl_queue *queue, bool wait)
{
    int64_t waited;
    void *item = NULL;
    int64_t rc = wait ? WAITING(self, task_in_get, pl_queue_get(queue, &item)) : pl_queue_get_nowait(queue, &item);
    if (rc == PL_OK)
        item_becomes((uintptr_t)item, item_gone);
    return rc;
}

static int64_t act_on_queue(actor *self)
{
    int i = below(QUEUES);
    pl_queue *queue = &world.queues[i];
    if (pl_queue_is_shut_down(queue) && world.inside[i] == 0 && below(4) == 0) {
        pl_queue_end(queue);
        begin_queue(i);
    }
    enum queue_state state = state_of_queue(i);
    enum queue_call call = (enum queue_call)below(queue_calls);
    if (call == queue_call_shutdown && below(8))
        return 0;
    int64_t rc = 0;
    bool ended = state == queue_shut_down, full = state == queue_full || state == queue_full_wanted;
    bool empty = pl_queue_is_empty(queue);
    step(&queue_pairs[call][state]);
    want(self, queue);
    world.inside[i]++;
    switch (call) {
    case queue_call_put:
        rc = put_item(self, queue, true);
        break;
    case queue_call_get:
        rc = get_item(self, queue, true);
        break;
    case queue_call_put_nowait:
        rc = put_item(self, queue, false);
        check(rc == (ended ? PL_ECLOSED : full ? PL_EFULL : PL_OK), "put at once", rc);
        break;
    case queue_call_get_nowait:
        rc = get_item(self, queue, false);
        check(rc == (!empty ? PL_OK : ended ? PL_ECLOSED : PL_EEMPTY), "get at once", rc);
        break;
    default:
        check(pl_queue_shutdown(queue, below(2)) == PL_OK, "a queue can be shut down", state);
        break;
    }
    world.inside[i]--;
    check(rc == PL_OK || rc == PL_ECANCELED || rc == PL_ECLOSED || rc == PL_EFULL || rc == PL_EEMPTY, "queue", rc);
    return rc == PL_ECANCELED ? rc : 0;
}

static int64_t act_on_semaphore(actor *self)
{
    int64_t waited, rc = 0;
    int i = below(SEMAPHORES);
    pl_semaphore *semaphore = &world.semaphores[i];
    int64_t value = pl_semaphore_value(semaphore);
    bool is_wanted_now = is_wanted(task_in_semaphore, semaphore);
    enum semaphore_state state = value > 0       ? semaphore_positive
                                 : is_wanted_now ? semaphore_zero_wanted
                                                 : semaphore_zero;
    enum semaphore_call call = (enum semaphore_call)below(semaphore_calls);
    if (call == semaphore_call_release && world.taken[i] == 0)
        return 0;
    step(&semaphore_pairs[call][state]);
    switch (call) {
    case semaphore_call_acquire:
        want(self, semaphore);
        rc = check_result(WAITING(self, task_in_semaphore, pl_semaphore_acquire(semaphore)), PL_OK, "acquire");
        world.taken[i] += rc == PL_OK;
        break;
    case semaphore_call_try_acquire:
        rc = pl_semaphore_try_acquire(semaphore);
        check(rc == PL_OK || rc == PL_EBUSY, "try_acquire", rc);
        world.taken[i] += rc == PL_OK;
        break;
    default:
        world.taken[i]--;
        check(pl_semaphore_release(semaphore) == PL_OK, "what was taken can be given back", i);
        break;
    }
    check(world.taken[i] <= SEMAPHORE_VALUE, "a semaphore gives no more than it has", world.taken[i]);
    return rc == PL_ECANCELED ? rc : 0;
}

static int64_t act_on_event(actor *self)
{
    int64_t waited, rc = 0;
    pl_event *event = &world.events[below(EVENTS)];
    enum event_state state = pl_event_is_set(event)            ? event_set
                             : is_wanted(task_in_event, event) ? event_clear_wanted
                                                               : event_clear;
    enum event_call call = (enum event_call)below(event_calls);
    step(&event_pairs[call][state]);
    want(self, event);
    switch (call) {
    case event_call_wait:
        rc = check_result(WAITING(self, task_in_event, pl_event_wait(event)), PL_OK, "wait");
        break;
    case event_call_set:
        check(pl_event_set(event) == PL_OK, "an event can be set", state);
        break;
    default:
        check(pl_event_clear(event) == PL_OK, "an event can be cleared", state);
        break;
    }
    return rc;
}

static int is_lucky(void *arg)
{
    (void)arg;
    return below(3) == 0 ? 7 : 0;
}

/* The guard is not held while the task waits, and held when it goes on, however that ends. */
static int64_t wait_for_notification(actor *self, bool until)
{
    world.guardian = NULL;
    self->in = task_in_condition;
    int64_t waited = until ? pl_condition_wait_until(&world.condition, &world.guard, is_lucky, NULL)
                           : pl_condition_wait(&world.condition, &world.guard);
    self->in = task_ready;
    check(!world.guardian && pl_lock_is_locked(&world.guard), "one has the guard after a wait", 0);
    world.guardian = self;
    check_world(self);
    return waited;
}

/* Whoever waits for a notification must get the guard again, so nobody holds it while he waits for anything else. */
static int64_t act_on_condition(actor *self)
{
    int64_t waited;
    enum condition_call call = (enum condition_call)below(condition_calls);
    int n = below(3);
    want(self, &world.condition);
    int64_t rc = check_result(WAITING(self, task_in_lock, pl_lock_acquire(&world.guard)), PL_OK, "acquire");
    if (rc < 0)
        return rc;
    check(!world.guardian, "one has the guard", 0);
    world.guardian = self;
    step(&condition_pairs[call]
                         [is_wanted(task_in_condition, &world.condition) ? condition_waited_for : condition_alone]);
    switch (call) {
    case condition_call_wait:
        rc = check_result(wait_for_notification(self, false), PL_OK, "wait");
        check(rc < 0 || world.notifications-- > 0, "a wait uses up a notification", rc);
        break;
    case condition_call_wait_until:
        rc = check_result(wait_for_notification(self, true), PL_OK, "wait_until");
        break;
    case condition_call_notify:
        check(pl_condition_notify(&world.condition, &world.guard, n) == PL_OK, "who holds the lock notifies", n);
        world.notifications += n;
        break;
    default:
        check(pl_condition_notify_all(&world.condition, &world.guard) == PL_OK, "notify_all", 0);
        world.notifications += ACTORS;
        break;
    }
    world.guardian = NULL;
    check(pl_lock_release(&world.guard) == PL_OK, "who holds the guard releases it", 0);
    return rc == PL_ECANCELED ? rc : 0;
}

static int64_t act_on_barrier(actor *self)
{
    int64_t waited, rc = 0;
    int waiting = pl_barrier_waiting(&world.barrier);
    enum barrier_state state = pl_barrier_is_broken(&world.barrier) ? barrier_broken
                               : waiting > 0                        ? barrier_filling
                                                                    : barrier_empty;
    enum barrier_call call = (enum barrier_call)below(barrier_calls);
    if (call != barrier_call_wait && state != barrier_broken && below(4))
        return 0;
    check(waiting >= 0 && waiting < PARTIES, "who waits at a barrier", waiting);
    step(&barrier_pairs[call][state]);
    switch (call) {
    case barrier_call_wait:
        rc = check_result(WAITING(self, task_in_barrier, pl_barrier_wait(&world.barrier)), PL_EBROKEN, "barrier");
        check(rc < PARTIES, "the index at a barrier", rc);
        break;
    case barrier_call_reset:
        check(pl_barrier_reset(&world.barrier) == PL_OK, "a barrier can be reset", state);
        break;
    default:
        check(pl_barrier_abort(&world.barrier) == PL_OK, "a barrier can be aborted", state);
        break;
    }
    return rc == PL_ECANCELED ? rc : 0;
}

/* --- Channels ----------------------------------------------------------------------------------------------------- */

static void drop_value(void *value)
{
    item_becomes(*(uint32_t *)value, item_gone);
}

static void make_channel(int i)
{
    const pl_channel_options options = {.size = sizeof options, .loop = world.loop, .drop = drop_value};
    pl_channel_unref(world.channels[i]);
    check(pl_channel_create(&world.channels[i], sizeof(uint32_t), (size_t)i * 2, &options) == PL_OK,
          "a channel can be made", i);
}

static enum channel_state state_of_channel(const pl_channel *channel)
{
    size_t size = pl_channel_size(channel), capacity = pl_channel_capacity(channel);
    if (pl_channel_is_closed(channel))
        return channel_closed;
    if (is_wanted(task_in_receive, channel))
        return channel_empty_wanted;
    if (is_wanted(task_in_send, channel))
        return channel_full_wanted;
    return size == 0 ? channel_empty : size == capacity ? channel_full : channel_between;
}

static uint32_t new_item(void)
{
    world.items[++world.item] = item_offered;
    return (uint32_t)world.item;
}

/* The receiver may have been quicker than we are to say that it was sent. */
static void offered(uint32_t item, bool sent)
{
    if (!sent)
        item_becomes(item, item_gone); /* nobody can have got it */
    else if (world.items[item] == item_offered)
        world.items[item] = item_put;
}

static int64_t select_some(actor *self)
{
    int64_t waited;
    pl_select_case cases[CASES_MOST] = {{0}};
    uint32_t values[CASES_MOST] = {0};
    size_t count = (size_t)(1 + below(CASES_MOST));
    for (size_t i = 0; i < count; i++) {
        pl_channel *channel = world.channels[below(CHANNELS)];
        bool sends = below(2);
        values[i] = sends ? new_item() : 0;
        cases[i] = sends ? pl_case_send(channel, &values[i]) : pl_case_receive(channel, &values[i]);
    }
    int64_t rc = WAITING(self, task_in_select, pl_select(cases, count, some_limit()));
    check(rc < (int64_t)count, "the index of a select", rc);
    for (size_t i = 0; i < count; i++) {
        bool happened = rc == (int64_t)i && cases[i].result == PL_OK;
        check(rc != (int64_t)i || happened || cases[i].result == PL_ECLOSED, "the result of a case", cases[i].result);
        if (cases[i].kind == PL_CASE_SEND)
            offered(values[i], happened);
        else if (happened)
            item_becomes(values[i], item_gone);
        else
            check(values[i] == 0, "a case that did not happen writes nothing", values[i]);
    }
    return check_result(rc, PL_ETIMEDOUT, "select");
}

static int64_t act_on_channel(actor *self)
{
    int64_t waited, rc = 0;
    int i = below(CHANNELS);
    if (pl_channel_is_closed(world.channels[i]) && below(2))
        make_channel(i);
    pl_channel *channel = world.channels[i]; /* who waits holds it */
    enum channel_state state = state_of_channel(channel);
    enum channel_call call = (enum channel_call)below(channel_calls);
    if (call == channel_call_close && below(4))
        return 0;
    uint32_t value = call == channel_call_send || call == channel_call_try_send ? new_item() : 0;
    step(&channel_pairs[call][state]);
    want(self, channel);
    switch (call) {
    case channel_call_send:
        rc = check_result(WAITING(self, task_in_send, pl_channel_send(channel, &value)), PL_ECLOSED, "send");
        offered(value, rc == PL_OK);
        break;
    case channel_call_receive:
        rc = check_result(WAITING(self, task_in_receive, pl_channel_receive(channel, &value)), PL_ECLOSED, "receive");
        if (rc == PL_OK)
            item_becomes(value, item_gone);
        break;
    case channel_call_try_send:
        rc =
            check_result(pl_channel_try_send(channel, &value), state == channel_closed ? PL_ECLOSED : PL_EFULL, "send");
        offered(value, rc == PL_OK);
        break;
    case channel_call_try_receive:
        rc = check_result(pl_channel_try_receive(channel, &value), state == channel_closed ? PL_ECLOSED : PL_EEMPTY,
                          "receive");
        if (rc == PL_OK)
            item_becomes(value, item_gone);
        break;
    case channel_call_select:
        rc = select_some(self);
        break;
    default:
        check(pl_channel_close(channel) == PL_OK, "a channel can be closed", state);
        break;
    }
    return rc == PL_ECANCELED ? rc : 0;
}

/* --- Scopes ------------------------------------------------------------------------------------------------------- */

static int64_t act(actor *self);

/* Several calls in a scope; some tasks heed a cancel, some go on. */
static int64_t act_inside(actor *self)
{
    int64_t rc = 0;
    self->depth++;
    for (int i = below(4); i >= 0 && !is_over(); i--) {
        rc = act(self);
        if (rc < 0 && below(4))
            break;
    }
    self->depth--;
    return rc;
}

static int64_t act_in_timeout(actor *self)
{
    pl_timeout timeout = {0};
    world.steps++;
    check(pl_timeout_begin(&timeout, some_limit()) == PL_OK, "a timeout begins", 0);
    int64_t rc = act_inside(self);
    enum timeout_state state = pl_timeout_expired(&timeout) ? timeout_expired : timeout_running;
    if (below(3) == 0) {
        step(&timeout_pairs[timeout_call_reschedule][state]);
        int moved = pl_timeout_reschedule(&timeout, some_limit());
        check(moved == (state == timeout_expired ? PL_ESTATE : PL_OK), "a timeout can be moved until it is over",
              moved);
        if (rc == 0)
            rc = act_inside(self);
        state = pl_timeout_expired(&timeout) ? timeout_expired : timeout_running;
    }
    step(&timeout_pairs[timeout_call_end][state]);
    int64_t verdict = pl_timeout_end(&timeout, rc);
    bool ran_out = state == timeout_expired && rc == PL_ECANCELED && verdict == PL_ETIMEDOUT;
    check(verdict == rc || ran_out, "the verdict of a timeout", verdict);
    return verdict == PL_ECANCELED ? verdict : 0;
}

static int64_t act_shielded(actor *self)
{
    pl_shielded shielded = {0};
    pl_timeout bound = {0};
    world.steps++;
    check(pl_shielded_begin(&shielded) == PL_OK, "a shielded region begins", 0);
    check(pl_timeout_begin(&bound, some_time()) == PL_OK, "a timeout begins", 0); /* nothing else would end it */
    self->shields++;
    int64_t rc = act_inside(self);
    self->shields--;
    (void)pl_timeout_end(&bound, rc);
    pl_shielded_end(&shielded);
    return 0;
}

static int64_t be_actor(void *arg);
static void drop_actor(void *arg);

static actor *take_slot(void)
{
    for (int i = 0; i < ACTORS; i++) {
        actor *slot = &world.actors[i];
        if (slot->alive)
            continue;
        pl_task_unref(slot->task);
        *slot = (actor){.alive = true};
        world.alive++;
        return slot;
    }
    return NULL;
}

/* The slot keeps the task for others to meet until it is taken anew. */
static void leave_slot(actor *self)
{
    check(self->alive && self->runs + self->drops == 1, "a task runs once or is dropped once", self->runs);
    self->alive = false;
    world.alive--;
    if (self->children_of_group)
        --*self->children_of_group;
}

static void spawn_actor(void)
{
    actor *slot = take_slot();
    const pl_task_options options = {.size = sizeof options, .loop = world.loop, .drop = drop_actor};
    if (slot)
        check(pl_spawn(&slot->task, be_actor, slot, &options) == PL_OK, "a task can be spawned", 0);
}

static enum group_state state_of_group(const pl_group *group)
{
    const struct pl__group *inner = pl__group_of(group);
    bool ending = inner->state == PL__GROUP_ENDING;
    if (inner->aborting)
        return ending ? group_ending_aborted : group_aborting;
    return ending ? group_ending : pl_group_size(group) ? group_open : group_open_empty;
}

/* Of any actor that has one. */
static int64_t act_on_group(actor *self)
{
    const actor *owner = any_actor();
    (void)self;
    if (!owner || !owner->alive || !owner->group)
        return 0;
    enum group_state state = state_of_group(owner->group);
    enum group_call call = (enum group_call)below(group_calls);
    bool refused = state == group_aborting || state == group_ending_aborted;
    bool over = pl__group_of(owner->group)->state == PL__GROUP_ENDING && pl_group_size(owner->group) == 0;
    actor *slot = call == group_call_spawn ? take_slot() : NULL;
    if (call == group_call_spawn && !slot)
        return 0;
    step(&group_pairs[call][state]);
    if (call == group_call_cancel) {
        pl_group_cancel(owner->group);
        return 0;
    }
    const pl_task_options options = {.size = sizeof options, .drop = drop_actor, .eager = below(4) == 0};
    slot->children_of_group = owner->children;
    ++*owner->children;
    int rc = pl_group_spawn_task(owner->group, &slot->task, be_actor, slot, &options);
    check(rc == (over ? PL_ESTATE : refused ? PL_ECANCELED : PL_OK), "who may spawn into a group", rc);
    return 0;
}

static int64_t act_in_group(actor *self)
{
    int64_t waited;
    pl_group group = {0};
    pl_group *outer = self->group;
    int *outer_children = self->children, children = 0;
    world.steps++;
    check(pl_group_begin(&group, below(2) ? PL_GROUP_FAIL_FAST : PL_GROUP_SUPERVISE) == PL_OK, "a group begins", 0);
    self->group = &group;
    self->children = &children;
    int64_t rc = act_inside(self);
    rc = WAITING(self, task_ending_group, pl_group_end(&group, rc));
    self->group = outer;
    self->children = outer_children;
    check(children == 0, "no child outlives its group", children);
    check(rc >= 0 || rc == PL_ECANCELED || rc == PL_EIO, "the verdict of a group", rc);
    return rc == PL_ECANCELED ? rc : 0;
}

/* --- Actors ------------------------------------------------------------------------------------------------------- */

static int64_t act(actor *self)
{
    static int64_t (*const simple[])(actor *) = {
        act_on_task,  act_on_task,  act_on_future,    act_on_time,    act_on_lock,    act_on_queue,  act_on_semaphore,
        act_on_event, act_on_group, act_on_condition, act_on_barrier, act_on_channel, act_on_channel};
    static int64_t (*const scopes[])(actor *) = {act_in_timeout, act_in_group, act_in_group, act_shielded};
    enum { SIMPLE = sizeof simple / sizeof simple[0], SCOPES = sizeof scopes / sizeof scopes[0] };
    int chosen = below(self->depth < DEPTH_MOST ? SIMPLE + SCOPES : SIMPLE);
    int64_t rc = chosen < SIMPLE ? simple[chosen](self) : scopes[chosen - SIMPLE](self);
    check_world(self);
    return rc;
}

static int64_t be_actor(void *arg)
{
    actor *self = arg;
    self->runs++;
    if (!self->task)
        self->task = pl_task_ref(pl_task_current()); /* an eager one runs before its spawner gets it */
    else
        check(self->task == pl_task_current(), "a task is the current one while it runs", 0);
    int64_t rc = 0;
    for (int steps = 1 + below(STEPS_MOST); steps > 0 && !is_over(); steps--) {
        rc = act(self);
        if (rc < 0 && below(2))
            break;
    }
    for (int i = 0; i < LOCKS; i++) {
        if (self->locks & 1u << i)
            release_lock(self, i);
    }
    leave_slot(self);
    return rc < 0 ? rc : below(8) ? 0 : PL_EIO;
}

static void drop_actor(void *arg)
{
    actor *self = arg;
    self->drops++;
    leave_slot(self);
}

/* --- The main task ------------------------------------------------------------------------------------------------ */

/* Tasks may wait for one another for ever. */
static void help_somebody(void)
{
    actor *stuck = any_actor();
    if (world.steps != world.steps_seen) {
        world.steps_seen = world.steps;
        world.idle = 0;
    } else if (++world.idle > IDLE_TURNS && stuck) {
        (void)pl_task_cancel(stuck->task);
    }
}

static void make_world(void)
{
    for (int i = 0; i < QUEUES; i++)
        begin_queue(i);
    for (int i = 0; i < SEMAPHORES; i++)
        check(pl_semaphore_init(&world.semaphores[i], SEMAPHORE_VALUE, SEMAPHORE_VALUE) == PL_OK, "init", i);
    for (int i = 0; i < FUTURES; i++)
        check(pl_future_create(&world.futures[i], NULL) == PL_OK, "a future can be made", i);
    for (int i = 0; i < CHANNELS; i++)
        make_channel(i);
    check(pl_barrier_init(&world.barrier, PARTIES) == PL_OK, "init", PARTIES);
}

/* Whatever still waits gets what it waits for, or is cancelled. */
static void end_world(void)
{
    world.stopping = true;
    for (int rounds = 0; world.alive > 0 && rounds < 10 * ACTORS; rounds++) {
        for (int i = 0; i < ACTORS; i++) {
            if (world.actors[i].alive)
                (void)pl_task_cancel(world.actors[i].task);
        }
        for (int turns = 0; turns < IDLE_TURNS; turns++)
            (void)pl_yield();
    }
    check(world.alive == 0, "every task that is cancelled ends", world.alive);
}

static void check_what_is_left(void)
{
    for (int i = 0; i < LOCKS; i++)
        check(!pl_lock_is_locked(&world.locks[i]) && !world.holders[i], "in the end every lock is free", i);
    for (int i = 0; i < SEMAPHORES; i++)
        check(pl_semaphore_value(&world.semaphores[i]) + world.taken[i] == SEMAPHORE_VALUE,
              "in the end a semaphore has what was not taken", i);
    for (int i = 0; i < QUEUES; i++)
        pl_queue_end(&world.queues[i]);
    for (int i = 0; i < CHANNELS; i++)
        pl_channel_unref(world.channels[i]); /* the last one: it drops what is left */
    check(pl_barrier_waiting(&world.barrier) == 0, "in the end nobody is at the barrier", 0);
    for (int i = 1; i <= world.item; i++)
        check(world.items[i] == item_gone, "no item is lost", i);
    check(pl_task_cancelling(pl_task_current()) == 0, "nobody cancelled the main task", 0);
}

static void free_world(void)
{
    for (int i = 0; i < ACTORS; i++)
        pl_task_unref(world.actors[i].task);
    for (int i = 0; i < FUTURES; i++)
        pl_future_unref(world.futures[i]);
}

static int64_t run_world(void *arg)
{
    (void)arg;
    make_world();
    while (!is_over()) {
        if (world.alive < ACTORS / 2 || below(8) == 0)
            spawn_actor();
        (void)pl_yield();
        help_somebody();
    }
    end_world();
    check_what_is_left();
    free_world();
    return 0;
}

/* Errors of actors that nobody looked at are as they should be. */
static void expect_only_lost_errors(pl_loop *loop, const pl_report *report, void *arg)
{
    (void)loop;
    (void)arg;
    check(report->error == PL_EIO, report->message, report->error);
}

static int pairs_missing(const char *kind, const int *pairs, const char *const *calls, int call_count,
                         const char *const *states, int state_count)
{
    int missing = 0;
    for (int i = 0; i < call_count * state_count; i++) {
        if (pairs[i] > 0)
            continue;
        missing++;
        (void)fprintf(stderr, "seed %" PRIu64 ": never reached: %s %s, %s\n", world.seed, kind, calls[i / state_count],
                      states[i % state_count]);
    }
    return missing;
}

/* PROLOOP_TEST_SEED, or the same one every time. */
static uint64_t seed_of_run(void)
{
    const char *text = getenv("PROLOOP_TEST_SEED");
    return text ? strtoull(text, NULL, 10) : 20250101;
}

TEST_CASE(a_hundred_thousand_steps_break_no_rule_and_reach_every_state)
{
    pl_loop_options options = {.size = sizeof options, .backend = t->backend, .task_budget = 64};
    int missing = 0;
    memset(&world, 0, sizeof world);
#define FORGET_PAIRS(kind, KIND) memset(kind##_pairs, 0, sizeof kind##_pairs);
    KINDS(FORGET_PAIRS)
    world.seed = seed_of_run();
    world.dice = world.seed;
    (void)printf("seed %" PRIu64 "\n", world.seed);
    REQUIRE_EQ_INT(pl_loop_create(&world.loop, &options), PL_OK);
    pl_loop_set_exception_handler(world.loop, expect_only_lost_errors, NULL);
    const pl_task_options main_task = {.size = sizeof main_task, .loop = world.loop, .name = "main"};
    pl_task *task = NULL;
    CHECK_EQ_INT(pl_spawn(&task, run_world, NULL, &main_task), PL_OK);
    CHECK_EQ_INT(pl_loop_run_until_complete(world.loop, pl_task_future(task)), 0);
    pl_task_unref(task);
    CHECK_EQ_INT(pl_loop_close(world.loop), PL_OK);
#define COUNT_MISSING(kind, KIND)                                                                                      \
    missing +=                                                                                                         \
        pairs_missing(#kind, &kind##_pairs[0][0], kind##_call_names, kind##_calls, kind##_state_names, kind##_states);
    KINDS(COUNT_MISSING)
    CHECK_EQ_INT(missing, 0);
    CHECK(world.broken || world.steps >= STEPS);
}

TEST_SUITE(random, TEST_BACKENDS_ALL, CASE(a_hundred_thousand_steps_break_no_rule_and_reach_every_state))
