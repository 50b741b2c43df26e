/* text.h: text that grows, made of pieces.
 *
 * A piece that there is no memory for makes the text a failed one, and the pieces after it nothing: so one look at the
 * end is enough.
 */
#ifndef PROLOOP_SRC_TEXT_H
#define PROLOOP_SRC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "compiler.h"

/* Zeroed: empty. */
typedef struct pl__text {
    char *data; /* NUL behind `size` bytes; NULL: none yet */
    size_t size;
    size_t capacity;
    bool failed; /* out of memory */
} pl__text;

PL__PRINTF(2, 3) void pl__text_add(pl__text *text, const char *format, ...);

/* A string of a user, in which what is not printable UTF-8 stands as \x1b; NULL: "?". */
void pl__text_add_printable(pl__text *text, const char *string);

/* "1.234 s"; PL_FOREVER: "for ever". */
void pl__text_add_duration(pl__text *text, int64_t nanoseconds);

/* The same as pl__text_add_printable, into `size` bytes, cut to what fits. */
void pl__printable(char *out, size_t size, const char *string);

/* Frees it; it is empty then. */
void pl__text_clear(pl__text *text);

#endif
