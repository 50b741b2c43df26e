#include "pipe_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

bool pipe_files_exist(void)
{
    return true;
}

int pipe_file_mode(const char *path)
{
    struct stat status;
    return lstat(path, &status) == 0 && S_ISSOCK(status.st_mode) ? (int)(status.st_mode & 07777) : -1;
}

static struct sockaddr_un address_of(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    return address;
}

bool pipe_file_leave_stale(const char *path, bool messages)
{
    struct sockaddr_un address = address_of(path);
    int descriptor = socket(AF_UNIX, messages ? SOCK_SEQPACKET : SOCK_STREAM, 0);
    bool made = descriptor >= 0 && bind(descriptor, (const struct sockaddr *)&address, sizeof address) == 0;
    if (descriptor >= 0)
        close(descriptor);
    return made;
}

void pipe_file_path(const char *name, char *path, size_t size)
{
    const char *folder = getenv("XDG_RUNTIME_DIR");
    struct stat status;
    if (folder && folder[0] == '/' && lstat(folder, &status) == 0 && status.st_uid == geteuid())
        snprintf(path, size, "%s/%s", folder, name);
    else
        snprintf(path, size, "/tmp/proloop-%u/%s", (unsigned)geteuid(), name);
}

bool pipe_file_write_nothing(const char *path, const char *then, bool messages)
{
    struct sockaddr_un address = address_of(path);
    int descriptor = socket(AF_UNIX, messages ? SOCK_SEQPACKET : SOCK_STREAM, 0);
    bool sent = descriptor >= 0 && connect(descriptor, (const struct sockaddr *)&address, sizeof address) == 0 &&
                send(descriptor, "", 0, MSG_NOSIGNAL) == 0 &&
                send(descriptor, then, strlen(then), MSG_NOSIGNAL) == (ssize_t)strlen(then);
    if (descriptor >= 0)
        close(descriptor);
    return sent;
}
