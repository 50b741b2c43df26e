/* watch.c: watched folders, by inotify.
 *
 * The system watches single folders. To watch a tree, each of its folders gets a watch, and this keeps the tree: a table of
 * folders by the number of their watch, each with its parent's number and its own name. So a folder that is renamed takes
 * all below it along.
 *
 * A new folder may have something in it before its watch exists. So it is listed after that, and what is found is told as
 * created. Some of it the system tells too: the names found are remembered until the system has told all that it knew at
 * the time of the listing, which is when it has nothing more to tell.
 *
 * What the system tells is past: a new folder may have been renamed already when its watch is to be made. If it was not
 * found, that is remembered in the same way, until its new name is told. If others that were found may have been mistaken for
 * one another, or if the system lost events, the loss is said, the whole tree is looked through once more, and watches of
 * folders that are not in it any more are removed.
 */
#include "watch.h"

#include <errno.h>

#include "../allocator.h"
#include "../watch.h"
#include "../worker_pool.h"
#include "error.h"

#if defined(__linux__)

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LISTED_BUCKETS = 256,
    READS = 256, /* of one job: others want the worker, too */
    NO_WATCH = -1
};

/* A watched folder. */
typedef struct folder {
    int watch;
    int parent;    /* NO_WATCH: it is the root */
    bool found;    /* while the tree is looked through */
    uint64_t turn; /* when it got its place; of two with one name the older is not there any more, but still in use */
    char *name;    /* in its parent; of the root NULL */
} folder;

/* A name that was found in a new folder; or `missing`: the name of a new folder that was not found. */
typedef struct listed {
    pl__node node;
    int watch;
    bool missing;
    size_t size;
    char name[1];
} listed;

/* The old name of a rename. */
typedef struct half {
    bool is_set;
    bool is_folder;
    int watch; /* of the folder it was in */
    uint32_t cookie;
    char name[NAME_MAX + 1];
} half;

struct pl__changes {
    int descriptor;
    int root;
    bool recursive;
    uint32_t mask;
    char *root_path;
    size_t root_size;
    folder *folders; /* by the number of their watch, which the system counts up */
    size_t count;
    size_t capacity;
    uint64_t turns;
    int *to_list; /* folders whose content is to be looked at */
    size_t to_list_count;
    size_t to_list_capacity;
    pl__list found[LISTED_BUCKETS]; /* listed */
    size_t found_count;
    bool fresh;  /* folders got watches since the system had nothing to tell */
    bool unsure; /* and one was renamed: it may have been another that did */
    half old;
    char path[PATH_MAX];     /* relative, of what is told */
    char old_path[PATH_MAX]; /* of the old name of a rename */
    char full[PATH_MAX];     /* of what is watched or listed */
};

/* --- The table of folders ----------------------------------------------------------------------------------------- */

static size_t place_of(const pl__changes *self, int watch)
{
    size_t low = 0, high = self->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (self->folders[middle].watch < watch)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static folder *find(const pl__changes *self, int watch)
{
    size_t place = place_of(self, watch);
    return place < self->count && self->folders[place].watch == watch ? &self->folders[place] : NULL;
}

static void release_text(char *text)
{
    if (text)
        pl__release(text, strlen(text) + 1);
}

static char *copy_text(const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = pl__allocate(size);
    if (copy)
        memcpy(copy, text, size);
    return copy;
}

static bool grow(void **items, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity ? *capacity * 2 : 16;
    void *grown = pl__reallocate(*items, *capacity * size, larger * size);
    if (!grown)
        return false;
    *items = grown;
    *capacity = larger;
    return true;
}

/* Puts a folder into the table, or moves it to where it is now. `name` NULL: the root. False: no memory. */
static bool put(pl__changes *self, int watch, int parent, const char *name)
{
    char *copy = name ? copy_text(name) : NULL;
    if (name && !copy)
        return false;
    size_t place = place_of(self, watch);
    if (place == self->count || self->folders[place].watch != watch) {
        void *items = self->folders;
        if (!grow(&items, &self->capacity, self->count, sizeof *self->folders)) {
            release_text(copy);
            return false;
        }
        self->folders = items;
        memmove(&self->folders[place + 1], &self->folders[place], (self->count - place) * sizeof *self->folders);
        self->folders[place] = (folder){.watch = watch};
        self->count++;
    }
    folder *entry = &self->folders[place];
    release_text(entry->name);
    entry->name = copy;
    entry->parent = parent;
    entry->turn = ++self->turns;
    entry->found = true;
    return true;
}

static void take_out(pl__changes *self, int watch)
{
    size_t place = place_of(self, watch);
    if (place == self->count || self->folders[place].watch != watch)
        return;
    release_text(self->folders[place].name);
    self->count--;
    memmove(&self->folders[place], &self->folders[place + 1], (self->count - place) * sizeof *self->folders);
}

/* The folder itself, or one below it. */
static bool lies_in(const pl__changes *self, int watch, int top)
{
    while (watch != NO_WATCH && watch != top) {
        const folder *entry = find(self, watch);
        watch = entry ? entry->parent : NO_WATCH;
    }
    return watch == top && top != NO_WATCH;
}

/* Marks those that are to stay, and removes the watches of the others. */
static void sweep(pl__changes *self)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++) {
        folder *entry = &self->folders[i];
        if (entry->found) {
            self->folders[kept++] = *entry;
            continue;
        }
        (void)inotify_rm_watch(self->descriptor, entry->watch);
        release_text(entry->name);
    }
    self->count = kept;
}

