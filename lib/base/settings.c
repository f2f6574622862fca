#include "base/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define FILE_BYTES_MAX 65536
#define QUOTED_POINTS_MAX 100
#define CONF_PREFIX "KAFKA_CONF_"

struct text_row {
    size_t at; /* offset in struct settings */
    const char *name;
    const char *value; /* default */
    enum setting_form form;
    bool secret;
    const char *help;
};

struct number_row {
    size_t at;
    const char *name;
    int64_t value; /* default */
    int64_t min;
    int64_t max;
    const char *help;
};

struct choice_row {
    void (*set)(struct settings *settings, int index);
    const char *name;
    const char *value; /* default */
    const char *words; /* separated by | */
    const char *help;
};

#define X(field, name, value, form, secret, help)                              \
    {offsetof(struct settings, field), name, value, form, secret, help},
static const struct text_row texts[] = {SETTINGS_TEXTS(X)};
#undef X

#define X(field, name, value, min, max, help)                                  \
    {offsetof(struct settings, field), name, value, min, max, help},
static const struct number_row numbers[] = {SETTINGS_NUMBERS(X)};
#undef X

#define X(field, type, name, value, words, help)                               \
    static void set_##field(struct settings *settings, int index)              \
    {                                                                          \
        settings->field = (type)index;                                         \
    }
SETTINGS_CHOICES(X)
#undef X

