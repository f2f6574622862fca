#include "edge/web/headers.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

bool headers_add(struct curl_slist **list, const char *line)
{
    assert(line[0]);
    struct curl_slist *longer = curl_slist_append(*list, line);
    *list = longer ? longer : *list;
    return longer != NULL;
}

struct headers {
    struct curl_slist *list;
    bool failed;
};

static void add(struct headers *headers, const char *name, struct str value)
{
    char *line = NULL;
    if (asprintf(&line, "%s%.*s", name, (int)value.len,
                 value.at ? value.at : "") < 0) {
        headers->failed = true;
        return;
    }
    headers->failed = !headers_add(&headers->list, line) || headers->failed;
    free(line);
}

struct curl_slist *http_headers(struct str bearer, struct str idempotency_key,
                                bool post)
{
    const struct str none = {0};
    struct headers headers = {0};
    if (bearer.at) {
        add(&headers, "Authorization: Bearer ", bearer);
    }
    add(&headers, "Accept: application/json", none);
    add(&headers, "Accept-Encoding: identity", none);
    if (post) {
        add(&headers, "Content-Type: application/json", none);
        add(&headers, "Expect:", none);
    }
    if (idempotency_key.at) {
        add(&headers, "Idempotency-Key: ", idempotency_key);
    }
    if (headers.failed) {
        curl_slist_free_all(headers.list);
        return NULL;
    }
    return headers.list;
}
