/* Connections, files and worker processes when there is no memory: each allocation of a scenario fails once, alone, and then all after
 * it. Calls say so, or the peer sees a reset; nothing hangs, leaks, or is freed with a wrong size.
 */
#include <proloop/proloop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "atomic.h"
#include "folders.h"
#include "harness.h"
#include "loopback.h"

#define ROOT "shortage_test_folder"

enum { CALLS = 3, MESSAGE = 3000, FILE_SIZE = 50000, LEAST_ALLOCATIONS = 10 };

/* --- An allocator that fails, for any thread: workers allocate, too --- */

enum { HEAD = 32, MARK = 0x5ca1ab1e };

typedef struct head {
    size_t size;
    size_t mark;
} head;

static struct {
    pl__atomic_i64 calls;
    pl__atomic_i64 failed;
    pl__atomic_i64 bytes;
    pl__atomic_i64 wrong; /* sizes that were not those of the block */
    int64_t fail_at;      /* the number of the call that fails, from 1 */
    bool fail_forever;
} memory;

static void *allocate(void *context, size_t size)
{
    int64_t call = pl__atomic_i64_add(&memory.calls, 1) + 1;
    head *block;
    (void)context;
    if (call == memory.fail_at || (call > memory.fail_at && memory.fail_forever)) {
        pl__atomic_i64_add(&memory.failed, 1);
        return NULL;
    }
    block = malloc(HEAD + size);
    if (!block)
        return NULL;
    *block = (head){size, MARK};
    memset((char *)block + HEAD, 0xa5, size);
    pl__atomic_i64_add(&memory.bytes, (int64_t)size);
    return (char *)block + HEAD;
}

static void release(void *context, void *data, size_t size)
{
    head *block = (head *)(void *)((char *)data - HEAD);
    (void)context;
    if (block->mark != MARK || block->size != size)
        pl__atomic_i64_add(&memory.wrong, 1);
    pl__atomic_i64_add(&memory.bytes, -(int64_t)block->size);
    memset(data, 0x5a, block->size);
    block->mark = 0;
    free(block);
}

static void *reallocate(void *context, void *data, size_t old_size, size_t new_size)
{
    void *copy = allocate(context, new_size);
    if (!copy)
        return NULL;
    memcpy(copy, data, old_size < new_size ? old_size : new_size);
    release(context, data, old_size);
    return copy;
}

static bool begin_shortage(int64_t number, bool forever)
{
    static const pl_allocator allocator = {allocate, reallocate, release, NULL};
    pl__atomic_i64_store(&memory.calls, 0);
    pl__atomic_i64_store(&memory.failed, 0);
    pl__atomic_i64_store(&memory.bytes, 0);
    pl__atomic_i64_store(&memory.wrong, 0);
    memory.fail_at = number;
    memory.fail_forever = forever;
    return CHECK_EQ_INT(pl_set_allocator(&allocator), PL_OK);
}

/* @return how many allocations failed. */
static int64_t end_shortage(void)
{
    t_restore_allocator();
    CHECK_EQ_INT(pl__atomic_i64_load(&memory.bytes), 0);
    CHECK_EQ_INT(pl__atomic_i64_load(&memory.wrong), 0);
    return pl__atomic_i64_load(&memory.failed);
}

typedef struct conversation {
    pl_listener *listener;
    int whole; /* calls that went through to the end */
    bool strange;
} conversation;

/* Whether it went well; what went wrong must be for want of memory, here or at the peer. */
static bool well(conversation *c, int64_t rc)
{
    if (rc < 0 && rc != PL_ENOMEM && rc != PL_ECONNRESET && rc != PL_ECONNABORTED && rc != PL_ECONNREFUSED &&
        rc != PL_EPIPE && rc != PL_ENOBUFS)
        c->strange = !CHECK_EQ_INT(rc, PL_ENOMEM);
    return rc >= 0;
}

/* --- The server --- */

static int64_t echo(void *arg)
{
    pl_stream *stream = arg;
    const void *data;
    int64_t n;
    while ((n = pl_read_borrow(stream, &data)) > 0) {
        n = pl_write(stream, data, (size_t)n);
        CHECK_EQ_INT(pl_read_return(stream), PL_OK);
        if (n < 0)
            break;
    }
    pl_stream_close(stream);
    return 0;
}

static void stop_listening(void *arg)
{
    conversation *c = arg;
    pl_listener_close(c->listener);
    c->listener = NULL;
}

