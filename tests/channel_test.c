/* Channels: handing over, buffering, closing, select; and random use against a model. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "threads.h"

enum { ACTORS = 8, CHANNELS = 3, CASES = 4 };

typedef struct play play;

/* A task that makes one call, and notes how it ended: "a=3" received 3, "a+" sent, "a0=3" received by case 0 of a select,
 * "a1+" sent by case 1, "a!PL_E..." failed. It then makes a wait, and notes "a?" if that was cancelled. */
typedef struct actor {
    play *p;
    pl_task *task;
    pl_channel *channel;
    int value;
    int values[CASES];
    pl_select_case cases[CASES];
    size_t count;
    pl_duration limit;
    char name;
} actor;

struct play {
    fixture f;
    pl_channel *channels[CHANNELS];
    actor actors[ACTORS];
    int used;
    char dropped[FIXTURE_TEXT];
};

static play *current; /* for drop functions, which are told the value alone */

static void drop_value(void *value)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%d", *(int *)value);
    fixture_append(current->dropped, number);
}

static pl_channel *make(play *p, int slot, size_t capacity)
{
    pl_channel_options options = {.size = sizeof options, .loop = p->f.loop, .drop = drop_value};
    pl_channel_unref(p->channels[slot]);
    CHECK_EQ_INT(pl_channel_create(&p->channels[slot], sizeof(int), capacity, &options), PL_OK);
    return p->channels[slot];
}

static bool play_open(play *p, const test_context *t)
{
    memset(p, 0, sizeof *p);
    current = p;
    return fixture_open(&p->f, t);
}

static void play_close(play *p)
{
    for (int i = 0; i < p->used; i++)
        pl_task_unref(p->actors[i].task);
    fixture_close(&p->f);
    for (int i = 0; i < CHANNELS; i++)
        pl_channel_unref(p->channels[i]);
}

