#include "base/proxy.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#define PORT_PLAIN 80
#define PORT_SECURE 443

static struct str cut(struct str *rest, char mark)
{
    const char *at = rest->len ? memchr(rest->at, mark, rest->len) : NULL;
    const size_t len = at ? (size_t)(at - rest->at) : rest->len;
    const struct str part = {rest->at, len};
    const size_t gone = len + (at ? 1 : 0);
    *rest = gone ? (struct str){rest->at + gone, rest->len - gone} : *rest;
    return part;
}

static struct str without_brackets(struct str host)
{
    const bool has =
        host.len > 2 && host.at[0] == '[' && host.at[host.len - 1] == ']';
    return has ? (struct str){host.at + 1, host.len - 2} : host;
}

/* ---- its URL ---- */

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/** Percent-decoded, of visible characters: they become a header. */
static bool decode(struct str text, char out[static PROXY_USER_BYTES])
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        int c = (unsigned char)text.at[i];
        if (c == '%') {
            const int high = i + 2 < text.len ? hex_digit(text.at[i + 1]) : -1;
            const int low = high >= 0 ? hex_digit(text.at[i + 2]) : -1;
            if (low < 0) {
                return false;
            }
            c = high * 16 + low;
            i += 2;
        }
        if (c < ' ' || c == 0x7f || len + 1 >= PROXY_USER_BYTES) {
            return false;
        }
        out[len++] = (char)c;
    }
    out[len] = '\0';
    return true;
}

static bool is_host(struct str host)
{
    unsigned char address[16];
    char text[PROXY_HOST_BYTES];
    if (host.len == 0 || host.len >= sizeof text) {
        return false;
    }
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    if (memchr(host.at, ':', host.len)) {
        return inet_pton(AF_INET6, text, address) == 1;
    }
    for (size_t i = 0; i < host.len; i++) {
        const char c = (char)(text[i] | 0x20);
        const bool word =
            (c >= 'a' && c <= 'z') || (text[i] >= '0' && text[i] <= '9');
        if (!text[i] || (!word && !strchr(".-_", text[i]))) {
            return false;
        }
    }
    return true;
}

/** host, host:port, [v6], [v6]:port */
static bool read_place(struct str text, struct proxy *proxy)
{
    struct str host = text;
    struct str port = {0};
    const char *end =
        text.len && text.at[0] == '[' ? memchr(text.at, ']', text.len) : NULL;
    int64_t number = proxy->port;
    if (end) {
        host.len = (size_t)(end - text.at) + 1;
        port = (struct str){end + 1, text.len - host.len};
        if (port.len && port.at[0] != ':') {
            return false;
        }
        host = without_brackets(host);
    } else {
        port = host;
        host = cut(&port, ':');
        port = (struct str){host.at + host.len, text.len - host.len};
    }
    if (port.len && !str_to_i64((struct str){port.at + 1, port.len - 1}, 1,
                                65535, &number)) {
        return false;
    }
    const bool v6 = host.len && memchr(host.at, ':', host.len);
    if (!is_host(host) || v6 != (end != NULL)) {
        return false;
    }
    proxy->port = (int)number;
    memcpy(proxy->host, host.at, host.len);
    proxy->host[host.len] = '\0';
    snprintf(proxy->name, sizeof proxy->name, end ? "[%s]:%d" : "%s:%d",
             proxy->host, proxy->port);
    return true;
}

static const char *read_url(struct str url, struct proxy *proxy)
{
    const bool secure = str_starts(url, STR("https://"));
    if (!secure && !str_starts(url, STR("http://"))) {
        return "is neither http:// nor https://";
    }
    const size_t skip = secure ? 8 : 7;
    struct str place = {url.at + skip, url.len - skip};
    *proxy = (struct proxy){
        .secure = secure,
        .port = secure ? PORT_SECURE : PORT_PLAIN,
        .except = "",
    };
    if (place.len && place.at[place.len - 1] == '/') {
        place.len--;
    }
    struct str user = place;
    size_t at = place.len;
    while (at > 0 && place.at[at - 1] != '@') {
        at--;
    }
    if (at > 0) {
        user.len = at - 1;
        place = (struct str){place.at + at, place.len - at};
        struct str password = user;
        user = cut(&password, ':');
        if (user.len == 0 || !decode(user, proxy->user) ||
            !decode(password, proxy->password) || strchr(proxy->user, ':')) {
            return "has a user or password that can't be read";
        }
    }
    return read_place(place, proxy) ? NULL : "has no usable host and port";
}

const char *proxy_read(struct str url, struct proxy *proxy)
{
    const char *fault = read_url(url, proxy);
    if (fault) {
        explicit_bzero(proxy, sizeof *proxy);
        proxy->except = "";
    }
    return fault;
}

const struct proxy *proxy_of(struct proxy *proxy, const char *url,
                             const char *except, const char *ca_file)
{
    if (!url[0]) {
        return NULL;
    }
    const char *fault = proxy_read(str_of(url), proxy);
    assert(!fault && !proxy_list_fault(str_of(except)));
    proxy->except = except;
    proxy->ca_file = ca_file[0] ? ca_file : NULL;
    return proxy;
}

