/* poll.c: what somebody else's socket is ready for.
 *
 * A socket can have one port only, and its owner may have given it one; so nothing is done to the socket itself.
 * The sockets' driver is asked about it (IOCTL_AFD_POLL, what select is made of) by a handle to the driver that
 * is our own and attached to our port: the request ends as soon as one of the events is so. The driver knows the
 * sockets that it made. What other providers have put around one is taken off first: the base handle.
 *
 * A socket that its owner closes meanwhile ends the request (LOCAL_CLOSE).
 */
#include "system.h"

#include <winternl.h>

#include <string.h>

#include <proloop/poll.h>

#define IOCTL_AFD_POLL 0x00012024

/* What the driver tells of a socket. */
enum {
    RECEIVE = 0x0001,
    RECEIVE_EXPEDITED = 0x0002,
    SEND = 0x0004,
    DISCONNECT = 0x0008, /* the peer sends no more */
    ABORT = 0x0010,
    LOCAL_CLOSE = 0x0020,
    ACCEPT = 0x0080,
    CONNECT_FAIL = 0x0100
};

/* The driver's own struct. */
typedef struct poll_request {
    LARGE_INTEGER timeout;
    ULONG count;
    ULONG exclusive;
    struct {
        HANDLE socket;
        ULONG events;
        LONG status;
    } sockets[1];
} poll_request;

PL__STATIC_ASSERT(sizeof(poll_request) <= sizeof(((pl__completion *)0)->as.poll.space), "no room for the request");

/* What each of our events is to the driver. After an abort or a failed connect no call waits: they count for all. */
static const struct {
    uint32_t event;
    ULONG bits;
} events_of_driver[] = {{PL_POLL_READABLE, RECEIVE | ACCEPT | DISCONNECT},
                        {PL_POLL_WRITABLE, SEND},
                        {PL_POLL_PRIORITY, RECEIVE_EXPEDITED},
                        {PL_POLL_HANGUP, DISCONNECT}};

static poll_request *request_of(pl__completion *c)
{
    return (poll_request *)(void *)c->as.poll.space;
}

/* --- The driver ----------------------------------------------------------------------------------------------------- */

/* Opened without a family it is no socket, but a way to ask about others. */
static NTSTATUS open_driver(HANDLE *driver)
{
    static WCHAR name[] = L"\\Device\\Afd\\Proloop";
    UNICODE_STRING path = {sizeof name - sizeof name[0], sizeof name, name};
    OBJECT_ATTRIBUTES attributes = {.Length = sizeof attributes, .ObjectName = &path};
    IO_STATUS_BLOCK status;
    return NtCreateFile(driver, SYNCHRONIZE, &attributes, &status, NULL, 0, FILE_SHARE_READ | FILE_SHARE_WRITE,
                        FILE_OPEN, 0, NULL, 0);
}

/* PL_OK, with the handle in `foreign`. */
static int need_driver(pl__foreign *foreign, pl__packet *packet)
{
    HANDLE driver;
    if (foreign->afd)
        return PL_OK;
    NTSTATUS status = open_driver(&driver);
    if (status < 0) {
        packet->system_error = status;
        return pl__error_from_ntstatus(status);
    }
    if (!CreateIoCompletionPort(driver, foreign->port, foreign->key, 0)) {
        int result = (int)pl__packet_failed(packet, GetLastError());
        CloseHandle(driver);
        return result;
    }
    (void)SetFileCompletionNotificationModes(driver, FILE_SKIP_SET_EVENT_ON_HANDLE); /* else slower, no more */
    foreign->afd = driver;
    return PL_OK;
}

void pl__poll_end(pl__foreign *foreign)
{
    if (foreign->afd)
        CloseHandle(foreign->afd);
    foreign->afd = NULL;
}

/* --- The socket ----------------------------------------------------------------------------------------------------- */

static SOCKET ask_socket(SOCKET object, DWORD question)
{
    SOCKET answer;
    DWORD bytes;
    if (WSAIoctl(object, question, NULL, 0, &answer, sizeof answer, &bytes, NULL, NULL) != 0)
        return INVALID_SOCKET;
    return answer;
}

/* Some providers refuse to say what lies beneath them all, but not what they poll with, which is nearer to it.
 * INVALID_SOCKET: the reason is in WSAGetLastError. */
