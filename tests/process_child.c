#include "process_child.h"

#include <proloop/proloop.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(_WIN32)
#include <windows.h>
#include <shellapi.h>
#include <fcntl.h>
#include <io.h>
#else
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "handles.h"
#include "process.h"

enum { TEXT_MAX = 40000, PATIENCE_SECONDS = 60 };

/* --- The system ------------------------------------------------------------------------------------------------------ */

#if defined(_WIN32)

int __wgetmainargs(int *count, wchar_t ***values, wchar_t ***environment, int glob, int *info);

static char *to_utf8(const WCHAR *wide)
{
    int size = WideCharToMultiByte(CP_UTF8, 0, wide, -1, NULL, 0, NULL, NULL);
    char *text = malloc((size_t)size);
    (void)WideCharToMultiByte(CP_UTF8, 0, wide, -1, text, size, NULL, NULL);
    return text;
}

static WCHAR *to_wide(const char *text)
{
    int size = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    WCHAR *wide = malloc((size_t)size * sizeof(WCHAR));
    (void)MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, size);
    return wide;
}

/* As both parsers read them, which must agree. */
static char **arguments(int *count, char **argv)
{
    int runtime_count = 0, info = 0;
    wchar_t **runtime = NULL, **environment;
    WCHAR **shell = CommandLineToArgvW(GetCommandLineW(), count);
    char **texts = malloc((size_t)(*count + 1) * sizeof *texts);
    (void)argv;
    (void)__wgetmainargs(&runtime_count, &runtime, &environment, 0, &info);
    for (int i = 0; i < *count; i++) {
        if (i >= runtime_count || wcscmp(shell[i], runtime[i]) != 0)
            exit(101);
        texts[i] = to_utf8(shell[i]);
    }
    if (runtime_count != *count)
        exit(102);
    texts[*count] = NULL;
    return texts;
}

static char *variable(const char *name)
{
    static WCHAR value[TEXT_MAX];
    WCHAR *wide = to_wide(name);
    SetLastError(ERROR_SUCCESS);
    DWORD size = GetEnvironmentVariableW(wide, value, TEXT_MAX);
    free(wide);
    return size == 0 && GetLastError() == ERROR_ENVVAR_NOT_FOUND ? NULL : to_utf8(value);
}

void process_set_variable(const char *name, const char *value)
{
    WCHAR *wide = to_wide(name), *wide_value = value ? to_wide(value) : NULL;
    (void)SetEnvironmentVariableW(wide, wide_value);
    free(wide);
    free(wide_value);
}

static void print_folder(void)
{
    WCHAR folder[MAX_PATH];
    (void)GetCurrentDirectoryW(MAX_PATH, folder);
    char *text = to_utf8(folder);
    (void)fputs(text, stdout);
    free(text);
}

static void prepare(void)
{
    (void)_setmode(0, _O_BINARY);
    (void)_setmode(1, _O_BINARY);
    (void)_setmode(2, _O_BINARY);
}

static void leave(uint32_t code)
{
    (void)fflush(NULL);
    ExitProcess(code);
}

static void nap(void)
{
    Sleep(10);
}

static bool is_open(uintptr_t value)
{
    DWORD flags;
    return GetHandleInformation((HANDLE)value, &flags) != 0;
}

static int print_state(void)
{
    return 0;
}

static void leave_group(void)
{
}

static void end_by_signal(int number)
{
    (void)number;
}

const char *process_child_path(void)
{
    static char path[TEXT_MAX];
    static WCHAR wide[4096];
    (void)GetModuleFileNameW(NULL, wide, 4096);
    (void)WideCharToMultiByte(CP_UTF8, 0, wide, -1, path, sizeof path, NULL, NULL);
    return path;
}

bool process_ignore_ends_of_children(bool ignore)
{
    (void)ignore;
    return false;
}

bool process_wait_all_taken(void)
{
    return false;
}

bool process_start_own_child(uint64_t *id)
{
    (void)id;
    return false;
}

bool process_collect_own_child(uint64_t id)
{
    (void)id;
    return false;
}

bool process_has_children(void)
{
    return false;
}

bool process_ignore_pipe_signal(bool ignore)
{
    (void)ignore;
    return false;
}

bool process_end_stranger(uint64_t id)
{
    return process_kill(id);
}

bool process_is_gone(uint64_t id)
{
    return !process_is_alive(id);
}

