/* What the rows of files, paths and copies share: a folder with the file "a" in it, and a system call that a shim holds. */
#ifndef PROLOOP_TESTS_MOMENTS_FILES_H
#define PROLOOP_TESTS_MOMENTS_FILES_H

#include <string.h>

#include "folders.h"
#include "loopback.h"
#include "moments.h"
#include "shims.h"

#define ROOT "moments_file_folder"
#define A    ROOT "/a"
#define B    ROOT "/b"

enum { SIZE = 5000, SMALL_SIZE = 100, PATH_SIZE = 500, OTHER_PATTERN = 77 };

typedef struct working {
    shim held; /* the calls that wait */
    int64_t calls; /* of them, before */
    pl_file *file;
    pl_file *opened;
    pl_file_info info;
    pl_folder_listing listing;
    pl_address addresses[4];
    size_t total;
    int stopped; /* look-ups that the system was told to stop, before */
    char name[PL_HOST_NAME_SIZE];
    char text[PATH_SIZE];
    uint8_t data[SIZE];
} working;

static inline bool is_held(void *state)
{
    const working *w = state;
    return shims_held(w->held) >= 1;
}

static inline bool none_is_held(void *state)
{
    return !is_held(state);
}

/* The gate opens. */
static inline void release(void *state)
{
    const working *w = state;
    shims_release(w->held);
}

static inline void hold(working *w, shim held)
{
    w->held = held;
    w->calls = shim_calls(held);
    shims_hold(held);
}

/* Of a joined call, before anything else is done: the system was asked if it says so, and only then. */
static inline void check_calls(const working *w, int64_t result)
{
    int64_t calls = shim_calls(w->held) - w->calls - moment_foreign_calls(w->held);
    if (result == PL_ECANCELED)
        CHECK_EQ_INT(calls, 0);
    else
        CHECK(calls >= 1);
}

static inline void remove_known(void)
{
    path_remove(A);
    path_remove(B);
    path_remove(ROOT);
}

/* Nothing else lay in it. */
static inline void remove_folder(void)
{
    remove_known();
    CHECK(folder_make(ROOT));
    path_remove(ROOT);
}

/* Opens "a" too if there are flags for it. */
static inline bool begin(working *w, uint32_t flags)
{
    pl_file_options options = {.size = sizeof options, .flags = flags};
    remove_known();
    pattern_fill(w->data, SIZE, 0);
    if (!CHECK(folder_make(ROOT)) || !CHECK(file_make(A, w->data, SIZE)))
        return false;
    if (flags && !CHECK_EQ_INT(pl_file_open(&w->file, A, &options), PL_OK))
        return false;
    memset(w->data, 0, SIZE);
    return true;
}

static inline bool begin_held(working *w, uint32_t flags, shim held)
{
    bool begun = begin(w, flags);
    if (begun)
        hold(w, held);
    return begun;
}

static inline void tear_down(void *state)
{
    working *w = state;
    moment_wait_until(none_is_held, w);
    pl_file_close(w->file);
    pl_file_close(w->opened);
    pl_folder_listing_free(&w->listing);
}

/* Of what is at a path: bytes, or an error. */
static inline int64_t size_of(const char *path)
{
    pl_file_info info;
    int64_t rc = pl_file_stat(path, &info);
    return rc < 0 ? rc : info.kind == PL_FILE_REGULAR ? info.size : 0;
}

/* How many names the folder has. */
static inline int64_t count_names(void)
{
    pl_file *folder = NULL;
    pl_folder_listing listing = {0};
    int64_t count = pl_file_open(&folder, ROOT, NULL);
    if (count == PL_OK)
        count = pl_folder_list(folder, &listing);
    pl_folder_listing_free(&listing);
    pl_file_close(folder);
    return count;
}

/* Whether a file is of this size, and has the pattern from there on. */
static inline bool file_holds(const char *path, size_t size, uint64_t pattern)
{
    static uint8_t data[2 * SIZE + 1];
    pl_file *file = NULL;
    bool holds = pl_file_open(&file, path, NULL) == PL_OK &&
                 pl_file_read(file, data, sizeof data, 0) == (int64_t)size && pattern_holds(data, size, pattern);
    pl_file_close(file);
    return holds;
}

/* The row of noun_set_up, noun_start, noun_call and noun_check. */
#define FILE_ROW(noun, of_kind)                                                                                        \
    const moment_row moment_row_##noun = {                                                                             \
        .kind = of_kind,                                                                                               \
        .size = sizeof(working),                                                                                       \
        .set_up = noun##_set_up,                                                                                       \
        .start = noun##_start,                                                                                         \
        .call = noun##_call,                                                                                           \
        .is_pending = is_held,                                                                                         \
        .complete = release,                                                                                           \
        .check = noun##_check,                                                                                         \
        .tear_down = tear_down,                                                                                        \
        .clean_up = remove_folder,                                                                                     \
        .worker = true,                                                                                                \
    }

#endif
