#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=300
"""What takes hours, on the real parts: deadlines, what comes after them, and ends that
only time can tell. The clocks of PostgreSQL, simulator and worker jump on together
(tests/lib/jump_clock.c), as those of a machine that slept."""

import json
import os
import time

import matrix
import tap
from clock import Clock
from matrix import end_of
from world import CONTINUE, STOP, Postgres, World, fetch, wait_for

MINUTE, HOUR = 60, 3600


def ask(world, name, *faults, **more):
    if faults:
        world.faults([{**fault, "match": name} for fault in faults])
    world.send({"request_id": name, "request": {"prompt": name}, **more})
    world.flush()


def poll(kind, **more):
    return {"on": "poll", "kind": kind, "count": -1, **more}


def download(kind, **more):
    return {"on": "download", "kind": kind, "count": -1, **more}


def state(world, name):
    rows = world.query("SELECT state FROM (SELECT id, state FROM task UNION ALL"
                       " SELECT id, 0 FROM waiting) t JOIN request USING (id)"
                       " WHERE request_id = %s", name)
    return rows[0][0] if rows else 7  # closed


def hits(world, kind, name):
    return sum(f["hits"] for f in matrix.struck(world)
               if f["order"]["kind"] == kind and f["order"].get("match") == name)


def more_hits(world, kind, name, n):
    """Wait until the fault has struck n times more."""
    before = hits(world, kind, name)
    wait_for(lambda: hits(world, kind, name) >= before + n, 30,
             f"{name}: {kind} strikes {n} times more")


def without(world, name):
    """Take the faults of one back. The worker stands still until those of the others are
    there again: what it asked in between would be answered well."""
    worker = world.workers[0].process
    worker.send_signal(STOP)
    try:
        orders = [f["order"] for f in matrix.struck(world)]  # behind what it had asked
        fetch(world.sim_url + "/sim/faults", "DELETE")
        world.faults([order for order in orders if order["match"] != name])
    finally:
        worker.send_signal(CONTINUE)


def told(world, name, kind, billed, safe, text):
    """Check the first event."""
    event = world.event(name, 40)
    tap.equal((end_of(event), event["billed"], event["error"]["retry_safe"]),
              (kind, billed, safe), f"{name}: {text}", event.value)


def tries_again(world, clock, name, number=1, steps=10):
    """Go on in steps, to its end of that number: what is tried seldom has its last try
    ahead of it."""
    for _ in range(steps):
        wait_until = time.monotonic() + 3
        while time.monotonic() < wait_until:
            world.pump()
            if len(ends(world, name)) >= number:
                return
        clock.jump(20 * MINUTE)


def ends(world, name):
    """Its events. One whose answer was under way when the clock jumped is told again, in
    the same bytes: that is none more."""
    return list({event.raw: event for event in world.events.get(name, [])}.values())


def told_late(world, name, text):
    """Check the second event: it was paid for, and came after all."""
    wait_for(lambda: world.pump() or len(ends(world, name)) > 1, 60,
             f"{name}: the late success")
    event = ends(world, name)[1]
    tap.equal((event["status"], event.value.get("late")), ("completed", True),
              f"{name}: {text}", event.value)


def begin(world):
    world.query("INSERT INTO hold VALUES ('operator', '*', 1, 1, 'a test') RETURNING 1")
    ask(world, "queued", deadline_seconds=600)
    wait_for(lambda: state(world, "queued") == 0, 20, "it waits in the queue")
    ask(world, "lost", poll("invalid_id"))
    ask(world, "found", poll("invalid_id"))
    ask(world, "unusable", download("html"))
    ask(world, "refused", poll("no_expires_at"), download("status", status=404))
    ask(world, "silent", download("rst_after_body"))
    ask(world, "no_url", poll("without_videos"))
    ask(world, "slow", {"on": "submit", "kind": "slow_job", "delay_ms": 20 * HOUR * 1000})
    ask(world, "endless", {"on": "submit", "kind": "slow_job",
                           "delay_ms": 1000 * HOUR * 1000})


