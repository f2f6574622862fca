#include "core/provider_json.h"

#include "core/json_plain.h"

#include <assert.h>

json_t *provider_json_read(struct str body, size_t *parsed)
{
    json_error_t error = {0};
    size_t read = body.len;
    /* Trusted for nothing: whoever asks may have made it fit or not. */
    const bool fit =
        body.len && !memchr(body.at, '\0', body.len) && str_is_utf8(body);
    json_t *root =
        fit ? json_read_plain(body, JSON_DEPTH_MAX, JSON_PLAIN_REALS) : NULL;
    if (root && !json_is_object(root) && !json_is_array(root)) {
        json_decref(root);
        root = NULL;
    }
    if (!root) {
        root = json_loadb(body.at ? body.at : "", body.len, PROVIDER_JSON_FLAGS,
                          &error);
        read = root ? (size_t)error.position : 0;
    }
    assert(read <= body.len);
    if (parsed) {
        *parsed = read;
    }
    return root;
}
