#include "standard_error.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <string.h>

enum { ERROR_DESCRIPTOR = 2, PIPE_SIZE = 65536 };

static int ends[2];
static int before;

bool standard_error_take(void)
{
    (void)fflush(stderr);
    before = _dup(ERROR_DESCRIPTOR);
    if (before < 0 || _pipe(ends, PIPE_SIZE, _O_BINARY | _O_NOINHERIT) < 0)
        return false;
    return _dup2(ends[1], ERROR_DESCRIPTOR) >= 0;
}

void standard_error_read(char *text, size_t size, const char *wanted)
{
    size_t length = 0;
    text[0] = '\0';
    while (!strstr(text, wanted) && length + 1 < size) {
        int got = _read(ends[0], text + length, (unsigned)(size - length - 1));
        if (got <= 0)
            return;
        length += (size_t)got;
        text[length] = '\0';
    }
}

void standard_error_give_back(void)
{
    (void)fflush(stderr);
    (void)_dup2(before, ERROR_DESCRIPTOR);
    (void)_close(before);
    (void)_close(ends[0]);
    (void)_close(ends[1]);
}

/* --- Demands: Wine 8 knows no Ctrl-Break -------------------------------------------------------------------------- */

bool process_can_demand_dump(void)
{
    return false;
}

bool process_demand_dump(void)
{
    return false;
}

void process_count_demands(void)
{
}

int process_demands_counted(void)
{
    return 0;
}
