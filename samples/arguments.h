/* arguments.h: the command line of the samples, read by a table.
 *
 * A program lists its arguments, each with the variable that gets the value; the variable's value beforehand
 * is the default. "--port 80" and "--port=80" are the same.
 */
#ifndef SAMPLES_ARGUMENTS_H
#define SAMPLES_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** One argument; made by the macros below. Exactly one of number, text and flag is set. */
struct argument {
    const char *name;    /* "--port"; without dashes: an argument known by its place, such as "folder" */
    const char *meaning; /* for --help */
    int64_t *number;     /* wants a whole number, from least to most */
    int64_t least;
    int64_t most;
    const char **text; /* wants any text */
    bool *flag;        /* wants no value */
};

#define ARGUMENT_NUMBER(name, meaning, variable, least, most)                                                          \
    {                                                                                                                  \
        name, meaning, variable, least, most, NULL, NULL                                                               \
    }
#define ARGUMENT_TEXT(name, meaning, variable)                                                                         \
    {                                                                                                                  \
        name, meaning, NULL, 0, 0, variable, NULL                                                                      \
    }
#define ARGUMENT_FLAG(name, meaning, variable)                                                                         \
    {                                                                                                                  \
        name, meaning, NULL, 0, 0, NULL, variable                                                                      \
    }

enum { ARGUMENTS_GO_ON = -1 };

/** Reads a command line into the variables of the table; answers --help on stdout, mistakes on stderr.
 *  @param about  one line that says what the program does
 *  @return ARGUMENTS_GO_ON, or the exit code of the program: 0 after --help, 2 after a mistake. */
int arguments_read(int count, char **words, const char *about, const struct argument *table, size_t size);

#endif
