/* Queues: order, waiting, the races of those who were told to go on, join, shutdown; and random use against a model. */
#include <proloop/proloop.h>

#include "allocation.h"
#include "fixture.h"
#include "harness.h"
#include "threads.h"

enum { ACTORS = 8 };

typedef struct play play;

/* A task that makes one call, and notes how it ended: "a=3" got the item 3, "a+" put, "a." joined, "a!PL_E..." failed. */
typedef struct actor {
    play *p;
    pl_task *task;
    void *item;
    int result;
    char name;
} actor;

struct play {
    fixture f;
    pl_queue queue;
    actor actors[ACTORS];
    int used;
    char dropped[FIXTURE_TEXT];
};

static play *current; /* for drop functions, which are told the item alone */

static void *item_of(int number)
{
    return (void *)(intptr_t)number;
}

static int number_of(void *item)
{
    return (int)(intptr_t)item;
}

static void drop_item(void *item)
{
    char number[24];
    (void)snprintf(number, sizeof number, "%d", number_of(item));
    fixture_append(current->dropped, number);
}

static int compare_numbers(const void *a, const void *b)
{
    return (int)((intptr_t)a - (intptr_t)b);
}

/* Items are equal if their tens are. */
static int compare_tens(const void *a, const void *b)
{
    return (int)((intptr_t)a / 10 - (intptr_t)b / 10);
}

static void begin(play *p, int kind, size_t maximum)
{
    pl_queue_options options = {.size = sizeof options, .loop = p->f.loop, .kind = kind, .maximum = maximum};
    options.drop = drop_item;
    if (kind == PL_QUEUE_PRIORITY)
        options.compare = compare_numbers;
    CHECK_EQ_INT(pl_queue_begin(&p->queue, &options), PL_OK);
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
    pl_queue_end(&p->queue);
    fixture_close(&p->f);
}

/* A case whose body is a task, with a queue that is first in first out. */
#define QUEUE_CASE(name, maximum)                                                                                      \
    static void name##_body(play *p);                                                                                  \
    static int64_t name##_task(void *arg)                                                                              \
    {                                                                                                                  \
        name##_body(arg);                                                                                              \
        return 0;                                                                                                      \
    }                                                                                                                  \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        play p;                                                                                                        \
        REQUIRE(play_open(&p, t));                                                                                     \
        begin(&p, PL_QUEUE_FIFO, maximum);                                                                             \
        CHECK_EQ_INT(run_task(&p.f, name##_task, &p), 0);                                                              \
        play_close(&p);                                                                                                \
    }                                                                                                                  \
    static void name##_body(play *p)

/* --- Actors ------------------------------------------------------------------------------------------------------- */

static void actor_note(const actor *a, const char *sign, const char *text)
{
    char word[64];
    (void)snprintf(word, sizeof word, "%c%s%s", a->name, sign, text);
    note(&a->p->f, word);
}

static int64_t actor_ended(actor *a, const char *sign)
{
    char number[24] = "";
    if (a->result < 0) {
        actor_note(a, "!", pl_error_name(a->result));
        return a->result == PL_ECANCELED ? PL_ECANCELED : 0;
    }
    if (sign[0] == '=')
        (void)snprintf(number, sizeof number, "%d", number_of(a->item));
    actor_note(a, sign, number);
    return 0;
}

static int64_t get_one(void *arg)
{
    actor *a = arg;
    a->result = pl_queue_get(&a->p->queue, &a->item);
    CHECK(a->result == PL_OK || a->item == NULL);
    return actor_ended(a, "=");
}

static int64_t put_one(void *arg)
{
    actor *a = arg;
    a->result = pl_queue_put(&a->p->queue, a->item);
    return actor_ended(a, "+");
}

static int64_t join_it(void *arg)
{
    actor *a = arg;
    a->result = pl_queue_join(&a->p->queue);
    return actor_ended(a, ".");
}

/* Actors are named a, b, c ... in the order in which they come. */
static actor *act(play *p, pl_task_fn *fn, int item)
{
    actor *a = &p->actors[p->used];
    a->p = p;
    a->name = (char)('a' + p->used++);
    a->item = item_of(item);
    a->task = start_task(&p->f, fn, a);
    return a;
}

static actor *getter(play *p)
{
    return act(p, get_one, 0);
}

static actor *putter(play *p, int item)
{
    return act(p, put_one, item);
}

/* Lets the others run. */
static void turns(int count)
{
    while (count-- > 0)
        CHECK_EQ_INT(pl_yield(), PL_OK);
}

static void put(play *p, int number)
{
    CHECK_EQ_INT(pl_queue_put_nowait(&p->queue, item_of(number)), PL_OK);
}

/* The number of the item that comes, or the error. */
static int get(play *p)
{
    void *item = p;
    int rc = pl_queue_get_nowait(&p->queue, &item);
    CHECK(rc == PL_OK || item == NULL);
    return rc == PL_OK ? number_of(item) : rc;
}

static int wait_get(play *p)
{
    void *item = p;
    int rc = pl_queue_get(&p->queue, &item);
    CHECK(rc == PL_OK || item == NULL);
    return rc == PL_OK ? number_of(item) : rc;
}

static int wait_put(play *p, int number)
{
    return pl_queue_put(&p->queue, item_of(number));
}

static void expect_sequence(play *p, const int *numbers, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_EQ_INT(get(p), numbers[i]);
    CHECK_EQ_INT(get(p), PL_EEMPTY);
}

/* --- What it holds ------------------------------------------------------------------------------------------------ */

/* QueueBasicTests.test_empty, test_full */
QUEUE_CASE(a_queue_knows_whether_it_is_empty_or_full, 2)
{
    CHECK(pl_queue_is_empty(&p->queue) != 0);
    CHECK_EQ_INT(pl_queue_is_full(&p->queue), 0);
    CHECK_EQ_INT(wait_put(p, 1), PL_OK);
    CHECK_EQ_INT(pl_queue_is_empty(&p->queue), 0);
    CHECK_EQ_INT(pl_queue_is_full(&p->queue), 0);
    CHECK_EQ_INT(wait_put(p, 2), PL_OK);
    CHECK(pl_queue_is_full(&p->queue) != 0);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 2);
    CHECK_EQ_INT(wait_get(p), 1);
    CHECK_EQ_INT(wait_get(p), 2);
    CHECK(pl_queue_is_empty(&p->queue) != 0);
}

/* test_nonblocking_put_exception, test_nonblocking_get_exception */
QUEUE_CASE(calls_that_do_not_wait_say_full_and_empty, 1)
{
    CHECK_EQ_INT(get(p), PL_EEMPTY);
    put(p, 1);
    CHECK_EQ_INT(pl_queue_put_nowait(&p->queue, item_of(2)), PL_EFULL);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 1);
    CHECK_EQ_INT(get(p), 1);
    CHECK_EQ_INT(get(p), PL_EEMPTY);
}

QUEUE_CASE(without_a_maximum_it_is_never_full, 0)
{
    for (int i = 0; i < 1000; i++) {
        put(p, i);
        CHECK_EQ_INT(pl_queue_is_full(&p->queue), 0);
    }
    for (int i = 0; i < 1000; i++)
        CHECK_EQ_INT(get(p), i);
}

QUEUE_CASE(null_is_an_item, 0)
{
    void *item = p;
    CHECK_EQ_INT(pl_queue_put(&p->queue, NULL), PL_OK);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 1);
    CHECK_EQ_INT(pl_queue_get(&p->queue, &item), PL_OK);
    CHECK(item == NULL);
    CHECK_EQ_INT(get(p), PL_EEMPTY);
}

/* QueueBasicTests.test_order */
QUEUE_CASE(first_in_first_out, 0)
{
    static const int order[] = {1, 3, 2};
    for (int i = 0; i < 3; i++)
        put(p, order[i]);
    expect_sequence(p, order, 3);
}

