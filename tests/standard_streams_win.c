#include "standard_streams.h"

#include <windows.h>

static DWORD replaced;
static HANDLE own;
static HANDLE now;
static HANDLE other;

static HANDLE open_file(const char *path, bool reads, int64_t place)
{
    LARGE_INTEGER at;
    HANDLE file = CreateFileA(path, reads ? GENERIC_READ : GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                              reads ? OPEN_EXISTING : OPEN_ALWAYS, 0, NULL);
    at.QuadPart = place;
    if (file != INVALID_HANDLE_VALUE)
        (void)SetFilePointerEx(file, at, NULL, FILE_BEGIN);
    return file == INVALID_HANDLE_VALUE ? NULL : file;
}

bool standard_begin(int which, enum standard_kind kind, const char *path, int64_t place)
{
    static const DWORD names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    bool reads = which == 0;
    now = other = NULL;
    if (kind == STANDARD_PIPE) {
        if (!CreatePipe(reads ? &now : &other, reads ? &other : &now, NULL, 4096))
            return false;
    } else if (kind == STANDARD_FILE) {
        now = open_file(path, reads, place);
    } else if (kind == STANDARD_NOTHING) {
        now = open_file("NUL", reads, 0);
    } else if (kind != STANDARD_CLOSED) {
        return false;
    }
    if (!now && kind != STANDARD_CLOSED)
        return false;
    replaced = names[which];
    own = GetStdHandle(replaced);
    return SetStdHandle(replaced, now) != 0;
}

void standard_end(void)
{
    standard_hang_up();
    standard_give_back();
}

void standard_give_back(void)
{
    (void)SetStdHandle(replaced, own);
    if (now)
        (void)CloseHandle(now);
    now = NULL;
}

bool standard_feed(const void *data, size_t size)
{
    DWORD written;
    return WriteFile(other, data, (DWORD)size, &written, NULL) && written == size;
}

int64_t standard_drain(void *data, size_t size)
{
    DWORD got = 0;
    return ReadFile(other, data, (DWORD)size, &got, NULL) ? (int64_t)got : 0;
}

int64_t standard_drain_now(void *data, size_t size)
{
    DWORD there = 0;
    if (!PeekNamedPipe(other, NULL, 0, NULL, &there, NULL) || there == 0)
        return 0;
    return standard_drain(data, size < there ? size : there);
}

void standard_hang_up(void)
{
    if (other)
        (void)CloseHandle(other);
    other = NULL;
}

bool standard_write(const void *data, size_t size)
{
    DWORD written;
    return WriteFile(now, data, (DWORD)size, &written, NULL) && written == size;
}

void standard_modes(uint64_t modes[2])
{
    DWORD mode = 0;
    modes[0] = GetNamedPipeHandleStateW(now, &mode, NULL, NULL, NULL, NULL, 0) ? mode : 0;
    modes[1] = GetConsoleMode(now, &mode) ? mode : 0;
}
