#include <proloop/proloop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocation.h"
#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "system.h"

#define ROOT    "watch_test_folder"
#define OUTSIDE "watch_test_outside"

static pl_watch *watch;
static pl_watch_options options;

/* --- Files -------------------------------------------------------------------------------------------------------- */

/* What cases leave in the folder, the deepest first. */
static void clean(void)
{
    static const char *const paths[] = {
        ROOT "/new/t/f",
        ROOT "/new/t",
        ROOT "/new/f",
        ROOT "/new",
        ROOT "/sub/deep/f",
        ROOT "/sub/deep/g",
        ROOT "/sub/deep",
        ROOT "/sub/f",
        ROOT "/sub/g",
        ROOT "/sub",
        ROOT "/other/f",
        ROOT "/other",
        ROOT "/a",
        ROOT "/b",
        ROOT "/last",
        ROOT "/\xc3\xa9",
        ROOT,
        ROOT "_moved",
        OUTSIDE "/f",
        OUTSIDE "/sub/f",
        OUTSIDE "/sub",
        OUTSIDE,
    };
    size_t i;
    for (i = 0; i < sizeof paths / sizeof paths[0]; i++)
        path_remove(paths[i]);
}

static void make(const char *path)
{
    CHECK(file_make(path, "text", 4));
}

static void make_folder(const char *path)
{
    CHECK(folder_make(path));
}

static void move(const char *from, const char *to)
{
    CHECK(path_rename(from, to));
}

static void change(const char *path)
{
    FILE *file = fopen(path, "ab");
    REQUIRE(file != NULL);
    CHECK_EQ_INT(fwrite("more", 1, 4, file), 4);
    CHECK_EQ_INT(fclose(file), 0);
}

/* --- Cases -------------------------------------------------------------------------------------------------------- */

/* A case with an empty folder, and `options` for it to set. */
#define WATCH_CASE(name)                                                                                               \
    static void name##_body(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        clean();                                                                                                       \
        make_folder(ROOT);                                                                                             \
        make_folder(OUTSIDE);                                                                                          \
        watch = NULL;                                                                                                  \
        options = (pl_watch_options){.size = sizeof options};                                                          \
        loopback_run(t, name##_body, NULL);                                                                            \
        clean();                                                                                                       \
    }                                                                                                                  \
    static void name##_body(void)

static bool start(void)
{
    return CHECK_EQ_INT(pl_watch_open(&watch, ROOT, &options), PL_OK);
}

static bool start_recursive(void)
{
    options.recursive = 1;
    return start();
}

static bool skip_without_trees(void)
{
    if (system_is_wine())
        skip_case("Wine's watches do not reach sub folders");
    return system_is_wine();
}

/* The next event, those left out that say that something has changed: how many of those come the systems see differently. */
static int64_t next_but_changes(pl_watch_event *event)
{
    int64_t kind;
    do {
        kind = pl_watch_next(watch, event);
    } while (kind == PL_WATCH_CHANGED);
    return kind;
}

/* The next event is this one; `old_name` of a rename. */
static bool expect(int kind, const char *name, const char *old_name)
{
    pl_watch_event event = {0};
    int64_t got = kind == PL_WATCH_CHANGED ? pl_watch_next(watch, &event) : next_but_changes(&event);
    return CHECK_EQ_INT(got, kind) && CHECK_EQ_INT(event.kind, kind) && CHECK_STR(event.name, name) &&
           CHECK_STR(event.old_name, old_name);
}

/* Nothing else was told before what comes now. */
static void expect_no_more(void)
{
    make(ROOT "/last");
    expect(PL_WATCH_CREATED, "last", NULL);
}

WATCH_CASE(what_happens_to_a_file_is_told_in_order)
{
    REQUIRE(start());
    make(ROOT "/a");
    CHECK(expect(PL_WATCH_CREATED, "a", NULL));
    CHECK(expect(PL_WATCH_CHANGED, "a", NULL));
    move(ROOT "/a", ROOT "/b");
    CHECK(expect(PL_WATCH_RENAMED, "b", "a"));
    change(ROOT "/b");
    CHECK(expect(PL_WATCH_CHANGED, "b", NULL));
    path_remove(ROOT "/b");
    CHECK(expect(PL_WATCH_DELETED, "b", NULL));
    expect_no_more();
    pl_watch_close(watch);
}

