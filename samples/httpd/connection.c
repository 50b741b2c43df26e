/* One connection: receives requests and has them answered, one after another, until either side has enough.
 *
 * Every wait is bounded: for a request to begin (idle_time), to arrive (request_time), and for each piece of
 * a response to go out (transfer_time).
 */
#include "connection.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "answer.h"
#include "date.h"

enum {
    BODY_SIZE = 64 * 1024, /* of requests: larger ones are not read */
    LINGER_SECONDS = 2,
    LOGGED_SIZE = 1000 /* of a request line */
};

/* How serving a request ends, if not with an error. */
enum { NO_REQUEST, NEXT_REQUEST, LAST_REQUEST };

static int64_t run(void *arg);
static void drop(void *arg);
static int64_t serve_request(struct connection *c);
static int64_t wait_for_request(struct connection *c);
static int64_t receive_request(struct connection *c, struct request *request);
static int64_t receive_head(struct connection *c);
static int64_t discard_body(struct connection *c, const struct request *request);
static int64_t receive(struct connection *c);
static void close_gently(struct connection *c);
static void free_texts(struct connection *c);
static void log_request(const struct connection *c);

/* --- The set of connections --------------------------------------------------------------------------------------- */

int connection_spawn(struct server *server, pl_group *group, pl_stream *peer)
{
    struct connection *c = calloc(1, sizeof *c);
    if (!c) {
        pl_stream_abort(peer);
        return PL_ENOMEM;
    }
    c->server = server;
    c->peer = peer;
    pl_address address;
    if (pl_stream_peer_address(peer, &address) < 0 ||
        pl_address_format(&address, c->peer_name, sizeof c->peer_name) < 0)
        snprintf(c->peer_name, sizeof c->peer_name, "-");
    c->next = server->connections;
    if (c->next)
        c->next->previous = c;
    server->connections = c;
    server->count++;
    return pl_group_spawn(group, run, c, drop);
}

static void drop(void *arg)
{
    struct connection *c = arg;
    struct server *server = c->server;
    if (c->next)
        c->next->previous = c->previous;
    if (c->previous)
        c->previous->next = c->next;
    else
        server->connections = c->next;
    server->count--;
    if (server->ended)
        pl_future_set_result(server->ended, 0);
    pl_stream_close(c->peer);
    free_texts(c);
    text_free(&c->input);
    free(c);
}

void connections_stop(struct server *server)
{
    server->stopping = true;
    for (struct connection *c = server->connections; c; c = c->next) {
        if (c->idle)
            pl_timeout_reschedule(c->idle, 0);
    }
}

int64_t connections_wait_for_fewer(struct server *server, size_t count)
{
    int64_t rc = PL_OK;
    while (rc >= 0 && server->count >= count) {
        rc = pl_future_create(&server->ended, NULL);
        if (rc < 0)
            break;
        rc = pl_await(server->ended);
        pl_future_unref(server->ended);
        server->ended = NULL;
    }
    return rc;
}

/* --- One of them -------------------------------------------------------------------------------------------------- */

/* Whether an error is the affair of the peer, or of who stops the server, and not to be reported. */
static bool is_ordinary_end(int64_t error)
{
    return error == PL_EOF || error == PL_ECONNRESET || error == PL_ECONNABORTED || error == PL_ECONNTIMEDOUT ||
           error == PL_EPIPE || error == PL_ETIMEDOUT || error == PL_ECANCELED;
}

static int64_t run(void *arg)
{
    struct connection *c = arg;
    int64_t rc;
    do
        rc = serve_request(c);
    while (rc == NEXT_REQUEST);
    if (rc == LAST_REQUEST) {
        close_gently(c);
    } else if (rc < 0) { /* a response that was cut must not look as if it were whole */
        pl_stream_abort(c->peer);
        c->peer = NULL;
    }
    drop(c);
    return rc >= 0 || is_ordinary_end(rc) ? 0 : rc;
}

static int64_t serve_request(struct connection *c)
{
    int64_t rc = wait_for_request(c);
    if (rc <= 0)
        return rc < 0 ? rc : NO_REQUEST;
    c->begun = pl_loop_time(pl_loop_running());
    c->keep_alive = false;
    c->head_only = false;
    c->status = 0;
    c->sent = 0;
    struct request request;
    rc = receive_request(c, &request);
    if (rc > 0)
        rc = answer_status(c, (int)rc);
    else if (rc == 0)
        rc = answer(c, &request);
    if (c->status)
        log_request(c);
    c->served_one = true;
    if (rc < 0)
        return rc;
    return c->keep_alive ? NEXT_REQUEST : LAST_REQUEST;
}

/* Lets the peer read the last response: data that we had not received when we closed would make the system
 * reset the connection, and the peer lose what it has not read yet. So only our side is closed, until the
 * peer closes its own. */
static void close_gently(struct connection *c)
{
    pl_timeout limit = {0};
    if (pl_stream_shutdown(c->peer) < 0 || pl_timeout_begin(&limit, PL_SECONDS(LINGER_SECONDS)) < 0)
        return;
    const void *data;
    int64_t n;
    while ((n = pl_read_borrow(c->peer, &data)) > 0)
        pl_read_return(c->peer);
    pl_timeout_end(&limit, n);
}

