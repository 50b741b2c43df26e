/* Connecting to the first of several addresses that answers: RFC 8305, "happy eyeballs".
 *
 * There are *candidates*, the addresses in the order of their trial; *attempts*, operations that connect to one each; and
 * by name up to three *questions* for the resolver. All of it lies in one block of memory for as long as the call lasts,
 * and is driven by the task that called, in rounds: take what answered, see how the attempts do, begin the next one if
 * it is time, wait for any of it to end or for the time of the next step.
 *
 * One question asks for both families, as the system's own order and the hosts file count. Only if it is not
 * answered within the resolution delay, the families are asked for one by one beside it, so that a name server which is
 * silent about IPv6 does not keep IPv4 waiting. An answer for IPv4 then waits as long again for that for IPv6. Addresses
 * that come late are candidates behind those tried already.
 *
 * However it ends, `end_all` cancels what is left and waits for it, and a loser that connected all the same is
 * closed: nothing of the call outlives it.
 */
#include <string.h>

#include <proloop/gather.h>
#include <proloop/net.h>

#include "allocator.h"
#include "loop.h"
#include "stream.h"
#include "task.h"

#define ATTEMPT_DELAY       PL_MS(250)
#define ATTEMPT_DELAY_LEAST PL_MS(10)
#define ATTEMPT_DELAY_MOST  PL_SECONDS(2)
#define RESOLUTION_DELAY    PL_MS(50)

enum { CANDIDATES_BY_NAME = 32, ANSWERS = CANDIDATES_BY_NAME };

enum question_kind { BOTH, IPV6, IPV4, QUESTIONS };

typedef struct question {
    pl_op op;
    bool asked;
    bool answered;
    int64_t result; /* once it is answered */
    pl_address found[ANSWERS];
} question;

typedef struct attempt {
    pl_op op;
    pl_stream *stream;
    pl_connect_attempt told;
    bool ended;
} attempt;

typedef struct connecting {
    pl_loop *loop;
    const pl_connect_options *options;
    int64_t began;
    int64_t next_attempt; /* not before this time */
    pl_duration attempt_delay;
    pl_duration resolution_delay;
    attempt *winner;
    pl_address *candidates;
    size_t candidate_count;
    size_t begun; /* of the candidates, the first ones */
    size_t capacity;
    attempt *attempts;
    pl_awaited *items;

    const char *host; /* NULL: the addresses are known */
    uint16_t port;
    bool first_answer;
    question *questions;
} connecting;

static const pl_connect_options default_options = {.size = sizeof(pl_connect_options)};

static bool is_address(const pl_address *address)
{
    return address && (address->family == PL_IPV4 || address->family == PL_IPV6);
}

static bool are_valid(const pl_connect_options *options)
{
    if (options->size != sizeof *options || options->first_family_count < 0 || options->attempt_delay < 0 ||
        options->resolution_delay < 0)
        return false;
    if (options->family != 0 && options->family != PL_IPV4 && options->family != PL_IPV6)
        return false;
    if (options->report && options->report->capacity > 0 && !options->report->attempts)
        return false;
    return !options->local || is_address(options->local);
}

/* The one family that counts, or 0. */
static int family_of(const pl_connect_options *options)
{
    return options->local ? options->local->family : options->family;
}

static bool is_wanted(const pl_connect_options *options, const pl_address *address)
{
    return (!options->family || address->family == options->family) &&
           (!options->local || address->family == options->local->family);
}

static pl_duration attempt_delay_of(const pl_connect_options *options)
{
    pl_duration delay = options->attempt_delay ? options->attempt_delay : ATTEMPT_DELAY;
    if (delay == PL_FOREVER || (options->local && options->local->port != 0))
        return PL_FOREVER; /* a local port is for one attempt at a time */
    if (delay < ATTEMPT_DELAY_LEAST)
        return ATTEMPT_DELAY_LEAST;
    return delay > ATTEMPT_DELAY_MOST ? ATTEMPT_DELAY_MOST : delay;
}

/* --- Candidates --------------------------------------------------------------------------------------------------- */

static bool is_candidate(const connecting *c, const pl_address *address)
{
    for (size_t i = 0; i < c->candidate_count; i++) {
        if (memcmp(&c->candidates[i], address, sizeof *address) == 0)
            return true;
    }
    return false;
}

static void add_candidates(connecting *c, const pl_address *addresses, size_t count)
{
    for (size_t i = 0; i < count && c->candidate_count < c->capacity; i++) {
        if (is_wanted(c->options, &addresses[i]) && !is_candidate(c, &addresses[i]))
            c->candidates[c->candidate_count++] = addresses[i];
    }
}