/* The folder of that name in another; NULL: it has no watch. While some were found ahead of what is told it is the one that
 * was watched first. */
static folder *find_named(const pl__changes *self, int parent, const char *name)
{
    folder *named = NULL;
    for (size_t i = 0; i < self->count && !(named && self->fresh); i++) {
        folder *entry = &self->folders[i];
        if (entry->parent == parent && entry->name && strcmp(entry->name, name) == 0 &&
            (!named || named->turn < entry->turn))
            named = entry;
    }
    return named;
}

/* A folder has left the tree, with all below it. */
static void forget_tree(pl__changes *self, int parent, const char *name)
{
    const folder *named = find_named(self, parent, name);
    int top = named ? named->watch : NO_WATCH;
    for (size_t i = 0; i < self->count; i++)
        self->folders[i].found = !lies_in(self, self->folders[i].watch, top);
    sweep(self);
}

/* --- Paths -------------------------------------------------------------------------------------------------------- */

/* Puts `name` and a slash before what is at `start` of a path that is written from its end. NULL: too long. */
static char *prepend(char *path, char *start, const char *name)
{
    size_t length = strlen(name);
    if ((size_t)(start - path) < length + 1)
        return NULL;
    if (*start)
        *--start = '/';
    start -= length;
    memcpy(start, name, length);
    return start;
}

/* Relative to the root, into PATH_MAX bytes: a name in a folder, or, with NULL, the folder itself. False: too long, or
 * the folder is not known. */
static bool write_path(const pl__changes *self, char *path, int watch, const char *name)
{
    char *start = path + PATH_MAX - 1;
    *start = '\0';
    if (name)
        start = prepend(path, start, name);
    while (start && watch != self->root) {
        const folder *entry = find(self, watch);
        start = entry ? prepend(path, start, entry->name) : NULL;
        watch = entry ? entry->parent : NO_WATCH;
    }
    if (start)
        memmove(path, start, strlen(start) + 1);
    return start != NULL;
}

/* For the system, into self->full. */
static bool write_full_path(pl__changes *self, int watch, const char *name)
{
    size_t root = strlen(self->root_path);
    if (!write_path(self, self->full, watch, name) || root + 1 + strlen(self->full) >= sizeof self->full)
        return false;
    memmove(self->full + root + 1, self->full, strlen(self->full) + 1);
    memcpy(self->full, self->root_path, root);
    self->full[root] = self->full[root + 1] || root == 0 ? '/' : '\0';
    return true;
}

/* --- Names that were found ---------------------------------------------------------------------------------------- */

static pl__list *bucket_of(pl__changes *self, int watch, const char *name)
{
    uint32_t hash = (uint32_t)watch * UINT32_C(2654435761);
    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * UINT32_C(16777619);
    return &self->found[hash % LISTED_BUCKETS];
}

static bool recall(pl__changes *self, int watch, const char *name, bool missing);

static void remember(pl__changes *self, int watch, const char *name, bool missing)
{
    (void)recall(self, watch, name, missing); /* once */
    size_t size = sizeof(listed) + strlen(name);
    listed *entry = pl__allocate_zeroed(size);
    if (!entry)
        return; /* it may be told twice */
    entry->watch = watch;
    entry->missing = missing;
    entry->size = size;
    memcpy(entry->name, name, strlen(name));
    pl__list_push_back(bucket_of(self, watch, name), &entry->node);
    self->found_count++;
}

static void forget(pl__changes *self, listed *entry)
{
    pl__node_unlink(&entry->node);
    pl__release(entry, entry->size);
    self->found_count--;
}

