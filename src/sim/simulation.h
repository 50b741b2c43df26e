/* simulation.h: the simulated proactor, "sim": a TCP network of its own, and a clock that jumps.
 */
#ifndef PROLOOP_SRC_SIM_SIMULATION_H
#define PROLOOP_SRC_SIM_SIMULATION_H

#include "../proactor.h"

extern const pl__proactor_class pl__simulation;

/* A host that takes its time to answer a connect. */
typedef struct pl__simulated_host {
    const char *address; /* in text form */
    pl_duration delay;   /* exactly that, > 0 */
    int error;           /* the answer; PL_OK: that of a host without delay */
} pl__simulated_host;

/* For tests: the hosts of all simulations from now on; the table stays the caller's. */
void pl__simulation_set_hosts(const pl__simulated_host *hosts, size_t count);

/* What a look-up of a name finds, and when: the network has no names of its own. */
typedef struct pl__simulated_name {
    const char *name;
    uint8_t family;               /* of the look-up: PL_IPV4, PL_IPV6, or 0: both */
    pl_duration delay;            /* until the answer */
    int error;                    /* the answer; PL_OK: the addresses are */
    const char *const *addresses; /* in text form, */
    size_t count;                 /* so many */
} pl__simulated_name;

/* For tests: the names of all simulations from now on. What is asked for and not there is not known, PL_ENAME; with NULL
 * look-ups are not supported. The table stays the caller's. */
void pl__simulation_set_names(const pl__simulated_name *names, size_t count);

#endif
