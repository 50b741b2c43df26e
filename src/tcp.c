/* TCP: connecting to one address, and listening by name.
 *
 * A connection attempt is an operation on a stream that nobody has seen yet: it opens a socket, and becomes the user's
 * stream if the attempt succeeds. Names go through the resolver first, as any wait of the calling task. Connecting to
 * several addresses, and by name, stands in connect.c.
 */
#include <proloop/net.h>

#include "listener.h"
#include "loop.h"
#include "stream.h"
#include "task.h"

enum { PL__ADDRESSES_TRIED = 16 };

static const pl__op_type connect_type = {.name = "connect", .cancel = pl__op_cancel_completion};

static void connect_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl_stream *stream = op->owner;
    int64_t result = pl__completion_take(completion);
    if (result >= 0 && stream->closed)
        result = PL_ECLOSED; /* the loop is closing */
    if (result >= 0) {
        (void)pl_stream_set_nodelay(stream, 1);
        *(pl_stream **)op->output = stream;
    } else {
        pl_stream_abort(stream);
    }
    pl__op_end(op, pl__op_translate(op, result), completion->system_error);
}

/* Opens the socket of an attempt. */
static int connect_open(pl_stream *stream, const pl_address *address, const pl_address *local, int32_t *system_error)
{
    pl__handle socket;
    pl__handle_init(&socket);
    pl__request request = {.kind = PL__REQUEST_SOCKET_OPEN, .family = address->family, .handle = &socket};
    if (local)
        request.address = *local;
    int result = pl__loop_control(stream->loop, &request);
    *system_error = request.system_error;
    return result < 0 ? result : pl__stream_open(stream, &socket);
}

static bool is_address(const pl_address *address)
{
    return address && (address->family == PL_IPV4 || address->family == PL_IPV6);
}

int pl_tcp_connect_start(pl_op *op, pl_stream **out, const pl_address *address, const pl_connect_options *options)
{
    static const pl_connect_options defaults = {.size = sizeof(pl_connect_options)};
    if (!options)
        options = &defaults;
    if (!op || !out || !is_address(address) || options->size != sizeof *options)
        return PL_EINVAL;
    if (options->local && (!is_address(options->local) || options->local->family != address->family))
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    *out = NULL;
    pl_stream *stream = NULL;
    int32_t system_error = 0;
    int opened = pl__stream_create(&stream, loop);
    if (opened == PL_OK)
        opened = connect_open(stream, address, options->local, &system_error);
    pl__op *inner = pl__op_begin(op, loop, &connect_type, stream, (void *)out);
    if (opened < 0) {
        pl_stream_close(stream);
        pl__op_end(inner, opened, system_error);
        return PL_OK;
    }
    inner->completion.kind = PL__CONNECT;
    inner->completion.handle = &stream->handle;
    inner->completion.deliver = connect_finished;
    inner->completion.as.connect.address = *address;
    if (!pl__loop_submit(loop, &inner->completion))
        connect_finished(&inner->completion);
    return PL_OK;
}

/* The addresses of a host: at once if it is one in text form, else by the resolver. */
static int64_t find_addresses(const char *host, uint16_t port, pl_address *addresses)
{
    if (host && pl_address_parse(addresses, host, port) == PL_OK)
        return 1;
    return pl_resolve(host, port, 0, addresses, PL__ADDRESSES_TRIED);
}

int64_t pl_tcp_listen(pl_listener **listener, const char *host, uint16_t port, const pl_listen_options *options)
{
    static const pl_listen_options defaults = {.size = sizeof(pl_listen_options)};
    if (!options)
        options = &defaults;
    if (!listener || options->size != sizeof *options || options->backlog < 0 || options->emfile_pause < 0)
        return PL_EINVAL;
    *listener = NULL;
    pl_loop *loop = NULL;
    int checked = pl__loop_check(&loop);
    if (checked < 0)
        return checked;
    pl_address addresses[PL__ADDRESSES_TRIED];
    int64_t count = 1;
    if (host)
        count = find_addresses(host, port, addresses);
    else
        PL__CHECK(pl_address_parse(addresses, "::", port) == PL_OK);
    int64_t result = count < 0 ? count : PL_ENAME;
    for (int64_t i = 0; i < count && result < 0; i++)
        result = pl__listener_create(listener, loop, &addresses[i], options);
    if (result == PL_EAFNOSUPPORT && !host) { /* a system without IPv6 */
        PL__CHECK(pl_address_parse(addresses, "0.0.0.0", port) == PL_OK);
        result = pl__listener_create(listener, loop, addresses, options);
    }
    return result;
}
