#include "console_reply.h"

#include <stdarg.h>
#include <stdio.h>

void console_refuse(struct page_answer *answer, int status, const char *format,
                    ...)
{
    char text[1200];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    answer->status = status;
    answer->content_type = "application/json";
    buf_add_text(answer->body, "{\"error\":");
    buf_add_json(answer->body, str_of(text));
    buf_add_text(answer->body, "}");
}

void console_add_rows(struct buf *out, struct str lines)
{
    for (size_t i = 0; i < lines.len; i++) {
        if (lines.at[i] != '\n') {
            buf_add_char(out, lines.at[i]);
        } else if (i + 1 < lines.len) {
            buf_add_char(out, ',');
        }
    }
}
