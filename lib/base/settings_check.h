#ifndef BASE_SETTINGS_CHECK_H
#define BASE_SETTINGS_CHECK_H

#include "base/str.h"

#include <stdbool.h>

/** The forms that a text setting may have to have. */
enum setting_form {
    FORM_FILLED, /* anything but empty */
    FORM_BROKERS,
    FORM_TOPIC,
    FORM_TOPIC_OR_EMPTY,
    FORM_BASE_URL,
    FORM_KEY, /* visible ASCII; empty: not given */
    FORM_STORAGE,
    FORM_ENDPOINT, /* of S3 or STS */
    FORM_TEMPLATE,
    FORM_LISTEN,
    FORM_LISTEN_OR_EMPTY,
    FORM_PROXY_OR_EMPTY,
    FORM_HOSTS_OR_EMPTY, /* as proxy_list_fault() */
    FORM_FILE_OR_EMPTY,  /* an absolute path */
    FORM_CELLS,  /* NAME=URL, several separated by white space; or none */
    FORM_TOKENS, /* empty: none */
    FORM_HTTP_OR_EMPTY,  /* http(s)://host[:port][/path], any host */
    FORM_RATIO_OR_EMPTY, /* 0..1 */
    FORM_ANY,
};

#define SETTING_CELLS_MAX 64

/** The next NAME=URL of a list, and the rest of it behind it; false: none. A
 * word that is not of that form has no URL. */
bool setting_next_cell(struct str *rest, struct str *name, struct str *url);

/** What is wrong, and what is allowed instead; both constant phrases. */
struct setting_verdict {
    const char *fault;   /* such as "is not host:port"; null: none */
    const char *allowed; /* with fault */
    const char *warning; /* null: none */
};

struct setting_verdict setting_check(enum setting_form form, struct str value);

/**
 * Whether a host is this machine or a private one, by its text alone: a
 * literal address, localhost, a name without a dot, or one in .internal,
 * .local, .svc or below .svc.
 */
bool host_is_private(struct str host);

#endif
