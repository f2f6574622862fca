#include "fault_kinds.h"

#include "strike.h"

/** The table of faults. README.md says what each does. */

enum {
    API = ON_SUBMIT | ON_POLL | ON_SCHEMA | ON_BALANCE,
    SALE = ON_SUBMIT | ON_POLL,
};

// clang-format off
#define REPLY .stage = STAGE_REPLY
#define DONE  .stage = STAGE_REPLY, .handled = true
#define VIEW  .stage = STAGE_REPLY, .handled = true, .on = ON_POLL
#define OVER  .stage = STAGE_REPLY, .handled = true, .on = ON_POLL, .when_over = true
#define SENT  .stage = STAGE_REPLY, .handled = true, .on = ON_SUBMIT
#define FILE_ .stage = STAGE_REPLY, .handled = true, .on = ON_DOWNLOAD

static const struct fault_kind kinds[] = {
    {"accept_close", .stage = STAGE_ACCEPT, .on = ON_ANY},
    {"close_after_headers_read", .stage = STAGE_HEAD, .on = ON_ANY},
    {"close_before_billing", REPLY, .on = ON_ANY, .strike = strike_close},
    {"close_after_body", DONE, .on = ON_ANY, .strike = strike_close},
    {"rst_before_billing", REPLY, .on = ON_ANY, .strike = strike_reset},
    {"rst_after_body", DONE, .on = ON_ANY, .strike = strike_reset},
    {"reply_then_rst", DONE, .on = ON_ANY, .strike = strike_then_reset},
    {"reply_then_close", DONE, .on = ON_ANY, .strike = strike_then_close},
    {"stall", DONE, .on = ON_ANY, .strike = strike_stall},
    {"delay", DONE, .on = ON_ANY, .strike = strike_delay},
    {"slow_headers", DONE, .on = ON_ANY, .strike = strike_slow_headers},
    {"slow_body", DONE, .on = ON_ANY, .strike = strike_slow_body},
    {"header_flood", DONE, .on = ON_ANY, .strike = strike_header_flood},
    {"informational_flood", DONE, .on = ON_ANY, .strike = strike_informational},
    {"short", DONE, .on = ON_ANY, .strike = strike_short},
    {"early_close", DONE, .on = ON_ANY, .strike = strike_early_close},
    {"no_length", DONE, .on = ON_ANY, .strike = strike_no_length},
    {"longer", DONE, .on = ON_ANY, .strike = strike_longer},
    {"chunked", DONE, .on = ON_ANY, .strike = strike_chunked},
    {"bad_chunked", DONE, .on = ON_ANY, .strike = strike_bad_chunked},

    {"status", REPLY, .on = ON_ANY, .strike = strike_status, .status = 500},
    {"unauthorized", REPLY, .on = API, .strike = strike_status, .status = 401,
     .type = "authentication_error", .message = "身份验证失败，请检查您的 API 密钥"},
    {"payment_required", REPLY, .on = API, .strike = strike_status, .status = 402,
     .type = "payment_required", .message = "insufficient balance"},
    {"quota_not_enough", REPLY, .on = API, .strike = strike_status, .status = 403,
     .type = "quota_not_enough",
     .message = "insufficient quota: balance=0, required=0.25"},
    {"permission_error", REPLY, .on = API, .strike = strike_status, .status = 403,
     .type = "permission_error", .message = "no permission for this model"},
    {"rate_limit", REPLY, .on = API, .strike = strike_status, .status = 429,
     .type = "rate_limit_error", .message = "请求过于频繁，请稍后再试"},
    {"build_request_failed", REPLY, .on = ON_SUBMIT, .strike = strike_status,
     .status = 500, .type = "server_error",
     .message = "build_request_failed: invalid size: 3:5, allowed: 16:9, 9:16"},
    {"server_error", REPLY, .on = API, .strike = strike_status, .status = 500,
     .type = "server_error", .message = "internal error"},
    {"bad_gateway", REPLY, .on = ON_ANY, .strike = strike_status, .status = 502,
     .type = "bad_gateway", .message = "bad gateway"},
    {"service_unavailable", REPLY, .on = ON_ANY, .strike = strike_status,
     .status = 503, .type = "service_unavailable", .message = "try again later"},
    {"gateway_timeout", REPLY, .on = ON_ANY, .strike = strike_status, .status = 504,
     .type = "gateway_timeout", .message = "gateway timeout"},
    {"idempotency_unavailable", REPLY, .on = ON_SUBMIT, .strike = strike_status,
     .status = 503, .type = "service_unavailable",
     .code = "\"idempotency_unavailable\"", .message = "当前请求未执行"},
    {"idempotency_in_progress", REPLY, .on = ON_SUBMIT, .strike = strike_status,
     .status = 409, .type = "invalid_request_error",
     .code = "\"idempotency_in_progress\"", .message = "still running"},
    {"idempotency_key_reused", REPLY, .on = ON_SUBMIT, .strike = strike_status,
     .status = 409, .type = "invalid_request_error",
     .code = "\"idempotency_key_reused\"", .message = "another request body"},
    {"idempotency_result_indeterminate", REPLY, .on = ON_SUBMIT,
     .strike = strike_status, .status = 409, .type = "invalid_request_error",
     .code = "\"idempotency_result_indeterminate\"",
     .message = "the result of the first request is not known"},

    {"error_in_200", REPLY, .on = API, .strike = strike_error_in_200},
    {"empty", DONE, .on = ON_ANY, .strike = strike_empty},
    {"html", DONE, .on = ON_ANY, .strike = strike_html},
    {"json", DONE, .on = ON_ANY, .strike = strike_json},
    {"truncated_json", DONE, .on = API, .strike = strike_truncated},
    {"huge_json", DONE, .on = ON_ANY, .strike = strike_huge_json},
    {"deep_json", DONE, .on = ON_ANY, .strike = strike_deep_json},
    {"nul_json", DONE, .on = ON_ANY, .strike = strike_nul},
    {"not_utf8", DONE, .on = ON_ANY, .strike = strike_not_utf8},
    {"dup_keys", DONE, .on = ON_ANY, .strike = strike_dup_keys},
    {"wrong_types", DONE, .on = ON_ANY, .strike = strike_wrong_types},

    {"no_task_id", SENT, .strike = strike_no_task_id},
    {"empty_data", SENT, .strike = strike_empty_data},
    {"long_task_id", SENT, .strike = strike_long_task_id},
    {"odd_task_id", SENT, .strike = strike_odd_task_id},
    {"same_task_id", SENT, .strike = strike_same_task_id},
    {"two_ids", SENT, .strike = strike_two_ids},
    {"data_object", SENT, .strike = strike_object_id},
    {"data_object_task_id", SENT, .strike = strike_object_task_id},
    {"created_201", SENT, .strike = strike_other_success, .status = 201},
    {"accepted_202", SENT, .strike = strike_other_success, .status = 202},

    {"unknown_status", VIEW, .strike = strike_unknown_status},
    {"backwards", VIEW, .strike = strike_backwards},
    {"invalid_id", .stage = STAGE_REPLY, .on = ON_POLL, .strike = strike_invalid_id},
    {"other_id", VIEW, .strike = strike_other_id},
    {"no_cost", OVER, .strike = strike_no_cost},
    {"cost_text", OVER, .strike = strike_cost_text},
    {"status_word", OVER, .strike = strike_status_word},
    {"without_result", OVER, .strike = strike_without_result},
    {"without_videos", OVER, .strike = strike_without_videos},
    {"no_expires_at", OVER, .strike = strike_no_expires},
    {"url_expired", OVER, .strike = strike_url_expired},
    {"bad_url", OVER, .strike = strike_bad_url},
    {"url_string", OVER, .strike = strike_url_shape, .status = URL_STRING},
    {"url_empty_list", OVER, .strike = strike_url_shape, .status = URL_EMPTY_LIST},
    {"url_empty", OVER, .strike = strike_url_shape, .status = URL_EMPTY_STRING},
    {"url_null", OVER, .strike = strike_url_shape, .status = URL_NULL},
    {"url_spaced", OVER, .strike = strike_url_shape, .status = URL_SPACED},
    {"error_code_int", OVER, .strike = strike_code_shape, .status = CODE_INTEGER},
    {"error_code_empty", OVER, .strike = strike_code_shape, .status = CODE_EMPTY},
    {"error_code_null", OVER, .strike = strike_code_shape, .status = CODE_NULL},
    {"error_code_absent", OVER, .strike = strike_code_shape, .status = CODE_ABSENT},

    {"fail", .stage = STAGE_SALE, .on = SALE, .strike = strike_fail},
    {"cancel", .stage = STAGE_SALE, .on = SALE, .strike = strike_cancel},
    {"slow_job", .stage = STAGE_SALE, .on = SALE, .strike = strike_slow_job},
    {"videos", .stage = STAGE_SALE, .on = SALE, .strike = strike_videos},
    {"urls", .stage = STAGE_SALE, .on = SALE, .strike = strike_urls},
    {"other_resolution", .stage = STAGE_SALE, .on = SALE,
     .strike = strike_other_resolution},
    {"other_duration", .stage = STAGE_SALE, .on = SALE,
     .strike = strike_other_duration},
    {"other_aspect", .stage = STAGE_SALE, .on = SALE, .strike = strike_other_aspect},
    {"other_audio", .stage = STAGE_SALE, .on = SALE, .strike = strike_other_audio},

    {"different_bytes", .stage = STAGE_SALE, .on = ON_DOWNLOAD,
     .strike = strike_different},
    {"gzip", DONE, .on = ON_ANY, .strike = strike_gzip},
    {"gzip_bomb", DONE, .on = ON_ANY, .strike = strike_gzip_bomb},
    {"coding", DONE, .on = ON_ANY, .strike = strike_coding},
    {"garbage", FILE_, .strike = strike_garbage},
    {"zero_byte", FILE_, .strike = strike_empty},
    {"partial_206", FILE_, .strike = strike_partial},
    {"whole_206", FILE_, .strike = strike_whole_part},
    {"other_203", FILE_, .strike = strike_other_success, .status = 203},
    {"redirect", REPLY, .on = ON_ANY, .strike = strike_redirect},
    {"redirect_loop", REPLY, .on = ON_DOWNLOAD, .strike = strike_redirect_loop},
};
// clang-format on

const struct fault_kind *fault_kind_find(const char *name)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(name, kinds[i].name) == 0) {
            return &kinds[i];
        }
    }
    return NULL;
}

void fault_kind_names(struct buf *out)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        buf_add_text(out, i > 0 ? ", " : "");
        buf_add_text(out, kinds[i].name);
    }
}
