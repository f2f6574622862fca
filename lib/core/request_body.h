#ifndef CORE_REQUEST_BODY_H
#define CORE_REQUEST_BODY_H

#include "core/price.h"
#include "core/reading.h"
#include "core/request_mode.h"

/** What stands inside of `request`. For request.c only. */
struct request_body {
    enum request_mode mode; /* MODE_NONE if it could not be told */
    struct str text;        /* what every send will use; absent if faulty */
    /* MODE_EXTEND: one of both; absent in all others */
    struct str extend_from_task_id;
    struct str extend_from_request_id;
    struct price_like like; /* not faulty: what its price depends on */
};

/** Judge the body, tell its mode, and write what will be sent. */
struct request_body body_read(struct reading *reading, const json_t *json);

#endif
