/* Reads the head of an HTTP/1 request. */
#include "request.h"

#include <string.h>

static bool take_line(struct piece *rest, struct piece *line);
static int read_request_line(struct request *request, struct piece line);
static bool take_word(struct piece *line, struct piece *word);
static int read_method(struct request *request, struct piece method);
static int read_version(struct request *request, struct piece version);
static int read_target(struct request *request, struct piece target);
static int read_field(struct request *request, struct piece line);
static int read_value(struct request *request, struct piece name, struct piece value);
static int read_host(struct request *request, struct piece host);
static int read_length(struct request *request, struct piece length);
static int read_transfer_encoding(struct request *request, struct piece encoding);
static void read_connection(struct request *request, struct piece options);
static bool is_token(struct piece piece);

size_t request_head_size(const char *data, size_t size, size_t *searched)
{
    /* A bare LF ends a line here too: its head is then complete, and refused. */
    for (size_t i = *searched; i < size; i++) {
        if (data[i] != '\n')
            continue;
        if (i >= 1 && data[i - 1] == '\n')
            return i + 1;
        if (i >= 2 && data[i - 1] == '\r' && data[i - 2] == '\n')
            return i + 1;
    }
    *searched = size;
    return 0;
}

int request_refuse_size(const char *data, size_t size)
{
    size_t line = size < REQUEST_LINE_SIZE ? size : REQUEST_LINE_SIZE;
    if (size >= REQUEST_LINE_SIZE && !memchr(data, '\n', line))
        return 414;
    return size >= REQUEST_HEAD_SIZE ? 431 : 0;
}

int request_read(struct request *request, const char *head, size_t size)
{
    *request = (struct request){.body_size = -1};
    int refusal = request_refuse_size(head, size);
    if (refusal)
        return refusal;
    struct piece rest = {head, size};
    struct piece line;
    if (!take_line(&rest, &line))
        return 400;
    int unknown_method = read_request_line(request, line);
    if (unknown_method && unknown_method != 501)
        return unknown_method;
    for (int fields = 0;; fields++) {
        if (!take_line(&rest, &line))
            return 400;
        if (line.size == 0)
            break;
        if (fields == REQUEST_FIELDS)
            return 431;
        refusal = read_field(request, line);
        if (refusal)
            return refusal;
    }
    if (request->closes)
        request->keep_alive = false;
    if (request->minor_version >= 1 && !request->has_host)
        return 400;
    if (request->chunked && (request->body_size >= 0 || request->minor_version == 0))
        return 400;
    return unknown_method;
}

/* A line without its CR LF. False: it ends otherwise, or control characters are in it. */
static bool take_line(struct piece *rest, struct piece *line)
{
    const char *end = rest->size ? memchr(rest->data, '\n', rest->size) : NULL;
    if (!end || end == rest->data || end[-1] != '\r')
        return false;
    *line = (struct piece){rest->data, (size_t)(end - rest->data) - 1};
    *rest = (struct piece){end + 1, rest->size - line->size - 2};
    for (size_t i = 0; i < line->size; i++) {
        unsigned char c = (unsigned char)line->data[i];
        if ((c < ' ' && c != '\t') || c == 0x7F)
            return false;
    }
    return true;
}

/* METHOD SP target SP version, with exactly one space between. 501 comes only if nothing else is wrong. */
static int read_request_line(struct request *request, struct piece line)
{
    struct piece method, target;
    if (!take_word(&line, &method) || !take_word(&line, &target))
        return 400;
    int refusal = read_version(request, line);
    if (refusal)
        return refusal;
    int unknown = read_method(request, method);
    if (unknown == 400)
        return 400;
    refusal = read_target(request, target);
    return refusal ? refusal : unknown;
}

/* Takes what comes before a space, and the space. */
static bool take_word(struct piece *line, struct piece *word)
{
    const char *space = line->size ? memchr(line->data, ' ', line->size) : NULL;
    if (!space)
        return false;
    *word = (struct piece){line->data, (size_t)(space - line->data)};
    *line = (struct piece){space + 1, line->size - word->size - 1};
    return true;
}

static int read_version(struct request *request, struct piece version)
{
    if (version.size != 8 || memcmp(version.data, "HTTP/", 5) != 0 || version.data[6] != '.')
        return 400;
    int64_t major, minor;
    if (!piece_read_number((struct piece){version.data + 5, 1}, &major) ||
        !piece_read_number((struct piece){version.data + 7, 1}, &minor))
        return 400;
    request->minor_version = (int)minor;
    request->keep_alive = minor >= 1;
    return major == 1 ? 0 : 505;
}

