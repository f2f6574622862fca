#include "base/settings_check.h"

#include "base/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct setting_verdict fine = {0};

static struct setting_verdict fault(const char *fault, const char *allowed)
{
    return (struct setting_verdict){.fault = fault, .allowed = allowed};
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

static bool all_in(struct str text, const char *others)
{
    for (size_t i = 0; i < text.len; i++) {
        if (!is_alnum(text.at[i]) &&
            !memchr(others, text.at[i], strlen(others))) {
            return false;
        }
    }
    return true;
}

/** Takes what stands before the first `mark` off *text; all of it if none. */
static struct str cut(struct str *text, char mark)
{
    size_t len = 0;
    while (len < text->len && text->at[len] != mark) {
        len++;
    }
    struct str part = {text->at, len};
    size_t gone = len < text->len ? len + 1 : len;
    *text = gone ? (struct str){text->at + gone, text->len - gone} : *text;
    return part;
}

static bool in_ranges(const unsigned char *ip)
{
    return ip[0] == 127 || ip[0] == 10 ||
           (ip[0] == 172 && (ip[1] & 0xf0) == 16) ||
           (ip[0] == 192 && ip[1] == 168) ||
           (ip[0] == 100 && (ip[1] & 0xc0) == 64);
}

bool host_is_private(struct str host)
{
    char text[256];
    if (host.len == 0 || host.len >= sizeof text) {
        return false;
    }
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    unsigned char ip[16];
    if (inet_pton(AF_INET, text, ip) == 1) {
        return in_ranges(ip);
    }
    if (inet_pton(AF_INET6, text, ip) == 1) {
        static const unsigned char loopback[16] = {[15] = 1};
        return memcmp(ip, loopback, 16) == 0 || (ip[0] & 0xfe) == 0xfc;
    }
    if (strspn(text, "0123456789.") == host.len) {
        return false; /* an oddly written address: refused, not guessed at */
    }
    static const char *const ends[] = {".localhost", ".local", ".internal",
                                       ".svc"};
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct str end = str_of(ends[i]);
        if (host.len > end.len &&
            str_eq_nocase((struct str){host.at + host.len - end.len, end.len},
                          end)) {
            return true;
        }
    }
    return !memchr(host.at, '.', host.len) ||
           str_find_nocase(host, STR(".svc.")) > 0;
}

static bool is_port(struct str text, int64_t least)
{
    int64_t port = 0;
    return str_to_i64(text, least, 65535, &port) && text.at[0] != '-';
}

/** host, host:port or [v6]:port; *port is absent if there is none. */
static bool split_host(struct str text, struct str *host, struct str *port)
{
    *port = (struct str){0};
    if (text.len && text.at[0] == '[') {
        const char *end = memchr(text.at, ']', text.len);
        if (!end) {
            return false;
        }
        *host = (struct str){text.at + 1, (size_t)(end - text.at) - 1};
        struct str rest = {end + 1, text.len - host->len - 2};
        if (rest.len && rest.at[0] != ':') {
            return false;
        }
        if (rest.len) {
            *port = (struct str){rest.at + 1, rest.len - 1};
        }
        return host->len > 0 && all_in(*host, ":.");
    }
    const char *colon = text.len ? memchr(text.at, ':', text.len) : NULL;
    struct str rest = text;
    *host = cut(&rest, ':');
    if (colon) {
        *port = rest.len ? rest : STR("");
    }
    return host->len > 0 && all_in(*host, ".-_");
}

