#!/usr/bin/env python3
"""The simulated provider by itself: its rules, its ledger, its videos, and
every fault that can be ordered of it. Standard library only; the commands are
in $TEST_BIN (or $PIXVERSE_BIN)."""

import gzip
import hashlib
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlparse

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))
import tap  # noqa: E402
from sim import GENERATIONS, IMAGE, KEY, SIM, STATUSES, Sim, boxes  # noqa: E402

def commands():
    def refused(*args):
        done = subprocess.run([SIM, *args], capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr
    for args, words in (
            (["api", "--latency", "x"], ["--latency", "x", "2..6"]),
            (["api", "--colour", "red"], ["--colour"]),
            (["api", "--schema=maybe"], ["--schema", "maybe", "absent"]),
            (["api", "--faults", '[{"kind":"stal"}]'], ["stal", "stall"]),
            (["api", "--faults", "/nowhere"], ["/nowhere"]),
            (["broker", "--brokers", "0"], ["--brokers", "0", "1..9"]),
            (["serve"], ["serve", "api", "broker"])):
        status, text = refused(*args)
        tap.check(status == 2 and all(word in text for word in words),
                  f"a wrong command names what is wrong: {' '.join(args)[:40]}", status, text)
    for args in (["--help"], ["api", "--help"], ["broker", "--help"], ["version"]):
        tap.equal(subprocess.run([SIM, *args], capture_output=True, timeout=60).returncode, 0,
                  f"exit status of {' '.join(args)}")


REFUSED = (
    ({"duration": 20}, "invalid duration 20, allowed range: 1-15 seconds"),
    ({"duration": 0}, "invalid duration 0"),
    ({"duration": "5"}, "duration"),
    ({"duration": 1.5}, "duration"),
    ({"duration": 6, "first_frame_image": IMAGE, "last_frame_image": IMAGE}, "5, 8"),
    ({"resolution": "480p"}, "360p, 540p, 720p, 1080p"),
    ({"size": "5:4"}, "invalid size: 5:4"),
    ({"seed": -1}, "seed"),
    ({"seed": 2147483648}, "seed"),
    ({"prompt": ""}, "prompt is required"),
    ({"prompt": None}, "prompt is required"),
    ({"prompt": "字" * 5001}, "5001 characters, maximum 5000"),
    ({"negative_prompt": "x" * 2049}, "2048"),
    ({"motion_mode": "fast"}, "normal"),
    ({"audio": "yes"}, "audio"),
    ({"model": "pixverse-v5"}, "pixverse-v6"),
    ({"model": None}, "model is required"),
    ({"first_frame_image": IMAGE}, "together"),
    ({"last_frame_image": IMAGE}, "together"),
    ({"img_references": []}, "1-7"),
    ({"img_references": [IMAGE] * 8}, "1-7"),
    ({"image_urls": ["data:image/png;base64,AAAA"]}, "http"),
    ({"image_urls": ["ftp://example.com/a"]}, "http"),
    ({"image_urls": ["http://127.0.0.1/a.png"]}, "public"),
    ({"generate_multi_clip_switch": True, "img_references": [IMAGE]}, "multi_clip"),
    ({"extend_from_task_id": "task_nope"}, "not found"),
)

TAKEN = (
    ({}, (960, 540), 0.2),
    ({"prompt": "字" * 5000}, (960, 540), 0.2),
    ({"no_such_field": 1}, (960, 540), 0.2),
    ({"duration": 5.0, "size": "9:16", "resolution": "720p"}, (720, 1280), 0.25),
    ({"duration": 1, "size": "21:9", "resolution": "360p"}, (840, 360), 0.03),
    ({"duration": 15, "size": "1:1", "resolution": "1080p", "audio": True}, (1080, 1080), 2.025),
    ({"image_urls": [IMAGE], "size": "5:4", "duration": 1}, (960, 540), 0.04),
    ({"first_frame_image": IMAGE, "last_frame_image": IMAGE, "duration": 8}, (960, 540), 0.32),
    ({"img_references": [IMAGE] * 7, "size": "4:3", "duration": 2}, (720, 540), 0.08),
)


def rules(sim):
    for body, words in REFUSED:
        status, told = sim.submit(**body)
        error = told.get("error", {})
        tap.check(status == 400 and error.get("type") == "invalid_request_error"
                  and words in error.get("message", ""), f"refuses {str(body)[:50]}", told)
    for body in (b"", b"[]", b"{", b'{"model":"pixverse-v6","prompt":"\xff"}'):
        tap.equal(sim.json("POST", GENERATIONS, body)[0], 400, f"refuses the body {body[:30]}")
    tap.equal(sim.ledger()["totals"]["accepted"], 0, "nothing refused was billed")
    for body, size, cost in TAKEN:
        data = sim.over(sim.made(**body))
        video = sim.call("GET", urlparse(data["result"]["videos"][0]["url"][0]).path)[2]
        avc1 = video.index(b"avc1", video.index(b"stsd")) + 4
        got = struct.unpack(">HH", video[avc1 + 24:avc1 + 28])
        tap.check(got == size and data["cost"] == cost and data["credits_cost"] == cost * 10,
                  f"takes {str(body)[:50]}", got, data)
    source = sim.slow()
    status, told = sim.submit(extend_from_task_id=source)
    tap.check(status == 400 and "not completed" in told["error"]["message"],
              "a source must be completed", told)
    sim.over(source)
    other = sim.submit(headers={"Authorization": "Bearer sk-two"}, extend_from_task_id=source)
    tap.equal(other[0], 400, "a source must be the user's own")
    tap.equal(sim.submit(extend_from_task_id=source)[0], 200, "a completed source is extended")


def keys_and_polls(sim):
    status, told = sim.json("POST", GENERATIONS, {}, {})
    tap.equal((status, told["error"]["code"], told["error"]["type"], told["error"]["message"]),
              (401, 401, "authentication_error", "身份验证失败，请检查您的 API 密钥"),
              "no key: the documented 401")
    told = sim.json("POST", GENERATIONS + "?language=en", {}, {})[1]
    tap.check("Authentication failed" in told["error"]["message"], "?language= translates", told)
    task = sim.made()
    tap.check(re.fullmatch(r"task_[0-9A-HJKMNP-TV-Z]{26}", task), "the id is a task_ULID", task)
    status, told = sim.poll(task, {"Authorization": "Bearer sk-two"})
    tap.equal((status, told["error"]["message"]), (400, "无效的任务ID"), "another key's id: 400")
    tap.equal(sim.poll("task_nope")[0], 400, "an unknown id: 400")
    for _ in range(20):  # a busy machine may ask too late to see all of a quick one
        seen = []
        while not seen or seen[-1] != "completed":
            data = sim.poll(task)[1]["data"]
            if not seen or seen[-1] != data["status"]:
                seen.append(data["status"])
            time.sleep(0.005)
        if seen != [status for status in STATUSES if status in seen] or seen == STATUSES:
            break
        task = sim.slow()
    tap.equal(seen, STATUSES, "the statuses in order")
    tap.equal(set(data), {"id", "status", "progress", "cost", "credits_cost", "created", "completed",
                          "estimated_time", "actual_time", "result"}, "the documented fields")
    tap.check(isinstance(data["result"]["videos"][0]["url"], list)
              and data["result"]["videos"][0]["expires_at"] == data["completed"] + 86400,
              "url is an array, expires_at a day later", data)
    row = [t for t in sim.ledger()["tasks"] if t["task_id"] == task][0]
    tap.check(row["at_ms"] < row["first_completed_at_ms"] <= row["last_poll_ms"] and row["polls"] > 3,
              "the ledger has the moment of the first `completed`", row)
    kept = row["polled_ms"]
    tap.check(len(kept) == min(row["polls"], 4) and kept == sorted(set(kept))
              and kept[-1] == row["last_poll_ms"], "and of its last polls", row)
    for since, there in ((int(row["last_poll_ms"]), True), (int(row["last_poll_ms"]) + 1, False)):
        told = sim.json("GET", f"/sim/ledger?sha256=0&polled_since={since}")[1]
        tap.equal(task in [t["task_id"] for t in told["tasks"]], there,
                  "polled_since leaves out what was polled before")
    status, told = sim.json("GET", "/v1/model-schema?model=pixverse-v6&operation=video_generation")
    tap.equal(told["data"]["idempotency"]["header"], "Idempotency-Key", "model-schema")
    for path in ("/v1/user/balance", "/v1/balance"):
        told = sim.json("GET", path)[1]
        tap.check(told["success"] and told["unlimited_quota"] and told["remain_balance"] == -1,
                  f"{path} unlimited", told)
    tap.equal(sim.json("GET", "/v1/nothing")[0], 404, "another path: 404")
    tap.equal(sim.json("GET", GENERATIONS)[0], 405, "another method: 405")


def idempotency(sim):
    before = sim.ledger()["totals"]["accepted"]
    headers = {**KEY, "Idempotency-Key": "key-1"}
    body = b'{"model":"pixverse-v6","prompt":"once"}'
    first = sim.call("POST", GENERATIONS, body, headers)
    again = sim.call("POST", GENERATIONS, body, headers)
    tap.check(first[2] == again[2] and again[1]["Idempotency-Replayed"] == "true"
              and "Idempotency-Replayed" not in first[1], "same key, same bytes: a replay", again)
    status, told = sim.json("POST", GENERATIONS, body + b" ", headers)
    tap.equal((status, told["error"]["code"]), (409, "idempotency_key_reused"),
              "same key, other bytes: 409")
    tap.equal(sim.json("POST", GENERATIONS, body,
                       {"Authorization": "Bearer sk-two", "Idempotency-Key": "key-1"})[0], 200,
              "the key's scope is the API key")
    tap.equal(sim.ledger()["totals"]["accepted"], before + 2, "billed once for each API key")
    row = [t for t in sim.ledger()["tasks"] if t["key"] == "key-1"][0]
    tap.equal((row["sends"], row["billed"], row["request"]["prompt"], row["digest"]),
              (3, True, "once", hashlib.sha256(body).hexdigest()), "the ledger counts the sends")
    for key in ("a b", "x" * 192):
        tap.equal(sim.json("POST", GENERATIONS, body, {**KEY, "Idempotency-Key": key})[0], 400,
                  f"the key {key[:5]!r}… is refused")
    sim.order(on="submit", kind="delay", delay_ms=6000)
    with socket.create_connection(("127.0.0.1", sim.port)) as slow:
        slow.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-one\r\n"
                     b"Idempotency-Key: key-2\r\nContent-Length: %d\r\n\r\n%s"
                     % (GENERATIONS.encode(), len(body), body))
        while not sim.json("GET", "/sim/faults")[1][0]["hits"]:
            time.sleep(0.01)  # until it is being answered
        status, fields, told = sim.call("POST", GENERATIONS, body,
                                        {**KEY, "Idempotency-Key": "key-2"})
        tap.check(status == 409 and json.loads(told)["error"]["code"] == "idempotency_in_progress"
                  and fields["Retry-After"], "the first call still runs: 409", status, told)
        tap.check(b"200 OK" in slow.recv(4096), "and it ends well")
    tap.equal(sim.call("POST", GENERATIONS, body, {**KEY, "Idempotency-Key": "key-2"})[0], 200,
              "then the replay is answered")


