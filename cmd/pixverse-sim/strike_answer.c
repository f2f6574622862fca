#include "strike.h"

#include "fault_body.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    HUGE_BYTES = 50 * 1024 * 1024,
    DEEP = 10000,
    LONG_ID_BYTES = 5000,
};

int64_t given(int64_t value, int64_t otherwise)
{
    return value >= 0 ? value : otherwise;
}

const char *given_text(const char *value, const char *otherwise)
{
    return value ? value : otherwise;
}

struct buf *new_body(struct site *site, const char *type)
{
    reply_no_body(site->reply);
    site->reply->type = type;
    if (site->reply->status == 0) {
        site->reply->status = 200;
    }
    return &site->reply->body;
}

/* ---- other answers ---- */

void strike_status(const struct fault *fault, struct site *site)
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

void strike_html(const struct fault *fault, struct site *site)
{
    buf_add_text(new_body(site, "text/html; charset=utf-8"),
                 given_text(fault->body,
                            "<!DOCTYPE html><html><head><title>One moment"
                            "</title></head><body><h1>Checking your browser"
                            "</h1></body></html>"));
    site->reply->status = (int)(fault->status ? fault->status : 200);
}

/** `{id}` becomes the sale's id, so that any shape can tell it. */
static void add_with_id(struct buf *out, const char *text, const char *id)
{
    static const char mark[] = "{id}";
    for (const char *at; (at = strstr(text, mark));
         text = at + sizeof(mark) - 1) {
        buf_add(out, text, (size_t)(at - text));
        buf_add_text(out, id);
    }
    buf_add_text(out, text);
}

void strike_json(const struct fault *fault, struct site *site)
{
    add_with_id(new_body(site, "application/json"),
                given_text(fault->body, "{\"success\":false,\"message\":"
                                        "\"file is being prepared\"}"),
                site->sale ? site->sale->id : "task_unknown");
    site->reply->status = (int)(fault->status ? fault->status : 200);
}

void strike_error_in_200(const struct fault *fault, struct site *site)
{
    world_error(site, 200, "invalid_request_error",
                given_text(fault->code, "400"),
                given_text(fault->text, "invalid prompt"), NULL);
}

void strike_empty(const struct fault *fault, struct site *site)
{
    (void)fault;
    (void)new_body(site, site->reply->type);
}

void strike_truncated(const struct fault *fault, struct site *site)
{
    const uint64_t whole = reply_body_bytes(site->reply);
    site->reply->body_bytes_max =
        (uint64_t)given(fault->bytes, (int64_t)(whole / 2));
}

void strike_huge_json(const struct fault *fault, struct site *site)
{
    fault_body_huge_json(new_body(site, "application/json"),
                         (uint64_t)given(fault->bytes, HUGE_BYTES));
}

void strike_deep_json(const struct fault *fault, struct site *site)
{
    fault_body_deep_json(new_body(site, "application/json"),
                         (uint64_t)given(fault->number, DEEP));
}

void strike_nul(const struct fault *fault, struct site *site)
{
    static const char body[] = "{\"code\":200,\"data\":[{\"task_id\":\"task_\0"
                               "nul\\u0000\",\"status\":\"submitted\"}]}";
    (void)fault;
    buf_add(new_body(site, "application/json"), body, sizeof(body) - 1);
}

void strike_not_utf8(const struct fault *fault, struct site *site)
{
    (void)fault;
    buf_add_text(new_body(site, "application/json"),
                 "{\"code\":200,\"data\":[{\"task_id\":\"task_\xff\xfe\","
                 "\"status\":\"\xc3\x28\"}]}");
}

void strike_dup_keys(const struct fault *fault, struct site *site)
{
    const char *id = site->sale ? site->sale->id : "task_unknown";
    (void)fault;
    buf_printf(new_body(site, "application/json"),
               "{\"code\":200,\"code\":500,\"data\":[{\"task_id\":\"%s\","
               "\"task_id\":\"task_other\",\"status\":\"submitted\","
               "\"status\":\"failed\"}]}",
               id);
}

void strike_wrong_types(const struct fault *fault, struct site *site)
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

/* ---- how an accepted submission is told ---- */

static struct buf *told(struct site *site)
{
    return site->sale && site->reply->status == 200
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

void strike_no_task_id(const struct fault *fault, struct site *site)
{
    struct buf *out = told(site);
    (void)fault;
    if (out) {
        buf_add_text(out,
                     "{\"code\":200,\"data\":[{\"status\":\"submitted\"}]}");
    }
}

void strike_empty_data(const struct fault *fault, struct site *site)
{
    struct buf *out = told(site);
    (void)fault;
    if (out) {
        buf_add_text(out, "{\"code\":200,\"data\":[]}");
    }
}

void strike_long_task_id(const struct fault *fault, struct site *site)
{
    const size_t len = (size_t)given(fault->bytes, LONG_ID_BYTES);
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

void strike_odd_task_id(const struct fault *fault, struct site *site)
{
    tell_id(site, given_text(fault->text, "../task 1?x=\r\nX-Y: z/é"));
}

void strike_same_task_id(const struct fault *fault, struct site *site)
{
    (void)fault;
    if (site->sale) {
        const uint32_t number = site->sale->number;
        tell_id(site, site->world->sales[number > 0 ? number - 1 : 0]->id);
    }
}

void strike_two_ids(const struct fault *fault, struct site *site)
{
    struct buf *out = told(site);
    (void)fault;
    if (out) {
        buf_printf(out,
                   "{\"code\":200,\"data\":[{\"status\":\"submitted\","
                   "\"task_id\":\"%s\"},{\"status\":\"submitted\","
                   "\"task_id\":\"task_01AAAAAAAAAAAAAAAAAAAAAAAA\"}]}",
                   site->sale->id);
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
                   field, site->sale->id);
    }
}

void strike_object_id(const struct fault *fault, struct site *site)
{
    (void)fault;
    tell_object(site, "id");
}

void strike_object_task_id(const struct fault *fault, struct site *site)
{
    (void)fault;
    tell_object(site, "task_id");
}

void strike_other_success(const struct fault *fault, struct site *site)
{
    if (site->reply->status == 200) {
        site->reply->status = fault->kind->status;
    }
}
