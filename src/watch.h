/* Watched folders, from the inside: what the portable part (watch.c) and the system's (src/win, src/posix) tell each other.
 *
 * The system gives bytes (a CHANGES completion) in a format of its own. A worker reads them (the job CHANGES_READ) and
 * makes changes of them, with names that a program understands: where the system does not watch sub folders by itself that
 * means to look at the file system. What it must remember in between is its `pl__changes`.
 */
#ifndef PROLOOP_SRC_WATCH_H
#define PROLOOP_SRC_WATCH_H

#include <proloop/watch.h>

#include "list.h"
#include "proactor.h"

/* Bytes of one CHANGES. Windows reads a folder of another computer with no more. */
enum { PL__CHANGES_SIZE = 64 * 1024 };

/* One change, with its names behind it. */
typedef struct pl__change {
    pl__node node;
    size_t size; /* of this allocation */
    const char *name;
    const char *old_name; /* NULL: none */
    uint8_t kind;         /* enum pl_watch_kind */
} pl__change;

/* What one look yields. */
typedef struct pl__news {
    pl__list changes; /* the oldest first */
    size_t bytes;     /* of them */
    size_t room;      /* for them; what does not fit is lost */
    uint8_t wanted;   /* enum pl_watch_kind */
    bool lost;        /* the system or the room was too small */
    bool half;        /* the last change is the old name of a rename, whose new name may follow: not told yet */
    bool ended;       /* the folder is not there any more */
    int error;        /* negative: it cannot be watched any more */
    int32_t system_error;
} pl__news;

void pl__news_init(pl__news *news, uint8_t wanted, size_t room);

/* Adds a change, if it is wanted. For a rename `old_name` is not NULL. */
void pl__news_tell(pl__news *news, uint8_t kind, const char *name, const char *old_name);

/* What the system's part remembers of a watched folder. Made by pl__run_changes_open. NULL is allowed. Any thread. */
typedef struct pl__changes pl__changes;
void pl__changes_destroy(pl__changes *changes);

/* The loop closes: its watches do. */
void pl__watches_close(pl_loop *loop);

#endif
