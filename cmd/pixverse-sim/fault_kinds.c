#include "fault_body.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    FLOOD_BYTES = 1024 * 1024,
    FLOOD_REPLIES = 1000,
    HUGE_BYTES = 50 * 1024 * 1024,
    BOMB_BYTES = 32 * 1024 * 1024,
    DEEP = 10000,
    SLOW_MS = 1000,
    SLOW_JOB_MS = 3 * 3600 * 1000,
};

static int64_t given(int64_t value, int64_t otherwise)
{
    return value >= 0 ? value : otherwise;
}

static const char *given_text(const char *value, const char *otherwise)
{
    return value ? value : otherwise;
}

/* --- how a connection ends --- */

static void end_silently(struct site *site, enum reply_end end)
{
    reply_no_body(site->reply);
    site->reply->status = 0;
    site->reply->end = end;
}

static void strike_close(const struct fault *fault, struct site *site)
{
    (void)fault;
    end_silently(site, END_CLOSE);
}

static void strike_reset(const struct fault *fault, struct site *site)
{
    (void)fault;
    end_silently(site, END_RESET);
}

static void strike_stall(const struct fault *fault, struct site *site)
{
    end_silently(site, END_HANG);
    site->reply->hang_ms = (uint32_t)given(fault->delay_ms, 0);
}

static void strike_then_reset(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->end = END_RESET;
}

static void strike_then_close(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->end = END_CLOSE;
}

/* --- how fast, and how long --- */

static void strike_delay(const struct fault *fault, struct site *site)
{
    site->reply->delay_ms = (uint32_t)given(fault->delay_ms, SLOW_MS);
}

static void strike_slow_body(const struct fault *fault, struct site *site)
{
    const int64_t ms = given(fault->delay_ms, SLOW_MS);
    const int64_t bytes = given(fault->bytes, 1);
    site->reply->pace_ms = ms > 0 ? (uint32_t)ms : 1;
    site->reply->pace_bytes = bytes > 0 ? (uint32_t)bytes : 1;
}

static void strike_slow_headers(const struct fault *fault, struct site *site)
{
    strike_slow_body(fault, site);
    site->reply->pace_head = true;
}

static void strike_header_flood(const struct fault *fault, struct site *site)
{
    const uint64_t bytes = (uint64_t)given(fault->bytes, FLOOD_BYTES);
    struct buf *head = &site->reply->head;
    for (uint64_t i = 0; head->len < bytes; i++) {
        buf_printf(head, "X-Flood-%llu: %0900d\r\n", (unsigned long long)i, 0);
    }
}

static void strike_informational(const struct fault *fault, struct site *site)
{
    site->reply->informational = (uint32_t)given(fault->number, FLOOD_REPLIES);
}

/** Fewer bytes than announced. */
static void strike_short(const struct fault *fault, struct site *site)
{
    const uint64_t whole = reply_body_bytes(site->reply);
    const uint64_t cut = (uint64_t)given(fault->bytes, (int64_t)(whole / 2));
    site->reply->length = LENGTH_FALSE;
    site->reply->length_told = whole;
    site->reply->body_bytes_max = cut < whole ? cut : whole;
    site->reply->end = END_CLOSE;
}

static void strike_no_length(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->length = LENGTH_NONE;
    site->reply->end = END_CLOSE;
}

static void strike_early_close(const struct fault *fault, struct site *site)
{
    strike_short(fault, site);
    site->reply->length = LENGTH_NONE;
}

/** More bytes than announced. */
static void strike_longer(const struct fault *fault, struct site *site)
{
    const uint64_t whole = reply_body_bytes(site->reply);
    const uint64_t told = (uint64_t)given(fault->bytes, (int64_t)(whole / 2));
    site->reply->length = LENGTH_FALSE;
    site->reply->length_told = told < whole ? told : whole / 2;
    site->reply->end = END_CLOSE;
}

static void strike_chunked(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->length = LENGTH_CHUNKED;
}

static void strike_bad_chunked(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->reply->length = LENGTH_CHUNKED_BAD;
    site->reply->end = END_CLOSE;
}

/* --- other answers --- */

