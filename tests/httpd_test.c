/* A conversation with samples/httpd in which somebody is cancelled at the k-th iteration of the loop, for every k until
 * it ends by itself: so at every wait there is. Whenever it comes, nothing is leaked, nothing hangs, and what the client
 * has received is the beginning of what it receives when nobody is cancelled.
 *
 * The server is that of httpd.c, with the main task here; one client asks for everything there is over one connection.
 */
#include <proloop/proloop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../samples/httpd/connection.h"
#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "system.h"

#define ROOT   "httpd_test_folder"
#define FIELDS " HTTP/1.1\r\nHost: a\r\n"

static const char small_text[] = "nobody is here to be told\n";

enum {
    SMALL_SIZE = sizeof small_text - 1,
    BIG_SIZE = 200000,
    PART_FIRST = 1000, /* of the big file, more than fits in one write */
    PART_SIZE = 70000,
    RECORD_SIZE = BIG_SIZE + PART_SIZE + 16384,
    READ_SIZE = 10000,
    SYSTEM_BUFFER = 64 * 1024, /* so that the server has to wait for the client */
    ITERATIONS_MAX = 20000,
    LEAST_K = 20
};

static const pl_duration hang_limit = PL_SECONDS(20);
static const pl_duration wait_limit = PL_SECONDS(9); /* less than any limit of the server: these end nothing here */

enum method { BY_NOBODY, BY_CLIENT, BY_SERVER, BY_GROUP, BY_CLOSE };

/* Where the body of an answer is known before. */
enum body { BODY_ANY, BODY_NONE, BODY_SMALL, BODY_SMALL_PART, BODY_BIG, BODY_BIG_PART };

typedef struct question {
    const char *text;
    int status;
    enum body body;
} question;

static const question questions[] = {
    {"GET /small.txt" FIELDS "\r\n", 200, BODY_SMALL},
    {"HEAD /small.txt" FIELDS "\r\n", 200, BODY_NONE},
    {"GET /small.txt" FIELDS "Range: bytes=7-11\r\n\r\n", 206, BODY_SMALL_PART},
    {"GET /" FIELDS "\r\n", 200, BODY_ANY},
    {"GET /none" FIELDS "\r\n", 404, BODY_ANY},
    {"GET /../small.txt" FIELDS "\r\n", 404, BODY_ANY},
    {"GET /big" FIELDS "Range: bytes=1000-70999\r\n\r\n", 206, BODY_BIG_PART},
    {"GET /big" FIELDS "\r\n", 200, BODY_BIG},
    {"GET /small.txt" FIELDS "Connection: close\r\n\r\n", 200, BODY_SMALL},
};

enum { QUESTIONS = sizeof questions / sizeof questions[0] };

/* What a client received, in heads and bodies as they came. */
typedef struct record {
    size_t size;
    size_t whole; /* of it, answers that came whole */
    char data[RECORD_SIZE];
} record;

typedef struct conversation {
    pl_loop *loop;
    pl_task *client;
    pl_task *server;
    pl_group *group; /* the server's, while it is open */
    uint16_t port;   /* 0: nobody listens */
    bool ending;     /* the server was told to, because the client is through */
    bool last_early; /* an answer said that it is the last, and was not asked to */
    int answers;     /* that came whole */
    int64_t result;  /* of the client; 0: it was told the end */
    int reports;
    record received;
} conversation;

static uint8_t big_data[BIG_SIZE];
static record whole_record; /* when nobody is cancelled */
static pl_loop *clock_loop; /* tells the time, and waits, between two conversations */

static void note_report(pl_loop *loop, const pl_report *report, void *arg)
{
    conversation *c = arg;
    (void)loop;
    printf("  report: %s, error %d\n", report->message, (int)report->error);
    c->reports++;
}

/* --- The server --- */

static int64_t accept_connections(pl_listener *listener, struct server *server, pl_group *group)
{
    for (;;) {
        pl_stream *peer = NULL;
        int64_t rc = connections_wait_for_fewer(server, server->most);
        if (rc == PL_OK)
            rc = pl_accept(listener, &peer);
        if (rc < 0)
            return rc;
        CHECK_EQ_INT(pl_stream_set_buffers(peer, SYSTEM_BUFFER, 0), PL_OK);
        rc = connection_spawn(server, group, peer);
        CHECK(rc == PL_OK || rc == PL_ECANCELED);
    }
}

static void finish_requests(struct server *server)
{
    pl_shielded shielded = {0};
    pl_timeout grace = {0};
    int64_t rc;
    connections_stop(server);
    REQUIRE_EQ_INT(pl_shielded_begin(&shielded), PL_OK);
    if (CHECK_EQ_INT(pl_timeout_begin(&grace, PL_SECONDS(5)), PL_OK)) {
        rc = pl_timeout_end(&grace, connections_wait_for_fewer(server, 1));
        CHECK_EQ_INT(rc, PL_OK);
        CHECK_EQ_INT(server->count, 0);
    }
    pl_shielded_end(&shielded);
}