def play(world, clock):
    begin(world)
    clock.jump(11 * MINUTE)
    told(world, "queued", "timed_out", "no", True, "its deadline passes in the queue")
    world.query("DELETE FROM hold RETURNING 1")

    # What is no video is tried again soon, then seldom.
    wait_for(lambda: hits(world, "html", "unusable") >= 2, 30, "two downloads")
    for name, kind in (("refused", "status"), ("silent", "rst_after_body"),
                       ("no_url", "without_videos"), ("lost", "invalid_id"),
                       ("found", "invalid_id")):
        more_hits(world, kind, name, 1)
    wait_for(lambda: {state(world, n) for n in ("slow", "endless")} == {2}, 20,
             "the slow ones run")
    clock.jump(3 * MINUTE)  # denials count from two minutes after acceptance
    more_hits(world, "invalid_id", "lost", 6)
    tap.equal((state(world, "lost"), state(world, "found")), (2, 2),
              "six denials within seconds are no loss")
    clock.jump(5 * MINUTE)
    more_hits(world, "invalid_id", "lost", 3)
    tap.equal(state(world, "lost"), 2, "nor are denials over five minutes")
    clock.jump(6 * MINUTE)
    told(world, "lost", "task_lost", "unknown", False, "denied for ten minutes")
    told(world, "found", "task_lost", "unknown", False, "so is this one")

    # The provider knows one of them again.
    without(world, "found")
    clock.jump(2 * MINUTE)
    told_late(world, "found", "lost, and found again")

    tap.check("unusable" not in world.events, "two downloads of no video are no end")
    tries_again(world, clock, "unusable")
    told(world, "unusable", "asset_unusable", "yes", False,
         "the same that is no video, over an hour")
    spans = world.query("SELECT settled_ms - generated_ms FROM closed"
                        " JOIN request USING (id) WHERE request_id = 'unusable'")
    tap.check(spans[0][0] >= HOUR * 1000, "not before an hour", spans)

    tap.equal([i for i in ("slow", "endless") if i in world.events], [],
              "none is timed out before its deadline")
    clock.jump(3 * HOUR)
    told(world, "slow", "timed_out", "unknown", False, "three hours are over")
    told(world, "endless", "timed_out", "unknown", False, "so it is here")
    clock.jump(16 * HOUR)
    # A poll whose answer was under way then is answered as before: the next one comes
    # within 72 minutes.
    tries_again(world, clock, "slow", number=2, steps=5)
    told_late(world, "slow", "made after twenty hours")

    tap.equal([i for i in ("refused", "no_url", "silent") if i in world.events], [],
              "what is paid for is not given up within a day")
    clock.jump(6 * HOUR)
    tries_again(world, clock, "refused")
    told(world, "refused", "asset_expired", "yes", False,
         "refused, without expires_at, a day after it was completed")
    told(world, "no_url", "asset_unusable", "yes", False,
         "completed without a URL for a day")
    wait_for(lambda: state(world, "endless") == 7, 60, "LATE ends after a day")
    tap.equal(len(ends(world, "endless")), 1, "and tells nothing more")
    tap.check("silent" not in world.events, "a host that is silent is given another day")
    clock.jump(26 * HOUR)
    tries_again(world, clock, "silent")
    told(world, "silent", "asset_expired", "yes", False, "a host silent for two days")
    wait_for(lambda: world.query("SELECT (SELECT count(*) FROM task)"
                                 " + (SELECT count(*) FROM waiting)")[0][0] == 0,
             60, "all closed")


def main():
    clock = Clock()
    os.environ.update(clock.environment())
    postgres = Postgres()
    try:
        with World(latency="0.5..1", postgres=postgres, sim=["--schema", "yes"],
                   settings=clock.environment(),
                   # The broker's clock does not jump.
                   topics={"message.timestamp.type": "LogAppendTime"}) as world:
            play(world, clock)
            world.pump(1)
            ids = [i for i in world.events if i != "queued"]
            ledger = world.ledger()["tasks"]
            tap.equal(sorted(t["request"]["prompt"] for t in ledger), sorted(ids),
                      "each was bought once")
            tap.equal({i: len(ends(world, i)) for i in world.events
                       if len(ends(world, i)) > 1},
                      {"found": 2, "slow": 2}, "two had a late success, and no more")
            tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0",
                      world.workers[0].text()[-2000:])
    finally:
        postgres.stop()
        clock.remove()


tap.run(main)
