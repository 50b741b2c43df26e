/* A console of Windows that a case plays: the linker gives the library's calls to it, and it answers as a real one was seen
 * to. Between console_begin and console_end standard input and standard error are that console.
 */
#ifndef PROLOOP_TESTS_SHIMS_CONSOLE_H
#define PROLOOP_TESTS_SHIMS_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <wchar.h>

/* --- The control handler --- */

/* From now on adding a handler fails, or not. */
void console_refuse_handlers(bool refuse);

/* Whether the library has added its handler. */
bool console_has_handler(void);

/* Calls it in this thread, as the system would: whether it says that the event is dealt with. */
bool console_send(unsigned event);

/* How often it has left time to the rest of main(). */
int console_partings(void);

/* --- Input and output --- */

bool console_begin(void);
void console_end(void);

/* What the user does: types (no Enter, no control character), presses a key, Ctrl-C. */
void console_type(const wchar_t *text);
void console_press(wchar_t character); /* \r ends a line */
void console_interrupt(void);

/* The next reads fail with this Win32 code; 0: no longer. */
void console_fail_reads(unsigned error);

/* Nobody may put keys into its input. */
void console_refuse_keys(bool refuse);

/* Cancels of a thread's calls find none, though one is made. */
void console_lose_cancels(bool lose);

/* Threads get no handle to themselves; nobody gets another handle. */
void console_refuse_threads(bool refuse);
void console_refuse_handles(bool refuse);

/* When a key is put into its input the user has just pressed Enter. */
void console_press_before_key(bool press);

/* Lines, as usual, or single characters. */
void console_set_lines(bool lines);

/* Waits until a read is in the system. */
void console_wait_for_reader(void);

/* Since console_begin: reads that began; characters that the last one was to go on with; keys put in, and taken back;
 * cancels of a thread's calls. */
int console_reads(void);
unsigned console_initial(void);
int console_keys(void);
int console_keys_taken_back(void);
int console_cancels(void);

/* The console takes so many characters in one call; 0: fails. */
void console_take(unsigned characters);

/* What was written, NUL at the end. */
const wchar_t *console_written(void);

#endif