uintptr_t process_open_file(const char *path)
{
    return (uintptr_t)CreateFileA(path, GENERIC_WRITE, FILE_SHARE_READ, NULL, CREATE_ALWAYS, 0, NULL);
}

void process_close_file(uintptr_t file)
{
    (void)CloseHandle((HANDLE)file);
}

#else

static char **arguments(int *count, char **argv)
{
    (void)count;
    return argv;
}

static char *variable(const char *name)
{
    return getenv(name);
}

void process_set_variable(const char *name, const char *value)
{
    if (value)
        (void)setenv(name, value, 1);
    else
        (void)unsetenv(name);
}

static void print_folder(void)
{
    char folder[4096];
    (void)fputs(getcwd(folder, sizeof folder) ? folder : "?", stdout);
}

static void prepare(void)
{
}

static void leave(uint32_t code)
{
    (void)fflush(NULL);
    _exit((int)code);
}

static void nap(void)
{
    (void)usleep(10000);
}

static bool is_open(uintptr_t value)
{
    return fcntl((int)value, F_GETFD) >= 0;
}

/* How many signals are blocked or not as they are by default; whether it leads a group, and a session. */
static int print_state(void)
{
    int unusual = 0;
    sigset_t blocked;
    (void)sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int i = 1; i < 65; i++) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        if (sigaction(i, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            unusual++;
        unusual += sigismember(&blocked, i) == 1;
    }
    return printf("%d %d %d", unusual, getpgrp() == getpid(), getsid(0) == getpid());
}

/* For the group of the parent. */
static void leave_group(void)
{
    (void)setpgid(0, getpgid(getppid()));
}

static void end_by_signal(int number)
{
    (void)kill(getpid(), number);
}

const char *process_child_path(void)
{
    static char path[4096];
    ssize_t size = readlink("/proc/self/exe", path, sizeof path - 1);
    path[size > 0 ? size : 0] = '\0';
    return path;
}

bool process_ignore_ends_of_children(bool ignore)
{
    (void)signal(SIGCHLD, ignore ? SIG_IGN : SIG_DFL);
    return true;
}

bool process_wait_all_taken(void)
{
    while (waitpid(-1, NULL, 0) < 0) {
        if (errno != EINTR)
            return errno == ECHILD;
    }
    return false;
}

bool process_start_own_child(uint64_t *id)
{
    pid_t child = fork();
    if (child == 0)
        _exit(3);
    *id = (uint64_t)child;
    return child > 0;
}

bool process_collect_own_child(uint64_t id)
{
    int status = 0;
    while (waitpid((pid_t)id, &status, 0) < 0) {
        if (errno != EINTR)
            return false;
    }
    return WIFEXITED(status) && WEXITSTATUS(status) == 3;
}

bool process_has_children(void)
{
    siginfo_t end;
    return waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) == 0;
}

bool process_ignore_pipe_signal(bool ignore)
{
    (void)signal(SIGPIPE, ignore ? SIG_IGN : SIG_DFL);
    return true;
}

bool process_end_stranger(uint64_t id)
{
    return kill((pid_t)id, SIGKILL) == 0;
}

bool process_is_gone(uint64_t id)
{
    char path[64], state = 0;
    int parent = 0;
    FILE *status;
    (void)snprintf(path, sizeof path, "/proc/%llu/stat", (unsigned long long)id);
    status = fopen(path, "r");
    if (!status)
        return true;
    if (fscanf(status, "%*d (%*[^)]) %c %d", &state, &parent) != 2)
        state = 'Z';
    (void)fclose(status);
    return state == 'Z' && parent != (int)getpid();
}

uintptr_t process_open_file(const char *path)
{
    return (uintptr_t)open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666); /* inheritable, as a program may have them */
}

void process_close_file(uintptr_t file)
{
    (void)close((int)file);
}

#endif

bool process_wait_gone(uint64_t id)
{
    for (int i = 0; i < PATIENCE_SECONDS * 100 && !process_is_gone(id); i++)
        nap();
    return process_is_gone(id);
}

/* --- What a child can do -------------------------------------------------------------------------------------------- */

static void print_hex(const char *text)
{
    for (; *text; text++)
        (void)printf("%02x", (unsigned char)*text);
    (void)putchar('\n');
}

/* "ready", and then the end of the input, or a minute. */
static void wait_for_end_of_input(void)
{
    (void)fputs("ready\n", stdout);
    (void)fflush(stdout);
    while (getchar() != EOF)
        continue;
}

