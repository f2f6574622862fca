#include "edge/poll/hub.h"

#include "edge/poll/tls.h"
#include "edge/web/ca.h"
#include "edge/web/decode.h"
#include "edge/web/plain.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define PLAIN_KEPT 65536
#define TRUST_MS 86400000 /* CAs are read again after a day */

/* ---- ends ---- */

static void call_free(struct poll_call *call)
{
    buf_done(&call->body);
    free(call);
}

void poller_answer(struct poll_call *call, const struct poll_answer *answer)
{
    struct poller *poller = call->poller;
    assert(call->poller->under_way > 0);
    assert(!call->conn && list_is_empty(&call->link));
    struct reply reply = {
        .end = answer->end,
        .sent = call->sent,
        .status = answer->status,
        .body = answer->body,
        .retry_after = answer->retry_after,
        .content_type = answer->content_type,
        .replayed = answer->replayed,
    };
    if (answer->why) {
        snprintf(reply.why, sizeof reply.why, "%s", answer->why);
    }
    plain_body(str_of(answer->coding), &poller->plain, &reply);
    poller->under_way--;
    poller_stop_clock(call);
    if (call->began) {
        poller->begun--;
        poller_begin_held(poller);
    }
    call->on_reply(call->context, &reply);
    if (poller->plain.size > PLAIN_KEPT) {
        buf_done(&poller->plain);
        buf_init(&poller->plain, PLAIN_BYTES_MAX);
    }
    call_free(call);
}

void poller_fail(struct poll_call *call, enum reply_end end, const char *why)
{
    assert(end == REPLY_WHOLE || why);
    decode_label_show(call->coding);
    const struct poll_answer answer = {
        .end = end,
        .why = why,
        .status = call->status,
        .body = buf_str(&call->body),
        .retry_after = str_of(call->retry_after[0] ? call->retry_after : NULL),
        .content_type =
            str_of(call->content_type[0] ? call->content_type : NULL),
        .coding = call->coding,
    };
    poller_answer(call, &answer);
}

/* ---- slots ---- */

/** Who sends once has its whole time from here on: a row that is in doubt
 * counts on that. */
static void begin(struct poll_call *call)
{
    struct poller *poller = call->poller;
    call->began = true;
    poller->begun++;
    call->since_ms = loop_boot_ms(poller->loop);
    if (poller->once) {
        const bool runs = poller_start_clock(call);
        assert(runs); /* room for so many was reserved */
        (void)runs;
    }
    list_add_tail(&call->origin->waiting, &call->link);
    poller_turn_within(poller, 0);
}

void poller_begin_held(struct poller *poller)
{
    while (!list_is_empty(&poller->held) && !poller->closing &&
           (!poller->once || poller->begun < poller->connections_max)) {
        begin(LIST_OWNER(list_pop(&poller->held), struct poll_call, link));
    }
}

/* ---- clocks of calls ---- */

void poller_set_clock(struct poller *poller)
{
    const struct heap_entry *first = heap_first(&poller->clocks);
    const int64_t now_ms = loop_boot_ms(poller->loop);
    if (first) {
        loop_timer_set(poller->clock,
                       first->due_ms > now_ms ? first->due_ms - now_ms : 0);
    }
}

bool poller_start_clock(struct poll_call *call)
{
    struct poller *poller = call->poller;
    assert(call->timeout_ms >= 1);
    if (call->clock.place) {
        return true;
    }
    if (poller->clocks.len == poller->clocks_room) {
        const size_t room = 2 * poller->clocks_room;
        if (!heap_reserve(&poller->clocks, room)) {
            return false;
        }
        poller->clocks_room = room;
    }
    call->since_ms = loop_boot_ms(poller->loop);
    call->looked = false;
    heap_put(&poller->clocks, &call->clock, call->since_ms + call->timeout_ms);
    /* Set for an older one, it comes too early at most. */
    if (heap_first(&poller->clocks) == &call->clock) {
        poller_set_clock(poller);
    }
    return true;
}

void poller_stop_clock(struct poll_call *call)
{
    heap_remove(&call->poller->clocks, &call->clock);
}

/* ---- turns ---- */

void poller_put_back(struct poll_call *call)
{
    struct poll_origin *origin = call->origin;
    assert(call->clock.place == 0 && list_is_empty(&call->link));
    assert(!call->conn);
    call->lost++;
    call->stream = 0;
    call->status = 0;
    call->head_bytes = 0;
    call->since_ms = loop_boot_ms(origin->poller->loop);
    /* A ring has its head behind its tail. */
    list_add_tail(origin->waiting.next, &call->link);
    poller_turn_within(origin->poller, 0);
}

void poller_turn_within(struct poller *poller, int64_t wait_ms)
{
    assert(wait_ms >= 0);
    const int64_t at_ms = loop_boot_ms(poller->loop) + wait_ms;
    if (poller->closing || (poller->turn_ms && poller->turn_ms <= at_ms)) {
        return;
    }
    poller->turn_ms = at_ms;
    loop_timer_set(poller->turn, wait_ms);
}

struct tls_context *poller_tls(struct poller *poller, struct poll_trust *trust,
                               char *why, size_t why_bytes)
{
    const int64_t now_ms = loop_boot_ms(poller->loop);
    if (trust->tls && now_ms - trust->read_ms < TRUST_MS) {
        return trust->tls;
    }
    struct tls_context *tls = tls_context_open(
        trust->ca_file ? trust->ca_file : web_ca_file(),
        trust->ca_file ? NULL : web_ca_folder(), why, why_bytes);
    if (!tls && !trust->tls) {
        return NULL;
    }
    if (tls) {
        tls_context_close(trust->tls);
        trust->tls = tls;
    }
    trust->read_ms = now_ms;
    return trust->tls;
}