static int64_t serve(void *arg)
{
    conversation *c = arg;
    pl_listener *listener = pl_listener_ref(c->listener);
    pl_group clients = {0};
    int64_t rc = listener ? PL_OK : PL_ECLOSED; /* or the client is through already */
    CHECK_EQ_INT(pl_group_begin(&clients, PL_GROUP_SUPERVISE), PL_OK);
    while (rc != PL_ECLOSED && !c->strange) {
        pl_stream *stream = NULL;
        rc = pl_accept(listener, &stream);
        if (rc >= 0)
            (void)well(c, pl_group_spawn(&clients, echo, stream, pl_stream_drop));
        else if (rc != PL_ECLOSED)
            (void)well(c, rc);
    }
    pl_listener_unref(listener);
    return pl_group_end(&clients, 0);
}

/* --- The client --- */

static bool exchange(conversation *c, pl_stream *stream)
{
    uint8_t data[MESSAGE];
    uint8_t back[MESSAGE];
    pl_timeout limit = {0};
    pl_op op = {0};
    int64_t n;
    pattern_fill(data, sizeof data, 0);
    if (!well(c, end_of(pl_write_start(&op, stream, data, sizeof data), &op)))
        return false;
    if (!well(c, pl_timeout_begin(&limit, PL_SECONDS(60)))) /* it takes a timer */
        return false;
    n = pl_timeout_end(&limit, read_whole(stream, back, sizeof back));
    if (!well(c, n) || n == 0) /* the server could not */
        return false;
    return CHECK_EQ_INT(n, MESSAGE) && CHECK(pattern_holds(back, sizeof back, 0)) &&
           well(c, pl_stream_shutdown(stream)) && CHECK_EQ_INT(read_to_end(stream), 0);
}

static int64_t converse(void *arg)
{
    conversation *c = arg;
    pl_address address = {0};
    pl_group server = {0};
    int i;
    if (!well(c, pl_tcp_listen(&c->listener, "127.0.0.1", 0, NULL)))
        return 0;
    CHECK_EQ_INT(pl_listener_address(c->listener, &address), PL_OK);
    CHECK_EQ_INT(pl_group_begin(&server, PL_GROUP_SUPERVISE), PL_OK);
    if (well(c, pl_group_spawn(&server, serve, c, stop_listening))) { /* it may yet find no stack */
        for (i = 0; i < CALLS; i++) {
            pl_stream *stream = NULL;
            if (well(c, pl_tcp_connect(&stream, "127.0.0.1", address.port, NULL)) && exchange(c, stream))
                c->whole++;
            pl_stream_close(stream);
        }
    }
    stop_listening(c);
    return pl_group_end(&server, 0);
}

static void ignore_report(pl_loop *loop, const pl_report *report, void *arg)
{
    (void)loop;
    (void)report;
    (void)arg;
}

static void run(const char *backend, pl_task_fn *fn, conversation *c)
{
    pl_loop_options loop_options = {.size = sizeof loop_options, .backend = backend};
    pl_task_options options = {.size = sizeof options};
    pl_loop *loop = NULL;
    pl_task *task = NULL;
    int64_t rc;
    if (!well(c, pl_loop_create(&loop, &loop_options)))
        return;
    pl_loop_set_exception_handler(loop, ignore_report, NULL);
    options.loop = loop;
    if (well(c, pl_spawn(&task, fn, c, &options))) {
        rc = pl_loop_run_until_complete(loop, pl_task_future(task));
        CHECK(rc == 0 || rc == PL_ENOMEM); /* a task without a stack */
        pl_task_unref(task);
    }
    CHECK_EQ_INT(pl_loop_close(loop), PL_OK);
}

/* --- Files --- */

static bool use_folder(conversation *c)
{
    pl_folder_listing listing = {0};
    pl_file *folder = NULL;
    int64_t n;
    if (!well(c, pl_file_open(&folder, ROOT, NULL)))
        return false;
    n = pl_folder_list(folder, &listing);
    if (well(c, n) && CHECK_EQ_INT(n, 1))
        CHECK_STR(listing.entries[0].name, "a");
    CHECK(n >= 0 || listing.entries == NULL);
    pl_folder_listing_free(&listing);
    pl_file_close(folder);
    return n >= 0;
}

static bool use_file(conversation *c)
{
    const pl_file_options options = {.size = sizeof options, .beneath = ROOT};
    static uint8_t data[FILE_SIZE];
    pl_file *file = NULL;
    pl_file_info info;
    int64_t n;
    if (!well(c, pl_file_stat(ROOT "/a", &info)) || !well(c, pl_file_open(&file, ROOT "/a", &options)))
        return false;
    n = pl_file_read(file, data, sizeof data, 0);
    if (well(c, n) && CHECK_EQ_INT(n, FILE_SIZE))
        CHECK(pattern_holds(data, sizeof data, 0));
    pl_file_close(file);
    return n >= 0;
}

