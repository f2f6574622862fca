#include "core/span.h"

#include "core/digest.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define TRACE_HEX 32
#define SPAN_HEX 16
#define PAIR_BYTES 1024

/* SpanKind of trace.proto. */
enum {
    KIND_INTERNAL = 1,
    KIND_CLIENT = 3,
    KIND_PRODUCER = 4,
    KIND_CONSUMER = 5
};

/* ---- names and ids ---- */

struct ids {
    char trace[TRACE_HEX + 1];
    char root[SPAN_HEX + 1];
    char parent[SPAN_HEX + 1]; /* the producer's span; "": none */
    bool sampled;              /* by the producer */
};

/** Of the request, its submission and a word; never all zeros but by a chance
 * that nobody lives to see. */
static void hash_hex(const struct span_request *r, const char *word, char *out,
                     size_t hex_len)
{
    unsigned char sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    char text[1200];
    const int len =
        snprintf(text, sizeof text, "%s/%d/%.*s", word, (int)r->row->submission,
                 (int)r->request_id.len, r->request_id.at);
    assert(len > 0 && (size_t)len < sizeof text);
    digest_of((struct str){text, (size_t)len}, sum);
    str_hex(sum, sizeof sum, hex);
    memcpy(out, hex, hex_len);
    out[hex_len] = '\0';
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c | 0x20) : NULL;
    return at ? (int)(at - digits) : -1;
}

/** "00-<trace>-<span>-<flags>" */
static void ids_of(const struct span_request *r, struct ids *ids)
{
    *ids = (struct ids){.sampled = true};
    hash_hex(r, "request", ids->root, SPAN_HEX);
    if (r->traceparent.len >= 55) {
        const char *at = r->traceparent.at;
        memcpy(ids->trace, at + 3, TRACE_HEX);
        memcpy(ids->parent, at + 36, SPAN_HEX);
        ids->sampled = hex_digit(at[54]) & 1;
    } else {
        hash_hex(r, "trace", ids->trace, TRACE_HEX);
    }
}

/* ---- which ---- */

/** By the last 7 bytes of the trace's id, which W3C wants to be random: all
 * that work on a trace agree. */
static bool is_in(const char *trace, double ratio)
{
    uint64_t value = 0;
    for (int i = TRACE_HEX - 14; i < TRACE_HEX; i++) {
        value = value * 16 + (uint64_t)hex_digit(trace[i]);
    }
    return (double)value < ratio * 72057594037927936.0; /* 2^56 */
}

static bool is_sampled(const struct ids *ids, enum span_sampler sampler,
                       double ratio)
{
    const bool parent = ids->parent[0];
    switch (sampler) {
    case SAMPLER_PARENT_ALWAYS_ON:
        return ids->sampled;
    case SAMPLER_PARENT_ALWAYS_OFF:
        return parent && ids->sampled;
    case SAMPLER_PARENT_RATIO:
        return parent ? ids->sampled : is_in(ids->trace, ratio);
    case SAMPLER_ALWAYS_ON:
        return true;
    case SAMPLER_ALWAYS_OFF:
        return false;
    case SAMPLER_RATIO:
        return is_in(ids->trace, ratio);
    }
    return false;
}

/* ---- one span ---- */

static void add_attribute(struct buf *out, const char *name, struct str value)
{
    if (value.len > 0) {
        buf_printf(out, "{\"key\":\"%s\",\"value\":{\"stringValue\":", name);
        buf_add_json(out, value);
        buf_add_text(out, "}},");
    }
}

static void add_number(struct buf *out, const char *name, int64_t value)
{
    buf_printf(out, "{\"key\":\"%s\",\"value\":{\"intValue\":\"%lld\"}},", name,
               (long long)value);
}

/** The last comma goes. */
static void end_list(struct buf *out)
{
    if (out->len > 0 && !out->failed && out->bytes[out->len - 1] == ',') {
        out->len--;
    }
}

struct span {
    const char *name;
    const char *word; /* of its id; null: the root */
    int kind;
    int64_t from_ms;
    int64_t to_ms;
};

static void add_attributes(const struct span_request *r, const struct span *s,
                           struct buf *out)
{
    const struct task_row *row = r->row;
    add_attribute(out, "pixverse.request_id", r->request_id);
    if (s->word) {
        end_list(out);
        return;
    }
    add_attribute(out, "pixverse.tenant", r->tenant);
    add_attribute(out, "pixverse.provider_task_id",
                  str_of(row->provider_task_id));
    add_attribute(out, "pixverse.status",
                  row->kind ? STR("failed") : STR("completed"));
    add_attribute(out, "error.type",
                  str_of(row->kind ? failure_kind_name(row->kind) : NULL));
    add_number(out, "pixverse.submission", row->submission);
    add_number(out, "pixverse.sends", row->sends);
    end_list(out);
}

