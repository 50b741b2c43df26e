/* process.c: children by vfork and exec.
 *
 * Between the two only calls are made that a signal handler may make, on memory that was filled before: the child shares
 * it with this program, whose calling thread stands still meanwhile, with all signals blocked. What fails there is told
 * by a pipe that exec closes, so it is the true error, also where vfork is a fork. Every descriptor but the child's own is
 * made to close by exec, those that others of this program have forgotten to mark included.
 *
 * The end is told by a pidfd. Where there is none a thread waits for that one child, without collecting it, and closes a
 * pipe. Collecting is done by the loop alone, so that the child's number is its own until then.
 */
#include "../subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

#include "../allocator.h"
#include "../thread.h"
#include "error.h"

#if !defined(NSIG)
#define NSIG 65
#endif

extern char **environ;

enum {
    FIRST_OF_OURS = PL__STDIO_COUNT + PL__INHERITED_MAX, /* descriptors of the parent's that the child works with */
    SEARCH_MAX = 4096                                    /* bytes of a path that is looked for */
};

/* --- The environment ---------------------------------------------------------------------------------------------- */

/* The part before "=", which may not be the first character. */
static size_t name_length(const char *entry)
{
    const char *equals = entry[0] ? strchr(entry + 1, '=') : NULL;
    return equals ? (size_t)(equals - entry) : strlen(entry);
}

static bool has_name(const char *entry, const char *change)
{
    size_t length = name_length(change);
    return name_length(entry) == length && memcmp(entry, change, length) == 0;
}

/* The last change of that name counts. */
static bool is_changed(const char *entry, const char **changes)
{
    for (size_t i = 0; changes && changes[i]; i++) {
        if (has_name(entry, changes[i]))
            return true;
    }
    return false;
}

/* Appends a copy behind `text`, if there is room for one. */
typedef struct environment {
    char **entries; /* NULL: only measured */
    char *text;
    size_t count;
    size_t size;
} environment;

static void add_text(environment *e, const char *text)
{
    size_t size = strlen(text) + 1;
    if (e->entries)
        memcpy(e->text + e->size, text, size);
    e->size += size;
}

static void add_entry(environment *e, const char *entry)
{
    if (e->entries)
        e->entries[e->count] = e->text + e->size;
    e->count++;
    add_text(e, entry);
}

static void add_entries(environment *e, const pl__spawn *spawn)
{
    const char **changes = spawn->changes;
    const char **base = spawn->environment ? spawn->environment : (const char **)environ;
    for (size_t i = 0; base && base[i]; i++) {
        if (!is_changed(base[i], changes))
            add_entry(e, base[i]);
    }
    for (size_t i = 0; changes && changes[i]; i++) {
        if (strchr(changes[i], '=') && !is_changed(changes[i], changes + i + 1))
            add_entry(e, changes[i]);
    }
}

static const char *search_path(void)
{
    const char *path = getenv("PATH");
    return path ? path : "/bin:/usr/bin";
}

/* All in one block: the child's environment, and where its file is searched. A copy, as the program may change its own at
 * any time. */
int pl__spawn_prepare(pl__spawn *spawn, int32_t *system_error)
{
    environment e = {.entries = NULL};
    PL__UNUSED(system_error);
    add_entries(&e, spawn);
    add_text(&e, search_path());
    size_t pointers = (e.count + 1) * sizeof *e.entries;
    spawn->prepared_size = pointers + e.size;
    spawn->prepared = pl__allocate(spawn->prepared_size);
    if (!spawn->prepared)
        return PL_ENOMEM;
    e = (environment){.entries = spawn->prepared};
    e.text = (char *)spawn->prepared + pointers;
    add_entries(&e, spawn);
    e.entries[e.count] = NULL;
    spawn->search_path = e.text + e.size;
    add_text(&e, search_path());
    return PL_OK;
}

void pl__spawn_release(pl__spawn *spawn)
{
    pl__release(spawn->prepared, spawn->prepared_size);
    spawn->prepared = NULL;
    spawn->prepared_size = 0;
}

/* --- The file to run ---------------------------------------------------------------------------------------------- */

/* 0, or an errno: whether it is a file that may be run. */
static int check_program(const char *path)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return errno;
    if (!S_ISREG(status.st_mode))
        return EACCES;
    return access(path, X_OK) < 0 ? errno : 0;
}

