#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=400
"""What the provider may do to a poll: nothing but its own word ends a task, and
whatever else it says, the task is polled on and its video comes home."""

import matrix
import tap
from matrix import Case

TWICE = {"count": 2}

CASES = [
    Case(kind, {"kind": kind, **TWICE}) for kind in (
        "close_before_billing", "rst_after_body",
        "reply_then_rst", "reply_then_close", "stall", "slow_headers", "slow_body",
        "header_flood", "informational_flood", "short", "early_close", "no_length",
        "longer", "chunked", "bad_chunked", "unauthorized", "payment_required",
        "permission_error", "rate_limit", "server_error", "bad_gateway",
        "service_unavailable", "gateway_timeout", "redirect", "empty", "html", "json",
        "truncated_json", "huge_json", "deep_json", "nul_json", "not_utf8", "dup_keys",
        "wrong_types", "unknown_status", "backwards", "other_id", "without_result",
        "without_videos", "no_cost", "no_expires_at", "url_string", "url_empty_list",
        "url_empty", "url_null")
] + [
    # The path of a poll says nothing of its prompt: these strike whom they meet.
    Case("closed_before_body", {"kind": "close_after_headers_read", "match": "",
                                "count": 3}),
    Case("packed", {"kind": "gzip", "count": -1}),
    Case("labelled", {"kind": "coding", "text": "gzip", "count": -1}),
    Case("url_expired", {"kind": "url_expired"}),
    Case("url_expired_ever", {"kind": "url_expired", "count": -1}, ends="asset_expired",
         billed="yes", retry_safe=False),
    Case("denied_thrice", {"kind": "invalid_id", "count": 3}),
    Case("denied_often", {"kind": "invalid_id", "count": 8}),
    Case("page_of_a_gateway", {"kind": "status", "status": 503, "count": 3,
                               "body": "<html><body>down</body></html>"}),
    Case("error_in_200_401", {"kind": "error_in_200", "code": 401, "count": 2}),
    Case("url_of_metadata", {"kind": "bad_url", "url": "http://169.254.169.254/latest"}),
    Case("url_of_a_file", {"kind": "bad_url", "url": "file:///etc/hostname"}),
    Case("url_unreadable", {"kind": "bad_url", "url": "::not a url"}),
    # A proxy denies nothing, however often it says so.
    Case("page_404", {"kind": "html", "status": 404, "count": 6}),
    Case("finished", {"kind": "status_word", "text": "FINISHED", "count": -1}),
    Case("unknown_word_with_url", {"kind": "status_word", "text": "rendered", "count": -1}),
    Case("cost_text", {"kind": "cost_text", "count": -1}, billed="yes"),
    Case("failure", {"kind": "fail"}, {"kind": "status_word", "text": "FAILURE",
         "count": -1}, ends="provider_failed", billed="no", retry_safe=True),
    Case("failed_cost_text", {"kind": "fail"}, {"kind": "cost_text", "count": -1},
         ends="provider_failed", billed="no", retry_safe=True),
    # Its own word.
    Case("cancelled", {"kind": "cancel"}, ends="cancelled", billed="no", retry_safe=True),
    Case("cancelled_paid", {"kind": "cancel", "cost": 0.2}, ends="cancelled",
         billed="yes", retry_safe=False),
    Case("failed_paid", {"kind": "fail", "cost": 0.2}, ends="provider_failed",
         billed="yes", retry_safe=False),
    Case("failed_unpaid", {"kind": "fail"}, ends="provider_failed", billed="no",
         retry_safe=True),
    Case("failed_silently", {"kind": "fail", "cost": None}, ends="provider_failed",
         billed="unknown", retry_safe=False),
    Case("moderated", {"kind": "fail", "text": "content moderation failed"},
         ends="moderation", retry_safe=False),
    Case("odd_message", {"kind": "fail", "body": "\u4e0d\u660e"}, ends="provider_failed",
         billed="no", retry_safe=True),
] + [
    Case(kind, {"kind": "fail"}, {"kind": kind, "count": -1}, ends="provider_failed",
         billed="no", retry_safe=True) for kind in (
        "error_code_int", "error_code_empty", "error_code_null", "error_code_absent")
]

tap.run(lambda: matrix.run(CASES, "poll", limit_s=150))
