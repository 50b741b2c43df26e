/* Moments of a copy, in each of its steps: it goes on while a worker is at one, and undoes what it did after it. */
#include "moments_files.h"

static const pl_file_copy_options replacing = {.size = sizeof replacing, .overwrite = 1};

static bool copy_set_up(working *w, shim held)
{
    if (!begin(w, 0))
        return false;
    pattern_fill(w->data, SMALL_SIZE, OTHER_PATTERN);
    if (!CHECK(file_make(B, w->data, SMALL_SIZE)))
        return false;
    hold(w, held);
    return true;
}

static int copy_start(pl_op *op, void *state)
{
    (void)state;
    return pl_file_copy_start(op, A, B, &replacing);
}

static int64_t copy_call(void *state)
{
    (void)state;
    return pl_file_copy(A, B, &replacing);
}

/* The target is the old file or the new one, and nothing else is there. */
static void copy_check(void *state, int64_t result)
{
    working *w = state;
    bool copied = result >= 0;
    CHECK(!copied || result == SIZE);
    CHECK(file_holds(B, copied ? SIZE : SMALL_SIZE, copied ? 0 : OTHER_PATTERN));
    CHECK_EQ_INT(count_names(), 2);
    if (!copied)
        CHECK_EQ_INT(copy_call(w), SIZE);
    CHECK(file_holds(B, SIZE, 0));
    CHECK(file_holds(A, SIZE, 0));
    CHECK_EQ_INT(count_names(), 2);
}

#define COPY_ROW(noun, of_kind)                                                                                        \
    const moment_row moment_row_##noun = {                                                                             \
        .kind = of_kind,                                                                                               \
        .size = sizeof(working),                                                                                       \
        .set_up = noun##_set_up,                                                                                       \
        .start = copy_start,                                                                                           \
        .call = copy_call,                                                                                             \
        .is_pending = is_held,                                                                                         \
        .complete = release,                                                                                           \
        .check = copy_check,                                                                                           \
        .tear_down = tear_down,                                                                                        \
        .clean_up = remove_folder,                                                                                     \
        .worker = true,                                                                                                \
        .joins = true,                                                                                                 \
    }

/* --- Opening the two ---------------------------------------------------------------------------------------------- */

static bool file_copy_begin_set_up(void *state, moment at)
{
    (void)at;
    return copy_set_up(state, SHIM_OPEN);
}

COPY_ROW(file_copy_begin, MOMENT_PIECES);

/* --- A piece ------------------------------------------------------------------------------------------------------ */

static bool file_copy_set_up(void *state, moment at)
{
    (void)at;
    return copy_set_up(state, SHIM_WRITE);
}

COPY_ROW(file_copy, MOMENT_PIECES);

/* --- The end: times, permissions, the name. A copy that is complete stays ----------------------------------------- */

static bool file_copy_end_set_up(void *state, moment at)
{
    (void)at;
    return copy_set_up(state, SHIM_CHANGE);
}

COPY_ROW(file_copy_end, MOMENT_JOINED);
