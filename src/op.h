/* Operations, from the inside: the completion that goes to the proactor, and the future of its waiter, in one struct that
 * the caller owns.
 *
 *     idle -> pending -> done -> (started again) pending ...
 *
 * An operation may have its completion submitted, or wait in a queue of a stream or a listener; its type says what a
 * cancel does there. While pending it stands in the list of its loop, or, if its memory is the running task's stack, of
 * that task: both are looked at when the owner of the list ends.
 */
#ifndef PROLOOP_SRC_OP_H
#define PROLOOP_SRC_OP_H

#include <proloop/op.h>

#include "future.h"
#include "proactor.h"

typedef struct pl__op pl__op;

typedef struct pl__op_type {
    const char *name;
    void (*cancel)(pl__op *op); /* it is pending; it ends now or later, once */
} pl__op_type;

enum pl__op_state { PL__OP_IDLE, PL__OP_PENDING, PL__OP_DONE };

struct pl__op {
    pl_future future;
    pl__node node; /* of its loop's or its task's pending ones */
    const pl__op_type *type;
    void *owner;  /* the stream, listener, file or job it works on */
    void *output; /* where a result beside the number goes */
    union {
        struct { /* a write, or a file to send */
            pl__node queue;
            pl_buffer single;
            int64_t size;
            int64_t done; /* bytes that went out */
        } write;
        struct { /* an accept */
            pl__node queue;
        } accept;
        struct { /* one datagram, or several: see udp.c */
            pl__node queue;
            const void *data;     /* bytes, buffers or rooms, datagrams, */
            size_t count;         /* and how many of them */
            size_t done;          /* datagrams that were sent */
            pl_address to;        /* of a single one */
            int16_t suspect;      /* an error that may be an earlier datagram's: this one is sent again; 0: none */
            uint16_t passed_over; /* news of earlier datagrams that a receive met */
            uint8_t shape;        /* what `data` points to */
        } datagram;
        struct { /* a look-up; `output` gets the addresses, or the name */
            size_t capacity;
            size_t *total;   /* NULL: not wanted */
            char *canonical; /* NULL: not wanted */
            size_t canonical_size;
        } resolve;
        struct {
            size_t size;
            pl_address address;
            bool or_numeric;
        } resolve_address;
    } as;
    pl__completion completion;
    int32_t system_error;
    uint8_t state;
    bool cancelling;     /* a cancel was asked for */
    int16_t cancel_code; /* PL_ECANCELED, or PL_ECLOSED if its stream was closed */
};

static inline pl__op *pl__op_of(const pl_op *op)
{
    return (pl__op *)(uintptr_t)op->opaque.space;
}

static inline pl__op *pl__op_of_completion(pl__completion *completion)
{
    return PL__CONTAINER_OF(completion, pl__op, completion);
}

/* The checks of every _start: PL_OK, PL_EINVAL, PL_EBUSY, PL_ETHREAD, PL_ECLOSED. `loop` NULL: PL_ECLOSED. */
int pl__op_check(const pl_op *op, pl_loop *loop);

/* Makes a checked operation pending. */
pl__op *pl__op_begin(pl_op *op, pl_loop *loop, const pl__op_type *type, void *owner, void *output);

/* The end of a pending operation. */
void pl__op_end(pl__op *op, int64_t result, int32_t system_error);

/* Whether it is what a closed stream still has to write, within its linger time. */
bool pl__op_lingers(const pl__op *op);

/* Asks for its end with this code. */
void pl__op_cancel(pl__op *op, int code);

/* The cancel of an operation whose completion is submitted. */
void pl__op_cancel_completion(pl__op *op);

/* What a cancelled operation's PL_ECANCELED means: PL_ECLOSED, if it was closing that cancelled it. */
int64_t pl__op_translate(const pl__op *op, int64_t result);

/* A task call made of a start: waits for the end, unless the start failed. */
int64_t pl__op_wait(pl_op *op, int started);

#endif
