/* Shims of the datagram calls: each call does what the next step of a script says, and then they do as they please.
 */
#ifndef PROLOOP_TESTS_SHIMS_UDP_H
#define PROLOOP_TESTS_SHIMS_UDP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum udp_call { UDP_RECEIVE, UDP_SEND, UDP_CALLS } udp_call;

typedef enum udp_step {
    UDP_AS_IS,
    UDP_ONE,           /* one datagram, if the call can do with several */
    UDP_THREE,         /* likewise */
    UDP_INTERRUPTED,   /* by a signal, where there are such */
    UDP_NOT_READY,     /* it would have to wait */
    UDP_FULL,          /* likewise, until there is another script (Unix) */
    UDP_NO_ROOM,       /* the system has no buffers */
    UDP_REFUSED,       /* nobody listened where an earlier datagram went: told by the call */
    UDP_REFUSED_LATER, /* ... by the packet (Windows) */
    UDP_NO_HOPS,       /* an earlier datagram went too far (Windows) */
    UDP_CUT,           /* the datagram is too large, and the call says so though a packet follows (Windows) */
    UDP_CUT_LATER,     /* ..., the packet says so (Windows) */
    UDP_HELD           /* under way until shims_udp_let_go or a cancel (Windows) */
} udp_step;

/* The steps of one kind of call from now on; `steps` must live until the end. */
void shims_udp_script(udp_call call, const udp_step *steps, size_t count);

/* No scripts, no counts. What was under way has ended. */
void shims_udp_begin(void);

int64_t shims_udp_calls(udp_call call);
bool shims_udp_script_is_over(udp_call call);

/* Settings that a case only wants to see: from now on such calls succeed and are noted (Windows). */
typedef struct udp_setting {
    int level;
    int option;
    size_t size;
    uint8_t value[280];
} udp_setting;

void shims_udp_watch_settings(void);
const udp_setting *shims_udp_last_setting(void);

/* Whether the socket that was opened or connected last is to be told what became of its datagrams: -1: nobody said so. */
int shims_udp_tells_refusals(void);
int shims_udp_tells_hops(void);

/* How often a socket was told that it has no peer, which may cost it its port for a moment (Unix). */
int64_t shims_udp_disconnects(void);

/* What is held is done now. False: nothing is. */
bool shims_udp_let_go(void);

#endif
