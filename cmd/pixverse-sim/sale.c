#include "sale.h"

#include <stdlib.h>

enum {
    QUEUED_PERCENT = 5,      /* of the latency: `submitted` until then, */
    PROCESSING_PERCENT = 15, /* `pending` until then */
};

int64_t sale_last_poll_us(const struct sale *sale)
{
    return sale->polls == 0
               ? 0
               : sale->polled_us[(sale->polls - 1) % SALE_POLLS_KEPT];
}

bool sale_is_over(const struct sale *sale, int64_t now_ms)
{
    return now_ms - sale->start_ms >= sale->latency_ms;
}

static int64_t percent(const struct sale *sale, int64_t now_ms)
{
    if (sale_is_over(sale, now_ms)) {
        return 100;
    }
    return (now_ms - sale->start_ms) * 100 / sale->latency_ms;
}

static void view_running(struct sale_view *view, int64_t share)
{
    if (share < QUEUED_PERCENT) {
        view->status = "submitted";
    } else if (share < PROCESSING_PERCENT) {
        view->status = "pending";
    } else {
        view->status = "processing";
        view->progress = share;
    }
}

static void view_over(struct sale_view *view, const struct sale *sale,
                      int64_t url_ttl_s)
{
    view->completed_s = (sale->accepted_us / 1000 + sale->latency_ms) / 1000;
    view->actual_s = view->completed_s - view->created_s;
    view->progress = 100;
    switch (sale->fate) {
    case FATE_COMPLETE:
        view->status = "completed";
        view->with_result = true;
        view->with_videos = true;
        view->expires_s = view->completed_s + url_ttl_s;
        break;
    case FATE_FAIL:
        view->status = "failed";
        view->failed = true;
        view->code = sale->fail_code ? sale->fail_code : "task_failed";
        view->message = sale->fail_message
                            ? sale->fail_message
                            : "pixverse error 500069: system high load";
        view->cost_micros = sale->fail_cost_micros;
        break;
    case FATE_CANCEL:
        view->status = "cancelled";
        view->cost_micros = sale->fail_cost_micros;
        break;
    }
}

void sale_view(struct sale_view *view, const struct sale *sale, int64_t now_ms,
               int64_t url_ttl_s, const char *base)
{
    *view = (struct sale_view){
        .sale = sale,
        .id = sale->id,
        .cost_micros = sale->cost_micros,
        .created_s = sale->accepted_us / 1000000,
        .estimated_s = 100,
        .videos = sale->videos,
        .urls = sale->urls,
        .base = base,
    };
    if (sale_is_over(sale, now_ms)) {
        view_over(view, sale, url_ttl_s);
    } else {
        view_running(view, percent(sale, now_ms));
    }
}

void sale_write_micros(struct buf *out, int64_t micros)
{
    char digits[8];
    size_t len = 6;
    int64_t rest = micros % 1000000;
    buf_add_i64(out, micros / 1000000);
    if (rest == 0) {
        return;
    }
    for (size_t i = 6; i > 0; i--) {
        digits[i - 1] = (char)('0' + rest % 10);
        rest /= 10;
    }
    while (digits[len - 1] == '0') {
        len--;
    }
    buf_add_char(out, '.');
    buf_add(out, digits, len);
}

void sale_file_path(const struct sale *sale, uint32_t index, bool expired,
                    struct buf *out)
{
    buf_add_text(out, "/f/video/");
    buf_add_text(out, sale->id + strlen("task_"));
    buf_add_char(out, '-');
    buf_add_i64(out, index);
    buf_add_text(out, expired ? "x.mp4" : ".mp4");
}

static void write_url(const struct sale_view *view, uint32_t index,
                      struct buf *out)
{
    if (view->url) {
        buf_add_json(out, str_of(view->url));
        return;
    }
    buf_add_char(out, '"');
    buf_add_text(out, view->base);
    sale_file_path(view->sale, index, view->url_expired, out);
    buf_add_text(out, view->url_shape == URL_SPACED ? "?name=my video" : "");
    buf_add_char(out, '"');
}

