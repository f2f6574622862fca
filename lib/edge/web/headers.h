#ifndef EDGE_WEB_HEADERS_H
#define EDGE_WEB_HEADERS_H

#include <stdbool.h>

struct curl_slist;

/** Adds "name: value" to a list; false: no memory, the list stays as it is. */
bool headers_add(struct curl_slist **list, const char *line);

#endif
