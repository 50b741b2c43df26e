/* Random programs: tasks that sleep, await, spawn, cancel, and nest limits, groups and shielded regions; after each step
 * what must hold is checked against a model of the scopes. PROLOOP_TEST_SEED=number plays one again.
 *
 * Nothing waits in a circle: a task awaits only tasks that were made after it, and futures are set in the end.
 */
#include <proloop/proloop.h>

#include "fixture.h"
#include "harness.h"

enum { SHARED = 12, LIVE = 60, DEPTH = 4 };

typedef struct actor actor;
typedef struct level level;
typedef struct world world;

enum kind { LIMIT, GROUP, SHIELD };

/* An open scope, as the model knows it. */
struct level {
    enum kind kind;
    actor *owner;
    level *outer;
    pl_timeout *limit;
    pl_group *group;
    bool supervise;
    bool cancelled;    /* groups: it is being cancelled for certain */
    bool ending;       /* groups: the owner waits in pl_group_end */
    bool child_failed; /* groups: with PL_EIO */
    int live;          /* groups: children that run or are to run */
};

enum state { MADE, RUNS, ENDED, DROPPED };

struct actor {
    actor *next;
    world *world;
    pl_task *task;
    level *scopes;  /* innermost first */
    level *parent;  /* the group it is a child of, or NULL */
    enum state state;
    int serial;
    int place;      /* among the live ones; -1: none */
    int edges_seen; /* cancels that ended a wait, and that no scope explains */
    int uncancelled;
};

struct world {
    pl_loop *loop;
    uint64_t random;
    int64_t steps, limit;
    pl_future *futures[SHARED];
    actor *all;
    actor *live[LIVE];
    int live_count, made;
    int64_t runs, ends, drops;
    int64_t reports, failures;
    int64_t cancels, timeouts, verdicts; /* that the programs met: the test is worth something */
    bool ending;
    bool closing;
};

static int dice(world *w, int sides)
{
    return random_below(&w->random, sides);
}

/* A check of a program: what its seed was is told when one fails. */
static bool broken;

static bool holds(bool it_does)
{
    broken = broken || !it_does;
    return it_does;
}

#define HOLDS(condition) (void)holds(CHECK(condition))
#define HOLDS_INT(a, b)  (void)holds(CHECK_EQ_INT(a, b))

/* --- The model -------------------------------------------------------------------------------------------------- */

static int edges_asked(const actor *a)
{
    return pl_task_cancelling(a->task) + a->uncancelled;
}

static bool level_cancelled(const level *l);

/* Whether a scope cancels every wait of the task, from `l` outwards. */
static bool cancelled_from(const actor *a, const level *l)
{
    for (; l; l = l->outer) {
        if (l->kind == SHIELD)
            return false;
        if (level_cancelled(l))
            return true;
    }
    return a->world->closing || (a->parent && level_cancelled(a->parent));
}

static bool level_cancelled(const level *l)
{
    return l->kind == LIMIT ? pl_timeout_expired(l->limit) != 0 : l->kind == GROUP && l->cancelled;
}

/* Whether one might: a group that ends is cancelled by what cancels its owner. */
static bool may_be_cancelled(const actor *a)
{
    const level *parent = a->parent;
    if (cancelled_from(a, a->scopes))
        return true;
    for (const level *l = a->scopes; l; l = l->outer)
        if (l->kind == SHIELD)
            return false;
    return parent && parent->ending &&
           (edges_asked(parent->owner) > 0 || may_be_cancelled(parent->owner));
}

static bool is_hidden(const actor *a)
{
    for (const level *l = a->scopes; l; l = l->outer)
        if (l->kind == SHIELD)
            return true;
    return false;
}

/* --- Actors ----------------------------------------------------------------------------------------------------- */

static int64_t run_actor(void *arg);
static int64_t act(actor *a, int depth);

static void leave(actor *a, enum state state)
{
    world *w = a->world;
    a->state = state;
    if (a->place >= 0) {
        actor *last = w->live[--w->live_count];
        w->live[a->place] = last;
        last->place = a->place;
        a->place = -1;
    }
    if (a->parent)
        a->parent->live--;
}