#define X(field, type, name, value, words, help)                               \
    {set_##field, name, value, words, help},
static const struct choice_row choices[] = {SETTINGS_CHOICES(X)};
#undef X

/** One reading of the environment. */
struct reading {
    struct settings *settings;
    const char *const *env;
    struct buf *faults;
    struct buf *warnings;
    bool from_file; /* the last value: a wrong path may name any secret */
    char file[FILE_BYTES_MAX + 1]; /* of the last NAME_FILE; wiped at the end */
};

/** The value behind NAME= if `entry` is of that name, else null. */
static const char *entry_value(const char *entry, const char *name,
                               const char *ending)
{
    size_t len = strlen(name);
    size_t more = strlen(ending);
    if (strncmp(entry, name, len) == 0 &&
        strncmp(entry + len, ending, more) == 0 && entry[len + more] == '=') {
        return entry + len + more + 1;
    }
    return NULL;
}

/** What is set and not empty, or null. */
static const char *env_value(const char *const *env, const char *name,
                             const char *ending)
{
    for (; *env; env++) {
        const char *value = entry_value(*env, name, ending);
        if (value) {
            return *value ? value : NULL;
        }
    }
    return NULL;
}

static void add_fault(struct reading *reading, const char *name,
                      struct str value, bool secret, const char *fault,
                      const char *allowed)
{
    struct buf *out = reading->faults;
    buf_printf(out, "%s: value ", name);
    if (secret || reading->from_file) {
        buf_add_text(out, "(not shown)");
    } else {
        buf_add_json(out, str_cut_points(value, QUOTED_POINTS_MAX));
    }
    buf_printf(out, " %s, allowed: %s\n", fault, allowed);
}

/**
 * The text of a file without its last line break, until the next call; null
 * with a fault added.
 */
static const char *file_text(struct reading *reading, const char *name,
                             const char *path)
{
    char *bytes = reading->file;
    const char *why = NULL;
    memset(reading->file, 0, sizeof reading->file);
    FILE *file = fopen(path, "re");
    if (!file) {
        why = strerror(errno);
        goto out;
    }
    size_t len = fread(bytes, 1, FILE_BYTES_MAX, file);
    if (ferror(file)) {
        why = strerror(errno);
    } else if (fgetc(file) != EOF) {
        why = "longer than 65536 bytes";
    } else if (memchr(bytes, '\0', len)) {
        why = "holds a NUL byte";
    }
    if (len && bytes[len - 1] == '\n') {
        bytes[--len] = '\0';
        if (len && bytes[len - 1] == '\r') {
            bytes[--len] = '\0';
        }
    }
out:
    if (file) {
        fclose(file);
    }
    if (why) {
        /* Else it may be the secret itself, under the wrong name. */
        bool is_path = path[0] == '/' && !strchr(path, '@');
        buf_printf(reading->faults, "%s_FILE: file %s%s%s can't be read (%s)\n",
                   name, is_path ? "\"" : "", is_path ? path : "(not shown)",
                   is_path ? "\"" : "", why);
        return NULL;
    }
    return bytes;
}

/** The value of a name, from the environment or its file; null: the default. */
static const char *value_of(struct reading *reading, const char *name)
{
    const char *value = env_value(reading->env, name, "");
    const char *path = env_value(reading->env, name, "_FILE");
    reading->from_file = path != NULL;
    if (value && path) {
        buf_printf(reading->faults,
                   "%s: is set, and %s_FILE too, allowed: one of them\n", name,
                   name);
        return NULL;
    }
    if (!path) {
        return value;
    }
    const char *text = file_text(reading, name, path);
    return text && *text ? text : NULL;
}

static const char *keep(struct reading *reading, const char *text)
{
    const char *copy =
        arena_copy(&reading->settings->memory, text, strlen(text));
    return copy ? copy : "";
}

/** A URL without its options: people put keys there. */
static struct str before_options(struct str text)
{
    size_t len = 0;
    while (len < text.len && !strchr("?#", text.at[len])) {
        len++;
    }
    return (struct str){text.at, len};
}

static void read_text(struct reading *reading, const struct text_row *row)
{
    const char *value = value_of(reading, row->name);
    const char **field =
        (const char **)(void *)((char *)reading->settings + row->at);
    *field = row->value;
    if (!value) {
        return;
    }
    struct str text = str_of(value);
    if (row->form == FORM_BASE_URL) {
        while (text.len && text.at[text.len - 1] == '/') {
            text.len--; /* paths are put behind it, with their own slash */
        }
    }
    struct setting_verdict verdict = setting_check(row->form, text);
    if (verdict.fault) {
        bool secret = row->secret || strchr(value, '@');
        add_fault(reading, row->name, before_options(text), secret,
                  verdict.fault, verdict.allowed);
        return;
    }
    if (verdict.warning) {
        buf_printf(reading->warnings, "%s: %s\n", row->name, verdict.warning);
    }
    const char *copy =
        arena_copy(&reading->settings->memory, text.at, text.len);
    *field = copy ? copy : "";
}

static void read_number(struct reading *reading, const struct number_row *row)
{
    const char *value = value_of(reading, row->name);
    int64_t *field = (int64_t *)(void *)((char *)reading->settings + row->at);
    *field = row->value;
    if (value && !str_to_i64(str_of(value), row->min, row->max, field)) {
        char allowed[64];
        snprintf(allowed, sizeof allowed, "%lld..%lld", (long long)row->min,
                 (long long)row->max);
        int64_t any = 0;
        bool whole = str_to_i64(str_of(value), INT64_MIN, INT64_MAX, &any);
        add_fault(reading, row->name, str_of(value), false,
                  whole ? "is out of range" : "is not a whole number", allowed);
    }
}

/** Which of the words it is, or -1. */
static int word_index(const char *words, const char *value)
{
    size_t len = strlen(value);
    for (int index = 0; len; index++) {
        size_t word = strcspn(words, "|");
        if (word == len && memcmp(words, value, len) == 0) {
            return index;
        }
        if (!words[word]) {
            break;
        }
        words += word + 1;
    }
    return -1;
}

static void read_choice(struct reading *reading, const struct choice_row *row)
{
    const char *value = value_of(reading, row->name);
    int index = word_index(row->words, value ? value : row->value);
    if (index < 0) {
        add_fault(reading, row->name, str_of(value), false,
                  "is none of the words", row->words);
        index = word_index(row->words, row->value);
    }
    row->set(reading->settings, index);
}

/** SECURITY_PROTOCOL is security.protocol; two underscores are one. */
static const char *property_name(struct reading *reading, const char *name,
                                 size_t len)
{
    char *out = arena_alloc(&reading->settings->memory, len + 1);
    size_t at = 0;
    for (size_t i = 0; out && i < len; i++) {
        char c = name[i];
        if (c == '_') {
            bool twice = i + 1 < len && name[i + 1] == '_';
            out[at++] = twice ? '_' : '.';
            i += twice;
        } else if (c >= 'A' && c <= 'Z') {
            out[at++] = (char)(c | 0x20);
        } else if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            out[at++] = c;
        } else {
            return NULL;
        }
    }
    return at ? out : NULL;
}

static int by_name(const void *a, const void *b)
{
    const struct settings_property *left = a;
    const struct settings_property *right = b;
    return strcmp(left->name, right->name);
}

/** One KAFKA_CONF_ entry of the environment; false: not one, or at fault. */
static bool read_property(struct reading *reading, const char *entry,
                          struct settings_property *property)
{
    size_t len = strcspn(entry, "=");
    if (!entry[len] || !entry[len + 1]) {
        return false;
    }
    bool file = len > 5 && memcmp(entry + len - 5, "_FILE", 5) == 0;
    char *name =
        arena_copy(&reading->settings->memory, entry, file ? len - 5 : len);
    if (!name) {
        return false;
    }
    if (file && env_value(reading->env, name, "")) {
        return false; /* told when its twin is read */
    }
    const char *value = value_of(reading, name);
    if (!value) {
        return false;
    }
    size_t prefix = sizeof CONF_PREFIX - 1;
    size_t name_len = strlen(name);
    property->name = name_len > prefix ? property_name(reading, name + prefix,
                                                       name_len - prefix)
                                       : NULL;
    if (!property->name) {
        buf_printf(reading->faults,
                   "%s: names no property, allowed: " CONF_PREFIX
                   " and a property's name in capitals, _ for its dots\n",
                   name);
        return false;
    }
    property->value = keep(reading, value);
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    const struct setting_verdict verdict = settings_kafka_check(
        str_of(property->name), str_of(value), str_of(host));
    if (verdict.fault) {
        const bool secret = str_starts(str_of(property->name), STR("sasl.")) ||
                            str_starts(str_of(property->name), STR("ssl."));
        add_fault(reading, name, str_of(value), secret, verdict.fault,
                  verdict.allowed);
    }
    return !verdict.fault;
}

