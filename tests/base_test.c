/* The codes and their texts, durations, the allocator. */
#include <string.h>

#include <proloop/proloop.h>

#include "allocation.h"
#include "harness.h"

typedef struct known_code {
    int64_t number;
    const char *name;
} known_code;

/* Part of the ABI: a line here is never changed, only added to. */
static const known_code known_codes[] = {
    {-1001, "PL_ECANCELED"},
    {-1002, "PL_ETIMEDOUT"},
    {-1003, "PL_ECLOSED"},
    {-1004, "PL_EINVAL"},
    {-1005, "PL_ENOMEM"},
    {-1006, "PL_EBUSY"},
    {-1007, "PL_ESTATE"},
    {-1008, "PL_ETHREAD"},
    {-1009, "PL_ENOLOOP"},
    {-1010, "PL_ENOTASK"},
    {-1011, "PL_EABI"},
    {-1012, "PL_ENOTSUP"},
    {-1013, "PL_EBROKEN"},
    {-1014, "PL_EINTERRUPTED"},
    {-1015, "PL_ESTOPPED"},
    {-1016, "PL_ELIMIT"},
    {-1017, "PL_EDEADLOCK"},
    {-1018, "PL_EOF"},
    {-1019, "PL_EFULL"},
    {-1020, "PL_EEMPTY"},
    {-1101, "PL_ECONNABORTED"},
    {-1102, "PL_ECONNRESET"},
    {-1103, "PL_ECONNREFUSED"},
    {-1104, "PL_ECONNTIMEDOUT"},
    {-1105, "PL_ENOTCONN"},
    {-1106, "PL_EADDRINUSE"},
    {-1107, "PL_EADDRNOTAVAIL"},
    {-1108, "PL_EAFNOSUPPORT"},
    {-1109, "PL_EHOSTUNREACH"},
    {-1110, "PL_ENETUNREACH"},
    {-1111, "PL_ENETDOWN"},
    {-1112, "PL_EPIPE"},
    {-1113, "PL_EMSGSIZE"},
    {-1114, "PL_ENOBUFS"},
    {-1120, "PL_ENAME"},
    {-1121, "PL_ENAMEAGAIN"},
    {-1122, "PL_ENAMEFAIL"},
    {-1123, "PL_ENODATA"},
    {-1201, "PL_ENOENT"},
    {-1202, "PL_EEXIST"},
    {-1203, "PL_EACCES"},
    {-1204, "PL_EISDIR"},
    {-1205, "PL_ENOTDIR"},
    {-1206, "PL_ENAMETOOLONG"},
    {-1207, "PL_ELOOP"},
    {-1208, "PL_EMFILE"},
    {-1209, "PL_ENOSPC"},
    {-1210, "PL_EROFS"},
    {-1211, "PL_EFBIG"},
    {-1212, "PL_ENOTEMPTY"},
    {-1213, "PL_ELOCKED"},
    {-1214, "PL_EIO"},
    {-1215, "PL_EBADF"},
    {-1999, "PL_EUNKNOWN"},
};

enum { KNOWN_CODES = sizeof known_codes / sizeof known_codes[0] };

TEST_CASE(the_numbers_of_the_codes_never_change)
{
    (void)t;
    for (size_t i = 0; i < KNOWN_CODES; i++)
        CHECK_STR(pl_error_name(known_codes[i].number), known_codes[i].name);
#define HAS_ITS_NUMBER(name, number, text) CHECK_EQ_INT(PL_##name, number);
    PL_ERRORS(HAS_ITS_NUMBER)
#undef HAS_ITS_NUMBER
}

TEST_CASE(every_code_is_in_the_list_of_known_ones)
{
    size_t count = 0;
    (void)t;
#define COUNT(name, number, text) count++;
    PL_ERRORS(COUNT)
#undef COUNT
    CHECK_EQ_INT(count, KNOWN_CODES);
}

TEST_CASE(every_code_is_negative_and_unique)
{
    (void)t;
    for (size_t i = 0; i < KNOWN_CODES; i++) {
        CHECK(known_codes[i].number < 0);
        for (size_t k = 0; k < i; k++)
            CHECK(known_codes[i].number != known_codes[k].number);
    }
}

