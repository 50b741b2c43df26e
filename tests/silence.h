/* A port of this machine at which a listener does not answer, as it has more connections than it takes. */
#ifndef PROLOOP_TESTS_SILENCE_H
#define PROLOOP_TESTS_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

/** At 127.0.0.1. False: not to be had on this system. */
bool silence_begin(uint16_t *port);
void silence_end(void);

#endif
