/* system.h: what the files of src/win share: the system's headers, and how the proactor (iocp.c) and the
 * sockets (tcp.c) divide the work.
 *
 * iocp.c owns the completion port and the life of every completion; it knows nothing of sockets. Each kind
 * that the system itself can carry out is a pair of functions in tcp.c, or, of a pipe, in pipe.c:
 *
 *     begin   makes the system's request. True: a packet for it will come. False: it ended at once,
 * packet->result. end     makes the completion's result of how the request ended; or PL__AGAIN: it takes one
 * more request.
 *
 * Between the two lies a pl__packet, kept in the completion: the OVERLAPPED that the kernel owns meanwhile,
 * and the little that must be remembered with it.
 */
#ifndef PL__WIN_SYSTEM_H
#define PL__WIN_SYSTEM_H

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#include <winsock2.h>
#include <ws2tcpip.h>
#include <mswsock.h>
#include <mstcpip.h>
#include <windows.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../clock.h"
#include "../proactor.h"

/* What some compilers' headers lack. */
#if !defined(FILE_SKIP_COMPLETION_PORT_ON_SUCCESS)
#define FILE_SKIP_COMPLETION_PORT_ON_SUCCESS 1
#define FILE_SKIP_SET_EVENT_ON_HANDLE        2
#endif
#if defined(__WINE_WINBASE_H)
NTSYSAPI USHORT WINAPI RtlCaptureStackBackTrace(ULONG, ULONG, PVOID *, PULONG);
#endif
#if !defined(SIO_BASE_HANDLE)
#define SIO_BASE_HANDLE 0x48000022
#endif
#if !defined(SIO_BSP_HANDLE_POLL)
#define SIO_BSP_HANDLE_POLL 0x4800001D
#endif
#if !defined(IsReparseTagNameSurrogate)
#define IsReparseTagNameSurrogate(tag) (((tag)&0x20000000) != 0)
#endif
#if !defined(SIO_TCP_INITIAL_RTO)
#define SIO_TCP_INITIAL_RTO             _WSAIOW(IOC_VENDOR, 17)
#define TCP_INITIAL_RTO_UNSPECIFIED_RTT UINT16_MAX
typedef struct _TCP_INITIAL_RTO_PARAMETERS {
    USHORT Rtt;
    UCHAR MaxSynRetransmissions;
} TCP_INITIAL_RTO_PARAMETERS;
#endif
#if !defined(TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS)
#define TCP_INITIAL_RTO_NO_SYN_RETRANSMISSIONS (UINT8_MAX - 1)
#endif

struct _OBJECT_ATTRIBUTES;
typedef LONG NTAPI pl__create_packet_fn(HANDLE *packet, ACCESS_MASK access, struct _OBJECT_ATTRIBUTES *attributes);
typedef LONG NTAPI pl__associate_packet_fn(HANDLE packet, HANDLE port, HANDLE object, void *key, void *context,
                                           LONG status, ULONG_PTR information, BOOLEAN *signalled_already);
typedef LONG NTAPI pl__cancel_packet_fn(HANDLE packet, BOOLEAN remove_signalled);

/* The kernel's wait completion packets; NULL: it has none. */
typedef struct pl__wait_packets {
    bool looked;
    pl__create_packet_fn *create;
    pl__associate_packet_fn *associate;
    pl__cancel_packet_fn *cancel;
} pl__wait_packets;

/* What waiting for other people's objects needs of a proactor: poll.c, wait.c. */
typedef struct pl__foreign {
    HANDLE port;
    uintptr_t key; /* of the packets of requests */
    HANDLE afd;    /* to ask the sockets' driver by; NULL: not opened yet */
    pl__wait_packets packets;
    pl__list waits;      /* the WAIT completions under way */
    pl__atomic_u32 lost; /* of them, those whose packet could not be posted */
} pl__foreign;

typedef struct pl__packet {
    OVERLAPPED overlapped;
    pl__foreign *foreign; /* of the proactor that has the completion */
    int64_t result;       /* of a request that ended at once */
    SOCKET accepted;      /* ACCEPT: the socket, or the end of a pipe, that is being made */
    int32_t system_error; /* behind a negative result */
    bool at_once;         /* a datagram kind: `result` is the completion's own, no request was made */
    bool repeated;        /* an abort that nobody asked for was answered by asking again */
    bool waiting;         /* RECEIVE of a pipe: the request is of no bytes, and only waits for some */
} pl__packet;

PL__STATIC_ASSERT(sizeof(pl__packet) <= sizeof(((pl__completion *)0)->system), "a packet does not fit");

/* What `end` says when one more request is needed; no result is as small. */
#define PL__AGAIN INT64_MIN

