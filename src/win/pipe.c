/* pipe.c: pipes, which are named ones here throughout: the anonymous pipes of Windows cannot be overlapped.
 *
 * A receive into the caller's memory is a plain read. One that must know before it reads (into a pooled buffer, or of
 * a whole message) looks first what is there, and if nothing is, waits by a read of no bytes, which takes nothing:
 * it ends when there is something, and then it looks again. So there is never more than one reader, and between the
 * look and the read nothing can vanish.
 *
 * In a stream of bytes nothing is not the end: a peer may write no bytes, and that ends a read. The end is
 * ERROR_BROKEN_PIPE, or ERROR_PIPE_NOT_CONNECTED if a server took its leave by DisconnectNamedPipe. Here no pipe is
 * ever disconnected, which would take from the peer what it has not read yet: a closed end leaves that readable.
 */
#include "system.h"

#include "../atomic.h"
#include "../buffer_pool.h"

enum {
    BUFFER_SIZE = 64 << 10, /* what a pipe holds before a writer waits */
    WRITE_LIMIT = 64 << 10, /* bytes per call, unless they are one message: the system copies them */
    PAIR_TRIES = 8,
    PAIR_NAME_SIZE = 80
};

#if !defined(PIPE_REJECT_REMOTE_CLIENTS)
#define PIPE_REJECT_REMOTE_CLIENTS 8
#endif

static HANDLE object_of(const pl__handle *handle)
{
    return (HANDLE)handle->object;
}

static bool keeps_messages(const pl__handle *handle)
{
    return (handle->traits & PL__MESSAGES) != 0;
}

/* It ended at once. */
static bool ended(pl__packet *packet, int64_t result)
{
    packet->result = result;
    return false;
}

/* --- Receive ------------------------------------------------------------------------------------------------------ */

static bool is_pooled(const pl__completion *c)
{
    return c->as.receive.pool != NULL;
}

/* The bytes that wait, of the next message or of all; or the error. */
static int64_t look(const pl__completion *c, pl__packet *packet)
{
    DWORD available = 0, left = 0;
    if (!PeekNamedPipe(object_of(c->handle), NULL, 0, NULL, &available, &left))
        return pl__packet_failed(packet, GetLastError());
    return keeps_messages(c->handle) ? left : available;
}

static bool read(pl__completion *c, pl__packet *packet, void *data, size_t size)
{
    DWORD bytes = 0;
    bool accepted = ReadFile(object_of(c->handle), data, size < INT32_MAX ? (DWORD)size : INT32_MAX, &bytes,
                             &packet->overlapped) != 0;
    if (!accepted && GetLastError() == ERROR_MORE_DATA) /* a success by half: its packet comes */
        return true;
    return pl__packet_follows(c->handle, packet, accepted, bytes);
}

static bool wait_for_input(pl__completion *c, pl__packet *packet)
{
    static char nothing;
    packet->waiting = true;
    return read(c, packet, &nothing, 0);
}

bool pl__pipe_begin_receive(pl__completion *c, pl__packet *packet)
{
    bool looks = is_pooled(c) || keeps_messages(c->handle) || c->as.receive.size == 0;
    int64_t available = looks ? look(c, packet) : 1;
    packet->waiting = false;
    if (available < 0)
        return ended(packet, available);
    if (available == 0)
        return wait_for_input(c, packet);
    if (c->as.receive.size == 0)
        return ended(packet, 0);
    if (keeps_messages(c->handle) && (uint64_t)available > c->as.receive.size)
        return ended(packet, pl__packet_failed(packet, ERROR_MORE_DATA));
    if (is_pooled(c)) {
        PL__CHECK(c->as.receive.data == NULL);
        c->as.receive.data = pl__buffer_take(c->as.receive.pool);
        if (!c->as.receive.data)
            return ended(packet, PL_ENOMEM);
    }
    return read(c, packet, c->as.receive.data, c->as.receive.size);
}

static bool is_end(int64_t result)
{
    return result == PL_EOF || result == PL_EPIPE || result == PL_ENOTCONN;
}

int64_t pl__pipe_end_receive(pl__completion *c, pl__packet *packet, int64_t result)
{
    if (is_pooled(c) && result <= 0 && c->as.receive.data) {
        pl__buffer_give(c->as.receive.pool, c->as.receive.data);
        c->as.receive.data = NULL;
    }
    if (is_end(result))
        return 0;
    if (packet->waiting)
        return result >= 0 || result == PL_EMSGSIZE ? PL__AGAIN : result;
    return result == 0 && c->as.receive.size > 0 ? PL__AGAIN : result;
}

/* --- Send --------------------------------------------------------------------------------------------------------- */

bool pl__pipe_begin_send(pl__completion *c, pl__packet *packet)
{
    const pl_buffer *buffer = c->as.send.buffers;
    const char *data = (const char *)buffer->data + c->as.send.offset;
    size_t size = buffer->size - c->as.send.offset, limit = keeps_messages(c->handle) ? INT32_MAX : WRITE_LIMIT;
    DWORD bytes = 0;
    PL__CHECK(c->as.send.count > 0 && buffer->size > c->as.send.offset);
    if (size > limit && keeps_messages(c->handle))
        return ended(packet, PL_EMSGSIZE);
    bool accepted =
        WriteFile(object_of(c->handle), data, (DWORD)(size < limit ? size : limit), &bytes, &packet->overlapped) != 0;
    return pl__packet_follows(c->handle, packet, accepted, bytes);
}