static void read_properties(struct reading *reading)
{
    size_t most = 0;
    for (const char *const *e = reading->env; *e; e++) {
        most += strncmp(*e, CONF_PREFIX, sizeof CONF_PREFIX - 1) == 0;
    }
    struct settings_property *properties =
        arena_alloc(&reading->settings->memory,
                    (most + SETTINGS_TOKENS_MORE + 1) * sizeof *properties);
    if (!properties) {
        return;
    }
    size_t len = 0;
    for (const char *const *e = reading->env; *e; e++) {
        if (strncmp(*e, CONF_PREFIX, sizeof CONF_PREFIX - 1) == 0 &&
            read_property(reading, *e, &properties[len])) {
            len++;
        }
    }
    const size_t own = len;
    len = settings_kafka_tokens(properties, len,
                                reading->settings->kafka_tokens_from);
    for (size_t i = own; i < len; i++) { /* all values are wiped one day */
        properties[i].value = keep(reading, properties[i].value);
    }
    settings_kafka_judge(properties, len, reading->faults, reading->warnings);
    qsort(properties, len, sizeof *properties, by_name);
    reading->settings->kafka_conf = properties;
    reading->settings->kafka_conf_len = len;
}

/** The n-th name of all three tables, or null behind the last. */
static const char *nth_name(size_t n)
{
    if (n < COUNT(texts)) {
        return texts[n].name;
    }
    n -= COUNT(texts);
    if (n < COUNT(numbers)) {
        return numbers[n].name;
    }
    n -= COUNT(numbers);
    return n < COUNT(choices) ? choices[n].name : NULL;
}

/** Names so near to one of ours that a slip is likelier than chance. */
static void warn_of_misspelt(struct reading *reading)
{
    for (const char *const *e = reading->env; *e; e++) {
        struct str name = {*e, strcspn(*e, "=")};
        if (str_ends(name, STR("_FILE"))) {
            name.len -= 5;
        }
        if (name.len < 6 || str_starts(name, STR(CONF_PREFIX))) {
            continue;
        }
        const char *nearest = NULL;
        for (size_t i = 0; nth_name(i); i++) {
            struct str ours = str_of(nth_name(i));
            if (str_eq(name, ours)) {
                nearest = NULL;
                break;
            }
            if (str_distance(name, ours) <= 2) {
                nearest = ours.at;
            }
        }
        if (nearest) {
            buf_printf(reading->warnings,
                       "%.*s: unknown name, did you mean %s?\n", (int)name.len,
                       name.at, nearest);
        }
    }
}

/** What other programs heed, and people expect of this one. */
static void warn_of_proxies(struct reading *reading)
{
    static const char *const names[] = {"HTTPS_PROXY", "https_proxy",
                                        "HTTP_PROXY",  "http_proxy",
                                        "ALL_PROXY",   "all_proxy"};
    for (size_t i = 0; !*reading->settings->proxy_url && i < COUNT(names);
         i++) {
        if (env_value(reading->env, names[i], "")) {
            buf_printf(reading->warnings,
                       "%s: is not heeded, PROXY_URL names a proxy\n",
                       names[i]);
            return;
        }
    }
}

/** An id is known for as long at least as what it names is kept. */
static void judge_days(struct reading *reading)
{
    const struct settings *s = reading->settings;
    const long long history = s->history_days;
    if (s->ids_days && !history) {
        buf_printf(reading->faults,
                   "IDS_DAYS: value %lld where HISTORY_DAYS is 0 (all history "
                   "is kept), allowed: 0, or HISTORY_DAYS set too\n",
                   (long long)s->ids_days);
    } else if (s->ids_days && s->ids_days < s->history_days) {
        buf_printf(reading->faults,
                   "IDS_DAYS: value %lld is less than HISTORY_DAYS (%lld), "
                   "allowed: 0 (for ever) or %lld..36500\n",
                   (long long)s->ids_days, history, history);
    }
}

