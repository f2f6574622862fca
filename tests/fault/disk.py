#!/usr/bin/env python3
# tests/run: alone postgres kafka long timeout=180
"""A disk that errs or is slow, as the worker's own calls see it (tests/lib/bad_disk.c):
what could not be made durable is never trusted, nor synced again, but fetched afresh; a
storage that can't be written is held, and all comes home when it heals; slow calls hold
up nothing but the transfers."""

import errno
import subprocess
import time

import tap
from leftovers import half_files
from world import HELD_UP_S, ROOT, TMP, World, fetch, file_of, sha256_of, wait_for

BATCH = 6
SLOW_MS = 300
SLOW_BATCH = 24


class Disk:
    """Preloaded into workers: what befalls their calls, and what they asked for."""

    def __init__(self, folder):
        self.folder = folder
        self.shim = TMP / "bad_disk.so"
        self.plan = TMP / "plan"
        self.log = TMP / "disk.log"
        subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", self.shim,
                        ROOT / "tests/lib/bad_disk.c", "-ldl"], check=True)
        self.order()

    def environment(self):
        return {"LD_PRELOAD": str(self.shim), "BAD_DISK": str(self.folder),
                "BAD_DISK_PLAN": str(self.plan), "BAD_DISK_LOG": str(self.log)}

    def order(self, *lines):
        """(call, milliseconds, errno, times) each; nothing: the disk is well."""
        new = TMP / "plan.new"
        new.write_text("".join("%s %d %d %d\n" % line for line in lines))
        self.log.write_text("")  # before it, or what is struck at once were forgotten
        new.rename(self.plan)

    def asked(self):
        """(call, errno, path) of every call since the last order."""
        lines = [line.split(" ", 3) for line in self.log.read_text().splitlines()]
        return [(call, int(code), path) for call, code, _, path in lines]

    def by_loops(self):
        """The calls of them that a worker's loop made, instead of a thread of its pool."""
        return [line for line in self.log.read_text().splitlines()
                if line.split(" ", 3)[2] == "loop"]

    def struck(self, call):
        return [path for name, code, path in self.asked() if name == call and code]


def send(world, name, n=BATCH):
    ids = [f"{name}-{i}" for i in range(n)]
    for identity in ids:
        world.send({"request_id": identity, "request": {"prompt": identity}})
    world.flush()
    return ids


def held(world):
    return b"hold: storage" in fetch(world.workers[0].admin + "/readyz")[1]


def stopped(world):
    """Claims go by what is stored, which comes a moment after the worker says it."""
    return held(world) and world.query("SELECT 1 FROM hold WHERE reason = 'storage'")


def purchases(world, ids):
    return [t for t in world.ledger()["tasks"] if t["request"]["prompt"] in ids]


def check_home(world, name, ids):
    """All are there, as they were served, and each was bought once."""
    def home():
        # No test waits half a minute for the next probe.
        world.query("UPDATE hold SET next_try_ms = 0 RETURNING 1")
        world.pump(0.3)
        return set(ids) <= set(world.events)
    wait_for(home, 60, f"{name}: every end")
    bought = purchases(world, ids)
    served = {t["request"]["prompt"]: [v["sha256"] for v in t["videos"]] for t in bought}
    faults = []
    for identity in ids:
        event = world.events[identity][0]
        told = [v["sha256"] for v in event.value.get("videos", [])]
        there = [sha256_of(file_of(v["uri"])) for v in event.value.get("videos", [])]
        if event["status"] != "completed" or not told == there == served.get(identity):
            faults.append(f"{identity}: served {served.get(identity)}, there {there},"
                          f" told {event.value}")
    tap.check(not faults, f"{name}: all come home as they were served", *faults)
    tap.equal(sorted(t["request"]["prompt"] for t in bought), sorted(ids),
              f"{name}: each is bought once")


def heals(world, name):
    def lifted():
        world.query("UPDATE hold SET next_try_ms = 0 RETURNING 1")
        return not held(world)
    wait_for(lifted, 40, f"{name}: no hold is left")