/** What follows http:// or https://: a host, perhaps a port, perhaps a path. */
static struct setting_verdict check_http(struct str value, const char *allowed)
{
    bool plain = str_starts(value, STR("http://"));
    if (!plain && !str_starts(value, STR("https://"))) {
        return fault("is not an http(s) URL", allowed);
    }
    size_t skip = plain ? 7 : 8;
    struct str rest = {value.at + skip, value.len - skip};
    struct str authority = cut(&rest, '/');
    struct str host;
    struct str port;
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] <= ' ' || value.at[i] > '~') {
            return fault("holds a space or a control character", allowed);
        }
    }
    if (authority.len && memchr(authority.at, '@', authority.len)) {
        return fault("holds user info", allowed);
    }
    if (memchr(value.at, '?', value.len) || memchr(value.at, '#', value.len)) {
        return fault("holds a query or a fragment", allowed);
    }
    if (!split_host(authority, &host, &port) ||
        (port.at && !is_port(port, 1))) {
        return fault("has no usable host and port", allowed);
    }
    if (plain && !host_is_private(host)) {
        return fault("is plain http to a host that is not private", allowed);
    }
    return plain ? (struct setting_verdict){.warning = "plain http: keys and "
                                                       "videos travel in clear"}
                 : fine;
}

/** As check_http(), to any host: nothing that is secret goes there. */
static struct setting_verdict check_collector(struct str value)
{
    static const char allowed[] = "http[s]://host[:port][/path]";
    const struct setting_verdict verdict = check_http(value, allowed);
    const bool public_http =
        verdict.fault && strncmp(verdict.fault, "is plain http", 13) == 0;
    return verdict.fault && !public_http ? verdict : fine;
}

static struct setting_verdict check_ratio(struct str value)
{
    char text[32];
    char *end = NULL;
    if (value.len < sizeof text) {
        memcpy(text, value.at, value.len);
        text[value.len] = '\0';
        const double ratio = strtod(text, &end);
        if (end && !*end && ratio >= 0 && ratio <= 1) {
            return fine;
        }
    }
    return fault("is no ratio", "0..1, such as 0.05");
}

static struct setting_verdict check_brokers(struct str value)
{
    static const char allowed[] =
        "host or host:port, several separated by commas";
    if (value.len == 0) {
        return fault("is empty", allowed);
    }
    struct str rest = value;
    while (rest.len) {
        struct str broker = str_trim(cut(&rest, ','));
        ptrdiff_t scheme = str_find_nocase(broker, STR("://"));
        if (scheme >= 0) { /* librdkafka takes SSL://host:port too */
            broker = (struct str){broker.at + scheme + 3,
                                  broker.len - (size_t)scheme - 3};
        }
        struct str host;
        struct str port;
        if (!split_host(broker, &host, &port) ||
            (port.at && !is_port(port, 1))) {
            return fault("is not a list of brokers", allowed);
        }
    }
    return fine;
}

static struct setting_verdict check_topic(struct str value)
{
    static const char allowed[] = "1..249 of a-z A-Z 0-9 . _ -";
    if (value.len == 0 || value.len > 249 || !all_in(value, "._-") ||
        str_eq(value, STR(".")) || str_eq(value, STR(".."))) {
        return fault("is not a topic's name", allowed);
    }
    return fine;
}

static struct setting_verdict check_key(struct str value)
{
    for (size_t i = 0; i < value.len; i++) {
        if (value.at[i] <= ' ' || value.at[i] > '~') {
            return fault("holds a space, a control character or a letter "
                         "outside ASCII",
                         "visible ASCII characters");
        }
    }
    return fine;
}

/** Its path, if it has one, is sent and signed before every name: as it stands,
 * so nothing may be in it that somebody on the way would write otherwise. */
static struct setting_verdict check_endpoint(struct str value)
{
    static const char allowed[] =
        "https://host[:port][/path], the path of letters, digits, . _ "
        "- ~ and /, no part empty, . or ..; http:// only for loopback and "
        "private addresses";
    struct setting_verdict verdict = check_http(value, allowed);
    if (verdict.fault) {
        return verdict;
    }
    while (value.len && value.at[value.len - 1] == '/') {
        value.len--;
    }
    struct str path = value;
    (void)cut(&path, '/'); /* https: */
    (void)cut(&path, '/');
    (void)cut(&path, '/');
    while (path.len) {
        struct str part = cut(&path, '/');
        if (part.len == 0 || str_eq(part, STR(".")) ||
            str_eq(part, STR("..")) || !all_in(part, "._-~")) {
            return fault("has an endpoint whose path can't be kept as it is",
                         allowed);
        }
    }
    return verdict;
}