/** One key, or several accounts with theirs. */
static void judge_keys(struct reading *reading, bool needed)
{
    struct settings *s = reading->settings;
    const bool several = env_value(reading->env, "APIMART_ACCOUNTS", "") ||
                         env_value(reading->env, "APIMART_ACCOUNTS", "_FILE");
    s->accounts_from_file =
        env_value(reading->env, "APIMART_ACCOUNTS", "_FILE") != NULL;
    if (several && *s->apimart_api_key) {
        buf_add_text(reading->faults,
                     "APIMART_ACCOUNTS: is set, and APIMART_API_KEY too, "
                     "allowed: one of them\n");
    } else if (needed && !several && !*s->apimart_api_key) {
        buf_add_text(reading->faults,
                     "APIMART_API_KEY: is not set, allowed: the provider's "
                     "key, or APIMART_ACCOUNTS with several\n");
    }
}

bool settings_read(struct settings *settings, const char *const *env,
                   enum settings_need need, struct buf *faults,
                   struct buf *warnings)
{
    size_t faults_before = faults->len;
    bool key_at_fault = false;
    *settings = (struct settings){0};
    arena_init(&settings->memory, 4096, 0);
    struct reading reading = {.settings = settings,
                              .env = env,
                              .faults = faults,
                              .warnings = warnings};
    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t before = faults->len;
        read_text(&reading, &texts[i]);
        key_at_fault = key_at_fault ||
                       (texts[i].form == FORM_KEY && faults->len != before);
    }
    judge_keys(&reading, need == SETTINGS_NEED_KEY && !key_at_fault);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        read_number(&reading, &numbers[i]);
    }
    judge_days(&reading);
    for (size_t i = 0; i < COUNT(choices); i++) {
        read_choice(&reading, &choices[i]);
    }
    read_properties(&reading);
    explicit_bzero(reading.file, sizeof reading.file);
    warn_of_misspelt(&reading);
    warn_of_proxies(&reading);
    if (settings->memory.failed) {
        buf_add_text(faults, "settings: no memory\n");
    }
    return faults->len == faults_before && !faults->failed;
}

static void wipe(const char *text)
{
    if (text) {
        explicit_bzero((void *)(uintptr_t)text, strlen(text));
    }
}

void settings_done(struct settings *settings)
{
    for (size_t i = 0; i < COUNT(texts); i++) {
        const char *value =
            *(const char **)(void *)((char *)settings + texts[i].at);
        if (texts[i].secret && value != texts[i].value) {
            wipe(value);
        }
    }
    for (size_t i = 0; i < settings->kafka_conf_len; i++) {
        wipe(settings->kafka_conf[i].value);
    }
    arena_done(&settings->memory);
    *settings = (struct settings){0};
}

static bool is_secret_entry(const char *entry)
{
    if (strncmp(entry, CONF_PREFIX, sizeof CONF_PREFIX - 1) == 0) {
        return true;
    }
    for (size_t i = 0; i < COUNT(texts); i++) {
        if (texts[i].secret && entry_value(entry, texts[i].name, "")) {
            return true;
        }
    }
    return false;
}

void settings_hide_secrets(void)
{
    for (char **entry = environ; entry && *entry;) {
        size_t name_len = strcspn(*entry, "=");
        char name[256];
        if (!is_secret_entry(*entry) || !(*entry)[name_len] ||
            name_len >= sizeof name) {
            entry++;
            continue;
        }
        memcpy(name, *entry, name_len);
        name[name_len] = '\0';
        wipe(*entry + name_len + 1);
        unsetenv(name);
        entry = environ; /* the rest has moved up */
    }
}

void settings_print_help(FILE *out)
{
    fputs("Settings (environment; NAME_FILE names a file to read NAME from):\n",
          out);
    for (size_t i = 0; i < COUNT(texts); i++) {
        const struct text_row *row = &texts[i];
        fprintf(out, "  %-22s %s\n  %22s default: %s\n", row->name, row->help,
                "",
                *row->value             ? row->value
                : row->form == FORM_KEY ? "none, required"
                                        : "empty");
    }
    for (size_t i = 0; i < COUNT(numbers); i++) {
        const struct number_row *row = &numbers[i];
        fprintf(out, "  %-22s %s\n  %22s default: %lld, allowed: %lld..%lld\n",
                row->name, row->help, "", (long long)row->value,
                (long long)row->min, (long long)row->max);
    }
    for (size_t i = 0; i < COUNT(choices); i++) {
        const struct choice_row *row = &choices[i];
        fprintf(out, "  %-22s %s\n  %22s default: %s, allowed: %s\n", row->name,
                row->help, "", row->value, row->words);
    }
    fprintf(out,
            "  %-22s any librdkafka property: %sSECURITY_PROTOCOL=SASL_SSL\n"
            "  %22s sets security.protocol (__ stands for _)\n",
            CONF_PREFIX "*", CONF_PREFIX, "");
}
