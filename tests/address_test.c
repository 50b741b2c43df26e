#include <proloop/net.h>

#include <string.h>

#include "harness.h"
#include "loopback.h"

static bool parses(const char *text, pl_address *address)
{
    memset(address, 0, sizeof *address);
    return CHECK_EQ_INT(pl_address_parse(address, text, 80), PL_OK) && CHECK_EQ_INT(address->port, 80);
}

/* Text to address and back. */
static void check_text(const char *text, const char *expected)
{
    pl_address address;
    char back[PL_ADDRESS_TEXT_SIZE];
    if (parses(text, &address)) {
        CHECK_EQ_INT(pl_address_format(&address, back, sizeof back), (int64_t)strlen(expected));
        CHECK_STR(back, expected);
    }
}

TEST_CASE(ipv4_text_is_read)
{
    static const uint8_t ip[16] = {192, 0, 2, 255};
    pl_address address;
    (void)t;
    REQUIRE(parses("192.0.2.255", &address));
    CHECK_EQ_INT(address.family, PL_IPV4);
    CHECK_EQ_INT(address.scope, 0);
    CHECK_MEM(address.ip, ip, sizeof ip);
}

TEST_CASE(ipv6_text_is_read)
{
    static const uint8_t ip[16] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0x12, 0x34, 0xab, 0xcd};
    pl_address address;
    (void)t;
    REQUIRE(parses("2001:DB8::1234:abcd", &address));
    CHECK_EQ_INT(address.family, PL_IPV6);
    CHECK_EQ_INT(address.scope, 0);
    CHECK_MEM(address.ip, ip, sizeof ip);
}

TEST_CASE(ipv6_zone_is_read)
{
    pl_address address;
    (void)t;
    REQUIRE(parses("fe80::1%2", &address));
    CHECK_EQ_INT(address.family, PL_IPV6);
    CHECK_EQ_INT(address.scope, 2);
    REQUIRE(parses("fe80::1%4294967295", &address));
    CHECK_EQ_INT(address.scope, 4294967295);
}

TEST_CASE(addresses_are_written_the_shortest_way)
{
    (void)t;
    check_text("127.0.0.1", "127.0.0.1:80");
    check_text("255.255.255.255", "255.255.255.255:80");
    check_text("0.0.0.0", "0.0.0.0:80");
    check_text("::", "[::]:80");
    check_text("::1", "[::1]:80");
    check_text("1::", "[1::]:80");
    check_text("0:0:0:0:0:0:0:1", "[::1]:80");
    check_text("2001:0db8:0:0:1:0:0:1", "[2001:db8::1:0:0:1]:80");
    check_text("2001:db8:0:0:0:0:2:1", "[2001:db8::2:1]:80");
    check_text("1:2:3:4:5:6:7:8", "[1:2:3:4:5:6:7:8]:80");
    check_text("::ffff:192.0.2.1", "[::ffff:192.0.2.1]:80");
    check_text("fe80::1%2", "[fe80::1%2]:80");
}

TEST_CASE(what_is_no_address_is_refused_and_changes_nothing)
{
    static const char *const texts[] = {"",          "localhost",     "1.2.3",
                                        "1.2.3.4.5", "256.1.1.1",     "1.2.3.-4",
                                        "1.2.3.4 ",  " 1.2.3.4",      "1.2.3.4:80",
                                        "127.1",     "0x7f.0.0.1",    "1..2.3",
                                        "1.2.3.",    "[::1]",         ":",
                                        ":::",       "1::2::3",       "12345::",
                                        "::g",       "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9",
                                        "::1%",      "::1.2.3",       "1.2.3.4%1",
                                        "%1",        "::%4294967296", "1:2:3:4:5:6:7:8::",
                                        ":1::2"};
    pl_address before, address;
    size_t i;
    (void)t;
    memset(&before, 0x5a, sizeof before);
    for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        address = before;
        if (!CHECK_EQ_INT(pl_address_parse(&address, texts[i], 80), PL_EINVAL))
            CHECK_STR(texts[i], "refused");
        CHECK_MEM(&address, &before, sizeof before);
    }
    CHECK_EQ_INT(pl_address_parse(NULL, "127.0.0.1", 80), PL_EINVAL);
    CHECK_EQ_INT(pl_address_parse(&address, NULL, 80), PL_EINVAL);
    CHECK_MEM(&address, &before, sizeof before);
}

