/* wait.c: waiting for somebody else's HANDLE: a process, thread, event, semaphore, timer, console input.
 *
 * The kernel can make a packet of a signal itself (a wait completion packet, since Windows 8; the calls are found
 * at run time): it comes, or a cancel that succeeds says that it never will. Nothing in between, and no signal of
 * an auto-reset event is lost.
 *
 * Without that a thread of the system's pool waits, and its callback posts the packet. Who cancels learns from
 * UnregisterWaitEx whether callbacks are outstanding. If one is, its packet will come. If none is, it either never
 * ran, and never will, or it is over; `state`, which it sets before it posts, tells which. The callback touches the
 * completion no more once it has posted. A post that fails for want of memory is tried for a second; then the
 * completion is marked, and the poll finds it in the list of waits.
 */
#include "system.h"

enum { POST_TRIES = 1000 }; /* a millisecond apart */

enum {
    ARMED,
    SIGNALLED, /* its packet is in the port, or just being posted */
    LOST       /* it could not be posted */
};

static pl__packet *packet_of(pl__completion *c)
{
    return (pl__packet *)(void *)&c->system;
}

static HANDLE registration_of(const pl__completion *c)
{
    return (HANDLE)c->as.wait.registration;
}

/* --- By the kernel's packets ---------------------------------------------------------------------------------------- */

static FARPROC find(const char *name)
{
    HMODULE ntdll = GetModuleHandleW(L"ntdll.dll");
    return ntdll ? GetProcAddress(ntdll, name) : NULL;
}

static bool has_packets(pl__wait_packets *packets)
{
    union {
        FARPROC address;
        pl__create_packet_fn *create;
        pl__associate_packet_fn *associate;
        pl__cancel_packet_fn *cancel;
    } found;
    if (!packets->looked) {
        packets->looked = true;
        found.address = find("NtCreateWaitCompletionPacket");
        packets->create = found.create;
        found.address = find("NtAssociateWaitCompletionPacket");
        packets->associate = found.associate;
        found.address = find("NtCancelWaitCompletionPacket");
        packets->cancel = found.cancel;
    }
    return packets->create && packets->associate && packets->cancel;
}

/* False: this object, or this system, wants the other way. */
static bool associate(pl__completion *c, pl__packet *packet)
{
    pl__foreign *foreign = packet->foreign;
    HANDLE made;
    BOOLEAN signalled_already; /* which sends its packet like any other */
    if (!has_packets(&foreign->packets) || foreign->packets.create(&made, GENERIC_READ | GENERIC_WRITE, NULL) < 0)
        return false;
    LONG status = foreign->packets.associate(made, foreign->port, (HANDLE)c->as.wait.object, (void *)foreign->key,
                                             &packet->overlapped, 0, 0, &signalled_already);
    if (status < 0) {
        CloseHandle(made);
        return false;
    }
    c->as.wait.by_packet = true;
    c->as.wait.registration = (uintptr_t)made;
    return true;
}

/* --- By a thread of the pool ---------------------------------------------------------------------------------------- */

/* On that thread. The loop has the completion back as soon as the packet is posted, or it is marked as lost. */
static void CALLBACK object_signalled(void *context, BOOLEAN timed_out)
{
    pl__completion *c = context;
    pl__packet *packet = packet_of(c);
    pl__foreign *foreign = packet->foreign;
    PL__UNUSED(timed_out); /* there is no limit */
    pl__atomic_u32_store(&c->as.wait.state, SIGNALLED);
    for (int i = 0; i < POST_TRIES; i++) {
        if (PostQueuedCompletionStatus(foreign->port, 0, foreign->key, &packet->overlapped))
            return;
        Sleep(1);
    }
    (void)pl__atomic_u32_add(&foreign->lost, 1);
    pl__atomic_u32_store(&c->as.wait.state, LOST);
}

static bool enlist(pl__completion *c, pl__packet *packet)
{
    HANDLE registration;
    c->as.wait.by_packet = false;
    c->as.wait.registration = 0;
    pl__atomic_u32_store(&c->as.wait.state, ARMED);
    if (!RegisterWaitForSingleObject(&registration, (HANDLE)c->as.wait.object, object_signalled, c, INFINITE,
                                     WT_EXECUTEONLYONCE | WT_EXECUTEINWAITTHREAD)) {
        packet->result = pl__packet_failed(packet, GetLastError());
        return false;
    }
    c->as.wait.registration = (uintptr_t)registration;
    return true;
}

OVERLAPPED *pl__wait_take_lost(pl__foreign *foreign)
{
    if (pl__atomic_u32_load(&foreign->lost) == 0)
        return NULL;
    PL__LIST_EACH (node, &foreign->waits) {
        pl__completion *c = PL__CONTAINER_OF(node, pl__completion, node);
        if (!c->as.wait.by_packet && pl__atomic_u32_load(&c->as.wait.state) == LOST) {
            (void)pl__atomic_u32_add(&foreign->lost, UINT32_MAX);
            return &packet_of(c)->overlapped;
        }
    }
    return NULL; /* counted, and to be marked in a moment: the next poll finds it */
}

/* --- Wait ----------------------------------------------------------------------------------------------------------- */

/* Looks first: most that are waited for with a purpose are not signalled, but what is no object is found out. */
bool pl__begin_wait(pl__completion *c, pl__packet *packet)
{
    DWORD seen = WaitForSingleObject((HANDLE)c->as.wait.object, 0);
    if (seen != WAIT_TIMEOUT) {
        packet->result = seen == WAIT_FAILED ? pl__packet_failed(packet, GetLastError()) : 0;
        return false;
    }
    if (!associate(c, packet) && !enlist(c, packet))
        return false;
    pl__list_push_back(&packet->foreign->waits, &c->node);
    return true;
}

int64_t pl__end_wait(pl__completion *c, pl__packet *packet, int64_t result)
{
    PL__UNUSED(packet);
    if (!pl__node_is_linked(&c->node)) /* it ended at once */
        return result;
    pl__node_unlink(&c->node);
    if (registration_of(c) && c->as.wait.by_packet)
        CloseHandle(registration_of(c));
    else if (registration_of(c))
        (void)UnregisterWaitEx(registration_of(c), NULL); /* the callback may be just returning */
    c->as.wait.registration = 0;
    return 0;
}

bool pl__cancel_wait(pl__completion *c, pl__packet *packet)
{
    bool never;
    if (c->as.wait.by_packet) {
        never = packet->foreign->packets.cancel(registration_of(c), FALSE) == 0;
    } else {
        bool none_outstanding = UnregisterWaitEx(registration_of(c), NULL) != 0;
        PL__CHECK(none_outstanding || GetLastError() == ERROR_IO_PENDING);
        c->as.wait.registration = 0;
        never = none_outstanding && pl__atomic_u32_load(&c->as.wait.state) == ARMED;
    }
    if (never)
        (void)pl__end_wait(c, packet, 0);
    return never;
}
