#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=1500
"""A worker that stands still is taken for dead, and what it does when it wakes up
does no harm, at random times under load too; a dead one's tasks go on elsewhere
within ten seconds. FREEZES=n freezes so often, SEED=n as in an earlier run."""

import contextlib
import json
import os
import random
import time

import tap
from lateness import Beats
from load import Load, lease_of, seed_of_run
from world import CONTINUE, STOP, World, fetch, wait_for

REQUESTS = 300
FREEZES = int(os.environ.get("FREEZES") or 5)
IN_FLIGHT = 300


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
    """How many workers this one knows to be alive; None where its loop comes late."""
    status, body = fetch(worker.admin + "/scale")
    return json.loads(body)["workers"] if status == 200 else None


def freeze(world, load, rng, victims):
    """Beyond the lease, while the others go on; each wakes up at a time of its own."""
    leases = {w: lease_of(w) for w in victims}
    for worker in victims:
        worker.signal(STOP)
    living = "SELECT count(*) FROM lease WHERE NOT dead AND id = ANY(%s)"
    load.until(lambda: world.query(living, list(leases.values()))[0][0] == 0, 30,
               "they are taken for dead")
    load.offsets.look([w for w in world.workers if w not in victims])
    for worker in victims:
        load.turn(rng.uniform(0, 4))
        worker.signal(CONTINUE)
    for worker in victims:
        load.until(lambda w=worker: lease_of(w) != leases[w], 30,
                   "it begins again under a new lease")


def seen_dead(world, victim, heir):
    """Seconds from the death of one until the other knows that it is alone; what it saw
    before it stood still itself, as on a busy machine, counts for nothing."""
    with contextlib.closing(Beats(world.database_url)) as beats:
        victim.kill()
        killed_ms = time.time() * 1000
        wait_for(lambda: live_workers(heir) == 1, 30, "the death is seen")
        seen_ms = time.time() * 1000
        lease = lease_of(heir)
    return ((seen_ms - beats.counts_from(lease, killed_ms, seen_ms)) / 1000,
            beats.seen[lease])


def random_freezes():
    seed = seed_of_run()
    rng = random.Random(seed)
    tap.note(f"FREEZES={FREEZES} SEED={seed}")
    # The answers of some submissions come in while their worker stands still.
    with World(workers=3, latency="2..6", sim=["--schema", "yes", "--submit-ms", "50..500"],
               settings={"LEASE_MS": "2000", "KAFKA_CONF_SESSION_TIMEOUT_MS": "6000"}) \
            as world, Load(world, IN_FLIGHT, rng) as load:
        load.fill()
        frozen = 0
        while frozen < FREEZES:
            load.turn(rng.uniform(0, 2.5))
            victims = rng.sample(world.workers, rng.choice([1, 1, 2]))
            freeze(world, load, rng, victims)
            frozen += len(victims)
        load.finish()
        tap.check(True, f"{frozen} times a worker was frozen, and came back")
        load.judge()
        taken = world.query("SELECT count(*) FROM closed JOIN request USING (id)"
                            " WHERE takeovers_since_ms IS NOT NULL AND request_id = ANY(%s)",
                            load.ids)[0][0]
        tap.check(taken >= frozen, f"{taken} tasks were taken over")
        for worker in world.workers:
            tap.equal(worker.stop(), 0, f"{worker.name} drains with status 0",
                      worker.text()[-2000:])


def one_by_one():
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
        before = lease_of(frozen)
        frozen.signal(CONTINUE)
        # It says so a moment after the other one can see it.
        wait_for(lambda: live_workers(other) == 2 and lease_of(frozen) != before, 30,
                 "it is back, under a new name")
        check_once(world, ids)

        more = [f"killed-{n}" for n in range(50)]
        for n, i in enumerate(more):
            world.send({"request_id": i, "request": {"prompt": f"more {n}"}})
        world.flush()
        wait_for(lambda: world.ledger()["totals"]["accepted"] > REQUESTS + 20, 60,
                 "the first of them are accepted")
        # Who has just joined would bury nobody for two leases.
        beats = "SELECT counter FROM lease WHERE id = %s"
        wait_for(lambda: world.query(beats, lease_of(frozen))[0][0] > 6, 60,
                 "the heir is no newcomer")
        taken_s, beats = seen_dead(world, other, frozen)
        tap.check(taken_s < 10, "a dead worker is taken over within 10 s", taken_s,
                  f"its heir's beats: {beats}")
        world.wait_events(more, 90)
        check_once(world, ids + more)
        tap.check(frozen.alive(), "the one that woke up lives on")


def main():
    one_by_one()
    random_freezes()


tap.run(main)
