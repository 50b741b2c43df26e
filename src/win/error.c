/* error.c: the system's codes as ours.
 *
 * Two tables, because the system speaks two languages. Calls answer with Win32 codes (Winsock's and the
 * resolver's are among them); finished requests carry the NTSTATUS the driver gave, which says more:
 * GetLastError would make a reset and an abort the same ERROR_NETNAME_DELETED. What a status means differs a
 * little by the kind of request; the tables have the usual meaning, and tcp.c the exceptions.
 */
#include "system.h"

#include <winternl.h>

#define WIN32_ERRORS(X)                                                                                                \
    X(ERROR_SUCCESS, OK)                                                                                               \
    X(ERROR_OPERATION_ABORTED, ECANCELED) /* WSA_OPERATION_ABORTED is the same number */                               \
    X(WSAEINTR, ECONNABORTED)                                                                                          \
    X(WSAECANCELLED, ECANCELED)                                                                                        \
    X(WSA_E_CANCELLED, ECANCELED)                                                                                      \
    X(ERROR_REQUEST_ABORTED, ECONNABORTED)                                                                             \
    X(ERROR_INVALID_PARAMETER, EINVAL)                                                                                 \
    X(ERROR_NO_UNICODE_TRANSLATION, EINVAL)                                                                            \
    X(ERROR_NEGATIVE_SEEK, EINVAL)                                                                                     \
    X(WSAEINVAL, EINVAL)                                                                                               \
    X(WSAEFAULT, EINVAL)                                                                                               \
    X(ERROR_NOACCESS, EINVAL)                                                                                          \
    X(ERROR_NOT_ENOUGH_MEMORY, ENOMEM)                                                                                 \
    X(ERROR_OUTOFMEMORY, ENOMEM)                                                                                       \
    X(ERROR_COMMITMENT_LIMIT, ENOMEM)                                                                                  \
    X(ERROR_NOT_SUPPORTED, ENOTSUP)                                                                                    \
    X(ERROR_CALL_NOT_IMPLEMENTED, ENOTSUP)                                                                             \
    X(ERROR_INVALID_FUNCTION, ENOTSUP)                                                                                 \
    X(WSAEOPNOTSUPP, ENOTSUP)                                                                                          \
    X(WSAENOPROTOOPT, ENOTSUP)                                                                                         \
    X(WSAVERNOTSUPPORTED, ENOTSUP)                                                                                     \
    X(ERROR_HANDLE_EOF, EOF)                                                                                           \
    X(ERROR_BROKEN_PIPE, EOF)                                                                                          \
    X(WSAEDISCON, EOF)                                                                                                 \
    X(ERROR_GRACEFUL_DISCONNECT, EOF)                                                                                  \
    X(ERROR_CONNECTION_ABORTED, ECONNABORTED)                                                                          \
    X(WSAECONNABORTED, ECONNABORTED)                                                                                   \
    X(ERROR_NETNAME_DELETED, ECONNRESET)                                                                               \
    X(WSAECONNRESET, ECONNRESET)                                                                                       \
    X(WSAENETRESET, ECONNRESET)                                                                                        \
    X(ERROR_PORT_UNREACHABLE, ECONNREFUSED)                                                                            \
    X(ERROR_CONNECTION_REFUSED, ECONNREFUSED)                                                                          \
    X(WSAECONNREFUSED, ECONNREFUSED)                                                                                   \
    X(ERROR_SEM_TIMEOUT, ECONNTIMEDOUT)                                                                                \
    X(WSAETIMEDOUT, ECONNTIMEDOUT)                                                                                     \
    X(ERROR_CONNECTION_INVALID, ENOTCONN)                                                                              \
    X(ERROR_PIPE_NOT_CONNECTED, ENOTCONN)                                                                              \
    X(WSAENOTCONN, ENOTCONN)                                                                                           \
    X(ERROR_ADDRESS_ALREADY_ASSOCIATED, EADDRINUSE)                                                                    \
    X(ERROR_DUP_NAME, EADDRINUSE)                                                                                      \
    X(WSAEADDRINUSE, EADDRINUSE)                                                                                       \
    X(WSAEADDRNOTAVAIL, EADDRNOTAVAIL)                                                                                 \
    X(WSAEAFNOSUPPORT, EAFNOSUPPORT)                                                                                   \
    X(WSAEPFNOSUPPORT, EAFNOSUPPORT)                                                                                   \
    X(WSAEPROTONOSUPPORT, EAFNOSUPPORT)                                                                                \
    X(WSAESOCKTNOSUPPORT, EAFNOSUPPORT)                                                                                \
    X(ERROR_HOST_UNREACHABLE, EHOSTUNREACH)                                                                            \
    X(WSAEHOSTUNREACH, EHOSTUNREACH)                                                                                   \
    X(WSAEHOSTDOWN, EHOSTUNREACH)                                                                                      \
    X(ERROR_NETWORK_UNREACHABLE, ENETUNREACH)                                                                          \
    X(ERROR_PROTOCOL_UNREACHABLE, ENETUNREACH)                                                                         \
    X(WSAENETUNREACH, ENETUNREACH)                                                                                     \
    X(ERROR_UNEXP_NET_ERR, ENETDOWN)                                                                                   \
    X(WSAENETDOWN, ENETDOWN)                                                                                           \
    X(WSASYSNOTREADY, ENETDOWN)                                                                                        \
    X(ERROR_NO_DATA, EPIPE)                                                                                            \
    X(WSAESHUTDOWN, EPIPE)                                                                                             \
    X(ERROR_MORE_DATA, EMSGSIZE)                                                                                       \
    X(WSAEMSGSIZE, EMSGSIZE)                                                                                           \
    X(ERROR_NO_SYSTEM_RESOURCES, ENOBUFS)                                                                              \
    X(ERROR_WORKING_SET_QUOTA, ENOBUFS)                                                                                \
    X(ERROR_NOT_ENOUGH_QUOTA, ENOBUFS)                                                                                 \
    X(ERROR_NONPAGED_SYSTEM_RESOURCES, ENOBUFS)                                                                        \
    X(WSAENOBUFS, ENOBUFS)                                                                                             \
    X(WSAHOST_NOT_FOUND, ENAME)                                                                                        \
    X(WSANO_DATA, ENODATA)                                                                                             \
    X(WSANO_RECOVERY, ENAMEFAIL)                                                                                       \
    X(WSASERVICE_NOT_FOUND, ENAME)                                                                                     \
    X(WSATYPE_NOT_FOUND, ENAME)                                                                                        \
    X(ERROR_INVALID_NETNAME, ENAME)                                                                                    \
    X(WSATRY_AGAIN, ENAMEAGAIN)                                                                                        \
    X(ERROR_FILE_NOT_FOUND, ENOENT)                                                                                    \
    X(ERROR_PATH_NOT_FOUND, ENOENT)                                                                                    \
    X(ERROR_INVALID_DRIVE, ENOENT)                                                                                     \
    X(ERROR_INVALID_NAME, ENOENT) /* no file can have it */                                                            \
    X(ERROR_BAD_PATHNAME, ENOENT)                                                                                      \
    X(ERROR_BAD_NETPATH, ENOENT)                                                                                       \
    X(ERROR_BAD_NET_NAME, ENOENT)                                                                                      \
    X(ERROR_DELETE_PENDING, ENOENT) /* it goes when its last user has closed it */                                     \
    X(ERROR_FILE_EXISTS, EEXIST)                                                                                       \
    X(ERROR_ALREADY_EXISTS, EEXIST)                                                                                    \
    X(ERROR_ACCESS_DENIED, EACCES)                                                                                     \
    X(ERROR_PRIVILEGE_NOT_HELD, EACCES)                                                                                \
    X(ERROR_NETWORK_ACCESS_DENIED, EACCES)                                                                             \
    X(WSAEACCES, EACCES)                                                                                               \
    X(ERROR_DIRECTORY, ENOTDIR)                                                                                        \
    X(ERROR_FILENAME_EXCED_RANGE, ENAMETOOLONG)                                                                        \
    X(WSAENAMETOOLONG, ENAMETOOLONG)                                                                                   \
    X(ERROR_CANT_RESOLVE_FILENAME, ELOOP)                                                                              \
    X(WSAELOOP, ELOOP)                                                                                                 \
    X(ERROR_TOO_MANY_OPEN_FILES, EMFILE)                                                                               \
    X(ERROR_NO_MORE_FILES, EMFILE)                                                                                     \
    X(WSAEMFILE, EMFILE)                                                                                               \
    X(ERROR_DISK_FULL, ENOSPC)                                                                                         \
    X(ERROR_HANDLE_DISK_FULL, ENOSPC)                                                                                  \
    X(ERROR_WRITE_PROTECT, EROFS)                                                                                      \
    X(ERROR_FILE_TOO_LARGE, EFBIG)                                                                                     \
    X(ERROR_DIR_NOT_EMPTY, ENOTEMPTY)                                                                                  \
    X(ERROR_SHARING_VIOLATION, ELOCKED)                                                                                \
    X(ERROR_LOCK_VIOLATION, ELOCKED)                                                                                   \
    X(ERROR_PIPE_BUSY, EBUSY)                                                                                          \
    X(ERROR_BUSY, EBUSY)                                                                                               \
    X(ERROR_CRC, EIO)                                                                                                  \
    X(ERROR_READ_FAULT, EIO)                                                                                           \
    X(ERROR_WRITE_FAULT, EIO)                                                                                          \
    X(ERROR_GEN_FAILURE, EIO)                                                                                          \
    X(ERROR_IO_DEVICE, EIO)                                                                                            \
    X(ERROR_NOT_READY, EIO)                                                                                            \
    X(ERROR_DEVICE_NOT_CONNECTED, EIO)                                                                                 \
    X(ERROR_FILE_CORRUPT, EIO)                                                                                         \
    X(ERROR_DISK_CORRUPT, EIO)                                                                                         \
    X(ERROR_INVALID_HANDLE, EBADF)                                                                                     \
    X(WSAENOTSOCK, EBADF)                                                                                              \
    X(WSAEBADF, EBADF)

