#include "flow/traces.h"

#include "base/log.h"

#include <assert.h>

void traces_init(struct traces *traces, struct metrics *metrics)
{
    static const char name[] = "pixverse_spans_total";
    static const char help[] =
        "Spans of traces, sent to the collector or dropped.";
    *traces = (struct traces){
        .sent = metric_get(metrics, METRIC_COUNTER, name, "end=\"sent\"", help),
        .dropped =
            metric_get(metrics, METRIC_COUNTER, name, "end=\"dropped\"", help),
    };
}

void traces_step(struct spans *spans, const struct job *job,
                 const struct step *step, const struct clock *clock)
{
    const struct task_row *row = &step->next.row;
    if (row->state != CLOSED) {
        return;
    }
    const struct span_request request = {
        .row = row,
        .request_id = str_of(job_request_id(job)),
        .tenant = str_of(job_tenant(job)),
        .traceparent = str_of(job_traceparent(job)),
        .tracestate = str_of(job_tracestate(job)),
        .now_ms = clock_now_ms(clock),
    };
    spans_add(spans, &request);
}

void traces_told(void *context, int64_t spans, const char *why)
{
    struct traces *traces = context;
    assert(spans > 0);
    metric_add(why ? traces->dropped : traces->sent, (double)spans);
    if (why && !traces->away) {
        log_at(LOG_WARN, "the collector of traces takes no spans",
               LOG_TEXT("why", why), LOG_I64("dropped", spans));
    } else if (!why && traces->away) {
        log_at(LOG_INFO, "the collector of traces takes spans again");
    }
    traces->away = why != NULL;
}
