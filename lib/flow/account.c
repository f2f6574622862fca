#include "flow/account.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool account_init(struct account *account,
                         const struct account_settings *settings,
                         const struct account_ties *ties)
{
    const struct keys_options keys = {
        .loop = ties->loop,
        .store = ties->store,
        .poller = ties->poller,
        .apimart = &settings->keys[0],
        .submit_doubt = ties->submit_doubt,
    };
    char label[ACCOUNT_NAME_BYTES + 16];
    *account = (struct account){.settings = settings};
    lane_init(&account->lane, ties->gate);
    snprintf(label, sizeof label, "account=\"%s\"", settings->name);
    account->open =
        metric_get(ties->metrics, METRIC_GAUGE, "pixverse_account_open", label,
                   "1 while no hold and no other URL keeps requests from it.");
    metric_set(account->open, 1);
    account->cost = metric_get(
        ties->metrics, METRIC_COUNTER, "pixverse_account_cost_total", label,
        "Cost of its settled tasks, as the provider told it.");
    slots_init(&account->slots, ties->store, settings, ties->metrics);
    return keys_init(&account->keys, &keys, ties->metrics);
}

bool account_list_init(struct account_list *list,
                       const struct accounts *settings,
                       const struct account_ties *ties)
{
    bool fine = true;
    assert(settings->len > 0 && settings->len <= ACCOUNTS_MAX);
    *list = (struct account_list){.settings = settings, .gate = ties->gate};
    for (size_t i = 0; i < settings->len; i++) {
        list->turns[i].weight = settings->at[i].weight;
        fine = account_init(&list->at[i], &settings->at[i], ties) && fine;
        list->len++;
    }
    return fine;
}

void account_list_done(struct account_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        keys_done(&list->at[i].keys);
    }
    list->len = 0;
}

struct account *account_of(struct account_list *list, const char *row_account)
{
    assert(list->settings);
    const size_t at = accounts_find(list->settings, row_account);
    return at < list->len ? &list->at[at] : NULL;
}

const struct apimart *account_apimart(struct account_list *list,
                                      const char *row_account)
{
    const struct account *account = account_of(list, row_account);
    return account ? account_key(account->settings, row_account) : NULL;
}

bool account_is_used(const struct account_list *list, const char *account,
                     size_t *at)
{
    *at = accounts_find(list->settings, account);
    return *at < list->len &&
           strcmp(list->settings->at[*at].keys[0].account, account) == 0;
}

size_t account_names(const struct account_list *list, struct str *names)
{
    size_t len = 0;
    for (size_t i = 0; i < list->len; i++) {
        if (gate_may_submit(list->gate, &list->at[i].lane)) {
            names[len++] = str_of(list->settings->at[i].name);
        }
    }
    return len;
}

bool account_any_may_submit(const struct account_list *list)
{
    bool any = false;
    for (size_t i = 0; i < list->len && !any; i++) {
        any = gate_may_submit(list->gate, &list->at[i].lane);
    }
    return any;
}

/** How many submissions of one may begin, if it is wanted. */
static int room_of(const struct account_list *list, uint32_t wanted, size_t i,
                   bool returning)
{
    const struct lane *lane = &list->at[i].lane;
    assert(i < list->len);
    return (wanted & UINT32_C(1) << i) && gate_may_submit(list->gate, lane)
               ? gate_submits_room(list->gate, lane, returning)
               : 0;
}

int account_room(const struct account_list *list, uint32_t wanted,
                 bool returning)
{
    const int most = list->gate->options.submits_max;
    int room = 0;
    for (size_t i = 0; i < list->len && room < most; i++) {
        room += room_of(list, wanted, i, returning);
    }
    return room < most ? room : most;
}

int account_choose(struct account_list *list, uint32_t wanted, int most,
                   bool returning, size_t *at)
{
    int rooms[ACCOUNTS_MAX];
    int total = 0;
    assert(most >= 0 && list->len > 0);
    for (size_t i = 0; i < list->len; i++) {
        rooms[i] = room_of(list, wanted, i, returning);
        list->turns[i].open = rooms[i] > 0;
        total = rooms[i] > total ? rooms[i] : total;
    }
    total = total < most ? total : most;
    *at = accounts_next(list->turns, list->len);
    if (*at == list->len || total == 0) {
        *at = 0;
        return 0;
    }
    const int part = accounts_part(list->turns, list->len, *at, total);
    return part < rooms[*at] ? part : rooms[*at];
}

void account_gather(struct account_list *list)
{
    list->gate->returning = 0;
    for (size_t i = 0; i < list->len; i++) {
        list->at[i].lane.returning = 0;
    }
}

void account_served(struct account_list *list, size_t at, int count)
{
    assert(at < list->len);
    accounts_served(list->turns, list->len, at, count);
}

int64_t account_resend_after_ms(const struct account_list *list, int64_t now_ms)
{
    assert(list->len > 0);
    const bool sure = list->len == 1 && list->settings->at[0].keys_len == 1;
    return sure ? keys_resend_after_ms(&list->at[0].keys, now_ms) : INT64_MAX;
}

void account_ask_all(struct account_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        keys_ask(&list->at[i].keys);
    }
}

void account_tell_all(struct account_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        keys_tell(&list->at[i].keys);
    }
}

void account_stop_all(struct account_list *list)
{
    for (size_t i = 0; i < list->len; i++) {
        keys_stop(&list->at[i].keys);
    }
}

int64_t account_slots_of_all(const struct account_list *accounts,
                             int generations_max)
{
    int64_t slots = 0;
    for (size_t i = 0; i < accounts->settings->len; i++) {
        if (slots_now(&accounts->at[i].slots) == 0) {
            return generations_max;
        }
        slots += slots_now(&accounts->at[i].slots);
    }
    return generations_max > 0 && generations_max < slots ? generations_max
                                                          : slots;
}
