#include "core/accounts.h"

#include "base/settings_check.h"
#include "core/json.h"

#include <assert.h>
#include <stdio.h>

#define SETTING "APIMART_ACCOUNTS"
#define SLOTS_MAX 1000000
#define SHOWN_POINTS_MAX 100
#define NAME_ALLOWED "1..32 of a-z A-Z 0-9 . _ -, the first a letter or digit"

/** One account of the list. */
struct entry {
    const struct accounts_reading *reading;
    const json_t *object;
    size_t number; /* from 1 */
    const char *name;
};

/* ---- faults ---- */

/** Whose: by its name where it has one. */
static void begin_fault(const struct entry *entry, const char *field)
{
    struct buf *out = entry->reading->faults;
    buf_add_text(out, SETTING ": account ");
    if (entry->name && !entry->reading->secret) {
        buf_add_json(out, str_of(entry->name));
    } else {
        buf_printf(out, "number %zu", entry->number);
    }
    if (field) {
        buf_printf(out, ": %s", field);
    }
    buf_add_text(out, ": ");
}

/** shown: a value that is no secret; null: none is. */
static bool fault(const struct entry *entry, const char *field,
                  const json_t *shown, const char *what, const char *allowed)
{
    struct buf *out = entry->reading->faults;
    begin_fault(entry, field);
    if (shown && !entry->reading->secret) {
        struct buf text;
        buf_init(&text, 0);
        json_write(&text, shown);
        struct str cut = str_cut_points(buf_str(&text), SHOWN_POINTS_MAX);
        buf_add_text(out, "value ");
        buf_add_str(out, cut);
        buf_add_char(out, ' ');
        buf_done(&text);
    } else {
        buf_add_text(out, "value (not shown) ");
    }
    buf_printf(out, "%s, allowed: %s\n", what, allowed);
    return false;
}

static bool missing(const struct entry *entry, const char *field,
                    const char *allowed)
{
    begin_fault(entry, NULL);
    buf_printf(entry->reading->faults, "%s is not set, allowed: %s\n", field,
               allowed);
    return false;
}

/* ---- fields ---- */

static bool is_name(struct str text)
{
    bool good = text.len > 0 && text.len < ACCOUNT_NAME_BYTES;
    for (size_t i = 0; good && i < text.len; i++) {
        const char c = text.at[i];
        const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9');
        good = word || (i && (c == '.' || c == '_' || c == '-'));
    }
    return good;
}

static struct str text_of(const json_t *value)
{
    return (struct str){json_string_value(value), json_string_length(value)};
}

static bool is_text(const json_t *value)
{
    return json_is_string(value) && !json_is_big(value);
}

static bool read_name(struct entry *entry, struct account_settings *out)
{
    const json_t *value = json_object_get(entry->object, "name");
    if (!value) {
        return missing(entry, "name", NAME_ALLOWED);
    }
    if (!is_text(value) || !is_name(text_of(value))) {
        return fault(entry, "name", value, "is none", NAME_ALLOWED);
    }
    snprintf(out->name, sizeof out->name, "%s", json_string_value(value));
    entry->name = out->name;
    return true;
}

static bool read_number(const struct entry *entry, const char *field, int least,
                        int most, int usual, int *out)
{
    const json_t *value = json_object_get(entry->object, field);
    int64_t whole = 0;
    *out = usual;
    if (!value) {
        return true;
    }
    const bool fine = json_is_number(value) &&
                      json_to_i64(value, &whole) == JSON_WHOLE &&
                      whole >= least && whole <= most;
    if (!fine) {
        char allowed[64];
        snprintf(allowed, sizeof allowed, "%d..%d%s", least, most,
                 least ? "" : " (0: no limit)");
        return fault(entry, field, value, "is not such a whole number",
                     allowed);
    }
    *out = (int)whole;
    return true;
}

static struct str keep(const struct entry *entry, struct str text)
{
    const char *copy = arena_copy(entry->reading->arena, text.at, text.len);
    return (struct str){copy ? copy : "", copy ? text.len : 0};
}

