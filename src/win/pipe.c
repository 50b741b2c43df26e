/* pipe.c: pipes, which are named ones here throughout: the anonymous pipes of Windows cannot be overlapped.
 *
 * A listener is a name, not a handle. Each accept makes an *instance* of the pipe of that name, which waits for its
 * client and then is the server's end of the connection. The first instance of a name must be the first one of the
 * system (FILE_FLAG_FIRST_PIPE_INSTANCE), else somebody else serves there; and it must stay, or else somebody else
 * could take the name while no accept is under way. So it is made when the listening begins, connected to a client of
 * our own, which makes it useless to others, and kept: it *guards* the name. The name's access rights are its own.
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

#include <sddl.h>
#include <string.h>

#include "../allocator.h"
#include "../atomic.h"
#include "../buffer_pool.h"
#include "../pipe.h"
#include "../worker_pool.h"

enum {
    BUFFER_SIZE = 64 << 10, /* what a pipe holds before a writer waits */
    WRITE_LIMIT = 64 << 10, /* bytes per call, unless they are one message: the system copies them */
    NAME_TRIES = 8,
    NAME_SIZE = 257, /* code units of a pipe's whole name, and its NUL */
    SDDL_SIZE = 320,
    SID_TEXT_SIZE = PL_USER_TEXT_SIZE
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

static void fill(pl__handle *handle, HANDLE object, uint8_t traits)
{
    PL__CHECK(handle->object == PL__NO_OBJECT);
    pl__handle_init(handle);
    handle->object = (uintptr_t)object;
    handle->type = PL__PIPE;
    handle->traits = traits;
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
static void name_pair(WCHAR name[NAME_SIZE])
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
    PL__CHECK(length < NAME_SIZE);
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

/* The server's end is ours. ERROR_SUCCESS, or why not. */
static DWORD open_pair(pl__request *request)
{
    bool writes = (request->flags & PL__PIPE_WRITE) != 0;
    WCHAR name[NAME_SIZE];
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
    for (int i = 0; i < NAME_TRIES; i++) {
        error = open_pair(request);
        if (error != ERROR_ACCESS_DENIED && error != ERROR_PIPE_BUSY) /* else somebody was at that name */
            break;
    }
    request->system_error = (int32_t)error;
    return pl__error_from_win32(error);
}

/* --- Names -------------------------------------------------------------------------------------------------------- */

/* The whole name, in UTF-16. ERROR_SUCCESS, or why not. */
static DWORD name_of(const char *utf8, WCHAR name[NAME_SIZE])
{
    static const WCHAR prefix[] = L"\\\\.\\pipe\\";
    size_t length = 0;
    if (!strpbrk(utf8, "/\\")) {
        CopyMemory(name, prefix, sizeof prefix);
        length = PL__COUNT_OF(prefix) - 1;
    }
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, utf8, -1, name + length, (int)(NAME_SIZE - length)) > 0)
        return ERROR_SUCCESS;
    return GetLastError() == ERROR_INSUFFICIENT_BUFFER ? ERROR_FILENAME_EXCED_RANGE : GetLastError();
}

/* --- Who may connect ---------------------------------------------------------------------------------------------- */

