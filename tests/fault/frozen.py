#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=400
"""A worker that stands still is taken for dead, and what it does when it wakes up
does no harm; a dead one's tasks go on elsewhere within ten seconds."""

import json
import time

import tap
from world import CONTINUE, STOP, World, fetch, wait_for

REQUESTS = 300


def check_once(world, ids):
    ledger = world.ledger()
    prompts = [t["request"]["prompt"] for t in ledger["tasks"]]
    tap.equal(len(prompts), len(set(prompts)), "nothing is bought twice")
    tap.equal(len(prompts), len(ids), "everything is bought")
    several = [i for i in ids if len({e.raw for e in world.events[i]}) != 1]
    tap.equal(several, [], "each request has one end")
    tap.equal([i for i in ids if world.events[i][0]["status"] != "completed"], [],
              "all are completed")


def live_workers(worker):
    """How many workers this one knows to be alive."""
    return json.loads(fetch(worker.admin + "/scale")[1])["workers"]


def main():
    with World(workers=2, latency="3..6", settings={"TASKS_MAX": "400"}) as world:
        ids = [f"frozen-{n}" for n in range(REQUESTS)]
        for n, i in enumerate(ids):
            world.send({"request_id": i, "request": {"prompt": f"clip {n}"}})
        world.flush()
        wait_for(lambda: world.pump() or len(world.events) >= 20, 60, "the first ends")
        frozen, other = world.workers
        frozen.signal(STOP)
        wait_for(lambda: live_workers(other) == 1, 20, "it is taken for dead")
        wait_for(lambda: world.pump() or len(world.events) >= REQUESTS, 90,
                 "the survivor does all")
        frozen.signal(CONTINUE)
        wait_for(lambda: live_workers(other) == 2, 30,
                 "it is back, under a new name")
        check_once(world, ids)

        more = [f"killed-{n}" for n in range(50)]
        for n, i in enumerate(more):
            world.send({"request_id": i, "request": {"prompt": f"more {n}"}})
        world.flush()
        wait_for(lambda: world.ledger()["totals"]["accepted"] > REQUESTS + 20, 60,
                 "the first of them are accepted")
        other.kill()
        began = time.monotonic()
        wait_for(lambda: live_workers(frozen) == 1, 20, "the death is seen")
        taken_s = time.monotonic() - began
        tap.check(taken_s < 10, "a dead worker is taken over within 10 s", taken_s)
        world.wait_events(more, 90)
        check_once(world, ids + more)
        tap.check(frozen.alive(), "the one that woke up lives on")


tap.run(main)