static void drop_actor(void *arg)
{
    actor *a = arg;
    HOLDS_INT(a->state, MADE);
    a->world->drops++;
    leave(a, DROPPED);
}

static actor *make_actor(world *w)
{
    actor *a = calloc(1, sizeof *a);
    if (!holds(CHECK(a != NULL)))
        return NULL;
    a->world = w;
    a->serial = ++w->made;
    a->next = w->all;
    w->all = a;
    a->place = w->live_count;
    w->live[w->live_count++] = a;
    return a;
}

static void spawn(world *w, level *group)
{
    pl_task_options options = {.size = sizeof options, .loop = w->loop, .drop = drop_actor};
    actor *a;
    int rc;
    if (w->live_count >= LIVE)
        return;
    a = make_actor(w);
    if (!a)
        return;
    options.eager = pl_loop_running() && dice(w, 4) == 0;
    if (!group) {
        rc = pl_spawn(&a->task, run_actor, a, &options);
        HOLDS_INT(rc, PL_OK);
        return;
    }
    a->parent = group;
    group->live++;
    rc = pl_group_spawn_task(group->group, &a->task, run_actor, a, &options);
    if (rc != PL_OK) {
        HOLDS_INT(rc, PL_ECANCELED);
        HOLDS_INT(a->state, DROPPED);
    } else {
        HOLDS(!group->cancelled || options.eager); /* an eager one may have failed at once */
    }
}

static int64_t run_actor(void *arg)
{
    actor *a = arg;
    world *w = a->world;
    int64_t rc;
    HOLDS_INT(a->state, MADE);
    a->state = RUNS;
    w->runs++;
    if (!a->task)
        a->task = pl_task_current();
    HOLDS(a->task == pl_task_current());
    rc = act(a, 0);
    HOLDS(a->scopes == NULL);
    HOLDS(pl_task_current() == a->task);
    w->ends++;
    if (rc < 0 && rc != PL_ECANCELED) {
        w->failures++;
        if (a->parent && !a->parent->supervise) {
            a->parent->cancelled = true; /* when this has returned, and nothing runs before */
            a->parent->child_failed = true;
        }
    }
    leave(a, ENDED);
    return rc;
}

static actor *any_live(world *w)
{
    return w->live_count ? w->live[dice(w, w->live_count)] : NULL;
}

/* --- Steps ------------------------------------------------------------------------------------------------------ */

/* Gives way or sleeps, the waits of which all is known. */
static int64_t wait_plainly(actor *a)
{
    world *w = a->world;
    pl_duration start = pl_loop_time(w->loop), delay = PL_US(dice(w, 60));
    bool level_before = cancelled_from(a, a->scopes);
    int due = pl_check_cancelled();
    int rc;
    if (level_before)
        HOLDS_INT(due, PL_ECANCELED);
    if (due == PL_ECANCELED && !level_before)
        HOLDS(may_be_cancelled(a) || (edges_asked(a) > a->edges_seen && !is_hidden(a)));
    rc = dice(w, 2) ? pl_yield() : pl_sleep(delay);
    if (due)
        HOLDS_INT(rc, PL_ECANCELED);
    if (rc == PL_ECANCELED) {
        w->cancels++;
        if (!may_be_cancelled(a)) {
            a->edges_seen++;
            HOLDS(edges_asked(a) >= a->edges_seen);
            HOLDS(!is_hidden(a));
        }
    } else {
        HOLDS_INT(rc, PL_OK);
        HOLDS(pl_loop_time(w->loop) >= start);
    }
    return rc;
}

static int64_t await_shared(actor *a)
{
    world *w = a->world;
    pl_future *future = pl_future_ref(w->futures[dice(w, SHARED)]);
    bool done = pl_future_state(future) != PL_PENDING;
    int64_t expected = pl_future_result(future);
    int64_t rc = pl_await(future);
    if (done)
        HOLDS_INT(rc, expected);
    if (rc != PL_ECANCELED)
        HOLDS_INT(rc, pl_future_result(future)); /* a result is what the future has */
    HOLDS(pl_future_state(future) != PL_PENDING);
    pl_future_unref(future);
    return rc == PL_EBROKEN ? 0 : rc;
}