TEST_CASE(text_must_fit)
{
    pl_address address;
    char text[PL_ADDRESS_TEXT_SIZE];
    const char *expected = "127.0.0.1:80";
    const size_t length = strlen(expected);
    size_t size;
    (void)t;
    REQUIRE(parses("127.0.0.1", &address));
    for (size = 0; size <= length; size++)
        CHECK_EQ_INT(pl_address_format(&address, text, size), PL_EINVAL);
    CHECK_EQ_INT(pl_address_format(&address, text, length + 1), (int64_t)length);
    CHECK_STR(text, expected);
}

TEST_CASE(the_longest_address_fits)
{
    pl_address address = {.family = PL_IPV6, .port = 65535, .scope = UINT32_MAX};
    char text[PL_ADDRESS_TEXT_SIZE];
    const char *expected = "[fedc:ba98:fedc:ba98:fedc:ba98:fedc:ba98%4294967295]:65535";
    size_t i;
    (void)t;
    for (i = 0; i < sizeof address.ip; i++)
        address.ip[i] = (uint8_t)(0xfe - (i % 4) * 0x22);
    CHECK_EQ_INT(pl_address_format(&address, text, sizeof text), (int64_t)strlen(expected));
    CHECK_STR(text, expected);
}

TEST_CASE(no_address_has_no_text)
{
    const pl_address none = {0};
    const pl_address strange = {.family = 5};
    char text[PL_ADDRESS_TEXT_SIZE];
    (void)t;
    CHECK_EQ_INT(pl_address_format(&none, text, sizeof text), PL_EINVAL);
    CHECK_EQ_INT(pl_address_format(&strange, text, sizeof text), PL_EINVAL);
    CHECK_EQ_INT(pl_address_format(NULL, text, sizeof text), PL_EINVAL);
    CHECK_EQ_INT(pl_address_format(&none, NULL, 0), PL_EINVAL);
}

/* "[...]:port" without its brackets and port. */
static void strip(char *text)
{
    char *end = strrchr(text, ']');
    *end = '\0';
    memmove(text, text + 1, strlen(text));
}

TEST_CASE(every_ipv6_address_survives_its_text)
{
    dice d = dice_of(1);
    int round;
    (void)t;
    for (round = 0; round < 20000; round++) {
        pl_address address = {.family = PL_IPV6, .port = 7};
        pl_address back = {0};
        char text[PL_ADDRESS_TEXT_SIZE];
        uint64_t zeros = throw_dice(&d); /* a pair of bytes is 0 with one chance in two */
        size_t i;
        for (i = 0; i < 16; i++)
            address.ip[i] = (zeros >> (i / 2)) & 1 ? 0 : (uint8_t)throw_dice(&d);
        if (zeros & 0x100)
            address.scope = (uint32_t)throw_dice(&d);
        REQUIRE(pl_address_format(&address, text, sizeof text) > 0);
        strip(text);
        REQUIRE_EQ_INT(pl_address_parse(&back, text, 7), PL_OK);
        REQUIRE_MEM(&back, &address, sizeof back);
    }
}

TEST_SUITE(address, TEST_BACKENDS_NONE,
           CASE(ipv4_text_is_read),
           CASE(ipv6_text_is_read),
           CASE(ipv6_zone_is_read),
           CASE(addresses_are_written_the_shortest_way),
           CASE(what_is_no_address_is_refused_and_changes_nothing),
           CASE(text_must_fit),
           CASE(the_longest_address_fits),
           CASE(no_address_has_no_text),
           CASE(every_ipv6_address_survives_its_text))