/* folder/name, or with an empty folder just the name. 0, or an errno. */
static int join(char *path, const char *folder, size_t folder_length, const char *name)
{
    size_t length = strlen(name);
    if (folder_length + length + 2 > SEARCH_MAX)
        return ENAMETOOLONG;
    memcpy(path, folder, folder_length);
    if (folder_length > 0)
        path[folder_length++] = '/';
    memcpy(path + folder_length, name, length + 1);
    return 0;
}

/* Looks through PATH as execvp does: a file that may not be run is passed over, and told if there is no other. */
static int search(char *path, const char *folder, const char *name)
{
    int found = ENOENT;
    for (;;) {
        size_t length = strcspn(folder, ":");
        int error = join(path, folder, length, name);
        if (error == 0)
            error = check_program(path);
        if (error == 0)
            return 0;
        if (error == EACCES)
            found = EACCES;
        if (!folder[length])
            return found;
        folder += length + 1;
    }
}

/* A name that would be seen from another folder than this program's. */
static int make_absolute(char *path)
{
    char folder[SEARCH_MAX], name[SEARCH_MAX];
    if (path[0] == '/')
        return 0;
    if (!getcwd(folder, sizeof folder))
        return errno;
    memcpy(name, path, strlen(path) + 1);
    return join(path, folder, strlen(folder), name);
}

/* 0, or an errno. */
static int find_program(const pl__spawn *spawn, char *path)
{
    const char *name = spawn->executable ? spawn->executable : spawn->argv[0];
    int error = strchr(name, '/') ? join(path, "", 0, name) : search(path, spawn->search_path, name);
    if (error == 0 && spawn->folder)
        error = make_absolute(path);
    return error;
}

/* --- The child's descriptors -------------------------------------------------------------------------------------- */

/* What the child needs, all of it filled before it is born. */
typedef struct birth {
    const pl__spawn *spawn;
    const char *path;
    int sources
        [FIRST_OF_OURS]; /* what is to become the descriptors 0, 1 ...; all are above those. -1: stays as it is */
    int count;
    int status; /* where the child writes an errno */
    int limit;  /* above all descriptors there may be, where they are looked for one by one */
} birth;

static int open_path(const pl__spawn_stdio *stdio, int which)
{
    int flags = O_CLOEXEC | O_NOCTTY;
    const char *path = stdio->kind == PL_STDIO_NULL ? "/dev/null" : stdio->path;
    if (which == 0)
        flags |= O_RDONLY;
    else if (stdio->kind == PL_STDIO_APPEND)
        flags |= O_WRONLY | O_CREAT | O_APPEND;
    else
        flags |= O_WRONLY | (stdio->kind == PL_STDIO_PATH ? O_CREAT | O_TRUNC : 0);
    int descriptor;
    do {
        descriptor = open(path, flags, 0666);
    } while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* A descriptor above the child's own, or -1 and errno. */
static int lift(int descriptor, bool is_ours)
{
    if (descriptor >= FIRST_OF_OURS && is_ours)
        return descriptor;
    int lifted = fcntl(descriptor, F_DUPFD_CLOEXEC, FIRST_OF_OURS);
    int error = errno;
    if (is_ours && descriptor >= 0)
        (void)close(descriptor);
    errno = error;
    return lifted;
}

/* An open file from its beginning: opened anew where that can be done, as a copy has the position of the first. */
static int open_again(int file, int which, bool append)
{
#if defined(__linux__)
    char link[32];
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int access = which == 0 ? O_RDONLY : append ? O_WRONLY | O_APPEND : O_WRONLY;
    int opened = open(link, access | O_CLOEXEC | O_NOCTTY);
    if (opened >= 0)
        return lift(opened, true);
#else
    PL__UNUSED(which);
    PL__UNUSED(append);
#endif
    int copy = lift(file, false);
    if (copy >= 0)
        (void)lseek(copy, 0, SEEK_SET);
    return copy;
}

/* 0, or an errno. Inherited ones that the program itself does not have are nothing instead. */
static int open_source(birth *b, int which)
{
    const pl__spawn_stdio *stdio = &b->spawn->stdio[which];
    pl__spawn_stdio nothing = {.kind = PL_STDIO_NULL};
    int made = -1;
    switch (stdio->kind) {
    case PL_STDIO_INHERIT:
        if (fcntl(which, F_GETFD) >= 0) /* a copy: another one may be put in its place before it has its turn */
            made = lift(which, false);
        else
            made = lift(open_path(&nothing, which), true);
        break;
    case PL_STDIO_OUTPUT:
        made = lift(b->sources[1], false);
        break;
    case PL_STDIO_PIPE:
    case PL_STDIO_HANDLE:
        if (stdio->object > INT_MAX)
            return EBADF;
        made = lift((int)stdio->object, false);
        break;
    case PL_STDIO_FILE:
        made = open_again((int)stdio->object, which, stdio->append);
        break;
    default:
        made = open_path(stdio, which);
        made = made < 0 ? made : lift(made, true);
        break;
    }
    b->sources[which] = made;
    return made < 0 ? errno : 0;
}

static int open_sources(birth *b)
{
    int error = 0;
    for (int i = 0; i < FIRST_OF_OURS; i++)
        b->sources[i] = -1;
    b->count = PL__STDIO_COUNT + b->spawn->inherited_count;
    for (int i = 0; i < PL__STDIO_COUNT && !error; i++)
        error = open_source(b, i);
    for (int i = PL__STDIO_COUNT; i < b->count && !error; i++) {
        b->sources[i] = lift((int)b->spawn->inherited[i - PL__STDIO_COUNT], false);
        error = b->sources[i] < 0 ? errno : 0;
    }
    return error;
}

static void close_sources(birth *b)
{
    for (int i = 0; i < FIRST_OF_OURS; i++) {
        if (b->sources[i] >= 0)
            (void)close(b->sources[i]);
    }
}

/* --- In the child, before exec ------------------------------------------------------------------------------------ */

static void reset_signals(const pl__spawn *spawn)
{
    struct sigaction action;
    sigset_t mask;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &action, NULL); /* some cannot be changed, and need not */
    (void)sigemptyset(&mask);
    if (spawn->blocks_interrupts)
        (void)sigaddset(&mask, SIGINT);
    (void)sigprocmask(SIG_SETMASK, &mask, NULL);
}

