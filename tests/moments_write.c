/* Moments of reads and writes of a file, and of what changes it. */
#include "moments_files.h"

/* --- Transfers: pl_file_read, and pl_file_write within the file --------------------------------------------------- */

/* On a worker, in the caller's memory; or through the port. */
#if defined(_WIN32)
#define MOMENT_TRANSFER MOMENT_REQUEST
#else
#define MOMENT_TRANSFER MOMENT_JOINED
#endif

static bool transfer_is_held(void *state)
{
    (void)state;
    return shims_held_transfers() >= 1;
}

static bool transfer_is_over(void *state)
{
    return !transfer_is_held(state);
}

static void release_transfer(void *state)
{
    (void)state;
    shims_release_transfers();
}

static void transfer_tear_down(void *state)
{
    working *w = state;
    moment_wait_until(transfer_is_over, w);
    pl_file_close(w->file);
}

static bool transfer_set_up(void *state, moment at)
{
    (void)at;
    if (!begin(state, PL_FILE_READ | PL_FILE_WRITE))
        return false;
    shims_hold_transfers();
    return true;
}

#define TRANSFER_ROW(noun)                                                                                             \
    const moment_row moment_row_##noun = {                                                                             \
        .kind = MOMENT_TRANSFER,                                                                                       \
        .size = sizeof(working),                                                                                       \
        .set_up = transfer_set_up,                                                                                     \
        .start = noun##_start,                                                                                         \
        .call = noun##_call,                                                                                           \
        .is_pending = transfer_is_held,                                                                                \
        .complete = release_transfer,                                                                                  \
        .is_complete = noun##_is_complete,                                                                             \
        .check = noun##_check,                                                                                         \
        .tear_down = transfer_tear_down,                                                                               \
        .clean_up = remove_folder,                                                                                     \
        .worker = MOMENT_TRANSFER == MOMENT_JOINED,                                                                    \
    }

/* Of what the port does the framework sees it. */
#if defined(_WIN32)
#define file_read_is_complete  NULL
#define file_write_is_complete NULL
#else
static bool nobody_can_tell(void *state)
{
    (void)state;
    return true;
}
#define file_read_is_complete  nobody_can_tell
#define file_write_is_complete nobody_can_tell
#endif

static int file_read_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_read_start(op, w->file, w->data, SIZE, 0);
}

static int64_t file_read_call(void *state)
{
    working *w = state;
    return pl_file_read(w->file, w->data, SIZE, 0);
}

static void file_read_check(void *state, int64_t result)
{
    working *w = state;
    if (result == PL_ECANCELED)
        result = file_read_call(w);
    CHECK_EQ_INT(result, SIZE);
    CHECK(pattern_holds(w->data, SIZE, 0));
}

TRANSFER_ROW(file_read);

static int file_write_start(pl_op *op, void *state)
{
    working *w = state;
    pattern_fill(w->data, SIZE, OTHER_PATTERN);
    return pl_file_write_start(op, w->file, w->data, SIZE, 0);
}

static int64_t file_write_call(void *state)
{
    working *w = state;
    pattern_fill(w->data, SIZE, OTHER_PATTERN);
    return pl_file_write(w->file, w->data, SIZE, 0);
}

/* pl_file_bytes_written tells: nothing of it, or all. */
static void file_write_check(void *state, int64_t result)
{
    working *w = state;
    CHECK_EQ_INT(pl_file_bytes_written(w->file), result >= 0 ? SIZE : 0);
    CHECK(file_holds(A, SIZE, result >= 0 ? OTHER_PATTERN : 0));
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(file_write_call(w), PL_OK);
    CHECK_EQ_INT(pl_file_bytes_written(w->file), SIZE);
    CHECK(file_holds(A, SIZE, OTHER_PATTERN));
}

TRANSFER_ROW(file_write);

/* --- pl_file_write beyond the end --------------------------------------------------------------------------------- */

static bool file_extend_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, PL_FILE_WRITE, SHIM_WRITE);
}

static int file_extend_start(pl_op *op, void *state)
{
    working *w = state;
    pattern_fill(w->data, SIZE, SIZE);
    return pl_file_write_start(op, w->file, w->data, SIZE, SIZE);
}

static int64_t file_extend_call(void *state)
{
    working *w = state;
    pattern_fill(w->data, SIZE, SIZE);
    return pl_file_write(w->file, w->data, SIZE, SIZE);
}

static void file_extend_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(pl_file_bytes_written(w->file), result >= 0 ? SIZE : 0);
    CHECK(file_holds(A, result >= 0 ? 2 * SIZE : SIZE, 0));
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(file_extend_call(w), PL_OK);
    CHECK(file_holds(A, 2 * SIZE, 0));
}