/* A case whose body is a task. `ch` is channel 0, of that capacity. */
#define CHANNEL_CASE(name, capacity)                                                                                   \
    static void name##_body(play *p, pl_channel *ch);                                                                  \
    static int64_t name##_task(void *arg)                                                                              \
    {                                                                                                                  \
        play *p = arg;                                                                                                 \
        name##_body(p, p->channels[0]);                                                                                \
        return 0;                                                                                                      \
    }                                                                                                                  \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        play p;                                                                                                        \
        REQUIRE(play_open(&p, t));                                                                                     \
        (void)make(&p, 0, capacity);                                                                                   \
        CHECK_EQ_INT(run_task(&p.f, name##_task, &p), 0);                                                              \
        play_close(&p);                                                                                                \
    }                                                                                                                  \
    static void name##_body(play *p, pl_channel *ch)

/* --- Actors ------------------------------------------------------------------------------------------------------- */

static int64_t actor_ended(const actor *a, int result, int index, bool received, int value)
{
    char word[64];
    char place[12] = "";
    if (index >= 0)
        (void)snprintf(place, sizeof place, "%d", index);
    if (result < 0)
        (void)snprintf(word, sizeof word, "%c%s!%s", a->name, place, pl_error_name(result));
    else if (received)
        (void)snprintf(word, sizeof word, "%c%s=%d", a->name, place, value);
    else
        (void)snprintf(word, sizeof word, "%c%s+", a->name, place);
    note(&a->p->f, word);
    if (pl_yield() == PL_ECANCELED) {
        (void)snprintf(word, sizeof word, "%c?", a->name);
        note(&a->p->f, word);
    }
    return 0;
}

static int64_t receive_one(void *arg)
{
    actor *a = arg;
    int result;
    a->value = -1;
    result = pl_channel_receive(a->channel, &a->value);
    CHECK(result == PL_OK || a->value == -1);
    return actor_ended(a, result, -1, true, a->value);
}

static int64_t send_one(void *arg)
{
    actor *a = arg;
    int result = pl_channel_send(a->channel, &a->value);
    return actor_ended(a, result, -1, false, 0);
}

static int64_t select_one(void *arg)
{
    actor *a = arg;
    int index = pl_select(a->cases, a->count, a->limit);
    if (index < 0)
        return actor_ended(a, index, -1, false, 0);
    if (!CHECK(index < (int)a->count))
        return 0;
    return actor_ended(a, a->cases[index].result, index, a->cases[index].kind == PL_CASE_RECEIVE, a->values[index]);
}

/* Actors are named a, b, c ... in the order in which they come. */
static actor *next_actor(play *p)
{
    actor *a = &p->actors[p->used];
    a->p = p;
    a->name = (char)('a' + p->used++);
    a->limit = PL_FOREVER;
    return a;
}

static actor *receiver(play *p, pl_channel *channel)
{
    actor *a = next_actor(p);
    a->channel = channel;
    a->task = start_task(&p->f, receive_one, a);
    return a;
}

static actor *sender(play *p, pl_channel *channel, int value)
{
    actor *a = next_actor(p);
    a->channel = channel;
    a->value = value;
    a->task = start_task(&p->f, send_one, a);
    return a;
}

static void add_receive(actor *a, pl_channel *channel)
{
    a->values[a->count] = -1;
    a->cases[a->count] = pl_case_receive(channel, &a->values[a->count]);
    a->count++;
}

static void add_send(actor *a, pl_channel *channel, int value)
{
    a->values[a->count] = value;
    a->cases[a->count] = pl_case_send(channel, &a->values[a->count]);
    a->count++;
}

/* A select that receives from two. */
static actor *selector(play *p, pl_channel *first, pl_channel *second)
{
    actor *a = next_actor(p);
    add_receive(a, first);
    add_receive(a, second);
    a->task = start_task(&p->f, select_one, a);
    return a;
}

static void start_selector(actor *a)
{
    a->task = start_task(&a->p->f, select_one, a);
}

static void turns(int count)
{
    while (count-- > 0)
        CHECK_EQ_INT(pl_yield(), PL_OK);
}

static int put(pl_channel *channel, int value)
{
    return pl_channel_try_send(channel, &value);
}

static int wait_put(pl_channel *channel, int value)
{
    return pl_channel_send(channel, &value);
}

/* The value that comes, or the error. */
static int get(pl_channel *channel)
{
    int value = -1;
    int rc = pl_channel_try_receive(channel, &value);
    CHECK(rc == PL_OK || value == -1);
    return rc == PL_OK ? value : rc;
}

static int wait_get(pl_channel *channel)
{
    int value = -1;
    int rc = pl_channel_receive(channel, &value);
    CHECK(rc == PL_OK || value == -1);
    return rc == PL_OK ? value : rc;
}

static void cancel(actor *a)
{
    CHECK_EQ_INT(pl_task_cancel(a->task), 1);
}

/* --- Handing over ------------------------------------------------------------------------------------------------- */

CHANNEL_CASE(without_capacity_a_send_waits_for_a_receiver, 0)
{
    CHECK_EQ_INT(pl_channel_capacity(ch), 0);
    sender(p, ch, 5);
    turns(3);
    EXPECT_TRACE(&p->f, "");
    CHECK_EQ_INT(pl_channel_size(ch), 0);
    CHECK_EQ_INT(wait_get(ch), 5);
    turns(1);
    EXPECT_TRACE(&p->f, "a+ ");
}

CHANNEL_CASE(without_capacity_a_send_goes_to_a_receiver_that_waits, 0)
{
    receiver(p, ch);
    turns(1);
    CHECK_EQ_INT(wait_put(ch, 5), PL_OK);
    EXPECT_TRACE(&p->f, "");
    turns(1);
    EXPECT_TRACE(&p->f, "a=5 ");
}

CHANNEL_CASE(calls_that_do_not_wait_say_full_and_empty, 0)
{
    CHECK_EQ_INT(put(ch, 1), PL_EFULL);
    CHECK_EQ_INT(get(ch), PL_EEMPTY);
    receiver(p, ch);
    turns(1);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(put(ch, 2), PL_EFULL); /* nobody waits any more, though the receiver has not run */
    sender(p, ch, 3);
    turns(1);
    CHECK_EQ_INT(get(ch), 3);
    CHECK_EQ_INT(get(ch), PL_EEMPTY);
    turns(1);
    EXPECT_TRACE(&p->f, "a=1 b+ ");
}

CHANNEL_CASE(up_to_its_capacity_values_lie_in_it, 2)
{
    (void)p;
    CHECK_EQ_INT(pl_channel_capacity(ch), 2);
    for (int round = 0; round < 5; round++) {
        CHECK_EQ_INT(put(ch, 1), PL_OK);
        CHECK_EQ_INT(wait_put(ch, 2), PL_OK);
        CHECK_EQ_INT(put(ch, 3), PL_EFULL);
        CHECK_EQ_INT(pl_channel_size(ch), 2);
        CHECK_EQ_INT(get(ch), 1);
        CHECK_EQ_INT(put(ch, 3), PL_OK); /* wherever the ring begins */
        CHECK_EQ_INT(wait_get(ch), 2);
        CHECK_EQ_INT(get(ch), 3);
        CHECK_EQ_INT(get(ch), PL_EEMPTY);
    }
}

CHANNEL_CASE(senders_are_served_first_come_first_served, 1)
{
    for (int i = 0; i < 4; i++)
        sender(p, ch, i);
    turns(2);
    EXPECT_TRACE(&p->f, "a+ ");
    CHECK_EQ_INT(get(ch), 0); /* b's value moves in at once */
    CHECK_EQ_INT(pl_channel_size(ch), 1);
    CHECK_EQ_INT(put(ch, 9), PL_EFULL);
    CHECK_EQ_INT(get(ch), 1);
    turns(1);
    EXPECT_TRACE(&p->f, "b+ c+ ");
    CHECK_EQ_INT(get(ch), 2);
    CHECK_EQ_INT(get(ch), 3);
    CHECK_EQ_INT(get(ch), PL_EEMPTY);
    turns(1);
    EXPECT_TRACE(&p->f, "d+ ");
}

CHANNEL_CASE(receivers_are_served_first_come_first_served, 2)
{
    for (int i = 0; i < 3; i++)
        receiver(p, ch);
    turns(1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(put(ch, i), PL_OK);
    CHECK_EQ_INT(pl_channel_size(ch), 0); /* straight to the receivers */
    turns(1);
    EXPECT_TRACE(&p->f, "a=0 b=1 c=2 ");
}

CHANNEL_CASE(nobody_takes_what_was_handed_over, 1)
{
    receiver(p, ch);
    turns(1);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(get(ch), PL_EEMPTY);
    CHECK_EQ_INT(put(ch, 2), PL_OK);
    CHECK_EQ_INT(get(ch), 2);
    turns(1);
    EXPECT_TRACE(&p->f, "a=1 ");
}

typedef struct large {
    int64_t numbers[9];
    char text[3];
} large;

CHANNEL_CASE(values_are_copied_whole, 0)
{
    pl_channel *wide;
    large sent = {{1, 2, 3, 4, 5, 6, 7, 8, 9}, "ab"};
    large got;
    (void)ch;
    (void)p;
    CHECK_EQ_INT(pl_channel_create(&wide, sizeof sent, 3, NULL), PL_OK);
    for (int i = 0; i < 3; i++) {
        sent.numbers[8] = i;
        CHECK_EQ_INT(pl_channel_send(wide, &sent), PL_OK);
    }
    for (int i = 0; i < 3; i++) {
        memset(&got, 0, sizeof got);
        CHECK_EQ_INT(pl_channel_receive(wide, &got), PL_OK);
        CHECK_EQ_INT(got.numbers[8], i);
        CHECK_EQ_INT(got.numbers[0], 1);
        CHECK_STR(got.text, "ab");
    }
    pl_channel_unref(wide);
}

static int64_t signal_twice(void *arg)
{
    CHECK_EQ_INT(pl_channel_send(arg, NULL), PL_OK);
    CHECK_EQ_INT(pl_channel_try_send(arg, NULL), PL_EFULL);
    return pl_channel_send(arg, NULL);
}

CHANNEL_CASE(a_channel_may_carry_no_values, 0)
{
    pl_channel *signals;
    pl_task *task;
    (void)ch;
    CHECK_EQ_INT(pl_channel_create(&signals, 0, 1, NULL), PL_OK);
    task = start_task(&p->f, signal_twice, signals);
    turns(1);
    CHECK_EQ_INT(pl_channel_receive(signals, NULL), PL_OK);
    CHECK_EQ_INT(pl_channel_receive(signals, NULL), PL_OK);
    CHECK_EQ_INT(pl_channel_try_receive(signals, NULL), PL_EEMPTY);
    CHECK_EQ_INT(pl_task_await(task), PL_OK);
    pl_task_unref(task);
    pl_channel_unref(signals);
}

static int64_t send_shared(void *arg)
{
    actor *a = arg;
    return pl_channel_send(a->channel, &a->value);
}

/* Sender and receiver name the same variable. */
CHANNEL_CASE(a_value_may_be_sent_to_where_it_is, 0)
{
    actor *a = next_actor(p);
    a->channel = ch;
    a->value = 5;
    a->task = start_task(&p->f, send_shared, a);
    CHECK_EQ_INT(pl_channel_receive(ch, &a->value), PL_OK);
    CHECK_EQ_INT(a->value, 5);
    turns(1);
}

static void send_in_callback(void *arg)
{
    CHECK_EQ_INT(put(arg, 4), PL_OK);
}

static void receive_in_callback(void *arg)
{
    CHECK_EQ_INT(get(arg), 6);
}

CHANNEL_CASE(callbacks_send_and_receive_without_waiting, 0)
{
    CHECK_EQ_INT(pl_call_soon(NULL, send_in_callback, ch, NULL), PL_OK);
    CHECK_EQ_INT(wait_get(ch), 4);
    CHECK_EQ_INT(pl_call_soon(NULL, receive_in_callback, ch, NULL), PL_OK);
    CHECK_EQ_INT(wait_put(ch, 6), PL_OK);
    EXPECT_TRACE(&p->f, "");
}

static void count_turn(void *arg)
{
    ((play *)arg)->f.counts[0]++;
}

CHANNEL_CASE(a_task_that_never_has_to_wait_gives_way, 1000)
{
    pl_select_case cases[1];
    int value = 0;
    CHECK_EQ_INT(pl_call_soon(NULL, count_turn, p, NULL), PL_OK);
    for (int i = 0; i < 1000 && p->f.counts[0] == 0; i++)
        CHECK_EQ_INT(wait_put(ch, i), PL_OK);
    CHECK_EQ_INT(p->f.counts[0], 1);
    while (put(ch, 0) == PL_OK)
        continue;
    CHECK_EQ_INT(pl_call_soon(NULL, count_turn, p, NULL), PL_OK);
    for (int i = 0; i < 1000 && p->f.counts[0] == 1; i++)
        CHECK(wait_get(ch) >= 0);
    CHECK_EQ_INT(p->f.counts[0], 2);
    CHECK_EQ_INT(pl_call_soon(NULL, count_turn, p, NULL), PL_OK);
    cases[0] = pl_case_receive(NULL, &value);
    for (int i = 0; i < 1000 && p->f.counts[0] == 2; i++)
        CHECK_EQ_INT(pl_select(cases, 1, 0), PL_ETIMEDOUT);
    CHECK_EQ_INT(p->f.counts[0], 3);
}

/* --- Cancelled ---------------------------------------------------------------------------------------------------- */

CHANNEL_CASE(a_receiver_cancelled_before_a_value_came_gets_none, 0)
{
    actor *a = receiver(p, ch);
    receiver(p, ch);
    turns(1);
    cancel(a);
    CHECK_EQ_INT(put(ch, 1), PL_OK); /* in the same iteration */
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED b=1 ");
    turns(1);
    EXPECT_TRACE(&p->f, ""); /* the cancel came once */
}

CHANNEL_CASE(a_receiver_cancelled_after_a_value_came_has_it, 0)
{
    actor *a = receiver(p, ch);
    turns(1);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    cancel(a);
    turns(3);
    EXPECT_TRACE(&p->f, "a=1 a? "); /* and the next wait is cancelled */
}

CHANNEL_CASE(a_sender_cancelled_before_its_value_went_keeps_it, 0)
{
    actor *a = sender(p, ch, 1);
    sender(p, ch, 2);
    turns(1);
    cancel(a);
    CHECK_EQ_INT(get(ch), 2);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED b+ ");
}

CHANNEL_CASE(a_sender_cancelled_after_its_value_went_has_sent_it, 0)
{
    actor *a = sender(p, ch, 1);
    turns(1);
    CHECK_EQ_INT(get(ch), 1);
    cancel(a);
    turns(3);
    EXPECT_TRACE(&p->f, "a+ a? ");
}

CHANNEL_CASE(a_wait_that_ran_out_of_time_leaves_nobody_behind, 0)
{
    pl_timeout limit = {0};
    (void)p;
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_US(100)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, wait_get(ch)), PL_ETIMEDOUT);
    CHECK_EQ_INT(put(ch, 1), PL_EFULL);
    limit = (pl_timeout){0};
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_US(100)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, wait_put(ch, 1)), PL_ETIMEDOUT);
    CHECK_EQ_INT(get(ch), PL_EEMPTY);
}

