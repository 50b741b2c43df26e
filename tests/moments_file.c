/* Moments of opening, looking, reading and names: a worker's system call, which a shim holds until the case completes it. */
#include "moments_files.h"

/* --- pl_file_open ------------------------------------------------------------------------------------------------- */

static bool file_open_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, 0, SHIM_OPEN);
}

static int file_open_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_open_start(op, &w->opened, A, NULL);
}

static int64_t file_open_call(void *state)
{
    working *w = state;
    return pl_file_open(&w->opened, A, NULL);
}

static void file_open_check(void *state, int64_t result)
{
    working *w = state;
    CHECK((w->opened != NULL) == (result >= 0));
    if (result == PL_ECANCELED)
        REQUIRE_EQ_INT(file_open_call(w), PL_OK);
    CHECK_EQ_INT(pl_file_read(w->opened, w->data, SIZE, 0), SIZE);
    CHECK(pattern_holds(w->data, SIZE, 0));
}

FILE_ROW(file_open, MOMENT_ABANDONABLE);

/* --- pl_file_open of a new file ----------------------------------------------------------------------------------- */

static const pl_file_options creating = {.size = sizeof creating,
                                         .flags = PL_FILE_WRITE | PL_FILE_CREATE | PL_FILE_EXCLUSIVE};

static bool file_create_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, 0, SHIM_OPEN);
}

static int file_create_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_open_start(op, &w->opened, B, &creating);
}

static int64_t file_create_call(void *state)
{
    working *w = state;
    return pl_file_open(&w->opened, B, &creating);
}

/* A file that was made has an owner. */
static void file_create_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK((w->opened != NULL) == (result >= 0));
    CHECK_EQ_INT(size_of(B), result >= 0 ? 0 : PL_ENOENT);
    if (result == PL_ECANCELED)
        REQUIRE_EQ_INT(file_create_call(w), PL_OK);
    CHECK_EQ_INT(pl_file_write(w->opened, "hello", 5, 0), PL_OK);
    CHECK_EQ_INT(size_of(B), 5);
}

FILE_ROW(file_create, MOMENT_JOINED);

/* --- pl_file_open that empties it --------------------------------------------------------------------------------- */

static const pl_file_options truncating = {.size = sizeof truncating, .flags = PL_FILE_WRITE | PL_FILE_TRUNCATE};

static bool file_truncate_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, 0, SHIM_OPEN);
}

static int file_truncate_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_open_start(op, &w->opened, A, &truncating);
}

static int64_t file_truncate_call(void *state)
{
    working *w = state;
    return pl_file_open(&w->opened, A, &truncating);
}

static void file_truncate_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK((w->opened != NULL) == (result >= 0));
    CHECK_EQ_INT(size_of(A), result >= 0 ? 0 : SIZE);
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(file_truncate_call(w), PL_OK);
    CHECK_EQ_INT(size_of(A), 0);
}

FILE_ROW(file_truncate, MOMENT_JOINED);

/* --- pl_file_open_temporary --------------------------------------------------------------------------------------- */

static bool file_open_temporary_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, 0, SHIM_OPEN);
}

static int file_open_temporary_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_open_temporary_start(op, &w->opened, ROOT, NULL);
}

static int64_t file_open_temporary_call(void *state)
{
    working *w = state;
    return pl_file_open_temporary(&w->opened, ROOT, NULL);
}

static void file_open_temporary_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK((w->opened != NULL) == (result >= 0));
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(count_names(), 1); /* "a" */
        REQUIRE_EQ_INT(file_open_temporary_call(w), PL_OK);
    }
    CHECK_EQ_INT(pl_file_write(w->opened, "hello", 5, 0), PL_OK);
    CHECK_EQ_INT(pl_file_read(w->opened, w->data, SIZE, 0), 5);
}

FILE_ROW(file_open_temporary, MOMENT_JOINED);

/* --- pl_file_make_temporary --------------------------------------------------------------------------------------- */

static bool file_make_temporary_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, 0, SHIM_OPEN);
}

static int file_make_temporary_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_make_temporary_start(op, &w->opened, ROOT, w->text, PATH_SIZE);
}

static int64_t file_make_temporary_call(void *state)
{
    working *w = state;
    return pl_file_make_temporary(&w->opened, ROOT, w->text, PATH_SIZE);
}

static void file_make_temporary_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK((w->opened != NULL) == (result >= 0));
    CHECK((w->text[0] != 0) == (result >= 0));
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(count_names(), 1); /* "a" */
        REQUIRE_EQ_INT(file_make_temporary_call(w), PL_OK);
    }
    CHECK_EQ_INT(pl_file_write(w->opened, "hello", 5, 0), PL_OK);
    CHECK_EQ_INT(size_of(w->text), 5);
    CHECK_EQ_INT(pl_file_remove(w->text), PL_OK);
}

