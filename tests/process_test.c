#include <proloop/proloop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocation.h"
#include "fixture.h"
#include "folders.h"
#include "harness.h"
#include "loopback.h"
#include "process.h"
#include "process_child.h"
#include "system.h"

#define ROOT "process_test_folder"

enum { WORDS_MAX = 64 };

/* How this program is called to be a child. */
typedef struct command {
    const char *words[WORDS_MAX];
    int count;
} command;

static command child(const char *mode)
{
    command c = {.words = {process_child_path(), PROCESS_CHILD, mode}, .count = 3};
    return c;
}

static command child_with(const char *mode, const char *argument)
{
    command c = child(mode);
    c.words[c.count++] = argument;
    return c;
}

static bool on_windows(void)
{
    return on_backend("iocp");
}

/* What a child that is killed ends with. */
static int64_t killed_code(int number)
{
    return on_windows() ? 1 : 128 + number;
}

static pl_process_options pipes(void)
{
    pl_process_options options = {.size = sizeof options};
    options.input.kind = PL_STDIO_PIPE;
    options.output.kind = PL_STDIO_PIPE;
    options.error.kind = PL_STDIO_PIPE;
    return options;
}

/* A child with three pipes; NULL: it failed. */
static pl_process *spawn(command c)
{
    pl_process_options options = pipes();
    pl_process *process = NULL;
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_OK);
    return process;
}

static bool is_ready(pl_process *process)
{
    char text[6] = {0};
    return CHECK_EQ_INT(read_whole(pl_process_stdout(process), text, 6), 6) && CHECK_MEM(text, "ready\n", 6);
}

/* A child that ends with its input, and has begun. */
static pl_process *spawn_waiting(void)
{
    pl_process *process = spawn(child("wait"));
    if (process && !is_ready(process)) {
        pl_process_close(process);
        process = NULL;
    }
    return process;
}

static void end_input(pl_process *process)
{
    CHECK_EQ_INT(pl_stream_shutdown(pl_process_stdin(process)), PL_OK);
}

/* Our own child, which the loop has to collect. */
static bool wait_until_gone(uint64_t id)
{
    for (int i = 0; i < 60000 && !process_is_gone(id); i++)
        (void)pl_sleep(PL_MS(1));
    return process_is_gone(id);
}

/* Ends one that spawn_waiting gave. */
static void dismiss(pl_process *process)
{
    end_input(process);
    CHECK_EQ_INT(pl_process_wait(process, NULL), 0);
    pl_process_close(process);
}

static void unhex(const char *hex, char *text, size_t size)
{
    size_t i = 0;
    for (; hex[0] && hex[0] != '\n' && i + 1 < size; hex += 2) {
        char pair[3] = {hex[0], hex[1], 0};
        text[i++] = (char)strtol(pair, NULL, 16);
    }
    text[i] = 0;
}

/* Runs a child, and gives its output, one line of hexadecimal after the other. */
static bool output_of(command c, const pl_process_options *options, pl_process_capture *capture)
{
    bool well = CHECK_EQ_INT(pl_process_run(c.words, options, NULL, 0, capture), 0);
    return well && CHECK(capture->output != NULL) && CHECK_EQ_INT(capture->error_size, 0);
}

static const char *next_line(const char *text)
{
    const char *end = strchr(text, '\n');
    return end ? end + 1 : text + strlen(text);
}

static int64_t read_path(const char *path, char *data, size_t size)
{
    pl_file *file = NULL;
    int64_t rc = pl_file_open(&file, path, NULL);
    if (rc < 0)
        return rc;
    rc = pl_file_read(file, data, size - 1, 0);
    data[rc > 0 ? rc : 0] = 0;
    pl_file_close(file);
    return rc;
}

/* --- Its end ------------------------------------------------------------------------------------------------------ */

TASK_CASE(the_exit_code_is_told)
{
    static const struct {
        const char *text;
        uint32_t windows;
        uint32_t posix;
    } codes[] = {{"0", 0, 0},
                 {"1", 1, 1},
                 {"255", 255, 255},
                 {"259", 259, 3}, /* STILL_ACTIVE */
                 {"3221225477", 3221225477u, 5},
                 {"4294967295", 4294967295u, 255}};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        command c = child_with("exit", codes[i].text);
        pl_process_result result;
        pl_process *process = NULL;
        uint32_t wanted = on_windows() ? codes[i].windows : codes[i].posix;
        memset(&result, 0xa5, sizeof result);
        if (!CHECK_EQ_INT(pl_process_spawn(&process, c.words, NULL), PL_OK))
            return;
        CHECK_EQ_INT(pl_process_wait(process, &result), wanted);
        CHECK_EQ_INT(result.exit_code, wanted);
        CHECK_EQ_INT(result.signal, 0);
        CHECK_EQ_INT(result.core_dumped, 0);
        CHECK(result.user_time >= 0 && result.system_time >= 0);
        pl_process_close(process);
    }
}

TASK_CASE(a_signal_that_ends_it_is_told)
{
    pl_process_result result;
    pl_process *process;
    if (on_windows()) {
        skip_case("no process ends by a signal there");
        return;
    }
    process = spawn(child_with("signal", "10"));
    if (!process)
        return;
    CHECK_EQ_INT(pl_process_wait(process, &result), 128 + 10);
    CHECK_EQ_INT(result.signal, 10);
    CHECK_EQ_INT(result.exit_code, 0);
    pl_process_close(process);
}

TASK_CASE(several_may_wait_and_after_its_end_too)
{
    enum { WAITS = 3 };
    static pl_op waits[WAITS];
    static pl_process_result results[WAITS];
    pl_process *process = spawn_waiting();
    memset(waits, 0, sizeof waits);
    if (!process)
        return;
    for (int i = 0; i < WAITS; i++)
        CHECK_EQ_INT(pl_process_wait_start(&waits[i], process, &results[i]), PL_OK);
    CHECK_EQ_INT(pl_op_cancel(&waits[1]), PL_OK);
    CHECK_EQ_INT(pl_op_await(&waits[1]), PL_ECANCELED);
    end_input(process);
    CHECK_EQ_INT(pl_op_await(&waits[2]), 0);
    CHECK_EQ_INT(pl_op_await(&waits[0]), 0);
    CHECK_EQ_INT(pl_process_wait(process, NULL), 0);
    CHECK_EQ_INT(end_of(pl_process_wait_start(&waits[1], process, &results[1]), &waits[1]), 0);
    CHECK_EQ_INT(results[1].user_time, results[0].user_time);
    CHECK_EQ_INT(pl_process_kill(process), PL_ESTATE);
    CHECK_EQ_INT(pl_process_terminate(process), PL_ESTATE);
    CHECK_EQ_INT(pl_process_signal(process, 9), PL_ESTATE);
    pl_process_close(process);
}

TASK_CASE(a_wait_that_runs_out_of_time_leaves_the_process_alone)
{
    pl_process *process = spawn_waiting();
    pl_op op = {0};
    if (!process)
        return;
    CHECK_EQ_INT(pl_process_wait_start(&op, process, NULL), PL_OK);
    CHECK_EQ_INT(pl_wait_for(pl_op_future(&op), PL_MS(1)), PL_ETIMEDOUT);
    CHECK(process_is_alive(pl_process_id(process)));
    dismiss(process);
}

static int64_t wait_for_it(void *arg)
{
    return pl_process_wait(arg, NULL);
}

/* Not begun; waiting; ended in the system, which the loop has not seen. */
TASK_CASE(a_cancelled_wait_loses_nothing_in_any_state)
{
    for (int state = 0; state < 3; state++) {
        pl_process *process = spawn_waiting();
        pl_task *task = NULL;
        if (!process)
            return;
        CHECK_EQ_INT(pl_spawn(&task, wait_for_it, process, NULL), PL_OK);
        if (state > 0)
            CHECK_EQ_INT(pl_yield(), PL_OK);
        if (state == 2)
            CHECK(process_kill(pl_process_id(process)));
        CHECK_EQ_INT(pl_task_cancel(task), 1);
        CHECK_EQ_INT(pl_task_await(task), PL_ECANCELED);
        if (state < 2)
            end_input(process);
        CHECK_EQ_INT(pl_process_wait(process, NULL), state == 2 ? killed_code(9) : 0);
        pl_task_unref(task);
        pl_process_close(process);
    }
}

