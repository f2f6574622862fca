#!/usr/bin/env python3
"""pixverse-ctl: what a developer types, against the whole service."""
# tests/run: postgres kafka sanitized timeout=240

import json

import tap
from world import TMP, World, wait_for

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
        rows = lines(world.ctl("list", "--json"))
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
        return json.loads(done.stdout) if done.stdout and "balance" in done.stdout else None
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


def main():
    with World() as world:
        check_faults(world)
        check_wait(world)
        check_looks(world)
        check_waiting(world)


tap.run(main)