/** The body of the answer, from now on in memory; empty, to be written. */
static struct buf *new_body(struct site *site, const char *type)
{
    reply_no_body(site->reply);
    site->reply->type = type;
    if (site->reply->status == 0) {
        site->reply->status = 200;
    }
    return &site->reply->body;
}

static void strike_status(const struct fault *fault, struct site *site)
{
    const struct fault_kind *kind = fault->kind;
    const int status = (int)(fault->status ? fault->status : kind->status);
    char code[16];
    snprintf(code, sizeof(code), "%d", status);
    world_error(site, status, kind->type ? kind->type : "api_error",
                kind->code ? kind->code : code,
                given_text(fault->text, kind->message ? kind->message
                                                      : reply_reason(status)),
                NULL);
    if (fault->body) {
        buf_reset(&site->reply->body);
        buf_add_text(&site->reply->body, fault->body);
        site->reply->type =
            fault->body[0] == '<' ? "text/html" : "application/json";
    }
    if (fault->headers) {
        buf_add_text(&site->reply->head, fault->headers);
    } else if (kind->status == 409 || kind->status == 503) {
        reply_header(site->reply, "Retry-After", "1");
    }
}

static void strike_html(const struct fault *fault, struct site *site)
{
    buf_add_text(new_body(site, "text/html; charset=utf-8"),
                 given_text(fault->body,
                            "<!DOCTYPE html><html><head><title>One moment"
                            "</title></head><body><h1>Checking your browser"
                            "</h1></body></html>"));
    site->reply->status = (int)(fault->status ? fault->status : 200);
}

static void strike_json(const struct fault *fault, struct site *site)
{
    buf_add_text(new_body(site, "application/json"),
                 given_text(fault->body, "{\"success\":false,\"message\":"
                                         "\"file is being prepared\"}"));
    site->reply->status = (int)(fault->status ? fault->status : 200);
}

static void strike_error_in_200(const struct fault *fault, struct site *site)
{
    world_error(site, 200, "invalid_request_error",
                given_text(fault->code, "400"),
                given_text(fault->text, "invalid prompt"), NULL);
}

static void strike_empty(const struct fault *fault, struct site *site)
{
    (void)fault;
    (void)new_body(site, site->reply->type);
}

static void strike_truncated(const struct fault *fault, struct site *site)
{
    const uint64_t whole = reply_body_bytes(site->reply);
    site->reply->body_bytes_max =
        (uint64_t)given(fault->bytes, (int64_t)(whole / 2));
}

static void strike_huge_json(const struct fault *fault, struct site *site)
{
    fault_body_huge_json(new_body(site, "application/json"),
                         (uint64_t)given(fault->bytes, HUGE_BYTES));
}

static void strike_deep_json(const struct fault *fault, struct site *site)
{
    fault_body_deep_json(new_body(site, "application/json"),
                         (uint64_t)given(fault->number, DEEP));
}

static void strike_nul(const struct fault *fault, struct site *site)
{
    static const char body[] = "{\"code\":200,\"data\":[{\"task_id\":\"task_\0"
                               "nul\\u0000\",\"status\":\"submitted\"}]}";
    (void)fault;
    buf_add(new_body(site, "application/json"), body, sizeof(body) - 1);
}

static void strike_not_utf8(const struct fault *fault, struct site *site)
{
    (void)fault;
    buf_add_text(new_body(site, "application/json"),
                 "{\"code\":200,\"data\":[{\"task_id\":\"task_\xff\xfe\","
                 "\"status\":\"\xc3\x28\"}]}");
}

static void strike_dup_keys(const struct fault *fault, struct site *site)
{
    const char *id = site->task ? site->task->id : "task_unknown";
    (void)fault;
    buf_printf(new_body(site, "application/json"),
               "{\"code\":200,\"code\":500,\"data\":[{\"task_id\":\"%s\","
               "\"task_id\":\"task_other\",\"status\":\"submitted\","
               "\"status\":\"failed\"}]}",
               id);
}