static SOCKET base_of(SOCKET object)
{
    for (;;) {
        SOCKET base = ask_socket(object, SIO_BASE_HANDLE);
        if (base != INVALID_SOCKET)
            return base;
        DWORD error = (DWORD)WSAGetLastError();
        SOCKET nearer = error == WSAENOTSOCK ? INVALID_SOCKET : ask_socket(object, SIO_BSP_HANDLE_POLL);
        if (nearer == INVALID_SOCKET || nearer == object) {
            WSASetLastError((int)error);
            return INVALID_SOCKET;
        }
        object = nearer;
    }
}

/* A watch remembers the base. */
int pl__watch_control(pl__request *request)
{
    if (request->kind == PL__REQUEST_WATCH_CLOSE) {
        PL__CHECK(request->handle->in_flight == 0 && request->handle->object != PL__NO_OBJECT);
        pl__handle_init(request->handle);
        return PL_OK;
    }
    SOCKET base = base_of((SOCKET)request->value);
    if (base == INVALID_SOCKET) {
        request->system_error = WSAGetLastError();
        return pl__error_from_win32((DWORD)request->system_error);
    }
    pl__handle_init(request->handle);
    request->handle->object = base;
    request->handle->attached = true; /* as far as it can be */
    return PL_OK;
}

/* --- Poll ----------------------------------------------------------------------------------------------------------- */

static ULONG wanted(uint32_t events)
{
    ULONG bits = ABORT | LOCAL_CLOSE | CONNECT_FAIL;
    for (size_t i = 0; i < PL__COUNT_OF(events_of_driver); i++) {
        if (events & events_of_driver[i].event)
            bits |= events_of_driver[i].bits;
    }
    return bits;
}

static uint32_t happened(uint32_t events, ULONG bits)
{
    uint32_t result = bits & CONNECT_FAIL ? PL_POLL_ERROR : 0;
    for (size_t i = 0; i < PL__COUNT_OF(events_of_driver); i++) {
        if (bits & (events_of_driver[i].bits | ABORT | CONNECT_FAIL))
            result |= events_of_driver[i].event & events;
    }
    return bits & ABORT ? result | PL_POLL_HANGUP : result;
}

bool pl__begin_poll(pl__completion *c, pl__packet *packet)
{
    packet->result = need_driver(packet->foreign, packet);
    if (packet->result < 0)
        return false;
    SOCKET base = c->handle ? (SOCKET)c->handle->object : base_of((SOCKET)c->as.poll.object);
    if (base == INVALID_SOCKET) {
        packet->result = pl__packet_failed(packet, (DWORD)WSAGetLastError());
        return false;
    }
    poll_request *request = request_of(c);
    *request = (poll_request){.timeout = {.QuadPart = INT64_MAX}, .count = 1};
    request->sockets[0].socket = (HANDLE)base;
    request->sockets[0].events = wanted(c->as.poll.events);
    packet->overlapped.Internal = (ULONG_PTR)STATUS_PENDING;
    NTSTATUS status = NtDeviceIoControlFile(packet->foreign->afd, NULL, NULL, &packet->overlapped,
                                            (IO_STATUS_BLOCK *)(void *)&packet->overlapped.Internal, IOCTL_AFD_POLL,
                                            request, sizeof *request, request, sizeof *request);
    if (status >= 0) /* a success sends its packet, too */
        return true;
    packet->system_error = status;
    packet->result = pl__error_from_ntstatus(status);
    return false;
}

int64_t pl__end_poll(pl__completion *c, pl__packet *packet, int64_t result)
{
    PL__UNUSED(packet);
    const poll_request *request = request_of(c);
    if (result < 0)
        return result;
    if (request->count == 0)
        return PL__AGAIN;
    if (request->sockets[0].events & LOCAL_CLOSE)
        return PL_EBADF;
    uint32_t events = happened(c->as.poll.events, request->sockets[0].events);
    return events != 0 ? (int64_t)events : PL__AGAIN;
}

bool pl__cancel_poll(pl__completion *c, pl__packet *packet)
{
    PL__UNUSED(c);
    (void)CancelIoEx(packet->foreign->afd, &packet->overlapped); /* finds it, or its packet is on its way */
    return false;
}
