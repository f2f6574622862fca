#include "pruned.h"

#include "base/str.h"

#include <stdio.h>

int64_t pruned_at_ms(const json_t *row)
{
    return row_number(row, "pruned_ms");
}

const char *pruned_words(const json_t *row, char *out, size_t out_bytes)
{
    char at[25];
    str_time(pruned_at_ms(row), at);
    snprintf(out, out_bytes,
             "it has ended, and its history was pruned at %s (HISTORY_DAYS): "
             "its id and content are known, and nothing else",
             at);
    return out;
}

void pruned_tell(const struct ctl *ctl, const json_t *row)
{
    char text[400];
    char words[200];
    char received[25];
    char at[25];
    const char *id = row_text(row, "request_id");
    str_time(row_number(row, "received_ms"), received);
    str_time(pruned_at_ms(row), at);
    pruned_words(row, words, sizeof words);
    if (ctl->json) {
        json_t *line = json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "request_id",
                                 id, "state", "pruned", "why", words, "times",
                                 "received", received, "pruned", at);
        if (json_object_get(row, "cell")) {
            json_object_set(line, "cell", json_object_get(row, "cell"));
        }
        ctl_print_json(line);
        json_decref(line);
        return;
    }
    snprintf(text, sizeof text, "%s: pruned", id);
    print_for_people(text);
    printf("  %s\n  %-16s %s\n  %-16s %s\n", words, "received", received,
           "pruned", at);
}
