#!/usr/bin/env python3
"""What ended long ago: counted, pruned, forgotten; rows are made old by SQL."""
# tests/run: postgres kafka timeout=240

import json
import time

import tap
from clock import clear_of_midnight
from world import World, wait_for

DAY_MS = 86400000


def json_lines(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def shown(world, command, request_id):
    done = world.ctl(command, request_id, "--json")
    return json.loads(done.stdout) if done.returncode == 0 else {}


def by_kind(world, *flags):
    rows = json_lines(world.ctl("stats", "--by", "kind", "--json", *flags))
    return {row["kind"]: row["count"] for row in rows}


def make_old(world, days, *ids):
    world.query("UPDATE closed SET closed_ms = closed_ms - %s WHERE id IN (SELECT id FROM "
                "request WHERE request_id = ANY (%s)) RETURNING id", days * DAY_MS, list(ids))
    world.query("UPDATE request SET received_ms = received_ms - %s, seen_ms = received_ms - %s "
                "WHERE request_id = ANY (%s) RETURNING id", days * DAY_MS, days * DAY_MS,
                list(ids))


def numbers(world):
    return world.query("SELECT count(*) FILTER (WHERE pruned_ms IS NOT NULL), count(*) "
                       "FROM request")[0]


def ask(world, *ids, age_ms=0):
    produced_ms = int(time.time() * 1000) - age_ms if age_ms else 0
    for request_id in ids:
        world.send({"request_id": request_id, "request": {"prompt": request_id}},
                   produced_ms=produced_ms)
    world.flush()


def check_usage(world):
    for flags, words in ((("--by", "colour"), "allowed: day, tenant, account, mode, kind"),
                         (("--since", "soon"), "allowed: a date as 2026-11-22"),
                         (("--since", "2026-11-23", "--until", "2026-11-22"), "is after"),
                         (("ids",), "takes flags only")):
        done = world.ctl("stats", *flags)
        tap.equal((done.returncode, words in done.stderr), (2, True),
                  f"stats {' '.join(flags)}: refused in words", done.stderr)
    table = world.ctl("stats", "--by", "day,tenant,mode,kind").stdout
    tap.check("DAY" in table and "completed" in table and "text_to_video" in table,
              "a table for people", table)


def check_pruned(world):
    row = shown(world, "show", "old-0")
    tap.equal((row.get("state"), sorted(row.get("times", {}))),
              ("pruned", ["pruned", "received"]), "show says pruned, and when", row)
    tap.check("was pruned at" in world.ctl("show", "old-0").stdout, "to people, too")
    tap.equal(shown(world, "explain", "old-0").get("state"), "pruned", "and so does explain")
    for command in (("retry", "old-0"), ("retry", "old-0", "--pay-again"), ("cancel", "old-0"),
                    ("attach", "old-0", "task_x")):
        done = world.ctl(*command)
        tap.equal((done.returncode, "was pruned at" in done.stderr), (1, True),
                  f"{' '.join(command)}: refused", done.stderr)
    left = world.query("SELECT tenant, body, metadata, traceparent FROM request WHERE "
                       "request_id = 'old-0'")[0]
    tap.equal(tuple(left), (None, None, None, None), "of the request nothing else is left")
    tap.equal(world.query("SELECT count(*) FROM closed WHERE kind = 0")[0][0], 1,
              "younger history stays")


def rejected(world, reader, request_id):
    def come():
        message = reader.poll(0.1)
        if message and not message.error() and request_id.encode() in (message.value() or b""):
            return dict(message.headers())
        return None
    return wait_for(come, 30, f"{request_id} is rejected")


def check_prune(world):
    """By hand what the workers' lane does: the youngest end, with nobody there."""
    for flags, words in (((), "HISTORY_DAYS is 0"), (("--before", "soon"), "90s"),
                         (("--before", "2100-01-01"), "future"), (("now",), "word too many")):
        done = world.ctl("prune", *flags)
        tap.check(done.returncode == 2 and words in done.stderr, f"prune {flags}: refused", done)
    before = by_kind(world)
    left = world.query("SELECT count(*) FROM closed")[0][0]
    for words in (("prune", "--before", "2026-02-30", "--yes"),
                  ("prune", "--before", "2026-11-31T03:00:00", "--yes"),
                  ("rewind", "--to", "2026-11-31T03:00:00Z"), ("stats", "--since", "2026-02-30")):
        done = world.ctl(*words)
        tap.equal(done.returncode, 2, f"{words[0]}: {words[2]} is no day", done.stdout, done.stderr)
    dry = world.ctl("prune", "--before", "1s", "--dry-run")
    tap.check(f"would prune the history of {left} request" in dry.stdout
              and world.query("SELECT count(*) FROM closed")[0][0] == left,
              "prune --dry-run counts and takes nothing", dry)
    none = world.ctl("prune", "--yes", env=world.environment(HISTORY_DAYS="30"))
    tap.check(none.returncode == 0 and "nothing ended before" in none.stdout,
              "beyond HISTORY_DAYS there is nothing", none)
    done = world.ctl("prune", "--before", "1s", "--yes", "--json")
    tap.equal((done.returncode, json_lines(done)[0]["pruned"]), (0, left), "prune takes them",
              done.stderr)
    tap.equal((shown(world, "show", "young").get("state"), by_kind(world)), ("pruned", before),
              "and what stats counts stays")


def main():
    clear_of_midnight(60)
    # Kafka keeps what is older than a week, too, till it is read.
    with World(workers=0, latency="0.1", topics={"retention.ms": "-1"}) as world:
        reader = world.reader("rejected")
        worker = world.start_worker()
        old = [f"old-{i}" for i in range(3)]
        ask(world, *old, "young")
        world.send({"request_id": "faulty", "request": {"prompt": ""}})
        world.flush()
        world.wait_events([*old, "young", "faulty"])
        wait_for(lambda: by_kind(world) == {"completed": 4, "invalid_request": 1}, 20,
                 "all are told")
        rows = json_lines(world.ctl("stats", "--json"))
        tap.equal((len(rows), rows[0]["count"], rows[0]["completed"]), (1, 5, 4),
                  "what ended today is read live", rows)
        money = rows[0]["cost"]
        tap.equal(sum(b["count"] for b in rows[0]["latency"]), 5, "each is in one bucket")
        check_usage(world)
        worker.stop()

        make_old(world, 40, *old, "faulty")
        worker = world.start_worker(HISTORY_DAYS="30", IDS_DAYS="60")
        wait_for(lambda: numbers(world)[0] == 4, 60, "old ones are pruned")
        tap.equal(by_kind(world), {"completed": 4, "invalid_request": 1},
                  "what is pruned stays counted")
        day = world.query("SELECT day::text FROM stat LIMIT 1")[0][0]
        tap.equal(by_kind(world, "--since", day, "--until", day),
                  {"completed": 3, "invalid_request": 1}, "on the day of its end")
        sums = [row["cost"] for row in json_lines(world.ctl("stats", "--json"))]
        tap.equal(round(sum(sums), 6), round(money, 6), "and so does what it cost")
        check_pruned(world)
        wait_for(lambda: "history days_counted=0 pruned=4" in worker.text(), 20,
                 "a line in the log")
        tap.equal(world.metric(worker, "pixverse_history_pruned_total"), 4, "and a metric")

        bought = len(world.ledger()["tasks"])
        ask(world, "old-0")
        world.send({"request_id": "old-1", "request": {"prompt": "something else"}})
        world.flush()
        tap.equal(rejected(world, reader, "old-1")["error"], b"request_id_reused",
                  "a pruned id is not free for something else")
        ask(world, "ancient", age_ms=61 * DAY_MS)
        headers = rejected(world, reader, "ancient")
        tap.equal(headers["error"], b"too_old", "an older message of an unknown id: too_old")
        tap.check(b"IDS_DAYS" in headers["error_detail"], "and why", headers)
        worker.stop()

        make_old(world, 70, "old-2")
        world.forgotten |= world.keys("old-2")
        world.query("UPDATE meta SET known_from_ms = 0, known_moved_ms = 0 RETURNING 1")
        worker = world.start_worker(HISTORY_DAYS="30", IDS_DAYS="60")
        wait_for(lambda: world.query("SELECT known_from_ms FROM meta")[0][0] > 0, 60,
                 "since when ids are known is written down")
        tap.equal(numbers(world)[1], 5, "and none is forgotten yet")
        worker.stop()
        world.query("UPDATE meta SET known_moved_ms = known_moved_ms - 61000 RETURNING 1")
        worker = world.start_worker(HISTORY_DAYS="30", IDS_DAYS="60")
        wait_for(lambda: numbers(world)[1] == 4, 60, "a minute later the oldest id goes")
        worker.stop()
        worker = world.start_worker()
        ask(world, "old-2", age_ms=70 * DAY_MS)
        tap.equal(rejected(world, reader, "old-2")["error"], b"too_old",
                  "a topic that is read again buys nothing, whatever the settings say now")
        tap.equal(len(world.ledger()["tasks"]), bought, "nothing was bought again")
        worker.stop()
        check_prune(world)


tap.run(main)
