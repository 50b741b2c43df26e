/* The guard of the folder that samples/httpd serves: which paths of requests mean something in it. */
#include <string.h>

#include "../samples/httpd/path.h"
#include "harness.h"

/* What path_read makes of it: "name" or "name/", or the status of the refusal. */
static void check_path(const char *path, const char *expected)
{
    struct text relative = {0};
    bool is_folder = false;
    int status = path_read(piece_of(path), &relative, &is_folder);
    if (status == 0 && is_folder && relative.size > 0)
        text_append_string(&relative, "/");
    if (status != 0) {
        text_clear(&relative);
        text_append_format(&relative, "%d", status);
    }
    if (!CHECK_STR(relative.data, expected))
        CHECK_STR(path, "is the path");
    text_free(&relative);
}

static void check_refused(const char *path)
{
    check_path(path, "404");
}

static void check_malformed(const char *path)
{
    check_path(path, "400");
}

TEST_CASE(names_are_served)
{
    (void)t;
    check_path("/", "");
    check_path("/a", "a");
    check_path("/a/", "a/");
    check_path("/a/b.html", "a/b.html");
    check_path("/.hidden/.file", ".hidden/.file");
    check_path("/a..b/...c/x-y_z~/a=b&c;d,e!f'(g)@h+i$j", "a..b/...c/x-y_z~/a=b&c;d,e!f'(g)@h+i$j");
    check_path("/notes~a.txt", "notes~a.txt");
    check_path("/ leading", " leading");
}

TEST_CASE(encoded_characters_are_decoded_once)
{
    (void)t;
    check_path("/a%20b", "a b");
    check_path("/%61%62%2E%63", "ab.c");
    check_path("/100%25", "100%");
    check_path("/%2525", "%25");
    check_path("/%252e%252e/a", "%2e%2e/a");
    check_path("/%252f", "%2f");
    check_path("/caf%C3%A9", "caf\xC3\xA9");
    check_path("/caf\xC3\xA9", "caf\xC3\xA9");
    check_path("/%e2%82%ac/%f0%9f%98%80/", "\xE2\x82\xAC/\xF0\x9F\x98\x80/");
}

TEST_CASE(malformed_encodings_are_refused)
{
    (void)t;
    check_malformed("/%");
    check_malformed("/%1");
    check_malformed("/a%2");
    check_malformed("/%zz");
    check_malformed("/%0x20");
    check_malformed("/%+1");
    check_malformed("/% 41");
    check_malformed("");
    check_malformed("a");
    check_malformed("http://host/");
}

TEST_CASE(no_way_leads_up)
{
    (void)t;
    check_refused("/..");
    check_refused("/../");
    check_refused("/../a");
    check_refused("/a/..");
    check_refused("/a/../b");
    check_refused("/a/../../b");
    check_refused("/%2e%2e/a");
    check_refused("/%2E%2e/a");
    check_refused("/.%2e/a");
    check_refused("/..%2fa");
    check_refused("/..%2Fa");
    check_refused("/a%2f..%2f..%2fb");
    check_refused("/.");
    check_refused("/./a");
    check_refused("/a/.");
    check_refused("/.../a");
    check_refused("/. ./a");
    check_refused("/..%20/a");
    check_refused("/.. ./a");
}

TEST_CASE(no_path_is_absolute)
{
    (void)t;
    check_refused("//");
    check_refused("//a");
    check_refused("///");
    check_refused("/a//b");
    check_refused("/a//");
    check_refused("/%2f");
    check_refused("/%2fetc/passwd");
    check_refused("/a%2fb");
    check_refused("/C:/a");
    check_refused("/C:");
    check_refused("/c%3a/a");
    check_refused("/C:a");
    check_refused("//host/share");
    check_refused("//?/C:/a");
    check_refused("//./pipe/a");
}

TEST_CASE(backslashes_are_no_separators)
{
    (void)t;
    check_refused("/a\\b");
    check_refused("/\\a");
    check_refused("/..\\a");
    check_refused("/..%5ca");
    check_refused("/..%5Ca");
    check_refused("/%5c%5chost%5cshare");
    check_refused("/\\\\?\\C:\\a");
}

TEST_CASE(streams_of_files_are_refused)
{
    (void)t;
    check_refused("/a.txt:b");
    check_refused("/a.txt::$DATA");
    check_refused("/a.txt::%24DATA");
    check_refused("/a%3a:$INDEX_ALLOCATION/b");
    check_refused("/:");
}

TEST_CASE(other_spellings_of_a_name_are_refused)
{
    (void)t;
    check_refused("/a.txt.");
    check_refused("/a.txt...");
    check_refused("/a.txt%20");
    check_refused("/a.txt ");
    check_refused("/a.txt. .");
    check_refused("/a%20/b");
    check_refused("/a./b");
    check_refused("/PROGRA~1");
    check_refused("/progra~1/a");
    check_refused("/A~12.TXT");
    check_refused("/a%7e1");
}

TEST_CASE(wildcards_are_refused)
{
    (void)t;
    check_refused("/*");
    check_refused("/a%3f");
    check_refused("/a%22");
    check_refused("/a%3Cb");
    check_refused("/a%3e");
    check_refused("/a%7Cb");
}

