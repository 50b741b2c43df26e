/* The command line of the samples. */
#include "arguments.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct argument *find(const char *word, const struct argument *table, size_t size);
static const struct argument *next_by_place(const struct argument *last, const struct argument *table, size_t size);
static bool store(const struct argument *argument, const char *value);
static void print_help(const char *program, const char *about, const struct argument *table, size_t size);

int arguments_read(int count, char **words, const char *about, const struct argument *table, size_t size)
{
    const char *program = count > 0 ? words[0] : "?";
    const struct argument *by_place = NULL;
    for (int i = 1; i < count; i++) {
        const char *word = words[i];
        if (strcmp(word, "--help") == 0) {
            print_help(program, about, table, size);
            return 0;
        }
        if (word[0] != '-') {
            by_place = next_by_place(by_place, table, size);
            if (!by_place || !store(by_place, word)) {
                fprintf(stderr, "%s: an argument too many: '%s' (see --help)\n", program, word);
                return 2;
            }
            continue;
        }
        const struct argument *found = find(word, table, size);
        if (!found) {
            fprintf(stderr, "%s: no such option: %s (see --help)\n", program, word);
            return 2;
        }
        const char *value = strchr(word, '=');
        if (value)
            value++;
        else if (!found->flag && i + 1 < count)
            value = words[++i];
        if (!store(found, value)) {
            fprintf(stderr, "%s: not a value for %s: %s (see --help)\n", program, found->name,
                    value ? value : "nothing");
            return 2;
        }
    }
    return ARGUMENTS_GO_ON;
}

static const struct argument *find(const char *word, const struct argument *table, size_t size)
{
    size_t length = strcspn(word, "=");
    for (size_t i = 0; i < size; i++) {
        if (strlen(table[i].name) == length && memcmp(table[i].name, word, length) == 0)
            return &table[i];
    }
    return NULL;
}

static const struct argument *next_by_place(const struct argument *last, const struct argument *table, size_t size)
{
    for (const struct argument *next = last ? last + 1 : table; next < table + size; next++) {
        if (next->name[0] != '-')
            return next;
    }
    return NULL;
}

static bool store(const struct argument *argument, const char *value)
{
    if (argument->flag) {
        *argument->flag = true;
        return value == NULL;
    }
    if (!value)
        return false;
    if (argument->text) {
        *argument->text = value;
        return value[0] != '\0';
    }
    char *end;
    long long number = strtoll(value, &end, 10);
    *argument->number = number;
    return end != value && *end == '\0' && number >= argument->least && number <= argument->most;
}

static void print_help(const char *program, const char *about, const struct argument *table, size_t size)
{
    printf("usage: %s [options]", program);
    for (size_t i = 0; i < size; i++) {
        if (table[i].name[0] != '-')
            printf(" [%s]", table[i].name);
    }
    printf("\n%s\n\n", about);
    for (size_t i = 0; i < size; i++) {
        const struct argument *each = &table[i];
        bool named = each->name[0] == '-';
        char name[40];
        snprintf(name, sizeof name, "%s%s", each->name, !named || each->flag ? "" : each->number ? " N" : " TEXT");
        printf("  %-22s %s", name, each->meaning);
        if (each->number)
            printf(" (%" PRId64 ")", *each->number);
        else if (each->text)
            printf(" (%s)", *each->text);
        printf("\n");
    }
    printf("  %-22s %s\n", "--help", "says this");
}
