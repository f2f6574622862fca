#include "fault.h"

#include "draw.h"
#include "fault_kinds.h"
#include "world.h"

#include <jansson.h>

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    unsigned int on;
} calls[] = {
    {"submit", ON_SUBMIT}, {"poll", ON_POLL},       {"download", ON_DOWNLOAD},
    {"schema", ON_SCHEMA}, {"balance", ON_BALANCE}, {"any", ON_ANY},
};

static bool wrong(struct err *err, const char *field, const json_t *value,
                  const char *allowed)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    err_set(err, ERR_PERMANENT, "%s is %.100s, allowed: %s", field,
            text ? text : "not readable", allowed);
    free(text);
    return false;
}

/** "submit", "poll|download", "any". */
static bool read_on(struct fault *fault, const json_t *value, struct err *err)
{
    const char *rest = json_string_value(value);
    unsigned int on = 0;
    while (rest && *rest) {
        const size_t len = strcspn(rest, "|");
        unsigned int one = 0;
        for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
            if (strlen(calls[i].name) == len &&
                memcmp(calls[i].name, rest, len) == 0) {
                one = calls[i].on;
            }
        }
        if (!one) {
            on = 0;
            break;
        }
        on |= one;
        rest += len + (rest[len] == '|');
    }
    if (!on) {
        return wrong(err, "on", value,
                     "submit, poll, download, schema, balance, any, several "
                     "of them joined by |");
    }
    fault->on = on & fault->kind->on;
    if (!fault->on) {
        return wrong(err, "on", value, "a call that this kind makes sense for");
    }
    return true;
}

static bool read_count(int64_t *out, int64_t min, const char *field,
                       const json_t *value, struct err *err)
{
    if (!json_is_integer(value) || json_integer_value(value) < min ||
        json_integer_value(value) > UINT32_MAX) {
        return wrong(err, field, value,
                     min < 0 ? "an integer from -1 up"
                             : "an integer from 0 up");
    }
    *out = json_integer_value(value);
    return true;
}

/** A string as it is; anything else as JSON text. */
static char *text_of(const json_t *value)
{
    return json_is_string(value)
               ? strdup(json_string_value(value))
               : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
}

static void set_text(char **out, char *text)
{
    free(*out);
    *out = text;
}

static bool add_header_line(struct fault *fault, const char *name,
                            const json_t *value)
{
    struct buf lines;
    buf_init(&lines, 0);
    buf_add_text(&lines, fault->headers ? fault->headers : "");
    char *text = text_of(value);
    if (!text || strpbrk(text, "\r\n") || strpbrk(name, "\r\n: ")) {
        free(text);
        buf_done(&lines);
        return false;
    }
    buf_printf(&lines, "%s: %s\r\n", name, text);
    free(text);
    set_text(&fault->headers, buf_take(&lines));
    return true;
}

static bool read_headers(struct fault *fault, json_t *value, struct err *err)
{
    const char *name = NULL;
    json_t *one = NULL;
    if (!json_is_object(value)) {
        return wrong(err, "headers", value, "an object of names and values");
    }
    json_object_foreach(value, name, one)
    {
        if (!add_header_line(fault, name, one)) {
            return wrong(err, "headers", value, "names and values on one line");
        }
    }
    return true;
}

static bool read_cost(struct fault *fault, const json_t *value, struct err *err)
{
    if (json_is_null(value)) {
        fault->cost_micros = COST_ABSENT;
        return true;
    }
    const double cost = json_number_value(value);
    if (!json_is_number(value) || cost < 0 || cost > 1e6) {
        return wrong(err, "cost", value,
                     "a number from 0 up, or null to leave it out");
    }
    fault->cost_micros = (int64_t)(cost * 1e6 + 0.5);
    return true;
}

static bool read_rate(struct fault *fault, const json_t *value, struct err *err)
{
    const double rate = json_number_value(value);
    if (!json_is_number(value) || !(rate >= 0 && rate <= 1)) {
        return wrong(err, "rate", value, "a number from 0 to 1");
    }
    fault->rate = rate;
    return true;
}

