/* httpd: serves a folder over HTTP/1.1.
 *
 * The model: a main task accepts connections (this file); each gets a task of its own (connection.c), a child
 * of one group. What needs no waiting is plain functions on text, apart from all that: requests are read in
 * request.c, path.c decides which paths name something in the folder, response.c writes heads and pages.
 *
 * Ctrl-C makes the main task's wait return PL_ECANCELED. It then stops listening, ends the idle connections,
 * and gives the others a time of grace, in a shielded region, because outside it every wait would now be
 * cancelled. What is left after that is cancelled with the group.
 */
#include <stdio.h>

#include <proloop/proloop.h>

#include "../arguments.h"
#include "connection.h"

static const char *root = ".";
static const char *host = "127.0.0.1";
static int64_t port = 8080;
static int64_t most_connections = 1000;
static int64_t request_seconds = 10;
static int64_t idle_seconds = 15;
static int64_t transfer_seconds = 30;
static int64_t grace_seconds = 5;
static bool quiet;
static bool explained; /* why the program ends */

static int64_t serve(void *unused);
static int64_t check_root(void);
static int64_t serve_connections(pl_listener *listener);
static int64_t accept_connections(pl_listener *listener, struct server *server, pl_group *group);
static void finish_requests(struct server *server);
static int64_t explain(const char *what, int64_t error);

int main(int argc, char **argv)
{
    const struct argument table[] = {
        ARGUMENT_TEXT("folder", "what to serve", &root),
        ARGUMENT_TEXT("--host", "address to listen on", &host),
        ARGUMENT_NUMBER("--port", "where to listen; 0: any", &port, 0, 65535),
        ARGUMENT_NUMBER("--max-connections", "at a time; others wait", &most_connections, 1, 1000000),
        ARGUMENT_NUMBER("--header-time", "seconds for a request to arrive", &request_seconds, 1, 3600),
        ARGUMENT_NUMBER("--idle", "seconds between two requests", &idle_seconds, 1, 3600),
        ARGUMENT_NUMBER("--transfer-time", "seconds for 256 KiB of a response", &transfer_seconds, 1, 3600),
        ARGUMENT_NUMBER("--grace", "seconds that Ctrl-C leaves to requests", &grace_seconds, 0, 3600),
        ARGUMENT_FLAG("--quiet", "writes no access log", &quiet),
    };
    int code = arguments_read(argc, argv, "Serves a folder over HTTP/1.1.", table, sizeof table / sizeof table[0]);
    if (code != ARGUMENTS_GO_ON)
        return code;
    int64_t rc = pl_run(serve, NULL, NULL);
    if (rc >= 0 || rc == PL_EINTERRUPTED) /* ended by Ctrl-C: as it should */
        return 0;
    if (!explained)
        explain("stopped", rc);
    return 1;
}

static int64_t serve(void *unused)
{
    (void)unused;
    int64_t rc = check_root();
    if (rc < 0)
        return explain(root, rc);
    pl_listener *listener;
    rc = pl_tcp_listen(&listener, host, (uint16_t)port, NULL);
    if (rc < 0) {
        char where[300];
        snprintf(where, sizeof where, "%.250s port %d", host, (int)port);
        return explain(where, rc);
    }
    pl_address address;
    char text[PL_ADDRESS_TEXT_SIZE] = "?";
    if (pl_listener_address(listener, &address) >= 0)
        pl_address_format(&address, text, sizeof text);
    printf("listening on http://%s/\n", text);
    fflush(stdout);
    return serve_connections(listener);
}

static int64_t check_root(void)
{
    pl_file_info info;
    int64_t rc = pl_file_stat(root, &info);
    return rc >= 0 && info.kind != PL_FILE_FOLDER ? PL_ENOTDIR : rc;
}

static int64_t explain(const char *what, int64_t error)
{
    explained = error != PL_ECANCELED;
    if (explained)
        fprintf(stderr, "httpd: %s: %s\n", what, pl_error_text(error));
    return error;
}

/* Takes the listener. */
static int64_t serve_connections(pl_listener *listener)
{
    struct server server = {
        .root = root,
        .request_time = PL_SECONDS(request_seconds),
        .idle_time = PL_SECONDS(idle_seconds),
        .transfer_time = PL_SECONDS(transfer_seconds),
        .most = (size_t)most_connections,
        .quiet = quiet,
    };
    pl_group group = {0};
    int64_t rc = pl_group_begin(&group, PL_GROUP_SUPERVISE);
    if (rc < 0) {
        pl_listener_close(listener);
        return rc;
    }
    rc = accept_connections(listener, &server, &group);
    pl_listener_close(listener);
    finish_requests(&server);
    printf("stopped: %d connections dropped\n", (int)server.count);
    fflush(stdout);
    pl_group_cancel(&group);
    return pl_group_end(&group, rc);
}

/* Goes on until it is cancelled. When all places are taken, clients wait in the system's queue. */
static int64_t accept_connections(pl_listener *listener, struct server *server, pl_group *group)
{
    for (;;) {
        int64_t rc = connections_wait_for_fewer(server, server->most);
        if (rc < 0)
            return rc;
        pl_stream *peer;
        rc = pl_accept(listener, &peer);
        if (rc < 0)
            return rc;
        rc = connection_spawn(server, group, peer);
        if (rc < 0)
            pl_loop_report(pl_loop_running(), &(pl_report){.message = "a connection was not served", .error = rc});
    }
}

static void finish_requests(struct server *server)
{
    connections_stop(server);
    pl_shielded shielded = {0};
    if (pl_shielded_begin(&shielded) < 0)
        return;
    pl_timeout grace = {0};
    int64_t rc = pl_timeout_begin(&grace, PL_SECONDS(grace_seconds));
    if (rc >= 0) {
        rc = connections_wait_for_fewer(server, 1);
        pl_timeout_end(&grace, rc);
    }
    pl_shielded_end(&shielded);
}
