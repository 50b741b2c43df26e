/* host: a program that blocks, with an event loop beside it.
 *
 * The main thread reads commands line by line, as an interpreter or a GUI would have its own loop. The waiting for the
 * network is done by tasks of a loop in a thread of its own: the host hands a request over, and blocks until that is
 * done. Ctrl-C meanwhile cancels the request; while a command is awaited it ends the program, as ever.
 *
 * A request lies on the host's stack: the host does not go on before the task has ended, cancelled or not.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <proloop/proloop.h>

#include "arguments.h"

enum { ADDRESSES_MAX = 8, LINE_SIZE = 512 };

struct request {
    const char *host;
    uint16_t port;
    pl_address addresses[ADDRESSES_MAX];
    char text[LINE_SIZE]; /* the first line of an answer */
};

static int64_t seconds = 30;
static pl_loop_thread *worker;
static volatile int interrupted; /* sig_atomic_t is an int wherever there is one */

static int run_commands(void);
static bool run_command(char *line);
static void resolve(char *name);
static void get(char *host, const char *port);
static int64_t perform(pl_task_fn *fn, struct request *request);
static int64_t resolve_in_loop(void *arg);
static int64_t get_in_loop(void *arg);

int main(int argc, char **argv)
{
    const struct argument table[] = {
        ARGUMENT_NUMBER("--seconds", "how long a request may take", &seconds, 1, 86400),
    };
    int code = arguments_read(argc, argv, "Reads commands: resolve NAME, get HOST PORT, quit.", table,
                              sizeof table / sizeof table[0]);
    if (code != ARGUMENTS_GO_ON)
        return code;
    int rc = pl_loop_thread_start(&worker, NULL);
    if (rc < 0) {
        fprintf(stderr, "host: cannot start a loop: %s\n", pl_error_text(rc));
        return 1;
    }
    code = run_commands();
    pl_loop_thread_stop(worker);
    return pl_loop_thread_join(worker) < 0 ? 1 : code;
}

/* --- The host, which blocks --------------------------------------------------------------------------------------- */

static int run_commands(void)
{
    char line[LINE_SIZE];
    printf("resolve NAME, get HOST PORT, or quit\n");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin)) {
        if (!run_command(line))
            break;
        fflush(stdout);
    }
    return ferror(stdin) ? 1 : 0;
}

/* False: it was the last one. */
static bool run_command(char *line)
{
    const char *blanks = " \t\r\n";
    char *command = strtok(line, blanks);
    char *first = strtok(NULL, blanks), *second = strtok(NULL, blanks);
    if (!command)
        return true;
    if (strcmp(command, "quit") == 0)
        return false;
    if (strcmp(command, "resolve") == 0 && first && !second)
        resolve(first);
    else if (strcmp(command, "get") == 0 && second && !strtok(NULL, blanks))
        get(first, second);
    else
        printf("not a command: %s (resolve NAME, get HOST PORT, or quit)\n", command);
    return true;
}

static void resolve(char *name)
{
    struct request request = {.host = name};
    int64_t count = perform(resolve_in_loop, &request);
    if (count < 0)
        printf("%s: %s\n", name, pl_error_text(count));
    for (int64_t i = 0; i < count; i++) {
        char text[PL_ADDRESS_TEXT_SIZE] = "?";
        pl_address_format(&request.addresses[i], text, sizeof text);
        printf("%s: %s\n", name, text);
    }
}

static void get(char *host, const char *port)
{
    struct request request = {.host = host};
    char rest;
    unsigned number;
    if (sscanf(port, "%5u%c", &number, &rest) != 1 || number == 0 || number > UINT16_MAX) {
        printf("not a port: %s\n", port);
        return;
    }
    request.port = (uint16_t)number;
    int64_t bytes = perform(get_in_loop, &request);
    if (bytes < 0)
        printf("%s:%s: %s\n", host, port, pl_error_text(bytes));
    else
        printf("%s:%s: %s, %" PRId64 " bytes\n", host, port, request.text, bytes);
}

static void interrupt(int number)
{
    (void)signal(number, SIG_DFL); /* a second one ends the program */
    interrupted = 1;
}

/* Hands a request to the loop and blocks until that is done. A signal cannot end that wait, so it looks up now and then. */
static int64_t perform(pl_task_fn *fn, struct request *request)
{
    pl_shared_future *result;
    int64_t rc = pl_loop_thread_submit(worker, &result, fn, request, NULL);
    if (rc < 0)
        return rc;
    interrupted = 0;
    void (*before)(int) = signal(SIGINT, interrupt);
    printf("%s ...\n", request->host);
    fflush(stdout);
    while (pl_shared_future_state(result) == PL_PENDING) {
        if (interrupted)
            pl_shared_future_cancel(result);
        pl_shared_future_wait(result, PL_MS(50));
    }
    (void)signal(SIGINT, before);
    rc = pl_shared_future_result(result);
    pl_shared_future_unref(result);
    return rc;
}

/* --- In the loop's thread ----------------------------------------------------------------------------------------- */

static int64_t within_limit(int64_t (*fn)(struct request *), struct request *request)
{
    pl_timeout limit = {0};
    int64_t rc = pl_timeout_begin(&limit, PL_SECONDS(seconds));
    return rc < 0 ? rc : pl_timeout_end(&limit, fn(request));
}

static int64_t ask_for_addresses(struct request *request)
{
    return pl_resolve(request->host, 0, 0, request->addresses, ADDRESSES_MAX);
}

static int64_t resolve_in_loop(void *arg)
{
    return within_limit(ask_for_addresses, arg);
}

/* Reads to the end; keeps the first line. Returns how many bytes came. */
static int64_t read_answer(pl_stream *stream, struct request *request)
{
    char data[4096];
    size_t kept = 0;
    int64_t total = 0, n;
    while ((n = pl_read(stream, data, sizeof data)) > 0) {
        for (int64_t i = 0; i < n && kept < sizeof request->text - 1; i++)
            request->text[kept++] = data[i];
        total += n;
    }
    request->text[strcspn(request->text, "\r\n")] = '\0';
    return n < 0 ? n : total;
}

static int64_t ask_for_page(struct request *request)
{
    char text[LINE_SIZE + 64];
    pl_stream *stream;
    int64_t rc = pl_tcp_connect(&stream, request->host, request->port, NULL);
    if (rc < 0)
        return rc;
    int size = snprintf(text, sizeof text, "GET / HTTP/1.0\r\nHost: %s\r\n\r\n", request->host);
    rc = pl_write(stream, text, (size_t)size);
    if (rc >= 0)
        rc = read_answer(stream, request);
    pl_stream_close(stream);
    return rc;
}

static int64_t get_in_loop(void *arg)
{
    return within_limit(ask_for_page, arg);
}