static int64_t await_actor(actor *a)
{
    actor *other = any_live(a->world);
    pl_task *task;
    int64_t rc;
    if (!other || !other->task || other->serial <= a->serial)
        return 0;
    task = pl_task_ref(other->task);
    rc = pl_task_await(task);
    HOLDS(rc != PL_EDEADLOCK && rc != PL_ENOTASK && rc != PL_EINVAL);
    if (rc != PL_ECANCELED) {
        HOLDS(pl_future_state(pl_task_future(task)) == PL_FINISHED);
        HOLDS_INT(other->state, ENDED);
    }
    pl_task_unref(task);
    return rc == PL_ECANCELED ? rc : 0;
}

static void set_shared(world *w)
{
    int n = dice(w, SHARED);
    pl_future *future = w->futures[n];
    if (pl_future_state(future) != PL_PENDING) {
        pl_future_unref(future);
        w->futures[n] = NULL;
        HOLDS_INT(pl_future_create(&w->futures[n], w->loop), PL_OK);
        return;
    }
    switch (dice(w, 4)) {
    case 0:
        HOLDS_INT(pl_future_cancel(future), 1);
        break;
    case 1:
        HOLDS_INT(pl_future_set_error(future, PL_EBROKEN), PL_OK);
        (void)pl_future_result(future);
        break;
    default:
        HOLDS_INT(pl_future_set_result(future, n), PL_OK);
    }
}

static void cancel_any(world *w)
{
    actor *other = any_live(w);
    int before;
    if (!other || !other->task)
        return;
    before = pl_task_cancelling(other->task);
    HOLDS_INT(pl_task_cancel(other->task), 1);
    HOLDS(pl_task_cancelling(other->task) > before);
}

static void uncancel_itself(actor *a)
{
    int before = pl_task_cancelling(a->task);
    int after = pl_task_uncancel(a->task);
    HOLDS_INT(after, before > 0 ? before - 1 : 0);
    if (before > 0)
        a->uncancelled++;
}

static int64_t limit_scope(actor *a, int depth)
{
    world *w = a->world;
    pl_timeout limit = {0};
    level l = {.kind = LIMIT, .owner = a, .limit = &limit};
    int cancelling = pl_task_cancelling(a->task);
    int64_t rc, verdict;
    bool outer;
    HOLDS_INT(pl_timeout_begin(&limit, dice(w, 5) == 0 ? PL_FOREVER : PL_US(dice(w, 200))), PL_OK);
    l.outer = a->scopes;
    a->scopes = &l;
    rc = act(a, depth + 1);
    if (dice(w, 8) == 0)
        (void)pl_timeout_reschedule(&limit, PL_US(dice(w, 100)));
    HOLDS(a->scopes == &l);
    a->scopes = l.outer;
    outer = cancelled_from(a, a->scopes);
    verdict = pl_timeout_end(&limit, rc);
    w->verdicts++;
    if (rc != PL_ECANCELED)
        HOLDS_INT(verdict, rc);
    else if (!pl_timeout_expired(&limit))
        HOLDS_INT(verdict, PL_ECANCELED);
    else if (outer)
        HOLDS_INT(verdict, PL_ECANCELED);
    else if (!may_be_cancelled(a) && pl_task_cancelling(a->task) <= cancelling)
        HOLDS_INT(verdict, PL_ETIMEDOUT);
    else
        HOLDS(verdict == PL_ECANCELED || verdict == PL_ETIMEDOUT);
    w->timeouts += verdict == PL_ETIMEDOUT;
    return verdict == PL_ETIMEDOUT && dice(w, 3) ? 0 : verdict;
}

