/* check.c: the end of a process that broke an invariant. */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void pl__panic(const char *file, int line, const char *format, ...)
{
    char message[1024]; /* written in one piece, lest two threads that fail together mix their lines */
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    fprintf(stderr, "proloop: %s:%d: %s\n", file, line, message);
    fflush(stderr);
    abort();
}
