#include "shims_console.h"

#include <string.h>
#include <windows.h>

#include "harness.h"

#define SHIM_OF(type, name, ...)                                                                                       \
    extern type(WINAPI *__real___imp_##name)(__VA_ARGS__);                                                             \
    extern type(WINAPI *__wrap___imp_##name)(__VA_ARGS__);                                                             \
    static type WINAPI shim_##name(__VA_ARGS__);                                                                       \
    type(WINAPI *__wrap___imp_##name)(__VA_ARGS__) = shim_##name;                                                      \
    static type WINAPI shim_##name(__VA_ARGS__)

enum { TEXT_SIZE = 1 << 16, QUEUE_SIZE = 256, PARTING = 2000 };

/* In the queue, besides characters. */
#define ABORT L'\xffff'
#define WAKE  L'\x1e'

static SRWLOCK lock = SRWLOCK_INIT;
static CONDITION_VARIABLE changed = CONDITION_VARIABLE_INIT;
static PHANDLER_ROUTINE handler;
static bool refuse_handlers;
static int partings;

static struct {
    bool on;
    HANDLE handles[2]; /* to NUL, which has the kind of a console */
    HANDLE own[2];
    WCHAR queue[QUEUE_SIZE];
    size_t queued;
    WCHAR line[QUEUE_SIZE]; /* what is typed of a line */
    size_t typed;
    bool lines;
    bool reading;
    bool cancelled;
    bool refuse_keys;
    bool lose_cancels;
    bool refuse_threads;
    bool refuse_handles;
    bool press_before_key;
    DWORD fail_reads;
    int reads, keys, keys_taken_back, cancels;
    DWORD initial;
    DWORD take;
    WCHAR written[TEXT_SIZE];
    size_t written_size;
} console;

/* --- The control handler --- */

SHIM_OF(WINBOOL, SetConsoleCtrlHandler, PHANDLER_ROUTINE routine, WINBOOL add)
{
    if (routine && add && refuse_handlers) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return FALSE;
    }
    if (routine && add)
        handler = routine;
    return __real___imp_SetConsoleCtrlHandler(routine, add);
}

SHIM_OF(void, Sleep, DWORD milliseconds)
{
    if (milliseconds != PARTING) {
        __real___imp_Sleep(milliseconds);
        return;
    }
    AcquireSRWLockExclusive(&lock);
    partings++;
    ReleaseSRWLockExclusive(&lock);
}

void console_refuse_handlers(bool refuse)
{
    refuse_handlers = refuse;
}

bool console_has_handler(void)
{
    return handler != NULL;
}

bool console_send(unsigned event)
{
    return handler && handler(event);
}

int console_partings(void)
{
    int result;
    AcquireSRWLockExclusive(&lock);
    result = partings;
    ReleaseSRWLockExclusive(&lock);
    return result;
}

/* --- Which handles are the console --- */

static HANDLE open_nul(DWORD access)
{
    return CreateFileW(L"NUL", access, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_EXISTING, 0, NULL);
}

bool console_begin(void)
{
    memset(&console, 0, sizeof console);
    console.handles[0] = open_nul(GENERIC_READ | GENERIC_WRITE);
    console.handles[1] = open_nul(GENERIC_READ | GENERIC_WRITE);
    console.own[0] = GetStdHandle(STD_INPUT_HANDLE);
    console.own[1] = GetStdHandle(STD_ERROR_HANDLE);
    console.lines = true;
    console.take = TEXT_SIZE;
    console.on =
        SetStdHandle(STD_INPUT_HANDLE, console.handles[0]) && SetStdHandle(STD_ERROR_HANDLE, console.handles[1]);
    return console.on;
}

void console_end(void)
{
    console.on = false;
    (void)SetStdHandle(STD_INPUT_HANDLE, console.own[0]);
    (void)SetStdHandle(STD_ERROR_HANDLE, console.own[1]);
    (void)CloseHandle(console.handles[0]);
    (void)CloseHandle(console.handles[1]);
}

SHIM_OF(WINBOOL, GetConsoleMode, HANDLE handle, LPDWORD mode)
{
    if (!console.on)
        return __real___imp_GetConsoleMode(handle, mode);
    *mode = console.lines ? ENABLE_PROCESSED_INPUT | ENABLE_LINE_INPUT | ENABLE_ECHO_INPUT : 0;
    return TRUE;
}

/* The library changes no mode. */
SHIM_OF(WINBOOL, SetConsoleMode, HANDLE handle, DWORD mode)
{
    CHECK(!console.on);
    return __real___imp_SetConsoleMode(handle, mode);
}

/* --- Input --- */

static void push(WCHAR character)
{
    CHECK(console.queued < QUEUE_SIZE);
    console.queue[console.queued++] = character;
    WakeAllConditionVariable(&changed);
}

static WCHAR pop(void)
{
    WCHAR first = console.queue[0];
    console.queued--;
    memmove(console.queue, console.queue + 1, console.queued * sizeof *console.queue);
    return first;
}

static void press(WCHAR character)
{
    AcquireSRWLockExclusive(&lock);
    push(character);
    ReleaseSRWLockExclusive(&lock);
}

void console_type(const wchar_t *text)
{
    for (; *text; text++)
        press(*text);
}

void console_press(wchar_t character)
{
    press(character);
}

void console_interrupt(void)
{
    press(ABORT);
}

#define SETTER(name, type, member)                                                                                     \
    void name(type value)                                                                                              \
    {                                                                                                                  \
        AcquireSRWLockExclusive(&lock);                                                                                \
        console.member = value;                                                                                        \
        ReleaseSRWLockExclusive(&lock);                                                                                \
    }

SETTER(console_fail_reads, unsigned, fail_reads)
SETTER(console_refuse_keys, bool, refuse_keys)
SETTER(console_press_before_key, bool, press_before_key)
SETTER(console_set_lines, bool, lines)
SETTER(console_take, unsigned, take)

#define GETTER(name, type, member)                                                                                     \
    type name(void)                                                                                                    \
    {                                                                                                                  \
        type result;                                                                                                   \
        AcquireSRWLockExclusive(&lock);                                                                                \
        result = console.member;                                                                                       \
        ReleaseSRWLockExclusive(&lock);                                                                                \
        return result;                                                                                                 \
    }

GETTER(console_reads, int, reads)
GETTER(console_initial, unsigned, initial)
GETTER(console_keys, int, keys)
GETTER(console_keys_taken_back, int, keys_taken_back)
GETTER(console_cancels, int, cancels)

void console_wait_for_reader(void)
{
    AcquireSRWLockExclusive(&lock);
    while (!console.reading || console.queued > 0)
        SleepConditionVariableSRW(&changed, &lock, INFINITE, 0);
    ReleaseSRWLockExclusive(&lock);
}

static WINBOOL give(WCHAR *buffer, LPDWORD count)
{
    memcpy(buffer, console.line, console.typed * sizeof *buffer);
    *count = (DWORD)console.typed;
    console.typed = 0;
    return TRUE;
}

/* Takes one key. Returns whether the read has ended. */
static bool take_key(WCHAR key)
{
    if (key == ABORT) {
        console.typed = 0;
        return true;
    }
    console.line[console.typed++] = key;
    if (key == L'\r' && console.lines)
        console.line[console.typed++] = L'\n';
    return key == L'\r' || key == WAKE || !console.lines;
}

static WINBOOL read_locked(WCHAR *buffer, LPDWORD count)
{
    for (;;) {
        if (console.fail_reads) {
            SetLastError(console.fail_reads);
            return FALSE;
        }
        if (console.cancelled) {
            console.cancelled = false;
            SetLastError(ERROR_OPERATION_ABORTED);
            return FALSE;
        }
        while (console.queued > 0) {
            WCHAR key = pop();
            bool ended = take_key(key);
            WakeAllConditionVariable(&changed);
            if (ended && key == ABORT)
                SetLastError(ERROR_OPERATION_ABORTED);
            if (ended)
                return give(buffer, count);
        }
        SleepConditionVariableSRW(&changed, &lock, INFINITE, 0);
    }
}

SHIM_OF(WINBOOL, ReadConsoleW, HANDLE handle, LPVOID buffer, DWORD size, LPDWORD count,
        PCONSOLE_READCONSOLE_CONTROL control)
{
    WINBOOL result;
    (void)handle;
    CHECK(size >= QUEUE_SIZE);
    CHECK_EQ_INT(control->nLength, sizeof *control);
    CHECK_EQ_INT(control->dwCtrlWakeupMask, 1u << WAKE);
    AcquireSRWLockExclusive(&lock);
    console.reads++;
    console.initial = control->nInitialChars;
    CHECK_EQ_INT(console.typed, 0);
    memcpy(console.line, buffer, control->nInitialChars * sizeof(WCHAR)); /* what it is to go on with */
    console.typed = control->nInitialChars;
    console.reading = true;
    WakeAllConditionVariable(&changed);
    result = read_locked(buffer, count);
    console.reading = false;
    ReleaseSRWLockExclusive(&lock);
    return result;
}

SHIM_OF(WINBOOL, WriteConsoleInputW, HANDLE handle, const INPUT_RECORD *records, DWORD count, LPDWORD written)
{
    (void)handle;
    CHECK_EQ_INT(count, 1);
    CHECK_EQ_INT(records->EventType, KEY_EVENT);
    CHECK(records->Event.KeyEvent.bKeyDown);
    CHECK_EQ_INT(records->Event.KeyEvent.uChar.UnicodeChar, WAKE);
    CHECK_EQ_INT(records->Event.KeyEvent.wRepeatCount, 1);
    AcquireSRWLockExclusive(&lock);
    if (!console.refuse_keys) {
        if (console.press_before_key)
            push(L'\r');
        push(WAKE);
        console.keys++;
    }
    *written = console.refuse_keys ? 0 : 1;
    ReleaseSRWLockExclusive(&lock);
    return *written == 1;
}

SHIM_OF(WINBOOL, PeekConsoleInputW, HANDLE handle, PINPUT_RECORD record, DWORD size, LPDWORD count)
{
    (void)handle;
    (void)size;
    AcquireSRWLockExclusive(&lock);
    *count = console.queued > 0;
    memset(record, 0, sizeof *record);
    record->EventType = KEY_EVENT;
    record->Event.KeyEvent.bKeyDown = TRUE;
    record->Event.KeyEvent.uChar.UnicodeChar = console.queue[0];
    ReleaseSRWLockExclusive(&lock);
    return TRUE;
}

SHIM_OF(WINBOOL, ReadConsoleInputW, HANDLE handle, PINPUT_RECORD record, DWORD size, LPDWORD count)
{
    (void)handle;
    (void)record;
    (void)size;
    AcquireSRWLockExclusive(&lock);
    CHECK(console.queued > 0);
    CHECK_EQ_INT(pop(), WAKE);
    *count = 1;
    console.keys_taken_back++;
    ReleaseSRWLockExclusive(&lock);
    return TRUE;
}

void console_refuse_threads(bool refuse)
{
    AcquireSRWLockExclusive(&lock);
    console.refuse_threads = refuse;
    ReleaseSRWLockExclusive(&lock);
}

void console_refuse_handles(bool refuse)
{
    AcquireSRWLockExclusive(&lock);
    console.refuse_handles = refuse;
    ReleaseSRWLockExclusive(&lock);
}

SHIM_OF(WINBOOL, DuplicateHandle, HANDLE from, HANDLE handle, HANDLE to, LPHANDLE copy, DWORD access, WINBOOL inherits,
        DWORD options)
{
    AcquireSRWLockExclusive(&lock);
    bool refused = console.on && (console.refuse_handles || (console.refuse_threads && handle == GetCurrentThread()));
    ReleaseSRWLockExclusive(&lock);
    if (refused) {
        SetLastError(ERROR_NOT_ENOUGH_MEMORY);
        return FALSE;
    }
    return __real___imp_DuplicateHandle(from, handle, to, copy, access, inherits, options);
}

void console_lose_cancels(bool lose)
{
    AcquireSRWLockExclusive(&lock);
    console.lose_cancels = lose;
    ReleaseSRWLockExclusive(&lock);
}

SHIM_OF(WINBOOL, CancelSynchronousIo, HANDLE thread)
{
    bool found;
    if (!console.on)
        return __real___imp_CancelSynchronousIo(thread);
    AcquireSRWLockExclusive(&lock);
    console.cancels++;
    found = console.reading && !console.lose_cancels;
    console.cancelled = found;
    WakeAllConditionVariable(&changed);
    ReleaseSRWLockExclusive(&lock);
    if (!found)
        SetLastError(ERROR_NOT_FOUND);
    return found;
}

/* --- Output --- */

SHIM_OF(WINBOOL, WriteConsoleW, HANDLE handle, const void *text, DWORD size, LPDWORD written, LPVOID reserved)
{
    (void)handle;
    CHECK(reserved == NULL);
    AcquireSRWLockExclusive(&lock);
    *written = size < console.take ? size : console.take;
    CHECK(console.written_size + *written < TEXT_SIZE);
    memcpy(console.written + console.written_size, text, *written * sizeof(WCHAR));
    console.written_size += *written;
    ReleaseSRWLockExclusive(&lock);
    if (*written == 0)
        SetLastError(ERROR_INVALID_HANDLE);
    return *written > 0;
}

const wchar_t *console_written(void)
{
    return console.written;
}
