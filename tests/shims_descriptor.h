/* System calls of Unix that fail, for what the suites of descriptor_suites.h look at: the standard streams, and signals.
 * The thread that calls descriptor_begin is the loop's.
 */
#ifndef PROLOOP_TESTS_SHIMS_DESCRIPTOR_H
#define PROLOOP_TESTS_SHIMS_DESCRIPTOR_H

typedef enum descriptor_call {
    CALL_EPOLL_CTL,
    CALL_FCNTL,
    CALL_FSTAT,
    CALL_OPEN,
    CALL_PIPE, /* the one whose descriptors a child inherits */
    CALL_PIPE2,
    CALL_SIGACTION,
    CALL_POLL,  /* of other threads than the loop's, as the next two */
    CALL_READ,
    CALL_WRITE,
    CALL_WAKE, /* a write of the loop's thread, or of a signal's handler in it */
    DESCRIPTOR_CALLS
} descriptor_call;

/* Counters to zero, and nothing fails. */
void descriptor_begin(void);
void descriptor_end(void);

/* Of the calls to come, the one numbered `at`, from 1, fails with this errno. */
void descriptor_fail(descriptor_call call, int at, int error);

/* Calls since begin. */
int descriptor_calls(descriptor_call call);

#endif
