/* address.c: IP addresses to and from the system's form and text.
 *
 * The zone of a link-local address is kept as the number of its interface; text may name the interface too.
 */
#include "address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "../check.h"

int pl__address_family(uint8_t family)
{
    return family == PL_IPV4 ? AF_INET : family == PL_IPV6 ? AF_INET6 : AF_UNSPEC;
}

socklen_t pl__address_to_system(const pl_address *address, pl__sockaddr *system)
{
    memset(system, 0, sizeof *system);
    if (address->family == PL_IPV4) {
        system->ipv4.sin_family = AF_INET;
        system->ipv4.sin_port = htons(address->port);
        memcpy(&system->ipv4.sin_addr, address->ip, sizeof system->ipv4.sin_addr);
        return (socklen_t)sizeof system->ipv4;
    }
    if (address->family == PL_IPV6) {
        system->ipv6.sin6_family = AF_INET6;
        system->ipv6.sin6_port = htons(address->port);
        system->ipv6.sin6_scope_id = address->scope;
        memcpy(&system->ipv6.sin6_addr, address->ip, sizeof system->ipv6.sin6_addr);
        return (socklen_t)sizeof system->ipv6;
    }
    return 0;
}

void pl__address_from_system(pl_address *address, const pl__sockaddr *system)
{
    memset(address, 0, sizeof *address);
    if (system->any.sa_family == AF_INET) {
        address->family = PL_IPV4;
        address->port = ntohs(system->ipv4.sin_port);
        memcpy(address->ip, &system->ipv4.sin_addr, sizeof system->ipv4.sin_addr);
    } else if (system->any.sa_family == AF_INET6) {
        address->family = PL_IPV6;
        address->port = ntohs(system->ipv6.sin6_port);
        address->scope = system->ipv6.sin6_scope_id;
        memcpy(address->ip, &system->ipv6.sin6_addr, sizeof system->ipv6.sin6_addr);
    }
}

/* A zone is the number of an interface, or its name. 0: it is neither. */
static uint32_t parse_zone(const char *text)
{
    uint64_t number = 0;
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || text[digits])
        return if_nametoindex(text);
    for (; *text && number <= UINT32_MAX; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    return number <= UINT32_MAX ? (uint32_t)number : 0;
}

static int parse_ipv6(pl_address *address, const char *text)
{
    char ip[INET6_ADDRSTRLEN];
    const char *zone = strchr(text, '%');
    size_t length = zone ? (size_t)(zone - text) : strlen(text);
    if (length >= sizeof ip)
        return PL_EINVAL;
    memcpy(ip, text, length);
    ip[length] = 0;
    if (inet_pton(AF_INET6, ip, address->ip) != 1)
        return PL_EINVAL;
    if (zone && (address->scope = parse_zone(zone + 1)) == 0)
        return PL_EINVAL;
    address->family = PL_IPV6;
    return PL_OK;
}

int pl_address_parse(pl_address *address, const char *text, uint16_t port)
{
    if (!address || !text)
        return PL_EINVAL;
    pl_address parsed = {0};
    if (inet_pton(AF_INET, text, parsed.ip) == 1)
        parsed.family = PL_IPV4;
    else if (parse_ipv6(&parsed, text) < 0)
        return PL_EINVAL;
    parsed.port = port;
    *address = parsed;
    return PL_OK;
}

int pl_address_format(const pl_address *address, char *text, size_t size)
{
    char ip[INET6_ADDRSTRLEN], zone[12] = "";
    int length;
    if (!address || !text)
        return PL_EINVAL;
    int family = pl__address_family(address->family);
    if (family == AF_UNSPEC || !inet_ntop(family, address->ip, ip, sizeof ip))
        return PL_EINVAL;
    if (address->scope)
        snprintf(zone, sizeof zone, "%%%u", (unsigned)address->scope);
    if (family == AF_INET6)
        length = snprintf(text, size, "[%s%s]:%u", ip, zone, (unsigned)address->port);
    else
        length = snprintf(text, size, "%s:%u", ip, (unsigned)address->port);
    return length >= 0 && (size_t)length < size ? length : PL_EINVAL;
}
