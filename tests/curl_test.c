/* libcurl's multi interface, driven by pollers and a timer: several transfers at once, from a server in the same loop. */
#include <proloop/proloop.h>

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"
#include "loopback.h"

enum { TRANSFERS = 6, PIECE = 16384 };

typedef struct driver {
    CURLM *multi;
    pl_timer timer;
    pl_future *all;
    int left;
} driver;

typedef struct watched_socket {
    pl_poller poller;
    driver *driver;
    curl_socket_t object;
} watched_socket;

typedef struct transfer {
    CURL *easy;
    char url[64];
    int64_t size;
    int64_t received;
    bool wrong;
    CURLcode code;
    bool done;
} transfer;

/* --- The driver --------------------------------------------------------------------------------------------------- */

static void look_for_ends(driver *d)
{
    CURLMsg *message;
    int waiting;
    while ((message = curl_multi_info_read(d->multi, &waiting)) != NULL) {
        transfer *t = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&t);
        t->code = message->data.result;
        t->done = true;
        if (--d->left == 0)
            CHECK_EQ_INT(pl_future_set_result(d->all, 0), PL_OK);
    }
}

static void act(driver *d, curl_socket_t object, int what)
{
    int running;
    CHECK_EQ_INT(curl_multi_socket_action(d->multi, object, what, &running), CURLM_OK);
    look_for_ends(d);
}

static void socket_called(pl_poller *poller, int events, void *arg)
{
    watched_socket *w = arg;
    int what = (events & PL_POLL_READABLE ? CURL_CSELECT_IN : 0) | (events & PL_POLL_WRITABLE ? CURL_CSELECT_OUT : 0);
    (void)poller;
    CHECK(events > 0);
    if (events & PL_POLL_ERROR)
        what |= CURL_CSELECT_ERR;
    act(w->driver, w->object, what); /* after which the socket may be gone, and `w` with it */
}

static void timer_called(void *arg)
{
    act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int on_socket(CURL *easy, curl_socket_t object, int what, void *arg, void *known)
{
    driver *d = arg;
    watched_socket *w = known;
    int events = what == CURL_POLL_REMOVE ? 0 : what; /* IN 1, OUT 2, INOUT 3 */
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        CHECK_EQ_INT(pl_poller_stop(&w->poller), 1);
        CHECK_EQ_INT(curl_multi_assign(d->multi, object, NULL), CURLM_OK);
        free(w);
        return 0;
    }
    if (w) {
        CHECK_EQ_INT(pl_poller_change(&w->poller, events), PL_OK);
        return 0;
    }
    w = calloc(1, sizeof *w);
    *w = (watched_socket){.driver = d, .object = object};
    CHECK_EQ_INT(pl_poller_start(&w->poller, NULL, (pl_socket)object, events, socket_called, w), PL_OK);
    CHECK_EQ_INT(curl_multi_assign(d->multi, object, w), CURLM_OK);
    return 0;
}

static int on_timer(CURLM *multi, long milliseconds, void *arg)
{
    driver *d = arg;
    (void)multi;
    if (milliseconds < 0)
        (void)pl_timer_stop(&d->timer);
    else
        CHECK_EQ_INT(pl_timer_start(&d->timer, NULL, PL_MS(milliseconds), timer_called, d), PL_OK);
    return 0;
}

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
    transfer *t = arg;
    t->wrong |= !pattern_holds(data, size * count, (uint64_t)t->received);
    t->received += (int64_t)(size * count);
    return size * count;
}

static void begin(driver *d, transfer *t, uint16_t port, int64_t size)
{
    memset(t, 0, sizeof *t);
    t->size = size;
    t->easy = curl_easy_init();
    (void)snprintf(t->url, sizeof t->url, "http://127.0.0.1:%u/%lld", (unsigned)port, (long long)size);
    curl_easy_setopt(t->easy, CURLOPT_URL, t->url);
    curl_easy_setopt(t->easy, CURLOPT_PROXY, "");
    curl_easy_setopt(t->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_PRIVATE, t);
    CHECK_EQ_INT(curl_multi_add_handle(d->multi, t->easy), CURLM_OK);
    d->left++;
}

static void end(driver *d, transfer *t)
{
    CHECK_EQ_INT(curl_multi_remove_handle(d->multi, t->easy), CURLM_OK);
    curl_easy_cleanup(t->easy);
}

