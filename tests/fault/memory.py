#!/usr/bin/env python3
# tests/run: postgres kafka on_s3 sanitized long timeout=400
"""Allocations of a worker's own code that fail, at every place at which it asks for
memory in a task's life, and again and again (tests/lib/scarce.c): it doesn't end, and
all that was asked for comes to its end, once. ROUNDS=n plays so many."""

import mmap
import os
import struct
import subprocess
import time

import tap
from record import RECORD
from world import BIN, ROOT, TMP, World, file_of, sha256_of

ROUNDS = int(os.environ.get("ROUNDS") or 2)
BATCH = 30
SHORTAGE = 1
ONE_IN = (150, SHORTAGE, 400, 80)  # of a round: one in so many is refused
SHORTAGE_S = 0.4
RELIEF_S = 1.5
HEAD = "=4q"
PLACE = "=2q"
PLACES = 1024
PLACES_MIN = 30


class Scarcity:
    """Preloaded into workers, or inside; refuses while it is ordered to."""

    def __init__(self):
        self.shim = TMP / "scarce.so"
        self.plan = TMP / "scarce"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self.shim,
                        ROOT / "tests/lib/scarce.c"], check=True)
        self.plan.write_bytes(bytes(struct.calcsize(HEAD) + PLACES * struct.calcsize(PLACE)))
        with open(self.plan, "r+b") as file:
            self.shared = mmap.mmap(file.fileno(), 0)

    def environment(self):
        inside = b"SCARCE" in (BIN / "pixverse-worker").read_bytes()
        shim = {} if inside else {"LD_PRELOAD": str(self.shim)}
        return {"SCARCE": str(self.plan), **shim}

    def order(self, one_in):
        self.shared[:8] = struct.pack("=q", one_in)

    def refused(self):
        return struct.unpack_from(HEAD, self.shared)[2]

    def places(self):
        """Addresses within the worker."""
        end = struct.unpack_from(HEAD, self.shared)[3]
        size = struct.calcsize(PLACE)
        return [struct.unpack_from(PLACE, self.shared, struct.calcsize(HEAD) + n * size)[0]
                for n in range(end)]


def names_of(places):
    """Functions and lines, for who looks into the log."""
    done = subprocess.run(
        ["addr2line", "-f", "-s", "-e", BIN / "pixverse-worker", *(f"{at - 1:x}" for at in places)],
        capture_output=True, text=True, check=False)
    words = done.stdout.split("\n")
    return sorted(f"{words[n]} {words[n + 1]}" for n in range(0, len(words) - 1, 2))


def endure(world, scarcity, ids):
    """There is none at all, for moments, until all has ended."""
    for _ in range(20):
        scarcity.order(SHORTAGE)
        time.sleep(SHORTAGE_S)
        scarcity.order(0)
        world.pump(RELIEF_S)
        if all(i in world.events for i in ids):
            return


def play(world, scarcity, number):
    ids = [f"round-{number}-{n}" for n in range(BATCH)]
    one_in = ONE_IN[number % len(ONE_IN)]
    scarcity.order(one_in)
    for n, identity in enumerate(ids):
        world.send({"request_id": identity,
                    "request": {"prompt": identity, "duration": 5 if n % 9 else 16}})
    world.send({"request_id": "", "request": {"prompt": "none"}})
    world.flush()
    if one_in == SHORTAGE:
        endure(world, scarcity, ids)
    world.wait_events(ids, 60)
    scarcity.order(0)
    ends = {i: world.events[i][0].value for i in ids}
    bad = [i for n, i in enumerate(ids) if n % 9 == 0]
    tap.equal({i: e["status"] for i, e in ends.items()},
              {i: "failed" if i in bad else "completed" for i in ids},
              f"round {number}: each ends as it would")
    torn = [v["uri"] for e in ends.values() for v in e.get("videos", [])
            if sha256_of(file_of(v["uri"])) != v["sha256"]]
    tap.equal(torn, [], f"round {number}: each video is whole")
    return [i for i in ids if i not in bad]


def main():
    scarcity = Scarcity()
    with World(workers=0, latency="0.5..2", settings={"LEASE_MS": "2000"}) as world:
        worker = world.start_worker(**scarcity.environment())
        bought = []
        for number in range(ROUNDS):
            bought += play(world, scarcity, number)
            tap.check(worker.alive(), f"round {number}: the worker lives",
                      worker.text()[-1000:])
        RECORD.injected("allocation of a worker refused", scarcity.refused())
        places = scarcity.places()
        for name in names_of(places):
            tap.note(name)
        tap.check(len(places) >= PLACES_MIN,
                  f"at least {PLACES_MIN} places were refused memory", len(places))
        posts = sorted(t["request"]["prompt"] for t in world.ledger()["tasks"])
        tap.equal(posts, sorted(bought), "each was bought once")
        tap.equal(worker.stop(), 0, "the worker drains with status 0", worker.text()[-1000:])


tap.run(main)