static int64_t serve(void *arg)
{
    conversation *c = arg;
    struct server server = {.root = ROOT,
                            .request_time = PL_SECONDS(10),
                            .idle_time = PL_SECONDS(15),
                            .transfer_time = PL_SECONDS(30),
                            .most = 1000,
                            .quiet = true};
    pl_listener *listener = NULL;
    pl_group group = {0};
    int64_t rc;
    if (!listen_here(&listener, &c->port))
        return PL_EADDRINUSE;
    rc = pl_group_begin(&group, PL_GROUP_SUPERVISE);
    if (!CHECK_EQ_INT(rc, PL_OK)) {
        pl_listener_close(listener);
        return rc;
    }
    c->group = &group;
    rc = accept_connections(listener, &server, &group);
    pl_listener_close(listener);
    finish_requests(&server);
    pl_group_cancel(&group);
    rc = pl_group_end(&group, rc);
    c->group = NULL;
    CHECK_EQ_INT(server.count, 0);
    CHECK(server.connections == NULL && server.ended == NULL);
    return rc;
}

/* --- The client --- */

/* Appends what comes next to the record. @return bytes; 0: the server sends no more; an error. */
static int64_t receive(record *r, pl_stream *stream)
{
    size_t room = RECORD_SIZE - r->size;
    int64_t n;
    if (!CHECK(room > 0))
        return PL_ENOBUFS;
    n = pl_yield();
    if (n == PL_OK)
        n = pl_read(stream, r->data + r->size, room < READ_SIZE ? room : READ_SIZE);
    if (n > 0)
        r->size += (size_t)n;
    return n;
}

/* The size of the head that begins there, with the blank line; 0: it is not all there. */
static size_t head_size(const char *data, size_t size)
{
    size_t i;
    for (i = 4; i <= size; i++) {
        if (memcmp(data + i - 4, "\r\n\r\n", 4) == 0)
            return i;
    }
    return 0;
}

typedef struct answer_head {
    size_t size; /* of the head itself */
    size_t body;
    int status;
    bool last;
} answer_head;

static bool read_head(answer_head *head, const char *data, size_t size)
{
    static const char length_name[] = "\r\nContent-Length: ";
    char text[2048];
    const char *length;
    head->size = size;
    if (!CHECK(size < sizeof text))
        return false;
    memcpy(text, data, size);
    text[size] = '\0';
    length = strstr(text, length_name);
    if (!CHECK(strncmp(text, "HTTP/1.1 ", 9) == 0) || !CHECK(length != NULL))
        return false;
    head->status = atoi(text + 9);
    head->body = (size_t)strtoul(length + sizeof length_name - 1, NULL, 10);
    head->last = strstr(text, "\r\nConnection: close\r\n") != NULL;
    return CHECK(head->last || strstr(text, "\r\nConnection: keep-alive\r\n"));
}

static void check_body(enum body kind, const char *data, size_t size)
{
    switch (kind) {
    case BODY_ANY:
        CHECK(size > 0);
        break;
    case BODY_NONE:
        CHECK_EQ_INT(size, 0);
        break;
    case BODY_SMALL:
        if (CHECK_EQ_INT(size, SMALL_SIZE))
            CHECK_MEM(data, small_text, SMALL_SIZE);
        break;
    case BODY_SMALL_PART:
        if (CHECK_EQ_INT(size, 5))
            CHECK_MEM(data, small_text + 7, 5);
        break;
    case BODY_BIG:
        if (CHECK_EQ_INT(size, BIG_SIZE))
            CHECK(memcmp(data, big_data, BIG_SIZE) == 0);
        break;
    case BODY_BIG_PART:
        if (CHECK_EQ_INT(size, PART_SIZE))
            CHECK(memcmp(data, big_data + PART_FIRST, PART_SIZE) == 0);
        break;
    }
}

/* Positive: it was answered; 0: and nothing more will be. */
static int64_t ask(conversation *c, pl_stream *stream, const question *q)
{
    record *r = &c->received;
    const size_t begin = r->size;
    answer_head head = {0};
    size_t size = 0;
    int64_t rc = pl_write(stream, q->text, strlen(q->text));
    if (rc < 0)
        return rc;
    while ((size = head_size(r->data + begin, r->size - begin)) == 0) {
        rc = receive(r, stream);
        if (rc <= 0)
            return rc < 0 ? rc : PL_EOF;
    }
    if (!read_head(&head, r->data + begin, size))
        return PL_EINVAL;
    CHECK_EQ_INT(head.status, q->status);
    if (q->body == BODY_NONE)
        head.body = 0;
    while (r->size - begin < head.size + head.body) {
        rc = receive(r, stream);
        if (rc <= 0)
            return rc < 0 ? rc : PL_EOF;
    }
    check_body(q->body, r->data + begin + head.size, r->size - begin - head.size);
    r->whole = r->size;
    c->answers++;
    c->last_early = head.last && q != &questions[QUESTIONS - 1];
    return !head.last;
}

