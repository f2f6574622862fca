#include "core/url.h"

#include "core/address.h"
#include "core/host.h"

#include <assert.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define HOST_UTF8_BYTES_MAX (4 * HOST_BYTES_MAX) /* before it is ASCII */

static enum url_fault bad(const char **why, const char *text)
{
    assert(why && text[0]);
    *why = text;
    return URL_BAD;
}

static enum url_fault private(const char **why, const char *text) {
        *why = text; return URL_PRIVATE;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct str from(struct str text, size_t at)
{
    assert(at <= text.len);
    return (struct str){text.at + at, text.len - at};
}

static size_t find_char(struct str text, char c)
{
    const char *at = text.len ? memchr(text.at, c, text.len) : NULL;
    return at ? (size_t)(at - text.at) : text.len;
}

/** Digits of one base; false if it is empty, another thing or over 32 bits. */
static bool number_in(struct str text, int base, uint32_t *value)
{
    assert(base == 8 || base == 10 || base == 16);
    uint64_t sum = 0;
    if (text.len == 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        int digit = hex_digit(text.at[i]);
        if (digit < 0 || digit >= base) {
            return false;
        }
        sum = sum * (uint64_t)base + (uint64_t)digit;
        if (sum > UINT32_MAX) {
            return false;
        }
    }
    *value = (uint32_t)sum;
    return true;
}

/**
 * One part of an IPv4 address as C libraries read it: 0x is hex, a leading
 * zero octal. Some readers take the latter for decimal: `decimal` asks so.
 */
static bool part_value(struct str part, bool decimal, uint32_t *value)
{
    assert(value);
    if (part.len >= 2 && part.at[0] == '0' && (part.at[1] | 0x20) == 'x') {
        *value = 0;
        return part.len == 2 || number_in(from(part, 2), 16, value);
    }
    bool octal = !decimal && part.len > 1 && part.at[0] == '0';
    return number_in(part, octal ? 8 : 10, value);
}

/** One to four parts, the last filling what is left. */
static bool loose_v4(struct str host, bool decimal, unsigned char ip[4])
{
    uint32_t sum = 0;
    for (int parts = 1; parts <= 4; parts++) {
        size_t dot = find_char(host, '.');
        uint32_t value = 0;
        assert(dot <= host.len);
        if (!part_value((struct str){host.at, dot}, decimal, &value)) {
            return false;
        }
        if (dot == host.len) {
            int left = 8 * (5 - parts);
            if (left < 32 && value >> left) {
                return false;
            }
            sum |= value;
            for (int i = 0; i < 4; i++) {
                ip[i] = (unsigned char)(sum >> (24 - 8 * i));
            }
            return true;
        }
        if (value > 255) {
            return false;
        }
        sum |= value << (32 - 8 * parts);
        host = from(host, dot + 1);
    }
    return false;
}

/** Four decimal parts without leading zeros: the one form all read alike. */
static bool is_plain_v4(struct str host)
{
    int parts = 1;
    for (;; parts++) {
        size_t dot = find_char(host, '.');
        uint32_t value = 0;
        if (!number_in((struct str){host.at, dot}, 10, &value) || value > 255 ||
            (dot > 1 && host.at[0] == '0')) {
            return false;
        }
        if (dot == host.len) {
            return parts == 4;
        }
        host = from(host, dot + 1);
    }
}

/** Up to four hex digits, eight groups, one "::", perhaps IPv4 at the end. */
static bool parse_v6(struct str text, unsigned char ip[16])
{
    unsigned char front[16] = {0};
    size_t len = 0;
    size_t gap = SIZE_MAX; /* where "::" stood */
    if (str_starts(text, STR("::"))) {
        gap = 0;
        text = from(text, 2);
    }
    while (text.len) {
        size_t colon = find_char(text, ':');
        struct str group = {text.at, colon};
        uint32_t value = 0;
        if (find_char(group, '.') < group.len) {
            if (colon < text.len || len > 12 || !is_plain_v4(group) ||
                !loose_v4(group, true, front + len)) {
                return false;
            }
            len += 4;
            break;
        }
        if (len > 14 || group.len > 4 || !number_in(group, 16, &value)) {
            return false;
        }
        front[len++] = (unsigned char)(value >> 8);
        front[len++] = (unsigned char)value;
        if (colon == text.len) {
            break;
        }
        text = from(text, colon + 1);
        if (text.len && text.at[0] == ':' && gap == SIZE_MAX) {
            gap = len;
            text = from(text, 1);
        } else if (text.len == 0) {
            return false; /* a single colon at the end */
        }
    }
    if (gap == SIZE_MAX ? len != 16 : len > 14) {
        return false;
    }
    gap = gap == SIZE_MAX ? len : gap;
    memset(ip, 0, 16);
    memcpy(ip, front, gap);
    memcpy(ip + 16 - (len - gap), front + gap, len - gap);
    return true;
}

static enum url_fault judge_v6(struct str host, const char **why)
{
    assert(host.at);
    size_t percent = find_char(host, '%');
    unsigned char ip[16];
    if (!parse_v6((struct str){host.at, percent}, ip)) {
        return bad(why, "has a bad IPv6 address");
    }
    if (!address_is_public(6, ip)) {
        return private(why, "names an address that is not public");
    }
    return percent < host.len ? bad(why, "names a network zone") : URL_FINE;
}

static enum url_fault judge_v4(struct str host, const char **why)
{
    unsigned char ip[4];
    bool known = false;
    for (int decimal = 0; decimal <= 1; decimal++) {
        if (loose_v4(host, decimal, ip)) {
            known = true;
            if (!address_is_public(4, ip)) {
                return private(why, "names an address that is not public");
            }
        }
    }
    if (!known) {
        return bad(why, "has a bad IPv4 address");
    }
    return is_plain_v4(host) ? URL_FINE : bad(why, "writes its address oddly");
}

/** Names that only a private network answers. */
static bool is_private_name(struct str host)
{
    assert(host.len > 0);
    static const char *const ends[] = {
        "localhost", "localdomain", "local",    "internal", "lan",
        "home",      "corp",        "intranet", "private",  "home.arpa",
    };
    for (size_t i = 0; i < COUNT(ends); i++) {
        struct str end = str_of(ends[i]);
        if (host.len > end.len && host.at[host.len - end.len - 1] == '.' &&
            str_eq_nocase(from(host, host.len - end.len), end)) {
            return true;
        }
    }
    return find_char(host, '.') == host.len; /* localhost itself, too */
}

/** Whether the last label is a number: then all readers take it for IPv4. */
static bool ends_in_number(struct str host)
{
    assert(host.len > 0);
    struct str label = host;
    for (size_t dot; (dot = find_char(label, '.')) < label.len;) {
        label = from(label, dot + 1);
    }
    uint32_t value = 0;
    bool digits = label.len > 0;
    for (size_t i = 0; i < label.len; i++) {
        digits = digits && label.at[i] >= '0' && label.at[i] <= '9';
    }
    return digits ||
           (label.len >= 2 && label.at[0] == '0' &&
            (label.at[1] | 0x20) == 'x' &&
            (label.len == 2 || number_in(from(label, 2), 16, &value)));
}

static bool is_label(struct str label)
{
    for (size_t i = 0; i < label.len; i++) {
        char c = label.at[i];
        char low = (char)(c | 0x20);
        if (!(c >= '0' && c <= '9') && !(low >= 'a' && low <= 'z') &&
            c != '-' && c != '_') {
            return false;
        }
    }
    return label.len >= 1 && label.len <= 63;
}

static enum url_fault judge_name(struct str host, const char **why)
{
    for (struct str rest = host;;) {
        size_t dot = find_char(rest, '.');
        if (!is_label((struct str){rest.at, dot})) {
            return bad(why, "has a bad host name");
        }
        if (dot == rest.len) {
            break;
        }
        rest = from(rest, dot + 1);
    }
    if (ends_in_number(host)) {
        return judge_v4(host, why);
    }
    return is_private_name(host)
               ? private(why, "names a host that is not public")
               : URL_FINE;
}

/** Undo %41 and the like; false if a sign is broken or the result too long. */
static bool decode_host(struct str host, char out[static HOST_UTF8_BYTES_MAX],
                        size_t *len)
{
    *len = 0;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        if (c == '%') {
            int high = i + 2 < host.len ? hex_digit(host.at[i + 1]) : -1;
            int low = i + 2 < host.len ? hex_digit(host.at[i + 2]) : -1;
            if (high < 0 || low < 0) {
                return false;
            }
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (*len == HOST_UTF8_BYTES_MAX) {
            assert(*len <= HOST_UTF8_BYTES_MAX);
            return false;
        }
        out[(*len)++] = c;
    }
    return true;
}

static bool is_ascii(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.at[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

/** Browsers write such a name in ASCII before they ask for it, and so does who
 * fetches the image: that name has to be public, too. */
static enum url_fault judge_international(struct str host, const char **why)
{
    assert(!is_ascii(host));
    char ascii[HOST_BYTES_MAX + 1];
    if (host_to_ascii(host, ascii)) {
        struct str name = str_of(ascii);
        name.len -= str_ends(name, STR("."));
        enum url_fault fault = judge_name(name, why);
        if (fault != URL_FINE) {
            return fault;
        }
    }
    return bad(why, "has a host name that is not in ASCII (xn--)");
}

static enum url_fault judge_host(struct str host, const char **why)
{
    if (host.len == 0) {
        return bad(why, "names no host");
    }
    if (host.at[0] == '[') {
        if (host.at[host.len - 1] != ']') {
            return bad(why, "has a bad IPv6 address");
        }
        return judge_v6((struct str){host.at + 1, host.len - 2}, why);
    }
    char name[HOST_UTF8_BYTES_MAX];
    size_t len = 0;
    if (!decode_host(host, name, &len)) {
        return bad(why, "has a bad host name");
    }
    struct str plain = {name, len};
    if (!is_ascii(plain)) {
        return judge_international(plain, why);
    }
    if (len && name[len - 1] == '.') {
        plain.len--; /* the root's dot changes nothing */
    }
    if (plain.len == 0 || plain.len > HOST_BYTES_MAX) {
        return bad(why, "has a bad host name");
    }
    enum url_fault fault = judge_name(plain, why);
    if (fault == URL_FINE && find_char(host, '%') < host.len) {
        return bad(why, "has an encoded host name");
    }
    return fault;
}

static bool is_port(struct str port)
{
    uint32_t value = 0;
    return number_in(port, 10, &value) && value >= 1 && value <= 65535;
}

/** Bytes of the host, brackets included, at the start of an authority. */
static size_t host_bytes(struct str authority)
{
    if (authority.len && authority.at[0] == '[') {
        size_t end = find_char(authority, ']');
        return end < authority.len ? end + 1 : end;
    }
    return find_char(authority, ':');
}

/** host, host:port or [v6]:port. */
static enum url_fault judge_authority(struct str authority, const char **why)
{
    if (find_char(authority, '@') < authority.len) {
        return bad(why, "has user info");
    }
    size_t host_len = host_bytes(authority);
    assert(host_len <= authority.len);
    struct str port = from(authority, host_len);
    enum url_fault fault =
        judge_host((struct str){authority.at, host_len}, why);
    if (fault == URL_FINE && port.len &&
        (port.at[0] != ':' || !is_port(from(port, 1)))) {
        return bad(why, "has a bad port");
    }
    return fault;
}

/** What stands between http(s):// and the path; absent: another URL. */
static struct str authority_of(struct str url)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < COUNT(schemes); i++) {
        struct str scheme = str_of(schemes[i]);
        if (url.len >= scheme.len &&
            str_eq_nocase((struct str){url.at, scheme.len}, scheme)) {
            struct str rest = from(url, scheme.len);
            size_t end = 0;
            while (end < rest.len && !strchr("/?#", rest.at[end])) {
                end++;
            }
            return (struct str){rest.at, end};
        }
    }
    return (struct str){0};
}

bool url_ascii_host(struct str url, char out[static URL_HOST_BYTES])
{
    static_assert(URL_HOST_BYTES == HOST_BYTES_MAX + 1, "a name and its NUL");
    const struct str authority = authority_of(url);
    char name[HOST_UTF8_BYTES_MAX];
    size_t len = 0;
    if (!authority.at || find_char(authority, '@') < authority.len ||
        !decode_host((struct str){authority.at, host_bytes(authority)}, name,
                     &len)) {
        return false;
    }
    const struct str host = {name, len};
    return !is_ascii(host) && host_to_ascii(host, out);
}

enum url_fault url_judge(struct str url, const char **why)
{
    assert(why);
    for (size_t i = 0; i < url.len; i++) {
        unsigned char c = (unsigned char)url.at[i];
        if (c <= ' ' || c == 0x7f || c == '\\') {
            return bad(why,
                       "holds a space, a backslash or a control character");
        }
    }
    const struct str authority = authority_of(url);
    if (authority.at) {
        return judge_authority(authority, why);
    }
    if (url.len >= 5 && str_eq_nocase((struct str){url.at, 5}, STR("data:"))) {
        return bad(why, "is a data URI");
    }
    return bad(why, "is not an absolute http or https URL");
}