static void strike_wrong_types(const struct fault *fault, struct site *site)
{
    (void)fault;
    buf_add_text(new_body(site, "application/json"),
                 site->on == ON_POLL
                     ? "{\"code\":\"200\",\"data\":{\"id\":7,\"status\":{},"
                       "\"progress\":\"half\",\"cost\":\"free\",\"created\":"
                       "\"now\",\"result\":[],\"error\":\"none\"}}"
                     : "{\"code\":\"200\",\"data\":[{\"task_id\":12345,"
                       "\"status\":1}]}");
}

/* --- how an accepted submission is told --- */

static struct buf *told(struct site *site)
{
    return site->task && site->reply->status == 200
               ? new_body(site, "application/json")
               : NULL;
}

static void tell_id(struct site *site, const char *id)
{
    struct buf *out = told(site);
    if (out) {
        buf_add_text(out, "{\"code\":200,\"data\":[{\"status\":\"submitted\","
                          "\"task_id\":");
        buf_add_json(out, str_of(id));
        buf_add_text(out, "}]}");
    }
}

static void strike_no_task_id(const struct fault *fault, struct site *site)
{
    struct buf *out = told(site);
    (void)fault;
    if (out) {
        buf_add_text(out,
                     "{\"code\":200,\"data\":[{\"status\":\"submitted\"}]}");
    }
}

static void strike_empty_data(const struct fault *fault, struct site *site)
{
    struct buf *out = told(site);
    (void)fault;
    if (out) {
        buf_add_text(out, "{\"code\":200,\"data\":[]}");
    }
}

static void strike_long_task_id(const struct fault *fault, struct site *site)
{
    const size_t len = (size_t)given(fault->bytes, 5000);
    char *id = malloc(len + 6);
    if (!id) {
        abort();
    }
    memcpy(id, "task_", 5);
    memset(id + 5, 'A', len);
    id[len + 5] = '\0';
    tell_id(site, id);
    free(id);
}

static void strike_odd_task_id(const struct fault *fault, struct site *site)
{
    tell_id(site, given_text(fault->text, "../task 1?x=\r\nX-Y: z/é"));
}

static void strike_same_task_id(const struct fault *fault, struct site *site)
{
    (void)fault;
    if (site->task) {
        const uint32_t number = site->task->number;
        tell_id(site, site->world->tasks[number > 0 ? number - 1 : 0]->id);
    }
}

static void strike_two_ids(const struct fault *fault, struct site *site)
{
    struct buf *out = told(site);
    (void)fault;
    if (out) {
        buf_printf(out,
                   "{\"code\":200,\"data\":[{\"status\":\"submitted\","
                   "\"task_id\":\"%s\"},{\"status\":\"submitted\","
                   "\"task_id\":\"task_01AAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
                   site->task->id);
    }
}

/** data is an object, with the id under `task_id` or under `id`. */
static void tell_object(struct site *site, const char *field)
{
    struct buf *out = told(site);
    if (out) {
        buf_printf(out,
                   "{\"code\":200,\"data\":{\"status\":\"submitted\","
                   "\"%s\":\"%s\"}}",
                   field, site->task->id);
    }
}

static void strike_object_id(const struct fault *fault, struct site *site)
{
    (void)fault;
    tell_object(site, "id");
}

static void strike_object_task_id(const struct fault *fault, struct site *site)
{
    (void)fault;
    tell_object(site, "task_id");
}

static void strike_other_success(const struct fault *fault, struct site *site)
{
    if (site->reply->status == 200) {
        site->reply->status = fault->kind->status;
    }
}

/* --- what a poll says --- */

static void view_again(struct site *site)
{
    if (site->viewed) {
        reply_no_body(site->reply);
        task_view_write(&site->view, &site->reply->body);
    }
}

static void strike_unknown_status(const struct fault *fault, struct site *site)
{
    struct task_view *view = &site->view;
    view->status = given_text(fault->text, "rendering_remix");
    view->with_result = false;
    view->failed = false;
    view->completed_s = 0;
    view_again(site);
}

static void strike_backwards(const struct fault *fault, struct site *site)
{
    site->view.progress = given(fault->number, 1);
    strike_unknown_status(fault, site);
}

static void strike_invalid_id(const struct fault *fault, struct site *site)
{
    (void)fault;
    world_error(site, 400, "invalid_request_error", "400", "无效的任务ID",
                NULL);
}

