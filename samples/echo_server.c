/* echo_server: sends back whatever it gets.
 *
 * The model program: a main task that accepts, and a task for each connection, children of one group. A task
 * waits in plain calls (pl_accept, pl_read_borrow, pl_write) while the others run; all of them share one
 * thread. Ctrl-C makes the main task's wait return PL_ECANCELED: it stops listening, cancels the connections'
 * tasks and waits for their end.
 */
#include <stdio.h>

#include <proloop/proloop.h>

#include "arguments.h"

static int64_t port = 7000;
static const char *host = "127.0.0.1";
static int64_t max_connections = 10000;

static int64_t serve(void *unused);
static int64_t accept_connections(pl_listener *listener, pl_group *clients);
static int64_t echo(void *arg);

int main(int argc, char **argv)
{
    const struct argument table[] = {
        ARGUMENT_NUMBER("--port", "where to listen; 0: any", &port, 0, 65535),
        ARGUMENT_TEXT("--host", "address to listen on", &host),
        ARGUMENT_NUMBER("--max-connections", "more than these are closed at once", &max_connections, 1, 1000000),
    };
    int code =
        arguments_read(argc, argv, "Sends back whatever it gets, over TCP.", table, sizeof table / sizeof table[0]);
    if (code != ARGUMENTS_GO_ON)
        return code;
    int64_t rc = pl_run(serve, NULL, NULL);
    if (rc >= 0 || rc == PL_EINTERRUPTED) /* ended by Ctrl-C: as it should */
        return 0;
    fprintf(stderr, "echo_server: %s:%d: %s\n", host, (int)port, pl_error_text(rc));
    return 1;
}

static int64_t serve(void *unused)
{
    (void)unused;
    pl_listener *listener;
    int64_t rc = pl_tcp_listen(&listener, host, (uint16_t)port, NULL);
    if (rc < 0)
        return rc;
    pl_address address;
    char text[PL_ADDRESS_TEXT_SIZE] = "?";
    if (pl_listener_address(listener, &address) >= 0)
        pl_address_format(&address, text, sizeof text);
    printf("listening on %s\n", text);
    fflush(stdout);

    pl_group clients = {0};
    pl_group_begin(&clients, PL_GROUP_SUPERVISE); /* a child's error is reported and cancels nobody */
    rc = accept_connections(listener, &clients);
    pl_listener_close(listener);
    printf("stopped: %d connections dropped\n", (int)pl_group_size(&clients));
    fflush(stdout);
    pl_group_cancel(&clients);
    return pl_group_end(&clients, rc);
}

/* Goes on until it is cancelled. */
static int64_t accept_connections(pl_listener *listener, pl_group *clients)
{
    for (;;) {
        pl_stream *peer;
        int64_t rc = pl_accept(listener, &peer);
        if (rc < 0)
            return rc;
        if (pl_group_size(clients) < (size_t)max_connections)
            rc = pl_group_spawn(clients, echo, peer, pl_stream_drop);
        else
            pl_stream_abort(peer);
        if (rc < 0)
            return rc;
    }
}

/* The task of one connection. */
static int64_t echo(void *arg)
{
    pl_stream *peer = arg;
    const void *data;
    int64_t n;
    while ((n = pl_read_borrow(peer, &data)) > 0) { /* a pooled buffer, lent when bytes are there */
        n = pl_write(peer, data, (size_t)n);
        pl_read_return(peer);
        if (n < 0)
            break;
    }
    pl_stream_close(peer);
    return n == PL_ECONNRESET ? 0 : n; /* a peer may leave as it likes */
}
