#include "edge/pg/url.h"

#include "edge/database.h"
#include "edge/pg/pg.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char allowed_forms[] =
    "postgresql://user:password@host:port/database?option=value or host=... "
    "port=... dbname=... user=... password=..., without quotes around it";
static const char allowed_codes[] =
    "a character that is part of a name or password written as % and two hex "
    "digits (% is %25, @ is %40, / is %2F, : is %3A, a space is %20)";
static const char allowed_pairs[] =
    "pairs name=value; a value with spaces in it in single quotes, with \\ "
    "before a quote or \\ that belongs to it";

static bool fault(struct err *err, const char *what, const char *allowed)
{
    assert(what[0] && allowed[0]);
    return err_set(err, ERR_PERMANENT, "%s, allowed: %s", what, allowed);
}

/* ---- before libpq sees it ---- */

static bool is_uri(const char *url)
{
    return strncmp(url, "postgresql://", 13) == 0 ||
           strncmp(url, "postgres://", 11) == 0;
}

static bool is_space(char c)
{
    return isspace((unsigned char)c) != 0;
}

/** What libpq would take for a mere database name, or for a list of pairs. */
static bool check_form(const char *url, struct err *err)
{
    size_t len = strlen(url);
    if (len == 0) {
        return fault(err, "is empty", allowed_forms);
    }
    if (is_space(url[0]) || is_space(url[len - 1])) {
        return fault(err, "begins or ends with white space", allowed_forms);
    }
    if (strchr("\"'`", url[0])) {
        return fault(err, "begins with a quote, which is part of the value",
                     allowed_forms);
    }
    if (is_uri(url)) {
        return true;
    }
    size_t name = strcspn(url, "= \t\r\n");
    const char *scheme = strstr(url, "://");
    if (scheme && (size_t)(scheme - url) < name) {
        return fault(err,
                     "has another scheme than postgresql:// or postgres://",
                     allowed_forms);
    }
    if (!strchr(url, '=')) {
        return fault(err,
                     "is neither a URL nor pairs name=value (libpq would take "
                     "all of it for the name of a database)",
                     allowed_forms);
    }
    return true;
}

/** The parts of a URI, as libpq cuts it. */
struct uri {
    const char *user;
    const char *password; /* null: none */
    const char *host;
    const char *path;  /* at its slash; null: none */
    const char *query; /* at its question mark; null: none */
};

static struct uri cut_uri(const char *url)
{
    assert(is_uri(url));
    struct uri uri = {0};
    const char *rest = strstr(url, "://") + 3;
    const char *end = rest + strcspn(rest, "@/");
    uri.host = rest;
    if (*end == '@') {
        const char *colon = memchr(rest, ':', (size_t)(end - rest));
        uri.user = rest;
        uri.password = colon ? colon + 1 : NULL;
        uri.host = end + 1;
    }
    const char *stop = uri.host + strcspn(uri.host, "/?");
    uri.path = *stop == '/' ? stop : NULL;
    stop += strcspn(stop, "?");
    uri.query = *stop ? stop : NULL;
    return uri;
}

static const char *part_of(const struct uri *uri, const char *at)
{
    if (uri->query && at >= uri->query) {
        return "options";
    }
    if (uri->path && at >= uri->path) {
        return "database name";
    }
    if (at >= uri->host) {
        return "host";
    }
    return uri->password && at >= uri->password ? "password" : "user name";
}

static bool fault_in(struct err *err, const struct uri *uri, const char *at,
                     const char *what)
{
    char text[160];
    snprintf(text, sizeof text, "has %s (in its %s)", what, part_of(uri, at));
    return fault(err, text, allowed_codes);
}

static bool check_uri(const char *url, struct err *err)
{
    struct uri uri = cut_uri(url);
    for (const char *c = url; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        if (byte <= ' ' || byte == 0x7f) {
            return fault_in(err, &uri, c, "a space or a control character");
        }
        if (*c == '%' && (!isxdigit((unsigned char)c[1]) ||
                          !isxdigit((unsigned char)c[2]))) {
            return fault_in(err, &uri, c,
                            "a % that two hex digits don't follow");
        }
        if (strncmp(c, "%00", 3) == 0) {
            return fault_in(err, &uri, c, "a NUL");
        }
    }
    /* A slash in a password ends the host, as libpq reads it, and the rest of
     * the password would be the database's name. */
    const char *at = strchr(uri.path ? uri.path : "", '@');
    if (at && (!uri.query || at < uri.query)) {
        return fault(err,
                     "has an @ behind the first / (is there a / in the user "
                     "name or password?)",
                     allowed_codes);
    }
    return true;
}

