/* The parser of requests of samples/httpd. */
#include <string.h>

#include "../samples/httpd/request.h"
#include "harness.h"

#define END "Host: a\r\n\r\n"

static int status_of(const char *head)
{
    struct request request;
    return request_read(&request, head, strlen(head));
}

static void check_status(const char *head, int expected)
{
    if (!CHECK_EQ_INT(status_of(head), expected))
        CHECK_STR(head, "is the head");
}

static void check_piece(struct piece piece, const char *expected)
{
    struct text text = {0};
    text_append(&text, piece.data, piece.size);
    CHECK_STR(text.data, expected);
    text_free(&text);
}

static bool reads(struct request *request, const char *head)
{
    return CHECK_EQ_INT(request_read(request, head, strlen(head)), 0);
}

TEST_CASE(a_request_is_read)
{
    struct request request;
    (void)t;
    REQUIRE(reads(&request, "GET /a/b?c=d HTTP/1.1\r\nHost: example.com:80\r\nrange:bytes=0-1\r\nIF-RANGE: \"x\"\r\n"
                            "If-None-Match:\t \"y\", W/\"z\" \t\r\nIf-Modified-Since: then\r\n\r\n"));
    CHECK_EQ_INT(request.method, METHOD_GET);
    CHECK_EQ_INT(request.minor_version, 1);
    CHECK(request.keep_alive);
    CHECK(!request.chunked && !request.expects_continue);
    CHECK_EQ_INT(request.body_size, -1);
    check_piece(request.path, "/a/b");
    check_piece(request.query, "?c=d");
    check_piece(request.range, "bytes=0-1");
    check_piece(request.if_range, "\"x\"");
    check_piece(request.if_none_match, "\"y\", W/\"z\"");
    check_piece(request.if_modified_since, "then");
}

TEST_CASE(a_request_may_say_little)
{
    struct request request;
    (void)t;
    REQUIRE(reads(&request, "HEAD / HTTP/1.0\r\n\r\n"));
    CHECK_EQ_INT(request.method, METHOD_HEAD);
    CHECK_EQ_INT(request.minor_version, 0);
    CHECK(!request.keep_alive);
    check_piece(request.path, "/");
    CHECK(request.range.data == NULL);
    REQUIRE(reads(&request, "GET / HTTP/1.1\r\nHost:\r\nAccept:\r\n\r\n"));
}

TEST_CASE(the_end_of_the_head_is_found)
{
    static const char data[] = "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /";
    size_t searched = 0;
    (void)t;
    for (size_t size = 0; size < 27; size++)
        CHECK_EQ_INT(request_head_size(data, size, &searched), 0);
    CHECK_EQ_INT(request_head_size(data, 27, &searched), 27);
    searched = 0;
    CHECK_EQ_INT(request_head_size(data, strlen(data), &searched), 27);
    searched = 0;
    CHECK_EQ_INT(request_head_size("a\n\nb", 4, &searched), 3);
    searched = 0;
    CHECK_EQ_INT(request_head_size("a\n\r\nb", 5, &searched), 4);
    searched = 0;
    CHECK_EQ_INT(request_head_size("a\r\r\nb\r\n\r", 8, &searched), 0);
}

TEST_CASE(request_lines_are_strict)
{
    (void)t;
    check_status("\r\n\r\n", 400);
    check_status("GET\r\n\r\n", 400);
    check_status("GET /\r\n\r\n", 400);
    check_status("GET / \r\n" END, 400);
    check_status("GET  / HTTP/1.1\r\n" END, 400);
    check_status("GET /  HTTP/1.1\r\n" END, 400);
    check_status(" GET / HTTP/1.1\r\n" END, 400);
    check_status("GET / HTTP/1.1 \r\n" END, 400);
    check_status("GET\t/\tHTTP/1.1\r\n" END, 400);
    check_status("GET /a b HTTP/1.1\r\n" END, 400);
    check_status("GET /a\tb HTTP/1.1\r\n" END, 400);
    check_status("GET /a#b HTTP/1.1\r\n" END, 400);
    check_status("GET a HTTP/1.1\r\n" END, 400);
    check_status("GET * HTTP/1.1\r\n" END, 400);
    check_status("G(T / HTTP/1.1\r\n" END, 400);
    check_status("G\x80T / HTTP/1.1\r\n" END, 400);
    check_status("\x16\x03\x01 / HTTP/1.1\r\n" END, 400);
}

