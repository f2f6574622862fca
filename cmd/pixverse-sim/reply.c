#include "reply.h"

#include <string.h>

void reply_init(struct reply *reply)
{
    *reply = (struct reply){.body_bytes_max = UINT64_MAX};
    buf_init(&reply->head, 0);
    buf_init(&reply->body, 0);
}

static void end_fill(struct reply *reply, bool whole)
{
    if (reply->fill_done) {
        reply->fill_done(reply->fill_context, whole);
    }
    reply->fill = NULL;
    reply->fill_done = NULL;
    reply->fill_context = NULL;
    reply->fill_bytes = 0;
}

void reply_done(struct reply *reply)
{
    end_fill(reply, false);
    buf_done(&reply->head);
    buf_done(&reply->body);
}

void reply_reset(struct reply *reply)
{
    end_fill(reply, false);
    struct buf head = reply->head;
    struct buf body = reply->body;
    buf_reset(&head);
    buf_reset(&body);
    *reply = (struct reply){
        .head = head, .body = body, .body_bytes_max = UINT64_MAX};
}

void reply_no_body(struct reply *reply)
{
    end_fill(reply, false);
    buf_reset(&reply->body);
    reply->body_bytes_max = UINT64_MAX;
}

uint64_t reply_body_bytes(const struct reply *reply)
{
    uint64_t bytes = reply->fill ? reply->fill_bytes : reply->body.len;
    return bytes < reply->body_bytes_max ? bytes : reply->body_bytes_max;
}

void reply_header(struct reply *reply, const char *name, const char *value)
{
    buf_add_text(&reply->head, name);
    buf_add_text(&reply->head, ": ");
    buf_add_text(&reply->head, value);
    buf_add_text(&reply->head, "\r\n");
}

const char *reply_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (reasons[i].status == status) {
            return reasons[i].reason;
        }
    }
    return "Status";
}
