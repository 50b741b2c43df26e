/* resolver.c: names to addresses and back by the system's getaddrinfo and getnameinfo, on a worker.
 *
 * Where the C library turns names that are not ASCII into their IDNA form it reads them in the locale's encoding; ours are
 * UTF-8, whatever locale the program has set, so the worker has one of its own for that call.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* AI_IDN */
#endif
#include <errno.h>
#include <locale.h>
#include <netdb.h>
#include <string.h>

#include "../resolver.h"
#include "address.h"
#include "error.h"

#if !defined(AI_IDN)
#define AI_IDN      0
#define AI_CANONIDN 0
#endif
#if !defined(NI_IDN)
#define NI_IDN 0
#endif

static bool is_ascii(const char *text)
{
    for (; text && *text; text++) {
        if ((unsigned char)*text >= 0x80)
            return false;
    }
    return true;
}

/* 0: there is none, and the program's stays. */
static locale_t begin_utf8(locale_t *before)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (utf8)
        *before = uselocale(utf8);
    return utf8;
}

static void end_utf8(locale_t utf8, locale_t before)
{
    if (!utf8)
        return;
    (void)uselocale(before);
    freelocale(utf8);
}

/* In the system's order, each one once. */
static int copy_addresses(pl__job *job, const struct addrinfo *found)
{
    int result = PL_OK;
    for (; found && result == PL_OK; found = found->ai_next) {
        pl__sockaddr system = {.any.sa_family = AF_UNSPEC};
        pl_address address;
        if (!found->ai_addr || found->ai_addrlen > sizeof system)
            continue;
        memcpy(&system, found->ai_addr, found->ai_addrlen);
        pl__address_from_system(&address, &system);
        if (!job->as.resolve.service)
            address.port = job->as.resolve.port;
        if (address.family != 0)
            result = pl__resolve_add(job, &address);
    }
    return result;
}

static int64_t keep(pl__job *job, const struct addrinfo *found)
{
    int64_t result = copy_addresses(job, found);
    if (result == PL_OK && job->as.resolve.count == 0)
        result = PL_ENODATA;
    if (result == PL_OK && job->as.resolve.canonical) {
        const char *name = found->ai_canonname ? found->ai_canonname : job->as.resolve.host;
        result = pl__resolve_name(job->as.resolve.canonical, name ? name : "");
    }
    return result < 0 ? result : (int64_t)job->as.resolve.count;
}

static struct addrinfo hints_of(const pl__job *job)
{
    struct addrinfo hints = {0};
    int flags = job->as.resolve.flags;
    hints.ai_family = pl__address_family(job->as.resolve.family);
    hints.ai_socktype =
        flags & PL_RESOLVE_DATAGRAM ? SOCK_DGRAM : SOCK_STREAM; /* else each comes once for every type */
    hints.ai_flags = job->as.resolve.host ? 0 : AI_PASSIVE;
    if (flags & PL_RESOLVE_NUMERIC)
        hints.ai_flags |= AI_NUMERICHOST;
    if (flags & PL_RESOLVE_CONFIGURED)
        hints.ai_flags |= AI_ADDRCONFIG;
    if (job->as.resolve.canonical && job->as.resolve.host)
        hints.ai_flags |= AI_CANONNAME;
    if (!is_ascii(job->as.resolve.host))
        hints.ai_flags |= AI_IDN | (job->as.resolve.canonical ? AI_CANONIDN : 0);
    return hints;
}

int64_t pl__run_resolve(pl__job *job)
{
    const char *host = job->as.resolve.host;
    const char *service = job->as.resolve.service;
    struct addrinfo hints = hints_of(job), *found = NULL;
    bool ascii = is_ascii(host);
    locale_t before = (locale_t)0;
    locale_t utf8 = ascii ? (locale_t)0 : begin_utf8(&before);

    /* It wants a host or a service; a port that is a number is ours to fill in. */
    int rc = getaddrinfo(host, service ? service : host ? NULL : "0", &hints, &found);
    int code = errno;
    end_utf8(utf8, before);
    if (rc != 0) {
        job->system_error = rc == EAI_SYSTEM ? code : rc;
        return pl__error_from_resolver(rc, code);
    }
    int64_t result = keep(job, found);
    freeaddrinfo(found);
    return result;
}

int64_t pl__run_resolve_address(pl__job *job)
{
    pl__sockaddr system;
    char name[PL_HOST_NAME_SIZE];
    locale_t before = (locale_t)0;
    socklen_t size = pl__address_to_system(&job->as.resolve_address.address, &system);
    locale_t utf8 = NI_IDN ? begin_utf8(&before) : (locale_t)0;
    int rc = getnameinfo(&system.any, size, name, sizeof name, NULL, 0, NI_NAMEREQD | NI_IDN);
    int code = errno;
    end_utf8(utf8, before);
    if (rc != 0) {
        job->system_error = rc == EAI_SYSTEM ? code : rc;
        return pl__error_from_resolver(rc, code);
    }
    return pl__resolve_name(job->as.resolve_address.name, name);
}