/* ---- what libpq says, in our words ---- */

static const struct saying {
    const char *libpq; /* how its message begins */
    const char *ours;
    const char *allowed;
} sayings[] = {
    {"missing \"=\"", "has a word without = (or a value with a space in it)",
     allowed_pairs},
    {"unterminated quoted", "has a quote that is not closed", allowed_pairs},
    {"invalid connection option", "has an option that libpq does not know",
     "the names of libpq's connection parameters"},
    {"invalid URI query", "has an option that libpq does not know",
     "the names of libpq's connection parameters"},
    {"end of string reached", "has a [ without ] in its host",
     "[IPv6 address]:port"},
    {"IPv6 host address may not", "has an empty IPv6 address",
     "[IPv6 address]:port"},
    {"unexpected character", "has something else than : or / behind its host",
     allowed_forms},
    {"extra key/value", "has an option with two =",
     "option=value&option=value, a = in a value written as %3D"},
    {"missing key/value",
     "has an option without =", "option=value&option=value"},
    {"invalid percent", "has a % that two hex digits don't follow",
     allowed_codes},
    {"forbidden value", "has a NUL", allowed_codes},
    {"unexpected spaces", "has a space", allowed_codes},
};

static bool say(struct err *err, const char *message)
{
    for (size_t i = 0; message && i < COUNT(sayings); i++) {
        size_t len = strlen(sayings[i].libpq);
        if (strncmp(message, sayings[i].libpq, len) == 0) {
            return fault(err, sayings[i].ours, sayings[i].allowed);
        }
    }
    return fault(err, "is not what libpq can read", allowed_forms);
}

/* ---- values that libpq looks at only when it connects ---- */

static const char port_words[] = "1..65535, one for all hosts or one for each";
static const char number_words[] = "a whole number";

static const struct value_rule {
    const char *option;
    const char *words; /* separated by | */
} value_rules[] = {
    {"port", port_words},
    {"connect_timeout", number_words},
    {"keepalives", "0|1"},
    {"keepalives_idle", number_words},
    {"keepalives_interval", number_words},
    {"keepalives_count", number_words},
    {"tcp_user_timeout", number_words},
    {"sslmode", "disable|allow|prefer|require|verify-ca|verify-full"},
    {"sslnegotiation", "postgres|direct"},
    {"sslcertmode", "disable|allow|require"},
    {"sslcompression", "0|1"},
    {"sslsni", "0|1"},
    {"ssl_min_protocol_version", "TLSv1|TLSv1.1|TLSv1.2|TLSv1.3"},
    {"ssl_max_protocol_version", "TLSv1|TLSv1.1|TLSv1.2|TLSv1.3"},
    {"channel_binding", "disable|prefer|require"},
    {"gssencmode", "disable|prefer|require"},
    {"gssdelegation", "0|1"},
    {"load_balance_hosts", "disable|random"},
    {"target_session_attrs",
     "any|read-write|read-only|primary|standby|prefer-standby"},
};

static struct str cut(struct str *text, char mark)
{
    assert(text->at || !text->len);
    size_t len = 0;
    while (len < text->len && text->at[len] != mark) {
        len++;
    }
    struct str part = {text->at, len};
    size_t gone = len < text->len ? len + 1 : len;
    *text = (struct str){text->at + gone, text->len - gone};
    return part;
}

static size_t count_items(const char *list)
{
    size_t items = 1;
    for (; list && *list; list++) {
        items += *list == ',';
    }
    return items;
}

static bool is_among(struct str value, struct str words)
{
    assert(words.len > 0);
    while (words.len) {
        if (str_eq_nocase(cut(&words, '|'), value)) {
            return true;
        }
    }
    return false;
}

static bool are_ports(struct str list)
{
    while (list.len) {
        struct str item = cut(&list, ',');
        int64_t port = 0;
        if (item.len && !str_to_i64(item, 1, 65535, &port)) {
            return false;
        }
    }
    return true;
}

static bool is_value(const struct value_rule *rule, struct str value)
{
    int64_t number = 0;
    if (rule->words == port_words) {
        return are_ports(value);
    }
    if (rule->words == number_words) {
        return str_to_i64(value, INT32_MIN, INT32_MAX, &number);
    }
    return is_among(value, str_of(rule->words));
}

/** A name, an address, or a folder of sockets. */
static bool is_host(struct str host)
{
    if (host.len && (host.at[0] == '/' || host.at[0] == '@')) {
        return !memchr(host.at + 1, '@', host.len - 1);
    }
    bool six = host.len && memchr(host.at, ':', host.len);
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.at[i];
        if (!isalnum(c) && !strchr(six ? ".:%-_" : ".-_", c)) {
            return false;
        }
    }
    return true;
}