static int64_t group_scope(actor *a, int depth)
{
    world *w = a->world;
    pl_group group = {0};
    level l = {.kind = GROUP, .owner = a, .group = &group};
    int64_t rc, verdict;
    bool cancelled;
    l.supervise = dice(w, 3) == 0;
    HOLDS_INT(pl_group_begin(&group, l.supervise ? PL_GROUP_SUPERVISE : PL_GROUP_FAIL_FAST), PL_OK);
    l.outer = a->scopes;
    a->scopes = &l;
    for (int i = dice(w, 4); i > 0 && !w->ending; i--)
        spawn(w, &l);
    rc = act(a, depth + 1);
    if (rc < 0 && rc != PL_ECANCELED)
        rc = PL_EPIPE;
    HOLDS(a->scopes == &l);
    a->scopes = l.outer;
    l.cancelled = l.cancelled || rc < 0;
    l.ending = true;
    verdict = pl_group_end(&group, rc);
    w->verdicts++;
    HOLDS_INT(l.live, 0);
    HOLDS_INT(pl_group_size(&group), 0);
    cancelled = may_be_cancelled(a) || edges_asked(a) > 0;
    if (l.child_failed)
        HOLDS(verdict == PL_EIO || (verdict == PL_EPIPE && rc == PL_EPIPE));
    else if (rc == PL_EPIPE)
        HOLDS_INT(verdict, PL_EPIPE);
    else if (rc >= 0)
        HOLDS(verdict == rc || (verdict == PL_ECANCELED && cancelled));
    else
        HOLDS(verdict == PL_ECANCELED || verdict == PL_OK);
    if (verdict < 0 && verdict != PL_ECANCELED && a->edges_seen >= edges_asked(a))
        a->edges_seen = edges_asked(a) - 1; /* as asyncio: a cancel that an error has hidden is delivered once more */
    pl_group_cancel(&group); /* harmless by now */
    return verdict;
}

static int64_t shielded_scope(actor *a, int depth)
{
    pl_shielded shielded = {0};
    level l = {.kind = SHIELD, .owner = a};
    int64_t rc;
    HOLDS_INT(pl_shielded_begin(&shielded), PL_OK);
    l.outer = a->scopes;
    a->scopes = &l;
    HOLDS_INT(pl_check_cancelled(), PL_OK);
    rc = act(a, depth + 1);
    HOLDS(a->scopes == &l);
    a->scopes = l.outer;
    pl_shielded_end(&shielded);
    return rc;
}

static void cancel_a_group(actor *a)
{
    level *l = a->parent;
    for (level *own = a->scopes; own; own = own->outer)
        if (own->kind == GROUP && dice(a->world, 2))
            l = own;
    if (!l)
        return;
    pl_group_cancel(l->group);
    l->cancelled = true;
}

static int64_t step(actor *a, int depth)
{
    world *w = a->world;
    w->steps++;
    switch (dice(w, w->ending ? 6 : 22)) {
    default:
        return wait_plainly(a);
    case 6:
    case 7:
        return await_shared(a);
    case 8:
    case 9:
        return await_actor(a);
    case 10:
        cancel_any(w);
        return 0;
    case 11:
        uncancel_itself(a);
        return 0;
    case 12:
        set_shared(w);
        return 0;
    case 13:
        spawn(w, NULL);
        return 0;
    case 14:
    case 15:
        return depth < DEPTH ? limit_scope(a, depth) : 0;
    case 16:
    case 17:
        return depth < DEPTH ? group_scope(a, depth) : 0;
    case 18:
        return depth < DEPTH ? shielded_scope(a, depth) : 0;
    case 19:
        if (dice(w, 3) == 0)
            cancel_a_group(a);
        return 0;
    case 20:
        if (a->parent && !a->parent->cancelled)
            spawn(w, a->parent); /* a child adds a sibling */
        return 0;
    }
}

/* What a task or the body of a scope does. */
static int64_t act(actor *a, int depth)
{
    world *w = a->world;
    for (int i = dice(w, 8); i > 0; i--) {
        int64_t rc = step(a, depth);
        HOLDS(pl_task_current() == a->task);
        HOLDS(pl_loop_running() == w->loop);
        if (rc == PL_ECANCELED && dice(w, 5))
            return rc;
        if (rc < 0 && rc != PL_ECANCELED && dice(w, 2))
            return PL_EIO;
    }
    return dice(w, 15) == 0 ? PL_EIO : dice(w, 100);
}

/* --- The run ---------------------------------------------------------------------------------------------------- */

static void count_report(pl_loop *loop, const pl_report *report, void *arg)
{
    world *w = arg;
    (void)loop;
    HOLDS_INT(report->error, report->error == PL_EPIPE ? PL_EPIPE : PL_EIO);
    w->reports++;
}