WATCH_CASE(folders_are_told_as_files_are)
{
    REQUIRE(start());
    make_folder(ROOT "/sub");
    CHECK(expect(PL_WATCH_CREATED, "sub", NULL));
    move(ROOT "/sub", ROOT "/other");
    CHECK(expect(PL_WATCH_RENAMED, "other", "sub"));
    path_remove(ROOT "/other");
    CHECK(expect(PL_WATCH_DELETED, "other", NULL));
    expect_no_more();
    pl_watch_close(watch);
}

WATCH_CASE(without_recursive_what_is_in_sub_folders_is_not_told)
{
    make_folder(ROOT "/sub");
    REQUIRE(start());
    make(ROOT "/sub/f");
    expect_no_more();
    pl_watch_close(watch);
}

WATCH_CASE(names_are_utf_8)
{
    REQUIRE(start());
    make(ROOT "/\xc3\xa9");
    CHECK(expect(PL_WATCH_CREATED, "\xc3\xa9", NULL));
    path_remove(ROOT "/\xc3\xa9");
    CHECK(expect(PL_WATCH_DELETED, "\xc3\xa9", NULL));
    pl_watch_close(watch);
}

enum { MANY = 300 };

WATCH_CASE(events_wait_until_somebody_takes_them)
{
    char path[64];
    int i;
    options.events = PL_WATCH_CREATED;
    REQUIRE(start());
    for (i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, ROOT "/%d", i);
        make(path);
        if (i % 50 == 0)
            CHECK_EQ_INT(pl_sleep(PL_MS(1)), PL_OK); /* some the loop takes in, the others the system keeps */
    }
    for (i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, "%d", i);
        if (!expect(PL_WATCH_CREATED, path, NULL))
            break;
    }
    for (i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, ROOT "/%d", i);
        path_remove(path);
    }
    pl_watch_close(watch);
}

WATCH_CASE(only_the_events_that_are_wanted_are_told)
{
    options.events = PL_WATCH_DELETED;
    REQUIRE(start());
    make(ROOT "/a");
    move(ROOT "/a", ROOT "/b"); /* renames are not wanted: "a" is gone */
    CHECK(expect(PL_WATCH_DELETED, "a", NULL));
    path_remove(ROOT "/b");
    CHECK(expect(PL_WATCH_DELETED, "b", NULL));
    pl_watch_close(watch);
}

WATCH_CASE(a_rename_is_a_deletion_and_a_creation_to_those_who_want_no_renames)
{
    options.events = PL_WATCH_DELETED | PL_WATCH_CREATED;
    make(ROOT "/a");
    REQUIRE(start());
    move(ROOT "/a", ROOT "/b");
    CHECK(expect(PL_WATCH_DELETED, "a", NULL));
    CHECK(expect(PL_WATCH_CREATED, "b", NULL));
    expect_no_more();
    pl_watch_close(watch);
}

WATCH_CASE(what_moves_in_is_created_and_what_moves_out_is_deleted)
{
    make(OUTSIDE "/f");
    REQUIRE(start());
    move(OUTSIDE "/f", ROOT "/a");
    CHECK(expect(PL_WATCH_CREATED, "a", NULL));
    move(ROOT "/a", OUTSIDE "/f");
    CHECK(expect(PL_WATCH_DELETED, "a", NULL)); /* there is no new name: nothing else has to happen for this */
    make(ROOT "/a");
    CHECK(expect(PL_WATCH_CREATED, "a", NULL));
    move(ROOT "/a", OUTSIDE "/f");
    expect(PL_WATCH_DELETED, "a", NULL);
    make(ROOT "/a");
    move(ROOT "/a", OUTSIDE "/f");
    make(ROOT "/a"); /* the old name is told before what follows it */
    CHECK(expect(PL_WATCH_CREATED, "a", NULL));
    CHECK(expect(PL_WATCH_DELETED, "a", NULL));
    CHECK(expect(PL_WATCH_CREATED, "a", NULL));
    pl_watch_close(watch);
}

/* --- Trees -------------------------------------------------------------------------------------------------------- */

WATCH_CASE(what_is_in_sub_folders_is_told_with_its_path)
{
    if (skip_without_trees())
        return;
    make_folder(ROOT "/sub");
    make_folder(ROOT "/sub/deep");
    make(ROOT "/sub/f");
    REQUIRE(start_recursive());
    make(ROOT "/sub/deep/f");
    CHECK(expect(PL_WATCH_CREATED, "sub/deep/f", NULL));
    move(ROOT "/sub/deep/f", ROOT "/sub/g");
    CHECK(expect(PL_WATCH_RENAMED, "sub/g", "sub/deep/f"));
    path_remove(ROOT "/sub/g");
    CHECK(expect(PL_WATCH_DELETED, "sub/g", NULL));
    path_remove(ROOT "/sub/f");
    path_remove(ROOT "/sub/deep");
    path_remove(ROOT "/sub");
    CHECK(expect(PL_WATCH_DELETED, "sub/f", NULL));
    CHECK(expect(PL_WATCH_DELETED, "sub/deep", NULL));
    CHECK(expect(PL_WATCH_DELETED, "sub", NULL));
    expect_no_more();
    pl_watch_close(watch);
}