FILE_ROW(file_make_temporary, MOMENT_JOINED);

/* --- pl_file_stat, pl_link_stat ----------------------------------------------------------------------------------- */

static bool file_stat_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, 0, SHIM_STAT);
}

static int file_stat_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_stat_start(op, A, &w->info);
}

static int64_t file_stat_call(void *state)
{
    working *w = state;
    return pl_file_stat(A, &w->info);
}

static void file_stat_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(w->info.size, 0); /* an abandoned call writes nothing */
        CHECK_EQ_INT(file_stat_call(w), PL_OK);
    }
    CHECK_EQ_INT(w->info.size, SIZE);
}

FILE_ROW(file_stat, MOMENT_ABANDONABLE);

#define link_stat_set_up file_stat_set_up

static int link_stat_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_link_stat_start(op, A, &w->info);
}

static int64_t link_stat_call(void *state)
{
    working *w = state;
    return pl_link_stat(A, &w->info);
}

static void link_stat_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(w->info.size, 0);
        CHECK_EQ_INT(link_stat_call(w), PL_OK);
    }
    CHECK_EQ_INT(w->info.size, SIZE);
}

FILE_ROW(link_stat, MOMENT_ABANDONABLE);

/* --- pl_file_look, pl_file_size ----------------------------------------------------------------------------------- */

static bool file_look_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, PL_FILE_READ, SHIM_STAT);
}

static int file_look_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_look_start(op, w->file, &w->info);
}

static int64_t file_look_call(void *state)
{
    working *w = state;
    return pl_file_look(w->file, &w->info);
}

static void file_look_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(w->info.size, result >= 0 ? SIZE : 0);
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(file_look_call(w), PL_OK);
    CHECK_EQ_INT(w->info.size, SIZE);
}

FILE_ROW(file_look, MOMENT_JOINED);

#define file_size_set_up file_look_set_up

static int file_size_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_size_start(op, w->file);
}

static int64_t file_size_call(void *state)
{
    working *w = state;
    return pl_file_size(w->file);
}

static void file_size_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    if (result == PL_ECANCELED)
        result = file_size_call(w);
    CHECK_EQ_INT(result, SIZE);
}

FILE_ROW(file_size, MOMENT_JOINED);

/* --- pl_folder_list ----------------------------------------------------------------------------------------------- */

static bool folder_list_set_up(void *state, moment at)
{
    working *w = state;
    (void)at;
    if (!begin(w, 0) || !CHECK_EQ_INT(pl_file_open(&w->file, ROOT, NULL), PL_OK))
        return false;
    hold(w, SHIM_LIST);
    return true;
}

static int folder_list_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_folder_list_start(op, w->file, &w->listing);
}

static int64_t folder_list_call(void *state)
{
    working *w = state;
    return pl_folder_list(w->file, &w->listing);
}

static void folder_list_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    if (result == PL_ECANCELED) {
        CHECK_EQ_INT(w->listing.count, 0);
        result = folder_list_call(w);
    }
    CHECK_EQ_INT(result, 1);
    if (CHECK_EQ_INT(w->listing.count, 1))
        CHECK_STR(w->listing.entries[0].name, "a");
}

FILE_ROW(folder_list, MOMENT_JOINED);

/* --- pl_resolve --------------------------------------------------------------------------------------------------- */

static const char *const known[] = {"127.0.0.9"};

static bool resolve_set_up(void *state, moment at)
{
    working *w = state;
    (void)at;
    shims_set_name("moments.test", known, 1);
    w->stopped = shims_stopped();
    hold(w, SHIM_RESOLVE);
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

FILE_ROW(resolve, MOMENT_ABANDONABLE);

/* --- pl_resolve_with ---------------------------------------------------------------------------------------------- */

static const pl_resolve_options *resolve_options(working *w)
{
    static pl_resolve_options options = {.size = sizeof options, .family = PL_IPV4};
    options.total = &w->total;
    options.canonical = w->name;
    options.canonical_size = sizeof w->name;
    return &options;
}

static bool resolve_with_set_up(void *state, moment at)
{
    return resolve_set_up(state, at);
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

FILE_ROW(resolve_with, MOMENT_ABANDONABLE);

/* --- pl_resolve_address ------------------------------------------------------------------------------------------- */

static bool resolve_address_set_up(void *state, moment at)
{
    working *w = state;
    (void)at;
    CHECK_EQ_INT(pl_address_parse(&w->addresses[0], "192.0.2.1", 1), PL_OK);
    shims_set_reverse("moments.test");
    w->stopped = shims_stopped();
    hold(w, SHIM_RESOLVE);
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

FILE_ROW(resolve_address, MOMENT_ABANDONABLE);
