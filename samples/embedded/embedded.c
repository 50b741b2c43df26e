/* embedded: an event loop inside a foreign one.
 *
 * The host has a loop of its own and owns the thread. In it lives a loop of proloop, whose tasks talk to one another over
 * the network: a server that echoes, and clients that send it what they know and check what comes back. When the last
 * client has ended, the host is told to quit.
 *
 * What the two have to know of one another is in host_posix.c and host_win.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "../arguments.h"
#include "host.h"

enum { PIECE = 4096 };

static int64_t clients = 20;
static int64_t pieces = 50;
static int64_t echoed;

static int64_t serve(void *arg);
static int64_t echo(void *arg);
static int64_t talk(void *arg);
static int64_t run_clients(void *arg);

int main(int argc, char **argv)
{
    const struct argument table[] = {
        ARGUMENT_NUMBER("--clients", "how many", &clients, 1, 1000),
        ARGUMENT_NUMBER("--pieces", "how many pieces of 4 KiB each of them sends", &pieces, 1, 100000),
    };
    int code = arguments_read(argc, argv, "Runs an echo server and its clients inside a foreign loop.", table,
                              sizeof table / sizeof table[0]);
    if (code != ARGUMENTS_GO_ON)
        return code;
    pl_loop *loop = NULL;
    int64_t rc = pl_loop_create(&loop, NULL);
    const pl_task_options options = {.size = sizeof options, .loop = loop, .name = "clients"};
    if (rc >= 0)
        rc = pl_spawn(NULL, run_clients, NULL, &options);
    if (rc >= 0)
        rc = host_run(loop);
    (void)pl_loop_close(loop);
    if (rc < 0) {
        fprintf(stderr, "embedded: %s\n", pl_error_text(rc));
        return 1;
    }
    printf("%" PRId64 " clients, %" PRId64 " bytes echoed\n", clients, echoed);
    printf("the host went on meanwhile: %s\n", rc > 0 ? "yes" : "no");
    return echoed == clients * pieces * PIECE && rc > 0 ? 0 : 1;
}

int host_patience(pl_loop *loop, int limit)
{
    pl_duration deadline = pl_loop_next_deadline(loop);
    pl_duration left = deadline - pl_loop_time(loop);
    if (deadline == PL_FOREVER || left > PL_MS(limit))
        return limit;
    return left <= 0 ? 0 : (int)((left + PL_MS(1) - 1) / PL_MS(1));
}

/* --- The server --------------------------------------------------------------------------------------------------- */

static int64_t serve(void *arg)
{
    pl_listener *listener = arg;
    pl_stream *stream;
    int64_t rc;
    while ((rc = pl_accept(listener, &stream)) >= 0) {
        rc = pl_spawn(NULL, echo, stream, NULL);
        if (rc < 0)
            pl_stream_close(stream);
    }
    return rc == PL_ECLOSED ? PL_OK : rc;
}

static int64_t echo(void *arg)
{
    pl_stream *stream = arg;
    char data[PIECE];
    int64_t count;
    while ((count = pl_read(stream, data, sizeof data)) > 0) {
        int64_t rc = pl_write(stream, data, (size_t)count);
        if (rc < 0)
            break;
    }
    pl_stream_close(stream);
    return count;
}

/* --- The clients -------------------------------------------------------------------------------------------------- */

/* One piece there and back. */
static int64_t exchange(pl_stream *stream, int64_t number)
{
    char sent[PIECE], received[PIECE];
    memset(sent, (int)(number % 251), sizeof sent);
    int64_t rc = pl_write(stream, sent, sizeof sent);
    for (size_t size = 0; rc >= 0 && size < sizeof received; size += (size_t)rc) {
        rc = pl_read(stream, received + size, sizeof received - size);
        if (rc == 0)
            rc = PL_EOF;
    }
    return rc >= 0 && memcmp(sent, received, sizeof sent) != 0 ? PL_EIO : rc;
}

static int64_t talk(void *arg)
{
    const uint16_t *port = arg;
    pl_stream *stream;
    int64_t rc = pl_tcp_connect(&stream, "127.0.0.1", *port, NULL);
    if (rc < 0)
        return rc;
    for (int64_t i = 0; i < pieces && rc >= 0; i++) {
        rc = exchange(stream, i);
        if (rc >= 0)
            echoed += PIECE;
        if (i % 10 == 9)
            (void)pl_sleep(PL_MS(1)); /* so that there are deadlines, too */
    }
    pl_stream_close(stream);
    return rc;
}

static int64_t run_clients(void *arg)
{
    pl_listener *listener;
    pl_address address;
    pl_group group = {0};
    int64_t rc = pl_tcp_listen(&listener, "127.0.0.1", 0, NULL);
    (void)arg;
    if (rc < 0) {
        host_quit();
        return rc;
    }
    (void)pl_listener_address(listener, &address);
    (void)pl_spawn(NULL, serve, listener, NULL);
    rc = pl_group_begin(&group, PL_GROUP_FAIL_FAST);
    for (int64_t i = 0; i < clients && rc >= 0; i++)
        rc = pl_group_spawn(&group, talk, &address.port, NULL);
    rc = pl_group_end(&group, rc);
    pl_listener_close(listener);
    host_quit();
    return rc;
}
