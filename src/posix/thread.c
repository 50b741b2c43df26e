/* thread.c: threads, mutexes and conditions of POSIX.
 *
 * A condition waits on the monotonic clock, so that setting the time of day neither shortens nor lengthens a
 * wait. A failure of a pthread call on a mutex or a condition is a broken invariant, not something to report.
 */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* pthread_setname_np, syscall */
#endif

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#elif defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
#include <pthread_np.h>
#endif

#include <proloop/base.h>

#include "../allocator.h"
#include "../check.h"
#include "../thread.h"

PL__STATIC_ASSERT(sizeof(pthread_mutex_t) <= sizeof(pl__mutex), "pl__mutex is too small");
PL__STATIC_ASSERT(sizeof(pthread_cond_t) <= sizeof(pl__condition), "pl__condition is too small");
PL__STATIC_ASSERT(sizeof(pthread_t) <= sizeof(pl__thread), "pl__thread is too small");

/* What a new thread is told; it releases it before anything else. */
typedef struct start {
    pl__thread_fn *fn;
    void *arg;
    char name[32];
} start;

static pthread_mutex_t *mutex_of(pl__mutex *mutex)
{
    return (pthread_mutex_t *)(void *)mutex;
}

static pthread_cond_t *condition_of(pl__condition *condition)
{
    return (pthread_cond_t *)(void *)condition;
}

static pthread_t *thread_of(pl__thread *thread)
{
    return (pthread_t *)(void *)thread;
}

static void check(int rc, const char *call)
{
    if (PL__UNLIKELY(rc != 0))
        PL__PANIC("%s: %s", call, strerror(rc));
}

void pl__mutex_init(pl__mutex *mutex)
{
    check(pthread_mutex_init(mutex_of(mutex), NULL), "pthread_mutex_init");
}

void pl__mutex_destroy(pl__mutex *mutex)
{
    check(pthread_mutex_destroy(mutex_of(mutex)), "pthread_mutex_destroy");
}

void pl__mutex_lock(pl__mutex *mutex)
{
    check(pthread_mutex_lock(mutex_of(mutex)), "pthread_mutex_lock");
}

bool pl__mutex_try_lock(pl__mutex *mutex)
{
    int rc = pthread_mutex_trylock(mutex_of(mutex));
    if (rc == EBUSY)
        return false;
    check(rc, "pthread_mutex_trylock");
    return true;
}

void pl__mutex_unlock(pl__mutex *mutex)
{
    check(pthread_mutex_unlock(mutex_of(mutex)), "pthread_mutex_unlock");
}

void pl__condition_init(pl__condition *condition)
{
#if defined(__APPLE__) /* no clock to choose: its timed wait is relative */
    check(pthread_cond_init(condition_of(condition), NULL), "pthread_cond_init");
#else
    pthread_condattr_t attributes;
    check(pthread_condattr_init(&attributes), "pthread_condattr_init");
    check(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), "pthread_condattr_setclock");
    check(pthread_cond_init(condition_of(condition), &attributes), "pthread_cond_init");
    pthread_condattr_destroy(&attributes);
#endif
}

void pl__condition_destroy(pl__condition *condition)
{
    check(pthread_cond_destroy(condition_of(condition)), "pthread_cond_destroy");
}

void pl__condition_signal(pl__condition *condition)
{
    check(pthread_cond_signal(condition_of(condition)), "pthread_cond_signal");
}

void pl__condition_broadcast(pl__condition *condition)
{
    check(pthread_cond_broadcast(condition_of(condition)), "pthread_cond_broadcast");
}

void pl__condition_wait(pl__condition *condition, pl__mutex *mutex)
{
    check(pthread_cond_wait(condition_of(condition), mutex_of(mutex)), "pthread_cond_wait");
}

#if defined(__APPLE__)

static int wait_at_most(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t nanoseconds)
{
    struct timespec span;
    span.tv_sec = (time_t)(nanoseconds / 1000000000);
    span.tv_nsec = (int)(nanoseconds % 1000000000);
    return pthread_cond_timedwait_relative_np(condition, mutex, &span);
}