/* Made in one go: the system does not watch the new folders before they are filled. */
WATCH_CASE(what_is_made_in_new_sub_folders_is_told_once)
{
    if (skip_without_trees())
        return;
    REQUIRE(start_recursive());
    make_folder(ROOT "/new");
    make_folder(ROOT "/new/t");
    make(ROOT "/new/t/f");
    CHECK(expect(PL_WATCH_CREATED, "new", NULL));
    CHECK(expect(PL_WATCH_CREATED, "new/t", NULL));
    CHECK(expect(PL_WATCH_CREATED, "new/t/f", NULL));
    path_remove(ROOT "/new/t/f");
    CHECK(expect(PL_WATCH_DELETED, "new/t/f", NULL));
    make(ROOT "/new/t/f");
    CHECK(expect(PL_WATCH_CREATED, "new/t/f", NULL));
    expect_no_more();
    pl_watch_close(watch);
}

/* With luck the worker lists a folder while it is being filled. Each name is told once, whoever saw it first. */
WATCH_CASE(a_folder_that_is_filled_while_its_watch_is_made_is_told_whole_and_once)
{
    enum { ROUNDS = 40, FILES = 20 };
    char path[64];
    int round;
    int i;
    if (skip_without_trees())
        return;
    options.events = PL_WATCH_CREATED;
    REQUIRE(start_recursive());
    for (round = 0; round < ROUNDS; round++) {
        int seen[FILES + 1] = {0};
        pl_watch_event event;
        make_folder(ROOT "/new");
        for (i = 0; i < FILES; i++) {
            if (i == round % FILES)
                (void)pl_yield(); /* the loop may take in what there is */
            snprintf(path, sizeof path, ROOT "/new/%d", i);
            make(path);
        }
        make(ROOT "/last");
        while (pl_watch_next(watch, &event) > 0 && strcmp(event.name, "last") != 0)
            seen[strcmp(event.name, "new") == 0 ? FILES : atoi(event.name + 4)]++;
        /* What was made last may be told before what the listing of the new folder finds. */
        for (i = 0; i <= FILES; i++) {
            while (seen[i] == 0 && pl_watch_next(watch, &event) > 0)
                seen[strcmp(event.name, "new") == 0 ? FILES : atoi(event.name + 4)]++;
            if (!CHECK_EQ_INT(seen[i], 1))
                round = ROUNDS;
        }
        for (i = 0; i < FILES; i++) {
            snprintf(path, sizeof path, ROOT "/new/%d", i);
            path_remove(path);
        }
        path_remove(ROOT "/new");
        path_remove(ROOT "/last");
    }
    pl_watch_close(watch);
}

WATCH_CASE(a_folder_that_is_renamed_takes_what_is_in_it_along)
{
    if (skip_without_trees())
        return;
    make_folder(ROOT "/sub");
    make_folder(ROOT "/sub/deep");
    REQUIRE(start_recursive());
    move(ROOT "/sub", ROOT "/new");
    CHECK(expect(PL_WATCH_RENAMED, "new", "sub"));
    move(ROOT "/new/deep", ROOT "/new/t");
    CHECK(expect(PL_WATCH_RENAMED, "new/t", "new/deep"));
    make(ROOT "/new/t/f");
    CHECK(expect(PL_WATCH_CREATED, "new/t/f", NULL));
    expect_no_more();
    pl_watch_close(watch);
}

/* Two chains of folders, the one of which is put below the other: the system has no paths that long. */
WATCH_CASE(what_lies_too_deep_to_be_told_is_a_loss)
{
    enum { FOLDERS = 13, LONGEST = 200, ROOM = FOLDERS * (LONGEST + 1) + 100 };
    static char inside[ROOM], outside[ROOM], first[ROOM], part[LONGEST + 2];
    pl_watch_event event = {0};
    bool lost = false;
    int i;
    memset(part, 'd', sizeof part - 1);
    part[0] = '/';
    strcpy(inside, ROOT);
    strcpy(outside, OUTSIDE);
    for (i = 0; i < FOLDERS; i++) {
        make_folder(strcat(inside, part));
        make_folder(strcat(outside, part));
    }
    snprintf(first, sizeof first, OUTSIDE "%s", part);
    strcat(inside, "/t");
    REQUIRE(start_recursive());
    move(first, inside);
    make(ROOT "/last");
    while (CHECK(pl_watch_next(watch, &event) > 0) && strcmp(event.name, "last") != 0)
        lost = lost || event.kind == PL_WATCH_OVERFLOW;
    CHECK(lost);
    pl_watch_close(watch);
    move(inside, first);
    *strrchr(inside, '/') = '\0';
    for (i = 0; i < FOLDERS; i++) {
        path_remove(inside);
        path_remove(outside);
        *strrchr(inside, '/') = '\0';
        *strrchr(outside, '/') = '\0';
    }
}