static bool read_bool(bool *out, const char *field, const json_t *value,
                      struct err *err)
{
    if (!json_is_boolean(value)) {
        return wrong(err, field, value, "true or false");
    }
    *out = json_is_true(value);
    return true;
}

static bool read_status(struct fault *fault, const json_t *value,
                        struct err *err)
{
    const json_int_t status = json_integer_value(value);
    if (!json_is_integer(value) || status < 200 || status > 599) {
        return wrong(err, "status", value, "an integer of 200..599");
    }
    fault->status = status;
    return true;
}

static bool read_field(struct fault *fault, const char *name, json_t *value,
                       struct err *err)
{
    static const struct {
        const char *name;
        size_t offset;
        int64_t min;
    } counts[] = {
        {"count", offsetof(struct fault, left), -1},
        {"after", offsetof(struct fault, after), 0},
        {"delay_ms", offsetof(struct fault, delay_ms), 0},
        {"bytes", offsetof(struct fault, bytes), 0},
        {"number", offsetof(struct fault, number), 0},
    };
    static const struct {
        const char *name;
        size_t offset;
    } texts[] = {
        {"match", offsetof(struct fault, match)},
        {"body", offsetof(struct fault, body)},
        {"text", offsetof(struct fault, text)},
        {"code", offsetof(struct fault, code)},
        {"url", offsetof(struct fault, url)},
    };
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (strcmp(name, counts[i].name) == 0) {
            return read_count((int64_t *)((char *)fault + counts[i].offset),
                              counts[i].min, name, value, err);
        }
    }
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (strcmp(name, texts[i].name) == 0) {
            set_text((char **)((char *)fault + texts[i].offset),
                     text_of(value));
            return true;
        }
    }
    if (strcmp(name, "on") == 0) {
        return read_on(fault, value, err);
    }
    if (strcmp(name, "rate") == 0) {
        return read_rate(fault, value, err);
    }
    if (strcmp(name, "billed") == 0) {
        return read_bool(&fault->handled, name, value, err);
    }
    if (strcmp(name, "status") == 0) {
        return read_status(fault, value, err);
    }
    if (strcmp(name, "cost") == 0) {
        return read_cost(fault, value, err);
    }
    if (strcmp(name, "headers") == 0) {
        return read_headers(fault, value, err);
    }
    if (strcmp(name, "retry_after") == 0) {
        return add_header_line(fault, "Retry-After", value) ||
               wrong(err, name, value, "text on one line");
    }
    return strcmp(name, "kind") == 0 ||
           err_set(err, ERR_PERMANENT,
                   "unknown field %.60s, allowed: kind on count after rate "
                   "match billed delay_ms status body headers retry_after "
                   "bytes number text code url cost",
                   name);
}

static bool read_one(struct fault *fault, json_t *order, struct err *err)
{
    const char *kind = json_string_value(json_object_get(order, "kind"));
    *fault = (struct fault){
        .left = 1,
        .rate = 1,
        .delay_ms = -1,
        .bytes = -1,
        .number = -1,
        .cost_micros = -2,
    };
    fault->kind = kind ? fault_kind_find(kind) : NULL;
    if (!fault->kind) {
        struct buf names;
        buf_init(&names, 0);
        fault_kind_names(&names);
        err_set(err, ERR_PERMANENT, "kind is %.60s, allowed: %s",
                kind ? kind : "missing", names.bytes);
        buf_done(&names);
        return false;
    }
    fault->on = fault->kind->on;
    fault->handled = fault->kind->handled;
    const char *name = NULL;
    json_t *value = NULL;
    json_object_foreach(order, name, value)
    {
        if (!read_field(fault, name, value, err)) {
            return false;
        }
    }
    fault->json = json_dumps(order, JSON_COMPACT);
    return true;
}

static bool read_list(struct faults *faults, json_t *list, struct err *err)
{
    const size_t count = json_array_size(list);
    const size_t had = faults->count;
    if (had + count > FAULTS_MAX) {
        return err_set(err, ERR_PERMANENT, "%zu faults, allowed: %d",
                       had + count, FAULTS_MAX);
    }
    struct fault *more =
        realloc(faults->list, (had + count + 1) * sizeof(*more));
    if (!more) {
        abort();
    }
    faults->list = more;
    for (size_t i = 0; i < count; i++) {
        const bool read =
            read_one(&more[faults->count], json_array_get(list, i), err);
        faults->count++;
        if (!read) {
            while (faults->count > had) {
                fault_done(&more[--faults->count]);
            }
            return err_wrap(err, "fault %zu", i);
        }
    }
    return true;
}

