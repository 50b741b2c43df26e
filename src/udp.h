/* UDP, from the inside: what the platforms' files share. */
#ifndef PROLOOP_SRC_UDP_H
#define PROLOOP_SRC_UDP_H

#include <string.h>

#include <proloop/address.h>

/* An IPv6 socket that takes IPv4 too knows such addresses as ::ffff:1.2.3.4. These turn an IPv4 address into that form,
 * and back; other addresses stay as they are. */
static inline pl_address pl__address_mapped(const pl_address *address)
{
    pl_address mapped = *address;
    if (address->family == PL_IPV4) {
        mapped.family = PL_IPV6;
        memset(mapped.ip, 0, sizeof mapped.ip);
        mapped.ip[10] = mapped.ip[11] = 0xff;
        memcpy(mapped.ip + 12, address->ip, 4);
    }
    return mapped;
}

static inline void pl__address_unmap(pl_address *address)
{
    static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};
    if (address->family != PL_IPV6 || memcmp(address->ip, prefix, sizeof prefix) != 0)
        return;
    address->family = PL_IPV4;
    address->scope = 0;
    memcpy(address->ip, address->ip + 12, 4);
    memset(address->ip + 4, 0, sizeof address->ip - 4);
}

#endif