def videos(sim):
    tasks = [sim.made(duration=1, prompt=str(i)) for i in range(3)]
    hashes = set()
    for task in tasks:
        path = urlparse(sim.over(task)["result"]["videos"][0]["url"][0]).path
        status, fields, video = sim.call("GET", path)
        tap.equal((status, fields["Content-Type"], int(fields["Content-Length"])),
                  (200, "video/mp4", len(video)), "a video comes whole")
        tap.equal([kind for kind, _ in boxes(video)], ["ftyp", "free", "moov", "mdat"],
                  "its boxes tile the file")
        row = [t for t in sim.ledger()["tasks"] if t["task_id"] == task][0]["videos"][0]
        tap.equal((row["sha256"], row["bytes"], row["downloads"], row["whole"]),
                  (hashlib.sha256(video).hexdigest(), len(video), 1, 1), "the ledger has its hash")
        hashes.add(row["sha256"])
    tap.equal(len(hashes), 3, "videos are distinct")
    status, fields, part = sim.call("GET", path, headers={"Range": "bytes=10-19"})
    tap.equal((status, part, fields["Content-Range"]),
              (206, video[10:20], f"bytes 10-19/{len(video)}"), "a range")
    tap.equal(sim.call("GET", path, headers={"Range": "bytes=-5"})[2], video[-5:], "its end")
    tap.equal(sim.call("GET", path, headers={"Range": "bytes=5-", "If-Range": '"x"'})[0], 200,
              "If-Range of another file: the whole")
    tap.equal(sim.call("GET", path, headers={"Range": f"bytes={len(video)}-"})[0], 416, "past its end")
    status, fields, none = sim.call("HEAD", path)
    tap.equal((status, int(fields["Content-Length"]), none), (200, len(video), b""), "HEAD")
    running = sim.slow()
    tap.equal(sim.call("GET", f"/f/video/{running[5:]}-0.mp4")[0], 404, "not made yet: 404")
    tap.equal(sim.call("GET", path.replace("-0.mp4", "-1.mp4"))[0], 404, "no such file: 404")


