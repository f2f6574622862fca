#include "flow/shares.h"

#include "core/accounts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 200  /* between two looks, at least */
#define LOOK_REST 20 /* times as long as the last one took */
#define TELL_MS 1000 /* what we occupy is told so often, if it changed */

/* ---- life ---- */

void shares_init(struct shares *shares, struct jobs *jobs, int64_t slots)
{
    assert(jobs && slots >= 0);
    *shares = (struct shares){.jobs = jobs, .slots = slots};
}

static void forget_heads(struct shares *shares)
{
    free(shares->heads);
    free(shares->numbers);
    shares->heads = NULL;
    shares->numbers = NULL;
    shares->len = 0;
}

void shares_done(struct shares *shares)
{
    forget_heads(shares);
    uses_done(&shares->uses);
}

/** From the start: what each job has counted for is not there any more. */
static void count_anew(struct shares *shares)
{
    jobs_count_uses(shares->jobs, NULL);
    uses_done(&shares->uses);
    shares->anew = true;
    if (shares->on) {
        jobs_count_uses(shares->jobs, &shares->uses);
    }
}

bool shares_told(struct shares *shares, bool on)
{
    const bool other = shares->on != on;
    shares->on = on;
    if (other) {
        forget_heads(shares);
        shares->leaving = !on;
        shares->passed_ms = 0;
    }
    if (other || (on && shares->uses.lacks)) {
        count_anew(shares);
    }
    return other;
}

void shares_reset(struct shares *shares)
{
    forget_heads(shares);
    shares->anew = true;
    shares->leaving = false;
}

/* ---- looks ---- */

bool shares_look_due(const struct shares *shares, int64_t boot_ms,
                     int64_t *wait_ms)
{
    *wait_ms = shares->looking             ? -1
               : boot_ms < shares->next_ms ? shares->next_ms - boot_ms
                                           : 0;
    return *wait_ms == 0;
}

void shares_asked(struct shares *shares, int64_t boot_ms)
{
    assert(!shares->looking);
    shares->looking = true;
    shares->asked_ms = boot_ms;
}

/** What we knew of it goes on; who comes anew begins with the least. */
static void take_seen(struct shares_head *head, struct share_tenant *numbers,
                      const struct share_seen *seen)
{
    const size_t most = sizeof head->name - 1;
    const size_t len = seen->tenant.len < most ? seen->tenant.len : most;
    memcpy(head->name, seen->tenant.at, len);
    head->name[len] = '\0';
    head->waits = seen->waits;
    head->dry = 0;
    head->held = seen->held;
    numbers->weight = seen->weight > 0 ? seen->weight : 1;
    numbers->slots = seen->slots;
}

/** Of whom nothing was seen; false: nothing of it is kept. */
static bool keep_unseen(const struct shares *shares, struct shares_head *head,
                        const struct share_tenant *numbers)
{
    head->waits = false;
    head->held = 0;
    return head->asked > 0 || numbers->used > shares->least ||
           uses_of(&shares->uses, head->name) > 0;
}

static int compare_seen(const struct shares_head *head,
                        const struct share_seen *seen)
{
    const int order = strncmp(head->name, seen->tenant.at, seen->tenant.len);
    return order != 0 ? order : head->name[seen->tenant.len] != '\0';
}

/** Both are in the order of their names. */
static bool merge(struct shares *shares, const struct share_seen *seen,
                  size_t len)
{
    const size_t most = shares->len + len;
    struct shares_head *heads = calloc(most + 1, sizeof *heads);
    struct share_tenant *numbers = calloc(most + 1, sizeof *numbers);
    bool any = false;
    size_t n = 0;
    if (!heads || !numbers) {
        free(heads);
        free(numbers);
        return false;
    }
    for (size_t old = 0, i = 0; old < shares->len || i < len;) {
        const int order = old == shares->len ? 1
                          : i == len
                              ? -1
                              : compare_seen(&shares->heads[old], &seen[i]);
        if (order <= 0) {
            heads[n] = shares->heads[old];
            numbers[n] = shares->numbers[old];
            old++;
        } else {
            heads[n] = (struct shares_head){0};
            numbers[n] = (struct share_tenant){.used = shares->least};
        }
        if (order >= 0) {
            take_seen(&heads[n], &numbers[n], &seen[i]);
            any = any || seen[i].waits;
            i++;
            n++;
        } else {
            n += keep_unseen(shares, &heads[n], &numbers[n]);
        }
    }
    forget_heads(shares);
    shares->heads = heads;
    shares->numbers = numbers;
    shares->len = n;
    return any;
}