/* All but the child's own close by exec. */
static void mark_others(const birth *b)
{
#if defined(SYS_close_range)
    const unsigned close_by_exec = 4; /* CLOSE_RANGE_CLOEXEC, which older headers do not have */
    if (syscall(SYS_close_range, (unsigned)b->count, ~0U, close_by_exec) == 0)
        return;
#endif
    for (int i = b->count; i < b->limit; i++)
        (void)fcntl(i, F_SETFD, FD_CLOEXEC);
}

/* 0, or an errno. */
static int place_descriptors(const birth *b)
{
    for (int i = 0; i < b->count; i++) {
        int placed;
        do {
            placed = dup2(b->sources[i], i);
        } while (placed < 0 && (errno == EINTR || errno == EBUSY));
        if (placed < 0)
            return errno;
    }
    mark_others(b);
    return 0;
}

/* 0, or an errno. */
static int place_in_group(const pl__spawn *spawn)
{
    if (spawn->detached)
        return setsid() < 0 ? errno : 0;
    if (spawn->new_group || spawn->kill_tree)
        return setpgid(0, 0) < 0 ? errno : 0;
    return 0;
}

/* It never returns. What it writes to the pipe is the errno of what failed. */
static void become(const birth *b)
{
    const pl__spawn *spawn = b->spawn;
    int error = place_in_group(spawn);
    if (!error && spawn->folder && chdir(spawn->folder) < 0)
        error = errno;
    if (!error)
        error = place_descriptors(b);
    if (!error) {
        reset_signals(spawn);
        (void)execve(b->path, (char *const *)(uintptr_t)spawn->argv, spawn->prepared);
        error = errno;
    }
    ssize_t written;
    do {
        written = write(b->status, &error, sizeof error);
    } while (written < 0 && errno == EINTR);
    _exit(127);
}

/* --- The birth ---------------------------------------------------------------------------------------------------- */

/* In a function of its own: what the child does to the frame stays done. */
PL__NOINLINE static pid_t fork_child(const birth *b)
{
#if defined(__linux__)
    pid_t id = vfork();
#else
    pid_t id = fork();
#endif
    if (id == 0)
        become(b);
    return id;
}

/* No handler of this program may run in the child. */
static pid_t give_birth(const birth *b)
{
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t id = fork_child(b);
    int error = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return id;
}

static void collect_now(pid_t id)
{
    while (waitpid(id, NULL, 0) < 0 && errno == EINTR)
        continue;
}

