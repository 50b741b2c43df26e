/* What the tests of the network share: cases that run as a task of a loop, connected pairs of streams, and flows of
 * bytes in which each byte tells its place. One case runs at a time.
 */
#ifndef PROLOOP_TESTS_LOOPBACK_H
#define PROLOOP_TESTS_LOOPBACK_H

#include <proloop/proloop.h>

#include "harness.h"

typedef void loopback_body(void);

/* A case whose body is the main task of a loop of the case's backend. The loop is closed behind it. */
#define TASK_CASE(name)                                                                                                \
    static void name##_task(void);                                                                                     \
    TEST_CASE(name)                                                                                                    \
    {                                                                                                                  \
        loopback_run(t, name##_task, NULL);                                                                            \
    }                                                                                                                  \
    static void name##_task(void)

/* options: NULL, or what else the loop is to be; its backend is the case's. */
void loopback_run(test_context *t, loopback_body *body, const pl_loop_options *options);

/* In a body: of the case that runs. */
bool on_backend(const char *name);
void skip_case(const char *reason);

/* Skips the case, and is true, where there is no name look-up. */
bool skip_without_names(void);

/* A report to the loop's exception handler fails the case, unless it was announced. */
void expect_reports(int least, int most);
int reports_seen(void);

/* "" or a failure: the loop's own, for cases that make more loops. */
void loopback_report(pl_loop *loop, const pl_report *report, void *arg);

/* xorshift: the same numbers everywhere. The state is never 0. */
typedef struct dice {
    uint64_t state;
} dice;

dice dice_of(uint64_t seed);
uint64_t throw_dice(dice *d);
uint64_t throw_below(dice *d, uint64_t limit); /* 0 ... limit - 1 */

/* --- Streams ------------------------------------------------------------------------------------------------------ */

/* Listens at 127.0.0.1, a port that the system chooses. */
bool listen_here(pl_listener **listener, uint16_t *port);

/* Closes it and waits until the system lets nobody in any more: what is in flight in it has to end first. */
void close_listener(pl_listener *listener);

/* A port of 127.0.0.1 at which nobody listens. */
uint16_t silent_port(void);

/* Two ends of one connection over 127.0.0.1; no listener is left. */
bool connect_pair(pl_stream **client, pl_stream **server);

/* Makes the system's buffers of both ends small, so that a writer soon has to wait. */
void narrow_pair(pl_stream *client, pl_stream *server);

/* Reads until `size` bytes, the end or an error: @return bytes, or the error if there was one. */
int64_t read_whole(pl_stream *stream, void *data, size_t size);

/* Reads and drops until the end: @return 0 or the error. */
int64_t read_to_end(pl_stream *stream);

/* What a peer sees after a reset. Wine 8 reads an end of stream. */
bool is_reset(int64_t result);

/* The end of a started operation: what start refused, or the result. Task call. */
int64_t end_of(int started, pl_op *op);

/* --- Bytes that tell their place ---------------------------------------------------------------------------------- */

void pattern_fill(void *data, size_t size, uint64_t offset);
bool pattern_holds(const void *data, size_t size, uint64_t offset);

/* One direction of a connection, as a task: pl_spawn(NULL, flow_send, &flow, NULL). */
typedef struct flow {
    pl_stream *stream;
    int64_t size;   /* to send; to receive at most (-1: until the end) */
    size_t piece;   /* the largest piece of one call; 0: 64 KiB */
    uint64_t seed;  /* not 0: pieces of random size */
    bool shut;      /* the sender half closes at the end */
    bool borrow;    /* the receiver reads lent buffers */
    int64_t done;   /* bytes sent by calls that succeeded; bytes received, all in place */
    int64_t result; /* 0: all sent, all received, or the end was reached; else the error */
    bool broken;    /* a byte was out of place */
    bool ended;     /* the task is through */
} flow;

int64_t flow_send(void *arg);
int64_t flow_receive(void *arg);

/* Sends `size` bytes from one end to the other and checks them. Task call. @return whether all went well. */
bool flow_across(pl_stream *from, pl_stream *to, int64_t size);

/* One byte there and back, both ways: the connection works. */
bool connection_works(pl_stream *a, pl_stream *b);

#endif