QUEUE_CASE(the_order_holds_wherever_the_ring_begins_when_it_grows, 0)
{
    for (int shift = 0; shift < 20; shift++) {
        pl_queue_end(&p->queue);
        begin(p, PL_QUEUE_FIFO, 0);
        for (int i = 0; i < shift; i++) {
            put(p, -1);
            CHECK_EQ_INT(get(p), -1);
        }
        for (int i = 0; i < 100; i++)
            put(p, i);
        for (int i = 0; i < 100; i++)
            CHECK_EQ_INT(get(p), i);
    }
}

static void with_kind(play *p, int kind)
{
    pl_queue_end(&p->queue);
    begin(p, kind, 0);
}

/* LifoQueueTests.test_order */
QUEUE_CASE(last_in_first_out, 0)
{
    static const int order[] = {2, 3, 1};
    with_kind(p, PL_QUEUE_LIFO);
    put(p, 1);
    put(p, 3);
    put(p, 2);
    expect_sequence(p, order, 3);
    for (int i = 0; i < 100; i++)
        put(p, i);
    for (int i = 99; i >= 0; i--)
        CHECK_EQ_INT(get(p), i);
}

/* PriorityQueueTests.test_order */
QUEUE_CASE(the_item_that_compares_least_comes_first, 0)
{
    static const int order[] = {1, 2, 3};
    with_kind(p, PL_QUEUE_PRIORITY);
    put(p, 1);
    put(p, 3);
    put(p, 2);
    expect_sequence(p, order, 3);
    for (int i = 0; i < 97; i++)
        put(p, i * 31 % 97);
    for (int i = 0; i < 97; i++)
        CHECK_EQ_INT(get(p), i);
}

QUEUE_CASE(items_of_equal_priority_are_first_in_first_out, 0)
{
    pl_queue_options options = {.size = sizeof options, .kind = PL_QUEUE_PRIORITY, .compare = compare_tens};
    pl_queue_end(&p->queue);
    CHECK_EQ_INT(pl_queue_begin(&p->queue, &options), PL_OK);
    for (int i = 0; i < 10; i++) {
        put(p, 20 + i);
        put(p, 10 + i);
        put(p, 30 + i);
    }
    for (int i = 0; i < 30; i++)
        CHECK_EQ_INT(get(p), 10 + i);
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

/* test_blocking_get_wait */
QUEUE_CASE(a_get_waits_for_an_item, 0)
{
    getter(p);
    turns(3);
    EXPECT_TRACE(&p->f, "");
    put(p, 1);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 1); /* until the getter runs */
    turns(1);
    EXPECT_TRACE(&p->f, "a=1 ");
    CHECK_EQ_INT(pl_queue_size(&p->queue), 0);
}

/* test_maxsize, test_blocking_put_wait */
QUEUE_CASE(a_put_waits_for_a_place, 2)
{
    putter(p, 0);
    putter(p, 1);
    putter(p, 2);
    turns(3);
    EXPECT_TRACE(&p->f, "a+ b+ ");
    CHECK_EQ_INT(wait_get(p), 0);
    turns(1);
    EXPECT_TRACE(&p->f, "c+ ");
    CHECK_EQ_INT(wait_get(p), 1);
    CHECK_EQ_INT(wait_get(p), 2);
}

/* test_get_with_waiting_putters */
QUEUE_CASE(a_get_that_waits_gets_what_waiting_putters_put, 1)
{
    putter(p, 1);
    putter(p, 2);
    CHECK_EQ_INT(wait_get(p), 1);
    CHECK_EQ_INT(wait_get(p), 2);
    EXPECT_TRACE(&p->f, "a+ b+ ");
}

/* test_put_with_waiting_getters */
QUEUE_CASE(a_put_wakes_a_getter_that_waits, 0)
{
    getter(p);
    turns(1);
    CHECK_EQ_INT(wait_put(p, 7), PL_OK);
    EXPECT_TRACE(&p->f, "");
    turns(1);
    EXPECT_TRACE(&p->f, "a=7 ");
}

QUEUE_CASE(getters_are_served_first_come_first_served, 0)
{
    for (int i = 0; i < 4; i++)
        getter(p);
    turns(1);
    for (int i = 0; i < 4; i++)
        put(p, i);
    turns(1);
    EXPECT_TRACE(&p->f, "a=0 b=1 c=2 d=3 ");
}

QUEUE_CASE(putters_are_served_first_come_first_served, 1)
{
    put(p, 9);
    for (int i = 0; i < 4; i++)
        putter(p, i);
    turns(1);
    CHECK_EQ_INT(get(p), 9);
    for (int i = 0; i < 4; i++) {
        turns(1);
        CHECK_EQ_INT(get(p), i);
    }
    turns(1);
    EXPECT_TRACE(&p->f, "a+ b+ c+ d+ ");
}

QUEUE_CASE(the_items_go_out_in_the_queues_own_order_when_the_getters_run, 0)
{
    with_kind(p, PL_QUEUE_LIFO);
    getter(p);
    getter(p);
    turns(1);
    put(p, 1);
    put(p, 2);
    put(p, 3);
    turns(1);
    EXPECT_TRACE(&p->f, "a=3 b=2 ");
    CHECK_EQ_INT(get(p), 1);
}

static int64_t produce_five(void *arg)
{
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(wait_put(arg, i), PL_OK);
    return 0;
}

static int64_t consume_five(void *arg)
{
    for (int i = 0; i < 5; i++)
        CHECK_EQ_INT(wait_get(arg), i);
    return 0;
}

/* test_why_are_getters_waiting */
QUEUE_CASE(a_producer_and_a_consumer_end_with_one_place_between_them, 1)
{
    pl_group group = {0};
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, produce_five, p, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_spawn(&group, consume_five, p, NULL), PL_OK);
    CHECK_EQ_INT(pl_group_end(&group, 0), PL_OK);
}

/* test_why_are_putters_waiting: each get wakes a putter, not the first of them alone. */
QUEUE_CASE(two_gets_in_a_row_wake_two_putters, 2)
{
    for (int i = 0; i < 4; i++)
        putter(p, i);
    turns(1);
    EXPECT_TRACE(&p->f, "a+ b+ ");
    CHECK_EQ_INT(get(p), 0);
    CHECK_EQ_INT(get(p), 1);
    turns(1);
    EXPECT_TRACE(&p->f, "c+ d+ ");
}

static void put_in_callback(void *arg)
{
    put(arg, 5);
}

static void get_in_callback(void *arg)
{
    CHECK_EQ_INT(get(arg), 1);
}

QUEUE_CASE(callbacks_put_and_get_without_waiting, 1)
{
    CHECK_EQ_INT(pl_call_soon(NULL, put_in_callback, p, NULL), PL_OK);
    CHECK_EQ_INT(wait_get(p), 5);
    put(p, 1);
    CHECK_EQ_INT(pl_call_soon(NULL, get_in_callback, p, NULL), PL_OK);
    CHECK_EQ_INT(wait_put(p, 2), PL_OK);
    CHECK_EQ_INT(get(p), 2);
}

/* The one that runs first finds the item, whoever was told of it. */
QUEUE_CASE(a_get_that_need_not_wait_does_not, 0)
{
    getter(p);
    turns(1);
    put(p, 1);
    CHECK_EQ_INT(wait_get(p), 1);
    EXPECT_TRACE(&p->f, "");
    put(p, 2);
    turns(1);
    EXPECT_TRACE(&p->f, "a=2 ");
}