/** The canned ones of S3's reference. */
static struct setting_verdict check_acl(struct str value)
{
    static const char *const words[] = {
        "private",
        "public-read",
        "public-read-write",
        "aws-exec-read",
        "authenticated-read",
        "bucket-owner-read",
        "bucket-owner-full-control",
    };
    for (size_t i = 0; i < COUNT(words); i++) {
        if (str_eq(value, str_of(words[i]))) {
            return fine;
        }
    }
    return fault("has an unknown acl",
                 "private public-read public-read-write aws-exec-read "
                 "authenticated-read bucket-owner-read "
                 "bucket-owner-full-control");
}

static struct setting_verdict check_option(struct str option)
{
    static const char *const names[] = {
        "endpoint",      "region", "path_style", "sse", "sse_kms_key_id",
        "storage_class", "tags",   "owner",      "ca",  "checksum",
        "acl",
    };
    static const char allowed[] =
        "options endpoint region path_style sse sse_kms_key_id acl "
        "storage_class tags owner ca checksum, each name=value, once";
    struct str value = option;
    struct str name = cut(&value, '=');
    bool known = false;
    for (size_t i = 0; i < COUNT(names); i++) {
        known = known || str_eq(name, str_of(names[i]));
    }
    if (!known) {
        return fault("has an unknown option", allowed);
    }
    bool flag =
        str_eq(name, STR("path_style")) || str_eq(name, STR("checksum"));
    if (flag && !str_eq(value, STR("0")) && !str_eq(value, STR("1"))) {
        return fault("has path_style or checksum neither 0 nor 1", allowed);
    }
    if (value.len == 0) {
        return fault("has an option without a value", allowed);
    }
    if (str_eq(name, STR("acl"))) {
        return check_acl(value);
    }
    return str_eq(name, STR("endpoint")) ? check_endpoint(value) : fine;
}

/** Whether `name` of the first option stands again in the others. */
static bool is_repeated(struct str name, struct str others)
{
    while (others.len) {
        struct str option = cut(&others, '&');
        if (str_eq(cut(&option, '='), name)) {
            return true;
        }
    }
    return false;
}

static struct setting_verdict check_s3(struct str rest)
{
    static const char allowed[] = "s3://bucket/prefix?options";
    struct str options = rest;
    struct str path = cut(&options, '?');
    struct str bucket = cut(&path, '/');
    if (bucket.len < 3 || bucket.len > 63 || !all_in(bucket, ".-_")) {
        return fault("has no usable bucket", allowed);
    }
    if (str_find_nocase(path, STR("..")) >= 0 ||
        str_find_nocase(path, STR("//")) >= 0) {
        return fault("has .. or // in its prefix", allowed);
    }
    struct setting_verdict verdict = fine;
    while (options.len) {
        struct str option = cut(&options, '&');
        struct setting_verdict one = check_option(option);
        struct str name = cut(&option, '=');
        if (!one.fault && is_repeated(name, options)) {
            one = fault("has an option twice", allowed);
        }
        if (one.fault) {
            return one;
        }
        verdict.warning = one.warning ? one.warning : verdict.warning;
    }
    return verdict;
}

static struct setting_verdict check_storage(struct str value)
{
    static const char allowed[] =
        "file:///absolute/folder or s3://bucket/prefix?options";
    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.at[i] < ' ' || value.at[i] == 0x7f) {
            return fault("holds a control character", allowed);
        }
    }
    if (str_starts(value, STR("s3://"))) {
        return check_s3((struct str){value.at + 5, value.len - 5});
    }
    if (!str_starts(value, STR("file:///"))) {
        return fault("is neither file:/// nor s3://", allowed);
    }
    struct str path = {value.at + 7, value.len - 7};
    while (path.len) {
        if (str_eq(cut(&path, '/'), STR(".."))) {
            return fault("has .. in its path", allowed);
        }
    }
    return fine;
}

