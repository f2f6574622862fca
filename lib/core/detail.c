#include "core/detail.h"

#include "base/buf.h"

#include <assert.h>

struct str details_to_json(const struct details *details, struct arena *arena)
{
    assert(details->len <= REQUEST_DETAILS_MAX);
    assert(details->items || details->len == 0);
    if (!details->len) {
        return STR("[]");
    }
    struct buf out;
    buf_init(&out, 0);
    buf_add_char(&out, '[');
    for (size_t i = 0; i < details->len; i++) {
        const struct detail *detail = &details->items[i];
        buf_add_text(&out, i ? ",{\"field\":" : "{\"field\":");
        buf_add_json(&out, detail->field);
        buf_add_text(&out, ",\"code\":");
        buf_add_json(&out, str_of(detail->code));
        buf_add_text(&out, ",\"message\":");
        buf_add_json(&out, detail->message);
        buf_add_char(&out, '}');
    }
    buf_add_char(&out, ']');
    const char *text =
        out.failed ? NULL : arena_copy(arena, out.bytes, out.len);
    struct str result = {text, text ? out.len : 0};
    arena->failed |= out.failed;
    buf_done(&out);
    return result;
}