void proxy_add_credentials(const struct proxy *proxy, struct buf *out)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                  "abcdefghijklmnopqrstuvwxyz0123456789+/";
    char pair[2 * PROXY_USER_BYTES];
    assert(proxy->user[0]);
    const int len =
        snprintf(pair, sizeof pair, "%s:%s", proxy->user, proxy->password);
    buf_add_text(out, "Basic ");
    for (int i = 0; i < len; i += 3) {
        const unsigned a = (unsigned char)pair[i];
        const unsigned b = i + 1 < len ? (unsigned char)pair[i + 1] : 0;
        const unsigned c = i + 2 < len ? (unsigned char)pair[i + 2] : 0;
        const unsigned bits = a << 16 | b << 8 | c;
        buf_add_char(out, letters[bits >> 18]);
        buf_add_char(out, letters[bits >> 12 & 63]);
        buf_add_char(out, i + 1 < len ? letters[bits >> 6 & 63] : '=');
        buf_add_char(out, i + 2 < len ? letters[bits & 63] : '=');
    }
    explicit_bzero(pair, sizeof pair);
}

/* ---- who is reached without it ---- */

struct address {
    int bits; /* 32 or 128; 0: a name */
    unsigned char bytes[16];
};

static struct address address_of(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    struct address address = {0};
    host = without_brackets(host);
    if (host.len == 0 || host.len >= sizeof text) {
        return address;
    }
    memcpy(text, host.at, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, address.bytes) == 1) {
        address.bits = 32;
    } else if (inet_pton(AF_INET6, text, address.bytes) == 1) {
        address.bits = 128;
    }
    return address;
}

/** An entry's address and the length of its prefix; false: a name, or a fault.
 */
static bool read_range(struct str entry, struct address *address, int64_t *bits)
{
    struct str length = entry;
    const struct str host = cut(&length, '/');
    const bool ranged = host.len < entry.len;
    *address = address_of(host);
    *bits = address->bits;
    return address->bits &&
           (!ranged || str_to_i64(length, 0, address->bits, bits));
}

static bool is_within(const struct address *one, const struct address *range,
                      int64_t bits)
{
    assert(bits >= 0 && bits <= range->bits);
    const size_t whole = (size_t)bits / 8;
    const unsigned rest = (unsigned)bits % 8;
    if (one->bits != range->bits ||
        memcmp(one->bytes, range->bytes, whole) != 0) {
        return false;
    }
    return rest == 0 ||
           ((one->bytes[whole] ^ range->bytes[whole]) >> (8 - rest)) == 0;
}

static bool names_it(struct str entry, struct str host)
{
    if (entry.at[0] == '.') {
        entry = (struct str){entry.at + 1, entry.len - 1};
    }
    if (host.len && host.at[host.len - 1] == '.') {
        host.len--;
    }
    if (host.len < entry.len ||
        !str_eq_nocase((struct str){host.at + host.len - entry.len, entry.len},
                       entry)) {
        return false;
    }
    return host.len == entry.len || host.at[host.len - entry.len - 1] == '.';
}

const char *proxy_list_fault(struct str list)
{
    while (list.len) {
        struct address address;
        int64_t bits;
        struct str entry = str_trim(cut(&list, ','));
        if (entry.len == 0 || read_range(entry, &address, &bits)) {
            continue;
        }
        if (entry.at[0] == '.') {
            entry = (struct str){entry.at + 1, entry.len - 1};
        }
        if (!is_host(entry) || memchr(entry.at, ':', entry.len)) {
            return "has an entry that is neither a name nor an address";
        }
    }
    return NULL;
}

bool proxy_leads_to(const struct proxy *proxy, struct str host)
{
    if (!proxy) {
        return false;
    }
    assert(proxy->except && host.len > 0);
    const struct address one = address_of(host);
    struct str list = str_of(proxy->except);
    while (list.len) {
        struct address range;
        int64_t bits = 0;
        const struct str entry = str_trim(cut(&list, ','));
        if (entry.len == 0) {
            continue;
        }
        if (read_range(entry, &range, &bits)
                ? is_within(&one, &range, bits)
                : one.bits == 0 && names_it(entry, host)) {
            return false;
        }
    }
    return true;
}

struct str proxy_host_of(struct str url)
{
    const ptrdiff_t at = str_find_nocase(url, STR("://"));
    if (at < 0) {
        return (struct str){0};
    }
    struct str host = {url.at + at + 3, url.len - (size_t)at - 3};
    size_t len = 0;
    while (len < host.len && !strchr("/?#", host.at[len])) {
        len++;
    }
    host.len = len;
    while (len > 0 && host.at[len - 1] != '@') {
        len--;
    }
    host = (struct str){host.at + len, host.len - len};
    const char *end =
        host.len && host.at[0] == '[' ? memchr(host.at, ']', host.len) : NULL;
    if (end) {
        host.len = (size_t)(end - host.at) + 1;
        return host;
    }
    struct str rest = host;
    return cut(&rest, ':');
}
