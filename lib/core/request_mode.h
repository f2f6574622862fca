#ifndef CORE_REQUEST_MODE_H
#define CORE_REQUEST_MODE_H

#include "base/str.h"

#define REQUEST_ACCOUNT_MAX 32 /* bytes of an account's name */

/** What a request asks for: the provider's five ways to a video. */

/* clang-format off */
#define REQUEST_MODES(X)                                                       \
    X(MODE_NONE, "")                                                           \
    X(MODE_TEXT, "text_to_video")                                              \
    X(MODE_IMAGE, "image_to_video")                                            \
    X(MODE_TRANSITION, "transition")                                           \
    X(MODE_FUSION, "fusion")                                                   \
    X(MODE_EXTEND, "extend")
/* clang-format on */

enum request_mode {
#define X(name, text) name,
    REQUEST_MODES(X)
#undef X
};

const char *request_mode_name(enum request_mode mode);
enum request_mode request_mode_parse(struct str name); /* MODE_NONE: unknown */

#endif
