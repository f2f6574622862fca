/*
 * What the worker says of requests: one JSON text a line on standard input, one
 * verdict a line on standard output.
 *
 *   {"reject":"","mode":"…","faults":[…],"warnings":[…],"body":{…}}
 */

#include "base/buf.h"
#include "core/request.h"

#include <stdio.h>
#include <stdlib.h>

static void write_verdict(const struct request *request, struct arena *arena,
                          struct buf *out)
{
    buf_add_text(out, "{\"reject\":");
    buf_add_json(out, str_of(request_reject_name(request->reject)));
    if (request->reject == REQUEST_NAMED) {
        buf_add_text(out, ",\"mode\":");
        buf_add_json(out, str_of(request_mode_name(request->mode)));
        buf_add_text(out, ",\"faults\":");
        buf_add_str(out, details_to_json(&request->faults, arena));
        buf_add_text(out, ",\"warnings\":");
        buf_add_str(out, details_to_json(&request->warnings, arena));
        if (request->metadata.at) {
            buf_add_text(out, ",\"metadata\":");
            buf_add_str(out, request->metadata);
        }
        if (request->body.at) {
            buf_add_text(out, ",\"body\":");
            buf_add_str(out, request->body);
        }
    }
    buf_add_text(out, "}\n");
}

int main(void)
{
    char *line = NULL;
    size_t size = 0;
    struct buf out;
    struct arena arena;
    buf_init(&out, 0);
    arena_init(&arena, 65536, 0);
    for (ssize_t len; (len = getline(&line, &size, stdin)) > 0;) {
        struct str text = {line, (size_t)len - (line[len - 1] == '\n')};
        struct request request;
        if (!request_read(text, &arena, &request)) {
            fputs("no memory\n", stderr);
            return 1;
        }
        buf_reset(&out);
        write_verdict(&request, &arena, &out);
        if (out.failed || fwrite(out.bytes, 1, out.len, stdout) != out.len) {
            fputs("can't write\n", stderr);
            return 1;
        }
        arena_reset(&arena);
    }
    free(line);
    buf_done(&out);
    arena_done(&arena);
    return 0;
}
