#include "commands.h"

static struct prices prices;
static struct arena memory;

bool prices_configure(const struct settings *settings, struct buf *faults)
{
    struct err err = {0};
    arena_init(&memory, 4096, 0);
    prices = (struct prices){0};
    if (settings->prices[0] &&
        !prices_read(str_of(settings->prices), &memory, &prices, &err)) {
        buf_printf(faults, "PRICES: %s\n", err.text);
        return false;
    }
    return true;
}

const struct prices *configured_prices(void)
{
    return &prices;
}

void prices_forget(void)
{
    prices = (struct prices){0};
    arena_done(&memory);
}
