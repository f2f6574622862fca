#!/usr/bin/env python3
# tests/run: alone postgres kafka long timeout=900
"""Three of four workers, with 10,000 tasks in flight, are killed at once beside 100,000
requests that wait: the fourth polls every one of those tasks within ten seconds.
IN_FLIGHT=n and WAITING=n take other numbers."""

import contextlib
import json
import os
import time

import tap
from lateness import Beats, Bystander
from load import lease_of, said_ms
from world import World, fetch, wait_for

IN_FLIGHT = int(os.environ.get("IN_FLIGHT", "10000"))
WAITING = int(os.environ.get("WAITING", "100000"))
DOOMED = 3
LIMIT_S = 10
LOOK_EVERY_S = 2
# A task's next poll comes half of that later, or more: well beyond a look that comes late,
# or it would be taken for the first.
INTERVAL_MS = 20000


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


def fill_queue(world):
    """Requests that wait for long, older than all that are in flight."""
    world.query("""WITH r AS (
        INSERT INTO request (request_id, content, tenant, mode, priority, warnings, body,
            received_ms)
        SELECT 'waits-' || n, '', 'default', 1, 0, '[]', '{}', 1
        FROM generate_series(1, %s) n RETURNING id
    )
    INSERT INTO waiting (id, priority, fence, version, submission, tries, received_ms,
        deadline_ms, not_before_ms, first_sent_ms, last_sent_ms, account)
    SELECT id, 0, 0, 0, 0, 0, 1, 0, 9000000000000, 0, 0, '' FROM r RETURNING 1""", WAITING)
    tap.equal(world.query("SELECT count(*) FROM waiting")[0][0], WAITING, "they wait")


def main():
    settings = {"POLL_INTERVAL_MS": str(INTERVAL_MS), "TASKS_MAX": str(IN_FLIGHT),
                "SUBMITS_MAX": "64", "DRAIN_MS": "10000", "BACKLOG_MAX": "100000000"}
    with World(workers=0, latency="600..700", settings=settings) as world:
        fill_queue(world)
        doomed = [world.start_worker() for _ in range(DOOMED)]
        for n in range(IN_FLIGHT):
            world.send({"request_id": f"t-{n}", "request": {"prompt": f"clip {n}"}})
        world.flush()
        wait_for(lambda: totals(world)["accepted"] >= IN_FLIGHT, 180, "all are in flight")
        rows = "SELECT count(*) FROM task WHERE state = 2 AND owner <> 0"
        wait_for(lambda: world.query(rows)[0][0] >= IN_FLIGHT, 30, "all ids are stored")
        heir = world.start_worker()
        # Ready is who has all that it needs; it joins the fleet a moment later.
        lease = wait_for(lambda: lease_of(heir), 60, "the heir is in the fleet")
        counter = "SELECT counter FROM lease WHERE id = %s"
        wait_for(lambda: world.query(counter, lease)[0][0] > 12, 60, "the heir is no newcomer")
        bystander = Bystander(world.database_url)
        with contextlib.closing(Beats(world.database_url)) as beats:
            for worker in doomed:
                worker.kill()
            killed_ms = time.time() * 1000
            after = first_polls(world, killed_ms)
        late_s = bystander.end()
        # A heir that stood still itself counts anew, until it has seen the death. What it
        # does from then on is what is measured here.
        seen_ms = min(said_ms(heir, "a worker is dead"), default=killed_ms)
        anew_s = (beats.counts_from(lease, killed_ms, seen_ms) - killed_ms) / 1000
        for seconds in after:
            world.took_over(seconds)
        tap.equal(len(after), IN_FLIGHT, "every task is polled again")
        if after:
            tap.note(f"first {after[0]:.1f} s, p50 {after[len(after) // 2]:.1f} s, "
                     f"p99 {after[int(len(after) * 0.99)]:.1f} s, last {after[-1]:.1f} s")
            tap.check(after[-1] <= LIMIT_S + anew_s + late_s, f"the last within {LIMIT_S} s",
                      after[-1], f"a bystander's commits were late by {late_s:.1f} s, "
                      f"the heir counts from {anew_s:.1f} s", beats.seen[lease])
        tap.equal(totals(world)["accepted"], IN_FLIGHT, "nothing is bought twice")
        heir.kill()  # a drain of so many is no part of this


tap.run(main)