/* Somebody has the old folder open, as a shell that stands in it: the system goes on watching it. */
static void take_the_name_of_one_in_use(bool replaced)
{
    pl_file *in_use = NULL;
    if (on_backend("iocp")) {
        skip_case("a folder that is open keeps its name there");
        return;
    }
    make_folder(ROOT "/sub");
    REQUIRE_EQ_INT(pl_file_open(&in_use, ROOT "/sub", NULL), PL_OK);
    REQUIRE(start_recursive());
    if (replaced) {
        make_folder(ROOT "/new");
        CHECK(expect(PL_WATCH_CREATED, "new", NULL));
        move(ROOT "/new", ROOT "/sub");
        CHECK(expect(PL_WATCH_RENAMED, "sub", "new"));
    } else {
        path_remove(ROOT "/sub");
        CHECK(expect(PL_WATCH_DELETED, "sub", NULL));
        make_folder(ROOT "/sub");
        CHECK(expect(PL_WATCH_CREATED, "sub", NULL));
    }
    move(ROOT "/sub", ROOT "/other");
    CHECK(expect(PL_WATCH_RENAMED, "other", "sub"));
    make(ROOT "/other/f");
    CHECK(expect(PL_WATCH_CREATED, "other/f", NULL));
    pl_file_close(in_use);
    pl_watch_close(watch);
}

WATCH_CASE(a_folder_named_as_a_removed_one_that_is_in_use_takes_its_content_along)
{
    take_the_name_of_one_in_use(false);
}

WATCH_CASE(a_folder_that_replaces_one_in_use_takes_its_content_along)
{
    take_the_name_of_one_in_use(true);
}

WATCH_CASE(a_folder_that_moves_out_is_not_watched_any_more)
{
    if (skip_without_trees())
        return;
    make_folder(ROOT "/sub");
    REQUIRE(start_recursive());
    move(ROOT "/sub", OUTSIDE "/sub");
    CHECK(expect(PL_WATCH_DELETED, "sub", NULL));
    make(OUTSIDE "/sub/f");
    expect_no_more();
    move(OUTSIDE "/sub", ROOT "/sub");
    CHECK(expect(PL_WATCH_CREATED, "sub", NULL));
    if (!on_backend("iocp")) /* Windows tells the folder alone */
        CHECK(expect(PL_WATCH_CREATED, "sub/f", NULL));
    make(ROOT "/sub/g");
    CHECK(expect(PL_WATCH_CREATED, "sub/g", NULL));
    pl_watch_close(watch);
}

/* --- A tree that changes at random -------------------------------------------------------------------------------- */

enum { PLACES = 64, PLACE_SIZE = 128 };

/* What there is, as somebody knows it. */
typedef struct tree {
    char paths[PLACES][PLACE_SIZE];
    int count;
} tree;

static int place_of(const tree *t, const char *path)
{
    int i;
    for (i = 0; i < t->count && strcmp(t->paths[i], path) != 0; i++)
        ;
    return i;
}

static bool lies_below(const char *path, const char *top)
{
    size_t length = strlen(top);
    return strncmp(path, top, length) == 0 && (path[length] == '/' || path[length] == '\0');
}

static void tree_add(tree *t, const char *path)
{
    int i = place_of(t, path);
    REQUIRE(i < PLACES && strlen(path) < PLACE_SIZE);
    t->count = i == t->count ? t->count + 1 : t->count;
    strcpy(t->paths[i], path);
}

/* With all that is below it: of a folder that has moved out that is not told. */
static void tree_remove(tree *t, const char *path)
{
    char top[PLACE_SIZE];
    REQUIRE(strlen(path) < PLACE_SIZE);
    strcpy(top, path); /* it may be one of those that move */
    int i;
    for (i = t->count - 1; i >= 0; i--) {
        if (lies_below(t->paths[i], top))
            memmove(t->paths[i], t->paths[i] + PLACE_SIZE, (size_t)(--t->count - i) * PLACE_SIZE);
    }
}