static void free_texts(struct connection *c)
{
    text_free(&c->head);
    text_free(&c->path);
    text_free(&c->file_name);
    text_free(&c->output);
    text_free(&c->page);
}

/* Plain standard output: who pipes it into a program should see to it that this reads. */
static void log_request(const struct connection *c)
{
    if (c->server->quiet)
        return;
    char date[DATE_TEXT_SIZE];
    date_write_log((int64_t)time(NULL), date);
    const struct text *source = c->head.size ? &c->head : &c->input;
    struct piece line = {source->data, source->size ? strcspn(source->data, "\r\n") : 0};
    line.size = line.size < LOGGED_SIZE ? line.size : LOGGED_SIZE;
    struct text escaped = {0};
    text_append_log(&escaped, line);
    double milliseconds = (double)(pl_loop_time(pl_loop_running()) - c->begun) / 1e6;
    printf("%s - - [%s] \"%s\" %d %" PRId64 " %.3fms\n", c->peer_name, date, escaped.data ? escaped.data : "",
           c->status, c->sent, milliseconds);
    fflush(stdout);
    text_free(&escaped);
}

/* --- Receiving ---------------------------------------------------------------------------------------------------- */

/* Whether anything but line ends is there; some clients send these between requests. */
static bool request_has_begun(struct connection *c)
{
    if (c->input.size > 0)
        text_take(&c->input, strspn(c->input.data, "\r\n"));
    return c->input.size > 0;
}

/* Positive: a request begins; 0: none will. An idle connection holds no memory for texts. */
static int64_t wait_for_request(struct connection *c)
{
    if (request_has_begun(c))
        return 1;
    if (c->server->stopping)
        return 0;
    free_texts(c);
    text_free(&c->input);
    pl_timeout limit = {0};
    int64_t rc = pl_timeout_begin(&limit, c->served_one ? c->server->idle_time : c->server->request_time);
    if (rc < 0)
        return rc;
    c->idle = &limit;
    do
        rc = receive(c);
    while (rc > 0 && !request_has_begun(c));
    c->idle = NULL;
    rc = pl_timeout_end(&limit, rc);
    return rc == PL_ETIMEDOUT ? 0 : rc;
}

/* 0, the status of a refusal, or an error. */
static int64_t receive_request(struct connection *c, struct request *request)
{
    text_clear(&c->head);
    pl_timeout limit = {0};
    int64_t rc = pl_timeout_begin(&limit, c->server->request_time);
    if (rc < 0)
        return rc;
    rc = receive_head(c);
    if (rc == 0)
        rc = request_read(request, c->head.data, c->head.size);
    if (rc == 0) {
        /* Who holds one of the last places must give it back after the answer. */
        c->keep_alive = request->keep_alive && c->server->count < c->server->most;
        c->head_only = request->method == METHOD_HEAD;
        rc = discard_body(c, request);
    }
    rc = pl_timeout_end(&limit, rc);
    if (rc != 0)
        c->keep_alive = false; /* where the next request begins is not known */
    return rc == PL_ETIMEDOUT ? 408 : rc;
}

/* Moves the head from the input to where it stays while it is answered. */
static int64_t receive_head(struct connection *c)
{
    size_t searched = 0;
    size_t size;
    while ((size = request_head_size(c->input.data, c->input.size, &searched)) == 0) {
        int refusal = request_refuse_size(c->input.data, c->input.size);
        if (refusal)
            return refusal;
        int64_t rc = receive(c);
        if (rc <= 0)
            return rc < 0 ? rc : PL_EOF;
    }
    text_append(&c->head, c->input.data, size);
    text_take(&c->input, size);
    return c->head.failed ? PL_ENOMEM : 0;
}

/* Nothing here wants a body. A small one is read so that the connection can go on; after another it ends. */
static int64_t discard_body(struct connection *c, const struct request *request)
{
    int64_t left = request->body_size > 0 ? request->body_size : 0;
    if (request->chunked || left > BODY_SIZE || (left > 0 && request->expects_continue)) {
        c->keep_alive = false;
        if (request->method == METHOD_OTHER)
            return 0; /* has an answer of its own */
        return request->chunked ? 411 : left > BODY_SIZE ? 413 : 0;
    }
    while (left > 0) {
        int64_t rc = c->input.size == 0 ? receive(c) : 1;
        if (rc <= 0)
            return rc < 0 ? rc : PL_EOF;
        size_t taken = c->input.size < (size_t)left ? c->input.size : (size_t)left;
        text_take(&c->input, taken);
        left -= (int64_t)taken;
    }
    return 0;
}

/* Appends what the peer sends next to the input. 0: it sends no more. */
static int64_t receive(struct connection *c)
{
    const void *data;
    int64_t n = pl_read_borrow(c->peer, &data);
    if (n <= 0)
        return n;
    text_append(&c->input, data, (size_t)n);
    pl_read_return(c->peer);
    return c->input.failed ? PL_ENOMEM : n;
}
