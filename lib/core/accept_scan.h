#ifndef CORE_ACCEPT_SCAN_H
#define CORE_ACCEPT_SCAN_H

#include "base/str.h"

#include <stdbool.h>

/**
 * The documented answer to a submission that was accepted, read without
 * building a tree of it: {"code":200,"data":[{"status":"…","task_id":"…"}]}, in
 * any order, with any blanks. Whatever else stands in it, or stands in it
 * twice, sends the body the long way, which finds the same where this one says
 * yes (tests/fuzz/fuzz_submit_reply.c holds them together).
 *
 * @param id  Set to the text of `task_id`, a slice of the body, whatever it is.
 */
bool accept_scan(struct str body, struct str *id);

#endif
