/* What samples/httpd writes: heads, dates, pages. */
#include <string.h>

#include "../samples/httpd/date.h"
#include "../samples/httpd/response.h"
#include "harness.h"

static void check_head(const struct response *response, const char *expected)
{
    struct text text = {0};
    response_write_head(&text, response);
    CHECK_STR(text.data, expected);
    text_free(&text);
}

TEST_CASE(heads_are_written)
{
    const pl_file_info file = {.size = 1000, .modified = INT64_C(784111777999999999), .kind = PL_FILE_REGULAR};
    (void)t;
    check_head(&(struct response){.status = 404, .type = "text/plain", .size = 7},
               "HTTP/1.1 404 Not Found\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: close\r\n"
               "Content-Length: 7\r\nContent-Type: text/plain\r\n\r\n");
    check_head(&(struct response){.status = 206,
                                  .keep_alive = true,
                                  .now = 784111777,
                                  .type = "a/b",
                                  .size = 10,
                                  .file = &file,
                                  .range_first = 5},
               "HTTP/1.1 206 Partial Content\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: keep-alive\r\n"
               "Content-Length: 10\r\nContent-Type: a/b\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
               "ETag: \"ae1b981f7e3d3ff-3e8\"\r\nAccept-Ranges: bytes\r\nContent-Range: bytes 5-14/1000\r\n\r\n");
    check_head(&(struct response){.status = 416, .file = &file, .type = "a/b"},
               "HTTP/1.1 416 Range Not Satisfiable\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: close\r\n"
               "Content-Length: 0\r\nContent-Type: a/b\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
               "ETag: \"ae1b981f7e3d3ff-3e8\"\r\nAccept-Ranges: bytes\r\nContent-Range: bytes */1000\r\n\r\n");
    check_head(&(struct response){.status = 405},
               "HTTP/1.1 405 Method Not Allowed\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: close\r\n"
               "Content-Length: 0\r\nAllow: GET, HEAD\r\n\r\n");
}

TEST_CASE(redirects_are_encoded)
{
    (void)t;
    check_head(&(struct response){.status = 301, .folder = "a b/\xC3\xA9%\"", .query = piece_of("?x=1")},
               "HTTP/1.1 301 Moved Permanently\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nConnection: close\r\n"
               "Content-Length: 0\r\nLocation: /a%20b/%C3%A9%25%22/?x=1\r\n\r\n");
}

TEST_CASE(listings_are_escaped)
{
    pl_folder_entry entries[] = {
        {.name = "a&b'c.txt", .info = {.kind = PL_FILE_REGULAR, .size = 5}},
        {.name = "NUL", .info = {.kind = PL_FILE_REGULAR}},
        {.name = "<script>", .info = {.kind = PL_FILE_FOLDER}},
        {.name = "inner", .info = {.kind = PL_FILE_FOLDER}},
    };
    const pl_folder_listing listing = {.entries = entries, .count = 4, .capacity = 4};
    struct text page = {0};
    (void)t;
    response_write_listing(&page, "x&y", &listing);
    CHECK(strstr(page.data, "<title>/x&amp;y/</title>") != NULL);
    CHECK(strstr(page.data, "<a href=\"../\">../</a>") != NULL);
    CHECK(strstr(page.data, "<a href=\"./a%26b%27c.txt\">a&amp;b&#39;c.txt</a></td><td>5</td>") != NULL);
    CHECK(strstr(page.data, "<a href=\"./inner/\">inner/</a>") != NULL);
    CHECK(strstr(page.data, "script") == NULL); /* a name that is not served */
    CHECK(strstr(page.data, "NUL") == NULL);
    text_clear(&page);
    response_write_listing(&page, "", &listing);
    CHECK(strstr(page.data, "<title>/</title>") != NULL);
    CHECK(strstr(page.data, "..") == NULL);
    text_free(&page);
}

TEST_CASE(types_are_found_by_ending)
{
    (void)t;
    CHECK_STR(response_type("a/b.html"), "text/html; charset=utf-8");
    CHECK_STR(response_type("a.JPG"), "image/jpeg");
    CHECK_STR(response_type("a.tar.gz"), "application/gzip");
    CHECK_STR(response_type("a.html/b"), "application/octet-stream");
    CHECK_STR(response_type("html"), "application/octet-stream");
    CHECK_STR(response_type("a."), "application/octet-stream");
    CHECK_STR(response_type(".css"), "text/css; charset=utf-8");
}

