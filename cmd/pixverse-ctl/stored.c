#include "stored.h"

#include <stdlib.h>
#include <string.h>

#define FILE_SCHEME "file://"

static int nibble(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

struct bucket *stored_open(struct loop *loop, const struct settings *settings,
                           struct proxy *proxy, struct err *err)
{
    return bucket_open(
        loop, str_of(settings->storage_url), 1, settings->video_max_bytes,
        proxy_of(proxy, settings->proxy_url, settings->proxy_except,
                 settings->proxy_ca_file),
        err);
}

void stored_base(const struct bucket *bucket, char *out, size_t out_bytes)
{
    bucket_uri(bucket, STR("x"), out, out_bytes);
    out[strlen(out) - 1] = '\0';
}

/** %XX decoded in its place; false: one of them is a NUL. */
static bool decode(char *text)
{
    char *to = text;
    for (const char *from = text; *from; from++) {
        bool coded =
            from[0] == '%' && nibble(from[1]) >= 0 && nibble(from[2]) >= 0;
        *to = coded ? (char)(nibble(from[1]) * 16 + nibble(from[2])) : *from;
        from += coded ? 2 : 0;
        if (!*to++) {
            return false;
        }
    }
    *to = '\0';
    return true;
}

char *stored_path(const char *uri)
{
    const size_t len = sizeof FILE_SCHEME - 1;
    char *path = strncmp(uri, FILE_SCHEME, len) == 0 ? strdup(uri + len) : NULL;
    if (path && !decode(path)) {
        free(path);
        return NULL;
    }
    return path;
}

char *stored_key(const char *base, const char *uri)
{
    size_t len = strlen(base);
    char *key = strncmp(uri, base, len) == 0 ? strdup(uri + len) : NULL;
    if (key && strncmp(uri, "file:", 5) == 0 && !decode(key)) {
        free(key);
        return NULL; /* no file's name has a NUL */
    }
    return key;
}
