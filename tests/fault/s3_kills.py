#!/usr/bin/env python3
# tests/run: postgres kafka s3 long timeout=1500
"""kill -9 of a random worker of three at random times during transfers into S3, half of
them of unknown length, some too large: in the end each object is what was served and
what its event says, none is missing, and no upload in parts is left open. TRANSFERS=n
makes so many, SEED=n repeats the times of an earlier run."""

import os
import random
import time

import tap
from leftovers import files_below
from load import seed_of_run
import world as worlds
from world import PROBES, World, file_of, sha256_of, wait_for

TRANSFERS = int(os.environ.get("TRANSFERS") or 60)
PER_KILL = 8  # no more are sent before the next kill
KILLS_MIN = TRANSFERS // PER_KILL
SEATS = 3
IN_FLIGHT = 20
VIDEO_BYTES = "7000000..13000000"  # below and above a part of 8 MiB
VIDEO_BYTES_MAX = 12500000
UPLOAD_WITHIN_S = 5
ABORTED_WITHIN_S = 60


class Fleet:
    """Three seats; whoever dies is replaced. Every other death is one while an upload
    in parts is open, as far as there is one."""

    def __init__(self, world):
        self.world = world
        self.kills = 0
        self.left_open = 0  # uploads that were open when somebody died
        self.seats = [self.start(n) for n in range(SEATS)]

    def start(self, seat):
        return self.world.start_worker(
            wait=False, KAFKA_CONF_GROUP_INSTANCE_ID=worlds.seat(seat))

    def may_kill(self, due):
        now = time.monotonic()
        return now >= due and (self.kills % 2 or self.world.uploads()
                               or now >= due + UPLOAD_WITHIN_S)

    def kill(self, seat):
        self.seats[seat].kill()
        self.kills += 1
        self.left_open += len(self.world.uploads())
        self.seats[seat] = self.start(seat)


def transfer_all(world, fleet, rng):
    """Keeps some in flight, and kills, until all have ended."""
    ids = [f"clip-{n}" for n in range(TRANSFERS)]
    sent = 0
    kill_at = time.monotonic() + rng.uniform(0.2, 1.5)

    def step():
        nonlocal sent, kill_at
        world.pump(0.05)
        room = min(TRANSFERS, len(world.events) + IN_FLIGHT, PER_KILL * (fleet.kills + 1))
        while sent < room:
            world.send({"request_id": ids[sent], "request": {"prompt": ids[sent]}})
            sent += 1
        world.producer.poll(0)
        if fleet.may_kill(kill_at):
            fleet.kill(rng.randrange(SEATS))
            kill_at = time.monotonic() + rng.uniform(0.2, 1.5)
        return len(world.events) >= TRANSFERS
    wait_for(step, 120 + 2 * TRANSFERS, "every end")
    return ids


def wait_for_no_upload(world):
    began = time.monotonic()
    left = []

    def none():
        left[:] = world.uploads()
        return not left
    try:
        wait_for(none, ABORTED_WITHIN_S, "no upload in parts")
    except Exception:  # shown by the check
        pass
    took = time.monotonic() - began
    tap.equal(list(left), [], f"no upload is left open within {ABORTED_WITHIN_S} s of the "
              f"last end ({took:.1f} s)")


def judge(world, ids):
    served = {t["request"]["prompt"]: t for t in world.ledger()["tasks"]}
    other, torn, missing, told = [], [], [], set()
    large = 0
    for i in ids:
        event = world.events[i][0]
        videos = served[i]["videos"]
        too_large = any(v["bytes"] > VIDEO_BYTES_MAX for v in videos)
        large += too_large
        if too_large != (event["status"] != "completed"):
            other.append((i, event.value))
        for n, video in enumerate(event.value.get("videos", [])):
            path = file_of(video["uri"])
            told.add(path)
            if not path.exists():
                missing.append(i)
            elif not sha256_of(path) == video["sha256"] == videos[n]["sha256"]:
                torn.append(i)
    tap.note(f"{large} of {len(ids)} were too large")
    tap.equal(other, [], "each is completed, unless it is larger than allowed")
    tap.equal(missing, [], "no object is missing")
    tap.equal(torn, [], "each object's SHA-256 is what was served and what its event says")
    probes = world.videos / PROBES  # of those killed in one: swept when they are old
    there = {p for p in files_below(world.videos) if probes not in p.parents}
    tap.equal(sorted(map(str, there ^ told)), [], "there are no other objects")
    tap.equal([i for i in ids if len({e.headers["ce_id"] for e in world.events[i]}) != 1],
              [], "each has one end")
    tap.equal(len(world.ledger()["tasks"]), len(ids), "each was bought once")


def main():
    seed = seed_of_run()
    tap.note(f"TRANSFERS={TRANSFERS} SEED={seed}")
    settings = {"LEASE_MS": "1000", "TRANSFERS_MAX": "8",
                "VIDEO_MAX_BYTES": str(VIDEO_BYTES_MAX),
                "KAFKA_CONF_SESSION_TIMEOUT_MS": "6000"}
    with World(workers=0, latency="0.2..2", settings=settings, on_s3=True,
               sim=("--schema", "yes", "--video-bytes", VIDEO_BYTES)) as world:
        world.faults([
            {"on": "download", "kind": "chunked", "rate": 0.5, "count": -1},
            {"on": "download", "kind": "slow_body", "bytes": 65536, "delay_ms": 25,
             "rate": 0.8, "count": -1}])
        fleet = Fleet(world)
        for worker in fleet.seats:
            world.wait_ready(worker)
        ids = transfer_all(world, fleet, random.Random(seed))
        tap.note(f"{fleet.kills} kills; {fleet.left_open} uploads were open at their moments")
        tap.check(fleet.kills >= KILLS_MIN, f"at least {KILLS_MIN} kills", fleet.kills)
        tap.check(fleet.left_open > 0, "some left an upload open")
        wait_for_no_upload(world)
        judge(world, ids)
        for worker in fleet.seats:
            world.wait_ready(worker)
            tap.equal(worker.stop(), 0, f"{worker.name} drains with status 0",
                      worker.text()[-2000:])


tap.run(main)