static void tree_move(tree *t, const char *from, const char *to)
{
    char path[PLACE_SIZE * 2];
    int i;
    for (i = 0; i < t->count; i++) {
        if (!lies_below(t->paths[i], from))
            continue;
        snprintf(path, sizeof path, "%s%s", to, t->paths[i] + strlen(from));
        REQUIRE(strlen(path) < PLACE_SIZE);
        strcpy(t->paths[i], path);
    }
}

static bool is_folder_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return (slash ? slash[1] : path[0]) == 'd';
}

/* A path in one of the folders; "d.." names a folder, "f.." a file. */
static void random_path(const tree *t, dice *d, bool folder, char *path)
{
    const char *parent = "";
    int i = t->count ? (int)throw_below(d, (uint64_t)t->count) : 0;
    if (t->count && is_folder_name(t->paths[i]) && strlen(t->paths[i]) < PLACE_SIZE / 8)
        parent = t->paths[i];
    snprintf(path, PLACE_SIZE, "%s%s%c%d", parent, *parent ? "/" : "", folder ? 'd' : 'f', (int)throw_below(d, 4));
}

static bool has_content(const tree *t, const char *folder)
{
    int i;
    for (i = 0; i < t->count; i++) {
        if (lies_below(t->paths[i], folder) && strcmp(t->paths[i], folder) != 0)
            return true;
    }
    return false;
}

/* One change of the real tree, noted in `t`. */
static void change_at_random(tree *t, dice *d)
{
    char path[PLACE_SIZE];
    char full[PLACE_SIZE + sizeof ROOT];
    char full_from[PLACE_SIZE + sizeof ROOT];
    bool folder = throw_below(d, 2) == 0;
    int from = t->count ? (int)throw_below(d, (uint64_t)t->count) : 0;
    uint64_t what = throw_below(d, 10);
    random_path(t, d, folder, path);
    snprintf(full, sizeof full, ROOT "/%s", path);
    snprintf(full_from, sizeof full_from, ROOT "/%s", t->count ? t->paths[from] : "");
    if (what < 5 && t->count < PLACES / 2 && place_of(t, path) == t->count) {
        CHECK(folder ? folder_make(full) : file_make(full, "", 0));
        tree_add(t, path);
    } else if (what < 8 && t->count && !has_content(t, t->paths[from])) {
        path_remove(full_from);
        tree_remove(t, t->paths[from]);
    } else if (t->count && is_folder_name(t->paths[from]) == folder && place_of(t, path) == t->count &&
               !lies_below(path, t->paths[from])) {
        char old[PLACE_SIZE];
        strcpy(old, t->paths[from]);
        move(full_from, full);
        tree_move(t, old, path);
    }
}

/* The old name may be unknown: in a new folder a file may be renamed before anybody looks. */
static void tree_rename(tree *t, const char *from, const char *to)
{
    bool is_known = place_of(t, from) < t->count;
    tree_move(t, from, to);
    if (!is_known)
        tree_add(t, to);
}

/* Follows the events up to one of "last". Whether some were lost. */
static bool follow(tree *t)
{
    pl_watch_event event;
    bool lost = false;
    while (CHECK(pl_watch_next(watch, &event) > 0) && strcmp(event.name, "last") != 0) {
        if (event.kind == PL_WATCH_CREATED)
            CHECK(lost || place_of(t, event.name) == t->count); /* nothing is created twice */
        if (event.kind == PL_WATCH_CREATED)
            tree_add(t, event.name);
        else if (event.kind == PL_WATCH_DELETED)
            tree_remove(t, event.name);
        else if (event.kind == PL_WATCH_RENAMED)
            tree_rename(t, event.old_name, event.name);
        else
            lost = true;
    }
    return lost;
}

static void remove_tree(tree *t)
{
    while (t->count > 0) {
        char full[PLACE_SIZE + sizeof ROOT];
        int i = 0;
        while (has_content(t, t->paths[i]))
            i++;
        snprintf(full, sizeof full, ROOT "/%s", t->paths[i]);
        path_remove(full);
        tree_remove(t, t->paths[i]);
    }
}