TEST_CASE(logs_are_escaped)
{
    struct text text = {0};
    (void)t;
    text_append_log(&text, piece_of("GET /\"\\\x1b\r\n\xC3 HTTP"));
    CHECK_STR(text.data, "GET /\\x22\\x5C\\x1B\\x0D\\x0A\\xC3 HTTP");
    text_free(&text);
}

static void check_date(const char *text, int64_t expected)
{
    int64_t seconds = -1;
    if (!CHECK(date_read(piece_of(text), &seconds)) || !CHECK_EQ_INT(seconds, expected))
        CHECK_STR(text, "is the date");
}

TEST_CASE(dates_are_read_in_three_forms)
{
    (void)t;
    check_date("Sun, 06 Nov 1994 08:49:37 GMT", 784111777);
    check_date("Sunday, 06-Nov-94 08:49:37 GMT", 784111777);
    check_date("Sun Nov  6 08:49:37 1994", 784111777);
    check_date("Thu, 01 Jan 1970 00:00:00 GMT", 0);
    check_date("Wed, 31 Dec 1969 23:59:59 GMT", -1);
    check_date("Tue, 29 Feb 2000 12:00:00 GMT", 951825600);
    check_date("Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799));
    check_date("Monday, 01-Jan-24 00:00:00 GMT", 1704067200);
}

TEST_CASE(what_is_no_date_is_refused)
{
    static const char *const texts[] = {"",
                                        "yesterday",
                                        "Sun, 06 Nov 1994 08:49:37",
                                        "Sun, 06 Nov 1994 08:49:37 CET",
                                        "Sun, 06 Nov 1994 08:49:37 GMT ",
                                        "Sun, 06 nov 1994 08:49:37 GMT",
                                        "Sun, 6 Nov 1994 08:49:37 GMT",
                                        "Sun, 32 Nov 1994 08:49:37 GMT",
                                        "Sun, 00 Nov 1994 08:49:37 GMT",
                                        "Sun, 06 Nov 1994 24:49:37 GMT",
                                        "Sun, 06 Nov 1994 08:60:37 GMT",
                                        "Sun, 06 Nov 0000 08:49:37 GMT",
                                        "Sun, 06 Nov -994 08:49:37 GMT",
                                        "Sun Nov 6 08:49:37 1994",
                                        "Sun Nov  6 08:49:37 94",
                                        "Sun, ",
                                        "Sun,"};
    (void)t;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int64_t seconds;
        if (!CHECK(!date_read(piece_of(texts[i]), &seconds)))
            CHECK_STR(texts[i], "no date");
    }
}

TEST_CASE(every_day_survives_its_text)
{
    char text[DATE_TEXT_SIZE];
    (void)t;
    for (int64_t day = -719162; day <= 2932896; day += 13) { /* the years 1 to 9999 */
        int64_t seconds = day * 86400 + 86399;
        int64_t back = 0;
        date_write(seconds, text);
        if (!date_read(piece_of(text), &back) || back != seconds)
            REQUIRE_EQ_INT(back, seconds);
    }
    date_write(INT64_MAX, text);
    CHECK_STR(text, "Fri, 31 Dec 9999 23:59:59 GMT");
    date_write(INT64_MIN, text);
    CHECK_STR(text, "Mon, 01 Jan 0001 00:00:00 GMT");
    date_write_log(784111777, text);
    CHECK_STR(text, "06/Nov/1994:08:49:37 +0000");
}

TEST_CASE(text_remembers_a_failure)
{
    struct text text = {0};
    char large[300];
    (void)t;
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    text_append_format(&text, "%s", large);
    CHECK(text.failed);
    text_append_string(&text, "a");
    CHECK_EQ_INT(text.size, 0);
    text_clear(&text);
    text_append_string(&text, "abc");
    text_take(&text, 1);
    CHECK_STR(text.data, "bc");
    text_take(&text, 2);
    CHECK_STR(text.data, "");
    text_free(&text);
}

TEST_SUITE(response, TEST_BACKENDS_NONE, CASE(heads_are_written), CASE(redirects_are_encoded),
           CASE(listings_are_escaped), CASE(types_are_found_by_ending), CASE(logs_are_escaped),
           CASE(dates_are_read_in_three_forms), CASE(what_is_no_date_is_refused), CASE(every_day_survives_its_text),
           CASE(text_remembers_a_failure))
