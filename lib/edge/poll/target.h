#ifndef EDGE_POLL_TARGET_H
#define EDGE_POLL_TARGET_H

#include "edge/poll/hub.h"

/** What a URL says. */
struct poll_target {
    bool secure;
    int port;
    char host[HOST_BYTES];
    struct str path; /* into the URL; empty: "/" */
};

/** false: a URL that we do not accept. */
bool target_read(struct str url, struct poll_target *target);

/** It can be asked for as it stands: nothing in it is to be left out. */
bool target_is_path(struct str path);

#endif