static int64_t converse(conversation *c, pl_stream *stream)
{
    int64_t rc = 1;
    int i;
    for (i = 0; rc > 0 && i < QUESTIONS; i++)
        rc = ask(c, stream, &questions[i]);
    return rc < 0 ? rc : receive(&c->received, stream);
}

static int64_t be_client(void *arg)
{
    conversation *c = arg;
    pl_stream *stream = NULL;
    int64_t rc = c->port ? pl_tcp_connect(&stream, "127.0.0.1", c->port, NULL) : PL_ECONNREFUSED;
    CHECK((rc == PL_OK) == (stream != NULL));
    c->result = rc;
    if (rc < 0)
        return 0; /* else the loop would report that nobody looked at it */
    CHECK_EQ_INT(pl_stream_set_buffers(stream, 0, SYSTEM_BUFFER), PL_OK);
    c->result = converse(c, stream);
    pl_stream_close(stream);
    return 0;
}

/* --- What was received --- */

/* Of the line that begins there: the size of its name, if its value may change; else 0. */
static size_t name_before_changing_value(const char *line, size_t size)
{
    static const char *const names[] = {"Date: ", "Connection: "};
    size_t i;
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        const size_t name = strlen(names[i]);
        if (size >= name && memcmp(line, names[i], name) == 0)
            return name;
    }
    return 0;
}

static size_t end_of_line(const char *data, size_t size, size_t place)
{
    while (place < size && data[place] != '\n')
        place++;
    return place;
}

/* Whether it is the beginning of the other, apart from dates and from who ends the connection. */
static bool begins(const record *part, const record *whole)
{
    size_t i = 0;
    size_t j = 0;
    bool line_begins = true;
    while (i < part->size) {
        size_t name = line_begins ? name_before_changing_value(whole->data + j, whole->size - j) : 0;
        if (name > 0) {
            size_t there = part->size - i < name ? part->size - i : name;
            if (memcmp(part->data + i, whole->data + j, there) != 0)
                return false;
            i = end_of_line(part->data, part->size, i);
            j = end_of_line(whole->data, whole->size, j);
            line_begins = false;
            continue;
        }
        if (j == whole->size || part->data[i] != whole->data[j])
            return false;
        line_begins = whole->data[j] == '\n';
        i++;
        j++;
    }
    return true;
}

/* --- The driver --- */

static bool is_done(pl_task *task)
{
    return pl_future_state(pl_task_future(task)) != PL_PENDING;
}

static bool is_over(const conversation *c)
{
    return is_done(c->client) && is_done(c->server);
}

static bool begin(conversation *c, const char *backend)
{
    pl_loop_options options = {.size = sizeof options, .backend = backend};
    pl_task_options task_options = {.size = sizeof task_options};
    memset(c, 0, sizeof *c);
    if (!CHECK_EQ_INT(pl_loop_create(&c->loop, &options), PL_OK))
        return false;
    pl_loop_set_exception_handler(c->loop, note_report, c);
    task_options.loop = c->loop;
    return CHECK_EQ_INT(pl_spawn(&c->server, serve, c, &task_options), PL_OK) &
           CHECK_EQ_INT(pl_spawn(&c->client, be_client, c, &task_options), PL_OK);
}

/* Whether there was somebody to be cancelled. */
static bool strike(conversation *c, enum method how)
{
    switch (how) {
    case BY_CLIENT:
        return pl_task_cancel(c->client) == 1;
    case BY_SERVER:
        return pl_task_cancel(c->server) == 1;
    case BY_GROUP:
        if (c->group)
            pl_group_cancel(c->group);
        return c->group || !is_done(c->server);
    default:
        return false;
    }
}

/* One iteration. False: nothing happened in it for so long that nothing ever will. */
static bool turn(conversation *c)
{
    const pl_duration begun = pl_loop_time(c->loop);
    CHECK_EQ_INT(pl_loop_run_once(c->loop, hang_limit), PL_OK);
    return pl_loop_time(c->loop) - begun < wait_limit;
}