static int read_method(struct request *request, struct piece method)
{
    static const char *const others[] = {"POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    request->method = METHOD_OTHER;
    if (!is_token(method))
        return 400;
    if (piece_equals(method, "GET")) {
        request->method = METHOD_GET;
        return 0;
    }
    if (piece_equals(method, "HEAD")) {
        request->method = METHOD_HEAD;
        return 0;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (piece_equals(method, others[i]))
            return 0;
    }
    return 501;
}

/* "/path?query", or "http://host/path?query" as proxies are asked. */
static int read_target(struct request *request, struct piece target)
{
    if (target.size == 0 || memchr(target.data, '\t', target.size) || memchr(target.data, '#', target.size))
        return 400;
    if (request->method == METHOD_OTHER)
        return 0; /* some have targets of other forms */
    if (piece_starts_ignoring_case(target, "http://")) {
        size_t host = 7;
        while (host < target.size && target.data[host] != '/' && target.data[host] != '?')
            host++;
        if (host == 7)
            return 400;
        target = (struct piece){target.data + host, target.size - host};
    } else if (target.data[0] != '/') {
        return 400;
    }
    const char *question = target.size ? memchr(target.data, '?', target.size) : NULL;
    size_t size = question ? (size_t)(question - target.data) : target.size;
    request->path = size ? (struct piece){target.data, size} : piece_of("/");
    request->query = (struct piece){target.data + size, target.size - size};
    return 0;
}

static int read_field(struct request *request, struct piece line)
{
    const char *colon = memchr(line.data, ':', line.size);
    if (!colon)
        return 400;
    struct piece name = {line.data, (size_t)(colon - line.data)};
    if (!is_token(name)) /* a folded line, a space before the colon, no name */
        return 400;
    return read_value(request, name, piece_trim((struct piece){colon + 1, line.size - name.size - 1}));
}

static int read_value(struct request *request, struct piece name, struct piece value)
{
    if (piece_equals_ignoring_case(name, "Host"))
        return read_host(request, value);
    if (piece_equals_ignoring_case(name, "Content-Length"))
        return read_length(request, value);
    if (piece_equals_ignoring_case(name, "Transfer-Encoding"))
        return read_transfer_encoding(request, value);
    if (piece_equals_ignoring_case(name, "Connection"))
        read_connection(request, value);
    else if (piece_equals_ignoring_case(name, "Expect"))
        request->expects_continue = piece_equals_ignoring_case(value, "100-continue");
    else if (piece_equals_ignoring_case(name, "Range"))
        request->range = value;
    else if (piece_equals_ignoring_case(name, "If-Range"))
        request->if_range = value;
    else if (piece_equals_ignoring_case(name, "If-None-Match"))
        request->if_none_match = value;
    else if (piece_equals_ignoring_case(name, "If-Modified-Since"))
        request->if_modified_since = value;
    return 0;
}

static int read_host(struct request *request, struct piece host)
{
    if (request->has_host)
        return 400;
    request->has_host = true;
    for (size_t i = 0; i < host.size; i++) {
        if (strchr(" \t,/?#@\\\"<>", host.data[i]))
            return 400;
    }
    return 0;
}

/* A second one is refused even if it says the same: nothing in earnest sends two. */
static int read_length(struct request *request, struct piece length)
{
    return request->body_size < 0 && piece_read_number(length, &request->body_size) ? 0 : 400;
}

static int read_transfer_encoding(struct request *request, struct piece encoding)
{
    if (request->chunked)
        return 400;
    request->chunked = true;
    return piece_equals_ignoring_case(encoding, "chunked") ? 0 : 501;
}

static void read_connection(struct request *request, struct piece options)
{
    struct piece option;
    while (piece_take_element(&options, &option)) {
        if (piece_equals_ignoring_case(option, "close"))
            request->closes = true;
        else if (piece_equals_ignoring_case(option, "keep-alive"))
            request->keep_alive = true;
    }
}

/* Whether it may be a method's or a field's name. */
static bool is_token(struct piece piece)
{
    for (size_t i = 0; i < piece.size; i++) {
        unsigned char c = (unsigned char)piece.data[i];
        if (c <= ' ' || c >= 0x7F || strchr("\"(),/:;<=>?@[\\]{}", c))
            return false;
    }
    return piece.size > 0;
}

/* --- Values that depend on the file ------------------------------------------------------------------------------- */

enum request_range request_read_range(struct piece range, int64_t file_size, int64_t *first, int64_t *size)
{
    if (!piece_starts_ignoring_case(range, "bytes="))
        return RANGE_WHOLE;
    struct piece one = piece_trim((struct piece){range.data + 6, range.size - 6});
    const char *dash = one.size ? memchr(one.data, '-', one.size) : NULL;
    if (!dash)
        return RANGE_WHOLE;
    struct piece from = {one.data, (size_t)(dash - one.data)};
    struct piece to = {dash + 1, one.size - from.size - 1};
    int64_t begin = 0;
    int64_t last = file_size - 1;
    if (from.size == 0) { /* the last so many bytes */
        int64_t count;
        if (!piece_read_number(to, &count))
            return RANGE_WHOLE;
        if (count == 0)
            return RANGE_OUTSIDE;
        if (file_size == 0)
            return RANGE_WHOLE;
        begin = count < file_size ? file_size - count : 0;
    } else {
        int64_t end = last;
        if (!piece_read_number(from, &begin) || (to.size > 0 && (!piece_read_number(to, &end) || end < begin)))
            return RANGE_WHOLE;
        if (begin >= file_size)
            return RANGE_OUTSIDE;
        last = end < last ? end : last;
    }
    *first = begin;
    *size = last - begin + 1;
    return RANGE_PART;
}

bool request_names_tag(struct piece tags, const char *tag)
{
    struct piece one;
    while (piece_take_element(&tags, &one)) {
        if (piece_equals(one, "*"))
            return true;
        if (one.size > 2 && memcmp(one.data, "W/", 2) == 0)
            one = (struct piece){one.data + 2, one.size - 2};
        if (piece_equals(one, tag))
            return true;
    }
    return false;
}
