/* Faults and hooks of the calls that wait for foreign objects. All of them are off until a case sets them, and off again
 * after foreign_faults_clear.
 */
#ifndef PROLOOP_TESTS_SHIMS_FOREIGN_H
#define PROLOOP_TESTS_SHIMS_FOREIGN_H

#include <stdbool.h>
#include <stdint.h>

typedef enum foreign_call {
    FOREIGN_DUPLICATE, /* Unix: fcntl; it fails with EMFILE */
    FOREIGN_REGISTER,  /* epoll_ctl fails with ENOSPC; RegisterWaitForSingleObject with too little memory */
    FOREIGN_DRIVER,    /* Windows: the driver of the sockets cannot be opened */
    FOREIGN_ASK,       /* Windows: it refuses to tell */
    FOREIGN_POST,      /* Windows: a packet cannot be posted, from another thread than the loop's */
    FOREIGN_CALLS
} foreign_call;

/** The next `times` calls fail. False: this system has no such call. */
bool foreign_fail(foreign_call call, int times);

/** How many of those are still to come. */
int foreign_failures_left(foreign_call call);

void foreign_faults_clear(void);

/* --- Windows: the packet of a wait, just before it is posted by the thread of the pool --- */

/** From now on that thread waits there. */
void foreign_hold_posts(void);

/** Blocks until one does. */
void foreign_await_post(void);
void foreign_release_posts(void);

/* --- Windows 8: wait completion packets, replayed --- */

enum { PACKET_CANCELLED = 0, PACKET_PENDING = 0x103, PACKET_GONE = (int)0xC0000120 };

typedef struct packet_replay {
    int created;
    int associated; /* with arguments as they have to be */
    int cancelled;
    int wrong;             /* arguments that were not */
    int cancel_answer;     /* what a cancel is answered */
    int associate_refused; /* so many associations are refused */
} packet_replay;

/** From now on the calls exist. False: not Windows. */
bool packet_replay_begin(packet_replay *replay);
void packet_replay_end(void);

/** The object of the last association was signalled: its packet comes. */
void packet_replay_signal(void);

#endif
