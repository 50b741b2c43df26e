/* list.h: intrusive, doubly linked, circular lists.
 *
 * A node is a member of the object that is listed, so linking allocates nothing. A list is a node that stands
 * for both ends: an empty list points at itself. A zeroed node is unlinked; a list must be initialised.
 */
#ifndef PL__LIST_H
#define PL__LIST_H

#include <stdbool.h>
#include <stddef.h>

#include "check.h"

typedef struct pl__node {
    struct pl__node *next;
    struct pl__node *prev;
} pl__node;

typedef struct pl__list {
    pl__node head;
} pl__list;

/* Visits every node; the one visited may be unlinked, its neighbours may not. */
#define PL__LIST_EACH(node, list)                                                                                      \
    for (pl__node *node = (list)->head.next, *node##_next = node->next; node != &(list)->head;                         \
         node = node##_next, node##_next = node->next)

static inline void pl__node_init(pl__node *node)
{
    node->next = NULL;
    node->prev = NULL;
}

static inline bool pl__node_is_linked(const pl__node *node)
{
    return node->next != NULL;
}

static inline void pl__node_unlink(pl__node *node)
{
    PL__CHECK(pl__node_is_linked(node));
    node->prev->next = node->next;
    node->next->prev = node->prev;
    pl__node_init(node);
}

static inline void pl__node_link_before(pl__node *node, pl__node *place)
{
    PL__CHECK(!pl__node_is_linked(node));
    node->next = place;
    node->prev = place->prev;
    place->prev->next = node;
    place->prev = node;
}

static inline void pl__list_init(pl__list *list)
{
    list->head.next = &list->head;
    list->head.prev = &list->head;
}

static inline bool pl__list_is_empty(const pl__list *list)
{
    return list->head.next == &list->head;
}

static inline void pl__list_push_back(pl__list *list, pl__node *node)
{
    pl__node_link_before(node, &list->head);
}

static inline void pl__list_push_front(pl__list *list, pl__node *node)
{
    pl__node_link_before(node, list->head.next);
}

/* NULL: the list is empty. */
static inline pl__node *pl__list_first(const pl__list *list)
{
    return pl__list_is_empty(list) ? NULL : list->head.next;
}

/* NULL: the list is empty. */
static inline pl__node *pl__list_last(const pl__list *list)
{
    return pl__list_is_empty(list) ? NULL : list->head.prev;
}

/* NULL: the list is empty. */
static inline pl__node *pl__list_pop_front(pl__list *list)
{
    pl__node *first = pl__list_first(list);
    if (first)
        pl__node_unlink(first);
    return first;
}

/* Appends all of `from` to `to`; `from` is empty then. */
static inline void pl__list_move_all(pl__list *from, pl__list *to)
{
    if (pl__list_is_empty(from))
        return;
    from->head.next->prev = to->head.prev;
    to->head.prev->next = from->head.next;
    from->head.prev->next = &to->head;
    to->head.prev = from->head.prev;
    pl__list_init(from);
}

#endif
