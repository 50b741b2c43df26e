#include "moments_inner.h"

#include <windows.h>

enum { LIMIT = 10000 }; /* ms, a case that hangs */

/* The system writes the status when it is through, before the packet can be dequeued. */
bool moment_system_is_through(pl__completion *const *completions, int count, bool writes)
{
    const LONG pending = 0x103; /* STATUS_PENDING */
    ULONGLONG limit = GetTickCount64() + LIMIT;
    (void)writes;
    while (GetTickCount64() < limit) {
        for (int i = 0; i < count; i++) {
            const volatile OVERLAPPED *overlapped = (const volatile OVERLAPPED *)(const void *)&completions[i]->system;
            if (pl__completion_is_pending(completions[i]) && (LONG)overlapped->Internal != pending)
                return true;
        }
        SwitchToThread();
    }
    return false;
}