FILE_ROW(file_extend, MOMENT_JOINED);

/* --- pl_file_append ----------------------------------------------------------------------------------------------- */

static bool file_append_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, PL_FILE_APPEND, SHIM_WRITE);
}

static int file_append_start(pl_op *op, void *state)
{
    working *w = state;
    pattern_fill(w->data, SIZE, SIZE);
    return pl_file_append_start(op, w->file, w->data, SIZE);
}

static int64_t file_append_call(void *state)
{
    working *w = state;
    pattern_fill(w->data, SIZE, SIZE);
    return pl_file_append(w->file, w->data, SIZE);
}

/* Once, however it went. */
static void file_append_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(pl_file_bytes_written(w->file), result >= 0 ? SIZE : 0);
    CHECK(file_holds(A, result >= 0 ? 2 * SIZE : SIZE, 0));
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(file_append_call(w), PL_OK);
    CHECK(file_holds(A, 2 * SIZE, 0));
}

FILE_ROW(file_append, MOMENT_JOINED);

/* --- pl_file_flush, pl_file_flush_data ---------------------------------------------------------------------------- */

static bool file_flush_set_up(void *state, moment at)
{
    working *w = state;
    (void)at;
    if (!begin(w, PL_FILE_WRITE) || !CHECK_EQ_INT(pl_file_write(w->file, "hello", 5, 0), PL_OK))
        return false;
    hold(w, SHIM_CHANGE);
    return true;
}

static int file_flush_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_flush_start(op, w->file);
}

static int64_t file_flush_call(void *state)
{
    working *w = state;
    return pl_file_flush(w->file);
}

static void file_flush_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    if (result == PL_ECANCELED)
        result = file_flush_call(w);
    CHECK_EQ_INT(result, PL_OK);
    CHECK_EQ_INT(shim_calls(SHIM_CHANGE) - w->calls, 1);
}

FILE_ROW(file_flush, MOMENT_JOINED);

#define file_flush_data_set_up file_flush_set_up

static int file_flush_data_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_flush_data_start(op, w->file);
}

static int64_t file_flush_data_call(void *state)
{
    working *w = state;
    return pl_file_flush_data(w->file);
}

static void file_flush_data_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    if (result == PL_ECANCELED)
        result = file_flush_data_call(w);
    CHECK_EQ_INT(result, PL_OK);
    CHECK_EQ_INT(shim_calls(SHIM_CHANGE) - w->calls, 1);
}

FILE_ROW(file_flush_data, MOMENT_JOINED);

/* --- pl_file_resize ----------------------------------------------------------------------------------------------- */

static bool file_resize_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, PL_FILE_WRITE, SHIM_CHANGE);
}

static int file_resize_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_resize_start(op, w->file, SMALL_SIZE);
}

static int64_t file_resize_call(void *state)
{
    working *w = state;
    return pl_file_resize(w->file, SMALL_SIZE);
}

static void file_resize_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(pl_file_info_get(w->file, &w->info), PL_OK);
    CHECK_EQ_INT(w->info.size, result >= 0 ? SMALL_SIZE : SIZE);
    CHECK(file_holds(A, result >= 0 ? SMALL_SIZE : SIZE, 0));
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(file_resize_call(w), PL_OK);
    CHECK(file_holds(A, SMALL_SIZE, 0));
}

FILE_ROW(file_resize, MOMENT_JOINED);

/* --- pl_file_set_times -------------------------------------------------------------------------------------------- */

static const int64_t then = INT64_C(1234567890) * 1000000000;

static bool file_set_times_set_up(void *state, moment at)
{
    (void)at;
    return begin_held(state, PL_FILE_WRITE, SHIM_CHANGE);
}

static int file_set_times_start(pl_op *op, void *state)
{
    working *w = state;
    return pl_file_set_times_start(op, w->file, PL_TIME_KEEP, then);
}

static int64_t file_set_times_call(void *state)
{
    working *w = state;
    return pl_file_set_times(w->file, PL_TIME_KEEP, then);
}

static void file_set_times_check(void *state, int64_t result)
{
    working *w = state;
    check_calls(w, result);
    CHECK_EQ_INT(pl_file_look(w->file, &w->info), PL_OK);
    CHECK((w->info.modified == then) == (result >= 0));
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(file_set_times_call(w), PL_OK);
    CHECK_EQ_INT(pl_file_look(w->file, &w->info), PL_OK);
    CHECK_EQ_INT(w->info.modified, then);
}

FILE_ROW(file_set_times, MOMENT_JOINED);