def http_itself(sim):
    stats = b"GET /sim/stats HTTP/1.1\r\nHost: x\r\n"
    got, _ = sim.raw(stats + b"\r\n" + stats + b"Connection: close\r\n\r\n")
    tap.equal(got.count(b"HTTP/1.1 200 OK"), 2, "pipelined requests are answered in order")
    body = b'{"model":"pixverse-v6","prompt":"chunks"}'
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer sk-one\r\n" % GENERATIONS.encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i:i + 9]), body[i:i + 9])
                      for i in range(0, len(body), 9))
    got, _ = sim.raw(head + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
                     + b"0\r\n\r\n")
    tap.check(b"200 OK" in got and b"task_" in got, "a chunked body", got)
    with socket.create_connection(("127.0.0.1", sim.port), timeout=20) as conn:
        conn.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        tap.check(conn.recv(100).startswith(b"HTTP/1.1 100"), "Expect: 100-continue")
        for i in range(len(body)):
            conn.sendall(body[i:i + 1])
        tap.check(b"200 OK" in conn.recv(4096), "a body byte by byte")
    got, end = sim.raw(head + b"Content-Length: 99999999\r\n\r\n")
    tap.check(b" 413 " in got and end == "closed", "a body too large: 413", got)
    status, told = sim.submit(prompt="x", padding="y" * 1_100_000)
    tap.equal(status, 200, "a body over 1 MiB is read")
    for bad in (b"nonsense\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n", b"GET / HTTP/1.1\r\nfoo\r\n\r\n"):
        got, end = sim.raw(bad)
        tap.check(b" 400 " in got and end == "closed", f"not HTTP: {bad[:20]}", got, end)
    got, end = sim.raw(b"GET /sim/stats HTTP/1.1\r\nX: " + b"y" * 100_000)
    tap.check(b" 431 " in got, "a head too large: 431", got)