bool shares_looked(struct shares *shares, const struct share_seen *seen,
                   size_t len, int64_t boot_ms)
{
    assert(shares->looking && boot_ms >= shares->asked_ms);
    const int64_t rest_ms = (boot_ms - shares->asked_ms) * LOOK_REST;
    shares->looking = false;
    shares->next_ms = boot_ms + (rest_ms > LOOK_MS ? rest_ms : LOOK_MS);
    if (!seen || !shares->on) {
        return false;
    }
    return merge(shares, seen, len);
}

/* ---- claims ---- */

static bool is_open(const struct shares *shares, size_t i, uint32_t accounts)
{
    return shares->heads[i].waits && (accounts & ~shares->heads[i].dry) != 0;
}

static uint32_t bit_of(size_t account)
{
    assert(account < ACCOUNTS_MAX);
    return UINT32_C(1) << account;
}

bool shares_any(const struct shares *shares, uint32_t accounts, int64_t boot_ms)
{
    bool any = false;
    if (boot_ms >= shares->next_ms + LOOK_MS) {
        return false; /* others may have come since */
    }
    for (size_t i = 0; i < shares->len && !any; i++) {
        any = is_open(shares, i, accounts);
    }
    return any;
}

/** Those that wait, beside each other; `at` of each is its place among all. */
static size_t open_ones(struct shares *shares, size_t account,
                        struct share_tenant *open, size_t *places,
                        struct share *share)
{
    size_t n = 0;
    for (size_t i = 0; i < shares->len; i++) {
        if (is_open(shares, i, bit_of(account))) {
            places[n] = i;
            open[n++] = shares->numbers[i];
        } else {
            share->others += shares->numbers[i].occupied;
        }
    }
    return n;
}

/** What each occupies now, and what it has until now. */
static void refresh(struct shares *shares, int64_t boot_ms)
{
    for (size_t i = 0; i < shares->len; i++) {
        shares->numbers[i].occupied =
            shares->heads[i].held +
            uses_of(&shares->uses, shares->heads[i].name);
    }
    if (shares->slots > 0 && shares->passed_ms > 0) {
        share_passed(shares->numbers, shares->len, boot_ms - shares->passed_ms);
    }
    shares->passed_ms = boot_ms;
}

int shares_plan(struct shares *shares, size_t account, int room,
                int64_t boot_ms, struct turn *turn, struct arena *arena)
{
    assert(shares->on && room > 0 && boot_ms >= shares->passed_ms);
    struct share share = {.slots = shares->slots, .room = room};
    struct share_tenant *open =
        arena_alloc(arena, (shares->len + 1) * sizeof *open);
    size_t *places = arena_alloc(arena, (shares->len + 1) * sizeof *places);
    struct share_ask *asks =
        arena_alloc(arena, (shares->len + 1) * sizeof *asks);
    int all = 0;
    if (!open || !places || !asks ||
        !shares_any(shares, bit_of(account), boot_ms)) {
        return 0;
    }
    refresh(shares, boot_ms);
    const size_t len = open_ones(shares, account, open, places, &share);
    share_fill(&share, open, len);
    shares->least = share_level(open, len, shares->least);
    for (size_t i = 0; i < len; i++) {
        struct shares_head *head = &shares->heads[places[i]];
        shares->numbers[places[i]] = open[i];
        if (open[i].n > 0) {
            head->asked = open[i].n;
            asks[turn->shares_len++] =
                (struct share_ask){head->name, open[i].n};
            turn->capped = turn->capped || open[i].slots > 0;
            all += open[i].n;
        }
    }
    turn->sharing = all > 0;
    turn->shares = asks;
    return all;
}