/* The errno that the child wrote; 0: exec closed the pipe. */
static int read_status(int descriptor)
{
    int error = 0;
    ssize_t count;
    do {
        count = read(descriptor, &error, sizeof error);
    } while (count < 0 && errno == EINTR);
    return count == (ssize_t)sizeof error ? error : 0;
}

/* A pipe that no child inherits, both ends above a child's own. 0, or an errno. */
static int make_pipe(int ends[2])
{
#if defined(__linux__)
    if (pipe2(ends, O_CLOEXEC) < 0)
        return errno;
#else
    if (pipe(ends) < 0)
        return errno;
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
#endif
    ends[0] = lift(ends[0], true);
    int error = ends[0] < 0 ? errno : 0;
    ends[1] = lift(ends[1], true);
    if (!error && ends[1] >= 0)
        return 0;
    error = error ? error : errno;
    for (int i = 0; i < 2; i++) {
        if (ends[i] >= 0)
            (void)close(ends[i]);
    }
    return error;
}

/* 0, with *id; or an errno, and there is no child. */
static int start(birth *b, pid_t *id)
{
    int ends[2];
    int error = make_pipe(ends);
    if (error)
        return error;
    b->status = ends[1];
    *id = give_birth(b);
    error = *id < 0 ? errno : 0;
    (void)close(ends[1]);
    if (!error) {
        error = read_status(ends[0]);
        if (error)
            collect_now(*id);
    }
    (void)close(ends[0]);
    return error;
}

/* --- Its end ------------------------------------------------------------------------------------------------------ */

static int open_pidfd(pid_t id)
{
#if defined(SYS_pidfd_open)
    return (int)syscall(SYS_pidfd_open, id, 0); /* not inherited */
#else
    PL__UNUSED(id);
    errno = ENOSYS;
    return -1;
#endif
}

/* A child that a thread waits for. */
typedef struct vigil {
    pid_t id;
    int told; /* closed when it has ended; -1: it is collected, and nobody told */
} vigil;

static void keep_vigil(void *arg)
{
    vigil v = *(vigil *)arg;
    siginfo_t end;
    pl__release(arg, sizeof v);
    while (waitid(P_PID, (id_t)v.id, &end, WEXITED | (v.told >= 0 ? WNOWAIT : 0)) < 0 && errno == EINTR)
        continue;
    if (v.told >= 0)
        (void)close(v.told);
}

/* PL_OK, or an error. */
static int begin_vigil(pid_t id, int told)
{
    pl__thread thread;
    vigil *v = pl__allocate(sizeof *v);
    if (!v)
        return PL_ENOMEM;
    *v = (vigil){.id = id, .told = told};
    int rc = pl__thread_start(&thread, keep_vigil, v, "proloop child");
    if (rc == PL_OK)
        pl__thread_detach(&thread);
    else
        pl__release(v, sizeof *v);
    return rc;
}

/* A descriptor that tells the end. PL_OK, or an error. ESRCH: it has ended, and the system has taken it away as this program
 * ignores the ends of its children; its number is not its own any more. */
static int open_end(pl__subprocess *child, int32_t *system_error)
{
    int ends[2];
    int descriptor = open_pidfd((pid_t)child->id);
    child->by_pidfd = descriptor >= 0;
    if (descriptor >= 0) {
        child->object = (uintptr_t)descriptor;
        return PL_OK;
    }
    child->collected = errno == ESRCH;
    int error = errno == ESRCH || errno == ENOSYS || errno == EPERM || errno == EINVAL ? make_pipe(ends) : errno;
    if (error) {
        *system_error = error;
        return pl__error_from_errno(error);
    }
    if (child->collected) {
        (void)close(ends[1]); /* told already */
        child->object = (uintptr_t)ends[0];
        return PL_OK;
    }
    int rc = begin_vigil((pid_t)child->id, ends[1]);
    if (rc < 0) {
        (void)close(ends[0]);
        (void)close(ends[1]);
        return rc;
    }
    child->object = (uintptr_t)ends[0];
    return PL_OK;
}

static int highest_descriptor(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    return (int)limit.rlim_cur;
}

