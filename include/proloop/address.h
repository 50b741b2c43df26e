/* proloop/address.h: IP addresses with a port, the same on every system, and as text. */
#ifndef PROLOOP_ADDRESS_H
#define PROLOOP_ADDRESS_H

#include <proloop/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum pl_family { PL_IPV4 = 4, PL_IPV6 = 6 };

/** An IP address and a port, the same on every system. Zeroed: none. */
struct pl_address {
    uint8_t family; /* PL_IPV4, PL_IPV6, 0: none */
    uint8_t reserved;
    uint16_t port;  /* in the machine's byte order */
    uint32_t scope; /* IPv6 zone; 0: none */
    uint8_t ip[16]; /* in network byte order; IPv4 uses the first four */
};

typedef struct pl_address pl_address;

enum { PL_ADDRESS_TEXT_SIZE = 64 /* enough for "[IPv6%zone]:65535" and its NUL */ };

/** Reads an address in text form, "127.0.0.1", "::1" or "fe80::1%2", without asking any name server. Any thread.
 *  @return PL_OK; PL_EINVAL: it is not an address, and *address is unchanged. */
PL_API int pl_address_parse(pl_address *address, const char *text, uint16_t port);

/** Writes "127.0.0.1:80" or "[::1]:80". Any thread.
 *  @return the length without the NUL; PL_EINVAL: no address, or `size` is too small (PL_ADDRESS_TEXT_SIZE never
 *  is). */
PL_API int pl_address_format(const pl_address *address, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