typedef struct patient {
    pl_process *process;
    int64_t result;
} patient;

static int64_t be_patient(void *arg)
{
    patient *p = arg;
    p->result = pl_process_wait(p->process, NULL);
    return PL_OK;
}

/* The cancel comes between the end of the operation and the step of its task. */
static void cancel_task(void *arg)
{
    CHECK_EQ_INT(pl_task_cancel(arg), 1);
}

TASK_CASE(a_wait_that_was_done_before_the_cancel_gives_its_result)
{
    pl_process *process = spawn_waiting();
    patient p = {process, PL_EUNKNOWN};
    pl_task *task = NULL;
    pl_op first = {0};
    pl_callback callback = {0};
    if (!process)
        return;
    CHECK_EQ_INT(pl_process_wait_start(&first, process, NULL), PL_OK); /* told first, so its callback runs first */
    CHECK_EQ_INT(pl_spawn(&task, be_patient, &p, NULL), PL_OK);
    CHECK_EQ_INT(pl_yield(), PL_OK);
    CHECK_EQ_INT(pl_future_add_done_callback(pl_op_future(&first), &callback, cancel_task, task), PL_OK);
    end_input(process);
    CHECK_EQ_INT(pl_task_await(task), PL_ECANCELED); /* the task was, at its end */
    CHECK_EQ_INT(p.result, 0);
    pl_task_unref(task);
    pl_process_close(process);
}

TASK_CASE(a_wait_does_not_wait_for_who_else_has_the_pipes)
{
    pl_process *process = NULL;
    pl_process_options options = pipes();
    command c = child("grandchild");
    char text[32] = {0};
    uint64_t grandchild;
    options.input.kind = PL_STDIO_NULL;
    if (!CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_OK))
        return;
    CHECK_EQ_INT(pl_process_wait(process, NULL), 0);
    CHECK(pl_read(pl_process_stdout(process), text, sizeof text - 1) > 0);
    grandchild = strtoull(text, NULL, 10);
    CHECK(process_is_alive(grandchild));
    CHECK(process_end_stranger(grandchild));
    CHECK_EQ_INT(read_to_end(pl_process_stdout(process)), 0);
    pl_process_close(process);
}

/* --- Arguments and environment ------------------------------------------------------------------------------------ */

static void check_arguments(const char *const *arguments, int count)
{
    pl_process_capture capture = {0};
    command c = child("args");
    char text[512];
    const char *line;
    for (int i = 0; i < count; i++)
        c.words[c.count++] = arguments[i];
    if (output_of(c, NULL, &capture)) {
        line = capture.output;
        for (int i = 0; i < count; i++) {
            unhex(line, text, sizeof text);
            CHECK_STR(text, arguments[i]);
            line = next_line(line);
        }
        CHECK_STR(line, "");
    } else {
        for (int i = 0; i < count; i++)
            printf("argument: <%s>\n", arguments[i]);
    }
    pl_process_capture_free(&capture);
}

TASK_CASE(hard_arguments_arrive_as_they_were)
{
    static const char *const hard[] = {"",
                                       " ",
                                       "\t",
                                       "a b",
                                       "\"",
                                       "\\",
                                       "\\\"",
                                       "\"\"",
                                       "\\\\",
                                       "a\\",
                                       "a b\\",
                                       "a b\\\\",
                                       "\\\\\"\\\\",
                                       "\\\\server\\share\\",
                                       "c:\\program files\\",
                                       "--x=\"y z\"",
                                       "*",
                                       "?.c",
                                       "%PATH%",
                                       "$HOME",
                                       "`id`",
                                       "^&|<>();!",
                                       "'",
                                       "'a b'",
                                       "a\nb",
                                       "@file",
                                       "-",
                                       "=",
                                       "\xc3\xa4\xc3\xb6 \xe6\x96\x87",
                                       "\xf0\x9f\x98\x80",
                                       "a\"b c\\\"d"};
    check_arguments(hard, (int)(sizeof hard / sizeof hard[0]));
}

TASK_CASE(random_arguments_arrive_as_they_were)
{
    enum { EACH = 40, LENGTH = 24 };
    static const char *const pieces[] = {"\"", "\\", " ", "\t", "a", "b", "\\\\", "\xc3\xa4", "'", "*", "\n", "%"};
    static char texts[EACH][LENGTH * 2 + 1];
    const char *arguments[EACH];
    dice d = dice_of(71);
    for (int round = scaled(15); round > 0; round--) {
        for (int i = 0; i < EACH; i++) {
            texts[i][0] = 0;
            for (uint64_t left = throw_below(&d, LENGTH); left > 0; left--)
                strcat(texts[i], pieces[throw_below(&d, sizeof pieces / sizeof pieces[0])]);
            arguments[i] = texts[i];
        }
        check_arguments(arguments, EACH);
    }
}

TASK_CASE(a_long_argument_is_passed_or_refused)
{
    enum { LENGTH = 30000 };
    char *text = malloc(4 * 1024 * 1024 + 1);
    pl_process_capture capture = {0};
    command c;
    REQUIRE(text != NULL);
    memset(text, 'x', 4 * 1024 * 1024);
    text[4 * 1024 * 1024] = 0;
    c = child_with("args", text);
    if (!system_is_valgrind()) /* which cannot fail an exec */
        CHECK_EQ_INT(pl_process_run(c.words, NULL, NULL, 0, &capture), PL_EMSGSIZE);
    text[LENGTH] = 0;
    if (output_of(c, NULL, &capture))
        CHECK_EQ_INT(capture.output_size, 2 * LENGTH + 1);
    pl_process_capture_free(&capture);
    free(text);
}

static void check_variables(const pl_process_options *options, const char *const *names, const char *const *values)
{
    pl_process_capture capture = {0};
    command c = child("variables");
    char text[256];
    const char *line;
    for (int i = 0; names[i]; i++)
        c.words[c.count++] = names[i];
    if (output_of(c, options, &capture)) {
        line = capture.output;
        for (int i = 0; names[i]; i++) {
            unhex(line[0] == '-' ? "" : line, text, sizeof text);
            CHECK_EQ_INT(line[0] == '-', values[i] == NULL);
            if (values[i])
                CHECK_STR(text, values[i]);
            line = next_line(line);
        }
    }
    pl_process_capture_free(&capture);
}

TASK_CASE(the_environment_is_inherited_changed_or_replaced)
{
    static const char *const names[] = {"PROLOOP_A", "PROLOOP_B", "PROLOOP_\xc3\xa4", "PROLOOP_EMPTY", NULL};
    static const char *const inherited[] = {"one", "two = 2", NULL, NULL};
    static const char *const changed[] = {NULL, "three", "\xe6\x96\x87 \xf0\x9f\x98\x80", ""};
    static const char *const replaced[] = {NULL, "only", NULL, NULL};
    static const char *const both[] = {"added", NULL, NULL, NULL};
    static const char *const changes[] = {"PROLOOP_A", "PROLOOP_B=two", "PROLOOP_B=three",
                                          "PROLOOP_\xc3\xa4=\xe6\x96\x87 \xf0\x9f\x98\x80", "PROLOOP_EMPTY=", NULL};
    static const char *const all[] = {"PROLOOP_B=only", NULL};
    static const char *const more[] = {"PROLOOP_B", "PROLOOP_A=added", NULL};
    pl_process_options options = {.size = sizeof options};
    process_set_variable("PROLOOP_A", "one");
    process_set_variable("PROLOOP_B", "two = 2");
    check_variables(NULL, names, inherited);
    options.changes = changes;
    check_variables(&options, names, changed);
    options.changes = NULL;
    options.environment = all;
    check_variables(&options, names, replaced);
    options.changes = more;
    check_variables(&options, names, both);
    process_set_variable("PROLOOP_A", NULL);
    process_set_variable("PROLOOP_B", NULL);
}