TEST_CASE(versions_are_told_apart)
{
    (void)t;
    check_status("GET / HTTP/1.9\r\n" END, 0);
    check_status("GET / HTTP/0.9\r\n" END, 505);
    check_status("GET / HTTP/2.0\r\n" END, 505);
    check_status("PRI * HTTP/2.0\r\n\r\n", 505);
    check_status("GET / HTTP/11\r\n" END, 400);
    check_status("GET / HTTP/1.10\r\n" END, 400);
    check_status("GET / HTTP/1,1\r\n" END, 400);
    check_status("GET / http/1.1\r\n" END, 400);
    check_status("GET / HTTP/+.1\r\n" END, 400);
    check_status("GET / HTTP/1.x\r\n" END, 400);
}

TEST_CASE(methods_are_told_apart)
{
    static const char *const others[] = {"POST / HTTP/1.1\r\n" END,        "OPTIONS * HTTP/1.1\r\n" END,
                                         "CONNECT a:443 HTTP/1.1\r\n" END, "DELETE /a HTTP/1.1\r\n" END,
                                         "TRACE / HTTP/1.1\r\n" END,       "PATCH / HTTP/1.1\r\n" END};
    struct request request;
    (void)t;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (reads(&request, others[i]))
            CHECK_EQ_INT(request.method, METHOD_OTHER);
    }
    check_status("BREW / HTTP/1.1\r\n" END, 501);
    check_status("get / HTTP/1.1\r\n" END, 501);
    check_status("GETT / HTTP/1.1\r\n" END, 501);
    check_status("BREW / HTTP/1.1\r\nno field\r\n" END, 400);
    check_status("BREW / HTTP/3.1\r\n" END, 505);
}

TEST_CASE(targets_may_name_the_host)
{
    struct request request;
    (void)t;
    REQUIRE(reads(&request, "GET http://example.com/a?b HTTP/1.1\r\n" END));
    check_piece(request.path, "/a");
    check_piece(request.query, "?b");
    REQUIRE(reads(&request, "GET HTTP://example.com HTTP/1.1\r\n" END));
    check_piece(request.path, "/");
    REQUIRE(reads(&request, "GET http://example.com?b HTTP/1.1\r\n" END));
    check_piece(request.path, "/");
    check_piece(request.query, "?b");
    check_status("GET http:// HTTP/1.1\r\n" END, 400);
    check_status("GET http:///a HTTP/1.1\r\n" END, 400);
    check_status("GET ftp://example.com/ HTTP/1.1\r\n" END, 400);
}

TEST_CASE(fields_are_strict)
{
    (void)t;
    check_status("GET / HTTP/1.1\r\nA\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\n: a\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nA : b\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nA\t: b\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\n A: b\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nA: b\r\n c\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nA(: b\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nA: b\x01\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nA: b\rc\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nA: b\x7F\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nA: b\tc \xC3\xA9\r\n" END, 0);
    CHECK_EQ_INT(request_read(&(struct request){0}, "GET / HTTP/1.1\r\nA: b\0c\r\n" END, 36), 400);
}

TEST_CASE(line_ends_are_strict)
{
    (void)t;
    check_status("GET / HTTP/1.1\nHost: a\n\n", 400);
    check_status("GET / HTTP/1.1\r\nHost: a\n\r\n", 400);
    check_status("GET / HTTP/1.1\nHost: a\r\n\r\n", 400);
    check_status("GET / HTTP/1.1\r\nHost: a\r\n\n", 400);
    check_status("GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", 400);
    check_status("GET / HTTP/1.1\r\nHost: a", 400);
}