static bool read_url(const struct entry *entry, struct str *out)
{
    const json_t *value = json_object_get(entry->object, "base_url");
    *out = entry->reading->base_url;
    if (!value) {
        return true;
    }
    struct str text = is_text(value) ? text_of(value) : (struct str){0};
    while (text.len && text.at[text.len - 1] == '/') {
        text.len--;
    }
    const struct setting_verdict verdict = setting_check(FORM_BASE_URL, text);
    if (!text.len || verdict.fault) {
        /* People put keys into options and before an @. */
        const bool odd = memchr(text.at ? text.at : "", '@', text.len) ||
                         memchr(text.at ? text.at : "", '?', text.len);
        return fault(entry, "base_url", odd ? NULL : value,
                     verdict.fault ? verdict.fault : "is no text",
                     "https://host[:port][/path]; http:// only for loopback "
                     "and private addresses");
    }
    if (verdict.warning) {
        buf_printf(entry->reading->warnings, SETTING ": account %zu: %s\n",
                   entry->number, verdict.warning);
    }
    *out = keep(entry, text);
    return true;
}

/** One that could be sent. */
static bool check_key(const struct entry *entry, const char *field,
                      struct str text)
{
    const struct setting_verdict verdict = setting_check(FORM_KEY, text);
    if (!text.len || verdict.fault) {
        return fault(entry, field, NULL,
                     verdict.fault ? verdict.fault : "is empty",
                     verdict.fault ? verdict.allowed : "the provider's key");
    }
    return true;
}

static bool read_key_file(const struct entry *entry, const json_t *value,
                          struct str *out)
{
    if (!is_text(value) || json_string_value(value)[0] != '/') {
        /* Else it may be the key itself. */
        return fault(entry, "key_file", NULL, "is no absolute path",
                     "a file that holds the key");
    }
    const char *why = "no reason is known";
    const char *text = entry->reading->read_file(json_string_value(value),
                                                 entry->reading->arena, &why);
    if (!text) {
        begin_fault(entry, "key_file");
        buf_add_text(entry->reading->faults, "file ");
        if (entry->reading->secret) {
            buf_add_text(entry->reading->faults, "(not shown)");
        } else {
            buf_add_json(entry->reading->faults, text_of(value));
        }
        buf_printf(entry->reading->faults, " can't be read (%s)\n", why);
        return false;
    }
    *out = str_of(text);
    return check_key(entry, "key_file", *out);
}

static bool read_key(const struct entry *entry, struct str *out)
{
    const json_t *key = json_object_get(entry->object, "key");
    const json_t *file = json_object_get(entry->object, "key_file");
    if (!key == !file) {
        return key ? fault(entry, "key", NULL, "is set, and key_file too",
                           "one of them")
                   : missing(entry, "key",
                             "the provider's key, or key_file, a file that "
                             "holds it");
    }
    if (file) {
        return read_key_file(entry, file, out);
    }
    if (!is_text(key)) {
        return fault(entry, "key", NULL, "is no text", "the provider's key");
    }
    *out = keep(entry, text_of(key));
    return check_key(entry, "key", *out);
}

static void add_key(struct account_settings *out, struct str url,
                    struct str key)
{
    assert(out->keys_len < ACCOUNT_KEYS_MAX);
    struct apimart *apimart = &out->keys[out->keys_len++];
    *apimart = (struct apimart){.base_url = url, .key = key};
    apimart_account(str_of(out->name), url, key, apimart->account);
}

static bool read_old_keys(const struct entry *entry, struct str url,
                          struct account_settings *out)
{
    static const char allowed[] = "an array of at most 4 keys";
    const json_t *list = json_object_get(entry->object, "old_keys");
    if (!list) {
        return true;
    }
    if (!json_is_array(list) || json_array_size(list) >= ACCOUNT_KEYS_MAX) {
        return fault(entry, "old_keys", NULL, "is none", allowed);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        if (!is_text(value)) {
            return fault(entry, "old_keys", NULL, "holds what is no text",
                         allowed);
        }
        if (!check_key(entry, "old_keys", text_of(value))) {
            return false;
        }
        add_key(out, url, keep(entry, text_of(value)));
        for (size_t k = 0; k + 1 < out->keys_len; k++) {
            if (strcmp(out->keys[k].account,
                       out->keys[out->keys_len - 1].account) == 0) {
                return fault(entry, "old_keys", NULL, "names a key twice",
                             "other keys than the one that is used, each once");
            }
        }
    }
    return true;
}