static struct setting_verdict check_template(struct str value)
{
    static const char allowed[] =
        "letters, digits, . _ - = + / and {tenant} {yyyy} {mm} {dd} "
        "{request_id} {index}, the last two at least once, no part empty, . or "
        "..";
    static const char *const known[] = {"tenant", "yyyy",       "mm",
                                        "dd",     "request_id", "index"};
    bool seen[COUNT(known)] = {false};
    struct str rest = value;
    while (rest.len) {
        bool open = memchr(rest.at, '{', rest.len) != NULL;
        struct str plain = cut(&rest, '{');
        if (!all_in(plain, "._-=+/")) {
            return fault("holds a character that a name in storage can't have",
                         allowed);
        }
        if (!open) {
            break;
        }
        bool closed = rest.len && memchr(rest.at, '}', rest.len);
        struct str word = cut(&rest, '}');
        size_t i = 0;
        while (i < COUNT(known) && !str_eq(word, str_of(known[i]))) {
            i++;
        }
        if (i == COUNT(known) || !closed) {
            return fault("holds an unknown placeholder", allowed);
        }
        seen[i] = true;
    }
    if (!seen[4] || !seen[5]) {
        return fault("lacks {request_id} or {index}", allowed);
    }
    if (value.at[value.len - 1] == '/') {
        return fault("ends in /", allowed);
    }
    for (rest = value; rest.len;) {
        struct str part = cut(&rest, '/');
        if (part.len == 0 || str_eq(part, STR(".")) ||
            str_eq(part, STR(".."))) {
            return fault("has a part that is empty, . or ..", allowed);
        }
    }
    return value.len > 512 ? fault("is longer than 512 bytes", allowed) : fine;
}

static struct setting_verdict check_listen(struct str value)
{
    static const char allowed[] =
        "host:port, such as 0.0.0.0:9464 or [::]:9464";
    struct str host;
    struct str port;
    if (!split_host(value, &host, &port) || !port.at || !is_port(port, 0)) {
        return fault("is not host:port", allowed);
    }
    return fine;
}

static struct setting_verdict check_proxy(struct str value)
{
    struct proxy proxy;
    const char *wrong = proxy_read(value, &proxy);
    explicit_bzero(&proxy, sizeof proxy);
    return wrong ? fault(wrong, "http[s]://[user[:password]@]host[:port], with "
                                "% signs and others that a URL reserves as %25")
                 : fine;
}

static struct setting_verdict check_hosts(struct str value)
{
    const char *wrong = proxy_list_fault(value);
    return wrong ? fault(wrong, "names, addresses and ranges such as "
                                "10.0.0.0/8, separated by commas")
                 : fine;
}

static struct setting_verdict check_file(struct str value)
{
    static const char allowed[] = "the absolute path of a file";
    for (size_t i = 0; i < value.len; i++) {
        if ((unsigned char)value.at[i] < ' ' || value.at[i] == 0x7f) {
            return fault("holds a control character", allowed);
        }
    }
    return value.at[0] == '/' ? fine : fault("does not begin with /", allowed);
}

/* ---- cells ---- */

bool setting_next_cell(struct str *rest, struct str *name, struct str *url)
{
    *rest = str_trim(*rest);
    size_t len = 0;
    while (len < rest->len && !strchr(" \t\r\n", rest->at[len])) {
        len++;
    }
    struct str word = {rest->at, len};
    *rest = (struct str){rest->at + len, rest->len - len};
    const char *mark = word.len ? memchr(word.at, '=', word.len) : NULL;
    *name = (struct str){word.at, mark ? (size_t)(mark - word.at) : word.len};
    *url = mark ? (struct str){mark + 1, word.len - name->len - 1}
                : (struct str){0};
    return word.len > 0;
}

