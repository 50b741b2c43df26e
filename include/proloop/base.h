/* proloop/base.h: what every other header stands on: linkage, durations, error codes, the allocator.
 *
 * One rule holds everywhere: success is >= 0, an error is one negative PL_E... code. Functions that only succeed
 * or fail return int; byte counts and results of tasks and operations are int64_t.
 */
#ifndef PROLOOP_BASE_H
#define PROLOOP_BASE_H

#include <stddef.h>
#include <stdint.h>

#include <proloop/config.h> /* made by the build: PL_VERSION..., and whether this proloop is a shared library */

#if defined(_WIN32) && PL_SHARED
#if defined(PL_BUILDING_LIBRARY)
#define PL_API __declspec(dllexport)
#else
#define PL_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define PL_API __attribute__((visibility("default")))
#else
#define PL_API
#endif

#define PL_STRINGIZE_(x) #x
#define PL_STRINGIZE(x)  PL_STRINGIZE_(x)

/** The place in the source where a macro of this library was written, "file.c:12". */
#define PL_HERE __FILE__ ":" PL_STRINGIZE(__LINE__)

#ifdef __cplusplus
extern "C" {
#endif

/** A span of time, or a point on a loop's clock, in nanoseconds. */
typedef int64_t pl_duration;

#define PL_NS(n)      ((pl_duration)(n))
#define PL_US(n)      ((pl_duration)(n)*1000)
#define PL_MS(n)      ((pl_duration)(n)*1000000)
#define PL_SECONDS(n) ((pl_duration)(n)*1000000000)
#define PL_FOREVER    INT64_MAX /* as a limit: none */

/* The error codes: name, number, text. The numbers are part of the ABI and never change.
 * errno, Win32, Winsock and NTSTATUS codes are mapped to these; the system's own code is kept beside an operation
 * (pl_op_system_error). */
#define PL_ERRORS(X)                                                                                                   \
    X(ECANCELED, -1001, "cancelled")                                                                                   \
    X(ETIMEDOUT, -1002, "a time limit of the program ran out")                                                         \
    X(ECLOSED, -1003, "closed by this program")                                                                        \
    X(EINVAL, -1004, "invalid argument")                                                                               \
    X(ENOMEM, -1005, "out of memory")                                                                                  \
    X(EBUSY, -1006, "busy: in use by another operation")                                                               \
    X(ESTATE, -1007, "not possible in this state")                                                                     \
    X(ETHREAD, -1008, "called from a thread that is not the loop's")                                                   \
    X(ENOLOOP, -1009, "no loop is running in this thread")                                                             \
    X(ENOTASK, -1010, "only a task can do this")                                                                       \
    X(EABI, -1011, "the program was compiled with headers of another version of proloop")                              \
    X(ENOTSUP, -1012, "not supported here")                                                                            \
    X(EBROKEN, -1013, "broken by an earlier failure")                                                                  \
    X(EINTERRUPTED, -1014, "interrupted by the user")                                                                  \
    X(ESTOPPED, -1015, "the loop was stopped before the future was done")                                              \
    X(ELIMIT, -1016, "a limit was reached")                                                                            \
    X(EDEADLOCK, -1017, "would wait for itself")                                                                       \
    X(EOF, -1018, "end of file")                                                                                       \
    X(EFULL, -1019, "full")                                                                                            \
    X(EEMPTY, -1020, "empty")                                                                                          \
    X(ECONNABORTED, -1101, "connection aborted")                                                                       \
    X(ECONNRESET, -1102, "connection reset by the peer")                                                               \
    X(ECONNREFUSED, -1103, "connection refused")                                                                       \
    X(ECONNTIMEDOUT, -1104, "connection timed out")                                                                    \
    X(ENOTCONN, -1105, "not connected")                                                                                \
    X(EADDRINUSE, -1106, "address already in use")                                                                     \
    X(EADDRNOTAVAIL, -1107, "address not available on this machine")                                                   \
    X(EAFNOSUPPORT, -1108, "address family not supported")                                                             \
    X(EHOSTUNREACH, -1109, "host unreachable")                                                                         \
    X(ENETUNREACH, -1110, "network unreachable")                                                                       \
    X(ENETDOWN, -1111, "network is down")                                                                              \
    X(EPIPE, -1112, "the write side is shut down")                                                                     \
    X(EMSGSIZE, -1113, "message too long")                                                                             \
    X(ENOBUFS, -1114, "the system has no buffer space")                                                                \
    X(ENAME, -1120, "host or service name not known")                                                                  \
    X(ENAMEAGAIN, -1121, "the name server did not answer; try again")                                                  \
    X(ENAMEFAIL, -1122, "the name server failed")                                                                      \
    X(ENODATA, -1123, "the name has no address of that kind")                                                          \
    X(ENOENT, -1201, "no such file or folder")                                                                         \
    X(EEXIST, -1202, "exists already")                                                                                 \
    X(EACCES, -1203, "access denied")                                                                                  \
    X(EISDIR, -1204, "is a folder")                                                                                    \
    X(ENOTDIR, -1205, "is not a folder")                                                                               \
    X(ENAMETOOLONG, -1206, "name too long")                                                                            \
    X(ELOOP, -1207, "too many symbolic links")                                                                         \
    X(EMFILE, -1208, "too many open files")                                                                            \
    X(ENOSPC, -1209, "no space left")                                                                                  \
    X(EROFS, -1210, "read-only file system")                                                                           \
    X(EFBIG, -1211, "file too large")                                                                                  \
    X(ENOTEMPTY, -1212, "folder not empty")                                                                            \
    X(ELOCKED, -1213, "in use by another program")                                                                     \
    X(EIO, -1214, "input/output error")                                                                                \
    X(EBADF, -1215, "bad handle")                                                                                      \
    X(EUNKNOWN, -1999, "unknown system error")

enum pl_error {
    PL_OK = 0,
#define PL_ERROR_ENUM_(name, number, text) PL_##name = (number),
    PL_ERRORS(PL_ERROR_ENUM_)
#undef PL_ERROR_ENUM_
};

/** The name of a code, "PL_ECLOSED"; "PL_OK" for >= 0, "PL_?" for an unknown one. Any thread. */
PL_API const char *pl_error_name(int64_t code);

/** One line of English for a code. Any thread. */
PL_API const char *pl_error_text(int64_t code);

/** The version of the library that runs, as PL_VERSION was when it was compiled. */
PL_API uint32_t pl_version(void);

/** Releases an argument or a result that nobody will use. Runs on the loop's thread unless said otherwise. */
typedef void pl_drop_fn(void *arg);

/** Some bytes to be written, as in a vectored write. Owned by the caller until the operation is done. */
typedef struct pl_buffer {
    const void *data;
    size_t size;
} pl_buffer;

/** Where the library gets memory from. `release` and `reallocate` are told the size of what they get back. Every
 *  member is called from any thread that uses the library, at the same time. */
typedef struct pl_allocator {
    void *(*allocate)(void *context, size_t size); /* NULL: none left */
    void *(*reallocate)(void *context, void *memory, size_t old_size, size_t new_size);
    void (*release)(void *context, void *memory, size_t size);
    void *context;
} pl_allocator;

/** Sets the allocator of the process, before anything else of the library is used. PL_EINVAL: a member is NULL.
 *  PL_ESTATE: memory of the present allocator is in use. NULL sets the default. */
PL_API int pl_set_allocator(const pl_allocator *allocator);

/** Bytes that the library holds now, of all loops. For tests of leaks, and for metrics. Any thread. */
PL_API int64_t pl_memory_in_use(void);

#ifdef __cplusplus
}
#endif

#endif
