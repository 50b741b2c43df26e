/* Text that grows: see text.h. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <proloop/base.h>

#include "allocator.h"
#include "check.h"

enum { PL__TEXT_SMALLEST = 1024, PL__PIECE_LONGEST = 4 /* bytes of what stands for one character */ };

static bool text_reserve(pl__text *text, size_t more)
{
    if (text->failed)
        return false;
    size_t needed = text->size + more + 1;
    if (needed <= text->capacity)
        return true;
    size_t capacity = text->capacity ? text->capacity : PL__TEXT_SMALLEST;
    while (capacity < needed)
        capacity *= 2;
    char *data = pl__reallocate(text->data, text->capacity, capacity);
    text->failed = !data;
    if (!data)
        return false;
    text->data = data;
    text->capacity = capacity;
    return true;
}

static void text_append(pl__text *text, const char *piece, size_t size)
{
    if (!text_reserve(text, size))
        return;
    memcpy(text->data + text->size, piece, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void pl__text_add(pl__text *text, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int size = vsnprintf(NULL, 0, format, arguments);
    PL__CHECK(size >= 0);
    if (text_reserve(text, (size_t)size)) {
        (void)vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
        text->size += (size_t)size;
    }
    va_end(again);
    va_end(arguments);
}

/* How many bytes a printable character at `bytes` has; 0: there is none. NUL ends the string, so nothing behind it is
 * looked at. */
static size_t printable_size(const unsigned char *bytes)
{
    static const struct {
        unsigned char mask, lead, first_low, first_high;
        size_t size;
    } forms[] = {
        {0xff, 0xc2, 0xa0, 0xbf, 2},                              /* U+0080 to U+009F are control characters */
        {0xff, 0xe0, 0xa0, 0xbf, 3},                              /* no longer form than needed */
        {0xff, 0xed, 0x80, 0x9f, 3},                              /* no surrogates */
        {0xff, 0xf0, 0x90, 0xbf, 4}, {0xff, 0xf4, 0x80, 0x8f, 4}, /* up to U+10FFFF */
        {0xe0, 0xc0, 0x80, 0xbf, 2}, {0xf0, 0xe0, 0x80, 0xbf, 3}, {0xfc, 0xf0, 0x80, 0xbf, 4},
    };
    if (bytes[0] < 0x80)
        return bytes[0] >= 0x20 && bytes[0] != 0x7f;
    if (bytes[0] < 0xc2)
        return 0;
    for (size_t i = 0; i < PL__COUNT_OF(forms); i++) {
        if ((bytes[0] & forms[i].mask) != forms[i].lead)
            continue;
        bool whole = bytes[1] >= forms[i].first_low && bytes[1] <= forms[i].first_high;
        for (size_t next = 2; whole && next < forms[i].size; next++)
            whole = (bytes[next] & 0xc0) == 0x80;
        return whole ? forms[i].size : 0;
    }
    return 0;
}

/* Writes the next character of the string, or what stands for it, and gives its size in bytes there and here. */
static size_t next_piece(const char *string, char piece[PL__PIECE_LONGEST + 1], size_t *piece_size)
{
    const unsigned char *bytes = (const unsigned char *)string;
    size_t size = printable_size(bytes);
    *piece_size = size ? size : 4;
    if (size)
        memcpy(piece, string, size);
    else
        (void)snprintf(piece, PL__PIECE_LONGEST + 1, "\\x%02x", bytes[0]);
    return size ? size : 1;
}

void pl__text_add_printable(pl__text *text, const char *string)
{
    if (!string)
        string = "?";
    while (*string) {
        char piece[PL__PIECE_LONGEST + 1];
        size_t size;
        string += next_piece(string, piece, &size);
        text_append(text, piece, size);
    }
}

void pl__printable(char *out, size_t size, const char *string)
{
    PL__CHECK(size > 0);
    if (!string)
        string = "?";
    while (*string) {
        char piece[PL__PIECE_LONGEST + 1];
        size_t piece_size;
        string += next_piece(string, piece, &piece_size);
        if (piece_size >= size)
            break;
        memcpy(out, piece, piece_size);
        out += piece_size;
        size -= piece_size;
    }
    *out = '\0';
}

void pl__text_add_duration(pl__text *text, int64_t nanoseconds)
{
    if (nanoseconds == PL_FOREVER)
        pl__text_add(text, "for ever");
    else
        pl__text_add(text, "%lld.%03d s", (long long)(nanoseconds / 1000000000), (int)(nanoseconds / 1000000 % 1000));
}

void pl__text_clear(pl__text *text)
{
    pl__release(text->data, text->capacity);
    *text = (pl__text){.data = NULL};
}
