/* console.c: the standard handles of a process, as devices (device.h): whoever started the process has chosen how they
 * are opened, and that is mostly such that they block. The handle is duplicated; no mode of it is changed.
 *
 * Files, pipes, sockets. ReadFile and WriteFile with an OVERLAPPED, then a wait: that serves handles of both kinds. The
 * handshake of an interrupt: the thread sets `inside`, then looks whether it is interrupted, then calls. Who interrupts
 * sets `interrupt`, and cancels until the system has found something to cancel or the thread is not inside. So a cancel
 * can neither come too early nor hit a later call. Mostly that is a matter of microseconds; but a call may have to wait for
 * another one on the same file object, of another stream or program, before the system sees a request of it: then a thread
 * goes on trying, and the loop goes on. A call that was aborted may have moved bytes without saying so: a read
 * of a pipe has not, of a write nobody knows, and its stream is broken.
 *
 * Consoles. ReadConsoleW gives UTF-16, in lines while the console's mode says so, and lets the user edit the line
 * meanwhile. It is interrupted by a key that nobody has, Ctrl-^, put into the console's input: the call is told to return
 * at this character, with what the user has typed so far, and the next call is told to go on with that. A key that comes
 * too late is taken back, or skipped by the next read. What was read and not yet asked for is kept here for the next read.
 * WriteConsoleW gets UTF-16, whole characters; the bytes of a character that is not complete wait for the next write.
 */
#include "system.h" /* first: a compiler's own header of atomic operations, which others include, disturbs it */

#include <proloop/console.h>

#include <string.h>

#include "../device.h"

#define WAKE_CHARACTER L'\x1e' /* Ctrl-^ */
#define END_CHARACTER  L'\x1a' /* Ctrl-Z */

enum {
    LINE_SIZE = 4096,     /* characters of one ReadConsoleW */
    PIECE_SIZE = 1 << 16, /* bytes of one call of another kind */
    CANCEL_TRIES = 100    /* on the loop's thread */
};

typedef struct system_device {
    HANDLE handle;
    HANDLE thread;     /* of the device, for CancelSynchronousIo */
    HANDLE event;      /* of the OVERLAPPED */
    DWORD native_kind; /* FILE_TYPE_... */
    uint8_t kind;      /* enum pl_console_kind */
    bool reads;
    bool has_input; /* it is the one reader of the console */
    bool injected;  /* the wake key */
    uint8_t tail_size;
    char tail[4]; /* the beginning of a character that is still to be written */
    pl__atomic_u32 inside;
    pl__atomic_u32 interrupt;
    bool canceller_started;
    pl__thread canceller;
    OVERLAPPED overlapped;
} system_device;

PL__STATIC_ASSERT(sizeof(system_device) <= sizeof(((pl__device *)0)->system), "no room for the handles");

/* What has been read from the console and not been asked for. There is one console, and it has one reader. */
static struct {
    pl__atomic_u32 taken;
    DWORD typed;    /* characters in `line` that the user has typed and may still edit */
    WCHAR high;     /* the first half of a character whose second half is to come; 0: none */
    bool ended;     /* after what is kept comes an end */
    uint32_t begin; /* of what is kept in `text` */
    uint32_t end;
    WCHAR line[LINE_SIZE];
    WCHAR whole[LINE_SIZE + 1];
    char text[(LINE_SIZE + 1) * 3];
} input;

static system_device *system_of(pl__device *device)
{
    return (system_device *)(void *)&device->system;
}

static int64_t failed(DWORD error, int32_t *system_error)
{
    *system_error = (int32_t)error;
    return pl__error_from_win32(error);
}

/* --- Opening ------------------------------------------------------------------------------------------------------ */