/* What must be true whoever was cancelled. */
static void check_truth(const conversation *c, enum method how, bool struck)
{
    const record *r = &c->received;
    CHECK(begins(r, &whole_record));
    if (!struck) {
        CHECK_EQ_INT(c->result, 0);
        CHECK_EQ_INT(c->answers, QUESTIONS);
        CHECK_EQ_INT(r->size, whole_record.size);
    }
    if (!struck || how == BY_SERVER) /* responses under way are the last, and whole */
        CHECK_EQ_INT(r->size, r->whole);
    if (!struck || how == BY_CLIENT)
        CHECK(!c->last_early);
    CHECK_EQ_INT(c->reports, 0);
}

/* Runs it to its end, or to the moment at which it is to be closed. */
static bool run_and_strike(conversation *c, enum method how, int k)
{
    bool struck = false;
    int i;
    for (i = 0; i < ITERATIONS_MAX && !is_over(c); i++) {
        if (i == k && how == BY_CLOSE)
            return true;
        if (i == k)
            struck = strike(c, how);
        if (is_done(c->client) && !c->ending)
            c->ending = pl_task_cancel(c->server) == 1;
        if (!turn(c))
            break;
    }
    if (!CHECK(is_over(c)))
        printf("  it hangs, cancelled at %d\n", k);
    return struck;
}

/* The system's calls for files that were abandoned end behind the loop. */
static bool memory_comes_back(int64_t before)
{
    const pl_duration begun = pl_loop_time(clock_loop);
    while (pl_memory_in_use() != before && pl_loop_time(clock_loop) - begun < hang_limit)
        CHECK_EQ_INT(pl_loop_run_once(clock_loop, PL_MS(1)), PL_OK);
    return CHECK_EQ_INT(pl_memory_in_use(), before);
}

/* One conversation. @return whether it was struck, and another is worth while. */
static bool run(conversation *c, const char *backend, enum method how, int k)
{
    const int64_t before = pl_memory_in_use();
    pl_duration begun;
    bool struck = false;
    if (begin(c, backend))
        struck = run_and_strike(c, how, k);
    pl_task_unref(c->client);
    pl_task_unref(c->server);
    begun = pl_loop_time(clock_loop);
    CHECK_EQ_INT(pl_loop_close(c->loop), PL_OK);
    CHECK(pl_loop_time(clock_loop) - begun < wait_limit);
    CHECK(c->group == NULL);
    if (how != BY_NOBODY)
        check_truth(c, how, struck);
    return memory_comes_back(before) && struck;
}

static void remove_folder(void)
{
    path_remove(ROOT "/big");
    path_remove(ROOT "/small.txt");
    path_remove(ROOT);
}

static bool make_folder(void)
{
    remove_folder(); /* what a run that was killed left */
    pattern_fill(big_data, sizeof big_data, 0);
    return CHECK(folder_make(ROOT)) && CHECK(file_make(ROOT "/small.txt", small_text, SMALL_SIZE)) &&
           CHECK(file_make(ROOT "/big", big_data, sizeof big_data));
}

static bool open_clock(const char *backend)
{
    pl_loop_options options = {.size = sizeof options, .backend = backend};
    return CHECK_EQ_INT(pl_loop_create(&clock_loop, &options), PL_OK) &&
           CHECK_EQ_INT(pl_loop_run_once(clock_loop, PL_MS(1)), PL_OK); /* what it needs to run it has now */
}

static void run_all(test_context *t, enum method how)
{
    static conversation c;
    int k = 0;
    if (open_clock(t->backend) && make_folder()) {
        run(&c, t->backend, BY_NOBODY, -1);
        CHECK_EQ_INT(c.answers, QUESTIONS);
        CHECK_EQ_INT(c.received.size, c.received.whole);
        whole_record = c.received;
        while (k < ITERATIONS_MAX && run(&c, t->backend, how, k))
            k++;
        printf("  cancelled at each of %d iterations\n", k);
        CHECK(k > LEAST_K);
    }
    remove_folder();
    CHECK_EQ_INT(pl_loop_close(clock_loop), PL_OK);
}

TEST_CASE(the_main_task_of_a_server_is_cancelled_at_each_wait)
{
    run_all(t, BY_SERVER);
}

TEST_CASE(its_connections_are_cancelled_at_each_wait)
{
    run_all(t, BY_GROUP);
}

TEST_CASE(its_client_is_cancelled_at_each_wait)
{
    if (system_is_wine()) {
        t_skip(t, "under Wine TransmitFile to a peer that has closed does not end");
        return;
    }
    run_all(t, BY_CLIENT);
}

TEST_CASE(its_loop_is_closed_at_each_wait)
{
    run_all(t, BY_CLOSE);
}

TEST_SUITE(httpd, TEST_BACKENDS_REAL, CASE(the_main_task_of_a_server_is_cancelled_at_each_wait),
           CASE(its_connections_are_cancelled_at_each_wait), CASE(its_client_is_cancelled_at_each_wait),
           CASE(its_loop_is_closed_at_each_wait))
