/* The guard of the served folder. */
#include "path.h"

#include <stdint.h>
#include <string.h>

enum { PATH_SIZE = 4096, NAME_SIZE = 255 };

static bool decode(struct piece path, struct text *decoded);
static bool is_clean_utf8(const char *data, size_t size);
static bool is_device(const char *name, size_t size);
static bool has_short_form(const char *name, size_t size);

int path_read(struct piece path, struct text *relative, bool *is_folder)
{
    text_clear(relative);
    if (path.size == 0 || path.data[0] != '/')
        return 400;
    if (path.size > PATH_SIZE)
        return 404;
    /* Encoded slashes are refused before anything is decoded: decoded, they would look like the others. */
    for (size_t i = 0; i + 2 < path.size; i++) {
        if (piece_starts_ignoring_case((struct piece){path.data + i, 3}, "%2f"))
            return 404;
    }
    if (!decode((struct piece){path.data + 1, path.size - 1}, relative))
        return 400;
    if (!is_clean_utf8(relative->data, relative->size))
        return 400;

    *is_folder = relative->size == 0 || relative->data[relative->size - 1] == '/';
    if (relative->size == 0)
        return 0;
    if (*is_folder)
        relative->data[--relative->size] = '\0';
    for (size_t begin = 0; begin <= relative->size;) {
        size_t size = strcspn(relative->data + begin, "/");
        if (!path_serves_name(relative->data + begin, size))
            return 404;
        begin += size + 1;
    }
    return 0;
}

bool path_serves_name(const char *name, size_t size)
{
    if (size == 0 || size > NAME_SIZE || !is_clean_utf8(name, size))
        return false;
    for (size_t i = 0; i < size; i++) {
        if (strchr("\\/:*?\"<>|", name[i])) /* separators, drives and streams, wildcards */
            return false;
    }
    char last = name[size - 1]; /* Windows drops these; "." and ".." end so too */
    return last != '.' && last != ' ' && !has_short_form(name, size) && !is_device(name, size);
}

static int hexadecimal(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Takes %XX back, once. False: it is malformed. */
static bool decode(struct piece path, struct text *decoded)
{
    text_append(decoded, "", 0);
    for (size_t i = 0; i < path.size; i++) {
        char c = path.data[i];
        if (c == '%') {
            int high = i + 2 < path.size ? hexadecimal(path.data[i + 1]) : -1;
            int low = i + 2 < path.size ? hexadecimal(path.data[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        text_append(decoded, &c, 1);
    }
    return !decoded->failed;
}

/* Whether it is UTF-8 in its shortest form, without surrogates and control characters. */
static bool is_clean_utf8(const char *data, size_t size)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < size;) {
        unsigned first = (unsigned char)data[i++];
        size_t more = first < 0x80 ? 0 : first < 0xC0 ? 4 : first < 0xE0 ? 1 : first < 0xF0 ? 2 : first < 0xF8 ? 3 : 4;
        if (more > 3 || more > size - i)
            return false;
        uint32_t code = more == 0 ? first : first & (0x3Fu >> more);
        for (size_t k = 0; k < more; k++) {
            unsigned next = (unsigned char)data[i++];
            if ((next & 0xC0) != 0x80)
                return false;
            code = code << 6 | (next & 0x3F);
        }
        bool is_control = code < 0x20 || (code >= 0x7F && code < 0xA0);
        bool is_surrogate = code >= 0xD800 && code < 0xE000;
        if (code < least[more] || code > 0x10FFFF || is_control || is_surrogate)
            return false;
    }
    return true;
}

/* The devices of DOS, which Windows finds in every folder, whatever follows a dot: "con", "NUL.txt", "Com1
 * .x". */
static bool is_device(const char *name, size_t size)
{
    static const char *const devices[] = {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"};
    static const char *const ports[] = {"com", "lpt"}; /* and a digit, raised ones included */
    static const char *const digits[] = {"0", "1", "2", "3",        "4",        "5",       "6",
                                         "7", "8", "9", "\xC2\xB9", "\xC2\xB2", "\xC2\xB3"};

    const char *dot = memchr(name, '.', size);
    struct piece base = {name, dot ? (size_t)(dot - name) : size};
    while (base.size > 0 && base.data[base.size - 1] == ' ')
        base.size--;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++) {
        if (piece_equals_ignoring_case(base, devices[i]))
            return true;
    }
    if (base.size < 4)
        return false;
    struct piece digit = {base.data + 3, base.size - 3};
    base.size = 3;
    for (size_t i = 0; i < sizeof digits / sizeof digits[0]; i++) {
        if (piece_equals(digit, digits[i]))
            return piece_equals_ignoring_case(base, ports[0]) || piece_equals_ignoring_case(base, ports[1]);
    }
    return false;
}

/* Whether it may be the short form of a longer name on Windows: "PROGRA~1". */
static bool has_short_form(const char *name, size_t size)
{
    for (size_t i = 0; i + 1 < size; i++) {
        if (name[i] == '~' && name[i + 1] >= '0' && name[i + 1] <= '9')
            return true;
    }
    return false;
}