def transport_faults(sim):
    def billed():
        return sim.ledger()["totals"]["accepted"]
    for kind, paid, ending in (("close_before_billing", 0, "closed"), ("close_after_body", 1, "closed"),
                               ("rst_before_billing", 0, "reset"), ("rst_after_body", 1, "reset"),
                               ("close_after_headers_read", 0, "closed"),
                               ("stall", 1, "open")):
        before = billed()
        sim.order(on="submit", kind=kind)
        got, end = sim.raw_submit(first=1 if kind == "stall" else 10)
        tap.check(got == b"" and end == ending and billed() == before + paid,
                  f"{kind}: {ending}, billed {paid}", got, end)
    sim.order(kind="accept_close")
    got, end = sim.raw(b"")
    tap.check(got == b"" and end == "closed", "accept_close", got, end)
    sim.order(on="submit", kind="reply_then_rst")
    got, end = sim.raw_submit()
    tap.check(b"task_" in got and end == "reset", "reply_then_rst", got, end)
    sim.order(on="submit", kind="short")
    got, end = sim.raw_submit()
    length = int(re.search(rb"Content-Length: (\d+)", got)[1])
    tap.check(len(got.split(b"\r\n\r\n", 1)[1]) == length // 2 and end == "closed",
              "short: less than announced", got)
    sim.order(on="submit", kind="slow_headers", delay_ms=20, bytes=40)
    start = time.monotonic()
    got = sim.call("POST", GENERATIONS, {"model": "pixverse-v6", "prompt": "x"})
    tap.check(got[0] == 200 and time.monotonic() - start > 0.07, "slow_headers takes its time")
    sim.order(on="submit", kind="slow_body", delay_ms=20, bytes=10)
    start = time.monotonic()
    got = sim.call("POST", GENERATIONS, {"model": "pixverse-v6", "prompt": "x"})
    tap.check(got[0] == 200 and time.monotonic() - start > 0.14, "slow_body takes its time")
    sim.order(on="submit", kind="header_flood", bytes=300000)
    sim.order(on="submit", kind="informational_flood", number=500)
    got, _ = sim.raw_submit(1)
    tap.check(len(got) > 300000, "header_flood", len(got))
    got, _ = sim.raw_submit(1)
    tap.check(got.count(b"HTTP/1.1 1") == 500 and b"200 OK" in got, "informational_flood")


