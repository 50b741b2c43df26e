/* echo_client: loads an echo server, and verifies every byte that comes back.
 *
 * A task for each connection: it sends a message of pseudo-random bytes, reads until as many came back,
 * compares, takes the time. After the given seconds the tasks end with the round they are in. With --chaos
 * another task resets one connection a second, wherever that is in its round: its task sees PL_ECLOSED and
 * connects anew.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <proloop/proloop.h>

#include "arguments.h"

enum { HISTOGRAM_STEPS = 32, HISTOGRAM_SIZE = 60 * HISTOGRAM_STEPS, SECONDS_TO_END = 10 };

struct client {
    pl_stream *stream; /* NULL: not connected */
    uint8_t *sent;
    uint8_t *received;
    uint64_t random; /* the state of its pseudo-random bytes */
};

static const char *host = "127.0.0.1";
static int64_t port = 7000;
static int64_t connections = 50;
static int64_t seconds = 5;
static int64_t message_size = 64;
static bool chaos;

static struct client *clients;
static bool ending;
static int64_t rounds, errors, mismatches, resets;
static int64_t histogram[HISTOGRAM_SIZE]; /* of the rounds' nanoseconds */
static pl_duration slowest, elapsed;

static int64_t run(void *unused);
static int64_t load(void);
static int64_t run_client(void *arg);
static int64_t talk(struct client *client);
static int64_t make_round(struct client *client, pl_stream *stream);
static void fill(struct client *client);
static int64_t reset_one_a_second(void *unused);
static void record(pl_duration latency);
static double percentile(double percent);
static void print_results(void);

int main(int argc, char **argv)
{
    const struct argument table[] = {
        ARGUMENT_TEXT("--host", "the server's name or address", &host),
        ARGUMENT_NUMBER("--port", "the server's port", &port, 1, 65535),
        ARGUMENT_NUMBER("--connections", "how many", &connections, 1, 100000),
        ARGUMENT_NUMBER("--seconds", "for how long", &seconds, 1, 86400),
        ARGUMENT_NUMBER("--size", "bytes of a message", &message_size, 1, 1 << 24),
        ARGUMENT_FLAG("--chaos", "resets one connection a second", &chaos),
    };
    int code = arguments_read(argc, argv, "Loads an echo server and verifies what comes back.", table,
                              sizeof table / sizeof table[0]);
    if (code != ARGUMENTS_GO_ON)
        return code;
    clients = calloc((size_t)connections, sizeof *clients);
    if (!clients)
        return 1;
    int64_t rc = pl_run(run, NULL, NULL);
    free(clients);
    if (rc < 0 && rc != PL_EINTERRUPTED) {
        fprintf(stderr, "echo_client: %s\n", rc == PL_ETIMEDOUT ? "some messages never came back" : pl_error_text(rc));
        return 1;
    }
    return errors || mismatches || !rounds;
}

static int64_t run(void *unused)
{
    (void)unused;
    pl_duration begun = pl_loop_time(pl_loop_running());
    pl_timeout limit = {0};
    int64_t rc = pl_timeout_begin(&limit, PL_SECONDS(seconds + SECONDS_TO_END));
    if (rc < 0)
        return rc;
    rc = pl_timeout_end(&limit, load());
    elapsed = pl_loop_time(pl_loop_running()) - begun;
    print_results();
    return rc;
}

/* Returns when every client has made its last round. */
static int64_t load(void)
{
    pl_group group = {0};
    int64_t rc = pl_group_begin(&group, PL_GROUP_SUPERVISE);
    if (rc < 0)
        return rc;
    for (int64_t i = 0; i < connections && rc >= 0; i++) {
        clients[i].random = (uint64_t)i * 2 + 1;
        rc = pl_group_spawn(&group, run_client, &clients[i], NULL);
    }
    if (chaos && rc >= 0)
        rc = pl_group_spawn(&group, reset_one_a_second, NULL, NULL);
    if (rc >= 0)
        rc = pl_sleep(PL_SECONDS(seconds));
    ending = true;
    return pl_group_end(&group, rc);
}

static int64_t run_client(void *arg)
{
    struct client *client = arg;
    client->sent = malloc((size_t)message_size);
    client->received = malloc((size_t)message_size);
    int64_t rc = client->sent && client->received ? PL_OK : PL_ENOMEM;
    while (rc >= 0 && !ending) {
        rc = talk(client);
        if (rc == PL_ECLOSED && !client->stream)
            rc = PL_OK; /* it was reset by chaos: connect anew */
    }
    pl_stream_close(client->stream);
    client->stream = NULL;
    free(client->sent);
    free(client->received);
    if (rc < 0 && rc != PL_ECANCELED)
        errors++;
    return rc;
}