TASK_CASE(the_environment_is_the_one_at_the_time_of_the_call)
{
    command c = child_with("variables", "PROLOOP_LATE");
    pl_process_options options = pipes();
    pl_process_capture capture = {0};
    pl_process *process = NULL;
    pl_op op = {0};
    process_set_variable("PROLOOP_LATE", "no");
    process_set_variable("PROLOOP_LATE", NULL);
    options.changes = (const char *const[]){"PROLOOP_OTHER=1", NULL};
    CHECK_EQ_INT(pl_process_spawn_start(&op, &process, c.words, &options), PL_OK);
    process_set_variable("PROLOOP_LATE", "late");
    if (CHECK_EQ_INT(pl_op_await(&op), PL_OK)) {
        CHECK_EQ_INT(pl_process_communicate(process, NULL, 0, &capture), 0);
        if (CHECK(capture.output != NULL))
            CHECK(capture.output[0] == '-');
    }
    process_set_variable("PROLOOP_LATE", NULL);
    pl_process_capture_free(&capture);
    pl_process_close(process);
}

TASK_CASE(it_begins_in_its_folder)
{
    pl_process_capture capture = {0};
    pl_process_options options = {.size = sizeof options, .folder = ROOT};
    path_remove(ROOT);
    REQUIRE(folder_make(ROOT));
    if (output_of(child("folder"), &options, &capture)) {
        size_t length = strlen(ROOT);
        CHECK(capture.output_size > length &&
              strcmp(capture.output + capture.output_size - length, ROOT) == 0);
    }
    pl_process_capture_free(&capture);
    path_remove(ROOT);
}

/* --- Starting it -------------------------------------------------------------------------------------------------- */

static int64_t failure_of(const char *name, const pl_process_options *options, bool *told)
{
    const char *const argv[] = {name, NULL};
    pl_process_options all = options ? *options : (pl_process_options){.size = sizeof all};
    pl_process *process = NULL;
    pl_op op = {0};
    int64_t rc;
    all.input.kind = PL_STDIO_PIPE; /* which have to be closed again */
    all.output.kind = PL_STDIO_PIPE;
    all.error.kind = PL_STDIO_OUTPUT;
    rc = end_of(pl_process_spawn_start(&op, &process, argv, &all), &op);
    *told = pl_op_system_error(&op) != 0;
    CHECK(process == NULL);
    pl_process_close(process);
    return rc;
}

TASK_CASE(what_keeps_a_program_from_starting_is_told)
{
    pl_process_options options = {.size = sizeof options};
    bool told;
    path_remove(ROOT "/no_program");
    path_remove(ROOT);
    REQUIRE(folder_make(ROOT));
    REQUIRE(file_make(ROOT "/no_program", "hello", 5));
    CHECK_EQ_INT(failure_of("proloop_no_such_program", NULL, &told), PL_ENOENT);
    CHECK(told);
    CHECK_EQ_INT(failure_of("./proloop_no_such_program", NULL, &told), PL_ENOENT);
    CHECK(told);
    CHECK_EQ_INT(failure_of(ROOT "/none/program", NULL, &told), PL_ENOENT);
    CHECK_EQ_INT(failure_of("./" ROOT, NULL, &told), PL_EACCES);
    CHECK_EQ_INT(failure_of(ROOT "/no_program", NULL, &told), on_windows() ? PL_ENOTSUP : PL_EACCES);
    CHECK(told);
    options.folder = ROOT "/none";
    CHECK_EQ_INT(failure_of(process_child_path(), &options, &told), PL_ENOENT);
    CHECK(told);
    options.folder = ROOT "/no_program";
    CHECK_EQ_INT(failure_of(process_child_path(), &options, &told), PL_ENOTDIR);
    options.folder = NULL;
    options.executable = "proloop_no_such_program";
    CHECK_EQ_INT(failure_of(process_child_path(), &options, &told), PL_ENOENT);
    path_remove(ROOT "/no_program");
    path_remove(ROOT);
}

TASK_CASE(a_program_has_the_name_it_is_called_by)
{
    const char *const argv[] = {"another name", PROCESS_CHILD, "exit", "4", NULL};
    pl_process_options options = {.size = sizeof options, .executable = process_child_path()};
    CHECK_EQ_INT(pl_process_run(argv, &options, NULL, 0, NULL), 4);
}

TASK_CASE(a_name_is_searched_in_the_path)
{
    const char *const argv[] = {on_windows() ? "cmd" : "sh", on_windows() ? "/c" : "-c", "exit 6", NULL};
    CHECK_EQ_INT(pl_process_run(argv, NULL, NULL, 0, NULL), 6);
}

/* Of this program: the PATH is its folder while a spawn is started, and nothing when a worker makes it. */
TASK_CASE(a_name_is_searched_in_the_path_of_the_time_of_the_call)
{
    char folder[4096];
    const char *before = getenv("PATH");
    char *kept = before ? strdup(before) : NULL;
    char *name;
    (void)snprintf(folder, sizeof folder, "%s", process_child_path());
    name = strrchr(folder, on_windows() ? '\\' : '/');
    REQUIRE(name != NULL && kept != NULL);
    *name++ = 0;
    for (int i = 0; i < 20; i++) {
        const char *const argv[] = {name, PROCESS_CHILD, "exit", "3", NULL};
        pl_process *process = NULL;
        pl_op op = {0};
        process_set_variable("PATH", folder);
        CHECK_EQ_INT(pl_process_spawn_start(&op, &process, argv, NULL), PL_OK);
        process_set_variable("PATH", "/nowhere");
        if (CHECK_EQ_INT(pl_op_await(&op), PL_OK))
            CHECK_EQ_INT(pl_process_wait(process, NULL), 3);
        pl_process_close(process);
    }
    process_set_variable("PATH", kept);
    free(kept);
}

TASK_CASE(batch_files_and_the_current_folder_are_left_alone)
{
    bool told;
    if (!on_windows()) {
        skip_case("rules of Windows");
        return;
    }
    REQUIRE(file_make("process_test.bat", "exit 5", 6));
    REQUIRE(file_make("process_test_other.exe", "MZ", 2));
    CHECK_EQ_INT(failure_of("./process_test.bat", NULL, &told), PL_ENOTSUP);
    CHECK_EQ_INT(failure_of("./process_test.BAT", NULL, &told), PL_ENOTSUP);
    CHECK_EQ_INT(failure_of("./process_test.bat. .", NULL, &told), PL_ENOTSUP);
    CHECK_EQ_INT(failure_of("process_test.bat", NULL, &told), PL_ENOENT);
    CHECK_EQ_INT(failure_of("process_test_other", NULL, &told), PL_ENOENT);
    CHECK_EQ_INT(failure_of("process_test_other.exe", NULL, &told), PL_ENOENT);
    CHECK_EQ_INT(failure_of("./process_test", NULL, &told), PL_ENOENT);
    CHECK(failure_of("./process_test_other", NULL, &told) == PL_ENOTSUP);
    path_remove("process_test.bat");
    path_remove("process_test_other.exe");
}

