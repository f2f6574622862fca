/* tests/run: long */
#include "fuzz.h"

#include "core/event.h"
#include "core/json.h"
#include "lib/event_unpack.h"

/* An end of a request, of whatever the provider and the storage said: valid
 * JSON of at most 256 KiB, and the stored form opens as it was closed, and says
 * the same out of the database. */

static void check_packed(struct str stored)
{
    struct buf packed;
    struct buf back;
    buf_init(&packed, 0);
    buf_init(&back, 0);
    event_unpack(event_pack(stored, &packed), &back);
    CHECK(str_eq(buf_str(&back), stored));
    CHECK(packed.len <= stored.len);
    buf_done(&packed);
    buf_done(&back);
}

static void check(const char *stored, struct str request_id)
{
    struct event event;
    bool no_memory = false;
    CHECK(stored && event_open(str_of(stored), &event));
    CHECK(str_eq(event.key, request_id));
    check_packed(str_of(stored));
    CHECK(event.value.len <= EVENT_BYTES_MAX);
    json_t *json = json_read(event.value, &no_memory);
    CHECK(json_is_object(json));
    json_decref(json);
    for (size_t i = 0; i < event.headers_len; i++) {
        CHECK(event.headers[i].name.len > 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = input_of(data, size);
    struct arena arena;
    if (size && memchr(data, 0, size)) {
        return 0; /* texts of rows and of PostgreSQL hold no NUL */
    }
    arena_init(&arena, 4096, 0);
    unsigned head = input_byte(&input);
    const struct str message = input_until(&input, '\n');
    const struct str code = input_until(&input, '\n');
    const struct str traceparent = input_until(&input, '\n');
    const struct str uri = input_until(&input, '\n');
    struct facts facts = {
        .request_id = STR("order-1"),
        .tenant = STR("studio-a"),
        .mode = (enum request_mode)(head % 6),
        .metadata = STR("{\"a\":null}"),
        .warnings = STR("[]"),
        .received_ms = 1795327200123,
        .traceparent = traceparent,
    };
    struct task_row row = {
        .state = head & 0x40 ? SUCCEEDED : FAILED,
        .kind = head & 0x40 ? FAILURE_NONE : FAILURE_PROVIDER_FAILED,
        .provider_task_id = "task_1",
        .received_ms = 1795327200123,
        .settled_ms = 1795327201123,
        .submission = (int32_t)(head % 3),
        .has_cost = head & 1,
        .cost = head / 7.0,
    };
    const struct failure failure = {
        .kind = row.kind, .message = message, .provider_code = code};
    const struct stored_video video = {.uri = uri, .bytes = 1, .sha256 = "ab"};
    const bool failed = row.state == FAILED;
    check(event_render(&row, &facts, failed ? &failure : NULL, NULL,
                       failed ? NULL : &video, failed ? 0 : 1, NULL, &arena),
          facts.request_id);
    struct event event;
    (void)event_open((struct str){(const char *)data, size}, &event);
    if (str_starts((struct str){(const char *)data, size}, STR("event/2"))) {
        check_packed((struct str){(const char *)data, size});
    }
    arena_done(&arena);
    return 0;
}