/* 0: it is none. */
static int kind_of(HANDLE handle, DWORD native_kind)
{
    DWORD mode;
    int size = sizeof(int), type;
    switch (native_kind) {
    case FILE_TYPE_DISK:
        return PL_CONSOLE_FILE;
    case FILE_TYPE_PIPE:
        return getsockopt((SOCKET)handle, SOL_SOCKET, SO_TYPE, (char *)&type, &size) == 0 ? PL_CONSOLE_SOCKET
                                                                                          : PL_CONSOLE_PIPE;
    case FILE_TYPE_CHAR:
        return GetConsoleMode(handle, &mode) ? PL_CONSOLE_TERMINAL : PL_CONSOLE_OTHER;
    default:
        return 0;
    }
}

static bool take_console(system_device *own)
{
    uint32_t free = 0;
    if (own->kind != PL_CONSOLE_TERMINAL || !own->reads)
        return true;
    own->has_input = pl__atomic_u32_compare_exchange(&input.taken, &free, 1);
    return own->has_input;
}

static int fill_device(system_device *own, HANDLE standard)
{
    HANDLE process = GetCurrentProcess();
    own->kind = (uint8_t)kind_of(standard, own->native_kind);
    if (own->kind == 0)
        return PL_EBADF;
    if (!DuplicateHandle(process, standard, process, &own->handle, 0, FALSE, DUPLICATE_SAME_ACCESS))
        return pl__error_from_win32(GetLastError());
    own->event = CreateEventW(NULL, TRUE, FALSE, NULL);
    if (!own->event)
        return pl__error_from_win32(GetLastError());
    return take_console(own) ? PL_OK : PL_EBUSY;
}

int pl__standard_open(pl__request *request)
{
    static const DWORD names[] = {STD_INPUT_HANDLE, STD_OUTPUT_HANDLE, STD_ERROR_HANDLE};
    HANDLE standard = GetStdHandle(names[request->option]);
    if (!standard || standard == INVALID_HANDLE_VALUE)
        return PL_EBADF;
    pl__device *device = pl__device_create();
    if (!device)
        return PL_ENOMEM;
    system_device *own = system_of(device);
    own->native_kind = GetFileType(standard);
    own->reads = request->option == PL__STANDARD_INPUT;
    int result = fill_device(own, standard);
    if (result < 0) {
        pl__device_destroy(device);
        return result;
    }
    pl__handle_init(request->handle);
    request->handle->type = PL__DEVICE;
    request->handle->traits = own->reads ? PL__READ_ONLY : PL__WRITE_ONLY;
    request->handle->object = (uintptr_t)device;
    return own->kind;
}

static void close_handle(HANDLE handle)
{
    if (handle)
        (void)CloseHandle(handle);
}

void pl__device_release(pl__device *device)
{
    system_device *own = system_of(device);
    if (own->has_input)
        pl__atomic_u32_store(&input.taken, 0);
    close_handle(own->handle);
    close_handle(own->thread);
    close_handle(own->event);
}

/* --- The handshake ------------------------------------------------------------------------------------------------ */

/* Before a call that blocks. PL_ECANCELED: it was interrupted, and is not to be made. Nor is one that nobody could cancel:
 * the thread's handle has the right that CancelSynchronousIo asks for. */
static int64_t enter(system_device *own, int32_t *system_error)
{
    HANDLE process = GetCurrentProcess();
    if (!own->thread &&
        !DuplicateHandle(process, GetCurrentThread(), process, &own->thread, THREAD_TERMINATE, FALSE, 0))
        return failed(GetLastError(), system_error);
    pl__atomic_u32_store(&own->inside, 1);
    if (!pl__atomic_u32_load(&own->interrupt))
        return PL_OK;
    pl__atomic_u32_store(&own->inside, 0);
    return PL_ECANCELED;
}

static void leave(system_device *own)
{
    pl__atomic_u32_store(&own->inside, 0);
}

/* The handle's own requests are cancelled one way, those of its thread the other: which it is depends on how the handle
 * was opened. */
