#!/usr/bin/env python3
# tests/run: alone postgres kafka long timeout=300
"""A worker with 10,000 tasks in flight is killed: another one polls every one of
them within ten seconds. IN_FLIGHT=n takes another number."""

import json
import os
import time

import tap
from world import World, fetch, wait_for

IN_FLIGHT = int(os.environ.get("IN_FLIGHT", "10000"))
LIMIT_S = 10
LOOK_EVERY_S = 2  # well below the interval: no task is polled twice between looks


def tasks(world):
    return json.loads(fetch(world.sim_url + "/sim/ledger?sha256=0", timeout=60)[1])["tasks"]


def totals(world):
    return json.loads(fetch(world.sim_url + "/sim/ledger?summary=1")[1])["totals"]


def first_polls(world, killed_ms):
    """Seconds from the death to the first poll of each task, as the ledger shows."""
    after = {}
    end = time.monotonic() + 30
    while len(after) < IN_FLIGHT and time.monotonic() < end:
        looked = time.monotonic()
        for task in tasks(world):
            polled_ms = task["last_poll_ms"] or 0
            if polled_ms > killed_ms and task["task_id"] not in after:
                after[task["task_id"]] = (polled_ms - killed_ms) / 1000
        time.sleep(max(0, looked + LOOK_EVERY_S - time.monotonic()))
    return sorted(after.values())


def main():
    settings = {"POLL_INTERVAL_MS": "5000", "TASKS_MAX": str(IN_FLIGHT),
                "SUBMITS_MAX": "128", "DRAIN_MS": "10000"}
    with World(workers=1, latency="600..700", settings=settings) as world:
        for n in range(IN_FLIGHT):
            world.send({"request_id": f"t-{n}", "request": {"prompt": f"clip {n}"}})
        world.flush()
        wait_for(lambda: totals(world)["accepted"] >= IN_FLIGHT, 120, "all are in flight")
        rows = "SELECT count(*) FROM task WHERE state = 2"
        wait_for(lambda: world.query(rows)[0][0] >= IN_FLIGHT, 30, "all ids are stored")
        doomed = world.workers[0]
        heir = world.start_worker()
        wait_for(lambda: json.loads(fetch(heir.admin + "/scale")[1])["workers"] == 2, 20,
                 "both know each other")
        doomed.kill()
        killed_ms = time.time() * 1000
        after = first_polls(world, killed_ms)
        for seconds in after:
            world.took_over(seconds)
        tap.equal(len(after), IN_FLIGHT, "every task is polled again")
        if after:
            tap.note(f"first {after[0]:.1f} s, p50 {after[len(after) // 2]:.1f} s, "
                     f"p99 {after[int(len(after) * 0.99)]:.1f} s, last {after[-1]:.1f} s")
            tap.check(after[-1] <= LIMIT_S, f"the last within {LIMIT_S} s", after[-1])
        tap.equal(totals(world)["accepted"], IN_FLIGHT, "nothing is bought twice")
        heir.kill()  # a drain of so many is no part of this


tap.run(main)
