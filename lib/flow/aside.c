#include "flow/aside.h"

#include <assert.h>
#include <string.h>

void aside_init(struct aside *aside)
{
    *aside = (struct aside){0};
    list_init(&aside->items);
}

bool aside_is_empty(const struct aside *aside)
{
    assert(list_is_empty(&aside->items) == (aside->len == 0));
    return aside->len == 0;
}

static size_t place_of(const struct item *item)
{
    assert(item->read && item->request.reject == REQUEST_NAMED);
    return (size_t)(item_id_hash(item->request.request_id) % ASIDE_PLACES);
}

/** What comes in is in order but for a batch that was asked about twice. */
void aside_add(struct aside *aside, struct item *item)
{
    struct list *at = aside->items.prev;
    while (at != &aside->items &&
           LIST_OWNER(at, struct item, link)->came > item->came) {
        at = at->prev;
    }
    list_add_tail(at->next, &item->link);
    aside->len++;
    struct item **place = &aside->by_id[place_of(item)];
    item->next_aside = *place;
    *place = item;
}

bool aside_is_before(const struct aside *aside, const struct item *item)
{
    const struct item *at = aside->by_id[place_of(item)];
    while (at && (at->came >= item->came ||
                  !str_eq(at->request.request_id, item->request.request_id))) {
        at = at->next_aside;
    }
    return at != NULL;
}

size_t aside_give_back(struct aside *aside, struct list *waiting)
{
    const size_t len = aside->len;
    list_add_all_front(waiting, &aside->items);
    memset(aside->by_id, 0, sizeof aside->by_id);
    aside->len = 0;
    return len;
}