TASK_CASE(wrong_arguments_are_refused)
{
    command c = child_with("exit", "0");
    const char *const none[] = {NULL};
    const char *const empty[] = {"", NULL};
    const char *const bad_entries[] = {"NAME", NULL};
    const char *const bad_changes[] = {"", NULL};
    pl_process_options options = {.size = sizeof options};
    pl_process *process = NULL;
    pl_op op = {0};
    pl_process_capture capture = {0};
    CHECK_EQ_INT(pl_process_spawn_start(NULL, &process, c.words, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_spawn_start(&op, NULL, c.words, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_spawn_start(&op, &process, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_spawn_start(&op, &process, none, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_spawn_start(&op, &process, empty, NULL), PL_EINVAL);
    options.size = 1;
    CHECK_EQ_INT(pl_process_spawn_start(&op, &process, c.words, &options), PL_EINVAL);
    CHECK_EQ_INT(pl_process_run(c.words, &options, NULL, 0, NULL), PL_EINVAL);
    options = (pl_process_options){.size = sizeof options, .folder = ""};
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_EINVAL);
    options = (pl_process_options){.size = sizeof options, .environment = bad_entries};
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_EINVAL);
    options = (pl_process_options){.size = sizeof options, .changes = bad_changes};
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_EINVAL);
    options = (pl_process_options){.size = sizeof options, .input = {.kind = PL_STDIO_APPEND, .path = "x"}};
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_EINVAL);
    options = (pl_process_options){.size = sizeof options, .output = {.kind = PL_STDIO_OUTPUT}};
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_EINVAL);
    options = (pl_process_options){.size = sizeof options, .output = {.kind = PL_STDIO_PATH}};
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_EINVAL);
    options = (pl_process_options){.size = sizeof options, .input = {.kind = PL_STDIO_FILE}};
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_EINVAL);
    options = (pl_process_options){.size = sizeof options, .error = {.kind = 77}};
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_EINVAL);
    CHECK(process == NULL);
    CHECK_EQ_INT(pl_process_wait(NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_wait_start(NULL, NULL, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_communicate(NULL, NULL, 0, NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_kill(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_kill_tree(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_terminate(NULL), PL_EINVAL);
    CHECK_EQ_INT(pl_process_signal(NULL, 9), PL_EINVAL);
    CHECK_EQ_INT(pl_process_id(NULL), 0);
    CHECK(pl_process_stdin(NULL) == NULL && pl_process_stdout(NULL) == NULL && pl_process_stderr(NULL) == NULL);
    CHECK(pl_process_ref(NULL) == NULL);
    pl_process_unref(NULL);
    pl_process_close(NULL);
    pl_process_drop(NULL);
    pl_process_capture_free(NULL);
    CHECK_EQ_INT(pl_process_run(c.words, NULL, NULL, 5, &capture), PL_EINVAL);
    process = spawn(c);
    if (!process)
        return;
    CHECK_EQ_INT(pl_process_communicate(process, NULL, 5, &capture), PL_EINVAL);
    CHECK_EQ_INT(pl_process_signal(process, 0), PL_EINVAL);
    CHECK_EQ_INT(pl_process_signal(process, -1), PL_EINVAL);
    CHECK_EQ_INT(pl_process_kill_tree(process), PL_ESTATE);
    pl_process_wait(process, NULL);
    pl_process_close(process);
}

TEST_CASE(a_process_is_of_the_running_loop_and_its_waits_of_a_task)
{
    command c = child("wait");
    pl_process *process = NULL;
    pl_op op = {0};
    (void)t;
    CHECK_EQ_INT(pl_process_spawn_start(&op, &process, c.words, NULL), PL_ENOLOOP);
    CHECK_EQ_INT(pl_process_spawn(&process, c.words, NULL), PL_ENOTASK);
    CHECK_EQ_INT(pl_process_wait(NULL, NULL), PL_ENOTASK);
    CHECK_EQ_INT(pl_process_communicate(NULL, NULL, 0, NULL), PL_ENOTASK);
    CHECK_EQ_INT(pl_process_run(c.words, NULL, NULL, 0, NULL), PL_ENOTASK);
}

/* Taken back, or it happened. */
TASK_CASE(a_cancelled_spawn_did_not_happen_or_gives_the_process)
{
    dice d = dice_of(61);
    command c = child_with("exit", "0");
    int happened = 0;
    for (int i = 0; i < 30; i++) {
        pl_process *process = NULL;
        pl_op op = {0};
        int64_t rc;
        CHECK_EQ_INT(pl_process_spawn_start(&op, &process, c.words, NULL), PL_OK);
        for (uint64_t turns = throw_below(&d, 4); turns > 0; turns--)
            pl_sleep(PL_MS(1));
        rc = pl_op_finish(&op);
        CHECK(rc == PL_OK || rc == PL_ECANCELED);
        CHECK((rc == PL_OK) == (process != NULL));
        if (!process)
            continue;
        happened++;
        CHECK_EQ_INT(pl_process_wait(process, NULL), 0);
        pl_process_close(process);
    }
    CHECK(happened > 0);
}

static int64_t spawn_in_task(void *arg)
{
    command c = child_with("exit", "0");
    return pl_process_spawn(arg, c.words, NULL);
}

TASK_CASE(a_spawn_cancelled_before_it_began_starts_nothing)
{
    pl_process *process = NULL;
    pl_task *task = NULL;
    CHECK_EQ_INT(pl_spawn(&task, spawn_in_task, (void *)&process, NULL), PL_OK);
    CHECK_EQ_INT(pl_task_cancel(task), 1);
    CHECK_EQ_INT(pl_task_await(task), PL_ECANCELED);
    CHECK(process == NULL);
    pl_task_unref(task);
}

/* --- Its handles -------------------------------------------------------------------------------------------------- */

TASK_CASE(what_is_written_to_it_comes_back)
{
    pl_process *process = spawn(child("cat"));
    char text[16] = {0};
    if (!process)
        return;
    CHECK(pl_process_id(process) != 0 && pl_process_id(process) != process_id());
    CHECK_EQ_INT(pl_write(pl_process_stdin(process), "hello", 5), 0);
    end_input(process);
    CHECK_EQ_INT(read_whole(pl_process_stdout(process), text, sizeof text), 5);
    CHECK_STR(text, "hello");
    CHECK_EQ_INT(read_to_end(pl_process_stderr(process)), 0);
    CHECK_EQ_INT(pl_process_wait(process, NULL), 0);
    pl_process_close(process);
}

TASK_CASE(a_stream_of_it_may_be_closed_by_the_user)
{
    pl_process *process = spawn(child("cat"));
    if (!process)
        return;
    pl_stream_close(pl_process_stdin(process));
    CHECK_EQ_INT(read_to_end(pl_process_stdout(process)), 0);
    pl_stream_close(pl_process_stdout(process));
    CHECK_EQ_INT(pl_process_wait(process, NULL), 0);
    CHECK_EQ_INT(pl_stream_shutdown(pl_process_stdin(process)), PL_ECLOSED);
    pl_process_close(process);
}

TASK_CASE(its_handles_may_be_files)
{
    pl_process_options options = {.size = sizeof options};
    pl_process_capture capture = {0};
    pl_file *file = NULL;
    uintptr_t opened;
    char text[64];
    command cat = child("cat"), both = child("both");
    REQUIRE(file_make("process_test_input", "from a file", 11));
    path_remove("process_test_output");
    options.input = (pl_stdio){.kind = PL_STDIO_PATH, .path = "process_test_input"};
    options.output = (pl_stdio){.kind = PL_STDIO_PATH, .path = "process_test_output"};
    CHECK_EQ_INT(pl_process_run(cat.words, &options, NULL, 0, NULL), 0);
    CHECK_EQ_INT(read_path("process_test_output", text, sizeof text), 11);
    CHECK_STR(text, "from a file");

    options.output.kind = PL_STDIO_APPEND;
    CHECK_EQ_INT(pl_process_run(cat.words, &options, NULL, 0, NULL), 0);
    CHECK_EQ_INT(read_path("process_test_output", text, sizeof text), 22);

    options.output.kind = PL_STDIO_PATH; /* made empty again */
    options.error.kind = PL_STDIO_OUTPUT;
    CHECK_EQ_INT(pl_process_run(both.words, &options, NULL, 0, NULL), 0);
    CHECK_EQ_INT(read_path("process_test_output", text, sizeof text), 11);
    CHECK_STR(text, "outputerror");

    if (CHECK_EQ_INT(pl_file_open(&file, "process_test_input", NULL), PL_OK)) {
        options = (pl_process_options){.size = sizeof options, .input = {.kind = PL_STDIO_FILE, .file = file}};
        for (int i = 0; i < 2; i++) { /* each from the beginning */
            CHECK_EQ_INT(pl_process_run(cat.words, &options, NULL, 0, &capture), 0);
            CHECK(capture.output && strcmp(capture.output, "from a file") == 0);
            pl_process_capture_free(&capture);
        }
        pl_file_close(file);
    }

    opened = process_open_file("process_test_output");
    options = (pl_process_options){.size = sizeof options, .output = {.kind = PL_STDIO_HANDLE, .handle = opened}};
    CHECK_EQ_INT(pl_process_run(both.words, &options, NULL, 0, &capture), 0);
    process_close_file(opened);
    CHECK_STR(capture.error, "error");
    CHECK(capture.output == NULL);
    CHECK_EQ_INT(read_path("process_test_output", text, sizeof text), 6);
    pl_process_capture_free(&capture);

    options = (pl_process_options){.size = sizeof options};
    options.input = (pl_stdio){.kind = PL_STDIO_PATH, .path = "process_test_none"};
    CHECK_EQ_INT(pl_process_run(cat.words, &options, NULL, 0, NULL), PL_ENOENT);
    options.input = (pl_stdio){.kind = PL_STDIO_HANDLE, .handle = UINTPTR_MAX};
    CHECK_EQ_INT(pl_process_run(cat.words, &options, NULL, 0, NULL), PL_EBADF);
    path_remove("process_test_input");
    path_remove("process_test_output");
}

static int64_t read_all(pl_file *file, char *text, size_t size)
{
    int64_t rc = pl_file_read(file, text, size - 1, 0);
    text[rc > 0 ? rc : 0] = 0;
    return rc;
}

/* What it wrote the file of ours has, which is open all the time. */
TASK_CASE(its_output_may_be_an_open_file)
{
    pl_file_options making = {.size = sizeof making, .flags = PL_FILE_READ | PL_FILE_WRITE | PL_FILE_CREATE};
    pl_process_options options = {.size = sizeof options, .error = {.kind = PL_STDIO_OUTPUT}};
    command cat = child("cat"), both = child("both");
    pl_file *file = NULL;
    char text[64];
    path_remove("process_test_output");
    REQUIRE_EQ_INT(pl_file_open(&file, "process_test_output", &making), PL_OK);
    options.output = (pl_stdio){.kind = PL_STDIO_FILE, .file = file};
    CHECK_EQ_INT(pl_process_run(both.words, &options, NULL, 0, NULL), 0);
    CHECK_EQ_INT(read_all(file, text, sizeof text), 11);
    CHECK_STR(text, "outputerror");
    CHECK_EQ_INT(pl_process_run(cat.words, &options, "XY", 2, NULL), 0); /* from its beginning */
    CHECK_EQ_INT(read_all(file, text, sizeof text), 11);
    CHECK_STR(text, "XYtputerror");
    CHECK_EQ_INT(pl_file_write(file, "!", 1, 11), PL_OK);
    CHECK_EQ_INT(read_all(file, text, sizeof text), 12);
    pl_file_close(file);

    REQUIRE_EQ_INT(pl_file_open_temporary(&file, NULL, NULL), PL_OK);
    options.output.file = file;
    CHECK_EQ_INT(pl_process_run(both.words, &options, NULL, 0, NULL), 0);
    CHECK_EQ_INT(read_all(file, text, sizeof text), 11);
    CHECK_STR(text, "outputerror");
    pl_file_close(file);
    path_remove("process_test_output");
}

/* In a log that several write to nothing is overwritten. */
TASK_CASE(output_to_a_file_that_is_appended_to_goes_behind_what_is_there)
{
    pl_file_options making = {.size = sizeof making, .flags = PL_FILE_APPEND | PL_FILE_CREATE};
    pl_process_options options = {.size = sizeof options};
    command cat = child("cat");
    pl_file *file = NULL;
    char text[64];
    path_remove("process_test_output");
    REQUIRE_EQ_INT(pl_file_open(&file, "process_test_output", &making), PL_OK);
    options.output = (pl_stdio){.kind = PL_STDIO_FILE, .file = file};
    CHECK_EQ_INT(pl_file_append(file, "one ", 4), PL_OK);
    CHECK_EQ_INT(pl_process_run(cat.words, &options, "two ", 4, NULL), 0);
    CHECK_EQ_INT(pl_file_append(file, "three ", 6), PL_OK);
    CHECK_EQ_INT(pl_process_run(cat.words, &options, "four", 4, NULL), 0);
    CHECK_EQ_INT(read_path("process_test_output", text, sizeof text), 18);
    CHECK_STR(text, "one two three four");
    pl_file_close(file);
    path_remove("process_test_output");
}

/* A child gets no more of a file than the program has opened it for. */
TASK_CASE(a_file_that_is_open_for_something_else_is_refused)
{
    pl_file_options making = {.size = sizeof making, .flags = PL_FILE_WRITE | PL_FILE_CREATE};
    pl_process_options options = {.size = sizeof options};
    command cat = child("cat");
    pl_file *reading = NULL, *writing = NULL, *folder = NULL;
    char text[64];
    REQUIRE(file_make("process_test_input", "kept", 4));
    REQUIRE_EQ_INT(pl_file_open(&reading, "process_test_input", NULL), PL_OK);
    REQUIRE_EQ_INT(pl_file_open(&writing, "process_test_output", &making), PL_OK);
    REQUIRE_EQ_INT(pl_file_open(&folder, ".", NULL), PL_OK);
    options.output = (pl_stdio){.kind = PL_STDIO_FILE, .file = reading};
    CHECK_EQ_INT(pl_process_run(cat.words, &options, "lost", 4, NULL), PL_EBADF);
    CHECK_EQ_INT(read_path("process_test_input", text, sizeof text), 4);
    CHECK_STR(text, "kept");
    options.output.file = folder;
    CHECK_EQ_INT(pl_process_run(cat.words, &options, NULL, 0, NULL), PL_EISDIR);
    options = (pl_process_options){.size = sizeof options, .input = {.kind = PL_STDIO_FILE, .file = writing}};
    CHECK_EQ_INT(pl_process_run(cat.words, &options, NULL, 0, NULL), PL_EBADF);
    pl_file_close(reading);
    pl_file_close(writing);
    pl_file_close(folder);
    path_remove("process_test_input");
    path_remove("process_test_output");
}

TASK_CASE(nothing_stays_nothing)
{
    pl_process_options options = {.size = sizeof options};
    pl_process_capture capture = {0};
    command c = child("cat"), both = child("both");
    CHECK_EQ_INT(pl_process_run(c.words, &options, NULL, 0, &capture), 0);
    CHECK_EQ_INT(capture.output_size, 0);
    options.output.kind = PL_STDIO_NULL;
    CHECK_EQ_INT(pl_process_run(both.words, &options, NULL, 0, &capture), 0);
    CHECK_EQ_INT(capture.output_size, 0);
    CHECK_STR(capture.error, "error");
    pl_process_capture_free(&capture);
}

TASK_CASE(standard_error_may_be_the_same_as_output)
{
    pl_process_options options = {.size = sizeof options, .error = {.kind = PL_STDIO_OUTPUT}};
    pl_process_capture capture = {0};
    command c = child("both");
    CHECK_EQ_INT(pl_process_run(c.words, &options, NULL, 0, &capture), 0);
    CHECK_STR(capture.output, "outputerror");
    CHECK_EQ_INT(capture.error_size, 0);
    pl_process_capture_free(&capture);
}

TASK_CASE(a_child_inherits_its_own_handles_and_nothing_else)
{
    uintptr_t value = process_open_inheritable();
    char text[32];
    pl_process_capture capture = {0};
    int count = 0, found = -1;
    command c;
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    c = child_with("handles", text);
    if (output_of(c, NULL, &capture) && CHECK(sscanf(capture.output, "%d %d", &count, &found) == 2)) {
        CHECK_EQ_INT(found, 0);
        if (!on_windows()) /* the three, and the one it looks with */
            CHECK(count == 3 || count == 4);
    }
    process_close_inheritable(value);
    pl_process_capture_free(&capture);
}

/* Each of several children at once sees the end of its input though the others live: none has the others' pipes. */
TASK_CASE(children_do_not_keep_each_others_pipes)
{
    enum { COUNT = 5 };
    pl_process *processes[COUNT] = {NULL};
    for (int i = 0; i < COUNT; i++)
        processes[i] = spawn_waiting();
    for (int i = 0; i < COUNT; i++) {
        if (processes[i])
            dismiss(processes[i]);
    }
}

TASK_CASE(a_child_begins_with_the_usual_signals_and_in_the_group_asked_for)
{
    pl_process_options options = {.size = sizeof options};
    pl_process_capture capture = {0};
    command c = child("state");
    if (on_windows()) {
        skip_case("no such signals there");
        return;
    }
    CHECK(process_ignore_pipe_signal(true));
    CHECK_EQ_INT(pl_process_run(c.words, NULL, NULL, 0, &capture), 0);
    CHECK_STR(capture.output, "0 0 0");
    pl_process_capture_free(&capture);
    options.new_group = 1;
    CHECK_EQ_INT(pl_process_run(c.words, &options, NULL, 0, &capture), 0);
    CHECK_STR(capture.output, "0 1 0");
    pl_process_capture_free(&capture);
    options.detached = 1;
    CHECK_EQ_INT(pl_process_run(c.words, &options, NULL, 0, &capture), 0);
    CHECK_STR(capture.output, "0 1 1");
    pl_process_capture_free(&capture);
    CHECK(process_ignore_pipe_signal(false));
}

TASK_CASE(hidden_and_detached_children_work)
{
    pl_process_options options = {.size = sizeof options, .hidden = 1};
    pl_process_capture capture = {0};
    command c = child("both");
    for (int i = 0; i < 2; i++) {
        CHECK_EQ_INT(pl_process_run(c.words, &options, NULL, 0, &capture), 0);
        CHECK_STR(capture.output, "output");
        pl_process_capture_free(&capture);
        options.detached = 1;
        options.new_group = 1;
    }
}

/* --- Communicate and run ------------------------------------------------------------------------------------------ */

TASK_CASE(megabytes_go_in_and_out_at_once)
{
    enum { SIZE = 3 << 20 };
    uint8_t *data = malloc(SIZE);
    pl_process_capture capture = {0};
    command c = child("cat");
    REQUIRE(data != NULL);
    pattern_fill(data, SIZE, 0);
    CHECK_EQ_INT(pl_process_run(c.words, NULL, data, SIZE, &capture), 0);
    if (CHECK_EQ_INT(capture.output_size, SIZE)) {
        CHECK(pattern_holds(capture.output, SIZE, 0));
        CHECK_EQ_INT(capture.output[SIZE], 0);
    }
    CHECK_EQ_INT(capture.error_size, 0);
    pl_process_capture_free(&capture);
    free(data);
}

TASK_CASE(both_outputs_are_read_at_once)
{
    enum { SIZE = 2000000 };
    pl_process_capture capture = {0};
    command c = child_with("flood", "2000000");
    CHECK_EQ_INT(pl_process_run(c.words, NULL, NULL, 0, &capture), 0);
    CHECK_EQ_INT(capture.output_size, SIZE);
    CHECK_EQ_INT(capture.error_size, SIZE);
    if (capture.output_size == SIZE && capture.error_size == SIZE) {
        CHECK_MEM(capture.output, capture.error, SIZE);
        CHECK_EQ_INT((uint8_t)capture.output[SIZE - 1], (SIZE - 1) & 0xff);
    }
    CHECK_EQ_INT(pl_process_run(c.words, NULL, NULL, 0, NULL), 0); /* and dropped */
    pl_process_capture_free(&capture);
}

TASK_CASE(input_that_nobody_wants_is_no_error)
{
    enum { SIZE = 1 << 20 };
    void *data = calloc(1, SIZE);
    pl_process_capture capture = {0};
    command c = child_with("exit", "3");
    REQUIRE(data != NULL);
    CHECK_EQ_INT(pl_process_run(c.words, NULL, data, SIZE, &capture), 3);
    CHECK_EQ_INT(capture.output_size, 0);
    CHECK_EQ_INT(capture.result.exit_code, 3);
    pl_process_capture_free(&capture);
    free(data);
}

TASK_CASE(more_than_the_limit_ends_a_run)
{
    pl_process_capture capture = {.limit = 5000};
    command c = child_with("flood", "2000000"), small = child_with("flood", "5000");
    CHECK_EQ_INT(pl_process_run(c.words, NULL, NULL, 0, &capture), PL_EMSGSIZE);
    CHECK(capture.output_size == 5001 || capture.error_size == 5001);
    CHECK(capture.output_size <= 5001 && capture.error_size <= 5001);
    pl_process_capture_free(&capture);
    CHECK_EQ_INT(capture.limit, 5000);
    CHECK_EQ_INT(pl_process_run(small.words, NULL, NULL, 0, &capture), 0);
    CHECK_EQ_INT(capture.output_size, 5000);
    CHECK_EQ_INT(capture.error_size, 5000);
    pl_process_capture_free(&capture);
}

typedef struct conversation {
    pl_process *process;
    pl_process_capture capture;
    const char *input;
    size_t size;
} conversation;

static int64_t communicate(void *arg)
{
    conversation *c = arg;
    return pl_process_communicate(c->process, c->input, c->size, &c->capture);
}

/* It has what the child wrote, and waits for who keeps the pipe. */
TASK_CASE(a_communicate_that_is_refused_has_written_nothing)
{
    pl_process_capture capture = {0};
    pl_process *process = spawn(child("cat"));
    pl_op reading = {0};
    char data[8];
    if (!process)
        return;
    CHECK_EQ_INT(pl_read_start(&reading, pl_process_stderr(process), data, sizeof data), PL_OK);
    CHECK_EQ_INT(pl_process_communicate(process, "twice?", 6, &capture), PL_EBUSY);
    CHECK_EQ_INT(pl_stream_bytes_written(pl_process_stdin(process)), 0);
    CHECK_EQ_INT(pl_op_finish(&reading), PL_ECANCELED);
    CHECK_EQ_INT(pl_process_communicate(process, "twice?", 6, &capture), 0);
    if (CHECK(capture.output != NULL))
        CHECK_STR(capture.output, "twice?");
    pl_process_capture_free(&capture);
    pl_process_close(process);
}

/* A limit that nothing can reach, and one below it that the sums must not pass. */
TASK_CASE(the_highest_limits_are_none)
{
    const size_t limits[] = {SIZE_MAX, SIZE_MAX - 1, SIZE_MAX / 2};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        pl_process_capture capture = {.limit = limits[i]};
        command c = child("both");
        CHECK_EQ_INT(pl_process_run(c.words, NULL, NULL, 0, &capture), 0);
        CHECK_EQ_INT(capture.output_size, 6);
        CHECK_EQ_INT(capture.error_size, 5);
        pl_process_capture_free(&capture);
    }
}

TASK_CASE(a_communicate_may_be_cancelled_and_called_again)
{
    dice d = dice_of(67);
    for (int i = 0; i < 8; i++) {
        conversation c = {.process = spawn(child("family"))};
        pl_task *task = NULL;
        uint64_t grandchild;
        if (!c.process)
            return;
        CHECK_EQ_INT(pl_spawn(&task, communicate, &c, NULL), PL_OK);
        for (uint64_t turns = 1 + throw_below(&d, 20); turns > 0; turns--)
            CHECK_EQ_INT(pl_sleep(PL_MS(2)), PL_OK);
        CHECK_EQ_INT(pl_task_cancel(task), 1);
        CHECK_EQ_INT(pl_task_await(task), PL_ECANCELED);
        CHECK_EQ_INT(pl_process_wait(c.process, NULL), 0);
        while (!c.capture.output || !strstr(c.capture.output, "ready\n")) {
            pl_timeout limit = {0};
            CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(20)), PL_OK);
            CHECK_EQ_INT(pl_timeout_end(&limit, pl_process_communicate(c.process, NULL, 0, &c.capture)), PL_ETIMEDOUT);
        }
        grandchild = strtoull(c.capture.output, NULL, 10);
        CHECK_STR(next_line(c.capture.output), "ready\n"); /* all of it, in order, once */
        CHECK(process_end_stranger(grandchild));
        CHECK_EQ_INT(pl_process_communicate(c.process, NULL, 0, &c.capture), 0);
        CHECK_STR(next_line(c.capture.output), "ready\n");
        pl_process_capture_free(&c.capture);
        pl_task_unref(task);
        pl_process_close(c.process);
    }
}

TASK_CASE(a_run_that_is_out_of_time_has_killed_its_process)
{
    pl_process_options options = {.size = sizeof options, .kill_tree = 1};
    pl_process_capture capture = {0};
    pl_timeout limit = {0};
    command c = child("family");
    uint64_t grandchild = 0;
    for (int milliseconds = 200; !grandchild && milliseconds < 60000; milliseconds *= 2) {
        pl_process_capture_free(&capture);
        memset(&limit, 0, sizeof limit);
        CHECK_EQ_INT(pl_timeout_begin(&limit, PL_MS(milliseconds)), PL_OK);
        CHECK_EQ_INT(pl_timeout_end(&limit, pl_process_run(c.words, &options, NULL, 0, &capture)), PL_ETIMEDOUT);
        if (capture.output && strchr(capture.output, '\n'))
            grandchild = strtoull(capture.output, NULL, 10);
    }
    CHECK(grandchild != 0);
    CHECK(process_wait_gone(grandchild));
    pl_process_capture_free(&capture);
}

/* --- Ending it ---------------------------------------------------------------------------------------------------- */

TASK_CASE(a_process_is_asked_to_end_or_ended)
{
    pl_process *process = spawn_waiting();
    if (!process)
        return;
    CHECK_EQ_INT(pl_process_terminate(process), PL_OK);
    CHECK_EQ_INT(pl_process_wait(process, NULL), killed_code(15));
    pl_process_close(process);

    process = spawn(child("stubborn"));
    if (!process || !is_ready(process))
        return;
    if (!on_windows())
        CHECK_EQ_INT(pl_process_terminate(process), PL_OK); /* which it ignores */
    CHECK_EQ_INT(pl_process_kill(process), PL_OK);
    CHECK_EQ_INT(pl_process_wait(process, NULL), killed_code(9));
    pl_process_close(process);
}

TASK_CASE(a_process_gets_signals_by_number)
{
    pl_process *process = spawn_waiting();
    if (!process)
        return;
    if (on_windows()) {
        CHECK_EQ_INT(pl_process_signal(process, 2), PL_ENOTSUP);
        CHECK_EQ_INT(pl_process_signal(process, 21), PL_ENOTSUP); /* it has no group of its own */
        CHECK_EQ_INT(pl_process_signal(process, 15), PL_OK);
        CHECK_EQ_INT(pl_process_wait(process, NULL), 1);
    } else {
        CHECK_EQ_INT(pl_process_signal(process, 1000), PL_EINVAL);
        CHECK_EQ_INT(pl_process_signal(process, 2), PL_OK);
        CHECK_EQ_INT(pl_process_wait(process, NULL), 128 + 2);
    }
    pl_process_close(process);
}

/* The number of what the child has started; it is ready then. */
static uint64_t grandchild_of(pl_process *process)
{
    char text[64] = {0};
    size_t size = 0;
    while (!strstr(text, "ready\n") && size + 1 < sizeof text) {
        int64_t got = pl_read(pl_process_stdout(process), text + size, sizeof text - 1 - size);
        if (!CHECK(got > 0))
            return 0;
        size += (size_t)got;
    }
    return strtoull(text, NULL, 10);
}

TASK_CASE(killing_the_tree_ends_what_it_has_started)
{
    for (int after_its_end = 0; after_its_end < 2; after_its_end++) {
        pl_process_options options = pipes();
        pl_process *process = NULL;
        command c = child("family");
        uint64_t grandchild;
        options.kill_tree = 1;
        if (!CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_OK))
            return;
        grandchild = grandchild_of(process);
        CHECK(process_is_alive(grandchild));
        if (after_its_end) {
            end_input(process);
            CHECK_EQ_INT(pl_process_wait(process, NULL), 0);
            CHECK(process_is_alive(grandchild));
            CHECK_EQ_INT(pl_process_kill(process), PL_ESTATE);
        }
        CHECK_EQ_INT(pl_process_kill_tree(process), PL_OK);
        CHECK_EQ_INT(pl_process_wait(process, NULL), after_its_end ? 0 : killed_code(9));
        CHECK_EQ_INT(read_to_end(pl_process_stdout(process)), 0); /* the grandchild had it */
        CHECK(process_wait_gone(grandchild));
        pl_process_close(process);
    }
}

