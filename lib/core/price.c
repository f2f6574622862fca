#include "core/price.h"

#include "core/json.h"

#include <assert.h>
#include <string.h>

#define DURATION_MAX 15 /* seconds, the longest that the provider makes */

int price_resolution(struct str text)
{
    static const struct {
        const char *name;
        int lines;
    } all[] = {{"360p", 360}, {"540p", 540}, {"720p", 720}, {"1080p", 1080}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (str_eq(text, str_of(all[i].name))) {
            return all[i].lines;
        }
    }
    return 0;
}

/* ---- the operator's table ---- */

static bool read_amount(const json_t *value, money *amount)
{
    double number = 0;
    if (json_is_string(value)) {
        return money_parse(
            (struct str){json_string_value(value), json_string_length(value)},
            amount);
    }
    if (!json_to_amount(value, &number) ||
        number > (double)(MONEY_MAX / MONEY_ONE)) {
        return false;
    }
    *amount = money_of_cost(number);
    /* More than six places would be another amount. */
    const double off = (double)*amount - number * (double)MONEY_ONE;
    return off > -1e-3 && off < 1e-3;
}

/** false: `key` takes no such value; *allowed says which. */
static bool read_member(struct price_rule *rule, const char *key,
                        const json_t *value, const char **allowed)
{
    const struct str text = {json_string_value(value),
                             json_string_length(value)};
    int64_t whole = 0;
    if (strcmp(key, "mode") == 0) {
        *allowed = "text_to_video, image_to_video, transition, fusion or "
                   "extend";
        rule->mode = text.at ? request_mode_parse(text) : MODE_NONE;
        return rule->mode != MODE_NONE;
    }
    if (strcmp(key, "resolution") == 0) {
        *allowed = "360p, 540p, 720p or 1080p";
        rule->resolution = text.at ? price_resolution(text) : 0;
        return rule->resolution != 0;
    }
    if (strcmp(key, "duration") == 0) {
        *allowed = "1..15";
        const bool fine = json_to_i64(value, &whole) == JSON_WHOLE &&
                          whole >= 1 && whole <= DURATION_MAX;
        rule->duration = fine ? (int)whole : 0;
        return fine;
    }
    if (strcmp(key, "audio") == 0) {
        *allowed = "true or false";
        rule->audio = json_is_true(value);
        return json_is_boolean(value);
    }
    *allowed = "0..1000000000 with six decimals at most";
    if (strcmp(key, "price") == 0) {
        return read_amount(value, &rule->price);
    }
    if (strcmp(key, "per_second") == 0) {
        return read_amount(value, &rule->per_second);
    }
    *allowed = NULL;
    return false;
}

static bool read_rule(const json_t *json, size_t number,
                      struct price_rule *rule, struct err *err)
{
    *rule = (struct price_rule){.audio = -1};
    if (!json_is_object(json)) {
        return err_set(err, ERR_FATAL,
                       "rule %zu is no object, allowed: {\"mode\", "
                       "\"resolution\", \"duration\", \"audio\", \"price\" or "
                       "\"per_second\"}",
                       number);
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)json, key, value)
    {
        const char *allowed = NULL;
        if (read_member(rule, key, value, &allowed)) {
            continue;
        }
        return allowed ? err_set(err, ERR_FATAL, "rule %zu, %s: allowed: %s",
                                 number, key, allowed)
                       : err_set(err, ERR_FATAL,
                                 "rule %zu: unknown member \"%.40s\", allowed: "
                                 "mode, resolution, duration, audio, price, "
                                 "per_second",
                                 number, key);
    }
    if (!json_object_get(json, "price") &&
        !json_object_get(json, "per_second")) {
        return err_set(err, ERR_FATAL,
                       "rule %zu has no price, allowed: \"price\", "
                       "\"per_second\" or both",
                       number);
    }
    return true;
}

bool prices_read(struct str text, struct arena *arena, struct prices *prices,
                 struct err *err)
{
    bool no_memory = false;
    char where[JSON_WHERE_BYTES] = "";
    json_t *json = json_read_where(text, &no_memory, where);
    if (!json) {
        return err_set(err, ERR_FATAL, "is no JSON (%s)",
                       no_memory ? "no memory" : where);
    }
    const size_t len = json_array_size(json);
    if (!json_is_array(json) || len > PRICE_RULES_MAX) {
        json_decref(json);
        return err_set(err, ERR_FATAL,
                       "is no array of rules, allowed: %d rules at most",
                       PRICE_RULES_MAX);
    }
    struct price_rule *rules = arena_alloc(arena, (len + 1) * sizeof *rules);
    bool fine = rules || err_set(err, ERR_FATAL, "no memory for the prices");
    for (size_t i = 0; fine && i < len; i++) {
        fine = read_rule(json_array_get(json, i), i + 1, &rules[i], err);
    }
    json_decref(json);
    if (fine) {
        *prices = (struct prices){rules, len};
    }
    return fine;
}

