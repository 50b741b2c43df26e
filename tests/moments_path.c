/* Moments of paths: names that change, and what a path leads to. */
#include <stdio.h>

#include "moments_files.h"

static bool change_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, 0, SHIM_CHANGE);
}

/* --- pl_file_rename ----------------------------------------------------------------------------------------------- */

#define file_rename_set_up change_set_up

static int file_rename_start(pl_op *op, void *state)
{
    (void)state;
    return pl_file_rename_start(op, A, B);
}

static int64_t file_rename_call(void *state)
{
    (void)state;
    return pl_file_rename(A, B);
}

static void file_rename_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(size_of(A), result >= 0 ? PL_ENOENT : SIZE);
    CHECK_EQ_INT(size_of(B), result >= 0 ? SIZE : PL_ENOENT);
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(file_rename_call(w), PL_OK);
    CHECK_EQ_INT(size_of(B), SIZE);
}

FILE_ROW(file_rename, MOMENT_JOINED);

/* --- pl_file_remove ----------------------------------------------------------------------------------------------- */

#define file_remove_set_up change_set_up

static int file_remove_start(pl_op *op, void *state)
{
    (void)state;
    return pl_file_remove_start(op, A);
}

static int64_t file_remove_call(void *state)
{
    (void)state;
    return pl_file_remove(A);
}

static void file_remove_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(size_of(A), result >= 0 ? PL_ENOENT : SIZE);
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(file_remove_call(w), PL_OK);
    CHECK_EQ_INT(size_of(A), PL_ENOENT);
}

FILE_ROW(file_remove, MOMENT_JOINED);

/* --- pl_link_make, pl_link_read ----------------------------------------------------------------------------------- */

/* False: the system has none, so that these rows cannot be played. */
static bool links_work(void)
{
    bool work = link_make("a", B, false);
    path_remove(B);
    if (!work)
        printf("not played: there are no symbolic links here\n");
    return work;
}

static bool link_make_set_up(void *state, moment at)
{
    (void)at;
    if (!begin(state, 0) || !links_work())
        return false;
    hold(state, SHIM_CHANGE);
    return true;
}

static int link_make_start(pl_op *op, void *state)
{
    (void)state;
    return pl_link_make_start(op, B, "a");
}

static int64_t link_make_call(void *state)
{
    (void)state;
    return pl_link_make(B, "a");
}

static void link_make_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(size_of(B), result >= 0 ? SIZE : PL_ENOENT);
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(link_make_call(w), PL_OK);
    CHECK_EQ_INT(size_of(B), SIZE);
}

FILE_ROW(link_make, MOMENT_JOINED);

static bool link_read_set_up(void *state, moment at)
{
    (void)at;
    if (!begin(state, 0) || !links_work() || !CHECK(link_make("a", B, false)))
        return false;
    hold(state, on_backend("iocp") ? SHIM_OPEN : SHIM_PATH);
    return true;
}

static int link_read_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_link_read_start(op, B, w->text, PATH_SIZE);
}

static int64_t link_read_call(void *state)
{
    working *w = state;
    return pl_link_read(B, w->text, PATH_SIZE);
}

static void link_read_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        CHECK_STR(w->text, ""); /* an abandoned call writes nothing */
        result = link_read_call(w);
    }
    CHECK_EQ_INT(result, 1);
    CHECK_STR(w->text, "a");
}

FILE_ROW(link_read, MOMENT_ABANDONABLE);

/* --- pl_path_real ------------------------------------------------------------------------------------------------- */

static bool path_real_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, 0, SHIM_PATH);
}

static int path_real_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_path_real_start(op, A, w->text, PATH_SIZE);
}

static int64_t path_real_call(void *state)
{
    working *w = state;
    return pl_path_real(A, w->text, PATH_SIZE);
}

static void path_real_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED) {
        CHECK_STR(w->text, "");
        result = path_real_call(w);
    }
    CHECK_EQ_INT(result, strlen(w->text));
    CHECK(result > (int64_t)strlen(A)); /* a full one */
    CHECK_EQ_INT(size_of(w->text), SIZE);
}

FILE_ROW(path_real, MOMENT_ABANDONABLE);

/* --- pl_folder_make, pl_folder_make_temporary, pl_folder_remove --------------------------------------------------- */

#define folder_make_set_up change_set_up

static int folder_make_start(pl_op *op, void *state)
{
    (void)state;
    return pl_folder_make_start(op, B, 0);
}

static int64_t folder_make_call(void *state)
{
    (void)state;
    return pl_folder_make(B, 0);
}

static void folder_make_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(size_of(B), result >= 0 ? 0 : PL_ENOENT);
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(folder_make_call(w), PL_OK);
    CHECK_EQ_INT(size_of(B), 0);
}

FILE_ROW(folder_make, MOMENT_JOINED);

#define folder_make_temporary_set_up change_set_up

static int folder_make_temporary_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_folder_make_temporary_start(op, ROOT, w->text, PATH_SIZE);
}

static int64_t folder_make_temporary_call(void *state)
{
    working *w = state;
    return pl_folder_make_temporary(ROOT, w->text, PATH_SIZE);
}

/* The path of one that was made is told. */
static void folder_make_temporary_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK((w->text[0] != 0) == (result >= 0));
    CHECK_EQ_INT(count_names(), result >= 0 ? 2 : 1);
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(folder_make_temporary_call(w), PL_OK);
    CHECK_EQ_INT(pl_folder_remove(w->text), PL_OK);
    CHECK_EQ_INT(count_names(), 1);
}

FILE_ROW(folder_make_temporary, MOMENT_JOINED);

static bool folder_remove_set_up(void *state, moment at)
{
    (void)at;
    if (!begin(state, 0) || !CHECK(folder_make(B)))
        return false;
    hold(state, SHIM_CHANGE);
    return true;
}

static int folder_remove_start(pl_op *op, void *state)
{
    (void)state;
    return pl_folder_remove_start(op, B);
}

static int64_t folder_remove_call(void *state)
{
    (void)state;
    return pl_folder_remove(B);
}

static void folder_remove_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(size_of(B), result >= 0 ? PL_ENOENT : 0);
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(folder_remove_call(w), PL_OK);
    CHECK_EQ_INT(size_of(B), PL_ENOENT);
}

FILE_ROW(folder_remove, MOMENT_JOINED);
