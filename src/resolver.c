/* Names to addresses and back: a job for a worker, abandoned when it is cancelled. */
#include "resolver.h"

#include <string.h>

#include "allocator.h"
#include "file.h"
#include "loop.h"
#include "task.h"

enum {
    FIRST_CAPACITY = 8, /* addresses */
    RESOLVE_FLAGS = PL_RESOLVE_NUMERIC | PL_RESOLVE_CONFIGURED | PL_RESOLVE_DATAGRAM
};

static const pl__op_type resolve_type = {.name = "resolve", .cancel = pl__op_cancel_completion};
static const pl__op_type resolve_address_type = {.name = "resolve address", .cancel = pl__op_cancel_completion};

/* --- What was found ----------------------------------------------------------------------------------------------- */

static int make_room(pl__job *job)
{
    size_t capacity = job->as.resolve.capacity;
    size_t wanted = capacity ? capacity * 2 : FIRST_CAPACITY;
    pl_address *larger = pl__reallocate(job->as.resolve.addresses, capacity * sizeof *larger, wanted * sizeof *larger);
    if (!larger)
        return PL_ENOMEM;
    job->as.resolve.addresses = larger;
    job->as.resolve.capacity = wanted;
    return PL_OK;
}

int pl__resolve_add(pl__job *job, const pl_address *address)
{
    for (size_t i = 0; i < job->as.resolve.count; i++) {
        if (memcmp(&job->as.resolve.addresses[i], address, sizeof *address) == 0)
            return PL_OK;
    }
    if (job->as.resolve.count == job->as.resolve.capacity && make_room(job) < 0)
        return PL_ENOMEM;
    job->as.resolve.addresses[job->as.resolve.count++] = *address;
    return PL_OK;
}

int64_t pl__resolve_name(char *name, const char *text)
{
    size_t length = strlen(text);
    if (length >= PL_HOST_NAME_SIZE)
        return PL_ENAMETOOLONG;
    memcpy(name, text, length + 1);
    return (int64_t)length;
}

static void resolve_drop(pl__job *job)
{
    if (job->as.resolve.addresses)
        pl__release(job->as.resolve.addresses, job->as.resolve.capacity * sizeof *job->as.resolve.addresses);
    pl__job_destroy(job);
}

/* --- Names to addresses ------------------------------------------------------------------------------------------- */

/* The canonical name first: without it nothing is handed over. */
static int64_t hand_over(pl__op *op, const pl__job *job)
{
    size_t count = job->as.resolve.count;
    if (op->as.resolve.canonical) {
        size_t size = strlen(job->as.resolve.canonical) + 1;
        if (size > op->as.resolve.canonical_size)
            return PL_ENAMETOOLONG;
        memcpy(op->as.resolve.canonical, job->as.resolve.canonical, size);
    }
    if (op->as.resolve.total)
        *op->as.resolve.total = count;
    if (count > op->as.resolve.capacity)
        count = op->as.resolve.capacity;
    memcpy(op->output, job->as.resolve.addresses, count * sizeof(pl_address));
    return (int64_t)count;
}

static void resolve_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl__job *job = completion->as.job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_translate(op, pl__completion_take(completion));
    if (result >= 0)
        result = hand_over(op, job);
    if (job)
        job->drop(job);
    pl__op_end(op, result, system_error);
}

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 0;
}

/* NULL: out of memory. */
static pl__job *create_job(const char *host, uint16_t port, const pl_resolve_options *options)
{
    size_t canonical_size = options->canonical ? PL_HOST_NAME_SIZE : 0;
    pl__job *job = pl__job_create(PL__RESOLVE, size_of(host) + size_of(options->service) + canonical_size);
    if (!job)
        return NULL;
    job->drop = resolve_drop;
    job->as.resolve.host = pl__job_string(job, host);
    job->as.resolve.service = pl__job_string(job, options->service);
    job->as.resolve.canonical = canonical_size ? pl__job_space(job, canonical_size) : NULL;
    job->as.resolve.port = port;
    job->as.resolve.family = (uint8_t)options->family;
    job->as.resolve.flags = (uint8_t)options->flags;
    return job;
}

static bool is_family(int family)
{
    return family == 0 || family == PL_IPV4 || family == PL_IPV6;
}

static bool are_valid(const pl_resolve_options *options)
{
    return options->size == sizeof *options && is_family(options->family) && !(options->flags & ~RESOLVE_FLAGS) &&
           (!options->canonical || options->canonical_size > 0);
}

