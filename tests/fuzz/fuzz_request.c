/* tests/run: long */
#include "fuzz.h"

#include "core/json.h"
#include "core/request.h"

/* A message of the request topic. What is accepted names itself well, and its
 * body is accepted again as the same body; what is at fault says so in JSON. A
 * frame before it changes nothing. */

static bool is_name(struct str text, size_t max)
{
    if (text.len < 1 || text.len > max || strchr("._-", text.at[0])) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = text.at[i];
        if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
              (c >= 'a' && c <= 'z') || (c && strchr("._-", c)))) {
            return false;
        }
    }
    return true;
}

static void check_details(const struct details *details, struct arena *arena)
{
    bool no_memory = false;
    struct str text = details_to_json(details, arena);
    json_t *json = json_read(text, &no_memory);
    CHECK(details->len <= REQUEST_DETAILS_MAX);
    CHECK(json_is_array(json) && json_array_size(json) == details->len);
    json_decref(json);
}

/** What we would send is a request by our own rules, and stays as it is. */
static void check_body(const struct request *request, struct arena *arena)
{
    struct request again;
    struct buf text;
    buf_init(&text, 0);
    buf_add_text(&text, "{\"request_id\":\"again\",\"request\":");
    buf_add_str(&text, request->body);
    buf_add_char(&text, '}');
    CHECK(request_read(buf_str(&text), arena, &again));
    CHECK(again.reject == REQUEST_NAMED && again.faults.len == 0);
    CHECK(again.mode == request->mode);
    CHECK(str_eq(again.body, request->body));
    CHECK(again.warnings.len == 0);
    buf_done(&text);
}

/** The same behind the frame of Confluent's serializers. */
static void check_framed(struct str value, const struct request *request,
                         struct arena *arena)
{
    struct request framed;
    struct buf text;
    buf_init(&text, 0);
    buf_add(&text, "\0\0\x01{\xff", 5);
    buf_add_str(&text, value);
    CHECK(request_read(buf_str(&text), arena, &framed));
    CHECK(framed.reject == request->reject);
    CHECK(str_eq(framed.request_id, request->request_id));
    CHECK(framed.faults.len == request->faults.len);
    CHECK(framed.cancel == request->cancel);
    CHECK(memcmp(framed.content, request->content, DIGEST_BYTES) == 0);
    CHECK(str_eq(framed.body, request->body));
    buf_done(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct request request;
    arena_init(&arena, 4096, 0);
    CHECK(
        request_read((struct str){(const char *)data, size}, &arena, &request));
    if (request.reject == REQUEST_NAMED) {
        const bool framed = size > 5 && data[0] == 0;
        if (!framed) {
            check_framed((struct str){(const char *)data, size}, &request,
                         &arena);
        }
        CHECK(is_name(request.request_id, 128));
        CHECK(!request.tenant.at || is_name(request.tenant, 64));
        CHECK(request.priority >= 0 && request.priority <= 9);
        check_details(&request.faults, &arena);
        check_details(&request.warnings, &arena);
        CHECK((request.faults.len == 0) ==
              (request.body.at != NULL || request.cancel));
        CHECK(!request.cancel || (request.tenant.at && !request.body.at));
        if (request.body.at) {
            check_body(&request, &arena);
        }
    }
    arena_done(&arena);
    return 0;
}
