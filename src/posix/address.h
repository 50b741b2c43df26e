/* address.h: pl_address to and from the system's sockaddr. */
#ifndef PROLOOP_SRC_POSIX_ADDRESS_H
#define PROLOOP_SRC_POSIX_ADDRESS_H

#include <netinet/in.h>
#include <sys/socket.h>

#include <proloop/net.h>

typedef union pl__sockaddr {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
} pl__sockaddr;

/* PL_IPV4 or PL_IPV6 as AF_INET or AF_INET6; anything else as AF_UNSPEC. */
int pl__address_family(uint8_t family);

/* The length of the sockaddr; 0: the address is none. */
socklen_t pl__address_to_system(const pl_address *address, pl__sockaddr *system);

/* Of a family the library does not know: zeroed. */
void pl__address_from_system(pl_address *address, const pl__sockaddr *system);

#endif
