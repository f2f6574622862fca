#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=300
"""A paid video is not thrown away: told as timed out, it is polled on, comes home, and
one late `completed` follows, never a second failure."""

import tap
from world import World, file_of, sha256_of, wait_for


def main():
    with World(workers=1, latency="0.2..0.4") as world:
        world.faults([
            {"on": "poll", "kind": "slow_job", "delay_ms": 14000, "match": "late one"},
            {"on": "poll", "kind": "slow_job", "delay_ms": 14000, "match": "late failure"},
            {"on": "poll", "kind": "fail", "match": "late failure"},
        ])
        for name in ("late one", "late failure"):
            world.send({"request_id": name.replace(" ", "-"), "deadline_seconds": 8,
                        "request": {"prompt": name}})
        world.flush()
        first = world.event("late-one", 30)
        tap.equal([first["status"], first["error"]["kind"], first["billed"]],
                  ["failed", "timed_out", "unknown"], "the deadline is told")

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
                 "both closed")
        world.pump(1)
        kinds = {e["error"]["kind"] for e in world.events.get("late-failure", [])
                 if "error" in e.value}
        tap.equal(len(world.events.get("late-failure", [])), 1,
                  "a second failure is never told", kinds)
        tap.equal(world.ledger()["totals"]["posts"], 2, "each was bought once")
        tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0")


tap.run(main)