QUEUE_CASE(a_getter_that_was_told_and_found_nothing_keeps_its_turn, 0)
{
    for (int i = 0; i < 3; i++)
        getter(p);
    turns(1);
    put(p, 1);
    put(p, 2);
    CHECK_EQ_INT(get(p), 1);
    CHECK_EQ_INT(get(p), 2);
    turns(1); /* a and b wait again, before c */
    for (int i = 0; i < 3; i++)
        put(p, i);
    turns(1);
    EXPECT_TRACE(&p->f, "a=0 b=1 c=2 ");
}

QUEUE_CASE(a_putter_that_was_told_and_found_no_place_keeps_its_turn, 1)
{
    put(p, 9);
    putter(p, 1);
    putter(p, 2);
    turns(1);
    CHECK_EQ_INT(get(p), 9);
    put(p, 8); /* comes between */
    turns(2);
    EXPECT_TRACE(&p->f, "");
    CHECK_EQ_INT(get(p), 8);
    turns(2);
    EXPECT_TRACE(&p->f, "a+ ");
    CHECK_EQ_INT(get(p), 1);
    CHECK_EQ_INT(get(p), PL_EEMPTY);
    turns(1);
    EXPECT_TRACE(&p->f, "b+ ");
}

/* --- Cancelled while waiting -------------------------------------------------------------------------------------- */

static void cancel(actor *a)
{
    CHECK_EQ_INT(pl_task_cancel(a->task), 1);
}

/* test_get_cancelled_race */
QUEUE_CASE(a_getter_cancelled_before_the_put_does_not_get_the_item, 0)
{
    actor *a = getter(p);
    getter(p);
    turns(1);
    cancel(a);
    turns(1);
    put(p, 1);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED b=1 ");
}

QUEUE_CASE(a_getter_cancelled_in_the_iteration_of_the_put_does_not_get_the_item, 0)
{
    actor *a = getter(p);
    getter(p);
    turns(1);
    cancel(a);
    put(p, 1); /* a has not run since */
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED b=1 ");
}

/* test_get_cancel_drop_one_pending_reader */
QUEUE_CASE(a_getter_cancelled_after_it_was_told_leaves_the_items_in_their_order, 0)
{
    actor *a = getter(p);
    turns(1);
    put(p, 1);
    put(p, 2);
    cancel(a);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED ");
    CHECK_EQ_INT(wait_get(p), 1);
    CHECK_EQ_INT(wait_get(p), 2);
}

/* test_get_cancel_drop_many_pending_readers */
QUEUE_CASE(a_getter_cancelled_after_it_was_told_passes_the_word_on, 0)
{
    actor *a = getter(p);
    getter(p);
    getter(p);
    turns(1);
    put(p, 1);
    put(p, 2);
    cancel(a);
    turns(2);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED b=1 c=2 ");
}

/* The same, twice over: the one that was told in its place is cancelled as well. */
QUEUE_CASE(a_word_that_was_passed_on_is_passed_on_again, 0)
{
    actor *a = getter(p);
    actor *b = getter(p);
    getter(p);
    turns(1);
    put(p, 1);
    cancel(a);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 1);
    turns(1); /* b was told, and has not run */
    cancel(b);
    turns(2);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED b!PL_ECANCELED c=1 ");
}

/* test_put_cancelled_race */
QUEUE_CASE(a_putter_cancelled_among_others_puts_nothing, 1)
{
    actor *c;
    putter(p, 1);
    putter(p, 2);
    c = putter(p, 9);
    turns(1);
    EXPECT_TRACE(&p->f, "a+ ");
    cancel(c);
    turns(1);
    EXPECT_TRACE(&p->f, "c!PL_ECANCELED ");
    CHECK_EQ_INT(get(p), 1);
    turns(1);
    EXPECT_TRACE(&p->f, "b+ ");
    CHECK_EQ_INT(get(p), 2);
    CHECK_EQ_INT(get(p), PL_EEMPTY);
}

/* test_put_cancel_drop, test_cancelled_put_silence_value_error_exception */
QUEUE_CASE(a_putter_cancelled_after_it_was_told_has_put_nothing, 1)
{
    actor *a;
    put(p, 1);
    a = putter(p, 2);
    turns(1);
    CHECK_EQ_INT(get(p), 1);
    cancel(a);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED ");
    CHECK_EQ_INT(pl_queue_size(&p->queue), 0);
    CHECK_EQ_INT(wait_put(p, 3), PL_OK);
    CHECK_EQ_INT(get(p), 3);
}

QUEUE_CASE(a_putter_cancelled_after_it_was_told_passes_the_word_on, 1)
{
    actor *a;
    put(p, 1);
    a = putter(p, 2);
    putter(p, 3);
    turns(1);
    CHECK_EQ_INT(get(p), 1);
    cancel(a);
    turns(2);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED b+ ");
    CHECK_EQ_INT(get(p), 3);
}

/* test_cancelled_getters_not_being_held_in_self_getters, test_cancelled_puts_not_being_held_in_self_putters: the queue may
 * end, for nobody waits in it. */
QUEUE_CASE(a_wait_that_ran_out_of_time_leaves_nobody_behind, 1)
{
    pl_timeout limit = {0};
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_US(100)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, wait_get(p)), PL_ETIMEDOUT);
    put(p, 1);
    limit = (pl_timeout){0};
    CHECK_EQ_INT(pl_timeout_begin(&limit, PL_US(100)), PL_OK);
    CHECK_EQ_INT(pl_timeout_end(&limit, wait_put(p, 2)), PL_ETIMEDOUT);
    pl_queue_end(&p->queue);
    CHECK_STR(p->dropped, "1 ");
}

QUEUE_CASE(in_a_cancelled_scope_nothing_is_put_or_got, 0)
{
    pl_timeout limit = {0};
    put(p, 1);
    CHECK_EQ_INT(pl_timeout_begin(&limit, 0), PL_OK);
    CHECK_EQ_INT(wait_put(p, 2), PL_ECANCELED);
    CHECK_EQ_INT(wait_get(p), PL_ECANCELED);
    CHECK_EQ_INT(pl_queue_join(&p->queue), PL_ECANCELED);
    CHECK_EQ_INT(pl_timeout_end(&limit, PL_ECANCELED), PL_ETIMEDOUT);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 1);
}

/* The limit runs out after the getter was told and before it ran: it has the item all the same. */
static int64_t get_within_limit(void *arg)
{
    actor *a = arg;
    CHECK_EQ_INT(pl_timeout_begin(a->p->f.timeout, PL_FOREVER), PL_OK);
    a->result = (int)pl_timeout_end(a->p->f.timeout, pl_queue_get(&a->p->queue, &a->item));
    return actor_ended(a, "=");
}

QUEUE_CASE(a_limit_that_runs_out_after_the_word_came_takes_nothing_away, 0)
{
    pl_timeout limit = {0};
    p->f.timeout = &limit;
    act(p, get_within_limit, 0);
    getter(p);
    turns(1);
    put(p, 1);
    put(p, 2);
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, 0), PL_OK);
    CHECK(pl_timeout_expired(&limit) != 0);
    turns(4);
    EXPECT_TRACE(&p->f, "a=1 b=2 ");
}

/* Told, found nothing, and its scope was cancelled meanwhile: it does not wait again. */
QUEUE_CASE(a_getter_that_found_nothing_in_a_cancelled_scope_ends, 0)
{
    pl_timeout limit = {0};
    p->f.timeout = &limit;
    act(p, get_within_limit, 0);
    turns(1);
    put(p, 1);
    CHECK_EQ_INT(get(p), 1);
    CHECK_EQ_INT(pl_timeout_reschedule(&limit, 0), PL_OK);
    turns(4);
    EXPECT_TRACE(&p->f, "a!PL_ETIMEDOUT ");
}

static void count_turn(void *arg)
{
    ((play *)arg)->f.counts[0]++;
}