static bool try_to_cancel(system_device *own)
{
    return !pl__atomic_u32_load(&own->inside) || CancelSynchronousIo(own->thread) ||
           CancelIoEx(own->handle, &own->overlapped);
}

/* On a thread of its own, or, if there is none, on the loop's. */
static void cancel_whenever_possible(void *arg)
{
    while (!try_to_cancel(arg))
        Sleep(1);
}

static void cancel_call(system_device *own)
{
    for (int i = 0; i < CANCEL_TRIES; i++) {
        if (try_to_cancel(own))
            return;
        SwitchToThread();
    }
    own->canceller_started =
        pl__thread_start(&own->canceller, cancel_whenever_possible, own, "proloop cancel") == PL_OK;
    if (!own->canceller_started)
        cancel_whenever_possible(own);
}

static INPUT_RECORD wake_key(void)
{
    INPUT_RECORD record = {.EventType = KEY_EVENT};
    record.Event.KeyEvent.bKeyDown = TRUE;
    record.Event.KeyEvent.wRepeatCount = 1;
    record.Event.KeyEvent.dwControlKeyState = LEFT_CTRL_PRESSED;
    record.Event.KeyEvent.wVirtualKeyCode = '6';
    record.Event.KeyEvent.uChar.UnicodeChar = WAKE_CHARACTER;
    return record;
}

static bool is_wake_key(const INPUT_RECORD *record)
{
    return record->EventType == KEY_EVENT && record->Event.KeyEvent.bKeyDown &&
           record->Event.KeyEvent.uChar.UnicodeChar == WAKE_CHARACTER;
}

static bool wake_console(system_device *own)
{
    INPUT_RECORD record = wake_key();
    DWORD written;
    own->injected = WriteConsoleInputW(own->handle, &record, 1, &written) && written == 1;
    return own->injected;
}

void pl__device_interrupt(pl__device *device)
{
    system_device *own = system_of(device);
    pl__atomic_u32_store(&own->interrupt, 1);
    if (own->kind == PL_CONSOLE_FILE || !pl__atomic_u32_load(&own->inside))
        return; /* a file's call ends soon, by itself */
    if (own->kind == PL_CONSOLE_TERMINAL && own->reads && wake_console(own))
        return;
    if (own->kind == PL_CONSOLE_TERMINAL && !own->reads)
        return; /* it writes when the user lets go */
    cancel_call(own);
}

/* A key that the read did not see, as it ended for another reason; mostly there is none. */
static void take_key_back(system_device *own)
{
    INPUT_RECORD record;
    DWORD count;
    while (PeekConsoleInputW(own->handle, &record, 1, &count) && count == 1 && is_wake_key(&record))
        if (!ReadConsoleInputW(own->handle, &record, 1, &count))
            return;
}

void pl__device_end_interrupt(pl__device *device)
{
    system_device *own = system_of(device);
    if (own->canceller_started)
        pl__thread_join(&own->canceller);
    own->canceller_started = false;
    pl__atomic_u32_store(&own->interrupt, 0);
    if (own->injected)
        take_key_back(own);
    own->injected = false;
}

/* --- Reading a console -------------------------------------------------------------------------------------------- */

/* Makes UTF-8 of `count` characters of the line; half a character at their end waits for its other half. */
static void keep_text(DWORD count)
{
    DWORD used = 0;
    if (input.high)
        input.whole[used++] = input.high;
    memcpy(input.whole + used, input.line, count * sizeof *input.line);
    used += count;
    input.high = 0;
    if (used > 0 && IS_HIGH_SURROGATE(input.whole[used - 1]))
        input.high = input.whole[--used];
    input.begin = 0;
    input.end = used == 0 ? 0
                          : (uint32_t)WideCharToMultiByte(CP_UTF8, 0, input.whole, (int)used, input.text,
                                                          (int)sizeof input.text, NULL, NULL);
}

