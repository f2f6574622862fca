#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=400
"""What the provider may do to a submission, beyond replies.py: a doubt is replayed
under its key and finds what was bought; a refusal settles; nothing is paid twice."""

import matrix
import tap
from matrix import Case

NO_BILL = {"billed": "no", "retry_safe": True, "bought": 0}

CASES = [
    # The connection.
    Case("closed_before_body", {"kind": "close_after_headers_read", "match": ""}),
    Case("closed_unbilled", {"kind": "close_before_billing"}),
    Case("reset_unbilled_thrice", {"kind": "rst_before_billing", "count": 3}),
    Case("reset_billed_thrice", {"kind": "rst_after_body", "count": 3}),
    Case("reply_then_reset", {"kind": "reply_then_rst"}),
    Case("reply_then_closed", {"kind": "reply_then_close"}),
    Case("stalled", {"kind": "stall"}),
    Case("delayed", {"kind": "delay", "delay_ms": 1500}),
    Case("delayed_beyond_limit", {"kind": "delay", "delay_ms": matrix.SUBMIT_MS + 2000}),
    Case("slow_headers", {"kind": "slow_headers"}),
    Case("slow_body", {"kind": "slow_body"}),
    Case("header_flood", {"kind": "header_flood"}),
    Case("informational_flood", {"kind": "informational_flood"}),
    Case("short", {"kind": "short"}),
    Case("early_close", {"kind": "early_close"}),
    Case("no_length", {"kind": "no_length"}),
    Case("longer", {"kind": "longer"}),
    Case("chunked", {"kind": "chunked"}),
    Case("bad_chunked", {"kind": "bad_chunked"}),
    # Answers.
    Case("status_405", {"kind": "status", "status": 405}, ends="invalid_request", **NO_BILL),
    Case("status_411", {"kind": "status", "status": 411}, ends="invalid_request", **NO_BILL),
    Case("status_413", {"kind": "status", "status": 413}, ends="invalid_request", **NO_BILL),
    Case("status_422", {"kind": "status", "status": 422}, ends="invalid_request", **NO_BILL),
    Case("status_431", {"kind": "status", "status": 431}, ends="invalid_request", **NO_BILL),
    Case("status_404", {"kind": "status", "status": 404}, ends="submit_refused", **NO_BILL),
    Case("moderated", {"kind": "status", "status": 400,
                       "text": "content moderation: the prompt violates our policy"},
         ends="moderation", billed="no", retry_safe=False, bought=0),
    Case("throttled_oddly", {"kind": "rate_limit", "retry_after": "soon"}),
    Case("status_418", {"kind": "status", "status": 418}),
    Case("status_529", {"kind": "status", "status": 529}),
    Case("gateway_timeout_billed", {"kind": "gateway_timeout", "billed": True}),
    Case("unavailable_billed", {"kind": "service_unavailable", "billed": True}),
    Case("keys_unavailable", {"kind": "idempotency_unavailable"}),
    # The provider itself can't tell: no replay would learn more.
    Case("key_reused", {"kind": "idempotency_key_reused"}, ends="submit_unknown",
         billed="unknown", retry_safe=False, bought=0),
    Case("indeterminate", {"kind": "idempotency_result_indeterminate"},
         ends="submit_unknown", billed="unknown", retry_safe=False, bought=0),
    Case("indeterminate_billed",
         {"kind": "idempotency_result_indeterminate", "billed": True},
         ends="submit_unknown", billed="unknown", retry_safe=False, bought=1),
    Case("error_in_200", {"kind": "error_in_200", "code": 400}, ends="invalid_request",
         **NO_BILL),
    Case("json", {"kind": "json"}),
    Case("huge_json", {"kind": "huge_json"}),
    Case("deep_json", {"kind": "deep_json"}),
    Case("nul_json", {"kind": "nul_json"}),
    Case("not_utf8", {"kind": "not_utf8"}),
    Case("wrong_types", {"kind": "wrong_types"}),
    Case("packed", {"kind": "gzip"}),
    Case("packed_bomb", {"kind": "gzip_bomb"}),
    Case("labelled", {"kind": "coding", "text": "br"}),
    # Accepted, and told oddly.
    Case("empty_data", {"kind": "empty_data"}),
    Case("long_task_id", {"kind": "long_task_id"}),
    Case("odd_task_id", {"kind": "odd_task_id"}),
    Case("data_object_task_id", {"kind": "data_object_task_id"}),
    Case("accepted_202", {"kind": "accepted_202"}),
    # Told at the top, or as relays tell it: an id is evidence.
    Case("id_at_the_top", {"kind": "json", "body": '{"task_id":"{id}","status":"queued"}'}),
    Case("id_beside_another", {"kind": "json", "body":
         '{"id":"resp-1","data":{"id":"b","task_id":"{id}"}}'}),
    # Flat: a refusal by its code, never by its words; balance and firewalls are holds.
    Case("flat_refused", {"kind": "json", "billed": False, "body":
         '{"code":"invalid_request_error","message":"invalid duration","data":null}'},
         ends="invalid_request", **NO_BILL),
    Case("flat_words", {"kind": "json", "body":
         '{"success":false,"message":"user quota is not enough"}'}),
    Case("detail_moderated", {"kind": "json", "status": 400, "billed": False, "body":
         '{"detail":"prompt contains sensitive content"}'},
         ends="moderation", billed="no", retry_safe=False, bought=0),
    Case("flat_balance", {"kind": "json", "status": 403, "billed": False, "body":
         '{"code":"quota_not_enough","message":"user quota is not enough","data":null}'}),
    Case("firewall_403", {"kind": "html", "status": 403, "billed": False}),
    Case("misrouted_404", {"kind": "json", "status": 404, "billed": False, "body":
         '{"message":"no Route matched with those values"}'}),
    # A refusal speaks only for its own send: the one before it was billed.
    Case("lost_then_refused", {"kind": "rst_after_body"},
         {"kind": "status", "status": 400}),
    Case("lost_then_not_found", {"kind": "rst_after_body"},
         {"kind": "status", "status": 404}),
]

tap.run(lambda: matrix.run(CASES, "submit", limit_s=150))