def reply_faults(sim):
    for kind, status, code in (("rate_limit", 429, 429), ("unauthorized", 401, 401),
                               ("payment_required", 402, 402), ("quota_not_enough", 403, 403),
                               ("permission_error", 403, 403), ("server_error", 500, 500),
                               ("bad_gateway", 502, 502), ("service_unavailable", 503, 503),
                               ("gateway_timeout", 504, 504), ("build_request_failed", 500, 500),
                               ("idempotency_unavailable", 503, "idempotency_unavailable"),
                               ("idempotency_in_progress", 409, "idempotency_in_progress"),
                               ("idempotency_key_reused", 409, "idempotency_key_reused"),
                               ("idempotency_result_indeterminate", 409,
                                "idempotency_result_indeterminate")):
        before = sim.ledger()["totals"]["accepted"]
        sim.order(on="submit", kind=kind)
        got = sim.submit()
        tap.check((got[0], got[1]["error"]["code"]) == (status, code)
                  and sim.ledger()["totals"]["accepted"] == before, f"{kind}: {status}", got)
    sim.order(on="submit", kind="rate_limit", retry_after="soon")
    tap.equal(sim.call("POST", GENERATIONS, {})[1]["Retry-After"], "soon", "a garbage Retry-After")
    before = sim.ledger()["totals"]["accepted"]
    sim.order(on="submit", kind="status", status=502, body="<html>bad</html>", billed=True,
              headers={"Server": "cloud"})
    status, fields, text = sim.call("POST", GENERATIONS, {"model": "pixverse-v6", "prompt": "x"})
    tap.check((status, text, fields["Server"]) == (502, b"<html>bad</html>", "cloud")
              and sim.ledger()["totals"]["accepted"] == before + 1, "a 502 in HTML, after billing")
    for kind, test in (
            ("empty", lambda t: t == b""), ("html", lambda t: t.startswith(b"<!DOCTYPE")),
            ("json", lambda t: b"prepared" in t), ("nul_json", lambda t: b"\0" in t),
            ("huge_json", lambda t: len(t) > 50 * 1024 * 1024),
            ("deep_json", lambda t: t.startswith(b"[" * 10000)),
            ("not_utf8", lambda t: b"\xff" in t), ("dup_keys", lambda t: t.count(b'"task_id"') == 2),
            ("wrong_types", lambda t: json.loads(t)["code"] == "200"),
            ("truncated_json", lambda t: t.startswith(b'{"code":200') and not t.endswith(b"}")),
            ("error_in_200", lambda t: json.loads(t)["error"]["code"] == 400),
            ("no_task_id", lambda t: "task_id" not in json.loads(t)["data"][0]),
            ("empty_data", lambda t: json.loads(t)["data"] == []),
            ("long_task_id", lambda t: len(json.loads(t)["data"][0]["task_id"]) == 5005),
            ("odd_task_id", lambda t: ".." in json.loads(t)["data"][0]["task_id"]),
            ("two_ids", lambda t: len(json.loads(t)["data"]) == 2),
            ("data_object", lambda t: json.loads(t)["data"]["id"].startswith("task_")),
            ("data_object_task_id", lambda t: json.loads(t)["data"]["task_id"].startswith("task_"))):
        sim.order(on="submit", kind=kind)
        status, _, text = sim.call("POST", GENERATIONS, {"model": "pixverse-v6", "prompt": "x"})
        tap.check(status == 200 and test(text), kind, text[:200])
    for kind, status in (("created_201", 201), ("accepted_202", 202)):
        sim.order(on="submit", kind=kind)
        tap.equal(sim.submit()[0], status, kind)
    first = sim.made()
    sim.order(on="submit", kind="same_task_id")
    tap.equal(sim.made(), first, "same_task_id")


def poll_faults(sim):
    task = sim.made()
    url = sim.over(task)["result"]["videos"][0]["url"][0]

    def video(data):
        return data["result"]["videos"][0]
    for kind, test, more in (
            ("unknown_status", lambda d: d["status"] == "rendering_remix", {}),
            ("unknown_status", lambda d: d["status"] == "in_progress", {"text": "in_progress"}),
            ("backwards", lambda d: d["progress"] == 1 and d["status"] == "queued",
             {"text": "queued"}),
            ("other_id", lambda d: d["id"] != task, {}),
            ("no_cost", lambda d: "cost" not in d, {}),
            ("without_result", lambda d: "result" not in d and d["status"] == "completed", {}),
            ("without_videos", lambda d: d["result"] == {}, {}),
            ("no_expires_at", lambda d: "expires_at" not in video(d), {}),
            ("url_string", lambda d: video(d)["url"] == url, {}),
            ("url_empty_list", lambda d: video(d)["url"] == [], {}),
            ("url_empty", lambda d: video(d)["url"] == "", {}),
            ("url_null", lambda d: video(d)["url"] is None, {}),
            ("bad_url", lambda d: video(d)["url"] == ["file:///etc/passwd"],
             {"url": "file:///etc/passwd"}),
            ("url_expired", lambda d: video(d)["expires_at"] < time.time() and sim.call(
                "GET", urlparse(video(d)["url"][0]).path)[0] == 403, {})):
        sim.order(on="poll", kind=kind, match=task, **more)
        data = sim.poll(task)[1]["data"]
        tap.check(test(data), f"poll: {kind}", data)
        tap.equal(video(sim.poll(task)[1]["data"])["url"], [url], f"after {kind} all is well")
    sim.order(on="poll", kind="invalid_id", count=2)
    tap.equal([sim.poll(task)[0] for _ in range(3)], [400, 400, 200], "invalid_id twice, then OK")
    sim.order(on="poll", kind="url_string")
    tap.check(sim.poll(sim.slow())[1]["data"]["status"] in STATUSES[:3],
              "a fault of results lets running tasks pass")
    sim.clear()


