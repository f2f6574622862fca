#include "core/s3_url.h"

#include "base/buf.h"
#include "core/aws.h"
#include "core/digest.h"
#include "core/sigv4.h"

#include <string.h>

static struct str cut(struct str *rest, char at)
{
    const char *end = rest->len ? memchr(rest->at, at, rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->at) : rest->len;
    struct str part = {rest->at, len};
    len += end ? 1 : 0;
    *rest = (struct str){rest->at + len, rest->len - len};
    return part;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/** With a NUL behind it; null: no memory. */
static char *decode(struct str text, struct arena *arena)
{
    char *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    for (size_t i = 0; out && i < text.len; i++) {
        char c = text.at[i];
        if (c == '%' && i + 2 < text.len && hex_digit(text.at[i + 1]) >= 0 &&
            hex_digit(text.at[i + 2]) >= 0) {
            c = (char)(hex_digit(text.at[i + 1]) * 16 +
                       hex_digit(text.at[i + 2]));
            i += 2;
        }
        out[len++] = c;
    }
    return out;
}

static void read_option(struct s3_url *url, struct str name, const char *value)
{
    const struct {
        struct str name;
        const char **field;
    } texts[] = {
        {STR("endpoint"), &url->endpoint},
        {STR("region"), &url->region},
        {STR("sse"), &url->sse},
        {STR("sse_kms_key_id"), &url->sse_kms_key_id},
        {STR("acl"), &url->acl},
        {STR("storage_class"), &url->storage_class},
        {STR("tags"), &url->tags},
        {STR("owner"), &url->owner},
        {STR("ca"), &url->ca},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (str_eq(name, texts[i].name)) {
            *texts[i].field = value;
        }
    }
    if (str_eq(name, STR("path_style"))) {
        url->path_style = value[0] == '1';
        url->path_style_said = true;
    } else if (str_eq(name, STR("checksum"))) {
        url->checksum = value[0] != '0';
    }
}

static struct str without_end(struct str path)
{
    while (path.len && path.at[path.len - 1] == '/') {
        path.len--;
    }
    return path;
}

static struct str without_slashes(struct str text)
{
    while (text.len && text.at[0] == '/') {
        text = (struct str){text.at + 1, text.len - 1};
    }
    return without_end(text);
}

/** Rows and metrics carry it: a long one is cut, and told apart by its hash. */
static struct str name_of(const struct s3_url *url, struct arena *arena)
{
    const char *text = arena_printf(
        arena, "s3://%.*s%s%.*s%s%s", (int)url->bucket.len, url->bucket.at,
        url->prefix.len ? "/" : "", (int)url->prefix.len, url->prefix.at,
        url->endpoint ? "?endpoint=" : "", url->endpoint ? url->endpoint : "");
    struct str name = str_of(text);
    if (name.len > S3_NAME_BYTES_MAX) {
        unsigned char sum[DIGEST_BYTES];
        char hex[DIGEST_HEX_BYTES];
        digest_of(name, sum);
        str_hex(sum, sizeof sum, hex);
        name = str_of(arena_printf(arena, "%.*s#%.16s", S3_NAME_BYTES_MAX - 17,
                                   text, hex));
    }
    return name;
}

bool s3_url_read(struct str text, struct arena *arena, struct s3_url *url)
{
    const struct str scheme = STR("s3://");
    *url = (struct s3_url){.checksum = true};
    if (!str_starts(text, scheme)) {
        return false;
    }
    const char *copy = arena_copy(arena, text.at, text.len);
    if (!copy) {
        return false;
    }
    struct str options = {copy + scheme.len, text.len - scheme.len};
    struct str path = cut(&options, '?');
    url->bucket = cut(&path, '/');
    url->prefix = without_slashes(str_of(decode(path, arena)));
    while (options.len) {
        struct str value = cut(&options, '&');
        struct str name = cut(&value, '=');
        char *decoded = decode(value, arena);
        if (decoded) {
            read_option(url, name, decoded);
        }
    }
    if (url->endpoint) {
        return s3_url_endpoint(url, str_of(url->endpoint), arena) &&
               url->bucket.len > 0;
    }
    url->name = name_of(url, arena);
    return !arena->failed && url->bucket.len > 0;
}

bool s3_url_endpoint(struct s3_url *url, struct str endpoint,
                     struct arena *arena)
{
    endpoint = without_end(endpoint);
    url->endpoint = arena_copy(arena, endpoint.at, endpoint.len);
    url->name = name_of(url, arena);
    return !arena->failed;
}

/* ---- where it answers ---- */

static bool is_in_path(const struct s3_url *url, struct str host, bool has_path)
{
    if (url->path_style_said) {
        return url->path_style;
    }
    struct str port = host;
    struct str name = cut(&port, ':');
    if (has_path) {
        return true;
    }
    bool digits = true; /* an IPv4 address, or an IPv6 one in brackets */
    for (size_t i = 0; i < name.len; i++) {
        digits &= name.at[i] == '.' || (name.at[i] >= '0' && name.at[i] <= '9');
    }
    const bool single = memchr(name.at, '.', name.len) == NULL;
    return digits || single || host.at[0] == '[' ||
           memchr(url->bucket.at, '.', url->bucket.len) != NULL;
}

bool s3_url_place(const struct s3_url *url, const char *region,
                  struct arena *arena, struct s3_place *place)
{
    const char *base = url->endpoint;
    if (!base) {
        base =
            arena_printf(arena, "https://s3.%s.%s", region, aws_domain(region));
    }
    struct str rest = str_of(base);
    ptrdiff_t at = base ? str_find_nocase(rest, STR("://")) : -1;
    if (at < 0) {
        return false;
    }
    struct str host = {base + at + 3, rest.len - (size_t)at - 3};
    const char *slash = memchr(host.at, '/', host.len);
    host.len = slash ? (size_t)(slash - host.at) : host.len;
    if (host.len == 0) {
        return false;
    }
    int bucket_len = (int)url->bucket.len;
    const char *bucket = url->bucket.at;
    /* what stands before every path goes and is signed with it */
    struct buf root;
    buf_init(&root, 0);
    if (slash) {
        sigv4_encode(&root, without_end(str_of(slash)), true);
    }
    if (is_in_path(url, host, root.len > 0)) {
        place->host = host;
        buf_printf(&root, "/%.*s", bucket_len, bucket);
    } else {
        place->host = str_of(arena_printf(arena, "%.*s.%.*s", bucket_len,
                                          bucket, (int)host.len, host.at));
    }
    place->root = (struct str){
        arena_copy(arena, root.bytes ? root.bytes : "", root.len), root.len};
    arena->failed |= root.failed;
    buf_done(&root);
    place->base = str_of(arena_printf(arena, "%.*s://%.*s", (int)at, base,
                                      (int)place->host.len, place->host.at));
    return !arena->failed;
}