/* True: it was among them, and is not any more. */
static bool recall(pl__changes *self, int watch, const char *name, bool missing)
{
    if (self->found_count == 0)
        return false;
    PL__LIST_EACH (node, bucket_of(self, watch, name)) {
        listed *entry = PL__CONTAINER_OF(node, listed, node);
        if (entry->watch == watch && entry->missing == missing && strcmp(entry->name, name) == 0) {
            forget(self, entry);
            return true;
        }
    }
    return false;
}

static void forget_all(pl__changes *self)
{
    for (size_t i = 0; self->found_count > 0 && i < LISTED_BUCKETS; i++) {
        for (pl__node *node; (node = pl__list_first(&self->found[i]));)
            forget(self, PL__CONTAINER_OF(node, listed, node));
    }
}

/* --- Watching ----------------------------------------------------------------------------------------------------- */

/* A folder of which the system says so may have gone since, or be closed to us. */
static bool is_harmless(int error)
{
    return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP || error == ENAMETOOLONG;
}

/* Gives a sub folder a watch, and notes that it is to be listed. 0, or an errno: nothing can be watched any more. */
static int watch_sub_folder(pl__changes *self, int parent, const char *name)
{
    if (!write_full_path(self, parent, name))
        return 0; /* too long to be named to the system */
    int watch = inotify_add_watch(self->descriptor, self->full, self->mask | IN_DONT_FOLLOW);
    if (watch < 0) {
        int error = errno;
        if (error == ENOENT || error == ENOTDIR)
            remember(self, parent, name, true);
        return is_harmless(error) ? 0 : error;
    }
    const folder *known = find(self, watch);
    if (known && lies_in(self, parent, watch))
        return 0; /* mounted into itself */
    self->fresh = true;
    if (known && (known->parent != parent || strcmp(known->name, name) != 0))
        self->unsure = true; /* it is one that we know: it was moved, and we are not told yet */
    void *items = self->to_list;
    if (!grow(&items, &self->to_list_capacity, self->to_list_count, sizeof *self->to_list))
        return ENOMEM;
    self->to_list = items;
    if (!put(self, watch, parent, name))
        return ENOMEM;
    self->to_list[self->to_list_count++] = watch;
    return 0;
}