/* On Unix it may leave its group; it is killed all the same, and a group that is empty is no failure. */
TASK_CASE(killing_the_tree_ends_one_that_left_its_group)
{
    for (int round = 0; round < 2; round++) {
        command c = child("leave");
        pl_process_options options = pipes();
        pl_process *process = NULL;
        options.kill_tree = 1;
        CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_OK);
        if (!process || !is_ready(process))
            return;
        CHECK_EQ_INT(round == 0 ? pl_process_kill_tree(process) : pl_process_kill(process), PL_OK);
        CHECK_EQ_INT(pl_process_wait(process, NULL), killed_code(9));
        CHECK_EQ_INT(pl_process_kill_tree(process), PL_OK);
        pl_process_close(process);
    }
}

TASK_CASE(a_close_kills_if_asked_to)
{
    for (int tree = 0; tree < 2; tree++) {
        pl_process_options options = pipes();
        pl_process *process = NULL;
        command c = child("lingering family");
        uint64_t id, grandchild;
        options.kill_on_close = 1;
        options.kill_tree = tree;
        if (!CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_OK))
            return;
        id = pl_process_id(process);
        grandchild = grandchild_of(process);
        pl_process_close(process);
        CHECK(wait_until_gone(id));
        if (tree)
            CHECK(process_wait_gone(grandchild));
        else
            CHECK(process_end_stranger(grandchild));
    }
}

