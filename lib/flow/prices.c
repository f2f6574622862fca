#include "flow/prices.h"

#include "base/log.h"

#include <assert.h>

#define LOOK_EVERY_MS INT64_C(600000)
#define AGAIN_MS INT64_C(10000)

static void on_time(void *context)
{
    price_book_look(context);
}

bool price_book_init(struct price_book *book, struct loop *loop,
                     struct store *store, const struct prices *given)
{
    assert(given->rules || !given->len);
    *book = (struct price_book){.store = store, .prices = *given};
    for (int i = 0; i < 2; i++) {
        arena_init(&book->arenas[i], 4096, 0);
    }
    if (given->len) {
        return true;
    }
    book->timer = loop_timer_new(loop, on_time, book);
    return book->timer != NULL;
}

void price_book_done(struct price_book *book)
{
    if (book->timer) {
        loop_timer_free(book->timer);
    }
    for (int i = 0; i < 2; i++) {
        arena_done(&book->arenas[i]);
    }
}

/** What it knew holds until the next answer. */
static void on_prices(void *context, const struct price_seen *seen, size_t len,
                      const struct err *err)
{
    struct price_book *book = context;
    assert(book->asked && book->timer);
    book->asked = false;
    if (err) {
        log_at(LOG_DEBUG, "what requests cost is not known",
               LOG_TEXT("why", err->text));
        loop_timer_set(book->timer, AGAIN_MS);
        return;
    }
    const int other = 1 - book->arena;
    struct prices learnt;
    arena_reset(&book->arenas[other]);
    if (prices_learn(seen, len, &book->arenas[other], &learnt)) {
        book->prices = learnt;
        book->arena = other;
    }
    loop_timer_set(book->timer, LOOK_EVERY_MS);
}

void price_book_look(struct price_book *book)
{
    if (book->timer && !book->asked) {
        book->asked = true;
        store_prices(book->store, on_prices, book);
    }
}
