/* error.c: errno values and the resolver's codes, mapped to PL_E... codes by two tables.
 *
 * The tables are searched from the top: some systems have one number under two names, and the first one
 * counts. ECANCELED is missing on purpose: PL_ECANCELED comes only from cancelling. */
#include "error.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stddef.h>

#include <proloop/base.h>

#include "../compiler.h"

#define ERRNO_TABLE(X)                                                                                                 \
    X(0, PL_OK)                                                                                                        \
    X(EHOSTDOWN, PL_EHOSTUNREACH)                                                                                      \
    X(ESHUTDOWN, PL_EPIPE)                                                                                             \
    X(ENONET, PL_ENETDOWN)                                                                                             \
    X(EPERM, PL_EACCES)                                                                                                \
    X(EACCES, PL_EACCES)                                                                                               \
    X(EINVAL, PL_EINVAL)                                                                                               \
    X(EFAULT, PL_EINVAL)                                                                                               \
    X(EDOM, PL_EINVAL)                                                                                                 \
    X(EILSEQ, PL_EINVAL)                                                                                               \
    X(ESPIPE, PL_EINVAL)                                                                                               \
    X(EDESTADDRREQ, PL_EINVAL)                                                                                         \
    X(ENOMEM, PL_ENOMEM)                                                                                               \
    X(EBUSY, PL_EBUSY)                                                                                                 \
    X(EAGAIN, PL_EBUSY)                                                                                                \
    X(EALREADY, PL_EBUSY)                                                                                              \
    X(EINPROGRESS, PL_EBUSY)                                                                                           \
    X(EISCONN, PL_ESTATE)                                                                                              \
    X(ENOSYS, PL_ENOTSUP)                                                                                              \
    X(ENOTSUP, PL_ENOTSUP)                                                                                             \
    X(EOPNOTSUPP, PL_ENOTSUP)                                                                                          \
    X(ENOPROTOOPT, PL_ENOTSUP)                                                                                         \
    X(EPROTONOSUPPORT, PL_ENOTSUP)                                                                                     \
    X(EPROTOTYPE, PL_ENOTSUP)                                                                                          \
    X(EXDEV, PL_ENOTSUP)                                                                                               \
    X(EMLINK, PL_ELIMIT)                                                                                               \
    X(EDEADLK, PL_EDEADLOCK)                                                                                           \
    X(ECONNABORTED, PL_ECONNABORTED)                                                                                   \
    X(EPROTO, PL_ECONNABORTED)                                                                                         \
    X(ECONNRESET, PL_ECONNRESET)                                                                                       \
    X(ENETRESET, PL_ECONNRESET)                                                                                        \
    X(ECONNREFUSED, PL_ECONNREFUSED)                                                                                   \
    X(ETIMEDOUT, PL_ECONNTIMEDOUT)                                                                                     \
    X(ENOTCONN, PL_ENOTCONN)                                                                                           \
    X(EADDRINUSE, PL_EADDRINUSE)                                                                                       \
    X(EADDRNOTAVAIL, PL_EADDRNOTAVAIL)                                                                                 \
    X(EAFNOSUPPORT, PL_EAFNOSUPPORT)                                                                                   \
    X(EHOSTUNREACH, PL_EHOSTUNREACH)                                                                                   \
    X(ENETUNREACH, PL_ENETUNREACH)                                                                                     \
    X(ENETDOWN, PL_ENETDOWN)                                                                                           \
    X(EPIPE, PL_EPIPE)                                                                                                 \
    X(EMSGSIZE, PL_EMSGSIZE)                                                                                           \
    X(ENOBUFS, PL_ENOBUFS)                                                                                             \
    X(ENOENT, PL_ENOENT)                                                                                               \
    X(ENXIO, PL_ENOENT)                                                                                                \
    X(ENODEV, PL_ENOENT)                                                                                               \
    X(EEXIST, PL_EEXIST)                                                                                               \
    X(EISDIR, PL_EISDIR)                                                                                               \
    X(ENOTDIR, PL_ENOTDIR)                                                                                             \
    X(ENAMETOOLONG, PL_ENAMETOOLONG)                                                                                   \
    X(ELOOP, PL_ELOOP)                                                                                                 \
    X(EMFILE, PL_EMFILE)                                                                                               \
    X(ENFILE, PL_EMFILE)                                                                                               \
    X(ENOSPC, PL_ENOSPC)                                                                                               \
    X(EDQUOT, PL_ENOSPC)                                                                                               \
    X(EROFS, PL_EROFS)                                                                                                 \
    X(EFBIG, PL_EFBIG)                                                                                                 \
    X(EOVERFLOW, PL_EFBIG)                                                                                             \
    X(ENOTEMPTY, PL_ENOTEMPTY)                                                                                         \
    X(ETXTBSY, PL_ELOCKED)                                                                                             \
    X(EIO, PL_EIO)                                                                                                     \
    X(ESTALE, PL_EIO)                                                                                                  \
    X(EBADF, PL_EBADF)                                                                                                 \
    X(ENOTSOCK, PL_EBADF)

