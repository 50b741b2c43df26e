/* What tests ask of processes: an interrupt from the keyboard, a child made by fork, who is alive. */
#ifndef PROLOOP_TESTS_PROCESS_H
#define PROLOOP_TESTS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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

/** The number that the system gives it; 0: it is no signal. */
int process_interrupt_number(void);

/** Whether this event (proloop/signal.h), or this signal, can be made here; makes it, in the calling thread if it can be. */
bool process_has(int event);
bool process_raise(int event);

/** The number of a signal that has no name in proloop/signal.h; 0: there is none. */
int process_unnamed_signal(void);

/** Whether interrupts are to be ignored. False: that cannot be done here. */
bool process_ignore_interrupts(bool ignore);

/** What the system does with interrupts by default is done again. */
void process_forget_interrupt_handlers(void);

/** From now on interrupts that reach the program's own handler are counted, and do nothing else. */
void process_count_interrupts(void);

/** Waits until so many were counted. */
void process_wait_interrupts(int count);

/** How many were. Takes the handler away. */
int process_interrupts_counted(void);

/** Runs fn(arg) in a child made by fork and gives what it returned, 0 to 100; -1: there is no such thing here. */
int process_fork(int (*fn)(void *arg), void *arg);

/** For process_fork: gives 7; is ended by an interrupt (101), else gives 33. */
int process_return_seven(void *arg);
int process_die_of_interrupt(void *arg);

/** This process's number. */
uint64_t process_id(void);

/** Whether there is a process of that number; on Unix also one that has ended and was not waited for. */
bool process_is_alive(uint64_t id);

/** Ends a child and waits for that, without collecting it. */
bool process_kill(uint64_t id);

/** Writes to a handle. */
bool process_write(uintptr_t handle, const void *data, size_t size);

/** Opens a handle that children inherit unless their parent prevents it, of a value that they do not have otherwise. */
uintptr_t process_open_inheritable(void);
void process_close_inheritable(uintptr_t value);

#ifdef __cplusplus
}
#endif

#endif