static void write_urls(const struct sale_view *view, uint32_t first,
                       struct buf *out)
{
    switch (view->url_shape) {
    case URL_LIST:
    case URL_SPACED:
        buf_add_char(out, '[');
        for (uint32_t i = 0; i < view->urls; i++) {
            buf_add_text(out, i > 0 ? "," : "");
            write_url(view, first + i, out);
        }
        buf_add_char(out, ']');
        break;
    case URL_STRING:
        write_url(view, first, out);
        break;
    case URL_EMPTY_LIST:
        buf_add_text(out, "[]");
        break;
    case URL_EMPTY_STRING:
        buf_add_text(out, "\"\"");
        break;
    case URL_NULL:
        buf_add_text(out, "null");
        break;
    }
}

static void write_result(const struct sale_view *view, struct buf *out)
{
    buf_add_text(out, ",\"result\":{");
    if (view->with_videos) {
        buf_add_text(out, "\"videos\":[");
        for (uint32_t i = 0; i < view->videos; i++) {
            buf_add_text(out, i > 0 ? ",{\"url\":" : "{\"url\":");
            write_urls(view, i * view->urls, out);
            if (view->expires_s != 0) {
                buf_add_text(out, ",\"expires_at\":");
                buf_add_i64(out, view->expires_s);
            }
            buf_add_char(out, '}');
        }
        buf_add_char(out, ']');
    }
    buf_add_char(out, '}');
}

static void write_error(const struct sale_view *view, struct buf *out)
{
    buf_add_text(out, ",\"error\":{");
    switch (view->code_shape) {
    case CODE_TEXT:
        buf_add_text(out, "\"code\":");
        buf_add_json(out, str_of(view->code));
        buf_add_char(out, ',');
        break;
    case CODE_INTEGER:
        buf_add_text(out, "\"code\":500,");
        break;
    case CODE_EMPTY:
        buf_add_text(out, "\"code\":\"\",");
        break;
    case CODE_NULL:
        buf_add_text(out, "\"code\":null,");
        break;
    case CODE_ABSENT:
        break;
    }
    buf_add_text(out, "\"message\":");
    buf_add_json(out, str_of(view->message));
    buf_add_text(out, ",\"type\":\"task_failed\"}");
}

void sale_view_write(const struct sale_view *view, struct buf *out)
{
    buf_add_text(out, "{\"code\":200,\"data\":{\"id\":");
    buf_add_json(out, str_of(view->id));
    buf_add_text(out, ",\"status\":\"");
    buf_add_text(out, view->status);
    buf_add_text(out, "\",\"progress\":");
    buf_add_i64(out, view->progress);
    if (view->cost_micros != COST_ABSENT) {
        const char *quote = view->cost_as_text ? "\"" : "";
        buf_printf(out, ",\"cost\":%s", quote);
        sale_write_micros(out, view->cost_micros);
        buf_printf(out, "%s,\"credits_cost\":%s", quote, quote);
        sale_write_micros(out, view->cost_micros * 10);
        buf_add_text(out, quote);
    }
    buf_add_text(out, ",\"created\":");
    buf_add_i64(out, view->created_s);
    if (view->completed_s != 0) {
        buf_add_text(out, ",\"completed\":");
        buf_add_i64(out, view->completed_s);
    }
    if (!view->failed) {
        buf_add_text(out, ",\"estimated_time\":");
        buf_add_i64(out, view->estimated_s);
        if (view->completed_s != 0) {
            buf_add_text(out, ",\"actual_time\":");
            buf_add_i64(out, view->actual_s);
        }
    }
    if (view->with_result) {
        write_result(view, out);
    }
    if (view->failed) {
        write_error(view, out);
    }
    buf_add_text(out, "}}");
}

void sale_done(struct sale *sale)
{
    free(sale->body);
    free(sale->fail_message);
    free(sale->fail_code);
    free(sale->files);
}
