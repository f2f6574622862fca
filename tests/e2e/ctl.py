#!/usr/bin/env python3
"""pixverse-ctl: what a developer types, against the whole service."""
# tests/run: postgres kafka sanitized timeout=500

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import psycopg
import tap
from world import BIN, TMP, World, fetch, wait_for

LIST_STATES = {"queued", "submitting", "running", "ready", "succeeded", "failed",
               "late", "closed"}


def lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def check_faults(world):
    done = world.ctl("submit", "--id", "bad.1", "--prompt", " ", "--duration", "77",
                     "--size", "1:9")
    tap.equal(done.returncode, 2, "a faulty request is refused", done.stderr)
    for word in ("prompt", "duration is 77", "size"):
        tap.check(word in done.stderr, f"its faults name {word}", done.stderr)
    for args, text in ((("submit", "--promt", "x"), "--prompt"),
                       (("lst",), "list"),
                       (("submit",), "--prompt"),
                       (("list", "--state", "nowhere"), "nowhere"),
                       (("show",), "request id")):
        done = world.ctl(*args)
        tap.equal(done.returncode, 2, f"{' '.join(args)}: status 2")
        tap.check(text in done.stderr, f"{' '.join(args)}: says {text}", done.stderr)
    done = world.ctl("submit", "--prompt", "x", "--dry-run", "--id", "dry.1")
    tap.equal(json.loads(done.stdout), {"request_id": "dry.1", "request": {"prompt": "x"}},
              "--dry-run prints the message")


