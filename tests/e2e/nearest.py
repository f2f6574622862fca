#!/usr/bin/env python3
# tests/run: postgres kafka long on_s3 timeout=180
"""With one transfer at a time, the video whose URL expires first comes home first, however
long the others have waited."""

import tap
from world import World, wait_for

EACH = 4
READY = 3
HOLD_UP_MS = 30000  # meanwhile all others get ready


def ready(world, ids):
    """Whether all of these wait for their transfer."""
    return world.query(
        "SELECT count(*) FROM task JOIN request USING (id)"
        " WHERE state = %s AND request_id = ANY(%s)", READY, ids)[0][0] == len(ids)


def send(world, ids):
    for i in ids:
        world.send({"request_id": i, "request": {"prompt": i}})
    world.flush()
    wait_for(lambda: ready(world, ids), 30, f"{ids[0]} and the others are ready")


def main():
    # URLs of an hour; where none is told, a day is supposed.
    with World(latency="0.1..0.3", settings={"TRANSFERS_MAX": "1"},
               sim=("--schema", "yes", "--url-ttl", "3600")) as world:
        world.faults([
            {"on": "download", "kind": "delay", "delay_ms": HOLD_UP_MS, "match": "blocker"},
            {"on": "poll", "kind": "no_expires_at", "match": "later", "count": -1}])
        later = [f"later-{n}" for n in range(EACH)]
        sooner = [f"sooner-{n}" for n in range(EACH)]
        send(world, ["blocker"])
        send(world, later)
        send(world, sooner)
        world.pump(0.5)
        tap.equal(sorted(world.events), [], "all wait for the one transfer")
        world.wait_events(["blocker", *later, *sooner], 60)
        stored = sorted(later + sooner, key=lambda i: world.events[i][0]["times"]["stored"])
        tap.equal({i: world.events[i][0]["status"] for i in stored},
                  {i: "completed" for i in stored}, "all come home")
        tap.equal(sorted(stored[:EACH]), sooner, "those that expire first came first")
        tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0",
                  world.workers[0].text()[-2000:])


tap.run(main)
