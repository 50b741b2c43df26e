/* text.h: pieces of text, and text that grows.
 *
 * A piece points into memory of another: what the parser finds in a request's head, for instance. It has no
 * NUL at its end. A text owns its memory, and has one.
 */
#ifndef HTTPD_TEXT_H
#define HTTPD_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct piece {
    const char *data; /* NULL: there is none */
    size_t size;
};

struct piece piece_of(const char *string);

/** Without spaces and tabs at both ends. */
struct piece piece_trim(struct piece piece);

bool piece_equals(struct piece piece, const char *string);

/** Where only ASCII letters have cases. */
bool piece_equals_ignoring_case(struct piece piece, const char *string);
bool piece_starts_ignoring_case(struct piece piece, const char *string);

/** Takes the first element off a list with commas, trimmed. False: the list is at its end. */
bool piece_take_element(struct piece *list, struct piece *element);

/** Reads a number of nothing but digits, from 0 to 2^62. */
bool piece_read_number(struct piece piece, int64_t *number);

/** Text that grows. Zeroed: empty. Running out of memory is remembered, so that it need be asked for only
 * once. */
struct text {
    char *data; /* NULL or ended by a NUL */
    size_t size;
    size_t capacity;
    bool failed;
};

void text_append(struct text *text, const char *data, size_t size);
void text_append_string(struct text *text, const char *string);

/** At most 255 bytes. */
void text_append_format(struct text *text, const char *format, ...);

/** So that HTML shows it as it is, in attributes too. */
void text_append_html(struct text *text, const char *string);

/** So that it is a path in a URL; "/" stays. */
void text_append_url(struct text *text, const char *string);

/** So that it is safe within quotes in a log: everything but visible ASCII becomes \xHH. */
void text_append_log(struct text *text, struct piece piece);

/** Drops bytes from the start. */
void text_take(struct text *text, size_t size);

/** Empties it and keeps the memory; the failure is forgotten. */
void text_clear(struct text *text);

void text_free(struct text *text);

#endif