def fate_faults(sim):
    sim.order(on="submit", kind="fail", code=400063, text="moderation failed")
    data = sim.over(sim.made())
    tap.equal((data["status"], data["cost"], data["error"]),
              ("failed", 0, {"code": "task_failed", "type": "task_failed",
                             "message": "pixverse error 400063: moderation failed"}), "fail")
    sim.order(on="submit", kind="fail", code=500069, text="busy", cost=0.5)
    tap.equal(sim.over(sim.made())["cost"], 0.5, "fail with a cost")
    sim.order(on="submit", kind="fail", cost=None, body="odd text")
    data = sim.over(sim.made())
    tap.check("cost" not in data and data["error"]["message"] == "odd text", "fail without cost", data)
    task = sim.made()
    sim.order(on="poll", kind="fail", match=task)
    sim.over(task)
    for kind, test in (("error_code_int", lambda e: e["code"] == 500),
                       ("error_code_empty", lambda e: e["code"] == ""),
                       ("error_code_null", lambda e: e["code"] is None),
                       ("error_code_absent", lambda e: "code" not in e)):
        sim.order(on="poll", kind=kind)
        data = sim.poll(task)[1]["data"]
        tap.check(test(data["error"]), kind, data)
    sim.order(on="submit", kind="cancel", match="call it off")
    data = sim.over(sim.made(prompt="please call it off"))
    tap.check(data["status"] == "cancelled" and "result" not in data, "cancel", data)
    sim.order(on="submit", kind="slow_job", delay_ms=600)
    start, task = time.monotonic(), sim.made()
    sim.over(task)
    tap.check(time.monotonic() - start > 0.5, "slow_job")
    sim.order(on="submit", kind="videos", number=3)
    data = sim.over(sim.made())
    sim.order(on="submit", kind="urls", number=2)
    more = sim.over(sim.made())
    urls = [u for v in data["result"]["videos"] + more["result"]["videos"] for u in v["url"]]
    files = {hashlib.sha256(sim.call("GET", urlparse(u).path)[2]).digest() for u in urls}
    tap.equal((len(urls), len(files)), (5, 5), "videos and urls: distinct files")
    row = sim.ledger()["tasks"][-1]
    tap.equal([v["sha256"] for v in row["videos"]],
              [hashlib.sha256(sim.call("GET", urlparse(v["url"]).path)[2]).hexdigest()
               for v in row["videos"]], "the ledger has them all")


