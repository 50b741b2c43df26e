#include "worker_functions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <proloop/proloop.h>

#include "folders.h"
#include "handles.h"
#include "process.h"
#include "threads.h"

/* The input; its size. */
static int64_t echo(const void *input, size_t size, pl_process_output *output)
{
    int appended = pl_process_output_append(output, input, size);
    return appended < 0 ? appended : (int64_t)size;
}

/* The sum of 64-bit numbers. */
static int64_t sum(const void *input, size_t size, pl_process_output *output)
{
    const int64_t *numbers = input; /* aligned */
    int64_t result = 0;
    for (size_t i = 0; i < size / sizeof *numbers; i++)
        result += numbers[i];
    return pl_process_output_append(output, &result, sizeof result);
}

/* As many bytes as the number says, one by one or in pieces; errors of the output are not looked at. */
static int64_t fill(const void *input, size_t size, pl_process_output *output)
{
    char piece[1000];
    int64_t wanted;
    memcpy(&wanted, input, size);
    memset(piece, 'x', sizeof piece);
    for (int64_t left = wanted; left > 0; left -= (int64_t)sizeof piece)
        (void)pl_process_output_append(output, piece, left < (int64_t)sizeof piece ? (size_t)left : sizeof piece);
    return wanted;
}

/* Arguments that the output must refuse. */
static int64_t misuse(const void *input, size_t size, pl_process_output *output)
{
    (void)input;
    (void)size;
    if (pl_process_output_append(NULL, "a", 1) != PL_EINVAL || pl_process_output_append(output, NULL, 1) != PL_EINVAL)
        return PL_EUNKNOWN;
    return pl_process_output_append(output, NULL, 0);
}

/* The number itself, as the result. */
static int64_t number(const void *input, size_t size, pl_process_output *output)
{
    int64_t result;
    memcpy(&result, input, size);
    (void)pl_process_output_append(output, "unwanted after an error", 8);
    return result;
}

static int64_t crash(const void *input, size_t size, pl_process_output *output)
{
    (void)input;
    (void)size;
    (void)pl_process_output_append(output, "never seen", 10);
    abort();
}

static int64_t leave(const void *input, size_t size, pl_process_output *output)
{
    (void)input;
    (void)size;
    (void)output;
    exit(WORKER_EXIT_CODE);
}

static int64_t identity(const void *input, size_t size, pl_process_output *output)
{
    (void)input;
    (void)size;
    (void)output;
    return (int64_t)process_id();
}

/* Writes its process's number to the file of that name. */
static bool tell(const char *path)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%llu\n", (unsigned long long)process_id());
    return file_make(path, text, strlen(text));
}

/* Tells that it is under way, and goes on for ever. */
static int64_t block(const void *input, size_t size, pl_process_output *output)
{
    test_gate gate;
    (void)size;
    (void)output;
    if (!tell(input))
        return PL_EIO;
    test_gate_init(&gate);
    test_gate_wait(&gate);
    return PL_OK;
}

/* Tells that it is under way, and goes on until that file is removed. */
static int64_t wait_for_removal(const void *input, size_t size, pl_process_output *output)
{
    FILE *file;
    (void)size;
    (void)output;
    if (!tell(input))
        return PL_EIO;
    while ((file = fopen(input, "rb")) != NULL)
        (void)fclose(file);
    return 21;
}

static int64_t make_pool(const void *input, size_t size, pl_process_output *output)
{
    pl_process_pool *pool;
    (void)input;
    (void)size;
    (void)output;
    return pl_process_pool_create(&pool, NULL);
}

static int64_t late_registration(const void *input, size_t size, pl_process_output *output)
{
    (void)input;
    (void)size;
    (void)output;
    return pl_process_register("late", echo);
}

static int64_t task_of_worker(void *arg)
{
    int slept = pl_sleep(PL_MS(1));
    (void)arg;
    return slept < 0 ? slept : 11;
}

static int64_t run_loop(const void *input, size_t size, pl_process_output *output)
{
    (void)input;
    (void)size;
    (void)output;
    return pl_run(task_of_worker, NULL, NULL);
}

/* Whether that handle of the program is open here too, and how many are. */
static int64_t count_handles(const void *input, size_t size, pl_process_output *output)
{
    static handle_set open;
    uint64_t value, found = 0;
    memcpy(&value, input, size);
    if (!handles_take(&open))
        return PL_EUNKNOWN;
    for (size_t i = 0; i < open.count; i++)
        found += open.values[i] == value;
    (void)pl_process_output_append(output, &found, sizeof found);
    return (int64_t)open.count;
}

static int64_t read_standard_input(const void *input, size_t size, pl_process_output *output)
{
    (void)input;
    (void)size;
    (void)output;
    return getchar() == EOF ? PL_OK : PL_EUNKNOWN;
}

/* As if somebody pressed Ctrl-C. */
static int64_t interrupt(const void *input, size_t size, pl_process_output *output)
{
    (void)input;
    (void)size;
    (void)output;
    return process_interrupt() ? PL_OK : PL_ENOTSUP;
}

static const char *option; /* how the program told its worker where the pipe is: the last number, in hexadecimal */

/* Writes the input to the program, as if it were the head of an answer, and goes on for ever. */
static int64_t babble(const void *input, size_t size, pl_process_output *output)
{
    const char *digits = option + strlen(option);
    test_gate gate;
    (void)output;
    while (strchr("0123456789abcdef", digits[-1]))
        digits--;
    if (!process_write((uintptr_t)strtoull(digits, NULL, 16), input, size))
        return PL_EIO;
    test_gate_init(&gate);
    test_gate_wait(&gate);
    return PL_OK;
}

static void add(const char *name, pl_process_fn *fn)
{
    int added = pl_process_register(name, fn);
    if (added < 0) {
        (void)fprintf(stderr, "%s: %s\n", name, pl_error_name(added));
        exit(EXIT_FAILURE);
    }
}

void worker_functions_main(int argc, char **argv)
{
    add("echo", echo);
    add("sum", sum);
    add("fill", fill);
    add("misuse", misuse);
    add("number", number);
    add("crash", crash);
    add("exit", leave);
    add("identity", identity);
    add("block", block);
    add("wait for removal", wait_for_removal);
    add("make pool", make_pool);
    add("late registration", late_registration);
    add("run loop", run_loop);
    add("count handles", count_handles);
    add("read standard input", read_standard_input);
    add("interrupt", interrupt);
    add("babble", babble);
    if (argc > 1 && strncmp(argv[1], "--proloop-worker", strlen("--proloop-worker")) == 0)
        option = argv[1];
    else
        add("only in the program", echo);
    if (pl_worker_main(argc, argv) < 0)
        exit(EXIT_FAILURE);
}