static void driver_open(driver *d)
{
    memset(d, 0, sizeof *d);
    CHECK_EQ_INT(pl_future_create(&d->all, NULL), PL_OK);
    d->multi = curl_multi_init();
    curl_multi_setopt(d->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(d->multi, CURLMOPT_SOCKETDATA, d);
    curl_multi_setopt(d->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(d->multi, CURLMOPT_TIMERDATA, d);
}

static void driver_close(driver *d)
{
    CHECK_EQ_INT(curl_multi_cleanup(d->multi), CURLM_OK);
    (void)pl_timer_stop(&d->timer);
    pl_future_unref(d->all);
}

/* --- The server: GET /SIZE gives so many bytes of the pattern ------------------------------------------------------- */

static int64_t send_pattern(pl_stream *stream, int64_t size)
{
    char piece[PIECE];
    int64_t rc = PL_OK;
    for (int64_t sent = 0; sent < size && rc >= 0; sent += PIECE) {
        size_t count = size - sent < PIECE ? (size_t)(size - sent) : PIECE;
        pattern_fill(piece, count, (uint64_t)sent);
        rc = pl_write(stream, piece, count);
    }
    return rc;
}

static int64_t answer(void *arg)
{
    pl_stream *stream = arg;
    char text[4096];
    size_t have = 0;
    int64_t count, rc = PL_OK;
    while (rc >= 0 && (count = pl_read(stream, text + have, sizeof text - 1 - have)) > 0) {
        have += (size_t)count;
        text[have] = '\0';
        if (!strstr(text, "\r\n\r\n"))
            continue;
        int64_t size = strtoll(text + strlen("GET /"), NULL, 10);
        have = 0;
        char head[128];
        (void)snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", (long long)size);
        rc = pl_write(stream, head, strlen(head));
        if (rc >= 0)
            rc = send_pattern(stream, size);
    }
    pl_stream_close(stream);
    return 0;
}

static int64_t serve(void *arg)
{
    pl_listener *listener = arg;
    pl_stream *stream;
    while (pl_accept(listener, &stream) >= 0)
        CHECK_EQ_INT(pl_spawn(NULL, answer, stream, NULL), PL_OK);
    return 0;
}

/* --- Cases -------------------------------------------------------------------------------------------------------- */

TASK_CASE(several_transfers_at_once_are_exact)
{
    static transfer transfers[TRANSFERS];
    pl_listener *listener;
    uint16_t port;
    driver d;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_spawn(NULL, serve, listener, NULL), PL_OK);
    driver_open(&d);
    for (int i = 0; i < TRANSFERS; i++)
        begin(&d, &transfers[i], port, (int64_t)i * 700001);
    CHECK_EQ_INT(pl_await(d.all), 0);
    for (int i = 0; i < TRANSFERS; i++) {
        CHECK_EQ_INT(transfers[i].code, CURLE_OK);
        CHECK_EQ_INT(transfers[i].received, transfers[i].size);
        CHECK(!transfers[i].wrong);
        end(&d, &transfers[i]);
    }
    driver_close(&d);
    pl_listener_close(listener);
}

TASK_CASE(a_refused_connection_is_told_by_curl)
{
    transfer t;
    driver d;
    driver_open(&d);
    begin(&d, &t, silent_port(), 10);
    CHECK_EQ_INT(pl_await(d.all), 0);
    CHECK_EQ_INT(t.code, CURLE_COULDNT_CONNECT);
    end(&d, &t);
    driver_close(&d);
}

TASK_CASE(transfers_are_given_up_half_way)
{
    static transfer transfers[TRANSFERS];
    pl_listener *listener;
    uint16_t port;
    driver d;
    REQUIRE(listen_here(&listener, &port));
    CHECK_EQ_INT(pl_spawn(NULL, serve, listener, NULL), PL_OK);
    driver_open(&d);
    for (int i = 0; i < TRANSFERS; i++)
        begin(&d, &transfers[i], port, 50000000);
    while (transfers[0].received < 1000000)
        CHECK_EQ_INT(pl_yield(), PL_OK);
    for (int i = 0; i < TRANSFERS; i++)
        end(&d, &transfers[i]);
    driver_close(&d);
    pl_listener_close(listener);
}

TEST_SUITE(curl, TEST_BACKENDS_REAL, CASE(several_transfers_at_once_are_exact),
           CASE(a_refused_connection_is_told_by_curl), CASE(transfers_are_given_up_half_way))