/* Moves the first address of the family, if there is one, to the front; the others keep their order. */
static void bring_forward(pl_address *addresses, size_t count, uint8_t family)
{
    for (size_t i = 0; i < count; i++) {
        if (addresses[i].family != family)
            continue;
        pl_address found = addresses[i];
        memmove(addresses + 1, addresses, i * sizeof *addresses);
        addresses[0] = found;
        return;
    }
}

/* So many of the first address's family, or of the one whose turn it is, then each family in turn. */
static void interleave(connecting *c, uint8_t first_family)
{
    pl_address *rest = c->candidates + c->begun;
    size_t count = c->candidate_count - c->begun;
    size_t of_first = c->options->first_family_count ? (size_t)c->options->first_family_count : 1;
    if (count == 0)
        return;
    uint8_t family = first_family ? first_family : rest->family;
    if (c->begun > 0) {
        family = c->candidates[c->begun - 1].family == PL_IPV6 ? PL_IPV4 : PL_IPV6;
        of_first = 1;
    }
    for (; count > 0; rest++, count--) {
        bring_forward(rest, count, family);
        if (of_first > 1)
            of_first--;
        else
            family = family == PL_IPV6 ? PL_IPV4 : PL_IPV6;
    }
}

/* --- Questions ---------------------------------------------------------------------------------------------------- */

static bool is_open(const question *q)
{
    return q->asked && !q->answered;
}

static bool all_is_answered(const connecting *c)
{
    if (!c->host)
        return true;
    for (int i = 0; i < QUESTIONS; i++) {
        if (is_open(&c->questions[i]))
            return false;
    }
    return true;
}

static void ask(connecting *c, enum question_kind kind, int family)
{
    question *q = &c->questions[kind];
    int started = pl_resolve_start(&q->op, c->host, c->port, family, q->found, ANSWERS);
    q->asked = true;
    q->answered = started < 0;
    q->result = started;
}

static bool is_hedged(const connecting *c)
{
    return family_of(c->options) == 0 && c->attempt_delay != PL_FOREVER;
}

/* When the families are to be asked for one by one; PL_FOREVER: not any more. */
static int64_t hedge_time(const connecting *c)
{
    const question *both = &c->questions[BOTH];
    if (!c->host || !is_open(both) || c->questions[IPV6].asked || !is_hedged(c))
        return PL_FOREVER;
    return pl__deadline_after(c->began, c->resolution_delay);
}

static void give_up_question(question *q)
{
    if (!is_open(q))
        return;
    q->answered = true;
    q->result = pl_op_finish(&q->op);
}

/* The answer for both makes those for one family superfluous, and these two make that one so. */
static void drop_superfluous(connecting *c)
{
    question *q = c->questions;
    if (q[BOTH].answered && q[BOTH].result > 0) {
        give_up_question(&q[IPV6]);
        give_up_question(&q[IPV4]);
    }
    if (q[IPV6].answered && q[IPV4].answered && (q[IPV6].result > 0 || q[IPV4].result > 0))
        give_up_question(&q[BOTH]);
}

/* Only IPv4 is known, and IPv6 may still come: that is waited for once, a while. */
static void note_first_answer(connecting *c, enum question_kind kind, int64_t now)
{
    if (kind != IPV4)
        c->next_attempt = c->begun == 0 ? now : c->next_attempt;
    else if (!c->first_answer && is_open(&c->questions[IPV6]))
        c->next_attempt = pl__deadline_after(now, c->resolution_delay);
    c->first_answer = true;
}

static void take_answers(connecting *c)
{
    if (!c->host)
        return;
    for (int kind = 0; kind < QUESTIONS; kind++) {
        question *q = &c->questions[kind];
        if (!is_open(q) || pl_op_is_pending(&q->op))
            continue;
        q->answered = true;
        q->result = pl_op_result(&q->op);
        if (q->result > 0) {
            if (kind == BOTH && c->begun == 0)
                c->candidate_count = 0; /* its order is the system's */
            add_candidates(c, q->found, (size_t)q->result);
            interleave(c, kind == BOTH ? 0 : PL_IPV6);
            note_first_answer(c, (enum question_kind)kind, pl__loop_now(c->loop));
        } else if (kind == IPV6 && c->begun == 0) {
            c->next_attempt = pl__loop_now(c->loop); /* nothing to wait for */
        }
    }
    drop_superfluous(c);
}

static void ask_more(connecting *c)
{
    if (hedge_time(c) > pl__loop_now(c->loop))
        return;
    ask(c, IPV6, PL_IPV6);
    ask(c, IPV4, PL_IPV4);
}

/* --- Attempts ----------------------------------------------------------------------------------------------------- */