TASK_CASE(a_closed_process_runs_on_and_is_collected)
{
    pl_process_options options = {.size = sizeof options};
    pl_process *process = NULL;
    command c = child("linger");
    uint64_t id;
    if (!CHECK_EQ_INT(pl_process_spawn(&process, c.words, &options), PL_OK))
        return;
    id = pl_process_id(process);
    pl_process_ref(process);
    pl_process_close(process);
    CHECK(process_is_alive(id));
    CHECK_EQ_INT(pl_process_kill(process), PL_ECLOSED);
    pl_process_unref(process);
    CHECK(process_end_stranger(id));
    CHECK(wait_until_gone(id)); /* on Unix a zombie would still be there */
}

TASK_CASE(who_waits_for_a_closed_process_is_told)
{
    pl_process *process = spawn_waiting();
    pl_op op = {0};
    pl_process_capture capture = {0};
    uint64_t id;
    if (!process)
        return;
    id = pl_process_id(process);
    pl_process_ref(process);
    CHECK_EQ_INT(pl_process_wait_start(&op, process, NULL), PL_OK);
    CHECK_EQ_INT(pl_process_wait_start(&op, process, NULL), PL_EBUSY);
    pl_process_close(process);
    CHECK_EQ_INT(pl_op_await(&op), PL_ECLOSED);
    CHECK_EQ_INT(pl_process_wait(process, NULL), PL_ECLOSED);
    CHECK_EQ_INT(pl_process_communicate(process, NULL, 0, &capture), PL_ECLOSED);
    CHECK_EQ_INT(pl_process_terminate(process), PL_ECLOSED);
    CHECK_EQ_INT(pl_process_kill_tree(process), PL_ECLOSED);
    CHECK_EQ_INT(pl_process_signal(process, 9), PL_ECLOSED);
    CHECK(pl_process_stdin(process) == NULL && pl_process_stdout(process) == NULL);
    CHECK_EQ_INT(pl_process_id(process), (int64_t)id);
    pl_process_unref(process);
    CHECK(wait_until_gone(id)); /* as its input has ended */
}