int64_t pl__spawn_now(pl__spawn *spawn, int32_t *system_error)
{
    char path[SEARCH_MAX];
    birth b = {.spawn = spawn, .path = path, .limit = highest_descriptor()};
    pid_t id = -1;
    int error = find_program(spawn, path);
    if (!error) {
        error = open_sources(&b);
        if (!error)
            error = start(&b, &id);
        close_sources(&b);
    }
    if (error) {
        *system_error = error;
        return pl__error_from_errno(error);
    }
    spawn->child =
        (pl__subprocess){.object = PL__NO_OBJECT, .id = (uint64_t)id, .wait = PL__POLL, .group = spawn->kill_tree};
    int rc = spawn->unwatched ? PL_OK : open_end(&spawn->child, system_error);
    if (rc < 0 && !spawn->child.collected) { /* a child that nobody could wait for */
        (void)kill(id, SIGKILL);
        collect_now(id);
    }
    return rc;
}

/* --- A running child ---------------------------------------------------------------------------------------------- */

static pl_duration nanoseconds_of(struct timeval time)
{
    return ((pl_duration)time.tv_sec * 1000000 + time.tv_usec) * 1000;
}

/* As waitid of one child, which gives its times where the system has such a call. */
static int wait_for(pid_t id, siginfo_t *end, int options, pl_process_result *result)
{
    int rc;
    memset(end, 0, sizeof *end);
    result->user_time = result->system_time = -1;
    do {
#if defined(__linux__)
        struct rusage usage;
        memset(&usage, 0, sizeof usage);
        rc = (int)syscall(SYS_waitid, P_PID, id, end, options, &usage);
        if (rc == 0) {
            result->user_time = nanoseconds_of(usage.ru_utime);
            result->system_time = nanoseconds_of(usage.ru_stime);
        }
#else
        rc = waitid(P_PID, (id_t)id, end, options);
#endif
    } while (rc < 0 && errno == EINTR);
    return rc;
}

int pl__subprocess_collect(pl__subprocess *child, pl_process_result *result)
{
    siginfo_t end;
    memset(result, 0, sizeof *result);
    result->user_time = result->system_time = -1;
    if (child->collected)
        return PL_EBROKEN;
    if (wait_for((pid_t)child->id, &end, WEXITED | WNOHANG | (child->group ? WNOWAIT : 0), result) < 0) {
        child->collected = true;
        return PL_EBROKEN;
    }
    if (end.si_pid == 0)
        return 0;
    child->collected = !child->group;
    if (end.si_code == CLD_EXITED) {
        result->exit_code = (uint32_t)end.si_status & 0xff;
    } else {
        result->signal = end.si_status;
        result->core_dumped = end.si_code == CLD_DUMPED;
    }
    return 1;
}

static int signal_result(int rc)
{
    return rc == 0 ? PL_OK : pl__error_from_errno(errno);
}

int pl__subprocess_signal(pl__subprocess *child, int number)
{
    if (child->collected)
        return PL_ESTATE;
#if defined(SYS_pidfd_send_signal)
    if (child->by_pidfd) {
        int rc = (int)syscall(SYS_pidfd_send_signal, (int)child->object, number, NULL, 0);
        if (rc == 0 || errno != ENOSYS)
            return signal_result(rc);
    }
#endif
    return signal_result(kill((pid_t)child->id, number));
}

int pl__subprocess_terminate(pl__subprocess *child)
{
    return pl__subprocess_signal(child, SIGTERM);
}

int pl__subprocess_kill(pl__subprocess *child)
{
    return pl__subprocess_signal(child, SIGKILL);
}

/* Its leader is not collected, so the group's number is its own. The leader may have left it, and nobody may be in it. */
int pl__subprocess_kill_tree(pl__subprocess *child)
{
    if (!child->group || child->collected)
        return PL_ESTATE;
    int killed = signal_result(kill(-(pid_t)child->id, SIGKILL));
    int leader = pl__subprocess_kill(child);
    return leader == PL_OK ? PL_OK : killed;
}

void pl__subprocess_close(pl__subprocess *child)
{
    if (!child->collected) {
        pl_process_result result;
        siginfo_t end;
        int rc = wait_for((pid_t)child->id, &end, WEXITED | WNOHANG, &result);
        if (rc == 0 && end.si_pid == 0)
            (void)begin_vigil((pid_t)child->id, -1); /* without one it is collected when this program has ended */
    }
    if (child->object != PL__NO_OBJECT)
        (void)close((int)child->object);
    *child = (pl__subprocess){.object = PL__NO_OBJECT, .collected = true};
}
