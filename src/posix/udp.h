/* udp.h: the system's datagram calls. Each result that is negative is a negated errno. */
#ifndef PROLOOP_SRC_POSIX_UDP_H
#define PROLOOP_SRC_POSIX_UDP_H

#include "../proactor.h"

/* A socket that is bound; `flags` are pl__datagram_flag. The descriptor. */
int pl__udp_open(const pl_address *local, uint8_t flags);

/* Without a family: the socket has no peer any more, and keeps its port. After a failure it has none, too. */
int pl__udp_connect(int descriptor, uint8_t family, const pl_address *peer);

int pl__udp_change_membership(int descriptor, const pl__membership *membership, bool join);

/* `option` is a pl__datagram_option. */
int pl__udp_set_option(int descriptor, uint8_t family, uint8_t option, int64_t value, const pl_address *address);

/* How many datagrams there were or went, at least 1; -EAGAIN: none now. */
int64_t pl__udp_receive(pl__completion *completion);
int64_t pl__udp_send(pl__completion *completion);

#endif
