#include "shim_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "folders.h"
#include "harness.h"

enum { SPACE = 65536, SENDINGS = 8 };

typedef struct sending {
    size_t size;
    char data[SPACE];
} sending;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* workers watch, too */
static struct {
    bool on;
    char trigger[256];
    int descriptor; /* of inotify; -1: none yet */
    sending queue[SENDINGS];
    int queued;
    sending next; /* being written */
    int watches;
    int fail_number;
    int fail_error;
    int swap_number;
    const char *swap_folder;
    const char *swap_content;
} replay = {.descriptor = -1};

ssize_t __real_read(int descriptor, void *data, size_t size);
int __real_inotify_init1(int flags);
int __wrap_inotify_init1(int flags);
int __real_inotify_add_watch(int descriptor, const char *path, uint32_t mask);
int __wrap_inotify_add_watch(int descriptor, const char *path, uint32_t mask);

int __wrap_inotify_init1(int flags)
{
    int descriptor = __real_inotify_init1(flags);
    CHECK((flags & IN_NONBLOCK) && (flags & IN_CLOEXEC));
    pthread_mutex_lock(&lock);
    if (replay.on)
        replay.descriptor = descriptor;
    pthread_mutex_unlock(&lock);
    return descriptor;
}

int __wrap_inotify_add_watch(int descriptor, const char *path, uint32_t mask)
{
    int error = 0;
    bool swaps;
    pthread_mutex_lock(&lock);
    if (++replay.watches == replay.fail_number)
        error = replay.fail_error;
    swaps = replay.swap_folder && replay.watches == replay.swap_number;
    pthread_mutex_unlock(&lock);
    CHECK(path[0] == '/' && (mask & IN_ONLYDIR));
    if (error) {
        errno = error;
        return -1;
    }
    error = __real_inotify_add_watch(descriptor, path, mask);
    if (swaps) {
        path_remove(replay.swap_folder);
        CHECK(link_make(replay.swap_content, replay.swap_folder, true));
    }
    return error;
}

/* What the system tells is taken from it and forgotten: it only says that there is something to read. */
bool replay_read(int descriptor, void *data, size_t size, int64_t *count)
{
    bool is_replayed;
    pthread_mutex_lock(&lock);
    is_replayed = replay.on && descriptor == replay.descriptor;
    if (is_replayed) {
        (void)__real_read(descriptor, data, size);
        *count = -1;
        errno = EAGAIN;
        if (replay.queued > 0) {
            sending *first = &replay.queue[0];
            CHECK(first->size <= size);
            memcpy(data, first->data, first->size);
            *count = (int64_t)first->size;
            memmove(first, first + 1, (size_t)--replay.queued * sizeof *first);
        }
    }
    pthread_mutex_unlock(&lock);
    return is_replayed;
}

void replay_begin(const char *folder)
{
    pthread_mutex_lock(&lock);
    memset(&replay, 0, sizeof replay);
    replay.descriptor = -1;
    replay.on = true;
    snprintf(replay.trigger, sizeof replay.trigger, "%s/trigger", folder);
    pthread_mutex_unlock(&lock);
}

void replay_end(void)
{
    pthread_mutex_lock(&lock);
    CHECK_EQ_INT(replay.queued, 0);
    replay.on = false;
    pthread_mutex_unlock(&lock);
    path_remove(replay.trigger);
}

void replay_set_gap(size_t gap)
{
    (void)gap; /* each record says how long its name is, the zeros behind it included */
}

static void add(uint32_t mask, uint32_t cookie, const char *name)
{
    struct inotify_event event = {.wd = 1, .mask = mask, .cookie = cookie};
    char *place = replay.next.data + replay.next.size;
    size_t length = 0;
    memset(place, 0, sizeof event + 1024);
    for (; *name; name++) {
        if (*name == '#') {
            memcpy(place + sizeof event + length, "\xe7\x8c\xab", 3);
            length += 3;
        } else {
            place[sizeof event + length++] = *name;
        }
    }
    event.len = length ? (uint32_t)(length / 16 + 1) * 16 : 0;
    memcpy(place, &event, sizeof event);
    replay.next.size += sizeof event + event.len;
}

void replay_record(replay_action action, const char *name)
{
    static const uint32_t masks[] = {IN_CREATE, IN_DELETE, IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO};
    bool is_half = action == REPLAY_OLD_NAME || action == REPLAY_NEW_NAME;
    add(masks[action], is_half ? 7 : 0, name);
}

void replay_send(void)
{
    pthread_mutex_lock(&lock);
    replay.queue[replay.queued++] = replay.next;
    replay.next.size = 0;
    pthread_mutex_unlock(&lock);
    path_remove(replay.trigger);
    CHECK(file_make(replay.trigger, "", 0));
}

bool replay_send_loss(int way)
{
    if (way > 0)
        return false;
    add(IN_Q_OVERFLOW, 0, "");
    ((struct inotify_event *)(void *)replay.next.data)->wd = -1;
    replay_send();
    return true;
}

bool replay_send_end(int way)
{
    static const uint32_t masks[] = {IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT, IN_IGNORED};
    if (way >= (int)(sizeof masks / sizeof masks[0]))
        return false;
    add(masks[way], 0, "");
    replay_send();
    return true;
}

void watches_fail(int number, int error)
{
    pthread_mutex_lock(&lock);
    replay.watches = 0;
    replay.fail_number = number;
    replay.fail_error = error;
    pthread_mutex_unlock(&lock);
}

void watches_swap(int number, const char *folder, const char *content)
{
    pthread_mutex_lock(&lock);
    replay.swap_number = number;
    replay.swap_folder = folder;
    replay.swap_content = content;
    pthread_mutex_unlock(&lock);
}

int watches_asked_for(void)
{
    int count;
    pthread_mutex_lock(&lock);
    count = replay.watches;
    pthread_mutex_unlock(&lock);
    return count;
}

void replay_send_status(unsigned long status)
{
    (void)status;
}

void replay_set_error(unsigned long error)
{
    (void)error;
}

void replay_send_cut(size_t bytes)
{
    (void)bytes;
}

bool replay_was_recursive(void)
{
    return false;
}

unsigned long replay_filter(void)
{
    return 0;
}

int replay_requests(void)
{
    return 0;
}
