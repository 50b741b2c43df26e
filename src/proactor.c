/* proactor.c: finding a proactor by its name. */
#include "proactor.h"

#include <stdlib.h>
#include <string.h>

const pl__proactor_class *pl__proactor_find(const char *name)
{
    if (!name || !*name)
        name = getenv("PROLOOP_BACKEND");
    if (!name || !*name)
        return pl__proactors[0];
    for (size_t i = 0; pl__proactors[i]; i++) {
        if (strcmp(pl__proactors[i]->name, name) == 0)
            return pl__proactors[i];
    }
    return NULL;
}
