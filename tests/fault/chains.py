#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=600
"""Requests that extend others of ours, over kill -9 of workers: a chain and a fan sent
last one first, a chain whose first one fails, a cycle, another tenant's. CHAIN=n FAN=n
make them so long and wide, KILLS=n kills so many workers."""

import os
import random

import tap
from load import seed_of_run
from world import World, wait_for

CHAIN = int(os.environ.get("CHAIN") or 20)
FAN = int(os.environ.get("FAN") or 300)
KILLS = int(os.environ.get("KILLS") or 2)
BROKEN = 4
SETTINGS = {"POLL_INTERVAL_MS": "100", "LEASE_MS": "1000", "SUBMITS_MAX": "64",
            "KAFKA_CONF_SESSION_TIMEOUT_MS": "6000"}


def extending(name, source, **more):
    return {"request_id": name, **more,
            "request": {"prompt": f"{name} goes on", "extend_from_request_id": source}}


def plain(name, prompt="a cat"):
    return {"request_id": name, "request": {"prompt": prompt}}


def messages(rng):
    """All but the sources that come later; each child before its source."""
    sent = [extending(f"chain-{n}", f"chain-{n - 1}") for n in range(CHAIN - 1, 0, -1)]
    sent += [extending(f"fan-{n}", "root") for n in range(FAN)]
    sent += [extending(f"broken-{n}", f"broken-{n - 1}") for n in range(BROKEN - 1, 0, -1)]
    sent += [extending(f"circle-{n}", f"circle-{(n + 1) % 3}") for n in range(3)]
    sent += [extending("alien", "root", tenant="another")]
    rng.shuffle(sent)
    return sent


def check_ends(world):
    ends = {name: events[0] for name, events in world.events.items()}
    good = [f"chain-{n}" for n in range(CHAIN)] + [f"fan-{n}" for n in range(FAN)] + ["root"]
    tap.equal([n for n in good if ends[n]["status"] != "completed"], [],
              "what extends a good one is completed, each of it")
    broken = [f"broken-{n}" for n in range(1, BROKEN)]
    tap.equal({ends[n]["error"]["kind"] for n in [*broken, "alien"]}, {"source_failed"},
              "what extends one that failed fails, down the chain, and so does a stranger's")
    tap.equal({(ends[n]["billed"], ends[n]["error"]["retry_safe"]) for n in [*broken, "alien"]},
              {("no", True)}, "unpaid, and safe to repeat")
    tap.check("root" not in ends["alien"].raw.decode(), "nothing says that it exists",
              ends["alien"].raw)
    wrong = world.query(
        "SELECT r.request_id FROM request r JOIN closed c USING (id)"
        " JOIN request s ON s.request_id = r.source JOIN closed d ON d.id = s.id"
        " WHERE c.kind = 0 AND c.source_task_id IS DISTINCT FROM d.provider_task_id")
    tap.equal(wrong, [], "each went on from the very task of its source")
    early = world.query(
        "SELECT r.request_id FROM request r JOIN closed c USING (id)"
        " JOIN request s ON s.request_id = r.source JOIN closed d ON d.id = s.id"
        " WHERE c.kind = 0 AND c.first_sent_ms < d.generated_ms - 1000")
    tap.equal(early, [], "and not before that was finished")
    bought = len(good) + 1  # broken-0 was bought, too
    tap.equal(world.ledger()["totals"]["posts"] >= bought
              and len(world.ledger()["tasks"]) == bought, True, "each was bought once")


def check_circle(world, fleet):
    """It waits for itself: no end but that of patience."""
    ids = [f"circle-{n}" for n in range(3)]
    tap.equal([n for n in ids if n in world.events], [], "a cycle waits")
    words = world.ctl("explain", "circle-0").stdout
    tap.check("waits for the request that it extends, circle-1" in words,
              "explain says on what", words)
    for worker in fleet:
        worker.stop()
    world.start_worker(CHAIN_WAIT_MS="1000")
    world.wait_events(ids, 60)
    tap.equal({world.events[n][0]["error"]["kind"] for n in ids}, {"source_failed"},
              "until CHAIN_WAIT_MS ends it")


def main():
    seed = seed_of_run()
    rng = random.Random(seed)
    tap.note(f"CHAIN={CHAIN} FAN={FAN} KILLS={KILLS} SEED={seed}")
    with World(workers=0, latency="0.05..0.2", settings=SETTINGS) as world:
        world.faults([{"on": "poll", "kind": "fail", "match": "a bad source", "count": -1}])
        fleet = [world.start_worker() for _ in range(2)]
        for message in messages(rng):
            world.send(message)
        world.flush()
        wait_for(lambda: world.query("SELECT count(*) FROM waiting WHERE source IS NOT NULL")
                 == [(CHAIN - 1 + FAN + BROKEN - 1 + 3 + 1,)], 60, "all of them wait")
        tap.equal(world.ledger()["totals"]["posts"], 0, "without their sources nothing is sent")
        for message in [plain("chain-0"), plain("root"), plain("broken-0", "a bad source")]:
            world.send(message)
        world.flush()
        waited = [*(f"chain-{n}" for n in range(CHAIN)), "root", "broken-0", "alien",
                  *(f"fan-{n}" for n in range(FAN)),
                  *(f"broken-{n}" for n in range(1, BROKEN))]
        for kill in range(KILLS):
            world.wait_events([f"chain-{(kill + 1) * CHAIN // (KILLS + 1) - 1}"], 120)
            seat = rng.randrange(len(fleet))
            fleet[seat].kill()
            fleet[seat] = world.start_worker(wait=False)
        world.wait_events(waited, 240)
        check_ends(world)
        check_circle(world, fleet)


tap.run(main)