static bool is_cell_name(struct str name)
{
    return name.len > 0 && name.len <= 32 && all_in(name, "-_.") &&
           name.at[0] != '-';
}

static bool begins(struct str text, struct str start)
{
    return text.len > start.len &&
           str_eq((struct str){text.at, start.len}, start);
}

static struct setting_verdict check_cells(struct str value)
{
    static const char allowed[] =
        "NAME=postgresql://..., several separated by spaces, at most 64; names "
        "of letters, digits, - _ . (32 at most), each once";
    struct str names[SETTING_CELLS_MAX];
    size_t len = 0;
    struct str url;
    struct str name;
    while (setting_next_cell(&value, &name, &url)) {
        if (!begins(url, STR("postgresql://")) &&
            !begins(url, STR("postgres://"))) {
            return fault("has a word that is not NAME=postgresql://...",
                         allowed);
        }
        if (!is_cell_name(name)) {
            return fault("has a name that no cell can have", allowed);
        }
        for (size_t i = 0; i < len; i++) {
            if (str_eq(names[i], name)) {
                return fault("names a cell twice", allowed);
            }
        }
        if (len == SETTING_CELLS_MAX) {
            return fault("names too many cells", allowed);
        }
        names[len++] = name;
    }
    return fine;
}

/** Where tokens come from. Not shown in any case: some put the token here. */
static struct setting_verdict check_tokens(struct str value)
{
    static const char allowed[] =
        "file:///absolute/path of a token, aws-msk-iam, aws-msk-iam:REGION, or "
        "unset";
    const struct str file = STR("file:///");
    const struct str msk = STR("aws-msk-iam");
    if (value.len == 0 || str_eq(value, msk) ||
        (str_starts(value, file) && value.len > file.len)) {
        return fine;
    }
    if (str_starts(value, msk) && value.at[msk.len] == ':') {
        const struct str region = {value.at + msk.len + 1,
                                   value.len - msk.len - 1};
        if (region.len > 0 && region.len < 64 && all_in(region, "-")) {
            return fine;
        }
    }
    return fault("is no source of tokens", allowed);
}

struct setting_verdict setting_check(enum setting_form form, struct str value)
{
    switch (form) {
    case FORM_FILLED:
        return value.len ? fine : fault("is empty", "a text that is not empty");
    case FORM_BROKERS:
        return check_brokers(value);
    case FORM_TOPIC:
        return check_topic(value);
    case FORM_TOPIC_OR_EMPTY:
        return value.len ? check_topic(value) : fine;
    case FORM_BASE_URL:
        return check_http(value, "https://host[:port][/path]; http:// only for "
                                 "loopback and private addresses");
    case FORM_KEY:
        return check_key(value);
    case FORM_STORAGE:
        return check_storage(value);
    case FORM_ENDPOINT:
        return check_endpoint(value);
    case FORM_TEMPLATE:
        return check_template(value);
    case FORM_PROXY_OR_EMPTY:
        return value.len ? check_proxy(value) : fine;
    case FORM_HOSTS_OR_EMPTY:
        return check_hosts(value);
    case FORM_FILE_OR_EMPTY:
        return value.len ? check_file(value) : fine;
    case FORM_HTTP_OR_EMPTY:
        return value.len ? check_collector(value) : fine;
    case FORM_RATIO_OR_EMPTY:
        return value.len ? check_ratio(value) : fine;
    case FORM_ANY:
        return fine;
    case FORM_LISTEN_OR_EMPTY:
        return value.len ? check_listen(value) : fine;
    case FORM_LISTEN:
        return check_listen(value);
    case FORM_CELLS:
        return check_cells(value);
    case FORM_TOKENS:
        return check_tokens(value);
    }
    return fine;
}