QUEUE_CASE(a_task_that_never_has_to_wait_gives_way, 0)
{
    CHECK_EQ_INT(pl_call_soon(NULL, count_turn, p, NULL), PL_OK);
    for (int i = 0; i < 1000 && p->f.counts[0] == 0; i++)
        CHECK_EQ_INT(wait_put(p, i), PL_OK);
    CHECK_EQ_INT(p->f.counts[0], 1);
    CHECK_EQ_INT(pl_call_soon(NULL, count_turn, p, NULL), PL_OK);
    for (int i = 0; i < 1000; i++)
        put(p, i);
    for (int i = 0; i < 1000 && p->f.counts[0] == 1; i++)
        CHECK(wait_get(p) >= 0);
    CHECK_EQ_INT(p->f.counts[0], 2);
    pl_queue_end(&p->queue);
    begin(p, PL_QUEUE_FIFO, 0);
    CHECK_EQ_INT(pl_call_soon(NULL, count_turn, p, NULL), PL_OK);
    for (int i = 0; i < 1000 && p->f.counts[0] == 2; i++)
        CHECK_EQ_INT(pl_queue_join(&p->queue), PL_OK);
    CHECK_EQ_INT(p->f.counts[0], 3);
}

static int64_t get_and_end(void *arg)
{
    actor *a = arg;
    (void)get_one(a);
    return 0;
}

TEST_CASE(a_closing_loop_ends_the_waits_and_the_queue_may_end_after_it)
{
    play p;
    REQUIRE(play_open(&p, t));
    begin(&p, PL_QUEUE_FIFO, 1);
    act(&p, get_and_end, 0);
    turn(&p.f, 2);
    CHECK_EQ_INT(pl_queue_put_nowait(&p.queue, item_of(3)), PL_OK);
    turn(&p.f, 2);
    EXPECT_TRACE(&p.f, "a=3 ");
    act(&p, get_and_end, 0);
    turn(&p.f, 2);
    for (int i = 0; i < p.used; i++)
        pl_task_unref(p.actors[i].task);
    fixture_close(&p.f);
    EXPECT_TRACE(&p.f, "b!PL_ECANCELED ");
    CHECK_EQ_INT(pl_queue_put_nowait(&p.queue, item_of(1)), PL_ECLOSED);
    CHECK_EQ_INT(get(&p), PL_ECLOSED);
    CHECK_EQ_INT(pl_queue_task_done(&p.queue), PL_ECLOSED);
    CHECK_EQ_INT(pl_queue_shutdown(&p.queue, 1), PL_ECLOSED);
    pl_queue_end(&p.queue);
}

TEST_CASE(a_queue_that_outlives_its_loop_still_drops_its_items)
{
    play p;
    REQUIRE(play_open(&p, t));
    begin(&p, PL_QUEUE_PRIORITY, 0);
    put(&p, 2);
    put(&p, 1);
    fixture_close(&p.f);
    CHECK_STR(p.dropped, "");
    pl_queue_end(&p.queue);
    CHECK_STR(p.dropped, "1 2 ");
}

/* --- Join --------------------------------------------------------------------------------------------------------- */

/* test_task_done_underflow */
QUEUE_CASE(an_item_is_done_once, 0)
{
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_ESTATE);
    put(p, 1);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK); /* as in asyncio, not only after the get */
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_ESTATE);
    CHECK_EQ_INT(get(p), 1);
}

/* test_join_empty_queue */
QUEUE_CASE(a_join_with_nothing_to_do_does_not_wait, 0)
{
    CHECK_EQ_INT(pl_queue_join(&p->queue), PL_OK);
    CHECK_EQ_INT(pl_queue_join(&p->queue), PL_OK);
}

QUEUE_CASE(a_join_waits_until_the_last_item_is_done, 0)
{
    put(p, 1);
    put(p, 2);
    act(p, join_it, 0);
    act(p, join_it, 0);
    CHECK_EQ_INT(get(p), 1);
    CHECK_EQ_INT(get(p), 2);
    turns(2);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK);
    turns(2);
    EXPECT_TRACE(&p->f, "");
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a. b. ");
}

static int64_t work(void *arg)
{
    play *p = arg;
    int n;
    while ((n = wait_get(p)) >= 0) {
        p->f.counts[0] += n;
        CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK);
    }
    CHECK_EQ_INT(n, PL_ECLOSED);
    return 0;
}

/* test_task_done, of each class */
QUEUE_CASE(a_join_returns_when_the_workers_did_all, 0)
{
    for (int kind = PL_QUEUE_FIFO; kind <= PL_QUEUE_PRIORITY; kind++) {
        pl_group group = {0};
        with_kind(p, kind);
        p->f.counts[0] = 0;
        for (int i = 0; i < 100; i++)
            put(p, i);
        CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
        CHECK_EQ_INT(pl_group_spawn(&group, work, p, NULL), PL_OK);
        CHECK_EQ_INT(pl_group_spawn(&group, work, p, NULL), PL_OK);
        CHECK_EQ_INT(pl_queue_join(&p->queue), PL_OK);
        CHECK_EQ_INT(p->f.counts[0], 4950);
        CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
        CHECK_EQ_INT(pl_group_end(&group, 0), PL_OK);
    }
}

QUEUE_CASE(those_who_join_go_on_even_if_another_item_comes_before_they_run, 0)
{
    put(p, 1);
    act(p, join_it, 0);
    turns(1);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK);
    put(p, 2);
    turns(1);
    EXPECT_TRACE(&p->f, "a. ");
}

QUEUE_CASE(a_join_that_is_cancelled_leaves_the_others_waiting, 0)
{
    actor *a;
    put(p, 1);
    a = act(p, join_it, 0);
    act(p, join_it, 0);
    turns(1);
    cancel(a);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED ");
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "b. ");
}

/* Those who were told need the queue no more. */
QUEUE_CASE(the_first_that_joined_may_end_the_queue, 0)
{
    put(p, 1);
    act(p, join_it, 0);
    act(p, join_it, 0);
    turns(1);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK);
    pl_queue_end(&p->queue);
    turns(1);
    EXPECT_TRACE(&p->f, "a. b. ");
}

/* --- Shutdown ----------------------------------------------------------------------------------------------------- */

/* test_shutdown_empty */
QUEUE_CASE(an_empty_queue_that_was_shut_down_fails_at_once, 0)
{
    CHECK_EQ_INT(pl_queue_is_shut_down(&p->queue), 0);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    CHECK(pl_queue_is_shut_down(&p->queue) != 0);
    CHECK_EQ_INT(wait_put(p, 1), PL_ECLOSED);
    CHECK_EQ_INT(pl_queue_put_nowait(&p->queue, item_of(1)), PL_ECLOSED);
    CHECK_EQ_INT(wait_get(p), PL_ECLOSED);
    CHECK_EQ_INT(get(p), PL_ECLOSED);
    CHECK_EQ_INT(pl_queue_join(&p->queue), PL_OK);
}

/* test_shutdown_nonempty, test_shutdown_allowed_transitions */
QUEUE_CASE(a_queue_that_was_shut_down_is_drained_first, 2)
{
    put(p, 1);
    put(p, 2);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 2);
    CHECK_EQ_INT(pl_queue_put_nowait(&p->queue, item_of(3)), PL_ECLOSED); /* not that it is full */
    CHECK_EQ_INT(wait_put(p, 3), PL_ECLOSED);
    CHECK_EQ_INT(get(p), 1);
    CHECK_EQ_INT(wait_put(p, 3), PL_ECLOSED);
    CHECK_EQ_INT(wait_get(p), 2);
    CHECK_EQ_INT(wait_get(p), PL_ECLOSED);
    CHECK_STR(p->dropped, "");
}

/* test_shutdown_immediate */
QUEUE_CASE(an_immediate_shutdown_drops_what_is_in_it, 0)
{
    put(p, 1);
    put(p, 2);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    CHECK_STR(p->dropped, "1 2 ");
    CHECK(pl_queue_is_empty(&p->queue) != 0);
    CHECK_EQ_INT(wait_get(p), PL_ECLOSED);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_ESTATE);
}