static bool send_file(conversation *c, pl_stream *stream)
{
    pl_file *file = NULL;
    int64_t n;
    if (!well(c, pl_file_open(&file, ROOT "/a", NULL)))
        return false;
    n = pl_stream_send_file(stream, file, 0, FILE_SIZE);
    pl_file_close(file);
    return well(c, n) && CHECK_EQ_INT(n, FILE_SIZE);
}

/* From one end of a connection to the other, which is there to be read from later: the file is small. */
static bool use_connection(conversation *c)
{
    pl_address address = {0};
    pl_stream *client = NULL;
    pl_stream *server = NULL;
    bool good = false;
    if (!well(c, pl_tcp_listen(&c->listener, "127.0.0.1", 0, NULL)))
        return false;
    CHECK_EQ_INT(pl_listener_address(c->listener, &address), PL_OK);
    if (well(c, pl_tcp_connect(&client, "localhost", address.port, NULL)) && well(c, pl_accept(c->listener, &server)))
        good = send_file(c, client);
    pl_listener_close(c->listener);
    pl_stream_close(client);
    if (good)
        good = well(c, read_to_end(server));
    pl_stream_close(server);
    return good;
}

static int64_t use_files(void *arg)
{
    conversation *c = arg;
    bool good = use_folder(c);
    good &= use_file(c);
    good &= use_connection(c);
    c->whole = good ? CALLS : 0;
    return 0;
}

/* --- Processes --- */

static bool call_worker(conversation *c, pl_process_pool *pool)
{
    pl_process_answer *answer;
    int64_t n = pl_process_call(pool, "echo", "hello", 5, &answer);
    bool good = well(c, n) && CHECK_EQ_INT(n, 5) && CHECK(answer != NULL) && CHECK_MEM(answer->data, "hello", 5);
    CHECK(n >= 0 || answer == NULL);
    pl_process_answer_free(answer);
    return good;
}

static int64_t use_processes(void *arg)
{
    const pl_process_pool_options options = {.size = sizeof options, .workers = 1};
    conversation *c = arg;
    pl_process_pool *pool = NULL;
    if (!well(c, pl_process_pool_create(&pool, &options)))
        return 0;
    for (int i = 0; i < CALLS; i++)
        c->whole += call_worker(c, pool);
    pl_process_pool_unref(pool);
    return 0;
}

/* --- All of it --- */

/* @return whether the allocation of that number was made, and failed. */
static bool run_short(const char *backend, pl_task_fn *fn, int64_t number, bool forever)
{
    conversation c = {0};
    int64_t failed;
    if (!begin_shortage(number, forever))
        return false;
    run(backend, fn, &c);
    failed = end_shortage();
    if (failed == 0)
        CHECK_EQ_INT(c.whole, CALLS);
    if (c.strange)
        printf("  when allocation %d failed\n", (int)number);
    return failed > 0 && !c.strange;
}

static void run_all(const char *backend, pl_task_fn *fn, bool forever)
{
    int64_t number = 1;
    while (run_short(backend, fn, number, forever))
        number++;
    printf("  each of %d allocations failed\n", (int)(number - 1));
    CHECK(number > LEAST_ALLOCATIONS);
}

TEST_CASE(each_allocation_for_connections_fails_alone)
{
    run_all(t->backend, converse, false);
}

TEST_CASE(from_each_allocation_for_connections_on_all_fail)
{
    run_all(t->backend, converse, true);
}

static void run_all_files(test_context *t, bool forever)
{
    static uint8_t data[FILE_SIZE];
    if (strcmp(t->backend, "sim") == 0) {
        t_skip(t, "the simulation has no files");
        return;
    }
    pattern_fill(data, sizeof data, 0);
    path_remove(ROOT "/a");
    path_remove(ROOT);
    if (CHECK(folder_make(ROOT)) && CHECK(file_make(ROOT "/a", data, sizeof data)))
        run_all(t->backend, use_files, forever);
    path_remove(ROOT "/a");
    path_remove(ROOT);
}

TEST_CASE(each_allocation_for_files_fails_alone)
{
    run_all_files(t, false);
}

TEST_CASE(from_each_allocation_for_files_on_all_fail)
{
    run_all_files(t, true);
}

TEST_CASE(each_allocation_for_processes_fails_alone)
{
    run_all(t->backend, use_processes, false);
}

TEST_CASE(from_each_allocation_for_processes_on_all_fail)
{
    run_all(t->backend, use_processes, true);
}

TEST_SUITE(shortage, TEST_BACKENDS_ALL,
           CASE(each_allocation_for_connections_fails_alone),
           CASE(from_each_allocation_for_connections_on_all_fail),
           CASE(each_allocation_for_files_fails_alone),
           CASE(from_each_allocation_for_files_on_all_fail),
           CASE(each_allocation_for_processes_fails_alone),
           CASE(from_each_allocation_for_processes_on_all_fail))
