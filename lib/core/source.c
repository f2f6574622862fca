#include "core/source.h"

#include "base/buf.h"

#include <assert.h>
#include <string.h>

/** Where the last field begins, if it is our own id of a source; 0: it isn't.
 * No text of the request can look so: its quotes are escaped. */
static size_t template_len(struct str body)
{
    static const char name[] = ",\"extend_from_request_id\":\"";
    const size_t name_len = sizeof name - 1;
    if (!str_ends(body, STR("\"}"))) {
        return 0;
    }
    size_t at = body.len - 2;
    while (at > 0 && body.at[at - 1] != '"') {
        at--;
    }
    return at > name_len && memcmp(body.at + at - name_len, name, name_len) == 0
               ? at - name_len
               : 0;
}

struct str source_join(struct str body, const char *source_task_id,
                       struct arena *arena)
{
    assert(body.at && arena);
    const size_t len = template_len(body);
    if (!len) {
        return body;
    }
    if (!source_task_id || !source_task_id[0]) {
        return (struct str){0};
    }
    struct buf out;
    buf_init(&out, 0);
    buf_add_str(&out, (struct str){body.at, len});
    buf_add_text(&out, ",\"extend_from_task_id\":");
    buf_add_json(&out, str_of(source_task_id));
    buf_add_char(&out, '}');
    const char *copy =
        out.failed ? NULL : arena_copy(arena, out.bytes, out.len);
    const struct str joined = {copy, copy ? out.len : 0};
    buf_done(&out);
    return joined;
}