TEST_CASE(devices_are_refused)
{
    (void)t;
    check_refused("/con");
    check_refused("/CON");
    check_refused("/Con.txt");
    check_refused("/con.a.b");
    check_refused("/con%20.txt");
    check_refused("/con .txt");
    check_refused("/a/nul");
    check_refused("/nul/a");
    check_refused("/nul/");
    check_refused("/PRN");
    check_refused("/aux.html");
    check_refused("/com0");
    check_refused("/COM1");
    check_refused("/com9.txt");
    check_refused("/LPT1");
    check_refused("/lpt%C2%B9");
    check_refused("/lpt%C2%B2.x");
    check_refused("/com%c2%b3");
    check_refused("/conin$");
    check_refused("/CONOUT%24");
    check_refused("/clock$");
}

TEST_CASE(names_like_devices_are_served)
{
    (void)t;
    check_path("/console", "console");
    check_path("/com", "com");
    check_path("/com10", "com10");
    check_path("/com1x", "com1x");
    check_path("/xcon", "xcon");
    check_path("/lpt-1", "lpt-1");
    check_path("/a.con", "a.con");
    check_path("/null", "null");
}

TEST_CASE(control_characters_are_refused)
{
    (void)t;
    check_malformed("/%00");
    check_malformed("/a.html%00.txt");
    check_malformed("/..%00/a");
    check_malformed("/a%00");
    check_malformed("/a%0d%0aSet-Cookie:%20b");
    check_malformed("/a%0A");
    check_malformed("/a%1b[0m");
    check_malformed("/%7f");
    check_malformed("/%C2%80");
    check_malformed("/%C2%9F");
    check_malformed("/a\tb");
}

TEST_CASE(what_is_not_utf8_is_refused)
{
    (void)t;
    check_malformed("/%ff");
    check_malformed("/%80");
    check_malformed("/%c3");
    check_malformed("/%c3%28");
    check_malformed("/%c0%ae%c0%ae/a");
    check_malformed("/%c0%af");
    check_malformed("/%e0%80%af");
    check_malformed("/%f0%80%80%af");
    check_malformed("/%ed%a0%80");
    check_malformed("/%f4%90%80%80");
    check_malformed("/%f8%88%80%80%80");
    check_malformed("/%e2%82");
}

TEST_CASE(long_paths_are_refused)
{
    struct text path = {0};
    (void)t;
    text_append_string(&path, "/");
    for (int i = 0; i < 255; i++)
        text_append_string(&path, "a");
    check_path(path.data, path.data + 1);
    text_append_string(&path, "a");
    check_refused(path.data);
    text_clear(&path);
    while (path.size < 4096)
        text_append_string(&path, "/a");
    check_path(path.data, path.data + 1);
    text_append_string(&path, "/a");
    check_refused(path.data);
    text_free(&path);
}

/* Whether a path that was let through stays in the folder on every system. */
static bool stays(const struct text *relative)
{
    struct text path = {0};
    text_append_string(&path, "/");
    text_append_string(&path, relative->data);
    text_append_string(&path, "/");
    bool leads_up = strstr(path.data, "/../") || strstr(path.data, "/./");
    bool is_absolute = relative->size > 0 && strstr(path.data, "//");
    text_free(&path);
    return !leads_up && !is_absolute && strlen(relative->data) == relative->size &&
           !strpbrk(relative->data, "\\:*?\"<>|");
}

TEST_CASE(random_paths_do_not_get_out)
{
    static const char *const parts[] = {"/", "/",   "..", ".",   "%2e", "%2f",      "%5c", "\\",
                                        ":", "%00", "a",  "con", "~1",  "%20",      "%c0", "%ae",
                                        "%", "%25", "*",  "$",   "%3a", "\xC3\xA9", "%7f", "com1"};
    uint32_t random = 1;
    int served = 0;
    (void)t;
    for (int i = 0; i < 200000; i++) {
        struct text path = {0};
        struct text relative = {0};
        bool is_folder;
        text_append_string(&path, "/");
        for (int k = 0; k < 8; k++) {
            random = random * 1664525 + 1013904223;
            text_append_string(&path, parts[(random >> 16) % (sizeof parts / sizeof parts[0])]);
        }
        if (path_read((struct piece){path.data, path.size}, &relative, &is_folder) == 0) {
            served++;
            if (!stays(&relative))
                CHECK_STR(path.data, "a path that stays");
        }
        text_free(&path);
        text_free(&relative);
    }
    CHECK(served > 100);
}

TEST_SUITE(path, TEST_BACKENDS_NONE, CASE(names_are_served), CASE(encoded_characters_are_decoded_once),
           CASE(malformed_encodings_are_refused), CASE(no_way_leads_up), CASE(no_path_is_absolute),
           CASE(backslashes_are_no_separators), CASE(streams_of_files_are_refused),
           CASE(other_spellings_of_a_name_are_refused), CASE(wildcards_are_refused), CASE(devices_are_refused),
           CASE(names_like_devices_are_served), CASE(control_characters_are_refused), CASE(what_is_not_utf8_is_refused),
           CASE(long_paths_are_refused), CASE(random_paths_do_not_get_out))
