/* Groups, from the inside: a scope of the parent, and the list of its children. */
#ifndef PROLOOP_SRC_GROUP_H
#define PROLOOP_SRC_GROUP_H

#include "future.h"
#include "scope.h"

enum pl__group_state { PL__GROUP_NONE, PL__GROUP_OPEN, PL__GROUP_ENDING, PL__GROUP_ENDED };

struct pl__group {
    pl__scope scope; /* of the body */
    pl_loop *loop;
    pl_task *parent;
    pl__list children;
    size_t count;
    pl__node abort_node;    /* among the loop's groups whose members are to be cancelled */
    pl_future idle;         /* the end waits for it: no child is left */
    int64_t body_error;     /* other than PL_ECANCELED; 0: none */
    int64_t first_error;    /* of a child; 0: none */
    pl_group_error *errors; /* pl_group_collect's */
    size_t error_capacity;
    size_t error_count;
    int flags;
    uint8_t state;
    bool aborting;     /* children and body are being cancelled */
    bool cancel_early; /* cancelled before it began */
    bool outer_cancel; /* while ending: the parent was cancelled from outside */
};

static inline struct pl__group *pl__group_of(const pl_group *group)
{
    return (struct pl__group *)(uintptr_t)group->opaque.space;
}

/* A child of its group has ended, its future is done. */
void pl__group_child_ended(struct pl__group *group, pl_task *child);

#endif