#else

static int wait_at_most(pthread_cond_t *condition, pthread_mutex_t *mutex, int64_t nanoseconds)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    nanoseconds += until.tv_nsec;
    until.tv_sec += (time_t)(nanoseconds / 1000000000);
    until.tv_nsec = (int)(nanoseconds % 1000000000);
    return pthread_cond_timedwait(condition, mutex, &until);
}

#endif

bool pl__condition_wait_for(pl__condition *condition, pl__mutex *mutex, int64_t nanoseconds)
{
    if (nanoseconds >= INT32_MAX * INT64_C(1000000000)) { /* 68 years; also keeps a 32-bit time_t from overflow */
        pl__condition_wait(condition, mutex);
        return true;
    }
    int rc = wait_at_most(condition_of(condition), mutex_of(mutex), nanoseconds > 0 ? nanoseconds : 0);
    if (rc == ETIMEDOUT)
        return false;
    check(rc, "pthread_cond_timedwait");
    return true;
}

static void set_name(const char *name)
{
#if defined(__linux__)
    char cut[16]; /* a longer one is refused */
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = 0;
    pthread_setname_np(pthread_self(), cut);
#elif defined(__APPLE__)
    pthread_setname_np(name);
#elif defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
    pthread_set_name_np(pthread_self(), name);
#else
    PL__UNUSED(name);
#endif
}

static void *run_thread(void *arg)
{
    start begun = *(start *)arg;
    pl__release(arg, sizeof begun);
    if (begun.name[0])
        set_name(begun.name);
    begun.fn(begun.arg);
    return NULL;
}

int pl__thread_start(pl__thread *thread, pl__thread_fn *fn, void *arg, const char *name)
{
    start *begin = pl__allocate_zeroed(sizeof *begin);
    if (!begin)
        return PL_ENOMEM;
    begin->fn = fn;
    begin->arg = arg;
    if (name)
        strncpy(begin->name, name, sizeof begin->name - 1);

    /* The program's signals are for its own threads: this one starts with all of them blocked. */
    sigset_t all, before;
    sigfillset(&all);
    check(pthread_sigmask(SIG_SETMASK, &all, &before), "pthread_sigmask");
    int rc = pthread_create(thread_of(thread), NULL, run_thread, begin);
    check(pthread_sigmask(SIG_SETMASK, &before, NULL), "pthread_sigmask");
    if (rc == 0)
        return PL_OK;
    pl__release(begin, sizeof *begin);
    return rc == ENOMEM ? PL_ENOMEM : PL_ELIMIT;
}

void pl__thread_join(pl__thread *thread)
{
    check(pthread_join(*thread_of(thread), NULL), "pthread_join");
}

void pl__thread_detach(pl__thread *thread)
{
    check(pthread_detach(*thread_of(thread)), "pthread_detach");
}

static PL__THREAD_LOCAL char identity;

PL__NOIPA uint64_t pl__thread_id(void)
{
    return (uint64_t)(uintptr_t)&identity;
}

bool pl__thread_is_main(void)
{
#if defined(__linux__)
    return syscall(SYS_gettid) == getpid();
#elif defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__) || defined(__DragonFly__)
    return pthread_main_np() != 0;
#else
#error "how does this system tell the thread that a process began with?"
#endif
}

void pl__thread_yield(void)
{
    sched_yield();
}

uint64_t pl__process_id(void)
{
    return (uint64_t)getpid();
}

uint32_t pl__processor_count(void)
{
#if defined(__linux__)
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0)
        return (uint32_t)CPU_COUNT(&allowed);
#endif
    long count = sysconf(_SC_NPROCESSORS_ONLN); /* more than fit a cpu_set_t, too */
    return count > 0 ? (uint32_t)count : 1;
}

void pl__process_on_fork(void (*child)(void))
{
    (void)pthread_atfork(NULL, NULL, child); /* without memory for it a child merely inherits what it should not use */
}