/* Who follows the events knows in the end what there is. Some changes the watch sees one by one, others in a heap. */
WATCH_CASE(who_follows_the_events_of_a_tree_knows_what_is_in_it)
{
    enum { ROUNDS = 150 };
    static tree real;
    static tree known;
    bool lost;
    int losses = 0;
    dice d = dice_of(31);
    int round;
    int i;
    if (skip_without_trees())
        return;
    real.count = known.count = 0;
    options.events = PL_WATCH_CREATED | PL_WATCH_DELETED | PL_WATCH_RENAMED;
    REQUIRE(start_recursive());
    for (round = 0; round < ROUNDS; round++) {
        for (i = (int)throw_below(&d, 12); i >= 0; i--) {
            change_at_random(&real, &d);
            if (throw_below(&d, 4) == 0)
                (void)pl_sleep(0);
        }
        make(ROOT "/last");
        lost = follow(&known);
        path_remove(ROOT "/last");
        lost |= follow(&known);
        losses += lost;
        if (lost)
            known = real; /* it looked again */
        for (i = 0; i < real.count; i++) {
            if (!CHECK(place_of(&known, real.paths[i]) < known.count))
                CHECK_STR(real.paths[i], "known");
        }
        if (!CHECK_EQ_INT(known.count, real.count))
            break;
    }
    CHECK(losses < ROUNDS / 2);
    remove_tree(&real);
    pl_watch_close(watch);
}

/* --- The end, and losses ------------------------------------------------------------------------------------------ */

WATCH_CASE(the_end_of_the_folder_is_the_end_of_the_watch_when_all_was_told)
{
    pl_watch_event event;
    if (system_is_wine()) {
        skip_case("Wine says nothing of a watched folder that is deleted");
        return;
    }
    make(ROOT "/a");
    REQUIRE(start());
    path_remove(ROOT "/a");
    path_remove(ROOT); /* on Windows it stays until we close it, and its name with it, for which this waits in vain */
    CHECK(expect(PL_WATCH_DELETED, "a", NULL));
    CHECK_EQ_INT(pl_watch_next(watch, &event), 0);
    CHECK_EQ_INT(event.kind, 0);
    CHECK_EQ_INT(pl_watch_next(watch, &event), 0);
    pl_watch_close(watch);
}

WATCH_CASE(a_folder_that_is_moved_ends_its_watch_or_goes_on)
{
    pl_watch_event event;
    REQUIRE(start());
    move(ROOT, ROOT "_moved");
    if (!on_backend("iocp")) {
        CHECK_EQ_INT(pl_watch_next(watch, &event), 0);
    } else {
        make(ROOT "_moved/a");
        CHECK(expect(PL_WATCH_CREATED, "a", NULL));
        path_remove(ROOT "_moved/a");
    }
    move(ROOT "_moved", ROOT);
    pl_watch_close(watch);
}

WATCH_CASE(without_room_the_loss_is_said_and_the_watch_goes_on)
{
    char path[64];
    pl_watch_event event;
    int64_t kind;
    int told = 0;
    int i;
    options.capacity = 1000;
    options.events = PL_WATCH_CREATED;
    REQUIRE(start());
    for (i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, ROOT "/%d", i);
        make(path);
    }
    kind = pl_watch_next(watch, &event); /* they were all there before this was asked */
    while (kind == PL_WATCH_CREATED) {
        told++;
        kind = pl_watch_next(watch, &event);
    }
    CHECK_EQ_INT(kind, PL_WATCH_OVERFLOW);
    CHECK_STR(event.name, "");
    CHECK(event.old_name == NULL);
    CHECK(told < MANY);
    for (i = 0; i < MANY; i++) {
        snprintf(path, sizeof path, ROOT "/%d", i);
        path_remove(path);
    }
    while (pl_sleep(PL_MS(1)) == PL_OK && told < MANY) { /* until there is room again */
        pl_op op = {0};
        CHECK_EQ_INT(pl_watch_next_start(&op, watch, &event), PL_OK);
        if (pl_op_is_pending(&op))
            told = MANY;
        CHECK(pl_op_finish(&op) != 0);
    }
    expect_no_more();
    pl_watch_close(watch);
}

/* Linux: the length of the system's queue. */
static int queue_length(void)
{
    FILE *file = fopen("/proc/sys/fs/inotify/max_queued_events", "r");
    int length = 0;
    if (file) {
        if (fscanf(file, "%d", &length) != 1)
            length = 0;
        fclose(file);
    }
    return length;
}