/* pl__handle.flags */
enum {
    PL__SKIPS_PACKETS = 1, /* a request that succeeds at once sends no packet */
    PL__LIKELY_MORE = 2,   /* the last pooled receive filled its buffer */
    PL__ASSOCIATED = 4     /* it has the port already: an end of a pipe, which had to wait for its client */
};

/* Whether a packet is on its way for the request just made: `accepted` is what the call returned, `bytes`
 * what it moved if it succeeded at once. If none is, packet->result is set. */
bool pl__packet_follows(const pl__handle *handle, pl__packet *packet, bool accepted, DWORD bytes);

/* Notes the system's code (a Win32 or Winsock one) and returns ours. */
int64_t pl__packet_failed(pl__packet *packet, DWORD error);

#define PL__DECLARE_VERB_WORKER(name)
#define PL__DECLARE_VERB_SYSTEM(name)                                                                                  \
    bool pl__begin_##name(pl__completion *completion, pl__packet *packet);                                             \
    int64_t pl__end_##name(pl__completion *completion, pl__packet *packet, int64_t result);
#define PL__DECLARE_VERB(NAME, name, who, cancel) PL__DECLARE_VERB_##who(name)
PL__OPERATIONS(PL__DECLARE_VERB)
#undef PL__DECLARE_VERB
#undef PL__DECLARE_VERB_SYSTEM
#undef PL__DECLARE_VERB_WORKER

/* For kinds that CancelIoEx does not end. True: no packet will come, and nothing has happened. */
bool pl__cancel_poll(pl__completion *completion, pl__packet *packet);
bool pl__cancel_wait(pl__completion *completion, pl__packet *packet);

/* poll.c */
int pl__watch_control(pl__request *request); /* the WATCH_ requests */
void pl__poll_end(pl__foreign *foreign);     /* with nothing under way */

/* wait.c: the next of the waits whose packet was lost; it counts as come. NULL: there is none. */
OVERLAPPED *pl__wait_take_lost(pl__foreign *foreign);

/* relay.c: the packets that it has taken and keeps are given by take and stop, which return how many; ready(context) is
 * called, once each time that it was armed, when there are some. */
enum { PL__RELAY_PACKETS = 16 };
typedef struct pl__relay pl__relay;
int pl__relay_start(pl__relay **relay, HANDLE port, ULONG_PTR stop_key, void (*ready)(void *context), void *context);
void pl__relay_arm(pl__relay *relay);
ULONG pl__relay_take(pl__relay *relay, OVERLAPPED_ENTRY packets[PL__RELAY_PACKETS]);
ULONG pl__relay_stop(pl__relay *relay, OVERLAPPED_ENTRY packets[PL__RELAY_PACKETS]);

/* iocp.c */
extern const pl__proactor_class pl__iocp;

/* pipe.c: the verbs of a PL__PIPE */
bool pl__pipe_begin_receive(pl__completion *completion, pl__packet *packet);
int64_t pl__pipe_end_receive(pl__completion *completion, pl__packet *packet, int64_t result);
bool pl__pipe_begin_send(pl__completion *completion, pl__packet *packet);
int64_t pl__pipe_end_send(pl__completion *completion, pl__packet *packet, int64_t result);
int pl__pipe_control(pl__request *request); /* the PIPE_ requests, and HANDLE_CLOSE of a pipe or its listener */

/* pipe.c: the verbs of a PL__PIPE_LISTENER, whose object is no HANDLE: the pipes it makes have the port */
void pl__pipe_listener_attach(pl__handle *handle, HANDLE port, ULONG_PTR key);
bool pl__pipe_begin_accept(pl__completion *completion, pl__packet *packet);
int64_t pl__pipe_end_accept(pl__completion *completion, pl__packet *packet, int64_t result);
bool pl__pipe_cancel_accept(pl__completion *completion, pl__packet *packet);

/* tcp.c */
int pl__winsock_start(void);                  /* once per process, by whoever comes first; PL_OK or why not */
bool pl__winsock_skips(uint8_t family);       /* a success at once may do without its packet */
int pl__socket_control(pl__request *request); /* the SOCKET_ requests and HANDLE_CLOSE */

/* udp.c */
int pl__datagram_control(pl__request *request); /* the DATAGRAM_ requests */

/* error.c */
int pl__error_from_win32(DWORD error); /* Win32 and Winsock codes, the resolver's included */
int pl__error_from_ntstatus(int32_t status);

/* address.c */
int pl__address_to_system(const pl_address *address, SOCKADDR_INET *system); /* its length; 0: no address */
void pl__address_from_system(pl_address *address, const SOCKADDR *system);

/* interrupt.c */
int pl__interrupt_install(void);                    /* the console handler, which stays */
int pl__interrupt_watch(pl__proactor *proactor);    /* PL_EBUSY: another proactor watches */
void pl__interrupt_unwatch(pl__proactor *proactor); /* no matter whether it watches */

#endif