/* Nobody says how much of an aborted write the reader has got; so to write it once more might write it twice. */
int64_t pl__pipe_end_send(pl__completion *c, pl__packet *packet, int64_t result)
{
    PL__UNUSED(packet);
    if (is_end(result))
        return PL_ECONNRESET;
    if (result != PL_ECANCELED)
        return result;
    return c->state == PL__CANCELLING ? PL_EBROKEN : PL_ECONNABORTED;
}

/* --- Pairs -------------------------------------------------------------------------------------------------------- */

/* A name that nobody else has. */
static void name_pair(WCHAR name[PAIR_NAME_SIZE])
{
    static pl__atomic_i64 last;
    LARGE_INTEGER ticks;
    QueryPerformanceCounter(&ticks);
    const uint64_t parts[] = {GetCurrentProcessId(), (uint64_t)pl__atomic_i64_add(&last, 1), (uint64_t)ticks.QuadPart};
    static const WCHAR prefix[] = L"\\\\.\\pipe\\proloop", digits[] = L"0123456789abcdef";
    size_t length = PL__COUNT_OF(prefix) - 1;
    CopyMemory(name, prefix, sizeof prefix);
    for (size_t i = 0; i < PL__COUNT_OF(parts); i++) {
        name[length++] = L'-';
        for (int shift = 60; shift >= 0; shift -= 4)
            name[length++] = digits[parts[i] >> shift & 15];
    }
    name[length] = 0;
    PL__CHECK(length < PAIR_NAME_SIZE);
}

static HANDLE open_pair_server(const WCHAR *name, bool writes)
{
    return CreateNamedPipeW(name,
                            (writes ? PIPE_ACCESS_OUTBOUND : PIPE_ACCESS_INBOUND) | FILE_FLAG_OVERLAPPED |
                                FILE_FLAG_FIRST_PIPE_INSTANCE,
                            PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1,
                            BUFFER_SIZE, BUFFER_SIZE, 0, NULL);
}

/* The right to the attributes lets a child ask for the state of its end, as of an anonymous pipe. */
static HANDLE open_pair_client(const WCHAR *name, bool writes, bool overlapped)
{
    DWORD access = writes ? GENERIC_WRITE | FILE_READ_ATTRIBUTES : GENERIC_READ | FILE_WRITE_ATTRIBUTES;
    return CreateFileW(name, access, 0, NULL, OPEN_EXISTING,
                       SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS | (overlapped ? FILE_FLAG_OVERLAPPED : 0), NULL);
}

static void fill(pl__handle *handle, HANDLE object, uint8_t traits)
{
    PL__CHECK(handle->object == PL__NO_OBJECT);
    pl__handle_init(handle);
    handle->object = (uintptr_t)object;
    handle->type = PL__PIPE;
    handle->traits = traits;
}

/* The server's end is ours. ERROR_SUCCESS, or why not. */
static DWORD open_pair(pl__request *request)
{
    bool writes = (request->flags & PL__PIPE_WRITE) != 0;
    WCHAR name[PAIR_NAME_SIZE];
    name_pair(name);
    HANDLE server = open_pair_server(name, writes);
    if (server == INVALID_HANDLE_VALUE)
        return GetLastError();
    HANDLE client = open_pair_client(name, !writes, (request->flags & PL__PIPE_STREAMS) != 0);
    if (client == INVALID_HANDLE_VALUE) {
        DWORD error = GetLastError();
        CloseHandle(server);
        return error;
    }
    fill(request->handle, server, writes ? PL__WRITE_ONLY : PL__READ_ONLY);
    fill(request->other, client, writes ? PL__READ_ONLY : PL__WRITE_ONLY);
    return ERROR_SUCCESS;
}

static int make_pair(pl__request *request)
{
    DWORD error = ERROR_SUCCESS;
    for (int i = 0; i < PAIR_TRIES; i++) {
        error = open_pair(request);
        if (error != ERROR_ACCESS_DENIED && error != ERROR_PIPE_BUSY) /* else somebody was at that name */
            break;
    }
    request->system_error = (int32_t)error;
    return pl__error_from_win32(error);
}

/* --- Control ------------------------------------------------------------------------------------------------------ */

/* What sets a pipe apart stays in its handle, as its stream still asks. */
static int close_pipe(pl__request *request)
{
    pl__handle *handle = request->handle;
    PL__CHECK(handle->object != PL__NO_OBJECT && handle->in_flight == 0 && !handle->attached);
    HANDLE object = object_of(handle);
    handle->object = PL__NO_OBJECT;
    if (CloseHandle(object))
        return PL_OK;
    request->system_error = (int32_t)GetLastError();
    return pl__error_from_win32((DWORD)request->system_error);
}

int pl__pipe_control(pl__request *request)
{
    switch (request->kind) {
    case PL__REQUEST_PIPE_PAIR:
        return make_pair(request);
    case PL__REQUEST_HANDLE_CLOSE:
        return close_pipe(request);
    default:
        return PL_ENOTSUP;
    }
}