static void begin_attempt(connecting *c)
{
    attempt *a = &c->attempts[c->begun];
    int64_t now = pl__loop_now(c->loop);
    const pl_connect_options one = {.size = sizeof one, .local = c->options->local};
    a->told.address = c->candidates[c->begun++];
    a->told.begun = now - c->began;
    c->next_attempt = pl__deadline_after(now, c->attempt_delay);
    int started = pl_tcp_connect_start(&a->op, &a->stream, &a->told.address, &one);
    if (started < 0) {
        a->told.result = started;
        a->ended = true;
        c->next_attempt = now;
    }
}

static void take_end(attempt *a, int64_t result)
{
    a->ended = true;
    a->told.result = result;
    a->told.system_error = pl_op_system_error(&a->op);
}

/* Takes what has ended. The first success in the order of the attempts wins. */
static void take_ends(connecting *c)
{
    for (size_t i = 0; i < c->begun && !c->winner; i++) {
        attempt *a = &c->attempts[i];
        if (a->ended || pl_op_is_pending(&a->op))
            continue;
        take_end(a, pl_op_result(&a->op));
        if (a->told.result >= 0)
            c->winner = a;
        else
            c->next_attempt = pl__loop_now(c->loop); /* at once */
    }
}

static bool some_attempt_is_open(const connecting *c)
{
    for (size_t i = 0; i < c->begun; i++) {
        if (!c->attempts[i].ended)
            return true;
    }
    return false;
}

/* Begins those whose time has come. */
static void begin_attempts(connecting *c)
{
    while (!c->winner && c->begun < c->candidate_count && pl__loop_now(c->loop) >= c->next_attempt) {
        begin_attempt(c);
        take_ends(c); /* some fail at once */
    }
}

static void give_up(attempt *a)
{
    if (a->ended)
        return;
    int64_t result = pl_op_finish(&a->op);
    take_end(a, result < 0 ? result : PL_ECANCELED);
    if (result >= 0)
        pl_stream_abort(a->stream); /* it connected all the same */
}

/* Whatever is still under way ends, also in a cancelled scope. */
static void end_all(connecting *c)
{
    for (size_t i = 0; i < c->begun; i++) {
        if (!c->attempts[i].ended)
            (void)pl_op_cancel(&c->attempts[i].op);
    }
    for (size_t i = 0; i < c->begun; i++)
        give_up(&c->attempts[i]);
    for (int i = 0; c->host && i < QUESTIONS; i++)
        give_up_question(&c->questions[i]);
}

/* --- The rounds --------------------------------------------------------------------------------------------------- */

static size_t gather_open(connecting *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->begun; i++) {
        if (!c->attempts[i].ended)
            c->items[count++] = (pl_awaited){.future = pl_op_future(&c->attempts[i].op)};
    }
    for (int i = 0; c->host && i < QUESTIONS; i++) {
        if (is_open(&c->questions[i]))
            c->items[count++] = (pl_awaited){.future = pl_op_future(&c->questions[i].op)};
    }
    return count;
}

static int64_t next_step(const connecting *c)
{
    int64_t hedge = hedge_time(c);
    if (c->begun == c->candidate_count || hedge < c->next_attempt)
        return hedge;
    return c->next_attempt;
}

/* Until something ends or the next step is due. */
static int64_t wait_for_change(connecting *c)
{
    int64_t deadline = next_step(c);
    size_t count = gather_open(c);
    PL__CHECK(count > 0 || deadline != PL_FOREVER); /* or nothing would ever end it */
    if (count == 0)
        return pl_sleep_until(deadline);
    pl_duration limit = deadline == PL_FOREVER ? PL_FOREVER : deadline - pl__loop_now(c->loop);
    return pl_wait(c->items, count, PL_FIRST_COMPLETED, limit);
}

/* PL_OK: there is a winner, or none is to be had; PL_ECANCELED, PL_ENOMEM. */
static int64_t race(connecting *c)
{
    for (;;) {
        take_answers(c);
        take_ends(c);
        begin_attempts(c);
        if (c->winner)
            return PL_OK;
        bool some_left = c->begun < c->candidate_count;
        if (!some_left && !some_attempt_is_open(c) && all_is_answered(c))
            return PL_OK;
        ask_more(c);
        int64_t waited = wait_for_change(c);
        if (waited < 0)
            return waited;
    }
}

/* --- The end ------------------------------------------------------------------------------------------------------ */

/* Whether an error says of this machine only that there is no way. */
static bool is_no_way(int64_t error)
{
    return error == PL_ENETUNREACH || error == PL_ENETDOWN || error == PL_EADDRNOTAVAIL || error == PL_EAFNOSUPPORT;
}