static void copy(void)
{
    static char data[65536];
    for (size_t size; (size = fread(data, 1, sizeof data, stdin)) > 0;)
        (void)fwrite(data, 1, size, stdout);
}

/* Both outputs in turns, each byte telling its place. */
static void flood(long size)
{
    char data[1000];
    for (long at = 0; at < size; at += (long)sizeof data) {
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = (char)((size_t)at + i);
        (void)fwrite(data, 1, sizeof data, stdout);
        (void)fwrite(data, 1, sizeof data, stderr);
    }
}

/* A child of its own that waits for a long time and keeps our outputs, until it is killed. */
static int64_t start_grandchild(void *arg)
{
    const char *const argv[] = {process_child_path(), PROCESS_CHILD, "linger", NULL};
    pl_process *process = NULL;
    (void)arg;
    int64_t rc = pl_process_spawn(&process, argv, NULL);
    if (rc < 0)
        return rc;
    (void)printf("%llu\n", (unsigned long long)pl_process_id(process));
    (void)fflush(stdout);
    pl_process_close(process);
    return PL_OK;
}

static void linger(void)
{
    for (int i = 0; i < PATIENCE_SECONDS * 100; i++)
        nap();
}

static void count_descriptors(const char *value)
{
    static handle_set open;
    (void)handles_take(&open);
    (void)printf("%d %d", (int)open.count, is_open((uintptr_t)strtoull(value, NULL, 10)));
}

static void print_variables(char **names)
{
    for (; *names; names++) {
        const char *value = variable(*names);
        if (value)
            print_hex(value);
        else
            (void)puts("-");
    }
}

#if !defined(_WIN32)
static void ignore_termination(void)
{
    (void)signal(SIGTERM, SIG_IGN);
}
#else
static void ignore_termination(void)
{
}
#endif

static void act(const char *mode, char **rest)
{
    if (strcmp(mode, "args") == 0) {
        for (; *rest; rest++)
            print_hex(*rest);
    } else if (strcmp(mode, "variables") == 0) {
        print_variables(rest);
    } else if (strcmp(mode, "folder") == 0) {
        print_folder();
    } else if (strcmp(mode, "cat") == 0) {
        copy();
    } else if (strcmp(mode, "exit") == 0) {
        leave((uint32_t)strtoul(rest[0], NULL, 10));
    } else if (strcmp(mode, "wait") == 0) {
        wait_for_end_of_input();
    } else if (strcmp(mode, "leave") == 0) {
        leave_group();
        wait_for_end_of_input();
    } else if (strcmp(mode, "stubborn") == 0) {
        ignore_termination();
        wait_for_end_of_input();
    } else if (strcmp(mode, "flood") == 0) {
        flood(strtol(rest[0], NULL, 10));
    } else if (strcmp(mode, "both") == 0) {
        (void)fputs("output", stdout);
        (void)fflush(stdout);
        (void)fputs("error", stderr);
    } else if (strcmp(mode, "grandchild") == 0) {
        if (pl_run(start_grandchild, NULL, NULL) < 0)
            leave(103);
    } else if (strcmp(mode, "family") == 0) {
        if (pl_run(start_grandchild, NULL, NULL) < 0)
            leave(103);
        wait_for_end_of_input();
    } else if (strcmp(mode, "lingering family") == 0) {
        if (pl_run(start_grandchild, NULL, NULL) < 0)
            leave(103);
        (void)fputs("ready\n", stdout);
        (void)fflush(stdout);
        linger();
    } else if (strcmp(mode, "linger") == 0) {
        linger();
    } else if (strcmp(mode, "stay") == 0) {
        (void)printf("%llu\n", (unsigned long long)process_id());
        (void)fflush(stdout);
        linger();
    } else if (strcmp(mode, "handles") == 0) {
        count_descriptors(rest[0]);
    } else if (strcmp(mode, "state") == 0) {
        (void)print_state();
    } else if (strcmp(mode, "signal") == 0) {
        end_by_signal((int)strtol(rest[0], NULL, 10));
    } else {
        leave(100);
    }
}

void process_child_main(int argc, char **argv)
{
    if (argc < 3 || strcmp(argv[1], PROCESS_CHILD) != 0)
        return;
    prepare();
    char **values = arguments(&argc, argv);
    act(values[2], values + 3);
    leave(0);
}