def error_once(world, disk, call, times):
    """Some calls end with EIO, then the disk is well again. -1: all, until that has been
    seen; a folder that is made early bears some of fsync()."""
    name = f"{call}-eio"
    disk.order((call, 0, errno.EIO, times))
    ids = send(world, name)
    wait_for(lambda: held(world), 30, f"{name}: the hold storage")
    if times < 0:
        disk.order()
    check_home(world, name, ids)
    heals(world, name)
    asked = disk.asked()
    struck = disk.struck(call)
    world.injected(f"EIO from {call}", len(struck))
    if times > 0:
        tap.equal(len(struck), times, f"{name}: {times} calls are struck")
    again = [path for path in struck
             if len([a for a in asked if a[0] == call and a[2] == path]) > 1]
    if call == "fdatasync":
        tap.equal(again, [], f"{name}: what could not be synced is never synced again")
        named = [a for a in asked if a[0] == "fdatasync" and a[2].endswith(".part")
                 and not a[2].endswith(".probe.part")]
        # A probe that comes in between may be what is struck.
        lost = len([path for path in struck if not path.endswith(".probe.part")])
        tap.equal(len(named), BATCH + lost, f"{name}: each is fetched afresh and synced once")
        fetched = sum(v["downloads"] for t in purchases(world, ids) for v in t["videos"])
        tap.check(fetched >= BATCH + lost, f"{name}: that many are downloaded", fetched)
    half = half_files(world.videos, lambda path: path.suffix == ".part")
    tap.equal(half, [], f"{name}: no half file is left")


def read_only(world, disk):
    """The disk turns read-only when the bytes have to reach it, until it is mended."""
    name = "erofs"
    disk.order(("fdatasync", 0, errno.EROFS, -1), ("fsync", 0, errno.EROFS, -1))
    ids = send(world, name)
    wait_for(lambda: stopped(world), 30, f"{name}: the hold storage")
    other = f"{name}-meanwhile"
    world.send({"request_id": other, "request": {"prompt": other}})
    world.flush()
    # Probes find it as it is.
    world.query("UPDATE hold SET next_try_ms = 0 RETURNING 1")
    wait_for(lambda: "the hold stays" in world.workers[0].text(), 20, f"{name}: a probe")
    tap.check(held(world), f"{name}: the hold stays while the disk is so")
    world.pump(0.5)
    tap.equal([i for i in ids if i in world.events], [],
              f"{name}: nothing is told that is not durable")
    tap.equal(purchases(world, [other]), [],
              f"{name}: nothing is bought that can't be stored")
    world.injected("EROFS from fdatasync and fsync",
                   len(disk.struck("fdatasync")) + len(disk.struck("fsync")))
    disk.order()
    check_home(world, name, ids + [other])
    heals(world, name)


def slow(world, disk):
    """Only transfers wait for a slow disk: the loop turns, leases live."""
    name = "slow"
    living = "SELECT id FROM lease WHERE NOT dead ORDER BY id"
    # Who is ready joins the fleet a moment later.
    leases = wait_for(lambda: len(found := world.query(living)) == len(world.workers) and found,
                      20, f"{name}: each has its lease")
    disk.order(*((call, SLOW_MS, 0, -1)
                 for call in ("openat", "pwrite", "fdatasync", "fsync", "renameat2")))
    ids = send(world, name, SLOW_BATCH)
    slowest = longest = 0
    end = time.monotonic() + 60
    while set(ids) - set(world.events) and time.monotonic() < end:
        for worker in world.workers:
            asked = time.monotonic()
            fetch(worker.admin + "/readyz")
            slowest = max(slowest, time.monotonic() - asked)
            longest = max(longest, world.metric(
                worker, "pixverse_loop_longest_turn_seconds") or 0)
        world.pump(0.05)
    calls, by_loops = len(disk.asked()), disk.by_loops()
    world.injected(f"a call to the disk took {SLOW_MS} ms longer", calls)
    disk.order()
    check_home(world, name, ids)
    tap.check(calls >= 5 * SLOW_BATCH, f"{name}: {calls} calls took {SLOW_MS} ms longer")
    tap.equal(by_loops, [], f"{name}: no loop waits for the disk itself")
    tap.note(f"{name}: the longest turn of a loop took {longest * 1000:.0f} ms")
    tap.check(slowest < HELD_UP_S, f"{name}: the workers answered all the while", slowest)
    tap.equal(world.query(living), leases, f"{name}: every lease lives on")
    tap.equal([w.name for w in world.workers if "is dead" in w.text()], [],
              f"{name}: nobody is taken for dead")


def main():
    disk = Disk(TMP / "videos")
    settings = {"TRANSFERS_MAX": "4", **disk.environment()}
    with World(workers=1, latency="0.1..0.3", sim=["--schema", "yes"],
               settings=settings) as world:
        for call, times in (("fdatasync", 3), ("pwrite", 2), ("fsync", -1),
                            ("renameat2", 2)):
            error_once(world, disk, call, times)
        read_only(world, disk)
        tap.equal(world.workers[0].stop(), 0, "the worker drains with status 0",
                  world.workers[0].text()[-2000:])
    with World(workers=2, latency="0.1..0.3", sim=["--schema", "yes"],
               settings=settings) as world:
        slow(world, disk)
        for worker in world.workers:
            tap.equal(worker.stop(), 0, f"{worker.name} drains with status 0",
                      worker.text()[-2000:])


tap.run(main)