typedef struct survivors {
    pl_process *killed;
    pl_process *left;
    uint64_t killed_id;
    uint64_t left_id;
    pl_op wait;
    pl_op spawning;
    pl_process *late;
} survivors;

static survivors left_open;

static void leave_processes_open(void)
{
    pl_process_options options = {.size = sizeof options};
    command c = child("linger");
    memset(&left_open, 0, sizeof left_open);
    CHECK_EQ_INT(pl_process_spawn(&left_open.left, c.words, &options), PL_OK);
    options.kill_on_close = 1;
    CHECK_EQ_INT(pl_process_spawn(&left_open.killed, c.words, &options), PL_OK);
    left_open.killed_id = pl_process_id(left_open.killed);
    left_open.left_id = pl_process_id(left_open.left);
    if (left_open.left)
        CHECK_EQ_INT(pl_process_wait_start(&left_open.wait, left_open.left, NULL), PL_OK);
    CHECK_EQ_INT(pl_process_spawn_start(&left_open.spawning, &left_open.late, c.words, &options), PL_OK);
}

TEST_CASE(closing_the_loop_closes_its_processes)
{
    loopback_run(t, leave_processes_open, NULL);
    if (!left_open.left || !left_open.killed)
        return;
    CHECK(pl_op_result(&left_open.wait) == PL_ECANCELED || pl_op_result(&left_open.wait) == PL_ECLOSED);
    CHECK((pl_op_result(&left_open.spawning) < 0) == (left_open.late == NULL)); /* it was begun, or taken back */
    CHECK_EQ_INT(pl_process_kill(left_open.left), PL_ECLOSED);
    pl_process_close(left_open.left);
    pl_process_close(left_open.killed);
    pl_process_close(left_open.late);
    CHECK(process_wait_gone(left_open.killed_id));
    CHECK(process_is_alive(left_open.left_id));
    CHECK(process_end_stranger(left_open.left_id));
    CHECK(process_wait_gone(left_open.left_id));
}

