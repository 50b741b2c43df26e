/* The child program of the tests of processes: every test program is one too, when it is called with PROCESS_CHILD. */
#ifndef PROLOOP_TESTS_PROCESS_CHILD_H
#define PROLOOP_TESTS_PROCESS_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PROCESS_CHILD "--process-child"

/** The first thing of main(). As a child it does what its second argument says, and does not return. */
void process_child_main(int argc, char **argv);

/** The path of this program. */
const char *process_child_path(void);

/** Sets a variable of this process's environment, in UTF-8. */
void process_set_variable(const char *name, const char *value); /* NULL: removes it */

/* What only Unix has; false: not here. */
bool process_ignore_ends_of_children(bool ignore); /* SIGCHLD */
bool process_wait_all_taken(void);                 /* until no child is left, whose ends are ignored */
bool process_start_own_child(uint64_t *id);        /* by fork; it ends with code 3 at once */
bool process_collect_own_child(uint64_t id);       /* true: its code was there */
bool process_has_children(void);                   /* running ones, or such as nobody has collected */

bool process_ignore_pipe_signal(bool ignore);      /* SIGPIPE */

/** Ends a process that is not our child. */
bool process_end_stranger(uint64_t id);

/** Waits until a process is gone, a minute at most. One that ended counts as gone, unless we were the one to collect it. */
bool process_wait_gone(uint64_t id);
bool process_is_gone(uint64_t id);

/** Opens a file for writing in the way a child expects it. */
uintptr_t process_open_file(const char *path);
void process_close_file(uintptr_t file);

#ifdef __cplusplus
}
#endif

#endif
