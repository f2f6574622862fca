#include "core/tunnel.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#ifndef PROGRAM_VERSION
#define PROGRAM_VERSION "0"
#endif

void tunnel_ask(const struct proxy *proxy, struct str authority,
                struct buf *out)
{
    assert(authority.len > 0);
    buf_add_text(out, "CONNECT ");
    buf_add_str(out, authority);
    buf_add_text(out, " HTTP/1.1\r\nHost: ");
    buf_add_str(out, authority);
    buf_add_text(out,
                 "\r\nUser-Agent: pixverse-worker/" PROGRAM_VERSION "\r\n");
    if (proxy->user[0]) {
        buf_add_text(out, "Proxy-Authorization: ");
        proxy_add_credentials(proxy, out);
        buf_add_text(out, "\r\n");
    }
    buf_add_text(out, "\r\n");
}

int tunnel_status(struct str line)
{
    int64_t status = 0;
    const bool http = str_starts(line, STR("HTTP/1.")) && line.len >= 12 &&
                      line.at[8] == ' ' &&
                      (line.len == 12 || line.at[12] == ' ' ||
                       line.at[12] == '\r' || line.at[12] == '\n');
    return http && str_to_i64((struct str){line.at + 9, 3}, 100, 599, &status)
               ? (int)status
               : 0;
}

/** Bytes of a head with the empty line behind it; 0: not whole. Lines may end
 * in LF alone. */
static size_t head_bytes(struct str bytes)
{
    for (size_t i = 0; i + 1 < bytes.len; i++) {
        const struct str rest = {bytes.at + i, bytes.len - i};
        if (str_starts(rest, STR("\n\n"))) {
            return i + 2;
        }
        if (str_starts(rest, STR("\n\r\n"))) {
            return i + 3;
        }
    }
    return 0;
}

enum tunnel_read tunnel_read(struct str bytes, int *status)
{
    const bool long_one = bytes.len >= TUNNEL_HEAD_BYTES_MAX;
    const struct str start = STR("HTTP/1.");
    for (;;) {
        const size_t len = bytes.len < start.len ? bytes.len : start.len;
        if (len > 0 && memcmp(bytes.at, start.at, len) != 0) {
            return TUNNEL_BROKEN;
        }
        const size_t head = head_bytes(bytes);
        if (head == 0) {
            return long_one ? TUNNEL_BROKEN : TUNNEL_MORE;
        }
        *status = tunnel_status(bytes);
        if (*status == 0 || *status == 101) {
            return TUNNEL_BROKEN;
        }
        if (*status / 100 != 1) {
            const bool open = *status / 100 == 2;
            return !open              ? TUNNEL_REFUSED
                   : head < bytes.len ? TUNNEL_BROKEN
                                      : TUNNEL_OPEN;
        }
        bytes = (struct str){bytes.at + head, bytes.len - head};
    }
}

void tunnel_words(const struct proxy *proxy, struct str host, int status,
                  char *out, size_t out_bytes)
{
    const int len = host.len > 60 ? 60 : (int)host.len;
    if (status == 407 || status == 401) { /* tinyproxy: 401 */
        snprintf(out, out_bytes,
                 "the proxy %.60s answers %d: the user or password in "
                 "PROXY_URL is %s",
                 proxy->name, status, proxy->user[0] ? "wrong" : "missing");
    } else if (status >= 500) {
        snprintf(out, out_bytes,
                 "the proxy %.60s can't reach %.*s: it answers %d", proxy->name,
                 len, host.at ? host.at : "", status);
    } else {
        snprintf(out, out_bytes,
                 "the proxy %.60s doesn't lead to %.*s: it answers %d; its "
                 "rules decide",
                 proxy->name, len, host.at ? host.at : "", status);
    }
}