QUEUE_CASE(a_shutdown_may_become_immediate, 0)
{
    put(p, 1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    CHECK_STR(p->dropped, "");
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    CHECK_STR(p->dropped, "1 ");
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    CHECK_STR(p->dropped, "1 ");
    CHECK_EQ_INT(get(p), PL_ECLOSED);
}

/* test_shutdown_immediate_with_unfinished */
QUEUE_CASE(an_immediate_shutdown_does_not_count_what_was_got_as_done, 0)
{
    put(p, 1);
    put(p, 2);
    CHECK_EQ_INT(get(p), 1);
    act(p, join_it, 0);
    turns(1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    turns(2);
    EXPECT_TRACE(&p->f, "");
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_ESTATE);
    turns(1);
    EXPECT_TRACE(&p->f, "a. ");
}

QUEUE_CASE(an_immediate_shutdown_ends_the_join, 0)
{
    put(p, 1);
    put(p, 2);
    act(p, join_it, 0);
    turns(1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a. ");
}

QUEUE_CASE(an_immediate_shutdown_after_more_was_done_than_got_balances, 0)
{
    put(p, 1);
    put(p, 2);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK);
    act(p, join_it, 0);
    turns(1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a. ");
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_ESTATE);
}

QUEUE_CASE(a_drained_queue_ends_the_join_when_its_items_are_done, 0)
{
    put(p, 1);
    act(p, join_it, 0);
    turns(1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "");
    CHECK_EQ_INT(get(p), 1);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a. ");
}

/* test_shutdown_pending_get, of several */
QUEUE_CASE(a_shutdown_wakes_every_getter, 0)
{
    getter(p);
    getter(p);
    turns(1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECLOSED b!PL_ECLOSED ");
}

/* test_shutdown_pending_put */
QUEUE_CASE(a_shutdown_wakes_every_putter_and_its_item_is_its_own, 1)
{
    put(p, 1);
    putter(p, 2);
    putter(p, 3);
    turns(1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECLOSED b!PL_ECLOSED ");
    CHECK_EQ_INT(pl_queue_size(&p->queue), 1);
    CHECK_STR(p->dropped, "");
}

/* test_shutdown_immediate_put_join and the like: there is room now, but not for them. */
QUEUE_CASE(an_immediate_shutdown_makes_no_room, 1)
{
    put(p, 1);
    putter(p, 2);
    turns(1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECLOSED ");
    CHECK_STR(p->dropped, "1 ");
}

QUEUE_CASE(a_putter_told_before_the_shutdown_does_not_put, 1)
{
    put(p, 1);
    putter(p, 2);
    turns(1);
    CHECK_EQ_INT(get(p), 1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECLOSED ");
}

QUEUE_CASE(a_getter_told_before_the_shutdown_gets_its_item, 0)
{
    getter(p);
    getter(p);
    turns(1);
    put(p, 1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a=1 b!PL_ECLOSED ");
}

/* The first was told of the item and is cancelled; the second was told of the shutdown, and finds the item. */
QUEUE_CASE(a_getter_told_of_the_shutdown_takes_what_a_cancelled_one_left, 0)
{
    actor *a = getter(p);
    getter(p);
    turns(1);
    put(p, 1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    cancel(a);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECANCELED b=1 ");
}

QUEUE_CASE(a_getter_told_before_an_immediate_shutdown_gets_nothing, 0)
{
    getter(p);
    turns(1);
    put(p, 1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    turns(1);
    EXPECT_TRACE(&p->f, "a!PL_ECLOSED ");
    CHECK_STR(p->dropped, "1 ");
}

/* --- Begin and end ------------------------------------------------------------------------------------------------ */

QUEUE_CASE(the_end_drops_each_item_once, 0)
{
    put(p, 1);
    put(p, 2);
    put(p, 3);
    CHECK_EQ_INT(get(p), 1);
    pl_queue_end(&p->queue);
    CHECK_STR(p->dropped, "2 3 ");
    pl_queue_end(&p->queue);
    CHECK_STR(p->dropped, "2 3 ");
}

QUEUE_CASE(a_queue_may_begin_again, 1)
{
    CHECK_EQ_INT(pl_queue_begin(&p->queue, NULL), PL_EBUSY);
    put(p, 1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_OK);
    pl_queue_end(&p->queue);
    CHECK_EQ_INT(pl_queue_put_nowait(&p->queue, NULL), PL_ESTATE);
    CHECK_EQ_INT(pl_queue_begin(&p->queue, NULL), PL_OK);
    CHECK_EQ_INT(pl_queue_is_shut_down(&p->queue), 0);
    put(p, 1);
    put(p, 2); /* no maximum, by default */
    CHECK_EQ_INT(get(p), 1);
    CHECK_EQ_INT(get(p), 2);
}

static void drop_and_put(void *item)
{
    drop_item(item);
    CHECK_EQ_INT(pl_queue_put_nowait(&current->queue, item), PL_ECLOSED);
    CHECK_EQ_INT(pl_queue_shutdown(&current->queue, 1), PL_OK);
}

QUEUE_CASE(a_drop_function_that_puts_is_refused, 0)
{
    pl_queue_options options = {.size = sizeof options, .drop = drop_and_put};
    for (int immediate = 0; immediate <= 1; immediate++) {
        pl_queue_end(&p->queue);
        CHECK_EQ_INT(pl_queue_begin(&p->queue, &options), PL_OK);
        put(p, 1);
        put(p, 2);
        if (immediate)
            CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    }
    CHECK_STR(p->dropped, "1 2 1 2 ");
}

QUEUE_CASE(without_a_drop_function_items_are_forgotten, 0)
{
    pl_queue_end(&p->queue);
    CHECK_EQ_INT(pl_queue_begin(&p->queue, NULL), PL_OK);
    put(p, 1);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_OK);
    CHECK_STR(p->dropped, "");
}

QUEUE_CASE(arguments_are_checked, 0)
{
    void *item = p;
    pl_queue other = {0};
    pl_queue_options options = {.size = sizeof options};
    CHECK_EQ_INT(pl_queue_begin(NULL, NULL), PL_EINVAL);
    options.size--;
    CHECK_EQ_INT(pl_queue_begin(&other, &options), PL_EINVAL);
    options.size++;
    options.kind = PL_QUEUE_PRIORITY;
    CHECK_EQ_INT(pl_queue_begin(&other, &options), PL_EINVAL); /* without compare */
    options.kind = PL_QUEUE_PRIORITY + 1;
    CHECK_EQ_INT(pl_queue_begin(&other, &options), PL_EINVAL);
    options.kind = -1;
    CHECK_EQ_INT(pl_queue_begin(&other, &options), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_put(NULL, p), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_put_nowait(NULL, p), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_get(NULL, &item), PL_EINVAL);
    CHECK(item == NULL);
    item = p;
    CHECK_EQ_INT(pl_queue_get_nowait(NULL, &item), PL_EINVAL);
    CHECK(item == NULL);
    put(p, 1);
    CHECK_EQ_INT(pl_queue_get(&p->queue, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_get_nowait(&p->queue, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 1);
    CHECK_EQ_INT(pl_queue_task_done(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_join(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_shutdown(NULL, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_size(NULL), 0);
    CHECK_EQ_INT(pl_queue_is_empty(NULL), 1);
    CHECK_EQ_INT(pl_queue_is_full(NULL), 0);
    CHECK_EQ_INT(pl_queue_is_shut_down(NULL), 0);
    pl_queue_end(NULL);
}

QUEUE_CASE(a_queue_that_was_not_begun_refuses_all, 0)
{
    void *item;
    pl_queue other = {0};
    (void)p;
    CHECK_EQ_INT(pl_queue_put(&other, NULL), PL_ESTATE);
    CHECK_EQ_INT(pl_queue_put_nowait(&other, NULL), PL_ESTATE);
    CHECK_EQ_INT(pl_queue_get(&other, &item), PL_ESTATE);
    CHECK_EQ_INT(pl_queue_get_nowait(&other, &item), PL_ESTATE);
    CHECK_EQ_INT(pl_queue_task_done(&other), PL_ESTATE);
    CHECK_EQ_INT(pl_queue_join(&other), PL_ESTATE);
    CHECK_EQ_INT(pl_queue_shutdown(&other, 1), PL_ESTATE);
    CHECK_EQ_INT(pl_queue_size(&other), 0);
    CHECK_EQ_INT(pl_queue_is_empty(&other), 1);
    CHECK_EQ_INT(pl_queue_is_full(&other), 0);
    CHECK_EQ_INT(pl_queue_is_shut_down(&other), 0);
    pl_queue_end(&other);
}

static void wait_in_callback(void *arg)
{
    play *p = arg;
    CHECK_EQ_INT(wait_put(p, 1), PL_ENOTASK);
    CHECK_EQ_INT(wait_get(p), PL_ENOTASK);
    CHECK_EQ_INT(pl_queue_join(&p->queue), PL_ENOTASK);
}

QUEUE_CASE(only_a_task_may_wait, 0)
{
    put(p, 1);
    CHECK_EQ_INT(pl_call_soon(NULL, wait_in_callback, p, NULL), PL_OK);
    turns(1);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 1);
}

TEST_CASE(outside_of_a_loop_a_queue_is_used_without_waiting)
{
    play p;
    pl_queue other = {0};
    REQUIRE(play_open(&p, t));
    CHECK_EQ_INT(pl_queue_begin(&other, NULL), PL_ENOLOOP);
    begin(&p, PL_QUEUE_FIFO, 1);
    getter(&p);
    turn(&p.f, 1);
    put(&p, 1);
    wait_in_callback(&p);
    CHECK_EQ_INT(pl_queue_put_nowait(&p.queue, item_of(2)), PL_EFULL);
    turn(&p.f, 1);
    EXPECT_TRACE(&p.f, "a=1 ");
    play_close(&p);
}

static int64_t use_elsewhere(void *arg)
{
    play *p = arg;
    CHECK_EQ_INT(wait_put(p, 1), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_put_nowait(&p->queue, item_of(1)), PL_EINVAL);
    CHECK_EQ_INT(wait_get(p), PL_EINVAL);
    CHECK_EQ_INT(get(p), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_join(&p->queue), PL_EINVAL);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 1), PL_EINVAL);
    return 0;
}

/* test_ambiguous_loops */
TEST_CASE(a_queue_is_of_one_loop)
{
    play p;
    fixture other;
    REQUIRE(play_open(&p, t));
    begin(&p, PL_QUEUE_FIFO, 0);
    put(&p, 7);
    REQUIRE(fixture_open(&other, t));
    CHECK_EQ_INT(run_task(&other, use_elsewhere, &p), 0);
    fixture_close(&other);
    CHECK_EQ_INT(pl_queue_is_shut_down(&p.queue), 0);
    CHECK_EQ_INT(get(&p), 7);
    pl_queue_end(&p.queue);
    fixture_close(&p.f);
    CHECK_STR(p.dropped, "");
}

TEST_CASE(a_closed_loop_has_no_queue)
{
    play p;
    fixture other;
    pl_queue_options options = {.size = sizeof options};
    REQUIRE(play_open(&p, t));
    REQUIRE(fixture_open(&other, t));
    options.loop = other.loop;
    CHECK_EQ_INT(pl_queue_begin(&p.queue, &options), PL_OK); /* keeps the loop's memory */
    fixture_close(&other);
    pl_queue_end(&p.queue);
    play_close(&p);
}

static void use_in_another_thread(void *arg)
{
    play *p = arg;
    pl_queue other = {0};
    pl_queue_options options = {.size = sizeof options, .loop = p->f.loop};
    CHECK_EQ_INT(pl_queue_begin(&other, &options), PL_ETHREAD);
    CHECK_EQ_INT(pl_queue_put_nowait(&p->queue, item_of(1)), PL_ETHREAD);
    CHECK_EQ_INT(get(p), PL_ETHREAD);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_ETHREAD);
    CHECK_EQ_INT(pl_queue_shutdown(&p->queue, 0), PL_ETHREAD);
}

TEST_CASE(debug_mode_refuses_other_threads)
{
    play p;
    memset(&p, 0, sizeof p);
    current = &p;
    REQUIRE(fixture_open_debug(&p.f, t));
    begin(&p, PL_QUEUE_FIFO, 0);
    turn(&p.f, 1); /* binds the loop to this thread */
    put(&p, 1);
    REQUIRE(test_in_thread(use_in_another_thread, &p));
    CHECK_EQ_INT(pl_queue_size(&p.queue), 1);
    CHECK_EQ_INT(pl_queue_is_shut_down(&p.queue), 0);
    play_close(&p);
}

/* --- Without memory ----------------------------------------------------------------------------------------------- */

static void run_out(allocation *a)
{
    a->fail_at = a->calls + 1;
    a->fail_forever = true;
}

static int64_t put_without_memory(void *arg)
{
    play *p = arg;
    allocation *a = (allocation *)(void *)p->f.futures[0];
    int held = 0;
    p->f.futures[0] = NULL;
    run_out(a);
    CHECK_EQ_INT(wait_put(p, 1), PL_ENOMEM);
    CHECK_EQ_INT(pl_queue_put_nowait(&p->queue, item_of(1)), PL_ENOMEM);
    CHECK_EQ_INT(pl_queue_size(&p->queue), 0);
    CHECK_EQ_INT(pl_queue_task_done(&p->queue), PL_ESTATE);
    a->fail_at = 0;
    CHECK_EQ_INT(wait_put(p, held++), PL_OK);
    run_out(a);
    while (pl_queue_put_nowait(&p->queue, item_of(held)) == PL_OK) /* the room there is */
        held++;
    CHECK(held > 1 && held < 1000);
    CHECK_EQ_INT(wait_put(p, held), PL_ENOMEM);
    for (int i = 0; i < held; i++) { /* nothing was lost, and a get needs none */
        CHECK_EQ_INT(wait_get(p), i);
        CHECK_EQ_INT(wait_put(p, held + i), PL_OK);
    }
    a->fail_at = 0;
    return 0;
}

static void check_without_memory(test_context *t, int kind)
{
    play p;
    allocation a;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE(play_open(&p, t));
    begin(&p, kind, 0);
    p.f.futures[0] = (pl_future *)(void *)&a;
    CHECK_EQ_INT(run_task(&p.f, put_without_memory, &p), 0);
    play_close(&p);
    allocation_end(&a);
}

TEST_CASE(a_put_without_memory_puts_nothing)
{
    check_without_memory(t, PL_QUEUE_FIFO);
    check_without_memory(t, PL_QUEUE_PRIORITY);
}

/* --- Against a model ---------------------------------------------------------------------------------------------- */

/* A plain model of the same rules: arrays, and a ready queue of its own. In each round the program calls without waiting,
 * starts tasks that wait, and cancels some; then all run until nobody can go on, in the program and in the model, and the
 * order and the results of all calls must be the same. */
enum { MODEL_TASKS = 12, MODEL_ITEMS = 4000, MODEL_LOG = 400, MODEL_ROUNDS = 1500 };

enum model_call { MODEL_GET, MODEL_PUT, MODEL_JOIN };

enum model_state { IDLE, STARTING, WAITING, TOLD, CANCELLED };

typedef struct model_task {
    enum model_state state;
    enum model_call call;
    int item;
    int ticket;
    bool cancelled; /* since it was made ready */
    pl_task *task;  /* the program's */
} model_task;

typedef struct model {
    pl_queue queue; /* the program's */
    int kind, maximum;
    int items[MODEL_ITEMS]; /* as they were put */
    int count, unfinished, tickets, made;
    bool shut_down;
    model_task tasks[MODEL_TASKS];
    int ready[MODEL_TASKS], ready_count;
    int expected[MODEL_LOG], expected_count; /* task, result, item ... */
    int seen[MODEL_LOG], seen_count;
    int drops_expected, drops_seen;
    int64_t waits, told_in_vain, passed_on; /* the test is worth something */
    uint64_t random;
} model;

static model *present;

static void log_end(int *log, int *count, int task, int result, int item)
{
    if (!CHECK(*count + 3 <= MODEL_LOG))
        return;
    log[(*count)++] = task;
    log[(*count)++] = result;
    log[(*count)++] = item;
}

/* Priorities are tens. */
static int model_next(const model *m)
{
    int best = m->kind == PL_QUEUE_LIFO ? m->count - 1 : 0;
    for (int i = 0; m->kind == PL_QUEUE_PRIORITY && i < m->count; i++)
        best = m->items[i] / 10 % 10 < m->items[best] / 10 % 10 ? i : best;
    return best;
}

static int compare_model_items(const void *a, const void *b)
{
    return (int)((intptr_t)a / 10 % 10 - (intptr_t)b / 10 % 10);
}

static int model_take(model *m)
{
    int place = model_next(m);
    int item = m->items[place];
    memmove(&m->items[place], &m->items[place + 1], (size_t)(m->count - place - 1) * sizeof m->items[0]);
    m->count--;
    return item;
}

static bool model_is_full(const model *m)
{
    return m->maximum > 0 && m->count >= m->maximum;
}

static void model_make_ready(model *m, int task)
{
    m->ready[m->ready_count++] = task;
}

static int model_first_waiting(const model *m, enum model_call call)
{
    int first = -1;
    for (int i = 0; i < MODEL_TASKS; i++)
        if (m->tasks[i].state == WAITING && m->tasks[i].call == call &&
            (first < 0 || m->tasks[i].ticket < m->tasks[first].ticket))
            first = i;
    return first;
}

static void model_tell(model *m, enum model_call call, int available)
{
    for (int i = 0; i < MODEL_TASKS; i++)
        if (m->tasks[i].state == TOLD && m->tasks[i].call == call)
            available--;
    for (int first; (available > 0 || m->shut_down) && (first = model_first_waiting(m, call)) >= 0; available--) {
        m->tasks[first].state = TOLD;
        model_make_ready(m, first);
    }
}

static void model_tell_all(model *m)
{
    model_tell(m, MODEL_GET, m->count);
    model_tell(m, MODEL_PUT, m->maximum > 0 ? m->maximum - m->count : MODEL_TASKS);
}

static void model_tell_joiners(model *m)
{
    for (int first; m->unfinished == 0 && (first = model_first_waiting(m, MODEL_JOIN)) >= 0;) {
        m->tasks[first].state = TOLD;
        model_make_ready(m, first);
    }
}

static int model_put(model *m, int item)
{
    if (m->shut_down)
        return PL_ECLOSED;
    if (model_is_full(m))
        return PL_EFULL;
    m->items[m->count++] = item;
    m->unfinished++;
    return PL_OK;
}

static int model_get(model *m, int *item)
{
    *item = 0;
    if (m->count == 0)
        return m->shut_down ? PL_ECLOSED : PL_EEMPTY;
    *item = model_take(m);
    return PL_OK;
}

/* One step of a task that is ready. */
static void model_step(model *m, int number)
{
    model_task *task = &m->tasks[number];
    bool told = task->state == TOLD;
    int result = PL_OK;
    int item = 0;
    if (task->cancelled && task->state == STARTING) { /* never runs */
        task->state = IDLE;
        return;
    }
    task->state = IDLE;
    if (task->cancelled) {
        result = PL_ECANCELED;
        m->passed_on += told;
    } else if (task->call == MODEL_GET) {
        result = model_get(m, &item);
    } else if (task->call == MODEL_PUT) {
        result = model_put(m, task->item);
    } else if (!told && m->unfinished > 0) {
        result = PL_EEMPTY; /* has to wait */
    }
    if (result == PL_EEMPTY || result == PL_EFULL) {
        m->told_in_vain += told;
        m->waits++;
        task->ticket = told ? task->ticket : m->tickets++;
        task->state = WAITING;
        return;
    }
    log_end(m->expected, &m->expected_count, number, result, item);
    model_tell_all(m);
}

static void model_settle(model *m)
{
    while (m->ready_count > 0) {
        int first = m->ready[0];
        memmove(&m->ready[0], &m->ready[1], (size_t)(--m->ready_count) * sizeof m->ready[0]);
        model_step(m, first);
    }
}

static int64_t model_task_main(void *arg)
{
    model *m = present;
    int number = (int)(intptr_t)arg;
    model_task *task = &m->tasks[number];
    void *item = NULL;
    int result;
    if (task->call == MODEL_GET)
        result = pl_queue_get(&m->queue, &item);
    else if (task->call == MODEL_PUT)
        result = pl_queue_put(&m->queue, item_of(task->item));
    else
        result = pl_queue_join(&m->queue);
    log_end(m->seen, &m->seen_count, number, result, number_of(item));
    return result == PL_ECANCELED ? PL_ECANCELED : 0;
}

static int model_new_item(model *m)
{
    m->made++;
    return 10 * 10 * m->made + 10 * random_below(&m->random, 4) + 1; /* made, priority */
}

static void model_start(model *m, enum model_call call)
{
    for (int i = 0; i < MODEL_TASKS; i++) {
        model_task *task = &m->tasks[i];
        if (task->state != IDLE || task->task)
            continue;
        *task = (model_task){.state = STARTING, .call = call, .item = call == MODEL_PUT ? model_new_item(m) : 0};
        model_make_ready(m, i);
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
    task->cancelled = true;
    if (task->state == WAITING) {
        task->state = CANCELLED;
        model_make_ready(m, (int)(task - m->tasks));
    }
}

static void model_count_drop(void *item)
{
    (void)item;
    present->drops_seen++;
}

static void model_shut_down(model *m, bool immediate)
{
    CHECK_EQ_INT(pl_queue_shutdown(&m->queue, immediate), PL_OK);
    m->shut_down = true;
    if (immediate) {
        m->drops_expected += m->count;
        m->unfinished -= m->count < m->unfinished ? m->count : m->unfinished;
        m->count = 0;
        model_tell_joiners(m);
    }
    model_tell_all(m);
}

static void model_act(model *m)
{
    int item = 0;
    int dice = random_below(&m->random, 100);
    if (dice < 22) {
        model_start(m, MODEL_GET);
    } else if (dice < 44) {
        model_start(m, MODEL_PUT);
    } else if (dice < 48) {
        model_start(m, MODEL_JOIN);
    } else if (dice < 60) {
        item = model_new_item(m);
        CHECK_EQ_INT(pl_queue_put_nowait(&m->queue, item_of(item)), model_put(m, item));
        model_tell_all(m);
    } else if (dice < 72) {
        void *got;
        CHECK_EQ_INT(pl_queue_get_nowait(&m->queue, &got), model_get(m, &item));
        CHECK_EQ_INT(number_of(got), item);
        model_tell_all(m);
    } else if (dice < 85) {
        CHECK_EQ_INT(pl_queue_task_done(&m->queue), m->unfinished > 0 ? PL_OK : PL_ESTATE);
        m->unfinished -= m->unfinished > 0;
        model_tell_joiners(m);
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
    same = same && CHECK_EQ_INT(pl_queue_size(&m->queue), m->count) && CHECK_EQ_INT(m->drops_seen, m->drops_expected);
    same = same && CHECK_EQ_INT(pl_queue_is_full(&m->queue), model_is_full(m));
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

static bool model_round(model *m)
{
    for (int i = random_below(&m->random, 8); i >= 0; i--)
        model_act(m);
    turns(6 + MODEL_TASKS);
    model_settle(m);
    return model_compare(m);
}

static void model_begin(model *m)
{
    pl_queue_options options = {.size = sizeof options, .kind = m->kind, .drop = model_count_drop};
    m->maximum = random_below(&m->random, 5);
    m->count = m->unfinished = 0;
    m->shut_down = false;
    options.maximum = (size_t)m->maximum;
    options.compare = compare_model_items;
    CHECK_EQ_INT(pl_queue_begin(&m->queue, &options), PL_OK);
}

/* Shuts it down, whoever waits, and ends it. */
static bool model_end(model *m)
{
    model_shut_down(m, random_below(&m->random, 2) == 0);
    if (!model_round(m))
        return false;
    model_shut_down(m, true);
    while (m->unfinished > 0) {
        CHECK_EQ_INT(pl_queue_task_done(&m->queue), PL_OK);
        m->unfinished--;
        model_tell_joiners(m);
    }
    turns(6 + MODEL_TASKS);
    model_settle(m);
    if (!model_compare(m))
        return false;
    pl_queue_end(&m->queue);
    return true;
}

static int64_t model_run(void *arg)
{
    model *m = arg;
    int rounds = scaled(MODEL_ROUNDS);
    bool same = true;
    for (int i = 0; same && i < rounds; i++) {
        if (i % 50 == 0) {
            same = i == 0 || model_end(m);
            if (same)
                model_begin(m);
        }
        same = same && model_round(m);
    }
    same = same && model_end(m);
    CHECK(m->waits > rounds / 2 && m->told_in_vain > 0 && m->passed_on > 0);
    return same ? 0 : 1;
}

static void check_model(const test_context *t, int kind)
{
    fixture f;
    model *m = calloc(1, sizeof *m);
    REQUIRE(m != NULL);
    if (fixture_open(&f, t)) {
        present = m;
        m->kind = kind;
        m->random = 20260101 + (uint64_t)kind;
        CHECK_EQ_INT(run_task(&f, model_run, m), 0);
        fixture_close(&f);
    }
    free(m);
}

TEST_CASE(random_use_of_a_fifo_queue_is_as_the_model_says)
{
    check_model(t, PL_QUEUE_FIFO);
}

TEST_CASE(random_use_of_a_lifo_queue_is_as_the_model_says)
{
    check_model(t, PL_QUEUE_LIFO);
}

TEST_CASE(random_use_of_a_priority_queue_is_as_the_model_says)
{
    check_model(t, PL_QUEUE_PRIORITY);
}

TEST_SUITE(queue, TEST_BACKENDS_ALL, CASE(a_queue_knows_whether_it_is_empty_or_full),
           CASE(calls_that_do_not_wait_say_full_and_empty), CASE(without_a_maximum_it_is_never_full),
           CASE(null_is_an_item), CASE(first_in_first_out),
           CASE(the_order_holds_wherever_the_ring_begins_when_it_grows), CASE(last_in_first_out),
           CASE(the_item_that_compares_least_comes_first), CASE(items_of_equal_priority_are_first_in_first_out),
           CASE(a_get_waits_for_an_item), CASE(a_put_waits_for_a_place),
           CASE(a_get_that_waits_gets_what_waiting_putters_put), CASE(a_put_wakes_a_getter_that_waits),
           CASE(getters_are_served_first_come_first_served), CASE(putters_are_served_first_come_first_served),
           CASE(the_items_go_out_in_the_queues_own_order_when_the_getters_run),
           CASE(a_producer_and_a_consumer_end_with_one_place_between_them), CASE(two_gets_in_a_row_wake_two_putters),
           CASE(callbacks_put_and_get_without_waiting), CASE(a_get_that_need_not_wait_does_not),
           CASE(a_getter_that_was_told_and_found_nothing_keeps_its_turn),
           CASE(a_putter_that_was_told_and_found_no_place_keeps_its_turn),
           CASE(a_getter_cancelled_before_the_put_does_not_get_the_item),
           CASE(a_getter_cancelled_in_the_iteration_of_the_put_does_not_get_the_item),
           CASE(a_getter_cancelled_after_it_was_told_leaves_the_items_in_their_order),
           CASE(a_getter_cancelled_after_it_was_told_passes_the_word_on),
           CASE(a_word_that_was_passed_on_is_passed_on_again), CASE(a_putter_cancelled_among_others_puts_nothing),
           CASE(a_putter_cancelled_after_it_was_told_has_put_nothing),
           CASE(a_putter_cancelled_after_it_was_told_passes_the_word_on),
           CASE(a_wait_that_ran_out_of_time_leaves_nobody_behind), CASE(in_a_cancelled_scope_nothing_is_put_or_got),
           CASE(a_limit_that_runs_out_after_the_word_came_takes_nothing_away),
           CASE(a_getter_that_found_nothing_in_a_cancelled_scope_ends), CASE(a_task_that_never_has_to_wait_gives_way),
           CASE(a_closing_loop_ends_the_waits_and_the_queue_may_end_after_it),
           CASE(a_queue_that_outlives_its_loop_still_drops_its_items), CASE(an_item_is_done_once),
           CASE(a_join_with_nothing_to_do_does_not_wait), CASE(a_join_waits_until_the_last_item_is_done),
           CASE(a_join_returns_when_the_workers_did_all),
           CASE(those_who_join_go_on_even_if_another_item_comes_before_they_run),
           CASE(a_join_that_is_cancelled_leaves_the_others_waiting), CASE(the_first_that_joined_may_end_the_queue),
           CASE(an_empty_queue_that_was_shut_down_fails_at_once), CASE(a_queue_that_was_shut_down_is_drained_first),
           CASE(an_immediate_shutdown_drops_what_is_in_it), CASE(a_shutdown_may_become_immediate),
           CASE(an_immediate_shutdown_does_not_count_what_was_got_as_done), CASE(an_immediate_shutdown_ends_the_join),
           CASE(an_immediate_shutdown_after_more_was_done_than_got_balances),
           CASE(a_drained_queue_ends_the_join_when_its_items_are_done), CASE(a_shutdown_wakes_every_getter),
           CASE(a_shutdown_wakes_every_putter_and_its_item_is_its_own), CASE(an_immediate_shutdown_makes_no_room),
           CASE(a_putter_told_before_the_shutdown_does_not_put), CASE(a_getter_told_before_the_shutdown_gets_its_item),
           CASE(a_getter_told_of_the_shutdown_takes_what_a_cancelled_one_left),
           CASE(a_getter_told_before_an_immediate_shutdown_gets_nothing), CASE(the_end_drops_each_item_once),
           CASE(a_queue_may_begin_again), CASE(a_drop_function_that_puts_is_refused),
           CASE(without_a_drop_function_items_are_forgotten), CASE(arguments_are_checked),
           CASE(a_queue_that_was_not_begun_refuses_all), CASE(only_a_task_may_wait),
           CASE(outside_of_a_loop_a_queue_is_used_without_waiting), CASE(a_queue_is_of_one_loop),
           CASE(a_closed_loop_has_no_queue), CASE(debug_mode_refuses_other_threads),
           CASE(a_put_without_memory_puts_nothing), CASE(random_use_of_a_fifo_queue_is_as_the_model_says),
           CASE(random_use_of_a_lifo_queue_is_as_the_model_says),
           CASE(random_use_of_a_priority_queue_is_as_the_model_says))