def check_output(world):
    """What nobody could read was not told."""
    for args in (("list", "--json"), ("list", "--help"), ("--help",), ("--version",), ("man",)):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([str(BIN / "pixverse-ctl"), *args], env=world.environment(),
                                  stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        tap.check(done.returncode == 1 and "could be written" in done.stderr,
                  f"{' '.join(args)}: output that can't be written is said: status 1", done)
        ours, theirs = os.pipe()
        os.close(ours)
        done = subprocess.run([str(BIN / "pixverse-ctl"), *args], env=world.environment(),
                              stdout=theirs, stderr=subprocess.PIPE, text=True, check=False)
        os.close(theirs)
        tap.check("could be written" not in done.stderr and (args == ("man",) or done.returncode == 0),
                  f"{' '.join(args)}: a reader that has enough is no fault", done)


def check_large_sum(world):
    """A whole sum beyond 64 bits, that of a tenant: its row is there all the same."""
    before = lines(world.ctl("stats", "--json", "--by", "day,tenant,kind"))
    cost = world.query("SELECT c.cost FROM closed c JOIN request r USING (id) "
                       "WHERE r.request_id = 'one.1'")[0][0]
    for other in (1e19, cost):
        world.query("UPDATE closed SET cost = %s WHERE id = (SELECT id FROM request WHERE "
                    "request_id = 'one.1') RETURNING id", other)
        done = world.ctl("stats", "--json", "--by", "day,tenant,kind")
        tap.equal([{**row, "cost": 0} for row in lines(done)], [{**row, "cost": 0} for row in before],
                  f"a cost of {other}: stats has each day, and all else as before", done.stderr)
        tap.equal(max(row["cost"] for row in lines(done)) >= 1e19, other == 1e19, "and the sum")


def check_wait(world):
    done = world.ctl("submit", "--id", "one.1", "--prompt", "a kite", "--duration", "5",
                     "--tenant", "studio-a", "--metadata",
                     '{"shot": 1, "trace": 13027471883475847893}', "--wait",
                     timeout=90)
    tap.equal(done.returncode, 0, "--wait ends with 0", done.stdout, done.stderr)
    tap.check("one.1: completed" in done.stdout, "and says completed", done.stdout)
    tap.check("file:///" in done.stdout, "and names the video", done.stdout)

    many = TMP / "many.jsonl"
    many.write_text("".join(
        json.dumps({"request_id": f"many.{i}", "request": {"prompt": "x"}}) + "\n"
        for i in range(5)))
    with_events = world.ctl("submit", "--file", many, "--wait", "--json", timeout=90)
    tap.equal(with_events.returncode, 0, "five from a file", with_events.stderr)
    events = lines(with_events)
    tap.equal(sorted(e["request_id"] for e in events), [f"many.{i}" for i in range(5)],
              "--json prints the event of each")
    tap.equal(events[0], world.event(events[0]["request_id"]).value,
              "which is what Kafka got")

    failed = world.ctl("submit", "--id", "fails.1", "--prompt", "x", "--extend-from",
                       "task_that_is_not_there", "--wait", timeout=90)
    tap.equal(failed.returncode, 1, "a failed one ends with 1", failed.stdout, failed.stderr)
    tap.check("error  " in failed.stdout, "and says why", failed.stdout)

    again = world.ctl("submit", "--id", "one.1", "--prompt", "another", "--wait", timeout=90)
    tap.equal(again.returncode, 1, "an id for another request ends with 1")
    tap.check("request_id_reused" in again.stderr, "and says so", again.stderr)


def check_looks(world):
    def told():
        rows = [row for row in lines(world.ctl("list", "--json"))
                if row["tenant"] != "aside"]
        return rows if all(row["state"] == "closed" for row in rows) else None
    rows = wait_for(told, 30, "all rows are closed")
    tap.equal(len(rows), 7, "list has all of them")
    tap.equal({row["request_id"] for row in rows if row.get("kind")}, {"fails.1"},
              "and the kind of the failed one")
    tap.equal([row["request_id"] for row in lines(
        world.ctl("list", "--json", "--tenant", "studio-a"))], ["one.1"], "by tenant")
    tap.equal(lines(world.ctl("list", "--json", "--state", "queued", "--since", "2h")), [],
              "by state")
    tap.equal(len(lines(world.ctl("list", "--json", "--limit", "3"))), 3, "by number")
    tap.check("one.1" in world.ctl("list").stdout, "as a table")

    shown = json.loads(world.ctl("show", "one.1", "--json").stdout)
    tap.equal(shown["event"], world.event("one.1").value, "show has the event")
    tap.equal((shown["state"], shown["tenant"], shown["metadata"], shown["owes"]),
              ("closed", "studio-a", {"shot": 1, "trace": 13027471883475847893},
               "nothing"), "and the rest, digit by digit")
    tap.check("13027471883475847893" in world.ctl("show", "one.1").stdout,
              "the same as text")
    tap.check({"received", "submitted", "generated", "stored", "settled", "closed"}
              <= set(shown["times"]), "and its times", shown)
    text = world.ctl("show", "fails.1")
    tap.check("error" in text.stdout and text.returncode == 0, "as text", text.stdout)
    tap.equal(world.ctl("show", "nobody").returncode, 1, "show of an unknown id: status 1")
    tap.equal(json.loads(world.ctl("explain", "one.1", "--json").stdout),
              {"request_id": "one.1", "state": "closed", "done": True}, "explain: done")
    tap.equal(world.ctl("explain", "nobody").returncode, 1,
              "explain of an unknown id: status 1")

    seen = json.loads(world.ctl("watch", "--json", "--count", "1").stdout)
    tap.equal(set(seen["states"]) | {"closed"}, LIST_STATES, "watch counts every state")
    tap.equal(seen["workers"], 1, "and the workers")
    tap.equal(len(seen["ends"]), 7, "and has the newest ends")


def check_waiting(world):
    """Why isn't it done: put off, with no worker, and without a database."""
    world.faults([{"on": "submit", "kind": "status", "status": 402, "count": -1}])
    world.ctl("submit", "--id", "held.1", "--prompt", "x")

    def held():
        done = world.ctl("explain", "held.1", "--json")
        told = json.loads(done.stdout or "{}")
        return told if told.get("state") == "queued" and "balance" in told.get("why", "") else None
    told = wait_for(held, 30, "the hold shows")
    tap.equal((told["state"], told["done"]), ("queued", False), "explain: not done", told)
    tap.check("balance" in told["why"], "explain: because of the balance", told)
    tap.check("balance" in world.ctl("show", "held.1").stdout, "show says so too")
    tap.check("balance" in world.ctl("watch", "--count", "1").stdout, "watch shows the hold")
    world.workers[0].stop()
    world.ctl("submit", "--id", "late.1", "--prompt", "x")
    tap.equal(world.ctl("show", "late.1").returncode, 1, "unread requests are not stored")
    done = world.ctl("list", env=world.environment(
        DATABASE_URL="postgresql://nobody:s3cret@127.0.0.1:1/none"))
    tap.equal(done.returncode, 1, "without a database: status 1")
    tap.check("DATABASE_URL" in done.stderr and "s3cret" not in done.stderr,
              "and says what to look at, not the password", done.stderr)


def on_terminal(world, columns, *args, **more):
    """What pixverse-ctl writes to a terminal so wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    env = world.environment(TERM="xterm", **more)
    process = subprocess.Popen([str(BIN / "pixverse-ctl"), *args], env=env,
                               stdout=theirs, stderr=subprocess.STDOUT)
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(ours)
    process.wait(30)
    return said.decode()


def check_filters(world, kind):
    """By each word that is shown, alone and together; pages by key."""
    ids = lambda *args: [r["request_id"] for r in lines(world.ctl("list", "--json", *args))]
    message = world.event("fails.1")["error"]["message"]
    piece = message.split()[1].upper()
    tap.equal(ids("--kind", kind), ["fails.1"], "list --kind")
    tap.equal(ids("--error", piece), ["fails.1"], f"list --error {piece}", message)
    tap.equal(lines(world.ctl("list", "--json", "--kind", kind))[0]["error"], message,
              "which it shows")
    tap.check("ERROR" in world.ctl("list", "--kind", kind).stdout
              and "ERROR" not in world.ctl("list", "--tenant", "studio-a").stdout,
              "in a column, where there is one")
    tap.equal(ids("--error", "%"), [], "a percent sign is itself")
    account = json.loads(world.ctl("show", "one.1", "--json").stdout)["account"]
    tap.check("one.1" in ids("--account", account), "list --account")
    tap.equal(ids("--account", "nobody"), [], "and another one")
    tap.equal(ids("--kind", kind, "--tenant", "studio-a"), [], "all that is given must fit")
    tap.equal(ids("--kind", kind, "--state", "completed"), [], "of state and kind too")
    every = ids()
    tap.equal((ids("--older-than", "0s"), ids("--older-than", "1d")), (every, []),
              "list --older-than")
    tap.equal((ids("--since", "1d"), ids("--since", "2100-01-01")), (every, []),
              "list --since")
    pages, after = [], ()
    while page := ids("--limit", "3", *after):
        pages.append(page)
        after = ("--after", page[-1])
    tap.equal(sum(pages, []), every, "pages by key are all of it, once")
    first = world.ctl("list", "--limit", "3").stdout
    tap.check(f"3 of {len(every)}; those before: --after {every[2]}" in first,
              "the end says how many there are", first)
    last = world.ctl("list", "--limit", "3", "--after", pages[-2][-1]).stdout
    tap.check(last.endswith(f"{len(pages[-1])} of {len(every)}\n"), "the last page too", last)
    for args, status, words in (
            (("--kind", "lost"), 2, "timed_out, submit_unknown"),
            (("--error", " "), 2, "blank"), (("--tenant", "a b"), 2, "[A-Za-z0-9._-]{1,64}"),
            (("--account", ""), 2, "pixverse-ctl show"),
            (("--since", "5w"), 2, "90s, 30m, 2h or 7d"),
            (("--older-than", "yesterday"), 2, "90s, 30m, 2h or 7d"),
            (("--since", "1h", "--older-than", "2h"), 2, "both"),
            (("--limit", "0"), 2, "1..1000000"), (("--after", "nobody"), 1, "nobody")):
        done = world.ctl("list", *args)
        tap.check(done.returncode == status and words in done.stderr,
                  f"list {' '.join(args)}: refused, with what is allowed", done.stderr)


def check_tables(world):
    """Ids whole, states in colour, words as they are shown, Chinese as wide as it is."""
    plain = re.compile("\x1b\\[[0-9;]*m")
    long = "table." + "x" * 60
    world.ctl("submit", "--id", long, "--prompt", "x", "--wait", timeout=60)
    wait_for(lambda: json.loads(world.ctl("show", long, "--json").stdout)["state"] == "closed",
             20, "what was told is closed")
    narrow = plain.sub("", on_terminal(world, 50, "list"))
    task = world.event(long)["provider_task_id"]
    tap.check(long in narrow and task in narrow, "ids are whole however narrow", narrow)
    tap.check(all(head in narrow for head in ("WHEN", "TOOK")), "WHEN and TOOK", narrow)
    row = next(line for line in narrow.splitlines() if long in line)
    tap.check(len(row) < len(next(line for line in world.ctl("list").stdout.splitlines()
                                  if long in line)), "other columns give way", row)
    tap.check("\x1b[" in on_terminal(world, 200, "list"), "a terminal has colours")
    tap.check("\x1b[" not in on_terminal(world, 200, "list", NO_COLOR="1"),
              "NO_COLOR has none")
    tap.check("\x1b[" not in world.ctl("list").stdout, "nor has a pipe")

    states = lambda *words: {r["request_id"] for r in lines(world.ctl(
        "list", "--json", *(part for word in words for part in ("--state", word))))}
    kind = world.event("fails.1")["error"]["kind"]
    tap.equal(states("failed"), {"fails.1"}, "list --state failed")
    tap.equal(states(kind), {"fails.1"}, f"list --state {kind}")
    tap.equal(states(f"failed: {kind}"), {"fails.1"}, "as it is shown")
    tap.check(long in states("completed") and "fails.1" not in states("completed"),
              "list --state completed")
    tap.equal(states("completed", "failed"), states("closed"), "both are all that is told")
    tap.equal(states("queued", "timed_out"), set(), "what isn't there")
    check_filters(world, kind)

    world.query("INSERT INTO hold VALUES ('storage', 'elsewhere', 1, 1, '余额不足，请充值')"
                " RETURNING reason")
    watched = world.ctl("watch", "--count", "1", env=world.environment(LC_ALL="C"))
    tap.check("余额不足，请充值" in watched.stdout, "Chinese in the locale C", watched.stdout)
    world.query("DELETE FROM hold RETURNING reason")


def check_twice(world):
    """A file that names one id twice: one request, and an end of both."""
    same = {"request_id": "twice.1", "request": {"prompt": "x"}}
    twice = TMP / "twice.jsonl"
    twice.write_text(json.dumps(same) + "\n" + json.dumps(same) + "\n")
    done = world.ctl("submit", "--file", twice, "--wait", "--json", timeout=60)
    tap.equal((done.returncode, [(e["request_id"], e["status"]) for e in lines(done)]),
              (0, [("twice.1", "completed")]), "the same twice ends with the end of one",
              done.stderr)
    twice.write_text(json.dumps(same) + "\n"
                     + json.dumps({**same, "request": {"prompt": "another"}}) + "\n")
    done = world.ctl("submit", "--file", twice, "--wait", timeout=60)
    tap.check(done.returncode == 1 and done.stdout.count("twice.1: completed") == 1
              and done.stderr.count("request_id_reused") == 1,
              "of two that differ one is rejected", done.stdout, done.stderr)


def check_words(world):
    """Arguments that are no text, and a database without a schema."""
    done = subprocess.run([str(BIN / "pixverse-ctl"), "submit", "--prompt", b"caf\xe9",
                           "--id", "latin.1"], env=world.environment(),
                          capture_output=True, timeout=30)
    tap.equal(done.returncode, 2, "an argument that is not UTF-8 is refused")
    tap.check(b"argument 3" in done.stderr, "and named", done.stderr)
    name = "bare_" + os.urandom(4).hex()
    with psycopg.connect(world.database_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    url = world.database_url.rsplit("/", 1)[0] + "/" + name
    for words in (("list",), ("show", "x"), ("cancel", "x")):
        done = world.ctl(*words, env=world.environment(DATABASE_URL=url))
        tap.check(done.returncode == 1 and "pixverse-worker migrate" in done.stderr,
                  f"{words[0]} in an empty database says what to run", done.stderr)


def explained(world, request_id):
    done = world.ctl("explain", request_id, "--json")
    return json.loads(done.stdout) if done.stdout else {}


def begin_reasons(world):
    """What check_reasons looks at once it has waited for long."""
    world.faults([
        {"on": "download", "kind": "status", "status": 503, "count": -1, "match": "stuck."},
        {"on": "submit", "kind": "slow_job", "delay_ms": 300000, "match": "long."}])
    for request_id in ("stuck.1", "long.1"):
        world.ctl("submit", "--id", request_id, "--prompt", request_id,
                  "--tenant", "aside")


def check_reasons(world):
    """Why it isn't done: from the table, and from the worker itself."""
    def asked_owner(tell, has):
        """What was told when its owner answered, whose loop may come too late; between two
        polls: while one is under way the next has no time."""
        return wait_for(lambda: (lambda t: t if has(t) else None)(tell()), 30,
                        "progress and the next poll, as its owner knows them")
    told = asked_owner(lambda: explained(world, "long.1"),
                       lambda t: t.get("progress") is not None and t.get("next"))
    tap.equal((told["state"], told["done"]), ("running", False), "explain of a running one")
    for name in ("progress", "next", "deadline", "money", "worker"):
        tap.check(told.get(name) not in (None, ""), f"it has {name}", told)
    text = asked_owner(lambda: world.ctl("explain", "long.1").stdout,
                       lambda t: "progress" in t and "next poll" in t)
    for word in ("progress", "next poll", "deadline", "money"):
        tap.check(word in text, f"and in words: {word}", text)
    world.query("UPDATE lease SET admin = '127.0.0.1:1' RETURNING id")
    told = explained(world, "long.1")
    tap.check(told.get("not_asked") and told.get("worker") and "progress" not in told,
              "where the owner can't be asked, it is named", told)
    world.query("UPDATE lease SET admin = %s RETURNING id",
                world.workers[0].admin.removeprefix("http://"))

    wait_for(lambda: world.query("SELECT 1 FROM reason"), 60, "a reason of long standing")
    rows = world.query("SELECT word, tries, answer FROM reason")
    tap.equal(rows[0][0], "fetch_failed", "the failing download has its row")
    tap.check("503" in rows[0][2] and rows[0][1] > 3, "with its last answer", rows)
    told = explained(world, "stuck.1")
    tap.check("503" in told["why"] and told["reason"]["tries"] > 3
              and told["reason"]["times"]["next"], "explain says so", told)
    shown = json.loads(world.ctl("show", "stuck.1", "--json").stdout)
    tap.equal(shown["reason"]["word"], "fetch_failed", "show too")
    tap.check("503" in world.ctl("show", "stuck.1").stdout, "and in words")
    ready = fetch(world.workers[0].admin + "/readyz")[1].decode()
    tap.check("reason: fetch_failed: 1 task" in ready and "503" in ready, "/readyz too", ready)
    log = world.workers[0].text()
    tap.check("a task waits" in log and "reason=fetch_failed" in log, "and the log")

    told = explained(world, "fails.1")
    event = world.event("fails.1")
    tap.equal((told["done"], told["kind"], told["message"], told["billed"],
               told["retry_safe"]),
              (True, event["error"]["kind"], event["error"]["message"], event["billed"],
               event["error"]["retry_safe"]), "explain of a failed one")
    tap.check("pixverse-ctl" in told["next_step"], "and the command that follows", told)
    tap.check("next" in world.ctl("explain", "fails.1").stdout, "in words too")
    world.ctl("cancel", "long.1")
    fetch(world.sim_url + "/sim/faults", "DELETE")
    tap.equal(world.event("stuck.1")["status"], "completed", "it comes home in the end")
    wait_for(lambda: not world.query("SELECT 1 FROM reason"), 20, "and the reason goes")


def main():
    with World() as world:
        begin_reasons(world)
        check_faults(world)
        check_wait(world)
        check_looks(world)
        check_output(world)
        check_large_sum(world)
        check_tables(world)
        check_twice(world)
        check_words(world)
        check_reasons(world)
        check_waiting(world)


tap.run(main)
