#include "options.h"

#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const char OPTIONS_HELP[] =
    "  --listen HOST:PORT     where to listen; port 0 picks one "
    "(127.0.0.1:8080)\n"
    "  --seed N               latencies, sizes and pictures follow from it "
    "(1)\n"
    "  --latency MIN..MAX     seconds from acceptance to the end (2..6)\n"
    "  --submit-ms MIN..MAX   milliseconds before a POST is answered (0..0)\n"
    "  --faults SPEC          a JSON list of faults, or a file that holds one\n"
    "  --key KEY[;balance=N][;slots=N]  accept this API key only; "
    "repeatable\n"
    "                         (any key). With a balance, or tasks at once, of "
    "its\n"
    "                         own: an account beside the others\n"
    "  --balance N            the account's balance (unlimited)\n"
    "  --concurrency N        the plan's limit: tasks accepted above it fail "
    "(none)\n"
    "  --no-idempotency       ignore Idempotency-Key: each POST is billed\n"
    "  --retention SECONDS    how long an Idempotency-Key is known (86400)\n"
    "  --schema MODE          what model-schema says of idempotency keys: "
    "yes,\n"
    "                         no, absent (404) or lie (yes, but not honoured)\n"
    "  --video-bytes N|MIN..MAX  pad videos to this size (as small as they "
    "come)\n"
    "  --url-ttl SECONDS      how long a video's URL works (86400)\n"
    "  --public-url URL       put before video paths (http:// and the Host "
    "header)\n"
    "  --poll-interval-ms N   what polls are measured against (5000)\n";

struct flag {
    const char *name;
    const char *allowed;
    bool (*read)(struct options *options, const char *value);
};

/** Read a decimal number, scaled; false on rest, sign or overflow. */
static bool read_scaled(struct str text, double scale, int64_t *value)
{
    char copy[32];
    if (text.len == 0 || text.len >= sizeof(copy) || text.at[0] == '-' ||
        text.at[0] == '+') {
        return false;
    }
    memcpy(copy, text.at, text.len);
    copy[text.len] = '\0';
    char *end = NULL;
    errno = 0;
    double number = strtod(copy, &end);
    if (errno != 0 || *end != '\0' || !(number >= 0) || number * scale > 9e15) {
        return false;
    }
    *value = (int64_t)(number * scale + 0.5);
    return true;
}

/** `N` or `MIN..MAX`. */
static bool read_range(const char *value, double scale, int64_t *min,
                       int64_t *max)
{
    const char *dots = strstr(value, "..");
    if (!dots) {
        if (!read_scaled(str_of(value), scale, min)) {
            return false;
        }
        *max = *min;
        return true;
    }
    struct str low = {value, (size_t)(dots - value)};
    return read_scaled(low, scale, min) &&
           read_scaled(str_of(dots + 2), scale, max) && *min <= *max;
}

static bool read_listen(struct options *options, const char *value)
{
    const char *colon = strrchr(value, ':');
    int64_t port = 0;
    if (!colon || colon == value ||
        (size_t)(colon - value) >= sizeof(options->host) ||
        !str_to_i64(str_of(colon + 1), 0, 65535, &port)) {
        return false;
    }
    struct str host = {value, (size_t)(colon - value)};
    if (host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']') {
        host.at++;
        host.len -= 2;
    }
    if (str_eq(host, STR("localhost"))) {
        host = STR("127.0.0.1");
    }
    memcpy(options->host, host.at, host.len);
    options->host[host.len] = '\0';
    options->port = (int)port;
    return true;
}

static bool read_seed(struct options *options, const char *value)
{
    int64_t seed = 0;
    if (!str_to_i64(str_of(value), 0, INT64_MAX, &seed)) {
        return false;
    }
    options->seed = (uint64_t)seed;
    return true;
}

static bool read_latency(struct options *options, const char *value)
{
    return read_range(value, 1000, &options->latency_min_ms,
                      &options->latency_max_ms);
}

static bool read_submit_ms(struct options *options, const char *value)
{
    return read_range(value, 1, &options->submit_min_ms,
                      &options->submit_max_ms) &&
           options->submit_max_ms <= INT32_MAX;
}

static bool read_faults(struct options *options, const char *value)
{
    options->faults = value;
    return value[0] != '\0';
}

/** What stands before the next `;`, which goes, too. */
static struct str take_part(struct str *rest)
{
    const char *end = memchr(rest->at, ';', rest->len);
    const struct str part = {rest->at,
                             end ? (size_t)(end - rest->at) : rest->len};
    const size_t taken = part.len + (end != NULL);
    *rest = (struct str){rest->at + taken, rest->len - taken};
    return part;
}

static struct str value_of(struct str part, const char *name)
{
    const size_t len = strlen(name);
    return str_starts(part, str_of(name))
               ? (struct str){part.at + len, part.len - len}
               : (struct str){0};
}

static bool read_key(struct options *options, const char *value)
{
    struct str rest = str_of(value);
    struct option_key key = {.text = take_part(&rest), .balance_micros = -1};
    bool fine = key.text.len > 0 && options->keys_count < OPTION_KEYS_MAX;
    while (fine && rest.len) {
        const struct str part = take_part(&rest);
        const struct str balance = value_of(part, "balance=");
        const struct str slots = value_of(part, "slots=");
        fine = balance.at
                   ? read_scaled(balance, 1e6, &key.balance_micros)
                   : slots.at && str_to_i64(slots, 1, INT32_MAX, &key.slots);
    }
    if (fine) {
        options->keys[options->keys_count++] = key;
    }
    return fine;
}

