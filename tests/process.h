/* What tests ask of their own process: an interrupt from the keyboard, a child made by fork. */
#ifndef PROLOOP_TESTS_PROCESS_H
#define PROLOOP_TESTS_PROCESS_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Whether interrupts come by a console: the process then gets one of its own, for which the system keeps handles. */
bool process_uses_console(void);

/** As if somebody pressed Ctrl-C; it may take effect after the return. False: that cannot be done here. */
bool process_interrupt(void);

/** Whether somebody handles interrupts: 1, 0: the system does what it does by default; -1: that cannot be asked here. */
int process_interrupt_is_handled(void);

/** As if the system asked the process to end: SIGTERM, Ctrl-Break. Likewise. */
bool process_terminate(void);

/** From now on interrupts that reach the program's own handler are counted, and do nothing else. */
void process_count_interrupts(void);

/** Waits until so many were counted. */
void process_wait_interrupts(int count);

/** How many were. Takes the handler away. */
int process_interrupts_counted(void);

/** Runs fn(arg) in a child made by fork and gives what it returned, 0 to 100; -1: there is no such thing here. */
int process_fork(int (*fn)(void *arg), void *arg);

#ifdef __cplusplus
}
#endif

#endif
