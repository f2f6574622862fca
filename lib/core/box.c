#include "core/box.h"

#include <assert.h>
#include <string.h>

uint64_t box_take(struct box_reader *reader, size_t len)
{
    uint64_t value = 0;
    assert(len <= sizeof value);
    if (reader->rest.len < len) {
        reader->is_short = true;
        reader->rest.len = 0;
        return 0;
    }
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | (unsigned char)reader->rest.at[i];
    }
    reader->rest.at += len;
    reader->rest.len -= len;
    return value;
}

void box_skip(struct box_reader *reader, size_t len)
{
    if (reader->rest.len < len) {
        reader->is_short = true;
        len = reader->rest.len;
    }
    if (len > 0) { /* an empty rest may have no place */
        reader->rest.at += len;
        reader->rest.len -= len;
    }
}

bool box_next(struct box_reader *reader, struct box *box)
{
    if (reader->rest.len == 0) {
        return false;
    }
    const size_t before = reader->rest.len;
    uint64_t size = box_take(reader, 4);
    const char *type = reader->rest.at;
    box_skip(reader, 4);
    if (size == 1) {
        size = box_take(reader, 8);
    } else if (size == 0) {
        size = before;
    }
    const size_t head = before - reader->rest.len;
    if (reader->is_short || size < head || size - head > reader->rest.len) {
        /* QuickTime ends some lists with four zero bytes. */
        reader->is_short = before >= 8;
        reader->rest.len = 0;
        return false;
    }
    memcpy(box->type, type, 4);
    box->type[4] = '\0';
    box->body = (struct str){reader->rest.at, (size_t)(size - head)};
    box_skip(reader, box->body.len);
    return true;
}

bool box_is(const struct box *box, const char *type)
{
    return strcmp(box->type, type) == 0;
}

struct str box_find(struct str body, const char *path)
{
    assert(path[0] == '\0' || strlen(path) % 5 == 4);
    while (*path) {
        struct box_reader reader = {body, false};
        struct box box;
        bool found = false;
        while (!found && box_next(&reader, &box)) {
            found = memcmp(box.type, path, 4) == 0;
        }
        if (!found) {
            return (struct str){0};
        }
        body = box.body;
        path += path[4] ? 5 : 4;
    }
    return body;
}
