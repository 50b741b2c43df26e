#include "handles.h"

#include <dirent.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__linux__)
#define DESCRIPTORS "/proc/self/fd"
#else
#define DESCRIPTORS "/dev/fd"
#endif

void handles_warm_up(void)
{
    struct addrinfo *found;
    if (getaddrinfo("localhost", NULL, NULL, &found) == 0)
        freeaddrinfo(found);
}

bool handles_take(handle_set *set)
{
    DIR *folder = opendir(DESCRIPTORS);
    const struct dirent *entry;
    if (folder == NULL)
        return false;
    set->count = 0;
    while ((entry = readdir(folder)) != NULL && set->count < HANDLES_MAX) {
        char *end;
        long fd = strtol(entry->d_name, &end, 10);
        if (end != entry->d_name && *end == '\0' && fd != dirfd(folder))
            set->values[set->count++] = (uintptr_t)fd;
    }
    closedir(folder);
    return true;
}

bool handles_restored(const handle_set *before, const handle_set *after)
{
    return after->count == before->count;
}

void handles_describe(uintptr_t value, char *text, size_t size)
{
    char path[64];
    ssize_t length;
    snprintf(path, sizeof path, DESCRIPTORS "/%lu", (unsigned long)value);
    length = readlink(path, text, size - 1);
    text[length < 0 ? 0 : length] = '\0';
}
