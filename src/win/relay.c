/* relay.c: a thread that waits at the completion port for a loop inside a foreign one: a port is no object that the
 * host could wait for.
 *
 * What it takes out of the port is the loop's: it keeps the packets, as they came, until the loop's next poll takes
 * them over, under the mutex; so none is lost, none has to be posted again (which could fail), and none is handled
 * on the wrong thread. Then it calls `ready`, and waits no more until it is armed anew, after that iteration. A poll
 * looks at the port itself, too: each packet comes out of it once, on one side or the other.
 */
#include "system.h"

#include "../allocator.h"
#include "../thread.h"

enum {
    POST_TRIES = 1000, /* a millisecond apart */
    LONGEST_WAIT =
        60000 /* milliseconds, then the loop looks around: a packet may not have been posted for want of memory */
};

struct pl__relay {
    pl__mutex mutex;
    pl__condition changed;
    pl__thread thread;
    HANDLE port;
    ULONG_PTR stop_key;
    void (*ready)(void *context);
    void *context;
    bool armed;
    bool stopping;
    ULONG count; /* of the packets that are kept; while there are some it takes no more */
    OVERLAPPED_ENTRY packets[PL__RELAY_PACKETS];
};

/* With the mutex, which it gives up meanwhile. */
static void take(pl__relay *relay)
{
    OVERLAPPED_ENTRY packets[PL__RELAY_PACKETS];
    ULONG count = 0;
    pl__mutex_unlock(&relay->mutex);
    bool taken = GetQueuedCompletionStatusEx(relay->port, packets, PL__RELAY_PACKETS, &count, LONGEST_WAIT, FALSE) != 0;
    if (!taken && GetLastError() != WAIT_TIMEOUT)
        PL__PANIC("GetQueuedCompletionStatusEx: %lu", (unsigned long)GetLastError());
    pl__mutex_lock(&relay->mutex);
    for (ULONG i = 0; i < count; i++)
        relay->packets[i] = packets[i];
    relay->count = count;
    relay->armed = false;
    if (relay->stopping)
        return;
    pl__mutex_unlock(&relay->mutex);
    relay->ready(relay->context);
    pl__mutex_lock(&relay->mutex);
}

static void run(void *arg)
{
    pl__relay *relay = arg;
    pl__mutex_lock(&relay->mutex);
    while (!relay->stopping) {
        if (relay->armed && relay->count == 0)
            take(relay);
        else
            pl__condition_wait(&relay->changed, &relay->mutex);
    }
    pl__mutex_unlock(&relay->mutex);
}

static void destroy(pl__relay *relay)
{
    pl__condition_destroy(&relay->changed);
    pl__mutex_destroy(&relay->mutex);
    pl__release(relay, sizeof *relay);
}

int pl__relay_start(pl__relay **relay, HANDLE port, ULONG_PTR stop_key, void (*ready)(void *context), void *context)
{
    pl__relay *made = pl__allocate_zeroed(sizeof *made);
    if (!made)
        return PL_ENOMEM;
    made->port = port;
    made->stop_key = stop_key;
    made->ready = ready;
    made->context = context;
    pl__mutex_init(&made->mutex);
    pl__condition_init(&made->changed);
    int result = pl__thread_start(&made->thread, run, made, "proloop relay");
    if (result == PL_OK)
        *relay = made;
    else
        destroy(made);
    return result;
}

void pl__relay_arm(pl__relay *relay)
{
    pl__mutex_lock(&relay->mutex);
    relay->armed = true;
    pl__condition_signal(&relay->changed);
    pl__mutex_unlock(&relay->mutex);
}

ULONG pl__relay_take(pl__relay *relay, OVERLAPPED_ENTRY packets[PL__RELAY_PACKETS])
{
    pl__mutex_lock(&relay->mutex);
    ULONG count = relay->count;
    for (ULONG i = 0; i < count; i++)
        packets[i] = relay->packets[i];
    relay->count = 0;
    pl__condition_signal(&relay->changed);
    pl__mutex_unlock(&relay->mutex);
    return count;
}

/* If it is not at the port any more, the packet stays there, and the poll passes over it. */
static void end_wait(pl__relay *relay)
{
    for (int i = 0; i < POST_TRIES && !PostQueuedCompletionStatus(relay->port, 0, relay->stop_key, NULL); i++)
        Sleep(1);
}

ULONG pl__relay_stop(pl__relay *relay, OVERLAPPED_ENTRY packets[PL__RELAY_PACKETS])
{
    pl__mutex_lock(&relay->mutex);
    bool waits = relay->armed && relay->count == 0;
    relay->stopping = true;
    pl__condition_signal(&relay->changed);
    pl__mutex_unlock(&relay->mutex);
    if (waits)
        end_wait(relay);
    pl__thread_join(&relay->thread);
    ULONG count = pl__relay_take(relay, packets);
    destroy(relay);
    return count;
}
