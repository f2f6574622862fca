#include "edge/poll/target.h"

#include <string.h>

static bool read_port(struct str text, int *port)
{
    int64_t value = 0;
    if (!str_to_i64(text, 1, 65535, &value)) {
        return false;
    }
    *port = (int)value;
    return true;
}

/** "host", "host:1", "[::1]:1"; no user, who would be a secret. */
static bool read_authority(struct str text, struct poll_target *target)
{
    struct str host = text;
    if (str_starts(text, STR("["))) {
        const char *end = memchr(text.at, ']', text.len);
        if (!end) {
            return false;
        }
        host = (struct str){text.at + 1, (size_t)(end - text.at) - 1};
        text = (struct str){end + 1, text.len - host.len - 2};
    } else {
        const char *colon = memchr(text.at, ':', text.len);
        host.len = colon ? (size_t)(colon - text.at) : text.len;
        text = (struct str){text.at + host.len, text.len - host.len};
    }
    if (text.len > 0 &&
        (text.at[0] != ':' ||
         !read_port((struct str){text.at + 1, text.len - 1}, &target->port))) {
        return false;
    }
    if (host.len == 0 || host.len >= sizeof target->host ||
        memchr(host.at, '@', host.len)) {
        return false;
    }
    memcpy(target->host, host.at, host.len);
    target->host[host.len] = '\0';
    return true;
}

bool target_read(struct str url, struct poll_target *target)
{
    *target = (struct poll_target){.port = 80};
    size_t skip = 7;
    if (str_starts(url, STR("https://"))) {
        *target = (struct poll_target){.secure = true, .port = 443};
        skip = 8;
    } else if (!str_starts(url, STR("http://"))) {
        return false;
    }
    for (size_t i = 0; i < url.len; i++) {
        const unsigned char c = (unsigned char)url.at[i];
        if (c <= 0x20 || c == 0x7f) {
            return false;
        }
    }
    url = (struct str){url.at + skip, url.len - skip};
    const char *hash = memchr(url.at, '#', url.len);
    url.len = hash ? (size_t)(hash - url.at) : url.len;
    size_t host = 0;
    while (host < url.len && url.at[host] != '/' && url.at[host] != '?') {
        host++;
    }
    target->path = (struct str){url.at + host, url.len - host};
    return read_authority((struct str){url.at, host}, target);
}

bool target_is_path(struct str path)
{
    size_t i = 0;
    while (i < path.len && path.at[i] > ' ' && path.at[i] < 0x7f &&
           path.at[i] != '#') {
        i++;
    }
    return i == path.len;
}
