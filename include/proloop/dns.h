/* proloop/dns.h: names to addresses, and addresses to names.
 *
 * The system's own resolver decides: its hosts file, its name servers, its order of addresses. Names are UTF-8; those that
 * are not ASCII are looked up in their IDNA form (on Unix where the C library can do that: PL_ENAME elsewhere). Nothing of
 * this blocks the loop: on Windows the system's look-ups are asynchronous themselves (GetAddrInfoExW) and may be as
 * many as one likes, elsewhere a few workers make them (getaddrinfo).
 *
 * A cancel ends a look-up at once. What the system still does of it goes on in memory of its own, and is dropped; where the
 * system can be told, it is told to stop. A loop that closes waits for none.
 */
#ifndef PROLOOP_DNS_H
#define PROLOOP_DNS_H

#include <proloop/address.h>
#include <proloop/base.h>
#include <proloop/op.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { PL_HOST_NAME_SIZE = 1025 /* enough for any name and its NUL */ };

/** Resolves a name without blocking the loop. Task call (suspends).
 *  @param host  UTF-8 name or address in text form, "fe80::1%2" with a zone too (its number; on Unix also the name of the
 *  interface); NULL: the wildcard address
 *  @param family  PL_IPV4, PL_IPV6, or 0 for both
 *  @param addresses  room for `capacity` of them; in the order the system prefers, each one once
 *  @return how many were stored (>= 1); PL_ENAME: there is no such name; PL_ENODATA: none of that family (not every system
 *  tells the two apart); PL_ENAMEAGAIN: the name server did not answer; PL_ENAMEFAIL: it failed; PL_ECANCELED, ... Then
 *  `addresses` is unchanged. Cancel: abandonable; the system's call runs on unobserved. asyncio: loop.getaddrinfo. */
PL_API int64_t pl_resolve(const char *host, uint16_t port, int family, pl_address *addresses, size_t capacity);

/** The same, started: the result arrives by the operation. `addresses` must live until it is done. */
PL_API int pl_resolve_start(pl_op *op, const char *host, uint16_t port, int family, pl_address *addresses,
                            size_t capacity);

enum pl_resolve_flag {
    PL_RESOLVE_NUMERIC = 1,    /* only addresses in text form: no name server is asked.   AI_NUMERICHOST */
    PL_RESOLVE_CONFIGURED = 2, /* only of families that this machine has an address of.   AI_ADDRCONFIG */
    PL_RESOLVE_DATAGRAM = 4    /* the service is one of UDP */
};

typedef struct pl_resolve_options {
    size_t size;         /* sizeof(pl_resolve_options) */
    int family;          /* PL_IPV4, PL_IPV6, or 0 for both */
    int flags;           /* enum pl_resolve_flag */
    const char *service; /* the name of a service, "https", or a number: the port is its one; NULL: `port` */
    size_t *total;       /* gets how many addresses there are, those beyond the capacity included; NULL: not wanted */
    char *canonical;     /* gets the name that `host` is another name for, else `host` itself, UTF-8; NULL: not wanted.
                            Unchanged on failure */
    size_t canonical_size; /* of that; too small (PL_HOST_NAME_SIZE never is): PL_ENAMETOOLONG */
} pl_resolve_options;

/** pl_resolve with options. `total` and `canonical` must live until it is done, as `addresses`.
 *  @param options  NULL: defaults
 *  @return as pl_resolve; PL_ENAME also for a service that is not known. */
PL_API int64_t pl_resolve_with(const char *host, uint16_t port, const pl_resolve_options *options,
                               pl_address *addresses, size_t capacity);

/** The same, started. */
PL_API int pl_resolve_with_start(pl_op *op, const char *host, uint16_t port, const pl_resolve_options *options,
                                 pl_address *addresses, size_t capacity);

enum pl_resolve_address_flag {
    PL_RESOLVE_OR_NUMERIC = 1 /* an address without a name: its text, without the port */
};

/** The name of an address, without blocking the loop. Task call (suspends).
 *  @param name  gets it, UTF-8; unchanged on failure
 *  @param size  of that; PL_HOST_NAME_SIZE is always enough
 *  @param flags  enum pl_resolve_address_flag, or 0
 *  @return the length of the name without its NUL; PL_ENAME: it has none; PL_ENAMEAGAIN, PL_ENAMEFAIL; PL_ENAMETOOLONG: it
 *  is longer than `size`; PL_ECANCELED, ... Cancel: abandonable. asyncio: loop.getnameinfo; Win32: GetNameInfoW. */
PL_API int64_t pl_resolve_address(const pl_address *address, char *name, size_t size, int flags);

/** The same, started. `name` must live until it is done. */
PL_API int pl_resolve_address_start(pl_op *op, const pl_address *address, char *name, size_t size, int flags);

#ifdef __cplusplus
}
#endif

#endif
