/* proloop/channel.h: values passed from task to task, and a wait for the first of several.
 *
 * A channel carries values of one size by copy. With capacity 0 a send waits until somebody receives (a rendezvous);
 * else up to `capacity` values lie in between. Who waits is served first come first served: a value goes straight from
 * the sender's memory to the receiver's, and nobody comes between. pl_select waits on several channels, and exactly one
 * of its cases happens.
 *
 * Sends and receives allocate nothing: room for the values is made once, with the channel, and who waits stands on its
 * own stack.
 *
 * Either it happened or it did not: PL_ECANCELED means that no value moved. A send or receive that had happened when the
 * cancel came returns its result, and the cancel comes at the next wait.
 *
 * Channels are counted, not caller-owned: who sends and who receives end in any order, and none of them can know that
 * it is the last. A channel is of its loop's thread alone.
 */
#ifndef PROLOOP_CHANNEL_H
#define PROLOOP_CHANNEL_H

#include <proloop/base.h>
#include <proloop/loop.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pl_channel pl_channel;

typedef struct pl_channel_options {
    size_t size;   /* sizeof(pl_channel_options) */
    pl_loop *loop; /* NULL: the running loop */
    pl_drop_fn
        *drop; /* gets a pointer to each value that nobody took, valid during the call; may be NULL. Must not wait */
} pl_channel_options;

/** Makes a channel with one reference.
 *  @param item_size  bytes of a value; 0: it carries none, and only says that something happened
 *  @param capacity  values that lie in it before a send has to wait; 0: a rendezvous
 *  @param options  NULL: defaults
 *  @return PL_OK; PL_EINVAL, PL_ENOMEM, PL_ENOLOOP, PL_ECLOSED, PL_ETHREAD.   Go: make(chan T, capacity). */
PL_API int pl_channel_create(pl_channel **channel, size_t item_size, size_t capacity,
                             const pl_channel_options *options);

/** With the last reference the values in it are dropped and its memory goes. A call that waits has one of its own.
 *  NULL is allowed. */
PL_API pl_channel *pl_channel_ref(pl_channel *channel);
PL_API void pl_channel_unref(pl_channel *channel);

/** Sends a copy of *value; waits until there is room, or somebody to receive it. Task call.
 *  @param value  not read if item_size is 0
 *  @return PL_OK; PL_ECLOSED: the channel is closed, or its loop; PL_ECANCELED, PL_ENOTASK; PL_EINVAL: NULL, or a task of
 *  another loop; PL_ETHREAD (debug mode). */
PL_API int pl_channel_send(pl_channel *channel, const void *value);

/** The same without waiting, also from callbacks, and before the loop runs. @return as pl_channel_send; PL_EFULL: there
 *  is no room, and nobody who receives. */
PL_API int pl_channel_try_send(pl_channel *channel, const void *value);

/** Receives into *value; waits until there is something. Task call.
 *  @param value  unchanged on failure; not written if item_size is 0
 *  @return PL_OK; PL_ECLOSED: the channel is closed and empty, or its loop is closed; else as pl_channel_send. */
PL_API int pl_channel_receive(pl_channel *channel, void *value);

/** The same without waiting, also from callbacks, and before the loop runs. @return as pl_channel_receive; PL_EEMPTY:
 *  nothing is there, and nobody who sends. */
PL_API int pl_channel_try_receive(pl_channel *channel, void *value);

/** From now on sends fail with PL_ECLOSED, and receives too once the channel is empty; those who wait are told. What a
 *  waiting sender had not sent stays the sender's. May be called again. @return PL_OK; PL_EINVAL, PL_ECLOSED (the loop is
 *  closed), PL_ETHREAD. */
PL_API int pl_channel_close(pl_channel *channel);

/** How many values lie in it; how many can; nonzero: it was closed. */
PL_API size_t pl_channel_size(const pl_channel *channel);
PL_API size_t pl_channel_capacity(const pl_channel *channel);
PL_API int pl_channel_is_closed(const pl_channel *channel);

/* --- Select ------------------------------------------------------------------------------------------------------- */

enum pl_case_kind { PL_CASE_SEND = 0, PL_CASE_RECEIVE = 1 };

/** One of the things a select waits for. Caller-owned, zeroed but for the first three members; they stay as they are, so
 *  that it serves again. */
typedef struct pl_select_case {
    pl_channel *channel; /* NULL: never ready */
    void *value;         /* as in pl_channel_send, which does not write it, or pl_channel_receive */
    int kind;            /* enum pl_case_kind */
    int result;          /* of the case that happened: PL_OK, PL_ECLOSED */
    union {
        uint64_t space[6];
        void *align;
    } opaque;
} pl_select_case;

/** A case, filled in. */
PL_API pl_select_case pl_case_send(pl_channel *channel, const void *value);
PL_API pl_select_case pl_case_receive(pl_channel *channel, void *value);

/** Waits until one of the cases can happen, and makes it happen: that one and no other. If several can, one of them is
 *  chosen, each as likely; what is drawn depends on the loop's `seed` alone. A closed channel's case can happen, with
 *  PL_ECLOSED as its result. A channel may stand in several cases; a select never receives what it sends itself. Task
 *  call.
 *  @param count  0: only the limit or a cancel ends it
 *  @param limit  PL_FOREVER: none; <= 0: does not wait
 *  @return the index of the case that happened (look at its result); PL_ETIMEDOUT: none did within the limit;
 *  PL_ECANCELED: none did; PL_EINVAL: no cases, a value that is missing, a channel of another loop; PL_EBUSY: another
 *  select waits with one of these cases; PL_ENOMEM (for the limit's timer), PL_ENOTASK, PL_ETHREAD; PL_ECLOSED: the loop
 *  is closed.   Go: select. */
PL_API int pl_select(pl_select_case *cases, size_t count, pl_duration limit);

#ifdef __cplusplus
}
#endif

#endif