static struct shares_head *head_of(struct shares *shares, struct str tenant,
                                   size_t *at)
{
    const struct share_seen seen = {.tenant = tenant};
    size_t from = 0;
    size_t to = shares->len;
    while (from < to) {
        const size_t middle = from + (to - from) / 2;
        if (compare_seen(&shares->heads[middle], &seen) < 0) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    *at = from;
    return from < shares->len && compare_seen(&shares->heads[from], &seen) == 0
               ? &shares->heads[from]
               : NULL;
}

void shares_claimed(struct shares *shares, size_t account,
                    const struct turn_result *result, bool short_of)
{
    for (size_t i = 0; i < result->claimed_len; i++) {
        const struct job *job =
            jobs_find(shares->jobs, result->claimed[i].row.id);
        size_t at;
        struct shares_head *head =
            head_of(shares, result->claimed[i].tenant, &at);
        if (head) {
            head->asked -= head->asked > 0;
            share_went(&shares->numbers[at], 1, shares->slots > 0);
        }
        if (job && job->use && job->use->told >= 0) {
            job->use->told++; /* the claim has written it down itself */
        } else {
            shares->anew = true;
        }
    }
    for (size_t i = 0; i < shares->len; i++) {
        struct shares_head *head = &shares->heads[i];
        if (head->asked > 0 && !short_of && !result->caps_busy) {
            head->dry |= bit_of(account);
        }
        head->asked = 0;
    }
    if (result->adopted_len > 0) {
        shares->anew = true; /* what they occupy was written down, too */
    }
}

void shares_lost(struct shares *shares)
{
    shares->anew = true;
    /* That we occupy nothing by tenants any more may be what was lost. */
    shares->leaving = shares->leaving || !shares->on;
    for (size_t i = 0; i < shares->len; i++) {
        shares->heads[i].asked = 0;
    }
}

/* ---- what we occupy ---- */

static bool has_changed(const struct shares *shares)
{
    bool changed = false;
    for (size_t i = 0; i < shares->uses.len && !changed; i++) {
        changed = shares->uses.all[i]->n != shares->uses.all[i]->told;
    }
    return changed;
}

bool shares_uses_due(const struct shares *shares, int64_t boot_ms)
{
    if (!shares->on) {
        return shares->leaving;
    }
    return !shares->uses.lacks &&
           (shares->anew ||
            (boot_ms - shares->told_ms >= TELL_MS && has_changed(shares)));
}

void shares_gather_uses(struct shares *shares, int64_t boot_ms,
                        struct turn *turn, struct arena *arena)
{
    assert(!turn->uses_told);
    uses_sweep(&shares->uses);
    struct share_use *uses =
        arena_alloc(arena, (shares->uses.len + 2) * sizeof *uses);
    if (!uses || shares->uses.lacks) {
        return;
    }
    turn->uses_told = true;
    turn->uses_all = shares->anew || shares->leaving;
    turn->uses = uses;
    if (shares->on && turn->uses_all) {
        uses[turn->uses_len++] = (struct share_use){"", "", 0};
    }
    for (size_t i = 0; i < shares->uses.len; i++) {
        struct use *use = shares->uses.all[i];
        if (turn->uses_all || use->n != use->told) {
            uses[turn->uses_len++] =
                (struct share_use){use->account, use->tenant, use->n};
            use->told = use->n; /* else: shares_lost() */
        }
    }
    shares->anew = false;
    shares->leaving = false;
    shares->told_ms = boot_ms;
    turn->uses_told = turn->uses_all || turn->uses_len > 0;
}
