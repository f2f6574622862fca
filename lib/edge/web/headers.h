#ifndef EDGE_WEB_HEADERS_H
#define EDGE_WEB_HEADERS_H

#include "base/str.h"

#include <stdbool.h>

struct curl_slist;

/** Adds "name: value" to a list; false: no memory, the list stays as it is. */
bool headers_add(struct curl_slist **list, const char *line);

/**
 * The headers of an exchange with the provider, for libcurl.
 *
 * @param bearer           Absent: no Authorization.
 * @param idempotency_key  Absent: none is sent.
 * @param post             With a JSON body.
 * @return                 The caller's, for curl_slist_free_all(); null: no
 *                         memory.
 */
struct curl_slist *http_headers(struct str bearer, struct str idempotency_key,
                                bool post);

#endif