WATCH_CASE(what_the_system_loses_is_said_and_new_sub_folders_are_found)
{
    int length = queue_length();
    pl_watch_event event;
    int64_t kind;
    int i;
    if (on_backend("iocp") || length > 100000)
        return; /* the shim's tests say how Windows tells it */
    options.events = PL_WATCH_CREATED;
    make_folder(ROOT "/other");
    REQUIRE(start_recursive());
    for (i = 0; i <= length / 2 + 10; i++) { /* each of them two events to the system */
        make_folder(ROOT "/a");
        path_remove(ROOT "/a");
    }
    make_folder(ROOT "/sub");
    make_folder(ROOT "/sub/deep");
    path_remove(ROOT "/other");
    while ((kind = pl_watch_next(watch, &event)) == PL_WATCH_CREATED)
        CHECK_STR(event.name, "a");
    CHECK_EQ_INT(kind, PL_WATCH_OVERFLOW);
    make(ROOT "/sub/deep/f");
    do {
        kind = pl_watch_next(watch, &event);
    } while (kind == PL_WATCH_CREATED && strcmp(event.name, "a") == 0);
    CHECK_EQ_INT(kind, PL_WATCH_CREATED);
    CHECK_STR(event.name, "sub/deep/f");
    pl_watch_close(watch);
}

/* --- Waiting ------------------------------------------------------------------------------------------------------ */

WATCH_CASE(one_waits_at_a_time)
{
    pl_watch_event event;
    pl_watch_event other;
    pl_op first = {0};
    pl_op second = {0};
    REQUIRE(start());
    CHECK_EQ_INT(pl_watch_next_start(&first, watch, &event), PL_OK);
    CHECK_EQ_INT(pl_watch_next_start(&first, watch, &event), PL_EBUSY);
    CHECK_EQ_INT(pl_watch_next_start(&second, watch, &other), PL_EBUSY);
    CHECK_EQ_INT(pl_watch_next(watch, &other), PL_EBUSY);
    make_folder(ROOT "/sub");
    CHECK_EQ_INT(pl_op_await(&first), PL_WATCH_CREATED);
    CHECK_STR(event.name, "sub");
    expect_no_more();
    pl_watch_close(watch);
}

static int64_t wait_for_event(void *arg)
{
    pl_watch_event event;
    *(int64_t *)arg = pl_watch_next(watch, &event);
    return 0;
}