TEST_CASE(every_code_has_its_name_and_one_line_of_text)
{
    (void)t;
#define HAS_NAME_AND_TEXT(name, number, text)                                                                \
    CHECK_STR(pl_error_name(PL_##name), "PL_" #name);                                                        \
    CHECK_STR(pl_error_text(PL_##name), text);                                                               \
    CHECK(strchr(pl_error_text(PL_##name), '\n') == NULL);
    PL_ERRORS(HAS_NAME_AND_TEXT)
#undef HAS_NAME_AND_TEXT
}

TEST_CASE(zero_and_more_is_success)
{
    (void)t;
    CHECK_STR(pl_error_name(0), "PL_OK");
    CHECK_STR(pl_error_name(1), "PL_OK");
    CHECK_STR(pl_error_name(INT64_MAX), "PL_OK");
    CHECK(strlen(pl_error_text(0)) > 0);
}

TEST_CASE(an_unknown_code_has_a_name_and_a_text_too)
{
    (void)t;
    CHECK_STR(pl_error_name(-1), "PL_?");
    CHECK_STR(pl_error_name(INT64_MIN), "PL_?");
    CHECK_STR(pl_error_name(INT64_C(-1001) - INT64_C(4294967296)), "PL_?"); /* -1001 if cut to 32 bits */
    CHECK(strlen(pl_error_text(-1)) > 0);
}

TEST_CASE(durations_are_nanoseconds)
{
    (void)t;
    CHECK_EQ_INT(PL_NS(7), 7);
    CHECK_EQ_INT(PL_US(7), 7000);
    CHECK_EQ_INT(PL_MS(7), 7000000);
    CHECK_EQ_INT(PL_SECONDS(7), INT64_C(7000000000));
    CHECK_EQ_INT(PL_SECONDS(-1), INT64_C(-1000000000));
    CHECK_EQ_INT(PL_MS(1 + 1), 2000000);
    CHECK_EQ_INT(PL_SECONDS(86400 * 365), INT64_C(31536000000000000));
    CHECK_EQ_INT(PL_FOREVER, INT64_MAX);
}

TEST_CASE(the_library_that_runs_is_the_one_of_the_headers)
{
    (void)t;
    CHECK_EQ_INT(pl_version(), PL_VERSION);
}

TEST_CASE(an_allocator_without_one_of_its_functions_is_refused)
{
    allocation a;
    pl_allocator broken;
    (void)t;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    broken = a.allocator;
    broken.allocate = NULL;
    CHECK_EQ_INT(pl_set_allocator(&broken), PL_EINVAL);
    broken = a.allocator;
    broken.reallocate = NULL;
    CHECK_EQ_INT(pl_set_allocator(&broken), PL_EINVAL);
    broken = a.allocator;
    broken.release = NULL;
    CHECK_EQ_INT(pl_set_allocator(&broken), PL_EINVAL);
    allocation_end(&a);
}

TEST_CASE(the_allocator_stays_while_its_memory_is_in_use)
{
    allocation a;
    pl_loop *loop;
    (void)t;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    REQUIRE_EQ_INT(pl_loop_create(&loop, NULL), PL_OK);
    CHECK(a.blocks > 0);
    CHECK_EQ_INT(pl_set_allocator(NULL), PL_ESTATE);
    CHECK_EQ_INT(pl_set_allocator(&a.allocator), PL_ESTATE);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    allocation_end(&a);
}

TEST_CASE(memory_in_use_is_what_the_allocator_has_given)
{
    allocation a;
    pl_loop *loop;
    pl_future *future;
    (void)t;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    CHECK_EQ_INT(pl_memory_in_use(), 0);
    REQUIRE_EQ_INT(pl_loop_create(&loop, NULL), PL_OK);
    CHECK_EQ_INT(pl_memory_in_use(), a.bytes);
    REQUIRE_EQ_INT(pl_future_create(&future, loop), PL_OK);
    CHECK(a.bytes > 0);
    CHECK_EQ_INT(pl_memory_in_use(), a.bytes);
    pl_future_unref(future);
    CHECK_EQ_INT(pl_memory_in_use(), a.bytes);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    CHECK_EQ_INT(pl_memory_in_use(), 0);
    allocation_end(&a);
}

TEST_CASE(null_brings_back_the_default_allocator)
{
    allocation a;
    pl_loop *loop;
    int64_t calls;
    (void)t;
    REQUIRE_EQ_INT(allocation_begin(&a), PL_OK);
    allocation_end(&a);
    calls = a.calls;
    REQUIRE_EQ_INT(pl_loop_create(&loop, NULL), PL_OK);
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
    CHECK_EQ_INT(a.calls, calls);
}

TEST_SUITE(base, TEST_BACKENDS_NONE,
           CASE(the_numbers_of_the_codes_never_change),
           CASE(every_code_is_in_the_list_of_known_ones),
           CASE(every_code_is_negative_and_unique),
           CASE(every_code_has_its_name_and_one_line_of_text),
           CASE(zero_and_more_is_success),
           CASE(an_unknown_code_has_a_name_and_a_text_too),
           CASE(durations_are_nanoseconds),
           CASE(the_library_that_runs_is_the_one_of_the_headers),
           CASE(an_allocator_without_one_of_its_functions_is_refused),
           CASE(the_allocator_stays_while_its_memory_is_in_use),
           CASE(memory_in_use_is_what_the_allocator_has_given),
           CASE(null_brings_back_the_default_allocator))
