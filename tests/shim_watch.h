/* What the system tells of a watched folder, replayed: bytes as it writes them, and the ways in which a request ends.
 *
 * From replay_begin on, the next folder that is watched hears nothing of the system, but what a case sends. Names of
 * records are ASCII, or of '#', which stands for a letter that takes three bytes, or on Windows of '%', which stands for half
 * a letter. One case replays at a time.
 */
#ifndef PROLOOP_TESTS_SHIM_WATCH_H
#define PROLOOP_TESTS_SHIM_WATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum replay_action {
    REPLAY_CREATED,
    REPLAY_DELETED,
    REPLAY_CHANGED,
    REPLAY_OLD_NAME,
    REPLAY_NEW_NAME
} replay_action;

/* `folder` is the one that will be watched. */
void replay_begin(const char *folder);

/* Nothing of it is under way any more. */
void replay_end(void);

/* Adds a record to what is sent next. */
void replay_record(replay_action action, const char *name);

/* Where the system's format has room between records: so many bytes after each from now on, which need not keep them
 * aligned. */
void replay_set_gap(size_t gap);

/* Sends the records, as the end of one request. */
void replay_send(void);

/* Sends that some were lost; false: there is no such way. */
bool replay_send_loss(int way);

/* Sends that the folder is gone; false: there is no such way. */
bool replay_send_end(int way);

/* --- Windows ------------------------------------------------------------------------------------------------------ */

/* The next request ends so, with an NTSTATUS. */
void replay_send_status(unsigned long status);

/* Requests fail with this Win32 error from now on; 0: they do not. */
void replay_set_error(unsigned long error);

/* Sends what was added, but so many bytes of it only. */
void replay_send_cut(size_t bytes);

/* What the last request asked for. */
bool replay_was_recursive(void);
unsigned long replay_filter(void);
int replay_requests(void);

/* --- Linux -------------------------------------------------------------------------------------------------------- */

/* For the shim of read: whether this one reads what is replayed, and what it returns then. errno is set. */
bool replay_read(int descriptor, void *data, size_t size, int64_t *count);

/* Adding the watch number `number`, from 1, fails with this errno; 0: none does. */
void watches_fail(int number, int error);

/* After the watch of that number was made the empty folder becomes a link, of that content. NULL: no more. */
void watches_swap(int number, const char *folder, const char *content);

/* Watches asked for since watches_fail. */
int watches_asked_for(void);

#endif