static int64_t name_error(const connecting *c)
{
    for (int i = 0; c->host && i < QUESTIONS; i++) {
        if (c->questions[i].asked && c->questions[i].result < 0)
            return c->questions[i].result;
    }
    return PL_EADDRNOTAVAIL; /* of no family that may be used */
}

static int64_t error_of_all(const connecting *c)
{
    int64_t error = c->begun > 0 ? c->attempts[0].told.result : 0;
    for (size_t i = 1; i < c->begun && is_no_way(error); i++) {
        if (!is_no_way(c->attempts[i].told.result))
            error = c->attempts[i].told.result;
    }
    return error < 0 ? error : name_error(c);
}

static void fill_report(const connecting *c)
{
    pl_connect_report *report = c->options->report;
    if (!report)
        return;
    report->count = c->begun;
    for (size_t i = 0; i < c->begun && i < report->capacity; i++)
        report->attempts[i] = c->attempts[i].told;
}

static int64_t run(connecting *c, pl_stream **stream)
{
    int64_t result = race(c);
    end_all(c);
    if (c->winner)
        *stream = c->winner->stream;
    else if (result == PL_OK)
        result = error_of_all(c);
    fill_report(c);
    return result;
}

/* --- Memory ------------------------------------------------------------------------------------------------------- */

typedef struct block {
    connecting c;
    question questions[QUESTIONS];
} block;

static size_t size_of_block(size_t capacity)
{
    return sizeof(block) + capacity * (sizeof(attempt) + sizeof(pl_address)) +
           (capacity + QUESTIONS) * sizeof(pl_awaited);
}

/* NULL: out of memory. */
static connecting *create(size_t capacity, const pl_connect_options *options)
{
    if (capacity > SIZE_MAX / 2 / (sizeof(attempt) + sizeof(pl_address) + sizeof(pl_awaited)))
        return NULL;
    block *memory = pl__allocate_zeroed(size_of_block(capacity));
    if (!memory)
        return NULL;
    connecting *c = &memory->c;
    c->questions = memory->questions;
    c->attempts = (attempt *)(void *)(memory + 1);
    c->items = (pl_awaited *)(void *)(c->attempts + capacity);
    c->candidates = (pl_address *)(void *)(c->items + capacity + QUESTIONS);
    c->capacity = capacity;
    c->options = options;
    c->loop = pl_loop_running();
    c->began = pl__loop_now(c->loop);
    c->next_attempt = c->began;
    c->attempt_delay = attempt_delay_of(options);
    c->resolution_delay = options->resolution_delay ? options->resolution_delay : RESOLUTION_DELAY;
    return c;
}

static void destroy(connecting *c)
{
    pl__release(c, size_of_block(c->capacity));
}

/* --- Public ------------------------------------------------------------------------------------------------------- */

/* What is the same in both calls, before anything begins. */
static int begin(pl_stream **stream, const pl_connect_options *options)
{
    if (!stream || !are_valid(options))
        return PL_EINVAL;
    *stream = NULL;
    if (options->report)
        options->report->count = 0;
    return pl__task_checkpoint();
}

static int64_t connect_known(pl_stream **stream, const pl_address *addresses, size_t count,
                             const pl_connect_options *options, bool interleaved)
{
    connecting *c = create(count, options);
    if (!c)
        return PL_ENOMEM;
    add_candidates(c, addresses, count);
    if (interleaved)
        interleave(c, 0);
    int64_t result = run(c, stream);
    destroy(c);
    return result;
}

int64_t pl_tcp_connect_any(pl_stream **stream, const pl_address *addresses, size_t count,
                           const pl_connect_options *options)
{
    if (!options)
        options = &default_options;
    if (!addresses || count == 0)
        return PL_EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (!is_address(&addresses[i]))
            return PL_EINVAL;
    }
    int begun = begin(stream, options);
    return begun < 0 ? begun : connect_known(stream, addresses, count, options, options->first_family_count > 0);
}

int64_t pl_tcp_connect(pl_stream **stream, const char *host, uint16_t port, const pl_connect_options *options)
{
    pl_address known;
    if (!options)
        options = &default_options;
    if (!host)
        return PL_EINVAL;
    int begun = begin(stream, options);
    if (begun < 0)
        return begun;
    if (pl_address_parse(&known, host, port) == PL_OK)
        return connect_known(stream, &known, 1, options, false);
    connecting *c = create(CANDIDATES_BY_NAME, options);
    if (!c)
        return PL_ENOMEM;
    c->host = host;
    c->port = port;
    ask(c, BOTH, family_of(options));
    int64_t result = run(c, stream);
    destroy(c);
    return result;
}
