#ifndef EDGE_LOOP_UV_H
#define EDGE_LOOP_UV_H

#include "edge/loop.h"

#include <uv.h>

/** For edges that give descriptors to libuv; flow never sees this. */
uv_loop_t *loop_uv(struct loop *loop);

#endif