/* One connection: rounds until the end, or an error. The reference keeps the stream valid if chaos closes it.
 */
static int64_t talk(struct client *client)
{
    pl_stream *stream;
    int64_t rc = pl_tcp_connect(&stream, host, (uint16_t)port, NULL);
    if (rc < 0)
        return rc;
    client->stream = pl_stream_ref(stream);
    while (rc >= 0 && !ending)
        rc = make_round(client, stream);
    pl_stream_unref(stream);
    return rc;
}

/* A message there and back. */
static int64_t make_round(struct client *client, pl_stream *stream)
{
    size_t size = (size_t)message_size;
    fill(client);
    pl_duration begun = pl_loop_time(pl_loop_running());
    int64_t rc = pl_write(stream, client->sent, size);
    for (size_t filled = 0; rc >= 0 && filled < size; filled += (size_t)rc) {
        rc = pl_read(stream, client->received + filled, size - filled);
        if (rc == 0)
            rc = PL_EOF;
    }
    if (rc < 0)
        return rc;
    record(pl_loop_time(pl_loop_running()) - begun);
    if (memcmp(client->sent, client->received, size) != 0)
        mismatches++;
    return PL_OK;
}

/* A new message (xorshift), and nothing of the last one where it will be received. */
static void fill(struct client *client)
{
    for (int64_t i = 0; i < message_size; i++) {
        client->random ^= client->random << 13;
        client->random ^= client->random >> 7;
        client->random ^= client->random << 17;
        client->sent[i] = (uint8_t)(client->random >> 56);
    }
    memset(client->received, 0, (size_t)message_size);
}

static int64_t reset_one_a_second(void *unused)
{
    (void)unused;
    for (int64_t i = 0; !ending; i = (i + 1) % connections) {
        int rc = pl_sleep(PL_SECONDS(1));
        if (rc < 0)
            return rc;
        pl_stream *stream = clients[i].stream;
        if (!stream || ending)
            continue;
        clients[i].stream = NULL; /* aborting gives our reference back */
        pl_stream_abort(stream);
        resets++;
    }
    return PL_OK;
}

/* --- What it took ------------------------------------------------------------------------------------------------- */

/* Buckets grow with what they count: 32 of them between a power of two and the next, so each is 3 % wide. */
static size_t bucket_of(pl_duration latency)
{
    uint64_t value = latency > 0 ? (uint64_t)latency : 0;
    size_t octave = 0;
    for (; value >= 2 * HISTOGRAM_STEPS; value /= 2)
        octave++;
    return octave * HISTOGRAM_STEPS + (size_t)value;
}

/* The upper end of a bucket. */
static double bucket_limit(size_t bucket)
{
    if (bucket < 2 * HISTOGRAM_STEPS)
        return (double)bucket;
    size_t octave = bucket / HISTOGRAM_STEPS - 1;
    return (double)(bucket % HISTOGRAM_STEPS + HISTOGRAM_STEPS + 1) * (double)(UINT64_C(1) << octave);
}

static void record(pl_duration latency)
{
    rounds++;
    histogram[bucket_of(latency)]++;
    if (latency > slowest)
        slowest = latency;
}

/* In microseconds. */
static double percentile(double percent)
{
    double wanted = (double)rounds * percent / 100;
    int64_t counted = 0;
    size_t bucket = 0;
    for (; bucket < HISTOGRAM_SIZE; bucket++) {
        counted += histogram[bucket];
        if ((double)counted >= wanted)
            break;
    }
    double limit = bucket_limit(bucket);
    return (limit < (double)slowest ? limit : (double)slowest) / 1000;
}

static void print_results(void)
{
    printf("%" PRId64 " connections, %" PRId64 " bytes, %.1f s\n", connections, message_size, (double)elapsed / 1e9);
    printf("requests %" PRId64 " (%.0f/s)\n", rounds, (double)rounds / ((double)elapsed / 1e9));
    printf("latency us: p50 %.1f, p90 %.1f, p99 %.1f, p99.9 %.1f, max %.1f\n", percentile(50), percentile(90),
           percentile(99), percentile(99.9), (double)slowest / 1000);
    printf("errors %" PRId64 ", mismatches %" PRId64 ", resets %" PRId64 "\n", errors, mismatches, resets);
    fflush(stdout);
}