/* Takes the wake character out of what was read. Returns whether it was there. */
static bool remove_wake(DWORD *count)
{
    for (DWORD i = 0; i < *count; i++) {
        if (input.line[i] != WAKE_CHARACTER)
            continue;
        memmove(input.line + i, input.line + i + 1, (*count - i - 1) * sizeof *input.line);
        (*count)--;
        return true;
    }
    return false;
}

static void take_line(system_device *own, DWORD count)
{
    DWORD mode = 0;
    bool lines = GetConsoleMode(own->handle, &mode) && (mode & ENABLE_LINE_INPUT);
    bool woken = remove_wake(&count);
    input.typed = 0;
    if (woken && lines)
        input.typed = count; /* the user goes on with it */
    else if (lines && count > 0 && input.line[0] == END_CHARACTER)
        input.ended = true;
    else
        keep_text(count);
}

/* 0: look again what there is; or an error. */
static int64_t read_line(system_device *own, int32_t *system_error)
{
    CONSOLE_READCONSOLE_CONTROL control = {sizeof control, input.typed, 1u << WAKE_CHARACTER, 0};
    DWORD count = 0;
    int64_t entered = enter(own, system_error);
    if (entered < 0)
        return entered;
    SetLastError(ERROR_SUCCESS);
    BOOL done = ReadConsoleW(own->handle, input.line, LINE_SIZE, &count, &control);
    DWORD error = GetLastError();
    leave(own);
    bool aborted = error == ERROR_OPERATION_ABORTED; /* by Ctrl-C, which says so also when the call succeeds */
    if (!done && !aborted)
        return failed(error, system_error);
    if (!done || count == 0) {
        input.typed = 0;
        input.ended = !aborted;
        return 0;
    }
    take_line(own, count);
    return 0;
}

static int64_t take_text(void *data, size_t size)
{
    uint32_t left = input.end - input.begin;
    uint32_t count = size < left ? (uint32_t)size : left;
    memcpy(data, input.text + input.begin, count);
    input.begin += count;
    return count;
}

static int64_t read_console(system_device *own, void *data, size_t size, int32_t *system_error)
{
    for (;;) {
        if (input.begin < input.end)
            return take_text(data, size);
        if (input.ended) {
            input.ended = false; /* the next read asks the user again */
            return 0;
        }
        int64_t result = read_line(own, system_error);
        if (result < 0)
            return result;
    }
}

/* --- Reading and writing anything else ---------------------------------------------------------------------------- */

/* The bytes moved; or 0 and the error. A file has its own place, which an OVERLAPPED would not use. */
static DWORD transfer(system_device *own, void *data, DWORD size, DWORD *error)
{
    DWORD count = 0;
    bool file = own->kind == PL_CONSOLE_FILE;
    own->overlapped = (OVERLAPPED){0};
    own->overlapped.hEvent = (HANDLE)((uintptr_t)own->event | 1); /* no packet to a port that it may belong to */
    OVERLAPPED *overlapped = file ? NULL : &own->overlapped;
    BOOL done = own->reads ? ReadFile(own->handle, data, size, &count, overlapped)
                           : WriteFile(own->handle, data, size, &count, overlapped);
    if (!done && !file && GetLastError() == ERROR_IO_PENDING)
        done = GetOverlappedResult(own->handle, &own->overlapped, &count, TRUE);
    *error = done ? ERROR_SUCCESS : GetLastError();
    return count;
}

static bool is_end(DWORD error)
{
    return error == ERROR_BROKEN_PIPE || error == ERROR_HANDLE_EOF || error == ERROR_PIPE_NOT_CONNECTED;
}

/* A write of nothing to a pipe reads as nothing and is no end. */
static bool is_nothing(const system_device *own, DWORD count, DWORD error)
{
    return error == ERROR_SUCCESS && count == 0 && own->kind == PL_CONSOLE_PIPE;
}

