#!/usr/bin/env python3
# tests/run: postgres kafka long on_s3 timeout=400
"""What may be served for a video: only the whole one is stored, byte for byte."""

import matrix
import tap
from matrix import Case

TWICE = {"count": 2}

CASES = [
    Case(kind, {"kind": kind, **TWICE}) for kind in (
        "close_before_billing", "rst_before_billing",
        "close_after_body", "rst_after_body", "header_flood", "informational_flood",
        "short", "early_close", "bad_chunked", "bad_gateway",
        "service_unavailable", "gateway_timeout", "partial_206",
        "redirect_loop")
] + [
    # Whole by their length, and no video: asked for again soon, then seldom.
    Case(kind, {"kind": kind}) for kind in (
        "longer", "empty", "html", "json", "huge_json", "garbage", "zero_byte",
        "gzip_bomb")
] + [
    # Whole, whatever the label and the status say.
    Case(name, {"kind": kind, "count": -1, **more}) for name, kind, more in (
        ("packed", "gzip", {}), ("whole_206", "whole_206", {}), ("other_203", "other_203", {}),
        ("framed_label", "coding", {}), ("no_label", "coding", {"text": ""}),
        ("gzip_label", "coding", {"text": "gzip"}),
        ("odd_label", "coding", {"text": "nonsense"}))
] + [
    # Whole, if oddly sent.
    Case("closed_before_body", {"kind": "close_after_headers_read", "match": ""}),
    Case("no_length", {"kind": "no_length"}),
    Case("chunked", {"kind": "chunked"}),
    Case("reply_then_close", {"kind": "reply_then_close"}),
    Case("slow", {"kind": "slow_body", "bytes": 16384, "delay_ms": 50}),
    Case("delayed", {"kind": "delay", "delay_ms": 3000}),
] + [
    Case(f"status_{status}", {"kind": "status", "status": status, **TWICE})
    for status in (400, 401, 403, 404, 410, 416, 429, 500, 529)
] + [
    Case(f"redirect_{name}", {"kind": "redirect", "url": url, **TWICE}) for name, url in (
        ("link_local", "http://169.254.169.254/latest/meta-data"),
        ("mapped", "http://[::ffff:169.254.169.254]/"),
        ("decimal", "http://2852039166/"),
        ("file", "file:///etc/passwd"),
        ("gopher", "gopher://127.0.0.1:11211/_stats"),
        ("user", "http://user:pass@127.0.0.1/"),
        ("nonsense", "::"))
] + [
    Case("two_videos", {"on": "poll", "kind": "videos", "number": 3},
         {"kind": "short"}, videos=3),
    Case("spaced_url", {"on": "poll", "kind": "url_spaced", "count": -1}),
    Case("two_urls", {"on": "poll", "kind": "urls", "number": 2}, {"kind": "garbage"},
         videos=2),
    Case("url_as_string", {"on": "poll", "kind": "url_string", "count": -1},
         {"kind": "early_close"}),
    # Another file than the first time: what is stored is one of them, whole.
    Case("other_bytes", {"kind": "different_bytes", "after": 1},
         {"kind": "short"}, served=False),
]

tap.run(lambda: matrix.run(CASES, "download", limit_s=150))
