/* What the tests of connecting to several addresses share: a report of the attempts, and the look at what was connected. */
#ifndef PROLOOP_TESTS_ATTEMPTS_H
#define PROLOOP_TESTS_ATTEMPTS_H

#include <string.h>

#include <proloop/proloop.h>

#include "harness.h"
#include "loopback.h"

enum { ATTEMPTS = 8 };

static pl_connect_attempt told[ATTEMPTS];
static pl_connect_report report;

/* Options that ask for a report, into `report` and `told`. */
static inline pl_connect_options reporting(void)
{
    pl_connect_options options = {.size = sizeof options, .report = &report};
    memset(told, 0, sizeof told);
    report.attempts = told;
    report.capacity = ATTEMPTS;
    report.count = 77;
    return options;
}

static inline pl_address at(const char *text, uint16_t port)
{
    pl_address address = {0};
    CHECK_EQ_INT(pl_address_parse(&address, text, port), PL_OK);
    return address;
}

/* Accepts what `client` is connected to, looks that bytes flow, and closes all three. */
static inline void take_connection(pl_listener *listener, pl_stream *client)
{
    pl_stream *server = NULL;
    CHECK_EQ_INT(pl_accept(listener, &server), PL_OK);
    if (client && server)
        CHECK(connection_works(client, server));
    pl_stream_close(client);
    pl_stream_close(server);
    pl_listener_close(listener);
}

#endif