static int64_t read_bytes(system_device *own, void *data, size_t size, int32_t *system_error)
{
    DWORD count, error;
    do {
        int64_t entered = enter(own, system_error);
        if (entered < 0)
            return entered;
        count = transfer(own, data, size < PIECE_SIZE ? (DWORD)size : PIECE_SIZE, &error);
        leave(own);
    } while (is_nothing(own, count, error) || (error == ERROR_OPERATION_ABORTED && count == 0));
    if (error == ERROR_SUCCESS || error == ERROR_MORE_DATA || count > 0)
        return count;
    return is_end(error) ? 0 : failed(error, system_error);
}

int64_t pl__device_read(pl__device *device, void *data, size_t size, int32_t *system_error)
{
    system_device *own = system_of(device);
    return own->kind == PL_CONSOLE_TERMINAL ? read_console(own, data, size, system_error)
                                            : read_bytes(own, data, size, system_error);
}

static int64_t write_bytes(system_device *own, const char *data, size_t size, int32_t *system_error)
{
    DWORD error;
    int64_t entered = enter(own, system_error);
    if (entered < 0)
        return entered;
    DWORD count = transfer(own, (void *)(uintptr_t)data, size < PIECE_SIZE ? (DWORD)size : PIECE_SIZE, &error);
    leave(own);
    if (count > 0)
        return count;
    if (error == ERROR_OPERATION_ABORTED) {
        *system_error = (int32_t)error;
        return PL_EBROKEN;
    }
    if (error == ERROR_NO_DATA || is_end(error)) { /* nobody reads any more */
        *system_error = (int32_t)error;
        return PL_ECONNRESET;
    }
    return failed(error, system_error);
}

/* --- Writing to a console ----------------------------------------------------------------------------------------- */

/* How many bytes at the end of the text begin a character that is not complete. */
static size_t incomplete(const char *text, size_t size)
{
    for (size_t back = 1; back <= 3 && back <= size; back++) {
        unsigned char byte = (unsigned char)text[size - back];
        if ((byte & 0xc0) == 0x80)
            continue; /* a later byte of one */
        size_t length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        return length > back ? back : 0;
    }
    return 0;
}

/* Writes the characters; the bytes of which they were made. */
static int64_t write_characters(system_device *own, const WCHAR *characters, DWORD count, int32_t *system_error)
{
    while (count > 0) {
        DWORD written = 0;
        if (!WriteConsoleW(own->handle, characters, count, &written, NULL))
            return failed(GetLastError(), system_error);
        if (written == 0 || written > count)
            return failed(ERROR_WRITE_FAULT, system_error);
        characters += written;
        count -= written;
    }
    return PL_OK;
}

static int64_t write_console(system_device *own, const char *data, size_t size, int32_t *system_error)
{
    char text[LINE_SIZE];
    WCHAR characters[LINE_SIZE];
    size_t kept = own->tail_size, taken = size < LINE_SIZE - kept ? size : LINE_SIZE - kept;
    memcpy(text, own->tail, kept);
    memcpy(text + kept, data, taken);
    size_t whole = kept + taken;
    size_t rest = incomplete(text, whole);
    int count = MultiByteToWideChar(CP_UTF8, 0, text, (int)(whole - rest), characters, LINE_SIZE);
    int64_t entered = enter(own, system_error);
    if (entered < 0)
        return entered;
    int64_t result = write_characters(own, characters, (DWORD)count, system_error);
    leave(own);
    if (result < 0)
        return result;
    memcpy(own->tail, text + whole - rest, rest);
    own->tail_size = (uint8_t)rest;
    return (int64_t)taken;
}

int64_t pl__device_write(pl__device *device, const pl_buffer *buffer, size_t offset, int32_t *system_error)
{
    system_device *own = system_of(device);
    const char *data = (const char *)buffer->data + offset;
    size_t size = buffer->size - offset;
    return own->kind == PL_CONSOLE_TERMINAL ? write_console(own, data, size, system_error)
                                            : write_bytes(own, data, size, system_error);
}
