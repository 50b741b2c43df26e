/* proloop/watch.h: what happens to the files of a folder.
 *
 * A watch is told by the system what changes, keeps that until somebody asks, and gives it out one event at a time: nothing
 * is lost while nobody waits. Room is limited, though, the system's and the watch's own. When there was too little, that is
 * said, by PL_WATCH_OVERFLOW, and the program has to look at the folder itself.
 *
 *     pl_watch *watch;
 *     pl_watch_event event;
 *     pl_watch_open(&watch, "pages", NULL);
 *     while (pl_watch_next(watch, &event) > 0)
 *         printf("%s\n", event.name);
 */
#ifndef PROLOOP_WATCH_H
#define PROLOOP_WATCH_H

#include <proloop/base.h>
#include <proloop/op.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What happened. As bits in pl_watch_options.events. */
enum pl_watch_kind {
    PL_WATCH_CREATED = 1,  /* made, or moved here from where nobody watches */
    PL_WATCH_CHANGED = 2,  /* its content */
    PL_WATCH_DELETED = 4,  /* removed, or moved to where nobody watches */
    PL_WATCH_RENAMED = 8,  /* old and new name, both in what is watched */
    PL_WATCH_OVERFLOW = 16 /* events were lost, look again. Told before what is still kept; always */
};

/** A watched folder. Counted. ReadDirectoryChangesW; inotify. */
typedef struct pl_watch pl_watch;

typedef struct pl_watch_options {
    size_t size;     /* sizeof(pl_watch_options) */
    int events;      /* of enum pl_watch_kind; 0: all. Without PL_WATCH_RENAMED a rename is a deletion and a creation */
    int recursive;   /* nonzero: its sub folders too, and theirs. Links to folders are not followed */
    size_t capacity; /* bytes of events kept for nobody yet; 0: 1 MiB */
} pl_watch_options;

/** One event. The names are UTF-8, relative to the watched folder, "/" separates. They stay until the next pl_watch_next of
 *  the watch, or until its last reference is gone. */
typedef struct pl_watch_event {
    int kind;             /* one of enum pl_watch_kind */
    int reserved;         /* 0 */
    const char *name;     /* of an overflow: "" */
    const char *old_name; /* of a rename; else NULL */
} pl_watch_event;

/** Watches a folder. Task call (suspends): a worker opens it, with all its sub folders if recursive. What happens after it
 *  has returned is told. On Linux each folder takes one of the system's watches (fs.inotify.max_user_watches); sub folders
 *  that may not be read are left out.
 *  @param watch gets the watch; pl_watch_close gives it back
 *  @param options NULL: all events, of this folder alone
 *  @return PL_OK; PL_ENOENT, PL_ENOTDIR, PL_EACCES, PL_ENOSPC: the system has no watches left, PL_EMFILE: no more watched
 *  folders for this process or user, PL_ENOTSUP: not of this file system, not on this backend, PL_ENOMEM, PL_ECANCELED,
 *  PL_EINVAL, PL_ENOTASK.   Cancel: abandonable; nothing is watched. */
PL_API int64_t pl_watch_open(pl_watch **watch, const char *folder, const pl_watch_options *options);

/** The same, started. The watch stands in *watch when the operation is done with PL_OK. */
PL_API int pl_watch_open_start(pl_op *op, pl_watch **watch, const char *folder, const pl_watch_options *options);

/** The next event, the oldest one kept, or waits for one. Task call (suspends). One waits at a time.
 *  @return the event's kind, > 0; 0: the end, as the folder itself was deleted, moved or unmounted, and all events were
 *  told (on Windows a folder that is moved goes on being watched); PL_ENOSPC: a new sub folder could not be watched, which
 *  ends the watch too; PL_EBUSY, PL_ECLOSED, PL_ECANCELED, PL_EINVAL, PL_ENOTASK, or what the system says.
 *  Cancel: immediate; no event is lost, the next call returns it. */
PL_API int64_t pl_watch_next(pl_watch *watch, pl_watch_event *event);

/** The same, started. The event is filled when the operation is done. */
PL_API int pl_watch_next_start(pl_op *op, pl_watch *watch, pl_watch_event *event);

/** One more reference, for who uses it beside its owner. @return watch. */
PL_API pl_watch *pl_watch_ref(pl_watch *watch);

/** Gives a reference back, not the owner's. NULL is allowed. */
PL_API void pl_watch_unref(pl_watch *watch);

/** Gives back the owner's reference and ends the watch: who waits gets PL_ECLOSED, events that nobody took are dropped. Never
 *  suspends, never fails. NULL is allowed. */
PL_API void pl_watch_close(pl_watch *watch);

#ifdef __cplusplus
}
#endif

#endif