CHANNEL_CASE(in_a_cancelled_scope_nothing_is_sent_or_received, 2)
{
    pl_timeout limit = {0};
    pl_select_case cases[1];
    int value = 3;
    (void)p;
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    CHECK_EQ_INT(wait_put(ch, 2), PL_ECANCELED);
    CHECK_EQ_INT(wait_get(ch), PL_ECANCELED);
    cases[0] = pl_case_send(ch, &value);
    CHECK_EQ_INT(pl_select(cases, 1, 0), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK_EQ_INT(get(ch), 1);
    CHECK_EQ_INT(get(ch), PL_EEMPTY);
}

/* --- Closing ------------------------------------------------------------------------------------------------------ */

CHANNEL_CASE(a_closed_channel_is_drained_first, 2)
{
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(put(ch, 2), PL_OK);
    CHECK_EQ_INT(pl_channel_is_closed(ch), 0);
    CHECK_EQ_INT(pl_channel_close(ch), PL_OK);
    CHECK_EQ_INT(pl_channel_close(ch), PL_OK);
    CHECK(pl_channel_is_closed(ch) != 0);
    CHECK_EQ_INT(put(ch, 3), PL_ECLOSED);
    CHECK_EQ_INT(wait_put(ch, 3), PL_ECLOSED);
    CHECK_EQ_INT(wait_get(ch), 1);
    CHECK_EQ_INT(wait_put(ch, 3), PL_ECLOSED); /* though there is room */
    CHECK_EQ_INT(get(ch), 2);
    CHECK_EQ_INT(get(ch), PL_ECLOSED);
    CHECK_EQ_INT(wait_get(ch), PL_ECLOSED);
    CHECK_STR(p->dropped, "");
}

CHANNEL_CASE(a_close_ends_the_receivers_that_wait, 1)
{
    receiver(p, ch);
    receiver(p, ch);
    turns(1);
    CHECK_EQ_INT(pl_channel_close(ch), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECLOSED b!PL_ECLOSED ");
}

CHANNEL_CASE(a_close_ends_the_senders_that_wait_and_their_values_are_theirs, 1)
{
    CHECK_EQ_INT(put(ch, 9), PL_OK);
    sender(p, ch, 1);
    sender(p, ch, 2);
    turns(1);
    CHECK_EQ_INT(pl_channel_close(ch), PL_OK);
    CHECK_EQ_INT(get(ch), 9);
    CHECK_EQ_INT(get(ch), PL_ECLOSED);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECLOSED b!PL_ECLOSED ");
    make(p, 0, 0);
    CHECK_STR(p->dropped, "");
}

CHANNEL_CASE(a_value_handed_over_before_the_close_arrives, 0)
{
    receiver(p, ch);
    turns(1);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(pl_channel_close(ch), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a=1 ");
}

CHANNEL_CASE(the_last_reference_drops_the_values_that_nobody_took, 3)
{
    for (int i = 1; i <= 3; i++)
        CHECK_EQ_INT(put(ch, i), PL_OK);
    CHECK_EQ_INT(get(ch), 1);
    CHECK_EQ_INT(put(ch, 4), PL_OK);
    CHECK(pl_channel_ref(ch) == ch);
    pl_channel_unref(ch);
    CHECK_STR(p->dropped, "");
    p->channels[0] = NULL;
    pl_channel_unref(ch);
    CHECK_STR(p->dropped, "2 3 4 ");
}

CHANNEL_CASE(without_a_drop_function_values_are_forgotten, 0)
{
    pl_channel *other;
    int value = 1;
    (void)ch;
    CHECK_EQ_INT(pl_channel_create(&other, sizeof value, 1, NULL), PL_OK);
    CHECK_EQ_INT(pl_channel_send(other, &value), PL_OK);
    pl_channel_unref(other);
    CHECK_STR(p->dropped, "");
}

/* Who waits keeps the channel, and lets go of it when it goes on. */
CHANNEL_CASE(a_channel_may_be_let_go_of_while_a_task_waits_on_it, 0)
{
    actor *a = receiver(p, ch);
    turns(1);
    p->channels[0] = NULL;
    pl_channel_unref(ch);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a=1 ");
    a = receiver(p, make(p, 0, 0));
    turns(1);
    pl_channel_unref(p->channels[0]);
    p->channels[0] = NULL;
    cancel(a);
    turns(1);
    EXPECT_TRACE(&p->f, "b!PL_ECANCELED ");
}

TEST_CASE(a_channel_outlives_its_loop_and_still_drops_its_values)
{
    play p;
    pl_channel *ch;
    REQUIRE(play_open(&p, t));
    ch = make(&p, 0, 2);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    receiver(&p, make(&p, 1, 0));
    turn(&p.f, 2);
    play_close(&p); /* ends the wait, too */
    EXPECT_TRACE(&p.f, "a!PL_ECANCELED a? ");
    CHECK_STR(p.dropped, "1 ");
}

TEST_CASE(a_closed_loop_has_no_channel)
{
    play p;
    pl_channel *ch;
    REQUIRE(play_open(&p, t));
    ch = pl_channel_ref(make(&p, 0, 2));
    play_close(&p);
    CHECK_EQ_INT(put(ch, 2), PL_ECLOSED);
    CHECK_EQ_INT(get(ch), PL_ECLOSED);
    CHECK_EQ_INT(pl_channel_close(ch), PL_ECLOSED);
    pl_channel_unref(ch);
}

/* --- Select ------------------------------------------------------------------------------------------------------- */

CHANNEL_CASE(a_select_makes_the_case_happen_that_can, 1)
{
    pl_channel *other = make(p, 1, 1);
    int a = -1, b = -1;
    pl_select_case cases[3];
    cases[0] = pl_case_receive(ch, &a);
    cases[1] = pl_case_receive(other, &b);
    cases[2] = pl_case_send(other, &a);
    CHECK_EQ_INT(pl_call_soon(NULL, count_turn, p, NULL), PL_OK);
    CHECK_EQ_INT(pl_select(cases, 2, 0), PL_ETIMEDOUT);
    CHECK_EQ_INT(p->f.counts[0], 0); /* it does not wait */
    CHECK_EQ_INT(put(other, 5), PL_OK);
    cases[1].result = -1;
    CHECK_EQ_INT(pl_select(cases, 3, PL_FOREVER), 1);
    CHECK_EQ_INT(cases[1].result, PL_OK);
    CHECK_EQ_INT(b, 5);
    CHECK_EQ_INT(a, -1);
    a = 7;
    CHECK_EQ_INT(pl_select(cases, 3, PL_FOREVER), 2); /* the cases serve again */
    CHECK_EQ_INT(get(other), 7);
}

CHANNEL_CASE(a_select_waits_until_one_of_its_cases_can_happen, 0)
{
    pl_channel *other = make(p, 1, 1);
    selector(p, ch, other);
    turns(2);
    EXPECT_TRACE(&p->f, "");
    CHECK_EQ_INT(put(other, 5), PL_OK);
    CHECK_EQ_INT(put(ch, 6), PL_EFULL); /* the select takes one */
    CHECK_EQ_INT(put(other, 7), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a1=5 ");
    CHECK_EQ_INT(p->actors[0].values[0], -1);
    CHECK_EQ_INT(get(other), 7);
}

CHANNEL_CASE(a_select_that_waits_to_send_sends_one_of_its_values, 0)
{
    actor *a = next_actor(p);
    pl_channel *other = make(p, 1, 1);
    CHECK_EQ_INT(put(other, 9), PL_OK);
    add_send(a, ch, 1);
    add_send(a, other, 2);
    start_selector(a);
    turns(1);
    CHECK_EQ_INT(get(other), 9); /* its value moves in */
    CHECK_EQ_INT(get(ch), PL_EEMPTY);
    CHECK_EQ_INT(get(other), 2);
    turns(1);
    EXPECT_TRACE(&p->f, "a1+ ");
}

CHANNEL_CASE(plain_calls_and_selects_stand_in_one_line, 0)
{
    pl_channel *other = make(p, 1, 0);
    receiver(p, ch);
    selector(p, other, ch);
    receiver(p, ch);
    turns(1);
    for (int i = 1; i <= 3; i++)
        CHECK_EQ_INT(put(ch, i), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a=1 b1=2 c=3 ");
}

CHANNEL_CASE(two_selects_meet, 0)
{
    pl_channel *other = make(p, 1, 0);
    actor *b;
    selector(p, ch, other);
    b = next_actor(p);
    add_send(b, NULL, 3);
    add_send(b, other, 4);
    start_selector(b);
    turns(2);
    EXPECT_TRACE(&p->f, "b1+ a1=4 ");
}

/* Each of three ready cases about a third of the time; never one that is not. */
CHANNEL_CASE(of_several_ready_cases_each_is_as_likely, 1)
{
    enum { ROUNDS = 3000 };
    pl_channel *other = make(p, 1, 2);
    pl_select_case cases[4];
    int counts[4] = {0};
    int value = 1;
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(put(other, 1), PL_OK);
    cases[0] = pl_case_receive(ch, &value);
    cases[1] = pl_case_send(ch, &value); /* full: not ready */
    cases[2] = pl_case_receive(other, &value);
    cases[3] = pl_case_send(other, &value);
    for (int i = 0; i < ROUNDS; i++) {
        int chosen = pl_select(cases, 4, PL_FOREVER);
        REQUIRE(chosen >= 0 && chosen < 4);
        counts[chosen]++;
        if (chosen == 0)
            CHECK_EQ_INT(put(ch, 1), PL_OK);
        else if (chosen == 2)
            CHECK_EQ_INT(put(other, 1), PL_OK);
        else
            CHECK_EQ_INT(get(other), 1);
    }
    CHECK_EQ_INT(counts[1], 0);
    for (int i = 0; i < 4; i++)
        CHECK(i == 1 || (counts[i] > ROUNDS / 4 && counts[i] < ROUNDS / 2));
}

/* 64 choices between two, as bits. */
static int64_t make_choices(void *arg)
{
    play *p = arg;
    pl_select_case cases[2];
    int value = 1;
    uint64_t choices = 0;
    cases[0] = pl_case_receive(p->channels[0], &value);
    cases[1] = pl_case_receive(p->channels[0], &value);
    for (int i = 0; i < 64; i++) {
        CHECK_EQ_INT(put(p->channels[0], 1), PL_OK);
        choices = choices << 1 | (uint64_t)pl_select(cases, 2, 0);
    }
    p->f.results[0] = (int64_t)choices;
    return 0;
}

static int64_t choices_of_seed(const test_context *t, uint64_t seed)
{
    play p = {0};
    pl_loop_options options = {.backend = t->backend, .seed = seed};
    current = &p;
    REQUIRE_OR(fixture_open_with(&p.f, options), return 0);
    (void)make(&p, 0, 1);
    CHECK_EQ_INT(run_task(&p.f, make_choices, &p), 0);
    play_close(&p);
    return p.f.results[0];
}

TEST_CASE(the_seed_alone_decides_what_is_chosen)
{
    CHECK_EQ_INT(choices_of_seed(t, 7), choices_of_seed(t, 7));
    CHECK_EQ_INT(choices_of_seed(t, 0), choices_of_seed(t, 0));
    CHECK(choices_of_seed(t, 7) != choices_of_seed(t, 8));
    CHECK(choices_of_seed(t, 7) != 0 && choices_of_seed(t, 7) != -1);
}

CHANNEL_CASE(a_channel_may_stand_twice_in_a_select, 0)
{
    actor *a = selector(p, ch, ch);
    turns(1);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(put(ch, 2), PL_EFULL); /* both cases are gone */
    turns(1);
    EXPECT_TRACE(&p->f, "a0=1 ");
    CHECK_EQ_INT(a->values[1], -1);
}

CHANNEL_CASE(a_select_does_not_receive_what_it_sends, 0)
{
    actor *a = next_actor(p);
    actor *b;
    add_send(a, ch, 1);
    add_receive(a, ch);
    start_selector(a);
    turns(3);
    EXPECT_TRACE(&p->f, "");
    b = next_actor(p); /* but another one like it does */
    add_receive(b, ch);
    add_send(b, NULL, 0);
    start_selector(b);
    turns(2);
    EXPECT_TRACE(&p->f, "b0=1 a0+ ");
}

CHANNEL_CASE(two_selects_that_both_send_and_receive_meet_once, 0)
{
    for (int i = 0; i < 2; i++) {
        actor *a = next_actor(p);
        add_send(a, ch, 10 + i);
        add_receive(a, ch);
        start_selector(a);
    }
    turns(2);
    /* The second chose; the first did the other thing. */
    if (strcmp(p->f.trace, "b0+ a1=11 ") != 0)
        EXPECT_TRACE(&p->f, "b1=10 a0+ ");
    CHECK_EQ_INT(put(ch, 1), PL_EFULL);
    CHECK_EQ_INT(get(ch), PL_EEMPTY);
}

CHANNEL_CASE(a_null_channel_is_never_ready, 1)
{
    pl_select_case cases[2];
    int value = -1;
    cases[0] = pl_case_receive(NULL, &value);
    cases[1] = pl_case_send(NULL, NULL);
    CHECK_EQ_INT(pl_select(cases, 2, 0), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_select(cases, 2, -1), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_select(cases, 2, PL_US(100)), PL_ETIMEDOUT);
    selector(p, NULL, ch);
    turns(1);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a1=1 ");
}

CHANNEL_CASE(a_select_of_nothing_ends_by_its_limit_or_a_cancel, 0)
{
    pl_duration start = pl_loop_time(p->f.loop);
    actor *a;
    (void)ch;
    CHECK_EQ_INT(pl_select(NULL, 0, 0), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_select(NULL, 0, PL_MS(2)), PL_ETIMEDOUT);
    CHECK(pl_loop_time(p->f.loop) >= start + PL_MS(2));
    a = next_actor(p);
    start_selector(a);
    turns(2);
    EXPECT_TRACE(&p->f, "");
    cancel(a);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED ");
}

CHANNEL_CASE(a_closed_channel_is_ready, 1)
{
    pl_select_case c;
    int value = -1;
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(pl_channel_close(ch), PL_OK);
    c = pl_case_receive(ch, &value);
    CHECK_EQ_INT(pl_select(&c, 1, 0), 0);
    CHECK_EQ_INT(c.result, PL_OK);
    CHECK_EQ_INT(value, 1);
    CHECK_EQ_INT(pl_select(&c, 1, PL_FOREVER), 0);
    CHECK_EQ_INT(c.result, PL_ECLOSED);
    c = pl_case_send(ch, &value);
    CHECK_EQ_INT(pl_select(&c, 1, 0), 0);
    CHECK_EQ_INT(c.result, PL_ECLOSED);
    EXPECT_TRACE(&p->f, "");
}

CHANNEL_CASE(a_channel_that_is_closed_ends_the_select_that_waits, 0)
{
    pl_channel *other = make(p, 1, 0);
    actor *b;
    selector(p, other, ch);
    b = next_actor(p);
    add_send(b, make(p, 2, 0), 1);
    add_send(b, ch, 2);
    add_receive(b, NULL);
    turns(1);
    CHECK_EQ_INT(pl_channel_close(ch), PL_OK);
    start_selector(b); /* closed already */
    turns(1);
    EXPECT_TRACE(&p->f, "a1!PL_ECLOSED b1!PL_ECLOSED ");
    CHECK_EQ_INT(put(other, 1), PL_EFULL); /* nobody is left there */
}

CHANNEL_CASE(a_close_ends_a_select_that_waits_to_send_and_to_receive_there_once, 0)
{
    actor *a = next_actor(p);
    add_send(a, ch, 1);
    add_receive(a, ch);
    start_selector(a);
    turns(1);
    CHECK_EQ_INT(pl_channel_close(ch), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a1!PL_ECLOSED ");
}

CHANNEL_CASE(a_select_ends_by_its_limit, 0)
{
    pl_duration start = pl_loop_time(p->f.loop);
    actor *a = next_actor(p);
    add_receive(a, ch);
    add_send(a, make(p, 1, 0), 1);
    a->limit = PL_MS(2);
    start_selector(a);
    CHECK_EQ_INT(pl_task_await(a->task), 0);
    EXPECT_TRACE(&p->f, "a!PL_ETIMEDOUT ");
    CHECK(pl_loop_time(p->f.loop) >= start + PL_MS(2)); /* never early */
    CHECK_EQ_INT(put(ch, 1), PL_EFULL);
    CHECK_EQ_INT(get(p->channels[1]), PL_EEMPTY);
}

static int64_t select_within_hour(void *arg)
{
    play *p = arg;
    int value = -1;
    pl_select_case c = pl_case_receive(p->channels[0], &value);
    CHECK_EQ_INT(pl_select(&c, 1, PL_SECONDS(3600)), 0);
    CHECK_EQ_INT(value, 8);
    return pl_sleep(p->f.counts[0] ? PL_SECONDS(7200) : 0); /* past the limit */
}

/* The limit's timer lies on the select's stack: it must not be left running. */
TEST_CASE(a_case_that_happens_stops_the_limit)
{
    play p;
    pl_task *task;
    REQUIRE(play_open(&p, t));
    p.f.counts[0] = is_simulated(t);
    (void)make(&p, 0, 0);
    task = start_task(&p.f, select_within_hour, &p);
    turn(&p.f, 1);
    CHECK_EQ_INT(put(p.channels[0], 8), PL_OK);
    CHECK_EQ_INT(finish_task(&p.f, task), 0);
    pl_task_unref(task);
    play_close(&p);
}

/* The select's limit and a timer that sends are due in one iteration: whichever comes first, one thing happens. */
static void send_by_timer(void *arg)
{
    play *p = arg;
    p->f.counts[0] = put(p->channels[0], 1);
}

static int64_t select_until(void *arg)
{
    play *p = arg;
    pl_select_case c;
    int value = -1;
    c = pl_case_receive(p->channels[0], &value);
    p->f.counts[1] = pl_select(&c, 1, PL_MS(1));
    return 0;
}

CHANNEL_CASE(a_value_that_comes_in_the_iteration_of_the_limit_comes_or_does_not, 0)
{
    for (int delay = 900; delay <= 1100; delay += 20) {
        pl_timer timer = {0};
        pl_task *task;
        CHECK_EQ_INT(pl_timer_start(&timer, NULL, PL_US(delay), send_by_timer, p), PL_OK);
        task = start_task(&p->f, select_until, p);
        CHECK_EQ_INT(pl_task_await(task), 0);
        if (pl_timer_stop(&timer))
            p->f.counts[0] = PL_EFULL; /* was not even tried */
        pl_task_unref(task);
        CHECK_EQ_INT(p->f.counts[1], p->f.counts[0] == PL_OK ? 0 : PL_ETIMEDOUT);
        CHECK_EQ_INT(put(ch, 2), PL_EFULL);
    }
}

CHANNEL_CASE(a_cancelled_select_has_done_nothing, 0)
{
    pl_channel *other = make(p, 1, 0);
    actor *a = selector(p, ch, other);
    turns(1);
    cancel(a);
    CHECK_EQ_INT(put(ch, 1), PL_EFULL);
    CHECK_EQ_INT(put(other, 1), PL_EFULL);
    turns(2);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED ");
    CHECK_EQ_INT(a->values[0], -1);
    CHECK_EQ_INT(a->values[1], -1);
}

CHANNEL_CASE(a_select_cancelled_after_a_case_happened_returns_that, 0)
{
    pl_channel *other = make(p, 1, 0);
    actor *a = selector(p, ch, other);
    turns(1);
    CHECK_EQ_INT(put(other, 3), PL_OK);
    cancel(a);
    turns(3);
    EXPECT_TRACE(&p->f, "a1=3 a? ");
}

CHANNEL_CASE(cases_serve_one_select_at_a_time, 0)
{
    actor *a = selector(p, ch, NULL);
    turns(1);
    CHECK_EQ_INT(pl_select(a->cases, 2, 0), PL_EBUSY);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(pl_select(a->cases, 2, 0), PL_ETIMEDOUT);
    turns(1);
    EXPECT_TRACE(&p->f, "a0=1 ");
}

/* --- Refused ------------------------------------------------------------------------------------------------------ */

CHANNEL_CASE(arguments_are_checked, 1)
{
    pl_channel *other = ch;
    pl_channel_options options = {.size = sizeof options - 1};
    pl_select_case c;
    int value = 1;
    CHECK_EQ_INT(pl_channel_create(NULL, 1, 1, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_create(&other, 1, 1, &options), PL_EINVAL);
    CHECK(other == NULL);
    CHECK_EQ_INT(pl_channel_create(&other, 16, SIZE_MAX / 16, NULL), PL_ENOMEM); /* would overflow */
    CHECK_EQ_INT(pl_channel_create(&other, SIZE_MAX, 1, NULL), PL_ENOMEM);
    CHECK(other == NULL);
    CHECK_EQ_INT(pl_channel_send(NULL, &value), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_send(ch, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_try_send(NULL, &value), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_try_send(ch, NULL), PL_EINVAL);
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(pl_channel_receive(NULL, &value), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_receive(ch, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_try_receive(NULL, &value), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_try_receive(ch, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_close(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_select(NULL, 1, 0), PL_EINVAL);
    c = pl_case_receive(ch, NULL);
    CHECK_EQ_INT(pl_select(&c, 1, 0), PL_EINVAL);
    c = pl_case_receive(ch, &value);
    c.kind = 2;
    CHECK_EQ_INT(pl_select(&c, 1, 0), PL_EINVAL);
    c.kind = PL_CASE_RECEIVE;
    CHECK_EQ_INT(pl_select(&c, (size_t)INT32_MAX + 1, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_size(ch), 1);
    CHECK_EQ_INT(pl_channel_size(NULL), 0);
    CHECK_EQ_INT(pl_channel_capacity(NULL), 0);
    CHECK_EQ_INT(pl_channel_is_closed(NULL), 0);
    CHECK(pl_channel_ref(NULL) == NULL);
    pl_channel_unref(NULL);
    EXPECT_TRACE(&p->f, "");
}

static void wait_in_callback(void *arg)
{
    pl_channel *ch = arg;
    int value = 1;
    pl_select_case c = pl_case_receive(ch, &value);
    CHECK_EQ_INT(pl_channel_send(ch, &value), PL_ENOTASK);
    CHECK_EQ_INT(pl_channel_receive(ch, &value), PL_ENOTASK);
    CHECK_EQ_INT(pl_select(&c, 1, 0), PL_ENOTASK);
}

CHANNEL_CASE(only_a_task_may_wait, 2)
{
    (void)p;
    CHECK_EQ_INT(put(ch, 1), PL_OK);
    CHECK_EQ_INT(pl_call_soon(NULL, wait_in_callback, ch, NULL), PL_OK);
    turns(1);
    CHECK_EQ_INT(pl_channel_size(ch), 1);
}

TEST_CASE(outside_of_a_loop_a_channel_is_used_without_waiting)
{
    play p;
    pl_channel *other;
    REQUIRE(play_open(&p, t));
    CHECK_EQ_INT(pl_channel_create(&other, 1, 1, NULL), PL_ENOLOOP);
    receiver(&p, make(&p, 0, 0));
    turn(&p.f, 1);
    wait_in_callback(p.channels[0]);
    CHECK_EQ_INT(put(p.channels[0], 1), PL_OK);
    CHECK_EQ_INT(put(p.channels[0], 2), PL_EFULL);
    turn(&p.f, 2);
    EXPECT_TRACE(&p.f, "a=1 ");
    play_close(&p);
}

static int64_t use_elsewhere(void *arg)
{
    pl_channel *ch = arg;
    pl_select_case c;
    int value = 1;
    CHECK_EQ_INT(wait_put(ch, 1), PL_EINVAL);
    CHECK_EQ_INT(put(ch, 1), PL_EINVAL);
    CHECK_EQ_INT(wait_get(ch), PL_EINVAL);
    CHECK_EQ_INT(get(ch), PL_EINVAL);
    CHECK_EQ_INT(pl_channel_close(ch), PL_EINVAL);
    c = pl_case_receive(ch, &value);
    CHECK_EQ_INT(pl_select(&c, 1, 0), PL_EINVAL);
    return 0;
}

TEST_CASE(a_channel_is_of_one_loop)
{
    play p;
    fixture other;
    REQUIRE(play_open(&p, t));
    CHECK_EQ_INT(put(make(&p, 0, 2), 7), PL_OK);
    REQUIRE(fixture_open(&other, t));
    CHECK_EQ_INT(run_task(&other, use_elsewhere, p.channels[0]), 0);
    fixture_close(&other);
    CHECK_EQ_INT(get(p.channels[0]), 7);
    play_close(&p);
}

static void use_in_another_thread(void *arg)
{
    play *p = arg;
    pl_channel *other;
    pl_channel_options options = {.size = sizeof options, .loop = p->f.loop};
    CHECK_EQ_INT(pl_channel_create(&other, 1, 1, &options), PL_ETHREAD);
    CHECK_EQ_INT(put(p->channels[0], 1), PL_ETHREAD);
    CHECK_EQ_INT(get(p->channels[0]), PL_ETHREAD);
    CHECK_EQ_INT(pl_channel_close(p->channels[0]), PL_ETHREAD);
}

TEST_CASE(debug_mode_refuses_other_threads)
{
    play p;
    memset(&p, 0, sizeof p);
    current = &p;
    REQUIRE(fixture_open_debug(&p.f, t));
    turn(&p.f, 1); /* binds the loop to this thread */
    CHECK_EQ_INT(put(make(&p, 0, 2), 1), PL_OK);
    REQUIRE(test_in_thread(use_in_another_thread, &p));
    CHECK_EQ_INT(get(p.channels[0]), 1);
    play_close(&p);
}

/* --- Memory ------------------------------------------------------------------------------------------------------- */

TEST_CASE(a_channel_that_finds_no_memory_is_not_made)
{
    play p;
    allocation a;
    pl_channel_options options = {.size = sizeof options};
    pl_channel *ch = (pl_channel *)(void *)&p;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE(play_open(&p, t));
    options.loop = p.f.loop;
    a.fail_at = a.calls + 1;
    CHECK_EQ_INT(pl_channel_create(&ch, 4, 4, &options), PL_ENOMEM);
    CHECK(ch == NULL);
    play_close(&p);
    allocation_end(&a);
}

static int64_t pass_without_memory(void *arg)
{
    play *p = arg;
    pl_channel *ch = p->channels[0];
    CHECK_EQ_INT(wait_put(ch, 1), PL_OK); /* b waits for it */
    CHECK_EQ_INT(wait_get(ch), 3);        /* from a */
    CHECK_EQ_INT(pl_channel_close(ch), PL_OK);
    turns(2);
    return 0;
}

TEST_CASE(sending_receiving_and_selecting_allocate_nothing)
{
    play p;
    allocation a;
    pl_task *task;
    actor *b;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE(play_open(&p, t));
    b = selector(&p, make(&p, 0, 0), make(&p, 1, 3));
    sender(&p, p.channels[0], 2); /* goes to the select */
    receiver(&p, p.channels[0]);
    sender(&p, p.channels[1], 4);
    task = start_task(&p.f, pass_without_memory, &p);
    (void)b;
    turn(&p.f, 1); /* all have a stack now */
    sender(&p, p.channels[0], 3);
    turn(&p.f, 1);
    a.fail_at = a.calls + 1;
    a.fail_forever = true;
    CHECK_EQ_INT(finish_task(&p.f, task), 0);
    CHECK_EQ_INT(a.failed, 0); /* nothing even asked */
    a.fail_at = 0;
    EXPECT_TRACE(&p.f, "b+ d+ a0=2 c=1 e+ ");
    pl_task_unref(task);
    play_close(&p);
    allocation_end(&a);
}

static int64_t select_without_memory(void *arg)
{
    play *p = arg;
    allocation *a = (allocation *)(void *)p->f.futures[0];
    pl_select_case c;
    int value = -1;
    p->f.futures[0] = NULL;
    c = pl_case_receive(p->channels[0], &value);
    a->fail_at = a->calls + 1;
    CHECK_EQ_INT(pl_select(&c, 1, PL_SECONDS(1)), PL_ENOMEM); /* the first timer of the loop */
    a->fail_at = 0;
    CHECK_EQ_INT(put(p->channels[0], 1), PL_EFULL);
    CHECK_EQ_INT(pl_select(&c, 1, PL_US(100)), PL_ETIMEDOUT);
    return 0;
}

TEST_CASE(a_limit_that_finds_no_memory_waits_for_nothing)
{
    play p;
    allocation a;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE(play_open(&p, t));
    (void)make(&p, 0, 0);
    p.f.futures[0] = (pl_future *)(void *)&a;
    CHECK_EQ_INT(run_task(&p.f, select_without_memory, &p), 0);
    play_close(&p);
    allocation_end(&a);
}

/* --- Against a model ---------------------------------------------------------------------------------------------- */

/* A plain model of the same rules, with arrays, and a ready queue of its own. In each round the program calls without
 * waiting, starts selects of one to three cases, cancels some, and closes channels; then all run until nobody can go on, in
 * the program and in the model, and the order and the results of all calls must be the same. Which of several ready cases
 * was chosen the model is told, and says whether it could be. */
enum { MODEL_TASKS = 10, MODEL_CHANNELS = 3, MODEL_CASES = 3, MODEL_LOG = 400, MODEL_ROUNDS = 2000 };

enum model_state { IDLE, STARTING, WAITING, DONE };

typedef struct model_case {
    int channel; /* -1: none */
    bool sends;
    int value; /* to be sent, or received */
} model_case;

typedef struct model_task {
    enum model_state state;
    bool plain; /* a send or a receive, not a select */
    model_case cases[MODEL_CASES];
    int count;
    int ticket;
    bool cancelled; /* before it began */
    int index, result;
    /* The program's. */
    pl_task *task;
    pl_select_case real[MODEL_CASES];
    int values[MODEL_CASES];
    int chosen;
} model_task;

typedef struct model_channel {
    pl_channel *channel; /* the program's */
    int values[4], count, capacity;
    bool closed;
} model_channel;

typedef struct model {
    model_channel channels[MODEL_CHANNELS];
    model_task tasks[MODEL_TASKS];
    int ready[MODEL_TASKS], ready_count;
    int expected[MODEL_LOG], expected_count; /* task, index, result, value ... */
    int seen[MODEL_LOG], seen_count;
    int tickets, made;
    int drops_expected, drops_seen;
    int64_t waits, choices, meetings; /* the test is worth something */
    uint64_t random;
} model;

static model *present;

static void log_end(int *log, int *count, int task, int index, int result, int value)
{
    if (!CHECK(*count + 4 <= MODEL_LOG))
        return;
    log[(*count)++] = task;
    log[(*count)++] = index;
    log[(*count)++] = result;
    log[(*count)++] = value;
}

/* The first in line at a channel that wants to send, or to receive: its case, too. NULL: none. A task is in line once for
 * each of its cases, in their order. */
static model_task *model_first(model *m, int channel, bool sends, int *index)
{
    model_task *first = NULL;
    for (int i = 0; i < MODEL_TASKS; i++) {
        model_task *task = &m->tasks[i];
        for (int k = 0; task->state == WAITING && k < task->count; k++) {
            const model_case *c = &task->cases[k];
            if (c->channel != channel || c->sends != sends || (first && first->ticket <= task->ticket))
                continue;
            first = task;
            *index = k;
        }
    }
    return first;
}

static bool model_can(model *m, const model_case *c)
{
    int index;
    const model_channel *channel;
    if (c->channel < 0)
        return false;
    channel = &m->channels[c->channel];
    if (channel->closed || model_first(m, c->channel, !c->sends, &index))
        return true;
    return c->sends ? channel->count < channel->capacity : channel->count > 0;
}

static void model_finish(model *m, model_task *task, int index, int result)
{
    task->state = DONE;
    task->index = index;
    task->result = result;
    m->ready[m->ready_count++] = (int)(task - m->tasks);
}

/* As pl_channel_try_send. */
static int model_send(model *m, int number, int value)
{
    model_channel *channel = &m->channels[number];
    int index;
    model_task *receiving = model_first(m, number, false, &index);
    if (channel->closed)
        return PL_ECLOSED;
    if (receiving) {
        receiving->cases[index].value = value;
        model_finish(m, receiving, index, PL_OK);
        m->meetings++;
        return PL_OK;
    }
    if (channel->count == channel->capacity)
        return PL_EFULL;
    channel->values[channel->count++] = value;
    return PL_OK;
}

/* As pl_channel_try_receive. */
static int model_receive(model *m, int number, int *value)
{
    model_channel *channel = &m->channels[number];
    int index;
    model_task *sending = model_first(m, number, true, &index);
    if (channel->count == 0 && !sending)
        return channel->closed ? PL_ECLOSED : PL_EEMPTY;
    if (sending)
        channel->values[channel->count++] = sending->cases[index].value; /* one more than it may hold, for a moment */
    *value = channel->values[0];
    memmove(&channel->values[0], &channel->values[1], (size_t)(--channel->count) * sizeof channel->values[0]);
    if (sending) {
        model_finish(m, sending, index, PL_OK);
        m->meetings++;
    }
    return PL_OK;
}

/* A task begins its call. */
static void model_begin_call(model *m, model_task *task)
{
    int able = 0;
    model_case *c;
    for (int i = 0; i < task->count; i++)
        able += model_can(m, &task->cases[i]);
    if (able == 0) {
        task->state = WAITING;
        task->ticket = m->tickets++;
        m->waits++;
        return;
    }
    m->choices += able > 1;
    task->index = task->chosen; /* what the program did */
    REQUIRE(task->index >= 0 && task->index < task->count);
    c = &task->cases[task->index];
    CHECK(model_can(m, c));
    task->result = c->sends ? model_send(m, c->channel, c->value) : model_receive(m, c->channel, &c->value);
    task->state = DONE;
}

static void model_step(model *m, int number)
{
    model_task *task = &m->tasks[number];
    if (task->state == STARTING && task->cancelled) {
        task->state = IDLE; /* never runs */
        return;
    }
    if (task->state == STARTING)
        model_begin_call(m, task);
    if (task->state != DONE)
        return;
    task->state = IDLE;
    log_end(m->expected, &m->expected_count, number, task->index, task->result,
            task->index >= 0 ? task->cases[task->index].value : -1);
}

static void model_settle(model *m)
{
    while (m->ready_count > 0) {
        int first = m->ready[0];
        memmove(&m->ready[0], &m->ready[1], (size_t)(--m->ready_count) * sizeof m->ready[0]);
        model_step(m, first);
    }
}

static int plain_call(model_task *task, int *result)
{
    pl_select_case *c = &task->real[0];
    *result =
        c->kind == PL_CASE_SEND ? pl_channel_send(c->channel, c->value) : pl_channel_receive(c->channel, c->value);
    return *result == PL_ECANCELED ? -1 : 0;
}

static int64_t model_task_main(void *arg)
{
    model *m = present;
    int number = (int)(intptr_t)arg;
    model_task *task = &m->tasks[number];
    int result = PL_OK;
    if (task->plain) {
        task->chosen = plain_call(task, &result);
    } else {
        task->chosen = pl_select(task->real, (size_t)task->count, PL_FOREVER);
        result = task->chosen >= 0 ? task->real[task->chosen].result : task->chosen;
        task->chosen = task->chosen >= 0 ? task->chosen : -1;
    }
    log_end(m->seen, &m->seen_count, number, task->chosen, result, task->chosen >= 0 ? task->values[task->chosen] : -1);
    return 0;
}

static void model_add_case(model *m, model_task *task)
{
    int number = random_below(&m->random, task->plain ? MODEL_CHANNELS : MODEL_CHANNELS + 1) - !task->plain;
    bool sends = random_below(&m->random, 2) == 0;
    int i = task->count++;
    pl_channel *channel = number >= 0 ? m->channels[number].channel : NULL;
    task->values[i] = sends ? ++m->made : -1;
    task->cases[i] = (model_case){.channel = number, .sends = sends, .value = task->values[i]};
    task->real[i] = sends ? pl_case_send(channel, &task->values[i]) : pl_case_receive(channel, &task->values[i]);
}

static void model_start(model *m)
{
    for (int i = 0; i < MODEL_TASKS; i++) {
        model_task *task = &m->tasks[i];
        if (task->state != IDLE || task->task)
            continue;
        *task = (model_task){.state = STARTING, .plain = random_below(&m->random, 2) == 0, .chosen = -1};
        for (int k = task->plain ? 0 : random_below(&m->random, MODEL_CASES); k >= 0; k--)
            model_add_case(m, task);
        m->ready[m->ready_count++] = i;
        CHECK_EQ_INT(pl_spawn(&task->task, model_task_main, (void *)(intptr_t)i, NULL), PL_OK);
        return;
    }
}

static void model_cancel(model *m)
{
    model_task *task = &m->tasks[random_below(&m->random, MODEL_TASKS)];
    if (task->state == IDLE)
        return;
    CHECK_EQ_INT(pl_task_cancel(task->task), 1);
    if (task->state == STARTING)
        task->cancelled = true;
    else if (task->state == WAITING)
        model_finish(m, task, -1, PL_ECANCELED);
}

static void model_close(model *m, int number)
{
    model_channel *channel = &m->channels[number];
    model_task *task;
    int index;
    CHECK_EQ_INT(pl_channel_close(channel->channel), PL_OK);
    channel->closed = true;
    while ((task = model_first(m, number, false, &index)))
        model_finish(m, task, index, PL_ECLOSED);
    while ((task = model_first(m, number, true, &index)))
        model_finish(m, task, index, PL_ECLOSED);
}

static void model_count_drop(void *value)
{
    (void)value;
    present->drops_seen++;
}

static void model_renew(model *m, int number)
{
    pl_channel_options options = {.size = sizeof options, .drop = model_count_drop};
    model_channel *channel = &m->channels[number];
    *channel = (model_channel){.capacity = random_below(&m->random, 4)};
    if (channel->capacity == 3)
        channel->capacity = 0; /* the rendezvous is the harder one */
    CHECK_EQ_INT(pl_channel_create(&channel->channel, sizeof(int), (size_t)channel->capacity, &options), PL_OK);
}

static void model_act(model *m)
{
    int number = random_below(&m->random, MODEL_CHANNELS);
    pl_channel *channel = m->channels[number].channel;
    int dice = random_below(&m->random, 100);
    if (dice < 50) {
        model_start(m);
    } else if (dice == 99 && random_below(&m->random, 2) == 0) {
        model_close(m, number);
    } else if (dice < 65) {
        m->made++;
        CHECK_EQ_INT(put(channel, m->made), model_send(m, number, m->made));
    } else if (dice < 80) {
        int value = -1;
        int got = -1;
        CHECK_EQ_INT(pl_channel_try_receive(channel, &got), model_receive(m, number, &value));
        CHECK_EQ_INT(got, value);
    } else {
        model_cancel(m);
    }
}

/* False: they differ. */
static bool model_compare(model *m)
{
    bool same = CHECK_EQ_INT(m->seen_count, m->expected_count) &&
                CHECK_MEM(m->seen, m->expected, (size_t)m->seen_count * sizeof m->seen[0]);
    m->seen_count = 0;
    m->expected_count = 0;
    same = same && CHECK_EQ_INT(m->drops_seen, m->drops_expected);
    for (int i = 0; i < MODEL_CHANNELS; i++)
        same = same && CHECK_EQ_INT(pl_channel_size(m->channels[i].channel), m->channels[i].count);
    for (int i = 0; i < MODEL_TASKS; i++) {
        model_task *task = &m->tasks[i];
        if (!task->task)
            continue;
        bool ended = pl_future_state(pl_task_future(task->task)) != PL_PENDING;
        same = same && CHECK_EQ_INT(ended, task->state == IDLE);
        if (!ended)
            continue;
        pl_task_unref(task->task);
        task->task = NULL;
    }
    return same;
}

static bool model_finish_round(model *m)
{
    turns(6 + MODEL_TASKS);
    model_settle(m);
    return model_compare(m);
}

static bool model_round(model *m)
{
    for (int i = random_below(&m->random, 8); i >= 0; i--)
        model_act(m);
    return model_finish_round(m);
}

/* Closes one, lets go of it, and makes another: one that is closed already, if there is. */
static bool model_replace(model *m)
{
    int number = random_below(&m->random, MODEL_CHANNELS);
    for (int i = 0; i < MODEL_CHANNELS; i++)
        number = m->channels[i].closed ? i : number;
    pl_channel *old = m->channels[number].channel;
    model_close(m, number);
    if (!model_finish_round(m))
        return false;
    m->drops_expected += m->channels[number].count;
    for (int i = 0; i < MODEL_TASKS; i++) /* who still waits elsewhere keeps it */
        if (!CHECK(m->tasks[i].state == IDLE || m->tasks[i].cases[0].channel != number))
            return false;
    pl_channel_unref(old);
    model_renew(m, number);
    return true;
}

static int64_t model_run(void *arg)
{
    model *m = arg;
    int rounds = scaled(MODEL_ROUNDS);
    bool same = true;
    for (int i = 0; i < MODEL_CHANNELS; i++)
        model_renew(m, i);
    for (int i = 0; same && i < rounds; i++) {
        if (i % 20 == 19)
            same = model_replace(m);
        same = same && model_round(m);
    }
    for (int i = 0; same && i < MODEL_TASKS; i++)
        if (m->tasks[i].state == WAITING) {
            CHECK_EQ_INT(pl_task_cancel(m->tasks[i].task), 1);
            model_finish(m, &m->tasks[i], -1, PL_ECANCELED);
        }
    same = same && model_finish_round(m);
    for (int i = 0; i < MODEL_CHANNELS; i++)
        pl_channel_unref(m->channels[i].channel);
    CHECK(m->waits > rounds / 2 && m->choices > rounds / 50 && m->meetings > rounds / 4);
    return same ? 0 : 1;
}

TEST_CASE(random_use_of_channels_is_as_the_model_says)
{
    fixture f;
    model *m = calloc(1, sizeof *m);
    REQUIRE(m != NULL);
    if (fixture_open(&f, t)) {
        present = m;
        m->random = 20260102;
        CHECK_EQ_INT(run_task(&f, model_run, m), 0);
        fixture_close(&f);
    }
    free(m);
}

TEST_SUITE(
    channel, TEST_BACKENDS_ALL, CASE(without_capacity_a_send_waits_for_a_receiver),
    CASE(without_capacity_a_send_goes_to_a_receiver_that_waits), CASE(calls_that_do_not_wait_say_full_and_empty),
    CASE(up_to_its_capacity_values_lie_in_it), CASE(senders_are_served_first_come_first_served),
    CASE(receivers_are_served_first_come_first_served), CASE(nobody_takes_what_was_handed_over),
    CASE(values_are_copied_whole), CASE(a_channel_may_carry_no_values), CASE(a_value_may_be_sent_to_where_it_is),
    CASE(callbacks_send_and_receive_without_waiting), CASE(a_task_that_never_has_to_wait_gives_way),
    CASE(a_receiver_cancelled_before_a_value_came_gets_none), CASE(a_receiver_cancelled_after_a_value_came_has_it),
    CASE(a_sender_cancelled_before_its_value_went_keeps_it), CASE(a_sender_cancelled_after_its_value_went_has_sent_it),
    CASE(a_wait_that_ran_out_of_time_leaves_nobody_behind), CASE(in_a_cancelled_scope_nothing_is_sent_or_received),
    CASE(a_closed_channel_is_drained_first), CASE(a_close_ends_the_receivers_that_wait),
    CASE(a_close_ends_the_senders_that_wait_and_their_values_are_theirs),
    CASE(a_value_handed_over_before_the_close_arrives), CASE(the_last_reference_drops_the_values_that_nobody_took),
    CASE(without_a_drop_function_values_are_forgotten), CASE(a_channel_may_be_let_go_of_while_a_task_waits_on_it),
    CASE(a_channel_outlives_its_loop_and_still_drops_its_values), CASE(a_closed_loop_has_no_channel),
    CASE(a_select_makes_the_case_happen_that_can), CASE(a_select_waits_until_one_of_its_cases_can_happen),
    CASE(a_select_that_waits_to_send_sends_one_of_its_values), CASE(plain_calls_and_selects_stand_in_one_line),
    CASE(two_selects_meet), CASE(of_several_ready_cases_each_is_as_likely), CASE(the_seed_alone_decides_what_is_chosen),
    CASE(a_channel_may_stand_twice_in_a_select), CASE(a_select_does_not_receive_what_it_sends),
    CASE(two_selects_that_both_send_and_receive_meet_once), CASE(a_null_channel_is_never_ready),
    CASE(a_select_of_nothing_ends_by_its_limit_or_a_cancel), CASE(a_closed_channel_is_ready),
    CASE(a_channel_that_is_closed_ends_the_select_that_waits),
    CASE(a_close_ends_a_select_that_waits_to_send_and_to_receive_there_once), CASE(a_select_ends_by_its_limit),
    CASE(a_case_that_happens_stops_the_limit), CASE(a_value_that_comes_in_the_iteration_of_the_limit_comes_or_does_not),
    CASE(a_cancelled_select_has_done_nothing), CASE(a_select_cancelled_after_a_case_happened_returns_that),
    CASE(cases_serve_one_select_at_a_time), CASE(arguments_are_checked), CASE(only_a_task_may_wait),
    CASE(outside_of_a_loop_a_channel_is_used_without_waiting), CASE(a_channel_is_of_one_loop),
    CASE(debug_mode_refuses_other_threads), CASE(a_channel_that_finds_no_memory_is_not_made),
    CASE(sending_receiving_and_selecting_allocate_nothing), CASE(a_limit_that_finds_no_memory_waits_for_nothing),
    CASE(random_use_of_channels_is_as_the_model_says))