TEST_CASE(hosts_are_strict)
{
    (void)t;
    check_status("GET / HTTP/1.1\r\n\r\n", 400);
    check_status("GET / HTTP/1.0\r\n\r\n", 0);
    check_status("GET / HTTP/1.1\r\nHost: b\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n", 400);
    check_status("GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 0);
    check_status("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400);
    check_status("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400);
    check_status("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400);
    check_status("GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400);
}

TEST_CASE(bodies_have_one_length)
{
    struct request request;
    (void)t;
    REQUIRE(reads(&request, "POST / HTTP/1.1\r\nContent-Length: 0042 \r\n" END));
    CHECK_EQ_INT(request.body_size, 42);
    REQUIRE(reads(&request, "GET / HTTP/1.1\r\ncontent-length: 0\r\n" END));
    CHECK_EQ_INT(request.body_size, 0);
    REQUIRE(reads(&request, "GET / HTTP/1.1\r\nContent-Length: 4611686018427387904\r\n" END));
    check_status("GET / HTTP/1.1\r\nContent-Length: 4611686018427387905\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999999999\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: -1\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: +1\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: 0x10\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: 1 2\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: 1.0\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length:\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: 5, 5\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 5\r\n" END, 400);
    check_status("GET / HTTP/1.1\r\nContent-Length: 5\r\ncontent-length: 6\r\n" END, 400);
}

TEST_CASE(chunks_and_a_length_are_refused)
{
    struct request request;
    (void)t;
    REQUIRE(reads(&request, "POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n" END));
    CHECK(request.chunked);
    check_status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n" END, 400);
    check_status("POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n" END, 400);
    check_status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END, 400);
    check_status("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n" END, 400);
    check_status("POST / HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n" END, 501);
    check_status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n" END, 501);
    check_status("POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n" END, 501);
    check_status("POST / HTTP/1.1\r\nTransfer-Encoding: \x0B"
                 "chunked\r\n" END,
                 400);
    check_status("POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n" END, 400);
}

static bool keeps_alive(const char *head)
{
    struct request request;
    return reads(&request, head) && request.keep_alive;
}

TEST_CASE(connections_are_kept_when_both_want)
{
    (void)t;
    CHECK(!keeps_alive("GET / HTTP/1.1\r\nConnection: close\r\n" END));
    CHECK(!keeps_alive("GET / HTTP/1.1\r\nConnection: a , CLOSE, b\r\n" END));
    CHECK(!keeps_alive("GET / HTTP/1.1\r\nConnection: a\r\nConnection: close\r\n" END));
    CHECK(!keeps_alive("GET / HTTP/1.1\r\nConnection: close\r\nConnection: keep-alive\r\n" END));
    CHECK(!keeps_alive("GET / HTTP/1.0\r\nConnection: close, keep-alive\r\n" END));
    CHECK(keeps_alive("GET / HTTP/1.1\r\nConnection: ,, closed\r\n" END));
    CHECK(keeps_alive("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n" END));
    CHECK(!keeps_alive("GET / HTTP/1.0\r\n" END));
}

TEST_CASE(expectations_are_seen)
{
    struct request request;
    (void)t;
    REQUIRE(reads(&request, "PUT / HTTP/1.1\r\nExpect: 100-Continue\r\n" END));
    CHECK(request.expects_continue);
    REQUIRE(reads(&request, "PUT / HTTP/1.1\r\nExpect: nothing\r\n" END));
    CHECK(!request.expects_continue);
}

TEST_CASE(large_heads_are_refused)
{
    struct text head = {0};
    (void)t;
    text_append_string(&head, "GET /");
    while (head.size < REQUEST_LINE_SIZE)
        text_append_string(&head, "a");
    CHECK_EQ_INT(request_refuse_size(head.data, head.size - 1), 0);
    CHECK_EQ_INT(request_refuse_size(head.data, head.size), 414);
    text_append_string(&head, " HTTP/1.1\r\n" END);
    check_status(head.data, 414);

    text_clear(&head);
    text_append_string(&head, "GET / HTTP/1.1\r\nA: ");
    while (head.size < REQUEST_HEAD_SIZE)
        text_append_string(&head, "a");
    CHECK_EQ_INT(request_refuse_size(head.data, head.size - 1), 0);
    CHECK_EQ_INT(request_refuse_size(head.data, head.size), 431);
    text_append_string(&head, "\r\n" END);
    check_status(head.data, 431);

    text_clear(&head);
    text_append_string(&head, "GET / HTTP/1.1\r\n");
    for (int i = 1; i < REQUEST_FIELDS; i++)
        text_append_string(&head, "A: b\r\n");
    size_t size = head.size;
    text_append_string(&head, END);
    check_status(head.data, 0);
    head.size = size;
    text_append_string(&head, "A: b\r\n" END);
    check_status(head.data, 431);
    text_free(&head);
}

/* Whatever comes in, nothing is read outside it: for the sanitizers to see. */
TEST_CASE(random_heads_are_survived)
{
    static const char whole[] = "GET /a?b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: close\r\n"
                                "Range: bytes=0-1\r\nTransfer-Encoding: chunked\r\n\r\n";
    uint32_t random = 7;
    (void)t;
    for (int i = 0; i < 100000; i++) {
        struct text head = {0};
        struct request request;
        random = random * 1664525 + 1013904223;
        size_t size = (random >> 8) % sizeof whole;
        text_append(&head, whole, size);
        for (int k = 0; k < 3 && size > 0; k++) {
            random = random * 1664525 + 1013904223;
            head.data[(random >> 8) % size] = "\r\n :\t,-\0/aA5\x80"[(random >> 4) % 13];
        }
        int status = request_read(&request, head.data, head.size);
        if (!(status == 0 || status == 400 || status == 501 || status == 505))
            CHECK_EQ_INT(status, 0);
        text_free(&head);
    }
}

/* "first+size", "whole" or "outside". */
static void check_range(const char *value, int64_t file_size, const char *expected)
{
    int64_t first = -1, size = -1;
    struct text text = {0};
    switch (request_read_range(piece_of(value), file_size, &first, &size)) {
    case RANGE_WHOLE:
        text_append_string(&text, "whole");
        break;
    case RANGE_PART:
        text_append_format(&text, "%lld+%lld", (long long)first, (long long)size);
        break;
    case RANGE_OUTSIDE:
        text_append_string(&text, "outside");
    }
    if (!CHECK_STR(text.data, expected))
        CHECK_STR(value, "is the range");
    text_free(&text);
}

TEST_CASE(ranges_are_read)
{
    (void)t;
    check_range("bytes=0-0", 10, "0+1");
    check_range("bytes=0-9", 10, "0+10");
    check_range("bytes=0-", 10, "0+10");
    check_range("bytes=9-", 10, "9+1");
    check_range("bytes=5-100", 10, "5+5");
    check_range("bytes=5-4611686018427387904", 10, "5+5");
    check_range("BYTES= 2-3 ", 10, "2+2");
    check_range("bytes=-1", 10, "9+1");
    check_range("bytes=-10", 10, "0+10");
    check_range("bytes=-11", 10, "0+10");
    check_range("bytes=10-", 10, "outside");
    check_range("bytes=10-20", 10, "outside");
    check_range("bytes=-0", 10, "outside");
    check_range("bytes=0-0", 0, "outside");
    check_range("bytes=0-", 0, "outside");
    check_range("bytes=-5", 0, "whole");
}

TEST_CASE(what_is_no_range_is_ignored)
{
    (void)t;
    check_range("", 10, "whole");
    check_range("bytes", 10, "whole");
    check_range("bytes=", 10, "whole");
    check_range("bytes=-", 10, "whole");
    check_range("bytes=5", 10, "whole");
    check_range("bytes=5-4", 10, "whole");
    check_range("bytes=0-1,3-4", 10, "whole");
    check_range("bytes=a-b", 10, "whole");
    check_range("bytes=--5", 10, "whole");
    check_range("bytes=0--5", 10, "whole");
    check_range("bytes=+1-2", 10, "whole");
    check_range("bytes=1 -2", 10, "whole");
    check_range("bytes=99999999999999999999-", 10, "whole");
    check_range("lines=0-1", 10, "whole");
}

TEST_CASE(tags_are_compared)
{
    (void)t;
    CHECK(request_names_tag(piece_of("*"), "\"a\""));
    CHECK(request_names_tag(piece_of("\"a\""), "\"a\""));
    CHECK(request_names_tag(piece_of("\"b\",W/\"a\""), "\"a\""));
    CHECK(!request_names_tag(piece_of("\"b\", \"c\""), "\"a\""));
    CHECK(!request_names_tag(piece_of(""), "\"a\""));
    CHECK(!request_names_tag(piece_of("a"), "\"a\""));
    CHECK(!request_names_tag(piece_of("W/"), "\"a\""));
}

TEST_SUITE(request, TEST_BACKENDS_NONE, CASE(a_request_is_read), CASE(a_request_may_say_little),
           CASE(the_end_of_the_head_is_found), CASE(request_lines_are_strict), CASE(versions_are_told_apart),
           CASE(methods_are_told_apart), CASE(targets_may_name_the_host), CASE(fields_are_strict),
           CASE(line_ends_are_strict), CASE(hosts_are_strict), CASE(bodies_have_one_length),
           CASE(chunks_and_a_length_are_refused), CASE(connections_are_kept_when_both_want),
           CASE(expectations_are_seen), CASE(large_heads_are_refused), CASE(random_heads_are_survived),
           CASE(ranges_are_read), CASE(what_is_no_range_is_ignored), CASE(tags_are_compared))
