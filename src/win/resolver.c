/* resolver.c: names to addresses, on a worker.
 *
 * The system's own resolver decides: hosts file, DNS, and the order in which addresses are to be tried. Names
 * are UTF-8 here and UTF-16 there; the system turns those that are not ASCII into their IDNA form.
 */
#include "system.h"

#include <stdio.h>
#include <string.h>

#include "../allocator.h"
#include "../worker_pool.h"

/* The name as UTF-16, NULL for the wildcard. */
static int widen(const char *host, WCHAR *wide, int capacity)
{
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, host, -1, wide, capacity) > 0)
        return PL_OK;
    return GetLastError() == ERROR_INSUFFICIENT_BUFFER ? PL_ENAME : PL_EINVAL;
}

static bool is_known(const pl_address *addresses, int64_t count, const pl_address *address)
{
    for (int64_t i = 0; i < count; i++) {
        if (memcmp(&addresses[i], address, sizeof *address) == 0)
            return true;
    }
    return false;
}

/* Copies what was found, each address once: a name may stand in the hosts file twice. */
static int64_t keep(pl_address *addresses, const ADDRINFOW *found)
{
    int64_t count = 0;
    for (; found && count < PL__RESOLVE_MAX; found = found->ai_next) {
        pl_address address;
        pl__address_from_system(&address, found->ai_addr);
        if (address.family != 0 && !is_known(addresses, count, &address))
            addresses[count++] = address;
    }
    return count > 0 ? count : PL_ENAME;
}

int64_t pl__run_resolve(pl__job *job)
{
    WCHAR host[NI_MAXHOST], port[8];
    ADDRINFOW hints = {0}, *found = NULL;
    const char *name = job->as.resolve.host;
    int error = name ? widen(name, host, (int)PL__COUNT_OF(host)) : PL_OK;
    if (error != PL_OK)
        return error;
    if (name && name[0] == '\0') /* to the system that is this machine, with all its addresses */
        return PL_ENAME;

    (void)swprintf(port, PL__COUNT_OF(port), L"%u", (unsigned)job->as.resolve.port);
    hints.ai_family = job->as.resolve.family == PL_IPV4   ? AF_INET
                      : job->as.resolve.family == PL_IPV6 ? AF_INET6
                                                          : AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM; /* else each address comes once for every type */
    hints.ai_protocol = IPPROTO_TCP;
    hints.ai_flags = AI_NUMERICSERV | (name ? 0 : AI_PASSIVE) | (job->as.resolve.numeric ? AI_NUMERICHOST : 0);

    int failure = GetAddrInfoW(name ? host : NULL, port, &hints, &found);
    if (failure != 0) {
        job->system_error = failure;
        return pl__error_from_win32((DWORD)failure);
    }
    int64_t count = keep(job->as.resolve.addresses, found);
    FreeAddrInfoW(found);
    return count;
}
