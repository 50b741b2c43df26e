/* simulation.h: the simulated proactor, "sim": a TCP network of its own, and a clock that jumps.
 */
#ifndef PROLOOP_SRC_SIM_SIMULATION_H
#define PROLOOP_SRC_SIM_SIMULATION_H

#include "../proactor.h"

extern const pl__proactor_class pl__simulation;

#endif