/* A token's user: a TOKEN_USER, and room for the SID it points to. */
typedef union token_user {
    TOKEN_USER user;
    char space[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
} token_user;

static bool find_user(HANDLE token, token_user *user)
{
    DWORD size = sizeof *user;
    return GetTokenInformation(token, TokenUser, user, size, &size) != 0;
}

/* False: GetLastError says why. */
static bool find_user_of_process(HANDLE process, token_user *user)
{
    HANDLE token;
    if (!OpenProcessToken(process, TOKEN_QUERY, &token))
        return false;
    bool found = find_user(token, user);
    DWORD error = GetLastError();
    CloseHandle(token);
    SetLastError(error);
    return found;
}

static bool sid_text(PSID sid, char text[SID_TEXT_SIZE])
{
    char *allocated;
    if (!ConvertSidToStringSidA(sid, &allocated))
        return false;
    bool fits = strlen(allocated) < SID_TEXT_SIZE;
    if (fits)
        memcpy(text, allocated, strlen(allocated) + 1);
    LocalFree(allocated);
    return fits;
}

/* All rights for this process's user, administrators and the system; nobody else, and nothing inherited. */
static bool default_access(char sddl[SDDL_SIZE])
{
    static const char rights[] = "D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;";
    token_user user;
    char sid[SID_TEXT_SIZE];
    if (!find_user_of_process(GetCurrentProcess(), &user) || !sid_text(user.user.User.Sid, sid))
        return false;
    memcpy(sddl, rights, sizeof rights);
    memcpy(sddl + sizeof rights - 1, sid, strlen(sid) + 1);
    memcpy(sddl + strlen(sddl), ")", 2);
    return true;
}

PL__STATIC_ASSERT((int)SDDL_SIZE > (int)SID_TEXT_SIZE + 64, "room for the rights and a SID");

/* Of the text, or of the default. Freed by LocalFree. */
static DWORD make_access(const char *sddl, PSECURITY_DESCRIPTOR *access)
{
    char text[SDDL_SIZE];
    if (!sddl && !default_access(text))
        return GetLastError();
    if (ConvertStringSecurityDescriptorToSecurityDescriptorA(sddl ? sddl : text, SDDL_REVISION_1, access, NULL))
        return ERROR_SUCCESS;
    return sddl ? ERROR_INVALID_PARAMETER : GetLastError();
}

/* --- Listening ---------------------------------------------------------------------------------------------------- */

/* The object of a PL__PIPE_LISTENER. */
typedef struct listening {
    WCHAR name[NAME_SIZE];
    PSECURITY_DESCRIPTOR access;
    HANDLE guard;        /* the first instance */
    HANDLE guard_client; /* what it is connected to */
    HANDLE port;         /* for those to come */
    ULONG_PTR key;
    bool messages;
} listening;

static listening *listening_of(const pl__handle *handle)
{
    PL__CHECK(handle->type == PL__PIPE_LISTENER && handle->object != PL__NO_OBJECT);
    return (listening *)handle->object;
}

static HANDLE open_instance(const listening *self, DWORD first)
{
    const DWORD type = self->messages ? PIPE_TYPE_MESSAGE | PIPE_READMODE_MESSAGE : PIPE_TYPE_BYTE | PIPE_READMODE_BYTE;
    SECURITY_ATTRIBUTES attributes = {.nLength = sizeof attributes, .lpSecurityDescriptor = self->access};
    return CreateNamedPipeW(self->name, PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | first,
                            type | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, PIPE_UNLIMITED_INSTANCES, BUFFER_SIZE,
                            BUFFER_SIZE, 0, &attributes);
}

/* What a refused first instance means: as a rule that the name is taken. */
static DWORD why_refused(const listening *self, DWORD error)
{
    if (error != ERROR_ACCESS_DENIED && error != ERROR_PIPE_BUSY)
        return error;
    if (WaitNamedPipeW(self->name, 1) || GetLastError() != ERROR_FILE_NOT_FOUND)
        return WSAEADDRINUSE;
    return error;
}

/* ERROR_PIPE_BUSY: somebody connected to the guard before we could. */
static DWORD open_guard(listening *self)
{
    self->guard = open_instance(self, FILE_FLAG_FIRST_PIPE_INSTANCE);
    if (self->guard == INVALID_HANDLE_VALUE)
        return why_refused(self, GetLastError());
    self->guard_client = CreateFileW(self->name, GENERIC_READ | GENERIC_WRITE, 0, NULL, OPEN_EXISTING,
                                     FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_ANONYMOUS, NULL);
    if (self->guard_client != INVALID_HANDLE_VALUE)
        return ERROR_SUCCESS;
    DWORD error = GetLastError();
    CloseHandle(self->guard);
    return error;
}

static DWORD open_name(listening *self, const pl__request *request)
{
    self->messages = (request->flags & PL__PIPE_MESSAGES) != 0;
    DWORD error = name_of(request->name, self->name);
    if (error == ERROR_SUCCESS)
        error = make_access(request->access, &self->access);
    if (error != ERROR_SUCCESS)
        return error;
    for (int i = 0; i < NAME_TRIES; i++) {
        error = open_guard(self);
        if (error != ERROR_PIPE_BUSY)
            break;
    }
    return error;
}

static void listening_free(listening *self)
{
    if (self->access)
        LocalFree(self->access);
    pl__release(self, sizeof *self);
}

static int request_failed(pl__request *request, DWORD error)
{
    request->system_error = (int32_t)error;
    return pl__error_from_win32(error);
}

static int listen_at(pl__request *request)
{
    pl__handle *handle = request->handle;
    PL__CHECK(handle->object == PL__NO_OBJECT);
    listening *self = pl__allocate_zeroed(sizeof *self);
    if (!self)
        return PL_ENOMEM;
    DWORD error = open_name(self, request);
    if (error != ERROR_SUCCESS) {
        listening_free(self);
        return request_failed(request, error);
    }
    pl__handle_init(handle);
    handle->object = (uintptr_t)self;
    handle->type = PL__PIPE_LISTENER;
    handle->traits = (uint8_t)(PL__NAMED | PL__NO_HALF_CLOSE | (self->messages ? PL__MESSAGES : 0));
    return PL_OK;
}

static int close_listener(pl__request *request)
{
    listening *self = listening_of(request->handle);
    PL__CHECK(request->handle->in_flight == 0 && !request->handle->attached);
    request->handle->object = PL__NO_OBJECT;
    CloseHandle(self->guard);
    CloseHandle(self->guard_client);
    listening_free(self);
    return PL_OK;
}

void pl__pipe_listener_attach(pl__handle *handle, HANDLE port, ULONG_PTR key)
{
    listening *self = listening_of(handle);
    self->port = port;
    self->key = key;
    handle->attached = true;
    handle->flags = 0;
}

/* --- Accept ------------------------------------------------------------------------------------------------------- */

/* A client that came between the two calls is there: ERROR_PIPE_CONNECTED. One that came and left: ERROR_NO_DATA. */
bool pl__pipe_begin_accept(pl__completion *c, pl__packet *packet)
{
    const listening *self = listening_of(c->handle);
    PL__CHECK(c->as.accept.accepted->object == PL__NO_OBJECT);
    PL__CHECK(packet->accepted == INVALID_SOCKET);
    HANDLE instance = open_instance(self, 0);
    if (instance == INVALID_HANDLE_VALUE)
        return ended(packet, pl__packet_failed(packet, GetLastError()));
    packet->accepted = (SOCKET)instance;
    if (!CreateIoCompletionPort(instance, self->port, self->key, 0))
        return ended(packet, pl__packet_failed(packet, GetLastError()));
    bool connected = ConnectNamedPipe(instance, &packet->overlapped) != 0;
    if (!connected && GetLastError() == ERROR_PIPE_CONNECTED)
        return ended(packet, 0);
    return pl__packet_follows(c->handle, packet, connected, 0);
}

int64_t pl__pipe_end_accept(pl__completion *c, pl__packet *packet, int64_t result)
{
    HANDLE instance = (HANDLE)packet->accepted;
    packet->accepted = INVALID_SOCKET;
    if (result >= 0) {
        fill(c->as.accept.accepted, instance, c->handle->traits);
        c->as.accept.accepted->flags = PL__ASSOCIATED;
        *c->as.accept.peer = (pl_address){.family = 0};
        return 0;
    }
    if (instance != INVALID_HANDLE_VALUE)
        CloseHandle(instance);
    return is_end(result) ? PL__AGAIN : result; /* that client has left; the next one will do */
}

bool pl__pipe_cancel_accept(pl__completion *c, pl__packet *packet)
{
    PL__UNUSED(c);
    (void)CancelIoEx((HANDLE)packet->accepted, &packet->overlapped);
    return false;
}

/* --- Connect ------------------------------------------------------------------------------------------------------ */

/* Both ways; or the one way that the server offers. */
static HANDLE open_client(const WCHAR *name, bool impersonate, uint8_t *traits)
{
    static const struct {
        DWORD access;
        uint8_t traits;
    } ways[] = {{GENERIC_READ | GENERIC_WRITE, PL__NO_HALF_CLOSE},
                {GENERIC_READ | FILE_WRITE_ATTRIBUTES, PL__READ_ONLY},
                {GENERIC_WRITE | FILE_READ_ATTRIBUTES, PL__WRITE_ONLY}};
    DWORD flags = FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT;
    flags |= impersonate ? SECURITY_IMPERSONATION : SECURITY_IDENTIFICATION;
    HANDLE object = INVALID_HANDLE_VALUE;
    for (size_t i = 0; i < PL__COUNT_OF(ways); i++) {
        object = CreateFileW(name, ways[i].access, 0, NULL, OPEN_EXISTING, flags, NULL);
        *traits = (uint8_t)(PL__NAMED | ways[i].traits);
        if (object != INVALID_HANDLE_VALUE || GetLastError() != ERROR_ACCESS_DENIED)
            break;
    }
    return object;
}

/* Whether it is a pipe at all, and one that keeps messages if those are asked for. */
static DWORD prepare_client(HANDLE object, bool messages)
{
    DWORD flags, mode = PIPE_READMODE_MESSAGE;
    if (GetFileType(object) != FILE_TYPE_PIPE)
        return ERROR_INVALID_PARAMETER;
    if (!messages)
        return ERROR_SUCCESS;
    if (!GetNamedPipeInfo(object, &flags, NULL, NULL, NULL))
        return GetLastError();
    if (!(flags & PIPE_TYPE_MESSAGE))
        return ERROR_NOT_SUPPORTED;
    return SetNamedPipeHandleState(object, &mode, NULL, NULL) ? ERROR_SUCCESS : GetLastError();
}

static DWORD open_named(pl__job *job)
{
    WCHAR name[NAME_SIZE];
    uint8_t traits;
    bool messages = job->as.pipe_open.messages;
    DWORD error = name_of(job->as.pipe_open.name, name);
    if (error != ERROR_SUCCESS)
        return error;
    HANDLE object = open_client(name, job->as.pipe_open.impersonate, &traits);
    if (object == INVALID_HANDLE_VALUE)
        return GetLastError();
    error = prepare_client(object, messages);
    if (error == ERROR_SUCCESS)
        fill(&job->as.pipe_open.opened, object, (uint8_t)(traits | (messages ? PL__MESSAGES : 0)));
    else
        CloseHandle(object);
    return error;
}

/* ERROR_PIPE_BUSY, no instance waits for a client, is PL_EBUSY. */
int64_t pl__run_pipe_open(pl__job *job)
{
    DWORD error = open_named(job);
    if (error == ERROR_SUCCESS)
        return 0;
    job->system_error = (int32_t)error;
    int result = pl__error_from_win32(error);
    return result == PL_ECANCELED ? PL_EIO : result; /* nobody here cancels */
}

void pl__pipe_close_opened(pl__job *job)
{
    CloseHandle(object_of(&job->as.pipe_open.opened));
    pl__handle_init(&job->as.pipe_open.opened);
}

/* --- Peers -------------------------------------------------------------------------------------------------------- */

/* The user by whom the client was opened, in the system's own words. It may not have said anything yet, or not want to
 * be seen: then its process must do. */
static bool find_user_of_client(HANDLE pipe, token_user *user)
{
    HANDLE token;
    if (!ImpersonateNamedPipeClient(pipe))
        return false;
    bool opened = OpenThreadToken(GetCurrentThread(), TOKEN_QUERY, TRUE, &token) != 0;
    if (!RevertToSelf())
        PL__PANIC("RevertToSelf: %lu",
                  (unsigned long)GetLastError()); /* whatever came next would be done as the client */
    bool found = opened && find_user(token, user);
    if (opened)
        CloseHandle(token);
    return found;
}

static bool find_user_by_id(ULONG id, token_user *user)
{
    HANDLE process = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, FALSE, id);
    bool found = process && find_user_of_process(process, user);
    if (process)
        CloseHandle(process);
    return found;
}

