#include "moments_inner.h"

#include <windows.h>

enum { LIMIT = 10000 }; /* ms, a case that hangs */

/* The system writes the status when it is through, before the packet can be dequeued. Of a wait the thread of the pool
 * says that it has the signal; a packet of the kernel's own is sent within the call that signals. */
static bool is_through(pl__completion *completion)
{
    const LONG pending = 0x103; /* STATUS_PENDING */
    const volatile OVERLAPPED *overlapped = (const volatile OVERLAPPED *)(const void *)&completion->system;
    if (!pl__completion_is_pending(completion))
        return false;
    if (completion->kind == PL__WAIT)
        return completion->as.wait.by_packet || pl__atomic_u32_load(&completion->as.wait.state) != 0;
    return (LONG)overlapped->Internal != pending;
}

bool moment_system_is_through(pl__completion *const *completions, int count, bool writes)
{
    ULONGLONG limit = GetTickCount64() + LIMIT;
    (void)writes;
    while (GetTickCount64() < limit) {
        for (int i = 0; i < count; i++) {
            if (is_through(completions[i]))
                return true;
        }
        SwitchToThread();
    }
    return false;
}