/* The SDK keeps these names in a header that clashes with <windows.h>, so the numbers stand here with them.
 * The order is that of the meanings above; what is in neither table goes by the Win32 code the system makes
 * of it. */
#define NTSTATUSES(X)                                                                                                  \
    X(CANCELLED, 0xC0000120, ECANCELED)                                                                                \
    X(REQUEST_ABORTED, 0xC0000240, ECONNABORTED)                                                                       \
    X(INVALID_PARAMETER, 0xC000000D, EINVAL)                                                                           \
    X(ACCESS_VIOLATION, 0xC0000005, EINVAL)                                                                            \
    X(NO_MEMORY, 0xC0000017, ENOMEM)                                                                                   \
    X(COMMITMENT_LIMIT, 0xC000012D, ENOMEM)                                                                            \
    X(INVALID_DEVICE_REQUEST, 0xC0000010, ENOTSUP)                                                                     \
    X(NOT_SUPPORTED, 0xC00000BB, ENOTSUP)                                                                              \
    X(NOT_IMPLEMENTED, 0xC0000002, ENOTSUP)                                                                            \
    X(END_OF_FILE, 0xC0000011, EOF)                                                                                    \
    X(GRACEFUL_DISCONNECT, 0xC0000237, EOF)                                                                            \
    X(LOCAL_DISCONNECT, 0xC000013B, ECONNABORTED) /* this machine's TCP gave up, or our end was closed */              \
    X(CONNECTION_ABORTED, 0xC0000241, ECONNABORTED)                                                                    \
    X(TRANSACTION_ABORTED, 0xC000020F, ECONNABORTED)                                                                   \
    X(CONNECTION_RESET, 0xC000020D, ECONNRESET)                                                                        \
    X(CONNECTION_DISCONNECTED, 0xC000020C, ECONNRESET)                                                                 \
    X(REMOTE_DISCONNECT, 0xC000013C, ECONNRESET)                                                                       \
    X(LINK_FAILED, 0xC000013E, ECONNRESET)                                                                             \
    X(NETWORK_NAME_DELETED, 0xC00000C9, ECONNRESET)                                                                    \
    X(CONNECTION_REFUSED, 0xC0000236, ECONNREFUSED)                                                                    \
    X(REMOTE_NOT_LISTENING, 0xC00000BC, ECONNREFUSED)                                                                  \
    X(PORT_UNREACHABLE, 0xC000023F, ECONNREFUSED)                                                                      \
    X(IO_TIMEOUT, 0xC00000B5, ECONNTIMEDOUT)                                                                           \
    X(LINK_TIMEOUT, 0xC000013F, ECONNTIMEDOUT)                                                                         \
    X(INVALID_CONNECTION, 0xC0000140, ENOTCONN)                                                                        \
    X(CONNECTION_INVALID, 0xC000023A, ENOTCONN)                                                                        \
    X(ADDRESS_ALREADY_EXISTS, 0xC000020A, EADDRINUSE)                                                                  \
    X(ADDRESS_ALREADY_ASSOCIATED, 0xC0000238, EADDRINUSE)                                                              \
    X(TOO_MANY_ADDRESSES, 0xC0000209, EADDRINUSE)                                                                      \
    X(INVALID_ADDRESS, 0xC0000141, EADDRNOTAVAIL)                                                                      \
    X(INVALID_ADDRESS_COMPONENT, 0xC0000207, EADDRNOTAVAIL)                                                            \
    X(CONFLICTING_ADDRESSES, 0xC0000018, EADDRNOTAVAIL)                                                                \
    X(HOST_UNREACHABLE, 0xC000023D, EHOSTUNREACH)                                                                      \
    X(HOPLIMIT_EXCEEDED, 0xC000A012, EHOSTUNREACH)                                                                     \
    X(NETWORK_UNREACHABLE, 0xC000023C, ENETUNREACH)                                                                    \
    X(PROTOCOL_UNREACHABLE, 0xC000023E, ENETUNREACH)                                                                   \
    X(UNEXPECTED_NETWORK_ERROR, 0xC00000C4, ENETDOWN)                                                                  \
    X(INVALID_NETWORK_RESPONSE, 0xC00000C3, ENETDOWN)                                                                  \
    X(NETWORK_BUSY, 0xC00000BF, ENETDOWN)                                                                              \
    X(PIPE_DISCONNECTED, 0xC00000B0, EPIPE) /* the driver's word for a direction that was shut down */                 \
    X(BUFFER_OVERFLOW, 0x80000005, EMSGSIZE)                                                                           \
    X(INVALID_BUFFER_SIZE, 0xC0000206, EMSGSIZE)                                                                       \
    X(INSUFFICIENT_RESOURCES, 0xC000009A, ENOBUFS)                                                                     \
    X(REMOTE_RESOURCES, 0xC000013D, ENOBUFS)                                                                           \
    X(WORKING_SET_QUOTA, 0xC00000A1, ENOBUFS)                                                                          \
    X(PAGEFILE_QUOTA, 0xC0000007, ENOBUFS)                                                                             \
    X(QUOTA_EXCEEDED, 0xC0000044, ENOBUFS)                                                                             \
    X(ACCESS_DENIED, 0xC0000022, EACCES)                                                                               \
    X(FILE_LOCK_CONFLICT, 0xC0000054, ELOCKED)                                                                         \
    X(INVALID_HANDLE, 0xC0000008, EBADF)                                                                               \
    X(OBJECT_TYPE_MISMATCH, 0xC0000024, EBADF)

int pl__error_from_win32(DWORD error)
{
    switch (error) {
#define CASE(SYSTEM, OURS)                                                                                             \
    case SYSTEM:                                                                                                       \
        return PL_##OURS;
        WIN32_ERRORS(CASE)
#undef CASE
    default:
        return PL_EUNKNOWN;
    }
}

int pl__error_from_ntstatus(int32_t status)
{
    switch ((uint32_t)status) {
#define CASE(NAME, NUMBER, OURS)                                                                                       \
    case NUMBER:                                                                                                       \
        return PL_##OURS;
        NTSTATUSES(CASE)
#undef CASE
    default:
        return pl__error_from_win32(RtlNtStatusToDosError(status));
    }
}