static bool are_hosts(struct str list)
{
    while (list.len) {
        if (!is_host(cut(&list, ','))) {
            return false;
        }
    }
    return true;
}

static bool are_addresses(struct str list)
{
    while (list.len) {
        struct str item = cut(&list, ',');
        char text[64];
        unsigned char ip[16];
        snprintf(text, sizeof text, "%.*s", (int)item.len, item.at);
        text[strcspn(text, "%")] = '\0'; /* an IPv6 zone */
        if (item.len &&
            (item.len >= sizeof text || (inet_pton(AF_INET, text, ip) != 1 &&
                                         inet_pton(AF_INET6, text, ip) != 1))) {
            return false;
        }
    }
    return true;
}

static const char *value_of(const PQconninfoOption *options, const char *name)
{
    assert(options && name[0]);
    for (; options->keyword; options++) {
        if (strcmp(options->keyword, name) == 0) {
            return options->val && *options->val ? options->val : NULL;
        }
    }
    return NULL;
}

static bool check_names(const PQconninfoOption *options, bool uri,
                        struct err *err)
{
    const char *host = value_of(options, "host");
    const char *hostaddr = value_of(options, "hostaddr");
    const char *port = value_of(options, "port");
    const char *dbname = value_of(options, "dbname");
    if (host && !are_hosts(str_of(host))) {
        return fault(err,
                     "has a character in its host that no host has (is there "
                     "an @ in the user name or password?)",
                     uri ? allowed_codes : "letters, digits, . - and _");
    }
    if (hostaddr && !are_addresses(str_of(hostaddr))) {
        return fault(err, "has a hostaddr that is no IP address",
                     "IPv4 or IPv6 addresses");
    }
    size_t hosts = count_items(hostaddr ? hostaddr : host);
    if ((host && hostaddr && count_items(host) != hosts) ||
        (port && count_items(port) != 1 && count_items(port) != hosts)) {
        return fault(err, "has not as many ports or addresses as hosts",
                     "one port for all hosts, or one for each");
    }
    if (!uri && dbname && strstr(dbname, "://")) {
        return fault(err, "has a URL for its dbname",
                     "the URL alone, without dbname=");
    }
    return true;
}

static bool check_values(const PQconninfoOption *options, struct err *err)
{
    for (size_t i = 0; i < COUNT(value_rules); i++) {
        const struct value_rule *rule = &value_rules[i];
        const char *value = value_of(options, rule->option);
        if (value && !is_value(rule, str_of(value))) {
            char what[80];
            snprintf(what, sizeof what, "has an unusable %s", rule->option);
            return fault(err, what, rule->words);
        }
    }
    return true;
}

bool pg_url_check(const char *url, struct err *err)
{
    assert(url);
    bool uri = is_uri(url);
    if (!check_form(url, err) || (uri && !check_uri(url, err))) {
        return false;
    }
    char *message = NULL;
    PQconninfoOption *options = PQconninfoParse(url, &message);
    bool good =
        options ? check_values(options, err) && check_names(options, uri, err)
                : say(err, message);
    if (message) {
        explicit_bzero(message, strlen(message));
        PQfreemem(message);
    }
    for (PQconninfoOption *at = options; at && at->keyword; at++) {
        if (at->val) {
            explicit_bzero(at->val, strlen(at->val));
        }
    }
    PQconninfoFree(options);
    return good;
}

/** A standby is no place for who writes. */
static bool check_writes(const char *url, struct err *err)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    const char *wanted =
        options ? value_of(options, "target_session_attrs") : NULL;
    bool good = !wanted || !is_among(str_of(wanted),
                                     STR("read-only|standby|prefer-standby"));
    PQconninfoFree(options);
    return good ||
           fault(err, "asks for a server that takes no writes",
                 "target_session_attrs=read-write, or primary, or none");
}

size_t database_hosts(const char *url)
{
    PQconninfoOption *options = PQconninfoParse(url, NULL);
    const char *list = options ? value_of(options, "hostaddr") : NULL;
    list = list || !options ? list : value_of(options, "host");
    size_t hosts = count_items(list);
    PQconninfoFree(options);
    return hosts;
}

bool database_url_judge(const char *name, const char *url, bool writes,
                        struct buf *faults)
{
    assert(name[0] && faults);
    struct err err = {0};
    bool good = pg_url_check(url, &err) && (!writes || check_writes(url, &err));
    if (!good) {
        buf_printf(faults, "%s: value (not shown) %s\n", name, err.text);
    }
    return good;
}
