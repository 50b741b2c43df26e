/* Standard streams for tests: while a case runs, one of the process is something else, whose other end the case has. */
#ifndef PROLOOP_TESTS_STANDARD_STREAMS_H
#define PROLOOP_TESTS_STANDARD_STREAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum standard_kind {
    STANDARD_PIPE,
    STANDARD_FILE,
    STANDARD_NOTHING,  /* /dev/null, NUL */
    STANDARD_TERMINAL, /* in its usual mode: lines, echo */
    STANDARD_MASTER,   /* the other side of one */
    STANDARD_SOCKET,
    STANDARD_CLOSED
};

/* 0, 1, 2: input, output, error. `path` is of a file, which is read from, or appended to, at `place`. False: there is no such thing
 * here. */
bool standard_begin(int which, enum standard_kind kind, const char *path, int64_t place);

/* The process's own one again. */
void standard_end(void);

/* The same, but the other end stays: for the streams that were made meanwhile. */
void standard_give_back(void);

/* At the other end. */
bool standard_feed(const void *data, size_t size);
int64_t standard_drain(void *data, size_t size); /* waits for some; 0: the end */
int64_t standard_drain_now(void *data, size_t size); /* waits for nothing; 0: nothing is there */
void standard_hang_up(void);                     /* closes it */

/* The stream as the process has it, without the library: writes to it. */
bool standard_write(const void *data, size_t size);

/* What must not change: flags of the descriptor, the modes of a terminal. Two words. */
void standard_modes(uint64_t modes[2]);

#endif