static void add_span(const struct span_request *r, const struct ids *ids,
                     const struct span *s, struct buf *out)
{
    char id[SPAN_HEX + 1];
    hash_hex(r, s->word ? s->word : "request", id, SPAN_HEX);
    const char *parent = s->word ? ids->root : ids->parent;
    buf_printf(out, "%s{\"traceId\":\"%s\",\"spanId\":\"%s\"",
               out->len ? "," : "", ids->trace, id);
    if (parent[0]) {
        buf_printf(out, ",\"parentSpanId\":\"%s\"", parent);
    }
    if (r->tracestate.len > 0) {
        buf_add_text(out, ",\"traceState\":");
        buf_add_json(out, r->tracestate);
    }
    buf_printf(out,
               ",\"flags\":1,\"name\":\"%s\",\"kind\":%d,\"startTimeUnixNano\":"
               "\"%lld000000\",\"endTimeUnixNano\":\"%lld000000\","
               "\"attributes\":[",
               s->name, s->kind, (long long)s->from_ms, (long long)s->to_ms);
    add_attributes(r, s, out);
    buf_add_text(out, "]");
    if (!s->word && r->row->kind) {
        buf_printf(out, ",\"status\":{\"code\":2,\"message\":\"%s\"}",
                   failure_kind_name(r->row->kind));
    }
    buf_add_text(out, "}");
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/** When it was generated the provider's clock says, in whole seconds: put
 * between what our own says of the submission and the video. */
static int64_t generated_ms(const struct span_request *r)
{
    const struct task_row *row = r->row;
    const int64_t most_ms = row->stored_ms    ? row->stored_ms
                            : row->settled_ms ? row->settled_ms
                                              : r->now_ms;
    const int64_t at_ms =
        row->generated_ms < most_ms ? row->generated_ms : most_ms;
    return row->generated_ms ? later(at_ms, row->submitted_ms) : 0;
}

int span_write(const struct span_request *r, enum span_sampler sampler,
               double ratio, struct buf *out)
{
    struct ids ids;
    const struct task_row *row = r->row;
    int n = 0;
    assert(r->request_id.len > 0 && row->received_ms > 0);
    ids_of(r, &ids);
    if (!is_sampled(&ids, sampler, ratio)) {
        return 0;
    }
    const int64_t made_ms = generated_ms(r);
    const struct span spans[] = {
        {"video.generation", NULL, KIND_CONSUMER, row->received_ms, r->now_ms},
        {"queue", "queue", KIND_INTERNAL, row->received_ms, row->first_sent_ms},
        {"submit", "submit", KIND_CLIENT, row->first_sent_ms,
         row->submitted_ms},
        {"generate", "generate", KIND_CLIENT, row->submitted_ms, made_ms},
        {"transfer", "transfer", KIND_CLIENT, made_ms, row->stored_ms},
        {"announce", "announce", KIND_PRODUCER, row->settled_ms, r->now_ms},
    };
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        struct span span = spans[i];
        if (span.from_ms > 0 && span.to_ms > 0) {
            span.to_ms = later(span.from_ms, span.to_ms);
            add_span(r, &ids, &span, out);
            n++;
        }
    }
    return n;
}

/* ---- around them ---- */

/** The next "key=value", percent-decoded into `key` and `value`; false: the
 * list is over. What can't be read has an empty key. */
static bool next_pair(struct str *list, char *key, char *value)
{
    key[0] = '\0';
    value[0] = '\0';
    if (list->len == 0) {
        return false;
    }
    const char *comma = memchr(list->at, ',', list->len);
    const size_t len = comma ? (size_t)(comma - list->at) : list->len;
    const struct str pair = str_trim((struct str){list->at, len});
    const size_t gone = len + (comma ? 1 : 0);
    *list = (struct str){list->at + gone, list->len - gone};
    const char *equals = pair.len ? memchr(pair.at, '=', pair.len) : NULL;
    if (!equals || pair.len >= PAIR_BYTES) {
        return true;
    }
    const size_t name = (size_t)(equals - pair.at);
    const struct str left = str_trim((struct str){pair.at, name});
    const struct str right =
        str_trim((struct str){equals + 1, pair.len - name - 1});
    size_t at = 0;
    for (size_t i = 0; i < right.len; i++) {
        char c = right.at[i];
        const int high =
            c == '%' && i + 2 < right.len ? hex_digit(right.at[i + 1]) : -1;
        const int low = high >= 0 ? hex_digit(right.at[i + 2]) : -1;
        if (low >= 0) {
            c = (char)(high * 16 + low);
            i += 2;
        }
        value[at++] = c;
    }
    value[at] = '\0';
    memcpy(key, left.at, left.len);
    key[left.len] = '\0';
    return true;
}

void span_begin(const char *service, struct str attributes, struct buf *out)
{
    char key[PAIR_BYTES];
    char value[PAIR_BYTES];
    buf_add_text(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
    while (next_pair(&attributes, key, value)) {
        if (key[0] && strcmp(key, "service.name") != 0 &&
            str_is_utf8(str_of(key)) && str_is_utf8(str_of(value))) {
            buf_add_text(out, "{\"key\":");
            buf_add_json(out, str_of(key));
            buf_add_text(out, ",\"value\":{\"stringValue\":");
            buf_add_json(out, str_of(value));
            buf_add_text(out, "}},");
        }
    }
    add_attribute(out, "service.name", str_of(service));
    add_attribute(out, "service.version", STR(PROGRAM_VERSION));
    end_list(out);
    buf_add_text(out, "]},\"scopeSpans\":[{\"scope\":{\"name\":"
                      "\"pixverse-worker\"},\"spans\":[");
}

void span_end(struct buf *out)
{
    buf_add_text(out, "]}]}]}");
}

bool span_next_header(struct str *list, char *out, size_t out_bytes)
{
    char key[PAIR_BYTES];
    char value[PAIR_BYTES];
    while (next_pair(list, key, value)) {
        bool good = key[0] != '\0';
        for (const char *at = key; *at; at++) {
            good = good && *at > ' ' && *at < 0x7f && *at != ':';
        }
        for (const char *at = value; *at; at++) {
            good = good && (unsigned char)*at >= ' ' && *at != 0x7f;
        }
        if (good && strlen(key) + strlen(value) + 3 <= out_bytes) {
            snprintf(out, out_bytes, "%s: %s", key, value);
            return true;
        }
    }
    return false;
}
