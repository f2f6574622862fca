#ifndef CORE_URL_H
#define CORE_URL_H

#include "base/str.h"

#include <stdbool.h>

enum url_fault { URL_FINE, URL_BAD, URL_PRIVATE };

/**
 * Judge an image URL by its text: absolute http(s), a host, no user info, and
 * no address or name that is not public, however it is written (decimal, hex,
 * octal, short and mapped forms, localhost and its like).
 *
 * @param why  Set to a constant phrase for the message if not fine.
 */
enum url_fault url_judge(struct str url, const char **why);

#define URL_HOST_BYTES 254

/**
 * The host of an http(s) URL in ASCII ("xn--…"), for the message.
 *
 * @return  false, *out untouched: it is ASCII as it stands, or its ASCII form
 *          isn't certain (see core/host.h).
 */
bool url_ascii_host(struct str url, char out[static URL_HOST_BYTES]);

#endif
