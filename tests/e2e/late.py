#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=300
"""A paid video is not thrown away: told as timed out, it is polled on, comes home, and
one late `completed` follows, never a second failure."""

import json

import tap
from world import World, file_of, sha256_of, wait_for

# Within it all must have been accepted, on a machine that stands still for some seconds,
# too; and as long behind it the provider is done.
DEADLINE_S = 20
SLOW_MS = 36000


def check_cancel(world):
    """By filter, what is late is no longer looked for, and that is what was ordered."""
    found = lambda: world.ctl("list", "--tenant", "studio-c", "--state", "late", "--json").stdout
    world.event("late-order", 30)
    wait_for(found, 20, "it is late")
    done = world.ctl("cancel", "--state", "late", "--tenant", "studio-c", "--yes", "--json",
                     "--wait", "30", timeout=60)
    told = [json.loads(line) for line in done.stdout.splitlines()]
    tap.equal((done.returncode, [(r["request_id"], r["cancelled"]) for r in told]),
              (0, [("late-order", True)]), "a late one is cancelled by filter", done.stdout,
              done.stderr)
    tap.check(told and "no longer looked for" in told[0]["words"], "and it says what that means",
              told)


def main():
    with World(workers=1, latency="0.2..0.4") as world:
        world.faults([
            {"on": "poll", "kind": "slow_job", "delay_ms": SLOW_MS, "match": "late one"},
            {"on": "poll", "kind": "slow_job", "delay_ms": SLOW_MS, "match": "late failure"},
            {"on": "poll", "kind": "fail", "match": "late failure"},
            {"on": "poll", "kind": "slow_job", "delay_ms": 300000, "match": "late order"},
        ])
        world.send({"request_id": "late-order", "deadline_seconds": DEADLINE_S,
                    "tenant": "studio-c", "request": {"prompt": "late order"}})
        for name in ("late one", "late failure"):
            world.send({"request_id": name.replace(" ", "-"), "deadline_seconds": DEADLINE_S,
                        "request": {"prompt": name}})
        world.flush()
        first = world.event("late-one", 30)
        tap.equal([first["status"], first["error"]["kind"], first["billed"]],
                  ["failed", "timed_out", "unknown"], "the deadline is told")
        check_cancel(world)

        def late():
            world.pump(0.5)
            return len(world.events["late-one"]) > 1
        wait_for(late, 150, "the late success")  # LATE is polled every minute
        second = world.events["late-one"][1]
        tap.equal([second["status"], second.value.get("late")], ["completed", True],
                  "a late success follows", second.value)
        tap.check(second.headers["ce_id"] != first.headers["ce_id"],
                  "it is an event of its own")
        video = second["videos"][0]
        tap.equal(sha256_of(file_of(video["uri"])), video["sha256"],
                  "its video is stored")
        wait_for(lambda: world.query("SELECT (SELECT count(*) FROM task)"
                                     " + (SELECT count(*) FROM waiting)")[0][0] == 0, 150,
                 "all closed")
        world.pump(1)
        kinds = {e["error"]["kind"] for e in world.events.get("late-failure", [])
                 if "error" in e.value}
        tap.equal(len(world.events.get("late-failure", [])), 1,
                  "a second failure is never told", kinds)
        tap.equal(world.ledger()["totals"]["posts"], 3, "each was bought once")
        tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0")


tap.run(main)
