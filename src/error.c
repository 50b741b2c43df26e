/* error.c: names and texts of the error codes, from the table in base.h. */
#include <proloop/base.h>

const char *pl_error_name(int64_t code)
{
    if (code >= 0)
        return "PL_OK";
    switch (code) {
#define NAME_OF(name, number, text)                                                                                    \
    case (number):                                                                                                     \
        return "PL_" #name;
        PL_ERRORS(NAME_OF)
#undef NAME_OF
    default:
        return "PL_?";
    }
}

const char *pl_error_text(int64_t code)
{
    if (code >= 0)
        return "success";
    switch (code) {
#define TEXT_OF(name, number, text)                                                                                    \
    case (number):                                                                                                     \
        return text;
        PL_ERRORS(TEXT_OF)
#undef TEXT_OF
    default:
        return "unknown error code";
    }
}

uint32_t pl_version(void)
{
    return PL_VERSION;
}