static void drive(void *arg)
{
    world *w = arg;
    if (w->steps >= w->limit)
        w->ending = true;
    if (w->ending ? w->live_count == 0 : false) {
        HOLDS_INT(pl_loop_stop(w->loop), PL_OK);
        return;
    }
    for (int i = w->ending ? SHARED : 1; i > 0; i--)
        if (w->ending || dice(w, 2))
            set_shared(w);
    if (!w->ending && w->live_count < LIVE / 2)
        spawn(w, NULL);
    if (!w->ending && dice(w, 10) == 0)
        cancel_any(w);
    HOLDS_INT(pl_call_soon(NULL, drive, w, NULL), PL_OK);
}

static void play(const test_context *t, uint64_t seed, int64_t limit, bool to_the_end)
{
    world w = {.random = seed, .limit = limit};
    pl_loop_options options = {.size = sizeof options, .backend = t->backend, .seed = seed};
    REQUIRE_EQ_INT(pl_loop_create(&w.loop, &options), PL_OK);
    HOLDS_INT(pl_loop_set_exception_handler(w.loop, count_report, &w), PL_OK);
    for (int i = 0; i < SHARED; i++)
        REQUIRE_EQ_INT(pl_future_create(&w.futures[i], w.loop), PL_OK);
    HOLDS_INT(pl_call_soon(w.loop, drive, &w, NULL), PL_OK);
    if (to_the_end) {
        HOLDS_INT(pl_loop_run_forever(w.loop), PL_OK);
        HOLDS_INT(w.live_count, 0);
    } else {
        while (w.steps < limit)
            REQUIRE_EQ_INT(pl_loop_run_once(w.loop, PL_FOREVER), PL_OK);
    }
    w.ending = true;
    w.closing = true;
    HOLDS_INT(pl_loop_close(w.loop), PL_OK);
    HOLDS_INT(w.live_count, 0);
    for (int i = 0; i < SHARED; i++)
        pl_future_unref(w.futures[i]);
    for (actor *a = w.all, *next; a; a = next) {
        next = a->next;
        HOLDS(a->state == ENDED || a->state == DROPPED); /* once: see run_actor and drop_actor */
        if (a->task)
            (void)pl_future_result(pl_task_future(a->task)); /* nobody need be told */
        pl_task_unref(a->task);
        free(a);
    }
    HOLDS_INT(w.runs, w.ends);
    HOLDS_INT(w.made, w.runs + w.drops);
    HOLDS(w.reports <= w.failures);
    if (limit >= 10000)
        HOLDS(w.cancels > 100 && w.timeouts > 10 && w.verdicts > 100 && w.drops > 10);
}

static bool seed_from_environment(uint64_t *seed)
{
    const char *text = getenv("PROLOOP_TEST_SEED");
    if (!text)
        return false;
    *seed = strtoull(text, NULL, 10);
    if (*seed == 0)
        *seed = 1;
    return true;
}

static void play_seeds(const test_context *t, int count, int64_t limit, bool to_the_end)
{
    uint64_t seed, given;
    bool one = seed_from_environment(&given);
    for (seed = 1; seed <= (one ? 1 : (uint64_t)count); seed++) {
        uint64_t mixed = one ? given : seed * UINT64_C(0x9e3779b97f4a7c15);
        broken = false;
        play(t, mixed, limit, to_the_end);
        if (broken || one)
            (void)printf("PROLOOP_TEST_SEED=%llu\n", (unsigned long long)mixed);
    }
}

TEST_CASE(random_programs_run_to_their_end)
{
    play_seeds(t, 1, scaled(20000), true);
}

TEST_CASE(random_programs_are_closed_in_the_middle)
{
    play_seeds(t, 1, scaled(20000), false);
}

TEST_CASE(short_random_programs_of_many_seeds)
{
    play_seeds(t, scaled(100), 300, false);
}

TEST_SUITE(scheduler, TEST_BACKENDS_ALL,
           CASE(random_programs_run_to_their_end),
           CASE(random_programs_are_closed_in_the_middle),
           CASE(short_random_programs_of_many_seeds))