/* --- The program's own children ----------------------------------------------------------------------------------- */

TASK_CASE(the_programs_own_children_are_left_to_it)
{
    uint64_t own = 0;
    command c = child_with("exit", "0");
    if (!process_start_own_child(&own)) {
        skip_case("children need not be collected there");
        return;
    }
    for (int i = 0; i < 3; i++)
        CHECK_EQ_INT(pl_process_run(c.words, NULL, NULL, 0, NULL), 0);
    CHECK(process_collect_own_child(own));
}

TASK_CASE(an_exit_code_that_somebody_took_is_told_as_lost)
{
    pl_process *process;
    command c = child_with("exit", "0");
    if (!process_ignore_ends_of_children(true)) {
        skip_case("nobody takes exit codes there");
        return;
    }
    process = spawn(c);
    if (process) {
        CHECK_EQ_INT(pl_process_wait(process, NULL), PL_EBROKEN);
        CHECK_EQ_INT(pl_process_wait(process, NULL), PL_EBROKEN);
        CHECK_EQ_INT(pl_process_kill(process), PL_ESTATE);
        pl_process_close(process);
    }
    process_ignore_ends_of_children(false);
}

/* --- Many --------------------------------------------------------------------------------------------------------- */

TASK_CASE(a_thousand_processes_leave_nothing)
{
    command c = child_with("exit", "0");
    int64_t held = 0;
    for (int i = scaled(on_windows() ? 100 : 1000); i > 0; i--) { /* each is slow under Wine */
        pl_process *process = spawn(c);
        if (!process)
            return;
        CHECK_EQ_INT(pl_process_wait(process, NULL), 0);
        pl_process_close(process);
        if (i % 50 == 0)
            pl_yield();
        if (held == 0)
            held = pl_memory_in_use();
        if (!CHECK(pl_memory_in_use() < held + 200000))
            return;
    }
}

static int64_t run_cat(void *arg)
{
    char text[16];
    pl_process_capture capture = {0};
    command c = child("cat");
    int64_t rc;
    snprintf(text, sizeof text, "%d", *(int *)arg);
    rc = pl_process_run(c.words, NULL, text, strlen(text), &capture);
    if (rc == 0)
        CHECK_STR(capture.output, text);
    pl_process_capture_free(&capture);
    return rc;
}

TASK_CASE(many_run_at_once)
{
    enum { COUNT = 40 };
    static int numbers[COUNT];
    pl_group group = {0};
    CHECK_EQ_INT(pl_group_begin(&group, PL_GROUP_FAIL_FAST), PL_OK);
    for (int i = 0; i < COUNT; i++) {
        numbers[i] = i;
        CHECK_EQ_INT(pl_group_spawn(&group, run_cat, &numbers[i], NULL), PL_OK);
    }
    CHECK_EQ_INT(pl_group_end(&group, PL_OK), PL_OK);
}

static failing_allocation scarce;

static void run_in_scarcity(void)
{
    pl_process_capture capture = {0};
    command c = child("both");
    pl_process_options options = {.size = sizeof options};
    const char *const changes[] = {"PROLOOP_A=1", NULL};
    int failures = 0;
    options.changes = changes;
    CHECK_EQ_INT(pl_process_run(c.words, &options, NULL, 0, NULL), 0); /* workers and such are there */
    for (int i = 1; i < 400; i++) {
        int64_t rc;
        scarce.calls = 0;
        scarce.fail_at = i;
        rc = pl_process_run(c.words, &options, "x", 1, &capture);
        scarce.fail_at = 0;
        if (rc == 0 && scarce.calls < i) {
            CHECK_STR(capture.output, "output");
            pl_process_capture_free(&capture);
            break;
        }
        pl_process_capture_free(&capture);
        failures++;
        if (!CHECK(rc == PL_ENOMEM || rc == 0))
            printf("failed at %d: %s\n", i, pl_error_name(rc));
    }
    CHECK(failures >= 5);
}

TEST_CASE(memory_that_runs_out_is_told_and_nothing_is_left)
{
    REQUIRE_EQ_INT(failing_allocation_begin(&scarce), PL_OK);
    loopback_run(t, run_in_scarcity, NULL);
    t_restore_allocator();
}

TEST_SUITE(process, TEST_BACKENDS_REAL, CASE(the_exit_code_is_told), CASE(a_signal_that_ends_it_is_told),
           CASE(several_may_wait_and_after_its_end_too), CASE(a_wait_that_runs_out_of_time_leaves_the_process_alone),
           CASE(a_cancelled_wait_loses_nothing_in_any_state),
           CASE(a_wait_that_was_done_before_the_cancel_gives_its_result),
           CASE(a_wait_does_not_wait_for_who_else_has_the_pipes), CASE(hard_arguments_arrive_as_they_were),
           CASE(random_arguments_arrive_as_they_were), CASE(a_long_argument_is_passed_or_refused),
           CASE(the_environment_is_inherited_changed_or_replaced),
           CASE(the_environment_is_the_one_at_the_time_of_the_call), CASE(it_begins_in_its_folder),
           CASE(what_keeps_a_program_from_starting_is_told), CASE(a_program_has_the_name_it_is_called_by),
           CASE(a_name_is_searched_in_the_path),
           CASE(a_name_is_searched_in_the_path_of_the_time_of_the_call), CASE(batch_files_and_the_current_folder_are_left_alone),
           CASE(wrong_arguments_are_refused), CASE(a_process_is_of_the_running_loop_and_its_waits_of_a_task),
           CASE(a_cancelled_spawn_did_not_happen_or_gives_the_process),
           CASE(a_spawn_cancelled_before_it_began_starts_nothing), CASE(what_is_written_to_it_comes_back),
           CASE(a_stream_of_it_may_be_closed_by_the_user), CASE(its_handles_may_be_files), CASE(its_output_may_be_an_open_file),
           CASE(output_to_a_file_that_is_appended_to_goes_behind_what_is_there),
           CASE(a_file_that_is_open_for_something_else_is_refused), CASE(nothing_stays_nothing),
           CASE(standard_error_may_be_the_same_as_output), CASE(a_child_inherits_its_own_handles_and_nothing_else),
           CASE(children_do_not_keep_each_others_pipes),
           CASE(a_child_begins_with_the_usual_signals_and_in_the_group_asked_for),
           CASE(hidden_and_detached_children_work), CASE(megabytes_go_in_and_out_at_once),
           CASE(both_outputs_are_read_at_once), CASE(input_that_nobody_wants_is_no_error),
           CASE(more_than_the_limit_ends_a_run), CASE(a_communicate_that_is_refused_has_written_nothing), CASE(the_highest_limits_are_none),
           CASE(a_communicate_may_be_cancelled_and_called_again),
           CASE(a_run_that_is_out_of_time_has_killed_its_process), CASE(a_process_is_asked_to_end_or_ended),
           CASE(a_process_gets_signals_by_number), CASE(killing_the_tree_ends_what_it_has_started),
           CASE(killing_the_tree_ends_one_that_left_its_group), CASE(a_close_kills_if_asked_to), CASE(a_closed_process_runs_on_and_is_collected),
           CASE(who_waits_for_a_closed_process_is_told), CASE(closing_the_loop_closes_its_processes),
           CASE(the_programs_own_children_are_left_to_it), CASE(an_exit_code_that_somebody_took_is_told_as_lost),
           CASE(a_thousand_processes_leave_nothing), CASE(many_run_at_once),
           CASE(memory_that_runs_out_is_told_and_nothing_is_left))
