#include "edge/s3/link.h"

#include <assert.h>

bool s3_link(struct bucket *base, struct str key, int expires_s,
             struct buf *url, struct err *err)
{
    struct s3 *s3 = (struct s3 *)(void *)base;
    const struct sigv4_key *keys = credentials_now(s3->credentials);
    const struct sigv4_scope scope = {s3->region, "s3", s3_wall_ms(s3)};
    const struct sigv4_header host = {"host", s3->place.host};
    char name[S3_KEY_BYTES_MAX];
    struct buf path;
    if (!keys) {
        return err_set(err, ERR_TRANSIENT, "there are no keys for the store");
    }
    buf_init(&path, 0);
    buf_add_str(&path, s3->place.root);
    buf_add_char(&path, '/');
    sigv4_encode(&path, s3_key(s3, key, name, sizeof name), true);
    const struct sigv4_request request = {
        .method = "GET",
        .path = buf_str(&path),
        .headers = &host,
        .headers_len = 1,
    };
    buf_add_str(url, s3->place.base);
    buf_add_str(url, request.path);
    buf_add_char(url, '?');
    const bool good =
        !path.failed && sigv4_presign(&request, keys, &scope, expires_s, url);
    buf_done(&path);
    return good || err_set(err, ERR_TRANSIENT, "no memory for a link");
}

const char *s3_site(const struct bucket *base)
{
    return ((const struct s3 *)(const void *)base)->site;
}