static bool read_balance(struct options *options, const char *value)
{
    return read_scaled(str_of(value), 1e6, &options->balance_micros);
}

static bool read_concurrency(struct options *options, const char *value)
{
    return str_to_i64(str_of(value), 0, INT32_MAX, &options->concurrency);
}

static bool read_retention(struct options *options, const char *value)
{
    return str_to_i64(str_of(value), 0, INT32_MAX, &options->retention_s);
}

static bool read_schema(struct options *options, const char *value)
{
    static const char *const modes[] = {"yes", "no", "absent", "lie"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(value, modes[i]) == 0) {
            options->schema = (enum schema_mode)i;
            return true;
        }
    }
    return false;
}

static bool read_video_bytes(struct options *options, const char *value)
{
    int64_t min = 0;
    int64_t max = 0;
    if (!read_range(value, 1, &min, &max)) {
        return false;
    }
    options->video_bytes_min = (uint64_t)min;
    options->video_bytes_max = (uint64_t)max;
    return true;
}

static bool read_url_ttl(struct options *options, const char *value)
{
    return str_to_i64(str_of(value), 0, INT32_MAX, &options->url_ttl_s);
}

static bool read_public_url(struct options *options, const char *value)
{
    options->public_url = value;
    return str_starts(str_of(value), STR("http://")) ||
           str_starts(str_of(value), STR("https://"));
}

static bool read_poll_interval(struct options *options, const char *value)
{
    return str_to_i64(str_of(value), 1, INT32_MAX, &options->poll_interval_ms);
}

static const struct flag flags[] = {
    {"--listen", "HOST:PORT with an IP address and a port of 0..65535",
     read_listen},
    {"--seed", "an integer from 0 up", read_seed},
    {"--latency", "seconds, N or MIN..MAX, as in 2..6 or 0.1..0.5",
     read_latency},
    {"--submit-ms", "milliseconds, N or MIN..MAX", read_submit_ms},
    {"--faults", "a JSON list or the name of a file", read_faults},
    {"--key", "KEY[;balance=N][;slots=N], at most 64 of them", read_key},
    {"--balance", "a number from 0 up", read_balance},
    {"--concurrency", "an integer from 0 up, 0 for no limit", read_concurrency},
    {"--retention", "seconds from 0 up", read_retention},
    {"--schema", "yes, no, absent or lie", read_schema},
    {"--video-bytes", "bytes, N or MIN..MAX", read_video_bytes},
    {"--url-ttl", "seconds from 0 up", read_url_ttl},
    {"--public-url", "a URL that begins http:// or https://", read_public_url},
    {"--poll-interval-ms", "milliseconds from 1 up", read_poll_interval},
};

static const struct flag *find_flag(struct str name)
{
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (str_eq(name, str_of(flags[i].name))) {
            return &flags[i];
        }
    }
    return NULL;
}

/** Read `--name value` or `--name=value` at *at; moves *at past it. */
static bool read_flag(struct options *options, int count, char **args, int *at,
                      struct err *err)
{
    const char *arg = args[(*at)++];
    const char *equals = strchr(arg, '=');
    struct str name = {arg, equals ? (size_t)(equals - arg) : strlen(arg)};
    const struct flag *flag = find_flag(name);
    if (!flag) {
        return err_set(err, ERR_PERMANENT,
                       "%s is no flag of `pixverse-sim api` (--help lists "
                       "them)",
                       arg);
    }
    const char *value = equals ? equals + 1 : NULL;
    if (!value && *at < count) {
        value = args[(*at)++];
    }
    if (!value) {
        return err_set(err, ERR_PERMANENT, "%s needs a value: %s", flag->name,
                       flag->allowed);
    }
    if (!flag->read(options, value)) {
        return err_set(err, ERR_PERMANENT, "%s is %s, allowed: %s", flag->name,
                       value, flag->allowed);
    }
    return true;
}

bool options_read(struct options *options, int count, char **args,
                  struct err *err)
{
    *options = (struct options){
        .host = "127.0.0.1",
        .port = 8080,
        .seed = 1,
        .latency_min_ms = 2000,
        .latency_max_ms = 6000,
        .poll_interval_ms = 5000,
        .balance_micros = -1,
        .idempotency = true,
        .retention_s = 86400,
        .url_ttl_s = 86400,
        .schema = SCHEMA_YES,
    };
    bool schema_given = false;
    for (int at = 0; at < count;) {
        if (strcmp(args[at], "--no-idempotency") == 0) {
            options->idempotency = false;
            at++;
            continue;
        }
        schema_given |= strncmp(args[at], "--schema", 8) == 0;
        if (!read_flag(options, count, args, &at, err)) {
            return false;
        }
    }
    if (!options->idempotency && !schema_given) {
        options->schema = SCHEMA_NO;
    }
    if (options->schema == SCHEMA_LIE) {
        options->idempotency = false;
    }
    return true;
}
