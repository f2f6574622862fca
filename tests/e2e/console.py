#!/usr/bin/env python3
"""pixverse-ctl console: what it answers, and to whom."""
# tests/run: postgres kafka sanitized timeout=240

import json
import socket
import subprocess
import urllib.error
import urllib.request

import tap
from world import BIN, TMP, Program, World, fetch, wait_for

HOSTILE = '<script>alert(1)</script> \' " & \u202e 中文'
TOKEN = "a-token-of-some-length-0123456789"


class Console:
    def __init__(self, world, *flags, **settings):
        self.program = Program(
            "console", [BIN / "pixverse-ctl", "console", "--listen", "127.0.0.1:0", "--json", *flags],
            world.environment(**settings), log="console")
        world.programs.append(self.program)
        self.port = json.loads(self.program.line('{"address"'))["port"]
        self.origin = f"http://127.0.0.1:{self.port}"

    def ask(self, path, body=None, headers=(), method=None):
        """(status, headers, bytes); a POST comes as the page's own."""
        all_headers = dict(headers)
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            all_headers = {"Content-Type": "application/json", "X-Pixverse-Console": "1",
                           "Origin": self.origin, **all_headers}
        all_headers = {k: v for k, v in all_headers.items() if v is not None}
        request = urllib.request.Request(self.origin + path, data, all_headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, refused.read()

    def json(self, path, *args, **named):
        status, _, text = self.ask(path, *args, **named)
        return status, json.loads(text)


def check_pages(console):
    for path, kind in (("/", "text/html"), ("/list?state=failed", "text/html"),
                       ("/request?id=x", "text/html"), ("/console.js", "text/javascript"),
                       ("/console.css", "text/css"), ("/icon.svg", "image/svg+xml")):
        status, headers, text = console.ask(path)
        tap.check(status == 200 and headers["Content-Type"].startswith(kind) and text,
                  f"{path} is {kind}", status, headers)
        tap.check("unsafe" not in headers["Content-Security-Policy"]
                  and "default-src 'none'" in headers["Content-Security-Policy"]
                  and headers["X-Content-Type-Options"] == "nosniff"
                  and headers["X-Frame-Options"] == "DENY"
                  and headers["Referrer-Policy"] == "no-referrer", f"{path}: its policy", headers)
    tap.equal(console.ask("/secret")[0], 404, "no other page")
    tap.equal(console.ask("/../etc/passwd")[0], 404, "no file of the machine")
    tap.equal(console.ask("/", method="DELETE")[0], 405, "no other method")
    tap.equal(console.ask("/api/order", b"x" * 20000)[0], 413, "no long body")
    status, headers, text = console.ask("/", method="HEAD")
    tap.check(status == 200 and not text, "HEAD has no body", text)


def check_questions(world, console):
    status, told = console.json("/api/list?tenant=studio-a&limit=5")
    rows = [json.loads(line) for line in
            world.ctl("list", "--tenant", "studio-a", "--limit", "5", "--json").stdout.splitlines()]
    for row in [*rows, *told["rows"]]:
        row.pop("age_ms", None)
    tap.equal((status, told["rows"]), (200, rows), "the list is that of pixverse-ctl")
    tap.equal(told["command"], "pixverse-ctl list --tenant=studio-a --limit=5", "and names it")
    status, told = console.json("/api/list?state=nowhere")
    tap.check(status == 400 and "nowhere" in told["error"] and "allowed" in told["error"],
              "a word that is none: as pixverse-ctl says it", told)
    status, told = console.json("/api/list?--help=1")
    tap.equal(status, 400, "no flag but those that are known", told)
    status, told = console.json("/api/list?tenant=--json&limit=1")
    tap.equal(status, 400, "a value is never a flag", told)
    status, told = console.json("/api/show?id=console.1")
    tap.equal((status, told["rows"][0]["request_id"]), (200, "console.1"), "show", told)
    tap.equal(console.json("/api/explain?id=console.1")[1]["rows"][0]["done"], True, "explain")
    tap.equal(console.json("/api/show?id=nobody")[0], 404, "an id that is not there")
    tap.equal(console.json("/api/show?id=--help")[0], 404, "an id that looks like a flag")
    tap.equal(console.json("/api/show")[0], 400, "an id is wanted")
    status, told = console.json("/api/stats?by=tenant")
    tap.check(status == 200 and {"studio-a"} <= {row["tenant"] for row in told["rows"]}, "stats", told)
    status, told = console.json("/api/rejected")
    tap.check(status == 200 and told["rows"][0]["error"] == "not_json", "rejected", told)
    status, told = console.json("/api/overview")
    tap.check(status == 200 and told["look"]["watch"]["workers"] == 1 and told["points"]
              and told["look"]["orders"] is False, "the overview", told)


def check_live(console):
    with socket.create_connection(("127.0.0.1", console.port), 20) as peer:
        peer.sendall(b"GET /api/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        got = b""
        while got.count(b"data: ") < 2:
            more = peer.recv(65536)
            if not more:
                break
            got += more
    tap.check(b"text/event-stream" in got and got.count(b"data: {") >= 2, "looks come by themselves",
              got[-500:])


def check_video(world, console):
    video = world.event("console.1").value["videos"][0]
    path = "/api/video?id=console.1&number=0"
    status, headers, whole = console.ask(path)
    tap.check(status == 200 and len(whole) == video["bytes"]
              and headers["Content-Type"] == "video/mp4", "the video", status, headers)
    for asked, status, part, told in (
            ("bytes=0-9", 206, whole[:10], f"bytes 0-9/{len(whole)}"),
            ("bytes=10-", 206, whole[10:], f"bytes 10-{len(whole) - 1}/{len(whole)}"),
            ("bytes=-7", 206, whole[-7:], f"bytes {len(whole) - 7}-{len(whole) - 1}/{len(whole)}"),
            (f"bytes={len(whole)}-", 416, b"", None),
            ("bytes=9-3", 200, whole, None), ("lines=1-2", 200, whole, None)):
        got, headers, text = console.ask(path, headers={"Range": asked})
        tap.check((got, headers.get("Content-Range")) == (status, told) and text == part,
                  f"Range: {asked}", got, headers, len(text))
    tap.equal(console.ask("/api/video?id=console.1&number=1")[0], 404, "no second video")
    tap.equal(console.ask("/api/video?id=nobody")[0], 404, "no video of nobody's")
    secret = TMP / "secret.mp4"
    secret.write_text("not a video")
    world.query("UPDATE closed SET event = replace(event, %s, %s) WHERE id = (SELECT id FROM request"
                " WHERE request_id = 'console.2') RETURNING id",
                world.event("console.2").value["videos"][0]["uri"], f"file://{secret}")
    tap.equal(console.ask("/api/video?id=console.2")[0], 404, "nothing outside of storage")


def check_strangers(console):
    for host, status in (("127.0.0.1", 200), ("localhost:1", 200), ("[::1]:80", 200),
                         ("evil.example", 421), ("127.0.0.1.evil.example", 421), ("", 421)):
        tap.equal(console.ask("/", headers={"Host": host})[0], status, f"asked as \"{host}\": {status}")
    order = {"order": "cancel", "id": "console.1"}
    for what, headers in (("another origin", {"Origin": "http://evil.example"}),
                          ("no origin", {"Origin": "null"}),
                          ("a form", {"Content-Type": "text/plain"}),
                          ("no header of the page", {"X-Pixverse-Console": None}),
                          ("another site", {"Sec-Fetch-Site": "cross-site"})):
        tap.equal(console.ask("/api/order", order, headers=headers)[0], 403, f"an order from {what}")
    tap.equal(console.ask("/api/overview", headers={"Sec-Fetch-Site": "cross-site"})[0], 403,
              "a question from another site")
    status, told = console.json("/api/order", order)
    tap.check(status == 403 and "--allow-orders" in told["error"], "orders want --allow-orders", told)


def check_orders(world):
    console = Console(world, "--allow-orders")
    status, told = console.json("/api/order", {"order": "retry", "id": "console.bad"})
    tap.check(status == 409 and told["command"] == "pixverse-ctl retry -- console.bad"
              and told["error"], "an order that is refused says why", told)
    for body, word in (({"order": "drop", "id": "x"}, "allowed"), ({"order": "retry"}, "id"),
                       ({"order": "attach", "id": "x"}, "task"), ({"order": "pause"}, "reason")):
        status, told = console.json("/api/order", body)
        tap.check(status == 400 and word in told["error"], f"{body}: {status}", told)
    world.faults([{"on": "submit", "kind": "status", "status": 402, "count": -1}])
    world.send({"request_id": "waits.1", "request": {"prompt": "x"}})
    world.flush()
    wait_for(lambda: console.json("/api/show?id=waits.1")[0] == 200, 30, "it is stored")
    status, told = console.json("/api/order", {"order": "cancel", "id": "waits.1"})
    tap.equal(status, 200, "cancel", told)
    tap.equal(world.event("waits.1").value["error"]["kind"], "cancelled", "is carried out")
    fetch(world.sim_url + "/sim/faults", "DELETE")
    tap.equal(console.json("/api/order", {"order": "announce", "id": "console.1"})[0], 200, "announce")
    wait_for(lambda: world.pump() or len(world.events["console.1"]) == 2, 30, "the event again")
    tap.equal(console.json("/api/order", {"order": "pause", "reason": "--resume, she said"})[0], 200,
              "pause")
    tap.check("she said" in str(console.json("/api/workers")) or "operator" in
              str(console.json("/api/workers")), "workers are held")
    tap.equal(console.json("/api/order", {"order": "resume"})[0], 200, "resume")
    console.json("/api/order", {"order": "cancel", "id": "x\n127.0.0.1 ordered: forged"})
    console.program.stop()
    tap.check(not any(line.startswith("127.0.0.1") for line in console.program.text().splitlines()),
              "no asker makes a line of the log", console.program.text())
    tap.check("127.0.0.1 ordered: pixverse-ctl cancel -- waits.1: done" in console.program.text(),
              "and logged, with who asked", console.program.text())


def check_token(world):
    file = TMP / "token"
    file.write_text(TOKEN + "\n")
    console = Console(world, "--auth-token-file", str(file))
    tap.equal(console.ask("/")[0], 200, "the page has nothing to hide")
    tap.equal(console.ask("/api/overview")[0], 401, "what it shows has")
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    tap.equal(console.ask("/api/overview", headers=bearer)[0], 200, "the token opens it")
    tap.equal(console.ask("/api/overview", headers={"Authorization": "Bearer " + TOKEN[:-1]})[0],
              401, "another doesn't")
    tap.equal(console.ask("/api/login", {"token": "wrong"})[0], 403, "a wrong one is refused")
    status, headers, _ = console.ask("/api/login", {"token": TOKEN})
    cookie = headers["Set-Cookie"]
    tap.check(status == 200 and "HttpOnly" in cookie and "SameSite=Strict" in cookie, "a session",
              headers)
    session = {"Cookie": cookie.split(";")[0]}
    tap.equal(console.ask("/api/overview", headers=session)[0], 200, "opens it, too")
    tap.equal(console.ask("/api/logout", {}, headers=session)[0], 200, "and ends")
    tap.equal(console.ask("/api/overview", headers=session)[0], 401, "for good")
    environ = subprocess.run(["cat", f"/proc/{console.program.pid}/environ"],
                             capture_output=True, check=False).stdout
    tap.check(b"sk-test" not in environ, "no secret in its environment")
    console.program.stop()


def check_usage(world):
    short = TMP / "short"
    short.write_text("short")
    for flags, word in ((("--listen", "0.0.0.0:0"), "--auth-token-file"),
                        (("--listen", "[::]:0"), "--auth-token-file"),
                        (("--listen", "localhost.evil:1"), "--auth-token-file"),
                        (("--listen", "here"), "host:port"),
                        (("--auth-token-file", "/nowhere"), "/nowhere"),
                        (("--auth-token-file", short), "16"),
                        (("--host", "http://x/"), "name"), (("now",), "too many")):
        done = world.ctl("console", *flags)
        tap.check(done.returncode == 2 and word in done.stderr, f"console {flags}: says {word}",
                  done.stderr)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = world.ctl("console", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    tap.check(done.returncode == 1 and "can't listen" in done.stderr, "a port that is taken",
              done.stderr)


def check_no_database(world):
    console = Console(world, DATABASE_URL="postgresql://127.0.0.1:1/nowhere")
    status, told = console.json("/api/list")
    tap.check(status == 409 and "DATABASE_URL" in told["error"], "no database: it says so", told)
    tap.check("DATABASE_URL" in console.json("/api/overview")[1]["look"]["fault"],
              "the overview, too")
    console.program.stop()


def main():
    with World(1, partitions=1) as world:
        for i, prompt in ((1, HOSTILE), (2, "a kite")):
            world.send({"request_id": f"console.{i}", "tenant": "studio-a",
                        "request": {"prompt": prompt}})
        world.send({"request_id": "console.bad", "request": {"prompt": " "}})
        world.send(b"not json")
        world.flush()
        world.wait_events(["console.1", "console.2", "console.bad"])
        console = Console(world)
        check_pages(console)
        check_questions(world, console)
        check_live(console)
        check_video(world, console)
        check_strangers(console)
        tap.equal(console.program.stop(), 0, "it ends with 0")
        check_orders(world)
        check_token(world)
        check_usage(world)
        check_no_database(world)
    tap.end()


if __name__ == "__main__":
    main()
