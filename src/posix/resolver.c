/* resolver.c: names to addresses by the system's getaddrinfo, on a worker. */
#include <errno.h>
#include <netdb.h>
#include <string.h>

#include "../worker_pool.h"
#include "address.h"
#include "error.h"

static bool has_address(const pl__job *job, size_t count, const pl_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(&job->as.resolve.addresses[i], address, sizeof *address) == 0)
            return true;
    }
    return false;
}

/* In the system's order, each one once. */
static size_t copy_addresses(pl__job *job, const struct addrinfo *found)
{
    size_t count = 0;
    for (; found && count < PL__RESOLVE_MAX; found = found->ai_next) {
        pl__sockaddr system = {.any.sa_family = AF_UNSPEC};
        pl_address address;
        if (!found->ai_addr || found->ai_addrlen > sizeof system)
            continue;
        memcpy(&system, found->ai_addr, found->ai_addrlen);
        pl__address_from_system(&address, &system);
        address.port = job->as.resolve.port;
        if (address.family != 0 && !has_address(job, count, &address))
            job->as.resolve.addresses[count++] = address;
    }
    return count;
}

int64_t pl__run_resolve(pl__job *job)
{
    struct addrinfo hints = {0}, *found = NULL;
    const char *host = job->as.resolve.host;
    hints.ai_family = pl__address_family(job->as.resolve.family);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = (host ? 0 : AI_PASSIVE) | (job->as.resolve.numeric ? AI_NUMERICHOST : 0);

    /* It wants a host or a service; the port is ours to fill in. */
    int rc = getaddrinfo(host, host ? NULL : "0", &hints, &found);
    if (rc != 0) {
        job->system_error = rc == EAI_SYSTEM ? errno : rc;
        return pl__error_from_resolver(rc, errno);
    }
    size_t count = copy_addresses(job, found);
    freeaddrinfo(found);
    return count > 0 ? (int64_t)count : PL_ENAME;
}
