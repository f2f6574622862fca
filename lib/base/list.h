#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

/** A ring of links inside their owners; the head is a link of its own. */
struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_OWNER(link, type, member)                                         \
    ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *head)
{
    head->next = head;
    head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

static inline void list_add_tail(struct list *head, struct list *link)
{
    assert(head->prev->next == head && link != head);
    link->next = head;
    link->prev = head->prev;
    head->prev->next = link;
    head->prev = link;
}

/** Takes the link out; it may be taken out again without harm. */
static inline void list_remove(struct list *link)
{
    assert(link->next->prev == link && link->prev->next == link);
    link->next->prev = link->prev;
    link->prev->next = link->next;
    list_init(link);
}

static inline struct list *list_pop(struct list *head)
{
    if (list_is_empty(head)) {
        return NULL;
    }
    struct list *link = head->next;
    list_remove(link);
    return link;
}

/** All links of `from`, which is empty then, become those of `head`. */
static inline void list_take_all(struct list *head, struct list *from)
{
    list_init(head);
    if (!list_is_empty(from)) {
        *head = *from;
        head->next->prev = head;
        head->prev->next = head;
        list_init(from);
    }
}

/** All links of `from`, which is empty then, in their order before those of
 * `head`. */
static inline void list_add_all_front(struct list *head, struct list *from)
{
    assert(head != from && head->next->prev == head);
    if (!list_is_empty(from)) {
        from->prev->next = head->next;
        head->next->prev = from->prev;
        head->next = from->next;
        head->next->prev = head;
        list_init(from);
    }
}

#endif