def download_faults(sim):
    task = sim.made(duration=1)
    url = sim.over(task)["result"]["videos"][0]["url"][0]
    path = urlparse(url).path
    video = sim.call("GET", path)[2]
    request = b"GET %s HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode()

    def raw(kind, **more):
        sim.order(on="download", kind=kind, **more)
        got, end = sim.raw(request, 1)
        head, _, body = got.partition(b"\r\n\r\n")
        return head, body, end
    head, body, end = raw("short")
    tap.check(body == video[:len(video) // 2] and b"Content-Length: %d" % len(video) in head
              and end == "closed", "short")
    head, body, end = raw("early_close")
    tap.check(body == video[:len(video) // 2] and b"Length" not in head, "early_close")
    head, body, end = raw("no_length")
    tap.check(body == video and b"Length" not in head and end == "closed", "no_length, but whole")
    head, body, end = raw("longer")
    tap.check(body == video and b"Content-Length: %d" % (len(video) // 2) in head, "longer")
    sim.order(on="download", kind="chunked")
    tap.equal(sim.call("GET", path)[2], video, "chunked")
    head, body, end = raw("bad_chunked")
    tap.check(b"chunked" in head and b"zz\r\n" in body and end == "closed", "bad_chunked")
    head, body, end = raw("gzip")
    tap.check(gzip.decompress(body) == video and b"gzip" in head, "gzip")
    head, body, end = raw("gzip_bomb")
    unpacked = gzip.decompress(body)
    tap.check(len(unpacked) >= 32 * 1024 * 1024 and len(body) < 300_000 and not any(unpacked[:9999]),
              "gzip_bomb", len(body))
    head, body, end = raw("zero_byte")
    tap.check(body == b"" and b"Content-Length: 0" in head, "zero_byte")
    head, body, end = raw("partial_206")
    tap.check(b" 206 " in head and body == video[:len(video) // 2], "partial_206")
    head, body, end = raw("whole_206")
    tap.check(b" 206 " in head and body == video
              and b"bytes 0-%d/%d" % (len(video) - 1, len(video)) in head, "whole_206")
    head, body, end = raw("other_203")
    tap.check(b" 203 " in head and body == video, "other_203")
    head, body, end = raw("coding")
    tap.check(b"Content-Encoding: aws-chunked" in head and body == video, "coding")
    head, body, end = raw("garbage", bytes=1000)
    tap.check(len(body) == 1000 and b"video/mp4" in head, "garbage")
    for kind, word in (("html", b"<!DOCTYPE"), ("json", b"prepared")):
        head, body, end = raw(kind)
        tap.check(b" 200 " in head and word in body, f"download: {kind}")
    for status in (403, 404, 410, 500, 503):
        head, body, end = raw("status", status=status)
        tap.check(b" %d " % status in head, f"download: {status}")
    head, body, end = raw("redirect", url="http://10.0.0.1/x")
    tap.check(b" 302 " in head and b"Location: http://10.0.0.1/x" in head, "redirect")
    head, body, end = raw("redirect_loop")
    tap.check(b"Location: http://h" + path.encode() in head, "redirect_loop")
    sim.order(on="download", kind="different_bytes", after=1)
    same, other = sim.call("GET", path)[2], sim.call("GET", path)[2]
    tap.check(same == video and other != video and [k for k, _ in boxes(other)][0] == "ftyp",
              "different bytes at the second download")
    sim.order(on="download", kind="slow_body", delay_ms=50, bytes=len(video) // 3)
    start = time.monotonic()
    tap.check(sim.call("GET", path)[2] == video and time.monotonic() - start > 0.1, "slow_body")
    tap.equal(sim.ledger()["tasks"][0]["videos"][0]["sha256"], hashlib.sha256(video).hexdigest(),
              "the ledger's hash is that of the true file")


def orders(sim):
    for body, word in (([{"kind": "stal"}], "stal"), ([{"kind": "stall", "delay": 1}], "delay_ms"),
                       ([{"kind": "stall", "on": "poll|x"}], "poll|x"),
                       ([{"kind": "status", "status": 99}], "200..599"), ("x", "list"),
                       ([{"kind": "invalid_id", "on": "submit"}], "on"),
                       ([{"kind": "stall", "rate": 2}], "0 to 1")):
        status, told = sim.json("POST", "/sim/faults", json.dumps(body).encode())
        tap.check(status == 400 and word in told["error"]["message"], f"refuses {body}", told)
    tap.equal(sim.json("GET", "/sim/faults")[1], [], "and orders none of them")
    sim.order(on="schema", kind="status", status=503, count=-1, rate=0.5)
    got = [sim.json("GET", "/v1/model-schema?model=pixverse-v6")[0] for _ in range(100)]
    listed = sim.json("GET", "/sim/faults")[1][0]
    tap.check(20 < got.count(503) < 80 and listed["hits"] == got.count(503) and listed["left"] == -1,
              "rate and count", listed)
    sim.clear()
    sim.order(on="balance", kind="json", body={"success": False, "message": "no"})
    tap.equal(sim.json("GET", "/v1/balance")[1]["success"], False, "a balance that fails")
    sim.made()
    sim.json("POST", "/sim/reset")
    tap.equal((sim.ledger()["tasks"], sim.ledger()["totals"]["posts"]), ([], 0), "reset")


def options():
    # What is to fail has its money until then.
    with Sim("--latency", "5", "--balance", "0.45", "--key", "sk-one", "--url-ttl", "1") as sim:
        tap.equal(sim.submit(headers={"Authorization": "Bearer sk-two"})[0], 401, "--key")
        task = sim.made()
        sim.order(on="submit", kind="fail", code=1, text="x")
        failed = sim.made()
        status, told = sim.submit()
        tap.equal((status, told["error"]), (403, {
            "code": 403, "message": "insufficient quota: balance=0.05, required=0.2",
            "type": "quota_not_enough"}), "--balance: 403")
        sim.over(failed)
        tap.equal(sim.json("GET", "/v1/balance")[1]["remain_balance"], 0.25, "a failure is refunded")
        tap.equal(sim.submit()[0], 200, "and the money can be spent")
        path = urlparse(sim.over(task)["result"]["videos"][0]["url"][0]).path
        time.sleep(1.1)
        tap.equal(sim.call("GET", path)[0], 403, "--url-ttl: expired")
    tap.equal(sim.status, 0, "SIGTERM: exit 0")
    with Sim("--no-idempotency", "--latency", "0", "--video-bytes", "3000000..4000000",
             "--public-url", "http://cdn.example/") as sim:
        tap.check(sim.line.startswith("listening on http://127.0.0.1:"), "the ready line", sim.line)
        first, again = sim.made(key="k"), sim.made(key="k")
        tap.check(first != again, "--no-idempotency: each POST is billed")
        told = sim.json("GET", "/v1/model-schema?model=pixverse-v6")[1]
        tap.check("idempotency" not in told["data"], "and the schema says so", told)
        url = sim.over(first)["result"]["videos"][0]["url"][0]
        tap.check(url.startswith("http://cdn.example/f/video/"), "--public-url", url)
        path = urlparse(url).path
        early = sim.ledger()["tasks"][0]["videos"][0]
        video = sim.call("GET", path)[2]
        late = sim.call("GET", urlparse(sim.over(again)["result"]["videos"][0]["url"][0]).path)[2]
        rows = sim.ledger()["tasks"]
        tap.check(3000000 <= len(video) <= 4000000 and boxes(video)[-1][0] == "mdat"
                  and early["sha256"] == hashlib.sha256(video).hexdigest()
                  and rows[1]["videos"][0]["sha256"] == hashlib.sha256(late).hexdigest(),
                  "--video-bytes: hashed before and while it is served")
        tap.equal(sim.call("GET", path, headers={"Range": "bytes=2999990-"})[2], video[2999990:],
                  "a range of the padding")
    with Sim("--latency", "6", "--concurrency", "2") as sim:  # till all are there
        tasks = [sim.made() for _ in range(3)]
        ends = [sim.over(task) for task in tasks]
        tap.equal([e["status"] for e in ends], ["completed", "completed", "failed"],
                  "--concurrency: tasks above the limit fail")
        tap.check("500044" in ends[2]["error"]["message"] and ends[2]["cost"] == 0, "for free", ends)
        tap.equal(sim.over(sim.made())["status"], "completed", "and later ones don't")
        tap.equal(sim.ledger()["totals"]["running_peak"], 2, "the peak is in the ledger")
    with Sim("--latency", "60", "--key", "sk-one;balance=0.45", "--key", "sk-two;slots=2") as sim:
        one, two = ({"Authorization": f"Bearer sk-{name}"} for name in ("one", "two"))
        tasks = [sim.submit(headers=two)[1]["data"][0]["task_id"] for _ in range(3)]
        tap.equal([sim.submit(headers=one)[0] for _ in range(3)], [200, 200, 403], "own balance")
        tap.equal(sim.over(tasks[2], headers=two)["status"], "failed", "and slots of a key")
        tap.equal([k["accepted"] for k in sim.ledger()["totals"]["keys"]], [3, 2], "keys apart")
    for mode, test in (("absent", lambda s, t: s == 404),
                       ("lie", lambda s, t: "idempotency" in t["data"]),
                       ("no", lambda s, t: "idempotency" not in t["data"])):
        with Sim("--schema", mode) as sim:
            got = sim.json("GET", "/v1/model-schema?model=pixverse-v6")
            tap.check(test(*got), f"--schema {mode}", got)
            tap.equal(sim.made(key="k") == sim.made(key="k"), mode != "lie", f"keys under {mode}")
    with Sim("--retention", "0", "--faults", '[{"on":"poll","kind":"stall"}]') as sim:
        tap.check(sim.made(key="k") != sim.made(key="k"), "--retention: a key is forgotten")
        tap.equal(len(sim.json("GET", "/sim/faults")[1]), 1, "--faults")


def broker():
    process = subprocess.Popen([SIM, "broker"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True)
    line = process.stdout.readline()
    tap.check(re.fullmatch(r"bootstrap 127\.0\.0\.1:\d+\n", line), "the broker says where it is", line)
    port = int(line.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as conn:
        conn.sendall(struct.pack(">ihhih", 15, 3, 1, 7, 1) + b"x" + struct.pack(">i", -1))
        got = b""
        while len(got) < 4 or len(got) < 4 + struct.unpack(">i", got[:4])[0]:
            got += conn.recv(65536)
        tap.check(all(b"pixverse." + name in got for name in
                      (b"requests", b"events", b"progress", b"rejected")), "and has the topics", got)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    tap.check(process.returncode == 0 and "mock cluster" in said, "and ends on SIGTERM", said)


def main():
    commands()
    for part in (rules, keys_and_polls, idempotency, videos, http_itself, transport_faults,
                 reply_faults, poll_faults, fate_faults, download_faults, orders):
        with Sim("--latency", "0.15..0.2") as sim:
            part(sim)
        tap.equal(sim.status, 0, f"{part.__name__}: a clean end")
    options()
    broker()


tap.run(main)
