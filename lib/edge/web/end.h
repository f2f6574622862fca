#ifndef EDGE_WEB_END_H
#define EDGE_WEB_END_H

#include "core/exchange.h"

/** How an exchange ended, told by libcurl's CURLcode. */
enum reply_end http_end_of(int code);

#endif