int pl_resolve_with_start(pl_op *op, const char *host, uint16_t port, const pl_resolve_options *options,
                          pl_address *addresses, size_t capacity)
{
    static const pl_resolve_options defaults = {.size = sizeof(pl_resolve_options)};
    if (!options)
        options = &defaults;
    if (!op || !addresses || !capacity || !are_valid(options))
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, loop, &resolve_type, NULL, addresses);
    inner->as.resolve.capacity = capacity;
    inner->as.resolve.total = options->total;
    inner->as.resolve.canonical = options->canonical;
    inner->as.resolve.canonical_size = options->canonical_size;
    pl__op_submit_job(inner, create_job(host, port, options), resolve_finished);
    return PL_OK;
}

int64_t pl_resolve_with(const char *host, uint16_t port, const pl_resolve_options *options, pl_address *addresses,
                        size_t capacity)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_resolve_with_start(&op, host, port, options, addresses, capacity));
}

int pl_resolve_start(pl_op *op, const char *host, uint16_t port, int family, pl_address *addresses, size_t capacity)
{
    const pl_resolve_options options = {.size = sizeof options, .family = family};
    return pl_resolve_with_start(op, host, port, &options, addresses, capacity);
}

int64_t pl_resolve(const char *host, uint16_t port, int family, pl_address *addresses, size_t capacity)
{
    const pl_resolve_options options = {.size = sizeof options, .family = family};
    return pl_resolve_with(host, port, &options, addresses, capacity);
}

/* --- Addresses to names ------------------------------------------------------------------------------------------- */

static int64_t hand_over_name(pl__op *op, const char *name)
{
    size_t length = strlen(name);
    if (length >= op->as.resolve_address.size)
        return PL_ENAMETOOLONG;
    memcpy(op->output, name, length + 1);
    return (int64_t)length;
}

/* "192.0.2.1" or "fe80::1%2". */
static int64_t hand_over_text(pl__op *op)
{
    char whole[PL_ADDRESS_TEXT_SIZE];
    const pl_address *address = &op->as.resolve_address.address;
    PL__CHECK(pl_address_format(address, whole, sizeof whole) > 0);
    *strrchr(whole, ':') = '\0';
    if (address->family == PL_IPV4)
        return hand_over_name(op, whole);
    *strrchr(whole, ']') = '\0';
    return hand_over_name(op, whole + 1);
}

static void resolve_address_finished(pl__completion *completion)
{
    pl__op *op = pl__op_of_completion(completion);
    pl__job *job = completion->as.job;
    int32_t system_error = completion->system_error;
    int64_t result = pl__op_translate(op, pl__completion_take(completion));
    if (result >= 0)
        result = hand_over_name(op, job->as.resolve_address.name);
    else if (op->as.resolve_address.or_numeric && (result == PL_ENAME || result == PL_ENODATA))
        result = hand_over_text(op);
    pl__job_destroy(job);
    pl__op_end(op, result, result < 0 ? system_error : 0);
}

int pl_resolve_address_start(pl_op *op, const pl_address *address, char *name, size_t size, int flags)
{
    if (!op || !address || !address->family || !is_family(address->family) || !name || !size ||
        (flags & ~PL_RESOLVE_OR_NUMERIC))
        return PL_EINVAL;
    pl_loop *loop = pl_loop_running();
    int checked = loop ? pl__op_check(op, loop) : PL_ENOLOOP;
    if (checked < 0)
        return checked;
    pl__op *inner = pl__op_begin(op, loop, &resolve_address_type, NULL, name);
    inner->as.resolve_address.size = size;
    inner->as.resolve_address.address = *address;
    inner->as.resolve_address.or_numeric = (flags & PL_RESOLVE_OR_NUMERIC) != 0;
    pl__job *job = pl__job_create(PL__RESOLVE_ADDRESS, PL_HOST_NAME_SIZE);
    if (job) {
        job->as.resolve_address.name = pl__job_space(job, PL_HOST_NAME_SIZE);
        job->as.resolve_address.address = *address;
    }
    pl__op_submit_job(inner, job, resolve_address_finished);
    return PL_OK;
}

int64_t pl_resolve_address(const pl_address *address, char *name, size_t size, int flags)
{
    int checked = pl__task_checkpoint();
    if (checked < 0)
        return checked;
    pl_op op = {{{0}}};
    return pl__op_wait(&op, pl_resolve_address_start(&op, address, name, size, flags));
}