static bool check_fields(const struct entry *entry)
{
    static const char *const fields[] = {"name",     "base_url", "key",
                                         "key_file", "slots",    "slots_min",
                                         "weight",   "old_keys"};
    const char *name;
    json_t *value;
    bool fine = true;
    json_object_foreach((json_t *)(uintptr_t)entry->object, name, value)
    {
        bool known = false;
        for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
            known = known || strcmp(name, fields[i]) == 0;
        }
        if (!known) {
            begin_fault(entry, NULL);
            buf_add_text(entry->reading->faults, "unknown field ");
            if (entry->reading->secret) {
                buf_add_text(entry->reading->faults, "(not shown)");
            } else {
                buf_add_json(entry->reading->faults,
                             str_cut_points(str_of(name), SHOWN_POINTS_MAX));
            }
            buf_add_text(entry->reading->faults,
                         ", allowed: name, base_url, key, key_file, slots, "
                         "slots_min, weight, old_keys\n");
            fine = false;
        }
    }
    return fine;
}

static bool read_slots(const struct entry *entry, struct account_settings *out)
{
    const json_t *least = json_object_get(entry->object, "slots_min");
    char allowed[64];
    if (!read_number(entry, "slots", 0, SLOTS_MAX, 0, &out->slots)) {
        return false;
    }
    if (!least) {
        return true;
    }
    if (out->slots == 0) {
        return fault(entry, "slots_min", least, "has no slots to be less than",
                     "beside slots of 1 or more");
    }
    if (!read_number(entry, "slots_min", 1, SLOTS_MAX, 0, &out->slots_min)) {
        return false;
    }
    snprintf(allowed, sizeof allowed, "1..%d", out->slots);
    return out->slots_min <= out->slots ||
           fault(entry, "slots_min", least, "is more than its slots", allowed);
}

/* ---- the list ---- */

static bool read_account(struct entry *entry, struct account_settings *out)
{
    struct str url = {0};
    struct str key = {0};
    *out = (struct account_settings){0};
    bool fine = read_name(entry, out);
    fine = check_fields(entry) && fine;
    fine = read_url(entry, &url) && fine;
    fine = read_key(entry, &key) && fine;
    fine = read_slots(entry, out) && fine;
    fine =
        read_number(entry, "weight", 1, ACCOUNT_WEIGHT_MAX, 1, &out->weight) &&
        fine;
    if (!fine) {
        return false;
    }
    add_key(out, url, key);
    return read_old_keys(entry, url, out);
}

/** One key of one URL is one purse, whatever it is called. */
static bool check_twins(const struct entry *entry,
                        const struct accounts *accounts)
{
    const struct account_settings *last = &accounts->at[accounts->len - 1];
    bool fine = true;
    for (size_t i = 0; i + 1 < accounts->len; i++) {
        const struct account_settings *other = &accounts->at[i];
        const char *a = other->keys[0].account + strlen(other->name);
        const char *b = last->keys[0].account + strlen(last->name);
        if (last->name[0] && strcmp(other->name, last->name) == 0) {
            begin_fault(entry, "name");
            buf_add_text(entry->reading->faults,
                         "is another account's too, allowed: each once\n");
            fine = false;
        } else if (last->keys_len && other->keys_len && strcmp(a, b) == 0) {
            fine = fault(entry, "key", NULL,
                         "is another account's too, at the same base_url",
                         "each once");
        }
    }
    return fine;
}

