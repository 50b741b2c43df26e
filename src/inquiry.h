/* inquiry.h: a question that any thread asks a loop.
 *
 * It is answered between two callbacks of the loop, on its thread. Whoever asked waits, for a time at most; an inquiry that
 * nobody waits for any more is dropped by the loop when it comes to it.
 */
#ifndef PROLOOP_SRC_INQUIRY_H
#define PROLOOP_SRC_INQUIRY_H

#include <stdbool.h>

#include <proloop/debug.h>

#include "text.h"
#include "thread.h"

typedef struct pl__inquiry pl__inquiry;

/* Fills the answer; on the loop's thread. PL_OK, PL_ENOMEM. */
typedef int pl__answer_fn(pl__inquiry *inquiry, pl_loop *loop);

struct pl__inquiry {
    pl__answer_fn *answer;
    pl__text text; /* the answer, */
    pl_metrics metrics;
    pl__mutex mutex; /* guards what follows */
    pl__condition answered;
    uint32_t references; /* whoever asked, and the loop */
    bool abandoned;      /* nobody waits for it */
    bool done;
    int result;
};

/* Asks, and waits `limit` at most. Whoever asked frees it, in every case.
 * PL_OK, PL_ENOMEM, PL_ECLOSED, PL_ETIMEDOUT, or what `answer` returned; *inquiry is NULL if there was no memory. */
int pl__inquire(pl__inquiry **inquiry, pl_remote *remote, pl_duration limit, pl__answer_fn *answer);

/* NULL is allowed. */
void pl__inquiry_free(pl__inquiry *inquiry);

#endif