#define RESOLVER_TABLE(X)                                                                                              \
    X(EAI_NODATA, PL_ENODATA)                                                                                          \
    X(EAI_ADDRFAMILY, PL_ENODATA)                                                                                      \
    X(EAI_NONAME, PL_ENAME)                                                                                            \
    X(EAI_FAIL, PL_ENAMEFAIL)                                                                                          \
    X(EAI_IDN_ENCODE, PL_ENAME)                                                                                        \
    X(EAI_SERVICE, PL_ENAME)                                                                                           \
    X(EAI_AGAIN, PL_ENAMEAGAIN)                                                                                        \
    X(EAI_MEMORY, PL_ENOMEM)                                                                                           \
    X(EAI_FAMILY, PL_EAFNOSUPPORT)                                                                                     \
    X(EAI_SOCKTYPE, PL_ENOTSUP)                                                                                        \
    X(EAI_BADFLAGS, PL_EINVAL)                                                                                         \
    X(EAI_OVERFLOW, PL_ENAMETOOLONG)

/* Names that not every system has stand for a number that never comes. */
enum { NEVER = INT_MIN };
#if !defined(EHOSTDOWN)
#define EHOSTDOWN NEVER
#endif
#if !defined(ESHUTDOWN)
#define ESHUTDOWN NEVER
#endif
#if !defined(ENONET)
#define ENONET NEVER
#endif
#if !defined(EAI_NODATA)
#define EAI_NODATA NEVER
#endif
#if !defined(EAI_ADDRFAMILY)
#define EAI_ADDRFAMILY NEVER
#endif
#if !defined(EAI_IDN_ENCODE)
#define EAI_IDN_ENCODE NEVER
#endif

typedef struct mapping {
    int system_code;
    int code;
} mapping;

#define MAPPING(system_code, code) {(system_code), (code)},
static const mapping errno_table[] = {ERRNO_TABLE(MAPPING)};
static const mapping resolver_table[] = {RESOLVER_TABLE(MAPPING)};
#undef MAPPING

static int look_up(const mapping *table, size_t count, int system_code)
{
    for (size_t i = 0; i < count; i++) {
        if (table[i].system_code == system_code)
            return table[i].code;
    }
    return PL_EUNKNOWN;
}

int pl__error_from_errno(int code)
{
    return look_up(errno_table, PL__COUNT_OF(errno_table), code);
}

int pl__error_from_resolver(int resolver_code, int code)
{
    if (resolver_code == 0)
        return PL_OK;
    if (resolver_code == EAI_SYSTEM)
        return code ? pl__error_from_errno(code) : PL_EUNKNOWN;
    return look_up(resolver_table, PL__COUNT_OF(resolver_table), resolver_code);
}