static bool is_folder(DIR *entries, const struct dirent *entry)
{
    struct stat status;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dirfd(entries), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode);
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* NULL: it is gone, or closed to us. A link may be there instead: it is not followed. */
static DIR *open_entries(pl__changes *self, int watch)
{
    if (!write_full_path(self, watch, NULL))
        return NULL;
    int descriptor = open(self->full, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = descriptor < 0 ? NULL : fdopendir(descriptor);
    if (descriptor >= 0 && !entries)
        (void)close(descriptor);
    return entries;
}

/* Looks at the content of a folder. With news, tells it as created. */
static int list_folder(pl__changes *self, int watch, pl__news *news)
{
    int error = 0;
    DIR *entries = open_entries(self, watch);
    if (!entries)
        return 0;
    for (const struct dirent *entry; !error && (entry = readdir(entries));) {
        if (is_dots(entry->d_name))
            continue;
        if (news && write_path(self, self->path, watch, entry->d_name)) {
            pl__news_tell(news, PL_WATCH_CREATED, self->path, NULL);
            remember(self, watch, entry->d_name, false);
        }
        if (is_folder(entries, entry))
            error = watch_sub_folder(self, watch, entry->d_name);
    }
    closedir(entries);
    return error;
}

/* Lists the folders that are to be listed, and those found in them. */
static int list_folders(pl__changes *self, pl__news *news)
{
    int error = 0;
    for (size_t i = 0; !error && i < self->to_list_count; i++)
        error = list_folder(self, self->to_list[i], news);
    self->to_list_count = 0;
    return error;
}

static int watch_tree(pl__changes *self, pl__news *news, int parent, const char *name)
{
    int error = watch_sub_folder(self, parent, name);
    return error ? error : list_folders(self, news);
}

static int list_all(pl__changes *self)
{
    int error = list_folder(self, self->root, NULL);
    return error ? error : list_folders(self, NULL);
}

/* Events were lost: which folders are there? */
static int look_through(pl__changes *self)
{
    for (size_t i = 0; i < self->count; i++)
        self->folders[i].found = self->folders[i].watch == self->root;
    int error = list_all(self);
    sweep(self);
    return error;
}

/* --- Events ------------------------------------------------------------------------------------------------------- */

static void tell(pl__changes *self, pl__news *news, uint8_t kind, int watch, const char *name)
{
    if (write_path(self, self->path, watch, name))
        pl__news_tell(news, kind, self->path, NULL);
    else
        news->lost = true; /* too long for a path */
}

/* The new name of what was renamed did not come: it has left. */
static void tell_half(pl__changes *self, pl__news *news)
{
    if (!self->old.is_set)
        return;
    self->old.is_set = false;
    (void)recall(self, self->old.watch, self->old.name, true);
    tell(self, news, PL_WATCH_DELETED, self->old.watch, self->old.name);
    if (self->recursive && self->old.is_folder)
        forget_tree(self, self->old.watch, self->old.name);
}

static void note_half(pl__changes *self, const struct inotify_event *event)
{
    self->old = (half){.is_set = true, .watch = event->wd, .cookie = event->cookie};
    self->old.is_folder = (event->mask & IN_ISDIR) != 0;
    size_t length = strnlen(event->name, NAME_MAX);
    memcpy(self->old.name, event->name, length);
    (void)recall(self, event->wd, event->name, false);
}

/* It keeps its watch, and so do those in it. */
static int folder_renamed(pl__changes *self, pl__news *news, int parent, const char *name)
{
    const folder *entry = find_named(self, self->old.watch, self->old.name);
    if (recall(self, self->old.watch, self->old.name, true) || !entry)
        return watch_tree(self, news, parent, name); /* it was renamed before it could be found */
    self->unsure = self->unsure || self->fresh || self->found_count > 0;
    return put(self, entry->watch, parent, name) ? 0 : ENOMEM;
}

static int appeared(pl__changes *self, pl__news *news, const struct inotify_event *event)
{
    if (recall(self, event->wd, event->name, false))
        return 0;
    tell(self, news, PL_WATCH_CREATED, event->wd, event->name);
    bool has_content = self->recursive && (event->mask & IN_ISDIR);
    return has_content ? watch_tree(self, news, event->wd, event->name) : 0;
}

static int moved_here(pl__changes *self, pl__news *news, const struct inotify_event *event)
{
    if (!self->old.is_set)
        return appeared(self, news, event);
    if (recall(self, event->wd, event->name, false)) { /* it was found under its new name */
        self->old.is_folder = false;
        tell_half(self, news);
        return 0;
    }
    self->old.is_set = false;
    if (write_path(self, self->old_path, self->old.watch, self->old.name) &&
        write_path(self, self->path, event->wd, event->name))
        pl__news_tell(news, PL_WATCH_RENAMED, self->path, self->old_path);
    else
        news->lost = true;
    bool is_kept = self->recursive && self->old.is_folder;
    return is_kept ? folder_renamed(self, news, event->wd, event->name) : 0;
}

/* 0, or an errno: nothing can be watched any more. */
static int take_event(pl__changes *self, pl__news *news, const struct inotify_event *event)
{
    if (!(event->mask & IN_MOVED_TO) || event->cookie != self->old.cookie)
        tell_half(self, news);
    if (event->mask & IN_Q_OVERFLOW) {
        news->lost = true;
        forget_all(self);
        return self->recursive ? look_through(self) : 0;
    }
    if (event->wd == self->root && (event->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)))
        news->ended = true;
    if (event->mask & IN_IGNORED)
        take_out(self, event->wd);
    if (!event->len || !find(self, event->wd))
        return 0;
    if (event->mask & IN_CREATE)
        return appeared(self, news, event);
    if (event->mask & IN_MOVED_TO)
        return moved_here(self, news, event);
    if (event->mask & IN_MOVED_FROM)
        note_half(self, event);
    if (event->mask & IN_DELETE) {
        (void)recall(self, event->wd, event->name, false);
        (void)recall(self, event->wd, event->name, true);
    }
    if (event->mask & (IN_DELETE | IN_MODIFY))
        tell(self, news, event->mask & IN_DELETE ? PL_WATCH_DELETED : PL_WATCH_CHANGED, event->wd, event->name);
    return 0;
}

/* The system writes whole events, each aligned as the first member wants. */
static int take_events(pl__changes *self, pl__news *news, const char *data, size_t size)
{
    int error = 0;
    for (size_t at = 0; at < size && !error && !news->ended;) {
        const struct inotify_event *event = (const struct inotify_event *)(const void *)(data + at);
        PL__CHECK(size - at >= sizeof *event && size - at - sizeof *event >= event->len);
        error = take_event(self, news, event);
        at += sizeof *event + event->len;
    }
    return error;
}