/* Whom it may not see it leaves unknown. */
static void describe_user(HANDLE pipe, bool server, ULONG id, pl_peer_identity *identity)
{
    token_user user, own;
    if (!(server && find_user_of_client(pipe, &user)) && !find_user_by_id(id, &user))
        return;
    if (!sid_text(user.user.User.Sid, identity->user_text))
        identity->user_text[0] = 0;
    identity->same_user =
        find_user_of_process(GetCurrentProcess(), &own) && EqualSid(user.user.User.Sid, own.user.User.Sid);
}

static int find_peer(pl__request *request)
{
    HANDLE pipe = object_of(request->handle);
    DWORD flags;
    ULONG id;
    if (!GetNamedPipeInfo(pipe, &flags, NULL, NULL, NULL))
        return request_failed(request, GetLastError());
    bool server = (flags & PIPE_SERVER_END) != 0;
    if (!(server ? GetNamedPipeClientProcessId(pipe, &id) : GetNamedPipeServerProcessId(pipe, &id)))
        return request_failed(request, GetLastError());
    request->identity->process = id;
    describe_user(pipe, server, id, request->identity);
    return PL_OK;
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
    case PL__REQUEST_PIPE_LISTEN:
        return listen_at(request);
    case PL__REQUEST_PIPE_PEER:
        return find_peer(request);
    case PL__REQUEST_HANDLE_CLOSE:
        return request->handle->type == PL__PIPE_LISTENER ? close_listener(request) : close_pipe(request);
    default:
        return PL_ENOTSUP;
    }
}
