/* Pieces of text, and text that grows. */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct piece piece_of(const char *string)
{
    return (struct piece){string, strlen(string)};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct piece piece_trim(struct piece piece)
{
    while (piece.size > 0 && is_blank(piece.data[0])) {
        piece.data++;
        piece.size--;
    }
    while (piece.size > 0 && is_blank(piece.data[piece.size - 1]))
        piece.size--;
    return piece;
}

bool piece_equals(struct piece piece, const char *string)
{
    return piece.size == strlen(string) && (piece.size == 0 || memcmp(piece.data, string, piece.size) == 0);
}

static int lower(char c)
{
    return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c;
}

bool piece_starts_ignoring_case(struct piece piece, const char *string)
{
    size_t size = strlen(string);
    if (piece.size < size)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (lower(piece.data[i]) != lower(string[i]))
            return false;
    }
    return true;
}

bool piece_equals_ignoring_case(struct piece piece, const char *string)
{
    return piece.size == strlen(string) && piece_starts_ignoring_case(piece, string);
}

bool piece_take_element(struct piece *list, struct piece *element)
{
    if (!list->data)
        return false;
    const char *comma = list->size ? memchr(list->data, ',', list->size) : NULL;
    size_t size = comma ? (size_t)(comma - list->data) : list->size;
    *element = piece_trim((struct piece){list->data, size});
    if (comma)
        *list = (struct piece){comma + 1, list->size - size - 1};
    else
        *list = (struct piece){NULL, 0};
    return true;
}

bool piece_read_number(struct piece piece, int64_t *number)
{
    const int64_t most = INT64_C(1) << 62;
    int64_t value = 0;
    for (size_t i = 0; i < piece.size; i++) {
        int digit = piece.data[i] - '0';
        if (digit < 0 || digit > 9 || value > (most - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *number = value;
    return piece.size > 0;
}

/* Makes room for so many more bytes and a NUL. */
static bool reserve(struct text *text, size_t size)
{
    if (text->failed)
        return false;
    if (size < text->capacity - text->size)
        return true;
    size_t capacity = text->capacity ? text->capacity : 256;
    while (capacity - text->size <= size && capacity <= SIZE_MAX / 2)
        capacity *= 2;
    char *data = capacity - text->size > size ? realloc(text->data, capacity) : NULL;
    if (!data) {
        text->failed = true;
        return false;
    }
    text->data = data;
    text->capacity = capacity;
    return true;
}

void text_append(struct text *text, const char *data, size_t size)
{
    if (!reserve(text, size))
        return;
    if (size > 0)
        memcpy(text->data + text->size, data, size);
    text->size += size;
    text->data[text->size] = '\0';
}

void text_append_string(struct text *text, const char *string)
{
    text_append(text, string, strlen(string));
}

void text_append_format(struct text *text, const char *format, ...)
{
    char buffer[256];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    if (size < 0 || (size_t)size >= sizeof buffer)
        text->failed = true;
    else
        text_append(text, buffer, (size_t)size);
}

void text_append_html(struct text *text, const char *string)
{
    for (; *string; string++) {
        switch (*string) {
        case '&':
            text_append_string(text, "&amp;");
            break;
        case '<':
            text_append_string(text, "&lt;");
            break;
        case '>':
            text_append_string(text, "&gt;");
            break;
        case '"':
            text_append_string(text, "&quot;");
            break;
        case '\'':
            text_append_string(text, "&#39;");
            break;
        default:
            text_append(text, string, 1);
        }
    }
}

static bool is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

void text_append_url(struct text *text, const char *string)
{
    for (; *string; string++) {
        if (is_letter_or_digit(*string) || strchr("-._~/", *string))
            text_append(text, string, 1);
        else
            text_append_format(text, "%%%02X", (unsigned)(unsigned char)*string);
    }
}

void text_append_log(struct text *text, struct piece piece)
{
    for (size_t i = 0; i < piece.size; i++) {
        unsigned c = (unsigned char)piece.data[i];
        if (c >= ' ' && c < 0x7F && c != '"' && c != '\\')
            text_append(text, &piece.data[i], 1);
        else
            text_append_format(text, "\\x%02X", c);
    }
}

void text_take(struct text *text, size_t size)
{
    if (size == 0)
        return;
    memmove(text->data, text->data + size, text->size - size + 1);
    text->size -= size;
}

void text_clear(struct text *text)
{
    text->size = 0;
    text->failed = false;
    if (text->data)
        text->data[0] = '\0';
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}