WATCH_CASE(closing_ends_the_wait_and_what_comes_after)
{
    int64_t result = 0;
    pl_watch_event event;
    pl_task *task = NULL;
    pl_op op = {0};
    REQUIRE(start());
    CHECK_EQ_INT(pl_spawn(&task, wait_for_event, &result, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK(pl_watch_ref(watch) == watch);
    pl_watch_close(watch);
    CHECK_EQ_INT(pl_task_await(task), 0);
    CHECK_EQ_INT(result, PL_ECLOSED);
    CHECK_EQ_INT(pl_watch_next(watch, &event), PL_ECLOSED);
    CHECK_EQ_INT(pl_watch_next_start(&op, watch, &event), PL_ECLOSED);
    CHECK_EQ_INT(pl_op_is_pending(&op), 0);
    pl_watch_unref(watch);
    pl_task_unref(task);
}

static void leave_open(void)
{
    REQUIRE(start());
    make(ROOT "/a");
    CHECK(expect(PL_WATCH_CREATED, "a", NULL)); /* the change is kept, and nobody takes it */
}

/* The loop's end closes it. */
TEST_CASE(a_watch_may_outlive_its_loop)
{
    clean();
    make_folder(ROOT);
    watch = NULL;
    options = (pl_watch_options){.size = sizeof options};
    loopback_run(t, leave_open, NULL);
    pl_watch_close(watch);
    clean();
}

/* --- Misuse, and want of memory ----------------------------------------------------------------------------------- */

WATCH_CASE(wrong_arguments_are_refused)
{
    const pl_watch_options small = {.size = sizeof small - 1};
    const pl_watch_options unknown = {.size = sizeof unknown, .events = 64};
    pl_watch *none = NULL;
    pl_watch_event event;
    pl_op op = {0};
    CHECK_EQ_INT(pl_watch_open(NULL, ROOT, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_watch_open(&none, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_watch_open(&none, "", NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_watch_open(&none, ROOT, &small), PL_EINVAL);
    CHECK_EQ_INT(pl_watch_open(&none, ROOT, &unknown), PL_EINVAL);
    CHECK_EQ_INT(pl_watch_open_start(NULL, &none, ROOT, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_watch_open(&none, ROOT "/none", NULL), PL_ENOENT);
    make(ROOT "/a");
    CHECK_EQ_INT(pl_watch_open(&none, ROOT "/a", NULL), PL_ENOTDIR);
    CHECK(none == NULL);
    CHECK_EQ_INT(pl_watch_next(NULL, &event), PL_EINVAL);
    REQUIRE(start());
    CHECK_EQ_INT(pl_watch_next(watch, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_watch_next_start(NULL, watch, &event), PL_EINVAL);
    CHECK_EQ_INT(pl_watch_next_start(&op, NULL, &event), PL_EINVAL);
    pl_watch_close(watch);
    pl_watch_close(NULL);
    pl_watch_unref(NULL);
    CHECK(pl_watch_ref(NULL) == NULL);
}

TEST_CASE(outside_a_task_it_is_refused)
{
    pl_watch *none = NULL;
    pl_watch_event event;
    pl_op op = {0};
    (void)t;
    CHECK_EQ_INT(pl_watch_open(&none, ".", NULL), PL_ENOTASK);
    CHECK_EQ_INT(pl_watch_open_start(&op, &none, ".", NULL), PL_ENOLOOP);
    CHECK_EQ_INT(pl_watch_next((pl_watch *)(void *)&op, &event), PL_ENOTASK);
}

static void open_in_simulation(void)
{
    pl_watch *none = NULL;
    CHECK_EQ_INT(pl_watch_open(&none, ".", NULL), PL_ENOTSUP);
    CHECK(none == NULL);
}

TEST_CASE(the_simulation_has_no_folders)
{
    test_context simulated = *t;
    simulated.backend = "sim";
    loopback_run(&simulated, open_in_simulation, NULL);
}

static failing_allocation memory;

static int64_t open_without_memory(int call)
{
    int64_t result;
    memory.fail_at = memory.calls + call;
    result = pl_watch_open(&watch, ROOT, &options);
    memory.fail_at = 0;
    return result;
}

static void run_without_memory(void)
{
    int64_t result = PL_ENOMEM;
    int call;
    make_folder(ROOT "/sub");
    options.recursive = 1;
    CHECK_EQ_INT(pl_watch_open(&watch, ROOT, &options), PL_OK); /* makes the workers */
    pl_watch_close(watch);
    for (call = 1; result == PL_ENOMEM && call < 50; call++) {
        watch = NULL;
        result = open_without_memory(call);
        CHECK(result == PL_ENOMEM || result == PL_OK);
        CHECK((watch != NULL) == (result == PL_OK));
    }
    CHECK(call > 4);
    pl_watch_close(watch);
}

TEST_CASE(without_memory_nothing_is_watched_and_nothing_is_left)
{
    clean();
    make_folder(ROOT);
    options = (pl_watch_options){.size = sizeof options};
    REQUIRE_EQ_INT(failing_allocation_begin(&memory), PL_OK);
    loopback_run(t, run_without_memory, NULL);
    t_restore_allocator();
    clean();
}

TEST_SUITE(watch, TEST_BACKENDS_REAL, CASE(what_happens_to_a_file_is_told_in_order),
           CASE(folders_are_told_as_files_are), CASE(without_recursive_what_is_in_sub_folders_is_not_told),
           CASE(names_are_utf_8), CASE(events_wait_until_somebody_takes_them),
           CASE(only_the_events_that_are_wanted_are_told),
           CASE(a_rename_is_a_deletion_and_a_creation_to_those_who_want_no_renames),
           CASE(what_moves_in_is_created_and_what_moves_out_is_deleted),
           CASE(what_is_in_sub_folders_is_told_with_its_path), CASE(what_is_made_in_new_sub_folders_is_told_once),
           CASE(a_folder_that_is_filled_while_its_watch_is_made_is_told_whole_and_once),
           CASE(a_folder_that_is_renamed_takes_what_is_in_it_along),
           CASE_ON(ON_LINUX, what_lies_too_deep_to_be_told_is_a_loss),
           CASE(a_folder_named_as_a_removed_one_that_is_in_use_takes_its_content_along),
           CASE(a_folder_that_replaces_one_in_use_takes_its_content_along),
           CASE(a_folder_that_moves_out_is_not_watched_any_more),
           CASE(who_follows_the_events_of_a_tree_knows_what_is_in_it),
           CASE(the_end_of_the_folder_is_the_end_of_the_watch_when_all_was_told),
           CASE(a_folder_that_is_moved_ends_its_watch_or_goes_on),
           CASE(without_room_the_loss_is_said_and_the_watch_goes_on),
           CASE(what_the_system_loses_is_said_and_new_sub_folders_are_found), CASE(one_waits_at_a_time),
           CASE(closing_ends_the_wait_and_what_comes_after), CASE(a_watch_may_outlive_its_loop),
           CASE(wrong_arguments_are_refused), CASE(outside_a_task_it_is_refused), CASE(the_simulation_has_no_folders),
           CASE(without_memory_nothing_is_watched_and_nothing_is_left))