static void strike_other_id(const struct fault *fault, struct site *site)
{
    site->view.id = given_text(fault->text, "task_01BBBBBBBBBBBBBBBBBBBBBBBB");
    view_again(site);
}

static void strike_no_cost(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.cost_micros = COST_ABSENT;
    view_again(site);
}

static void strike_without_result(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.with_result = false;
    site->view.with_videos = false;
    view_again(site);
}

static void strike_without_videos(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.with_videos = false;
    view_again(site);
}

static void strike_no_expires(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.expires_s = 0;
    view_again(site);
}

static void strike_url_expired(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.url_expired = true;
    site->view.expires_s = site->world->now_us / 1000000 - 60;
    view_again(site);
}

static void strike_bad_url(const struct fault *fault, struct site *site)
{
    site->view.url = given_text(fault->url, "http://169.254.169.254/latest/");
    view_again(site);
}

static void strike_url_shape(const struct fault *fault, struct site *site)
{
    site->view.url_shape = (enum url_shape)fault->kind->status;
    view_again(site);
}

static void strike_code_shape(const struct fault *fault, struct site *site)
{
    site->view.code_shape = (enum code_shape)fault->kind->status;
    view_again(site);
}

/* --- what becomes of a task --- */

static char *copy_or_null(const char *text)
{
    return text ? strdup(text) : NULL;
}

static void strike_fail(const struct fault *fault, struct site *site)
{
    struct task *task = site->task;
    char message[600];
    task->fate = FATE_FAIL;
    task->fail_cost_micros = fault->cost_micros == -2 ? 0 : fault->cost_micros;
    free(task->fail_message);
    task->fail_message = NULL;
    if (fault->code || fault->text) {
        snprintf(message, sizeof(message), "pixverse error %s: %s",
                 given_text(fault->code, "99999"),
                 given_text(fault->text, "generation failed"));
        /* `body` is the whole message, for texts of another form. */
        task->fail_message = strdup(message);
    }
    if (fault->body) {
        free(task->fail_message);
        task->fail_message = copy_or_null(fault->body);
    }
}

static void strike_cancel(const struct fault *fault, struct site *site)
{
    site->task->fate = FATE_CANCEL;
    site->task->fail_cost_micros =
        fault->cost_micros == -2 ? 0 : fault->cost_micros;
}

static void strike_slow_job(const struct fault *fault, struct site *site)
{
    site->task->latency_ms = given(fault->delay_ms, SLOW_JOB_MS);
}

static void set_files(struct task *task, uint32_t videos, uint32_t urls)
{
    if (videos < 1 || urls < 1 || videos * urls > TASK_FILES_MAX) {
        return;
    }
    free(task->files);
    task->files = NULL;
    task->videos = videos;
    task->urls = urls;
}

static void strike_videos(const struct fault *fault, struct site *site)
{
    set_files(site->task, (uint32_t)given(fault->number, 2), site->task->urls);
}

static void strike_urls(const struct fault *fault, struct site *site)
{
    set_files(site->task, site->task->videos,
              (uint32_t)given(fault->number, 2));
}

/* --- how a video comes --- */

static void strike_different(const struct fault *fault, struct site *site)
{
    site->file_salt = (uint64_t)fault->hits;
}

/** The true bytes of the answer, made now. */
static void made_body(struct site *site, struct buf *out)
{
    struct reply *reply = site->reply;
    const uint64_t len = reply_body_bytes(reply);
    buf_init(out, 0);
    if (!reply->fill) {
        buf_add(out, reply->body.bytes, (size_t)len);
        return;
    }
    char *room = buf_room(out, (size_t)len);
    if (!room) {
        abort();
    }
    reply->fill(reply->fill_context, 0, room, (size_t)len);
    buf_took(out, (size_t)len);
}

static void strike_gzip(const struct fault *fault, struct site *site)
{
    struct buf whole;
    (void)fault;
    made_body(site, &whole);
    struct buf *out = new_body(site, site->reply->type);
    fault_body_gzip(out, whole.bytes, whole.len);
    reply_header(site->reply, "Content-Encoding", "gzip");
    buf_done(&whole);
}