bool faults_add(struct faults *faults, struct str json, struct err *err)
{
    json_error_t error;
    json_t *root = json_loadb(json.at ? json.at : "", json.len,
                              JSON_REJECT_DUPLICATES, &error);
    if (json_is_object(root)) {
        json_t *list = json_array();
        json_array_append_new(list, root);
        root = list;
    }
    if (!json_is_array(root)) {
        json_decref(root);
        return err_set(err, ERR_PERMANENT,
                       "not a JSON list of faults (line %d: %s)", error.line,
                       error.text);
    }
    bool added = read_list(faults, root, err);
    json_decref(root);
    return added;
}

bool faults_add_spec(struct faults *faults, const char *spec, struct err *err)
{
    if (spec[0] == '[' || spec[0] == '{') {
        return faults_add(faults, str_of(spec), err);
    }
    FILE *file = fopen(spec, "r");
    if (!file) {
        return err_set(err, ERR_PERMANENT,
                       "%s is neither JSON nor a file that can be read", spec);
    }
    struct buf text;
    buf_init(&text, 0);
    char part[4096];
    size_t len = 0;
    while ((len = fread(part, 1, sizeof(part), file)) > 0) {
        buf_add(&text, part, len);
    }
    fclose(file);
    bool added = faults_add(faults, buf_str(&text), err);
    buf_done(&text);
    return added;
}

static bool has_text(struct str text, const char *part)
{
    return text.len > 0 && memmem(text.at, text.len, part, strlen(part));
}

static bool matches(const struct fault *fault, const struct site *site)
{
    if (!fault->match) {
        return true;
    }
    const struct http_request *request = site->request;
    if (has_text(request->path, fault->match) ||
        has_text(request->body, fault->match) ||
        has_text(http_request_field(request, "idempotency-key"),
                 fault->match)) {
        return true;
    }
    const struct sale *sale = site->sale;
    if (!sale) {
        return false;
    }
    return has_text((struct str){sale->body, sale->body_bytes}, fault->match) ||
           (sale->replay != INDEX_NONE &&
            has_text(str_of(site->world->replays[sale->replay].key),
                     fault->match));
}

static bool fits(const struct fault *fault, enum fault_stage stage,
                 const struct site *site)
{
    const struct fault_kind *kind = fault->kind;
    if (kind->stage != stage || fault->left == 0) {
        return false;
    }
    if (!site) {
        return true;
    }
    if (!(fault->on & site->on) || !matches(fault, site)) {
        return false;
    }
    if (!kind->when_over && !kind->when_running) {
        return true;
    }
    return site->sale &&
           sale_is_over(site->sale, site->world->now_ms) == kind->when_over;
}

const struct fault *faults_pick(struct faults *faults, enum fault_stage stage,
                                struct site *site, uint64_t seed)
{
    for (size_t i = 0; i < faults->count; i++) {
        struct fault *fault = &faults->list[i];
        if (!fits(fault, stage, site)) {
            continue;
        }
        if (fault->after > 0) {
            fault->after--;
            continue;
        }
        if (fault->rate < 1 &&
            (double)draw(seed + i, fault->drawn++) / 18446744073709551616.0 >=
                fault->rate) {
            continue;
        }
        fault->left -= fault->left > 0;
        fault->hits++;
        return fault;
    }
    return NULL;
}

void faults_write(const struct faults *faults, struct buf *out)
{
    buf_add_char(out, '[');
    for (size_t i = 0; i < faults->count; i++) {
        const struct fault *fault = &faults->list[i];
        buf_printf(out, "%s{\"hits\":%lld,\"left\":%lld,\"order\":",
                   i > 0 ? ",\n" : "\n", (long long)fault->hits,
                   (long long)fault->left);
        buf_add_text(out, fault->json);
        buf_add_char(out, '}');
    }
    buf_add_text(out, "]\n");
}
