/*
 * What the worker says of requests: one JSON text a line on standard input, one
 * verdict a line on standard output.
 *
 *   {"reject":"","mode":"…","faults":[…],"warnings":[…],"body":{…}}
 *   {"reject":"not_json","why":"line 1, byte 2: …"}
 *
 * With --words: the words of its tables,
 * {"modes":[…],"kinds":[…],"rejects":[…]}.
 */

#include "base/buf.h"
#include "core/request.h"
#include "core/task.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void write_verdict(const struct request *request, struct arena *arena,
                          struct buf *out)
{
    buf_add_text(out, "{\"reject\":");
    buf_add_json(out, str_of(request_reject_name(request->reject)));
    if (request->why.len) {
        buf_add_text(out, ",\"why\":");
        buf_add_json(out, request->why);
    }
    if (request->cancel) {
        buf_add_text(out, ",\"cancel\":true");
    }
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

static const char *const modes[] = {
#define X(name, text) text,
    REQUEST_MODES(X)
#undef X
};
static const char *const kinds[] = {
#define X(name, text) text,
    FAILURE_KINDS(X)
#undef X
};
static const char *const rejects[] = {
#define X(name, text) text,
    REQUEST_REJECTS(X)
#undef X
};

static void print_words(const char *name, const char *const *words, size_t len)
{
    const char *before = "";
    printf("\"%s\":[", name);
    for (size_t i = 0; i < len; i++) {
        if (words[i][0]) { /* the first of each table is none */
            printf("%s\"%s\"", before, words[i]);
            before = ",";
        }
    }
    printf("]");
}

#define PRINT_WORDS(words)                                                     \
    print_words(#words, words, sizeof words / sizeof *words)

static int tell_words(void)
{
    printf("{");
    PRINT_WORDS(modes);
    printf(",");
    PRINT_WORDS(kinds);
    printf(",");
    PRINT_WORDS(rejects);
    printf("}\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--words") == 0) {
        return tell_words();
    }
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