/* ---- what was seen ---- */

static struct price_rule rule_of(const struct price_seen *seen)
{
    const int lines =
        seen->resolution.at ? price_resolution(seen->resolution) : 0;
    return (struct price_rule){
        .mode = seen->mode,
        .resolution = lines ? lines : PRICE_RESOLUTION,
        .duration = seen->duration ? seen->duration : PRICE_DURATION,
        .audio = seen->audio,
        .price = seen->median,
    };
}

static bool is_like(const struct price_rule *a, const struct price_rule *b)
{
    return a->mode == b->mode && a->resolution == b->resolution &&
           a->duration == b->duration && a->audio == b->audio;
}

/** Who names a default and who leaves it open ask for the same: the one of
 * which more was seen says what it costs. */
static bool is_beaten(const struct price_seen *seen, size_t len, size_t at)
{
    const struct price_rule rule = rule_of(&seen[at]);
    for (size_t i = 0; i < len; i++) {
        const struct price_rule other = rule_of(&seen[i]);
        if (i != at && is_like(&rule, &other) &&
            (seen[i].count > seen[at].count ||
             (seen[i].count == seen[at].count && i < at))) {
            return true;
        }
    }
    return false;
}

/** Of those before `len`. */
static money dearest(const struct price_rule *rules, size_t len,
                     enum request_mode mode)
{
    money most = PRICE_UNKNOWN;
    for (size_t i = 0; i < len; i++) {
        if ((mode == MODE_NONE || rules[i].mode == mode) &&
            rules[i].price > most) {
            most = rules[i].price;
        }
    }
    return most;
}

bool prices_learn(const struct price_seen *seen, size_t len,
                  struct arena *arena, struct prices *prices)
{
    assert(seen || !len);
    *prices = (struct prices){0};
    struct price_rule *rules =
        arena_alloc(arena, (len + MODE_EXTEND + 2) * sizeof *rules);
    if (!rules) {
        return false;
    }
    size_t alike = 0;
    for (size_t i = 0; i < len; i++) {
        assert(seen[i].median >= 0 && seen[i].count > 0);
        if (!is_beaten(seen, len, i)) {
            rules[alike++] = rule_of(&seen[i]);
        }
    }
    size_t all = alike;
    for (int mode = MODE_EXTEND; alike && mode >= MODE_NONE; mode--) {
        const money most = dearest(rules, alike, (enum request_mode)mode);
        if (most >= 0) {
            rules[all++] = (struct price_rule){
                .mode = (enum request_mode)mode, .audio = -1, .price = most};
        }
    }
    *prices = (struct prices){rules, all};
    return true;
}

/* ---- the estimate ---- */

static bool fits(const struct price_rule *rule, const struct price_like *like)
{
    return (rule->mode == MODE_NONE || rule->mode == like->mode) &&
           (!rule->resolution || rule->resolution == like->resolution) &&
           (!rule->duration || rule->duration == like->duration) &&
           (rule->audio < 0 || rule->audio == like->audio);
}

static money amount_of(const struct price_rule *rule, int seconds)
{
    assert(seconds >= 0 && rule->price >= 0 && rule->per_second >= 0);
    const money amount = rule->price + rule->per_second * seconds;
    return amount < MONEY_MAX ? amount : MONEY_MAX;
}

money price_of(const struct prices *prices, const struct price_like *like)
{
    for (size_t i = 0; i < prices->len; i++) {
        if (fits(&prices->rules[i], like)) {
            return amount_of(&prices->rules[i], like->duration);
        }
    }
    return PRICE_UNKNOWN;
}

money prices_most(const struct prices *prices)
{
    money most = PRICE_UNKNOWN;
    for (size_t i = 0; i < prices->len; i++) {
        const struct price_rule *rule = &prices->rules[i];
        const money amount =
            amount_of(rule, rule->duration ? rule->duration : DURATION_MAX);
        most = amount > most ? amount : most;
    }
    return most;
}
