/* connection.h: the connections of the server, each with a task of its own. */
#ifndef HTTPD_CONNECTION_H
#define HTTPD_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include <proloop/proloop.h>

#include "text.h"

struct connection;

/** What all connections share. */
struct server {
    const char *root;          /* the folder that is served */
    pl_duration request_time;  /* for a request to arrive, from its first byte */
    pl_duration idle_time;     /* between two requests */
    pl_duration transfer_time; /* for each piece of a response */
    size_t most;               /* connections at a time */
    bool quiet;                /* no access log */

    bool stopping;                  /* responses under way are the last */
    size_t count;                   /* of the connections below */
    struct connection *connections; /* in a list */
    pl_future *ended;               /* made by who waits for the end of a connection, else NULL */
};

/** One connection. */
struct connection {
    struct server *server;
    struct connection *next;
    struct connection *previous;
    pl_stream *peer;
    char peer_name[PL_ADDRESS_TEXT_SIZE];
    pl_timeout *idle;  /* the limit of the wait for a request; NULL: not in that wait */
    struct text input; /* received and not yet used */
    bool served_one;

    /* of the request under way: */
    struct text head;
    struct text path;      /* relative to the folder */
    struct text file_name; /* with the folder */
    struct text output;
    struct text page;
    pl_duration begun;
    bool keep_alive;
    bool head_only; /* HEAD: the body is left out */
    int status;     /* that was sent; 0: none */
    int64_t sent;   /* bytes of the body */
};

/** Serves a stream in a task of the group; the stream is taken, in failure too. */
int connection_spawn(struct server *server, pl_group *group, pl_stream *peer);

/** Makes every connection end: idle ones at once, others after the request they are in. */
void connections_stop(struct server *server);

/** Waits until there are fewer than so many. Task call. @return PL_OK, PL_ECANCELED, PL_ENOMEM. */
int64_t connections_wait_for_fewer(struct server *server, size_t count);

#endif
