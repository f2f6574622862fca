#ifndef SIM_STRIKE_H
#define SIM_STRIKE_H

#include "world.h"

/**
 * What the kinds of faults do to a call, one function for a way of going
 * wrong; README.md says it in words, fault_kinds.c names them.
 */

/* ---- shared by them ---- */

/** A number of the order, or the kind's own where it was not given (-1). */
int64_t given(int64_t value, int64_t otherwise);
const char *given_text(const char *value, const char *otherwise);
/** The body of the answer, from now on in memory; empty, to be written. */
struct buf *new_body(struct site *site, const char *type);

/* ---- strike_wire.c: the connection, its pace, lengths; videos ---- */

void strike_close(const struct fault *fault, struct site *site);
void strike_reset(const struct fault *fault, struct site *site);
void strike_stall(const struct fault *fault, struct site *site);
void strike_then_reset(const struct fault *fault, struct site *site);
void strike_then_close(const struct fault *fault, struct site *site);
void strike_delay(const struct fault *fault, struct site *site);
void strike_slow_body(const struct fault *fault, struct site *site);
void strike_slow_headers(const struct fault *fault, struct site *site);
void strike_header_flood(const struct fault *fault, struct site *site);
void strike_informational(const struct fault *fault, struct site *site);
void strike_short(const struct fault *fault, struct site *site);
void strike_no_length(const struct fault *fault, struct site *site);
void strike_early_close(const struct fault *fault, struct site *site);
void strike_longer(const struct fault *fault, struct site *site);
void strike_chunked(const struct fault *fault, struct site *site);
void strike_bad_chunked(const struct fault *fault, struct site *site);
void strike_different(const struct fault *fault, struct site *site);
void strike_gzip(const struct fault *fault, struct site *site);
void strike_gzip_bomb(const struct fault *fault, struct site *site);
void strike_coding(const struct fault *fault, struct site *site);
void strike_garbage(const struct fault *fault, struct site *site);
void strike_partial(const struct fault *fault, struct site *site);
void strike_whole_part(const struct fault *fault, struct site *site);
void strike_redirect(const struct fault *fault, struct site *site);
void strike_redirect_loop(const struct fault *fault, struct site *site);

/* ---- strike_answer.c: other answers; submissions told oddly ---- */

void strike_status(const struct fault *fault, struct site *site);
void strike_html(const struct fault *fault, struct site *site);
void strike_json(const struct fault *fault, struct site *site);
void strike_error_in_200(const struct fault *fault, struct site *site);
void strike_empty(const struct fault *fault, struct site *site);
void strike_truncated(const struct fault *fault, struct site *site);
void strike_huge_json(const struct fault *fault, struct site *site);
void strike_deep_json(const struct fault *fault, struct site *site);
void strike_nul(const struct fault *fault, struct site *site);
void strike_not_utf8(const struct fault *fault, struct site *site);
void strike_dup_keys(const struct fault *fault, struct site *site);
void strike_wrong_types(const struct fault *fault, struct site *site);
void strike_no_task_id(const struct fault *fault, struct site *site);
void strike_empty_data(const struct fault *fault, struct site *site);
void strike_long_task_id(const struct fault *fault, struct site *site);
void strike_odd_task_id(const struct fault *fault, struct site *site);
void strike_same_task_id(const struct fault *fault, struct site *site);
void strike_two_ids(const struct fault *fault, struct site *site);
void strike_object_id(const struct fault *fault, struct site *site);
void strike_object_task_id(const struct fault *fault, struct site *site);
void strike_other_success(const struct fault *fault, struct site *site);

/* ---- strike_sale.c: what a poll says; what becomes of a sale ---- */

void strike_unknown_status(const struct fault *fault, struct site *site);
void strike_backwards(const struct fault *fault, struct site *site);
void strike_invalid_id(const struct fault *fault, struct site *site);
void strike_other_id(const struct fault *fault, struct site *site);
void strike_no_cost(const struct fault *fault, struct site *site);
void strike_cost_text(const struct fault *fault, struct site *site);
void strike_status_word(const struct fault *fault, struct site *site);
void strike_without_result(const struct fault *fault, struct site *site);
void strike_without_videos(const struct fault *fault, struct site *site);
void strike_no_expires(const struct fault *fault, struct site *site);
void strike_url_expired(const struct fault *fault, struct site *site);
void strike_bad_url(const struct fault *fault, struct site *site);
void strike_url_shape(const struct fault *fault, struct site *site);
void strike_code_shape(const struct fault *fault, struct site *site);
void strike_fail(const struct fault *fault, struct site *site);
void strike_cancel(const struct fault *fault, struct site *site);
void strike_slow_job(const struct fault *fault, struct site *site);
void strike_videos(const struct fault *fault, struct site *site);
void strike_urls(const struct fault *fault, struct site *site);
void strike_other_resolution(const struct fault *fault, struct site *site);
void strike_other_duration(const struct fault *fault, struct site *site);
void strike_other_aspect(const struct fault *fault, struct site *site);
void strike_other_audio(const struct fault *fault, struct site *site);

#endif
