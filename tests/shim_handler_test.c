/* Handlers of signals of Unix: when the system refuses them, what they leave behind, and whom they do not tell. */
#include <proloop/proloop.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"
#include "harness.h"
#include "loopback.h"
#include "shims_descriptor.h"
#include "threads.h"

/* The thread sanitizer calls no handler in a child made by vfork, which it makes by fork. */
#if defined(__SANITIZE_THREAD__)
#define WITH_HANDLERS_IN_CHILDREN "none"
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WITH_HANDLERS_IN_CHILDREN "none"
#endif
#endif
#if !defined(WITH_HANDLERS_IN_CHILDREN)
#define WITH_HANDLERS_IN_CHILDREN ON_UNIX
#endif

enum { LEFT_ALONE = 4711 };

static const int users[] = {PL_SIGNAL_USER_1, PL_SIGNAL_USER_2};

static bool is_default(int number)
{
    struct sigaction present;
    return CHECK_EQ_INT(sigaction(number, NULL, &present), 0) && !(present.sa_flags & SA_SIGINFO) &&
           present.sa_handler == SIG_DFL;
}

/* Looks at what is there, looks whether that is ours, and sets ours: for each of the two. */
TASK_CASE(a_handler_that_the_system_refuses_is_an_error_and_nothing_is_watched)
{
    static const int refused[] = {1, 3, 4, 6};
    for (int i = 0; i < 4; i++) {
        pl_signal *watcher = (pl_signal *)&watcher;
        descriptor_begin();
        descriptor_fail(CALL_SIGACTION, refused[i], EPERM);
        CHECK_EQ_INT(pl_signal_open(&watcher, users, 2, NULL), PL_EACCES);
        descriptor_end();
        CHECK(watcher == NULL);
        CHECK(is_default(SIGUSR1) && is_default(SIGUSR2));
    }
    {
        pl_signal *watcher = NULL;
        descriptor_begin();
        CHECK_EQ_INT(pl_signal_open(&watcher, users, 2, NULL), PL_OK);
        CHECK_EQ_INT(descriptor_calls(CALL_SIGACTION), 6); /* those that were refused one by one */
        descriptor_end();
        CHECK(!is_default(SIGUSR1) && !is_default(SIGUSR2));
        pl_signal_close(watcher);
        CHECK(is_default(SIGUSR1) && is_default(SIGUSR2));
    }
}

static int64_t give_seven(void *arg)
{
    (void)arg;
    CHECK(is_default(SIGINT) && !is_default(SIGTERM));
    return 7;
}

/* The third call sets the first handler, of SIGINT. */
TEST_CASE(a_run_whose_handler_is_refused_runs_without_it)
{
    pl_loop_options loop = {.size = sizeof loop, .backend = t->backend};
    pl_run_options options = {.size = sizeof options, .loop = &loop};
    descriptor_begin();
    descriptor_fail(CALL_SIGACTION, 3, EPERM);
    CHECK_EQ_INT(pl_run(give_seven, NULL, &options), 7);
    descriptor_end();
    CHECK(is_default(SIGINT) && is_default(SIGTERM));
}

static void spoil_errno(int number)
{
    (void)number;
    errno = EIO;
}

/* Once is enough, if that handler's wake is the one that fails. */
static void raise_until_one_wakes(void *arg)
{
    int *kept = arg;
    do {
        errno = LEFT_ALONE;
        (void)raise(SIGUSR1);
        *kept = errno;
    } while (*kept == LEFT_ALONE && descriptor_calls(CALL_WRITE) == 0);
}

/* Spoilt by the wake, which is interrupted and made again, and by the handler of before. */
TASK_CASE(a_handler_leaves_errno_as_it_was_and_its_wake_is_made)
{
    struct sigaction spoiling = {.sa_handler = spoil_errno}, before;
    pl_signal *watcher = NULL;
    pl_signal_info info;
    test_thread thread;
    int kept = 0;
    (void)sigemptyset(&spoiling.sa_mask);
    CHECK_EQ_INT(sigaction(SIGUSR1, &spoiling, &before), 0);
    CHECK_EQ_INT(pl_signal_open(&watcher, users, 1, NULL), PL_OK);
    descriptor_begin();
    descriptor_fail(CALL_WRITE, 1, EINTR);
    REQUIRE(test_thread_start(&thread, raise_until_one_wakes, &kept));
    do {
        CHECK_EQ_INT(pl_signal_wait(watcher, &info), PL_OK);
    } while (descriptor_calls(CALL_WRITE) == 0);
    test_thread_join(&thread);
    CHECK_EQ_INT(kept, LEFT_ALONE);
    CHECK_EQ_INT(descriptor_calls(CALL_WRITE), 2);
    descriptor_end();
    pl_signal_close(watcher);
    CHECK_EQ_INT(sigaction(SIGUSR1, &before, NULL), 0);
}

/* It has the parent's memory. Nothing may be on the stack here that is used after. */
static pid_t raise_in_child(void)
{
    pid_t child = vfork();
    if (child == 0) {
        (void)kill(getpid(), SIGUSR1);
        _exit(33);
    }
    return child;
}

/* Its own process's signal: it ends by that, and the parent, whose lists its handler sees, is told nothing. */
TASK_CASE(a_child_that_shares_the_memory_does_not_tell_its_parents_watchers)
{
    pl_signal *watcher = NULL;
    pl_signal_info info;
    pl_op op = {{{0}}};
    int status = 0;
    pid_t child;
    CHECK_EQ_INT(pl_signal_open(&watcher, users, 1, NULL), PL_OK);
    child = raise_in_child();
    REQUIRE(child > 0);
    CHECK_EQ_INT(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1);
    CHECK_EQ_INT(pl_signal_wait_start(&op, watcher, &info), PL_OK);
    CHECK_EQ_INT(pl_sleep(PL_US(1)), PL_OK); /* the loop looks once more */
    CHECK(pl_op_is_pending(&op));
    CHECK(!is_default(SIGUSR1)); /* only the child gave its handler up */
    (void)raise(SIGUSR1);
    CHECK_EQ_INT(pl_op_await(&op), PL_OK);
    CHECK_EQ_INT(info.count, 1);
    pl_signal_close(watcher);
}

TEST_SUITE(shim_handler, TEST_BACKENDS_REAL,
           CASE(a_handler_that_the_system_refuses_is_an_error_and_nothing_is_watched),
           CASE(a_run_whose_handler_is_refused_runs_without_it), CASE(a_handler_leaves_errno_as_it_was_and_its_wake_is_made),
           CASE_ON(WITH_HANDLERS_IN_CHILDREN,
                   a_child_that_shares_the_memory_does_not_tell_its_parents_watchers))