static void strike_gzip_bomb(const struct fault *fault, struct site *site)
{
    fault_body_gzip_bomb(new_body(site, site->reply->type),
                         (uint64_t)given(fault->bytes, BOMB_BYTES));
    reply_header(site->reply, "Content-Encoding", "gzip");
}

static void strike_garbage(const struct fault *fault, struct site *site)
{
    const uint64_t bytes = (uint64_t)given(fault->bytes, 100000);
    struct buf *out = new_body(site, "video/mp4");
    for (uint64_t i = 0; i < bytes; i++) {
        buf_add_char(out, (char)(i * 31 + 7));
    }
}

static void strike_partial(const struct fault *fault, struct site *site)
{
    const uint64_t whole = reply_body_bytes(site->reply);
    (void)fault;
    if (site->reply->status != 200) {
        return;
    }
    site->reply->status = 206;
    site->reply->body_bytes_max = whole / 2;
    buf_printf(&site->reply->head, "Content-Range: bytes 0-%llu/%llu\r\n",
               (unsigned long long)(whole / 2 - 1), (unsigned long long)whole);
}

static void strike_redirect(const struct fault *fault, struct site *site)
{
    struct buf *out = new_body(site, "text/html");
    buf_add_text(out, "<html><body>Moved</body></html>");
    site->reply->status = (int)(fault->status ? fault->status : 302);
    reply_header(site->reply, "Location",
                 given_text(fault->url, "http://169.254.169.254/latest/"));
}

static void strike_redirect_loop(const struct fault *fault, struct site *site)
{
    struct buf *out = new_body(site, "text/html");
    const struct str path = site->request->path;
    buf_add_text(out, "<html><body>Moved</body></html>");
    site->reply->status = (int)(fault->status ? fault->status : 302);
    buf_printf(&site->reply->head, "Location: %s%.*s\r\n", site->world->base,
               (int)path.len, path.at);
}

enum {
    API = ON_SUBMIT | ON_POLL | ON_SCHEMA | ON_BALANCE,
    TASK = ON_SUBMIT | ON_POLL,
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
    {"without_result", OVER, .strike = strike_without_result},
    {"without_videos", OVER, .strike = strike_without_videos},
    {"no_expires_at", OVER, .strike = strike_no_expires},
    {"url_expired", OVER, .strike = strike_url_expired},
    {"bad_url", OVER, .strike = strike_bad_url},
    {"url_string", OVER, .strike = strike_url_shape, .status = URL_STRING},
    {"url_empty_list", OVER, .strike = strike_url_shape, .status = URL_EMPTY_LIST},
    {"url_empty", OVER, .strike = strike_url_shape, .status = URL_EMPTY_STRING},
    {"url_null", OVER, .strike = strike_url_shape, .status = URL_NULL},
    {"error_code_int", OVER, .strike = strike_code_shape, .status = CODE_INTEGER},
    {"error_code_empty", OVER, .strike = strike_code_shape, .status = CODE_EMPTY},
    {"error_code_null", OVER, .strike = strike_code_shape, .status = CODE_NULL},
    {"error_code_absent", OVER, .strike = strike_code_shape, .status = CODE_ABSENT},

    {"fail", .stage = STAGE_TASK, .on = TASK, .strike = strike_fail},
    {"cancel", .stage = STAGE_TASK, .on = TASK, .strike = strike_cancel},
    {"slow_job", .stage = STAGE_TASK, .on = TASK, .strike = strike_slow_job},
    {"videos", .stage = STAGE_TASK, .on = TASK, .strike = strike_videos},
    {"urls", .stage = STAGE_TASK, .on = TASK, .strike = strike_urls},

    {"different_bytes", .stage = STAGE_TASK, .on = ON_DOWNLOAD,
     .strike = strike_different},
    {"gzip", FILE_, .strike = strike_gzip},
    {"gzip_bomb", FILE_, .strike = strike_gzip_bomb},
    {"garbage", FILE_, .strike = strike_garbage},
    {"zero_byte", FILE_, .strike = strike_empty},
    {"partial_206", FILE_, .strike = strike_partial},
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
