/* Moments of files and names: jobs of a worker, whose system call a shim holds until the case completes it. */
#include <string.h>

#include "folders.h"
#include "loopback.h"
#include "moments.h"
#include "shims.h"

#define ROOT "moments_file_folder"

enum { SIZE = 5000 };

typedef struct working {
    shim held; /* the call that waits */
    pl_file *file;
    pl_file *opened;
    pl_file_info info;
    pl_folder_listing listing;
    uint8_t data[SIZE];
    pl_address addresses[4];
    size_t total;
    int stopped; /* look-ups that the system was told to stop, before */
    char name[PL_HOST_NAME_SIZE];
} working;

static bool is_held(void *state)
{
    const working *w = state;
    return shims_held(w->held) >= 1;
}

/* The gate opens. */
static void release(void *state)
{
    const working *w = state;
    shims_release(w->held);
}

static bool none_is_held(void *state)
{
    const working *w = state;
    return shims_held(w->held) == 0;
}

static void remove_folder(void)
{
    path_remove(ROOT "/a");
    path_remove(ROOT);
}

static bool set_up(working *w, shim held, const char *opened)
{
    pattern_fill(w->data, SIZE, 0);
    remove_folder();
    if (!CHECK(folder_make(ROOT)) || !CHECK(file_make(ROOT "/a", w->data, SIZE)))
        return false;
    if (opened && !CHECK_EQ_INT(pl_file_open(&w->file, opened, NULL), PL_OK))
        return false;
    memset(w->data, 0, SIZE);
    w->held = held;
    shims_hold(held);
    return true;
}

static void tear_down(void *state)
{
    working *w = state;
    moment_wait_until(none_is_held, w);
    pl_file_close(w->file);
    pl_file_close(w->opened);
    pl_folder_listing_free(&w->listing);
    remove_folder();
}

/* --- pl_file_open --- */

static bool open_set_up(void *state, moment at)
{
    (void)at;
    return set_up(state, SHIM_OPEN, NULL);
}

static int open_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_open_start(op, &w->opened, ROOT "/a", NULL);
}

static int64_t open_call(void *state)
{
    working *w = state;
    return pl_file_open(&w->opened, ROOT "/a", NULL);
}

static void open_check(void *state, int64_t result)
{
    working *w = state;
    CHECK((w->opened != NULL) == (result >= 0));
    if (result == PL_ECANCELED)
        REQUIRE_EQ_INT(open_call(w), PL_OK);
    CHECK_EQ_INT(pl_file_read(w->opened, w->data, SIZE, 0), SIZE);
    CHECK(pattern_holds(w->data, SIZE, 0));
}

const moment_row moment_row_file_open = {
    .kind = MOMENT_ABANDONABLE,
    .size = sizeof(working),
    .set_up = open_set_up,
    .start = open_start,
    .call = open_call,
    .is_pending = is_held,
    .complete = release,
    .check = open_check,
    .tear_down = tear_down,
};

/* --- pl_file_stat --- */

static bool stat_set_up(void *state, moment at)
{
    (void)at;
    return set_up(state, SHIM_STAT, NULL);
}

static int stat_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_stat_start(op, ROOT "/a", &w->info);
}

static int64_t stat_call(void *state)
{
    working *w = state;
    return pl_file_stat(ROOT "/a", &w->info);
}

static void stat_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(w->info.size, 0); /* an abandoned call writes nothing */
        CHECK_EQ_INT(stat_call(w), PL_OK);
    }
    CHECK_EQ_INT(w->info.size, SIZE);
}

const moment_row moment_row_file_stat = {
    .kind = MOMENT_ABANDONABLE,
    .size = sizeof(working),
    .set_up = stat_set_up,
    .start = stat_start,
    .call = stat_call,
    .is_pending = is_held,
    .complete = release,
    .check = stat_check,
    .tear_down = tear_down,
};

/* --- pl_file_read --- */

static bool read_set_up(void *state, moment at)
{
    (void)at;
    return set_up(state, SHIM_READ, ROOT "/a");
}

static int read_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_read_start(op, w->file, w->data, SIZE, 0);
}

static int64_t read_call(void *state)
{
    working *w = state;
    return pl_file_read(w->file, w->data, SIZE, 0);
}

static void read_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(w->data[1], 0); /* nothing was read */
        result = read_call(w);
    }
    CHECK_EQ_INT(result, SIZE);
    CHECK(pattern_holds(w->data, SIZE, 0));
}

const moment_row moment_row_file_read = {
    .kind = MOMENT_JOINED,
    .size = sizeof(working),
    .set_up = read_set_up,
    .start = read_start,
    .call = read_call,
    .is_pending = is_held,
    .complete = release,
    .check = read_check,
    .tear_down = tear_down,
};

/* --- pl_folder_list --- */

static bool list_set_up(void *state, moment at)
{
    (void)at;
    return set_up(state, SHIM_LIST, ROOT);
}

static int list_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_folder_list_start(op, w->file, &w->listing);
}

static int64_t list_call(void *state)
{
    working *w = state;
    return pl_folder_list(w->file, &w->listing);
}