int64_t pl__changes_receive(int descriptor, void *data, size_t size)
{
    ssize_t count;
    do {
        count = read(descriptor, data, size);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

/* The system has nothing more to tell: all that it knew when folders were looked at is told. */
static int all_is_told(pl__changes *self, pl__news *news)
{
    int error = 0;
    forget_all(self);
    self->fresh = false;
    if (self->unsure) {
        news->lost = true;
        error = look_through(self);
    }
    self->unsure = false;
    return error;
}

/* What came, and what else there is, up to a job's share. */
static int take_all(pl__changes *self, pl__job *job)
{
    pl__news *news = job->as.changes_read.news;
    char *data = job->as.changes_read.data;
    int error = take_events(self, news, data, job->as.changes_read.size);
    for (int reads = 0; reads < READS && !error && !news->ended; reads++) {
        int64_t size = pl__changes_receive(self->descriptor, data, PL__CHANGES_SIZE);
        if (size <= 0) {
            error = all_is_told(self, news);
            break;
        }
        error = take_events(self, news, data, (size_t)size);
    }
    return error;
}

int64_t pl__run_changes_read(pl__job *job)
{
    pl__changes *self = job->as.changes_read.system;
    pl__news *news = job->as.changes_read.news;
    int error = 0;
    if (job->as.changes_read.halves)
        tell_half(self, news);
    else
        error = take_all(self, job);
    if (error || news->ended)
        tell_half(self, news);
    if (error) {
        news->error = pl__error_from_errno(error);
        news->system_error = error;
    }
    news->half = self->old.is_set;
    return 0;
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

static uint32_t mask_of(uint8_t wanted, bool recursive)
{
    const uint8_t moves = PL_WATCH_CREATED | PL_WATCH_DELETED | PL_WATCH_RENAMED;
    uint32_t mask = IN_ONLYDIR | IN_EXCL_UNLINK;
    if (recursive || (wanted & moves))
        mask |= IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
    if (wanted & PL_WATCH_CHANGED)
        mask |= IN_MODIFY;
    return mask;
}

/* 0, or an errno. */
static int open_changes(pl__changes *self, const char *path)
{
    self->descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (self->descriptor < 0)
        return errno;
    char *real = realpath(path, NULL); /* the program's current folder may change */
    if (!real)
        return errno;
    self->root_path = copy_text(real);
    free(real);
    if (!self->root_path)
        return ENOMEM;
    self->root_size = strlen(self->root_path) + 1;
    if (self->root_size == sizeof "/")
        self->root_path[0] = '\0'; /* paths below it begin with their own slash */
    self->root = inotify_add_watch(self->descriptor, *self->root_path ? self->root_path : "/",
                                   self->mask | IN_DELETE_SELF | IN_MOVE_SELF);
    if (self->root < 0)
        return errno;
    if (!put(self, self->root, NO_WATCH, NULL))
        return ENOMEM;
    int error = self->recursive ? list_all(self) : 0;
    int waiting = 0;
    if (ioctl(self->descriptor, FIONREAD, &waiting) == 0 && waiting == 0)
        self->fresh = false; /* nothing has happened meanwhile */
    return error;
}

int64_t pl__run_changes_open(pl__job *job)
{
    pl__changes *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return PL_ENOMEM;
    self->recursive = job->as.changes_open.recursive;
    self->mask = mask_of(job->as.changes_open.wanted, self->recursive);
    for (size_t i = 0; i < LISTED_BUCKETS; i++)
        pl__list_init(&self->found[i]);
    int error = open_changes(self, job->as.changes_open.path);
    if (error) {
        if (self->descriptor >= 0)
            (void)close(self->descriptor);
        pl__changes_destroy(self);
        job->system_error = error;
        return pl__error_from_errno(error);
    }
    job->as.changes_open.object = (uintptr_t)self->descriptor;
    job->as.changes_open.system = self;
    return 0;
}

void pl__changes_destroy(pl__changes *self)
{
    if (!self)
        return;
    forget_all(self);
    for (size_t i = 0; i < self->count; i++)
        release_text(self->folders[i].name);
    if (self->folders)
        pl__release(self->folders, self->capacity * sizeof *self->folders);
    if (self->to_list)
        pl__release(self->to_list, self->to_list_capacity * sizeof *self->to_list);
    if (self->root_path)
        pl__release(self->root_path, self->root_size);
    pl__release(self, sizeof *self);
}

#else /* no inotify */

int64_t pl__changes_receive(int descriptor, void *data, size_t size)
{
    PL__UNUSED(descriptor);
    PL__UNUSED(data);
    PL__UNUSED(size);
    return -ENOTSUP;
}

int64_t pl__run_changes_open(pl__job *job)
{
    PL__UNUSED(job);
    return PL_ENOTSUP;
}

int64_t pl__run_changes_read(pl__job *job)
{
    PL__UNUSED(job);
    return PL_ENOTSUP;
}

void pl__changes_destroy(pl__changes *changes)
{
    PL__UNUSED(changes);
}

#endif
