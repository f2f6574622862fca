#include "edge/s3/credentials_own.h"

#include "core/s3_reply.h"
#include "edge/s3/aws_files.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CONNECT_MS 1000 /* the endpoints are on this machine, or not at all */
#define STS_CONNECT_MS 10000
#define STALL_MS 5000
#define WHOLE_MS 30000

/** One line of visible characters; a role's name, or a token. */
bool source_word(struct str body, char *out, size_t out_bytes)
{
    assert(out_bytes > 1);
    body = str_trim(body);
    bool good = body.len > 0 && body.len < out_bytes;
    for (size_t i = 0; good && i < body.len; i++) {
        good = body.at[i] > ' ' && body.at[i] < 0x7f;
    }
    if (good) {
        memcpy(out, body.at, body.len);
        out[body.len] = '\0';
    }
    return good;
}

static void on_answer(void *context, const struct wire_answer *answer)
{
    static const char *const names[] = {
        [ASKING_STS] = "STS",
        [ASKING_CONTAINER] = "the container's endpoint",
        [ASKING_TOKEN] = "the instance's metadata",
        [ASKING_ROLE] = "the instance's role",
        [ASKING_KEYS] = "the instance's role",
    };
    struct credentials *c = context;
    struct aws_keys keys = {0};
    char why[160];
    assert(c->call);
    c->call = NULL;
    aws_wipe(&c->body);
    if (!answer->whole || answer->status != 200) {
        size_t at = 0;
        const struct str code = s3_xml(answer->body, "Code", &at);
        snprintf(why, sizeof why, "status %d%s%.*s", answer->status,
                 code.len ? ", " : "", code.len > 80 ? 80 : (int)code.len,
                 code.at ? code.at : "");
        source_failed(c, names[c->asking], answer->whole ? why : answer->why);
        return;
    }
    bool good = false;
    switch (c->asking) {
    case ASKING_TOKEN:
    case ASKING_ROLE:
        good = c->on_word(c, answer->body);
        break;
    case ASKING_STS:
        good = aws_keys_read_xml(answer->body, &keys);
        break;
    case ASKING_CONTAINER:
    case ASKING_KEYS:
        good = aws_keys_read_json(answer->body, &keys);
        break;
    }
    if (!good) {
        source_failed(c, names[c->asking], "an answer that can't be read");
    } else if (keys.id[0]) {
        source_fetched(c, names[c->asking], &keys, answer->date);
    }
}

void source_ask(struct credentials *c, enum asking asking, const char *method,
                const char *url, const char *header)
{
    const char *headers[] = {header};
    source_ask_as(c, asking, method, url, headers, header ? 1 : 0);
}

void source_ask_as(struct credentials *c, enum asking asking,
                   const char *method, const char *url,
                   const char *const *given, size_t given_len)
{
    assert(!c->call && method[0] && url[0]);
    assert(given_len <= SOURCE_HEADERS_MAX);
    const char *headers[SOURCE_HEADERS_MAX + 1];
    size_t len = 0;
    while (len < given_len) {
        headers[len] = given[len];
        len++;
    }
    if (asking == ASKING_STS) {
        headers[len++] = "Content-Type: application/x-www-form-urlencoded";
    }
    const struct wire_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .headers_len = len,
        .body = buf_str(&c->body),
        .direct = asking != ASKING_STS,
        .connect_ms = asking == ASKING_STS ? STS_CONNECT_MS : CONNECT_MS,
        .stall_ms = STALL_MS,
        .whole_ms = WHOLE_MS,
    };
    c->asking = asking;
    c->call = c->body.failed
                  ? NULL /* half a body would ask for something else */
                  : wire_start(c->wire, &request, on_answer, c);
    if (!c->call) {
        aws_wipe(&c->body);
        source_failed(c, "no memory", "");
    }
}
