/* dump.c: Ctrl-Break asks for a dump. The console handler (signal.c) looks for loops in debug mode before it takes
 * Ctrl-Break for an interrupt, so all there is to do is to have it installed. */
#include "system.h" /* first: a compiler's own header of atomic operations, which others include, disturbs it */

#include "../dump.h"

int pl__dump_key_watch(void)
{
    return pl__interrupt_install();
}

void pl__dump_key_unwatch(void)
{
}

/* There is no fork. */
void pl__dump_key_forget(void)
{
}