static bool read_list(const struct accounts_reading *reading,
                      const json_t *list, struct accounts *accounts)
{
    const size_t len = json_array_size(list);
    bool fine = true;
    if (!json_is_array(list) || !len || len > ACCOUNTS_MAX) {
        buf_printf(reading->faults,
                   SETTING ": %s, allowed: an array of 1..%d objects\n",
                   !json_is_array(list) ? "is no JSON array"
                   : len                ? "names too many accounts"
                                        : "is an empty list",
                   ACCOUNTS_MAX);
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        struct entry entry = {.reading = reading,
                              .object = json_array_get(list, i),
                              .number = i + 1};
        if (!json_is_object(entry.object)) {
            fine = fault(&entry, NULL, NULL, "is no object",
                         "{\"name\": ..., \"key\": ...}");
            continue;
        }
        fine = read_account(&entry, &accounts->at[accounts->len++]) && fine;
        fine = check_twins(&entry, accounts) && fine;
    }
    return fine;
}

bool accounts_parse(const struct accounts_reading *reading,
                    struct accounts *accounts)
{
    char where[JSON_WHERE_BYTES] = "";
    bool no_memory = false;
    *accounts = (struct accounts){0};
    assert(reading->arena && reading->faults && reading->warnings);
    assert(reading->read_file);
    json_t *list = json_read_where(reading->json, &no_memory, where);
    if (!list) {
        buf_printf(reading->faults,
                   SETTING ": is not JSON (%s), allowed: an array of objects\n",
                   no_memory ? "no memory" : where);
        return false;
    }
    const bool fine = read_list(reading, list, accounts);
    json_decref(list);
    return fine && !reading->arena->failed;
}

void accounts_one(struct str base_url, struct str key,
                  struct accounts *accounts)
{
    *accounts = (struct accounts){.len = 1};
    struct account_settings *one = &accounts->at[0];
    snprintf(one->name, sizeof one->name, "default");
    one->weight = 1;
    add_key(one, base_url, key);
}

void accounts_learn(struct accounts *accounts, int least, int slots)
{
    assert(accounts->len == 1 && least > 0 && least <= slots);
    accounts->at[0].slots = slots;
    accounts->at[0].slots_min = least;
}

/* ---- finding one ---- */

size_t accounts_find(const struct accounts *accounts, const char *account)
{
    size_t i = 0;
    while (i < accounts->len &&
           strcmp(accounts->at[i].keys[0].account, account) != 0 &&
           !apimart_same_account(accounts->at[i].keys[0].account, account)) {
        i++;
    }
    return i;
}

size_t accounts_named(const struct accounts *accounts, struct str name)
{
    size_t i = 0;
    while (i < accounts->len && !str_eq(str_of(accounts->at[i].name), name)) {
        i++;
    }
    return i;
}

const struct apimart *account_key(const struct account_settings *settings,
                                  const char *account)
{
    assert(settings->keys_len > 0);
    for (size_t i = 1; i < settings->keys_len; i++) {
        if (strcmp(settings->keys[i].account, account) == 0) {
            return &settings->keys[i];
        }
    }
    return &settings->keys[0];
}

/* ---- whose turn it is ---- */

size_t accounts_next(const struct account_turn *turns, size_t len)
{
    size_t next = len;
    for (size_t i = 0; i < len; i++) {
        assert(turns[i].weight > 0);
        if (turns[i].open &&
            (next == len || turns[i].served < turns[next].served)) {
            next = i;
        }
    }
    return next;
}

int accounts_part(const struct account_turn *turns, size_t len, size_t next,
                  int room)
{
    int64_t all = 0;
    assert(next < len && turns[next].open && room >= 0);
    for (size_t i = 0; i < len; i++) {
        all += turns[i].open ? turns[i].weight : 0;
    }
    return (int)(((int64_t)room * turns[next].weight + all - 1) / all);
}

void accounts_served(struct account_turn *turns, size_t len, size_t at,
                     int count)
{
    assert(at < len && count >= 0);
    turns[at].served += (double)count / turns[at].weight;
    const size_t least = accounts_next(turns, len);
    for (size_t i = 0; least < len && i < len; i++) {
        if (!turns[i].open && turns[i].served < turns[least].served) {
            turns[i].served = turns[least].served;
        }
    }
}