static void list_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(w->listing.count, 0);
        result = list_call(w);
    }
    CHECK_EQ_INT(result, 1);
    if (CHECK_EQ_INT(w->listing.count, 1))
        CHECK_STR(w->listing.entries[0].name, "a");
}

const moment_row moment_row_folder_list = {
    .kind = MOMENT_JOINED,
    .size = sizeof(working),
    .set_up = list_set_up,
    .start = list_start,
    .call = list_call,
    .is_pending = is_held,
    .complete = release,
    .check = list_check,
    .tear_down = tear_down,
};

/* --- pl_resolve --- */

static const char *const known[] = {"127.0.0.9"};

static bool resolve_set_up(void *state, moment at)
{
    working *w = state;
    (void)at;
    shims_set_name("moments.test", known, 1);
    w->stopped = shims_stopped();
    w->held = SHIM_RESOLVE;
    shims_hold(w->held);
    return true;
}

static int resolve_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_resolve_start(op, "moments.test", 80, PL_IPV4, w->addresses, 4);
}

static int64_t resolve_call(void *state)
{
    working *w = state;
    return pl_resolve("moments.test", 80, PL_IPV4, w->addresses, 4);
}

static bool is_stopped(void *state)
{
    const working *w = state;
    return shims_stopped() == w->stopped + 1;
}

/* A look-up that is under way is stopped where the system can do that. */
static void check_stopped(working *w)
{
    if (moment_now() == MOMENT_PENDING && shims_can_stop())
        moment_wait_until(is_stopped, w);
}

static void resolve_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        check_stopped(w);
        CHECK_EQ_INT(w->addresses[0].family, 0); /* an abandoned call writes nothing */
        result = resolve_call(w);
    }
    CHECK_EQ_INT(result, 1);
    CHECK_EQ_INT(w->addresses[0].family, PL_IPV4);
    CHECK_EQ_INT(w->addresses[0].port, 80);
}

static void resolve_tear_down(void *state)
{
    moment_wait_until(none_is_held, state);
}

const moment_row moment_row_resolve = {
    .kind = MOMENT_ABANDONABLE,
    .size = sizeof(working),
    .set_up = resolve_set_up,
    .start = resolve_start,
    .call = resolve_call,
    .is_pending = is_held,
    .complete = release,
    .check = resolve_check,
    .tear_down = resolve_tear_down,
};

/* --- pl_resolve_with --- */

static const pl_resolve_options *resolve_options(working *w)
{
    static pl_resolve_options options = {.size = sizeof options, .family = PL_IPV4};
    options.total = &w->total;
    options.canonical = w->name;
    options.canonical_size = sizeof w->name;
    return &options;
}

static int resolve_with_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_resolve_with_start(op, "moments.test", 80, resolve_options(w), w->addresses, 4);
}

static int64_t resolve_with_call(void *state)
{
    working *w = state;
    return pl_resolve_with("moments.test", 80, resolve_options(w), w->addresses, 4);
}

static void resolve_with_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        check_stopped(w);
        CHECK_EQ_INT(w->total, 0); /* an abandoned call writes nothing */
        CHECK_STR(w->name, "");
        CHECK_EQ_INT(w->addresses[0].family, 0);
        result = resolve_with_call(w);
    }
    CHECK_EQ_INT(result, 1);
    CHECK_EQ_INT(w->total, 1);
    CHECK(w->name[0] != '\0');
    CHECK_EQ_INT(w->addresses[0].port, 80);
}

const moment_row moment_row_resolve_with = {
    .kind = MOMENT_ABANDONABLE,
    .size = sizeof(working),
    .set_up = resolve_set_up,
    .start = resolve_with_start,
    .call = resolve_with_call,
    .is_pending = is_held,
    .complete = release,
    .check = resolve_with_check,
    .tear_down = resolve_tear_down,
};

/* --- pl_resolve_address --- */

static bool resolve_address_set_up(void *state, moment at)
{
    working *w = state;
    (void)at;
    CHECK_EQ_INT(pl_address_parse(&w->addresses[0], "192.0.2.1", 1), PL_OK);
    shims_set_reverse("moments.test");
    w->stopped = shims_stopped();
    w->held = SHIM_RESOLVE;
    shims_hold(w->held);
    return true;
}

static int resolve_address_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_resolve_address_start(op, &w->addresses[0], w->name, sizeof w->name, PL_RESOLVE_OR_NUMERIC);
}

static int64_t resolve_address_call(void *state)
{
    working *w = state;
    return pl_resolve_address(&w->addresses[0], w->name, sizeof w->name, PL_RESOLVE_OR_NUMERIC);
}

static void resolve_address_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        CHECK_STR(w->name, ""); /* an abandoned call writes nothing, no address in place of a name either */
        result = resolve_address_call(w);
    }
    CHECK_EQ_INT(result, 12);
    CHECK_STR(w->name, "moments.test");
    CHECK_EQ_INT(shims_stopped(), w->stopped); /* no system can stop this one */
}

const moment_row moment_row_resolve_address = {
    .kind = MOMENT_ABANDONABLE,
    .size = sizeof(working),
    .set_up = resolve_address_set_up,
    .start = resolve_address_start,
    .call = resolve_address_call,
    .is_pending = is_held,
    .complete = release,
    .check = resolve_address_check,
    .tear_down = resolve_tear_down,
};
