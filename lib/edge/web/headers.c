#include "edge/web/headers.h"

#include <assert.h>
#include <curl/curl.h>

bool headers_add(struct curl_slist **list, const char *line)
{
    assert(line[0]);
    struct curl_slist *longer = curl_slist_append(*list, line);
    *list = longer ? longer : *list;
    return longer != NULL;
}
