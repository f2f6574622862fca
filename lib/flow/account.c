#include "flow/account.h"

#include <assert.h>

bool account_init(struct account *account, const struct stage_options *options,
                  const struct stage_edges *edges,
                  const struct account_ties *ties)
{
    assert(ties->clock && ties->on_room && ties->on_written);
    const struct gate_options gate = {
        .submits_max = options->submits_max,
        .transfers_max = options->transfers_max,
        .lease_ms = options->lease_ms,
    };
    const struct keys_options keys = {
        .loop = edges->loop,
        .store = edges->store,
        .poller = edges->poller,
        .apimart = &options->apimart,
        .submit_doubt = options->submit_doubt,
    };
    gate_init(&account->gate, ties->clock, &gate, ties->on_room, ties->context);
    bool fine = keys_init(&account->keys, &keys, edges->metrics);
    return learn_init(&account->learn, edges->loop, edges->store,
                      &account->keys, edges->metrics, ties->on_written,
                      ties->context) &&
           fine;
}

void account_done(struct account *account)
{
    gate_done(&account->gate);
    learn_done(&account->learn);
    keys_done(&account->keys);
}
