/* address.c: addresses as the system has them, and as text.
 *
 * A pl_address has the port in the machine's byte order and the IP in the network's; a SOCKADDR has both in
 * the network's. Text is read and written by the system for the IP, and here for the port and the zone, which
 * on Windows is a number.
 */
#include "system.h"

#include <stdio.h>
#include <string.h>

int pl__address_to_system(const pl_address *address, SOCKADDR_INET *system)
{
    memset(system, 0, sizeof *system);
    switch (address->family) {
    case PL_IPV4:
        system->Ipv4.sin_family = AF_INET;
        system->Ipv4.sin_port = htons(address->port);
        memcpy(&system->Ipv4.sin_addr, address->ip, sizeof system->Ipv4.sin_addr);
        return sizeof system->Ipv4;
    case PL_IPV6:
        system->Ipv6.sin6_family = AF_INET6;
        system->Ipv6.sin6_port = htons(address->port);
        system->Ipv6.sin6_scope_id = address->scope;
        memcpy(&system->Ipv6.sin6_addr, address->ip, sizeof system->Ipv6.sin6_addr);
        return sizeof system->Ipv6;
    default:
        return 0;
    }
}

void pl__address_from_system(pl_address *address, const SOCKADDR *system)
{
    SOCKADDR_INET copy; /* what a call leaves in a buffer need not be aligned for its type */
    memset(address, 0, sizeof *address);
    switch (system->sa_family) {
    case AF_INET:
        memcpy(&copy.Ipv4, system, sizeof copy.Ipv4);
        address->family = PL_IPV4;
        address->port = ntohs(copy.Ipv4.sin_port);
        memcpy(address->ip, &copy.Ipv4.sin_addr, sizeof copy.Ipv4.sin_addr);
        break;
    case AF_INET6:
        memcpy(&copy.Ipv6, system, sizeof copy.Ipv6);
        address->family = PL_IPV6;
        address->port = ntohs(copy.Ipv6.sin6_port);
        address->scope = copy.Ipv6.sin6_scope_id;
        memcpy(address->ip, &copy.Ipv6.sin6_addr, sizeof copy.Ipv6.sin6_addr);
        break;
    default:
        break;
    }
}

/* Reads a zone, the number of an interface. */
static bool parse_zone(uint32_t *zone, const char *text)
{
    uint64_t value = 0;
    if (*text == '\0')
        return false;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return false;
        value = value * 10 + (uint64_t)(*text - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *zone = (uint32_t)value;
    return value > 0;
}

int pl_address_parse(pl_address *address, const char *text, uint16_t port)
{
    char ip[PL_ADDRESS_TEXT_SIZE];
    pl_address parsed = {0};
    if (!address || !text)
        return PL_EINVAL;

    const char *zone = strchr(text, '%');
    size_t length = zone ? (size_t)(zone - text) : strlen(text);
    if (length >= sizeof ip)
        return PL_EINVAL;
    memcpy(ip, text, length);
    ip[length] = '\0';

    parsed.port = port;
    if (!zone && inet_pton(AF_INET, ip, parsed.ip) == 1)
        parsed.family = PL_IPV4;
    else if (inet_pton(AF_INET6, ip, parsed.ip) == 1 && (!zone || parse_zone(&parsed.scope, zone + 1)))
        parsed.family = PL_IPV6;
    else
        return PL_EINVAL;
    *address = parsed;
    return PL_OK;
}

int pl_address_format(const pl_address *address, char *text, size_t size)
{
    char ip[INET6_ADDRSTRLEN], whole[PL_ADDRESS_TEXT_SIZE];
    int length;
    if (!address || !text || (address->family != PL_IPV4 && address->family != PL_IPV6))
        return PL_EINVAL;
    if (!inet_ntop(address->family == PL_IPV4 ? AF_INET : AF_INET6, (void *)(uintptr_t)address->ip, ip, sizeof ip))
        return PL_EINVAL;

    if (address->family == PL_IPV4)
        length = snprintf(whole, sizeof whole, "%s:%u", ip, (unsigned)address->port);
    else if (address->scope)
        length = snprintf(whole, sizeof whole, "[%s%%%u]:%u", ip, (unsigned)address->scope, (unsigned)address->port);
    else
        length = snprintf(whole, sizeof whole, "[%s]:%u", ip, (unsigned)address->port);
    if (length < 0 || (size_t)length >= sizeof whole || (size_t)length >= size)
        return PL_EINVAL;
    memcpy(text, whole, (size_t)length + 1);
    return length;
}
